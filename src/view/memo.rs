//! What packets of one shape have in common, as it was written once.
//!
//! Packets of a capture are alike: the same fields in the same order, most of them in the same places and with the same
//! values. So the text of a packet is kept as a [`Template`], with the place and the bits of every part of it. Of the next
//! packet of that shape, what is the same is copied, as much at once as stands together; the rest is written anew.

use core::ops::Range;

use crate::cursor::read_bits;
use crate::packet::{BufId, Event, Fact, Field, FieldDef, Kind, Layer, Note, Stop};

/// So many shapes are remembered.
const SHAPES: usize = 128;
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

/// What belongs to the same part of all packets of a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    /// The address of its definition.
    def: usize,
    /// The fields of a layer; the group of a field; the layer of a note and the form of its value.
    within: (u32, u32),
    buf: BufId,
}

impl Shape {
    #[inline]
    fn new(def: &'static FieldDef, within: (u32, u32), buf: BufId) -> Self {
        Self {
            def: core::ptr::from_ref(def).addr(),
            within,
            buf,
        }
    }

    #[inline]
    fn field(field: &Field) -> Self {
        Self::new(field.def, (field.parent, 0), field.buf)
    }

    #[inline]
    fn note(note: &Note) -> Self {
        let form = match note.value {
            Fact::Present => 0,
            Fact::Uint(_) => 1,
            Fact::Bytes(_, len) => 2 + u32::from(len),
        };
        Self::new(note.def, (note.layer.into(), form), BufId::FRAME)
    }

    fn layer(layer: &Layer) -> Self {
        let fields = (layer.fields.start, layer.fields.end);
        Self::new(layer.def, fields, layer.buf)
    }

    fn buffer(event: &Event<'_>, buf: BufId) -> Self {
        let put_together = u32::from(!event.pieces(buf).is_empty());
        Self {
            def: 0,
            within: (event.buffer_kind(buf) as u32, put_together),
            buf,
        }
    }

    fn stop(stop: &Stop) -> Self {
        Self::new(stop.def, (stop.layer.into(), 0), stop.buf)
    }
}

/// How a part's value is known again. What does not fit in here is written anew each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// It has none.
    Nothing,
    /// By its bits, up to 64.
    Short(u64),
    /// By its bits, up to 128.
    Long([u64; 2]),
    /// By the fact.
    Fact(Fact),
    /// Not at all.
    Never,
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

/// A part, and where in the text it is.
#[derive(Debug)]
struct Part<R> {
    what: What,
    shape: Shape,
    /// Where it starts and how long it is: in bytes for a layer, in bits for a field.
    start: u32,
    len: u32,
    known: Known,
    row: R,
}

impl<R> Part<R> {
    fn new(event: &Event<'_>, what: What, row: R) -> Option<Self> {
        let part = |shape, start, len, known| Self {
            what,
            shape,
            start,
            len,
            known,
            row,
        };
        Some(match what {
            What::Field(index) => {
                let field = event.fields.get(index as usize)?;
                let known = known(field, event.bytes(field.buf));
                part(Shape::field(field), field.start, field.bits, known)
            }
            What::Note(index) => {
                let note = event.notes.get(index as usize)?;
                part(Shape::note(note), 0, 0, Known::Fact(note.value))
            }
            What::Layer(index) => {
                let layer = event.layers.get(index as usize)?;
                let (start, len) = (layer.bytes.start, len_of(layer));
                part(Shape::layer(layer), start, len, Known::Nothing)
            }
            What::Buffer(buf) => {
                let known = match event.pieces(buf) {
                    [] => Known::Nothing,
                    _ => Known::Never,
                };
                let len = event.bytes(buf).len() as u32;
                part(Shape::buffer(event, buf), 0, len, known)
            }
            What::Stop(index) => {
                let stop = event.stops.get(index as usize)?;
                part(Shape::stop(stop), 0, 0, Known::Never)
            }
        })
    }
}

fn known(field: &Field, buffer: &[u8]) -> Known {
    let (start, bits) = (field.start as usize, field.bits as usize);
    match (field.def.kind, bits) {
        (Kind::Layer | Kind::Group, _) => Known::Nothing,
        // Its end may be anywhere.
        (Kind::Name, _) => Known::Never,
        (_, 0..=64) => Known::Short(read_bits(buffer, start, bits)),
        (_, 65..=128) => Known::Long(long(buffer, start, bits)),
        _ => Known::Never,
    }
}

#[inline]
fn long(buffer: &[u8], start: usize, bits: usize) -> [u64; 2] {
    [
        read_bits(buffer, start, 64),
        read_bits(buffer, start + 64, bits - 64),
    ]
}

fn len_of(layer: &Layer) -> u32 {
    layer.bytes.end.saturating_sub(layer.bytes.start)
}

/// A packet as it was written. `R` says where in the text a part is.
#[derive(Debug)]
pub(super) struct Template<R> {
    parts: Vec<Part<R>>,
    text: Vec<u8>,
    /// How many fields, notes and stops there are.
    counts: [usize; 3],
}

impl<R> Template<R> {
    /// Goes through the parts that are not as they were.
    ///
    /// False if the packet has another shape; what `each` did then is worth nothing.
    #[inline]
    pub(super) fn changes(&self, event: &Event<'_>, mut each: impl FnMut(What, &R, Diff)) -> bool {
        if self.counts != counts(event) || self.parts.is_empty() {
            return false;
        }
        let (mut buf, mut buffer) = (BufId::FRAME, event.bytes(BufId::FRAME));
        for part in &self.parts {
            let (shape, start, len, value) = match part.what {
                What::Field(index) => {
                    let Some(field) = event.fields.get(index as usize) else {
                        return false;
                    };
                    if field.buf != buf {
                        buf = field.buf;
                        buffer = event.bytes(buf);
                    }
                    let (start, bits) = (field.start as usize, field.bits as usize);
                    // Of another length it is written anew in any case.
                    let value = match part.known {
                        _ if field.bits != part.len => true,
                        Known::Short(was) => read_bits(buffer, start, bits) != was,
                        Known::Long(was) => long(buffer, start, bits) != was,
                        known => known == Known::Never,
                    };
                    (Shape::field(field), field.start, field.bits, value)
                }
                What::Note(index) => {
                    let Some(note) = event.notes.get(index as usize) else {
                        return false;
                    };
                    let value = match (part.known, note.value) {
                        (Known::Fact(Fact::Uint(was)), Fact::Uint(is)) => was != is,
                        (known, is) => known != Known::Fact(is),
                    };
                    (Shape::note(note), 0, 0, value)
                }
                What::Layer(index) => {
                    let Some(layer) = event.layers.get(index as usize) else {
                        return false;
                    };
                    let (start, len) = (layer.bytes.start, len_of(layer));
                    (Shape::layer(layer), start, len, false)
                }
                What::Buffer(buf) => {
                    let len = event.bytes(buf).len() as u32;
                    let value = part.known == Known::Never;
                    (Shape::buffer(event, buf), 0, len, value)
                }
                What::Stop(index) => {
                    let Some(stop) = event.stops.get(index as usize) else {
                        return false;
                    };
                    (Shape::stop(stop), 0, 0, true)
                }
            };
            if shape != part.shape {
                return false;
            }
            let (moved, sized) = (start != part.start, len != part.len);
            if moved || sized || value {
                let diff = Diff {
                    moved,
                    sized,
                    value,
                };
                each(part.what, &part.row, diff);
            }
        }
        true
    }

    /// A part of the text.
    #[inline]
    pub(super) fn text(&self, range: Range<usize>) -> &[u8] {
        self.text.get(range).unwrap_or(&[])
    }

    /// The text from there on.
    pub(super) fn text_from(&self, at: usize) -> &[u8] {
        self.text.get(at..).unwrap_or(&[])
    }
}

/// The shapes that have been written, and the one that is being written.
#[derive(Debug)]
pub(super) struct Memo<R> {
    slots: Vec<Option<Box<Template<R>>>>,
    parts: Vec<Part<R>>,
}

impl<R> Default for Memo<R> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            parts: Vec::new(),
        }
    }
}

impl<R> Memo<R> {
    /// What was written of a packet that is probably like this one.
    #[inline]
    pub(super) fn find(&self, event: &Event<'_>) -> Option<&Template<R>> {
        self.slots.get(slot(event))?.as_deref()
    }

    /// A packet of a new shape is being written.
    pub(super) fn begin(&mut self) {
        self.parts.clear();
    }

    /// A part of it was written.
    pub(super) fn part(&mut self, event: &Event<'_>, what: What, row: R) {
        self.parts.extend(Part::new(event, what, row));
    }

    /// Remembers what has been written, if that was all of it.
    pub(super) fn keep(&mut self, event: &Event<'_>, text: &[u8]) {
        let counts = counts(event);
        let all = event.layers.len() + counts.iter().sum::<usize>();
        let has = |part: &&Part<R>| !matches!(part.what, What::Buffer(_));
        if text.len() > MAX_TEXT
            || self.parts.len() > MAX_PARTS
            || self.parts.iter().filter(has).count() != all
        {
            return;
        }
        if self.slots.is_empty() {
            self.slots.resize_with(SHAPES, || None);
        }
        if let Some(place) = self.slots.get_mut(slot(event)) {
            let template = place.get_or_insert_with(|| {
                Box::new(Template {
                    parts: Vec::new(),
                    text: Vec::new(),
                    counts,
                })
            });
            core::mem::swap(&mut template.parts, &mut self.parts);
            template.text.clear();
            template.text.extend_from_slice(text);
            template.counts = counts;
        }
    }
}

fn counts(event: &Event<'_>) -> [usize; 3] {
    [event.fields.len(), event.notes.len(), event.stops.len()]
}

/// Where packets of this shape are kept: mostly no other one is there.
#[inline]
fn slot(event: &Event<'_>) -> usize {
    let mut hash = event.layers.len() as u64;
    let mut mix = |def: &'static FieldDef| {
        let mixed = (core::ptr::from_ref(def).addr() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash = hash.rotate_left(1) ^ mixed;
    };
    event.fields.iter().for_each(|field| mix(field.def));
    event.notes.iter().for_each(|note| mix(note.def));
    (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize % SHAPES
}
