//! Packets are taken apart with etherparse here, so that the wire is not judged by this crate's own decoder.

use etherparse::{IpNumber, Ipv4Header, SlicedPacket, TcpHeaderSlice, TransportSlice};
use rustls::pki_types::ServerName;
use rustls::{CertificateError, CipherSuite, NamedGroup, ProtocolVersion};

use super::*;
use crate::chat::Line;

fn script(messages: &[&str]) -> Script {
    Script {
        messages: messages.iter().map(|text| (*text).to_owned()).collect(),
        reply: "hello".to_owned(),
    }
}

fn play(config: &Config, script: &Script) -> Vec<Seen> {
    Memory::new(config, script)
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

fn packets(seen: &[Seen]) -> Vec<&Packet> {
    seen.iter()
        .filter_map(|seen| match seen {
            Seen::Packet(packet) => Some(packet),
            _ => None,
        })
        .collect()
}

fn tcp(packet: &Packet) -> (TcpHeaderSlice<'_>, &[u8]) {
    match SlicedPacket::from_ip(&packet.bytes).unwrap().transport {
        Some(TransportSlice::Tcp(tcp)) => (
            TcpHeaderSlice::from_slice(tcp.slice()).unwrap(),
            tcp.payload(),
        ),
        other => panic!("{other:?}"),
    }
}

/// What the application of `host` heard.
fn heard(seen: &[Seen], at: Host) -> Vec<&str> {
    seen.iter()
        .filter_map(|seen| match seen {
            Seen::Chat { host, what, .. } if *host == at => what.heard(),
            _ => None,
        })
        .inspect(|line| assert!(line.valid && line.complete))
        .map(|line| line.text.as_str())
        .collect()
}

/// A line for each thing seen: for a failing test, and to read.
fn story(seen: &[Seen]) -> String {
    let lines = seen.iter().map(|seen| match seen {
        Seen::Packet(packet) => {
            let (tcp, data) = tcp(packet);
            let flags = [
                (tcp.syn(), "SYN"),
                (tcp.ack(), "ACK"),
                (tcp.psh(), "PSH"),
                (tcp.fin(), "FIN"),
                (tcp.rst(), "RST"),
            ];
            let flags = flags.map(|(set, name)| if set { name } else { "" });
            format!(
                "{:>9} {} sends {:>5} bytes: TCP {}-byte header, {:>5} of data {}",
                packet.sent.since(EPOCH) / 1000,
                packet.from,
                packet.bytes.len(),
                tcp.slice().len(),
                data.len(),
                flags.join(" ")
            )
        }
        Seen::Key { host, time, line } => {
            let label = line.split(' ').next().unwrap_or("");
            format!("{:>9} {host} knows {label}", time.since(EPOCH) / 1000)
        }
        Seen::Kernel { host, .. } => unreachable!("{host} has no kernel here"),
        Seen::Chat { host, time, what } => {
            let mut what = format!("{what:?}");
            what.truncate(60);
            format!("{:>9} {host}: {what}", time.since(EPOCH) / 1000)
        }
        Seen::Released { id, time, .. } => {
            format!("{:>9} packet {id} goes on", time.since(EPOCH) / 1000)
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn hi_is_said_and_answered() {
    let seen = play(&Config::default(), &script(&["hi"]));
    assert_eq!(heard(&seen, Host::B), ["hi"]);
    assert_eq!(heard(&seen, Host::A), ["hello"]);
    let what = |at| {
        let chat = seen.iter().filter_map(move |seen| match seen {
            Seen::Chat { host, what, .. } if *host == at => Some(what.clone()),
            _ => None,
        });
        chat.collect::<Vec<_>>()
    };
    let secured = Happening::Hears(ChatEvent::Secured {
        version: ProtocolVersion::TLSv1_3,
        suite: CipherSuite::TLS13_AES_256_GCM_SHA384,
        group: Some(NamedGroup::X25519MLKEM768),
    });
    let said = |text: &str| {
        Happening::Hears(ChatEvent::Said(Line {
            text: text.to_owned(),
            valid: true,
            complete: true,
        }))
    };
    let goodbye = Happening::Hears(ChatEvent::Goodbye);
    assert_eq!(
        what(Host::A),
        [
            Happening::Connected,
            secured.clone(),
            Happening::Says("hi".to_owned()),
            said("hello"),
            Happening::SaysGoodbye,
            goodbye.clone(),
            Happening::Ended(Ending::Fin),
        ]
    );
    assert_eq!(
        what(Host::B),
        [
            Happening::Connected,
            secured,
            said("hi"),
            Happening::Says("hello".to_owned()),
            goodbye,
            Happening::SaysGoodbye,
            Happening::Ended(Ending::Fin),
        ]
    );
}

#[test]
fn the_ladder_is_as_in_real_life() {
    let seen = play(&Config::default(), &script(&["hi"]));
    let ladder = packets(&seen);
    let story = story(&seen);
    println!("{story}");
    let flags = |n: usize| {
        let (tcp, data) = tcp(ladder[n]);
        let from = ladder[n].from;
        (from, tcp.syn(), tcp.ack(), tcp.fin(), data.is_empty())
    };
    assert_eq!(flags(0), (Host::A, true, false, false, true), "{story}");
    assert_eq!(flags(1), (Host::B, true, true, false, true), "{story}");
    assert_eq!(flags(2), (Host::A, false, true, false, true), "{story}");
    assert_eq!(flags(3), (Host::A, false, true, false, false), "{story}");
    let alone = |p: &&&Packet| tcp(p).1.is_empty() && !tcp(p).0.syn() && !tcp(p).0.fin();
    // The third of the handshake and the last of all: every other acknowledgment rides on data.
    assert_eq!(ladder.iter().filter(alone).count(), 2, "{story}");
    let fins: Vec<_> = ladder.iter().filter(|p| tcp(p).0.fin()).collect();
    assert_eq!(fins.len(), 2, "{story}");
    assert!(fins.iter().all(|p| tcp(p).1.is_empty()), "{story}");
    assert!(ladder.iter().all(|p| !tcp(p).0.rst()), "{story}");
}

#[test]
fn three_bytes_become_25_then_45_then_65() {
    let seen = play(&Config::default(), &script(&["hi"]));
    let says = seen
        .iter()
        .position(
            |seen| matches!(seen, Seen::Chat { what: Happening::Says(text), .. } if text == "hi"),
        )
        .unwrap();
    let packet = packets(&seen[says..])[0];
    let (tcp, data) = tcp(packet);
    assert_eq!(data[..5], [23, 3, 3, 0, 20]);
    assert_eq!(data.len(), 25);
    assert_eq!(tcp.slice().len() + data.len(), 45);
    assert_eq!(packet.bytes.len(), 65);
}

#[test]
fn same_seed_same_everything() {
    let script = script(&["hi", "", "größer als je 🎈"]);
    let play = |seed| {
        let config = Config {
            seed,
            ..Config::default()
        };
        play(&config, &script)
    };
    assert_eq!(play(7), play(7));
    assert_eq!(play(u64::MAX), play(u64::MAX));
    let (one, other) = (play(7), play(8));
    for n in 0..2 {
        let seq = |seen| tcp(packets(seen)[n]).0.sequence_number();
        assert_ne!(seq(&one), seq(&other));
    }
    let port = |seen| tcp(packets(seen)[0]).0.source_port();
    assert_ne!(port(&one), port(&other));
    assert!(port(&one) >= 49_152 && port(&other) >= 49_152);
    // The sizes do not depend on the seed.
    let sizes = |seen: &[Seen]| {
        packets(seen)
            .iter()
            .map(|p| p.bytes.len())
            .collect::<Vec<_>>()
    };
    assert_eq!(sizes(&one), sizes(&other));
}

#[test]
fn every_run_in_another_thread_is_the_same() {
    let run = || play(&Config::default(), &script(&["hi"]));
    let other = std::thread::spawn(run).join().unwrap();
    assert_eq!(run(), other);
}

#[test]
fn two_wires_taking_turns_do_not_mix_their_randomness() {
    let alone = play(&Config::default(), &script(&["hi"]));
    let wire = || Memory::new(&Config::default(), &script(&["hi"])).unwrap();
    let (mut one, mut two) = (wire(), wire());
    for seen in alone {
        assert_eq!(one.next(), Some(Ok(seen.clone())));
        assert_eq!(two.next(), Some(Ok(seen)));
    }
    assert_eq!(one.next(), None);
    assert_eq!(one.next(), None);
}

#[test]
fn texts_of_all_sizes_arrive_at_every_mtu() {
    let long: String = "0123456789abcdef".repeat(6400);
    assert_eq!(long.len(), 102_400);
    let texts = ["", "x", "tab\tand\u{1b}[31m", "日本語 🎈", &long, "end"];
    for mtu in [576, 1280, 1500, 9000, 65_535] {
        let config = Config {
            mtu,
            ..Config::default()
        };
        let seen = play(&config, &script(&texts));
        assert_eq!(heard(&seen, Host::B), texts, "{mtu}");
        assert_eq!(heard(&seen, Host::A), ["hello"; 6], "{mtu}");
        let largest = packets(&seen).iter().map(|p| p.bytes.len()).max();
        assert!(largest <= Some(mtu), "{largest:?} at {mtu}");
        if mtu < 9001 {
            assert_eq!(largest, Some(mtu), "full packets are full");
        }
    }
}

#[test]
fn a_long_reply_arrives() {
    let long = "z".repeat(1 << 20);
    let script = Script {
        messages: vec![long.clone()],
        reply: long.clone(),
    };
    let seen = play(&Config::default(), &script);
    assert_eq!(heard(&seen, Host::B), [&long]);
    assert_eq!(heard(&seen, Host::A), [&long]);
}

#[test]
fn no_message_or_twenty() {
    let seen = play(&Config::default(), &script(&[]));
    assert_eq!(heard(&seen, Host::B), [""; 0]);
    let texts: Vec<String> = (1..=20).map(|n| format!("message {n}")).collect();
    let script = Script {
        messages: texts.clone(),
        ..Script::default()
    };
    let seen = play(&Config::default(), &script);
    assert_eq!(heard(&seen, Host::B), texts);
    assert_eq!(heard(&seen, Host::A).len(), 20);
}

#[test]
fn the_latency_is_in_the_times() {
    for latency in [0, 1_234_567, 400_000_000] {
        let config = Config {
            latency: Duration::from_nanos(latency),
            ..Config::default()
        };
        let seen = play(&config, &script(&["hi"]));
        let ladder = packets(&seen);
        for packet in &ladder {
            assert_eq!(packet.arrives.unwrap().since(packet.sent), latency);
        }
        assert!(ladder.is_sorted_by_key(|packet| packet.sent));
        assert_eq!(ladder[0].sent, EPOCH);
        assert_eq!(ladder[1].sent.since(EPOCH), latency);
        assert_eq!(ladder[2].sent.since(EPOCH), 2 * latency);
        let syns = ladder.iter().filter(|p| tcp(p).0.syn()).count();
        assert_eq!(syns, 2, "nothing is repeated");
    }
}

#[test]
fn even_the_longest_latency_comes_to_an_end() {
    let config = Config {
        latency: MAX_LATENCY,
        ..Config::default()
    };
    let seen = play(&config, &script(&["hi", "there"]));
    assert_eq!(heard(&seen, Host::B), ["hi", "there"]);
}

#[test]
fn every_checksum_is_right() {
    let seen = play(&Config::default(), &script(&["hi", &"long ".repeat(1000)]));
    for packet in packets(&seen) {
        let (ip, _) = Ipv4Header::from_slice(&packet.bytes).unwrap();
        assert_eq!(ip.header_checksum, ip.calc_header_checksum());
        assert_eq!(ip.source, packet.from.address().octets());
        assert_eq!(ip.destination, packet.from.other().address().octets());
        assert_eq!(ip.protocol, IpNumber::TCP);
        assert_eq!(usize::from(ip.total_len), packet.bytes.len());
        let (tcp, data) = tcp(packet);
        assert_eq!(
            tcp.checksum(),
            tcp.calc_checksum_ipv4_raw(ip.source, ip.destination, data)
                .unwrap()
        );
        let port = match packet.from {
            Host::A => tcp.destination_port(),
            Host::B => tcp.source_port(),
        };
        assert_eq!(port, PORT);
    }
}

#[test]
fn secrets_come_once_and_before_what_they_protect() {
    let seen = play(&Config::default(), &script(&["hi"]));
    let labels: Vec<_> = seen
        .iter()
        .filter_map(|seen| match seen {
            Seen::Key { line, .. } => line.split(' ').next(),
            _ => None,
        })
        .collect();
    for label in [
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
    ] {
        assert_eq!(labels.iter().filter(|l| **l == label).count(), 1, "{label}");
    }
    let at = |label: &str| {
        let is = |seen: &Seen| matches!(seen, Seen::Key { line, .. } if line.starts_with(label));
        seen.iter().position(is).unwrap()
    };
    let packet = |which: &dyn Fn(&Packet) -> bool| {
        let is = |seen: &Seen| matches!(seen, Seen::Packet(packet) if which(packet));
        seen.iter().position(is).unwrap()
    };
    let server_hello = packet(&|p| p.from == Host::B && tcp(p).1.starts_with(&[22]));
    assert!(at("SERVER_HANDSHAKE_TRAFFIC_SECRET") < server_hello);
    assert!(at("CLIENT_HANDSHAKE_TRAFFIC_SECRET") < server_hello);
    let finished = packet(&|p| p.from == Host::A && tcp(p).1.starts_with(&[20]));
    assert!(at("CLIENT_TRAFFIC_SECRET_0") < finished);
    assert!(at("SERVER_TRAFFIC_SECRET_0") < finished);
}

#[test]
fn a_client_with_another_authority_refuses() {
    let other = Setting::new(&Config {
        seed: 1,
        ..Config::default()
    })
    .unwrap();
    let setting = Setting {
        roots: other.roots,
        ..Setting::new(&Config::default()).unwrap()
    };
    let wire = Memory::with(&Config::default(), &script(&["hi"]), &setting).unwrap();
    let mut seen: Vec<_> = wire.collect();
    let error = seen.pop().unwrap().unwrap_err();
    let why = match &error {
        WireError::Chat { host, error } => (*host, error.clone()),
        other => panic!("{other}"),
    };
    // Same name, other key: the signature does not fit, or the issuer is not known.
    assert_eq!(why.0, Host::A);
    assert!(
        matches!(
            why.1,
            ChatError::Certificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature
            )
        ),
        "{why:?}"
    );
    let seen: Vec<_> = seen.into_iter().map(Result::unwrap).collect();
    assert_eq!(heard(&seen, Host::B), [""; 0]);
    let refused = |seen: &Seen| {
        matches!(
            seen,
            Seen::Chat {
                host: Host::B,
                what: Happening::Fails(ChatError::Alert(_)),
                ..
            }
        )
    };
    assert!(seen.iter().any(refused), "{}", story(&seen));
}

#[test]
fn what_is_impossible_is_refused_in_words() {
    let refused = |config: &Config, script: &Script| match Memory::new(config, script) {
        Err(error) => error.to_string(),
        Ok(wire) => panic!("{wire:?}"),
    };
    for mtu in [0, 575, 65_536] {
        let config = Config {
            mtu,
            ..Config::default()
        };
        let words = refused(&config, &Script::default());
        assert!(words.contains("576 to 65535"), "{words}");
    }
    let config = Config {
        latency: Duration::from_secs(61),
        ..Config::default()
    };
    assert!(refused(&config, &Script::default()).contains("60s"));
    let words = refused(&Config::default(), &script(&["fine", "two\nlines"]));
    assert!(
        words.contains("message 2") && words.contains("byte 3"),
        "{words}"
    );
    let long = "x".repeat((1 << 20) + 1);
    assert!(refused(&Config::default(), &script(&[&long])).contains("1048577 bytes"));
}

#[test]
fn limits_end_the_wire() {
    let config = Config {
        max_packets: 3,
        ..Config::default()
    };
    let seen: Vec<_> = Memory::new(&config, &script(&["hi"])).unwrap().collect();
    assert!(matches!(seen.last(), Some(Err(WireError::TooLong { .. }))));
    let config = Config {
        max_time: Duration::from_millis(12),
        ..Config::default()
    };
    let seen: Vec<_> = Memory::new(&config, &script(&["hi"])).unwrap().collect();
    assert!(matches!(seen.last(), Some(Err(WireError::TooLong { .. }))));
}

#[test]
fn seeded_randomness_is_of_no_use_outside_the_wire() {
    let setting = Setting::new(&Config::default()).unwrap();
    let setup = Setup::default().deterministic(Arc::new(seeded::provider()), Arc::new(Stopped));
    let client = || {
        let name = ServerName::try_from(SERVER_NAME).unwrap();
        Peer::client(setup.client(&setting.roots).unwrap(), name)
    };
    assert!(client().is_err());
    let stream = Stream::new(0, "test");
    assert!(stream.within(client).is_ok());
    assert!(client().is_err());
    for group in &seeded::provider().kx_groups[..2] {
        assert!(group.start().is_err());
    }
    let mut byte = [0];
    assert!(seeded::provider().secure_random.fill(&mut byte).is_err());
}

#[test]
fn the_seeded_groups_agree_with_those_of_aws_lc() {
    let stream = Stream::new(0, "test");
    let theirs = rustls::crypto::aws_lc_rs::kx_group::X25519MLKEM768;
    let provider = seeded::provider();
    let ours = provider.kx_groups[0];

    let start = stream.within(|| ours.start().unwrap());
    assert_eq!(start.pub_key().len(), 1184 + 32);
    let answer = theirs.start_and_complete(start.pub_key()).unwrap();
    let secret = start.complete(&answer.pub_key).unwrap();
    assert_eq!(secret.secret_bytes(), answer.secret.secret_bytes());
    assert_eq!(secret.secret_bytes().len(), 64);

    let start = theirs.start().unwrap();
    let answer = stream.within(|| ours.start_and_complete(start.pub_key()).unwrap());
    assert_eq!(answer.pub_key.len(), 1088 + 32);
    let secret = start.complete(&answer.pub_key).unwrap();
    assert_eq!(secret.secret_bytes(), answer.secret.secret_bytes());

    let x25519 = rustls::crypto::aws_lc_rs::kx_group::X25519;
    let start = stream.within(|| ours.start().unwrap());
    let answer = x25519
        .start_and_complete(start.hybrid_component().unwrap().1)
        .unwrap();
    let secret = start.complete_hybrid_component(&answer.pub_key).unwrap();
    assert_eq!(secret.secret_bytes(), answer.secret.secret_bytes());

    // Shares of a wrong length, and points of small order.
    for share in [
        vec![],
        vec![0; 1184],
        vec![0; 1184 + 32],
        vec![9; 1184 + 33],
    ] {
        let result = stream.within(|| ours.start_and_complete(&share));
        assert!(result.is_err());
        let start = stream.within(|| ours.start().unwrap());
        assert!(start.complete(&share).is_err());
    }
}

#[test]
fn the_default_provider_stays_as_it_is() {
    let default = rustls::crypto::aws_lc_rs::default_provider();
    let ours = seeded::provider();
    let names = |groups: &[&dyn rustls::crypto::SupportedKxGroup]| {
        groups.iter().map(|group| group.name()).collect::<Vec<_>>()
    };
    assert_eq!(names(&ours.kx_groups), names(&default.kx_groups));
}
