//! What several segments tell: relative numbers, the scaled window, what was sent again, what is acknowledged.
//!
//! The rules follow RFC 9293; the names, and where the RFC leaves it to the observer also the rules, are Wireshark's, so
//! that both say the same of the same capture. `docs/tshark-differences.md` tells where they do not.

use super::stream::{Budget, after};
use super::tcp_state::States;
use super::unacked::{Sent, Unacked};
use crate::layers::tcp as key;
use crate::packet::{Fact, FieldDef, Labels, Sack, Segment, Time};

/// A segment that fills a hole within this time of the one before it was overtaken, not sent again, unless the round trip of
/// the handshake is known (Wireshark's rule).
const OVERTAKEN_WITHIN: u64 = 3_000_000;

/// A segment sent again within this time of a duplicate acknowledgment was sent because of it (Wireshark's rule).
const FAST_WITHIN: u64 = 20_000_000;

/// In place of how often an end has repeated its acknowledgment: some of what it sent is known not to be in the capture, so
/// more repetitions may be missing, too.
const UNCOUNTED: u32 = u32::MAX;

/// One end of a connection, as far as it can be known from outside.
#[derive(Debug, Default)]
struct End {
    /// What relative sequence numbers are counted from.
    base: Option<u32>,
    /// The sequence number behind the last byte it has sent, and the segment that was.
    next: Option<Sent>,
    /// Up to where an acknowledgment is of something that was seen.
    seen: Option<u32>,
    /// The last acknowledgment it has sent, and when it has last sent anything.
    ack: u32,
    spoke_at: Time,
    /// The last window it has offered, as in its header; and whether that was in a SYN, where it is never scaled.
    window: Option<u16>,
    window_of_syn: bool,
    scale: Scale,
    /// How often it has repeated its last acknowledgment (or [`UNCOUNTED`]), and the frame that had it first.
    repeats: u32,
    repeated: u64,
    /// What its last segment was.
    probed: Probe,
    /// What it has said beyond its acknowledgment.
    sack: Sack,
    unacked: Unacked,
    /// Something it has sent is missing, so what is in flight is not known until the next acknowledgment.
    holed: bool,
    /// How many bytes it has sent since the last PSH, and whether the last segment had one.
    pushing: u32,
    pushed: bool,
    /// The sequence number behind its FIN.
    fin: Option<u32>,
}

/// Whether an end's window field is to be multiplied (RFC 7323, section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Scale {
    /// Its SYN was not seen.
    #[default]
    Unknown,
    /// One of the two SYNs had no such option.
    None,
    By(u8),
}

/// A segment that only asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Probe {
    #[default]
    None,
    KeepAlive,
    ZeroWindow,
}

/// A connection's two ends.
#[derive(Debug, Default)]
pub(crate) struct Track {
    ends: [End; 2],
    states: States,
    /// When the last SYN was, and the round trip of the handshake once it is known.
    asked_at: Option<Time>,
    round_trip: Option<u64>,
    /// The ports are those of an earlier connection.
    pub(crate) reuses_ports: bool,
}

/// Where the notes go.
struct Notes<'l> {
    layer: usize,
    labels: &'l mut Labels,
    /// How many there were before.
    any: bool,
}

impl Notes<'_> {
    fn fact(&mut self, def: &'static FieldDef, value: Fact) {
        self.labels.note(self.layer, def, value);
    }

    fn number(&mut self, def: &'static FieldDef, n: u32) {
        self.fact(def, Fact::Uint(u64::from(n)));
    }

    /// What Wireshark calls analysis: a guess at what happened.
    fn guess(&mut self, def: &'static FieldDef) {
        self.any = true;
        self.fact(def, Fact::Present);
    }
}

impl Track {
    /// Takes up one segment from the end `dir`, and notes about layer `layer` what it means in the conversation.
    pub(crate) fn observe(
        &mut self,
        dir: usize,
        segment: &Segment,
        (frame, time): (u64, Time),
        layer: usize,
        labels: &mut Labels,
        budget: &mut Budget,
    ) {
        let mut notes = Notes {
            layer,
            labels,
            any: false,
        };
        let [first, second] = &mut self.ends;
        let (us, them) = if dir == 0 {
            (first, second)
        } else {
            (second, first)
        };
        let syn = segment.has(Segment::SYN);
        let acks = segment.has(Segment::ACK);
        numbers(us, them, segment, &mut notes);
        if core::mem::take(&mut self.reuses_ports) {
            notes.guess(&key::ANALYSIS_REUSED_PORTS);
        }
        if syn && !acks {
            self.asked_at = Some(time);
        }
        if !syn && acks && self.round_trip.is_none() {
            self.round_trip = self.asked_at.map(|asked| time.since(asked));
        }

        let acks_fin = acks && them.fin == Some(segment.ack) && them.fin.is_some();
        let (sender, receiver, opened) = self.states.segment(dir, segment, acks_fin);
        notes.fact(&key::STATE_SRC, sender.fact());
        notes.fact(&key::STATE_DST, receiver.fact());
        if opened {
            notes.fact(&key::STATE_OPENED, Fact::Present);
        }

        let mut turn = Turn {
            us,
            them,
            segment,
            frame,
            time,
            round_trip: self.round_trip,
            notes: &mut notes,
        };
        let probe = turn.offers();
        turn.acknowledges(acks_fin);
        turn.again(probe);
        turn.sent(probe, budget);
        turn.settle(probe, budget);
        if let (Some(round_trip), true) = (self.round_trip, notes.any) {
            notes.fact(&key::ANALYSIS_INITIAL_RTT, Fact::Uint(round_trip));
        }
    }

    /// The connection is forgotten.
    pub(crate) fn clear(&mut self, budget: &mut Budget) {
        for end in &mut self.ends {
            end.unacked.clear(budget);
        }
    }
}

/// The numbers that only the conversation gives: relative ones, and the scaled window.
fn numbers(us: &mut End, them: &mut End, segment: &Segment, notes: &mut Notes<'_>) {
    let syn = segment.has(Segment::SYN);
    let acks = segment.has(Segment::ACK);
    // A connection whose SYN was not seen is counted from one, as if the SYN had been just before.
    let before = segment.seq.wrapping_sub(u32::from(!syn));
    // The answer to a SYN that was not seen, on the ports of an earlier connection.
    if syn && acks && us.base.is_some_and(|base| base != segment.seq) {
        us.base = Some(segment.seq);
        notes.guess(&key::ANALYSIS_REUSED_PORTS);
    }
    let base = *us.base.get_or_insert(before);
    if acks {
        them.base.get_or_insert(segment.ack.wrapping_sub(1));
    }
    let space = segment.len + u32::from(syn) + u32::from(segment.has(Segment::FIN));
    notes.number(&key::SEQ, segment.seq.wrapping_sub(base));
    notes.number(
        &key::NXTSEQ,
        segment.seq.wrapping_add(space).wrapping_sub(base),
    );
    let theirs = them.base.unwrap_or(0);
    // Without the ACK flag the number means nothing; it is nearly always zero, and is given as that.
    let ack = if acks {
        segment.ack.wrapping_sub(theirs)
    } else {
        0
    };
    notes.number(&key::ACK, ack);
    for (left, right) in segment.sack.blocks() {
        notes.number(&key::SACK_LE, left.wrapping_sub(theirs));
        notes.number(&key::SACK_RE, right.wrapping_sub(theirs));
    }

    if syn {
        us.scale = segment
            .window_shift
            .map_or(Scale::None, |shift| Scale::By(shift.min(14)));
        // RFC 7323, section 2.2: the scale holds in both directions only if both SYNs carried it.
        if acks && (us.scale == Scale::None || them.scale == Scale::None) {
            (us.scale, them.scale) = (Scale::None, Scale::None);
        }
    }
    let shift = match us.scale {
        Scale::By(shift) if !syn => shift,
        _ => 0,
    };
    notes.number(&key::WINDOW_SIZE, u32::from(segment.window) << shift);
    if !syn {
        let factor = match us.scale {
            Scale::Unknown => -1_i32 as u32,
            Scale::None => -2_i32 as u32,
            Scale::By(shift) => 1 << shift,
        };
        notes.number(&key::WINDOW_SCALEFACTOR, factor);
    }
}

/// One segment, and the two ends it goes between.
struct Turn<'t, 'l> {
    us: &'t mut End,
    them: &'t mut End,
    segment: &'t Segment,
    frame: u64,
    time: Time,
    round_trip: Option<u64>,
    notes: &'t mut Notes<'l>,
}

impl Turn<'_, '_> {
    /// Whether the segment has none of the flags that open and end a connection.
    fn plain(&self) -> bool {
        self.segment.flags & (Segment::SYN | Segment::FIN | Segment::RST) == 0
    }

    fn end(&self) -> u32 {
        self.segment.seq.wrapping_add(self.segment.len)
    }

    /// The window, what only asks and what only answers.
    fn offers(&mut self) -> Probe {
        let (segment, plain) = (self.segment, self.plain());
        let expected = self.us.next.map(|sent| sent.next);
        let next = expected == Some(segment.seq);
        if segment.len == 1 && next && self.them.window == Some(0) {
            self.notes.guess(&key::ANALYSIS_ZERO_WINDOW_PROBE);
            return Probe::ZeroWindow;
        }
        if segment.window == 0 && plain {
            self.notes.guess(&key::ANALYSIS_ZERO_WINDOW);
        }
        let ahead = expected.is_some_and(|next| after(segment.seq, next));
        if ahead && !segment.has(Segment::RST) {
            self.notes.guess(&key::ANALYSIS_LOST_SEGMENT);
            self.us.holed = true;
        }
        let mut probe = Probe::None;
        let one_before = expected.is_some_and(|next| next.wrapping_sub(1) == segment.seq);
        if segment.len <= 1 && one_before && plain {
            self.notes.guess(&key::ANALYSIS_KEEP_ALIVE);
            probe = Probe::KeepAlive;
        }
        // Everything from here on repeats what the segment before it said.
        let same = segment.len == 0 && next && segment.ack == self.us.ack && plain;
        let same_window = self.us.window == Some(segment.window);
        if same && segment.window != 0 && !same_window {
            self.notes.guess(&key::ANALYSIS_WINDOW_UPDATE);
        }
        self.window_full();
        if same && same_window {
            match (self.them.probed, segment.window) {
                (Probe::KeepAlive, 1..) => self.notes.guess(&key::ANALYSIS_KEEP_ALIVE_ACK),
                (Probe::ZeroWindow, 0) => self.notes.guess(&key::ANALYSIS_ZERO_WINDOW_PROBE_ACK),
                (_, 1..) => {
                    // What is uncounted is counted anew.
                    self.us.repeats = self.us.repeats.wrapping_add(1).max(1);
                    self.notes.guess(&key::ANALYSIS_DUPLICATE_ACK);
                    self.notes
                        .number(&key::ANALYSIS_DUPLICATE_ACK_NUM, self.us.repeats);
                    let frame = Fact::Uint(self.us.repeated);
                    self.notes.fact(&key::ANALYSIS_DUPLICATE_ACK_FRAME, frame);
                }
                _ => {}
            }
        }
        probe
    }

    /// The segment reaches the end of the window that the other side has offered.
    fn window_full(&mut self) {
        let shift = match self.them.scale {
            Scale::Unknown => return,
            Scale::By(shift) if !self.them.window_of_syn => shift,
            _ => 0,
        };
        let room = u32::from(self.them.window.unwrap_or(0)) << shift;
        let full = self.end() == self.them.ack.wrapping_add(room);
        if self.segment.len > 0 && full && self.plain() {
            self.notes.guess(&key::ANALYSIS_WINDOW_FULL);
        }
    }

    /// What the acknowledgment confirms that was not confirmed before.
    fn acknowledges(&mut self, acks_fin: bool) {
        let segment = self.segment;
        let changed = segment.ack != self.us.ack;
        if changed {
            self.us.repeated = self.frame;
            self.us.repeats = 0;
        }
        if !segment.has(Segment::ACK) {
            return;
        }
        self.them.holed = false;
        if self.them.seen.is_some_and(|seen| after(segment.ack, seen)) {
            // Said once for each hole. Of what lies behind everything that was seen, it is said again only when that end
            // has acknowledged something new since: as Wireshark says it.
            let newest = self.them.next.map(|newest| newest.next);
            let told = core::mem::replace(&mut self.them.seen, newest) == newest;
            if !told || self.them.repeats == 0 {
                self.notes.guess(&key::ANALYSIS_ACK_LOST_SEGMENT);
            }
            if told {
                self.them.repeats = UNCOUNTED;
                self.notes.any = true;
            }
        }
        if !changed || segment.has(Segment::RST) {
            return;
        }
        // The SYN and the FIN each take a place in sequence space, but they are no bytes.
        let before = self.us.spoke_at != Time::default() || self.us.window.is_some();
        let bytes = segment
            .ack
            .wrapping_sub(self.us.ack)
            .wrapping_sub(u32::from(acks_fin));
        let first = self.them.base.map(|base| base.wrapping_add(1)) == Some(segment.ack);
        if before && !first && after(segment.ack, self.us.ack) && bytes > 0 {
            self.notes.number(&key::ANALYSIS_BYTES_ACKED, bytes);
        }
        if acks_fin {
            self.notes.fact(&key::ANALYSIS_ACKS_FIN, Fact::Present);
        }
    }

    /// Whether the segment carries what was there before, or should have been: sent again, or overtaken.
    fn again(&mut self, probe: Probe) {
        let (segment, end) = (self.segment, self.end());
        let carries = segment.len > 0 || segment.flags & (Segment::SYN | Segment::FIN) != 0;
        let Some(newest) = self
            .us
            .next
            .filter(|_| carries && probe != Probe::KeepAlive)
        else {
            return;
        };
        // What begins with the byte of a probe and goes on is new.
        let after_probe = segment.len > 1 && newest.next.wrapping_sub(1) == segment.seq;
        let behind = after(newest.next, segment.seq) && !after_probe;
        let confirmed = self.them.window.is_some() && !after(end, self.them.ack);
        if segment.len > 0 && confirmed {
            self.notes.guess(&key::ANALYSIS_SPURIOUS_RETRANSMISSION);
            self.notes.guess(&key::ANALYSIS_RETRANSMISSION);
            return;
        }
        if !behind {
            return;
        }
        let asked = self.them.repeats >= 2
            && self.time.since(self.them.spoke_at) < FAST_WITHIN
            && self.them.ack == segment.seq;
        if asked {
            self.notes.guess(&key::ANALYSIS_FAST_RETRANSMISSION);
            self.notes.guess(&key::ANALYSIS_RETRANSMISSION);
            return;
        }
        // The last that was sent has nothing to be overtaken by: it comes again.
        let marks = u32::from(segment.flags & (Segment::SYN | Segment::FIN) != 0);
        let last = newest.next == end.wrapping_add(marks);
        let soon = self.time.since(newest.time) < self.round_trip.unwrap_or(OVERTAKEN_WITHIN);
        if soon && !last {
            self.notes.guess(&key::ANALYSIS_OUT_OF_ORDER);
            return;
        }
        self.notes.guess(&key::ANALYSIS_RETRANSMISSION);
        // Nothing that has come back tells that something is missing, and there was time for it (RFC 6298, section 2).
        if self.them.repeats == 0 && !soon {
            self.notes.fact(&key::ANALYSIS_TIMEOUT, Fact::Present);
        }
        let waited = self.us.unacked.eldest().unwrap_or(newest);
        let rto = self.time.since(waited.time);
        if rto > 0 {
            self.notes.fact(&key::ANALYSIS_RTO, Fact::Uint(rto));
            self.notes
                .fact(&key::ANALYSIS_RTO_FRAME, Fact::Uint(waited.frame));
        }
    }

    /// The segment is the last that was sent.
    fn sent(&mut self, probe: Probe, budget: &mut Budget) {
        let segment = self.segment;
        let marks = u32::from(segment.flags & (Segment::SYN | Segment::FIN) != 0);
        let sent = Sent {
            seq: segment.seq,
            next: self.end().wrapping_add(marks),
            frame: self.frame,
            time: self.time,
        };
        if segment.len > 0 || marks > 0 {
            let base = self.us.base.unwrap_or(0);
            self.us.unacked.push(sent, base, budget);
        }
        if segment.has(Segment::FIN) {
            self.us.fin = Some(sent.next);
        }
        if probe == Probe::ZeroWindow {
            return;
        }
        if self
            .us
            .next
            .is_none_or(|newest| after(sent.next, newest.next))
        {
            self.us.next = Some(sent);
        }
        if self.us.seen.is_none_or(|seen| seen == segment.seq) {
            self.us.seen = self.us.next.map(|newest| newest.next);
        }
    }

    /// What is remembered of the segment, what it confirms, and what is in flight behind it.
    fn settle(&mut self, probe: Probe, budget: &mut Budget) {
        let segment = self.segment;
        self.us.window = Some(segment.window);
        self.us.window_of_syn = segment.has(Segment::SYN);
        self.us.ack = segment.ack;
        self.us.spoke_at = self.time;
        self.us.probed = probe;
        self.us.sack = segment.sack;
        let theirs = self.them.base.unwrap_or(0);
        if segment.has(Segment::ACK)
            && let Some(sent) = self.them.unacked.acknowledge(segment.ack, theirs, budget)
        {
            self.notes.any = true;
            self.notes
                .fact(&key::ANALYSIS_ACKS_FRAME, Fact::Uint(sent.frame));
            let took = self.time.since(sent.time);
            if took > 0 {
                self.notes.fact(&key::ANALYSIS_ACK_RTT, Fact::Uint(took));
            }
        }
        if segment.len == 0 || self.us.holed {
            return;
        }
        // What the other side says it has, though something before it is missing, is not in flight any more.
        let arrived = self.them.sack.blocks();
        let arrived = arrived.map(|(left, right)| right.wrapping_sub(left));
        let arrived = arrived.fold(0, u32::wrapping_add);
        // The SYN or the FIN takes a place, too, but is no byte.
        let marks = u32::from(segment.flags & (Segment::SYN | Segment::FIN) != 0);
        let base = self.us.base.unwrap_or(0);
        let in_flight = self
            .us
            .unacked
            .in_flight(base)
            .wrapping_sub(arrived.wrapping_add(marks));
        // A segment with PSH is counted to those before it, the next one begins anew.
        if self.us.pushed {
            self.us.pushing = 0;
        }
        self.us.pushing = self.us.pushing.wrapping_add(segment.len);
        self.us.pushed = segment.has(Segment::PSH);
        self.notes.any = true;
        if (1..2_000_000_000).contains(&in_flight) {
            self.notes.any = true;
            self.notes.number(&key::ANALYSIS_BYTES_IN_FLIGHT, in_flight);
            self.notes
                .number(&key::ANALYSIS_PUSH_BYTES_SENT, self.us.pushing);
        }
    }
}
