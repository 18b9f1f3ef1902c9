//! How the chat ended, and what each side can know about it.

use super::name;
use super::watch::{Watch, heading, sentence};
use crate::chat::{ChatError, ChatEvent};
use crate::layers::{tcp, tls};
use crate::packet::{Event, Segment, Time};
use crate::text::Glossary;
use crate::view::paint::Out;
use crate::view::words;
use crate::wire::fault::Deed;
use crate::wire::{self, Happening, Host, Packet};

/// What is known at one host, from what came there.
#[derive(Debug, Default)]
struct Side {
    said: Vec<String>,
    heard: Vec<String>,
    /// The other side's goodbye was heard.
    goodbye: bool,
    failure: Option<ChatError>,
    /// TCP ended in another way than by a FIN.
    broken: bool,
    /// The packets in which the other side's close_notify, FIN and RST came, the first of each.
    close_notify: Option<u64>,
    fin: Option<u64>,
    rst: Option<u64>,
}

/// Looks at the end.
#[derive(Debug)]
pub(super) struct Ending {
    /// There is no TLS.
    plain: bool,
    sides: [Side; 2],
    /// The packet that somebody on the path made, and what it is.
    forged: Option<(u64, Deed)>,
}

impl Ending {
    pub(super) fn new(plain: bool) -> Self {
        Self {
            plain,
            sides: <[Side; 2]>::default(),
            forged: None,
        }
    }

    fn side(&mut self, host: Host) -> &mut Side {
        let [a, b] = &mut self.sides;
        if host == Host::A { a } else { b }
    }
}

impl Watch for Ending {
    fn packet(&mut self, packet: &Packet, event: &Event<'_>) {
        let id = packet.id;
        if let Some(touch) = packet.touched.iter().find(|touch| touch.deed.is_made()) {
            self.forged = Some((id, touch.deed));
        }
        if packet.arrives.is_none() {
            return;
        }
        let to = self.side(packet.from.other());
        let flags = words::uint(event, &tcp::FLAGS).unwrap_or(0) as u16;
        if flags & Segment::FIN != 0 {
            to.fin.get_or_insert(id);
        }
        if flags & Segment::RST != 0 {
            to.rst.get_or_insert(id);
        }
        if words::uint(event, &tls::alert::DESC) == Some(0) {
            to.close_notify.get_or_insert(id);
        }
    }

    fn chat(&mut self, host: Host, _: Time, what: &Happening) {
        let side = self.side(host);
        match what {
            Happening::Says(text) => side.said.push(text.clone()),
            Happening::Hears(ChatEvent::Said(line)) => side.heard.push(line.text.clone()),
            Happening::Hears(ChatEvent::Goodbye) => side.goodbye = true,
            Happening::Ended(ending) => side.broken = *ending != wire::Ending::Fin,
            Happening::Fails(error) => side.failure = Some(error.clone()),
            _ => {}
        }
    }

    fn end(&self, out: &mut Out, glossary: &Glossary) {
        heading(out, glossary.say("say.end.title"));
        for (host, side) in [Host::A, Host::B].into_iter().zip(&self.sides) {
            let (a, b) = (name(host), name(host.other()));
            let fill = |out: &mut Out, word: &str| match word {
                "a" => out.text(a),
                "b" => out.text(b),
                "said" => quoted(out, glossary, &side.said),
                "heard" => quoted(out, glossary, &side.heard),
                "close" => out.number(side.close_notify.unwrap_or(0)),
                "fin" => out.number(side.fin.unwrap_or(0)),
                "rst" => out.number(side.rst.unwrap_or(0)),
                "error" => {
                    if let Some(error) = &side.failure {
                        out.text(&error.to_string());
                    }
                }
                _ => {}
            };
            sentence(out, glossary, "say.end.side", 0, fill);
            let key = match (&side.failure, side.goodbye) {
                (Some(ChatError::Truncated { .. }), _) if side.broken => "say.end.broken",
                (Some(ChatError::Truncated { .. }), _) => "say.end.truncated",
                (Some(_), _) => "say.end.failed",
                (None, true) if self.plain => "say.end.in_clear",
                (None, true) => "say.end.authenticated",
                (None, false) => "say.end.nothing",
            };
            sentence(out, glossary, key, 3, fill);
        }
        let Some((id, deed)) = self.forged else {
            return;
        };
        let key = match deed {
            Deed::ForgedRst => "say.end.truth.rst",
            _ => "say.end.truth.fin",
        };
        sentence(out, glossary, key, 0, |out, _| out.number(id));
    }
}

/// Texts in quotation marks, made harmless.
fn quoted(out: &mut Out, glossary: &Glossary, texts: &[String]) {
    if texts.is_empty() {
        out.text(glossary.say("say.end.no_text"));
    }
    for (i, text) in texts.iter().enumerate() {
        if i > 0 {
            out.ascii(b", ");
        }
        out.byte(b'"');
        if !out.wire(text.as_bytes(), 40) {
            out.text("…");
        }
        out.byte(b'"');
    }
}
