//! Values that are computed from the learner's own packets.

use std::fmt::Write as _;

use super::load::{LessonError, Shown, ValueDef};
use super::stage::Stage;
use crate::layers::{self, frame};
use crate::packet::{Event, Fact, FieldDef, Value};
use crate::text::Glossary;
use crate::wire::Host;

/// A value that was computed from packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Val {
    /// A number.
    Number(i128),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl Val {
    /// As it stands in a sentence.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Number(n) => n.to_string(),
            Self::Text(text) => crate::chat::printable(text).into_owned(),
            Self::Bytes(bytes) => hex(bytes, " "),
        }
    }
}

pub(super) fn hex(bytes: &[u8], between: &str) -> String {
    let mut text = String::new();
    for (i, byte) in bytes.iter().enumerate() {
        if i > 0 {
            text.push_str(between);
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

type Result<T> = core::result::Result<T, LessonError>;

impl Stage<'_> {
    /// The value of a name or of a sum of names and numbers.
    ///
    /// # Errors
    /// When a name is not known, or its packet is not there.
    pub fn calc(&self, text: &str) -> Result<Val> {
        let words: Vec<&str> = text.split_whitespace().collect();
        match *words.as_slice() {
            [one] => return self.value(one),
            [] => return Err(self.lesson.error(text, "a value has no name".to_owned())),
            _ => {}
        }
        let mut sum = 0;
        let mut sign = 1;
        for (i, word) in words.into_iter().enumerate() {
            if i % 2 == 1 {
                sign = match word {
                    "+" => 1,
                    "-" => -1,
                    _ => {
                        return Err(self.lesson.error(
                            text,
                            format!(
                                "{text:?}: between two values stands + or -, with spaces around it"
                            ),
                        ));
                    }
                };
                continue;
            }
            match self.value(word)? {
                Val::Number(n) => sum += sign * n,
                _ => {
                    return Err(self
                        .lesson
                        .error(text, format!("{text:?}: {word} is not a number")));
                }
            }
        }
        Ok(Val::Number(sum))
    }

    fn value(&self, name: &str) -> Result<Val> {
        if let Ok(number) = name.parse() {
            return Ok(Val::Number(number));
        }
        if let Some(text) = name.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
            return Ok(Val::Text(text.to_owned()));
        }
        let lesson = self.lesson;
        let Some(def) = lesson.data.values.get(name) else {
            if let Some(word) = self.word(name) {
                return Ok(Val::Text(word.to_owned()));
            }
            return Err(lesson.error(
                name,
                format!("there is no value {name:?}: add it under [values] or correct the name"),
            ));
        };
        if let Some(value) = self.values.borrow().get(name) {
            return Ok(value.clone());
        }
        if !self.computing.borrow_mut().insert(name.to_owned()) {
            return Err(lesson.error(
                &format!("{name} ="),
                format!("value {name} is computed from itself: give one of those it needs another expression"),
            ));
        }
        let value = self.compute(name, def);
        self.computing.borrow_mut().remove(name);
        let value = value?;
        self.values
            .borrow_mut()
            .insert(name.to_owned(), value.clone());
        Ok(value)
    }

    fn compute(&self, name: &str, def: &ValueDef) -> Result<Val> {
        let lesson = self.lesson;
        let run = def.run.as_deref().unwrap_or_else(|| lesson.first_run());
        let wrong = |message: String| {
            lesson.error(&format!("{name} ="), format!("value {name}: {message}"))
        };
        if let Some(calc) = &def.calc {
            let value = self.calc(calc)?;
            return Ok(match value {
                Val::Number(n) if def.wrap => Val::Number(n.rem_euclid(1 << 32)),
                other => other,
            });
        }
        if let Some(word) = &def.vary {
            return self
                .word(word)
                .map(|word| match def.shown {
                    Some(Shown::Len) => Val::Number(word.len() as i128),
                    _ => Val::Text(word.to_owned()),
                })
                .ok_or_else(|| wrong(format!("there is no list {word:?} under [vary]")));
        }
        if let Some(host) = &def.said {
            let tape = self.tape(run)?;
            let said = tape.said(host_named(host).ok_or_else(|| wrong("said is A or B".into()))?);
            return Ok(Val::Text(said.join(" / ")));
        }
        if let Some(host) = &def.heard {
            let tape = self.tape(run)?;
            let heard =
                tape.heard(host_named(host).ok_or_else(|| wrong("heard is A or B".into()))?);
            return Ok(Val::Text(heard.join(" / ")));
        }
        if let Some(host) = &def.read {
            let tape = self.tape(run)?;
            let read = tape.read(host_named(host).ok_or_else(|| wrong("read is A or B".into()))?);
            return Ok(Val::Text(read.join(" / ")));
        }
        if let Some(host) = &def.failure {
            let tape = self.tape(run)?;
            let host = host_named(host).ok_or_else(|| wrong("failure is A or B".into()))?;
            return Ok(Val::Text(tape.failure(host).unwrap_or_default().to_owned()));
        }
        let parse = |text: &str| self.condition(text);
        if let Some(text) = &def.count {
            let condition = parse(text)?;
            let mut count = 0;
            self.watch(run, |event, _| {
                count += i128::from(condition.matches(event))
            })?;
            return Ok(Val::Number(count));
        }
        let Some(of) = &def.of else {
            return Err(wrong(
                "one of: of, count, calc, said, heard, read, failure, vary is needed".into(),
            ));
        };
        let key = layers::field(of);
        if key.is_none() {
            return Err(wrong(format!(
                "{of:?} is no key; layerwise explain lists them"
            )));
        }
        let filter = def.filter.as_deref().map(parse).transpose()?;
        let since = def.since.as_deref().map(parse).transpose()?;
        let mut found = Vec::new();
        let (mut start, mut before) = (None, None);
        self.watch(run, |event, _| {
            let start = *start.get_or_insert(event.frame.time);
            if filter.as_ref().is_none_or(|filter| filter.matches(event)) {
                let time = event.frame.time.since(before.unwrap_or(start));
                let value = match key {
                    Some(key) if core::ptr::eq(key, &raw const frame::TIME) => {
                        Some(Val::Number(i128::from(time / 1_000_000)))
                    }
                    Some(key) => read(self.glossary, event, key, def),
                    None => None,
                };
                found.extend(value);
            }
            if since.as_ref().is_some_and(|since| since.matches(event)) && before.is_none() {
                before = Some(event.frame.time);
            }
        })?;
        let index = match def.nth {
            0 | 1 => Some(0),
            n if n > 1 => usize::try_from(n - 1).ok(),
            n => usize::try_from(-n)
                .ok()
                .and_then(|n| found.len().checked_sub(n)),
        };
        index
            .and_then(|index| found.get(index).cloned())
            .ok_or_else(|| {
                wrong(format!(
                    "no packet of run {run} has {of}{}: correct the expression or the run",
                    def.filter
                        .as_ref()
                        .map_or(String::new(), |filter| format!(" where {filter}"))
                ))
            })
    }

    /// Whether a condition of a choice holds.
    ///
    /// # Errors
    /// When it cannot be understood or computed.
    pub fn holds(&self, text: &str) -> Result<bool> {
        for (op, test) in [
            (" == ", (|a, b| a == b) as fn(&Val, &Val) -> bool),
            (" != ", |a, b| a != b),
            (
                " < ",
                |a, b| matches!((a, b), (Val::Number(a), Val::Number(b)) if a < b),
            ),
            (
                " > ",
                |a, b| matches!((a, b), (Val::Number(a), Val::Number(b)) if a > b),
            ),
        ] {
            if let Some((left, right)) = text.split_once(op) {
                return Ok(test(&self.calc(left)?, &self.calc(right)?));
            }
        }
        Err(self.lesson.error(
            text,
            format!("{text:?} is no condition: write NAME == NAME, with !=, < or > as well, and spaces around it"),
        ))
    }
}

fn host_named(name: &str) -> Option<Host> {
    match name {
        "A" => Some(Host::A),
        "B" => Some(Host::B),
        _ => None,
    }
}

/// The value of a key in one packet.
fn read(
    glossary: &Glossary,
    event: &Event<'_>,
    key: &'static FieldDef,
    def: &ValueDef,
) -> Option<Val> {
    if core::ptr::eq(key, &raw const frame::NUMBER) {
        return Some(Val::Number(event.frame.number.into()));
    }
    if core::ptr::eq(key, &raw const frame::LEN) {
        return Some(Val::Number(event.frame.wire_len.into()));
    }
    let value = {
        let nth = def.which.max(1) - 1;
        let fields = event.fields.iter().filter(|f| core::ptr::eq(f.def, key));
        let fields = fields.map(|field| {
            if def.shown == Some(Shown::Len) {
                return Some(Val::Number(field.bytes().len() as i128));
            }
            if def.shown == Some(Shown::Hex) {
                return Some(Val::Bytes(event.field_bytes(field).to_vec()));
            }
            match field.value(event.bytes(field.buf)) {
                Value::None | Value::Name(_) => None,
                Value::Bool(set) => Some(Val::Number(set.into())),
                Value::Uint(n) => Some(Val::Number(n.into())),
                Value::Ipv4(bytes) => Some(Val::Text(std::net::Ipv4Addr::from(bytes).to_string())),
                Value::Ipv6(bytes) => Some(Val::Text(std::net::Ipv6Addr::from(bytes).to_string())),
                Value::Text(bytes) => Some(Val::Text(String::from_utf8_lossy(bytes).into_owned())),
                Value::Ether(bytes) => Some(Val::Bytes(bytes.to_vec())),
                Value::Bytes(bytes) | Value::Oid(bytes) | Value::Time(bytes) => {
                    Some(Val::Bytes(bytes.to_vec()))
                }
            }
        });
        let notes = event.notes.iter().filter(|n| core::ptr::eq(n.def, key));
        let notes = notes.map(|note| match note.value {
            Fact::Present => Some(Val::Number(1)),
            Fact::Uint(n) => Some(Val::Number(n.into())),
            Fact::Bytes(ref bytes, len) => {
                Some(Val::Bytes(bytes.get(..usize::from(len))?.to_vec()))
            }
        });
        fields.chain(notes).flatten().nth(nth)?
    };
    match (def.shown, &value) {
        (_, Val::Bytes(bytes)) => {
            let [from, to] = def.slice.unwrap_or([0, bytes.len()]);
            Some(Val::Bytes(bytes.get(from..to)?.to_vec()))
        }
        (Some(Shown::Name), Val::Number(n)) => {
            let named = glossary.of(key).value(u64::try_from(*n).ok()?)?;
            Some(Val::Text(named.name.clone()))
        }
        _ => Some(value),
    }
}
