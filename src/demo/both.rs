//! The demonstration seen from both ends: side by side, as a diagram in time, as a plot.

use super::DemoError;
use crate::cli;
use crate::cli::output::Format;
use crate::ends::{Ends, Moment};
use crate::show::Pick;
use crate::text::Glossary;
use crate::view::arrows::Arrows;
use crate::view::paint::Out;
use crate::view::plot::Plot;
use crate::view::sides::Sides;
use crate::wire::{Host, PORT, Seen};

/// Both ends of each connection, and what shows them.
pub(super) struct Both<'g> {
    pairs: Vec<Pair<'g>>,
    pick: Pick,
    started: bool,
}

/// Both ends of a connection.
struct Pair<'g> {
    ends: Ends,
    view: View<'g>,
    /// The link that it is on, where somebody in the middle makes two connections of one, and what the host on it is.
    link: Option<(usize, Host)>,
    /// What it shows after what is before it.
    later: Option<Out>,
}

enum View<'g> {
    Sides(Sides<'g>),
    Arrows(Arrows<'g>),
    Plot(Plot<'g>),
}

impl<'g> Both<'g> {
    /// What the arguments ask for; `None` where the packets are shown one by one, as they are sent.
    pub(super) fn new(
        demo: &cli::Demo,
        screen: &cli::Screen,
        glossary: &'g Glossary,
        (links, port): (usize, u16),
        out: &Out,
    ) -> Result<Option<Self>, DemoError> {
        let option = if demo.sides {
            "--sides"
        } else if demo.ladder {
            "--ladder"
        } else if demo.plot {
            "--plot"
        } else {
            return Ok(None);
        };
        if demo.output.format != Format::Text {
            return Err(DemoError::Usage(format!(
                "{option} is for people: leave out -T, or {option}"
            )));
        }
        if screen.verbose > 0 || screen.hex {
            return Err(DemoError::Usage(format!(
                "{option} shows a line a packet: leave out -v and -x, or {option}"
            )));
        }
        let pair = |names, links, link: Option<(usize, Host)>| Pair {
            ends: Ends::new(links, port, PORT),
            view: if demo.sides {
                View::Sides(Sides::new(glossary).named(names))
            } else if demo.ladder {
                View::Arrows(Arrows::new(glossary).named(names))
            } else {
                View::Plot(Plot::new(glossary).named(names))
            },
            link,
            later: link
                .filter(|(link, _)| *link > 0)
                .map(|_| Out::new(out.look().clone())),
        };
        let pairs = if demo.attack.mitm.is_some() {
            vec![
                pair(["A", "M"], 1, Some((0, Host::A))),
                pair(["M", "B"], 1, Some((1, Host::B))),
            ]
        } else {
            vec![pair(["A", "B"], links, None)]
        };
        let pick = Pick::new(&demo.output)?;
        let started = false;
        Ok(Some(Self {
            pairs,
            pick,
            started,
        }))
    }

    pub(super) fn begin(&mut self, out: &mut Out) {
        for pair in &mut self.pairs {
            if let Some(later) = &mut pair.later {
                later.newline();
            }
            let out = pair.later.as_mut().unwrap_or(out);
            match &pair.view {
                View::Sides(sides) => sides.head(out),
                View::Arrows(arrows) => arrows.head(out),
                View::Plot(_) => {}
            }
        }
    }

    pub(super) fn take(&mut self, out: &mut Out, seen: &Seen) -> Result<(), DemoError> {
        let Self {
            pairs,
            pick,
            started,
        } = self;
        if let (Seen::Packet(packet), false) = (seen, *started) {
            *started = true;
            for pair in &mut *pairs {
                match &mut pair.view {
                    View::Sides(sides) => sides.count_from(packet.sent),
                    View::Arrows(arrows) => arrows.count_from(packet.sent),
                    View::Plot(plot) => plot.count_from(packet.sent),
                }
            }
        }
        for pair in pairs {
            let Pair {
                ends,
                view,
                link,
                later,
            } = pair;
            let mut own = None;
            match (&*link, seen) {
                (Some((link, _)), Seen::Packet(packet)) => {
                    if packet.hop != *link {
                        continue;
                    }
                    let mut packet = packet.clone();
                    packet.hop = 0;
                    own = Some(Seen::Packet(packet));
                }
                (Some((_, at)), Seen::Kernel { host, .. }) if at != host => continue,
                _ => {}
            }
            let out = later.as_mut().unwrap_or(out);
            ends.take(own.as_ref().unwrap_or(seen), &mut |moment| {
                tell(view, pick, out, moment);
            })
            .map_err(|error| DemoError::Wire(error.to_string()))?;
        }
        Ok(())
    }

    pub(super) fn end(&mut self, out: &mut Out) {
        let Self { pairs, pick, .. } = self;
        for pair in pairs {
            let own = pair.later.as_mut().unwrap_or(out);
            let (ends, view) = (&mut pair.ends, &mut pair.view);
            ends.finish(&mut |moment| tell(view, pick, own, moment));
            match view {
                View::Sides(sides) => sides.end(own, &ends.confirmed()),
                View::Arrows(arrows) => arrows.end(own),
                View::Plot(plot) => plot.end(own),
            }
            if let Some(later) = &pair.later {
                out.raw().extend_from_slice(later.bytes());
            }
        }
    }
}

fn tell(view: &mut View<'_>, pick: &Pick, out: &mut Out, moment: &Moment<'_>) {
    if moment
        .event
        .as_ref()
        .is_some_and(|event| !pick.takes(event))
    {
        return;
    }
    match view {
        View::Sides(sides) => sides.moment(out, moment),
        View::Arrows(arrows) => arrows.moment(out, moment),
        View::Plot(plot) => plot.moment(moment),
    }
}
