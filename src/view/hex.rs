//! `-x`: the bytes of a packet, and of everything it completed, in hexadecimal, each row belonging to one layer.
//!
//! ```text
//! I 0000  45 00 00 41 00 00 40 00 40 06 28 9f 01 02 03 04  E..A..@.@.(.....
//! I 0010  05 06 07 08                                      ....
//! T 0014  c0 00 1f 90 00 00 00 01 00 00 00 02 50 18 ff ff  ............P...
//! ```
//!
//! Where a layer ends the row ends, so that the letter (and the colour, which never stands alone) is true for each byte.

use super::cover::{Cover, Run};
use super::detail::{name_of, packets};
use super::paint::{Out, Role, hex_digit, hex_pair};
use super::value::Words;
use crate::packet::{BufId, BufKind, Event};
use crate::text::Glossary;

/// Prints hex dumps.
#[derive(Debug)]
pub struct Dump<'g> {
    glossary: &'g Glossary,
    words: Words<'g>,
}

impl<'g> Dump<'g> {
    /// One with the words of that glossary.
    #[must_use]
    pub fn new(glossary: &'g Glossary) -> Self {
        Self {
            glossary,
            words: Words::new(glossary),
        }
    }

    /// Every buffer of the event, which `cover` has looked at: the frame, then what was put together and what was opened.
    pub(super) fn print(&self, out: &mut Out, event: &Event<'_>, cover: &mut Cover) {
        for id in (0..event.buffer_count()).map(|id| BufId(id as u16)) {
            if !event.bytes(id).is_empty() {
                self.title(out, event, id);
                self.rows(out, event, event.bytes(id), cover.of_buffer(event, id));
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

    fn rows(&self, out: &mut Out, event: &Event<'_>, bytes: &[u8], runs: &[Run]) {
        // Letter, offset and gaps take 10 columns; a byte takes three, and one more in the text at the right.
        let per_row = match out.look().width {
            width if width >= 10 + 16 * 4 => 16,
            width if width >= 10 + 8 * 4 => 8,
            _ => 4,
        };
        let mut row = Row::new(per_row, bytes.len());
        for run in runs {
            let layer = run.layer().and_then(|index| event.layers.get(index));
            let (role, name, letter) = match layer {
                Some(layer) => {
                    let role = Role::of_layer(layer.def.key);
                    let entry = self.glossary.of(layer.def);
                    (role, name_of(entry, layer.def), role.letter())
                }
                None => (Role::Data, self.glossary.say("say.detail.hex.nobody"), b'?'),
            };
            let own = bytes.get(run.bytes()).unwrap_or(&[]);
            if out.look().plain {
                let places = (run.bytes().start..).step_by(per_row);
                for (at, bytes) in places.zip(own.chunks(per_row)) {
                    self.spoken(out, at, bytes, name);
                }
                continue;
            }
            // The layer's name, once where it begins.
            out.start(role);
            out.byte(letter);
            out.byte(b' ');
            out.text(name);
            out.end(role);
            out.newline();
            row.letter(letter);
            let (mut at, mut rest) = (run.bytes().start, own);
            if per_row == 16 && !out.look().color {
                let (whole, behind) = own.as_chunks::<16>();
                for bytes in whole {
                    row.whole(out, at, bytes);
                    at += 16;
                }
                rest = behind;
            }
            for (at, bytes) in (at..).step_by(per_row).zip(rest.chunks(per_row)) {
                out.start(role);
                out.ascii(row.of(at, bytes));
                out.end(role);
                out.newline();
            }
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

/// A row of the dump, in the place where one after the other is put together: only what changes is written.
struct Row {
    /// Letter, space, six digits, two spaces; sixteen cells and a space; sixteen characters, and the end of the line.
    text: [u8; Self::CELLS + 16 * 3 + 1 + 16 + 1],
    per_row: usize,
    /// Where it begins: an offset of four digits takes two columns less.
    begin: usize,
}

impl Row {
    const CELLS: usize = 2 + 6 + 2;

    /// For a buffer of so many bytes.
    fn new(per_row: usize, len: usize) -> Self {
        let mut text = [b' '; Self::CELLS + 16 * 3 + 1 + 16 + 1];
        let [.., end] = &mut text;
        *end = b'\n';
        Self {
            text,
            per_row,
            begin: if len > 0xffff { 0 } else { 2 },
        }
    }

    /// The rows that follow begin with this letter.
    fn letter(&mut self, letter: u8) {
        if let Some(place) = self.text.get_mut(self.begin) {
            *place = letter;
        }
    }

    #[inline]
    fn offset(&mut self, at: usize) {
        let [_, high, middle, low] = (at as u32).to_be_bytes().map(hex_pair);
        let [_, _, a, b, c, d, e, f, ..] = &mut self.text;
        if self.begin == 0 {
            [*a, *b] = high;
        }
        ([*c, *d], [*e, *f]) = (middle, low);
    }

    /// Writes the row of sixteen bytes at `at`: for a known number of bytes there are faster instructions.
    #[inline]
    fn whole(&mut self, out: &mut Out, at: usize, bytes: &[u8; 16]) {
        let [.., last] = *bytes;
        self.offset(at);
        let [_, _, _, _, _, _, _, _, _, _, rest @ ..] = &mut self.text;
        let (cells, characters) = rest.split_at_mut(16 * 3 + 1);
        fill(cells, bytes);
        if let Some(characters) = characters.first_chunk_mut::<16>() {
            *characters = bytes.map(character);
        }
        match self.text.last_chunk::<74>() {
            // Spaces at the end of a line are left out.
            _ if last == b' ' => {
                let end = self.text.len() - 1;
                out.ascii(self.text.get(self.begin..end).unwrap_or(&[]));
                out.newline();
            }
            Some(short) if self.begin > 0 => out.whole_line(short),
            _ => out.whole_line(&self.text),
        }
    }

    /// The row of the bytes at `at`: at most as many as there are in a row.
    fn of(&mut self, at: usize, bytes: &[u8]) -> &[u8] {
        self.offset(at);
        let characters_at = Self::CELLS + self.per_row * 3 + 1;
        let end = (characters_at + bytes.len()).min(self.text.len() - 1);
        let cells = self.text.get_mut(Self::CELLS..end).unwrap_or_default();
        cells.fill(b' ');
        fill(cells, bytes);
        let characters = self.text.get_mut(characters_at..end).unwrap_or_default();
        for (place, byte) in characters.iter_mut().zip(bytes) {
            *place = character(*byte);
        }
        self.text.get(self.begin..end).unwrap_or(&[])
    }
}

/// Two digits for each byte, and a space that stands there already.
#[inline]
fn fill(cells: &mut [u8], bytes: &[u8]) {
    for ([high, low, _], byte) in cells.as_chunks_mut::<3>().0.iter_mut().zip(bytes) {
        [*high, *low] = hex_pair(*byte);
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
