//! The handshake messages (RFC 8446, section 4; RFC 5246, section 7.4).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------+-----------------------------------------------+
//! | Message Type  |                    Length                     |
//! +---------------+-----------------------------------------------+
//! |                     Body, as the type says                     …
//! +---------------------------------------------------------------+
//! ```

use super::extensions::{
    self, DNAMES, DNAMES_LEN, Found, SIG_HASH_ALG, SIG_HASH_ALG_LEN, SIG_HASH_ALGS, Within,
};
use super::{certificate, note_grease, opaque};
use crate::cursor::{Cursor, Read};
use crate::packet::{Fact, FieldDef, Why};

fields! {
    HANDSHAKE = "tls.handshake" Group;
    TYPE = "tls.handshake.type" Uint;
    LENGTH = "tls.handshake.length" Uint;
    // client_hello and server_hello
    VERSION = "tls.handshake.version" Hex;
    RANDOM = "tls.handshake.random" Bytes;
    SESSION_ID_LENGTH = "tls.handshake.session_id_length" Uint;
    SESSION_ID = "tls.handshake.session_id" Bytes;
    CIPHER_SUITES_LENGTH = "tls.handshake.cipher_suites_length" Uint;
    CIPHER_SUITES = "tls.handshake.ciphersuites" Group;
    CIPHER_SUITE = "tls.handshake.ciphersuite" Hex;
    COMP_METHODS_LENGTH = "tls.handshake.comp_methods_length" Uint;
    COMP_METHODS = "tls.handshake.comp_methods" Group;
    COMP_METHOD = "tls.handshake.comp_method" Uint;
    HELLO_RETRY = "tls.handshake.hello_retry" Bool;
    DOWNGRADE = "tls.handshake.downgrade" Uint;
    // new_session_ticket
    TICKET_LIFETIME_HINT = "tls.handshake.session_ticket_lifetime_hint" Uint;
    TICKET_AGE_ADD = "tls.handshake.session_ticket_age_add" Uint;
    TICKET_NONCE_LENGTH = "tls.handshake.session_ticket_nonce_length" Uint;
    TICKET_NONCE = "tls.handshake.session_ticket_nonce" Bytes;
    TICKET_LENGTH = "tls.handshake.session_ticket_length" Uint;
    TICKET = "tls.handshake.session_ticket" Bytes;
    // certificate, certificate_request
    CONTEXT_LENGTH = "tls.handshake.certificate_request_context_length" Uint;
    CONTEXT = "tls.handshake.certificate_request_context" Bytes;
    CERTIFICATES_LENGTH = "tls.handshake.certificates_length" Uint;
    CERTIFICATES = "tls.handshake.certificates" Group;
    CERTIFICATE_LENGTH = "tls.handshake.certificate_length" Uint;
    CERTIFICATE = "tls.handshake.certificate" Group;
    CERT_TYPES_COUNT = "tls.handshake.cert_types_count" Uint;
    CERT_TYPES = "tls.handshake.cert_types" Group;
    CERT_TYPE = "tls.handshake.cert_type" Uint;
    UNCOMPRESSED_LENGTH = "tls.compress_certificate.uncompressed_length" Uint;
    COMPRESSED_LENGTH = "tls.compress_certificate.compressed_certificate_message.length" Uint;
    COMPRESSED = "tls.compress_certificate.compressed_certificate_message" Bytes;
    // server_key_exchange, certificate_verify
    CURVE_TYPE = "tls.handshake.server_curve_type" Uint;
    NAMED_CURVE = "tls.handshake.server_named_curve" Hex;
    SERVER_POINT_LEN = "tls.handshake.server_point_len" Uint;
    SERVER_POINT = "tls.handshake.server_point" Bytes;
    P_LEN = "tls.handshake.p_len" Uint;
    P = "tls.handshake.p" Bytes;
    G_LEN = "tls.handshake.g_len" Uint;
    G = "tls.handshake.g" Bytes;
    YS_LEN = "tls.handshake.ys_len" Uint;
    YS = "tls.handshake.ys" Bytes;
    SERVER_EXCHANGE = "tls.handshake.server_exchange" Bytes;
    SIG_LEN = "tls.handshake.sig_len" Uint;
    SIG = "tls.handshake.sig" Bytes;
    VERIFY_SIG_LEN = "tls.handshake.client_cert_vrfy.sig_len" Uint;
    VERIFY_SIG = "tls.handshake.client_cert_vrfy.sig" Bytes;
    // client_key_exchange
    CLIENT_POINT_LEN = "tls.handshake.client_point_len" Uint;
    CLIENT_POINT = "tls.handshake.client_point" Bytes;
    CLIENT_EXCHANGE_LEN = "tls.handshake.client_exchange_len" Uint;
    CLIENT_EXCHANGE = "tls.handshake.client_exchange" Bytes;
    // the rest
    VERIFY_DATA = "tls.handshake.verify_data" Bytes;
    REQUEST_UPDATE = "tls.handshake.key_update.request_update" Uint;
    MESSAGE_HASH = "tls.handshake.message_hash" Bytes;
    DATA = "tls.handshake.data" Bytes;
}

/// Values of `tls.handshake.type` (the IANA registry of TLS HandshakeTypes).
pub mod kind {
    /// The server asks for a new handshake (TLS 1.2).
    pub const HELLO_REQUEST: u8 = 0;
    /// The client says what it can do.
    pub const CLIENT_HELLO: u8 = 1;
    /// The server chooses.
    pub const SERVER_HELLO: u8 = 2;
    /// A ticket with which the session can be resumed.
    pub const NEW_SESSION_TICKET: u8 = 4;
    /// The client's early data ends here.
    pub const END_OF_EARLY_DATA: u8 = 5;
    /// The rest of the server's choices, already encrypted.
    pub const ENCRYPTED_EXTENSIONS: u8 = 8;
    /// A chain of certificates.
    pub const CERTIFICATE: u8 = 11;
    /// The server's key share (TLS 1.2).
    pub const SERVER_KEY_EXCHANGE: u8 = 12;
    /// The server wants to know who the client is.
    pub const CERTIFICATE_REQUEST: u8 = 13;
    /// The server has said what it had to say (TLS 1.2).
    pub const SERVER_HELLO_DONE: u8 = 14;
    /// A signature over the handshake so far.
    pub const CERTIFICATE_VERIFY: u8 = 15;
    /// The client's key share (TLS 1.2).
    pub const CLIENT_KEY_EXCHANGE: u8 = 16;
    /// A keyed hash of the handshake so far.
    pub const FINISHED: u8 = 20;
    /// A proof that the certificate has not been revoked (TLS 1.2).
    pub const CERTIFICATE_STATUS: u8 = 22;
    /// From the next record on the sender uses the next generation of its keys.
    pub const KEY_UPDATE: u8 = 24;
    /// A Certificate message, compressed.
    pub const COMPRESSED_CERTIFICATE: u8 = 25;
    /// Never sent: stands for the first ClientHello in the hash of a handshake with a HelloRetryRequest.
    pub const MESSAGE_HASH: u8 = 254;
}

/// The random of a ServerHello that is a HelloRetryRequest: SHA-256 of "HelloRetryRequest" (RFC 8446, section 4.1.3).
pub const HELLO_RETRY_RANDOM: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// What the session needs to know of a handshake message, and what helps to say it in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Message {
    /// One of [`kind`], or a type this program does not know.
    pub kind: u8,
    /// How long the body is, in bytes, without the four of the header.
    pub len: u32,
    /// ClientHello and ServerHello: the 32 random bytes. The client's name the session in a key log.
    pub random: Option<[u8; 32]>,
    /// ServerHello: the chosen cipher suite.
    pub cipher_suite: Option<u16>,
    /// ServerHello: the chosen version, from supported_versions where it is there, else from the version field.
    /// ClientHello: the highest version that is offered.
    pub version: Option<u16>,
    /// This ServerHello is a HelloRetryRequest.
    pub hello_retry: bool,
    /// KeyUpdate: whether the other side shall update its keys too (1) or not (0).
    pub key_update_request: Option<u8>,
    /// ClientHello: how many cipher suites are offered.
    pub cipher_suites: u16,
    /// How many extensions it has.
    pub extensions: u16,
    /// ServerHello: the group of the server's key share; HelloRetryRequest: the group it asks for; ClientHello: the
    /// group of the first key share that means something; ServerKeyExchange: the curve.
    pub group: Option<u16>,
    /// ServerHello: a pre-shared key was chosen. ClientHello: some are offered.
    pub pre_shared_key: bool,
    /// It has the early_data extension.
    pub early_data: bool,
    /// It has the encrypt_then_mac extension.
    pub encrypt_then_mac: bool,
    /// Certificate: how many certificates there are.
    pub certificates: u16,
    /// CertificateVerify, ServerKeyExchange: the signature scheme.
    pub signature_scheme: Option<u16>,
}

/// How long the message at the front of `bytes` is, header included; `None` while the header is not all there.
#[must_use]
pub fn length(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [_, a, b, c, ..] => Some(4 + u32::from_be_bytes([0, *a, *b, *c]) as usize),
        _ => None,
    }
}

/// Whether a whole ClientHello or ServerHello stands at the front of `bytes`.
#[must_use]
pub fn is_hello(bytes: &[u8]) -> bool {
    let whole = length(bytes).is_some_and(|len| len <= bytes.len());
    whole
        && matches!(
            bytes.first(),
            Some(&(kind::CLIENT_HELLO | kind::SERVER_HELLO))
        )
}

/// Decodes one whole handshake message, its header included.
///
/// A body that cannot be decoded leaves a recorded [`crate::packet::Stop`]; what was read before it counts.
/// `tls13` says in which form the messages are whose form changed: Certificate, CertificateRequest, NewSessionTicket.
///
/// # Errors
/// A [`crate::packet::Stop`] when the message is not all there.
pub fn message(c: &mut Cursor<'_, '_>, tls13: bool) -> Read<Message> {
    let mut m = Message::default();
    let whole = length(c.ahead()).unwrap_or(4);
    c.sub(&HANDSHAKE, whole, |c| {
        m.kind = c.u8(&TYPE)?;
        m.len = c.u24(&LENGTH)?;
        body(c, tls13, &mut m)
    })?;
    Ok(m)
}

fn body(c: &mut Cursor<'_, '_>, tls13: bool, m: &mut Message) -> Read<()> {
    match m.kind {
        kind::HELLO_REQUEST | kind::END_OF_EARLY_DATA | kind::SERVER_HELLO_DONE => Ok(()),
        kind::CLIENT_HELLO => client_hello(c, m),
        kind::SERVER_HELLO => server_hello(c, m),
        kind::NEW_SESSION_TICKET if tls13 => new_session_ticket(c, m),
        kind::NEW_SESSION_TICKET => {
            // RFC 5077, section 3.3.
            c.u32(&TICKET_LIFETIME_HINT)?;
            let len = c.u16(&TICKET_LENGTH)?;
            opaque(c, &TICKET, len.into())
        }
        kind::ENCRYPTED_EXTENSIONS => with_extensions(c, Within::EncryptedExtensions, m),
        kind::CERTIFICATE => certificates(c, tls13, m),
        kind::SERVER_KEY_EXCHANGE => server_key_exchange(c, m),
        kind::CERTIFICATE_REQUEST => certificate_request(c, tls13, m),
        kind::CERTIFICATE_VERIFY => signature(c, m, (&VERIFY_SIG_LEN, &VERIFY_SIG)),
        kind::CLIENT_KEY_EXCHANGE => client_key_exchange(c),
        kind::FINISHED => all(c, &VERIFY_DATA),
        kind::CERTIFICATE_STATUS => extensions::certificate_status(c),
        kind::KEY_UPDATE => {
            m.key_update_request = Some(c.u8(&REQUEST_UPDATE)?);
            Ok(())
        }
        kind::COMPRESSED_CERTIFICATE => {
            // RFC 8879, section 4.
            c.u16(&extensions::COMPRESS_ALGORITHM)?;
            c.u24(&UNCOMPRESSED_LENGTH)?;
            let len = c.u24(&COMPRESSED_LENGTH)?;
            opaque(c, &COMPRESSED, len as usize)
        }
        kind::MESSAGE_HASH => all(c, &MESSAGE_HASH),
        _ => all(c, &DATA),
    }
}

/// ```text
/// struct {
///     ProtocolVersion legacy_version = 0x0303;
///     Random random;
///     opaque legacy_session_id<0..32>;
///     CipherSuite cipher_suites<2..2^16-2>;
///     opaque legacy_compression_methods<1..2^8-1>;
///     Extension extensions<8..2^16-1>;              (RFC 8446, section 4.1.2)
/// } ClientHello;
/// ```
fn client_hello(c: &mut Cursor<'_, '_>, m: &mut Message) -> Read<()> {
    m.version = Some(c.u16(&VERSION)?);
    m.random = Some(c.array::<32>(&RANDOM)?);
    session_id(c)?;
    let len = c.u16(&CIPHER_SUITES_LENGTH)?;
    c.sub(&CIPHER_SUITES, len.into(), |c| {
        c.until_end(|c| {
            let suite = c.u16(&CIPHER_SUITE)?;
            m.cipher_suites = m.cipher_suites.saturating_add(1);
            note_grease(c, suite);
            Ok(())
        })
    })?;
    let len = c.u8(&COMP_METHODS_LENGTH)?;
    c.sub(&COMP_METHODS, len.into(), |c| {
        c.until_end(|c| c.u8(&COMP_METHOD).map(drop))
    })?;
    optional_extensions(c, Within::ClientHello, m)
}

/// ```text
/// struct {
///     ProtocolVersion legacy_version = 0x0303;
///     Random random;
///     opaque legacy_session_id_echo<0..32>;
///     CipherSuite cipher_suite;
///     uint8 legacy_compression_method = 0;
///     Extension extensions<6..2^16-1>;              (RFC 8446, section 4.1.3)
/// } ServerHello;
/// ```
fn server_hello(c: &mut Cursor<'_, '_>, m: &mut Message) -> Read<()> {
    m.version = Some(c.u16(&VERSION)?);
    let random = c.array::<32>(&RANDOM)?;
    m.random = Some(random);
    m.hello_retry = random == HELLO_RETRY_RANDOM;
    if m.hello_retry {
        c.note(&HELLO_RETRY, Fact::Present);
    }
    // Section 4.1.3: a server that could do TLS 1.3 ends its random with "DOWNGRD" and 1 when it negotiates TLS 1.2,
    // and 0 when it negotiates less; whoever made it do so cannot remove that.
    if let [.., b'D', b'O', b'W', b'N', b'G', b'R', b'D', last @ (0 | 1)] = random {
        c.note(&DOWNGRADE, Fact::Uint(last.into()));
    }
    session_id(c)?;
    m.cipher_suite = Some(c.u16(&CIPHER_SUITE)?);
    c.u8(&COMP_METHOD)?;
    let within = if m.hello_retry {
        Within::HelloRetryRequest
    } else {
        Within::ServerHello
    };
    optional_extensions(c, within, m)
}

fn session_id(c: &mut Cursor<'_, '_>) -> Read<()> {
    let len = c.u8(&SESSION_ID_LENGTH)?;
    if len > 32 {
        return Err(c.stop(&SESSION_ID_LENGTH, Why::Value, len.into()));
    }
    opaque(c, &SESSION_ID, len.into())
}

/// Before TLS 1.3 a hello could end before the extensions.
fn optional_extensions(c: &mut Cursor<'_, '_>, within: Within, m: &mut Message) -> Read<()> {
    if c.left() == 0 {
        return Ok(());
    }
    with_extensions(c, within, m)
}

fn with_extensions(c: &mut Cursor<'_, '_>, within: Within, m: &mut Message) -> Read<()> {
    let mut found = Found::default();
    let result = extensions::list(c, within, &mut found);
    m.extensions = found.count;
    m.version = found.version.or(m.version);
    m.group = found.group.or(m.group);
    m.pre_shared_key = found.pre_shared_key;
    m.early_data = found.early_data;
    m.encrypt_then_mac = found.encrypt_then_mac;
    result
}

/// ```text
/// struct {
///     uint32 ticket_lifetime;
///     uint32 ticket_age_add;
///     opaque ticket_nonce<0..255>;
///     opaque ticket<1..2^16-1>;
///     Extension extensions<0..2^16-2>;              (RFC 8446, section 4.6.1)
/// } NewSessionTicket;
/// ```
fn new_session_ticket(c: &mut Cursor<'_, '_>, m: &mut Message) -> Read<()> {
    c.u32(&TICKET_LIFETIME_HINT)?;
    c.u32(&TICKET_AGE_ADD)?;
    let len = c.u8(&TICKET_NONCE_LENGTH)?;
    opaque(c, &TICKET_NONCE, len.into())?;
    let len = c.u16(&TICKET_LENGTH)?;
    opaque(c, &TICKET, len.into())?;
    with_extensions(c, Within::NewSessionTicket, m)
}

/// TLS 1.3 (RFC 8446, section 4.4.2) puts a context in front and extensions behind each certificate.
fn certificates(c: &mut Cursor<'_, '_>, tls13: bool, m: &mut Message) -> Read<()> {
    if tls13 {
        request_context(c)?;
    }
    let len = c.u24(&CERTIFICATES_LENGTH)?;
    c.sub(&CERTIFICATES, len as usize, |c| {
        c.until_end(|c| {
            let len = c.u24(&CERTIFICATE_LENGTH)?;
            c.sub(&CERTIFICATE, len as usize, certificate::decode)?;
            m.certificates = m.certificates.saturating_add(1);
            if tls13 {
                with_extensions(c, Within::Certificate, m)?;
            }
            Ok(())
        })
    })
    .map(drop)
}

/// TLS 1.3: RFC 8446, section 4.3.2; TLS 1.2: RFC 5246, section 7.4.4.
fn certificate_request(c: &mut Cursor<'_, '_>, tls13: bool, m: &mut Message) -> Read<()> {
    if tls13 {
        request_context(c)?;
        return with_extensions(c, Within::CertificateRequest, m);
    }
    let len = c.u8(&CERT_TYPES_COUNT)?;
    c.sub(&CERT_TYPES, len.into(), |c| {
        c.until_end(|c| c.u8(&CERT_TYPE).map(drop))
    })?;
    // TLS 1.0 and 1.1 (RFC 4346, section 7.4.4) have no list of signature algorithms: the names fill the message.
    if !is_old_signature(c.ahead()) {
        let len = c.u16(&SIG_HASH_ALG_LEN)?;
        c.sub(&SIG_HASH_ALGS, len.into(), |c| {
            c.until_end(|c| c.u16(&SIG_HASH_ALG).map(drop))
        })?;
    }
    let len = c.u16(&DNAMES_LEN)?;
    c.sub(&DNAMES, len.into(), extensions::distinguished_names)
        .map(drop)
}

fn request_context(c: &mut Cursor<'_, '_>) -> Read<()> {
    let len = c.u8(&CONTEXT_LENGTH)?;
    opaque(c, &CONTEXT, len.into())
}

/// The message does not say which of its forms it has; that depends on the cipher suite. But they can be told apart:
/// ECDHE (RFC 8422, section 5.4) begins with curve type 3, and DHE (RFC 5246, section 7.4.3) consists of three vectors
/// and a signature that fill the message.
fn server_key_exchange(c: &mut Cursor<'_, '_>, m: &mut Message) -> Read<()> {
    let body = c.ahead();
    if is_dhe(body) {
        for (len_def, def) in [(&P_LEN, &P), (&G_LEN, &G), (&YS_LEN, &YS)] {
            let len = c.u16(len_def)?;
            opaque(c, def, len.into())?;
        }
    } else if body.first() == Some(&3) {
        c.u8(&CURVE_TYPE)?;
        m.group = Some(c.u16(&NAMED_CURVE)?);
        let len = c.u8(&SERVER_POINT_LEN)?;
        opaque(c, &SERVER_POINT, len.into())?;
    } else {
        return all(c, &SERVER_EXCHANGE);
    }
    if c.left() == 0 {
        // An anonymous key exchange signs nothing.
        return Ok(());
    }
    signature(c, m, (&SIG_LEN, &SIG))
}

fn is_dhe(body: &[u8]) -> bool {
    let after = (0..3).try_fold(body, |rest, _| match vector(rest) {
        Some((len, rest)) if len > 0 => rest.get(len..),
        _ => None,
    });
    after.is_some_and(|rest| rest.is_empty() || is_signature(rest) || is_old_signature(rest))
}

/// The length in front of a vector, and what follows it.
fn vector(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match bytes {
        [high, low, rest @ ..] => Some((usize::from(u16::from_be_bytes([*high, *low])), rest)),
        _ => None,
    }
}

/// Scheme, length, and as many bytes.
fn is_signature(bytes: &[u8]) -> bool {
    bytes.get(2..).is_some_and(is_old_signature)
}

/// A vector that fills the message. (TLS 1.0 and 1.1 had no scheme in front of a signature's length.)
fn is_old_signature(bytes: &[u8]) -> bool {
    vector(bytes).is_some_and(|(len, rest)| rest.len() == len)
}

fn signature(
    c: &mut Cursor<'_, '_>,
    m: &mut Message,
    (len_def, def): (&'static FieldDef, &'static FieldDef),
) -> Read<()> {
    if is_signature(c.ahead()) || !is_old_signature(c.ahead()) {
        m.signature_scheme = Some(c.u16(&SIG_HASH_ALG)?);
    }
    let len = c.u16(len_def)?;
    opaque(c, def, len.into())
}

/// One vector that fills the message. With ECDHE its length has one byte (RFC 8422, section 5.7), else it has two: RSA's
/// encrypted secret and DHE's public value look the same (RFC 5246, section 7.4.7).
fn client_key_exchange(c: &mut Cursor<'_, '_>) -> Read<()> {
    let body = c.ahead();
    if body.first().map(|len| usize::from(*len) + 1) == Some(body.len()) {
        let len = c.u8(&CLIENT_POINT_LEN)?;
        return opaque(c, &CLIENT_POINT, len.into());
    }
    if is_old_signature(body) {
        c.u16(&CLIENT_EXCHANGE_LEN)?;
    }
    all(c, &CLIENT_EXCHANGE)
}

fn all(c: &mut Cursor<'_, '_>, def: &'static FieldDef) -> Read<()> {
    c.rest(def);
    Ok(())
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests {
    use super::super::samples::{self, Decoded, bytes};
    use super::*;

    fn decode(bytes: &[u8], tls13: bool) -> Decoded<Message> {
        samples::decode(bytes, |c| message(c, tls13))
    }

    #[test]
    fn every_byte_of_every_sample_is_explained() {
        for (hex, tls13) in samples::MESSAGES {
            let bytes = bytes(hex);
            assert_eq!(length(&bytes), Some(bytes.len()));
            decode(&bytes, *tls13).assert_complete();
        }
    }

    #[test]
    fn length_needs_four_bytes() {
        assert_eq!(length(&[1, 0, 0]), None);
        assert_eq!(length(&[1, 0x01, 0x02, 0x03]), Some(4 + 0x010203));
    }

    #[test]
    fn the_hellos_of_rfc_8448() {
        let client = decode(&bytes(samples::CLIENT_HELLO), true);
        let m = client.result.as_ref().unwrap();
        assert_eq!((m.kind, m.len), (kind::CLIENT_HELLO, 192));
        assert_eq!(m.random.unwrap()[..4], [0xcb, 0x34, 0xec, 0xb1]);
        assert_eq!((m.version, m.group), (Some(0x0304), Some(0x1d)));
        assert_eq!((m.cipher_suites, m.extensions), (3, 9));
        assert_eq!(client.numbers(&VERSION), [0x0303]);
        assert_eq!(client.numbers(&CIPHER_SUITE), [0x1301, 0x1303, 0x1302]);
        assert_eq!(client.texts(&extensions::SERVER_NAME), ["server"]);

        let server = decode(&bytes(samples::SERVER_HELLO), true).result.unwrap();
        assert_eq!(
            (server.cipher_suite, server.version),
            (Some(0x1301), Some(0x0304))
        );
        assert_eq!(server.random.unwrap()[..4], [0xa6, 0xaf, 0x06, 0xa4]);
        assert!(!server.hello_retry && !server.pre_shared_key);
    }

    #[test]
    fn hello_retry_request_is_a_server_hello_with_a_certain_random() {
        let retry = decode(&bytes(samples::HELLO_RETRY_REQUEST), true);
        assert_eq!(retry.notes(&HELLO_RETRY), [1]);
        assert_eq!(retry.numbers(&extensions::SELECTED_GROUP), [0x17]);
        assert_eq!(retry.lengths(&extensions::COOKIE), [0x72]);
        let m = retry.result.unwrap();
        assert!(m.hello_retry);
        assert_eq!((m.version, m.group), (Some(0x0304), Some(0x17)));
    }

    #[test]
    fn a_downgrade_is_noted() {
        // This server can do TLS 1.3; the client had asked for TLS 1.2 only.
        let mut hello = bytes(samples::SERVER_HELLO_12);
        assert_eq!(hello[30..38], *b"DOWNGRD\x01");
        assert_eq!(decode(&hello, false).notes(&DOWNGRADE), [1]);
        hello[37] = 0;
        assert_eq!(decode(&hello, false).notes(&DOWNGRADE), [0]);
        hello[30] = b'd';
        assert!(decode(&hello, false).notes(&DOWNGRADE).is_empty());
    }

    #[test]
    fn the_rest_of_the_servers_flight_of_rfc_8448() {
        let extensions = decode(&bytes(samples::ENCRYPTED_EXTENSIONS), true)
            .result
            .unwrap();
        assert_eq!(extensions.extensions, 3);
        let certificate = decode(&bytes(samples::CERTIFICATE), true);
        assert_eq!(certificate.lengths(&CERTIFICATE), [0x1b0]);
        assert_eq!(certificate.result.unwrap().certificates, 1);
        let verify = decode(&bytes(samples::CERTIFICATE_VERIFY), true);
        assert_eq!(verify.lengths(&VERIFY_SIG), [128]);
        assert_eq!(verify.result.unwrap().signature_scheme, Some(0x0804));
        let finished = decode(&bytes(samples::FINISHED), true);
        assert_eq!(finished.lengths(&VERIFY_DATA), [32]);
    }

    #[test]
    fn tickets_of_both_versions() {
        let ticket = decode(&bytes(samples::NEW_SESSION_TICKET), true);
        assert_eq!(ticket.numbers(&TICKET_LIFETIME_HINT), [30]);
        assert_eq!(ticket.lengths(&TICKET_NONCE), [2]);
        assert_eq!(ticket.lengths(&TICKET), [0xb2]);
        assert_eq!(ticket.numbers(&extensions::MAX_EARLY_DATA_SIZE), [1024]);
        let old = decode(&bytes(samples::NEW_SESSION_TICKET_12), false);
        assert_eq!(old.numbers(&TICKET_LIFETIME_HINT), [7200]);
        assert_eq!(old.lengths(&TICKET), [176]);
    }

    #[test]
    fn a_resuming_client_offers_a_ticket_and_early_data() {
        let hello = decode(&bytes(samples::RESUMING_CLIENT_HELLO), true);
        assert_eq!(hello.lengths(&extensions::PSK_IDENTITY), [0xb2]);
        assert_eq!(hello.numbers(&extensions::PSK_TICKET_AGE), [0xfad6_aacb]);
        assert_eq!(hello.lengths(&extensions::PSK_BINDER), [32]);
        let m = hello.result.unwrap();
        assert!(m.pre_shared_key && m.early_data);
    }

    #[test]
    fn key_update_says_whether_it_wants_one() {
        let update = decode(&bytes(samples::KEY_UPDATE), true);
        assert_eq!(update.result.unwrap().key_update_request, Some(1));
    }

    #[test]
    fn key_exchange_of_tls_12_in_its_forms() {
        let ecdhe = decode(&bytes(samples::SERVER_KEY_EXCHANGE_ECDHE), false);
        assert_eq!(ecdhe.numbers(&CURVE_TYPE), [3]);
        assert_eq!(ecdhe.lengths(&SERVER_POINT), [32]);
        assert_eq!(ecdhe.numbers(&SIG_HASH_ALG), [0x0403]);
        assert_eq!(ecdhe.result.unwrap().group, Some(0x1d));
        let dhe = decode(&bytes(samples::SERVER_KEY_EXCHANGE_DHE), false);
        let lengths = [&P, &G, &YS, &SIG].map(|def| dhe.lengths(def));
        assert_eq!(lengths[0], [128]);
        assert_eq!((lengths[2].len(), lengths[3].as_slice()), (1, &[128][..]));
        let client = |hex| {
            let client = decode(&bytes(hex), false);
            (
                client.lengths(&CLIENT_POINT),
                client.lengths(&CLIENT_EXCHANGE),
            )
        };
        assert_eq!(
            client(samples::CLIENT_KEY_EXCHANGE_ECDHE),
            (vec![32], vec![])
        );
        assert_eq!(
            client(samples::CLIENT_KEY_EXCHANGE_DHE),
            (vec![], vec![128])
        );
        assert_eq!(
            client(samples::CLIENT_KEY_EXCHANGE_RSA),
            (vec![], vec![128])
        );
    }

    #[test]
    fn certificate_requests_of_both_versions() {
        let new = decode(&bytes(samples::CERTIFICATE_REQUEST), true);
        assert_eq!(new.lengths(&CONTEXT), [3]);
        assert_eq!(new.numbers(&SIG_HASH_ALG), [0x0403, 0x0807]);
        assert_eq!(new.texts(&certificate::UTF8_STRING), ["CA-Test"]);
        assert_eq!(new.lengths(&extensions::OID_FILTER_OID), [3]);
        let old = decode(&bytes(samples::CERTIFICATE_REQUEST_12), false);
        assert_eq!(old.numbers(&CERT_TYPE), [1, 2, 64]);
        assert!(old.numbers(&SIG_HASH_ALG).contains(&0x0403));
    }

    #[test]
    fn a_message_cut_short() {
        let hello = bytes(samples::CLIENT_HELLO);
        let cut = decode(&hello[..50], true);
        let stop = cut.result.as_ref().unwrap_err();
        assert_eq!(
            (stop.def.key, stop.offset, stop.need, stop.have),
            ("tls.handshake", 0, 196, 50)
        );
        assert_eq!(
            cut.numbers(&CIPHER_SUITE),
            [0x1301, 0x1303, 0x1302],
            "what is there is shown"
        );
        let stop = decode(&hello[..3], true).result.unwrap_err();
        assert_eq!((stop.need, stop.have, stop.why), (4, 3, Why::Short));
    }

    #[test]
    fn a_length_inside_that_lies() {
        // The session identifier: 0x21 bytes are one more than there may be.
        let mut hello = bytes(samples::CLIENT_HELLO);
        hello[38] = 33;
        let decoded = decode(&hello, true);
        assert_eq!(
            decoded.stops(),
            [("tls.handshake.session_id_length", 39, 33, 157, Why::Value)]
        );
        assert!(
            decoded.result.unwrap().random.is_some(),
            "what came before counts"
        );
        // The cipher suites: an odd length, and one beyond the message.
        let mut hello = bytes(samples::CLIENT_HELLO);
        hello[40] = 5;
        let odd = decode(&hello, true);
        assert_eq!(
            odd.stops()[0],
            ("tls.handshake.ciphersuite", 45, 2, 1, Why::Length)
        );
        hello[39] = 0xff;
        let long = decode(&hello, true);
        assert_eq!(
            long.stops()[0],
            ("tls.handshake.ciphersuites", 41, 0xff05, 155, Why::Length)
        );
        assert_eq!(long.result.unwrap().kind, kind::CLIENT_HELLO);
    }

    #[test]
    fn bytes_after_the_last_field() {
        let update = decode(&[24, 0, 0, 2, 0, 9], true);
        assert_eq!(update.stops(), [("tls.handshake", 5, 0, 1, Why::Trailing)]);
        assert_eq!(update.result.unwrap().key_update_request, Some(0));
    }

    #[test]
    fn unknown_types_are_labelled() {
        let unknown = decode(&[200, 0, 0, 2, 7, 7], true);
        unknown.assert_complete();
        assert_eq!(unknown.lengths(&DATA), [2]);
    }

    /// What a client of today really sends.
    #[test]
    fn a_hello_of_rustls() {
        let config = rustls::ClientConfig::builder()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let name = "b.layerwise.example".try_into().unwrap();
        let mut client = rustls::ClientConnection::new(config.into(), name).unwrap();
        let mut record = Vec::new();
        client.write_tls(&mut record).unwrap();
        assert!(super::super::record::recognise(&record));
        let hello = decode(&record[5..], true);
        hello.assert_complete();
        assert_eq!(
            hello.texts(&extensions::SERVER_NAME),
            ["b.layerwise.example"]
        );
        assert_eq!(hello.numbers(&extensions::KEY_SHARE_GROUP)[0], 0x11ec);
        assert_eq!(hello.lengths(&extensions::KEY_EXCHANGE_MLKEM_KEY), [1184]);
    }
}
