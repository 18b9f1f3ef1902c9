//! Packets on a screen as they come, from whatever source: a file, an interface, a wire.
//!
//! Every command that shows packets one after the other goes through [`Show`], so that an option means the same
//! everywhere.

use crate::cli;
use crate::packet::{Event, Time};
use crate::text::Glossary;
use crate::view::detail::{Depth, Detail};
use crate::view::line::Lines;
use crate::view::paint::Out;
use crate::view::words::Hosts;

/// When so much has been written into the buffer, it is handed on even if more packets wait.
pub const BATCH: usize = 256 << 10;

/// Shows packets in the way that the options ask for.
#[derive(Debug)]
pub struct Show<'g> {
    glossary: &'g Glossary,
    hosts: Hosts,
    lines: Lines,
    depth: Depth,
    hex: bool,
    /// What times are counted from: the first packet's, if nothing else is said.
    origin: Option<Time>,
    detail: Option<Detail<'g>>,
}

impl<'g> Show<'g> {
    /// For these options, with these names for hosts.
    #[must_use]
    pub fn new(glossary: &'g Glossary, screen: &cli::Screen, hosts: Hosts) -> Self {
        Self {
            glossary,
            hosts,
            lines: Lines::default(),
            depth: Depth::of(screen.verbose),
            hex: screen.hex,
            origin: None,
            detail: None,
        }
    }

    /// Counts times from here on, even if that packet is not shown. What was said first holds.
    pub fn begin(&mut self, origin: Time) {
        self.origin.get_or_insert(origin);
        self.lines.begin(origin);
    }

    /// Whether each packet is shown in detail, not in one line.
    #[must_use]
    pub fn in_detail(&self) -> bool {
        self.depth != Depth::Bytes || self.hex
    }

    /// Shows one packet.
    pub fn packet(&mut self, out: &mut Out, event: &Event<'_>) {
        if !self.in_detail() {
            return self.lines.packet(out, self.glossary, &self.hosts, event);
        }
        let (glossary, depth, hex, hosts) = (self.glossary, self.depth, self.hex, &self.hosts);
        let origin = *self.origin.get_or_insert(event.frame.time);
        self.detail
            .get_or_insert_with(|| {
                Detail::new(glossary, depth, hex, origin).in_words(hosts.clone())
            })
            .print(out, event);
    }
}
