//! What is said about the capture itself: the interfaces there are, what is watched, what was lost, what there was in all.

use std::io;
use std::time::Duration;

use super::interface::{Form, Interface};
use super::receive::Counts;
use super::work::Sum;
use super::{ANY, WIDE};
use crate::text::Glossary;
use crate::view::paint::{Look, Out, Role, Wish};

/// The list of interfaces: name, up or down, what it is, addresses.
pub(super) fn list(all: &[Interface], glossary: &Glossary, out: &mut Out) {
    let longest = all
        .iter()
        .map(|i| i.name().len())
        .max()
        .unwrap_or(0)
        .max(ANY.len());
    for interface in all {
        out.start(Role::Value);
        name(out, interface.name());
        out.end(Role::Value);
        out.to_column(longest + 2);
        let state = if interface.is_up() {
            "say.capture.up"
        } else {
            "say.capture.is_down"
        };
        out.text(glossary.say(state));
        out.to_column(longest + 8);
        out.sentence(glossary.say(interface.kind), |out, _| {
            out.number(interface.hardware.into());
        });
        if let Some(driver) = &interface.driver {
            out.ascii(b" (");
            out.wire(driver.as_bytes(), 32);
            out.byte(b')');
        }
        for address in &interface.device.ips {
            out.newline();
            out.to_column(longest + 8);
            out.text(&address.to_string());
        }
        out.newline();
    }
    out.start(Role::Value);
    out.text(ANY);
    out.end(Role::Value);
    out.to_column(longest + 8);
    out.text(glossary.say("say.capture.any"));
    out.newline();
}

/// What is said about the capture itself, on standard error.
pub(super) struct Notes<'g> {
    glossary: &'g Glossary,
    out: Out,
}

impl<'g> Notes<'g> {
    pub(super) fn new(glossary: &'g Glossary, wish: Wish) -> Self {
        // Notes have no colours.
        Self {
            glossary,
            out: Out::new(Look::new(wish, false, None)),
        }
    }

    /// A place for words that are said later.
    pub(super) fn aside(&self) -> Out {
        Out::new(self.out.look().clone())
    }

    /// Says them.
    pub(super) fn print(&mut self, mut words: Out) {
        let _ = words.flush_to(&mut io::stderr());
    }

    /// One sentence of the glossary.
    pub(super) fn say(&mut self, key: &str, value: impl FnMut(&mut Out, &str)) {
        self.out.sentence(self.glossary.say(key), value);
        self.out.newline();
        // Nothing better can be done when standard error cannot be written to.
        let _ = self.out.flush_to(&mut io::stderr());
    }

    /// What must be known of the frames of an interface.
    pub(super) fn form(&mut self, interface: &Interface) {
        let key = match interface.form {
            Form::Ethernet => return,
            Form::Ip => "say.capture.ip_alone",
            Form::Bytes => "say.capture.bytes",
        };
        self.say(key, |out, what| match what {
            "number" => out.number(interface.hardware.into()),
            _ => name(out, interface.name()),
        });
    }

    pub(super) fn watching(&mut self, interfaces: &[(&str, &Interface)]) {
        let glossary = self.glossary;
        self.say("say.capture.watching", |out, _| {
            for (index, (called, interface)) in interfaces.iter().enumerate() {
                if index > 0 {
                    out.ascii(b", ");
                }
                name(out, called);
                if interfaces.len() == 1 {
                    out.ascii(b" (");
                    out.sentence(glossary.say(interface.kind), |out, _| {
                        out.number(interface.hardware.into());
                    });
                    out.byte(b')');
                }
            }
        });
    }

    /// So many packets were lost until now, in the kernel and in the queue.
    pub(super) fn lost(&mut self, (kernel, queue): (u64, u64)) {
        let reason = self.glossary.say(match (kernel, queue) {
            (_, 0) => "say.capture.lost.kernel",
            (0, _) => "say.capture.lost.queue",
            _ => "say.capture.lost.both",
        });
        self.say("say.capture.lost", |out, what| match what {
            "number" => out.number(kernel + queue),
            _ => out.text(reason),
        });
    }

    /// What there was in all and how long it was watched, by our count and by those of kernel and queue; and how many secrets
    /// were read, if any were asked for.
    pub(super) fn summary(
        &mut self,
        (sum, picks): (&Sum, bool),
        time: Duration,
        (kernel, queue): (Counts, u64),
        secrets: Option<u64>,
    ) {
        let unshown = kernel
            .packets
            .saturating_sub(kernel.lost + queue + sum.packets);
        let key = match sum.packets {
            1 => "say.capture.sum.one",
            _ => "say.capture.sum",
        };
        self.say(key, |out, what| match what {
            "packets" => out.number(sum.packets),
            "bytes" => out.number(sum.bytes),
            _ => out.seconds(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)),
        });
        if picks {
            let key = match sum.picked {
                0 => "say.capture.sum.none_picked",
                _ => "say.capture.sum.picked",
            };
            self.say(key, |out, _| out.number(sum.picked));
        }
        let lost = match kernel.lost + queue {
            0 => "say.capture.sum.none_lost",
            _ => "say.capture.sum.lost",
        };
        self.say(lost, |out, what| match what {
            "kernel" => out.number(kernel.lost),
            _ => out.number(queue),
        });
        if unshown > 0 {
            self.say("say.capture.sum.unshown", |out, _| out.number(unshown));
        }
        if let Some(secrets) = secrets {
            self.say("say.capture.sum.secrets", |out, what| match what {
                "secrets" => out.number(secrets),
                _ => out.number(sum.opened),
            });
        }
    }
}

/// An interface's name: whoever named it may have put anything into it.
pub(super) fn name(out: &mut Out, name: &str) {
    out.wire(name.as_bytes(), WIDE);
}
