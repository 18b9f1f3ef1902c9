//! A lesson played through as a learner would, by lines.

use super::Found;
use crate::lesson::console::Console;
use crate::lesson::load::{Answer, Kind, LessonError, Step};
use crate::lesson::play::{End, PlayError, Sitting};
use crate::lesson::progress::{Record, Store};
use crate::lesson::show::judged_at;
use crate::lesson::stage::Stage;
use crate::text::Glossary;
use crate::view::paint::{Look, Out, Wish};

/// The lesson is played through as a learner would, by lines.
pub(super) fn played(stage: &Stage<'_>, wrong_first: bool, found: &mut Found) {
    let (lesson, seed) = (stage.lesson, stage.seed);
    let Some(lines) = found.keep(typed_through(stage, wrong_first)) else {
        return;
    };
    for language in lesson.texts.keys().filter(|l| lesson.is_told_in(l)) {
        let Ok(glossary) = Glossary::of_language(language) else {
            return;
        };
        let mut input = lines.as_bytes();
        let mut shown = Vec::new();
        let out = Out::new(Look::new(Wish::default(), false, Some(80)));
        let mut console = Console::new(out, &mut input, &mut shown, None);
        let end = Sitting {
            stage,
            glossary: &glossary,
            language,
            console: &mut console,
            store: &mut Store::new(None),
            record: Record {
                seed,
                wire: stage.wire,
                ..Record::default()
            },
        }
        .play();
        match end {
            Ok(End::Done) => {}
            Ok(End::Left) => found.say(
                lesson,
                "[[step]]",
                format!("played through in {language} with seed {seed}, it does not come to its end; it was given {lines:?}"),
            ),
            Err(PlayError::Lesson(error)) => found.list.push(error),
            Err(PlayError::Io(error) | PlayError::Store(error)) => found.say(lesson, "[[step]]", error.to_string()),
        }
        let shown = String::from_utf8_lossy(&shown);
        if let Some(line) = shown.lines().find(|line| line.chars().count() > 80) {
            found.say(
                lesson,
                "[[step]]",
                format!("in {language} this line is wider than 80 columns: {line}"),
            );
        }
    }
}

/// The lines that a learner types who answers everything rightly, or every prediction wrongly at first.
///
/// # Errors
/// When the lesson's own expressions are wrong.
pub fn typed_through(stage: &Stage<'_>, wrong_first: bool) -> Result<String, LessonError> {
    let steps = &stage.lesson.data.steps;
    let mut lines = String::new();
    for (at, step) in steps.iter().enumerate() {
        match step.kind {
            Kind::Predict if wrong_first => {
                lines.push_str(&typed(stage, step, &wrong_answer(stage, step)?))
            }
            Kind::Predict | Kind::Task => {
                lines.push_str(&typed(stage, step, &stage.solution(step)?))
            }
            Kind::Run if wrong_first => {
                for open in judged_at(steps, at) {
                    lines.push_str(&typed(stage, open, &stage.solution(open)?));
                }
            }
            Kind::Run | Kind::Tell => {}
        }
    }
    Ok(lines)
}

/// An answer that is wrong.
fn wrong_answer(stage: &Stage<'_>, step: &Step) -> Result<String, LessonError> {
    let solution = stage.solution(step)?;
    Ok(match step.answer {
        Some(Answer::Choice | Answer::Several) => step
            .options
            .iter()
            .find(|option| !solution.split(',').any(|id| id == option.id))
            .map_or(String::new(), |option| option.id.clone()),
        _ => "999999".to_owned(),
    })
}

/// An answer as it is typed, with its newline.
fn typed(stage: &Stage<'_>, step: &Step, answer: &str) -> String {
    let mut line = match step.answer {
        Some(Answer::Choice | Answer::Several) => ('a'..='z')
            .zip(stage.options(step))
            .filter(|(_, option)| answer.split(',').any(|id| id == option.id))
            .map(|(letter, _)| letter)
            .collect(),
        _ => answer.to_owned(),
    };
    line.push('\n');
    line
}
