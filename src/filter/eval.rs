//! The compiled form of an expression, and how it judges an event: nothing is allocated for a packet.

use core::cmp::Ordering;

use memchr::memmem::{self, Finder};
use regex::bytes::Regex;

use super::key::{Key, Type, Val};
use super::literal::Literal;
use crate::packet::{Event, FieldDef};

/// A part of an expression that is true or false for an event.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "an expression has few parts, and each is looked at for every packet: where it stands"
)]
pub(super) enum Node {
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    /// It occurs; a number of which bits are taken is not zero.
    Present(Operand),
    /// At least one pair of occurrences of the two sides compares so; or, with `all`, there are pairs and all do.
    Compare {
        left: Operand,
        order: Order,
        all: bool,
        right: Right,
    },
    Contains {
        left: Operand,
        needle: Finder<'static>,
        all: bool,
    },
    Matches {
        left: Operand,
        regex: Regex,
        all: bool,
    },
    In {
        left: Operand,
        /// Single values, and ranges with both ends.
        set: Vec<(Literal, Option<Literal>)>,
        all: bool,
    },
}

/// How two values stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Contains,
}

#[derive(Debug)]
pub(super) enum Right {
    Literal(Literal),
    Operand(Box<Operand>),
}

/// A key and what is taken of it.
#[derive(Debug)]
pub(super) struct Operand {
    pub(super) key: Key,
    pub(super) slice: Option<Slice>,
    pub(super) case: Case,
    pub(super) what: What,
    /// Of a number only these bits.
    pub(super) mask: Option<u64>,
    /// What comes out of all that.
    pub(super) is: Type,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Value,
    /// How many bytes an occurrence has.
    Len,
    /// How many occurrences there are.
    Count,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    AsIs,
    Lower,
    Upper,
}

/// Some of the bytes of a value. A negative number counts from the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slice {
    start: i32,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Length(u32),
    /// This byte is the last one.
    Last(i32),
    Open,
}

impl Slice {
    /// Reads `4`, `4:2`, `4-5`, `:2`, `4:`; gives where in the text what is wrong, and how long it is.
    pub(super) fn parse(text: &str) -> Result<Self, (usize, usize, &'static str)> {
        let whole = (0, text.len(), "this is no slice");
        let number = |text: &str| text.trim().parse::<i32>().map_err(|_| whole);
        if text.contains(',') {
            return Err((0, text.len(), "several slices in one are not supported"));
        }
        if let Some((start, length)) = text.split_once(':') {
            let start = if start.trim().is_empty() {
                0
            } else {
                number(start)?
            };
            let end = if length.trim().is_empty() {
                End::Open
            } else {
                match u32::try_from(number(length)?) {
                    Ok(length @ 1..) => End::Length(length),
                    _ => return Err((0, text.len(), "a slice has at least one byte")),
                }
            };
            return Ok(Self { start, end });
        }
        // A minus at the front belongs to the number.
        let dash = text.char_indices().skip(1).find(|(_, c)| *c == '-');
        let Some((dash, _)) = dash else {
            let start = number(text)?;
            return Ok(Self {
                start,
                end: End::Length(1),
            });
        };
        let (first, last) = (
            text.get(..dash).unwrap_or(""),
            text.get(dash + 1..).unwrap_or(""),
        );
        let (start, last) = (number(first)?, number(last)?);
        if (start < 0) == (last < 0) && last < start {
            return Err((0, text.len(), "this slice ends before it begins"));
        }
        Ok(Self {
            start,
            end: End::Last(last),
        })
    }

    /// The bytes; `None` where the value does not have all of them.
    fn of<'b>(&self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        let place = |at: i32| {
            let from_end = bytes.len().checked_sub(at.unsigned_abs() as usize);
            if at < 0 {
                from_end
            } else {
                usize::try_from(at).ok()
            }
        };
        let start = place(self.start)?;
        let end = match self.end {
            End::Length(length) => start.checked_add(length as usize)?,
            End::Last(last) => place(last)?.checked_add(1)?,
            End::Open => bytes.len(),
        };
        bytes.get(start..end).filter(|slice| !slice.is_empty())
    }
}

impl Order {
    /// The same with the sides exchanged.
    pub(super) fn turned(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            same => same,
        }
    }

    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering == Ordering::Equal,
            Self::Unequal => ordering != Ordering::Equal,
            Self::Less => ordering == Ordering::Less,
            Self::LessOrEqual => ordering != Ordering::Greater,
            Self::Greater => ordering == Ordering::Greater,
            Self::GreaterOrEqual => ordering != Ordering::Less,
            Self::Contains => false,
        }
    }
}

impl Case {
    fn of(self, byte: u8) -> u8 {
        match self {
            Self::AsIs => byte,
            Self::Lower => byte.to_ascii_lowercase(),
            Self::Upper => byte.to_ascii_uppercase(),
        }
    }
}

impl Operand {
    pub(super) fn new(key: Key) -> Self {
        Self {
            is: key.is,
            key,
            slice: None,
            case: Case::AsIs,
            what: What::Value,
            mask: None,
        }
    }

    /// Calls `visit` with the value of each occurrence that has one, until it says that this is enough.
    fn each(&self, event: &Event<'_>, visit: &mut dyn FnMut(Val<'_>) -> bool) -> bool {
        if self.what == What::Count {
            let mut count = 0;
            self.key.visit(event, &mut |_| {
                count += 1;
                false
            });
            return count > 0 && visit(Val::Number(count));
        }
        self.key.visit(event, &mut |found| {
            let mut room = [0; 256];
            let mut value = found.value(event, self.key.is, &mut room);
            let (four, sixteen);
            if self.slice.is_some() || self.what == What::Len {
                let bytes = match value {
                    Val::V4(address) => {
                        four = address.to_be_bytes();
                        four.as_slice()
                    }
                    Val::V6(address) => {
                        sixteen = address.to_be_bytes();
                        sixteen.as_slice()
                    }
                    Val::Bytes(bytes) | Val::Text(bytes) => bytes,
                    Val::Nothing | Val::Number(_) | Val::Nanos(_) => return false,
                };
                let taken = match &self.slice {
                    Some(slice) => slice.of(bytes),
                    None => Some(bytes),
                };
                let Some(taken) = taken else { return false };
                value = match self.what {
                    What::Len => Val::Number(taken.len() as u64),
                    _ => Val::Bytes(taken),
                };
            }
            match (value, self.mask) {
                (Val::Nothing, _) => false,
                (Val::Number(n), Some(mask)) => visit(Val::Number(n & mask)),
                (value, _) => visit(value),
            }
        })
    }

    fn occurs(&self, event: &Event<'_>) -> bool {
        if self.slice.is_none() && self.mask.is_none() {
            return self.key.visit(event, &mut |_| true);
        }
        self.each(event, &mut |value| {
            self.mask.is_none() || value != Val::Number(0)
        })
    }

    /// Whether at least one occurrence passes the test; or, with `all`, whether there are some and all do.
    fn test(&self, event: &Event<'_>, all: bool, mut test: impl FnMut(Val<'_>) -> bool) -> bool {
        let mut seen = false;
        let stopped = self.each(event, &mut |value| {
            seen = true;
            test(value) != all
        });
        if all { seen && !stopped } else { stopped }
    }
}

impl Node {
    /// Whether it looks at fields, notes or layers of that name.
    pub(super) fn reads(&self, def: &'static FieldDef) -> bool {
        match self {
            Self::And(nodes) | Self::Or(nodes) => nodes.iter().any(|node| node.reads(def)),
            Self::Not(node) => node.reads(def),
            Self::Compare {
                left,
                right: Right::Operand(right),
                ..
            } => left.key.reads(def) || right.key.reads(def),
            Self::Present(operand)
            | Self::Compare { left: operand, .. }
            | Self::Contains { left: operand, .. }
            | Self::Matches { left: operand, .. }
            | Self::In { left: operand, .. } => operand.key.reads(def),
        }
    }

    pub(super) fn holds(&self, event: &Event<'_>) -> bool {
        match self {
            Self::And(nodes) => nodes.iter().all(|node| node.holds(event)),
            Self::Or(nodes) => nodes.iter().any(|node| node.holds(event)),
            Self::Not(node) => !node.holds(event),
            Self::Present(operand) => operand.occurs(event),
            Self::Compare {
                left,
                order,
                all,
                right: Right::Literal(literal),
            } => left.test(event, *all, |value| {
                compare(value, left.case, literal).is_some_and(|o| order.holds(o))
            }),
            Self::Compare {
                left,
                order,
                all,
                right: Right::Operand(right),
            } => {
                let mut seen = false;
                let stopped = left.each(event, &mut |one| {
                    right.each(event, &mut |other| {
                        seen = true;
                        let holds = if *order == Order::Contains {
                            contains((one, left.case), (other, right.case))
                        } else {
                            pair((one, left.case), (other, right.case))
                                .is_some_and(|o| order.holds(o))
                        };
                        holds != *all
                    })
                });
                if *all { seen && !stopped } else { stopped }
            }
            Self::Contains { left, needle, all } => left.test(event, *all, |value| {
                if left.case == Case::AsIs {
                    bytes_of(value).is_some_and(|bytes| needle.find(bytes).is_some())
                } else {
                    let needle = Val::Bytes(needle.needle());
                    contains((value, left.case), (needle, Case::AsIs))
                }
            }),
            Self::Matches { left, regex, all } => left.test(event, *all, |value| {
                bytes_of(value).is_some_and(|bytes| regex.is_match(bytes))
            }),
            Self::In { left, set, all } => left.test(event, *all, |value| {
                set.iter().any(|(first, last)| {
                    let is = |literal, order: Order| {
                        compare(value, left.case, literal).is_some_and(|o| order.holds(o))
                    };
                    match last {
                        None => is(first, Order::Equal),
                        Some(last) => {
                            is(first, Order::GreaterOrEqual) && is(last, Order::LessOrEqual)
                        }
                    }
                })
            }),
        }
    }
}

/// How a value stands to what was written. An address is compared under the mask of the written prefix.
fn compare(value: Val<'_>, case: Case, literal: &Literal) -> Option<Ordering> {
    match (value, literal) {
        (Val::Number(n), Literal::Number(m)) => Some(n.cmp(m)),
        (Val::Nanos(n), Literal::Nanos(m)) => Some(n.cmp(m)),
        (Val::V4(a), Literal::V4(b, mask)) => Some((a & mask).cmp(b)),
        (Val::V6(a), Literal::V6(b, mask)) => Some((a & mask).cmp(b)),
        (value, Literal::Text(text)) => pair((value, case), (Val::Text(text), Case::AsIs)),
        (value, Literal::Bytes(bytes)) => pair((value, case), (Val::Bytes(bytes), Case::AsIs)),
        _ => None,
    }
}

/// How two values stand to each other. Of rows of bytes the shorter is the lesser; text is ordered as in a dictionary.
fn pair((one, lower): (Val<'_>, Case), (other, upper): (Val<'_>, Case)) -> Option<Ordering> {
    match (one, other) {
        (Val::Number(a), Val::Number(b)) => Some(a.cmp(&b)),
        (Val::Nanos(a), Val::Nanos(b)) => Some(a.cmp(&b)),
        (Val::V4(a), Val::V4(b)) => Some(a.cmp(&b)),
        (Val::V6(a), Val::V6(b)) => Some(a.cmp(&b)),
        _ => {
            let (a, b) = (bytes_of(one)?, bytes_of(other)?);
            let letters = || {
                let a = a.iter().map(|byte| lower.of(*byte));
                a.cmp(b.iter().map(|byte| upper.of(*byte)))
            };
            Some(match (one, other) {
                (Val::Text(_), _) | (_, Val::Text(_)) => letters(),
                _ => a.len().cmp(&b.len()).then_with(letters),
            })
        }
    }
}

fn contains((one, case): (Val<'_>, Case), (other, other_case): (Val<'_>, Case)) -> bool {
    let (Some(hay), Some(needle)) = (bytes_of(one), bytes_of(other)) else {
        return false;
    };
    if case == Case::AsIs && other_case == Case::AsIs {
        return memmem::find(hay, needle).is_some();
    }
    let fits = |window: &[u8]| {
        let mut pairs = window.iter().zip(needle);
        pairs.all(|(a, b)| case.of(*a) == other_case.of(*b))
    };
    needle.is_empty() || hay.windows(needle.len()).any(fits)
}

fn bytes_of(value: Val<'_>) -> Option<&[u8]> {
    match value {
        Val::Bytes(bytes) | Val::Text(bytes) => Some(bytes),
        _ => None,
    }
}
