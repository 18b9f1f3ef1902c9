//! A packet in one sentence, as a capture file keeps it: what it does, what was done to it on the way, what was noticed,
//! where decoding ended.

use super::paint::{Look, Out, Wish};
use super::sides;
use super::words::{Deed, Hosts};
use crate::layers::tcp;
use crate::packet::{Event, Fact};
use crate::text::Glossary;
use crate::wire::fault::Touch;

/// Makes comments, in a buffer that is used again.
#[derive(Debug)]
pub struct Comments {
    out: Out,
    hosts: Hosts,
}

impl Comments {
    /// With these names for hosts.
    #[must_use]
    pub fn new(hosts: Hosts) -> Self {
        let wish = Wish {
            plain: true,
            width: Some(500),
            ..Wish::default()
        };
        Self {
            out: Out::new(Look::new(wish, false, None)),
            hosts,
        }
    }

    /// The hosts have other names from now on.
    pub fn rename(&mut self, hosts: &Hosts) {
        self.hosts.clone_from(hosts);
    }

    /// The comment about a packet to which this was done, in UTF-8: it holds until the next is asked for.
    pub fn of(&mut self, glossary: &Glossary, event: &Event<'_>, touched: &[Touch]) -> &[u8] {
        let out = &mut self.out;
        out.clear();
        let made = touched.iter().any(|touch| touch.deed.is_made());
        let deed = if made {
            Deed::made_up()
        } else {
            Deed::of(event)
        };
        deed.write(out, glossary, &self.hosts, event);
        for touch in touched {
            out.sentence(glossary.say("say.comment.fault"), |out, _| {
                sides::touched_by(out, glossary, touch);
            });
        }
        for note in event.notes {
            let notable = note.value == Fact::Present
                && note.def.key.starts_with("tcp.analysis.")
                && !core::ptr::eq(note.def, &raw const tcp::ANALYSIS_ACKS_FIN);
            let wrong = note.def.key.ends_with(".status") && note.value == Fact::Uint(0);
            if notable || wrong {
                out.sentence(glossary.say("say.comment.note"), |out, name| match name {
                    "name" => out.text(&glossary.of(note.def).name),
                    "key" => out.text(note.def.key),
                    _ => {
                        let named = note
                            .value
                            .uint()
                            .and_then(|n| glossary.of(note.def).value(n));
                        if let Some(named) = named {
                            out.ascii(b": ");
                            out.text(&named.name);
                        }
                    }
                });
            }
        }
        for stop in event.stops {
            out.sentence(glossary.say("say.comment.stop"), |out, _| {
                out.sentence(glossary.say(stop.why.key()), |out, name| match name {
                    "layer" => {
                        if let Some(layer) = event.layers.get(usize::from(stop.layer)) {
                            out.text(&glossary.of(layer.def).name);
                        }
                    }
                    "field" => out.text(&glossary.of(stop.def).name),
                    "offset" => out.number(stop.offset.into()),
                    "need" => out.number(stop.need.into()),
                    "have" => out.number(stop.have.into()),
                    _ => {}
                });
            });
        }
        out.bytes()
    }
}
