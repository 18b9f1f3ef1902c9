//! Rows of a packet like one that was printed before: what has changed is written, the rest is copied.

use super::{Columns, Detail, Row, is_status, verdict};
use crate::layers::tls;
use crate::packet::{BufId, Event, Fact, Kind, Note};
use crate::text::{Entry, NamedValue};
use crate::view::memo::{Change, Template, What};
use crate::view::paint::{Out, Role, dotted, hex_pair};

/// Where the parts of a row's text are, from the beginning of the packet's rows, and what decides how they look.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Printed<'g> {
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
    /// What the glossary says of it.
    pub(super) entry: Option<&'g Entry>,
    pub(super) form: Form<'g>,
}

/// How a value may be written over another of the same row.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Form<'g> {
    /// It may not.
    #[default]
    Free,
    /// A number in decimal, and its unit.
    Decimal(&'g str),
    /// A number in hexadecimal.
    Hex,
    /// An IPv4 address.
    Ipv4,
}

impl<'g> Detail<'g> {
    /// Prints rows as none like them were printed before, and remembers them.
    pub(super) fn first(&mut self, out: &mut Out, event: &Event<'_>) {
        self.seen.clear();
        let plain = out.look().plain;
        if !plain {
            self.memo.begin(event);
        }
        let begin = out.bytes().len();
        let (mut role, mut buf) = (Role::Data, BufId::FRAME);
        for (index, layer) in event.layers.iter().enumerate() {
            self.print_row(out, event, What::Layer(index as u32), begin, &mut role);
            for (i, field) in (layer.fields.start..).zip(event.fields_of(layer)) {
                if field.buf != buf {
                    buf = field.buf;
                    self.print_row(out, event, What::Buffer(buf), begin, &mut role);
                }
                self.print_row(out, event, What::Field(i), begin, &mut role);
            }
            for (i, note) in (0..).zip(event.notes) {
                if usize::from(note.layer) == index {
                    self.print_row(out, event, What::Note(i), begin, &mut role);
                }
            }
            for (i, stop) in (0..).zip(event.stops) {
                if usize::from(stop.layer) == index {
                    self.print_row(out, event, What::Stop(i), begin, &mut role);
                }
            }
        }
        if !plain {
            let text = out.bytes().get(begin..).unwrap_or(&[]);
            self.memo.keep(event, text);
        }
    }

    fn print_row(
        &mut self,
        out: &mut Out,
        event: &Event<'_>,
        what: What,
        begin: usize,
        role: &mut Role,
    ) {
        let start = out.bytes().len() - begin;
        let printed = self.row(out, event, what, role);
        if !self.memo.records() {
            return;
        }
        let row = self.described(event, what, *role);
        let mut printed = Printed {
            start,
            role: *role,
            value: printed.value.saturating_sub(begin),
            rest: printed.rest.saturating_sub(begin),
            end: out.bytes().len() - begin,
            entry: row.map(|row| row.entry),
            ..printed
        };
        // One byte a column, and nothing but spaces behind the value: then another may be written over it.
        let columns = Columns::of(out).meaning.unwrap_or(0);
        if printed.beside && printed.rest - printed.value + printed.column == columns {
            printed.form = row.map_or(Form::Free, |row| form(event, what, row));
        }
        self.memo.part(event, what, printed);
    }

    /// Prints rows like those that were printed before. False, and nothing printed, if there were none.
    pub(super) fn again(&mut self, out: &mut Out, event: &Event<'_>) -> bool {
        let Some(mut template) = self.memo.take(event) else {
            return false;
        };
        let mark = out.mark();
        let known = self.like(out, event, &mut template);
        if !known {
            out.back_to(mark);
        }
        self.memo.give_back(template);
        known
    }

    fn like(
        &mut self,
        out: &mut Out,
        event: &Event<'_>,
        template: &mut Template<Printed<'g>>,
    ) -> bool {
        let mut copied = 0;
        let columns = Columns::of(out);
        let known = template.changes(event, |change| {
            let Change {
                what,
                row,
                diff,
                text,
            } = change;
            // A place is not printed, but for that of bits within a byte, which counts as their value.
            let as_it_was = !diff.sized && !diff.value;
            if row.start == row.end || as_it_was && !is_bits(event, what) {
                return true;
            }
            if !diff.sized && mend(text, event, what, row) {
                return true;
            }
            let text = |to| text.get(copied..to).unwrap_or(&[]);
            let mut role = row.role;
            let named = match (what, row.entry) {
                (What::Field(index), Some(entry)) => {
                    let Some(field) = event.fields.get(index as usize) else {
                        return false;
                    };
                    out.copy(text(row.value), row.column);
                    self.field_value(out, event, field, what, (role, entry))
                }
                (What::Note(index), Some(entry)) => {
                    let Some(note) = event.notes.get(index as usize) else {
                        return false;
                    };
                    out.copy(text(row.value), row.column);
                    self.note_value(out, note, (role, entry))
                }
                _ => {
                    out.copy(text(row.start), 0);
                    self.row(out, event, what, &mut role);
                    copied = row.end;
                    return false;
                }
            };
            let beside = columns
                .meaning
                .filter(|meaning| row.speaks && out.column() < *meaning);
            if row.named == named_address(named) && row.beside == beside.is_some() {
                match beside {
                    Some(meaning) => out.to_column(meaning),
                    None => out.newline(),
                }
                copied = row.rest;
            } else {
                if let Some(described) = self.described(event, what, role) {
                    self.rest(out, described, named, row.fresh);
                }
                copied = row.end;
            }
            false
        });
        out.copy(template.text_from(copied), 0);
        known
    }
}

/// How a value of that row is written whatever it is, if it is a plain one: a number without names, an address.
fn form<'g>(event: &Event<'_>, what: What, row: Row<'g>) -> Form<'g> {
    let decimal = || {
        let unit = row.entry.unit.as_str();
        // Nanoseconds may be told in a larger unit first.
        let plain = unit.is_ascii() && unit != "ns" && row.entry.values().next().is_none();
        plain.then_some(Form::Decimal(unit))
    };
    let form =
        match what {
            What::Field(index) => event.fields.get(index as usize).and_then(|field| {
                match (field.def.kind, decimal()) {
                    _ if is_bits(event, what) => None,
                    (Kind::Uint, form) => form,
                    (Kind::Hex, Some(Form::Decimal(""))) if field.bits <= 64 => Some(Form::Hex),
                    (Kind::Ipv4, _) => Some(Form::Ipv4),
                    _ => None,
                }
            }),
            What::Note(index) => event.notes.get(index as usize).and_then(|note| {
                let number = matches!(note.value, Fact::Uint(_))
                    && !matches!(note.def.kind, Kind::Bool | Kind::Hex)
                    && !may_be_verdict(note);
                number.then(decimal).flatten()
            }),
            _ => None,
        };
    form.unwrap_or_default()
}

/// Whether a note of that name may be a verdict, with another value.
fn may_be_verdict(note: &Note) -> bool {
    verdict(note).is_some() || is_status(note.def) || core::ptr::eq(note.def, &tls::OPENED)
}

/// Writes a value over the one in the text of its row. False, and nothing written, if it has to be printed otherwise.
#[inline]
fn mend(text: &mut [u8], event: &Event<'_>, what: What, row: &Printed<'_>) -> bool {
    let Some(place) = text.get_mut(row.value..row.rest) else {
        return false;
    };
    let number = |what| match what {
        What::Field(index) => {
            let field = event.fields.get(index as usize)?;
            field.value(event.bytes(field.buf)).uint()
        }
        What::Note(index) => event.notes.get(index as usize)?.value.uint(),
        _ => None,
    };
    let mut short = Short::default();
    match (row.form, what) {
        (Form::Free, _) => return false,
        (Form::Decimal(unit), _) => {
            let Some(n) = number(what) else {
                return false;
            };
            short.number(n);
            if !unit.is_empty() {
                // Of one there may be another word.
                if n == 1 {
                    return false;
                }
                short.push(b" ");
                short.push(unit.as_bytes());
            }
        }
        (Form::Hex, What::Field(index)) => {
            let Some((field, n)) = event.fields.get(index as usize).zip(number(what)) else {
                return false;
            };
            short.push(b"0x");
            let len = (field.bits / 8) as usize;
            for byte in n.to_be_bytes().iter().skip(8_usize.saturating_sub(len)) {
                short.push(&hex_pair(*byte));
            }
        }
        (Form::Ipv4, What::Field(index)) => {
            let field = event.fields.get(index as usize);
            let bytes = field.map_or(&[][..], |field| event.field_bytes(field));
            let Ok(address) = <[u8; 4]>::try_from(bytes) else {
                return false;
            };
            let (text, len) = dotted(address);
            short.push(text.get(..len).unwrap_or(&[]));
        }
        _ => return false,
    }
    short.over(place)
}

/// A short text, and spaces behind it.
#[derive(Debug)]
struct Short {
    text: [u8; 48],
    len: usize,
}

impl Default for Short {
    fn default() -> Self {
        Self {
            text: [b' '; 48],
            len: 0,
        }
    }
}

impl Short {
    /// Adds something. What has no room makes it too long for any place.
    #[inline]
    fn push(&mut self, text: &[u8]) {
        let end = self.len + text.len();
        if let Some(place) = self.text.get_mut(self.len..end) {
            place.copy_from_slice(text);
        }
        self.len = end;
    }

    #[inline]
    fn number(&mut self, n: u64) {
        self.push(itoa::Buffer::new().format(n).as_bytes());
    }

    /// Writes it over what stands there, if it and a space have room.
    #[inline]
    fn over(&self, place: &mut [u8]) -> bool {
        match self.text.get(..place.len()) {
            Some(text) if self.len < place.len() => {
                place.copy_from_slice(text);
                true
            }
            _ => false,
        }
    }
}

pub(super) fn named_address(named: Option<&NamedValue>) -> usize {
    named.map_or(0, |named| std::ptr::from_ref(named).addr())
}

/// Whether it is a field that does not consist of whole bytes.
fn is_bits(event: &Event<'_>, what: What) -> bool {
    let What::Field(index) = what else {
        return false;
    };
    let field = event.fields.get(index as usize);
    field.is_some_and(|f| !f.start.is_multiple_of(8) || !f.bits.is_multiple_of(8))
}
