//! A virtual LAN's tag (IEEE 802.1Q, clause 9.6), of a customer or around it of a provider (formerly IEEE 802.1ad).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-----+-+-----------------------+-------------------------------+
//! | PCP |D|        VLAN ID        |        Type or Length         |
//! +-----+-+-----------------------+-------------------------------+
//! ```
//!
//! The tag's own EtherType, 0x8100 or 0x88a8, is the type of the header before it.

use super::ethernet::type_or_length;
use super::{Bind, Decode, Next, Protocol};
use crate::cursor::{Cursor, Read};

fields! {
    VLAN = "vlan" Layer;
    PRIORITY = "vlan.priority" Uint;
    DEI = "vlan.dei" Bool;
    ID = "vlan.id" Uint;
    ETYPE = "vlan.etype" Hex;
    LEN = "vlan.len" Uint;
    TRAILER = "vlan.trailer" Bytes;
    // The provider's tag.
    IEEE8021AD = "ieee8021ad" Layer;
    SERVICE_PRIORITY = "ieee8021ad.priority" Uint;
    SERVICE_DEI = "ieee8021ad.dei" Uint;
    SERVICE_ID = "ieee8021ad.id" Uint;
    // Wireshark has the rest under the name of the backbone's tag (IEEE 802.1ah), which is read by the same function.
    SERVICE_ETYPE = "ieee8021ah.etype" Hex;
    SERVICE_LEN = "ieee8021ad.len" Uint;
    SERVICE_TRAILER = "ieee8021ah.trailer" Bytes;
}

/// The customer's tag.
pub static PROTOCOL: Protocol = Protocol {
    def: &VLAN,
    fields: &[FIELDS],
    // 0x9100 is what equipment used for the outer tag before there was a number for it.
    binds: &[Bind::EtherType(0x8100), Bind::EtherType(0x9100)],
    decode: Decode::Packet(customer),
};

/// The provider's tag around it.
pub static SERVICE: Protocol = Protocol {
    def: &IEEE8021AD,
    fields: &[],
    binds: &[Bind::EtherType(0x88a8)],
    decode: Decode::Packet(service),
};

fn customer(c: &mut Cursor<'_, '_>) -> Read<Next> {
    c.bits(&PRIORITY, 3)?;
    c.flag(&DEI)?;
    c.bits(&ID, 12)?;
    type_or_length(c, &ETYPE, &LEN, &TRAILER)
}

fn service(c: &mut Cursor<'_, '_>) -> Read<Next> {
    c.bits(&SERVICE_PRIORITY, 3)?;
    c.bits(&SERVICE_DEI, 1)?;
    c.bits(&SERVICE_ID, 12)?;
    type_or_length(c, &SERVICE_ETYPE, &SERVICE_LEN, &SERVICE_TRAILER)
}
