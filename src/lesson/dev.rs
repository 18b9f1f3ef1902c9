//! What an author of lessons needs: a new lesson that runs, and the proof that all lessons are right.

use std::io::Write;
use std::path::Path;

use super::console::{Console, prose};
use super::load::{Lesson, LessonError};
use super::rig::Wire;
use super::stage::Stage;
use super::{Desk, LessonFailure};
use crate::text::{Glossary, counted};
use crate::view::paint::Out;

mod answers;
mod played;
mod shape;
mod texts;

pub use played::typed_through;

use answers::computed;
use played::played;
use shape::shape;
use texts::texts;

/// So many seeds are tried.
const SEEDS: u64 = 5;

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

#[derive(Debug, Default)]
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

pub(crate) fn check(
    desk: &Desk<'_>,
    wire: Wire,
    console: &mut Console<'_>,
) -> Result<(), LessonFailure> {
    let mut wrong: u64 = 0;
    for lesson in desk.lessons.iter().filter(|lesson| lesson.runs_on(wire)) {
        let complaints = complaints(lesson, desk.glossary, wire);
        let languages: Vec<&str> = lesson
            .texts
            .keys()
            .map(String::as_str)
            .filter(|language| lesson.is_told_in(language))
            .collect();
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
        wrong += complaints.len() as u64;
        console.show(desk.glossary)?;
    }
    if wrong > 0 {
        return Err(LessonFailure::Other(format!(
            "{} wrong with the lessons; each line above says what, where and how to mend it",
            counted(wrong, "thing is|things are")
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
