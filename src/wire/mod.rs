//! Wires: what carries the IP packets of a chat between host A and host B, and shows every one of them.
//!
//! All wires play the same [`Script`] with the same [`crate::chat::Peer`]s and give the same stream of [`Seen`]; they
//! differ in whose TCP/IP it is. A wire is an iterator over `Result<Seen, WireError>`; after an error it is at its end.
//!
//! - [`memory`]: two stacks in this process and a virtual clock. Runs anywhere, the same every time.
//! - `tun` (Linux): the kernel's own TCP/IP in two network namespaces, this program being the wire between them.
//! - `loopback` (Linux): the kernel's own TCP/IP on `lo`, watched.
//!
//! [`fault`] rules wrap the first two, and so does [`mitm`], somebody in the middle; none of them can be put on an interface
//! that this program has not made.

pub mod fault;
#[cfg(target_os = "linux")]
mod ground;
#[cfg(target_os = "linux")]
mod kernel;
#[cfg(target_os = "linux")]
pub mod loopback;
pub mod memory;
pub mod mitm;
#[cfg(target_os = "linux")]
mod netlink;
#[cfg(target_os = "linux")]
pub mod refusal;
#[cfg(target_os = "linux")]
mod relay;
#[cfg(target_os = "linux")]
mod router;
mod stack;
#[cfg(target_os = "linux")]
pub mod tun;

use core::fmt;
use core::time::Duration;
use std::net::Ipv4Addr;

use crate::certs::CertError;
use crate::chat::{ChatError, ChatEvent, Limits, Line};
use crate::layers::tcp_info::TcpInfo;
use crate::packet::{LinkType, Time};

/// The TCP port B listens on.
pub const PORT: u16 = 8080;

/// The most routers between two hosts.
pub const MAX_HOPS: usize = 30;

/// Two hosts that forged segments have put out of step may talk to each other for ever. When nothing new has come of it for
/// so long, the wire ends.
const OUT_OF_STEP: Duration = Duration::from_secs(15);

/// Bytes of an Ethernet header: destination, source, type.
const ETHERNET_HEADER: usize = 14;

/// The name A knows B by, and that B's certificate is for.
pub const SERVER_NAME: &str = "b.example";

/// One of the two hosts. A connects and speaks first, B listens and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Host {
    /// The client, 1.2.3.4.
    A,
    /// The server, 5.6.7.8.
    B,
}

impl Host {
    /// Its IPv4 address.
    #[must_use]
    pub fn address(self) -> Ipv4Addr {
        match self {
            Self::A => Ipv4Addr::new(1, 2, 3, 4),
            Self::B => Ipv4Addr::new(5, 6, 7, 8),
        }
    }

    /// The host at the other end.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

/// Who says what: A says the first message, B answers it, A says the next; after the last answer A says goodbye, then B.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// What A says, in this order. Each is a line of at most 1 MiB without a newline; it may be empty.
    pub messages: Vec<String>,
    /// What B answers to each message.
    pub reply: String,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            messages: vec!["hi".to_owned()],
            reply: "hello".to_owned(),
        }
    }
}

impl Script {
    /// Whether every text can be said.
    ///
    /// # Errors
    /// [`WireError::Script`], naming the first that cannot.
    pub fn check(&self) -> Result<(), WireError> {
        let messages = (1..).zip(&self.messages);
        let texts = messages.map(|(number, text)| (Some(number), text));
        for (message, text) in texts.chain([(None, &self.reply)]) {
            Limits::default()
                .check(text)
                .map_err(|error| WireError::Script { message, error })?;
        }
        Ok(())
    }
}

/// What a host still has to say.
enum Texts {
    /// A: each of these, the next when the last was answered.
    Messages(std::vec::IntoIter<String>),
    /// B: this, to every message.
    Reply(String),
}

/// What the application of a host does about something that it heard.
enum Answer {
    Nothing,
    Say(String),
    Goodbye,
}

impl Texts {
    fn new(host: Host, script: &Script) -> Self {
        match host {
            Host::A => Self::Messages(script.messages.clone().into_iter()),
            Host::B => Self::Reply(script.reply.clone()),
        }
    }

    fn answer(&mut self, event: &ChatEvent) -> Answer {
        let text = match (event, self) {
            (ChatEvent::Goodbye, _) => None,
            (_, Self::Messages(messages)) => messages.next(),
            (ChatEvent::Said(_), Self::Reply(reply)) => Some(reply.clone()),
            (ChatEvent::Secured { .. } | ChatEvent::InClear, Self::Reply(_)) => {
                return Answer::Nothing;
            }
        };
        text.map_or(Answer::Goodbye, Answer::Say)
    }
}

/// A wire at work: all that is to be seen, in the order in which it happened.
pub trait Wire: Iterator<Item = Result<Seen, WireError>> {
    /// Whether `next` would answer at once, without waiting for something to happen.
    fn is_ready(&mut self) -> bool;

    /// How many packets passed that nobody could be shown, because they came faster than they were taken.
    fn unseen(&self) -> u64;

    /// What became of all packets that hosts sent, and of each fault rule; `None` where there are no rules.
    fn faults(&self) -> Option<(fault::Fates, Vec<fault::Report>)> {
        None
    }
}

/// Where a frame begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Link {
    /// With its IP header.
    #[default]
    Ip,
    /// With its Ethernet header.
    Ethernet,
}

impl Link {
    /// The same as a number of pcap's registry.
    #[must_use]
    pub fn link_type(self) -> LinkType {
        match self {
            Self::Ip => LinkType::RAW,
            Self::Ethernet => LinkType::ETHERNET,
        }
    }
}

/// Something a wire shows, in the order in which it happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// A packet was sent.
    Packet(Packet),
    /// A packet that was held back by a fault goes on.
    Released {
        /// Which: the number it was shown with when it was sent.
        id: u64,
        /// When.
        time: Time,
        /// When it arrives.
        arrives: Time,
    },
    /// A TLS secret became known. It comes before the first packet that is protected by it, and each comes once.
    Key {
        /// The host that knew it first.
        host: Host,
        /// When.
        time: Time,
        /// The line for an NSS key log, without its newline.
        line: String,
    },
    /// Something happened in the chat, above TLS.
    Chat {
        /// At which host.
        host: Host,
        /// When.
        time: Time,
        /// What.
        what: Happening,
    },
    /// What the kernel of a host knows about its connection, when something worth showing has changed.
    Kernel {
        /// Whose.
        host: Host,
        /// When.
        time: Time,
        /// What it knows.
        info: TcpInfo,
    },
}

/// A packet on its way, on one link of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Which packet it is, counted from 1: the same on every link that it passes.
    pub id: u64,
    /// The host from whose side it comes: the one that sent it, or a router on this way.
    pub from: Host,
    /// When it was put on this link.
    pub sent: Time,
    /// When it arrives at the end of this link; `None` if it is lost on it.
    pub arrives: Option<Time>,
    /// Where its first byte is the beginning of a header.
    pub link: Link,
    /// Which link it is on, counted from 0 at A. There is more than one only where there are routers between.
    pub hop: usize,
    /// What the kernel of the host that sent it knew just after; `None` on other links, and where nobody can ask.
    pub kernel: Option<TcpInfo>,
    /// The packet, from the first byte of its header, as it goes on.
    pub bytes: Vec<u8>,
    /// The packet as it was sent, if a fault has changed it.
    pub before: Option<Vec<u8>>,
    /// What faults did to it, in this order.
    pub touched: Vec<fault::Touch>,
}

/// What happens in the chat of one host.
#[derive(Debug, Clone, PartialEq)]
pub enum Happening {
    /// TCP is connected.
    Connected,
    /// Its application says a text. Before the packets that carry it.
    Says(String),
    /// Its application says goodbye (close_notify).
    SaysGoodbye,
    /// It heard from the other side: secured, a text, a goodbye.
    Hears(ChatEvent),
    /// TCP has nothing more for it, each host once, after the last that it hears.
    Ended(Ending),
    /// It cannot go on.
    Fails(ChatError),
}

/// How TCP ends, as the application of one host gets to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The other side has ended (FIN), after all that it had to say.
    Fin,
    /// The connection was reset (RST).
    Reset,
    /// TCP gave up: what it sent was never acknowledged.
    TimedOut,
    /// There is no way to the other side: nobody answers for its address.
    Unreachable,
}

impl Happening {
    /// The line that was heard, if that is what happened.
    #[must_use]
    pub fn heard(&self) -> Option<&Line> {
        match self {
            Self::Hears(ChatEvent::Said(line)) => Some(line),
            _ => None,
        }
    }
}

/// Why a wire cannot play a script, or not to its end.
#[derive(Debug, Clone, PartialEq)]
pub enum WireError {
    /// The MTU, in bytes, is outside of what the wire can do.
    Mtu {
        /// What was asked for.
        mtu: usize,
        /// The smallest there is.
        min: usize,
        /// The largest there is.
        max: usize,
    },
    /// The latency is longer than the wire allows.
    Latency {
        /// What was asked for.
        latency: Duration,
        /// The longest there is.
        max: Duration,
    },
    /// A text of the script cannot be said.
    Script {
        /// Which message, counted from 1; `None` for the reply.
        message: Option<usize>,
        /// Why not.
        error: ChatError,
    },
    /// B's certificate could not be made.
    Certificate(CertError),
    /// The chat failed.
    Chat {
        /// At which host it failed first.
        host: Host,
        /// Why.
        error: ChatError,
    },
    /// The TCP/IP of a host refused something.
    Tcp {
        /// At which host.
        host: Host,
        /// What was tried, and what it said.
        what: String,
    },
    /// The chat had not ended within the limit of time or packets.
    TooLong {
        /// How much virtual time had gone by.
        time: Duration,
        /// How many packets there had been.
        packets: u64,
    },
    /// There cannot be so many routers between the hosts.
    Hops {
        /// What was asked for.
        hops: usize,
        /// The most there can be.
        max: usize,
    },
    /// B's port is taken.
    PortTaken {
        /// Which.
        port: u16,
    },
    /// The system refuses what the wire needs.
    #[cfg(target_os = "linux")]
    Refused {
        /// What it refuses.
        refusal: refusal::Refusal,
        /// What was tried instead, and refused, too.
        instead: Option<refusal::Refusal>,
    },
    /// The network failed while it was in use.
    Network {
        /// What was tried, and what the system said.
        what: String,
    },
    /// Nothing can happen any more, but the chat has not ended.
    Stalled {
        /// After how long.
        time: Duration,
        /// The rules that were carried out, counted from 1.
        rules: Vec<usize>,
    },
    /// Packets still pass, but nothing new comes of them.
    Vain {
        /// When.
        time: Duration,
        /// For how long nothing new had come to either program.
        quiet: Duration,
        /// The rules that were carried out, counted from 1.
        rules: Vec<usize>,
    },
    /// Both programs had said goodbye, but TCP did not come to its end.
    Lingers {
        /// How long after the goodbyes.
        time: Duration,
        /// The rules that were carried out, counted from 1.
        rules: Vec<usize>,
    },
}

impl WireError {
    /// Whether the wire did what it should, and it is the chat that came to no good end: faults and attackers do that.
    #[must_use]
    pub fn is_end_of_chat(&self) -> bool {
        matches!(
            self,
            Self::Chat { .. }
                | Self::TooLong { .. }
                | Self::Stalled { .. }
                | Self::Vain { .. }
                | Self::Lingers { .. }
        )
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mtu { mtu, min, max } => write!(
                f,
                "an MTU of {mtu} bytes is not possible here: choose one from {min} to {max}"
            ),
            Self::Latency { latency, max } => write!(
                f,
                "a latency of {latency:?} is not possible here: choose one from 0 to {max:?}"
            ),
            Self::Script { message, error } => match message {
                Some(number) => write!(f, "message {number} cannot be said: {error}"),
                None => write!(f, "the reply cannot be said: {error}"),
            },
            Self::Certificate(error) => write!(f, "B has no certificate: {error}"),
            Self::Chat { host, error } => write!(f, "the chat failed at {host}: {error}"),
            Self::Tcp { host, what } => write!(f, "TCP failed at {host}: {what}"),
            Self::TooLong { time, packets } => write!(
                f,
                "the chat had not ended after {time:?} and {packets} packets: allow more time or packets, \
                 say less, or choose a smaller latency"
            ),
            Self::Hops { hops, max } => write!(
                f,
                "{hops} routers between the hosts are not possible here: choose a number from 0 to {max}"
            ),
            Self::PortTaken { port } => write!(
                f,
                "port {port} is taken by another program on this machine. See which: ss -ltnp 'sport = :{port}'. \
                 Take another: --port {}",
                port.checked_add(1).unwrap_or(8080)
            ),
            #[cfg(target_os = "linux")]
            Self::Refused { refusal, instead } => {
                write!(f, "{refusal}")?;
                if let Some(instead) = instead {
                    write!(f, ". Instead of it, {instead}")?;
                }
                Ok(())
            }
            Self::Network { what } => write!(f, "the network failed: {what}"),
            Self::Stalled { time, rules } if rules.is_empty() => write!(
                f,
                "the chat has not ended, but after {time:?} nothing happens any more: this is a fault of the program, \
                 please report it with the seed"
            ),
            Self::Stalled { time, rules } => write!(
                f,
                "the chat has stopped: {} after the start nothing happened any more. Faults have done that ({}): each host waits for \
                 what the other will not send",
                Seconds(*time),
                Rules(rules)
            ),
            Self::Vain { time, quiet, rules } => write!(
                f,
                "the wire was ended after {}: for {} packets had passed, and brought nothing new to either program. \
                 Faults have done that ({})",
                Seconds(*time),
                Seconds(*quiet),
                Rules(rules)
            ),
            Self::Lingers { time, rules } => write!(
                f,
                "the wire was ended {} after the goodbyes: both programs had all that was said, but TCP had not come to \
                 its end. Faults have done that ({})",
                Seconds(*time),
                Rules(rules)
            ),
        }
    }
}

/// A time in seconds, to the hundredth.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} s", self.0.as_secs_f64())
    }
}

/// Rules by their numbers.
struct Rules<'r>(&'r [usize]);

impl fmt::Display for Rules<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.len() == 1 { "rule" } else { "rules" })?;
        for (place, rule) in self.0.iter().enumerate() {
            write!(f, "{}{rule}", if place > 0 { ", " } else { " " })?;
        }
        Ok(())
    }
}

impl core::error::Error for WireError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Script { error, .. } | Self::Chat { error, .. } => Some(error),
            Self::Certificate(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(target_os = "linux")]
impl From<refusal::Refusal> for WireError {
    fn from(refusal: refusal::Refusal) -> Self {
        Self::Refused {
            refusal,
            instead: None,
        }
    }
}

impl From<CertError> for WireError {
    fn from(error: CertError) -> Self {
        Self::Certificate(error)
    }
}
