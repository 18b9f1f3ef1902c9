//! The Address Resolution Protocol (RFC 826): which link address belongs to which IP address.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------------------------------+-------------------------------+
//! |         Hardware Type         |         Protocol Type         |
//! +---------------+---------------+-------------------------------+
//! | Hardware Size | Protocol Size |            Opcode             |
//! +---------------+---------------+-------------------------------+
//! |   Sender: hardware address, then protocol address             |
//! +---------------------------------------------------------------+
//! |   Target: hardware address, then protocol address             |
//! +---------------------------------------------------------------+
//! ```

use super::{Bind, Decode, Next, Protocol};
use crate::cursor::{Cursor, Read};
use crate::packet::{Fact, FieldDef};

fields! {
    ARP = "arp" Layer;
    HW_TYPE = "arp.hw.type" Uint;
    PROTO_TYPE = "arp.proto.type" Hex;
    HW_SIZE = "arp.hw.size" Uint;
    PROTO_SIZE = "arp.proto.size" Uint;
    OPCODE = "arp.opcode" Uint;
    SRC_HW_MAC = "arp.src.hw_mac" Ether;
    SRC_HW = "arp.src.hw" Bytes;
    SRC_PROTO_IPV4 = "arp.src.proto_ipv4" Ipv4;
    SRC_PROTO = "arp.src.proto" Bytes;
    DST_HW_MAC = "arp.dst.hw_mac" Ether;
    DST_HW = "arp.dst.hw" Bytes;
    DST_PROTO_IPV4 = "arp.dst.proto_ipv4" Ipv4;
    DST_PROTO = "arp.dst.proto" Bytes;
    ISGRATUITOUS = "arp.isgratuitous" Bool;
    ISPROBE = "arp.isprobe" Bool;
    ISANNOUNCEMENT = "arp.isannouncement" Bool;
}

/// Address Resolution Protocol, and the Reverse ARP of RFC 903, which has the same form.
pub static PROTOCOL: Protocol = Protocol {
    def: &ARP,
    fields: &[FIELDS],
    binds: &[Bind::EtherType(0x0806), Bind::EtherType(0x8035)],
    decode: Decode::Sized(decode, extent),
};

/// The values of `arp.opcode` that ARP itself has.
pub mod opcode {
    /// Who has this address?
    pub const REQUEST: u16 = 1;
    /// I have.
    pub const REPLY: u16 = 2;
}

/// Eight bytes, and two addresses of each kind.
fn extent(bytes: &[u8]) -> Option<usize> {
    let (hw, proto) = (*bytes.get(4)?, *bytes.get(5)?);
    Some(8 + 2 * (usize::from(hw) + usize::from(proto)))
}

fn decode(c: &mut Cursor<'_, '_>) -> Read<Next> {
    let hw_type = c.u16(&HW_TYPE)?;
    let proto_type = c.u16(&PROTO_TYPE)?;
    let hw = usize::from(c.u8(&HW_SIZE)?);
    let proto = usize::from(c.u8(&PROTO_SIZE)?);
    let opcode = c.u16(&OPCODE)?;
    // 6 is what IEEE 802 networks other than Ethernet use, with the same addresses.
    let mac = matches!(hw_type, 1 | 6) && hw == 6;
    let ipv4 = proto_type == 0x0800 && proto == 4;
    let address = |c: &mut Cursor<'_, '_>, is_known, known, other, len| {
        let def: &'static FieldDef = if is_known { known } else { other };
        match len {
            0 => Ok([0; 4]),
            _ => c.bytes(def, len).map(first_four),
        }
    };
    address(c, mac, &SRC_HW_MAC, &SRC_HW, hw)?;
    let sender = address(c, ipv4, &SRC_PROTO_IPV4, &SRC_PROTO, proto)?;
    address(c, mac, &DST_HW_MAC, &DST_HW, hw)?;
    let target = address(c, ipv4, &DST_PROTO_IPV4, &DST_PROTO, proto)?;
    // RFC 5227: a probe asks whether an address is taken before one takes it, an announcement says that one has it.
    let request = opcode == opcode::REQUEST;
    if (request || opcode == opcode::REPLY) && ipv4 {
        if sender == target {
            c.note(&ISGRATUITOUS, Fact::Uint(1));
            if request {
                c.note(&ISANNOUNCEMENT, Fact::Uint(1));
            }
        } else if request && sender == [0; 4] {
            c.note(&ISPROBE, Fact::Uint(1));
        }
    }
    c.limit(0);
    Ok(Next::End)
}

fn first_four(bytes: &[u8]) -> [u8; 4] {
    let mut four = [0; 4];
    for (place, byte) in four.iter_mut().zip(bytes) {
        *place = *byte;
    }
    four
}

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may fail by panicking"
)]
mod tests {
    use super::super::testing::{hex, on, with_any_byte_changed_on};
    use crate::packet::{Fact, LinkType, Why};

    fn frame(text: &str) -> Vec<u8> {
        hex(&("ffffffffffff 02000000000a 0806".to_owned() + text))
    }

    const REQUEST: &str = "0001 0800 06 04 0001 02000000000a 01020304 000000000000 05060708";

    #[test]
    fn every_field_of_a_request() {
        let d = on(LinkType::ETHERNET, &frame(REQUEST));
        assert_eq!(
            d.layer("arp"),
            "arp.hw.type 1\narp.proto.type 0x800\narp.hw.size 6\narp.proto.size 4\narp.opcode 1\n\
             arp.src.hw_mac 02:00:00:00:00:0a\narp.src.proto_ipv4 1.2.3.4\n\
             arp.dst.hw_mac 00:00:00:00:00:00\narp.dst.proto_ipv4 5.6.7.8\n"
        );
        assert_eq!(d.note("arp.isgratuitous"), None);
    }

    #[test]
    fn addresses_of_other_kinds_are_bytes() {
        let d = on(
            LinkType::ETHERNET,
            &frame("0007 0800 02 03 0001 aabb 010203 0000 040506"),
        );
        assert_eq!(
            d.layer("arp").split_once("opcode 1\n").unwrap().1,
            "arp.src.hw aabb\narp.src.proto 010203\narp.dst.hw 0000\narp.dst.proto 040506\n"
        );
    }

    #[test]
    fn what_nobody_asked_for_is_noted() {
        for (opcode, sender, target, notes) in [
            (1, "05060708", "05060708", [true, false, true]),
            (2, "05060708", "05060708", [true, false, false]),
            (1, "00000000", "05060708", [false, true, false]),
            (2, "00000000", "05060708", [false, false, false]),
            (3, "05060708", "05060708", [false, false, false]),
        ] {
            let d = on(
                LinkType::ETHERNET,
                &frame(&format!(
                    "0001 0800 06 04 000{opcode} 02000000000a {sender} 000000000000 {target}"
                )),
            );
            let noted = ["arp.isgratuitous", "arp.isprobe", "arp.isannouncement"]
                .map(|key| d.note(key) == Some(Fact::Uint(1)));
            assert_eq!(noted, notes, "{opcode} {sender} {target}");
        }
    }

    #[test]
    fn sizes_that_do_not_fit_stop_it() {
        let d = on(LinkType::ETHERNET, &frame("0001 0800 ff ff 0001 aabb"));
        assert_eq!(d.stops(), [("arp.src.hw", 22, 255, 2, Why::Short)]);
        assert_eq!(d.gap(), hex("aabb"));
        with_any_byte_changed_on(LinkType::ETHERNET, &frame(REQUEST));
    }
}
