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
        super::ethernet::behind(c, len, &TRAILER);
    }
}

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may fail by panicking"
)]
mod tests {
    use super::super::testing::{hex, on, with_any_byte_changed_on};
    use super::*;
    use crate::packet::Why;

    const PACKET: &str = "4500001e 00010000 40116abb 01020304 05060708 03e807d0 000a7ba5 6869";

    #[test]
    fn both_versions_say_the_same() {
        let first = "0004 0001 0006 02000000000a 0000 0800".to_owned() + PACKET;
        let d = on(LinkType::LINUX_SLL, &hex(&first));
        assert_eq!(d.layers(), ["sll", "ip", "udp", "data"]);
        assert_eq!(
            d.layer("sll"),
            "sll.pkttype 4\nsll.hatype 1\nsll.halen 6\nsll.src.eth 02:00:00:00:00:0a\n\
             sll.unused 0000\nsll.etype 0x800\n"
        );
        let second = "0800 0000 00000003 0001 04 06 02000000000a 0000".to_owned() + PACKET;
        let d = on(LinkType::LINUX_SLL2, &hex(&second));
        assert_eq!(d.layers(), ["sll", "ip", "udp", "data"]);
        assert_eq!(
            d.layer("sll"),
            "sll.etype 0x800\nsll.reserved 0x0\nsll.ifindex 3\nsll.hatype 1\nsll.pkttype 4\n\
             sll.halen 6\nsll.src.eth 02:00:00:00:00:0a\nsll.unused 0000\n"
        );
        with_any_byte_changed_on(LinkType::LINUX_SLL, &hex(&first)[..40]);
        with_any_byte_changed_on(LinkType::LINUX_SLL2, &hex(&second)[..40]);
    }

    #[test]
    fn addresses_and_protocols_of_other_kinds() {
        let d = on(
            LinkType::LINUX_SLL,
            &hex("0003 fffe 0000 0000000000000000 0004 abcd"),
        );
        assert_eq!(
            (d.one("sll.unused").len(), d.one("sll.ltype")),
            (16, "0x4".into())
        );
        assert_eq!(d.layers(), ["sll", "data"]);
        let d = on(
            LinkType::LINUX_SLL,
            &hex("0000 030a 0004 01020304 00000000 0800"),
        );
        assert_eq!(
            (d.one("sll.src.ipv4"), d.one("sll.gretype")),
            ("1.2.3.4".into(), "0x800".into())
        );
        let d = on(
            LinkType::LINUX_SLL,
            &hex("0000 0020 0014 0102030405060708 0800"),
        );
        assert_eq!(
            d.one("sll.src.other"),
            "0102030405060708",
            "twelve were cut off"
        );
        let d = on(LinkType::LINUX_SLL2, &hex("0800 0000 0000"));
        assert_eq!(d.stops(), [("sll.ifindex", 4, 4, 2, Why::Short)]);
    }
}
