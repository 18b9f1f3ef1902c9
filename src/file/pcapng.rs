//! pcapng (draft-ietf-opsawg-pcapng): blocks, each with its type and its length, which stands again at its end.
//!
//! ```text
//! block      type 4 · length 4 · body · length 4
//! section    byte order 4 · version 4 · section length 8 · options          begins a section: interfaces are counted anew
//! interface  link type 2 · reserved 2 · snap length 4 · options
//! packet     interface 4 · time 8 · captured 4 · on the wire 4 · bytes · options
//! simple     on the wire 4 · bytes
//! old packet interface 2 · drops 2 · time 8 · captured 4 · on the wire 4 · bytes · options
//! secrets    kind 4 · length 4 · bytes · options
//! ```

use core::ops::Range;
use std::net::IpAddr;

use super::error::{Possible, Problem};
use super::source::{Fill, Source};
use super::{At, Interface, MAX_PACKET, Options, Order, Step, plain_link};
use crate::packet::Time;

/// The first bytes of a file, and of each section: the same in both byte orders.
pub(super) const MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// The type and length before a block's body.
const HEAD: usize = 8;
/// Of a block whose body is looked into; others are passed over, however long they are.
const MAX_BLOCK: u32 = 4 << 20;
/// The longest line of a key log that is looked for in a secrets block.
const MAX_LINE: usize = 4096;
/// The most interfaces of a section, and the longest name of one that is kept.
const MAX_INTERFACES: usize = 1 << 16;
const MAX_NAME: usize = 64;
/// The most names of addresses that are kept, of all sections together.
const MAX_NAMES: usize = 1 << 14;

/// The types of blocks that are looked into.
mod kind {
    pub(super) const SECTION: u32 = 0x0a0d_0d0a;
    pub(super) const INTERFACE: u32 = 1;
    pub(super) const OLD_PACKET: u32 = 2;
    pub(super) const SIMPLE_PACKET: u32 = 3;
    pub(super) const NAMES: u32 = 4;
    pub(super) const STATISTICS: u32 = 5;
    pub(super) const PACKET: u32 = 6;
    pub(super) const SECRETS: u32 = 10;
}

/// The kind of secrets that is a TLS key log.
const TLS_KEY_LOG: u32 = 0x544c_534b;

/// Reads blocks.
#[derive(Debug)]
pub(super) struct Pcapng {
    order: Order,
    clocks: Vec<Clock>,
    inside: Inside,
    last: Time,
    names: Vec<(IpAddr, Box<str>)>,
    /// What the statistics of each section's interfaces last said is lost; those of earlier sections, summed up.
    drops: Vec<(u32, u64)>,
    lost_before: u64,
}

/// Where it stands: between blocks, or in one that is taken piece by piece.
#[derive(Debug, Clone, Copy)]
enum Inside {
    Nothing,
    /// The lines of a key log; `left` bytes of it, and behind them `rest` bytes of the block up to its second length.
    Secrets {
        left: u64,
        rest: u64,
        block: Block,
    },
    /// `left` bytes that nobody wants, then the second length.
    Rest {
        left: u64,
        block: Block,
    },
}

/// A block that is taken piece by piece.
#[derive(Debug, Clone, Copy)]
struct Block {
    what: &'static str,
    /// Where it begins, and how long it is.
    offset: u64,
    len: u32,
}

impl Block {
    /// The file ends in it.
    fn short(self, source: &Source) -> At {
        let have = source.offset() + source.ahead().len() as u64 - self.offset;
        let need = self.len.into();
        self.at(Problem::Short { need, have })
    }

    fn at(self, problem: Problem) -> At {
        At {
            offset: Some(self.offset),
            ..At::new(self.what, problem)
        }
    }
}

/// How an interface counts time, and how much of a packet it keeps.
#[derive(Debug, Clone, Copy)]
struct Clock {
    unit: Unit,
    /// In seconds.
    offset: i64,
    snap_len: u32,
}

/// What one tick is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// So many nanoseconds.
    Nanoseconds(u64),
    /// A nanosecond is so many ticks.
    PerNanosecond(u64),
    /// 2 to the minus so many seconds.
    Binary(u8),
}

impl Default for Pcapng {
    fn default() -> Self {
        Self {
            order: Order::Little,
            clocks: Vec::new(),
            inside: Inside::Nothing,
            last: Time(0),
            names: Vec::new(),
            drops: Vec::new(),
            lost_before: 0,
        }
    }
}

impl Pcapng {
    pub(super) fn order(&self) -> Order {
        self.order
    }

    pub(super) fn names(&self) -> &[(IpAddr, Box<str>)] {
        &self.names
    }

    pub(super) fn lost(&self) -> u64 {
        let of_section = self.drops.iter().map(|(_, lost)| *lost);
        of_section.fold(self.lost_before, u64::saturating_add)
    }

    /// The next packet, secret or comment; other blocks are taken up or passed over on the way.
    #[inline]
    pub(super) fn next(
        &mut self,
        source: &mut Source,
        interfaces: &mut Vec<Interface>,
        deferred: &mut Option<At>,
    ) -> Result<Step, At> {
        loop {
            if !matches!(self.inside, Inside::Nothing) {
                match self.go_on(source)? {
                    Some(step) => return Ok(step),
                    None => continue,
                }
            }
            let what = "block header";
            // The shortest block is its header and its second length; a section's byte order must be known for its length.
            match fill(source, what, HEAD + 4)? {
                Fill::There => {}
                Fill::Wait => return Ok(Step::Wait),
                Fill::End if source.ahead().is_empty() => return Ok(Step::End),
                Fill::End => return Err(At::short(what, HEAD + 4, source)),
            }
            let head = source.front(HEAD + 4);
            let mut of = self.order.u32(head, 0);
            if head.starts_with(&MAGIC) {
                of = kind::SECTION;
                self.order = match head.get(HEAD..) {
                    Some([0x4d, 0x3c, 0x2b, 0x1a]) => Order::Little,
                    Some([0x1a, 0x2b, 0x3c, 0x4d]) => Order::Big,
                    found => {
                        let mut mark = [0; 4];
                        mark.copy_from_slice(found.filter(|f| f.len() == 4).unwrap_or(&[0; 4]));
                        return Err(At::new("section header block", Problem::Mark(mark)));
                    }
                };
            }
            let len = self.order.u32(head, 4);
            let (what, body) = about(of);
            let least = HEAD as u32 + body + 4;
            if len < least || !len.is_multiple_of(4) {
                let (found, possible) = (len.into(), Possible::AtLeast(least.into()));
                return Err(At::new(what, Problem::Length { found, possible }));
            }
            match of {
                kind::SECRETS => {
                    let begin = HEAD + 8;
                    match fill(source, what, begin)? {
                        Fill::There => {}
                        Fill::Wait => return Ok(Step::Wait),
                        Fill::End => return Err(At::short(what, len as usize, source)),
                    }
                    self.secrets(source, what, len)?;
                }
                _ if of > kind::PACKET && of != kind::SECTION || of == 0 => {
                    self.pass_over(source, what, len);
                }
                kind::NAMES if len > MAX_BLOCK => self.pass_over(source, what, len),
                _ if len > MAX_BLOCK => {
                    let (found, possible) = (len.into(), Possible::AtMost(MAX_BLOCK.into()));
                    return Err(At::new(what, Problem::Length { found, possible }));
                }
                _ => {
                    let whole = len as usize;
                    match fill(source, what, whole)? {
                        Fill::There => {}
                        Fill::Wait => return Ok(Step::Wait),
                        Fill::End => return Err(At::short(what, whole, source)),
                    }
                    self.check_end(what, source.front(whole), len)?;
                    let step = self.whole(of, what, source.front(whole), interfaces, deferred)?;
                    if let Some(at) = deferred {
                        at.offset = Some(source.offset());
                    }
                    if let Some(step) = step {
                        return Ok(step);
                    }
                    source.consume(whole);
                    if let Some(at) = deferred.take() {
                        return Err(at);
                    }
                }
            }
        }
    }

    /// The length stands again at the end of a block.
    #[inline]
    fn check_end(&self, what: &'static str, block: &[u8], len: u32) -> Result<(), At> {
        let again = self.order.u32(block, block.len().saturating_sub(4));
        if again == len {
            return Ok(());
        }
        let (found, possible) = (again.into(), Possible::Again(len.into()));
        Err(At::new(what, Problem::Length { found, possible }))
    }

    fn pass_over(&mut self, source: &mut Source, what: &'static str, len: u32) {
        let offset = source.offset();
        let block = Block { what, offset, len };
        source.consume(HEAD);
        let left = u64::from(len) - HEAD as u64 - 4;
        self.inside = Inside::Rest { left, block };
    }

    /// The beginning of a secrets block.
    fn secrets(&mut self, source: &mut Source, what: &'static str, len: u32) -> Result<(), At> {
        let offset = source.offset();
        let block = Block { what, offset, len };
        let head = source.front(HEAD + 8);
        let (kind, bytes) = (self.order.u32(head, HEAD), self.order.u32(head, HEAD + 4));
        let room = len - HEAD as u32 - 8 - 4;
        if bytes > room {
            let (found, possible) = (bytes.into(), Possible::AtMost(room.into()));
            return Err(At::new(
                "secrets in a secrets block",
                Problem::Length { found, possible },
            ));
        }
        source.consume(HEAD + 8);
        self.inside = if kind == TLS_KEY_LOG {
            Inside::Secrets {
                left: bytes.into(),
                rest: u64::from(room - bytes),
                block,
            }
        } else {
            Inside::Rest {
                left: room.into(),
                block,
            }
        };
        Ok(())
    }

    /// Goes on in a block that is taken piece by piece.
    fn go_on(&mut self, source: &mut Source) -> Result<Option<Step>, At> {
        match self.inside {
            Inside::Nothing => Ok(None),
            Inside::Secrets {
                left: 0,
                rest,
                block,
            } => {
                self.inside = Inside::Rest { left: rest, block };
                Ok(None)
            }
            Inside::Secrets { left, rest, block } => {
                let most = usize::try_from(left).unwrap_or(MAX_LINE).min(MAX_LINE);
                let ahead = source.front(most);
                let end = memchr::memchr(b'\n', ahead);
                let whole = match end {
                    Some(end) => end + 1,
                    None if ahead.len() as u64 == left => ahead.len(),
                    None if ahead.len() == MAX_LINE => {
                        let found = MAX_LINE as u64 + 1;
                        let possible = Possible::AtMost(MAX_LINE as u64);
                        let what = "line in a secrets block";
                        return Err(At::new(what, Problem::Length { found, possible }));
                    }
                    None => {
                        let more = ahead.len() + 1;
                        return match fill(source, block.what, more)? {
                            Fill::There => Ok(None),
                            Fill::Wait => Ok(Some(Step::Wait)),
                            Fill::End => Err(block.short(source)),
                        };
                    }
                };
                self.inside = Inside::Secrets {
                    left: left - whole as u64,
                    rest,
                    block,
                };
                let line = 0..end.unwrap_or(whole);
                Ok(Some(Step::Secret { line, whole }))
            }
            Inside::Rest { left, block } => {
                let here = usize::try_from(left).unwrap_or(usize::MAX);
                let here = here.min(source.ahead().len());
                source.consume(here);
                let left = left - here as u64;
                self.inside = Inside::Rest { left, block };
                let need = if left == 0 { 4 } else { 1 };
                match fill(source, block.what, need)? {
                    Fill::There if left == 0 => {
                        self.check_end(block.what, source.front(4), block.len)
                            .map_err(|at| block.at(at.problem))?;
                        source.consume(4);
                        self.inside = Inside::Nothing;
                        Ok(None)
                    }
                    Fill::There => Ok(None),
                    Fill::Wait => Ok(Some(Step::Wait)),
                    Fill::End => Err(block.short(source)),
                }
            }
        }
    }

    /// A block that is there as a whole. `None`: it was taken up, and there is nothing to hand out.
    #[inline]
    fn whole(
        &mut self,
        of: u32,
        what: &'static str,
        block: &[u8],
        interfaces: &mut Vec<Interface>,
        deferred: &mut Option<At>,
    ) -> Result<Option<Step>, At> {
        let (order, whole) = (self.order, block.len());
        let u32 = |at| order.u32(block, at);
        let options_from = |at: usize| at.min(whole - 4)..whole - 4;
        match of {
            kind::PACKET | kind::OLD_PACKET => {
                let interface = match of {
                    kind::PACKET => u32(8) as usize,
                    _ => order.u16(block, 8).into(),
                };
                let (captured, wire) = (u32(20), u32(24));
                let room = (whole - HEAD - 20 - 4) as u32;
                let most = MAX_PACKET.min(room);
                if captured > most {
                    let (found, possible) = (captured.into(), Possible::AtMost(most.into()));
                    let what = "captured length in a packet block";
                    return Err(At::new(what, Problem::Length { found, possible }));
                }
                let clock = self.clock(what, interface)?;
                let time = clock.time(u64::from(u32(12)) << 32 | u64::from(u32(16)));
                self.last = time;
                let end = 28 + captured as usize;
                let options = options_from(end.next_multiple_of(4));
                check_options(
                    "options of a packet block",
                    order,
                    block,
                    &options,
                    deferred,
                );
                Ok(Some(Step::Packet {
                    interface,
                    time,
                    data: 28..end,
                    wire_len: wire.max(captured),
                    options,
                    whole,
                }))
            }
            kind::SIMPLE_PACKET => {
                let wire = u32(8);
                let clock = self.clock(what, 0)?;
                let snap = match clock.snap_len {
                    0 => u32::MAX,
                    snap => snap,
                };
                let room = (whole - HEAD - 4 - 4) as u32;
                let captured = wire.min(snap);
                let most = MAX_PACKET.min(room);
                if captured > most {
                    let (found, possible) = (captured.into(), Possible::AtMost(most.into()));
                    let what = "length in a simple packet block";
                    return Err(At::new(what, Problem::Length { found, possible }));
                }
                Ok(Some(Step::Packet {
                    interface: 0,
                    // It has no time of its own: it came after the one before it.
                    time: self.last,
                    data: 12..12 + captured as usize,
                    wire_len: wire.max(captured),
                    options: whole..whole,
                    whole,
                }))
            }
            kind::SECTION => {
                let (major, minor) = (order.u16(block, 12), order.u16(block, 14));
                if major != 1 {
                    return Err(At::new(what, Problem::Version(major, minor)));
                }
                self.lost_before = self.lost();
                self.drops.clear();
                self.clocks.clear();
                interfaces.clear();
                let options = options_from(24);
                check_options(
                    "options of a section header",
                    order,
                    block,
                    &options,
                    deferred,
                );
                Ok(comments(order, block, options, whole))
            }
            kind::INTERFACE => {
                let options = options_from(16);
                check_options("options of an interface", order, block, &options, deferred);
                self.interface(block, options.clone(), interfaces)?;
                Ok(comments(order, block, options, whole))
            }
            kind::NAMES => {
                self.name_records(block.get(HEAD..whole - 4).unwrap_or(&[]));
                Ok(None)
            }
            kind::STATISTICS => {
                let interface = u32(8);
                let list = Options::new(block.get(options_from(20)).unwrap_or(&[]), order);
                // isb_ifdrop and isb_osdrop: what the interface and the system could not keep.
                let lost = list
                    .filter(|(code, value)| matches!(code, 5 | 7) && value.len() == 8)
                    .fold(0, |sum: u64, (_, value)| {
                        sum.saturating_add(order.u64(value, 0))
                    });
                // Each says what there has been so far; the last one counts.
                self.drops.retain(|(known, _)| *known != interface);
                if self.drops.len() < 64 {
                    self.drops.push((interface, lost));
                }
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    #[inline]
    fn clock(&self, what: &'static str, interface: usize) -> Result<Clock, At> {
        let (found, have) = (interface as u64, self.clocks.len() as u64);
        self.clocks
            .get(interface)
            .copied()
            .ok_or(At::new(what, Problem::Missing { found, have }))
    }

    fn interface(
        &mut self,
        block: &[u8],
        options: Range<usize>,
        interfaces: &mut Vec<Interface>,
    ) -> Result<(), At> {
        let order = self.order;
        if self.clocks.len() >= MAX_INTERFACES {
            let found = self.clocks.len() as u64 + 1;
            let possible = Possible::AtMost(MAX_INTERFACES as u64);
            let what = "list of interfaces";
            return Err(At::new(what, Problem::Length { found, possible }));
        }
        let mut clock = Clock {
            unit: Unit::Nanoseconds(1000),
            offset: 0,
            snap_len: order.u32(block, 12),
        };
        let mut name = String::new();
        for (code, value) in Options::new(block.get(options).unwrap_or(&[]), order) {
            match (code, value) {
                (2, value) => name = text(value, MAX_NAME),
                (9, [resolution, ..]) => clock.unit = Unit::new(*resolution),
                (14, value) if value.len() == 8 => clock.offset = order.u64(value, 0) as i64,
                _ => {}
            }
        }
        self.clocks.push(clock);
        interfaces.push(Interface {
            name,
            link: plain_link(order.u16(block, 8)),
        });
        Ok(())
    }

    /// The records of a name resolution block: type, length, address and names, padding.
    fn name_records(&mut self, mut left: &[u8]) {
        while let (of @ 1.., len) = (
            self.order.u16(left, 0),
            usize::from(self.order.u16(left, 2)),
        ) {
            let Some(record) = left.get(4..4 + len) else {
                return;
            };
            let address = match of {
                1 => record
                    .split_first_chunk()
                    .map(|(a, names)| (IpAddr::from(*a as [u8; 4]), names)),
                2 => record
                    .split_first_chunk()
                    .map(|(a, names)| (IpAddr::from(*a as [u8; 16]), names)),
                _ => None,
            };
            if let Some((address, names)) = address
                && let Some(name) = names.split(|b| *b == 0).next().filter(|n| !n.is_empty())
                && self.names.len() < MAX_NAMES
            {
                self.names.push((address, text(name, MAX_NAME).into()));
            }
            left = left.get(4 + len.next_multiple_of(4)..).unwrap_or(&[]);
        }
    }
}

impl Unit {
    /// if_tsresol: 10 or (with the highest bit) 2, to the minus so many.
    fn new(resolution: u8) -> Self {
        match resolution {
            0x80.. => Self::Binary(resolution & 0x7f),
            0..=9 => Self::Nanoseconds(10_u64.pow(9 - u32::from(resolution))),
            _ => {
                let digits = u32::from(resolution) - 9;
                Self::PerNanosecond(10_u64.checked_pow(digits).unwrap_or(u64::MAX))
            }
        }
    }
}

impl Clock {
    /// The time of so many ticks. What lies before 1970 or beyond 2554 is moved there.
    #[inline]
    fn time(self, ticks: u64) -> Time {
        let nanoseconds = match self.unit {
            Unit::Nanoseconds(n) => ticks.saturating_mul(n),
            Unit::PerNanosecond(n) => ticks / n,
            Unit::Binary(bits) => {
                let scaled = (u128::from(ticks) * 1_000_000_000).checked_shr(bits.into());
                u64::try_from(scaled.unwrap_or(0)).unwrap_or(u64::MAX)
            }
        };
        if self.offset == 0 {
            return Time(nanoseconds);
        }
        let offset = i128::from(self.offset) * 1_000_000_000;
        let sum = (i128::from(nanoseconds) + offset).clamp(0, u64::MAX.into());
        Time(sum as u64)
    }
}

/// A block's name, and how long its body is without options, at least.
#[inline]
fn about(of: u32) -> (&'static str, u32) {
    match of {
        kind::SECTION => ("section header block", 16),
        kind::INTERFACE => ("interface description block", 8),
        kind::OLD_PACKET => ("packet block (obsolete)", 20),
        kind::SIMPLE_PACKET => ("simple packet block", 4),
        kind::NAMES => ("name resolution block", 0),
        kind::STATISTICS => ("interface statistics block", 12),
        kind::PACKET => ("enhanced packet block", 20),
        kind::SECRETS => ("secrets block", 8),
        _ => ("block of an unknown kind", 0),
    }
}

#[inline]
fn fill(source: &mut Source, what: &'static str, need: usize) -> Result<Fill, At> {
    source
        .fill(need)
        .map_err(|error| At::new(what, Problem::Read(error)))
}

/// What stands in a block can be read even if its options cannot: that is said when it has been handed out.
#[inline]
fn check_options(
    what: &'static str,
    order: Order,
    block: &[u8],
    options: &Range<usize>,
    deferred: &mut Option<At>,
) {
    if options.is_empty() {
        return;
    }
    let bytes = block.get(options.clone()).unwrap_or(&[]);
    if Options::new(bytes, order).are_broken() {
        let (found, have) = (bytes.len() as u64 + 1, bytes.len() as u64);
        let possible = Possible::AtMost(have);
        *deferred = Some(At::new(what, Problem::Length { found, possible }));
    }
}

/// Hands out the comments of a block, if it has any.
fn comments(order: Order, block: &[u8], options: Range<usize>, whole: usize) -> Option<Step> {
    let mut list = Options::new(block.get(options.clone()).unwrap_or(&[]), order);
    list.any(|(code, _)| code == 1)
        .then_some(Step::Comments { options, whole })
}

/// A short text of a file, made harmless later where it is shown.
fn text(bytes: &[u8], most: usize) -> String {
    let bytes = bytes.get(..bytes.len().min(most)).unwrap_or(&[]);
    String::from_utf8_lossy(bytes)
        .trim_end_matches('\0')
        .to_owned()
}
