//! The demonstration: a wire plays a chat, the session decodes every packet of it, a view shows them.

mod scene;

use std::fmt;
use std::io::{self, Write};

use crate::cli;
use crate::file::WriteError;
use crate::layers::ipv4;
use crate::layers::tcp_info::{self, TcpInfo};
use crate::packet::{Event, Frame, Time};
use crate::save::Save;
use crate::session::Session;
use crate::show::{Machine, Pick, ShowError};
use crate::text::Glossary;
use crate::view::detail::{Depth, Detail};
use crate::view::journey::Journeys;
use crate::view::ladder::{Ladder, milliseconds};
use crate::view::paint::{Out, Role};
use crate::view::words::{self, Deed, Hosts};
use crate::wire::{Host, Link, PORT, Packet, Script, Seen, WireError, fault};
use scene::{Scene, Words};

/// Bytes of an Ethernet header, which the MTU does not count.
const LINK_HEADER: usize = 14;

/// So many journeys are shown as a whole picture; the later ones in a line each.
const PICTURES: usize = 4;

/// When so much has been written into the buffer, it is handed on.
const BATCH: usize = 256 << 10;

/// Why the demonstration ended early.
#[derive(Debug)]
pub enum DemoError {
    /// The output cannot be written.
    Output(io::Error),
    /// The wish cannot be fulfilled; the sentence says how to mend it.
    Usage(String),
    /// The wire failed.
    Wire(String),
    /// The file that is written.
    Write(WriteError),
}

impl fmt::Display for DemoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output(error) => write!(f, "cannot write the output: {error}"),
            Self::Usage(text) | Self::Wire(text) => f.write_str(text),
            Self::Write(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for DemoError {}

impl From<io::Error> for DemoError {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<WriteError> for DemoError {
    fn from(error: WriteError) -> Self {
        Self::Write(error)
    }
}

impl From<ShowError> for DemoError {
    fn from(error: ShowError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<WireError> for DemoError {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Mtu { .. } => Self::Usage(format!("--mtu: {error}")),
            WireError::Latency { .. } => Self::Usage(format!("--latency: {error}")),
            WireError::Hops { .. } => Self::Usage(format!("--hops: {error}")),
            WireError::Script { .. } => Self::Usage(error.to_string()),
            _ => Self::Wire(error.to_string()),
        }
    }
}

/// Plays the demonstration and shows it.
///
/// # Errors
/// [`DemoError::Usage`] when something asked for cannot be, before anything is written.
pub fn run(
    demo: &cli::Demo,
    screen: &cli::Screen,
    glossary: &Glossary,
    out: &mut Out,
    to: &mut impl Write,
) -> Result<(), DemoError> {
    let mut script = Script {
        messages: demo.messages.clone(),
        ..Script::default()
    };
    if let Some(reply) = &demo.reply {
        script.reply.clone_from(reply);
    }
    let Scene {
        mut wire,
        hosts,
        origin,
        links,
        kind,
        port,
        title,
        words,
    } = scene::set(demo, &script)?;
    let depth = Depth::of(screen.verbose);
    let detail = (screen.verbose > 0 || screen.hex)
        .then(|| Detail::new(glossary, depth, screen.hex, origin).in_words(hosts.clone()));
    let mut show = Show {
        glossary,
        pick: Pick::new(&demo.output)?,
        machine: Machine::new(glossary, screen, &demo.output)?,
        detail,
        kernel: screen.verbose > 0,
        hosts,
        links,
        longest: demo.mtu as usize + LINK_HEADER,
        ladder: Ladder::default(),
        journeys: Journeys::default(),
    };
    let mut save = Save::open(&demo.output, glossary, show.hosts.clone())?;
    let quiet = demo.output.takes_stdout();
    let most = demo.output.count.unwrap_or(u64::MAX);
    // On each link it is a capture of its own: otherwise a packet on the second would look like one that is sent again.
    let mut sessions: Vec<_> = (0..links).map(|_| Session::new()).collect();
    for session in &mut sessions {
        session.treat_port(port, PORT);
    }
    let mut count = Count::default();

    show.begin(out, (title, port), &words);
    if quiet {
        out.clear();
    }
    let mut failure = None;
    while let Some(seen) = wire.next() {
        let seen = match seen {
            Ok(seen) => seen,
            Err(error) => {
                // What led to it is shown all the same.
                failure = Some(error);
                break;
            }
        };
        match seen {
            Seen::Key { line, .. } => {
                for session in &mut sessions {
                    session
                        .keylog_line(&line)
                        .map_err(|error| DemoError::Wire(error.to_string()))?;
                }
                if let Some(save) = &mut save {
                    save.secret(&line)?;
                }
            }
            Seen::Packet(packet) if packet.id > most => break,
            Seen::Packet(packet) => {
                if packet.id > count.packets {
                    count.packets = packet.id;
                    count.bytes += packet.bytes.len() as u64;
                }
                let frame = Frame {
                    number: packet.id,
                    time: packet.sent,
                    link: packet.link.link_type(),
                    wire_len: packet.bytes.len() as u32,
                    data: &packet.bytes,
                };
                if let Some(session) = sessions.get_mut(packet.hop) {
                    let event = session.push_with(frame, packet.kernel.as_ref());
                    let picked = show.pick.takes(&event);
                    show.packet(out, &packet, &event, picked);
                    if let Some(save) = &mut save
                        && picked
                    {
                        save.describe(&event);
                        let interface =
                            save.interface(&interface(kind, links, packet.hop), frame.link)?;
                        save.write(session, interface, &frame, [])?;
                    }
                }
            }
            Seen::Kernel { host, info, .. } => show.kernel(out, host, &info),
            Seen::Released { id, time, .. } => show.released(out, id, time),
            Seen::Chat { host, time, what } => {
                if let Some(line) = what.heard() {
                    count.messages += 1;
                    count.said += line.text.len() as u64 + 1;
                    show.journeys.read(&show.hosts, name(host), time);
                }
            }
        }
        if quiet {
            out.clear();
        } else if out.bytes().len() >= BATCH || (!out.bytes().is_empty() && !wire.is_ready()) {
            out.flush_to(to)?;
        }
    }
    count.unseen = wire.unseen();
    show.end(out, &count, wire.faults());
    if quiet {
        out.clear();
    }
    if let Some(save) = save {
        save.finish(out)?;
    }
    out.flush_to(to)?;
    failure.map_or(Ok(()), |error| Err(error.into()))
}

/// What a capture file calls a link of the wire.
fn interface(kind: &str, links: usize, hop: usize) -> String {
    if links > 1 {
        format!("{kind} link {}", hop + 1)
    } else {
        kind.to_owned()
    }
}

fn name(host: Host) -> &'static str {
    match host {
        Host::A => "A",
        Host::B => "B",
    }
}

/// What there was in all.
#[derive(Debug, Default)]
struct Count {
    packets: u64,
    bytes: u64,
    messages: u64,
    said: u64,
    /// Packets that came too fast to be shown.
    unseen: u64,
}

/// The views that show it.
struct Show<'s> {
    glossary: &'s Glossary,
    pick: Pick,
    /// Lines for programs, and then nothing else.
    machine: Option<Machine<'s>>,
    /// Prints each packet whole; without it, a packet is a line of the ladder.
    detail: Option<Detail<'s>>,
    /// Whether the kernel's view is shown.
    kernel: bool,
    hosts: Hosts,
    /// How many links there are from A to B.
    links: usize,
    /// The longest frame that a link of the MTU which was asked for carries.
    longest: usize,
    ladder: Ladder,
    journeys: Journeys,
}

impl Show<'_> {
    fn begin(&self, out: &mut Out, (title, port): (&str, u16), words: &[Words]) {
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
        out.wrapped(self.glossary.say("say.demo.legend"), |_| ());
        out.newline();
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
        if self.detail.is_none() {
            self.ladder.head(
                out,
                [
                    self.glossary.say("say.demo.a"),
                    self.glossary.say("say.demo.b"),
                ],
            );
        }
    }

    fn packet(&mut self, out: &mut Out, packet: &Packet, event: &Event<'_>, picked: bool) {
        let first = match packet.from {
            Host::A => 0,
            Host::B => self.links - 1,
        };
        let sent = packet.hop == first;
        // What a rule has done is said for each rule.
        let lost = packet.arrives.is_none() && packet.touched.is_empty();
        if sent && self.detail.is_none() && self.machine.is_none() {
            self.journeys.packet(&self.hosts, event);
        }
        if !picked {
            return;
        }
        if let Some(machine) = &mut self.machine {
            return machine.packet(out, event);
        }
        if let Some(detail) = &mut self.detail {
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
            return;
        }
        let ttl = words::uint(event, &ipv4::TTL);
        // Routers pass on what has a TTL; anything else that is seen on their links is their own.
        if sent || ttl.is_none() {
            let shown = self.ladder.arrow(
                out,
                self.glossary,
                &self.hosts,
                event,
                packet.from == Host::A,
            );
            if shown && packet.bytes.len() > self.longest {
                self.remark(out, "say.demo.super", packet, event);
            }
            if shown && self.links > 1 && ttl.is_none() {
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
    }

    /// What rules did to a packet.
    fn touched(&mut self, out: &mut Out, packet: &Packet, event: &Event<'_>) {
        for touch in &packet.touched {
            let text = out.aside(|out| {
                let words = self.glossary.say("say.fault.touched");
                out.sentence(words, |out, word| match word {
                    "rule" => out.number(touch.rule as u64 + 1),
                    _ => self.deed(out, touch.deed),
                });
            });
            self.say(out, packet.id, event.frame.time, &text);
        }
    }

    fn deed(&self, out: &mut Out, deed: fault::Deed) {
        use fault::Deed::{Changed, Delayed, Held, Truncated};
        out.sentence(self.glossary.say(deed.key()), |out, word| {
            match (deed, word) {
                (Delayed(time), "time") => {
                    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
                    milliseconds(out, nanos, 0);
                    out.ascii(b" ms");
                }
                (Held(n), "n") => out.number(n),
                (Changed { at, .. }, "at") => out.number(at as u64),
                (Truncated { len, .. }, "n") => out.number(len as u64),
                _ => {}
            }
        });
    }

    /// A packet that was held back goes on.
    fn released(&mut self, out: &mut Out, id: u64, time: Time) {
        if self.machine.is_some() || self.pick.is_some() {
            return;
        }
        let text = out.aside(|out| {
            out.sentence(self.glossary.say("say.fault.released"), |out, _| {
                out.number(id);
            });
        });
        self.say(out, id, time, &text);
        if self.detail.is_some() {
            out.newline();
        }
    }

    fn say(&mut self, out: &mut Out, id: u64, time: Time, text: &str) {
        if self.detail.is_some() {
            out.wrapped(text, |_| ());
            out.newline();
        } else {
            self.ladder.remark(out, id, time, text);
        }
    }

    /// What became of all packets, and which rules were never carried out.
    fn fates(&self, out: &mut Out, (fates, reports): &(fault::Fates, Vec<fault::Report>)) {
        let mark = out.mark();
        out.sentence(self.glossary.say("say.fault.fates"), |out, word| {
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
        self.say(out, packet.id, event.frame.time, &text);
    }

    /// What the kernel of a host knows now.
    fn kernel(&self, out: &mut Out, host: Host, info: &TcpInfo) {
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

    fn end(
        &mut self,
        out: &mut Out,
        count: &Count,
        faults: Option<(fault::Fates, Vec<fault::Report>)>,
    ) {
        if self.machine.is_some() {
            return;
        }
        if self.detail.is_none() {
            self.ladder.finish(out, self.glossary);
            out.newline();
        }
        // Whoever looks for packets wants no pictures of messages.
        if self.detail.is_none() && !self.pick.is_some() {
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
