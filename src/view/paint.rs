//! The painting tools of every view: how it shall look ([`Look`], decided once) and where it is written ([`Out`]).
//!
//! Writing is where a packet printer spends its time. So nothing here formats: every push copies bytes into one reused
//! buffer, the escape sequences are made once, and the column is counted along, so that padding is one slice copy.

use std::io::{self, Write};

mod look;

use look::in_ascii;

use crate::text;
pub use look::{Glyphs, Look, MAX_AUTO_WIDTH, MIN_WIDTH, Role, When, Wish, decide};

/// Where a view writes: one buffer, reused, that knows in which column of the screen it stands.
#[derive(Debug)]
pub struct Out {
    look: Look,
    buf: Vec<u8>,
    column: usize,
}

impl Out {
    /// An empty one.
    #[must_use]
    pub fn new(look: Look) -> Self {
        Self {
            look,
            buf: Vec::with_capacity(64 * 1024),
            column: 0,
        }
    }

    /// How it looks.
    #[must_use]
    pub fn look(&self) -> &Look {
        &self.look
    }

    /// The characters that boxes and marks are drawn with.
    #[must_use]
    pub fn glyphs(&self) -> &'static Glyphs {
        self.look.glyphs
    }

    /// What has been pushed since it was flushed or cleared.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.buf
    }

    /// The buffer itself, for lines that a program reads: no column is counted, and whole lines are to be added.
    pub fn raw(&mut self) -> &mut Vec<u8> {
        &mut self.buf
    }

    /// Forgets what has been pushed.
    pub fn clear(&mut self) {
        self.buf.clear();
        self.column = 0;
    }

    /// Hands on everything that has been pushed, in one write.
    ///
    /// # Errors
    /// Those of the writer. What was pushed is forgotten in any case.
    pub fn flush_to(&mut self, to: &mut (impl Write + ?Sized)) -> io::Result<()> {
        let result = to.write_all(&self.buf).and_then(|()| to.flush());
        self.buf.clear();
        result
    }

    /// In which column the next character will stand; the first is 0.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }

    /// How many columns are left in this line.
    #[must_use]
    pub fn room(&self) -> usize {
        self.look.width.saturating_sub(self.column)
    }

    /// Text of our own (from the glossary or the code), as it is; in ASCII if it must be.
    #[inline]
    pub fn text(&mut self, text: &str) {
        if text.is_ascii() {
            self.ascii(text.as_bytes());
        } else {
            self.beyond_ascii(text);
        }
    }

    /// Printable ASCII, as it is.
    #[inline]
    pub fn ascii(&mut self, text: &[u8]) {
        self.buf.extend_from_slice(text);
        self.column += text.len();
    }

    /// A line of printable ASCII with its end, which is not preceded by a space.
    #[inline]
    pub(super) fn whole_line<const LEN: usize>(&mut self, line: &[u8; LEN]) {
        self.buf.extend_from_slice(line);
        self.column = 0;
    }

    /// One printable ASCII character.
    #[inline]
    pub fn byte(&mut self, byte: u8) {
        self.buf.push(byte);
        self.column += 1;
    }

    fn beyond_ascii(&mut self, text: &str) {
        if self.look.ascii {
            for c in text.chars() {
                let text = match c {
                    '\0'..='\x7f' => {
                        self.byte(c as u8);
                        continue;
                    }
                    _ => in_ascii(c),
                };
                self.ascii(text.as_bytes());
            }
        } else {
            self.buf.extend_from_slice(text.as_bytes());
            self.column += self.look.text_width(text);
        }
    }

    /// What was written once by another view into a buffer like this one, which takes up so many columns of its last line.
    #[inline]
    pub(super) fn copy(&mut self, text: &[u8], columns: usize) {
        self.buf.extend_from_slice(text);
        self.column = columns;
    }

    /// A number in decimal.
    #[inline]
    pub fn number(&mut self, n: u64) {
        let mut digits = itoa::Buffer::new();
        self.ascii(digits.format(n).as_bytes());
    }

    /// An IPv4 address in dots.
    #[inline]
    pub fn ipv4(&mut self, address: [u8; 4]) {
        let (text, len) = dotted(address);
        self.ascii(text.get(..len).unwrap_or(&[]));
    }

    /// Bytes in hexadecimal, two digits each.
    #[inline]
    pub fn hex_bytes(&mut self, bytes: &[u8]) {
        hex_into(&mut self.buf, bytes);
        self.column += 2 * bytes.len();
    }

    /// A number in decimal with zeros in front, `digits` of them in all.
    pub fn number_padded(&mut self, n: u64, digits: usize) {
        let mut have = 1;
        let mut rest = n / 10;
        while rest > 0 {
            have += 1;
            rest /= 10;
        }
        for _ in have..digits {
            self.byte(b'0');
        }
        self.number(n);
    }

    /// A number in hexadecimal with exactly so many digits (at most 16), without `0x`.
    #[inline]
    pub fn hex(&mut self, n: u64, digits: usize) {
        let mut text = [b'0'; 16];
        let digits = digits.min(16);
        let mut rest = n;
        for place in text.iter_mut().take(digits).rev() {
            *place = hex_digit(rest as u8 & 15);
            rest >>= 4;
        }
        self.ascii(text.get(..digits).unwrap_or(&[]));
    }

    /// Nanoseconds, as seconds with six decimals.
    pub fn seconds(&mut self, nanoseconds: u64) {
        self.number(nanoseconds / 1_000_000_000);
        self.byte(b'.');
        self.number_padded(nanoseconds / 1_000 % 1_000_000, 6);
    }

    /// So many spaces.
    #[inline]
    pub fn spaces(&mut self, n: usize) {
        const SPACES: &[u8; 64] = &[b' '; 64];
        match SPACES.get(..n) {
            Some(spaces) => self.buf.extend_from_slice(spaces),
            None => self.buf.resize(self.buf.len() + n, b' '),
        }
        self.column += n;
    }

    /// Spaces up to that column; none if it is passed already.
    #[inline]
    pub fn to_column(&mut self, column: usize) {
        self.spaces(column.saturating_sub(self.column));
    }

    /// The same glyph again and again, until that column is reached.
    pub fn fill_to(&mut self, column: usize, glyph: &str) {
        let width = if glyph.is_ascii() {
            glyph.len().max(1)
        } else {
            1
        };
        // What is there of them is doubled, until the rest is less than that.
        let begin = self.buf.len();
        let end = begin + glyph.len() * column.saturating_sub(self.column).div_ceil(width);
        if begin < end {
            self.buf.extend_from_slice(glyph.as_bytes());
        }
        while self.buf.len() < end {
            let more = (self.buf.len() - begin).min(end - self.buf.len());
            self.buf.extend_from_within(begin..begin + more);
        }
        self.column += (end - begin) / glyph.len().max(1) * width;
    }

    /// One of the [`Glyphs`]: each takes one column if it is not ASCII.
    #[inline]
    pub fn glyph(&mut self, glyph: &str) {
        self.buf.extend_from_slice(glyph.as_bytes());
        self.column += if glyph.is_ascii() { glyph.len() } else { 1 };
    }

    /// The line at the left that holds together what belongs to one layer, and a space: two columns.
    #[inline]
    pub fn margin(&mut self, role: Role) {
        self.buf
            .extend_from_slice(self.look.style(role).margin.as_bytes());
        self.column += 2;
    }

    /// The end of the line; spaces before it are taken back.
    #[inline]
    pub fn newline(&mut self) {
        while self.buf.last() == Some(&b' ') {
            self.buf.pop();
        }
        self.buf.push(b'\n');
        self.column = 0;
    }

    /// What `write` writes, taken back and given as text, to be wrapped, cut or set flush right. It allocates.
    pub fn aside(&mut self, write: impl FnOnce(&mut Self)) -> String {
        let (mark, column) = (self.buf.len(), self.column);
        write(self);
        let text = String::from_utf8_lossy(self.buf.get(mark..).unwrap_or(&[])).into_owned();
        self.buf.truncate(mark);
        self.column = column;
        text
    }

    /// From here on in that colour.
    #[inline]
    pub fn start(&mut self, role: Role) {
        self.buf
            .extend_from_slice(self.look.style(role).start.as_bytes());
    }

    /// From here on as before [`Out::start`] of the same role.
    #[inline]
    pub fn end(&mut self, role: Role) {
        self.buf
            .extend_from_slice(self.look.style(role).end.as_bytes());
    }

    /// Text of our own in a colour.
    #[inline]
    pub fn paint(&mut self, role: Role, text: &str) {
        self.start(role);
        self.text(text);
        self.end(role);
    }

    /// Text from the wire, made harmless, in at most `columns` columns. Says whether all of it had room.
    ///
    /// Nothing in it can steer the terminal or reorder the line: control characters, escape sequences, direction
    /// overrides and invisible characters are written out (`\x1b`, `\u{202e}`), and so are bytes that are not UTF-8.
    pub fn wire(&mut self, bytes: &[u8], columns: usize) -> bool {
        let limit = self.column + columns;
        // A character has at most four bytes, so no more can be needed; it also bounds what takes up no column.
        let seen = bytes.get(..columns * 4).unwrap_or(bytes);
        let cut = seen.len() < bytes.len();
        // Most of it is plain ASCII, which is shown as it is.
        let plain = |byte: &&u8| is_plain(**byte);
        let len = plain_len(seen.get(..columns).unwrap_or(seen));
        let (start, seen) = seen.split_at(len);
        self.ascii(start);
        match seen.first() {
            None => return !cut,
            Some(next) if len == columns && plain(&next) => return false,
            Some(_) => {}
        }
        let mut chunks = seen.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            for c in chunk.valid().chars() {
                if !self.wire_char(c, limit) {
                    return false;
                }
            }
            if cut && chunks.peek().is_none() {
                // Perhaps not wrong at all, only cut in two.
                return false;
            }
            for byte in chunk.invalid() {
                if self.column + 4 > limit {
                    return false;
                }
                self.ascii(b"\\x");
                self.hex(u64::from(*byte), 2);
            }
        }
        !cut
    }

    fn wire_char(&mut self, c: char, limit: usize) -> bool {
        let short = match c {
            '\n' => b'n',
            '\r' => b'r',
            '\t' => b't',
            '\\' => b'\\',
            '"' => b'"',
            ' '..='~' => {
                if self.column >= limit {
                    return false;
                }
                self.byte(c as u8);
                return true;
            }
            '\0'..='\x7f' => {
                if self.column + 4 > limit {
                    return false;
                }
                self.ascii(b"\\x");
                self.hex(u64::from(c), 2);
                return true;
            }
            _ if self.look.ascii || hidden(c) => {
                let digits = (32 - (c as u32).leading_zeros() as usize).div_ceil(4);
                if self.column + 4 + digits > limit {
                    return false;
                }
                self.ascii(b"\\u{");
                self.hex(u64::from(c), digits);
                self.byte(b'}');
                return true;
            }
            _ => {
                let width = self.look.char_width(c);
                if self.column + width > limit {
                    return false;
                }
                self.buf
                    .extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                self.column += width;
                return true;
            }
        };
        if self.column + 2 > limit {
            return false;
        }
        self.ascii(&[b'\\', short]);
        true
    }

    /// Text of our own, broken between words: it goes on in this line, and every further line begins with `margin`.
    ///
    /// No line gets wider than the screen; a word that is wider than a line is cut. In plain output nothing is broken: who
    /// reads it aloud takes a line for a sentence, and what shows it breaks lines itself.
    pub fn wrapped(&mut self, text: &str, margin: impl Fn(&mut Self)) {
        if self.look.plain {
            return self.text(text);
        }
        let ascii = text.is_ascii();
        if ascii && text.len() <= self.room() {
            self.ascii(text.as_bytes());
            return;
        }
        let mut rest = text;
        let mut fresh = false;
        loop {
            let cut = if ascii {
                fits_ascii(rest.as_bytes(), self.room(), fresh)
            } else {
                self.fits(rest, fresh)
            };
            let (line, after) = rest.split_at(cut);
            self.text(line.trim_end_matches(' '));
            rest = after.trim_start_matches(' ');
            if rest.is_empty() {
                return;
            }
            self.newline();
            margin(self);
            fresh = true;
        }
    }

    /// How many bytes of `text` fit into the rest of this line without breaking a word.
    ///
    /// On a `fresh` line at least one character does, and a word may be broken where there is no other way.
    fn fits(&self, text: &str, fresh: bool) -> usize {
        let room = self.room();
        let (mut width, mut space, mut whole) = (0, 0, 0);
        for (at, c) in text.char_indices() {
            if c == ' ' {
                space = at;
            }
            width += self.look.char_width(c);
            if width > room {
                return match space {
                    0 if fresh => whole.max(c.len_utf8()),
                    _ => space,
                };
            }
            whole = at + c.len_utf8();
        }
        text.len()
    }

    /// A sentence of the glossary, in which `value` writes what stands for each `{name}`; pairs such as `{byte|bytes}` go by
    /// the number that it wrote last.
    pub fn sentence(&mut self, template: &str, mut value: impl FnMut(&mut Self, &str)) {
        let mut rest = template;
        let mut number = 0..0;
        // Searching for a byte is faster than searching for a character.
        while let Some(at) = memchr::memchr(b'{', rest.as_bytes()) {
            let (before, after) = rest.split_at(at);
            let after = after.get(1..).unwrap_or_default();
            self.text(before);
            let Some((name, after)) = after.split_once('}') else {
                self.byte(b'{');
                rest = after;
                break;
            };
            rest = after;
            let last = self.buf.get(number.clone()).unwrap_or(&[]);
            if let Some(form) = text::form(name, last) {
                self.text(form);
                continue;
            }
            let start = self.buf.len();
            value(self, name);
            number = start..self.buf.len();
        }
        self.text(rest);
    }

    /// A place to come back to.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark {
            len: self.buf.len(),
            column: self.column,
        }
    }

    /// Takes back everything that was pushed since.
    pub fn back_to(&mut self, mark: Mark) {
        self.buf.truncate(mark.len);
        self.column = mark.column;
    }

    /// Takes back what was pushed since, and pushes it again broken into lines. It allocates, so only where it must be.
    pub fn wrap_since(&mut self, mark: Mark, margin: impl Fn(&mut Self)) {
        if self.look.plain {
            return;
        }
        let text = self.buf.get(mark.len..).unwrap_or(&[]);
        let text = String::from_utf8_lossy(text).into_owned();
        self.back_to(mark);
        self.wrapped(&text, margin);
    }

    /// On a terminal, breaks what was written since the mark (a whole line, with its colours) between words where it is
    /// wider than the screen; further lines begin with so many spaces.
    pub fn fit_since(&mut self, mark: Mark, indent: usize) {
        let line = self.buf.get(mark.len..).unwrap_or(&[]);
        if !self.look.terminal || mark.column + line.len() <= self.look.width {
            return;
        }
        let text = String::from_utf8_lossy(line).into_owned();
        self.buf.truncate(mark.len);
        let (mut column, mut last_space) = (mark.column, None);
        let mut escape = false;
        for c in text.chars() {
            if escape || c == '\x1b' {
                // What colours it takes no column; it ends with a letter.
                escape = !(escape && c.is_ascii_alphabetic());
                self.buf
                    .extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            let width = self.look.char_width(c);
            if column + width > self.look.width && c != '\n' {
                // The word goes to the next line, or the line is broken within it.
                let (at, rest) = last_space.take().unwrap_or((self.buf.len(), column));
                let mut gap = vec![b' '; indent + 1];
                if let Some(first) = gap.first_mut() {
                    *first = b'\n';
                }
                let behind = self.buf.split_off(at);
                while self.buf.last() == Some(&b' ') {
                    self.buf.pop();
                }
                self.buf.extend_from_slice(&gap);
                self.buf.extend_from_slice(&behind);
                column = indent + column - rest;
            }
            self.buf
                .extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            column += width;
            if c == ' ' && column > indent + 1 {
                last_space = Some((self.buf.len(), column));
            }
        }
        self.column = if text.ends_with('\n') { 0 } else { column };
    }
}

/// A place in what an [`Out`] holds.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    len: usize,
    column: usize,
}

/// What [`Out::fits`] says, for text that is ASCII: almost all of it.
#[inline]
fn fits_ascii(text: &[u8], room: usize, fresh: bool) -> usize {
    let Some(line) = text.get(..=room) else {
        return text.len();
    };
    match line.iter().rposition(|b| *b == b' ') {
        Some(space) if space > 0 => space,
        _ if fresh => room.max(1),
        _ => 0,
    }
}

/// The lower-case digit of a number below 16.
#[inline]
#[must_use]
pub const fn hex_digit(n: u8) -> u8 {
    // From ten on, the 39 characters that lie between the digits and the letters are skipped.
    b'0' + n + if n > 9 { 39 } else { 0 }
}

/// Both lower-case digits of a byte.
#[inline]
pub(super) fn hex_pair(byte: u8) -> [u8; 2] {
    static PAIRS: [[u8; 2]; 256] = {
        let mut pairs = [[0; 2]; 256];
        let mut n = 0;
        while n < 256 {
            #[allow(
                clippy::indexing_slicing,
                reason = "the compiler runs this, and would say so"
            )]
            {
                pairs[n] = [hex_digit(n as u8 >> 4), hex_digit(n as u8 & 15)];
            }
            n += 1;
        }
        pairs
    };
    PAIRS.get(usize::from(byte)).copied().unwrap_or_default()
}

/// An IPv4 address in dots, and how many characters that are.
#[inline]
pub(super) fn dotted(address: [u8; 4]) -> ([u8; 16], usize) {
    /// The digits of each byte and a dot.
    static PARTS: [[u8; 4]; 256] = {
        let mut parts = [[b'.'; 4]; 256];
        let mut n = 0;
        while n < 256 {
            let digits = [
                b'0' + n as u8 / 100,
                b'0' + n as u8 / 10 % 10,
                b'0' + n as u8 % 10,
            ];
            #[allow(
                clippy::indexing_slicing,
                reason = "the compiler runs this, and would say so"
            )]
            {
                parts[n] = match n {
                    0..10 => [digits[2], b'.', b'.', b'.'],
                    10..100 => [digits[1], digits[2], b'.', b'.'],
                    _ => [digits[0], digits[1], digits[2], b'.'],
                };
            }
            n += 1;
        }
        parts
    };
    let (mut text, mut len) = ([0; 16], 0);
    for byte in address {
        let part = PARTS.get(usize::from(byte)).copied().unwrap_or_default();
        if let Some(place) = text.get_mut(len..).and_then(<[u8]>::first_chunk_mut) {
            *place = part;
        }
        len += 2 + usize::from(byte > 9) + usize::from(byte > 99);
    }
    (text, len - 1)
}

/// Whether a byte is a printable character of ASCII that is shown as it is between quotation marks.
#[inline]
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\')
}

/// How many bytes at the beginning of a text are plain.
pub(super) fn plain_len(text: &[u8]) -> usize {
    // Sixteen are looked at together, without a branch for each.
    let all = |block: &&[u8; 16]| block.iter().fold(true, |all, byte| all & is_plain(*byte));
    let start = text.as_chunks::<16>().0.iter().take_while(all).count() * 16;
    let rest = text.get(start..).unwrap_or(&[]);
    start + rest.iter().take_while(|byte| is_plain(**byte)).count()
}

/// Adds bytes in hexadecimal, two digits each.
pub(super) fn hex_into(out: &mut Vec<u8>, bytes: &[u8]) {
    let (blocks, rest) = bytes.as_chunks::<16>();
    for block in blocks {
        // Sixteen at once, for which a processor has instructions.
        let (high, low) = (
            block.map(|b| hex_digit(b >> 4)),
            block.map(|b| hex_digit(b & 15)),
        );
        let mut text = [0; 32];
        for (place, digits) in text
            .as_chunks_mut::<2>()
            .0
            .iter_mut()
            .zip(high.iter().zip(low))
        {
            *place = [*digits.0, digits.1];
        }
        out.extend_from_slice(&text);
    }
    for byte in rest {
        out.extend_from_slice(&[hex_digit(byte >> 4), hex_digit(byte & 15)]);
    }
}

/// Whether a character is invisible or changes how others are shown, and so must be written out.
fn hidden(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
        | '\u{200b}' | '\u{200c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests;
