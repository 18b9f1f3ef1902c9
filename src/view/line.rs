//! One packet, one line: for traffic between any hosts, for eyes and for `grep`.
//!
//! ```text
//!   #     seconds  from → to                          what it is  what it does
//!   1    0.000000  127.0.0.1:41234 → 127.0.0.1:8080   SYN  :41234 asks to connect
//! ```
//!
//! In a file or a pipe a line is never broken: what belongs to one packet stays together, for `grep`. On a terminal it goes on
//! in the next line, indented.

use super::paint::{Out, Role};
use super::value;
use super::words::{self, Deed, Hosts};
use crate::packet::{Event, Time};
use crate::text::Glossary;

/// So many columns the label may take.
const LABEL: usize = 40;

/// Prints packets, a line each.
#[derive(Debug, Default)]
pub struct Lines {
    start: Option<Time>,
}

impl Lines {
    /// Counts times from here on, not from the first packet. What was said first holds.
    pub fn begin(&mut self, start: Time) {
        self.start.get_or_insert(start);
    }

    /// One packet's line; times are counted from the first packet.
    pub fn packet(&mut self, out: &mut Out, glossary: &Glossary, hosts: &Hosts, event: &Event<'_>) {
        let start = *self.start.get_or_insert(event.frame.time);
        let since = event.frame.time.since(start);
        if out.look().plain {
            spoken(out, glossary, hosts, event, since);
        } else {
            line(out, glossary, hosts, event, since);
        }
        out.newline();
    }
}

fn line(out: &mut Out, glossary: &Glossary, hosts: &Hosts, event: &Event<'_>, since: u64) {
    let number = event.frame.number;
    out.start(Role::Dim);
    out.spaces(4_usize.saturating_sub(number.max(1).ilog10() as usize));
    out.number(number);
    out.spaces(4_usize.saturating_sub((since / 1_000_000_000).max(1).ilog10() as usize));
    out.seconds(since);
    out.end(Role::Dim);
    out.ascii(b"  ");
    if let Some((from, to)) = words::ends(event) {
        let ports = words::ports(event);
        value::address(out, from, ports.0);
        out.byte(b' ');
        out.glyph(out.glyphs().right);
        out.byte(b' ');
        value::address(out, to, ports.1);
        out.ascii(b"  ");
    }
    let role = event
        .layers
        .last()
        .map_or(Role::Data, |layer| Role::of_layer(layer.def.key));
    out.start(role);
    words::label(out, glossary, event, LABEL);
    out.end(role);
    out.ascii(b"  ");
    Deed::of(event).write(out, glossary, hosts, event);
}

fn spoken(out: &mut Out, glossary: &Glossary, hosts: &Hosts, event: &Event<'_>, since: u64) {
    let (ends, ports) = (words::ends(event), words::ports(event));
    out.sentence(glossary.say("say.line.plain"), |out, name| match name {
        "number" => out.number(event.frame.number),
        "seconds" => out.seconds(since),
        "from" | "to" => {
            let (host, port) = match name {
                "from" => (ends.map(|ends| ends.0), ports.0),
                _ => (ends.map(|ends| ends.1), ports.1),
            };
            match host {
                Some(host) => value::address(out, host, port),
                None => out.byte(b'?'),
            }
        }
        "bytes" => out.number(u64::from(event.frame.wire_len)),
        "label" => words::label(out, glossary, event, 60),
        "sentence" => Deed::of(event).write(out, glossary, hosts, event),
        _ => {}
    });
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests {
    use super::*;
    use crate::packet::{Frame, LinkType};
    use crate::session::Session;
    use crate::view::paint::{Look, Wish};

    fn shown(wish: Wish, ends: [[u8; 4]; 2]) -> String {
        let glossary = Glossary::english().unwrap();
        let mut out = Out::new(Look::new(wish, false, None));
        let (mut session, mut lines) = (Session::new(), Lines::default());
        for (number, from) in [(1, 0), (2, 1)] {
            let ports = [41234, 8080];
            let build = etherparse::PacketBuilder::ipv4(ends[from], ends[1 - from], 64).tcp(
                ports[from],
                ports[1 - from],
                7,
                65_535,
            );
            let build = if from == 0 {
                build.syn()
            } else {
                build.syn().ack(8)
            };
            let mut data = Vec::new();
            build.write(&mut data, &[]).unwrap();
            let event = session.push(Frame {
                number,
                time: Time(1_000_000_000 * number + 2_500 * number),
                link: LinkType::RAW,
                wire_len: data.len() as u32,
                data: &data,
            });
            lines.packet(&mut out, &glossary, &Hosts::default(), &event);
        }
        String::from_utf8(out.bytes().to_vec()).unwrap()
    }

    #[test]
    fn a_line_names_both_ends_and_what_happens() {
        assert_eq!(
            shown(Wish::default(), [[1, 2, 3, 4], [5, 6, 7, 8]]),
            "    1    0.000000  1.2.3.4:41234 → 5.6.7.8:8080  SYN  1.2.3.4 asks to connect\n    \
             2    1.000002  5.6.7.8:8080 → 1.2.3.4:41234  SYN ACK  5.6.7.8 agrees, and asks back\n"
        );
    }

    #[test]
    fn where_both_ends_are_one_host_the_ports_tell_them_apart() {
        let text = shown(Wish::default(), [[127, 0, 0, 1]; 2]);
        assert!(
            text.contains("127.0.0.1:8080  SYN  :41234 asks to connect\n"),
            "{text}"
        );
    }

    #[test]
    fn plain_is_a_sentence() {
        let wish = Wish {
            plain: true,
            ..Wish::default()
        };
        let text = shown(wish, [[1, 2, 3, 4], [5, 6, 7, 8]]);
        assert!(
            text.starts_with("Packet 1, at 0.000000 seconds, from 1.2.3.4:41234 to 5.6.7.8:8080, 40 bytes, SYN: 1.2.3.4 asks to connect.\n"),
            "{text}"
        );
    }
}
