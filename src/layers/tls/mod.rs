//! Transport Layer Security, 1.3 (RFC 8446) and 1.2 (RFC 5246): what is on the wire and what is inside once opened.

use super::{Decode, Protocol};

fields! {
    TLS = "tls" Layer;
}

/// Transport Layer Security.
pub static PROTOCOL: Protocol = Protocol {
    def: &TLS,
    fields: &[FIELDS],
    binds: &[],
    decode: Decode::Apart,
};
