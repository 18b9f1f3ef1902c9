//! Ethernet (IEEE 802.3, clause 3.2): the link's own header, and what fills the frame up behind the packet.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------------------------------------------------------+
//! |                                                               |
//! +         Destination           +-------------------------------+
//! |                               |                               |
//! +-------------------------------+            Source             +
//! |                                                               |
//! +-------------------------------+-------------------------------+
//! |        Type or Length         |           Packet ...          |
//! +-------------------------------+-------------------------------+
//! |   ... Padding up to 60 bytes, anything else behind the packet |
//! +---------------------------------------------------------------+
//! ```

use super::{Bind, Decode, Next, Protocol, extent};
use crate::cursor::{Cursor, Read};
use crate::packet::{FieldDef, LinkType, Why};

fields! {
    ETH = "eth" Layer;
    DST = "eth.dst" Ether;
    SRC = "eth.src" Ether;
    TYPE = "eth.type" Hex;
    LEN = "eth.len" Uint;
    PADDING = "eth.padding" Bytes;
    TRAILER = "eth.trailer" Bytes;
    FCS = "eth.fcs" Hex;
}

/// Ethernet.
pub static PROTOCOL: Protocol = Protocol {
    def: &ETH,
    fields: &[FIELDS],
    binds: &[Bind::Link(LinkType::ETHERNET)],
    decode: Decode::Packet(decode),
};

/// From here on the number is a type; up to [`MAX_LENGTH`] it is a length (IEEE 802.3, clause 3.2.6).
const MIN_TYPE: u16 = 0x0600;
const MAX_LENGTH: u16 = 1500;
/// The shortest frame, without the frame check sequence; whoever has less to send fills it up.
const MIN_FRAME: usize = 60;
const FCS_LEN: usize = 4;

fn decode(c: &mut Cursor<'_, '_>) -> Read<Next> {
    c.array::<6>(&DST)?;
    c.array::<6>(&SRC)?;
    type_or_length(c, &TYPE, &LEN, &TRAILER)
}

/// What follows: the EtherType, or in the older form the length of what follows. Also takes off what the link added at
/// the end, as far as it can be told where that begins.
pub(super) fn type_or_length(
    c: &mut Cursor<'_, '_>,
    kind: &'static FieldDef,
    length: &'static FieldDef,
    trailer: &'static FieldDef,
) -> Read<Next> {
    let number = match c.ahead().get(..2).map(<[u8; 2]>::try_from) {
        Some(Ok(number)) => u16::from_be_bytes(number),
        _ => MIN_TYPE,
    };
    if number >= MIN_TYPE {
        let bind = Bind::EtherType(c.u16(kind)?);
        if let Some(len) = extent(bind, c.ahead()) {
            behind(c, len, trailer);
        }
        return Ok(Next::Payload(bind));
    }
    c.u16(length)?;
    if number > MAX_LENGTH {
        return Err(c.stop(length, Why::Value, 0));
    }
    let len = usize::from(number);
    if len > c.left() {
        c.record(c.missing(length, len));
    }
    behind(c, len, trailer);
    Ok(Next::Data)
}

/// Labels what stands behind the packet: zeros that fill the frame up to the shortest there may be, whatever else there
/// is, and the frame check sequence where the capture kept it.
pub(super) fn behind(c: &mut Cursor<'_, '_>, packet: usize, trailer: &'static FieldDef) {
    let left = c.left();
    let frame = c.position() + left;
    let Some(extra) = left.checked_sub(packet).filter(|extra| *extra > 0) else {
        return;
    };
    let (behind, is_ethernet) = (
        c.ahead().get(packet..).unwrap_or(&[]),
        core::ptr::eq(trailer, &raw const TRAILER),
    );
    let fill = MIN_FRAME.saturating_sub(frame - extra).min(extra);
    let zeros = behind.iter().take(fill).all(|byte| *byte == 0);
    let padding = if frame >= MIN_FRAME && zeros { fill } else { 0 };
    let rest = extra - padding;
    let fcs = if is_ethernet && frame >= MIN_FRAME + FCS_LEN && rest >= FCS_LEN {
        FCS_LEN
    } else {
        0
    };
    c.tail(&[(&PADDING, padding), (trailer, rest - fcs), (&FCS, fcs)]);
}
