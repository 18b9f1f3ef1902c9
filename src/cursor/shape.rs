//! The fixed part of a header: fields of which every packet has the same ones, in the same places.
//!
//! Where each of them is need not be worked out packet by packet, so [`Cursor::shape`] labels all of them in one go, and
//! only those that somebody wants to see.

use super::{Cursor, Read};
use crate::packet::{Field, FieldDef, Interest, NO_PARENT};

/// A field of a [`Shape`], or a heading over the fields behind it. Made by [`field`] and [`group`].
#[derive(Debug, Clone, Copy)]
pub struct Part {
    def: &'static FieldDef,
    /// Where it starts, in bits from the shape's first.
    start: u32,
    bits: u32,
    /// The part that is the heading over it, or [`NO_PARENT`].
    parent: u32,
    /// How many of the parts behind it stand under it.
    members: u32,
}

/// A field of so many bits.
#[must_use]
pub const fn field(def: &'static FieldDef, bits: u32) -> Part {
    Part {
        def,
        start: 0,
        bits,
        parent: NO_PARENT,
        members: 0,
    }
}

/// A heading over the next so many fields. (There are no headings under headings.)
#[must_use]
pub const fn group(def: &'static FieldDef, members: u32) -> Part {
    Part {
        members,
        ..field(def, 0)
    }
}

/// Puts parts one behind the other.
#[must_use]
#[allow(
    clippy::indexing_slicing,
    reason = "worked out by the compiler, which refuses an index that is not there"
)]
pub const fn lay_out<const N: usize>(mut parts: [Part; N]) -> [Part; N] {
    let (mut i, mut at) = (0, 0);
    let (mut heading, mut members) = (0, 0);
    while i < N {
        parts[i].start = at;
        if members > 0 {
            parts[i].parent = heading as u32;
            parts[heading].bits += parts[i].bits;
            members -= 1;
        }
        if parts[i].members > 0 {
            (heading, members) = (i, parts[i].members);
        }
        at += parts[i].bits;
        i += 1;
    }
    parts
}

/// The fixed part of a header.
#[derive(Debug)]
pub struct Shape {
    /// Its place in [`crate::layers::SHAPES`].
    number: usize,
    parts: &'static [Part],
    bits: u32,
}

impl Shape {
    /// The shape that [`crate::layers::SHAPES`] has at this place, of parts that [`lay_out`] has put in order: at most 32.
    #[must_use]
    pub const fn new(number: usize, parts: &'static [Part]) -> Self {
        let bits = match parts.last() {
            Some(last) => last.start + last.bits,
            None => 0,
        };
        Self {
            number,
            parts,
            bits,
        }
    }
}

impl Interest {
    /// Of these fields alone.
    #[must_use]
    pub fn only(wanted: impl Fn(&'static FieldDef) -> bool) -> Self {
        let mut interest = Self::default();
        for (bits, shape) in interest.0.iter_mut().zip(crate::layers::SHAPES) {
            let parts = (0..).zip(shape.parts);
            *bits = parts.fold(0, |bits, (i, part)| bits | u32::from(wanted(part.def)) << i);
        }
        interest
    }
}

impl<'b> Cursor<'b, '_> {
    /// Reads the fixed part of a header, and gives the bytes in which it stands. `BYTES` is how many they are; where the
    /// shape begins or ends within one, that counts.
    ///
    /// # Errors
    /// A [`crate::packet::Stop`] at the first field for which there are not enough bytes.
    #[inline]
    pub fn shape<const BYTES: usize>(&mut self, shape: &Shape) -> Read<[u8; BYTES]> {
        let start = self.at;
        if shape.bits as usize > self.end - start {
            self.shape_in_part(shape)?;
        }
        self.at = start + shape.bits as usize;
        let bytes = self.bytes.get(start / 8..).unwrap_or(&[]);
        debug_assert_eq!(self.at.div_ceil(8) - start / 8, BYTES);
        let interest = self.labels.interest.0.get(shape.number).copied();
        let wanted = interest.unwrap_or(u32::MAX);
        if wanted == u32::MAX {
            self.all(shape, start as u32);
        } else {
            self.some(shape, start as u32, wanted);
        }
        Ok(bytes.first_chunk().copied().unwrap_or([0; BYTES]))
    }

    /// Labels all parts.
    #[inline]
    fn all(&mut self, shape: &Shape, start: u32) {
        let (base, parent, buf) = (self.labels.fields.len() as u32, self.parent, self.buf);
        let parts = shape.parts.iter().map(|part| Field {
            def: part.def,
            start: start + part.start,
            bits: part.bits,
            parent: match part.parent {
                NO_PARENT => parent,
                heading => base + heading,
            },
            buf,
            back: 0,
        });
        self.labels.fields.extend(parts);
    }

    /// Labels the parts that are wanted. One whose heading is not wanted stands in its layer.
    fn some(&mut self, shape: &Shape, start: u32, mut wanted: u32) {
        let mut heading = None;
        while wanted != 0 {
            let i = wanted.trailing_zeros();
            wanted &= wanted - 1;
            let Some(part) = shape.parts.get(i as usize) else {
                return;
            };
            let index = self.labels.fields.len() as u32;
            if part.members > 0 {
                heading = Some((i, index));
            }
            let over = heading.filter(|(number, _)| *number == part.parent);
            self.labels.fields.push(Field {
                def: part.def,
                start: start + part.start,
                bits: part.bits,
                parent: over.map_or(self.parent, |(_, index)| index),
                buf: self.buf,
                back: 0,
            });
        }
    }

    /// Labels what is there of a shape for which there are not enough bytes.
    #[cold]
    fn shape_in_part(&mut self, shape: &Shape) -> Read<()> {
        let base = self.labels.fields.len();
        let parent = self.parent;
        let mut from = self.at;
        for part in shape.parts {
            let bits = if part.members > 0 {
                from = self.at;
                0
            } else {
                part.bits as usize
            };
            let heading = (part.parent != NO_PARENT).then(|| base + part.parent as usize);
            self.parent = heading.map_or(parent, |heading| heading as u32);
            let result = self.label(part.def, bits);
            self.parent = parent;
            // A heading covers what has been read under it.
            if let Some(field) = heading.and_then(|heading| self.labels.fields.get_mut(heading)) {
                field.bits = (self.at - from) as u32;
            }
            result?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests {
    use super::*;
    use crate::layers::{SHAPES, ipv4, tcp};
    use crate::packet::{BufId, Context, Labels, Stop, Why};

    fn over(shape: &Shape, bytes: usize, labels: &mut Labels) -> Option<Stop> {
        let (zeros, mut context) = ([0; 64], Context::default());
        let why = Why::Short;
        let mut c = Cursor::new(&zeros, BufId::FRAME, 0..bytes, why, labels, &mut context);
        c.shape_in_part(shape).err()
    }

    #[test]
    fn each_shape_is_at_its_place_and_small_enough() {
        for (i, shape) in SHAPES.iter().enumerate() {
            assert_eq!(shape.number, i);
            assert!(shape.parts.len() <= 32);
        }
        assert_eq!(SHAPES.len(), crate::packet::SHAPES);
    }

    #[test]
    fn all_at_once_or_one_by_one_is_the_same() {
        for shape in SHAPES {
            let (mut one_by_one, mut at_once) = (Labels::default(), Labels::default());
            assert_eq!(over(shape, 64, &mut one_by_one), None);
            let (zeros, mut context) = ([0; 64], Context::default());
            let (buf, why) = (BufId::FRAME, Why::Short);
            Cursor::new(&zeros, buf, 0..64, why, &mut at_once, &mut context).all(shape, 0);
            assert_eq!(one_by_one.fields, at_once.fields);
        }
    }

    #[test]
    fn what_is_missing_stops_where_it_should_be() {
        let shape = SHAPES[1];
        let mut labels = Labels::default();
        let stop = over(shape, 9, &mut labels).unwrap();
        assert_eq!(
            (stop.def.key, stop.offset, stop.need, stop.have),
            ("tcp.ack_raw", 8, 4, 1)
        );
        let keys: Vec<_> = labels.fields.iter().map(|field| field.def.key).collect();
        assert_eq!(keys, ["tcp.srcport", "tcp.dstport", "tcp.seq_raw"]);
    }

    #[test]
    fn only_what_is_wanted_is_labelled() {
        let wanted = [&tcp::FLAGS, &tcp::FLAG_SYN, &ipv4::DSCP];
        let interest = Interest::only(|def| wanted.iter().any(|one| core::ptr::eq(*one, def)));
        let mut labels = Labels {
            interest,
            ..Labels::default()
        };
        let (zeros, mut context) = ([0; 64], Context::default());
        let (buf, why) = (BufId::FRAME, Why::Short);
        let mut c = Cursor::new(&zeros, buf, 12..64, why, &mut labels, &mut context);
        c.shape::<19>(SHAPES[0]).unwrap();
        c.pass(1);
        let tcp_from = c.position();
        c.shape::<13>(SHAPES[1]).unwrap();
        c.shape::<8>(SHAPES[2]).unwrap();
        let fields: Vec<_> = labels
            .fields
            .iter()
            .map(|f| (f.def.key, f.start as usize, f.parent))
            .collect();
        let flags = tcp_from * 8 + 100;
        assert_eq!(
            fields,
            [
                ("ip.dsfield.dscp", 12 * 8, NO_PARENT),
                ("tcp.flags", flags, NO_PARENT),
                ("tcp.flags.syn", flags + 10, 1)
            ]
        );
    }
}
