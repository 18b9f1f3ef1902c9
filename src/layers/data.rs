//! Bytes that no protocol claims. They are shown, not hidden.

use super::{Decode, Next, Protocol};
use crate::cursor::{Cursor, Read};

fields! {
    DATA = "data" Layer;
    DATA_DATA = "data.data" Bytes;
}

/// Plain bytes.
pub static PROTOCOL: Protocol = Protocol {
    def: &DATA,
    fields: &[FIELDS],
    binds: &[],
    decode: Decode::Packet(decode),
};

fn decode(c: &mut Cursor<'_, '_>) -> Read<Next> {
    c.rest(&DATA_DATA);
    Ok(Next::End)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{decoded, hex};

    #[test]
    fn what_nobody_claims_is_shown_whole() {
        let d = decoded(&hex("450000180000000040fd000001010101 02020202 0035ffff"));
        assert_eq!(d.layers(), ["ip", "data"]);
        assert_eq!(d.layer("data"), "data.data 0035ffff\n");
        let d = decoded(&[0xff, 0x00]);
        assert_eq!(d.layer("data"), "data.data ff00\n");
        assert!(decoded(&[]).layers().is_empty());
    }
}
