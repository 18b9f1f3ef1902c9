//! Somebody on the path strikes TLS 1.3 out of A's offer: what was edited, the mark in B's answer, and what A does.

use aws_lc_rs::digest::{SHA256, digest};
use rustls::CertificateError;

use super::watch::{Watch, heading, hex, sentence};
use crate::chat::ChatError;
use crate::layers::tls::{self, handshake, record};
use crate::packet::{Event, Time};
use crate::text::Glossary;
use crate::view::paint::{Out, Role};
use crate::view::words;
use crate::wire::fault::Deed;
use crate::wire::{Happening, Host, Packet};

/// The last eight bytes of the random of a server that could do TLS 1.3 and was asked for 1.2 (RFC 8446, section 4.1.3).
pub(super) const MARK: &[u8; 8] = b"DOWNGRD\x01";

/// The bytes of the extension before the versions: its type, its length, the list's length.
const EXTENSION: usize = 5;

/// A piece of a packet as it was sent and as it arrived.
#[derive(Debug, Default)]
struct Edited {
    packet: u64,
    before: Vec<u8>,
    after: Vec<u8>,
}

/// Looks at the versions.
#[derive(Debug, Default)]
pub(super) struct Downgrade {
    /// The extension supported_versions.
    offer: Edited,
    /// All that A has sent before B's answer, as each side has it: the ClientHello, in its record.
    hello: [Vec<u8>; 2],
    /// The ServerHello's random.
    random: Edited,
    /// Packet, host and number of the alert.
    alert: Option<(u64, Host, u64)>,
    failure: Option<(Host, ChatError)>,
}

impl Watch for Downgrade {
    fn packet(&mut self, packet: &Packet, event: &Event<'_>) {
        let sent = packet.before.as_deref().unwrap_or(&packet.bytes);
        let changed = packet.touched.iter().find_map(|touch| match touch.deed {
            Deed::Changed { at, .. } => Some(at),
            _ => None,
        });
        if packet.from == Host::A
            && self.random.packet == 0
            && let Some(pieces) = payload(event, [sent, &packet.bytes])
        {
            for (hello, piece) in self.hello.iter_mut().zip(pieces) {
                hello.extend_from_slice(piece);
            }
        }
        match words::uint(event, &handshake::TYPE) {
            Some(1) if packet.from == Host::A => {
                if let Some(at) = changed {
                    let start = at.saturating_sub(EXTENSION);
                    let piece =
                        |bytes: &[u8]| bytes.get(start..at + 4).unwrap_or_default().to_vec();
                    self.offer = Edited {
                        packet: packet.id,
                        before: piece(sent),
                        after: piece(&packet.bytes),
                    };
                }
            }
            Some(2) => {
                if let Some(field) = event.field(&handshake::RANDOM) {
                    let after = event.field_bytes(field).to_vec();
                    // The field labels the packet itself, or the stream it is a part of: found again by its bytes.
                    let at = packet
                        .bytes
                        .windows(after.len().max(1))
                        .position(|bytes| bytes == after);
                    let before = at.and_then(|at| sent.get(at..at + after.len()));
                    self.random = Edited {
                        packet: packet.id,
                        before: before.unwrap_or(&after).to_vec(),
                        after,
                    };
                }
            }
            _ => {}
        }
        if let Some(alert) = words::uint(event, &tls::alert::DESC).filter(|alert| *alert != 0) {
            self.alert.get_or_insert((packet.id, packet.from, alert));
        }
    }

    fn chat(&mut self, host: Host, _: Time, what: &Happening) {
        if let (Happening::Fails(error), None) = (what, &self.failure) {
            self.failure = Some((host, error.clone()));
        }
    }

    fn end(&self, out: &mut Out, glossary: &Glossary) {
        heading(out, glossary.say("say.downgrade.title"));
        if self.offer.before.is_empty() {
            return sentence(out, glossary, "say.downgrade.untouched", 0, |_, _| ());
        }
        sentence(out, glossary, "say.downgrade.offer", 0, |out, _| {
            out.number(self.offer.packet);
        });
        both(out, glossary, &self.offer);
        sentence(out, glossary, "say.downgrade.answer", 0, |out, _| {
            out.number(self.random.packet);
        });
        let tail = |bytes: &[u8]| bytes.last_chunk::<8>().copied().unwrap_or_default();
        let random = Edited {
            packet: 0,
            before: tail(&self.random.before).to_vec(),
            after: tail(&self.random.after).to_vec(),
        };
        let wiped = random.before != random.after;
        if wiped {
            both(out, glossary, &random);
        } else {
            row(out, "say.downgrade.random", glossary, &random.after, |_| {
                random.after == MARK
            });
        }
        let key = match (random.before == MARK, wiped) {
            (true, true) => "say.downgrade.wiped",
            (true, false) => "say.downgrade.mark",
            (false, _) => "say.downgrade.no_mark",
        };
        sentence(out, glossary, key, 0, |_, _| ());
        if let Some((packet, host, alert)) = self.alert {
            // A checks the certificate first, and then, with its key, what B has signed (RFC 5246, section 7.4.3).
            let signature = matches!(
                self.failure,
                Some((_, ChatError::Certificate(CertificateError::BadSignature)))
            );
            let key = if signature {
                "say.downgrade.signature"
            } else {
                "say.downgrade.alert"
            };
            sentence(out, glossary, key, 0, |out, word| match word {
                "a" => out.text(super::name(host)),
                "packet" => out.number(packet),
                "alert" => {
                    let entry = glossary.of(&tls::alert::DESC).value(alert);
                    out.text(entry.map_or("?", |value| value.name.as_str()));
                }
                "n" => out.number(alert),
                _ => {
                    if let Some((_, error)) = &self.failure {
                        out.text(&error.to_string());
                    }
                }
            });
        }
        let [a, b] = self.hello.each_ref().map(|hello| hash(hello));
        sentence(
            out,
            glossary,
            "say.downgrade.finished",
            0,
            |out, word| match word {
                "a" => out.hex_bytes(&a),
                _ => out.hex_bytes(&b),
            },
        );
    }
}

/// What a segment carries, as A sent it and as it arrived.
fn payload<'p>(event: &Event<'_>, packets: [&'p [u8]; 2]) -> Option<[&'p [u8]; 2]> {
    let tcp = event
        .layers
        .iter()
        .find(|layer| core::ptr::eq(layer.def, &raw const crate::layers::tcp::TCP))?;
    let start = tcp.bytes.end as usize;
    let [sent, arrived] = packets;
    Some([sent.get(start..)?, arrived.get(start..)?])
}

/// The first bytes of the hash over a ClientHello: what its record carries.
fn hash(hello: &[u8]) -> [u8; 4] {
    let hash = digest(&SHA256, hello.get(record::HEADER_LEN..).unwrap_or(&[]));
    hash.as_ref().first_chunk().copied().unwrap_or_default()
}

/// What was sent and what arrived, one below the other, with what differs marked.
fn both(out: &mut Out, glossary: &Glossary, edited: &Edited) {
    let differs = |i: usize| edited.before.get(i) != edited.after.get(i);
    row(out, "say.tamper.before", glossary, &edited.before, differs);
    row(out, "say.tamper.after", glossary, &edited.after, differs);
}

/// Bytes with a word before them and, where they can be read, their letters behind.
fn row(
    out: &mut Out,
    key: &str,
    glossary: &Glossary,
    bytes: &[u8],
    marked: impl Fn(usize) -> bool,
) {
    out.spaces(3);
    out.text(glossary.say(key));
    out.to_column(14);
    if out.look().plain {
        out.byte(b' ');
    }
    hex(out, bytes, marked);
    if bytes == MARK {
        out.ascii(b"   ");
        out.start(Role::Value);
        out.wire(bytes, 20);
        out.end(Role::Value);
    }
    out.newline();
}
