//! A reader who pauses: how the window shrinks to nothing, how the sender asks, and how it goes on.

use super::watch::{Watch, heading, sentence};
use crate::layers::tcp;
use crate::packet::{Event, Segment, Time};
use crate::text::Glossary;
use crate::view::ladder::milliseconds;
use crate::view::paint::{Out, Role};
use crate::view::words;
use crate::wire::{Happening, Host, Packet};

/// So many lines are shown.
const MAX_LINES: usize = 24;

/// What happened to the window, or because of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// B has room for so many bytes.
    Room(u64),
    /// It has none.
    Full,
    /// A asks, with so many bytes.
    Probe(u64),
    /// B answers that it still has none.
    StillFull,
    /// B has room again.
    Update(u64),
}

/// Looks at B's window.
#[derive(Debug, Default)]
pub(super) struct SlowReader {
    start: Option<Time>,
    window: Option<u64>,
    /// Since A asked last, B has not answered.
    asked: bool,
    last_probe: Option<Time>,
    steps: Vec<(u64, Time, What)>,
    /// When each probe came, counted from the one before it or from the full window, in nanoseconds.
    waits: Vec<u64>,
    said: usize,
    heard: usize,
}

impl SlowReader {
    fn step(&mut self, id: u64, time: Time, what: What) {
        if self.steps.len() < MAX_LINES {
            self.steps.push((id, time, what));
        }
    }

    /// Whether the window was ever full.
    fn was_full(&self) -> bool {
        self.steps.iter().any(|(.., what)| *what == What::Full)
    }
}

impl Watch for SlowReader {
    fn packet(&mut self, packet: &Packet, event: &Event<'_>) {
        let (id, now) = (packet.id, packet.sent);
        self.start.get_or_insert(now);
        let Some(room) = words::fact(event, &tcp::WINDOW_SIZE) else {
            return;
        };
        let flags = words::uint(event, &tcp::FLAGS).unwrap_or(0) as u16;
        let len = words::fact(event, &tcp::LEN).unwrap_or(0);
        if packet.from == Host::A {
            // One byte beyond the window (RFC 9293), or none and an old number (Linux): either makes B answer.
            if self.window == Some(0) && len <= 1 && flags & (Segment::FIN | Segment::RST) == 0 {
                let before = self.last_probe.replace(now);
                self.waits.extend(before.map(|before| now.since(before)));
                self.asked = true;
                self.step(id, now, What::Probe(len));
            }
            return;
        }
        if flags & Segment::RST != 0 {
            return;
        }
        let before = self.window.replace(room);
        match (before, room) {
            (Some(0), 0) if self.asked => self.step(id, now, What::StillFull),
            (Some(0), 0) => {}
            (_, 0) => {
                self.last_probe = Some(now);
                self.step(id, now, What::Full);
            }
            (Some(0), room) => self.step(id, now, What::Update(room)),
            (Some(before), room) if room < before => self.step(id, now, What::Room(room)),
            (None, room) => self.step(id, now, What::Room(room)),
            _ => {}
        }
        self.asked = false;
    }

    fn chat(&mut self, host: Host, _: Time, what: &Happening) {
        match (host, what) {
            (Host::A, Happening::Says(text)) => self.said += text.len() + 1,
            (Host::B, what) => self.heard += what.heard().map_or(0, |line| line.text.len() + 1),
            _ => {}
        }
    }

    fn end(&self, out: &mut Out, glossary: &Glossary) {
        heading(out, glossary.say("say.slow.title"));
        let start = self.start.unwrap_or_default();
        for (id, time, what) in &self.steps {
            let (key, number) = match what {
                What::Room(room) => ("say.slow.room", *room),
                What::Full => ("say.slow.full", 0),
                What::Probe(0) => ("say.slow.probe.none", 0),
                What::Probe(len) => ("say.slow.probe", *len),
                What::StillFull => ("say.slow.still", 0),
                What::Update(room) => ("say.slow.update", *room),
            };
            let text = out.aside(|out| {
                out.sentence(glossary.say(key), |out, word| match word {
                    "packet" => out.number(*id),
                    _ => out.number(number),
                });
            });
            milliseconds(out, time.since(start), if out.look().plain { 0 } else { 9 });
            out.ascii(b" ms  ");
            let margin = if out.look().plain { 0 } else { out.column() };
            let role = match what {
                What::Full | What::StillFull => Role::Warn,
                What::Update(_) => Role::Good,
                _ => Role::Data,
            };
            out.start(role);
            out.wrapped(&text, |out| out.to_column(margin));
            out.end(role);
            out.newline();
        }
        if !self.was_full() {
            return sentence(out, glossary, "say.slow.never", 0, |out, _| {
                out.number(self.said as u64);
            });
        }
        let waits = &self.waits;
        sentence(out, glossary, "say.slow.sum", 0, |out, word| match word {
            "said" => out.number(self.said as u64),
            "heard" => out.number(self.heard as u64),
            _ => {
                for (i, wait) in waits.iter().enumerate() {
                    if i > 0 {
                        out.ascii(b", ");
                    }
                    milliseconds(out, *wait, 0);
                }
            }
        });
    }
}
