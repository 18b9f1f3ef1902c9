//! The User Datagram Protocol (RFC 768): ports and a checksum, and nothing else.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------------------------------+-------------------------------+
//! |          Source Port          |       Destination Port        |
//! +-------------------------------+-------------------------------+
//! |            Length             |           Checksum            |
//! +-------------------------------+-------------------------------+
//! ```

use std::net::IpAddr;

use super::ipv4::checksum_status;
use super::{Bind, Decode, Next, Protocol, is_bound, is_partial, right_checksum, sum_over};
use crate::cursor::{Cursor, Read};
use crate::packet::Why;

fields! {
    UDP = "udp" Layer;
    SRCPORT = "udp.srcport" Uint;
    DSTPORT = "udp.dstport" Uint;
    LENGTH = "udp.length" Uint;
    CHECKSUM = "udp.checksum" Hex;
    CHECKSUM_STATUS = "udp.checksum.status" Uint;
    CHECKSUM_CALCULATED = "udp.checksum_calculated" Hex;
    // What only the conversation tells.
    STREAM = "udp.stream" Uint;
}

/// User Datagram Protocol.
pub static PROTOCOL: Protocol = Protocol {
    def: &UDP,
    fields: &[FIELDS],
    binds: &[Bind::IpProtocol(17)],
    decode: Decode::Packet(decode),
};

const HEADER_LEN: usize = 8;

fn decode(c: &mut Cursor<'_, '_>) -> Read<Next> {
    let whole = c.ahead();
    let from = c.u16(&SRCPORT)?;
    let to = c.u16(&DSTPORT)?;
    let length = usize::from(c.u16(&LENGTH)?);
    let checksum = c.u16(&CHECKSUM)?;
    let carried = c.context.payload as usize;
    let status = if checksum == 0 {
        // RFC 768: zero is what stands there when there is none; a sum of zero is sent as all ones. With IPv6, whose header
        // has no checksum of its own, there has to be one (RFC 8200, section 8.1).
        match c.context.addresses {
            Some((IpAddr::V6(_), _)) => checksum_status::ILLEGAL,
            _ => checksum_status::NOT_PRESENT,
        }
    } else {
        // The sum covers what the header says is the datagram.
        let datagram = whole.get(..length.min(carried)).unwrap_or(whole);
        let mut context = *c.context;
        context.payload = length.min(carried) as u32;
        match sum_over(&context, 17, datagram).filter(|_| length <= carried) {
            None => checksum_status::UNVERIFIED,
            Some(sum) if sum.ones_complement() == 0 => checksum_status::GOOD,
            Some(sum) => {
                c.note(&CHECKSUM_CALCULATED, right_checksum(sum, checksum));
                if is_partial(&context, 17, checksum) {
                    checksum_status::PARTIAL
                } else {
                    checksum_status::BAD
                }
            }
        }
    };
    c.note(&CHECKSUM_STATUS, status);
    // A length of zero: a jumbogram (RFC 2675, section 4), or what is left to a network card to fill in.
    if length != 0 {
        let data = match length.checked_sub(HEADER_LEN) {
            Some(data) if length <= carried || c.context.quoted => data,
            _ => return Err(c.stop(&LENGTH, Why::Length, length)),
        };
        c.limit(data);
    }
    c.context.datagram = Some((from, to));
    // The lower port is the better known one.
    let ports = [from.min(to), from.max(to)].map(Bind::UdpPort);
    Ok(ports
        .into_iter()
        .find(|port| is_bound(*port))
        .map_or(Next::Data, Next::Payload))
}
