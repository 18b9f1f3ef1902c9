//! The command line: arguments to a plan. It does no work itself.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::text::duration;
use crate::view::paint::{When, Wish};

pub mod capture;
pub mod certs;
pub mod chat;
pub mod demo;
pub mod doctor;
pub mod fields;
pub mod follow;
pub mod lesson;
pub mod output;
pub mod read;

pub use demo::Demo;

/// What the arguments ask for.
#[derive(Debug, Parser)]
#[command(
    name = "layerwise",
    version,
    about = "See a network stack work: two hosts chat over TLS, every packet is caught, opened and explained",
    after_help = "Without a command, layerwise runs the demonstration: host A says \"hi\" to host B."
)]
pub struct Cli {
    /// How it shall look.
    #[command(flatten)]
    pub screen: Screen,
    /// The language of the lessons: en, de; the environment's (LANG) if nothing is said
    #[arg(long, value_name = "LANGUAGE", global = true)]
    pub lang: Option<String>,
    /// Whose TCP/IP carries the demonstration
    #[arg(long, value_enum, value_name = "WIRE")]
    pub wire: Option<demo::Wire>,
    /// What shall be done; the demonstration if nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Two hosts chat over TLS 1.3: in memory, the same every time, or over Linux's own TCP/IP
    Demo(Demo),
    /// Decode a capture file
    Read(read::Read),
    /// What the two ends of a conversation in a capture file said to each other
    Follow(follow::Follow),
    /// Watch an interface: every packet decoded and explained as it passes
    Capture(capture::Capture),
    /// A secure chat that many people use at once
    Chat(chat::Chat),
    /// Make a small certification authority and a certificate for the chat server
    Certs(certs::Certs),
    /// What works on this machine, what does not, why, and what mends it
    Doctor(doctor::Doctor),
    /// Guided lessons: predict, run, observe, explain, on your own packets
    Lesson(lesson::Lesson),
    /// Every key for -Y and -e, a line each: the key, its kind, its name; with -v what it is
    Fields(fields::Fields),
    /// What a field, a layer, a value or an alert means: explain tcp.flags.syn, explain tls, explain alert 20
    Explain {
        /// A key, a layer, a name, or a word and a number; nothing lists what there is
        #[arg(value_name = "WHAT")]
        what: Vec<String>,
    },
}

/// How it shall look.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Screen")]
pub struct Screen {
    /// Show every header, field by field; -vv adds why each is there and where it is specified
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// Show the bytes in hex, lettered by layer
    #[arg(short = 'x', long, global = true)]
    pub hex: bool,
    /// Colours: auto looks at NO_COLOR, CLICOLOR_FORCE and the terminal
    #[arg(long, value_enum, default_value_t = Color::Auto, value_name = "WHEN", global = true)]
    pub color: Color,
    /// Draw with ASCII characters only
    #[arg(long, global = true)]
    pub ascii: bool,
    /// No boxes, no columns: one labelled sentence a line, for screen readers
    #[arg(long, global = true)]
    pub plain: bool,
    /// Columns of the screen, instead of the terminal's own
    #[arg(long, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(72..=500), global = true)]
    pub width: Option<u16>,
}

impl Screen {
    /// As the views understand it.
    #[must_use]
    pub fn wish(&self) -> Wish {
        let color = match self.color {
            Color::Auto => When::Auto,
            Color::Always => When::Always,
            Color::Never => When::Never,
        };
        Wish {
            color,
            ascii: self.ascii,
            plain: self.plain,
            width: self.width.map(usize::from),
        }
    }
}

/// When to use colours.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Color {
    /// What the environment and the terminal say
    Auto,
    /// In any case
    Always,
    /// Never
    Never,
}

/// Reads the arguments.
///
/// # Errors
/// What to print instead, and the exit status: help and version (0), or one line that says what is wrong and how to mend it (2).
pub fn parse(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Cli, (String, u8)> {
    Cli::try_parse_from(arguments).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => (error.to_string(), 0),
        _ => (one_line(&error), 2),
    })
}

/// One line: what is wrong, where, and what to do.
fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let first = text
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let missing = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(missing))
            if error.kind() == ErrorKind::MissingRequiredArgument =>
        {
            format!(" {}", missing.join(", "))
        }
        _ => String::new(),
    };
    let first = format!("{first}{missing}");
    let hint = error.context().find_map(|(kind, value)| {
        let what = match kind {
            ContextKind::SuggestedArg
            | ContextKind::SuggestedSubcommand
            | ContextKind::SuggestedValue => value,
            _ => return None,
        };
        match what {
            ContextValue::String(one) => Some(one.clone()),
            ContextValue::Strings(several) => several.first().cloned(),
            _ => None,
        }
    });
    let allowed = error
        .context()
        .find_map(|(kind, value)| match (kind, value) {
            (ContextKind::ValidValue, ContextValue::Strings(values)) if !values.is_empty() => {
                Some(values.join(", "))
            }
            _ => None,
        });
    match (hint, allowed) {
        (Some(hint), _) => format!(
            "layerwise: {first}; did you mean {hint}? (layerwise --help lists what there is)\n"
        ),
        (None, Some(allowed)) => format!("layerwise: {first}; possible: {allowed}\n"),
        (None, None) => format!("layerwise: {first} (layerwise --help lists what there is)\n"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use std::time::Duration;

    use super::*;

    fn error(arguments: &[&str]) -> String {
        let arguments = std::iter::once("layerwise")
            .chain(arguments.iter().copied())
            .map(Into::into);
        let (text, status) = parse(arguments).unwrap_err();
        assert_eq!(status, 2);
        assert_eq!(text.matches('\n').count(), 1, "one line: {text:?}");
        text
    }

    #[test]
    fn the_arguments_are_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn an_error_is_one_line_that_says_what_and_how_to_mend_it() {
        assert!(error(&["--verbos"]).contains("did you mean --verbose?"));
        assert!(error(&["demo", "--seed", "-1"]).contains("'-1'"));
        assert!(error(&["demo", "--seed", "99999999999999999999"]).contains("--seed"));
        assert!(error(&["demo", "--latency", "soon"]).contains("such as 5ms"));
        assert!(error(&["--color", "red"]).contains("auto, always, never"));
        assert!(error(&["--width", "3"]).contains("72..=500"));
        assert!(error(&["demo", "--force"]).contains("not provided: --write <FILE> ("));
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("5ms"), Ok(Duration::from_millis(5)));
        assert_eq!(duration("250us"), Ok(Duration::from_micros(250)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("7"), Ok(Duration::from_millis(7)));
        assert!(duration("-5ms").is_err() && duration("").is_err() && duration("1e9s").is_err());
    }
}
