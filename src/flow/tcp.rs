//! What several segments tell: relative numbers, the scaled window, what was sent again, what is acknowledged.
//!
//! The rules follow RFC 9293; the names, and where the RFC leaves it to the observer also the rules, are Wireshark's.

use std::collections::VecDeque;

use super::stream::after;
use crate::layers::tcp as key;
use crate::packet::{Fact, Labels, Segment, Time};

/// The most segments of one direction whose acknowledgment is waited for.
const MAX_OUTSTANDING: usize = 256;

/// A segment that fills a hole within this time of the one before it was overtaken, not sent again, unless the
/// connection's own round trip is shorter (Wireshark's rule).
const OVERTAKEN_WITHIN: u64 = 3_000_000;

/// A segment sent again within this time of a duplicate acknowledgment was sent because of it (Wireshark's rule).
const FAST_WITHIN: u64 = 20_000_000;

/// One end of a connection, as far as it can be known from outside.
#[derive(Debug, Default)]
struct End {
    /// What relative sequence numbers are counted from.
    base: Option<u32>,
    /// The sequence number behind the last byte it has sent.
    next: u32,
    /// The last acknowledgment it has sent.
    ack: Option<u32>,
    /// The last window it has offered, as in its header.
    window: u16,
    /// Its window scale option's shift.
    shift: Option<u8>,
    /// Whether its SYN was seen, so that `shift` is known.
    synchronized: bool,
    /// How often it has repeated its last acknowledgment, and when it did last.
    repeats: u32,
    repeated_at: Time,
    /// When it last acknowledged no more than before although more was under way to it.
    asked_at: Time,
    /// When it last sent something new.
    sent_at: Time,
    /// What it has sent and was not acknowledged, in the order of sequence numbers.
    outstanding: VecDeque<Sent>,
    /// The sequence number behind its FIN.
    fin: Option<u32>,
    /// Whether its last segment was a keep-alive probe.
    probing: bool,
}

/// A segment that waits for its acknowledgment.
#[derive(Debug, Clone, Copy)]
struct Sent {
    /// Its sequence number, and the one behind it.
    seq: u32,
    end: u32,
    /// The frame it came in first, and when.
    frame: u64,
    at: Time,
    /// Sent again: whose acknowledgment comes cannot be told any more (Karn's algorithm, RFC 6298, section 3).
    again: bool,
}

/// A connection's two ends.
#[derive(Debug, Default)]
pub(crate) struct Track {
    ends: [End; 2],
    /// The SYN's time, and the round trip of the handshake once it is known.
    opened_at: Option<Time>,
    round_trip: Option<u64>,
}

impl Track {
    /// Takes up one segment from the end `dir`, and notes about layer `layer` what it means in the conversation.
    ///
    /// `seen` says whether all its bytes have been there before.
    pub(crate) fn observe(
        &mut self,
        dir: usize,
        segment: &Segment,
        seen: bool,
        (frame, time): (u64, Time),
        layer: usize,
        labels: &mut Labels,
    ) {
        let [first, second] = &mut self.ends;
        let (us, them) = if dir == 0 {
            (first, second)
        } else {
            (second, first)
        };
        let syn = segment.has(Segment::SYN);
        let space = segment.len + u32::from(syn) + u32::from(segment.has(Segment::FIN));
        let end = segment.seq.wrapping_add(space);
        let acks = segment.has(Segment::ACK);

        // A connection whose SYN was not seen is counted from one, as if the SYN had been just before.
        let fresh = us.base.is_none() || (syn && !seen && us.next != end);
        if fresh {
            us.base = Some(if syn {
                segment.seq
            } else {
                segment.seq.wrapping_sub(1)
            });
            us.next = segment.seq;
            us.outstanding.clear();
            us.ack = None;
            us.fin = None;
        }
        if syn {
            (us.shift, us.synchronized) = (segment.window_shift, true);
            self.opened_at.get_or_insert(time);
        }
        if acks && them.base.is_none() {
            them.base = Some(segment.ack.wrapping_sub(1));
            them.next = segment.ack;
        }
        let base = us.base.unwrap_or(segment.seq);
        let mut note = |def, value| labels.note(layer, def, value);

        note(&key::SEQ, number(segment.seq.wrapping_sub(base)));
        note(&key::NXTSEQ, number(end.wrapping_sub(base)));
        if let (true, Some(theirs)) = (acks, them.base) {
            note(&key::ACK, number(segment.ack.wrapping_sub(theirs)));
        }
        // RFC 7323, section 2: the scale holds in both directions only if both SYNs carried it, and never in a SYN.
        let shift = match (us.shift, them.shift) {
            (Some(shift), Some(_)) if !syn => Some(shift.min(14)),
            _ => None,
        };
        note(
            &key::WINDOW_SIZE,
            number(u32::from(segment.window) << shift.unwrap_or(0)),
        );
        if let Some(shift) = shift {
            note(&key::WINDOW_SCALEFACTOR, number(1 << shift));
        }

        // What this segment carries: new, again, too early, or only asking.
        let behind = after(us.next, segment.seq);
        let probe = segment.len <= 1
            && segment.seq == us.next.wrapping_sub(1)
            && space == segment.len
            && acks;
        let mut again = false;
        if fresh {
        } else if probe && !segment.has(Segment::RST) {
            note(&key::ANALYSIS_KEEP_ALIVE, Fact::Present);
        } else if space > 0 && behind {
            again = true;
            let mut resent = true;
            let acknowledged = them.ack.is_some_and(|ack| !after(end, ack));
            let asked = them.repeats >= 2
                && them.ack == Some(segment.seq)
                && time.since(them.repeated_at) <= FAST_WITHIN;
            if seen && acknowledged {
                note(&key::ANALYSIS_SPURIOUS_RETRANSMISSION, Fact::Present);
                note(&key::ANALYSIS_RETRANSMISSION, Fact::Present);
            } else if asked {
                note(&key::ANALYSIS_FAST_RETRANSMISSION, Fact::Present);
                note(&key::ANALYSIS_RETRANSMISSION, Fact::Present);
            } else if !seen && time.since(us.sent_at) < self.round_trip.unwrap_or(OVERTAKEN_WITHIN)
            {
                resent = false;
                note(&key::ANALYSIS_OUT_OF_ORDER, Fact::Present);
            } else {
                note(&key::ANALYSIS_RETRANSMISSION, Fact::Present);
            }
            let first = us
                .outstanding
                .iter()
                .find(|sent| after(sent.end, segment.seq) && !after(sent.seq, segment.seq));
            if let (true, Some(first)) = (resent, first) {
                note(&key::ANALYSIS_RTO, Fact::Uint(time.since(first.at)));
                note(&key::ANALYSIS_RTO_FRAME, Fact::Uint(first.frame));
                if them.asked_at < first.at {
                    note(&key::ANALYSIS_TIMEOUT, Fact::Present);
                }
            }
        } else if after(segment.seq, us.next) && !segment.has(Segment::RST) {
            note(&key::ANALYSIS_LOST_SEGMENT, Fact::Present);
        }
        us.probing = probe;
        if segment.has(Segment::FIN) {
            us.fin = Some(end);
        }

        // What it acknowledges, and what it offers.
        if acks && !segment.has(Segment::RST) {
            let pure = space == 0;
            if after(segment.ack, them.next) {
                note(&key::ANALYSIS_ACK_LOST_SEGMENT, Fact::Present);
            } else if pure && us.ack == Some(segment.ack) && segment.seq == us.next {
                if after(them.next, segment.ack) {
                    us.asked_at = time;
                }
                if them.probing {
                    note(&key::ANALYSIS_KEEP_ALIVE_ACK, Fact::Present);
                } else if us.window != segment.window {
                    note(&key::ANALYSIS_WINDOW_UPDATE, Fact::Present);
                } else if after(them.next, segment.ack) {
                    us.repeats += 1;
                    us.repeated_at = time;
                    note(&key::ANALYSIS_DUPLICATE_ACK, Fact::Present);
                    note(&key::ANALYSIS_DUPLICATE_ACK_NUM, number(us.repeats));
                }
            }
            if us.ack != Some(segment.ack) {
                us.repeats = 0;
                let acked = us.ack.map_or(0, |before| segment.ack.wrapping_sub(before));
                let of_fin = them.fin.is_some_and(|fin| segment.ack == fin);
                // The SYN and the FIN each take a place in sequence space, but they are no bytes.
                let bytes = acked.wrapping_sub(u32::from(of_fin));
                if us.ack.is_some_and(|before| after(segment.ack, before)) && bytes > 0 {
                    note(&key::ANALYSIS_BYTES_ACKED, number(bytes));
                }
                if of_fin {
                    note(&key::ANALYSIS_ACKS_FIN, Fact::Present);
                }
            }
            if !us.ack.is_some_and(|ack| after(ack, segment.ack)) {
                us.ack = Some(segment.ack);
            }
            let mut newest = None;
            while let Some(sent) = them
                .outstanding
                .front()
                .copied()
                .filter(|sent| !after(sent.end, segment.ack))
            {
                newest = Some(sent).filter(|sent| !sent.again).or(newest);
                them.outstanding.pop_front();
            }
            if let Some(sent) = newest {
                note(&key::ANALYSIS_ACKS_FRAME, Fact::Uint(sent.frame));
                note(&key::ANALYSIS_ACK_RTT, Fact::Uint(time.since(sent.at)));
            }
            // The round trip of the handshake: from the SYN to the acknowledgment of the SYN that answered it.
            if let (None, Some(opened), false) = (self.round_trip, self.opened_at, syn) {
                self.round_trip = Some(time.since(opened));
                note(&key::ANALYSIS_INITIAL_RTT, Fact::Uint(time.since(opened)));
            }
        }
        us.window = segment.window;
        if segment.window == 0 && !syn && !segment.has(Segment::RST) && !segment.has(Segment::FIN) {
            note(&key::ANALYSIS_ZERO_WINDOW, Fact::Present);
        }

        if space > 0 && !again && !after(us.next, segment.seq) {
            if us.outstanding.len() >= MAX_OUTSTANDING {
                us.outstanding.pop_front();
            }
            us.outstanding.push_back(Sent {
                seq: segment.seq,
                end,
                frame,
                at: time,
                again: false,
            });
            us.sent_at = time;
        } else if again {
            for sent in &mut us.outstanding {
                sent.again |= after(sent.end, segment.seq) && !after(sent.end, end);
            }
        }
        if after(end, us.next) {
            us.next = end;
        }
        if segment.len > 0 {
            let acknowledged = them.ack.unwrap_or(segment.seq);
            note(
                &key::ANALYSIS_BYTES_IN_FLIGHT,
                number(us.next.wrapping_sub(acknowledged)),
            );
            let shift = match (us.shift, them.shift) {
                (Some(_), Some(shift)) => shift.min(14),
                _ => 0,
            };
            let known = us.synchronized && them.synchronized;
            if known
                && them.ack.is_some()
                && us.next == acknowledged.wrapping_add(u32::from(them.window) << shift)
            {
                note(&key::ANALYSIS_WINDOW_FULL, Fact::Present);
            }
        }
    }
}

fn number(n: u32) -> Fact {
    Fact::Uint(u64::from(n))
}
