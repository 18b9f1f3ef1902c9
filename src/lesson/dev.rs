//! What an author of lessons needs: a new lesson that runs, and the proof that all lessons are right.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use super::check::{Verdict, condition};
use super::console::{Console, prose};
use super::load::{Answer, Kind, Lesson, LessonError, Step};
use super::numbers;
use super::play::{End, PlayError, Sitting};
use super::progress::{Record, Store};
use super::rig::Wire;
use super::show::judged_at;
use super::stage::{Stage, replace};
use super::{Desk, LessonFailure};
use crate::text::Glossary;
use crate::view::paint::{Look, Out, Wish};

/// So many seeds are tried.
const SEEDS: u64 = 5;
/// So many lines of text stand on a screen of 24 beside the prompt.
const SCREEN: usize = 21;

/// Everything that is wrong with a lesson; nothing if it runs, its right answers pass, each wrong one that is listed
/// fails with its own sentence, and every text is there in every language that it has.
#[must_use]
pub fn complaints(lesson: &Lesson, glossary: &Glossary, wire: Wire) -> Vec<LessonError> {
    let mut found = Found::default();
    shape(lesson, &mut found);
    if found.list.is_empty() {
        texts(lesson, &mut found);
    }
    let stage = |seed| Stage::new(lesson, seed, glossary).on(wire, None);
    if found.list.is_empty()
        && let Err(why) = stage(1).probe()
    {
        found.say(lesson, "wires", why);
    }
    if wire == Wire::Tun {
        // The kernel's wire takes its time, and its numbers differ each time anyway: each run is played once.
        let stage = stage(1);
        if found.list.is_empty() {
            computed(&stage, &mut found);
        }
        for wrong_first in [false, true] {
            if found.list.is_empty() {
                played(&stage, wrong_first, &mut found);
            }
        }
        return found.list;
    }
    for seed in 1..=SEEDS {
        // What is wrong for one seed is mostly wrong for all of them.
        if found.list.is_empty() {
            computed(&stage(seed), &mut found);
        }
    }
    if found.list.is_empty() {
        for (seed, wrong_first) in [(1, false), (2, true)] {
            played(&stage(seed), wrong_first, &mut found);
        }
    }
    found.list
}

#[derive(Default)]
struct Found {
    list: Vec<LessonError>,
}

impl Found {
    fn say(&mut self, lesson: &Lesson, near: &str, message: String) {
        self.list.push(lesson.error(near, message));
    }

    fn keep<T>(&mut self, result: Result<T, LessonError>) -> Option<T> {
        result.map_err(|error| self.list.push(error)).ok()
    }
}

/// Names, expressions, what must be there.
fn shape(lesson: &Lesson, found: &mut Found) {
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
            let filled = replace(text, |_| Some("1".to_owned())).unwrap_or_default();
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

fn texts(lesson: &Lesson, found: &mut Found) {
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
    let mut used = BTreeSet::new();
    for (language, texts) in &lesson.texts {
        let mut complain = |message: String| {
            found.list.push(LessonError {
                file: format!("{}/{language}.toml", lesson.folder),
                line: None,
                message,
            });
        };
        for key in texts.keys() {
            let typed = numbers::typed(texts.find(key).unwrap_or(""));
            for number in &typed.numbers {
                if !lesson.data.numbers.contains_key(number) {
                    complain(format!(
                        "{key} says {number}: compute it from a packet ({{name}}, with the name under [values]), or say \
                         under [numbers] why it stands there"
                    ));
                }
            }
            for section in typed
                .sections
                .iter()
                .filter(|s| !lesson.data.rfc.contains(s))
            {
                complain(format!(
                    "{key} cites {section}: add it to rfc in lesson.toml, or correct it"
                ));
            }
            used.extend(typed.numbers);
        }
        for key in &wanted {
            if texts.find(key).is_none_or(str::is_empty) {
                complain(format!("{key} is missing: add it"));
            }
        }
        let keys: BTreeSet<&str> = texts.keys().collect();
        for key in &keys {
            if !wanted.contains(*key) && !optional(key) {
                complain(format!(
                    "{key} is a text that nothing asks for: remove it, or correct its name"
                ));
            }
        }
        for key in lesson
            .texts
            .get("en")
            .into_iter()
            .flat_map(|english| english.keys())
        {
            if texts.find(key).is_none() && !wanted.contains(key) {
                complain(format!("{key} is there in English: translate it"));
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

/// What is computed, for one seed.
fn computed(stage: &Stage<'_>, found: &mut Found) {
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
                    message: format!("{key}: {}", error.message),
                    ..error
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

/// A text must fit on a screen of 80 columns and 24 lines.
fn fits(lesson: &Lesson, language: &str, key: &str, text: &str, found: &mut Found) {
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
        line: None,
        message,
    });
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

/// The lesson is played through as a learner would, by lines.
fn played(stage: &Stage<'_>, wrong_first: bool, found: &mut Found) {
    let (lesson, seed) = (stage.lesson, stage.seed);
    let Some(lines) = found.keep(typed_through(stage, wrong_first)) else {
        return;
    };
    for language in lesson.texts.keys() {
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

pub(crate) fn check(
    desk: &Desk<'_>,
    wire: Wire,
    console: &mut Console<'_>,
) -> Result<(), LessonFailure> {
    let mut wrong = 0;
    for lesson in desk.lessons.iter().filter(|lesson| lesson.runs_on(wire)) {
        let complaints = complaints(lesson, desk.glossary, wire);
        let languages: Vec<&str> = lesson.texts.keys().map(String::as_str).collect();
        let verdict = if complaints.is_empty() {
            "good"
        } else {
            "wrong"
        };
        console.line(&format!(
            "{}: {verdict} ({})",
            lesson.folder,
            languages.join(", ")
        ));
        for complaint in &complaints {
            prose(&mut console.out, &complaint.to_string(), 2);
        }
        wrong += complaints.len();
        console.show(desk.glossary)?;
    }
    if wrong > 0 {
        return Err(LessonFailure::Other(format!(
            "{wrong} things are wrong with the lessons; each line above says what, where and how to mend it"
        )));
    }
    Ok(())
}

const NEW_LESSON: &str = include_str!("../../lessons/template/lesson.toml");
const NEW_ENGLISH: &str = include_str!("../../lessons/template/en.toml");

/// Makes the folder of a new lesson, which runs as it is.
///
/// # Errors
/// When the folder is there already, its name does not begin with a number, or it cannot be written.
pub fn new(
    folder: &Path,
    glossary: &Glossary,
    mut out: Out,
    to: &mut dyn Write,
) -> Result<(), LessonFailure> {
    let name = folder
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("");
    let parts = name
        .split_once('-')
        .and_then(|(number, id)| Some((number.parse::<u32>().ok()?, id)));
    let Some((number, id)) = parts.filter(|(_, id)| {
        !id.is_empty() && id.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
    }) else {
        return Err(LessonFailure::Usage(format!(
            "{name:?} is no name for a lesson: take a number and small letters, such as 17-my-lesson"
        )));
    };
    let failed = |error: std::io::Error| {
        LessonFailure::Other(format!(
            "{} cannot be made: {error}; choose a folder that is not there yet",
            folder.display()
        ))
    };
    if let Some(parent) = folder.parent() {
        std::fs::create_dir_all(parent).map_err(failed)?;
    }
    std::fs::create_dir(folder).map_err(failed)?;
    let data = NEW_LESSON
        .replace("id = \"template\"", &format!("id = \"{id}\""))
        .replace("number = 99", &format!("number = {number}"));
    std::fs::write(folder.join("lesson.toml"), data).map_err(failed)?;
    std::fs::write(folder.join("en.toml"), NEW_ENGLISH).map_err(failed)?;
    let lessons = folder
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let text = glossary
        .say("say.lesson.dev.new")
        .replace("{folder}", &folder.display().to_string())
        .replace("{lessons}", &lessons.display().to_string())
        .replace("{id}", id);
    prose(&mut out, &text, 0);
    Ok(out.flush_to(to)?)
}

impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Found").field("list", &self.list).finish()
    }
}
