//! Words are data: the glossary, loaded from `glossary/<lang>/*.toml`, which is embedded in the program.
//!
//! ```toml
//! ["ip.ttl"]
//! name  = "Time to live"
//! short = "How many more hops the packet may make, the one it is on included."
//! why   = "Each router takes one off; at zero the packet is thrown away, so that no packet circles for ever."
//! rfc   = "RFC 791, section 3.1"
//!
//! ["ip.proto".values]
//! 6 = "TCP"                                               # a name alone
//! 17 = { name = "UDP", text = "User Datagram Protocol" }  # or a name and a sentence
//! "144-252" = "unassigned"                                # a range of values
//!
//! ["ipv6.nxt"]
//! values_of = "ip.proto"                                   # the named values of another key, in this file or an earlier
//! ```
//!
//! Where a number stands before a noun, both forms are given, for one and for any other number: `{n} {byte|bytes} {is|are}`
//! left. They go by the number that was put in last before them ([`form`]). A `unit` has them likewise: `unit = "byte|bytes"`.
//!
//! A key is a field key, or begins with `say.` (a sentence of the screen, with `{placeholders}`), `stop.`, or `oid.` (an
//! object identifier in figures, such as `oid.2.5.4.3`).

mod quick;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

use serde::Deserialize;

use crate::layers;
use crate::packet::FieldDef;

/// The embedded files of the English glossary. A new layer adds its line here.
pub static ENGLISH: &[(&str, &str)] = &[
    ("screen.toml", include_str!("../glossary/en/screen.toml")),
    ("demo.toml", include_str!("../glossary/en/demo.toml")),
    ("attack.toml", include_str!("../glossary/en/attack.toml")),
    ("ends.toml", include_str!("../glossary/en/ends.toml")),
    ("verdict.toml", include_str!("../glossary/en/verdict.toml")),
    (
        "ethernet.toml",
        include_str!("../glossary/en/ethernet.toml"),
    ),
    ("cooked.toml", include_str!("../glossary/en/cooked.toml")),
    ("arp.toml", include_str!("../glossary/en/arp.toml")),
    ("file.toml", include_str!("../glossary/en/file.toml")),
    ("follow.toml", include_str!("../glossary/en/follow.toml")),
    ("capture.toml", include_str!("../glossary/en/capture.toml")),
    ("doctor.toml", include_str!("../glossary/en/doctor.toml")),
    ("ip.toml", include_str!("../glossary/en/ip.toml")),
    ("ipv6.toml", include_str!("../glossary/en/ipv6.toml")),
    ("tcp.toml", include_str!("../glossary/en/tcp.toml")),
    ("kernel.toml", include_str!("../glossary/en/kernel.toml")),
    ("icmp.toml", include_str!("../glossary/en/icmp.toml")),
    ("udp.toml", include_str!("../glossary/en/udp.toml")),
    ("dns.toml", include_str!("../glossary/en/dns.toml")),
    ("http.toml", include_str!("../glossary/en/http.toml")),
    ("tls.toml", include_str!("../glossary/en/tls.toml")),
    ("x509.toml", include_str!("../glossary/en/x509.toml")),
    (
        "chat_program.toml",
        include_str!("../glossary/en/chat_program.toml"),
    ),
    ("chat.toml", include_str!("../glossary/en/chat.toml")),
    ("data.toml", include_str!("../glossary/en/data.toml")),
    ("lesson.toml", include_str!("../glossary/en/lesson.toml")),
    ("frame.toml", include_str!("../glossary/en/frame.toml")),
];

/// The embedded files of other languages. What they do not say is said in English.
pub static OTHERS: &[(&str, &[(&str, &str)])] = &[(
    "de",
    &[
        ("lesson.toml", include_str!("../glossary/de/lesson.toml")),
        ("demo.toml", include_str!("../glossary/de/demo.toml")),
        ("layers.toml", include_str!("../glossary/de/layers.toml")),
        ("tls.toml", include_str!("../glossary/de/tls.toml")),
        ("x509.toml", include_str!("../glossary/de/x509.toml")),
        ("screen.toml", include_str!("../glossary/de/screen.toml")),
    ],
)];

/// What the glossary says under one key.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The field's name as people say it.
    #[serde(default)]
    pub name: String,
    /// One sentence: what it is.
    #[serde(default)]
    pub short: String,
    /// Why it exists, what goes wrong without it.
    #[serde(default)]
    pub why: String,
    /// Where it is specified: RFC and section.
    #[serde(default)]
    pub rfc: String,
    /// The unit of its number, such as `bytes`; in a file also the form for one, `byte|bytes`.
    #[serde(default)]
    pub unit: String,
    /// The unit of the number 1, such as `byte`.
    #[serde(skip)]
    pub unit_of_one: String,
    /// The key whose named values are its own, too.
    #[serde(default)]
    values_of: String,
    /// Names for its values.
    #[serde(default)]
    values: HashMap<String, Named>,
    /// The values again, as sorted ranges.
    #[serde(skip)]
    ranges: Vec<(u64, u64, NamedValue)>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Named {
    Name(String),
    Full(NamedValue),
}

/// A value that has a name.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedValue {
    /// The name in the specification.
    pub name: String,
    /// A sentence about it; may be empty.
    #[serde(default)]
    pub text: String,
}

impl Entry {
    /// The name of the value `n`, if it has one.
    #[must_use]
    pub fn value(&self, n: u64) -> Option<&NamedValue> {
        let after = self.ranges.partition_point(|(from, _, _)| *from <= n);
        let (_, to, named) = self.ranges.get(after.checked_sub(1)?)?;
        (n <= *to).then_some(named)
    }

    /// Takes over from an entry in another language what is no prose: the source, the unit, the names of values.
    fn take_facts_of(&mut self, other: Self) {
        if self.rfc.is_empty() {
            self.rfc = other.rfc;
        }
        if self.unit.is_empty() {
            self.unit = other.unit;
            self.unit_of_one = other.unit_of_one;
        }
        for (from, to, named) in other.ranges {
            if !self.ranges.iter().any(|(a, b, _)| *a <= to && from <= *b) {
                let name = NamedValue {
                    name: named.name,
                    text: String::new(),
                };
                self.ranges.push((from, to, name));
            }
        }
        self.ranges.sort_by_key(|(from, _, _)| *from);
    }

    /// All named values, in order: first and last number, and the name.
    pub fn values(&self) -> impl Iterator<Item = (u64, u64, &NamedValue)> {
        self.ranges
            .iter()
            .map(|(from, to, named)| (*from, *to, named))
    }
}

/// The glossary of one language.
#[derive(Debug, Default, Clone)]
pub struct Glossary {
    entries: Vec<Entry>,
    by_key: HashMap<String, usize, BuildHasherDefault<ByText>>,
    /// The same, found by the address of the field definition: for printing, where every field asks.
    by_def: HashMap<usize, usize, BuildHasherDefault<ByAddress>>,
    nothing: Entry,
}

impl Glossary {
    /// The English glossary that is built into the program.
    ///
    /// # Errors
    /// A [`TextError`] naming the file; the tests make sure that this cannot happen to what is embedded.
    pub fn english() -> Result<Self, TextError> {
        let mut glossary = Self::default();
        for (file, text) in ENGLISH {
            glossary.add_own(file, text)?;
        }
        Ok(glossary)
    }

    /// The glossary of a language: what it does not say, or all of it if the language is not known, is in English.
    ///
    /// # Errors
    /// As for [`Glossary::english`].
    pub fn of_language(language: &str) -> Result<Self, TextError> {
        let mut glossary = Self::english()?;
        let files = OTHERS.iter().find(|(name, _)| *name == language);
        for (file, text) in files.map_or(&[][..], |(_, files)| files) {
            glossary.add_own(file, text)?;
        }
        Ok(glossary)
    }

    /// Adds a file's entries. An entry that is there already is replaced; it lends to the new one its source, its unit and
    /// the bare names of its values, where those are missing.
    ///
    /// # Errors
    /// A [`TextError`] when it is not TOML of the form above.
    pub fn add(&mut self, file: &str, text: &str) -> Result<(), TextError> {
        let parsed: HashMap<String, Entry> = toml::from_str(text).map_err(|e| TextError {
            file: file.to_owned(),
            message: e.to_string(),
        })?;
        self.add_entries(file, parsed)
    }

    /// The same for a file of the program's own, whose form is known.
    fn add_own(&mut self, file: &str, text: &str) -> Result<(), TextError> {
        match quick::parse(text) {
            Some(parsed) => self.add_entries(file, parsed),
            None => self.add(file, text),
        }
    }

    fn add_entries(
        &mut self,
        file: &str,
        parsed: impl IntoIterator<Item = (String, Entry)>,
    ) -> Result<(), TextError> {
        let error = |message: String| TextError {
            file: file.to_owned(),
            message,
        };
        let mut borrowers = Vec::new();
        for (key, mut entry) in parsed {
            for (value, named) in std::mem::take(&mut entry.values) {
                let (from, to) = range(&value).ok_or_else(|| {
                    error(format!("[\"{key}\".values] has {value:?}: give a number, 0x…, or a range such as \"3-7\""))
                })?;
                let named = match named {
                    Named::Name(name) => NamedValue {
                        name,
                        text: String::new(),
                    },
                    Named::Full(named) => named,
                };
                entry.ranges.push((from, to, named));
            }
            entry.ranges.sort_by_key(|(from, _, _)| *from);
            entry.unit_of_one = form(&entry.unit, b"1").unwrap_or(&entry.unit).to_owned();
            entry.unit = form(&entry.unit, b"2").unwrap_or(&entry.unit).to_owned();
            let unpaired = [&entry.name, &entry.short, &entry.why]
                .into_iter()
                .filter(|text| text.contains('|'))
                .find_map(|text| unpaired(text));
            if let Some(forms) = unpaired {
                return Err(error(format!(
                    "[\"{key}\"] has {{{forms}}}: write two forms, for one and for more, such as {{byte|bytes}}, behind the number \
                     they go by"
                )));
            }
            let index = match self.by_key.get(&key) {
                Some(index) => *index,
                None => {
                    self.entries.push(Entry::default());
                    self.entries.len() - 1
                }
            };
            if let Some(def) = layers::field(&key) {
                self.by_def.insert(std::ptr::from_ref(def).addr(), index);
            }
            if !entry.values_of.is_empty() {
                borrowers.push(index);
            }
            if let Some(place) = self.entries.get_mut(index) {
                entry.take_facts_of(core::mem::take(place));
                *place = entry;
            }
            self.by_key.insert(key, index);
        }
        for index in borrowers {
            self.borrow_values(index).map_err(error)?;
        }
        Ok(())
    }

    /// Gives an entry the named values of the key that its `values_of` names.
    fn borrow_values(&mut self, index: usize) -> Result<(), String> {
        let of = self
            .entries
            .get(index)
            .map_or("", |entry| entry.values_of.as_str());
        let ranges = match self.entry(of) {
            Some(lender) if lender.values_of.is_empty() => lender.ranges.clone(),
            _ => {
                return Err(format!(
                    "values_of = {of:?}: that key has no values of its own"
                ));
            }
        };
        if let Some(entry) = self.entries.get_mut(index) {
            // Bare names that an entry in another language left behind are the lender's, too.
            let lent = |from, to| ranges.iter().any(|(a, b, _)| *a <= to && from <= *b);
            entry.ranges.retain(|(from, to, _)| !lent(*from, *to));
            entry.ranges.extend(ranges);
            entry.ranges.sort_by_key(|(from, _, _)| *from);
        }
        Ok(())
    }

    /// What is said under that key.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.get(*self.by_key.get(key)?)
    }

    /// What is said of a field; an empty entry if nothing is.
    #[must_use]
    pub fn of(&self, def: &'static FieldDef) -> &Entry {
        let index = self.by_def.get(&std::ptr::from_ref(def).addr());
        index
            .and_then(|index| self.entries.get(*index))
            .unwrap_or(&self.nothing)
    }

    /// A sentence of the screen (`say.…`, `stop.…`): its `short` text, or the key itself if it is missing.
    #[must_use]
    pub fn say<'a>(&'a self, key: &'a str) -> &'a str {
        self.entry(key).map_or(key, |entry| entry.short.as_str())
    }

    /// Every key, in no particular order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.by_key.keys().map(String::as_str)
    }
}

/// Which of two forms such as `byte|bytes` goes with a number, as it stands in the text: the first with `1`, the second with
/// any other. Nothing if there is no `|`: then it is no pair of forms.
#[must_use]
pub fn form<'f>(forms: &'f str, number: &[u8]) -> Option<&'f str> {
    let (one, many) = forms.split_once('|')?;
    Some(if number == b"1" { one } else { many })
}

/// A number and its noun: `counted(1, "byte|bytes")` is `1 byte`.
#[must_use]
pub fn counted(n: u64, forms: &str) -> String {
    let n = n.to_string();
    let noun = form(forms, n.as_bytes()).unwrap_or(forms);
    format!("{n} {noun}")
}

/// What stands between braces with a `|` and is no pair of forms behind a placeholder.
fn unpaired(text: &str) -> Option<&str> {
    let (mut rest, mut counted) = (text, false);
    while let Some((_, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        match name.matches('|').count() {
            0 => counted = true,
            1 if counted => {}
            _ => return Some(name),
        }
        rest = after;
    }
    None
}

/// Puts values into a sentence: `value` says what stands for each `{name}`, and pairs of forms go by it.
///
/// # Errors
/// The first name for which there is nothing.
pub fn filled(
    template: &str,
    mut value: impl FnMut(&str) -> Option<String>,
) -> Result<String, String> {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    let mut last = 0..0;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            text.push('{');
            rest = after;
            break;
        };
        let number = text.get(last.clone()).unwrap_or_default();
        match form(name, number.as_bytes()) {
            Some(form) => text.push_str(form),
            None => {
                let start = text.len();
                text.push_str(&value(name).ok_or_else(|| name.to_owned())?);
                last = start..text.len();
            }
        }
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

/// `7`, `0x1301` or `3-7`, as first and last number.
fn range(text: &str) -> Option<(u64, u64)> {
    let number = |t: &str| match t.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => t.parse().ok(),
    };
    match text.split_once('-') {
        Some((from, to)) => Some((number(from)?, number(to)?)),
        None => number(text).map(|n| (n, n)),
    }
}

/// Hashes a key of the glossary, eight bytes at a time. Nobody hostile chooses those.
#[derive(Debug, Default)]
struct ByText(u64);

impl Hasher for ByText {
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut tail = [0; 8];
        for (place, byte) in tail.iter_mut().zip(rest) {
            *place = *byte;
        }
        for word in words.iter().chain(core::iter::once(&tail)) {
            let word = u64::from_le_bytes(*word);
            self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        self.0 ^= self.0 >> 32;
    }
}

/// Hashes an address: multiplied, so that the bits that differ reach the top.
#[derive(Debug, Default)]
pub(crate) struct ByAddress(u64);

impl Hasher for ByAddress {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn write_usize(&mut self, n: usize) {
        self.0 = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// Why a glossary file cannot be used.
#[derive(Debug)]
pub struct TextError {
    /// The file's name.
    pub file: String,
    /// What is wrong, with line and column where the parser knows them.
    pub message: String,
}

impl std::fmt::Display for TextError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "glossary file {}: {}", self.file, self.message)
    }
}

impl std::error::Error for TextError {}

/// How many letters must be added, taken away or changed, or neighbours swapped, to make one text of the other.
pub(crate) fn distance(one: &str, two: &str) -> usize {
    let two: Vec<char> = two.chars().collect();
    // The rows of the usual table for the letters of `one`: this, the one before, and the one before that.
    let mut row: Vec<usize> = (0..=two.len()).collect();
    let mut above = row.clone();
    let mut before = None;
    for (i, a) in one.chars().enumerate() {
        let above2 = std::mem::replace(&mut above, row);
        row = vec![i + 1];
        let mut left = i + 1;
        for (j, b) in two.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX - 1);
            let mut cost = (at(&above, j) + usize::from(a != *b))
                .min(at(&above, j + 1) + 1)
                .min(left + 1);
            if let (Some(swapped), Some(last)) = (before, j.checked_sub(1).and_then(|j| two.get(j)))
                && swapped == *b
                && *last == a
                && i > 0
            {
                cost = cost.min(at(&above2, j - 1) + 1);
            }
            row.push(cost);
            left = cost;
        }
        before = Some(a);
    }
    row.last().copied().unwrap_or(0)
}

/// A time with its unit; milliseconds if it has none.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit.trim() {
        "us" | "µs" => 1e-6,
        "ms" | "" => 1e-3,
        "s" => 1.0,
        _ => return Err("give a number and us, ms or s, such as 5ms".to_owned()),
    };
    let number: f64 = number
        .parse()
        .map_err(|_| "give a number and us, ms or s, such as 5ms".to_owned())?;
    Duration::try_from_secs_f64(number * scale).map_err(|_| "that is too long".to_owned())
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail by panicking"
)]
mod tests {
    use super::*;

    fn name(glossary: &Glossary, key: &str, value: u64) -> Option<String> {
        glossary.entry(key)?.value(value).map(|v| v.name.clone())
    }

    #[test]
    fn english_glossary_loads() {
        let glossary = Glossary::english().unwrap_or_else(|error| panic!("{error}"));
        let name = |key, value| name(&glossary, key, value);

        // Decimal and hexadecimal values, a range, and values that belong to another key.
        assert_eq!(
            name("tls.alert_message.desc", 20).as_deref(),
            Some("bad_record_mac")
        );
        assert_eq!(
            name("tls.handshake.ciphersuite", 0x1301).as_deref(),
            Some("TLS_AES_128_GCM_SHA256")
        );
        assert_eq!(
            name("tls.handshake.version", 0x7f1c).as_deref(),
            Some("TLS 1.3, a draft")
        );
        assert_eq!(name("tls.handshake.version", 0x8000), None);
        for key in [
            "tls.handshake.extensions_supported_group",
            "tls.handshake.extensions_key_share_group",
            "tls.handshake.extensions_key_share_selected_group",
            "tls.handshake.server_named_curve",
        ] {
            assert_eq!(
                name(key, 0x11ec).as_deref(),
                Some("X25519MLKEM768"),
                "{key}"
            );
        }
    }

    #[test]
    fn forms_go_by_the_number_before_them() {
        let of = |n: &str, m: &str| {
            filled("{n} {byte|bytes} of {m} {is|are} {left}", |name| {
                Some(match name {
                    "n" => n.to_owned(),
                    "m" => m.to_owned(),
                    _ => "left".to_owned(),
                })
            })
        };
        assert_eq!(of("1", "2").unwrap(), "1 byte of 2 are left");
        assert_eq!(of("0", "1").unwrap(), "0 bytes of 1 is left");
        assert_eq!(of("11", "1.0").unwrap(), "11 bytes of 1.0 are left");
        assert_eq!(filled("{a} {b}", |_| None), Err("a".to_owned()));
    }

    #[test]
    fn forms_without_a_number_or_a_pair_are_refused() {
        for short in ["{byte|bytes}", "{n} {byte|bytes|more}"] {
            let mut glossary = Glossary::default();
            let error = glossary.add("test.toml", &format!("[\"say.a\"]\nshort = \"{short}\"\n"));
            assert!(error.unwrap_err().to_string().contains("write two forms"));
        }
    }

    #[test]
    fn an_unknown_lender_is_refused() {
        let mut glossary = Glossary::default();
        let error = glossary
            .add("test.toml", "[\"a\"]\nvalues_of = \"b\"\n")
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "glossary file test.toml: values_of = \"b\": that key has no values of its own"
        );
    }
}
