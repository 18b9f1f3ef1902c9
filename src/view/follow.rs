//! A conversation as it was said, and the list of those there are.
//!
//! ```text
//! A ▶     8  hi
//! B ◀    10  hello
//! ```
//!
//! Who says it is there in letters and arrows, not in colour alone.

use super::paint::{Out, Role};
use super::value;
use super::words::{self, End};
use crate::layers::{data, frame, tcp, tls, udp};
use crate::packet::{Event, FieldDef};
use crate::text::Glossary;

/// So many conversations are listed; further ones are counted.
const MAX_LISTED: usize = 1 << 15;
/// The bytes of a row in hexadecimal.
const ROW: usize = 16;
/// The longest label that is kept for a remark.
const LABEL: usize = 60;
/// So many columns of a line are shown: more than any screen has, and a line may be endless.
const LINE: usize = 4096;

/// Which end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one that asked to connect, or was seen first.
    A,
    /// The other.
    B,
}

impl Side {
    fn letter(self) -> u8 {
        match self {
            Self::A => b'A',
            Self::B => b'B',
        }
    }

    fn role(self) -> Role {
        match self {
            Self::A => Role::Ip,
            Self::B => Role::App,
        }
    }
}

/// A remark about a whole conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Its beginning is not in the capture.
    Middle,
}

/// What is said of several packets at once.
#[derive(Debug, Default)]
struct Pending {
    from: Option<Side>,
    /// What it is.
    label: String,
    /// The first packet of them, and how many there are.
    packet: u64,
    packets: u64,
    bytes: u64,
}

/// Writes a conversation as it is said.
#[derive(Debug)]
pub struct Talk<'g> {
    glossary: &'g Glossary,
    hex: bool,
    /// Who is in the middle of a line.
    line: Option<Side>,
    /// The packet whose number was written last, and whose it was.
    packet: Option<(Side, u64)>,
    /// The beginning of a character whose rest has not come, of each end.
    begun: [Vec<u8>; 2],
    /// How many bytes each end has said, and how many are missing of it.
    said: [u64; 2],
    missing: [u64; 2],
    opened: u64,
    sealed: u64,
    pending: Pending,
}

impl<'g> Talk<'g> {
    /// Nothing has been said yet.
    #[must_use]
    pub fn new(glossary: &'g Glossary, hex: bool) -> Self {
        Self {
            glossary,
            hex,
            line: None,
            packet: None,
            begun: Default::default(),
            said: [0; 2],
            missing: [0; 2],
            opened: 0,
            sealed: 0,
            pending: Pending::default(),
        }
    }

    /// Who speaks with whom.
    pub fn begin(&self, out: &mut Out, (a, b): (End, End)) {
        for (side, end) in [(Side::A, a), (Side::B, b)] {
            let key = match side {
                Side::A => "say.follow.a",
                Side::B => "say.follow.b",
            };
            self.mark(out, side);
            out.sentence(self.glossary.say(key), |out, _| {
                value::address(out, end.0, Some(end.1));
            });
            out.newline();
        }
        out.newline();
    }

    /// Something about the whole of it.
    pub fn remark(&mut self, out: &mut Out, mark: Mark) {
        let key = match mark {
            Mark::Middle => "say.follow.middle",
        };
        self.aside(out, None, key, &|_, _| ());
    }

    /// Bytes of one end are not in the capture.
    pub fn missing(&mut self, out: &mut Out, from: Side, bytes: u64) {
        self.settle(out);
        if let Some(sum) = self.missing.get_mut(from as usize) {
            *sum += bytes;
        }
        if let Some(begun) = self.begun.get_mut(from as usize) {
            begun.clear();
        }
        let key = if bytes == 1 {
            "say.follow.missing.one"
        } else {
            "say.follow.missing"
        };
        self.aside(out, Some((from, None)), key, &|out, _| out.number(bytes));
    }

    /// A packet with TLS records in which nothing is said that could be read.
    pub fn records(&mut self, out: &mut Out, from: Side, event: &Event<'_>) {
        let sealed = event.notes.iter().filter(|note| {
            core::ptr::eq(note.def, &raw const tls::OPENED) && note.value != tls::opened::VERIFIED
        });
        self.sealed += sealed.count() as u64;
        let label = out.aside(|out| words::label(out, self.glossary, event, LABEL));
        let bytes = words::fact(event, &tcp::LEN).unwrap_or(0);
        self.later(out, from, &label, event.frame.number, bytes);
    }

    /// One end says something, in this packet.
    pub fn said(
        &mut self,
        out: &mut Out,
        from: Side,
        event: &Event<'_>,
        bytes: &[u8],
        opened: bool,
    ) {
        if bytes.is_empty() {
            return;
        }
        self.opened += u64::from(opened);
        let before = self.said.get(from as usize).copied().unwrap_or(0);
        if let Some(said) = self.said.get_mut(from as usize) {
            *said += bytes.len() as u64;
        }
        let packet = event.frame.number;
        if self.hex {
            self.settle(out);
            return self.rows(out, from, packet, before, bytes);
        }
        let begun = self.begun.get_mut(from as usize).map(core::mem::take);
        let mut all = begun.unwrap_or_default();
        let whole = if all.is_empty() {
            bytes
        } else {
            all.extend_from_slice(bytes);
            &all
        };
        let cut = whole.len() - begun_character(whole);
        let (now, later) = whole.split_at(cut);
        if !later.is_empty()
            && let Some(begun) = self.begun.get_mut(from as usize)
        {
            begun.extend_from_slice(later);
        }
        let mut rest = now;
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let (line, after) = rest.split_at(end);
            if !is_text(line) {
                let label = self.glossary.say("say.follow.binary").to_owned();
                self.later(out, from, &label, packet, rest.len() as u64);
                return;
            }
            self.settle(out);
            self.text(out, from, packet, line);
            rest = after;
        }
    }

    /// A line, or a part of one.
    fn text(&mut self, out: &mut Out, from: Side, packet: u64, line: &[u8]) {
        if self.line != Some(from) {
            self.end_line(out);
            self.start(out, from, Some(packet));
            self.line = Some(from);
        }
        let (text, ends) = match line.strip_suffix(b"\n") {
            Some(text) => (text.strip_suffix(b"\r").unwrap_or(text), true),
            None => (line, false),
        };
        for part in text.split_inclusive(|byte| matches!(byte, b'"' | b'\\' | b'\t' | b'\r')) {
            // Here these stand for themselves: nothing else is escaped with them.
            let (plain, last) = match part.split_last() {
                Some((last @ (b'"' | b'\\' | b'\t'), plain)) => (plain, Some(*last)),
                Some((b'\r', plain)) => (plain, None),
                _ => (part, None),
            };
            out.wire(plain, LINE);
            match last {
                Some(b'\t') => out.spaces(4),
                Some(byte) => out.byte(byte),
                None => {}
            }
        }
        if ends {
            self.end_line(out);
        }
    }

    fn end_line(&mut self, out: &mut Out) {
        if let Some(from) = self.line.take() {
            out.end(from.role());
            out.newline();
        }
    }

    /// What stands before a line: who, and the packet it came in, where that is another than in the line before.
    fn start(&mut self, out: &mut Out, from: Side, packet: Option<u64>) {
        let fresh = packet.filter(|packet| self.packet != Some((from, *packet)));
        if let Some(packet) = fresh {
            self.packet = Some((from, packet));
        }
        if out.look().plain {
            match fresh {
                Some(packet) => {
                    out.sentence(
                        self.glossary.say("say.follow.plain"),
                        |out, what| match what {
                            "packet" => out.number(packet),
                            _ => out.byte(from.letter()),
                        },
                    )
                }
                None => out.byte(from.letter()),
            }
            out.ascii(b": ");
        } else {
            self.mark(out, from);
            out.start(Role::Dim);
            match fresh {
                Some(packet) => {
                    out.spaces(5_usize.saturating_sub(packet.max(1).ilog10() as usize));
                    out.number(packet);
                }
                None => out.spaces(6),
            }
            out.end(Role::Dim);
            out.ascii(b"  ");
        }
        out.start(from.role());
    }

    fn mark(&self, out: &mut Out, from: Side) {
        out.start(from.role());
        out.byte(from.letter());
        if !out.look().plain {
            let glyphs = out.glyphs();
            out.byte(b' ');
            out.glyph(match from {
                Side::A => glyphs.arrow_right,
                Side::B => glyphs.arrow_left,
            });
        }
        out.end(from.role());
        out.byte(b' ');
    }

    /// The bytes themselves, sixteen a row, with their place in what this end has said.
    fn rows(&mut self, out: &mut Out, from: Side, packet: u64, before: u64, bytes: &[u8]) {
        let mut at = before;
        for row in bytes.chunks(ROW) {
            self.start(out, from, Some(packet));
            out.hex(at, if at > 0xffff_ffff { 12 } else { 8 });
            for (index, byte) in row.iter().enumerate() {
                out.spaces(if index == ROW / 2 { 2 } else { 1 });
                out.hex(u64::from(*byte), 2);
            }
            out.spaces((ROW - row.len()) * 3 + usize::from(row.len() <= ROW / 2) + 2);
            for byte in row {
                out.byte(match byte {
                    b' '..=b'~' => *byte,
                    _ => b'.',
                });
            }
            out.end(from.role());
            out.newline();
            at += row.len() as u64;
        }
    }

    /// Says of a packet what it is, together with those after it that are the same.
    fn later(&mut self, out: &mut Out, from: Side, label: &str, packet: u64, bytes: u64) {
        if self.pending.from != Some(from) || self.pending.label != label {
            self.settle(out);
            self.pending.from = Some(from);
            label.clone_into(&mut self.pending.label);
            self.pending.packet = packet;
        }
        self.pending.packets += 1;
        self.pending.bytes += bytes;
    }

    /// Says what was kept for later.
    fn settle(&mut self, out: &mut Out) {
        let pending = core::mem::take(&mut self.pending);
        let Some(from) = pending.from else {
            return;
        };
        let key = if pending.packets == 1 {
            "say.follow.packet"
        } else {
            "say.follow.packets"
        };
        self.aside(
            out,
            Some((from, Some(pending.packet))),
            key,
            &|out, what| match what {
                "what" => out.text(&pending.label),
                "packets" => out.number(pending.packets),
                _ => out.number(pending.bytes),
            },
        );
    }

    /// A line that nobody said.
    fn aside(
        &mut self,
        out: &mut Out,
        from: Option<(Side, Option<u64>)>,
        key: &str,
        value: &dyn Fn(&mut Out, &str),
    ) {
        self.end_line(out);
        if let Some((from, packet)) = from {
            self.start(out, from, packet);
            out.end(from.role());
        }
        out.start(Role::Computed);
        if !out.look().plain {
            out.glyph(out.glyphs().dot);
            out.byte(b' ');
        }
        let mark = out.mark();
        out.sentence(self.glossary.say(key), value);
        out.wrap_since(mark, |out| out.spaces(if from.is_some() { 14 } else { 2 }));
        out.end(Role::Computed);
        out.newline();
    }

    /// The sum: what was said, and what is missing of it.
    pub fn end(&mut self, out: &mut Out, packets: u64, waits: [Option<(u32, usize)>; 2]) {
        self.settle(out);
        self.end_line(out);
        for (side, waits) in [Side::A, Side::B].into_iter().zip(waits) {
            if let Some((hole, held)) = waits {
                self.aside(
                    out,
                    Some((side, None)),
                    "say.follow.waits",
                    &|out, what| match what {
                        "missing" => out.number(hole.into()),
                        _ => out.number(held as u64),
                    },
                );
            }
        }
        out.newline();
        let [a, b] = self.said;
        let [a_missing, b_missing] = self.missing;
        let mut lines = vec!["say.follow.sum"];
        if a_missing + b_missing > 0 {
            lines.push("say.follow.sum.missing");
        }
        match (self.opened, self.sealed) {
            (_, 0) => {}
            (0, _) => lines.push("say.follow.sum.sealed"),
            _ => lines.push("say.follow.sum.partly"),
        }
        for key in lines {
            let mark = out.mark();
            out.sentence(self.glossary.say(key), |out, what| {
                out.number(match what {
                    "packets" => packets,
                    "a" => a,
                    "b" => b,
                    "a_missing" => a_missing,
                    "b_missing" => b_missing,
                    _ => self.sealed,
                });
            });
            out.wrap_since(mark, |_| ());
            out.newline();
        }
    }
}

/// How many bytes at the end are the beginning of a character (RFC 3629, section 3).
fn begun_character(bytes: &[u8]) -> usize {
    match core::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => bytes.len() - error.valid_up_to(),
        _ => 0,
    }
}

/// Whether a line can be shown as text.
fn is_text(line: &[u8]) -> bool {
    let control =
        |byte: &u8| (*byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r')) || *byte == 0x7f;
    !line.iter().any(control) && core::str::from_utf8(line).is_ok()
}

/// The conversations of a file.
#[derive(Debug, Default)]
pub struct Conversations {
    tcp: Listed,
    udp: Listed,
}

/// Those over one transport.
#[derive(Debug, Default)]
struct Listed {
    rows: Vec<Row>,
    /// How many there are.
    count: u64,
}

/// One conversation in the list.
#[derive(Debug)]
struct Row {
    a: End,
    b: End,
    packets: u64,
    bytes: u64,
    /// The topmost layers that were seen, from below: TLS and what runs on it.
    what: [Option<&'static FieldDef>; 2],
    opened: bool,
    sealed: bool,
}

impl Conversations {
    /// Takes up a packet.
    pub fn packet(&mut self, event: &Event<'_>) {
        if let Some(number) = words::fact(event, &tcp::STREAM) {
            self.tcp.packet(number, event);
        } else if let Some(number) = words::fact(event, &udp::STREAM) {
            self.udp.packet(number, event);
        }
    }

    /// Writes the list.
    pub fn print(&self, out: &mut Out, glossary: &Glossary, file: &str) {
        let mut any = false;
        for (key, listed) in [
            ("say.follow.list.tcp", &self.tcp),
            ("say.follow.list.udp", &self.udp),
        ] {
            if listed.count == 0 {
                continue;
            }
            if any {
                out.newline();
            }
            any = true;
            listed.print(out, glossary, key);
        }
        if !any {
            out.sentence(glossary.say("say.follow.list.none"), |out, _| {
                out.wire(file.as_bytes(), 200);
            });
            out.newline();
        }
    }
}

impl Listed {
    fn packet(&mut self, number: u64, event: &Event<'_>) {
        self.count = self.count.max(number + 1);
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        if at >= self.rows.len() {
            let Some((from, to)) = words::end_points(event) else {
                return;
            };
            if at != self.rows.len() || at >= MAX_LISTED {
                return;
            }
            let flags = words::uint(event, &tcp::FLAGS).unwrap_or(0);
            // SYN and ACK: the one that answers is B.
            let (a, b) = if flags & 0x12 == 0x12 {
                (to, from)
            } else {
                (from, to)
            };
            self.rows.push(Row {
                a,
                b,
                packets: 0,
                bytes: 0,
                what: [None; 2],
                opened: false,
                sealed: false,
            });
        }
        if let Some(row) = self.rows.get_mut(at) {
            row.packet(event);
        }
    }

    fn print(&self, out: &mut Out, glossary: &Glossary, key: &str) {
        let ends: Vec<String> = self
            .rows
            .iter()
            .map(|row| {
                out.aside(|out| {
                    value::address(out, row.a.0, Some(row.a.1));
                    out.byte(b' ');
                    out.glyph(out.glyphs().right);
                    out.byte(b' ');
                    value::address(out, row.b.0, Some(row.b.1));
                })
            })
            .collect();
        let wide = ends.iter().map(|ends| out.look().text_width(ends)).max();
        let wide = wide.unwrap_or(0).min(100);
        out.start(Role::Heading);
        out.text(glossary.say(key));
        out.end(Role::Heading);
        out.newline();
        for (number, (row, ends)) in self.rows.iter().zip(&ends).enumerate() {
            if out.look().plain {
                out.sentence(
                    glossary.say("say.follow.list.plain"),
                    |out, what| match what {
                        "number" => out.number(number as u64),
                        "ends" => out.text(ends),
                        "packets" => out.number(row.packets),
                        "bytes" => out.number(row.bytes),
                        _ => row.what(out, glossary),
                    },
                );
                out.newline();
                continue;
            }
            right(out, number as u64, 6);
            out.ascii(b"  ");
            out.text(ends);
            out.to_column(8 + wide);
            right(out, row.packets, 8);
            right(out, row.bytes, 12);
            out.ascii(b"  ");
            row.what(out, glossary);
            out.newline();
        }
        if self.count > self.rows.len() as u64 {
            out.sentence(glossary.say("say.follow.list.more"), |out, _| {
                out.number(self.count - self.rows.len() as u64);
            });
            out.newline();
        }
    }
}

/// A number, set flush right in so many columns.
fn right(out: &mut Out, n: u64, columns: usize) {
    out.spaces(columns.saturating_sub(1 + n.max(1).ilog10() as usize));
    out.number(n);
}

impl Row {
    fn packet(&mut self, event: &Event<'_>) {
        self.packets += 1;
        self.bytes += u64::from(event.frame.wire_len);
        for note in event.notes {
            if core::ptr::eq(note.def, &raw const tls::OPENED) {
                let opened = note.value == tls::opened::VERIFIED;
                self.opened |= opened;
                self.sealed |= !opened;
            }
        }
        let is = |def, one| core::ptr::eq(def, one);
        let above = event.layers.iter().skip_while(|layer| {
            !is(layer.def, &raw const tcp::TCP) && !is(layer.def, &raw const udp::UDP)
        });
        for layer in above.skip(1) {
            let [first, second] = &mut self.what;
            if is(layer.def, &raw const data::DATA) || is(layer.def, &raw const frame::FRAME) {
                continue;
            }
            match first {
                None => *first = Some(layer.def),
                Some(known) if is(layer.def, *known) => {}
                // A conversation that turns to TLS.
                Some(known) if is(layer.def, &raw const tls::TLS) => {
                    *second = Some(layer.def);
                    let _ = known;
                }
                Some(_) => *second = Some(layer.def),
            }
        }
    }

    fn what(&self, out: &mut Out, glossary: &Glossary) {
        let mut any = false;
        for def in self.what.iter().flatten() {
            if any {
                out.ascii(b", ");
            }
            any = true;
            out.start(Role::of_layer(def.key));
            out.text(def.key);
            out.end(Role::of_layer(def.key));
        }
        let key = match (self.opened, self.sealed) {
            (false, false) => return,
            (true, false) => "say.follow.list.opened",
            (false, true) => "say.follow.list.sealed",
            (true, true) => "say.follow.list.partly",
        };
        out.ascii(b" (");
        out.text(glossary.say(key));
        out.byte(b')');
    }
}
