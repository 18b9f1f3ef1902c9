//! The Internet Protocol, version 6 (RFC 8200): the fixed header, and the extension headers that may follow it.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------+-----------+---+---------------------------------------+
//! |Version|   DSCP    |ECN|              Flow Label               |
//! +-------+-----------+---+-------+---------------+---------------+
//! |        Payload Length         |  Next Header  |   Hop Limit   |
//! +-------------------------------+---------------+---------------+
//! |                                                               |
//! |                        Source Address                         |
//! |                                                               |
//! |                                                               |
//! +---------------------------------------------------------------+
//! |                                                               |
//! |                      Destination Address                      |
//! |                                                               |
//! |                                                               |
//! +---------------------------------------------------------------+
//! |       Extension headers, each naming the one after it         |
//! +---------------------------------------------------------------+
//! ```

use std::net::IpAddr;

use super::{Bind, Decode, Next, Protocol};
use crate::cursor::{Cursor, Read};
use crate::packet::{FieldDef, Why};

fields! {
    IPV6 = "ipv6" Layer;
    VERSION = "ipv6.version" Uint;
    TCLASS = "ipv6.tclass" Hex;
    TCLASS_DSCP = "ipv6.tclass.dscp" Uint;
    TCLASS_ECN = "ipv6.tclass.ecn" Uint;
    FLOW = "ipv6.flow" Hex;
    PLEN = "ipv6.plen" Uint;
    NXT = "ipv6.nxt" Uint;
    HLIM = "ipv6.hlim" Uint;
    SRC = "ipv6.src" Ipv6;
    DST = "ipv6.dst" Ipv6;
    // Hop-by-hop and destination options.
    HOPOPTS = "ipv6.hopopts" Group;
    HOPOPTS_NXT = "ipv6.hopopts.nxt" Uint;
    HOPOPTS_LEN = "ipv6.hopopts.len" Uint;
    DSTOPTS = "ipv6.dstopts" Group;
    DSTOPTS_NXT = "ipv6.dstopts.nxt" Uint;
    DSTOPTS_LEN = "ipv6.dstopts.len" Uint;
    OPT = "ipv6.opt" Group;
    OPT_TYPE = "ipv6.opt.type" Hex;
    OPT_TYPE_ACTION = "ipv6.opt.type.action" Uint;
    OPT_TYPE_CHANGE = "ipv6.opt.type.change" Bool;
    OPT_TYPE_REST = "ipv6.opt.type.rest" Hex;
    OPT_LENGTH = "ipv6.opt.length" Uint;
    OPT_PADN = "ipv6.opt.padn" Bytes;
    OPT_TEL = "ipv6.opt.tel" Uint;
    OPT_ROUTER_ALERT = "ipv6.opt.router_alert" Uint;
    OPT_JUMBO = "ipv6.opt.jumbo" Uint;
    OPT_HOME_ADDRESS = "ipv6.opt.mipv6.home_address" Ipv6;
    OPT_UNKNOWN = "ipv6.opt.unknown" Bytes;
    // Routing.
    ROUTING = "ipv6.routing" Group;
    ROUTING_NXT = "ipv6.routing.nxt" Uint;
    ROUTING_LEN = "ipv6.routing.len" Uint;
    ROUTING_TYPE = "ipv6.routing.type" Uint;
    ROUTING_SEGLEFT = "ipv6.routing.segleft" Uint;
    ROUTING_SRC_RESERVED = "ipv6.routing.src.reserved" Bytes;
    ROUTING_SRC_ADDR = "ipv6.routing.src.addr" Ipv6;
    ROUTING_MIPV6_RESERVED = "ipv6.routing.mipv6.reserved" Bytes;
    ROUTING_MIPV6_HOME_ADDRESS = "ipv6.routing.mipv6.home_address" Ipv6;
    ROUTING_SRH_LAST_ENTRY = "ipv6.routing.srh.last_entry" Uint;
    ROUTING_SRH_FLAGS = "ipv6.routing.srh.flags" Hex;
    ROUTING_SRH_TAG = "ipv6.routing.srh.tag" Hex;
    ROUTING_SRH_ADDR = "ipv6.routing.srh.addr" Ipv6;
    ROUTING_SRH_TLV = "ipv6.routing.srh.tlv" Group;
    ROUTING_SRH_TLV_TYPE = "ipv6.routing.srh.tlv.type" Uint;
    ROUTING_SRH_TLV_LEN = "ipv6.routing.srh.tlv.len" Uint;
    ROUTING_SRH_TLV_VALUE = "ipv6.routing.srh.tlv.value" Bytes;
    ROUTING_UNKNOWN_DATA = "ipv6.routing.unknown_data" Bytes;
    // Fragment.
    FRAGHDR = "ipv6.fraghdr" Group;
    FRAGHDR_NXT = "ipv6.fraghdr.nxt" Uint;
    FRAGHDR_RESERVED_OCTET = "ipv6.fraghdr.reserved_octet" Hex;
    FRAGHDR_OFFSET = "ipv6.fraghdr.offset" Uint;
    FRAGHDR_RESERVED_BITS = "ipv6.fraghdr.reserved_bits" Uint;
    FRAGHDR_MORE = "ipv6.fraghdr.more" Bool;
    FRAGHDR_IDENT = "ipv6.fraghdr.ident" Hex;
    // Authentication (RFC 4302).
    AH = "ah" Group;
    AH_NEXT_HEADER = "ah.next_header" Uint;
    AH_LENGTH = "ah.length" Uint;
    AH_RESERVED = "ah.reserved" Bytes;
    AH_SPI = "ah.spi" Hex;
    AH_SEQUENCE = "ah.sequence" Uint;
    AH_ICV = "ah.icv" Bytes;
}

/// Internet Protocol, version 6.
pub static PROTOCOL: Protocol = Protocol {
    def: &IPV6,
    fields: &[FIELDS],
    binds: &[Bind::IpVersion(6), Bind::IpProtocol(41)],
    decode: Decode::Packet(decode),
};

/// The most extension headers that are followed in one packet. RFC 8200 (section 4.1) expects each at most once, and
/// destination options twice.
pub const MAX_EXTENSIONS: usize = 16;

/// The numbers of the extension headers, in the registry they share with the protocols above IP.
mod next_header {
    pub(super) const HOP_BY_HOP: u8 = 0;
    pub(super) const ROUTING: u8 = 43;
    pub(super) const FRAGMENT: u8 = 44;
    pub(super) const AUTHENTICATION: u8 = 51;
    pub(super) const NONE: u8 = 59;
    pub(super) const DESTINATION: u8 = 60;
}

/// What the extension headers change in the meaning of the packet.
struct Found {
    /// Source and destination, as the checksums above IP take them.
    src: [u8; 16],
    dst: [u8; 16],
    /// The payload length of the fixed header.
    plen: usize,
    /// The length a jumbo payload option gives, from the end of the fixed header.
    jumbo: Option<u32>,
    /// Whether this is only a part of a packet.
    fragment: bool,
}

fn decode(c: &mut Cursor<'_, '_>) -> Read<Next> {
    let version = c.bits(&VERSION, 4)?;
    if version != 6 {
        return Err(c.stop(&VERSION, Why::Value, 0));
    }
    c.group(&TCLASS, |c| {
        c.bits(&TCLASS_DSCP, 6)?;
        c.bits(&TCLASS_ECN, 2)
    })?;
    c.bits(&FLOW, 20)?;
    let plen = usize::from(c.u16(&PLEN)?);
    let mut next = c.u8(&NXT)?;
    c.u8(&HLIM)?;
    let src = c.array::<16>(&SRC)?;
    let dst = c.array::<16>(&DST)?;
    let mut found = Found {
        src,
        dst,
        plen,
        jumbo: None,
        fragment: false,
    };

    let start = c.position();
    let mut payload = plen;
    if plen == 0 && next != next_header::NONE {
        // Zero stands before a jumbo payload (RFC 2675, section 2), or is what a sender leaves to its network card to
        // fill in (segmentation offload). Either way the frame itself says how much there is, until an option does.
        payload = c.left();
    }
    claim(c, &PLEN, payload);

    let mut extensions = 0;
    while let Some(extension) = extension(next) {
        // RFC 8200, section 4.1: hop-by-hop options stand directly after the fixed header or nowhere.
        if next == next_header::HOP_BY_HOP && extensions > 0 {
            return Err(c.stop(&HOPOPTS, Why::Value, 0));
        }
        if extensions == MAX_EXTENSIONS {
            return Err(c.stop(extension.def, Why::Cap, 0));
        }
        extensions += 1;
        let ahead = c.ahead();
        next = ahead.first().copied().unwrap_or(next);
        let len = (extension.len)(ahead.get(1).copied().unwrap_or(0));
        c.sub(extension.def, len, |c| (extension.read)(c, &mut found))?;
        if let Some(jumbo) = found.jumbo.take() {
            payload = jumbo as usize;
            claim(c, &OPT_JUMBO, payload.saturating_sub(c.position() - start));
        }
        if found.fragment {
            break;
        }
    }

    c.context.addresses = Some((IpAddr::from(found.src), IpAddr::from(found.dst)));
    c.context.payload = payload.saturating_sub(c.position() - start) as u32;
    Ok(match next {
        _ if found.fragment => Next::Data,
        next_header::NONE => Next::End,
        _ => Next::Payload(Bind::IpProtocol(next)),
    })
}

/// Holds the rest of the header to `len` more bytes, and records it if there are not that many.
fn claim(c: &mut Cursor<'_, '_>, def: &'static FieldDef, len: usize) {
    if len > c.left() {
        c.record(c.missing(def, len));
    }
    c.limit(len);
}

/// One kind of extension header.
struct Extension {
    def: &'static FieldDef,
    /// From its second byte: how long it is, in bytes.
    len: fn(u8) -> usize,
    read: fn(&mut Cursor<'_, '_>, &mut Found) -> Read<()>,
}

/// The extension header with that number; `None` for what ends the chain: an upper layer, or one that hides the rest.
fn extension(number: u8) -> Option<&'static Extension> {
    static HOP_BY_HOP: Extension = Extension {
        def: &HOPOPTS,
        len: in_eights,
        read: |c, found| options(c, &HOPOPTS_NXT, &HOPOPTS_LEN, found),
    };
    static DESTINATION: Extension = Extension {
        def: &DSTOPTS,
        len: in_eights,
        read: |c, found| options(c, &DSTOPTS_NXT, &DSTOPTS_LEN, found),
    };
    static ROUTE: Extension = Extension {
        def: &ROUTING,
        len: in_eights,
        read: routing,
    };
    static FRAGMENT: Extension = Extension {
        def: &FRAGHDR,
        len: |_| 8,
        read: fragment,
    };
    static AUTHENTICATION: Extension = Extension {
        def: &AH,
        // RFC 4302, section 2.2: in units of 4 bytes, less 2.
        len: |len| (usize::from(len) + 2) * 4,
        read: authentication,
    };
    match number {
        next_header::HOP_BY_HOP => Some(&HOP_BY_HOP),
        next_header::DESTINATION => Some(&DESTINATION),
        next_header::ROUTING => Some(&ROUTE),
        next_header::FRAGMENT => Some(&FRAGMENT),
        next_header::AUTHENTICATION => Some(&AUTHENTICATION),
        _ => None,
    }
}

/// Most extension headers give their length in units of 8 bytes, the first 8 not counted.
fn in_eights(len: u8) -> usize {
    (usize::from(len) + 1) * 8
}

/// Hop-by-hop and destination options (RFC 8200, sections 4.2, 4.3 and 4.6).
///
/// ```text
/// +---------------+---------------+---------------+---------------+
/// |  Next Header  |    Length     |   Options, filling up to a    |
/// +---------------+---------------+                               +
/// |                       multiple of 8 bytes                     |
/// +---------------------------------------------------------------+
/// ```
fn options(
    c: &mut Cursor<'_, '_>,
    nxt: &'static FieldDef,
    len: &'static FieldDef,
    found: &mut Found,
) -> Read<()> {
    c.u8(nxt)?;
    c.u8(len)?;
    while let Some(&kind) = c.ahead().first() {
        if kind == 0 {
            // Pad1 is one byte, without length or data.
            c.group(&OPT, option_type)?;
        } else {
            let len = 2 + c.ahead().get(1).map_or(0, |len| usize::from(*len));
            c.sub(&OPT, len, |c| option(c, kind, found))?;
        }
    }
    Ok(())
}

fn option_type(c: &mut Cursor<'_, '_>) -> Read<()> {
    c.group(&OPT_TYPE, |c| {
        c.bits(&OPT_TYPE_ACTION, 2)?;
        c.flag(&OPT_TYPE_CHANGE)?;
        c.bits(&OPT_TYPE_REST, 5)?;
        Ok(())
    })
}

fn option(c: &mut Cursor<'_, '_>, kind: u8, found: &mut Found) -> Read<()> {
    option_type(c)?;
    c.u8(&OPT_LENGTH)?;
    match kind {
        // PadN.
        0x01 => {
            c.rest(&OPT_PADN);
        }
        // Tunnel encapsulation limit (RFC 2473, section 4.1.1).
        0x04 => {
            c.u8(&OPT_TEL)?;
        }
        // Router alert (RFC 2711, section 2.1).
        0x05 => {
            c.u16(&OPT_ROUTER_ALERT)?;
        }
        // Jumbo payload (RFC 2675, sections 2 and 3), only for what the 16 bits of the payload length cannot say, which
        // are then zero.
        0xc2 => {
            let jumbo = c.u32(&OPT_JUMBO)?;
            if found.plen != 0 {
                return Err(c.stop(&OPT_JUMBO, Why::Length, 0));
            }
            if jumbo <= u32::from(u16::MAX) {
                return Err(c.stop(&OPT_JUMBO, Why::Value, 0));
            }
            found.jumbo = Some(jumbo);
        }
        // Home address (RFC 6275, section 6.3): where the sender really belongs, which the layers above go by.
        0xc9 => found.src = c.array(&OPT_HOME_ADDRESS)?,
        _ => {
            c.rest(&OPT_UNKNOWN);
        }
    }
    Ok(())
}

/// A routing header (RFC 8200, section 4.4): addresses to pass on the way.
///
/// ```text
/// +---------------+---------------+---------------+---------------+
/// |  Next Header  |    Length     | Routing Type  | Segments Left |
/// +---------------+---------------+---------------+---------------+
/// |                      what the type says                       |
/// +---------------------------------------------------------------+
/// ```
///
/// As long as segments are left, the destination in the fixed header is only the next stop; the one that counts for the
/// checksums above is the last (RFC 8200, section 8.1).
fn routing(c: &mut Cursor<'_, '_>, found: &mut Found) -> Read<()> {
    c.u8(&ROUTING_NXT)?;
    c.u8(&ROUTING_LEN)?;
    let kind = c.u8(&ROUTING_TYPE)?;
    let segments_left = c.u8(&ROUTING_SEGLEFT)?;
    let mut last = None;
    match kind {
        // The source route of RFC 2460, section 4.4, withdrawn by RFC 5095: the last address is the destination.
        0 => {
            c.bytes(&ROUTING_SRC_RESERVED, 4)?;
            c.until_end(|c| {
                last = Some(c.array(&ROUTING_SRC_ADDR)?);
                Ok(())
            })?;
        }
        // Mobile IPv6 (RFC 6275, section 6.4): one address, the home of a node that is elsewhere.
        2 => {
            c.bytes(&ROUTING_MIPV6_RESERVED, 4)?;
            last = Some(c.array(&ROUTING_MIPV6_HOME_ADDRESS)?);
        }
        // Segment routing (RFC 8754, section 2): the list stands backwards, so the first address is the destination.
        4 => {
            let last_entry = c.u8(&ROUTING_SRH_LAST_ENTRY)?;
            c.bits(&ROUTING_SRH_FLAGS, 8)?;
            c.u16(&ROUTING_SRH_TAG)?;
            for _ in 0..=last_entry {
                let address = c.array(&ROUTING_SRH_ADDR)?;
                last = last.or(Some(address));
            }
            c.until_end(segment_routing_tlv)?;
        }
        _ => {
            c.rest(&ROUTING_UNKNOWN_DATA);
        }
    }
    if let (1.., Some(last)) = (segments_left, last) {
        found.dst = last;
    }
    Ok(())
}

/// What may follow the segment list (RFC 8754, section 2.1): a type, a length (but for Pad1), a value.
fn segment_routing_tlv(c: &mut Cursor<'_, '_>) -> Read<()> {
    let ahead = c.ahead();
    if ahead.first() == Some(&0) {
        return c
            .group(&ROUTING_SRH_TLV, |c| c.u8(&ROUTING_SRH_TLV_TYPE))
            .map(drop);
    }
    let len = 2 + ahead.get(1).map_or(0, |len| usize::from(*len));
    c.sub(&ROUTING_SRH_TLV, len, |c| {
        c.u8(&ROUTING_SRH_TLV_TYPE)?;
        c.u8(&ROUTING_SRH_TLV_LEN)?;
        c.rest(&ROUTING_SRH_TLV_VALUE);
        Ok(())
    })
    .map(drop)
}

/// The fragment header (RFC 8200, section 4.5).
///
/// ```text
/// +---------------+---------------+-------------------------+---+-+
/// |  Next Header  |   Reserved    |     Fragment Offset     |Res|M|
/// +---------------+---------------+-------------------------+---+-+
/// |                        Identification                         |
/// +---------------------------------------------------------------+
/// ```
fn fragment(c: &mut Cursor<'_, '_>, found: &mut Found) -> Read<()> {
    c.u8(&FRAGHDR_NXT)?;
    c.u8(&FRAGHDR_RESERVED_OCTET)?;
    let offset = c.bits(&FRAGHDR_OFFSET, 13)?;
    c.bits(&FRAGHDR_RESERVED_BITS, 2)?;
    let more = c.flag(&FRAGHDR_MORE)?;
    c.u32(&FRAGHDR_IDENT)?;
    found.fragment = more || offset > 0;
    Ok(())
}

/// The authentication header (RFC 4302, section 2).
///
/// ```text
/// +---------------+---------------+-------------------------------+
/// |  Next Header  |    Length     |           Reserved            |
/// +---------------+---------------+-------------------------------+
/// |                 Security Parameters Index (SPI)               |
/// +---------------------------------------------------------------+
/// |                        Sequence Number                        |
/// +---------------------------------------------------------------+
/// |           Integrity Check Value, 4-byte units, padded         |
/// +---------------------------------------------------------------+
/// ```
fn authentication(c: &mut Cursor<'_, '_>, _: &mut Found) -> Read<()> {
    c.u8(&AH_NEXT_HEADER)?;
    c.u8(&AH_LENGTH)?;
    c.bytes(&AH_RESERVED, 2)?;
    c.u32(&AH_SPI)?;
    c.u32(&AH_SEQUENCE)?;
    c.rest(&AH_ICV);
    Ok(())
}
