//! Follows what comes of each packet that was touched.

use std::collections::{BTreeMap, VecDeque};

use super::segment::{Segment, after, read};
use super::{
    Caught, Check, Consequence, Cure, Effect, Layer, Reaction, Remark, Tally, Verdict, Why,
};
use crate::chat::{ChatError, ChatEvent};
use crate::layers::tcp_info::TcpInfo;
use crate::layers::tls;
use crate::packet::{self, Event, Time};
use crate::wire::fault::{Deed, Touch};
use crate::wire::{Happening, Host, Packet, Seen};

/// So many packets that were touched are followed; more are only counted.
const MAX_TRACES: usize = 4096;

/// So many packets that were sent again are remembered for each of them.
const MAX_RESENDS: usize = 16;

/// So many pieces that came too early are remembered for each host.
const MAX_KEPT: usize = 256;

/// So many packets between two hosts are remembered on their way over several links.
const MAX_WAY: usize = 4096;

/// So many texts that were said and not yet heard are remembered for each host.
const MAX_SAID: usize = 4096;

/// A wait that is shorter is none: hosts over a kernel's TCP are never on time to the microsecond.
const WAIT: u64 = 1_000_000;

/// What answers at once answers within this time.
const AT_ONCE: u64 = 20_000_000;

/// No stack's timeout is shorter (Linux: 200 ms): what is sent again sooner was sent because of something that came.
const SHORTEST_TIMEOUT: u64 = 150_000_000;

/// The same for probes, which go by the round trip.
const SHORTEST_PROBE: u64 = 5_000_000;

/// Follows the faults on one wire.
#[derive(Debug)]
pub struct Tracer {
    /// How many links there are from A to B.
    links: usize,
    hosts: [Side; 2],
    /// A's port and B's, once there was a SYN.
    ports: Option<(u16, u16)>,
    /// What is on its way, by the time of arrival.
    arrivals: BTreeMap<(Time, u64), Arrival>,
    order: u64,
    /// What a rule holds back.
    held: Vec<(u64, Arrival)>,
    /// What was said of packets on their first link, where there are several.
    way: VecDeque<Way>,
    traces: Vec<Trace>,
    untraced: BTreeMap<usize, u64>,
    /// How long a packet is on its way from A, and from B.
    latency: [Option<u64>; 2],
    /// The trace that a failure of the chat goes back to: what comes later comes of it, too.
    blamed: Option<usize>,
    failed: bool,
    now: Time,
    remarks: Vec<Remark>,
}

/// What is known of a host.
#[derive(Debug, Default)]
struct Side {
    /// The sequence number behind the last that it has sent.
    next: Option<u32>,
    /// The highest acknowledgment that it got, and when.
    una: Option<u32>,
    una_at: Time,
    /// How often that came again, and whether with selective acknowledgments.
    repeats: u32,
    repeated_at: Time,
    sack: bool,
    /// Up to here it makes good an earlier loss.
    recover: Option<u32>,
    /// The next that it waits for, as far as can be reckoned.
    edge: Option<u32>,
    /// What came too early.
    kept: Vec<(u32, u32)>,
    /// The highest acknowledgment that it has sent.
    acked: Option<u32>,
    /// Up to where it lets the other send.
    window: Option<u32>,
    shift: Option<u8>,
    reset: bool,
    reset_at: Time,
    doubtful: bool,
    /// The sequence number behind its FIN; whether it had the other's by then, and whether it has it now.
    fin: Option<u32>,
    passive: bool,
    got_fin: bool,
    said: VecDeque<String>,
}

/// A packet on its way to a host.
#[derive(Debug, Clone)]
struct Arrival {
    id: u64,
    to: Host,
    read: Result<Segment, Check>,
    /// Sent by nobody.
    made: bool,
    trace: Option<usize>,
}

#[derive(Debug)]
struct Way {
    id: u64,
    trace: Option<usize>,
    sent: Time,
}

#[derive(Debug)]
struct Trace {
    id: u64,
    from: Host,
    touched: Vec<Touch>,
    sent: Time,
    arrives: Option<Time>,
    made: bool,
    changed: bool,
    /// What the sender meant to deliver: from this number to the one behind it.
    need: Option<(u32, u32)>,
    /// What it meant to acknowledge, if that was all.
    need_ack: Option<u32>,
    /// When that was sent last.
    last: Time,
    resends: Vec<(u64, Time, Why)>,
    reaction: Reaction,
    /// When the receiver had what was meant, and the packet that brought it.
    delivered: Option<(Time, u64)>,
    /// The packet in which it came: itself, or one that was sent again.
    brought: Option<u64>,
    /// Something behind it arrived first.
    gap: bool,
    /// The packet that acknowledged as much.
    covered: Option<u64>,
    /// The other side sent again what a lost acknowledgment was about.
    provoked: bool,
    /// It came back with less acknowledged than before.
    old_ack: bool,
    alert: Option<u8>,
    tls: bool,
    effect: Effect,
}

fn at(host: Host) -> usize {
    usize::from(host == Host::B)
}

impl Tracer {
    /// One for a wire that has so many links from A to B: one more than there are routers.
    #[must_use]
    pub fn new(links: usize) -> Self {
        Self {
            links: links.max(1),
            hosts: <[Side; 2]>::default(),
            ports: None,
            arrivals: BTreeMap::new(),
            order: 0,
            held: Vec::new(),
            way: VecDeque::new(),
            traces: Vec::new(),
            untraced: BTreeMap::new(),
            latency: [None; 2],
            blamed: None,
            failed: false,
            now: Time(0),
            remarks: Vec::new(),
        }
    }

    /// Takes up what the wire shows; `event` is the packet decoded, as it goes on, if it is one.
    pub fn seen(&mut self, seen: &Seen, event: Option<&Event<'_>>) {
        match seen {
            Seen::Packet(packet) => self.packet(packet, event),
            Seen::Released { id, time, arrives } => self.released(*id, *time, *arrives),
            Seen::Chat { host, time, what } => self.chat(*host, *time, what),
            Seen::Key { .. } | Seen::Kernel { .. } => {}
        }
    }

    /// What has shown since the last call, in order.
    pub fn remarks(&mut self) -> Vec<Remark> {
        core::mem::take(&mut self.remarks)
    }

    /// It is so late now: what has arrived until then has arrived.
    pub fn arrive(&mut self, now: Time) {
        self.advance(now);
    }

    /// A packet was put on a link.
    pub fn packet(&mut self, packet: &Packet, event: Option<&Event<'_>>) {
        self.advance(packet.sent);
        let (from, to) = (packet.from, packet.from.other());
        let (first, last) = match from {
            Host::A => (0, self.links - 1),
            Host::B => (self.links - 1, 0),
        };
        let made = packet.touched.iter().any(|touch| touch.deed.is_made());
        let mut way = Way {
            id: packet.id,
            trace: None,
            sent: packet.sent,
        };
        if packet.hop == first {
            let as_sent = packet.before.as_ref().unwrap_or(&packet.bytes);
            let meant = read(as_sent, packet.link, to).ok().filter(|_| !made);
            if let Some(segment) = &meant {
                self.sends(from, segment, packet);
            }
            way.trace = self.trace(packet, meant.as_ref(), made);
        } else if let Some(known) = self.way.iter().position(|way| way.id == packet.id) {
            way = self.way.remove(known).unwrap_or(way);
            if !packet.touched.is_empty() && way.trace.is_none() {
                let meant = packet.before.as_ref().unwrap_or(&packet.bytes);
                let meant = read(meant, packet.link, to).ok().filter(|_| !made);
                way.trace = self.trace(packet, meant.as_ref(), made);
            }
        } else {
            // A router made it.
            return;
        }
        if let Some(event) = event.filter(|_| packet.hop == first && !made) {
            self.alerts(from, event, packet.id, packet.sent);
        }
        if packet.hop != last {
            if packet.arrives.is_some() {
                if self.way.len() >= MAX_WAY {
                    self.way.pop_front();
                }
                self.way.push_back(way);
            }
            return;
        }
        let arrival = Arrival {
            id: packet.id,
            to,
            read: read(&packet.bytes, packet.link, to),
            made,
            trace: way.trace,
        };
        if let Some(arrives) = packet.arrives {
            if packet.touched.is_empty() {
                let took = arrives.since(way.sent);
                let known = self.latency.get_mut(at(from));
                if let Some(known) = known {
                    *known = Some(known.map_or(took, |known| known.min(took)));
                }
            }
            self.arrival(arrives, arrival);
        } else if packet
            .touched
            .iter()
            .any(|touch| matches!(touch.deed, Deed::Held(_)))
            && !packet
                .touched
                .iter()
                .any(|touch| touch.deed == Deed::Dropped)
        {
            self.held.push((packet.id, arrival));
        }
    }

    /// A packet that was held back goes on.
    pub fn released(&mut self, id: u64, time: Time, arrives: Time) {
        self.advance(time);
        if let Some(place) = self.held.iter().position(|held| held.0 == id) {
            let (_, arrival) = self.held.remove(place);
            self.arrival(arrives, arrival);
        }
    }

    /// Something happened in the chat of a host.
    pub fn chat(&mut self, host: Host, time: Time, what: &Happening) {
        self.advance(time);
        match what {
            Happening::Says(text) => {
                let said = &mut self.side(host).said;
                if said.len() < MAX_SAID {
                    said.push_back(text.clone());
                }
            }
            Happening::Hears(ChatEvent::Said(line)) => {
                let said = self.side(host.other()).said.pop_front();
                if said.as_deref() != Some(line.text.as_str()) {
                    let read = line.text.clone();
                    self.saw(host, time, Effect::Wrong { host, said, read });
                }
            }
            Happening::Fails(error) => self.fails(host, time, error),
            _ => {}
        }
    }

    /// That is all: the verdicts, in the order of the packets, and a count for each of so many rules.
    pub fn finish(&mut self, rules: usize) -> (Vec<Verdict>, Vec<Tally>) {
        // What was on its way arrives.
        self.advance(Time(u64::MAX));
        let waits = self.hosts.iter().any(|side| !side.said.is_empty());
        if let (true, Some(place)) = (waits && !self.failed, self.suspect(|_| true))
            && let Some(trace) = self.traces.get_mut(place)
            && trace.effect == Effect::Nothing
            && trace.reaction != Reaction::Ended
        {
            trace.effect = Effect::Unfinished;
        }
        let verdicts: Vec<_> = self.traces.iter().map(|t| self.verdict(t)).collect();
        let mut tallies: Vec<Tally> = (0..rules)
            .map(|rule| Tally {
                rule,
                untraced: self.untraced.get(&rule).copied().unwrap_or(0),
                ..Tally::default()
            })
            .collect();
        for verdict in &verdicts {
            let mut counted = None;
            for touch in &verdict.touched {
                let Some(tally) = tallies.get_mut(touch.rule) else {
                    continue;
                };
                if counted.replace(touch.rule) != Some(touch.rule) {
                    tally.count(verdict);
                }
            }
        }
        (verdicts, tallies)
    }

    fn side(&mut self, host: Host) -> &mut Side {
        let [a, b] = &mut self.hosts;
        if host == Host::A { a } else { b }
    }

    /// Begins to follow a packet, if it was touched.
    fn trace(&mut self, packet: &Packet, meant: Option<&Segment>, made: bool) -> Option<usize> {
        if packet.touched.is_empty() {
            return None;
        }
        if self.traces.len() >= MAX_TRACES {
            for touch in &packet.touched {
                *self.untraced.entry(touch.rule).or_default() += 1;
            }
            return None;
        }
        // What the other side has had already is sent in vain, and missed by nobody.
        let has = |segment: &&Segment| {
            let edge = self.hosts.get(at(packet.from.other())).and_then(|s| s.edge);
            segment.space() > 0 && edge.is_some_and(|edge| !after(segment.end(), edge))
        };
        let meant = meant.filter(|segment| !has(segment));
        let need = meant.filter(|segment| segment.space() > 0);
        let dropped = packet
            .touched
            .iter()
            .any(|touch| touch.deed == Deed::Dropped);
        self.traces.push(Trace {
            id: packet.id,
            from: packet.from,
            touched: packet.touched.clone(),
            sent: packet.sent,
            arrives: packet.arrives,
            made,
            changed: packet.before.is_some(),
            need: need.map(|segment| (segment.seq, segment.end())),
            need_ack: meant
                .filter(|segment| segment.space() == 0 && segment.acks() && !segment.rst())
                .map(|segment| segment.ack),
            last: packet.sent,
            resends: Vec::new(),
            reaction: match packet.arrives {
                Some(_) => Reaction::Underway,
                None if dropped => Reaction::Lost,
                None => Reaction::Held,
            },
            delivered: None,
            brought: None,
            gap: false,
            covered: None,
            provoked: false,
            old_ack: false,
            alert: None,
            tls: false,
            effect: Effect::Nothing,
        });
        Some(self.traces.len() - 1)
    }

    fn arrival(&mut self, arrives: Time, arrival: Arrival) {
        if let Some(trace) = arrival.trace.and_then(|t| self.traces.get_mut(t)) {
            trace.arrives = Some(arrives);
            trace.reaction = Reaction::Underway;
        }
        self.order += 1;
        self.arrivals.insert((arrives, self.order), arrival);
    }

    /// Everything that arrives until then arrives.
    fn advance(&mut self, now: Time) {
        while let Some(first) = self.arrivals.first_entry()
            && first.key().0 <= now
        {
            let ((time, _), arrival) = first.remove_entry();
            self.now = time;
            self.arrives(time, &arrival);
        }
    }

    fn remark(&mut self, trace: usize, packet: u64, time: Time, what: Consequence) {
        if let Some(about) = self.traces.get(trace)
            && let Some(touch) = about.touched.first()
        {
            self.remarks.push(Remark {
                packet,
                time,
                about: about.id,
                rule: touch.rule,
                what,
            });
        }
    }

    // --- what a host sends --------------------------------------------------------------------------------------------

    /// A host has sent a segment: what it sends again, and what it says to have got.
    fn sends(&mut self, host: Host, segment: &Segment, packet: &Packet) {
        let (id, time) = (packet.id, packet.sent);
        if segment.syn() && !segment.acks() {
            self.ports.get_or_insert(segment.ports);
        }
        self.again(host, segment, id, time, packet.kernel.as_ref());
        let side = self.side(host);
        if side.next.is_none_or(|next| after(segment.end(), next)) {
            side.next = Some(segment.end());
        }
        if segment.syn() {
            side.shift = segment.shift;
        }
        if segment.has(packet::Segment::FIN) && side.fin.is_none() {
            side.fin = Some(segment.end());
            side.passive = side.got_fin;
        }
        let shift = match (segment.syn(), side.shift) {
            (false, Some(shift)) => shift,
            _ => 0,
        };
        if !segment.acks() || segment.rst() {
            return;
        }
        side.window = Some(segment.ack.wrapping_add(u32::from(segment.window) << shift));
        if side.acked.is_none_or(|acked| after(segment.ack, acked)) {
            side.acked = Some(segment.ack);
        }
        // Whoever goes on has not believed a reset; but what was on its way out is sent all the same.
        let goes_on = side.reset && side.doubtful && time.since(side.reset_at) >= WAIT;
        side.reset &= !goes_on;
        let edge = side.edge;
        if segment.syn() || edge.is_none_or(|edge| after(segment.ack, edge)) {
            side.edge = Some(segment.ack);
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
    fn again(
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
        let round = self.latency.iter().flatten().fold(0, |sum, way| sum + way);
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
                    trace.provoked = true;
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
    fn alerts(&mut self, host: Host, event: &Event<'_>, id: u64, time: Time) {
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

    // --- what arrives at a host ---------------------------------------------------------------------------------------

    fn arrives(&mut self, time: Time, arrival: &Arrival) {
        let (host, from) = (arrival.to, arrival.to.other());
        let segment = match arrival.read {
            Ok(segment) => segment,
            Err(check) => {
                self.reacts(arrival, time, Reaction::Discarded(check));
                return;
            }
        };
        if !arrival.made && segment.space() > 0 {
            self.doubts(host, &segment, arrival.id);
        }
        let expects = self.ports.map(|(a, b)| match host {
            Host::A => (b, a),
            Host::B => (a, b),
        });
        let side = self.side(host);
        let edge_before = side.edge;
        let old_ack = segment.acks() && side.una.is_some_and(|una| after(una, segment.ack));
        let how = match expects {
            Some(expects) if expects != segment.ports => Reaction::Discarded(Check::TcpPort),
            _ => side.takes(&segment, time),
        };
        let counts = !matches!(how, Reaction::Discarded(_) | Reaction::OutOfWindow);
        if segment.acks() && !segment.rst() && counts {
            side.acknowledged(&segment, time);
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
    fn waits_for(&mut self, host: Host, id: u64, time: Time) {
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

    /// A segment comes again although the host should have it: what it has not acknowledged, it has not taken.
    fn doubts(&mut self, host: Host, segment: &Segment, id: u64) {
        let side = self.side(host);
        let (Some(edge), Some(acked)) = (side.edge, side.acked) else {
            return;
        };
        if !after(edge, acked) || after(segment.seq, acked) {
            return;
        }
        side.edge = Some(acked);
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
    fn reacts(&mut self, arrival: &Arrival, time: Time, how: Reaction) {
        if let Some(place) = arrival.trace {
            self.react(place, arrival.id, time, how);
        }
    }

    fn react(&mut self, place: usize, packet: u64, time: Time, how: Reaction) {
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
    fn delivers(&mut self, host: Host, time: Time, by: Option<u64>) {
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

    // --- what the chat sees -------------------------------------------------------------------------------------------

    /// The trace that something strange goes back to: the last packet that came to TLS as nobody had sent it.
    fn suspect(&self, fits: impl Fn(&Trace) -> bool) -> Option<usize> {
        let strange = |t: &Trace| {
            let came = match t.reaction {
                Reaction::Reset | Reaction::Ended => true,
                Reaction::Taken | Reaction::Kept => t.changed || t.made,
                _ => false,
            };
            came && fits(t)
        };
        let mut found = self.traces.iter().enumerate().rev();
        found.find(|(_, t)| strange(t)).map(|(place, _)| place)
    }

    fn saw(&mut self, host: Host, time: Time, effect: Effect) {
        let Some(place) = self.suspect(|t| t.from != host) else {
            return;
        };
        let Some(trace) = self.traces.get_mut(place) else {
            return;
        };
        if trace.effect != Effect::Nothing {
            return;
        }
        trace.effect = effect.clone();
        let packet = trace.id;
        self.remark(place, packet, time, Consequence::Saw(effect));
    }

    fn fails(&mut self, host: Host, time: Time, error: &ChatError) {
        let first = !core::mem::replace(&mut self.failed, true);
        if !first {
            // TLS's word is worth more than TCP's, whoever said it first.
            if let Some(trace) = self.blamed.and_then(|place| self.traces.get_mut(place)) {
                trace.tls |= is_tls(error);
            }
            return;
        }
        let missing = |t: &Trace| t.need.is_some() && t.delivered.is_none();
        let place = self
            .suspect(|t| t.from != host)
            .or_else(|| self.suspect(|_| true))
            .or_else(|| self.traces.iter().rposition(missing));
        let Some(place) = place else { return };
        self.blamed = Some(place);
        let Some(trace) = self.traces.get_mut(place) else {
            return;
        };
        trace.tls |= is_tls(error);
        let ended = matches!(error, ChatError::Truncated { .. });
        let effect = if ended && trace.reaction != Reaction::Reset {
            Effect::UnprovenEnd { host }
        } else {
            let error = error.clone();
            Effect::Broke { host, error }
        };
        if trace.effect == Effect::Nothing {
            trace.effect = effect.clone();
            let packet = trace.id;
            self.remark(place, packet, time, Consequence::Saw(effect));
        }
    }

    // --- the end ------------------------------------------------------------------------------------------------------

    fn verdict(&self, trace: &Trace) -> Verdict {
        let (cure, effect) = (self.cure(trace), self.effect(trace));
        Verdict {
            packet: trace.id,
            from: trace.from,
            touched: trace.touched.clone(),
            reaction: trace.reaction,
            caught: caught(trace, &cure, &effect),
            cure,
            effect,
        }
    }

    fn cure(&self, trace: &Trace) -> Cure {
        let broke = matches!(
            trace.effect,
            Effect::Wrong { .. }
                | Effect::Broke { .. }
                | Effect::UnprovenEnd { .. }
                | Effect::Unfinished
        );
        if broke || trace.alert.is_some() {
            return Cure::Nothing;
        }
        if trace.made {
            return if matches!(trace.reaction, Reaction::Reset | Reaction::Ended) {
                Cure::Nothing
            } else {
                Cure::NotNeeded
            };
        }
        match (trace.need, trace.delivered) {
            (Some(_), Some((_, by))) if trace.brought.unwrap_or(by) != trace.id => {
                let by = trace.brought.unwrap_or(by);
                let known = trace.resends.iter().find(|resend| resend.0 == by);
                match known.or(trace.resends.last()) {
                    Some(&(packet, time, why)) => Cure::Retransmission {
                        packet,
                        after: time.since(trace.sent),
                        why,
                    },
                    None => Cure::Itself,
                }
            }
            (Some(_), Some(_)) if trace.waited() || self.late(trace) > 0 => Cure::Itself,
            (Some(_), Some(_)) => Cure::NotNeeded,
            (Some(_), None) => Cure::Nothing,
            (None, _) => match (trace.reaction, trace.covered) {
                (Reaction::Taken, _) | (_, None) if trace.need_ack.is_none() => Cure::NotNeeded,
                (Reaction::Taken, _) => Cure::NotNeeded,
                (_, Some(packet)) => Cure::LaterAck { packet },
                (_, None) if self.knows(trace) => Cure::NotNeeded,
                (_, None) => Cure::Nothing,
            },
        }
    }

    /// Whether the other side knows already what it was to acknowledge.
    fn knows(&self, trace: &Trace) -> bool {
        let side = self.hosts.get(at(trace.from.other()));
        let una = side.and_then(|side| side.una);
        matches!((una, trace.need_ack), (Some(una), Some(ack)) if !after(ack, una))
    }

    /// How much later than usual the receiver had it.
    fn late(&self, trace: &Trace) -> u64 {
        let [a, b] = self.latency;
        let usual = if trace.from == Host::A {
            a.or(b)
        } else {
            b.or(a)
        };
        let took = trace.delivered.map(|(time, _)| time.since(trace.sent));
        let late = took.unwrap_or(0).saturating_sub(usual.unwrap_or(0));
        if late < WAIT { 0 } else { late }
    }

    fn effect(&self, trace: &Trace) -> Effect {
        if trace.effect != Effect::Nothing {
            return trace.effect.clone();
        }
        if trace.reaction == Reaction::Reset {
            return Effect::Unfinished;
        }
        if trace.reaction == Reaction::Ended {
            let host = trace.from.other();
            return Effect::UnprovenEnd { host };
        }
        if trace.need.is_some() && trace.delivered.is_none() && !self.failed {
            return Effect::Unfinished;
        }
        match self.late(trace) {
            0 => Effect::Nothing,
            late => Effect::Late(late),
        }
    }
}

/// Linux's states of congestion control.
const OPEN: u8 = 0;
const DISORDER: u8 = 1;
const RECOVERY: u8 = 3;
const LOSS: u8 = 4;

fn is_tls(error: &ChatError) -> bool {
    matches!(
        error,
        ChatError::Tls(_) | ChatError::Alert(_) | ChatError::Certificate(_)
    )
}

fn caught(trace: &Trace, cure: &Cure, effect: &Effect) -> Caught {
    if let Some(alert) = trace.alert {
        return Caught::Alert(alert);
    }
    if trace.tls {
        return Caught::Tls;
    }
    match effect {
        // Somebody complained: TLS says goodbye before TCP does.
        Effect::UnprovenEnd { .. } if trace.effect == *effect => return Caught::NoGoodbye,
        Effect::Broke {
            error: ChatError::Truncated { .. },
            ..
        } => return Caught::NoGoodbye,
        Effect::Broke {
            error: ChatError::LineTooLong { .. },
            ..
        } => return Caught::Application,
        Effect::Wrong { .. } => return Caught::Nobody,
        _ => {}
    }
    let noticed = trace.resends.first().map(|resend| match resend.2 {
        Why::Duplicates(_) | Why::Sack => Caught::Repeats,
        Why::Timeout(_) | Why::Probe(_) | Why::Recovery => Caught::NoAcknowledgment,
    });
    if let (true, Some(noticed)) = (trace.waited() && !trace.changed, noticed) {
        return noticed;
    }
    match trace.reaction {
        Reaction::Discarded(check) => Caught::Check(check),
        Reaction::OutOfWindow => Caught::Window,
        // What is far behind is as far off as what is far ahead.
        Reaction::Duplicate if trace.changed => Caught::Window,
        Reaction::Kept => Caught::Gap,
        Reaction::Refused if trace.old_ack => Caught::Check(Check::TcpAcknowledgment),
        Reaction::Refused => Caught::Tcp,
        Reaction::Duplicate if trace.made || noticed.is_none() => Caught::Duplicate,
        Reaction::Reset | Reaction::Ended => Caught::Nobody,
        Reaction::Taken if !matches!(cure, Cure::Itself | Cure::Retransmission { .. }) => {
            Caught::Nobody
        }
        _ => match noticed {
            Some(noticed) => noticed,
            None if trace.provoked => Caught::NoAcknowledgment,
            None if trace.gap => Caught::Gap,
            None => Caught::Nobody,
        },
    }
}

impl Trace {
    /// Whether it was made to wait.
    fn waited(&self) -> bool {
        let waits = |touch: &Touch| matches!(touch.deed, Deed::Held(_) | Deed::Delayed(_));
        self.touched.iter().any(waits)
    }
}

impl Tally {
    fn count(&mut self, verdict: &Verdict) {
        self.touched += 1;
        *self.caught.entry(verdict.caught).or_default() += 1;
        *self.cured.entry(verdict.cure.name()).or_default() += 1;
        *self.effects.entry(verdict.effect.name()).or_default() += 1;
        if let Effect::Late(by) = verdict.effect {
            self.longest = self.longest.max(by);
        }
    }

    /// How many were noticed by a layer.
    #[must_use]
    pub fn caught_by(&self, layer: Option<Layer>) -> u64 {
        let mine = self.caught.iter().filter(|(c, _)| c.layer() == layer);
        mine.map(|(_, n)| n).sum()
    }
}

impl Side {
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
