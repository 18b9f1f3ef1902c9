//! What the tests of the layers share: a frame decoded, and its labels as text that can be compared at a glance.

#![allow(
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "a test may fail by panicking"
)]

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::packet::{BufId, Context, Fact, Frame, Kind, Labels, LinkType, Time, Value, Why};

/// A frame that begins with an IP header, and what decoding left of it.
pub(crate) struct Decoded {
    pub(crate) bytes: Vec<u8>,
    pub(crate) labels: Labels,
    pub(crate) context: Context,
    pub(crate) stream: Option<super::StreamPart>,
}

/// Decodes a whole frame.
pub(crate) fn decoded(bytes: &[u8]) -> Decoded {
    cut(bytes, bytes.len())
}

/// Decodes a whole frame of that link.
pub(crate) fn on(link: LinkType, bytes: &[u8]) -> Decoded {
    kept(link, bytes, bytes.len())
}

/// Decodes what a capture kept of a frame that was `wire_len` bytes long, and checks what must hold for any bytes.
pub(crate) fn cut(bytes: &[u8], wire_len: usize) -> Decoded {
    kept(LinkType::RAW, bytes, wire_len)
}

/// The same for a frame of any link.
pub(crate) fn kept(link: LinkType, bytes: &[u8], wire_len: usize) -> Decoded {
    let frame = Frame {
        number: 1,
        time: Time(0),
        link,
        data: bytes,
        wire_len: wire_len as u32,
    };
    let (mut labels, mut context) = (Labels::default(), Context::default());
    let stream = super::decode(&frame, &mut labels, &mut context);
    let decoded = Decoded {
        bytes: bytes.to_vec(),
        labels,
        context,
        stream,
    };
    decoded.check();
    decoded
}

/// Decodes a packet with each of its bytes changed to each other value, and checks what must hold for any bytes.
pub(crate) fn with_any_byte_changed(packet: &[u8]) {
    with_any_byte_changed_on(LinkType::RAW, packet);
}

/// The same for a frame of any link; also cut off behind each of its bytes.
pub(crate) fn with_any_byte_changed_on(link: LinkType, packet: &[u8]) {
    let mut bytes = packet.to_vec();
    for at in 0..packet.len() {
        kept(link, &bytes[..at], packet.len());
        on(link, &bytes[..at]);
        for value in 0..=255 {
            bytes[at] = value;
            on(link, &bytes);
        }
        bytes[at] = packet[at];
    }
}

impl Decoded {
    /// Leaves are inside the buffer and disjoint, and everything stands inside its parent.
    fn check(&self) {
        let mut leaves = Vec::new();
        let fields = &self.labels.fields;
        for (index, field) in fields.iter().enumerate() {
            let end = field.start + field.bits;
            assert!(field.buf == BufId::FRAME && end as usize <= self.bytes.len() * 8);
            if let Some(parent) = fields.get(field.parent as usize) {
                assert!(parent.start <= field.start && end <= parent.start + parent.bits);
            }
            let leaf = fields
                .get(index + 1)
                .is_none_or(|f| f.parent as usize != index);
            if leaf {
                leaves.push((field.start, end, field.def.key));
            }
        }
        leaves.sort_unstable();
        for pair in leaves.windows(2) {
            assert!(pair[1].0 >= pair[0].1, "{} overlaps", pair[1].2);
        }
        for stop in &self.labels.stops {
            let left = self.bytes.len() - stop.offset as usize;
            assert!(
                stop.have as usize <= left,
                "{stop:?} has more than there is"
            );
            if matches!(stop.why, Why::Short | Why::CutOff) {
                assert!(stop.need > stop.have, "{stop:?} has what it needs");
            }
        }
    }

    /// One line for each field of that layer: key, and value if it has one; indented as it is nested.
    pub(crate) fn layer(&self, key: &str) -> String {
        let layer = self.labels.layers.iter().find(|l| l.def.key == key);
        let range = layer.expect("the layer is there").fields.clone();
        let mut out = String::new();
        for index in range {
            let field = &self.labels.fields[index as usize];
            let mut parent = field.parent;
            while let Some(up) = self.labels.fields.get(parent as usize) {
                out.push_str("  ");
                parent = up.parent;
            }
            out.push_str(field.def.key);
            let value = show(field.value(&self.bytes), field.def.kind);
            if !value.is_empty() {
                let _ = write!(out, " {value}");
            }
            out.push('\n');
        }
        out
    }

    /// The values of all fields with that key, as text.
    pub(crate) fn all(&self, key: &str) -> Vec<String> {
        let fields = self.labels.fields.iter().filter(|f| f.def.key == key);
        fields
            .map(|f| show(f.value(&self.bytes), f.def.kind))
            .collect()
    }

    /// The value of the first field with that key, as text; empty if there is none.
    pub(crate) fn one(&self, key: &str) -> String {
        self.all(key).into_iter().next().unwrap_or_default()
    }

    /// The first note with that key.
    pub(crate) fn note(&self, key: &str) -> Option<Fact> {
        let note = self.labels.notes.iter().find(|n| n.def.key == key);
        note.map(|n| n.value)
    }

    /// Each stop's field, offset, need, have and reason.
    pub(crate) fn stops(&self) -> Vec<(&'static str, u32, u32, u32, Why)> {
        let stops = self.labels.stops.iter();
        stops
            .map(|s| (s.def.key, s.offset, s.need, s.have, s.why))
            .collect()
    }

    /// The names of the layers, from the lowest up.
    pub(crate) fn layers(&self) -> Vec<&'static str> {
        self.labels.layers.iter().map(|l| l.def.key).collect()
    }

    /// The bytes no leaf labels.
    pub(crate) fn gap(&self) -> Vec<u8> {
        let fields = &self.labels.fields;
        let covered = |at: usize| {
            fields.iter().enumerate().any(|(i, f)| {
                let leaf = fields.get(i + 1).is_none_or(|f| f.parent as usize != i);
                let shows = leaf || matches!(f.def.kind, Kind::Text | Kind::Bytes);
                shows && f.bytes().contains(&at)
            })
        };
        let bytes = self.bytes.iter().enumerate();
        bytes
            .filter(|(at, _)| !covered(*at))
            .map(|(_, b)| *b)
            .collect()
    }
}

/// A value as text.
pub(crate) fn show(value: Value<'_>, kind: Kind) -> String {
    match value {
        Value::None => String::new(),
        Value::Bool(b) => u8::from(b).to_string(),
        Value::Uint(n) if kind == Kind::Hex => format!("{n:#x}"),
        Value::Uint(n) => n.to_string(),
        Value::Ether(a) => {
            let parts = a.map(|byte| format!("{byte:02x}"));
            parts.join(":")
        }
        Value::Name(name) => {
            let labels = name.labels().map(String::from_utf8_lossy);
            labels.collect::<Vec<_>>().join(".")
        }
        Value::Ipv4(a) => Ipv4Addr::from(a).to_string(),
        Value::Ipv6(a) => Ipv6Addr::from(a).to_string(),
        Value::Text(t) => String::from_utf8_lossy(t).into_owned(),
        Value::Bytes(b) | Value::Oid(b) | Value::Time(b) => {
            b.iter().map(|b| format!("{b:02x}")).collect()
        }
    }
}

/// Bytes written in hexadecimal, with spaces and newlines where it helps the eye.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|b| !b.is_ascii_whitespace())
        .map(|b| (b as char).to_digit(16).expect("a hexadecimal digit") as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}
