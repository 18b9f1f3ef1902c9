//! The arguments of `layerwise demo`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::duration;
use super::output::Output;

/// The demonstration.
#[derive(Debug, Args)]
pub struct Demo {
    /// What A says, one message each; B answers each
    #[arg(value_name = "MESSAGE", default_value = "hi")]
    pub messages: Vec<String>,
    /// What B answers
    #[arg(long, value_name = "TEXT")]
    pub reply: Option<String>,
    /// Whose TCP/IP carries it
    #[arg(long, value_enum, value_name = "WIRE")]
    pub wire: Option<Wire>,
    /// memory: a number that all that is random comes from: the same seed, the same packets; tun: what --fault leaves to
    /// chance, and nothing else [default: 1]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// The most bytes an IP packet may have
    #[arg(long, value_name = "BYTES", default_value_t = 1500)]
    pub mtu: u32,
    /// memory, tun: how long a packet takes from one host to the other: 5ms, 250us, 1.5s [default: 5ms]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub latency: Option<Duration>,
    /// tun, loopback: where packets begin; over ethernet, the hosts of tun find each other by ARP [default: ip]
    #[arg(long, value_enum, value_name = "LINK")]
    pub link: Option<Link>,
    /// tun: so many routers stand between A and B [default: 0]
    #[arg(long, value_name = "N")]
    pub hops: Option<usize>,
    /// memory, tun: do something to packets on their way; several are possible. Without more words, once:
    /// drop, delay 300ms, duplicate, reorder 2, flip chat.text, set ip.ttl 1 stale, swap16, truncate, replay, rst, fin,
    /// random loss 20%; then where EXPR (as with -Y), times N or always, after N
    #[arg(long, value_name = "RULE")]
    pub fault: Vec<String>,
    /// loopback: the server's port [default: 8080]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Show both ends side by side: what A sent and what B got, what was lost, changed, overtaken on the way, TCP's states
    #[arg(long, conflicts_with_all = ["ladder", "plot"])]
    pub sides: bool,
    /// Draw each packet's way in time: arrows that cross, get lost, or come late
    #[arg(long, conflicts_with = "plot")]
    pub ladder: bool,
    /// Plot sequence numbers over time: sent, sent again, lost, acknowledged
    #[arg(long)]
    pub plot: bool,
    /// What else is done with the packets.
    #[command(flatten)]
    pub output: Output,
}

/// The wires there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Wire {
    /// Two TCP/IP stacks in this program: no network, no privilege, the same every time
    #[default]
    Memory,
    /// Linux's own TCP/IP in two network namespaces, this program being the wire between them
    Tun,
    /// Linux's own TCP/IP on lo: client and server on localhost, watched
    Loopback,
}

/// Where packets begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Link {
    /// With their IP header
    #[default]
    Ip,
    /// With their Ethernet header
    Ethernet,
}

impl Default for Demo {
    fn default() -> Self {
        Self {
            messages: vec!["hi".to_owned()],
            reply: None,
            wire: None,
            seed: None,
            mtu: 1500,
            latency: None,
            link: None,
            hops: None,
            fault: Vec::new(),
            port: None,
            sides: false,
            ladder: false,
            plot: false,
            output: Output::default(),
        }
    }
}
