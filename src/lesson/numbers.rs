//! Numbers and RFCs in the texts of lessons: what a packet can tell is never typed, and what is cited is listed.

use std::collections::BTreeSet;

/// What stands in a text, in its order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Typed {
    /// Numbers that are neither placeholders nor names: `1500`, `0x41`, `4f`.
    pub(crate) numbers: BTreeSet<String>,
    /// What is counted in words, in small letters: `two segments`, `eight random bytes`.
    pub(crate) counts: BTreeSet<String>,
    /// Sections as they are cited: `RFC 9293, section 3.1`.
    pub(crate) sections: BTreeSet<String>,
}

/// Words before a number that make it a name: of a version, of a lesson.
const NAMED: [&str; 6] = ["TLS", "lesson", "lessons", "Lesson", "Lektion", "Lektionen"];
/// What a place in an RFC is called, in the languages that there are.
const PLACES: [(&str, &str); 4] = [
    ("section", "section"),
    ("appendix", "appendix"),
    ("Abschnitt", "section"),
    ("Anhang", "appendix"),
];

/// Numbers in words, in the languages that there are. One is no count: it is an article as often.
const WORDS: [&str; 20] = [
    "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "zwei",
    "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "elf",
];
/// What a packet or a run can have several of.
const COUNTED: [&str; 24] = [
    "packets",
    "segments",
    "bytes",
    "bits",
    "records",
    "messages",
    "fields",
    "connections",
    "routers",
    "secrets",
    "words",
    "layers",
    "addresses",
    "headers",
    "Pakete",
    "Segmente",
    "Bytes",
    "Bits",
    "Sätze",
    "Nachrichten",
    "Felder",
    "Wörter",
    "Schichten",
    "Adressen",
];

/// Finds what is counted in words: the number, a word between at most, and what is counted.
fn counted(text: &str, found: &mut BTreeSet<String>) {
    let words: Vec<&str> = text.split_whitespace().collect();
    for (at, word) in words.iter().enumerate() {
        let number = bare(word).to_lowercase();
        if !WORDS.contains(&number.as_str()) || word.ends_with(['.', ',', ';', ':']) {
            continue;
        }
        let mut phrase = number;
        for next in words.iter().skip(at + 1).take(2) {
            phrase.push(' ');
            phrase.push_str(&bare(next).to_lowercase());
            if COUNTED.contains(&bare(next)) {
                found.insert(phrase);
                break;
            }
            if next.ends_with(['.', ',', ';', ':', '?']) {
                break;
            }
        }
    }
}

/// Finds numbers and citations. A section without an RFC is one of the RFC that was named last in the text.
pub(crate) fn typed(text: &str) -> Typed {
    let mut found = Typed::default();
    let text = without_placeholders(text);
    counted(&text, &mut found.counts);
    let mut words = text.split_whitespace().peekable();
    let mut rfc: Option<String> = None;
    // The word before, without what surrounds it.
    let mut before = "";
    // A list such as `lessons 8, 9 and 14` goes on.
    let mut listing = false;
    while let Some(word) = words.next() {
        let bare = bare(word);
        let named = NAMED.contains(&before) || (listing && !bare.is_empty());
        let place = PLACES.iter().find(|(name, _)| *name == before);
        if before == "RFC" && is_number(bare) {
            rfc = Some(bare.to_owned());
        } else if let (Some((_, place)), Some(rfc)) = (place, &rfc)
            && !bare.is_empty()
        {
            found.sections.insert(format!("RFC {rfc}, {place} {bare}"));
        } else if named && is_number(bare) {
            let more =
                word.ends_with(',') || words.peek().is_some_and(|w| *w == "and" || *w == "und");
            listing = before != "TLS" && more;
        } else {
            listing &= bare == "and" || bare == "und";
            for part in bare.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_'))
            {
                let part = part.trim_matches('.');
                if part.starts_with(|c: char| c.is_ascii_digit()) {
                    found.numbers.insert(part.to_owned());
                }
            }
        }
        before = bare;
    }
    found
}

fn is_number(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
}

/// A word without the punctuation around it.
fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
}

fn without_placeholders(text: &str) -> String {
    let mut rest = text;
    let mut kept = String::with_capacity(text.len());
    while let Some((before, after)) = rest.split_once('{') {
        kept.push_str(before);
        // Something stands there, so that the words around it stay apart.
        kept.push('\u{2026}');
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(|s| (*s).to_owned()).collect()
    }

    #[test]
    fn numbers_are_found_and_names_are_not() {
        for (text, numbers) in [
            ("a packet of 1500 bytes, {n} of 20", &["1500", "20"][..]),
            (
                "TLS 1.3 is struck out, 1.2 is left (0x41, 4f)",
                &["1.2", "0x41", "4f"],
            ),
            ("see lesson 7, and lessons 8, 9 and 14: 3 of them", &["3"]),
            ("CLIENT_TRAFFIC_SECRET_0 and tcp.seq, 0-RTT", &["0"]),
            ("{n} and 16-bit", &["16"]),
            (
                "(RFC 8446, section 5.2), then (section 5.3) and RFC 793",
                &[],
            ),
        ] {
            assert_eq!(typed(text).numbers, set(numbers), "{text}");
        }
    }

    #[test]
    fn what_is_counted_in_words_is_found() {
        for (text, counts) in [
            (
                "Two packets, and the two segments",
                &["two packets", "two segments"][..],
            ),
            (
                "with eight random bytes. Three mean that",
                &["eight random bytes"],
            ),
            ("one packet; {n} segments; two, segments", &[]),
            ("jede der drei Schichten", &["drei schichten"]),
        ] {
            assert_eq!(typed(text).counts, set(counts), "{text}");
        }
    }

    #[test]
    fn sections_are_found_with_their_rfc() {
        let text = "By (RFC 6298, section 2). Later (section 5); RFC 8446, appendix E.3, RFC 9525,\nsection 6. (RFC 1071)";
        assert_eq!(
            typed(text).sections,
            set(&[
                "RFC 6298, section 2",
                "RFC 6298, section 5",
                "RFC 8446, appendix E.3",
                "RFC 9525, section 6"
            ])
        );
        assert_eq!(
            typed("(RFC 791, Abschnitt 3.1)").sections,
            set(&["RFC 791, section 3.1"])
        );
    }
}
