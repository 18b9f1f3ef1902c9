//! IP packets that come in fragments: in any order, twice, overlapping, too late, or never whole.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod common;

use allocation_counter::measure;
use common::{Random, check, frame};
use layerwise::packet::{BufId, BufKind, Event, Frame, Time};
use layerwise::session::Session;

/// A datagram from A to B, without its IP header: 8 bytes of UDP, and data that is different everywhere.
fn datagram(len: usize) -> Vec<u8> {
    let mut bytes = vec![0x03, 0xe8, 0x07, 0xd0];
    bytes.extend(((len + 8) as u16).to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend((0..len).map(|n| (n / 3) as u8));
    bytes
}

/// A piece of it as an IPv4 packet.
fn v4(id: u16, whole: &[u8], range: core::ops::Range<usize>, protocol: u8) -> Vec<u8> {
    let more = range.end < whole.len();
    let mut header = etherparse::Ipv4Header::new(
        range.len() as u16,
        64,
        protocol.into(),
        [1, 2, 3, 4],
        [5, 6, 7, 8],
    )
    .unwrap();
    header.identification = id;
    header.dont_fragment = false;
    header.more_fragments = more;
    header.fragment_offset = ((range.start / 8) as u16).try_into().unwrap();
    header.header_checksum = header.calc_header_checksum();
    let mut bytes = Vec::new();
    header.write(&mut bytes).unwrap();
    bytes.extend(&whole[range]);
    bytes
}

/// The same as an IPv6 packet.
fn v6(id: u32, whole: &[u8], range: core::ops::Range<usize>) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend((range.len() as u16 + 8).to_be_bytes());
    bytes.extend([44, 64]);
    for last in [0xa, 0xb] {
        bytes.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    let more = u16::from(range.end < whole.len());
    bytes.extend([17, 0]);
    bytes.extend((range.start as u16 | more).to_be_bytes());
    bytes.extend(id.to_be_bytes());
    bytes.extend(&whole[range]);
    bytes
}

/// Where a datagram is cut.
fn cuts(len: usize, size: usize) -> Vec<core::ops::Range<usize>> {
    (0..len)
        .step_by(size)
        .map(|at| at..(at + size).min(len))
        .collect()
}

fn note(event: &Event<'_>, key: &str) -> Option<u64> {
    let note = event.notes.iter().find(|note| note.def.key == key)?;
    note.value.uint()
}

/// The bytes of the packet that was put together in this event, if one was.
fn put_together(event: &Event<'_>) -> Option<Vec<u8>> {
    check(event);
    let mut ids = (0..event.buffer_count()).map(|id| BufId(id as u16));
    let id = ids.find(|id| event.buffer_kind(*id) == BufKind::Packet)?;
    let mut at = 0;
    for piece in event.pieces(id) {
        assert_eq!(piece.into, at, "the pieces follow each other");
        at += piece.len;
    }
    assert_eq!(at as usize, event.bytes(id).len());
    Some(event.bytes(id).to_vec())
}

/// What comes of these frames, one after the other.
fn outcomes(frames: &[Vec<u8>]) -> Vec<Option<Vec<u8>>> {
    let mut session = Session::new();
    (1..)
        .zip(frames)
        .map(|(number, data)| put_together(&session.push(frame(number, data))))
        .collect()
}

#[test]
fn in_any_order_the_last_one_completes_it() {
    let whole = datagram(4000);
    let mut random = Random(7);
    for size in [8, 80, 1480] {
        for version in [4, 6] {
            let mut frames: Vec<Vec<u8>> = cuts(whole.len(), size)
                .into_iter()
                .map(|range| match version {
                    4 => v4(9, &whole, range, 17),
                    _ => v6(9, &whole, range),
                })
                .collect();
            for _ in 0..5 {
                for i in (1..frames.len()).rev() {
                    frames.swap(i, random.below(i + 1));
                }
                let outcomes = outcomes(&frames);
                let (last, before) = outcomes.split_last().unwrap();
                assert!(before.iter().all(Option::is_none), "{version}, {size}");
                assert_eq!(last.as_ref(), Some(&whole), "{version}, {size}");
            }
        }
    }
}

#[test]
fn the_packet_is_decoded_in_the_frame_that_completes_it() {
    let whole = datagram(3000);
    let mut session = Session::new();
    let ranges = cuts(whole.len(), 1480);
    for (number, range) in (1..).zip(&ranges) {
        let data = v4(9, &whole, range.clone(), 17);
        let event = session.push(frame(number, &data));
        check(&event);
        let layers: Vec<&str> = event.layers.iter().map(|layer| layer.def.key).collect();
        if number < ranges.len() as u64 {
            assert_eq!(layers, ["ip", "data"]);
            continue;
        }
        assert_eq!(layers, ["ip", "udp", "data"]);
        assert_eq!(note(&event, "ip.fragment.count"), Some(3));
        assert_eq!(note(&event, "ip.reassembled.length"), Some(3008));
        assert_eq!(note(&event, "udp.stream"), Some(0));
        let pieces = event.pieces(BufId(1));
        let places: Vec<_> = pieces
            .iter()
            .map(|p| (p.frame, p.at, p.into, p.len))
            .collect();
        assert_eq!(
            places,
            [(1, 20, 0, 1480), (2, 20, 1480, 1480), (3, 20, 2960, 48)]
        );
        assert!(event.stops.is_empty() && event.gaps(BufId::FRAME).is_empty());
    }
}

#[test]
fn a_segment_in_fragments_belongs_to_its_connection() {
    let mut ends = common::Ends::new(49152, 8080);
    let mut frames = ends.open();
    let segment = ends.segment(
        common::Side::Client,
        "PA",
        &[b"hi there".as_slice(), &[b'!'; 500], b"\n"].concat(),
    );
    for range in cuts(segment.len() - 20, 104) {
        frames.push(v4(3, &segment[20..], range, 6));
    }
    let story = common::listen([], &frames, 49152);
    let told: Vec<_> = story
        .told
        .iter()
        .filter(|told| told.layer == "chat")
        .collect();
    assert_eq!(told.len(), 1);
    assert!(told[0].one("chat.text").starts_with("hi there!!"));
    assert!(story.stops.is_empty(), "{:?}", story.stops);
}

#[test]
fn of_overlaps_the_first_counts_and_with_ipv6_none() {
    let whole = datagram(2000);
    let mut other = whole.clone();
    other[1000..1100].fill(0xee);
    let (a, b, c) = (0..1200, 800..1600, 1600..whole.len());
    let four = outcomes(&[
        v4(9, &whole, a.clone(), 17),
        v4(9, &other, b.clone(), 17),
        v4(9, &whole, c.clone(), 17),
    ]);
    assert_eq!(four[2].as_ref(), Some(&whole), "the bytes that came first");
    let six = outcomes(&[
        v6(9, &whole, a.clone()),
        v6(9, &other, b),
        v6(9, &whole, c.clone()),
    ]);
    assert_eq!(six, [None, None, None]);

    // The same fragment twice is no attack.
    let rest = 1200..1600;
    let twice = outcomes(&[
        v6(9, &whole, a.clone()),
        v6(9, &whole, a),
        v6(9, &whole, rest),
        v6(9, &whole, c),
    ]);
    assert_eq!(twice[3].as_ref(), Some(&whole));
}

#[test]
fn overlaps_are_noted() {
    let whole = datagram(2000);
    let mut other = whole.clone();
    other[1000] ^= 1;
    for (second, conflict) in [(&whole, None), (&other, Some(1))] {
        let mut session = Session::new();
        let first = v4(9, &whole, 0..1200, 17);
        session.push(frame(1, &first));
        let second = v4(9, second, 800..whole.len(), 17);
        let event = session.push(frame(2, &second));
        assert_eq!(note(&event, "ip.fragment.overlap"), Some(1));
        assert_eq!(note(&event, "ip.fragment.overlap.conflict"), conflict);
    }
}

#[test]
fn what_cannot_be_is_not_put_together() {
    let whole = datagram(2000);
    let end = whole.len();
    // A second end elsewhere; bytes behind the end; a middle that is no multiple of eight.
    for frames in [
        [
            v4(9, &whole, 1200..end, 17),
            v4(9, &whole[..1600], 1200..1600, 17),
            v4(9, &whole, 0..1200, 17),
        ],
        [
            v4(9, &whole, 1200..end, 17),
            v4(9, &[whole.clone(), vec![0; 99]].concat(), 1200..2080, 17),
            v4(9, &whole, 0..1200, 17),
        ],
        [
            v4(9, &whole, 0..1204, 17),
            v4(9, &whole, 1200..end, 17),
            v4(8, &whole, 0..1200, 17),
        ],
    ] {
        assert_eq!(outcomes(&frames), [None, None, None]);
    }
    // Another identification or another protocol is another packet.
    let others = [
        v4(9, &whole, 0..1200, 17),
        v4(8, &whole, 1200..end, 17),
        v4(9, &whole, 1200..end, 16),
    ];
    assert_eq!(outcomes(&others), [None, None, None]);
}

#[test]
fn a_fragment_that_the_capture_cut_is_as_good_as_lost() {
    let whole = datagram(2000);
    let (first, last) = (
        v4(9, &whole, 0..1200, 17),
        v4(9, &whole, 1200..whole.len(), 17),
    );
    let mut session = Session::new();
    let cut = Frame {
        wire_len: first.len() as u32,
        ..frame(1, &first[..900])
    };
    check(&session.push(cut));
    assert_eq!(put_together(&session.push(frame(2, &last))), None);
}

#[test]
fn after_a_minute_nobody_waits_any_more() {
    let whole = datagram(2000);
    let (first, last) = (
        v4(9, &whole, 0..1200, 17),
        v4(9, &whole, 1200..whole.len(), 17),
    );
    for (seconds, is_whole) in [(59, true), (61, false)] {
        let mut session = Session::new();
        let at = |time: u64, data| Frame {
            time: Time(time * 1_000_000_000),
            ..frame(1, data)
        };
        session.push(at(1000, &first));
        let event = session.push(at(1000 + seconds, &last));
        assert_eq!(put_together(&event).is_some(), is_whole);
    }
}

#[test]
fn a_million_packets_that_are_never_whole_take_no_more_memory() {
    for (size, count) in [(1480, 30_000_u32), (8, 100_000)] {
        let measured = measure(|| {
            let whole = datagram(60_000);
            let mut session = Session::new();
            for n in 0..count {
                let at = (n as usize / 7 % 4) * 1480;
                let data = v6(n, &whole, at..at + size);
                session.push(frame(u64::from(n), &data));
            }
        });
        assert!(
            measured.bytes_max < 8 << 20,
            "{size}: {}",
            measured.bytes_max
        );
    }
    // One packet in as many fragments as there can be.
    let measured = measure(|| {
        let whole = datagram(65_000);
        let mut session = Session::new();
        for range in cuts(whole.len(), 8) {
            let data = v4(9, &whole, range, 17);
            session.push(frame(1, &data));
        }
    });
    assert!(measured.bytes_max < 4 << 20, "{}", measured.bytes_max);
}
