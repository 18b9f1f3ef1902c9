//! The extensions of the handshake messages (RFC 8446, section 4.2, and the IANA registry of TLS extensions).

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
