//! A packet in words: who does what with it. The words themselves are in the glossary, under `say.packet.*`.

use std::net::IpAddr;

use super::errand;
use super::paint::Out;
use super::value;
use crate::layers::{arp, chat, http, icmp, icmpv6, ipv4, ipv6, tcp, tls, udp};
use crate::packet::{Event, Fact, FieldDef, Segment, Value};
use crate::text::Glossary;

/// So much of a text is spoken, in columns.
const SPOKEN: usize = 200;

/// A TCP or UDP port, where there is one.
pub type Port = Option<u64>;

/// The hosts that have a name on the screen.
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    named: Vec<(IpAddr, &'static str)>,
    /// The port of the second, where the first two have the same address.
    port: Port,
}

impl Hosts {
    /// These hosts, the first of them on the left.
    #[must_use]
    pub fn new(named: Vec<(IpAddr, &'static str)>) -> Self {
        Self { named, port: None }
    }

    /// Two hosts that share an address: the one on the right is known by its port.
    #[must_use]
    pub fn sharing(address: IpAddr, [left, right]: [&'static str; 2], port: u16) -> Self {
        Self {
            named: vec![(address, left), (address, right)],
            port: Some(port.into()),
        }
    }

    /// The name of a host at one end of a packet, if it has one.
    #[must_use]
    pub fn name(&self, host: IpAddr, port: Port) -> Option<&'static str> {
        self.named
            .get(self.find(host, port)?)
            .map(|(_, name)| *name)
    }

    /// Whether it stands on the left.
    #[must_use]
    pub fn is_left(&self, host: IpAddr, port: Port) -> bool {
        self.find(host, port) == Some(0)
    }

    fn find(&self, host: IpAddr, port: Port) -> Option<usize> {
        let at = self
            .named
            .iter()
            .position(|(address, _)| *address == host)?;
        // Of two with one address, the first was found.
        Some(at + usize::from(self.port.is_some() && self.port == port))
    }

    /// Writes a short name for an end of a packet: its host's name; the port where both ends are one host; the address.
    pub fn write_end(&self, out: &mut Out, ends: Option<(IpAddr, IpAddr)>, port: Port, to: bool) {
        let host = ends.map(|(a, b)| if to { b } else { a });
        match port {
            Some(port) if ends.is_some_and(|(a, b)| a == b && self.name(a, None).is_none()) => {
                out.byte(b':');
                out.number(port);
            }
            _ => self.write(out, host, port),
        }
    }

    /// Writes a host's name, or its address.
    pub fn write(&self, out: &mut Out, host: Option<IpAddr>, port: Port) {
        match host.map(|host| (host, self.name(host, port))) {
            Some((_, Some(name))) => out.text(name),
            Some((host, None)) => value::address(out, host, None),
            None => out.byte(b'?'),
        }
    }
}

/// Source and destination of a packet, from its innermost IP header (but not from one that an ICMP error quotes), or from
/// who asks whom in ARP.
#[must_use]
pub fn ends(event: &Event<'_>) -> Option<(IpAddr, IpAddr)> {
    let quotes = |def| {
        core::ptr::eq(def, &raw const icmp::ICMP) || core::ptr::eq(def, &raw const icmpv6::ICMPV6)
    };
    let own = event.layers.iter().position(|layer| quotes(layer.def));
    let own = event.layers.get(..own.unwrap_or(event.layers.len()))?;
    own.iter().rev().find_map(|layer| {
        let (source, destination) = match layer.def {
            def if core::ptr::eq(def, &raw const arp::ARP) => {
                (&arp::SRC_PROTO_IPV4, &arp::DST_PROTO_IPV4)
            }
            def if core::ptr::eq(def, &raw const ipv4::IP) => (&ipv4::SRC, &ipv4::DST),
            def if core::ptr::eq(def, &raw const ipv6::IPV6) => (&ipv6::SRC, &ipv6::DST),
            _ => return None,
        };
        let address = |wanted: &'static FieldDef| {
            // They stand at the end of IP's header.
            let mut fields = event.fields_of(layer).iter().rev();
            let field = fields.find(|field| core::ptr::eq(field.def, wanted))?;
            match field.value(event.bytes(field.buf)) {
                Value::Ipv4(bytes) => Some(IpAddr::from(bytes)),
                Value::Ipv6(bytes) => Some(IpAddr::from(bytes)),
                _ => None,
            }
        };
        Some((address(source)?, address(destination)?))
    })
}

/// Source and destination port of a packet, if it has ports of its own; those of a packet that it quotes are not.
#[must_use]
pub fn ports(event: &Event<'_>) -> (Port, Port) {
    let is_icmp = |def| {
        core::ptr::eq(def, &raw const icmp::ICMP) || core::ptr::eq(def, &raw const icmpv6::ICMPV6)
    };
    if event.layers.iter().any(|layer| is_icmp(layer.def)) {
        return (None, None);
    }
    let port = |tcp, udp| uint_in(event, &tcp::TCP, tcp).or_else(|| uint_in(event, &udp::UDP, udp));
    (
        port(&tcp::SRCPORT, &udp::SRCPORT),
        port(&tcp::DSTPORT, &udp::DSTPORT),
    )
}

/// An address and a port.
pub type End = (IpAddr, u64);

/// Source and destination of a packet, if it has ports of its own.
#[must_use]
pub fn end_points(event: &Event<'_>) -> Option<(End, End)> {
    let ((source, destination), (from, to)) = (ends(event)?, ports(event));
    Some(((source, from?), (destination, to?)))
}

/// Whether the packet is a TCP segment, and does not only quote one.
fn is_tcp(event: &Event<'_>) -> bool {
    let known = |def| {
        core::ptr::eq(def, &raw const tcp::TCP)
            || core::ptr::eq(def, &raw const icmp::ICMP)
            || core::ptr::eq(def, &raw const icmpv6::ICMPV6)
    };
    let first = event.layers.iter().find(|layer| known(layer.def));
    first.is_some_and(|layer| core::ptr::eq(layer.def, &raw const tcp::TCP))
}

/// The number under a field of that name, if the packet has one.
#[must_use]
pub fn uint(event: &Event<'_>, def: &'static FieldDef) -> Option<u64> {
    event
        .field(def)
        .and_then(|field| field.value(event.bytes(field.buf)).uint())
}

/// The same, looked for only in layers of that protocol: most packets have far more fields in others.
pub(super) fn uint_in(
    event: &Event<'_>,
    protocol: &'static FieldDef,
    def: &'static FieldDef,
) -> Option<u64> {
    let mut layers = event.layers.iter();
    layers.find_map(|layer| {
        if !core::ptr::eq(layer.def, protocol) {
            return None;
        }
        let mut fields = event.fields_of(layer).iter();
        let field = fields.find(|field| core::ptr::eq(field.def, def))?;
        field.value(event.bytes(field.buf)).uint()
    })
}

/// The number that was computed under that name.
#[must_use]
pub fn fact(event: &Event<'_>, def: &'static FieldDef) -> Option<u64> {
    event.note(def).and_then(|note| note.value.uint())
}

/// What a packet does, for the eye that reads one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deed {
    /// The glossary key of the sentence.
    pub key: &'static str,
    /// The number in it.
    pub number: u64,
    /// Whether it also ends the sender's stream.
    pub and_fin: bool,
    /// Whether it is one of many like it in a bulk transfer: data that completes nothing, or a bare acknowledgment.
    pub bulk: bool,
}

impl Deed {
    /// What a packet does that no host has sent: nothing that could be said of its sender.
    #[must_use]
    pub fn made_up() -> Self {
        Self {
            key: "say.packet.made_up",
            number: 0,
            and_fin: false,
            bulk: false,
        }
    }

    /// What this packet does.
    #[must_use]
    pub fn of(event: &Event<'_>) -> Self {
        let deed = |key, number| Self {
            key,
            number,
            and_fin: false,
            bulk: false,
        };
        let Some(flags) = uint_in(event, &tcp::TCP, &tcp::FLAGS).filter(|_| is_tcp(event)) else {
            let key = match ends(event) {
                Some(_) => "say.packet.other",
                None => "say.packet.unknown",
            };
            let other = || deed(key, u64::from(event.frame.wire_len));
            return errand::of(event).unwrap_or_else(other);
        };
        let has = |flag: u16| flags & u64::from(flag) != 0;
        let present = |def| event.note(def).is_some();
        let len = fact(event, &tcp::LEN).unwrap_or(0);
        let texts = event
            .layers
            .iter()
            .filter(|layer| core::ptr::eq(layer.def, &raw const chat::CHAT))
            .count();
        let and_fin = has(Segment::FIN);
        if fact(event, &tcp::CHECKSUM_STATUS) == Some(0) {
            return deed("say.packet.damaged", len);
        }
        if has(Segment::RST) {
            return deed("say.packet.rst", 0);
        }
        if has(Segment::SYN) {
            return deed(
                if present(&tcp::ANALYSIS_RTO) {
                    "say.packet.syn_again"
                } else if has(Segment::ACK) {
                    "say.packet.syn_ack"
                } else {
                    "say.packet.syn"
                },
                0,
            );
        }
        if texts > 0 {
            let key = if texts > 1 {
                "say.packet.says_more"
            } else {
                "say.packet.says"
            };
            return Self {
                and_fin,
                ..deed(key, texts as u64 - 1)
            };
        }
        if let Some(errand) = errand::of(event) {
            return Self { and_fin, ..errand };
        }
        let was_sealed = event.notes.iter().any(|note| {
            core::ptr::eq(note.def, &raw const tls::OPENED) && note.value == tls::opened::VERIFIED
        });
        if let Some(alert) = uint_in(event, &tls::TLS, &tls::alert::DESC) {
            let key = match (alert, was_sealed) {
                (0, true) => "say.packet.goodbye",
                (0, false) => "say.packet.goodbye_clear",
                _ => "say.packet.alert",
            };
            return Self {
                and_fin,
                ..deed(key, alert)
            };
        }
        if let Some(kind) = uint_in(event, &tls::TLS, &tls::handshake::TYPE) {
            let key = match kind {
                1 => "say.packet.client_hello",
                2 if event.note(&tls::handshake::HELLO_RETRY).is_some() => "say.packet.hello_retry",
                2 => "say.packet.server_hello",
                4 => "say.packet.ticket",
                8 | 11 if was_sealed => "say.packet.certificate",
                11 => "say.packet.certificate_clear",
                20 => "say.packet.finished",
                24 => "say.packet.key_update",
                _ => "say.packet.handshake",
            };
            return Self {
                and_fin,
                ..deed(key, kind)
            };
        }
        if len > 0 {
            let is = |values: [Fact; 2]| {
                event.notes.iter().any(|n| {
                    core::ptr::eq(n.def, &raw const tls::OPENED) && values.contains(&n.value)
                })
            };
            let bad_tag = is([tls::opened::BAD_TAG, tls::opened::BAD_PADDING]);
            let sealed = is([tls::opened::NO_SECRET, tls::opened::UNSUPPORTED]);
            let key = if bad_tag {
                "say.packet.bad_tag"
            } else if present(&tcp::ANALYSIS_KEEP_ALIVE) {
                "say.packet.keep_alive"
            } else if present(&tcp::ANALYSIS_RETRANSMISSION) {
                if present(&tcp::ANALYSIS_TIMEOUT) {
                    "say.packet.again_timeout"
                } else if present(&tcp::ANALYSIS_RTO) {
                    "say.packet.again_after"
                } else {
                    "say.packet.again"
                }
            } else if sealed {
                "say.packet.sealed"
            } else if event.field(&tcp::SEGMENT_DATA).is_some() {
                "say.packet.part"
            } else {
                "say.packet.data"
            };
            return Self {
                and_fin,
                bulk: key == "say.packet.part",
                ..deed(key, len)
            };
        }
        if and_fin {
            return deed(
                if present(&tcp::ANALYSIS_RETRANSMISSION) {
                    "say.packet.fin_again"
                } else {
                    "say.packet.fin"
                },
                0,
            );
        }
        let acked = fact(event, &tcp::ANALYSIS_BYTES_ACKED).unwrap_or(0);
        let key = if present(&tcp::STATE_OPENED) {
            "say.packet.connected"
        } else if present(&tcp::ANALYSIS_KEEP_ALIVE) {
            "say.packet.keep_alive"
        } else if present(&tcp::ANALYSIS_ACKS_FIN) {
            "say.packet.ack_fin"
        } else if acked > 0 {
            return Self {
                bulk: true,
                ..deed("say.packet.ack", acked)
            };
        } else if present(&tcp::ANALYSIS_DUPLICATE_ACK) || event.field(&tcp::SACK_LE).is_some() {
            "say.packet.duplicate_ack"
        } else if present(&tcp::ANALYSIS_WINDOW_UPDATE) {
            "say.packet.window"
        } else {
            "say.packet.ack_again"
        };
        deed(key, fact(event, &tcp::WINDOW_SIZE).unwrap_or(0))
    }

    /// Writes the sentence, in at most the rest of the line.
    pub fn write(&self, out: &mut Out, glossary: &Glossary, hosts: &Hosts, event: &Event<'_>) {
        let (ends, ports) = (ends(event), ports(event));
        let mut fill = |out: &mut Out, name: &str| match name {
            "a" => hosts.write_end(out, ends, ports.0, false),
            "b" => hosts.write_end(out, ends, ports.1, true),
            "n" => out.number(self.number),
            "ms" => {
                let since = fact(event, &tcp::ANALYSIS_RTO).unwrap_or(0);
                super::ladder::milliseconds(out, since, 0);
            }
            "sender" | "target" | "mac" | "port" | "name" | "type" | "rcode" | "answer"
            | "message" | "operation" | "method" | "uri" | "phrase" => {
                errand::fill(out, glossary, event, *self, name);
            }
            "alert" => {
                let name = glossary
                    .of(&tls::alert::DESC)
                    .value(self.number)
                    .map_or("?", |named| named.name.as_str());
                out.text(name);
            }
            "text" => {
                if let Some(field) = event.field(&chat::TEXT) {
                    let room = if out.look().plain {
                        SPOKEN
                    } else {
                        let after = if self.and_fin { 14 } else { 6 };
                        out.room().saturating_sub(after).max(16)
                    };
                    quoted(out, event.field_bytes(field), room);
                }
            }
            _ => {}
        };
        out.sentence(glossary.say(self.key), &mut fill);
        if self.and_fin {
            out.sentence(glossary.say("say.packet.and_fin"), &mut fill);
        }
    }
}

/// Writes what somebody said in quotation marks, made harmless, in at most so many columns.
pub fn quoted(out: &mut Out, text: &[u8], columns: usize) {
    out.byte(b'"');
    let whole = out.wire(text, columns.saturating_sub(3).max(4));
    if !whole {
        out.text("…");
    }
    out.byte(b'"');
}

/// Writes the label of a packet's arrow: what it is, in the field's own terms.
pub fn label(out: &mut Out, glossary: &Glossary, event: &Event<'_>, columns: usize) {
    let limit = out.column() + columns;
    let Some(flags) = uint_in(event, &tcp::TCP, &tcp::FLAGS).filter(|_| is_tcp(event)) else {
        if errand::label(out, glossary, event) {
            return;
        }
        let name = event
            .layers
            .last()
            .map_or("?", |layer| glossary.of(layer.def).name.as_str());
        return out.text(name);
    };
    let mut parts = Parts {
        limit,
        any: false,
        full: false,
    };
    // Flags that say something on their own; ACK is on nearly every segment.
    let len = fact(event, &tcp::LEN).unwrap_or(0);
    for (bit, name) in [
        (Segment::SYN, "SYN"),
        (Segment::FIN, "FIN"),
        (Segment::RST, "RST"),
    ] {
        if flags & u64::from(bit) != 0 && (len == 0 || bit == Segment::RST) {
            parts.add(out, name);
        }
    }
    if len == 0 && flags & u64::from(Segment::ACK) != 0 {
        parts.add(out, "ACK");
    }
    let mut repeated = (0, 0);
    // What is looked for stands above TCP.
    let above = event
        .layers
        .iter()
        .skip_while(|layer| !core::ptr::eq(layer.def, &raw const tcp::TCP))
        .skip(1);
    for field in above.flat_map(|layer| event.fields_of(layer)) {
        let number = || field.value(event.bytes(field.buf)).uint().unwrap_or(0);
        if core::ptr::eq(field.def, &raw const tls::handshake::TYPE) {
            let kind = number();
            // EncryptedExtensions says little; what it comes with says more.
            let more = event
                .fields
                .iter()
                .rev()
                .find(|f| core::ptr::eq(f.def, field.def));
            if kind == 8 && !more.is_some_and(|last| core::ptr::eq(last, field)) {
                continue;
            }
            if repeated.0 == kind {
                repeated.1 += 1;
                continue;
            }
            repeated = (kind, 1);
            let name = glossary
                .entry("say.handshake")
                .and_then(|e| e.value(kind))
                .map_or("?", |named| named.name.as_str());
            parts.add(out, name);
        } else if core::ptr::eq(field.def, &raw const tls::alert::DESC) {
            parts.add(
                out,
                glossary
                    .of(field.def)
                    .value(number())
                    .map_or("alert", |named| named.name.as_str()),
            );
        } else if core::ptr::eq(field.def, &raw const http::METHOD)
            || core::ptr::eq(field.def, &raw const http::CODE)
        {
            // Digits or letters, whatever was sent.
            let word = str::from_utf8(event.field_bytes(field)).unwrap_or_default();
            if word.len() <= 16 && word.bytes().all(|b| b.is_ascii_alphanumeric()) {
                parts.add(out, word);
            }
        } else if core::ptr::eq(field.def, &raw const chat::TEXT) && !parts.full {
            if parts.any {
                out.byte(b' ');
            }
            parts.any = true;
            quoted(
                out,
                event.field_bytes(field),
                limit.saturating_sub(out.column()).min(24),
            );
            parts.full = true;
        }
    }
    if !parts.any {
        out.number(len);
        out.ascii(b" B");
    }
    if len > 0 && flags & u64::from(Segment::FIN) != 0 {
        parts.add(out, "FIN");
    }
}

/// Names one after the other, as long as there is room.
struct Parts {
    limit: usize,
    any: bool,
    full: bool,
}

impl Parts {
    fn add(&mut self, out: &mut Out, name: &str) {
        let width = out.look().text_width(name);
        if self.full {
            return;
        }
        if out.column() + width + 2 > self.limit {
            self.full = true;
            out.text(if self.any { " …" } else { "…" });
            self.any = true;
            return;
        }
        if self.any {
            out.byte(b' ');
        }
        out.text(name);
        self.any = true;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use crate::packet::{Frame, LinkType, Time};
    use crate::session::Session;

    #[test]
    fn a_goodbye_in_the_clear_is_not_called_safe() {
        let mut data = Vec::new();
        etherparse::PacketBuilder::ipv4([1, 2, 3, 4], [5, 6, 7, 8], 64)
            .tcp(49152, 443, 1, 65_535)
            .write(&mut data, &[21, 3, 3, 0, 2, 1, 0])
            .unwrap();
        let mut session = Session::new();
        let event = session.push(Frame {
            number: 1,
            time: Time(0),
            link: LinkType::RAW,
            wire_len: data.len() as u32,
            data: &data,
        });
        assert_eq!(Deed::of(&event).key, "say.packet.goodbye_clear");
    }
}
