//! What every command that shows packets can also do with them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// How many packets, and where else they go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Packets")]
pub struct Output {
    /// Stop after so many packets; with -Y, after so many of which it is true
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Also write the packets to a capture file, each with a comment that says what it does: pcapng, or pcap if it is so
    /// named; - is standard output, which then holds nothing else
    #[arg(short, long, value_name = "FILE")]
    pub write: Option<PathBuf>,
    /// Put the TLS secrets into that file, so that Wireshark decrypts it; so can whoever gets it
    #[arg(long, requires = "write")]
    pub with_secrets: bool,
    /// Replace that file if it exists
    #[arg(long, requires = "write")]
    pub force: bool,
    /// Only packets of which this is true, in the language of Wireshark's display filters: tcp.port == 443 && tls
    #[arg(short = 'Y', long = "filter", value_name = "EXPR")]
    pub filter: Option<String>,
    /// How packets are written: text for people, fields or json for programs
    #[arg(short = 'T', long = "format", value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    pub format: Format,
    /// With -T fields: a column with the values of this key; layerwise fields lists the keys
    #[arg(short = 'e', long = "field", value_name = "KEY")]
    pub fields: Vec<String>,
    /// With -T fields: separator=, aggregator=/s quote=d occurrence=f header=y, as tshark has them
    #[arg(short = 'E', long = "field-option", value_name = "NAME=VALUE")]
    pub field_options: Vec<String>,
}

/// How packets are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// A line a packet, a column a key
    Fields,
    /// An object a packet, each on a line
    Json,
}

impl Output {
    /// Whether a program reads what is written of the packets: then nothing else stands on standard output.
    #[must_use]
    pub fn for_programs(&self) -> bool {
        self.format != Format::Text || self.takes_stdout()
    }

    /// Whether standard output is taken by a capture file.
    #[must_use]
    pub fn takes_stdout(&self) -> bool {
        self.write
            .as_ref()
            .is_some_and(|path| path.as_os_str() == "-")
    }
}
