//! What packets of one shape have in common, as it was printed once.
//!
//! Packets of a capture are alike: the same fields in the same order, most with the same values. So a packet is first laid
//! out as a [`Plan`], a row a line or more; and if a packet with the same rows was printed before, its text is a [`Template`]:
//! rows whose values are the same are copied, as many at once as stand together, and of the others all but the value is.

use super::paint::Role;
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
    Layer(u32),
    /// Where the next fields stand.
    Buffer(BufId),
    /// A field, by its index.
    Field(u32),
    /// A note, by its index.
    Note(u32),
    /// A stop, by its index.
    Stop(u32),
}

/// What a row has in common with those of all packets of a shape: its definition and its place, as two words.
type Shape = [u64; 2];
/// What it need not have in common.
type Data = [u64; 2];

/// In a shape's second word: the value does not fit into [`Data`], so that nobody can tell whether it is the same.
const UNKNOWN: u64 = 1 << 63;

/// A row that is to be printed.
#[derive(Debug, Clone, Copy)]
struct Item {
    shape: Shape,
    data: Data,
    what: What,
}

/// The rows of a packet.
#[derive(Debug, Default)]
pub(super) struct Plan {
    items: Vec<Item>,
    hash: u64,
}

impl Plan {
    pub(super) fn clear(&mut self) {
        self.items.clear();
        self.hash = 0;
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = What> {
        self.items.iter().map(|item| item.what)
    }

    #[inline]
    fn push(&mut self, what: What, def: usize, place: u64, data: Option<Data>) {
        let place = match data {
            Some(_) => place,
            None => place | UNKNOWN,
        };
        let mixed = (def as u64 ^ place.rotate_left(40)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.hash = self.hash.rotate_left(1) ^ mixed;
        self.items.push(Item {
            shape: [def as u64, place],
            data: data.unwrap_or_default(),
            what,
        });
    }

    /// The heading of a layer.
    pub(super) fn layer(&mut self, index: usize, def: &'static FieldDef, len: usize) {
        let data = Some([len as u64, 0]);
        self.push(What::Layer(index as u32), address(def), 1, data);
    }

    /// The next fields stand in another buffer.
    pub(super) fn buffer(&mut self, event: &Event<'_>, id: BufId) {
        let data = [event.bytes(id).len() as u64, event.buffer_kind(id) as u64];
        let whole = event.pieces(id).is_empty();
        self.push(What::Buffer(id), 0, 2, whole.then_some(data));
    }

    /// A field, by its index.
    #[inline]
    pub(super) fn field(&mut self, index: usize, field: &Field, buffer: &[u8]) {
        let (start, bits) = (field.start as usize, field.bits as usize);
        let heading = matches!(field.def.kind, Kind::Layer | Kind::Group);
        let data = match (field.def.kind, bits) {
            _ if heading => Some([bits as u64, 0]),
            // Its end may be anywhere.
            (Kind::Name, _) => None,
            (_, 0..=64) => Some([read_bits(buffer, start, bits), 0]),
            (_, 65..=128) => Some([
                read_bits(buffer, start, 64),
                read_bits(buffer, start + 64, bits - 64),
            ]),
            _ => None,
        };
        let bits = if heading { 0 } else { bits.min(129) };
        // How far the group is that it stands in; none is as far as can be.
        let parent = (index as u64).wrapping_sub(field.parent.into()) & 0xff_ffff;
        let place = (start & 7) as u64 | (bits as u64) << 3 | parent << 16;
        self.push(What::Field(index as u32), address(field.def), place, data);
    }

    pub(super) fn note(&mut self, index: usize, note: &Note) {
        let (place, data) = match note.value {
            Fact::Present => (3, [0, 0]),
            Fact::Uint(n) => (4, [n, 0]),
            Fact::Bytes(bytes, len) => (
                8 + u64::from(len),
                [read_bits(&bytes, 0, 64), read_bits(&bytes, 64, 64)],
            ),
        };
        self.push(
            What::Note(index as u32),
            address(note.def),
            place,
            Some(data),
        );
    }

    pub(super) fn stop(&mut self, index: usize) {
        self.push(What::Stop(index as u32), 0, 5, None);
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
    /// The colour of its layer.
    pub(super) role: Role,
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
        let mut both = self.items.iter().zip(&plan.items);
        self.items.len() == plan.items.len() && both.all(|(a, b)| a.shape == b.shape)
    }

    /// The rows that would not be printed again in the same way.
    #[inline]
    pub(super) fn changed(&self, plan: &Plan) -> impl Iterator<Item = (What, &Row)> {
        let both = self.items.iter().zip(&plan.items).zip(&self.rows);
        both.filter(|((was, is), _)| was.data != is.data || is.shape[1] & UNKNOWN != 0)
            .map(|((_, is), row)| (is.what, row))
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
    (plan.hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize % SHAPES
}
