//! Who looks at the whole demonstration, and says at the end what there was to be seen.

use crate::packet::{Event, Time};
use crate::text::Glossary;
use crate::view::paint::{Out, Role};
use crate::wire::{Happening, Host, Packet};

/// One who looks.
pub(super) trait Watch {
    /// A packet was put on a link, and this is what is in it.
    fn packet(&mut self, packet: &Packet, event: &Event<'_>);

    /// Something happened in the chat of a host.
    fn chat(&mut self, host: Host, time: Time, what: &Happening);

    /// It is over: what there was to be seen.
    fn end(&self, out: &mut Out, glossary: &Glossary);
}

/// A heading, with a line behind it that is as long as the screen is wide.
pub(super) fn heading(out: &mut Out, text: &str) {
    if out.look().plain {
        out.paint(Role::Heading, text);
        return out.newline();
    }
    let (line, width) = (out.glyphs().horizontal, out.look().width);
    out.start(Role::Heading);
    out.fill_to(3, line);
    out.byte(b' ');
    out.text(text);
    out.byte(b' ');
    out.fill_to(width, line);
    out.end(Role::Heading);
    out.newline();
}

/// A sentence of the glossary, its values filled in, wrapped and set in by so many columns.
pub(super) fn sentence(
    out: &mut Out,
    glossary: &Glossary,
    key: &str,
    indent: usize,
    value: impl FnMut(&mut Out, &str),
) {
    let text = out.aside(|out| out.sentence(glossary.say(key), value));
    let indent = if out.look().plain { 0 } else { indent };
    out.to_column(indent);
    out.wrapped(&text, |out| out.to_column(indent));
    out.newline();
}

/// Bytes in hexadecimal with blanks between; those at which `marked` says so stand out.
pub(super) fn hex(out: &mut Out, bytes: &[u8], marked: impl Fn(usize) -> bool) {
    for (i, byte) in bytes.iter().enumerate() {
        if i > 0 {
            out.byte(b' ');
        }
        let role = if marked(i) { Role::Bad } else { Role::Dim };
        out.start(role);
        out.hex_bytes(&[*byte]);
        out.end(role);
    }
}
