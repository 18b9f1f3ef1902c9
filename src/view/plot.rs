//! Sequence numbers over time: how far each direction of a connection has come, and how far it was acknowledged.
//!
//! ```text
//! 1.6 kB ┤           █▖    ▄▖
//!        │           █─────────────
//!    0 B ┼───────────────────────────
//!        0                       45.0 ms
//! ```
//!
//! Steep is fast, flat is waiting; the height between the two lines is what is under way.

use super::ladder::milliseconds;
use super::paint::{Out, Role};
use super::sides::{Marks, NAMES, name};
use super::value;
use super::words;
use crate::ends::{Act, Moment};
use crate::layers::tcp;
use crate::packet::{Event, Segment, Time};
use crate::text::Glossary;
use crate::wire::Host;

/// So many segments and acknowledgments of each direction are kept.
const MAX_KEPT: usize = 1 << 17;
/// Rows of one direction's plot, where both have one; and where one alone has.
const ROWS: usize = 7;
const ROWS_ALONE: usize = 17;
/// Columns of the axis at the left.
const AXIS: usize = 9;
/// So many lines say it in words.
const MAX_LINES: usize = 60;

/// Both directions of one connection.
#[derive(Debug)]
pub struct Plot<'g> {
    glossary: &'g Glossary,
    names: [&'static str; 2],
    ways: [Way; 2],
    /// When it began, and the last thing that happened.
    span: Option<(Time, Time)>,
    /// Source of the first packet, where nobody told who is who.
    first: Option<(std::net::IpAddr, words::Port)>,
}

/// One direction.
#[derive(Debug, Default)]
struct Way {
    /// Who sends.
    name: String,
    sent: Vec<Sent>,
    /// When its sender learned of it, and the number that is expected next.
    acked: Vec<(Time, u64)>,
    omitted: u64,
}

/// A segment with data.
#[derive(Debug, Clone, Copy)]
struct Sent {
    id: u64,
    time: Time,
    /// The first byte, and the one behind the last.
    from: u64,
    to: u64,
    again: bool,
    lost: bool,
}

impl Way {
    fn sent(&mut self, sent: Sent) {
        if self.sent.len() < MAX_KEPT {
            self.sent.push(sent);
        } else {
            self.omitted += 1;
        }
    }

    fn acked(&mut self, time: Time, ack: u64) {
        let news = self.acked.last().is_none_or(|(_, last)| *last < ack);
        if news && self.acked.len() < MAX_KEPT {
            self.acked.push((time, ack));
        }
    }

    /// The number behind all that was sent.
    fn end(&self) -> u64 {
        self.sent.iter().map(|sent| sent.to).max().unwrap_or(0)
    }

    /// How many bytes there are, each counted once.
    fn bytes(&self) -> u64 {
        self.end().saturating_sub(1)
    }
}

impl<'g> Plot<'g> {
    /// One with nothing in it.
    #[must_use]
    pub fn new(glossary: &'g Glossary) -> Self {
        Self {
            glossary,
            names: NAMES,
            ways: [Way::default(), Way::default()],
            span: None,
            first: None,
        }
    }

    /// The ends are called so.
    #[must_use]
    pub fn named(self, names: [&'static str; 2]) -> Self {
        Self { names, ..self }
    }

    /// Times count from here on, if none has been shown yet.
    pub fn count_from(&mut self, start: Time) {
        self.span.get_or_insert((start, start));
    }

    /// Something happens at an end of a wire: what it sends, and what it learns.
    pub fn moment(&mut self, moment: &Moment<'_>) {
        self.seen(moment.time);
        let [a, b] = &mut self.ways;
        let (own, host) = match moment.host {
            Host::A => (a, Host::A),
            Host::B => (b, Host::B),
        };
        if own.name.is_empty() {
            name(&self.names, host).clone_into(&mut own.name);
        }
        match (moment.act, &moment.event) {
            (Act::Sends { lost }, Some(event)) => {
                if let Some((from, to)) = bytes(event) {
                    own.sent(Sent {
                        id: moment.passage.id,
                        time: moment.time,
                        from,
                        to,
                        again: moment.again.is_some(),
                        lost,
                    });
                }
            }
            (Act::Gets, Some(event)) => {
                if let Some(ack) = ack(event) {
                    own.acked(moment.time, ack);
                }
            }
            (Act::Lost { .. }, _) => {
                let mut sent = own.sent.iter_mut().rev();
                if let Some(sent) = sent.find(|sent| sent.id == moment.passage.id) {
                    sent.lost = true;
                }
            }
            _ => {}
        }
    }

    /// A packet of the connection, as a capture saw it.
    pub fn packet(&mut self, out: &mut Out, event: &Event<'_>) {
        let (Some(ends), ports) = (words::ends(event), words::ports(event)) else {
            return;
        };
        let time = event.frame.time;
        self.seen(time);
        let source = (ends.0, ports.0);
        let is_first = *self.first.get_or_insert(source) == source;
        let [first, second] = &mut self.ways;
        let (own, other) = if is_first {
            (first, second)
        } else {
            (second, first)
        };
        for (way, host, port) in [(&mut *own, ends.0, ports.0), (&mut *other, ends.1, ports.1)] {
            if way.name.is_empty() {
                way.name = out.aside(|out| value::address(out, host, port));
            }
        }
        if let Some((from, to)) = bytes(event) {
            own.sent(Sent {
                id: event.frame.number,
                time,
                from,
                to,
                again: event.note(&tcp::ANALYSIS_RETRANSMISSION).is_some(),
                lost: false,
            });
        }
        if let Some(ack) = ack(event) {
            other.acked(time, ack);
        }
    }

    fn seen(&mut self, time: Time) {
        let (start, end) = self.span.unwrap_or((time, time));
        self.span = Some((start.min(time), end.max(time)));
    }

    /// Draws it.
    pub fn end(&self, out: &mut Out) {
        let [first, second] = &self.ways;
        if out.look().plain {
            for (way, other) in [(first, second), (second, first)] {
                self.title(out, way, &other.name);
                self.list(out, way);
            }
            return self.omitted(out);
        }
        let marks = Marks::of(out);
        let (block, line) = if out.look().ascii {
            ("#", "-")
        } else {
            ("█", "─")
        };
        out.sentence(
            self.glossary.say("say.plot.legend"),
            |out, word| match word {
                "sent" => out.paint(Role::App, block),
                "again" => out.paint(Role::Warn, "R"),
                "lost" => out.paint(Role::Bad, marks.lost),
                _ => out.paint(Role::Tcp, line),
            },
        );
        out.newline();
        let alone = first.sent.is_empty() != second.sent.is_empty();
        for (way, other) in [(first, second), (second, first)] {
            self.title(out, way, &other.name);
            if !way.sent.is_empty() {
                self.picture(out, way, if alone { ROWS_ALONE } else { ROWS });
            }
        }
        self.omitted(out);
    }

    fn title(&self, out: &mut Out, way: &Way, other: &str) {
        let key = if way.sent.is_empty() {
            "say.plot.nothing"
        } else {
            "say.plot.title"
        };
        let count = |is: fn(&Sent) -> bool| way.sent.iter().filter(|sent| is(sent)).count() as u64;
        let text = out.aside(|out| {
            out.sentence(self.glossary.say(key), |out, word| match word {
                "a" => out.text(&way.name),
                "b" => out.text(other),
                "segments" => out.number(way.sent.len() as u64),
                _ => out.number(way.bytes()),
            });
            for (key, n) in [
                ("say.plot.again", count(|sent| sent.again)),
                ("say.plot.lost", count(|sent| sent.lost)),
            ] {
                if n > 0 {
                    out.sentence(self.glossary.say(key), |out, _| out.number(n));
                }
            }
        });
        out.start(Role::Heading);
        out.wrapped(&text, |_| ());
        out.end(Role::Heading);
        out.newline();
    }

    fn omitted(&self, out: &mut Out) {
        let n = self.ways.iter().map(|way| way.omitted).sum::<u64>();
        if n == 0 {
            return;
        }
        let mark = out.mark();
        out.sentence(self.glossary.say("say.plot.omitted"), |out, word| {
            out.number(if word == "n" { n } else { MAX_KEPT as u64 });
        });
        out.wrap_since(mark, |_| ());
        out.newline();
    }

    fn picture(&self, out: &mut Out, way: &Way, rows: usize) {
        let columns = out.look().width.saturating_sub(AXIS + 2).min(110);
        let (start, end) = self.span.unwrap_or_default();
        let scale = Scale {
            start,
            length: end.since(start).max(1),
            top: way.end().max(1),
            columns,
            rows,
        };
        let mut field = Field::new(columns, rows, Marks::of(out).lost);
        field.acked(&scale, &way.acked);
        for sent in &way.sent {
            field.sent(&scale, sent);
        }
        let glyphs = out.glyphs();
        for row in 0..rows {
            let label = match row {
                0 => Some(scale.top),
                _ if row == rows / 2 => Some(scale.top - scale.top * row as u64 / rows as u64),
                _ => None,
            };
            if let Some(label) = label {
                amount(out, label, scale.top, AXIS - 2);
            }
            out.to_column(AXIS - 1);
            out.text(if label.is_some() {
                glyphs.tee_left
            } else {
                glyphs.vertical
            });
            field.row(out, row);
            out.newline();
        }
        amount(out, 0, scale.top, AXIS - 2);
        out.to_column(AXIS - 1);
        out.text(glyphs.cross);
        out.fill_to(AXIS + columns, glyphs.horizontal);
        out.newline();
        let ticks = [0, scale.length / 2, scale.length];
        for (at, since) in ticks.into_iter().enumerate() {
            let text = out.aside(|out| duration(out, since, scale.length));
            let middle = AXIS - 1 + columns * at / 2;
            let back = if at == 2 {
                text.len() - 1
            } else {
                text.len() / 2
            };
            out.to_column(middle.saturating_sub(back));
            out.paint(Role::Dim, &text);
        }
        out.newline();
    }

    fn list(&self, out: &mut Out, way: &Way) {
        let start = self.span.map_or(Time(0), |(start, _)| start);
        let mut acked = way.acked.iter().filter(|(_, ack)| *ack > 1).peekable();
        let mut lines = 0;
        let mut hidden = 0;
        let mut line = |out: &mut Out, write: &dyn Fn(&mut Out)| {
            lines += 1;
            if lines > MAX_LINES {
                hidden += 1;
                return;
            }
            write(out);
            out.byte(b'.');
            out.newline();
        };
        let learns = |out: &mut Out, (time, ack): (Time, u64)| {
            let words = self.glossary.say("say.plot.plain.acked");
            out.sentence(words, |out, word| match word {
                "ms" => milliseconds(out, time.since(start), 0),
                "a" => out.text(&way.name),
                _ => out.number((ack - 1).min(way.bytes())),
            });
        };
        for sent in &way.sent {
            while let Some(ack) = acked.next_if(|(time, _)| *time <= sent.time) {
                line(out, &|out| learns(out, *ack));
            }
            line(out, &|out| {
                let key = if sent.again {
                    "say.plot.plain.again"
                } else {
                    "say.plot.plain.sent"
                };
                out.sentence(self.glossary.say(key), |out, word| match word {
                    "ms" => milliseconds(out, sent.time.since(start), 0),
                    "a" => out.text(&way.name),
                    "from" => out.number(sent.from),
                    _ => out.number(sent.to - 1),
                });
                if sent.lost {
                    out.text(self.glossary.say("say.plot.plain.lost"));
                }
            });
        }
        for ack in acked {
            line(out, &|out| learns(out, *ack));
        }
        if hidden > 0 {
            let words = self.glossary.say("say.plot.plain.more");
            out.sentence(words, |out, _| out.number(hidden));
            out.newline();
        }
    }
}

/// The bytes of a segment, by their relative numbers; `None` if it carries none.
fn bytes(event: &Event<'_>) -> Option<(u64, u64)> {
    let (from, len) = (
        words::fact(event, &tcp::SEQ)?,
        words::fact(event, &tcp::LEN)?,
    );
    (len > 0).then_some((from, from + len))
}

fn ack(event: &Event<'_>) -> Option<u64> {
    let flags = words::uint(event, &tcp::FLAGS)?;
    let says = flags & u64::from(Segment::ACK) != 0 && flags & u64::from(Segment::RST) == 0;
    // A damaged one tells nothing: it is thrown away.
    let whole = words::fact(event, &tcp::CHECKSUM_STATUS) != Some(0);
    words::fact(event, &tcp::ACK).filter(|_| says && whole)
}

/// Bytes in the unit that the largest of them has, set flush right.
fn amount(out: &mut Out, n: u64, largest: u64, columns: usize) {
    let (unit, name) = match largest {
        0..=9_999 => (1, " B"),
        10_000..=9_999_999 => (1_000, " kB"),
        10_000_000..=9_999_999_999 => (1_000_000, " MB"),
        _ => (1_000_000_000, " GB"),
    };
    let text = out.aside(|out| {
        out.number((n + unit / 2) / unit);
        out.text(if n == 0 { " B" } else { name });
    });
    out.spaces(columns.saturating_sub(text.len()));
    out.paint(Role::Dim, &text);
}

/// A time in milliseconds, or in seconds where the longest is long.
fn duration(out: &mut Out, nanos: u64, longest: u64) {
    let (unit, name) = if longest >= 10_000_000_000 {
        (1_000_000_000, " s")
    } else {
        (1_000_000, " ms")
    };
    let tenths = (nanos * 10 + unit / 2) / unit;
    out.number(tenths / 10);
    if tenths > 0 {
        out.byte(b'.');
        out.number(tenths % 10);
    }
    out.text(name);
}

/// From times and numbers to places.
struct Scale {
    start: Time,
    length: u64,
    top: u64,
    columns: usize,
    rows: usize,
}

impl Scale {
    /// How far to the right, in halves of a column.
    fn x(&self, time: Time) -> usize {
        let last = (self.columns * 2 - 1) as u128;
        (u128::from(time.since(self.start)) * last / u128::from(self.length)) as usize
    }

    /// How far up, in halves of a row, so that the number `top` lies just above the picture.
    fn y(&self, number: u64) -> usize {
        let all = (self.rows * 2) as u128;
        (u128::from(number) * all / u128::from(self.top)) as usize
    }
}

/// What is drawn: quarters of characters for what was sent, marks, and the line of what was acknowledged.
struct Field {
    columns: usize,
    rows: usize,
    quarters: Vec<u8>,
    marks: Vec<Option<(&'static str, Role)>>,
    line: Vec<bool>,
    lost: &'static str,
}

impl Field {
    fn new(columns: usize, rows: usize, lost: &'static str) -> Self {
        let cells = columns * rows;
        Self {
            columns,
            rows,
            quarters: vec![0; cells],
            marks: vec![None; cells],
            line: vec![false; cells],
            lost,
        }
    }

    /// The cell of a place that is so many halves from the left and from the bottom.
    fn at(&self, x: usize, y: usize) -> usize {
        let row = self.rows.saturating_sub(1 + y / 2);
        row * self.columns + (x / 2).min(self.columns - 1)
    }

    fn sent(&mut self, scale: &Scale, sent: &Sent) {
        let x = scale.x(sent.time);
        let top = scale.rows * 2 - 1;
        let low = scale.y(sent.from).min(top);
        let high = scale.y(sent.to).saturating_sub(1).clamp(low, top);
        for y in low..=high {
            let at = self.at(x, y);
            let quarter = 1 << (x % 2 + 2 * (y % 2));
            if let Some(cell) = self.quarters.get_mut(at) {
                *cell |= quarter;
            }
            let mark = match (sent.lost, sent.again) {
                (true, _) => (self.lost, Role::Bad),
                (_, true) => ("R", Role::Warn),
                _ => continue,
            };
            if let Some(cell) = self.marks.get_mut(at)
                && cell.is_none_or(|(_, role)| role != Role::Bad)
            {
                *cell = Some(mark);
            }
        }
    }

    fn acked(&mut self, scale: &Scale, acked: &[(Time, u64)]) {
        let top = scale.rows * 2 - 1;
        let mut acked = acked.iter().peekable();
        let mut level = None;
        for column in 0..self.columns {
            let mut now = level;
            while let Some((_, ack)) = acked.next_if(|(time, _)| scale.x(*time) / 2 <= column) {
                now = Some(scale.y(*ack).saturating_sub(1).min(top));
            }
            if let Some(now) = now {
                let at = self.at(column * 2, now);
                if let Some(cell) = self.line.get_mut(at) {
                    *cell = true;
                }
            }
            level = now;
        }
    }

    fn row(&self, out: &mut Out, row: usize) {
        // By the quarters that are filled: 1 and 2 below, 4 and 8 above.
        const BLOCKS: [&str; 16] = [
            " ", "▖", "▗", "▄", "▘", "▌", "▚", "▙", "▝", "▞", "▐", "▟", "▀", "▛", "▜", "█",
        ];
        let ascii = out.look().ascii;
        let line = out.glyphs().horizontal;
        let last = (row * self.columns..(row + 1) * self.columns)
            .rev()
            .find(|at| self.glyph(*at, ascii, line, &BLOCKS).0 != " ");
        for at in row * self.columns..last.map_or(0, |last| last + 1) {
            let (glyph, role) = self.glyph(at, ascii, line, &BLOCKS);
            out.start(role);
            out.glyph(glyph);
            out.end(role);
        }
    }

    fn glyph(
        &self,
        at: usize,
        ascii: bool,
        line: &'static str,
        blocks: &[&'static str; 16],
    ) -> (&'static str, Role) {
        let quarters = self.quarters.get(at).copied().unwrap_or(0);
        match (self.marks.get(at), quarters) {
            (Some(Some(mark)), _) => *mark,
            (_, 0) if self.line.get(at) == Some(&true) => (line, Role::Tcp),
            (_, 0) => (" ", Role::Dim),
            _ if ascii => ("#", Role::App),
            _ => {
                let block = blocks.get(usize::from(quarters)).copied();
                (block.unwrap_or(" "), Role::App)
            }
        }
    }
}
