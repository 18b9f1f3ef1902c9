//! The ladder: one line a packet, time running down, an arrow from one host to the other and what it does in words.
//!
//! ```text
//!   #      ms  A                           B
//!   1     0.0  │── SYN ───────────────────▶│  A asks to connect
//!   2     5.0  │◀───────────────── SYN ACK─│  B agrees, and asks to connect the other way, too
//! ```

use super::paint::{Out, Role};
use super::words::{self, Deed, Hosts};
use crate::packet::{Event, Time};
use crate::text::Glossary;

/// So many packets of a bulk transfer are shown one by one; the rest of the run is summed up in a line.
const BULK_SHOWN: u64 = 2;

/// Columns before the left lifeline: number, time.
const LEFT: usize = 14;

/// Prints packets one line at a time.
#[derive(Debug, Default)]
pub struct Ladder {
    start: Option<Time>,
    /// How many packets of a bulk transfer have come in a row, and the bytes of those that were not shown.
    bulk: u64,
    hidden: u64,
    hidden_bytes: u64,
    /// Nothing is summed up.
    all: bool,
}

impl Ladder {
    /// One that shows every packet, and counts the time from `start` on.
    #[must_use]
    pub fn of_all(start: Time) -> Self {
        Self {
            start: Some(start),
            all: true,
            ..Self::default()
        }
    }

    /// Times count from here on, if none has been shown yet.
    pub fn count_from(&mut self, start: Time) {
        self.start.get_or_insert(start);
    }

    /// The head: who stands where.
    pub fn head(&self, out: &mut Out, hosts: [&str; 2]) {
        if out.look().plain {
            return;
        }
        let right = right_column(out);
        out.start(Role::Dim);
        out.ascii(b"  #      ms  ");
        out.end(Role::Dim);
        let [a, b] = hosts;
        out.paint(Role::Heading, a);
        out.to_column(right.saturating_sub(out.look().text_width(b)) + 1);
        out.paint(Role::Heading, b);
        out.newline();
    }

    /// One packet's line, with an arrow from its source; `false` if it is one of many, which are summed up.
    pub fn packet(
        &mut self,
        out: &mut Out,
        glossary: &Glossary,
        hosts: &Hosts,
        event: &Event<'_>,
    ) -> bool {
        let from = words::ends(event).map(|(from, _)| from);
        let to_right = from.is_none_or(|from| hosts.is_left(from, words::ports(event).0));
        self.arrow(out, glossary, hosts, event, (to_right, Deed::of(event)))
    }

    /// The same, where it is known from which side the packet comes, and what it does: not every one tells by itself.
    pub fn arrow(
        &mut self,
        out: &mut Out,
        glossary: &Glossary,
        hosts: &Hosts,
        event: &Event<'_>,
        (to_right, deed): (bool, Deed),
    ) -> bool {
        let start = *self.start.get_or_insert(event.frame.time);
        if deed.bulk && !self.all {
            self.bulk += 1;
            if self.bulk > BULK_SHOWN {
                self.hidden += 1;
                self.hidden_bytes += u64::from(event.frame.wire_len);
                return false;
            }
        } else {
            self.finish(out, glossary);
            self.bulk = 0;
        }
        let since = event.frame.time.since(start);
        if out.look().plain {
            plain(out, glossary, hosts, event, &deed, since);
        } else {
            line(out, glossary, hosts, event, &deed, (since, to_right));
        }
        out.newline();
        true
    }

    /// A line of its own about a packet, without an arrow, in that colour if any.
    pub fn remark(
        &mut self,
        out: &mut Out,
        (number, time): (u64, Time),
        role: Option<Role>,
        text: &str,
    ) {
        let start = |out: &mut Out| role.into_iter().for_each(|role| out.start(role));
        let end = |out: &mut Out| role.into_iter().for_each(|role| out.end(role));
        let since = time.since(*self.start.get_or_insert(time));
        if !out.look().plain {
            let (glyphs, right) = (out.glyphs(), right_column(out));
            start_of_line(out, number, since);
            out.text(glyphs.vertical);
            out.to_column(right);
            out.text(glyphs.vertical);
            out.ascii(b"  ");
            let margin = out.column();
            start(out);
            out.wrapped(text, |out| {
                end(out);
                continuation(out, right, margin);
                start(out);
            });
            end(out);
        } else {
            out.wrapped(text, |_| ());
        }
        out.newline();
    }

    /// Sums up what was not shown.
    pub fn finish(&mut self, out: &mut Out, glossary: &Glossary) {
        let (hidden, bytes) = (
            core::mem::take(&mut self.hidden),
            core::mem::take(&mut self.hidden_bytes),
        );
        if hidden == 0 {
            return;
        }
        if !out.look().plain {
            out.to_column(LEFT - 1);
            out.text("⋮ ");
        }
        out.start(Role::Dim);
        out.sentence(glossary.say("say.ladder.more"), |out, name| match name {
            "n" => out.number(hidden),
            "bytes" => out.number(bytes),
            _ => {}
        });
        out.end(Role::Dim);
        out.newline();
    }
}

/// The column of the right lifeline: a third of the screen goes to the arrows, the rest to the words.
fn right_column(out: &Out) -> usize {
    LEFT + (out.look().width / 3).clamp(14, 34)
}

/// Milliseconds with one decimal, or whole seconds' worth of them where that gets too long.
pub fn milliseconds(out: &mut Out, nanoseconds: u64, columns: usize) {
    let tenths = nanoseconds / 100_000;
    let digits = (tenths / 10).max(1).ilog10() as usize + 1 + 2;
    out.spaces(columns.saturating_sub(digits));
    out.number(tenths / 10);
    out.byte(b'.');
    out.number(tenths % 10);
}

fn line(
    out: &mut Out,
    glossary: &Glossary,
    hosts: &Hosts,
    event: &Event<'_>,
    deed: &Deed,
    (since, to_right): (u64, bool),
) {
    let right = right_column(out);
    let glyphs = out.glyphs();
    start_of_line(out, event.frame.number, since);
    let role = event
        .layers
        .last()
        .map_or(Role::Data, |layer| Role::of_layer(layer.def.key));
    out.text(glyphs.vertical);
    out.start(role);
    if to_right {
        out.fill_to(LEFT + 2, glyphs.horizontal);
        out.byte(b' ');
        words::label(out, glossary, event, right.saturating_sub(out.column() + 4));
        out.byte(b' ');
        out.fill_to(right - 1, glyphs.horizontal);
        out.text(glyphs.arrow_right);
    } else {
        let label =
            out.aside(|out| words::label(out, glossary, event, right.saturating_sub(LEFT + 6)));
        out.text(glyphs.arrow_left);
        let width = out.look().text_width(&label);
        out.fill_to((right - 3).saturating_sub(width + 1), glyphs.horizontal);
        out.byte(b' ');
        out.text(&label);
        out.byte(b' ');
        out.fill_to(right, glyphs.horizontal);
    }
    out.end(role);
    out.text(glyphs.vertical);
    out.ascii(b"  ");
    let margin = out.column();
    let sentence = out.aside(|out| deed.write(out, glossary, hosts, event));
    out.wrapped(&sentence, |out| continuation(out, right, margin));
}

/// Number and time of a packet.
fn start_of_line(out: &mut Out, number: u64, since: u64) {
    out.spaces(3_usize.saturating_sub(number.max(1).ilog10() as usize + 1));
    out.number(number);
    milliseconds(out, since, 8);
    out.to_column(LEFT - 1);
}

/// The lifelines go on beside a sentence that takes more than one line.
fn continuation(out: &mut Out, right: usize, margin: usize) {
    let glyphs = out.glyphs();
    out.to_column(LEFT - 1);
    out.text(glyphs.vertical);
    out.to_column(right);
    out.text(glyphs.vertical);
    out.to_column(margin);
}

fn plain(
    out: &mut Out,
    glossary: &Glossary,
    hosts: &Hosts,
    event: &Event<'_>,
    deed: &Deed,
    since: u64,
) {
    let (ends, ports) = (words::ends(event), words::ports(event));
    out.sentence(glossary.say("say.ladder.plain"), |out, name| match name {
        "number" => out.number(event.frame.number),
        "ms" => milliseconds(out, since, 0),
        "a" => hosts.write_end(out, ends, ports.0, false),
        "b" => hosts.write_end(out, ends, ports.1, true),
        "bytes" => out.number(u64::from(event.frame.wire_len)),
        "label" => words::label(out, glossary, event, 60),
        "sentence" => deed.write(out, glossary, hosts, event),
        _ => {}
    });
}
