//! Any bytes as a capture file: read in blocks and in small steps with the same result, its packets through a session, and
//! written and read again.
#![no_main]

use std::io::{self, Cursor, Read};

use layerwise::file::{Item, Reader, Writer};
use layerwise::session::Session;
use layerwise_fuzz::check;
use libfuzzer_sys::fuzz_target;

/// What was found: packets (time, link, length on the wire, bytes), secrets and comments, and how it ended.
#[derive(Debug, Default, PartialEq)]
struct Found {
    packets: Vec<(u64, u16, u32, Vec<u8>)>,
    texts: Vec<Vec<u8>>,
    end: Option<String>,
}

fuzz_target!(|bytes: &[u8]| {
    let mut session = Session::new();
    let found = read(bytes, usize::MAX, Some(&mut session));
    assert_eq!(found, read(bytes, 7, None), "the steps make no difference");

    let mut file = Vec::new();
    let mut writer = Writer::new("file", Box::new(&mut file)).expect("memory can be written");
    for (number, (time, link, wire_len, data)) in found.packets.iter().enumerate() {
        let link = layerwise::packet::LinkType(*link);
        let interface = writer.interface("name", link).expect("it is a pcapng");
        let frame = layerwise::packet::Frame {
            time: layerwise::packet::Time(*time),
            link,
            ..check::frame(number as u64 + 1, data, *wire_len as usize)
        };
        writer.packet(interface, &frame, [b"words".as_slice()]).expect("memory can be written");
    }
    writer.flush().expect("memory can be written");
    drop(writer);
    let again = read(&file, usize::MAX, None);
    assert_eq!(again.end, None);
    assert_eq!(again.packets, found.packets);
});

fn read(bytes: &[u8], step: usize, mut session: Option<&mut Session>) -> Found {
    let mut found = Found::default();
    let mut reader = match Reader::new("file", Steps(Cursor::new(bytes.to_vec()), step)) {
        Ok(reader) => reader,
        Err(error) => {
            found.end = Some(error.to_string());
            return found;
        }
    };
    // A bomb is only long, and its packets are told one by one: some are enough.
    while found.packets.len() < 2000 && found.texts.len() < 2000 {
        match reader.next() {
            Ok(Some(Item::Packet(packet))) => {
                let frame = packet.frame;
                if let Some(session) = &mut session {
                    check::event(&session.push(frame));
                }
                found.packets.push((frame.time.0, frame.link.0, frame.wire_len, frame.data.to_vec()));
                found.texts.extend(packet.comments.map(<[u8]>::to_vec));
            }
            Ok(Some(Item::Secret(line))) => {
                if let Some(session) = &mut session {
                    let _ = session.keylog_line(line);
                }
                found.texts.push(line.as_bytes().to_vec());
            }
            Ok(Some(Item::Comments(comments))) => found.texts.extend(comments.map(<[u8]>::to_vec)),
            Ok(Some(Item::Wait)) => {}
            Ok(None) => break,
            Err(error) => {
                found.end = Some(error.to_string());
                break;
            }
        }
    }
    found
}

/// Gives at most so many bytes at once.
struct Steps(Cursor<Vec<u8>>, usize);

impl Read for Steps {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = buf.len().min(self.1);
        self.0.read(buf.get_mut(..len).unwrap_or_default())
    }
}
