//! Packets on a screen as they come, from whatever source: a file, an interface, a wire.
//!
//! Every command that shows packets one after the other goes through [`Show`], so that an option means the same
//! everywhere.

use core::fmt;

use crate::cli;
use crate::cli::output::Format;
use crate::filter::key::Key;
use crate::filter::{Filter, FilterError};
use crate::packet::{Event, Interest, Time};
use crate::text::Glossary;
use crate::view::detail::{Depth, Detail};
use crate::view::fields::{Columns, NoSuchKey, Style};
use crate::view::json::Json;
use crate::view::line::Lines;
use crate::view::paint::Out;
use crate::view::words::Hosts;

/// When so much has been written into the buffer, it is handed on even if more packets wait. With what is read and what is
/// remembered beside it, it stays in the processor's own memory.
pub const BATCH: usize = 64 << 10;

/// Where a line that a terminal has no room for goes on: behind the number and the time.
const INDENT: usize = 19;

/// Why packets cannot be shown in the way that was asked for: something to be mended on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShowError {
    /// The expression of `-Y`.
    Filter(FilterError),
    /// A key of `-e`.
    Key(NoSuchKey),
    /// An option of `-E`.
    Option(String),
    /// Options that do not go together, and what to do.
    Together(&'static str),
}

impl fmt::Display for ShowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filter(error) => write!(f, "-Y: {error}"),
            Self::Key(error) => write!(f, "-e: {error}"),
            Self::Option(error) => write!(f, "-E: {error}"),
            Self::Together(what) => f.write_str(what),
        }
    }
}

impl core::error::Error for ShowError {}

/// Which packets are shown: the expression of `-Y`, read once.
#[derive(Debug, Default)]
pub struct Pick(Option<Filter>);

impl Pick {
    /// As the options ask for.
    ///
    /// # Errors
    /// When the expression is wrong.
    pub fn new(output: &cli::output::Output) -> Result<Self, ShowError> {
        let filter = output.filter.as_deref().map(Filter::parse);
        Ok(Self(filter.transpose().map_err(ShowError::Filter)?))
    }

    /// Whether an expression was given.
    #[must_use]
    pub fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// Which fields of a packet are looked at if nothing is shown of it but these columns.
    #[must_use]
    pub fn interest(&self, columns: &[String]) -> Interest {
        let columns: Vec<Key> = columns.iter().filter_map(|key| Key::find(key)).collect();
        Interest::only(|def| {
            columns.iter().any(|key| key.reads(def))
                || self.0.as_ref().is_some_and(|filter| filter.reads(def))
        })
    }

    /// Whether a packet is one of them.
    #[inline]
    #[must_use]
    pub fn takes(&self, event: &Event<'_>) -> bool {
        self.0.as_ref().is_none_or(|filter| filter.matches(event))
    }
}

/// Packets as lines for programs: `-T fields` and `-T json`.
#[derive(Debug)]
pub enum Machine<'g> {
    /// Columns.
    Fields(Columns),
    /// Objects.
    Json(Box<Json<'g>>),
}

impl<'g> Machine<'g> {
    /// What the options ask for; `None` where packets are shown to people.
    ///
    /// # Errors
    /// When a key or an option is not there, or something is missing.
    pub fn new(
        glossary: &'g Glossary,
        screen: &cli::Screen,
        output: &cli::output::Output,
    ) -> Result<Option<Self>, ShowError> {
        if output.format != Format::Fields
            && !(output.fields.is_empty() && output.field_options.is_empty())
        {
            return Err(ShowError::Together(
                "-e and -E choose the columns of -T fields: add -T fields, or leave them out",
            ));
        }
        match output.format {
            Format::Text => Ok(None),
            Format::Fields if output.fields.is_empty() => Err(ShowError::Together(
                "-T fields needs -e KEY, once for each column, such as -e ip.src -e tcp.len",
            )),
            Format::Fields => {
                let mut style = Style::default();
                for option in &output.field_options {
                    style.set(option).map_err(ShowError::Option)?;
                }
                let columns = Columns::new(&output.fields, style).map_err(ShowError::Key)?;
                Ok(Some(Self::Fields(columns)))
            }
            Format::Json => {
                let words = (screen.verbose > 0).then_some(glossary);
                Ok(Some(Self::Json(Box::new(Json::new(words)))))
            }
        }
    }

    /// What stands before the first packet.
    pub fn begin(&self, out: &mut Out) {
        if let Self::Fields(columns) = self {
            columns.header(out.raw());
        }
    }

    /// One packet's line.
    #[inline]
    pub fn packet(&mut self, out: &mut Out, event: &Event<'_>) {
        match self {
            Self::Fields(columns) => columns.line(event, out.raw()),
            Self::Json(json) => json.packet(event, out.raw()),
        }
    }
}

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
    machine: Option<Machine<'g>>,
}

impl<'g> Show<'g> {
    /// For people, as these options ask for, with these names for hosts.
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
            machine: None,
        }
    }

    /// Counts times from here on, even if that packet is not shown. What was said first holds.
    pub fn count_from(&mut self, origin: Time) {
        self.origin.get_or_insert(origin);
        self.lines.begin(origin);
    }

    /// For programs, if these options ask for it.
    ///
    /// # Errors
    /// When something that was asked for is not there.
    pub fn written_as(
        mut self,
        screen: &cli::Screen,
        output: &cli::output::Output,
    ) -> Result<Self, ShowError> {
        self.machine = Machine::new(self.glossary, screen, output)?;
        Ok(self)
    }

    /// Whether each packet is shown in detail, not in one line.
    #[must_use]
    pub fn in_detail(&self) -> bool {
        self.depth != Depth::Bytes || self.hex
    }

    /// Whether a program reads it: then nothing but the packets is written.
    #[must_use]
    pub fn for_programs(&self) -> bool {
        self.machine.is_some()
    }

    /// What stands before the first packet.
    pub fn begin(&self, out: &mut Out) {
        if let Some(machine) = &self.machine {
            machine.begin(out);
        }
    }

    /// Shows one packet.
    pub fn packet(&mut self, out: &mut Out, event: &Event<'_>) {
        if let Some(machine) = &mut self.machine {
            return machine.packet(out, event);
        }
        if !self.in_detail() {
            let mark = out.mark();
            self.lines.packet(out, self.glossary, &self.hosts, event);
            return out.fit_since(mark, INDENT);
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
