//! What came of a fault, in words: a line about each packet that was touched, a count where there are many, and remarks
//! where it happens. The words are in the glossary, under `say.verdict.*`.

use super::ladder::milliseconds;
use super::paint::Out;
use super::words;
use crate::layers::tls;
use crate::text::Glossary;
use crate::verdict::{
    Caught, Check, Consequence, Cure, Effect, Layer, Reaction, Remark, Tally, Verdict, Why,
};
use crate::wire::Host;

/// So much of a text that was read is shown, in columns.
const READ: usize = 40;

/// So much of an error is shown, in columns.
const ERROR: usize = 160;

/// Writes the sentence about one packet, such as: #8 (rule 1): caught by TCP (checksum), cured by retransmission after
/// 207.0 ms (#11, timeout 207.0 ms); the chat noticed nothing but a wait of 207.0 ms.
pub fn verdict(out: &mut Out, glossary: &Glossary, names: &Names, verdict: &Verdict) {
    out.sentence(glossary.say("say.verdict.line"), |out, word| match word {
        "packet" => out.number(verdict.packet),
        "rules" => rules(out, glossary, verdict),
        "caught" if believed(verdict) => out.text(glossary.say("say.verdict.caught.believed")),
        "caught" => caught(out, glossary, verdict.caught),
        "cure" => cure(out, glossary, &verdict.cure),
        _ => effect(out, glossary, names, (&verdict.effect, Form::Verdict)),
    });
}

/// Writes the sentence that counts what a rule led to.
pub fn tally(out: &mut Out, glossary: &Glossary, tally: &Tally) {
    out.sentence(glossary.say("say.verdict.tally"), |out, word| match word {
        "rule" => out.number(tally.rule as u64 + 1),
        "n" => out.number(tally.touched),
        "caught" => {
            let mut parts: Vec<_> = tally.caught.iter().collect();
            parts.sort_by_key(|(_, n)| core::cmp::Reverse(**n));
            list(out, glossary, &parts, |out, by| {
                caught(out, glossary, **by);
            });
        }
        "cured" => {
            let mut parts: Vec<_> = tally.cured.iter().collect();
            parts.sort_by_key(|(_, n)| core::cmp::Reverse(**n));
            list(out, glossary, &parts, |out, name| {
                out.text(glossary.say(&format!("say.verdict.tally.cured.{name}")));
            });
        }
        _ => {
            let mut parts: Vec<_> = tally.effects.iter().collect();
            parts.sort_by_key(|(_, n)| core::cmp::Reverse(**n));
            list(out, glossary, &parts, |out, name| {
                let key = format!("say.verdict.tally.effect.{name}");
                out.sentence(glossary.say(&key), |out, _| time(out, tally.longest));
            });
        }
    });
    if tally.untraced > 0 {
        let words = glossary.say("say.verdict.tally.untraced");
        out.byte(b' ');
        out.sentence(words, |out, word| match word {
            "rule" => out.number(tally.rule as u64 + 1),
            _ => out.number(tally.untraced),
        });
    }
}

/// What the hosts at both ends of a link are called.
pub type Names = [&'static str; 2];

/// Writes a remark about what just happened on a link between two hosts of these names.
pub fn remark(out: &mut Out, glossary: &Glossary, names: &Names, remark: &Remark) {
    match &remark.what {
        Consequence::Reacted { host, how } => reacted(out, glossary, names, remark, (*host, *how)),
        Consequence::Again { why, .. } => {
            let key = format!("say.verdict.remark.{}", why.name());
            out.sentence(glossary.say(&key), |out, word| match (word, *why) {
                ("about", _) => out.number(remark.about),
                ("waited", Why::Timeout(waited) | Why::Probe(waited)) => time(out, waited),
                ("n", Why::Duplicates(n)) => out.number(n.into()),
                _ => {}
            });
        }
        Consequence::Told { host, syn } => {
            let key = if *syn {
                "say.verdict.remark.told_syn"
            } else {
                "say.verdict.remark.told"
            };
            out.sentence(glossary.say(key), |out, word| match word {
                "host" => host_name(out, names, *host),
                _ => out.number(remark.about),
            });
        }
        Consequence::Alarm { host, alert } => {
            let words = glossary.say("say.verdict.remark.alarm");
            out.sentence(words, |out, word| match word {
                "host" => host_name(out, names, *host),
                "about" => out.number(remark.about),
                _ => alert_name(out, glossary, *alert),
            });
        }
        Consequence::Saw(what) => effect(out, glossary, names, (what, Form::Remark)),
    }
}

/// Whether TCP did what an attacker wanted, and no layer above could know better.
fn believed(verdict: &Verdict) -> bool {
    let did = matches!(verdict.reaction, Reaction::Reset | Reaction::Ended);
    did && verdict.caught == Caught::Nobody
}

fn reacted(
    out: &mut Out,
    glossary: &Glossary,
    names: &Names,
    remark: &Remark,
    (host, how): (Host, Reaction),
) {
    let key = match how {
        // TCP answers what it cannot place.
        Reaction::Discarded(Check::TcpPort | Check::TcpAcknowledgment | Check::IpProtocol) => {
            "answered"
        }
        Reaction::Kept if remark.packet != remark.about => "gap",
        how => how.name(),
    };
    let key = format!("say.verdict.remark.{key}");
    out.sentence(glossary.say(&key), |out, word| match (word, how) {
        ("host", _) => host_name(out, names, host),
        ("peer", _) => host_name(out, names, host.other()),
        ("about", _) => out.number(remark.about),
        ("packet", _) => out.number(remark.packet),
        ("layer", Reaction::Discarded(check)) => layer(out, glossary, check.layer()),
        ("by", Reaction::Discarded(check)) => by(out, glossary, check.name()),
        _ => {}
    });
}

fn rules(out: &mut Out, glossary: &Glossary, verdict: &Verdict) {
    let mut rules: Vec<_> = verdict.touched.iter().map(|touch| touch.rule).collect();
    rules.dedup();
    let key = if rules.len() > 1 {
        "say.verdict.rules"
    } else {
        "say.verdict.rule"
    };
    out.sentence(glossary.say(key), |out, _| {
        for (place, rule) in rules.iter().enumerate() {
            if place > 0 {
                out.ascii(b", ");
            }
            out.number(*rule as u64 + 1);
        }
    });
}

fn caught(out: &mut Out, glossary: &Glossary, who: Caught) {
    let (Some(by_layer), name) = (who.layer(), who.name()) else {
        return out.text(glossary.say("say.verdict.caught.nobody"));
    };
    match who {
        Caught::Tls => out.text(glossary.say("say.verdict.caught.tls")),
        Caught::Application => out.text(glossary.say("say.verdict.caught.application")),
        _ => out.sentence(glossary.say("say.verdict.caught"), |out, word| {
            match (word, who) {
                ("layer", _) => layer(out, glossary, by_layer),
                (_, Caught::Alert(alert)) => alert_name(out, glossary, alert),
                _ => by(out, glossary, name),
            }
        }),
    }
}

fn cure(out: &mut Out, glossary: &Glossary, cure: &Cure) {
    let key = format!("say.verdict.cure.{}", cure.name());
    out.sentence(glossary.say(&key), |out, word| match (word, *cure) {
        ("packet", Cure::Retransmission { packet, .. } | Cure::LaterAck { packet }) => {
            out.number(packet);
        }
        ("times", Cure::Never { times, .. }) => out.number(times),
        ("after", Cure::Retransmission { after, .. }) => time(out, after),
        (
            "waited",
            Cure::Retransmission {
                why: Why::Timeout(waited) | Why::Probe(waited),
                ..
            },
        ) => time(out, waited),
        (
            "n",
            Cure::Retransmission {
                why: Why::Duplicates(n),
                ..
            },
        ) => out.number(n.into()),
        _ => {}
    });
}

/// Where it is said what the chat saw.
#[derive(Clone, Copy)]
enum Form {
    Verdict,
    Remark,
}

fn effect(out: &mut Out, glossary: &Glossary, names: &Names, (effect, form): (&Effect, Form)) {
    let name = match effect {
        Effect::Wrong { said: None, .. } => "made_up",
        effect => effect.name(),
    };
    let key = match form {
        Form::Verdict => format!("say.verdict.effect.{name}"),
        Form::Remark => format!("say.verdict.remark.{name}"),
    };
    out.sentence(glossary.say(&key), |out, word| match (word, effect) {
        (
            "host",
            Effect::Wrong { host, .. }
            | Effect::Broke { host, .. }
            | Effect::GaveUp { host }
            | Effect::UnprovenEnd { host },
        ) => host_name(out, names, *host),
        (
            "peer",
            Effect::Wrong { host, .. }
            | Effect::Broke { host, .. }
            | Effect::GaveUp { host }
            | Effect::UnprovenEnd { host },
        ) => host_name(out, names, host.other()),
        ("time", Effect::Late(by) | Effect::LateEnd(by)) => time(out, *by),
        ("said", Effect::Wrong { said, .. }) => {
            words::quoted(out, said.as_deref().unwrap_or("").as_bytes(), READ);
        }
        ("read", Effect::Wrong { read, .. }) => words::quoted(out, read.as_bytes(), READ),
        ("error", Effect::Broke { error, .. }) => {
            // It may quote what came over the wire.
            out.wire(error.to_string().as_bytes(), ERROR);
        }
        _ => {}
    });
}

fn list<T>(out: &mut Out, glossary: &Glossary, parts: &[(T, &u64)], say: impl Fn(&mut Out, &T)) {
    for (place, (what, n)) in parts.iter().enumerate() {
        if place > 0 {
            out.ascii(b", ");
        }
        let words = glossary.say("say.verdict.tally.part");
        out.sentence(words, |out, word| match word {
            "n" => out.number(**n),
            _ => say(out, what),
        });
    }
}

fn layer(out: &mut Out, glossary: &Glossary, layer: Layer) {
    out.text(glossary.say(match layer {
        Layer::Ip => "say.verdict.layer.ip",
        Layer::Tcp => "say.verdict.layer.tcp",
        Layer::Tls => "say.verdict.layer.tls",
        Layer::Application => "say.verdict.layer.application",
    }));
}

fn by(out: &mut Out, glossary: &Glossary, name: &str) {
    out.text(glossary.say(&format!("say.verdict.by.{name}")));
}

fn alert_name(out: &mut Out, glossary: &Glossary, alert: u8) {
    let named = glossary.of(&tls::alert::DESC).value(alert.into());
    out.text(named.map_or("?", |named| named.name.as_str()));
}

fn host_name(out: &mut Out, names: &Names, host: Host) {
    let [a, b] = names;
    out.text(if host == Host::A { a } else { b });
}

fn time(out: &mut Out, nanos: u64) {
    milliseconds(out, nanos, 0);
    out.ascii(b" ms");
}
