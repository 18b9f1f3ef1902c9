//! Capture files: what is read, what is written, and what becomes of damaged ones. Compared with tshark, capinfos and
//! tcpdump, as a person would use them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use std::fs;
use std::io::{BufRead, BufReader, Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use layerwise::file::{FileError, Item, Problem, Reader, Writer};
use layerwise::packet::{Frame, LinkType, Time};
use layerwise::session::Session;
use proptest::prelude::*;

// ── Files made by hand, in either byte order ────────────────────────────────────────────────────────────────────────────

#[derive(Debug, Clone, Copy, PartialEq)]
enum Order {
    Little,
    Big,
}

/// A file that grows.
#[derive(Debug, Clone)]
struct Bytes {
    order: Order,
    bytes: Vec<u8>,
}

impl Bytes {
    fn new(order: Order) -> Self {
        Self {
            order,
            bytes: Vec::new(),
        }
    }

    fn u16(mut self, n: u16) -> Self {
        self.bytes.extend(match self.order {
            Order::Little => n.to_le_bytes(),
            Order::Big => n.to_be_bytes(),
        });
        self
    }

    fn u32(mut self, n: u32) -> Self {
        self.bytes.extend(match self.order {
            Order::Little => n.to_le_bytes(),
            Order::Big => n.to_be_bytes(),
        });
        self
    }

    fn u64(mut self, n: u64) -> Self {
        self.bytes.extend(match self.order {
            Order::Little => n.to_le_bytes(),
            Order::Big => n.to_be_bytes(),
        });
        self
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend(bytes);
        self
    }

    fn pad(mut self) -> Self {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    /// An option of a block.
    fn option(self, code: u16, value: &[u8]) -> Self {
        self.u16(code).u16(value.len() as u16).raw(value).pad()
    }

    /// A block with what `body` puts into it.
    fn block(self, kind: u32, body: impl FnOnce(Self) -> Self) -> Self {
        let inner = body(Self::new(self.order)).bytes;
        let len = inner.len() as u32 + 12;
        self.u32(kind).u32(len).raw(&inner).u32(len)
    }

    fn section(self) -> Self {
        self.block(0x0a0d_0d0a, |b| {
            b.u32(0x1a2b_3c4d).u16(1).u16(0).u64(u64::MAX)
        })
    }

    fn interface(self, link: u16, options: impl FnOnce(Self) -> Self) -> Self {
        self.block(1, |b| options(b.u16(link).u16(0).u32(0)))
    }

    fn packet(self, interface: u32, ticks: u64, data: &[u8]) -> Self {
        self.block(6, |b| {
            b.u32(interface)
                .u32((ticks >> 32) as u32)
                .u32(ticks as u32)
                .u32(data.len() as u32)
                .u32(data.len() as u32)
                .raw(data)
                .pad()
        })
    }
}

/// An IPv4 packet of 20 bytes and nothing in it, told apart by its identification.
fn packet(id: u8) -> Vec<u8> {
    let mut packet = vec![
        0x45, 0, 0, 20, 0, id, 0, 0, 64, 253, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8,
    ];
    let sum: u32 = packet
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet
}

fn pcap(order: Order, magic: u32, extra: usize, packets: &[(u32, u32)]) -> Vec<u8> {
    let mut file = Bytes::new(order)
        .u32(magic)
        .u16(2)
        .u16(4)
        .u64(0)
        .u32(65_535)
        .u32(101);
    for (id, (seconds, fraction)) in packets.iter().enumerate() {
        let data = packet(id as u8);
        file = file
            .u32(*seconds)
            .u32(*fraction)
            .u32(20)
            .u32(20)
            .raw(&vec![0; extra])
            .raw(&data);
    }
    file.bytes
}

/// A packet: its time, link type, bytes, interface, comments.
type Stored = (u64, u16, Vec<u8>, String, Vec<String>);

/// What there is in a file.
#[derive(Debug, Default, PartialEq)]
struct Found {
    /// Of each packet: time, link, bytes, interface, comments.
    packets: Vec<Stored>,
    secrets: Vec<String>,
    comments: Vec<String>,
    names: Vec<String>,
    lost: u64,
    error: Option<String>,
    /// Where the error is.
    offset: u64,
}

fn read(file: &[u8]) -> Found {
    read_in(file, usize::MAX)
}

/// The same, when so many bytes come at once.
fn read_in(file: &[u8], step: usize) -> Found {
    let mut found = Found::default();
    let input = Steps(Cursor::new(file.to_vec()), step);
    let mut reader = match Reader::new("file", input) {
        Ok(reader) => reader,
        Err(error) => {
            found.error = Some(error.to_string());
            return found;
        }
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut waits = 0;
    loop {
        match reader.next() {
            Ok(Some(Item::Packet(packet))) => {
                assert!(packet.frame.data.len() <= packet.frame.wire_len as usize);
                assert_eq!(packet.frame.number as usize, found.packets.len() + 1);
                found.packets.push((
                    packet.frame.time.0,
                    packet.frame.link.0,
                    packet.frame.data.to_vec(),
                    packet.interface.name.clone(),
                    packet.comments.map(text).collect(),
                ));
            }
            Ok(Some(Item::Secret(line))) => found.secrets.push(line.to_owned()),
            Ok(Some(Item::Comments(comments))) => found.comments.extend(comments.map(text)),
            Ok(Some(Item::Wait)) => {
                waits += 1;
                assert!(waits <= 2 * file.len() + 10, "it goes forward");
            }
            Ok(None) => break,
            Err(error) => {
                found.offset = error.offset;
                found.error = Some(error.to_string());
                assert!(
                    matches!(reader.next(), Ok(None)),
                    "nothing comes after an error"
                );
                break;
            }
        }
    }
    found.names = reader
        .names()
        .iter()
        .map(|(address, name)| format!("{address} {name}"))
        .collect();
    found.lost = reader.lost();
    found
}

/// Gives at most so many bytes at once.
struct Steps(Cursor<Vec<u8>>, usize);

impl Read for Steps {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let len = buf.len().min(self.1);
        self.0.read(&mut buf[..len])
    }
}

const SECOND: u64 = 1_000_000_000;

#[test]
fn pcap_of_every_kind_is_the_same_capture() {
    let micro = [(1_700_000_000, 5), (1_700_000_001, 999_999)];
    let nano = [(1_700_000_000, 5_000), (1_700_000_001, 999_999_000)];
    let want = [
        1_700_000_000 * SECOND + 5_000,
        1_700_000_001 * SECOND + 999_999_000,
    ];
    for order in [Order::Little, Order::Big] {
        for (magic, extra, packets) in [
            (0xa1b2_c3d4, 0, micro),
            (0xa1b2_3c4d, 0, nano),
            (0xa1b2_cd34, 8, micro),
        ] {
            let found = read(&pcap(order, magic, extra, &packets));
            assert_eq!(found.error, None, "{order:?} {magic:x}");
            let times: Vec<u64> = found.packets.iter().map(|p| p.0).collect();
            assert_eq!(times, want, "{order:?} {magic:x}");
            assert_eq!(found.packets[1].2, packet(1));
            assert_eq!(found.packets[1].1, 101);
        }
    }
}

#[test]
fn old_pcaps_have_their_lengths_the_other_way_round() {
    let mut file = pcap(Order::Little, 0xa1b2_c3d4, 0, &[(1, 2)]);
    file[6] = 2; // version 2.2
    file[32..36].copy_from_slice(&90_u32.to_le_bytes()); // its first length is that on the wire
    let mut reader = Reader::new("file", Cursor::new(file)).unwrap();
    let Some(Item::Packet(packet)) = reader.next().unwrap() else {
        panic!("a packet");
    };
    assert_eq!((packet.frame.data.len(), packet.frame.wire_len), (20, 90));
}

/// Every kind of block, in both byte orders, with comments, names, secrets and times of all sorts.
fn every_block(order: Order) -> Bytes {
    Bytes::new(order)
        .block(0x0a0d_0d0a, |b| {
            b.u32(0x1a2b_3c4d)
                .u16(1)
                .u16(0)
                .u64(u64::MAX)
                .option(1, b"about all of it")
                .u32(0)
        })
        .block(0x0bad_cafe, |b| b.raw(&[7; 400_000]))
        .interface(101, |b| b.option(2, b"eth0").option(9, &[9]))
        .interface(101, |b| b.option(2, b"old").option(1, b"about old"))
        .interface(101, |b| b.option(9, &[0x94])) // 2^-20 seconds
        .interface(101, |b| b.option(9, &[3]).option(14, b"\0").u32(0))
        .block(1, |b| {
            let b = b.u16(101).u16(0).u32(12);
            let offset = Bytes::new(b.order).u64(1000).bytes;
            b.option(9, &[12]).option(14, &offset)
        })
        .block(0x0000_0bad, |b| b.u32(32473).raw(b"custom!!"))
        .block(10, |b| b.u32(0x5353_484b).u32(5).raw(b"ssh k").pad())
        .block(10, |b| {
            let log = b"CLIENT_RANDOM 00 11\nCLIENT_RANDOM 22 33";
            b.u32(0x544c_534b).u32(log.len() as u32).raw(log).pad()
        })
        .packet(0, 5 * SECOND + 1, &packet(0))
        .packet(1, 5_000_001, &packet(1))
        .packet(2, (5 << 20) + (1 << 19), &packet(2))
        .packet(3, 5_001, &packet(3))
        .packet(4, 5_000_000_001_999, &packet(4))
        .block(2, |b| {
            b.u16(1)
                .u16(0)
                .u32(0)
                .u32(6_000_000)
                .u32(20)
                .u32(60)
                .raw(&packet(5))
                .option(1, b"an old kind of packet")
                .option(0x4bc, b"???")
        })
        .block(4, |b| {
            b.u16(1).u16(12).raw(&[5, 6, 7, 8]).raw(b"b.examp\0").u32(0)
        })
        .block(5, |b| {
            let drops = Bytes::new(b.order).u64(3).bytes;
            b.u32(0).u64(0).option(5, &drops)
        })
        .block(6, |b| {
            b.u32(0)
                .u64(0)
                .u32(20)
                .u32(20)
                .raw(&packet(6))
                .option(2, &[0; 4])
                .option(1, "grüße".as_bytes())
                .option(1, b"a second one")
                .u32(0)
        })
        .section()
        .interface(101, |b| b.option(2, b"again"))
        .block(3, |b| b.u32(20).raw(&packet(7)))
}

#[test]
fn every_block_of_pcapng_in_both_orders_and_any_number_of_bytes_at_once() {
    let mut file = every_block(Order::Little).bytes;
    let sections = every_block(Order::Big).bytes;
    let (little, big) = (read(&file), read(&sections));
    assert_eq!(little, big);
    assert_eq!(little.error, None);
    let times: Vec<u64> = little.packets.iter().map(|p| p.0).collect();
    assert_eq!(
        times,
        [
            5 * SECOND + 1,
            5 * SECOND + 1_000,
            5 * SECOND + SECOND / 2,
            5 * SECOND + 1_000_000,
            1005 * SECOND + 1,
            6 * SECOND,
            0,
            0,
        ]
    );
    let ids: Vec<u8> = little.packets.iter().map(|p| p.2[5]).collect();
    assert_eq!(ids, [0, 1, 2, 3, 4, 5, 6, 7]);
    let on: Vec<&str> = little.packets.iter().map(|p| p.3.as_str()).collect();
    assert_eq!(on, ["eth0", "old", "", "", "", "old", "eth0", "again"]);
    assert_eq!(little.packets[5].4, ["an old kind of packet"]);
    assert_eq!(little.packets[6].4, ["grüße", "a second one"]);
    assert_eq!(
        little.secrets,
        ["CLIENT_RANDOM 00 11", "CLIENT_RANDOM 22 33"]
    );
    assert_eq!(little.comments, ["about all of it", "about old"]);
    assert_eq!(little.names, ["5.6.7.8 b.examp"]);
    assert_eq!(little.lost, 3);

    for step in [1, 3, 7, 64, 4096] {
        assert_eq!(read_in(&file, step), little, "{step} bytes at once");
    }
    // One section after the other, in different orders.
    file.extend(&sections);
    let both = read(&file);
    assert_eq!((both.error, both.packets.len(), both.lost), (None, 16, 6));
}

#[test]
fn tshark_sees_the_same_times_and_bytes() {
    for order in [Order::Little, Order::Big] {
        let file = every_block(order).bytes;
        let found = read(&file);
        let path = Temp::with("every.pcapng", &file);
        let fields = tshark(
            &path.0,
            &[
                // A custom block is a record of its own to tshark.
                "-Y",
                "ip",
                "-T",
                "fields",
                "-e",
                "frame.time_epoch",
                "-e",
                "ip.id",
                "-e",
                "frame.comment",
            ],
        );
        let lines: Vec<Vec<&str>> = fields
            .lines()
            .map(|line| line.split('\t').collect())
            .collect();
        assert_eq!(lines.len(), found.packets.len());
        for (line, packet) in lines.iter().zip(&found.packets) {
            // A simple packet block has no time, and tshark gives none.
            if !line[0].is_empty() {
                let (seconds, rest) = line[0].split_once('.').unwrap();
                let time = seconds.parse::<u64>().unwrap() * SECOND + rest.parse::<u64>().unwrap();
                assert_eq!(time, packet.0, "{line:?}");
            }
            assert_eq!(line[1], format!("0x{:04x}", packet.2[5]));
            assert_eq!(line[2], packet.4.join(","));
        }
    }
}

// ── Hostile files ───────────────────────────────────────────────────────────────────────────────────────────────────────

/// A file, damaged in some way, and what is to be said of it, after how many packets.
fn damaged() -> Vec<(&'static str, Vec<u8>, usize, &'static str)> {
    let little = Order::Little;
    let pcap = |packets| pcap(little, 0xa1b2_c3d4, 0, packets);
    let two = pcap(&[(1, 0), (2, 0)]);
    let set = |at: usize, n: u32| {
        let mut file = two.clone();
        file[at..at + 4].copy_from_slice(&n.to_le_bytes());
        file
    };
    let ng = || {
        Bytes::new(little)
            .section()
            .interface(101, |b| b)
            .packet(0, 1, &packet(0))
    };
    // A block that begins behind all that, and lies about its length.
    let lying = |kind: u32, len: u32, body: &[u8]| ng().u32(kind).u32(len).raw(body).bytes;
    vec![
        (
            "cut in a record header",
            two[..70].to_vec(),
            1,
            "file: byte 60: record header: needs 16 bytes, 10 are there: the file is cut off",
        ),
        (
            "cut in a packet",
            two[..80].to_vec(),
            1,
            "file: byte 60: packet record: needs 36 bytes, 20 are there: the file is cut off",
        ),
        (
            "cut in the file header",
            two[..20].to_vec(),
            0,
            "file: byte 0: pcap file header: needs 24 bytes, 20 are there: the file is cut off",
        ),
        (
            "an absurd length",
            set(68, 0x7fff_ffff),
            1,
            "file: byte 60: packet record: says it has 2147483647 bytes, but at most 262144 can be",
        ),
        (
            "a version from the future",
            set(4, 9),
            0,
            "file: byte 0: pcap file header: version 9.0 is not known here",
        ),
        (
            "a block header cut off",
            ng().raw(&[6, 0, 0]).bytes,
            1,
            "file: byte 100: block header: needs 12 bytes, 3 are there: the file is cut off",
        ),
        (
            "a block cut off",
            lying(6, 60, &[0; 30]),
            1,
            "file: byte 100: enhanced packet block: needs 60 bytes, 38 are there: the file is cut off",
        ),
        (
            "an unknown block cut off",
            lying(77, 60_000, &[0; 30]),
            1,
            "file: byte 100: block of an unknown kind: needs 60000 bytes, 38 are there: the file is cut off",
        ),
        (
            "a block of no length",
            lying(6, 0, &[0; 30]),
            1,
            "file: byte 100: enhanced packet block: says it has 0 bytes, but it has at least 32, and a multiple of 4",
        ),
        (
            "an unknown block of no length",
            lying(77, 0, &[0; 30]),
            1,
            "says it has 0 bytes, but it has at least 12",
        ),
        (
            "a length that is no multiple of 4",
            lying(6, 61, &[0; 60]),
            1,
            "says it has 61 bytes",
        ),
        (
            "a block larger than any",
            lying(6, 0xffff_fff0, &[0; 60]),
            1,
            "says it has 4294967280 bytes, but at most 4194304 can be",
        ),
        (
            "lengths that differ",
            ng().u32(6).u32(36).raw(&[0; 24]).u32(40).bytes,
            1,
            "says 36 bytes at its beginning and 40 at its end",
        ),
        (
            "an unknown block whose lengths differ",
            ng().u32(99).u32(16).raw(&[0; 4]).u32(20).bytes,
            1,
            "says 16 bytes at its beginning and 20 at its end",
        ),
        (
            "a packet longer than its block",
            ng().block(6, |b| b.u32(0).u64(0).u32(21).u32(21).raw(&[0; 20]))
                .bytes,
            1,
            "captured length in a packet block: says it has 21 bytes, but at most 20 can be",
        ),
        (
            "a packet of no interface",
            ng().packet(1, 0, &packet(0)).bytes,
            1,
            "enhanced packet block: names number 1, but there are 1 (from 0 on)",
        ),
        (
            "a simple packet longer than its block",
            ng().block(3, |b| b.u32(100).raw(&[0; 20])).bytes,
            1,
            "length in a simple packet block: says it has 100 bytes, but at most 20 can be",
        ),
        (
            "a packet before any interface",
            Bytes::new(little).section().packet(0, 1, &packet(0)).bytes,
            0,
            "names number 0, but there are 0",
        ),
        (
            "an option beyond its block",
            ng().block(6, |b| {
                b.u32(0)
                    .u64(0)
                    .u32(4)
                    .u32(4)
                    .raw(&[0; 4])
                    .u16(1)
                    .u16(9)
                    .raw(&[0; 4])
            })
            .bytes,
            2,
            "file: byte 100: options of a packet block: ",
        ),
        (
            "an interface's option beyond its block, and more behind it",
            ng().interface(101, |b| b.u16(2).u16(9).raw(&[0; 4]))
                .packet(1, 0, &packet(0))
                .bytes,
            1,
            "file: byte 100: options of an interface: ",
        ),
        (
            "secrets beyond their block",
            ng().block(10, |b| b.u32(0x544c_534b).u32(9).raw(&[0; 8]))
                .bytes,
            1,
            "secrets in a secrets block: says it has 9 bytes, but at most 8 can be",
        ),
        (
            "a secret without end",
            ng().block(10, |b| {
                b.u32(0x544c_534b).u32(100_000).raw(&[b'x'; 100_000])
            })
            .bytes,
            1,
            "line in a secrets block",
        ),
        (
            "secrets cut off",
            ng().u32(10)
                .u32(1000)
                .u32(0x544c_534b)
                .u32(980)
                .raw(b"CLIENT")
                .bytes,
            1,
            "file: byte 100: secrets block: needs 1000 bytes, 22 are there",
        ),
        (
            "a section of no byte order",
            ng().u32(0x0a0d_0d0a).u32(28).raw(&[1; 20]).bytes,
            1,
            "section header block: has [01, 01, 01, 01] where the byte order must stand",
        ),
        (
            "a section from the future",
            ng().block(0x0a0d_0d0a, |b| b.u32(0x1a2b_3c4d).u16(2).u16(0).u64(0))
                .bytes,
            1,
            "section header block: version 2.0 is not known here",
        ),
        (
            "nothing",
            vec![],
            0,
            "file is empty: there is no capture in it",
        ),
        (
            "something else",
            b"#!/bin/sh\n".to_vec(),
            0,
            "file is no capture file: it begins with [23, 21, 2f, 62]; known are pcap and pcapng, plain or packed with gzip or zstd",
        ),
        (
            "a capture of another kind",
            b"snoop\0\0\0".to_vec(),
            0,
            "file is a Sun snoop capture, which is not read here: convert it with editcap -F pcapng file file.pcapng",
        ),
        (
            "bytes of gzip alone",
            b"\x1f\x8b\x08\0\0\0".to_vec(),
            0,
            "cannot be unpacked",
        ),
    ]
}

#[test]
fn damage_is_named_where_it_is_and_what_was_readable_is_there() {
    for (what, file, packets, error) in damaged() {
        let found = read(&file);
        let said = found.error.unwrap_or_default();
        assert!(said.contains(error), "{what}: {said}");
        assert_eq!(found.packets.len(), packets, "{what}: {said}");
        for step in [1, 5, 4096] {
            assert_eq!(
                read_in(&file, step).error.unwrap(),
                said,
                "{what}: {step} bytes at once"
            );
        }
    }
}

#[test]
fn the_program_shows_what_is_readable_and_then_says_what_is_wrong() {
    for (what, file, packets, error) in damaged() {
        let path = Temp::with("damaged.cap", &file);
        let output = run(&["read", path.text()]);
        let said = String::from_utf8(output.stderr).unwrap();
        let error = match error.strip_prefix("file") {
            Some(rest) => format!("{}{rest}", path.text()),
            None => error.to_owned(),
        };
        let error = error.replace("file file", &format!("{0} {0}", path.text()));
        assert!(
            said.starts_with("layerwise: ") && said.contains(&error),
            "{what}: {said}"
        );
        assert_eq!(said.matches('\n').count(), 1, "one line: {said:?}");
        let lines = output.stdout.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(lines, packets, "{what}");
        let nothing = error.contains(" is ") && packets == 0 && !error.contains("byte");
        assert_eq!(
            output.status.code(),
            Some(if nothing { 2 } else { 1 }),
            "{what}: {said}"
        );
    }
    let missing = run(&["read", "/nowhere/at/all.pcap"]);
    assert_eq!(missing.status.code(), Some(2));
    assert_eq!(
        String::from_utf8(missing.stderr).unwrap(),
        "layerwise: cannot open /nowhere/at/all.pcap: there is no such file\n"
    );
}

#[test]
fn a_file_cut_off_anywhere_gives_the_packets_before_the_cut() {
    for file in [
        every_block(Order::Big).bytes,
        pcap(Order::Big, 0xa1b2_3c4d, 0, &[(1, 2), (3, 4), (5, 6)]),
    ] {
        let whole = read(&file).packets;
        let mut last = 0;
        let cuts = (0..file.len()).filter(|at| !(200..400_000).contains(at));
        for at in cuts {
            let found = read(&file[..at]);
            assert_eq!(found.packets, whole[..found.packets.len()], "cut at {at}");
            assert!(found.packets.len() >= last, "cut at {at}");
            assert!(found.offset <= at as u64, "cut at {at}: {}", found.offset);
            last = found.packets.len();
        }
        assert_eq!(last, whole.len() - 1);
    }
}

/// What a session must bear, and a reader.
fn survive(file: &[u8]) {
    let mut session = Session::new();
    let Ok(mut reader) = Reader::new("file", Cursor::new(file.to_vec())) else {
        return;
    };
    loop {
        match reader.next() {
            Ok(Some(Item::Packet(packet))) => {
                session.push(packet.frame);
                packet.comments.for_each(drop);
            }
            Ok(Some(Item::Secret(line))) => drop(session.keylog_line(line)),
            Ok(Some(Item::Comments(comments))) => comments.for_each(drop),
            Ok(Some(Item::Wait)) => {}
            Ok(None) => return,
            Err(error) => {
                assert!(!error.to_string().contains('\n'));
                assert!(error.offset <= file.len() as u64 || error.packing.is_some());
                return;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_damage_is_too_much(
        order in prop_oneof![Just(Order::Little), Just(Order::Big)],
        classic: bool,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in any::<prop::sample::Index>(),
        cuts: bool,
    ) {
        let mut file = match classic {
            true => pcap(order, 0xa1b2_c3d4, 0, &[(1, 2), (3, 4), (5, 6)]),
            false => {
                // Without the long unknown block, or nothing else would ever be hit.
                let mut file = every_block(order).bytes;
                file.drain(44..44 + 400_012);
                file
            }
        };
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if cuts {
            file.truncate(cut.index(file.len()));
        }
        survive(&file);
        let once = read(&file);
        prop_assert_eq!(once, read_in(&file, 13));
    }

    #[test]
    fn any_bytes_are_no_reason_to_panic(start in 0..8_usize, bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let magics: [&[u8]; 8] = [
            &[], &[0xd4, 0xc3, 0xb2, 0xa1], &[0xa1, 0xb2, 0x3c, 0x4d], &[0x0a, 0x0d, 0x0d, 0x0a],
            &[0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a], &[0x1f, 0x8b, 8], &[0x28, 0xb5, 0x2f, 0xfd],
            &[0xa1, 0xb2, 0xcd, 0x34],
        ];
        survive(&[magics[start], &bytes].concat());
    }

    #[test]
    fn what_is_written_is_read_again(
        packets in prop::collection::vec((any::<u64>(), prop::collection::vec(any::<u8>(), 0..80), any::<u16>(), any::<bool>(), "[^\0]{0,40}"), 0..20),
    ) {
        let mut file = Vec::new();
        let mut writer = Writer::new("file", Box::new(&mut file)).unwrap();
        for (number, (time, data, link, named, comment)) in packets.iter().enumerate() {
            let interface = writer.interface(if *named { "eth0" } else { "" }, LinkType(*link)).unwrap();
            let frame = Frame {
                number: number as u64 + 1, time: Time(*time), link: LinkType(*link), data, wire_len: data.len() as u32 + 3,
            };
            writer.packet(interface, &frame, [comment.as_bytes()]).unwrap();
        }
        writer.flush().unwrap();
        drop(writer);
        let found = read(&file);
        prop_assert_eq!(found.error, None);
        let plain = |link: u16| if matches!(link, 12 | 14) { 101 } else { link };
        let wanted: Vec<_> = packets.into_iter().map(|(time, data, link, named, comment)| {
            (time, plain(link), data, if named { "eth0".to_owned() } else { String::new() }, vec![comment])
        }).collect();
        prop_assert_eq!(found.packets, wanted);
    }
}

// ── The program ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/// A file that goes when the test ends.
struct Temp(PathBuf);

impl Temp {
    /// A name for a file that is not there yet.
    fn named(name: &str) -> Self {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let unique = format!("layerwise-files-{}-{count}-{name}", std::process::id());
        Self(std::env::temp_dir().join(unique))
    }

    fn with(name: &str, bytes: &[u8]) -> Self {
        let temp = Self::named(name);
        fs::write(&temp.0, bytes).unwrap();
        temp
    }

    fn text(&self) -> &str {
        self.0.to_str().unwrap()
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(&self.0).unwrap()
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_layerwise"));
    for variable in ["NO_COLOR", "CLICOLOR_FORCE", "CARGO", "COLUMNS"] {
        command.env_remove(variable);
    }
    command.env("TERM", "xterm-256color").stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    program().args(arguments).output().unwrap()
}

#[track_caller]
fn text(output: Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && error.is_empty(), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a tool says of a file, which it must not complain of.
#[track_caller]
fn tool(command: &mut Command) -> String {
    let output = command
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?} is needed for this test: {error}"));
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    let harmless =
        |line: &str| line.starts_with("Running as user") || line.starts_with("reading from file");
    assert!(
        output.status.success() && complaints.lines().all(harmless),
        "{command:?}: {complaints}"
    );
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn tshark(path: &Path, arguments: &[&str]) -> String {
    tool(
        Command::new("tshark")
            .args(["-n", "-r"])
            .arg(path)
            .args(["-d", "tcp.port==8080,tls"])
            .args(arguments),
    )
}

#[test]
fn what_is_written_is_opened_decrypted_and_shown_by_others() {
    let file = Temp::named("demo.pcapng");
    let shown = text(run(&[
        "demo",
        "how are you?",
        "-w",
        file.text(),
        "--with-secrets",
    ]));
    assert!(
        shown.contains("15 packets, with the TLS secrets"),
        "{shown}"
    );

    let fields = tshark(
        &file.0,
        &[
            "-T",
            "fields",
            "-e",
            "frame.comment",
            "-e",
            "tls.handshake.type",
            "-e",
            "data.data",
        ],
    );
    let lines: Vec<Vec<&str>> = fields
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    assert_eq!(lines.len(), 15);
    // Finished is sealed: whoever sees its type has opened it.
    assert!(lines.iter().any(|line| line[1].ends_with("20")), "{fields}");
    let said = "how are you?\n"
        .bytes()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    assert!(lines.iter().any(|line| line[2] == said), "{fields}");
    assert_eq!(lines[0][0], "A asks to connect");
    assert!(
        lines
            .iter()
            .any(|line| line[0] == "A says \"how are you?\""),
        "{fields}"
    );

    let infos = tool(Command::new("capinfos").arg(&file.0));
    for wanted in [
        "pcapng",
        "Raw IP",
        "nanoseconds (9)",
        "Number of packets:   15",
        "Name = memory",
        "Capture length = 262144",
        "Number of decryption secrets in file: 5",
        "Capture application: layerwise",
        "Capture hardware:",
        "Capture oper-sys:",
    ] {
        assert!(infos.contains(wanted), "{wanted} is not in {infos}");
    }
    assert_eq!(
        tool(Command::new("tcpdump").args(["-nn", "-r"]).arg(&file.0))
            .lines()
            .count(),
        15
    );

    // And by ourselves: the secrets are in the file.
    let read = text(run(&["read", file.text()]));
    assert!(read.contains("1.2.3.4 says \"how are you?\""), "{read}");
}

#[test]
fn secrets_go_only_where_they_are_asked_for_and_nobody_else_may_read_them() {
    use std::os::unix::fs::PermissionsExt;
    let (without, with) = (Temp::named("without.pcapng"), Temp::named("with.pcapng"));
    text(run(&["demo", "-w", without.text()]));
    text(run(&["demo", "-w", with.text(), "--with-secrets"]));
    let has = |temp: &Temp| temp.bytes().windows(7).any(|window| window == b"SECRET ");
    let has_any = |temp: &Temp| {
        temp.bytes()
            .windows(14)
            .any(|window| window == b"TRAFFIC_SECRET")
    };
    assert!(!has(&without) && !has_any(&without) && has_any(&with));
    assert_eq!(
        fs::metadata(&with.0).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let read = text(run(&["read", without.text()]));
    assert!(
        read.contains("without the secret nobody can tell"),
        "{read}"
    );
}

#[test]
fn what_was_read_can_be_written_again() {
    let (first, second, third) = (
        Temp::named("1.pcapng"),
        Temp::named("2.pcapng"),
        Temp::named("3.pcapng"),
    );
    text(run(&[
        "demo",
        "one",
        "two",
        "-w",
        first.text(),
        "--with-secrets",
    ]));
    // Only some of it, with what is needed to open it.
    text(run(&[
        "read",
        first.text(),
        "-c",
        "12",
        "-w",
        second.text(),
        "--with-secrets",
    ]));
    let (a, b) = (read(&first.bytes()), read(&second.bytes()));
    assert_eq!(b.packets.len(), 12);
    for (a, b) in a.packets.iter().zip(&b.packets) {
        assert_eq!((a.0, a.1, &a.2, &a.3), (b.0, b.1, &b.2, &b.3));
    }
    // The names of the hosts were the demonstration's: what they were called is kept, and told again with addresses.
    assert_eq!(
        b.packets[0].4,
        ["A asks to connect", "1.2.3.4 asks to connect"]
    );
    assert_eq!(a.secrets.iter().filter(|line| !line.is_empty()).count(), 5);
    let sorted = |found: &Found| {
        let mut lines = found.secrets.clone();
        lines.retain(|line| line.contains("TRAFFIC"));
        lines.sort();
        lines
    };
    assert!(sorted(&b).iter().all(|line| sorted(&a).contains(line)) && sorted(&b).len() == 4);
    assert!(tshark(&second.0, &["-Y", "data"]).contains("Application Data"));
    // Once more: nothing is said twice.
    text(run(&["read", second.text(), "-w", third.text()]));
    assert_eq!(read(&third.bytes()).packets, b.packets);
}

#[test]
fn pcap_is_written_where_it_is_so_named() {
    let file = Temp::named("demo.pcap");
    let words = text(run(&["demo", "-w", file.text()]));
    let words = words.replace('\n', " ");
    assert!(
        words.contains(", without comments: a pcap has no room"),
        "{words}"
    );
    assert_eq!(file.bytes()[..4], [0x4d, 0x3c, 0xb2, 0xa1]);
    assert_eq!(tshark(&file.0, &[]).lines().count(), 15);
    let other = Temp::named("secrets.pcap");
    let refused = run(&["demo", "-w", other.text(), "--with-secrets"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        String::from_utf8(refused.stderr)
            .unwrap()
            .contains("name it .pcapng")
    );
    assert!(!other.0.exists());
}

#[test]
fn a_file_that_exists_is_kept() {
    let file = Temp::with("mine.pcapng", b"mine");
    let refused = run(&["demo", "-w", file.text()]);
    assert_eq!(refused.status.code(), Some(2));
    assert_eq!(
        String::from_utf8(refused.stderr).unwrap(),
        format!(
            "layerwise: -w: {} exists already: choose another name, or --force to replace it\n",
            file.text()
        )
    );
    assert_eq!(file.bytes(), b"mine");
    text(run(&["demo", "-w", file.text(), "--force"]));
    assert_eq!(read(&file.bytes()).packets.len(), 15);
    // Even onto itself: what is read is still there while it is read.
    text(run(&["read", file.text(), "-w", file.text(), "--force"]));
    assert_eq!(read(&file.bytes()).packets.len(), 15);
    // A file that is no capture leaves nothing behind.
    let (wrong, to) = (
        Temp::with("wrong", b"not a capture"),
        Temp::named("to.pcapng"),
    );
    assert_eq!(
        run(&["read", wrong.text(), "-w", to.text()]).status.code(),
        Some(2)
    );
    assert!(!to.0.exists());
}

#[test]
fn standard_output_holds_the_capture_and_nothing_else() {
    let demo = run(&["demo", "-v", "-w", "-"]);
    assert!(demo.status.success() && demo.stderr.is_empty());
    assert_eq!(read(&demo.stdout).packets.len(), 15);
    let mut child = program()
        .args(["read", "-", "-w", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&demo.stdout).unwrap();
    let again = child.wait_with_output().unwrap();
    assert_eq!(read(&again.stdout).packets.len(), 15);
    assert_eq!(read(&again.stdout).error, None);
}

#[test]
fn packets_appear_while_the_pipe_is_open() {
    for extra in [&[][..], &["-v"], &["-x"]] {
        let mut child = program()
            .args(["read", "-"])
            .args(extra)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut to = child.stdin.take().unwrap();
        let mut from = BufReader::new(child.stdout.take().unwrap());
        let file = pcap(Order::Little, 0xa1b2_c3d4, 0, &[(1, 0), (2, 0), (3, 0)]);
        let mut at = 0;
        for (packet, end) in [60, 96, 132].into_iter().enumerate() {
            to.write_all(&file[at..end]).unwrap();
            to.flush().unwrap();
            at = end;
            // This blocks for ever if the program waits for more before it shows what it has.
            let mut line = String::new();
            let wanted = match extra {
                [] => format!("    {} ", packet + 1),
                _ => format!(" #{} ", packet + 1),
            };
            while !line.contains(&wanted) {
                line.clear();
                assert!(
                    from.read_line(&mut line).unwrap() > 0,
                    "{wanted:?} does not come"
                );
            }
        }
        drop(to);
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn secrets_that_appear_later_open_what_comes_after_them() {
    let capture = run(&["demo", "-w", "-", "--with-secrets"]).stdout;
    let all = read(&capture);
    let bare = run(&["demo", "-w", "-"]).stdout;
    let log = Temp::with("late.keys", b"# nothing yet\n");
    let mut child = program()
        .args(["read", "-", "--keylog", log.text()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut to = child.stdin.take().unwrap();
    let mut from = BufReader::new(child.stdout.take().unwrap());
    // Up to the end of the first packet.
    let first = bare.len() - read_tail(&bare, 14);
    to.write_all(&bare[..first]).unwrap();
    to.flush().unwrap();
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    assert!(line.contains("asks to connect"), "{line}");
    fs::write(
        &log.0,
        format!("# nothing yet\n{}\n", all.secrets.join("\n")),
    )
    .unwrap();
    to.write_all(&bare[first..]).unwrap();
    drop(to);
    let mut rest = String::new();
    from.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("says \"hi\""), "{rest}");
    assert!(child.wait().unwrap().success());
}

/// How many bytes the last `packets` packets of a pcapng take.
fn read_tail(file: &[u8], packets: usize) -> usize {
    let mut at = file.len();
    for _ in 0..packets {
        let len = u32::from_le_bytes(file[at - 4..at].try_into().unwrap());
        at -= len as usize;
    }
    file.len() - at
}

#[test]
fn a_part_is_shown_as_the_whole_would_show_it() {
    let file = Temp::named("part.pcapng");
    text(run(&["demo", "-w", file.text(), "--with-secrets"]));
    let whole = text(run(&["read", file.text()]));
    let lines: Vec<&str> = whole.lines().collect();
    for (arguments, range) in [
        (&["-c", "3"][..], 0..3),
        (&["--from", "8"], 7..15),
        (&["--to", "8"], 0..8),
        (&["--from", "8", "--to", "10"], 7..10),
        (&["--from", "20ms"], 6..15),
        (&["--to", "20ms"], 0..8),
        (&["--from", "20ms", "-c", "2"], 6..8),
        (&["--from", "5", "--to", "0.01s"], 0..0),
    ] {
        let output = run(&[&["read", file.text()][..], arguments].concat());
        if range.is_empty() {
            let words = String::from_utf8_lossy(&output.stderr);
            assert!(
                words.ends_with(": no packet lies between --from and --to.\n"),
                "{words}"
            );
            assert!(output.status.success() && output.stdout.is_empty());
        } else {
            let part = text(output);
            assert_eq!(
                part.lines().collect::<Vec<_>>(),
                lines[range],
                "{arguments:?}"
            );
        }
    }
}

#[test]
fn packed_files_are_unpacked_and_damaged_ones_read_as_far_as_they_go() {
    let plain = Temp::named("plain.pcapng");
    let messages: Vec<String> = (0..400).map(|n| format!("message number {n}")).collect();
    let mut arguments = vec!["demo", "-w", plain.text(), "--with-secrets"];
    arguments.extend(messages.iter().map(String::as_str));
    text(run(&arguments));
    let shown = text(run(&["read", plain.text()]));
    let bytes = plain.bytes();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&bytes[..5000]).unwrap();
    let mut gzip = gzip.finish().unwrap();
    // Two members, as some tools write them.
    let mut second = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    second.write_all(&bytes[5000..]).unwrap();
    gzip.extend(second.finish().unwrap());
    let mut zstd = zstd::encode_all(&bytes[..5000], 3).unwrap();
    zstd.extend(zstd::encode_all(&bytes[5000..], 3).unwrap());
    for (name, packed) in [("gzip", gzip), ("zstd", zstd)] {
        let whole = Temp::with(name, &packed);
        assert!(text(run(&["read", whole.text()])) == shown, "{name}");
        let cut = Temp::with(name, &packed[..packed.len() - packed.len() / 3]);
        let output = run(&["read", cut.text()]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("of what {name} unpacked")), "{said}");
        assert!(
            !output.stdout.is_empty() && shown.as_bytes().starts_with(&output.stdout),
            "{name}"
        );
    }
}

#[test]
fn a_reader_who_goes_away_is_no_failure() {
    let file = Temp::named("long.pcapng");
    let messages: Vec<String> = (0..2000).map(|n| format!("message number {n}")).collect();
    let mut arguments = vec!["demo", "-w", file.text()];
    arguments.extend(messages.iter().map(String::as_str));
    text(run(&arguments));
    for options in [&["-v"][..], &["-w", "-"]] {
        let mut child = program()
            .args(["read", file.text()])
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0; 10];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{options:?} {:?}", output.status);
        assert_eq!(output.stderr, b"", "{options:?}");
    }
}

/// Runs the program where it may use so much address space, in KiB.
fn run_within(kib: u32, arguments: &[&str]) -> Output {
    Command::new("sh")
        .args([
            "-c",
            &format!("ulimit -v {kib}; exec \"$0\" \"$@\""),
            env!("CARGO_BIN_EXE_layerwise"),
        ])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn many_connections_and_bombs_take_no_more_memory_than_they_may() {
    // Connections that are asked for and never answered, more than are followed at once.
    let mut file = Bytes::new(Order::Little).section().interface(101, |b| b);
    for n in 0..150_000_u32 {
        let mut data = Vec::new();
        let [_, b, c, d] = n.to_be_bytes();
        etherparse::PacketBuilder::ipv4([10, b, c, d], [5, 6, 7, 8], 64)
            .tcp(40_000, 443, n, 65_535)
            .syn()
            .write(&mut data, &[])
            .unwrap();
        file = file.packet(0, u64::from(n), &data);
    }
    // A bomb: a gigabyte of an unknown block, and then a packet.
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let head = Bytes::new(Order::Little)
        .section()
        .interface(101, |b| b)
        .u32(99)
        .u32(1 << 30);
    bomb.write_all(&head.bytes).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..1023 {
        bomb.write_all(&zeros).unwrap();
    }
    bomb.write_all(&zeros[12..]).unwrap();
    bomb.write_all(
        &Bytes::new(Order::Little)
            .u32(1 << 30)
            .packet(0, 1, &packet(7))
            .bytes,
    )
    .unwrap();
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 2 << 20);

    let flows = Temp::with("flows.pcapng", &file.bytes);
    let bomb = Temp::with("bomb.pcapng.gz", &bomb);
    for (temp, lines) in [(&flows, 150_000), (&bomb, 1)] {
        let output = run_within(96 << 10, &["read", temp.text()]);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(
            output.stdout.iter().filter(|byte| **byte == b'\n').count(),
            lines
        );
    }
}

#[test]
fn a_link_that_nobody_decodes_is_named_and_shown_as_bytes() {
    let file = Bytes::new(Order::Little)
        .section()
        .interface(147, |b| b.option(2, b"odd0"))
        .packet(0, 0, b"whatever")
        .bytes;
    let path = Temp::with("odd.pcapng", &file);
    let output = run(&["read", path.text(), "-x"]);
    let (shown, said) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert!(shown.contains("77 68 61 74"), "{shown}");
    assert!(
        said.contains("odd0 begin with a private use (link type 147)"),
        "{said}"
    );
    assert!(output.status.success());
}

#[test]
fn an_error_has_its_parts() {
    let file = pcap(Order::Little, 0xa1b2_c3d4, 0, &[(1, 0)]);
    let mut reader = Reader::new("x.pcap", Cursor::new(file[..50].to_vec())).unwrap();
    let error: FileError = loop {
        match reader.next() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it is cut off"),
            Err(error) => break error,
        }
    };
    assert_eq!(
        (error.name.as_str(), error.offset, error.what),
        ("x.pcap", 24, "packet record")
    );
    assert!(matches!(
        error.problem,
        Problem::Short { need: 36, have: 26 }
    ));
    assert!(!error.is_unusable());
}

/// The same frames, as if the server had had another port.
fn moved(file: &[u8], port: u16) -> Vec<u8> {
    let mut moved = file.to_vec();
    // Classic and little-endian: a header of 24 bytes, then 16 before each packet; the ports stand behind 20 bytes of IP.
    let mut at = 24;
    while at < moved.len() {
        let len = u32::from_le_bytes(moved[at + 8..at + 12].try_into().unwrap()) as usize;
        for place in [at + 36, at + 38] {
            if moved[place..place + 2] == 8080_u16.to_be_bytes() {
                moved[place..place + 2].copy_from_slice(&port.to_be_bytes());
                // RFC 1624, section 3: the checksum is changed by as much as the port.
                let sum = at + 16 + 20 + 16;
                let old = u16::from_be_bytes([moved[sum], moved[sum + 1]]);
                let mut new = u32::from(!old) + u32::from(!8080_u16) + u32::from(port);
                while new > 0xffff {
                    new = (new & 0xffff) + (new >> 16);
                }
                moved[sum..sum + 2].copy_from_slice(&(!(new as u16)).to_be_bytes());
            }
        }
        at += 16 + len;
    }
    moved
}

#[test]
fn where_wireshark_has_to_be_told_of_tls_it_is_said() {
    let classic = Temp::named("ports.pcap");
    text(run(&["demo", "-w", classic.text()]));
    for port in [443, 8080, 80, 5555, 8443, 1194, 6010, 9000, 3128, 40_000] {
        let from = Temp::with(&format!("from{port}.pcap"), &moved(&classic.bytes(), port));
        let to = Temp::named(&format!("to{port}.pcapng"));
        let words = text(run(&["read", from.text(), "-w", to.text()]));
        let words = words.replace('\n', " ");
        let told = words.contains(&format!("or tshark -d tcp.port=={port},tls -r "));
        // What it sees by itself.
        let seen = tool(
            Command::new("tshark")
                .args(["-n", "-Y", "tls", "-r"])
                .arg(&to.0),
        );
        assert_eq!(told, seen.lines().count() < 9, "{port}: {words} {seen}");
    }
}

#[test]
fn nothing_that_fits_is_said_to_people_alone() {
    let file = Temp::named("none.pcapng");
    text(run(&["demo", "-w", file.text()]));
    let words = |arguments: &[&str]| {
        let output = run(&[&["read", file.text()][..], arguments].concat());
        assert!(output.status.success() && output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(words(&["-Y", "ip.ttl == 3"]).ends_with(": none of 15 packets fits -Y ip.ttl == 3\n"));
    assert_eq!(words(&["-Y", "ip.ttl == 3", "-T", "json"]), "");
}

#[test]
fn a_key_log_may_lack_its_last_newline_and_be_a_pipe() {
    let file = Temp::named("keys.pcapng");
    text(run(&["demo", "-w", file.text(), "--with-secrets"]));
    let bare = Temp::named("bare.pcapng");
    tool(
        Command::new("editcap")
            .arg("--discard-all-secrets")
            .args([&file.0, &bare.0]),
    );
    let keys = read(&file.bytes()).secrets.join("\n");
    let keys = Temp::with("keys.log", keys.as_bytes());
    let opened = text(run(&[
        "read",
        bare.text(),
        "--keylog",
        keys.text(),
        "-Y",
        "chat",
    ]));
    assert_eq!(opened.lines().count(), 2, "{opened}");
    let script = format!(
        "{} read {} -Y chat --keylog <(cat {})",
        env!("CARGO_BIN_EXE_layerwise"),
        bare.text(),
        keys.text()
    );
    let piped = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8(piped.stdout).unwrap(), opened);
}

#[test]
#[cfg(target_os = "linux")]
fn who_is_asked_to_end_completes_the_file() {
    let (file, copy) = (Temp::named("whole.pcapng"), Temp::named("copy.pcapng"));
    text(run(&["demo", "-w", file.text()]));
    let mut child = program()
        .args(["read", "-", "-w", copy.text()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // The pipe stays open: nobody says that this is all.
    let mut input = child.stdin.take().unwrap();
    input.write_all(&file.bytes()).unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..15 {
        lines.next().unwrap().unwrap();
    }
    let pid = nix::unistd::Pid::from_raw(child.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    assert!(child.wait().unwrap().success());
    let words: Vec<_> = lines.map(Result::unwrap).collect();
    assert!(
        words
            .iter()
            .any(|line| line.starts_with("15 packets are in ")),
        "{words:?}"
    );
    assert_eq!(read(&copy.bytes()).packets.len(), 15);
    drop(input);
}

#[test]
fn inside_tls_the_chat_is_known_by_what_it_says() {
    let (classic, whole) = (Temp::named("chat.pcap"), Temp::named("chat.pcapng"));
    text(run(&["demo", "-w", classic.text()]));
    text(run(&["demo", "-w", whole.text(), "--with-secrets"]));
    let keys = read(&whole.bytes()).secrets.join("\n");
    let keys = Temp::with("chat.log", keys.as_bytes());
    let file = Temp::with("chat5555.pcap", &moved(&classic.bytes(), 5555));
    let said = ["-Y", "chat", "-T", "fields", "-e", "chat.text"];
    let opened = [&["read", file.text(), "--keylog", keys.text()][..], &said].concat();
    assert_eq!(text(run(&opened)), "hi\nhello\n");
    let sealed = [&["read", file.text()][..], &said].concat();
    assert_eq!(text(run(&sealed)), "");
}
