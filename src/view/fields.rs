//! `-T fields`: one line a packet, one column a key, written as `tshark -T fields` writes it, so that scripts carry over.
//!
//! ```text
//! layerwise read chat.pcap -T fields -e frame.number -e ip.src -e tcp.len
//! 1       1.2.3.4 0
//! ```
//!
//! A key that does not occur leaves its column empty; several occurrences stand with commas between. A TLS record or a
//! message comes with the packet that completes it.

use core::fmt;

use crate::filter::key::{self, Key, Room, Source, Type, Val};
use crate::layers;
use crate::packet::{Event, Fact, Field, FieldDef, Kind, Note, Value};
use crate::view::paint::{dotted, hex_digit, hex_into};

/// Where Wireshark writes a key otherwise than our own kind of it says.
static WRITTEN: &[(&str, Form)] = &[
    ("ah", Form::Name),
    ("ip.opt.flag", Form::Hex(2)),
    ("ipv6.dstopts", Form::Name),
    ("ipv6.fraghdr", Form::Name),
    ("ipv6.hopopts", Form::Name),
    ("ipv6.routing", Form::Name),
    ("ipv6.tclass", Form::Hex(8)),
    ("tcp.options", Form::Content),
    ("tcp.options.ao", Form::Content),
    ("tcp.options.eol", Form::Content),
    ("tcp.options.experimental", Form::Content),
    ("tcp.options.md5", Form::Content),
    ("tcp.options.mss", Form::Content),
    ("tcp.options.nop", Form::Content),
    ("tcp.options.sack", Form::Content),
    ("tcp.options.sack_perm", Form::Content),
    ("tcp.options.tfo", Form::Content),
    ("tcp.options.timestamp", Form::Content),
    ("tcp.options.unknown", Form::Content),
    ("tcp.options.user_to", Form::Content),
    ("tcp.options.wscale", Form::Content),
    ("tcp.window_size_scalefactor", Form::Signed),
    ("tls.handshake.cert_type.type", Form::Hex(2)),
    ("tls.handshake.certificate", Form::Content),
    ("tls.handshake.extensions_key_share_group", Form::Decimal),
    (
        "tls.handshake.extensions_key_share_selected_group",
        Form::Decimal,
    ),
    ("tls.handshake.server_curve_type", Form::Hex(2)),
    ("tls.handshake.verify_data", Form::There),
    ("tls.sct.sct_extensions", Form::There),
    ("x509af.parameters_element", Form::There),
];

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As its kind says.
    Own,
    /// A number in decimal, a flag as 0 or 1.
    Decimal,
    /// A number of 32 bits of which the highest is the sign.
    Signed,
    /// A number in hexadecimal with so many digits; with 0, as many as its whole bytes have.
    Hex(u8),
    /// The bytes it covers, in hexadecimal.
    Content,
    /// `1`: it is there.
    There,
    /// The key itself.
    Name,
}

/// How the lines are made up: the options of `-E`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// What stands between columns.
    pub separator: u8,
    /// What stands between the occurrences of one key.
    pub aggregator: u8,
    /// What stands around a column that is not empty.
    pub quote: Option<u8>,
    /// Which occurrences are written.
    pub occurrence: Occurrence,
    /// Whether the first line names the columns.
    pub header: bool,
}

/// Which occurrences of a key are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occurrence {
    /// All of them.
    All,
    /// The first.
    First,
    /// The last.
    Last,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            separator: b'\t',
            aggregator: b',',
            quote: None,
            occurrence: Occurrence::All,
            header: false,
        }
    }
}

impl Style {
    /// Takes up one option: `separator=,` `aggregator=/s` `quote=d` `occurrence=f` `header=y`.
    ///
    /// # Errors
    /// A sentence that says what is possible.
    pub fn set(&mut self, option: &str) -> Result<(), String> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let character = || match value {
            "/t" | "\\t" => Ok(b'\t'),
            "/s" => Ok(b' '),
            _ => match value.as_bytes() {
                [one] if one.is_ascii() => Ok(*one),
                _ => Err(format!(
                    "{name} is one character, /t for a tab or /s for a space"
                )),
            },
        };
        match (name, value) {
            ("separator", _) => self.separator = character()?,
            ("aggregator", _) => self.aggregator = character()?,
            ("quote", "d") => self.quote = Some(b'"'),
            ("quote", "s") => self.quote = Some(b'\''),
            ("quote", "n") => self.quote = None,
            ("occurrence", "f") => self.occurrence = Occurrence::First,
            ("occurrence", "l") => self.occurrence = Occurrence::Last,
            ("occurrence", "a") => self.occurrence = Occurrence::All,
            ("header", "y") => self.header = true,
            ("header", "n") => self.header = false,
            ("quote", _) => return Err("quote is d (double), s (single) or n (none)".to_owned()),
            ("occurrence", _) => {
                return Err("occurrence is f (first), l (last) or a (all)".to_owned());
            }
            ("header", _) => return Err("header is y (yes) or n (no)".to_owned()),
            _ => {
                return Err(format!(
                    "no such option: {name}; there are separator, aggregator, quote, occurrence and header"
                ));
            }
        }
        Ok(())
    }
}

/// A key that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoSuchKey {
    /// What was asked for.
    pub asked: String,
    /// Keys that come near.
    pub near: Vec<&'static str>,
}

impl fmt::Display for NoSuchKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no such field: {:?}; ", self.asked)?;
        match self.near.as_slice() {
            [] => f.write_str("`layerwise fields` lists all there are"),
            near => write!(f, "did you mean {}?", near.join(" or ")),
        }
    }
}

impl core::error::Error for NoSuchKey {}

/// The columns, and room for what is found of them in a packet.
#[derive(Debug)]
pub struct Columns {
    style: Style,
    columns: Vec<Column>,
    index: Index,
}

#[derive(Debug)]
struct Column {
    key: Key,
    form: Form,
    found: Vec<Spot>,
}

/// Where in an event an occurrence is.
#[derive(Debug, Clone, Copy)]
enum Spot {
    Field(u32),
    Note(u32),
    Layer(u32),
}

impl Columns {
    /// Columns of these keys.
    ///
    /// # Errors
    /// The first key that is not there.
    pub fn new(keys: &[String], style: Style) -> Result<Self, NoSuchKey> {
        let mut columns = Vec::new();
        for asked in keys {
            let key = Key::find(asked).ok_or_else(|| NoSuchKey {
                asked: asked.clone(),
                near: Key::near(asked),
            })?;
            let other = WRITTEN.iter().find(|(name, _)| *name == key.name);
            let form = other.map_or(Form::Own, |(_, form)| *form);
            columns.push(Column {
                form: match (&key.from, key.is) {
                    (Source::Layer(_), _) => Form::Name,
                    (_, Type::Mark | Type::Part) if form == Form::Own => Form::There,
                    _ => form,
                },
                key,
                found: Vec::new(),
            });
        }
        let index = Index::new(&columns);
        Ok(Self {
            style,
            columns,
            index,
        })
    }

    /// The line that names the columns, if one is wanted.
    pub fn header(&self, out: &mut Vec<u8>) {
        if !self.style.header {
            return;
        }
        for (i, column) in self.columns.iter().enumerate() {
            if i > 0 {
                out.push(self.style.separator);
            }
            out.extend_from_slice(column.key.name.as_bytes());
        }
        out.push(b'\n');
    }

    /// One packet's line.
    pub fn line(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        for column in &mut self.columns {
            column.found.clear();
        }
        let mut found = |def: &'static FieldDef, spot: Spot| {
            for column in self.index.of(def) {
                if let Some(column) = self.columns.get_mut(usize::from(*column)) {
                    column.found.push(spot);
                }
            }
        };
        for (i, layer) in (0..).zip(event.layers) {
            found(layer.def, Spot::Layer(i));
        }
        for (i, field) in (0..).zip(event.fields) {
            // A heading over nothing is none, as in tshark.
            if field.bits > 0 || field.def.kind != Kind::Group {
                found(field.def, Spot::Field(i));
            }
        }
        for (i, note) in (0..).zip(event.notes) {
            found(note.def, Spot::Note(i));
        }
        for (i, column) in self.columns.iter().enumerate() {
            if i > 0 {
                out.push(self.style.separator);
            }
            column.write(event, self.style, out);
        }
        out.push(b'\n');
    }
}

impl Column {
    fn write(&self, event: &Event<'_>, style: Style, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend(style.quote);
        let inside = out.len();
        match &self.key.from {
            Source::Frame(def) => self.of_frame(event, def, out),
            Source::Payload => {
                if let Some(bytes) = key::payload(event) {
                    hex(out, bytes);
                }
            }
            _ => {
                let found = match style.occurrence {
                    // One mark for any of several says it all.
                    Occurrence::All if self.key.is == Type::Mark => {
                        self.found.get(..1).unwrap_or(&[])
                    }
                    Occurrence::All => self.found.as_slice(),
                    Occurrence::First => self.found.get(..1).unwrap_or(&[]),
                    Occurrence::Last => self.found.last().map_or(&[][..], core::slice::from_ref),
                };
                for (i, spot) in found.iter().enumerate() {
                    if i > 0 {
                        out.push(style.aggregator);
                    }
                    self.occurrence(event, *spot, out);
                }
            }
        }
        if out.len() == inside && self.found.is_empty() {
            out.truncate(start);
        } else {
            out.extend(style.quote);
        }
    }

    fn occurrence(&self, event: &Event<'_>, spot: Spot, out: &mut Vec<u8>) {
        match (self.form, spot) {
            (Form::Name, _) => out.extend_from_slice(self.key.name.as_bytes()),
            (Form::There, _) => out.push(b'1'),
            (form, Spot::Field(i)) => {
                if let Some(field) = event.fields.get(i as usize) {
                    field_as(event, field, form, out);
                }
            }
            (form, Spot::Note(i)) => {
                if let Some(note) = event.notes.get(i as usize) {
                    note_as(note, form, out);
                }
            }
            (_, Spot::Layer(i)) => {
                if let Some(layer) = event.layers.get(i as usize) {
                    hex(out, key::layer_bytes(event, layer));
                }
            }
        }
    }

    fn of_frame(&self, event: &Event<'_>, def: &'static FieldDef, out: &mut Vec<u8>) {
        if core::ptr::eq(def, &raw const layers::frame::PROTOCOLS) {
            let mut room = [0; 256];
            return out.extend_from_slice(key::protocols(event, &mut room));
        }
        match key::of_frame(event, def) {
            Val::Number(n) => decimal(out, n),
            Val::Nanos(n) if self.key.is == Type::Date => date(out, n),
            Val::Nanos(n) => seconds(out, n),
            _ => out.extend_from_slice(self.key.name.as_bytes()),
        }
    }
}

/// A field's value in the given form.
fn field_as(event: &Event<'_>, field: &Field, form: Form, out: &mut Vec<u8>) {
    let value = field.value(event.bytes(field.buf));
    match (form, value) {
        (Form::Content, _) => hex(out, event.field_bytes(field)),
        (Form::Hex(digits), Value::Uint(n)) => hex_number(out, n, digits.into()),
        (Form::Decimal, Value::Uint(n)) => decimal(out, n),
        (_, Value::Uint(n)) => match field.def.kind {
            Kind::Hex => hex_number(out, n, (field.bits as usize).div_ceil(8) * 2),
            Kind::Nanos => seconds(out, n.into()),
            _ => decimal(out, n),
        },
        (_, value) => plain(out, value),
    }
}

/// A value that is written in one way only.
fn plain(out: &mut Vec<u8>, value: Value<'_>) {
    match value {
        Value::None => out.push(b'1'),
        Value::Bool(set) => out.push(b'0' + u8::from(set)),
        Value::Uint(n) => decimal(out, n),
        Value::Ipv4(address) => ipv4(out, address),
        Value::Ipv6(address) => ipv6(out, address),
        Value::Ether(address) => ether(out, address),
        Value::Bytes(bytes) => hex(out, bytes),
        Value::Text(text) => escaped(out, text),
        Value::Name(name) => {
            let mut room: Room = [0; 256];
            escaped(out, key::dotted(name, &mut room));
        }
        Value::Oid(content) => oid(out, content),
        Value::Time(time) => match key::asn1_time(time) {
            Some(nanos) => certificate_time(out, nanos),
            None => escaped(out, time),
        },
    }
}

/// A note's value in the given form.
fn note_as(note: &Note, form: Form, out: &mut Vec<u8>) {
    match (&note.value, note.def.kind) {
        (Fact::Present, _) => out.push(b'1'),
        (Fact::Uint(n), kind) => match (form, kind) {
            (Form::Hex(digits), _) if digits > 0 => hex_number(out, *n, digits.into()),
            (Form::Decimal, _) => decimal(out, *n),
            (Form::Signed, _) => {
                let n = *n as u32 as i32;
                out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
            }
            (_, Kind::Hex) => {
                let bits = 64 - n.leading_zeros() as usize;
                hex_number(out, *n, bits.div_ceil(8).max(2) * 2);
            }
            (_, Kind::Nanos) => seconds(out, (*n).into()),
            _ => decimal(out, *n),
        },
        (Fact::Bytes(bytes, len), kind) => {
            let bytes = bytes.get(..usize::from(*len)).unwrap_or(bytes);
            let value = match kind {
                Kind::Ipv4 => bytes.try_into().map(Value::Ipv4),
                Kind::Ipv6 => bytes.try_into().map(Value::Ipv6),
                Kind::Ether => bytes.try_into().map(Value::Ether),
                Kind::Text => Ok(Value::Text(bytes)),
                _ => Ok(Value::Bytes(bytes)),
            };
            plain(out, value.unwrap_or(Value::Bytes(bytes)));
        }
    }
}

/// Which columns a definition belongs to, found by its address.
#[derive(Debug)]
struct Index {
    /// Open addressing; a power of two, at most half full. Address and place in `lists`.
    slots: Vec<(usize, u16)>,
    lists: Vec<Vec<u16>>,
}

impl Index {
    fn new(columns: &[Column]) -> Self {
        let mut pairs: Vec<(usize, u16)> = Vec::new();
        for (i, column) in (0..).zip(columns) {
            let mut add = |def: &'static FieldDef| pairs.push((core::ptr::from_ref(def).addr(), i));
            match &column.key.from {
                Source::Layer(def) | Source::One(def) => add(def),
                Source::Several(defs) => defs.iter().for_each(|def| add(def)),
                Source::Frame(_) | Source::Payload => {}
            }
        }
        let size = (pairs.len() * 4).next_power_of_two().max(16);
        let mut index = Self {
            slots: vec![(0, 0); size],
            lists: Vec::new(),
        };
        for (address, column) in pairs {
            let mut at = index.start(address);
            while let Some(slot) = index.slots.get_mut(at) {
                if slot.0 == 0 {
                    *slot = (address, index.lists.len() as u16);
                    index.lists.push(Vec::new());
                }
                if slot.0 == address {
                    if let Some(list) = index.lists.get_mut(usize::from(slot.1)) {
                        list.push(column);
                    }
                    break;
                }
                at = (at + 1) & (size - 1);
            }
        }
        index
    }

    #[inline]
    fn start(&self, address: usize) -> usize {
        (address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) as usize >> 40 & (self.slots.len() - 1)
    }

    #[inline]
    fn of(&self, def: &'static FieldDef) -> &[u16] {
        let address = core::ptr::from_ref(def).addr();
        let mut at = self.start(address);
        loop {
            match self.slots.get(at) {
                Some((found, list)) if *found == address => {
                    return self
                        .lists
                        .get(usize::from(*list))
                        .map_or(&[], Vec::as_slice);
                }
                Some((0, _)) | None => return &[],
                Some(_) => at = (at + 1) & (self.slots.len() - 1),
            }
        }
    }
}

/// A number in decimal.
pub(super) fn decimal(out: &mut Vec<u8>, n: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
}

/// `0x` and so many digits.
fn hex_number(out: &mut Vec<u8>, n: u64, digits: usize) {
    out.extend_from_slice(b"0x");
    for place in (0..digits.min(16)).rev() {
        out.push(hex_digit((n >> (4 * place)) as u8 & 15));
    }
}

/// Two digits a byte, nothing between.
pub(super) fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    hex_into(out, bytes);
}

/// Nanoseconds, as seconds with nine decimals.
pub(super) fn seconds(out: &mut Vec<u8>, nanos: i128) {
    if nanos < 0 {
        out.push(b'-');
    }
    let nanos = nanos.unsigned_abs();
    let (whole, rest) = match u64::try_from(nanos) {
        Ok(nanos) => (nanos / 1_000_000_000, nanos % 1_000_000_000),
        // Wider numbers take far longer to divide.
        Err(_) => (
            u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX),
            (nanos % 1_000_000_000) as u64,
        ),
    };
    decimal(out, whole);
    out.push(b'.');
    digits(out, rest, 9);
}

/// A number with zeros in front.
pub(super) fn digits(out: &mut Vec<u8>, n: u64, count: u32) {
    let mut text = [b'0'; 20];
    let text = text.get_mut(..count as usize).unwrap_or_default();
    let mut rest = n;
    for place in text.iter_mut().rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(text);
}

pub(super) fn ipv4(out: &mut Vec<u8>, address: [u8; 4]) {
    let (text, len) = dotted(address);
    out.extend_from_slice(text.get(..len).unwrap_or(&[]));
}

/// As RFC 5952 writes it, which is how the standard library does.
pub(super) fn ipv6(out: &mut Vec<u8>, address: [u8; 16]) {
    use std::io::Write as _;
    // Writing into a vector cannot fail.
    let _ = write!(out, "{}", std::net::Ipv6Addr::from(address));
}

pub(super) fn ether(out: &mut Vec<u8>, address: [u8; 6]) {
    for (i, byte) in address.into_iter().enumerate() {
        if i > 0 {
            out.push(b':');
        }
        hex(out, &[byte]);
    }
}

/// Text on one line: what would end it, or move on a terminal, is written as in the C language.
fn escaped(out: &mut Vec<u8>, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\t' => out.extend_from_slice(b"\\t"),
                '\0'..='\x1f' | '\x7f' => octal(out, c as u8),
                c if c.is_control() => {
                    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                        octal(out, byte);
                    }
                }
                c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for byte in chunk.invalid() {
            octal(out, *byte);
        }
    }
}

fn octal(out: &mut Vec<u8>, byte: u8) {
    out.push(b'\\');
    for shift in [6, 3, 0] {
        out.push(b'0' + (byte >> shift & 7));
    }
}

/// X.690, section 8.19: numbers in base 128, the first two in one. What is not that is written as bytes.
pub(super) fn oid(out: &mut Vec<u8>, content: &[u8]) {
    let start = out.len();
    let (mut number, mut first, mut whole) = (0_u64, true, false);
    for byte in content {
        if number >> 57 != 0 {
            whole = false;
            break;
        }
        number = number << 7 | u64::from(byte & 0x7f);
        whole = byte & 0x80 == 0;
        if !whole {
            continue;
        }
        if first {
            let top = (number / 40).min(2);
            decimal(out, top);
            number -= top * 40;
        }
        out.push(b'.');
        decimal(out, number);
        (first, number) = (false, 0);
    }
    if !whole {
        out.truncate(start);
        hex(out, content);
    }
}

/// Year, month, day, and the rest of the day in nanoseconds.
pub(super) fn calendar(nanos: i128) -> Option<(time::Date, u64)> {
    let moment = time::OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?;
    let rest = nanos.rem_euclid(86_400_000_000_000) as u64;
    Some((moment.date(), rest))
}

/// `Jan  1, 2026 12:00:00.000000000 UTC`.
fn date(out: &mut Vec<u8>, nanos: i128) {
    let Some((date, rest)) = calendar(nanos) else {
        return seconds(out, nanos);
    };
    const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let month = usize::from(u8::from(date.month())) - 1;
    out.extend_from_slice(MONTHS.get(month * 3..month * 3 + 3).unwrap_or(b"???"));
    out.push(b' ');
    if date.day() < 10 {
        out.push(b' ');
    }
    decimal(out, date.day().into());
    out.extend_from_slice(b", ");
    decimal(out, date.year().unsigned_abs().into());
    out.push(b' ');
    clock(out, rest);
    out.push(b'.');
    digits(out, rest % 1_000_000_000, 9);
    out.extend_from_slice(b" UTC");
}

/// `2026-01-01 12:00:00 (UTC)`.
fn certificate_time(out: &mut Vec<u8>, nanos: i128) {
    let Some((date, rest)) = calendar(nanos) else {
        return seconds(out, nanos);
    };
    day(out, date);
    out.push(b' ');
    clock(out, rest);
    out.extend_from_slice(b" (UTC)");
}

/// `2026-01-01`.
pub(super) fn day(out: &mut Vec<u8>, date: time::Date) {
    digits(out, date.year().unsigned_abs().into(), 4);
    out.push(b'-');
    digits(out, u8::from(date.month()).into(), 2);
    out.push(b'-');
    digits(out, date.day().into(), 2);
}

/// `12:00:00`.
pub(super) fn clock(out: &mut Vec<u8>, nanos: u64) {
    let seconds = nanos / 1_000_000_000;
    digits(out, seconds / 3600, 2);
    out.push(b':');
    digits(out, seconds / 60 % 60, 2);
    out.push(b':');
    digits(out, seconds % 60, 2);
}

/// Occurrences are found by place here, not by visiting; this ties the two ways together.
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests {
    use super::*;
    use crate::view::samples::Sample;

    #[test]
    fn every_column_holds_what_a_filter_finds() {
        let sample = Sample::of(crate::view::samples::SEGMENT, 55);
        let event = sample.event();
        for key in Key::all() {
            let mut columns = Columns::new(&[key.name.to_owned()], Style::default()).unwrap();
            let mut out = Vec::new();
            columns.line(&event, &mut out);
            let mut visited = 0;
            key.visit(&event, &mut |_| {
                visited += 1;
                false
            });
            let cell = &out[..out.len() - 1];
            assert_eq!(visited == 0, cell.is_empty(), "{}: {cell:?}", key.name);
        }
    }

    #[test]
    fn what_has_another_form_is_a_key() {
        for (key, _) in WRITTEN {
            assert!(Key::find(key).is_some(), "{key}");
        }
    }

    #[test]
    fn options_say_what_is_possible() {
        let mut style = Style::default();
        for option in [
            "separator=,",
            "aggregator=/s",
            "quote=d",
            "occurrence=f",
            "header=y",
        ] {
            style.set(option).unwrap();
        }
        assert_eq!((style.separator, style.aggregator), (b',', b' '));
        assert_eq!((style.quote, style.header), (Some(b'"'), true));
        for (wrong, says) in [
            ("separator=ab", "one character"),
            ("quote=x", "d (double)"),
            ("occurrence=2", "f (first)"),
            ("header", "y (yes)"),
            ("colour=red", "there are separator"),
        ] {
            let error = style.set(wrong).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn text_stays_on_its_line() {
        let mut out = Vec::new();
        escaped(&mut out, b"a\tb\nc\x1b[2J\xff\xc2\x9b\xc3\xbc");
        assert_eq!(out, "a\\tb\\nc\\033[2J\\377\\302\\233ü".as_bytes());
    }

    #[test]
    fn times() {
        let written = |write: fn(&mut Vec<u8>, i128), nanos| {
            let mut out = Vec::new();
            write(&mut out, nanos);
            String::from_utf8(out).unwrap()
        };
        let moment = 1_767_268_800_010_000_001;
        assert_eq!(written(date, moment), "Jan  1, 2026 12:00:00.010000001 UTC");
        assert_eq!(
            written(certificate_time, moment),
            "2026-01-01 12:00:00 (UTC)"
        );
        assert_eq!(written(seconds, -1_500_000_000), "-1.500000000");
        assert_eq!(
            written(date, i128::from(u64::MAX)),
            "Jul 21, 2554 23:34:33.709551615 UTC"
        );
    }
}
