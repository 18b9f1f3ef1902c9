//! What the demonstration puts on the screen: the ladder or each packet whole, remarks under them, the sum at the end.

use std::sync::PoisonError;

use crate::chat::ChatEvent;
use crate::layers::ipv4;
use crate::layers::tcp_info::{self, TcpInfo};
use crate::packet::{Event, Time};
use crate::show::{Machine, Pick};
use crate::text::Glossary;
use crate::verdict::{Consequence, Remark, Tracer};
use crate::view::detail::Detail;
use crate::view::journey::Journeys;
use crate::view::ladder::{Ladder, milliseconds};
use crate::view::paint::{Out, Role};
use crate::view::sides;
use crate::view::verdict;
use crate::view::words::{self, Deed, Hosts};
use crate::wire::mitm::Notebook;
use crate::wire::{Happening, Host, Link, Packet, WireError, fault};

use super::mitm::Lanes;
use super::name;
use super::scene::Words;
use super::watch::Watch;

/// So many journeys are shown as a whole picture; the later ones in a line each.
const PICTURES: usize = 4;

/// So many packets that a rule touched are marked one by one, with what came of them; after that they are counted.
const MARKED: usize = 8;

/// So many verdicts about a rule are given one by one; of more there is a count.
const VERDICTS: u64 = 6;

/// What there was in all.
#[derive(Debug, Default)]
pub(super) struct Count {
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) messages: u64,
    pub(super) said: u64,
    /// Packets that came too fast to be shown.
    pub(super) unseen: u64,
}

/// The views that show it.
pub(super) struct Show<'s> {
    pub(super) glossary: &'s Glossary,
    pub(super) pick: Pick,
    /// Lines for programs, and then nothing else.
    pub(super) machine: Option<Machine<'s>>,
    /// Prints each packet whole; without it, a packet is a line of the ladder.
    pub(super) detail: Option<Detail<'s>>,
    /// Whether the kernel's view is shown.
    pub(super) kernel: bool,
    pub(super) hosts: Hosts,
    /// How many links there are from A to B.
    pub(super) links: usize,
    /// The highest number of a packet so far.
    pub(super) highest: u64,
    /// The longest frame that a link of the MTU which was asked for carries.
    pub(super) longest: usize,
    pub(super) ladder: Ladder,
    pub(super) journeys: Journeys,
    /// Where there is somebody in the middle.
    pub(super) lanes: Option<Lanes>,
    /// Who says at the end what there was to be seen.
    pub(super) watches: Vec<Box<dyn Watch>>,
    /// Whether the packets are shown here, and the screen begins with the head of the ladder.
    pub(super) heads: bool,
    /// What comes of the faults, if there are any.
    pub(super) faults: Option<Tracing>,
}

/// What comes of the faults on the wire.
pub(super) struct Tracing {
    tracer: Tracer,
    /// The packets of each rule that were marked; at most [`MARKED`].
    marked: Vec<Vec<u64>>,
    /// What the one in the middle sees, if there is one: then it is the other end of the link that rules act on. And how
    /// much of that is told.
    notebook: Option<(Notebook, Time)>,
    told: usize,
}

impl Tracing {
    /// Of so many rules, on a wire of so many links.
    pub(super) fn new(rules: usize, links: usize) -> Self {
        Self {
            tracer: Tracer::new(links),
            marked: vec![Vec::new(); rules],
            notebook: None,
            told: 0,
        }
    }

    /// The same on A's link, at whose other end there is one in the middle with this notebook, whose times count from `start`.
    pub(super) fn beside(rules: usize, notebook: Notebook, start: Time) -> Self {
        Self {
            notebook: Some((notebook, start)),
            ..Self::new(rules, 1)
        }
    }

    /// Something happened in the chat of a host; of the two, only A is at an end of the link where one is in the middle.
    fn chat(&mut self, host: Host, time: Time, what: &Happening) {
        self.overhear(time);
        if host == Host::A || self.notebook.is_none() {
            self.tracer.chat(host, time, what);
        }
    }

    /// What happened at the one in the middle since the last time, until then.
    fn overhear(&mut self, until: Time) {
        let Some((notebook, start)) = &self.notebook else {
            return;
        };
        let notes = notebook.lock().unwrap_or_else(PoisonError::into_inner);
        for (at, host, what) in notes.seen.iter().skip(self.told) {
            let time = Time(start.0.saturating_add(*at));
            if time > until {
                break;
            }
            self.told += 1;
            match (host, what) {
                (Host::A, what) => self.tracer.chat(Host::B, time, what),
                // What it hears from B, it says to A.
                (Host::B, Happening::Hears(ChatEvent::Said(line))) => {
                    let says = Happening::Says(line.text.clone());
                    self.tracer.chat(Host::B, time, &says);
                }
                _ => {}
            }
        }
    }

    /// Whether a packet that a rule touched is marked; `None` if it is the first that is not.
    fn marks(&mut self, rule: usize, id: u64) -> Option<bool> {
        let Some(marked) = self.marked.get_mut(rule) else {
            return Some(true);
        };
        if marked.contains(&id) {
            return Some(true);
        }
        marked.push(id);
        match marked.len() {
            ..=MARKED => Some(true),
            len => {
                marked.truncate(MARKED + 1);
                (len > MARKED + 1).then_some(false)
            }
        }
    }

    /// Whether what comes of a packet is remarked.
    fn follows(&self, remark: &Remark) -> bool {
        let marked = self.marked.get(remark.rule);
        marked.is_none_or(|marked| {
            let mut marked = marked.iter().take(MARKED);
            marked.any(|id| *id == remark.about)
        })
    }
}

impl Show<'_> {
    /// Title and legend, by their keys in the glossary, and what else is to be known.
    pub(super) fn begin(
        &self,
        out: &mut Out,
        (title, legend, port): (&str, &str, u16),
        words: &[Words],
    ) {
        if let Some(machine) = &self.machine {
            return machine.begin(out);
        }
        out.start(Role::Heading);
        let title = out.aside(|out| {
            out.sentence(self.glossary.say(title), |out, _| out.number(port.into()));
        });
        out.wrapped(&title, |_| ());
        out.end(Role::Heading);
        out.newline();
        if self.heads {
            out.wrapped(self.glossary.say(legend), |_| ());
            out.newline();
        }
        for Words {
            key,
            detail,
            number,
        } in words
        {
            let text = out.aside(|out| {
                out.sentence(self.glossary.say(key), |out, name| match name {
                    "why" => out.text(detail),
                    "n" => out.number(*number),
                    _ => {}
                });
            });
            out.wrapped(&text, |_| ());
            out.newline();
        }
        out.newline();
        if let (Some(lanes), true) = (&self.lanes, self.detail.is_none() && self.heads) {
            lanes.head(out);
        } else if self.detail.is_none() && self.heads {
            self.ladder.head(
                out,
                [
                    self.glossary.say("say.demo.a"),
                    self.glossary.say("say.demo.b"),
                ],
            );
        }
    }

    pub(super) fn packet(
        &mut self,
        out: &mut Out,
        packet: &Packet,
        event: &Event<'_>,
        picked: bool,
    ) {
        let first = match packet.from {
            Host::A => 0,
            Host::B => self.links - 1,
        };
        let sent = packet.hop == first;
        // Whether it is shown or not.
        self.ladder.count_from(packet.sent);
        if let Some(lanes) = &mut self.lanes {
            lanes.count_from(packet.sent);
        }
        if let Some(faults) = &mut self.faults {
            faults.tracer.arrive(packet.sent);
        }
        self.remarks(out);
        // With one in the middle, rules act on A's link.
        let on_link = self.lanes.is_none() || packet.hop == 0;
        if let Some(faults) = self.faults.as_mut().filter(|_| on_link) {
            faults.overhear(packet.sent);
            faults.tracer.packet(packet, Some(event));
        }
        // What a rule has done is said for each rule.
        let lost = packet.arrives.is_none() && packet.touched.is_empty();
        if sent && self.detail.is_none() && self.machine.is_none() {
            let held = |touch: &fault::Touch| matches!(touch.deed, fault::Deed::Held(_));
            let lost = packet.arrives.is_none() && !packet.touched.iter().any(held);
            self.journeys.packet(&self.hosts, event, lost);
        }
        if !picked {
            return;
        }
        if let Some(machine) = &mut self.machine {
            return machine.packet(out, event);
        }
        if let Some(detail) = &mut self.detail {
            if let Some(hosts) = self
                .lanes
                .as_ref()
                .and_then(|lanes| lanes.hosts(packet.hop))
            {
                detail.rename(hosts);
            }
            detail.print(out, event);
            if self.links > 1 {
                self.remark(out, "say.demo.link", packet, event);
            }
            if lost {
                self.remark(out, "say.demo.lost", packet, event);
            }
            self.touched(out, packet, event);
            if self.links > 1 || lost || !packet.touched.is_empty() {
                out.newline();
            }
            self.remarks(out);
            return;
        }
        if let Some(lanes) = &mut self.lanes {
            lanes.packet(out, self.glossary, packet, event);
            self.touched(out, packet, event);
            return self.remarks(out);
        }
        let ttl = words::uint(event, &ipv4::TTL);
        // Routers pass on what has a TTL; anything else that is seen on their links, and what nobody has sent before, is
        // their own.
        let is_new = packet.id > self.highest;
        self.highest = self.highest.max(packet.id);
        if sent || is_new || ttl.is_none() {
            let made = packet.touched.iter().any(|touch| touch.deed.is_made());
            let doing = if made {
                Deed::made_up()
            } else {
                Deed::of(event)
            };
            let shown = self.ladder.arrow(
                out,
                self.glossary,
                &self.hosts,
                event,
                (packet.from == Host::A, doing),
            );
            if shown && packet.bytes.len() > self.longest {
                self.remark(out, "say.demo.super", packet, event);
            }
            if shown && self.links > 1 && (ttl.is_none() || !sent) {
                self.remark(out, "say.demo.link", packet, event);
            }
        } else if !Deed::of(event).bulk {
            let key = match packet.link {
                Link::Ethernet => "say.demo.hop.ethernet",
                Link::Ip => "say.demo.hop",
            };
            self.remark(out, key, packet, event);
        }
        if lost {
            self.remark(out, "say.demo.lost", packet, event);
        }
        self.touched(out, packet, event);
        self.remarks(out);
    }

    /// Something happened in the chat of a host.
    pub(super) fn chat(&mut self, out: &mut Out, host: Host, time: Time, what: &Happening) {
        if let Some(faults) = &mut self.faults {
            faults.chat(host, time, what);
            self.remarks(out);
        }
    }

    /// What rules did to a packet.
    fn touched(&mut self, out: &mut Out, packet: &Packet, event: &Event<'_>) {
        for touch in &packet.touched {
            let in_detail = self.detail.is_some();
            let marks = match &mut self.faults {
                Some(faults) if !in_detail => faults.marks(touch.rule, packet.id),
                _ => Some(true),
            };
            let text = out.aside(|out| match marks {
                Some(_) => {
                    self.glyph(out, out.glyphs().bad, packet.id);
                    sides::touched_by(out, self.glossary, touch);
                }
                None => {
                    let words = self.glossary.say("say.verdict.remark.many");
                    out.sentence(words, |out, _| out.number(touch.rule as u64 + 1));
                }
            });
            if marks != Some(false) {
                let at = (packet.id, event.frame.time);
                self.say(out, at, Some(Role::Bad), &text);
            }
        }
    }

    /// A sign before a line about a fault; for a screen reader the packet's number.
    fn glyph(&self, out: &mut Out, glyph: &str, id: u64) {
        if out.look().plain {
            out.byte(b'#');
            out.number(id);
            out.ascii(b": ");
        } else {
            out.text(glyph);
            out.byte(b' ');
        }
    }

    /// What the hosts at the ends of the link are called that rules act on.
    fn names(&self) -> verdict::Names {
        ["A", if self.lanes.is_some() { "M" } else { "B" }]
    }

    /// What has come of faults since the last time.
    fn remarks(&mut self, out: &mut Out) {
        let Some(faults) = &mut self.faults else {
            return;
        };
        let remarks = faults.tracer.remarks();
        if self.machine.is_some() || self.pick.is_some() {
            return;
        }
        let names = self.names();
        let mut any = false;
        for remark in &remarks {
            let follows = |faults: &Tracing| faults.follows(remark);
            if self.detail.is_none() && !self.faults.as_ref().is_none_or(follows) {
                continue;
            }
            any = true;
            let (role, glyph) = match remark.what {
                Consequence::Saw(_) => (Role::Bad, out.glyphs().right),
                Consequence::Alarm { .. } | Consequence::Told { .. } => {
                    (Role::Warn, out.glyphs().right)
                }
                Consequence::Again { .. } => (Role::Good, out.glyphs().right),
                Consequence::Reacted { .. } => (Role::Computed, out.glyphs().right),
            };
            let text = out.aside(|out| {
                self.glyph(out, glyph, remark.packet);
                verdict::remark(out, self.glossary, &names, remark);
            });
            self.say(out, (remark.packet, remark.time), Some(role), &text);
        }
        if any && self.detail.is_some() {
            out.newline();
        }
    }

    /// A packet that was held back goes on.
    pub(super) fn released(&mut self, out: &mut Out, id: u64, time: Time, arrives: Time) {
        if let Some(faults) = &mut self.faults {
            // It arrives a way later.
            faults.tracer.released(id, time, arrives);
        }
        self.remarks(out);
        if self.machine.is_some() || self.pick.is_some() {
            return;
        }
        let marked = |faults: &Tracing| faults.marked.iter().any(|marked| marked.contains(&id));
        if self.detail.is_none() && !self.faults.as_ref().is_none_or(marked) {
            return;
        }
        let text = out.aside(|out| {
            self.glyph(out, out.glyphs().bad, id);
            out.sentence(self.glossary.say("say.fault.released"), |out, _| {
                out.number(id);
            });
        });
        self.say(out, (id, time), Some(Role::Bad), &text);
        if self.detail.is_some() {
            out.newline();
        }
    }

    fn say(&mut self, out: &mut Out, at: (u64, Time), role: Option<Role>, text: &str) {
        if self.detail.is_some() {
            role.into_iter().for_each(|role| out.start(role));
            out.wrapped(text, |_| ());
            role.into_iter().for_each(|role| out.end(role));
            out.newline();
        } else if let Some(lanes) = &self.lanes {
            lanes.remark(out, at, role, text);
        } else {
            self.ladder.remark(out, at, role, text);
        }
    }

    /// What came of each packet that was touched; of many, how many came to what.
    fn verdicts(&mut self, out: &mut Out) {
        let names = self.names();
        let Some(faults) = &mut self.faults else {
            return;
        };
        let (verdicts, tallies) = faults.tracer.finish(faults.marked.len());
        let few = |rule: usize| {
            let tally = tallies.get(rule);
            tally.is_some_and(|tally| tally.touched + tally.untraced <= VERDICTS)
        };
        if verdicts.is_empty() {
            return;
        }
        out.start(Role::Heading);
        self.line(out, "say.verdict.head");
        out.end(Role::Heading);
        for verdict in &verdicts {
            if verdict.touched.first().is_some_and(|touch| few(touch.rule)) {
                let text = out.aside(|out| verdict::verdict(out, self.glossary, &names, verdict));
                self.item(out, &text);
            }
        }
        for tally in &tallies {
            if tally.touched > 0 && !few(tally.rule) {
                let text = out.aside(|out| verdict::tally(out, self.glossary, tally));
                self.item(out, &text);
            }
        }
        out.newline();
    }

    fn item(&self, out: &mut Out, text: &str) {
        out.ascii(b"  ");
        out.wrapped(text, |out| out.spaces(4));
        out.newline();
    }

    /// What became of all packets, and which rules were never carried out.
    fn fates(&self, out: &mut Out, (fates, reports): &(fault::Fates, Vec<fault::Report>)) {
        let mark = out.mark();
        let key = if self.lanes.is_some() {
            "say.fault.fates.mitm"
        } else {
            "say.fault.fates"
        };
        out.sentence(self.glossary.say(key), |out, word| {
            out.number(match word {
                "sent" => fates.sent,
                "made" => fates.made,
                "delivered" => fates.delivered,
                "dropped" => fates.dropped,
                _ => fates.held + fates.on_the_way,
            });
        });
        out.wrap_since(mark, |_| ());
        out.newline();
        for (number, report) in (1..).zip(reports) {
            let Some(key) = report.never_fired() else {
                continue;
            };
            let mark = out.mark();
            out.sentence(self.glossary.say(key), |out, word| match word {
                "rule" => out.number(number),
                "n" => out.number(report.matched),
                _ => {
                    out.wire(report.rule.as_bytes(), 200);
                }
            });
            out.wrap_since(mark, |_| ());
            out.newline();
        }
    }

    /// A sentence about a packet on its way.
    fn remark(&mut self, out: &mut Out, key: &str, packet: &Packet, event: &Event<'_>) {
        let routers = self.links as u64 - 1;
        let hop = packet.hop as u64;
        // The router that puts it on this link.
        let router = if packet.from == Host::A { hop } else { hop + 1 };
        let to = packet.from.other();
        let text = out.aside(|out| {
            out.sentence(self.glossary.say(key), |out, word| match word {
                "n" => out.number(packet.id),
                "router" => out.number(router),
                "link" => out.number(hop + 1),
                "links" => out.number(routers + 1),
                "ttl" => out.number(words::uint(event, &ipv4::TTL).unwrap_or(0)),
                "bytes" => out.number(packet.bytes.len() as u64),
                "a" => out.text(name(packet.from)),
                "b" => out.text(name(to)),
                _ => {}
            });
        });
        self.say(out, (packet.id, event.frame.time), None, &text);
    }

    /// What the kernel of a host knows now.
    pub(super) fn kernel(&self, out: &mut Out, host: Host, info: &TcpInfo) {
        if !self.kernel || self.machine.is_some() {
            return;
        }
        out.start(Role::Computed);
        let mark = out.mark();
        out.sentence(
            self.glossary.say("say.demo.kernel"),
            |out, word| match word {
                "a" => out.text(name(host)),
                "state" => {
                    let named = self.glossary.of(&tcp_info::STATE).value(info.state.into());
                    out.text(named.map_or("?", |named| named.name.as_str()));
                }
                "cwnd" => out.number(info.snd_cwnd.into()),
                "ssthresh" if info.snd_ssthresh == tcp_info::UNLIMITED => {
                    out.text(self.glossary.say("say.demo.unlimited"));
                }
                "ssthresh" => out.number(info.snd_ssthresh.into()),
                "rtt" => milliseconds(out, u64::from(info.rtt) * 1000, 0),
                "rto" => milliseconds(out, u64::from(info.rto) * 1000, 0),
                "unacked" => out.number(info.unacked.into()),
                "lost" => out.number(info.lost.into()),
                "retrans" => out.number(info.total_retrans.into()),
                _ => {}
            },
        );
        out.wrap_since(mark, |_| ());
        out.end(Role::Computed);
        out.newline();
        out.newline();
    }

    pub(super) fn end(
        &mut self,
        out: &mut Out,
        count: &Count,
        faults: Option<(fault::Fates, Vec<fault::Report>)>,
        ended: Option<&WireError>,
    ) {
        if self.machine.is_some() {
            return;
        }
        if let Some(faults) = &mut self.faults {
            faults.tracer.arrive(Time(u64::MAX));
            faults.overhear(Time(u64::MAX));
        }
        if self.heads {
            self.remarks(out);
        }
        if self.detail.is_none() {
            if self.heads {
                self.ladder.finish(out, self.glossary);
            }
            out.newline();
        }
        // Whoever looks for packets wants no pictures of messages, and an attack is a story of its own.
        if self.detail.is_none() && self.heads && !self.pick.is_some() && self.watches.is_empty() {
            let done = self.journeys.done();
            let (whole, lines) = done.split_at(done.len().min(PICTURES));
            for journey in whole {
                journey.picture(out, self.glossary, &self.hosts);
            }
            if !lines.is_empty() {
                self.line(out, "say.demo.later");
            }
            for journey in lines {
                journey.line(out, self.glossary, &self.hosts);
            }
            if !lines.is_empty() {
                out.newline();
            }
        }
        for watch in &self.watches {
            watch.end(out, self.glossary);
            out.newline();
        }
        self.verdicts(out);
        // How a chat failed, those say who watch it; not why the wire went no further.
        if let Some(error) = ended.filter(|error| !matches!(error, WireError::Chat { .. })) {
            let text = out.aside(|out| {
                out.sentence(self.glossary.say("say.demo.ended"), |out, _| {
                    out.text(&error.to_string());
                });
            });
            out.wrapped(&text, |_| ());
            out.newline();
            out.newline();
        }
        let mark = out.mark();
        out.sentence(self.glossary.say("say.demo.sum"), |out, name| match name {
            "packets" => out.number(count.packets),
            "bytes" => out.number(count.bytes),
            "messages" => out.number(count.messages),
            "said" => out.number(count.said),
            "percent" => {
                let tenths = (count.said * 1000 + count.bytes / 2) / count.bytes.max(1);
                out.number(tenths / 10);
                out.byte(b'.');
                out.number(tenths % 10);
            }
            _ => {}
        });
        out.wrap_since(mark, |_| ());
        out.newline();
        if let Some(faults) = faults {
            self.fates(out, &faults);
        }
        if count.unseen > 0 {
            let mark = out.mark();
            out.sentence(self.glossary.say("say.demo.unseen"), |out, _| {
                out.number(count.unseen);
            });
            out.wrap_since(mark, |_| ());
            out.newline();
        }
        self.next(out);
    }

    /// What to type next, in the way this program was started.
    fn next(&self, out: &mut Out) {
        let program = if std::env::var_os("CARGO").is_some() {
            "cargo run --release --"
        } else {
            "layerwise"
        };
        let mut options = vec![("-v", "say.demo.next.v"), ("-x", "say.demo.next.x")];
        if self.detail.is_some() {
            options = vec![("", "say.demo.next.ladder"), ("-vv", "say.demo.next.vv")];
        }
        options.extend([
            ("explain tcp.flags.syn", "say.demo.next.explain"),
            ("demo \"your own words\"", "say.demo.next.own"),
        ]);
        out.newline();
        self.line(out, "say.demo.next");
        for (arguments, what) in options {
            out.ascii(b"  ");
            out.start(Role::Value);
            out.text(program);
            if !arguments.is_empty() {
                out.byte(b' ');
                out.text(arguments);
            }
            out.end(Role::Value);
            let column = 2 + program.len() + 27;
            if column + 30 > out.look().width {
                out.newline();
            }
            out.to_column(if out.column() == 0 { 6 } else { column });
            out.wrapped(self.glossary.say(what), |out| out.spaces(6));
            out.newline();
        }
    }

    fn line(&self, out: &mut Out, key: &str) {
        out.wrapped(self.glossary.say(key), |_| ());
        out.newline();
    }
}
