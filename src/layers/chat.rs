//! The chat's own protocol, the application layer of the demonstration: lines of UTF-8 text, each ended by a newline.
//!
//! ```text
//! +--------+--------+--------+
//! |  'h'   |  'i'   |  '\n'  |
//! +--------+--------+--------+
//! ```

use super::{Bind, Decode, Framing, Protocol, Stream};
use crate::cursor::{Cursor, Read};

fields! {
    CHAT = "chat" Layer;
    TEXT = "chat.text" Text;
    NEWLINE = "chat.newline" Hex;
}

/// The chat.
pub static PROTOCOL: Protocol = Protocol {
    def: &CHAT,
    fields: &[FIELDS],
    binds: &[Bind::TcpPort(8080)],
    decode: Decode::Stream(Stream {
        next,
        decode,
        recognise,
    }),
};

/// A message ends with its newline.
fn next(bytes: &[u8]) -> Framing {
    match bytes.iter().position(|b| *b == b'\n') {
        Some(at) => Framing::Whole(at + 1),
        None => Framing::More,
    }
}

/// Text: no control bytes but the newline, tab and carriage return.
fn recognise(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .all(|b| *b >= b' ' && *b != 0x7f || matches!(b, b'\n' | b'\r' | b'\t'))
}

fn decode(c: &mut Cursor<'_, '_>) -> Read<()> {
    let len = c.left().saturating_sub(1);
    c.bytes(&TEXT, len)?;
    c.u8(&NEWLINE)?;
    Ok(())
}
