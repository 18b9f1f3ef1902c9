//! An expression as words and signs, each with its place.

use core::ops::Range;

use super::FilterError;

/// A word or a sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A name, a number, an address, bytes with colons: whatever stands without quotation marks.
    Word(String),
    /// Between double quotation marks, escapes resolved.
    Text(Vec<u8>),
    /// Between single quotation marks: one byte.
    Char(u8),
    /// `==`, `&&`, `(` and so on.
    Sign(&'static str),
    /// What stands between `[` and `]`.
    Slice(String),
}

/// The signs, the longer before those they begin with.
const SIGNS: &[&str] = &[
    "===", "!==", "==", "!=", "<=", ">=", "&&", "||", "..", "<", ">", "!", "&", "~", "(", ")", "{",
    "}", ",",
];

/// Cuts an expression into tokens.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, Range<usize>)>, FilterError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = text.get(at..).unwrap_or("");
        let start = at;
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let token = if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            at += sign.len();
            Token::Sign(sign)
        } else if first == '"' {
            let (bytes, len) = quoted(text, at, '"', false)?;
            at += len;
            Token::Text(bytes)
        } else if first == 'r' && rest.starts_with("r\"") {
            let (bytes, len) = quoted(text, at + 1, '"', true)?;
            at += 1 + len;
            Token::Text(bytes)
        } else if first == '\'' {
            let (bytes, len) = quoted(text, at, '\'', false)?;
            at += len;
            let [byte] = bytes.as_slice() else {
                return Err(FilterError::new(
                    start..at,
                    "between single quotation marks stands one byte, such as 'a' or '\\n'",
                )
                .hint("text stands between double quotation marks"));
            };
            Token::Char(*byte)
        } else if first == '[' {
            let Some(len) = rest.find(']') else {
                return Err(FilterError::new(at..at + 1, "this bracket is never closed"));
            };
            at += len + 1;
            Token::Slice(rest.get(1..len).unwrap_or("").to_owned())
        } else {
            let len = word(rest);
            if len == 0 {
                let end = at + first.len_utf8();
                return Err(unexpected(first, start..end));
            }
            at += len;
            Token::Word(rest.get(..len).unwrap_or("").to_owned())
        };
        tokens.push((token, start..at));
    }
    Ok(tokens)
}

/// How long the word at the front is. Two dots end it: they stand between the ends of a range.
fn word(rest: &str) -> usize {
    let belongs = |c: char| c.is_ascii_alphanumeric() || "_.:/-".contains(c) || !c.is_ascii();
    let end = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
    let word = rest.get(..end).unwrap_or("");
    word.find("..").unwrap_or(end)
}

fn unexpected(found: char, place: Range<usize>) -> FilterError {
    let (what, hint) = match found {
        '=' => ("a single = compares nothing", "write =="),
        '|' => ("a single | means nothing here", "write || or the word or"),
        '+' | '*' | '%' => ("this program does not calculate in expressions", ""),
        '#' => (
            "the layer operator # is not supported",
            "leave it out: every occurrence is looked at",
        ),
        '$' => ("references to another packet's field are not supported", ""),
        '@' => (
            "raw fields (@) are not supported",
            "a slice such as [0:] gives a field's bytes",
        ),
        '}' | ']' => ("this closes what was never opened", ""),
        _ => ("this character means nothing here", ""),
    };
    FilterError::new(place, what).hint(hint)
}

/// Reads a quoted text that begins at `at`; gives its bytes and how long it is with its quotation marks.
fn quoted(text: &str, at: usize, mark: char, raw: bool) -> Result<(Vec<u8>, usize), FilterError> {
    let mut bytes = Vec::new();
    let body = text.get(at + 1..).unwrap_or("");
    let mut chars = body.char_indices();
    while let Some((place, c)) = chars.next() {
        if c == mark {
            return Ok((bytes, place + 2));
        }
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let Some((_, escaped)) = chars.next() else {
            break;
        };
        if raw {
            bytes.push(b'\\');
            bytes.extend_from_slice(escaped.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let mut digits = |radix: u32, most: usize, first: Option<char>| {
            let mut value = first.and_then(|c| c.to_digit(radix)).unwrap_or(0);
            let mut count = usize::from(first.is_some());
            while count < most
                && let Some(digit) = chars.clone().next().and_then(|(_, c)| c.to_digit(radix))
            {
                value = value * radix + digit;
                count += 1;
                chars.next();
            }
            (count > 0).then_some(value)
        };
        let value = match escaped {
            'a' => Some(0x07),
            'b' => Some(0x08),
            'f' => Some(0x0c),
            'n' => Some(0x0a),
            'r' => Some(0x0d),
            't' => Some(0x09),
            'v' => Some(0x0b),
            '\\' | '"' | '\'' => Some(escaped as u32),
            'x' => digits(16, 2, None),
            '0'..='7' => digits(8, 3, Some(escaped)),
            _ => None,
        };
        let Some(value) = value.and_then(|v| u8::try_from(v).ok()) else {
            let start = at + 1 + place;
            return Err(FilterError::new(
                start..start + 1 + escaped.len_utf8(),
                "no such escape",
            )
            .hint("there are \\n \\t \\r \\\\ \\\" \\' \\x41 and \\101; r\"…\" takes all as it is"));
        };
        bytes.push(value);
    }
    Err(FilterError::new(
        at..at + 1,
        "this quotation mark is never closed",
    ))
}
