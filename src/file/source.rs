//! Where the bytes of a capture file come from: a file or standard input, unpacked if it is packed, read in large blocks.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

/// So much is read at once: more is not faster, and a pipe holds less.
const BLOCK: usize = 256 << 10;

/// The largest window a zstd frame may ask for, as a power of two: what `zstd -19` takes. `--ultra` and `--long` want up to
/// 128 MiB, which is more than this program is allowed in all.
const ZSTD_WINDOW: u32 = 23;

/// How the bytes were packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
}

impl Packing {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// What a [`Source`] can say of the bytes that are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fill {
    /// They are there.
    There,
    /// They must be read first, which may take long: ask again.
    Wait,
    /// The input ends before them.
    End,
}

/// A window over the input that moves forward only.
pub(super) struct Source {
    input: Box<dyn Read>,
    buf: Vec<u8>,
    /// What has been read and not consumed.
    start: usize,
    end: usize,
    /// Of the byte at `start`, counted from the beginning of the unpacked input.
    offset: u64,
    ended: bool,
    announced: bool,
    packing: Option<Packing>,
    /// How many bytes were taken from the file itself, before unpacking.
    taken: Rc<Cell<u64>>,
    /// How many it has; `None` where nobody knows.
    size: Option<u64>,
}

/// Counts what is read.
struct Counted<R> {
    input: R,
    taken: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(buf)?;
        self.taken.set(self.taken.get() + n as u64);
        Ok(n)
    }
}

impl Source {
    /// Opens a file; `-` is standard input.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            return Self::new(io::stdin().lock(), None);
        }
        let file = File::open(path)?;
        let about = file.metadata()?;
        if about.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Self::new(file, about.is_file().then_some(about.len()))
    }

    /// Reads from anything, whose size may be known.
    pub(super) fn new(input: impl Read + 'static, size: Option<u64>) -> io::Result<Self> {
        let taken = Rc::new(Cell::new(0));
        let input = Counted {
            input,
            taken: Rc::clone(&taken),
        };
        let mut source = Self {
            input: Box::new(input),
            buf: vec![0; BLOCK],
            start: 0,
            end: 0,
            offset: 0,
            ended: false,
            announced: false,
            packing: None,
            taken,
            size,
        };
        while source.ahead().len() < 4 && !source.ended {
            source.read(4)?;
        }
        source.packing = match source.ahead() {
            [0x1f, 0x8b, ..] => Some(Packing::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Packing::Zstd),
            _ => None,
        };
        if let Some(packing) = source.packing {
            let head = io::Cursor::new(source.ahead().to_vec());
            let rest = core::mem::replace(&mut source.input, Box::new(io::empty()));
            let packed = head.chain(rest);
            source.input = match packing {
                Packing::Gzip => Box::new(flate2::read::MultiGzDecoder::new(packed)),
                Packing::Zstd => {
                    let mut decoder = zstd::stream::read::Decoder::new(packed)?;
                    decoder.window_log_max(ZSTD_WINDOW)?;
                    Box::new(decoder)
                }
            };
            (source.start, source.end, source.ended) = (0, 0, false);
        }
        Ok(source)
    }

    /// How the input was packed.
    pub(super) fn packing(&self) -> Option<Packing> {
        self.packing
    }

    /// How much of the file has been read, and how much there is of it.
    pub(super) fn progress(&self) -> (u64, Option<u64>) {
        (self.taken.get(), self.size)
    }

    /// Where the next byte is, from the beginning of the unpacked input.
    #[inline]
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// What has been read and not consumed.
    #[inline]
    pub(super) fn ahead(&self) -> &[u8] {
        self.buf.get(self.start..self.end).unwrap_or(&[])
    }

    /// The next `len` bytes, or as many of them as there are.
    #[inline]
    pub(super) fn front(&self, len: usize) -> &[u8] {
        let end = self.end.min(self.start.saturating_add(len));
        self.buf.get(self.start..end).unwrap_or(&[])
    }

    /// Whether the next `need` bytes are there. When they are not, the first answer is [`Fill::Wait`]; only when asked again
    /// the source reads, so that whoever asks can first do what must not wait.
    #[inline]
    pub(super) fn fill(&mut self, need: usize) -> io::Result<Fill> {
        if self.end - self.start >= need {
            return Ok(Fill::There);
        }
        self.fill_slowly(need)
    }

    #[cold]
    fn fill_slowly(&mut self, need: usize) -> io::Result<Fill> {
        if self.ended {
            return Ok(Fill::End);
        }
        if !core::mem::replace(&mut self.announced, true) {
            return Ok(Fill::Wait);
        }
        self.read(need)?;
        if self.end - self.start >= need {
            self.announced = false;
            return Ok(Fill::There);
        }
        Ok(if self.ended { Fill::End } else { Fill::Wait })
    }

    /// Moves on by so many bytes, which are there.
    #[inline]
    pub(super) fn consume(&mut self, len: usize) {
        let len = len.min(self.end - self.start);
        self.start += len;
        self.offset += len as u64;
    }

    /// One read, into room for `need` bytes or a block.
    fn read(&mut self, need: usize) -> io::Result<()> {
        if self.start > 0 {
            self.buf.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        // What one long record needed is given back.
        let room = need.max(BLOCK);
        if room > self.buf.len() || (self.end <= BLOCK && room < self.buf.len()) {
            self.buf.resize(room, 0);
            self.buf.shrink_to(room);
        }
        let Some(free) = self.buf.get_mut(self.end..) else {
            return Ok(());
        };
        loop {
            match self.input.read(free) {
                Ok(n) => {
                    self.end += n;
                    self.ended = n == 0;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl core::fmt::Debug for Source {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Source")
            .field("offset", &self.offset)
            .field("packing", &self.packing)
            .finish_non_exhaustive()
    }
}
