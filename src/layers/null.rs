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

    #[test]
    fn the_family_is_read_in_either_order() {
        let packet = "4500001e 00010000 40116abb 01020304 05060708 03e807d0 000a7ba5 6869";
        for (family, number, next) in [
            ("02000000", "2", "ip"),
            ("00000002", "2", "ip"),
            ("1e000000", "30", "ipv6"),
            ("0000001c", "28", "ipv6"),
            ("07000000", "7", "data"),
        ] {
            for link in [LinkType::NULL, LinkType::LOOP] {
                let d = on(link, &hex(&(family.to_owned() + packet)));
                assert_eq!(d.one("null.family"), number);
                assert_eq!(d.layers()[..2], ["null", next]);
            }
        }
        let d = on(LinkType::NULL, &hex("0200"));
        assert_eq!(d.stops(), [("null.family", 0, 4, 2, Why::Short)]);
        with_any_byte_changed_on(LinkType::NULL, &hex(&("02000000".to_owned() + packet)));
    }

    #[test]
    fn every_number_for_raw_ip_means_ip() {
        let packet = hex("4500001e 00010000 40116abb 01020304 05060708 03e807d0 000a7ba5 6869");
        for number in [12, 14, 101, 228, 229] {
            assert_eq!(on(LinkType(number), &packet).layers()[0], "ip");
        }
        assert_eq!(
            on(LinkType(147), &packet).layers(),
            ["data"],
            "nobody knows it"
        );
    }
}
