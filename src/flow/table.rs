//! The connections that are being followed, found by their addresses and ports.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;

use super::Flow;
use super::stream::Budget;
use crate::packet::Segment;

/// The most connections that are followed at once; one that has been quiet makes room for the next. So many a map of 2¹⁵
/// places takes before it grows.
pub(crate) const MAX_FLOWS: usize = 28 << 10;

type End = (IpAddr, u16);

/// All connections.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// By both ends, the lower one first.
    by_ends: HashMap<(End, End), usize, Keyed>,
    slots: Vec<Slot>,
    /// Where the search for a quiet one goes on.
    hand: usize,
    /// How many there have been.
    count: u64,
}

#[derive(Debug)]
struct Slot {
    ends: (End, End),
    /// Which of `ends` is number 0: whoever was seen to speak first.
    first: End,
    flow: Flow,
    touched: bool,
}

impl Table {
    /// The connection of a segment, and which end sent it: 0 for the end that was seen first.
    pub(crate) fn flow(
        &mut self,
        (src, dst): (IpAddr, IpAddr),
        segment: &Segment,
        budget: &mut Budget,
    ) -> Option<(&mut Flow, usize)> {
        let (from, to) = ((src, segment.from), (dst, segment.to));
        let ends = if from <= to { (from, to) } else { (to, from) };
        let index = match self.by_ends.get(&ends) {
            Some(index) => {
                let index = *index;
                // The same ports again, but another connection.
                if let Some(slot) = self
                    .slots
                    .get_mut(index)
                    .filter(|slot| slot.flow.is_followed_by(segment))
                {
                    slot.flow.clear(budget);
                    slot.flow = Flow::on_reused_ports(self.count);
                    slot.first = from;
                    self.count += 1;
                }
                index
            }
            None => {
                // The end that asks to connect is the first, even if only its answer was caught.
                let answers = segment.has(Segment::SYN | Segment::ACK);
                self.insert(ends, if answers { to } else { from }, budget)
            }
        };
        let slot = self.slots.get_mut(index)?;
        slot.touched = true;
        let dir = usize::from(slot.first != from);
        Some((&mut slot.flow, dir))
    }

    /// The connection of that number (`tcp.stream`), if it is still followed.
    pub(crate) fn numbered(&self, number: u64) -> Option<&Flow> {
        let mut flows = self.slots.iter().map(|slot| &slot.flow);
        flows.find(|flow| flow.number() == number)
    }

    fn insert(&mut self, ends: (End, End), first: End, budget: &mut Budget) -> usize {
        let slot = Slot {
            ends,
            first,
            flow: Flow::new(self.count),
            touched: true,
        };
        self.count += 1;
        let index = if self.slots.len() < MAX_FLOWS {
            self.slots.push(slot);
            self.slots.len() - 1
        } else {
            let index = self.quiet();
            if let Some(place) = self.slots.get_mut(index) {
                let mut old = core::mem::replace(place, slot);
                old.flow.clear(budget);
                self.by_ends.remove(&old.ends);
            }
            index
        };
        self.by_ends.insert(ends, index);
        index
    }

    /// One that has not been touched since the hand last passed by ("second chance").
    fn quiet(&mut self) -> usize {
        loop {
            let index = self.hand;
            self.hand = (self.hand + 1) % self.slots.len().max(1);
            match self.slots.get_mut(index) {
                Some(slot) if slot.touched => slot.touched = false,
                _ => return index,
            }
        }
    }
}

/// Hashes ends quickly. Addresses and ports are chosen by whoever made the capture, so a random key stands before them:
/// without it, connections could be made that all collide.
#[derive(Debug, Clone)]
struct Keyed(u64);

impl Default for Keyed {
    fn default() -> Self {
        Self(RandomState::new().hash_one(0))
    }
}

impl BuildHasher for Keyed {
    type Hasher = Mixed;

    #[inline]
    fn build_hasher(&self) -> Mixed {
        Mixed {
            state: self.0,
            key: self.0.rotate_left(32) | 1,
        }
    }
}

/// Each word is taken in by a multiplication whose two halves are folded together.
#[derive(Debug)]
struct Mixed {
    state: u64,
    key: u64,
}

impl Mixed {
    #[inline]
    fn take(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(self.key ^ 0x9e37_79b9_7f4a_7c15);
        self.state = (product as u64) ^ ((product >> 64) as u64) ^ self.key.rotate_left(17);
    }
}

impl Hasher for Mixed {
    #[inline]
    fn finish(&self) -> u64 {
        self.state
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let word = chunk
                .iter()
                .fold(0, |word, byte| word << 8 | u64::from(*byte));
            self.take(word);
        }
    }

    #[inline]
    fn write_u16(&mut self, n: u16) {
        self.take(n.into());
    }

    #[inline]
    fn write_u32(&mut self, n: u32) {
        self.take(n.into());
    }

    #[inline]
    fn write_u64(&mut self, n: u64) {
        self.take(n);
    }

    #[inline]
    fn write_usize(&mut self, n: usize) {
        self.take(n as u64);
    }

    // Which kind of address it is.
    #[inline]
    fn write_isize(&mut self, n: isize) {
        self.take(n as u64);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    fn segment(from: u16, to: u16, flags: u16) -> Segment {
        let checksum_good = Some(true);
        Segment {
            from,
            to,
            flags,
            checksum_good,
            ..Segment::default()
        }
    }

    #[test]
    fn both_directions_are_one_connection() {
        let (mut table, mut budget) = (Table::default(), Budget::default());
        let (a, b) = (IpAddr::from([1, 2, 3, 4]), IpAddr::from([5, 6, 7, 8]));
        let answer = segment(8080, 49152, Segment::SYN | Segment::ACK);
        assert_eq!(
            table.flow((b, a), &answer, &mut budget).unwrap().1,
            1,
            "who answers is not who asked"
        );
        assert_eq!(
            table
                .flow((a, b), &segment(49152, 8080, Segment::ACK), &mut budget)
                .unwrap()
                .1,
            0
        );
        assert_eq!(table.count, 1);
        table
            .flow((a, b), &segment(49153, 8080, Segment::SYN), &mut budget)
            .unwrap();
        assert_eq!(table.count, 2);
    }

    #[test]
    fn a_new_syn_on_the_same_ports_is_a_new_connection() {
        let (mut table, mut budget) = (Table::default(), Budget::default());
        let ends = (IpAddr::from([1, 2, 3, 4]), IpAddr::from([5, 6, 7, 8]));
        let syn = |seq| Segment {
            seq,
            ..segment(49152, 8080, Segment::SYN)
        };
        for (seq, count) in [(7, 1), (7, 1), (9, 2)] {
            let (flow, _) = table.flow(ends, &syn(seq), &mut budget).unwrap();
            flow.opened_by(&syn(seq));
            assert_eq!(table.count, count, "a SYN sent again is still the same");
        }
    }

    #[test]
    fn a_million_connections_fit_in_the_table() {
        let (mut table, mut budget) = (Table::default(), Budget::default());
        for n in 0..1_000_000u32 {
            let ends = (IpAddr::from(n.to_be_bytes()), IpAddr::from([5, 6, 7, 8]));
            table
                .flow(ends, &segment(1, 2, Segment::SYN), &mut budget)
                .unwrap();
        }
        assert_eq!(
            (table.slots.len(), table.by_ends.len(), table.count),
            (MAX_FLOWS, MAX_FLOWS, 1_000_000)
        );
    }
}
