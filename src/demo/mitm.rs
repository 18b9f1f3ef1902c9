//! Somebody in the middle: three lifelines, which check A's refusal was about, and what the attacker reads beside what an
//! eavesdropper learns.

use std::sync::PoisonError;

use rustls::CertificateError;
use time::OffsetDateTime;

use super::eavesdropper::Eavesdropper;
use super::watch::{Watch, heading, sentence};
use crate::certs::{self, Facts};
use crate::chat::{ChatError, ChatEvent};
use crate::cli::demo::Impostor;
use crate::layers::tcp;
use crate::layers::tls::handshake;
use crate::packet::{Event, Time};
use crate::text::Glossary;
use crate::view::ladder::{Ladder, milliseconds};
use crate::view::paint::{Out, Role};
use crate::view::panes::{self, Pane};
use crate::view::words::{self, Deed, Hosts};
use crate::wire::mitm::{Notebook, Server};
use crate::wire::{Happening, Host, Packet, SERVER_NAME};

/// The column of A's lifeline, as on the ladder.
const LEFT: usize = 13;

/// What the one in the middle shows A.
pub(super) fn server(impostor: Impostor) -> Server {
    match impostor {
        Impostor::UnknownIssuer => Server::UnknownAuthority,
        Impostor::WrongName => Server::WrongName,
        Impostor::Expired => Server::Expired,
        Impostor::NotYetValid => Server::NotYetValid,
        Impostor::SelfSigned => Server::SelfSigned,
    }
}

/// Packets on two links, between three lifelines.
pub(super) struct Lanes {
    start: Option<Time>,
    /// Who is who on each link.
    hosts: [Hosts; 2],
    spoken: [Ladder; 2],
}

impl Lanes {
    pub(super) fn new() -> Self {
        let [a, b] = [Host::A, Host::B].map(|host| host.address().into());
        Self {
            start: None,
            hosts: [[(a, "A"), (b, "M")], [(a, "M"), (b, "B")]]
                .map(|pair| Hosts::new(pair.to_vec())),
            spoken: Default::default(),
        }
    }

    /// Times count from here on, if none has been shown yet.
    pub(super) fn count_from(&mut self, start: Time) {
        self.start.get_or_insert(start);
    }

    /// Who is who on this link.
    pub(super) fn hosts(&self, hop: usize) -> Option<&Hosts> {
        self.hosts.get(hop)
    }

    /// How far the lifelines are from each other.
    fn step(out: &Out) -> usize {
        (out.look().width / 4).clamp(17, 26)
    }

    pub(super) fn head(&self, out: &mut Out) {
        if out.look().plain {
            return;
        }
        let step = Self::step(out);
        out.start(Role::Dim);
        out.ascii(b"  #      ms");
        out.end(Role::Dim);
        for (i, name) in ["A", "M", "B"].into_iter().enumerate() {
            out.to_column(LEFT + i * step);
            out.paint(Role::Heading, name);
        }
        out.newline();
    }

    pub(super) fn packet(
        &mut self,
        out: &mut Out,
        glossary: &Glossary,
        packet: &Packet,
        event: &Event<'_>,
    ) {
        let (Some(hosts), Some(spoken)) =
            (self.hosts.get(packet.hop), self.spoken.get_mut(packet.hop))
        else {
            return;
        };
        if out.look().plain {
            let to_right = packet.from == Host::A;
            let way = (to_right, Deed::of(event));
            spoken.arrow(out, glossary, hosts, event, way);
            return;
        }
        let since = packet.sent.since(*self.start.get_or_insert(packet.sent));
        let (glyphs, step) = (out.glyphs(), Self::step(out));
        let columns = [LEFT, LEFT + step, LEFT + 2 * step];
        out.spaces(3_usize.saturating_sub(packet.id.max(1).ilog10() as usize + 1));
        out.number(packet.id);
        milliseconds(out, since, 8);
        for (i, column) in columns.into_iter().enumerate() {
            out.to_column(column);
            out.text(glyphs.vertical);
            if i == packet.hop {
                arrow(out, glossary, event, column + step, packet.from == Host::A);
            }
        }
        // What opens and closes TCP says its label alone.
        if words::fact(event, &tcp::LEN).unwrap_or(0) > 0 {
            let text = out.aside(|out| Deed::of(event).write(out, glossary, hosts, event));
            out.spaces(2);
            let margin = out.column();
            out.wrapped(&text, |out| {
                lifelines(out, columns);
                out.to_column(margin);
            });
        }
        out.newline();
    }

    /// A line about a packet, with its number and when.
    pub(super) fn remark(
        &self,
        out: &mut Out,
        (id, time): (u64, Time),
        role: Option<Role>,
        text: &str,
    ) {
        let start = |out: &mut Out| role.into_iter().for_each(|role| out.start(role));
        let end = |out: &mut Out| role.into_iter().for_each(|role| out.end(role));
        if out.look().plain {
            out.wrapped(text, |_| ());
            return out.newline();
        }
        let since = time.since(self.start.unwrap_or(time));
        let step = Self::step(out);
        let columns = [LEFT, LEFT + step, LEFT + 2 * step];
        out.spaces(3_usize.saturating_sub(id.max(1).ilog10() as usize + 1));
        out.number(id);
        milliseconds(out, since, 8);
        lifelines(out, columns);
        out.spaces(2);
        let margin = out.column();
        start(out);
        out.wrapped(text, |out| {
            end(out);
            lifelines(out, columns);
            out.to_column(margin);
            start(out);
        });
        end(out);
        out.newline();
    }
}

/// Draws the lifelines.
fn lifelines(out: &mut Out, columns: [usize; 3]) {
    let vertical = out.glyphs().vertical;
    for column in columns {
        out.to_column(column);
        out.text(vertical);
    }
}

/// An arrow that ends before the column `right`.
fn arrow(out: &mut Out, glossary: &Glossary, event: &Event<'_>, right: usize, to_right: bool) {
    let glyphs = out.glyphs();
    let role = event
        .layers
        .last()
        .map_or(Role::Data, |layer| Role::of_layer(layer.def.key));
    let left = out.column();
    let room = right.saturating_sub(left + 5);
    let mut label = out.aside(|out| words::label(out, glossary, event, room));
    // Of what somebody says a little is shown in any case.
    while out.look().text_width(&label) > room + 1 && label.pop().is_some() {}
    out.start(role);
    if to_right {
        out.glyph(glyphs.horizontal);
        out.byte(b' ');
        out.text(&label);
        out.byte(b' ');
        out.fill_to(right - 1, glyphs.horizontal);
        out.text(glyphs.arrow_right);
    } else {
        out.text(glyphs.arrow_left);
        let width = out.look().text_width(&label);
        out.fill_to(right.saturating_sub(width + 3), glyphs.horizontal);
        out.byte(b' ');
        out.text(&label);
        out.byte(b' ');
        out.fill_to(right, glyphs.horizontal);
    }
    out.end(role);
}

/// Looks at the certificate that A is shown, and at what comes of it.
pub(super) struct InTheMiddle {
    insecure: bool,
    notebook: Notebook,
    ear: Eavesdropper,
    shown: Option<Shown>,
    failure: Option<ChatError>,
}

impl InTheMiddle {
    pub(super) fn new(insecure: bool, notebook: Notebook, port: u16) -> Self {
        Self {
            insecure,
            notebook,
            ear: Eavesdropper::new(port),
            shown: None,
            failure: None,
        }
    }

    /// The checks of the certificate, and which one failed.
    fn checks(&self, out: &mut Out, glossary: &Glossary) {
        let Some(Shown {
            facts, packet, at, ..
        }) = &self.shown
        else {
            return;
        };
        heading(out, glossary.say("say.mitm.checks"));
        sentence(out, glossary, "say.mitm.shown", 0, |out, _| {
            out.number(*packet)
        });
        let failed = self.failed();
        for (check, key) in [
            (Check::Issuer, "say.mitm.issuer"),
            (Check::Name, "say.mitm.name"),
            (Check::Time, "say.mitm.time"),
        ] {
            let (role, mark) = if failed == Some(check) || self.is_wrong(check) {
                (Role::Bad, out.glyphs().bad)
            } else {
                (Role::Good, out.glyphs().good)
            };
            out.spaces(if out.look().plain { 0 } else { 3 });
            out.start(role);
            out.glyph(mark);
            out.end(role);
            out.byte(b' ');
            let margin = if out.look().plain { 0 } else { out.column() };
            let key = if check == Check::Issuer && facts.issuer == facts.subject {
                "say.mitm.issuer.self"
            } else {
                key
            };
            let text = out.aside(|out| {
                out.sentence(glossary.say(key), |out, word| match word {
                    "issuer" => {
                        out.wire(facts.issuer.as_deref().unwrap_or("?").as_bytes(), 40);
                    }
                    "wanted" => out.text(SERVER_NAME),
                    "names" => {
                        out.wire(facts.names.join(", ").as_bytes(), 60);
                    }
                    "from" => day(out, facts.from),
                    "until" => day(out, facts.until),
                    _ => day(
                        out,
                        OffsetDateTime::from_unix_timestamp_nanos(at.0.into()).ok(),
                    ),
                });
            });
            out.wrapped(&text, |out| out.to_column(margin));
            out.newline();
        }
        match (&self.failure, self.insecure) {
            (Some(error @ ChatError::Certificate(_)), _) => {
                sentence(out, glossary, "say.mitm.refused", 0, |out, _| {
                    out.text(&error.to_string());
                })
            }
            (_, true) => sentence(out, glossary, "say.mitm.insecure", 0, |_, _| ()),
            // What else it failed of, or that it did not, is told elsewhere.
            (_, false) => {}
        }
        out.newline();
    }

    /// The check that failed: A's TLS says it, or would say it if it were asked.
    fn failed(&self) -> Option<Check> {
        match &self.failure {
            Some(ChatError::Certificate(error)) => match error {
                CertificateError::UnknownIssuer => Some(Check::Issuer),
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => Some(Check::Name),
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => Some(Check::Time),
                _ => None,
            },
            Some(_) => None,
            None => self.would_fail(),
        }
    }

    /// The first thing that is wrong with what stands in the certificate.
    fn would_fail(&self) -> Option<Check> {
        let mut checks = [Check::Issuer, Check::Name, Check::Time].into_iter();
        checks.find(|check| self.is_wrong(*check))
    }

    /// Whether the certificate fails this check, each on its own.
    fn is_wrong(&self, check: Check) -> bool {
        let Some(Shown {
            facts, vouched, at, ..
        }) = &self.shown
        else {
            return false;
        };
        match check {
            Check::Issuer => !vouched,
            Check::Name => !facts.names.iter().any(|name| name == SERVER_NAME),
            Check::Time => {
                OffsetDateTime::from_unix_timestamp_nanos(at.0.into()).map_or(true, |now| {
                    facts.from.is_none_or(|from| from > now)
                        || facts.until.is_none_or(|until| until < now)
                })
            }
        }
    }

    /// What the one in the middle knows.
    fn pane(&self, out: &mut Out, glossary: &Glossary) -> Pane {
        let mut pane = Pane::new(glossary.say("say.mitm.pane"));
        let notes = self.notebook.lock().unwrap_or_else(PoisonError::into_inner);
        let mut read = 0;
        for (_, host, what) in &notes.seen {
            let (label, arrow) = match host {
                Host::A => ("A → M", "A → B"),
                Host::B => ("M → B", "B → A"),
            };
            match what {
                Happening::Hears(ChatEvent::Secured { version, suite, .. }) => {
                    let text = out.aside(|out| {
                        out.sentence(glossary.say("say.mitm.secured"), |out, word| match word {
                            "version" => {
                                let version = glossary
                                    .of(&handshake::VERSION)
                                    .value(u16::from(*version).into());
                                out.text(version.map_or("?", |named| named.name.as_str()));
                            }
                            "suite" => {
                                let suite = glossary
                                    .of(&handshake::CIPHER_SUITE)
                                    .value(u16::from(*suite).into());
                                out.text(suite.map_or("?", |named| named.name.as_str()));
                            }
                            _ => {}
                        });
                    });
                    pane.row(label, text);
                }
                Happening::Hears(ChatEvent::Said(line)) => {
                    read += 1;
                    let text = out.aside(|out| {
                        out.byte(b'"');
                        out.wire(line.text.as_bytes(), 200);
                        out.byte(b'"');
                    });
                    pane.row(arrow, text);
                }
                Happening::Hears(ChatEvent::Goodbye) => {
                    pane.row(arrow, glossary.say("say.mitm.goodbye").to_owned());
                }
                Happening::Fails(error) => pane.row(label, error.to_string()),
                _ => {}
            }
        }
        let key = if read == 0 {
            "say.mitm.nothing"
        } else {
            "say.mitm.all"
        };
        pane.row(glossary.say("say.mitm.sum"), glossary.say(key).to_owned());
        pane
    }
}

/// What A was shown.
struct Shown {
    facts: Facts,
    /// Whether somebody whom A trusts has signed it.
    vouched: bool,
    /// In which packet, and when.
    packet: u64,
    at: Time,
}

/// A check of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    Issuer,
    Name,
    Time,
}

/// A day.
fn day(out: &mut Out, time: Option<OffsetDateTime>) {
    match time {
        Some(time) => out.text(&time.date().to_string()),
        None => out.byte(b'?'),
    }
}

impl Watch for InTheMiddle {
    fn packet(&mut self, packet: &Packet, event: &Event<'_>) {
        self.ear.packet(packet, event);
        if packet.hop == 0
            && packet.from == Host::B
            && self.shown.is_none()
            && let Some(field) = event.field(&handshake::CERTIFICATE)
        {
            let der = event.field_bytes(field);
            let notes = self.notebook.lock().unwrap_or_else(PoisonError::into_inner);
            let facts = Facts::of(der);
            self.shown = Some(Shown {
                vouched: certs::is_vouched_for(der, &notes.trusted, facts.from),
                facts,
                packet: packet.id,
                at: packet.sent,
            });
        }
    }

    fn chat(&mut self, host: Host, _: Time, what: &Happening) {
        if let (Host::A, Happening::Fails(error)) = (host, what) {
            self.failure = Some(error.clone());
        }
    }

    fn end(&self, out: &mut Out, glossary: &Glossary) {
        self.checks(out, glossary);
        let ear = self.ear.pane(out, glossary);
        let pane = self.pane(out, glossary);
        panes::write(out, &[pane, ear]);
    }
}
