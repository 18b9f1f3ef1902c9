//! The Transmission Control Protocol (RFC 9293): one segment's header. What several segments tell is in `crate::flow`.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------------------------------+-------------------------------+
//! |          Source Port          |       Destination Port        |
//! +-------------------------------+-------------------------------+
//! |                        Sequence Number                        |
//! +---------------------------------------------------------------+
//! |                    Acknowledgment Number                      |
//! +-------+-----+-+-+-+-+-+-+-+-+-+-------------------------------+
//! | Data  | Res |A|C|E|U|A|P|R|S|F|                               |
//! |Offset | erv |E|W|C|R|C|S|S|Y|I|            Window             |
//! |       | ed  | |R|E|G|K|H|T|N|N|                               |
//! +-------+-----+-+-+-+-+-+-+-+-+-+-------------------------------+
//! |           Checksum            |         Urgent Pointer        |
//! +-------------------------------+-------------------------------+
//! |                 Options, 0 to 40 bytes, padded                |
//! +---------------------------------------------------------------+
//! ```

use super::{Bind, Decode, Next, Protocol, tcp_info};
use crate::cursor::shape::{Part, Shape, field, group, lay_out};
use crate::cursor::{Cursor, Read};
use crate::packet::{Fact, FieldDef, Sack, Segment, Why};

fields! {
    TCP = "tcp" Layer;
    SRCPORT = "tcp.srcport" Uint;
    DSTPORT = "tcp.dstport" Uint;
    SEQ_RAW = "tcp.seq_raw" Uint;
    ACK_RAW = "tcp.ack_raw" Uint;
    HDR_LEN = "tcp.hdr_len" Units(4);
    FLAGS = "tcp.flags" Hex;
    FLAG_RES = "tcp.flags.res" Bool;
    FLAG_AE = "tcp.flags.ae" Bool;
    FLAG_CWR = "tcp.flags.cwr" Bool;
    FLAG_ECE = "tcp.flags.ece" Bool;
    FLAG_URG = "tcp.flags.urg" Bool;
    FLAG_ACK = "tcp.flags.ack" Bool;
    FLAG_PUSH = "tcp.flags.push" Bool;
    FLAG_RESET = "tcp.flags.reset" Bool;
    FLAG_SYN = "tcp.flags.syn" Bool;
    FLAG_FIN = "tcp.flags.fin" Bool;
    WINDOW_SIZE_VALUE = "tcp.window_size_value" Uint;
    CHECKSUM = "tcp.checksum" Hex;
    CHECKSUM_STATUS = "tcp.checksum.status" Uint;
    CHECKSUM_CALCULATED = "tcp.checksum_calculated" Hex;
    URGENT_POINTER = "tcp.urgent_pointer" Uint;
    OPTIONS = "tcp.options" Group;
    OPTION_KIND = "tcp.option_kind" Uint;
    OPTION_LEN = "tcp.option_len" Uint;
    OPT_EOL = "tcp.options.eol" Group;
    OPT_PADDING = "tcp.options.padding" Bytes;
    OPT_NOP = "tcp.options.nop" Group;
    OPT_MSS = "tcp.options.mss" Group;
    MSS_VAL = "tcp.options.mss_val" Uint;
    OPT_WSCALE = "tcp.options.wscale" Group;
    WSCALE_SHIFT = "tcp.options.wscale.shift" Uint;
    OPT_SACK_PERM = "tcp.options.sack_perm" Group;
    OPT_SACK = "tcp.options.sack" Group;
    SACK_LE_RAW = "tcp.options.sack_le_raw" Uint;
    SACK_RE_RAW = "tcp.options.sack_re_raw" Uint;
    OPT_TIMESTAMP = "tcp.options.timestamp" Group;
    TSVAL = "tcp.options.timestamp.tsval" Uint;
    TSECR = "tcp.options.timestamp.tsecr" Uint;
    OPT_TFO = "tcp.options.tfo" Group;
    TFO_COOKIE = "tcp.options.tfo.cookie" Bytes;
    OPT_USER_TO = "tcp.options.user_to" Group;
    USER_TO_GRANULARITY = "tcp.options.user_to_granularity" Bool;
    USER_TO_VAL = "tcp.options.user_to_val" Uint;
    OPT_MD5 = "tcp.options.md5" Group;
    MD5_DIGEST = "tcp.options.md5.digest" Bytes;
    OPT_AO = "tcp.options.ao" Group;
    AO_KEYID = "tcp.options.ao.keyid" Uint;
    AO_RNEXTKEYID = "tcp.options.ao.rnextkeyid" Uint;
    AO_MAC = "tcp.options.ao.mac" Bytes;
    OPT_MPTCP = "tcp.options.mptcp" Group;
    MPTCP_SUBTYPE = "tcp.options.mptcp.subtype" Uint;
    MPTCP_FLAGS = "tcp.options.mptcp.flags" Hex;
    MPTCP_DATA = "tcp.options.mptcp.data" Bytes;
    OPT_EXPERIMENTAL = "tcp.options.experimental" Group;
    EXPERIMENTAL_EXID = "tcp.options.experimental.exid" Hex;
    EXPERIMENTAL_DATA = "tcp.options.experimental.data" Bytes;
    OPT_UNKNOWN = "tcp.options.unknown" Group;
    UNKNOWN_PAYLOAD = "tcp.options.unknown.payload" Bytes;
    PAYLOAD = "tcp.payload" Bytes;
    SEGMENT_DATA = "tcp.segment_data" Bytes;
    // What only the conversation tells (see crate::flow::tcp).
    STREAM = "tcp.stream" Uint;
    STATE_SRC = "tcp.state.src" Uint;
    STATE_DST = "tcp.state.dst" Uint;
    STATE_OPENED = "tcp.state.opened" Group;
    SACK_LE = "tcp.options.sack_le" Uint;
    SACK_RE = "tcp.options.sack_re" Uint;
    LEN = "tcp.len" Uint;
    SEQ = "tcp.seq" Uint;
    NXTSEQ = "tcp.nxtseq" Uint;
    ACK = "tcp.ack" Uint;
    WINDOW_SIZE = "tcp.window_size" Uint;
    WINDOW_SCALEFACTOR = "tcp.window_size_scalefactor" Uint;
    ANALYSIS_INITIAL_RTT = "tcp.analysis.initial_rtt" Nanos;
    ANALYSIS_ACKS_FRAME = "tcp.analysis.acks_frame" Uint;
    ANALYSIS_ACK_RTT = "tcp.analysis.ack_rtt" Nanos;
    ANALYSIS_BYTES_IN_FLIGHT = "tcp.analysis.bytes_in_flight" Uint;
    ANALYSIS_RETRANSMISSION = "tcp.analysis.retransmission" Group;
    ANALYSIS_FAST_RETRANSMISSION = "tcp.analysis.fast_retransmission" Group;
    ANALYSIS_SPURIOUS_RETRANSMISSION = "tcp.analysis.spurious_retransmission" Group;
    ANALYSIS_RTO = "tcp.analysis.rto" Nanos;
    ANALYSIS_RTO_FRAME = "tcp.analysis.rto_frame" Uint;
    ANALYSIS_TIMEOUT = "tcp.analysis.timeout" Group;
    ANALYSIS_OUT_OF_ORDER = "tcp.analysis.out_of_order" Group;
    ANALYSIS_LOST_SEGMENT = "tcp.analysis.lost_segment" Group;
    ANALYSIS_ACK_LOST_SEGMENT = "tcp.analysis.ack_lost_segment" Group;
    ANALYSIS_DUPLICATE_ACK = "tcp.analysis.duplicate_ack" Group;
    ANALYSIS_DUPLICATE_ACK_NUM = "tcp.analysis.duplicate_ack_num" Uint;
    ANALYSIS_DUPLICATE_ACK_FRAME = "tcp.analysis.duplicate_ack_frame" Uint;
    ANALYSIS_REUSED_PORTS = "tcp.analysis.reused_ports" Group;
    ANALYSIS_PUSH_BYTES_SENT = "tcp.analysis.push_bytes_sent" Uint;
    ANALYSIS_KEEP_ALIVE = "tcp.analysis.keep_alive" Group;
    ANALYSIS_KEEP_ALIVE_ACK = "tcp.analysis.keep_alive_ack" Group;
    ANALYSIS_ZERO_WINDOW = "tcp.analysis.zero_window" Group;
    ANALYSIS_ZERO_WINDOW_PROBE = "tcp.analysis.zero_window_probe" Group;
    ANALYSIS_ZERO_WINDOW_PROBE_ACK = "tcp.analysis.zero_window_probe_ack" Group;
    ANALYSIS_WINDOW_FULL = "tcp.analysis.window_full" Group;
    ANALYSIS_WINDOW_UPDATE = "tcp.analysis.window_update" Group;
    ANALYSIS_BYTES_ACKED = "tcp.analysis.bytes_acked" Uint;
    ANALYSIS_ACKS_FIN = "tcp.analysis.acks_fin" Group;
}

/// Transmission Control Protocol.
pub static PROTOCOL: Protocol = Protocol {
    def: &TCP,
    fields: &[FIELDS, tcp_info::FIELDS],
    binds: &[Bind::IpProtocol(6)],
    decode: Decode::Packet(decode),
};

/// What stands before the length of the header, and the length.
static FRONT_PARTS: [Part; 5] = lay_out([
    field(&SRCPORT, 16),
    field(&DSTPORT, 16),
    field(&SEQ_RAW, 32),
    field(&ACK_RAW, 32),
    field(&HDR_LEN, 4),
]);
pub(super) static FRONT: Shape = Shape::new(1, &FRONT_PARTS);

/// What stands behind it.
static REST_PARTS: [Part; 14] = lay_out([
    group(&FLAGS, 10),
    field(&FLAG_RES, 3),
    field(&FLAG_AE, 1),
    field(&FLAG_CWR, 1),
    field(&FLAG_ECE, 1),
    field(&FLAG_URG, 1),
    field(&FLAG_ACK, 1),
    field(&FLAG_PUSH, 1),
    field(&FLAG_RESET, 1),
    field(&FLAG_SYN, 1),
    field(&FLAG_FIN, 1),
    field(&WINDOW_SIZE_VALUE, 16),
    field(&CHECKSUM, 16),
    field(&URGENT_POINTER, 16),
]);
pub(super) static REST: Shape = Shape::new(2, &REST_PARTS);

fn decode(c: &mut Cursor<'_, '_>) -> Read<Next> {
    let whole = c.ahead();
    let [f1, f2, t1, t2, s1, s2, s3, s4, a1, a2, a3, a4, offset] = c.shape::<13>(&FRONT)?;
    let (from, to) = (u16::from_be_bytes([f1, f2]), u16::from_be_bytes([t1, t2]));
    let seq = u32::from_be_bytes([s1, s2, s3, s4]);
    let ack = u32::from_be_bytes([a1, a2, a3, a4]);
    let hdr_len = usize::from(offset >> 4) * 4;
    if hdr_len < 20 {
        return Err(c.stop(&HDR_LEN, Why::Value, 20));
    }
    let [f1, f2, w1, w2, c1, c2, _urgent @ ..] = c.shape::<8>(&REST)?;
    let flags = u16::from_be_bytes([f1 & 1, f2]);
    let window = u16::from_be_bytes([w1, w2]);
    let checksum = u16::from_be_bytes([c1, c2]);
    let mut window_shift = None;
    let mut sack = Sack::default();
    if hdr_len > 20 {
        let read = c.sub(&OPTIONS, hdr_len - 20, |c| {
            options(c, &mut window_shift, &mut sack)
        });
        // What a capture cut off here was there: the conversation goes on by what stands before it.
        match read {
            Err(stop) if stop.why == Why::CutOff => c.record(stop),
            _ => drop(read?),
        }
    }
    let len = c.context.payload.saturating_sub(hdr_len as u32);
    let sum = super::sum_over(c.context, 6, whole);
    let fits = sum.as_ref().map(|sum| sum.ones_complement() == 0);
    let partial = fits == Some(false) && super::is_partial(c.context, 6, checksum);
    let (status, checksum_good) = match (fits, partial) {
        (Some(true), _) => (super::ipv4::checksum_status::GOOD, fits),
        (_, true) => (super::ipv4::checksum_status::PARTIAL, None),
        (Some(false), _) => (super::ipv4::checksum_status::BAD, fits),
        (None, _) => (super::ipv4::checksum_status::UNVERIFIED, fits),
    };
    c.note(&CHECKSUM_STATUS, status);
    if let (Some(false), Some(sum)) = (fits, sum) {
        c.note(&CHECKSUM_CALCULATED, super::right_checksum(sum, checksum));
    }
    c.note(&LEN, Fact::Uint(u64::from(len)));
    if c.context.quoted {
        // A packet that an error quotes is no part of the conversation.
        c.rest(&PAYLOAD);
        return Ok(Next::End);
    }
    c.context.segment = Some(Segment {
        from,
        to,
        seq,
        ack,
        flags,
        window,
        window_shift,
        sack,
        checksum_good,
        len,
    });
    Ok(Next::Stream)
}

fn options(c: &mut Cursor<'_, '_>, window_shift: &mut Option<u8>, sack: &mut Sack) -> Read<()> {
    while let Some(&kind) = c.ahead().first() {
        match kind {
            0 => {
                c.group(&OPT_EOL, |c| c.u8(&OPTION_KIND))?;
                c.rest(&OPT_PADDING);
            }
            1 => {
                c.group(&OPT_NOP, |c| c.u8(&OPTION_KIND))?;
            }
            _ => match c.ahead().get(1) {
                // The length counts the kind and itself; with less there is no telling where the next option starts.
                Some(0..2) => {
                    return c.group(heading(kind), |c| {
                        c.u8(&OPTION_KIND)?;
                        c.u8(&OPTION_LEN)?;
                        Err(c.stop(&OPTION_LEN, Why::Value, 2))
                    });
                }
                len => {
                    let len = len.map_or(2, |len| usize::from(*len));
                    c.sub(heading(kind), len, |c| option(c, kind, window_shift, sack))?;
                }
            },
        }
    }
    Ok(())
}

fn heading(kind: u8) -> &'static FieldDef {
    match kind {
        2 => &OPT_MSS,
        3 => &OPT_WSCALE,
        4 => &OPT_SACK_PERM,
        5 => &OPT_SACK,
        8 => &OPT_TIMESTAMP,
        19 => &OPT_MD5,
        28 => &OPT_USER_TO,
        29 => &OPT_AO,
        30 => &OPT_MPTCP,
        34 => &OPT_TFO,
        253 | 254 => &OPT_EXPERIMENTAL,
        _ => &OPT_UNKNOWN,
    }
}

fn option(
    c: &mut Cursor<'_, '_>,
    kind: u8,
    window_shift: &mut Option<u8>,
    sack: &mut Sack,
) -> Read<()> {
    c.u8(&OPTION_KIND)?;
    c.u8(&OPTION_LEN)?;
    match kind {
        2 => c.u16(&MSS_VAL).map(drop),
        3 => {
            *window_shift = Some(c.u8(&WSCALE_SHIFT)?);
            Ok(())
        }
        4 => Ok(()),
        5 => c.until_end(|c| {
            let left = c.u32(&SACK_LE_RAW)?;
            let right = c.u32(&SACK_RE_RAW)?;
            sack.push(left, right);
            Ok(())
        }),
        8 => {
            c.u32(&TSVAL)?;
            c.u32(&TSECR).map(drop)
        }
        19 => c.bytes(&MD5_DIGEST, 16).map(drop),
        28 => {
            c.flag(&USER_TO_GRANULARITY)?;
            c.bits(&USER_TO_VAL, 15).map(drop)
        }
        29 => {
            c.u8(&AO_KEYID)?;
            c.u8(&AO_RNEXTKEYID)?;
            c.rest(&AO_MAC);
            Ok(())
        }
        30 => {
            c.bits(&MPTCP_SUBTYPE, 4)?;
            // The rest differs from subtype to subtype (RFC 8684, section 3).
            c.bits(&MPTCP_FLAGS, 4)?;
            c.rest(&MPTCP_DATA);
            Ok(())
        }
        34 => {
            c.rest(&TFO_COOKIE);
            Ok(())
        }
        253 | 254 => {
            c.u16(&EXPERIMENTAL_EXID)?;
            c.rest(&EXPERIMENTAL_DATA);
            Ok(())
        }
        _ => {
            c.rest(&UNKNOWN_PAYLOAD);
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
    use super::super::ipv4::checksum_status::{BAD, GOOD, UNVERIFIED};
    use super::super::testing::{Decoded, cut, decoded, hex, with_any_byte_changed};
    use super::*;

    /// A Linux host's SYN, and the packet with "hi" and a newline.
    const SYN: &str = "4500003c1c464000 40060e6301020304 05060708
        c0001f900a0b0c0d 00000000a002faf0 5eee0000 020405b4 0402 080a8d3a5b2a00000000 01 030307";
    const HI: &str = "45b9002b1c464000 40060dbb01020304 05060708
        c0001f900a0b0c0e 112233445018faf0 f84b0000 68690a";

    /// A segment of A's with these options (in hexadecimal, a multiple of four bytes).
    fn with_options(options: &str) -> Decoded {
        let options = hex(options);
        let mut bytes = hex(
            "4500000000004000 4006000001020304 05060708 c0001f9000000001 000000020010faf0 00000000",
        );
        bytes[3] = 40 + options.len() as u8;
        bytes[32] = (5 + options.len() as u8 / 4) << 4;
        decoded(&[bytes, options].concat())
    }

    fn options_of(d: &Decoded) -> String {
        d.layer("tcp")
            .split_once("tcp.options\n")
            .unwrap()
            .1
            .to_owned()
    }

    #[test]
    fn every_field_of_a_plain_header() {
        let d = decoded(&hex(HI));
        assert_eq!(
            d.layer("tcp"),
            "tcp.srcport 49152\ntcp.dstport 8080\ntcp.seq_raw 168496142\ntcp.ack_raw 287454020\ntcp.hdr_len 20\n\
             tcp.flags 0x18\n  tcp.flags.res 0\n  tcp.flags.ae 0\n  tcp.flags.cwr 0\n  tcp.flags.ece 0\n  \
             tcp.flags.urg 0\n  tcp.flags.ack 1\n  tcp.flags.push 1\n  tcp.flags.reset 0\n  tcp.flags.syn 0\n  \
             tcp.flags.fin 0\n\
             tcp.window_size_value 64240\ntcp.checksum 0xf84b\ntcp.urgent_pointer 0\n"
        );
        assert_eq!(d.note("tcp.checksum.status"), Some(GOOD));
        assert_eq!(d.note("tcp.checksum_calculated"), None);
        assert_eq!(d.note("tcp.len"), Some(Fact::Uint(3)));
        let stream = d.stream.unwrap();
        assert_eq!(&d.bytes[stream.start..stream.end], b"hi\n");
        let expected = Segment {
            from: 49152,
            to: 8080,
            seq: 0x0a0b_0c0e,
            ack: 0x1122_3344,
            flags: Segment::ACK | Segment::PSH,
            window: 64240,
            sack: Sack::default(),
            window_shift: None,
            checksum_good: Some(true),
            len: 3,
        };
        assert_eq!(d.context.segment, Some(expected));
    }

    #[test]
    fn the_options_of_a_syn() {
        let d = decoded(&hex(SYN));
        assert_eq!(
            options_of(&d),
            "  tcp.options.mss\n    tcp.option_kind 2\n    tcp.option_len 4\n    tcp.options.mss_val 1460\n  \
             tcp.options.sack_perm\n    tcp.option_kind 4\n    tcp.option_len 2\n  \
             tcp.options.timestamp\n    tcp.option_kind 8\n    tcp.option_len 10\n    \
             tcp.options.timestamp.tsval 2369411882\n    tcp.options.timestamp.tsecr 0\n  \
             tcp.options.nop\n    tcp.option_kind 1\n  \
             tcp.options.wscale\n    tcp.option_kind 3\n    tcp.option_len 3\n    tcp.options.wscale.shift 7\n"
        );
        let segment = d.context.segment.unwrap();
        assert_eq!(
            (segment.window_shift, segment.flags, segment.len),
            (Some(7), Segment::SYN, 0)
        );
        assert_eq!(d.note("tcp.checksum.status"), Some(GOOD));
        assert!(d.stops().is_empty() && d.gap().is_empty());
    }

    #[test]
    fn the_other_options() {
        let d = with_options(
            "0204ffd7 030308 01 0402 220a1122334455667788 1c048005 01 1e042102 fe04f989 4003aa",
        );
        assert_eq!(d.one("tcp.options.mss_val"), "65495");
        assert_eq!(d.one("tcp.options.tfo.cookie"), "1122334455667788");
        assert_eq!(d.one("tcp.options.user_to_granularity"), "1");
        assert_eq!(d.one("tcp.options.user_to_val"), "5");
        assert_eq!(d.one("tcp.options.mptcp.subtype"), "2");
        assert_eq!(d.one("tcp.options.mptcp.flags"), "0x1");
        assert_eq!(d.one("tcp.options.mptcp.data"), "02");
        assert_eq!(d.one("tcp.options.experimental.exid"), "0xf989");
        assert_eq!(d.one("tcp.options.unknown.payload"), "aa");
        assert_eq!(
            d.all("tcp.option_kind"),
            ["2", "3", "1", "4", "34", "28", "1", "30", "254", "64"]
        );
        assert!(d.stops().is_empty() && d.gap().is_empty());
        let d = with_options(
            "131200010203040506070809 0a0b0c0d0e0f 1d100102a0a1a2a3a4a5a6a7a8a9aaab 2202",
        );
        assert_eq!(
            d.one("tcp.options.md5.digest"),
            "000102030405060708090a0b0c0d0e0f"
        );
        assert_eq!(d.one("tcp.options.ao.keyid"), "1");
        assert_eq!(d.one("tcp.options.ao.rnextkeyid"), "2");
        assert_eq!(d.one("tcp.options.ao.mac"), "a0a1a2a3a4a5a6a7a8a9aaab");
        assert_eq!(
            d.one("tcp.options.tfo.cookie"),
            "",
            "a request for a cookie has none"
        );
        assert!(d.stops().is_empty() && d.gap().is_empty());
    }

    #[test]
    fn sack_blocks_and_the_end_of_the_list() {
        let d = with_options(
            "0101 0512 00000064000000c8 0000012c00000190 080a0000000100000002 01 00 00000000",
        );
        assert_eq!(d.all("tcp.options.sack_le_raw"), ["100", "300"]);
        assert_eq!(d.all("tcp.options.sack_re_raw"), ["200", "400"]);
        assert_eq!(d.one("tcp.options.timestamp.tsecr"), "2");
        assert!(options_of(&d).ends_with(
            "  tcp.options.eol\n    tcp.option_kind 0\n  tcp.options.padding 00000000\n"
        ));
        assert!(d.stops().is_empty() && d.gap().is_empty());
    }

    #[test]
    fn options_with_lying_lengths_stop_inside_the_options() {
        let stops = |options: &str| with_options(options).stops();
        assert_eq!(
            stops("02000000"),
            [("tcp.option_len", 42, 2, 2, Why::Value)]
        );
        assert_eq!(
            stops("02010000"),
            [("tcp.option_len", 42, 2, 2, Why::Value)]
        );
        assert_eq!(
            stops("02080000"),
            [("tcp.options.mss", 40, 8, 4, Why::Length)]
        );
        assert_eq!(
            stops("02030001"),
            [("tcp.options.mss_val", 42, 2, 1, Why::Length)]
        );
        assert_eq!(
            stops("0205000001010101"),
            [("tcp.options.mss", 44, 0, 1, Why::Trailing)]
        );
        assert_eq!(
            stops("01010105"),
            [("tcp.options.sack", 43, 2, 1, Why::Length)]
        );
        assert_eq!(
            stops("050600000001 0101"),
            [("tcp.options.sack_re_raw", 46, 4, 0, Why::Length)]
        );
        let d = with_options("03000000");
        assert_eq!(d.gap(), [0, 0], "what the options leave unread is visible");
        assert_eq!(d.context.segment.unwrap().window_shift, None);
    }

    #[test]
    fn every_flag_has_its_bit() {
        let names = [
            "fin", "syn", "reset", "push", "ack", "urg", "ece", "cwr", "ae",
        ];
        for (bit, name) in names.iter().enumerate() {
            let mut bytes = hex(HI);
            bytes[32] = 0x50 | (1_u16 << bit >> 8) as u8;
            bytes[33] = (1_u16 << bit) as u8;
            let d = decoded(&bytes);
            let set = d.labels.fields.iter().filter(|f| {
                f.def.key.starts_with("tcp.flags.")
                    && f.value(&bytes) == crate::packet::Value::Bool(true)
            });
            let set: Vec<_> = set.map(|f| f.def.key).collect();
            assert_eq!(set, [format!("tcp.flags.{name}")]);
            assert!(d.context.segment.unwrap().has(1 << bit));
        }
        let mut bytes = hex(HI);
        bytes[32] = 0x5e;
        assert_eq!(decoded(&bytes).one("tcp.flags.res"), "1");
    }

    #[test]
    fn a_wrong_checksum_is_noted_with_the_right_one() {
        let mut bytes = hex(HI);
        bytes[42] ^= 1;
        let d = decoded(&bytes);
        assert_eq!(d.note("tcp.checksum.status"), Some(BAD));
        assert_eq!(d.note("tcp.checksum_calculated"), Some(Fact::Uint(0xf74b)));
        assert_eq!(d.context.segment.unwrap().checksum_good, Some(false));
        let mut bytes = hex(HI);
        bytes[36..38].fill(0);
        assert_eq!(
            decoded(&bytes).note("tcp.checksum_calculated"),
            Some(Fact::Uint(0xf84b))
        );
    }

    #[test]
    fn a_partial_checksum_is_left_to_the_hardware() {
        use crate::layers::ipv4::checksum_status::PARTIAL;
        let mut bytes = hex(HI);
        // 1.2.3.4, 5.6.7.8, protocol 6, 23 bytes: 0102 + 0304 + 0506 + 0708 + 0006 + 0017.
        bytes[36..38].copy_from_slice(&0x1031_u16.to_be_bytes());
        let d = decoded(&bytes);
        assert_eq!(d.note("tcp.checksum.status"), Some(PARTIAL));
        assert_eq!(
            d.note("tcp.checksum_calculated"),
            Some(Fact::Uint(0xf84b)),
            "what the hardware would fill in"
        );
        let taken = d.context.segment.unwrap().checksum_good;
        assert_eq!(taken, None, "it is good enough for the stream");
        bytes[42] ^= 1;
        let d = decoded(&bytes);
        assert_eq!(
            d.note("tcp.checksum.status"),
            Some(PARTIAL),
            "it says nothing about the data"
        );
        bytes[37] ^= 1;
        assert_eq!(decoded(&bytes).note("tcp.checksum.status"), Some(BAD));
    }

    #[test]
    fn cut_at_every_length() {
        let whole = hex(SYN);
        let fields = [
            (21, "tcp.srcport", 20, 2),
            (22, "tcp.dstport", 22, 2),
            (27, "tcp.seq_raw", 24, 4),
            (28, "tcp.ack_raw", 28, 4),
            (32, "tcp.hdr_len", 32, 1),
            (33, "tcp.flags.cwr", 33, 1),
            (35, "tcp.window_size_value", 34, 2),
            (36, "tcp.checksum", 36, 2),
            (39, "tcp.urgent_pointer", 38, 2),
        ];
        for (len, key, offset, need) in fields {
            let stops = cut(&whole[..len], whole.len()).stops();
            let have = len as u32 - offset;
            assert_eq!(
                stops.last(),
                Some(&(key, offset, need, have, Why::CutOff)),
                "{len} bytes"
            );
        }
        for len in 20..whole.len() {
            let d = cut(&whole[..len], whole.len());
            assert_eq!(d.stops()[0].0, "ip.len");
            // Half a header says nothing; without its options it says what a conversation needs.
            let segment = d.context.segment;
            assert_eq!(segment.is_some(), len >= 40, "{len} bytes");
            assert!(segment.is_none_or(|s| s.seq == 0x0a0b_0c0d && s.flags == Segment::SYN));
            decoded(&whole[..len]);
        }
        let whole = hex(HI);
        for len in 40..whole.len() {
            let d = cut(&whole[..len], whole.len());
            assert_eq!(d.note("tcp.checksum.status"), Some(UNVERIFIED));
            assert_eq!(
                d.note("tcp.len"),
                Some(Fact::Uint(3)),
                "by the header, not by the capture"
            );
            assert_eq!(d.context.segment.unwrap().checksum_good, None);
        }
    }

    #[test]
    fn data_offsets_that_cannot_be() {
        let changed = |to: u8| {
            let mut bytes = hex(HI);
            bytes[32] = to;
            decoded(&bytes)
        };
        assert_eq!(changed(0x40).stops()[0].0, "tcp.hdr_len");
        assert_eq!(changed(0x40).stops()[0].4, Why::Value);
        assert_eq!(changed(0x40).context.segment, None);
        // 60 bytes of header in a segment of 23: IP's length holds it.
        assert_eq!(
            changed(0xf0).stops().last(),
            Some(&("tcp.options", 40, 40, 3, Why::Short))
        );
        assert_eq!(changed(0xf0).context.segment, None);
    }

    #[test]
    fn bytes_behind_the_packet_are_not_the_streams() {
        let mut bytes = hex(SYN);
        bytes.extend([0; 6]);
        let d = decoded(&bytes);
        assert_eq!(d.note("tcp.len"), Some(Fact::Uint(0)));
        assert_eq!(d.note("tcp.checksum.status"), Some(GOOD));
        assert_eq!(d.gap(), [0; 6]);
        assert!(d.stream.is_none_or(|part| part.start == part.end));
    }

    #[test]
    fn any_byte_changed() {
        with_any_byte_changed(&hex(SYN));
    }
}
