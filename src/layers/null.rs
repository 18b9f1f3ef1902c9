//! The loopback of the BSDs (LINKTYPE_NULL and LINKTYPE_LOOP): four bytes that say which address family follows.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------------------------------------------------------+
//! |  Address Family, in the byte order of the host that captured  |
//! +---------------------------------------------------------------+
//! ```

use super::{Bind, Decode, Next, Protocol};
use crate::cursor::{Cursor, Read};
use crate::packet::LinkType;

fields! {
    NULL = "null" Layer;
    FAMILY = "null.family" Host;
}

/// BSD loopback.
pub static PROTOCOL: Protocol = Protocol {
    def: &NULL,
    fields: &[FIELDS],
    binds: &[Bind::Link(LinkType::NULL), Bind::Link(LinkType::LOOP)],
    decode: Decode::Packet(decode),
};

fn decode(c: &mut Cursor<'_, '_>) -> Read<Next> {
    let bytes = c.array::<4>(&FAMILY)?;
    // The BSDs do not agree on the number of IPv6.
    Ok(
        match u32::from_be_bytes(bytes).min(u32::from_le_bytes(bytes)) {
            2 => Next::Payload(Bind::IpVersion(4)),
            24 | 28 | 30 => Next::Payload(Bind::IpVersion(6)),
            _ => Next::Data,
        },
    )
}
