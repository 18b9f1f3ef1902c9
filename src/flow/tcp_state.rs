//! The states of a connection's two ends (RFC 9293, section 3.3.2), told from outside.
//!
//! [`States`] sees a connection from outside, [`End`] one of its ends from within.
//!
//! As in the figures of the RFC, they are those after the segment has arrived: of its sender and of its receiver.
//!
//! ```text
//! SYN-SENT    ──SYN──▶      SYN-RECEIVED          FIN-WAIT-1  ──FIN, ACK──▶   CLOSE-WAIT
//! ESTABLISHED ◀──SYN, ACK── SYN-RECEIVED          FIN-WAIT-2  ◀──ACK──        CLOSE-WAIT
//! ESTABLISHED ──ACK──▶      ESTABLISHED           TIME-WAIT   ◀──FIN, ACK──   LAST-ACK
//!                                                 TIME-WAIT   ──ACK──▶        CLOSED
//! ```

use crate::packet::{Fact, Segment};

/// A state, by its number in the TCP MIB (RFC 4022, tcpConnectionState).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Closed = 1,
    Listen = 2,
    SynSent = 3,
    SynReceived = 4,
    Established = 5,
    FinWait1 = 6,
    FinWait2 = 7,
    CloseWait = 8,
    LastAck = 9,
    Closing = 10,
    TimeWait = 11,
}
use State::{
    CloseWait, Closed, Closing, Established, FinWait1, FinWait2, LastAck, Listen, SynReceived,
    SynSent, TimeWait,
};

impl State {
    pub(crate) fn number(self) -> u64 {
        self as u64
    }

    pub(crate) fn fact(self) -> Fact {
        Fact::Uint(self as u64)
    }
}

/// Both ends.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct States {
    /// `None` while nothing has told.
    of: [Option<State>; 2],
}

impl States {
    /// A segment goes from the end `dir` to the other. `acks_fin` says whether it acknowledges the other's FIN. Gives the
    /// states of sender and receiver, and whether this is what opened the connection.
    pub(crate) fn segment(
        &mut self,
        dir: usize,
        segment: &Segment,
        acks_fin: bool,
    ) -> (State, State, bool) {
        let [first, second] = self.of;
        let (from, to) = if dir == 0 {
            (first, second)
        } else {
            (second, first)
        };
        let (sender, receiver) = step(from, to, segment, acks_fin);
        let opens = sender == Established
            && receiver == Established
            && (from == Some(SynReceived) || to == Some(SynReceived));
        self.of = if dir == 0 {
            [Some(sender), Some(receiver)]
        } else {
            [Some(receiver), Some(sender)]
        };
        (sender, receiver, opens)
    }
}

fn step(
    from: Option<State>,
    to: Option<State>,
    segment: &Segment,
    acks_fin: bool,
) -> (State, State) {
    if segment.has(Segment::RST) {
        return (Closed, Closed);
    }
    if segment.has(Segment::SYN) {
        return match (segment.has(Segment::ACK), from, to) {
            // Sent again, or late: it changes nothing.
            (_, Some(from), Some(to)) if from as u8 > SynReceived as u8 => (from, to),
            (true, _, to) => {
                let known = to.filter(|to| *to as u8 > Established as u8);
                (SynReceived, known.unwrap_or(Established))
            }
            (false, Some(SynReceived), Some(to)) => (SynReceived, to),
            (false, ..) => (SynSent, SynReceived),
        };
    }
    // A capture that begins in the middle: whoever speaks is taken to be connected.
    let begun = |state: Option<State>| match state {
        None | Some(SynSent | SynReceived) => Established,
        Some(state) => state,
    };
    let (mut from, mut to) = (begun(from), begun(to));
    if acks_fin {
        to = match to {
            FinWait1 => FinWait2,
            Closing => TimeWait,
            LastAck => Closed,
            other => other,
        };
    }
    if segment.has(Segment::FIN) {
        let crossing = to == FinWait1;
        from = match from {
            Established => FinWait1,
            // Its own FIN went out before the other's came in.
            CloseWait if crossing => Closing,
            CloseWait => LastAck,
            other => other,
        };
        to = match to {
            Established => CloseWait,
            FinWait1 => Closing,
            FinWait2 => TimeWait,
            other => other,
        };
    }
    (from, to)
}

/// One end of a connection, told what it sends and what it gets: the machine of RFC 9293, section 3.3.2.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    state: State,
    /// Whether it waits to be asked, and does so again if nothing comes of it.
    listens: bool,
    /// The number behind its SYN, and behind its FIN, once sent.
    syn: Option<u32>,
    fin: Option<u32>,
    /// The next number that it expects.
    expects: Option<u32>,
    /// The number of the other side's FIN, if that came before what is missing.
    ends_at: Option<u32>,
    /// Whether it has sent its FIN although the other's, which it did not acknowledge, had arrived: a real stack takes its
    /// time between the arrival of a segment and what it does about it.
    untaken: bool,
}

impl End {
    /// One that asks, or one that waits to be asked.
    pub(crate) fn new(listens: bool) -> Self {
        Self {
            state: if listens { Listen } else { Closed },
            listens,
            syn: None,
            fin: None,
            expects: None,
            ends_at: None,
            untaken: false,
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// It sends a segment.
    pub(crate) fn sends(&mut self, segment: &Segment) {
        if self.expects == Some(segment.ack) {
            self.takes_up();
        }
        let behind = segment.seq.wrapping_add(segment.len).wrapping_add(1);
        if segment.has(Segment::SYN) {
            self.syn = Some(behind);
        }
        if segment.has(Segment::FIN) {
            self.fin = Some(behind);
        }
        self.state = match self.state {
            _ if segment.has(Segment::RST) => self.closed(),
            Closed if segment.has(Segment::SYN) => SynSent,
            Established | SynReceived if segment.has(Segment::FIN) => FinWait1,
            CloseWait if segment.has(Segment::FIN) && self.expects != Some(segment.ack) => {
                self.untaken = true;
                FinWait1
            }
            CloseWait if segment.has(Segment::FIN) => LastAck,
            state => state,
        };
    }

    /// It gets a segment that is in order with the checksum. `next` is the number behind everything that has arrived
    /// without a gap, with this segment.
    pub(crate) fn gets(&mut self, segment: &Segment, next: u32) {
        self.takes_up();
        if segment.has(Segment::RST) {
            // Section 3.10.7: only the number that is expected resets; when the SYN waits, only an answer to it.
            let fits = match self.state {
                SynSent => segment.has(Segment::ACK) && Some(segment.ack) == self.syn,
                _ => self.expects == Some(segment.seq),
            };
            if fits {
                self.state = self.closed();
            }
            return;
        }
        let acks = |number: Option<u32>| segment.has(Segment::ACK) && number == Some(segment.ack);
        if segment.has(Segment::SYN) {
            let begins = match self.state {
                Listen => Some(SynReceived),
                SynSent if acks(self.syn) => Some(Established),
                SynSent if !segment.has(Segment::ACK) => Some(SynReceived),
                _ => None,
            };
            if let Some(state) = begins {
                self.state = state;
                self.expects = Some(next);
            }
            return;
        }
        if matches!(self.state, Closed | Listen | SynSent) {
            return;
        }
        let passed = |number: u32| (segment.ack.wrapping_sub(number)).cast_signed() >= 0;
        if self.state == SynReceived && segment.has(Segment::ACK) && self.syn.is_some_and(passed) {
            self.state = Established;
        }
        if acks(self.fin) {
            self.state = match self.state {
                FinWait1 => FinWait2,
                Closing => TimeWait,
                LastAck => Closed,
                state => state,
            };
        }
        self.expects = Some(next);
        if segment.has(Segment::FIN) {
            self.ends_at = Some(segment.seq.wrapping_add(segment.len));
        }
        if self.ends_at == Some(next) {
            self.ends_at = None;
            self.expects = Some(next.wrapping_add(1));
            self.state = match self.state {
                SynReceived | Established => CloseWait,
                FinWait1 => Closing,
                FinWait2 => TimeWait,
                state => state,
            };
        }
    }

    /// The other's FIN, which had arrived when it sent its own without knowing of it.
    fn takes_up(&mut self) {
        if core::mem::take(&mut self.untaken) {
            self.state = Closing;
        }
    }

    fn closed(&self) -> State {
        if self.listens && self.state == SynReceived {
            Listen
        } else {
            Closed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each segment: who sends it, its flags (`f`: it acknowledges the other's FIN), the states after it.
    fn story(segments: &[(usize, &str, State, State)]) {
        let mut states = States::default();
        for (dir, flags, sender, receiver) in segments {
            let bit = |flag: char| match flag {
                'S' => Segment::SYN,
                'A' => Segment::ACK,
                'F' => Segment::FIN,
                'R' => Segment::RST,
                _ => 0,
            };
            let segment = Segment {
                flags: flags.chars().map(bit).fold(0, |all, flag| all | flag),
                ..Segment::default()
            };
            let (from, to, _) = states.segment(*dir, &segment, flags.contains('f'));
            assert_eq!((from, to), (*sender, *receiver), "{flags} from {dir}");
        }
    }

    #[test]
    fn the_figures_of_the_rfc() {
        let open = [
            (0, "S", SynSent, SynReceived),
            (1, "SA", SynReceived, Established),
            (0, "A", Established, Established),
        ];
        // Figure 12: a normal close.
        let close = [
            (0, "FA", FinWait1, CloseWait),
            (1, "Af", CloseWait, FinWait2),
            (1, "A", CloseWait, FinWait2),
            (1, "FAf", LastAck, TimeWait),
            (0, "Af", TimeWait, Closed),
        ];
        story(&[&open[..], &close].concat());
        // Figure 13: both at once.
        let both = [
            (0, "FA", FinWait1, CloseWait),
            (1, "FA", Closing, Closing),
            (0, "Af", Closing, TimeWait),
            (1, "Af", TimeWait, TimeWait),
        ];
        story(&[&open[..], &both].concat());
        // The acknowledgment of the FIN and the other FIN in one segment.
        story(&[
            (0, "A", Established, Established),
            (0, "FA", FinWait1, CloseWait),
            (1, "FAf", LastAck, TimeWait),
            (0, "Af", TimeWait, Closed),
        ]);
    }

    #[test]
    fn what_is_sent_again_changes_nothing() {
        story(&[
            (0, "S", SynSent, SynReceived),
            (0, "S", SynSent, SynReceived),
            (1, "SA", SynReceived, Established),
            (1, "SA", SynReceived, Established),
            (0, "A", Established, Established),
            (1, "SA", Established, Established),
            (0, "FA", FinWait1, CloseWait),
            (0, "FA", FinWait1, CloseWait),
            (1, "RA", Closed, Closed),
        ]);
    }

    #[test]
    fn only_one_side_is_heard() {
        story(&[
            (1, "SA", SynReceived, Established),
            (1, "A", Established, Established),
            (1, "FA", FinWait1, CloseWait),
        ]);
    }

    /// What one end sends (`>`) and gets (`<`), as flags, first number, bytes and acknowledgment, and its state after it.
    /// Its own SYN has the number 100, the other's 500.
    fn life(listens: bool, segments: &[(&str, u32, u32, u32, State)]) {
        let mut end = End::new(listens);
        let mut next = None;
        for (flags, seq, len, ack, state) in segments {
            let bit = |flag: char| match flag {
                'S' => Segment::SYN,
                'A' => Segment::ACK,
                'F' => Segment::FIN,
                'R' => Segment::RST,
                _ => 0,
            };
            let segment = Segment {
                flags: flags.chars().map(bit).fold(0, |all, flag| all | flag),
                seq: *seq,
                len: *len,
                ack: *ack,
                ..Segment::default()
            };
            if flags.starts_with('>') {
                end.sends(&segment);
            } else {
                // What comes in its turn is all that these stories need.
                if next.is_none_or(|next| next == *seq) {
                    next = Some(seq + len + u32::from(segment.has(Segment::SYN)));
                }
                end.gets(&segment, next.unwrap_or(0));
            }
            assert_eq!(end.state(), *state, "{flags} {seq}");
        }
    }

    const OPENED: [(&str, u32, u32, u32, State); 3] = [
        ("> S", 100, 0, 0, SynSent),
        ("< SA", 500, 0, 101, Established),
        ("> A", 101, 0, 501, Established),
    ];

    #[test]
    fn one_end_lives_as_in_the_figures_of_the_rfc() {
        // Figures 6 and 12, on the side that begins and ends.
        let close = [
            ("> FA", 101, 0, 501, FinWait1),
            ("< A", 501, 0, 102, FinWait2),
            ("< A", 501, 9, 102, FinWait2),
            ("< FA", 510, 0, 102, TimeWait),
            ("> A", 102, 0, 511, TimeWait),
        ];
        life(false, &[&OPENED[..], &close].concat());
        // On the other.
        life(
            true,
            &[
                ("< S", 500, 0, 0, SynReceived),
                ("> SA", 100, 0, 501, SynReceived),
                ("< A", 501, 0, 101, Established),
                ("< FA", 501, 0, 101, CloseWait),
                ("> A", 101, 4, 502, CloseWait),
                ("> FA", 105, 0, 502, LastAck),
                ("< A", 502, 0, 105, LastAck),
                ("< A", 502, 0, 106, Closed),
            ],
        );
        // Figure 13: both at once; and where the other's FIN had come, but was not yet taken up.
        let both = [
            ("> FA", 101, 0, 501, FinWait1),
            ("< FA", 501, 0, 101, Closing),
            ("> A", 102, 0, 502, Closing),
            ("< A", 502, 0, 102, TimeWait),
        ];
        life(false, &[&OPENED[..], &both].concat());
        let late = [
            ("< FA", 501, 0, 101, CloseWait),
            ("> FA", 101, 0, 501, FinWait1),
            ("> A", 102, 0, 502, Closing),
            ("< A", 502, 0, 102, TimeWait),
        ];
        life(false, &[&OPENED[..], &late].concat());
    }

    #[test]
    fn what_comes_too_early_or_is_forged_badly_changes_nothing() {
        let early = [
            // A FIN before the data that it ends.
            ("< FA", 510, 0, 101, Established),
            ("< A", 501, 9, 101, CloseWait),
        ];
        life(false, &[&OPENED[..], &early].concat());
        let resets = [
            ("< R", 500, 0, 0, Established),
            ("< R", 9999, 0, 0, Established),
            ("< S", 700, 0, 0, Established),
            ("< R", 501, 0, 0, Closed),
        ];
        life(false, &[&OPENED[..], &resets].concat());
        life(
            false,
            &[("> S", 100, 0, 0, SynSent), ("< RA", 0, 0, 99, SynSent)],
        );
        life(
            false,
            &[("> S", 100, 0, 0, SynSent), ("< RA", 0, 0, 101, Closed)],
        );
        life(
            true,
            &[("< S", 500, 0, 0, SynReceived), ("< R", 501, 0, 0, Listen)],
        );
    }
}
