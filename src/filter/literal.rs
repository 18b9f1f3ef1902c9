//! What is written in an expression, read as the kind of value it is compared with.

use core::ops::Range;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use super::FilterError;
use super::key::{Key, Source, Type, moment};
use super::lex::Token;
use super::widths::most;
use crate::packet::FieldDef;
use crate::text::{Glossary, distance};

/// A value that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Literal {
    Number(u64),
    Nanos(i128),
    /// An address and its prefix as a mask.
    V4(u32, u32),
    V6(u128, u128),
    Bytes(Vec<u8>),
    Text(Vec<u8>),
}

/// The names of values, loaded when an expression first uses one.
static NAMES: LazyLock<Glossary> = LazyLock::new(|| Glossary::english().unwrap_or_default());

/// Reads a token as a value of the key's kind; `is` differs from the key's own where a slice or a function stands between.
pub(super) fn literal(
    token: &Token,
    place: &Range<usize>,
    key: &Key,
    is: Type,
) -> Result<Literal, FilterError> {
    let wrong = |hint: String| {
        let (name, kind) = (key.name, is.name());
        let what = if is == key.is {
            format!("{name} is {kind}, and this is none")
        } else {
            format!("what is compared of {name} is {kind}, and this is none")
        };
        FilterError::new(place.clone(), what).hint(hint)
    };
    let read = match is {
        Type::Number | Type::Bool => number(token, place, key, is)?.map(Literal::Number),
        Type::Seconds => word(token).and_then(seconds).map(Literal::Nanos),
        Type::Date => match token {
            Token::Text(text) => str::from_utf8(text).ok().and_then(date).map(Literal::Nanos),
            Token::Word(text) => date(text).map(Literal::Nanos),
            _ => None,
        },
        Type::Ipv4 => word(token).and_then(v4),
        Type::Ipv6 => word(token).and_then(v6),
        Type::Text => match token {
            Token::Text(text) => Some(Literal::Text(text.clone())),
            Token::Char(byte) => Some(Literal::Text(vec![*byte])),
            Token::Word(text) => Some(Literal::Text(text.clone().into_bytes())),
            _ => None,
        },
        Type::Ether => word(token)
            .and_then(|_| bytes(token))
            .filter(|bytes| bytes.len() == 6)
            .map(Literal::Bytes),
        Type::Bytes | Type::Part => bytes(token).map(Literal::Bytes),
        Type::Oid => match token {
            Token::Text(text) => str::from_utf8(text).ok().and_then(oid),
            Token::Word(text) => oid(text).or_else(|| bytes(token)),
            _ => None,
        }
        .map(Literal::Bytes),
        Type::Mark => None,
    };
    read.ok_or_else(|| {
        wrong(match is {
            Type::Number | Type::Bool => numbers_hint(key),
            Type::Seconds => "give seconds, such as 0.25".to_owned(),
            Type::Date => {
                "write it as \"2026-01-01 12:00:00\" (UTC), quotation marks included".to_owned()
            }
            Type::Ether => "such as 02:00:00:00:00:0a".to_owned(),
            Type::Ipv4 => "such as 1.2.3.4 or 1.2.0.0/16, without quotation marks".to_owned(),
            Type::Ipv6 => {
                "such as 2001:db8::1 or 2001:db8::/32, without quotation marks".to_owned()
            }
            Type::Text => "text stands between double quotation marks".to_owned(),
            Type::Bytes | Type::Part => {
                "such as 16:03:01, or text between quotation marks".to_owned()
            }
            Type::Oid => "such as 2.5.4.3".to_owned(),
            Type::Mark => "write its name alone to ask whether it is there".to_owned(),
        })
    })
}

fn word(token: &Token) -> Option<&str> {
    match token {
        Token::Word(text) => Some(text),
        _ => None,
    }
}

/// A number, or the name of one.
fn number(
    token: &Token,
    place: &Range<usize>,
    key: &Key,
    is: Type,
) -> Result<Option<u64>, FilterError> {
    let text = match token {
        Token::Char(byte) => return Ok(Some(u64::from(*byte))),
        Token::Word(text) => text.as_str(),
        Token::Text(text) => str::from_utf8(text).unwrap_or(""),
        _ => return Ok(None),
    };
    if let (Token::Word(_), Some(n)) = (token, plain_number(text)) {
        let most = (is == key.is).then(|| most(key.name)).flatten();
        return match most.filter(|most| n > *most) {
            None => Ok(Some(n)),
            Some(most) => Err(FilterError::new(
                place.clone(),
                format!("this number is too large: {} is at most {most}", key.name),
            )),
        };
    }
    if is == Type::Bool {
        match text {
            "true" | "True" | "TRUE" => return Ok(Some(1)),
            "false" | "False" | "FALSE" => return Ok(Some(0)),
            _ => {}
        }
    }
    if text.starts_with('-')
        && text
            .get(1..)
            .is_some_and(|rest| plain_number(rest).is_some())
    {
        return Err(FilterError::new(
            place.clone(),
            format!("{} is never negative", key.name),
        ));
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) && matches!(token, Token::Word(_)) {
        let too_large = text.bytes().all(|b| b.is_ascii_digit());
        let what = if too_large {
            "this number is too large"
        } else {
            "this is no number"
        };
        return Err(FilterError::new(place.clone(), what).hint(
            "numbers are decimal, hexadecimal with 0x, octal with a leading 0, binary with 0b",
        ));
    }
    named(text, place, key)
}

/// The number that a name stands for.
fn named(text: &str, place: &Range<usize>, key: &Key) -> Result<Option<u64>, FilterError> {
    let asked = spelled(text);
    let most = (asked.len() / 4).clamp(1, 4);
    let mut numbers = Vec::new();
    let mut near = Vec::new();
    for def in defs(key) {
        for (from, to, value) in NAMES.of(def).values() {
            let name = spelled(&value.name);
            if name == asked {
                numbers.extend([from, to]);
            }
            near.push((distance(&asked, &name), value.name.clone()));
        }
    }
    numbers.sort_unstable();
    numbers.dedup();
    if let [first, .., last] = numbers.as_slice() {
        return Err(FilterError::new(
            place.clone(),
            format!("this name stands for several values of {}", key.name),
        )
        .hint(format!(
            "write numbers, such as in {{{first}, {last}}}; `layerwise explain {}` lists them",
            key.name
        )));
    }
    if let [number] = numbers.as_slice() {
        return Ok(Some(*number));
    }
    near.retain(|(distance, _)| *distance <= most);
    near.sort();
    near.dedup();
    let near: Vec<_> = near.into_iter().take(3).map(|(_, name)| name).collect();
    if near.is_empty() {
        return Ok(None);
    }
    Err(FilterError::new(
        place.clone(),
        format!("{} has no value of that name", key.name),
    )
    .hint(format!("did you mean {}?", near.join(" or "))))
}

/// Upper or lower case, spaces, hyphens and underscores make no difference to the name of a value.
fn spelled(name: &str) -> String {
    name.chars()
        .filter(|c| !matches!(c, ' ' | '-' | '_' | '.'))
        .flat_map(char::to_lowercase)
        .collect()
}

fn defs(key: &Key) -> &[&'static FieldDef] {
    match &key.from {
        Source::One(def) | Source::Frame(def) | Source::Layer(def) => core::slice::from_ref(def),
        Source::Several(defs) => defs,
        Source::Payload => &[],
    }
}

/// What a number may be instead: its named values, if they are few enough to be said.
fn numbers_hint(key: &Key) -> String {
    let names: Vec<&str> = defs(key)
        .iter()
        .flat_map(|def| NAMES.of(def).values())
        .map(|(_, _, value)| value.name.as_str())
        .collect();
    match names.as_slice() {
        [] => "write a number, such as 8 or 0x08".to_owned(),
        few if few.len() <= 6 => format!("write a number or one of {}", few.join(", ")),
        [first, ..] => format!(
            "write a number or a name such as {first}; `layerwise explain {}` lists them",
            key.name
        ),
    }
}

/// Decimal, `0x…`, `0…` (octal) or `0b…`.
pub(super) fn plain_number(text: &str) -> Option<u64> {
    let radix = |digits: &str, radix| {
        let digit = digits.starts_with(|c: char| c.is_ascii_alphanumeric());
        digit.then(|| u64::from_str_radix(digits, radix).ok())?
    };
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return radix(hex, 16);
    }
    if let Some(binary) = text.strip_prefix("0b").or_else(|| text.strip_prefix("0B")) {
        return radix(binary, 2);
    }
    match text.strip_prefix('0') {
        Some(octal) if !octal.is_empty() => radix(octal, 8),
        _ => radix(text, 10),
    }
}

/// Seconds with up to nine decimals, as nanoseconds.
fn seconds(text: &str) -> Option<i128> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || whole.len() + fraction.len() == 0 {
        return None;
    }
    let whole: i128 = if whole.is_empty() {
        0
    } else {
        whole.parse::<u64>().ok()?.into()
    };
    let nanos = i128::from(nanoseconds(fraction)?);
    let value = whole * 1_000_000_000 + nanos;
    Some(if negative { -value } else { value })
}

/// The decimals behind a second's point, at most nine of them.
fn nanoseconds(fraction: &str) -> Option<u32> {
    if fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: u32 = if fraction.is_empty() {
        0
    } else {
        fraction.parse().ok()?
    };
    Some(value * 10_u32.pow(9 - fraction.len() as u32))
}

/// `2026-01-01 12:00:00.5`, with a T in place of the blank, with ` UTC` or `Z` behind, or without a time of day.
fn date(text: &str) -> Option<i128> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let text = text.strip_suffix(" UTC").unwrap_or(text).trim();
    let (day, clock) = text.split_once([' ', 'T']).unwrap_or((text, "0:0:0"));
    let mut parts = day.split('-');
    let mut next = || parts.next()?.parse::<u16>().ok();
    let (year, month, day) = (next()?, next()?, next()?);
    if parts.next().is_some() {
        return None;
    }
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut parts = clock.split(':');
    let hour = parts.next()?.parse().ok()?;
    let minute = parts.next()?.parse().ok()?;
    let second = parts.next().map_or(Ok(0), str::parse).ok()?;
    if parts.next().is_some() {
        return None;
    }
    moment(
        year.into(),
        month.try_into().ok()?,
        day.try_into().ok()?,
        (hour, minute, second),
        nanoseconds(fraction)?,
    )
}

fn v4(text: &str) -> Option<Literal> {
    let (address, bits) = prefix(text, 32)?;
    let address: Ipv4Addr = address.parse().ok()?;
    let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
    Some(Literal::V4(u32::from(address) & mask, mask))
}

fn v6(text: &str) -> Option<Literal> {
    let (address, bits) = prefix(text, 128)?;
    let address: Ipv6Addr = address.parse().ok()?;
    let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
    Some(Literal::V6(u128::from(address) & mask, mask))
}

fn prefix(text: &str, all: u32) -> Option<(&str, u32)> {
    match text.split_once('/') {
        None => Some((text, all)),
        Some((address, bits)) => {
            let bits = bits.parse().ok().filter(|bits| *bits <= all)?;
            Some((address, bits))
        }
    }
}

/// Bytes: text as it stands, or hexadecimal digits, with `:`, `-` or `.` between the bytes or without.
pub(super) fn bytes(token: &Token) -> Option<Vec<u8>> {
    let text = match token {
        Token::Text(text) => return Some(text.clone()),
        Token::Char(byte) => return Some(vec![*byte]),
        Token::Word(text) => text.as_str(),
        _ => return None,
    };
    let one = |digits: &str| {
        let hex = digits.len() <= 2 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        hex.then(|| u8::from_str_radix(digits, 16).ok())?
    };
    if let Some(digits) = text.strip_prefix("0x") {
        return Some(vec![one(digits)?]);
    }
    if let Some(separator) = text.chars().find(|c| matches!(c, ':' | '-' | '.')) {
        let text = text.strip_suffix(separator).unwrap_or(text);
        return text.split(separator).map(one).collect();
    }
    if text.len() == 1 {
        return Some(vec![one(text)?]);
    }
    let pairs = text.as_bytes().chunks(2);
    let even = text.len().is_multiple_of(2);
    even.then(|| pairs.map(|pair| one(str::from_utf8(pair).ok()?)).collect())?
}

/// The content of an identifier in dots, or of one that the glossary has under that name.
fn oid(text: &str) -> Option<Vec<u8>> {
    let dotted = NAMES
        .keys()
        .filter_map(|key| Some((key, key.strip_prefix("oid.")?)))
        .find(|(key, _)| {
            NAMES.entry(key).is_some_and(|entry| {
                !entry.name.is_empty() && spelled(&entry.name) == spelled(text)
            })
        });
    let text = dotted.map_or(text, |(_, dotted)| dotted);
    let mut numbers = text.split('.').map(|part| part.parse::<u64>().ok());
    let (first, second) = (numbers.next()??, numbers.next()??);
    if first > 2 || (first < 2 && second > 39) {
        return None;
    }
    let mut content = Vec::new();
    push_base128(&mut content, (first * 40).checked_add(second)?);
    for number in numbers {
        push_base128(&mut content, number?);
    }
    Some(content)
}

/// X.690, section 8.19.2: seven bits a byte, all but the last with the top bit set.
fn push_base128(to: &mut Vec<u8>, number: u64) {
    let groups = (64 - number.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let low = (number >> (7 * group)) as u8 & 0x7f;
        to.push(if group > 0 { low | 0x80 } else { low });
    }
}
