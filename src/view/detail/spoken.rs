//! Rows for a screen reader, or for whoever wants no drawing: each is a sentence.

use super::{Depth, Detail, Row, name_of, verdict};
use crate::packet::{Event, Fact, Field, Note, Value};
use crate::text::NamedValue;
use crate::view::paint::Out;

impl<'g> Detail<'g> {
    pub(super) fn spoken_field(
        &mut self,
        out: &mut Out,
        event: &Event<'_>,
        field: &Field,
        value: Value<'_>,
        row: Row<'g>,
    ) {
        let template = self.glossary.say("say.detail.spoken.field");
        let mut named = None;
        out.sentence(template, |out, name| match name {
            "name" => {
                if let Some(group) = event.fields.get(field.parent as usize) {
                    out.text(name_of(self.glossary.of(group.def), group.def));
                    out.ascii(b", ");
                }
                out.text(name_of(row.entry, row.def));
            }
            _ => named = self.words.field(out, row.entry, field, value, 60),
        });
        self.spoken_rest(out, row, named);
    }

    pub(super) fn spoken_note(&mut self, out: &mut Out, note: &Note, row: Row<'g>) {
        let key = match note.value {
            Fact::Present => "say.detail.spoken.mark",
            _ => "say.detail.spoken.computed",
        };
        let mut named = None;
        out.sentence(self.glossary.say(key), |out, name| match name {
            "name" => out.text(name_of(row.entry, row.def)),
            _ => match (verdict(note), note.value) {
                (Some(_), Fact::Uint(n)) => {
                    named = row.entry.value(n);
                    match named {
                        Some(named) => out.text(&named.name),
                        None => out.number(n),
                    }
                }
                _ => named = self.words.note(out, row.entry, note, 60),
            },
        });
        self.spoken_rest(out, row, named);
    }

    fn spoken_rest(&mut self, out: &mut Out, row: Row<'g>, named: Option<&'g NamedValue>) {
        let fresh = self.seen.first(row.def);
        let mut say = |text: &str| {
            if !text.is_empty() {
                out.byte(b' ');
                out.text(text);
            }
        };
        say(named.map_or("", |named| &named.text));
        if fresh {
            say(&row.entry.short);
            if self.depth == Depth::Vv {
                say(&row.entry.why);
                say(&row.entry.rfc);
            }
        }
        out.newline();
    }
}
