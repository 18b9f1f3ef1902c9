//! The tamper ladder: the same message attacked in four ways over TLS, and once without it. Each rung is a chat of its own,
//! and what is said about it is what was found in its packets and heard in it.

use std::io::Write;

use super::watch::{heading, hex, sentence};
use super::{DemoError, scene};
use crate::cli;
use crate::cli::demo::Attack;
use crate::layers::{tcp, tls};
use crate::packet::{Event, Frame};
use crate::session::Session;
use crate::text::Glossary;
use crate::verdict::{Caught, Tracer};
use crate::view::ladder::milliseconds;
use crate::view::paint::{Out, Role};
use crate::view::words;
use crate::wire::fault::Deed;
use crate::wire::{Happening, Host, Packet, Script, Seen};

/// What A says unless it is told otherwise: with its first two words swapped it is another sum.
const TEXT: &str = "1000 euros for Ann";

/// So many bytes are shown before and behind those that were changed.
const AROUND: usize = 4;

/// A way to attack: the fault rule, and whether there is TLS.
struct Rung {
    rule: &'static str,
    plain: bool,
    title: &'static str,
    row: &'static str,
    /// Why TCP does not notice.
    fooled: &'static str,
}

const RUNGS: [Rung; 5] = [
    Rung {
        rule: "flip chat.text stale where chat.text && ip.src == 1.2.3.4",
        plain: false,
        title: "say.tamper.rung.1",
        row: "say.tamper.row.1",
        fooled: "say.tamper.tcp.fooled.repaired",
    },
    Rung {
        rule: "swap16 chat.text where chat.text && ip.src == 1.2.3.4",
        plain: false,
        title: "say.tamper.rung.2",
        row: "say.tamper.row.2",
        fooled: "say.tamper.tcp.fooled.swap",
    },
    Rung {
        rule: "flip chat.text where chat.text && ip.src == 1.2.3.4",
        plain: false,
        title: "say.tamper.rung.3",
        row: "say.tamper.row.3",
        fooled: "say.tamper.tcp.fooled.repaired",
    },
    Rung {
        rule: "replay where chat.text && ip.src == 1.2.3.4",
        plain: false,
        title: "say.tamper.rung.4",
        row: "say.tamper.row.4",
        fooled: "say.tamper.tcp.fooled.replay",
    },
    Rung {
        rule: "swap16 chat.text where chat.text && ip.src == 1.2.3.4",
        plain: true,
        title: "say.tamper.rung.5",
        row: "say.tamper.row.5",
        fooled: "say.tamper.tcp.fooled.swap",
    },
];

/// The packet that was attacked, or made.
#[derive(Debug, Default)]
struct Attacked {
    packet: u64,
    time: u64,
    /// Where the first changed byte is; `None` where nothing was changed.
    at: Option<usize>,
    /// The bytes around it.
    before: Vec<u8>,
    after: Vec<u8>,
    /// Which of them are changed: those before are not.
    first: usize,
    seq: u64,
    sums: [u64; 2],
    /// The packet of which it is a copy, that one's sequence number, and the number of its record.
    original: Option<(u64, u64, u64)>,
}

/// What was found out about a rung.
#[derive(Debug, Default)]
struct Found {
    attacked: Option<Attacked>,
    /// It was sent again: in which packet, and so many nanoseconds later.
    again: Option<(u64, u64)>,
    /// B's alert: in which packet, and which.
    alert: Option<(u64, u64)>,
    /// What B's program read.
    read: Vec<String>,
    /// B's TLS gave up.
    failed: bool,
    /// Who noticed.
    caught: Option<Caught>,
    /// The last packet of A with a text: its number, its sequence number, the number of its record, how long it is.
    last: Option<(u64, u64, u64)>,
}

/// Who noticed an attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Tcp,
    Tls,
    Nobody,
    /// Somebody who is not expected to.
    Other,
}

impl Found {
    fn who(&self) -> Who {
        match self.caught {
            Some(Caught::Check(_)) => Who::Tcp,
            Some(Caught::Alert(_) | Caught::Tls) => Who::Tls,
            Some(Caught::Nobody) => Who::Nobody,
            _ => Who::Other,
        }
    }

    fn packet(&mut self, packet: &Packet, event: &Event<'_>) {
        let seq = words::uint(event, &tcp::SEQ_RAW).unwrap_or(0);
        let len = words::fact(event, &tcp::LEN).unwrap_or(0);
        let record = words::fact(event, &tls::SEQUENCE).unwrap_or(0);
        if packet.from == Host::B {
            if let Some(alert) = words::uint(event, &tls::alert::DESC).filter(|n| *n != 0) {
                self.alert.get_or_insert((packet.id, alert));
            }
            return;
        }
        if let Some(attacked) = &self.attacked {
            if self.again.is_none() && seq == attacked.seq && len > 0 {
                self.again = Some((packet.id, packet.sent.0 - attacked.time));
            }
            return;
        }
        let Some(touch) = packet.touched.first() else {
            if len > 0 {
                self.last = Some((packet.id, seq, record));
            }
            return;
        };
        let sum = |bytes: &[u8]| checksum(event, bytes).unwrap_or(0);
        let sent = packet.before.as_deref().unwrap_or(&packet.bytes);
        let mut attacked = Attacked {
            packet: packet.id,
            time: packet.sent.0,
            seq,
            sums: [sum(sent), sum(&packet.bytes)],
            ..Attacked::default()
        };
        match touch.deed {
            Deed::Changed { at, len, .. } => {
                let start = at.saturating_sub(AROUND);
                let piece = |bytes: &[u8]| {
                    let end = (at + len + AROUND).min(bytes.len());
                    bytes.get(start..end).unwrap_or_default().to_vec()
                };
                attacked.at = Some(at);
                attacked.first = at - start;
                attacked.before = piece(sent);
                attacked.after = piece(&packet.bytes);
            }
            _ => {
                attacked.original = self.last;
                attacked.after = packet
                    .bytes
                    .get(packet.bytes.len().saturating_sub(12)..)
                    .unwrap_or_default()
                    .to_vec();
            }
        }
        self.attacked = Some(attacked);
    }
}

/// TCP's checksum in these bytes of the packet.
fn checksum(event: &Event<'_>, bytes: &[u8]) -> Option<u64> {
    let field = event.field(&tcp::CHECKSUM)?;
    let sum = bytes.get(field.bytes())?.first_chunk()?;
    Some(u16::from_be_bytes(*sum).into())
}

/// Plays the ladder.
pub(super) fn run(
    demo: &cli::Demo,
    glossary: &Glossary,
    out: &mut Out,
    to: &mut impl Write,
) -> Result<(), DemoError> {
    let text = text(demo)?;
    let mut found = Vec::new();
    for (number, rung) in (1..).zip(&RUNGS) {
        let result = play(demo, text, rung)?;
        if number == 1 {
            title(out, glossary, demo, text);
        }
        show(out, glossary, text, (number, rung), &result);
        out.flush_to(to)?;
        found.push(result);
    }
    table(out, glossary, text, &found);
    out.flush_to(to)?;
    Ok(())
}

/// The message, if it can be attacked in all of these ways.
fn text(demo: &cli::Demo) -> Result<&str, DemoError> {
    let text = match demo.messages.as_slice() {
        [] => TEXT,
        [one] => one,
        [_, _, ..] => {
            return Err(DemoError::Usage(
                "--tamper attacks one message in many ways: give one".to_owned(),
            ));
        }
    };
    let (words, _) = text.as_bytes().as_chunks::<2>();
    if words.windows(2).any(|two| matches!(two, [a, b] if a != b)) {
        Ok(text)
    } else {
        Err(DemoError::Usage(format!(
            "--tamper swaps two pairs of letters, and in {text:?} no two neighbouring pairs differ: say something \
             longer, such as {TEXT:?}"
        )))
    }
}

fn play(demo: &cli::Demo, text: &str, rung: &Rung) -> Result<Found, DemoError> {
    let demo = cli::Demo {
        wire: demo.wire,
        seed: demo.seed,
        mtu: demo.mtu,
        latency: demo.latency,
        link: demo.link,
        fault: vec![rung.rule.to_owned()],
        attack: Attack {
            no_tls: rung.plain,
            ..Attack::default()
        },
        ..cli::Demo::default()
    };
    let script = Script {
        messages: vec![text.to_owned()],
        ..Script::default()
    };
    let scene = scene::set(&demo, &script)?;
    let mut session = Session::new();
    let mut found = Found::default();
    let mut tracer = Tracer::new(scene.links);
    for seen in scene.wire {
        if let Ok(seen @ (Seen::Chat { .. } | Seen::Released { .. })) = &seen {
            tracer.seen(seen, None);
        }
        match seen {
            Ok(Seen::Key { line, .. }) => session
                .keylog_line(&line)
                .map_err(|error| DemoError::Wire(error.to_string()))?,
            Ok(Seen::Packet(packet)) => {
                let event = session.push(Frame {
                    number: packet.id,
                    time: packet.sent,
                    link: packet.link.link_type(),
                    wire_len: packet.bytes.len() as u32,
                    data: &packet.bytes,
                });
                tracer.packet(&packet, Some(&event));
                found.packet(&packet, &event);
            }
            Ok(Seen::Chat {
                host: Host::B,
                what,
                ..
            }) => {
                found
                    .read
                    .extend(what.heard().map(|line| line.text.clone()));
                found.failed |= matches!(what, Happening::Fails(_));
            }
            Ok(_) => {}
            // The chat is meant to fail; how, is found out.
            Err(crate::wire::WireError::Chat { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        // What two TCPs do that somebody has put out of step is another story.
        if found.failed && found.alert.is_some() {
            break;
        }
    }
    let (verdicts, _) = tracer.finish(1);
    found.caught = verdicts.first().map(|verdict| verdict.caught);
    Ok(found)
}

fn title(out: &mut Out, glossary: &Glossary, demo: &cli::Demo, text: &str) {
    out.start(Role::Heading);
    sentence(out, glossary, "say.tamper.title", 0, |out, _| {
        quoted(out, text)
    });
    out.end(Role::Heading);
    sentence(out, glossary, "say.tamper.intro", 0, |out, _| {
        out.text(scene::wire_name(demo.wire.unwrap_or_default()));
    });
}

fn quoted(out: &mut Out, text: &str) {
    out.byte(b'"');
    if !out.wire(text.as_bytes(), 40) {
        out.text("…");
    }
    out.byte(b'"');
}

/// One rung: what was done, who noticed and how, what B's program read.
fn show(
    out: &mut Out,
    glossary: &Glossary,
    text: &str,
    (number, rung): (u64, &Rung),
    found: &Found,
) {
    out.newline();
    let title = out.aside(|out| {
        out.number(number);
        out.ascii(b"  ");
        out.text(glossary.say(rung.title));
    });
    heading(out, &title);
    let Some(attacked) = &found.attacked else {
        return;
    };
    done(out, glossary, rung, attacked);
    let (alert_packet, alert) = found.alert.unwrap_or_default();
    let alert_name = glossary.of(&tls::alert::DESC).value(alert);
    let who = found.who();
    if who == Who::Tcp {
        sentence(out, glossary, "say.tamper.tcp.caught", 3, |_, _| ());
        if let Some((packet, nanos)) = found.again {
            sentence(
                out,
                glossary,
                "say.tamper.tcp.again",
                3,
                |out, word| match word {
                    "ms" => milliseconds(out, nanos, 0),
                    _ => out.number(packet),
                },
            );
        }
    } else {
        sentence(out, glossary, rung.fooled, 3, |_, _| ());
    }
    let key = match (who, attacked.original) {
        (Who::Tcp, _) => None,
        (Who::Tls, Some(_)) => Some("say.tamper.tls.replay"),
        (Who::Tls, None) => Some("say.tamper.tls.caught"),
        (Who::Nobody | Who::Other, _) => rung.plain.then_some("say.tamper.nobody"),
    };
    if let Some(key) = key {
        let (.., sealed) = attacked.original.unwrap_or_default();
        sentence(out, glossary, key, 3, |out, word| match word {
            "packet" => out.number(alert_packet),
            "n" => out.number(alert),
            "sealed" => out.number(sealed),
            "opened" => out.number(sealed + 1),
            _ => out.text(alert_name.map_or("?", |value| value.name.as_str())),
        });
    }
    let (key, role) = match found.read.as_slice() {
        [] => ("say.tamper.read.nothing", Role::Warn),
        [read] if read == text && attacked.original.is_some() => {
            ("say.tamper.read.once", Role::Good)
        }
        [read] if read == text => ("say.tamper.read.right", Role::Good),
        _ => ("say.tamper.read.wrong", Role::Bad),
    };
    out.to_column(if out.look().plain { 0 } else { 3 });
    out.start(role);
    sentence(out, glossary, key, 3, |out, _| {
        quoted(out, &found.read.join(" | "));
    });
    out.end(role);
}

/// Which bytes were attacked, before and after.
fn done(out: &mut Out, glossary: &Glossary, rung: &Rung, attacked: &Attacked) {
    if let Some((original, seq, _)) = attacked.original {
        sentence(
            out,
            glossary,
            "say.tamper.copied",
            3,
            |out, word| match word {
                "packet" => out.number(attacked.packet),
                "original" => out.number(original),
                "seq" => out.number(attacked.seq),
                _ => out.number(seq),
            },
        );
        return row(out, glossary, "say.tamper.made", &attacked.after, |_| false);
    }
    let what = if rung.plain {
        "say.tamper.clear"
    } else {
        "say.tamper.sealed"
    };
    let [before, after] = attacked.sums;
    sentence(
        out,
        glossary,
        "say.tamper.where",
        3,
        |out, word| match word {
            "packet" => out.number(attacked.packet),
            "at" => out.number(attacked.at.unwrap_or(0) as u64),
            "what" => out.text(glossary.say(what)),
            "before" => out.hex(before, 4),
            _ => out.hex(after, 4),
        },
    );
    let differs = |i: usize| attacked.before.get(i) != attacked.after.get(i);
    row(
        out,
        glossary,
        "say.tamper.before",
        &attacked.before,
        differs,
    );
    row(out, glossary, "say.tamper.after", &attacked.after, differs);
}

/// A line of bytes: those that were changed stand out, by colour and by what stands below them.
fn row(
    out: &mut Out,
    glossary: &Glossary,
    key: &str,
    bytes: &[u8],
    marked: impl Fn(usize) -> bool,
) {
    let plain = out.look().plain;
    out.spaces(if plain { 0 } else { 3 });
    out.text(glossary.say(key));
    out.ascii(b"  ");
    out.to_column(if plain { 0 } else { 14 });
    hex(out, bytes, marked);
    if bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n')) {
        out.ascii(b"   \"");
        out.wire(bytes, 40);
        out.byte(b'"');
    }
    out.newline();
}

/// Who noticed, in a line each.
fn table(out: &mut Out, glossary: &Glossary, text: &str, found: &[Found]) {
    out.newline();
    heading(out, glossary.say("say.tamper.table"));
    let columns = [3, 26, 36, 57];
    let plain = out.look().plain;
    if !plain {
        let heads = ["attack", "tcp", "tls", "read"].map(|head| format!("say.tamper.table.{head}"));
        for (column, head) in columns.into_iter().zip(&heads) {
            out.to_column(column);
            out.paint(Role::Heading, glossary.say(head));
        }
        out.newline();
    }
    let mut odd = 0;
    for ((number, rung), found) in (1..).zip(&RUNGS).zip(found) {
        let who = found.who();
        let expected = match number {
            1 => Who::Tcp,
            5 => Who::Nobody,
            _ => Who::Tls,
        };
        odd += u64::from(who != expected || found.attacked.is_none());
        let tcp = match who {
            Who::Tcp => ("say.tamper.cell.caught", Role::Good),
            _ => ("say.tamper.cell.fooled", Role::Warn),
        };
        let (_, alert) = found.alert.unwrap_or_default();
        let value = glossary.of(&tls::alert::DESC).value(alert);
        let name = value.map_or("?", |value| value.name.as_str());
        let alert_name = format!("{name} ({alert})");
        let tls = match who {
            Who::Tls => (alert_name.as_str(), Role::Good),
            _ if rung.plain => (glossary.say("say.tamper.cell.absent"), Role::Warn),
            Who::Tcp => (glossary.say("say.tamper.cell.not_asked"), Role::Data),
            Who::Nobody | Who::Other => (glossary.say("say.tamper.cell.fooled"), Role::Bad),
        };
        let right = found.read.iter().all(|read| read == text);
        let read = out.aside(|out| match found.read.first() {
            None => out.text(glossary.say("say.tamper.read.none")),
            Some(read) => {
                if !out.wire(read.as_bytes(), 19) {
                    out.text("…");
                }
            }
        });
        if plain {
            sentence(
                out,
                glossary,
                "say.tamper.cell.plain",
                0,
                |out, word| match word {
                    "attack" => out.text(glossary.say(rung.row)),
                    "tcp" => out.text(glossary.say(tcp.0)),
                    "tls" => out.text(tls.0),
                    _ => out.text(&read),
                },
            );
            continue;
        }
        out.number(number);
        out.to_column(columns[0]);
        out.text(glossary.say(rung.row));
        out.to_column(columns[1]);
        out.paint(tcp.1, glossary.say(tcp.0));
        out.to_column(columns[2]);
        out.paint(tls.1, tls.0);
        out.to_column(columns[3]);
        let (role, mark) = match (found.read.is_empty(), right) {
            (true, _) => (Role::Data, ""),
            (false, true) => (Role::Good, out.glyphs().good),
            (false, false) => (Role::Bad, out.glyphs().bad),
        };
        out.start(role);
        out.text(&read);
        out.byte(b' ');
        out.glyph(mark);
        out.end(role);
        out.newline();
    }
    out.newline();
    let key = if odd == 0 {
        "say.tamper.end"
    } else {
        "say.tamper.end.odd"
    };
    sentence(out, glossary, key, 0, |out, _| out.number(odd));
}
