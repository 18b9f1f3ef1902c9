//! What decoding and printing cost, a packet at a time, on a chat recorded from the memory wire.
//!
//! Each cost has its floor beside it: the same packet through `etherparse` alone, the same chat without opening its
//! records. Compare within one run; the numbers of a busy machine mean little by themselves.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a bench may fail by panicking"
)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use etherparse::{
    LaxSlicedPacket, NetSlice, PacketBuilder, SlicedPacket, TcpOptionElement, TransportSlice,
};
use layerwise::layers;
use layerwise::packet::{Context, Event, Frame, Labels, LinkType, Time};
use layerwise::session::Session;
use layerwise::text::Glossary;
use layerwise::view::detail::{Depth, Detail};
use layerwise::view::ladder::Ladder;
use layerwise::view::paint::{Look, Out, Wish};
use layerwise::view::words::Hosts;
use layerwise::wire::memory::{Config, EPOCH, Memory};
use layerwise::wire::{Host, Packet, Script, Seen};

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500));
    targets = annotate, session, print, glossary
}
criterion_main!(benches);

/// One packet's headers, labelled; and what `etherparse` takes to find the same headers without labelling anything.
fn annotate(c: &mut Criterion) {
    let time_stamp = [
        TcpOptionElement::Noop,
        TcpOptionElement::Noop,
        TcpOptionElement::Timestamp(1, 2),
    ];
    let (plain, options) = (packet(&[]), packet(&time_stamp));
    let mut group = c.benchmark_group("annotate");
    let (mut labels, mut context) = (Labels::default(), Context::default());
    for packet in [&plain, &options] {
        labels.clear();
        layers::decode(&frame(1, Time(0), packet), &mut labels, &mut context);
        let name = format!("{} fields", labels.fields.len());
        group.bench_function(name, |b| {
            b.iter(|| {
                labels.clear();
                let mut context = Context::default();
                let frame = frame(1, Time(0), black_box(packet));
                black_box(layers::decode(&frame, &mut labels, &mut context));
                black_box(labels.fields.len())
            });
        });
    }
    group.bench_function("floor: etherparse slices", |b| {
        b.iter(|| SlicedPacket::from_ip(black_box(&options)).unwrap());
    });
    group.bench_function("floor: etherparse lax slices", |b| {
        b.iter(|| LaxSlicedPacket::from_ip(black_box(&options)).unwrap());
    });
    group.bench_function("floor: etherparse slices, both checksums", |b| {
        b.iter(|| {
            let packet = SlicedPacket::from_ip(black_box(&options)).unwrap();
            let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Tcp(tcp))) =
                (&packet.net, &packet.transport)
            else {
                panic!("it is IPv4 and TCP");
            };
            let ip = ip.header().to_header();
            let sum = tcp.calc_checksum_ipv4(ip.source, ip.destination).unwrap();
            assert!(ip.calc_header_checksum() == ip.header_checksum && sum == tcp.checksum());
        });
    });
    group.finish();
}

/// The whole chat through a new session: handshake, certificates, and a hundred messages each way.
fn session(c: &mut Criterion) {
    let chat = Chat::play(100);
    let bytes = chat
        .packets
        .iter()
        .map(|packet| packet.bytes.len() as u64)
        .sum();
    let mut group = c.benchmark_group("session");
    for (unit, throughput) in [
        ("packets", Throughput::Elements(chat.packets.len() as u64)),
        ("bytes", Throughput::Bytes(bytes)),
    ] {
        group.throughput(throughput);
        group.bench_function(format!("whole chat, opened, by {unit}"), |b| {
            b.iter(|| {
                let mut session = chat.session();
                chat.frames()
                    .map(|frame| session.push(frame).fields.len())
                    .sum::<usize>()
            });
        });
    }
    group.throughput(Throughput::Elements(chat.packets.len() as u64));
    group.bench_function("floor: whole chat without the key log", |b| {
        b.iter(|| {
            let mut session = Session::new();
            chat.frames()
                .map(|frame| session.push(frame).fields.len())
                .sum::<usize>()
        });
    });
    // Only the messages: what the connection costs once it stands. A session cannot be turned back, so the headers'
    // share is measured on the same packets decoded each by itself.
    group.bench_function("floor: headers of the whole chat", |b| {
        let mut labels = Labels::default();
        b.iter(|| {
            let mut fields = 0;
            for frame in chat.frames() {
                labels.clear();
                black_box(layers::decode(&frame, &mut labels, &mut Context::default()));
                fields += labels.fields.len();
            }
            fields
        });
    });
    group.finish();
}

/// One packet with a chat message, printed into a buffer that is reused.
fn print(c: &mut Criterion) {
    let glossary = Glossary::english().unwrap();
    let chat = Chat::play(20);
    let mut session = chat.session();
    let last = chat.last_said();
    let (before, rest) = chat.packets.split_at(last);
    for (number, packet) in (1..).zip(before) {
        session.push(frame(number, packet.sent, &packet.bytes));
    }
    let event = session.push(frame(last as u64 + 1, rest[0].sent, &rest[0].bytes));
    let wish = Wish {
        width: Some(100),
        ..Wish::default()
    };
    let hosts = Hosts::new(
        [Host::A, Host::B]
            .map(|host| (host.address().into(), "A or B"))
            .to_vec(),
    );

    let mut group = c.benchmark_group("print");
    for (name, depth, hex, color) in [
        ("-v", Depth::V, false, false),
        ("-v in colour", Depth::V, false, true),
        ("-v -x", Depth::V, true, false),
        ("-vv", Depth::Vv, false, false),
    ] {
        let mut out = Out::new(Look::new(wish, color, None));
        let mut detail = Detail::new(&glossary, depth, hex, EPOCH);
        detail.print(&mut out, &event);
        let lines = out.bytes().iter().filter(|byte| **byte == b'\n').count();
        group.throughput(Throughput::Elements(lines as u64));
        group.bench_function(format!("{name}, {lines} lines"), |b| {
            b.iter(|| {
                out.clear();
                detail.print(&mut out, black_box(&event));
                black_box(out.bytes().len())
            });
        });
    }
    group.throughput(Throughput::Elements(1));
    let mut out = Out::new(Look::new(wish, false, None));
    let mut ladder = Ladder::default();
    group.bench_function("ladder, 1 line", |b| {
        b.iter(|| {
            out.clear();
            ladder.packet(&mut out, &glossary, &hosts, black_box(&event));
            black_box(out.bytes().len())
        });
    });
    group.finish();
}

/// Loading all words, once for each start of the program.
fn glossary(c: &mut Criterion) {
    c.bench_function("glossary", |b| b.iter(|| Glossary::english().unwrap()));
}

/// An IPv4 packet with a TCP segment that says "hi".
fn packet(options: &[TcpOptionElement]) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4([1, 2, 3, 4], [5, 6, 7, 8], 64)
        .tcp(49152, 8080, 1, 64_240)
        .ack(1)
        .psh()
        .options(options)
        .unwrap()
        .write(&mut packet, b"hi\n")
        .unwrap();
    packet
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

/// What a wire showed of one chat.
struct Chat {
    packets: Vec<Packet>,
    keys: Vec<String>,
}

impl Chat {
    fn play(messages: usize) -> Self {
        let messages = (0..messages)
            .map(|n| format!("This is message {n}, neither long nor short."))
            .collect();
        let script = Script {
            messages,
            ..Script::default()
        };
        let mut chat = Self {
            packets: Vec::new(),
            keys: Vec::new(),
        };
        for seen in Memory::new(&Config::default(), &script).unwrap() {
            match seen.unwrap() {
                Seen::Packet(packet) => chat.packets.push(packet),
                Seen::Key { line, .. } => chat.keys.push(line),
                Seen::Chat { .. } | Seen::Kernel { .. } | Seen::Released { .. } => {}
            }
        }
        chat
    }

    fn session(&self) -> Session {
        let mut session = Session::new();
        for line in &self.keys {
            session.keylog_line(line).unwrap();
        }
        session
    }

    fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        (1..)
            .zip(&self.packets)
            .map(|(number, packet)| frame(number, packet.sent, &packet.bytes))
    }

    /// The place of the last packet with a chat message.
    fn last_said(&self) -> usize {
        let mut session = self.session();
        let says = |event: Event<'_>| event.layers.iter().any(|layer| layer.def.key == "chat");
        let said: Vec<bool> = self
            .frames()
            .map(|frame| says(session.push(frame)))
            .collect();
        said.iter().rposition(|said| *said).unwrap()
    }
}
