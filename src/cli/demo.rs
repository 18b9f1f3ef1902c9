//! The arguments of `layerwise demo`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::chat::long_duration;
use super::duration;
use super::output::Output;

/// The demonstration.
#[derive(Debug, Default, Args)]
pub struct Demo {
    /// What A says, one message each; B answers each [default: hi]
    #[arg(value_name = "MESSAGE")]
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
    /// The most bytes an IP packet may have [default: 1500]
    #[arg(long, value_name = "BYTES")]
    pub mtu: Option<u32>,
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
    /// drop, delay 300ms, duplicate, reorder 2 (behind the next 2, or after 500 ms), flip chat.text, set ip.ttl 1 stale, swap16, truncate, replay, rst, fin,
    /// random loss 20%; then where EXPR (as with -Y), times N or always, after N
    #[arg(long, value_name = "RULE")]
    pub fault: Vec<String>,
    /// The wire gives up after so long: 30m, 90s; on memory that is virtual time [default: tun 10m, memory 24h]
    #[arg(long, value_name = "TIME", value_parser = long_duration)]
    pub max_time: Option<Duration>,
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
    /// What is done to the chat.
    #[command(flatten)]
    pub attack: Attack,
    /// What else is done with the packets.
    #[command(flatten)]
    pub output: Output,
}

/// What is done to the chat, to see which layer notices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Attacks")]
pub struct Attack {
    /// Chat without TLS: everything is in the clear
    #[arg(long)]
    pub no_tls: bool,
    /// Show beside it what somebody on the way learns who has no keys
    #[arg(long)]
    pub eavesdropper: bool,
    /// One message attacked in four ways over TLS, and once without TLS: which layer notices, and what B reads
    #[arg(long)]
    pub tamper: bool,
    /// Somebody on the path ends TLS on both sides, and shows A a certificate of its own, with this fault
    #[arg(long, value_enum, value_name = "FAULT", num_args = 0..=1, default_missing_value = "unknown-issuer")]
    pub mitm: Option<Impostor>,
    /// A takes any certificate (with --mitm: what happens then)
    #[arg(long)]
    pub insecure: bool,
    /// Both allow TLS 1.2, and somebody on the path strikes TLS 1.3 out of A's offer
    /// (offer); wiped: and overwrites the mark by which A would notice
    #[arg(long, value_enum, value_name = "WHAT", num_args = 0..=1, default_missing_value = "offer")]
    pub downgrade: Option<Down>,
    /// How the chat ends: as it should (close), or after A's first message with somebody's forged FIN or RST
    #[arg(long, value_enum, value_name = "HOW")]
    pub end: Option<End>,
    /// This host's program pauses before it reads, so that TCP has to wait
    #[arg(long, value_enum, value_name = "HOST")]
    pub slow_reader: Option<Reader>,
}

/// What is wrong with the certificate of the one in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Impostor {
    /// Right name, right time, from an authority that A has never heard of
    UnknownIssuer,
    /// From an authority that A trusts, for a name that is not B's
    WrongName,
    /// For B's name, from an authority that A trusts, but its time is over
    Expired,
    /// The same, but its time has not come
    NotYetValid,
    /// Nobody else vouches for it
    SelfSigned,
}

/// What is edited to bring TLS 1.2 about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Down {
    /// The versions that A offers
    Offer,
    /// And the mark that B leaves in its answer
    Wiped,
}

/// How the chat ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum End {
    /// With close_notify, then FIN
    Close,
    /// With a FIN that somebody on the path has made
    Fin,
    /// With an RST that somebody on the path has made
    Rst,
}

/// Whose program reads slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
pub enum Reader {
    /// The server's
    B,
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
