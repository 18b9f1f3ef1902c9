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
use crate::wire::{PORT, Seen};

/// Both ends, and what shows them.
pub(super) struct Both<'g> {
    ends: Ends,
    view: View<'g>,
    pick: Pick,
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
    ) -> Result<Option<Self>, DemoError> {
        let (option, view) = if demo.sides {
            ("--sides", View::Sides(Sides::new(glossary)))
        } else if demo.ladder {
            ("--ladder", View::Arrows(Arrows::new(glossary)))
        } else if demo.plot {
            ("--plot", View::Plot(Plot::new(glossary)))
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
        Ok(Some(Self {
            ends: Ends::new(links, port, PORT),
            view,
            pick: Pick::new(&demo.output)?,
        }))
    }

    pub(super) fn begin(&self, out: &mut Out) {
        match &self.view {
            View::Sides(sides) => sides.head(out),
            View::Arrows(arrows) => arrows.head(out),
            View::Plot(_) => {}
        }
    }

    pub(super) fn take(&mut self, out: &mut Out, seen: &Seen) -> Result<(), DemoError> {
        let Self { ends, view, pick } = self;
        ends.take(seen, &mut |moment| tell(view, pick, out, moment))
            .map_err(|error| DemoError::Wire(error.to_string()))
    }

    pub(super) fn end(&mut self, out: &mut Out) {
        let Self { ends, view, pick } = self;
        ends.finish(&mut |moment| tell(view, pick, out, moment));
        match view {
            View::Sides(sides) => sides.end(out, &ends.confirmed()),
            View::Arrows(arrows) => arrows.end(out),
            View::Plot(plot) => plot.end(out),
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
