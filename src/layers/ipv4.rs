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
use crate::cursor::{Cursor, Read};
use crate::packet::{Fact, FieldDef, Why};

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
    FRAG_OFFSET = "ip.frag_offset" Units(8);
    TTL = "ip.ttl" Uint;
    PROTO = "ip.proto" Uint;
    CHECKSUM = "ip.checksum" Hex;
    CHECKSUM_STATUS = "ip.checksum.status" Uint;
    CHECKSUM_CALCULATED = "ip.checksum_calculated" Hex;
    SRC = "ip.src" Ipv4;
    DST = "ip.dst" Ipv4;
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
    binds: &[Bind::IpVersion(4), Bind::IpProtocol(4)],
    decode: Decode::Packet(decode),
};

/// Values of `ip.checksum.status` and `tcp.checksum.status`, as Wireshark numbers them.
pub mod checksum_status {
    use crate::packet::Fact;
    /// The checksum does not fit the bytes.
    pub const BAD: Fact = Fact::Uint(0);
    /// The checksum fits the bytes.
    pub const GOOD: Fact = Fact::Uint(1);
    /// Not all bytes it covers are there, so nobody can tell.
    pub const UNVERIFIED: Fact = Fact::Uint(2);
}

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
    c.group(&DSFIELD, |c| {
        c.bits(&DSCP, 6)?;
        c.bits(&ECN, 2)
    })?;
    let total = usize::from(c.u16(&LEN)?);
    c.u16(&ID)?;
    let more = c.group(&FLAGS, |c| {
        c.flag(&FLAG_RB)?;
        c.flag(&FLAG_DF)?;
        c.flag(&FLAG_MF)
    })?;
    let offset = c.bits(&FRAG_OFFSET, 13)?;
    c.u8(&TTL)?;
    let protocol = c.u8(&PROTO)?;
    let checksum = c.u16(&CHECKSUM)?;
    let src = c.array::<4>(&SRC)?;
    let dst = c.array::<4>(&DST)?;
    if hdr_len > 20 {
        c.sub(&OPTIONS, hdr_len - 20, options)?;
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
        Next::Data
    } else {
        Next::Payload(Bind::IpProtocol(protocol))
    })
}

/// The options (RFC 791 section 3.1 and those after it), each a type, mostly a length, and what the type says.
fn options(c: &mut Cursor<'_, '_>) -> Read<()> {
    while let Some(&kind) = c.ahead().first() {
        match kind {
            0 => {
                c.group(&OPTION, option_type)?;
                c.rest(&OPT_PADDING);
            }
            1 => {
                c.group(&OPTION, option_type)?;
            }
            _ => {
                let len = c.ahead().get(1).map_or(2, |len| usize::from(*len).max(2));
                c.sub(&OPTION, len, |c| option(c, kind))?;
            }
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

fn option(c: &mut Cursor<'_, '_>, kind: u8) -> Read<()> {
    option_type(c)?;
    let len = c.u8(&OPT_LEN)?;
    if len < 2 {
        return Err(c.stop(&OPT_LEN, Why::Value, 2));
    }
    match kind {
        // Record route; loose and strict source route.
        7 => route(c, &OPT_ROUTE),
        131 | 137 => route(c, &OPT_SOURCE_ROUTE),
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

fn route(c: &mut Cursor<'_, '_>, address: &'static FieldDef) -> Read<()> {
    c.u8(&OPT_PTR)?;
    c.until_end(|c| c.array::<4>(address).map(drop))
}

fn time_stamps(c: &mut Cursor<'_, '_>) -> Read<()> {
    c.u8(&OPT_PTR)?;
    c.bits(&OPT_OVERFLOW, 4)?;
    let flag = c.bits(&OPT_FLAG, 4)?;
    c.until_end(|c| {
        if flag != 0 {
            c.array::<4>(&OPT_TIME_STAMP_ADDR)?;
        }
        c.u32(&OPT_TIME_STAMP).map(drop)
    })
}
