//! What must hold whatever the bytes (the invariants in `THREAT_MODEL.md` and in the docs of `layerwise::packet`): fields
//! inside their buffers, leaves that do not overlap, gaps that are exactly the rest, stops that tell the truth.

use layerwise::cursor::{Cursor, Read};
use layerwise::packet::{
    BufId, BufKind, Context, Event, Field, Frame, Kind, Labels, Layer, LinkType, Note, Stop, Time,
    Why,
};

/// A frame that begins with an IP header.
pub fn frame(number: u64, data: &[u8], wire_len: usize) -> Frame<'_> {
    Frame {
        number,
        // A millisecond apart.
        time: Time(number * 1_000_000),
        link: LinkType::RAW,
        data,
        wire_len: u32::try_from(wire_len).unwrap_or(u32::MAX),
    }
}

/// Checks everything an event says.
pub fn event(event: &Event<'_>) {
    let buffers: Vec<&[u8]> = ids(event).map(|id| event.bytes(id)).collect();
    let known = Known {
        layers: event.layers,
        fields: event.fields,
        notes: event.notes,
        stops: event.stops,
    };
    let covered = known.check(&buffers);
    for (id, covered) in ids(event).zip(covered) {
        // The gaps are exactly the bytes of which no leaf labels a bit.
        let mut bytes: Vec<bool> = covered.chunks(8).map(|bits| bits.contains(&true)).collect();
        for gap in event.gaps(id) {
            assert!(
                gap.start < gap.end && gap.end <= bytes.len(),
                "gap {gap:?} of {}",
                bytes.len()
            );
            for byte in &mut bytes[gap.clone()] {
                assert!(
                    !*byte,
                    "gap {gap:?} of buffer {} holds a labelled or twice counted byte",
                    id.0
                );
                *byte = true;
            }
        }
        assert!(
            bytes.iter().all(|covered| *covered),
            "a byte of buffer {} is in no gap and no leaf",
            id.0
        );
        pieces(event, id);
    }
}

/// Lets a decoder read the bytes as a buffer by themselves, and checks what it leaves.
pub fn decoder<T>(bytes: &[u8], read: impl FnOnce(&mut Cursor<'_, '_>) -> Read<T>) -> Option<T> {
    let (mut labels, mut context) = (Labels::default(), Context::default());
    let layer = &layerwise::layers::data::DATA;
    layerwise::layers::begin(&mut labels, layer, BufId::FRAME, 0);
    let mut cursor = Cursor::new(
        bytes,
        BufId::FRAME,
        0..bytes.len(),
        Why::Short,
        &mut labels,
        &mut context,
    );
    let result = read(&mut cursor);
    let at = cursor.position();
    layerwise::layers::finish(&mut labels, at);
    let result = result.map_err(|stop| labels.stops.push(stop)).ok();
    self::labels(&labels, bytes);
    result
}

/// Checks the labels of one buffer.
pub fn labels(labels: &Labels, bytes: &[u8]) {
    Known {
        layers: &labels.layers,
        fields: &labels.fields,
        notes: &labels.notes,
        stops: &labels.stops,
    }
    .check(&[bytes]);
}

struct Known<'k> {
    layers: &'k [Layer],
    fields: &'k [Field],
    notes: &'k [Note],
    stops: &'k [Stop],
}

impl Known<'_> {
    /// Gives for each buffer and each of its bits whether a leaf labels it.
    fn check(&self, buffers: &[&[u8]]) -> Vec<Vec<bool>> {
        let mut covered: Vec<Vec<bool>> = buffers
            .iter()
            .map(|bytes| vec![false; bytes.len() * 8])
            .collect();
        for (index, field) in self.fields.iter().enumerate() {
            let bytes = buffers
                .get(usize::from(field.buf.0))
                .expect("its buffer is there");
            let (start, end) = (
                field.start as usize,
                field.start as usize + field.bits as usize,
            );
            assert!(
                end <= bytes.len() * 8,
                "{} reaches over the end of its buffer",
                field.def.key
            );
            if field.parent != layerwise::packet::NO_PARENT {
                assert!(
                    (field.parent as usize) < index,
                    "{} comes before its group",
                    field.def.key
                );
                let parent = &self.fields[field.parent as usize];
                let inside =
                    parent.start as usize <= start && end <= (parent.start + parent.bits) as usize;
                assert!(
                    inside && parent.buf == field.buf,
                    "{} is outside of {}",
                    field.def.key,
                    parent.def.key
                );
            }
            // Reading it again must not panic.
            let _ = field.value(bytes);
            let leaf = self
                .fields
                .get(index + 1)
                .is_none_or(|next| next.parent as usize != index);
            if leaf {
                for bit in &mut covered[usize::from(field.buf.0)][start..end] {
                    assert!(!*bit, "{} labels what another leaf does", field.def.key);
                    *bit = true;
                }
            }
        }
        // A group whose own value is text or bytes shows all of its bytes, although the fields in it name only some.
        for field in self.fields {
            if matches!(field.def.kind, Kind::Text | Kind::Bytes) {
                covered[usize::from(field.buf.0)][field.start as usize..][..field.bits as usize]
                    .fill(true);
            }
        }
        let mut before = 0;
        for layer in self.layers {
            let bytes = buffers
                .get(usize::from(layer.buf.0))
                .expect("its buffer is there");
            assert!(
                layer.bytes.start <= layer.bytes.end && layer.bytes.end as usize <= bytes.len(),
                "{layer:?}"
            );
            assert!(
                layer.fields.start == before && layer.fields.start <= layer.fields.end,
                "{layer:?}, {before}"
            );
            before = layer.fields.end;
        }
        assert_eq!(
            before as usize,
            self.fields.len(),
            "each field is in one layer"
        );
        for note in self.notes {
            assert!(usize::from(note.layer) < self.layers.len(), "{note:?}");
        }
        for stop in self.stops {
            let bytes = buffers
                .get(usize::from(stop.buf.0))
                .expect("its buffer is there");
            assert!(usize::from(stop.layer) < self.layers.len(), "{stop:?}");
            assert!(
                stop.offset as usize + stop.have as usize <= bytes.len(),
                "{stop:?}: more than there is"
            );
            if matches!(stop.why, Why::Short | Why::CutOff) {
                assert!(stop.need > stop.have, "{stop:?} has what it needs");
            }
        }
        covered
    }
}

/// A buffer that was put together has pieces that follow each other and make up the whole.
fn pieces(event: &Event<'_>, id: BufId) {
    let pieces = event.pieces(id);
    let mut at = 0;
    for piece in pieces {
        assert!(
            piece.into == at && piece.frame <= event.frame.number,
            "{piece:?} at {at}"
        );
        at += piece.len;
    }
    if matches!(
        event.buffer_kind(id),
        BufKind::Packet | BufKind::Stream | BufKind::Message
    ) {
        assert_eq!(
            at as usize,
            event.bytes(id).len(),
            "the pieces of buffer {} are not all of it",
            id.0
        );
    }
}

fn ids(event: &Event<'_>) -> impl Iterator<Item = BufId> + use<> {
    let count = u16::try_from(event.buffer_count()).expect("a buffer's number fits");
    (0..count).map(BufId)
}

#[cfg(test)]
mod tests {
    use layerwise::layers::{self, data};
    use layerwise::packet::{NO_PARENT, Stop};

    use super::*;

    /// Labels of one layer over two bytes; the fields are given by their first bit and how many.
    fn labelled(fields: &[(u32, u32)]) -> Labels {
        let mut labels = Labels::default();
        layers::begin(&mut labels, &data::DATA, BufId::FRAME, 0);
        labels
            .fields
            .extend(fields.iter().map(|&(start, bits)| Field {
                def: &data::DATA_DATA,
                start,
                bits,
                parent: NO_PARENT,
                buf: BufId::FRAME,
                back: 0,
            }));
        layers::finish(&mut labels, 2);
        labels
    }

    #[test]
    fn neighbours_are_right() {
        labels(&labelled(&[(0, 3), (3, 5), (8, 8)]), b"hi");
    }

    #[test]
    #[should_panic(expected = "labels what another leaf does")]
    fn one_common_bit_is_found() {
        labels(&labelled(&[(0, 4), (3, 5)]), b"hi");
    }

    #[test]
    #[should_panic(expected = "reaches over the end")]
    fn one_bit_too_many_is_found() {
        labels(&labelled(&[(9, 8)]), b"hi");
    }

    #[test]
    #[should_panic(expected = "has what it needs")]
    fn a_stop_that_lies_is_found() {
        let mut labelled = labelled(&[]);
        labelled.stops.push(Stop {
            layer: 0,
            def: &data::DATA_DATA,
            buf: BufId::FRAME,
            offset: 1,
            need: 1,
            have: 1,
            why: Why::Short,
        });
        labels(&labelled, b"hi");
    }
}
