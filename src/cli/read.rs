//! The arguments of `layerwise read`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::output::Output;

/// Decode a capture file.
#[derive(Debug, Args)]
#[command(
    after_help = "What runs over TCP, UDP and TLS is known by how it begins, on any port; DNS by its port, 53. The chat is looked for on port 8080 and,\nwhere TLS could be opened, on any port: whole lines of text and nothing else are taken for it.\n\nExamples:\n  layerwise read chat.pcapng -v\n  tcpdump -U -w - tcp port 443 | layerwise read - --keylog keys.log"
)]
pub struct Read {
    /// A pcap or pcapng file, plain or packed with gzip or zstd; - is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// A key log that opens the TLS connections in it (what programs write to SSLKEYLOGFILE); several are possible
    #[arg(long, value_name = "FILE")]
    pub keylog: Vec<PathBuf>,
    /// Show nothing before this packet (120) or this time after the first one (1.5s, 300ms)
    #[arg(long, value_name = "PLACE", value_parser = place)]
    pub from: Option<Place>,
    /// Show nothing behind it
    #[arg(long, value_name = "PLACE", value_parser = place)]
    pub to: Option<Place>,
    /// Plot sequence numbers over time of the TCP connection of this number (tcp.stream), instead of showing packets
    #[arg(long, value_name = "N")]
    pub plot: Option<u64>,
    /// What else is done with the packets.
    #[command(flatten)]
    pub output: Output,
}

/// A place in a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A packet, by its number.
    Packet(u64),
    /// So long after the first packet.
    After(Duration),
}

/// A number alone is a packet's; a time has its unit.
fn place(text: &str) -> Result<Place, String> {
    if let Ok(number) = text.parse() {
        return Ok(Place::Packet(number));
    }
    if text.ends_with(|c: char| c.is_ascii_digit()) {
        return Err(
            "give a packet's number, such as 120, or a time with its unit, such as 1.5s".to_owned(),
        );
    }
    super::duration(text).map(Place::After).map_err(|_| {
        "give a packet's number, such as 120, or a time, such as 1.5s or 300ms".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_packet_and_a_unit_makes_a_time() {
        assert_eq!(place("120"), Ok(Place::Packet(120)));
        assert_eq!(place("1.5s"), Ok(Place::After(Duration::from_millis(1500))));
        assert_eq!(place("300ms"), Ok(Place::After(Duration::from_millis(300))));
        for wrong in ["1.5", "", "s", "-3", "-3s", "1h"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }
}
