//! The layers: one protocol, one file, and this list of them.
//!
//! A layer says where it binds (an upper layer names the lower one's number for it; the lower one is untouched), which
//! field definitions it has, and how it is decoded. [`decode`] walks from the link up to the last layer that one frame
//! can tell; what needs more than one frame (a TCP stream, a TLS session) is the business of `crate::flow`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::LazyLock;

use etherparse::checksum::Sum16BitWords;

use crate::cursor::shape::Shape;
use crate::cursor::{Cursor, Read};
use crate::packet::{BufId, Context, Fact, FieldDef, Frame, Kind, Labels, Layer, LinkType, Why};

/// Declares field definitions: `NAME = "wireshark.key" Kind;`, each a public static, and `FIELDS`, the list of them.
macro_rules! fields {
    ($($name:ident = $key:literal $kind:expr;)+) => {
        $(
            #[doc = concat!("`", $key, "`; what it means is in the glossary.")]
            pub static $name: crate::packet::FieldDef = {
                #[allow(unused_imports, reason = "each list uses its own selection of the kinds")]
                use crate::packet::Kind::*;
                crate::packet::FieldDef { key: $key, kind: $kind }
            };
        )+
        /// All field definitions of this file.
        pub static FIELDS: &[&crate::packet::FieldDef] = &[$(&$name),+];
    };
}

pub mod arp;
pub mod chat;
pub mod data;
pub mod dns;
pub mod ethernet;
pub mod frame;
pub mod http;
pub mod icmp;
pub mod icmpv6;
pub mod ipv4;
pub mod ipv6;
pub mod null;
pub mod sll;
pub mod tcp;
pub mod tcp_info;
#[cfg(test)]
pub(crate) mod testing;
pub mod tls;
pub mod udp;
pub mod vlan;

/// Every protocol there is. A new layer adds its line here.
pub static PROTOCOLS: &[&Protocol] = &[
    &frame::PROTOCOL,
    &ethernet::PROTOCOL,
    &vlan::PROTOCOL,
    &vlan::SERVICE,
    &sll::PROTOCOL,
    &null::PROTOCOL,
    &arp::PROTOCOL,
    &ipv4::PROTOCOL,
    &ipv6::PROTOCOL,
    &tcp::PROTOCOL,
    &udp::PROTOCOL,
    &icmp::PROTOCOL,
    &icmpv6::PROTOCOL,
    &tls::PROTOCOL,
    &dns::PROTOCOL,
    &dns::OVER_TCP,
    &http::PROTOCOL,
    &chat::PROTOCOL,
    &data::PROTOCOL,
];

/// The fixed parts of headers, each at the place whose number it has.
pub static SHAPES: &[&Shape] = &[&ipv4::REST, &tcp::FRONT, &tcp::REST, &tls::record::HEADER];

/// One protocol: its name, its vocabulary, where it binds and how it is decoded.
#[derive(Debug)]
pub struct Protocol {
    /// The layer's own name, such as `ip`.
    pub def: &'static FieldDef,
    /// All its field definitions, file by file.
    pub fields: &'static [&'static [&'static FieldDef]],
    /// Which numbers of lower layers mean this protocol.
    pub binds: &'static [Bind],
    /// How it is decoded.
    pub decode: Decode,
}

/// What a lower layer says of what it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bind {
    /// The link type of the capture. For raw IP the version nibble decides: see [`Bind::IpVersion`].
    Link(LinkType),
    /// The EtherType of an Ethernet frame, or of what stands in its place.
    EtherType(u16),
    /// The first four bits of a raw IP packet.
    IpVersion(u8),
    /// The protocol number of an IP header.
    IpProtocol(u8),
    /// A port at either end of a TCP connection.
    TcpPort(u16),
    /// A port at either end of a UDP datagram.
    UdpPort(u16),
}

/// How a protocol is decoded.
#[derive(Debug, Clone, Copy)]
pub enum Decode {
    /// A header in each frame: reads it, limits the cursor to its payload, and says what that is.
    Packet(fn(&mut Cursor<'_, '_>) -> Read<Next>),
    /// The same for a packet that says itself how long it is: how many of these bytes, if that can be told. What the link
    /// below carries behind them is padding.
    Sized(
        fn(&mut Cursor<'_, '_>) -> Read<Next>,
        fn(&[u8]) -> Option<usize>,
    ),
    /// Messages on a byte stream: see [`Stream`].
    Stream(Stream),
    /// Not by itself: another layer or the flow table decodes it.
    Apart,
}

/// Given the bytes of a stream from a message's start, and how many of them were there the last time it was asked and it
/// wanted more: where the message ends. (So that a search need not begin again with every segment.) What one end said may
/// decide how long the answer of the other is.
pub type FindEnd = fn(&[u8], usize, &mut Talk) -> Framing;

/// A protocol that runs on a byte stream.
#[derive(Debug, Clone, Copy)]
pub struct Stream {
    /// Finds the end of a message.
    pub next: FindEnd,
    /// Decodes one whole message.
    pub decode: fn(&mut Cursor<'_, '_>) -> Read<()>,
    /// Whether a stream that begins with these bytes is of this protocol. One that is bound to no port is looked for on
    /// every port.
    pub recognise: fn(&[u8]) -> bool,
    /// Decodes what follows a message in parts, if there is such a thing: see [`Framing::Parts`].
    pub part: Option<fn(&mut Cursor<'_, '_>, Part) -> Read<()>>,
}

/// What one end of a stream has to know of the other: which of the requests that were not answered yet will be answered
/// without a body, the oldest first.
#[derive(Debug, Clone, Copy, Default)]
pub struct Talk {
    bodiless: u64,
    open: u32,
}

impl Talk {
    /// A request, of the kind that is answered without a body or of another.
    pub fn asked(&mut self, bodiless: bool) {
        if self.open < u64::BITS {
            self.bodiless |= u64::from(bodiless) << self.open;
            self.open += 1;
        }
    }

    /// The oldest request is answered.
    pub fn answered(&mut self) {
        self.bodiless >>= 1;
        self.open = self.open.saturating_sub(1);
    }

    /// Whether the next answer has no body.
    #[must_use]
    pub fn is_bodiless(&self) -> bool {
        self.bodiless & 1 != 0
    }
}

/// Where a message on a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// After so many bytes; all of them are there.
    Whole(usize),
    /// Not yet to be said, or not yet there.
    More,
    /// These bytes cannot begin a message of this protocol.
    NotMine,
    /// Its beginning is there, and has so many bytes; the rest is long, and is handed over as it comes.
    Parts {
        /// How many bytes the beginning has.
        head: usize,
        /// What follows.
        then: Then,
    },
}

/// What follows the beginning of a message that is handed over in parts.
#[derive(Debug, Clone, Copy)]
pub struct Then {
    /// So many bytes, in whatever parts they come.
    pub body: u64,
    /// After them further pieces, each found by this, until one is [`Framing::Whole`]; else the next message.
    pub pieces: Option<FindEnd>,
}

impl PartialEq for Then {
    fn eq(&self, other: &Self) -> bool {
        self.body == other.body && self.pieces.is_some() == other.pieces.is_some()
    }
}

impl Eq for Then {}

impl Then {
    /// As many bytes as there are until the connection closes.
    pub const UNTIL_CLOSE: u64 = u64::MAX;
}

/// Which part of a message this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Part {
    /// A whole message, or the beginning of one that is handed over in parts.
    #[default]
    Message,
    /// A piece that its own framing found.
    Piece,
    /// Bytes of the body.
    Body,
}

/// A run of bytes that was cut from a stream, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) range: core::ops::Range<usize>,
    pub(crate) part: Part,
}

/// What follows a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Whatever is bound to this; otherwise the bytes are plain data.
    Payload(Bind),
    /// Bytes of a TCP stream: the flow table takes them from here.
    Stream,
    /// Bytes nobody can decode from this frame alone.
    Data,
    /// Nothing.
    End,
}

/// Bytes that belong to a TCP stream, to be taken up by the flow table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamPart {
    /// The buffer they are in: the frame, or a packet put together from fragments.
    pub buf: BufId,
    /// Where they start in it.
    pub start: usize,
    /// Where they end.
    pub end: usize,
}

/// The deepest nesting of headers that is followed (tunnels in tunnels end as data).
pub const MAX_DEPTH: usize = 16;

/// Decodes the headers of one frame, from the link up. Gives the bytes that belong to a TCP stream, if it got that far.
///
/// Whatever the bytes, this does not fail: a header that cannot be decoded leaves a [`crate::packet::Stop`], the layers
/// below it stand, and the bytes from there on stay visible.
pub fn decode(frame: &Frame<'_>, labels: &mut Labels, context: &mut Context) -> Option<StreamPart> {
    let past_end = if (frame.data.len() as u64) < u64::from(frame.wire_len) {
        Why::CutOff
    } else {
        Why::Short
    };
    context.link = frame.link;
    let link = Bind::Link(frame.link);
    decode_from(link, (frame.data, BufId::FRAME), past_end, labels, context)
}

/// The same for a packet that begins further up, in a buffer of its own: what was put together from fragments.
pub(crate) fn decode_from(
    bind: Bind,
    (bytes, buf): (&[u8], BufId),
    past_end: Why,
    labels: &mut Labels,
    context: &mut Context,
) -> Option<StreamPart> {
    let mut at = 0;
    let mut end = bytes.len();
    let mut next = Next::Payload(bind);
    while at < end && labels.layers.len() < MAX_DEPTH {
        let protocol = match next {
            Next::Payload(bind) => {
                bound(bind, bytes.get(at..end).unwrap_or(&[])).unwrap_or(&data::PROTOCOL)
            }
            Next::Data => &data::PROTOCOL,
            Next::Stream => {
                return Some(StreamPart {
                    buf,
                    start: at,
                    end,
                });
            }
            Next::End => return None,
        };
        let (Decode::Packet(read) | Decode::Sized(read, _)) = protocol.decode else {
            return None;
        };
        begin(labels, protocol.def, buf, at);
        let mut cursor = Cursor::new(bytes, buf, at..end, past_end, labels, context);
        let result = read(&mut cursor);
        at = cursor.position();
        end = at + cursor.left();
        match result {
            Ok(then) => next = then,
            Err(stop) => {
                cursor.record(stop);
                next = Next::End;
            }
        }
        finish(labels, at);
    }
    match next {
        Next::Stream => Some(StreamPart {
            buf,
            start: at,
            end,
        }),
        _ => None,
    }
}

/// Begins a layer; what is labelled from now on is its own.
pub fn begin(labels: &mut Labels, def: &'static FieldDef, buf: BufId, at: usize) {
    debug_assert!(def.kind == Kind::Layer);
    let (field, at) = (labels.fields.len() as u32, at as u32);
    labels.layers.push(Layer {
        def,
        buf,
        bytes: at..at,
        fields: field..field,
    });
}

/// Ends the layer that was begun last, whose header reaches to the byte `end` of its buffer.
pub fn finish(labels: &mut Labels, end: usize) {
    let fields = labels.fields.len() as u32;
    if let Some(layer) = labels.layers.last_mut() {
        layer.bytes.end = end as u32;
        layer.fields.end = fields;
    }
}

/// The protocol bound to a number.
fn bound(bind: Bind, bytes: &[u8]) -> Option<&'static Protocol> {
    let bind = match (bind, bytes.first()) {
        (Bind::Link(link), Some(first)) if link.is_raw_ip() => Bind::IpVersion(first >> 4),
        _ => bind,
    };
    // The numbers that every packet has are not searched for again and again.
    static OF_IP: LazyLock<[Option<&Protocol>; 256]> =
        LazyLock::new(|| core::array::from_fn(|n| find(Bind::IpProtocol(n as u8))));
    static OF_VERSION: LazyLock<[Option<&Protocol>; 16]> =
        LazyLock::new(|| core::array::from_fn(|n| find(Bind::IpVersion(n as u8))));
    match bind {
        Bind::IpProtocol(n) => *OF_IP.get(usize::from(n))?,
        Bind::IpVersion(n) => *OF_VERSION.get(usize::from(n))?,
        _ => find(bind),
    }
}

/// Looks for it in the list.
fn find(bind: Bind) -> Option<&'static Protocol> {
    PROTOCOLS.iter().find(|p| p.binds.contains(&bind)).copied()
}

/// Whether there is a protocol for this number.
fn is_bound(bind: Bind) -> bool {
    PROTOCOLS.iter().any(|p| p.binds.contains(&bind))
}

/// The sum over pseudo header and packet (RFC 9293, section 3.1; RFC 768; IPv6: RFC 8200, section 8.1), the packet's own
/// checksum included: its complement is zero when that is right. `None` where not all bytes are there.
fn sum_over(context: &Context, protocol: u8, packet: &[u8]) -> Option<Sum16BitWords> {
    let packet = packet.get(..context.payload as usize)?;
    Some(pseudo_header(context, protocol)?.add_slice(packet))
}

/// The sum over the pseudo header alone. A checksum that is this sum, not yet inverted, is what a sender leaves to its
/// network card to complete.
fn pseudo_header(context: &Context, protocol: u8) -> Option<Sum16BitWords> {
    let mut sum = Sum16BitWords::new();
    let sum = match context.addresses? {
        (IpAddr::V4(src), IpAddr::V4(dst)) => sum.add_4bytes(src.octets()).add_4bytes(dst.octets()),
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            sum.add_16bytes(src.octets()).add_16bytes(dst.octets())
        }
        _ => sum,
    };
    let payload = context.payload.to_be_bytes();
    Some(sum.add_2bytes([0, protocol]).add_4bytes(payload))
}

/// Whether a checksum is only begun: over the pseudo header, the rest being left to the network card.
fn is_partial(context: &Context, protocol: u8, checksum: u16) -> bool {
    pseudo_header(context, protocol)
        .is_some_and(|sum| u16::from_be(sum.ones_complement()) == !checksum)
}

/// The checksum that would be right, from a sum that includes the one that is there.
fn right_checksum(sum: Sum16BitWords, there: u16) -> Fact {
    let without = sum.add_2bytes((!there).to_be_bytes()).ones_complement();
    Fact::Uint(u64::from(u16::from_be(without)))
}

/// How many of the bytes belong to the packet that is bound to this, if it says so itself.
fn extent(bind: Bind, bytes: &[u8]) -> Option<usize> {
    match bound(bind, bytes)?.decode {
        Decode::Sized(_, extent) => extent(bytes),
        _ => None,
    }
}

/// Every field definition of every protocol.
pub fn all_fields() -> impl Iterator<Item = &'static FieldDef> {
    PROTOCOLS
        .iter()
        .flat_map(|p| p.fields.iter().flat_map(|list| list.iter().copied()))
}

/// The definition with that key.
#[must_use]
pub fn field(key: &str) -> Option<&'static FieldDef> {
    static BY_KEY: LazyLock<HashMap<&str, &FieldDef>> = LazyLock::new(|| {
        let mut by_key = HashMap::new();
        for def in all_fields() {
            by_key.entry(def.key).or_insert(def);
        }
        by_key
    });
    BY_KEY.get(key).copied()
}
