//! What somebody on the way learns who has no keys at all: read off the packets by a session that was told no secret.

use std::net::IpAddr;

use super::watch::Watch;
use crate::certs::Facts;
use crate::layers::tls::{extensions, handshake, record};
use crate::layers::{chat, tcp};
use crate::packet::{Event, FieldDef, Frame, Time};
use crate::session::Session;
use crate::text::Glossary;
use crate::view::ladder::milliseconds;
use crate::view::paint::Out;
use crate::view::panes::{self, Pane};
use crate::view::words;
use crate::wire::{Happening, Host, Packet};

/// So many records and texts are listed.
const MAX_LISTED: usize = 10;

/// Of a sealed record of TLS 1.3, what is not content: the content type and the tag (RFC 8446, section 5.2).
const AROUND: u64 = 1 + 16;

/// One who listens.
#[derive(Debug)]
pub(super) struct Eavesdropper {
    session: Session,
    ends: Option<((IpAddr, IpAddr), (u64, u64))>,
    start: Option<Time>,
    last: Time,
    packets: u64,
    bytes: u64,
    name: Option<Vec<u8>>,
    protocols: Vec<Vec<u8>>,
    offered: Vec<u64>,
    suites: Vec<u64>,
    groups: Vec<u64>,
    chosen: Option<(u64, u64)>,
    certificate: Option<Facts>,
    sealed: Vec<(Time, Host, u64)>,
    texts: Vec<(Time, Host, Vec<u8>)>,
}

impl Eavesdropper {
    pub(super) fn new(port: u16) -> Self {
        let mut session = Session::new();
        session.treat_port(port, crate::wire::PORT);
        Self {
            session,
            ends: None,
            start: None,
            last: Time::default(),
            packets: 0,
            bytes: 0,
            name: None,
            protocols: Vec::new(),
            offered: Vec::new(),
            suites: Vec::new(),
            groups: Vec::new(),
            chosen: None,
            certificate: None,
            sealed: Vec::new(),
            texts: Vec::new(),
        }
    }

    /// What it knows.
    pub(super) fn pane(&self, out: &mut Out, glossary: &Glossary) -> Pane {
        let mut pane = Pane::new(glossary.say("say.ear.title"));
        let mut row =
            |out: &mut Out, label: &str, key: &str, fill: &mut dyn FnMut(&mut Out, &str)| {
                let text = out.aside(|out| out.sentence(glossary.say(key), fill));
                let label = if label.is_empty() {
                    ""
                } else {
                    glossary.say(label)
                };
                pane.row(label, text);
            };
        if let Some(((from, to), (from_port, to_port))) = self.ends {
            row(
                out,
                "say.ear.who",
                "say.ear.who.text",
                &mut |out, word| match word {
                    "from" => out.text(&from.to_string()),
                    "to" => out.text(&to.to_string()),
                    "from_port" => out.number(from_port),
                    _ => out.number(to_port),
                },
            );
        }
        if let Some(name) = &self.name {
            row(out, "say.ear.name", "say.ear.name.text", &mut |out, _| {
                out.wire(name, 60);
            });
        }
        if !self.protocols.is_empty() {
            row(out, "say.ear.alpn", "say.ear.plain", &mut |out, _| {
                for protocol in &self.protocols {
                    out.wire(protocol, 20);
                    out.byte(b' ');
                }
            });
        }
        if !self.offered.is_empty() {
            row(
                out,
                "say.ear.offer",
                "say.ear.offer.text",
                &mut |out, word| match word {
                    "versions" => names(out, glossary, &handshake::VERSION, &self.offered),
                    "n" => out.number(self.suites.len() as u64),
                    _ => names(out, glossary, &extensions::SUPPORTED_GROUP, &self.groups),
                },
            );
        }
        if let Some((version, suite)) = self.chosen {
            row(
                out,
                "say.ear.choice",
                "say.ear.choice.text",
                &mut |out, word| match word {
                    "version" => names(out, glossary, &handshake::VERSION, &[version]),
                    _ => names(out, glossary, &handshake::CIPHER_SUITE, &[suite]),
                },
            );
            match &self.certificate {
                None => row(
                    out,
                    "say.ear.certificate",
                    "say.ear.certificate.hidden",
                    &mut |_, _| (),
                ),
                Some(facts) => row(
                    out,
                    "say.ear.certificate",
                    "say.ear.certificate.shown",
                    &mut |out, _| {
                        out.wire(facts.names.join(", ").as_bytes(), 60);
                    },
                ),
            }
        }
        self.content(out, &mut row);
        let took = self.last.since(self.start.unwrap_or_default());
        row(
            out,
            "say.ear.amount",
            "say.ear.amount.text",
            &mut |out, word| match word {
                "packets" => out.number(self.packets),
                "bytes" => out.number(self.bytes),
                _ => milliseconds(out, took, 0),
            },
        );
        pane
    }

    /// The sealed records, or what was said where nothing is sealed.
    fn content(
        &self,
        out: &mut Out,
        row: &mut impl FnMut(&mut Out, &str, &str, &mut dyn FnMut(&mut Out, &str)),
    ) {
        let start = self.start.unwrap_or_default();
        let since = |time: &Time| time.since(start);
        let arrow = |host: &Host| match host {
            Host::A => "→",
            Host::B => "←",
        };
        let mut label = "say.ear.texts";
        for (time, host, text) in self.texts.iter().take(MAX_LISTED) {
            row(out, label, "say.ear.text", &mut |out, word| match word {
                "ms" => milliseconds(out, since(time), 0),
                "arrow" => out.text(arrow(host)),
                _ => {
                    out.wire(text, 100);
                }
            });
            label = "";
        }
        let mut label = "say.ear.sealed";
        for (time, host, len) in self.sealed.iter().take(MAX_LISTED) {
            row(out, label, "say.ear.record", &mut |out, word| match word {
                "ms" => milliseconds(out, since(time), 0),
                "arrow" => out.text(arrow(host)),
                "len" => out.number(*len),
                _ => out.number(len.saturating_sub(AROUND)),
            });
            label = "";
        }
        let more = self.texts.len().saturating_sub(MAX_LISTED)
            + self.sealed.len().saturating_sub(MAX_LISTED);
        if more > 0 {
            row(out, "", "say.ear.more", &mut |out, _| {
                out.number(more as u64)
            });
        }
    }
}

/// The names of these values, or their numbers.
fn names(out: &mut Out, glossary: &Glossary, def: &'static FieldDef, values: &[u64]) {
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            out.ascii(b", ");
        }
        match glossary.of(def).value(*value) {
            Some(named) => out.text(&named.name),
            None => {
                out.ascii(b"0x");
                out.hex(*value, 4);
            }
        }
    }
}

impl Watch for Eavesdropper {
    fn packet(&mut self, packet: &Packet, _: &Event<'_>) {
        // It sits at A's link.
        if packet.hop != 0 {
            return;
        }
        self.packets += 1;
        self.bytes += packet.bytes.len() as u64;
        self.start.get_or_insert(packet.sent);
        self.last = packet.sent;
        let event = self.session.push(Frame {
            number: packet.id,
            time: packet.sent,
            link: packet.link.link_type(),
            wire_len: packet.bytes.len() as u32,
            data: &packet.bytes,
        });
        if self.ends.is_none()
            && let (Some(ends), Some(from), Some(to)) = (
                words::ends(&event),
                words::uint(&event, &tcp::SRCPORT),
                words::uint(&event, &tcp::DSTPORT),
            )
        {
            self.ends = Some((ends, (from, to)));
        }
        let is_hello = words::uint(&event, &handshake::TYPE);
        let mut version = words::uint(&event, &handshake::VERSION);
        let mut record = None;
        for field in event.fields {
            let number = || field.value(event.bytes(field.buf)).uint().unwrap_or(0);
            let bytes = event.field_bytes(field);
            let is = |def: &'static FieldDef| core::ptr::eq(field.def, def);
            if is(&record::CONTENT_TYPE) || is(&record::OPAQUE_TYPE) {
                record = Some(number());
            } else if is(&record::LENGTH) && record == Some(23) {
                self.sealed.push((packet.sent, packet.from, number()));
            } else if is(&chat::TEXT) {
                self.texts.push((packet.sent, packet.from, bytes.to_vec()));
            } else if is(&handshake::CERTIFICATE) && self.certificate.is_none() {
                self.certificate = Some(Facts::of(bytes));
            } else if is_hello == Some(1) {
                if is(&extensions::SERVER_NAME) {
                    self.name = Some(bytes.to_vec());
                } else if is(&extensions::ALPN_STR) {
                    self.protocols.push(bytes.to_vec());
                } else if is(&extensions::SUPPORTED_VERSION) {
                    self.offered.push(number());
                } else if is(&handshake::CIPHER_SUITE) {
                    self.suites.push(number());
                } else if is(&extensions::SUPPORTED_GROUP) {
                    self.groups.push(number());
                }
            } else if is_hello == Some(2) {
                if is(&extensions::SUPPORTED_VERSION) {
                    // In TLS 1.3 the true version stands here.
                    version = Some(number());
                    self.chosen = self.chosen.and_then(|(_, suite)| Some((version?, suite)));
                } else if is(&handshake::CIPHER_SUITE) {
                    self.chosen = Some((version.unwrap_or(0), number()));
                }
            }
        }
    }

    fn chat(&mut self, _: Host, _: Time, _: &Happening) {}

    fn end(&self, out: &mut Out, glossary: &Glossary) {
        let pane = self.pane(out, glossary);
        panes::write(out, &[pane]);
    }
}
