//! The texts of lessons: what they cite is there, and a lesson in another language is whole.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod run;

use std::collections::BTreeSet;
use std::process::Command;

use layerwise::lesson::load::{self, Lesson};
use layerwise::lesson::stage::Stage;
use layerwise::text::Glossary;

fn lessons() -> Vec<Lesson> {
    load::load(None).unwrap_or_else(|error| panic!("{error}"))
}

/// Plays with lines as the input, through pipes; gives what was shown.
fn play(arguments: &[&str], input: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_layerwise"));
    command
        .env_remove("LANG")
        .env_remove("LC_ALL")
        .env_remove("LC_MESSAGES")
        .env("XDG_STATE_HOME", "")
        .env("HOME", "")
        .args(arguments);
    let output = run::piped(&mut command, input);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_cited_section_is_one_that_was_looked_up() {
    let table: toml::Table = toml::from_str(include_str!("../lessons/rfc.toml")).unwrap();
    let checked: BTreeSet<String> = table
        .iter()
        .flat_map(|(rfc, sections)| {
            sections
                .as_table()
                .unwrap()
                .iter()
                .map(move |(section, title)| {
                    assert!(!title.as_str().unwrap().is_empty());
                    let digit = section.starts_with(|c: char| c.is_ascii_digit());
                    let place = if digit { "section" } else { "appendix" };
                    format!("{rfc}, {place} {section}")
                })
        })
        .collect();
    let mut cited = BTreeSet::new();
    for lesson in lessons() {
        assert!(
            lesson.data.rfc.len() > 1,
            "{} lists its sections",
            lesson.folder
        );
        for rfc in &lesson.data.rfc {
            assert!(
                checked.contains(rfc),
                "{}: {rfc} is not in lessons/rfc.toml: look it up in the RFC, then add it with its title",
                lesson.folder
            );
            cited.insert(rfc.clone());
        }
    }
    let idle: Vec<_> = checked.difference(&cited).collect();
    assert!(idle.is_empty(), "no lesson cites {idle:?}");
}

/// Words that no German sentence has, and English ones can hardly do without.
const ENGLISH: [&str; 34] = [
    "the", "of", "is", "and", "not", "no", "how", "what", "which", "set", "bytes", "packet",
    "packets", "with", "to", "it", "this", "that", "you", "your", "are", "for", "from", "type",
    "answer", "hint", "has", "by", "or", "on", "there", "right", "line", "read",
];

#[test]
fn the_first_lesson_in_german_has_no_english_sentence() {
    let all = lessons();
    let glossary = Glossary::english().unwrap();
    for wire in ["memory"] {
        for seed in [1, 2] {
            let stage = Stage::new(&all[0], seed, &glossary);
            let of = |name: &str| stage.calc(name).unwrap().shown();
            // Everything that one can do, and everything that one can answer wrongly.
            let mut input = String::from("?\nzeige\nhilfe\npakete\nx\n\n");
            input.push_str(&format!("{}\n", of("said")));
            let number = of("number");
            input.push_str(&format!(
                "pakete\ndetails {number}\nbytes {number}\nexplain ip.len\nexplain nichts\ndetails 999\nx\n"
            ));
            for packet in 1..=15 {
                input.push_str(&format!("details {packet}\nbytes {packet}\n"));
            }
            for wrong in all[0].data.steps[1].wrong.values() {
                input.push_str(&format!("{}\n", stage.calc(wrong).unwrap().shown()));
            }
            input.push_str("1\nzeige\n?\n?\n?\nzeige\n");
            for wrong in all[0].step("reply").unwrap().wrong.values() {
                input.push_str(&format!("{}\n", stage.calc(wrong).unwrap().shown()));
            }
            input.push_str(&format!("?\n?\n?\n1\n{}\n", of("reply")));
            let seed = seed.to_string();
            for plain in [&[][..], &["--plain"]] {
                let mut arguments = vec!["--lang", "de"];
                arguments.extend(plain);
                arguments.extend(["lesson", "--wire", wire, "--seed", &seed, "start", "1"]);
                let shown = play(&arguments, &input);
                assert!(
                    shown.contains("Zum Weiterlesen") && shown.contains("layerwise lesson next"),
                    "{shown}"
                );
                // The bytes of a dump may spell any word.
                let is_dump = |line: &&str| {
                    let offset = line.split_whitespace().nth(1).unwrap_or_default();
                    offset.len() == 4 && u16::from_str_radix(offset, 16).is_ok()
                };
                for line in shown.lines().filter(|line| !is_dump(line)) {
                    // What one types, keys and names of the field stay as they are.
                    let line = line
                        .replace("layerwise lesson next", "")
                        .replace("explain ip.ttl", "")
                        .replace("Not-ECT", "");
                    let mut words = line.split(|c: char| !c.is_alphabetic() && c != '_');
                    let english = words.find(|word| {
                        ENGLISH.contains(&word.to_lowercase().as_str()) && *word != "Bytes"
                    });
                    let is_command = ["details", "bytes"]
                        .iter()
                        .any(|c| line.contains(&format!("{c} ")));
                    assert!(
                        english.is_none() || (is_command && english == Some("bytes")),
                        "{english:?} in: {line}\n\n{shown}"
                    );
                }
            }
        }
    }
}

#[test]
fn with_verification_off_the_one_in_the_middle_reads_and_passes_on_both_sides() {
    let all = lessons();
    let glossary = Glossary::english().unwrap();
    let lesson = all.iter().find(|lesson| lesson.data.id == "who").unwrap();
    for seed in 1..=4 {
        let stage = Stage::new(lesson, seed, &glossary);
        let of = |name: &str| stage.calc(name).unwrap().shown();
        assert!(of("said").starts_with("my password is "));
        assert_eq!(of("leaked"), of("said"), "it read what A said");
        assert_eq!(of("heard"), of("said"), "and B heard it");
        assert_eq!(of("answer"), "welcome back", "it read what B said");
        assert_eq!(of("back"), "welcome back", "and A heard it");
        assert_ne!(of("sealed_1"), of("sealed_2"), "two connections");
        // While A checks, nobody hears anything.
        assert_eq!(of("texts"), "0");
    }
}

#[test]
fn the_timer_ran_a_second_at_least_from_its_last_news() {
    let all = lessons();
    let glossary = Glossary::english().unwrap();
    let lesson = all.iter().find(|lesson| lesson.data.id == "loss").unwrap();
    for seed in 1..=4 {
        let stage = Stage::new(lesson, seed, &glossary);
        let of = |name: &str| stage.calc(name).unwrap().shown().parse::<u64>().unwrap();
        // RFC 6298, 2.4 and 5.3.
        assert!(of("restart") > 0 && of("wait") > 1000);
        assert_eq!(of("silence"), 1000, "seed {seed}");
    }
}
