//! What is different in a packet, in words.

use crate::layers::{ipv4, tcp};
use crate::packet::{BufId, Event};
use crate::text::Glossary;
use crate::view::paint::Out;

/// So many places where a packet was changed are told.
const CHANGES_SHOWN: usize = 3;
/// So many bytes of a change are written out.
const CHANGE_BYTES: usize = 4;

/// What is different in a packet: which field, the bytes before and after.
pub(super) fn changes(
    out: &mut Out,
    glossary: &Glossary,
    event: &Event<'_>,
    before: &[u8],
    after: &[u8],
) -> Vec<String> {
    let mut lines = Vec::new();
    if before.len() != after.len() {
        lines.push(out.aside(|out| {
            out.sentence(glossary.say("say.sides.cut"), |out, word| match word {
                "n" => out.number(before.len() as u64),
                _ => out.number(after.len() as u64),
            });
        }));
        return lines;
    }
    let differs = |at: usize| before.get(at) != after.get(at);
    let sums = [&raw const tcp::CHECKSUM, &raw const ipv4::CHECKSUM];
    let (mut at, mut places, mut summed) = (0, 0, false);
    while at < after.len() {
        if !differs(at) {
            at += 1;
            continue;
        }
        let covers = |index: &usize| {
            let field = event.fields.get(*index);
            field.is_some_and(|f| f.buf == BufId::FRAME && f.bits > 0 && f.bytes().contains(&at))
                && event.is_leaf(*index)
        };
        let index = (0..event.fields.len()).rev().find(covers);
        let field = index.and_then(|index| event.fields.get(index));
        let whole = field.map_or(at..after.len(), crate::packet::Field::bytes);
        let end = (at..whole.end)
            .find(|at| !differs(*at))
            .unwrap_or(whole.end);
        if field.is_some_and(|f| sums.iter().any(|sum| core::ptr::eq(f.def, *sum))) {
            summed = true;
            at = whole.end;
            continue;
        }
        places += 1;
        if places <= CHANGES_SHOWN {
            let small = whole.len() <= CHANGE_BYTES;
            let shown = if small {
                whole.clone()
            } else {
                at..end.min(at + CHANGE_BYTES)
            };
            let key = if small && field.is_some() {
                "say.sides.changed"
            } else {
                "say.sides.changed_at"
            };
            lines.push(out.aside(|out| {
                out.sentence(glossary.say(key), |out, word| match word {
                    "key" => out.text(field.map_or("?", |field| field.def.key)),
                    "at" => out.number(at as u64),
                    "before" => out.hex_bytes(before.get(shown.clone()).unwrap_or(&[])),
                    _ => out.hex_bytes(after.get(shown.clone()).unwrap_or(&[])),
                });
            }));
            at = if small { whole.end } else { end };
        } else {
            at = end;
        }
    }
    if places > CHANGES_SHOWN {
        lines.push(out.aside(|out| {
            out.sentence(glossary.say("say.sides.changed_more"), |out, _| {
                out.number((places - CHANGES_SHOWN) as u64);
            });
        }));
    }
    if summed && places > 0 {
        lines.push(glossary.say("say.sides.sums").to_owned());
    } else if summed {
        lines.push(glossary.say("say.sides.sums_alone").to_owned());
    }
    lines
}
