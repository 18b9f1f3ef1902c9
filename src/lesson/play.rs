//! A lesson at a terminal: predict, run, observe, explain.

use std::io;

use super::check::Verdict;
use super::console::{Console, Said};
use super::load::{Answer, Kind, LessonError, Step};
use super::progress::{Attempt, Progress, Record, Store};
use super::show::{answer_shown, judged_at, show_packet, show_packets, show_question};
use super::stage::Stage;
use crate::text::{Glossary, filled};
use crate::view::detail::Depth;
use crate::view::explain;
use crate::view::paint::Role;

/// How a sitting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The lesson is through.
    Done,
    /// The learner left; what was reached is kept.
    Left,
}

/// Why a lesson cannot go on.
#[derive(Debug)]
pub enum PlayError {
    /// Nothing can be written or read.
    Io(io::Error),
    /// The progress cannot be kept.
    Store(io::Error),
    /// The lesson itself is wrong.
    Lesson(LessonError),
}

impl From<io::Error> for PlayError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<LessonError> for PlayError {
    fn from(error: LessonError) -> Self {
        Self::Lesson(error)
    }
}

type Result<T> = core::result::Result<T, PlayError>;

/// One learner, one lesson.
pub struct Sitting<'s, 'l, 'c> {
    /// The lesson, with its seed.
    pub stage: &'s Stage<'l>,
    /// The words of the interface.
    pub glossary: &'l Glossary,
    /// The language of the sentences.
    pub language: &'s str,
    /// Where it is shown.
    pub console: &'s mut Console<'c>,
    /// Where it is kept.
    pub store: &'s mut Store,
    /// What the learner has done in this lesson.
    pub record: Record,
}

/// What came of a question.
enum Asked {
    Answer(String),
    Shown,
    Left,
}

impl Sitting<'_, '_, '_> {
    /// Plays the lesson from where the record says.
    ///
    /// # Errors
    /// [`PlayError`].
    pub fn play(&mut self) -> Result<End> {
        let steps = &self.stage.lesson.data.steps;
        let title = self.title()?;
        self.console.heading(&title);
        self.console.gap();
        if self.record.step > 0 && self.record.step < steps.len() {
            let back = self.glossary.say("say.lesson.back").to_owned();
            self.console.line(&back);
            self.console.gap();
            self.recap()?;
        }
        while let Some(step) = steps.get(self.record.step) {
            let left = match step.kind {
                Kind::Tell => self.tell(step)?,
                Kind::Predict => self.predict(step)?,
                Kind::Run => self.run(step)?,
                Kind::Task => self.settle(step)?,
            };
            if left {
                self.say(match self.store.dir() {
                    Some(_) => "say.lesson.left",
                    None => "say.lesson.left.nowhere",
                })?;
                self.console.show(self.glossary)?;
                return Ok(End::Left);
            }
            let next = self.record.step + 1;
            self.keep(|record| record.step = next)?;
        }
        self.read_more();
        let end = steps.len();
        self.keep(|record| {
            record.done = true;
            record.step = end;
        })?;
        Ok(End::Done)
    }

    /// Where the facts of the lesson are specified.
    fn read_more(&mut self) {
        let lesson = self.stage.lesson;
        self.console.heading(self.glossary.say("say.lesson.read"));
        let [section, appendix] = ["section", "appendix"].map(|place| {
            let key = format!("say.lesson.read.{place}");
            let own = self.glossary.entry(&key);
            own.map_or(place.to_owned(), |entry| entry.short.clone())
        });
        let name = |rfc: &String| {
            let name = rfc.replace("section", &section);
            name.replace("appendix", &appendix)
        };
        let names: Vec<String> = lesson.data.rfc.iter().map(name).collect();
        let longest = names.iter().map(|name| name.chars().count()).max();
        let column = longest.unwrap_or(0) + 4;
        for (name, rfc) in names.iter().zip(&lesson.data.rfc) {
            let about = lesson.say(self.language, &format!("read.{rfc}")).to_owned();
            let out = &mut self.console.out;
            out.ascii(b"  ");
            out.text(name);
            if out.look().plain {
                out.ascii(b": ");
            } else {
                out.to_column(column);
            }
            out.wrapped(&about, |out| out.spaces(column));
            out.newline();
        }
        self.console.gap();
    }

    fn title(&self) -> Result<String> {
        let lesson = self.stage.lesson;
        let template = self.glossary.say("say.lesson.title");
        let title = filled(template, |name| match name {
            "number" => Some(lesson.data.number.to_string()),
            "title" => Some(lesson.say(self.language, "title").to_owned()),
            "minutes" => Some(lesson.data.minutes.to_string()),
            _ => None,
        });
        Ok(title.unwrap_or_default())
    }

    /// Tells again what was told last, and shows again what was seen last.
    fn recap(&mut self) -> Result<()> {
        let steps = &self.stage.lesson.data.steps;
        let before = steps.get(..self.record.step).unwrap_or(&[]);
        let last = before
            .iter()
            .rposition(|step| matches!(step.kind, Kind::Tell | Kind::Run));
        let Some(step) = last.and_then(|at| before.get(at)) else {
            return Ok(());
        };
        match step.kind {
            Kind::Tell => {
                self.text(&step.id)?;
                self.console.gap();
            }
            _ => self.packets(step, false)?,
        }
        Ok(())
    }

    /// A sentence of the interface.
    fn say(&mut self, key: &str) -> Result<()> {
        let text = self.glossary.say(key).to_owned();
        self.console.line(&text);
        Ok(())
    }

    /// A sentence of the lesson, with its values.
    fn text(&mut self, key: &str) -> Result<()> {
        let text = self.stage.fill(self.stage.say(self.language, key))?;
        self.console.prose(&text);
        Ok(())
    }

    fn has(&self, key: &str) -> bool {
        self.stage.find(self.language, key).is_some()
    }

    /// Changes the record, here and where it is kept.
    fn keep(&mut self, change: impl Fn(&mut Record)) -> Result<()> {
        let id = &self.stage.lesson.data.id;
        change(&mut self.record);
        let mine = &self.record;
        let update = |progress: &mut Progress| {
            let record = progress
                .lessons
                .entry(id.clone())
                .or_insert_with(|| mine.clone());
            if record.round == mine.round && record.seed == mine.seed && record.wire == mine.wire {
                change(record);
            } else if record.round < mine.round {
                record.clone_from(mine);
            }
            progress.current = Some(id.clone());
        };
        let progress = self.store.update(update).map_err(PlayError::Store)?;
        // Another terminal may have gone on with the same lesson: its attempts count, our place stays ours.
        if let Some(record) = progress.lessons.get(id)
            && record.round == self.record.round
            && record.seed == self.record.seed
            && record.wire == self.record.wire
        {
            self.record.attempts.clone_from(&record.attempts);
            self.record.hints.clone_from(&record.hints);
        }
        Ok(())
    }

    /// Says whether the learner left.
    fn tell(&mut self, step: &Step) -> Result<bool> {
        self.text(&step.id)?;
        self.console.gap();
        self.turn()
    }

    /// Waits until the learner has read, where somebody sits in front of it. Says whether they left.
    fn turn(&mut self) -> Result<bool> {
        if !self.console.terminal {
            return Ok(false);
        }
        loop {
            let prompt = format!("{} ", self.glossary.say("say.lesson.enter"));
            match self.console.ask(self.glossary, &prompt)? {
                Said::End => return Ok(true),
                Said::Line(line) if self.is(&line, "quit") => return Ok(true),
                Said::Line(line) if line.is_empty() => {
                    self.console.gap();
                    return Ok(false);
                }
                Said::Line(line) => {
                    if !self.command(&line, None)? {
                        self.say("say.lesson.enter.what")?;
                    }
                }
            }
        }
    }

    fn predict(&mut self, step: &Step) -> Result<bool> {
        if self.record.predicted(&step.id) {
            return Ok(false);
        }
        match self.question(step, true)? {
            Asked::Left => Ok(true),
            Asked::Shown => Ok(false),
            Asked::Answer(answer) => {
                self.attempt(step, true, answer, "")?;
                self.say("say.lesson.noted")?;
                self.console.gap();
                Ok(false)
            }
        }
    }

    fn attempt(
        &mut self,
        step: &Step,
        predicted: bool,
        answer: String,
        verdict: &str,
    ) -> Result<()> {
        let attempt = Attempt {
            round: self.record.round,
            seed: self.record.seed,
            wire: self.record.wire,
            step: step.id.clone(),
            predicted,
            answer,
            verdict: verdict.to_owned(),
            hints: self.record.hints.get(&step.id).copied().unwrap_or(0),
        };
        self.keep(|record| record.attempts.push(attempt.clone()))
    }

    /// Plays, shows, and judges what was predicted.
    fn run(&mut self, step: &Step) -> Result<bool> {
        self.packets(step, false)?;
        if self.turn()? {
            return Ok(true);
        }
        for question in judged_at(&self.stage.lesson.data.steps, self.record.step) {
            if self.settle(question)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Asks until the packets agree, or the answer was shown. Says whether the learner left.
    fn settle(&mut self, step: &Step) -> Result<bool> {
        if self.record.settled(&step.id) {
            return Ok(false);
        }
        // A prediction is there already, and not yet judged.
        let pending = self
            .record
            .at(&step.id)
            .find(|a| a.predicted && a.verdict.is_empty())
            .map(|a| a.answer.clone());
        if let Some(answer) = pending {
            self.console.heading(&self.predicted_line(step, &answer));
            let right = self.verdict(step, &answer, true)?;
            if right {
                return self.turn();
            }
        }
        loop {
            match self.question(step, false)? {
                Asked::Left => return Ok(true),
                Asked::Shown => {
                    let solution = self.stage.solution(step)?;
                    self.attempt(step, false, solution.clone(), "shown")?;
                    let line = format!(
                        "{} {}",
                        self.glossary.say("say.lesson.solution"),
                        self.answer_shown(step, &solution)
                    );
                    self.console.line(&line);
                    self.text(&format!("{}.right", step.id))?;
                    self.console.gap();
                    return self.turn();
                }
                Asked::Answer(answer) => {
                    if self.verdict(step, &answer, false)? {
                        return self.turn();
                    }
                }
            }
        }
    }

    fn predicted_line(&self, step: &Step, answer: &str) -> String {
        format!(
            "{} {}",
            self.glossary.say("say.lesson.predicted"),
            self.answer_shown(step, answer)
        )
    }

    /// An answer as the learner knows it: options by their letters and texts.
    fn answer_shown(&self, step: &Step, answer: &str) -> String {
        answer_shown(self.stage, self.language, step, answer)
    }

    /// Judges an answer, says why, and keeps it. Says whether it was right.
    fn verdict(&mut self, step: &Step, answer: &str, predicted: bool) -> Result<bool> {
        let verdict = self.stage.judge(step, answer)?;
        let (word, right) = match &verdict {
            Verdict::Right => ("right".to_owned(), true),
            Verdict::Wrong(keys) => (keys.join(","), false),
        };
        if predicted {
            let id = step.id.clone();
            self.keep(|record| {
                let round = record.round;
                for attempt in &mut record.attempts {
                    if attempt.round == round && attempt.step == id && attempt.predicted {
                        attempt.verdict.clone_from(&word);
                    }
                }
            })?;
        } else {
            self.attempt(step, false, answer.to_owned(), &word)?;
        }
        let glyphs = self.console.out.glyphs();
        let (mark, role, key) = if right {
            (glyphs.good, Role::Good, "say.lesson.right")
        } else {
            (glyphs.bad, Role::Warn, "say.lesson.wrong")
        };
        let heading = self.glossary.say(key);
        let out = &mut self.console.out;
        out.start(role);
        if !out.look().plain {
            out.text(mark);
            out.byte(b' ');
        }
        out.text(heading);
        out.end(role);
        out.newline();
        match verdict {
            Verdict::Right => self.text(&format!("{}.right", step.id))?,
            Verdict::Wrong(keys) => {
                // What was chosen wrongly comes first; what is missing is said one at a time, and only then.
                let chosen = keys.iter().filter(|key| key.starts_with("wrong."));
                let mut said: Vec<&String> = chosen.collect();
                if said.is_empty() {
                    said.extend(keys.first());
                }
                for (i, key) in said.into_iter().enumerate() {
                    if i > 0 {
                        self.console.gap();
                    }
                    self.text(&format!("{}.{key}", step.id))?;
                }
            }
        }
        self.console.gap();
        Ok(right)
    }

    /// Asks once: until there is an answer of the right kind, the answer is shown, or the learner leaves.
    fn question(&mut self, step: &Step, predicting: bool) -> Result<Asked> {
        self.show_question(step)?;
        loop {
            let hint = format!("{} > ", self.reminder(step));
            let line = match self.console.ask(self.glossary, &hint)? {
                Said::End => return Ok(Asked::Left),
                Said::Line(line) => line,
            };
            if line.is_empty() {
                continue;
            }
            if self.is(&line, "quit") {
                return Ok(Asked::Left);
            }
            if self.is(&line, "show") {
                let taken = self.record.hints.get(&step.id).copied().unwrap_or(0) as usize;
                if predicting {
                    self.say("say.lesson.show.predict")?;
                } else if taken < self.stage.lesson.hints(&step.id) {
                    self.say("say.lesson.show.hints")?;
                } else {
                    return Ok(Asked::Shown);
                }
                continue;
            }
            if self.command(&line, Some((step, predicting)))? {
                continue;
            }
            match self.stage.canonical(step, &line) {
                Some(answer) => return Ok(Asked::Answer(answer)),
                None => {
                    let key = match step.answer {
                        Some(Answer::Number) => "say.lesson.not.number",
                        Some(Answer::Choice) => "say.lesson.not.choice",
                        Some(Answer::Several) => "say.lesson.not.several",
                        Some(Answer::Packet) => "say.lesson.not.packet",
                        _ => "say.lesson.not.text",
                    };
                    self.say(key)?;
                }
            }
        }
    }

    fn show_question(&mut self, step: &Step) -> Result<()> {
        show_question(self.stage, self.language, &mut self.console.out, step)?;
        Ok(())
    }

    fn reminder(&self, step: &Step) -> String {
        let key = match step.answer {
            Some(Answer::Number) => "say.lesson.ask.number",
            Some(Answer::Choice) => "say.lesson.ask.choice",
            Some(Answer::Several) => "say.lesson.ask.several",
            Some(Answer::Packet) => "say.lesson.ask.packet",
            _ => "say.lesson.ask.text",
        };
        self.glossary.say(key).to_owned()
    }

    /// Whether a line is a command, in English or in the learner's language.
    fn is(&self, line: &str, command: &str) -> bool {
        let line = line.trim().to_lowercase();
        let own = self
            .glossary
            .entry(&format!("say.lesson.command.{command}"));
        let words = own.map_or("", |entry| entry.short.as_str());
        line == command || words.split(' ').any(|word| word == line)
    }

    /// The number behind a command, as in `details 8`.
    fn numbered(&self, line: &str, command: &str) -> Option<u64> {
        let (word, number) = line.trim().split_once(' ')?;
        self.is(word, command)
            .then(|| number.trim().trim_start_matches('#').parse().ok())
            .flatten()
    }

    /// Does what a line commands; says whether it was a command.
    fn command(&mut self, line: &str, asked: Option<(&Step, bool)>) -> Result<bool> {
        let step = asked.map(|(step, _)| step);
        // Before the run there are no packets to look at.
        let run = match asked {
            Some((step, false)) => step.run.clone(),
            Some((_, true)) => None,
            None => None,
        };
        let seen = run.or_else(|| self.last_run());
        if self.is(line, "help") {
            self.say("say.lesson.help")?;
            return Ok(true);
        }
        if self.is(line, "hint") {
            if let Some(step) = step {
                self.hint(step)?;
            } else {
                self.say("say.lesson.hint.none")?;
            }
            return Ok(true);
        }
        if self.is(line, "packets") {
            // Of several runs, the one that the question is about.
            let steps = &self.stage.lesson.data.steps;
            let of_question = step.and_then(|step| step.run.as_deref()).and_then(|run| {
                let past = steps.get(..=self.record.step.min(steps.len() - 1))?;
                let mut runs = past.iter().rev().filter(|step| step.kind == Kind::Run);
                runs.find(|step| step.run.as_deref() == Some(run)).cloned()
            });
            match of_question.or_else(|| self.last_run_step()) {
                Some(step) => self.packets(&step, true)?,
                None => self.say("say.lesson.packets.none")?,
            }
            return Ok(true);
        }
        for (command, depth, hex) in [("details", Depth::V, false), ("bytes", Depth::Bytes, true)] {
            if let Some(number) = self.numbered(line, command) {
                match &seen {
                    Some(run) => self.packet(run, number, depth, hex)?,
                    None => self.say("say.lesson.packets.none")?,
                }
                return Ok(true);
            }
        }
        if let Some((word, what)) = line.split_once(' ')
            && self.is(word, "explain")
        {
            let what: Vec<String> = what.split_whitespace().map(str::to_owned).collect();
            let width = self.console.out.look().width;
            match explain::explain(self.glossary, &what, width) {
                Ok(lines) => explain::write(&lines, &mut self.console.out),
                Err(_) => {
                    let text = self.glossary.say("say.lesson.explain.none");
                    self.console.line(&text.replace("{what}", &what.join(" ")));
                }
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// The next hint of a step's ladder.
    fn hint(&mut self, step: &Step) -> Result<()> {
        let taken = self.record.hints.get(&step.id).copied().unwrap_or(0);
        let all = self.stage.lesson.hints(&step.id) as u32;
        if taken >= all {
            return self.say(if all == 0 {
                "say.lesson.hint.none"
            } else {
                "say.lesson.hint.last"
            });
        }
        let id = step.id.clone();
        self.keep(|record| {
            record.hints.insert(id.clone(), taken + 1);
        })?;
        let key = format!("{}.hints.{}", step.id, taken + 1);
        let text = self.stage.fill(self.stage.say(self.language, &key))?;
        let line = format!(
            "{} {}/{all}: {text}",
            self.glossary.say("say.lesson.hint"),
            taken + 1
        );
        self.console.prose(&line);
        Ok(())
    }

    fn last_run_step(&self) -> Option<Step> {
        let steps = &self.stage.lesson.data.steps;
        let until = (self.record.step + 1).min(steps.len());
        let mut past = steps.get(..until)?.iter().enumerate().rev();
        past.find(|(_, step)| step.kind == Kind::Run)
            .map(|(_, step)| step.clone())
    }

    fn last_run(&self) -> Option<String> {
        self.last_run_step().map(|step| {
            step.run
                .unwrap_or_else(|| self.stage.lesson.first_run().to_owned())
        })
    }

    /// The packets of a run: those that matter, or all.
    fn packets(&mut self, step: &Step, all: bool) -> Result<()> {
        if !all && self.has(&step.id) {
            self.text(&step.id)?;
            self.console.gap();
        }
        let hidden = show_packets(self.stage, self.glossary, &mut self.console.out, step, all)?;
        if hidden > 0 {
            let text = self.glossary.say("say.lesson.hidden");
            let text = filled(text, |_| Some(hidden.to_string())).unwrap_or_default();
            self.console.line(&text);
        }
        self.console.gap();
        Ok(())
    }

    /// One packet, field by field or byte by byte.
    fn packet(&mut self, run: &str, number: u64, depth: Depth, hex: bool) -> Result<()> {
        if !show_packet(
            self.stage,
            self.glossary,
            &mut self.console.out,
            run,
            number,
            depth,
            hex,
        )? {
            self.say("say.lesson.packet.none")?;
        }
        Ok(())
    }
}
