//! The vocabulary: what a frame is, what a field, a layer, a note and a stop are, and the event that holds them together.
//!
//! Nothing here decodes anything and nothing here imports anything. A [`Field`] is a label on bytes: it says which
//! buffer, which bits, and under which name; its value is read again from the bytes whenever somebody asks.

use core::ops::Range;
use std::net::IpAddr;

/// Nanoseconds since the Unix epoch (or since the start of the virtual clock, for a wire that has one).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub u64);

impl Time {
    /// The time `earlier` before this one, in nanoseconds; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// How a frame begins, by its LINKTYPE number (the registry of pcap and pcapng).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct LinkType(pub u16);

impl LinkType {
    /// The frame begins with an IPv4 or an IPv6 header.
    pub const RAW: Self = Self(101);
    /// The frame begins with an Ethernet header.
    pub const ETHERNET: Self = Self(1);
    /// The frame begins with an address family in the byte order of whoever captured it (BSD's loopback).
    pub const NULL: Self = Self(0);
    /// The same in network byte order (OpenBSD's loopback).
    pub const LOOP: Self = Self(108);
    /// The frame begins with Linux's "cooked" header in place of the link's own.
    pub const LINUX_SLL: Self = Self(113);
    /// The same, version 2.
    pub const LINUX_SLL2: Self = Self(276);
    /// The frame begins with an IPv4 header.
    pub const IPV4: Self = Self(228);
    /// The frame begins with an IPv6 header.
    pub const IPV6: Self = Self(229);

    /// Whether the frame begins with an IP header, by this number or another for the same thing.
    ///
    /// 12 and 14 are what DLT_RAW is on BSD and Linux and on OpenBSD; they stand in files although they should not.
    #[must_use]
    pub fn is_raw_ip(self) -> bool {
        matches!(self.0, 12 | 14 | 101 | 228 | 229)
    }
}

/// One captured frame: the bytes as they were on the wire, and where they come from.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Counted from 1 in the order of capture (`frame.number`).
    pub number: u64,
    /// When it was seen.
    pub time: Time,
    /// What its first byte is the beginning of.
    pub link: LinkType,
    /// The captured bytes; fewer than `wire_len` when the capture cut the frame off.
    pub data: &'a [u8],
    /// How long the frame was on the wire, in bytes.
    pub wire_len: u32,
}

/// A name in the vocabulary: the key is Wireshark's display-filter name wherever Wireshark has one.
///
/// All prose about it (name, meaning, named values, source) is in the glossary, under the same key.
#[derive(Debug, PartialEq, Eq)]
pub struct FieldDef {
    /// The dotted key, such as `ip.ttl`.
    pub key: &'static str,
    /// How the bits are to be read.
    pub kind: Kind,
}

/// How the bits under a [`Field`] are read, and how a number is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole protocol layer; has no value of its own.
    Layer,
    /// A heading over other fields; has no value of its own.
    Group,
    /// One or more bits, true when any is set.
    Bool,
    /// An unsigned number in network byte order, at most 64 bits, written in decimal.
    Uint,
    /// The same, written in hexadecimal with all its digits.
    Hex,
    /// A number written in digits of this base, at most 64 bits.
    Digits(u8),
    /// A small number of whole bytes (at most eight) in the byte order of whoever wrote it: read in the order in which it
    /// is smaller.
    Host,
    /// A number that counts units of so many bytes; its value is in bytes (`ip.hdr_len` counts four at a time).
    Units(u8),
    /// A number of nanoseconds; filters and scripts count it in seconds, as Wireshark does.
    Nanos,
    /// Bytes without further meaning.
    Bytes,
    /// Text, meant to be UTF-8; what is not is shown escaped.
    Text,
    /// A MAC address (EUI-48).
    Ether,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// A domain name in the form of DNS messages, whose end may be a pointer to an earlier place of its message.
    Name,
    /// An ASN.1 object identifier (the content bytes of its DER encoding).
    Oid,
    /// An ASN.1 `UTCTime` or `GeneralizedTime` (the content bytes).
    Time,
}

/// Which buffer of an [`Event`] a field labels. 0 is always the frame itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BufId(pub u16);

impl BufId {
    /// The frame's own bytes.
    pub const FRAME: Self = Self(0);
}

/// What a buffer's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BufKind {
    /// The captured frame.
    Frame,
    /// An IP packet put together from its fragments: what stood behind their headers.
    Packet,
    /// Bytes of one direction of a TCP connection, put together from several segments.
    Stream,
    /// A TLS record after decryption: content, content type, padding.
    Plain,
    /// A message put together from several TLS records.
    Message,
}

/// One buffer of an event: its kind, and where its bytes came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buffer {
    /// What the bytes are.
    pub kind: BufKind,
    /// Where the bytes are in the event's arena (meaningless for [`BufKind::Frame`]).
    pub(crate) arena: Range<usize>,
    /// Which of the event's pieces it was put together from.
    pub(crate) pieces: Range<usize>,
}

/// A run of bytes of a put-together buffer, and the frame it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The frame's number.
    pub frame: u64,
    /// Where in that frame the run starts, in bytes.
    pub at: u32,
    /// Where in the buffer it starts, in bytes.
    pub into: u32,
    /// How many bytes.
    pub len: u32,
}

/// The parent of a field that stands directly in its layer.
pub const NO_PARENT: u32 = u32::MAX;

/// A label on some bits of a buffer. Fields stand in pre-order: a group is followed by what is in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field {
    /// Its name.
    pub def: &'static FieldDef,
    /// Where it starts, in bits from the start of the buffer (bit 0 is the first byte's most significant).
    pub start: u32,
    /// How many bits it covers.
    pub bits: u32,
    /// The index (in [`Event::fields`]) of the group it stands in, or [`NO_PARENT`].
    pub parent: u32,
    /// The buffer it labels.
    pub buf: BufId,
    /// For a [`Kind::Name`]: how many bytes before its first the message begins that its pointers count from. Else 0.
    pub back: u16,
}

impl Field {
    /// The whole bytes it touches, as a range in its buffer.
    #[must_use]
    pub fn bytes(&self) -> Range<usize> {
        let start = self.start as usize;
        start / 8..(start + self.bits as usize).div_ceil(8)
    }
}

/// One protocol's part of a frame, or one TLS record with what it carries.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Which protocol: its `Kind::Layer` definition.
    pub def: &'static FieldDef,
    /// The buffer its header stands in.
    pub buf: BufId,
    /// Where its header starts and ends, in bytes of that buffer. (For a TLS record: the whole record.)
    pub bytes: Range<u32>,
    /// Which of the event's fields are its own.
    pub fields: Range<u32>,
}

/// A fact that was computed, not read: a verdict, a relative number, "this came before".
///
/// It has a key in the same vocabulary, so it is explained and can be filtered like a field, but it labels no bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Note {
    /// Its name.
    pub def: &'static FieldDef,
    /// The index of the layer it is about.
    pub layer: u16,
    /// Its value.
    pub value: Fact,
}

/// The value of a [`Note`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// The note's presence says it all.
    Present,
    /// A number, or the number of a named value.
    Uint(u64),
    /// Up to 16 bytes, and how many of them count.
    Bytes([u8; 16], u8),
}

impl Fact {
    /// The number, if it is one.
    #[must_use]
    pub fn uint(&self) -> Option<u64> {
        match self {
            Self::Uint(n) => Some(*n),
            _ => None,
        }
    }
}

/// Where and why decoding a layer ended early. Layers below it stand; what could not be read is left as visible bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stop {
    /// The index of the layer that stops.
    pub layer: u16,
    /// The field that was to be read.
    pub def: &'static FieldDef,
    /// The buffer it was to be read from.
    pub buf: BufId,
    /// Where in that buffer, in bytes.
    pub offset: u32,
    /// How many bytes (from `offset`) it needs.
    pub need: u32,
    /// How many there are.
    pub have: u32,
    /// The reason.
    pub why: Why,
}

/// Why a layer stops; the sentence for each is in the glossary, under [`Why::key`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The bytes end before the field does.
    Short,
    /// The capture kept only a part of the frame.
    CutOff,
    /// A length field contradicts what holds it or what it holds.
    Length,
    /// A value that the specification rules out here.
    Value,
    /// Bytes are left over after the last field.
    Trailing,
    /// A limit of this program was reached.
    Cap,
}

impl Why {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Short,
        Self::CutOff,
        Self::Length,
        Self::Value,
        Self::Trailing,
        Self::Cap,
    ];

    /// The glossary key of its sentence.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Short => "stop.short",
            Self::CutOff => "stop.cut_off",
            Self::Length => "stop.length",
            Self::Value => "stop.value",
            Self::Trailing => "stop.trailing",
            Self::Cap => "stop.cap",
        }
    }
}

/// The value of a field, read from the bytes it labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// A layer or a group.
    None,
    /// A flag.
    Bool(bool),
    /// A number.
    Uint(u64),
    /// A MAC address.
    Ether([u8; 6]),
    /// An IPv4 address.
    Ipv4([u8; 4]),
    /// An IPv6 address.
    Ipv6([u8; 16]),
    /// Plain bytes.
    Bytes(&'a [u8]),
    /// Text that need not be valid UTF-8.
    Text(&'a [u8]),
    /// A domain name.
    Name(Name<'a>),
    /// The content of an object identifier.
    Oid(&'a [u8]),
    /// The content of an ASN.1 time.
    Time(&'a [u8]),
}

impl Value<'_> {
    /// The number, if it is one (a flag is 0 or 1).
    #[must_use]
    pub fn uint(&self) -> Option<u64> {
        match self {
            Self::Uint(n) => Some(*n),
            Self::Bool(b) => Some(u64::from(*b)),
            _ => None,
        }
    }
}

/// A domain name as it stands in a DNS message (RFC 1035, section 4.1.4): its labels are read where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name<'a> {
    /// The message from its first byte on, as far as there is any.
    pub message: &'a [u8],
    /// Where in it the name starts.
    pub at: usize,
}

/// The most bytes a name has, with the length byte of each label and the zero at its end (RFC 1035, section 2.3.4).
pub const MAX_NAME: usize = 255;

impl<'a> Name<'a> {
    /// Its labels, from the left: each at most 63 bytes, none empty. The root has none. What is no name ends early.
    #[must_use]
    pub fn labels(&self) -> NameLabels<'a> {
        NameLabels {
            message: self.message,
            at: self.at,
            before: self.at,
            len: 1,
            hops: 0,
            whole: false,
        }
    }

    /// Whether it is one: it comes to an end, is not too long, and its pointers lead backwards.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let mut labels = self.labels();
        while labels.next().is_some() {}
        labels.whole
    }
}

/// The labels of a [`Name`], one after the other.
#[derive(Debug, Clone)]
pub struct NameLabels<'a> {
    message: &'a [u8],
    at: usize,
    /// A pointer has to point before the part of the name that it ends, so that there is an end to following them.
    before: usize,
    /// How long the name is, so far, without its pointers.
    len: usize,
    hops: usize,
    whole: bool,
}

impl<'a> Iterator for NameLabels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let first = usize::from(*self.message.get(self.at)?);
            match first >> 6 {
                0 if first == 0 => {
                    self.whole = true;
                    return None;
                }
                0 => {
                    self.len += first + 1;
                    let start = self.at + 1;
                    let label = self.message.get(start..start + first)?;
                    if self.len > MAX_NAME {
                        return None;
                    }
                    self.at = start + first;
                    return Some(label);
                }
                3 => {
                    let to = (first & 0x3f) << 8 | usize::from(*self.message.get(self.at + 1)?);
                    if to >= self.before || self.hops == MAX_NAME / 2 {
                        return None;
                    }
                    (self.at, self.before) = (to, to);
                    self.hops += 1;
                }
                _ => return None,
            }
        }
    }
}

/// What the layers of one frame tell those above them: enough to check a checksum and to find the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Context {
    /// What the frame begins with.
    pub link: LinkType,
    /// Source and destination address, from the innermost IP header.
    pub addresses: Option<(IpAddr, IpAddr)>,
    /// How long the payload of that header is, by the header itself.
    pub payload: u32,
    /// What TCP said of this segment.
    pub segment: Option<Segment>,
    /// That this is only a part of a packet.
    pub fragment: Option<Fragment>,
    /// Source and destination port of a UDP datagram.
    pub datagram: Option<(u16, u16)>,
    /// Whether what is decoded now is the beginning of another packet, which an ICMP error quotes: it may end anywhere.
    pub quoted: bool,
}

/// What an IP header says of a packet that comes in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// Which packet it is a part of, together with the addresses.
    pub ident: u32,
    /// Where in the packet it belongs, in bytes.
    pub offset: usize,
    /// Whether others come behind it.
    pub more: bool,
    /// Where in its buffer its bytes start.
    pub start: usize,
    /// How many there are, by the header.
    pub len: usize,
    /// The number of the protocol that the packet carries; for IPv6 only the first fragment knows it.
    pub protocol: u8,
}

/// The blocks of a selective acknowledgment: each from its first sequence number to the one behind it, as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sack {
    blocks: [(u32, u32); 4],
    len: u8,
}

impl Sack {
    /// Adds a block. No header has room for more than four.
    pub fn push(&mut self, left: u32, right: u32) {
        if let Some(place) = self.blocks.get_mut(usize::from(self.len)) {
            *place = (left, right);
            self.len += 1;
        }
    }

    /// The blocks.
    pub fn blocks(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.blocks.iter().take(usize::from(self.len)).copied()
    }
}

/// What TCP's header says, as the flow table needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Segment {
    /// Source port.
    pub from: u16,
    /// Destination port.
    pub to: u16,
    /// Sequence number of the first byte, as sent.
    pub seq: u32,
    /// Acknowledgment number, as sent; meaningless without the ACK flag.
    pub ack: u32,
    /// The nine flag bits, AE to FIN, as in the header.
    pub flags: u16,
    /// The window, not yet scaled.
    pub window: u16,
    /// The window scale option's shift, if the segment has one.
    pub window_shift: Option<u8>,
    /// The selective acknowledgment option, if the segment has one.
    pub sack: Sack,
    /// Whether the checksum was right; `None` where it could not be checked.
    pub checksum_good: Option<bool>,
    /// How many bytes of data the segment carries, by its IP header.
    pub len: u32,
}

impl Segment {
    /// No more data from the sender.
    pub const FIN: u16 = 0x01;
    /// Synchronize sequence numbers.
    pub const SYN: u16 = 0x02;
    /// Reset the connection.
    pub const RST: u16 = 0x04;
    /// Push.
    pub const PSH: u16 = 0x08;
    /// The acknowledgment number is valid.
    pub const ACK: u16 = 0x10;

    /// Whether all of the given flags are set.
    #[must_use]
    pub fn has(&self, flags: u16) -> bool {
        self.flags & flags == flags
    }
}

/// Bytes that one end of a TCP connection said, in their order: each byte of the stream once, however often it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// Which end: 0 for the one that asked to connect (or was seen first), 1 for the other.
    pub from: u8,
    /// Whether they were opened: the content of a TLS record of application data. Otherwise they are the stream's own.
    pub opened: bool,
    /// The buffer they stand in.
    pub buf: BufId,
    /// Their first byte in it, and the one behind the last.
    pub bytes: (u32, u32),
    /// So many bytes before them are not in the capture.
    pub missing: u64,
}

/// How many headers have a fixed part whose fields can be left out (see [`Interest`]).
pub(crate) const SHAPES: usize = 4;

/// Which of the fields in the fixed parts of headers are labelled; other fields always are. All of them, if nothing else
/// is said. Each part has a number of its own, and in it each field a bit, the first field the lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interest(pub(crate) [u32; SHAPES]);

impl Default for Interest {
    fn default() -> Self {
        Self([u32::MAX; SHAPES])
    }
}

/// The labels that decoding leaves: reused from frame to frame, so that a steady state allocates nothing.
#[derive(Debug, Default)]
pub struct Labels {
    /// In pre-order, layer by layer.
    pub fields: Vec<Field>,
    /// In the order they were found.
    pub notes: Vec<Note>,
    /// In the order they were met.
    pub stops: Vec<Stop>,
    /// From the lowest up.
    pub layers: Vec<Layer>,
    /// What was said, in the order in which it can be read.
    pub said: Vec<Said>,
    /// Which fields anybody wants to see.
    pub interest: Interest,
}

impl Labels {
    /// Forgets everything but the room it takes.
    pub fn clear(&mut self) {
        self.fields.clear();
        self.notes.clear();
        self.stops.clear();
        self.layers.clear();
        self.said.clear();
    }

    /// Adds a computed fact about the layer `layer`.
    pub fn note(&mut self, layer: usize, def: &'static FieldDef, value: Fact) {
        let layer = u16::try_from(layer).unwrap_or(u16::MAX);
        self.notes.push(Note { def, layer, value });
    }
}

/// The buffers that decoding makes beside the frame, in one arena that is reused from frame to frame.
#[derive(Debug)]
pub struct Buffers {
    pub(crate) arena: Vec<u8>,
    pub(crate) list: Vec<Buffer>,
    pub(crate) pieces: Vec<Piece>,
}

impl Default for Buffers {
    fn default() -> Self {
        let mut buffers = Self {
            arena: Vec::new(),
            list: Vec::new(),
            pieces: Vec::new(),
        };
        buffers.clear();
        buffers
    }
}

impl Buffers {
    /// Forgets everything but the frame's own place and the room it takes.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.pieces.clear();
        self.list.clear();
        self.list.push(Buffer {
            kind: BufKind::Frame,
            arena: 0..0,
            pieces: 0..0,
        });
    }

    /// Adds a buffer of which the arena already holds the bytes from `start`, and the pieces from `first_piece`.
    ///
    /// Gives `None` when the event has as many buffers as a [`BufId`] can name.
    pub(crate) fn close(
        &mut self,
        kind: BufKind,
        start: usize,
        first_piece: usize,
    ) -> Option<BufId> {
        let id = u16::try_from(self.list.len()).ok()?;
        self.list.push(Buffer {
            kind,
            arena: start..self.arena.len(),
            pieces: first_piece..self.pieces.len(),
        });
        Some(BufId(id))
    }

    /// The bytes of a buffer, given the frame's.
    #[must_use]
    pub fn bytes<'a>(&'a self, frame: &'a [u8], id: BufId) -> &'a [u8] {
        match self.list.get(usize::from(id.0)) {
            Some(buffer) if buffer.kind != BufKind::Frame => {
                self.arena.get(buffer.arena.clone()).unwrap_or(&[])
            }
            _ => frame,
        }
    }
}

/// One frame and everything that it completed: its headers, the TLS records and messages that end in it, what they say.
#[derive(Debug, Clone, Copy)]
pub struct Event<'s> {
    /// The frame.
    pub frame: Frame<'s>,
    /// When the session's first frame was seen.
    pub first: Time,
    /// When the frame before this one was seen; this one's own time if it is the first.
    pub before: Time,
    /// The layers, from the lowest up; one for each TLS record and each application message.
    pub layers: &'s [Layer],
    /// The fields of all layers, in pre-order.
    pub fields: &'s [Field],
    /// The computed facts.
    pub notes: &'s [Note],
    /// The places where decoding ended early.
    pub stops: &'s [Stop],
    /// What was said on its connection and can be read in order from this frame on.
    pub said: &'s [Said],
    pub(crate) buffers: &'s Buffers,
}

impl<'s> Event<'s> {
    /// How many buffers there are; the frame is the first.
    #[must_use]
    pub fn buffer_count(&self) -> usize {
        self.buffers.list.len()
    }

    /// The bytes of a buffer.
    #[must_use]
    pub fn bytes(&self, id: BufId) -> &'s [u8] {
        self.buffers.bytes(self.frame.data, id)
    }

    /// What a buffer's bytes are.
    #[must_use]
    pub fn buffer_kind(&self, id: BufId) -> BufKind {
        self.buffers
            .list
            .get(usize::from(id.0))
            .map_or(BufKind::Frame, |b| b.kind)
    }

    /// Which frames a put-together buffer came in; empty for the frame itself.
    #[must_use]
    pub fn pieces(&self, id: BufId) -> &'s [Piece] {
        let buffers = self.buffers;
        buffers
            .list
            .get(usize::from(id.0))
            .and_then(|b| buffers.pieces.get(b.pieces.clone()))
            .unwrap_or(&[])
    }

    /// The bytes that were said.
    #[must_use]
    pub fn said_bytes(&self, said: &Said) -> &'s [u8] {
        let range = said.bytes.0 as usize..said.bytes.1 as usize;
        self.bytes(said.buf).get(range).unwrap_or(&[])
    }

    /// The bytes a field labels, whole bytes even where it covers only some of their bits.
    #[must_use]
    pub fn field_bytes(&self, field: &Field) -> &'s [u8] {
        self.bytes(field.buf).get(field.bytes()).unwrap_or(&[])
    }

    /// The fields of one layer.
    #[must_use]
    pub fn fields_of(&self, layer: &Layer) -> &'s [Field] {
        self.fields
            .get(layer.fields.start as usize..layer.fields.end as usize)
            .unwrap_or(&[])
    }

    /// The notes about one layer, by its index.
    pub fn notes_of(&self, layer: usize) -> impl Iterator<Item = &'s Note> {
        self.notes
            .iter()
            .filter(move |n| usize::from(n.layer) == layer)
    }

    /// The first field of that name.
    #[must_use]
    pub fn field(&self, def: &'static FieldDef) -> Option<&'s Field> {
        self.fields.iter().find(|f| core::ptr::eq(f.def, def))
    }

    /// The first note of that name.
    #[must_use]
    pub fn note(&self, def: &'static FieldDef) -> Option<&'s Note> {
        self.notes.iter().find(|n| core::ptr::eq(n.def, def))
    }

    /// Whether the field at `index` has no fields in it.
    #[must_use]
    pub fn is_leaf(&self, index: usize) -> bool {
        self.fields
            .get(index + 1)
            .is_none_or(|next| next.parent as usize != index)
    }

    /// Whether all bytes of the field at `index` can be seen: it is a leaf, or its own value is text or bytes, of which the
    /// fields in it only name parts.
    #[must_use]
    pub fn shows(&self, index: usize) -> bool {
        let whole = |field: &Field| matches!(field.def.kind, Kind::Text | Kind::Bytes);
        self.is_leaf(index) || self.fields.get(index).is_some_and(whole)
    }

    /// The byte ranges of a buffer that no field shows, in order.
    #[must_use]
    pub fn gaps(&self, id: BufId) -> Vec<Range<usize>> {
        let mut gaps = Vec::new();
        self.gaps_into(id, &mut gaps);
        gaps
    }

    /// The same into a list that is reused: what it held is forgotten.
    pub fn gaps_into(&self, id: BufId, gaps: &mut Vec<Range<usize>>) {
        gaps.clear();
        // First what is covered, in order; then, in the same places, what is not.
        for (i, field) in self.fields.iter().enumerate() {
            if field.buf != id || field.bits == 0 || !self.shows(i) {
                continue;
            }
            let bytes = field.bytes();
            match gaps.last_mut() {
                Some(last) if bytes.start >= last.start && bytes.start <= last.end => {
                    last.end = last.end.max(bytes.end);
                }
                _ => gaps.push(bytes),
            }
        }
        gaps.sort_unstable_by_key(|covered| covered.start);
        let mut at = 0;
        for range in gaps.iter_mut() {
            let before = at..range.start;
            at = at.max(range.end);
            *range = before;
        }
        gaps.push(at..self.bytes(id).len());
        gaps.retain(|gap| gap.start < gap.end);
    }
}
