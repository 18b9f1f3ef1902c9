//! What a host sends: what it says to have got, what it sends again and why, its alerts.

use super::*;

/// Linux's states of congestion control.
const OPEN: u8 = 0;
const DISORDER: u8 = 1;
const RECOVERY: u8 = 3;
const LOSS: u8 = 4;

impl Tracer {
    /// A host has sent a segment: what it sends again, and what it says to have got.
    pub(super) fn sends(&mut self, host: Host, segment: &Segment, packet: &Packet) {
        let (id, time) = (packet.id, packet.sent);
        if segment.syn() && !segment.acks() {
            self.ports.get_or_insert(segment.ports);
        }
        self.again(host, segment, id, time, packet.kernel.as_ref());
        let side = self.side(host);
        let edge = side.edge;
        side.sends(segment, time);
        if !segment.acks() || segment.rst() {
            return;
        }
        // Whoever goes on has not believed a reset; but what was on its way out is sent all the same.
        let goes_on = side.reset && side.doubtful && time.since(side.reset_at) >= WAIT;
        side.reset &= !goes_on;
        if side.edge != edge {
            self.delivers(host, time, None);
        }
        if goes_on {
            let believed = |t: &Trace| t.from != host && t.reaction == Reaction::Reset;
            if let Some(place) = self.traces.iter().rposition(believed) {
                self.react(place, id, time, Reaction::OutOfWindow);
            }
        }
    }

    /// What a host sends again, of what was touched.
    pub(super) fn again(
        &mut self,
        host: Host,
        segment: &Segment,
        id: u64,
        time: Time,
        kernel: Option<&TcpInfo>,
    ) {
        if segment.space() == 0 {
            return;
        }
        let side = self.side(host);
        let (una, una_at, next) = (side.una, side.una_at, side.next);
        let (repeats, sack, recover) = (side.repeats, side.sack, side.recover);
        let repeated_at = side.repeated_at;
        // What was sent because of an acknowledgment comes right behind it; RACK waits for a part of a round trip.
        let round = self.latency.iter().flatten().sum::<u64>();
        let asked = time.since(repeated_at) < AT_ONCE.saturating_add(round / 2);
        let is_first = una.is_none_or(|una| segment.covers(una));
        let recovering = recover.is_some_and(|recover| after(recover, segment.seq));
        let mut begins = false;
        let mut found = Vec::new();
        for (place, trace) in self.traces.iter_mut().enumerate() {
            if trace.from != host {
                // Its acknowledgment was lost: what it was about comes again.
                if let Some(ack) = trace.need_ack
                    && trace.covered.is_none()
                    && trace.reaction != Reaction::Taken
                    && next.is_some_and(|next| after(next, segment.seq))
                    && !after(segment.end(), ack)
                {
                    trace.provoked += 1;
                }
                continue;
            }
            let Some((start, end)) = trace.need else {
                continue;
            };
            let overlaps = after(end, segment.seq) && after(segment.end(), start);
            if trace.delivered.is_some_and(|(_, by)| by != trace.id) || !overlaps {
                continue;
            }
            let since = if una_at > trace.last {
                una_at
            } else {
                trace.last
            };
            let waited = time.since(since);
            let state = kernel.map(|kernel| kernel.ca_state);
            let why = match state {
                Some(LOSS) if waited >= SHORTEST_TIMEOUT => Why::Timeout(waited),
                // It says itself that it goes by acknowledgments.
                Some(RECOVERY) if is_first && repeats >= 3 && !recovering => {
                    Why::Duplicates(repeats)
                }
                Some(RECOVERY) if is_first && sack && !recovering => Why::Sack,
                _ if is_first && asked && repeats >= 3 && !recovering => Why::Duplicates(repeats),
                _ if is_first && asked && sack && !recovering => Why::Sack,
                _ if recovering && waited < SHORTEST_TIMEOUT => Why::Recovery,
                Some(OPEN | DISORDER) if !segment.syn() && waited >= SHORTEST_PROBE => {
                    Why::Probe(waited)
                }
                _ if waited >= SHORTEST_TIMEOUT => Why::Timeout(waited),
                _ => Why::Recovery,
            };
            begins |= !matches!(why, Why::Recovery | Why::Probe(_));
            trace.last = time;
            if trace.resends.len() < MAX_RESENDS {
                trace.resends.push((id, time, why));
            }
            found.push((place, time.since(trace.sent), why));
        }
        if begins && !recovering {
            self.side(host).recover = next;
        }
        for (place, after, why) in found {
            self.remark(place, id, time, Consequence::Again { host, after, why });
        }
    }

    /// Alerts of TLS in a packet of a host.
    pub(super) fn alerts(&mut self, host: Host, event: &Event<'_>, id: u64, time: Time) {
        for field in event.fields {
            if !core::ptr::eq(field.def, &raw const tls::alert::DESC) {
                continue;
            }
            let Some(alert) = field.value(event.bytes(field.buf)).uint() else {
                continue;
            };
            let alert = u8::try_from(alert).unwrap_or(u8::MAX);
            // close_notify and user_canceled are no alarm (RFC 8446, section 6.1).
            if alert == 0 || alert == 90 {
                continue;
            }
            let Some(place) = self.suspect(|t| t.from != host) else {
                continue;
            };
            if let Some(trace) = self.traces.get_mut(place)
                && trace.alert.is_none()
            {
                trace.alert = Some(alert);
                self.remark(place, id, time, Consequence::Alarm { host, alert });
            }
        }
    }
}
