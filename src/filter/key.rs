//! What a name in an expression means, and where its values are: fields, notes, layers, facts about the frame.

use crate::layers::{self, frame, tcp};
use crate::packet::{Event, Fact, Field, FieldDef, Kind, Layer, Name, Note, Value};

/// Names that stand for several fields at once, as Wireshark has them: `tcp.port` is either port.
static SEVERAL: &[(&str, &[&str])] = &[
    ("eth.addr", &["eth.dst", "eth.src"]),
    ("ip.addr", &["ip.src", "ip.dst"]),
    ("ipv6.addr", &["ipv6.src", "ipv6.dst"]),
    ("tcp.port", &["tcp.srcport", "tcp.dstport"]),
    ("udp.port", &["udp.srcport", "udp.dstport"]),
    (
        "tcp.analysis.flags",
        &[
            "tcp.analysis.retransmission",
            "tcp.analysis.fast_retransmission",
            "tcp.analysis.spurious_retransmission",
            "tcp.analysis.out_of_order",
            "tcp.analysis.lost_segment",
            "tcp.analysis.ack_lost_segment",
            "tcp.analysis.duplicate_ack",
            "tcp.analysis.keep_alive",
            "tcp.analysis.keep_alive_ack",
            "tcp.analysis.zero_window",
            "tcp.analysis.zero_window_probe",
            "tcp.analysis.zero_window_probe_ack",
            "tcp.analysis.window_full",
            "tcp.analysis.window_update",
            "tcp.analysis.reused_ports",
        ],
    ),
];

/// The keys that stand for several fields, and for which; those of layers that are not there are left out.
pub fn several() -> impl Iterator<Item = (&'static str, Vec<&'static FieldDef>)> {
    SEVERAL.iter().filter_map(|(key, of)| {
        let defs: Vec<_> = of.iter().filter_map(|key| layers::field(key)).collect();
        (!defs.is_empty()).then_some((*key, defs))
    })
}

/// What kind of values a key has: what they can be compared with, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// A number.
    Number,
    /// A flag: the numbers 0 and 1.
    Bool,
    /// A length of time, in nanoseconds; written in seconds.
    Seconds,
    /// A point in time, in nanoseconds since the Unix epoch.
    Date,
    /// A MAC address.
    Ether,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// Bytes.
    Bytes,
    /// Text.
    Text,
    /// An object identifier.
    Oid,
    /// A layer or a group of fields: the bytes it covers.
    Part,
    /// It is there or not; there is no value.
    Mark,
}

impl Type {
    /// As a sentence says it: "ip.ttl is …".
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Bool => "a flag (true or false)",
            Self::Seconds => "a time in seconds",
            Self::Date => "a date and time",
            Self::Ether => "a MAC address",
            Self::Ipv4 => "an IPv4 address",
            Self::Ipv6 => "an IPv6 address",
            Self::Bytes => "a row of bytes",
            Self::Text => "text",
            Self::Oid => "an object identifier",
            Self::Part => "a part of the packet",
            Self::Mark => "a mark without a value",
        }
    }

    /// Whether its values are made of bytes that can be searched and cut.
    #[must_use]
    pub fn has_bytes(self) -> bool {
        matches!(
            self,
            Self::Ether
                | Self::Ipv4
                | Self::Ipv6
                | Self::Bytes
                | Self::Text
                | Self::Oid
                | Self::Part
        )
    }

    /// Whether its values are numbers.
    #[must_use]
    pub fn is_number(self) -> bool {
        matches!(self, Self::Number | Self::Bool)
    }
}

/// A name that was looked up: what its values are and where they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The name itself.
    pub name: &'static str,
    /// What its values are.
    pub is: Type,
    pub(crate) from: Source,
}

/// Where the values of a key stand in an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// Layers of that name.
    Layer(&'static FieldDef),
    /// Fields and notes of that name.
    One(&'static FieldDef),
    /// Fields and notes of any of these names.
    Several(Vec<&'static FieldDef>),
    /// What the frame itself says.
    Frame(&'static FieldDef),
    /// The data of the TCP segment, whatever it turned out to be.
    Payload,
}

/// One occurrence of a key in an event.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Found<'e> {
    Layer(&'e Layer),
    Field(&'e Field),
    Note(&'e Note),
    Computed(Val<'e>),
}

/// A value, ready to be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Val<'e> {
    /// There is none; what was found is there, and that is all.
    Nothing,
    Number(u64),
    Nanos(i128),
    V4(u32),
    V6(u128),
    Bytes(&'e [u8]),
    Text(&'e [u8]),
}

/// Room for a value that stands nowhere as a whole: a domain name, the row of a frame's protocols.
pub(crate) type Room = [u8; 256];

impl Key {
    /// Looks a name up.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        if let Some((name, defs)) = several().find(|(key, _)| *key == name) {
            let is = defs.first().map_or(Type::Mark, |def| is(def));
            let from = Source::Several(defs);
            return Some(Self { name, is, from });
        }
        let def = layers::field(name)?;
        let is_frame = frame::FIELDS.iter().any(|own| core::ptr::eq(*own, def));
        let (is, from) = if core::ptr::eq(def, &raw const frame::TIME) {
            (Type::Date, Source::Frame(def))
        } else if is_frame {
            (is(def), Source::Frame(def))
        } else if core::ptr::eq(def, &raw const tcp::PAYLOAD) {
            (Type::Bytes, Source::Payload)
        } else if def.kind == Kind::Layer {
            (Type::Part, Source::Layer(def))
        } else {
            (is(def), Source::One(def))
        };
        let name = def.key;
        Some(Self { name, is, from })
    }

    /// Every name there is, in the order of the layers.
    pub fn all() -> impl Iterator<Item = Self> {
        layers::all_fields()
            .map(|def| def.key)
            .chain(several().map(|(key, _)| key))
            .filter_map(Self::find)
    }

    /// Up to three names that come near to one that is not there, the nearest first.
    #[must_use]
    pub fn near(name: &str) -> Vec<&'static str> {
        let asked = name.to_lowercase();
        let most = (asked.chars().count() / 4).clamp(1, 4);
        let keys = layers::all_fields()
            .map(|def| def.key)
            .chain(several().map(|(key, _)| key));
        let mut near: Vec<_> = keys
            .map(|key| (crate::text::distance(&asked, &key.to_lowercase()), key))
            .filter(|(distance, _)| *distance <= most)
            .collect();
        near.sort_unstable();
        let nearest = near.first().map(|(distance, _)| *distance);
        near.retain(|(distance, _)| Some(*distance) == nearest);
        near.into_iter().map(|(_, key)| key).take(3).collect()
    }

    /// Whether its values are read from fields, notes or layers of that name.
    #[must_use]
    pub fn reads(&self, def: &'static FieldDef) -> bool {
        match &self.from {
            Source::Layer(own) | Source::One(own) => core::ptr::eq(*own, def),
            Source::Several(defs) => defs.iter().any(|own| core::ptr::eq(*own, def)),
            Source::Frame(_) | Source::Payload => false,
        }
    }

    /// Calls `visit` with each occurrence, in order, until it says that this is enough; tells whether it did.
    pub(crate) fn visit(
        &self,
        event: &Event<'_>,
        visit: &mut dyn FnMut(Found<'_>) -> bool,
    ) -> bool {
        match &self.from {
            Source::Layer(def) => event
                .layers
                .iter()
                .any(|layer| core::ptr::eq(layer.def, *def) && visit(Found::Layer(layer))),
            Source::One(def) => {
                let is = |other: &'static FieldDef| core::ptr::eq(other, *def);
                let mut fields = event.fields.iter();
                let mut notes = event.notes.iter();
                fields.any(|field| is(field.def) && visit(Found::Field(field)))
                    || notes.any(|note| is(note.def) && visit(Found::Note(note)))
            }
            Source::Several(defs) => {
                let is = |other: &'static FieldDef| defs.iter().any(|d| core::ptr::eq(other, *d));
                let mut fields = event.fields.iter();
                let mut notes = event.notes.iter();
                fields.any(|field| is(field.def) && visit(Found::Field(field)))
                    || notes.any(|note| is(note.def) && visit(Found::Note(note)))
            }
            Source::Payload => {
                payload(event).is_some_and(|bytes| visit(Found::Computed(Val::Bytes(bytes))))
            }
            Source::Frame(def) if core::ptr::eq(*def, &raw const frame::PROTOCOLS) => {
                let mut room = [0; 256];
                visit(Found::Computed(Val::Text(protocols(event, &mut room))))
            }
            Source::Frame(def) => visit(Found::Computed(of_frame(event, def))),
        }
    }
}

/// What a definition's values can be compared with.
fn is(def: &FieldDef) -> Type {
    match def.kind {
        Kind::Layer => Type::Part,
        // What the flow tracking marks has no bytes; every other group is one of fields.
        Kind::Group if def.key.starts_with("tcp.analysis.") => Type::Mark,
        Kind::Group => Type::Part,
        Kind::Bool => Type::Bool,
        Kind::Uint | Kind::Hex | Kind::Units(_) | Kind::Host | Kind::Digits(_) => Type::Number,
        Kind::Nanos => Type::Seconds,
        Kind::Bytes => Type::Bytes,
        Kind::Text | Kind::Name => Type::Text,
        Kind::Ether => Type::Ether,
        Kind::Ipv4 => Type::Ipv4,
        Kind::Ipv6 => Type::Ipv6,
        Kind::Oid => Type::Oid,
        Kind::Time => Type::Date,
    }
}

impl<'e> Found<'e> {
    /// Its value, to be compared as its key says. What has to be put together is put into `room`.
    pub(crate) fn value(&self, event: &Event<'e>, is: Type, room: &'e mut Room) -> Val<'e> {
        match *self {
            Self::Layer(layer) => Val::Bytes(layer_bytes(event, layer)),
            Self::Field(field) => match field.value(event.bytes(field.buf)) {
                Value::None => Val::Bytes(event.field_bytes(field)),
                Value::Bool(set) => Val::Number(u64::from(set)),
                Value::Uint(n) if is == Type::Seconds => Val::Nanos(n.into()),
                Value::Uint(n) => Val::Number(n),
                Value::Ipv4(address) => Val::V4(u32::from_be_bytes(address)),
                Value::Ipv6(address) => Val::V6(u128::from_be_bytes(address)),
                Value::Bytes(bytes) | Value::Oid(bytes) => Val::Bytes(bytes),
                Value::Ether(_) => Val::Bytes(event.field_bytes(field)),
                Value::Name(name) => Val::Text(dotted(name, room)),
                Value::Text(text) => Val::Text(text),
                Value::Time(time) => asn1_time(time).map_or(Val::Nothing, Val::Nanos),
            },
            Self::Note(note) => match &note.value {
                Fact::Present => Val::Nothing,
                Fact::Uint(n) if is == Type::Seconds => Val::Nanos((*n).into()),
                Fact::Uint(n) => Val::Number(*n),
                Fact::Bytes(bytes, len) => {
                    let bytes = bytes.get(..usize::from(*len)).unwrap_or(bytes);
                    match (is, bytes.try_into(), bytes.try_into()) {
                        (Type::Ipv4, Ok(four), _) => Val::V4(u32::from_be_bytes(four)),
                        (Type::Ipv6, _, Ok(sixteen)) => Val::V6(u128::from_be_bytes(sixteen)),
                        (Type::Text, ..) => Val::Text(bytes),
                        _ => Val::Bytes(bytes),
                    }
                }
            },
            Self::Computed(value) => value,
        }
    }
}

/// The bytes of a layer: for a packet's header that header, for a TLS record the whole record.
pub(crate) fn layer_bytes<'e>(event: &Event<'e>, layer: &Layer) -> &'e [u8] {
    let range = layer.bytes.start as usize..layer.bytes.end as usize;
    event.bytes(layer.buf).get(range).unwrap_or(&[])
}

/// What the TCP segment carries. Its fields are labelled by what it turned out to be; this is all of it.
pub(crate) fn payload<'e>(event: &Event<'e>) -> Option<&'e [u8]> {
    let index = event
        .layers
        .iter()
        .rposition(|layer| core::ptr::eq(layer.def, &raw const tcp::TCP))?;
    let end = event.layers.get(index)?.bytes.end as usize;
    let len = event
        .notes_of(index)
        .find(|note| core::ptr::eq(note.def, &raw const tcp::LEN))
        .and_then(|note| note.value.uint())? as usize;
    let rest = event.frame.data.get(end..)?;
    let bytes = rest.get(..len.min(rest.len()))?;
    (!bytes.is_empty()).then_some(bytes)
}

/// A value that the frame itself has.
pub(crate) fn of_frame<'e>(event: &Event<'e>, def: &'static FieldDef) -> Val<'e> {
    let frame = &event.frame;
    let is = |own: &'static FieldDef| core::ptr::eq(own, def);
    if is(&frame::NUMBER) {
        Val::Number(frame.number)
    } else if is(&frame::LEN) {
        Val::Number(frame.wire_len.into())
    } else if is(&frame::CAP_LEN) {
        Val::Number(frame.data.len() as u64)
    } else if is(&frame::TIME) || is(&frame::TIME_EPOCH) {
        Val::Nanos(frame.time.0.into())
    } else if is(&frame::TIME_RELATIVE) {
        Val::Nanos(i128::from(frame.time.0) - i128::from(event.first.0))
    } else if is(&frame::TIME_DELTA) {
        Val::Nanos(i128::from(frame.time.0) - i128::from(event.before.0))
    } else {
        Val::Bytes(frame.data)
    }
}

/// A domain name with dots, without the last; the root has a name of its own, as in Wireshark.
pub(crate) fn dotted<'r>(name: Name<'_>, room: &'r mut Room) -> &'r [u8] {
    let mut len = 0;
    for label in name.labels() {
        if len > 0 {
            push(room, &mut len, b".");
        }
        push(room, &mut len, label);
    }
    if len == 0 {
        push(room, &mut len, b"<Root>");
    }
    room.get(..len).unwrap_or(&[])
}

fn push(room: &mut Room, len: &mut usize, text: &[u8]) {
    if let Some(place) = room.get_mut(*len..*len + text.len()) {
        place.copy_from_slice(text);
        *len += text.len();
    }
}

/// The layers' names from the link up, each kind once in a row, with colons between; cut off when they have no room.
pub(crate) fn protocols<'r>(event: &Event<'_>, room: &'r mut Room) -> &'r [u8] {
    let mut len = 0;
    let mut push = |text: &[u8]| push(room, &mut len, text);
    let mut last = "";
    if event.frame.link.is_raw_ip() {
        last = "raw";
        push(b"raw");
    }
    for layer in event.layers {
        if layer.def.key != last {
            if !last.is_empty() {
                push(b":");
            }
            // What follows these says so by an EtherType, which Wireshark counts as a protocol.
            if matches!(last, "eth" | "vlan" | "ieee8021ad" | "sll") && layer.def.key != "data" {
                push(b"ethertype:");
            }
            push(layer.def.key.as_bytes());
        }
        last = layer.def.key;
    }
    room.get(..len).unwrap_or(&[])
}

/// Nanoseconds since the Unix epoch from a `UTCTime` (`YYMMDDHHMMSSZ`) or a `GeneralizedTime` (`YYYYMMDDHHMMSSZ`).
pub(crate) fn asn1_time(text: &[u8]) -> Option<i128> {
    let (b'Z', digits) = text.split_last()? else {
        return None;
    };
    let pair = |at: usize| -> Option<u8> {
        let [a, b] = digits.get(at..at + 2)? else {
            return None;
        };
        (a.is_ascii_digit() && b.is_ascii_digit()).then(|| (a - b'0') * 10 + (b - b'0'))
    };
    let (year, at) = match digits.len() {
        // RFC 5280, section 4.1.2.5.1: from 50 on it is 19YY.
        12 => {
            let year = i32::from(pair(0)?);
            (if year >= 50 { 1900 + year } else { 2000 + year }, 2)
        }
        14 => (i32::from(pair(0)?) * 100 + i32::from(pair(2)?), 4),
        _ => return None,
    };
    let [month, day, hour, minute, second] = [0, 2, 4, 6, 8].map(|step| pair(at + step));
    moment(year, month?, day?, (hour?, minute?, second?), 0)
}

/// Nanoseconds since the Unix epoch, in UTC; `None` when the calendar has no such moment.
pub(crate) fn moment(
    year: i32,
    month: u8,
    day: u8,
    (hour, minute, second): (u8, u8, u8),
    nanos: u32,
) -> Option<i128> {
    let month = time::Month::try_from(month).ok()?;
    let date = time::Date::from_calendar_date(year, month, day).ok()?;
    let at = time::Time::from_hms_nano(hour, minute, second, nanos).ok()?;
    Some(
        time::PrimitiveDateTime::new(date, at)
            .assume_utc()
            .unix_timestamp_nanos(),
    )
}
