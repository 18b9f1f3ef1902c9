//! The arguments of `layerwise follow`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// One conversation of a capture file.
#[derive(Debug, Args)]
#[command(after_help = "\
A conversation has a number: tcp.stream, or udp.stream with --udp, counted from 0 in the
order of appearance, the same as in Wireshark. Without a number they are listed; that of
a packet says layerwise read FILE -Y 'tcp.port == 443' -T fields -e tcp.stream.

A is the end that asked to connect (or was seen first), B the other. Where TLS could be
opened, what was said inside is shown; where it could not, what an eavesdropper sees.

Examples:
  layerwise follow chat.pcapng
  layerwise follow chat.pcapng 0 --keylog keys.log
  layerwise follow web.pcapng 3 --raw b > answer.bin")]
pub struct Follow {
    /// A pcap or pcapng file, plain or packed with gzip or zstd; - is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Which conversation; without it they are listed
    #[arg(value_name = "N")]
    pub number: Option<u64>,
    /// N counts conversations over UDP
    #[arg(long)]
    pub udp: bool,
    /// A key log that opens the TLS connections in it (what programs write to SSLKEYLOGFILE); several are possible
    #[arg(long, value_name = "FILE")]
    pub keylog: Vec<PathBuf>,
    /// The TCP stream as it was sent, even where TLS could be opened
    #[arg(long, conflicts_with = "udp")]
    pub stream: bool,
    /// Only the bytes that this end said, as they are
    #[arg(long, value_enum, value_name = "END", requires = "number")]
    pub raw: Option<End>,
}

/// One end of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum End {
    /// The one that asked to connect, or was seen first
    A,
    /// The other
    B,
}
