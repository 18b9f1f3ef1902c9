//! The texts of a lesson: all that are needed are there, in every language, they fit on a screen, and no number is typed.

use std::collections::BTreeSet;

use super::{Found, SEEDS};
use crate::lesson::console::prose;
use crate::lesson::load::{Answer, Kind, LISTED, Lesson, LessonError};
use crate::lesson::numbers;
use crate::lesson::rig::Wire;
use crate::lesson::stage::Stage;
use crate::text::Glossary;
use crate::view::paint::{Look, Out, Wish};

/// So many lines of text stand on a screen of 24 beside the prompt.
const SCREEN: usize = 21;

/// The keys that the sentences of a lesson must have.
fn wanted(lesson: &Lesson, seeds: &[Stage<'_>], found: &mut Found) -> BTreeSet<String> {
    let mut keys: BTreeSet<String> = ["title", "question", "notes"].map(str::to_owned).into();
    keys.extend(lesson.data.rfc.iter().map(|rfc| format!("read.{rfc}")));
    for step in &lesson.data.steps {
        let id = &step.id;
        match step.kind {
            Kind::Tell => {
                keys.insert(id.clone());
            }
            Kind::Run => {}
            Kind::Predict | Kind::Task => {
                for part in ["prompt", "right", "hints.1", "hints.2"] {
                    keys.insert(format!("{id}.{part}"));
                }
                if step.options.is_empty() {
                    keys.insert(format!("{id}.wrong.other"));
                    keys.extend(step.wrong.keys().map(|wrong| format!("{id}.wrong.{wrong}")));
                }
                for option in &step.options {
                    keys.insert(format!("{id}.options.{}", option.id));
                    for stage in seeds {
                        match found.keep(stage.option_holds(step, &option.id)) {
                            Some(false) => {
                                keys.insert(format!("{id}.wrong.{}", option.id));
                            }
                            Some(true) if step.answer == Some(Answer::Several) => {
                                keys.insert(format!("{id}.missed.{}", option.id));
                            }
                            _ => {}
                        }
                    }
                }
            }
        }
    }
    keys
}

pub(super) fn texts(lesson: &Lesson, found: &mut Found) {
    let Ok(glossary) = Glossary::english() else {
        return;
    };
    let stages: Vec<Stage<'_>> = (1..=SEEDS)
        .map(|seed| Stage::new(lesson, seed, &glossary))
        .collect();
    let wanted = wanted(lesson, &stages, found);
    let optional = |key: &str| {
        // What is said in place of another text, on the kernel's wire.
        if let Some(key) = key.strip_prefix("tun.") {
            return lesson.runs_on(Wire::Tun) && lesson.find("en", key).is_some();
        }
        let step = key.split('.').next().unwrap_or("");
        let run = lesson.step(key).is_some_and(|step| step.kind == Kind::Run);
        run || (lesson.step(step).is_some() && key.contains(".hints."))
    };
    let listed: BTreeSet<String> = LISTED.map(str::to_owned).into();
    let mut used = BTreeSet::new();
    for (language, texts) in &lesson.texts {
        let mut complain = |key: &str, message: String| {
            found.list.push(LessonError {
                file: format!("{}/{language}.toml", lesson.folder),
                line: texts.line(key),
                message,
            });
        };
        let wanted = match texts.is_whole() {
            true => &wanted,
            false => &listed,
        };
        for key in texts.keys() {
            let typed = numbers::typed(texts.find(key).unwrap_or(""));
            for number in &typed.numbers {
                if !lesson.data.numbers.contains_key(number) {
                    complain(
                        key,
                        format!(
                            "{key} says {number}: compute it from a packet ({{name}}, with the name under [values]), or say \
                         under [numbers] why it stands there"
                        ),
                    );
                }
            }
            for section in typed
                .sections
                .iter()
                .filter(|s| !lesson.data.rfc.contains(s))
            {
                complain(
                    key,
                    format!("{key} cites {section}: add it to rfc in lesson.toml, or correct it"),
                );
            }
            used.extend(typed.numbers);
        }
        for key in wanted {
            if texts.find(key).is_none_or(str::is_empty) {
                // The line is that of the step that asks for it.
                let step = key.split('.').next().unwrap_or(key);
                let asked = lesson.error(&format!("id = {step:?}"), String::new());
                let by = asked.line.map_or(String::new(), |line| {
                    format!(", for step {step} in lesson.toml, line {line}")
                });
                complain(key, format!("{key} is missing: add it{by}"));
            }
        }
        let keys: BTreeSet<&str> = texts.keys().collect();
        for key in &keys {
            if !wanted.contains(*key) && !optional(key) {
                complain(
                    key,
                    format!(
                        "{key} is a text that nothing asks for: remove it, or correct its name"
                    ),
                );
            }
        }
        let english = lesson.texts.get("en").filter(|_| texts.is_whole());
        for key in english.into_iter().flat_map(|english| english.keys()) {
            if texts.find(key).is_none() && !wanted.contains(key) {
                complain(key, format!("{key} is there in English: translate it"));
            }
        }
    }
    for number in lesson.data.numbers.keys() {
        if !used.contains(number) {
            found.say(
                lesson,
                &format!("{number:?} ="),
                format!("[numbers] explains {number}, which no text says: remove it"),
            );
        }
    }
}

/// A text must fit on a screen of 80 columns and 24 lines.
pub(super) fn fits(lesson: &Lesson, language: &str, key: &str, text: &str, found: &mut Found) {
    if key == "notes" {
        return;
    }
    let mut out = Out::new(Look::new(Wish::default(), false, Some(80)));
    prose(&mut out, text, 0);
    let lines = out.bytes().split(|byte| *byte == b'\n').count() - 1;
    let wide = text
        .lines()
        .find(|line| line.starts_with("  ") && line.chars().count() > 78);
    let message = match wide {
        Some(line) => format!("{key}: this line is wider than 78 columns, break it: {line}"),
        None if lines > SCREEN => format!(
            "{key} has {lines} lines, more than the {SCREEN} that fit on a screen: make two steps of it"
        ),
        None => return,
    };
    found.list.push(LessonError {
        file: format!("{}/{language}.toml", lesson.folder),
        line: lesson.texts.get(language).and_then(|texts| texts.line(key)),
        message,
    });
}
