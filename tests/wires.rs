//! The wires over Linux's own TCP/IP, for real: namespaces, devices, the kernel's retransmissions; as root and as an
//! ordinary user; and that nothing of it is left behind.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod run;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use layerwise::chat::{ChatError, ChatEvent};
use layerwise::layers::ipv4::checksum_status;
use layerwise::layers::{chat, ipv4, tcp, tcp_info, tls};
use layerwise::packet::{Event, Fact, FieldDef, Frame};
use layerwise::session::Session;
use layerwise::wire::fault::{Deed, Rule};
use layerwise::wire::loopback::{self, Loopback};
use layerwise::wire::memory::{self, Memory};
use layerwise::wire::refusal;
use layerwise::wire::tun::{self, Tun};
use layerwise::wire::{Happening, Host, Link, Packet, Script, Seen, Wire};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

/// The ordinary user, "nobody".
const NOBODY: &str = "65534";

/// Says loudly that a test did not run.
macro_rules! skip {
    ($test:literal, $why:expr) => {{
        eprintln!("SKIPPED: {}: {}", $test, $why);
        return;
    }};
}

fn is_root() -> bool {
    geteuid().is_root()
}

// --- what is seen on a wire, decoded ---------------------------------------------------------------------------------

/// What a wire showed: the packets on each link as the session decodes them, in words that can be compared.
#[derive(Debug, Default)]
struct Story {
    /// What is above TCP, in each direction: records, messages, texts.
    above: BTreeMap<char, Vec<String>>,
    /// The texts that were heard, by whom.
    heard: Vec<(char, String)>,
    packets: Vec<Packet>,
    notes: Vec<(u64, &'static str, Fact)>,
    kernel: Vec<(Host, tcp_info::TcpInfo)>,
    unseen: u64,
}

fn tell(mut wire: impl Wire) -> Story {
    let mut story = Story::default();
    let mut sessions: Vec<_> = (0..=4).map(|_| Session::new()).collect();
    for seen in wire.by_ref() {
        match seen.unwrap() {
            Seen::Key { line, .. } => {
                for session in &mut sessions {
                    session.keylog_line(&line).unwrap();
                }
            }
            Seen::Packet(packet) => {
                let frame = Frame {
                    number: packet.id,
                    time: packet.sent,
                    link: packet.link.link_type(),
                    wire_len: packet.bytes.len() as u32,
                    data: &packet.bytes,
                };
                let event = sessions[packet.hop].push_with(frame, packet.kernel.as_ref());
                assert_eq!(event.stops, [], "packet {}", packet.id);
                // On the first link that it comes to.
                if story.packets.iter().all(|before| before.id != packet.id) {
                    listen(&event, packet.from, &mut story);
                }
                story.packets.push(packet);
            }
            Seen::Released { .. } => panic!("no faults were asked for"),
            Seen::Kernel { host, info, .. } => story.kernel.push((host, info)),
            Seen::Chat { host, what, .. } => {
                if let Some(line) = what.heard() {
                    story.heard.push((letter(host), line.text.clone()));
                }
            }
        }
    }
    story.unseen = wire.unseen();
    story
}

fn letter(host: Host) -> char {
    if host == Host::A { 'A' } else { 'B' }
}

fn listen(event: &Event<'_>, from: Host, story: &mut Story) {
    let number = event.frame.number;
    for note in event.notes {
        story.notes.push((number, note.def.key, note.value));
    }
    // A copy that was sent again tells nothing new.
    let again = event.note(&tcp::ANALYSIS_RETRANSMISSION).is_some();
    let above = story.above.entry(letter(from)).or_default();
    for layer in event.layers.iter().filter(|_| !again) {
        if !std::ptr::eq(layer.def, &tls::TLS) && !std::ptr::eq(layer.def, &chat::CHAT) {
            continue;
        }
        let mut words = layer.def.key.to_owned();
        for field in event.fields_of(layer) {
            let shown: [&FieldDef; 5] = [
                &tls::record::CONTENT_TYPE,
                &tls::record::OPAQUE_TYPE,
                &tls::handshake::TYPE,
                &tls::alert::DESC,
                &chat::TEXT,
            ];
            if shown.iter().any(|def| std::ptr::eq(*def, field.def)) {
                let value = field.value(event.bytes(field.buf));
                let mut value = format!("{value:?}");
                value.truncate(80);
                words += &format!(" {}={value}, {} bits", field.def.key, field.bits);
            }
        }
        above.push(words);
    }
}

impl Story {
    fn note(&self, number: u64, key: &str) -> Option<u64> {
        let mut notes = self.notes.iter();
        notes
            .find(|note| note.0 == number && note.1 == key)
            .and_then(|note| note.2.uint())
    }

    fn all(&self, key: &str) -> Vec<Fact> {
        let notes = self.notes.iter().filter(|note| note.1 == key);
        notes.map(|note| note.2).collect()
    }
}

fn script(messages: &[&str]) -> Script {
    Script {
        messages: messages.iter().map(|text| (*text).to_owned()).collect(),
        ..Script::default()
    }
}

fn at_once() -> tun::Config {
    tun::Config {
        latency: Duration::ZERO,
        ..tun::Config::default()
    }
}

/// A wire with fault rules on it.
fn faulty(config: &tun::Config, script: &Script, rules: &[&str]) -> Tun {
    let rules = rules.iter().map(|rule| Rule::parse(rule).unwrap());
    Tun::with_faults(config, script, rules.collect(), 1).unwrap()
}

#[test]
fn the_same_chat_has_the_same_layers_on_every_wire() {
    if !is_root() {
        skip!(
            "the_same_chat_has_the_same_layers_on_every_wire",
            "a process of several threads, as a test is, gets no namespace without being root"
        );
    }
    let long = "x".repeat(40_000);
    let script = script(&["hi", "grüß 🎈", &long, ""]);
    let memory = tell(Memory::new(&memory::Config::default(), &script).unwrap());
    assert_eq!(memory.heard.len(), 8);
    let tun = |change: fn(&mut tun::Config)| {
        let mut config = at_once();
        change(&mut config);
        tell(Tun::new(&config, &script).unwrap())
    };
    let wires = [
        ("tun", tun(|_| ())),
        ("tun, hops", tun(|config| config.hops = 2)),
        ("tun, ethernet", tun(|config| config.link = Link::Ethernet)),
        (
            "loopback",
            tell(Loopback::new(&loopback::Config::default(), &script).unwrap()),
        ),
    ];
    for (wire, story) in wires {
        // Equal: who says what, every record and message of TLS, in each direction, in order.
        assert_eq!(story.heard, memory.heard, "{wire}");
        assert_eq!(story.above, memory.above, "{wire}");
        assert_eq!(story.unseen, 0, "{wire}");
        // Not equal, and not compared: times; how many bare acknowledgments there are and where segments end (Linux
        // acknowledges at once at first, and its segments carry 12 bytes of timestamps, so they hold less); sequence
        // numbers, ports, keys (random); the sizes of what has them inside.
        let headers = |story: &Story| -> BTreeSet<u8> {
            let data = story.packets.iter().filter(|p| p.bytes.len() > 100);
            let offset = |p: &Packet| if p.link == Link::Ip { 32 } else { 46 };
            data.map(|p| p.bytes[offset(p)] >> 4).collect()
        };
        assert_eq!(
            headers(&memory),
            BTreeSet::from([5]),
            "20 bytes of TCP header"
        );
        assert_eq!(headers(&story), BTreeSet::from([8]), "{wire}: 32 bytes");
    }
}

#[test]
fn checksums_are_right_and_no_packet_is_longer_than_the_mtu() {
    if !is_root() {
        skip!(
            "checksums_are_right_and_no_packet_is_longer_than_the_mtu",
            "not root"
        );
    }
    let long = "x".repeat(100_000);
    for (mtu, hops) in [(1500, 0), (576, 0), (9000, 1)] {
        let config = tun::Config {
            mtu,
            hops,
            ..at_once()
        };
        let story = tell(Tun::new(&config, &script(&[&long])).unwrap());
        assert!(story.packets.iter().all(|packet| packet.bytes.len() <= mtu));
        let longest = story.packets.iter().map(|packet| packet.bytes.len());
        assert_eq!(longest.max(), Some(mtu), "it is made use of");
        for key in ["ip.checksum.status", "tcp.checksum.status"] {
            let all = story.all(key);
            assert!(all.len() > 20);
            assert!(all.iter().all(|status| *status == checksum_status::GOOD));
        }
    }
}

#[test]
fn on_lo_each_packet_is_seen_once_with_a_partial_checksum() {
    if !is_root() {
        skip!(
            "on_lo_each_packet_is_seen_once_with_a_partial_checksum",
            "not root"
        );
    }
    let long = "x".repeat(100_000);
    for (link, longest) in [(Link::Ip, 1500), (Link::Ethernet, 1514)] {
        let config = loopback::Config {
            link,
            ..loopback::Config::default()
        };
        let wire = Loopback::new(&config, &script(&["hi", &long])).unwrap();
        assert_eq!(*wire.place(), loopback::Place::Own);
        let story = tell(wire);
        let lengths = story.packets.iter().map(|packet| packet.bytes.len());
        assert_eq!(
            lengths.max(),
            Some(longest),
            "no packet for the device to cut"
        );
        if link == Link::Ethernet {
            let header = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0];
            assert!(
                story
                    .packets
                    .iter()
                    .all(|packet| packet.bytes.starts_with(&header))
            );
            continue;
        }
        let statuses = story.all("tcp.checksum.status");
        assert_eq!(statuses.len(), story.packets.len());
        // What answers for a connection that is over already has a whole checksum.
        let partial = statuses
            .iter()
            .filter(|status| **status == checksum_status::PARTIAL);
        assert!(partial.count() > statuses.len() - 5, "{statuses:?}");
        assert!(!statuses.contains(&checksum_status::BAD), "{statuses:?}");
        // What the kernel sends again has another number in its IP header.
        let different: BTreeSet<_> = story.packets.iter().map(|packet| &packet.bytes).collect();
        assert_eq!(different.len(), story.packets.len(), "once");
        assert_eq!(story.all("tcp.analysis.lost_segment"), [], "at least once");
        assert_eq!(story.heard.len(), 4);
    }
}

#[test]
fn routers_take_from_the_ttl_and_put_new_addresses_on_the_frame() {
    if !is_root() {
        skip!(
            "routers_take_from_the_ttl_and_put_new_addresses_on_the_frame",
            "not root"
        );
    }
    for link in [Link::Ip, Link::Ethernet] {
        let config = tun::Config {
            link,
            hops: 2,
            ..at_once()
        };
        let wire = Tun::new(&config, &script(&["hi"])).unwrap();
        let packets: Vec<_> = wire
            .filter_map(|seen| match seen.unwrap() {
                Seen::Packet(packet) => Some(packet),
                _ => None,
            })
            .collect();
        let ip_at = if link == Link::Ip { 0 } else { 14 };
        let mut by_id: BTreeMap<u64, Vec<&Packet>> = BTreeMap::new();
        for packet in &packets {
            by_id.entry(packet.id).or_default().push(packet);
        }
        let is_arp = |packet: &Packet| link == Link::Ethernet && packet.bytes[12..14] == [8, 6];
        let mut carried = 0;
        for (id, sightings) in by_id {
            if is_arp(sightings[0]) {
                continue;
            }
            carried += 1;
            let way: Vec<_> = sightings.iter().map(|packet| packet.hop).collect();
            let ttls: Vec<_> = sightings
                .iter()
                .map(|packet| packet.bytes[ip_at + 8])
                .collect();
            let expected = match sightings[0].from {
                Host::A => [0, 1, 2],
                Host::B => [2, 1, 0],
            };
            assert_eq!(way, expected, "packet {id}");
            assert_eq!(ttls, [64, 63, 62], "packet {id}");
            for packet in &sightings {
                let mut session = Session::new();
                let event = session.push(Frame {
                    number: 1,
                    time: packet.sent,
                    link: Link::Ip.link_type(),
                    wire_len: (packet.bytes.len() - ip_at) as u32,
                    data: &packet.bytes[ip_at..],
                });
                let status = event.note(&ipv4::CHECKSUM_STATUS).unwrap().value;
                assert_eq!(status, checksum_status::GOOD, "done again");
                assert_eq!(
                    packet.bytes[ip_at + 12..],
                    sightings[0].bytes[ip_at + 12..],
                    "nothing else is touched"
                );
            }
            if link == Link::Ethernet {
                let macs: BTreeSet<_> =
                    sightings.iter().map(|packet| &packet.bytes[..12]).collect();
                assert_eq!(macs.len(), 3, "other addresses on each link");
            }
        }
        assert!(carried >= 15);
        let arp = |hop| {
            let on = packets
                .iter()
                .filter(|packet| packet.hop == hop && is_arp(packet));
            on.map(|packet| packet.bytes[21]).collect::<Vec<_>>()
        };
        if link == Link::Ethernet {
            assert!(arp(0).starts_with(&[1, 2]), "A asks, its gateway answers");
            assert!(
                arp(2).starts_with(&[1, 2]),
                "the last router asks, B answers"
            );
            assert!(arp(1).is_empty(), "the routers know each other");
        }
    }
}

#[test]
fn without_routers_the_hosts_find_each_other_by_arp() {
    if !is_root() {
        skip!(
            "without_routers_the_hosts_find_each_other_by_arp",
            "not root"
        );
    }
    let config = tun::Config {
        link: Link::Ethernet,
        ..at_once()
    };
    let mut first = Vec::new();
    for seen in Tun::new(&config, &script(&["hi"])).unwrap() {
        if let Seen::Packet(packet) = seen.unwrap() {
            first.push((packet.from, packet.bytes));
        }
    }
    let (from, question) = &first[0];
    assert_eq!((*from, &question[12..14]), (Host::A, &[8, 6][..]));
    assert_eq!(question[..6], [0xff; 6], "to everyone");
    assert_eq!(question[38..42], [5, 6, 7, 8], "who has B's address?");
    let (from, answer) = &first[1];
    assert_eq!((*from, &answer[12..14]), (Host::B, &[8, 6][..]));
    assert_eq!(answer[22..28], [2, 0, 5, 6, 7, 8], "B's Ethernet address");
    assert_eq!(first[2].1[12..14], [8, 0], "the SYN waited for it");
}

#[test]
fn a_lost_segment_is_sent_again_by_the_kernel() {
    if !is_root() {
        skip!("a_lost_segment_is_sent_again_by_the_kernel", "not root");
    }
    // A's second message is alone under way: only the timer can tell that it is lost. Its record has 28 bytes.
    let script = script(&["hi", "again"]);
    let wire = faulty(
        &at_once(),
        &script,
        &["drop where ip.src == 1.2.3.4 && tcp.len == 28"],
    );
    let story = tell(wire);
    assert_eq!(story.heard.len(), 4, "nothing is missing at the end");
    let lost: Vec<_> = story
        .packets
        .iter()
        .filter(|p| p.arrives.is_none())
        .collect();
    assert_eq!(lost.len(), 1);
    assert_eq!(lost[0].from, Host::A);
    let data = &lost[0].bytes[52..];
    let copy = story
        .packets
        .iter()
        .find(|p| p.id > lost[0].id && p.bytes[52..] == *data);
    let copy = copy.unwrap();
    let again = copy.id;
    let after = copy.sent.since(lost[0].sent);
    assert!(
        after >= 190_000_000,
        "Linux waits 200 ms and a round trip: {after} ns"
    );
    assert_eq!(story.note(again, "tcp.analysis.rto"), Some(after));
    assert_eq!(
        story.note(again, "tcp.analysis.rto_frame"),
        Some(lost[0].id)
    );
    assert!(
        story
            .notes
            .iter()
            .any(|n| (n.0, n.1) == (again, "tcp.analysis.timeout")),
        "and nothing had asked for it"
    );
    // The kernel says so, too: as facts of the packet, and as something worth showing.
    let sent_again = |id| story.note(id, "tcp_info.total_retrans").unwrap();
    assert!(sent_again(again) > sent_again(lost[0].id));
    let shown = story.kernel.iter();
    let mut shown = shown.filter(|(host, info)| *host == Host::A && info.total_retrans > 0);
    assert!(shown.next().is_some());
}

#[test]
fn rules_act_on_each_packet_once_where_its_host_sends_it() {
    if !is_root() {
        skip!(
            "rules_act_on_each_packet_once_where_its_host_sends_it",
            "not root"
        );
    }
    for link in [Link::Ip, Link::Ethernet] {
        let config = tun::Config {
            hops: 2,
            link,
            ..at_once()
        };
        let rules = [
            "delay 30ms where ip.src == 5.6.7.8",
            "duplicate where ip.src == 1.2.3.4 && chat",
            "drop where ip && ip.ttl != 64 always",
        ];
        let mut wire = faulty(&config, &script(&["hi"]), &rules);
        let mut packets = Vec::new();
        for seen in wire.by_ref() {
            if let Seen::Packet(packet) = seen.unwrap() {
                packets.push(packet);
            }
        }
        let touched: Vec<_> = packets.iter().filter(|p| !p.touched.is_empty()).collect();
        let deeds: Vec<_> = touched.iter().map(|p| p.touched[0].deed).collect();
        assert_eq!(
            deeds,
            [Deed::Delayed(Duration::from_millis(30)), Deed::Copy]
        );
        let [delayed, copy] = touched[..] else {
            panic!("two")
        };
        assert_eq!((delayed.from, delayed.hop), (Host::B, 2), "B's first link");
        assert!(delayed.arrives.unwrap().since(delayed.sent) >= 30_000_000);
        let next = packets
            .iter()
            .find(|p| p.id > delayed.id && p.from == Host::A && p.hop == 0);
        assert!(
            next.unwrap().sent >= delayed.arrives.unwrap(),
            "A could not go on before"
        );
        assert_eq!((copy.from, copy.hop), (Host::A, 0), "A's first link");
        let way = |id| {
            let on = packets.iter().filter(|p| p.id == id);
            on.map(|p| p.hop).collect::<Vec<_>>()
        };
        assert_eq!(way(copy.id), [0, 1, 2], "a copy passes the routers, too");
        assert!(
            packets
                .iter()
                .any(|p| p.id == copy.id && p.bytes[8..].contains(&62)),
            "and they take from its TTL"
        );
        let (fates, reports) = wire.faults().unwrap();
        assert_eq!(reports[2].never_fired(), Some("say.fault.never_matched"));
        assert!(fates.add_up(), "{fates:?}");
        assert_eq!((fates.made, fates.dropped, fates.on_the_way), (1, 0, 0));
        assert_eq!(fates.delivered, fates.sent + 1, "{fates:?}");
    }
}

#[test]
fn rules_look_into_what_is_sealed_on_every_run() {
    if !is_root() {
        skip!("rules_look_into_what_is_sealed_on_every_run", "not root");
    }
    // The secrets come from the hosts' threads, the packets to the wire's: if it were a race, it would be lost sometimes.
    // The first rule needs the very first secrets, for the very first packet that they open.
    for run in 0..30 {
        let mut wire = faulty(
            &at_once(),
            &script(&["hi", "please pay 100", "and more"]),
            &[
                "duplicate where tls.handshake.type == encrypted_extensions",
                "duplicate where chat.text contains \"pay\"",
                "duplicate where tls.alert_message.desc == close_notify times 2",
            ],
        );
        assert!(wire.by_ref().all(|seen| seen.is_ok()));
        let (fates, reports) = wire.faults().unwrap();
        let fired: Vec<_> = reports.iter().map(|report| report.fired).collect();
        assert_eq!(fired, [1, 1, 2], "run {run}");
        assert!(fates.add_up(), "{fates:?}");
    }
}

/// What happened to each host, in words: what it said, what it heard, how TCP ended for it, why it failed.
fn told(wire: impl Wire) -> BTreeMap<char, Vec<String>> {
    let mut told: BTreeMap<char, Vec<String>> = BTreeMap::new();
    for seen in wire {
        let Ok(Seen::Chat { host, what, .. }) = seen else {
            continue;
        };
        told.entry(letter(host)).or_default().push(match what {
            Happening::Connected => "connected".to_owned(),
            Happening::Says(text) => format!("says {text}"),
            Happening::SaysGoodbye => "says goodbye".to_owned(),
            Happening::Hears(ChatEvent::Said(line)) => format!("hears {}", line.text),
            Happening::Hears(ChatEvent::Goodbye) => "hears goodbye".to_owned(),
            Happening::Hears(ChatEvent::Secured { .. }) => "secured".to_owned(),
            Happening::Hears(ChatEvent::InClear) => "in clear".to_owned(),
            Happening::Ended(ending) => format!("{ending:?}"),
            Happening::Fails(ChatError::Truncated { .. }) => "cut off".to_owned(),
            Happening::Fails(error) => error.to_string(),
        });
    }
    told
}

#[test]
fn what_each_host_gets_to_know_is_told_alike_on_every_wire() {
    if !is_root() {
        skip!(
            "what_each_host_gets_to_know_is_told_alike_on_every_wire",
            "not root"
        );
    }
    let chat = script(&["hi", "bye"]);
    let begins = ["connected", "secured", "says hi", "hears hello", "says bye"];
    let hears = ["connected", "secured", "hears hi", "says hello"];
    let with = |begins: &[&str], more: &[&str]| -> Vec<String> {
        [begins, more]
            .concat()
            .iter()
            .map(|s| (*s).to_owned())
            .collect()
    };
    for (rule, a, b) in [
        (
            "drop where udp",
            with(
                &begins,
                &["hears hello", "says goodbye", "hears goodbye", "Fin"],
            ),
            with(
                &hears,
                &[
                    "hears bye",
                    "says hello",
                    "hears goodbye",
                    "says goodbye",
                    "Fin",
                ],
            ),
        ),
        // What came before the reset was heard. A learns of it as soon as it sends again; in Linux, B's answer may have
        // left before the reset came in.
        (
            "rst where chat.text == \"bye\"",
            with(&begins, &["Reset", "cut off"]),
            with(&hears, &["hears bye", "says hello", "Reset", "cut off"]),
        ),
        // As if nobody listened: B's SYN ACK becomes a RST ACK.
        (
            "set tcp.flags 0x14 where tcp.flags == 0x12",
            with(&["Reset", "cut off"], &[]),
            Vec::new(),
        ),
    ] {
        let rules = || vec![Rule::parse(rule).unwrap()];
        let memory = Memory::new(&memory::Config::default(), &chat).unwrap();
        let tun = Tun::with_faults(&at_once(), &chat, rules(), 1).unwrap();
        let (memory, tun) = (told(memory.with_faults(rules())), told(tun));
        for (wire, told) in [("memory", &memory), ("tun", &tun)] {
            let of = |host| told.get(&host).cloned().unwrap_or_default();
            let (mut at_a, at_b) = (of('A'), of('B'));
            if wire == "tun" && rule.contains("bye") {
                at_a.retain(|what| !["hears hello", "says goodbye"].contains(&what.as_str()));
                at_a.insert(3, "hears hello".to_owned());
                // If B's kernel had acknowledged the message before the reset came in, nothing is sent again, and A
                // learns nothing: its connection is half-open.
                if !at_a.contains(&"Reset".to_owned()) {
                    at_a.extend(["Reset", "cut off"].map(str::to_owned));
                }
            }
            assert_eq!((&at_a, &at_b), (&a, &b), "{wire}: {rule}");
        }
    }
}

#[test]
fn routers_throw_away_what_a_rule_has_spoilt() {
    if !is_root() {
        skip!("routers_throw_away_what_a_rule_has_spoilt", "not root");
    }
    let config = tun::Config {
        hops: 1,
        ..at_once()
    };
    // A header whose checksum is stale; one whose time to live has run out.
    for rule in [
        "flip ip.id stale where chat && ip.src == 1.2.3.4",
        "set ip.ttl 1 where chat && ip.src == 1.2.3.4",
    ] {
        let mut wire = faulty(&config, &script(&["hi"]), &[rule]);
        let mut packets = Vec::new();
        for seen in wire.by_ref() {
            if let Seen::Packet(packet) = seen.unwrap() {
                packets.push(packet);
            }
        }
        let spoilt = packets.iter().find(|p| p.before.is_some()).unwrap();
        let sightings = packets.iter().filter(|p| p.id == spoilt.id);
        assert_eq!(sightings.count(), 1, "{rule}: not on the second link");
        let (fates, _) = wire.faults().unwrap();
        assert!(fates.add_up(), "{fates:?}");
        assert_eq!((fates.dropped, fates.on_the_way), (1, 0), "{rule}");
    }
}

#[test]
fn the_kernels_view_is_a_fact_of_each_packet() {
    if !is_root() {
        skip!("the_kernels_view_is_a_fact_of_each_packet", "not root");
    }
    let config = tun::Config {
        latency: Duration::from_millis(4),
        ..tun::Config::default()
    };
    let story = tell(Tun::new(&config, &script(&["hi"])).unwrap());
    let syn = story.packets[0].id;
    assert_eq!(story.note(syn, "tcp_info.state"), Some(2), "SYN-SENT");
    assert_eq!(story.note(syn, "tcp_info.cwnd"), Some(10));
    let unlimited = u64::from(tcp_info::UNLIMITED);
    assert_eq!(story.note(syn, "tcp_info.ssthresh"), Some(unlimited));
    let rtts = story.all("tcp_info.rtt");
    let rtt = rtts.iter().filter_map(Fact::uint).find(|rtt| *rtt > 0);
    assert!(
        rtt.unwrap() >= 8000,
        "two ways of 4 ms, in microseconds: {rtt:?}"
    );
    let mss = story.all("tcp_info.snd_mss");
    assert!(
        mss.contains(&Fact::Uint(1448)),
        "less 12 bytes of timestamps: {mss:?}"
    );
    let shown = story.kernel.len();
    assert!(
        (2..=story.packets.len()).contains(&shown),
        "{shown} times worth showing"
    );
}

#[test]
fn a_screen_that_is_too_slow_does_not_hold_up_the_packets() {
    if !is_root() {
        skip!(
            "a_screen_that_is_too_slow_does_not_hold_up_the_packets",
            "not root"
        );
    }
    let big = "x".repeat(1 << 20);
    let messages = vec![big.as_str(); 40];
    let wire = Tun::new(&at_once(), &script(&messages)).unwrap();
    // Nobody takes anything until something found no room.
    while wire.unseen() == 0 {
        std::thread::yield_now();
    }
    let mut said = 0;
    let mut wire = wire;
    for seen in wire.by_ref() {
        if let Seen::Chat { what, .. } = seen.unwrap() {
            said += usize::from(what.heard().is_some());
        }
    }
    assert_eq!(said, 80, "the chat itself misses nothing");
    assert!(wire.unseen() > 0, "and what was not seen is counted");
}

#[test]
fn a_wire_that_is_dropped_ends() {
    if !is_root() {
        skip!("a_wire_that_is_dropped_ends", "not root");
    }
    let big = "x".repeat(1 << 20);
    let script = script(&[&big, &big]);
    let mut wire = Tun::new(&at_once(), &script).unwrap();
    assert!(wire.by_ref().take(20).all(|seen| seen.is_ok()));
    drop(wire);
    let mut wire = Loopback::new(&loopback::Config::default(), &script).unwrap();
    assert!(wire.by_ref().take(20).all(|seen| seen.is_ok()));
    drop(wire);
}

#[test]
fn a_wire_where_everything_is_lost_gives_up() {
    if !is_root() {
        skip!("a_wire_where_everything_is_lost_gives_up", "not root");
    }
    let config = tun::Config {
        max_time: Duration::from_millis(100),
        ..at_once()
    };
    let mut wire = faulty(&config, &script(&["hi"]), &["drop always"]);
    let error = wire.by_ref().last().unwrap().unwrap_err();
    let (fates, _) = wire.faults().unwrap();
    assert_eq!((fates.sent, fates.delivered), (fates.dropped, 0));
    assert!(
        error.to_string().contains("had not ended after 100ms"),
        "{error}"
    );
}

#[test]
fn a_probe_in_a_process_of_several_threads_says_so() {
    let refused = refusal::probe_network().unwrap_err();
    assert_eq!(refused.step, refusal::Step::Child);
    assert!(refused.to_string().contains("second thread"), "{refused}");
}

// --- the program, as root and as nobody ------------------------------------------------------------------------------

/// The program where every user can reach it: where it was built, or a copy.
fn program() -> PathBuf {
    static PLACE: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    let find = || {
        let built = PathBuf::from(env!("CARGO_BIN_EXE_layerwise"));
        let reach = Command::new("setpriv")
            .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"])
            .arg(&built)
            .arg("--version")
            .output();
        if !is_root() || reach.is_ok_and(|output| output.status.success()) {
            return built;
        }
        let folder = std::env::temp_dir().join("layerwise-wires");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
        let copy = folder.join(format!("layerwise-{}", std::process::id()));
        run::copy_program(&copy);
        copy
    };
    PLACE.get_or_init(find).clone()
}

/// How the program is run.
#[derive(Debug, Clone, Copy)]
enum As {
    Oneself,
    Nobody,
    /// In a mount namespace whose /dev/net holds what the script makes there.
    WithDev(&'static str, bool),
    /// By `setpriv` with these arguments.
    Setpriv(&'static [&'static str]),
}

fn command(how: As, arguments: &[&str]) -> Command {
    let nobody = ["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"];
    // Whoever runs the tests in the background has them ignore Ctrl-C, and so would the program.
    let mut command = Command::new("env");
    command.arg("--default-signal=INT");
    match how {
        As::Oneself => {}
        As::Nobody => {
            command.arg("setpriv").args(nobody);
        }
        As::Setpriv(with) => {
            command.arg("setpriv").args(with);
        }
        As::WithDev(make, as_nobody) => {
            let drop = if as_nobody {
                format!("setpriv {}", nobody.join(" "))
            } else {
                String::new()
            };
            let script = format!("mount -t tmpfs none /dev/net && {make} && exec {drop} \"$@\"");
            command.args(["unshare", "--mount", "sh", "-c", &script, "sh"]);
        }
    }
    command.arg(program());
    command
        .args(arguments)
        .env("TERM", "dumb")
        .stdin(Stdio::null());
    for variable in ["NO_COLOR", "CLICOLOR_FORCE", "CARGO", "COLUMNS"] {
        command.env_remove(variable);
    }
    command
}

fn run(how: As, arguments: &[&str]) -> Output {
    command(how, arguments).output().unwrap()
}

/// The whole output as one line: sentences may be broken anywhere.
fn said(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let text = text.replace('│', " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn refused(how: As, arguments: &[&str]) -> String {
    let output = run(how, arguments);
    assert!(
        !output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    assert_eq!(
        output.stdout, b"",
        "nothing is shown before it is known to work"
    );
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.matches('\n').count(), 1, "one line: {text}");
    text
}

/// Whether an ordinary user gets a namespace on this system.
fn users_get_namespaces() -> bool {
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]);
        command.arg("unshare");
        command
    } else {
        Command::new("unshare")
    };
    let status = command
        .args(["--user", "--map-root-user", "--net", "true"])
        .output();
    status.is_ok_and(|output| output.status.success())
}

const TUN_FOR_ALL: &str = "mknod -m 0666 /dev/net/tun c 10 200";
const TUN_FOR_ROOT: &str = "mknod -m 0600 /dev/net/tun c 10 200";
const NO_TUN: &str = "true";

#[track_caller]
fn shows_a_whole_chat(text: &str) {
    for part in [
        "A asks to connect",
        "A says \"hi\"",
        "B says \"hello\"",
        "reads \"hello\" ✓",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert!(!text.contains('✗'), "{text}");
    assert!(text.contains("headers of 32 bytes, not 20"), "{text}");
}

#[test]
fn the_demonstration_runs_over_every_wire_as_every_user() {
    let mut users = vec![As::Oneself];
    if users_get_namespaces() {
        if is_root() {
            users.extend([As::Nobody, As::WithDev(TUN_FOR_ALL, true)]);
        }
    } else {
        eprintln!(
            "SKIPPED: the_demonstration_runs_over_every_wire_as_every_user: as an ordinary user: this system gives no \
             user namespaces"
        );
    }
    for user in users {
        for wire in [
            &["--wire", "tun"][..],
            &["--wire", "loopback"],
            &["demo", "--wire", "tun", "--latency", "0"],
        ] {
            shows_a_whole_chat(&said(&run(user, wire)));
        }
    }
}

#[test]
fn rules_are_carried_out_for_every_user() {
    let mut users = vec![As::Oneself];
    if is_root() {
        // Without TUN: over a pair of virtual Ethernet devices.
        users.push(As::WithDev(NO_TUN, false));
        if users_get_namespaces() {
            users.extend([As::Nobody, As::WithDev(TUN_FOR_ALL, true)]);
        } else {
            eprintln!(
                "SKIPPED: rules_are_carried_out_for_every_user: as an ordinary user: no user namespaces"
            );
        }
    }
    for user in users {
        let text = said(&run(
            user,
            &[
                &["demo", "--wire", "tun", "--fault"][..],
                &["drop where chat.text contains \"pay\"", "--fault"],
                &["flip 300 stale where ip.src == 5.6.7.8 && chat", "--fault"],
                &[
                    "duplicate where tcp.flags.syn == 1",
                    "--fault",
                    "drop where udp",
                ],
                &["hi", "please pay", "bye"],
            ]
            .concat(),
        ));
        for part in [
            "lost on the way (rule 1)",
            "changed at byte 37, checksums left as they were (rule 2)",
            "a second copy of the packet before it (rule 3)",
            "and 1 made up;",
            "1 lost, 0 not let go.",
            "Rule 4 never fired: no packet fitted its condition: drop where udp",
            "reads \"hello\" ✓",
        ] {
            assert!(text.contains(part), "{user:?}: {part:?} is not in {text}");
        }
        assert!(text.matches(" again, ").count() >= 2, "{text}");
    }
}

#[test]
fn over_ethernet_its_headers_and_arp_are_seen() {
    if !is_root() {
        skip!("over_ethernet_its_headers_and_arp_are_seen", "not root");
    }
    let ethernet = ["demo", "--wire", "tun", "--link", "ethernet"];
    let text = said(&run(As::Oneself, &ethernet));
    shows_a_whole_chat(&text);
    for part in [
        "who has 5.6.7.8? tell 1.2.3.4",
        "5.6.7.8 is at 02:00:05:06:07:08",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    let text = said(&run(As::Oneself, &[&ethernet[..], &["-v"]].concat()));
    assert!(text.contains("Ethernet · eth · 14 bytes"), "{text}");
    // With a router between, it is asked in B's place, and asks itself.
    let text = said(&run(
        As::Oneself,
        &[&ethernet[..], &["--hops", "1"]].concat(),
    ));
    for part in [
        "who has 1.2.3.1? tell 1.2.3.4",
        "who has 5.6.7.8? tell 5.6.7.1",
        "router 1 passes it on: TTL 63, new MACs",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
fn a_tun_device_serves_where_it_can_be_had_and_a_veth_pair_where_not() {
    if !is_root() {
        skip!(
            "a_tun_device_serves_where_it_can_be_had_and_a_veth_pair_where_not",
            "only root can change what is in /dev"
        );
    }
    let tun = said(&run(
        As::WithDev(TUN_FOR_ALL, true),
        &["demo", "--wire", "tun"],
    ));
    assert!(tun.contains("a TUN device in each"), "{tun}");
    for (make, nobody, why) in [
        (NO_TUN, false, "sudo modprobe tun"),
        (TUN_FOR_ROOT, true, "sudo chmod 0666 /dev/net/tun"),
        (
            "mknod -m 0666 /dev/net/tun c 1 3",
            false,
            "something else stands in its place",
        ),
    ] {
        for more in [&[][..], &["--link", "ethernet", "--hops", "1"]] {
            let arguments = [&["demo", "--wire", "tun"][..], more].concat();
            let text = said(&run(As::WithDev(make, nobody), &arguments));
            assert!(text.contains("veth"), "{text}");
            assert!(text.contains(why), "{text}");
            if more.is_empty() {
                shows_a_whole_chat(&text);
            }
        }
    }
}

#[test]
fn what_the_system_refuses_is_said_with_the_command_that_mends_it() {
    if !is_root() || !users_get_namespaces() {
        skip!(
            "what_the_system_refuses_is_said_with_the_command_that_mends_it",
            "it takes root, and user namespaces, to switch things off for one process"
        );
    }
    let inside = |sysctl: &str, then: &str| {
        let script = format!("echo 0 > /proc/sys/user/{sysctl} && exec {then} \"$@\"");
        let output = Command::new("unshare")
            .args(["--user", "--map-root-user", "sh", "-c", &script, "sh"])
            .arg(program())
            .args(["demo", "--wire", "tun"])
            .output()
            .unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let text = inside("max_net_namespaces", "");
    assert!(
        text.contains("sudo sysctl -w user.max_net_namespaces="),
        "{text}"
    );
    let drop = "setpriv --bounding-set -all --inh-caps -all";
    let text = inside("max_user_namespaces", drop);
    assert!(
        text.contains("sudo sysctl -w user.max_user_namespaces="),
        "{text}"
    );

    let bare = As::Setpriv(&["--bounding-set", "-all", "--inh-caps", "-all"]);
    let text = refused(bare, &["demo", "--wire", "tun"]);
    assert!(
        text.contains("you are root, but without root's capabilities"),
        "{text}"
    );
    assert!(
        !text.contains("AppArmor") && text.contains("--cap-add"),
        "{text}"
    );
}

#[test]
fn without_a_namespace_the_machines_own_lo_serves_and_the_port_must_be_free() {
    if !is_root() {
        skip!(
            "without_a_namespace_the_machines_own_lo_serves_and_the_port_must_be_free",
            "watching the machine's own lo takes root"
        );
    }
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    let only_watching = As::Setpriv(&["--bounding-set", "-all,+net_raw", "--inh-caps", "-all"]);
    let arguments = ["demo", "--wire", "loopback", "--port", &port.to_string()];
    let text = refused(only_watching, &arguments);
    assert!(
        text.contains(&format!("ss -ltnp 'sport = :{port}'")),
        "{text}"
    );
    assert!(text.contains("--port"), "{text}");
    drop(held);
    let text = said(&run(only_watching, &arguments));
    assert!(text.contains("this machine's loopback device"), "{text}");
    shows_a_whole_chat(&text);
    let long = "x".repeat(100_000);
    let arguments = [&arguments[..], &[&long]].concat();
    let text = said(&run(only_watching, &arguments));
    assert!(
        text.contains("in one packet: no wire carries that"),
        "{text}"
    );
    assert!(!text.contains('✗'), "{text}");
}

#[test]
fn a_lost_segment_is_explained() {
    if !is_root() {
        skip!("a_lost_segment_is_explained", "not root");
    }
    // From the third message on each is alone under way, so only the timer can tell that one is lost.
    let messages = ["hi", "you", "there", "and", "so", "on"];
    let lossy = |more: &[&str]| {
        let arguments = [
            &["demo", "--wire", "tun", "--fault"][..],
            &["drop where tcp.len > 0 after 13"],
            more,
            &messages,
        ]
        .concat();
        said(&run(As::Oneself, &arguments))
    };
    let text = lossy(&[]);
    let (_, after) = text.split_once("lost on the way (rule 1)").unwrap();
    let (_, after) = after.split_once(" bytes again, ").unwrap();
    let (time, after) = after.split_once(" ms after the first time: ").unwrap();
    assert!(time.parse::<f64>().unwrap() >= 190.0, "{time} ms");
    assert!(after.starts_with("no acknowledgment came"), "{after}");
    let text = lossy(&["-v"]);
    assert!(
        text.contains("kernel at A: ESTABLISHED, cwnd 10, ssthresh ∞"),
        "{text}"
    );
    assert!(text.contains("sent again 1"), "{text}");
}

#[test]
fn what_does_not_hold_on_a_wire_is_refused() {
    for (arguments, hint) in [
        (&["--wire", "tun", "--seed", "3"][..], "really random"),
        (
            &["--wire", "loopback", "--seed", "3", "--fault", "drop"],
            "really random",
        ),
        (
            &["--wire", "loopback", "--fault", "drop"],
            "it only watches",
        ),
        (&["--wire", "loopback", "--fault", "drop"], "--wire tun"),
        (&["--wire", "loopback", "--seed", "3"], "really random"),
        (&["--wire", "loopback", "--latency", "1ms"], "at once"),
        (&["--wire", "loopback", "--hops", "1"], "--wire tun"),
        (&["--hops", "1"], "--wire tun"),
        (&["--link", "ethernet"], "--wire tun"),
        (&["--wire", "tun", "--port", "9"], "--wire loopback"),
        (&["--wire", "tun", "--hops", "31"], "from 0 to 30"),
        (&["--wire", "tun", "--mtu", "100"], "from 576"),
        (&["--wire", "nothing"], "memory, tun, loopback"),
    ] {
        let text = refused(As::Oneself, &[&["demo"][..], arguments].concat());
        assert!(text.contains(hint), "{arguments:?}: {text}");
    }
    let text = refused(As::Oneself, &["--wire", "tun", "explain"]);
    assert!(text.contains("layerwise demo --wire tun"), "{text}");
}

// --- nothing leaves --------------------------------------------------------------------------------------------------

/// A machine whose every packet to anywhere would leave by one device; runs a program there, and then says how many did.
const OUTSIDE: &str = "
    sysctl -qw net.ipv6.conf.default.disable_ipv6=1 net.ipv4.ip_forward=1
    ip link add out0 type veth peer name far0 && ip link set far0 up && ip link set out0 arp off up
    ip addr add 192.0.2.1/24 dev out0 && ip link set lo up && ip route add default dev out0
    \"$@\" >/dev/null 2>/dev/null
    echo ended: $?
    grep out0 /proc/thread-self/net/dev
";

/// How many packets left by the device of [`OUTSIDE`], or came in by it, while a program ran; and how it ended.
fn left_by_a_real_interface(command: &mut Command) -> (u64, String) {
    let mut outside = Command::new("unshare");
    outside.args(["--net", "sh", "-c", OUTSIDE, "sh"]);
    outside.arg(command.get_program()).args(command.get_args());
    let output = outside.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    let Some((ended, device)) = text.split_once("out0:") else {
        panic!("{text}{error}")
    };
    let counts: Vec<u64> = device
        .split_whitespace()
        .map(|n| n.parse().unwrap())
        .collect();
    (counts[1] + counts[9], ended.trim().to_owned())
}

#[test]
fn nothing_leaves_by_a_real_interface_whatever_rules_do() {
    if !is_root() {
        skip!(
            "nothing_leaves_by_a_real_interface_whatever_rules_do",
            "only root makes a device to leave by"
        );
    }
    // That it would be noticed.
    let mut shout = Command::new("python3");
    let words = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('5.6.7.8', 9))";
    shout.args(["-c", words]);
    assert_eq!(
        left_by_a_real_interface(&mut shout),
        (1, "ended: 0".to_owned())
    );

    let mut users = vec![As::Oneself];
    if users_get_namespaces() {
        users.extend([As::Nobody, As::WithDev(TUN_FOR_ALL, true)]);
    } else {
        eprintln!(
            "SKIPPED: nothing_leaves_by_a_real_interface_whatever_rules_do: as an ordinary user: no user namespaces"
        );
    }
    let play = |user: As, more: &[&str]| {
        // To other addresses, from other addresses, doubled, by chance; what is lost so is sent again.
        let arguments = [
            &["demo", "--wire", "tun"][..],
            &["--fault", "set ip.dst 9.9.9.9 where chat"],
            &["--fault", "set ip.dst 192.0.2.1 where chat after 1"],
            &["--fault", "set ip.src 192.0.2.1 where chat after 2"],
            &["--fault", "duplicate where tcp times 9"],
            &["--fault", "random corruption 5%"],
            &["--fault", "random loss 5%"],
            more,
            &["hi", "you", "there"],
        ]
        .concat();
        let (packets, ended) = left_by_a_real_interface(&mut command(user, &arguments));
        assert_eq!(
            (packets, ended.as_str()),
            (0, "ended: 0"),
            "{user:?} {more:?}"
        );
    };
    // Side by side: most of the time is waiting for what was lost.
    std::thread::scope(|scope| {
        for user in users {
            for more in [&[][..], &["--link", "ethernet"], &["--hops", "2"]] {
                scope.spawn(move || play(user, more));
            }
        }
    });
}

// --- nothing is left behind ------------------------------------------------------------------------------------------

/// The network namespaces that a process holds: by being in one, or by an open file.
fn namespaces_held(pid: u32) -> BTreeSet<String> {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let links = |folder: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let links = entries.filter_map(|entry| std::fs::read_link(entry.path()).ok());
        links.map(|link| link.display().to_string()).collect()
    };
    let mut all = links(&process.join("fd"));
    let tasks = std::fs::read_dir(process.join("task"));
    for task in tasks.into_iter().flatten().flatten() {
        all.extend(links(&task.path().join("ns")));
    }
    all.into_iter()
        .filter(|link| link.starts_with("net:["))
        .collect()
}

/// The processes of a process group.
fn processes_of(group: u32) -> Vec<String> {
    let stats = std::fs::read_dir("/proc").unwrap().flatten();
    let stats = stats.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
    // After the name in parentheses: state, parent, group.
    let in_group = |stat: &String| {
        let fields = stat
            .rsplit_once(')')
            .map(|(_, fields)| fields.split_whitespace());
        fields.and_then(|mut fields| fields.nth(2)?.parse().ok()) == Some(group)
    };
    stats.filter(in_group).collect()
}

/// Namespaces can outlive their processes only where they are mounted.
fn mounted_namespaces() -> usize {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    mounts
        .lines()
        .filter(|line| line.contains(" - nsfs "))
        .count()
}

fn devices() -> BTreeSet<String> {
    let folder = std::fs::read_dir("/sys/class/net").unwrap();
    folder
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// The program in the middle of its work: the SYN is shown, and seconds are to go.
fn at_work(how: As, wire: &str) -> Child {
    let mut arguments = vec!["demo", "--wire", wire];
    if wire == "tun" {
        arguments.extend(["--latency", "5s"]);
    }
    let many = vec!["x"; 50_000];
    if wire == "loopback" {
        arguments.push("--");
        arguments.extend(many);
    }
    let mut command = command(how, &arguments);
    command.process_group(0).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    assert!(
        lines.any(|line| line.unwrap().contains("A asks to connect")),
        "a line is shown as soon as its packet has passed"
    );
    child
}

#[test]
fn nothing_is_left_behind_by_a_program_that_is_killed() {
    if !is_root() {
        skip!(
            "nothing_is_left_behind_by_a_program_that_is_killed",
            "only root sees who holds which namespace"
        );
    }
    let here = std::fs::read_link("/proc/self/ns/net")
        .unwrap()
        .display()
        .to_string();
    let (before, mounted) = (devices(), mounted_namespaces());
    let mut users = vec![As::Oneself];
    if users_get_namespaces() {
        users.extend([As::Nobody, As::WithDev(TUN_FOR_ALL, true)]);
    } else {
        eprintln!(
            "SKIPPED: nothing_is_left_behind_by_a_program_that_is_killed: as an ordinary user: no user namespaces"
        );
    }
    for (user, wire, signal) in users.iter().flat_map(|user| {
        [
            ("tun", Signal::SIGKILL),
            ("tun", Signal::SIGINT),
            ("loopback", Signal::SIGKILL),
        ]
        .map(|(wire, signal)| (*user, wire, signal))
    }) {
        let mut child = at_work(user, wire);
        let pid = child.id();
        let mut held = namespaces_held(pid);
        assert!(!processes_of(pid).is_empty());
        assert!(
            held.remove(&here),
            "the program itself stays where it was started"
        );
        let own = if wire == "tun" { 2.. } else { 1.. };
        assert!(own.contains(&held.len()), "{user:?}, {wire}: {held:?}");
        assert_eq!(
            devices(),
            before,
            "nothing is made in the machine's own network"
        );
        kill(Pid::from_raw(pid as i32), signal).unwrap();
        assert!(!child.wait().unwrap().success());
        // A namespace lives as long as a process is in it, holds it open, or it is mounted.
        assert_eq!(processes_of(pid), [""; 0], "{user:?}, {wire}");
        assert_eq!(mounted_namespaces(), mounted);
        assert_eq!(devices(), before);
    }
}
