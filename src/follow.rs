//! `layerwise follow`: what the two ends of a conversation said to each other.
//!
//! The file is read once, and what is said is written as it is read: memory is that of a [`Session`], however long
//! a conversation is.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use crate::cli;
use crate::cli::follow::End;
use crate::file::{Item, Reader};
use crate::keylog::LogFile;
use crate::layers::{tcp, tls, udp};
use crate::packet::{Event, Segment};
use crate::progress::Progress;
use crate::read::ReadError;
use crate::session::Session;
use crate::show::BATCH;
use crate::text::Glossary;
use crate::view::follow::{Conversations, Mark, Side, Talk};
use crate::view::paint::Out;
use crate::view::words;

/// Follows the conversation that was asked for, or lists those there are.
///
/// # Errors
/// A [`ReadError`]; what could be read before it has been shown.
pub fn run(
    follow: &cli::follow::Follow,
    screen: &cli::Screen,
    glossary: &Glossary,
    out: &mut Out,
    to: &mut impl Write,
) -> Result<(), ReadError> {
    if follow.file == Path::new("-") && io::stdin().is_terminal() {
        return Err(ReadError::Terminal);
    }
    let mut file = Reader::open(&follow.file)?;
    let mut session = Session::new();
    for path in &follow.keylog {
        let failed = |error| ReadError::KeyLog(path.clone(), error);
        let mut log = LogFile::open(path).map_err(failed)?;
        let mut line = |line: &str| {
            // A line that is none opens nothing; `read` says what is wrong with it.
            let _ = session.keylog_line(line);
        };
        log.read(&mut line).map_err(failed)?;
        log.rest(line);
    }
    let mut job = match follow.number {
        None => Job::List(Conversations::default()),
        Some(number) => Job::One(Box::new(One {
            number,
            udp: follow.udp,
            stream: follow.stream,
            raw: follow.raw,
            is_tls: false,
            packets: 0,
            ends: None,
            talk: Talk::new(glossary, screen.hex),
        })),
    };
    let mut progress = Progress::new(screen.ascii);
    let result = job.packets(&mut file, &mut session, out, to, &mut progress);
    drop(progress);
    let name = follow.file.to_string_lossy();
    match &mut job {
        Job::List(list) => list.print(out, glossary, &name),
        Job::One(one) => one.end(out, &session),
    }
    out.flush_to(to)?;
    result?;
    match job {
        Job::One(one) if one.packets == 0 => Err(ReadError::NoConversation {
            number: one.number,
            udp: one.udp,
            file: name.into_owned(),
        }),
        _ => Ok(()),
    }
}

/// What is done with the packets.
enum Job<'g> {
    List(Conversations),
    One(Box<One<'g>>),
}

impl Job<'_> {
    fn packets(
        &mut self,
        file: &mut Reader,
        session: &mut Session,
        out: &mut Out,
        to: &mut impl Write,
        progress: &mut Option<Progress>,
    ) -> Result<(), ReadError> {
        let mut packets = 0;
        loop {
            if let Some(progress) = progress {
                progress.at(packets, || file.progress());
            }
            match file.next()? {
                None => return Ok(()),
                Some(Item::Wait) => out.flush_to(to)?,
                Some(Item::Comments(_)) => {}
                Some(Item::Secret(line)) => {
                    // As above.
                    let _ = session.captured_secret(line);
                }
                Some(Item::Packet(packet)) => {
                    packets = packet.frame.number;
                    let event = session.push(packet.frame);
                    match self {
                        Self::List(list) => list.packet(&event),
                        Self::One(one) => one.packet(out, &event),
                    }
                    if out.bytes().len() >= BATCH {
                        out.flush_to(to)?;
                    }
                }
            }
        }
    }
}

/// One conversation.
struct One<'g> {
    number: u64,
    udp: bool,
    stream: bool,
    raw: Option<End>,
    /// TLS has begun on it.
    is_tls: bool,
    packets: u64,
    /// The address and port of A.
    ends: Option<words::End>,
    talk: Talk<'g>,
}

impl One<'_> {
    fn packet(&mut self, out: &mut Out, event: &Event<'_>) {
        let stream = if self.udp { &udp::STREAM } else { &tcp::STREAM };
        if words::fact(event, stream) != Some(self.number) {
            return;
        }
        self.packets += 1;
        let Some((source, destination)) = words::end_points(event) else {
            return;
        };
        if self.ends.is_none() {
            let answers = !self.udp && has(event, Segment::SYN) && has(event, Segment::ACK);
            let (a, b) = match answers {
                true => (destination, source),
                false => (source, destination),
            };
            self.ends = Some(a);
            if self.raw.is_none() {
                self.talk.begin(out, (a, b));
                if !self.udp && !has(event, Segment::SYN) {
                    self.talk.remark(out, Mark::Middle);
                }
            }
        }
        let from = if self.ends == Some(source) {
            Side::A
        } else {
            Side::B
        };
        if self.udp {
            let bytes = datagram(event);
            self.said(out, from, event, bytes, false);
            return;
        }
        let records = event
            .layers
            .iter()
            .filter(|layer| core::ptr::eq(layer.def, &raw const tls::TLS))
            .count();
        let was_tls = self.is_tls;
        self.is_tls |= records > 0;
        let mut opened = false;
        for said in event.said {
            let from = match said.from {
                0 => Side::A,
                _ => Side::B,
            };
            if said.missing > 0 && self.raw.is_none() {
                self.talk.missing(out, from, said.missing);
            }
            // What comes before TLS begins is shown as it is, and so is all where that is wished.
            let inside = said.opened;
            let wanted = if self.stream || !(self.is_tls || was_tls) {
                !inside
            } else {
                inside
            };
            opened |= inside;
            if wanted {
                self.said(out, from, event, event.said_bytes(said), inside);
            }
        }
        if records > 0 && !opened && !self.stream && self.raw.is_none() {
            self.talk.records(out, from, event);
        }
    }

    fn said(&mut self, out: &mut Out, from: Side, event: &Event<'_>, bytes: &[u8], opened: bool) {
        match self.raw {
            None => self.talk.said(out, from, event, bytes, opened),
            Some(End::A) if from == Side::A => out.raw().extend_from_slice(bytes),
            Some(End::B) if from == Side::B => out.raw().extend_from_slice(bytes),
            Some(_) => {}
        }
    }

    fn end(&mut self, out: &mut Out, session: &Session) {
        if self.packets == 0 || self.raw.is_some() {
            return;
        }
        let waits = if self.udp {
            [None; 2]
        } else {
            session.waits(self.number)
        };
        self.talk.end(out, self.packets, waits);
    }
}

fn has(event: &Event<'_>, flag: u16) -> bool {
    words::uint(event, &tcp::FLAGS).is_some_and(|flags| flags & u64::from(flag) != 0)
}

/// What a UDP datagram carries: what stands behind its header, as far as its length says.
fn datagram<'e>(event: &Event<'e>) -> &'e [u8] {
    let layer = event
        .layers
        .iter()
        .find(|layer| core::ptr::eq(layer.def, &raw const udp::UDP));
    let Some(layer) = layer else {
        return &[];
    };
    let bytes = event.bytes(layer.buf);
    let start = layer.bytes.end as usize;
    let len = words::uint(event, &udp::LENGTH).unwrap_or(8) as usize;
    let end = bytes.len().min(start + len.saturating_sub(8));
    bytes.get(start..end).unwrap_or(&[])
}
