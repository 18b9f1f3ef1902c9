//! The arguments of `layerwise lesson`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

/// Guided lessons.
#[derive(Debug, Args)]
pub struct Lesson {
    /// What shall be done; goes on where you left off if nothing is said
    #[command(subcommand)]
    pub command: Option<LessonCommand>,
    /// Where progress is kept, instead of the usual folder
    #[arg(long, value_name = "DIR", global = true)]
    pub state: Option<PathBuf>,
    /// A folder of lessons to use instead of those in the program
    #[arg(long, value_name = "DIR", global = true)]
    pub lessons: Option<PathBuf>,
    /// Whose TCP/IP plays the lesson: memory, or tun where the lesson is for it; what was begun goes on as it was begun
    #[arg(
        id = "lesson-wire",
        long = "wire",
        value_enum,
        value_name = "WIRE",
        global = true
    )]
    pub wire: Option<Wire>,
    /// Your own number: it varies sequence numbers, messages and which packet is lost
    #[arg(long, value_name = "N", global = true)]
    pub seed: Option<u64>,
    /// Your name, for the report
    #[arg(long, value_name = "NAME", global = true)]
    pub name: Option<String>,
}

/// Whose TCP/IP plays a lesson.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Wire {
    /// Two TCP/IP stacks in this program: no network, no privilege, the same every time
    #[default]
    Memory,
    /// Linux's own TCP/IP in two network namespaces, this program being the wire between them
    Tun,
}

/// What can be done with lessons.
#[derive(Debug, Subcommand)]
pub enum LessonCommand {
    /// All lessons, and how far you are
    List,
    /// Begin a lesson, or go on with it
    Start {
        /// Its number or name; the first that is not done if nothing is said
        #[arg(value_name = "N|NAME")]
        which: Option<String>,
    },
    /// Go on with the first lesson that is not done
    Next,
    /// The next hint for the question you are at
    Hint,
    /// Begin the lesson you were at anew
    Again,
    /// Forget what was done in a lesson, or in all of them
    Reset {
        /// A lesson's number or name, or all; the lesson you were at if nothing is said
        #[arg(value_name = "N|NAME|all")]
        which: Option<String>,
    },
    /// What you predicted, tried and reached
    Report {
        /// As text, as JSON, or as a page to hand in
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
        /// A file to write it to, instead of the screen
        #[arg(short = 'o', long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Check the reports of a class by playing them again, and put them into a table
    Grade {
        /// Reports, as JSON or as pages
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
    /// Teach a lesson: one thing at a time, forward and back
    Present {
        /// Its number or name
        #[arg(value_name = "N|NAME")]
        which: String,
    },
    /// The speaker's notes, for a second terminal: they follow the presentation
    Notes {
        /// Its number or name
        #[arg(value_name = "N|NAME")]
        which: String,
        /// All of them at once, and be done
        #[arg(long)]
        all: bool,
    },
    /// For authors
    #[command(subcommand)]
    Dev(Dev),
}

/// For authors of lessons.
#[derive(Debug, Subcommand)]
pub enum Dev {
    /// Make the folder of a new lesson that runs
    New {
        /// The folder, such as lessons/17-my-lesson
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
    },
    /// Prove that every lesson runs, that right answers pass and wrong ones fail, and that no text is missing
    Check,
}

/// What a report is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// To read
    Text,
    /// To grade
    Json,
    /// A page of its own
    Html,
}
