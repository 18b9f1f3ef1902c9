//! The record layer (RFC 8446, section 5): everything TLS sends is cut into records with a five-byte header.

fields! {
    CONTENT_TYPE = "tls.record.content_type" Uint;
    OPAQUE_TYPE = "tls.record.opaque_type" Uint;
    VERSION = "tls.record.version" Hex;
    LENGTH = "tls.record.length" Uint;
    PADDING = "tls.record.padding" Bytes;
}
