//! `-x`: the bytes of a packet, and of everything it completed, in hexadecimal, each row belonging to one layer.
//!
//! ```text
//! I 0000  45 00 00 41 00 00 40 00 40 06 28 9f 01 02 03 04  E..A..@.@.(.....
//! I 0010  05 06 07 08                                      ....
//! T 0014  c0 00 1f 90 00 00 00 01 00 00 00 02 50 18 ff ff  ............P...
//! ```
//!
//! Where a layer ends the row ends, so that the letter (and the colour, which never stands alone) is true for each byte.

use super::detail::{name_of, packets};
use super::paint::{Out, Role, hex_digit};
use super::value::Words;
use crate::packet::{BufId, BufKind, Event};
use crate::text::Glossary;

/// Prints hex dumps.
#[derive(Debug)]
pub struct Dump<'g> {
    glossary: &'g Glossary,
    words: Words<'g>,
    /// For each byte of the buffer in hand: the layer that labels it (its index and one), or 0.
    owners: Vec<u16>,
    /// The same of a buffer that was put together from bytes of the frame.
    stream: Vec<u16>,
}

impl<'g> Dump<'g> {
    /// One with the words of that glossary.
    #[must_use]
    pub fn new(glossary: &'g Glossary) -> Self {
        Self {
            glossary,
            words: Words::new(glossary),
            owners: Vec::new(),
            stream: Vec::new(),
        }
    }

    /// Every buffer of the event: the frame, then what was put together and what was opened.
    pub fn print(&mut self, out: &mut Out, event: &Event<'_>) {
        for id in (0..event.buffer_count()).map(|id| BufId(id as u16)) {
            if event.bytes(id).is_empty() {
                continue;
            }
            let mut owners = std::mem::take(&mut self.owners);
            owners_of(event, id, &mut owners);
            if id == BufId::FRAME {
                self.take_up(event, &mut owners);
            }
            self.title(out, event, id);
            self.rows(out, event, event.bytes(id), &owners);
            self.owners = owners;
        }
    }

    /// Bytes of the frame that a stream's buffer holds too belong to the layer that was decoded there.
    fn take_up(&mut self, event: &Event<'_>, owners: &mut [u16]) {
        for id in (1..event.buffer_count()).map(|id| BufId(id as u16)) {
            if event
                .pieces(id)
                .iter()
                .all(|p| p.frame != event.frame.number)
            {
                continue;
            }
            owners_of(event, id, &mut self.stream);
            for piece in event.pieces(id) {
                if piece.frame != event.frame.number {
                    continue;
                }
                let (at, into, len) = (piece.at as usize, piece.into as usize, piece.len as usize);
                let from = self.stream.get(into..into + len).unwrap_or(&[]);
                for (owner, layer) in owners.iter_mut().skip(at).zip(from) {
                    if *layer != 0 {
                        *owner = *layer;
                    }
                }
            }
        }
    }

    fn title(&self, out: &mut Out, event: &Event<'_>, id: BufId) {
        let key = match event.buffer_kind(id) {
            BufKind::Frame => "say.detail.hex.frame",
            BufKind::Packet => "say.detail.hex.packet",
            BufKind::Stream => "say.detail.hex.stream",
            BufKind::Plain => "say.detail.hex.plain",
            BufKind::Message => "say.detail.hex.message",
        };
        if !out.look().plain {
            out.newline();
        }
        out.start(Role::Heading);
        let mark = out.mark();
        out.sentence(self.glossary.say(key), |out, name| match name {
            "packets" => packets(out, self.glossary, event, id),
            _ => self.words.count(out, event.bytes(id).len()),
        });
        if !out.look().plain && out.column() > out.look().width {
            out.wrap_since(mark, |_| {});
        }
        out.end(Role::Heading);
        out.newline();
    }

    fn rows(&self, out: &mut Out, event: &Event<'_>, bytes: &[u8], owners: &[u16]) {
        // Letter, offset and gaps take 10 columns; a byte takes three, and one more in the text at the right.
        let per_row = if out.look().width >= 10 + 16 * 4 {
            16
        } else {
            4
        };
        let per_row = if out.look().width >= 10 + 8 * 4 {
            per_row.max(8)
        } else {
            per_row
        };
        let digits = if bytes.len() > 0xffff { 6 } else { 4 };
        let (mut at, mut before) = (0, None);
        let (mut role, mut name, mut letter) = (Role::Data, "", b'?');
        while let Some(&owner) = owners.get(at) {
            let rest = owners.get(at..).unwrap_or(&[]);
            let run = match rest.first_chunk::<16>() {
                // Most rows are of one layer: all of it is looked at together, without a branch for each byte.
                Some(all) if all.iter().fold(true, |one, o| one & (*o == owner)) => per_row,
                _ => {
                    let row = rest.iter().take(per_row);
                    row.take_while(|o| **o == owner).count()
                }
            };
            let row = bytes.get(at..at + run).unwrap_or(&[]);
            let begins = before != Some(owner);
            if begins {
                before = Some(owner);
                let layer = usize::from(owner)
                    .checked_sub(1)
                    .and_then(|i| event.layers.get(i));
                (role, name, letter) = match layer {
                    Some(layer) => {
                        let role = Role::of_layer(layer.def.key);
                        let entry = self.glossary.of(layer.def);
                        (role, name_of(entry, layer.def), role.letter())
                    }
                    None => (Role::Data, self.glossary.say("say.detail.hex.nobody"), b'?'),
                };
            }
            if out.look().plain {
                self.spoken(out, at, row, name);
            } else {
                // The layer's name, once where it begins.
                if begins {
                    out.start(role);
                    out.byte(letter);
                    out.byte(b' ');
                    out.text(name);
                    out.end(role);
                    out.newline();
                }
                out.start(role);
                line(out, letter, (at, digits), row, per_row);
                out.end(role);
                out.newline();
            }
            at += run.max(1);
        }
    }

    fn spoken(&self, out: &mut Out, at: usize, row: &[u8], name: &str) {
        let template = self.glossary.say("say.detail.spoken.bytes");
        out.sentence(template, |out, place| match place {
            "first" => out.number(at as u64),
            "last" => out.number((at + row.len()).saturating_sub(1) as u64),
            "name" => out.text(name),
            _ => cells(out, row),
        });
        out.newline();
    }
}

/// Whether that byte of the frame went into another buffer of the event.
pub(super) fn taken_up(event: &Event<'_>, at: usize) -> bool {
    (1..event.buffer_count()).any(|id| {
        event.pieces(BufId(id as u16)).iter().any(|piece| {
            let start = piece.at as usize;
            piece.frame == event.frame.number && (start..start + piece.len as usize).contains(&at)
        })
    })
}

/// For each byte of a buffer the layer whose leaf field labels it (its index and one), or 0.
fn owners_of(event: &Event<'_>, id: BufId, owners: &mut Vec<u16>) {
    owners.clear();
    owners.resize(event.bytes(id).len(), 0);
    for (index, layer) in event.layers.iter().enumerate() {
        let first = layer.fields.start as usize;
        for (i, field) in event.fields_of(layer).iter().enumerate() {
            if field.buf == id
                && event.shows(first + i)
                && let Some(own) = owners.get_mut(field.bytes())
            {
                own.fill(u16::try_from(index + 1).unwrap_or(u16::MAX));
            }
        }
    }
}

/// One row: letter, offset, bytes, and the characters they are. It is put together first and written at once.
fn line(out: &mut Out, letter: u8, (at, digits): (usize, usize), row: &[u8], per_row: usize) {
    // Six digits of the offset, sixteen bytes, and what stands between them.
    let mut text = [b' '; 2 + 6 + 2 + 16 * 3 + 1 + 16];
    let (cells_at, characters_at) = (2 + digits + 2, 2 + digits + 2 + per_row * 3 + 1);
    let [first, _, rest @ ..] = &mut text;
    *first = letter;
    for (i, place) in rest.iter_mut().take(digits).enumerate() {
        *place = hex_digit((at >> (4 * (digits - 1 - i))) as u8 & 15);
    }
    let cells = text.get_mut(cells_at..).unwrap_or_default();
    if let (Some(row), Some(place)) = (row.first_chunk::<16>(), cells.first_chunk_mut::<65>()) {
        full(place, row);
        out.ascii(text.get(..characters_at + 16).unwrap_or(&text));
        return;
    }
    for (place, byte) in cells.as_chunks_mut::<3>().0.iter_mut().zip(row) {
        *place = [hex_digit(byte >> 4), hex_digit(byte & 15), b' '];
    }
    let characters = text.get_mut(characters_at..).unwrap_or_default();
    for (place, byte) in characters.iter_mut().zip(row) {
        *place = character(*byte);
    }
    let end = characters_at + row.len();
    out.ascii(text.get(..end).unwrap_or(&text));
}

/// Cells and characters of a whole row: for a known number of bytes there are faster instructions.
fn full(text: &mut [u8; 65], row: &[u8; 16]) {
    let (high, low) = (
        row.map(|byte| hex_digit(byte >> 4)),
        row.map(|byte| hex_digit(byte & 15)),
    );
    let (cells, characters) = text.split_at_mut(49);
    let digits = high.iter().zip(low);
    for (place, (high, low)) in cells.as_chunks_mut::<3>().0.iter_mut().zip(digits) {
        *place = [*high, low, b' '];
    }
    for (place, byte) in characters.iter_mut().zip(row) {
        *place = character(*byte);
    }
}

fn cells(out: &mut Out, row: &[u8]) {
    for (i, byte) in row.iter().enumerate() {
        let digits = [b' ', hex_digit(byte >> 4), hex_digit(byte & 15)];
        out.ascii(digits.get(usize::from(i == 0)..).unwrap_or(&[]));
    }
}

/// What stands for a byte among the characters.
#[inline]
fn character(byte: u8) -> u8 {
    if matches!(byte, b' '..=b'~') {
        byte
    } else {
        b'.'
    }
}
