//! What can be wrong with a capture file: where, what was being read, what it needs and what is there.

use core::fmt;
use std::io;

use super::source::Packing;
use crate::text::counted;

/// Why a capture file cannot be read, or not any further.
#[derive(Debug)]
pub struct FileError {
    /// The file, as it was named.
    pub name: String,
    /// Where what could not be read begins, in bytes from the start of the file (of what was unpacked, if it is packed).
    pub offset: u64,
    /// What was being read there.
    pub what: &'static str,
    /// What is wrong with it.
    pub problem: Problem,
    /// How the file is packed.
    pub packing: Option<Packing>,
}

/// What is wrong.
#[derive(Debug)]
pub enum Problem {
    /// The file cannot be opened.
    Open(io::Error),
    /// It cannot be read, or not be unpacked.
    Read(io::Error),
    /// It has nothing in it.
    Empty,
    /// It does not begin as any capture file that is known here; these are its first bytes.
    Unknown([u8; 4]),
    /// It is a capture file of a kind that is not read here.
    Foreign(&'static str),
    /// The file ends too early.
    Short {
        /// So many bytes are needed, from `offset` on.
        need: u64,
        /// So many are there.
        have: u64,
    },
    /// A length that cannot be.
    Length {
        /// What the file says.
        found: u64,
        /// What would be possible.
        possible: Possible,
    },
    /// A version that is not known here.
    Version(u16, u16),
    /// A number that names nothing.
    Missing {
        /// What the file says.
        found: u64,
        /// How many there are.
        have: u64,
    },
    /// Bytes that mark a place have another value.
    Mark([u8; 4]),
}

/// What a length must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Possible {
    /// So many bytes or more, a multiple of 4.
    AtLeast(u64),
    /// So many bytes or fewer.
    AtMost(u64),
    /// Exactly so many: it stands twice and must be the same.
    Again(u64),
}

impl FileError {
    /// Whether nothing at all could be read: the file cannot be opened, or is no capture file.
    #[must_use]
    pub fn is_unusable(&self) -> bool {
        matches!(
            self.problem,
            Problem::Open(_) | Problem::Empty | Problem::Unknown(_) | Problem::Foreign(_)
        )
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name, offset, what, ..
        } = self;
        match &self.problem {
            Problem::Open(error) => return write!(f, "cannot open {name}: {}", reason(error)),
            Problem::Empty => return write!(f, "{name} is empty: there is no capture in it"),
            Problem::Unknown([0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd]) => {
                return write!(
                    f,
                    "{name} is packed more than once: unpack it with gzip -d or zstd -d, and read what comes of it"
                );
            }
            Problem::Unknown(first) => {
                return write!(
                    f,
                    "{name} is no capture file: it begins with {first:02x?}; known are pcap and pcapng, plain or packed \
                     with gzip or zstd"
                );
            }
            Problem::Foreign(kind) => {
                return write!(
                    f,
                    "{name} is {kind}, which is not read here: convert it with \
                     editcap -F pcapng {name} {name}.pcapng"
                );
            }
            _ => {}
        }
        write!(f, "{name}: byte {offset}")?;
        if let Some(packing) = self.packing {
            write!(f, " of what {} unpacked", packing.name())?;
        }
        write!(f, ": {what}: ")?;
        match &self.problem {
            Problem::Read(error) => match self.packing {
                Some(packing) => write!(
                    f,
                    "cannot be unpacked: {}; {} -t {name} tests the whole file",
                    reason(error),
                    packing.name()
                ),
                None => write!(f, "cannot be read: {}", reason(error)),
            },
            Problem::Short { need, have } => write!(
                f,
                "needs {}, {} there: the file is cut off",
                counted(*need, "byte|bytes"),
                counted(*have, "is|are")
            ),
            Problem::Length { found, possible } => match possible {
                Possible::AtLeast(least) => write!(
                    f,
                    "says it has {found} bytes, but it has at least {least}, and a multiple of 4"
                ),
                Possible::AtMost(most) => {
                    write!(f, "says it has {found} bytes, but at most {most} can be")
                }
                Possible::Again(first) => write!(
                    f,
                    "says {first} bytes at its beginning and {found} at its end: the file is damaged"
                ),
            },
            Problem::Version(major, minor) => {
                write!(f, "version {major}.{minor} is not known here")
            }
            Problem::Missing { found, have } => {
                write!(f, "names number {found}, but there are {have} (from 0 on)")
            }
            Problem::Mark(found) => write!(
                f,
                "has {found:02x?} where the byte order must stand: the file is damaged"
            ),
            Problem::Open(_) | Problem::Empty | Problem::Unknown(_) | Problem::Foreign(_) => Ok(()),
        }
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.problem {
            Problem::Open(error) | Problem::Read(error) => Some(error),
            _ => None,
        }
    }
}

/// Why the system refuses, in words.
pub(super) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "you may not: see ls -l".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        io::ErrorKind::UnexpectedEof => "the packed data end too early".to_owned(),
        _ => crate::reason::reason(error),
    }
}
