//! The extensions of the handshake messages (RFC 8446, section 4.2, and the IANA registry of TLS extensions).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------------------------------+-------------------------------+
//! |        Extension Type         |            Length             |
//! +-------------------------------+-------------------------------+
//! |         Data, as the type says and the message it stands in    …
//! +---------------------------------------------------------------+
//! ```

use super::{GREASE, certificate, note_grease, opaque};
use crate::cursor::{Cursor, Read};
use crate::packet::{Fact, FieldDef, Why};

fields! {
    EXTENSIONS_LENGTH = "tls.handshake.extensions_length" Uint;
    EXTENSIONS = "tls.handshake.extensions" Group;
    EXTENSION = "tls.handshake.extension" Group;
    TYPE = "tls.handshake.extension.type" Uint;
    LEN = "tls.handshake.extension.len" Uint;
    DATA = "tls.handshake.extension.data" Bytes;
    // server_name
    SERVER_NAME_LIST_LEN = "tls.handshake.extensions_server_name_list_len" Uint;
    SERVER_NAME_TYPE = "tls.handshake.extensions_server_name_type" Uint;
    SERVER_NAME_LEN = "tls.handshake.extensions_server_name_len" Uint;
    SERVER_NAME = "tls.handshake.extensions_server_name" Text;
    // max_fragment_length, record_size_limit, heartbeat
    MAX_FRAGMENT_LENGTH = "tls.handshake.max_fragment_length" Uint;
    RECORD_SIZE_LIMIT = "tls.record_size_limit" Uint;
    HEARTBEAT_MODE = "tls.handshake.extension.heartbeat.mode" Uint;
    // status_request, and the answer to it
    STATUS_TYPE = "tls.handshake.extensions_status_request_type" Uint;
    RESPONDER_IDS_LEN = "tls.handshake.extensions_status_request_responder_ids_len" Uint;
    RESPONDER_IDS = "tls.handshake.extensions_status_request_responder_ids" Bytes;
    REQUEST_EXTS_LEN = "tls.handshake.extensions_status_request_exts_len" Uint;
    REQUEST_EXTS = "tls.handshake.extensions_status_request_exts" Bytes;
    OCSP_RESPONSE_LEN = "tls.handshake.ocsp_response_len" Uint;
    OCSP_RESPONSE = "tls.handshake.ocsp_response" Bytes;
    // supported_groups, ec_point_formats
    SUPPORTED_GROUPS_LENGTH = "tls.handshake.extensions_supported_groups_length" Uint;
    SUPPORTED_GROUP = "tls.handshake.extensions_supported_group" Hex;
    EC_POINT_FORMATS_LENGTH = "tls.handshake.extensions_ec_point_formats_length" Uint;
    EC_POINT_FORMAT = "tls.handshake.extensions_ec_point_format" Uint;
    // signature_algorithms, signature_algorithms_cert, delegated_credential
    SIG_HASH_ALG_LEN = "tls.handshake.sig_hash_alg_len" Uint;
    SIG_HASH_ALGS = "tls.handshake.sig_hash_algs" Group;
    SIG_HASH_ALG = "tls.handshake.sig_hash_alg" Hex;
    // use_srtp
    SRTP_PROFILES_LENGTH = "dtls.use_srtp.protection_profiles_length" Uint;
    SRTP_PROFILES = "dtls.use_srtp.protection_profiles" Group;
    SRTP_PROFILE = "dtls.use_srtp.protection_profile" Hex;
    SRTP_MKI_LENGTH = "dtls.use_srtp.mki_length" Uint;
    SRTP_MKI = "dtls.use_srtp.mki" Bytes;
    // application_layer_protocol_negotiation
    ALPN_LEN = "tls.handshake.extensions_alpn_len" Uint;
    ALPN_STR_LEN = "tls.handshake.extensions_alpn_str_len" Uint;
    ALPN_STR = "tls.handshake.extensions_alpn_str" Text;
    // client_certificate_type, server_certificate_type, compress_certificate
    CERT_TYPES_LEN = "tls.handshake.cert_type.types_len" Uint;
    CERT_TYPE = "tls.handshake.cert_type.type" Uint;
    COMPRESS_ALGORITHMS_LENGTH = "tls.compress_certificate.algorithms_length" Uint;
    COMPRESS_ALGORITHM = "tls.compress_certificate.algorithm" Uint;
    // padding, session_ticket, renegotiation_info
    PADDING_DATA = "tls.handshake.extensions_padding_data" Bytes;
    SESSION_TICKET_DATA = "tls.handshake.extensions_session_ticket" Bytes;
    RENEG_INFO_LEN = "tls.handshake.extensions_reneg_info_len" Uint;
    RENEG_INFO = "tls.handshake.extensions_reneg_info" Bytes;
    // pre_shared_key, psk_key_exchange_modes, early_data
    PSK_IDENTITIES_LENGTH = "tls.handshake.extensions.psk.identities.length" Uint;
    PSK_IDENTITIES = "tls.handshake.extensions.psk.identities" Group;
    PSK_IDENTITY_LENGTH = "tls.handshake.extensions.psk.identity.identity_length" Uint;
    PSK_IDENTITY = "tls.handshake.extensions.psk.identity.identity" Bytes;
    PSK_TICKET_AGE = "tls.handshake.extensions.psk.identity.obfuscated_ticket_age" Uint;
    PSK_BINDERS_LEN = "tls.handshake.extensions.psk.binders_len" Uint;
    PSK_BINDERS = "tls.handshake.extensions.psk.binders" Group;
    PSK_BINDER_LEN = "tls.handshake.extensions.psk.binder_len" Uint;
    PSK_BINDER = "tls.handshake.extensions.psk.binder" Bytes;
    PSK_SELECTED = "tls.handshake.extensions.psk.identity.selected" Uint;
    PSK_KE_MODES_LENGTH = "tls.extension.psk_ke_modes_length" Uint;
    PSK_KE_MODE = "tls.extension.psk_ke_mode" Uint;
    MAX_EARLY_DATA_SIZE = "tls.early_data.max_early_data_size" Uint;
    // supported_versions, cookie
    SUPPORTED_VERSIONS_LEN = "tls.handshake.extensions.supported_versions_len" Uint;
    SUPPORTED_VERSION = "tls.handshake.extensions.supported_version" Hex;
    COOKIE_LEN = "tls.handshake.extensions.cookie_len" Uint;
    COOKIE = "tls.handshake.extensions.cookie" Bytes;
    // certificate_authorities, oid_filters
    DNAMES_LEN = "tls.handshake.dnames_len" Uint;
    DNAMES = "tls.handshake.dnames" Group;
    DNAME_LEN = "tls.handshake.dname_len" Uint;
    DNAME = "tls.handshake.dname" Group;
    OID_FILTERS_LENGTH = "tls.extension.oid_filters_length" Uint;
    OID_FILTER_OID_LENGTH = "tls.extension.oid_filters.oid_length" Uint;
    OID_FILTER_OID = "tls.extension.oid_filters.oid" Oid;
    OID_FILTER_VALUES_LENGTH = "tls.extension.oid_filters.values_length" Uint;
    OID_FILTER_VALUES = "tls.extension.oid_filters.values" Bytes;
    // key_share
    KEY_SHARE_CLIENT_LENGTH = "tls.handshake.extensions_key_share_client_length" Uint;
    KEY_SHARE_ENTRY = "tls.handshake.extensions_key_share_entry" Group;
    KEY_SHARE_GROUP = "tls.handshake.extensions_key_share_group" Hex;
    KEY_EXCHANGE_LENGTH = "tls.handshake.extensions_key_share_key_exchange_length" Uint;
    KEY_EXCHANGE = "tls.handshake.extensions_key_share_key_exchange" Bytes;
    KEY_EXCHANGE_MLKEM_KEY = "tls.handshake.extensions_key_share_key_exchange.mlkem_key" Bytes;
    KEY_EXCHANGE_MLKEM_CIPHERTEXT = "tls.handshake.extensions_key_share_key_exchange.mlkem_ciphertext" Bytes;
    KEY_EXCHANGE_ECDH = "tls.handshake.extensions_key_share_key_exchange.ecdh" Bytes;
    SELECTED_GROUP = "tls.handshake.extensions_key_share_selected_group" Hex;
    // encrypted_client_hello
    ECH_TYPE = "tls.ech.client_hello_type" Uint;
    ECH_KDF = "tls.ech.kdf_id" Hex;
    ECH_AEAD = "tls.ech.aead_id" Hex;
    ECH_CONFIG_ID = "tls.ech.config_id" Uint;
    ECH_ENC_LENGTH = "tls.ech.enc_length" Uint;
    ECH_ENC = "tls.ech.enc" Bytes;
    ECH_PAYLOAD_LENGTH = "tls.ech.payload_length" Uint;
    ECH_PAYLOAD = "tls.ech.payload" Bytes;
    ECH_CONFIRMATION = "tls.ech.confirmation" Bytes;
    ECH_RETRY_CONFIGS = "tls.ech.retry_configs" Bytes;
}

/// Which message the extensions stand in: the same type can look different in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Within {
    /// What the client offers.
    ClientHello,
    /// What the server chooses.
    ServerHello,
    /// What the server asks for before it goes on.
    HelloRetryRequest,
    /// What the server chooses and need not say in the clear.
    EncryptedExtensions,
    /// What belongs to one certificate of the chain.
    Certificate,
    /// Which certificates the server would accept.
    CertificateRequest,
    /// What the ticket may be used for.
    NewSessionTicket,
}

/// What the extensions of one message tell the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Found {
    /// How many there are.
    pub count: u16,
    /// supported_versions: the one chosen, or the highest of those offered.
    pub version: Option<u16>,
    /// key_share: the group chosen or asked for, or the first offered that means something.
    pub group: Option<u16>,
    /// There is a pre_shared_key.
    pub pre_shared_key: bool,
    /// There is an early_data.
    pub early_data: bool,
    /// There is an encrypt_then_mac.
    pub encrypt_then_mac: bool,
}

/// Decodes a list of extensions with its length in front. An extension that cannot be decoded leaves a recorded
/// [`crate::packet::Stop`], and the next one is decoded.
///
/// # Errors
/// A [`crate::packet::Stop`] when the list is not all there.
pub fn list(c: &mut Cursor<'_, '_>, within: Within, found: &mut Found) -> Read<()> {
    let len = c.u16(&EXTENSIONS_LENGTH)?;
    c.sub(&EXTENSIONS, len.into(), |c| {
        c.until_end(|c| {
            let len = match c.ahead() {
                [_, _, high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])),
                _ => 0,
            };
            c.sub(&EXTENSION, 4 + len, |c| {
                found.count = found.count.saturating_add(1);
                let kind = c.u16(&TYPE)?;
                c.u16(&LEN)?;
                note_grease(c, kind);
                extension(c, kind, within, found)
            })
            .map(drop)
        })
    })
    .map(drop)
}

/// The names of certificate authorities, each with its length in front, to the end of the cursor.
pub(super) fn distinguished_names(c: &mut Cursor<'_, '_>) -> Read<()> {
    c.until_end(|c| {
        let len = c.u16(&DNAME_LEN)?;
        c.sub(&DNAME, len.into(), certificate::name).map(drop)
    })
}

/// The answer to status_request (RFC 6066, section 8): a type, and for OCSP (1) a response.
pub(super) fn certificate_status(c: &mut Cursor<'_, '_>) -> Read<()> {
    if c.u8(&STATUS_TYPE)? == 1 {
        let len = c.u24(&OCSP_RESPONSE_LEN)?;
        opaque(c, &OCSP_RESPONSE, len as usize)
    } else {
        unknown(c)
    }
}

fn extension(c: &mut Cursor<'_, '_>, kind: u16, within: Within, found: &mut Found) -> Read<()> {
    use Within::{
        Certificate, CertificateRequest, ClientHello, EncryptedExtensions, HelloRetryRequest,
        NewSessionTicket, ServerHello,
    };
    let asked = matches!(within, ClientHello | CertificateRequest);
    match (kind, within) {
        // RFC 6066, section 3; the server's answer is empty.
        (0, ClientHello) => server_name(c),
        // RFC 6066, section 4.
        (1, _) => c.u8(&MAX_FRAGMENT_LENGTH).map(drop),
        (5, Certificate) => certificate_status(c),
        (5, ClientHello) => status_request(c),
        // RFC 8446, section 4.2.7.
        (10, _) => {
            filled16(c, &SUPPORTED_GROUPS_LENGTH)?;
            c.until_end(|c| read_u16(c, &SUPPORTED_GROUP))
        }
        // RFC 8422, section 5.1.2.
        (11, _) => {
            filled8(c, &EC_POINT_FORMATS_LENGTH)?;
            c.until_end(|c| c.u8(&EC_POINT_FORMAT).map(drop))
        }
        // signature_algorithms, signature_algorithms_cert (RFC 8446, section 4.2.3), delegated_credential (RFC 9345).
        (13 | 50 | 34, _) if asked => {
            filled16(c, &SIG_HASH_ALG_LEN)?;
            c.until_end(|c| read_u16(c, &SIG_HASH_ALG))
        }
        (14, _) => use_srtp(c),
        // RFC 6520, section 2.
        (15, _) => c.u8(&HEARTBEAT_MODE).map(drop),
        (16, _) => alpn(c),
        // In a hello the client only says that it would like some.
        (18, _) if c.left() > 0 => certificate::sct_list(c),
        // RFC 7250, section 3: a list when offered, one when chosen.
        (19 | 20, ClientHello) => {
            filled8(c, &CERT_TYPES_LEN)?;
            c.until_end(|c| c.u8(&CERT_TYPE).map(drop))
        }
        (19 | 20, _) => c.u8(&CERT_TYPE).map(drop),
        // RFC 7685.
        (21, _) => {
            c.rest(&PADDING_DATA);
            Ok(())
        }
        // RFC 8879, section 3.
        (27, _) => {
            filled8(c, &COMPRESS_ALGORITHMS_LENGTH)?;
            c.until_end(|c| read_u16(c, &COMPRESS_ALGORITHM))
        }
        // RFC 8449, section 4.
        (28, _) => c.u16(&RECORD_SIZE_LIMIT).map(drop),
        // RFC 5077, section 3.2.
        (35, _) => {
            c.rest(&SESSION_TICKET_DATA);
            Ok(())
        }
        // RFC 8446, section 4.2.11.
        (41, ClientHello) => {
            found.pre_shared_key = true;
            offered_psks(c)
        }
        (41, ServerHello) => {
            found.pre_shared_key = true;
            c.u16(&PSK_SELECTED).map(drop)
        }
        // RFC 8446, section 4.2.10.
        (42, NewSessionTicket) => {
            found.early_data = true;
            c.u32(&MAX_EARLY_DATA_SIZE).map(drop)
        }
        (42, ClientHello | EncryptedExtensions) => {
            found.early_data = true;
            Ok(())
        }
        // RFC 8446, section 4.2.1.
        (43, ClientHello) => {
            filled8(c, &SUPPORTED_VERSIONS_LEN)?;
            c.until_end(|c| {
                let version = c.u16(&SUPPORTED_VERSION)?;
                note_grease(c, version);
                if !super::is_grease(version) {
                    found.version = found.version.max(Some(version));
                }
                Ok(())
            })
        }
        (43, ServerHello | HelloRetryRequest) => {
            found.version = Some(c.u16(&SUPPORTED_VERSION)?);
            Ok(())
        }
        // RFC 8446, section 4.2.2.
        (44, _) => {
            let len = c.u16(&COOKIE_LEN)?;
            opaque(c, &COOKIE, len.into())
        }
        // RFC 8446, section 4.2.9.
        (45, ClientHello) => {
            filled8(c, &PSK_KE_MODES_LENGTH)?;
            c.until_end(|c| {
                let mode = c.u8(&PSK_KE_MODE)?;
                // RFC 8701, section 2 sets these aside: 0x0B, 0x2A, 0x49, … each 0x1F more than the last.
                if mode >= 0x0b && (mode - 0x0b).is_multiple_of(0x1f) {
                    c.note(&GREASE, Fact::Uint(mode.into()));
                }
                Ok(())
            })
        }
        // RFC 8446, section 4.2.4.
        (47, _) if asked => {
            filled16(c, &DNAMES_LEN)?;
            distinguished_names(c)
        }
        (48, CertificateRequest) => oid_filters(c),
        // RFC 8446, section 4.2.8.
        (51, ClientHello) => {
            filled16(c, &KEY_SHARE_CLIENT_LENGTH)?;
            c.until_end(|c| {
                let group = key_share_entry(c, false)?;
                if !super::is_grease(group) {
                    found.group = found.group.or(Some(group));
                }
                Ok(())
            })
        }
        (51, ServerHello) => {
            found.group = Some(key_share_entry(c, true)?);
            Ok(())
        }
        (51, HelloRetryRequest) => {
            found.group = Some(c.u16(&SELECTED_GROUP)?);
            Ok(())
        }
        (0xfe0d, _) => encrypted_client_hello(c, within),
        // RFC 5746, section 3.2.
        (0xff01, _) => {
            let len = c.u8(&RENEG_INFO_LEN)?;
            opaque(c, &RENEG_INFO, len.into())
        }
        // Those that are empty wherever they stand: encrypt_then_mac (22, RFC 7366, section 2), extended_master_secret (23),
        // post_handshake_auth (49). Then quic_transport_parameters (57), and those nobody here knows.
        (22, _) => {
            found.encrypt_then_mac = true;
            Ok(())
        }
        (23 | 49, _) => Ok(()),
        _ => unknown(c),
    }
}

fn unknown(c: &mut Cursor<'_, '_>) -> Read<()> {
    c.rest(&DATA);
    Ok(())
}

/// Reads a one-byte length that must be that of all that is left.
fn filled8(c: &mut Cursor<'_, '_>, def: &'static FieldDef) -> Read<()> {
    let len = c.u8(def)?;
    fills(c, def, len.into())
}

/// Reads a two-byte length that must be that of all that is left.
fn filled16(c: &mut Cursor<'_, '_>, def: &'static FieldDef) -> Read<()> {
    let len = c.u16(def)?;
    fills(c, def, len.into())
}

fn fills(c: &mut Cursor<'_, '_>, def: &'static FieldDef, len: usize) -> Read<()> {
    if len == c.left() {
        Ok(())
    } else {
        Err(c.stop(def, Why::Length, len))
    }
}

fn read_u16(c: &mut Cursor<'_, '_>, def: &'static FieldDef) -> Read<()> {
    let value = c.u16(def)?;
    note_grease(c, value);
    Ok(())
}

fn server_name(c: &mut Cursor<'_, '_>) -> Read<()> {
    filled16(c, &SERVER_NAME_LIST_LEN)?;
    c.until_end(|c| {
        c.u8(&SERVER_NAME_TYPE)?;
        let len = c.u16(&SERVER_NAME_LEN)?;
        opaque(c, &SERVER_NAME, len.into())
    })
}

/// RFC 6066, section 8.
fn status_request(c: &mut Cursor<'_, '_>) -> Read<()> {
    if c.u8(&STATUS_TYPE)? != 1 {
        return unknown(c);
    }
    let len = c.u16(&RESPONDER_IDS_LEN)?;
    opaque(c, &RESPONDER_IDS, len.into())?;
    let len = c.u16(&REQUEST_EXTS_LEN)?;
    opaque(c, &REQUEST_EXTS, len.into())
}

/// RFC 5764, section 4.1.1.
fn use_srtp(c: &mut Cursor<'_, '_>) -> Read<()> {
    let len = c.u16(&SRTP_PROFILES_LENGTH)?;
    c.sub(&SRTP_PROFILES, len.into(), |c| {
        c.until_end(|c| c.u16(&SRTP_PROFILE).map(drop))
    })?;
    let len = c.u8(&SRTP_MKI_LENGTH)?;
    opaque(c, &SRTP_MKI, len.into())
}

/// RFC 7301, section 3.1.
fn alpn(c: &mut Cursor<'_, '_>) -> Read<()> {
    filled16(c, &ALPN_LEN)?;
    c.until_end(|c| {
        let len = c.u8(&ALPN_STR_LEN)?;
        if let (2, [high, low, ..]) = (len, c.ahead()) {
            note_grease(c, u16::from_be_bytes([*high, *low]));
        }
        opaque(c, &ALPN_STR, len.into())
    })
}

/// ```text
/// struct {
///     PskIdentity identities<7..2^16-1>;            (identity<1..2^16-1>, obfuscated_ticket_age)
///     PskBinderEntry binders<33..2^16-1>;           (opaque PskBinderEntry<32..255>)
/// } OfferedPsks;
/// ```
fn offered_psks(c: &mut Cursor<'_, '_>) -> Read<()> {
    let len = c.u16(&PSK_IDENTITIES_LENGTH)?;
    c.sub(&PSK_IDENTITIES, len.into(), |c| {
        c.until_end(|c| {
            let len = c.u16(&PSK_IDENTITY_LENGTH)?;
            opaque(c, &PSK_IDENTITY, len.into())?;
            c.u32(&PSK_TICKET_AGE).map(drop)
        })
    })?;
    let len = c.u16(&PSK_BINDERS_LEN)?;
    c.sub(&PSK_BINDERS, len.into(), |c| {
        c.until_end(|c| {
            let len = c.u8(&PSK_BINDER_LEN)?;
            opaque(c, &PSK_BINDER, len.into())
        })
    })
    .map(drop)
}

/// RFC 8446, section 4.2.5. The identifiers are whole DER values, tag and length included.
fn oid_filters(c: &mut Cursor<'_, '_>) -> Read<()> {
    filled16(c, &OID_FILTERS_LENGTH)?;
    c.until_end(|c| {
        let len = c.u8(&OID_FILTER_OID_LENGTH)?;
        certificate::object_identifier(c, &OID_FILTER_OID, len.into())?;
        let len = c.u16(&OID_FILTER_VALUES_LENGTH)?;
        opaque(c, &OID_FILTER_VALUES, len.into())
    })
}

/// One key share, under its own heading; gives its group.
fn key_share_entry(c: &mut Cursor<'_, '_>, from_server: bool) -> Read<u16> {
    c.group(&KEY_SHARE_ENTRY, |c| {
        let group = c.u16(&KEY_SHARE_GROUP)?;
        note_grease(c, group);
        let len = usize::from(c.u16(&KEY_EXCHANGE_LENGTH)?);
        match hybrid(group, from_server) {
            Some(parts) => {
                c.sub(&KEY_EXCHANGE, len, |c| {
                    for (def, len) in parts {
                        c.bytes(def, len)?;
                    }
                    Ok(())
                })?;
            }
            None => opaque(c, &KEY_EXCHANGE, len)?,
        }
        Ok(group)
    })
}

/// The two halves of a hybrid key share, in their order, and their lengths in bytes (draft-ietf-tls-ecdhe-mlkem): the
/// client sends an ML-KEM encapsulation key, the server a ciphertext (FIPS 203, section 8, table 3).
fn hybrid(group: u16, from_server: bool) -> Option<[(&'static FieldDef, usize); 2]> {
    let ml_kem = |key, ciphertext| {
        if from_server {
            (&KEY_EXCHANGE_MLKEM_CIPHERTEXT, ciphertext)
        } else {
            (&KEY_EXCHANGE_MLKEM_KEY, key)
        }
    };
    let ecdh = |len| (&KEY_EXCHANGE_ECDH, len);
    match group {
        // SecP256r1MLKEM768, X25519MLKEM768, SecP384r1MLKEM1024.
        0x11eb => Some([ecdh(65), ml_kem(1184, 1088)]),
        0x11ec => Some([ml_kem(1184, 1088), ecdh(32)]),
        0x11ed => Some([ecdh(97), ml_kem(1568, 1568)]),
        _ => None,
    }
}

/// RFC 9849, section 5: the outer ClientHello carries the encrypted inner one, the inner one only its type.
fn encrypted_client_hello(c: &mut Cursor<'_, '_>, within: Within) -> Read<()> {
    match within {
        Within::ClientHello => {
            if c.u8(&ECH_TYPE)? != 0 {
                return if c.left() == 0 { Ok(()) } else { unknown(c) };
            }
            c.u16(&ECH_KDF)?;
            c.u16(&ECH_AEAD)?;
            c.u8(&ECH_CONFIG_ID)?;
            let len = c.u16(&ECH_ENC_LENGTH)?;
            opaque(c, &ECH_ENC, len.into())?;
            let len = c.u16(&ECH_PAYLOAD_LENGTH)?;
            opaque(c, &ECH_PAYLOAD, len.into())
        }
        Within::HelloRetryRequest => c.bytes(&ECH_CONFIRMATION, 8).map(drop),
        Within::EncryptedExtensions => {
            c.rest(&ECH_RETRY_CONFIGS);
            Ok(())
        }
        _ => unknown(c),
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests {
    use super::super::samples::{self, Decoded, bytes};
    use super::super::{GREASE, handshake};
    use super::*;
    use crate::packet::Value;

    fn message(hex: &str) -> Decoded<handshake::Message> {
        samples::decode(&bytes(hex), |c| handshake::message(c, true))
    }

    /// One extension of a ClientHello.
    fn one(kind: u16, data: &[u8]) -> Decoded<Found> {
        let mut bytes = vec![0, 4 + data.len() as u8];
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, data.len() as u8]);
        bytes.extend(data);
        samples::decode(&bytes, |c| {
            let mut found = Found::default();
            list(c, Within::ClientHello, &mut found)?;
            Ok(found)
        })
    }

    #[test]
    fn a_hello_with_grease_and_a_hybrid_key_share() {
        let hello = message(samples::MODERN_CLIENT_HELLO);
        assert_eq!(
            hello.notes(&GREASE),
            [0x3a3a, 0x2a2a, 0x4a4a, 0x0a0a, 0x4a4a, 0x0b, 0x6a6a, 0x9a9a]
        );
        assert_eq!(hello.numbers(&KEY_SHARE_GROUP), [0x4a4a, 0x11ec, 0x1d]);
        assert_eq!(hello.numbers(&KEY_EXCHANGE_LENGTH), [1, 1216, 32]);
        assert_eq!(hello.lengths(&KEY_EXCHANGE), [1, 1216, 32]);
        assert_eq!(hello.lengths(&KEY_EXCHANGE_MLKEM_KEY), [1184]);
        assert_eq!(hello.lengths(&KEY_EXCHANGE_ECDH), [32]);
        assert_eq!(hello.texts(&ALPN_STR), ["\n\n", "h2", "http/1.1"]);
        assert_eq!(hello.numbers(&SUPPORTED_VERSION), [0x6a6a, 0x0304, 0x0303]);
        assert_eq!(hello.lengths(&ECH_PAYLOAD), [64]);
        assert_eq!(hello.numbers(&RECORD_SIZE_LIMIT), [0x4001]);
        assert_eq!(hello.values(&COOKIE), [Value::Bytes(b"cookie")]);
        assert_eq!(hello.lengths(&PADDING_DATA), [9]);
        let m = hello.result.unwrap();
        assert_eq!((m.version, m.group), (Some(0x0304), Some(0x11ec)));
        assert_eq!(m.extensions, 31);
    }

    #[test]
    fn the_server_answers_with_a_ciphertext() {
        let hello = message(samples::MODERN_SERVER_HELLO);
        assert_eq!(hello.lengths(&KEY_EXCHANGE_MLKEM_CIPHERTEXT), [1088]);
        assert_eq!(hello.lengths(&KEY_EXCHANGE_ECDH), [32]);
        assert_eq!(hello.numbers(&PSK_SELECTED), [0]);
        assert!(hello.result.unwrap().pre_shared_key);
    }

    #[test]
    fn what_belongs_to_a_certificate() {
        let message = message(samples::STAPLED_CERTIFICATE);
        assert_eq!(message.values(&OCSP_RESPONSE), [Value::Bytes(b"OCSP!")]);
        assert_eq!(
            message.numbers(&certificate::SCT_TIMESTAMP),
            [1_700_000_000_000]
        );
        assert_eq!(message.lengths(&certificate::SCT_SIGNATURE), [70]);
    }

    #[test]
    fn the_other_hybrid_groups() {
        let lengths = |group, from_server| {
            hybrid(group, from_server).map(|parts| parts.map(|(def, len)| (def.key, len)))
        };
        let ecdh = KEY_EXCHANGE_ECDH.key;
        let key = KEY_EXCHANGE_MLKEM_KEY.key;
        let ciphertext = KEY_EXCHANGE_MLKEM_CIPHERTEXT.key;
        assert_eq!(lengths(0x11eb, false), Some([(ecdh, 65), (key, 1184)]));
        assert_eq!(
            lengths(0x11ed, true),
            Some([(ecdh, 97), (ciphertext, 1568)])
        );
        assert_eq!(lengths(0x001d, true), None);
    }

    #[test]
    fn an_extension_that_fails_leaves_the_next_one_readable() {
        let bytes = [
            0, 17, // extensions
            0, 51, 0, 6, 0, 4, 0, 29, 0, 32, // key_share: 32 bytes claimed, none there
            0, 43, 0, 3, 2, 3, 4, // supported_versions
        ];
        let decoded = samples::decode(&bytes, |c| {
            let mut found = Found::default();
            list(c, Within::ClientHello, &mut found)?;
            Ok(found)
        });
        assert_eq!(
            decoded.stops(),
            [(KEY_EXCHANGE.key, 12, 32, 0, Why::Length)]
        );
        assert_eq!(decoded.result.unwrap().version, Some(0x0304));
    }

    #[test]
    fn a_list_that_does_not_fill_its_extension() {
        for (len, have) in [(3, 2), (1, 2)] {
            let decoded = one(10, &[0, len, 0, 29]);
            assert_eq!(
                decoded.stops(),
                [(
                    SUPPORTED_GROUPS_LENGTH.key,
                    8,
                    u32::from(len),
                    have,
                    Why::Length
                )]
            );
        }
    }

    #[test]
    fn a_hybrid_share_of_the_wrong_length() {
        let decoded = one(51, &[0, 6, 0x11, 0xec, 0, 2, 1, 2]);
        assert_eq!(
            decoded.stops(),
            [(KEY_EXCHANGE_MLKEM_KEY.key, 12, 1184, 2, Why::Length)]
        );
        assert_eq!(decoded.result.unwrap().group, Some(0x11ec));
    }

    #[test]
    fn an_extension_longer_than_the_list() {
        let decoded = samples::decode(&[0, 5, 0x12, 0x34, 0, 9, 1], |c| {
            list(c, Within::ClientHello, &mut Found::default())
        });
        assert_eq!(decoded.stops(), [(EXTENSION.key, 2, 13, 5, Why::Length)]);
        assert_eq!(decoded.lengths(&DATA), [1]);
    }

    #[test]
    fn unknown_extensions_are_labelled() {
        let decoded = one(0x1234, &[1, 2, 3]);
        decoded.assert_complete();
        assert_eq!(decoded.values(&DATA), [Value::Bytes(&[1, 2, 3])]);
    }
}
