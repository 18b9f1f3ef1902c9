//! The three small protocols beside the handshake: alert (RFC 8446, section 6), change_cipher_spec (RFC 5246, section
//! 7.1; RFC 8446, section 5) and heartbeat (RFC 6520).

use crate::cursor::{Cursor, Read};
use crate::packet::Why;

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

/// An alert: how grave, and what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alert {
    /// 1 is a warning, 2 is fatal; TLS 1.3 goes by the description alone.
    pub level: u8,
    /// 0 is `close_notify`, the regular end; the others are in the glossary.
    pub description: u8,
}

/// Decodes the plaintext of an alert record: exactly one alert.
///
/// # Errors
/// A [`crate::packet::Stop`] when it is not all there, or when bytes follow.
pub fn decode(c: &mut Cursor<'_, '_>) -> Read<Alert> {
    let alert = c.group(&ALERT, |c| {
        Ok(Alert {
            level: c.u8(&LEVEL)?,
            description: c.u8(&DESC)?,
        })
    })?;
    if c.left() > 0 {
        c.record(c.stop(&ALERT, Why::Trailing, 0));
    }
    Ok(alert)
}

/// Decodes a change_cipher_spec record: the single byte 1.
///
/// # Errors
/// A [`crate::packet::Stop`] when it is not there.
pub fn change_cipher_spec(c: &mut Cursor<'_, '_>) -> Read<u8> {
    let value = c.u8(&CHANGE_CIPHER_SPEC)?;
    if c.left() > 0 {
        c.record(c.stop(&CHANGE_CIPHER_SPEC, Why::Trailing, 0));
    }
    Ok(value)
}

/// Decodes the plaintext of a heartbeat record.
///
/// # Errors
/// A [`crate::packet::Stop`] when it is not all there; so also for a payload length that claims more than was sent,
/// which RFC 6520 (section 4) tells the receiver to discard silently, and which some once answered (CVE-2014-0160).
pub fn heartbeat(c: &mut Cursor<'_, '_>) -> Read<()> {
    let len = c.left();
    c.sub(&HEARTBEAT, len, |c| {
        c.u8(&HEARTBEAT_TYPE)?;
        let payload = usize::from(c.u16(&HEARTBEAT_PAYLOAD_LENGTH)?);
        c.bytes(&HEARTBEAT_PAYLOAD, payload)?;
        c.rest(&HEARTBEAT_PADDING);
        Ok(())
    })
    .map(drop)
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests {
    use super::super::samples::decode as read;
    use super::*;

    #[test]
    fn close_notify() {
        let alert = read(&[1, 0], decode);
        alert.assert_complete();
        let (level, description) = (1, 0);
        assert_eq!(alert.result.unwrap(), Alert { level, description });
    }

    #[test]
    fn an_alert_cut_short_or_too_long() {
        let stop = read(&[2], decode).result.unwrap_err();
        assert_eq!(
            (stop.def.key, stop.offset, stop.need, stop.have),
            ("tls.alert_message.desc", 1, 1, 0)
        );
        let long = read(&[2, 40, 1], decode);
        assert_eq!(long.result.as_ref().unwrap().description, 40);
        assert_eq!(
            long.stops(),
            [("tls.alert_message", 2, 0, 1, Why::Trailing)]
        );
    }

    #[test]
    fn change_cipher_spec_is_one_byte() {
        let one = read(&[1], change_cipher_spec);
        one.assert_complete();
        assert_eq!(one.result.unwrap(), 1);
        assert_eq!(
            read(&[1, 1], change_cipher_spec).stops(),
            [("tls.change_cipher_spec", 1, 0, 1, Why::Trailing)]
        );
    }

    #[test]
    fn a_heartbeat_that_claims_more_than_it_has() {
        let mut honest = vec![1, 0, 2, b'h', b'i'];
        honest.extend([0; 16]);
        read(&honest, heartbeat).assert_complete();
        honest[1] = 0x40;
        assert_eq!(
            read(&honest, heartbeat).stops(),
            [("tls.heartbeat_message.payload", 3, 0x4002, 18, Why::Length)]
        );
    }
}
