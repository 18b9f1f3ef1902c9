//! Each packet's way in time: an arrow from when it is sent to when it arrives, so that arrows cross, get lost, or take
//! longer than others.
//!
//! ```text
//!      ms A                                                    B
//!    10.0          3 ACK │⠉⠒⠒⠤⠤⣀⣀                     │
//!          4 ClientHello │⠉⠒⠒⠤✗  ⠉⠉⠒⠒⠤⠤⣀⣀             │
//!    15.0                │               ⠉⠉⠒⠒⠤⠤▶│ 3
//! ```
//!
//! Every event has a row of its own, in true order; between them there is as much room as time, and long pauses are folded.
//! So two arrows cross in the picture if and only if both packets were under way at once or one overtook the other.

mod canvas;

use super::ladder::milliseconds;
use super::paint::{Out, Role};
use super::sides::{Marks, NAMES, cut, name};
use super::words::{self, Deed};
use crate::ends::{Act, Moment, Place};
use crate::packet::Time;
use crate::text::Glossary;
use crate::wire::Host;
use canvas::{Canvas, DOTS, Line};

/// So many arrows are drawn.
const MAX_ARROWS: usize = 80;
/// So many packets of a bulk transfer with which nothing is amiss are drawn in a row.
const QUIET_DRAWN: u64 = 6;
/// Columns before the left cell.
const LEFT: usize = 9;
/// The widest that a cell is.
const MAX_CELL: usize = 30;
/// A pause of so many usual flights is drawn; a longer one is folded.
const PAUSE_DRAWN: u64 = 3;
/// The rows of a folded pause.
const FOLDED: usize = 2;

/// The ways of packets.
#[derive(Debug)]
pub struct Arrows<'g> {
    glossary: &'g Glossary,
    names: [&'static str; 2],
    start: Option<Time>,
    arrows: Vec<Arrow>,
    points: Vec<Point>,
    quiet: u64,
    /// How many were passed over since the last that is drawn, and how many there was no room for.
    passed: u64,
    omitted: u64,
}

/// The way of one packet.
#[derive(Debug)]
struct Arrow {
    id: u64,
    from: Host,
    label: String,
    role: Role,
    /// The points at which it begins and ends.
    start: usize,
    end: Option<usize>,
    made: bool,
    lost: bool,
    changed: bool,
    /// What stands where it begins and where it ends.
    notes: [String; 2],
    overtaken: Option<u64>,
}

/// Where an arrow begins or ends.
#[derive(Debug, Clone, Copy)]
struct Point {
    time: Time,
    arrow: usize,
    is_end: bool,
    /// So many packets before it are not drawn.
    passed: u64,
}

/// Which row each point has, and what stands in rows without one.
struct Rows {
    of: Vec<usize>,
    folds: Vec<(usize, u64)>,
    passed: Vec<(usize, u64)>,
    count: usize,
    /// How long a packet is usually under way, in nanoseconds.
    usual: u64,
}

impl<'g> Arrows<'g> {
    /// None yet.
    #[must_use]
    pub fn new(glossary: &'g Glossary) -> Self {
        Self {
            glossary,
            names: NAMES,
            start: None,
            arrows: Vec::new(),
            points: Vec::new(),
            quiet: 0,
            passed: 0,
            omitted: 0,
        }
    }

    /// The ends are called so.
    #[must_use]
    pub fn named(self, names: [&'static str; 2]) -> Self {
        Self { names, ..self }
    }

    /// Times count from here on, if none has been shown yet.
    pub fn count_from(&mut self, start: Time) {
        self.start.get_or_insert(start);
    }

    /// How the picture is to be read.
    pub fn head(&self, out: &mut Out) {
        if out.look().plain {
            return;
        }
        out.wrapped(self.glossary.say("say.arrows.legend"), |_| ());
        out.newline();
        let marks = Marks::of(out);
        let gap = gap_mark(out);
        out.sentence(
            self.glossary.say("say.arrows.marks"),
            |out, name| match name {
                "lost" => out.paint(Role::Bad, marks.lost),
                "changed" => out.paint(Role::Bad, marks.changed),
                "nobody" => out.paint(Role::Bad, marks.nobody),
                _ => out.text(gap),
            },
        );
        out.newline();
        out.newline();
    }

    /// Something happens at an end. It is drawn at last.
    pub fn moment(&mut self, out: &mut Out, moment: &Moment<'_>) {
        let passage = moment.passage;
        match moment.act {
            Act::Sends { .. } | Act::Appears => self.begin(out, moment),
            Act::Gets | Act::Lost { .. } => {
                let Some(at) = self.arrows.iter().rposition(|a| a.id == passage.id) else {
                    return;
                };
                let note = self.arrival(out, moment);
                let Some(arrow) = self.arrows.get_mut(at) else {
                    return;
                };
                arrow.changed = passage.changed.is_some();
                if matches!(moment.act, Act::Lost { .. }) {
                    arrow.lost = true;
                    return;
                }
                arrow.overtaken = moment.overtaken;
                arrow.notes[1] = note;
                arrow.end = Some(self.points.len());
                self.points.push(Point {
                    time: moment.time,
                    arrow: at,
                    is_end: true,
                    passed: core::mem::take(&mut self.passed),
                });
            }
        }
    }

    fn begin(&mut self, out: &mut Out, moment: &Moment<'_>) {
        let passage = moment.passage;
        let lost = moment.act == Act::Sends { lost: true };
        let bulk = moment
            .event
            .as_ref()
            .is_some_and(|event| Deed::of(event).bulk);
        if bulk && !lost && passage.touched.is_empty() && moment.again.is_none() {
            self.quiet += 1;
            if self.quiet > QUIET_DRAWN {
                self.passed += 1;
                return;
            }
        } else {
            self.quiet = 0;
        }
        if self.arrows.len() == MAX_ARROWS {
            self.omitted += 1;
            return;
        }
        let room = cell(out);
        let label = moment.event.as_ref().map_or(String::new(), |event| {
            let columns = room.saturating_sub(digits(passage.id) + 1);
            let label = |out: &mut Out, columns| {
                out.aside(|out| words::label(out, self.glossary, event, columns))
            };
            let wide = label(out, columns + 2);
            if out.look().text_width(&wide) <= columns {
                return wide;
            }
            let label = label(out, columns);
            cut(out, &label, columns).to_owned()
        });
        let note = if passage.made {
            self.say(out, "say.arrows.nobody", &[("n", passage.id)])
        } else if let Some(first) = moment.again {
            self.say(out, "say.arrows.resent", &[("n", passage.id), ("m", first)])
        } else {
            String::new()
        };
        let layer = moment.event.as_ref().and_then(|event| event.layers.last());
        self.points.push(Point {
            time: moment.time,
            arrow: self.arrows.len(),
            is_end: false,
            passed: core::mem::take(&mut self.passed),
        });
        self.arrows.push(Arrow {
            id: passage.id,
            from: passage.from,
            label,
            role: layer.map_or(Role::Data, |layer| Role::of_layer(layer.def.key)),
            start: self.points.len() - 1,
            end: None,
            made: passage.made,
            lost,
            changed: false,
            notes: [note, String::new()],
            overtaken: None,
        });
    }

    /// What stands where a packet arrives, if anything.
    fn arrival(&self, out: &mut Out, moment: &Moment<'_>) -> String {
        let n = ("n", moment.passage.id);
        let key = if moment.place == Place::Refused {
            "say.arrows.refused"
        } else if moment.passage.changed.is_some() {
            "say.arrows.changed"
        } else if let Some(other) = moment.overtaken {
            return self.say(out, "say.arrows.late", &[n, ("m", other)]);
        } else {
            match moment.place {
                Place::Again => "say.arrows.again",
                Place::Early(_) => "say.arrows.early",
                _ => return String::new(),
            }
        };
        self.say(out, key, &[n])
    }

    fn say(&self, out: &mut Out, key: &str, numbers: &[(&str, u64)]) -> String {
        out.aside(|out| {
            out.sentence(self.glossary.say(key), |out, word| {
                let number = numbers.iter().find(|(name, _)| *name == word);
                out.number(number.map_or(0, |(_, n)| *n));
            });
        })
    }

    /// Draws it all.
    pub fn end(&self, out: &mut Out) {
        if out.look().plain {
            self.list(out);
        } else {
            self.picture(out);
        }
        let mut remarks = Vec::new();
        for arrow in &self.arrows {
            if let Some(other) = arrow.overtaken {
                let numbers = [("a", arrow.id), ("b", other)];
                remarks.push(self.say(out, "say.arrows.overtook", &numbers));
            }
        }
        let usual = self.rows().usual;
        let flights = self
            .arrows
            .iter()
            .filter_map(|a| Some((self.flight(a)?, a.id)));
        if let Some((took, id)) = flights.max().filter(|(took, _)| *took > usual * 2) {
            let words = self.glossary.say("say.arrows.longest");
            remarks.push(out.aside(|out| {
                out.sentence(words, |out, word| match word {
                    "n" => out.number(id),
                    "ms" => milliseconds(out, took, 0),
                    _ => milliseconds(out, usual, 0),
                });
            }));
        }
        let left = self.omitted + self.passed;
        if left > 0 {
            remarks.push(self.say(out, "say.arrows.more", &[("n", left)]));
        }
        if !remarks.is_empty() {
            out.newline();
        }
        for text in remarks {
            out.wrapped(&text, |_| ());
            out.newline();
        }
    }

    /// The pairs of packets whose arrows cross, by their numbers.
    #[must_use]
    pub fn crossings(&self) -> Vec<(u64, u64)> {
        let rows = self.rows();
        let lines: Vec<_> = self
            .arrows
            .iter()
            .map(|arrow| (arrow.id, self.line(arrow, &rows, 100)))
            .collect();
        let mut pairs = Vec::new();
        for (at, (a, first)) in lines.iter().enumerate() {
            for (b, second) in lines.iter().skip(at + 1) {
                if first.crosses(second) {
                    pairs.push((*a, *b));
                }
            }
        }
        pairs
    }

    fn time(&self, point: usize) -> Option<Time> {
        self.points.get(point).map(|point| point.time)
    }

    /// How long it was under way, in nanoseconds.
    fn flight(&self, arrow: &Arrow) -> Option<u64> {
        Some(self.time(arrow.end?)?.since(self.time(arrow.start)?))
    }

    fn rows(&self) -> Rows {
        let mut flights: Vec<_> = self.arrows.iter().filter_map(|a| self.flight(a)).collect();
        flights.sort_unstable();
        let usual = flights.get(flights.len() / 2).copied().unwrap_or(0);
        let mut rows = Rows {
            of: Vec::with_capacity(self.points.len()),
            folds: Vec::new(),
            passed: Vec::new(),
            count: 0,
            usual,
        };
        let mut before: Option<&Point> = None;
        let mut row = 0;
        for point in &self.points {
            if let Some(before) = before {
                let gap = point.time.since(before.time);
                row += 1;
                if point.passed > 0 {
                    rows.passed.push((row, point.passed));
                    row += 1;
                } else if usual > 0 && gap > usual.saturating_mul(PAUSE_DRAWN) {
                    rows.folds.push((row, gap));
                    row += FOLDED;
                } else {
                    row += (gap + usual / 2).checked_div(usual).unwrap_or(0) as usize;
                }
            }
            rows.of.push(row);
            before = Some(point);
        }
        rows.count = if self.points.is_empty() { 0 } else { row + 1 };
        rows
    }

    /// Where it is in a picture of so many columns.
    fn line(&self, arrow: &Arrow, rows: &Rows, columns: usize) -> Line {
        let (across, down) = DOTS;
        let right = (columns * across - 1) as f64;
        let row = |point: usize| rows.of.get(point).copied().unwrap_or(0);
        let start = row(arrow.start);
        let end = arrow.end.map_or_else(|| self.would_end(arrow, rows), row);
        let middle = |row: usize| (row * down) as f64 + 1.5;
        let (mut from, mut to) = ((0.0, middle(start)), (right, middle(end)));
        // What is made up begins halfway, what gets lost ends there.
        let half = ((right / 2.0).floor(), f64::midpoint(from.1, to.1));
        if arrow.made {
            from = half;
        }
        if arrow.end.is_none() {
            to = half;
        }
        if arrow.from == Host::B {
            from.0 = right - from.0;
            to.0 = right - to.0;
        }
        Line { from, to }
    }

    /// The row where it would have ended: behind what was sent before it, after as long as others take.
    fn would_end(&self, arrow: &Arrow, rows: &Rows) -> usize {
        let row = |point: usize| rows.of.get(point).copied().unwrap_or(0);
        let sent = self.time(arrow.start).unwrap_or_default();
        let before = self.arrows.iter().filter(|other| {
            let took = other.end.and_then(|end| self.time(end));
            other.from == arrow.from
                && other.start < arrow.start
                && took.is_some_and(|took| took.since(sent) <= rows.usual)
        });
        let behind = before.filter_map(|other| other.end).map(row).max();
        behind.map_or(0, |row| row + 1).max(row(arrow.start) + 3)
    }

    fn picture(&self, out: &mut Out) {
        let rows = self.rows();
        let cell = cell(out);
        let columns = out.look().width.saturating_sub(LEFT + 2 * cell + 4).min(48);
        let mut canvas = Canvas::new(columns, rows.count + 2);
        let lines = self.arrows.iter().map(|a| self.line(a, &rows, columns));
        let lines: Vec<_> = lines.collect();
        for (arrow, line) in self.arrows.iter().zip(&lines) {
            canvas.line(line, arrow.role);
        }
        for (at, first) in lines.iter().enumerate() {
            for second in lines.iter().skip(at + 1) {
                canvas.crossing(first, second);
            }
        }
        let (glyphs, marks) = (out.glyphs(), Marks::of(out));
        for (arrow, line) in self.arrows.iter().zip(&lines) {
            let head = match arrow.from {
                Host::A => glyphs.arrow_right,
                Host::B => glyphs.arrow_left,
            };
            if arrow.made {
                canvas.mark(line.from, marks.nobody, Role::Bad);
            }
            if arrow.changed {
                // Halfway, but not on a crossing.
                let places = [2.0, 3.0, 1.5, 4.0].map(|part| {
                    let x = (line.from.0 + (line.to.0 - line.from.0) / part).floor();
                    (x, line.at(x).unwrap_or(line.from.1))
                });
                let free = places.iter().find(|place| canvas.is_free(**place));
                let place = free.or(places.first()).copied().unwrap_or(line.from);
                canvas.mark(place, marks.changed, Role::Bad);
            }
            // One that neither arrives nor is lost, somebody on the way has got.
            let (end, role) = if arrow.lost {
                (marks.lost, Role::Bad)
            } else {
                (head, arrow.role)
            };
            canvas.mark(line.to, end, role);
        }
        let height = canvas.height();
        let wall = LEFT + cell + 1;
        self.hosts(out, wall, columns);
        let first = self.points.first().map(|point| point.time);
        let start = self.start.or(first).unwrap_or_default();
        let mut shown = None;
        for row in 0..height {
            let points = || {
                let here = rows.of.iter().zip(&self.points);
                here.filter(move |(at, _)| **at == row)
                    .map(|(_, point)| point)
            };
            if let Some(point) = points().next()
                && shown != Some(point.time)
            {
                milliseconds(out, point.time.since(start), 7);
                shown = Some(point.time);
            }
            let fold = rows.folds.iter().find(|(at, _)| *at == row);
            let passed = rows.passed.iter().find(|(at, _)| *at == row);
            if let Some((_, gap)) = fold {
                out.to_column(6);
                out.start(Role::Dim);
                out.text(gap_mark(out));
                out.byte(b' ');
                milliseconds(out, *gap, 0);
                out.ascii(b" ms");
                out.end(Role::Dim);
            } else if let Some((_, n)) = passed {
                out.to_column(6);
                let text = self.say(out, "say.arrows.skip", &[("n", *n)]);
                out.start(Role::Dim);
                out.text(gap_mark(out));
                out.byte(b' ');
                out.text(&text);
                out.end(Role::Dim);
            }
            for point in points().filter(|point| self.host(point) == Some(Host::A)) {
                self.text(out, point, cell, Some(wall - 1));
            }
            out.to_column(wall);
            out.text(if fold.is_some() {
                glyphs.dashed
            } else {
                glyphs.vertical
            });
            canvas.row(out, row);
            out.to_column(wall + columns + 1);
            out.text(if fold.is_some() {
                glyphs.dashed
            } else {
                glyphs.vertical
            });
            out.byte(b' ');
            for point in points().filter(|point| self.host(point) == Some(Host::B)) {
                self.text(out, point, cell, None);
            }
            out.newline();
        }
    }

    /// At whose end a point is.
    fn host(&self, point: &Point) -> Option<Host> {
        let arrow = self.arrows.get(point.arrow)?;
        Some(if point.is_end {
            arrow.from.other()
        } else {
            arrow.from
        })
    }

    fn hosts(&self, out: &mut Out, wall: usize, columns: usize) {
        out.paint(Role::Dim, "     ms");
        out.to_column(wall);
        out.paint(Role::Heading, name(&self.names, Host::A));
        out.to_column(wall + columns + 1);
        out.paint(Role::Heading, name(&self.names, Host::B));
        out.newline();
    }

    /// What stands beside a point; flush right where it ends in a column.
    fn text(&self, out: &mut Out, point: &Point, cell: usize, ends: Option<usize>) {
        let Some(arrow) = self.arrows.get(point.arrow) else {
            return;
        };
        let [from, to] = &arrow.notes;
        let note = if point.is_end { to } else { from };
        let text = if !note.is_empty() {
            note.clone()
        } else if point.is_end {
            arrow.id.to_string()
        } else {
            [arrow.id.to_string().as_str(), " ", arrow.label.as_str()].concat()
        };
        let text = cut(out, &text, cell);
        let width = out.look().text_width(text);
        if let Some(ends) = ends {
            out.to_column(ends.saturating_sub(width));
        }
        let amiss = !note.is_empty() || arrow.lost;
        let role = match (point.is_end, amiss) {
            (_, true) => Role::Warn,
            (true, false) => Role::Dim,
            (false, false) => arrow.role,
        };
        out.paint(role, text);
    }

    /// The same in words.
    fn list(&self, out: &mut Out) {
        let first = self.points.first().map(|point| point.time);
        let start = self.start.or(first).unwrap_or_default();
        let crossings = self.crossings();
        for arrow in &self.arrows {
            let mark = out.mark();
            let key = if arrow.made {
                "say.arrows.plain.made"
            } else {
                "say.arrows.plain.sent"
            };
            let sent = self.time(arrow.start).unwrap_or(start);
            out.sentence(self.glossary.say(key), |out, word| match word {
                "n" => out.number(arrow.id),
                "label" => out.text(&arrow.label),
                "host" => out.text(name(&self.names, arrow.from)),
                _ => milliseconds(out, sent.since(start), 0),
            });
            if let Some(arrives) = arrow.end.and_then(|end| self.time(end)) {
                let words = self.glossary.say("say.arrows.plain.got");
                out.sentence(words, |out, word| match word {
                    "ms" => milliseconds(out, arrives.since(start), 0),
                    _ => milliseconds(out, arrives.since(sent), 0),
                });
            } else if arrow.lost {
                out.text(self.glossary.say("say.arrows.plain.lost"));
            } else {
                out.text(self.glossary.say("say.arrows.plain.on"));
            }
            if arrow.changed {
                out.text(self.glossary.say("say.arrows.plain.changed"));
            }
            let others = crossings.iter().filter_map(|(a, b)| match arrow.id {
                id if id == *a => Some(*b),
                id if id == *b => Some(*a),
                _ => None,
            });
            let others: Vec<_> = others.map(|id| id.to_string()).collect();
            if !others.is_empty() {
                let words = self.glossary.say("say.arrows.plain.crosses");
                out.sentence(words, |out, _| out.text(&others.join(", ")));
            }
            out.byte(b'.');
            out.wrap_since(mark, |_| ());
            out.newline();
        }
    }
}

fn digits(n: u64) -> usize {
    n.max(1).ilog10() as usize + 1
}

/// How wide a cell is beside the picture.
fn cell(out: &Out) -> usize {
    (out.look().width.saturating_sub(LEFT) * 3 / 11).clamp(16, MAX_CELL)
}

fn gap_mark(out: &Out) -> &'static str {
    if out.look().ascii { ":" } else { "⋮" }
}
