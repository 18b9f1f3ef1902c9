//! The Internet Protocol, version 4 (RFC 791).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------+-------+-----------+---+-------------------------------+
//! |Version|  IHL  |   DSCP    |ECN|         Total Length          |
//! +-------+-------+-----------+---+-----+-------------------------+
//! |        Identification         |Flags|     Fragment Offset     |
//! +---------------+---------------+-----+-------------------------+
//! | Time to Live  |   Protocol    |        Header Checksum        |
//! +---------------+---------------+-------------------------------+
//! |                        Source Address                         |
//! +---------------------------------------------------------------+
//! |                     Destination Address                       |
//! +---------------------------------------------------------------+
//! |                 Options, 0 to 40 bytes, padded                |
//! +---------------------------------------------------------------+
//! ```

use etherparse::checksum::Sum16BitWords;

use super::{Bind, Decode, Next, Protocol};
use crate::cursor::shape::{Part, Shape, field, group, lay_out};
use crate::cursor::{Cursor, Read};
use crate::packet::{Fact, FieldDef, Fragment, Why};

fields! {
    IP = "ip" Layer;
    VERSION = "ip.version" Uint;
    HDR_LEN = "ip.hdr_len" Units(4);
    DSFIELD = "ip.dsfield" Hex;
    DSCP = "ip.dsfield.dscp" Uint;
    ECN = "ip.dsfield.ecn" Uint;
    LEN = "ip.len" Uint;
    ID = "ip.id" Hex;
    FLAGS = "ip.flags" Hex;
    FLAG_RB = "ip.flags.rb" Bool;
    FLAG_DF = "ip.flags.df" Bool;
    FLAG_MF = "ip.flags.mf" Bool;
    FRAG_OFFSET = "ip.frag_offset" Uint;
    TTL = "ip.ttl" Uint;
    PROTO = "ip.proto" Uint;
    CHECKSUM = "ip.checksum" Hex;
    CHECKSUM_STATUS = "ip.checksum.status" Uint;
    CHECKSUM_CALCULATED = "ip.checksum_calculated" Hex;
    SRC = "ip.src" Ipv4;
    DST = "ip.dst" Ipv4;
    FRAGMENT_DATA = "ip.fragment_data" Bytes;
    // What only the other fragments tell (see crate::flow::fragment).
    FRAGMENT = "ip.fragment" Uint;
    FRAGMENT_COUNT = "ip.fragment.count" Uint;
    FRAGMENT_OVERLAP = "ip.fragment.overlap" Bool;
    FRAGMENT_OVERLAP_CONFLICT = "ip.fragment.overlap.conflict" Bool;
    REASSEMBLED_LENGTH = "ip.reassembled.length" Uint;
    OPTIONS = "ip.options" Group;
    OPTION = "ip.opt" Group;
    OPT_TYPE = "ip.opt.type" Uint;
    OPT_COPY = "ip.opt.type.copy" Bool;
    OPT_CLASS = "ip.opt.type.class" Uint;
    OPT_NUMBER = "ip.opt.type.number" Uint;
    OPT_LEN = "ip.opt.len" Uint;
    OPT_PTR = "ip.opt.ptr" Uint;
    OPT_ROUTE = "ip.rec_rt" Ipv4;
    OPT_SOURCE_ROUTE = "ip.src_rt" Ipv4;
    OPT_ROUTER_ALERT = "ip.opt.ra" Uint;
    OPT_STREAM_ID = "ip.opt.sid" Uint;
    OPT_OVERFLOW = "ip.opt.overflow" Uint;
    OPT_FLAG = "ip.opt.flag" Uint;
    OPT_TIME_STAMP = "ip.opt.time_stamp" Uint;
    OPT_TIME_STAMP_ADDR = "ip.opt.time_stamp_addr" Ipv4;
    OPT_MTU = "ip.opt.mtu" Uint;
    OPT_DATA = "ip.opt.data" Bytes;
    OPT_PADDING = "ip.opt.padding" Bytes;
}

/// Internet Protocol, version 4.
pub static PROTOCOL: Protocol = Protocol {
    def: &IP,
    fields: &[FIELDS],
    binds: &[
        Bind::IpVersion(4),
        Bind::EtherType(0x0800),
        Bind::IpProtocol(4),
    ],
    decode: Decode::Sized(decode, extent),
};

/// The total length, but for the zero of a sender that leaves it to its network card.
fn extent(bytes: &[u8]) -> Option<usize> {
    let len = bytes.get(2..4)?.try_into().ok()?;
    Some(usize::from(u16::from_be_bytes(len))).filter(|len| *len >= 20)
}

/// Values of `ip.checksum.status` and the like, as Wireshark numbers them.
pub mod checksum_status {
    use crate::packet::Fact;
    /// The checksum does not fit the bytes.
    pub const BAD: Fact = Fact::Uint(0);
    /// The checksum fits the bytes.
    pub const GOOD: Fact = Fact::Uint(1);
    /// Not all bytes it covers are there, so nobody can tell.
    pub const UNVERIFIED: Fact = Fact::Uint(2);
    /// The sender has left it out, as it may.
    pub const NOT_PRESENT: Fact = Fact::Uint(3);
    /// The sender has left it out, and may not.
    pub const ILLEGAL: Fact = Fact::Uint(4);
    /// Only the pseudo header is summed up: the rest was left to the network card. (TCP and UDP; the number is our own.)
    pub const PARTIAL: Fact = Fact::Uint(16);
}

/// What stands behind the version and the length of the header.
static REST_PARTS: [Part; 15] = lay_out([
    group(&DSFIELD, 2),
    field(&DSCP, 6),
    field(&ECN, 2),
    field(&LEN, 16),
    field(&ID, 16),
    group(&FLAGS, 3),
    field(&FLAG_RB, 1),
    field(&FLAG_DF, 1),
    field(&FLAG_MF, 1),
    field(&FRAG_OFFSET, 13),
    field(&TTL, 8),
    field(&PROTO, 8),
    field(&CHECKSUM, 16),
    field(&SRC, 32),
    field(&DST, 32),
]);
pub(super) static REST: Shape = Shape::new(0, &REST_PARTS);

fn decode(c: &mut Cursor<'_, '_>) -> Read<Next> {
    let available = c.left();
    let header = c.ahead();
    let version = c.bits(&VERSION, 4)?;
    if version != 4 {
        return Err(c.stop(&VERSION, Why::Value, 0));
    }
    let hdr_len = c.bits(&HDR_LEN, 4)? as usize;
    if hdr_len < 20 {
        return Err(c.stop(&HDR_LEN, Why::Value, 20));
    }
    let [
        _dsfield,
        total_high,
        total_low,
        id_high,
        id_low,
        flags,
        offset_low,
        _ttl,
        protocol,
        sum_high,
        sum_low,
        addresses @ ..,
    ] = c.shape::<19>(&REST)?;
    let total = usize::from(u16::from_be_bytes([total_high, total_low]));
    let ident = u32::from(u16::from_be_bytes([id_high, id_low]));
    let more = flags & 0x20 != 0;
    let offset = u16::from_be_bytes([flags & 0x1f, offset_low]);
    let checksum = u16::from_be_bytes([sum_high, sum_low]);
    let [s1, s2, s3, s4, d1, d2, d3, d4] = addresses;
    let (src, mut dst) = ([s1, s2, s3, s4], [d1, d2, d3, d4]);
    if hdr_len > 20 {
        c.sub(&OPTIONS, hdr_len - 20, |c| options(c, &mut dst))?;
    }
    // RFC 791, section 3.1: the sum over the header, its checksum included, is all ones.
    if let Some(header) = header.get(..hdr_len) {
        let sum = Sum16BitWords::new().add_slice(header);
        let good = sum.ones_complement() == 0;
        c.note(
            &CHECKSUM_STATUS,
            if good {
                checksum_status::GOOD
            } else {
                checksum_status::BAD
            },
        );
        if !good {
            let without = sum.add_2bytes((!checksum).to_be_bytes()).ones_complement();
            c.note(
                &CHECKSUM_CALCULATED,
                Fact::Uint(u64::from(u16::from_be(without))),
            );
        }
    }
    // A length of zero is what a sender leaves to its network card to fill in (segmentation offload).
    let total = if total == 0 { available } else { total };
    if total < hdr_len {
        return Err(c.stop(&LEN, Why::Length, hdr_len));
    }
    let payload = total - hdr_len;
    if payload > c.left() {
        c.record(c.missing(&LEN, payload));
    }
    c.limit(payload);
    c.context.addresses = Some((src.into(), dst.into()));
    c.context.payload = payload as u32;
    Ok(if more || offset > 0 {
        c.context.fragment = Some(Fragment {
            ident,
            offset: usize::from(offset) * 8,
            more,
            start: c.position(),
            len: payload,
            protocol,
        });
        Next::Data
    } else {
        Next::Payload(Bind::IpProtocol(protocol))
    })
}

/// The options (RFC 791, section 3.1, and those after it), each a type, mostly a length, and what the type says.
///
/// A source route that is not used up puts the final destination, which the checksums above go by, in place of `dst`.
fn options(c: &mut Cursor<'_, '_>, dst: &mut [u8; 4]) -> Read<()> {
    while let Some(&kind) = c.ahead().first() {
        match kind {
            0 => {
                c.group(&OPTION, option_type)?;
                c.rest(&OPT_PADDING);
            }
            1 => {
                c.group(&OPTION, option_type)?;
            }
            _ => match c.ahead().get(1) {
                // The length counts the type and itself; with less there is no telling where the next option starts.
                Some(0..2) => {
                    return c.group(&OPTION, |c| {
                        option_type(c)?;
                        c.u8(&OPT_LEN)?;
                        Err(c.stop(&OPT_LEN, Why::Value, 2))
                    });
                }
                len => {
                    let len = len.map_or(2, |len| usize::from(*len));
                    c.sub(&OPTION, len, |c| option(c, kind, dst))?;
                }
            },
        }
    }
    Ok(())
}

fn option_type(c: &mut Cursor<'_, '_>) -> Read<()> {
    c.group(&OPT_TYPE, |c| {
        c.flag(&OPT_COPY)?;
        c.bits(&OPT_CLASS, 2)?;
        c.bits(&OPT_NUMBER, 5)?;
        Ok(())
    })
}

fn option(c: &mut Cursor<'_, '_>, kind: u8, dst: &mut [u8; 4]) -> Read<()> {
    option_type(c)?;
    let len = c.u8(&OPT_LEN)?;
    match kind {
        // Record route; loose and strict source route.
        7 => route(c, &OPT_ROUTE).map(drop),
        131 | 137 => {
            let (pointer, last) = route(c, &OPT_SOURCE_ROUTE)?;
            // The pointer counts from the option's first byte, which is 1: past the end, the route is used up.
            if let (true, Some(last)) = (pointer <= len, last) {
                *dst = last;
            }
            Ok(())
        }
        68 => time_stamps(c),
        // MTU probe and reply (RFC 1063), router alert (RFC 2113), stream identifier.
        11 | 12 => c.u16(&OPT_MTU).map(drop),
        148 => c.u16(&OPT_ROUTER_ALERT).map(drop),
        136 => c.u16(&OPT_STREAM_ID).map(drop),
        _ => {
            c.rest(&OPT_DATA);
            Ok(())
        }
    }
}

/// Gives the pointer and the last address.
fn route(c: &mut Cursor<'_, '_>, address: &'static FieldDef) -> Read<(u8, Option<[u8; 4]>)> {
    let pointer = c.u8(&OPT_PTR)?;
    let mut last = None;
    c.until_end(|c| {
        last = Some(c.array(address)?);
        Ok(())
    })?;
    Ok((pointer, last))
}

fn time_stamps(c: &mut Cursor<'_, '_>) -> Read<()> {
    c.u8(&OPT_PTR)?;
    c.bits(&OPT_OVERFLOW, 4)?;
    match c.bits(&OPT_FLAG, 4)? {
        0 => c.until_end(|c| c.u32(&OPT_TIME_STAMP).map(drop)),
        // Each time stamp behind the address of who set it, or was to set it.
        1 | 3 => c.until_end(|c| {
            c.array::<4>(&OPT_TIME_STAMP_ADDR)?;
            c.u32(&OPT_TIME_STAMP).map(drop)
        }),
        _ => {
            c.rest(&OPT_DATA);
            Ok(())
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may fail by panicking"
)]
mod tests {
    use etherparse::PacketBuilder;

    use super::super::testing::{cut, decoded, hex, with_any_byte_changed};
    use super::*;

    /// "hi" and a newline, from A to B.
    const HI: &str = "45b9002b1c464000 40060dbb01020304 05060708
        c0001f900a0b0c0e 112233445018faf0 f84b0000 68690a";
    /// The TCP header of the packets with options; the checksum holds between A and B.
    const TCP: &str = "c0001f900a0b0c0d 000000005010faf0 af270000";

    fn with_options(header: &str) -> Vec<u8> {
        hex(&(header.to_owned() + TCP))
    }

    #[test]
    fn every_field_of_a_plain_header() {
        let d = decoded(&hex(HI));
        assert_eq!(
            d.layer("ip"),
            "ip.version 4\nip.hdr_len 20\n\
             ip.dsfield 0xb9\n  ip.dsfield.dscp 46\n  ip.dsfield.ecn 1\n\
             ip.len 43\nip.id 0x1c46\n\
             ip.flags 0x2\n  ip.flags.rb 0\n  ip.flags.df 1\n  ip.flags.mf 0\n\
             ip.frag_offset 0\nip.ttl 64\nip.proto 6\nip.checksum 0xdbb\nip.src 1.2.3.4\nip.dst 5.6.7.8\n"
        );
        assert_eq!(d.layers(), ["ip", "tcp"]);
        assert_eq!(d.note("ip.checksum.status"), Some(checksum_status::GOOD));
        assert_eq!(d.note("ip.checksum_calculated"), None);
        assert_eq!(d.context.payload, 23);
        assert_eq!(d.labels.layers[0].bytes, 0..20);
        assert!(d.stops().is_empty());
    }

    #[test]
    fn what_etherparse_builds_is_read_back() {
        let builder = PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 7).tcp(1, 2, 3, 4);
        let mut bytes = Vec::new();
        builder.write(&mut bytes, b"abc").unwrap();
        let d = decoded(&bytes);
        assert_eq!(d.note("ip.checksum.status"), Some(checksum_status::GOOD));
        assert_eq!(d.note("tcp.checksum.status"), Some(checksum_status::GOOD));
        assert_eq!(
            (d.one("ip.ttl"), d.one("ip.len")),
            ("7".into(), "43".into())
        );
    }

    #[test]
    fn a_wrong_checksum_is_noted_with_the_right_one() {
        let mut bytes = hex(HI);
        bytes[8] -= 1; // as a router that forgot to correct it
        let d = decoded(&bytes);
        assert_eq!(d.note("ip.checksum.status"), Some(checksum_status::BAD));
        // RFC 1624: one less in the upper byte of a word, one more in the checksum's.
        assert_eq!(d.note("ip.checksum_calculated"), Some(Fact::Uint(0x0ebb)));
        assert_eq!(d.layers(), ["ip", "tcp"], "the verdict stops nobody");
    }

    #[test]
    fn record_route() {
        let d = decoded(&with_options(
            "480000341c464000 4006529f01020304 05060708 070b08c0a800010000000000",
        ));
        assert_eq!(
            d.layer("ip").split_once("ip.options\n").unwrap().1,
            "  ip.opt\n    ip.opt.type 7\n      ip.opt.type.copy 0\n      ip.opt.type.class 0\n      \
             ip.opt.type.number 7\n    ip.opt.len 11\n    ip.opt.ptr 8\n    ip.rec_rt 192.168.0.1\n    \
             ip.rec_rt 0.0.0.0\n  ip.opt\n    ip.opt.type 0\n      ip.opt.type.copy 0\n      \
             ip.opt.type.class 0\n      ip.opt.type.number 0\n"
        );
        assert_eq!(d.note("ip.checksum.status"), Some(checksum_status::GOOD));
        assert_eq!(d.note("tcp.checksum.status"), Some(checksum_status::GOOD));
        assert!(d.gap().is_empty());
    }

    #[test]
    fn a_source_route_decides_whose_checksum_it_is() {
        // On its way to 9.9.9.9, and from there to 5.6.7.8, which is the address TCP summed up.
        let d = decoded(&with_options(
            "480000341c464000 4006e2d001020304 09090909 01830b040a00000105060708",
        ));
        assert_eq!(d.all("ip.opt.type"), ["1", "131"]);
        assert_eq!(d.all("ip.src_rt"), ["10.0.0.1", "5.6.7.8"]);
        assert_eq!(d.one("ip.dst"), "9.9.9.9");
        assert_eq!(d.note("tcp.checksum.status"), Some(checksum_status::GOOD));
        // Used up: the pointer stands behind the last address.
        let d = decoded(&with_options(
            "480000341c464000 4006734b01020304 05060708 890b0c0a0000010a00000200",
        ));
        assert_eq!(d.note("tcp.checksum.status"), Some(checksum_status::GOOD));
    }

    #[test]
    fn time_stamps_with_and_without_addresses() {
        let d = decoded(&with_options(
            "4b0000401c464000 40061fa101020304 05060708
             440c0d01c0a8000102932a10 440c0d1002932a1002932a11",
        ));
        assert_eq!(d.all("ip.opt.flag"), ["1", "0"]);
        assert_eq!(d.all("ip.opt.overflow"), ["0", "1"]);
        assert_eq!(d.all("ip.opt.time_stamp_addr"), ["192.168.0.1"]);
        let stamps = ["43198992", "43198992", "43198993"];
        assert_eq!(d.all("ip.opt.time_stamp"), stamps);
        assert!(d.stops().is_empty() && d.gap().is_empty());
    }

    #[test]
    fn time_stamps_of_hosts_the_sender_named_and_of_a_kind_nobody_knows() {
        let stamps = |flag: &str| {
            let header = "480000340000400040060000 01020304 05060708 440c0d";
            decoded(&with_options(&format!("{header}{flag} 0a000001 00000000")))
        };
        assert_eq!(stamps("03").all("ip.opt.time_stamp_addr"), ["10.0.0.1"]);
        assert_eq!(stamps("02").one("ip.opt.data"), "0a00000100000000");
    }

    #[test]
    fn the_other_options_and_one_nobody_knows() {
        let d = decoded(&with_options(
            "4b0000401c464000 4006ab9a01020304 05060708
             94040000 88040007 0b0405dc 0c0405dc 5e04beef 01000000",
        ));
        assert_eq!(
            d.all("ip.opt.type"),
            ["148", "136", "11", "12", "94", "1", "0"]
        );
        assert_eq!(d.one("ip.opt.ra"), "0");
        assert_eq!(d.one("ip.opt.sid"), "7");
        assert_eq!(d.all("ip.opt.mtu"), ["1500", "1500"]);
        assert_eq!(d.one("ip.opt.data"), "beef");
        assert_eq!(d.one("ip.opt.padding"), "0000");
        assert!(d.stops().is_empty() && d.gap().is_empty());
    }

    #[test]
    fn options_with_lying_lengths_stop_inside_the_options() {
        let header = "460000001c464000 4006000001020304 05060708";
        let stops = |option: &str| decoded(&with_options(&(header.to_owned() + option))).stops();
        assert_eq!(stops("94000000"), [("ip.opt.len", 22, 2, 2, Why::Value)]);
        assert_eq!(stops("94010000"), [("ip.opt.len", 22, 2, 2, Why::Value)]);
        assert_eq!(stops("94050000"), [("ip.opt", 20, 5, 4, Why::Length)]);
        assert_eq!(stops("94030000"), [("ip.opt.ra", 22, 2, 1, Why::Length)]);
        assert_eq!(stops("01010194"), [("ip.opt", 23, 2, 1, Why::Length)]);
        let d = decoded(&with_options(&(header.to_owned() + "94000000")));
        assert_eq!(
            d.layers(),
            ["ip", "tcp"],
            "what follows the options is read"
        );
        assert_eq!(d.gap(), [0, 0], "what the options leave unread is visible");
    }

    #[test]
    fn cut_at_every_length() {
        let whole = hex(HI);
        let fields = [
            (1, "ip.dsfield.dscp", 1, 1),
            (2, "ip.len", 2, 2),
            (4, "ip.id", 4, 2),
            (6, "ip.flags.rb", 6, 1),
            (7, "ip.frag_offset", 6, 2),
            (8, "ip.ttl", 8, 1),
            (9, "ip.proto", 9, 1),
            (10, "ip.checksum", 10, 2),
            (12, "ip.src", 12, 4),
            (16, "ip.dst", 16, 4),
        ];
        for (len, key, offset, need) in fields {
            let d = cut(&whole[..len], whole.len());
            let have = len as u32 - offset;
            assert_eq!(
                d.stops(),
                [(key, offset, need, have, Why::CutOff)],
                "{len} bytes"
            );
            assert_eq!(d.layers(), ["ip"]);
        }
        for len in 0..whole.len() {
            let d = cut(&whole[..len], whole.len());
            assert_eq!(d.stops().is_empty(), len == 0, "{len} bytes");
            if len >= 20 {
                let have = len as u32 - 20;
                assert_eq!(d.stops()[0], ("ip.len", 20, 23, have, Why::CutOff));
            }
            decoded(&whole[..len]);
        }
    }

    #[test]
    fn lengths_and_versions_that_cannot_be() {
        let changed = |at: usize, to: u8| {
            let mut bytes = hex(HI);
            bytes[at] = to;
            decoded(&bytes)
        };
        assert_eq!(changed(0, 0x44).stops()[0].0, "ip.hdr_len");
        assert_eq!(changed(0, 0x44).stops()[0].4, Why::Value);
        assert_eq!(changed(0, 0x44).layers(), ["ip"]);
        assert_eq!(
            changed(3, 19).stops(),
            [("ip.len", 20, 20, 23, Why::Length)]
        );
        assert_eq!(changed(3, 19).layers(), ["ip"]);
        // The header says 60 bytes, the total length 43.
        assert_eq!(
            changed(0, 0x4f).stops()[0],
            ("ip.options", 20, 40, 23, Why::Short)
        );
        // More than the frame holds: it is read as far as it goes, and nobody vouches for the checksum.
        let longer = changed(3, 60);
        assert_eq!(longer.stops(), [("ip.len", 20, 40, 23, Why::Short)]);
        assert_eq!(longer.layers(), ["ip", "tcp"]);
        assert_eq!(
            longer.note("tcp.checksum.status"),
            Some(checksum_status::UNVERIFIED)
        );
        assert_eq!(
            changed(0, 0x75).layers(),
            ["data"],
            "no protocol claims version 7"
        );
    }

    #[test]
    fn bytes_behind_the_total_length_stay_a_gap() {
        let mut bytes = hex(HI);
        bytes.extend([0xee; 3]); // as Ethernet pads a short frame
        let d = decoded(&bytes);
        let stream = d.stream.unwrap();
        assert_eq!(&bytes[stream.start..stream.end], b"hi\n");
        assert_eq!(d.note("tcp.checksum.status"), Some(checksum_status::GOOD));
        assert!(d.gap().ends_with(&[0xee; 3]));
        assert!(d.stops().is_empty());
    }

    #[test]
    fn a_length_of_zero_is_a_length_left_to_the_network_card() {
        let mut bytes = hex(HI);
        bytes[2..4].fill(0);
        let d = decoded(&bytes);
        assert_eq!(d.context.payload, 23);
        assert_eq!(d.layers(), ["ip", "tcp"]);
    }

    #[test]
    fn a_fragment_is_not_decoded_by_itself() {
        for (flags, offset, expected) in [(0x20, 0, "0"), (0x00, 0xb9, "185"), (0x20, 0xb9, "185")]
        {
            let mut bytes = hex(HI);
            bytes[6..8].copy_from_slice(&[flags, offset]);
            let d = decoded(&bytes);
            assert_eq!(d.layers(), ["ip", "data"]);
            assert_eq!(d.one("ip.frag_offset"), expected);
            assert_eq!(d.one("data.data").len(), 46);
        }
    }

    #[test]
    fn a_packet_in_a_packet() {
        let inner = hex(HI);
        let mut bytes = hex("4500003f000000004004000001010101 02020202");
        bytes.extend(&inner);
        let d = decoded(&bytes);
        assert_eq!(d.layers(), ["ip", "ip", "tcp"]);
        assert_eq!(d.note("tcp.checksum.status"), Some(checksum_status::GOOD));
    }

    #[test]
    fn any_byte_changed() {
        with_any_byte_changed(&with_options(
            "4b0000401c464000 40061fa101020304 05060708
             440c0d01c0a8000102932a10 440c0d1002932a1002932a11",
        ));
    }
}
