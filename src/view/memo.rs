//! What packets of one shape have in common, as it was written once.
//!
//! Packets of a capture are alike: the same fields in the same order, most of them in the same places and with the same
//! values. So the text of a packet is kept as a [`Template`], with the place and the bits of every part of it. Of the next
//! packet of that shape, what is the same is copied, as much at once as stands together; the rest is written anew, or, where
//! a new value takes as much room as the old one, mended in the template itself.

use core::ops::Range;

use crate::cursor::read_bits;
use crate::packet::{BufId, Event, Fact, Field, FieldDef, Kind, Layer, Note, Stop};

/// So many shapes are remembered, and of so many is it known that they were seen once.
const SHAPES: usize = 128;
const SEEN: usize = 1024;
/// The longest text of one, and the most parts: hostile packets have more, and are all different anyway.
const MAX_TEXT: usize = 64 << 10;
const MAX_PARTS: usize = 512;

/// What a part of a text is about, by its index in the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// The heading of a layer.
    Layer(u32),
    /// Where the next fields stand.
    Buffer(BufId),
    /// A field.
    Field(u32),
    /// A note.
    Note(u32),
    /// A stop.
    Stop(u32),
}

/// In what a part is not as it was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Diff {
    /// It starts elsewhere in its buffer.
    pub(super) moved: bool,
    /// It is longer or shorter.
    pub(super) sized: bool,
    /// Its value is another, or may be.
    pub(super) value: bool,
}

/// A part that is not as it was.
#[derive(Debug)]
pub(super) struct Change<'t, R> {
    pub(super) what: What,
    /// Where in the text it is.
    pub(super) row: &'t R,
    pub(super) diff: Diff,
    /// The text of the template. Whoever has mended it says so, and the part counts from then on as it is now.
    pub(super) text: &'t mut [u8],
}

/// How a field's value is known again. What does not fit in here is written anew each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// By its bits, up to 64: they are in the eight bytes from `at` on, between `up` bits that are pushed out of them at one
    /// end and `down` at the other.
    Short {
        at: usize,
        up: u8,
        down: u8,
        bits: u64,
    },
    /// It has none.
    Nothing,
    /// By its bits, up to 128.
    Long([u64; 2]),
    /// Not at all.
    Never,
}

impl Known {
    fn of(field: &Field, buffer: &[u8]) -> Self {
        let (start, bits) = (field.start as usize, field.bits as usize);
        match (field.def.kind, bits) {
            (Kind::Layer | Kind::Group, _) => Self::Nothing,
            // Its end may be anywhere.
            (Kind::Name, _) => Self::Never,
            (_, 0) => Self::Nothing,
            (_, 1..=64) => {
                // Near the end the bytes before them are read as well.
                let at = (start / 8).min(buffer.len().saturating_sub(8));
                let up = start - at * 8;
                match u8::try_from(up).ok().zip(64_usize.checked_sub(up + bits)) {
                    Some((up, _)) if at + 8 <= buffer.len() => Self::Short {
                        at,
                        up,
                        down: 64 - bits as u8,
                        bits: read_bits(buffer, start, bits),
                    },
                    _ => Self::Long([read_bits(buffer, start, bits), 0]),
                }
            }
            (_, 65..=128) => Self::Long([
                read_bits(buffer, start, 64),
                read_bits(buffer, start + 64, bits - 64),
            ]),
            _ => Self::Never,
        }
    }

    /// Whether the field, which stands where it stood, has the same value.
    #[inline]
    fn is_of(&self, field: &Field, buffer: &[u8]) -> bool {
        // Nearly all of them are short: no more than this one question is asked of those.
        if let Self::Short { at, up, down, bits } = *self
            && let Some(word) = buffer.get(at..).and_then(<[u8]>::first_chunk::<8>)
        {
            return u64::from_be_bytes(*word) << (up & 63) >> (down & 63) == bits;
        }
        self.is_still(field, buffer)
    }

    #[inline(never)]
    fn is_still(&self, field: &Field, buffer: &[u8]) -> bool {
        match self {
            Self::Nothing => true,
            Self::Never => false,
            Self::Short { .. } | Self::Long(_) => *self == Self::of(field, buffer),
        }
    }
}

/// A field as it was.
#[derive(Debug)]
struct Part {
    field: Field,
    known: Known,
}

impl Part {
    fn new(event: &Event<'_>, field: &Field) -> Self {
        Self {
            field: *field,
            known: Known::of(field, event.bytes(field.buf)),
        }
    }

    /// Whether it belongs to the same shape.
    #[inline]
    fn is_like(&self, field: &Field) -> bool {
        core::ptr::eq(self.field.def, field.def)
            & (self.field.parent == field.parent)
            & (self.field.buf == field.buf)
    }

    /// Whether nothing has changed.
    #[inline]
    fn is(&self, field: &Field, buffer: &[u8]) -> bool {
        (self.field.start == field.start)
            & (self.field.bits == field.bits)
            // What stands elsewhere in its buffer is looked at in its place.
            && self.known.is_of(field, buffer)
    }

    /// In what a field that is not as it was differs.
    #[inline]
    fn diff(&self, field: &Field, buffer: &[u8]) -> Diff {
        let (moved, sized) = (
            self.field.start != field.start,
            self.field.bits != field.bits,
        );
        // In its old place it has another value, and of another length it is written anew in any case.
        let value = !moved
            || sized
            || match (self.known, Known::of(field, buffer)) {
                (Known::Short { bits: was, .. }, Known::Short { bits: is, .. }) => was != is,
                (Known::Never, _) => true,
                (was, is) => was != is,
            };
        Diff {
            moved,
            sized,
            value,
        }
    }

    /// From now on it counts as it is here.
    #[inline]
    fn become_like(&mut self, field: &Field, buffer: &[u8]) {
        let place = (self.field.start, self.field.bits) == (field.start, field.bits);
        match &mut self.known {
            Known::Short { bits, .. } if place => {
                *bits = read_bits(buffer, field.start as usize, field.bits as usize);
            }
            known => (self.field, *known) = (*field, Known::of(field, buffer)),
        }
    }
}

/// Whether a note belongs to the same shape as another.
#[inline]
fn is_like(was: &Note, is: &Note) -> bool {
    let form = match (was.value, is.value) {
        (Fact::Uint(_), Fact::Uint(_)) | (Fact::Present, Fact::Present) => true,
        (Fact::Bytes(_, was), Fact::Bytes(_, is)) => was == is,
        _ => false,
    };
    core::ptr::eq(was.def, is.def) & (was.layer == is.layer) & form
}

#[inline]
fn is_same(was: &Note, is: &Note) -> bool {
    match (was.value, is.value) {
        (Fact::Uint(was), Fact::Uint(is)) => was == is,
        (was, is) => was == is,
    }
}

/// What stands together in the text: all fields of one buffer, notes that follow each other, or something else, as it was.
#[derive(Debug, Clone, PartialEq)]
enum Section {
    Layer(u32, Layer),
    Buffer(BufId, Form, usize),
    Fields(Range<usize>, BufId),
    /// Which notes of the event, and which of the template's own.
    Notes(Range<usize>, Range<usize>),
    Stop(u32, Stop),
}

/// What packets of one shape have in common of a buffer: its kind, and whether it was put together from pieces.
type Form = (u32, bool);

fn form(event: &Event<'_>, buf: BufId) -> Form {
    let kind = event.buffer_kind(buf) as u32;
    (kind, !event.pieces(buf).is_empty())
}

/// A packet as it was written. `R` says where in the text a part is.
#[derive(Debug)]
pub(super) struct Template<R> {
    hash: u64,
    sections: Vec<Section>,
    /// The fields, in the order of the event and of the text.
    fields: Vec<Part>,
    /// The notes, in the order of the text.
    notes: Vec<Note>,
    /// A row for each part, in the order of the text.
    rows: Vec<R>,
    text: Vec<u8>,
    /// How many fields, notes and stops there are.
    counts: [usize; 3],
    /// Which parts of a section have changed.
    changed: Vec<usize>,
}

impl<R> Default for Template<R> {
    fn default() -> Self {
        Self {
            hash: 0,
            sections: Vec::new(),
            fields: Vec::new(),
            notes: Vec::new(),
            changed: Vec::new(),
            rows: Vec::new(),
            text: Vec::new(),
            counts: [0; 3],
        }
    }
}

impl<R> Template<R> {
    /// Goes through the parts that are not as they were; `each` says whether it has mended the text.
    ///
    /// False if the packet has another shape; what else `each` did then is worth nothing.
    #[inline]
    pub(super) fn changes(
        &mut self,
        event: &Event<'_>,
        mut each: impl FnMut(Change<'_, R>) -> bool,
    ) -> bool {
        if self.counts != counts(event) {
            return false;
        }
        let text = self.text.as_mut_slice();
        let changed = &mut self.changed;
        let mut rows = self.rows.as_slice();
        for section in &mut self.sections {
            let Some((row, behind)) = rows.split_first() else {
                return false;
            };
            let place = Diff {
                moved: false,
                sized: false,
                value: false,
            };
            let (what, diff) = match section {
                Section::Fields(range, buf) => {
                    let (Some(parts), Some(fields), Some((own, behind))) = (
                        self.fields.get_mut(range.clone()),
                        event.fields.get(range.clone()),
                        rows.split_at_checked(range.len()),
                    ) else {
                        return false;
                    };
                    rows = behind;
                    let buffer = event.bytes(*buf);
                    // First all of them are looked at, which takes few instructions for each, then those that differ.
                    changed.clear();
                    for (i, (part, field)) in parts.iter().zip(fields).enumerate() {
                        if !part.is_like(field) {
                            return false;
                        }
                        if !part.is(field, buffer) {
                            changed.push(i);
                        }
                    }
                    for i in &*changed {
                        let (Some(part), Some(field), Some(row)) =
                            (parts.get_mut(*i), fields.get(*i), own.get(*i))
                        else {
                            return false;
                        };
                        let diff = part.diff(field, buffer);
                        let change = Change {
                            what: What::Field((range.start + i) as u32),
                            row,
                            diff,
                            text,
                        };
                        if (diff.moved | diff.value) && each(change) {
                            part.become_like(field, buffer);
                        }
                    }
                    continue;
                }
                Section::Notes(range, own) => {
                    let (Some(parts), Some(notes), Some((own, behind))) = (
                        self.notes.get_mut(own.clone()),
                        event.notes.get(range.clone()),
                        rows.split_at_checked(range.len()),
                    ) else {
                        return false;
                    };
                    rows = behind;
                    changed.clear();
                    for (i, (was, is)) in parts.iter().zip(notes).enumerate() {
                        if !is_like(was, is) {
                            return false;
                        }
                        if !is_same(was, is) {
                            changed.push(i);
                        }
                    }
                    for i in &*changed {
                        let (Some(was), Some(note), Some(row)) =
                            (parts.get_mut(*i), notes.get(*i), own.get(*i))
                        else {
                            return false;
                        };
                        let change = Change {
                            what: What::Note((range.start + i) as u32),
                            row,
                            diff: Diff {
                                value: true,
                                ..place
                            },
                            text,
                        };
                        if each(change) {
                            *was = *note;
                        }
                    }
                    continue;
                }
                Section::Layer(index, was) => {
                    let Some(layer) = event.layers.get(*index as usize) else {
                        return false;
                    };
                    if !core::ptr::eq(was.def, layer.def)
                        || was.fields != layer.fields
                        || was.buf != layer.buf
                    {
                        return false;
                    }
                    let moved = was.bytes.start != layer.bytes.start;
                    let sized = was.bytes.len() != layer.bytes.len();
                    let diff = Diff {
                        moved,
                        sized,
                        ..place
                    };
                    (What::Layer(*index), diff)
                }
                Section::Buffer(buf, was, len) => {
                    if *was != form(event, *buf) {
                        return false;
                    }
                    // From which packets it was put together is written anew each time.
                    let (_, value) = *was;
                    let sized = event.bytes(*buf).len() != *len;
                    let diff = Diff {
                        sized,
                        value,
                        ..place
                    };
                    (What::Buffer(*buf), diff)
                }
                Section::Stop(index, was) => {
                    let Some(stop) = event.stops.get(*index as usize) else {
                        return false;
                    };
                    if !core::ptr::eq(was.def, stop.def)
                        || was.layer != stop.layer
                        || was.buf != stop.buf
                    {
                        return false;
                    }
                    let diff = Diff {
                        value: true,
                        ..place
                    };
                    (What::Stop(*index), diff)
                }
            };
            rows = behind;
            if diff.moved | diff.sized | diff.value {
                each(Change {
                    what,
                    row,
                    diff,
                    text,
                });
            }
        }
        rows.is_empty()
    }

    /// The text from there on.
    pub(super) fn text_from(&self, at: usize) -> &[u8] {
        self.text.get(at..).unwrap_or(&[])
    }

    fn clear(&mut self) {
        self.sections.clear();
        self.fields.clear();
        self.notes.clear();
        self.rows.clear();
        self.text.clear();
    }

    fn part(&mut self, event: &Event<'_>, what: What, row: R) -> Option<()> {
        let section = match what {
            What::Field(index) => {
                let field = event.fields.get(index as usize)?;
                // They are found again by their place in the event.
                if index as usize != self.fields.len() {
                    return None;
                }
                self.fields.push(Part::new(event, field));
                let end = self.fields.len();
                self.rows.push(row);
                match self.sections.last_mut() {
                    Some(Section::Fields(range, buf)) if *buf == field.buf => range.end = end,
                    _ => {
                        let section = Section::Fields(end - 1..end, field.buf);
                        self.sections.push(section);
                    }
                }
                return Some(());
            }
            What::Note(index) => {
                let index = index as usize;
                self.notes.push(*event.notes.get(index)?);
                self.rows.push(row);
                let end = self.notes.len();
                match self.sections.last_mut() {
                    Some(Section::Notes(range, own)) if range.end == index => {
                        (range.end, own.end) = (index + 1, end);
                    }
                    _ => {
                        let section = Section::Notes(index..index + 1, end - 1..end);
                        self.sections.push(section);
                    }
                }
                return Some(());
            }
            What::Layer(index) => Section::Layer(index, event.layers.get(index as usize)?.clone()),
            What::Buffer(buf) => {
                let len = event.bytes(buf).len();
                Section::Buffer(buf, form(event, buf), len)
            }
            What::Stop(index) => Section::Stop(index, *event.stops.get(index as usize)?),
        };
        self.sections.push(section);
        self.rows.push(row);
        Some(())
    }
}

/// The shapes that have been written, and the one that is being written.
#[derive(Debug)]
pub(super) struct Memo<R> {
    slots: Vec<Option<Box<Template<R>>>>,
    /// The hashes of shapes that were seen. Only what comes again is worth remembering: hostile packets have one shape each.
    seen: Vec<u64>,
    /// The packet that is written, if it is to be remembered.
    new: Template<R>,
    recording: bool,
}

impl<R> Default for Memo<R> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            seen: Vec::new(),
            new: Template::default(),
            recording: false,
        }
    }
}

impl<R> Memo<R> {
    /// What was written of a packet that is probably like this one. It has to be given back.
    #[inline]
    pub(super) fn take(&mut self, event: &Event<'_>) -> Option<Box<Template<R>>> {
        let hash = hash(event);
        let place = self.slots.get_mut(slot(hash, SHAPES))?;
        place.take_if(|template| template.hash == hash)
    }

    /// What was taken.
    #[inline]
    pub(super) fn give_back(&mut self, template: Box<Template<R>>) {
        if let Some(place) = self.slots.get_mut(slot(template.hash, SHAPES)) {
            *place = Some(template);
        }
    }

    /// Whether what is being written will be remembered.
    pub(super) fn records(&self) -> bool {
        self.recording
    }

    /// A packet of a new shape is being written.
    pub(super) fn begin(&mut self, event: &Event<'_>) {
        if self.slots.is_empty() {
            self.slots.resize_with(SHAPES, || None);
            self.seen.resize(SEEN, 0);
        }
        let hash = hash(event);
        self.new.clear();
        self.new.hash = hash;
        self.new.counts = counts(event);
        let seen = self.seen.get_mut(slot(hash, SEEN));
        let before = seen.map_or(0, |seen| core::mem::replace(seen, hash));
        let parts = event.layers.len() + self.new.counts.iter().sum::<usize>();
        self.recording = before == hash && parts <= MAX_PARTS;
    }

    /// A part of it was written.
    pub(super) fn part(&mut self, event: &Event<'_>, what: What, row: R) {
        if self.recording {
            self.new.part(event, what, row);
        }
    }

    /// Remembers what has been written, if that was all of it.
    pub(super) fn keep(&mut self, event: &Event<'_>, text: &[u8]) {
        if !core::mem::take(&mut self.recording) || text.len() > MAX_TEXT {
            return;
        }
        let all = event.layers.len() + counts(event).iter().sum::<usize>();
        let is_buffer = |section: &&Section| matches!(section, Section::Buffer(..));
        let buffers = self.new.sections.iter().filter(is_buffer).count();
        if self.new.rows.len() - buffers != all {
            return;
        }
        if let Some(place) = self.slots.get_mut(slot(self.new.hash, SHAPES)) {
            let template = place.get_or_insert_default();
            core::mem::swap(&mut **template, &mut self.new);
            template.text.extend_from_slice(text);
        }
    }
}

fn counts(event: &Event<'_>) -> [usize; 3] {
    [event.fields.len(), event.notes.len(), event.stops.len()]
}

/// A number that packets of one shape have in common, and others mostly have not.
#[inline]
fn hash(event: &Event<'_>) -> u64 {
    let mut hash = event.layers.len() as u64;
    let mut mix = |def: &'static FieldDef| {
        let mixed = (core::ptr::from_ref(def).addr() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash = hash.rotate_left(1) ^ mixed;
    };
    event.fields.iter().for_each(|field| mix(field.def));
    event.notes.iter().for_each(|note| mix(note.def));
    hash.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Where such packets are kept: mostly no other one is there.
#[inline]
fn slot(hash: u64, slots: usize) -> usize {
    (hash >> 40) as usize % slots
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use crate::packet::{Frame, LinkType, Time};
    use crate::session::Session;

    /// Who wants to fill the memory has a new shape for each packet: here by TCP's options, ten times one of two.
    fn shapes(mut each: impl FnMut(&Event<'_>)) {
        let mut session = Session::new();
        for shape in 0..1 << 10 {
            let options = (0..10).flat_map(|bit| match shape >> bit & 1 {
                0 => [1, 1, 1, 1],
                _ => [1, 1, 4, 2],
            });
            let mut data = Vec::new();
            etherparse::PacketBuilder::ipv4([1, 2, 3, 4], [5, 6, 7, 8], 64)
                .tcp(1, 2, 3, 4)
                .options_raw(&options.collect::<Vec<u8>>())
                .unwrap()
                .write(&mut data, &[])
                .unwrap();
            each(&session.push(Frame {
                number: shape + 1,
                time: Time(0),
                link: LinkType::RAW,
                wire_len: data.len() as u32,
                data: &data,
            }));
        }
    }

    fn write(memo: &mut Memo<()>, event: &Event<'_>) {
        memo.begin(event);
        for index in 0..event.layers.len() {
            memo.part(event, What::Layer(index as u32), ());
        }
        for index in 0..event.fields.len() {
            memo.part(event, What::Field(index as u32), ());
        }
        for index in 0..event.notes.len() {
            memo.part(event, What::Note(index as u32), ());
        }
        memo.keep(event, b"text");
    }

    fn remembered(memo: &Memo<()>) -> usize {
        memo.slots.iter().flatten().count()
    }

    #[test]
    fn only_shapes_that_come_again_are_remembered_and_not_too_many() {
        let mut memo = Memo::default();
        shapes(|event| write(&mut memo, event));
        // Very few have the number of another by chance.
        assert!(remembered(&memo) < 8, "each came once");
        shapes(|event| {
            write(&mut memo, event);
            write(&mut memo, event);
            let mut template = memo.take(event).unwrap();
            assert!(template.changes(event, |_| false));
            memo.give_back(template);
        });
        let count = remembered(&memo);
        assert!((SHAPES / 2..=SHAPES).contains(&count), "{count}");
    }
}
