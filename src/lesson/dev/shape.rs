//! The shape of a lesson: names, expressions, what must be there.

use std::collections::BTreeSet;

use super::Found;
use crate::lesson::check::condition;
use crate::lesson::load::{Answer, Kind, Lesson};
use crate::text::filled;

/// Names, expressions, what must be there.
pub(super) fn shape(lesson: &Lesson, found: &mut Found) {
    let data = &lesson.data;
    if !(1..=15).contains(&data.minutes) {
        found.say(
            lesson,
            "minutes",
            format!("minutes is {}: a lesson takes 1 to 15", data.minutes),
        );
    }
    for rfc in &data.rfc {
        if !is_section(rfc) {
            found.say(
                lesson,
                rfc,
                format!("{rfc:?} is no section: write it as \"RFC 9293, section 3.1\" or \"RFC 8446, appendix D\""),
            );
        }
    }
    if data.rfc.is_empty() {
        found.say(
            lesson,
            "rfc",
            "rfc must name where each fact is specified: \"RFC 9293, section 3.1\"".to_owned(),
        );
    }
    let mut ids = BTreeSet::new();
    for step in &data.steps {
        if !ids.insert(&step.id) {
            found.say(
                lesson,
                &step.id,
                format!("two steps are called {:?}: rename one", step.id),
            );
        }
        let mut expressions: Vec<&String> = step.show.iter().chain(&step.bytes).collect();
        if step.answer == Some(Answer::Packet) {
            expressions.extend(&step.right);
            expressions.extend(step.wrong.values());
        }
        for text in expressions {
            // Any number stands well where a value will.
            let filled = filled(text, |_| Some("1".to_owned())).unwrap_or_default();
            if let Err(message) = condition(&filled) {
                found.say(lesson, text, message);
            }
        }
        if let Some(run) = step
            .run
            .as_deref()
            .filter(|run| !data.runs.contains_key(*run))
        {
            found.say(
                lesson,
                &format!("{run:?}"),
                format!("there is no run {run:?}: add [runs.{run}] or correct the name"),
            );
        }
        let asks = matches!(step.kind, Kind::Predict | Kind::Task);
        let complete = match step.answer {
            None => !asks,
            Some(Answer::Choice | Answer::Several) => {
                asks && step.options.len() > 1 && step.right.is_none()
            }
            Some(_) => asks && step.right.is_some() && step.options.is_empty(),
        };
        if !complete {
            found.say(
                lesson,
                &format!("id = {:?}", step.id),
                format!(
                    "step {}: predict and task need `answer`; number, text and packet need `right`; choice and several \
                     need at least two [[step.options]]; tell and run have none of these",
                    step.id
                ),
            );
        }
        if step.kind == Kind::Run && step.run.is_none() {
            found.say(
                lesson,
                &format!("id = {:?}", step.id),
                format!("step {}: a run step names its `run`", step.id),
            );
        }
    }
    let last_predict = data
        .steps
        .iter()
        .rposition(|step| step.kind == Kind::Predict);
    let last_run = data.steps.iter().rposition(|step| step.kind == Kind::Run);
    if last_predict.is_none() || last_run < last_predict {
        found.say(
            lesson,
            "[[step]]",
            "a lesson predicts, and then runs: add a predict step before a run step".to_owned(),
        );
    }
    for (name, run) in &data.runs {
        if run.like.is_none() && run.messages.is_empty() {
            found.say(
                lesson,
                &format!("[runs.{name}]"),
                format!("run {name} says nothing: give it `messages`, or `like`"),
            );
        }
    }
}

/// Whether that is a section as `rfc` names it.
fn is_section(text: &str) -> bool {
    let parts = text.strip_prefix("RFC ").and_then(|t| t.split_once(", "));
    parts.is_some_and(|(number, place)| {
        let place = ["section ", "appendix "]
            .iter()
            .find_map(|word| place.strip_prefix(word));
        let is_place = |place: &str| place.split('.').all(|part| !part.is_empty());
        number.parse::<u32>().is_ok() && place.is_some_and(is_place)
    })
}
