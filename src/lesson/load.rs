//! Lessons as data: a folder each, with `lesson.toml` and one file of sentences per language. `lessons/README.md`
//! describes the format.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;

use serde::Deserialize;

use super::rig::Wire;
use super::tape::Place;
use crate::wire::memory;

/// The version of the format that this program reads.
pub const FORMAT_VERSION: u32 = 1;

macro_rules! folders {
    ($($id:literal: $($lang:literal)+;)+) => {
        &[$(Folder {
            id: $id,
            data: include_str!(concat!("../../lessons/", $id, "/lesson.toml")),
            texts: &[$(($lang, include_str!(concat!("../../lessons/", $id, "/", $lang, ".toml")))),+],
        }),+]
    };
}

/// The lessons that are built into the program. A new lesson adds its line here.
pub static EMBEDDED: &[Folder] = folders! {
    "01-envelopes": "en" "de";
    "02-a-to-b": "en" "de";
    "03-handshake": "en" "de";
    "04-counting": "en" "de";
    "05-segments": "en" "de";
    "06-loss": "en" "de";
    "07-disorder": "en" "de";
    "08-bit-error": "en" "de";
    "09-blind-spot": "en" "de";
    "10-slow-reader": "en" "de";
    "11-eavesdropper": "en" "de";
    "12-keys": "en" "de";
    "13-who": "en" "de";
    "14-replay": "en" "de";
    "15-downgrade": "en" "de";
    "16-goodbye": "en" "de";
};

/// A lesson's folder, as text.
#[derive(Debug, Clone, Copy)]
pub struct Folder {
    /// Its name.
    pub id: &'static str,
    /// `lesson.toml`
    pub data: &'static str,
    /// The sentences, by language.
    pub texts: &'static [(&'static str, &'static str)],
}

/// One lesson: its data and its sentences.
#[derive(Debug)]
pub struct Lesson {
    /// The folder's name, such as `01-envelopes`.
    pub folder: String,
    /// What is in `lesson.toml`.
    pub data: Data,
    /// The text of `lesson.toml`, to find a line in.
    pub source: String,
    /// The sentences, by language.
    pub texts: BTreeMap<String, Texts>,
}

/// What is in `lesson.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// 1
    pub format_version: u32,
    /// A short name for the command line, such as `envelopes`.
    pub id: String,
    /// Its place among the lessons.
    pub number: u32,
    /// How long it takes.
    pub minutes: u32,
    /// Where its facts are specified: `RFC 9293, section 3.1`.
    pub rfc: Vec<String>,
    /// Numbers that stand in its texts although no packet tells them, and why.
    #[serde(default)]
    pub numbers: BTreeMap<String, String>,
    /// The wires that it runs on, beside the memory wire.
    #[serde(default)]
    pub wires: Vec<Wire>,
    /// Words that the seed chooses: a name, and what it may be.
    #[serde(default)]
    pub vary: BTreeMap<String, Vec<String>>,
    /// What is played on the wire, by name.
    pub runs: BTreeMap<String, Run>,
    /// Named values, computed from the packets.
    #[serde(default)]
    pub values: BTreeMap<String, ValueDef>,
    /// What happens, in order.
    #[serde(rename = "step")]
    pub steps: Vec<Step>,
}

/// What is played on the wire.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Run {
    /// Plays the same as another run; only what is seen of it (`at`, `keys`) may differ.
    pub like: Option<String>,
    /// What A says, with `{word}` for a word that the seed chooses.
    pub messages: Vec<String>,
    /// What B answers.
    pub reply: String,
    /// The longest packet.
    pub mtu: usize,
    /// The same, from a list of numbers that the seed chooses from.
    pub vary_mtu: Option<String>,
    /// One way, in milliseconds.
    pub latency_ms: u64,
    /// Rules that are followed on the path.
    pub faults: Vec<String>,
    /// Routers on the path.
    pub hops: u8,
    /// Who answers at B's address: `genuine`, `unknown-authority`, `wrong-name`, `expired`.
    pub server: Server,
    /// Somebody in the middle who shows A such a certificate, and passes on what it reads. Packets at `A` are then those
    /// between A and it, packets at `B` those between it and B.
    pub middle: Option<Server>,
    /// Whether A checks the certificate.
    pub verify: bool,
    /// Whether both ends also accept TLS 1.2.
    pub tls12: bool,
    /// TCP's buffer at B, in bytes.
    pub buffer: Option<usize>,
    /// When B's application does not read: from and until, in milliseconds.
    pub pause_ms: Option<[u64; 2]>,
    /// Where the packets are seen: `wire`, `A` or `B`.
    pub at: Place,
    /// Which secrets the one who watches has: labels of a key log; all of them if nothing is said.
    pub keys: Option<Vec<String>>,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            like: None,
            messages: Vec::new(),
            reply: "hello".to_owned(),
            mtu: 1500,
            vary_mtu: None,
            latency_ms: 5,
            faults: Vec::new(),
            hops: 0,
            server: Server::Genuine,
            middle: None,
            verify: true,
            tls12: false,
            buffer: None,
            pause_ms: None,
            at: Place::Wire,
            keys: None,
        }
    }
}

/// Who answers at B's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(
    missing_docs,
    reason = "as crate::wire::memory::Server, which has the docs"
)]
pub enum Server {
    Genuine,
    UnknownAuthority,
    WrongName,
    Expired,
}

impl From<Server> for memory::Server {
    fn from(server: Server) -> Self {
        match server {
            Server::Genuine => Self::Genuine,
            Server::UnknownAuthority => Self::UnknownAuthority,
            Server::WrongName => Self::WrongName,
            Server::Expired => Self::Expired,
        }
    }
}

/// How a named value is computed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ValueDef {
    /// From which run; the lesson's only or first one if nothing is said.
    pub run: Option<String>,
    /// The value of this key …
    pub of: Option<String>,
    /// … in the packet for which this expression holds …
    #[serde(rename = "where")]
    pub filter: Option<String>,
    /// … the first, or the n-th (from the end, if negative).
    pub nth: i64,
    /// Which of several values of that key in the packet, counted from 1.
    pub which: usize,
    /// `len` (how many bytes it has), `hex` (its bytes) or `name` (from the glossary).
    #[serde(rename = "as")]
    pub shown: Option<Shown>,
    /// How many packets an expression holds for.
    pub count: Option<String>,
    /// A sum: `isn + 1`, `seq + len - 4`.
    pub calc: Option<String>,
    /// Whether the sum wraps at 2^32, as sequence numbers do.
    pub wrap: bool,
    /// The milliseconds from the packet before for which this expression holds to the one of `of`/`where`.
    pub since: Option<String>,
    /// Only these bytes of the value: from, and up to (not with).
    pub slice: Option<[usize; 2]>,
    /// What the application of `A` or `B` said.
    pub said: Option<String>,
    /// What the application of `A` or `B` heard.
    pub heard: Option<String>,
    /// What the one in the middle read of what `A` or `B` said.
    pub read: Option<String>,
    /// Why the chat of `A` or `B` failed.
    pub failure: Option<String>,
    /// A word that the seed chose.
    pub vary: Option<String>,
}

/// How a value is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "said at ValueDef::shown")]
pub enum Shown {
    Len,
    Hex,
    Name,
}

/// One step of a lesson.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What kind.
    pub kind: Kind,
    /// Its name: the sentences are found by it.
    pub id: String,
    /// For a run: which one. For a question: which run the learner may look into.
    #[serde(default)]
    pub run: Option<String>,
    /// For a run or a packet to pick: only the packets for which this holds are shown.
    #[serde(default)]
    pub show: Option<String>,
    /// For a run: the bytes of the packet for which this holds are shown, too.
    #[serde(default)]
    pub bytes: Option<String>,
    /// For a question: what is answered.
    #[serde(default)]
    pub answer: Option<Answer>,
    /// For a number or a text: the name of the right value. For a packet: the expression that picks it.
    #[serde(default)]
    pub right: Option<String>,
    /// The same for wrong answers, each with its own sentence.
    #[serde(default)]
    pub wrong: BTreeMap<String, String>,
    /// For a choice: the options, in order.
    #[serde(default)]
    pub options: Vec<Choice>,
}

/// What a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Something is told.
    Tell,
    /// Something is asked before the run, and judged after it.
    Predict,
    /// The wire plays; predictions are judged.
    Run,
    /// Something is asked about what was seen, and judged at once.
    Task,
}

/// What kind of answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// A number.
    Number,
    /// One of several.
    Choice,
    /// Several of several.
    Several,
    /// A packet of the run.
    Packet,
    /// A short text, or bytes in hexadecimal.
    Text,
}

/// One option of a choice.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// Its name: the sentences are found by it.
    pub id: String,
    /// It is right when all of these hold: `NAME == NAME`, `!=`, `<`, `>`, with names of values or numbers.
    pub when: Vec<String>,
}

/// What the list of lessons says of each. A language may have just these of a lesson.
pub const LISTED: [&str; 2] = ["title", "question"];

/// The sentences of one language.
#[derive(Debug, Default)]
pub struct Texts {
    map: HashMap<String, String>,
    /// The text of the file, to find a line in.
    source: String,
}

impl Texts {
    /// Reads a file of sentences: tables are dots in the key, a list is numbered from 1.
    ///
    /// # Errors
    /// What the TOML parser says, with line and column.
    pub fn parse(text: &str) -> Result<Self, String> {
        fn walk(
            key: String,
            value: toml::Value,
            map: &mut HashMap<String, String>,
        ) -> Result<(), String> {
            match value {
                toml::Value::String(text) => {
                    map.insert(key, text.trim_end().trim_start_matches('\n').to_owned());
                }
                toml::Value::Table(table) => {
                    for (name, value) in table {
                        let key = if key.is_empty() {
                            name
                        } else {
                            format!("{key}.{name}")
                        };
                        walk(key, value, map)?;
                    }
                }
                toml::Value::Array(list) => {
                    for (number, value) in (1..).zip(list) {
                        walk(format!("{key}.{number}"), value, map)?;
                    }
                }
                other => {
                    return Err(format!(
                        "{key} is {}: only texts, tables and lists of texts may stand here",
                        other.type_str()
                    ));
                }
            }
            Ok(())
        }
        let table: toml::Table = toml::from_str(text).map_err(|e| e.to_string())?;
        let mut map = HashMap::new();
        walk(String::new(), toml::Value::Table(table), &mut map)?;
        Ok(Self {
            map,
            source: text.to_owned(),
        })
    }

    /// Whether the lesson is told in this language, and not only listed.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.map.keys().any(|key| !LISTED.contains(&key.as_str()))
    }

    /// The line in which the sentence under a key begins, counted from 1.
    #[must_use]
    pub fn line(&self, key: &str) -> Option<usize> {
        let (mut table, mut best) = (String::new(), None);
        for (number, line) in (1..).zip(self.source.lines()) {
            if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                table = format!("{name}.");
            } else if let Some((name, _)) = line.split_once('=') {
                let here = format!("{table}{}", name.trim().trim_matches('"'));
                if here == key {
                    return Some(number);
                }
                // An element of a list stands somewhere below the list's name.
                if key
                    .strip_prefix(&here)
                    .is_some_and(|rest| rest.starts_with('.'))
                {
                    best = Some(number);
                }
            }
        }
        best
    }

    /// The sentence under a key.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<&str> {
        self.map.get(key).map(String::as_str)
    }

    /// Every key.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.map.keys().map(String::as_str)
    }
}

impl Lesson {
    /// Reads a lesson from the texts of its files.
    ///
    /// # Errors
    /// File, line, what is wrong and how to mend it.
    pub fn parse(
        folder: &str,
        data: &str,
        texts: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, LessonError> {
        let error = |file: &str, message: String| LessonError {
            file: format!("{folder}/{file}"),
            line: None,
            message,
        };
        let source = data.to_owned();
        let data: Data = toml::from_str(data).map_err(|e| {
            let line = e.span().map(|span| line_of(&source, span.start));
            LessonError {
                line,
                ..error("lesson.toml", e.message().to_owned())
            }
        })?;
        if data.format_version != FORMAT_VERSION {
            return Err(LessonError {
                line: find_line(&source, "format_version"),
                ..error(
                    "lesson.toml",
                    format!(
                        "format_version is {}, this program reads {FORMAT_VERSION}: use a newer layerwise, or write the \
                         lesson in format {FORMAT_VERSION}",
                        data.format_version
                    ),
                )
            });
        }
        let mut by_language = BTreeMap::new();
        for (language, text) in texts {
            let parsed = Texts::parse(&text)
                .map_err(|message| error(&format!("{language}.toml"), message))?;
            by_language.insert(language, parsed);
        }
        if !by_language.contains_key("en") {
            return Err(error(
                "en.toml",
                "is missing: every lesson has its sentences in English at least".to_owned(),
            ));
        }
        Ok(Self {
            folder: folder.to_owned(),
            data,
            source,
            texts: by_language,
        })
    }

    /// The sentence under a key: in that language, else in English, else the key itself.
    #[must_use]
    pub fn say<'a>(&'a self, language: &str, key: &'a str) -> &'a str {
        self.find(language, key).unwrap_or(key)
    }

    /// The same, if there is one.
    #[must_use]
    pub fn find(&self, language: &str, key: &str) -> Option<&str> {
        [language, "en"]
            .iter()
            .find_map(|language| self.texts.get(*language)?.find(key))
    }

    /// The step of that name.
    #[must_use]
    pub fn step(&self, id: &str) -> Option<&Step> {
        self.data.steps.iter().find(|step| step.id == id)
    }

    /// Whether the lesson is told in that language, and not only listed in it.
    #[must_use]
    pub fn is_told_in(&self, language: &str) -> bool {
        self.texts.get(language).is_some_and(Texts::is_whole)
    }

    /// Whether the lesson runs on that wire.
    #[must_use]
    pub fn runs_on(&self, wire: Wire) -> bool {
        wire == Wire::Memory || self.data.wires.contains(&wire)
    }

    /// How many hints a step has.
    #[must_use]
    pub fn hints(&self, step: &str) -> usize {
        (1..)
            .take_while(|n| self.find("en", &format!("{step}.hints.{n}")).is_some())
            .count()
    }

    /// The run that is meant by a name; the lesson's first if there is none.
    #[must_use]
    pub fn run(&self, name: Option<&str>) -> Option<&Run> {
        match name {
            Some(name) => self.data.runs.get(name),
            None => self.data.runs.get(self.first_run()),
        }
    }

    /// The name of the run that is meant when none is named: that of the first run step.
    #[must_use]
    pub fn first_run(&self) -> &str {
        let first = self.data.steps.iter().find_map(|step| {
            (step.kind == Kind::Run)
                .then_some(step.run.as_deref())
                .flatten()
        });
        first
            .or_else(|| self.data.runs.keys().next().map(String::as_str))
            .unwrap_or("main")
    }

    /// An error in this lesson's data: the line is that of the first place where `near` stands.
    #[must_use]
    pub fn error(&self, near: &str, message: String) -> LessonError {
        LessonError {
            file: format!("{}/lesson.toml", self.folder),
            line: find_line(&self.source, near),
            message,
        }
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.get(..at).unwrap_or(text).matches('\n').count() + 1
}

/// The line in which a text stands first, counted from 1.
fn find_line(text: &str, what: &str) -> Option<usize> {
    text.find(what).map(|at| line_of(text, at))
}

/// What is wrong with a lesson, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LessonError {
    /// The file, from the folder of lessons on.
    pub file: String,
    /// The line, where it is known.
    pub line: Option<usize>,
    /// What is wrong and how to mend it.
    pub message: String,
}

impl fmt::Display for LessonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

impl std::error::Error for LessonError {}

/// All lessons, in order: those of the program, or those of a folder instead.
///
/// # Errors
/// The first lesson that cannot be read.
pub fn load(folder: Option<&Path>) -> Result<Vec<Lesson>, LessonError> {
    let mut lessons = match folder {
        None => EMBEDDED
            .iter()
            .map(|folder| {
                let texts = folder.texts.iter();
                let texts = texts.map(|(l, t)| ((*l).to_owned(), (*t).to_owned()));
                Lesson::parse(folder.id, folder.data, texts)
            })
            .collect::<Result<Vec<_>, _>>()?,
        Some(folder) => from_folder(folder)?,
    };
    lessons.sort_by_key(|lesson| lesson.data.number);
    for pair in lessons.windows(2) {
        if let [one, two] = pair
            && (one.data.number == two.data.number || one.data.id == two.data.id)
        {
            return Err(two.error(
                "number",
                format!(
                    "number {} and name {:?} must be its own, but {} has one of them, too: choose others",
                    two.data.number, two.data.id, one.folder
                ),
            ));
        }
    }
    Ok(lessons)
}

fn from_folder(folder: &Path) -> Result<Vec<Lesson>, LessonError> {
    let failed = |path: &Path, what: String| LessonError {
        file: path.display().to_string(),
        line: None,
        message: what,
    };
    let read = |path: &Path| {
        std::fs::read_to_string(path).map_err(|e| failed(path, format!("cannot be read: {e}")))
    };
    let entries = std::fs::read_dir(folder).map_err(|e| {
        failed(
            folder,
            format!("cannot be read: {e}; --lessons takes a folder of lessons"),
        )
    })?;
    let mut folders: Vec<_> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.join("lesson.toml").is_file())
        .collect();
    folders.sort();
    if folders.is_empty() {
        return Err(failed(
            folder,
            "has no lesson in it: a lesson is a folder with a lesson.toml (layerwise lesson dev new makes one)".to_owned(),
        ));
    }
    let mut lessons = Vec::new();
    for path in folders {
        let data = read(&path.join("lesson.toml"))?;
        let mut texts = Vec::new();
        let entries =
            std::fs::read_dir(&path).map_err(|e| failed(&path, format!("cannot be read: {e}")))?;
        for entry in entries.filter_map(Result::ok) {
            let path = entry.path();
            let language = path.file_stem().and_then(|s| s.to_str()).unwrap_or("");
            if path.extension().is_some_and(|e| e == "toml") && language != "lesson" {
                texts.push((language.to_owned(), read(&path)?));
            }
        }
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("?");
        lessons.push(Lesson::parse(name, &data, texts)?);
    }
    Ok(lessons)
}
