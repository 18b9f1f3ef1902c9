//! What no single frame can tell: conversations. Each TCP connection has its state, its two streams put in order, and
//! what runs on them.
//!
//! ```text
//! segment ──▶ tcp::Track (notes) ──▶ stream::Order ──▶ stream::Assembler ──▶ tls::Tls ──▶ opened ──▶ application
//! ```

mod aead;
mod datagrams;
mod fragment;
mod stream;
mod table;
mod tcp;
pub(crate) mod tcp_state;
mod tls;
mod tls12;
mod unacked;

use core::ops::Range;

use crate::cursor::Cursor;
use crate::keylog::KeyLog;
use crate::layers::{
    self, Bind, Decode, FindEnd, PROTOCOLS, Part, Protocol, Span, Stream, StreamPart, Talk,
};
use crate::packet::{
    BufId, BufKind, Buffers, Context, Fact, FieldDef, Frame, Labels, Piece, Said, Segment, Stop,
    Why,
};

pub(crate) use datagrams::Datagrams;
pub(crate) use fragment::Fragments;
pub(crate) use stream::Budget;
use stream::{Arrival, Assembler, Broken, Order};

pub(crate) use table::Table;

/// So many layers one event may have before no further message is decoded (a layer is named by 16 bits), and so many
/// fields. An honest frame stays far below; a hostile one could hold back millions of messages and complete them at once.
const MAX_LAYERS: usize = 1 << 15;
const MAX_FIELDS: usize = 1 << 18;

/// Everything that is at hand while one frame is worked on.
#[derive(Debug)]
pub(crate) struct Desk<'d> {
    pub(crate) frame: Frame<'d>,
    pub(crate) labels: &'d mut Labels,
    pub(crate) buffers: &'d mut Buffers,
    pub(crate) context: &'d mut Context,
    pub(crate) keylog: &'d KeyLog,
    pub(crate) budget: &'d mut Budget,
    /// Scratch lists of message ranges, one for each level of nesting (TCP, handshake, application).
    pub(crate) spans: &'d mut [Vec<Span>; 3],
    /// What [`Desk::each`] hands over: a message, or a part of one.
    pub(crate) part: Part,
    /// The port numbers of the conversation.
    pub(crate) ports: [u16; 2],
}

impl Desk<'_> {
    /// Lets `read` label a part of a buffer, within the layer that was begun last.
    fn read<T>(
        &mut self,
        buf: BufId,
        range: Range<usize>,
        read: impl FnOnce(&mut Cursor<'_, '_>) -> T,
    ) -> T {
        let bytes = self.buffers.bytes(self.frame.data, buf);
        let result = read(&mut Cursor::new(
            bytes,
            buf,
            range,
            Why::Short,
            self.labels,
            self.context,
        ));
        self.extend();
        result
    }

    /// Labels a part of a buffer as one field of the layer that was begun last.
    fn label(&mut self, buf: BufId, range: Range<usize>, def: &'static FieldDef) {
        if !range.is_empty() {
            self.read(buf, range, |c| c.rest(def).len());
        }
    }

    /// What was labelled since belongs to the layer that was begun last.
    fn extend(&mut self) {
        let fields = self.labels.fields.len() as u32;
        if let Some(layer) = self.labels.layers.last_mut() {
            layer.fields.end = fields;
        }
    }

    /// A whole layer that stands in one place: begun, read, finished; where it fails, the stop is recorded.
    fn layer(
        &mut self,
        def: &'static FieldDef,
        buf: BufId,
        range: Range<usize>,
        read: impl FnOnce(&mut Cursor<'_, '_>) -> crate::cursor::Read<()>,
    ) {
        layers::begin(self.labels, def, buf, range.start);
        let end = range.end;
        if let Err(stop) = self.read(buf, range, read) {
            self.labels.stops.push(stop);
        }
        layers::finish(self.labels, end);
    }

    /// A message on a stream, or a part of one: a layer.
    fn message(
        &mut self,
        def: &'static FieldDef,
        buf: BufId,
        range: Range<usize>,
        stream: &Stream,
    ) {
        let part = self.part;
        self.layer(def, buf, range, |c| match (part, stream.part) {
            (Part::Piece | Part::Body, Some(read)) => read(c, part),
            _ => (stream.decode)(c),
        });
    }

    /// Makes the arena end with a copy of a part of a buffer, at `start`.
    fn copy_to_arena(&mut self, buf: BufId, range: Range<usize>, start: usize) {
        let Buffers { arena, list, .. } = &mut *self.buffers;
        arena.truncate(start);
        match list.get(usize::from(buf.0)) {
            Some(buffer) if buffer.kind != BufKind::Frame => {
                let from = buffer.arena.start;
                let part = (from + range.start).min(start)..(from + range.end).min(start);
                arena.extend_from_within(part);
            }
            _ => arena.extend_from_slice(self.frame.data.get(range).unwrap_or(&[])),
        }
    }

    /// Tries to open a sealed record with these keys, under each of these numbers; the plaintext gets a buffer of its own.
    fn try_open(
        &mut self,
        keys: &aead::Keys,
        numbers: Range<u64>,
        buf: BufId,
        header: &Range<usize>,
        body: &Range<usize>,
    ) -> Option<(u64, BufId)> {
        let mut aad = [0; layers::tls::record::HEADER_LEN];
        let bytes = self.buffers.bytes(self.frame.data, buf);
        aad.get_mut(..header.len())?
            .copy_from_slice(bytes.get(header.clone())?);
        let first_piece = self.buffers.pieces.len();
        let Buffers { arena, list, .. } = &mut *self.buffers;
        let start = arena.len();
        arena.resize(start + body.len().checked_sub(aead::TAG_LEN)?, 0);
        let (before, plain) = arena.split_at_mut(start);
        let sealed = match list.get(usize::from(buf.0)) {
            Some(buffer) if buffer.kind != BufKind::Frame => {
                before.get(buffer.arena.clone())?.get(body.clone())?
            }
            _ => self.frame.data.get(body.clone())?,
        };
        for number in numbers {
            if keys.open(number, &aad, sealed, plain).is_some() {
                let plain = self.buffers.close(BufKind::Plain, start, first_piece)?;
                return Some((number, plain));
            }
        }
        self.buffers.arena.truncate(start);
        None
    }

    /// The same for a record of TLS 1.2, of that content type and version, whose parts are where the layout of the keys says.
    /// Without success it gives the fault of the first try.
    fn try_open12(
        &mut self,
        keys: &tls12::Keys,
        numbers: Range<u64>,
        (content_type, version): (u8, u16),
        buf: BufId,
        (head, sealed): (Range<usize>, Range<usize>),
    ) -> Result<(u64, BufId, tls12::Inside), tls12::Fault> {
        let mut fault = None;
        let mut in_clear = [0; 16];
        let bytes = self.buffers.bytes(self.frame.data, buf);
        let in_clear = in_clear.get_mut(..head.len()).unwrap_or(&mut []);
        in_clear.copy_from_slice(
            bytes
                .get(head)
                .filter(|h| h.len() == in_clear.len())
                .unwrap_or(&[]),
        );
        let (start, first_piece) = (self.buffers.arena.len(), self.buffers.pieces.len());
        for sequence in numbers {
            self.copy_to_arena(buf, sealed.clone(), start);
            let covered = tls12::Covered {
                sequence,
                content_type,
                version,
            };
            let place = self.buffers.arena.get_mut(start..).unwrap_or(&mut []);
            match keys.open(covered, in_clear, place) {
                Ok(inside) => {
                    let len = inside.content + inside.mac + inside.padding;
                    self.buffers.arena.truncate(start + len);
                    let plain = self.buffers.close(BufKind::Plain, start, first_piece);
                    return plain
                        .map(|plain| (sequence, plain, inside))
                        .ok_or(tls12::Fault::Tag);
                }
                Err(why) => fault = fault.or(Some(why)),
            }
        }
        self.buffers.arena.truncate(start);
        Err(fault.unwrap_or(tls12::Fault::Tag))
    }

    /// Remembers that these bytes were said.
    fn said(
        &mut self,
        (dir, opened): (usize, bool),
        buf: BufId,
        range: &Range<usize>,
        missing: u64,
    ) {
        self.labels.said.push(Said {
            from: dir.min(1) as u8,
            opened,
            buf,
            bytes: (range.start as u32, range.end as u32),
            missing,
        });
    }

    fn note(&mut self, layer: usize, def: &'static FieldDef, value: Fact) {
        self.labels.note(layer, def, value);
    }

    /// Cuts a run of bytes into messages. What completes a message that began earlier is moved into a buffer of its own;
    /// those that lie whole in the run are left in the level's spans; the rest is kept until more comes. The bytes that are
    /// no whole message here are labelled, in the layer that was begun last.
    fn cut(
        &mut self,
        assembler: &mut Assembler,
        (next, talk): (FindEnd, &mut Talk),
        (buf, range): (BufId, Range<usize>),
        kind: BufKind,
        level: Level,
        names: Names,
    ) -> Cuts {
        let mut spans = self
            .spans
            .get_mut(level as usize)
            .map(core::mem::take)
            .unwrap_or_default();
        spans.clear();
        let (frame, at) = (self.frame.number, range.start as u32);
        let run = self
            .buffers
            .bytes(self.frame.data, buf)
            .get(range.clone())
            .unwrap_or(&[]);
        let cut = assembler.cut(next, run, (frame, at), &mut spans, talk, self.budget);
        for span in &mut spans {
            span.range = span.range.start + range.start..span.range.end + range.start;
        }
        if let Some(place) = self.spans.get_mut(level as usize) {
            *place = spans;
        }
        let taken = cut.completed.and_then(|part| {
            let whole = assembler.take(kind, self.buffers, self.budget)?;
            Some((whole, part))
        });
        let (head, tail) = (
            range.start..range.start + cut.head,
            range.start + cut.tail..range.end,
        );
        let mut broken = cut.end;
        if broken.is_none() {
            let rest = self
                .buffers
                .bytes(self.frame.data, buf)
                .get(tail.clone())
                .unwrap_or(&[]);
            if !assembler.keep(rest, frame, tail.start as u32, self.budget) {
                broken = Some(Broken::Cap);
            }
        }
        if broken.is_some() {
            assembler.clear(self.budget);
        }
        self.label(buf, head, names.waiting);
        let tail_name = if broken.is_some() {
            names.unknown
        } else {
            names.waiting
        };
        self.label(buf, tail.clone(), tail_name);
        match broken {
            Some(Broken::NotMine) => self.stop(tail_name, buf, tail.start, Why::Value),
            Some(Broken::Cap) => self.stop(tail_name, buf, tail.start, Why::Cap),
            None => {}
        }
        Cuts {
            taken,
            broken: broken.is_some(),
        }
    }

    /// Hands over the messages that were just cut: first the one put together from several runs, then those of this one.
    ///
    /// Gives `false` if there were more than one event may have; the stop then says where it ends.
    fn each(
        &mut self,
        level: Level,
        buf: BufId,
        taken: Option<(BufId, Part)>,
        mut then: impl FnMut(BufId, Range<usize>, &mut Self),
    ) -> bool {
        if let Some((whole, part)) = taken {
            self.part = part;
            let len = self.buffers.bytes(self.frame.data, whole).len();
            then(whole, 0..len, self);
        }
        let spans = self
            .spans
            .get_mut(level as usize)
            .map(core::mem::take)
            .unwrap_or_default();
        let mut all = true;
        for span in &spans {
            let labels = &*self.labels;
            all = labels.layers.len() < MAX_LAYERS && labels.fields.len() < MAX_FIELDS;
            if !all {
                let def = match level {
                    Level::Tcp => &layers::tcp::SEGMENT_DATA,
                    Level::Handshake | Level::Application => &layers::tls::SEGMENT_DATA,
                };
                self.stop(def, buf, span.range.start, Why::Cap);
                break;
            }
            self.part = span.part;
            then(buf, span.range.clone(), self);
        }
        if let Some(place) = self.spans.get_mut(level as usize) {
            *place = spans;
        }
        all
    }

    /// Records that the layer that was begun last goes no further, at a place of a buffer.
    fn stop(&mut self, def: &'static FieldDef, buf: BufId, at: usize, why: Why) {
        let have = self
            .buffers
            .bytes(self.frame.data, buf)
            .len()
            .saturating_sub(at);
        self.labels.stops.push(Stop {
            layer: self.labels.layers.len().saturating_sub(1) as u16,
            def,
            buf,
            offset: at as u32,
            need: 0,
            have: have as u32,
            why,
        });
    }
}

/// Where messages are cut: each level has its own list of spans.
#[derive(Debug, Clone, Copy)]
enum Level {
    Tcp,
    Handshake,
    Application,
}

/// How bytes are labelled that are no whole message.
#[derive(Debug, Clone, Copy)]
struct Names {
    /// A part of a message of which other parts come in other runs.
    waiting: &'static FieldDef,
    /// Bytes that are no message of the protocol.
    unknown: &'static FieldDef,
}

/// What [`Desk::cut`] gives besides the spans.
#[derive(Debug, Clone, Copy)]
struct Cuts {
    /// The buffer of a message (or of a part of one) that began in an earlier run and is whole now.
    taken: Option<(BufId, Part)>,
    /// Whether no more messages can be cut here.
    broken: bool,
}

/// One TCP connection.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// `tcp.stream`: counted from 0 in the order of appearance.
    number: u64,
    /// The sequence number of the SYN that opened it, if that was seen; and whether anything was.
    syn: Option<u32>,
    begun: bool,
    track: tcp::Track,
    halves: [Half; 2],
    app: App,
    talk: Talk,
}

/// One direction of a connection.
#[derive(Debug, Default)]
struct Half {
    order: Order,
    assembler: Assembler,
    /// So many bytes of the stream are missing before the next ones.
    missing: u64,
    /// Where the next message begins is not known: what is none is passed over until one does.
    adrift: bool,
}

/// What runs on a connection.
#[derive(Debug, Default)]
enum App {
    /// Nothing has been said yet.
    #[default]
    Silent,
    Tls(Box<tls::Tls>),
    Plain(&'static Protocol, Stream),
    /// Nothing that could be recognised, or no longer.
    Unknown,
}

impl Flow {
    pub(crate) fn new(number: u64) -> Self {
        Self {
            number,
            ..Self::default()
        }
    }

    /// On the ports of an earlier connection.
    pub(crate) fn on_reused_ports(number: u64) -> Self {
        let mut flow = Self::new(number);
        flow.track.reuses_ports = true;
        flow
    }

    /// Whether this segment opens another connection, on the same addresses and ports.
    pub(crate) fn is_followed_by(&self, segment: &Segment) -> bool {
        let opens = segment.has(Segment::SYN) && !segment.has(Segment::ACK);
        opens && self.begun && self.syn != Some(segment.seq)
    }

    fn opened_by(&mut self, segment: &Segment) {
        self.begun = true;
        if segment.has(Segment::SYN) && !segment.has(Segment::ACK) {
            self.syn = Some(segment.seq);
        }
    }

    /// Takes up one segment. The layer that was begun last is its TCP header.
    pub(crate) fn segment(
        &mut self,
        dir: usize,
        segment: &Segment,
        part: StreamPart,
        desk: &mut Desk<'_>,
    ) {
        let layer = desk.labels.layers.len().saturating_sub(1);
        desk.note(layer, &layers::tcp::STREAM, Fact::Uint(self.number));
        // A segment with a wrong checksum is not taken: its receiver throws it away.
        let refused = segment.checksum_good == Some(false);
        if !refused {
            self.opened_by(segment);
        }
        let Some(half) = self.halves.get_mut(dir) else {
            return;
        };
        let syn = segment.has(Segment::SYN);
        let payload = part.start..part.end;
        let seq = segment.seq.wrapping_add(u32::from(syn));
        let space = segment.len + u32::from(syn) + u32::from(segment.has(Segment::FIN));
        let seen = half.order.has_seen(segment.seq, space);
        self.track.observe(
            dir,
            segment,
            (desk.frame.number, desk.frame.time),
            layer,
            desk.labels,
            desk.budget,
        );
        if refused {
            desk.label(part.buf, payload, &layers::tcp::PAYLOAD);
            return;
        }
        if syn && !seen {
            half.order.begin(seq, desk.budget);
            half.assembler.clear(desk.budget);
        }
        if segment.has(Segment::ACK)
            && let Some(other) = self.halves.get_mut(1 - dir.min(1))
        {
            other.order.acknowledged(segment.ack, desk.frame.time);
        }
        if !payload.is_empty() || segment.has(Segment::FIN) {
            self.pass_holes(dir, seq, desk);
        }
        if !payload.is_empty() {
            self.arrived(dir, seq, (part.buf, payload.clone()), desk);
        }
        if segment.has(Segment::FIN)
            && let Some(half) = self.halves.get_mut(dir)
        {
            half.order.end(seq.wrapping_add(segment.len));
        }
        // The capture kept only a part of this segment: the stream goes on behind it, with a hole.
        if (payload.len() as u32) < segment.len
            && let Some(half) = self.halves.get_mut(dir)
        {
            half.order.begin(seq.wrapping_add(segment.len), desk.budget);
            self.lose(dir, u64::from(segment.len) - payload.len() as u64, desk);
        }
    }

    /// So many bytes of one direction are not in the capture: what was begun before them is lost.
    fn lose(&mut self, dir: usize, bytes: u64, desk: &mut Desk<'_>) {
        let Some(half) = self.halves.get_mut(dir) else {
            return;
        };
        half.missing += bytes;
        half.adrift = true;
        half.assembler.clear(desk.budget);
        if let App::Tls(tls) = &mut self.app {
            tls.lose(dir);
        }
    }

    /// Goes on behind holes that nobody will fill any more, up to what begins at `seq`.
    fn pass_holes(&mut self, dir: usize, seq: u32, desk: &mut Desk<'_>) {
        while let Some(half) = self.halves.get_mut(dir)
            && let Some(bytes) = half.order.pass_acknowledged(seq, desk.frame.time)
        {
            let held = half.order.can_fill();
            self.lose(dir, bytes.into(), desk);
            if held && let Some((buf, range)) = self.with_held(dir, None, desk) {
                self.run(dir, buf, range, desk);
            }
        }
    }

    /// What is being waited for in each direction: so many bytes are missing, and so many are held behind them.
    pub(crate) fn waits(&self) -> [Option<(u32, usize)>; 2] {
        let [a, b] = &self.halves;
        [a.order.waits(), b.order.waits()]
    }

    /// Its number, `tcp.stream`.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Data arrived: in its turn, too early, or again.
    fn arrived(
        &mut self,
        dir: usize,
        seq: u32,
        (buf, payload): (BufId, Range<usize>),
        desk: &mut Desk<'_>,
    ) {
        let Some(half) = self.halves.get_mut(dir) else {
            return;
        };
        let bytes = desk.buffers.bytes(desk.frame.data, buf);
        let bytes = bytes.get(payload.clone()).unwrap_or(&[]);
        let next = half.order.next().unwrap_or(seq);
        match half.order.arrive(
            seq,
            bytes,
            desk.frame.number,
            payload.start as u32,
            desk.budget,
        ) {
            Arrival::Next { skip } => {
                let new = (payload.start + skip).min(payload.end)..payload.end;
                desk.label(buf, payload.start..new.start, &layers::tcp::SEGMENT_DATA);
                if half.order.can_fill() {
                    desk.label(buf, new.clone(), &layers::tcp::SEGMENT_DATA);
                    if let Some((buf, range)) = self.with_held(dir, Some((buf, new)), desk) {
                        self.run(dir, buf, range, desk);
                    }
                } else {
                    self.run(dir, buf, new, desk);
                }
            }
            Arrival::Old | Arrival::Early => desk.label(buf, payload, &layers::tcp::SEGMENT_DATA),
            Arrival::GivenUp => {
                desk.label(buf, payload.clone(), &layers::tcp::PAYLOAD);
                desk.stop(&layers::tcp::SEGMENT_DATA, buf, payload.start, Why::Cap);
                // What was held behind the hole is given up with it.
                let end = seq.wrapping_add(payload.len() as u32);
                self.lose(dir, end.wrapping_sub(next).into(), desk);
            }
        }
    }

    /// The connection is forgotten.
    pub(crate) fn clear(&mut self, budget: &mut Budget) {
        for half in &mut self.halves {
            half.order.clear(budget);
            half.assembler.clear(budget);
        }
        self.track.clear(budget);
        if let App::Tls(tls) = &mut self.app {
            tls.clear(budget);
        }
    }

    /// Puts this frame's new bytes, if there are any, and the held ones behind them into one buffer.
    fn with_held(
        &mut self,
        dir: usize,
        new: Option<(BufId, Range<usize>)>,
        desk: &mut Desk<'_>,
    ) -> Option<(BufId, Range<usize>)> {
        let half = self.halves.get_mut(dir)?;
        let (start, first_piece) = (desk.buffers.arena.len(), desk.buffers.pieces.len());
        if let Some((buf, new)) = new {
            desk.copy_to_arena(buf, new.clone(), start);
            desk.buffers.pieces.push(Piece {
                frame: desk.frame.number,
                at: new.start as u32,
                into: 0,
                len: new.len() as u32,
            });
        }
        half.order.fill(start, desk.buffers, desk.budget);
        let len = desk.buffers.arena.len() - start;
        Some((
            desk.buffers.close(BufKind::Stream, start, first_piece)?,
            0..len,
        ))
    }

    /// The next bytes of the stream: a part of the frame, or a buffer put together from several.
    fn run(&mut self, dir: usize, buf: BufId, range: Range<usize>, desk: &mut Desk<'_>) {
        let missing = self
            .halves
            .get_mut(dir)
            .map_or(0, |half| core::mem::take(&mut half.missing));
        desk.said((dir, false), buf, &range, missing);
        let bytes = desk
            .buffers
            .bytes(desk.frame.data, buf)
            .get(range.clone())
            .unwrap_or(&[]);
        let range = match self.app {
            App::Silent => {
                self.app = recognise(bytes, desk.ports);
                range
            }
            App::Tls(_) => range,
            App::Unknown | App::Plain(..) => match self.turn(dir, buf, range, desk) {
                Some(range) => range,
                None => return,
            },
        };
        let bytes = desk
            .buffers
            .bytes(desk.frame.data, buf)
            .get(range.clone())
            .unwrap_or(&[]);
        let Some(half) = self.halves.get_mut(dir) else {
            return;
        };
        let next: FindEnd = match &mut self.app {
            App::Silent | App::Unknown => return desk.label(buf, range, &layers::tcp::PAYLOAD),
            App::Tls(tls) => {
                if tls.is_adrift(dir)
                    && !half.assembler.is_waiting()
                    && !layers::tls::record::recognise(bytes)
                {
                    return desk.label(buf, range, &layers::tcp::PAYLOAD);
                }
                |bytes, _, _| layers::tls::record::next(bytes)
            }
            App::Plain(_, stream) => {
                if half.adrift && !half.assembler.is_waiting() && !(stream.recognise)(bytes) {
                    return desk.label(buf, range, &layers::tcp::PAYLOAD);
                }
                half.adrift = false;
                stream.next
            }
        };
        let names = Names {
            waiting: &layers::tcp::SEGMENT_DATA,
            unknown: &layers::tcp::PAYLOAD,
        };
        let cut = desk.cut(
            &mut half.assembler,
            (next, &mut self.talk),
            (buf, range),
            BufKind::Stream,
            Level::Tcp,
            names,
        );
        match &mut self.app {
            App::Tls(tls) => {
                if cut.broken {
                    tls.lose(dir);
                }
                let all = desk.each(Level::Tcp, buf, cut.taken, |buf, range, desk| {
                    tls.record(dir, buf, range, desk)
                });
                if !all {
                    tls.lose(dir);
                }
            }
            App::Plain(protocol, stream) => {
                half.adrift |= cut.broken;
                let (def, stream) = (protocol.def, *stream);
                desk.each(Level::Tcp, buf, cut.taken, |buf, range, desk| {
                    desk.message(def, buf, range, &stream)
                });
            }
            App::Silent | App::Unknown => {}
        }
    }
}

impl Flow {
    /// A conversation that began as something else can turn to TLS: after STARTTLS (RFC 3207, RFC 2595), after CONNECT
    /// (RFC 9110, section 9.3.6), or because its beginning is not in the capture. Looks for where this run does, labels
    /// what stands before, and gives the rest; `None` when all of the run is labelled.
    fn turn(
        &mut self,
        dir: usize,
        buf: BufId,
        range: Range<usize>,
        desk: &mut Desk<'_>,
    ) -> Option<Range<usize>> {
        use layers::tls::record;
        let half = self.halves.get_mut(dir)?;
        let bytes = desk.buffers.bytes(desk.frame.data, buf);
        let bytes = bytes.get(range.clone()).unwrap_or(&[]);
        if matches!(self.app, App::Plain(..)) {
            // A message of the protocol goes before.
            let turns = !half.assembler.is_waiting();
            if turns && record::begins_client_hello(bytes) == Some(true) {
                self.start_tls(dir, desk);
            }
            return Some(range);
        }
        // Nor is a message of a protocol that needs no port lost because the capture begins in the middle of another.
        if let Some((protocol, stream)) =
            self_evident(bytes).filter(|_| !half.assembler.is_waiting())
        {
            self.app = App::Plain(protocol, stream);
            for half in &mut self.halves {
                half.adrift = true;
            }
            return Some(range);
        }
        if half.assembler.is_waiting() {
            let mut begin = [0; record::HELLO_LEN];
            let all = half.assembler.partial().iter().chain(bytes);
            let len = begin.iter_mut().zip(all).fold(0, |len, (place, byte)| {
                *place = *byte;
                len + 1
            });
            match record::begins_client_hello(begin.get(..len)?) {
                Some(true) => {
                    self.start_tls(dir, desk);
                    return Some(range);
                }
                None => {
                    self.hold(dir, buf, range, desk);
                    return None;
                }
                Some(false) => half.assembler.clear(desk.budget),
            }
        }
        if record::resumes(bytes) {
            self.start_tls(dir, desk);
            return Some(range);
        }
        let (at, begins) = match record::find_client_hello(bytes) {
            Some(Ok(at)) => (range.start + at, true),
            // Nobody sends a header byte by byte, but a single byte at the end of something long is mostly chance.
            Some(Err(at)) if at + 1 < bytes.len() || at < record::HELLO_LEN => {
                (range.start + at, false)
            }
            _ => (range.end, false),
        };
        desk.label(buf, range.start..at, &layers::tcp::PAYLOAD);
        if begins {
            self.start_tls(dir, desk);
            return Some(at..range.end);
        }
        self.hold(dir, buf, at..range.end, desk);
        None
    }

    /// Keeps bytes that may be the beginning of a ClientHello.
    fn hold(&mut self, dir: usize, buf: BufId, range: Range<usize>, desk: &mut Desk<'_>) {
        let bytes = desk.buffers.bytes(desk.frame.data, buf);
        let bytes = bytes.get(range.clone()).unwrap_or(&[]);
        if let Some(half) = self.halves.get_mut(dir) {
            let (frame, at) = (desk.frame.number, range.start as u32);
            half.assembler.keep(bytes, frame, at, desk.budget);
        }
        desk.label(buf, range, &layers::tcp::SEGMENT_DATA);
    }

    /// From here on this direction is TLS, and the other from its next record on.
    fn start_tls(&mut self, dir: usize, desk: &mut Desk<'_>) {
        let mut tls = Box::<tls::Tls>::default();
        let other = 1 - dir.min(1);
        tls.lose(other);
        if let Some(half) = self.halves.get_mut(other) {
            half.assembler.clear(desk.budget);
        }
        self.app = App::Tls(tls);
    }
}

/// What a stream that begins like this carries.
fn recognise(bytes: &[u8], ports: [u16; 2]) -> App {
    if layers::tls::record::recognise(bytes) {
        return App::Tls(Box::default());
    }
    application(bytes, ports).map_or(App::Unknown, |(protocol, stream)| {
        App::Plain(protocol, stream)
    })
}

/// The application protocol that begins like this inside TLS. There the chat is known by what it says, too: few protocols
/// speak in lines of text that end with a line feed alone.
pub(crate) fn opened(bytes: &[u8], ports: [u16; 2]) -> Option<(&'static Protocol, Stream)> {
    application(bytes, ports).or_else(|| match layers::chat::PROTOCOL.decode {
        Decode::Stream(stream) if layers::chat::is_said(bytes) => {
            Some((&layers::chat::PROTOCOL, stream))
        }
        _ => None,
    })
}

/// The application protocol that begins like this, whatever the ports.
pub(crate) fn self_evident(bytes: &[u8]) -> Option<(&'static Protocol, Stream)> {
    application(bytes, [0; 2])
}

/// The application protocol that begins like this: one that is bound to one of these ports, or to none.
pub(crate) fn application(bytes: &[u8], ports: [u16; 2]) -> Option<(&'static Protocol, Stream)> {
    PROTOCOLS.iter().find_map(|protocol| match protocol.decode {
        Decode::Stream(stream)
            if (protocol.binds.is_empty()
                || ports
                    .iter()
                    .any(|port| protocol.binds.contains(&Bind::TcpPort(*port))))
                && (stream.recognise)(bytes) =>
        {
            Some((*protocol, stream))
        }
        _ => None,
    })
}
