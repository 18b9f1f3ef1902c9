//! Makes large captures to measure with, from the memory wire: the same every time, nothing to download.
//!
//! ```text
//! cargo run --release --example make_capture -- chat 1000 500000 /tmp/chat.pcapng /tmp/chat.keys
//! cargo run --release --example make_capture -- bulk 4 500 /tmp/bulk.pcapng /tmp/bulk.keys
//! ```
//!
//! `chat CONNECTIONS PACKETS`: so many TLS chats at once, until there are so many packets. `bulk CONNECTIONS MEGABYTES`: so
//! many downloads over TLS (to port 443, where nobody takes them for a chat). `syn CONNECTIONS`: so many that say nothing.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a tool of the benches may fail by panicking"
)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use layerwise::file::{WriteOptions, Writer};
use layerwise::packet::{Frame, LinkType, Time};
use layerwise::wire::memory::{Config, EPOCH, Memory};
use layerwise::wire::{Script, Seen};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| -> u64 {
        let text = arguments.get(at).map_or("", String::as_str);
        text.parse()
            .expect("a number, as the first lines of this file say")
    };
    let path = |at: usize| arguments.get(at).expect("a file name").clone();
    match arguments.first().map(String::as_str) {
        Some("chat") => {
            let (connections, packets) = (number(1), number(2));
            // A message is two packets: itself and its answer.
            let each = packets.div_ceil(connections).saturating_sub(12) / 2 + 1;
            let text = |n: u64| {
                format!(
                    "{n:06} {}",
                    "what one says in a chat, again and again; ".repeat(3)
                )
            };
            let script = Script {
                messages: (0..each).map(text).collect(),
                reply:
                    "an answer that is about as long as what was said before, but a little shorter"
                        .repeat(2),
            };
            many(
                connections,
                packets,
                &script,
                false,
                &path(3),
                Some(&path(4)),
            );
        }
        Some("bulk") => {
            let (connections, megabytes) = (number(1), number(2));
            let messages = megabytes.div_ceil(connections);
            let script = Script {
                messages: (0..messages)
                    .map(|_| "0123456789abcdef".repeat(62_500))
                    .collect(),
                reply: "ok".to_owned(),
            };
            many(
                connections,
                u64::MAX,
                &script,
                true,
                &path(3),
                Some(&path(4)),
            );
        }
        Some("syn") => syns(number(1), &path(2)),
        _ => panic!("chat, bulk or syn: see the first lines of this file"),
    }
}

/// Many chats at once, merged by time, each with its own client address.
fn many(
    connections: u64,
    packets: u64,
    script: &Script,
    https: bool,
    to: &str,
    keys: Option<&str>,
) {
    let mut file = create(to);
    let wire = file
        .interface("memory", LinkType::RAW)
        .expect("it can be written");
    let mut keys =
        keys.map(|path| BufWriter::new(File::create(path).expect("the key log can be made")));
    // Each connection begins a little later than the one before it, and takes its time with what it says.
    let mut wires: Vec<Memory> = (0..connections)
        .map(|seed| {
            let config = Config {
                seed,
                latency: std::time::Duration::from_micros(if https {
                    200
                } else {
                    5000 + seed % 997
                }),
                max_packets: u64::MAX,
                ..Config::default()
            };
            Memory::new(&config, script).expect("the wire can be set up")
        })
        .collect();
    let mut heap = BinaryHeap::new();
    for index in 0..wires.len() {
        advance(&mut wires, index, &mut keys, &mut heap);
    }
    let (mut number, mut last) = (0, Time(0));
    while let Some(Reverse((time, index, mut bytes))) = heap.pop() {
        number += 1;
        assert!(Time(time) >= last, "in the order of time");
        last = Time(time);
        readdress(&mut bytes, index as u32, https);
        let frame = Frame {
            number,
            time: last,
            link: LinkType::RAW,
            wire_len: bytes.len() as u32,
            data: &bytes,
        };
        file.packet(wire, &frame, []).expect("it can be written");
        if number == packets {
            break;
        }
        advance(&mut wires, index, &mut keys, &mut heap);
    }
    file.flush().expect("it can be written");
    println!("{number} packets");
}

type Queue = BinaryHeap<Reverse<(u64, usize, Vec<u8>)>>;

/// The next packet of one wire goes into the queue, its keys into the key log.
fn advance(
    wires: &mut [Memory],
    index: usize,
    keys: &mut Option<BufWriter<File>>,
    heap: &mut Queue,
) {
    for seen in wires[index].by_ref() {
        match seen.expect("the wire works") {
            Seen::Key { line, .. } => {
                if let Some(keys) = keys {
                    writeln!(keys, "{line}").expect("the key log can be written");
                }
            }
            Seen::Packet(packet) => {
                let time = packet.sent.0 + index as u64 * 1000;
                heap.push(Reverse((time, index, packet.bytes)));
                return;
            }
            Seen::Chat { .. } | Seen::Kernel { .. } | Seen::Released { .. } => {}
        }
    }
}

/// Gives the client an address of its own (and the server port 443), with checksums that are right again (RFC 1624).
fn readdress(packet: &mut [u8], index: u32, https: bool) {
    let client = [10, (index >> 16) as u8, (index >> 8) as u8, index as u8];
    let at = if packet[12..16] == [1, 2, 3, 4] {
        12
    } else {
        16
    };
    change(packet, at, client[0], client[1], &[10, 36]);
    change(packet, at + 2, client[2], client[3], &[10, 36]);
    if https {
        let at = if at == 12 { 22 } else { 20 };
        change(packet, at, 1, 187, &[36]);
    }
}

/// Changes a 16-bit word that these checksums cover.
fn change(packet: &mut [u8], at: usize, high: u8, low: u8, checksums: &[usize]) {
    let old = u16::from_be_bytes([packet[at], packet[at + 1]]);
    let new = u16::from_be_bytes([high, low]);
    for sum in checksums {
        let before = u16::from_be_bytes([packet[*sum], packet[sum + 1]]);
        let mut folded = u32::from(!before) + u32::from(!old) + u32::from(new);
        folded = (folded & 0xffff) + (folded >> 16);
        folded = (folded & 0xffff) + (folded >> 16);
        packet[*sum..sum + 2].copy_from_slice(&(!(folded as u16)).to_be_bytes());
    }
    packet[at..at + 2].copy_from_slice(&new.to_be_bytes());
}

/// Connections that are asked for and never answered: what a scan looks like.
fn syns(connections: u64, to: &str) {
    let mut file = create(to);
    let wire = file
        .interface("scan", LinkType::RAW)
        .expect("it can be written");
    let mut bytes = Vec::new();
    for n in 0..connections {
        let [a, b, c, d] = (n as u32).to_be_bytes();
        bytes.clear();
        etherparse::PacketBuilder::ipv4([10, b, c, d], [5, 6, 7, 8 + a], 64)
            .tcp(40_000, 443, n as u32, 65_535)
            .syn()
            .write(&mut bytes, &[])
            .expect("it fits");
        let frame = Frame {
            number: n + 1,
            time: Time(EPOCH.0 + n * 1000),
            link: LinkType::RAW,
            wire_len: bytes.len() as u32,
            data: &bytes,
        };
        file.packet(wire, &frame, []).expect("it can be written");
    }
    file.flush().expect("it can be written");
    println!("{connections} packets");
}

fn create(path: &str) -> Writer<'static> {
    let options = WriteOptions {
        force: true,
        ..WriteOptions::default()
    };
    Writer::create(Path::new(path), options).expect("the file can be made")
}
