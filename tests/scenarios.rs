//! What happens when something is done to one packet: scenarios as data, in `tests/scenarios/*.toml`, played on the memory
//! wire and over Linux's own TCP, as root and as an ordinary user. What does not hold is said with file and line.
//!
//! ```toml
//! [[scenario]]
//! name = "a segment of data is lost"
//! faults = ['drop where chat.text == "hi"']       # the rules of --fault
//! messages = ["hi"]                               # what A says; B answers each with `reply`
//! packets = { 'tcp.flags.syn == 1' = 2 }          # how many packets fit: a number, or ">= 2"
//! read = { A = ["hello"], B = ["hi"] }            # what each application read, if it is not the usual
//! fails = "B"                                     # at whom the chat fails first; nowhere if left out
//! tshark = { 'tcp.analysis.retransmission' = 1 }  # how many packets of the written capture fit, by tshark's own filters
//! verdict = [{ reaction = "lost", caught = "tcp.no_acknowledgment", cure = "timeout", effect = "late" }]
//!
//! [scenario.tun]                                  # where Linux does otherwise: what, and why
//! why = "..."
//! verdict = [...]
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use layerwise::filter::Filter;
use layerwise::layers::tls;
use layerwise::packet::Frame;
use layerwise::session::Session;
use layerwise::text::Glossary;
use layerwise::verdict::{Caught, Cure, Effect, Tally, Tracer, Verdict, Why};
use layerwise::wire::fault::{Fates, Report, Rule};
use layerwise::wire::memory::{self, Memory};
use layerwise::wire::{Happening, Host, Script, Seen, Wire, WireError};
use serde::Deserialize;
use toml::Spanned;

// --- the table -------------------------------------------------------------------------------------------------------

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    scenario: Vec<Scenario>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    name: Spanned<String>,
    faults: Spanned<Vec<String>>,
    #[serde(default = "one_message")]
    messages: Vec<String>,
    /// Instead of the messages: one of so many bytes.
    long: Option<usize>,
    #[serde(default = "one_reply")]
    reply: String,
    #[serde(default = "one")]
    seed: u64,
    #[serde(default = "both")]
    wires: Vec<On>,
    /// Why not on both, or what is to be learned here.
    why: Option<String>,
    #[serde(default)]
    packets: BTreeMap<Spanned<String>, Count>,
    read: Option<Spanned<BTreeMap<Name, Vec<String>>>>,
    fails: Option<Spanned<Name>>,
    verdict: Option<Spanned<Vec<Spanned<Want>>>>,
    /// Of many: how many were touched, and what must not have come of them.
    touched: Option<Spanned<Count>>,
    never: Option<Spanned<Vec<String>>>,
    /// Rules, counted from 1, that never fire.
    idle: Option<Spanned<Vec<usize>>>,
    /// They chat in clear.
    #[serde(default)]
    no_tls: bool,
    /// The hosts wait for each other for ever.
    #[serde(default)]
    stalls: bool,
    /// Both programs have had all, but TCP does not come to its end.
    #[serde(default)]
    lingers: bool,
    /// How many packets of the written capture fit in tshark, on the memory wire.
    #[serde(default)]
    tshark: BTreeMap<Spanned<String>, Count>,
    memory: Option<Differs>,
    tun: Option<Differs>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum On {
    Memory,
    Tun,
}

/// What is expected; what is not said is not asked, but for what was read and that nothing fails.
#[derive(Debug, Clone)]
struct Expect {
    packets: BTreeMap<Spanned<String>, Count>,
    read: Option<Spanned<BTreeMap<Name, Vec<String>>>>,
    fails: Option<Spanned<Name>>,
    verdict: Option<Spanned<Vec<Spanned<Want>>>>,
    touched: Option<Spanned<Count>>,
    never: Option<Spanned<Vec<String>>>,
    idle: Option<Spanned<Vec<usize>>>,
    /// `None`: it is a race.
    stalls: Option<bool>,
}

/// The same for one wire, and why it is not as on the other.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Differs {
    why: Spanned<String>,
    #[serde(default)]
    packets: BTreeMap<Spanned<String>, Count>,
    read: Option<Spanned<BTreeMap<Name, Vec<String>>>>,
    fails: Option<Spanned<Name>>,
    /// It fails on the other wire only.
    #[serde(default)]
    survives: bool,
    /// Whether the hosts wait for each other for ever is a race on this wire.
    #[serde(default)]
    may_end: bool,
    verdict: Option<Spanned<Vec<Spanned<Want>>>>,
    touched: Option<Spanned<Count>>,
    never: Option<Spanned<Vec<String>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
enum Name {
    A,
    B,
}

/// A number, or a number with `>=` or `<=` before it.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Count {
    Just(u64),
    Bound(String),
}

/// A verdict, in the words of `Verdict`'s parts.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Want {
    reaction: Option<String>,
    caught: Option<OneOf>,
    cure: Option<OneOf>,
    effect: Option<String>,
    /// Milliseconds until what cured it was sent: from, to.
    after: Option<[u64; 2]>,
    /// Milliseconds that a timer waited, or the number of duplicate acknowledgments.
    waited: Option<[u64; 2]>,
    /// What was read.
    reads: Option<String>,
    /// By which rules, counted from 1.
    rules: Option<Vec<usize>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum OneOf {
    One(String),
    Any(Vec<String>),
}

fn one() -> u64 {
    1
}

fn one_message() -> Vec<String> {
    vec!["hi".to_owned()]
}

fn one_reply() -> String {
    "hello".to_owned()
}

fn both() -> Vec<On> {
    vec![On::Memory, On::Tun]
}

impl Count {
    fn holds(&self, n: u64) -> bool {
        match self {
            Self::Just(want) => n == *want,
            Self::Bound(text) => {
                let (sign, want) = text.split_once(' ').expect("a sign, a blank, a number");
                let want: u64 = want.parse().expect("a number");
                match sign {
                    ">=" => n >= want,
                    "<=" => n <= want,
                    other => panic!("{other} is no sign: there are >= and <="),
                }
            }
        }
    }
}

impl OneOf {
    fn has(&self, word: &str) -> bool {
        match self {
            Self::One(one) => one == word,
            Self::Any(any) => any.iter().any(|one| one == word),
        }
    }
}

/// Where the table is.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

struct Table {
    file: String,
    text: String,
    scenarios: Vec<Scenario>,
}

fn tables() -> Vec<Table> {
    let mut paths: Vec<_> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let parsed: File =
            toml::from_str(&text).unwrap_or_else(|error| panic!("tests/scenarios/{file}: {error}"));
        Table {
            file,
            text,
            scenarios: parsed.scenario,
        }
    };
    paths.iter().map(read).collect()
}

// --- the play --------------------------------------------------------------------------------------------------------

/// What was seen of a play.
struct Played {
    counts: Vec<u64>,
    read: BTreeMap<Name, Vec<String>>,
    failed: Option<(Name, String)>,
    end: Option<WireError>,
    verdicts: Vec<Verdict>,
    tallies: Vec<Tally>,
    fates: Fates,
    reports: Vec<Report>,
}

fn name(host: Host) -> Name {
    if host == Host::A { Name::A } else { Name::B }
}

fn play(wire: &mut dyn Wire, filters: &[Filter], rules: usize) -> Played {
    let mut session = Session::new();
    let mut tracer = Tracer::new(1);
    let mut counts = vec![0; filters.len()];
    let mut read = BTreeMap::from([(Name::A, Vec::new()), (Name::B, Vec::new())]);
    let (mut failed, mut end) = (None, None);
    for seen in &mut *wire {
        let seen = match seen {
            Ok(seen) => seen,
            Err(error) => {
                end = Some(error);
                break;
            }
        };
        match &seen {
            Seen::Packet(packet) => {
                let frame = Frame {
                    number: packet.id,
                    time: packet.sent,
                    link: packet.link.link_type(),
                    wire_len: packet.bytes.len() as u32,
                    data: &packet.bytes,
                };
                let event = session.push_with(frame, packet.kernel.as_ref());
                for (count, filter) in counts.iter_mut().zip(filters) {
                    *count += u64::from(filter.matches(&event));
                }
                tracer.seen(&seen, Some(&event));
                continue;
            }
            Seen::Key { line, .. } => session.keylog_line(line).unwrap(),
            Seen::Chat { host, what, .. } => {
                if let Some(line) = what.heard() {
                    let mine = read.get_mut(&name(*host)).unwrap();
                    mine.push(line.text.clone());
                }
                if let (Happening::Fails(error), None) = (what, &failed) {
                    failed = Some((name(*host), error.to_string()));
                }
            }
            Seen::Released { .. } | Seen::Kernel { .. } => {}
        }
        tracer.seen(&seen, None);
    }
    let (fates, reports) = wire.faults().expect("a wire with rules knows their fates");
    let (verdicts, tallies) = tracer.finish(rules);
    Played {
        counts,
        read,
        failed,
        end,
        verdicts,
        tallies,
        fates,
        reports,
    }
}

// --- the comparison --------------------------------------------------------------------------------------------------

/// What does not hold, each with its file and line.
struct Complaints<'t> {
    table: &'t Table,
    scenario: &'t str,
    on: On,
    list: Vec<String>,
}

impl Complaints<'_> {
    fn say(&mut self, at: usize, what: impl std::fmt::Display) {
        let line = self.table.text[..at].matches('\n').count() + 1;
        let (file, on) = (&self.table.file, self.on);
        self.list.push(format!(
            "tests/scenarios/{file}:{line}: {} ({on:?}): {what}",
            self.scenario
        ));
    }
}

/// What a scenario expects on a wire: its own, with what differs there.
fn expected(scenario: &Scenario, on: On) -> Expect {
    let own = scenario.clone();
    let mut expect = Expect {
        packets: own.packets,
        read: own.read,
        fails: own.fails,
        verdict: own.verdict,
        touched: own.touched,
        never: own.never,
        idle: own.idle,
        stalls: Some(own.stalls),
    };
    let differs = match on {
        On::Memory => &scenario.memory,
        On::Tun => &scenario.tun,
    };
    if let Some(differs) = differs.clone() {
        for (filter, count) in differs.packets {
            expect
                .packets
                .retain(|old, _| old.as_ref() != filter.as_ref());
            expect.packets.insert(filter, count);
        }
        expect.read = differs.read.or(expect.read);
        expect.stalls = expect.stalls.filter(|_| !differs.may_end);
        expect.fails = differs.fails.or(expect.fails.filter(|_| !differs.survives));
        expect.verdict = differs.verdict.or(expect.verdict);
        expect.touched = differs.touched.or(expect.touched);
        expect.never = differs.never.or(expect.never);
    }
    expect
}

fn messages(scenario: &Scenario) -> Vec<String> {
    match scenario.long {
        Some(bytes) => vec!["x".repeat(bytes)],
        None => scenario.messages.clone(),
    }
}

/// Plays a scenario on a wire, and gives what does not hold.
fn check(table: &Table, scenario: &Scenario, on: On) -> Vec<String> {
    let mut complaints = Complaints {
        table,
        scenario: scenario.name.as_ref(),
        on,
        list: Vec::new(),
    };
    let mut rules = Vec::new();
    for text in scenario.faults.as_ref() {
        match Rule::parse(text) {
            Ok(rule) => rules.push(rule),
            Err(error) => complaints.say(scenario.faults.span().start, error),
        }
    }
    let expect = expected(scenario, on);
    let mut filters = Vec::new();
    for text in expect.packets.keys() {
        match Filter::parse(text.as_ref()) {
            Ok(filter) => filters.push(filter),
            Err(error) => complaints.say(text.span().start, error),
        }
    }
    if !complaints.list.is_empty() {
        return complaints.list;
    }
    let script = Script {
        messages: messages(scenario),
        reply: scenario.reply.clone(),
    };
    let count = rules.len();
    let played = match on {
        On::Memory => {
            let config = memory::Config {
                seed: scenario.seed,
                plain: scenario.no_tls,
                ..memory::Config::default()
            };
            let wire = Memory::new(&config, &script).unwrap();
            play(&mut wire.with_faults(rules), &filters, count)
        }
        On::Tun => over_tun(&script, rules, scenario, &filters),
    };
    compare(&mut complaints, scenario, &expect, &played);
    if !complaints.list.is_empty() {
        complaints.list.push(said(&played));
    }
    complaints.list
}

fn compare(complaints: &mut Complaints<'_>, scenario: &Scenario, expect: &Expect, played: &Played) {
    let at = scenario.name.span().start;
    for ((filter, want), got) in expect.packets.iter().zip(&played.counts) {
        if !want.holds(*got) {
            let text = filter.as_ref();
            complaints.say(
                filter.span().start,
                format!("{got} packets fit {text}, not {want:?}"),
            );
        }
    }
    let usual = BTreeMap::from([
        (
            Name::A,
            vec![scenario.reply.clone(); messages(scenario).len()],
        ),
        (Name::B, messages(scenario)),
    ]);
    let (read, read_at) = match &expect.read {
        Some(read) => (read.as_ref(), read.span().start),
        None => (&usual, at),
    };
    for (host, texts) in read {
        let got = &played.read[host];
        if got != texts {
            let (got, texts) = (short(got), short(texts));
            complaints.say(read_at, format!("{host:?} read {got}, not {texts}"));
        }
    }
    let failed = played.failed.as_ref();
    match (&expect.fails, failed) {
        (Some(host), None) => complaints.say(host.span().start, "nothing fails"),
        (Some(host), Some((who, why))) if host.as_ref() != who => {
            complaints.say(host.span().start, format!("it fails at {who:?}: {why}"));
        }
        (None, Some((who, why))) => complaints.say(at, format!("it fails at {who:?}: {why}")),
        _ => {}
    }
    match &played.end {
        Some(WireError::Lingers { rules, .. }) if scenario.lingers && !rules.is_empty() => {}
        end if scenario.lingers => complaints.say(at, format!("TCP comes to its end: {end:?}")),
        // Not the program's fault, but that of the rules.
        Some(WireError::Stalled { rules, .. } | WireError::Vain { rules, .. })
            if rules.is_empty() =>
        {
            complaints.say(at, "no rule is said to have done that");
        }
        Some(end) if failed.is_none() && expect.stalls == Some(false) => {
            complaints.say(at, format!("the wire gives up: {end}"));
        }
        None if expect.stalls == Some(true) => complaints.say(at, "it comes to its end"),
        _ => {}
    }
    if !played.fates.add_up() {
        complaints.say(at, format!("the fates do not add up: {:?}", played.fates));
    }
    if let Some(wants) = &expect.verdict {
        let (start, wants) = (wants.span().start, wants.as_ref());
        if wants.len() != played.verdicts.len() {
            let got = played.verdicts.len();
            complaints.say(start, format!("{got} verdicts, not {}", wants.len()));
        }
        for (want, got) in wants.iter().zip(&played.verdicts) {
            for what in differences(want.as_ref(), got) {
                complaints.say(want.span().start, format!("#{}: {what}", got.packet));
            }
        }
    }
    if expect.verdict.is_none() && expect.touched.is_none() {
        complaints.say(at, "there is neither verdict nor touched");
    }
    let touched: u64 = played.tallies.iter().map(|tally| tally.touched).sum();
    if let Some(want) = expect
        .touched
        .as_ref()
        .filter(|w| !w.as_ref().holds(touched))
    {
        complaints.say(want.span().start, format!("{touched} packets were touched"));
    }
    if let Some(never) = &expect.never {
        for tally in &played.tallies {
            let effects = tally.effects.keys().map(|name| format!("effect.{name}"));
            let cures = tally.cured.keys().map(|name| format!("cure.{name}"));
            for word in effects
                .chain(cures)
                .filter(|word| never.as_ref().contains(word))
            {
                complaints.say(never.span().start, format!("{word} there was: {tally:?}"));
            }
        }
    }
    let idle: Vec<usize> = (1..)
        .zip(&played.reports)
        .filter(|(_, report)| report.never_fired().is_some())
        .map(|(number, _)| number)
        .collect();
    let (want, at) = match &expect.idle {
        Some(idle) => (idle.as_ref().clone(), idle.span().start),
        None => (Vec::new(), at),
    };
    if idle != want {
        complaints.say(at, format!("rules {idle:?} never fired, not {want:?}"));
    }
}

/// In what a verdict is not as it should be.
fn differences(want: &Want, got: &Verdict) -> Vec<String> {
    let mut list = Vec::new();
    let mut differ = |what: &str, want: Option<&String>, got: &str| {
        if let Some(want) = want.filter(|want| *want != got) {
            list.push(format!("{what} is {got}, not {want}"));
        }
    };
    differ("reaction", want.reaction.as_ref(), got.reaction.name());
    differ("effect", want.effect.as_ref(), got.effect.name());
    let reads = match &got.effect {
        Effect::Wrong { read, .. } => read,
        _ => "",
    };
    differ("reads", want.reads.as_ref(), reads);
    let by = caught(got.caught);
    if let Some(want) = want.caught.as_ref().filter(|want| !want.has(&by)) {
        list.push(format!("caught is {by}, not {want:?}"));
    }
    if let Some(want) = want.cure.as_ref().filter(|want| !want.has(got.cure.name())) {
        list.push(format!("cure is {}, not {want:?}", got.cure.name()));
    }
    let (after, waited) = match got.cure {
        Cure::Retransmission { after, why, .. } => {
            let waited = match why {
                Why::Timeout(by) | Why::Probe(by) => Some(by / 1_000_000),
                Why::Duplicates(n) => Some(n.into()),
                Why::Sack | Why::Recovery => None,
            };
            (Some(after / 1_000_000), waited)
        }
        _ => (None, None),
    };
    let mut within = |what: &str, want: Option<[u64; 2]>, got: Option<u64>| {
        if let Some([from, to]) = want
            && !got.is_some_and(|got| (from..=to).contains(&got))
        {
            list.push(format!("{what} is {got:?}, not from {from} to {to}"));
        }
    };
    within("after", want.after, after);
    within("waited", want.waited, waited);
    let rules: Vec<_> = got.touched.iter().map(|touch| touch.rule + 1).collect();
    if let Some(want) = want.rules.as_ref().filter(|want| **want != rules) {
        list.push(format!("rules are {rules:?}, not {want:?}"));
    }
    list
}

fn caught(by: Caught) -> String {
    match by {
        Caught::Alert(alert) => {
            let glossary = Glossary::english().unwrap();
            let named = glossary.of(&tls::alert::DESC).value(alert.into());
            format!("tls.{}", named.map_or("?", |named| named.name.as_str()))
        }
        other => other.name().to_owned(),
    }
}

/// What really happened, for whoever mends the table.
fn said(played: &Played) -> String {
    let mut text = String::new();
    for v in &played.verdicts {
        let (cure, by) = (v.cure.name(), caught(v.caught));
        let _ = writeln!(
            text,
            "    #{}: {{ reaction = \"{}\", caught = \"{by}\", cure = \"{cure}\", effect = \"{}\" }} {:?} {:?}",
            v.packet,
            v.reaction.name(),
            v.effect.name(),
            v.cure,
            v.effect,
        );
    }
    for (host, texts) in &played.read {
        let _ = writeln!(text, "    {host:?} read {}", short(texts));
    }
    let _ = write!(text, "    fails {:?}", played.failed);
    text
}

fn short(texts: &[String]) -> String {
    format!("{:.100}", format!("{texts:?}"))
}

#[cfg(target_os = "linux")]
fn over_tun(script: &Script, rules: Vec<Rule>, scenario: &Scenario, filters: &[Filter]) -> Played {
    use layerwise::wire::tun;
    let config = tun::Config {
        // Who waits for ever need not be waited for.
        max_time: std::time::Duration::from_secs(if scenario.stalls { 3 } else { 60 }),
        plain: scenario.no_tls,
        ..tun::Config::default()
    };
    let count = rules.len();
    let mut wire = tun::Tun::with_faults(&config, script, rules, scenario.seed).unwrap();
    play(&mut wire, filters, count)
}

#[cfg(not(target_os = "linux"))]
fn over_tun(_: &Script, _: Vec<Rule>, _: &Scenario, _: &[Filter]) -> Played {
    panic!("there is no such wire here")
}

/// Cargo's own way of running tests has a thread for each, and an ordinary user's first must be the only one.
fn main() {
    #[cfg(target_os = "linux")]
    if let Ok(which) = std::env::var(over_tun::WHICH) {
        return over_tun::one(&which);
    }
    let tests: &[(&str, fn())] = &[
        ("the_table_is_complete", the_table_is_complete),
        ("on_the_memory_wire", on_the_memory_wire),
        ("captures_in_tshark", captures_in_tshark),
        #[cfg(target_os = "linux")]
        ("over_tun_as_oneself", over_tun::as_oneself),
        #[cfg(target_os = "linux")]
        (
            "over_tun_as_an_ordinary_user",
            over_tun::as_an_ordinary_user,
        ),
    ];
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let wanted: Vec<_> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let lists = arguments.iter().any(|argument| argument == "--list");
    let mut failed = 0;
    for (name, test) in tests {
        if !wanted.is_empty() && !wanted.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        if lists {
            println!("{name}: test");
            continue;
        }
        let holds = std::panic::catch_unwind(test).is_ok();
        println!("test {name} ... {}", if holds { "ok" } else { "FAILED" });
        failed += i32::from(!holds);
    }
    std::process::exit(failed.min(1));
}

// --- the tests -------------------------------------------------------------------------------------------------------

#[track_caller]
fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

fn on_the_memory_wire() {
    let mut complaints = Vec::new();
    for table in &tables() {
        for scenario in &table.scenarios {
            if scenario.wires.contains(&On::Memory) {
                complaints.extend(check(table, scenario, On::Memory));
            }
        }
    }
    none(&complaints);
}

/// Over Linux's TCP each scenario is played by a process of its own, as an ordinary user has to: who enters a user
/// namespace has no second thread.
#[cfg(target_os = "linux")]
mod over_tun {
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Command, Stdio};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// The ordinary user, "nobody".
    const NOBODY: [&str; 5] = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--",
    ];

    /// Says to the process which scenario it plays.
    pub(super) const WHICH: &str = "LAYERWISE_SCENARIO";

    /// So many are played at the same time: nearly all of the time they wait for timers.
    const AT_ONCE: usize = 4;

    /// These tests where every user can reach them.
    fn program() -> PathBuf {
        let built = std::env::current_exe().unwrap();
        let folder = std::env::temp_dir().join("layerwise-scenarios");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
        let copy = folder.join(format!("scenarios-{}", std::process::id()));
        if !copy.exists() {
            let new = folder.join(format!("new-{:?}", std::thread::current().id()));
            std::fs::copy(built, &new).unwrap();
            std::fs::set_permissions(&new, PermissionsExt::from_mode(0o755)).unwrap();
            std::fs::rename(&new, &copy).unwrap();
        }
        copy
    }

    /// Plays every scenario that this wire can, and gives what does not hold.
    fn all(as_nobody: bool) -> Vec<String> {
        let program = program();
        let tables = tables();
        let mut parts = Vec::new();
        for table in &tables {
            for (place, scenario) in table.scenarios.iter().enumerate() {
                if scenario.wires.contains(&On::Tun) {
                    parts.push(format!("{} {place}", table.file));
                }
            }
        }
        let (next, complaints) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let mut command = Command::new("env");
                        if as_nobody {
                            command.args(NOBODY);
                        }
                        let output = command
                            .arg(&program)
                            .env(WHICH, part)
                            .stdin(Stdio::null())
                            .output()
                            .unwrap();
                        if !output.status.success() {
                            let said = String::from_utf8_lossy(&output.stderr);
                            complaints.lock().unwrap().push(format!("{part}: {said}"));
                        }
                    }
                });
            }
        });
        complaints.into_inner().unwrap()
    }

    /// What the process does that plays one scenario.
    pub(super) fn one(which: &str) {
        let (file, place) = which.split_once(' ').unwrap();
        let tables = tables();
        let table = tables.iter().find(|table| table.file == file).unwrap();
        let scenario = &table.scenarios[place.parse::<usize>().unwrap()];
        none(&check(table, scenario, On::Tun));
    }

    pub(super) fn as_oneself() {
        none(&all(false));
    }

    pub(super) fn as_an_ordinary_user() {
        if nix::unistd::geteuid().is_root() {
            none(&all(true));
        } else {
            eprintln!("SKIPPED: as_an_ordinary_user: it is no other than as_oneself");
        }
    }
}

/// What the program writes of a scenario, tshark sees with the same eyes: its analysis of TCP and its expert notes.
fn captures_in_tshark() {
    let found = std::process::Command::new("tshark")
        .arg("--version")
        .output();
    if !found.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: captures_in_tshark: there is no tshark");
        return;
    }
    let folder = std::env::temp_dir().join(format!("layerwise-captures-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut complaints = Vec::new();
    let mut count = 0;
    for table in &tables() {
        for scenario in table.scenarios.iter().filter(|s| !s.tshark.is_empty()) {
            count += 1;
            let file = folder.join(format!("{count}.pcapng"));
            let mut complain = Complaints {
                table,
                scenario: scenario.name.as_ref(),
                on: On::Memory,
                list: Vec::new(),
            };
            let mut demo = std::process::Command::new(env!("CARGO_BIN_EXE_layerwise"));
            demo.args(["demo", "-w"]).arg(&file);
            demo.args(["--seed", &scenario.seed.to_string()]);
            for fault in scenario.faults.as_ref() {
                demo.args(["--fault", fault]);
            }
            demo.args(messages(scenario)).output().unwrap();
            for (filter, want) in &scenario.tshark {
                let output = std::process::Command::new("tshark")
                    .args(["-n", "-o", "tcp.check_checksum:TRUE"])
                    .args(["-o", "ip.check_checksum:TRUE", "-T", "fields"])
                    .args(["-e", "frame.number", "-Y", filter.as_ref(), "-r"])
                    .arg(&file)
                    .output()
                    .unwrap();
                let error = String::from_utf8_lossy(&output.stderr);
                let got = String::from_utf8_lossy(&output.stdout).lines().count() as u64;
                if !output.status.success() {
                    complain.say(filter.span().start, error);
                } else if !want.holds(got) {
                    let text = filter.as_ref();
                    let what = format!("in tshark, {got} packets fit {text}, not {want:?}");
                    complain.say(filter.span().start, what);
                }
            }
            complaints.append(&mut complain.list);
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(count >= 5, "{count} captures");
    none(&complaints);
}

fn the_table_is_complete() {
    let tables = tables();
    let all: Vec<_> = tables.iter().flat_map(|table| &table.scenarios).collect();
    assert!(all.len() >= 40, "{} scenarios", all.len());
    let mut names: Vec<_> = all.iter().map(|scenario| scenario.name.as_ref()).collect();
    names.sort();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count, "each name is there once");
    for table in &tables {
        for scenario in &table.scenarios {
            let whys = [&scenario.memory, &scenario.tun].map(|d| d.as_ref().map(|d| &d.why));
            for why in whys.into_iter().flatten() {
                assert!(why.as_ref().len() > 20, "{}: why?", scenario.name.as_ref());
            }
            assert!(
                scenario.wires.len() > 1 || scenario.why.is_some(),
                "{}: why on one wire only?",
                scenario.name.as_ref()
            );
        }
    }
    // Each action there is.
    let faults: Vec<&String> = all.iter().flat_map(|s| s.faults.as_ref()).collect();
    for action in [
        "drop",
        "delay",
        "duplicate",
        "reorder",
        "flip",
        "set",
        "swap16",
        "truncate",
        "replay",
        "rst",
        "fin",
        "random loss",
        "random delay",
        "random duplication",
        "random reordering",
        "random corruption",
    ] {
        assert!(faults.iter().any(|f| f.starts_with(action)), "{action}");
    }
}
