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
use crate::packet::{FieldDef, Fragment, Why};

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
    FRAGMENT_DATA = "ipv6.fragment_data" Bytes;
    // What only the other fragments tell (see crate::flow::fragment).
    FRAGMENT = "ipv6.fragment" Uint;
    FRAGMENT_COUNT = "ipv6.fragment.count" Uint;
    FRAGMENT_OVERLAP = "ipv6.fragment.overlap" Bool;
    FRAGMENT_OVERLAP_CONFLICT = "ipv6.fragment.overlap.conflict" Bool;
    REASSEMBLED_LENGTH = "ipv6.reassembled.length" Uint;
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
    binds: &[
        Bind::IpVersion(6),
        Bind::EtherType(0x86dd),
        Bind::IpProtocol(41),
    ],
    decode: Decode::Sized(decode, extent),
};

/// The fixed header and what it says follows; zero stands for a jumbo payload, or is left to the network card.
fn extent(bytes: &[u8]) -> Option<usize> {
    let len = bytes.get(4..6)?.try_into().ok()?;
    Some(usize::from(u16::from_be_bytes(len)))
        .filter(|len| *len > 0)
        .map(|len| 40 + len)
}

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
    /// That this is only a part of a packet: identification, offset in bytes, whether more follow.
    fragment: Option<(u32, usize, bool)>,
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
        fragment: None,
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
        if found.fragment.is_some() {
            break;
        }
    }

    c.context.addresses = Some((IpAddr::from(found.src), IpAddr::from(found.dst)));
    let payload = payload.saturating_sub(c.position() - start);
    c.context.payload = payload as u32;
    c.context.fragment = found.fragment.map(|(ident, offset, more)| Fragment {
        ident,
        offset,
        more,
        start: c.position(),
        len: payload,
        protocol: next,
    });
    Ok(match next {
        _ if found.fragment.is_some() => Next::Data,
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
    let offset = c.bits(&FRAGHDR_OFFSET, 13)? as usize * 8;
    c.bits(&FRAGHDR_RESERVED_BITS, 2)?;
    let more = c.flag(&FRAGHDR_MORE)?;
    let ident = c.u32(&FRAGHDR_IDENT)?;
    found.fragment = (more || offset > 0).then_some((ident, offset, more));
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

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may fail by panicking"
)]
mod tests {
    use super::super::ipv4::checksum_status::{BAD, GOOD, UNVERIFIED};
    use super::super::testing::{cut, decoded, hex, with_any_byte_changed};
    use super::*;
    use crate::packet::Fact;

    const SYN: &str =
        "6b91234500180640 20010db800000000000000000000000a 20010db800000000000000000000000b
        c0001f900a0b0c0d 000000006002faf0 4c1a0000 020405a0";
    /// Hop-by-hop, destination, routing, authentication and fragment header, each naming the next.
    const CHAIN: &str =
        "6001234500840040 20010db800000000000000000000000a 20010db800000000000000000000000b
        3c00 05020000 0100
        2b03 00 040103 c91020010db800000000000000000000000c de0411223344 0100
        33040001 00000000 20010db800000000000000000000000b 20010db800000000000000000000000d
        2c040000 00000100 00000007 000102030405060708090a0b
        06000000 deadbeef
        c0001f900a0b0c0d 000000005010faf0 63b00000";
    const SEGMENTS: &str =
        "60012345004c2b40 20010db800000000000000000000000a 20010db800000000000000000000000b
        06060401 01000abc 20010db800000000000000000000000d 20010db800000000000000000000000b
        05040102a0a1 00 00 040600000000 0000
        c0001f900a0b0c0d 000000005010faf0 63b20000";
    /// The fixed header alone, from A to B: payload length and next header are to be filled in.
    fn header(plen: u16, next: u8) -> Vec<u8> {
        let mut bytes = hex(
            "6001234500000040 20010db800000000000000000000000a 20010db800000000000000000000000b",
        );
        bytes[4..6].copy_from_slice(&plen.to_be_bytes());
        bytes[6] = next;
        bytes
    }

    fn packet(next: u8, payload: &str) -> Vec<u8> {
        let payload = hex(payload);
        [header(payload.len() as u16, next), payload].concat()
    }

    #[test]
    fn every_field_of_a_plain_header() {
        let d = decoded(&hex(SYN));
        assert_eq!(
            d.layer("ipv6"),
            "ipv6.version 6\nipv6.tclass 0xb9\n  ipv6.tclass.dscp 46\n  ipv6.tclass.ecn 1\n\
             ipv6.flow 0x12345\nipv6.plen 24\nipv6.nxt 6\nipv6.hlim 64\n\
             ipv6.src 2001:db8::a\nipv6.dst 2001:db8::b\n"
        );
        assert_eq!(d.layers(), ["ipv6", "tcp"]);
        assert_eq!(d.note("tcp.checksum.status"), Some(GOOD));
        assert_eq!(d.context.payload, 24);
        assert!(d.stops().is_empty() && d.gap().is_empty());
    }

    #[test]
    fn a_wrong_tcp_checksum_is_noted_with_the_right_one() {
        let mut bytes = hex(SYN);
        bytes[56] ^= 0xff;
        let d = decoded(&bytes);
        assert_eq!(d.note("tcp.checksum.status"), Some(BAD));
        assert_eq!(d.note("tcp.checksum_calculated"), Some(Fact::Uint(0x4c1a)));
    }

    #[test]
    fn a_chain_of_extension_headers_is_one_layer() {
        let d = decoded(&hex(CHAIN));
        let expected = "\
ipv6.hopopts
  ipv6.hopopts.nxt 60
  ipv6.hopopts.len 0
  ipv6.opt
    ipv6.opt.type 0x5
      ipv6.opt.type.action 0
      ipv6.opt.type.change 0
      ipv6.opt.type.rest 0x5
    ipv6.opt.length 2
    ipv6.opt.router_alert 0
  ipv6.opt
    ipv6.opt.type 0x1
      ipv6.opt.type.action 0
      ipv6.opt.type.change 0
      ipv6.opt.type.rest 0x1
    ipv6.opt.length 0
ipv6.dstopts
  ipv6.dstopts.nxt 43
  ipv6.dstopts.len 3
  ipv6.opt
    ipv6.opt.type 0x0
      ipv6.opt.type.action 0
      ipv6.opt.type.change 0
      ipv6.opt.type.rest 0x0
  ipv6.opt
    ipv6.opt.type 0x4
      ipv6.opt.type.action 0
      ipv6.opt.type.change 0
      ipv6.opt.type.rest 0x4
    ipv6.opt.length 1
    ipv6.opt.tel 3
  ipv6.opt
    ipv6.opt.type 0xc9
      ipv6.opt.type.action 3
      ipv6.opt.type.change 0
      ipv6.opt.type.rest 0x9
    ipv6.opt.length 16
    ipv6.opt.mipv6.home_address 2001:db8::c
  ipv6.opt
    ipv6.opt.type 0xde
      ipv6.opt.type.action 3
      ipv6.opt.type.change 0
      ipv6.opt.type.rest 0x1e
    ipv6.opt.length 4
    ipv6.opt.unknown 11223344
  ipv6.opt
    ipv6.opt.type 0x1
      ipv6.opt.type.action 0
      ipv6.opt.type.change 0
      ipv6.opt.type.rest 0x1
    ipv6.opt.length 0
ipv6.routing
  ipv6.routing.nxt 51
  ipv6.routing.len 4
  ipv6.routing.type 0
  ipv6.routing.segleft 1
  ipv6.routing.src.reserved 00000000
  ipv6.routing.src.addr 2001:db8::b
  ipv6.routing.src.addr 2001:db8::d
ah
  ah.next_header 44
  ah.length 4
  ah.reserved 0000
  ah.spi 0x100
  ah.sequence 7
  ah.icv 000102030405060708090a0b
ipv6.fraghdr
  ipv6.fraghdr.nxt 6
  ipv6.fraghdr.reserved_octet 0x0
  ipv6.fraghdr.offset 0
  ipv6.fraghdr.reserved_bits 0
  ipv6.fraghdr.more 0
  ipv6.fraghdr.ident 0xdeadbeef
";
        assert_eq!(
            d.layer("ipv6")
                .split_once("ipv6.dst 2001:db8::b\n")
                .unwrap()
                .1,
            expected
        );
        assert_eq!(
            d.layers(),
            ["ipv6", "tcp"],
            "a packet in one fragment is whole"
        );
        assert!(d.stops().is_empty() && d.gap().is_empty());
        assert_eq!(d.context.payload, 20);
        // Source by the home address option, destination by the routing header.
        assert_eq!(d.note("tcp.checksum.status"), Some(GOOD));
    }

    #[test]
    fn the_segment_list_stands_backwards() {
        let d = decoded(&hex(SEGMENTS));
        assert_eq!(d.one("ipv6.routing.srh.last_entry"), "1");
        assert_eq!(d.one("ipv6.routing.srh.tag"), "0xabc");
        assert_eq!(
            d.all("ipv6.routing.srh.addr"),
            ["2001:db8::d", "2001:db8::b"]
        );
        assert_eq!(d.all("ipv6.routing.srh.tlv.type"), ["5", "0", "0", "4"]);
        assert_eq!(
            d.all("ipv6.routing.srh.tlv.value"),
            ["0102a0a1", "000000000000"]
        );
        assert_eq!(d.note("tcp.checksum.status"), Some(GOOD));
        assert!(d.stops().is_empty() && d.gap().is_empty());
        // With none left the fixed header's destination is the one that counts.
        let mut bytes = hex(SEGMENTS);
        bytes[43] = 0;
        assert_eq!(decoded(&bytes).note("tcp.checksum.status"), Some(BAD));
    }

    #[test]
    fn a_segment_list_that_is_longer_than_its_header() {
        let mut bytes = hex(SEGMENTS);
        bytes[44] = 9;
        let d = decoded(&bytes);
        assert_eq!(
            d.stops(),
            [("ipv6.routing.srh.addr", 96, 16, 0, Why::Length)]
        );
        assert_eq!(d.layers(), ["ipv6", "tcp"]);
    }

    #[test]
    fn the_other_routing_headers() {
        let d = decoded(&packet(
            43,
            "06020201 00000000 20010db800000000000000000000000c c0001f900a0b0c0d000000005010faf063b30000",
        ));
        assert_eq!(d.one("ipv6.routing.mipv6.home_address"), "2001:db8::c");
        assert_eq!(d.note("tcp.checksum.status"), Some(GOOD));
        let d = decoded(&packet(
            43,
            "0601fd00 0011223344556677 8899aabb c0001f900a0b0c0d000000005010faf063b40000",
        ));
        assert_eq!(
            d.one("ipv6.routing.unknown_data"),
            "00112233445566778899aabb"
        );
        assert_eq!(d.note("tcp.checksum.status"), Some(GOOD));
    }

    #[test]
    fn a_fragment_is_not_decoded_by_itself() {
        let d = decoded(&packet(44, "060005a9deadbeef 0000000000000000"));
        assert_eq!(d.layers(), ["ipv6", "data"]);
        assert_eq!(
            d.one("ipv6.fraghdr.offset"),
            "181",
            "in units of 8 bytes, as Wireshark has it"
        );
        assert_eq!(d.one("ipv6.fraghdr.more"), "1");
        // The first one has the next header, but not all of what that announces.
        let d = decoded(&packet(44, "06000001deadbeef 0000000000000000"));
        assert_eq!(d.layers(), ["ipv6", "data"]);
        // A later fragment's next header tells what the first begins with, not what this one does.
        let d = decoded(&packet(44, "2b0005a8deadbeef 0000000000000000"));
        assert_eq!(d.layers(), ["ipv6", "data"]);
        assert_eq!(d.one("ipv6.routing.type"), "");
    }

    #[test]
    fn nothing_follows_next_header_59() {
        let d = decoded(&packet(60, "3b00010400000000 78797a"));
        assert_eq!(d.layers(), ["ipv6"]);
        assert_eq!(d.one("ipv6.opt.padn"), "00000000");
        assert_eq!(d.gap(), b"xyz");
        assert!(d.stops().is_empty());
    }

    #[test]
    fn what_is_encrypted_is_data() {
        let d = decoded(&packet(50, "0000010000000001 aabbccdd"));
        assert_eq!(d.layers(), ["ipv6", "data"]);
    }

    #[test]
    fn a_jumbo_payload() {
        let tcp = hex("c0001f900a0b0c0d000000005010faf0525f0000");
        let mut bytes = [
            header(0, 0),
            hex("0600c20400011170"),
            tcp,
            vec![0; 70_000 - 28],
        ]
        .concat();
        let d = decoded(&bytes);
        assert_eq!(d.one("ipv6.opt.jumbo"), "70000");
        assert_eq!(d.context.payload, 69_992);
        assert_eq!(d.note("tcp.len"), Some(Fact::Uint(69_972)));
        assert_eq!(d.note("tcp.checksum.status"), Some(GOOD));
        assert!(d.stops().is_empty());
        // Behind it the frame may be longer, or shorter.
        bytes.extend([0xee; 5]);
        assert!(decoded(&bytes).gap().ends_with(&[0xee; 5]));
        let d = cut(&bytes[..100], 70_045);
        assert_eq!(d.stops(), [("ipv6.opt.jumbo", 48, 69_992, 52, Why::CutOff)]);
        assert_eq!(d.note("tcp.checksum.status"), Some(UNVERIFIED));
    }

    #[test]
    fn a_jumbo_payload_that_cannot_be() {
        let small = [header(0, 0), hex("3b00c20400000008")].concat();
        assert_eq!(decoded(&small).stops()[0].4, Why::Value);
        let twice = packet(0, "3b00c20400011170");
        assert_eq!(decoded(&twice).stops()[0].4, Why::Length);
    }

    #[test]
    fn a_length_of_zero_is_a_length_left_to_the_network_card() {
        let mut bytes = hex(SYN);
        bytes[4..6].fill(0);
        let d = decoded(&bytes);
        assert_eq!(d.context.payload, 24);
        assert_eq!(d.layers(), ["ipv6", "tcp"]);
    }

    #[test]
    fn bytes_behind_the_payload_length_stay_a_gap() {
        let mut bytes = hex(SYN);
        bytes.extend([0xee; 4]);
        let d = decoded(&bytes);
        assert_eq!(d.gap(), [0xee; 4]);
        assert_eq!(d.note("tcp.checksum.status"), Some(GOOD));
    }

    #[test]
    fn cut_at_every_length() {
        for packet in [SYN, CHAIN, SEGMENTS] {
            let whole = hex(packet);
            for len in 1..whole.len() {
                let d = cut(&whole[..len], whole.len());
                assert_eq!(d.stops()[0].4, Why::CutOff, "{len} bytes");
                decoded(&whole[..len]);
            }
        }
        let whole = hex(SYN);
        assert_eq!(
            cut(&whole[..1], 64).stops()[0],
            ("ipv6.tclass.dscp", 0, 2, 1, Why::CutOff)
        );
        assert_eq!(
            cut(&whole[..5], 64).stops()[0],
            ("ipv6.plen", 4, 2, 1, Why::CutOff)
        );
        assert_eq!(
            cut(&whole[..39], 64).stops()[0],
            ("ipv6.dst", 24, 16, 15, Why::CutOff)
        );
        assert_eq!(
            cut(&whole[..40], 64).stops()[0],
            ("ipv6.plen", 40, 24, 0, Why::CutOff)
        );
    }

    #[test]
    fn lengths_that_lie() {
        // An extension header longer than the payload.
        let d = decoded(&packet(0, "0601 0104 00000000"));
        assert_eq!(d.stops(), [("ipv6.hopopts", 40, 16, 8, Why::Short)]);
        assert_eq!(d.layers(), ["ipv6"]);
        // An option longer than its header: the options end, the rest goes on.
        let d = decoded(&packet(60, "3b00 010f 00000000"));
        assert_eq!(d.stops(), [("ipv6.opt", 42, 17, 6, Why::Length)]);
        // An authentication header too short for its own fields.
        let d = decoded(&packet(51, "3b000000 00000001"));
        assert_eq!(d.stops(), [("ah.sequence", 48, 4, 0, Why::Length)]);
    }

    #[test]
    fn hop_by_hop_options_stand_first_or_nowhere() {
        let d = decoded(&packet(60, "0000010400000000 3b00010400000000"));
        assert_eq!(d.stops(), [("ipv6.hopopts", 48, 0, 8, Why::Value)]);
    }

    #[test]
    fn an_endless_chain_ends() {
        let d = decoded(&packet(60, &"3c00010400000000".repeat(100)));
        assert_eq!(d.all("ipv6.dstopts").len(), MAX_EXTENSIONS);
        assert_eq!(d.stops(), [("ipv6.dstopts", 168, 0, 672, Why::Cap)]);
    }

    #[test]
    fn ipv6_in_ipv4_and_the_other_way() {
        let inner = hex(SYN);
        let mut bytes = hex("45000054000000004029000001010101 02020202");
        bytes.extend(&inner);
        let d = decoded(&bytes);
        assert_eq!(d.layers(), ["ip", "ipv6", "tcp"]);
        assert_eq!(d.note("tcp.checksum.status"), Some(GOOD));
    }

    #[test]
    fn any_byte_changed() {
        for packet in [CHAIN, SEGMENTS] {
            with_any_byte_changed(&hex(packet));
        }
    }
}
