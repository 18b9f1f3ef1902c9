//! One packet in detail: `-v` each layer and each of its fields with value and meaning, `-vv` also why it exists and
//! where it is written.
//!
//! ```text
//! ━━ #4   0.060213 s   1.2.3.4:49152 → 5.6.7.8:8080   65 bytes ━━━━━━━━━━━━━━━━━
//!
//! I Internet Protocol, version 4 · ip · 20 bytes
//! │ Version                0100 .... 4             Which Internet Protocol this is.
//! └┬┘└─────────┬──────────┘└──────────┬───────────┘└──────────────┬──────────────┘
//! margin   name, indented     value (names and units with it)   meaning, or its rest below
//! ```

use std::collections::HashSet;
use std::hash::BuildHasherDefault;

mod again;
mod spoken;

use again::{Printed, named_address};

use super::cover::{Cover, taken_up};
use super::hex;
use super::memo::{Memo, What};
use super::paint::{Mark, Out, Role};
use super::value::{self, Words};
use super::words::{self, Deed, Hosts};
use crate::layers::{ipv4, ipv6, tcp, tls};
use crate::packet::{BufId, BufKind, Event, Fact, Field, FieldDef, Layer, Note, Stop, Time, Value};
use crate::text::{ByAddress, Entry, Glossary, NamedValue};

/// How much is printed of each field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// No fields: only what the packet does (and its bytes, if they are asked for).
    Bytes,
    /// Value and meaning.
    V,
    /// Also why it exists, its key and its source.
    Vv,
}

impl Depth {
    /// As deep as so many `-v` ask for.
    #[must_use]
    pub fn of(verbose: u8) -> Self {
        match verbose {
            0 => Self::Bytes,
            1 => Self::V,
            _ => Self::Vv,
        }
    }
}

/// Prints packets in detail.
#[derive(Debug)]
pub struct Detail<'g> {
    glossary: &'g Glossary,
    words: Words<'g>,
    depth: Depth,
    hex: Option<hex::Dump<'g>>,
    origin: Time,
    seen: Seen,
    gaps: Vec<core::ops::Range<usize>>,
    hosts: Option<Hosts>,
    memo: Memo<Printed<'g>>,
    cover: Cover,
}

/// What is printed in one row, beside its value.
#[derive(Debug, Clone, Copy)]
struct Row<'g> {
    def: &'static FieldDef,
    entry: &'g Entry,
    /// The colour of the margin.
    layer: Role,
    indent: usize,
    /// Computed, not read.
    computed: bool,
}

impl<'g> Detail<'g> {
    /// A printer of that depth, with a hex dump or without; times are shown from `origin` on.
    #[must_use]
    pub fn new(glossary: &'g Glossary, depth: Depth, hex: bool, origin: Time) -> Self {
        let words = Words::new(glossary);
        Self {
            glossary,
            words,
            depth,
            hex: hex.then(|| hex::Dump::new(glossary)),
            origin,
            seen: Seen::default(),
            gaps: Vec::new(),
            hosts: None,
            memo: Memo::default(),
            cover: Cover::default(),
        }
    }

    /// Also says in words what each packet does, with these names for the hosts.
    #[must_use]
    pub fn in_words(self, hosts: Hosts) -> Self {
        Self {
            hosts: Some(hosts),
            ..self
        }
    }

    /// The same, where the hosts have other names from now on.
    pub fn rename(&mut self, hosts: &Hosts) {
        self.hosts = Some(hosts.clone());
    }

    /// Prints one packet, with an empty line at its end.
    pub fn print(&mut self, out: &mut Out, event: &Event<'_>) {
        self.heading(out, event);
        if let Some(hosts) = &self.hosts {
            Deed::of(event).write(out, self.glossary, hosts, event);
            out.newline();
        }
        self.cover.look_at(event);
        if self.depth != Depth::Bytes {
            self.layers(out, event);
        }
        if let Some(hex) = &self.hex {
            hex.print(out, event, &mut self.cover);
        }
        out.newline();
    }

    fn layers(&mut self, out: &mut Out, event: &Event<'_>) {
        if !self.again(out, event) {
            self.first(out, event);
        }
        self.not_decoded(out, event);
    }

    /// One row of any kind. Gives where its value and its rest begin, if it has them.
    fn row(
        &mut self,
        out: &mut Out,
        event: &Event<'_>,
        what: What,
        role: &mut Role,
    ) -> Printed<'g> {
        match what {
            What::Layer(index) => {
                if let Some(layer) = event.layers.get(index as usize) {
                    *role = Role::of_layer(layer.def.key);
                    self.layer_heading(out, layer, *role);
                }
            }
            What::Buffer(id) => self.buffer(out, event, id, *role),
            What::Stop(index) => {
                if let Some(stop) = event.stops.get(index as usize) {
                    self.stop(out, event, stop, *role);
                }
            }
            What::Field(index) => {
                if let Some((field, row)) = event
                    .fields
                    .get(index as usize)
                    .zip(self.described(event, what, *role))
                {
                    return self.field(out, event, field, what, row);
                }
            }
            What::Note(index) => {
                if let Some((note, row)) = event
                    .notes
                    .get(index as usize)
                    .filter(|note| self.depth == Depth::Vv || !is_kernel(note.def))
                    .zip(self.described(event, what, *role))
                {
                    return self.note(out, note, row);
                }
            }
        }
        Printed::default()
    }

    /// What is printed around the value of a field or a note.
    fn described(&self, event: &Event<'_>, what: What, layer: Role) -> Option<Row<'g>> {
        let (def, indent, computed) = match what {
            What::Field(index) => {
                let field = event.fields.get(index as usize)?;
                (field.def, indent(event, field), false)
            }
            What::Note(index) => (event.notes.get(index as usize)?.def, 0, true),
            _ => return None,
        };
        Some(Row {
            def,
            entry: self.glossary.of(def),
            layer,
            indent,
            computed,
        })
    }

    fn heading(&self, out: &mut Out, event: &Event<'_>) {
        let frame = &event.frame;
        let from = end_of(event, &ipv4::SRC, "ipv6.src", &tcp::SRCPORT);
        let to = end_of(event, &ipv4::DST, "ipv6.dst", &tcp::DSTPORT);
        let time = frame.time.since(self.origin);
        let length = |out: &mut Out| {
            let (have, wire) = (frame.data.len(), frame.wire_len as usize);
            if have < wire {
                out.sentence(
                    self.glossary.say("say.detail.cut_off"),
                    |out, name| match name {
                        "have" => out.number(have as u64),
                        _ => self.words.count(out, wire),
                    },
                );
            } else {
                self.words.count(out, have);
            }
        };
        if out.look().plain {
            let template = self.glossary.say("say.detail.spoken.packet");
            let mark = out.mark();
            out.sentence(template, |out, name| match name {
                "number" => out.number(frame.number),
                "time" => out.seconds(time),
                "from" => value::endpoint(out, &from.0, from.1),
                "to" => value::endpoint(out, &to.0, to.1),
                _ => length(out),
            });
            out.fit_since(mark, 0);
            out.newline();
            return;
        }
        let heavy = out.glyphs().heavy;
        out.start(Role::Heading);
        out.fill_to(2, heavy);
        let mark = out.mark();
        out.ascii(b" #");
        out.number(frame.number);
        out.spaces(3);
        out.seconds(time);
        out.ascii(b" s   ");
        if from.0 != Value::None {
            value::endpoint(out, &from.0, from.1);
            out.byte(b' ');
            out.glyph(out.glyphs().right);
            out.byte(b' ');
            value::endpoint(out, &to.0, to.1);
            out.spaces(3);
        }
        length(out);
        out.byte(b' ');
        if out.column() > out.look().width {
            out.wrap_since(mark, |out| out.spaces(2));
        }
        out.fill_to(out.look().width, heavy);
        out.end(Role::Heading);
        out.newline();
    }

    fn layer_heading(&self, out: &mut Out, layer: &Layer, role: Role) {
        let entry = self.glossary.of(layer.def);
        let len = layer.bytes.len();
        if out.look().plain {
            let template = self.glossary.say("say.detail.spoken.layer");
            out.sentence(template, |out, name| match name {
                "name" => out.text(name_of(entry, layer.def)),
                "key" => out.text(layer.def.key),
                _ => self.words.count(out, len),
            });
            out.newline();
        } else {
            out.newline();
            out.start(role);
            out.start(Role::Heading);
            out.byte(role.letter());
            out.byte(b' ');
            let mark = out.mark();
            out.text(name_of(entry, layer.def));
            for part in 0..2 {
                out.byte(b' ');
                out.glyph(out.glyphs().dot);
                out.byte(b' ');
                match part {
                    0 => out.text(layer.def.key),
                    _ => self.words.count(out, len),
                }
            }
            if out.column() > out.look().width {
                out.wrap_since(mark, |out| out.spaces(2));
            }
            out.end(Role::Heading);
            out.newline();
        }
        if self.depth == Depth::Vv {
            self.paragraph(out, &entry.short, role, 2);
            self.why(out, entry, layer.def, role, 2);
        }
    }

    /// One field: its name, its value, its meaning.
    fn field(
        &mut self,
        out: &mut Out,
        event: &Event<'_>,
        field: &Field,
        what: What,
        row: Row<'g>,
    ) -> Printed<'g> {
        if out.look().plain {
            let value = field.value(event.bytes(field.buf));
            self.spoken_field(out, event, field, value, row);
            return Printed::default();
        }
        self.name(out, row);
        let (value, column) = (out.bytes().len(), out.column());
        let named = self.field_value(out, event, field, what, (row.layer, row.entry));
        let fresh = self.seen.first(row.def);
        Printed {
            value,
            column,
            ..self.rest(out, row, named, fresh)
        }
    }

    /// A field's value; if it is a leaf, with its bits among those of the group that it stands in.
    fn field_value(
        &self,
        out: &mut Out,
        event: &Event<'_>,
        field: &Field,
        what: What,
        (layer, entry): (Role, &'g Entry),
    ) -> Option<&'g NamedValue> {
        let buffer = event.bytes(field.buf);
        let value = field.value(buffer);
        let role = match value {
            Value::None | Value::Bool(false) => Role::Dim,
            _ => Role::Value,
        };
        if let What::Field(index) = what
            && event.is_leaf(index as usize)
            && value::picture(out, field, event.fields.get(field.parent as usize), buffer)
        {
            out.byte(b' ');
        }
        out.start(role);
        let mark = out.mark();
        let room = out.room();
        let named = self.words.field(out, entry, field, value, room);
        wrap_value(out, mark, layer, role);
        out.end(role);
        named
    }

    fn note(&mut self, out: &mut Out, note: &Note, row: Row<'g>) -> Printed<'g> {
        if out.look().plain {
            self.spoken_note(out, note, row);
            return Printed::default();
        }
        self.name(out, row);
        let (value, column) = (out.bytes().len(), out.column());
        let named = self.note_value(out, note, (row.layer, row.entry));
        let fresh = self.seen.first(row.def);
        Printed {
            value,
            column,
            ..self.rest(out, row, named, fresh)
        }
    }

    fn note_value(
        &self,
        out: &mut Out,
        note: &Note,
        (layer, entry): (Role, &'g Entry),
    ) -> Option<&'g NamedValue> {
        let verdict = verdict(note);
        let role = match verdict {
            Some(true) => Role::Good,
            Some(false) => Role::Bad,
            None => Role::Value,
        };
        out.start(role);
        let mark = out.mark();
        if let Some(good) = verdict {
            let glyphs = out.glyphs();
            out.glyph(if good { glyphs.good } else { glyphs.bad });
        }
        let room = out.room();
        let named = match (verdict, note.value) {
            (Some(_), Fact::Uint(n)) => {
                // In ASCII the mark is a word already, and says the same as the name of a status.
                let named = entry.value(n);
                if !out.look().ascii || !is_status(note.def) {
                    out.byte(b' ');
                    out.text(named.map_or("", |named| &named.name));
                }
                named
            }
            _ => self.words.note(out, entry, note, room),
        };
        wrap_value(out, mark, layer, role);
        out.end(role);
        named
    }

    /// The margin and the name; the column is then where the value begins.
    fn name(&self, out: &mut Out, row: Row<'_>) {
        let columns = Columns::of(out);
        out.margin(row.layer);
        out.spaces(row.indent);
        if row.computed {
            out.start(Role::Computed);
            out.ascii(b"= ");
        }
        let (left, layer) = (out.column(), row.layer);
        out.wrapped(name_of(row.entry, row.def), |out| {
            out.margin(layer);
            out.spaces(left - 2);
        });
        if row.computed {
            out.end(Role::Computed);
        }
        // A long name pushes its value to the right, but not so far that the value has no room.
        let limit = columns.meaning.map_or(columns.value, |meaning| meaning - 8);
        if out.column() >= limit {
            out.newline();
            out.margin(layer);
        } else {
            out.spaces(1);
        }
        out.to_column(columns.value);
    }

    /// The meaning beside the value or below it, and with `-vv` what there is to say beyond.
    fn rest(
        &self,
        out: &mut Out,
        row: Row<'g>,
        named: Option<&'g NamedValue>,
        fresh: bool,
    ) -> Printed<'g> {
        let text = named.map_or("", |named| &named.text);
        let short = if fresh { row.entry.short.as_str() } else { "" };
        let meaning = match self.depth {
            Depth::V if !text.is_empty() => text,
            _ => short,
        };
        let columns = Columns::of(out);
        let beside = columns
            .meaning
            .filter(|meaning_column| !meaning.is_empty() && out.column() < *meaning_column);
        match beside {
            Some(column) => out.to_column(column),
            None => out.newline(),
        }
        let rest = out.bytes().len();
        if !meaning.is_empty() {
            let column = beside.unwrap_or_else(|| {
                out.margin(row.layer);
                columns.value
            });
            out.to_column(column);
            out.wrapped(meaning, |out| {
                out.margin(row.layer);
                out.to_column(column);
            });
            out.newline();
        }
        if self.depth == Depth::Vv {
            let left = row.indent + 4;
            self.paragraph(out, text, row.layer, left);
            if fresh {
                self.why(out, row.entry, row.def, row.layer, left);
            }
        }
        Printed {
            rest,
            named: named_address(named),
            beside: beside.is_some(),
            speaks: !meaning.is_empty(),
            fresh,
            ..Printed::default()
        }
    }

    /// Why it exists, what one types to find it again, and where it is written.
    fn why(&self, out: &mut Out, entry: &Entry, def: &FieldDef, layer: Role, left: usize) {
        self.paragraph(out, &entry.why, layer, left);
        if out.look().plain {
            self.paragraph(out, &entry.rfc, layer, left);
            return;
        }
        out.margin(layer);
        // A key is not broken: one that is too long for its indent begins further left.
        let longest = out.look().width.saturating_sub(def.key.len() + 2);
        out.to_column(left.min(longest));
        out.start(Role::Dim);
        out.text(def.key);
        if !entry.rfc.is_empty() {
            out.byte(b' ');
            out.glyph(out.glyphs().dot);
            out.byte(b' ');
            out.wrapped(&entry.rfc, |out| {
                out.end(Role::Dim);
                out.margin(layer);
                out.to_column(left);
                out.start(Role::Dim);
            });
        }
        out.end(Role::Dim);
        out.newline();
    }

    fn paragraph(&self, out: &mut Out, text: &str, layer: Role, left: usize) {
        if text.is_empty() {
            return;
        }
        if out.look().plain {
            out.text(text);
        } else {
            out.margin(layer);
            out.to_column(left);
            out.wrapped(text, |out| {
                out.margin(layer);
                out.to_column(left);
            });
        }
        out.newline();
    }

    /// Says that what follows stands in another buffer, and where that comes from.
    fn buffer(&self, out: &mut Out, event: &Event<'_>, id: BufId, layer: Role) {
        let key = match event.buffer_kind(id) {
            BufKind::Frame => "say.detail.frame",
            BufKind::Packet => "say.detail.packet_buffer",
            BufKind::Stream => "say.detail.stream",
            BufKind::Plain => "say.detail.plain",
            BufKind::Message => "say.detail.message",
        };
        self.line(out, layer, Role::Computed, |out| {
            if !out.look().plain {
                out.glyph(out.glyphs().down);
                out.byte(b' ');
            }
            out.sentence(self.glossary.say(key), |out, name| match name {
                "packets" => packets(out, self.glossary, event, id),
                _ => self.words.count(out, event.bytes(id).len()),
            });
        });
    }

    fn stop(&self, out: &mut Out, event: &Event<'_>, stop: &Stop, layer: Role) {
        self.line(out, layer, Role::Bad, |out| {
            let sentence = |out: &mut Out| {
                out.sentence(self.glossary.say(stop.why.key()), |out, name| match name {
                    "layer" => {
                        if let Some(layer) = event.layers.get(usize::from(stop.layer)) {
                            out.text(name_of(self.glossary.of(layer.def), layer.def));
                        }
                    }
                    "field" => out.text(name_of(self.glossary.of(stop.def), stop.def)),
                    "offset" => out.number(stop.offset.into()),
                    "need" => out.number(stop.need.into()),
                    "have" => out.number(stop.have.into()),
                    _ => {}
                });
            };
            if out.look().plain {
                let template = self.glossary.say("say.detail.spoken.stop");
                out.sentence(template, |out, _| sentence(out));
            } else {
                out.glyph(out.glyphs().bad);
                out.byte(b' ');
                sentence(out);
            }
        });
    }

    /// The bytes of every buffer that no field labels and no other buffer has taken up.
    fn not_decoded(&mut self, out: &mut Out, event: &Event<'_>) {
        for id in (0..event.buffer_count()).map(|id| BufId(id as u16)) {
            if self.cover.is_whole(id, event.bytes(id).len()) {
                continue;
            }
            event.gaps_into(id, &mut self.gaps);
            for gap in &self.gaps {
                if id == BufId::FRAME && taken_up(event, gap.start) {
                    continue;
                }
                let bytes = event.bytes(id).get(gap.clone()).unwrap_or(&[]);
                let sentence = |out: &mut Out| {
                    let key = if out.look().plain {
                        "say.detail.spoken.gap"
                    } else {
                        "say.detail.gap"
                    };
                    out.sentence(self.glossary.say(key), |out, name| match name {
                        "bytes" => self.words.count(out, bytes.len()),
                        "offset" => out.number(gap.start as u64),
                        _ => self.words.bytes(out, bytes, 60),
                    });
                };
                if out.look().plain {
                    sentence(out);
                } else {
                    out.newline();
                    out.start(Role::Data);
                    out.ascii(b"? ");
                    let mark = out.mark();
                    sentence(out);
                    if out.column() > out.look().width {
                        out.wrap_since(mark, |out| out.spaces(2));
                    }
                    out.end(Role::Data);
                }
                out.newline();
            }
        }
    }

    /// A sentence in the margin of a layer, as long as it needs to be.
    fn line(&self, out: &mut Out, layer: Role, role: Role, write: impl FnOnce(&mut Out)) {
        if out.look().plain {
            write(out);
            out.newline();
            return;
        }
        out.margin(layer);
        out.start(role);
        let mark = out.mark();
        write(out);
        if out.column() > out.look().width {
            out.wrap_since(mark, |out| {
                out.end(role);
                out.margin(layer);
                out.spaces(2);
                out.start(role);
            });
        }
        out.end(role);
        out.newline();
    }
}

/// A value that is wider than the screen goes on below its beginning.
fn wrap_value(out: &mut Out, mark: Mark, layer: Role, role: Role) {
    if out.column() > out.look().width {
        let column = Columns::of(out).value;
        out.wrap_since(mark, |out| {
            out.end(role);
            out.margin(layer);
            out.to_column(column);
            out.start(role);
        });
    }
}

/// In which columns value and meaning begin.
#[derive(Debug, Clone, Copy)]
struct Columns {
    value: usize,
    /// `None` on a narrow screen: the meaning then stands below.
    meaning: Option<usize>,
}

impl Columns {
    #[inline]
    fn of(out: &Out) -> Self {
        let (value, meaning) = match out.look().width {
            width @ ..64 => (width * 2 / 5, None),
            64..100 => (26, Some(49)),
            _ => (30, Some(58)),
        };
        Self { value, meaning }
    }
}

/// Which definitions a packet has shown already (their addresses), so that the meaning of each is told once.
#[derive(Debug, Default)]
struct Seen(HashSet<usize, BuildHasherDefault<ByAddress>>);

impl Seen {
    fn clear(&mut self) {
        self.0.clear();
    }

    fn first(&mut self, def: &'static FieldDef) -> bool {
        self.0.insert(std::ptr::from_ref(def).addr())
    }
}

pub(super) fn name_of<'a>(entry: &'a Entry, def: &'static FieldDef) -> &'a str {
    if entry.name.is_empty() {
        def.key
    } else {
        &entry.name
    }
}

/// Two columns for each group that a field stands in; deep down no more, or nothing would fit.
fn indent(event: &Event<'_>, field: &Field) -> usize {
    let mut indent = 0;
    let mut parent = field.parent;
    while let Some(group) = event.fields.get(parent as usize) {
        indent += 2;
        if indent == 10 {
            break;
        }
        parent = group.parent;
    }
    indent
}

/// Whether a note is a verdict, and which. All of Wireshark's `….status` fields number them alike, 0 bad and 1 good, and
/// so does the tag of a TLS record.
fn verdict(note: &Note) -> Option<bool> {
    match note.value {
        Fact::Uint(n @ 0..=1) if is_status(note.def) || core::ptr::eq(note.def, &tls::OPENED) => {
            Some(n == 1)
        }
        _ => None,
    }
}

/// Whether it is the kernel's view of the connection: the same on packet after packet, so it is not shown at every depth.
fn is_kernel(def: &FieldDef) -> bool {
    def.key.as_bytes().get(3) == Some(&b'_') && def.key.starts_with("tcp_info.")
}

fn is_status(def: &FieldDef) -> bool {
    def.key.ends_with(".status")
}

/// Address and port of one side, as far as the packet says.
fn end_of<'s>(
    event: &Event<'s>,
    v4: &'static FieldDef,
    v6: &str,
    port: &'static FieldDef,
) -> (Value<'s>, Option<u64>) {
    let value = |field: &Field| field.value(event.bytes(field.buf));
    let address = event.field(v4).or_else(|| {
        let is_v6 = |layer: &Layer| core::ptr::eq(layer.def, &ipv6::IPV6);
        let mut fields = event
            .layers
            .iter()
            .filter(|l| is_v6(l))
            .flat_map(|l| event.fields_of(l));
        fields.find(|f| f.def.key == v6)
    });
    let port = words::uint_in(event, &tcp::TCP, port);
    (address.map_or(Value::None, value), port)
}

/// `packet #4`, or `packets #4, #5`.
pub(super) fn packets(out: &mut Out, glossary: &Glossary, event: &Event<'_>, id: BufId) {
    let pieces = event.pieces(id);
    let first = pieces.first().map_or(event.frame.number, |p| p.frame);
    if pieces.iter().all(|p| p.frame == first) {
        out.sentence(glossary.say("say.detail.packet"), |out, _| {
            out.number(first);
        });
        return;
    }
    out.sentence(glossary.say("say.detail.packets"), |out, _| {
        let mut last = None;
        for piece in pieces {
            if last == Some(piece.frame) {
                continue;
            }
            out.ascii(if last.is_some() { b", #" } else { b"#" });
            out.number(piece.frame);
            last = Some(piece.frame);
        }
    });
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests;
