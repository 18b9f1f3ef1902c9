//! A host, as far as it can be known from the wire: what it waits for, what it has kept, what it does with a segment.

use std::collections::VecDeque;

use super::segment::{Segment, after};
use super::{Check, Reaction};
use crate::packet;
use crate::packet::Time;

/// So many pieces that came too early are remembered for each host.
const MAX_KEPT: usize = 256;

/// What is known of a host.
#[derive(Debug, Default)]
pub(super) struct Side {
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

impl Side {
    /// What it does with a segment of its connection (RFC 9293, section 3.10.7).
    pub(super) fn takes(&mut self, segment: &Segment, time: Time) -> Reaction {
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
    pub(super) fn is_closed(&self) -> bool {
        match (self.fin, self.una) {
            (Some(fin), Some(una)) => self.passive && !after(fin, una),
            _ => false,
        }
    }

    /// The same before there is a connection.
    pub(super) fn opens(&mut self, segment: &Segment, time: Time) -> Reaction {
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
    pub(super) fn comes_to(&mut self, edge: u32) {
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
    pub(super) fn acknowledged(&mut self, segment: &Segment, time: Time) {
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
