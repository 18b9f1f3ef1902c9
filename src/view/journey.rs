//! The journey of a message: how it is wrapped on its way down at the sender and unwrapped on its way up at the receiver.
//!
//! ```text
//!       ▼ down at A                                ▲ up at B
//!       ┌ application ────────────── 3 ┐           ┌ application ────────────── 3 ┐
//!       │ "hi" and a newline           │           │ reads "hi"                 ✓ │
//!     ┌─┴ TLS ────────────────────── 25┴─┐       ┌─┴ TLS ...
//! ```

use std::collections::VecDeque;
use std::net::IpAddr;

use super::ladder::milliseconds;
use super::paint::{Out, Role};
use super::words::{self, Hosts, quoted};
use crate::layers::ipv4::checksum_status;
use crate::layers::{chat, ipv4, ipv6, tcp, tls};
use crate::packet::{Event, Fact, Time};
use crate::text::Glossary;

/// So much of a message is kept to be shown.
const PREVIEW: usize = 256;

/// So many messages may be read before their packets are shown.
const MAX_EARLY: usize = 1024;

/// The picture needs so many columns; on a narrower screen a journey is a sentence.
const NARROWEST: usize = 76;

/// What one message became on its way, as measured on its packets.
#[derive(Debug, Clone, Default)]
pub struct Journey {
    from: Option<IpAddr>,
    to: Option<IpAddr>,
    /// The packet that completed it, and the first of those that carried it.
    last: u64,
    first: u64,
    sent_at: Time,
    read_at: Option<Time>,
    text: Vec<u8>,
    /// The message with its newline.
    said: u64,
    messages: u64,
    records: u64,
    /// The records with their headers; their plaintext's padding.
    tls: u64,
    padding: u64,
    other_records: u64,
    record_number: u64,
    cipher: Option<u64>,
    tags_good: bool,
    sealed: bool,
    segments: u64,
    /// The first of its packets that did not arrive.
    lost: Option<u64>,
    tcp: u64,
    tcp_headers: u64,
    tcp_good: bool,
    /// Whether a checksum was left to the hardware.
    tcp_partial: bool,
    ports: (u64, u64),
    seq: u64,
    wire: u64,
    ip_headers: u64,
    ip_good: bool,
    ttl: u64,
}

/// Follows both directions and makes a journey of each message that was carried.
#[derive(Debug, Default)]
pub struct Journeys {
    underway: [Journey; 2],
    done: Vec<Journey>,
    /// Who has read a message, and when, before the packet was shown.
    early: VecDeque<(&'static str, Time)>,
}

impl Journeys {
    /// Takes up a packet, and whether it is lost on the way.
    pub fn packet(&mut self, hosts: &Hosts, event: &Event<'_>, lost: bool) {
        let Some((from, to)) = words::ends(event) else {
            return;
        };
        let Some(journey) = self
            .underway
            .get_mut(usize::from(!hosts.is_left(from, words::ports(event).0)))
        else {
            return;
        };
        let len = words::fact(event, &tcp::LEN).unwrap_or(0);
        if len == 0 {
            return;
        }
        if journey.segments == 0 {
            let again = event.note(&tcp::ANALYSIS_RETRANSMISSION).is_some();
            let adds = event
                .layers
                .iter()
                .any(|layer| core::ptr::eq(layer.def, &raw const tls::TLS));
            if again && !adds {
                // Of a message whose journey is over.
                return;
            }
            *journey = Journey {
                from: Some(from),
                to: Some(to),
                first: event.frame.number,
                sent_at: event.frame.time,
                tags_good: true,
                tcp_good: true,
                ip_good: true,
                seq: words::fact(event, &tcp::SEQ).unwrap_or(0),
                ports: (
                    words::uint(event, &tcp::SRCPORT).unwrap_or(0),
                    words::uint(event, &tcp::DSTPORT).unwrap_or(0),
                ),
                ttl: words::uint(event, &ipv4::TTL).unwrap_or(0),
                ..Journey::default()
            };
        }
        journey.last = event.frame.number;
        journey.segments += 1;
        if lost {
            journey.lost.get_or_insert(event.frame.number);
        }
        journey.tcp += len;
        // The box of IP ends where IP does; what a link puts around it is not counted.
        let link = event.layers.iter().find(|layer| {
            core::ptr::eq(layer.def, &raw const ipv4::IP)
                || core::ptr::eq(layer.def, &raw const ipv6::IPV6)
        });
        let link = link.map_or(0, |layer| layer.bytes.start);
        journey.wire += u64::from(event.frame.wire_len.saturating_sub(link));
        journey.tcp_headers += words::uint(event, &tcp::HDR_LEN).unwrap_or(0);
        journey.ip_headers += words::uint(event, &ipv4::HDR_LEN).unwrap_or(40);
        match words::fact(event, &tcp::CHECKSUM_STATUS).map(Fact::Uint) {
            Some(checksum_status::GOOD) => {}
            Some(checksum_status::PARTIAL) => journey.tcp_partial = true,
            _ => journey.tcp_good = false,
        }
        journey.ip_good &=
            words::fact(event, &ipv4::CHECKSUM_STATUS).is_none_or(|status| status == 1);
        let mut application = false;
        for (index, layer) in event.layers.iter().enumerate() {
            if core::ptr::eq(layer.def, &raw const tls::TLS) {
                let bytes = u64::from(layer.bytes.end - layer.bytes.start);
                if journey.record(event, index) {
                    application = true;
                    journey.tls += bytes;
                } else {
                    journey.other_records += bytes;
                }
            } else if core::ptr::eq(layer.def, &raw const chat::CHAT) {
                for field in event.fields_of(layer) {
                    let bytes = event.field_bytes(field);
                    journey.said += bytes.len() as u64;
                    if journey.messages == 0 && core::ptr::eq(field.def, &raw const chat::TEXT) {
                        journey.text.extend_from_slice(
                            bytes.get(..PREVIEW.min(bytes.len())).unwrap_or(bytes),
                        );
                    }
                }
                journey.messages += 1;
            }
        }
        if journey.messages > 0 {
            let read = |(by, _): &(&str, Time)| journey.is_for(hosts, by);
            if let Some(early) = self.early.iter().position(read) {
                journey.read_at = self.early.remove(early).map(|(_, at)| at);
            }
            self.done.push(core::mem::take(journey));
        } else if journey.other_records > 0 && !application {
            // These bytes were the handshake's, not a message's.
            *journey = Journey::default();
        }
    }

    /// The application of the host with that name has read a message, at that time.
    ///
    /// A wire over the kernel's own TCP may show this before the packet that carried the message.
    pub fn read(&mut self, hosts: &Hosts, by: &'static str, at: Time) {
        let mut done = self.done.iter_mut();
        match done.find(|j| j.read_at.is_none() && j.is_for(hosts, by)) {
            Some(journey) => journey.read_at = Some(at),
            None => self.early.push_back((by, at)),
        }
        if self.early.len() > MAX_EARLY {
            self.early.pop_front();
        }
    }

    /// The journeys so far, in the order of their ends.
    #[must_use]
    pub fn done(&self) -> &[Journey] {
        &self.done
    }
}

impl Journey {
    /// Whether it leads to the host with that name.
    fn is_for(&self, hosts: &Hosts, name: &str) -> bool {
        let to = self.to.and_then(|to| hosts.name(to, Some(self.ports.1)));
        to == Some(name)
    }

    /// Takes up one TLS record; says whether it carries application data.
    fn record(&mut self, event: &Event<'_>, layer: usize) -> bool {
        let fields = event
            .layers
            .get(layer)
            .map_or(&[][..], |layer| event.fields_of(layer));
        let inner = fields
            .iter()
            .find(|f| core::ptr::eq(f.def, &raw const tls::record::CONTENT_TYPE));
        let is_data = inner.and_then(|f| f.value(event.bytes(f.buf)).uint()) == Some(23);
        let mut opened = false;
        let mut number = 0;
        for note in event.notes_of(layer) {
            let def: *const _ = note.def;
            if core::ptr::eq(def, &raw const tls::OPENED) {
                opened = note.value == Fact::Uint(1);
            } else if core::ptr::eq(def, &raw const tls::SEQUENCE) {
                number = note.value.uint().unwrap_or(0);
            } else if core::ptr::eq(def, &raw const tls::CIPHER) {
                self.cipher = note.value.uint();
            }
        }
        if !is_data {
            return false;
        }
        if self.records == 0 {
            self.record_number = number;
        }
        let padding = fields
            .iter()
            .find(|f| core::ptr::eq(f.def, &raw const tls::record::PADDING));
        self.padding += padding.map_or(0, |f| u64::from(f.bits / 8));
        self.records += 1;
        self.tags_good &= opened;
        self.sealed = true;
        true
    }

    /// The whole picture: down on the left, up on the right.
    pub fn picture(&self, out: &mut Out, glossary: &Glossary, hosts: &Hosts) {
        if out.look().plain {
            return self.spoken(out, glossary, hosts);
        }
        if out.look().width < NARROWEST {
            return self.line(out, glossary, hosts);
        }
        self.title(out, glossary, hosts);
        let columns = Columns::of(out);
        out.spaces(columns.inset(0));
        out.start(Role::Heading);
        self.say(out, glossary, hosts, "say.journey.down");
        out.end(Role::Heading);
        out.to_column(columns.right + columns.inset(0));
        out.start(Role::Heading);
        self.say(out, glossary, hosts, "say.journey.up");
        out.end(Role::Heading);
        out.newline();
        let layers = self.layers();
        for (depth, layer) in layers.iter().enumerate() {
            boxes_top(out, &columns, depth, layer, glossary);
            for line in 0..layer.lines {
                for side in [Side::Down, Side::Up] {
                    let left = columns.start(side) + columns.inset(depth);
                    let right = columns.start(side) + columns.half - 1 - columns.inset(depth);
                    out.to_column(left);
                    out.paint(layer.role, out.glyphs().vertical);
                    out.byte(b' ');
                    let text = out.aside(|out| {
                        let key = layer.key(side, line);
                        out.sentence(glossary.say(&key), |out, name| {
                            self.fill(out, glossary, hosts, name, right.saturating_sub(left + 24));
                        });
                    });
                    cut(out, &text, right - 1);
                    out.to_column(right);
                    out.paint(layer.role, out.glyphs().vertical);
                }
                out.newline();
            }
        }
        let glyphs = out.glyphs();
        for side in [Side::Down, Side::Up] {
            let depth = layers.len() - 1;
            out.to_column(columns.start(side) + columns.inset(depth));
            out.start(Role::Ip);
            out.text(glyphs.bottom_left);
            out.fill_to(
                columns.start(side) + columns.half - 1 - columns.inset(depth),
                glyphs.horizontal,
            );
            out.text(glyphs.bottom_right);
            out.end(Role::Ip);
        }
        out.newline();
        self.arithmetic(out, glossary, hosts);
        out.newline();
    }

    /// The same in one line, for the later ones of many.
    pub fn line(&self, out: &mut Out, glossary: &Glossary, hosts: &Hosts) {
        if out.look().plain {
            return self.spoken(out, glossary, hosts);
        }
        let mark = out.mark();
        self.say(out, glossary, hosts, "say.journey.line");
        out.wrap_since(mark, |out| out.spaces(4));
        out.newline();
    }

    /// The same in sentences.
    fn spoken(&self, out: &mut Out, glossary: &Glossary, hosts: &Hosts) {
        let mut sentences = vec!["say.journey.title.plain".to_owned()];
        let layers = self.layers();
        for layer in &layers {
            sentences.push(format!("say.journey.{}.plain.down", layer.name));
        }
        for layer in layers.iter().rev() {
            sentences.push(format!("say.journey.{}.plain.up", layer.name));
        }
        for key in sentences {
            self.say(out, glossary, hosts, &key);
            out.newline();
        }
        self.arithmetic(out, glossary, hosts);
    }

    fn title(&self, out: &mut Out, glossary: &Glossary, hosts: &Hosts) {
        let glyphs = out.glyphs();
        out.fill_to(3, glyphs.horizontal);
        out.byte(b' ');
        out.start(Role::Heading);
        self.say(out, glossary, hosts, "say.journey.title");
        out.end(Role::Heading);
        out.byte(b' ');
        let packets = if self.segments > 1 {
            "say.journey.packets"
        } else {
            "say.journey.packet"
        };
        let text = out.aside(|out| self.say(out, glossary, hosts, packets));
        let end = out.look().width.min(80);
        let stop = end.saturating_sub(out.look().text_width(&text) + 5);
        out.fill_to(stop, glyphs.horizontal);
        out.byte(b' ');
        out.text(&text);
        out.byte(b' ');
        out.fill_to(end, glyphs.horizontal);
        out.newline();
    }

    fn arithmetic(&self, out: &mut Out, glossary: &Glossary, hosts: &Hosts) {
        let key = match (self.sealed, self.segments > 1) {
            (true, false) => "say.journey.sum",
            (true, true) => "say.journey.sum_many",
            (false, _) => "say.journey.sum_clear",
        };
        out.start(Role::Computed);
        let mark = out.mark();
        self.say(out, glossary, hosts, key);
        if self.lost.is_some() {
            let key = match self.read_at {
                Some(_) => "say.journey.lost",
                None => "say.journey.lost.unread",
            };
            out.byte(b' ');
            self.say(out, glossary, hosts, key);
        }
        if !out.look().plain {
            out.wrap_since(mark, |_| ());
        }
        out.end(Role::Computed);
        out.newline();
    }

    fn layers(&self) -> Vec<LayerBox> {
        let many = self.segments > 1;
        let tls = LayerBox {
            name: "tls",
            role: Role::Tls,
            lines: 2,
            many: self.records > 1,
            size: self.tls,
        };
        let mut layers = vec![
            LayerBox {
                name: "app",
                role: Role::App,
                lines: 1,
                many: self.messages > 1,
                size: self.said,
            },
            tls,
            LayerBox {
                name: "tcp",
                role: Role::Tcp,
                lines: 2,
                many,
                size: self.tcp + self.tcp_headers,
            },
            LayerBox {
                name: "ip",
                role: Role::Ip,
                lines: 2,
                many,
                size: self.wire,
            },
        ];
        if !self.sealed {
            layers.remove(1);
        }
        layers
    }

    fn say(&self, out: &mut Out, glossary: &Glossary, hosts: &Hosts, key: &str) {
        let room = out.look().width.min(80) / 2;
        out.sentence(glossary.say(key), |out, name| {
            self.fill(out, glossary, hosts, name, room)
        });
    }

    /// Writes what stands for a placeholder.
    fn fill(&self, out: &mut Out, glossary: &Glossary, hosts: &Hosts, name: &str, room: usize) {
        let verdict = |out: &mut Out, good: bool| {
            let glyphs = out.glyphs();
            out.text(match (out.look().plain, good) {
                (true, true) => glossary.say("say.right"),
                (true, false) => glossary.say("say.wrong"),
                (false, true) => glyphs.good,
                (false, false) => glyphs.bad,
            });
        };
        match name {
            "a" => hosts.write(out, self.from, Some(self.ports.0)),
            "b" => hosts.write(out, self.to, Some(self.ports.1)),
            "src" | "dst" => {
                let address = if name == "src" { self.from } else { self.to };
                out.text(&address.map(|a| a.to_string()).unwrap_or_default());
            }
            "text" => quoted(out, &self.text, room),
            "first" => out.number(self.first),
            "last" => out.number(self.last),
            "lost" => out.number(self.lost.unwrap_or(self.last)),
            "sent" => milliseconds(out, self.sent_at.0, 0),
            "messages" => out.number(self.messages),
            "said_bytes" => {
                out.number(self.said);
                out.byte(b' ');
                out.text(glossary.say(if self.said == 1 {
                    "say.detail.byte"
                } else {
                    "say.detail.bytes"
                }));
            }
            "records" => out.number(self.records),
            "tls" => out.number(self.tls),
            "inner" => out.number(self.records + self.padding),
            "heads" => out.number(self.records * 5),
            "tags" => out.number(self.records * 16),
            "tls_added" => out.number(self.tls.saturating_sub(self.said)),
            "record" => out.number(self.record_number),
            "cipher" => {
                let named = self.cipher.and_then(|c| {
                    glossary
                        .of(&tls::CIPHER)
                        .value(c)
                        .or_else(|| glossary.of(&tls::handshake::CIPHER_SUITE).value(c))
                });
                out.text(named.map_or("?", |named| named.name.as_str()));
            }
            "segments" => out.number(self.segments),
            "tcp_payload" => out.number(self.tcp),
            "tcp_headers" => out.number(self.tcp_headers),
            "tcp" => out.number(self.tcp + self.tcp_headers),
            "from_port" => out.number(self.ports.0),
            "to_port" => out.number(self.ports.1),
            "seq" => out.number(self.seq),
            "ip_headers" => out.number(self.ip_headers),
            "wire" => out.number(self.wire),
            "ttl" => out.number(self.ttl),
            "tag_ok" => verdict(out, self.tags_good),
            "tcp_ok" if self.tcp_partial && self.tcp_good => {
                out.text(glossary.say("say.journey.partial"));
            }
            "tcp_ok" => verdict(out, self.tcp_good),
            "ip_ok" => verdict(out, self.ip_good),
            "read_ok" => verdict(out, self.read_at.is_some()),
            "ms" => milliseconds(out, self.read_at.map_or(0, |at| at.since(self.sent_at)), 0),
            "percent" => {
                let tenths = (self.said * 1000 + self.wire / 2) / self.wire.max(1);
                out.number(tenths / 10);
                out.byte(b'.');
                out.number(tenths % 10);
            }
            _ => {}
        }
    }
}

/// One layer's boxes in the picture.
struct LayerBox {
    name: &'static str,
    role: Role,
    lines: usize,
    /// Whether the message took several of this layer's units.
    many: bool,
    size: u64,
}

impl LayerBox {
    /// The glossary key of a line in it.
    fn key(&self, side: Side, line: usize) -> String {
        let side = if side == Side::Down { "down" } else { "up" };
        let many = if self.many { ".many" } else { "" };
        format!("say.journey.{}.{side}.{line}{many}", self.name)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Down,
    Up,
}

/// Where the two columns of boxes stand.
struct Columns {
    half: usize,
    right: usize,
}

impl Columns {
    fn of(out: &Out) -> Self {
        let half = (out.look().width.min(80) - 2) / 2;
        Self {
            half,
            right: half + 2,
        }
    }

    fn start(&self, side: Side) -> usize {
        if side == Side::Down { 0 } else { self.right }
    }

    /// A box is drawn inside the one that will hold it.
    fn inset(&self, depth: usize) -> usize {
        3_usize.saturating_sub(depth)
    }
}

/// The upper edges of a layer's boxes, which are the lower edges of the ones above.
fn boxes_top(
    out: &mut Out,
    columns: &Columns,
    depth: usize,
    layer: &LayerBox,
    glossary: &Glossary,
) {
    let glyphs = out.glyphs();
    let size = layer.size.max(1).ilog10() as usize + 1;
    for side in [Side::Down, Side::Up] {
        let left = columns.start(side) + columns.inset(depth);
        let right = columns.start(side) + columns.half - 1 - columns.inset(depth);
        out.to_column(left);
        out.start(layer.role);
        out.text(glyphs.top_left);
        if depth > 0 {
            out.text(glyphs.tee_up);
        }
        out.byte(b' ');
        out.text(glossary.say(match layer.name {
            "app" => "say.journey.app",
            "tls" => "say.journey.tls",
            "tcp" => "say.journey.tcp",
            _ => "say.journey.ip",
        }));
        out.byte(b' ');
        out.fill_to(right - size - 2 - usize::from(depth > 0), glyphs.horizontal);
        out.byte(b' ');
        out.number(layer.size);
        out.byte(b' ');
        if depth > 0 {
            out.text(glyphs.tee_up);
        }
        out.text(glyphs.top_right);
        out.end(layer.role);
    }
    out.newline();
}

/// Writes a text up to a column, and an ellipsis if it does not fit.
fn cut(out: &mut Out, text: &str, column: usize) {
    let room = column.saturating_sub(out.column());
    if out.look().text_width(text) <= room {
        return out.text(text);
    }
    let mut width = 0;
    let ellipsis = out.look().text_width("…");
    let end = text.char_indices().find(|(_, c)| {
        width += out.look().char_width(*c);
        width + ellipsis > room
    });
    out.text(
        text.get(..end.map_or(text.len(), |(at, _)| at))
            .unwrap_or(text),
    );
    out.text("…");
}
