//! A wire seen from both ends: each packet once where it was sent and once where it arrived, TCP's states, arrows that
//! cross, and the screens.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Output};
use std::time::Duration;

use layerwise::ends::{Act, Confirmed, Ends, Moment, Place};
use layerwise::packet::Time;
use layerwise::text::Glossary;
use layerwise::view::arrows::Arrows;
use layerwise::view::paint::{Look, Out, Wish};
use layerwise::wire::fault::{Deed, Rule};
use layerwise::wire::memory::{Config, Memory};
use layerwise::wire::{Host, PORT, Packet, Script, Seen};

/// What happened, without the borrowed parts.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Happened {
    host: Host,
    time: Time,
    act: Act,
    id: u64,
    from: Host,
    made: bool,
    bytes: Vec<u8>,
    state: Option<u64>,
    place: Place,
    overtaken: Option<u64>,
    again: Option<u64>,
    anew: bool,
    before: Option<Vec<u8>>,
}

/// A wire's story, as it was shown and as both ends saw it.
struct Story {
    packets: Vec<Packet>,
    /// When those that were held back arrive.
    released: BTreeMap<u64, Time>,
    happened: Vec<Happened>,
    confirmed: Confirmed,
    crossings: BTreeSet<(u64, u64)>,
    picture: String,
}

impl Story {
    fn of(links: usize, wire: impl Iterator<Item = Seen>) -> Self {
        let glossary = Glossary::english().unwrap();
        let wish = Wish {
            width: Some(80),
            ..Wish::default()
        };
        let mut out = Out::new(Look::new(wish, false, None));
        let mut arrows = Arrows::new(&glossary);
        let mut ends = Ends::new(links, PORT, PORT);
        let (mut packets, mut released) = (Vec::new(), BTreeMap::new());
        let mut happened = Vec::new();
        let mut tell = |moment: &Moment<'_>| {
            arrows.moment(&mut out, moment);
            let passage = moment.passage;
            happened.push(Happened {
                host: moment.host,
                time: moment.time,
                act: moment.act,
                id: passage.id,
                from: passage.from,
                made: passage.made,
                bytes: moment
                    .event
                    .map_or(Vec::new(), |event| event.frame.data.to_vec()),
                state: moment.state,
                place: moment.place,
                overtaken: moment.overtaken,
                again: moment.again,
                anew: moment.anew,
                before: passage.changed.clone().map(|(before, _)| before),
            });
        };
        for seen in wire {
            ends.take(&seen, &mut tell).unwrap();
            match seen {
                Seen::Packet(packet) => packets.push(packet),
                Seen::Released { id, arrives, .. } => {
                    released.insert(id, arrives);
                }
                _ => {}
            }
        }
        ends.finish(&mut tell);
        let confirmed = ends.confirmed();
        arrows.end(&mut out);
        let picture = String::from_utf8(out.bytes().to_vec()).unwrap();
        let crossings = arrows.crossings().into_iter().collect();
        Self {
            packets,
            released,
            happened,
            confirmed,
            crossings,
            picture,
        }
    }

    fn memory(rules: &[&str], seed: u64, messages: &[&str]) -> Self {
        let config = Config {
            seed,
            ..Config::default()
        };
        let script = Script {
            messages: messages.iter().map(|text| (*text).to_owned()).collect(),
            ..Script::default()
        };
        let rules = rules.iter().map(|rule| Rule::parse(rule).unwrap());
        let wire = Memory::new(&config, &script).unwrap();
        Self::of(1, wire.with_faults(rules.collect()).map_while(Result::ok))
    }

    /// What happened with packets of that kind.
    fn all(&self, is: impl Fn(&Happened) -> bool) -> Vec<&Happened> {
        self.happened.iter().filter(|h| is(h)).collect()
    }

    fn states(&self, host: Host) -> Vec<u64> {
        let own = self.happened.iter().filter(|h| h.host == host);
        own.filter_map(|h| h.state).collect()
    }
}

fn is_made(packet: &Packet) -> bool {
    packet.touched.iter().any(|touch| touch.deed.is_made())
}

/// Every kind of fault, each to packets where it does something.
const RULES: [&[&str]; 10] = [
    &[],
    &["drop where tcp.len > 0 && ip.src == 1.2.3.4"],
    &[
        "reorder 2 where tls.handshake.type == server_hello",
        "duplicate where tls.handshake.type == client_hello",
    ],
    &[
        "flip 330 stale where chat.text == \"hi\"",
        "delay 300ms where chat.text == \"hello\"",
    ],
    &["set ip.ttl 9 where chat"],
    &[
        "delay 12ms where tls.handshake.type == server_hello",
        "delay 300ms where chat.text == \"hi\"",
    ],
    &["delay 7ms where chat.text == \"hi\" || tls.handshake.type == certificate"],
    &["rst where chat.text == \"hi\""],
    &["fin where chat.text == \"hello\""],
    &[
        "random loss 10%",
        "random duplication 10%",
        "random reordering 10%",
        "random corruption 5%",
    ],
];

#[test]
fn each_packet_is_once_where_it_was_sent_and_once_where_it_arrived() {
    for rules in RULES {
        for seed in 1..=5 {
            let story = Story::memory(rules, seed, &["hi", "and again"]);
            let mut sent = Vec::new();
            let mut got = Vec::new();
            for packet in &story.packets {
                let appears = is_made(packet);
                if !appears {
                    let bytes = packet.before.as_ref().unwrap_or(&packet.bytes);
                    sent.push((packet.from, packet.sent, packet.id, bytes.clone()));
                }
                let arrives = packet.arrives.or(story.released.get(&packet.id).copied());
                if let Some(arrives) = arrives {
                    got.push((
                        packet.from.other(),
                        arrives,
                        packet.id,
                        packet.bytes.clone(),
                    ));
                }
            }
            let seen = |act: fn(Act) -> bool| {
                let all = story.all(|h| act(h.act)).into_iter();
                all.map(|h| (h.host, h.time, h.id, h.bytes.clone()))
                    .collect::<Vec<_>>()
            };
            assert_eq!(
                seen(|act| matches!(act, Act::Sends { .. })),
                sent,
                "{rules:?} {seed}"
            );
            let mut arrived = seen(|act| act == Act::Gets);
            let key = |(_, time, id, _): &(Host, Time, u64, Vec<u8>)| (*time, *id);
            arrived.sort_by_key(key);
            got.sort_by_key(key);
            assert_eq!(arrived, got, "{rules:?} {seed}");
            // What was lost, and nothing else, has no counterpart.
            let lost = story.all(|h| h.act == Act::Sends { lost: true }).len();
            let dropped = |packet: &&Packet| {
                let mut touched = packet.touched.iter();
                touched.any(|touch| touch.deed == Deed::Dropped)
            };
            assert_eq!(
                lost,
                story.packets.iter().filter(dropped).count(),
                "{rules:?} {seed}"
            );
            assert!(
                story.happened.is_sorted_by_key(|h| h.time),
                "in true order: {rules:?} {seed}"
            );
            let numbers = story.all(|h| matches!(h.act, Act::Appears)).into_iter();
            assert!(numbers.clone().all(|h| h.made && h.bytes.is_empty()));
            assert_eq!(
                numbers.count(),
                story.packets.iter().filter(|p| is_made(p)).count()
            );
        }
    }
}

#[test]
fn the_states_of_both_ends_are_those_of_the_rfc() {
    // CLOSED and LISTEN are where they begin. The numbers are those of RFC 4022.
    let (syn_sent, syn_received, established) = (3, 4, 5);
    let (fin_wait_1, fin_wait_2, close_wait, last_ack, time_wait, closed) = (6, 7, 8, 9, 11, 1);
    let story = Story::memory(&[], 1, &["hi"]);
    assert_eq!(
        story.states(Host::A),
        [syn_sent, established, fin_wait_1, fin_wait_2, time_wait]
    );
    assert_eq!(
        story.states(Host::B),
        [syn_received, established, close_wait, last_ack, closed]
    );
    // The last acknowledgment is lost: B cannot know that it is over, until it has said it again.
    let story = Story::memory(
        &["drop where tcp.flags.fin && ip.src == 5.6.7.8"],
        1,
        &["hi"],
    );
    let closes = story.all(|h| h.host == Host::A && h.state == Some(time_wait));
    let again = story.all(|h| h.host == Host::B && h.again.is_some());
    assert_eq!((closes.len(), again.len()), (1, 1));
    assert!(
        closes[0].time > again[0].time,
        "A waits for the FIN that was lost"
    );
    // A forged reset ends one side, which the other does not notice before it is answered.
    let story = Story::memory(&["rst where chat.text == \"hi\""], 1, &["hi"]);
    let end = |host| story.all(|h| h.host == host && h.state == Some(closed))[0];
    assert!(end(Host::B).made && !end(Host::A).made);
    assert!(end(Host::A).time.since(end(Host::B).time) > 900_000_000);
    // What does not fit the checksum changes nothing.
    let story = Story::memory(&["flip 270 stale where tcp.flags.syn"], 1, &["hi"]);
    let changed = story.all(|h| h.act == Act::Gets && h.before.is_some());
    assert_eq!((changed.len(), changed[0].state), (1, None));
}

#[test]
fn what_comes_in_another_order_or_twice_is_known() {
    let story = Story::memory(
        &["reorder where tls.handshake.type == server_hello"],
        1,
        &["hi"],
    );
    let late = story.all(|h| h.overtaken.is_some());
    assert_eq!(late.len(), 1);
    let overtook = late[0].overtaken.unwrap();
    assert_eq!((overtook, late[0].place), (late[0].id + 1, Place::Fills));
    let early = story.all(|h| matches!(h.place, Place::Early(_)));
    assert_eq!(
        (early.len(), early[0].id, early[0].place),
        (1, overtook, Place::Early(1460))
    );
    assert!(early[0].time <= late[0].time);

    let story = Story::memory(
        &["duplicate where tls.handshake.type == client_hello"],
        1,
        &["hi"],
    );
    let again = story.all(|h| h.place == Place::Again);
    assert_eq!((again.len(), again[0].made), (1, true));

    let story = Story::memory(&["drop where chat.text == \"hi\""], 1, &["hi"]);
    let lost = story.all(|h| h.act == Act::Sends { lost: true });
    let again = story.all(|h| h.again.is_some());
    assert_eq!((lost.len(), again.len()), (1, 1));
    assert_eq!(again[0].again, Some(lost[0].id));
    assert!(
        story
            .all(|h| h.act == Act::Gets && h.id == lost[0].id)
            .is_empty()
    );
}

/// The memory wire's TCP throws away with its data what acknowledges less than it knows. So what is sent again is new.
#[test]
fn what_was_thrown_away_was_not_there_already() {
    for delay in ["100ms", "900ms", "990ms"] {
        let rule = format!("delay {delay} where chat.text == \"hi\"");
        let story = Story::memory(&[&rule], 1, &["hi"]);
        let refused = story.all(|h| h.place == Place::Refused);
        let again = story.all(|h| h.again.is_some() && h.act == Act::Sends { lost: false });
        assert_eq!((refused.len(), again.len()), (1, 1), "{delay}");
        assert_eq!(again[0].again, Some(refused[0].id), "{delay}");
        let came = story.all(|h| h.act == Act::Gets && h.id == again[0].id);
        assert_eq!((came[0].place, came[0].anew), (Place::Next, true));
        assert!(story.all(|h| h.place == Place::Again).is_empty(), "{delay}");
        assert!(!story.picture.contains("had it already"));
    }
    // Where A has acknowledged nothing since, the late one is taken, and it is the second that comes in vain.
    let rule = "delay 1500ms where tls.handshake.type == client_hello";
    let story = Story::memory(&[rule], 1, &["hi"]);
    assert!(
        story
            .all(|h| h.place == Place::Refused || h.anew)
            .is_empty()
    );
    assert!(!story.all(|h| h.place == Place::Again).is_empty());
}

#[test]
fn arrows_cross_if_and_only_if_the_packets_did() {
    let mut crossed = 0;
    for rules in RULES {
        let story = Story::memory(rules, 1, &["hi", "and again"]);
        // From when to when each was under way, counted in what happened.
        let mut ways: BTreeMap<u64, (Host, usize, Option<usize>)> = BTreeMap::new();
        for (at, h) in story.happened.iter().enumerate() {
            match h.act {
                Act::Sends { .. } => drop(ways.insert(h.id, (h.from, at, None))),
                Act::Gets => {
                    if let Some(way) = ways.get_mut(&h.id) {
                        way.2 = Some(at);
                    }
                }
                _ => {}
            }
        }
        // What is lost or forged has only half an arrow.
        let whole: Vec<_> = ways
            .iter()
            .filter_map(|(id, (from, start, end))| Some((*id, *from, *start, (*end)?)))
            .collect();
        let ids: BTreeSet<_> = whole.iter().map(|(id, ..)| *id).collect();
        let mut expected = BTreeSet::new();
        for (at, (a, from, start, end)) in whole.iter().enumerate() {
            for (b, other, later, arrives) in &whole[at + 1..] {
                let crosses = if from == other {
                    arrives < end
                } else {
                    later < end && start < arrives
                };
                if crosses {
                    expected.insert((*a, *b));
                }
            }
        }
        let drawn = story.crossings.iter().copied();
        let drawn: BTreeSet<_> = drawn
            .filter(|(a, b)| ids.contains(a) && ids.contains(b))
            .collect();
        assert_eq!(drawn, expected, "{rules:?}\n{}", story.picture);
        assert_eq!(
            story.picture.contains('╳'),
            !story.crossings.is_empty(),
            "{rules:?}\n{}",
            story.picture
        );
        crossed += expected.len();
    }
    assert!(crossed >= 8, "{crossed}");
}

#[test]
fn a_late_arrow_is_longer() {
    let rows = |rules: &[&str]| {
        let story = Story::memory(rules, 1, &["hi"]);
        let lines: Vec<_> = story.picture.lines().map(str::to_owned).collect();
        let row = |what: &str| lines.iter().position(|line| line.contains(what)).unwrap();
        let begins = row("8 \"hi\"");
        let ends = row(if rules.is_empty() {
            "│ 8"
        } else {
            "│ 8 late, not taken"
        });
        ends - begins
    };
    assert!(rows(&["delay 300ms where chat.text == \"hi\""]) > rows(&[]) + 4);
}

// --- the screens -----------------------------------------------------------------------------------------------------

fn program(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_layerwise"))
        .args(arguments)
        .env_remove("CLICOLOR_FORCE")
        .output()
        .unwrap()
}

/// What is shown, without what is said below every demonstration.
fn screen(arguments: &[&str]) -> String {
    let output = program(&[&["demo", "--width", "80"], arguments].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let ends = ["\nWhat came of it", "\nIn all: "].map(|end| text.find(end));
    let end = ends.into_iter().flatten().min().unwrap_or(text.len());
    text[..end].to_owned()
}

/// One packet of each fate.
const FATES: [&str; 10] = [
    "--fault",
    "duplicate where tls.handshake.type == client_hello",
    "--fault",
    "reorder where tls.handshake.type == server_hello",
    "--fault",
    "flip 330 stale where tls.handshake.type == finished && ip.src == 1.2.3.4",
    "--fault",
    "drop where chat.text == \"hi\"",
    "--fault",
    "set ip.ttl 9 where chat.text == \"hello\"",
];

#[test]
fn the_screens() {
    let with = |option: &[&'static str]| screen(&[option, &FATES].concat());
    insta::assert_snapshot!("sides", screen(&["--sides"]));
    insta::assert_snapshot!("sides_faults", with(&["--sides", "--ascii"]));
    insta::assert_snapshot!("sides_plain", with(&["--sides", "--plain"]));
    insta::assert_snapshot!("ladder", screen(&["--ladder"]));
    insta::assert_snapshot!("ladder_faults", with(&["--ladder"]));
    insta::assert_snapshot!("ladder_ascii", screen(&["--ladder", "--ascii"]));
    insta::assert_snapshot!("ladder_plain", with(&["--ladder", "--plain"]));
    insta::assert_snapshot!("plot", with(&["--plot"]));
    insta::assert_snapshot!("plot_plain", with(&["--plot", "--plain"]));
}

#[test]
fn no_line_is_wider_than_the_screen() {
    let long = "x".repeat(6000);
    for option in ["--sides", "--ladder", "--plot"] {
        for look in [&[][..], &["--ascii"]] {
            for width in ["72", "120"] {
                let mut arguments = vec!["demo", option, "--width", width, &long];
                arguments.extend(look);
                arguments.extend(FATES);
                let output = program(&arguments);
                let text = String::from_utf8(output.stdout).unwrap();
                assert!(output.status.success());
                for line in text.lines() {
                    let wide = line.chars().count();
                    assert!(
                        wide <= width.parse().unwrap(),
                        "{option} {look:?} {width}: {line}"
                    );
                    assert!(!look.contains(&"--ascii") || line.is_ascii(), "{line}");
                }
            }
        }
    }
}

#[test]
fn in_plain_output_nothing_is_broken() {
    let long = "x".repeat(6000);
    for option in ["--sides", "--ladder", "--plot"] {
        let mut arguments = vec!["demo", option, "--plain", "--width", "72", &long];
        arguments.extend(FATES);
        let output = program(&arguments);
        assert!(output.status.success());
        let spoken = String::from_utf8(output.stdout).unwrap();
        assert!(spoken.lines().any(|line| line.len() > 72), "{option}");
        let whole = |line: &str| line.ends_with(['.', ':', '!', '?', '"']) || line.len() < 72;
        let broken = spoken.lines().find(|line| !whole(line));
        assert_eq!(broken, None, "{option}");
    }
}

#[test]
fn a_large_transfer_stays_within_bounds() {
    let rows = |option: &str, kilobytes: usize| {
        let text = "x".repeat(kilobytes * 1000);
        screen(&[option, &text, "--fault", "random loss 5% always"])
            .lines()
            .count()
    };
    assert!(rows("--ladder", 120) < 450);
    assert!(rows("--ladder", 120) < rows("--ladder", 2) * 12);
    assert_eq!(rows("--plot", 100), rows("--plot", 1));
    let text = "x".repeat(100_000);
    let ladder = screen(&["--ladder", &text, "--fault", "random loss 20%"]);
    assert!(ladder.contains("more packets are not drawn"), "{ladder}");
}

#[test]
fn what_does_not_go_together_is_refused() {
    for (arguments, says) in [
        (&["--sides", "--plot"][..], "cannot be used with"),
        (&["--sides", "-v"], "leave out -v"),
        (&["--ladder", "-x"], "leave out -v and -x"),
        (&["--plot", "-T", "json"], "leave out -T"),
    ] {
        let output = program(&[&["demo"], arguments].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), output.stdout.len()),
            (Some(2), 0),
            "{error}"
        );
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_filter_chooses_what_is_shown() {
    let text = screen(&["--sides", "-Y", "tcp.flags.syn == 1"]);
    let (head, rows) = text.split_at(text.find("LISTEN").unwrap());
    assert!(head.contains("SYN") || !rows.is_empty());
    assert_eq!(
        rows.matches("SYN seq 0").count() + rows.matches("SYN ACK seq 0").count(),
        4,
        "{rows}"
    );
    assert!(!rows.contains("ClientHello"), "{rows}");
}

#[test]
fn a_connection_in_a_file_is_plotted() {
    let folder = std::env::temp_dir().join(format!("layerwise-sides-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("lost.pcapng");
    let path = file.to_str().unwrap();
    let output = program(&[
        "demo",
        "-w",
        path,
        "--fault",
        "drop where chat.text == \"hi\"",
    ]);
    assert!(output.status.success());
    let plot = |arguments: &[&str]| {
        let output = program(&[&["read", path, "--width", "80"], arguments].concat());
        (
            output.status.code(),
            String::from_utf8([output.stdout, output.stderr].concat()).unwrap(),
        )
    };
    let (status, text) = plot(&["--plot", "0"]);
    assert_eq!(status, Some(0));
    assert!(
        text.contains("1587 bytes, counted from 1, 1\nsent again"),
        "{text}"
    );
    assert!(text.contains('R') && text.lines().count() <= 24, "{text}");
    let (status, text) = plot(&["--plot", "7"]);
    assert_eq!(status, Some(0));
    assert!(text.contains("no TCP connection 7"), "{text}");
    let (status, text) = plot(&["--plot", "0", "-v"]);
    assert_eq!(status, Some(2));
    assert!(text.contains("--plot is a picture for people"), "{text}");
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Linux's own TCP goes through the states that are derived for each end; and with routers between, an end is an end.
#[cfg(target_os = "linux")]
#[test]
fn linux_agrees_about_the_states() {
    use layerwise::wire::tun::{Config, Tun};

    for (rule, hops) in [
        ("drop where udp", 0),
        ("drop where chat.text == \"hi\"", 0),
        ("reorder where tcp.len > 0", 0),
        ("drop where chat.text == \"hi\"", 2),
    ] {
        let config = Config {
            latency: Duration::from_millis(1),
            hops,
            ..Config::default()
        };
        let rules = vec![Rule::parse(rule).unwrap()];
        let wire = match Tun::with_faults(&config, &Script::default(), rules, 1) {
            Ok(wire) => wire,
            Err(error) => {
                eprintln!("SKIPPED: linux_agrees_about_the_states: {error}");
                return;
            }
        };
        let story = Story::of(hops + 1, wire.map(Result::unwrap));
        let Confirmed { said, same } = &story.confirmed;
        assert_eq!(same, &[true, true], "{rule}: {said:?}");
        // ESTABLISHED, by the numbers of RFC 4022, and what follows.
        for said in said {
            assert!(said.contains(&5) && said.len() >= 3, "{rule}: {said:?}");
        }
        let sent = story.all(|h| matches!(h.act, Act::Sends { .. }));
        let got = story.all(|h| h.act == Act::Gets);
        let lost = story.all(|h| matches!(h.act, Act::Sends { lost: true } | Act::Lost { .. }));
        assert_eq!(sent.len(), got.len() + lost.len(), "{rule} {hops}");
        assert_eq!(
            lost.len(),
            usize::from(rule.contains("chat")),
            "{rule} {hops}"
        );
        for h in got {
            let sent = sent.iter().find(|sent| sent.id == h.id).unwrap();
            // Each router takes one off the TTL.
            assert_eq!(sent.bytes[8] - h.bytes[8], hops as u8, "{rule} {hops}");
            assert_eq!(sent.bytes[20..], h.bytes[20..], "{rule} {hops}");
        }
    }
}
