//! `layerwise explain`: what the glossary says of a key, a layer, a name or a value.
//!
//! ```text
//! explain tcp.flags.syn     a key: its name, what it is, why, its values, its source, how to filter for it
//! explain tcp               a layer: the same, and the list of its fields
//! explain alert 20          words of a field's key or name, and a number: that value
//! explain bad_record_mac    the name of a value
//! explain time to live      the name of a field
//! explain checksum          a word that several fields have: the list of them
//! ```
//!
//! The result is lines of [`Span`]s, each with a [`Role`]: whoever writes them decides what a role looks like.

use std::fmt;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::filter;
use crate::layers::{self, PROTOCOLS};
use crate::packet::{FieldDef, Kind};
use crate::text::{Entry, Glossary, NamedValue, distance};
use crate::view::paint::{self, Out};

/// What a piece of text is, for whoever chooses its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The name of what is explained.
    Title,
    /// A key, or a number of a named value.
    Key,
    /// A small heading, such as "Why".
    Label,
    /// Everything else.
    Body,
    /// Something to type.
    Command,
}

/// A piece of text in one role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// What it is.
    pub role: Role,
    /// The text, without a line break.
    pub text: String,
}

/// One line, not yet coloured; an empty line has no spans.
pub type Line = Vec<Span>;

/// Nothing is known under what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotFound {
    /// What was asked for.
    pub asked: String,
    /// Up to three keys or names that come near, the nearest first.
    pub near: Vec<String>,
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.asked.contains('.') {
            "key"
        } else {
            "key or name"
        };
        write!(f, "no such {what}: {:?}; ", self.asked)?;
        match self.near.as_slice() {
            [] => write!(f, "`layerwise explain` alone lists what there is"),
            [one] => write!(f, "did you mean {one}?"),
            [before @ .., last] => write!(f, "did you mean {} or {last}?", before.join(", ")),
        }
    }
}

impl std::error::Error for NotFound {}

/// Explains what the words of `query` ask for, in lines of at most `width` columns; without words, what may be asked for.
///
/// # Errors
/// [`NotFound`], with suggestions, when the glossary has nothing of that kind.
pub fn explain(glossary: &Glossary, query: &[String], width: usize) -> Result<Vec<Line>, NotFound> {
    let mut page = Page {
        glossary,
        width: width.max(20),
        lines: Vec::new(),
    };
    let asked = query.join(" ");
    let words: Vec<&str> = asked
        .split_whitespace()
        .filter(|w| !matches!(*w, "==" | "="))
        .collect();
    if words.is_empty() {
        page.overview();
        return Ok(page.lines);
    }
    match find(glossary, &words) {
        Found::Nothing => Err(NotFound {
            near: near(glossary, &words.join(" ")),
            asked,
        }),
        Found::Entry(key, entry) => {
            page.entry(key, entry, &[]);
            Ok(page.lines)
        }
        Found::Fields(fields) => {
            if let [def, also @ ..] = fields.as_slice() {
                page.entry(def.key, glossary.of(def), also);
            }
            Ok(page.lines)
        }
        Found::Values(values) => {
            if let [(def, number, value), also @ ..] = values.as_slice() {
                page.value(def, *number, value);
                page.also(&also.iter().map(|(def, ..)| *def).collect::<Vec<_>>());
            }
            Ok(page.lines)
        }
        Found::List(fields) => {
            page.list(fields.into_iter());
            Ok(page.lines)
        }
    }
}

/// Writes the lines in their colours.
pub fn write(lines: &[Line], out: &mut Out) {
    for line in lines {
        for span in line {
            let role = match span.role {
                Role::Title => paint::Role::Heading,
                Role::Key => paint::Role::Tls,
                Role::Label => paint::Role::Dim,
                Role::Command => paint::Role::Value,
                Role::Body => {
                    out.text(&span.text);
                    continue;
                }
            };
            out.paint(role, &span.text);
        }
        out.newline();
    }
}

/// The lines as plain text.
#[must_use]
pub fn plain(lines: &[Line]) -> String {
    let mut out = String::new();
    for line in lines {
        out.extend(line.iter().map(|span| span.text.as_str()));
        out.push('\n');
    }
    out
}

/// Groups and texts of the project's own, which Wireshark's filters do not know.
const NOT_IN_WIRESHARK: &[&str] = &[
    "ber.bitstring.unused",
    "ber.header",
    "chat",
    "dns.caa.flags.reserved",
    "dns.flags.unused",
    "dns.question",
    "dns.record",
    "dtls.use_srtp.protection_profiles",
    "http.chunk_line",
    "http.empty_line",
    "http.start_line",
    "icmp.checksum_calculated",
    "icmpv6.checksum_calculated",
    "icmpv6.ext",
    "ieee8021ad.len",
    "ip.fragment_data",
    "ip.opt",
    "ip.opt.data",
    "ip.options",
    "ipv6.fragment_data",
    "ipv6.routing.srh.tlv",
    "ipv6.routing.srh.tlv.len",
    "ipv6.routing.srh.tlv.type",
    "ipv6.routing.srh.tlv.value",
    "sll.reserved",
    "stop",
    "tcp.analysis.acks_fin",
    "tcp.analysis.bytes_acked",
    "tcp.analysis.timeout",
    "tcp_info",
    "tcp.options.mptcp",
    "tcp.options.mptcp.data",
    "tcp.options.padding",
    "tls.ech.aead_id",
    "tls.ech.client_hello_type",
    "tls.ech.config_id",
    "tls.ech.confirmation",
    "tls.ech.enc",
    "tls.ech.enc_length",
    "tls.ech.kdf_id",
    "tls.ech.payload",
    "tls.ech.payload_length",
    "tls.ech.retry_configs",
    "tls.extension.oid_filters.values",
    "tls.grease",
    "tls.handshake.client_exchange",
    "tls.handshake.client_exchange_len",
    "tls.handshake.data",
    "tls.handshake.downgrade",
    "tls.handshake.extension",
    "tls.handshake.extensions",
    "tls.handshake.extensions.psk.binder",
    "tls.handshake.extensions.psk.binder_len",
    "tls.handshake.extensions.psk.identities",
    "tls.handshake.extensions_key_share_entry",
    "tls.handshake.extensions_key_share_key_exchange.ecdh",
    "tls.handshake.extensions_key_share_key_exchange.mlkem_ciphertext",
    "tls.handshake.extensions_key_share_key_exchange.mlkem_key",
    "tls.handshake.extensions_session_ticket",
    "tls.handshake.extensions_status_request_exts",
    "tls.handshake.extensions_status_request_responder_ids",
    "tls.handshake.hello_retry",
    "tls.handshake.message_hash",
    "tls.handshake.ocsp_response",
    "tls.handshake.server_exchange",
    "tls.record.cipher",
    "tls.record.nonce",
    "tls.record.opened",
    "tls.record.padding",
    "tls.record.secret",
    "tls.record.secret_generation",
    "tls.record.sequence",
    "tls.record.tag",
    "tls.sct.sct",
    "tls.sct.sct_signature_algorithm",
    "tls.sct.scts",
    "x509af.encrypted_element",
    "x509af.subjectPublicKey.bits",
    "x509af.subjectPublicKey_element",
    "x509af.version_element",
];

/// What a query means.
enum Found<'g> {
    /// One key, of a field or not.
    Entry(&'g str, &'g Entry),
    /// Fields of exactly that name: the first is explained, the others are mentioned.
    Fields(Vec<&'static FieldDef>),
    /// Values of exactly that name or number: the first is explained, the fields of the others are mentioned.
    Values(Vec<(&'static FieldDef, u64, &'g NamedValue)>),
    /// Fields that have something to do with it.
    List(Vec<&'static FieldDef>),
    Nothing,
}

fn find<'g>(glossary: &'g Glossary, words: &[&str]) -> Found<'g> {
    let whole = words.join(" ");
    let spoken = normal(&whole);
    if let [key] = words {
        if let Some(def) = layers::all_fields().find(|def| def.key.eq_ignore_ascii_case(key)) {
            return Found::Entry(def.key, glossary.of(def));
        }
        // A name for several fields at once.
        if let Some((_, fields)) = filter::key::several().find(|(name, _)| name == key) {
            return Found::List(fields);
        }
        if let Some(key) = glossary.keys().find(|k| k == key && !k.starts_with("say.")) {
            return glossary
                .entry(key)
                .map_or(Found::Nothing, |entry| Found::Entry(key, entry));
        }
    }
    if let [name @ .., number] = words
        && let (false, Some(number)) = (name.is_empty(), parse(number))
    {
        let values = values_of(glossary, &name.join(" "), number);
        if !values.is_empty() {
            return Found::Values(values);
        }
    }
    let called: Vec<_> = layers::all_fields()
        .filter(|def| {
            normal(&glossary.of(def).name) == spoken
                || last_part(def.key).eq_ignore_ascii_case(&whole)
        })
        .collect();
    if !called.is_empty() {
        return Found::Fields(called);
    }
    let values: Vec<_> = layers::all_fields()
        .flat_map(|def| {
            glossary
                .of(def)
                .values()
                .map(move |(from, _, value)| (def, from, value))
        })
        .filter(|(_, _, value)| normal(&value.name) == spoken)
        .collect();
    if !values.is_empty() {
        return Found::Values(values);
    }
    if whole.contains('.') {
        // Meant as a key: a near miss is better suggested than guessed at.
        return Found::Nothing;
    }
    let list: Vec<_> = layers::all_fields()
        .filter(|def| is_about(glossary, def, &spoken))
        .collect();
    match list.len() {
        0 => Found::Nothing,
        1 => Found::Fields(list),
        _ => Found::List(list),
    }
}

/// The fields that these words name and that have a name for this number; those whose key has the words come first.
fn values_of<'g>(
    glossary: &'g Glossary,
    name: &str,
    number: u64,
) -> Vec<(&'static FieldDef, u64, &'g NamedValue)> {
    let spoken = normal(name);
    let mut values: Vec<_> = layers::all_fields()
        .filter(|def| is_about(glossary, def, &spoken))
        .filter_map(|def| Some((def, number, glossary.of(def).value(number)?)))
        .collect();
    values.sort_by_key(|(def, ..)| match normal(def.key) {
        key if key == spoken => 0,
        key if key.ends_with(&spoken) => 1,
        key if key.contains(&spoken) => 2,
        _ => 3,
    });
    if let Some((def, ..)) = values.first()
        && def.key.eq_ignore_ascii_case(name)
    {
        values.truncate(1);
    }
    values
}

/// Whether each of these words is in the field's key or name.
fn is_about(glossary: &Glossary, def: &'static FieldDef, spoken: &str) -> bool {
    let text = format!("{} {}", normal(def.key), normal(&glossary.of(def).name));
    !spoken.is_empty() && spoken.split(' ').all(|word| text.contains(word))
}

/// Lower case, with one space wherever a name may have a space, a hyphen, an underscore or a dot.
fn normal(text: &str) -> String {
    let words: Vec<String> = text
        .split([' ', '_', '-', '.'])
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    words.join(" ")
}

fn last_part(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

fn parse(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// The keys and value names nearest to what was asked for, up to three, if they differ by little.
fn near(glossary: &Glossary, asked: &str) -> Vec<String> {
    let asked = asked.to_lowercase();
    let most = (asked.chars().count() / 4).clamp(1, 4);
    let mut near: Vec<(usize, String)> = Vec::new();
    for def in layers::all_fields() {
        let entry = glossary.of(def);
        let key = distance(&asked, &def.key.to_lowercase());
        let part = distance(&asked, &last_part(def.key).to_lowercase());
        let name = distance(&asked, &entry.name.to_lowercase());
        near.push((key.min(part).min(name), def.key.to_owned()));
        near.extend(entry.values().map(|(_, _, value)| {
            (
                distance(&asked, &value.name.to_lowercase()),
                value.name.clone(),
            )
        }));
    }
    let nearest = near.iter().map(|(distance, _)| *distance).min();
    near.retain(|(distance, _)| *distance <= most && Some(*distance) == nearest);
    near.sort();
    let mut names: Vec<String> = Vec::new();
    for (_, name) in near {
        if names.len() < 3 && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The lines of an answer while they are written.
struct Page<'g> {
    glossary: &'g Glossary,
    width: usize,
    lines: Vec<Line>,
}

impl Page<'_> {
    fn overview(&mut self) {
        self.text(self.glossary.say("say.explain.overview"), 0);
        self.blank();
        for example in [
            "tcp",
            "tcp.flags.syn",
            "\"time to live\"",
            "alert 20",
            "bad_record_mac",
        ] {
            self.push(&[
                (Role::Body, "  "),
                (Role::Command, &format!("layerwise explain {example}")),
            ]);
        }
        self.blank();
        self.label("say.explain.layers");
        self.list(PROTOCOLS.iter().map(|protocol| protocol.def));
    }

    /// Everything about one key.
    fn entry(&mut self, key: &str, entry: &Entry, also: &[&'static FieldDef]) {
        let def = layers::field(key);
        let name = if entry.name.is_empty() {
            key
        } else {
            &entry.name
        };
        self.push(&[(Role::Title, name)]);
        self.push(&[(Role::Key, key)]);
        self.prose(entry);
        let hex = def.is_some_and(|def| def.kind == Kind::Hex);
        if entry.values().next().is_some() {
            self.blank();
            self.label("say.explain.values");
            self.values(entry, hex);
        }
        self.facts(entry, def.and_then(|def| filter(def, entry, None)));
        let inner = inner(key, def);
        if !inner.is_empty() {
            self.blank();
            self.label("say.explain.fields");
            self.list(inner.into_iter());
        }
        self.also(also);
    }

    /// Everything about one value of a field.
    fn value(&mut self, def: &'static FieldDef, number: u64, value: &NamedValue) {
        let entry = self.glossary.of(def);
        self.push(&[(Role::Title, &value.name)]);
        let shown = written(number, def.kind == Kind::Hex);
        self.push(&[
            (Role::Key, def.key),
            (Role::Body, " = "),
            (Role::Key, &shown),
        ]);
        if !value.text.is_empty() {
            self.blank();
            self.text(&value.text, 0);
        }
        self.blank();
        self.text(&format!("{}: {}", entry.name, entry.short), 0);
        self.facts(entry, filter(def, entry, Some(number)));
    }

    fn prose(&mut self, entry: &Entry) {
        if !entry.short.is_empty() {
            self.blank();
            self.text(&entry.short, 0);
        }
        if !entry.why.is_empty() {
            self.blank();
            self.label("say.explain.why");
            self.text(&entry.why, 2);
        }
    }

    fn values(&mut self, entry: &Entry, hex: bool) {
        let numbers: Vec<String> = entry
            .values()
            .map(|(from, to, _)| match from == to {
                true => written(from, hex),
                false => format!("{}-{}", written(from, hex), written(to, hex)),
            })
            .collect();
        let column = numbers.iter().map(String::len).max().unwrap_or(0);
        for (number, (_, _, value)) in numbers.iter().zip(entry.values()) {
            let text = match value.text.is_empty() {
                true => value.name.clone(),
                false => format!("{}: {}", value.name, value.text),
            };
            self.row(&format!("{number:>column$}"), column, &text);
        }
    }

    /// Unit, source and filter, one line each.
    fn facts(&mut self, entry: &Entry, filter: Option<String>) {
        let facts = [
            (
                "say.explain.unit",
                Role::Body,
                (!entry.unit.is_empty()).then(|| entry.unit.clone()),
            ),
            (
                "say.explain.source",
                Role::Body,
                (!entry.rfc.is_empty()).then(|| entry.rfc.clone()),
            ),
            ("say.explain.filter", Role::Command, filter),
        ];
        let column = facts
            .iter()
            .map(|(label, ..)| self.glossary.say(label).width())
            .max()
            .unwrap_or(0);
        let mut first = true;
        for (label, role, text) in facts {
            let Some(text) = text else { continue };
            if std::mem::take(&mut first) {
                self.blank();
            }
            let label = self.glossary.say(label);
            let gap = " ".repeat(column - label.width() + 2);
            self.push(&[(Role::Label, label), (Role::Body, &gap), (role, &text)]);
        }
    }

    fn also(&mut self, also: &[&'static FieldDef]) {
        if !also.is_empty() {
            self.blank();
            self.label("say.explain.also");
            self.list(also.iter().copied());
        }
    }

    /// Keys and names, in two columns.
    fn list(&mut self, fields: impl Iterator<Item = &'static FieldDef> + Clone) {
        let widest = fields.clone().map(|def| def.key.len()).max().unwrap_or(0);
        for def in fields {
            self.row(def.key, widest, &self.glossary.of(def).name);
        }
    }

    /// A key or a number in a column of that width, and a text beside it; below it where there is no room.
    fn row(&mut self, key: &str, column: usize, text: &str) {
        let indent = column + 4;
        if indent + 16 > self.width {
            self.push(&[(Role::Body, "  "), (Role::Key, key)]);
            self.text(text, 4);
            return;
        }
        let gap = " ".repeat(column.saturating_sub(key.width()) + 2);
        let mut lines = wrap(text, self.width - indent).into_iter();
        let first = lines.next().unwrap_or_default();
        self.push(&[
            (Role::Body, "  "),
            (Role::Key, key),
            (Role::Body, &gap),
            (Role::Body, &first),
        ]);
        for line in lines {
            self.push(&[(Role::Body, &" ".repeat(indent)), (Role::Body, &line)]);
        }
    }

    fn label(&mut self, key: &str) {
        let label = self.glossary.say(key);
        self.push(&[(Role::Label, label)]);
    }

    fn text(&mut self, text: &str, indent: usize) {
        for line in wrap(text, self.width - indent) {
            self.push(&[(Role::Body, &" ".repeat(indent)), (Role::Body, &line)]);
        }
    }

    fn blank(&mut self) {
        self.lines.push(Line::new());
    }

    fn push(&mut self, spans: &[(Role, &str)]) {
        let spans = spans.iter().filter(|(_, text)| !text.is_empty());
        self.lines.push(
            spans
                .map(|(role, text)| Span {
                    role: *role,
                    text: (*text).to_owned(),
                })
                .collect(),
        );
    }
}

/// The fields that stand in a layer, or whose keys begin with that of a field.
fn inner(key: &str, def: Option<&'static FieldDef>) -> Vec<&'static FieldDef> {
    if let Some(protocol) = PROTOCOLS.iter().find(|p| p.def.key == key) {
        let fields = protocol.fields.iter().flat_map(|list| list.iter().copied());
        return fields.filter(|inner| Some(*inner) != def).collect();
    }
    layers::all_fields()
        .filter(|inner| {
            inner
                .key
                .strip_prefix(key)
                .is_some_and(|rest| rest.starts_with('.'))
        })
        .collect()
}

fn written(number: u64, hex: bool) -> String {
    if hex {
        format!("{number:#04x}")
    } else {
        number.to_string()
    }
}

/// A display filter that shows packets with this field: with this value, or one that is easy to change.
fn filter(def: &'static FieldDef, entry: &Entry, value: Option<u64>) -> Option<String> {
    let key = def.key;
    let own = NOT_IN_WIRESHARK.contains(&key)
        || NOT_IN_WIRESHARK.contains(&key.split('.').next().unwrap_or(key));
    if own {
        return None;
    }
    // Of two or more named values the second says more: 0 mostly means "nothing".
    let named = entry.values().nth(1).or_else(|| entry.values().next());
    let number = value.or(named.map(|(from, ..)| from));
    Some(match (def.kind, number) {
        (Kind::Bool, _) => format!("{key} == {}", value.unwrap_or(1)),
        (Kind::Hex, Some(n)) => format!("{key} == {}", written(n, true)),
        (Kind::Uint | Kind::Units(_), Some(n)) => format!("{key} == {n}"),
        // A header of twenty bytes is one without options.
        (Kind::Units(4), None) => format!("{key} > 20"),
        (Kind::Uint | Kind::Units(_), None) if entry.unit == "bytes" => format!("{key} > 0"),
        (Kind::Host | Kind::Digits(_), Some(n)) => format!("{key} == {n}"),
        (Kind::Ether, _) => format!("{key} == 02:00:00:00:00:0a"),
        (Kind::Ipv4, _) => format!("{key} == 1.2.3.4"),
        (Kind::Ipv6, _) => format!("{key} == 2001:db8::1"),
        (Kind::Name, _) => format!("{key} == \"example.com\""),
        (Kind::Text, _) => format!("{key} contains \"a\""),
        _ => key.to_owned(),
    })
}

/// Breaks a text into lines of at most `width` columns, at spaces; a word that is wider by itself is cut.
///
/// Columns are counted as a terminal does: two for a wide character, none for one that combines with another.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(2);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.width() + 1 + word.width() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        for c in word.chars() {
            if line.width() + c.width().unwrap_or(0) > width {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests;
