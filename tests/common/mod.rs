//! What the integration tests share: bytes of two sides as TCP/IP frames, a session that listens to them with every
//! invariant checked at every frame, and decoded frames as text.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test program takes what it needs"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

pub mod pcap;

use std::fmt::Write as _;

use etherparse::PacketBuilder;
use layerwise::packet::{
    BufId, BufKind, Event, Fact, Frame, LinkType, NO_PARENT, Time, Value, Why,
};
use layerwise::session::Session;

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Client = 0,
    Server = 1,
}
use Side::{Client, Server};

/// What two sides said to each other, in the order in which it was heard.
pub type Talk = Vec<(Side, Vec<u8>)>;

/// The two ends of a TCP connection over IPv4, and where their sequence numbers are.
#[derive(Debug, Clone)]
pub struct Ends {
    pub addresses: [[u8; 4]; 2],
    pub ports: [u16; 2],
    pub seq: [u32; 2],
}

impl Ends {
    /// From port `client` to port `server`. The client's sequence numbers pass 2³² after 200 bytes.
    pub fn new(client: u16, server: u16) -> Self {
        Self {
            addresses: [[1, 2, 3, 4], [5, 6, 7, 8]],
            ports: [client, server],
            seq: [u32::MAX - 200, 0x1122_3344],
        }
    }

    /// One segment as a raw IP frame with right checksums; what it takes of the sequence space is counted.
    pub fn segment(&mut self, from: Side, flags: &str, data: &[u8]) -> Vec<u8> {
        let (us, them) = (from as usize, 1 - from as usize);
        let mut builder = PacketBuilder::ipv4(self.addresses[us], self.addresses[them], 64).tcp(
            self.ports[us],
            self.ports[them],
            self.seq[us],
            64240,
        );
        for flag in flags.chars() {
            builder = match flag {
                'S' => builder.syn(),
                'A' => builder.ack(self.seq[them]),
                'P' => builder.psh(),
                'F' => builder.fin(),
                other => panic!("no flag {other}"),
            };
        }
        let mut frame = Vec::with_capacity(builder.size(data.len()));
        builder.write(&mut frame, data).unwrap();
        let space = data.len() as u32 + u32::from(flags.contains('S') || flags.contains('F'));
        self.seq[us] = self.seq[us].wrapping_add(space);
        frame
    }

    /// SYN, SYN-ACK, ACK.
    pub fn open(&mut self) -> Vec<Vec<u8>> {
        vec![
            self.segment(Client, "S", &[]),
            self.segment(Server, "SA", &[]),
            self.segment(Client, "A", &[]),
        ]
    }

    /// The data of a talk, in segments of at most `cut` bytes; after each run of one side the other acknowledges it.
    pub fn data(&mut self, talk: &[(Side, Vec<u8>)], cut: usize) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        for (side, bytes) in talk {
            for part in bytes.chunks(cut) {
                frames.push(self.segment(*side, "PA", part));
            }
            frames.push(self.segment(other(*side), "A", &[]));
        }
        frames
    }

    /// The same with segments that overlap: one in three begins up to `cut` bytes early, as a sender does that cuts its
    /// data anew when it sends it again.
    pub fn overlapping(
        &mut self,
        (side, bytes): &(Side, Vec<u8>),
        cut: usize,
        random: &mut Random,
    ) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let end = (at + cut).min(bytes.len());
            let early = match random.below(3) {
                0 => random.below(cut.min(at) + 1).min(60_000),
                _ => 0,
            };
            let from = (at - early).max(end.saturating_sub(65_000));
            let seq = &mut self.seq[*side as usize];
            *seq = seq.wrapping_sub((at - from) as u32);
            frames.push(self.segment(*side, "PA", &bytes[from..end]));
            at = end;
        }
        frames
    }

    /// Both say FIN.
    pub fn close(&mut self) -> Vec<Vec<u8>> {
        vec![
            self.segment(Client, "FA", &[]),
            self.segment(Server, "FA", &[]),
            self.segment(Client, "A", &[]),
        ]
    }
}

/// The side across.
pub fn other(side: Side) -> Side {
    match side {
        Client => Server,
        Server => Client,
    }
}

/// A whole connection as frames: opened, the talk in segments of at most `cut` bytes, closed.
pub fn frames(talk: &[(Side, Vec<u8>)], cut: usize, server_port: u16) -> Vec<Vec<u8>> {
    let mut ends = Ends::new(49152, server_port);
    let mut frames = ends.open();
    frames.extend(ends.data(talk, cut));
    frames.extend(ends.close());
    frames
}

/// A whole frame of raw IP.
pub fn frame(number: u64, data: &[u8]) -> Frame<'_> {
    Frame {
        number,
        time: Time(number * 1_000_000),
        link: LinkType::RAW,
        data,
        wire_len: data.len() as u32,
    }
}

/// One layer above TCP, as it was told: without regard to the segments it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub layer: &'static str,
    pub side: Side,
    /// Its notes.
    pub notes: Vec<(&'static str, Fact)>,
    /// Its fields that have a value: key and value as text.
    pub fields: Vec<(&'static str, String)>,
    /// The record after decryption: content, type, padding.
    pub plain: Option<Vec<u8>>,
}

impl Told {
    /// The number of a note.
    pub fn note(&self, key: &str) -> Option<u64> {
        self.notes
            .iter()
            .find(|(k, _)| *k == key)
            .and_then(|(_, fact)| fact.uint())
    }

    /// The values of all fields of that name.
    pub fn all(&self, key: &str) -> Vec<&str> {
        self.fields
            .iter()
            .filter(|(k, _)| *k == key)
            .map(|(_, v)| v.as_str())
            .collect()
    }

    /// The value of the only field of that name.
    pub fn one(&self, key: &str) -> &str {
        let all = self.all(key);
        assert_eq!(all.len(), 1, "{key} in {self:?}");
        all[0]
    }

    /// The types of the handshake messages that end in it.
    pub fn handshakes(&self) -> Vec<u8> {
        self.all("tls.handshake.type")
            .iter()
            .map(|t| t.parse().unwrap())
            .collect()
    }
}

/// Everything a session told of some frames.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Story {
    pub told: Vec<Told>,
    /// Every stop, as text.
    pub stops: Vec<String>,
    /// How many bytes of frames and other buffers no field labels.
    pub gaps: usize,
}

impl Story {
    /// The layers of that name from one side, in order.
    pub fn of(&self, side: Side, layer: &str) -> Vec<&Told> {
        self.told
            .iter()
            .filter(|t| t.side == side && t.layer == layer)
            .collect()
    }

    /// What each side told, apart: that does not depend on how the segments of the two were interleaved.
    pub fn sides(&self) -> [Vec<&Told>; 2] {
        [Client, Server].map(|side| self.told.iter().filter(|t| t.side == side).collect())
    }
}

/// A session that knows these secrets listens to these frames. The client is who has `client_port`.
pub fn listen<'a>(
    secrets: impl IntoIterator<Item = &'a str>,
    frames: &[Vec<u8>],
    client_port: u16,
) -> Story {
    let mut session = Session::new();
    for line in secrets {
        session.keylog_line(line).unwrap();
    }
    let mut story = Story::default();
    for (number, data) in (1..).zip(frames) {
        let event = session.push(frame(number, data));
        check(&event);
        hear(&event, client_port, &mut story);
    }
    story
}

/// Adds what one event tells to the story.
pub fn hear(event: &Event<'_>, client_port: u16, story: &mut Story) {
    let from = event.fields.iter().find(|f| f.def.key == "tcp.srcport");
    let from = from.and_then(|f| f.value(event.frame.data).uint());
    let side = if from == Some(u64::from(client_port)) {
        Client
    } else {
        Server
    };
    for (index, layer) in event.layers.iter().enumerate() {
        if ["ip", "ipv6", "tcp"].contains(&layer.def.key) {
            continue;
        }
        let fields = event.fields_of(layer);
        let plain = fields
            .iter()
            .find(|f| event.buffer_kind(f.buf) == BufKind::Plain);
        story.told.push(Told {
            layer: layer.def.key,
            side,
            notes: event
                .notes_of(index)
                .map(|n| (n.def.key, n.value))
                .collect(),
            fields: fields
                .iter()
                .map(|f| (f.def.key, show(f.value(event.bytes(f.buf)))))
                .collect(),
            plain: plain.map(|f| event.bytes(f.buf).to_vec()),
        });
    }
    for stop in event.stops {
        story.stops.push(format!(
            "frame {}: {} at {}: needs {}, has {}, {:?}",
            event.frame.number, stop.def.key, stop.offset, stop.need, stop.have, stop.why
        ));
    }
    for id in 0..event.buffer_count() {
        let gaps = event.gaps(BufId(id as u16));
        story.gaps += gaps.iter().map(ExactSizeIterator::len).sum::<usize>();
    }
}

/// A value as text: numbers in decimal, bytes in hexadecimal, text as it is.
pub fn show(value: Value<'_>) -> String {
    match value {
        Value::None => String::new(),
        Value::Bool(b) => b.to_string(),
        Value::Uint(n) => n.to_string(),
        Value::Ether(a) => a.map(|byte| format!("{byte:02x}")).join(":"),
        Value::Name(name) => {
            let labels = name.labels().map(String::from_utf8_lossy);
            labels.collect::<Vec<_>>().join(".")
        }
        Value::Ipv4(a) => std::net::Ipv4Addr::from(a).to_string(),
        Value::Ipv6(a) => std::net::Ipv6Addr::from(a).to_string(),
        Value::Text(t) | Value::Time(t) => String::from_utf8_lossy(t).into_owned(),
        Value::Bytes(b) | Value::Oid(b) => hex(b),
    }
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Bytes from hexadecimal digits; blanks, and everything behind a `#`, are passed over.
pub fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text
        .lines()
        .flat_map(|line| line.split('#').next().unwrap().chars())
        .filter(|c| !c.is_whitespace())
        .map(|c| {
            c.to_digit(16)
                .unwrap_or_else(|| panic!("{c:?} is no hexadecimal digit"))
        })
        .collect();
    assert!(digits.len().is_multiple_of(2), "half a byte is missing");
    digits
        .chunks(2)
        .map(|pair| (pair[0] << 4 | pair[1]) as u8)
        .collect()
}

/// What must hold for every event, whatever the bytes: invariants 2, 3 (as far as it can be seen from outside) and 4.
pub fn check(event: &Event<'_>) {
    let context = || format!("frame {}: {}", event.frame.number, hex(event.frame.data));
    let mut covered: Vec<Vec<u8>> = (0..event.buffer_count())
        .map(|id| vec![0; event.bytes(BufId(id as u16)).len()])
        .collect();

    // 2. Leaves are disjoint, bit by bit, and inside their buffer; every field is inside its parent.
    for (index, field) in event.fields.iter().enumerate() {
        let bytes = event.bytes(field.buf);
        let (start, end) = (
            field.start as usize,
            field.start as usize + field.bits as usize,
        );
        assert!(
            end <= bytes.len() * 8,
            "{} ends at bit {end} of {}; {}",
            field.def.key,
            bytes.len() * 8,
            context()
        );
        if field.parent != NO_PARENT {
            assert!((field.parent as usize) < index, "{}", context());
            let parent = &event.fields[field.parent as usize];
            assert!(
                parent.buf == field.buf
                    && parent.start as usize <= start
                    && end <= parent.start as usize + parent.bits as usize,
                "{} is not inside {}; {}",
                field.def.key,
                parent.def.key,
                context()
            );
        }
        // 3. Its value can be read, and a number fits its bits.
        let value = field.value(bytes);
        if let Some(n) = value
            .uint()
            .filter(|_| field.bits < 56 && field.def.kind != layerwise::packet::Kind::Bool)
        {
            assert!(n >> field.bits < 256, "{}", context());
        }
        if event.is_leaf(index) {
            let covered = &mut covered[usize::from(field.buf.0)];
            let mut bit = start;
            while bit < end {
                let (byte, first) = (bit / 8, bit % 8);
                let last = (end - byte * 8).min(8);
                let mask = (0xff_u16 >> first) as u8 & !((0xff_u16 >> last) as u8);
                assert!(
                    covered[byte] & mask == 0,
                    "{} covers byte {byte} again; {}",
                    field.def.key,
                    context()
                );
                covered[byte] |= mask;
                bit = byte * 8 + last;
            }
        }
    }

    // A group whose own value is text or bytes shows all of its bytes, although the fields in it name only some.
    for (index, field) in event.fields.iter().enumerate() {
        if event.shows(index) && !event.is_leaf(index) {
            covered[usize::from(field.buf.0)][field.bytes()].fill(0xff);
        }
    }

    // 2. What the leaves leave over is a visible gap; half a byte can only be left over where something stopped.
    for (id, covered) in covered.iter().enumerate() {
        let gaps = event.gaps(BufId(id as u16));
        let mut in_gap = vec![false; covered.len()];
        for gap in gaps {
            assert!(
                gap.start < gap.end && gap.end <= covered.len(),
                "{}",
                context()
            );
            in_gap[gap].fill(true);
        }
        for (byte, (bits, gap)) in covered.iter().zip(&in_gap).enumerate() {
            let fine = match bits {
                0 => *gap,
                0xff => !*gap,
                _ => {
                    !*gap
                        && event.stops.iter().any(|s| {
                            usize::from(s.buf.0) == id
                                && (byte..byte + 2).contains(&(s.offset as usize))
                        })
                }
            };
            assert!(
                fine,
                "byte {byte} of buffer {id}: bits {bits:08b}, gap {gap}; {}",
                context()
            );
        }
    }

    // Layers stand in order and divide the fields among them.
    let mut fields = 0;
    for layer in event.layers {
        assert!(
            layer.fields.start >= fields && layer.fields.end >= layer.fields.start,
            "{}",
            context()
        );
        fields = layer.fields.end;
        assert!(layer.bytes.start <= layer.bytes.end, "{}", context());
        assert!(
            layer.bytes.end as usize <= event.bytes(layer.buf).len(),
            "{}",
            context()
        );
    }
    assert!(fields as usize <= event.fields.len(), "{}", context());
    for note in event.notes {
        assert!(
            usize::from(note.layer) < event.layers.len(),
            "{}: {}",
            note.def.key,
            context()
        );
    }

    // 4. A stop says where, and what it says agrees with the bytes.
    for stop in event.stops {
        let len = event.bytes(stop.buf).len();
        let told = || format!("{stop:?}; {}", context());
        assert!(usize::from(stop.layer) < event.layers.len(), "{}", told());
        assert!(stop.offset as usize <= len, "{}", told());
        assert!(
            stop.have as usize <= len - stop.offset as usize,
            "{}",
            told()
        );
        if matches!(stop.why, Why::Short | Why::CutOff) {
            assert!(stop.need > stop.have, "{}", told());
        }
        if stop.why == Why::CutOff {
            assert!(
                (event.frame.data.len() as u64) < u64::from(event.frame.wire_len),
                "{}",
                told()
            );
        }
    }
}

/// The labels of an event as text: of the layers in `full` every field is a line (its key, the buffer where it is not
/// the frame, the bytes, the bits where it is not whole bytes, the value), and every note; another layer is one line.
pub fn tree(event: &Event<'_>, full: &[&str]) -> String {
    let mut text = String::new();
    for (index, layer) in event.layers.iter().enumerate() {
        let fields = event.fields_of(layer);
        writeln!(
            text,
            "{} {}..{} ({} fields)",
            layer.def.key,
            layer.bytes.start,
            layer.bytes.end,
            fields.len()
        )
        .unwrap();
        if !full.contains(&layer.def.key) {
            continue;
        }
        for field in fields {
            let mut depth = 1;
            let mut parent = field.parent;
            while parent != NO_PARENT {
                depth += 1;
                parent = event.fields[parent as usize].parent;
            }
            let mut line = format!("{}{}", "  ".repeat(depth), field.def.key);
            if field.buf != BufId::FRAME {
                write!(line, " {:?}:{}", event.buffer_kind(field.buf), field.buf.0).unwrap();
            }
            let bytes = field.bytes();
            write!(line, " {}..{}", bytes.start, bytes.end).unwrap();
            if field.start % 8 != 0 || field.bits % 8 != 0 {
                write!(line, " bits {}+{}", field.start % 8, field.bits).unwrap();
            }
            match show(field.value(event.bytes(field.buf))) {
                value if value.is_empty() => {}
                value if value.len() > 40 => write!(line, " = {:.36}…", value).unwrap(),
                value => write!(line, " = {value}").unwrap(),
            }
            writeln!(text, "{line}").unwrap();
        }
        for note in event.notes_of(index) {
            writeln!(text, "  note {} {:?}", note.def.key, note.value).unwrap();
        }
    }
    for stop in event.stops {
        let layer = event.layers[usize::from(stop.layer)].def.key;
        writeln!(
            text,
            "stop in {layer}: {} at {} of {:?}: needs {}, has {}: {:?}",
            stop.def.key,
            stop.offset,
            event.buffer_kind(stop.buf),
            stop.need,
            stop.have,
            stop.why
        )
        .unwrap();
    }
    for id in 0..event.buffer_count() {
        for gap in event.gaps(BufId(id as u16)) {
            writeln!(
                text,
                "gap in {:?}: {}..{}",
                event.buffer_kind(BufId(id as u16)),
                gap.start,
                gap.end
            )
            .unwrap();
        }
    }
    text
}

/// A small generator of numbers (xorshift), so that a shuffle is the same every time.
pub struct Random(pub u64);

impl Random {
    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}

/// Moves frames within windows of `window` frames, and repeats one in ten; the first `keep` stay where they are.
pub fn shuffled(frames: &[Vec<u8>], keep: usize, window: usize, seed: u64) -> Vec<Vec<u8>> {
    let mut random = Random(seed);
    let mut shuffled: Vec<Vec<u8>> = frames[..keep].to_vec();
    for part in frames[keep..].chunks(window) {
        let mut part = part.to_vec();
        for i in 0..part.len() {
            if random.below(10) == 0 {
                part.push(part[i].clone());
            }
        }
        for i in (1..part.len()).rev() {
            let j = random.below(i + 1);
            part.swap(i, j);
        }
        shuffled.extend(part);
    }
    shuffled
}

/// Frames of every layer that is not the chat's: the golden ones, a datagram in fragments of either version of IP, and a
/// talk of HTTP and one of DNS over TCP. Each with the number of its link.
pub fn other_traffic() -> Vec<(u16, Vec<u8>)> {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let mut files: Vec<_> = std::fs::read_dir(golden)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "hex"))
        .collect();
    files.sort();
    let mut frames = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        let link = text.lines().find_map(|line| line.strip_prefix("# link: "));
        frames.push((
            link.map_or(101, |number| number.parse().unwrap()),
            unhex(&text),
        ));
    }
    let datagram = [
        &[0x03, 0xe8, 0x00, 0x35, 0x03, 0x10, 0, 0],
        [7; 776].as_slice(),
    ]
    .concat();
    for (at, piece) in datagram.chunks(392).enumerate() {
        let (at, more) = ((at * 392) as u16, u16::from(at == 0));
        let mut v4 = unhex("4500 0000 0009 0000 4011 0000 01020304 05060708");
        v4[2..4].copy_from_slice(&(piece.len() as u16 + 20).to_be_bytes());
        v4[6..8].copy_from_slice(&((at / 8) | (more << 13)).to_be_bytes());
        v4.extend(piece);
        frames.push((101, v4));
        let mut v6 = unhex(
            "60000000 0000 2c40 20010db800000000000000000000000a 20010db800000000000000000000000b 1100 0000 00000009",
        );
        v6[4..6].copy_from_slice(&(piece.len() as u16 + 8).to_be_bytes());
        v6[42..44].copy_from_slice(&(at | more).to_be_bytes());
        v6.extend(piece);
        frames.push((101, v6));
    }
    let http = [
        (
            Client,
            b"GET /a?b HTTP/1.1\r\nHost: x\r\n\r\nHEAD / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc".to_vec(),
        ),
        (
            Server,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\nT: 1\r\n\r\n\
              HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.0 200 OK\r\n\r\nuntil the end".to_vec(),
        ),
    ];
    let question = b"\x00\x1d\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\x01\0\x01";
    for (port, talk) in [
        (1234, http.to_vec()),
        (53, vec![(Client, question.to_vec())]),
    ] {
        let mut ends = Ends::new(40_000, port);
        let mut segments = ends.open();
        segments.extend(ends.data(&talk, 60));
        frames.extend(segments.into_iter().map(|segment| (101, segment)));
    }
    frames
}
