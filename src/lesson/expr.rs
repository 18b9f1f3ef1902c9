//! Expressions over field keys: `tcp.len > 0 && ip.src == 1.2.3.4`, `chat.text contains "pay"`, `!tcp.flags.syn`.
//!
//! A small part of Wireshark's display filters. A comparison holds if it does for any field or note of that name; a key
//! alone asks whether there is one (and, for a flag, whether it is set).

use crate::layers;
use crate::packet::{Event, Fact, FieldDef, Kind, Value};

/// A parsed expression.
#[derive(Debug, Clone)]
pub(crate) enum Expr {
    Or(Vec<Expr>),
    And(Vec<Expr>),
    Not(Box<Expr>),
    Has(Key),
    Compare(Key, Op, Literal),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Equal,
    Differs,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Contains,
}

#[derive(Debug, Clone)]
pub(crate) enum Literal {
    Number(u64),
    Bytes(Vec<u8>),
}

/// What an expression asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Key {
    Number,
    Len,
    Field(&'static FieldDef),
}

impl Key {
    /// The key of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "frame.number" => Some(Self::Number),
            "frame.len" => Some(Self::Len),
            _ => layers::field(name).map(Self::Field),
        }
    }
}

impl Expr {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong, and at which character, counted from 1.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { text, at: 0 };
        let expr = parser.or()?;
        parser.space();
        if parser.rest().is_empty() {
            Ok(expr)
        } else {
            Err(parser.error("expected && or || or the end"))
        }
    }

    /// Whether it holds for a packet.
    pub(crate) fn matches(&self, event: &Event<'_>) -> bool {
        match self {
            Self::Or(parts) => parts.iter().any(|part| part.matches(event)),
            Self::And(parts) => parts.iter().all(|part| part.matches(event)),
            Self::Not(part) => !part.matches(event),
            Self::Has(Key::Field(def)) if def.kind == Kind::Bool => {
                let mut set = false;
                each(event, def, |value| set |= value == Plain::Number(1));
                set
            }
            Self::Has(Key::Field(def)) => {
                event.field(def).is_some()
                    || event.note(def).is_some()
                    || event.layers.iter().any(|l| core::ptr::eq(l.def, *def))
            }
            Self::Has(_) => true,
            Self::Compare(key, op, literal) => {
                let mut holds = false;
                let mut test = |value: Plain<'_>| holds |= compare(&value, *op, literal);
                match key {
                    Key::Number => test(Plain::Number(event.frame.number)),
                    Key::Len => test(Plain::Number(u64::from(event.frame.wire_len))),
                    Key::Field(def) => each(event, def, test),
                }
                holds
            }
        }
    }
}

#[derive(Debug, PartialEq)]
enum Plain<'v> {
    Number(u64),
    Bytes(&'v [u8]),
}

/// Calls `test` with every value that the event has under that name.
fn each(event: &Event<'_>, def: &'static FieldDef, mut test: impl FnMut(Plain<'_>)) {
    for field in event.fields.iter().filter(|f| core::ptr::eq(f.def, def)) {
        match field.value(event.bytes(field.buf)) {
            Value::None => {}
            Value::Bool(set) => test(Plain::Number(set.into())),
            Value::Uint(n) => test(Plain::Number(n)),
            Value::Ipv4(bytes) => test(Plain::Bytes(&bytes)),
            Value::Ipv6(bytes) => test(Plain::Bytes(&bytes)),
            Value::Bytes(bytes) | Value::Text(bytes) | Value::Oid(bytes) | Value::Time(bytes) => {
                test(Plain::Bytes(bytes));
            }
        }
    }
    for note in event.notes.iter().filter(|n| core::ptr::eq(n.def, def)) {
        match note.value {
            Fact::Present => {}
            Fact::Uint(n) => test(Plain::Number(n)),
            Fact::Bytes(ref bytes, len) => {
                test(Plain::Bytes(bytes.get(..usize::from(len)).unwrap_or(bytes)));
            }
        }
    }
}

fn compare(value: &Plain<'_>, op: Op, literal: &Literal) -> bool {
    match (value, literal) {
        (Plain::Number(value), Literal::Number(literal)) => match op {
            Op::Equal => value == literal,
            Op::Differs => value != literal,
            Op::Less => value < literal,
            Op::LessEqual => value <= literal,
            Op::Greater => value > literal,
            Op::GreaterEqual => value >= literal,
            Op::Contains => false,
        },
        (Plain::Bytes(value), Literal::Bytes(literal)) => match op {
            Op::Equal => *value == literal.as_slice(),
            Op::Differs => *value != literal.as_slice(),
            Op::Contains => {
                literal.is_empty() || value.windows(literal.len()).any(|part| part == literal)
            }
            _ => false,
        },
        _ => false,
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn error(&self, what: &str) -> String {
        format!(
            "at character {} of the expression {:?}: {what}",
            self.at + 1,
            self.text
        )
    }

    fn take(&mut self, word: &str) -> bool {
        self.space();
        let found = self.rest().starts_with(word);
        if found {
            self.at += word.len();
        }
        found
    }

    fn or(&mut self) -> Result<Expr, String> {
        let mut parts = vec![self.and()?];
        while self.take("||") {
            parts.push(self.and()?);
        }
        Ok(Expr::Or(parts))
    }

    fn and(&mut self) -> Result<Expr, String> {
        let mut parts = vec![self.not()?];
        while self.take("&&") {
            parts.push(self.not()?);
        }
        Ok(Expr::And(parts))
    }

    fn not(&mut self) -> Result<Expr, String> {
        if self.take("!") {
            return Ok(Expr::Not(Box::new(self.not()?)));
        }
        if self.take("(") {
            let inner = self.or()?;
            if !self.take(")") {
                return Err(self.error("a bracket is not closed: expected )"));
            }
            return Ok(inner);
        }
        self.comparison()
    }

    fn word(&mut self) -> &'t str {
        self.space();
        let rest = self.rest();
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || "._-:".contains(c)))
            .unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or("")
    }

    fn comparison(&mut self) -> Result<Expr, String> {
        self.space();
        let start = self.at;
        let name = self.word();
        let Some(key) = Key::named(name) else {
            self.at = start;
            return Err(self.error(&format!("{name:?} is no key; layerwise explain lists them")));
        };
        let ops = [
            ("==", Op::Equal),
            ("!=", Op::Differs),
            ("<=", Op::LessEqual),
            (">=", Op::GreaterEqual),
            ("<", Op::Less),
            (">", Op::Greater),
            ("contains", Op::Contains),
        ];
        for (word, op) in ops {
            if self.take(word) {
                return Ok(Expr::Compare(key, op, self.literal()?));
            }
        }
        Ok(Expr::Has(key))
    }

    fn literal(&mut self) -> Result<Literal, String> {
        if self.take("\"") {
            let rest = self.rest();
            let Some(end) = rest.find('"') else {
                return Err(self.error("a quotation mark is not closed"));
            };
            self.at += end + 1;
            let text = rest.get(..end).unwrap_or("");
            return Ok(Literal::Bytes(text.as_bytes().to_vec()));
        }
        self.space();
        let start = self.at;
        let word = self.word();
        if let Ok(address) = word.parse::<std::net::Ipv4Addr>() {
            return Ok(Literal::Bytes(address.octets().to_vec()));
        }
        let number = match word.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16),
            None => word.parse(),
        };
        match number {
            Ok(number) => Ok(Literal::Number(number)),
            Err(_) => {
                self.at = start;
                Err(self.error("expected a number, an address or a text in quotation marks"))
            }
        }
    }
}
