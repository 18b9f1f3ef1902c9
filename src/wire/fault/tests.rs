//! Each action on the memory wire: what goes on the wire, and what becomes of the chat.

use super::*;
use crate::chat::ChatError;
use crate::layers;
use crate::wire::memory::{Config, EPOCH, Memory};
use crate::wire::{Packet, Script, Seen, Wire, WireError};

/// What was to be seen, and how it ended.
struct Play {
    seen: Vec<Seen>,
    end: Result<(), WireError>,
    fates: Fates,
    reports: Vec<Report>,
}

fn play_on(config: &Config, messages: &[&str], rules: &[&str]) -> Play {
    let script = Script {
        messages: messages.iter().map(|text| (*text).to_owned()).collect(),
        reply: "hello".to_owned(),
    };
    let rules = rules.iter().map(|rule| Rule::parse(rule).unwrap());
    let mut wire = Memory::new(config, &script)
        .unwrap()
        .with_faults(rules.collect());
    let (mut seen, mut end) = (Vec::new(), Ok(()));
    for what in &mut wire {
        match what {
            Ok(what) => seen.push(what),
            Err(error) => end = Err(error),
        }
    }
    let (fates, reports) = wire.faults().unwrap_or_default();
    assert!(fates.add_up(), "{fates:?}");
    Play {
        seen,
        end,
        fates,
        reports,
    }
}

fn play(messages: &[&str], rules: &[&str]) -> Play {
    play_on(&Config::default(), messages, rules)
}

impl Play {
    fn packets(&self) -> Vec<&Packet> {
        let packets = self.seen.iter().filter_map(|seen| match seen {
            Seen::Packet(packet) => Some(packet),
            _ => None,
        });
        packets.collect()
    }

    /// The packets that a rule has touched.
    fn touched(&self) -> Vec<&Packet> {
        let packets = self.packets().into_iter();
        packets
            .filter(|packet| !packet.touched.is_empty())
            .collect()
    }

    /// The only packet that was touched, and the only thing that was done to it.
    #[track_caller]
    fn only(&self) -> (&Packet, Deed) {
        let touched = self.touched();
        let [packet] = touched.as_slice() else {
            panic!("{} packets are touched", touched.len());
        };
        let [Touch { rule: 0, deed }] = packet.touched.as_slice() else {
            panic!("{:?}", packet.touched);
        };
        (packet, *deed)
    }

    fn heard(&self, at: Host) -> Vec<&str> {
        let heard = self.seen.iter().filter_map(|seen| match seen {
            Seen::Chat { host, what, .. } if *host == at => what.heard(),
            _ => None,
        });
        heard.map(|line| line.text.as_str()).collect()
    }

    /// When B heard the first message, in milliseconds from the start.
    fn first_heard(&self) -> u64 {
        let first = self.seen.iter().find_map(|seen| match seen {
            Seen::Chat {
                host: Host::B,
                what,
                time,
            } if what.heard().is_some() => Some(*time),
            _ => None,
        });
        first.unwrap().since(EPOCH) / 1_000_000
    }

    #[track_caller]
    fn arrives(&self, texts: &[&str]) {
        assert_eq!(self.end, Ok(()));
        assert_eq!(self.heard(Host::B), texts);
        assert_eq!(self.heard(Host::A), vec!["hello"; texts.len()]);
    }

    /// The chat ends with an error at that host first.
    #[track_caller]
    fn fails(&self, at: Host) -> &ChatError {
        match &self.end {
            Err(WireError::Chat { host, error }) if *host == at => error,
            other => panic!("{other:?}"),
        }
    }

    /// All values of a key in the packets as they went on, as a session behind the fault sees them.
    fn values(&self, key: &str) -> Vec<u64> {
        let def = layers::field(key).unwrap();
        let mut session = Session::new();
        let mut values = Vec::new();
        for seen in &self.seen {
            match seen {
                Seen::Key { line, .. } => session.keylog_line(line).unwrap(),
                Seen::Packet(packet) => {
                    let event = session.push(Frame {
                        number: packet.id,
                        time: packet.sent,
                        link: packet.link.link_type(),
                        data: &packet.bytes,
                        wire_len: packet.bytes.len() as u32,
                    });
                    let fields = event.fields.iter().filter(|f| core::ptr::eq(f.def, def));
                    values.extend(fields.filter_map(|f| f.value(event.bytes(f.buf)).uint()));
                    let notes = event.notes.iter().filter(|n| core::ptr::eq(n.def, def));
                    values.extend(notes.map(|n| n.value.uint().unwrap_or(1)));
                }
                _ => {}
            }
        }
        values
    }
}

/// Whether the checksums of IP and TCP are right, by other code than that which set them right.
fn checksums(packet: &[u8]) -> (bool, bool) {
    let (ip, rest) = etherparse::Ipv4Header::from_slice(packet).unwrap();
    let tcp = etherparse::TcpHeader::from_slice(rest);
    let good =
        tcp.is_ok_and(|(tcp, data)| tcp.calc_checksum_ipv4(&ip, data).unwrap() == tcp.checksum);
    (ip.calc_header_checksum() == ip.header_checksum, good)
}

#[test]
fn without_rules_nothing_changes() {
    let plain = play(&["hi"], &[]);
    let spared = play(&["hi"], &["drop where tcp.len > 0 after 1000"]);
    assert_eq!(plain.seen, spared.seen);
    assert_eq!(spared.fates.sent, spared.fates.delivered);
    assert_eq!(spared.fates.sent, 15);
}

#[test]
fn a_lost_packet_is_sent_again() {
    let play = play(
        &["hi"],
        &["drop where tcp.len > 0 && ip.src == 1.2.3.4 times 1"],
    );
    play.arrives(&["hi"]);
    let (packet, deed) = play.only();
    assert_eq!(
        (deed, packet.arrives, packet.from),
        (Deed::Dropped, None, Host::A)
    );
    assert_eq!((play.fates.dropped, play.fates.made), (1, 0));
    assert_eq!(play.values("tcp.analysis.retransmission").len(), 1);
    // The memory wire's TCP waits at least a second.
    assert!(play.first_heard() > 1000);
}

#[test]
fn a_rule_looks_into_what_is_sealed() {
    let play = play(
        &["hi", "pay 100", "bye"],
        &["drop where chat.text contains \"pay\""],
    );
    play.arrives(&["hi", "pay 100", "bye"]);
    let (packet, _) = play.only();
    // 100 ms are not over when "hi" was said and answered; the text is nowhere to be read.
    assert!(!packet.bytes.windows(3).any(|three| three == b"pay"));
    assert_eq!(packet.bytes.len(), 40 + 5 + 8 + 1 + 16);
}

#[test]
fn times_and_after() {
    let rule = ["drop where tcp.len > 0 && ip.src == 1.2.3.4 times 3"];
    let thrice = play(&["hi"], &rule);
    thrice.arrives(&["hi"]);
    assert_eq!(thrice.fates.dropped, 3);
    assert_eq!((thrice.reports[0].fired, thrice.reports[0].matched), (3, 3));
    let later = play(&["hi"], &["drop where chat after 1"]);
    later.arrives(&["hi"]);
    assert_eq!(
        later.only().0.from,
        Host::B,
        "the second message is B's answer"
    );
    let never = Config {
        max_time: Duration::from_secs(600),
        ..Config::default()
    };
    let never = play_on(&never, &["hi"], &["drop where tcp.flags.syn == 1 always"]);
    assert!(
        matches!(never.end, Err(WireError::TooLong { .. })),
        "{:?}",
        never.end
    );
    assert!(never.fates.dropped > 5);
}

#[test]
fn a_delayed_packet_arrives_later() {
    let plain = play(&["hi"], &["drop where ip.ttl == 0"]);
    let late = play(&["hi"], &["delay 300ms where tcp.flags.syn == 1"]);
    late.arrives(&["hi"]);
    assert_eq!(late.first_heard(), plain.first_heard() + 300);
    let (packet, deed) = late.only();
    assert_eq!(deed, Deed::Delayed(Duration::from_millis(300)));
    assert_eq!(packet.arrives.unwrap().since(packet.sent), 305_000_000);
}

#[test]
fn a_duplicate_is_heard_once() {
    let play = play(&["hi"], &["duplicate where chat"]);
    play.arrives(&["hi"]);
    let (copy, deed) = play.only();
    assert_eq!(deed, Deed::Copy);
    let original = play
        .packets()
        .into_iter()
        .find(|p| p.id == copy.id - 1)
        .unwrap();
    assert_eq!(
        (&copy.bytes, copy.arrives),
        (&original.bytes, original.arrives)
    );
    assert_eq!((play.fates.made, play.fates.dropped), (1, 0));
}

#[test]
fn a_packet_held_back_is_overtaken() {
    let play = play(
        &["hi"],
        &["reorder where tls.handshake.type == server_hello"],
    );
    play.arrives(&["hi"]);
    let (held, deed) = play.only();
    assert_eq!((deed, held.arrives), (Deed::Held(1), None));
    let released = play
        .seen
        .iter()
        .position(|seen| matches!(seen, Seen::Released { id, .. } if *id == held.id));
    let overtaking = play
        .seen
        .iter()
        .position(|seen| matches!(seen, Seen::Packet(p) if p.from == Host::B && p.id > held.id));
    assert_eq!(
        released,
        overtaking.map(|at| at + 1),
        "right behind the next of B"
    );
    assert_eq!((play.fates.held, play.fates.dropped), (0, 0));
}

#[test]
fn what_waits_for_others_in_vain_goes_on_after_half_a_second() {
    let play = play(&["hi"], &["reorder 1000 where tcp.flags.syn == 1"]);
    play.arrives(&["hi"]);
    let sent = play.seen.iter().find_map(|seen| match seen {
        Seen::Packet(packet) if !packet.touched.is_empty() => Some(packet.sent),
        _ => None,
    });
    let released = play.seen.iter().find_map(|seen| match seen {
        Seen::Released { time, arrives, .. } => Some((*time, *arrives)),
        _ => None,
    });
    let (time, arrives) = released.unwrap();
    let waited = Duration::from_nanos(time.since(sent.unwrap()));
    assert_eq!(waited, super::HELD_AT_MOST);
    assert_eq!(arrives.since(time), 5_000_000, "the wire's latency");
    assert_eq!((play.fates.held, play.fates.on_the_way), (0, 0));
    assert_eq!(play.fates.sent, play.fates.delivered);
}

#[test]
fn a_flipped_bit_is_found_by_the_checksum() {
    let play = play(&["hi"], &["flip 330 stale where chat.text == \"hi\""]);
    play.arrives(&["hi"]);
    let (packet, deed) = play.only();
    assert_eq!(
        deed,
        Deed::Changed {
            at: 41,
            len: 1,
            repaired: false
        }
    );
    assert_eq!(checksums(&packet.bytes), (true, false));
    let before = packet.before.as_ref().unwrap();
    let differ: Vec<usize> = (0..before.len())
        .filter(|i| before[*i] != packet.bytes[*i])
        .collect();
    assert_eq!((differ, before[41] ^ packet.bytes[41]), (vec![41], 0x20));
    assert!(play.first_heard() > 1000, "it had to be sent again");
}

#[test]
fn with_the_checksum_repaired_tls_finds_it() {
    let play = play(&["hi"], &["flip chat.text where chat.text == \"hi\""]);
    let error = play.fails(Host::B);
    assert!(matches!(error, ChatError::Tls(_)), "{error:?}");
    let (packet, deed) = play.only();
    // The first byte of the record's content, behind two headers of 20 bytes and the record's five.
    assert_eq!(
        deed,
        Deed::Changed {
            at: 45,
            len: 1,
            repaired: true
        }
    );
    assert_eq!(checksums(&packet.bytes), (true, true));
    assert_eq!(
        play.values("tls.alert_message.desc"),
        [20],
        "bad_record_mac"
    );
}

#[test]
fn a_field_is_set_with_and_without_repair() {
    let rule = "set ip.ttl 1 where chat.text == \"hi\"";
    let repaired = play(&["hi"], &[rule]);
    repaired.arrives(&["hi"]);
    let (packet, _) = repaired.only();
    assert_eq!(
        (packet.bytes[8], checksums(&packet.bytes)),
        (1, (true, true))
    );
    let stale = play(&["hi"], &["set ip.ttl 1 stale where chat.text == \"hi\""]);
    stale.arrives(&["hi"]);
    let (packet, _) = stale.only();
    assert_eq!(
        (packet.bytes[8], checksums(&packet.bytes)),
        (1, (false, true))
    );
    assert!(stale.first_heard() > 1000 && repaired.first_heard() < 100);
    // Bits within bytes, flags, units, addresses, and a named value.
    for (rule, key, value) in [
        ("set ip.hdr_len 60 stale", "ip.hdr_len", 60),
        ("set tcp.flags.syn true stale", "tcp.flags.syn", 1),
        ("set tcp.window_size_value 0", "tcp.window_size_value", 0),
        ("set ip.proto UDP stale", "ip.proto", 17),
    ] {
        let play = play_on(
            &Config::default(),
            &["hi"],
            &[&format!("{rule} where chat.text == \"hi\"")],
        );
        let (packet, _) = play.only();
        let mut session = Session::new();
        let event = session.push(Frame {
            number: 1,
            time: Time(0),
            link: packet.link.link_type(),
            data: &packet.bytes,
            wire_len: packet.bytes.len() as u32,
        });
        let field = event.field(layers::field(key).unwrap()).unwrap();
        assert_eq!(field.value(&packet.bytes).uint(), Some(value), "{rule}");
    }
    let moved = play(&["hi"], &["set ip.src 9.9.9.9 where chat.text == \"hi\""]);
    moved.arrives(&["hi"]);
    assert_eq!(moved.only().0.bytes[12..16], [9, 9, 9, 9]);
}

#[test]
fn what_is_sealed_can_be_set_but_not_unnoticed() {
    let play = play(
        &["pay 100"],
        &["set chat.text \"pay 999\" where chat.text == \"pay 100\""],
    );
    play.fails(Host::B);
    let (packet, _) = play.only();
    // With the tag it would have been believed: the stream of the cipher gives what was wished for.
    let before = packet.before.as_ref().unwrap();
    let differ: Vec<u8> = (45..52).map(|i| before[i] ^ packet.bytes[i]).collect();
    let wished: Vec<u8> = b"pay 100"
        .iter()
        .zip(b"pay 999")
        .map(|(a, b)| a ^ b)
        .collect();
    assert_eq!(differ, wished);
    let other_length = play_on_long();
    other_length.arrives(&["pay 100"]);
    assert_eq!(
        other_length.reports[0].never_fired(),
        Some("say.fault.never_able")
    );
}

fn play_on_long() -> Play {
    play(
        &["pay 100"],
        &["set chat.text \"pay 1000\" where chat.text == \"pay 100\""],
    )
}

#[test]
fn words_swapped_fit_the_checksum_and_tls_finds_it() {
    let play = play(&["hi"], &["swap16 where chat.text == \"hi\""]);
    play.fails(Host::B);
    let (packet, deed) = play.only();
    assert!(
        matches!(
            deed,
            Deed::Changed {
                len: 4,
                repaired: false,
                ..
            }
        ),
        "{deed:?}"
    );
    assert_eq!(
        checksums(&packet.bytes),
        (true, true),
        "nothing was repaired"
    );
    assert_ne!(packet.before.as_ref(), Some(&packet.bytes));
    assert_eq!(play.values("tls.alert_message.desc"), [20]);
}

#[test]
fn a_truncated_packet_is_said_to_its_end_again() {
    let repaired = play(
        &["a longer message"],
        &["truncate where chat.text contains \"longer\""],
    );
    repaired.arrives(&["a longer message"]);
    let (packet, deed) = repaired.only();
    let before = packet.before.as_ref().unwrap();
    let len = 40 + (before.len() - 40) / 2;
    assert_eq!(
        deed,
        Deed::Truncated {
            len,
            repaired: true
        }
    );
    assert_eq!(
        (packet.bytes.len(), checksums(&packet.bytes)),
        (len, (true, true))
    );
    let stale = play(&["hi"], &["truncate 44 stale where chat.text == \"hi\""]);
    stale.arrives(&["hi"]);
    let (packet, _) = stale.only();
    assert_eq!((packet.bytes.len(), packet.bytes[3]), (44, 65));
    let headless = play(&["hi"], &["truncate 10 where chat.text == \"hi\""]);
    headless.arrives(&["hi"]);
    assert_eq!(headless.only().0.bytes.len(), 10);
}

#[test]
fn a_replayed_record_has_the_wrong_number() {
    let play = play(&["hi"], &["replay where chat.text == \"hi\""]);
    play.fails(Host::B);
    let (packet, deed) = play.only();
    assert_eq!(deed, Deed::Replayed);
    let original = play
        .packets()
        .into_iter()
        .find(|p| p.id == packet.id - 1)
        .unwrap();
    assert_eq!(packet.bytes[40..], original.bytes[40..]);
    let seq = |p: &Packet| u32::from_be_bytes(p.bytes[24..28].try_into().unwrap());
    let data = original.bytes.len() as u32 - 40;
    assert_eq!(seq(packet), seq(original).wrapping_add(data));
    assert_eq!(checksums(&packet.bytes), (true, true));
    assert_eq!(play.heard(Host::B), ["hi"], "once, and never again");
}

#[test]
fn a_forged_rst_ends_it() {
    let play = play(&["hi"], &["rst where chat.text == \"hi\""]);
    let error = play.fails(Host::B);
    assert!(matches!(error, ChatError::Truncated { .. }), "{error:?}");
    let (packet, deed) = play.only();
    assert_eq!(
        (deed, packet.bytes.len(), packet.from),
        (Deed::ForgedRst, 40, Host::A)
    );
    assert_eq!(packet.bytes[33], 0x14);
    assert_eq!(checksums(&packet.bytes), (true, true));
}

#[test]
fn a_forged_fin_is_no_goodbye() {
    let play = play(&["hi"], &["fin where chat.text == \"hi\""]);
    let error = play.fails(Host::B);
    assert!(matches!(error, ChatError::Truncated { .. }), "{error:?}");
    let (packet, deed) = play.only();
    assert_eq!((deed, packet.bytes[33]), (Deed::ForgedFin, 0x11));
}

#[test]
fn rules_are_carried_out_in_their_order() {
    let play = play(
        &["hi"],
        &[
            "delay 20ms where chat.text == \"hi\"",
            "set ip.ttl 9 where chat.text == \"hi\"",
            "duplicate where chat.text == \"hi\"",
            "drop where chat.text == \"hi\" after 1",
        ],
    );
    play.arrives(&["hi"]);
    let touched = play.touched();
    let deeds = |p: &Packet| {
        p.touched
            .iter()
            .map(|t| (t.rule, t.deed))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        deeds(touched[0]),
        [
            (0, Deed::Delayed(Duration::from_millis(20))),
            (
                1,
                Deed::Changed {
                    at: 8,
                    len: 1,
                    repaired: true
                }
            ),
        ]
    );
    // The copy is made of what was changed before, and comes at once.
    assert_eq!(deeds(touched[1]), [(2, Deed::Copy)]);
    assert_eq!(touched[1].bytes[8], 9);
    assert!(touched[1].arrives < touched[0].arrives);
}

#[test]
fn a_rule_that_never_fired_says_why() {
    let play = play(
        &["hi"],
        &[
            "drop where udp",
            "drop where tcp after 1000",
            "set chat.text \"x\" where tcp.flags.syn == 1",
            "duplicate where chat",
        ],
    );
    let why: Vec<_> = play.reports.iter().map(Report::never_fired).collect();
    assert_eq!(
        why,
        [
            Some("say.fault.never_matched"),
            Some("say.fault.never_in_turn"),
            Some("say.fault.never_able"),
            None
        ]
    );
    let glossary = crate::text::Glossary::english().unwrap();
    for key in why.into_iter().flatten() {
        assert_ne!(glossary.say(key), key);
    }
    for deed in [
        Deed::Dropped,
        Deed::Delayed(Duration::ZERO),
        Deed::Copy,
        Deed::Held(1),
        Deed::Changed {
            at: 0,
            len: 1,
            repaired: true,
        },
        Deed::Changed {
            at: 0,
            len: 1,
            repaired: false,
        },
        Deed::Truncated {
            len: 1,
            repaired: true,
        },
        Deed::Truncated {
            len: 1,
            repaired: false,
        },
        Deed::Replayed,
        Deed::ForgedRst,
        Deed::ForgedFin,
    ] {
        assert_ne!(glossary.say(deed.key()), deed.key());
    }
}

#[test]
fn chances_follow_from_the_seed() {
    let rules = ["random loss 20%", "random duplication 10%"];
    let messages: Vec<String> = (0..30).map(|n| format!("message {n}")).collect();
    let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
    let of = |seed| {
        let config = Config {
            seed,
            ..Config::default()
        };
        play_on(&config, &messages, &rules)
    };
    let (one, again, other) = (of(1), of(1), of(2));
    assert_eq!(one.seen, again.seen);
    assert_ne!(one.fates, other.fates);
    let all = of(3);
    all.arrives(&messages);
    let share = all.fates.dropped as f64 / all.fates.sent as f64;
    assert!((0.05..0.4).contains(&share), "{:?}", all.fates);
}

#[test]
fn a_long_chat_comes_through_a_bad_network() {
    // A megabyte: TCP repairs all of it, and TLS finds nothing to complain about.
    let text = "0123456789abcdef".repeat(1 << 12);
    let messages = vec![text.as_str(); 16];
    for seed in 1..=3 {
        let config = Config {
            seed,
            ..Config::default()
        };
        let play = play_on(
            &config,
            &messages,
            &[
                "random loss 20%",
                "random duplication 5%",
                "random reordering 5%",
                "random corruption 2%",
                "random delay 10% 30ms",
            ],
        );
        play.arrives(&messages);
        assert!(
            play.reports.iter().all(|report| report.fired > 0),
            "{:?}",
            play.reports
        );
        let [loss, copies, ..] = play.reports.as_slice() else {
            unreachable!()
        };
        assert_eq!(play.fates.dropped, loss.fired);
        assert!(play.fates.made <= copies.fired && play.fates.made > 0);
    }
}

#[test]
fn random_numbers_are_spread_evenly() {
    let mut random = Random(7);
    let mut counts = [0; 10];
    for _ in 0..10_000 {
        counts[random.below(10) as usize] += 1;
    }
    assert!(counts.iter().all(|n| (850..1150).contains(n)), "{counts:?}");
    assert_eq!(random.below(1), 0);
}

#[test]
fn bits_are_put_where_they_belong() {
    let value =
        |bytes: &[u8], start: usize, bits: usize| crate::cursor::read_bits(bytes, start, bits);
    for (bit, bits) in [(0, 4), (4, 4), (3, 13), (7, 2), (0, 16), (5, 1)] {
        let old = [0xa5, 0x5a, 0xff];
        for n in [0, 1, (1 << bits) - 1] {
            let new = change::put(&old, bit, bits, n).unwrap();
            assert_eq!(value(&new, bit, bits), n);
            let mut back = new.clone();
            back = change::put(&back, bit, bits, value(&old, bit, bits)).unwrap();
            assert_eq!(back, old, "nothing else was touched");
        }
    }
}
