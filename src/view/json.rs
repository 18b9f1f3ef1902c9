//! `-T json`: one object a line for each packet. The form is described in `docs/json.md`.

use super::fields::{calendar, clock, day, decimal, digits, ether, hex, ipv4, ipv6, oid, seconds};
use crate::filter::key::{self, Room};
use crate::packet::{BufId, BufKind, Event, Fact, Field, Kind, Layer, NO_PARENT, Note, Value, Why};
use crate::text::Glossary;
use crate::view::memo::{Change, Memo, What};
use crate::view::paint::{Look, Out, Wish, hex_digit, plain_len};
use crate::view::value::Words;

/// Writes packets as JSON.
#[derive(Debug)]
pub struct Json<'g> {
    /// The words for people, if they are wanted.
    words: Option<Spoken<'g>>,
    /// The groups that are open while a layer is written.
    open: Vec<u32>,
    memo: Memo<Written>,
    /// The second that was written last, and how.
    second: (u64, Vec<u8>),
}

/// Where a part of a line is, from the beginning of its layers: from `start` on where it stands, and from `value` to `end` its
/// value. What follows up to the next part is the same for all packets of the shape.
#[derive(Debug)]
struct Written {
    start: usize,
    value: usize,
    end: usize,
    /// Where the digits begin that end there, if the value is nothing but a number that is written as such.
    number: Option<usize>,
}

/// What puts a value into words.
#[derive(Debug)]
struct Spoken<'g> {
    glossary: &'g Glossary,
    words: Words<'g>,
    out: Out,
}

/// What stands before a field's value.
const VALUE: &[u8] = b",\"value\":";

/// So many columns a value in words takes at most.
const ROOM: usize = 1000;

impl<'g> Json<'g> {
    /// With a glossary, each field and note says its name and its value in words, too.
    #[must_use]
    pub fn new(glossary: Option<&'g Glossary>) -> Self {
        Self {
            words: glossary.map(|glossary| Spoken {
                glossary,
                words: Words::new(glossary),
                out: Out::new(Look::new(Wish::default(), false, None)),
            }),
            open: Vec::new(),
            memo: Memo::default(),
            second: (u64::MAX, Vec::new()),
        }
    }

    /// One packet's line.
    pub fn packet(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"frame\":{\"number\":");
        decimal(out, event.frame.number);
        out.extend_from_slice(b",\"time\":\"");
        self.time(out, event.frame.time.0);
        out.extend_from_slice(b"\",\"relative\":");
        let since = i128::from(event.frame.time.0) - i128::from(event.first.0);
        seconds(out, since);
        out.extend_from_slice(b",\"length\":");
        decimal(out, event.frame.wire_len.into());
        out.extend_from_slice(b",\"captured\":");
        decimal(out, event.frame.data.len() as u64);
        out.extend_from_slice(b",\"link\":");
        decimal(out, event.frame.link.0.into());
        out.extend_from_slice(b",\"protocols\":");
        let mut room: Room = [0; 256];
        string(out, key::protocols(event, &mut room));
        out.extend_from_slice(b"},\"buffers\":[");
        for id in 0..event.buffer_count() {
            if id > 0 {
                out.push(b',');
            }
            buffer(event, BufId(id as u16), out);
        }
        out.extend_from_slice(b"],\"layers\":[");
        if !self.again(event, out) {
            let begin = out.len();
            self.memo.begin(event);
            for (index, layer) in event.layers.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                self.layer(event, index, layer, begin, out);
            }
            self.memo.keep(event, out.get(begin..).unwrap_or(&[]));
        }
        out.extend_from_slice(b"]}\n");
    }

    /// The layers of a packet like one that was written before. False, and nothing written, if there was none.
    fn again(&mut self, event: &Event<'_>, out: &mut Vec<u8>) -> bool {
        let Some(mut template) = self.memo.take(event) else {
            return false;
        };
        let (begin, mut copied) = (out.len(), 0);
        let known = template.changes(event, |change| {
            let Change {
                what,
                row,
                diff,
                text,
            } = change;
            let place = diff.moved || diff.sized;
            if let (false, Some(number)) = (place, row.number)
                && let Some(n) = number_of(event, what)
            {
                // A number in place of another: where both have as many digits, nothing else changes.
                let mut digits = itoa::Buffer::new();
                let digits = digits.format(n).as_bytes();
                if let Some(was) = text.get_mut(number..row.end)
                    && was.len() == digits.len()
                {
                    was.copy_from_slice(digits);
                    return true;
                }
                out.extend_from_slice(text.get(copied..number).unwrap_or(&[]));
                out.extend_from_slice(digits);
            } else {
                let from = if place { row.start } else { row.value };
                out.extend_from_slice(text.get(copied..from).unwrap_or(&[]));
                self.part(event, what, place, out);
            }
            copied = row.end;
            false
        });
        out.extend_from_slice(template.text_from(copied));
        self.memo.give_back(template);
        if !known {
            out.truncate(begin);
        }
        known
    }

    /// When a packet was seen: mostly in the same second as the one before it.
    fn time(&mut self, out: &mut Vec<u8>, nanos: u64) {
        let second = nanos / 1_000_000_000;
        if self.second.0 != second {
            self.second.0 = second;
            self.second.1.clear();
            moment(&mut self.second.1, (second * 1_000_000_000).into());
            // Without its decimals and its Z.
            self.second
                .1
                .truncate(self.second.1.len().saturating_sub(10));
        }
        out.extend_from_slice(&self.second.1);
        digits(out, nanos % 1_000_000_000, 9);
        out.push(b'Z');
    }

    /// One part of the layers: its value, and before it, if that is wanted, its place.
    fn part(&mut self, event: &Event<'_>, what: What, place: bool, out: &mut Vec<u8>) {
        match what {
            What::Layer(index) => {
                if let Some(layer) = event.layers.get(index as usize) {
                    layer_place(out, layer);
                }
            }
            What::Field(index) => {
                if let Some(field) = event.fields.get(index as usize) {
                    if place {
                        field_place(out, field);
                    }
                    self.field_value(event, field, out);
                }
            }
            What::Note(index) => {
                if let Some(note) = event.notes.get(index as usize) {
                    self.note_value(note, out);
                }
            }
            What::Buffer(_) | What::Stop(_) => {}
        }
    }

    fn layer(
        &mut self,
        event: &Event<'_>,
        index: usize,
        layer: &Layer,
        begin: usize,
        out: &mut Vec<u8>,
    ) {
        let spoken = self.words.is_some();
        // A field's value has its name before it.
        let written = |what, start: usize, value: usize, end: usize| Written {
            start: start - begin,
            value: value - begin,
            end: end - begin,
            number: number_of(event, what).filter(|_| !spoken).map(|_| {
                let name = if matches!(what, What::Field(_)) {
                    VALUE.len()
                } else {
                    0
                };
                value - begin + name
            }),
        };
        let start = out.len();
        layer_place(out, layer);
        let end = out.len();
        let what = What::Layer(index as u32);
        self.memo.part(event, what, written(what, start, end, end));
        out.extend_from_slice(b",\"fields\":[");
        self.open.clear();
        let mut first = true;
        for (at, field) in (layer.fields.start..).zip(event.fields_of(layer)) {
            while let Some(group) = self.open.last()
                && *group != field.parent
            {
                out.extend_from_slice(b"]}");
                self.open.pop();
                first = false;
            }
            if !first {
                out.push(b',');
            }
            let start = out.len();
            field_place(out, field);
            let value = out.len();
            self.field_value(event, field, out);
            let end = out.len();
            let what = What::Field(at);
            self.memo
                .part(event, what, written(what, start, value, end));
            first = !event.is_leaf(at as usize);
            if first {
                out.extend_from_slice(b",\"fields\":[");
                self.open.push(at);
            } else {
                out.push(b'}');
            }
            debug_assert!(field.parent == NO_PARENT || field.parent < at);
        }
        for _ in self.open.drain(..) {
            out.extend_from_slice(b"]}");
        }
        out.extend_from_slice(b"],\"notes\":[");
        let mut first = true;
        for (at, note) in (0..).zip(event.notes) {
            if usize::from(note.layer) != index {
                continue;
            }
            if !core::mem::take(&mut first) {
                out.push(b',');
            }
            let start = out.len();
            out.extend_from_slice(b"{\"key\":\"");
            out.extend_from_slice(note.def.key.as_bytes());
            out.extend_from_slice(b"\",\"value\":");
            let value = out.len();
            self.note_value(note, out);
            let end = out.len();
            let what = What::Note(at);
            self.memo
                .part(event, what, written(what, start, value, end));
            out.push(b'}');
        }
        out.extend_from_slice(b"],\"stops\":[");
        let stops = event.stops.iter();
        for (i, stop) in stops.filter(|s| usize::from(s.layer) == index).enumerate() {
            if i > 0 {
                out.push(b',');
            }
            out.extend_from_slice(b"{\"key\":\"");
            out.extend_from_slice(stop.def.key.as_bytes());
            out.extend_from_slice(b"\",\"buffer\":");
            decimal(out, stop.buf.0.into());
            for (name, n) in [
                (&b",\"offset\":"[..], stop.offset),
                (b",\"need\":", stop.need),
                (b",\"have\":", stop.have),
            ] {
                out.extend_from_slice(name);
                decimal(out, n.into());
            }
            out.extend_from_slice(b",\"why\":\"");
            out.extend_from_slice(why(stop.why).as_bytes());
            out.extend_from_slice(b"\"}");
        }
        out.extend_from_slice(b"]}");
    }

    /// What a field has behind its place, without its closing brace: a group's fields follow.
    fn field_value(&mut self, event: &Event<'_>, field: &Field, out: &mut Vec<u8>) {
        let value = field.value(event.bytes(field.buf));
        if value != Value::None {
            out.extend_from_slice(VALUE);
            write(out, field.def.kind, value);
        }
        if let Value::Text(text) = value
            && str::from_utf8(text).is_err()
        {
            out.extend_from_slice(b",\"bytes\":\"");
            hex(out, text);
            out.push(b'"');
        }
        if let Some(spoken) = &mut self.words {
            let entry = spoken.glossary.of(field.def);
            spoken.name(&entry.name, out);
            if value != Value::None {
                spoken.out.clear();
                spoken
                    .words
                    .field(&mut spoken.out, entry, field, value, ROOM);
                spoken.text(out);
            }
        }
    }

    fn note_value(&mut self, note: &Note, out: &mut Vec<u8>) {
        match (&note.value, note.def.kind) {
            (Fact::Present, _) => out.extend_from_slice(b"true"),
            (Fact::Uint(n), Kind::Bool) => write(out, Kind::Bool, Value::Bool(*n != 0)),
            (Fact::Uint(n), kind) => write(out, kind, Value::Uint(*n)),
            (Fact::Bytes(bytes, len), kind) => {
                let bytes = bytes.get(..usize::from(*len)).unwrap_or(bytes);
                let value = match kind {
                    Kind::Ipv4 => bytes.try_into().map(Value::Ipv4),
                    Kind::Ipv6 => bytes.try_into().map(Value::Ipv6),
                    Kind::Ether => bytes.try_into().map(Value::Ether),
                    Kind::Text => Ok(Value::Text(bytes)),
                    _ => Ok(Value::Bytes(bytes)),
                };
                write(out, kind, value.unwrap_or(Value::Bytes(bytes)));
            }
        }
        if let Some(spoken) = &mut self.words {
            let entry = spoken.glossary.of(note.def);
            spoken.name(&entry.name, out);
            spoken.out.clear();
            spoken.words.note(&mut spoken.out, entry, note, ROOM);
            spoken.text(out);
        }
    }
}

impl Spoken<'_> {
    fn name(&self, name: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"name\":");
        string(out, name.as_bytes());
    }

    /// What was just put into words, if it was anything.
    fn text(&self, out: &mut Vec<u8>) {
        if !self.out.bytes().is_empty() {
            out.extend_from_slice(b",\"text\":");
            string(out, self.out.bytes());
        }
    }
}

/// The number of a field or a note, if it is written in decimal.
#[inline]
fn number_of(event: &Event<'_>, what: What) -> Option<u64> {
    let (kind, n) = match what {
        What::Field(index) => {
            let field = event.fields.get(index as usize)?;
            match field.value(event.bytes(field.buf)) {
                Value::Uint(n) => (field.def.kind, n),
                _ => return None,
            }
        }
        What::Note(index) => {
            let note = event.notes.get(index as usize)?;
            (note.def.kind, note.value.uint()?)
        }
        _ => return None,
    };
    (n <= EXACT && !matches!(kind, Kind::Nanos | Kind::Bool)).then_some(n)
}

fn layer_place(out: &mut Vec<u8>, layer: &Layer) {
    place(out, layer.def.key, layer.buf, layer.bytes.start);
    let len = layer.bytes.end.saturating_sub(layer.bytes.start);
    decimal(out, len.into());
}

fn field_place(out: &mut Vec<u8>, field: &Field) {
    let bytes = field.bytes();
    place(out, field.def.key, field.buf, bytes.start as u32);
    decimal(out, bytes.len() as u64);
    if !field.start.is_multiple_of(8) || !field.bits.is_multiple_of(8) {
        out.extend_from_slice(b",\"bit\":");
        decimal(out, (field.start % 8).into());
        out.extend_from_slice(b",\"bits\":");
        decimal(out, field.bits.into());
    }
}

/// The beginning of a layer or a field, up to its length.
fn place(out: &mut Vec<u8>, key: &str, buf: BufId, start: u32) {
    out.extend_from_slice(b"{\"key\":\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\",\"buffer\":");
    decimal(out, buf.0.into());
    out.extend_from_slice(b",\"start\":");
    decimal(out, start.into());
    out.extend_from_slice(b",\"length\":");
}

fn buffer(event: &Event<'_>, id: BufId, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"kind\":\"");
    out.extend_from_slice(match event.buffer_kind(id) {
        BufKind::Frame => b"frame",
        BufKind::Stream => b"stream",
        BufKind::Plain => b"plain",
        BufKind::Message => b"message",
        BufKind::Packet => b"packet",
    });
    out.extend_from_slice(b"\",\"length\":");
    decimal(out, event.bytes(id).len() as u64);
    let pieces = event.pieces(id);
    if !pieces.is_empty() {
        out.extend_from_slice(b",\"pieces\":[");
        for (i, piece) in pieces.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            out.extend_from_slice(b"{\"frame\":");
            decimal(out, piece.frame);
            for (name, n) in [
                (&b",\"at\":"[..], piece.at),
                (b",\"into\":", piece.into),
                (b",\"length\":", piece.len),
            ] {
                out.extend_from_slice(name);
                decimal(out, n.into());
            }
            out.push(b'}');
        }
        out.push(b']');
    }
    out.push(b'}');
}

/// Numbers beyond this are written as text: many readers of JSON keep numbers as floating point.
const EXACT: u64 = 1 << 53;

fn write(out: &mut Vec<u8>, kind: Kind, value: Value<'_>) {
    match value {
        Value::None => out.extend_from_slice(b"null"),
        Value::Bool(set) => out.extend_from_slice(if set { b"true" } else { b"false" }),
        Value::Uint(n) if kind == Kind::Nanos => seconds(out, n.into()),
        Value::Uint(n) if n <= EXACT => decimal(out, n),
        Value::Text(text) => string(out, text),
        Value::Name(name) => {
            let mut room: Room = [0; 256];
            string(out, key::dotted(name, &mut room));
        }
        value => {
            out.push(b'"');
            match value {
                Value::Uint(n) => decimal(out, n),
                Value::Ipv4(address) => ipv4(out, address),
                Value::Ipv6(address) => ipv6(out, address),
                Value::Ether(address) => ether(out, address),
                Value::Oid(content) => oid(out, content),
                Value::Bytes(bytes) => hex(out, bytes),
                Value::Time(time) => match key::asn1_time(time) {
                    Some(nanos) => moment(out, nanos),
                    None => escaped(out, time),
                },
                _ => {}
            }
            out.push(b'"');
        }
    }
}

/// `2026-01-01T12:00:00.000000000Z` (RFC 3339).
fn moment(out: &mut Vec<u8>, nanos: i128) {
    let Some((date, rest)) = calendar(nanos) else {
        return seconds(out, nanos);
    };
    day(out, date);
    out.push(b'T');
    clock(out, rest);
    out.push(b'.');
    digits(out, rest % 1_000_000_000, 9);
    out.push(b'Z');
}

/// Text in quotation marks (RFC 8259, section 7). Bytes that are not UTF-8 become U+FFFD.
fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    escaped(out, text);
    out.push(b'"');
}

fn escaped(out: &mut Vec<u8>, text: &[u8]) {
    // Most of it is plain ASCII.
    if plain_len(text) == text.len() {
        return out.extend_from_slice(text);
    }
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\t' => out.extend_from_slice(b"\\t"),
                // A terminal obeys these, and JavaScript ends a line at the last two.
                c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                    let n = c as u32;
                    out.extend_from_slice(b"\\u");
                    for shift in [12, 8, 4, 0] {
                        out.push(hex_digit((n >> shift) as u8 & 15));
                    }
                }
                c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

fn why(why: Why) -> &'static str {
    why.key().strip_prefix("stop.").unwrap_or(why.key())
}

/// The frame's own keys stand in `frame`; this keeps the two lists together.
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use crate::layers::frame;
    use crate::view::samples;

    /// Whatever was written before, a packet's line is as if it were the first.
    #[test]
    fn what_is_remembered_changes_nothing() {
        let glossary = Glossary::english().unwrap();
        for glossary in [None, Some(&glossary)] {
            let (mut json, mut again) = (Json::new(glossary), 0);
            let number = samples::chat("so many w\u{f6}rds, ", |event| {
                again += u32::from(json.again(event, &mut Vec::new()));
                let (mut one, mut other) = (Vec::new(), Vec::new());
                json.packet(event, &mut one);
                Json::new(glossary).packet(event, &mut other);
                assert_eq!(String::from_utf8(one), String::from_utf8(other));
            });
            assert!(again > 50, "{again} of {number} were of a known shape");
        }
    }

    #[test]
    fn what_is_known_of_a_frame_has_its_place() {
        let keys: Vec<&str> = frame::FIELDS.iter().map(|def| def.key).collect();
        // number, length, captured, time (also as epoch), relative, protocols; the delta is a difference of two.
        assert_eq!(keys.len(), 9, "{keys:?}");
    }

    #[test]
    fn text_is_escaped() {
        let mut out = Vec::new();
        string(
            &mut out,
            b"a\"b\\c\n\x1b[2J \xff \xc3\xbc\xe2\x80\xa8\xc2\x9b",
        );
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "\"a\\\"b\\\\c\\n\\u001b[2J \u{fffd} ü\\u2028\\u009b\""
        );
    }

    #[test]
    fn numbers_that_floating_point_cannot_hold_are_text() {
        let written = |n, kind| {
            let mut out = Vec::new();
            write(&mut out, kind, Value::Uint(n));
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(1 << 53, Kind::Uint), "9007199254740992");
        assert_eq!(written((1 << 53) + 1, Kind::Uint), "\"9007199254740993\"");
        assert_eq!(written(1_500_000_001, Kind::Nanos), "1.500000001");
    }
}
