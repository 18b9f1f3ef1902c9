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
use crate::cursor::{Cursor, Read};
use crate::packet::{FieldDef, Why};

fields! {
    CONTENT_TYPE = "tls.record.content_type" Uint;
    OPAQUE_TYPE = "tls.record.opaque_type" Uint;
    VERSION = "tls.record.version" Hex;
    LENGTH = "tls.record.length" Uint;
    PADDING = "tls.record.padding" Bytes;
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

fn header_as(c: &mut Cursor<'_, '_>, type_def: &'static FieldDef) -> Read<Header> {
    let ahead = c.ahead();
    let known = |byte: &u8| (20..=24).contains(byte);
    if ahead.first().is_some_and(|byte| !known(byte)) {
        return Err(c.stop(type_def, Why::Value, 0));
    }
    let content_type = c.u8(type_def)?;
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
