//! `-T fields` against `tshark -T fields`, cell by cell; `-T json` read back by another program's parser.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod common;

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use common::pcap::{Capture, capture, known_to_tshark};
use common::{hex, show};
use layerwise::filter::key::Key;
use layerwise::packet::{BufId, Event, Fact, Frame, Kind, LinkType, Time, Value};
use layerwise::session::Session;

fn layerwise(capture: &Capture, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_layerwise"))
        .arg("read")
        .arg(&capture.path)
        .arg("--keylog")
        .arg(&capture.keylog)
        .args(arguments)
        .output()
        .unwrap()
}

fn lines(output: &Output) -> Vec<&str> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text.lines().collect()
}

/// Where the two differ, and why.
const DIFFERENT: &[(&str, &str)] = &[
    (
        "data",
        "what is said on the chat's port is a chat message here",
    ),
    ("data.data", "the same"),
    (
        "frame",
        "a layer is written by its key, not as Wireshark's sentence",
    ),
    ("ip", "the same"),
    ("ipv6", "the same"),
    ("tcp", "the same"),
    (
        "tls",
        "one for each record, there one for each protocol data unit",
    ),
    (
        "frame.protocols",
        "the chat is one; an X.509 certificate is a part of TLS here",
    ),
    (
        "ip.checksum_calculated",
        "noted only where it differs from the one in the header",
    ),
    ("tcp.checksum_calculated", "the same"),
    (
        "ip.rec_rt",
        "an unused place of a recorded route is a place, too",
    ),
    ("ip.version", "IPv6 has a key of its own for it"),
    ("ipv6.opt.padn", "an empty option has no content"),
    (
        "tcp.option_kind",
        "behind the end of the options is padding",
    ),
    ("tcp.options.eol", "the same"),
    (
        "tcp.analysis.duplicate_ack",
        "a segment on a connection that began in the middle",
    ),
    ("tcp.segment_data", "data that comes again is named so, too"),
    (
        "tls.app_data",
        "the sealed content of every record, not only of application data",
    ),
    (
        "tls.handshake.sig_hash_algs",
        "the list has a length and its entries, no heading of its own",
    ),
    (
        "x509af.extensions",
        "ASN.1: how many there are; here, that they are there",
    ),
    (
        "x509af.issuer",
        "ASN.1: which alternative of a CHOICE; here, that it is there",
    ),
    ("x509af.subject", "the same"),
    ("x509af.notAfter", "the same; here, the time itself"),
    ("x509af.notBefore", "the same"),
    ("x509ce.GeneralName", "the same"),
    ("x509ce.GeneralNames", "ASN.1: how many there are"),
    ("x509ce.KeyUsage", "a heading over the flags"),
    ("x509ce.KeyUsage.decipherOnly", "a bit that is not sent"),
    ("x509if.rdnSequence", "ASN.1: how many there are"),
];

#[test]
fn cells_are_those_of_tshark() {
    let capture = capture("fields-cells");
    let known = known_to_tshark();
    let keys: Vec<&str> = Key::all()
        .map(|key| key.name)
        .filter(|key| known.contains(*key))
        .collect();
    let mut arguments = vec!["-T", "fields"];
    for key in &keys {
        arguments.extend(["-e", key]);
    }
    let theirs = capture.tshark().args(&arguments).output().unwrap();
    let ours = layerwise(&capture, &arguments);
    let (theirs, ours) = (lines(&theirs), lines(&ours));
    assert_eq!(theirs.len(), capture.packets.len());
    assert_eq!(theirs.len(), ours.len());
    let (mut cells, mut equal, mut used) = (0, 0, 0);
    let mut different: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let rows: Vec<(Vec<&str>, Vec<&str>)> = theirs
        .iter()
        .zip(&ours)
        .map(|(theirs, ours)| (theirs.split('\t').collect(), ours.split('\t').collect()))
        .collect();
    for (column, key) in keys.iter().enumerate() {
        let mut occurs = false;
        for (number, (theirs, ours)) in (1..).zip(&rows) {
            let (theirs, ours) = (theirs[column], ours[column]);
            occurs |= !theirs.is_empty();
            cells += 1;
            if theirs == ours {
                equal += 1;
            } else {
                let cut = |text: &str| text.chars().take(100).collect::<String>();
                different.entry(key).or_default().push(format!(
                    "frame {number}: tshark {:?}, layerwise {:?}",
                    cut(theirs),
                    cut(ours)
                ));
            }
        }
        used += usize::from(occurs);
    }
    println!(
        "{} keys, {used} of them occur; {equal} of {cells} cells are equal",
        keys.len()
    );
    let unexplained: Vec<String> = different
        .iter()
        .filter(|(key, _)| !DIFFERENT.iter().any(|(known, _)| known == *key))
        .map(|(key, differences)| {
            format!(
                "{key}: {} cells, first {}",
                differences.len(),
                differences[0]
            )
        })
        .collect();
    assert!(unexplained.is_empty(), "{}", unexplained.join("\n"));
    let gone: Vec<&str> = DIFFERENT
        .iter()
        .map(|(key, _)| *key)
        .filter(|key| !different.contains_key(key))
        .collect();
    assert!(
        gone.is_empty(),
        "these do not differ any more, take them off the list: {gone:?}"
    );
}

const PYTHON: &str = r#"
import json, sys
for line in sys.stdin:
    packet = json.loads(line)
    out = [str(packet["frame"]["number"]), packet["frame"]["protocols"], str(packet["frame"]["length"])]
    def walk(fields):
        for field in fields:
            value = field.get("value")
            bits = field["bits"] if "bits" in field else field["length"] * 8
            start = field["start"] * 8 + field.get("bit", 0)
            out.append(f'{field["key"]} {field["buffer"]} {start} {bits} {json.dumps(value)}')
            walk(field.get("fields", []))
    for buffer in packet["buffers"]:
        out.append(f'{buffer["kind"]} {buffer["length"]} ' + ",".join(f'{p["frame"]}:{p["at"]}:{p["into"]}:{p["length"]}' for p in buffer.get("pieces", [])))
    for layer in packet["layers"]:
        out.append(f'{layer["key"]} {layer["buffer"]} {layer["start"]} {layer["length"]}')
        walk(layer["fields"])
        for note in layer["notes"]:
            out.append(f'{note["key"]} {json.dumps(note["value"])}')
        for stop in layer["stops"]:
            out.append(f'{stop["key"]} {stop["buffer"]} {stop["offset"]} {stop["need"]} {stop["have"]} {stop["why"]}')
    print("\x1e".join(out))
"#;

/// The same from the events themselves.
fn expected(event: &Event<'_>) -> String {
    let mut room = Vec::new();
    room.push(event.frame.number.to_string());
    let mut names: Vec<&str> = vec!["raw"];
    for layer in event.layers {
        if names.last() != Some(&layer.def.key) {
            names.push(layer.def.key);
        }
    }
    room.push(names.join(":"));
    room.push(event.frame.wire_len.to_string());
    for id in 0..event.buffer_count() {
        let id = BufId(id as u16);
        let kind = format!("{:?}", event.buffer_kind(id)).to_lowercase();
        let pieces: Vec<String> = event
            .pieces(id)
            .iter()
            .map(|p| format!("{}:{}:{}:{}", p.frame, p.at, p.into, p.len))
            .collect();
        room.push(format!(
            "{kind} {} {}",
            event.bytes(id).len(),
            pieces.join(",")
        ));
    }
    for (index, layer) in event.layers.iter().enumerate() {
        let len = layer.bytes.end - layer.bytes.start;
        room.push(format!(
            "{} {} {} {len}",
            layer.def.key, layer.buf.0, layer.bytes.start
        ));
        for field in event.fields_of(layer) {
            let value = match (field.def.kind, field.value(event.bytes(field.buf))) {
                (_, Value::None) => "null".to_owned(),
                (_, Value::Bool(set)) => set.to_string(),
                (_, Value::Uint(n)) if n <= 1 << 53 => n.to_string(),
                // Python escapes what is not ASCII, in UTF-16; so only that ASCII is compared.
                (_, Value::Text(text)) if text.is_ascii() => {
                    format!("{:?}", str::from_utf8(text).unwrap())
                }
                (_, Value::Text(_) | Value::Oid(_) | Value::Time(_)) => "?".to_owned(),
                (_, value) => format!("\"{}\"", show(value)),
            };
            room.push(format!(
                "{} {} {} {} {value}",
                field.def.key, field.buf.0, field.start, field.bits
            ));
        }
        for note in event.notes_of(index) {
            let value = match (note.def.kind, note.value) {
                (_, Fact::Present) => "true".to_owned(),
                (Kind::Bool, Fact::Uint(n)) => (n != 0).to_string(),
                (Kind::Nanos, Fact::Uint(n)) => format!("{:?}", n as f64 / 1e9),
                (_, Fact::Uint(n)) => n.to_string(),
                (_, Fact::Bytes(bytes, len)) => format!("\"{}\"", hex(&bytes[..usize::from(len)])),
            };
            room.push(format!("{} {value}", note.def.key));
        }
        for stop in event
            .stops
            .iter()
            .filter(|stop| usize::from(stop.layer) == index)
        {
            let why = stop.why.key().trim_start_matches("stop.");
            room.push(format!(
                "{} {} {} {} {} {why}",
                stop.def.key, stop.buf.0, stop.offset, stop.need, stop.have
            ));
        }
    }
    room.join("\x1e")
}

#[test]
fn json_holds_the_whole_event() {
    let capture = capture("fields-json");
    for arguments in [&["-T", "json"][..], &["-T", "json", "-v"]] {
        let ours = layerwise(&capture, arguments);
        assert_eq!(lines(&ours).len(), capture.packets.len());
        let read_back = python(&ours.stdout);
        let mut session = Session::new();
        for line in &capture.keys {
            session.keylog_line(line).unwrap();
        }
        for ((number, (time, data)), theirs) in (1..).zip(&capture.packets).zip(read_back.lines()) {
            let event = session.push(Frame {
                number,
                time: Time(*time),
                link: LinkType::RAW,
                data,
                wire_len: data.len() as u32,
            });
            let expected = expected(&event);
            for (ours, theirs) in expected.split('\x1e').zip(theirs.split('\x1e')) {
                match ours.strip_suffix('?') {
                    Some(start) => assert!(theirs.starts_with(start), "frame {number}: {theirs}"),
                    None => assert_eq!(ours, theirs, "frame {number}"),
                }
            }
            assert_eq!(expected.split('\x1e').count(), theirs.split('\x1e').count());
        }
    }
}

fn python(input: &[u8]) -> String {
    let mut python = Command::new("python3")
        .args(["-c", PYTHON])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test needs the program `python3`");
    let (mut to, input) = (python.stdin.take().unwrap(), input.to_vec());
    let writer = std::thread::spawn(move || to.write_all(&input));
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_example_in_the_documentation_is_what_comes_out() {
    let document = include_str!("../docs/json.md");
    let (_, example) = document
        .split_once("```json\n")
        .expect("there is an example");
    let (example, _) = example.split_once("\n```").expect("it ends");
    let output = Command::new(env!("CARGO_BIN_EXE_layerwise"))
        .args(["demo", "-T", "json", "-Y", "frame.number == 3"])
        .output()
        .unwrap();
    let squeezed = |text: &str| text.split_whitespace().collect::<String>();
    assert_eq!(squeezed(example), squeezed(lines(&output)[0]));
    // Every member that is written is described.
    let capture = capture("fields-documented");
    let output = layerwise(&capture, &["-T", "json", "-v"]);
    for member in lines(&output)
        .join("")
        .split("\"")
        .collect::<Vec<_>>()
        .windows(3)
        .filter(|w| w[2].starts_with(':'))
        .map(|w| w[1])
    {
        assert!(
            document.contains(&format!("`{member}`")),
            "docs/json.md says nothing of {member}"
        );
    }
}

#[test]
fn what_cannot_be_shown_is_refused_before_anything_is_written() {
    let capture = capture("fields-refused");
    for (arguments, says) in [
        (&["-T", "fields"][..], "-T fields needs -e KEY"),
        (&["-e", "ip.src"], "add -T fields"),
        (
            &["-T", "fields", "-e", "ip.sry"],
            "no such field: \"ip.sry\"; did you mean ip.src?",
        ),
        (
            &["-T", "fields", "-e", "ip.src", "-E", "quote=x"],
            "-E: quote is d",
        ),
        (&["-Y", "ip.src =="], "-Y: "),
        (&["-T", "xml"], "possible: text, fields, json"),
    ] {
        let output = layerwise(&capture, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty());
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn options_of_the_lines_are_those_of_tshark() {
    let capture = capture("fields-options");
    for options in [
        &["-E", "header=y"][..],
        &["-E", "separator=,", "-E", "quote=d"],
        &["-E", "separator=/s", "-E", "aggregator=/s", "-E", "quote=s"],
        &["-E", "occurrence=f"],
        &["-E", "occurrence=l", "-E", "header=y"],
    ] {
        let mut arguments = vec![
            "-T",
            "fields",
            "-e",
            "frame.number",
            "-e",
            "ip.addr",
            "-e",
            "tls.handshake.type",
            "-e",
            "tls.handshake.extensions_server_name",
            "-e",
            "tcp.payload",
            "-Y",
            "tcp.port in {8080, 9000}",
        ];
        arguments.extend(options);
        let theirs = capture.tshark().args(&arguments).output().unwrap();
        let ours = layerwise(&capture, &arguments);
        assert_eq!(lines(&ours), lines(&theirs), "{options:?}");
    }
}
