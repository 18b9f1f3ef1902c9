//! What arrives at a host, and what it does with it.

use super::*;

impl Tracer {
    pub(super) fn arrives(&mut self, time: Time, arrival: &Arrival) {
        let (host, from) = (arrival.to, arrival.to.other());
        let segment = match arrival.read {
            Ok(segment) => segment,
            Err(check) => {
                self.reacts(arrival, time, Reaction::Discarded(check));
                return;
            }
        };
        if !arrival.made && segment.space() > 0 {
            self.doubts(host, &segment, arrival.id, time);
        }
        let expects = self.ports.map(|(a, b)| match host {
            Host::A => (b, a),
            Host::B => (a, b),
        });
        let side = self.side(host);
        let edge_before = side.edge;
        let old_ack = side.is_old(&segment);
        let how = match expects {
            Some(expects) if expects != segment.ports => Reaction::Discarded(Check::TcpPort),
            _ => side.gets(&segment, time),
        };
        if segment.acks() && !segment.rst() && how.counts() {
            for trace in &mut self.traces {
                if trace.from == from
                    && trace.id != arrival.id
                    && trace.covered.is_none()
                    && trace.need_ack.is_some_and(|ack| !after(ack, segment.ack))
                    && trace.sent <= time
                {
                    trace.covered = Some(arrival.id);
                }
            }
        }
        if let Some(trace) = arrival.trace.and_then(|t| self.traces.get_mut(t)) {
            trace.old_ack = old_ack;
        }
        let how = match how {
            Reaction::Taken if arrival.made && segment.has(packet::Segment::FIN) => Reaction::Ended,
            how => how,
        };
        if matches!(how, Reaction::Kept | Reaction::Taken) {
            for trace in &mut self.traces {
                let again = trace.resends.iter().any(|resend| resend.0 == arrival.id);
                let whole = trace.need.is_some_and(|need| !after(need.1, segment.end()));
                if trace.brought.is_none() && whole && (again || trace.id == arrival.id) {
                    trace.brought = Some(arrival.id);
                }
            }
        }
        self.reacts(arrival, time, how);
        if how == Reaction::Kept {
            self.waits_for(host, arrival.id, time);
        }
        if self.side(host).edge != edge_before {
            self.delivers(host, time, Some(arrival.id));
        }
    }

    /// A host keeps a packet: what was touched and is missing before it has shown.
    pub(super) fn waits_for(&mut self, host: Host, id: u64, time: Time) {
        let edge = self.side(host).edge;
        let missing = |t: &Trace| {
            let first = t.need.map(|need| need.0);
            t.from != host && t.delivered.is_none() && t.id != id && first == edge && !t.gap
        };
        if let Some(place) = self.traces.iter().position(missing)
            && let Some(trace) = self.traces.get_mut(place)
        {
            trace.gap = true;
            let how = Reaction::Kept;
            self.remark(place, id, time, Consequence::Reacted { host, how });
        }
    }

    /// A segment comes again although the host should have it.
    pub(super) fn doubts(&mut self, host: Host, segment: &Segment, id: u64, time: Time) {
        let Some(acked) = self.side(host).disowns(segment, time) else {
            return;
        };
        for trace in &mut self.traces {
            let mine = trace.delivered.is_some_and(|(_, by)| by == trace.id);
            let missing = trace.need.is_some_and(|need| after(need.1, acked));
            if trace.from != host && mine && missing && trace.id != id {
                trace.delivered = None;
                trace.brought = None;
                trace.reaction = Reaction::Refused;
            }
        }
    }

    /// What a host did with a packet that was touched.
    pub(super) fn reacts(&mut self, arrival: &Arrival, time: Time, how: Reaction) {
        if let Some(place) = arrival.trace {
            self.react(place, arrival.id, time, how);
        }
    }

    pub(super) fn react(&mut self, place: usize, packet: u64, time: Time, how: Reaction) {
        let Some(trace) = self.traces.get_mut(place) else {
            return;
        };
        trace.reaction = how;
        // That it arrives and is taken is nothing to speak of.
        if how != Reaction::Taken {
            let host = trace.from.other();
            self.remark(place, packet, time, Consequence::Reacted { host, how });
        }
    }

    /// A host has everything up to its edge now; `by` which packet, if that is known.
    pub(super) fn delivers(&mut self, host: Host, time: Time, by: Option<u64>) {
        let Some(edge) = self.side(host).edge else {
            return;
        };
        for trace in &mut self.traces {
            if trace.from == host || trace.delivered.is_some() {
                continue;
            }
            if let Some((_, end)) = trace.need
                && !after(end, edge)
            {
                let last = trace.resends.last().map(|resend| resend.0);
                let by = by.or(last).unwrap_or(trace.id);
                trace.delivered = Some((time, by));
            }
        }
    }
}
