//! A megabyte of chat over a bad wire: packets are lost, doubled, put out of order and spoilt by chance, and all that was
//! said is heard, on both wires; and nothing that passes is counted twice or not at all.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

#[cfg(target_os = "linux")]
mod kernel;
#[cfg(target_os = "linux")]
mod namespace;

use std::collections::BTreeMap;

use layerwise::wire::fault::{Deed, Fates, Rule};
use layerwise::wire::memory::{self, Memory};
use layerwise::wire::{Happening, Host, Script, Seen, Wire};

/// What happens to packets by chance.
const CHANCES: [&str; 4] = [
    "random loss 20%",
    "random duplication 5%",
    "random reordering 5%",
    "random corruption 2%",
];

fn chances() -> Vec<Rule> {
    CHANCES.map(|rule| Rule::parse(rule).unwrap()).into()
}

/// So many bytes are said in all.
const MEGABYTE: usize = 1 << 20;

/// So many lines that make up so many bytes in all, every line of A's different; B answers each with as much, or with
/// nothing.
fn chat(bytes: usize, lines: usize, both: bool) -> Script {
    let length = bytes / lines / if both { 2 } else { 1 };
    let line = |number: usize, length: usize| -> String {
        let mut state = number as u64 ^ 0x9e37_79b9_7f4a_7c15;
        let letter = || {
            // Xorshift: any letters will do.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            char::from(b'a' + (state % 26) as u8)
        };
        std::iter::repeat_with(letter).take(length).collect()
    };
    Script {
        messages: (1..=lines).map(|number| line(number, length)).collect(),
        reply: line(0, if both { length } else { 0 }),
    }
}

/// What came of a chat over a bad wire.
#[derive(Debug)]
struct Outcome {
    fates: Fates,
    /// How often each rule was carried out.
    fired: Vec<u64>,
    /// When the last packet passed, from the first on, in nanoseconds.
    time: u64,
}

/// Plays it, and checks that nothing is missing, wrong, doubled or out of order, and that each packet has one fate.
fn play(mut wire: impl Wire, script: &Script, what: &str) -> Outcome {
    let mut heard: BTreeMap<bool, Vec<String>> = BTreeMap::new();
    // Counted here, by what is to be seen.
    let (mut counted, mut begin, mut end) = (Fates::default(), None, 0);
    for seen in wire.by_ref() {
        match seen.unwrap_or_else(|error| panic!("{what}: {error}")) {
            Seen::Packet(packet) => {
                let is = |deed: fn(&Deed) -> bool| packet.touched.iter().any(|t| deed(&t.deed));
                if is(|deed| deed.is_made()) {
                    counted.made += 1;
                } else {
                    counted.sent += 1;
                }
                match packet.arrives {
                    Some(_) => counted.delivered += 1,
                    None if is(|deed| matches!(deed, Deed::Dropped)) => counted.dropped += 1,
                    None => counted.held += 1,
                }
                begin.get_or_insert(packet.sent);
                end = packet.sent.since(begin.unwrap());
            }
            Seen::Released { .. } => {
                counted.held -= 1;
                counted.delivered += 1;
            }
            Seen::Chat { host, what, .. } => {
                if let Some(line) = what.heard() {
                    assert!(line.valid && line.complete);
                    heard
                        .entry(host == Host::A)
                        .or_default()
                        .push(line.text.clone());
                }
                assert!(!matches!(what, Happening::Fails(_)), "{what:?}");
            }
            Seen::Key { .. } | Seen::Kernel { .. } => {}
        }
    }
    assert_eq!(wire.unseen(), 0);
    let said = |host_a: bool| match host_a {
        false => script.messages.clone(),
        true => vec![script.reply.clone(); script.messages.len()],
    };
    for host_a in [false, true] {
        // Not by assert_eq: nobody wants to read a megabyte.
        assert!(
            heard.get(&host_a) == Some(&said(host_a)),
            "{what}: not intact"
        );
    }
    let (fates, reports) = wire.faults().unwrap();
    assert!(fates.add_up(), "{what}: {fates:?}");
    assert_eq!(fates, counted, "{what}: as it was seen");
    let fired = reports.iter().map(|report| report.fired).collect();
    Outcome {
        fates,
        fired,
        time: end,
    }
}

/// That chance is as it was asked for: of all packets, and within what chance allows for so many.
fn shares(outcomes: &[Outcome]) {
    let sum = |of: fn(&Fates) -> u64| outcomes.iter().map(|o| of(&o.fates)).sum::<u64>() as f64;
    let sent = sum(|fates| fates.sent);
    let fired = |rule: usize| outcomes.iter().map(|o| o.fired[rule]).sum::<u64>() as f64;
    assert_eq!(sum(|fates| fates.dropped), fired(0));
    assert_eq!(sum(|fates| fates.made), fired(1));
    // What is lost has no other fate.
    for (share, expected) in [
        (fired(0) / sent, 0.20),
        (fired(1) / sent, 0.80 * 0.05),
        (fired(2) / sent, 0.80 * 0.05),
        (fired(3) / sent, 0.80 * 0.02),
    ] {
        let deviation = (expected * (1.0 - expected) / sent).sqrt();
        // Seven standard deviations: not once in a hundred thousand million runs.
        assert!(
            (share - expected).abs() < 7.0 * deviation,
            "{share} of {sent}, not {expected}"
        );
    }
}

fn over_memory(seeds: core::ops::RangeInclusive<u64>) {
    let outcomes: Vec<_> = seeds
        .map(|seed| {
            let script = chat(
                MEGABYTE,
                [16, 256, 2048][(seed % 3) as usize],
                seed % 2 == 0,
            );
            let config = memory::Config {
                seed,
                ..memory::Config::default()
            };
            let wire = Memory::new(&config, &script).unwrap();
            let wire = wire.with_faults(chances());
            play(wire, &script, &format!("memory, seed {seed}"))
        })
        .collect();
    shares(&outcomes);
}

#[test]
fn a_megabyte_arrives_intact_over_memory() {
    over_memory(1..=24);
}

#[test]
#[ignore = "takes minutes: cargo test --test loss -- --ignored"]
fn a_megabyte_arrives_intact_over_memory_for_a_thousand_seeds() {
    over_memory(1..=1000);
}

#[cfg(target_os = "linux")]
mod tun {
    use core::time::Duration;

    use layerwise::wire::tun::{Config, MAX_MTU, Tun};

    use super::*;

    /// A megabyte over each of several connections side by side, each in namespaces of its own and with other chances: the
    /// kernel's timeouts are real, so that each of them waits for most of the time.
    fn side_by_side(seeds: core::ops::RangeInclusive<u64>, mtu: usize) -> Vec<Outcome> {
        let script = &chat(MEGABYTE, 16, true);
        let config = Config {
            mtu,
            latency: Duration::from_millis(1),
            max_time: Duration::from_secs(1800),
            ..Config::default()
        };
        let making = namespace::alone();
        let wires: Vec<_> = seeds
            .map(|seed| {
                (
                    seed,
                    Tun::with_faults(&config, script, chances(), seed).unwrap(),
                )
            })
            .collect();
        drop(making);
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let play = |(seed, wire)| play(wire, script, &format!("tun, seed {seed}"));
            let threads: Vec<_> = wires
                .into_iter()
                .map(|wire| scope.spawn(move || play(wire)))
                .collect();
            let joined = threads.into_iter().map(|thread| thread.join());
            joined.map(|outcome| outcome.unwrap()).collect()
        });
        let mut times: Vec<_> = outcomes.iter().map(|o| o.time / 1_000_000).collect();
        times.sort_unstable();
        println!("milliseconds: {times:?}");
        outcomes
    }

    /// Whether this process may have namespaces; says loudly that the test does not run if not.
    fn can(test: &str) -> bool {
        let root = nix::unistd::geteuid().is_root();
        if !root {
            eprintln!("SKIPPED: {test}: not root, and a test is a process of several threads");
        }
        root
    }

    /// The packets are as long as a TUN device takes, a message in each: with 1500 bytes there would be thirty times as many
    /// to be lost, each of them to be waited for, and the kernel doubles its timeout each time.
    #[test]
    fn a_megabyte_arrives_intact_over_tun() {
        if can("a_megabyte_arrives_intact_over_tun") {
            shares(&side_by_side(1..=12, MAX_MTU));
        }
    }

    #[test]
    #[ignore = "takes many minutes, in which next to nothing happens: cargo test --test loss -- --ignored"]
    fn a_megabyte_arrives_intact_over_tun_in_packets_of_any_size() {
        if can("a_megabyte_arrives_intact_over_tun_in_packets_of_any_size") {
            shares(&side_by_side(1..=100, MAX_MTU));
            shares(&side_by_side(1..=30, 9000));
            shares(&side_by_side(1..=30, 1500));
        }
    }
}
