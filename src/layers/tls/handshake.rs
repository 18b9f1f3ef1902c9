//! The handshake messages (RFC 8446, section 4; RFC 5246, section 7.4).

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
