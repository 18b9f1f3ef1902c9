//! Linux's "cooked" capture: a header that the capture makes up when it listens on all interfaces at once.
//!
//! Version 1 (LINKTYPE_LINUX_SLL, 113):
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------------------------------+-------------------------------+
//! |          Packet Type          |         Hardware Type         |
//! +-------------------------------+-------------------------------+
//! |        Address Length         |                               |
//! +-------------------------------+    Address, filled up with    +
//! |                               zeros to eight bytes            |
//! +                               +-------------------------------+
//! |                               |           Protocol            |
//! +-------------------------------+-------------------------------+
//! ```
//!
//! Version 2 (LINKTYPE_LINUX_SLL2, 276):
//!
//! ```text
//! +-------------------------------+-------------------------------+
//! |           Protocol            |           Reserved            |
//! +-------------------------------+-------------------------------+
//! |                        Interface Index                        |
//! +-------------------------------+---------------+---------------+
//! |         Hardware Type         |  Packet Type  |Address Length |
//! +-------------------------------+---------------+---------------+
//! |         Address, filled up with zeros to eight bytes          |
//! |                                                               |
//! +---------------------------------------------------------------+
//! ```

use super::{Bind, Decode, Next, Protocol, extent};
use crate::cursor::{Cursor, Read};
use crate::packet::{FieldDef, LinkType};

fields! {
    SLL = "sll" Layer;
    PKTTYPE = "sll.pkttype" Uint;
    HATYPE = "sll.hatype" Uint;
    HALEN = "sll.halen" Uint;
    SRC_ETH = "sll.src.eth" Ether;
    SRC_IPV4 = "sll.src.ipv4" Ipv4;
    SRC_OTHER = "sll.src.other" Bytes;
    UNUSED = "sll.unused" Bytes;
    ETYPE = "sll.etype" Hex;
    LTYPE = "sll.ltype" Hex;
    GRETYPE = "sll.gretype" Hex;
    IFINDEX = "sll.ifindex" Uint;
    RESERVED = "sll.reserved" Hex;
    TRAILER = "sll.trailer" Bytes;
}

/// Linux cooked capture, both versions.
pub static PROTOCOL: Protocol = Protocol {
    def: &SLL,
    fields: &[FIELDS],
    binds: &[
        Bind::Link(LinkType::LINUX_SLL),
        Bind::Link(LinkType::LINUX_SLL2),
    ],
    decode: Decode::Packet(decode),
};

/// Numbers of Linux's hardware types.
mod hardware {
    pub(super) const GRE: u16 = 778;
    /// Those whose protocol is no EtherType but something of their own: radiotap, netlink, CAN.
    pub(super) const OTHER: [u16; 3] = [803, 824, 280];
}

fn decode(c: &mut Cursor<'_, '_>) -> Read<Next> {
    match c.context.link {
        LinkType::LINUX_SLL2 => second(c),
        _ => first(c),
    }
}

fn first(c: &mut Cursor<'_, '_>) -> Read<Next> {
    c.u16(&PKTTYPE)?;
    let hardware = c.u16(&HATYPE)?;
    let len = c.u16(&HALEN)?;
    address(c, len)?;
    let next = protocol(c, hardware)?;
    behind(c, next);
    Ok(next)
}

fn second(c: &mut Cursor<'_, '_>) -> Read<Next> {
    let hardware = c.ahead().get(8..10).map(<[u8; 2]>::try_from);
    let hardware = u16::from_be_bytes(hardware.and_then(Result::ok).unwrap_or_default());
    let next = protocol(c, hardware)?;
    c.u16(&RESERVED)?;
    c.u32(&IFINDEX)?;
    c.u16(&HATYPE)?;
    c.u8(&PKTTYPE)?;
    let len = c.u8(&HALEN)?;
    address(c, len.into())?;
    behind(c, next);
    Ok(next)
}

/// Of the eight bytes for it, so many are the address; a longer one is cut off.
fn address(c: &mut Cursor<'_, '_>, len: u16) -> Read<()> {
    let used = usize::from(len).min(8);
    match used {
        0 => {}
        4 => drop(c.bytes(&SRC_IPV4, 4)?),
        6 => drop(c.bytes(&SRC_ETH, 6)?),
        _ => drop(c.bytes(&SRC_OTHER, used)?),
    }
    if used < 8 {
        c.bytes(&UNUSED, 8 - used)?;
    }
    Ok(())
}

/// An EtherType, as a rule; small numbers are Linux's own (4: an 802.3 frame without a type).
fn protocol(c: &mut Cursor<'_, '_>, hardware: u16) -> Read<Next> {
    let number = c.ahead().get(..2).map(<[u8; 2]>::try_from);
    let number = u16::from_be_bytes(number.and_then(Result::ok).unwrap_or_default());
    let def: &'static FieldDef = match hardware {
        hardware::GRE => &GRETYPE,
        _ if hardware::OTHER.contains(&hardware) || number < 0x0600 => &LTYPE,
        _ => &ETYPE,
    };
    c.u16(def)?;
    Ok(match def.key {
        "sll.ltype" => Next::Data,
        _ => Next::Payload(Bind::EtherType(number)),
    })
}

/// What the link carried behind the packet.
fn behind(c: &mut Cursor<'_, '_>, next: Next) {
    if let Next::Payload(bind) = next
        && let Some(len) = extent(bind, c.ahead())
    {
        let extra = c.left().saturating_sub(len);
        c.tail(&[(&TRAILER, extra)]);
    }
}
