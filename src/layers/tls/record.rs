//! The record layer (RFC 8446, section 5): everything TLS sends is cut into records with a five-byte header.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------+-------------------------------+---------------+
//! | Content Type  |        Legacy Version         |    Length     |
//! +---------------+-------------------------------+---------------+
//! |Length (cont.) |     Fragment, plain or encrypted and tagged    …
//! +---------------+-----------------------------------------------+
//!
//! inside, once a TLS 1.3 record is opened (section 5.2):
//! +-----------------------------------------------+-------+-------+
//! |                    Content                    | Type  | Zeros |
//! +-----------------------------------------------+-------+-------+
//! ```

use super::super::Framing;
use crate::cursor::shape::{Part, Shape, field, lay_out};
use crate::cursor::{Cursor, Read};
use crate::packet::{FieldDef, Why};

fields! {
    CONTENT_TYPE = "tls.record.content_type" Uint;
    OPAQUE_TYPE = "tls.record.opaque_type" Uint;
    VERSION = "tls.record.version" Hex;
    LENGTH = "tls.record.length" Uint;
    PADDING = "tls.record.padding" Bytes;
    PADDING_LENGTH = "tls.record.padding_len" Uint;
}

/// How long a record's header is, in bytes.
pub const HEADER_LEN: usize = 5;

/// The longest fragment of a record, in bytes: 2^14 and what TLS 1.2 lets protection add (RFC 5246, section 6.2.3;
/// TLS 1.3 adds at most 256).
pub const MAX_FRAGMENT: usize = (1 << 14) + 2048;

/// Values of `tls.record.content_type` (RFC 8446, section 5.1, and RFC 6520).
pub mod content_type {
    /// From here on the sender uses the new keys (TLS 1.2); means nothing in TLS 1.3.
    pub const CHANGE_CIPHER_SPEC: u8 = 20;
    /// A warning, an error, or the end.
    pub const ALERT: u8 = 21;
    /// Handshake messages.
    pub const HANDSHAKE: u8 = 22;
    /// What the application said; in TLS 1.3 also everything else that is encrypted.
    pub const APPLICATION_DATA: u8 = 23;
    /// A sign of life.
    pub const HEARTBEAT: u8 = 24;
}

/// What a record's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// One of [`content_type`].
    pub content_type: u8,
    /// The version field, which TLS 1.3 leaves at that of TLS 1.2.
    pub version: u16,
    /// How long the fragment is, in bytes.
    pub len: u16,
}

/// Where the record at the front of `bytes` ends; [`Framing::Whole`] only when all of it is there.
#[must_use]
pub fn next(bytes: &[u8]) -> Framing {
    if !plausible(bytes) {
        return Framing::NotMine;
    }
    match bytes {
        [_, _, _, high, low, rest @ ..] => {
            let len = usize::from(u16::from_be_bytes([*high, *low]));
            if rest.len() < len {
                Framing::More
            } else {
                Framing::Whole(HEADER_LEN + len)
            }
        }
        _ => Framing::More,
    }
}

/// Whether a stream that begins with these bytes can be TLS: a record header, and if the record is a handshake record,
/// a ClientHello or a ServerHello in it. Only what is there is judged; of no bytes nothing can be said.
#[must_use]
pub fn recognise(bytes: &[u8]) -> bool {
    if bytes.is_empty() || !plausible(bytes) {
        return false;
    }
    match (bytes.first(), bytes.get(HEADER_LEN)) {
        (Some(&content_type::HANDSHAKE), Some(message)) => matches!(message, 1 | 2),
        _ => true,
    }
}

/// How many bytes of a stream tell whether a ClientHello begins here.
pub const HELLO_LEN: usize = 11;

/// Whether a ClientHello begins here: a record header, a handshake header that may be in it, a version. This is so little
/// likely by chance that a stream may be searched for it. `None` while there are too few bytes to say.
#[must_use]
pub fn begins_client_hello(bytes: &[u8]) -> Option<bool> {
    let fits = |at: usize, range: core::ops::RangeInclusive<u8>| {
        bytes.get(at).is_none_or(|byte| range.contains(byte))
    };
    // RFC 8446, section 4.1.2: at least a version, a random, and three empty lists; and far below 2^16 bytes.
    let shape = fits(0, 22..=22)
        && fits(1, 3..=3)
        && fits(2, 0..=4)
        && fits(5, 1..=1)
        && fits(6, 0..=0)
        && fits(9, 3..=3)
        && fits(10, 0..=4);
    match bytes {
        _ if !shape => Some(false),
        [_, _, _, a, b, _, _, c, d, _, _, ..] => {
            let record = usize::from(u16::from_be_bytes([*a, *b]));
            let hello = usize::from(u16::from_be_bytes([*c, *d]));
            Some((6..=MAX_FRAGMENT).contains(&record) && hello >= 38)
        }
        _ => None,
    }
}

/// Where in a run of bytes a ClientHello begins, or may begin: `Ok` when it does, `Err` when only the rest can tell.
#[must_use]
pub fn find_client_hello(bytes: &[u8]) -> Option<Result<usize, usize>> {
    memchr::memchr_iter(content_type::HANDSHAKE, bytes).find_map(|at| {
        match begins_client_hello(bytes.get(at..)?) {
            Some(true) => Some(Ok(at)),
            Some(false) => None,
            None => Some(Err(at)),
        }
    })
}

/// Whether a run of bytes in the middle of a stream of which the beginning was not seen is a chain of records: two
/// headers at least, or one record that fills the run.
#[must_use]
pub fn resumes(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let mut headers = 0;
    while let [_, 3, 0..=4, high, low, behind @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        if !plausible(rest) || len == 0 {
            return false;
        }
        headers += 1;
        match behind.get(len..) {
            Some([]) => return true,
            Some(behind) => rest = behind,
            None => return headers > 1,
        }
    }
    headers > 1 && plausible(rest)
}

/// Reads a record's header.
///
/// # Errors
/// A [`crate::packet::Stop`] when it is not all there, or when it cannot be a record's header.
pub fn header(c: &mut Cursor<'_, '_>) -> Read<Header> {
    header_as(c, &CONTENT_TYPE)
}

/// The same for a TLS 1.3 record that is encrypted: its type is always 23 and the true one is inside.
///
/// # Errors
/// Those of [`header`].
pub fn opaque_header(c: &mut Cursor<'_, '_>) -> Read<Header> {
    header_as(c, &OPAQUE_TYPE)
}

/// Divides an opened TLS 1.3 record: how long its content is, and of which type. The type is the last byte that is not
/// zero (RFC 8446, section 5.4); `None` when all are.
#[must_use]
pub fn split_inner(plain: &[u8]) -> Option<(usize, u8)> {
    let at = plain.iter().rposition(|byte| *byte != 0)?;
    Some((at, *plain.get(at)?))
}

/// Reads what stands behind the content of an opened TLS 1.3 record: the type, and the zeros that hide the length.
///
/// # Errors
/// A [`crate::packet::Stop`] when there is no type.
pub fn inner_tail(c: &mut Cursor<'_, '_>) -> Read<u8> {
    let content_type = c.u8(&CONTENT_TYPE)?;
    c.rest(&PADDING);
    Ok(content_type)
}

/// A record's header behind its type.
static HEADER_PARTS: [Part; 2] = lay_out([field(&VERSION, 16), field(&LENGTH, 16)]);
pub(in crate::layers) static HEADER: Shape = Shape::new(3, &HEADER_PARTS);

fn header_as(c: &mut Cursor<'_, '_>, type_def: &'static FieldDef) -> Read<Header> {
    let ahead = c.ahead();
    let known = |byte: &u8| (20..=24).contains(byte);
    if ahead.first().is_some_and(|byte| !known(byte)) {
        return Err(c.stop(type_def, Why::Value, 0));
    }
    let content_type = c.u8(type_def)?;
    // Whatever is wrong with the rest comes to light field by field.
    if let [_, 3, _, high, low, ..] = ahead
        && usize::from(u16::from_be_bytes([*high, *low])) <= MAX_FRAGMENT
    {
        let [v1, v2, l1, l2] = c.shape::<4>(&HEADER)?;
        return Ok(Header {
            content_type,
            version: u16::from_be_bytes([v1, v2]),
            len: u16::from_be_bytes([l1, l2]),
        });
    }
    if ahead.get(1).is_some_and(|major| *major != 3) {
        return Err(c.stop(&VERSION, Why::Value, 0));
    }
    let version = c.u16(&VERSION)?;
    let len = c.u16(&LENGTH)?;
    if usize::from(len) > MAX_FRAGMENT {
        return Err(c.stop(&LENGTH, Why::Value, usize::from(len)));
    }
    Ok(Header {
        content_type,
        version,
        len,
    })
}

/// Whether as much of a header as is there fits: type, major version (3 since SSL 3.0), length.
fn plausible(bytes: &[u8]) -> bool {
    let type_fits = bytes.first().is_none_or(|t| (20..=24).contains(t));
    let version_fits = bytes.get(1).is_none_or(|major| *major == 3);
    let len_fits = match bytes {
        [_, _, _, high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])) <= MAX_FRAGMENT,
        _ => true,
    };
    type_fits && version_fits && len_fits
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests {
    use super::super::samples::decode;
    use super::*;
    use crate::packet::Value;

    #[test]
    fn a_record_is_whole_when_all_of_it_is_there() {
        let record = [22, 3, 1, 0, 2, 0xaa, 0xbb, 99];
        for len in 0..7 {
            assert_eq!(next(&record[..len]), Framing::More, "{len} bytes");
        }
        assert_eq!(next(&record), Framing::Whole(7));
        assert_eq!(next(&[23, 3, 3, 0x48, 0x00]), Framing::More);
        for not_mine in [
            &[19u8][..],
            &[25],
            b"GET / HTTP",
            &[22, 2],
            &[22, 4, 0],
            &[23, 3, 3, 0x48, 0x01],
        ] {
            assert_eq!(next(not_mine), Framing::NotMine, "{not_mine:x?}");
            assert!(!recognise(not_mine));
        }
    }

    #[test]
    fn a_stream_is_recognised_by_its_first_record() {
        assert!(recognise(&[22, 3, 1, 0, 200, 1]));
        assert!(recognise(&[22, 3, 3, 0, 200, 2, 0]));
        assert!(recognise(&[22]));
        assert!(recognise(&[21, 3, 3, 0, 2, 2, 40]));
        assert!(
            !recognise(&[22, 3, 3, 0, 200, 11]),
            "no handshake begins with a certificate"
        );
        assert!(!recognise(b""));
        assert!(!recognise(b"hi\n"));
    }

    #[test]
    fn a_client_hello_is_found_in_a_stream() {
        let hello = [22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3, 0xcb];
        assert_eq!(begins_client_hello(&hello), Some(true));
        for len in 0..HELLO_LEN {
            assert_eq!(begins_client_hello(&hello[..len]), None, "{len} bytes");
        }
        let stream = [b"220 go ahead\r\n\x16\x03".as_slice(), &hello].concat();
        assert_eq!(find_client_hello(&stream), Some(Ok(16)));
        assert_eq!(find_client_hello(&stream[..20]), Some(Err(16)));
        for (at, byte) in [(0, 23), (1, 2), (2, 9), (5, 2), (6, 1), (9, 1), (10, 9)] {
            let mut other = hello;
            other[at] = byte;
            assert_eq!(begins_client_hello(&other), Some(false), "byte {at}");
        }
    }

    #[test]
    fn records_are_recognised_in_the_middle_of_a_stream() {
        let record = [23, 3, 3, 0, 2, 0xaa, 0xbb];
        assert!(resumes(&record));
        assert!(!resumes(&record[..6]), "one header can be chance");
        assert!(resumes(&[&record[..], &record[..6]].concat()));
        assert!(!resumes(&[&record[..], &record[..3]].concat()));
        assert!(!resumes(&[23, 3, 3, 0, 0]));
        assert!(!resumes(b"hello"));
    }

    #[test]
    fn a_header_is_read() {
        let header = decode(&[23, 3, 3, 0x01, 0x02], header);
        header.assert_complete();
        let (content_type, version, len) = (content_type::APPLICATION_DATA, 0x0303, 0x102);
        assert_eq!(
            header.result.unwrap(),
            Header {
                content_type,
                version,
                len
            }
        );
        assert_eq!(
            decode(&[23, 3, 3, 0, 0], opaque_header).numbers(&OPAQUE_TYPE),
            [23]
        );
    }

    #[test]
    fn a_header_that_cannot_be_says_where() {
        let stop = |bytes: &[u8]| {
            let stop = decode(bytes, header).result.unwrap_err();
            (stop.def.key, stop.offset, stop.need, stop.have, stop.why)
        };
        assert_eq!(
            stop(&[7, 3, 3, 0, 0]),
            ("tls.record.content_type", 0, 0, 5, Why::Value)
        );
        assert_eq!(
            stop(&[22, 9, 3, 0, 0]),
            ("tls.record.version", 1, 0, 4, Why::Value)
        );
        assert_eq!(
            stop(&[22, 3, 3, 0]),
            ("tls.record.length", 3, 2, 1, Why::Short)
        );
        assert_eq!(
            stop(&[22, 3, 3, 0xff, 0xff]),
            ("tls.record.length", 5, 0xffff, 0, Why::Value)
        );
    }

    #[test]
    fn the_type_is_the_last_byte_that_is_not_zero() {
        assert_eq!(split_inner(b"hi\n\x17"), Some((3, 23)));
        assert_eq!(split_inner(b"a\0b\0\x16\0\0\0"), Some((4, 22)));
        assert_eq!(split_inner(&[21]), Some((0, 21)));
        assert_eq!(split_inner(&[0, 0]), None);
        assert_eq!(split_inner(&[]), None);
    }

    #[test]
    fn type_and_padding_are_labelled() {
        let tail = decode(&[23, 0, 0, 0], inner_tail);
        tail.assert_complete();
        assert_eq!(tail.values(&PADDING), [Value::Bytes(&[0, 0, 0])]);
        assert_eq!(tail.result.unwrap(), 23);
        let bare = decode(&[22], inner_tail);
        assert!(bare.fields(&PADDING).is_empty());
    }
}
