//! The Transmission Control Protocol (RFC 9293): one segment's header. What several segments tell is in [`crate::flow`].
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

use std::net::IpAddr;

use etherparse::checksum::Sum16BitWords;

use super::{Bind, Decode, Next, Protocol};
use crate::cursor::{Cursor, Read};
use crate::packet::{Fact, FieldDef, Segment, Why};

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
    SACK_LE = "tcp.options.sack_le" Uint;
    SACK_RE = "tcp.options.sack_re" Uint;
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
    LEN = "tcp.len" Uint;
    SEQ = "tcp.seq" Uint;
    NXTSEQ = "tcp.nxtseq" Uint;
    ACK = "tcp.ack" Uint;
    WINDOW_SIZE = "tcp.window_size" Uint;
    WINDOW_SCALEFACTOR = "tcp.window_size_scalefactor" Uint;
}

/// Transmission Control Protocol.
pub static PROTOCOL: Protocol = Protocol {
    def: &TCP,
    fields: &[FIELDS],
    binds: &[Bind::IpProtocol(6)],
    decode: Decode::Packet(decode),
};

fn decode(c: &mut Cursor<'_, '_>) -> Read<Next> {
    let whole = c.ahead();
    let from = c.u16(&SRCPORT)?;
    let to = c.u16(&DSTPORT)?;
    let seq = c.u32(&SEQ_RAW)?;
    let ack = c.u32(&ACK_RAW)?;
    let hdr_len = c.bits(&HDR_LEN, 4)? as usize;
    if hdr_len < 20 {
        return Err(c.stop(&HDR_LEN, Why::Value, 20));
    }
    let flags = c.group(&FLAGS, |c| {
        c.bits(&FLAG_RES, 3)?;
        let mut flags = 0;
        for flag in [
            &FLAG_AE,
            &FLAG_CWR,
            &FLAG_ECE,
            &FLAG_URG,
            &FLAG_ACK,
            &FLAG_PUSH,
            &FLAG_RESET,
            &FLAG_SYN,
            &FLAG_FIN,
        ] {
            flags = flags << 1 | u16::from(c.flag(flag)?);
        }
        Ok(flags)
    })?;
    let window = c.u16(&WINDOW_SIZE_VALUE)?;
    let checksum = c.u16(&CHECKSUM)?;
    c.u16(&URGENT_POINTER)?;
    let mut window_shift = None;
    if hdr_len > 20 {
        c.sub(&OPTIONS, hdr_len - 20, |c| options(c, &mut window_shift))?;
    }
    let len = c.context.payload.saturating_sub(hdr_len as u32);
    let sum = c
        .context
        .addresses
        .filter(|_| c.context.payload as usize <= whole.len())
        .map(|a| sum(a, whole));
    let checksum_good = sum.as_ref().map(|sum| sum.ones_complement() == 0);
    let status = match checksum_good {
        Some(true) => super::ipv4::checksum_status::GOOD,
        Some(false) => super::ipv4::checksum_status::BAD,
        None => super::ipv4::checksum_status::UNVERIFIED,
    };
    c.note(&CHECKSUM_STATUS, status);
    if let (Some(false), Some(sum)) = (checksum_good, sum) {
        let without = sum.add_2bytes((!checksum).to_be_bytes()).ones_complement();
        c.note(
            &CHECKSUM_CALCULATED,
            Fact::Uint(u64::from(u16::from_be(without))),
        );
    }
    c.note(&LEN, Fact::Uint(u64::from(len)));
    c.context.segment = Some(Segment {
        from,
        to,
        seq,
        ack,
        flags,
        window,
        window_shift,
        checksum_good,
        len,
    });
    Ok(Next::Stream)
}

/// The sum over pseudo header, header and data, the checksum included (RFC 9293, section 3.1; IPv6: RFC 8200, 8.1).
fn sum((src, dst): (IpAddr, IpAddr), segment: &[u8]) -> Sum16BitWords {
    let mut sum = Sum16BitWords::new();
    let sum = match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => sum.add_4bytes(src.octets()).add_4bytes(dst.octets()),
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            sum.add_16bytes(src.octets()).add_16bytes(dst.octets())
        }
        _ => sum,
    };
    sum.add_2bytes([0, 6])
        .add_4bytes((segment.len() as u32).to_be_bytes())
        .add_slice(segment)
}

fn options(c: &mut Cursor<'_, '_>, window_shift: &mut Option<u8>) -> Read<()> {
    while let Some(&kind) = c.ahead().first() {
        match kind {
            0 => {
                c.group(&OPT_EOL, |c| c.u8(&OPTION_KIND))?;
                c.rest(&OPT_PADDING);
            }
            1 => {
                c.group(&OPT_NOP, |c| c.u8(&OPTION_KIND))?;
            }
            _ => {
                let len = c.ahead().get(1).map_or(2, |len| usize::from(*len).max(2));
                c.sub(heading(kind), len, |c| option(c, kind, window_shift))?;
            }
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

fn option(c: &mut Cursor<'_, '_>, kind: u8, window_shift: &mut Option<u8>) -> Read<()> {
    c.u8(&OPTION_KIND)?;
    let len = c.u8(&OPTION_LEN)?;
    if len < 2 {
        return Err(c.stop(&OPTION_LEN, Why::Value, 2));
    }
    match kind {
        2 => c.u16(&MSS_VAL).map(drop),
        3 => {
            *window_shift = Some(c.u8(&WSCALE_SHIFT)?);
            Ok(())
        }
        4 => Ok(()),
        5 => c.until_end(|c| {
            c.u32(&SACK_LE)?;
            c.u32(&SACK_RE).map(drop)
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
