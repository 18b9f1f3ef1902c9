//! What is done to the chat of the demonstration: who says what, which rules act, who watches, and what cannot be asked for
//! together.

#[cfg(target_os = "linux")]
use std::time::Duration;

use super::DemoError;
use super::downgrade::Downgrade;
use super::eavesdropper::Eavesdropper;
use super::ending::Ending;
use super::mitm::InTheMiddle;
use super::slow::SlowReader;
use super::watch::Watch;
use crate::cli;
use crate::cli::demo::{Attack, Down, End, Wire as Kind};
use crate::cli::output::Format;
use crate::wire::mitm::Notebook;
use crate::wire::{Script, WireError};

/// What A says where the end comes in between: half of it means something else.
const HALVES: [&str; 2] = ["pay 100 to Ann", "but not today"];

/// With so much room for what B's program has not read, a long text has to wait.
pub(super) const SMALL_BUFFER: usize = 4096;

/// Who says what.
pub(super) fn script(demo: &cli::Demo) -> Script {
    let mut script = Script::default();
    if demo.attack.end.is_some() {
        script.messages = HALVES.map(str::to_owned).to_vec();
        script.reply = "and?".to_owned();
    }
    if demo.attack.slow_reader.is_some() {
        script.messages = vec!["yoho".repeat(3000)];
    }
    if !demo.messages.is_empty() {
        script.messages.clone_from(&demo.messages);
    }
    if let Some(reply) = &demo.reply {
        script.reply.clone_from(reply);
    }
    script
}

/// TLS 1.3 becomes TLS 1.2, which is offered, too.
const STRIKE: &str =
    "set tls.handshake.extensions.supported_version 0x0303 where tls.handshake.type == 1";

/// The server's random becomes another, without a mark.
const WIPE: &str = "set tls.handshake.random \
    00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff \
    where tls.handshake.type == 2";

/// The rules that an attack brings with it, as one would write them behind `--fault`.
pub(super) fn rules(attack: &Attack) -> &'static [&'static str] {
    match (attack.end, attack.downgrade) {
        (Some(End::Fin), _) => &["fin where chat.text && ip.src == 1.2.3.4"],
        (Some(End::Rst), _) => &["rst where chat.text && ip.src == 1.2.3.4"],
        (_, Some(Down::Offer)) => &[STRIKE],
        (_, Some(Down::Wiped)) => &[STRIKE, WIPE],
        _ => &[],
    }
}

/// Who looks at it, and says at the end what there was to be seen.
pub(super) fn watches(
    demo: &cli::Demo,
    notebook: Option<Notebook>,
    port: u16,
) -> Vec<Box<dyn Watch>> {
    let mut watches: Vec<Box<dyn Watch>> = Vec::new();
    if demo.attack.end.is_some() {
        watches.push(Box::new(Ending::new(demo.attack.no_tls)));
    }
    if demo.attack.slow_reader.is_some() {
        watches.push(Box::new(SlowReader::default()));
    }
    if demo.attack.downgrade.is_some() {
        watches.push(Box::new(Downgrade::default()));
    }
    if let Some(notebook) = notebook {
        let insecure = demo.attack.insecure;
        watches.push(Box::new(InTheMiddle::new(insecure, notebook, port)));
    } else if demo.attack.eavesdropper {
        watches.push(Box::new(Eavesdropper::new(port)));
    }
    watches
}

/// Whether a chat that comes to this end is just what was to be shown.
pub(super) fn is_expected(attack: &Attack, error: &WireError) -> bool {
    let fails = matches!(attack.end, Some(End::Fin | End::Rst))
        || attack.downgrade.is_some()
        || attack.mitm.is_some();
    match error {
        // The chat was over, and nothing of it was missing.
        WireError::Lingers { .. } => true,
        error => fails && error.is_end_of_chat(),
    }
}

/// How long a chat is waited for in real time that may never end by itself; `None` where it does.
#[cfg(target_os = "linux")]
pub(super) fn patience(attack: &Attack) -> Option<Duration> {
    matches!(attack.end, Some(End::Fin | End::Rst)).then_some(Duration::from_secs(3))
}

/// Refuses what cannot be shown together, or not on this wire.
pub(super) fn refuse(demo: &cli::Demo, kind: Kind) -> Result<(), DemoError> {
    let attack = &demo.attack;
    let stories = [
        ("--tamper", attack.tamper),
        ("--mitm", attack.mitm.is_some()),
        ("--downgrade", attack.downgrade.is_some()),
        ("--end", attack.end.is_some()),
        ("--slow-reader", attack.slow_reader.is_some()),
    ];
    let mut asked = stories.iter().filter(|(_, asked)| *asked);
    let (first, second) = (asked.next(), asked.next());
    if let (Some((one, _)), Some((other, _))) = (first, second) {
        return Err(DemoError::Usage(format!(
            "{one} and {other} are two stories, and one would hide the other: run one after the other"
        )));
    }
    let no_tls = [
        (
            "--tamper",
            attack.tamper,
            "it shows both, with TLS and without",
        ),
        (
            "--mitm",
            attack.mitm.is_some(),
            "without TLS nobody need be in the middle to read: --no-tls --eavesdropper shows it",
        ),
        (
            "--downgrade",
            attack.downgrade.is_some(),
            "without TLS there is no version to be talked down",
        ),
        (
            "--insecure",
            attack.insecure,
            "without TLS there is no certificate that could go unchecked",
        ),
    ];
    for (option, given, why) in no_tls {
        if given && attack.no_tls {
            return Err(DemoError::Usage(format!(
                "{option} and --no-tls do not go together: {why}. Leave one of them out"
            )));
        }
    }
    if attack.insecure && attack.mitm.is_none() {
        return Err(DemoError::Usage(
            "--insecure alone shows nothing: B's certificate is good, so A takes it in any case. Put it with --mitm"
                .to_owned(),
        ));
    }
    if attack.mitm.is_some() && demo.hops.is_some() {
        return Err(DemoError::Usage(
            "--hops cannot be had with --mitm: M stands where a router would, next to each host, and there is nothing \
             behind it. Leave out one or the other"
                .to_owned(),
        ));
    }
    let wire = (kind == Kind::Loopback)
        .then_some(first)
        .flatten()
        .map(|(option, _)| *option)
        .or((kind == Kind::Loopback && attack.no_tls).then_some("--no-tls"));
    if let Some(option) = wire {
        return Err(DemoError::Usage(format!(
            "{option} does not hold for --wire loopback: lo is the machine's own, and this program only watches it. \
             Leave it out, or take --wire memory or --wire tun"
        )));
    }
    Ok(())
}

/// Refuses what the tamper ladder leaves no room for.
pub(super) fn refuse_beside_tamper(
    demo: &cli::Demo,
    screen: &cli::Screen,
) -> Result<(), DemoError> {
    let output = &demo.output;
    let asked = [
        ("--fault", !demo.fault.is_empty()),
        ("--hops", demo.hops.is_some()),
        ("--reply", demo.reply.is_some()),
        ("--eavesdropper", demo.attack.eavesdropper),
        ("--sides", demo.sides),
        ("--ladder", demo.ladder),
        ("--plot", demo.plot),
        ("--write", output.write.is_some()),
        ("--count", output.count.is_some()),
        ("--filter", output.filter.is_some()),
        ("--format", output.format != Format::Text),
        ("--verbose", screen.verbose > 0),
        ("--hex", screen.hex),
    ];
    match asked.iter().find(|(_, asked)| *asked) {
        None => Ok(()),
        Some((option, _)) => Err(DemoError::Usage(format!(
            "{option} does not go with --tamper, which plays five chats, each with a rule of its own, and tells them in \
             short. Leave it out, or play one of them: --fault 'swap16 chat.text where chat.text'"
        ))),
    }
}
