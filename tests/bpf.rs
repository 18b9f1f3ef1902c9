//! Capture filters against tcpdump's: the same words, the same verdict on every packet, whole, cut off or damaged.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use std::process::Command;

use etherparse::{IpFragOffset, PacketBuilder, TcpOptionElement};
use layerwise::bpf::{self, Instruction, Link};

/// A small generator of numbers (xorshift), so that every run asks the same.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }

    fn of<'t>(&mut self, list: &[&'t str]) -> &'t str {
        list[self.below(list.len())]
    }
}

/// Runs a program as the kernel does: a read beyond the packet, or anything odd, refuses it.
fn accepts(program: &[Instruction], packet: &[u8]) -> bool {
    let load = |at: usize, len: usize| -> Option<u32> {
        let bytes = packet.get(at..at.checked_add(len)?)?;
        Some(bytes.iter().fold(0, |n, byte| n << 8 | u32::from(*byte)))
    };
    let (mut a, mut x, mut at) = (0_u32, 0_u32, 0_usize);
    loop {
        let Instruction { code, jt, jf, k } = program[at];
        at += 1;
        let loaded = match code {
            0x20 => load(k as usize, 4),
            0x28 => load(k as usize, 2),
            0x30 => load(k as usize, 1),
            0x40 => load(x as usize + k as usize, 4),
            0x48 => load(x as usize + k as usize, 2),
            0x50 => load(x as usize + k as usize, 1),
            _ => Some(a),
        };
        let Some(loaded) = loaded else {
            return false;
        };
        a = loaded;
        let mut test = |holds: bool| at += usize::from(if holds { jt } else { jf });
        match code {
            0x20 | 0x28 | 0x30 | 0x40 | 0x48 | 0x50 => {}
            0x54 => a &= k,
            0xb1 => match load(k as usize, 1) {
                Some(byte) => x = 4 * (byte & 0xf),
                None => return false,
            },
            0x05 => at += k as usize,
            0x15 => test(a == k),
            0x25 => test(a > k),
            0x35 => test(a >= k),
            0x45 => test(a & k != 0),
            0x06 => return k != 0,
            // What tcpdump's programs use beside ours.
            0x00 => a = k,
            0x01 => x = k,
            0x07 => x = a,
            0x87 => a = x,
            other => panic!("instruction {other:#x} is not known to this test"),
        }
    }
}

fn ours(text: &str, link: Link) -> Vec<Instruction> {
    let filter = bpf::parse(text).unwrap_or_else(|error| panic!("{error}"));
    filter.compile(link).unwrap().0
}

/// What tcpdump makes of the same words, before it optimises: its optimiser leaves out reads, and so changes the verdict on
/// packets that are cut off where such a read would have been.
fn theirs(text: &str, link: Link) -> Vec<Instruction> {
    let link = match link {
        Link::Ethernet => "EN10MB",
        Link::Raw => "RAW",
    };
    let output = Command::new("tcpdump")
        .args(["-O", "-ddd", "-y", link, text])
        .output()
        .unwrap_or_else(|error| panic!("this test needs tcpdump: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tcpdump {text:?}: {errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut program = Vec::new();
    for line in text.lines().skip(1) {
        let numbers: Vec<u32> = line.split(' ').map(|n| n.parse().unwrap()).collect();
        program.push(Instruction {
            code: numbers[0] as u16,
            jt: numbers[1] as u8,
            jf: numbers[2] as u8,
            k: numbers[3],
        });
    }
    program
}

const MAC: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
const V4: [[u8; 4]; 3] = [[10, 1, 2, 3], [192, 168, 7, 9], [1, 2, 3, 4]];

fn v6(last: u8) -> [u8; 16] {
    let mut address = [0; 16];
    address[0] = 0xfd;
    address[15] = last;
    address
}

/// Ethernet frames of every kind that a filter can ask for.
fn frames() -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let ethernet = || PacketBuilder::ethernet2(MAC[0], MAC[1]);
    let payload = [7; 30];
    for (from, to) in [(0, 1), (1, 0), (2, 1), (0, 2)] {
        for (sport, dport) in [(443, 50000), (50000, 443), (53, 53), (8005, 80)] {
            let mut out = Vec::new();
            ethernet()
                .ipv4(V4[from], V4[to], 64)
                .udp(sport, dport)
                .write(&mut out, &payload)
                .unwrap();
            frames.push(out);
            let mut out = Vec::new();
            ethernet()
                .ipv4(V4[from], V4[to], 64)
                .tcp(sport, dport, 1, 1000)
                .options(&[TcpOptionElement::MaximumSegmentSize(1460)])
                .unwrap()
                .write(&mut out, &payload)
                .unwrap();
            frames.push(out);
            let mut out = Vec::new();
            ethernet()
                .ipv6(v6(from as u8), v6(to as u8), 64)
                .tcp(sport, dport, 1, 1000)
                .write(&mut out, &payload)
                .unwrap();
            frames.push(out);
            let mut out = Vec::new();
            ethernet()
                .ipv6(v6(from as u8), v6(to as u8), 64)
                .udp(sport, dport)
                .write(&mut out, &payload)
                .unwrap();
            frames.push(out);
        }
    }
    // A later fragment, an IPv4 header with options, SCTP, an IPv6 fragment header, ICMP of both kinds, ARP, RARP.
    let mut later = frames[0].clone();
    let offset = IpFragOffset::try_new(185).unwrap().value().to_be_bytes();
    later[20..22].copy_from_slice(&offset);
    frames.push(later);
    let mut options = frames[1].clone();
    options[14] = 0x46;
    options.splice(34..34, [1, 1, 1, 0]);
    frames.push(options);
    let mut sctp = frames[0].clone();
    sctp[23] = 132;
    frames.push(sctp);
    let mut fragment = frames[2].clone();
    let next = std::mem::replace(&mut fragment[20], 44);
    fragment.splice(54..54, [next, 0, 0, 1, 0, 0, 0, 9]);
    frames.push(fragment);
    let mut out = Vec::new();
    ethernet()
        .ipv4(V4[0], V4[1], 64)
        .icmpv4_echo_request(1, 2)
        .write(&mut out, &payload)
        .unwrap();
    frames.push(out);
    let mut out = Vec::new();
    ethernet()
        .ipv6(v6(0), v6(1), 64)
        .icmpv6_echo_request(1, 2)
        .write(&mut out, &payload)
        .unwrap();
    frames.push(out);
    for ethertype in [[0x08, 0x06], [0x80, 0x35]] {
        let mut arp = [MAC[1], MAC[0]].concat();
        arp.extend(ethertype);
        arp.extend([0, 1, 8, 0, 6, 4, 0, 1]);
        arp.extend(MAC[0]);
        arp.extend(V4[0]);
        arp.extend([0; 6]);
        arp.extend(V4[1]);
        frames.push(arp);
    }
    frames
}

/// The frames, whole, with bytes changed, and cut off.
fn corpus(link: Link) -> Vec<Vec<u8>> {
    let mut random = Random(0x5eed);
    let mut all = Vec::new();
    for frame in frames() {
        let frame = match link {
            Link::Ethernet => frame,
            Link::Raw => frame[14..].to_vec(),
        };
        for _ in 0..12 {
            let mut changed = frame.clone();
            for _ in 0..=random.below(3) {
                // Most of what decides stands in the first sixty bytes.
                let at = random.below(changed.len().min(60));
                changed[at] = match random.below(3) {
                    0 => changed[at] ^ (1 << random.below(8)),
                    1 => [6, 17, 44, 58, 132, 1, 0x45, 0x60][random.below(8)],
                    _ => random.below(256) as u8,
                };
            }
            if random.below(3) == 0 {
                changed.truncate(random.below(changed.len()));
            }
            all.push(changed);
        }
        all.push(frame);
    }
    all
}

/// Everything of the language by itself.
const PRIMITIVES: &[&str] = &[
    "ip",
    "ip6",
    "arp",
    "tcp",
    "udp",
    "icmp",
    "icmp6",
    "host 10.1.2.3",
    "src host 10.1.2.3",
    "dst host 192.168.7.9",
    "ip host 1.2.3.4",
    "arp host 10.1.2.3",
    "arp src host 10.1.2.3",
    "host fd00::1",
    "src host fd00::1",
    "ip6 dst host fd00::",
    "src 10.1.2.3",
    "dst fd00::1",
    "net 10.0.0.0/8",
    "src net 192.168.0.0/16",
    "dst net 10.1.2.2/31",
    "net 0.0.0.0/0",
    "net fd00::/8",
    "src net fd00::/127",
    "net fd00::/64",
    "port 443",
    "src port 53",
    "dst port 80",
    "tcp port 443",
    "udp src port 443",
    "tcp dst port 50000",
    "portrange 8000-8099",
    "udp portrange 50-60",
    "tcp src portrange 400-500",
    "port 0",
    "portrange 0-65535",
];

fn check(text: &str, link: Link, corpus: &[Vec<u8>]) -> usize {
    let (ours, theirs) = (ours(text, link), theirs(text, link));
    let mut accepted = 0;
    for packet in corpus {
        let verdict = accepts(&ours, packet);
        accepted += usize::from(verdict);
        assert_eq!(
            verdict,
            accepts(&theirs, packet),
            "{text:?} on {link:?} {packet:02x?}\nours:   {ours:?}\ntheirs: {theirs:?}"
        );
    }
    accepted
}

#[test]
fn every_primitive_gives_tcpdumps_verdict() {
    for link in [Link::Ethernet, Link::Raw] {
        let corpus = corpus(link);
        for text in PRIMITIVES {
            if link == Link::Raw && text.starts_with("arp") {
                // tcpdump refuses what can never be; ours is a program that accepts nothing.
                assert!(
                    !corpus.iter().any(|p| accepts(&ours(text, link), p)),
                    "{text}"
                );
                continue;
            }
            let accepted = check(text, link, &corpus);
            assert!(
                accepted > 0 || *text == "port 0",
                "{text:?} was tried on nothing that fits"
            );
        }
    }
}

#[test]
fn combinations_give_tcpdumps_verdict() {
    let mut random = Random(77);
    let corpora = [Link::Ethernet, Link::Raw].map(|link| (link, corpus(link)));
    for _ in 0..120 {
        let mut text = String::new();
        let mut open = 0;
        for term in 0..=random.below(6) {
            if term > 0 {
                text += random.of(&[" and ", " or ", " && ", " || ", " and not ", " or ! "]);
            }
            if random.below(4) == 0 {
                text += "(";
                open += 1;
            }
            text += random.of(PRIMITIVES);
            if open > 0 && random.below(3) == 0 {
                text += ")";
                open -= 1;
            }
        }
        text += &")".repeat(open);
        for (link, corpus) in &corpora {
            if *link == Link::Ethernet || !text.contains("arp") {
                check(&text, *link, corpus);
            }
        }
    }
}

#[test]
fn values_without_words_take_those_before() {
    let corpus = corpus(Link::Ethernet);
    for text in [
        "tcp port 443 or 80",
        "src host 10.1.2.3 or 1.2.3.4 or fd00::1",
        "not port 53 and 443",
        "udp and (port 53 or 443)",
    ] {
        check(text, Link::Ethernet, &corpus);
    }
}

#[test]
fn a_long_filter_jumps_far_and_a_longer_one_is_refused() {
    let corpus = corpus(Link::Ethernet);
    // The last test is more than 255 instructions away from the first.
    let ports = |n: usize| {
        let list: Vec<String> = (0..n).map(|i| format!("tcp port {}", 10_000 + i)).collect();
        format!("ip and ({} or port 53)", list.join(" or "))
    };
    let text = ports(60);
    let program = ours(&text, Link::Ethernet);
    assert!(program.len() > 600, "{}", program.len());
    assert!(program.iter().any(|i| i.code == 0x05), "a plain jump");
    assert!(check(&text, Link::Ethernet, &corpus) > 0);

    let error = bpf::parse(&ports(300)).unwrap().compile(Link::Ethernet);
    assert!(
        error
            .unwrap_err()
            .message
            .contains("at most 4096 instructions")
    );
    let error = bpf::parse(&ports(600)).unwrap_err();
    assert!(
        error.message.contains("more than 500 conditions"),
        "{error}"
    );
    let error = bpf::parse(&"(".repeat(100_000)).unwrap_err();
    assert!(
        error.message.contains("more than 100 parentheses"),
        "{error}"
    );
    let error = bpf::parse(&"not ".repeat(100_000)).unwrap_err();
    assert!(error.message.contains("more than 100"), "{error}");
}

#[test]
fn an_error_points_at_the_place_and_says_what_is_possible() {
    let error = |text: &str| bpf::parse(text).unwrap_err().to_string();
    for (text, expected) in [
        (
            "tcp prot 443",
            "the filter, from character 5: \"prot\" cannot follow here: possible: and, or\n  tcp prot 443\n      ^^^^",
        ),
        (
            "host example.org",
            "the filter, from character 6: \"example.org\" is none: host wants an IPv4 or IPv6 address in figures, such as 1.2.3.4 or ::1\n  \
             host example.org\n       ^^^^^^^^^^^",
        ),
        (
            "port",
            "the filter, from character 5: port wants a number from 0 to 65535\n  port\n      ^",
        ),
        (
            "tcp host 1.2.3.4",
            "the filter, from character 1: tcp has no host: write \"tcp and host …\"; before host are possible: ip, ip6, arp\n  \
             tcp host 1.2.3.4\n  ^^^",
        ),
        (
            "port 65536",
            "the filter, from character 6: \"65536\" is none: port wants a number from 0 to 65535\n  port 65536\n       ^^^^^",
        ),
        (
            "(tcp",
            "the filter, from character 5: a parenthesis is still open: possible: ), and, or\n  (tcp\n      ^",
        ),
        (
            "tcp)",
            "the filter, from character 4: this parenthesis closes nothing: take it away, or open it before\n  tcp)\n     ^",
        ),
        (
            "net 10.0.0.1/8",
            "the filter, from character 5: the address has bits set beyond the first 8: clear them, or take more bits\n  \
             net 10.0.0.1/8\n      ^^^^^^^^^^",
        ),
        (
            "ip6 host 1.2.3.4",
            "the filter, from character 10: 1.2.3.4 is not an address of the protocol named before it\n  ip6 host 1.2.3.4\n           ^^^^^^^",
        ),
    ] {
        assert_eq!(error(text), expected);
    }
    for text in [
        "",
        "tcp and",
        "not",
        "prot 443",
        "tcp = 1",
        "port 80 or http",
        "ü",
        "tcp\x1b[31m",
    ] {
        let error = error(text);
        assert!(
            error.contains("possible: ") || error.contains("wants"),
            "{error}"
        );
        assert!(!error.contains('\x1b'), "{error:?}");
    }
}
