//! Both ends side by side: a line for each packet that leaves or arrives, in true order, with the wire between.
//!
//! ```text
//!      ms  A sends and gets              the wire  B sends and gets
//!          CLOSED                       │        │ LISTEN
//!     0.0    1 SYN seq 0       SYN-SENT │──▶     │
//!     5.0                               │     ──▶│   1 SYN seq 0   SYN-RECEIVED
//!    10.0    4 ClientHello 1+1458       │──✗     │ 4 never arrives
//! ```

mod changes;
mod row;

use super::ladder::milliseconds;
use super::paint::{Out, Role};
use super::words::{self, Deed};
use crate::ends::{Act, Confirmed, Moment, Passage, Place};
use crate::layers::{ipv4, tcp};
use crate::packet::{Event, Segment, Time};
use crate::text::Glossary;
use crate::wire::{Host, fault};
use changes::changes;
use row::{Columns, LEFT, Line, print, wire};

/// So many packets of a bulk transfer with which nothing is amiss are shown in a row; the rest is summed up.
const QUIET_SHOWN: u64 = 8;
/// The marks that say what happened to a packet, without colour.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks {
    pub(super) lost: &'static str,
    pub(super) changed: &'static str,
    pub(super) late: &'static str,
    pub(super) again: &'static str,
    pub(super) nobody: &'static str,
}

impl Marks {
    pub(super) fn of(out: &Out) -> Self {
        let unicode = !out.look().ascii;
        Self {
            lost: if unicode { "✗" } else { "x" },
            changed: if unicode { "≠" } else { "#" },
            late: "~",
            again: "=",
            nobody: "!",
        }
    }

    /// The mark of a packet that arrives, and in which role it is painted.
    pub(super) fn of_arrival(self, moment: &Moment<'_>) -> Option<(&'static str, Role)> {
        let passage = moment.passage;
        if passage.made {
            Some((self.nobody, Role::Bad))
        } else if passage.changed.is_some() {
            Some((self.changed, Role::Bad))
        } else if moment.overtaken.is_some() {
            Some((self.late, Role::Warn))
        } else if moment.place == Place::Again {
            Some((self.again, Role::Warn))
        } else {
            None
        }
    }
}

/// Prints what happens at both ends.
#[derive(Debug)]
pub struct Sides<'g> {
    glossary: &'g Glossary,
    names: [&'static str; 2],
    start: Option<Time>,
    /// How many with which nothing is amiss came in a row, and how many of them were not shown.
    quiet: u64,
    hidden: u64,
    counts: [Count; 2],
}

/// What became of the packets in one direction.
#[derive(Debug, Default)]
struct Count {
    sent: u64,
    got: u64,
    lost: u64,
    changed: u64,
    late: u64,
    again: u64,
    refused: u64,
    nobody: u64,
}

impl<'g> Sides<'g> {
    /// One that counts the time from the first packet on.
    #[must_use]
    pub fn new(glossary: &'g Glossary) -> Self {
        Self {
            glossary,
            names: NAMES,
            start: None,
            quiet: 0,
            hidden: 0,
            counts: [Count::default(), Count::default()],
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

    fn name(&self, host: Host) -> &'static str {
        name(&self.names, host)
    }

    /// How it is to be read, and the head of the columns.
    pub fn head(&self, out: &mut Out) {
        out.wrapped(self.glossary.say("say.sides.legend"), |_| ());
        out.newline();
        if out.look().plain {
            for (host, state) in [(Host::A, 1), (Host::B, 2)] {
                self.plain_state(out, host, state);
                out.newline();
            }
            return;
        }
        let marks = Marks::of(out);
        out.sentence(
            self.glossary.say("say.sides.marks"),
            |out, name| match name {
                "lost" => out.paint(Role::Bad, marks.lost),
                "changed" => out.paint(Role::Bad, marks.changed),
                "late" => out.paint(Role::Warn, marks.late),
                "again" => out.paint(Role::Warn, marks.again),
                _ => out.paint(Role::Bad, marks.nobody),
            },
        );
        out.newline();
        out.newline();
        let columns = Columns::of(out);
        out.paint(Role::Dim, "     ms");
        for (host, at) in [(Host::A, LEFT), (Host::B, columns.right)] {
            out.to_column(at);
            out.start(Role::Heading);
            out.sentence(self.glossary.say("say.sides.column"), |out, _| {
                out.text(self.name(host));
            });
            out.end(Role::Heading);
            if host == Host::A {
                out.to_column(columns.wire + 1);
                out.paint(Role::Dim, self.glossary.say("say.sides.wire"));
            }
        }
        out.newline();
        let state = |n| {
            vec![Line {
                role: Role::Dim,
                text: String::new(),
                state: Some(self.state(n).to_owned()),
            }]
        };
        print(out, None, &state(1), &state(2), |_| ());
    }

    /// Something happens.
    pub fn moment(&mut self, out: &mut Out, moment: &Moment<'_>) {
        let start = *self.start.get_or_insert(moment.time);
        self.count(moment);
        if self.is_quiet(moment) {
            self.quiet += 1;
            if self.quiet > QUIET_SHOWN {
                self.hidden += 1;
                return;
            }
        } else {
            self.more(out);
            self.quiet = 0;
        }
        let since = moment.time.since(start);
        let notes = self.notes(out, moment);
        if out.look().plain {
            return self.plain(out, moment, since, &notes);
        }
        let cell = Columns::of(out).cell;
        let mut own = Vec::new();
        if let Some(event) = &moment.event {
            // The number of a SYN or a FIN gives way to the state that it leads to.
            let state = moment.state.map_or("", |state| self.state(state));
            let taken = match Numbers::of(event) {
                Numbers::Data { .. } => 0,
                _ if state.is_empty() => 0,
                _ => out.look().text_width(state) + 1,
            };
            own.push(self.packet(out, moment, event, cell.saturating_sub(taken)));
        }
        let mut other = Vec::new();
        for (text, there) in notes {
            let cells = if there { &mut other } else { &mut own };
            let indent = if there || moment.event.is_none() {
                ""
            } else {
                "    "
            };
            for line in fold(out, &text, cell.saturating_sub(indent.len())) {
                cells.push(Line {
                    role: Role::Computed,
                    text: [indent, line.as_str()].concat(),
                    state: None,
                });
            }
        }
        if let Some(state) = moment.state {
            let state = self.state(state);
            let width = out.look().text_width(state) + 1;
            let fits = own.iter().position(|line| {
                line.state.is_none() && out.look().text_width(&line.text) + width <= cell
            });
            match fits.and_then(|at| own.get_mut(at)) {
                Some(line) => line.state = Some(state.to_owned()),
                None => own.push(Line {
                    role: Role::Dim,
                    text: String::new(),
                    state: Some(state.to_owned()),
                }),
            }
        }
        let (left, right) = match moment.host {
            Host::A => (own, other),
            Host::B => (other, own),
        };
        print(out, Some(since), &left, &right, |out| wire(out, moment));
    }

    /// What was summed up, then what became of all packets, and whether Linux agrees about the states.
    pub fn end(&mut self, out: &mut Out, confirmed: &Confirmed) {
        self.more(out);
        out.newline();
        for (host, count) in [(Host::A, &self.counts[0]), (Host::B, &self.counts[1])] {
            let mark = out.mark();
            self.sum(out, host, count);
            out.wrap_since(mark, |_| ());
            out.newline();
        }
        if self.counts.iter().all(Count::is_clean) {
            out.wrapped(self.glossary.say("say.sides.same"), |_| ());
            out.newline();
        }
        for (host, (said, same)) in [Host::A, Host::B]
            .into_iter()
            .zip(confirmed.said.iter().zip(confirmed.same))
        {
            if said.is_empty() {
                continue;
            }
            let key = if same {
                "say.sides.kernel"
            } else {
                "say.sides.kernel.other"
            };
            let mark = out.mark();
            out.sentence(self.glossary.say(key), |out, word| match word {
                "host" => out.text(self.name(host)),
                _ => {
                    for (at, state) in said.iter().enumerate() {
                        if at > 0 {
                            out.ascii(b", ");
                        }
                        out.text(self.state(*state));
                    }
                }
            });
            out.wrap_since(mark, |_| ());
            out.newline();
        }
    }

    fn sum(&self, out: &mut Out, from: Host, count: &Count) {
        out.sentence(self.glossary.say("say.sides.sum"), |out, word| match word {
            "a" => out.text(self.name(from)),
            "b" => out.text(self.name(from.other())),
            "sent" => out.number(count.sent),
            _ => out.number(count.got),
        });
        for (key, n) in [
            ("say.sides.sum.lost", count.lost),
            ("say.sides.sum.changed", count.changed),
            ("say.sides.sum.late", count.late),
            ("say.sides.sum.again", count.again),
            ("say.sides.sum.refused", count.refused),
            ("say.sides.sum.nobody", count.nobody),
        ] {
            if n > 0 {
                out.sentence(self.glossary.say(key), |out, _| out.number(n));
            }
        }
        out.byte(b'.');
    }

    fn count(&mut self, moment: &Moment<'_>) {
        let [a, b] = &mut self.counts;
        let count = if moment.passage.from == Host::A { a } else { b };
        match moment.act {
            Act::Sends { lost } => {
                count.sent += 1;
                count.lost += u64::from(lost);
            }
            Act::Appears => count.nobody += 1,
            Act::Lost { .. } => count.lost += 1,
            Act::Gets => {
                count.got += 1;
                count.changed += u64::from(moment.passage.changed.is_some());
                count.late += u64::from(moment.overtaken.is_some());
                count.again += u64::from(moment.place == Place::Again);
                count.refused += u64::from(moment.place == Place::Refused);
            }
        }
    }

    /// Whether it is one of many in a bulk transfer, and nothing about it is worth a line.
    fn is_quiet(&self, moment: &Moment<'_>) -> bool {
        let bulk = moment
            .event
            .as_ref()
            .is_some_and(|event| Deed::of(event).bulk);
        let amiss = moment.passage.made
            || !moment.passage.touched.is_empty()
            || moment.overtaken.is_some()
            || moment.again.is_some()
            || moment.state.is_some()
            || moment.anew
            || !matches!(moment.place, Place::Nothing | Place::Next)
            || matches!(moment.act, Act::Sends { lost: true } | Act::Lost { .. });
        bulk && !amiss
    }

    /// Sums up what was not shown.
    fn more(&mut self, out: &mut Out) {
        let hidden = core::mem::take(&mut self.hidden);
        if hidden == 0 {
            return;
        }
        if !out.look().plain {
            out.to_column(LEFT - 2);
            out.text("⋮ ");
        }
        out.start(Role::Dim);
        out.sentence(self.glossary.say("say.sides.more"), |out, _| {
            out.number(hidden);
        });
        out.end(Role::Dim);
        out.newline();
    }

    /// The line of a packet in the cell of the end that sends or gets it; `room` columns are left for it.
    fn packet(&self, out: &mut Out, moment: &Moment<'_>, event: &Event<'_>, room: usize) -> Line {
        let numbers = out.aside(|out| numbers(out, self.glossary, event));
        let label = |out: &mut Out, columns| {
            out.aside(|out| words::label(out, self.glossary, event, columns))
        };
        let rest = room.saturating_sub(4);
        // The label wants two columns more than it needs, for the case that it goes on.
        let mut name = label(out, rest + 2);
        let width = |name: &str| out.look().text_width(name) + 1 + numbers.len();
        let mut numbered = !numbers.is_empty() && width(&name) <= rest;
        if !numbered {
            let with_numbers = label(out, rest.saturating_sub(numbers.len() + 1));
            let data = matches!(Numbers::of(event), Numbers::Data { .. });
            // What it is comes first.
            if with_numbers == "…" || with_numbers == "..." {
                name = label(out, rest);
            } else if data || out.look().text_width(&name) > rest {
                name = with_numbers;
                numbered = !numbers.is_empty();
            }
        }
        let id = moment.passage.id;
        let taken = if numbered { numbers.len() + 1 } else { 0 };
        let name = cut(out, &name, rest.saturating_sub(taken));
        let text = out.aside(|out| {
            out.spaces(3_usize.saturating_sub(id.max(1).ilog10() as usize + 1));
            out.number(id);
            out.byte(b' ');
            out.text(name);
            if numbered {
                out.byte(b' ');
                out.text(&numbers);
            }
        });
        let layer = event.layers.last();
        Line {
            role: layer.map_or(Role::Data, |layer| Role::of_layer(layer.def.key)),
            text,
            state: None,
        }
    }

    /// What is to be said about it, and whether on the other side.
    fn notes(&self, out: &mut Out, moment: &Moment<'_>) -> Vec<(String, bool)> {
        let passage = moment.passage;
        let mut notes = Vec::new();
        let say = |out: &mut Out, key, n: u64| {
            out.aside(|out| out.sentence(self.glossary.say(key), |out, _| out.number(n)))
        };
        // What is plain to see need not be said: only which rule it was.
        let touches = |out: &mut Out| {
            let touched = passage.touched.iter().map(|touch| match touch.deed {
                fault::Deed::Dropped => say(out, "say.sides.rule", touch.rule as u64 + 1),
                fault::Deed::Changed { .. } | fault::Deed::Truncated { .. } => {
                    say(out, "say.sides.changed_by", touch.rule as u64 + 1)
                }
                _ => out.aside(|out| touched_by(out, self.glossary, touch)),
            });
            touched.collect::<Vec<_>>().join(", ")
        };
        match moment.act {
            Act::Sends { lost } => {
                if let Some(first) = moment.again {
                    notes.push((say(out, "say.sides.resent", first), false));
                }
                if lost {
                    let text = say(out, "say.sides.lost", passage.id);
                    notes.push((with(&text, &touches(out)), true));
                } else if passage.is_held() {
                    let text = say(out, "say.sides.held", passage.id);
                    notes.push((with(&text, &touches(out)), true));
                }
            }
            Act::Appears => {
                let key = if passage.touched.is_empty() {
                    "say.sides.router"
                } else {
                    "say.sides.nobody"
                };
                let text = say(out, key, passage.id);
                notes.push((with(&text, &touches(out)), false));
            }
            Act::Lost { hop } => {
                let words = self.glossary.say("say.sides.lost_on");
                let text = out.aside(|out| {
                    out.sentence(words, |out, word| match word {
                        "n" => out.number(passage.id),
                        _ => out.number(hop as u64 + 1),
                    });
                });
                notes.push((with(&text, &touches(out)), true));
            }
            Act::Gets => {
                if let Some(other) = moment.overtaken {
                    notes.push((say(out, "say.sides.late", other), false));
                }
                if moment.anew {
                    notes.push((say(out, "say.sides.anew", 0), false));
                }
                match moment.place {
                    Place::Refused => notes.push((say(out, "say.sides.refused", 0), false)),
                    Place::Again => notes.push((say(out, "say.sides.had", 0), false)),
                    Place::Early(n) => notes.push((say(out, "say.sides.early", n.into()), false)),
                    Place::Fills => notes.push((say(out, "say.sides.fills", 0), false)),
                    Place::Nothing | Place::Next => {}
                }
                if !passage.made && !passage.touched.is_empty() {
                    notes.push((touches(out), false));
                }
                if let (Some(event), Some((before, after))) = (&moment.event, &passage.changed) {
                    let changes = changes(out, self.glossary, event, before, after);
                    notes.extend(changes.into_iter().map(|text| (text, false)));
                    if is_damaged(event) {
                        notes.push((say(out, "say.sides.damaged", 0), false));
                    }
                }
            }
        }
        notes
    }

    fn plain(&self, out: &mut Out, moment: &Moment<'_>, since: u64, notes: &[(String, bool)]) {
        let key = match moment.act {
            Act::Sends { .. } => "say.sides.plain.sends",
            Act::Gets => "say.sides.plain.gets",
            Act::Appears | Act::Lost { .. } => "say.sides.plain.wire",
        };
        let mark = out.mark();
        out.sentence(self.glossary.say(key), |out, word| {
            match (word, &moment.event) {
                ("ms", _) => milliseconds(out, since, 0),
                ("host", _) => out.text(self.name(moment.host)),
                ("n", _) => out.number(moment.passage.id),
                ("label", Some(event)) => words::label(out, self.glossary, event, 60),
                ("where", Some(event)) => self.place(out, event),
                _ => {}
            }
        });
        for (at, (note, _)) in notes.iter().enumerate() {
            let follows = at > 0
                && notes
                    .get(at - 1)
                    .is_some_and(|(note, _)| note.ends_with(':'));
            out.ascii(if follows { b" " } else { b"; " });
            out.text(note);
        }
        out.byte(b'.');
        if let Some(state) = moment.state {
            out.byte(b' ');
            self.plain_state(out, moment.host, state);
        }
        out.wrap_since(mark, |_| ());
        out.newline();
    }

    fn plain_state(&self, out: &mut Out, host: Host, state: u64) {
        let words = self.glossary.say("say.sides.plain.state");
        out.sentence(words, |out, word| match word {
            "host" => out.text(self.name(host)),
            _ => out.text(self.state(state)),
        });
    }

    /// Where a segment stands in its stream, in words.
    fn place(&self, out: &mut Out, event: &Event<'_>) {
        let key = match Numbers::of(event) {
            Numbers::Data { .. } => "say.sides.where.data",
            Numbers::Seq(_) => "say.sides.where.seq",
            Numbers::Ack(_) => "say.sides.where.ack",
            Numbers::None => "say.sides.where.none",
        };
        out.sentence(self.glossary.say(key), |out, word| {
            match (word, Numbers::of(event)) {
                ("seq", Numbers::Data { seq, .. } | Numbers::Seq(seq)) => out.number(seq),
                ("len", Numbers::Data { len, .. }) => out.number(len),
                ("ack", Numbers::Ack(ack)) => out.number(ack),
                _ => out.number(event.frame.wire_len.into()),
            }
        });
    }

    fn state(&self, number: u64) -> &'g str {
        state(self.glossary, number)
    }
}

impl Count {
    fn is_clean(&self) -> bool {
        self.sent == self.got && self.changed + self.late + self.nobody == 0
    }
}

impl Passage {
    fn is_held(&self) -> bool {
        let is_held = |touch: &fault::Touch| matches!(touch.deed, fault::Deed::Held(_));
        self.touched.iter().any(is_held)
    }
}

/// A state's name, by its number in the TCP MIB.
fn state(glossary: &Glossary, number: u64) -> &str {
    let named = glossary.of(&tcp::STATE_SRC).value(number);
    named.map_or("?", |named| named.name.as_str())
}

/// What the ends of a wire are called, where nobody is in the middle.
pub(super) const NAMES: [&str; 2] = ["A", "B"];

pub(super) fn name(names: &[&'static str; 2], host: Host) -> &'static str {
    let [a, b] = names;
    if host == Host::A { a } else { b }
}

/// Writes what a rule has done, and which.
pub fn touched_by(out: &mut Out, glossary: &Glossary, touch: &fault::Touch) {
    out.sentence(glossary.say("say.fault.touched"), |out, word| match word {
        "rule" => out.number(touch.rule as u64 + 1),
        _ => deed(out, glossary, touch.deed),
    });
}

fn deed(out: &mut Out, glossary: &Glossary, deed: fault::Deed) {
    use fault::Deed::{Changed, Delayed, Held, Truncated};
    out.sentence(glossary.say(deed.key()), |out, word| match (deed, word) {
        (Delayed(time), "time") => {
            let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            milliseconds(out, nanos, 0);
            out.ascii(b" ms");
        }
        (Held(n), "n") => out.number(n),
        (Changed { at, .. }, "at") => out.number(at as u64),
        (Truncated { len, .. }, "n") => out.number(len as u64),
        _ => {}
    });
}

/// A note, and why in what follows.
fn with(text: &str, why: &str) -> String {
    if why.is_empty() {
        text.to_owned()
    } else {
        [text, ": ", why].concat()
    }
}

/// What stands for a segment's place in its stream.
enum Numbers {
    Data { seq: u64, len: u64 },
    Seq(u64),
    Ack(u64),
    None,
}

impl Numbers {
    fn of(event: &Event<'_>) -> Self {
        let (Some(seq), Some(len)) = (words::fact(event, &tcp::SEQ), words::fact(event, &tcp::LEN))
        else {
            return Self::None;
        };
        let flags = words::uint(event, &tcp::FLAGS).unwrap_or(0);
        let takes_a_number = u64::from(Segment::SYN | Segment::FIN | Segment::RST);
        match words::fact(event, &tcp::ACK) {
            _ if len > 0 => Self::Data { seq, len },
            Some(ack) if flags & takes_a_number == 0 => Self::Ack(ack),
            _ => Self::Seq(seq),
        }
    }
}

fn numbers(out: &mut Out, glossary: &Glossary, event: &Event<'_>) {
    let (key, n) = match Numbers::of(event) {
        Numbers::Data { seq, len } => {
            out.number(seq);
            out.byte(b'+');
            return out.number(len);
        }
        Numbers::Seq(seq) => ("say.sides.seq", seq),
        Numbers::Ack(ack) => ("say.sides.ack", ack),
        Numbers::None => return,
    };
    out.sentence(glossary.say(key), |out, _| out.number(n));
}

fn is_damaged(event: &Event<'_>) -> bool {
    words::fact(event, &tcp::CHECKSUM_STATUS) == Some(0)
        || words::fact(event, &ipv4::CHECKSUM_STATUS) == Some(0)
}

/// As much of a text as has room.
pub(super) fn cut<'t>(out: &Out, text: &'t str, columns: usize) -> &'t str {
    let mut width = 0;
    let end = text.char_indices().find(|(_, c)| {
        width += out.look().char_width(*c);
        width > columns
    });
    text.get(..end.map_or(text.len(), |(at, _)| at))
        .unwrap_or(text)
}

/// Text broken into lines of so many columns.
fn fold(out: &Out, text: &str, columns: usize) -> Vec<String> {
    let look = out.look();
    let mut lines = vec![String::new()];
    for mut word in text.split(' ') {
        // A key may be longer than a line: it is broken.
        while let Some((start, rest)) = word.split_at_checked(columns).filter(|_| word.is_ascii()) {
            if rest.is_empty() {
                break;
            }
            lines.push(start.to_owned());
            word = rest;
        }
        let width = look.text_width(word);
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if look.text_width(line) + 1 + width <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.retain(|line| !line.is_empty());
    lines
}
