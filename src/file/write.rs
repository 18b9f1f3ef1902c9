//! Writing capture files: pcapng with comments and secrets, or a pcap where the name asks for one.

use core::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

use super::error::reason;
use crate::packet::{Frame, LinkType};

/// So much is written at once.
const BLOCK: usize = 128 << 10;

/// The longest comment and the longest secret's line, in bytes: far more than one has, and less than an option can hold.
const MAX_COMMENT: usize = 16 << 10;

/// What a file shall be like.
#[derive(Debug, Clone, Copy, Default)]
pub struct WriteOptions {
    /// TLS secrets are to be put into it: nobody else may then read it.
    pub with_secrets: bool,
    /// A file that exists is to be replaced.
    pub force: bool,
}

/// Writes a capture file.
///
/// ```
/// use layerwise::file::{Item, Reader, Writer};
/// use layerwise::packet::{Frame, LinkType, Time};
///
/// let data = [0x45; 20];
/// let frame = Frame { number: 1, time: Time(1_500_000_000), link: LinkType::RAW, data: &data, wire_len: 20 };
/// let mut file = Vec::new();
/// let mut writer = Writer::new("example", Box::new(&mut file))?;
/// let wire = writer.interface("wire", LinkType::RAW)?;
/// writer.packet(wire, &frame, [b"an example".as_slice()])?;
/// writer.flush()?;
/// drop(writer);
///
/// let mut reader = Reader::new("example", std::io::Cursor::new(file))?;
/// let packet = loop {
///     match reader.next()? {
///         Some(Item::Packet(packet)) => break packet,
///         Some(_) => {}
///         None => panic!("there is one"),
///     }
/// };
/// assert_eq!((packet.frame.data, packet.frame.time), (&data[..], frame.time));
/// assert_eq!(packet.comments.collect::<Vec<_>>(), [b"an example"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Writer<'w> {
    name: String,
    to: BufWriter<Box<dyn Write + Send + 'w>>,
    classic: Option<Classic>,
    interfaces: Vec<(String, LinkType)>,
    with_secrets: bool,
    /// What a block takes beside a packet's bytes.
    options: Vec<u8>,
    count: u64,
}

/// A pcap file: its header can be written when the link type is known, and then holds for all.
#[derive(Debug, Clone, Copy)]
enum Classic {
    Empty,
    Of(LinkType),
}

/// Why a capture file cannot be written, or not any further.
#[derive(Debug)]
pub enum WriteError {
    /// It exists, and was not to be replaced.
    Exists(String),
    /// It cannot be made.
    Open(String, io::Error),
    /// It would go to a terminal.
    Terminal,
    /// A pcap cannot hold this; pcapng can.
    Classic(String, &'static str),
    /// It cannot be written.
    Write(String, io::Error),
}

impl WriteError {
    /// Whether nobody reads what is written any more.
    #[must_use]
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Write(_, error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Whether another command line would mend it.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::Write(..))
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists(name) => write!(
                f,
                "-w: {name} exists already: choose another name, or --force to replace it"
            ),
            Self::Open(name, error) => write!(f, "-w: cannot make {name}: {}", reason(error)),
            Self::Terminal => write!(
                f,
                "-w -: a capture file is not for a terminal: give it to a file or a program, as in layerwise demo -w - | tshark -r -"
            ),
            Self::Classic(name, what) => write!(
                f,
                "-w: {name}: a pcap file cannot hold {what}: name it .pcapng"
            ),
            Self::Write(name, error) => write!(f, "-w: cannot write {name}: {}", reason(error)),
        }
    }
}

impl std::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Open(_, error) | Self::Write(_, error) => Some(error),
            _ => None,
        }
    }
}

impl Writer<'static> {
    /// Makes a file; `-` is standard output. One named `.pcap` becomes a pcap with nanoseconds, any other a pcapng.
    ///
    /// # Errors
    /// When it exists and is not to be replaced, or cannot be made. Nothing has then been changed.
    pub fn create(path: &Path, options: WriteOptions) -> Result<Self, WriteError> {
        if path == Path::new("-") {
            let stdout = io::stdout();
            if stdout.is_terminal() {
                return Err(WriteError::Terminal);
            }
            let mut writer = Self::begin("standard output".to_owned(), Box::new(stdout), None);
            writer.with_secrets = options.with_secrets;
            writer.section()?;
            return Ok(writer);
        }
        let name = path.to_string_lossy().into_owned();
        let classic = path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("pcap"));
        if classic && options.with_secrets {
            return Err(WriteError::Classic(name, "secrets"));
        }
        let file = match make(path, options) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(WriteError::Exists(name));
            }
            Err(error) => return Err(WriteError::Open(name, error)),
        };
        let classic = classic.then_some(Classic::Empty);
        let mut writer = Self::begin(name, Box::new(file), classic);
        writer.with_secrets = options.with_secrets;
        if classic.is_none() {
            writer.section()?;
        }
        Ok(writer)
    }
}

/// Makes the file, new, with the rights it needs from the first moment on.
fn make(path: &Path, options: WriteOptions) -> io::Result<File> {
    let mut how = OpenOptions::new();
    how.write(true).create_new(true);
    match fs::symlink_metadata(path) {
        // What stands there goes, its rights and links with it; whoever reads it still has it.
        Ok(about) if options.force && (about.is_file() || about.is_symlink()) => {
            fs::remove_file(path)?;
        }
        // A device or a pipe is written to as it is.
        Ok(about) if !about.is_file() && !about.is_symlink() && !about.is_dir() => {
            how.create_new(false);
        }
        _ => {}
    }
    #[cfg(unix)]
    if options.with_secrets {
        std::os::unix::fs::OpenOptionsExt::mode(&mut how, 0o600);
    }
    how.open(path)
}

impl<'w> Writer<'w> {
    /// Writes a pcapng to anything.
    ///
    /// # Errors
    /// Those of writing.
    pub fn new(name: &str, to: Box<dyn Write + Send + 'w>) -> Result<Self, WriteError> {
        let mut writer = Self::begin(name.to_owned(), to, None);
        writer.with_secrets = true;
        writer.section()?;
        Ok(writer)
    }

    fn begin(name: String, to: Box<dyn Write + Send + 'w>, classic: Option<Classic>) -> Self {
        Self {
            name,
            to: BufWriter::with_capacity(BLOCK, to),
            classic,
            interfaces: Vec::new(),
            with_secrets: false,
            options: Vec::new(),
            count: 0,
        }
    }

    /// The file, as it was named.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is a pcap, which holds no comments.
    #[must_use]
    pub fn is_classic(&self) -> bool {
        self.classic.is_some()
    }

    /// How many packets have been written.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Says on what packets are caught, and what they begin with. The number stands for it in [`Self::packet`].
    ///
    /// # Errors
    /// Those of writing; and when a pcap gets a second link type.
    pub fn interface(&mut self, name: &str, link: LinkType) -> Result<usize, WriteError> {
        let known = self
            .interfaces
            .iter()
            .position(|(known, of)| known == name && *of == link);
        if let Some(known) = known {
            return Ok(known);
        }
        match self.classic {
            Some(Classic::Of(first)) if first != link => {
                return Err(WriteError::Classic(self.name.clone(), "two kinds of links"));
            }
            Some(Classic::Of(_)) => {}
            Some(Classic::Empty) => {
                self.classic = Some(Classic::Of(link));
                self.put(&[
                    &0xa1b2_3c4d_u32.to_le_bytes(),
                    &2_u16.to_le_bytes(),
                    &4_u16.to_le_bytes(),
                    &[0; 8],
                    &super::MAX_PACKET.to_le_bytes(),
                    &u32::from(link.0).to_le_bytes(),
                ])?;
            }
            None => {
                self.options.clear();
                if !name.is_empty() {
                    self.option(2, name.as_bytes());
                }
                self.option(9, &[9]);
                self.option(0, &[]);
                let link = link.0.to_le_bytes();
                let fixed = [link[0], link[1], 0, 0];
                self.block(1, &[&fixed, &super::MAX_PACKET.to_le_bytes()])?;
            }
        }
        self.interfaces.push((name.to_owned(), link));
        Ok(self.interfaces.len() - 1)
    }

    /// A line of a key log. It must come before the packet with the ServerHello, or Wireshark does not decrypt. Nothing is
    /// written where no secrets are wanted.
    ///
    /// # Errors
    /// Those of writing.
    pub fn secret(&mut self, line: &str) -> Result<(), WriteError> {
        if !self.with_secrets || self.classic.is_some() {
            return Ok(());
        }
        let line = line.trim_end();
        let len = line.len() + 1;
        self.options.clear();
        self.block(
            10,
            &[
                &0x544c_534b_u32.to_le_bytes(),
                &(len as u32).to_le_bytes(),
                line.as_bytes(),
                b"\n",
                padding(len),
            ],
        )
    }

    /// A packet that was caught on `interface`, with what is to be said about it, in UTF-8.
    ///
    /// # Errors
    /// Those of writing.
    pub fn packet<'c>(
        &mut self,
        interface: usize,
        frame: &Frame<'_>,
        comments: impl IntoIterator<Item = &'c [u8]>,
    ) -> Result<(), WriteError> {
        let (time, len) = (frame.time.0, frame.data.len());
        self.count += 1;
        if self.classic.is_some() {
            return self.put(&[
                &((time / 1_000_000_000) as u32).to_le_bytes(),
                &((time % 1_000_000_000) as u32).to_le_bytes(),
                &(len as u32).to_le_bytes(),
                &frame.wire_len.to_le_bytes(),
                frame.data,
            ]);
        }
        self.options.clear();
        for comment in comments {
            self.option(1, clipped(comment));
        }
        if !self.options.is_empty() {
            self.option(0, &[]);
        }
        self.block(
            6,
            &[
                &(interface as u32).to_le_bytes(),
                &((time >> 32) as u32).to_le_bytes(),
                &(time as u32).to_le_bytes(),
                &(len as u32).to_le_bytes(),
                &frame.wire_len.to_le_bytes(),
                frame.data,
                padding(len),
            ],
        )
    }

    /// Hands on everything that has been written so far.
    ///
    /// # Errors
    /// Those of writing.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        self.to
            .flush()
            .map_err(|error| WriteError::Write(self.name.clone(), error))
    }

    /// The header of the section: what wrote it, and where.
    fn section(&mut self) -> Result<(), WriteError> {
        self.options.clear();
        self.option(2, std::env::consts::ARCH.as_bytes());
        self.option(3, system().as_bytes());
        self.option(
            4,
            concat!("layerwise ", env!("CARGO_PKG_VERSION")).as_bytes(),
        );
        self.option(0, &[]);
        self.block(
            0x0a0d_0d0a,
            &[
                &0x1a2b_3c4d_u32.to_le_bytes(),
                &1_u16.to_le_bytes(),
                &0_u16.to_le_bytes(),
                &u64::MAX.to_le_bytes(),
            ],
        )
    }

    fn option(&mut self, code: u16, value: &[u8]) {
        self.options.extend_from_slice(&code.to_le_bytes());
        self.options
            .extend_from_slice(&(value.len() as u16).to_le_bytes());
        self.options.extend_from_slice(value);
        self.options.extend_from_slice(padding(value.len()));
    }

    /// A block of these parts and the options that have been collected.
    fn block(&mut self, kind: u32, parts: &[&[u8]]) -> Result<(), WriteError> {
        let body: usize = parts.iter().map(|part| part.len()).sum();
        let len = ((12 + body + self.options.len()) as u32).to_le_bytes();
        let options = core::mem::take(&mut self.options);
        let result = self
            .put(&[&kind.to_le_bytes(), &len])
            .and_then(|()| self.put(parts))
            .and_then(|()| self.put(&[&options, &len]));
        self.options = options;
        result
    }

    fn put(&mut self, parts: &[&[u8]]) -> Result<(), WriteError> {
        for part in parts {
            self.to
                .write_all(part)
                .map_err(|error| WriteError::Write(self.name.clone(), error))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("name", &self.name)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

/// Zeros up to the next multiple of four.
fn padding(len: usize) -> &'static [u8] {
    match len % 4 {
        1 => &[0; 3],
        2 => &[0; 2],
        3 => &[0; 1],
        _ => &[],
    }
}

/// As much of a comment as is kept, whole characters.
fn clipped(comment: &[u8]) -> &[u8] {
    let mut end = comment.len().min(MAX_COMMENT);
    while end < comment.len() && comment.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
        end -= 1;
    }
    comment.get(..end).unwrap_or(comment)
}

/// The operating system, with its release where it tells.
fn system() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let name = match std::env::consts::OS {
        "linux" => "Linux",
        other => other,
    };
    format!("{name} {}", release.trim()).trim_end().to_owned()
}
