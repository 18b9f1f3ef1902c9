//! The glossary and the vocabulary belong together: every key has its words, and there are no words without a key.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test may fail by panicking"
)]

use std::collections::HashSet;

use layerwise::layers::{PROTOCOLS, all_fields};
use layerwise::packet::{FieldDef, Why};
use layerwise::text::{Entry, Glossary};

/// The application of the demonstration is the project's own, plain bytes are nobody's, a frame is the capture's: no RFC
/// specifies them.
const NO_RFC: [&str; 3] = ["chat", "data", "frame"];

fn english() -> Glossary {
    Glossary::english().expect("the embedded glossary can be read")
}

/// Everything that `complaint` says of a field and its entry.
fn complaints(complaint: impl Fn(&FieldDef, &Entry) -> Option<String>) -> Vec<String> {
    let glossary = english();
    let nothing = Entry::default();
    all_fields()
        .filter_map(|def| {
            let entry = glossary.entry(def.key).unwrap_or(&nothing);
            complaint(def, entry).map(|text| format!("{}: {text}", def.key))
        })
        .collect()
}

#[track_caller]
fn none(complaints: &[String]) {
    assert!(
        complaints.is_empty(),
        "{} complaints:\n  {}",
        complaints.len(),
        complaints.join("\n  ")
    );
}

#[test]
fn every_key_is_named_and_explained() {
    none(&complaints(|def, entry| {
        let protocol = def.key.split('.').next().unwrap_or(def.key);
        let missing: Vec<&str> = [
            ("name", &entry.name),
            ("short", &entry.short),
            ("why", &entry.why),
            ("rfc", &entry.rfc),
        ]
        .into_iter()
        .filter(|(what, text)| {
            text.trim().is_empty() && !(*what == "rfc" && NO_RFC.contains(&protocol))
        })
        .map(|(what, _)| what)
        .collect();
        (!missing.is_empty()).then(|| format!("has no {}", missing.join(", no ")))
    }));
}

#[test]
fn names_are_short_and_sentences_are_whole() {
    let sentence = |text: &str| {
        text.is_empty() || text.trim_end_matches([')', '"']).ends_with(['.', '?', '!'])
    };
    let glossary = english();
    let mut found = Vec::new();
    for key in glossary.keys() {
        let Some(entry) = glossary.entry(key) else {
            continue;
        };
        let mut say = |text: String| found.push(format!("{key}: {text}"));
        if entry.name.chars().count() > 40 {
            say(format!(
                "the name is longer than 40 characters: {}",
                entry.name
            ));
        }
        if entry.name.ends_with('.') {
            say("the name ends with a full stop".into());
        }
        for (what, text) in [("short", &entry.short), ("why", &entry.why)] {
            // What the screen says is not always a sentence.
            if !key.starts_with("say.") && !sentence(text) {
                say(format!("`{what}` does not end with a full stop"));
            }
            if text.contains("  ") || text.contains('\n') || text.trim() != text.as_str() {
                say(format!("`{what}` has stray space"));
            }
        }
        for (from, _, value) in entry.values() {
            if value.name.is_empty() || value.name.chars().count() > 60 {
                say(format!(
                    "value {from} has no name, or one longer than 60 characters"
                ));
            }
            if !sentence(&value.text) {
                say(format!(
                    "the text of value {from} does not end with a full stop"
                ));
            }
        }
    }
    found.sort();
    none(&found);
}

#[test]
fn no_words_without_a_key() {
    let keys: HashSet<&str> = all_fields().map(|def| def.key).collect();
    let reasons: HashSet<&str> = Why::ALL.iter().map(|why| why.key()).collect();
    let mut orphans: Vec<String> = english()
        .keys()
        .filter(|key| !keys.contains(key) && !reasons.contains(key) && !key.starts_with("say."))
        .filter(|key| !is_object_identifier(key))
        .map(str::to_owned)
        .collect();
    orphans.sort();
    none(&orphans);
}

/// `oid.` and at least two numbers: the words for a value, not for a field.
fn is_object_identifier(key: &str) -> bool {
    key.strip_prefix("oid.").is_some_and(|numbers| {
        numbers.contains('.') && numbers.split('.').all(|n| n.parse::<u64>().is_ok())
    })
}

#[test]
fn every_reason_to_stop_has_its_sentence() {
    let glossary = english();
    for why in Why::ALL {
        let sentence = glossary.say(why.key());
        assert!(
            sentence.contains("{layer}"),
            "{} is {sentence:?}",
            why.key()
        );
        assert!(
            sentence.contains("{offset}"),
            "{} is {sentence:?}",
            why.key()
        );
        let mut rest = sentence;
        while let Some((_, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').expect("a placeholder is closed");
            let known = ["layer", "field", "offset", "need", "have"];
            // A pair of forms, such as `byte|bytes`, is no name.
            assert!(
                name.contains('|') || known.contains(&name),
                "{} has {{{name}}}",
                why.key()
            );
            rest = after;
        }
    }
}

#[test]
fn values_do_not_overlap() {
    none(&complaints(|_, entry| {
        let values: Vec<_> = entry.values().collect();
        if let Some((from, to, _)) = values.iter().find(|(from, to, _)| from > to) {
            return Some(format!("{from}-{to} runs backwards"));
        }
        values.windows(2).find_map(|pair| match pair {
            [(_, to, one), (from, _, two)] if from <= to => Some(format!(
                "{} and {} share the value {from}",
                one.name, two.name
            )),
            _ => None,
        })
    }));
}

#[test]
fn keys_are_unique_and_of_wiresharks_form() {
    let mut seen = HashSet::new();
    for def in all_fields() {
        assert!(seen.insert(def.key), "{} is defined twice", def.key);
        assert!(
            def.key
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)),
            "{} is no key of Wireshark's form",
            def.key
        );
    }
    for protocol in PROTOCOLS {
        assert!(
            seen.contains(protocol.def.key),
            "{} is in no list of fields",
            protocol.def.key
        );
    }
}
