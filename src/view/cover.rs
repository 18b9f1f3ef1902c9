//! Which layer's fields show which bytes of an event, as few runs of bytes: a packet has many fields and few layers.

use core::ops::Range;

use crate::packet::{BufId, Event, Kind};

/// Bytes of one buffer that stand together and are shown by fields of one layer, or by none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    buf: BufId,
    start: usize,
    end: usize,
    /// The layer's index and one; 0 for bytes that nobody shows.
    owner: u16,
}

impl Run {
    /// Where in its buffer it is.
    pub(super) fn bytes(&self) -> Range<usize> {
        self.start..self.end
    }

    /// The index of its layer, if it has one.
    pub(super) fn layer(&self) -> Option<usize> {
        usize::from(self.owner).checked_sub(1)
    }
}

/// What is shown of an event's buffers. One is reused from packet to packet.
#[derive(Debug, Default)]
pub(super) struct Cover {
    /// What belongs to a layer, ordered by buffer and place.
    runs: Vec<Run>,
    /// Fields of different layers label the same bytes: the later ones lie over the earlier.
    tangled: bool,
    /// All of one buffer, with what belongs to nobody.
    whole: Vec<Run>,
    /// The owner of each byte of a buffer, and of one from which bytes are taken over.
    owners: Vec<u16>,
    stream: Vec<u16>,
}

impl Cover {
    /// Looks at the fields of an event.
    pub(super) fn look_at(&mut self, event: &Event<'_>) {
        self.runs.clear();
        for (index, layer) in event.layers.iter().enumerate() {
            let mut run = Run {
                buf: layer.buf,
                start: 0,
                end: 0,
                owner: owner(index),
            };
            let mut fields = event.fields_of(layer);
            let mut index = layer.fields.start;
            while let [field, rest @ ..] = fields {
                // As `Event::shows` has it, for one field after the other.
                let is_group = rest.first().is_some_and(|next| next.parent == index);
                fields = rest;
                index += 1;
                if is_group && !matches!(field.def.kind, Kind::Text | Kind::Bytes)
                    || field.bits == 0
                {
                    continue;
                }
                let Range { start, end } = field.bytes();
                if field.buf == run.buf && (run.start..=run.end).contains(&start) {
                    run.end = run.end.max(end);
                } else {
                    self.add(run);
                    let buf = field.buf;
                    run = Run {
                        buf,
                        start,
                        end,
                        ..run
                    };
                }
            }
            self.add(run);
        }
        let place = |run: &Run| (run.buf, run.start);
        if !self.runs.is_sorted_by_key(place) {
            self.runs.sort_unstable_by_key(place);
        }
        self.tangled = self.overlaps();
    }

    fn add(&mut self, run: Run) {
        if run.start < run.end {
            self.runs.push(run);
        }
    }

    /// Whether runs of different layers overlap; those of one layer become one.
    fn overlaps(&mut self) -> bool {
        let mut tangled = false;
        self.runs.dedup_by(|run, before| {
            if run.buf != before.buf || run.start > before.end {
                return false;
            }
            let same = run.owner == before.owner;
            if same {
                before.end = before.end.max(run.end);
            }
            tangled |= !same && run.start < before.end;
            same
        });
        tangled
    }

    /// Whether every byte of a buffer is shown by some field.
    pub(super) fn is_whole(&self, id: BufId, len: usize) -> bool {
        let mut at = 0;
        for run in self.runs.iter().filter(|run| run.buf == id) {
            if run.start > at {
                return false;
            }
            at = at.max(run.end);
        }
        at >= len
    }

    /// All of a buffer of the event that was looked at, in runs that follow each other.
    ///
    /// Bytes of the frame that another buffer has taken up belong to the layer that was decoded there.
    pub(super) fn of_buffer(&mut self, event: &Event<'_>, id: BufId) -> &[Run] {
        self.whole.clear();
        if self.tangled || id == BufId::FRAME && takes_up(event) {
            self.byte_by_byte(event, id);
            return &self.whole;
        }
        let mut add = |start, end, owner| {
            let run = Run {
                buf: id,
                start,
                end,
                owner,
            };
            if start < end {
                self.whole.push(run);
            }
        };
        let mut at = 0;
        for run in self.runs.iter().filter(|run| run.buf == id) {
            add(at, run.start, 0);
            add(run.start, run.end, run.owner);
            at = run.end;
        }
        add(at, event.bytes(id).len(), 0);
        &self.whole
    }

    /// The same, by the owner of each byte: for whatever lies one over the other.
    fn byte_by_byte(&mut self, event: &Event<'_>, id: BufId) {
        owners_of(event, id, &mut self.owners);
        if id == BufId::FRAME {
            self.take_up(event);
        }
        let mut at = 0;
        for run in self.owners.chunk_by(|one, other| one == other) {
            self.whole.push(Run {
                buf: id,
                start: at,
                end: at + run.len(),
                owner: run.first().copied().unwrap_or(0),
            });
            at += run.len();
        }
    }

    fn take_up(&mut self, event: &Event<'_>) {
        for id in (1..event.buffer_count()).map(|id| BufId(id as u16)) {
            let number = event.frame.number;
            let mut pieces = event
                .pieces(id)
                .iter()
                .filter(|p| p.frame == number)
                .peekable();
            if pieces.peek().is_none() {
                continue;
            }
            owners_of(event, id, &mut self.stream);
            for piece in pieces {
                let (at, into, len) = (piece.at as usize, piece.into as usize, piece.len as usize);
                let from = self.stream.get(into..into + len).unwrap_or(&[]);
                for (owner, layer) in self.owners.iter_mut().skip(at).zip(from) {
                    if *layer != 0 {
                        *owner = *layer;
                    }
                }
            }
        }
    }
}

/// The number that stands for a layer.
fn owner(index: usize) -> u16 {
    u16::try_from(index + 1).unwrap_or(u16::MAX)
}

/// Whether bytes of the frame went into other buffers.
fn takes_up(event: &Event<'_>) -> bool {
    let frame = event.frame.number;
    (1..event.buffer_count()).any(|id| {
        let pieces = event.pieces(BufId(id as u16));
        pieces.iter().any(|piece| piece.frame == frame)
    })
}

/// Whether that byte of the frame went into another buffer of the event.
pub(super) fn taken_up(event: &Event<'_>, at: usize) -> bool {
    (1..event.buffer_count()).any(|id| {
        event.pieces(BufId(id as u16)).iter().any(|piece| {
            let start = piece.at as usize;
            piece.frame == event.frame.number && (start..start + piece.len as usize).contains(&at)
        })
    })
}

/// For each byte of a buffer the layer whose field shows it (its index and one), or 0.
fn owners_of(event: &Event<'_>, id: BufId, owners: &mut Vec<u16>) {
    owners.clear();
    owners.resize(event.bytes(id).len(), 0);
    for (index, layer) in event.layers.iter().enumerate() {
        let first = layer.fields.start as usize;
        for (i, field) in event.fields_of(layer).iter().enumerate() {
            if field.buf == id
                && event.shows(first + i)
                && let Some(own) = owners.get_mut(field.bytes())
            {
                own.fill(owner(index));
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use crate::view::samples;

    /// The quick way and the way byte by byte say the same of every packet of a chat.
    #[test]
    fn runs_are_those_of_single_bytes() {
        let (mut cover, mut quick) = (Cover::default(), 0);
        let number = samples::chat("so many words, ", |event| {
            cover.look_at(event);
            for id in (0..event.buffer_count()).map(|id| BufId(id as u16)) {
                let runs = cover.of_buffer(event, id).to_vec();
                quick += u32::from(!cover.tangled && !takes_up(event));
                cover.whole.clear();
                cover.byte_by_byte(event, id);
                assert_eq!(runs, cover.whole);
                let gaps = event.gaps(id).is_empty();
                assert_eq!(cover.is_whole(id, event.bytes(id).len()), gaps);
            }
        });
        assert!(quick > 100, "{quick} buffers of {number} packets");
    }
}
