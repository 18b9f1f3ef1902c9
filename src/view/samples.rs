//! What the tests of the views print: frames, and a glossary that no later wording changes.

use crate::layers;
use crate::packet::{
    BufId, BufKind, Buffers, Context, Event, Frame, Labels, LinkType, Piece, Time,
};
use crate::session::Session;
use crate::text::Glossary;
use crate::view::paint::Out;
use crate::wire::memory::{Config, Memory};
use crate::wire::{Script, Seen};

/// IPv4 and TCP with a timestamps option, and three bytes of data.
pub(crate) const SEGMENT: &[u8] = &[
    0x45, 0x00, 0x00, 0x37, 0x00, 0x07, 0x40, 0x00, 0x40, 0x06, 0x2a, 0xa7, 0x01, 0x02, 0x03, 0x04,
    0x05, 0x06, 0x07, 0x08, // IPv4
    0xc0, 0x00, 0x1f, 0x90, 0x00, 0x00, 0x00, 0x2a, 0x00, 0x00, 0x01, 0x00, 0x80, 0x18, 0x02, 0x00,
    0x11, 0x78, 0x00, 0x00, // TCP
    0x01, 0x01, 0x08, 0x0a, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x02, // its options
    b'h', b'i', b'\n',
];

const WORDS: &str = r#"
["ip"]
name = "Internet Protocol, version 4"
short = "Carries a packet from one address to another, across however many networks lie between."
rfc = "RFC 791"
["ip.version"]
name = "Version"
short = "Which Internet Protocol this is."
["ip.hdr_len"]
name = "Header length"
unit = "bytes"
["ip.dsfield"]
name = "Differentiated services"
["ip.dsfield.dscp"]
name = "Code point"
["ip.dsfield.dscp".values]
0 = "CS0"
["ip.dsfield.ecn"]
name = "Congestion"
["ip.dsfield.ecn".values]
0 = { name = "Not-ECT", text = "The sender does not take part." }
["ip.len"]
name = "Total length"
unit = "bytes"
short = "Header and data together."
["ip.id"]
name = "Identification"
short = "The fragments of one packet share it."
["ip.flags"]
name = "Flags"
["ip.flags.rb"]
name = "Reserved"
["ip.flags.df"]
name = "Don't fragment"
short = "Throw it away rather than cut it in pieces."
["ip.flags.mf"]
name = "More fragments"
["ip.frag_offset"]
name = "Fragment offset"
unit = "bytes"
["ip.ttl"]
name = "Time to live"
short = "How many more routers may pass this packet on."
why = "Each router takes one off; at zero the packet is thrown away, so that no packet circles for ever."
rfc = "RFC 791, section 3.1"
["ip.proto"]
name = "Protocol"
short = "What the data is."
["ip.proto".values]
6 = "TCP"
["ip.checksum"]
name = "Header checksum"
["ip.checksum.status"]
name = "Checksum verdict"
["ip.checksum.status".values]
0 = { name = "bad", text = "The bytes are not those that were sent." }
1 = { name = "good", text = "The bytes are those that were sent." }
2 = "unverified"
["ip.checksum_calculated"]
name = "Checksum that fits"
["ip.src"]
name = "Source address"
["ip.dst"]
name = "Destination address"
["tcp"]
name = "Transmission Control Protocol"
["tcp.srcport"]
name = "Source port"
["tcp.dstport"]
name = "Destination port"
["tcp.seq_raw"]
name = "Sequence number"
short = "The number of the first byte of data, counted from a start that the sender chose."
["tcp.ack_raw"]
name = "Acknowledgment number"
["tcp.hdr_len"]
name = "Data offset"
unit = "bytes"
["tcp.flags"]
name = "Flags"
["tcp.flags.res"]
name = "Reserved"
["tcp.flags.ae"]
name = "Accurate ECN"
["tcp.flags.cwr"]
name = "CWR"
["tcp.flags.ece"]
name = "ECN echo"
["tcp.flags.urg"]
name = "Urgent"
["tcp.flags.ack"]
name = "Acknowledgment"
["tcp.flags.push"]
name = "Push"
["tcp.flags.reset"]
name = "Reset"
["tcp.flags.syn"]
name = "Synchronize"
["tcp.flags.fin"]
name = "Finish"
["tcp.window_size_value"]
name = "Window"
["tcp.checksum"]
name = "Checksum"
["tcp.checksum.status"]
name = "Checksum verdict"
["tcp.checksum.status".values]
0 = "bad"
1 = "good"
2 = { name = "unverified", text = "Not all bytes that it covers are here." }
["tcp.checksum_calculated"]
name = "Checksum that fits"
["tcp.urgent_pointer"]
name = "Urgent pointer"
["tcp.options"]
name = "Options"
["tcp.options.nop"]
name = "No operation"
["tcp.options.timestamp"]
name = "Timestamps"
["tcp.option_kind"]
name = "Kind"
["tcp.option_len"]
name = "Length"
["tcp.options.timestamp.tsval"]
name = "Value"
["tcp.options.timestamp.tsecr"]
name = "Echo"
["tcp.len"]
name = "Data"
unit = "bytes"
["chat"]
name = "Chat"
["chat.text"]
name = "Text"
["chat.newline"]
name = "End of message"
["stop.short"]
short = "{layer} stops: {field}, at byte {offset}, needs {need} bytes, and there are {have}."
["stop.cut_off"]
short = "{layer} stops: {field}, at byte {offset}, needs {need} bytes; the capture kept {have} of them."
"#;

/// The words of the screen, and the fixed ones above.
pub(crate) fn glossary() -> Glossary {
    let mut glossary = Glossary::default();
    for (file, text) in crate::text::ENGLISH {
        if *file == "screen.toml" {
            glossary.add(file, text).unwrap();
        }
    }
    glossary.add("samples", WORDS).unwrap();
    glossary
}

/// Everything that an event borrows.
#[derive(Debug)]
pub(crate) struct Sample {
    data: Vec<u8>,
    wire_len: u32,
    pub(crate) labels: Labels,
    pub(crate) buffers: Buffers,
}

impl Sample {
    /// The headers of one frame.
    pub(crate) fn of(data: &[u8], wire_len: usize) -> Self {
        let mut sample = Self {
            data: data.to_vec(),
            wire_len: wire_len as u32,
            labels: Labels::default(),
            buffers: Buffers::default(),
        };
        let mut labels = Labels::default();
        layers::decode(&sample.event().frame, &mut labels, &mut Context::default());
        sample.labels = labels;
        sample
    }

    /// The same, with the chat message that its data ends: it came in two segments.
    pub(crate) fn with_chat(mut self, before: &[u8], at: usize) -> Self {
        let buffers = &mut self.buffers;
        buffers.arena.extend_from_slice(before);
        buffers.arena.extend_from_slice(&self.data[at..]);
        for (frame, at, into, len) in [
            (3, 52, 0, before.len()),
            (4, at, before.len(), self.data.len() - at),
        ] {
            buffers.pieces.push(Piece {
                frame,
                at: at as u32,
                into: into as u32,
                len: len as u32,
            });
        }
        let id = buffers.close(BufKind::Stream, 0, 0).unwrap();
        let layers::Decode::Stream(stream) = layers::chat::PROTOCOL.decode else {
            unreachable!()
        };
        layers::begin(&mut self.labels, layers::chat::PROTOCOL.def, id, 0);
        let bytes = buffers.arena.clone();
        let mut context = Context::default();
        let mut cursor = crate::cursor::Cursor::new(
            &bytes,
            id,
            0..bytes.len(),
            crate::packet::Why::Short,
            &mut self.labels,
            &mut context,
        );
        (stream.decode)(&mut cursor).unwrap();
        layers::finish(&mut self.labels, bytes.len());
        assert_eq!(id, BufId(1));
        self
    }

    /// The event.
    pub(crate) fn event(&self) -> Event<'_> {
        Event {
            frame: Frame {
                number: 4,
                time: Time(1_060_213_000),
                link: LinkType::RAW,
                data: &self.data,
                wire_len: self.wire_len,
            },
            first: Time(0),
            before: Time(1_000_000_000),
            layers: &self.labels.layers,
            fields: &self.labels.fields,
            notes: &self.labels.notes,
            stops: &self.labels.stops,
            said: &self.labels.said,
            buffers: &self.buffers,
        }
    }
}

/// What was written.
pub(crate) fn text(out: &Out) -> &str {
    str::from_utf8(out.bytes()).unwrap()
}

/// The same without its colours.
pub(crate) fn strip(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut plain = parts.next().unwrap().to_owned();
    for part in parts {
        plain.push_str(part.split_once('m').unwrap().1);
    }
    plain
}

/// Every packet of a chat of many short and long messages, repeated from `words`, opened; gives how many there were.
pub(crate) fn chat(words: &str, mut each: impl FnMut(&Event<'_>)) -> u64 {
    let messages = (0..30_usize).map(|n| words.repeat(n * n % 17 * (n % 5)));
    let script = Script {
        messages: messages.collect(),
        ..Script::default()
    };
    let (mut session, mut number) = (Session::new(), 0);
    for seen in Memory::new(&Config::default(), &script).unwrap() {
        match seen.unwrap() {
            Seen::Key { line, .. } => session.keylog_line(&line).unwrap(),
            Seen::Packet(packet) => {
                number += 1;
                each(&session.push(Frame {
                    number,
                    time: packet.sent,
                    link: LinkType::RAW,
                    wire_len: packet.bytes.len() as u32,
                    data: &packet.bytes,
                }));
            }
            _ => {}
        }
    }
    number
}
