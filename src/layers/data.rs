//! Bytes that no protocol claims. They are shown, not hidden.

use super::{Decode, Next, Protocol};
use crate::cursor::{Cursor, Read};

fields! {
    DATA = "data" Layer;
    DATA_DATA = "data.data" Bytes;
}

/// Plain bytes.
pub static PROTOCOL: Protocol = Protocol {
    def: &DATA,
    fields: &[FIELDS],
    binds: &[],
    decode: Decode::Packet(decode),
};

fn decode(c: &mut Cursor<'_, '_>) -> Read<Next> {
    c.rest(&DATA_DATA);
    Ok(Next::End)
}
