//! A lesson with a seed and a wire: its runs are played when they are asked for, and what the seed chooses.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use super::load::{Choice, Lesson, LessonError, Run, Step};
use super::progress::write_private;
use super::rig::{self, Play, Unplayed, Wire};
use super::tape::{Mark, Tape};
use super::value::Val;
use crate::packet::Event;
use crate::text::{Glossary, filled};
use crate::wire::Script;
use crate::wire::memory::Config;

/// A lesson with a seed: its runs are played when they are asked for, and kept.
pub struct Stage<'l> {
    /// The lesson.
    pub lesson: &'l Lesson,
    /// What all that is random in it comes from.
    pub seed: u64,
    /// Whose TCP/IP plays it.
    pub wire: Wire,
    pub(super) glossary: &'l Glossary,
    /// Where the tapes of the kernel's wire are kept, and what their names begin with: it never plays the same twice.
    kept: Option<PathBuf>,
    /// Nothing is played on the kernel's wire that is not kept.
    quiet: bool,
    tapes: RefCell<HashMap<String, Rc<Tape>>>,
    /// What was computed: the packets do not change any more.
    pub(super) values: RefCell<HashMap<String, Val>>,
    /// What is being computed.
    pub(super) computing: RefCell<HashSet<String>>,
}

type Result<T> = core::result::Result<T, LessonError>;

impl<'l> Stage<'l> {
    /// On the memory wire. Nothing is played yet.
    #[must_use]
    pub fn new(lesson: &'l Lesson, seed: u64, glossary: &'l Glossary) -> Self {
        Self {
            lesson,
            seed,
            wire: Wire::Memory,
            glossary,
            kept: None,
            quiet: false,
            tapes: RefCell::default(),
            values: RefCell::default(),
            computing: RefCell::default(),
        }
    }

    /// The same on another wire. What was played on the kernel's is kept in files whose paths begin with `kept`, and
    /// read from there the next time.
    #[must_use]
    pub fn on(self, wire: Wire, kept: Option<PathBuf>) -> Self {
        Self { wire, kept, ..self }
    }

    /// The same, but what was not kept is not played on the kernel's wire.
    #[must_use]
    pub fn quiet(self) -> Self {
        Self {
            quiet: true,
            ..self
        }
    }

    /// The text under a key in that language: on the kernel's wire the one below `tun.`, where there is one.
    #[must_use]
    pub fn say<'a>(&'a self, language: &str, key: &'a str) -> &'a str {
        self.find(language, key).unwrap_or(key)
    }

    /// The same, if there is one.
    #[must_use]
    pub fn find(&self, language: &str, key: &str) -> Option<&str> {
        let own = match self.wire {
            Wire::Memory => None,
            Wire::Tun => self.lesson.find(language, &format!("tun.{key}")),
        };
        own.or_else(|| self.lesson.find(language, key))
    }

    /// Whether this machine lets the lesson's wire be set up: plays the first run.
    ///
    /// # Errors
    /// What is refused, and why.
    pub fn probe(&self) -> core::result::Result<(), String> {
        let first = self.lesson.first_run();
        let root = self.settings(first).map_or(first, |(_, root)| root);
        match self.recorded(root) {
            Err(Unplayed::Refused(why)) => Err(why),
            // What else is wrong is said where the run is asked for.
            _ => Ok(()),
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
        let tape = self.recorded(root).map_err(|unplayed| match unplayed {
            Unplayed::Wrong(message) | Unplayed::Refused(message) => {
                self.lesson.error(root, format!("[runs.{root}]: {message}"))
            }
        })?;
        self.tapes
            .borrow_mut()
            .insert(root.to_owned(), Rc::clone(&tape));
        Ok(tape)
    }

    /// Plays a run, or reads what was played before.
    fn recorded(&self, root: &str) -> core::result::Result<Rc<Tape>, Unplayed> {
        let wrong = |error: LessonError| Unplayed::Wrong(error.message);
        let play = self.play(root).map_err(wrong)?;
        let kept = self.kept.as_ref().filter(|_| self.wire == Wire::Tun);
        let file = kept.map(|kept| {
            let mut name = kept.clone().into_os_string();
            name.push(format!("{root}.json"));
            PathBuf::from(name)
        });
        let read = file.as_ref().and_then(|file| std::fs::read(file).ok());
        // A file that is not whole is as good as none: the run is played again.
        if let Some(tape) = read.and_then(|text| serde_json::from_slice::<Tape>(&text).ok()) {
            return Ok(Rc::new(tape));
        }
        if self.quiet && self.wire == Wire::Tun {
            return Err(Unplayed::Wrong(
                "its packets are not kept any more".to_owned(),
            ));
        }
        let tape = rig::play(self.wire, &play)?;
        if let Some(file) = &file
            && let (Some(folder), Some(name)) = (file.parent(), file.file_name())
            && let Ok(text) = serde_json::to_vec(&tape)
        {
            // It holds the secrets of the connection. Without the file, coming back means other packets, and nothing worse.
            let _ = std::fs::create_dir_all(folder)
                .and_then(|()| write_private(folder, &name.to_string_lossy(), &text));
        }
        Ok(Rc::new(tape))
    }

    /// What is to be played for a run.
    fn play(&self, root: &str) -> Result<Play> {
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
            server: run.server.into(),
            mitm: run.middle.map(Into::into),
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
        Ok(Play {
            config,
            buffer: run.buffer,
            script,
            rules: run.faults.iter().map(|rule| self.words(rule)).collect(),
            hops: run.hops,
        })
    }

    /// Calls `each` with every packet of a run, as that run shows it.
    pub(crate) fn watch(
        &self,
        name: &str,
        each: impl FnMut(&Event<'_>, Option<Mark>),
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
    pub(super) fn word(&self, name: &str) -> Option<&'l str> {
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
        filled(text, |name| {
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
        let filled = filled(text, |name| {
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
}
