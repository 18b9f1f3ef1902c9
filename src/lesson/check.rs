//! What is right: answers judged by the learner's own packets.

use super::load::{Answer, LessonError, Step};
use super::stage::Stage;
use super::value::{Val, hex};
use crate::filter::Filter;

/// An expression over a packet.
pub(crate) type Condition = Filter;

/// Reads an expression: every one in a lesson comes through here.
///
/// # Errors
/// What is wrong, at which character, and how to mend it.
pub(crate) fn condition(text: &str) -> core::result::Result<Condition, String> {
    Filter::parse(text).map_err(|error| {
        let at = error.place.start + 1;
        let hint = Some(error.hint).filter(|hint| !hint.is_empty());
        let hint = hint.map_or(String::new(), |hint| format!("; {hint}"));
        format!(
            "at character {at} of the expression {text:?}: {}{hint}",
            error.what
        )
    })
}

/// What an answer is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The packets say the same.
    Right,
    /// They do not. The names of the sentences that answer it, below `STEP.wrong.` or `STEP.missed.`
    Wrong(Vec<String>),
}

type Result<T> = core::result::Result<T, LessonError>;

impl Stage<'_> {
    /// Whether an option is right.
    ///
    /// # Errors
    /// When a condition of it cannot be understood or computed.
    pub fn option_holds(&self, step: &Step, id: &str) -> Result<bool> {
        let Some(option) = step.options.iter().find(|option| option.id == id) else {
            return Ok(false);
        };
        for condition in &option.when {
            if !self.holds(condition)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// An expression with the lesson's values in it: `frame.number == {lost}`.
    ///
    /// # Errors
    /// When it cannot be understood, or there is no value of a name in it.
    pub(crate) fn condition(&self, text: &str) -> Result<Condition> {
        let filled = self.fill(text)?;
        condition(&filled).map_err(|e| self.lesson.error(text, e))
    }

    /// The packet that an expression picks: the first for which it holds.
    ///
    /// # Errors
    /// When it cannot be understood.
    pub fn packets(&self, step: &Step, text: &str) -> Result<Vec<u64>> {
        let lesson = self.lesson;
        let filter = self.condition(text)?;
        let run = step.run.as_deref().unwrap_or_else(|| lesson.first_run());
        let mut found = Vec::new();
        self.watch(run, |event, _| {
            if filter.matches(event) {
                found.push(event.frame.number);
            }
        })?;
        Ok(found)
    }

    /// What somebody typed, in the one form that is kept: a number, names of options with commas between, a packet's number,
    /// a text. `None` if it is no answer of this kind.
    #[must_use]
    pub fn canonical(&self, step: &Step, input: &str) -> Option<String> {
        let input = input.trim();
        match step.answer? {
            Answer::Number => {
                let digits: String = input
                    .chars()
                    .filter(|c| !matches!(c, ',' | '.' | '\'' | '_' | ' '))
                    .collect();
                match digits.strip_prefix("0x") {
                    Some(hex) => u64::from_str_radix(hex, 16).ok().map(|n| n.to_string()),
                    None => digits.parse::<u64>().ok().map(|n| n.to_string()),
                }
            }
            Answer::Packet => input
                .trim_start_matches('#')
                .parse::<u64>()
                .ok()
                .map(|n| n.to_string()),
            Answer::Text => (!input.is_empty()).then(|| input.chars().take(200).collect()),
            Answer::Choice | Answer::Several => {
                let options = self.options(step);
                let mut chosen = vec![false; options.len()];
                for c in input
                    .chars()
                    .filter(|c| !matches!(c, ' ' | ',' | ';' | '+'))
                {
                    let index = match c {
                        'a'..='z' => c as usize - 'a' as usize,
                        'A'..='Z' => c as usize - 'A' as usize,
                        '1'..='9' => c as usize - '1' as usize,
                        _ => return None,
                    };
                    *chosen.get_mut(index)? = true;
                }
                // In the order of the lesson, whatever the order on the screen.
                let is_chosen = |id: &str| {
                    let mut shown = options.iter().zip(&chosen);
                    shown.any(|(option, chosen)| *chosen && option.id == id)
                };
                let ids = step.options.iter().map(|option| option.id.as_str());
                let ids: Vec<&str> = ids.filter(|id| is_chosen(id)).collect();
                let enough = match step.answer? {
                    Answer::Choice => ids.len() == 1,
                    _ => !ids.is_empty(),
                };
                enough.then(|| ids.join(","))
            }
        }
    }

    /// Judges an answer in the form that [`Stage::canonical`] gives.
    ///
    /// # Errors
    /// When the lesson's own expressions are wrong.
    pub fn judge(&self, step: &Step, answer: &str) -> Result<Verdict> {
        let lesson = self.lesson;
        let right = || {
            step.right.as_deref().ok_or_else(|| {
                lesson.error(&step.id, format!("step {}: `right` is missing", step.id))
            })
        };
        let other = || Verdict::Wrong(vec!["wrong.other".to_owned()]);
        match step.answer {
            Some(Answer::Choice | Answer::Several) => {
                let chosen: Vec<&str> = answer.split(',').filter(|id| !id.is_empty()).collect();
                let mut wrong = Vec::new();
                for option in &step.options {
                    let is_right = self.option_holds(step, &option.id)?;
                    let is_chosen = chosen.contains(&option.id.as_str());
                    if is_chosen && !is_right {
                        wrong.push(format!("wrong.{}", option.id));
                    } else if is_right && !is_chosen && step.answer == Some(Answer::Several) {
                        wrong.push(format!("missed.{}", option.id));
                    }
                }
                let right = wrong.is_empty() && !chosen.is_empty();
                Ok(if right {
                    Verdict::Right
                } else {
                    Verdict::Wrong(wrong)
                })
            }
            Some(Answer::Packet) => {
                let picked: u64 = answer.parse().unwrap_or(0);
                if self.packets(step, right()?)?.contains(&picked) {
                    return Ok(Verdict::Right);
                }
                for (id, filter) in &step.wrong {
                    if self.packets(step, filter)?.contains(&picked) {
                        return Ok(Verdict::Wrong(vec![format!("wrong.{id}")]));
                    }
                }
                Ok(other())
            }
            Some(Answer::Number | Answer::Text) => {
                if same(&self.calc(right()?)?, answer) {
                    return Ok(Verdict::Right);
                }
                for (id, calc) in &step.wrong {
                    if same(&self.calc(calc)?, answer) {
                        return Ok(Verdict::Wrong(vec![format!("wrong.{id}")]));
                    }
                }
                Ok(other())
            }
            None => Err(lesson.error(&step.id, format!("step {}: `answer` is missing", step.id))),
        }
    }

    /// The right answer, in the form that [`Stage::canonical`] gives.
    ///
    /// # Errors
    /// When the lesson's own expressions are wrong.
    pub fn solution(&self, step: &Step) -> Result<String> {
        match step.answer {
            Some(Answer::Choice | Answer::Several) => {
                let mut ids = Vec::new();
                for option in &step.options {
                    if self.option_holds(step, &option.id)? {
                        ids.push(option.id.as_str());
                    }
                }
                Ok(ids.join(","))
            }
            Some(Answer::Packet) => {
                let text = step.right.as_deref().unwrap_or("");
                let first = self.packets(step, text)?.first().copied();
                first.map(|n| n.to_string()).ok_or_else(|| {
                    self.lesson
                        .error(text, format!("step {}: no packet matches {text}", step.id))
                })
            }
            _ => Ok(match self.calc(step.right.as_deref().unwrap_or(""))? {
                Val::Bytes(bytes) => hex(&bytes, ""),
                other => other.shown(),
            }),
        }
    }
}

/// Whether an answer says the same as a value.
fn same(value: &Val, answer: &str) -> bool {
    let bare = |text: &str| {
        text.trim()
            .trim_matches(['"', '\'', '“', '”', '„'])
            .trim()
            .to_lowercase()
    };
    let digits = |text: &str| -> String {
        text.to_lowercase()
            .replace("0x", "")
            .chars()
            .filter(char::is_ascii_hexdigit)
            .collect()
    };
    match value {
        Val::Number(n) => answer.trim().parse() == Ok(*n),
        Val::Text(text) => bare(text) == bare(answer),
        Val::Bytes(bytes) => digits(answer) == hex(bytes, ""),
    }
}
