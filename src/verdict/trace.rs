//! Follows what comes of each packet that was touched: [`sent`] what a host sends, [`came`] what arrives at it, and at the
//! end [`judge`].

mod came;
mod judge;
mod sent;

use std::collections::{BTreeMap, VecDeque};

use super::segment::{Segment, after, ip, read};
use super::side::Side;
use super::{
    Caught, Check, Consequence, Cure, Effect, Layer, Reaction, Remark, Tally, Verdict, Why,
};
use crate::chat::{ChatError, ChatEvent};
use crate::layers::tcp_info::TcpInfo;
use crate::layers::tls;
use crate::packet::{self, Event, Time};
use crate::wire::fault::{Deed, Touch};
use crate::wire::{Ending, Happening, Host, Packet, Seen};

/// So many packets that were touched are followed; more are only counted.
const MAX_TRACES: usize = 4096;

/// So many packets that were sent again are remembered for each of them.
const MAX_RESENDS: usize = 16;

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
    /// When each host's program heard goodbye, or that all is over.
    over: [Option<Time>; 2],
    now: Time,
    remarks: Vec<Remark>,
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
    /// Whether that is TCP's end alone.
    end_alone: bool,
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
    provoked: u64,
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
            over: [None; 2],
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
            Seen::Kernel { host, .. } => self.side(*host).linux = true,
            Seen::Key { .. } => {}
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
        // Only a kernel tells what it knows.
        self.side(from).linux |= packet.kernel.is_some();
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
            // Each router takes one off, and passes on nothing that has none left (RFC 1812, section 5.3.1).
            let ttl = ip(&packet.bytes, packet.link).get(8).copied();
            let ttl = ttl.map_or(0, usize::from);
            let bad = read(&packet.bytes, packet.link, to).err();
            let bad = bad.filter(|check| matches!(check, Check::IpVersion | Check::IpChecksum));
            if let (true, Some(check)) = (self.links > 1, bad)
                && let Some(trace) = way.trace.and_then(|place| self.traces.get_mut(place))
                && packet.arrives.is_some()
            {
                // The first router does not pass it on (RFC 1812, section 5.2.2).
                trace.reaction = Reaction::Discarded(check);
            } else if self.links > 1
                && ttl < self.links
                && let Some(trace) = way.trace.and_then(|place| self.traces.get_mut(place))
                && packet.arrives.is_some()
            {
                trace.reaction = Reaction::Discarded(Check::IpTtl);
            }
        } else if let Some(known) = self.way.iter().position(|way| way.id == packet.id) {
            way = self.way.remove(known).unwrap_or(way);
            if !packet.touched.is_empty() && way.trace.is_none() {
                let meant = packet.before.as_ref().unwrap_or(&packet.bytes);
                let meant = read(meant, packet.link, to).ok().filter(|_| !made);
                way.trace = self.trace(packet, meant.as_ref(), made);
            }
        } else {
            // A router made it.
            if packet.hop == last {
                self.told(packet, to);
            }
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

    /// A router tells a host that a packet of its had no hop left (RFC 792, Time Exceeded).
    fn told(&mut self, packet: &Packet, host: Host) {
        let bytes = ip(&packet.bytes, packet.link);
        // Without options, as it makes them: 20 bytes of IP, 8 of ICMP, and then the packet in question.
        let exceeded = bytes.get(9) == Some(&1) && bytes.get(20) == Some(&11);
        let about = bytes.get(28..).filter(|_| exceeded).and_then(|quoted| {
            let header = usize::from(quoted.first()? & 15) * 4;
            let seq: [u8; 4] = *quoted.get(header + 4..)?.first_chunk()?;
            let syn = quoted.get(header + 13).is_some_and(|flags| flags & 2 != 0);
            Some((u32::from_be_bytes(seq), syn))
        });
        let Some((seq, syn)) = about else { return };
        let place = self.traces.iter().rposition(|trace| {
            trace.from == host
                && trace.reaction == Reaction::Discarded(Check::IpTtl)
                && trace.need.is_none_or(|need| need.0 == seq)
        });
        if let (Some(place), Some(arrives)) = (place, packet.arrives) {
            let what = Consequence::Told { host, syn };
            self.remark(place, packet.id, arrives, what);
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
            Happening::Ended(Ending::TimedOut | Ending::Unreachable) => {
                let missing = |t: &Trace| t.from == host && t.delivered.is_none();
                let place = self.traces.iter().rposition(missing);
                if let Some(trace) = place.and_then(|place| self.traces.get_mut(place))
                    && trace.effect == Effect::Nothing
                {
                    trace.effect = Effect::GaveUp { host };
                    self.failed = true;
                }
            }
            Happening::Hears(ChatEvent::Goodbye) | Happening::Ended(_) => {
                if let Some(over) = self.over.get_mut(at(host)) {
                    over.get_or_insert(time);
                }
            }
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
            end_alone: need.is_some_and(Segment::is_fin_alone),
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
            provoked: 0,
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
}

fn is_tls(error: &ChatError) -> bool {
    matches!(
        error,
        ChatError::Tls(_) | ChatError::Alert(_) | ChatError::Certificate(_)
    )
}
