//! What a lesson puts on the screen: questions, packets, and what was done to them.

use std::net::IpAddr;

use super::console::prose;
use super::load::{Answer, Kind, LessonError, Step};
use super::stage::Stage;
use super::tape::{Mark, START};
use crate::text::Glossary;
use crate::view::detail::{Depth, Detail};
use crate::view::ladder::Ladder;
use crate::view::paint::{Out, Role};
use crate::view::words::Hosts;
use crate::wire::Host;

/// The hosts as they are called on the screen.
pub(crate) fn hosts() -> Hosts {
    let ends = [(Host::A, "A"), (Host::B, "B")];
    Hosts::new(
        ends.map(|(host, name)| (IpAddr::from(host.address()), name))
            .to_vec(),
    )
}

/// The predictions that are judged at the run in that place: those since the runs before. Of runs that follow each other
/// it is the last that judges.
pub(crate) fn judged_at(steps: &[Step], at: usize) -> Vec<&Step> {
    let is_run = |at: usize| steps.get(at).is_some_and(|step| step.kind == Kind::Run);
    if !is_run(at) || is_run(at + 1) {
        return Vec::new();
    }
    let first = (0..at)
        .rev()
        .take_while(|at| is_run(*at))
        .last()
        .unwrap_or(at);
    let start = (0..first).rposition(is_run).map_or(0, |at| at + 1);
    steps
        .get(start..first)
        .unwrap_or(&[])
        .iter()
        .filter(|step| step.kind == Kind::Predict)
        .collect()
}

/// An answer as the learner knows it: options by their letters and texts.
pub(crate) fn answer_shown(stage: &Stage<'_>, language: &str, step: &Step, answer: &str) -> String {
    if !matches!(step.answer, Some(Answer::Choice | Answer::Several)) {
        return answer.to_owned();
    }
    let chosen: Vec<&str> = answer.split(',').collect();
    let mut shown = Vec::new();
    for (letter, option) in ('a'..='z').zip(stage.options(step)) {
        if chosen.contains(&option.id.as_str()) {
            let key = format!("{}.options.{}", step.id, option.id);
            let text = stage.say(language, &key);
            let text = stage.fill(text).unwrap_or_else(|_| text.to_owned());
            shown.push(format!("{letter}) {text}"));
        }
    }
    shown.join("; ")
}

/// Writes a question and its options.
pub(crate) fn show_question(
    stage: &Stage<'_>,
    language: &str,
    out: &mut Out,
    step: &Step,
) -> core::result::Result<(), LessonError> {
    let say = |key: &str| stage.fill(stage.say(language, key));
    let prompt = say(&format!("{}.prompt", step.id))?;
    out.start(Role::Value);
    prose(out, &prompt, 0);
    out.end(Role::Value);
    for (letter, option) in ('a'..='z').zip(stage.options(step)) {
        let text = say(&format!("{}.options.{}", step.id, option.id))?;
        out.ascii(b"  ");
        out.byte(letter as u8);
        out.ascii(b") ");
        out.wrapped(&text, |out| out.spaces(5));
        out.newline();
    }
    Ok(())
}

/// Writes the packets of a run as a ladder, marks among them; gives how many were left out.
pub(crate) fn show_packets(
    stage: &Stage<'_>,
    glossary: &Glossary,
    out: &mut Out,
    step: &Step,
    all: bool,
) -> core::result::Result<usize, LessonError> {
    let lesson = stage.lesson;
    let run = step.run.as_deref().unwrap_or_else(|| lesson.first_run());
    let parse = |text: &str| stage.condition(text);
    let show = step
        .show
        .as_deref()
        .filter(|_| !all)
        .map(parse)
        .transpose()?;
    let hosts = hosts();
    let mut ladder = Ladder::of_all(START);
    ladder.head(
        out,
        [glossary.say("say.demo.a"), glossary.say("say.demo.b")],
    );
    let mut hidden = 0;
    stage.watch(run, |event, mark| {
        if show.as_ref().is_some_and(|show| !show.matches(event)) && mark.is_none() {
            hidden += 1;
            return;
        }
        ladder.packet(out, glossary, &hosts, event);
        show_mark(glossary, out, mark);
    })?;
    ladder.finish(out, glossary);
    if let Some(text) = step.bytes.as_deref().filter(|_| !all) {
        let filter = parse(text)?;
        let mut detail = Detail::new(glossary, Depth::Bytes, true, START);
        out.newline();
        stage.watch(run, |event, _| {
            if filter.matches(event) {
                detail.print(out, event);
            }
        })?;
    }
    Ok(hidden)
}

/// Writes what was done to a packet on the way, if anything was.
pub(crate) fn show_mark(glossary: &Glossary, out: &mut Out, mark: Option<Mark>) {
    let Some(mark) = mark else { return };
    if !out.look().plain {
        out.to_column(14);
    }
    out.start(Role::Warn);
    out.wrapped(glossary.say(mark.key()), |out| out.spaces(16));
    out.end(Role::Warn);
    out.newline();
}

/// Writes one packet of a run; says whether there is one of that number.
pub(crate) fn show_packet(
    stage: &Stage<'_>,
    glossary: &Glossary,
    out: &mut Out,
    run: &str,
    number: u64,
    depth: Depth,
    hex: bool,
) -> core::result::Result<bool, LessonError> {
    let mut detail = Detail::new(glossary, depth, hex, START).in_words(hosts());
    let mut found = false;
    stage.watch(run, |event, _| {
        if event.frame.number == number {
            found = true;
            detail.print(out, event);
        }
    })?;
    Ok(found)
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::lesson::load;
    use crate::lesson::rig::Wire;
    use crate::packet::FieldDef;
    use crate::text::OTHERS;

    /// What lacks words in that language, of all that the packets of a lesson show at their deepest.
    fn missing(language: &str, stage: &Stage<'_>) -> BTreeMap<String, String> {
        let english = Glossary::english().unwrap();
        let mut own = Glossary::default();
        let (_, files) = OTHERS.iter().find(|(name, _)| *name == language).unwrap();
        for (file, text) in *files {
            own.add(file, text).unwrap();
        }
        let mut missing = BTreeMap::new();
        let mut look = |def: &'static FieldDef, value: Option<u64>| {
            let (there, here) = (english.of(def), own.of(def));
            for (what, there, here) in [
                ("name", &there.name, &here.name),
                ("short", &there.short, &here.short),
                ("unit", &there.unit, &here.unit),
            ] {
                if !there.is_empty() && here.is_empty() {
                    missing.insert(format!("{} {what}", def.key), there.clone());
                }
            }
            if let Some(n) = value
                && let Some(named) = there.value(n)
                && !named.text.is_empty()
                && here.value(n).is_none_or(|named| named.text.is_empty())
            {
                missing.insert(format!("{} value {n:#x}", def.key), format!("{named:?}"));
            }
        };
        for run in stage.lesson.data.runs.keys() {
            stage
                .watch(run, |event, _| {
                    for layer in event.layers {
                        look(layer.def, None);
                    }
                    for field in event.fields {
                        look(field.def, field.value(event.bytes(field.buf)).uint());
                    }
                    for note in event.notes {
                        look(note.def, note.value.uint());
                    }
                })
                .unwrap();
        }
        missing
    }

    #[test]
    fn every_field_that_the_first_lesson_can_show_has_german_words() {
        let all = load::load(None).unwrap();
        let english = Glossary::english().unwrap();
        for wire in [Wire::Memory, Wire::Tun] {
            for seed in [1, 2] {
                let stage = Stage::new(all.first().unwrap(), seed, &english).on(wire, None);
                if let Err(why) = stage.probe() {
                    assert_eq!(wire, Wire::Tun, "{why}");
                    eprintln!("SKIPPED: the first lesson in German on Linux's TCP: {why}");
                    continue;
                }
                let missing = missing("de", &stage);
                assert!(
                    missing.is_empty(),
                    "{} on {wire:?}: {missing:#?}",
                    missing.len()
                );
            }
        }
    }
}
