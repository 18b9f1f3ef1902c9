//! The layers of packets of one shape, as they were written once.
//!
//! Packets of a capture are alike: the same fields in the same order, most of them in the same places and with the same
//! values. So the text of one packet's layers is kept, with the place and the bits of every part of it. For the next
//! packet of that shape what is the same is copied, as much at once as stands together; the rest is written anew.

use core::ops::Range;

use crate::cursor::read_bits;
use crate::packet::{BufId, Event, Fact, Field, FieldDef, Kind, Layer, Note};

/// So many shapes are remembered.
const SHAPES: usize = 128;
/// The longest text of one, and the most parts: hostile packets have more, and are all different anyway.
const MAX_TEXT: usize = 64 << 10;
const MAX_PARTS: usize = 512;

/// What a part of the text is about, by its index in the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Layer(u32),
    Field(u32),
    Note(u32),
}

/// Where it stands: buffer, start and length (in bytes for a layer, in bits for a field; all zero for a note).
type Place = (BufId, u32, u32);

/// What is known of its value: nothing, if that does not fit in here. A part of which nothing is known is written anew.
type Bits = Option<[u64; 2]>;

/// What belongs to the same part of all packets of a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    /// The address of its definition.
    def: usize,
    /// The fields of a layer; the group of a field; the layer of a note and the form of its value.
    within: (u32, u32),
}

impl Shape {
    fn new(def: &'static FieldDef, within: (u32, u32)) -> Self {
        let def = core::ptr::from_ref(def).addr();
        Self { def, within }
    }

    fn layer(layer: &Layer) -> Self {
        Self::new(layer.def, (layer.fields.start, layer.fields.end))
    }

    fn field(field: &Field) -> Self {
        Self::new(field.def, (field.parent, 0))
    }

    fn note(note: &Note) -> Self {
        let form = match note.value {
            Fact::Present => 0,
            Fact::Uint(_) => 1,
            Fact::Bytes(_, len) => 2 + u32::from(len),
        };
        Self::new(note.def, (note.layer.into(), form))
    }
}

fn place_of(layer: &Layer) -> Place {
    (layer.buf, layer.bytes.start, layer.bytes.len() as u32)
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
fn bits_of_note(note: &Note) -> Bits {
    Some(match note.value {
        Fact::Present => [0, 0],
        Fact::Uint(n) => [n, 0],
        Fact::Bytes(bytes, _) => [read_bits(&bytes, 0, 64), read_bits(&bytes, 64, 64)],
    })
}

/// A part of the text: from `start` on where it stands, and from `value` to `end` its value. What follows up to the next
/// part is the same for all packets of the shape.
#[derive(Debug, Clone, Copy)]
struct Part {
    what: What,
    shape: Shape,
    place: Place,
    bits: Bits,
    start: u32,
    value: u32,
    end: u32,
}

/// What has to be written anew of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Its place and its value.
    All,
    /// Only its value.
    Value,
}

/// The layers of one packet, as they were written.
#[derive(Debug, Default)]
pub(super) struct Template {
    parts: Vec<Part>,
    text: Vec<u8>,
    fields: usize,
    notes: usize,
}

impl Template {
    /// Writes the layers of a packet of this shape: `write` is asked for what is not the same.
    ///
    /// False if the packet has another shape; what was written then is worth nothing.
    pub(super) fn again(
        &self,
        event: &Event<'_>,
        out: &mut Vec<u8>,
        mut write: impl FnMut(What, Change, &mut Vec<u8>),
    ) -> bool {
        if self.fields != event.fields.len() || self.notes != event.notes.len() {
            return false;
        }
        let (mut buf, mut buffer) = (BufId::FRAME, event.bytes(BufId::FRAME));
        let mut copied = 0;
        for part in &self.parts {
            let (shape, place, bits) = match part.what {
                What::Layer(index) => match event.layers.get(index as usize) {
                    Some(layer) => (Shape::layer(layer), place_of(layer), Some([0, 0])),
                    None => return false,
                },
                What::Field(index) => match event.fields.get(index as usize) {
                    Some(field) => {
                        if field.buf != buf {
                            buf = field.buf;
                            buffer = event.bytes(buf);
                        }
                        let place = (field.buf, field.start, field.bits);
                        (Shape::field(field), place, bits_of(field, buffer))
                    }
                    None => return false,
                },
                What::Note(index) => match event.notes.get(index as usize) {
                    Some(note) => (Shape::note(note), Place::default(), bits_of_note(note)),
                    None => return false,
                },
            };
            if shape != part.shape {
                return false;
            }
            let (from, change) = if place != part.place {
                (part.start, Change::All)
            } else if bits.is_none() || bits != part.bits {
                (part.value, Change::Value)
            } else {
                continue;
            };
            out.extend_from_slice(self.text(copied..from));
            write(part.what, change, out);
            copied = part.end;
        }
        out.extend_from_slice(self.text(copied..self.text.len() as u32));
        true
    }

    fn text(&self, range: Range<u32>) -> &[u8] {
        let range = range.start as usize..range.end as usize;
        self.text.get(range).unwrap_or(&[])
    }
}

/// The shapes that have been written, and the one that is being written.
#[derive(Debug, Default)]
pub(super) struct Memo {
    slots: Vec<Template>,
    parts: Vec<Part>,
    /// Where the layers begin in the output.
    begin: usize,
}

impl Memo {
    /// What was written of a packet that is probably like this one.
    #[inline]
    pub(super) fn find(&self, event: &Event<'_>) -> Option<&Template> {
        if event.stops.is_empty() {
            self.slots.get(slot(event))
        } else {
            None
        }
    }

    /// The layers of a new shape are written from here on.
    pub(super) fn begin(&mut self, at: usize) {
        self.parts.clear();
        self.begin = at;
    }

    /// A part was written, which began at `start`, its value at `value`, and ends at `end`.
    pub(super) fn part(&mut self, event: &Event<'_>, what: What, [start, value, end]: [usize; 3]) {
        let (shape, place, bits) = match what {
            What::Layer(index) => match event.layers.get(index as usize) {
                Some(layer) => (Shape::layer(layer), place_of(layer), Some([0, 0])),
                None => return,
            },
            What::Field(index) => match event.fields.get(index as usize) {
                Some(field) => (
                    Shape::field(field),
                    (field.buf, field.start, field.bits),
                    bits_of(field, event.bytes(field.buf)),
                ),
                None => return,
            },
            What::Note(index) => match event.notes.get(index as usize) {
                Some(note) => (Shape::note(note), Place::default(), bits_of_note(note)),
                None => return,
            },
        };
        let at = |place: usize| place.saturating_sub(self.begin) as u32;
        self.parts.push(Part {
            what,
            shape,
            place,
            bits,
            start: at(start),
            value: at(value),
            end: at(end),
        });
    }

    /// Remembers the layers that have been written.
    pub(super) fn keep(&mut self, event: &Event<'_>, out: &[u8]) {
        let text = out.get(self.begin..).unwrap_or(&[]);
        let all = event.layers.len() + event.fields.len() + event.notes.len();
        if text.len() > MAX_TEXT
            || self.parts.len() > MAX_PARTS
            || self.parts.len() != all
            || !event.stops.is_empty()
        {
            return;
        }
        if self.slots.is_empty() {
            self.slots.resize_with(SHAPES, Template::default);
        }
        if let Some(template) = self.slots.get_mut(slot(event)) {
            template.parts.clone_from(&self.parts);
            template.text.clear();
            template.text.extend_from_slice(text);
            template.fields = event.fields.len();
            template.notes = event.notes.len();
        }
    }
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
