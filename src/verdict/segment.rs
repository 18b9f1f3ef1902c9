//! A packet as a host looks at it: each check in its turn, and what TCP needs of it.

use std::net::Ipv4Addr;

use etherparse::checksum::Sum16BitWords;

use super::Check;
use crate::packet;
use crate::wire::{Host, Link};

/// What TCP needs of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(super) ports: (u16, u16),
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) flags: u16,
    pub(super) window: u16,
    /// The shift of the window scale option.
    pub(super) shift: Option<u8>,
    /// Whether it has blocks of a selective acknowledgment.
    pub(super) sack: bool,
    /// How many bytes of data.
    pub(super) len: u32,
}

impl Segment {
    /// Whether all of these flags are set.
    pub(super) fn has(&self, flags: u16) -> bool {
        self.flags & flags == flags
    }

    pub(super) fn syn(&self) -> bool {
        self.has(packet::Segment::SYN)
    }

    pub(super) fn rst(&self) -> bool {
        self.has(packet::Segment::RST)
    }

    pub(super) fn acks(&self) -> bool {
        self.has(packet::Segment::ACK)
    }

    /// Whether it is the sender's end and no more.
    pub(super) fn is_fin_alone(&self) -> bool {
        self.len == 0 && self.has(packet::Segment::FIN)
    }

    /// How much of the sequence space it takes: SYN and FIN take one each.
    pub(crate) fn space(&self) -> u32 {
        let marks = [packet::Segment::SYN, packet::Segment::FIN];
        self.len + marks.iter().filter(|mark| self.has(**mark)).count() as u32
    }

    /// The sequence number behind it.
    pub(super) fn end(&self) -> u32 {
        self.seq.wrapping_add(self.space())
    }

    /// Whether it has the byte (or mark) with this number.
    pub(super) fn covers(&self, seq: u32) -> bool {
        seq.wrapping_sub(self.seq) < self.space()
    }
}

/// Whether `a` is behind `b`, where numbers go round (RFC 9293, section 3.4).
pub(crate) fn after(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).cast_signed() > 0
}

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;

/// A frame from its IP header on.
pub(super) fn ip(bytes: &[u8], link: Link) -> &[u8] {
    match link {
        Link::Ip => bytes,
        Link::Ethernet => bytes.get(ETHERNET..).unwrap_or(&[]),
    }
}

/// Reads a packet as `to` does; where it is sent is checked, too.
pub(crate) fn read(bytes: &[u8], link: Link, to: Host) -> Result<Segment, Check> {
    if link == Link::Ethernet && bytes.get(12..14) != Some(&[8, 0]) {
        return Err(Check::IpVersion);
    }
    let bytes = ip(bytes, link);
    let first = *bytes.first().ok_or(Check::IpLength)?;
    if first >> 4 != 4 {
        return Err(Check::IpVersion);
    }
    let header_len = usize::from(first & 15) * 4;
    let total = usize::from(word(bytes, 2).ok_or(Check::IpLength)?);
    let header = bytes.get(..header_len).filter(|header| header.len() >= 20);
    let header = header.ok_or(Check::IpLength)?;
    // In Linux's order: a length is believed only when the header is whole.
    if Sum16BitWords::new().add_slice(header).ones_complement() != 0 {
        return Err(Check::IpChecksum);
    }
    if total < header_len || total > bytes.len() {
        return Err(Check::IpLength);
    }
    let address = |at: usize| -> Option<Ipv4Addr> {
        let four: [u8; 4] = *header.get(at..)?.first_chunk()?;
        Some(four.into())
    };
    if address(16) != Some(to.address()) {
        return Err(Check::IpAddress);
    }
    // More fragments, or not the first one.
    if word(header, 6).ok_or(Check::IpLength)? & 0x3fff != 0 {
        return Err(Check::IpFragment);
    }
    if header.get(9) != Some(&6) {
        return Err(Check::IpProtocol);
    }
    let segment = bytes.get(header_len..total).ok_or(Check::IpLength)?;
    let sum = Sum16BitWords::new()
        .add_slice(header.get(12..20).unwrap_or(&[]))
        .add_2bytes([0, 6])
        .add_4bytes((segment.len() as u32).to_be_bytes())
        .add_slice(segment);
    let segment = tcp(segment, sum.ones_complement() == 0)?;
    if address(12) != Some(to.other().address()) {
        return Err(Check::TcpPort);
    }
    Ok(segment)
}

fn tcp(bytes: &[u8], fits: bool) -> Result<Segment, Check> {
    let header_len = usize::from(bytes.get(12).ok_or(Check::TcpLength)? >> 4) * 4;
    let header = bytes.get(..header_len).filter(|header| header.len() >= 20);
    let header = header.ok_or(Check::TcpLength)?;
    if !fits {
        return Err(Check::TcpChecksum);
    }
    let short = |at: usize| word(header, at).ok_or(Check::TcpLength);
    let long = |at: usize| Ok(u32::from(short(at)?) << 16 | u32::from(short(at + 2)?));
    let (mut shift, mut sack) = (None, false);
    let mut options = header.get(20..).unwrap_or(&[]);
    // RFC 9293, section 3.1: kind, length, data; 0 ends them, 1 fills up.
    while let [kind, rest @ ..] = options {
        match (kind, rest) {
            (0, _) => break,
            (1, _) => options = rest,
            (kind, [len, data @ ..]) => {
                let Some(data_len) = usize::from(*len).checked_sub(2) else {
                    break;
                };
                match (kind, data) {
                    (3, [by, ..]) => shift = Some((*by).min(14)),
                    (5, _) => sack = true,
                    _ => {}
                }
                options = data.get(data_len..).unwrap_or(&[]);
            }
            _ => break,
        }
    }
    Ok(Segment {
        ports: (short(0)?, short(2)?),
        seq: long(4)?,
        ack: long(8)?,
        flags: short(12)? & 0x1ff,
        window: short(14)?,
        shift,
        sack,
        len: (bytes.len() - header_len) as u32,
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}
