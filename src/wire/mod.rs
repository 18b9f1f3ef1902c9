//! Wires: what carries the IP packets of a chat between host A and host B, and shows every one of them.
//!
//! All wires play the same [`Script`] with the same [`crate::chat::Peer`]s and give the same stream of [`Seen`]; they
//! differ in whose TCP/IP it is. A wire is an iterator over `Result<Seen, WireError>`; after an error it is at its end.

pub mod memory;

use core::fmt;
use core::time::Duration;
use std::net::Ipv4Addr;

use crate::certs::CertError;
use crate::chat::{ChatError, ChatEvent, Limits, Line};
use crate::packet::Time;

/// The TCP port B listens on.
pub const PORT: u16 = 8080;

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

/// Something a wire shows, in the order in which it happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// A packet was sent.
    Packet(Packet),
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
}

/// An IP packet on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The host that sent it.
    pub from: Host,
    /// When it was sent.
    pub sent: Time,
    /// When it arrives at the other host; `None` if it is lost or the wire cannot know.
    pub arrives: Option<Time>,
    /// The packet, from the first byte of its IP header.
    pub bytes: Vec<u8>,
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
    /// It cannot go on.
    Fails(ChatError),
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
    /// Nothing can happen any more, but the chat has not ended.
    Stalled {
        /// When.
        time: Time,
    },
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
            Self::Stalled { time } => write!(
                f,
                "the chat has not ended, but after {} ns nothing happens any more: this is a fault of the program, \
                 please report it with the seed",
                time.0
            ),
        }
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

impl From<CertError> for WireError {
    fn from(error: CertError) -> Self {
        Self::Certificate(error)
    }
}
