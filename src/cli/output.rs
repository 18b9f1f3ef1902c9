//! What every command that shows packets can also do with them.

use std::path::PathBuf;

use clap::Args;

/// How many packets, and where else they go.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Packets")]
pub struct Output {
    /// Stop after so many packets
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
}

impl Output {
    /// Whether standard output is taken by a capture file.
    #[must_use]
    pub fn takes_stdout(&self) -> bool {
        self.write
            .as_ref()
            .is_some_and(|path| path.as_os_str() == "-")
    }
}
