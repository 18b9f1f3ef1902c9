//! A value as text: what a field's bytes or a note say, with the name and the unit that the glossary has for it.

use std::io::Write;
use std::net::Ipv6Addr;

use super::paint::Out;
use crate::cursor::read_bits;
use crate::packet::{Fact, Field, Kind, Note, Value};
use crate::text::{Entry, Glossary, NamedValue};

/// The few words that values need, looked up once.
#[derive(Debug, Clone, Copy)]
pub struct Words<'g> {
    glossary: &'g Glossary,
    set: &'g str,
    not_set: &'g str,
    byte: &'g str,
    bytes: &'g str,
}

impl<'g> Words<'g> {
    /// Those of a glossary.
    #[must_use]
    pub fn new(glossary: &'g Glossary) -> Self {
        Self {
            glossary,
            set: glossary.say("say.detail.set"),
            not_set: glossary.say("say.detail.not_set"),
            byte: glossary.say("say.detail.byte"),
            bytes: glossary.say("say.detail.bytes"),
        }
    }

    /// `1 byte`, `40 bytes`.
    pub fn count(&self, out: &mut Out, n: usize) {
        out.number(n as u64);
        out.byte(b' ');
        out.text(if n == 1 { self.byte } else { self.bytes });
    }

    /// The value of a field, in at most `room` columns if it is bytes or text (the name of a number comes whole).
    ///
    /// Gives the named value, which may have a sentence of its own.
    pub fn field(
        &self,
        out: &mut Out,
        entry: &'g Entry,
        field: &Field,
        value: Value<'_>,
        room: usize,
    ) -> Option<&'g NamedValue> {
        match value {
            Value::None => self.count(out, field.bytes().len()),
            Value::Bool(set) => return self.flag(out, entry, set),
            Value::Uint(n) if field.def.kind == Kind::Hex => {
                out.ascii(b"0x");
                out.hex(n, (field.bits as usize).div_ceil(4));
                return named(out, entry, n);
            }
            Value::Uint(n) => {
                out.number(n);
                return named(out, entry, n);
            }
            other => self.wide(out, other, room),
        }
        None
    }

    /// The value of a note, in the same way.
    pub fn note(
        &self,
        out: &mut Out,
        entry: &'g Entry,
        note: &Note,
        room: usize,
    ) -> Option<&'g NamedValue> {
        match (note.value, note.def.kind) {
            (Fact::Present, _) => None,
            (Fact::Uint(n), Kind::Bool) => self.flag(out, entry, n != 0),
            (Fact::Uint(n), kind) => {
                if kind == Kind::Hex {
                    out.ascii(b"0x");
                    let bits = 64 - n.leading_zeros() as usize;
                    out.hex(n, bits.div_ceil(8).max(2) * 2);
                } else {
                    out.number(n);
                }
                named(out, entry, n)
            }
            (Fact::Bytes(ref bytes, len), kind) => {
                let bytes = bytes.get(..usize::from(len)).unwrap_or(bytes);
                let value = match kind {
                    Kind::Ipv4 => bytes.try_into().map(Value::Ipv4),
                    Kind::Ipv6 => bytes.try_into().map(Value::Ipv6),
                    Kind::Text => Ok(Value::Text(bytes)),
                    _ => Ok(Value::Bytes(bytes)),
                };
                self.wide(out, value.unwrap_or(Value::Bytes(bytes)), room);
                None
            }
        }
    }

    fn flag(&self, out: &mut Out, entry: &'g Entry, set: bool) -> Option<&'g NamedValue> {
        out.text(if set { self.set } else { self.not_set });
        entry.value(u64::from(set))
    }

    fn wide(&self, out: &mut Out, value: Value<'_>, room: usize) {
        match value {
            Value::Ipv4([a, b, c, d]) => {
                out.number(a.into());
                for part in [b, c, d] {
                    out.byte(b'.');
                    out.number(part.into());
                }
            }
            Value::Ipv6(address) => ipv6(out, address),
            Value::Bytes(bytes) => self.bytes(out, bytes, room),
            Value::Text(text) => self.quoted(out, text, room),
            Value::Oid(oid) => self.oid(out, oid, room),
            Value::Time(time) => {
                if !asn1_time(out, time) {
                    self.quoted(out, time, room);
                }
            }
            Value::None | Value::Bool(_) | Value::Uint(_) => {}
        }
    }

    /// Bytes in hexadecimal; if they have no room, the first of them and how many they are.
    pub fn bytes(&self, out: &mut Out, bytes: &[u8], room: usize) {
        let fits = bytes.len() * 2 <= room;
        // "… 12345 bytes" has 13 columns at most, "..." two more.
        let shown = if fits {
            bytes.len()
        } else {
            room.saturating_sub(16).max(8) / 2
        };
        for byte in bytes.iter().take(shown) {
            out.hex(u64::from(*byte), 2);
        }
        if !fits {
            self.more(out, bytes.len());
        }
    }

    /// Text in quotation marks, made harmless; if it has no room, its beginning and how many bytes it has.
    pub fn quoted(&self, out: &mut Out, text: &[u8], room: usize) {
        let mark = out.mark();
        out.byte(b'"');
        if !out.wire(text, room.saturating_sub(2)) {
            out.back_to(mark);
            out.byte(b'"');
            out.wire(text, room.saturating_sub(18).max(8));
            out.byte(b'"');
            self.more(out, text.len());
            return;
        }
        out.byte(b'"');
    }

    fn more(&self, out: &mut Out, len: usize) {
        out.text(out.glyphs().ellipsis);
        out.byte(b' ');
        self.count(out, len);
    }

    /// `2.5.4.3 (commonName)`.
    fn oid(&self, out: &mut Out, oid: &[u8], room: usize) {
        let mut text = Dotted::default();
        if !text.read(oid) || text.len > room {
            self.bytes(out, oid, room);
            return;
        }
        let key = text.key();
        out.text(key.strip_prefix("oid.").unwrap_or(key));
        if let Some(entry) = self.glossary.entry(key)
            && !entry.name.is_empty()
        {
            out.ascii(b" (");
            out.text(&entry.name);
            out.byte(b')');
        }
    }
}

/// The bits of a field among those of its bytes, as Wireshark draws them: `.... .1..`.
///
/// Nothing for a field of whole bytes. Bits of the group it stands in are enough, if that has a value of its own.
pub fn picture(out: &mut Out, field: &Field, group: Option<&Field>, buffer: &[u8]) -> bool {
    let (start, bits) = (field.start as usize, field.bits as usize);
    if bits == 0 || bits > 32 || (start.is_multiple_of(8) && bits.is_multiple_of(8)) {
        return false;
    }
    let (mut from, mut to) = (start / 8 * 8, (start + bits).div_ceil(8) * 8);
    if let Some(group) = group.filter(|g| g.def.kind == Kind::Hex && g.bits > 8) {
        from = group.start as usize;
        to = from + group.bits as usize;
    }
    let value = read_bits(buffer, start, bits);
    // 32 bits at an odd place touch five bytes: 40 digits, with a space after each four.
    let mut text = [b' '; 50];
    let mut at = 0;
    for (i, bit) in (from..to).enumerate() {
        if i > 0 && i % 4 == 0 {
            at += 1;
        }
        if let Some(place) = text.get_mut(at) {
            *place = if bit < start || bit >= start + bits {
                b'.'
            } else {
                b'0' + (value >> (start + bits - 1 - bit) & 1) as u8
            };
        }
        at += 1;
    }
    out.ascii(text.get(..at).unwrap_or(&[]));
    true
}

/// `1.2.3.4:443`, `[2001:db8::1]:443`, or without a port.
pub fn endpoint(out: &mut Out, address: &Value<'_>, port: Option<u64>) {
    match *address {
        Value::Ipv4([a, b, c, d]) => {
            for part in [a, b, c] {
                out.number(part.into());
                out.byte(b'.');
            }
            out.number(d.into());
        }
        Value::Ipv6(address) if port.is_some() => {
            out.byte(b'[');
            ipv6(out, address);
            out.byte(b']');
        }
        Value::Ipv6(address) => ipv6(out, address),
        _ => out.byte(b'?'),
    }
    if let Some(port) = port {
        out.byte(b':');
        out.number(port);
    }
}

/// What stands after a number: its name, its unit.
fn named<'g>(out: &mut Out, entry: &'g Entry, n: u64) -> Option<&'g NamedValue> {
    let named = entry.value(n);
    if let Some(named) = named {
        out.ascii(b" (");
        out.text(&named.name);
        out.byte(b')');
    }
    if !entry.unit.is_empty() {
        out.byte(b' ');
        out.text(&entry.unit);
    }
    named
}

/// As RFC 5952 writes it, which is how the standard library does.
fn ipv6(out: &mut Out, address: [u8; 16]) {
    let mut text = [0_u8; 48];
    let mut rest = text.as_mut_slice();
    if write!(rest, "{}", Ipv6Addr::from(address)).is_ok() {
        let len = 48 - rest.len();
        out.ascii(text.get(..len).unwrap_or(&[]));
    }
}

/// `2026-01-01 12:00:00 UTC` from a `UTCTime` (`YYMMDDHHMMSSZ`) or a `GeneralizedTime` (`YYYYMMDDHHMMSSZ`).
fn asn1_time(out: &mut Out, time: &[u8]) -> bool {
    let Some((b'Z', digits)) = time.split_last() else {
        return false;
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let (century, digits): (&[u8], _) = match digits.len() {
        // RFC 5280, section 4.1.2.5.1: from 50 on it is 19YY.
        12 if digits.first().is_some_and(|d| *d >= b'5') => (b"19", digits),
        12 => (b"20", digits),
        14 => digits.split_at(2),
        _ => return false,
    };
    out.ascii(century);
    let separators = [b"".as_slice(), b"-", b"-", b" ", b":", b":"];
    for (pair, separator) in digits.chunks(2).zip(separators) {
        out.ascii(separator);
        out.ascii(pair);
    }
    out.ascii(b" UTC");
    true
}

/// An object identifier in dots, behind the beginning of its glossary key.
#[derive(Debug)]
struct Dotted {
    text: [u8; 128],
    len: usize,
}

impl Default for Dotted {
    fn default() -> Self {
        let mut text = [0; 128];
        let key = b"oid.";
        for (place, byte) in text.iter_mut().zip(key) {
            *place = *byte;
        }
        Self {
            text,
            len: key.len(),
        }
    }
}

impl Dotted {
    /// X.690, section 8.19: numbers in base 128, the first two in one. False if it is not that, or too long.
    fn read(&mut self, oid: &[u8]) -> bool {
        let mut number: u64 = 0;
        let mut first = true;
        let mut whole = false;
        for byte in oid {
            if number >> 57 != 0 {
                return false;
            }
            number = number << 7 | u64::from(byte & 0x7f);
            whole = byte & 0x80 == 0;
            if !whole {
                continue;
            }
            let fits = if first {
                let top = (number / 40).min(2);
                self.push(top, b"") && self.push(number - top * 40, b".")
            } else {
                self.push(number, b".")
            };
            if !fits {
                return false;
            }
            first = false;
            number = 0;
        }
        whole
    }

    fn push(&mut self, n: u64, before: &[u8]) -> bool {
        let mut rest = self.text.get_mut(self.len..).unwrap_or(&mut []);
        let room = rest.len();
        let done = rest.write_all(before).is_ok() && write!(rest, "{n}").is_ok();
        self.len += room - rest.len();
        done
    }

    fn key(&self) -> &str {
        let text = self.text.get(..self.len).unwrap_or(&[]);
        str::from_utf8(text).unwrap_or_default()
    }
}
