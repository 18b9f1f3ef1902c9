//! Frames in, events out: the pure core. No clock, no thread, no socket; the same frames give the same events.

use crate::cursor::Cursor;
use crate::flow::{self, Desk};
use crate::keylog::{KeyLog, KeyLogError, MAX_FROM_CAPTURE, Secrets};
use crate::layers::tcp_info::TcpInfo;
use crate::layers::{self, tcp};
use crate::packet::{BufId, Buffers, Context, Event, Frame, Interest, Labels, Layer, Time, Why};

/// Decodes one capture, frame by frame.
///
/// ```
/// use layerwise::packet::{Frame, LinkType, Time};
/// use layerwise::session::Session;
///
/// let data = [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 6, 0x6a, 0xcc, 1, 2, 3, 4, 5, 6, 7, 8];
/// let mut session = Session::new();
/// let event = session.push(Frame { number: 1, time: Time(0), link: LinkType::RAW, data: &data, wire_len: 20 });
/// assert_eq!(event.layers[0].def.key, "ip");
/// ```
#[derive(Debug, Default)]
pub struct Session {
    keylog: KeyLog,
    table: flow::Table,
    datagrams: flow::Datagrams,
    fragments: flow::Fragments,
    labels: Labels,
    buffers: Buffers,
    budget: flow::Budget,
    spans: [Vec<layers::Span>; 3],
    /// The times of the first frame and of the last one.
    times: Option<(Time, Time)>,
    /// A port, and the well-known one that it stands for.
    alias: Option<(u16, u16)>,
}

impl Session {
    /// A session that has seen nothing and knows no secrets.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes up one line of a key log. A secret must be known before the first record that it opens is pushed.
    ///
    /// # Errors
    /// When the line is not of the form of a key log.
    pub fn keylog_line(&mut self, line: &str) -> Result<(), KeyLogError> {
        self.keylog.line(line)
    }

    /// The same for a line that stands in a capture file: of those, the secrets of fewer connections are kept
    /// ([`crate::keylog::MAX_FROM_CAPTURE`]).
    ///
    /// # Errors
    /// When the line is not of the form of a key log, or is of one connection too many.
    pub fn captured_secret(&mut self, line: &str) -> Result<(), KeyLogError> {
        self.keylog.line_among(line, MAX_FROM_CAPTURE)
    }

    /// What is known of the connection that begins with this client random.
    #[must_use]
    pub fn secrets(&self, client_random: &[u8; 32]) -> Option<&Secrets> {
        self.keylog.secrets(client_random)
    }

    /// What runs on `port` is decoded as if it ran on `known`.
    pub fn treat_port(&mut self, port: u16, known: u16) {
        self.alias = Some((port, known));
    }

    /// Only these fields are asked for: others may be left out of the events.
    pub fn only(&mut self, interest: Interest) {
        self.labels.interest = interest;
    }

    /// What is still being waited for on the connection of that number (`tcp.stream`), for each end (see
    /// [`crate::packet::Said::from`]): so many bytes are not there, and so many behind them are held until they are.
    #[must_use]
    pub fn waits(&self, stream: u64) -> [Option<(u32, usize)>; 2] {
        self.table
            .numbered(stream)
            .map_or([None; 2], flow::Flow::waits)
    }

    /// Takes up one frame and gives everything that it completed.
    pub fn push<'s>(&'s mut self, frame: Frame<'s>) -> Event<'s> {
        self.push_with(frame, None)
    }

    /// The same, with what the sender's kernel knew when it sent the frame: it becomes notes of the TCP layer, under
    /// `tcp_info.…`.
    pub fn push_with<'s>(&'s mut self, frame: Frame<'s>, kernel: Option<&TcpInfo>) -> Event<'s> {
        self.labels.clear();
        self.buffers.clear();
        let mut context = Context::default();
        let (first, before) = self.times.unwrap_or((frame.time, frame.time));
        self.times = Some((first, frame.time));
        let mut part = layers::decode(&frame, &mut self.labels, &mut context);
        if context.fragment.is_some() {
            part = self.fragment(&frame, &mut context);
        }
        self.datagrams.number(&context, &mut self.labels);
        if let (Some(addresses), Some(segment), Some(part)) =
            (context.addresses, context.segment, part)
            && let Some((flow, dir)) = self.table.flow(addresses, &segment, &mut self.budget)
        {
            let mut desk = Desk {
                frame,
                labels: &mut self.labels,
                buffers: &mut self.buffers,
                context: &mut context,
                keylog: &self.keylog,
                budget: &mut self.budget,
                spans: &mut self.spans,
                part: layers::Part::default(),
                ports: [segment.from, segment.to].map(|port| match self.alias {
                    Some((alias, known)) if alias == port => known,
                    _ => port,
                }),
            };
            flow.segment(dir, &segment, part, &mut desk);
        }
        let is_tcp = |layer: &Layer| core::ptr::eq(layer.def, &raw const tcp::TCP);
        if let Some(info) = kernel
            && let Some(layer) = self.labels.layers.iter().position(is_tcp)
        {
            for (def, fact) in info.facts() {
                self.labels.note(layer, def, fact);
            }
        }
        Event {
            frame,
            first,
            before,
            layers: &self.labels.layers,
            fields: &self.labels.fields,
            notes: &self.labels.notes,
            stops: &self.labels.stops,
            said: &self.labels.said,
            buffers: &self.buffers,
        }
    }

    /// The frame holds a part of an IP packet. If it is the last one that was missing, decodes the packet.
    fn fragment(&mut self, frame: &Frame<'_>, context: &mut Context) -> Option<layers::StreamPart> {
        let (addresses, fragment) = (context.addresses?, context.fragment.take()?);
        if context.quoted {
            return None;
        }
        let (labels, buffers) = (&mut self.labels, &mut self.buffers);
        // What a fragment carries is labelled as data until it is known to be more.
        let is_data = labels
            .layers
            .last()
            .is_some_and(|layer| core::ptr::eq(layer.def, &raw const layers::data::DATA));
        let ip = labels.layers.len().checked_sub(1 + usize::from(is_data))?;
        let (buf, next) = self.fragments.take_up(
            addresses,
            &fragment,
            frame,
            (ip, labels),
            (buffers, &mut self.budget),
        )?;
        if let Some(data) = is_data.then(|| labels.layers.pop()).flatten() {
            labels.fields.truncate(data.fields.start as usize);
            let range = data.bytes.start as usize..data.bytes.end as usize;
            let def = if addresses.0.is_ipv4() {
                &layers::ipv4::FRAGMENT_DATA
            } else {
                &layers::ipv6::FRAGMENT_DATA
            };
            let all = frame.data;
            Cursor::new(all, BufId::FRAME, range, Why::Short, labels, context).rest(def);
            let fields = labels.fields.len() as u32;
            if let Some(layer) = labels.layers.last_mut() {
                layer.fields.end = fields;
            }
        }
        let bytes = buffers.bytes(frame.data, buf);
        context.payload = bytes.len() as u32;
        let part = layers::decode_from(next, (bytes, buf), Why::Short, labels, context);
        // A packet in a packet that is a part again is left as data.
        context.fragment = None;
        part
    }
}
