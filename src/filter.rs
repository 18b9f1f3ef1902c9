//! The expression language over field keys: Wireshark's display filters, as far as this program goes with them.
//!
//! ```text
//! tcp.port == 443 && tls.handshake          a name alone asks whether it is there
//! ip.addr == 1.2.0.0/16                     a field that occurs several times: one that fits is enough
//! ip.addr != 1.2.3.4                        all of them differ
//! tcp.payload[0:2] == 16:03                 some of the bytes: [n], [n:len], [n-m], [:len], [n:]
//! chat.text contains "pay" or tcp.flags.syn == true
//! tls.alert_message.desc == bad_record_mac  the names that the glossary has for values
//! tcp.port in {80, 443, 8000..8080}         a set, with ranges
//! tls.handshake.extensions_server_name matches "\\.example$"
//! ```
//!
//! Names, signs and what they mean are those of Wireshark 4.0. What is not supported is refused with its place; nothing
//! is passed over. An expression is compiled once, and judging an event allocates nothing.

use core::fmt;
use core::ops::Range;

use crate::packet::{Event, FieldDef};

mod eval;
pub mod key;
mod lex;
mod literal;
mod parse;
pub mod widths;

/// How long an expression may be, in bytes.
pub const MAX_LEN: usize = 16 << 10;

/// How deep parentheses, functions and negations may be nested.
pub const MAX_DEPTH: usize = 100;

/// A compiled expression.
///
/// ```
/// use layerwise::filter::Filter;
/// use layerwise::packet::{Frame, LinkType, Time};
/// use layerwise::session::Session;
///
/// let filter = Filter::parse("ip.src == 1.2.0.0/16 && ip.ttl > 60").expect("it is right");
/// let data = [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 6, 0x6a, 0xcc, 1, 2, 3, 4, 5, 6, 7, 8];
/// let mut session = Session::new();
/// let event = session.push(Frame { number: 1, time: Time(0), link: LinkType::RAW, data: &data, wire_len: 20 });
/// assert!(filter.matches(&event));
///
/// let error = Filter::parse("ip.tll > 60").unwrap_err();
/// assert_eq!(error.to_string(), "no such field: ip.tll; did you mean ip.ttl?\n  ip.tll > 60\n  ^^^^^^");
/// ```
#[derive(Debug)]
pub struct Filter {
    text: String,
    root: eval::Node,
}

impl Filter {
    /// Compiles an expression.
    ///
    /// # Errors
    /// [`FilterError`], with the place of what is not understood, not known, of the wrong kind, or not supported.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let root = parse::parse(text).map_err(|mut error| {
            text.clone_into(&mut error.expression);
            error
        })?;
        let text = text.to_owned();
        Ok(Self { text, root })
    }

    /// Whether it is true of an event.
    #[must_use]
    pub fn matches(&self, event: &Event<'_>) -> bool {
        self.root.holds(event)
    }

    /// Whether what it says depends on fields, notes or layers of that name.
    #[must_use]
    pub fn reads(&self, def: &'static FieldDef) -> bool {
        self.root.reads(def)
    }

    /// The expression as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl core::str::FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        Self::parse(text)
    }
}

/// A value that was written, to be put into a field.
#[derive(Debug, Clone, PartialEq)]
pub struct Written(literal::Literal);

impl Written {
    /// Reads a value as one of the key's kind.
    ///
    /// # Errors
    /// [`FilterError`], when it is none.
    pub fn parse(text: &str, key: &key::Key) -> Result<Self, FilterError> {
        let tokens = lex::tokens(text)?;
        let [(token, place)] = tokens.as_slice() else {
            return Err(FilterError::new(0..text.len(), "this is not one value"));
        };
        literal::literal(token, place, key, key.is).map(Self)
    }

    /// The value as a number, if it is one.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        match self.0 {
            literal::Literal::Number(n) => Some(n),
            literal::Literal::Nanos(n) => u64::try_from(n).ok(),
            _ => None,
        }
    }

    /// The value as bytes, if it is made of them.
    #[must_use]
    pub fn bytes(&self) -> Option<Vec<u8>> {
        match &self.0 {
            literal::Literal::V4(address, _) => Some(address.to_be_bytes().to_vec()),
            literal::Literal::V6(address, _) => Some(address.to_be_bytes().to_vec()),
            literal::Literal::Bytes(bytes) | literal::Literal::Text(bytes) => Some(bytes.clone()),
            literal::Literal::Number(_) | literal::Literal::Nanos(_) => None,
        }
    }
}

/// What is wrong with an expression, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterError {
    /// The whole expression.
    pub expression: String,
    /// The bytes of it that are wrong; where something is missing, none.
    pub place: Range<usize>,
    /// What is wrong.
    pub what: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

impl FilterError {
    pub(crate) fn new(place: Range<usize>, what: impl Into<String>) -> Self {
        Self {
            expression: String::new(),
            place,
            what: what.into(),
            hint: String::new(),
        }
    }

    /// A name that is no key.
    pub(crate) fn no_such_key(word: &str, place: Range<usize>) -> Self {
        parse::no_such_key(word, place)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

/// So many characters of a long expression are shown before the place, and behind it.
const AROUND: usize = 36;

impl fmt::Display for FilterError {
    /// The sentence; below it the expression, and below that a mark under what is wrong.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let visible = |c: char| if c.is_control() { '?' } else { c };
        let line = |text: &str| text.chars().map(visible).collect::<String>();
        write!(f, "{}", line(&self.what))?;
        if !self.hint.is_empty() {
            write!(f, "; {}", line(&self.hint))?;
        }
        let count =
            |range: Range<usize>| self.expression.get(range).map_or(0, |t| t.chars().count());
        let before = count(0..self.place.start);
        let marked = count(self.place.clone()).max(1);
        let from = if before > 2 * AROUND {
            before - AROUND
        } else {
            0
        };
        let shown: String = self
            .expression
            .chars()
            .skip(from)
            .take(before - from + AROUND)
            .map(visible)
            .collect();
        let marked = marked.min(AROUND);
        let wide = |text: &str| unicode_width::UnicodeWidthStr::width(text);
        let split = shown
            .char_indices()
            .nth(before - from)
            .map_or(shown.len(), |(at, _)| at);
        let (head, tail) = shown.split_at(split);
        let under: String = tail.chars().take(marked).collect();
        write!(
            f,
            "\n  {shown}\n  {}{}",
            " ".repeat(wide(head)),
            "^".repeat(wide(&under).max(1))
        )
    }
}

impl core::error::Error for FilterError {}
