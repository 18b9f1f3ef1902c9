//! Ethernet (IEEE 802.3, clause 3.2): the link's own header, and what fills the frame up behind the packet.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------------------------------------------------------+
//! |                                                               |
//! +         Destination           +-------------------------------+
//! |                               |                               |
//! +-------------------------------+            Source             +
//! |                                                               |
//! +-------------------------------+-------------------------------+
//! |        Type or Length         |           Packet ...          |
//! +-------------------------------+-------------------------------+
//! |   ... Padding up to 60 bytes, anything else behind the packet |
//! +---------------------------------------------------------------+
//! ```

use super::{Bind, Decode, Next, Protocol, extent};
use crate::cursor::{Cursor, Read};
use crate::packet::{FieldDef, LinkType, Why};

fields! {
    ETH = "eth" Layer;
    DST = "eth.dst" Ether;
    SRC = "eth.src" Ether;
    TYPE = "eth.type" Hex;
    LEN = "eth.len" Uint;
    PADDING = "eth.padding" Bytes;
    TRAILER = "eth.trailer" Bytes;
    FCS = "eth.fcs" Hex;
}

/// Ethernet.
pub static PROTOCOL: Protocol = Protocol {
    def: &ETH,
    fields: &[FIELDS],
    binds: &[Bind::Link(LinkType::ETHERNET)],
    decode: Decode::Packet(decode),
};

/// From here on the number is a type; up to [`MAX_LENGTH`] it is a length (IEEE 802.3, clause 3.2.6).
const MIN_TYPE: u16 = 0x0600;
const MAX_LENGTH: u16 = 1500;
/// The shortest frame, without the frame check sequence; whoever has less to send fills it up.
const MIN_FRAME: usize = 60;
const FCS_LEN: usize = 4;

fn decode(c: &mut Cursor<'_, '_>) -> Read<Next> {
    c.array::<6>(&DST)?;
    c.array::<6>(&SRC)?;
    type_or_length(c, &TYPE, &LEN, &TRAILER)
}

/// What follows: the EtherType, or in the older form the length of what follows. Also takes off what the link added at
/// the end, as far as it can be told where that begins.
pub(super) fn type_or_length(
    c: &mut Cursor<'_, '_>,
    kind: &'static FieldDef,
    length: &'static FieldDef,
    trailer: &'static FieldDef,
) -> Read<Next> {
    let number = match c.ahead().get(..2).map(<[u8; 2]>::try_from) {
        Some(Ok(number)) => u16::from_be_bytes(number),
        _ => MIN_TYPE,
    };
    if number >= MIN_TYPE {
        let bind = Bind::EtherType(c.u16(kind)?);
        if let Some(len) = extent(bind, c.ahead()) {
            behind(c, len, trailer);
        }
        return Ok(Next::Payload(bind));
    }
    c.u16(length)?;
    if number > MAX_LENGTH {
        return Err(c.stop(length, Why::Value, 0));
    }
    let len = usize::from(number);
    if len > c.left() {
        c.record(c.missing(length, len));
    }
    behind(c, len, trailer);
    Ok(Next::Data)
}

/// Labels what stands behind the packet: zeros that fill the frame up to the shortest there may be, whatever else there
/// is, and the frame check sequence where the capture kept it.
pub(super) fn behind(c: &mut Cursor<'_, '_>, packet: usize, trailer: &'static FieldDef) {
    let left = c.left();
    let frame = c.position() + left;
    let Some(extra) = left.checked_sub(packet).filter(|extra| *extra > 0) else {
        return;
    };
    let (behind, is_ethernet) = (
        c.ahead().get(packet..).unwrap_or(&[]),
        core::ptr::eq(trailer, &raw const TRAILER),
    );
    let fill = MIN_FRAME.saturating_sub(frame - extra).min(extra);
    let zeros = behind.iter().take(fill).all(|byte| *byte == 0);
    let padding = if frame >= MIN_FRAME && zeros { fill } else { 0 };
    let rest = extra - padding;
    let fcs = if is_ethernet && frame >= MIN_FRAME + FCS_LEN && rest >= FCS_LEN {
        FCS_LEN
    } else {
        0
    };
    c.tail(&[(&PADDING, padding), (trailer, rest - fcs), (&FCS, fcs)]);
}

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may fail by panicking"
)]
mod tests {
    use super::super::testing::{hex, kept, on, with_any_byte_changed_on};
    use super::*;

    const HEADER: &str = "02000000000b 02000000000a";
    /// A datagram of 30 bytes from A to B.
    const PACKET: &str = "4500001e 00010000 40116abb 01020304 05060708 03e807d0 000a7ba5 6869";

    fn frame(kind: &str, behind: &str) -> Vec<u8> {
        hex(&(HEADER.to_owned() + kind + PACKET + behind))
    }

    #[test]
    fn every_field_of_a_header() {
        let d = on(LinkType::ETHERNET, &frame("0800", ""));
        assert_eq!(d.layers(), ["eth", "ip", "udp", "data"]);
        assert_eq!(
            d.layer("eth"),
            "eth.dst 02:00:00:00:00:0b\neth.src 02:00:00:00:00:0a\neth.type 0x800\n"
        );
        assert!(d.stops().is_empty() && d.gap().is_empty());
    }

    #[test]
    fn what_stands_behind_the_packet_is_told_apart() {
        let zeros = "00".repeat(16);
        for (behind, padding, trailer, fcs) in [
            (zeros.clone(), 16, 0, 0),
            ("01".repeat(16), 0, 16, 0),
            ("00".repeat(2), 0, 2, 0),
            (zeros.clone() + "aabbccdd", 16, 0, 4),
            (zeros + "010203040506 aabbccdd", 16, 6, 4),
        ] {
            let d = on(LinkType::ETHERNET, &frame("0800", &behind));
            let len = |key| d.one(key).len() / 2;
            assert_eq!((len("eth.padding"), len("eth.trailer")), (padding, trailer));
            assert_eq!(d.one("eth.fcs").is_empty(), fcs == 0, "{behind}");
            assert_eq!(d.one("data.data"), "6869", "the packet ends where it says");
            assert!(d.stops().is_empty() && d.gap().is_empty());
        }
    }

    #[test]
    fn a_small_number_is_a_length() {
        let d = on(
            LinkType::ETHERNET,
            &hex(&(HEADER.to_owned() + "0003 424203" + &"00".repeat(43))),
        );
        assert_eq!(
            (d.one("eth.len"), d.one("data.data")),
            ("3".into(), "424203".into())
        );
        assert_eq!(d.one("eth.padding").len() / 2, 43);
        let d = on(
            LinkType::ETHERNET,
            &hex(&(HEADER.to_owned() + "05dd 424203")),
        );
        assert_eq!(d.stops(), [("eth.len", 14, 0, 3, Why::Value)]);
        let d = on(
            LinkType::ETHERNET,
            &hex(&(HEADER.to_owned() + "0010 424203")),
        );
        assert_eq!(d.stops(), [("eth.len", 14, 16, 3, Why::Short)]);
        assert_eq!(d.one("data.data"), "424203");
    }

    #[test]
    fn a_header_cut_off_says_what_is_missing() {
        let whole = frame("0800", "");
        for (len, key, at) in [(5, "eth.dst", 0), (11, "eth.src", 6), (13, "eth.type", 12)] {
            let d = kept(LinkType::ETHERNET, &whole[..len], whole.len());
            let stop = d.stops()[0];
            assert_eq!((stop.0, stop.1, stop.4), (key, at, Why::CutOff));
        }
    }

    #[test]
    fn tags_stand_between_type_and_packet() {
        let d = on(
            LinkType::ETHERNET,
            &frame("88a8 2005 8100 7006 0800", &"00".repeat(12)),
        );
        assert_eq!(
            d.layers(),
            ["eth", "ieee8021ad", "vlan", "ip", "udp", "data"]
        );
        assert_eq!(
            d.layer("ieee8021ad"),
            "ieee8021ad.priority 1\nieee8021ad.dei 0\nieee8021ad.id 5\nieee8021ah.etype 0x8100\n"
        );
        assert_eq!(
            d.layer("vlan"),
            "vlan.priority 3\nvlan.dei 1\nvlan.id 6\nvlan.etype 0x800\n\
             eth.padding 0000000000000000\nvlan.trailer 00000000\n"
        );
    }

    #[test]
    fn any_byte_may_be_anything() {
        with_any_byte_changed_on(
            LinkType::ETHERNET,
            &frame("8100 7006 0800", &"00".repeat(12)),
        );
    }
}
