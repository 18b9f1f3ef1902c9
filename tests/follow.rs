//! `layerwise follow`: what was said, by whom, in the order in which it came, as tshark has it; and what is missing.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::Side::{Client, Server};
use common::{Ends, Side, pcap, shuffled, unhex};

/// A file of this test's own; it is gone after the test.
struct Temp(PathBuf);

impl Temp {
    fn new(name: &str, frames: &[Vec<u8>]) -> Self {
        let temp = Self::named(name);
        let packets: Vec<pcap::Packet> = frames
            .iter()
            .enumerate()
            .map(|(at, frame)| (at as u64 * 60_000_000, frame.clone()))
            .collect();
        std::fs::write(&temp.0, pcap::file(&packets)).unwrap();
        temp
    }

    fn named(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("layerwise-follow-{}-{name}", std::process::id())))
    }

    fn text(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_layerwise"));
    for variable in ["CLICOLOR_FORCE", "COLUMNS", "SSLKEYLOGFILE"] {
        command.env_remove(variable);
    }
    let command = command.args(arguments).stdin(Stdio::null());
    command.output().unwrap()
}

#[track_caller]
fn follow(file: &Temp, arguments: &[&str]) -> String {
    String::from_utf8(raw(file, arguments)).unwrap()
}

#[track_caller]
fn raw(file: &Temp, arguments: &[&str]) -> Vec<u8> {
    let output = run(&[&["follow", file.text()], arguments].concat());
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && words.is_empty(), "{words}");
    output.stdout
}

/// What tshark follows, piece by piece; it does not always say whose a piece is.
#[track_caller]
fn tshark(path: &Path, what: &str, number: &str) -> Vec<Vec<u8>> {
    let output = Command::new("tshark")
        .args(["-n", "-q", "-d", "tcp.port==8080,tls", "-r"])
        .arg(path)
        .args(["-z", &format!("follow,{what},raw,{number}")])
        .output()
        .unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let body = text.lines().skip_while(|line| !line.starts_with("Node 1"));
    let body = body.skip(1).take_while(|line| !line.starts_with('='));
    body.map(|line| unhex(line.trim())).collect()
}

/// That the two ends said these pieces, each in order and nothing else.
#[track_caller]
fn same(a: &[u8], b: &[u8], pieces: &[Vec<u8>]) {
    let (mut a, mut b) = (a, b);
    assert!(!pieces.is_empty());
    for piece in pieces {
        let rest = [a.strip_prefix(&piece[..]), b.strip_prefix(&piece[..])];
        match rest {
            [Some(rest), _] => a = rest,
            [None, Some(rest)] => b = rest,
            [None, None] => panic!("nobody says {:?}", String::from_utf8_lossy(piece)),
        }
    }
    assert_eq!((a.len(), b.len()), (0, 0), "more is said than tshark has");
}

fn demo(name: &str, arguments: &[&str]) -> Temp {
    let file = Temp::named(name).0.with_extension("pcapng");
    let file = Temp(file);
    let output = run(&[&["demo", "-w", file.text(), "--force"], arguments].concat());
    assert!(output.status.success());
    file
}

#[test]
fn what_is_said_is_what_tshark_follows() {
    let long = "a long line ".repeat(3000);
    let file = demo("demo", &["--with-secrets", "grüß dich", &long, "bye"]);
    for (what, options) in [("tcp", &["--stream"][..]), ("tls", &[])] {
        let pieces = tshark(&file.0, what, "0");
        let [a, b] = ["a", "b"].map(|end| raw(&file, &[&["0", "--raw", end], options].concat()));
        assert!(a.len() > 36_000, "{what}: {}", a.len());
        same(&a, &b, &pieces);
    }
}

/// Lines of a web server and its client.
fn talk() -> Vec<(Side, Vec<u8>)> {
    let body: Vec<u8> = (0..20_000_u32).map(|n| ((n * n) >> 7) as u8).collect();
    let mut answer =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend(&body);
    vec![
        (Client, b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        (Server, answer),
        (Client, b"GET /b HTTP/1.1\r\n\r\n".to_vec()),
        (
            Server,
            b"HTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\nnone\n".to_vec(),
        ),
    ]
}

fn all(side: Side) -> Vec<u8> {
    talk()
        .into_iter()
        .filter(|(from, _)| *from == side)
        .flat_map(|(_, bytes)| bytes)
        .collect()
}

#[test]
fn order_and_retransmissions_make_no_difference() {
    let mut ends = Ends::new(49152, 8081);
    let mut frames = ends.open();
    let data = ends.data(&talk(), 700);
    // Each comes twice, and in another order.
    frames.extend(shuffled(&data, 0, 4, 7));
    frames.extend(data);
    frames.extend(ends.close());
    let file = Temp::new("order", &frames);
    for (end, side) in [("a", Client), ("b", Server)] {
        assert_eq!(raw(&file, &["0", "--raw", end]), all(side), "{end}");
    }
    let text = follow(&file, &["0"]);
    for line in [
        "A ▶ 1.2.3.4:49152, which asked to connect or was seen first\n",
        "GET /a HTTP/1.1\nA ▶         Host: x\nA ▶\n",
        "HTTP/1.1 200 OK\n",
        " · what is no text (-x shows it): ",
        "HTTP/1.1 404 No\n",
        "B ◀         none\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    assert!(!text.contains("missing"), "{text}");
}

#[test]
fn what_the_capture_lacks_is_said() {
    let mut ends = Ends::new(49152, 8081);
    let mut frames = ends.open();
    let lines = |n: u32| (Client, format!("line {n}\n").into_bytes());
    for n in 0..20 {
        frames.extend(ends.data(&[lines(n)], 100));
    }
    frames.extend(ends.close());
    // Two lines were never caught, and acknowledged all the same.
    let lost = [3 + 2 * 7, 3 + 2 * 8];
    let some: Vec<_> = frames
        .iter()
        .enumerate()
        .filter(|(at, _)| !lost.contains(at))
        .map(|(_, frame)| frame.clone())
        .collect();
    let file = Temp::new("hole", &some);
    let text = follow(&file, &["0"]);
    assert!(
        text.contains(
            "line 6\nA ▶         · 14 bytes are missing here: the capture does not have them\n"
        ),
        "{text}"
    );
    for n in (0..7).chain(9..20) {
        assert!(text.contains(&format!("  line {n}\n")), "{n}\n{text}");
    }
    assert!(
        text.contains("The capture lacks 14 bytes of what A said and 0 of what B said."),
        "{text}"
    );

    // It begins in the middle.
    let file = Temp::new("middle", &frames[11..]);
    let text = follow(&file, &["0"]);
    assert!(text.contains("The capture begins in the middle"), "{text}");
    assert!(
        text.contains("  line 4\n") && !text.contains("line 3\n"),
        "{text}"
    );
}

#[test]
fn what_stays_sealed_is_what_an_eavesdropper_sees() {
    let file = demo("sealed", &["a secret"]);
    let text = follow(&file, &["0"]);
    assert!(!text.contains("a secret"), "{text}");
    assert!(
        text.contains("ClientHello: ") && text.contains("eavesdropper"),
        "{text}"
    );
    let list = follow(&file, &[]);
    assert!(
        list.contains("1.2.3.4:52028 → 5.6.7.8:8080") && list.contains("tls (sealed)"),
        "{list}"
    );
    // Opened it is another thing.
    let file = demo("opened", &["--with-secrets", "a secret"]);
    let text = follow(&file, &["0"]);
    assert!(
        text.contains("  a secret\n") && !text.contains("eavesdropper"),
        "{text}"
    );
    assert!(follow(&file, &[]).contains("tls, chat (opened)"));
    // Without colours, columns or characters beyond ASCII.
    let plain = follow(&file, &["0", "--plain"]);
    assert!(plain.contains("\nPacket 8, A: a secret\n"), "{plain}");
    let ascii = follow(&file, &["0", "--ascii"]);
    assert!(
        ascii.is_ascii() && ascii.contains("A >      8  a secret\n"),
        "{ascii}"
    );
    let hex = follow(&file, &["0", "-x"]);
    assert!(
        hex.contains("00000000 61 20 73 65 63 72 65 74  0a "),
        "{hex}"
    );
}

/// A datagram, whole.
fn datagram(from: u16, to: u16, data: &[u8]) -> Vec<u8> {
    let [a, b] = if from < to {
        [[1, 2, 3, 4], [5, 6, 7, 8]]
    } else {
        [[5, 6, 7, 8], [1, 2, 3, 4]]
    };
    let mut frame = Vec::new();
    let builder = etherparse::PacketBuilder::ipv4(a, b, 64).udp(from, to);
    builder.write(&mut frame, data).unwrap();
    frame
}

#[test]
fn conversations_over_udp_are_followed_too() {
    let frames = [
        datagram(4000, 5000, b"other\n"),
        datagram(4001, 5000, b"ping\n"),
        datagram(5000, 4001, b"pong\n"),
        datagram(4001, 5000, b"\x00\x01\x02"),
    ];
    let file = Temp::new("udp", &frames);
    let [a, b] = ["a", "b"].map(|end| raw(&file, &["1", "--udp", "--raw", end]));
    same(&a, &b, &tshark(&file.0, "udp", "1"));
    let text = follow(&file, &["1", "--udp"]);
    assert!(
        text.contains("A ▶      2  ping\nB ◀      3  pong\nA ▶      4  · what is no text"),
        "{text}"
    );
    assert!(
        !text.contains("other") && text.contains("3 packets. A said 8 bytes, B said 5."),
        "{text}"
    );
    let list = follow(&file, &[]);
    assert!(
        list.starts_with("Over UDP") && list.lines().count() == 3,
        "{list}"
    );
}

#[test]
fn what_is_not_there_is_said() {
    let file = Temp::new("none", &[datagram(1, 2, b"x")]);
    let output = run(&["follow", file.text(), "3"]);
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{words}");
    assert!(
        words.contains("has no conversation 3 over TCP: layerwise follow "),
        "{words}"
    );
    // A file that is damaged: what is readable is there, and the exit status tells.
    let mut bytes = std::fs::read(&file.0).unwrap();
    bytes.extend([0; 7]);
    std::fs::write(&file.0, bytes).unwrap();
    let output = run(&["follow", file.text(), "0", "--udp"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("A ▶      1  x"));
}

#[test]
fn nothing_that_is_said_steers_the_terminal() {
    let mut ends = Ends::new(49152, 8081);
    let mut frames = ends.open();
    let evil = [
        "\u{202e}reversed\n".as_bytes().to_vec(),
        b"\x1b[2J\x07\n".to_vec(),
        b"half a line".to_vec(),
    ];
    let talk: Vec<_> = evil.into_iter().map(|bytes| (Client, bytes)).collect();
    frames.extend(ends.data(&talk, 3));
    let file = Temp::new("evil", &frames);
    let text = follow(&file, &["0"]);
    assert!(!text.contains(['\u{202e}', '\x1b', '\x07']), "{text:?}");
    assert!(
        text.contains("\\u{202e}reversed\n") && text.contains("half a line\n"),
        "{text}"
    );
}
