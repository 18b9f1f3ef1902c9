//! The conversations over UDP: datagrams between the same two ends, counted.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::layers::udp;
use crate::packet::{Context, Fact, Labels};

/// The most conversations of one generation that are remembered; there are two.
const MAX: usize = 1 << 15;

type End = (IpAddr, u16);

/// The numbers of the conversations. The ones that were heard of lately are remembered: when there are too many, the young
/// ones become the old ones, and those are forgotten.
#[derive(Debug, Default)]
pub(crate) struct Datagrams {
    young: HashMap<(End, End), u64>,
    old: HashMap<(End, End), u64>,
    count: u64,
}

impl Datagrams {
    /// Notes which conversation a datagram belongs to, if the frame holds one.
    pub(crate) fn number(&mut self, context: &Context, labels: &mut Labels) {
        let (Some((src, dst)), Some((from, to))) = (context.addresses, context.datagram) else {
            return;
        };
        let Some(layer) = labels
            .layers
            .iter()
            .rposition(|layer| core::ptr::eq(layer.def, &raw const udp::UDP))
        else {
            return;
        };
        let (a, b) = ((src, from), (dst, to));
        let ends = if a <= b { (a, b) } else { (b, a) };
        let number = match self.young.get(&ends) {
            Some(number) => *number,
            None => {
                let number = self.old.get(&ends).copied().unwrap_or_else(|| {
                    self.count += 1;
                    self.count - 1
                });
                if self.young.len() >= MAX {
                    core::mem::swap(&mut self.young, &mut self.old);
                    self.young.clear();
                }
                self.young.insert(ends, number);
                number
            }
        };
        labels.note(layer, &udp::STREAM, Fact::Uint(number));
    }
}
