//! The arguments of `layerwise capture`.

use std::path::PathBuf;

use clap::Args;

use super::output::Output;

/// Watch an interface.
#[derive(Debug, Args)]
#[command(after_help = "\
A filter is made of these, and of and, or, not and parentheses:
  tcp  udp  icmp  icmp6  arp  ip  ip6
  host 1.2.3.4          src host ::1          dst host 10.0.0.1
  net 10.0.0.0/8        src net fe80::/10
  port 443              dst port 53           tcp port 8080
  portrange 8000-8099
It works in the kernel: what it leaves out never reaches this program. -Y chooses
among what is left, by everything that was decoded.

Examples:
  sudo layerwise capture -i lo tcp port 8080
  sudo layerwise capture -i lo -w lo.pcapng
  sudo layerwise capture -i lo -w - | tshark -r -")]
pub struct Capture {
    /// The interface to watch, or any for all that are up
    #[arg(short, long, value_name = "NAME")]
    pub interface: Option<String>,
    /// List the interfaces and what they are
    #[arg(short = 'D', long)]
    pub list_interfaces: bool,
    /// So many MiB of packets may wait in the kernel, for each interface, before some are lost
    #[arg(short = 'B', long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub buffer: u32,
    /// Open TLS with the secrets in this key log, which may grow while we read [default: $SSLKEYLOGFILE]
    #[arg(long, value_name = "FILE")]
    pub keylog: Option<PathBuf>,
    /// Only packets that fit, such as: tcp port 443 and host 1.2.3.4
    #[arg(value_name = "FILTER")]
    pub kernel_filter: Vec<String>,
    /// What else is done with the packets.
    #[command(flatten)]
    pub output: Output,
}
