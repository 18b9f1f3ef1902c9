//! A classic pcap file of raw IP packets, as other tools read it; and a key log beside it.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use layerwise::wire::memory::{Config, Memory};
use layerwise::wire::{Script, Seen};

use super::Side::{Client, Server};
use super::{Ends, unhex};

/// A packet and when it was sent, in nanoseconds since the Unix epoch.
pub type Packet = (u64, Vec<u8>);

/// The file's bytes: nanosecond magic, link type 101 (raw IP), big-endian throughout.
pub fn file(packets: &[Packet]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut word = |n: u32| file.extend(n.to_be_bytes());
    // Magic for nanoseconds, version 2.4, no offset from UTC, no accuracy, snap length, link type.
    for n in [0xa1b2_3c4d, 2 << 16 | 4, 0, 0, 262_144, 101] {
        word(n);
    }
    for (time, packet) in packets {
        let len = packet.len() as u32;
        let (seconds, nanoseconds) = (time / 1_000_000_000, time % 1_000_000_000);
        for n in [seconds as u32, nanoseconds as u32, len, len] {
            file.extend(n.to_be_bytes());
        }
        file.extend(packet);
    }
    file
}

/// A capture with its key log, on disk for other programs to read.
pub struct Capture {
    pub packets: Vec<Packet>,
    pub keys: Vec<String>,
    pub path: PathBuf,
    pub keylog: PathBuf,
}

impl Capture {
    /// Writes both into the tests' own folder, under that name.
    pub fn write(name: &str, packets: Vec<Packet>, keys: Vec<String>) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let path = folder.join(format!("{name}.pcap"));
        let keylog = folder.join(format!("{name}.keys"));
        std::fs::write(&path, file(&packets)).unwrap();
        std::fs::write(&keylog, keys.join("\n") + "\n").unwrap();
        Self {
            packets,
            keys,
            path,
            keylog,
        }
    }

    /// A tool of Wireshark's: with this capture's secrets, the chat's port taken for TLS, checksums checked.
    fn tool(&self, program: &str) -> Command {
        let folder = self.path.with_extension("config");
        std::fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();
        write(
            "decode_as_entries",
            "decode_as_entry: tcp.port,8080,HTTP,TLS\n".to_owned(),
        );
        write(
            "preferences",
            format!(
                "tls.keylog_file: {}\ntcp.check_checksum: TRUE\nip.check_checksum: TRUE\n",
                self.keylog.display()
            ),
        );
        let mut tool = Command::new(program);
        tool.env("WIRESHARK_CONFIG_DIR", folder)
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC");
        tool
    }

    /// tshark over this capture, no names looked up; more arguments may follow.
    pub fn tshark(&self) -> Command {
        let mut tshark = self.tool("tshark");
        tshark.arg("-n").arg("-r").arg(&self.path);
        tshark
    }

    /// Wireshark's verdict over each of these display filters: the numbers of the frames that pass, or what is wrong.
    pub fn verdicts(&self, filters: &[&str]) -> Vec<Result<Vec<u64>, String>> {
        let request = |method: &str, parameter: &str, value: &str| {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            format!(
                "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{method}\",\"params\":{{\"{parameter}\":\"{value}\"}}}}\n"
            )
        };
        let mut input = request("load", "file", &self.path.display().to_string());
        for filter in filters {
            input += &request("check", "filter", filter);
            input += &request("frames", "filter", filter);
        }
        let mut sharkd = self
            .tool("sharkd")
            .arg("-")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("this test needs the program `sharkd` (Debian: apt-get install tshark)");
        let mut to = sharkd.stdin.take().unwrap();
        let writer = std::thread::spawn(move || to.write_all(input.as_bytes()));
        let mut output = String::new();
        let mut from = sharkd.stdout.take().unwrap();
        from.read_to_string(&mut output).unwrap();
        writer.join().unwrap().unwrap();
        assert!(sharkd.wait().unwrap().success());
        let answers: Vec<&str> = output
            .lines()
            .filter(|line| line.starts_with('{'))
            .skip(1)
            .collect();
        assert_eq!(answers.len(), 2 * filters.len(), "{output}");
        let error = |answer: &str| {
            let (_, message) = answer.split_once("\"message\":\"")?;
            Some(message.trim_end_matches("\"}}").to_owned())
        };
        let numbers = |answer: &str| {
            let numbers = answer.split("\"num\":").skip(1);
            numbers
                .map(|text| text.split(',').next().unwrap().parse().unwrap())
                .collect()
        };
        answers
            .chunks(2)
            .map(|pair| match error(pair[0]).or_else(|| error(pair[1])) {
                Some(message) => Err(message),
                None => Ok(numbers(pair[1])),
            })
            .collect()
    }
}

/// Every name that tshark knows: protocols and fields.
pub fn known_to_tshark() -> HashSet<String> {
    let output = Command::new("tshark")
        .args(["-G", "fields"])
        .output()
        .expect("this test needs the program `tshark` (Debian: apt-get install tshark)");
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .filter_map(|line| line.split('\t').nth(2))
        .map(str::to_owned)
        .collect()
}

/// Two chats over TLS, one of them in small packets and with a packet sent twice; a chat in clear; frames with options
/// and with IPv6.
pub fn capture(name: &str) -> Capture {
    let mut packets: Vec<Packet> = Vec::new();
    let mut keys = Vec::new();
    let chats = [
        (1, 1500, vec!["hi"]),
        (2, 700, vec!["Grüße", "pay 100 coins to Bob", ""]),
    ];
    for (seed, mtu, messages) in chats {
        let config = Config {
            seed,
            mtu,
            ..Config::default()
        };
        let script = Script {
            messages: messages.into_iter().map(str::to_owned).collect(),
            ..Script::default()
        };
        let shift = seed * 10_000_000_000;
        for seen in Memory::new(&config, &script).unwrap() {
            match seen.unwrap() {
                Seen::Packet(packet) => packets.push((packet.sent.0 + shift, packet.bytes)),
                Seen::Key { line, .. } => keys.push(line),
                Seen::Chat { .. } | Seen::Kernel { .. } | Seen::Released { .. } => {}
            }
        }
    }
    // The packet with the goodbye's acknowledgment is not the last: some data comes again, half a second late.
    let (time, again) = packets
        .iter()
        .rev()
        .find(|(_, bytes)| bytes.len() > 60)
        .unwrap()
        .clone();
    let last = packets.last().unwrap().0;
    packets.push((time.max(last) + 500_000_000, again));
    let start = packets.last().unwrap().0;
    let mut ends = Ends::new(50_000, 9_000);
    let mut frames = ends.open();
    frames.extend(ends.data(
        &[
            (Client, b"hello in clear\n".to_vec()),
            (Server, b"HELLO, too\nand more\n".to_vec()),
        ],
        9,
    ));
    frames.extend(ends.close());
    for golden in [
        include_str!("../golden/ipv4-options.hex"),
        include_str!("../golden/ipv6-extension-headers.hex"),
        include_str!("../golden/tcp-sack.hex"),
        include_str!("../golden/tcp-syn-options.hex"),
    ] {
        frames.push(unhex(golden));
    }
    packets.extend(
        (1..)
            .zip(frames)
            .map(|(n, frame)| (start + n * 1_500_000, frame)),
    );
    Capture::write(name, packets, keys)
}
