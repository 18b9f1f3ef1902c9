//! A key log on disk that another program may still be writing: read line by line, as far as it has come.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// The longest line that is kept: the longest label, a client random and a secret take less than 300 bytes.
const LINE: usize = 4096;

/// So much is read at once.
const BLOCK: usize = 64 << 10;

/// A key log that may grow, be replaced, or not be there yet.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    open: Option<Open>,
    /// Why it cannot be opened, if it is there.
    trouble: Option<io::Error>,
    /// A pipe is not waited for: what is in it now is all there is for now.
    patient: bool,
    buffer: Vec<u8>,
}

/// The file as it is now.
#[derive(Debug)]
struct Open {
    file: File,
    /// What tells whether the path still leads to this file.
    id: (u64, u64),
    /// How far it was read.
    at: u64,
    /// The beginning of a line whose end is not there yet, and whether that line is too long.
    rest: Vec<u8>,
    too_long: bool,
}

impl LogFile {
    /// A file that is there. Reading from a pipe waits for who writes into it, to the end.
    ///
    /// # Errors
    /// When it is not there, or cannot be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = Self::at(path, true);
        file.open = Some(open(path, true)?);
        Ok(file)
    }

    /// A file that may come later. Nothing waits for it.
    #[must_use]
    pub fn watch(path: &Path) -> Self {
        let mut file = Self::at(path, false);
        file.reopen();
        file
    }

    fn at(path: &Path, patient: bool) -> Self {
        Self {
            path: path.to_owned(),
            open: None,
            trouble: None,
            patient,
            buffer: vec![0; BLOCK],
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is there.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Why it cannot be opened although it is there; said once for each try.
    pub fn trouble(&mut self) -> Option<io::Error> {
        self.trouble.take()
    }

    /// Gives each whole line that was not given before to `line`, without its newline.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn read(&mut self, mut line: impl FnMut(&str)) -> io::Result<()> {
        loop {
            self.read_on(&mut line)?;
            if !self.reopen() {
                return Ok(());
            }
        }
    }

    /// Gives the last line, should it have no newline: for a file that nobody writes any more.
    pub fn rest(&mut self, mut line: impl FnMut(&str)) {
        if let Some(open) = &mut self.open
            && !open.rest.is_empty()
        {
            line(&String::from_utf8_lossy(&open.rest));
            open.rest.clear();
        }
    }

    /// Reads to the end of what is there.
    fn read_on(&mut self, line: &mut impl FnMut(&str)) -> io::Result<()> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        loop {
            let read = match open.file.read(&mut self.buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            open.at += read as u64;
            let mut bytes = self.buffer.get(..read).unwrap_or(&[]);
            while let Some(end) = memchr::memchr(b'\n', bytes) {
                let (head, tail) = bytes.split_at(end);
                bytes = tail.get(1..).unwrap_or(&[]);
                // What is not text is no line of a key log; the one who takes it up says so. So is what is too long.
                if open.too_long {
                    line("\u{fffd}");
                } else if open.rest.is_empty() {
                    line(&String::from_utf8_lossy(head));
                } else {
                    open.rest.extend_from_slice(head);
                    line(&String::from_utf8_lossy(&open.rest));
                }
                open.rest.clear();
                open.too_long = false;
            }
            open.too_long |= open.rest.len() + bytes.len() > LINE;
            if open.too_long {
                open.rest.clear();
            } else {
                open.rest.extend_from_slice(bytes);
            }
        }
    }

    /// Looks where the path leads to now; whether there is something new to read.
    fn reopen(&mut self) -> bool {
        let meta = std::fs::metadata(&self.path);
        if let (Some(open), Ok(meta)) = (&self.open, &meta) {
            if open.id == id(meta) && (meta.len() >= open.at || !meta.is_file()) {
                return false;
            }
        } else if self.open.is_some() {
            // Removed: what comes in its place will be read.
            return false;
        }
        match open(&self.path, self.patient) {
            Ok(open) => {
                self.open = Some(open);
                self.trouble = None;
                true
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => {
                self.trouble = Some(error);
                false
            }
        }
    }
}

/// Device and inode, where there are such things.
#[cfg(unix)]
fn id(meta: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt as _;
    (meta.dev(), meta.ino())
}

#[cfg(not(unix))]
fn id(_: &Metadata) -> (u64, u64) {
    (0, 0)
}

fn open(path: &Path, patient: bool) -> io::Result<Open> {
    let mut how = OpenOptions::new();
    how.read(true);
    // A named pipe serves, too, and must not make us wait for its writer.
    #[cfg(target_os = "linux")]
    if !patient {
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut how, nix::libc::O_NONBLOCK);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = patient;
    let file = how.open(path)?;
    let meta = file.metadata()?;
    if meta.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(Open {
        id: id(&meta),
        file,
        at: 0,
        rest: Vec::new(),
        too_long: false,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn lines(file: &mut LogFile) -> Vec<String> {
        let mut lines = Vec::new();
        file.read(|line| lines.push(line.to_owned())).unwrap();
        lines
    }

    #[test]
    fn a_file_is_read_as_it_grows_is_replaced_and_comes_back() {
        let path = std::env::temp_dir().join(format!("layerwise-log-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        assert!(LogFile::open(&path).is_err());
        let mut log = LogFile::watch(&path);
        assert_eq!((lines(&mut log).len(), log.is_open()), (0, false));
        let mut file = File::create(&path).unwrap();
        file.write_all(b"one\ntw").unwrap();
        assert_eq!(lines(&mut log), ["one"]);
        file.write_all(b"o\n").unwrap();
        assert_eq!(lines(&mut log), ["two"]);
        // Another file under the same name.
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "three\nfour").unwrap();
        assert_eq!(lines(&mut log), ["three"]);
        log.rest(|line| assert_eq!(line, "four"));
        // A line without end takes no memory without end.
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&vec![b'x'; 200_000]).unwrap();
        file.write_all(b"\nfive\n").unwrap();
        assert_eq!(lines(&mut log), ["\u{fffd}", "five"]);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(lines(&mut log).len(), 0);
    }
}
