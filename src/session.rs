//! Frames in, events out: the pure core. No clock, no thread, no socket; the same frames give the same events.

use crate::flow::{self, Desk};
use crate::keylog::{KeyLog, KeyLogError, Secrets};
use crate::layers;
use crate::packet::{Buffers, Context, Event, Frame, Labels, Time};

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
    labels: Labels,
    buffers: Buffers,
    budget: flow::Budget,
    spans: [Vec<core::ops::Range<usize>>; 3],
    /// The times of the first frame and of the last one.
    times: Option<(Time, Time)>,
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

    /// What is known of the connection that begins with this client random.
    #[must_use]
    pub fn secrets(&self, client_random: &[u8; 32]) -> Option<&Secrets> {
        self.keylog.secrets(client_random)
    }

    /// Takes up one frame and gives everything that it completed.
    pub fn push<'s>(&'s mut self, frame: Frame<'s>) -> Event<'s> {
        self.labels.clear();
        self.buffers.clear();
        let mut context = Context::default();
        let (first, before) = self.times.unwrap_or((frame.time, frame.time));
        self.times = Some((first, frame.time));
        let part = layers::decode(&frame, &mut self.labels, &mut context);
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
                ports: [segment.from, segment.to],
            };
            flow.segment(dir, &segment, part, &mut desk);
        }
        Event {
            frame,
            first,
            before,
            layers: &self.labels.layers,
            fields: &self.labels.fields,
            notes: &self.labels.notes,
            stops: &self.labels.stops,
            buffers: &self.buffers,
        }
    }
}
