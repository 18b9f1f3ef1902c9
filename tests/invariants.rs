//! The six invariants of the design, each as a property over frames: random, mutated, cut off, shuffled, hostile.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod common;

use std::fmt::Write as _;
use std::sync::OnceLock;

use allocation_counter::measure;
use common::Side::{Client, Server};
use common::{Ends, Random, Story, check, frame, hear, shuffled};
use layerwise::cursor::{Cursor, Read};
use layerwise::packet::{
    BufId, Context, Event, Field, FieldDef, Frame, Kind, Labels, LinkType, Why,
};
use layerwise::session::Session;
use layerwise::wire::memory::{Config, Memory};
use layerwise::wire::{Script, Seen};
use proptest::collection::vec;
use proptest::prelude::*;

/// A chat over the memory wire: its packets, and its secrets.
struct Chat {
    secrets: Vec<String>,
    packets: Vec<Vec<u8>>,
}

fn chat() -> &'static Chat {
    static CHAT: OnceLock<Chat> = OnceLock::new();
    CHAT.get_or_init(|| {
        let script = Script {
            messages: vec!["hi".to_owned(), "x".repeat(20_000), "bye".to_owned()],
            ..Script::default()
        };
        let (mut secrets, mut packets) = (Vec::new(), Vec::new());
        for seen in Memory::new(&Config::default(), &script).unwrap() {
            match seen.unwrap() {
                Seen::Packet(packet) => packets.push(packet.bytes),
                Seen::Key { line, .. } => secrets.push(line),
                Seen::Chat { .. } | Seen::Kernel { .. } | Seen::Released { .. } => {}
            }
        }
        Chat { secrets, packets }
    })
}

fn session() -> Session {
    let mut session = Session::new();
    for line in &chat().secrets {
        session.keylog_line(line).unwrap();
    }
    session
}

/// Makes IPv4's and TCP's checksums right again, so that a change is not thrown away as damage.
fn repair(packet: &mut [u8]) {
    fn sum(bytes: &[u8]) -> u32 {
        bytes
            .chunks(2)
            .map(|c| u32::from(c[0]) << 8 | c.get(1).map_or(0, |b| u32::from(*b)))
            .sum()
    }
    fn fold(sum: u32) -> [u8; 2] {
        let once = (sum & 0xffff) + (sum >> 16);
        let twice = (once & 0xffff) + (once >> 16);
        (!(twice as u16)).to_be_bytes()
    }
    if packet.len() < 40 || packet[0] != 0x45 {
        return;
    }
    let len = (packet.len() as u16).to_be_bytes();
    packet[2..4].copy_from_slice(&len);
    packet[10..12].fill(0);
    let header = fold(sum(&packet[..20]));
    packet[10..12].copy_from_slice(&header);
    packet[36..38].fill(0);
    let segment = &packet[20..];
    let pseudo = sum(&packet[12..20]) + 6 + segment.len() as u32;
    let checksum = fold(pseudo + sum(segment));
    packet[36..38].copy_from_slice(&checksum);
}

/// A change to the packets of a chat.
#[derive(Debug, Clone)]
enum Change {
    Set(usize, usize, u8),
    Flip(usize, usize, u8),
    Cut(usize, usize),
    Insert(usize, usize, Vec<u8>),
    Repeat(usize, usize),
    Drop(usize),
    Swap(usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let (at, byte) = (any::<usize>(), any::<u8>());
    // The headers are a small part of the bytes, and most of what is decided.
    let place = prop_oneof![3 => 0..120_usize, 1 => any::<usize>()];
    prop_oneof![
        4 => (at, place.clone(), byte).prop_map(|(p, a, b)| Change::Set(p, a, b)),
        4 => (at, place.clone(), 0..8_u8).prop_map(|(p, a, b)| Change::Flip(p, a, 1 << b)),
        2 => (at, place.clone()).prop_map(|(p, a)| Change::Cut(p, a)),
        1 => (at, place, vec(any::<u8>(), 1..40)).prop_map(|(p, a, b)| Change::Insert(p, a, b)),
        1 => (at, at).prop_map(|(p, q)| Change::Repeat(p, q)),
        1 => at.prop_map(Change::Drop),
        1 => (at, at).prop_map(|(p, q)| Change::Swap(p, q)),
    ]
}

fn changed(changes: &[Change], repaired: bool) -> Vec<Vec<u8>> {
    changed_from(chat().packets.clone(), changes, repaired)
}

fn changed_from(mut packets: Vec<Vec<u8>>, changes: &[Change], repaired: bool) -> Vec<Vec<u8>> {
    for change in changes {
        let count = packets.len();
        let touched = match change {
            Change::Set(p, at, byte) => {
                let packet = &mut packets[p % count];
                let at = at % packet.len().max(1);
                if let Some(place) = packet.get_mut(at) {
                    *place = *byte;
                }
                p % count
            }
            Change::Flip(p, at, mask) => {
                let packet = &mut packets[p % count];
                let at = at % packet.len().max(1);
                if let Some(place) = packet.get_mut(at) {
                    *place ^= mask;
                }
                p % count
            }
            Change::Cut(p, at) => {
                let packet = &mut packets[p % count];
                packet.truncate(at % (packet.len() + 1));
                p % count
            }
            Change::Insert(p, at, bytes) => {
                let packet = &mut packets[p % count];
                let at = at % (packet.len() + 1);
                packet.splice(at..at, bytes.iter().copied());
                p % count
            }
            Change::Repeat(p, q) => {
                let packet = packets[p % count].clone();
                packets.insert(q % count, packet);
                continue;
            }
            Change::Drop(p) if count > 1 => {
                packets.remove(p % count);
                continue;
            }
            Change::Drop(_) => continue,
            Change::Swap(p, q) => {
                packets.swap(p % count, q % count);
                continue;
            }
        };
        if repaired {
            repair(&mut packets[touched]);
        }
    }
    packets
}

/// All of an event as text, but the number of the stream.
fn digest(event: &Event<'_>) -> String {
    let mut text = format!("{:?} {:?} {:?}", event.layers, event.fields, event.stops);
    for note in event.notes.iter().filter(|n| n.def.key != "tcp.stream") {
        write!(text, " {note:?}").unwrap();
    }
    for id in 0..event.buffer_count() {
        let id = BufId(id as u16);
        write!(text, " {:?} {:?}", event.bytes(id), event.pieces(id)).unwrap();
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// 1, 2, 4: any bytes.
    #[test]
    fn any_bytes(
        frames in vec((vec(any::<u8>(), 0..120), 0..200_u32), 1..6),
        link in prop_oneof![
            4 => prop::sample::select(vec![101_u16, 1, 113, 276, 0]),
            1 => any::<u16>(),
        ],
    ) {
        let mut session = Session::new();
        for (number, (data, more)) in (1..).zip(&frames) {
            let wire_len = data.len() as u32 + more / 2 * (more % 2);
            let link = LinkType(link);
            check(&session.push(Frame { link, wire_len, ..frame(number, data) }));
        }
    }

    /// 1, 2, 4: bytes that begin like IP and TCP.
    #[test]
    fn any_bytes_behind_a_header(
        bytes in vec(any::<u8>(), 0..100),
        first in prop_oneof![Just(0x45_u8), Just(0x46), Just(0x4f), Just(0x60)],
        next in prop_oneof![Just(6_u8), Just(0), Just(60), Just(43), Just(44), Just(4), Just(41), Just(51), Just(1), Just(17), Just(58)],
        cut in any::<bool>(),
    ) {
        let mut data = bytes;
        if let Some(place) = data.first_mut() { *place = first; }
        if let Some(place) = data.get_mut(if first == 0x60 { 6 } else { 9 }) { *place = next; }
        let len = data.len() as u16;
        let (at, len) = if first == 0x60 { (4, len.saturating_sub(40)) } else { (2, len) };
        if let Some(place) = data.get_mut(at..at + 2) { place.copy_from_slice(&len.to_be_bytes()); }
        let wire_len = data.len() as u32 + u32::from(cut);
        check(&Session::new().push(Frame { wire_len, ..frame(1, &data) }));
    }

    /// 3: what a read returns is what is read again from the label it leaves.
    #[test]
    fn a_value_read_again_is_the_value_returned(
        bytes in vec(any::<u8>(), 0..64),
        reads in vec((0..9_u8, 0..65_u32), 1..40),
    ) {
        let (mut labels, mut context) = (Labels::default(), Context::default());
        let mut returned = Vec::new();
        let all = 0..bytes.len();
        let mut cursor = Cursor::new(&bytes, BufId::FRAME, all, Why::Short, &mut labels, &mut context);
        let result = read(&mut cursor, &mut reads.as_slice(), &mut returned);
        if let Err(stop) = result {
            prop_assert!(stop.need > stop.have && (stop.offset + stop.have) as usize <= bytes.len());
        }
        let valued = |f: &&Field| f.def.kind != Kind::Group;
        let again: Vec<String> =
            labels.fields.iter().filter(valued).map(|f| common::show(f.value(&bytes))).collect();
        prop_assert_eq!(again, returned);
    }
}

static BOOL: FieldDef = def("test.bool", Kind::Bool);
static UINT: FieldDef = def("test.uint", Kind::Uint);
static HEX: FieldDef = def("test.hex", Kind::Hex);
static UNITS: FieldDef = def("test.units", Kind::Units(4));
static BYTES: FieldDef = def("test.bytes", Kind::Bytes);
static TEXT: FieldDef = def("test.text", Kind::Text);
static IPV4: FieldDef = def("test.ipv4", Kind::Ipv4);
static GROUP: FieldDef = def("test.group", Kind::Group);

const fn def(key: &'static str, kind: Kind) -> FieldDef {
    FieldDef { key, kind }
}

/// Reads as told, and writes down what is returned. Bytes are read only where a byte starts, as all protocols do.
fn read(c: &mut Cursor<'_, '_>, reads: &mut &[(u8, u32)], returned: &mut Vec<String>) -> Read<()> {
    let mut bit = 0;
    while let Some(((what, n), rest)) = reads.split_first() {
        *reads = rest;
        let aligned = bit % 8 == 0;
        let at = c.position() * 8 + bit as usize % 8;
        let expected = |c: &Cursor<'_, '_>, n: u32| {
            let one = |bit: usize| u64::from(c.whole()[bit / 8] >> (7 - bit % 8) & 1);
            (at..at + n as usize).fold(0, |value, bit| value << 1 | one(bit))
        };
        match what {
            0 => {
                let flag = c.flag(&BOOL)?;
                assert_eq!(u64::from(flag), expected(c, 1));
                returned.push(flag.to_string());
            }
            1 | 2 => {
                let number = c.bits(if *what == 1 { &UINT } else { &HEX }, *n)?;
                assert_eq!(number, expected(c, *n));
                returned.push(number.to_string());
            }
            3 => {
                let number = c.bits(&UNITS, n % 33)?;
                assert_eq!(number, expected(c, n % 33) * 4);
                returned.push(number.to_string());
            }
            4 if aligned => returned.push(common::hex(c.bytes(&BYTES, *n as usize % 9)?)),
            5 if aligned => {
                let text = c.bytes(&TEXT, *n as usize % 9)?;
                returned.push(String::from_utf8_lossy(text).into_owned());
            }
            6 if aligned => {
                let address = std::net::Ipv4Addr::from(c.array::<4>(&IPV4)?);
                returned.push(address.to_string());
            }
            7 if aligned => return c.group(&GROUP, |c| read(c, reads, returned)),
            8 if aligned => {
                let len = (*n as usize).min(c.left());
                c.sub(&GROUP, len, |c| read(c, reads, returned))?;
            }
            _ => continue,
        }
        bit += match what {
            0 => 1,
            1 | 2 => *n,
            3 => n % 33,
            _ => 0,
        };
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// 1, 2, 4: a real chat, damaged.
    #[test]
    fn a_damaged_chat(changes in vec(change(), 1..12), repaired in any::<bool>()) {
        let mut session = session();
        for (number, data) in (1..).zip(&changed(&changes, repaired)) {
            check(&session.push(frame(number, data)));
        }
    }

    /// 1, 2, 4, 5: the other layers, damaged. The link stands before each frame, so that it can be damaged, too.
    #[test]
    fn damaged_traffic_of_every_layer(
        changes in vec(change(), 1..40),
        repaired in any::<bool>(),
    ) {
        let packets = common::other_traffic();
        let packets = packets.into_iter().map(|(link, data)| {
            let mut frame = if repaired { vec![] } else { link.to_be_bytes().to_vec() };
            frame.extend(data);
            frame
        });
        let links: Vec<u16> = common::other_traffic().into_iter().map(|(link, _)| link).collect();
        let (mut one, mut two) = (Session::new(), Session::new());
        let all = changed_from(packets.collect(), &changes, repaired);
        for ((number, data), link) in (1..).zip(&all).zip(links.iter().cycle()) {
            let (link, data) = match data.split_first_chunk::<2>() {
                Some((link, data)) if !repaired => (u16::from_be_bytes(*link), data),
                _ => (*link, data.as_slice()),
            };
            let frame = Frame { link: LinkType(link), ..frame(number, data) };
            let event = one.push(frame);
            check(&event);
            prop_assert_eq!(digest(&event), digest(&two.push(frame)));
        }
    }

    /// 5: the same frames give the same events, with other connections in between or not.
    #[test]
    fn the_same_frames_give_the_same_events(
        changes in vec(change(), 0..6),
        seed in 1..u64::MAX,
    ) {
        let packets = changed(&changes, true);
        let (mut alone, mut again, mut among) = (session(), session(), session());
        let mut random = Random(seed);
        let mut others: Vec<Ends> = (1..20).map(|n| Ends::new(n, 8080)).collect();
        for other in &mut others {
            other.addresses = [[10, 0, 0, 1], [10, 0, 0, 2]];
        }
        let said = [b"over there\n".as_slice(), b"\x16\x03\x01\x00\x05\x01", b"", b"half a"];
        for (number, data) in (1..).zip(&packets) {
            for _ in 0..random.below(4) {
                let other = &mut others[random.below(19)];
                let from = if random.below(2) == 0 { Client } else { Server };
                let flags = ["S", "SA", "A", "PA", "FA"][random.below(5)];
                let noise = other.segment(from, flags, said[random.below(4)]);
                among.push(frame(100_000 + number, &noise));
            }
            let expected = digest(&alone.push(frame(number, data)));
            prop_assert_eq!(&digest(&again.push(frame(number, data))), &expected);
            prop_assert_eq!(&digest(&among.push(frame(number, data))), &expected);
        }
    }
}

/// 2: of a chat that nobody disturbed, every byte is labelled and nothing stops.
#[test]
fn every_byte_of_a_chat_is_labelled() {
    let mut session = session();
    let mut story = Story::default();
    for (number, data) in (1..).zip(&chat().packets) {
        let event = session.push(frame(number, data));
        check(&event);
        hear(&event, 0, &mut story);
    }
    assert_eq!((story.stops, story.gaps), (vec![], 0));
    assert!(
        story
            .told
            .iter()
            .any(|t| t.layer == "chat" && t.one("chat.text").len() == 20_000)
    );
}

/// 2: of traffic of every layer that nobody disturbed, nothing is left over but what was made to be.
#[test]
fn every_byte_of_other_traffic_is_labelled() {
    let mut session = Session::new();
    let mut seen = std::collections::HashSet::new();
    for ((link, data), number) in common::other_traffic().iter().zip(1..) {
        let event = session.push(Frame {
            link: LinkType(*link),
            ..frame(number, data)
        });
        check(&event);
        seen.extend(event.layers.iter().map(|layer| layer.def.key));
    }
    let protocols = layerwise::layers::PROTOCOLS.iter();
    let missing: Vec<&str> = protocols
        .map(|protocol| protocol.def.key)
        // What is known of a frame is computed, and no part of it.
        .filter(|key| *key != "frame" && !seen.contains(key))
        .collect();
    assert!(missing.is_empty(), "{missing:?} are not reached");
}

/// 4: whatever the capture keeps of a frame, the fields of IP and TCP that are whole in it are there.
#[test]
fn a_frame_cut_off_anywhere_keeps_what_is_whole() {
    let mut seen = 0;
    for packet in &chat().packets {
        if packet.len() > 400 && seen > 3 {
            continue;
        }
        seen += 1;
        let mut whole = session();
        let whole = whole.push(frame(1, packet));
        let lower = |event: &Event<'_>| -> Vec<Field> {
            let layers = event.layers.iter().take(2);
            let mut fields: Vec<Field> = layers
                .flat_map(|l| event.fields_of(l).iter().copied())
                .collect();
            fields.retain(|f| f.def.kind != Kind::Group && !f.def.key.ends_with("data"));
            fields.retain(|f| !f.def.key.ends_with("payload"));
            fields
        };
        let fields = lower(&whole);
        for len in 0..packet.len() {
            for wire_len in [packet.len(), len] {
                let mut session = session();
                let wire_len = wire_len as u32;
                let event = session.push(Frame {
                    wire_len,
                    ..frame(1, &packet[..len])
                });
                check(&event);
                let cut = lower(&event);
                for field in fields.iter().filter(|f| f.bytes().end <= len) {
                    let kept = cut.iter().any(|f| {
                        (f.def.key, f.start, f.bits) == (field.def.key, field.start, field.bits)
                    });
                    assert!(kept, "{len} of {} bytes: {}", packet.len(), field.def.key);
                }
                assert!(
                    len == 0 || !event.stops.is_empty(),
                    "{len} of {} bytes",
                    packet.len()
                );
            }
        }
    }
    assert!(seen > 4);
}

/// 5: a chat whose segments overtake each other and come twice says the same.
#[test]
fn a_shuffled_chat_says_the_same() {
    let packets = &chat().packets;
    let said = |packets: &[Vec<u8>]| {
        let mut session = session();
        let mut story = Story::default();
        for (number, data) in (1..).zip(packets) {
            let event = session.push(frame(number, data));
            check(&event);
            hear(
                &event,
                u16::from_be_bytes([packets[0][20], packets[0][21]]),
                &mut story,
            );
        }
        story
    };
    let expected = said(packets);
    for seed in 1..20 {
        // The data after the handshake; of what comes before, each flight answers the one before it.
        let handshake = packets.len() - 25;
        let story = said(&shuffled(packets, handshake, 5, seed));
        assert_eq!(story.sides(), expected.sides());
        assert_eq!(story.stops, expected.stops);
    }
}

/// The most bytes that all streams together may hold back, and one direction (`src/flow/stream.rs`).
const HELD: u64 = 16 << 20;
const HELD_EACH: u64 = 2 << 20;
/// What else a session may need: the event's own buffers and labels, spare rooms, a few flows.
const BESIDE: u64 = 8 << 20;

/// The most bytes that were live at once while a session listened to what `feed` gives it.
fn peak(feed: impl FnOnce(&mut dyn FnMut(&[u8]))) -> u64 {
    let measured = measure(|| {
        let mut session = Session::new();
        let mut number = 0;
        feed(&mut |data| {
            number += 1;
            let event = session.push(frame(number, data));
            assert!(event.layers.len() <= usize::from(u16::MAX));
        });
    });
    measured.bytes_max
}

/// 6: a hole that is never filled, in one connection.
#[test]
fn a_hole_that_is_never_filled() {
    for len in [1, 1400] {
        let bytes = peak(|push| {
            let mut ends = Ends::new(49152, 8443);
            ends.open().iter().for_each(|f| push(f));
            ends.seq[0] = ends.seq[0].wrapping_add(1);
            for _ in 0..20_000 {
                push(&ends.segment(Client, "A", &vec![7; len]));
            }
        });
        assert!(bytes < HELD_EACH * 2 + BESIDE, "{len}: {bytes}");
    }
}

/// 6: holes in very many connections, with much and with little behind each.
#[test]
fn holes_in_many_connections() {
    for (flows, segments, len) in [(60_u16, 400, 1400), (1000, 1000, 1), (60_000, 3, 1)] {
        let bytes = peak(|push| {
            for port in 1..=flows {
                let mut ends = Ends::new(port, 8443);
                push(&ends.segment(Client, "S", &[]));
                ends.seq[0] = ends.seq[0].wrapping_add(1);
                for _ in 0..segments {
                    push(&ends.segment(Client, "A", &vec![7; len]));
                }
            }
        });
        let table = u64::from(flows) * 2048;
        assert!(
            bytes < HELD * 3 / 2 + BESIDE + table,
            "{flows}, {segments}, {len}: {bytes}"
        );
    }
}

/// 6: what was held and is not any more is given back, connection after connection.
#[test]
fn holes_that_are_filled_leave_nothing() {
    let bytes = peak(|push| {
        for port in 1..=300 {
            let mut ends = Ends::new(port, 8443);
            push(&ends.segment(Client, "S", &[]));
            let first = ends.segment(Client, "A", &[7]);
            for _ in 0..1000 {
                push(&ends.segment(Client, "A", &[7]));
            }
            push(&first);
        }
    });
    assert!(bytes < BESIDE, "{bytes}");
}

/// 6: a small segment does not keep the room of a large one.
#[test]
fn a_small_segment_keeps_little_room() {
    let bytes = peak(|push| {
        for port in 1..=40 {
            for (port, len) in [(port, 60_000), (port + 1000, 1)] {
                let mut ends = Ends::new(port, 8443);
                push(&ends.segment(Client, "S", &[]));
                let first = ends.segment(Client, "A", &[7]);
                for _ in 0..30 {
                    push(&ends.segment(Client, "A", &vec![7; len]));
                }
                if len > 1 {
                    push(&first);
                }
            }
        }
    });
    assert!(bytes < 3 * HELD_EACH + BESIDE, "{bytes}");
}

/// 6: a line of the chat without an end, in few large and in many small segments.
#[test]
fn a_line_without_an_end() {
    for (len, count) in [(1400, 4000), (1, 30_000)] {
        let bytes = peak(|push| {
            for port in 1..=3 {
                let mut ends = Ends::new(port, 8080);
                ends.open().iter().for_each(|f| push(f));
                let data = vec![b'x'; len];
                for _ in 0..count {
                    push(&ends.segment(Client, "A", &data));
                }
            }
        });
        assert!(bytes < 3 * HELD_EACH * 2 + BESIDE, "{len}: {bytes}");
    }
}

/// 6: a handshake message that says it has 16 million bytes, and never ends.
#[test]
fn a_handshake_message_without_an_end() {
    let bytes = peak(|push| {
        let mut ends = Ends::new(49152, 8443);
        ends.open().iter().for_each(|f| push(f));
        let fragment = 16_000_u16;
        let mut record = vec![22, 3, 1];
        record.extend(fragment.to_be_bytes());
        record.extend([1, 0xff, 0xff, 0xff]);
        record.resize(5 + usize::from(fragment), 0);
        for _ in 0..2000 {
            push(&ends.segment(Client, "A", &record));
        }
    });
    assert!(bytes < HELD_EACH * 2 + BESIDE, "{bytes}");
}

/// 6: two million empty lines that become readable all at once, when one byte before them comes.
#[test]
fn a_great_many_messages_at_once() {
    let bytes = peak(|push| {
        let mut ends = Ends::new(49152, 8080);
        ends.open().iter().for_each(|f| push(f));
        let first = ends.segment(Client, "A", b"\n");
        let data = vec![b'\n'; 60_000];
        for _ in 0..34 {
            push(&ends.segment(Client, "A", &data));
        }
        push(&first);
    });
    assert!(bytes < 4 * HELD_EACH + 2 * BESIDE, "{bytes}");
}
