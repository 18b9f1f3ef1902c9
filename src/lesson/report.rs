//! What a learner hands in, and what a teacher makes of it.
//!
//! A report holds every answer with the seed of its lesson, and a check value: SHA-256 over its content. That shows
//! changes by accident or by an editor; it has no secret, so it cannot prove who made the report. What proves more is that
//! every verdict can be computed again: the seed gives the packets, the packets judge the answers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use super::check::Verdict;
use super::console::Console;
use super::load::{Kind, Lesson};
use super::progress::{Attempt, Progress, Record, write_whole};
use super::stage::Stage;
use super::{Desk, LessonFailure, show};
use crate::chat::printable;
use crate::cli::lesson::{Format, Wire};
use crate::text;

const FORMAT_VERSION: u32 = 1;
/// A longer report than this is not read.
const LONGEST: u64 = 8 << 20;
/// So many misconceptions are listed.
const LISTED: usize = 12;

/// What is checked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    format_version: u32,
    program: String,
    name: String,
    lessons: Vec<Done>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Done {
    id: String,
    #[serde(flatten)]
    record: Record,
}

#[derive(Debug, Serialize, Deserialize)]
struct Report {
    content: Content,
    check: String,
}

impl Content {
    fn check(&self) -> Result<String, LessonFailure> {
        let text = serde_json::to_vec(self).map_err(|e| LessonFailure::Other(e.to_string()))?;
        let sum = digest::digest(&digest::SHA256, &text);
        Ok(sum
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect())
    }
}

/// What came of one lesson.
#[derive(Debug, Default, PartialEq, Eq)]
struct Marks {
    questions: usize,
    settled: usize,
    right_at_once: usize,
    tries: usize,
    hints: u32,
    shown: usize,
}

fn marks(lesson: &Lesson, record: &Record) -> Marks {
    let mut marks = Marks::default();
    for step in &lesson.data.steps {
        if step.answer.is_none() {
            continue;
        }
        let all: Vec<&Attempt> = record
            .attempts
            .iter()
            .filter(|a| a.step == step.id)
            .collect();
        marks.questions += 1;
        marks.tries += all.len();
        marks.right_at_once += usize::from(all.first().is_some_and(|a| a.verdict == "right"));
        marks.settled += usize::from(
            all.iter()
                .any(|a| a.verdict == "right" || a.verdict == "shown"),
        );
        marks.shown += usize::from(all.iter().any(|a| a.verdict == "shown"));
        marks.hints += all.iter().map(|a| a.hints).max().unwrap_or(0);
    }
    marks
}

pub(crate) fn report(
    desk: &Desk<'_>,
    progress: &Progress,
    format: Format,
    output: Option<&Path>,
    console: &mut Console<'_>,
) -> Result<(), LessonFailure> {
    let lessons = desk
        .lessons
        .iter()
        .filter_map(|lesson| {
            Some(Done {
                id: lesson.data.id.clone(),
                record: progress.lessons.get(&lesson.data.id)?.clone(),
            })
        })
        .collect();
    let content = Content {
        format_version: FORMAT_VERSION,
        program: format!("layerwise {}", env!("CARGO_PKG_VERSION")),
        name: progress.name.clone(),
        lessons,
    };
    let check = content.check()?;
    let report = Report { content, check };
    let json =
        serde_json::to_string_pretty(&report).map_err(|e| LessonFailure::Other(e.to_string()))?;
    let text = match format {
        Format::Text => return as_text(desk, &report, output, console),
        Format::Json => json + "\n",
        Format::Html => as_page(desk, &report, &json),
    };
    match output {
        Some(path) => write_to(path, text.as_bytes()),
        None => Ok(console.raw(text.as_bytes())?),
    }
}

fn write_to(path: &Path, bytes: &[u8]) -> Result<(), LessonFailure> {
    let failed = |error: std::io::Error| {
        LessonFailure::Other(format!(
            "{} cannot be written: {error}; give another file with -o",
            path.display()
        ))
    };
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("report");
    write_whole(folder, name, bytes).map_err(failed)
}

/// One answer in words: what was asked, what was answered, what it was worth.
fn answers<'r>(
    desk: &Desk<'_>,
    lesson: &Lesson,
    record: &'r Record,
) -> Vec<(String, String, &'r Attempt)> {
    let mut stages = Stages::new(desk, lesson, record);
    record
        .attempts
        .iter()
        .map(|attempt| {
            let stage = &*stages.of(attempt);
            let prompt = stage
                .say(desk.language, &format!("{}.prompt", attempt.step))
                .to_owned();
            let prompt = stage.fill(&prompt).unwrap_or(prompt);
            let answer = lesson
                .step(&attempt.step)
                .map_or(attempt.answer.clone(), |step| {
                    show::answer_shown(stage, desk.language, step, &attempt.answer)
                });
            (prompt, printable(&answer).into_owned(), attempt)
        })
        .collect()
}

/// The packets of each round: a seed and a wire of its own.
struct Stages<'d> {
    desk: &'d Desk<'d>,
    lesson: &'d Lesson,
    /// The packets of the last round on the kernel's wire are kept beside the progress.
    round: u32,
    by_seed: BTreeMap<(u64, bool, u32), Rc<Stage<'d>>>,
}

impl<'d> Stages<'d> {
    fn new(desk: &'d Desk<'d>, lesson: &'d Lesson, record: &Record) -> Self {
        Self {
            desk,
            lesson,
            round: record.round,
            by_seed: BTreeMap::new(),
        }
    }

    fn of(&mut self, attempt: &Attempt) -> Rc<Stage<'d>> {
        let on_tun = attempt.wire == Wire::Tun;
        let round = if on_tun { attempt.round } else { 0 };
        let (desk, lesson, last) = (self.desk, self.lesson, self.round);
        let stage = self.by_seed.entry((attempt.seed, on_tun, round));
        let stage = stage.or_insert_with(|| {
            let kept = desk.store.packets(&lesson.data.id, round);
            let stage = Stage::new(lesson, attempt.seed, desk.glossary);
            Rc::new(
                stage
                    .on(attempt.wire, kept.filter(|_| round == last))
                    .quiet(),
            )
        });
        Rc::clone(stage)
    }
}

fn verdict_key(attempt: &Attempt) -> &'static str {
    match attempt.verdict.as_str() {
        "right" => "say.lesson.report.right",
        "shown" => "say.lesson.report.shown",
        "" => "say.lesson.report.open",
        _ => "say.lesson.report.wrong",
    }
}

fn as_text(
    desk: &Desk<'_>,
    report: &Report,
    output: Option<&Path>,
    console: &mut Console<'_>,
) -> Result<(), LessonFailure> {
    let say = |key: &'static str| desk.glossary.say(key);
    let mut text = String::new();
    let title = say("say.lesson.report.title");
    text.push_str(&format!("{title} {}\n", printable(&report.content.name)));
    for done in &report.content.lessons {
        let Some(lesson) = desk.lessons.iter().find(|lesson| lesson.data.id == done.id) else {
            continue;
        };
        let marks = marks(lesson, &done.record);
        text.push_str(&format!(
            "\n{} {}\n",
            lesson.data.number,
            lesson.say(desk.language, "title")
        ));
        text.push_str(&filled(
            say("say.lesson.report.marks"),
            &marks,
            done.record.seed,
        ));
        text.push('\n');
        for (prompt, answer, attempt) in answers(desk, lesson, &done.record) {
            let before = if attempt.predicted {
                say("say.lesson.report.predicted")
            } else {
                say("say.lesson.report.answered")
            };
            text.push_str(&format!(
                "\n{prompt}\n{before} {answer} ({})\n",
                say(verdict_key(attempt))
            ));
        }
    }
    if report.content.lessons.is_empty() {
        text.push_str(&format!("\n{}\n", say("say.lesson.report.nothing")));
    }
    text.push_str(&format!(
        "\n{} {}\n{}\n",
        say("say.lesson.report.check"),
        report.check,
        say("say.lesson.report.proves")
    ));
    match output {
        Some(path) => write_to(path, text.as_bytes()),
        None => {
            for line in text.split('\n') {
                if line.is_empty() {
                    console.gap();
                } else {
                    console.line(line);
                }
            }
            Ok(console.show(desk.glossary)?)
        }
    }
}

fn filled(template: &str, marks: &Marks, seed: u64) -> String {
    let filled = text::filled(template, |name| {
        Some(match name {
            "questions" => marks.questions.to_string(),
            "settled" => marks.settled.to_string(),
            "at_once" => marks.right_at_once.to_string(),
            "tries" => marks.tries.to_string(),
            "hints" => marks.hints.to_string(),
            "shown" => marks.shown.to_string(),
            "seed" => seed.to_string(),
            _ => return None,
        })
    });
    filled.unwrap_or_default()
}

/// Text that cannot be anything else in a page.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// Where the machine's part of a page begins and ends.
const BEGIN: &str = "<script type=\"application/json\" id=\"layerwise-report\">";
const END: &str = "</script>";

fn as_page(desk: &Desk<'_>, report: &Report, json: &str) -> String {
    let say = |key: &'static str| escaped(desk.glossary.say(key));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"{}\">\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title} {name}</title>\n<style>\n\
         body {{ font: 1rem/1.5 sans-serif; max-width: 45rem; margin: 2rem auto; padding: 0 1rem; color-scheme: light dark }}\n\
         table {{ border-collapse: collapse; width: 100% }}\n\
         th, td {{ text-align: left; vertical-align: top; border-bottom: 1px solid; padding: .25rem .5rem }}\n\
         code {{ overflow-wrap: anywhere }}\n</style>\n<h1>{title} {name}</h1>\n",
        escaped(desk.language),
        title = say("say.lesson.report.title"),
        name = escaped(&report.content.name),
    );
    for done in &report.content.lessons {
        let Some(lesson) = desk.lessons.iter().find(|lesson| lesson.data.id == done.id) else {
            continue;
        };
        let marks = marks(lesson, &done.record);
        page.push_str(&format!(
            "<h2>{} {}</h2>\n<p>{}</p>\n<table>\n<tr><th>{}<th>{}<th>{}\n",
            lesson.data.number,
            escaped(lesson.say(desk.language, "title")),
            escaped(&filled(
                desk.glossary.say("say.lesson.report.marks"),
                &marks,
                done.record.seed
            )),
            say("say.lesson.report.question"),
            say("say.lesson.report.answer"),
            say("say.lesson.report.verdict"),
        ));
        for (prompt, answer, attempt) in answers(desk, lesson, &done.record) {
            let before = if attempt.predicted {
                "say.lesson.report.predicted"
            } else {
                "say.lesson.report.answered"
            };
            page.push_str(&format!(
                "<tr><td>{}<td>{} {}<td>{}\n",
                escaped(&prompt),
                say(before),
                escaped(&answer),
                say(verdict_key(attempt))
            ));
        }
        page.push_str("</table>\n");
    }
    page.push_str(&format!(
        "<p>{} <code>{}</code></p>\n<p>{}</p>\n{BEGIN}\n{}\n{END}\n</html>\n",
        say("say.lesson.report.check"),
        report.check,
        say("say.lesson.report.proves"),
        // A `<` would end the script; inside of JSON's strings it may be written so.
        json.replace('<', "\\u003c"),
    ));
    page
}

/// One report of a class.
struct Graded {
    file: String,
    name: String,
    seeds: BTreeSet<u64>,
    done: usize,
    marks: Marks,
    /// Whether the check value is that of the content.
    whole: bool,
    /// What does not hold when it is played again.
    doubts: Vec<String>,
    /// Answers about packets of the kernel's wire, which nobody can play again.
    believed: usize,
    wrong: BTreeSet<(u32, String, String)>,
}

pub(crate) fn grade(
    desk: &Desk<'_>,
    files: &[PathBuf],
    console: &mut Console<'_>,
) -> Result<(), LessonFailure> {
    let mut table = String::from(
        "file,name,seeds,lessons done,questions,right at once,tries,hints,shown,check value,played again\n",
    );
    let mut common: BTreeMap<(u32, String, String), usize> = BTreeMap::new();
    let mut unread = 0;
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut warnings = Vec::new();
    for file in files {
        let graded = match read(file).and_then(|report| replay(desk, file, &report)) {
            Ok(graded) => graded,
            Err(error) => {
                unread += 1;
                warnings.push(error.to_string());
                continue;
            }
        };
        let seeds: Vec<String> = graded.seeds.iter().map(u64::to_string).collect();
        for seed in &seeds {
            if let Some(other) = seen.insert(seed.clone(), graded.file.clone())
                && other != graded.file
            {
                warnings.push(format!(
                    "{} and {other} have the same seed {seed}: what is right for one is right for the other",
                    graded.file
                ));
            }
        }
        for doubt in &graded.doubts {
            warnings.push(format!("{}: {doubt}", graded.file));
        }
        for wrong in &graded.wrong {
            *common.entry(wrong.clone()).or_default() += 1;
        }
        let marks = &graded.marks;
        let cells = [
            graded.file.clone(),
            graded.name.clone(),
            seeds.join(" "),
            graded.done.to_string(),
            marks.questions.to_string(),
            marks.right_at_once.to_string(),
            marks.tries.to_string(),
            marks.hints.to_string(),
            marks.shown.to_string(),
            if graded.whole { "good" } else { "changed" }.to_owned(),
            match (graded.doubts.len(), graded.believed) {
                (0, 0) => "good".to_owned(),
                (0, believed) => format!("good but {believed} on tun"),
                (doubts, _) => format!("{doubts} doubts"),
            },
        ];
        let cells: Vec<String> = cells.iter().map(|cell| csv(cell)).collect();
        table.push_str(&cells.join(","));
        table.push('\n');
    }
    // The table alone is on standard output, so that it can go to a file.
    console.raw(table.as_bytes())?;
    let mut rows: Vec<_> = common.into_iter().collect();
    rows.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let mut aside = String::new();
    for warning in &warnings {
        aside.push_str(&format!("{}\n", printable(warning)));
    }
    if !rows.is_empty() {
        aside.push_str(&format!(
            "\n{}\n",
            desk.glossary.say("say.lesson.grade.common")
        ));
    }
    for ((number, step, wrong), times) in rows.into_iter().take(LISTED) {
        let lesson = desk
            .lessons
            .iter()
            .find(|lesson| lesson.data.number == number);
        let key = format!("{step}.{wrong}");
        let sentence = lesson.map_or("", |lesson| lesson.say(desk.language, &key));
        let first = sentence
            .split("\n\n")
            .next()
            .unwrap_or("")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        aside.push_str(&format!("{times} x  {number} {key}: {first}\n"));
    }
    console.aside(aside.as_bytes())?;
    if unread > 0 {
        return Err(LessonFailure::Other(format!(
            "{unread} of {} reports cannot be read; see above",
            files.len()
        )));
    }
    Ok(())
}

/// A cell of a table; one that a spreadsheet would take for a formula is made a text.
fn csv(cell: &str) -> String {
    let cell = printable(cell);
    let text = if cell.starts_with(['=', '+', '-', '@']) {
        format!("'{cell}")
    } else {
        cell.into_owned()
    };
    if text.contains([',', '"', ';']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

fn read(path: &Path) -> Result<Report, LessonFailure> {
    let wrong = |what: String| LessonFailure::Other(format!("{}: {what}", path.display()));
    let file = fs::File::open(path).map_err(|e| wrong(format!("cannot be read: {e}")))?;
    let mut text = String::new();
    file.take(LONGEST + 1)
        .read_to_string(&mut text)
        .map_err(|e| wrong(format!("cannot be read: {e}")))?;
    if text.len() as u64 > LONGEST {
        return Err(wrong(format!(
            "is longer than the {LONGEST} bytes that a report may have"
        )));
    }
    let json = match text.split_once(BEGIN) {
        Some((_, rest)) => rest.split_once(END).map_or(rest, |(json, _)| json),
        None => text.as_str(),
    };
    let report: Report = serde_json::from_str(json).map_err(|e| {
        wrong(format!("is no report ({e}): give what layerwise lesson report --format json or html has written"))
    })?;
    if report.content.format_version != FORMAT_VERSION {
        return Err(wrong(format!(
            "is a report of format {}, this program reads {FORMAT_VERSION}: use the layerwise that wrote it",
            report.content.format_version
        )));
    }
    Ok(report)
}

/// Plays a report again and compares every verdict.
fn replay(desk: &Desk<'_>, path: &Path, report: &Report) -> Result<Graded, LessonFailure> {
    let mut graded = Graded {
        file: path
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        name: report.content.name.clone(),
        seeds: BTreeSet::new(),
        done: 0,
        marks: Marks::default(),
        whole: report.content.check()? == report.check,
        doubts: Vec::new(),
        believed: 0,
        wrong: BTreeSet::new(),
    };
    let mut seen = BTreeSet::new();
    for done in &report.content.lessons {
        let Some(lesson) = desk.lessons.iter().find(|lesson| lesson.data.id == done.id) else {
            graded
                .doubts
                .push(format!("there is no lesson {:?} here", done.id));
            continue;
        };
        if !seen.insert(&done.id) {
            let doubt = format!("{} is there more than once: the first counts", done.id);
            graded.doubts.push(doubt);
            continue;
        }
        let record = &done.record;
        graded.seeds.insert(record.seed);
        let mut stages = Stages::new(desk, lesson, record);
        for attempt in &record.attempts {
            let step = lesson
                .step(&attempt.step)
                .filter(|step| step.answer.is_some());
            let Some(step) = step else {
                graded
                    .doubts
                    .push(format!("{} has no question {:?}", done.id, attempt.step));
                continue;
            };
            // What is right for one seed is right for everybody who has it, so these are what is compared.
            graded.seeds.insert(attempt.seed);
            if attempt.round == record.round && attempt.seed != record.seed {
                graded.doubts.push(format!(
                    "{} {}: answered with seed {}, but the lesson has seed {}",
                    done.id, attempt.step, attempt.seed, record.seed
                ));
            }
            if !lesson.runs_on(attempt.wire) {
                graded.doubts.push(format!(
                    "{} {}: answered on a wire that this lesson is not for",
                    done.id, attempt.step
                ));
                continue;
            }
            let stage = stages.of(attempt);
            let true_verdict = match attempt.verdict.as_str() {
                // The kernel's packets come from no seed: what was said of them can only be believed.
                _ if attempt.wire == Wire::Tun => {
                    graded.believed += 1;
                    attempt.verdict.clone()
                }
                "" => String::new(),
                "shown" => "shown".to_owned(),
                _ => match stage.judge(step, &attempt.answer)? {
                    Verdict::Right => "right".to_owned(),
                    Verdict::Wrong(keys) => keys.join(","),
                },
            };
            // Options that are both chosen wrongly and left out come in the order of the lesson in both.
            if true_verdict != attempt.verdict {
                graded.doubts.push(format!(
                    "{} {}: the answer {:?} is kept as {:?}, played again with seed {} it is {true_verdict:?}",
                    done.id, attempt.step, attempt.answer, attempt.verdict, attempt.seed
                ));
            }
            for key in true_verdict.split(',').filter(|key| key.contains('.')) {
                graded
                    .wrong
                    .insert((lesson.data.number, attempt.step.clone(), key.to_owned()));
            }
        }
        let marks = marks(lesson, record);
        let asked = lesson
            .data
            .steps
            .iter()
            .filter(|step| matches!(step.kind, Kind::Predict | Kind::Task))
            .count();
        let is_done = marks.settled == asked;
        if record.done && !is_done {
            graded.doubts.push(format!(
                "{} is called done, but {} of {asked} questions are answered",
                done.id, marks.settled
            ));
        }
        graded.done += usize::from(record.done && is_done);
        graded.marks.questions += marks.questions;
        graded.marks.settled += marks.settled;
        graded.marks.right_at_once += marks.right_at_once;
        graded.marks.tries += marks.tries;
        graded.marks.hints += marks.hints;
        graded.marks.shown += marks.shown;
    }
    Ok(graded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_in_cannot_be_anything_but_text() {
        assert_eq!(
            escaped("<b onclick='x'>&\u{1b}[31m"),
            "&lt;b onclick=&#39;x&#39;&gt;&amp;\\u{1b}[31m"
        );
        assert_eq!(csv("=1+1"), "'=1+1");
        assert_eq!(csv("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}
