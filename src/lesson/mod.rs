//! Guided lessons: predict, run, observe, explain, on the learner's own packets.
//!
//! A lesson is data ([`load`]): what is played on the memory wire, with what faults on the way; what is asked before and
//! after; and how answers are judged, by expressions over the packets ([`check`]). [`play`] is the conversation at a
//! terminal, [`progress`] what is kept of it, [`report`] what is handed in, [`present`] the teacher's way through, and
//! [`dev`] what an author needs.

use std::fmt;
use std::io::{self, BufRead, IsTerminal as _, Write};
use std::path::PathBuf;

use crate::cli;
use crate::cli::lesson::{Dev, LessonCommand, Wire};
use crate::reason::reason;
use crate::text::{Glossary, filled};
use crate::view::paint::{Out, Role};

pub mod check;
pub mod console;
pub mod dev;
mod keys;
pub mod load;
mod numbers;
pub mod play;
pub mod present;
pub mod progress;
pub mod report;
pub mod rig;
mod show;
pub mod stage;
mod tape;
pub mod value;

use console::Console;
use load::{Lesson, LessonError};
use play::{End, PlayError, Sitting};
use progress::{Aside, Progress, Record, Store, Why};
use stage::Stage;

/// Why a command about lessons failed.
#[derive(Debug)]
pub enum LessonFailure {
    /// The output cannot be written.
    Output(io::Error),
    /// What was asked for is not there; the sentence says how to mend it.
    Usage(String),
    /// A lesson, the progress or a report cannot be used.
    Other(String),
}

impl fmt::Display for LessonFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output(error) => write!(f, "cannot write the output: {error}"),
            Self::Usage(text) | Self::Other(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for LessonFailure {}

impl From<io::Error> for LessonFailure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<LessonError> for LessonFailure {
    fn from(error: LessonError) -> Self {
        Self::Other(error.to_string())
    }
}

type Result<T> = core::result::Result<T, LessonFailure>;

/// The language that the environment asks for: two letters, from `LC_ALL`, `LC_MESSAGES` or `LANG`.
#[must_use]
pub fn language(wish: Option<&str>, env: impl Fn(&str) -> Option<String>) -> String {
    let of_environment = || {
        ["LC_ALL", "LC_MESSAGES", "LANG"]
            .iter()
            .find_map(|name| env(name).filter(|value| !value.is_empty()))
    };
    let wish = wish.map(str::to_owned).or_else(of_environment);
    let letters: String = wish
        .unwrap_or_default()
        .chars()
        .take_while(char::is_ascii_alphabetic)
        .collect();
    match letters.to_lowercase().as_str() {
        "" | "c" | "posix" => "en".to_owned(),
        other => other.to_owned(),
    }
}

/// The languages that the program itself speaks.
#[must_use]
pub fn languages() -> Vec<&'static str> {
    let others = crate::text::OTHERS.iter().map(|(name, _)| *name);
    std::iter::once("en").chain(others).collect()
}

fn not_kept(store: &Store, error: &io::Error) -> LessonFailure {
    let folder = store
        .dir()
        .map_or(String::new(), |dir| dir.display().to_string());
    LessonFailure::Other(format!(
        "progress cannot be kept in {folder}: {}; give another folder with --state DIR",
        reason(error)
    ))
}

/// Everything that a command about lessons works with.
pub(crate) struct Desk<'d> {
    pub(crate) glossary: &'d Glossary,
    pub(crate) language: &'d str,
    pub(crate) lessons: Vec<Lesson>,
    pub(crate) store: Store,
    pub(crate) wire: Option<Wire>,
    pub(crate) seed: Option<u64>,
    pub(crate) name: Option<String>,
}

/// Does what the arguments ask for.
///
/// # Errors
/// [`LessonFailure`].
pub fn run(
    arguments: &cli::lesson::Lesson,
    glossary: &Glossary,
    language: &str,
    out: Out,
    to: &mut dyn Write,
) -> Result<()> {
    if let Some(LessonCommand::Dev(Dev::New { folder })) = &arguments.command {
        return dev::new(folder, glossary, out, to);
    }
    let lessons = load::load(arguments.lessons.as_deref())?;
    let usual = || Store::usual(|name| std::env::var(name).ok());
    let mut desk = Desk {
        glossary,
        language,
        lessons,
        store: Store::new(arguments.state.clone().or_else(usual)),
        wire: arguments.wire,
        seed: arguments.seed,
        name: arguments.name.clone(),
    };
    let stdin = io::stdin();
    let in_front = stdin.is_terminal() && io::stdout().is_terminal();
    let rows = in_front
        .then(|| terminal_size::terminal_size().map_or(24, |(_, rows)| usize::from(rows.0)));
    let mut input = stdin.lock();
    let mut console = Console::new(out, &mut input as &mut dyn BufRead, to, rows);
    match &arguments.command {
        Some(LessonCommand::Dev(Dev::Check)) => {
            return dev::check(&desk, desk.wire.unwrap_or_default(), &mut console);
        }
        Some(LessonCommand::Grade { files }) => return report::grade(&desk, files, &mut console),
        Some(LessonCommand::Present { which }) => {
            let lesson = desk.find(which)?;
            return present::present(&desk, lesson, &mut console);
        }
        Some(LessonCommand::Notes { which, all }) => {
            let lesson = desk.find(which)?;
            return present::notes(&desk, lesson, *all, &mut console);
        }
        _ => {}
    }
    let progress = desk.progress(&mut console)?;
    match &arguments.command {
        None => {
            let current = progress
                .current
                .as_deref()
                .and_then(|id| desk.lessons.iter().position(|lesson| lesson.data.id == id))
                .filter(|at| !desk.is_done(*at, &progress));
            match current.or_else(|| desk.first_open(&progress)) {
                Some(at) => desk.sit(at, &progress, &mut console),
                None => desk.list(&progress, &mut console),
            }
        }
        Some(LessonCommand::Start { which: Some(which) }) => {
            let at = desk.place(which)?;
            desk.sit(at, &progress, &mut console)
        }
        Some(LessonCommand::Start { which: None } | LessonCommand::Next) => {
            match desk.first_open(&progress) {
                Some(at) => desk.sit(at, &progress, &mut console),
                None => desk.list(&progress, &mut console),
            }
        }
        Some(LessonCommand::List) => desk.list(&progress, &mut console),
        Some(LessonCommand::Hint) => desk.hint(&progress, &mut console),
        Some(LessonCommand::Again) => {
            let at = desk.current(&progress)?;
            let id = desk.id(at);
            let seed = desk.seed.unwrap_or(progress.seed);
            let wire = desk.wire;
            desk.store.forget_packets(Some(&id));
            let progress = desk.store_update(|progress| {
                let record = progress.lessons.entry(id.clone()).or_default();
                record.begin_anew(seed, wire.unwrap_or(record.wire));
            })?;
            desk.sit(at, &progress, &mut console)
        }
        Some(LessonCommand::Reset { which }) => {
            desk.reset(which.as_deref(), &progress, &mut console)
        }
        Some(LessonCommand::Report { format, output }) => {
            report::report(&desk, &progress, *format, output.as_deref(), &mut console)
        }
        Some(
            LessonCommand::Dev(_)
            | LessonCommand::Grade { .. }
            | LessonCommand::Present { .. }
            | LessonCommand::Notes { .. },
        ) => Ok(()),
    }
}

impl<'d> Desk<'d> {
    /// What is kept; says so if a file could not be used, and takes up a new seed or name.
    fn progress(&mut self, console: &mut Console<'_>) -> Result<Progress> {
        let (progress, aside) = self.store.read().map_err(|e| not_kept(&self.store, &e))?;
        if let Some(aside) = aside {
            self.say_aside(&aside, console)?;
        }
        let (seed, name) = (self.seed, self.name.clone());
        let changes = seed.is_some_and(|seed| seed != progress.seed)
            || name.as_ref().is_some_and(|name| *name != progress.name);
        if !changes {
            return Ok(progress);
        }
        self.store_update(|progress| {
            progress.seed = seed.unwrap_or(progress.seed);
            if let Some(name) = &name {
                progress.name.clone_from(name);
            }
        })
    }

    fn say_aside(&self, aside: &Aside, console: &mut Console<'_>) -> Result<()> {
        let key = match &aside.why {
            Why::Corrupt(_) => "say.lesson.aside.corrupt",
            Why::Newer(_) => "say.lesson.aside.newer",
        };
        let why = match &aside.why {
            Why::Corrupt(error) => error.clone(),
            Why::Newer(version) => version.to_string(),
        };
        let text = self
            .glossary
            .say(key)
            .replace("{why}", &why)
            .replace("{file}", &aside.kept.display().to_string());
        console.line(&text);
        console.gap();
        Ok(console.show(self.glossary)?)
    }

    fn store_update(&mut self, change: impl FnOnce(&mut Progress)) -> Result<Progress> {
        let result = self.store.update(change);
        result.map_err(|error| not_kept(&self.store, &error))
    }

    fn id(&self, at: usize) -> String {
        self.lessons
            .get(at)
            .map_or(String::new(), |lesson| lesson.data.id.clone())
    }

    fn is_done(&self, at: usize, progress: &Progress) -> bool {
        let record = progress.lessons.get(&self.id(at));
        record.is_some_and(|record| record.done && self.is_through(at, record))
    }

    /// Whether the last round came to its end.
    fn is_through(&self, at: usize, record: &Record) -> bool {
        let steps = self.lessons.get(at).map_or(0, |l| l.data.steps.len());
        record.step >= steps
    }

    fn first_open(&self, progress: &Progress) -> Option<usize> {
        (0..self.lessons.len()).find(|at| {
            let record = progress.lessons.get(&self.id(*at));
            !record.is_some_and(|record| record.done)
        })
    }

    /// Where the lesson of that number or name stands.
    fn place(&self, which: &str) -> Result<usize> {
        let wish = which.to_lowercase();
        let found = self.lessons.iter().position(|lesson| {
            let data = &lesson.data;
            data.id == wish || lesson.folder == wish || wish.parse() == Ok(data.number)
        });
        found.ok_or_else(|| {
            let known: Vec<String> = self
                .lessons
                .iter()
                .map(|lesson| format!("{} {}", lesson.data.number, lesson.data.id))
                .collect();
            LessonFailure::Usage(format!(
                "there is no lesson {which:?}; there are: {}",
                known.join(", ")
            ))
        })
    }

    pub(crate) fn find(&self, which: &str) -> Result<&Lesson> {
        let at = self.place(which)?;
        self.lessons
            .get(at)
            .ok_or_else(|| LessonFailure::Usage(format!("there is no lesson {which:?}")))
    }

    /// The lesson that was worked on last.
    fn current(&self, progress: &Progress) -> Result<usize> {
        let id = progress.current.as_deref().ok_or_else(|| {
            LessonFailure::Usage("no lesson was begun yet: layerwise lesson start".to_owned())
        })?;
        self.place(id)
    }

    /// Sits down to a lesson.
    fn sit(&mut self, at: usize, progress: &Progress, console: &mut Console<'_>) -> Result<()> {
        let seed = self.seed.unwrap_or(progress.seed);
        let Some(lesson) = self.lessons.get(at) else {
            return Ok(());
        };
        let id = &lesson.data.id;
        let wish = self.wire.filter(|wire| {
            let runs = lesson.runs_on(*wire);
            if !runs {
                console.line(self.glossary.say("say.lesson.wire.memory"));
                console.gap();
            }
            runs
        });
        let mut record = match progress.lessons.get(id) {
            Some(record) => record.clone(),
            None => Record {
                seed,
                wire: wish.unwrap_or_default(),
                ..Record::default()
            },
        };
        // Another seed or wire is another set of packets; a lesson that is through is begun anew.
        let other_seed = self.seed.is_some_and(|seed| seed != record.seed);
        let other_wire = wish.is_some_and(|wire| wire != record.wire);
        if other_seed || other_wire || record.step >= lesson.data.steps.len() {
            self.store.forget_packets(Some(id));
            let seed = if other_seed { seed } else { record.seed };
            record.begin_anew(seed, wish.unwrap_or(record.wire));
        }
        if self.language != "en" && !lesson.is_told_in(self.language) {
            console.line(self.glossary.say("say.lesson.english"));
            console.gap();
        }
        let kept = self.store.packets(id, record.round);
        let stage = Stage::new(lesson, record.seed, self.glossary).on(record.wire, kept);
        if record.wire == Wire::Tun {
            // Real time goes by.
            console.line(self.glossary.say("say.lesson.wire.playing"));
            console.gap();
            console.show(self.glossary)?;
        }
        if let Err(why) = stage.probe() {
            let text = self.glossary.say("say.lesson.wire.refused");
            let text = text.replace("{why}", &why).replace("{id}", id);
            return Err(LessonFailure::Other(text));
        }
        let mut sitting = Sitting {
            stage: &stage,
            glossary: self.glossary,
            language: self.language,
            console: &mut *console,
            store: &mut self.store,
            record,
        };
        let end = match sitting.play() {
            Ok(end) => end,
            Err(PlayError::Io(error)) => return Err(LessonFailure::Output(error)),
            Err(PlayError::Lesson(error)) => return Err(error.into()),
            Err(PlayError::Store(error)) => return Err(not_kept(&self.store, &error)),
        };
        if end == End::Done {
            let (after, _) = self.store.read()?;
            let key = match self.first_open(&after) {
                Some(_) => "say.lesson.done",
                None => "say.lesson.all_done",
            };
            console.line(self.glossary.say(key));
        }
        Ok(console.show(self.glossary)?)
    }

    fn list(&self, progress: &Progress, console: &mut Console<'_>) -> Result<()> {
        console.heading(self.glossary.say("say.lesson.list"));
        let out = &mut console.out;
        let glyphs = out.glyphs();
        let mut done = 0;
        let mut english = false;
        for (at, lesson) in self.lessons.iter().enumerate() {
            let record = progress.lessons.get(&lesson.data.id);
            let is_done = record.is_some_and(|record| record.done);
            let begun =
                record.is_some_and(|record| !self.is_through(at, record) && record.step > 0);
            done += usize::from(is_done);
            let (mark, key) = match (is_done, begun) {
                (true, _) => (glyphs.good, "say.lesson.state.done"),
                (false, true) => (glyphs.right, "say.lesson.state.begun"),
                (false, false) => (" ", "say.lesson.state.open"),
            };
            let title = lesson.say(self.language, "title");
            let mut question = lesson.say(self.language, "question").to_owned();
            if lesson.texts.contains_key(self.language) && !lesson.is_told_in(self.language) {
                question.push(' ');
                question.push_str(match out.look().plain {
                    true => self.glossary.say("say.lesson.list.english"),
                    false => "*",
                });
                english = true;
            }
            if out.look().plain {
                let minutes = self.glossary.say("say.lesson.minutes");
                let minutes = filled(minutes, |_| Some(lesson.data.minutes.to_string()));
                let line = format!(
                    "{}: {title}. {question} {} {}",
                    lesson.data.number,
                    self.glossary.say(key),
                    minutes.unwrap_or_default(),
                );
                console::prose(out, &line, 0);
                continue;
            }
            out.text(mark);
            out.to_column(2);
            out.spaces(usize::from(lesson.data.number < 10));
            out.number(lesson.data.number.into());
            out.ascii(b"  ");
            out.paint(Role::Heading, title);
            out.to_column(32);
            out.wrapped(&question, |out| out.spaces(32));
            out.newline();
        }
        let text = self
            .glossary
            .say("say.lesson.list.sum")
            .replace("{done}", &done.to_string())
            .replace("{all}", &self.lessons.len().to_string());
        console.gap();
        if english && !console.out.look().plain {
            console.line(self.glossary.say("say.lesson.list.star"));
        }
        console.line(&text);
        console.line(self.glossary.say("say.lesson.list.how"));
        Ok(console.show(self.glossary)?)
    }

    /// The next hint for the question where the learner left.
    fn hint(&mut self, progress: &Progress, console: &mut Console<'_>) -> Result<()> {
        let at = self.current(progress)?;
        let Some(lesson) = self.lessons.get(at) else {
            return Ok(());
        };
        let record = progress.lessons.get(&lesson.data.id);
        let record = record.cloned().unwrap_or_default();
        // At a run, the question is the first prediction that is not settled.
        let steps = &lesson.data.steps;
        let here = steps.get(record.step);
        let question = match here {
            Some(step) if step.answer.is_some() => Some(step),
            _ => steps
                .get(..record.step.min(steps.len()))
                .unwrap_or(&[])
                .iter()
                .find(|step| step.answer.is_some() && !record.settled(&step.id)),
        };
        let Some(step) = question else {
            console.line(self.glossary.say("say.lesson.hint.none"));
            return Ok(console.show(self.glossary)?);
        };
        let taken = record.hints.get(&step.id).copied().unwrap_or(0);
        let all = lesson.hints(&step.id) as u32;
        let kept = self.store.packets(&lesson.data.id, record.round);
        let stage = Stage::new(lesson, record.seed, self.glossary).on(record.wire, kept);
        let next = (taken + 1).min(all);
        show::show_question(&stage, self.language, &mut console.out, step)?;
        for number in 1..=next {
            let key = format!("{}.hints.{number}", step.id);
            let text = stage.fill(stage.say(self.language, &key))?;
            console.prose(&format!(
                "{} {number}/{all}: {text}",
                self.glossary.say("say.lesson.hint")
            ));
        }
        if taken >= all {
            console.line(self.glossary.say("say.lesson.hint.last"));
        }
        let (id, step) = (lesson.data.id.clone(), step.id.clone());
        self.store_update(|progress| {
            if let Some(record) = progress.lessons.get_mut(&id) {
                record.hints.insert(step, next);
            }
        })?;
        Ok(console.show(self.glossary)?)
    }

    fn reset(
        &mut self,
        which: Option<&str>,
        progress: &Progress,
        console: &mut Console<'_>,
    ) -> Result<()> {
        if which == Some("all") {
            self.store.forget_packets(None);
            let kept: Option<PathBuf> = self.store.forget()?;
            let text = match kept {
                Some(kept) => self
                    .glossary
                    .say("say.lesson.reset.all")
                    .replace("{file}", &kept.display().to_string()),
                None => self.glossary.say("say.lesson.reset.nothing").to_owned(),
            };
            console.line(&text);
            return Ok(console.show(self.glossary)?);
        }
        let at = match which {
            Some(which) => self.place(which)?,
            None => self.current(progress)?,
        };
        let id = self.id(at);
        self.store.forget_packets(Some(&id));
        self.store_update(|progress| {
            progress.lessons.remove(&id);
        })?;
        let text = self
            .glossary
            .say("say.lesson.reset.one")
            .replace("{id}", &id);
        console.line(&text);
        Ok(console.show(self.glossary)?)
    }
}
