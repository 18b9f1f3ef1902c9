//! What packets of one shape have in common, as it was printed once.
//!
//! Packets of a capture are alike: the same fields in the same order, most with the same values. So a packet is first laid
//! out as a [`Plan`], a row a line or more; and if a packet with the same rows was printed before, its text is a [`Template`]:
//! rows whose values are the same are copied, as many at once as stand together, and of the others all but the value is.

use crate::cursor::read_bits;
use crate::packet::{BufId, Event, Fact, Field, FieldDef, Kind, Note};

/// So many shapes are remembered.
const SHAPES: usize = 128;
/// The longest text of one, and the most rows: hostile packets have more, and are all different anyway.
const MAX_TEXT: usize = 64 << 10;
const MAX_ROWS: usize = 512;

/// What stands in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// The heading of a layer, by its index.
    Layer(usize),
    /// Where the next fields stand.
    Buffer(BufId),
    /// A field, by its index.
    Field(usize),
    /// A note, by its index.
    Note(usize),
    /// A stop, by its index.
    Stop(usize),
}

/// A row that is to be printed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub(super) what: What,
    /// What all packets of a shape have in common: definition and place.
    shape: (usize, u64),
    /// What they need not have in common; `None` if that is more than fits here.
    value: Option<[u64; 2]>,
}

/// The rows of a packet.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) items: Vec<Item>,
    hash: u64,
}

impl Plan {
    pub(super) fn clear(&mut self) {
        self.items.clear();
        self.hash = 0;
    }

    #[inline]
    fn push(&mut self, what: What, shape: (usize, u64), value: Option<[u64; 2]>) {
        let mixed = (shape.0 as u64 ^ shape.1.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.hash = (self.hash ^ mixed).rotate_left(23).wrapping_mul(5);
        self.items.push(Item { what, shape, value });
    }

    /// The heading of a layer.
    pub(super) fn layer(&mut self, index: usize, def: &'static FieldDef, len: usize) {
        self.push(What::Layer(index), (address(def), 1), Some([len as u64, 0]));
    }

    /// The next fields stand in another buffer.
    pub(super) fn buffer(&mut self, event: &Event<'_>, id: BufId) {
        let value = [event.bytes(id).len() as u64, event.buffer_kind(id) as u64];
        let whole = event.pieces(id).is_empty();
        self.push(What::Buffer(id), (0, 2), whole.then_some(value));
    }

    /// A field of the layer whose first field has the index `first`.
    #[inline]
    pub(super) fn field(&mut self, index: usize, field: &Field, buffer: &[u8]) {
        let (start, bits) = (field.start as usize, field.bits as usize);
        let value = match (field.def.kind, bits) {
            (Kind::Layer | Kind::Group, _) => Some([bits as u64, 0]),
            // Its end may be anywhere.
            (Kind::Name, _) => None,
            (_, 0..=64) => Some([read_bits(buffer, start, bits), 0]),
            (_, 65..=128) => Some([
                read_bits(buffer, start, 64),
                read_bits(buffer, start + 64, bits - 64),
            ]),
            _ => None,
        };
        let bits = match field.def.kind {
            Kind::Layer | Kind::Group => 0,
            _ => bits.min(129),
        };
        // How far the group is that it stands in; none is as far as can be.
        let parent = (index as u64).wrapping_sub(field.parent.into()) & 0xff_ffff;
        let place = (start & 7) as u64 | (bits as u64) << 3 | parent << 16;
        self.push(What::Field(index), (address(field.def), place), value);
    }

    pub(super) fn note(&mut self, index: usize, note: &Note) {
        let (place, value) = match note.value {
            Fact::Present => (3, [0, 0]),
            Fact::Uint(n) => (4, [n, 0]),
            Fact::Bytes(bytes, len) => (
                8 + u64::from(len),
                [read_bits(&bytes, 0, 64), read_bits(&bytes, 64, 64)],
            ),
        };
        self.push(What::Note(index), (address(note.def), place), Some(value));
    }

    pub(super) fn stop(&mut self, index: usize) {
        self.push(What::Stop(index), (0, 5), None);
    }
}

fn address(def: &'static FieldDef) -> usize {
    core::ptr::from_ref(def).addr()
}

/// Where the parts of a row's text are, and what decides how they look.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Row {
    /// From here to `value` is the name, which ends in the column `column`.
    pub(super) start: usize,
    pub(super) value: usize,
    pub(super) column: usize,
    /// From here to `end` is what follows the value and the space or line break behind it.
    pub(super) rest: usize,
    pub(super) end: usize,
    /// Which named value the rest speaks of (its address), and whether it stands beside the value.
    pub(super) named: usize,
    pub(super) beside: bool,
    /// Whether the rest has something to say about the value.
    pub(super) speaks: bool,
    /// Whether the packet tells of this definition for the first time.
    pub(super) fresh: bool,
}

/// A packet as it was printed.
#[derive(Debug, Default)]
pub(super) struct Template {
    items: Vec<Item>,
    pub(super) rows: Vec<Row>,
    text: Vec<u8>,
}

impl Template {
    fn fits(&self, plan: &Plan) -> bool {
        self.items.len() == plan.items.len()
            && self
                .items
                .iter()
                .zip(&plan.items)
                .all(|(a, b)| a.shape == b.shape)
    }

    /// Whether this row would be printed again in the same way.
    #[inline]
    pub(super) fn has(&self, row: usize, item: &Item) -> bool {
        item.value.is_some()
            && self
                .items
                .get(row)
                .is_some_and(|known| known.value == item.value)
    }

    pub(super) fn text_len(&self) -> usize {
        self.text.len()
    }

    #[inline]
    pub(super) fn text(&self, from: usize, to: usize) -> &[u8] {
        self.text.get(from..to).unwrap_or(&[])
    }
}

/// The shapes that have been printed.
#[derive(Debug, Default)]
pub(super) struct Memo {
    slots: Vec<Template>,
}

impl Memo {
    /// The text of a packet with the same rows, if there was one.
    #[inline]
    pub(super) fn find(&self, plan: &Plan) -> Option<&Template> {
        self.slots
            .get(slot(plan))
            .filter(|template| !plan.items.is_empty() && template.fits(plan))
    }

    /// Remembers how a packet was printed.
    pub(super) fn keep(&mut self, plan: &Plan, rows: &[Row], text: &[u8]) {
        if text.len() > MAX_TEXT || rows.len() > MAX_ROWS || rows.len() != plan.items.len() {
            return;
        }
        if self.slots.is_empty() {
            self.slots.resize_with(SHAPES, Template::default);
        }
        if let Some(template) = self.slots.get_mut(slot(plan)) {
            template.items.clone_from(&plan.items);
            template.rows.clear();
            template.rows.extend_from_slice(rows);
            template.text.clear();
            template.text.extend_from_slice(text);
        }
    }
}

fn slot(plan: &Plan) -> usize {
    (plan.hash >> 40) as usize % SHAPES
}
