//! The painting tools of every view: how it shall look ([`Look`], decided once) and where it is written ([`Out`]).
//!
//! Writing is where a packet printer spends its time. So nothing here formats: every push copies bytes into one reused
//! buffer, the escape sequences are made once, and the column is counted along, so that padding is one slice copy.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use colored::{ColoredString, Colorize};
use unicode_width::UnicodeWidthChar;

/// The narrowest screen that is laid out for.
pub const MIN_WIDTH: usize = 40;
/// The widest that is chosen unasked: longer lines are hard to read.
pub const MAX_AUTO_WIDTH: usize = 120;

/// The value of `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum When {
    /// What the environment and the terminal say.
    #[default]
    Auto,
    /// Colours in any case.
    Always,
    /// No colours in any case.
    Never,
}

/// What the flags ask for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wish {
    /// `--color`
    pub color: When,
    /// `--ascii`
    pub ascii: bool,
    /// `--plain`
    pub plain: bool,
    /// `--width`
    pub width: Option<usize>,
}

/// How everything shall look.
#[derive(Debug, Clone)]
pub struct Look {
    /// Whether there are colours.
    pub color: bool,
    /// Whether only ASCII may be written.
    pub ascii: bool,
    /// Whether it is for the ear: no boxes, no columns, one labelled sentence a line.
    pub plain: bool,
    /// How many columns a line may have.
    pub width: usize,
    /// Whether it is a terminal, where a long line is broken; for `grep` it is not.
    pub terminal: bool,
    /// The characters that boxes and marks are drawn with.
    pub glyphs: &'static Glyphs,
    palette: [Style; Role::COUNT],
}

impl Look {
    /// How it shall look on this process's standard output.
    #[must_use]
    pub fn for_stdout(wish: Wish) -> Self {
        let env = |name: &str| std::env::var(name).ok();
        let is_terminal = io::IsTerminal::is_terminal(&io::stdout());
        let columns = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        Self {
            terminal: is_terminal,
            ..Self::new(wish, decide(wish.color, env, is_terminal), columns)
        }
    }

    /// How it shall look with colours or without, on a terminal with so many columns (80 if that is not known).
    #[must_use]
    pub fn new(wish: Wish, color: bool, columns: Option<usize>) -> Self {
        let glyphs = if wish.ascii { &ASCII } else { &UNICODE };
        let auto = columns.unwrap_or(80).min(MAX_AUTO_WIDTH);
        Self {
            color,
            ascii: wish.ascii,
            plain: wish.plain,
            width: wish.width.unwrap_or(auto).max(MIN_WIDTH),
            terminal: false,
            glyphs,
            palette: palette(color, glyphs.vertical),
        }
    }

    /// How many columns a character takes on the screen; never less than it really does.
    #[must_use]
    pub fn char_width(&self, c: char) -> usize {
        match c {
            ' '..='~' => 1,
            // The variation selector makes the character before it an emoji, which is twice as wide.
            '\u{fe0f}' if !self.ascii => 1,
            _ if self.ascii => in_ascii(c).len(),
            _ => c.width().unwrap_or(0),
        }
    }

    /// How many columns a text takes on the screen.
    #[must_use]
    pub fn text_width(&self, text: &str) -> usize {
        if text.is_ascii() {
            return text.len();
        }
        text.chars().map(|c| self.char_width(c)).sum()
    }

    fn style(&self, role: Role) -> &Style {
        static NONE: Style = Style {
            start: String::new(),
            end: String::new(),
            margin: String::new(),
        };
        self.palette.get(role as usize).unwrap_or(&NONE)
    }
}

/// Whether there shall be colours: the flag decides, then `NO_COLOR`, then `CLICOLOR_FORCE`, then the terminal.
#[must_use]
pub fn decide(flag: When, env: impl Fn(&str) -> Option<String>, is_terminal: bool) -> bool {
    let set = |name: &str| env(name).filter(|value| !value.is_empty());
    match flag {
        When::Always => true,
        When::Never => false,
        When::Auto if set("NO_COLOR").is_some() => false,
        When::Auto if set("CLICOLOR_FORCE").is_some_and(|value| value != "0") => true,
        When::Auto => is_terminal && env("TERM").as_deref() != Some("dumb"),
    }
}

/// What a piece of text is on the screen, which decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Role {
    /// The link below IP.
    Link,
    /// IP, of either version.
    Ip,
    /// TCP, and whatever stands in its place.
    Tcp,
    /// TLS.
    Tls,
    /// The application.
    App,
    /// Bytes that nobody decoded.
    #[default]
    Data,
    /// A verdict that is good.
    Good,
    /// A verdict that is bad, a layer that stops.
    Bad,
    /// Something to look at twice.
    Warn,
    /// A heading.
    Heading,
    /// A value, which stands out from its name.
    Value,
    /// What was computed, not read.
    Computed,
    /// What may be passed over.
    Dim,
}

impl Role {
    const COUNT: usize = 13;
    const ALL: [Self; Self::COUNT] = [
        Self::Link,
        Self::Ip,
        Self::Tcp,
        Self::Tls,
        Self::App,
        Self::Data,
        Self::Good,
        Self::Bad,
        Self::Warn,
        Self::Heading,
        Self::Value,
        Self::Computed,
        Self::Dim,
    ];

    /// The role of a layer, by its key.
    #[must_use]
    pub fn of_layer(key: &str) -> Self {
        match key {
            "ip" | "ipv6" | "icmp" | "icmpv6" => Self::Ip,
            "tcp" | "udp" => Self::Tcp,
            "tls" => Self::Tls,
            "eth" | "vlan" | "ieee8021ad" | "sll" | "null" | "arp" => Self::Link,
            "data" => Self::Data,
            _ => Self::App,
        }
    }

    /// The letter that says in black and white what the colour says.
    #[must_use]
    pub fn letter(self) -> u8 {
        match self {
            Self::Link => b'L',
            Self::Ip => b'I',
            Self::Tcp => b'T',
            Self::Tls => b'S',
            Self::App => b'A',
            Self::Data => b'D',
            _ => b'?',
        }
    }

    /// A colour of the 256 that stands out from white and from black alike (a test measures that), or none.
    fn color(self) -> Option<u8> {
        match self {
            Self::Link => Some(131),
            Self::Ip => Some(33),
            Self::Tcp => Some(29),
            Self::Tls => Some(133),
            Self::App => Some(166),
            Self::Data => Some(244),
            Self::Good => Some(28),
            Self::Bad => Some(161),
            Self::Warn => Some(130),
            Self::Computed => Some(30),
            Self::Heading | Self::Value | Self::Dim => None,
        }
    }

    fn styled(self, text: &str) -> ColoredString {
        let text = match self.color() {
            Some(color) => text.ansi_color(color),
            None => text.normal(),
        };
        match self {
            Self::Heading | Self::Value | Self::Bad | Self::Good => text.bold(),
            Self::Dim => text.dimmed(),
            _ => text,
        }
    }
}

/// What to write before and after a painted text (both empty without colours), and a painted margin.
#[derive(Debug, Clone)]
struct Style {
    start: String,
    end: String,
    margin: String,
}

/// Lets `colored` paint a NUL in each role, and keeps what stands before and after it.
fn palette(color: bool, vertical: &str) -> [Style; Role::COUNT] {
    // The switch belongs to the whole process: nobody may turn it while the styles are made.
    static SWITCH: Mutex<()> = Mutex::new(());
    let _held = SWITCH.lock().unwrap_or_else(PoisonError::into_inner);
    colored::control::set_override(color);
    Role::ALL.map(|role| {
        let painted = role.styled("\0").to_string();
        let (start, end) = painted.split_once('\0').unwrap_or_default();
        Style {
            start: start.to_owned(),
            end: end.to_owned(),
            margin: [start, vertical, end, " "].concat(),
        }
    })
}

/// The characters of boxes, marks and arrows.
#[derive(Debug)]
#[allow(
    missing_docs,
    reason = "the names say it, and the two lists below show it"
)]
pub struct Glyphs {
    pub horizontal: &'static str,
    pub heavy: &'static str,
    pub vertical: &'static str,
    pub dashed: &'static str,
    pub top_left: &'static str,
    pub top_right: &'static str,
    pub bottom_left: &'static str,
    pub bottom_right: &'static str,
    pub tee_left: &'static str,
    pub tee_right: &'static str,
    pub tee_down: &'static str,
    pub tee_up: &'static str,
    pub cross: &'static str,
    pub right: &'static str,
    pub arrow_right: &'static str,
    pub arrow_left: &'static str,
    pub left: &'static str,
    pub up: &'static str,
    pub down: &'static str,
    pub good: &'static str,
    pub bad: &'static str,
    pub dot: &'static str,
    pub ellipsis: &'static str,
}

/// The box-drawing characters of Unicode.
pub static UNICODE: Glyphs = Glyphs {
    horizontal: "─",
    heavy: "━",
    vertical: "│",
    dashed: "┊",
    top_left: "┌",
    top_right: "┐",
    bottom_left: "└",
    bottom_right: "┘",
    tee_left: "┤",
    tee_right: "├",
    tee_down: "┬",
    tee_up: "┴",
    cross: "┼",
    right: "→",
    arrow_right: "▶",
    arrow_left: "◀",
    left: "←",
    up: "▲",
    down: "▼",
    good: "✓",
    bad: "✗",
    dot: "·",
    ellipsis: "…",
};

/// The same in ASCII.
pub static ASCII: Glyphs = Glyphs {
    horizontal: "-",
    heavy: "=",
    vertical: "|",
    dashed: ":",
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    tee_left: "+",
    tee_right: "+",
    tee_down: "+",
    tee_up: "+",
    cross: "+",
    right: "->",
    arrow_right: ">",
    arrow_left: "<",
    left: "<-",
    up: "^",
    down: "v",
    good: "ok",
    bad: "BAD",
    dot: "-",
    ellipsis: "...",
};

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
        while self.column < column {
            self.buf.extend_from_slice(glyph.as_bytes());
            self.column += width;
        }
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
    /// No line gets wider than the screen; a word that is wider than a line is cut.
    pub fn wrapped(&mut self, text: &str, margin: impl Fn(&mut Self)) {
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

    /// A sentence of the glossary, in which `value` writes what stands for each `{name}`.
    pub fn sentence(&mut self, template: &str, mut value: impl FnMut(&mut Self, &str)) {
        let mut rest = template;
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
            value(self, name);
            rest = after;
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
pub fn hex_digit(n: u8) -> u8 {
    // From ten on, the 39 characters that lie between the digits and the letters are skipped.
    b'0' + n + if n > 9 { 39 } else { 0 }
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

/// The nearest ASCII for the characters that our own words use.
fn in_ascii(c: char) -> &'static str {
    match c {
        '→' => "->",
        '←' => "<-",
        '↔' => "<->",
        '…' => "...",
        '–' | '—' | '−' | '‑' | '─' => "-",
        '‘' | '’' => "'",
        '“' | '”' | '„' => "\"",
        '×' => "x",
        '·' | '•' => "-",
        '✓' => "ok",
        '✗' => "BAD",
        '▲' => "^",
        '▼' => "v",
        '⋮' => ":",
        '≤' => "<=",
        '≥' => ">=",
        '≠' => "/=",
        '\u{a0}' => " ",
        '§' => "section ",
        'ä' | 'á' | 'à' | 'â' => "a",
        'é' | 'è' | 'ê' | 'ë' => "e",
        'ï' | 'í' | 'î' => "i",
        'ö' | 'ó' | 'ô' => "o",
        'ü' | 'ú' | 'û' => "u",
        'ß' => "ss",
        _ => "?",
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests {
    use proptest::prelude::*;
    use unicode_width::UnicodeWidthStr;

    use super::*;
    use crate::view::samples::text;

    fn out(ascii: bool, width: usize) -> Out {
        let wish = Wish {
            ascii,
            width: Some(width),
            ..Wish::default()
        };
        Out::new(Look::new(wish, false, None))
    }

    fn wire(bytes: &[u8], ascii: bool, columns: usize) -> (String, bool) {
        let mut out = out(ascii, 80);
        let all = out.wire(bytes, columns);
        (text(&out).to_owned(), all)
    }

    #[test]
    fn colours_are_decided_by_flag_then_environment_then_terminal() {
        use When::{Always, Auto, Never};
        type Env = &'static [(&'static str, &'static str)];
        let cases: &[(When, Env, bool, bool)] = &[
            (Auto, &[], true, true),
            (Auto, &[], false, false),
            (Auto, &[("TERM", "dumb")], true, false),
            (Auto, &[("TERM", "xterm")], true, true),
            (Auto, &[("NO_COLOR", "1")], true, false),
            (Auto, &[("NO_COLOR", "")], true, true),
            (
                Auto,
                &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")],
                true,
                false,
            ),
            (
                Auto,
                &[("NO_COLOR", ""), ("CLICOLOR_FORCE", "1")],
                false,
                true,
            ),
            (Auto, &[("CLICOLOR_FORCE", "1")], false, true),
            (Auto, &[("CLICOLOR_FORCE", "0")], false, false),
            (Auto, &[("CLICOLOR_FORCE", "")], false, false),
            (
                Auto,
                &[("CLICOLOR_FORCE", "1"), ("TERM", "dumb")],
                false,
                true,
            ),
            (Always, &[("NO_COLOR", "1"), ("TERM", "dumb")], false, true),
            (Never, &[("CLICOLOR_FORCE", "1")], true, false),
        ];
        for (flag, env, is_terminal, expected) in cases {
            let lookup = |name: &str| {
                let found = env.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let decided = decide(*flag, lookup, *is_terminal);
            assert_eq!(
                decided, *expected,
                "{flag:?} {env:?} terminal: {is_terminal}"
            );
        }
    }

    /// WCAG's contrast ratio of two luminances.
    fn contrast(a: f64, b: f64) -> f64 {
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// The relative luminance of a colour of the 256, from 16 on.
    fn luminance(color: u8) -> f64 {
        let levels = [0_u8, 95, 135, 175, 215, 255];
        let rgb = if color >= 232 {
            [8 + (color - 232) * 10; 3]
        } else {
            let n = usize::from(color - 16);
            [levels[n / 36], levels[n / 6 % 6], levels[n % 6]]
        };
        let linear = rgb.map(|c| {
            let c = f64::from(c) / 255.0;
            if c <= 0.04045 {
                c / 12.92
            } else {
                ((c + 0.055) / 1.055).powf(2.4)
            }
        });
        linear[0] * 0.2126 + linear[1] * 0.7152 + linear[2] * 0.0722
    }

    #[test]
    fn every_colour_can_be_read_on_white_and_on_black() {
        for role in Role::ALL {
            if let Some(color) = role.color() {
                let of = luminance(color);
                let (white, black) = (contrast(of, 1.0), contrast(of, 0.0));
                assert!(
                    white > 3.5 && black > 3.5,
                    "{role:?}: {white:.1} {black:.1}"
                );
            }
        }
    }

    #[test]
    fn the_styles_are_those_of_the_crate_and_empty_without_colours() {
        let look = Look::new(Wish::default(), true, None);
        assert_eq!(look.style(Role::Ip).start, "\x1b[38;5;33m");
        assert_eq!(look.style(Role::Ip).end, "\x1b[0m");
        assert_eq!(look.style(Role::Dim).start, "\x1b[2m");
        for (i, role) in Role::ALL.iter().enumerate() {
            assert_eq!(*role as usize, i);
            assert!(!look.style(*role).start.is_empty());
        }
        let look = Look::new(Wish::default(), false, None);
        assert_eq!(look.style(Role::Ip).start, "");
        assert_eq!(look.style(Role::Ip).margin, "│ ");
    }

    #[test]
    fn nothing_from_the_wire_can_steer_the_terminal() {
        let hostile = "\x1b[2J\x07\u{9b}31m\u{202e}a\u{200b}\u{e0041}\r\n\x7f";
        let (shown, all) = wire(hostile.as_bytes(), false, 80);
        assert_eq!(
            shown,
            r"\x1b[2J\x07\u{9b}31m\u{202e}a\u{200b}\u{e0041}\r\n\x7f"
        );
        assert!(all);
        assert_eq!(wire(&[b'a', 0xff, 0xc3], false, 80).0, r"a\xff\xc3");
        assert_eq!(wire("é日".as_bytes(), false, 80).0, "é日");
        assert_eq!(wire("é日".as_bytes(), true, 80).0, r"\u{e9}\u{65e5}");
    }

    #[test]
    fn text_from_the_wire_keeps_to_its_columns() {
        assert_eq!(wire(b"abcdef", false, 6), ("abcdef".to_owned(), true));
        assert_eq!(wire(b"abcdefg", false, 6), ("abcdef".to_owned(), false));
        assert_eq!(
            wire("日本語".as_bytes(), false, 5),
            ("日本".to_owned(), false)
        );
        assert_eq!(wire(b"abc\x1b", false, 6), ("abc".to_owned(), false));
        // Marks that take up no column are no way to write without end.
        let marks = "\u{301}".repeat(10_000);
        assert!(wire(marks.as_bytes(), false, 60).0.len() <= 240);
    }

    #[test]
    fn one_write_hands_on_everything() {
        let mut out = out(false, 80);
        out.text("abc");
        let mut to = Vec::new();
        out.flush_to(&mut to).unwrap();
        assert_eq!(
            (to.as_slice(), out.bytes()),
            (b"abc".as_slice(), b"".as_slice())
        );
    }

    #[test]
    fn sentences_take_values() {
        let mut out = out(false, 80);
        out.sentence("{a} and {b}{c}, { too", |out, name| match name {
            "a" => out.number(1),
            "b" => out.text("x"),
            _ => {}
        });
        assert_eq!(text(&out), "1 and x, { too");
    }

    proptest! {
        #[test]
        fn numbers_are_those_of_the_standard_library(n: u64, digits in 1_usize..=16) {
            let mut out = out(false, 80);
            out.number(n);
            prop_assert_eq!(text(&out), n.to_string());
            prop_assert_eq!(out.column(), n.to_string().len());
            out.clear();
            out.hex(n, digits);
            let whole = format!("{n:016x}");
            prop_assert_eq!(text(&out), &whole[16 - digits..]);
        }

        #[test]
        fn wrapped_text_stays_on_the_screen_and_whole(
            words in "([a-z,.é日…→❤\u{fe0f}]{0,60} {0,3}){0,12}", ascii: bool, width in 40_usize..90,
        ) {
            let mut out = out(ascii, width);
            out.text("begun ");
            out.wrapped(&words, |out| out.text("| "));
            let shown = text(&out);
            for line in shown.lines() {
                prop_assert!(line.width() <= width, "{}", line);
            }
            if !ascii {
                let letters = |text: &str| text.replace([' ', '|', '\n'], "");
                prop_assert_eq!(letters(shown), format!("begun{}", letters(&words)));
            }
        }
    }

    #[test]
    fn on_a_terminal_a_long_line_goes_on_indented_with_its_colours() {
        let wish = Wish {
            width: Some(40),
            ..Wish::default()
        };
        let look = Look {
            terminal: true,
            ..Look::new(wish, true, None)
        };
        let mut out = Out::new(look);
        let mark = out.mark();
        out.text("one two three ");
        out.paint(Role::Tcp, "four five six seven eight nine ten");
        out.text(" eleven");
        out.newline();
        out.fit_since(mark, 4);
        let text = String::from_utf8(out.bytes().to_vec()).unwrap();
        let mut plain = String::new();
        let mut escape = false;
        for c in text.chars() {
            match c {
                '\x1b' => escape = true,
                _ if escape => escape = !c.is_ascii_alphabetic(),
                _ => plain.push(c),
            }
        }
        assert_eq!(
            plain,
            "one two three four five six seven eight\n    nine ten eleven\n"
        );
        // Elsewhere it stays whole.
        let mut out = Out::new(Look::new(wish, false, None));
        let mark = out.mark();
        out.text(&"word ".repeat(20));
        out.fit_since(mark, 4);
        assert!(!out.bytes().contains(&b'\n'));
    }
}
