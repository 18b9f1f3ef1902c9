//! A value as text: what a field's bytes or a note say, with the name and the unit that the glossary has for it.

use std::io::Write;
use std::net::{IpAddr, Ipv6Addr};

use super::paint::Out;
use crate::cursor::read_bits;
use crate::packet::{Fact, Field, Kind, Name, Note, Value};
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
                return self.named(out, entry, n);
            }
            Value::Uint(n) => {
                out.number(n);
                return self.named(out, entry, n);
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
                } else if entry.unit == "ns" && n >= 1000 {
                    nanoseconds(out, n);
                    return None;
                } else {
                    out.number(n);
                }
                self.named(out, entry, n)
            }
            (Fact::Bytes(ref bytes, len), kind) => {
                let bytes = bytes.get(..usize::from(len)).unwrap_or(bytes);
                let value = match kind {
                    Kind::Ether => bytes.try_into().map(Value::Ether),
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

    /// What stands after a number: its name, its unit.
    fn named(&self, out: &mut Out, entry: &'g Entry, n: u64) -> Option<&'g NamedValue> {
        let named = entry.value(n);
        if let Some(named) = named {
            out.ascii(b" (");
            out.text(&named.name);
            out.byte(b')');
        }
        if !entry.unit.is_empty() {
            out.byte(b' ');
            out.text(if n == 1 {
                &entry.unit_of_one
            } else {
                &entry.unit
            });
        }
        named
    }

    fn wide(&self, out: &mut Out, value: Value<'_>, room: usize) {
        match value {
            Value::Ipv4(address) => out.ipv4(address),
            Value::Ether(address) => ether(out, address),
            Value::Ipv6(address) => ipv6(out, address),
            Value::Name(..) => bare(out, value, room),
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
        out.hex_bytes(bytes.get(..shown).unwrap_or(bytes));
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
        out.glyph(out.glyphs().ellipsis);
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
    if let Some(group) = group.filter(|g| g.def.kind == Kind::Hex && (9..=40).contains(&g.bits)) {
        from = group.start as usize;
        to = from + group.bits as usize;
    }
    // The bits of the picture, and which of them are the field's own: both pushed up to the top of a word, and then
    // taken from there four at a time. (32 bits at an odd place touch five bytes.)
    let width = to - from;
    let mut value = read_bits(buffer, from, width) << (64 - width);
    let mut own = ((u64::MAX >> (64 - bits)) << (to - start - bits)) << (64 - width);
    let mut text = [b' '; 50];
    let mut len = 0;
    for (four, place) in (0..width).step_by(4).zip(text.chunks_exact_mut(5)) {
        for (i, digit) in place.iter_mut().take(4.min(width - four)).enumerate() {
            let bit = b'0' + (value >> (63 - i) & 1) as u8;
            *digit = if own >> (63 - i) & 1 == 0 { b'.' } else { bit };
        }
        value <<= 4;
        own <<= 4;
        len = four / 4 * 5 + 4.min(width - four);
    }
    // On a narrow screen the value comes first.
    if len + 12 > out.room() {
        return false;
    }
    out.ascii(text.get(..len).unwrap_or(&[]));
    true
}

/// `1.2.3.4:443`, `[2001:db8::1]:443`, or without a port.
pub fn endpoint(out: &mut Out, address: &Value<'_>, port: Option<u64>) {
    match *address {
        Value::Ipv4(address) => out.ipv4(address),
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

/// The same of an address that was read already.
pub fn address(out: &mut Out, address: IpAddr, port: Option<u64>) {
    let value = match address {
        IpAddr::V4(address) => Value::Ipv4(address.octets()),
        IpAddr::V6(address) => Value::Ipv6(address.octets()),
    };
    endpoint(out, &value, port);
}

/// A length of time as people say it, rounded down, and the exact one behind it: `10.0 ms (10000000 ns)`.
fn nanoseconds(out: &mut Out, n: u64) {
    let (tenths, unit) = match n {
        0..1_000_000 => (n / 100, " µs ("),
        1_000_000..1_000_000_000 => (n / 100_000, " ms ("),
        _ => (n / 100_000_000, " s ("),
    };
    out.number(tenths / 10);
    out.byte(b'.');
    out.number(tenths % 10);
    out.text(unit);
    out.number(n);
    out.ascii(b" ns)");
}

/// `02:00:00:00:00:0a`.
fn ether(out: &mut Out, address: [u8; 6]) {
    for (i, byte) in address.into_iter().enumerate() {
        if i > 0 {
            out.byte(b':');
        }
        out.hex(byte.into(), 2);
    }
}

/// An address or a domain name (without its last dot) as it is; made harmless, and cut where it has no room.
pub fn bare(out: &mut Out, value: Value<'_>, room: usize) {
    match value {
        Value::Ether(address) => ether(out, address),
        Value::Name(name) => domain(out, name, room),
        value => endpoint(out, &value, None),
    }
}

fn domain(out: &mut Out, name: Name<'_>, room: usize) {
    let mut left = room;
    let mut any = false;
    for label in name.labels() {
        if any {
            out.byte(b'.');
            left = left.saturating_sub(1);
        }
        any = true;
        if label.len() > left || !out.wire(label, left) {
            out.glyph(out.glyphs().ellipsis);
            return;
        }
        left -= label.len();
    }
    if !any {
        out.ascii(b"<Root>");
    }
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

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests {
    use super::*;
    use crate::packet::{BufId, FieldDef, NO_PARENT};
    use crate::view::paint::{Look, Wish};
    use crate::view::samples::text;

    fn glossary() -> Glossary {
        let mut glossary = Glossary::default();
        let words = r#"
            ["say.detail.set"]
            short = "set"
            ["say.detail.not_set"]
            short = "not set"
            ["say.detail.bytes"]
            short = "bytes"
            ["ip.proto"]
            unit = "of all"
            ["ip.proto".values]
            6 = "TCP"
            ["oid.2.5.4.3"]
            name = "commonName"
        "#;
        glossary.add("words", words).unwrap();
        glossary
    }

    fn value(kind: Kind, start: u32, bits: u32, bytes: &[u8], room: usize) -> String {
        let def: &'static FieldDef = Box::leak(Box::new(FieldDef { key: "x", kind }));
        let field = Field {
            def,
            start,
            bits,
            parent: NO_PARENT,
            buf: BufId::FRAME,
            back: 0,
        };
        let glossary = glossary();
        let mut out = Out::new(Look::new(Wish::default(), false, None));
        let entry = glossary.entry("ip.proto").unwrap();
        Words::new(&glossary).field(&mut out, entry, &field, field.value(bytes), room);
        text(&out).to_owned()
    }

    fn all(kind: Kind, bytes: &[u8]) -> String {
        value(kind, 0, bytes.len() as u32 * 8, bytes, 60)
    }

    #[test]
    fn a_time_is_said_as_people_say_it_and_exactly() {
        for (n, said) in [
            (1_000, "1.0 µs (1000 ns)"),
            (83_412, "83.4 µs (83412 ns)"),
            (10_000_000, "10.0 ms (10000000 ns)"),
            (1_010_999_999, "1.0 s (1010999999 ns)"),
        ] {
            let mut out = Out::new(Look::new(Wish::default(), false, None));
            nanoseconds(&mut out, n);
            assert_eq!(str::from_utf8(out.bytes()).unwrap(), said);
        }
    }

    #[test]
    fn numbers_have_their_names_and_units_and_hexadecimal_all_its_digits() {
        assert_eq!(all(Kind::Uint, &[6]), "6 (TCP) of all");
        assert_eq!(all(Kind::Uint, &[0xff; 8]), "18446744073709551615 of all");
        assert_eq!(all(Kind::Hex, &[0, 6]), "0x0006 (TCP) of all");
        assert_eq!(value(Kind::Hex, 4, 12, &[0xf0, 0x18], 60), "0x018 of all");
        assert_eq!(value(Kind::Units(4), 4, 4, &[0x45], 60), "20 of all");
        assert_eq!(value(Kind::Bool, 6, 1, &[2], 60), "set");
        assert_eq!(value(Kind::Bool, 7, 1, &[2], 60), "not set");
    }

    #[test]
    fn addresses_as_people_write_them() {
        assert_eq!(all(Kind::Ipv4, &[1, 2, 3, 4]), "1.2.3.4");
        assert_eq!(
            all(Kind::Ether, &[2, 0, 0, 0, 0xab, 10]),
            "02:00:00:00:ab:0a"
        );
        assert_eq!(all(Kind::Host, &[2, 0, 0, 0]), "2 of all");
        assert_eq!(all(Kind::Host, &[0, 0, 0, 30]), "30 of all");
        assert_eq!(all(Kind::Name, b"\x07example\x03com\0"), "example.com");
        assert_eq!(all(Kind::Name, b"\0"), "<Root>");
        let mut address = [0; 16];
        (address[0], address[1], address[2], address[3]) = (0x20, 0x01, 0x0d, 0xb8);
        address[15] = 1;
        assert_eq!(all(Kind::Ipv6, &address), "2001:db8::1");
        assert_eq!(all(Kind::Ipv6, &[0xab; 16]).len(), 39);
    }

    #[test]
    fn what_has_no_room_is_cut_with_its_length() {
        assert_eq!(all(Kind::Bytes, &[0xab, 0xcd]), "abcd");
        assert_eq!(
            value(Kind::Bytes, 0, 1184 * 8, &[0xab; 1184], 26),
            "ababababab… 1184 bytes"
        );
        assert_eq!(all(Kind::Text, "h\u{e9}\"\n".as_bytes()), r#""hé\"\n""#);
        assert_eq!(
            value(Kind::Text, 0, 1184 * 8, &[b'x'; 1184], 28),
            "\"xxxxxxxxxx\"… 1184 bytes"
        );
    }

    #[test]
    fn identifiers_in_dots_with_their_names() {
        assert_eq!(all(Kind::Oid, &[0x55, 4, 3]), "2.5.4.3 (commonName)");
        // X.690, section 8.19.5: the example {2 999 3}.
        assert_eq!(all(Kind::Oid, &[0x88, 0x37, 3]), "2.999.3");
        assert_eq!(
            all(Kind::Oid, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d]),
            "1.2.840.113549"
        );
        for wrong in [&[][..], &[0x2a, 0x86], &[0xff; 12]] {
            let hex: String = wrong.iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(all(Kind::Oid, wrong), hex);
        }
    }

    #[test]
    fn times_of_certificates() {
        assert_eq!(all(Kind::Time, b"260101120000Z"), "2026-01-01 12:00:00 UTC");
        assert_eq!(all(Kind::Time, b"500101120000Z"), "1950-01-01 12:00:00 UTC");
        assert_eq!(
            all(Kind::Time, b"20501231235959Z"),
            "2050-12-31 23:59:59 UTC"
        );
        assert_eq!(
            all(Kind::Time, b"26010112\x1b000Z"),
            r#""26010112\x1b000Z""#
        );
        assert_eq!(all(Kind::Time, b"2601011200Z"), "\"2601011200Z\"");
    }

    #[test]
    fn the_bits_of_a_field_among_those_around_it() {
        let def: &'static FieldDef = &crate::layers::tcp::FLAGS;
        let field = |start, bits| Field {
            def,
            start,
            bits,
            parent: NO_PARENT,
            buf: BufId::FRAME,
            back: 0,
        };
        let drawn = |start, bits, group: Option<&Field>| {
            let mut out = Out::new(Look::new(Wish::default(), false, None));
            picture(
                &mut out,
                &field(start, bits),
                group,
                &[0x45, 0x18, 0xa5, 0xff, 0x01],
            );
            text(&out).to_owned()
        };
        assert_eq!(drawn(0, 4, None), "0100 ....");
        assert_eq!(drawn(4, 4, None), ".... 0101");
        assert_eq!(drawn(11, 1, None), "...1 ....");
        assert_eq!(drawn(11, 1, Some(&field(4, 12))), ".... ...1 ....");
        assert_eq!(drawn(15, 2, None), ".... ...0 1... ....");
        assert_eq!(
            drawn(7, 32, None),
            ".... ...1 0001 1000 1010 0101 1111 1111 0000 000."
        );
        assert_eq!(drawn(0, 8, None), "", "whole bytes need no picture");
    }
}
