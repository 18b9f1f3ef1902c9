//! What a learner has predicted, tried and reached: one JSON file, written whole or not at all.
//!
//! Every change takes a lock, reads what is there, changes one thing and puts a new file in the place of the old one
//! (written beside it, flushed to the disk, renamed). So a program that is killed leaves the old file or the new one, and
//! two programs at once change the same file one after the other.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cli::lesson::Wire;

/// The version of the file's format.
const FORMAT_VERSION: u32 = 1;
const FILE: &str = "progress.json";
const PACKETS: &str = "packets-";
const LOCK: &str = "progress.lock";

/// All that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    format_version: u32,
    /// Whose it is, if they said so: for the report.
    #[serde(default)]
    pub name: String,
    /// The seed for lessons that are begun.
    pub seed: u64,
    /// The lesson that was worked on last.
    #[serde(default)]
    pub current: Option<String>,
    /// What was done, by lesson.
    #[serde(default)]
    pub lessons: BTreeMap<String, Record>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            format_version: FORMAT_VERSION,
            name: String::new(),
            seed: 1,
            current: None,
            lessons: BTreeMap::new(),
        }
    }
}

/// What was done in one lesson.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What the numbers of this lesson come from.
    pub seed: u64,
    /// Whose TCP/IP plays it.
    #[serde(default)]
    pub wire: Wire,
    /// The step to go on with, counted from 0.
    pub step: usize,
    /// Whether it was finished once.
    pub done: bool,
    /// How often it was begun anew.
    pub round: u32,
    /// How many hints were taken in this round, by step.
    #[serde(default)]
    pub hints: BTreeMap<String, u32>,
    /// Every answer, in order.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Which time through the lesson.
    pub round: u32,
    /// What the numbers came from then.
    pub seed: u64,
    /// Whose TCP/IP played it then.
    #[serde(default)]
    pub wire: Wire,
    /// To which step.
    pub step: String,
    /// Before the run.
    pub predicted: bool,
    /// What was answered.
    pub answer: String,
    /// `right`, `shown` (the answer was asked for), empty (not yet judged), or what was wrong.
    pub verdict: String,
    /// How many hints had been taken.
    pub hints: u32,
}

impl Record {
    /// This round's attempts at a step.
    pub fn at<'r>(&'r self, step: &'r str) -> impl Iterator<Item = &'r Attempt> {
        self.attempts
            .iter()
            .filter(move |a| a.round == self.round && a.step == step)
    }

    /// Whether a step is answered: rightly, or the answer was shown.
    #[must_use]
    pub fn settled(&self, step: &str) -> bool {
        self.at(step)
            .any(|a| a.verdict == "right" || a.verdict == "shown")
    }

    /// Whether a step is predicted.
    #[must_use]
    pub fn predicted(&self, step: &str) -> bool {
        self.at(step).any(|a| a.predicted)
    }

    /// Begins the lesson anew; what was answered before is kept.
    pub fn begin_anew(&mut self, seed: u64, wire: Wire) {
        if !self.attempts.is_empty() || self.step > 0 {
            self.round += 1;
        }
        self.seed = seed;
        self.wire = wire;
        self.step = 0;
        self.hints.clear();
    }
}

/// Where progress is kept.
#[derive(Debug)]
pub struct Store {
    dir: Option<PathBuf>,
    memory: Progress,
}

impl Store {
    /// In that folder, which is made if it is not there; or in memory alone.
    #[must_use]
    pub fn new(dir: Option<PathBuf>) -> Self {
        Self {
            dir,
            memory: Progress::default(),
        }
    }

    /// The folder that is usual on this system: `$XDG_STATE_HOME/layerwise`, else `~/.local/state/layerwise`.
    #[must_use]
    pub fn usual(env: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
        let set = |name| {
            env(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        // The XDG base directory specification: a path that is not absolute is to be ignored.
        set("XDG_STATE_HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| Some(set("HOME")?.join(".local/state")))
            .or_else(|| set("LOCALAPPDATA"))
            .map(|state| state.join("layerwise"))
    }

    /// The folder, if it is kept in one.
    #[must_use]
    pub fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    /// What is kept, and where a file that could not be used was put.
    ///
    /// # Errors
    /// When the file is there but cannot be read, or cannot be put aside.
    pub fn read(&self) -> io::Result<(Progress, Option<Aside>)> {
        match &self.dir {
            Some(dir) if dir.is_dir() => {
                let _lock = lock(dir)?;
                self.load()
            }
            Some(_) => Ok((Progress::default(), None)),
            None => Ok((self.memory.clone(), None)),
        }
    }

    /// The same by one who holds the lock.
    fn load(&self) -> io::Result<(Progress, Option<Aside>)> {
        let Some(dir) = &self.dir else {
            return Ok((self.memory.clone(), None));
        };
        let path = dir.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok((Progress::default(), None));
            }
            Err(error) => return Err(error),
        };
        #[derive(Deserialize)]
        struct Version {
            format_version: u32,
        }
        let why = match serde_json::from_slice::<Version>(&text) {
            Ok(version) if version.format_version > FORMAT_VERSION => {
                Why::Newer(version.format_version)
            }
            _ => match serde_json::from_slice(&text) {
                Ok(progress) => return Ok((progress, None)),
                Err(error) => Why::Corrupt(error.to_string()),
            },
        };
        let kept = free_name(dir);
        fs::rename(&path, &kept)?;
        Ok((Progress::default(), Some(Aside { kept, why })))
    }

    /// Changes what is kept and gives the result.
    ///
    /// # Errors
    /// When the folder cannot be made, or the file not be read or written.
    pub fn update(&mut self, change: impl FnOnce(&mut Progress)) -> io::Result<Progress> {
        let Some(dir) = &self.dir else {
            change(&mut self.memory);
            return Ok(self.memory.clone());
        };
        fs::create_dir_all(dir)?;
        let _lock = lock(dir)?;
        let (mut progress, _) = self.load()?;
        change(&mut progress);
        let text = serde_json::to_vec_pretty(&progress)?;
        write_whole(dir, FILE, &text)?;
        Ok(progress)
    }

    /// What the paths of the files begin with that hold the packets of a lesson on the kernel's wire, in one round.
    #[must_use]
    pub fn packets(&self, id: &str, round: u32) -> Option<PathBuf> {
        let dir = self.dir.as_ref()?;
        Some(dir.join(format!("{PACKETS}{id}-{round}-")))
    }

    /// Removes the packets that were kept of a lesson, or of all: they are those of rounds that are over.
    pub fn forget_packets(&self, id: Option<&str>) {
        let begins = id.map_or(PACKETS.to_owned(), |id| format!("{PACKETS}{id}-"));
        let entries = self.dir.as_deref().map(fs::read_dir);
        for entry in entries.into_iter().flatten().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&begins) {
                // One that stays does no harm: rounds are counted.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Forgets everything; the file is kept under another name.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn forget(&mut self) -> io::Result<Option<PathBuf>> {
        self.memory = Progress::default();
        let Some(dir) = &self.dir else {
            return Ok(None);
        };
        let kept = free_name(dir);
        match fs::rename(dir.join(FILE), &kept) {
            Ok(()) => Ok(Some(kept)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A file that could not be used, and where it was put.
#[derive(Debug)]
pub struct Aside {
    /// Its new name.
    pub kept: PathBuf,
    /// What was wrong with it.
    pub why: Why,
}

/// Why a file of progress could not be used.
#[derive(Debug)]
pub enum Why {
    /// It is not what this program writes.
    Corrupt(String),
    /// A newer program wrote it, in this version of the format.
    Newer(u32),
}

/// Waits until no other program works on that folder; until the file is dropped, none does.
fn lock(dir: &Path) -> io::Result<File> {
    let file = File::create(dir.join(LOCK))?;
    file.lock()?;
    Ok(file)
}

fn free_name(dir: &Path) -> PathBuf {
    (1..)
        .map(|n| dir.join(format!("{FILE}.kept-{n}")))
        .find(|path| !path.exists())
        .unwrap_or_else(|| dir.join("progress.json.kept"))
}

/// Writes a file so that there is the old one or the new one, whatever happens in between.
///
/// # Errors
/// Those of the file system.
pub(crate) fn write_whole(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    write(dir, name, bytes, false)
}

/// The same for what nobody else shall read.
///
/// # Errors
/// Those of the file system.
pub(crate) fn write_private(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    write(dir, name, bytes, true)
}

fn write(dir: &Path, name: &str, bytes: &[u8], private: bool) -> io::Result<()> {
    let beside = dir.join(format!("{name}.new-{}", std::process::id()));
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    if private {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    #[cfg(not(unix))]
    let _ = private;
    let mut file = options.open(&beside)?;
    let done = file.write_all(bytes).and_then(|()| file.sync_all());
    if let Err(error) = done.and_then(|()| fs::rename(&beside, dir.join(name))) {
        // What is not whole is of no use to anybody, least of all on a full disk.
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    // So that the name is on the disk, too. Not every system lets a folder be opened.
    if let Ok(dir) = File::open(dir) {
        let _ = dir.sync_all();
    }
    Ok(())
}
