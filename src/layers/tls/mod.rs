//! Transport Layer Security, 1.3 (RFC 8446) and 1.2 (RFC 5246): what is on the wire and what is inside once opened.
//!
//! Everything here is a pure function over a cursor. Which bytes make up a record, which key opens it and which
//! records make up a handshake message is the business of `crate::flow`.

use super::{Decode, Protocol};
use crate::cursor::{Cursor, Read};
use crate::packet::{Fact, FieldDef};

pub mod alert;
pub mod certificate;
pub mod extensions;
pub mod handshake;
pub mod record;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod samples;

fields! {
    TLS = "tls" Layer;
    APP_DATA = "tls.app_data" Bytes;
    SEGMENT_DATA = "tls.segment.data" Bytes;
    // What only the session knows (see crate::flow).
    SEALED = "tls.record.sealed" Bytes;
    TAG = "tls.record.tag" Bytes;
    MAC = "tls.record.mac" Bytes;
    IV = "tls.record.iv" Bytes;
    EXPLICIT_NONCE = "tls.record.explicit_nonce" Bytes;
    OPENED = "tls.record.opened" Uint;
    SECRET = "tls.record.secret" Uint;
    SECRET_GENERATION = "tls.record.secret_generation" Uint;
    SEQUENCE = "tls.record.sequence" Uint;
    NONCE = "tls.record.nonce" Bytes;
    CIPHER = "tls.record.cipher" Hex;
    // A value that means nothing, on purpose.
    GREASE = "tls.grease" Hex;
}

/// Transport Layer Security.
pub static PROTOCOL: Protocol = Protocol {
    def: &TLS,
    fields: &[
        FIELDS,
        record::FIELDS,
        handshake::FIELDS,
        extensions::FIELDS,
        alert::FIELDS,
        certificate::FIELDS,
    ],
    binds: &[],
    decode: Decode::Apart,
};

/// Values of `tls.record.opened`.
pub mod opened {
    use crate::packet::Fact;
    /// No secret is known for it, so nobody here can open it.
    pub const NO_SECRET: Fact = Fact::Uint(0);
    /// It was opened, and its tag fits.
    pub const VERIFIED: Fact = Fact::Uint(1);
    /// There is a secret, but the tag does not fit: the bytes were changed, or the secret or the number is another.
    pub const BAD_TAG: Fact = Fact::Uint(2);
    /// There is a secret, but this program does not know the cipher.
    pub const UNSUPPORTED: Fact = Fact::Uint(3);
    /// TLS 1.2 with CBC: what was decrypted does not end in padding, so the key is another or the bytes were changed.
    pub const BAD_PADDING: Fact = Fact::Uint(4);
}

/// Values of `tls.record.secret`: the names of the traffic secrets in RFC 8446, section 7.1, and the one secret of TLS 1.2.
pub mod secret {
    use crate::packet::Fact;
    /// `client_handshake_traffic_secret`.
    pub const CLIENT_HANDSHAKE: Fact = Fact::Uint(1);
    /// `server_handshake_traffic_secret`.
    pub const SERVER_HANDSHAKE: Fact = Fact::Uint(2);
    /// `client_application_traffic_secret_N`.
    pub const CLIENT_TRAFFIC: Fact = Fact::Uint(3);
    /// `server_application_traffic_secret_N`.
    pub const SERVER_TRAFFIC: Fact = Fact::Uint(4);
    /// `client_early_traffic_secret`.
    pub const CLIENT_EARLY: Fact = Fact::Uint(5);
    /// `master_secret` (RFC 5246, section 8.1).
    pub const MASTER: Fact = Fact::Uint(6);
}

/// Whether this is one of the 16 two-byte values that RFC 8701 (section 2) sets aside: `0x0A0A`, `0x1A1A`, … `0xFAFA`.
#[must_use]
pub fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

/// Leaves a note when the value that was just read is one that means nothing.
fn note_grease(c: &mut Cursor<'_, '_>, value: u16) {
    if is_grease(value) {
        c.note(&GREASE, Fact::Uint(u64::from(value)));
    }
}

/// Reads `len` bytes whose length stood in front of them; labels nothing when there are none.
fn opaque(c: &mut Cursor<'_, '_>, def: &'static FieldDef, len: usize) -> Read<()> {
    if len > 0 {
        c.bytes(def, len)?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests {
    use super::samples::{self, decode};
    use super::*;

    #[test]
    fn grease_values_are_sixteen() {
        let values: Vec<u16> = (0..=u16::MAX).filter(|v| is_grease(*v)).collect();
        assert_eq!(values.len(), 16);
        assert_eq!((values[0], values[15]), (0x0a0a, 0xfafa));
    }

    /// `decode` checks after each that leaf fields are disjoint and inside.
    #[test]
    fn changed_and_cut_bytes_never_panic() {
        let mutate = |bytes: &[u8], read: &dyn Fn(&[u8])| {
            for at in 0..bytes.len() {
                read(&bytes[..at]);
                let mut changed = bytes.to_vec();
                for with in [0x01, 0x80, 0xff, bytes[at]] {
                    changed[at] = bytes[at] ^ with;
                    read(&changed);
                }
            }
        };
        for (hex, _) in samples::MESSAGES {
            mutate(&samples::bytes(hex), &|bytes| {
                for tls13 in [false, true] {
                    let _ = decode(bytes, |c| handshake::message(c, tls13)).result;
                }
                let _ = decode(bytes, alert::heartbeat).result;
            });
        }
        for hex in samples::CERTIFICATES {
            mutate(&samples::bytes(hex), &|bytes| {
                let _ = decode(bytes, certificate::decode).result;
            });
        }
    }

    /// Every message's body in the clothes of every other message.
    #[test]
    fn any_body_under_any_type_never_panics() {
        for (hex, tls13) in samples::MESSAGES {
            let mut bytes = samples::bytes(hex);
            for kind in 0..=u8::MAX {
                bytes[0] = kind;
                let message = decode(&bytes, |c| handshake::message(c, *tls13));
                assert_eq!(message.result.unwrap().kind, kind);
            }
        }
    }

    #[test]
    fn no_key_stands_twice() {
        let mut keys: Vec<_> = PROTOCOL
            .fields
            .iter()
            .copied()
            .flatten()
            .map(|f| f.key)
            .collect();
        let all = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), all);
    }
}
