//! The lines of the chat on a person's screen.

use super::printable;
use crate::view::paint::{Out, Role};

/// Writes one line that came from the other side, without its newline: who says it stands out, and what the server says
/// of its own does not. `mark` stands before every line, if there is one.
pub(super) fn line(out: &mut Out, mark: Option<&str>, text: &str) {
    if let Some(mark) = mark {
        out.paint(Role::Warn, mark);
        out.text(" ");
    }
    let text = printable(text);
    match text.split_once(": ") {
        _ if text.starts_with("* ") => out.paint(Role::Dim, &shown(out, &text)),
        Some((name, said)) if super::name::is_good(name) => {
            out.paint(Role::App, &shown(out, name));
            out.text(": ");
            out.text(&shown(out, said));
        }
        _ => out.text(&shown(out, &text)),
    }
    out.newline();
}

/// With `--ascii`, other characters become `\u{…}`: nothing is lost.
fn shown(out: &Out, text: &str) -> String {
    if !out.look().ascii || text.is_ascii() {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        match c.is_ascii() {
            true => shown.push(c),
            false => shown.extend(c.escape_unicode()),
        }
    }
    shown
}

/// What has been written into `out`, which is empty again.
pub(super) fn take(out: &mut Out) -> String {
    let text = String::from_utf8_lossy(out.bytes()).into_owned();
    out.clear();
    text
}
