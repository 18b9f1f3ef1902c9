//! In steady state a packet costs no allocation: not to decode, not to open, not to print in detail.
//!
//! Counts are the same on every machine, where nanoseconds are not. Only what the measuring thread does is counted.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may fail by panicking"
)]

mod common;

use allocation_counter::measure;
use layerwise::filter::Filter;
use layerwise::layers;
use layerwise::packet::{Context, Event, Frame, Labels, LinkType, Time};
use layerwise::session::Session;
use layerwise::text::Glossary;
use layerwise::view::detail::{Depth, Detail};
use layerwise::view::fields::{Columns, Style};
use layerwise::view::json::Json;
use layerwise::view::ladder::Ladder;
use layerwise::view::paint::{Look, Out, Wish};
use layerwise::view::words::Hosts;
use layerwise::wire::memory::{Config, EPOCH, Memory};
use layerwise::wire::{Host, Packet, Script, Seen};

/// A recorded chat.
#[derive(Default)]
struct Chat {
    packets: Vec<Packet>,
    keys: Vec<String>,
}

impl Chat {
    /// A says these messages, B answers each.
    fn play(messages: Vec<String>) -> Self {
        let script = Script {
            messages,
            ..Script::default()
        };
        let mut chat = Self::default();
        for seen in Memory::new(&Config::default(), &script).unwrap() {
            match seen.unwrap() {
                Seen::Packet(packet) => chat.packets.push(packet),
                Seen::Key { line, .. } => chat.keys.push(line),
                Seen::Chat { .. } | Seen::Kernel { .. } | Seen::Released { .. } => {}
            }
        }
        chat
    }

    /// 50 short messages each way.
    fn short() -> Self {
        let message = |n| format!("This is message {n}, neither long nor short.");
        Self::play((0..50).map(message).collect())
    }

    fn session(&self) -> Session {
        let mut session = Session::new();
        for line in &self.keys {
            session.keylog_line(line).unwrap();
        }
        session
    }

    fn frames(&self) -> Vec<Frame<'_>> {
        (1..)
            .zip(&self.packets)
            .map(|(number, packet)| frame(number, packet.sent, &packet.bytes))
            .collect()
    }
}

fn frame(number: u64, time: Time, data: &[u8]) -> Frame<'_> {
    Frame {
        number,
        time,
        link: LinkType::RAW,
        data,
        wire_len: data.len() as u32,
    }
}

/// How often `work` allocates.
fn allocations(work: impl FnOnce()) -> u64 {
    measure(work).count_total
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(Vec::<u8>::with_capacity(1))), 1);
}

#[test]
fn headers_alone() {
    let chat = Chat::short();
    let mut labels = Labels::default();
    let mut decode = |frame: &Frame<'_>| {
        labels.clear();
        let part = layers::decode(frame, &mut labels, &mut Context::default());
        assert!(part.is_some() && labels.layers.len() == 2);
    };
    let frames = chat.frames();
    decode(&frames[0]);
    assert_eq!(allocations(|| frames.iter().for_each(&mut decode)), 0);
}

#[test]
fn the_second_half_of_a_chat() {
    let chat = Chat::short();
    let frames = chat.frames();
    let (first, second) = frames.split_at(frames.len() / 2);
    let mut session = chat.session();
    for frame in first {
        session.push(*frame);
    }
    let (mut said, mut silent) = (0, 0);
    for frame in second {
        let mut layers = 0;
        let count = allocations(|| layers = session.push(*frame).layers.len());
        assert_eq!(count, 0, "frame {}", frame.number);
        // IP, TCP, the record and what is said in it; or only the first two.
        *(if layers == 4 { &mut said } else { &mut silent }) += 1;
    }
    assert!(
        said >= 49 && silent >= 4,
        "{said} with a message, {silent} without"
    );
}

#[test]
fn traffic_of_every_layer() {
    let traffic = common::other_traffic();
    let mut session = Session::new();
    let mut push = |round: u64| {
        for ((link, data), number) in traffic.iter().zip(1..) {
            session.push(Frame {
                link: LinkType(*link),
                ..frame(round * 1000 + number, Time(round), data)
            });
        }
    };
    (0..3).for_each(&mut push);
    assert_eq!(allocations(|| push(3)), 0);
}

/// Requests and answers on one connection, in segments that cut them anywhere.
#[test]
fn a_long_talk_of_http() {
    let (request, answer) = (
        b"GET /a HTTP/1.1\r\nHost: example.com\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    );
    let mut ends = common::Ends::new(40_000, 1234);
    let mut frames = ends.open();
    for _ in 0..50 {
        let talk = [
            (common::Side::Client, request.to_vec()),
            (common::Side::Server, answer.to_vec()),
        ];
        frames.extend(ends.data(&talk, 30));
    }
    let (first, second) = frames.split_at(frames.len() / 2);
    let mut session = Session::new();
    let mut messages = 0;
    let mut push = |frames: &[Vec<u8>]| {
        for (number, data) in (1..).zip(frames) {
            let event = session.push(frame(number, Time(number), data));
            messages += event
                .layers
                .iter()
                .filter(|layer| layer.def.key == "http")
                .count();
        }
    };
    push(first);
    assert_eq!(allocations(|| push(second)), 0);
    assert_eq!(messages, 100);
}

/// All of it printed, every field with its meaning.
#[test]
fn printing_every_layer() {
    let glossary = Glossary::english().unwrap();
    let traffic = common::other_traffic();
    let mut session = Session::new();
    let wish = Wish {
        width: Some(100),
        ..Wish::default()
    };
    let mut out = Out::new(Look::new(wish, true, None));
    let mut detail = Detail::new(&glossary, Depth::Vv, true, EPOCH);
    let mut print = |round: u64| {
        let mut count = 0;
        for ((link, data), number) in traffic.iter().zip(1..) {
            let event = session.push(Frame {
                link: LinkType(*link),
                ..frame(round * 1000 + number, Time(round), data)
            });
            out.clear();
            let here = allocations(|| detail.print(&mut out, &event));
            // The sentence of a stop is put together with what it is about.
            if event.stops.is_empty() {
                count += here;
            }
        }
        count
    };
    // What TCP says of a segment differs the first times that it comes again, and so does the length of the text.
    for round in 0..5 {
        print(round);
    }
    assert_eq!(print(5), 0);
}

#[test]
fn a_message_in_many_segments() {
    let chat = Chat::play(vec!["lorem ipsum ".repeat(2000); 16]);
    let (frames, mut session) = (chat.frames(), chat.session());
    // Two records and many segments each. The first messages make all the room that the later ones need; as long as
    // TCP's congestion window grows, more segments are under way at once, and each of them is remembered.
    let (first, last) = frames.split_at(frames.len() / 2);
    for frame in first {
        session.push(*frame);
    }
    let count = allocations(|| {
        for frame in last {
            session.push(*frame);
        }
    });
    assert_eq!(count, 0, "over {} packets", last.len());
}

#[test]
fn printing() {
    let glossary = Glossary::english().unwrap();
    let chat = Chat::short();
    let frames = chat.frames();
    let (first, second) = frames.split_at(frames.len() / 2);
    let hosts = Hosts::new(vec![
        (Host::A.address().into(), "A"),
        (Host::B.address().into(), "B"),
    ]);
    for (color, hex, depth, width) in [
        (false, false, Depth::V, 80),
        (true, true, Depth::V, 80),
        (true, true, Depth::Vv, 120),
    ] {
        let wish = Wish {
            width: Some(width),
            ..Wish::default()
        };
        let mut out = Out::new(Look::new(wish, color, None));
        let mut detail = Detail::new(&glossary, depth, hex, EPOCH);
        let mut ladder = Ladder::default();
        // Each shape of packets is remembered when it is printed for the second time, and there are not many.
        let mut session = chat.session();
        for frame in &frames {
            let event = session.push(*frame);
            for _ in 0..2 {
                out.clear();
                detail.print(&mut out, &event);
            }
            ladder.packet(&mut out, &glossary, &hosts, &event);
        }
        let mut session = chat.session();
        for frame in first {
            session.push(*frame);
        }
        for frame in second {
            let event = session.push(*frame);
            out.clear();
            assert_eq!(
                allocations(|| detail.print(&mut out, &event)),
                0,
                "frame {}, {depth:?}",
                frame.number
            );
            // The ladder puts its sentence and its label aside, to see how long they get.
            let count = allocations(|| {
                ladder.packet(&mut out, &glossary, &hosts, &event);
            });
            assert!(count <= 2, "frame {}: {count}", frame.number);
        }
    }
}

#[test]
fn judging_and_lines_for_programs() {
    let glossary = Glossary::english().unwrap();
    let chat = Chat::short();
    let frames = chat.frames();
    let (first, second) = frames.split_at(frames.len() / 2);
    let filters: Vec<Filter> = [
        "tcp.port in {80, 8000..9000} && ip.addr == 1.2.0.0/16 && !(ip.ttl < 5)",
        "lower(chat.text) contains \"message\" or chat.text matches \"^this .*long\"",
        "tcp.payload[0:2] == 17:03 and frame.protocols contains \"tls\" and len(tcp.payload) > 5",
        "all tcp.port > 1 && tcp.seq != tcp.ack && count(ip.addr) == 2 && frame.time_relative >= 0",
    ]
    .map(|text| Filter::parse(text).unwrap())
    .into();
    let keys = [
        "frame.time",
        "frame.protocols",
        "ip.addr",
        "tcp.flags",
        "tcp.payload",
        "chat.text",
        "tcp.analysis.ack_rtt",
    ];
    let mut columns = Columns::new(&keys.map(str::to_owned), Style::default()).unwrap();
    let mut objects = [Json::new(None), Json::new(Some(&glossary))];
    let mut session = chat.session();
    let mut out = Vec::with_capacity(1 << 20);
    let mut work = |event: &Event<'_>| {
        out.clear();
        let passed = filters.iter().filter(|f| f.matches(event)).count();
        columns.line(event, &mut out);
        for json in &mut objects {
            json.packet(event, &mut out);
        }
        passed
    };
    // Regular expressions and lists take their room with the first packets.
    for frame in first {
        work(&session.push(*frame));
    }
    let mut passed = 0;
    for frame in second {
        let event = session.push(*frame);
        // What comes a second time in its shape is remembered: that takes room once.
        work(&event);
        work(&event);
        let count = allocations(|| passed += work(&event));
        assert_eq!(count, 0, "frame {}", frame.number);
    }
    assert!(
        passed > second.len(),
        "{passed} verdicts of {}",
        second.len()
    );
}
