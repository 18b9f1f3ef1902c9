//! The demonstration: a wire plays a chat, the session decodes every packet of it, a view shows them.

mod attack;
mod both;
mod downgrade;
mod eavesdropper;
mod ending;
mod mitm;
mod scene;
mod show;
mod slow;
mod tamper;
mod watch;

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use crate::cli;
use crate::file::WriteError;
use crate::interrupt::Interrupts;
use crate::packet::Frame;
use crate::reason::reason;
use crate::save::Save;
use crate::session::Session;
use crate::show::{Machine, Pick, ShowError};
use crate::text::Glossary;
use crate::view::detail::{Depth, Detail};
use crate::view::journey::Journeys;
use crate::view::ladder::Ladder;
use crate::view::paint::Out;
use crate::wire::{Host, PORT, Seen, Wire, WireError};
use both::Both;
use scene::Scene;
use show::{Count, Show, Tracing};

/// Bytes of an Ethernet header, which the MTU does not count.
const LINK_HEADER: usize = 14;

/// When so much has been written into the buffer, it is handed on.
const BATCH: usize = 256 << 10;

/// While a file is written and nothing happens, it is looked so often whether a packet has come.
const GLANCE: Duration = Duration::from_millis(20);

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
            Self::Output(error) => write!(f, "cannot write the output: {}", reason(error)),
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
            WireError::TooLong { .. } => Self::Wire(format!("{error}. --max-time sets how long")),
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
    if demo.attack.tamper {
        attack::refuse(demo, demo.wire.unwrap_or_default())?;
        attack::refuse_beside_tamper(demo, screen)?;
        return tamper::run(demo, glossary, out, to);
    }
    // Before there is a second thread. A file that is begun shall be complete; without one, the program just ends.
    let interrupts = demo.output.write.as_ref().map(|_| Interrupts::new());
    let interrupts = interrupts.and_then(Result::ok);
    let script = attack::script(demo);
    let Scene {
        mut wire,
        hosts,
        origin,
        links,
        kind,
        port,
        title,
        legend,
        words,
        notebook,
    } = scene::set(demo, &script)?;
    let depth = Depth::of(screen.verbose);
    let detail = (screen.verbose > 0 || screen.hex)
        .then(|| Detail::new(glossary, depth, screen.hex, origin).in_words(hosts.clone()));
    let rules = attack::rules(&demo.attack).len() + demo.fault.len();
    let mut show = Show {
        glossary,
        pick: Pick::new(&demo.output)?,
        machine: Machine::new(glossary, screen, &demo.output)?,
        detail,
        kernel: screen.verbose > 0,
        hosts,
        links,
        highest: 0,
        longest: scene::mtu(demo) + LINK_HEADER,
        ladder: Ladder::default(),
        journeys: Journeys::default(),
        watches: attack::watches(demo, notebook.clone(), port),
        lanes: demo.attack.mitm.map(|_| mitm::Lanes::new()),
        heads: true,
        // What comes of an attack's own rules, those say who watch it.
        faults: (!demo.fault.is_empty()).then(|| match notebook {
            Some(notebook) => Tracing::beside(rules, notebook, origin),
            None => Tracing::new(rules, links),
        }),
    };
    let mut both = Both::new(demo, screen, glossary, (links, port), out)?;
    show.heads = both.is_none();
    let mut save = Save::open(&demo.output, glossary, show.hosts.clone())?;
    let quiet = demo.output.takes_stdout();
    let most = demo.output.count.unwrap_or(u64::MAX);
    // On each link it is a capture of its own: otherwise a packet on the second would look like one that is sent again.
    let mut sessions: Vec<_> = (0..links).map(|_| Session::new()).collect();
    for session in &mut sessions {
        session.treat_port(port, PORT);
    }
    let mut count = Count::default();
    // So many packets were picked; the last of them.
    let (mut picked, mut last) = (0, 0);

    show.begin(out, (title, legend, port), &words);
    if let Some(both) = &mut both {
        both.begin(out);
    }
    if quiet {
        out.clear();
    }
    let mut failure = None;
    loop {
        let asked = |interrupts: &Interrupts| ends(interrupts, &mut *wire);
        if interrupts.as_ref().is_some_and(asked) {
            break;
        }
        let Some(seen) = wire.next() else { break };
        let seen = match seen {
            Ok(seen) => seen,
            Err(error) => {
                // What led to it is shown all the same.
                failure = Some(error);
                break;
            }
        };
        // Every link that a packet passes counts with it.
        if matches!(&seen, Seen::Packet(packet) if picked >= most && packet.id > last) {
            break;
        }
        if let Some(both) = &mut both {
            both.take(out, &seen)?;
        }
        // What comes of faults is followed all the same, and told at the end.
        let hidden = both.is_some().then(|| out.mark());
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
                    let takes = show.pick.takes(&event);
                    for watch in &mut show.watches {
                        watch.packet(&packet, &event);
                    }
                    if takes && packet.id > last {
                        (picked, last) = (picked + 1, packet.id);
                    }
                    show.packet(out, &packet, &event, takes);
                    if let Some(save) = &mut save
                        && takes
                    {
                        if let Some(lanes) = &show.lanes
                            && let Some(hosts) = lanes.hosts(packet.hop)
                        {
                            save.rename(hosts);
                        }
                        save.describe(&event, &packet.touched);
                        let interface =
                            save.interface(&interface(kind, links, packet.hop), frame.link)?;
                        save.write(session, interface, &frame, [])?;
                    }
                }
            }
            Seen::Kernel { host, info, .. } => show.kernel(out, host, &info),
            Seen::Released { id, time, arrives } => show.released(out, id, time, arrives),
            Seen::Chat { host, time, what } => {
                for watch in &mut show.watches {
                    watch.chat(host, time, &what);
                }
                show.chat(out, host, time, &what);
                if let Some(line) = what.heard() {
                    count.messages += 1;
                    count.said += line.text.len() as u64 + 1;
                    show.journeys.read(&show.hosts, name(host), time);
                }
            }
        }
        if let Some(mark) = hidden {
            out.back_to(mark);
        }
        if quiet {
            out.clear();
        } else if out.bytes().len() >= BATCH || (!out.bytes().is_empty() && !wire.is_ready()) {
            out.flush_to(to)?;
        }
    }
    // An end that is part of the story is told on the screen; any other is an error.
    let (expected, failure) = match failure {
        Some(error) if attack::is_expected(&demo.attack, &error) => (Some(error), None),
        other => (None, other),
    };
    count.unseen = wire.unseen();
    if let Some(both) = &mut both {
        both.end(out);
    }
    show.end(out, &count, wire.faults(), expected.as_ref());
    if quiet {
        out.clear();
    }
    if let Some(save) = save {
        let for_people = !quiet && show.machine.is_none();
        save.finish(for_people.then_some(&mut *out))?;
    }
    out.flush_to(to)?;
    failure.map_or(Ok(()), |error| Err(error.into()))
}

/// Waits until the wire has something; whether it is asked to end before that.
fn ends(interrupts: &Interrupts, wire: &mut dyn Wire) -> bool {
    let mut asked = interrupts.came();
    while !asked && !wire.is_ready() {
        asked = interrupts.came_within(GLANCE);
    }
    asked
}

/// What a host is called on the screen.
fn name(host: Host) -> &'static str {
    match host {
        Host::A => "A",
        Host::B => "B",
    }
}

/// What a capture file calls a link of the wire.
fn interface(kind: &str, links: usize, hop: usize) -> String {
    if links > 1 {
        format!("{kind} link {}", hop + 1)
    } else {
        kind.to_owned()
    }
}
