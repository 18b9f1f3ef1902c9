//! The connections that are being followed, found by their addresses and ports.

use std::collections::HashMap;
use std::net::IpAddr;

use super::Flow;
use super::stream::Budget;
use crate::packet::Segment;

/// The most connections that are followed at once; one that has been quiet makes room for the next.
pub(crate) const MAX_FLOWS: usize = 1 << 15;

type End = (IpAddr, u16);

/// All connections.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// By both ends, the lower one first.
    by_ends: HashMap<(End, End), usize>,
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
                    slot.flow = Flow::new(self.count);
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    fn segment(from: u16, to: u16, flags: u16) -> Segment {
        let checksum_good = Some(true);
        Segment {
            from,
            to,
            seq: 0,
            ack: 0,
            flags,
            window: 0,
            window_shift: None,
            checksum_good,
            len: 0,
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
