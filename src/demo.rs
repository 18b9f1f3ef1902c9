//! The demonstration: a wire plays a chat, the session decodes every packet of it, a view shows them.

use std::fmt;
use std::io::{self, Write};
use std::net::IpAddr;

use crate::cli;
use crate::file::WriteError;
use crate::packet::{Event, Frame, LinkType};
use crate::save::Save;
use crate::session::Session;
use crate::show::{Machine, Pick, ShowError};
use crate::text::Glossary;
use crate::view::detail::{Depth, Detail};
use crate::view::journey::Journeys;
use crate::view::ladder::Ladder;
use crate::view::paint::{Out, Role};
use crate::view::words::Hosts;
use crate::wire::memory::{Config, EPOCH, Memory};
use crate::wire::{Host, Script, Seen, WireError};

/// So many journeys are shown as a whole picture; the later ones in a line each.
const PICTURES: usize = 4;

/// What a capture file calls the memory wire.
const INTERFACE: &str = "memory";

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
    let config = Config {
        seed: demo.seed,
        mtu: demo.mtu as usize,
        latency: demo.latency,
        ..Config::default()
    };
    let wire = Memory::new(&config, &script)?;
    let hosts = Hosts::new(
        [Host::A, Host::B]
            .map(|host| (host.address().into(), name(host)))
            .to_vec(),
    );
    let depth = Depth::of(screen.verbose);
    let detail = (screen.verbose > 0 || screen.hex)
        .then(|| Detail::new(glossary, depth, screen.hex, EPOCH).in_words(hosts.clone()));
    let mut show = Show {
        glossary,
        pick: Pick::new(&demo.output)?,
        machine: Machine::new(glossary, screen, &demo.output)?,
        detail,
        hosts,
        ladder: Ladder::default(),
        journeys: Journeys::default(),
    };
    let mut save = Save::open(&demo.output, glossary, show.hosts.clone())?;
    let quiet = demo.output.takes_stdout();
    let most = demo.output.count.unwrap_or(u64::MAX);
    let mut session = Session::new();
    let mut count = Count::default();

    show.begin(out);
    if quiet {
        out.clear();
    }
    for seen in wire {
        match seen? {
            Seen::Key { line, .. } => {
                session
                    .keylog_line(&line)
                    .map_err(|error| DemoError::Wire(error.to_string()))?;
                if let Some(save) = &mut save {
                    save.secret(&line)?;
                }
            }
            Seen::Packet(_) if count.packets == most => break,
            Seen::Packet(packet) => {
                count.packets += 1;
                count.bytes += packet.bytes.len() as u64;
                let frame = Frame {
                    number: count.packets,
                    time: packet.sent,
                    link: LinkType::RAW,
                    wire_len: packet.bytes.len() as u32,
                    data: &packet.bytes,
                };
                let event = session.push(frame);
                show.packet(out, &event);
                if let Some(save) = &mut save
                    && show.pick.takes(&event)
                {
                    save.describe(&event);
                    let interface = save.interface(INTERFACE, frame.link)?;
                    save.write(&session, interface, &frame, [])?;
                }
            }
            Seen::Chat { host, time, what } => {
                if let Some(line) = what.heard() {
                    count.messages += 1;
                    count.said += line.text.len() as u64 + 1;
                    show.journeys.read(IpAddr::from(host.address()), time);
                }
            }
        }
        if quiet {
            out.clear();
        } else if out.bytes().len() >= BATCH {
            out.flush_to(to)?;
        }
    }
    show.end(out, &count);
    if quiet {
        out.clear();
    }
    if let Some(save) = save {
        save.finish(out)?;
    }
    Ok(out.flush_to(to)?)
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
}

/// The views that show it.
struct Show<'s> {
    glossary: &'s Glossary,
    pick: Pick,
    /// Lines for programs, and then nothing else.
    machine: Option<Machine<'s>>,
    /// Prints each packet whole; without it, a packet is a line of the ladder.
    detail: Option<Detail<'s>>,
    hosts: Hosts,
    ladder: Ladder,
    journeys: Journeys,
}

impl Show<'_> {
    fn begin(&self, out: &mut Out) {
        if let Some(machine) = &self.machine {
            return machine.begin(out);
        }
        out.start(Role::Heading);
        out.wrapped(self.glossary.say("say.demo.title"), |_| ());
        out.end(Role::Heading);
        out.newline();
        out.wrapped(self.glossary.say("say.demo.legend"), |_| ());
        out.newline();
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

    fn packet(&mut self, out: &mut Out, event: &Event<'_>) {
        if self.detail.is_none() && self.machine.is_none() {
            self.journeys.packet(&self.hosts, event);
        }
        if !self.pick.takes(event) {
            return;
        }
        if let Some(machine) = &mut self.machine {
            machine.packet(out, event);
        } else if let Some(detail) = &mut self.detail {
            detail.print(out, event);
        } else {
            self.ladder.packet(out, self.glossary, &self.hosts, event);
        }
    }

    fn end(&mut self, out: &mut Out, count: &Count) {
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
