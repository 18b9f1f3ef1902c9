//! What packets of one shape have in common, as it was written once.
//!
//! Packets of a capture are alike: the same fields in the same order, most of them in the same places and with the same
//! values. So the text of a packet is kept as a [`Template`], with the place and the bits of every part of it. Of the next
//! packet of that shape, what is the same is copied, as much at once as stands together; the rest is written anew.

use core::ops::Range;

use crate::cursor::read_bits;
use crate::packet::{BufId, Event, Fact, Field, FieldDef, Kind, Note};

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
}

/// What is known of a value: nothing, if it does not fit in here. Nobody can tell then whether it is the same.
type Bits = Option<[u64; 2]>;

/// One part, as it is in an event.
#[derive(Debug, Clone, Copy)]
struct Seen {
    shape: Shape,
    /// Where it starts and how long it is: in bytes for a layer, in bits for a field.
    start: u32,
    len: u32,
    bits: Bits,
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

/// Looks at the parts of an event; the buffer in hand is not looked up again.
struct Eye<'e> {
    event: &'e Event<'e>,
    buf: BufId,
    buffer: &'e [u8],
}

impl<'e> Eye<'e> {
    fn new(event: &'e Event<'e>) -> Self {
        Self {
            event,
            buf: BufId::FRAME,
            buffer: event.bytes(BufId::FRAME),
        }
    }

    #[inline]
    fn look(&mut self, what: What) -> Option<Seen> {
        let event = self.event;
        match what {
            What::Field(index) => {
                let field = event.fields.get(index as usize)?;
                if field.buf != self.buf {
                    self.buf = field.buf;
                    self.buffer = event.bytes(field.buf);
                }
                Some(Seen {
                    shape: Shape::new(field.def, (field.parent, 0), field.buf),
                    start: field.start,
                    len: field.bits,
                    bits: bits_of(field, self.buffer),
                })
            }
            What::Note(index) => {
                let note = event.notes.get(index as usize)?;
                let (form, bits) = bits_of_note(note);
                Some(Seen {
                    shape: Shape::new(note.def, (note.layer.into(), form), BufId::FRAME),
                    start: 0,
                    len: 0,
                    bits: Some(bits),
                })
            }
            What::Layer(index) => {
                let layer = event.layers.get(index as usize)?;
                let fields = (layer.fields.start, layer.fields.end);
                Some(Seen {
                    shape: Shape::new(layer.def, fields, layer.buf),
                    start: layer.bytes.start,
                    len: layer.bytes.end.saturating_sub(layer.bytes.start),
                    bits: Some([0, 0]),
                })
            }
            What::Buffer(buf) => {
                let pieces = event.pieces(buf).len();
                let kind = event.buffer_kind(buf) as u32;
                Some(Seen {
                    shape: Shape {
                        def: 0,
                        within: (kind, pieces.min(1) as u32),
                        buf,
                    },
                    start: 0,
                    len: event.bytes(buf).len() as u32,
                    bits: (pieces == 0).then_some([0, 0]),
                })
            }
            What::Stop(index) => {
                let stop = event.stops.get(index as usize)?;
                Some(Seen {
                    shape: Shape::new(stop.def, (stop.layer.into(), 0), stop.buf),
                    start: 0,
                    len: 0,
                    bits: None,
                })
            }
        }
    }
}

#[inline]
fn bits_of(field: &Field, buffer: &[u8]) -> Bits {
    let (start, bits) = (field.start as usize, field.bits as usize);
    match (field.def.kind, bits) {
        (Kind::Layer | Kind::Group, _) => Some([0, 0]),
        // Its end may be anywhere.
        (Kind::Name, _) => None,
        (_, 0..=64) => Some([read_bits(buffer, start, bits), 0]),
        (_, 65..=128) => Some([
            read_bits(buffer, start, 64),
            read_bits(buffer, start + 64, bits - 64),
        ]),
        _ => None,
    }
}

#[inline]
fn bits_of_note(note: &Note) -> (u32, [u64; 2]) {
    match note.value {
        Fact::Present => (0, [0, 0]),
        Fact::Uint(n) => (1, [n, 0]),
        Fact::Bytes(bytes, len) => (
            2 + u32::from(len),
            [read_bits(&bytes, 0, 64), read_bits(&bytes, 64, 64)],
        ),
    }
}

/// A part, and where in the text it is.
#[derive(Debug)]
struct Part<R> {
    what: What,
    seen: Seen,
    row: R,
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
        let mut eye = Eye::new(event);
        for Part { what, seen, row } in &self.parts {
            let Some(is) = eye.look(*what).filter(|is| is.shape == seen.shape) else {
                return false;
            };
            let diff = Diff {
                moved: is.start != seen.start,
                sized: is.len != seen.len,
                value: is.bits.is_none() || is.bits != seen.bits,
            };
            if diff.moved || diff.sized || diff.value {
                each(*what, row, diff);
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
        if let Some(seen) = Eye::new(event).look(what) {
            self.parts.push(Part { what, seen, row });
        }
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
