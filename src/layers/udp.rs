//! The User Datagram Protocol (RFC 768): ports and a checksum, and nothing else.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------------------------------+-------------------------------+
//! |          Source Port          |       Destination Port        |
//! +-------------------------------+-------------------------------+
//! |            Length             |           Checksum            |
//! +-------------------------------+-------------------------------+
//! ```

use std::net::IpAddr;

use super::ipv4::checksum_status;
use super::{Bind, Decode, Next, Protocol, is_bound, is_partial, right_checksum, sum_over};
use crate::cursor::{Cursor, Read};
use crate::packet::Why;

fields! {
    UDP = "udp" Layer;
    SRCPORT = "udp.srcport" Uint;
    DSTPORT = "udp.dstport" Uint;
    LENGTH = "udp.length" Uint;
    CHECKSUM = "udp.checksum" Hex;
    CHECKSUM_STATUS = "udp.checksum.status" Uint;
    CHECKSUM_CALCULATED = "udp.checksum_calculated" Hex;
    // What only the conversation tells.
    STREAM = "udp.stream" Uint;
}

/// User Datagram Protocol.
pub static PROTOCOL: Protocol = Protocol {
    def: &UDP,
    fields: &[FIELDS],
    binds: &[Bind::IpProtocol(17)],
    decode: Decode::Packet(decode),
};

const HEADER_LEN: usize = 8;

fn decode(c: &mut Cursor<'_, '_>) -> Read<Next> {
    let whole = c.ahead();
    let from = c.u16(&SRCPORT)?;
    let to = c.u16(&DSTPORT)?;
    let length = usize::from(c.u16(&LENGTH)?);
    let checksum = c.u16(&CHECKSUM)?;
    let carried = c.context.payload as usize;
    let status = if checksum == 0 {
        // RFC 768: zero is what stands there when there is none; a sum of zero is sent as all ones. With IPv6, whose header
        // has no checksum of its own, there has to be one (RFC 8200, section 8.1).
        match c.context.addresses {
            Some((IpAddr::V6(_), _)) => checksum_status::ILLEGAL,
            _ => checksum_status::NOT_PRESENT,
        }
    } else {
        // The sum covers what the header says is the datagram.
        let datagram = whole.get(..length.min(carried)).unwrap_or(whole);
        let mut context = *c.context;
        context.payload = length.min(carried) as u32;
        match sum_over(&context, 17, datagram).filter(|_| length <= carried) {
            None => checksum_status::UNVERIFIED,
            Some(sum) if sum.ones_complement() == 0 => checksum_status::GOOD,
            Some(sum) => {
                c.note(&CHECKSUM_CALCULATED, right_checksum(sum, checksum));
                if is_partial(&context, 17, checksum) {
                    checksum_status::PARTIAL
                } else {
                    checksum_status::BAD
                }
            }
        }
    };
    c.note(&CHECKSUM_STATUS, status);
    // A length of zero: a jumbogram (RFC 2675, section 4), or what is left to a network card to fill in.
    if length != 0 {
        let data = match length.checked_sub(HEADER_LEN) {
            Some(data) if length <= carried || c.context.quoted => data,
            _ => return Err(c.stop(&LENGTH, Why::Length, length)),
        };
        c.limit(data);
    }
    c.context.datagram = Some((from, to));
    // The lower port is the better known one.
    let ports = [from.min(to), from.max(to)].map(Bind::UdpPort);
    Ok(ports
        .into_iter()
        .find(|port| is_bound(*port))
        .map_or(Next::Data, Next::Payload))
}

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may fail by panicking"
)]
mod tests {
    use super::super::testing::{decoded, hex, with_any_byte_changed};
    use super::*;
    use crate::packet::Fact;

    /// "hi" from A to B.
    const HI: &str = "4500001e0001000040116abb0102030405060708 03e807d0000a7ba56869";

    #[test]
    fn every_field_of_a_header() {
        let d = decoded(&hex(HI));
        assert_eq!(
            d.layer("udp"),
            "udp.srcport 1000\nudp.dstport 2000\nudp.length 10\nudp.checksum 0x7ba5\n"
        );
        assert_eq!(d.layers(), ["ip", "udp", "data"]);
        assert_eq!(d.note("udp.checksum.status"), Some(checksum_status::GOOD));
        assert_eq!(d.context.datagram, Some((1000, 2000)));
        with_any_byte_changed(&hex(HI));
    }

    #[test]
    fn the_checksum_covers_addresses_and_data_and_may_be_missing() {
        let mut bytes = hex(HI);
        bytes[28] ^= 1;
        let d = decoded(&bytes);
        assert_eq!(d.note("udp.checksum.status"), Some(checksum_status::BAD));
        assert_eq!(d.note("udp.checksum_calculated"), Some(Fact::Uint(0x7aa5)));
        bytes[26..28].fill(0);
        let d = decoded(&bytes);
        assert_eq!(
            d.note("udp.checksum.status"),
            Some(checksum_status::NOT_PRESENT)
        );
        let mut six = hex(
            "60000000000a1140 20010db800000000000000000000000a 20010db800000000000000000000000b",
        );
        six.extend(&bytes[20..]);
        let d = decoded(&six);
        assert_eq!(
            d.note("udp.checksum.status"),
            Some(checksum_status::ILLEGAL)
        );
    }

    #[test]
    fn lengths_that_contradict_ip() {
        for (length, stops) in [(7, true), (11, true), (9, false), (0, false)] {
            let mut bytes = hex(HI);
            bytes[25] = length;
            let d = decoded(&bytes);
            let expected = [("udp.length", 28, length.into(), 2, Why::Length)];
            assert_eq!(d.stops() == expected, stops, "{length}: {:?}", d.stops());
        }
        // Of a datagram that says it is shorter than its packet, the rest is no part.
        let mut bytes = hex(HI);
        bytes[25] = 9;
        let d = decoded(&bytes);
        assert_eq!((d.one("data.data"), d.gap()), ("68".into(), b"i".to_vec()));
    }
}
