//! What is right: values computed from the learner's own packets, and answers judged by them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use super::load::{Answer, Choice, Lesson, LessonError, Run, Server, Shown, Step, ValueDef};
use super::rig::{self, Tape};
use crate::filter::Filter;
use crate::layers::{self, frame};
use crate::packet::{Event, Fact, FieldDef, Value};
use crate::text::Glossary;
use crate::wire::memory::{self, Config};
use crate::wire::{Host, Script};

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

/// A value that was computed from packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Val {
    /// A number.
    Number(i128),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl Val {
    /// As it stands in a sentence.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Number(n) => n.to_string(),
            Self::Text(text) => crate::chat::printable(text).into_owned(),
            Self::Bytes(bytes) => hex(bytes, " "),
        }
    }
}

fn hex(bytes: &[u8], between: &str) -> String {
    let mut text = String::new();
    for (i, byte) in bytes.iter().enumerate() {
        if i > 0 {
            text.push_str(between);
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// What an answer is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The packets say the same.
    Right,
    /// They do not. The names of the sentences that answer it, below `STEP.wrong.` or `STEP.missed.`
    Wrong(Vec<String>),
}

/// A lesson with a seed: its runs are played when they are asked for, and kept.
pub struct Stage<'l> {
    /// The lesson.
    pub lesson: &'l Lesson,
    /// What all that is random in it comes from.
    pub seed: u64,
    glossary: &'l Glossary,
    tapes: RefCell<HashMap<String, Rc<Tape>>>,
}

type Result<T> = core::result::Result<T, LessonError>;

impl<'l> Stage<'l> {
    /// Nothing is played yet.
    #[must_use]
    pub fn new(lesson: &'l Lesson, seed: u64, glossary: &'l Glossary) -> Self {
        Self {
            lesson,
            seed,
            glossary,
            tapes: RefCell::default(),
        }
    }

    /// The run of that name; for one that is `like` another, with the wire of that other.
    fn settings(&self, name: &str) -> Result<(&'l Run, &'l str)> {
        let lesson = self.lesson;
        let missing = |name: &str| {
            lesson.error(
                name,
                format!("there is no run {name:?}: add [runs.{name}] or correct the name"),
            )
        };
        let (name, run) = lesson
            .data
            .runs
            .get_key_value(name)
            .ok_or_else(|| missing(name))?;
        match &run.like {
            Some(like) => {
                let (root, _) = lesson
                    .data
                    .runs
                    .get_key_value(like)
                    .ok_or_else(|| missing(like))?;
                Ok((run, root))
            }
            None => Ok((run, name)),
        }
    }

    /// The tape of a run.
    pub(crate) fn tape(&self, name: &str) -> Result<Rc<Tape>> {
        let (_, root) = self.settings(name)?;
        if let Some(tape) = self.tapes.borrow().get(root) {
            return Ok(Rc::clone(tape));
        }
        let (run, _) = self.settings(root)?;
        let script = Script {
            messages: run.messages.iter().map(|text| self.words(text)).collect(),
            reply: self.words(&run.reply),
        };
        let defaults = Config::default();
        let config = Config {
            seed: self
                .seed
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .wrapping_add(u64::from(self.lesson.data.number)),
            mtu: match run.vary_mtu.as_deref() {
                Some(list) => self
                    .word(list)
                    .and_then(|word| word.parse().ok())
                    .ok_or_else(|| {
                        self.lesson.error(
                            "vary_mtu",
                            format!("there is no list {list:?} of numbers under [vary]: add it"),
                        )
                    })?,
                None => run.mtu,
            },
            latency: Duration::from_millis(run.latency_ms),
            server: match run.server {
                Server::Genuine => memory::Server::Genuine,
                Server::UnknownAuthority => memory::Server::UnknownAuthority,
                Server::WrongName => memory::Server::WrongName,
                Server::Expired => memory::Server::Expired,
            },
            verify: run.verify,
            tls12: run.tls12,
            plain: false,
            buffer: run.buffer.unwrap_or(defaults.buffer),
            pause: run
                .pause_ms
                .map(|[from, until]| Duration::from_millis(from)..Duration::from_millis(until)),
            max_time: Duration::from_secs(600),
            max_packets: 10_000,
        };
        let faults: Vec<String> = run.faults.iter().map(|rule| self.words(rule)).collect();
        let tape = rig::play(&config, &script, &faults, run.hops)
            .map_err(|message| self.lesson.error(root, format!("[runs.{root}]: {message}")))?;
        let tape = Rc::new(tape);
        self.tapes
            .borrow_mut()
            .insert(root.to_owned(), Rc::clone(&tape));
        Ok(tape)
    }

    /// Calls `each` with every packet of a run, as that run shows it.
    pub(crate) fn watch(
        &self,
        name: &str,
        each: impl FnMut(&Event<'_>, Option<&'static str>),
    ) -> Result<()> {
        let (run, _) = self.settings(name)?;
        let tape = self.tape(name)?;
        let has_key = |line: &str| match &run.keys {
            None => true,
            Some(labels) => labels
                .iter()
                .any(|label| line.split(' ').next() == Some(label)),
        };
        tape.watch(run.at, has_key, each);
        Ok(())
    }

    /// The word that the seed chooses from a list of the lesson.
    fn word(&self, name: &str) -> Option<&'l str> {
        let list = self.lesson.data.vary.get(name)?;
        let index = self.mixed(name) % (list.len() as u64).max(1);
        list.get(index as usize).map(String::as_str)
    }

    /// A number that follows from the seed and a name.
    fn mixed(&self, name: &str) -> u64 {
        let mut mix = self.seed;
        for byte in name.bytes() {
            mix = (mix ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        mix ^= mix >> 29;
        mix = mix.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mix ^ mix >> 32
    }

    /// The options of a choice in the order in which this learner sees them: a neighbour's letter is of no use.
    #[must_use]
    pub fn options<'s>(&self, step: &'s Step) -> Vec<&'s Choice> {
        let mut options: Vec<&Choice> = step.options.iter().collect();
        options.sort_by_cached_key(|option| self.mixed(&format!("{}.{}", step.id, option.id)));
        options
    }

    /// Puts the words that the seed chooses into a text; `{x*1000}` repeats one.
    fn words(&self, text: &str) -> String {
        replace(text, |name| {
            let (name, times) = match name.split_once('*') {
                Some((name, times)) => (name, times.parse().unwrap_or(1)),
                None => (name, 1),
            };
            self.word(name).map(|word| word.repeat(times))
        })
        .unwrap_or_else(|_| text.to_owned())
    }

    /// Puts values and words into a sentence.
    ///
    /// # Errors
    /// When there is no value of a name in it.
    pub fn fill(&self, text: &str) -> Result<String> {
        let mut failed = None;
        let filled = replace(text, |name| {
            if let Some(word) = self.word(name) {
                return Some(word.to_owned());
            }
            match self.calc(name) {
                Ok(value) => Some(value.shown()),
                Err(error) => {
                    failed.get_or_insert(error);
                    None
                }
            }
        });
        match (filled, failed) {
            (Ok(text), _) => Ok(text),
            (Err(_), Some(error)) => Err(error),
            (Err(name), None) => Err(self.lesson.error(&name, format!("{{{name}}} has no value"))),
        }
    }

    /// The value of a name or of a sum of names and numbers.
    ///
    /// # Errors
    /// When a name is not known, or its packet is not there.
    pub fn calc(&self, text: &str) -> Result<Val> {
        let words: Vec<&str> = text.split_whitespace().collect();
        match *words.as_slice() {
            [one] => return self.value(one),
            [] => return Err(self.lesson.error(text, "a value has no name".to_owned())),
            _ => {}
        }
        let mut sum = 0;
        let mut sign = 1;
        for (i, word) in words.into_iter().enumerate() {
            if i % 2 == 1 {
                sign = match word {
                    "+" => 1,
                    "-" => -1,
                    _ => {
                        return Err(self.lesson.error(
                            text,
                            format!(
                                "{text:?}: between two values stands + or -, with spaces around it"
                            ),
                        ));
                    }
                };
                continue;
            }
            match self.value(word)? {
                Val::Number(n) => sum += sign * n,
                _ => {
                    return Err(self
                        .lesson
                        .error(text, format!("{text:?}: {word} is not a number")));
                }
            }
        }
        Ok(Val::Number(sum))
    }

    fn value(&self, name: &str) -> Result<Val> {
        if let Ok(number) = name.parse() {
            return Ok(Val::Number(number));
        }
        if let Some(text) = name.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
            return Ok(Val::Text(text.to_owned()));
        }
        let lesson = self.lesson;
        let Some(def) = lesson.data.values.get(name) else {
            if let Some(word) = self.word(name) {
                return Ok(Val::Text(word.to_owned()));
            }
            return Err(lesson.error(
                name,
                format!("there is no value {name:?}: add it under [values] or correct the name"),
            ));
        };
        self.compute(name, def)
    }

    fn compute(&self, name: &str, def: &ValueDef) -> Result<Val> {
        let lesson = self.lesson;
        let run = def.run.as_deref().unwrap_or_else(|| lesson.first_run());
        let wrong = |message: String| {
            lesson.error(&format!("{name} ="), format!("value {name}: {message}"))
        };
        if let Some(calc) = &def.calc {
            let value = self.calc(calc)?;
            return Ok(match value {
                Val::Number(n) if def.wrap => Val::Number(n.rem_euclid(1 << 32)),
                other => other,
            });
        }
        if let Some(word) = &def.vary {
            return self
                .word(word)
                .map(|word| match def.shown {
                    Some(Shown::Len) => Val::Number(word.len() as i128),
                    _ => Val::Text(word.to_owned()),
                })
                .ok_or_else(|| wrong(format!("there is no list {word:?} under [vary]")));
        }
        if let Some(host) = &def.said {
            let tape = self.tape(run)?;
            let said = tape.said(host_named(host).ok_or_else(|| wrong("said is A or B".into()))?);
            return Ok(Val::Text(said.join(" / ")));
        }
        if let Some(host) = &def.heard {
            let tape = self.tape(run)?;
            let heard =
                tape.heard(host_named(host).ok_or_else(|| wrong("heard is A or B".into()))?);
            return Ok(Val::Text(heard.join(" / ")));
        }
        if let Some(host) = &def.failure {
            let tape = self.tape(run)?;
            let host = host_named(host).ok_or_else(|| wrong("failure is A or B".into()))?;
            return Ok(Val::Text(tape.failure(host).unwrap_or_default()));
        }
        let parse = |text: &str| condition(text).map_err(wrong);
        if let Some(text) = &def.count {
            let condition = parse(text)?;
            let mut count = 0;
            self.watch(run, |event, _| {
                count += i128::from(condition.matches(event))
            })?;
            return Ok(Val::Number(count));
        }
        let Some(of) = &def.of else {
            return Err(wrong(
                "one of: of, count, calc, said, heard, failure, vary is needed".into(),
            ));
        };
        let key = layers::field(of);
        if key.is_none() {
            return Err(wrong(format!(
                "{of:?} is no key; layerwise explain lists them"
            )));
        }
        let filter = def.filter.as_deref().map(parse).transpose()?;
        let since = def.since.as_deref().map(parse).transpose()?;
        let mut found = Vec::new();
        let (mut start, mut before) = (None, None);
        self.watch(run, |event, _| {
            let start = *start.get_or_insert(event.frame.time);
            if filter.as_ref().is_none_or(|filter| filter.matches(event)) {
                let time = event.frame.time.since(before.unwrap_or(start));
                let value = match key {
                    Some(key) if core::ptr::eq(key, &raw const frame::TIME) => {
                        Some(Val::Number(i128::from(time / 1_000_000)))
                    }
                    Some(key) => read(self.glossary, event, key, def),
                    None => None,
                };
                found.extend(value);
            }
            if since.as_ref().is_some_and(|since| since.matches(event)) && before.is_none() {
                before = Some(event.frame.time);
            }
        })?;
        let index = match def.nth {
            0 | 1 => Some(0),
            n if n > 1 => usize::try_from(n - 1).ok(),
            n => usize::try_from(-n)
                .ok()
                .and_then(|n| found.len().checked_sub(n)),
        };
        index
            .and_then(|index| found.get(index).cloned())
            .ok_or_else(|| {
                wrong(format!(
                    "no packet of run {run} has {of}{}: correct the expression or the run",
                    def.filter
                        .as_ref()
                        .map_or(String::new(), |filter| format!(" where {filter}"))
                ))
            })
    }

    /// Whether a condition of a choice holds.
    ///
    /// # Errors
    /// When it cannot be understood or computed.
    pub fn holds(&self, text: &str) -> Result<bool> {
        for (op, test) in [
            (" == ", (|a, b| a == b) as fn(&Val, &Val) -> bool),
            (" != ", |a, b| a != b),
            (
                " < ",
                |a, b| matches!((a, b), (Val::Number(a), Val::Number(b)) if a < b),
            ),
            (
                " > ",
                |a, b| matches!((a, b), (Val::Number(a), Val::Number(b)) if a > b),
            ),
        ] {
            if let Some((left, right)) = text.split_once(op) {
                return Ok(test(&self.calc(left)?, &self.calc(right)?));
            }
        }
        Err(self.lesson.error(
            text,
            format!("{text:?} is no condition: write NAME == NAME, with !=, < or > as well, and spaces around it"),
        ))
    }

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

    /// The packet that an expression picks: the first for which it holds.
    ///
    /// # Errors
    /// When it cannot be understood.
    pub fn packets(&self, step: &Step, text: &str) -> Result<Vec<u64>> {
        let lesson = self.lesson;
        let filter = condition(text).map_err(|e| lesson.error(text, e))?;
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

fn host_named(name: &str) -> Option<Host> {
    match name {
        "A" => Some(Host::A),
        "B" => Some(Host::B),
        _ => None,
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

/// The value of a key in one packet.
fn read(
    glossary: &Glossary,
    event: &Event<'_>,
    key: &'static FieldDef,
    def: &ValueDef,
) -> Option<Val> {
    if core::ptr::eq(key, &raw const frame::NUMBER) {
        return Some(Val::Number(event.frame.number.into()));
    }
    if core::ptr::eq(key, &raw const frame::LEN) {
        return Some(Val::Number(event.frame.wire_len.into()));
    }
    let value = {
        let nth = def.which.max(1) - 1;
        let fields = event.fields.iter().filter(|f| core::ptr::eq(f.def, key));
        let fields = fields.map(|field| {
            if def.shown == Some(Shown::Len) {
                return Some(Val::Number(field.bytes().len() as i128));
            }
            if def.shown == Some(Shown::Hex) {
                return Some(Val::Bytes(event.field_bytes(field).to_vec()));
            }
            match field.value(event.bytes(field.buf)) {
                Value::None | Value::Name(_) => None,
                Value::Bool(set) => Some(Val::Number(set.into())),
                Value::Uint(n) => Some(Val::Number(n.into())),
                Value::Ipv4(bytes) => Some(Val::Text(std::net::Ipv4Addr::from(bytes).to_string())),
                Value::Ipv6(bytes) => Some(Val::Text(std::net::Ipv6Addr::from(bytes).to_string())),
                Value::Text(bytes) => Some(Val::Text(String::from_utf8_lossy(bytes).into_owned())),
                Value::Ether(bytes) => Some(Val::Bytes(bytes.to_vec())),
                Value::Bytes(bytes) | Value::Oid(bytes) | Value::Time(bytes) => {
                    Some(Val::Bytes(bytes.to_vec()))
                }
            }
        });
        let notes = event.notes.iter().filter(|n| core::ptr::eq(n.def, key));
        let notes = notes.map(|note| match note.value {
            Fact::Present => Some(Val::Number(1)),
            Fact::Uint(n) => Some(Val::Number(n.into())),
            Fact::Bytes(ref bytes, len) => {
                Some(Val::Bytes(bytes.get(..usize::from(len))?.to_vec()))
            }
        });
        fields.chain(notes).flatten().nth(nth)?
    };
    match (def.shown, &value) {
        (_, Val::Bytes(bytes)) => {
            let [from, to] = def.slice.unwrap_or([0, bytes.len()]);
            Some(Val::Bytes(bytes.get(from..to)?.to_vec()))
        }
        (Some(Shown::Name), Val::Number(n)) => {
            let named = glossary.of(key).value(u64::try_from(*n).ok()?)?;
            Some(Val::Text(named.name.clone()))
        }
        _ => Some(value),
    }
}

/// Replaces each `{name}` in a text.
///
/// # Errors
/// The first name for which there is nothing.
fn replace(
    text: &str,
    mut value: impl FnMut(&str) -> Option<String>,
) -> core::result::Result<String, String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            filled.push('{');
            rest = after;
            break;
        };
        filled.push_str(&value(name).ok_or_else(|| name.to_owned())?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}
