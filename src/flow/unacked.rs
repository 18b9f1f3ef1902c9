//! What one end has sent and the other has not acknowledged yet, as far as it was seen.

use super::stream::{Budget, Pool, after};
use crate::packet::Time;

/// The most segments of one direction whose acknowledgment is waited for.
const MAX: usize = 10_000;
/// The most bytes that these lists may take in all connections together. When half of it is taken, a list that is long
/// already grows no more, so that others can.
const MAX_BYTES: usize = 4 << 20;
const LONG: usize = 64;

/// One segment that was sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) seq: u32,
    /// The sequence number behind it.
    pub(crate) next: u32,
    pub(crate) frame: u64,
    pub(crate) time: Time,
}

/// The segments of one direction that wait for their acknowledgment, in the order in which they were sent.
#[derive(Debug, Default)]
pub(crate) struct Unacked {
    list: Vec<Sent>,
    /// Those before are gone.
    head: usize,
    /// The numbers do not rise from one to the next: something was sent again.
    tangled: bool,
    counted: usize,
}

/// The room that is used again, and how many bytes are taken.
#[derive(Debug, Default)]
pub(crate) struct Room {
    pool: Pool<Sent>,
    used: usize,
}

impl Room {
    /// Whether a list of this capacity may grow.
    fn may_grow(&self, capacity: usize) -> bool {
        let all = if capacity >= LONG {
            MAX_BYTES / 2
        } else {
            MAX_BYTES
        };
        self.used + (capacity + 4) * size_of::<Sent>() <= all
    }
}

impl Unacked {
    fn waiting(&self) -> &[Sent] {
        self.list.get(self.head..).unwrap_or(&[])
    }

    /// Remembers a segment, unless there are too many.
    pub(crate) fn push(&mut self, sent: Sent, budget: &mut Budget) {
        if self.list.len() - self.head >= MAX {
            return;
        }
        if self.list.capacity() == 0 {
            self.list = budget.unacked.pool.take(1, LONG);
        }
        if self.list.len() == self.list.capacity() && self.head > self.list.len() / 2 {
            self.list.drain(..self.head);
            self.head = 0;
        }
        let grows = self.list.len() == self.list.capacity();
        if grows && !budget.unacked.may_grow(self.list.capacity()) {
            return;
        }
        let last = self.waiting().last();
        self.tangled |=
            last.is_some_and(|last| last.next != sent.seq && !after(sent.seq, last.next));
        self.list.push(sent);
        self.recount(budget);
    }

    /// Takes off what is acknowledged, as far as it is. Gives the segment that ends exactly where the acknowledgment does.
    pub(crate) fn acknowledge(&mut self, ack: u32, budget: &mut Budget) -> Option<Sent> {
        let mut exact = None;
        if self.tangled {
            let head = self.head;
            let mut index = 0;
            self.list.retain_mut(|sent| {
                index += 1;
                if index <= head {
                    return false;
                }
                if sent.next == ack {
                    exact = exact.or(Some(*sent));
                }
                shorten(sent, ack)
            });
            self.head = 0;
        } else {
            while let Some(sent) = self.list.get_mut(self.head) {
                if sent.next == ack {
                    exact = Some(*sent);
                }
                if shorten(sent, ack) {
                    break;
                }
                self.head += 1;
            }
        }
        if self.waiting().is_empty() {
            self.clear(budget);
        }
        exact
    }

    /// The first that was sent of those that wait.
    pub(crate) fn eldest(&self) -> Option<Sent> {
        self.waiting().first().copied()
    }

    /// From the first byte that is not acknowledged to the last that was sent, both counted from `base`: of a capture that
    /// begins in the middle nothing can be said as long as something waits from before it began.
    pub(crate) fn in_flight(&self, base: u32) -> u32 {
        let waiting = self.waiting();
        let place = |number: u32| number.wrapping_sub(base);
        let (Some(first), Some(last)) = (waiting.first(), waiting.last()) else {
            return 0;
        };
        let (mut from, mut to) = (place(first.seq), place(last.next));
        if self.tangled || from > to {
            for sent in waiting {
                from = from.min(place(sent.seq));
                to = to.max(place(sent.next));
            }
        }
        to.wrapping_sub(from)
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self, budget: &mut Budget) {
        budget.unacked.pool.give(&mut self.list);
        (self.head, self.tangled) = (0, false);
        self.recount(budget);
    }

    fn recount(&mut self, budget: &mut Budget) {
        let now = self.list.capacity() * size_of::<Sent>();
        let room = &mut budget.unacked;
        room.used = room.used.saturating_sub(self.counted) + now;
        self.counted = now;
    }
}

/// Takes off what is acknowledged of a segment; whether anything is left.
fn shorten(sent: &mut Sent, ack: u32) -> bool {
    let left = after(sent.next, ack);
    if left && after(ack, sent.seq) {
        sent.seq = ack;
    }
    left
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    fn sent(seq: u32, len: u32, frame: u64) -> Sent {
        Sent {
            seq,
            next: seq.wrapping_add(len),
            frame,
            time: Time(frame),
        }
    }

    #[test]
    fn what_is_acknowledged_goes_also_in_part_and_across_the_wrap() {
        let (mut unacked, mut budget) = (Unacked::default(), Budget::default());
        for n in 0..4 {
            unacked.push(
                sent(u32::MAX.wrapping_sub(14).wrapping_add(n * 10), 10, n.into()),
                &mut budget,
            );
        }
        assert_eq!(unacked.in_flight(u32::MAX - 14), 40);
        assert!(
            unacked.acknowledge(0, &mut budget).is_none(),
            "in the middle of the second"
        );
        assert_eq!(unacked.in_flight(u32::MAX - 14), 25);
        assert_eq!(unacked.acknowledge(15, &mut budget).unwrap().frame, 2);
        unacked.push(sent(15, 10, 9), &mut budget);
        assert_eq!(
            (
                unacked.in_flight(u32::MAX - 14),
                unacked.eldest().unwrap().frame
            ),
            (10, 3)
        );
        assert_eq!(
            unacked.acknowledge(25, &mut budget).unwrap().frame,
            3,
            "the first that was sent"
        );
        assert_eq!((unacked.in_flight(u32::MAX - 14), unacked.counted), (0, 0));
    }

    #[test]
    fn all_lists_together_are_capped() {
        let mut budget = Budget::default();
        let mut all: Vec<Unacked> = Vec::new();
        all.resize_with(20_000, Unacked::default);
        for unacked in &mut all {
            for n in 0..100 {
                unacked.push(sent(n, 1, n.into()), &mut budget);
            }
        }
        let taken: usize = all
            .iter()
            .map(|u| u.list.capacity() * size_of::<Sent>())
            .sum();
        assert!(
            taken <= MAX_BYTES && taken == budget.unacked.used,
            "{taken}"
        );
        for unacked in &mut all {
            unacked.acknowledge(100, &mut budget);
        }
        assert_eq!(budget.unacked.used, 0);
    }

    #[test]
    fn the_list_is_capped() {
        let (mut unacked, mut budget) = (Unacked::default(), Budget::default());
        for n in 0..20_000 {
            unacked.push(sent(n, 1, n.into()), &mut budget);
        }
        assert_eq!(unacked.in_flight(u32::MAX - 14), MAX as u32);
        unacked.acknowledge(9_000, &mut budget);
        assert_eq!(unacked.in_flight(u32::MAX - 14), 1000);
        for n in 20_000..30_000 {
            unacked.push(sent(n, 1, n.into()), &mut budget);
            unacked.acknowledge(n - 500, &mut budget);
        }
        assert!(unacked.list.capacity() <= 2 * MAX);
    }
}
