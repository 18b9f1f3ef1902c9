//! The chat's own protocol, the application layer of the demonstration: lines of UTF-8 text, each ended by a newline.
//!
//! ```text
//! +--------+--------+--------+
//! |  'h'   |  'i'   |  '\n'  |
//! +--------+--------+--------+
//! ```

use super::{Bind, Decode, Framing, Protocol, Stream, Talk};
use crate::cursor::{Cursor, Read};

fields! {
    CHAT = "chat" Layer;
    TEXT = "chat.text" Text;
    NEWLINE = "chat.newline" Hex;
}

/// The chat.
pub static PROTOCOL: Protocol = Protocol {
    def: &CHAT,
    fields: &[FIELDS],
    binds: &[Bind::TcpPort(8080)],
    decode: Decode::Stream(Stream {
        next,
        decode,
        recognise,
        part: None,
    }),
};

/// A message ends with its newline.
fn next(bytes: &[u8], searched: usize, _: &mut Talk) -> Framing {
    let new = bytes.get(searched..).unwrap_or(&[]);
    match memchr::memchr(b'\n', new) {
        Some(at) => Framing::Whole(searched + at + 1),
        None => Framing::More,
    }
}

/// Text: UTF-8, whose last character may not be all there yet. Control characters are the speaker's own business, but
/// for NUL, which no text has and binary protocols are full of.
fn recognise(bytes: &[u8]) -> bool {
    let utf8 = std::str::from_utf8(bytes).map_or_else(|e| e.error_len().is_none(), |_| true);
    utf8 && !bytes.contains(&0)
}

/// Whether this is what the chat says on a port that is not known for it: whole lines of text, nothing but text, ended by
/// line feeds alone (most protocols of lines end them with CR LF, as RFC 9112 and RFC 5321 do), and no JSON.
#[must_use]
pub(crate) fn is_said(bytes: &[u8]) -> bool {
    let plain = |c: char| !c.is_control() || matches!(c, '\t' | '\n');
    bytes.ends_with(b"\n")
        && !matches!(bytes, [b'{' | b'[' | b'<' | b'\n', ..])
        && std::str::from_utf8(bytes).is_ok_and(|text| text.chars().all(plain))
}

fn decode(c: &mut Cursor<'_, '_>) -> Read<()> {
    let text = c.ahead().strip_suffix(b"\n");
    c.bytes(&TEXT, text.map_or(c.left(), <[u8]>::len))?;
    c.u8(&NEWLINE)?;
    Ok(())
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests {
    use super::super::testing::show;
    use super::*;
    use crate::packet::{BufId, Context, Labels, Stop, Why};

    fn read(bytes: &[u8]) -> (Vec<String>, Option<Stop>) {
        let (mut labels, mut context) = (Labels::default(), Context::default());
        let all = 0..bytes.len();
        let mut cursor = Cursor::new(
            bytes,
            BufId::FRAME,
            all,
            Why::Short,
            &mut labels,
            &mut context,
        );
        let stop = decode(&mut cursor).err();
        let fields = labels.fields.iter();
        let shown = fields.map(|f| format!("{} {}", f.def.key, show(f.value(bytes), f.def.kind)));
        (shown.collect(), stop)
    }

    #[test]
    fn a_message_is_text_and_a_newline() {
        assert_eq!(
            read(b"hi\n"),
            (vec!["chat.text hi".into(), "chat.newline 0xa".into()], None)
        );
        let (fields, _) = read("grüß dich 👋\n".as_bytes());
        assert_eq!(fields, ["chat.text grüß dich 👋", "chat.newline 0xa"]);
        assert_eq!(
            read(b"\n").0,
            ["chat.text ", "chat.newline 0xa"],
            "an empty message"
        );
    }

    #[test]
    fn without_its_newline_it_stops_there() {
        let (fields, stop) = read(b"hi");
        assert_eq!(fields, ["chat.text hi"]);
        let stop = stop.unwrap();
        assert_eq!(
            (stop.def.key, stop.offset, stop.need, stop.have),
            ("chat.newline", 2, 1, 0)
        );
    }

    #[test]
    fn a_message_ends_with_the_first_newline() {
        assert_eq!(next(b"", 0, &mut Talk::default()), Framing::More);
        assert_eq!(next(b"hi", 0, &mut Talk::default()), Framing::More);
        assert_eq!(next(b"hi\n", 2, &mut Talk::default()), Framing::Whole(3));
        assert_eq!(next(b"hi\n", 0, &mut Talk::default()), Framing::Whole(3));
        assert_eq!(
            next(b"hi\nthere\n", 0, &mut Talk::default()),
            Framing::Whole(3)
        );
        assert_eq!(next(b"\n", 0, &mut Talk::default()), Framing::Whole(1));
    }

    #[test]
    fn on_other_ports_only_lines_of_text_are_the_chat() {
        assert!(is_said(b"hi\n") && is_said("grüß dich 👋\nund du\n".as_bytes()));
        for other in [
            &b"hi"[..],
            b"EHLO example.com\r\n",
            b"{\"id\":1}\n",
            b"\x1b[2J\n",
            b"a\0b\n",
            b"\xff\n",
            b"\n",
            b"",
        ] {
            assert!(!is_said(other), "{other:?}");
        }
    }

    #[test]
    fn text_is_recognised() {
        assert!(recognise(b"hi\n"));
        assert!(recognise("a\tb\r\nü".as_bytes()));
        assert!(
            recognise(&"👋".as_bytes()[..3]),
            "the rest of the character is in the next segment"
        );
        assert!(recognise(b"\x1b[2J\n"), "anything may be said");
        assert!(!recognise(b"\x16\x03\x01\x00\x10"), "a TLS record");
        assert!(!recognise(b"\xff\xfe"));
        assert!(!recognise(b"a\xc3("));
    }
}
