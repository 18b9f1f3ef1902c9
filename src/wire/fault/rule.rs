//! Fault rules as they are written.
//!
//! ```text
//! ACTION [where EXPR] [times N | always] [after N]
//!
//! drop where tcp.len > 0 && ip.src == 1.2.3.4
//! delay 300ms where tls.handshake.type == client_hello
//! flip chat.text where chat.text contains "pay"
//! set ip.ttl 1 stale always
//! random loss 20%
//! ```

use core::fmt;
use core::ops::Range;
use core::time::Duration;

use crate::filter::key::{Key, Source};
use crate::filter::{Filter, FilterError, Written};

/// The longest delay.
const MAX_DELAY: Duration = Duration::from_secs(3600);

/// A rule: what is done to which packets, and how often.
#[derive(Debug)]
pub struct Rule {
    text: String,
    pub(super) action: Action,
    /// To which packets; without it, to all.
    pub(super) filter: Option<Filter>,
    /// How often; without it, always.
    pub(super) times: Option<u64>,
    /// So many that it could be done to are spared first.
    pub(super) after: u64,
}

/// What is done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// The packet is lost.
    Drop,
    /// It arrives so much later.
    Delay(Duration),
    /// It arrives twice.
    Duplicate,
    /// It goes on only behind the next so many of its direction.
    Reorder(u64),
    /// Bits of it are changed.
    Change(Change, Checksums),
    /// It ends early: after so many bytes, or in the middle of its data.
    Truncate(Option<usize>, Checksums),
    /// Its data come again, as if they were the sender's next.
    Replay,
    /// A forged segment of its sender follows it, with this flag: RST.
    Rst,
    /// The same with FIN.
    Fin,
    /// By chance, in so many of a million cases.
    Random(u32, Chance),
}

/// Which bits are changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The bit at this place, from the packet's first on, is turned over.
    FlipBit(usize),
    /// The last bit of the first byte that a segment says is turned over.
    FlipData,
    /// A bit of this field is turned over: a flag's own, the last of a number, the last of the first byte of anything else.
    Flip(Key),
    /// The field gets this value.
    Set(Key, Written),
    /// Two 16-bit words next to each other change places: in the field, or in the data of the segment.
    Swap(Option<Key>),
}

/// What happens by chance.
#[derive(Debug, Clone, PartialEq)]
pub enum Chance {
    /// The packet is lost.
    Loss,
    /// It arrives so much later.
    Delay(Duration),
    /// It arrives twice.
    Duplication,
    /// It goes on only behind the next so many of its direction, or after [`super::HELD_AT_MOST`].
    Reordering(u64),
    /// One bit of it, anywhere, is turned over; no checksum is repaired.
    Corruption,
}

/// What becomes of the checksums of a packet that was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksums {
    /// They are computed anew, and the lengths set right.
    Repaired,
    /// They stay as they were.
    Stale,
}

impl Rule {
    /// Reads a rule.
    ///
    /// # Errors
    /// [`FilterError`], with the place of what is wrong.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        read(text).map_err(|mut error| {
            text.clone_into(&mut error.expression);
            error
        })
    }

    /// The rule as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl core::str::FromStr for Rule {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        Self::parse(text)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A word and its place.
type Word<'t> = (&'t str, Range<usize>);

fn read(text: &str) -> Result<Rule, FilterError> {
    let words = words(text);
    let is = |word: &Word<'_>, name: &str| word.0 == name;
    let condition = words.iter().position(|word| is(word, "where"));
    let (head, rest) = match condition {
        Some(at) => words.split_at(at),
        None => (words.as_slice(), &[][..]),
    };
    // How often stands at the end, with or without a condition before it.
    let (mut rest, mut head) = (rest, head);
    let (mut times, mut after) = (None, None);
    loop {
        let list = if condition.is_some() {
            &mut rest
        } else {
            &mut head
        };
        match list {
            [before @ .., word] if is(word, "always") && times.is_none() => {
                times = Some(None);
                *list = before;
            }
            [before @ .., word, number] if is(word, "times") && times.is_none() => {
                let number = count(number)?;
                times = Some(Some(number));
                *list = before;
            }
            [before @ .., word, number] if is(word, "after") && after.is_none() => {
                after = Some(count(number)?);
                *list = before;
            }
            _ => break,
        }
    }
    let action = action(head, text.len())?;
    let filter = match rest {
        [] => None,
        [word] => {
            return Err(FilterError::new(
                word.1.end..word.1.end,
                "behind where stands a condition, such as tcp.len > 0",
            ));
        }
        [_, first, ..] => {
            let end = rest.last().map_or(first.1.end, |last| last.1.end);
            let start = first.1.start;
            let expression = text.get(start..end).unwrap_or("");
            let filter = Filter::parse(expression).map_err(|mut error| {
                error.place = error.place.start + start..error.place.end + start;
                error
            })?;
            Some(filter)
        }
    };
    let chance = matches!(action, Action::Random(..));
    Ok(Rule {
        text: text.to_owned(),
        action,
        filter,
        // What happens by chance happens all the time, everything else once.
        times: times.unwrap_or(if chance { None } else { Some(1) }),
        after: after.unwrap_or(0),
    })
}

/// Cuts a rule at its blanks; what stands in quotation marks is one word.
fn words(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut start = None;
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if start.is_none() && !c.is_whitespace() {
            start = Some(at);
        }
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(mark) if c == mark => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c.is_whitespace() => {
                if let Some(from) = start.take() {
                    words.push((text.get(from..at).unwrap_or(""), from..at));
                }
            }
            None => {}
        }
    }
    if let Some(from) = start {
        words.push((text.get(from..).unwrap_or(""), from..text.len()));
    }
    words
}

fn count(word: &Word<'_>) -> Result<u64, FilterError> {
    match word.0.parse() {
        Ok(count) if count > 0 || word.0 == "0" => Ok(count),
        _ => Err(FilterError::new(
            word.1.clone(),
            "here stands a whole number",
        )),
    }
}

/// All actions, for who asks for one that is not there.
const ACTIONS: &str = "there are drop, delay TIME, duplicate, reorder [N], flip [BIT|KEY], set KEY VALUE, swap16 [KEY], \
                       truncate [LENGTH], replay, rst, fin, and random loss|delay|duplication|reordering|corruption N%";

fn action(words: &[Word<'_>], end: usize) -> Result<Action, FilterError> {
    let [name, arguments @ ..] = words else {
        return Err(FilterError::new(end..end, "an action is missing here").hint(ACTIONS));
    };
    let missing = |what: &str| FilterError::new(name.1.clone(), format!("{} needs {what}", name.0));
    // `stale` or `repaired` stands behind all else.
    let (arguments, checksums) = match arguments {
        [before @ .., word] if word.0 == "stale" => (before, Some(Checksums::Stale)),
        [before @ .., word] if word.0 == "repaired" => (before, Some(Checksums::Repaired)),
        all => (all, None),
    };
    let sums = checksums.unwrap_or(Checksums::Repaired);
    let changes = ["flip", "set", "truncate"].contains(&name.0);
    if checksums.is_some() && !changes {
        return Err(FilterError::new(
            name.1.clone(),
            format!("{} does nothing to checksums", name.0),
        )
        .hint("stale and repaired stand behind flip, set and truncate"));
    }
    let (action, left) = match (name.0, arguments) {
        ("drop", left) => (Action::Drop, left),
        ("delay", [time, left @ ..]) => (Action::Delay(duration(time)?), left),
        ("delay", []) => return Err(missing("a time, such as 300ms")),
        ("duplicate", left) => (Action::Duplicate, left),
        ("reorder", []) => (Action::Reorder(1), arguments),
        ("reorder", [n, left @ ..]) => (Action::Reorder(behind(n)?), left),
        ("flip", []) => (Action::Change(Change::FlipData, sums), arguments),
        ("flip", [what, left @ ..]) => {
            let change = match what.0.parse() {
                Ok(bit) => Change::FlipBit(bit),
                Err(_) => Change::Flip(key(what)?),
            };
            (Action::Change(change, sums), left)
        }
        ("set", [what, value, left @ ..]) => {
            let key = key(what)?;
            let value = Written::parse(value.0, &key).map_err(|mut error| {
                error.place = value.1.clone();
                error
            })?;
            (Action::Change(Change::Set(key, value), sums), left)
        }
        ("set", _) => return Err(missing("a field and a value, such as ip.ttl 1")),
        // The checksum stays right by itself; that is the point.
        ("swap16", []) => (
            Action::Change(Change::Swap(None), Checksums::Stale),
            arguments,
        ),
        ("swap16", [what, left @ ..]) => (
            Action::Change(Change::Swap(Some(key(what)?)), Checksums::Stale),
            left,
        ),
        ("truncate", []) => (Action::Truncate(None, sums), arguments),
        ("truncate", [length, left @ ..]) => {
            let length = usize::try_from(count(length)?).unwrap_or(usize::MAX);
            (Action::Truncate(Some(length), sums), left)
        }
        ("replay", left) => (Action::Replay, left),
        ("rst", left) => (Action::Rst, left),
        ("fin", left) => (Action::Fin, left),
        ("random", [what, left @ ..]) => random(what, left)?,
        ("random", []) => return Err(missing("a kind and a percentage, such as loss 20%")),
        _ => {
            return Err(
                FilterError::new(name.1.clone(), format!("there is no action {}", name.0))
                    .hint(ACTIONS),
            );
        }
    };
    match left {
        [] => Ok(action),
        [word, ..] => {
            let hint = if ["and", "&&", "if", "when"].contains(&word.0) || word.0.contains('.') {
                "a condition stands behind the word where"
            } else {
                "behind the action stand where EXPR, times N or always, after N"
            };
            Err(FilterError::new(word.1.clone(), "this does not belong here").hint(hint))
        }
    }
}

fn random<'w, 't>(
    what: &Word<'t>,
    left: &'w [Word<'t>],
) -> Result<(Action, &'w [Word<'t>]), FilterError> {
    let [percent, left @ ..] = left else {
        return Err(FilterError::new(
            what.1.end..what.1.end,
            "a percentage is missing here, such as 20%",
        ));
    };
    let share = percent
        .0
        .strip_suffix('%')
        .and_then(|number| number.parse::<f64>().ok())
        .filter(|percent| (0.0..=100.0).contains(percent));
    let Some(share) = share else {
        return Err(FilterError::new(
            percent.1.clone(),
            "here stands a percentage from 0% to 100%",
        ));
    };
    let (chance, left) = match (what.0, left) {
        ("loss", left) => (Chance::Loss, left),
        ("delay", [time, left @ ..]) => (Chance::Delay(duration(time)?), left),
        ("delay", []) => {
            return Err(FilterError::new(
                percent.1.end..percent.1.end,
                "a time is missing here, such as 50ms",
            ));
        }
        ("duplication", left) => (Chance::Duplication, left),
        ("reordering", []) => (Chance::Reordering(1), left),
        ("reordering", [n, left @ ..]) => (Chance::Reordering(behind(n)?), left),
        ("corruption", left) => (Chance::Corruption, left),
        _ => {
            return Err(FilterError::new(
                what.1.clone(),
                format!("there is nothing random called {}", what.0),
            )
            .hint("there are loss, delay, duplication, reordering and corruption"));
        }
    };
    Ok((
        Action::Random((share * 10_000.0).round() as u32, chance),
        left,
    ))
}

/// How many packets another is held back behind.
fn behind(word: &Word<'_>) -> Result<u64, FilterError> {
    match count(word)? {
        n @ 1..=1000 => Ok(n),
        _ => Err(FilterError::new(
            word.1.clone(),
            "a packet is held back behind 1 to 1000 others",
        )),
    }
}

fn duration(word: &Word<'_>) -> Result<Duration, FilterError> {
    crate::text::duration(word.0)
        .ok()
        .filter(|time| *time <= MAX_DELAY)
        .ok_or_else(|| {
            FilterError::new(
                word.1.clone(),
                "here stands a time with its unit, such as 300ms, at most one hour",
            )
        })
}

/// A field that has bytes in the packet.
fn key(word: &Word<'_>) -> Result<Key, FilterError> {
    let key = Key::find(word.0).ok_or_else(|| FilterError::no_such_key(word.0, word.1.clone()))?;
    match key.from {
        Source::One(_) | Source::Payload => Ok(key),
        Source::Several(_) => Err(FilterError::new(
            word.1.clone(),
            "this stands for several fields: name one of them",
        )),
        Source::Layer(_) | Source::Frame(_) => Err(FilterError::new(
            word.1.clone(),
            "this is no field of the packet: name one, such as tcp.payload",
        )),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        Rule::parse(text).unwrap_or_else(|error| unreachable!("{error}"))
    }

    #[test]
    fn a_rule_has_an_action_a_condition_and_how_often() {
        let plain = rule("drop");
        assert_eq!(
            (plain.action, plain.times, plain.after),
            (Action::Drop, Some(1), 0)
        );
        assert!(plain.filter.is_none());
        let full = rule("delay 300ms where tcp.len > 0 && ip.src == 1.2.3.4 times 2 after 3");
        assert_eq!(full.action, Action::Delay(Duration::from_millis(300)));
        assert_eq!((full.times, full.after), (Some(2), 3));
        assert_eq!(
            full.filter.unwrap().text(),
            "tcp.len > 0 && ip.src == 1.2.3.4"
        );
        assert_eq!(rule("drop after 2 always").times, None);
        assert_eq!(rule("drop after 2 always").after, 2);
        assert_eq!(
            rule("drop where chat.text contains \"x times 3\"").times,
            Some(1)
        );
        let words = rule("drop where chat.text == \"always where\" always");
        assert_eq!(
            words.filter.unwrap().text(),
            "chat.text == \"always where\""
        );
        assert_eq!(words.times, None);
    }

    #[test]
    fn every_action() {
        let action = |text: &str| rule(text).action;
        assert_eq!(action("duplicate"), Action::Duplicate);
        assert_eq!(action("reorder"), Action::Reorder(1));
        assert_eq!(action("reorder 3"), Action::Reorder(3));
        assert_eq!(
            action("flip"),
            Action::Change(Change::FlipData, Checksums::Repaired)
        );
        assert_eq!(
            action("flip 300 stale"),
            Action::Change(Change::FlipBit(300), Checksums::Stale)
        );
        let key = |name| Key::find(name).unwrap();
        assert_eq!(
            action("flip chat.text"),
            Action::Change(Change::Flip(key("chat.text")), Checksums::Repaired)
        );
        assert!(matches!(
            action("set ip.ttl 1 stale"),
            Action::Change(Change::Set(_, _), Checksums::Stale)
        ));
        assert!(matches!(
            action("swap16 chat.text"),
            Action::Change(Change::Swap(Some(_)), _)
        ));
        assert_eq!(
            action("truncate 50"),
            Action::Truncate(Some(50), Checksums::Repaired)
        );
        assert_eq!(action("replay"), Action::Replay);
        assert_eq!((action("rst"), action("fin")), (Action::Rst, Action::Fin));
        assert_eq!(
            action("random loss 20%"),
            Action::Random(200_000, Chance::Loss)
        );
        assert_eq!(
            action("random delay 0.5% 50ms"),
            Action::Random(5_000, Chance::Delay(Duration::from_millis(50)))
        );
        assert_eq!(
            action("random reordering 5% 2"),
            Action::Random(50_000, Chance::Reordering(2))
        );
        assert_eq!(rule("random loss 20%").times, None);
        assert_eq!(rule("random loss 20% times 3").times, Some(3));
    }

    #[test]
    fn what_is_wrong_is_marked() {
        for (text, says, marks) in [
            ("", "an action is missing here; there are drop", ""),
            ("explode", "there is no action explode", "explode"),
            ("delay", "delay needs a time", "delay"),
            ("delay soon", "a time with its unit", "soon"),
            ("drop tcp.len > 0", "behind the word where", "tcp.len"),
            ("drop where", "behind where stands a condition", ""),
            (
                "drop where tcp.prot == 1",
                "did you mean tcp.port?",
                "tcp.prot",
            ),
            ("drop where tcp.len > 0 times x", "a whole number", "x"),
            ("drop stale", "drop does nothing to checksums", "drop"),
            ("flip tcp.port", "several fields", "tcp.port"),
            (
                "flip frame.number",
                "no field of the packet",
                "frame.number",
            ),
            ("set ip.ttl", "set needs a field and a value", "set"),
            ("set ip.ttl big", "ip.ttl is a number", "big"),
            ("random loss 20", "a percentage from 0% to 100%", "20"),
            ("random loss", "a percentage is missing", ""),
            ("random luck 5%", "there are loss, delay", "luck"),
            ("reorder 0", "1 to 1000", "0"),
        ] {
            let error = Rule::parse(text).unwrap_err();
            let shown = error.to_string();
            assert!(shown.contains(says), "{shown}");
            assert_eq!(text.get(error.place.clone()), Some(marks), "{shown}");
        }
    }
}
