//! The classic pcap file (draft-ietf-opsawg-pcap): a header, then records.
//!
//! ```text
//! file    magic 4 · major 2 · minor 2 · reserved 8 · snap length 4 · link type 4
//! record  seconds 4 · fraction 4 · captured length 4 · length on the wire 4 · (8 more, if modified) · the bytes
//! ```

use super::error::{Possible, Problem};
use super::source::{Fill, Source};
use super::{At, MAX_PACKET, Order, Step, plain_link};
use crate::packet::{LinkType, Time};

const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
/// A "modified" pcap (of a libpcap patched for Linux in the nineties) has interface, protocol and packet type behind it.
const MODIFIED_HEADER: usize = 24;

/// Reads records.
#[derive(Debug)]
pub(super) struct Pcap {
    order: Order,
    /// How many nanoseconds one unit of the fraction is.
    unit: u64,
    record_header: usize,
    link: LinkType,
    swapped: Swapped,
}

/// Before version 2.4 the two lengths of a record stood in another order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Swapped {
    Never,
    Perhaps,
    Always,
}

/// What the magic number says: byte order, nanoseconds of one unit, length of a record's header.
pub(super) fn magic(first: [u8; 4]) -> Option<(Order, u64, usize)> {
    Some(match first {
        [0xd4, 0xc3, 0xb2, 0xa1] => (Order::Little, 1000, RECORD_HEADER),
        [0xa1, 0xb2, 0xc3, 0xd4] => (Order::Big, 1000, RECORD_HEADER),
        [0x4d, 0x3c, 0xb2, 0xa1] => (Order::Little, 1, RECORD_HEADER),
        [0xa1, 0xb2, 0x3c, 0x4d] => (Order::Big, 1, RECORD_HEADER),
        [0x34, 0xcd, 0xb2, 0xa1] => (Order::Little, 1000, MODIFIED_HEADER),
        [0xa1, 0xb2, 0xcd, 0x34] => (Order::Big, 1000, MODIFIED_HEADER),
        _ => return None,
    })
}

impl Pcap {
    /// Reads the file header. `None`: ask again, input must be waited for.
    pub(super) fn begin(
        source: &mut Source,
        (order, unit, record_header): (Order, u64, usize),
    ) -> Result<Option<Self>, At> {
        let what = "pcap file header";
        match source
            .fill(FILE_HEADER)
            .map_err(|e| At::new(what, Problem::Read(e)))?
        {
            Fill::There => {}
            Fill::Wait => return Ok(None),
            Fill::End => return Err(At::short(what, FILE_HEADER, source)),
        }
        let header = source.front(FILE_HEADER);
        let (major, minor) = (order.u16(header, 4), order.u16(header, 6));
        if major != 2 {
            return Err(At::new(what, Problem::Version(major, minor)));
        }
        // The upper bits say whether Ethernet's check sequence was kept, and how long it is.
        let link = plain_link(order.u32(header, 20) as u16);
        source.consume(FILE_HEADER);
        Ok(Some(Self {
            order,
            unit,
            record_header,
            link,
            swapped: match minor {
                0..=2 => Swapped::Always,
                3 => Swapped::Perhaps,
                _ => Swapped::Never,
            },
        }))
    }

    pub(super) fn link(&self) -> LinkType {
        self.link
    }

    /// The next record.
    #[inline]
    pub(super) fn next(&mut self, source: &mut Source) -> Result<Step, At> {
        let what = "record header";
        match source
            .fill(self.record_header)
            .map_err(|e| At::new(what, Problem::Read(e)))?
        {
            Fill::There => {}
            Fill::Wait => return Ok(Step::Wait),
            Fill::End if source.ahead().is_empty() => return Ok(Step::End),
            Fill::End => return Err(At::short(what, self.record_header, source)),
        }
        let header = source.front(RECORD_HEADER);
        let order = self.order;
        let (seconds, fraction) = (order.u32(header, 0), order.u32(header, 4));
        let (mut captured, mut wire) = (order.u32(header, 8), order.u32(header, 12));
        if self.swapped != Swapped::Never && (self.swapped == Swapped::Always || captured > wire) {
            core::mem::swap(&mut captured, &mut wire);
        }
        let what = "packet record";
        if captured > MAX_PACKET {
            let possible = Possible::AtMost(MAX_PACKET.into());
            let found = captured.into();
            return Err(At::new(what, Problem::Length { found, possible }));
        }
        let whole = self.record_header + captured as usize;
        match source
            .fill(whole)
            .map_err(|e| At::new(what, Problem::Read(e)))?
        {
            Fill::There => {}
            Fill::Wait => return Ok(Step::Wait),
            Fill::End => return Err(At::short(what, whole, source)),
        }
        let nanoseconds = u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * self.unit;
        Ok(Step::Packet {
            interface: 0,
            time: Time(nanoseconds),
            data: self.record_header..whole,
            wire_len: wire.max(captured),
            options: whole..whole,
            whole,
        })
    }
}
