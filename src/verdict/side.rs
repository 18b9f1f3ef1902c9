//! A host, as far as it can be known from the wire: what it waits for, what it has kept, what it does with a segment.
//!
//! All that says of a segment whether its receiver took it asks here: verdicts, and the views of both ends.

use std::collections::VecDeque;

use super::segment::{Segment, after};
use super::{Check, Reaction};
use crate::packet;
use crate::packet::Time;

/// So many pieces that came too early are remembered for each host.
const MAX_KEPT: usize = 256;

/// Linux may keep an acknowledgment back for so long (TCP_DELACK_MAX), in nanoseconds.
const LINUX_KEEPS_BACK: u64 = 200_000_000;

/// What is known of a host.
#[derive(Debug, Default)]
pub(crate) struct Side {
    /// Whether its TCP is Linux's. The other stack that there is acknowledges at once, and throws away with its data what
    /// acknowledges less than it knows already.
    pub(crate) linux: bool,
    /// The sequence number behind the last that it has sent.
    pub(super) next: Option<u32>,
    /// The highest acknowledgment that it got, and when.
    pub(super) una: Option<u32>,
    pub(super) una_at: Time,
    /// How often that came again, and whether with selective acknowledgments.
    pub(super) repeats: u32,
    pub(super) repeated_at: Time,
    pub(super) sack: bool,
    /// Up to here it makes good an earlier loss.
    pub(super) recover: Option<u32>,
    /// The next that it waits for, as far as can be reckoned.
    pub(super) edge: Option<u32>,
    /// When it came that far.
    edge_at: Time,
    /// What came too early.
    pub(super) kept: Vec<(u32, u32)>,
    /// The highest acknowledgment that it has sent.
    pub(super) acked: Option<u32>,
    /// Up to where it lets the other send.
    pub(super) window: Option<u32>,
    pub(super) shift: Option<u8>,
    pub(super) reset: bool,
    pub(super) reset_at: Time,
    pub(super) doubtful: bool,
    /// The sequence number behind its FIN; whether it had the other's by then, and whether it has it now.
    pub(super) fin: Option<u32>,
    pub(super) passive: bool,
    pub(super) got_fin: bool,
    pub(super) said: VecDeque<String>,
}

impl Reaction {
    /// Whether the host heeds what the segment acknowledges.
    pub(super) fn counts(self) -> bool {
        !matches!(
            self,
            Self::Discarded(_) | Self::OutOfWindow | Self::Refused | Self::Duplicate
        )
    }
}

impl Side {
    /// It sends a segment, and says with it what it has got.
    pub(crate) fn sends(&mut self, segment: &Segment, time: Time) {
        if self.next.is_none_or(|next| after(segment.end(), next)) {
            self.next = Some(segment.end());
        }
        if segment.syn() {
            self.shift = segment.shift;
        }
        if segment.has(packet::Segment::FIN) && self.fin.is_none() {
            self.fin = Some(segment.end());
            self.passive = self.got_fin;
        }
        let shift = match (segment.syn(), self.shift) {
            (false, Some(shift)) => shift,
            _ => 0,
        };
        if !segment.acks() || segment.rst() {
            return;
        }
        self.window = Some(segment.ack.wrapping_add(u32::from(segment.window) << shift));
        if self.acked.is_none_or(|acked| after(segment.ack, acked)) {
            self.acked = Some(segment.ack);
        }
        if self.edge.is_none_or(|edge| after(segment.ack, edge)) {
            self.edge = Some(segment.ack);
            self.edge_at = time;
        }
    }

    /// A segment arrives: what it does with it.
    pub(crate) fn gets(&mut self, segment: &Segment, time: Time) -> Reaction {
        let edge = self.edge;
        let how = self.takes(segment, time);
        if self.edge != edge {
            self.edge_at = time;
        }
        // What is refused for its sequence number acknowledges nothing (RFC 9293, section 3.10.7.4).
        if segment.acks() && !segment.rst() && how.counts() {
            self.acknowledged(segment, time);
        }
        how
    }

    /// A segment comes again although the host should have it: what it has not acknowledged by now, it has not taken. The
    /// number from which on that is so.
    pub(crate) fn disowns(&mut self, segment: &Segment, time: Time) -> Option<u32> {
        let (edge, acked) = (self.edge?, self.acked?);
        let may_still_say = self.linux && time.since(self.edge_at) < LINUX_KEEPS_BACK;
        if may_still_say || !after(edge, acked) || after(segment.seq, acked) {
            return None;
        }
        self.edge = Some(acked);
        Some(acked)
    }

    /// Whether it acknowledges less than an earlier one did.
    pub(crate) fn is_old(&self, segment: &Segment) -> bool {
        segment.acks() && self.una.is_some_and(|una| after(una, segment.ack))
    }

    /// What it does with a segment of its connection (RFC 9293, section 3.10.7).
    fn takes(&mut self, segment: &Segment, time: Time) -> Reaction {
        if self.reset || self.is_closed() {
            return Reaction::Discarded(Check::TcpPort);
        }
        let Some(edge) = self.edge else {
            return self.opens(segment, time);
        };
        let window = self.window.unwrap_or(edge);
        let in_window = !after(edge, segment.seq) && after(window, segment.seq);
        if segment.rst() {
            if segment.seq != edge && !in_window {
                return Reaction::OutOfWindow;
            }
            // Nobody doubts the very next number (RFC 5961, section 3.2).
            self.doubtful = segment.seq != edge;
            (self.reset, self.reset_at) = (true, time);
            return Reaction::Reset;
        }
        if segment.syn() {
            return if segment.end() == edge || !after(segment.end(), edge) {
                Reaction::Duplicate
            } else {
                Reaction::OutOfWindow
            };
        }
        if !segment.acks() {
            return Reaction::Discarded(Check::TcpFlags);
        }
        if self.next.is_some_and(|next| after(segment.ack, next)) {
            return Reaction::Discarded(Check::TcpAcknowledgment);
        }
        if !self.linux && self.is_old(segment) {
            return Reaction::Refused;
        }
        if segment.space() == 0 {
            return if segment.seq == edge || in_window {
                Reaction::Taken
            } else if after(edge, segment.seq) {
                Reaction::Duplicate
            } else {
                Reaction::OutOfWindow
            };
        }
        if !after(segment.end(), edge) {
            return Reaction::Duplicate;
        }
        if after(segment.seq, edge) {
            if !in_window {
                return Reaction::OutOfWindow;
            }
            if self.kept.len() < MAX_KEPT {
                self.kept.push((segment.seq, segment.end()));
            }
            return Reaction::Kept;
        }
        self.comes_to(segment.end());
        self.got_fin |= segment.has(packet::Segment::FIN);
        Reaction::Taken
    }

    /// Whether it has no connection any more: it closed second, and that was acknowledged.
    fn is_closed(&self) -> bool {
        match (self.fin, self.una) {
            (Some(fin), Some(una)) => self.passive && !after(fin, una),
            _ => false,
        }
    }

    /// The same before there is a connection.
    fn opens(&mut self, segment: &Segment, time: Time) -> Reaction {
        let right = self.next.is_none_or(|next| next == segment.ack);
        if segment.rst() {
            // RFC 9293, section 3.10.7.3: it must acknowledge the SYN.
            return if self.next.is_some() && segment.acks() && right {
                (self.reset, self.reset_at) = (true, time);
                Reaction::Reset
            } else {
                Reaction::OutOfWindow
            };
        }
        if !segment.syn() {
            return Reaction::Discarded(Check::TcpPort);
        }
        if segment.acks() && !right {
            return Reaction::Discarded(Check::TcpAcknowledgment);
        }
        // A SYN that answers nobody's is refused by who listens.
        if segment.acks() && self.next.is_none() {
            return Reaction::Discarded(Check::TcpFlags);
        }
        self.edge = Some(segment.end());
        Reaction::Taken
    }

    /// It has everything up to here, and what it kept behind that.
    fn comes_to(&mut self, edge: u32) {
        let mut edge = edge;
        while let Some(place) = self.kept.iter().position(|(start, _)| !after(*start, edge)) {
            let (_, end) = self.kept.swap_remove(place);
            if after(end, edge) {
                edge = end;
            }
        }
        self.edge = Some(edge);
    }

    /// An acknowledgment has come.
    fn acknowledged(&mut self, segment: &Segment, time: Time) {
        match self.una {
            Some(una) if !after(segment.ack, una) => {
                let waits = self.next.is_some_and(|next| after(next, una));
                if segment.ack == una && segment.space() == 0 && waits {
                    self.repeats += 1;
                    self.repeated_at = time;
                    self.sack |= segment.sack;
                }
            }
            _ => {
                self.una = Some(segment.ack);
                self.una_at = time;
                self.repeats = 0;
                self.repeated_at = time;
                self.sack = segment.sack;
            }
        }
        if let (Some(recover), Some(una)) = (self.recover, self.una)
            && !after(recover, una)
        {
            self.recover = None;
        }
    }
}
