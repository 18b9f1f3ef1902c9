//! The answers of a lesson: the right one passes, every wrong one that is listed fails with its own sentence.

use super::Found;
use super::texts::fits;
use crate::lesson::check::Verdict;
use crate::lesson::load::{Answer, LessonError, Step};
use crate::lesson::rig::Wire;
use crate::lesson::stage::Stage;

/// What is computed, for one seed.
pub(super) fn computed(stage: &Stage<'_>, found: &mut Found) {
    let (lesson, seed) = (stage.lesson, stage.seed);
    for (name, run) in &lesson.data.runs {
        let Some(tape) = found.keep(stage.tape(name)) else {
            return;
        };
        for rule in tape.idle.iter().filter(|_| run.like.is_none()) {
            found.say(
                lesson,
                &format!("[runs.{name}]"),
                format!("run {name}, seed {seed}: the rule {rule:?} never fired"),
            );
        }
    }
    for name in lesson.data.values.keys() {
        found.keep(stage.calc(name));
    }
    for (language, texts) in &lesson.texts {
        for key in texts.keys() {
            let text = texts.find(key).unwrap_or("");
            let of_tun = key.strip_prefix("tun.");
            let in_place = stage.wire == Wire::Tun && texts.find(&format!("tun.{key}")).is_some();
            if (of_tun.is_some() && stage.wire != Wire::Tun) || in_place {
                // Nobody sees it on this wire.
                continue;
            }
            match stage.fill(text) {
                Err(error) => found.list.push(LessonError {
                    file: format!("{}/{language}.toml", lesson.folder),
                    line: texts.line(key),
                    message: format!("{key}: {}", error.message),
                }),
                Ok(text) => fits(lesson, language, key, &text, found),
            }
        }
    }
    for step in lesson
        .data
        .steps
        .iter()
        .filter(|step| step.answer.is_some())
    {
        question(stage, step, found);
    }
}

/// The right answer passes; every wrong one that is listed fails with its own sentence.
fn question(stage: &Stage<'_>, step: &Step, found: &mut Found) {
    let (lesson, seed) = (stage.lesson, stage.seed);
    let id = &step.id;
    let Some(solution) = found.keep(stage.solution(step)) else {
        return;
    };
    let Some(verdict) = found.keep(stage.judge(step, &solution)) else {
        return;
    };
    if verdict != Verdict::Right {
        found.say(
            lesson,
            id,
            format!("step {id}, seed {seed}: its own right answer {solution:?} does not pass"),
        );
    }
    if step.answer == Some(Answer::Choice) && (solution.is_empty() || solution.contains(',')) {
        found.say(
            lesson,
            id,
            format!("step {id}, seed {seed}: exactly one option must hold, not {solution:?}"),
        );
    }
    let mut expect = |answer: &str, sentence: &str| {
        let Some(verdict) = found.keep(stage.judge(step, answer)) else {
            return;
        };
        if verdict != Verdict::Wrong(vec![sentence.to_owned()]) {
            found.say(
                lesson,
                sentence.rsplit('.').next().unwrap_or(id),
                format!("step {id}, seed {seed}: the answer {answer:?} should fail with {sentence}, but gives {verdict:?}"),
            );
        }
    };
    match step.answer {
        Some(Answer::Choice) => {
            for option in step.options.iter().filter(|option| option.id != solution) {
                expect(&option.id, &format!("wrong.{}", option.id));
            }
        }
        Some(Answer::Several) => {
            let right: Vec<&str> = solution.split(',').collect();
            for option in &step.options {
                let mut chosen = right.clone();
                let sentence = if right.contains(&option.id.as_str()) {
                    chosen.retain(|id| *id != option.id);
                    format!("missed.{}", option.id)
                } else {
                    chosen.push(&option.id);
                    format!("wrong.{}", option.id)
                };
                if !chosen.is_empty() {
                    expect(&chosen.join(","), &sentence);
                }
            }
        }
        Some(Answer::Packet) => {
            for (name, filter) in &step.wrong {
                match stage.packets(step, filter) {
                    Ok(packets) if packets.is_empty() => {
                        expect("", &format!("wrong.{name} (no packet matches {filter})"));
                    }
                    Ok(packets) => {
                        for packet in packets {
                            expect(&packet.to_string(), &format!("wrong.{name}"));
                        }
                    }
                    Err(_) => {}
                }
            }
            expect("999999", "wrong.other");
        }
        Some(Answer::Number | Answer::Text) => {
            for (name, calc) in &step.wrong {
                if let Ok(value) = stage.calc(calc) {
                    let shown = value.shown();
                    match stage.canonical(step, &shown) {
                        Some(answer) => expect(&answer, &format!("wrong.{name}")),
                        None => {
                            expect(&shown, &format!("wrong.{name} (nobody can type {shown:?})"))
                        }
                    }
                }
            }
            expect("999999999999", "wrong.other");
        }
        None => {}
    }
}
