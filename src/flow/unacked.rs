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
    tangled: Option<Tangle>,
    counted: usize,
}

/// The numbers do not rise from one segment to the next: something was sent again. It lasts until `until` is acknowledged.
#[derive(Debug, Clone, Copy)]
struct Tangle {
    until: u32,
    /// The lowest and the highest number, counted from the connection's first.
    from: u32,
    to: u32,
    /// Something was sent again that was acknowledged already.
    stale: bool,
    /// The last acknowledgment.
    ack: Option<u32>,
}

impl Tangle {
    fn add(&mut self, sent: &Sent, base: u32) {
        self.from = self.from.min(sent.seq.wrapping_sub(base));
        self.to = self.to.max(sent.next.wrapping_sub(base));
        self.stale |= self.ack.is_some_and(|ack| !after(sent.next, ack));
    }
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

    /// Remembers a segment, unless there are too many. `base` is what the connection's numbers are counted from.
    pub(crate) fn push(&mut self, sent: Sent, base: u32, budget: &mut Budget) {
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
        let last = self.waiting().last().map(|last| last.next);
        if let Some(last) = last.filter(|last| *last != sent.seq && !after(sent.seq, *last)) {
            let until = if after(sent.next, last) {
                sent.next
            } else {
                last
            };
            self.tangle(until, base);
        }
        if let Some(tangle) = &mut self.tangled {
            tangle.add(&sent, base);
        }
        self.list.push(sent);
        self.recount(budget);
    }

    fn tangle(&mut self, until: u32, base: u32) {
        match &mut self.tangled {
            Some(tangle) if after(until, tangle.until) => tangle.until = until,
            Some(_) => {}
            None => {
                let mut tangle = Tangle {
                    until,
                    from: u32::MAX,
                    to: 0,
                    stale: true,
                    ack: None,
                };
                self.waiting()
                    .iter()
                    .for_each(|sent| tangle.add(sent, base));
                self.tangled = Some(tangle);
            }
        }
    }

    /// Takes off what is acknowledged, as far as it is. Gives the segment that ends exactly where the acknowledgment does.
    pub(crate) fn acknowledge(&mut self, ack: u32, base: u32, budget: &mut Budget) -> Option<Sent> {
        let mut exact = None;
        if let Some(mut tangle) = self.tangled {
            if tangle.ack == Some(ack) && !tangle.stale {
                return None;
            }
            (tangle.from, tangle.to) = (u32::MAX, 0);
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
                let left = shorten(sent, ack);
                if left {
                    tangle.add(sent, base);
                }
                left
            });
            self.head = 0;
            (tangle.ack, tangle.stale) = (Some(ack), false);
            // What is left was sent in order.
            self.tangled = Some(tangle).filter(|tangle| after(tangle.until, ack));
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
    /// begins in the middle nothing can be said as long as something waits from before it began; the number is then absurd.
    pub(crate) fn in_flight(&self, base: u32) -> u32 {
        let waiting = self.waiting();
        let (Some(first), Some(last)) = (waiting.first(), waiting.last()) else {
            return 0;
        };
        if let Some(tangle) = self.tangled {
            return tangle.to.wrapping_sub(tangle.from);
        }
        let before = first.seq.wrapping_sub(base) > last.next.wrapping_sub(base);
        if before && waiting.len() > 1 {
            return u32::MAX;
        }
        last.next.wrapping_sub(first.seq)
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self, budget: &mut Budget) {
        budget.unacked.pool.give(&mut self.list);
        (self.head, self.tangled) = (0, None);
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

    const BASE: u32 = u32::MAX - 14;

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
                BASE,
                &mut budget,
            );
        }
        assert_eq!(unacked.in_flight(BASE), 40);
        assert!(
            unacked.acknowledge(0, BASE, &mut budget).is_none(),
            "in the middle of the second"
        );
        assert_eq!(unacked.in_flight(BASE), 25);
        assert_eq!(unacked.acknowledge(15, BASE, &mut budget).unwrap().frame, 2);
        unacked.push(sent(15, 10, 9), BASE, &mut budget);
        assert_eq!(
            (unacked.in_flight(BASE), unacked.eldest().unwrap().frame),
            (10, 3)
        );
        assert_eq!(
            unacked.acknowledge(25, BASE, &mut budget).unwrap().frame,
            3,
            "the first that was sent"
        );
        assert_eq!((unacked.in_flight(BASE), unacked.counted), (0, 0));
    }

    /// What the fast ways give is what a plain look at the whole list gives.
    #[test]
    fn in_flight_is_what_a_plain_look_gives() {
        let mut random = 7_u64;
        let mut below = |n: u64| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (random >> 33) % n
        };
        let (mut unacked, mut budget) = (Unacked::default(), Budget::default());
        let mut plain: Vec<Sent> = Vec::new();
        let (mut next, mut acked) = (BASE, BASE);
        for frame in 0..20_000 {
            if below(3) > 0 {
                let again = below(8) == 0;
                let back = if again { below(60) as u32 } else { 0 };
                let seq = next.wrapping_sub(back);
                let one = sent(if after(BASE, seq) { BASE } else { seq }, 10, frame);
                unacked.push(one, BASE, &mut budget);
                plain.push(one);
                next = if after(one.next, next) {
                    one.next
                } else {
                    next
                };
            } else {
                let room = next.wrapping_sub(acked);
                let ack = acked.wrapping_add(below(u64::from(room) + 1) as u32);
                acked = ack;
                let expected = plain.iter().find(|s| s.next == ack).map(|s| s.frame);
                let got = unacked.acknowledge(ack, BASE, &mut budget).map(|s| s.frame);
                plain.retain_mut(|s| shorten(s, ack));
                assert_eq!(got, expected);
            }
            let from = plain.iter().map(|s| s.seq.wrapping_sub(BASE)).min();
            let to = plain.iter().map(|s| s.next.wrapping_sub(BASE)).max();
            let expected = to.unwrap_or(0) - from.unwrap_or(0);
            assert_eq!(unacked.in_flight(BASE), expected, "after {frame}");
        }
    }

    #[test]
    fn all_lists_together_are_capped() {
        let mut budget = Budget::default();
        let mut all: Vec<Unacked> = Vec::new();
        all.resize_with(20_000, Unacked::default);
        for unacked in &mut all {
            for n in 0..100 {
                unacked.push(sent(n, 1, n.into()), BASE, &mut budget);
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
            unacked.acknowledge(100, BASE, &mut budget);
        }
        assert_eq!(budget.unacked.used, 0);
    }

    #[test]
    fn the_list_is_capped() {
        let (mut unacked, mut budget) = (Unacked::default(), Budget::default());
        for n in 0..20_000 {
            unacked.push(sent(n, 1, n.into()), BASE, &mut budget);
        }
        assert_eq!(unacked.in_flight(BASE), MAX as u32);
        unacked.acknowledge(9_000, BASE, &mut budget);
        assert_eq!(unacked.in_flight(BASE), 1000);
        for n in 20_000..30_000 {
            unacked.push(sent(n, 1, n.into()), BASE, &mut budget);
            unacked.acknowledge(n - 500, BASE, &mut budget);
        }
        assert!(unacked.list.capacity() <= 2 * MAX);
    }
}
