//! The annotating reader: one call reads some bits, labels them and returns their value, so that nothing is said twice.
//!
//! This is the only place that does bit arithmetic. A read that does not fit gives a [`Stop`] that says what was to be
//! read, where, how much it needs and how much there is; it never reads past its limit.

pub mod shape;

use crate::packet::{BufId, Context, Fact, Field, FieldDef, Kind, Labels, Name, Stop, Value, Why};

/// What a read gives: its value, or the place where decoding ends.
pub type Read<T> = Result<T, Stop>;

/// Reads one buffer from front to back and leaves a label on everything it reads.
#[derive(Debug)]
pub struct Cursor<'b, 'l> {
    bytes: &'b [u8],
    buf: BufId,
    /// The next bit.
    at: usize,
    /// The bit after the last one that may be read.
    end: usize,
    /// Why a read past `end` fails.
    past_end: Why,
    parent: u32,
    layer: u16,
    labels: &'l mut Labels,
    /// What the layers tell each other about this frame.
    pub context: &'l mut Context,
}

impl<'b, 'l> Cursor<'b, 'l> {
    /// A cursor over `bytes[start..end]` of the buffer `buf`, labelling for the layer that was begun last.
    ///
    /// `past_end` is the reason to give when a read does not fit: [`Why::Short`] where the bytes really end,
    /// [`Why::CutOff`] where only the capture does.
    pub fn new(
        bytes: &'b [u8],
        buf: BufId,
        range: core::ops::Range<usize>,
        past_end: Why,
        labels: &'l mut Labels,
        context: &'l mut Context,
    ) -> Self {
        let end = range.end.min(bytes.len());
        let start = range.start.min(end);
        let layer = u16::try_from(labels.layers.len().saturating_sub(1)).unwrap_or(u16::MAX);
        Self {
            bytes,
            buf,
            at: start * 8,
            end: end * 8,
            past_end,
            parent: crate::packet::NO_PARENT,
            layer,
            labels,
            context,
        }
    }

    /// The whole buffer, read or not.
    #[must_use]
    pub fn whole(&self) -> &'b [u8] {
        self.bytes
    }

    /// Where the cursor stands, in bytes from the start of the buffer.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at / 8
    }

    /// How many whole bytes may still be read.
    #[must_use]
    pub fn left(&self) -> usize {
        (self.end - self.at) / 8
    }

    /// The bytes that may still be read, without reading them.
    #[must_use]
    pub fn ahead(&self) -> &'b [u8] {
        self.bytes.get(self.at / 8..self.end / 8).unwrap_or(&[])
    }

    /// Lets only the next `len` bytes be read from now on; what lies beyond stays unlabelled.
    pub fn limit(&mut self, len: usize) {
        let end = self.at + len * 8;
        if end < self.end {
            self.end = end;
            self.past_end = Why::Length;
        }
    }

    /// Adds a computed fact about this layer.
    pub fn note(&mut self, def: &'static FieldDef, value: Fact) {
        self.labels.note(usize::from(self.layer), def, value);
    }

    /// Records that something in this layer cannot be decoded, and lets decoding go on.
    pub fn record(&mut self, stop: Stop) {
        // A quote may end anywhere, and most do; but where it leaves a part of a byte over, that is said.
        let quote_ends = self.context.quoted
            && self.at.is_multiple_of(8)
            && matches!(stop.why, Why::Short | Why::CutOff);
        if !quote_ends {
            self.labels.stops.push(stop);
        }
    }

    /// A stop at the cursor's place, for a value or a length that cannot be.
    #[must_use]
    pub fn stop(&self, def: &'static FieldDef, why: Why, need: usize) -> Stop {
        Stop {
            layer: self.layer,
            def,
            buf: self.buf,
            offset: u32::try_from(self.at / 8).unwrap_or(u32::MAX),
            need: u32::try_from(need).unwrap_or(u32::MAX),
            // A byte that is read in part counts: `offset` is where it starts.
            have: u32::try_from(self.end / 8 - self.at / 8).unwrap_or(u32::MAX),
            why,
        }
    }

    /// A stop at the cursor's place because bytes are missing: the frame ends, or the capture cut it off.
    #[must_use]
    pub fn missing(&self, def: &'static FieldDef, need: usize) -> Stop {
        self.stop(def, self.past_end, need)
    }

    #[cold]
    fn does_not_fit(&self, def: &'static FieldDef, bits: usize) -> Stop {
        self.stop(def, self.past_end, (self.at % 8 + bits).div_ceil(8))
    }

    #[inline(always)]
    fn label(&mut self, def: &'static FieldDef, bits: usize) -> Read<usize> {
        let start = self.at;
        if bits > self.end - start {
            return Err(self.does_not_fit(def, bits));
        }
        self.at = start + bits;
        self.labels.fields.push(Field {
            def,
            start: start as u32,
            bits: bits as u32,
            parent: self.parent,
            buf: self.buf,
            back: 0,
        });
        Ok(start)
    }

    /// Reads up to 64 bits as a number.
    ///
    /// # Errors
    /// A [`Stop`] when there are not that many bits left.
    #[inline(always)]
    pub fn bits(&mut self, def: &'static FieldDef, bits: u32) -> Read<u64> {
        let start = self.label(def, bits as usize)?;
        Ok(read_bits(self.bytes, start, bits as usize) * def.kind.unit())
    }

    /// Reads one bit.
    ///
    /// # Errors
    /// A [`Stop`] at the end of the bytes.
    #[inline]
    pub fn flag(&mut self, def: &'static FieldDef) -> Read<bool> {
        Ok(self.bits(def, 1)? == 1)
    }

    /// Reads one byte.
    ///
    /// # Errors
    /// A [`Stop`] at the end of the bytes.
    #[inline]
    pub fn u8(&mut self, def: &'static FieldDef) -> Read<u8> {
        Ok(self.bits(def, 8)? as u8)
    }

    /// Reads a 16-bit number.
    ///
    /// # Errors
    /// A [`Stop`] at the end of the bytes.
    #[inline]
    pub fn u16(&mut self, def: &'static FieldDef) -> Read<u16> {
        Ok(self.bits(def, 16)? as u16)
    }

    /// Reads a 24-bit number.
    ///
    /// # Errors
    /// A [`Stop`] at the end of the bytes.
    #[inline]
    pub fn u24(&mut self, def: &'static FieldDef) -> Read<u32> {
        Ok(self.bits(def, 24)? as u32)
    }

    /// Reads a 32-bit number.
    ///
    /// # Errors
    /// A [`Stop`] at the end of the bytes.
    #[inline]
    pub fn u32(&mut self, def: &'static FieldDef) -> Read<u32> {
        Ok(self.bits(def, 32)? as u32)
    }

    /// Reads a 64-bit number.
    ///
    /// # Errors
    /// A [`Stop`] at the end of the bytes.
    #[inline]
    pub fn u64(&mut self, def: &'static FieldDef) -> Read<u64> {
        self.bits(def, 64)
    }

    /// Reads `len` bytes (of whatever kind the definition says: bytes, text, an identifier, a time).
    ///
    /// # Errors
    /// A [`Stop`] when there are fewer.
    #[inline]
    pub fn bytes(&mut self, def: &'static FieldDef, len: usize) -> Read<&'b [u8]> {
        let start = self.label(def, len.saturating_mul(8))? / 8;
        Ok(self.bytes.get(start..start + len).unwrap_or(&[]))
    }

    /// Reads exactly `N` bytes, such as an address.
    ///
    /// # Errors
    /// A [`Stop`] when there are fewer.
    #[inline]
    pub fn array<const N: usize>(&mut self, def: &'static FieldDef) -> Read<[u8; N]> {
        let bytes = self.bytes(def, N)?;
        Ok(bytes.try_into().unwrap_or([0; N]))
    }

    /// Reads all that is left; labels nothing when nothing is.
    pub fn rest(&mut self, def: &'static FieldDef) -> &'b [u8] {
        match self.left() {
            0 => &[],
            left => self.bytes(def, left).unwrap_or(&[]),
        }
    }

    /// Labels the last of the bytes that may be read, given part by part how many, and lets them be read no more.
    ///
    /// A part of no bytes is not labelled.
    pub fn tail(&mut self, parts: &[(&'static FieldDef, usize)]) {
        let len: usize = parts.iter().map(|(_, len)| len).sum();
        let (at, end) = (self.at, self.end - len.min(self.left()) * 8);
        self.at = end;
        for (def, len) in parts.iter().filter(|(_, len)| *len > 0) {
            self.bytes(def, *len).ok();
        }
        (self.at, self.end) = (at, end);
    }

    /// Reads a domain name of which `len` bytes stand here, in a message that starts at the byte `message` of the buffer.
    ///
    /// # Errors
    /// A [`Stop`] when there are fewer bytes.
    pub fn name(&mut self, def: &'static FieldDef, message: usize, len: usize) -> Read<Name<'b>> {
        let at = self.position().saturating_sub(message);
        self.bytes(def, len)?;
        if let Some(field) = self.labels.fields.last_mut() {
            field.back = u16::try_from(at).unwrap_or(u16::MAX);
        }
        let message = self.bytes.get(message..).unwrap_or(&[]);
        Ok(Name { message, at })
    }

    /// Goes on over bytes without a label of their own: they are a part of what the group around them shows.
    pub fn pass(&mut self, len: usize) {
        self.at += len.min(self.left()) * 8;
    }

    /// Puts everything that `read` reads under one heading.
    ///
    /// # Errors
    /// Those of `read`; the heading then covers what had been read.
    pub fn group<T>(
        &mut self,
        def: &'static FieldDef,
        read: impl FnOnce(&mut Self) -> Read<T>,
    ) -> Read<T> {
        let index = self.labels.fields.len();
        let start = self.label(def, 0)?;
        let parent = core::mem::replace(&mut self.parent, index as u32);
        let result = read(self);
        self.parent = parent;
        if let Some(field) = self.labels.fields.get_mut(index) {
            field.bits = (self.at - start) as u32;
        }
        result
    }

    /// Puts the next `len` bytes under one heading, lets `read` read no more than those, and goes on behind them.
    ///
    /// When `read` stops, the stop is recorded and the result is `None`: what follows can still be decoded, because its
    /// place is known. Bytes that `read` leaves over are recorded as such and stay visible.
    ///
    /// # Errors
    /// A [`Stop`] when there are fewer than `len` bytes; those that are there are still shown to `read`.
    pub fn sub<T>(
        &mut self,
        def: &'static FieldDef,
        len: usize,
        read: impl FnOnce(&mut Self) -> Read<T>,
    ) -> Read<Option<T>> {
        let (end, past_end) = (self.end, self.past_end);
        let wanted = self.at.saturating_add(len.saturating_mul(8));
        let missing = (wanted > end).then(|| self.does_not_fit(def, len.saturating_mul(8)));
        let stop_at = wanted.min(end);
        let index = self.labels.fields.len();
        let start = self.label(def, 0)?;
        let parent = core::mem::replace(&mut self.parent, index as u32);
        self.end = stop_at;
        if missing.is_none() {
            self.past_end = Why::Length;
        }
        let result = read(self);
        if let Some(field) = self.labels.fields.get_mut(index) {
            field.bits = (stop_at - start) as u32;
        }
        // `read` may have set a closer limit; what is left over counts up to the end of this part.
        self.end = stop_at;
        if result.is_ok() && self.at < stop_at && missing.is_none() {
            self.record(self.stop(def, Why::Trailing, 0));
        }
        self.parent = parent;
        self.end = end;
        self.past_end = past_end;
        self.at = stop_at;
        match (result, missing) {
            (_, Some(stop)) => Err(stop),
            (Ok(value), None) => Ok(Some(value)),
            (Err(stop), None) => {
                self.record(stop);
                Ok(None)
            }
        }
    }

    /// Repeats `read` until everything that may be read has been.
    ///
    /// # Errors
    /// The first that `read` gives, or a [`Stop`] if `read` reads nothing.
    pub fn until_end(&mut self, mut read: impl FnMut(&mut Self) -> Read<()>) -> Read<()> {
        while self.at < self.end {
            let before = self.at;
            read(self)?;
            if self.at == before {
                break;
            }
        }
        Ok(())
    }
}

/// Up to 64 bits from `start` (in bits) of `bytes`, most significant first; bits that are not there read as zero.
#[inline]
#[must_use]
pub fn read_bits(bytes: &[u8], start: usize, bits: usize) -> u64 {
    let first = start / 8;
    // Where eight bytes are there and enough, they are read at once.
    if let Some(word) = bytes.get(first..).and_then(<[u8]>::first_chunk::<8>)
        && bits > 0
        && start % 8 + bits <= 64
    {
        return u64::from_be_bytes(*word) << (start % 8) >> (64 - bits);
    }
    read_bits_near_end(bytes, start, bits)
}

/// The same where the bytes end, or where it takes nine of them.
#[inline(never)]
fn read_bits_near_end(bytes: &[u8], start: usize, bits: usize) -> u64 {
    // The last eight bytes, if they are enough.
    if let Some(word) = bytes.last_chunk::<8>()
        && let Some(skip) = start.checked_sub((bytes.len() - 8) * 8)
        && bits > 0
        && skip + bits <= 64
    {
        return u64::from_be_bytes(*word) << skip >> (64 - bits);
    }
    let first = start / 8;
    let last = (start + bits).div_ceil(8);
    let window = bytes.get(first..last).unwrap_or(&[]);
    let mut value: u64 = 0;
    let spare = last * 8 - (start + bits);
    if window.len() <= 8 {
        for byte in window {
            value = value << 8 | u64::from(*byte);
        }
        value >>= spare;
    } else {
        let mut wide: u128 = 0;
        for byte in window.iter().take(9) {
            wide = wide << 8 | u128::from(*byte);
        }
        value = (wide >> spare) as u64;
    }
    if bits >= 64 {
        value
    } else {
        value & ((1 << bits) - 1)
    }
}

/// A number in digits; what is none counts as zero, and what is too large as the largest.
fn digits(text: &[u8], base: u8) -> u64 {
    text.iter().fold(0_u64, |number, digit| {
        let digit = char::from(*digit).to_digit(base.into()).unwrap_or(0);
        number
            .saturating_mul(base.into())
            .saturating_add(digit.into())
    })
}

impl Kind {
    /// What a number of this kind is multiplied with.
    #[inline]
    pub(crate) fn unit(self) -> u64 {
        match self {
            Self::Units(unit) => u64::from(unit),
            _ => 1,
        }
    }
}

impl Field {
    /// The value under this label, read from the bytes of its buffer.
    #[must_use]
    pub fn value<'a>(&self, buffer: &'a [u8]) -> Value<'a> {
        let bytes = || buffer.get(self.bytes()).unwrap_or(&[]);
        match self.def.kind {
            Kind::Layer | Kind::Group => Value::None,
            Kind::Bool => {
                Value::Bool(read_bits(buffer, self.start as usize, self.bits as usize) != 0)
            }
            Kind::Uint | Kind::Hex | Kind::Units(_) | Kind::Nanos => Value::Uint(
                read_bits(buffer, self.start as usize, self.bits.min(64) as usize)
                    * self.def.kind.unit(),
            ),
            Kind::Digits(base) => Value::Uint(digits(bytes(), base)),
            Kind::Host => {
                let bits = self.bits.min(64);
                let n = read_bits(buffer, self.start as usize, bits as usize);
                Value::Uint(n.min(n.swap_bytes() >> (64 - bits).min(63)))
            }
            Kind::Ether => bytes()
                .try_into()
                .map_or(Value::Bytes(bytes()), Value::Ether),
            Kind::Name => {
                let start = self.bytes().start;
                let back = usize::from(self.back).min(start);
                let message = buffer.get(start - back..).unwrap_or(&[]);
                Value::Name(Name { message, at: back })
            }
            Kind::Bytes => Value::Bytes(bytes()),
            Kind::Text => Value::Text(bytes()),
            Kind::Oid => Value::Oid(bytes()),
            Kind::Time => Value::Time(bytes()),
            Kind::Ipv4 => bytes()
                .try_into()
                .map_or(Value::Bytes(bytes()), Value::Ipv4),
            Kind::Ipv6 => bytes()
                .try_into()
                .map_or(Value::Bytes(bytes()), Value::Ipv6),
        }
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

    static GROUP: FieldDef = FieldDef {
        key: "test.group",
        kind: Kind::Group,
    };
    static BYTE: FieldDef = FieldDef {
        key: "test.byte",
        kind: Kind::Uint,
    };
    static WORD: FieldDef = FieldDef {
        key: "test.word",
        kind: Kind::Hex,
    };
    static BLOB: FieldDef = FieldDef {
        key: "test.blob",
        kind: Kind::Bytes,
    };

    fn over<T>(bytes: &[u8], read: impl FnOnce(&mut Cursor<'_, '_>) -> T) -> (T, Labels) {
        let (mut labels, mut context) = (Labels::default(), Context::default());
        let result = read(&mut Cursor::new(
            bytes,
            BufId::FRAME,
            0..bytes.len(),
            Why::Short,
            &mut labels,
            &mut context,
        ));
        (result, labels)
    }

    #[test]
    fn bits_of_every_width_and_place() {
        let bytes = [
            0b1010_0101,
            0xff,
            0x00,
            0x12,
            0x34,
            0x56,
            0x78,
            0x9a,
            0xbc,
            0xde,
        ];
        assert_eq!(read_bits(&bytes, 0, 4), 0b1010);
        assert_eq!(read_bits(&bytes, 4, 4), 0b0101);
        assert_eq!(read_bits(&bytes, 7, 2), 0b11);
        assert_eq!(read_bits(&bytes, 0, 64), 0xa5ff_0012_3456_789a);
        assert_eq!(read_bits(&bytes, 4, 64), 0x5ff0_0123_4567_89ab);
        assert_eq!(read_bits(&bytes, 3, 0), 0);
    }

    #[test]
    fn a_read_that_does_not_fit_says_what_where_need_and_have() {
        let (result, labels) = over(&[1, 2, 3], |c| {
            c.u16(&WORD).unwrap();
            c.u32(&BLOB)
        });
        let stop = result.unwrap_err();
        assert_eq!(
            (stop.def.key, stop.offset, stop.need, stop.have, stop.why),
            ("test.blob", 2, 4, 1, Why::Short)
        );
        assert_eq!(
            labels.fields.len(),
            1,
            "nothing is labelled that could not be read"
        );
    }

    #[test]
    fn a_failure_inside_a_known_length_leaves_what_follows_readable() {
        let (result, labels) = over(&[2, 0xaa, 0xbb, 7], |c| {
            let len = c.u8(&BYTE)?;
            let inner = c.sub(&GROUP, usize::from(len), |c| c.u32(&WORD))?;
            assert_eq!(inner, None);
            c.u8(&BYTE)
        });
        assert_eq!(result.unwrap(), 7);
        assert_eq!(labels.stops.len(), 1);
        assert_eq!(
            (
                labels.stops[0].why,
                labels.stops[0].need,
                labels.stops[0].have
            ),
            (Why::Length, 4, 2)
        );
    }

    #[test]
    fn bytes_left_over_are_recorded() {
        let (result, labels) = over(&[1, 2, 3], |c| c.sub(&GROUP, 3, |c| c.u8(&BYTE)));
        assert_eq!(result.unwrap(), Some(1));
        assert_eq!(
            (
                labels.stops[0].why,
                labels.stops[0].offset,
                labels.stops[0].have
            ),
            (Why::Trailing, 1, 2)
        );
    }

    #[test]
    fn the_value_read_again_is_the_value_returned() {
        let (values, labels) = over(&[0x12, 0x34, 0x56, 0x78], |c| {
            (c.bits(&BYTE, 3).unwrap(), c.bits(&WORD, 13).unwrap())
        });
        let again: Vec<_> = labels
            .fields
            .iter()
            .map(|f| f.value(&[0x12, 0x34, 0x56, 0x78]))
            .collect();
        assert_eq!(again, [Value::Uint(values.0), Value::Uint(values.1)]);
    }
}
