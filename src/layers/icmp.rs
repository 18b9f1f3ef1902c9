//! The Internet Control Message Protocol (RFC 792): IPv4's own messages, of errors and for testing.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------+---------------+-------------------------------+
//! |     Type      |     Code      |           Checksum            |
//! +---------------+---------------+-------------------------------+
//! |           four bytes whose meaning depends on the type        |
//! +---------------------------------------------------------------+
//! |     of an error: the beginning of the packet it is about      |
//! +---------------------------------------------------------------+
//! ```

use etherparse::checksum::Sum16BitWords;

use super::ipv4::checksum_status;
use super::{Bind, Decode, Next, Protocol, right_checksum};
use crate::cursor::{Cursor, Read};

fields! {
    ICMP = "icmp" Layer;
    TYPE = "icmp.type" Uint;
    CODE = "icmp.code" Uint;
    CHECKSUM = "icmp.checksum" Hex;
    CHECKSUM_STATUS = "icmp.checksum.status" Uint;
    CHECKSUM_CALCULATED = "icmp.checksum_calculated" Hex;
    IDENT = "icmp.ident" Uint;
    SEQ = "icmp.seq" Uint;
    UNUSED = "icmp.unused" Bytes;
    LENGTH = "icmp.length" Uint;
    MTU = "icmp.mtu" Uint;
    POINTER = "icmp.pointer" Uint;
    REDIR_GW = "icmp.redir_gw" Ipv4;
    NUM_ADDRS = "icmp.num_addrs" Uint;
    ADDR_ENTRY_SIZE = "icmp.addr_entry_size" Uint;
    LIFETIME = "icmp.lifetime" Uint;
    ROUTER_ADDRESS = "icmp.router_address" Ipv4;
    PREF_LEVEL = "icmp.pref_level" Uint;
    ORIGINATE_TIMESTAMP = "icmp.originate_timestamp" Uint;
    RECEIVE_TIMESTAMP = "icmp.receive_timestamp" Uint;
    TRANSMIT_TIMESTAMP = "icmp.transmit_timestamp" Uint;
    ADDRESS_MASK = "icmp.address_mask" Ipv4;
    EXT = "icmp.ext" Bytes;
}

/// Internet Control Message Protocol.
pub static PROTOCOL: Protocol = Protocol {
    def: &ICMP,
    fields: &[FIELDS],
    binds: &[Bind::IpProtocol(1)],
    decode: Decode::Packet(decode),
};

/// The types of messages that are told apart elsewhere, too.
pub mod kind {
    /// An answer to [`ECHO`].
    pub const ECHO_REPLY: u8 = 0;
    /// A packet could not be delivered.
    pub const UNREACHABLE: u8 = 3;
    /// A packet came, but there is a better way.
    pub const REDIRECT: u8 = 5;
    /// Are you there?
    pub const ECHO: u8 = 8;
    /// A packet was on its way for too long.
    pub const TIME_EXCEEDED: u8 = 11;
}

fn decode(c: &mut Cursor<'_, '_>) -> Read<Next> {
    let whole = c.ahead();
    let kind = c.u8(&TYPE)?;
    let code = c.u8(&CODE)?;
    let checksum = c.u16(&CHECKSUM)?;
    let complete = c.context.payload as usize <= whole.len();
    if complete {
        let sum = Sum16BitWords::new().add_slice(whole);
        if sum.ones_complement() == 0 {
            c.note(&CHECKSUM_STATUS, checksum_status::GOOD);
        } else {
            c.note(&CHECKSUM_STATUS, checksum_status::BAD);
            c.note(&CHECKSUM_CALCULATED, right_checksum(sum, checksum));
        }
    } else {
        c.note(&CHECKSUM_STATUS, checksum_status::UNVERIFIED);
    }
    match kind {
        kind::ECHO_REPLY | kind::ECHO => {
            c.u16(&IDENT)?;
            c.u16(&SEQ)?;
            Ok(Next::Data)
        }
        // RFC 1191, section 4: the largest packet that fits, in what was unused.
        kind::UNREACHABLE if code == 4 => {
            c.bytes(&UNUSED, 2)?;
            c.u16(&MTU)?;
            Ok(quote(c, 0))
        }
        kind::UNREACHABLE | kind::TIME_EXCEEDED => {
            let length = unused(c)?;
            Ok(quote(c, length))
        }
        // Source quench (RFC 6633 has done away with it).
        4 => {
            c.bytes(&UNUSED, 4)?;
            Ok(quote(c, 0))
        }
        kind::REDIRECT => {
            c.array::<4>(&REDIR_GW)?;
            Ok(quote(c, 0))
        }
        // Parameter problem.
        12 => {
            c.u8(&POINTER)?;
            let length = c.u8(&LENGTH)?;
            c.bytes(&UNUSED, 2)?;
            Ok(quote(c, length))
        }
        // Router advertisement (RFC 1256, section 3).
        9 => {
            c.u8(&NUM_ADDRS)?;
            c.u8(&ADDR_ENTRY_SIZE)?;
            c.u16(&LIFETIME)?;
            c.until_end(|c| {
                c.array::<4>(&ROUTER_ADDRESS)?;
                c.u32(&PREF_LEVEL).map(drop)
            })?;
            Ok(Next::End)
        }
        // Router solicitation.
        10 => {
            c.bytes(&UNUSED, 4)?;
            Ok(Next::Data)
        }
        // Timestamp and timestamp reply.
        13 | 14 => {
            c.u16(&IDENT)?;
            c.u16(&SEQ)?;
            c.u32(&ORIGINATE_TIMESTAMP)?;
            c.u32(&RECEIVE_TIMESTAMP)?;
            c.u32(&TRANSMIT_TIMESTAMP)?;
            Ok(Next::Data)
        }
        // Address mask request and reply (RFC 950).
        17 | 18 => {
            c.u16(&IDENT)?;
            c.u16(&SEQ)?;
            c.array::<4>(&ADDRESS_MASK)?;
            Ok(Next::Data)
        }
        _ => Ok(Next::Data),
    }
}

/// Four bytes of which the second may say how long the quoted packet is, in fours (RFC 4884, section 4).
fn unused(c: &mut Cursor<'_, '_>) -> Read<u8> {
    if c.ahead().get(1).is_none_or(|length| *length == 0) {
        c.bytes(&UNUSED, 4)?;
        return Ok(0);
    }
    c.bytes(&UNUSED, 1)?;
    let length = c.u8(&LENGTH)?;
    c.bytes(&UNUSED, 2)?;
    Ok(length)
}

/// The packet that the message is about, as much of it as is quoted; behind it what the error adds (RFC 4884, section 7).
fn quote(c: &mut Cursor<'_, '_>, fours: u8) -> Next {
    let len = usize::from(fours) * 4;
    if len > 0 {
        let extra = c.left().saturating_sub(len);
        c.tail(&[(&EXT, extra)]);
    }
    c.context.quoted = true;
    Next::Payload(Bind::IpVersion(4))
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
    use crate::packet::Why;

    const ECHO: &str = "450000200001000040016ac90102030405060708080006fa1234000170696e67";
    const PORT: &str = "450000380001000040016ab1050607080102030403037595000000004500001e0001000040116abb010203040506070803e807d0000a7ba5";
    const TOO_BIG: &str = "450000380001000040016ab105060708010203040304701c000005784500001e0001000040116abb010203040506070803e807d0000a7ba5";
    const TOO_LONG: &str = "450000380001000040016ab105060708010203040b0034a800000000450000280001000040066abc0102030405060708c000005000000007";
    const WITH_LABELS: &str = "450000480001000040016aa105060708010203040b00119300080000450000280001000040066abc0102030405060708c000005000000007000000002000ffff0008010100010203";

    #[test]
    fn an_echo_and_what_it_carries() {
        let d = decoded(&hex(ECHO));
        assert_eq!(
            d.layer("icmp"),
            "icmp.type 8\nicmp.code 0\nicmp.checksum 0x6fa\nicmp.ident 4660\nicmp.seq 1\n"
        );
        assert_eq!(d.layers(), ["ip", "icmp", "data"]);
        assert_eq!(d.note("icmp.checksum.status"), Some(checksum_status::GOOD));
        let mut bytes = hex(ECHO);
        bytes[30] ^= 0x80;
        assert_eq!(
            decoded(&bytes).note("icmp.checksum.status"),
            Some(checksum_status::BAD)
        );
        with_any_byte_changed(&hex(ECHO));
    }

    #[test]
    fn an_error_quotes_the_packet_it_is_about() {
        let d = decoded(&hex(PORT));
        assert_eq!(d.layers(), ["ip", "icmp", "ip", "udp"]);
        assert_eq!(d.all("ip.src"), ["5.6.7.8", "1.2.3.4"]);
        assert_eq!(d.one("udp.dstport"), "2000");
        assert!(
            d.stops().is_empty(),
            "a quote may end anywhere: {:?}",
            d.stops()
        );
        assert_eq!(
            d.note("udp.checksum.status"),
            Some(checksum_status::UNVERIFIED)
        );
        let d = decoded(&hex(TOO_BIG));
        assert_eq!(
            (d.one("icmp.unused"), d.one("icmp.mtu")),
            ("0000".into(), "1400".into())
        );
        with_any_byte_changed(&hex(PORT));
    }

    #[test]
    fn a_quoted_segment_is_no_part_of_its_conversation() {
        let d = decoded(&hex(TOO_LONG));
        assert_eq!(d.layers(), ["ip", "icmp", "ip", "tcp"]);
        assert_eq!(d.one("tcp.seq_raw"), "7");
        assert!(d.context.segment.is_none() && d.stream.is_none() && d.stops().is_empty());
    }

    #[test]
    fn what_an_error_adds_stands_behind_the_quote() {
        let d = decoded(&hex(WITH_LABELS));
        assert_eq!(d.one("icmp.length"), "8");
        assert_eq!(d.one("icmp.ext"), "2000ffff0008010100010203");
        assert!(d.stops().is_empty(), "{:?}", d.stops());
        with_any_byte_changed(&hex(WITH_LABELS));
    }

    #[test]
    fn a_message_that_is_too_short() {
        let d = decoded(&hex(
            "4500001a 00000000 40010000 01020304 05060708 0800f7ff 1234",
        ));
        let stops = d.stops();
        assert_eq!(stops, [("icmp.seq", 26, 2, 0, Why::Short)]);
    }
}
