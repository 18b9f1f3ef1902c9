//! Writes the seeds of every target, from the packets of one chat on the memory wire with seed 0:
//! `cargo run --manifest-path fuzz/Cargo.toml --example seeds`, when the chat or what a target reads has changed.

use std::fs;
use std::path::Path;

use etherparse::{Ipv6Extensions, PacketBuilder, SlicedPacket, TcpOptionElement, TransportSlice};
use layerwise::file::Writer;
use layerwise::layers::tls::{self, handshake};
use layerwise::packet::{BufId, BufKind, Event, Fact, LinkType};
use layerwise::session::Session;
use layerwise::wire::memory::{Config, Memory};
use layerwise::wire::{Host, Script, Seen};
use layerwise_fuzz::{check, input};

/// The chat as capture files: pcapng with comments and secrets, the same with the other byte order in front and blocks of
/// other kinds, and a pcap.
fn captures(chat: &Chat) -> Vec<(&'static str, Vec<u8>)> {
    let mut file = Vec::new();
    let mut writer = Writer::new("chat", Box::new(&mut file)).expect("memory can be written");
    let wire = writer
        .interface("memory", LinkType::RAW)
        .expect("memory can be written");
    for line in chat.keys.lines() {
        writer.secret(line).expect("memory can be written");
    }
    for (number, (_, packet)) in chat.packets.iter().enumerate() {
        let frame = check::frame(number as u64 + 1, packet, packet.len());
        writer
            .packet(wire, &frame, [b"words".as_slice()])
            .expect("memory can be written");
    }
    writer.flush().expect("memory can be written");
    drop(writer);

    let mut blocks = Vec::new();
    let block = |kind: u32, body: &[u8]| {
        let len = (body.len() as u32 + 12).to_be_bytes();
        [&kind.to_be_bytes(), &len, body, &len].concat()
    };
    let section = [0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    blocks.extend(block(0x0a0d_0d0a, &section));
    blocks.extend(block(1, &[0, 101, 0, 0, 0, 0, 1, 0, 0, 9, 0, 1, 0x8a, 0, 0, 0]));
    blocks.extend(block(3, &[0, 0, 0, 4, 0x45, 0, 0, 4]));
    blocks.extend(block(2, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2, 0x60, 0, 0, 0]));
    blocks.extend(block(4, &[0, 1, 0, 6, 1, 2, 3, 4, b'a', 0, 0, 0, 0, 0, 0, 0]));
    blocks.extend(block(5, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 8, 0, 0, 0, 0, 0, 0, 0, 3]));
    blocks.extend(block(99, &[0; 8]));

    let mut pcap = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 101, 0, 0, 0];
    for (_, packet) in chat.packets.iter().take(6) {
        pcap.extend([1, 0, 0, 0, 2, 0, 0, 0]);
        pcap.extend((packet.len() as u32).to_le_bytes());
        pcap.extend((packet.len() as u32).to_le_bytes());
        pcap.extend(packet);
    }
    vec![("chat", [&blocks[..], &file].concat()), ("pcap", pcap)]
}

/// The content type of a record that holds handshake messages.
const HANDSHAKE: u8 = 22;

fn main() {
    let script = Script {
        messages: vec!["hi".into(), "Grüße".into()],
        ..Script::default()
    };
    let chat = Chat::play(&script);

    let [from_a, from_b] = &chat.streams;
    let (client_hello, server_hello) = (record(from_a), record(from_b));
    write("key.log", chat.keys.as_bytes());
    write("client_hello", client_hello);
    write("server_hello", server_hello);

    for (number, packet) in chat.packets.iter().map(|(_, packet)| packet).enumerate() {
        // A SYN, its answer, a hello in two parts, and some of the rest are enough.
        if number < 6 || number % 5 == 0 {
            write(
                &format!("frame/chat-{number:02}"),
                &[&[0, 0], &packet[..]].concat(),
            );
        }
    }
    for (name, packet) in headers() {
        write(&format!("frame/{name}"), &[&[0, 0], &packet[..]].concat());
        write(
            &format!("frame/{name}-cut"),
            &[&[9, 0], &packet[..packet.len() - 9]].concat(),
        );
    }

    golden();

    let (mut session, mut stream) = (Vec::new(), Vec::new());
    for (host, packet) in &chat.packets {
        input::join(&mut session, 0, packet);
        let payload = payload(packet);
        if !payload.is_empty() {
            input::join(&mut stream, u8::from(*host == Host::B), payload);
        }
    }
    for (name, file) in captures(&chat) {
        write(&format!("file/{name}"), &file);
    }
    write("session/chat", &session);
    write("stream/chat", &stream);
    write("views/chat", &[&[0b1000], &session[..]].concat());
    write("views/chat-deep", &[&[0b11_1001], &session[..]].concat());
    write("views/chat-plain", &[&[0b10_1010], &session[..]].concat());
    write("views/chat-narrow", &[&[0b1_1100], &session[..]].concat());
    // A's hello in four segments, the third before the second, the fourth twice.
    let quarter = client_hello.len() / 4;
    let mut disorder = Vec::new();
    input::join(&mut disorder, 0, &client_hello[..quarter]);
    input::join(&mut disorder, 0x0c, &client_hello[quarter + 1..]);
    input::join(&mut disorder, 0, &client_hello[quarter..]);
    input::join(&mut disorder, 1, server_hello);
    write("stream/disorder", &disorder);
    write(
        "stream/tls12",
        &tls12(client_hello, server_hello, &chat.certificate),
    );

    let mut sealed = Vec::new();
    for (control, inner) in &chat.inner {
        input::join(&mut sealed, *control, inner);
    }
    // Both sides update their keys; the next record is sealed with the new ones.
    input::join(&mut sealed, 0, &[24, 0, 0, 1, 0, HANDSHAKE]);
    input::join(&mut sealed, 4, b"after the update\n\x17");
    write("sealed/chat", &sealed);

    let hellos = [client_hello, server_hello].map(|record| &record[5..]);
    for message in hellos
        .into_iter()
        .chain(chat.messages.iter().map(Vec::as_slice))
    {
        write(
            &format!("handshake/tls13-{:02}", message[0]),
            &[&[1], message].concat(),
        );
        write(
            &format!("handshake/tls12-{:02}", message[0]),
            &[&[0], message].concat(),
        );
    }
    write("certificate/chat", &chat.certificate);
    write("keylog/chat", chat.keys.as_bytes());
    write(
        "keylog/tls12",
        format!(
            "# a comment\n\nCLIENT_RANDOM {} {}\n",
            "a5".repeat(32),
            "5A".repeat(48)
        )
        .as_bytes(),
    );
}

/// What one chat leaves.
#[derive(Default)]
struct Chat {
    keys: String,
    packets: Vec<(Host, Vec<u8>)>,
    streams: [Vec<u8>; 2],
    /// The inner plaintexts of the records that opened, each with the control byte for the target `sealed`.
    inner: Vec<(u8, Vec<u8>)>,
    messages: Vec<Vec<u8>>,
    certificate: Vec<u8>,
}

impl Chat {
    fn play(script: &Script) -> Self {
        let mut chat = Self::default();
        let mut session = Session::new();
        for seen in Memory::new(&Config::default(), script).expect("the wire can be set up") {
            match seen.expect("the chat goes well") {
                Seen::Key { line, .. } => {
                    session
                        .keylog_line(&line)
                        .expect("a key log line is well-formed");
                    chat.keys += &line;
                    chat.keys.push('\n');
                }
                Seen::Packet(packet) => {
                    let number = chat.packets.len() as u64 + 1;
                    let event =
                        session.push(check::frame(number, &packet.bytes, packet.bytes.len()));
                    chat.opened(&event, packet.from);
                    chat.streams[usize::from(packet.from == Host::B)]
                        .extend(payload(&packet.bytes));
                    chat.packets.push((packet.from, packet.bytes));
                }
                Seen::Chat { .. } | Seen::Kernel { .. } | Seen::Released { .. } => {}
            }
        }
        chat
    }

    fn opened(&mut self, event: &Event<'_>, from: Host) {
        let fact = |layer, def| {
            event
                .notes_of(layer)
                .find(|n| std::ptr::eq(n.def, def))
                .map(|n| n.value)
        };
        let records = (0..event.layers.len())
            .filter(|layer| fact(*layer, &tls::OPENED) == Some(tls::opened::VERIFIED));
        let plains = (0..event.buffer_count() as u16)
            .map(BufId)
            .filter(|id| event.buffer_kind(*id) == BufKind::Plain);
        for (layer, id) in records.zip(plains) {
            let application = fact(layer, &tls::SECRET) == Some(tls::secret::CLIENT_TRAFFIC)
                || fact(layer, &tls::SECRET) == Some(tls::secret::SERVER_TRAFFIC);
            let first = application && fact(layer, &tls::SEQUENCE) == Some(Fact::Uint(0));
            let control = u8::from(from == Host::B) | u8::from(first) << 1;
            let inner = event.bytes(id);
            self.inner.push((control, inner.to_vec()));
            let Some((&HANDSHAKE, mut content)) = inner.split_last() else {
                continue;
            };
            while let Some(len) = handshake::length(content).filter(|len| *len <= content.len()) {
                let (message, rest) = content.split_at(len);
                if message[0] == handshake::kind::CERTIFICATE {
                    // Type and length, an empty context, the list's length, the first certificate with its own.
                    let len = usize::from(message[9]) << 8 | usize::from(message[10]);
                    self.certificate = message[11..11 + len].to_vec();
                }
                self.messages.push(message.to_vec());
                content = rest;
            }
        }
    }
}

/// Packets with headers that the chat has not.
fn headers() -> Vec<(&'static str, Vec<u8>)> {
    let options = [
        TcpOptionElement::MaximumSegmentSize(1460),
        TcpOptionElement::SelectiveAcknowledgementPermitted,
        TcpOptionElement::Timestamp(1, 2),
        TcpOptionElement::WindowScale(7),
        TcpOptionElement::SelectiveAcknowledgement((1, 2), [Some((3, 4)), None, None]),
    ];
    let (a, b) = ([1, 2, 3, 4], [5, 6, 7, 8]);
    let mut v4 = Vec::new();
    let mut ip = etherparse::Ipv4Header::new(0, 64, etherparse::ip_number::TCP, a, b)
        .expect("a length of zero fits");
    // Router alert, record route with room for two, end of options.
    ip.options = [148, 4, 0, 0, 7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0].into();
    let ip = etherparse::IpHeaders::Ipv4(ip, etherparse::Ipv4Extensions::default());
    let tcp = PacketBuilder::ip(ip).tcp(49152, 8080, 1, 65_535).syn();
    tcp.options(&options[..4])
        .expect("the options fit")
        .write(&mut v4, b"")
        .expect("the packet fits");
    let (a, b) = ([0x20; 16], [0xfd; 16]);
    let mut v6 = Vec::new();
    let ip = etherparse::Ipv6Header {
        hop_limit: 64,
        source: a,
        destination: b,
        ..Default::default()
    };
    let routing =
        etherparse::Ipv6RawExtHeader::new_raw(etherparse::IpNumber(0), &[3, 0, 0, 0, 0, 0])
            .expect("it fits");
    let hop_by_hop =
        etherparse::Ipv6RawExtHeader::new_raw(etherparse::IpNumber(0), &[5, 2, 0, 0, 1, 0])
            .expect("it fits");
    let extensions = Ipv6Extensions {
        hop_by_hop_options: Some(hop_by_hop),
        routing: Some(etherparse::Ipv6RoutingExtensions {
            routing,
            final_destination_options: None,
        }),
        ..Default::default()
    };
    let tcp = PacketBuilder::ip(etherparse::IpHeaders::Ipv6(ip, extensions))
        .tcp(49152, 8080, 1, 65_535)
        .ack(9);
    tcp.options(&options[2..5])
        .expect("the options fit")
        .write(&mut v6, b"hi\n")
        .expect("the packet fits");
    vec![("ipv4-options", v4), ("ipv6-extensions", v6)]
}

/// A conversation that turns to TLS 1.2: there, the certificate goes in the clear.
fn tls12(client_hello: &[u8], server_hello: &[u8], certificate: &[u8]) -> Vec<u8> {
    // Up to and with the cipher suite and the compression; then no extensions.
    let mut hello = server_hello[5 + 4..5 + 4 + 2 + 32].to_vec();
    hello.extend([0, 0xc0, 0x2f, 0]);
    let length = |len: usize| (len as u32).to_be_bytes()[1..].to_vec();
    let list = [length(certificate.len()), certificate.to_vec()].concat();
    let body = [length(list.len()), list].concat();
    let message = |kind: u8, body: &[u8]| [vec![kind], length(body.len()), body.to_vec()].concat();
    let record = |kind: u8, body: &[u8]| {
        [&[kind, 3, 3], &(body.len() as u16).to_be_bytes()[..], body].concat()
    };
    let mut input = Vec::new();
    input::join(&mut input, 0, client_hello);
    let flight = [message(2, &hello), message(11, &body), message(14, &[])].concat();
    input::join(&mut input, 1, &record(HANDSHAKE, &flight));
    input::join(
        &mut input,
        0,
        &[
            record(20, &[1]),
            record(HANDSHAKE, &[0xee; 40]),
            record(23, &[0xdd; 30]),
        ]
        .concat(),
    );
    input::join(&mut input, 1, &record(21, &[2, 40]));
    input
}

/// The first record of a stream.
fn record(stream: &[u8]) -> &[u8] {
    &stream[..5 + usize::from(u16::from_be_bytes([stream[3], stream[4]]))]
}

fn payload(packet: &[u8]) -> &[u8] {
    match SlicedPacket::from_ip(packet)
        .expect("the wire's packets are right")
        .transport
    {
        Some(TransportSlice::Tcp(tcp)) => tcp.payload(),
        _ => panic!("the wire carries TCP alone"),
    }
}

/// The golden frames of the tests, each with the number of its link: every layer there is.
fn golden() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    for entry in fs::read_dir(folder).expect("the golden frames are there") {
        let path = entry.expect("the folder can be read").path();
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if path.extension().is_none_or(|extension| extension != "hex") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("it is text");
        let (mut control, mut digits) = (1, String::new());
        for line in text.lines() {
            match line.strip_prefix("# link: ") {
                // The places of these numbers in the target's list.
                Some("1") => control = 0,
                Some("113") => control = 2,
                Some("276") => control = 3,
                Some("0") => control = 4,
                _ => digits.extend(line.split('#').next().unwrap_or("").split_whitespace()),
            }
        }
        let byte = |at: usize| {
            digits
                .get(at..at + 2)
                .and_then(|d| u8::from_str_radix(d, 16).ok())
        };
        let bytes: Vec<u8> = (0..digits.len()).step_by(2).filter_map(byte).collect();
        let mut seed = Vec::new();
        input::join(&mut seed, control, &bytes);
        write(&format!("link/{name}"), &seed);
    }
}

fn write(name: &str, bytes: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("seeds")
        .join(name);
    fs::create_dir_all(path.parent().expect("it is in a folder")).expect("the folder can be made");
    fs::write(&path, bytes).expect("the seed can be written");
}
