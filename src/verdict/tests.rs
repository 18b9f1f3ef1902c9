use etherparse::PacketBuilder;

use super::segment::{after, read};
use super::*;
use crate::chat::{ChatEvent, Line};
use crate::wire::fault::Deed;
use crate::wire::{Happening, Link, Packet, Seen};

const MS: u64 = 1_000_000;

/// A segment from a host to the other, with this sequence number, flags and data.
fn segment(from: Host, seq: u32, ack: u32, flags: &str, data: &[u8]) -> Vec<u8> {
    let (a, b) = (from.address().octets(), from.other().address().octets());
    let (port, to) = if from == Host::A {
        (50_000, 8080)
    } else {
        (8080, 50_000)
    };
    let mut builder = PacketBuilder::ipv4(a, b, 64).tcp(port, to, seq, 60_000);
    if flags.contains('S') {
        builder = builder.syn();
    }
    if flags.contains('F') {
        builder = builder.fin();
    }
    if flags.contains('A') {
        builder = builder.ack(ack);
    }
    let mut bytes = Vec::new();
    builder.write(&mut bytes, data).unwrap();
    bytes
}

/// A wire of 5 ms, and a tracer on it.
struct Stage {
    tracer: Tracer,
    count: u64,
}

impl Stage {
    /// A connection whose numbers begin at 100 and 900.
    fn connected() -> Self {
        let mut stage = Self {
            tracer: Tracer::new(1),
            count: 0,
        };
        stage.sends(0, Host::A, segment(Host::A, 100, 0, "S", b""));
        stage.sends(5, Host::B, segment(Host::B, 900, 101, "SA", b""));
        stage.sends(10, Host::A, segment(Host::A, 101, 901, "A", b""));
        stage
    }

    fn sends(&mut self, ms: u64, from: Host, bytes: Vec<u8>) -> u64 {
        self.touched(ms, from, bytes, None, &[])
    }

    /// A packet that rules did something to, in their order.
    fn touched(
        &mut self,
        ms: u64,
        from: Host,
        bytes: Vec<u8>,
        before: Option<Vec<u8>>,
        deeds: &[Deed],
    ) -> u64 {
        self.count += 1;
        let is = |deed: &Deed| matches!(deed, Deed::Dropped | Deed::Held(_));
        let touch = |(rule, deed): (usize, &Deed)| Touch { rule, deed: *deed };
        let packet = Packet {
            id: self.count,
            from,
            sent: Time(ms * MS),
            arrives: (!deeds.iter().any(is)).then_some(Time((ms + 5) * MS)),
            link: Link::Ip,
            hop: 0,
            kernel: None,
            bytes,
            before,
            touched: deeds.iter().enumerate().map(touch).collect(),
        };
        self.tracer.seen(&Seen::Packet(packet), None);
        self.count
    }

    fn chat(&mut self, ms: u64, host: Host, what: Happening) {
        let time = Time(ms * MS);
        self.tracer.seen(&Seen::Chat { host, time, what }, None);
    }

    fn only(mut self) -> Verdict {
        let (mut verdicts, _) = self.tracer.finish(1);
        assert_eq!(verdicts.len(), 1);
        verdicts.remove(0)
    }
}

#[test]
fn numbers_go_round() {
    assert!(after(1, 0));
    assert!(after(3, u32::MAX - 3));
    assert!(!after(u32::MAX - 3, 3));
    assert!(!after(7, 7));
}

#[test]
fn a_host_checks_ip_first_then_tcp() {
    let whole = segment(Host::A, 100, 900, "A", b"hi");
    let told = read(&whole, Link::Ip, Host::B).unwrap();
    assert_eq!(
        (told.seq, told.ack, told.len, told.end()),
        (100, 900, 2, 102)
    );
    let changed = |at: usize, by: u8| {
        let mut bytes = whole.clone();
        bytes[at] ^= by;
        read(&bytes, Link::Ip, Host::B).unwrap_err()
    };
    assert_eq!(changed(0, 0x10), Check::IpVersion);
    assert_eq!(changed(0, 0x01), Check::IpLength);
    assert_eq!(changed(3, 0x40), Check::IpChecksum);
    assert_eq!(changed(8, 1), Check::IpChecksum);
    assert_eq!(changed(32, 0xf0), Check::TcpLength);
    assert_eq!(changed(40, 1), Check::TcpChecksum);
    assert_eq!(read(&whole, Link::Ip, Host::A), Err(Check::IpAddress));
    for len in 0..whole.len() {
        let cut = read(&whole[..len], Link::Ip, Host::B);
        assert_eq!(cut, Err(Check::IpLength), "{len}");
    }
    let mut ethernet = vec![0; 12];
    ethernet.extend([8, 0]);
    ethernet.extend(&whole);
    assert_eq!(read(&ethernet, Link::Ethernet, Host::B), Ok(told));
}

#[test]
fn three_duplicates_are_told_from_a_timeout() {
    let mut stage = Stage::connected();
    let lost = segment(Host::A, 101, 901, "A", b"one");
    let id = stage.touched(20, Host::A, lost.clone(), None, &[Deed::Dropped]);
    for seq in [104, 107, 110] {
        stage.sends(20, Host::A, segment(Host::A, seq, 901, "A", b"two"));
        stage.sends(25, Host::B, segment(Host::B, 901, 101, "A", b""));
    }
    let again = stage.sends(30, Host::A, lost);
    stage.sends(35, Host::B, segment(Host::B, 901, 113, "A", b""));
    let what: Vec<_> = stage.tracer.remarks().into_iter().map(|r| r.what).collect();
    let verdict = stage.only();
    let (after, why) = (10 * MS, Why::Duplicates(3));
    assert_eq!(
        what,
        [
            Consequence::Reacted {
                host: Host::B,
                how: Reaction::Kept
            },
            Consequence::Again {
                host: Host::A,
                after,
                why
            }
        ]
    );
    let packet = again;
    assert_eq!(verdict.packet, id);
    assert_eq!(verdict.cure, Cure::Retransmission { packet, after, why });
    assert_eq!(verdict.caught, Caught::Repeats);
    assert_eq!(verdict.effect, Effect::Late(10 * MS));
}

#[test]
fn a_timeout_counts_from_the_last_acknowledgment() {
    let mut stage = Stage::connected();
    let lost = segment(Host::A, 101, 901, "A", b"one");
    stage.touched(20, Host::A, lost.clone(), None, &[Deed::Dropped]);
    let packet = stage.sends(1020, Host::A, lost);
    let (after, why) = (1000 * MS, Why::Timeout(1000 * MS));
    let verdict = stage.only();
    assert_eq!(verdict.cure, Cure::Retransmission { packet, after, why });
    assert_eq!(verdict.caught, Caught::NoAcknowledgment);
}

#[test]
fn a_host_is_believed_by_what_it_acknowledges() {
    let mut stage = Stage::connected();
    let late = segment(Host::A, 101, 901, "A", b"one");
    let delayed = Deed::Delayed(core::time::Duration::ZERO);
    stage.touched(20, Host::A, late.clone(), None, &[delayed]);
    // It has arrived, but B says that it has nothing.
    stage.sends(500, Host::B, segment(Host::B, 901, 101, "A", b""));
    stage.sends(1020, Host::A, late);
    stage.sends(1025, Host::B, segment(Host::B, 901, 104, "A", b""));
    let verdict = stage.only();
    assert_eq!(verdict.reaction, Reaction::Refused);
    assert_eq!(verdict.cure.name(), "timeout");
}

#[test]
fn a_wrong_byte_that_nobody_noticed() {
    let mut stage = Stage::connected();
    stage.chat(20, Host::A, Happening::Says("pay 1".into()));
    let said = segment(Host::A, 101, 901, "A", b"pay 1\n");
    let read = segment(Host::A, 101, 901, "A", b"pay 9\n");
    let deed = Deed::Changed {
        at: 44,
        len: 1,
        repaired: true,
    };
    stage.touched(20, Host::A, read, Some(said), &[deed]);
    let line = Line {
        text: "pay 9".into(),
        valid: true,
        complete: true,
    };
    stage.chat(25, Host::B, Happening::Hears(ChatEvent::Said(line)));
    let verdict = stage.only();
    assert_eq!(verdict.caught, Caught::Nobody);
    assert_eq!(verdict.cure, Cure::Nothing);
    assert_eq!(
        verdict.effect,
        Effect::Wrong {
            host: Host::B,
            said: Some("pay 1".into()),
            read: "pay 9".into()
        }
    );
}

#[test]
fn a_lost_acknowledgment_is_made_good_by_the_next() {
    let mut stage = Stage::connected();
    stage.sends(20, Host::A, segment(Host::A, 101, 901, "A", b"one"));
    let lost = segment(Host::B, 901, 104, "A", b"");
    stage.touched(25, Host::B, lost, None, &[Deed::Dropped]);
    stage.sends(26, Host::A, segment(Host::A, 104, 901, "A", b"two"));
    let packet = stage.sends(31, Host::B, segment(Host::B, 901, 107, "A", b""));
    let verdict = stage.only();
    assert_eq!(verdict.caught, Caught::Nobody);
    assert_eq!(verdict.cure, Cure::LaterAck { packet });
    assert_eq!(verdict.effect, Effect::Nothing);
}

#[test]
fn a_packet_that_two_rules_touched_is_counted_for_each() {
    let mut stage = Stage::connected();
    let data = segment(Host::A, 101, 901, "A", b"one");
    let delayed = Deed::Delayed(core::time::Duration::ZERO);
    stage.touched(20, Host::A, data, None, &[delayed, delayed]);
    let (verdicts, tallies) = stage.tracer.finish(3);
    assert_eq!(verdicts.len(), 1);
    let touched: Vec<_> = tallies.iter().map(|tally| tally.touched).collect();
    assert_eq!(touched, [1, 1, 0]);
}

#[test]
fn what_is_too_much_is_counted_and_no_more() {
    let mut stage = Stage::connected();
    for n in 0..5000 {
        let data = segment(Host::A, 101 + n, 901, "A", b"x");
        stage.touched(20 + u64::from(n), Host::A, data, None, &[Deed::Dropped]);
    }
    let (verdicts, tallies) = stage.tracer.finish(1);
    assert_eq!(verdicts.len(), 4096);
    assert_eq!(tallies[0].touched + tallies[0].untraced, 5000);
    assert_eq!(tallies[0].untraced, 904);
}

#[test]
fn every_word_of_a_verdict_is_in_the_glossary() {
    let glossary = crate::text::Glossary::english().unwrap();
    let checks = [
        Check::IpVersion,
        Check::IpLength,
        Check::IpChecksum,
        Check::IpTtl,
        Check::IpAddress,
        Check::IpFragment,
        Check::IpProtocol,
        Check::TcpLength,
        Check::TcpChecksum,
        Check::TcpPort,
        Check::TcpFlags,
        Check::TcpAcknowledgment,
    ];
    let mut keys: Vec<String> = checks
        .iter()
        .map(|check| format!("say.verdict.by.{}", check.name()))
        .collect();
    for caught in [
        Caught::NoAcknowledgment,
        Caught::Repeats,
        Caught::Duplicate,
        Caught::Gap,
        Caught::Window,
        Caught::Tcp,
        Caught::NoGoodbye,
    ] {
        keys.push(format!("say.verdict.by.{}", caught.name()));
    }
    let never = |times, ack| Cure::Never { times, ack };
    let again = |why| Cure::Retransmission {
        packet: 1,
        after: 1,
        why,
    };
    for cure in [
        Cure::NotNeeded,
        Cure::LaterAck { packet: 1 },
        Cure::Itself,
        Cure::Nothing,
        never(0, false),
        never(3, false),
        never(3, true),
        again(Why::Timeout(1)),
        again(Why::Probe(1)),
        again(Why::Duplicates(3)),
        again(Why::Sack),
        again(Why::Recovery),
    ] {
        keys.push(format!("say.verdict.cure.{}", cure.name()));
        keys.push(format!("say.verdict.tally.cured.{}", cure.name()));
        if let Cure::Retransmission { why, .. } = cure {
            keys.push(format!("say.verdict.remark.{}", why.name()));
        }
    }
    for how in [
        Reaction::Discarded(Check::TcpChecksum),
        Reaction::Duplicate,
        Reaction::OutOfWindow,
        Reaction::Kept,
        Reaction::Refused,
        Reaction::Reset,
        Reaction::Ended,
    ] {
        if how != Reaction::Kept {
            keys.push(format!("say.verdict.remark.{}", how.name()));
        }
    }
    for effect in [
        "nothing",
        "late",
        "late_end",
        "over",
        "wrong",
        "broke",
        "gave_up",
        "unproven_end",
        "unfinished",
    ] {
        keys.push(format!("say.verdict.effect.{effect}"));
        keys.push(format!("say.verdict.tally.effect.{effect}"));
    }
    for key in keys {
        assert!(glossary.entry(&key).is_some(), "{key}");
    }
}
