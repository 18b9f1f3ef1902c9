//! The Internet Protocol, version 6 (RFC 8200).

use super::{Bind, Decode, Next, Protocol};
use crate::cursor::{Cursor, Read};

fields! {
    IPV6 = "ipv6" Layer;
    VERSION = "ipv6.version" Uint;
}

/// Internet Protocol, version 6.
pub static PROTOCOL: Protocol = Protocol {
    def: &IPV6,
    fields: &[FIELDS],
    binds: &[Bind::IpVersion(6), Bind::IpProtocol(41)],
    decode: Decode::Packet(decode),
};

fn decode(c: &mut Cursor<'_, '_>) -> Read<Next> {
    c.bits(&VERSION, 4)?;
    Ok(Next::Data)
}
