//! The teacher's way through a lesson: one thing at a time, forward and back, with the room's predictions, and the reveal
//! when the teacher says so. The notes run on a second terminal and follow a small file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::console::{Console, Pressed, prose};
use super::load::{Kind, Lesson, LessonError, Step};
use super::progress::write_whole;
use super::stage::Stage;
use super::tape::START;
use super::{Desk, LessonFailure, show as screen};
use crate::text::Glossary;
use crate::view::ladder::Ladder;
use crate::view::paint::{Out, Role};

/// How often the notes look where the presentation is.
const FOLLOW: Duration = Duration::from_millis(150);

/// Where a presentation is, for the notes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    lesson: String,
    seed: u64,
    slide: usize,
    over: bool,
}

/// One thing at a time.
#[derive(Debug)]
enum Slide<'l> {
    Title,
    /// One paragraph.
    Text(String),
    /// A question; hands are counted.
    Question(&'l Step),
    /// The packets of a run up to one of them.
    Packet {
        step: &'l Step,
        shown: usize,
        of: usize,
    },
    /// What the room thought, and what is right.
    Reveal(&'l Step),
    End,
}

fn slides<'l>(stage: &Stage<'l>, language: &str) -> Result<Vec<Slide<'l>>, LessonError> {
    let lesson = stage.lesson;
    let mut slides = vec![Slide::Title];
    let text = |key: &str| stage.fill(lesson.say(language, key));
    for (at, step) in lesson.data.steps.iter().enumerate() {
        match step.kind {
            Kind::Tell => {
                let text = text(&step.id)?;
                slides.extend(paragraphs(&text).into_iter().map(Slide::Text));
            }
            Kind::Predict => slides.push(Slide::Question(step)),
            Kind::Task => slides.extend([Slide::Question(step), Slide::Reveal(step)]),
            Kind::Run => {
                let of = matching(stage, step)?.len();
                slides.extend((0..=of).map(|shown| Slide::Packet { step, shown, of }));
                slides.extend(
                    screen::judged_at(&lesson.data.steps, at)
                        .into_iter()
                        .map(Slide::Reveal),
                );
            }
        }
    }
    slides.push(Slide::End);
    Ok(slides)
}

/// The paragraphs of a text; lines set apart stay with the paragraph before them.
fn paragraphs(text: &str) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    for paragraph in text.split("\n\n") {
        match list.last_mut() {
            Some(last) if paragraph.starts_with("  ") => {
                last.push_str("\n\n");
                last.push_str(paragraph);
            }
            _ => list.push(paragraph.to_owned()),
        }
    }
    list
}

/// The numbers of the packets that a run step shows.
fn matching(stage: &Stage<'_>, step: &Step) -> Result<Vec<u64>, LessonError> {
    let run = step
        .run
        .as_deref()
        .unwrap_or_else(|| stage.lesson.first_run());
    let show = step.show.as_deref().map(|text| stage.condition(text));
    let show = show.transpose()?;
    let mut numbers = Vec::new();
    stage.watch(run, |event, mark| {
        if mark.is_some() || show.as_ref().is_none_or(|show| show.matches(event)) {
            numbers.push(event.frame.number);
        }
    })?;
    Ok(numbers)
}

type Hands = BTreeMap<String, BTreeMap<String, u64>>;

pub(crate) fn present(
    desk: &Desk<'_>,
    lesson: &Lesson,
    console: &mut Console<'_>,
) -> Result<(), LessonFailure> {
    let seed = desk.seed.unwrap_or(1);
    let stage = Stage::new(lesson, seed, desk.glossary);
    let slides = slides(&stage, desk.language)?;
    let mut hands = Hands::new();
    let mut at = 0;
    // Nothing that can fail may stop a presentation: without a folder there are no notes that follow.
    let folder = desk
        .store
        .dir()
        .filter(|dir| fs::create_dir_all(dir).is_ok());
    let tell = |slide: usize, over: bool| {
        let place = Place {
            lesson: lesson.data.id.clone(),
            seed,
            slide,
            over,
        };
        if let (Some(folder), Ok(text)) = (folder, serde_json::to_vec(&place)) {
            let _ = write_whole(folder, PLACE, &text);
        }
    };
    while let Some(slide) = slides.get(at) {
        tell(at, false);
        clear(console);
        show(&stage, desk, slide, &hands, &mut console.out)?;
        console.gap();
        let key = match slide {
            Slide::Question(_) => "say.lesson.present.hands",
            _ => "say.lesson.present.keys",
        };
        let prompt = format!("{}/{} {} ", at + 1, slides.len(), desk.glossary.say(key));
        let typing = matches!(slide, Slide::Question(_));
        match console.key(desk.glossary, &prompt, typing)? {
            Pressed::On => at = (at + 1).min(slides.len()),
            Pressed::Back => at = at.saturating_sub(1),
            Pressed::Quit => break,
            Pressed::Line(line) => match slide {
                Slide::Question(step) => match (line.as_str(), count(&stage, step, &line)) {
                    ("b", _) => at = at.saturating_sub(1),
                    (_, Some(counted)) => {
                        hands.insert(step.id.clone(), counted);
                        at = (at + 1).min(slides.len());
                    }
                    // It stays on the slide, which says what can be typed.
                    (_, None) => {}
                },
                _ => {
                    if let Ok(number) = line.parse::<usize>() {
                        at = number.clamp(1, slides.len()) - 1;
                    }
                }
            },
        }
    }
    tell(at, true);
    if let (Some(folder), false) = (folder, hands.is_empty())
        && let Ok(text) = serde_json::to_vec_pretty(&hands)
    {
        let name = format!("hands-{}.json", lesson.data.id);
        if write_whole(folder, &name, &text).is_ok() {
            let kept = folder.join(name).display().to_string();
            console.line(
                &desk
                    .glossary
                    .say("say.lesson.present.kept")
                    .replace("{file}", &kept),
            );
        }
    }
    Ok(console.show(desk.glossary)?)
}

const PLACE: &str = "presenting.json";

/// A fresh screen, or in a text that is read aloud a line that says so.
fn clear(console: &mut Console<'_>) {
    if console.terminal && !console.out.look().plain {
        console.fresh();
    } else {
        console.line("---");
    }
}

/// `a 12 b 3`, `65: 4, 3: 20`: how many hands for each answer.
fn count(stage: &Stage<'_>, step: &Step, line: &str) -> Option<BTreeMap<String, u64>> {
    let words: Vec<&str> = line
        .split([' ', ',', ':', '=', ';'])
        .filter(|word| !word.is_empty())
        .collect();
    let mut counted = BTreeMap::new();
    for pair in words.chunks(2) {
        let [answer, number] = pair else { return None };
        let answer = stage.canonical(step, answer)?;
        *counted.entry(answer).or_default() += number.parse::<u64>().ok()?;
    }
    (!counted.is_empty()).then_some(counted)
}

fn show(
    stage: &Stage<'_>,
    desk: &Desk<'_>,
    slide: &Slide<'_>,
    hands: &Hands,
    out: &mut Out,
) -> Result<(), LessonError> {
    let lesson = stage.lesson;
    let (glossary, language) = (desk.glossary, desk.language);
    let big = |out: &mut Out, text: &str| {
        out.newline();
        out.start(Role::Heading);
        prose(out, text, 4);
        out.end(Role::Heading);
        out.newline();
    };
    match slide {
        Slide::Title => {
            big(
                out,
                &format!("{}  {}", lesson.data.number, lesson.say(language, "title")),
            );
            prose(out, lesson.say(language, "question"), 4);
        }
        Slide::Text(text) => {
            out.newline();
            spaced(out, text);
        }
        Slide::Question(step) => {
            out.newline();
            screen::show_question(stage, language, out, step)?;
            if let Some(counted) = hands.get(&step.id) {
                out.newline();
                bars(stage, language, out, step, counted);
            }
        }
        Slide::Packet { step, shown, of } => {
            if let Some(text) = lesson.find(language, &step.id) {
                let text = stage.fill(text)?;
                out.newline();
                prose(out, &text, 4);
                out.newline();
            }
            packets(stage, glossary, out, step, *shown)?;
            if shown < of {
                out.newline();
            }
        }
        Slide::Reveal(step) => {
            let solution = stage.solution(step)?;
            big(out, &screen::answer_shown(stage, language, step, &solution));
            let text = stage.fill(lesson.say(language, &format!("{}.right", step.id)))?;
            prose(out, &text, 4);
            if let Some(counted) = hands.get(&step.id) {
                out.newline();
                prose(out, glossary.say("say.lesson.present.room"), 4);
                bars(stage, language, out, step, counted);
            }
        }
        Slide::End => big(out, glossary.say("say.lesson.present.end")),
    }
    Ok(())
}

/// Big and sparse: a paragraph with a margin and room between its lines.
fn spaced(out: &mut Out, text: &str) {
    let plain = out.look().plain;
    let text = {
        let mut inner = Out::new(out.look().clone());
        prose(&mut inner, text, 4);
        String::from_utf8_lossy(inner.bytes()).into_owned()
    };
    let apart = !plain && text.lines().count() <= 8;
    for line in text.lines() {
        out.text(line);
        out.newline();
        if apart && !line.is_empty() {
            out.newline();
        }
    }
}

/// The packets of a run up to the one that is due.
fn packets(
    stage: &Stage<'_>,
    glossary: &Glossary,
    out: &mut Out,
    step: &Step,
    shown: usize,
) -> Result<(), LessonError> {
    let numbers = matching(stage, step)?;
    // The last ones are enough: all would not fit on the screen.
    let until = numbers.get(..shown).unwrap_or(&[]);
    let seen = until.get(until.len().saturating_sub(10)..).unwrap_or(&[]);
    let run = step
        .run
        .as_deref()
        .unwrap_or_else(|| stage.lesson.first_run());
    let hosts = screen::hosts();
    let mut ladder = Ladder::of_all(START);
    ladder.head(
        out,
        [glossary.say("say.demo.a"), glossary.say("say.demo.b")],
    );
    stage.watch(run, |event, mark| {
        if seen.contains(&event.frame.number) {
            ladder.packet(out, glossary, &hosts, event);
            screen::show_mark(glossary, out, mark);
        }
    })?;
    ladder.finish(out, glossary);
    Ok(())
}

/// How many hands there were for each answer.
fn bars(
    stage: &Stage<'_>,
    language: &str,
    out: &mut Out,
    step: &Step,
    counted: &BTreeMap<String, u64>,
) {
    let most = counted.values().copied().max().unwrap_or(1).max(1);
    for (answer, hands) in counted {
        out.spaces(4);
        out.number(*hands);
        out.to_column(10);
        if !out.look().plain {
            let glyph = out.glyphs().heavy;
            out.fill_to(10 + (hands * 20 / most) as usize, glyph);
            out.to_column(32);
        }
        let text = screen::answer_shown(stage, language, step, answer);
        out.wrapped(&text, |out| out.spaces(34));
        out.newline();
    }
}

pub(crate) fn notes(
    desk: &Desk<'_>,
    lesson: &Lesson,
    all: bool,
    console: &mut Console<'_>,
) -> Result<(), LessonFailure> {
    let seed = desk.seed.unwrap_or(1);
    if all || !console.terminal {
        let stage = Stage::new(lesson, seed, desk.glossary);
        console.heading(lesson.say(desk.language, "title"));
        console.gap();
        let text = stage.fill(lesson.say(desk.language, "notes"))?;
        console.prose(&text);
        for step in lesson
            .data
            .steps
            .iter()
            .filter(|step| step.answer.is_some())
        {
            console.gap();
            about(&stage, desk, step, console)?;
        }
        return Ok(console.show(desk.glossary)?);
    }
    // They follow by themselves.
    console.unpaged();
    let file = desk.store.dir().map(|dir| dir.join(PLACE));
    let mut last = None;
    loop {
        let place = file
            .as_deref()
            .and_then(read_place)
            .filter(|place| place.lesson == lesson.data.id && !place.over);
        if place != last || last.is_none() {
            follow(desk, lesson, place.as_ref(), console)?;
            if place.is_none() && last.is_some() {
                return Ok(());
            }
            if place.is_none() {
                wait_for(file.as_deref(), lesson);
                continue;
            }
            last = place;
        }
        std::thread::sleep(FOLLOW);
    }
}

/// Waits until a presentation of that lesson begins.
fn wait_for(file: Option<&Path>, lesson: &Lesson) {
    while file
        .and_then(read_place)
        .is_none_or(|place| place.lesson != lesson.data.id || place.over)
    {
        std::thread::sleep(FOLLOW);
    }
}

fn read_place(file: &Path) -> Option<Place> {
    let file: PathBuf = file.to_owned();
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

/// The notes for one slide.
fn follow(
    desk: &Desk<'_>,
    lesson: &Lesson,
    place: Option<&Place>,
    console: &mut Console<'_>,
) -> Result<(), LessonFailure> {
    clear(console);
    let Some(place) = place else {
        console.line(desk.glossary.say("say.lesson.present.waiting"));
        return Ok(console.show(desk.glossary)?);
    };
    let stage = Stage::new(lesson, place.seed, desk.glossary);
    let slides = slides(&stage, desk.language)?;
    console.heading(&format!("{}/{}", place.slide + 1, slides.len()));
    let packets = |shown: &usize, of: &usize| {
        desk.glossary
            .say("say.lesson.present.packet")
            .replace("{n}", &shown.to_string())
            .replace("{of}", &of.to_string())
    };
    match slides.get(place.slide) {
        Some(Slide::Question(step) | Slide::Reveal(step)) => about(&stage, desk, step, console)?,
        slide => {
            if let Some(Slide::Packet { shown, of, .. }) = slide {
                console.line(&packets(shown, of));
                console.gap();
            }
            let text = stage.fill(lesson.say(desk.language, "notes"))?;
            console.prose(&text);
        }
    }
    let next = match slides.get(place.slide + 1) {
        Some(Slide::Text(text)) => text
            .split_whitespace()
            .take(12)
            .collect::<Vec<_>>()
            .join(" "),
        Some(Slide::Question(step)) => {
            stage.fill(lesson.say(desk.language, &format!("{}.prompt", step.id)))?
        }
        Some(Slide::Packet { shown, of, .. }) => packets(shown, of),
        Some(Slide::Reveal(_)) => desk.glossary.say("say.lesson.present.reveal").to_owned(),
        _ => String::new(),
    };
    console.gap();
    console.line(&format!(
        "{} {next}",
        desk.glossary.say("say.lesson.present.next")
    ));
    Ok(console.show(desk.glossary)?)
}

/// What a teacher should have at hand for a question: the answer, and what is behind the wrong ones.
fn about(
    stage: &Stage<'_>,
    desk: &Desk<'_>,
    step: &Step,
    console: &mut Console<'_>,
) -> Result<(), LessonFailure> {
    let (lesson, language) = (stage.lesson, desk.language);
    let prompt = stage.fill(lesson.say(language, &format!("{}.prompt", step.id)))?;
    console.heading(&prompt);
    let solution = stage.solution(step)?;
    console.line(&format!(
        "{} {}",
        desk.glossary.say("say.lesson.solution"),
        screen::answer_shown(stage, language, step, &solution)
    ));
    let wrong = step
        .wrong
        .keys()
        .chain(step.options.iter().map(|option| &option.id));
    for id in wrong {
        let key = format!("{}.wrong.{id}", step.id);
        let Some(text) = lesson.find(language, &key) else {
            continue;
        };
        let text = stage.fill(text)?;
        let first = text.split("\n\n").next().unwrap_or("").to_owned();
        let shown = match step.wrong.get(id) {
            Some(calc) if step.answer != Some(super::load::Answer::Packet) => {
                stage.calc(calc)?.shown()
            }
            _ => screen::answer_shown(stage, language, step, id),
        };
        prose(&mut console.out, &format!("{shown}: {first}"), 2);
    }
    Ok(())
}
