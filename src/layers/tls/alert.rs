//! The three small protocols beside the handshake: alert, change_cipher_spec, heartbeat.

fields! {
    ALERT = "tls.alert_message" Group;
    LEVEL = "tls.alert_message.level" Uint;
    DESC = "tls.alert_message.desc" Uint;
    CHANGE_CIPHER_SPEC = "tls.change_cipher_spec" Uint;
    HEARTBEAT = "tls.heartbeat_message" Group;
    HEARTBEAT_TYPE = "tls.heartbeat_message.type" Uint;
    HEARTBEAT_PAYLOAD_LENGTH = "tls.heartbeat_message.payload_length" Uint;
    HEARTBEAT_PAYLOAD = "tls.heartbeat_message.payload" Bytes;
    HEARTBEAT_PADDING = "tls.heartbeat_message.padding" Bytes;
}
