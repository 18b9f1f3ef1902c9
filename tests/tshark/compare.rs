//! Compares, frame by frame and key by key, what this program says of a capture with what `tshark -T fields` says.
//!
//! A cell is one key of one frame where at least one of the two has a value; where both are silent, nothing is counted.

#![allow(unreachable_pub, missing_docs, reason = "a tool and a test share it")]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use layerwise::layers::all_fields;
use layerwise::packet::{Event, Fact, Field, Frame, Kind, LinkType, Note, Time, Value};
use layerwise::session::Session;

/// Keys that mean something else in the two programs, and why. They are not compared; `docs/tshark-differences.md` lists them.
pub const NOT_COMPARED: &[(&str, &str)] = &[
    (
        "tls.app_data",
        "tshark counts the tag (and in TLS 1.2 the nonce or IV) to the encrypted data; here each has its own key",
    ),
    (
        "tcp.payload",
        "tshark names all bytes of a segment so; here only those that no higher layer takes up",
    ),
    (
        "tcp.segment_data",
        "tshark names the bytes so only where it puts them together with others in one packet; here wherever they wait for others",
    ),
    ("tls.segment.data", "the same, inside TLS"),
    (
        "ip.checksum_calculated",
        "tshark gives it always; here only beside a checksum that is wrong",
    ),
    ("tcp.checksum_calculated", "the same"),
    (
        "tls.handshake.sig_hash_algs",
        "a heading; tshark has one in an extension, too",
    ),
    (
        "tls.handshake.extension.data",
        "tshark gives `<MISSING>` for an extension without content; here the key stands for content nobody here knows",
    ),
    (
        "tls.handshake.certificate",
        "a heading here, over the certificate's own fields; tshark gives its bytes",
    ),
];

/// Single cells that differ for a known reason: the reason, or `None`.
fn accepted(event: &Event<'_>, key: &str, ours: &str, theirs: &str) -> Option<&'static str> {
    let closed = |n: &Note| n.def.key == "tls.record.opened" && n.value == Fact::Uint(3);
    match (key, ours, theirs) {
        _ if ours == theirs => None,
        _ if key.starts_with("tls.") && event.notes.iter().any(closed) => Some(
            "tshark opens ciphers (CCM, Camellia) and versions (TLS 1.1 and 1.0) that this program does not",
        ),
        ("ip.version", "", "6") => {
            Some("tshark gives ip.version for IPv6, too; here IPv6 has only ipv6.version")
        }
        ("tcp.checksum.status", "16", _) => Some(
            "a checksum that the sender left to its network card, as on lo: here it is partial, in tshark 4.0 bad",
        ),
        _ => None,
    }
}

/// Where tshark's values are known to differ for a reason: the key, and what makes up for it.
#[derive(Debug, Default)]
pub struct Report {
    /// By key: how many cells, how many of them differ, and the first that do.
    pub keys: BTreeMap<String, Tally>,
    pub frames: usize,
    /// Cells that differ for a known reason, and are not counted above.
    pub accepted: BTreeMap<(String, &'static str), usize>,
}

/// The cells of one key.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    pub cells: usize,
    pub differ: usize,
    /// Frame, ours, tshark's.
    pub examples: Vec<(u64, String, String)>,
}

impl Report {
    /// Adds the cells of another capture.
    #[allow(
        dead_code,
        reason = "the tool adds up its captures, the tests put theirs into one"
    )]
    pub fn add(&mut self, other: &Self) {
        self.frames += other.frames;
        for (key, tally) in &other.keys {
            let all = self.keys.entry(key.clone()).or_default();
            all.cells += tally.cells;
            all.differ += tally.differ;
            all.examples.extend(tally.examples.iter().take(3).cloned());
        }
    }

    /// Cells and differences of the keys that the filter takes.
    pub fn total(&self, filter: impl Fn(&str) -> bool) -> (usize, usize) {
        let tallies = self.keys.iter().filter(|(key, _)| filter(key));
        tallies.fold((0, 0), |(cells, differ), (_, t)| {
            (cells + t.cells, differ + t.differ)
        })
    }

    /// As a table: the keys that differ, worst first, then the sums.
    pub fn table(&self, examples: usize) -> String {
        let mut out = String::new();
        let mut keys: Vec<_> = self.keys.iter().filter(|(_, t)| t.differ > 0).collect();
        keys.sort_by_key(|(_, t)| core::cmp::Reverse(t.differ));
        for (key, tally) in keys {
            let share = 100.0 * (1.0 - tally.differ as f64 / tally.cells as f64);
            writeln!(
                out,
                "{key}: {} of {} cells differ ({share:.2} % agree)",
                tally.differ, tally.cells
            )
            .unwrap();
            for (frame, ours, theirs) in tally.examples.iter().take(examples) {
                let short = |text: &str| text.chars().take(70).collect::<String>();
                writeln!(
                    out,
                    "    frame {frame}: {:?}, tshark {:?}",
                    short(ours),
                    short(theirs)
                )
                .unwrap();
            }
        }
        for ((key, reason), cells) in &self.accepted {
            writeln!(out, "{key}: {cells} cells not counted: {reason}").unwrap();
        }
        for (what, analysis) in [("tcp.analysis.*", true), ("all other keys", false)] {
            let (cells, differ) = self.total(|key| is_analysis(key) == analysis);
            let keys = self
                .keys
                .keys()
                .filter(|k| is_analysis(k) == analysis)
                .count();
            writeln!(
                out,
                "{what}: {keys} keys, {cells} cells, {differ} differ ({:.3} % agree)",
                100.0 * (1.0 - differ as f64 / cells.max(1) as f64)
            )
            .unwrap();
        }
        out
    }
}

/// Whether a key is an observer's guess at what happened.
pub fn is_analysis(key: &str) -> bool {
    key.starts_with("tcp.analysis.")
}

/// One frame of a capture file.
pub struct Captured {
    pub time: u64,
    pub link: u16,
    pub wire_len: u32,
    pub data: Vec<u8>,
}

/// Reads a pcap or pcapng file.
pub fn read(path: &Path) -> Result<Vec<Captured>, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let told = |error: pcap_file::PcapError| format!("{}: {error}", path.display());
    let mut frames = Vec::new();
    if bytes.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) {
        use pcap_file::pcapng::{Block, PcapNgReader};
        let mut reader = PcapNgReader::new(&bytes[..]).map_err(told)?;
        while let Some(block) = reader.next_block() {
            let Block::EnhancedPacket(packet) = block.map_err(told)? else {
                continue;
            };
            let (time, wire_len, data) = (
                packet.timestamp,
                packet.original_len,
                packet.data.into_owned(),
            );
            let interface = packet.interface_id as usize;
            let link = reader
                .interfaces()
                .get(interface)
                .map(|i| u32::from(i.linktype));
            frames.push(Captured {
                time: time.as_nanos() as u64,
                link: link.unwrap_or(0) as u16,
                wire_len,
                data,
            });
        }
    } else {
        let mut reader = pcap_file::pcap::PcapReader::new(&bytes[..]).map_err(told)?;
        let link = u32::from(reader.header().datalink) as u16;
        while let Some(packet) = reader.next_packet() {
            let packet = packet.map_err(told)?;
            frames.push(Captured {
                time: packet.timestamp.as_nanos() as u64,
                link,
                wire_len: packet.orig_len,
                data: packet.data.into_owned(),
            });
        }
    }
    Ok(frames)
}

/// What tshark knows of a field: its type and how it writes numbers.
#[derive(Debug, Clone)]
struct Known {
    kind: String,
    base: String,
}

/// The fields of this program that tshark has, too, and that are compared.
fn vocabulary() -> Result<Vec<(String, Known)>, String> {
    let output = Command::new("tshark")
        .args(["-G", "fields"])
        .output()
        .map_err(|error| format!("this needs the program tshark: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut known = HashMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split('\t').collect();
        if let ["F", _, key, kind, _, base, ..] = words[..] {
            known.entry(key.to_owned()).or_insert(Known {
                kind: kind.to_owned(),
                base: base.to_owned(),
            });
        }
    }
    let skipped: HashSet<&str> = NOT_COMPARED.iter().map(|(key, _)| *key).collect();
    let ours = all_fields().map(|def| def.key).filter(|key| {
        ["ip.", "ipv6.", "tcp.", "tls."]
            .iter()
            .any(|start| key.starts_with(start))
            && !skipped.contains(key)
    });
    let both = ours.filter_map(|key| Some((key.to_owned(), known.get(key)?.clone())));
    Ok(both.collect())
}

/// Compares one capture. The key log, if there is one, is for both; `options` are for tshark alone.
pub fn compare(
    capture: &Path,
    keylog: Option<&Path>,
    options: &[String],
) -> Result<Report, String> {
    let frames = read(capture)?;
    let keys = vocabulary()?;
    let theirs = tshark(capture, (keylog, options), &keys)?;
    if theirs.len() != frames.len() {
        return Err(format!(
            "{}: {} frames here, {} with tshark",
            capture.display(),
            frames.len(),
            theirs.len()
        ));
    }
    let mut session = Session::new();
    if let Some(path) = keylog {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        for line in text.lines() {
            session
                .keylog_line(line)
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
    }
    let mut report = Report {
        frames: frames.len(),
        ..Report::default()
    };
    for ((number, frame), theirs) in (1..).zip(&frames).zip(&theirs) {
        // The link layer is not what is compared: Ethernet is taken off where it is not decoded.
        let has_ethernet = layerwise::layers::field("eth.type").is_some();
        let (link, data) = match frame.link {
            1 if !has_ethernet => (LinkType::RAW, frame.data.get(14..).unwrap_or(&[])),
            12 | 14 | 101 => (LinkType::RAW, &frame.data[..]),
            link => (LinkType(link), &frame.data[..]),
        };
        let cut = frame.data.len() - data.len();
        let event = session.push(Frame {
            number,
            time: Time(frame.time),
            link,
            data,
            wire_len: frame.wire_len - cut as u32,
        });
        let ours = values(&event, &keys);
        for (((key, known), ours), theirs) in keys.iter().zip(&ours).zip(theirs) {
            if ours.is_empty() && theirs.is_empty() {
                continue;
            }
            if let Some(reason) = accepted(&event, key, ours, theirs) {
                *report.accepted.entry((key.clone(), reason)).or_default() += 1;
                continue;
            }
            let tally = report.keys.entry(key.clone()).or_default();
            tally.cells += 1;
            let same =
                ours == theirs || (known.kind == "FT_NONE" && ours.is_empty() == theirs.is_empty());
            if !same {
                tally.differ += 1;
                if tally.examples.len() < 20 {
                    tally.examples.push((number, ours.clone(), theirs.clone()));
                }
            }
        }
    }
    Ok(report)
}

/// What `tshark -T fields` prints, frame by frame, key by key.
fn tshark(
    capture: &Path,
    (keylog, options): (Option<&Path>, &[String]),
    keys: &[(String, Known)],
) -> Result<Vec<Vec<String>>, String> {
    let mut command = Command::new("tshark");
    command
        .args(["-n", "-T", "fields", "-E", "occurrence=a", "-r"])
        .arg(capture);
    // What this program always does: verify checksums, and put segments in order.
    for preference in [
        "ip.check_checksum:TRUE",
        "tcp.check_checksum:TRUE",
        "tcp.reassemble_out_of_order:TRUE",
    ] {
        command.args(["-o", preference]);
    }
    // Later ones count.
    command.args(options);
    if let Some(path) = keylog {
        command
            .arg("-o")
            .arg(format!("tls.keylog_file:{}", path.display()));
    }
    for (key, _) in keys {
        command.args(["-e", key]);
    }
    let output = command
        .output()
        .map_err(|error| format!("tshark: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let row = |line: &str| line.split('\t').map(str::to_owned).collect();
    Ok(text.lines().map(row).collect())
}

/// This program's values of each key in the form of `tshark -T fields`: several joined by commas, none an empty text.
fn values(event: &Event<'_>, keys: &[(String, Known)]) -> Vec<String> {
    let mut found: HashMap<&str, Vec<Cell<'_>>> = HashMap::new();
    for field in event.fields {
        found
            .entry(field.def.key)
            .or_default()
            .push(Cell::Field(*field, event.bytes(field.buf)));
    }
    for note in event.notes {
        found
            .entry(note.def.key)
            .or_default()
            .push(Cell::Note(note.value));
    }
    let text = |(key, known): &(String, Known)| {
        let cells = found.get(key.as_str()).map_or(&[][..], Vec::as_slice);
        let texts: Vec<String> = cells.iter().map(|cell| cell.text(known)).collect();
        texts.join(",")
    };
    keys.iter().map(text).collect()
}

enum Cell<'e> {
    Field(Field, &'e [u8]),
    Note(Fact),
}

impl Cell<'_> {
    fn text(&self, known: &Known) -> String {
        match self {
            Self::Note(Fact::Present) => "1".to_owned(),
            Self::Note(Fact::Uint(n)) => number(*n, known),
            Self::Note(Fact::Bytes(bytes, len)) => hex(&bytes[..usize::from(*len)]),
            Self::Field(field, buffer) => match field.value(buffer) {
                // A heading here can be bytes there.
                Value::None if known.kind == "FT_BYTES" => {
                    hex(buffer.get(field.bytes()).unwrap_or(&[]))
                }
                // A heading over nothing is none.
                Value::None
                    if field.bits > 0
                        && field.def.kind == Kind::Group
                        && known.kind == "FT_NONE" =>
                {
                    "1".to_owned()
                }
                Value::None => String::new(),
                Value::Bool(b) => number(u64::from(b), known),
                Value::Uint(n) => number(n, known),
                Value::Ipv4(a) => std::net::Ipv4Addr::from(a).to_string(),
                Value::Ipv6(a) => std::net::Ipv6Addr::from(a).to_string(),
                Value::Text(t) | Value::Time(t) => String::from_utf8_lossy(t).into_owned(),
                Value::Bytes(b) | Value::Oid(b) => hex(b),
                Value::Ether(b) => b.map(|byte| format!("{byte:02x}")).join(":"),
                Value::Name(_) => String::new(),
            },
        }
    }
}

fn number(n: u64, known: &Known) -> String {
    if known.kind == "FT_RELATIVE_TIME" {
        return format!("{}.{:09}", n / 1_000_000_000, n % 1_000_000_000);
    }
    if known.kind == "FT_BOOLEAN" {
        return u8::from(n != 0).to_string();
    }
    if known.kind == "FT_INT32" {
        return (n as u32 as i32).to_string();
    }
    if !known.base.contains("HEX") {
        return n.to_string();
    }
    let bits: usize = known
        .kind
        .trim_start_matches("FT_UINT")
        .parse()
        .unwrap_or(32);
    let digits = bits / 4;
    format!("0x{n:0digits$x}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
