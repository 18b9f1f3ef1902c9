//! From segments to messages: [`Order`] puts the bytes of one direction in order, [`Assembler`] cuts them into messages.
//!
//! Both hold bytes only while they must. What they hold counts against one [`Budget`] for the whole session, and the room
//! goes back to it as soon as it is empty, so that a million idle connections hold nothing.

use crate::layers::{FindEnd, Framing, Part, Span, Talk, Then};
use crate::packet::{BufId, BufKind, Buffers, Piece, Time};

/// The most bytes that all streams together may hold back.
pub(crate) const MAX_HELD: usize = 16 << 20;
/// The most bytes that one direction may hold back while a hole is not filled, or a message not whole.
pub(crate) const MAX_HELD_EACH: usize = 2 << 20;
/// The most segments that one direction may hold back.
const MAX_SEGMENTS: usize = 2048;

/// What a segment that is held back costs beside its bytes: its place in a list that grows by doubling, and what the
/// allocator itself needs for both.
const PLACE: usize = 256;
/// A capture may hold packets in another order than the one they were sent in: what is missing although it was acknowledged
/// is waited for so long, in nanoseconds.
const A_WHILE: u64 = 100_000_000;

/// The largest room that a message may be given before it is known to be long: enough for a TLS record that grew into
/// its room by doubling.
const RECORD: usize = 36 << 10;

/// The most messages that are cut from one run of bytes.
const MAX_MESSAGES: usize = 1 << 15;

/// What the streams of a session hold together, and room to use again.
///
/// What counts is the memory that is taken, not the bytes that are kept in it: a million segments of one byte are small
/// only on the wire.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    used: usize,
    rooms: Pool<u8>,
    pieces: Pool<Piece>,
    lists: Pool<Held>,
    pub(crate) unacked: super::unacked::Room,
}

impl Budget {
    fn fits(&self, bytes: usize) -> bool {
        self.used + bytes <= MAX_HELD
    }

    /// Counts again what has changed its size.
    fn recount(&mut self, before: usize, now: usize) {
        self.used = self.used.saturating_sub(before) + now;
    }

    /// Keeps a copy of a segment's bytes, if there is room for it.
    pub(crate) fn hold(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut room = self.rooms.take(bytes.len(), 2 * bytes.len());
        room.extend_from_slice(bytes);
        if !self.fits(room.capacity() + PLACE) {
            self.rooms.give(&mut room);
            return None;
        }
        self.recount(0, room.capacity() + PLACE);
        Some(room)
    }

    /// The segment's bytes are needed no longer.
    pub(crate) fn release(&mut self, mut held: Vec<u8>) {
        self.recount(held.capacity() + PLACE, 0);
        self.rooms.give(&mut held);
    }
}

/// Empty lists whose memory is used again, so that a steady state allocates nothing.
#[derive(Debug)]
pub(crate) struct Pool<T>(Vec<Vec<T>>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Pool<T> {
    /// A list with room for `least` or more, but not for more than `most`, or one that has no memory yet.
    pub(crate) fn take(&mut self, least: usize, most: usize) -> Vec<T> {
        let fits = |list: &Vec<T>| (least..=most).contains(&list.capacity());
        match self.0.iter().rposition(fits) {
            Some(index) => self.0.swap_remove(index),
            None => Vec::new(),
        }
    }

    /// Takes a list's memory back: keeps a little of it, and frees the rest.
    pub(crate) fn give(&mut self, list: &mut Vec<T>) {
        let mut list = core::mem::take(list);
        let size = list.capacity() * size_of::<T>();
        if self.0.len() < 64 && (1..=64 << 10).contains(&size) {
            list.clear();
            self.0.push(list);
        }
    }
}

/// A segment that came before its turn.
#[derive(Debug)]
struct Held {
    seq: u32,
    frame: u64,
    at: u32,
    bytes: Vec<u8>,
}

/// What a segment's bytes are to the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Its bytes from `skip` on come next.
    Next { skip: usize },
    /// All of them were there already.
    Old,
    /// There is a hole before them; they are held back.
    Early,
    /// There is a hole before them, and no more room to wait for it: the hole is given up.
    GivenUp,
}

/// Puts the segments of one direction in order.
#[derive(Debug, Default)]
pub(crate) struct Order {
    /// The sequence number that comes next.
    next: Option<u32>,
    /// The other end has acknowledged everything before this one.
    acked: Option<u32>,
    /// When it first acknowledged what has not come.
    ahead: Option<Time>,
    /// In the order of their sequence numbers.
    held: Vec<Held>,
    held_bytes: usize,
}

impl Order {
    /// The stream begins (again) here.
    pub(crate) fn begin(&mut self, seq: u32, budget: &mut Budget) {
        self.clear(budget);
        self.next = Some(seq);
        (self.acked, self.ahead) = (None, None);
    }

    /// The other end acknowledges everything before this sequence number.
    pub(crate) fn acknowledged(&mut self, ack: u32, now: Time) {
        if self.acked.is_none_or(|before| after(ack, before)) {
            self.acked = Some(ack);
        }
        if self.ahead.is_none() && self.next.is_some_and(|next| after(ack, next)) {
            self.ahead = Some(now);
        }
    }

    /// A segment that begins at `seq` has arrived. If there is a hole before it (or before what is held) that the other end
    /// acknowledged a while ago, nobody will send it again, and it is only the capture that lacks it: goes on behind it, and
    /// gives its length.
    pub(crate) fn pass_acknowledged(&mut self, seq: u32, now: Time) -> Option<u32> {
        let (next, acked) = (self.next?, self.acked?);
        if now.since(self.ahead?) < A_WHILE {
            return None;
        }
        let first = match self.held.first() {
            Some(held) if after(seq, held.seq) => held.seq,
            _ => seq,
        };
        if !after(first, next) || after(first, acked) {
            return None;
        }
        self.next = Some(first);
        if !after(acked, first) {
            self.ahead = None;
        }
        Some(first.wrapping_sub(next))
    }

    /// How long the hole is that is being waited for, and how many bytes are held behind it.
    pub(crate) fn waits(&self) -> Option<(u32, usize)> {
        let first = self.held.first()?.seq;
        Some((first.wrapping_sub(self.next?), self.held_bytes))
    }

    /// The sequence number that comes next, if anything has come.
    pub(crate) fn next(&self) -> Option<u32> {
        self.next
    }

    /// Forgets what is held.
    pub(crate) fn clear(&mut self, budget: &mut Budget) {
        for held in self.held.drain(..) {
            budget.release(held.bytes);
        }
        budget.lists.give(&mut self.held);
        self.held_bytes = 0;
    }

    /// Whether all bytes of this range were there before.
    pub(crate) fn has_seen(&self, seq: u32, len: u32) -> bool {
        let Some(next) = self.next else { return false };
        let end = seq.wrapping_add(len);
        !after(end, next)
            || self.held.iter().any(|h| {
                !after(h.seq, seq) && !after(end, h.seq.wrapping_add(h.bytes.len() as u32))
            })
    }

    /// A segment arrives: `bytes` begin at `seq`, and in the frame `frame` at `at`.
    pub(crate) fn arrive(
        &mut self,
        seq: u32,
        bytes: &[u8],
        frame: u64,
        at: u32,
        budget: &mut Budget,
    ) -> Arrival {
        let next = *self.next.get_or_insert(seq);
        let end = seq.wrapping_add(bytes.len() as u32);
        if !after(seq, next) {
            if !after(end, next) {
                return Arrival::Old;
            }
            self.next = Some(end);
            if self.acked.is_none_or(|acked| !after(acked, end)) {
                self.ahead = None;
            }
            return Arrival::Next {
                skip: next.wrapping_sub(seq) as usize,
            };
        }
        if self.has_seen(seq, bytes.len() as u32) {
            return Arrival::Old;
        }
        let fits = self.held.len() < MAX_SEGMENTS && self.held_bytes + bytes.len() <= MAX_HELD_EACH;
        let Some(room) = fits.then(|| budget.hold(bytes)).flatten() else {
            // What is held is contiguous behind the hole more often than not, but nobody can wait for ever: go on here.
            self.clear(budget);
            self.next = Some(end);
            return Arrival::GivenUp;
        };
        if self.held.capacity() == 0 {
            self.held = budget.lists.take(1, 8);
        }
        self.held_bytes += bytes.len();
        let place = self.held.partition_point(|h| !after(h.seq, seq));
        self.held.insert(
            place,
            Held {
                seq,
                frame,
                at,
                bytes: room,
            },
        );
        Arrival::Early
    }

    /// The stream ends before the sequence number `seq`, which is the FIN's own.
    pub(crate) fn end(&mut self, seq: u32) {
        if self.next == Some(seq) {
            self.next = Some(seq.wrapping_add(1));
        }
    }

    /// Whether held bytes come next.
    pub(crate) fn can_fill(&self) -> bool {
        self.next
            .is_some_and(|next| self.held.first().is_some_and(|h| !after(h.seq, next)))
    }

    /// Moves the held bytes that come next to the end of the arena, with the pieces they came in.
    pub(crate) fn fill(&mut self, start: usize, buffers: &mut Buffers, budget: &mut Budget) {
        while self.can_fill() {
            let held = self.held.remove(0);
            self.held_bytes -= held.bytes.len();
            let next = self.next.unwrap_or(held.seq);
            let skip = next.wrapping_sub(held.seq) as usize;
            if let Some(new) = held.bytes.get(skip..).filter(|new| !new.is_empty()) {
                buffers.pieces.push(Piece {
                    frame: held.frame,
                    at: held.at + skip as u32,
                    into: (buffers.arena.len() - start) as u32,
                    len: new.len() as u32,
                });
                buffers.arena.extend_from_slice(new);
                self.next = Some(next.wrapping_add(new.len() as u32));
            }
            budget.release(held.bytes);
        }
        if self.held.is_empty() {
            budget.lists.give(&mut self.held);
        }
    }
}

/// Whether `a` comes after `b` in sequence space (RFC 9293, section 3.4): arithmetic modulo 2³².
pub(crate) fn after(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) > 0
}

/// Cuts a stream of bytes into messages, across whatever they came in.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    partial: Vec<u8>,
    pieces: Vec<Piece>,
    /// What the budget counts for both.
    counted: usize,
    /// A message that is handed over in parts: so many bytes of its body are still to come, and then these pieces.
    body: u64,
    pieces_by: Option<FindEnd>,
}

/// How a run of bytes was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    /// So many bytes at its front belong to a message that began in an earlier run.
    pub(crate) head: usize,
    /// That message (or that part of one) is whole now.
    pub(crate) completed: Option<Part>,
    /// From here on it is the beginning of a message that is not whole yet.
    pub(crate) tail: usize,
    /// Why the cutting ended before the bytes did.
    pub(crate) end: Option<Broken>,
}

/// Why no more messages can be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The bytes cannot be a message.
    NotMine,
    /// The message grows over the cap, or there are too many.
    Cap,
}

impl Assembler {
    /// Cuts `run` into messages: those that lie whole in it are appended to `spans`.
    ///
    /// `frame` and `at` say where the run came from. What is completed is to be fetched with [`Self::take`], and the tail
    /// to be kept with [`Self::keep`].
    pub(crate) fn cut(
        &mut self,
        next: FindEnd,
        run: &[u8],
        (frame, at): (u64, u32),
        spans: &mut Vec<Span>,
        talk: &mut Talk,
        budget: &mut Budget,
    ) -> Cut {
        let mut cut = Cut {
            head: 0,
            completed: None,
            tail: run.len(),
            end: None,
        };
        let had = self.partial.len();
        if had > 0 {
            if had > MAX_HELD_EACH || !budget.fits(run.len()) {
                return Cut {
                    tail: 0,
                    end: Some(Broken::Cap),
                    ..cut
                };
            }
            self.partial.extend_from_slice(run);
            self.recount(budget);
            let part = self.part();
            let whole = match self.pieces_by.unwrap_or(next)(&self.partial, had, talk) {
                Framing::Whole(len) => {
                    self.pieces_by = None;
                    Some(len.max(had))
                }
                Framing::Parts { head, then } => {
                    self.follow(then);
                    Some(head.max(had))
                }
                Framing::More => None,
                Framing::NotMine => {
                    return Cut {
                        tail: 0,
                        end: Some(Broken::NotMine),
                        ..cut
                    };
                }
            };
            cut.head = whole.map_or(run.len(), |whole| whole - had);
            cut.completed = whole.map(|_| part);
            self.pieces.push(Piece {
                frame,
                at,
                into: had as u32,
                len: cut.head as u32,
            });
            self.partial.truncate(had + cut.head);
            self.recount(budget);
        }
        let mut from = cut.head;
        while let Some(rest) = run.get(from..).filter(|rest| !rest.is_empty()) {
            if spans.len() >= MAX_MESSAGES {
                cut.end = Some(Broken::Cap);
                break;
            }
            let mut span = |part, len| {
                let range = from..from + len;
                spans.push(Span { range, part });
                from += len;
            };
            if self.body > 0 {
                let len = usize::try_from(self.body).unwrap_or(usize::MAX);
                let len = len.min(rest.len());
                if self.body != Then::UNTIL_CLOSE {
                    self.body -= len as u64;
                }
                span(Part::Body, len);
                continue;
            }
            let part = self.part();
            match self.pieces_by.unwrap_or(next)(rest, 0, talk) {
                Framing::Whole(len) if len > 0 && len <= rest.len() => {
                    self.pieces_by = None;
                    span(part, len);
                }
                Framing::Parts { head, then } if head > 0 && head <= rest.len() => {
                    self.follow(then);
                    span(part, head);
                }
                Framing::NotMine => {
                    cut.end = Some(Broken::NotMine);
                    break;
                }
                _ => break,
            }
        }
        cut.tail = from;
        cut
    }

    /// What is cut next, if it is not a body.
    fn part(&self) -> Part {
        match self.pieces_by {
            Some(_) => Part::Piece,
            None => Part::Message,
        }
    }

    fn follow(&mut self, then: Then) {
        (self.body, self.pieces_by) = (then.body, then.pieces);
    }

    /// Moves the completed message into a buffer of its own.
    pub(crate) fn take(
        &mut self,
        kind: BufKind,
        buffers: &mut Buffers,
        budget: &mut Budget,
    ) -> Option<BufId> {
        let (start, first_piece) = (buffers.arena.len(), buffers.pieces.len());
        buffers.arena.extend_from_slice(&self.partial);
        buffers.pieces.extend_from_slice(&self.pieces);
        self.empty(budget);
        buffers.close(kind, start, first_piece)
    }

    /// Keeps the tail of a run until the rest of its message comes. Gives `false`, and keeps nothing, if there is no room.
    pub(crate) fn keep(&mut self, tail: &[u8], frame: u64, at: u32, budget: &mut Budget) -> bool {
        if tail.is_empty() {
            return true;
        }
        if tail.len() > MAX_HELD_EACH || !budget.fits(tail.len()) {
            return false;
        }
        if self.partial.capacity() == 0 {
            self.partial = budget.rooms.take(tail.len(), RECORD.max(tail.len()));
        }
        if self.pieces.capacity() == 0 {
            self.pieces = budget.pieces.take(1, 64);
        }
        self.pieces.push(Piece {
            frame,
            at,
            into: self.partial.len() as u32,
            len: tail.len() as u32,
        });
        self.partial.extend_from_slice(tail);
        self.recount(budget);
        true
    }

    /// What is there of a message that is not whole yet.
    pub(crate) fn partial(&self) -> &[u8] {
        &self.partial
    }

    /// Whether a message has begun and is not whole yet.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.partial.is_empty()
    }

    /// Forgets a message that is not whole.
    pub(crate) fn clear(&mut self, budget: &mut Budget) {
        (self.body, self.pieces_by) = (0, None);
        self.empty(budget);
    }

    /// Gives the room of a message back.
    fn empty(&mut self, budget: &mut Budget) {
        budget.rooms.give(&mut self.partial);
        budget.pieces.give(&mut self.pieces);
        self.recount(budget);
    }

    fn recount(&mut self, budget: &mut Budget) {
        let now = self.partial.capacity() + self.pieces.capacity() * size_of::<Piece>();
        budget.recount(self.counted, now);
        self.counted = now;
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests {
    use super::*;

    /// Messages of two bytes.
    fn pairs(bytes: &[u8], _: usize, _: &mut Talk) -> Framing {
        if bytes.len() < 2 {
            Framing::More
        } else {
            Framing::Whole(2)
        }
    }

    fn whole(range: core::ops::Range<usize>) -> Span {
        let part = Part::Message;
        Span { range, part }
    }

    #[test]
    fn order_is_restored_across_the_wrap() {
        let (mut order, mut budget, mut buffers) =
            (Order::default(), Budget::default(), Buffers::default());
        order.begin(u32::MAX - 1, &mut budget);
        assert_eq!(order.arrive(2, b"ef", 1, 40, &mut budget), Arrival::Early);
        assert_eq!(order.arrive(0, b"cd", 2, 40, &mut budget), Arrival::Early);
        assert_eq!(order.arrive(0, b"cd", 3, 40, &mut budget), Arrival::Old);
        assert_eq!(
            order.arrive(u32::MAX - 1, b"ab", 4, 40, &mut budget),
            Arrival::Next { skip: 0 }
        );
        order.fill(0, &mut buffers, &mut budget);
        assert_eq!(buffers.arena, b"cdef");
        assert_eq!(
            buffers.pieces.iter().map(|p| p.frame).collect::<Vec<_>>(),
            [2, 1]
        );
        assert_eq!(budget.used, 0);
        assert_eq!(
            order.arrive(3, b"fgh", 5, 40, &mut budget),
            Arrival::Next { skip: 1 }
        );
    }

    #[test]
    fn a_hole_that_stays_is_given_up_within_the_cap() {
        let (mut order, mut budget) = (Order::default(), Budget::default());
        order.begin(0, &mut budget);
        let mut given_up = 0;
        for n in 0..10_000u32 {
            let arrival = order.arrive(1 + n * 1500 * 2, &[0; 1500], 1, 0, &mut budget);
            given_up += usize::from(arrival == Arrival::GivenUp);
            assert!(order.held_bytes <= MAX_HELD_EACH && order.held.len() <= MAX_SEGMENTS);
            assert!(budget.used <= 2 * MAX_HELD_EACH + MAX_SEGMENTS * PLACE);
        }
        assert!(given_up > 0);
    }

    #[test]
    fn a_message_is_cut_however_it_came() {
        let (mut asm, mut budget, mut buffers) =
            (Assembler::default(), Budget::default(), Buffers::default());
        let mut spans = Vec::new();
        let cut = asm.cut(
            pairs,
            b"aabbc",
            (1, 10),
            &mut spans,
            &mut Talk::default(),
            &mut budget,
        );
        assert_eq!(
            (spans.as_slice(), cut.tail, cut.completed),
            ([whole(0..2), whole(2..4)].as_slice(), 4, None)
        );
        assert!(asm.keep(b"c", 1, 14, &mut budget));
        spans.clear();
        let cut = asm.cut(
            pairs,
            b"cdd",
            (2, 10),
            &mut spans,
            &mut Talk::default(),
            &mut budget,
        );
        assert_eq!((cut.head, cut.completed), (1, Some(Part::Message)));
        assert_eq!(spans, [whole(1..3)]);
        let id = asm
            .take(BufKind::Stream, &mut buffers, &mut budget)
            .unwrap();
        assert_eq!(buffers.bytes(&[], id), b"cc");
        assert_eq!(
            buffers
                .pieces
                .iter()
                .map(|p| (p.frame, p.at, p.len))
                .collect::<Vec<_>>(),
            [(1, 14, 1), (2, 10, 1)]
        );
        assert_eq!(budget.used, 0);
    }

    #[test]
    fn a_message_without_an_end_is_given_up_at_the_cap() {
        let (mut asm, mut budget) = (Assembler::default(), Budget::default());
        let never: FindEnd = |_, _, _| Framing::More;
        assert!(asm.keep(b"x", 0, 0, &mut budget));
        let run = vec![0; 64 << 10];
        let runs = (0..1000).take_while(|_| {
            asm.cut(
                never,
                &run,
                (0, 0),
                &mut Vec::new(),
                &mut Talk::default(),
                &mut budget,
            )
            .end
            .is_none()
        });
        assert!(runs.count() < 40);
        assert!(asm.partial.len() <= MAX_HELD_EACH + run.len());
    }
}
