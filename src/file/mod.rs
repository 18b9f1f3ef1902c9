//! Capture files, in and out: pcap and pcapng, plain or packed with gzip or zstd, as a stream.
//!
//! [`Reader`] gives one [`Item`] after the other. It holds one block of the file at a time and hands out packets as slices of
//! it, so its memory does not grow with the file; and it says [`Item::Wait`] before it reads more, which may take as long as
//! whoever writes the other end of a pipe likes. [`Writer`] writes what Wireshark opens, decrypts and shows.

mod error;
mod pcap;
mod pcapng;
mod source;
mod write;

use core::ops::Range;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;

use crate::packet::{Frame, LinkType, Time};

pub use error::{FileError, Possible, Problem};
use pcap::Pcap;
use pcapng::Pcapng;
pub use source::Packing;
use source::Source;
pub use write::{WriteError, WriteOptions, Writer};

/// The most bytes a captured packet has: what tcpdump and Wireshark keep at most. More is a sign of damage.
pub const MAX_PACKET: u32 = 256 << 10;

/// Reads a capture file.
#[derive(Debug)]
pub struct Reader {
    name: String,
    source: Source,
    format: Format,
    /// How many packets there have been.
    count: u64,
    /// How many bytes the last item takes: they are passed over when the next is asked for.
    taken: usize,
    /// What is to be said after the packet that could still be read.
    deferred: Option<At>,

    interfaces: Vec<Interface>,
}

#[derive(Debug)]
enum Format {
    Unknown,
    Pcap(Pcap),
    Pcapng(Box<Pcapng>),
    Ended,
}

/// What a file says of an interface it was caught on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name; empty if the file does not say.
    pub name: String,
    /// What a frame from it begins with.
    pub link: LinkType,
}

/// A packet names an interface that has been described, or it is an error; so this is never seen.
static NOWHERE: Interface = Interface {
    name: String::new(),
    link: LinkType::RAW,
};

/// What comes next in a file.
#[derive(Debug)]
pub enum Item<'a> {
    /// A packet.
    Packet(Packet<'a>),
    /// A line of a key log, for [`crate::session::Session::keylog_line`].
    Secret(&'a str),
    /// What somebody wrote about the whole section or about an interface.
    Comments(Comments<'a>),
    /// More must be read, and that may take long: a good moment to show what there is.
    Wait,
}

/// A packet, and what the file says about it.
#[derive(Debug)]
pub struct Packet<'a> {
    /// The packet.
    pub frame: Frame<'a>,
    /// What it was caught on.
    pub interface: &'a Interface,
    /// What somebody wrote about it.
    pub comments: Comments<'a>,
}

impl Reader {
    /// Opens a file; `-` is standard input.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let name = match path.to_str() {
            Some("-") => "standard input".to_owned(),
            _ => path.to_string_lossy().into_owned(),
        };
        match Source::open(path) {
            Ok(source) => Ok(Self::begin(name, source)),
            Err(error) => Err(opening(name, error)),
        }
    }

    /// Reads from anything that is not a file of its own.
    ///
    /// # Errors
    /// When its first bytes cannot be read.
    pub fn new(name: &str, input: impl Read + 'static) -> Result<Self, FileError> {
        match Source::new(input, None) {
            Ok(source) => Ok(Self::begin(name.to_owned(), source)),
            Err(error) => Err(opening(name.to_owned(), error)),
        }
    }

    fn begin(name: String, source: Source) -> Self {
        Self {
            name,
            source,
            format: Format::Unknown,
            count: 0,
            taken: 0,
            deferred: None,
            interfaces: Vec::new(),
        }
    }

    /// The names that the file gives to addresses, as far as they have come.
    #[must_use]
    pub fn names(&self) -> &[(IpAddr, Box<str>)] {
        match &self.format {
            Format::Pcapng(file) => file.names(),
            _ => &[],
        }
    }

    /// How many packets got lost while the capture was made, as far as the file says so.
    #[must_use]
    pub fn lost(&self) -> u64 {
        match &self.format {
            Format::Pcapng(file) => file.lost(),
            _ => 0,
        }
    }

    /// How much of the file has been read, in bytes, and how much there is, if that is known.
    #[must_use]
    pub fn progress(&self) -> (u64, Option<u64>) {
        self.source.progress()
    }

    /// What comes next; `None` at the end.
    ///
    /// # Errors
    /// When the file is damaged here, or no capture file. Nothing comes after an error.
    #[inline]
    #[allow(
        clippy::should_implement_trait,
        reason = "what it lends is valid until the next call, which no iterator can say"
    )]
    pub fn next(&mut self) -> Result<Option<Item<'_>>, FileError> {
        self.source.consume(core::mem::take(&mut self.taken));
        let step = match self.step() {
            Ok(step) => step,
            Err(At {
                what,
                problem,
                offset,
            }) => {
                self.format = Format::Ended;
                return Err(FileError {
                    name: self.name.clone(),
                    offset: offset.unwrap_or(self.source.offset()),
                    what,
                    problem,
                    packing: self.source.packing(),
                });
            }
        };
        match step {
            Step::Packet {
                interface,
                time,
                data,
                wire_len,
                options,
                whole,
            } => {
                self.taken = whole;
                self.count += 1;
                let block = self.source.front(whole);
                let order = self.order();
                let interface = self.interfaces.get(interface).unwrap_or(&NOWHERE);
                Ok(Some(Item::Packet(Packet {
                    frame: Frame {
                        number: self.count,
                        time,
                        link: interface.link,
                        data: block.get(data).unwrap_or(&[]),
                        wire_len,
                    },
                    interface,
                    comments: Comments(Options::new(block.get(options).unwrap_or(&[]), order)),
                })))
            }
            Step::Secret { line, whole } => {
                self.taken = whole;
                let line = self.source.front(whole).get(line).unwrap_or(&[]);
                // What is not text is no line of a key log, and is refused as one.
                Ok(Some(Item::Secret(
                    core::str::from_utf8(line).unwrap_or("\u{fffd}"),
                )))
            }
            Step::Comments { options, whole } => {
                self.taken = whole;
                let block = self.source.front(whole);
                let options = Options::new(block.get(options).unwrap_or(&[]), self.order());
                Ok(Some(Item::Comments(Comments(options))))
            }
            Step::Wait => Ok(Some(Item::Wait)),
            Step::End => Ok(None),
        }
    }

    #[inline]
    fn step(&mut self) -> Result<Step, At> {
        if let Some(at) = self.deferred.take() {
            return Err(at);
        }
        match &mut self.format {
            Format::Pcap(file) => file.next(&mut self.source),
            Format::Pcapng(file) => {
                file.next(&mut self.source, &mut self.interfaces, &mut self.deferred)
            }
            Format::Unknown => self.recognise(),
            Format::Ended => Ok(Step::End),
        }
    }

    /// By its first bytes.
    #[cold]
    fn recognise(&mut self) -> Result<Step, At> {
        let what = "first bytes";
        match self.source.fill(4) {
            Ok(source::Fill::There) => {}
            Ok(source::Fill::Wait) => return Ok(Step::Wait),
            Ok(source::Fill::End) if self.source.ahead().is_empty() => {
                return Err(At::new(what, Problem::Empty));
            }
            Ok(source::Fill::End) => return Err(At::short(what, 4, &self.source)),
            Err(error) => return Err(At::new(what, Problem::Read(error))),
        }
        let mut first = [0; 4];
        first.copy_from_slice(self.source.front(4));
        if let Some(magic) = pcap::magic(first) {
            let Some(file) = Pcap::begin(&mut self.source, magic)? else {
                return Ok(Step::Wait);
            };
            self.interfaces.push(Interface {
                name: String::new(),
                link: file.link(),
            });
            self.format = Format::Pcap(file);
        } else if first == pcapng::MAGIC {
            self.format = Format::Pcapng(Box::default());
        } else {
            return Err(At::new(
                what,
                match foreign(first) {
                    Some(kind) => Problem::Foreign(kind),
                    None => Problem::Unknown(first),
                },
            ));
        }
        self.step()
    }

    fn order(&self) -> Order {
        match &self.format {
            Format::Pcapng(file) => file.order(),
            _ => Order::Little,
        }
    }
}

fn opening(name: String, error: std::io::Error) -> FileError {
    FileError {
        name,
        offset: 0,
        what: "",
        problem: Problem::Open(error),
        packing: None,
    }
}

/// Capture files of other kinds, by their first bytes.
fn foreign(first: [u8; 4]) -> Option<&'static str> {
    Some(match &first {
        [0xac, 0x01, 0x00, 0x1c] | [0x1c, 0x00, 0x01, 0xac] => "a capture of an IXIA tester (lcap)",
        [0xab, 0x01, 0x00, 0x1c] | [0x1c, 0x00, 0x01, 0xab] => "a capture of an IXIA tester (lcap)",
        [0x4d, 0x3c, 0x2b, 0xa1] | [0xa1, 0x2b, 0x3c, 0x4d] => "a capture of a Navtel tester",
        b"snoo" => "a Sun snoop capture",
        b"RTSS" => "a Microsoft Network Monitor 1 capture",
        b"GMBU" => "a Microsoft Network Monitor 2 capture",
        b"XCP\0" => "a NetXRay capture",
        b"TRSN" => "a Sniffer capture",
        b"\x7fver" => "an EtherPeek capture",
        [0x04, 0x22, 0x4d, 0x18] => "packed with lz4",
        [b'B', b'Z', b'h', b'1'..=b'9'] => "packed with bzip2",
        [0xfd, b'7', b'z', b'X'] => "packed with xz",
        [b'P', b'K', 3, 4] => "a zip archive",
        _ => return None,
    })
}

/// What is written about something: the comments among the options of a block (pcapng, section 3.5).
#[derive(Debug, Clone)]
pub struct Comments<'a>(Options<'a>);

impl<'a> Iterator for Comments<'a> {
    type Item = &'a [u8];

    /// The next one, meant to be UTF-8.
    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        for (code, value) in self.0.by_ref() {
            if code == 1 {
                return Some(value);
            }
        }
        None
    }
}

/// The options of a pcapng block: code, length, value, padding to four bytes, up to an end or the end of the block.
#[derive(Debug, Clone)]
pub(super) struct Options<'a> {
    left: &'a [u8],
    order: Order,
    broken: bool,
}

impl<'a> Options<'a> {
    #[inline]
    fn new(bytes: &'a [u8], order: Order) -> Self {
        Self {
            left: bytes,
            order,
            broken: false,
        }
    }

    /// Whether one of them reaches beyond the block.
    fn are_broken(mut self) -> bool {
        while self.next().is_some() {}
        self.broken
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        if self.left.is_empty() {
            return None;
        }
        let left = core::mem::take(&mut self.left);
        let (code, len) = (
            self.order.u16(left, 0),
            usize::from(self.order.u16(left, 2)),
        );
        if code == 0 && left.len() >= 4 {
            return None;
        }
        let Some(value) = left.get(4..4 + len) else {
            self.broken = true;
            return None;
        };
        self.left = left.get(4 + len.next_multiple_of(4)..).unwrap_or(&[]);
        Some((code, value))
    }
}

/// What a format finds next, as places in the bytes ahead.
#[derive(Debug)]
enum Step {
    Packet {
        interface: usize,
        time: Time,
        data: Range<usize>,
        wire_len: u32,
        options: Range<usize>,
        whole: usize,
    },
    Secret {
        line: Range<usize>,
        whole: usize,
    },
    Comments {
        options: Range<usize>,
        whole: usize,
    },
    Wait,
    End,
}

/// What is wrong, in what, and where it begins, if not where the source stands.
#[derive(Debug)]
struct At {
    what: &'static str,
    problem: Problem,
    offset: Option<u64>,
}

impl At {
    fn new(what: &'static str, problem: Problem) -> Self {
        Self {
            what,
            problem,
            offset: None,
        }
    }

    /// There are not as many bytes as needed.
    fn short(what: &'static str, need: usize, source: &Source) -> Self {
        let (need, have) = (need as u64, source.ahead().len() as u64);
        Self::new(what, Problem::Short { need, have })
    }
}

/// In which order the bytes of a number stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

impl Order {
    /// The number at `at`; bytes that are not there count as 0.
    #[inline]
    fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let number = bytes
            .get(at..at + 2)
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(0, u16::from_le_bytes);
        match self {
            Self::Little => number,
            Self::Big => number.swap_bytes(),
        }
    }

    /// The same for four bytes.
    #[inline]
    fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let number = bytes
            .get(at..at + 4)
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(0, u32::from_le_bytes);
        match self {
            Self::Little => number,
            Self::Big => number.swap_bytes(),
        }
    }

    /// The same for eight.
    #[inline]
    fn u64(self, bytes: &[u8], at: usize) -> u64 {
        let number = bytes
            .get(at..at + 8)
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(0, u64::from_le_bytes);
        match self {
            Self::Little => number,
            Self::Big => number.swap_bytes(),
        }
    }
}

/// Raw IP has had other numbers on some systems; files carry them still.
fn plain_link(link: u16) -> LinkType {
    match link {
        12 | 14 => LinkType::RAW,
        link => LinkType(link),
    }
}
