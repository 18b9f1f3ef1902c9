//! The Internet Control Message Protocol for IPv6 (RFC 4443), with what runs over it: neighbour discovery (RFC 4861) and
//! multicast listeners (RFC 2710, RFC 3810).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------+---------------+-------------------------------+
//! |     Type      |     Code      |           Checksum            |
//! +---------------+---------------+-------------------------------+
//! |            what the type says: fields, then options           |
//! +---------------------------------------------------------------+
//! ```

use super::ipv4::checksum_status;
use super::{Bind, Decode, Next, Protocol, right_checksum, sum_over};
use crate::cursor::{Cursor, Read};
use crate::packet::Why;

fields! {
    ICMPV6 = "icmpv6" Layer;
    TYPE = "icmpv6.type" Uint;
    CODE = "icmpv6.code" Uint;
    CHECKSUM = "icmpv6.checksum" Hex;
    CHECKSUM_STATUS = "icmpv6.checksum.status" Uint;
    CHECKSUM_CALCULATED = "icmpv6.checksum_calculated" Hex;
    RESERVED = "icmpv6.reserved" Bytes;
    LENGTH = "icmpv6.length" Uint;
    MTU = "icmpv6.mtu" Uint;
    POINTER = "icmpv6.pointer" Uint;
    ECHO_IDENTIFIER = "icmpv6.echo.identifier" Hex;
    ECHO_SEQUENCE_NUMBER = "icmpv6.echo.sequence_number" Uint;
    EXT = "icmpv6.ext" Bytes;
    // Neighbour discovery.
    RA_CUR_HOP_LIMIT = "icmpv6.nd.ra.cur_hop_limit" Uint;
    RA_FLAG = "icmpv6.nd.ra.flag" Hex;
    RA_FLAG_M = "icmpv6.nd.ra.flag.m" Bool;
    RA_FLAG_O = "icmpv6.nd.ra.flag.o" Bool;
    RA_FLAG_H = "icmpv6.nd.ra.flag.h" Bool;
    RA_FLAG_PRF = "icmpv6.nd.ra.flag.prf" Uint;
    RA_FLAG_P = "icmpv6.nd.ra.flag.p" Bool;
    RA_FLAG_RSV = "icmpv6.nd.ra.flag.rsv" Uint;
    RA_ROUTER_LIFETIME = "icmpv6.nd.ra.router_lifetime" Uint;
    RA_REACHABLE_TIME = "icmpv6.nd.ra.reachable_time" Uint;
    RA_RETRANS_TIMER = "icmpv6.nd.ra.retrans_timer" Uint;
    NS_TARGET = "icmpv6.nd.ns.target_address" Ipv6;
    NA_FLAG = "icmpv6.nd.na.flag" Hex;
    NA_FLAG_R = "icmpv6.nd.na.flag.r" Bool;
    NA_FLAG_S = "icmpv6.nd.na.flag.s" Bool;
    NA_FLAG_O = "icmpv6.nd.na.flag.o" Bool;
    NA_FLAG_RSV = "icmpv6.nd.na.flag.rsv" Uint;
    NA_TARGET = "icmpv6.nd.na.target_address" Ipv6;
    RD_TARGET = "icmpv6.nd.rd.target_address" Ipv6;
    RD_DESTINATION = "icmpv6.rd.na.destination_address" Ipv6;
    OPT = "icmpv6.opt" Group;
    OPT_TYPE = "icmpv6.opt.type" Uint;
    OPT_LENGTH = "icmpv6.opt.length" Uint;
    OPT_SRC_LINKADDR = "icmpv6.opt.src_linkaddr" Ether;
    OPT_TARGET_LINKADDR = "icmpv6.opt.target_linkaddr" Ether;
    OPT_PREFIX_LENGTH = "icmpv6.opt.prefix.length" Uint;
    OPT_PREFIX_FLAG = "icmpv6.opt.prefix.flag" Hex;
    OPT_PREFIX_FLAG_L = "icmpv6.opt.prefix.flag.l" Bool;
    OPT_PREFIX_FLAG_A = "icmpv6.opt.prefix.flag.a" Bool;
    OPT_PREFIX_FLAG_R = "icmpv6.opt.prefix.flag.r" Bool;
    OPT_PREFIX_FLAG_RESERVED = "icmpv6.opt.prefix.flag.reserved" Uint;
    OPT_PREFIX_VALID = "icmpv6.opt.prefix.valid_lifetime" Uint;
    OPT_PREFIX_PREFERRED = "icmpv6.opt.prefix.preferred_lifetime" Uint;
    OPT_RESERVED = "icmpv6.opt.reserved" Bytes;
    OPT_PREFIX = "icmpv6.opt.prefix" Ipv6;
    OPT_MTU = "icmpv6.opt.mtu" Uint;
    OPT_REDIRECTED = "icmpv6.opt.redirected_packet" Bytes;
    OPT_NONCE = "icmpv6.opt.nonce" Bytes;
    OPT_RDNSS_LIFETIME = "icmpv6.opt.rdnss.lifetime" Uint;
    OPT_RDNSS = "icmpv6.opt.rdnss" Ipv6;
    OPT_DATA = "icmpv6.unknown_data" Bytes;
    // Multicast listeners.
    MLD_DELAY = "icmpv6.mld.maximum_response_delay" Uint;
    MLD_CODE = "icmpv6.mld.maximum_response_code" Uint;
    MLD_ADDRESS = "icmpv6.mld.multicast_address" Ipv6;
    MLD_FLAG = "icmpv6.mld.flag" Hex;
    MLD_FLAG_RESERVED = "icmpv6.mld.flag.reserved" Uint;
    MLD_FLAG_S = "icmpv6.mld.flag.s" Bool;
    MLD_FLAG_QRV = "icmpv6.mld.flag.qrv" Uint;
    MLD_QQI = "icmpv6.mld.qqi" Uint;
    MLD_NB_SOURCES = "icmpv6.mld.nb_sources" Uint;
    MLD_SOURCE = "icmpv6.mld.source_address" Ipv6;
    MLDR_NB_RECORDS = "icmpv6.mldr.nb_mcast_records" Uint;
    MLDR_RECORD = "icmpv6.mldr.mar" Group;
    MLDR_RECORD_TYPE = "icmpv6.mldr.mar.record_type" Uint;
    MLDR_AUX_LEN = "icmpv6.mldr.mar.aux_data_len" Units(4);
    MLDR_NB_SOURCES = "icmpv6.mldr.mar.nb_sources" Uint;
    MLDR_ADDRESS = "icmpv6.mldr.mar.multicast_address" Ipv6;
    MLDR_SOURCE = "icmpv6.mldr.mar.source_address" Ipv6;
    MLDR_AUX = "icmpv6.mldr.mar.auxiliary_data" Bytes;
}

/// Internet Control Message Protocol for IPv6.
pub static PROTOCOL: Protocol = Protocol {
    def: &ICMPV6,
    fields: &[FIELDS],
    binds: &[Bind::IpProtocol(58)],
    decode: Decode::Packet(decode),
};

/// The types of messages that are told apart elsewhere, too.
pub mod kind {
    /// A packet could not be delivered.
    pub const UNREACHABLE: u8 = 1;
    /// A packet was too big for a link on its way.
    pub const TOO_BIG: u8 = 2;
    /// A packet was on its way for too long.
    pub const TIME_EXCEEDED: u8 = 3;
    /// A packet cannot be understood.
    pub const PARAMETER_PROBLEM: u8 = 4;
    /// Are you there?
    pub const ECHO: u8 = 128;
    /// An answer to [`ECHO`].
    pub const ECHO_REPLY: u8 = 129;
    /// Is there a router?
    pub const ROUTER_SOLICITATION: u8 = 133;
    /// Here is a router.
    pub const ROUTER_ADVERTISEMENT: u8 = 134;
    /// Who has this address?
    pub const NEIGHBOR_SOLICITATION: u8 = 135;
    /// I have this address.
    pub const NEIGHBOR_ADVERTISEMENT: u8 = 136;
    /// Which groups do you listen to?
    pub const LISTENER_QUERY: u8 = 130;
    /// I listen to these groups.
    pub const LISTENER_REPORT_2: u8 = 143;
}

fn decode(c: &mut Cursor<'_, '_>) -> Read<Next> {
    let whole = c.ahead();
    let kind = c.u8(&TYPE)?;
    c.u8(&CODE)?;
    let checksum = c.u16(&CHECKSUM)?;
    let sum = sum_over(c.context, 58, whole);
    let status = match &sum {
        None => checksum_status::UNVERIFIED,
        Some(sum) if sum.ones_complement() == 0 => checksum_status::GOOD,
        Some(_) => checksum_status::BAD,
    };
    c.note(&CHECKSUM_STATUS, status);
    if let Some(sum) = sum.filter(|_| status == checksum_status::BAD) {
        c.note(&CHECKSUM_CALCULATED, right_checksum(sum, checksum));
    }
    match kind {
        kind::UNREACHABLE | kind::TIME_EXCEEDED => {
            // RFC 4884, section 4: the first of the four may say how long the quoted packet is, in eights.
            let length = match c.ahead().first() {
                Some(1..) => {
                    let length = c.u8(&LENGTH)?;
                    c.bytes(&RESERVED, 3)?;
                    length
                }
                _ => c.bytes(&RESERVED, 4).map(|_| 0)?,
            };
            Ok(quote(c, length))
        }
        kind::TOO_BIG => {
            c.u32(&MTU)?;
            Ok(quote(c, 0))
        }
        kind::PARAMETER_PROBLEM => {
            c.u32(&POINTER)?;
            Ok(quote(c, 0))
        }
        kind::ECHO | kind::ECHO_REPLY => {
            c.u16(&ECHO_IDENTIFIER)?;
            c.u16(&ECHO_SEQUENCE_NUMBER)?;
            Ok(Next::Data)
        }
        kind::LISTENER_QUERY | 131 | 132 => listeners(c, kind),
        kind::ROUTER_SOLICITATION => {
            c.bytes(&RESERVED, 4)?;
            options(c)
        }
        kind::ROUTER_ADVERTISEMENT => {
            router(c)?;
            options(c)
        }
        kind::NEIGHBOR_SOLICITATION => {
            c.bytes(&RESERVED, 4)?;
            c.array::<16>(&NS_TARGET)?;
            options(c)
        }
        kind::NEIGHBOR_ADVERTISEMENT => {
            c.group(&NA_FLAG, |c| {
                c.flag(&NA_FLAG_R)?;
                c.flag(&NA_FLAG_S)?;
                c.flag(&NA_FLAG_O)?;
                c.bits(&NA_FLAG_RSV, 29)
            })?;
            c.array::<16>(&NA_TARGET)?;
            options(c)
        }
        // Redirect (RFC 4861, section 4.5).
        137 => {
            c.bytes(&RESERVED, 4)?;
            c.array::<16>(&RD_TARGET)?;
            c.array::<16>(&RD_DESTINATION)?;
            options(c)
        }
        kind::LISTENER_REPORT_2 => listener_report(c),
        _ => Ok(Next::Data),
    }
}

/// The packet that the message is about, as much of it as is quoted; behind it what the error adds (RFC 4884, section 7).
fn quote(c: &mut Cursor<'_, '_>, eights: u8) -> Next {
    let len = usize::from(eights) * 8;
    if len > 0 {
        let extra = c.left().saturating_sub(len);
        c.tail(&[(&EXT, extra)]);
    }
    c.context.quoted = true;
    Next::Payload(Bind::IpVersion(6))
}

/// A router advertisement (RFC 4861, section 4.2; the preference: RFC 4191, section 2.2).
fn router(c: &mut Cursor<'_, '_>) -> Read<()> {
    c.u8(&RA_CUR_HOP_LIMIT)?;
    c.group(&RA_FLAG, |c| {
        c.flag(&RA_FLAG_M)?;
        c.flag(&RA_FLAG_O)?;
        c.flag(&RA_FLAG_H)?;
        c.bits(&RA_FLAG_PRF, 2)?;
        c.flag(&RA_FLAG_P)?;
        c.bits(&RA_FLAG_RSV, 2)
    })?;
    c.u16(&RA_ROUTER_LIFETIME)?;
    c.u32(&RA_REACHABLE_TIME)?;
    c.u32(&RA_RETRANS_TIMER).map(drop)
}

/// Options (RFC 4861, section 4.6): a type, a length in eights that counts itself, and what the type says.
fn options(c: &mut Cursor<'_, '_>) -> Read<Next> {
    while let Some(&kind) = c.ahead().first() {
        match c.ahead().get(1) {
            // Section 4.6: with a length of zero there is no telling where the next option starts.
            Some(0) => {
                return c.group(&OPT, |c| {
                    c.u8(&OPT_TYPE)?;
                    c.u8(&OPT_LENGTH)?;
                    Err(c.stop(&OPT_LENGTH, Why::Value, 8))
                });
            }
            len => {
                let len = len.map_or(2, |len| usize::from(*len) * 8);
                c.sub(&OPT, len, |c| option(c, kind))?;
            }
        }
    }
    Ok(Next::End)
}

fn option(c: &mut Cursor<'_, '_>, kind: u8) -> Read<()> {
    c.u8(&OPT_TYPE)?;
    c.u8(&OPT_LENGTH)?;
    match kind {
        1 => drop(c.rest(&OPT_SRC_LINKADDR)),
        2 => drop(c.rest(&OPT_TARGET_LINKADDR)),
        3 => {
            c.u8(&OPT_PREFIX_LENGTH)?;
            c.group(&OPT_PREFIX_FLAG, |c| {
                c.flag(&OPT_PREFIX_FLAG_L)?;
                c.flag(&OPT_PREFIX_FLAG_A)?;
                c.flag(&OPT_PREFIX_FLAG_R)?;
                c.bits(&OPT_PREFIX_FLAG_RESERVED, 5)
            })?;
            c.u32(&OPT_PREFIX_VALID)?;
            c.u32(&OPT_PREFIX_PREFERRED)?;
            c.bytes(&OPT_RESERVED, 4)?;
            c.array::<16>(&OPT_PREFIX)?;
        }
        4 => {
            c.bytes(&OPT_RESERVED, 6)?;
            c.rest(&OPT_REDIRECTED);
        }
        5 => {
            c.bytes(&OPT_RESERVED, 2)?;
            c.u32(&OPT_MTU)?;
        }
        // Nonce (RFC 3971, section 5.3.2), which also tells one's own solicitation that came back (RFC 7527).
        14 => drop(c.rest(&OPT_NONCE)),
        // Recursive DNS servers (RFC 8106, section 5.1).
        25 => {
            c.bytes(&OPT_RESERVED, 2)?;
            c.u32(&OPT_RDNSS_LIFETIME)?;
            c.until_end(|c| c.array::<16>(&OPT_RDNSS).map(drop))?;
        }
        _ => drop(c.rest(&OPT_DATA)),
    }
    Ok(())
}

/// Queries, and the reports of version 1 (RFC 2710, section 3; version 2: RFC 3810, section 5.1).
fn listeners(c: &mut Cursor<'_, '_>, kind: u8) -> Read<Next> {
    let second = kind == kind::LISTENER_QUERY && c.left() >= 24;
    c.u16(if second { &MLD_CODE } else { &MLD_DELAY })?;
    c.bytes(&RESERVED, 2)?;
    c.array::<16>(&MLD_ADDRESS)?;
    if second {
        c.group(&MLD_FLAG, |c| {
            c.bits(&MLD_FLAG_RESERVED, 4)?;
            c.flag(&MLD_FLAG_S)?;
            c.bits(&MLD_FLAG_QRV, 3)
        })?;
        c.u8(&MLD_QQI)?;
        for _ in 0..c.u16(&MLD_NB_SOURCES)? {
            c.array::<16>(&MLD_SOURCE)?;
        }
    }
    Ok(Next::Data)
}

/// A report of version 2 (RFC 3810, section 5.2): groups, each with sources that are wanted or not.
fn listener_report(c: &mut Cursor<'_, '_>) -> Read<Next> {
    c.bytes(&RESERVED, 2)?;
    for _ in 0..c.u16(&MLDR_NB_RECORDS)? {
        c.group(&MLDR_RECORD, |c| {
            c.u8(&MLDR_RECORD_TYPE)?;
            let aux = c.bits(&MLDR_AUX_LEN, 8)? as usize;
            let sources = c.u16(&MLDR_NB_SOURCES)?;
            c.array::<16>(&MLDR_ADDRESS)?;
            for _ in 0..sources {
                c.array::<16>(&MLDR_SOURCE)?;
            }
            if aux > 0 {
                c.bytes(&MLDR_AUX, aux)?;
            }
            Ok(())
        })?;
    }
    Ok(Next::Data)
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

    const NEIGHBOR: &str = "6000000000203aff20010db800000000000000000000000a20010db800000000000000000000000b88008a4f6000000020010db800000000000000000000000a020102000000000a";
    const ROUTER: &str = "6000000000583aff20010db800000000000000000000000a20010db800000000000000000000000b86003c8a40c8070800007530000003e8030440c000015180000038400000000020010db800000000000000000000000005010000000005dc190300000000025820010db8000000000000000000000035c801010203040506";
    const TOO_BIG: &str = "6000000000383aff20010db800000000000000000000000a20010db800000000000000000000000b0200c3b30000050060000000000a11ff20010db800000000000000000000000a20010db800000000000000000000000b03e807d0000a0000";
    const REPORT: &str = "60000000002c3aff20010db800000000000000000000000a20010db800000000000000000000000b8f00e4ae0000000104000001ff0200000000000000000001ff00000a20010db8000000000000000000000099";

    fn fields(text: &str) -> Vec<String> {
        let d = decoded(&hex(text));
        assert!(
            d.stops().is_empty() && d.gap().is_empty(),
            "{:?}",
            d.stops()
        );
        assert_eq!(
            d.note("icmpv6.checksum.status"),
            Some(checksum_status::GOOD)
        );
        let layer = d.layer("icmpv6");
        layer
            .lines()
            .skip(3)
            .map(str::trim_start)
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn a_neighbor_answers() {
        assert_eq!(
            fields(NEIGHBOR),
            [
                "icmpv6.nd.na.flag 0x60000000",
                "icmpv6.nd.na.flag.r 0",
                "icmpv6.nd.na.flag.s 1",
                "icmpv6.nd.na.flag.o 1",
                "icmpv6.nd.na.flag.rsv 0",
                "icmpv6.nd.na.target_address 2001:db8::a",
                "icmpv6.opt",
                "icmpv6.opt.type 2",
                "icmpv6.opt.length 1",
                "icmpv6.opt.target_linkaddr 02:00:00:00:00:0a",
            ]
        );
        with_any_byte_changed(&hex(NEIGHBOR));
    }

    #[test]
    fn a_router_says_what_there_is() {
        let fields = fields(ROUTER);
        for line in [
            "icmpv6.nd.ra.cur_hop_limit 64",
            "icmpv6.nd.ra.flag.m 1",
            "icmpv6.nd.ra.flag.prf 1",
            "icmpv6.nd.ra.router_lifetime 1800",
            "icmpv6.opt.prefix.length 64",
            "icmpv6.opt.prefix.flag.a 1",
            "icmpv6.opt.prefix 2001:db8::",
            "icmpv6.opt.mtu 1500",
            "icmpv6.opt.rdnss 2001:db8::35",
            "icmpv6.unknown_data 010203040506",
        ] {
            assert!(fields.iter().any(|f| f == line), "{line}");
        }
        with_any_byte_changed(&hex(ROUTER));
    }

    #[test]
    fn an_error_quotes_the_packet_it_is_about() {
        let d = decoded(&hex(TOO_BIG));
        assert_eq!(d.layers(), ["ipv6", "icmpv6", "ipv6", "udp"]);
        assert_eq!(
            (d.one("icmpv6.mtu"), d.one("udp.dstport")),
            ("1280".into(), "2000".into())
        );
        assert!(d.stops().is_empty(), "{:?}", d.stops());
    }

    #[test]
    fn a_listener_reports_groups() {
        assert_eq!(
            fields(REPORT)[2..],
            [
                "icmpv6.mldr.mar",
                "icmpv6.mldr.mar.record_type 4",
                "icmpv6.mldr.mar.aux_data_len 0",
                "icmpv6.mldr.mar.nb_sources 1",
                "icmpv6.mldr.mar.multicast_address ff02::1:ff00:a",
                "icmpv6.mldr.mar.source_address 2001:db8::99",
            ]
        );
        with_any_byte_changed(&hex(REPORT));
    }

    #[test]
    fn an_option_of_length_zero_would_never_end() {
        let mut bytes = hex(NEIGHBOR);
        bytes[65] = 0;
        let d = decoded(&bytes);
        assert_eq!(d.stops(), [("icmpv6.opt.length", 66, 8, 6, Why::Value)]);
        bytes[65] = 2;
        let d = decoded(&bytes);
        assert_eq!(d.stops(), [("icmpv6.opt", 64, 16, 8, Why::Short)]);
    }
}
