//! The Domain Name System (RFC 1034, RFC 1035): names to addresses, and much else.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------------------------------+-+-------+-+-+-+-+-+-+-+-------+
//! |          Identifier           |Q|       |A|T|R|R| |A|C|       |
//! |                               |R| Opcode|A|C|D|A|Z|D|D| RCODE |
//! +-------------------------------+-+-------+-+-+-+-+-+-+-+-------+
//! |      Number of Questions      |       Number of Answers       |
//! +-------------------------------+-------------------------------+
//! |     Number of Authorities     |     Number of Additionals     |
//! +-------------------------------+-------------------------------+
//! |  questions, then records: answers, authorities, additionals   |
//! +---------------------------------------------------------------+
//! ```
//!
//! Over TCP the length of the message stands before it, in two bytes (RFC 1035, section 4.2.2).

use super::{Bind, Decode, Framing, Next, Protocol, Stream, Talk};
use crate::cursor::{Cursor, Read};
use crate::packet::{Fact, FieldDef, Name, Why};

fields! {
    DNS = "dns" Layer;
    LENGTH = "dns.length" Uint;
    ID = "dns.id" Hex;
    FLAGS = "dns.flags" Hex;
    RESPONSE = "dns.flags.response" Bool;
    OPCODE = "dns.flags.opcode" Uint;
    AUTHORITATIVE = "dns.flags.authoritative" Bool;
    TRUNCATED = "dns.flags.truncated" Bool;
    RECDESIRED = "dns.flags.recdesired" Bool;
    RECAVAIL = "dns.flags.recavail" Bool;
    Z = "dns.flags.z" Bool;
    AUTHENTICATED = "dns.flags.authenticated" Bool;
    CHECKDISABLE = "dns.flags.checkdisable" Bool;
    RCODE = "dns.flags.rcode" Uint;
    UNUSED = "dns.flags.unused" Uint;
    COUNT_QUERIES = "dns.count.queries" Uint;
    COUNT_ANSWERS = "dns.count.answers" Uint;
    COUNT_AUTH_RR = "dns.count.auth_rr" Uint;
    COUNT_ADD_RR = "dns.count.add_rr" Uint;
    QUESTION = "dns.question" Group;
    QRY_NAME = "dns.qry.name" Name;
    QRY_NAME_LEN = "dns.qry.name.len" Uint;
    COUNT_LABELS = "dns.count.labels" Uint;
    QRY_TYPE = "dns.qry.type" Uint;
    QRY_QU = "dns.qry.qu" Bool;
    QRY_CLASS = "dns.qry.class" Hex;
    RECORD = "dns.record" Group;
    RESP_NAME = "dns.resp.name" Name;
    RESP_TYPE = "dns.resp.type" Uint;
    RESP_CACHE_FLUSH = "dns.resp.cache_flush" Bool;
    RESP_CLASS = "dns.resp.class" Hex;
    RESP_TTL = "dns.resp.ttl" Uint;
    RESP_LEN = "dns.resp.len" Uint;
    A = "dns.a" Ipv4;
    NS = "dns.ns" Name;
    CNAME = "dns.cname" Name;
    DNAME = "dns.dname" Name;
    SOA_MNAME = "dns.soa.mname" Name;
    SOA_RNAME = "dns.soa.rname" Name;
    SOA_SERIAL = "dns.soa.serial_number" Uint;
    SOA_REFRESH = "dns.soa.refresh_interval" Uint;
    SOA_RETRY = "dns.soa.retry_interval" Uint;
    SOA_EXPIRE = "dns.soa.expire_limit" Uint;
    SOA_MINIMUM = "dns.soa.minimum_ttl" Uint;
    PTR = "dns.ptr.domain_name" Name;
    MX_PREFERENCE = "dns.mx.preference" Uint;
    MX_EXCHANGE = "dns.mx.mail_exchange" Name;
    TXT_LENGTH = "dns.txt.length" Uint;
    TXT = "dns.txt" Text;
    AAAA = "dns.aaaa" Ipv6;
    SRV_PRIORITY = "dns.srv.priority" Uint;
    SRV_WEIGHT = "dns.srv.weight" Uint;
    SRV_PORT = "dns.srv.port" Uint;
    SRV_TARGET = "dns.srv.target" Name;
    SVCB_PRIORITY = "dns.svcb.svcpriority" Uint;
    SVCB_TARGET = "dns.svcb.targetname" Name;
    SVCB_PARAM = "dns.svcb.svcparam" Group;
    SVCB_KEY = "dns.svcb.svcparam.key" Uint;
    SVCB_LENGTH = "dns.svcb.svcparam.value.length" Uint;
    SVCB_VALUE = "dns.svcb.svcparam.value" Bytes;
    SVCB_MANDATORY = "dns.svcb.svcparam.mandatory.key" Uint;
    SVCB_ALPN_LENGTH = "dns.svcb.svcparam.alpn.length" Uint;
    SVCB_ALPN = "dns.svcb.svcparam.alpn" Text;
    SVCB_PORT = "dns.svcb.svcparam.port" Uint;
    SVCB_IPV4HINT = "dns.svcb.svcparam.ipv4hint.ip" Ipv4;
    SVCB_ECH = "dns.svcb.svcparam.echconfig" Bytes;
    SVCB_IPV6HINT = "dns.svcb.svcparam.ipv6hint.ip" Ipv6;
    CAA_FLAGS = "dns.caa.flags" Hex;
    CAA_CRITICAL = "dns.caa.flags.issuer_critical" Bool;
    CAA_RESERVED = "dns.caa.flags.reserved" Uint;
    CAA_TAG_LENGTH = "dns.caa.tag_length" Uint;
    CAA_TAG = "dns.caa.tag" Text;
    CAA_VALUE = "dns.caa.value" Text;
    // EDNS (RFC 6891).
    UDP_PAYLOAD_SIZE = "dns.rr.udp_payload_size" Uint;
    EXT_RCODE = "dns.resp.ext_rcode" Hex;
    EDNS0_VERSION = "dns.resp.edns0_version" Uint;
    EDNS_Z = "dns.resp.z" Hex;
    EDNS_DO = "dns.resp.z.do" Bool;
    EDNS_RESERVED = "dns.resp.z.reserved" Hex;
    OPT = "dns.opt" Group;
    OPT_CODE = "dns.opt.code" Uint;
    OPT_LEN = "dns.opt.len" Uint;
    OPT_DATA = "dns.opt.data" Bytes;
    OPT_CLIENT_FAMILY = "dns.opt.client.family" Uint;
    OPT_CLIENT_NETMASK = "dns.opt.client.netmask" Uint;
    OPT_CLIENT_SCOPE = "dns.opt.client.scope" Uint;
    OPT_CLIENT_ADDR = "dns.opt.client.addr" Bytes;
    OPT_COOKIE_CLIENT = "dns.opt.cookie.client" Bytes;
    OPT_COOKIE_SERVER = "dns.opt.cookie.server" Bytes;
    OPT_PADDING = "dns.opt.padding" Bytes;
    OPT_ERROR_CODE = "dns.opt.ext_error.info_code" Uint;
    OPT_ERROR_TEXT = "dns.opt.ext_error.extra_text" Text;
    DATA = "dns.data" Bytes;
}

/// Domain Name System, a message in a datagram. On two ports of their own it names the hosts of a link, without a server:
/// multicast DNS (RFC 6762) and LLMNR (RFC 4795).
pub static PROTOCOL: Protocol = Protocol {
    def: &DNS,
    fields: &[FIELDS],
    binds: &[
        Bind::UdpPort(53),
        Bind::UdpPort(MULTICAST),
        Bind::UdpPort(5355),
    ],
    decode: Decode::Packet(datagram),
};

/// The same on a stream.
pub static OVER_TCP: Protocol = Protocol {
    def: &DNS,
    fields: &[],
    binds: &[Bind::TcpPort(53)],
    decode: Decode::Stream(Stream {
        next,
        decode: segment,
        recognise,
        part: None,
    }),
};

const MULTICAST: u16 = 5353;
const HEADER_LEN: usize = 12;

/// The types of records that are taken apart.
mod kind {
    pub(super) const A: u16 = 1;
    pub(super) const NS: u16 = 2;
    pub(super) const CNAME: u16 = 5;
    pub(super) const SOA: u16 = 6;
    pub(super) const PTR: u16 = 12;
    pub(super) const MX: u16 = 15;
    pub(super) const TXT: u16 = 16;
    pub(super) const AAAA: u16 = 28;
    pub(super) const SRV: u16 = 33;
    pub(super) const DNAME: u16 = 39;
    pub(super) const OPT: u16 = 41;
    pub(super) const SVCB: u16 = 64;
    pub(super) const HTTPS: u16 = 65;
    pub(super) const CAA: u16 = 257;
}

/// Where a message starts, and whether it is one of multicast DNS.
#[derive(Clone, Copy)]
struct Message {
    start: usize,
    multicast: bool,
}

fn datagram(c: &mut Cursor<'_, '_>) -> Read<Next> {
    let ports = c.context.datagram.unwrap_or_default();
    let multicast = ports.0 == MULTICAST || ports.1 == MULTICAST;
    message(c, multicast)?;
    Ok(Next::End)
}

/// The message ends where its length says.
fn next(bytes: &[u8], _: usize, _: &mut Talk) -> Framing {
    match length(bytes) {
        Some(len) if len < HEADER_LEN => Framing::NotMine,
        Some(len) if bytes.len() >= 2 + len => Framing::Whole(2 + len),
        _ => Framing::More,
    }
}

fn length(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(..2)?.try_into().ok()?;
    Some(usize::from(u16::from_be_bytes(length)))
}

/// A length, and behind it a header: no more is known of a port's first bytes.
fn recognise(bytes: &[u8]) -> bool {
    length(bytes).is_none_or(|len| len >= HEADER_LEN) && bytes.len() > 1
}

fn segment(c: &mut Cursor<'_, '_>) -> Read<()> {
    c.u16(&LENGTH)?;
    message(c, false)
}

fn message(c: &mut Cursor<'_, '_>, multicast: bool) -> Read<()> {
    let message = Message {
        start: c.position(),
        multicast,
    };
    c.u16(&ID)?;
    c.group(&FLAGS, flags)?;
    let questions = c.u16(&COUNT_QUERIES)?;
    let mut records = 0;
    for count in [&COUNT_ANSWERS, &COUNT_AUTH_RR, &COUNT_ADD_RR] {
        records += u32::from(c.u16(count)?);
    }
    for _ in 0..questions {
        c.group(&QUESTION, |c| question(c, message))?;
    }
    for _ in 0..records {
        match record_len(c.ahead()) {
            Some(len) => c.sub(&RECORD, len, |c| record(c, message)).map(drop)?,
            None => c.group(&RECORD, |c| record(c, message))?,
        }
    }
    if c.left() > 0 {
        c.record(c.stop(&DNS, Why::Trailing, 0));
    }
    Ok(())
}

/// The sixteen bits of RFC 1035, section 4.1.1, with the two of RFC 4035, section 3. Some mean something only in a
/// response.
fn flags(c: &mut Cursor<'_, '_>) -> Read<()> {
    let response = c.flag(&RESPONSE)?;
    let of_response = |def: &'static FieldDef| if response { def } else { &UNUSED };
    c.bits(&OPCODE, 4)?;
    c.bits(of_response(&AUTHORITATIVE), 1)?;
    c.flag(&TRUNCATED)?;
    c.flag(&RECDESIRED)?;
    c.bits(of_response(&RECAVAIL), 1)?;
    c.flag(&Z)?;
    // RFC 6840, section 5.7: in a query the bit asks to be told.
    let asks = c.ahead().first().is_some_and(|byte| byte & 0x20 != 0);
    c.bits(
        if asks {
            &AUTHENTICATED
        } else {
            of_response(&AUTHENTICATED)
        },
        1,
    )?;
    c.flag(&CHECKDISABLE)?;
    c.bits(of_response(&RCODE), 4)?;
    Ok(())
}

fn question(c: &mut Cursor<'_, '_>, message: Message) -> Read<()> {
    let name = name(c, &QRY_NAME, message)?;
    let (mut len, mut labels) = (0, 0);
    for label in name.labels() {
        len += label.len() as u64 + 1;
        labels += 1;
    }
    c.note(&QRY_NAME_LEN, Fact::Uint(u64::saturating_sub(len, 1)));
    c.note(&COUNT_LABELS, Fact::Uint(labels));
    c.u16(&QRY_TYPE)?;
    class(c, &QRY_QU, &QRY_CLASS, message)
}

/// In multicast DNS the top bit of the class has a meaning of its own (RFC 6762, section 18.12 and 18.13).
fn class(
    c: &mut Cursor<'_, '_>,
    top: &'static FieldDef,
    class: &'static FieldDef,
    message: Message,
) -> Read<()> {
    if message.multicast {
        c.flag(top)?;
        c.bits(class, 15)?;
    } else {
        c.u16(class)?;
    }
    Ok(())
}

/// How many bytes of a name stand here, up to the zero or the pointer that ends it (RFC 1035, section 4.1.4). What has no
/// end in these bytes, or is no name, has none.
fn name_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let first = *bytes.get(at)?;
        match first >> 6 {
            0 if first == 0 => return Some(at + 1),
            0 => at += 1 + usize::from(first),
            3 => return (at + 2 <= bytes.len()).then_some(at + 2),
            _ => return None,
        }
    }
}

/// A name. One whose place is known but which is none (it is too long, or its pointers do not lead backwards) is recorded,
/// and what follows can still be read.
fn name<'b>(c: &mut Cursor<'b, '_>, def: &'static FieldDef, message: Message) -> Read<Name<'b>> {
    let ahead = c.ahead();
    let Some(len) = name_len(ahead) else {
        // Either it goes on behind the end, or a length byte has bits that no name has.
        let mut at = 0;
        while let Some(first) = ahead.get(at).filter(|first| **first >> 6 == 0) {
            at += 1 + usize::from(*first);
        }
        return Err(match ahead.get(at) {
            Some(first) if first >> 6 != 3 => c.stop(def, Why::Value, 0),
            _ => c.missing(def, at.max(ahead.len()) + 1),
        });
    };
    let stop = c.stop(def, Why::Value, 0);
    let name = c.name(def, message.start, len)?;
    if !name.is_whole() {
        c.record(stop);
    }
    Ok(name)
}

/// How long the record is that begins here, by its own lengths.
fn record_len(bytes: &[u8]) -> Option<usize> {
    let fixed = name_len(bytes)? + 10;
    Some(fixed + length(bytes.get(fixed - 2..)?)?)
}

/// A record (RFC 1035, section 4.1.3).
///
/// ```text
/// +---------------------------------------------------------------+
/// |                             Name                              |
/// +-------------------------------+-------------------------------+
/// |             Type              |             Class             |
/// +-------------------------------+-------------------------------+
/// |                         Time to Live                          |
/// +-------------------------------+-------------------------------+
/// |            Length             |           Data ...            |
/// +-------------------------------+-------------------------------+
/// ```
fn record(c: &mut Cursor<'_, '_>, message: Message) -> Read<()> {
    name(c, &RESP_NAME, message)?;
    let kind = c.u16(&RESP_TYPE)?;
    if kind == kind::OPT {
        return extension(c);
    }
    class(c, &RESP_CACHE_FLUSH, &RESP_CLASS, message)?;
    c.u32(&RESP_TTL)?;
    let len = c.u16(&RESP_LEN)?;
    if len == 0 {
        return Ok(());
    }
    let named = |c: &mut Cursor<'_, '_>, def| name(c, def, message).map(drop);
    match kind {
        kind::A => c.array::<4>(&A).map(drop),
        kind::NS => named(c, &NS),
        kind::CNAME => named(c, &CNAME),
        kind::DNAME => named(c, &DNAME),
        kind::PTR => named(c, &PTR),
        kind::AAAA => c.array::<16>(&AAAA).map(drop),
        kind::SOA => {
            named(c, &SOA_MNAME)?;
            named(c, &SOA_RNAME)?;
            let numbers = [
                &SOA_SERIAL,
                &SOA_REFRESH,
                &SOA_RETRY,
                &SOA_EXPIRE,
                &SOA_MINIMUM,
            ];
            numbers.into_iter().try_for_each(|def| c.u32(def).map(drop))
        }
        kind::MX => {
            c.u16(&MX_PREFERENCE)?;
            named(c, &MX_EXCHANGE)
        }
        kind::TXT => c.until_end(|c| string(c, &TXT_LENGTH, &TXT)),
        // RFC 2782.
        kind::SRV => {
            c.u16(&SRV_PRIORITY)?;
            c.u16(&SRV_WEIGHT)?;
            c.u16(&SRV_PORT)?;
            named(c, &SRV_TARGET)
        }
        // RFC 9460, section 2.2.
        kind::SVCB | kind::HTTPS => {
            c.u16(&SVCB_PRIORITY)?;
            named(c, &SVCB_TARGET)?;
            c.until_end(|c| {
                let len = 4 + c.ahead().get(2..).and_then(length).unwrap_or(0);
                c.sub(&SVCB_PARAM, len, service_parameter).map(drop)
            })
        }
        // RFC 8659, section 4.1.
        kind::CAA => {
            c.group(&CAA_FLAGS, |c| {
                c.flag(&CAA_CRITICAL)?;
                c.bits(&CAA_RESERVED, 7)
            })?;
            string(c, &CAA_TAG_LENGTH, &CAA_TAG)?;
            c.rest(&CAA_VALUE);
            Ok(())
        }
        _ => {
            c.rest(&DATA);
            Ok(())
        }
    }
}

/// A text with its length in the byte before it.
fn string(c: &mut Cursor<'_, '_>, length: &'static FieldDef, text: &'static FieldDef) -> Read<()> {
    let len = c.u8(length)?;
    c.bytes(text, len.into()).map(drop)
}

fn service_parameter(c: &mut Cursor<'_, '_>) -> Read<()> {
    let key = c.u16(&SVCB_KEY)?;
    c.u16(&SVCB_LENGTH)?;
    match key {
        0 => c.until_end(|c| c.u16(&SVCB_MANDATORY).map(drop)),
        1 => c.until_end(|c| string(c, &SVCB_ALPN_LENGTH, &SVCB_ALPN)),
        3 => c.u16(&SVCB_PORT).map(drop),
        4 => c.until_end(|c| c.array::<4>(&SVCB_IPV4HINT).map(drop)),
        6 => c.until_end(|c| c.array::<16>(&SVCB_IPV6HINT).map(drop)),
        5 => {
            c.rest(&SVCB_ECH);
            Ok(())
        }
        _ => {
            c.rest(&SVCB_VALUE);
            Ok(())
        }
    }
}

/// The OPT record, which uses class and time to live for something else (RFC 6891, section 6.1).
fn extension(c: &mut Cursor<'_, '_>) -> Read<()> {
    c.u16(&UDP_PAYLOAD_SIZE)?;
    c.bits(&EXT_RCODE, 8)?;
    c.u8(&EDNS0_VERSION)?;
    c.group(&EDNS_Z, |c| {
        c.flag(&EDNS_DO)?;
        c.bits(&EDNS_RESERVED, 15)
    })?;
    c.u16(&RESP_LEN)?;
    c.until_end(|c| {
        let len = 4 + c.ahead().get(2..).and_then(length).unwrap_or(0);
        c.sub(&OPT, len, option).map(drop)
    })
}

fn option(c: &mut Cursor<'_, '_>) -> Read<()> {
    let code = c.u16(&OPT_CODE)?;
    let len = usize::from(c.u16(&OPT_LEN)?);
    if len == 0 {
        return Ok(());
    }
    if !matches!(code, 8 | 10 | 12 | 15) {
        return c.bytes(&OPT_DATA, len).map(drop);
    }
    c.sub(&OPT_DATA, len, |c| {
        match code {
            // The client's subnet (RFC 7871, section 6): of the address only as many bytes as the mask covers.
            8 => {
                c.u16(&OPT_CLIENT_FAMILY)?;
                c.u8(&OPT_CLIENT_NETMASK)?;
                c.u8(&OPT_CLIENT_SCOPE)?;
                c.rest(&OPT_CLIENT_ADDR);
            }
            // Cookies (RFC 7873, section 4).
            10 => {
                c.bytes(&OPT_COOKIE_CLIENT, 8)?;
                c.rest(&OPT_COOKIE_SERVER);
            }
            // Padding (RFC 7830).
            12 => drop(c.rest(&OPT_PADDING)),
            // Extended errors (RFC 8914, section 2).
            15 => {
                c.u16(&OPT_ERROR_CODE)?;
                c.rest(&OPT_ERROR_TEXT);
            }
            _ => {}
        }
        Ok(())
    })
    .map(drop)
}

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may fail by panicking"
)]
mod tests;
