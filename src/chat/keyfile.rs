//! The file that TLS secrets are told to, where somebody asked for it.

use core::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustls::KeyLog;

use super::setup::key_line;
use crate::certs::create_new;

/// Appends secrets to a file, a line each, in the form of an NSS key log. The file is nobody's but its owner's.
pub(super) struct KeyFile {
    path: PathBuf,
    file: Mutex<File>,
}

impl KeyFile {
    /// Makes the file with mode 0600, or goes on in one that is a regular file, the user's own, and closed to others.
    ///
    /// # Errors
    /// A sentence: why the file cannot take secrets, and what to do.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let refuse =
            |why: &dyn fmt::Display| format!("cannot write secrets to {}: {why}", path.display());
        let file = match create_new(path, 0o600) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let file = append(path).map_err(|error| refuse(&error))?;
                let metadata = file.metadata().map_err(|error| refuse(&error))?;
                if !metadata.is_file() {
                    return Err(refuse(&"it is not a regular file; give another name"));
                }
                closed_to_others(&metadata).map_err(|why| refuse(&why))?;
                file
            }
            Err(error) => return Err(refuse(&error)),
        };
        Ok(Self {
            path: path.to_owned(),
            file: Mutex::new(file),
        })
    }
}

/// Opens a file for appending, but not through a link, which somebody else could have put there.
fn append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true);
    #[cfg(target_os = "linux")]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        // A FIFO without a reader would make us wait.
        libc::O_NOFOLLOW | libc::O_NONBLOCK,
    );
    options.open(path).map_err(|error| {
        let is_link = path
            .symlink_metadata()
            .is_ok_and(|metadata| metadata.is_symlink());
        match is_link {
            true => io::Error::other("it is a symbolic link; give the file itself"),
            false => error,
        }
    })
}

#[cfg(unix)]
fn closed_to_others(metadata: &std::fs::Metadata) -> Result<(), &'static str> {
    use std::os::unix::fs::MetadataExt as _;
    if metadata.mode() & 0o077 != 0 {
        return Err("others may read or write it; close it to them first (chmod 600)");
    }
    #[cfg(target_os = "linux")]
    if metadata.uid() != nix::unistd::geteuid().as_raw() {
        return Err("it belongs to another user; give another name");
    }
    Ok(())
}

#[cfg(not(unix))]
fn closed_to_others(_: &std::fs::Metadata) -> Result<(), &'static str> {
    Ok(())
}

impl KeyLog for KeyFile {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let line = key_line(label, client_random, secret) + "\n";
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // The chat goes on without a line that a full disk refuses; whoever opens the capture sees that it is missing.
        let _ = file.write_all(line.as_bytes());
    }
}

// The secrets stay out of logs.
impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
