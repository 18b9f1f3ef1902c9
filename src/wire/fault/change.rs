//! Packets changed, cut and forged. Only bytes of packets that this program carries itself are touched.

use core::ops::Range;

use etherparse::checksum::Sum16BitWords;

use super::rule::Change;
use crate::filter::key::{Key, Source};
use crate::layers::{tcp, tls};
use crate::packet::{BufId, BufKind, Event, Field, Layer, Segment, Value};

/// Where things are in a packet: what has to be known to change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Anatomy {
    /// Where the IP header starts.
    ip: usize,
    /// Where TCP's header starts and ends.
    tcp: Option<Range<usize>>,
    /// What the segment carries, as far as it is there.
    payload: Range<usize>,
}

/// What is to be turned over in a packet: each byte is changed by exclusive or.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edit {
    /// Where the first byte is.
    pub(super) at: usize,
    /// What it and the following are changed by.
    pub(super) by: Vec<u8>,
}

impl Edit {
    /// Makes the change.
    pub(super) fn apply(&self, bytes: &mut [u8]) {
        let place = bytes.get_mut(self.at..).unwrap_or(&mut []);
        for (byte, by) in place.iter_mut().zip(&self.by) {
            *byte ^= by;
        }
    }
}

impl Anatomy {
    /// That of a decoded packet.
    pub(super) fn of(event: &Event<'_>) -> Option<Self> {
        let in_frame = |layer: &&Layer| layer.buf == BufId::FRAME;
        let named = |key: &str| {
            let mut layers = event.layers.iter().filter(in_frame);
            layers.find(|layer| layer.def.key == key)
        };
        let ip = named("ip").or_else(|| named("ipv6"))?;
        let tcp = named("tcp").map(|l| l.bytes.start as usize..l.bytes.end as usize);
        let end = event.frame.data.len();
        let payload = match (&tcp, crate::filter::key::payload(event)) {
            (Some(tcp), Some(payload)) => tcp.end..(tcp.end + payload.len()).min(end),
            (Some(tcp), None) => tcp.end.min(end)..tcp.end.min(end),
            (None, _) => end..end,
        };
        Some(Self {
            ip: ip.bytes.start as usize,
            tcp,
            payload,
        })
    }

    /// Whether it is a TCP segment.
    pub(super) fn is_tcp(&self) -> bool {
        self.tcp.is_some()
    }

    /// What the segment carries.
    pub(super) fn payload_of<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        bytes.get(self.payload.clone()).unwrap_or(&[])
    }

    /// How many bytes the segment carries.
    pub(super) fn data(&self) -> usize {
        self.payload.len()
    }
}

/// What a rule changes in a packet; `None` where the packet does not have it.
pub(super) fn edit(event: &Event<'_>, anatomy: &Anatomy, change: &Change) -> Option<Edit> {
    match change {
        Change::FlipBit(bit) => {
            let at = bit / 8;
            (at < event.frame.data.len()).then(|| Edit {
                at,
                by: vec![0x80 >> (bit % 8)],
            })
        }
        Change::FlipData => {
            let at = said(event, anatomy);
            (at < anatomy.payload.end).then(|| Edit { at, by: vec![1] })
        }
        Change::Flip(key) => {
            let (place, bits) = place(event, anatomy, key)?;
            let (first, last) = (place.bit, place.bit + bits - 1);
            // Of a number the last bit, of anything longer the last of its first byte.
            let bit = if place.number { last } else { first | 7 };
            let bit = bit.min(last);
            Some(Edit {
                at: place.at + (bit / 8 - first / 8),
                by: vec![0x80 >> (bit % 8)],
            })
        }
        Change::Set(key, written) => {
            let (place, bits) = place(event, anatomy, key)?;
            let old = place.old;
            let new = match (written.number(), written.bytes()) {
                (Some(n), _) => {
                    let n = n / place.unit;
                    let fits = bits >= 64 || n >> bits == 0;
                    fits.then(|| put(old, place.bit % 8, bits, n))??
                }
                (None, Some(bytes)) => {
                    (place.bit.is_multiple_of(8) && bytes.len() == old.len()).then_some(bytes)?
                }
                (None, None) => return None,
            };
            let by = old.iter().zip(&new).map(|(old, new)| old ^ new).collect();
            Some(Edit { at: place.at, by })
        }
        Change::Swap(key) => {
            let (at, bytes) = match key {
                Some(key) => {
                    let (place, _) = place(event, anatomy, key)?;
                    (
                        place.at,
                        event.frame.data.get(place.at..)?.get(..place.old.len())?,
                    )
                }
                None => {
                    let at = said(event, anatomy);
                    (at, event.frame.data.get(at..anatomy.payload.end)?)
                }
            };
            // The sum is over words counted from the TCP header's first byte, and from there back over the IP header's.
            let odd = at.abs_diff(anatomy.tcp.as_ref()?.start) % 2;
            let bytes = bytes.get(odd..)?;
            bytes
                .windows(4)
                .enumerate()
                .step_by(2)
                .find_map(|(i, four)| match four {
                    [a, b, c, d] if [a, b] != [c, d] => Some(Edit {
                        at: at + odd + i,
                        by: vec![a ^ c, b ^ d, c ^ a, d ^ b],
                    }),
                    _ => None,
                })
        }
    }
}

/// Where what is said begins in a segment: behind a TLS record's header, which stays, so that what is sealed is changed.
fn said(event: &Event<'_>, anatomy: &Anatomy) -> usize {
    let is_tls = event
        .layers
        .iter()
        .any(|l| core::ptr::eq(l.def, &raw const tls::TLS));
    let skip = if is_tls { 5 } else { 0 };
    anatomy.payload.start + skip.min(anatomy.data())
}

/// Where in the packet the bytes of a field are, and what they say.
struct Place<'e> {
    /// The byte of the packet in which it begins.
    at: usize,
    /// Its first bit in the buffer that it labels (of which only the place in the byte counts).
    bit: usize,
    /// Its bytes as they are to be understood: decrypted, if they are encrypted in the packet.
    old: &'e [u8],
    number: bool,
    unit: u64,
}

fn place<'e>(event: &Event<'e>, anatomy: &Anatomy, key: &Key) -> Option<(Place<'e>, usize)> {
    match &key.from {
        Source::Payload => {
            let old = event.frame.data.get(anatomy.payload.clone())?;
            let place = Place {
                at: anatomy.payload.start,
                bit: 0,
                old,
                number: false,
                unit: 1,
            };
            (!old.is_empty()).then_some((place, old.len() * 8))
        }
        Source::One(def) => event
            .fields
            .iter()
            .filter(|field| core::ptr::eq(field.def, *def) && field.bits > 0)
            .find_map(|field| {
                let old = event.field_bytes(field);
                let at = in_packet(event, field)?;
                let value = field.value(event.bytes(field.buf));
                let place = Place {
                    at,
                    bit: field.start as usize,
                    old,
                    number: matches!(value, Value::Uint(_) | Value::Bool(_)),
                    unit: field.def.kind.unit().max(1),
                };
                (!old.is_empty()).then_some((place, field.bits as usize))
            }),
        _ => None,
    }
}

/// Where in this packet the first byte of a field is, if all of it is in this packet.
///
/// A byte of an opened record stands in the packet encrypted, at the same distance from the record's start: the ciphers
/// of TLS 1.3, and GCM and ChaCha20-Poly1305 of TLS 1.2, add a stream of bytes to the content (exclusive or). So a bit
/// turned over there is turned over here.
fn in_packet(event: &Event<'_>, field: &Field) -> Option<usize> {
    let bytes = field.bytes();
    match event.buffer_kind(field.buf) {
        BufKind::Frame | BufKind::Stream => map(event, field.buf, bytes),
        BufKind::Plain => {
            let index = event.layers.iter().position(|l| {
                let own = l.fields.start as usize..l.fields.end as usize;
                event
                    .fields
                    .get(own)
                    .is_some_and(|own| own.iter().any(|f| core::ptr::eq(f, field)))
            })?;
            let record = event
                .layers
                .get(..=index)?
                .iter()
                .rev()
                .find(|l| core::ptr::eq(l.def, &raw const tls::TLS))?;
            let plain = event.bytes(field.buf).len();
            let header = tls::record::HEADER_LEN;
            let body = (record.bytes.end - record.bytes.start) as usize - header;
            // What is not content: the tag, and in TLS 1.2's GCM the nonce before it.
            let nonce = body
                .checked_sub(plain + 16)
                .filter(|n| *n == 0 || *n == 8)?;
            let shift = record.bytes.start as usize + header + nonce;
            map(event, record.buf, bytes.start + shift..bytes.end + shift)
        }
        BufKind::Message | BufKind::Packet => None,
    }
}

/// The same for bytes of a buffer that was put together from packets.
fn map(event: &Event<'_>, buf: BufId, bytes: Range<usize>) -> Option<usize> {
    if buf == BufId::FRAME {
        return Some(bytes.start);
    }
    event.pieces(buf).iter().find_map(|piece| {
        let into = piece.into as usize;
        let inside = bytes.start >= into && bytes.end <= into + piece.len as usize;
        (piece.frame == event.frame.number && inside)
            .then(|| piece.at as usize + bytes.start - into)
    })
}

/// The bytes with these bits replaced by the lowest of `n`; `bit` is the first one's place in the first byte.
pub(super) fn put(old: &[u8], bit: usize, bits: usize, n: u64) -> Option<Vec<u8>> {
    if bits > 64 {
        return None;
    }
    let mut new = old.to_vec();
    for i in 0..bits {
        let at = bit + i;
        let mask = 0x80_u8 >> (at % 8);
        let byte = new.get_mut(at / 8)?;
        *byte = if n >> (bits - 1 - i) & 1 == 1 {
            *byte | mask
        } else {
            *byte & !mask
        };
    }
    Some(new)
}

/// Ends a packet after so many bytes, counted from its IP header; `None` where it is not longer.
pub(super) fn truncate(bytes: &[u8], anatomy: &Anatomy, length: Option<usize>) -> Option<Vec<u8>> {
    let length = match length {
        Some(length) => anatomy.ip + length.max(1),
        None if anatomy.payload.is_empty() => return None,
        None => anatomy.payload.start + anatomy.data() / 2,
    };
    (length < bytes.len()).then(|| bytes.get(..length).unwrap_or(bytes).to_vec())
}

/// The sender's next segment, as an attacker would make it up: the headers of this packet without TCP's options, behind
/// its data; with these flags and these data.
pub(super) fn forge(bytes: &[u8], anatomy: &Anatomy, flags: u16, data: &[u8]) -> Option<Vec<u8>> {
    let tcp = anatomy.tcp.clone()?;
    let mut forged = bytes.get(..tcp.start + 20)?.to_vec();
    let header = forged.get_mut(tcp.start..)?;
    let old_flags = u16::from_be_bytes(*header.get(12..)?.first_chunk()?) & 0x1ff;
    let seq = u32::from_be_bytes(*header.get(4..)?.first_chunk()?);
    let space = anatomy.data() as u32 + u32::from(old_flags & (Segment::SYN | Segment::FIN) != 0);
    header
        .get_mut(4..8)?
        .copy_from_slice(&seq.wrapping_add(space).to_be_bytes());
    header
        .get_mut(12..14)?
        .copy_from_slice(&(5 << 12 | flags).to_be_bytes());
    // No urgent data.
    header.get_mut(18..20)?.fill(0);
    forged.extend_from_slice(data);
    set_length(&mut forged, anatomy)?;
    repair(&mut forged, anatomy)?;
    Some(forged)
}

/// Says in the IP header how long the packet is.
pub(super) fn set_length(bytes: &mut [u8], anatomy: &Anatomy) -> Option<()> {
    let ip = bytes.get_mut(anatomy.ip..)?;
    let (at, len) = match ip.first()? >> 4 {
        6 => (4, ip.len().checked_sub(40)?),
        _ => (2, ip.len()),
    };
    let len = u16::try_from(len).ok()?;
    ip.get_mut(at..at + 2)?.copy_from_slice(&len.to_be_bytes());
    Some(())
}

/// Sets the checksums of IPv4 and of TCP right; `None` where there is none to set right.
pub(super) fn repair(bytes: &mut [u8], anatomy: &Anatomy) -> Option<()> {
    let tcp = anatomy.tcp.as_ref().map(|tcp| tcp.start - anatomy.ip);
    let ip = bytes.get_mut(anatomy.ip..)?;
    let length = |at: usize, ip: &[u8]| {
        let field = ip.get(at..)?.first_chunk()?;
        Some(usize::from(u16::from_be_bytes(*field)))
    };
    let (sum, end) = if ip.first()? >> 4 == 6 {
        (
            Sum16BitWords::new().add_slice(ip.get(8..40)?),
            40 + length(4, ip)?,
        )
    } else {
        let header_len = tcp.unwrap_or(usize::from(*ip.first()? & 15) * 4);
        ip.get_mut(10..12)?.fill(0);
        let header = Sum16BitWords::new().add_slice(ip.get(..header_len)?);
        ip.get_mut(10..12)?.copy_from_slice(&checksum(header));
        (
            Sum16BitWords::new().add_slice(ip.get(12..20)?),
            length(2, ip)?,
        )
    };
    let segment = ip.get_mut(tcp?..end)?;
    segment.get_mut(16..18)?.fill(0);
    let sum = sum
        .add_2bytes([0, 6])
        .add_4bytes((segment.len() as u32).to_be_bytes())
        .add_slice(segment);
    segment.get_mut(16..18)?.copy_from_slice(&checksum(sum));
    Some(())
}

/// As the two bytes of the header.
fn checksum(sum: Sum16BitWords) -> [u8; 2] {
    sum.ones_complement().to_be().to_be_bytes()
}

/// The TCP flags of a segment without SYN, FIN and RST, with another.
pub(super) fn flags(event: &Event<'_>, with: u16) -> u16 {
    let field = event.field(&tcp::FLAGS);
    let flags = field.and_then(|f| f.value(event.bytes(f.buf)).uint());
    let kept = flags.unwrap_or(0) as u16 & (Segment::ACK | Segment::PSH);
    kept | with
}
