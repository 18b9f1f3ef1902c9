//! IP packets that came in fragments (RFC 791, section 3.2; RFC 8200, section 4.5) are put together again.
//!
//! What is held counts against the session's [`Budget`]; there is a cap on how many packets are waited for, and a time.

use core::ops::Range;
use std::net::IpAddr;

use super::stream::Budget;
use crate::layers::{Bind, ipv4, ipv6};
use crate::packet::{
    BufId, BufKind, Buffers, Fact, FieldDef, Fragment, Frame, Labels, Piece, Time,
};

/// The most packets that are waited for at once; the one that has waited longest makes room for the next.
const MAX_PACKETS: usize = 256;
/// The most fragments that one packet may come in.
const MAX_FRAGMENTS: usize = 1024;
/// How long the rest of a packet is waited for, from the first fragment on (RFC 8200, section 4.5; RFC 1122, section
/// 3.3.2, says 60 to 120 seconds for IPv4).
const TIMEOUT: u64 = 60_000_000_000;
/// The longest there may be: the length fields of IP have sixteen bits.
const MAX_LEN: usize = 65_535;

/// What belongs together (RFC 791, section 3.2: identification, addresses, protocol; RFC 8200 leaves the protocol out).
type Key = (IpAddr, IpAddr, u32, Option<u8>);

/// The packets that are not whole yet, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Fragments {
    waiting: Vec<Waiting>,
    /// Lists of those that are whole, to be used again.
    spare: Vec<Vec<Part>>,
}

#[derive(Debug)]
struct Waiting {
    key: Key,
    since: Time,
    /// What the first fragment says of what follows; `None` while it has not come.
    next: Option<Bind>,
    /// Where the packet ends, once the last fragment has come.
    end: Option<usize>,
    /// Without overlap, in the order of the packet.
    parts: Vec<Part>,
    have: usize,
    notes: Notes,
}

/// What has to be said of the packet when it is whole.
#[derive(Debug, Clone, Copy, Default)]
struct Notes {
    overlap: bool,
    conflict: bool,
}

#[derive(Debug)]
struct Part {
    /// Where in the packet it belongs.
    offset: usize,
    bytes: Vec<u8>,
    /// Where it came from: the frame, and where in it.
    frame: u64,
    at: u32,
}

impl Part {
    fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.bytes.len()
    }
}

/// The keys of the computed facts, of either version of IP.
struct Keys {
    fragment: &'static FieldDef,
    count: &'static FieldDef,
    length: &'static FieldDef,
    overlap: &'static FieldDef,
    conflict: &'static FieldDef,
}

static V4: Keys = Keys {
    fragment: &ipv4::FRAGMENT,
    count: &ipv4::FRAGMENT_COUNT,
    length: &ipv4::REASSEMBLED_LENGTH,
    overlap: &ipv4::FRAGMENT_OVERLAP,
    conflict: &ipv4::FRAGMENT_OVERLAP_CONFLICT,
};
static V6: Keys = Keys {
    fragment: &ipv6::FRAGMENT,
    count: &ipv6::FRAGMENT_COUNT,
    length: &ipv6::REASSEMBLED_LENGTH,
    overlap: &ipv6::FRAGMENT_OVERLAP,
    conflict: &ipv6::FRAGMENT_OVERLAP_CONFLICT,
};

impl Fragments {
    /// Takes up a fragment. If its packet is whole now, gives the buffer that it is in, and what it carries; facts about it
    /// are noted at the layer `layer`.
    pub(crate) fn take_up(
        &mut self,
        addresses: (IpAddr, IpAddr),
        fragment: &Fragment,
        frame: &Frame<'_>,
        (layer, labels): (usize, &mut Labels),
        (buffers, budget): (&mut Buffers, &mut Budget),
    ) -> Option<(BufId, Bind)> {
        let v6 = addresses.0.is_ipv6();
        let keys = if v6 { &V6 } else { &V4 };
        let protocol = (!v6).then_some(fragment.protocol);
        let key = (addresses.0, addresses.1, fragment.ident, protocol);
        // A fragment of which the capture kept only a part is as good as lost.
        let bytes = frame
            .data
            .get(fragment.start..fragment.start + fragment.len)?;
        let (start, end) = (fragment.offset, fragment.offset + bytes.len());
        // All but the last are cut at multiples of eight, and no packet is longer than its length field can say.
        let fits = end <= MAX_LEN && (!fragment.more || bytes.len().is_multiple_of(8));
        if !fits || bytes.is_empty() {
            return None;
        }
        let index = self.place(key, frame.time, budget)?;
        let waiting = self.waiting.get_mut(index)?;
        if !fragment.more {
            // A second end somewhere else, or bytes behind it: somebody plays tricks.
            let known = waiting.parts.last().map_or(0, |part| part.range().end);
            if waiting.end.is_some_and(|e| e != end) || known > end {
                self.forget(index, budget);
                return None;
            }
            waiting.end = Some(end);
        } else if waiting.end.is_some_and(|e| end > e) {
            self.forget(index, budget);
            return None;
        }
        if start == 0 {
            waiting.next = Some(Bind::IpProtocol(fragment.protocol));
        }
        let new = Part {
            offset: start,
            bytes: Vec::new(),
            frame: frame.number,
            at: fragment.start as u32,
        };
        if !waiting.insert(new, bytes, v6, budget) {
            // RFC 5722, section 4: with overlaps, all of the packet is dropped; or there is no room for it.
            if waiting.notes.overlap {
                labels.note(layer, keys.overlap, Fact::Uint(1));
            }
            self.forget(index, budget);
            return None;
        }
        let whole = waiting.end == Some(waiting.have);
        let next = waiting.next.filter(|_| whole)?;
        let (first_byte, first_piece) = (buffers.arena.len(), buffers.pieces.len());
        for part in &waiting.parts {
            buffers.pieces.push(Piece {
                frame: part.frame,
                at: part.at,
                into: part.offset as u32,
                len: part.bytes.len() as u32,
            });
            buffers.arena.extend_from_slice(&part.bytes);
            labels.note(layer, keys.fragment, Fact::Uint(part.frame));
        }
        labels.note(layer, keys.count, Fact::Uint(waiting.parts.len() as u64));
        labels.note(layer, keys.length, Fact::Uint(waiting.have as u64));
        if waiting.notes.overlap {
            labels.note(layer, keys.overlap, Fact::Uint(1));
        }
        if waiting.notes.conflict {
            labels.note(layer, keys.conflict, Fact::Uint(1));
        }
        let buffer = buffers.close(BufKind::Packet, first_byte, first_piece);
        self.forget(index, budget);
        Some((buffer?, next))
    }

    /// Where the packet of that key is waited for: where it was, or a new place.
    fn place(&mut self, key: Key, now: Time, budget: &mut Budget) -> Option<usize> {
        if let Some(index) = self.waiting.iter().position(|w| w.key == key) {
            let since = self.waiting.get(index)?.since;
            if now.since(since) <= TIMEOUT {
                return Some(index);
            }
            self.forget(index, budget);
        }
        // The oldest is the first.
        while self.waiting.len() >= MAX_PACKETS
            || self
                .waiting
                .first()
                .is_some_and(|w| now.since(w.since) > TIMEOUT)
        {
            self.forget(0, budget);
        }
        self.waiting.push(Waiting {
            key,
            since: now,
            next: None,
            end: None,
            parts: self.spare.pop().unwrap_or_default(),
            have: 0,
            notes: Notes::default(),
        });
        Some(self.waiting.len() - 1)
    }

    fn forget(&mut self, index: usize, budget: &mut Budget) {
        let mut waiting = self.waiting.remove(index);
        for part in waiting.parts.drain(..) {
            budget.release(part.bytes);
        }
        // A list that grew for a packet of very many fragments is not kept.
        if self.spare.len() < 8 && waiting.parts.capacity() <= 64 {
            self.spare.push(waiting.parts);
        }
    }
}

impl Waiting {
    /// Puts a fragment in its place. What is there already is kept (the first wins), as far as overlaps are allowed.
    ///
    /// Gives `false` if the packet cannot be put together.
    fn insert(&mut self, new: Part, bytes: &[u8], v6: bool, budget: &mut Budget) -> bool {
        let range = new.offset..new.offset + bytes.len();
        // What is new of it is what stands before, between and behind the parts that are there.
        let mut from = range.start;
        let mut index = self
            .parts
            .partition_point(|part| part.range().end <= range.start);
        while from < range.end {
            let there = self.parts.get(index).map(Part::range);
            let to = there.as_ref().map_or(range.end, |t| t.start.min(range.end));
            let is_new = bytes.get(from - range.start..to.max(from) - range.start);
            if let Some(is_new) = is_new.filter(|b| !b.is_empty()) {
                let room = (self.parts.len() < MAX_FRAGMENTS).then(|| budget.hold(is_new));
                let Some(bytes) = room.flatten() else {
                    return false;
                };
                self.have += bytes.len();
                let part = Part {
                    offset: from,
                    bytes,
                    frame: new.frame,
                    at: new.at + (from - range.start) as u32,
                };
                self.parts.insert(index, part);
                index += 1;
            }
            let Some(there) = there.filter(|there| there.start < range.end) else {
                break;
            };
            // The same again is no attack: the network may double a packet.
            let (old, both) = (
                self.parts.get(index),
                from.max(there.start)..there.end.min(range.end),
            );
            let old = old.and_then(|old| {
                let offset = old.offset;
                old.bytes.get(both.start - offset..both.end - offset)
            });
            let same = old == bytes.get(both.start - range.start..both.end - range.start);
            self.notes.overlap = true;
            self.notes.conflict |= !same;
            if v6 && !(same && there == range) {
                return false;
            }
            from = there.end.max(from);
            index += 1;
        }
        true
    }
}
