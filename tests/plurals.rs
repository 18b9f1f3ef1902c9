//! Where a number stands before a noun, the noun goes by it: with 1, no sentence of the program has a plural.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail by panicking"
)]

use std::collections::BTreeSet;

use layerwise::lesson::load;
use layerwise::text::{Glossary, OTHERS, filled};

/// Plurals that may stand behind a number; those that the texts give as the form for many come on top.
const PLURALS: [(&str, &[&str]); 2] = [
    (
        "en",
        &[
            "bytes",
            "packets",
            "segments",
            "records",
            "messages",
            "lines",
            "words",
            "bits",
            "hops",
            "seconds",
            "milliseconds",
            "routers",
            "characters",
            "answers",
            "hints",
            "questions",
            "headers",
            "columns",
            "times",
            "copies",
            "acknowledgments",
            "secrets",
            "connections",
            "conversations",
            "attempts",
            "are",
            "were",
            "have",
            "do",
        ],
    ),
    (
        "de",
        &[
            "Bytes",
            "Pakete",
            "Segmente",
            "Sätze",
            "Nachrichten",
            "Zeilen",
            "Bits",
            "Wege",
            "Sekunden",
            "Millisekunden",
            "Router",
            "Zeichen",
            "Antworten",
            "Hinweise",
            "Fragen",
            "sind",
            "haben",
        ],
    ),
];

/// The forms for many that a text gives, by their first words, but for those that go with one as well.
fn forms(text: &str) -> Vec<&str> {
    let inside = text.split('{').skip(1).filter_map(|t| t.split_once('}'));
    let pairs = inside.filter_map(|(name, _)| name.split_once('|'));
    let words = pairs.filter(|(one, many)| one != many);
    words
        .filter_map(|(_, many)| many.split([' ', ',']).next())
        .filter(|many| {
            ![
                "it",
                "they",
                "them",
                "their",
                "die",
                "weitere",
                "versiegelte",
                "duplicate",
                "cipher",
                "TLS",
            ]
            .contains(many)
        })
        .collect()
}

/// Words that stand between a number and its noun.
const BETWEEN: [&str; 10] = [
    "more",
    "sealed",
    "other",
    "duplicate",
    "cipher",
    "TLS",
    "new",
    "weitere",
    "versiegelte",
    "of",
];

/// What stands for a name: a host, a time with its decimals, or the number 1.
fn stands_for(name: &str) -> &'static str {
    match name {
        "a" | "b" | "host" => "A",
        "ms" | "seconds" | "time" | "took" | "said_bytes" => "1.0",
        _ => "1",
    }
}

/// What is wrong with a text when every number in it is 1: a 1 with a plural behind it.
fn wrong(text: &str, plurals: &BTreeSet<&str>) -> Option<String> {
    let text = filled(text, |name| Some(stands_for(name).to_owned())).unwrap();
    let words: Vec<&str> = text.split_whitespace().collect();
    for (at, word) in words.iter().enumerate() {
        let is_one = word.trim_start_matches(['(', '"', '+']) == "1";
        if !is_one {
            continue;
        }
        for next in words.iter().skip(at + 1).take(2) {
            let bare = next.trim_end_matches([',', '.', ':', ';', ')', '"', '?', '!']);
            if plurals.contains(bare) {
                return Some(text);
            }
            if !BETWEEN.contains(next) {
                break;
            }
        }
    }
    None
}

#[test]
fn with_one_the_glossary_speaks_of_one() {
    let mut found = Vec::new();
    for (language, more) in PLURALS {
        let glossary = Glossary::of_language(language).unwrap();
        let sentences: Vec<(&str, &str)> = glossary
            .keys()
            .filter(|key| key.starts_with("say.") || key.starts_with("stop."))
            .filter_map(|key| Some((key, glossary.entry(key)?.short.as_str())))
            // What a language does not say itself is said in English.
            .filter(|(key, _)| language == "en" || own(language).contains(*key))
            .collect();
        let mut plurals: BTreeSet<&str> = more.iter().copied().collect();
        plurals.extend(sentences.iter().flat_map(|(_, text)| forms(text)));
        assert!(sentences.len() > 50 && plurals.len() >= more.len());
        for (key, text) in sentences {
            found.extend(wrong(text, &plurals).map(|text| format!("{language} {key}: {text}")));
        }
    }
    assert!(
        found.is_empty(),
        "write {{byte|bytes}}:\n{}",
        found.join("\n")
    );
}

/// The keys that the files of a language have.
fn own(language: &str) -> BTreeSet<String> {
    let (_, files) = OTHERS.iter().find(|(name, _)| *name == language).unwrap();
    let tables = files
        .iter()
        .map(|(_, text)| toml::from_str::<toml::Table>(text).unwrap());
    tables
        .flat_map(|table| table.into_iter().map(|(key, _)| key))
        .collect()
}

#[test]
fn with_one_a_unit_is_that_of_one() {
    for (language, more) in PLURALS {
        let glossary = Glossary::of_language(language).unwrap();
        for key in glossary.keys() {
            let entry = glossary.entry(key).unwrap();
            assert!(
                !more.contains(&entry.unit_of_one.as_str()) || entry.unit_of_one == "Router",
                "{language} {key}: 1 {}",
                entry.unit_of_one
            );
        }
    }
}

#[test]
fn with_one_the_lessons_speak_of_one() {
    let mut found = Vec::new();
    for lesson in load::load(None).unwrap() {
        for (language, texts) in &lesson.texts {
            let (_, more) = PLURALS.iter().find(|(name, _)| name == language).unwrap();
            let mut plurals: BTreeSet<&str> = more.iter().copied().collect();
            plurals.extend(texts.keys().flat_map(|key| forms(texts.find(key).unwrap())));
            for key in texts.keys() {
                let text = texts.find(key).unwrap();
                found.extend(
                    wrong(text, &plurals)
                        .map(|text| format!("{} {language} {key}: {text}", lesson.folder)),
                );
            }
        }
    }
    assert!(
        found.is_empty(),
        "write {{byte|bytes}}:\n{}",
        found.join("\n")
    );
}
