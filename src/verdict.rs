//! What came of a fault: what the receiver's stack did, which layer noticed and how, what cured it, what the chat saw.
//!
//! ```text
//! Seen, and each packet decoded ──▶ Tracer ──▶ Remark: a consequence, at the packet where it shows
//!                                     │
//!                                     └─ at the end: Verdict, one for each packet that was touched; Tally, for each rule
//! ```
//!
//! A [`Tracer`] stands on the wire: it sees each packet as it was sent and as it goes on, and when that arrives. It
//! checks what arrives in the order in which a host does (IP, TCP), and follows sequence numbers; but what a host did it
//! believes by its acknowledgments, and what an application read by what the application says. Where the two do not tell,
//! the verdict does not either. No clock, no thread.

pub(crate) mod segment;
pub(crate) mod side;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests;
mod trace;

use std::collections::BTreeMap;

use crate::chat::ChatError;
use crate::packet::Time;
use crate::wire::Host;
use crate::wire::fault::Touch;
pub use trace::Tracer;

/// What came of one packet that a fault touched.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The packet's number.
    pub packet: u64,
    /// From whose side it came.
    pub from: Host,
    /// What was done to it, in this order; never empty.
    pub touched: Vec<Touch>,
    /// What the receiver's stack did with it.
    pub reaction: Reaction,
    /// Who noticed, and by what.
    pub caught: Caught,
    /// What made it good.
    pub cure: Cure,
    /// What the chat saw of it.
    pub effect: Effect,
}

/// What the receiver's stack did with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reaction {
    /// Nothing: it never arrived.
    Lost,
    /// Nothing: it was held back to the end.
    Held,
    /// Nothing: it had not arrived when all was over.
    Underway,
    /// Threw it away, by this check.
    Discarded(Check),
    /// Had all of it already: threw it away and repeated its acknowledgment.
    Duplicate,
    /// Threw it away: its sequence number is outside of the window.
    OutOfWindow,
    /// Kept it until what is before it has come.
    Kept,
    /// Did not take it, though nothing seems to be wrong with it; why cannot be seen from outside.
    Refused,
    /// Believed the reset.
    Reset,
    /// Believed the forged end.
    Ended,
    /// Took it as it came.
    Taken,
}

/// A check of IP's or TCP's that a packet did not pass, in the order in which a host checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// It is no IPv4.
    IpVersion,
    /// A length of IP's header says more than there is, or too little.
    IpLength,
    /// IP's header checksum does not fit.
    IpChecksum,
    /// A router on its way had no hop left for it.
    IpTtl,
    /// It is for somebody else.
    IpAddress,
    /// It is said to be a part of a packet whose other parts never come.
    IpFragment,
    /// What it carries is not for TCP.
    IpProtocol,
    /// TCP's header is longer than there is, or shorter than it may be.
    TcpLength,
    /// TCP's checksum does not fit.
    TcpChecksum,
    /// There is no connection with these ports and addresses.
    TcpPort,
    /// It has no ACK where each segment must have one, or a SYN in the middle.
    TcpFlags,
    /// It acknowledges what was never sent.
    TcpAcknowledgment,
}

/// Who noticed a fault, and by what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Caught {
    /// No layer.
    Nobody,
    /// The receiver's IP or TCP, by a check.
    Check(Check),
    /// The sender's TCP: no acknowledgment came.
    NoAcknowledgment,
    /// The sender's TCP: the same acknowledgment came again and again.
    Repeats,
    /// The receiver's TCP, by sequence numbers: it had these already.
    Duplicate,
    /// The receiver's TCP, by sequence numbers: something before it is missing.
    Gap,
    /// The receiver's TCP, by sequence numbers: far from what it expects.
    Window,
    /// The receiver's TCP, in a way that cannot be seen from outside.
    Tcp,
    /// TLS, with this alert (RFC 8446, section 6).
    Alert(u8),
    /// TLS: the end came without close_notify (RFC 8446, section 6.1).
    NoGoodbye,
    /// TLS, without an alert.
    Tls,
    /// The application itself.
    Application,
}

/// The layer that noticed a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// IP.
    Ip,
    /// TCP.
    Tcp,
    /// TLS.
    Tls,
    /// The application.
    Application,
}

/// What made a fault good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cure {
    /// Nothing was missing.
    NotNeeded,
    /// The sender sent it again.
    Retransmission {
        /// The packet that arrived in its place.
        packet: u64,
        /// How long after the packet that was touched it was sent, in nanoseconds.
        after: u64,
        /// Why it was sent.
        why: Why,
    },
    /// A later acknowledgment said the same and more.
    LaterAck {
        /// The packet that had it.
        packet: u64,
    },
    /// It came in the end.
    Itself,
    /// Nothing, as long as the wire ran.
    Never {
        /// How often its sender sent it again in vain; of an acknowledgment, how often the other side asked for it by sending
        /// again what it is about.
        times: u64,
        /// Whether it is an acknowledgment.
        ack: bool,
    },
    /// Nothing.
    Nothing,
}

/// Why a sender sent something again, as far as it can be known on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// A timer ran out: for so many nanoseconds no acknowledgment had come.
    Timeout(u64),
    /// A shorter timer ran out, to find out whether the last segment was lost (RFC 8985, section 7): after so many
    /// nanoseconds. Known only where the kernel tells.
    Probe(u64),
    /// So many duplicate acknowledgments had come: fast retransmit (RFC 5681, section 3.2).
    Duplicates(u32),
    /// Selective acknowledgments said that something is missing (RFC 6675, RFC 8985).
    Sack,
    /// It was on its way to make good an earlier loss.
    Recovery,
}

/// What the chat saw of a fault.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Nothing.
    Nothing,
    /// It had to wait so many nanoseconds longer.
    Late(u64),
    /// Nothing but that TCP's own end came so many nanoseconds later, when the goodbyes were said.
    LateEnd(u64),
    /// Nothing: both programs had all that was said, and what is missing is TCP's own.
    Over,
    /// It read what was not said.
    Wrong {
        /// Who read.
        host: Host,
        /// What the other had said; `None` if nothing (more).
        said: Option<String>,
        /// What it read.
        read: String,
    },
    /// It was over.
    Broke {
        /// For whom first.
        host: Host,
        /// Why.
        error: ChatError,
    },
    /// It never began, or was given up: TCP got nothing through.
    GaveUp {
        /// Whose TCP.
        host: Host,
    },
    /// It ended, and nobody can know whether the other side had wanted that.
    UnprovenEnd {
        /// For whom.
        host: Host,
    },
    /// It never came to its end.
    Unfinished,
}

/// All verdicts about one rule, counted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tally {
    /// The rule's place in the list, from 0 on.
    pub rule: usize,
    /// How many packets it touched.
    pub touched: u64,
    /// How many of them were noticed, by whom.
    pub caught: BTreeMap<Caught, u64>,
    /// How many were cured, by what: by [`Cure::name`].
    pub cured: BTreeMap<&'static str, u64>,
    /// What the chat saw how often: by [`Effect::name`].
    pub effects: BTreeMap<&'static str, u64>,
    /// The longest wait that the chat had, in nanoseconds.
    pub longest: u64,
    /// Packets that were touched but not followed: there were too many.
    pub untraced: u64,
}

/// A consequence of a fault, at the moment in which it shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Remark {
    /// The packet it is shown with.
    pub packet: u64,
    /// When.
    pub time: Time,
    /// The packet that was touched.
    pub about: u64,
    /// The first rule that touched it.
    pub rule: usize,
    /// What happened.
    pub what: Consequence,
}

/// What happened because of a fault.
#[derive(Debug, Clone, PartialEq)]
pub enum Consequence {
    /// A host's stack did something with the packet that was touched.
    Reacted {
        /// Which host.
        host: Host,
        /// What it did.
        how: Reaction,
    },
    /// Its sender sent it again.
    Again {
        /// Who.
        host: Host,
        /// How long after the packet that was touched, in nanoseconds.
        after: u64,
        /// Why.
        why: Why,
    },
    /// A router told its sender that it had no hop left.
    Told {
        /// Whom.
        host: Host,
        /// Whether it was a SYN.
        syn: bool,
    },
    /// TLS raised the alarm.
    Alarm {
        /// Whose.
        host: Host,
        /// The alert.
        alert: u8,
    },
    /// The chat saw something.
    Saw(Effect),
}

impl Check {
    /// Whose check it is.
    #[must_use]
    pub fn layer(self) -> Layer {
        match self {
            Self::IpVersion
            | Self::IpLength
            | Self::IpChecksum
            | Self::IpTtl
            | Self::IpAddress
            | Self::IpFragment
            | Self::IpProtocol => Layer::Ip,
            _ => Layer::Tcp,
        }
    }

    /// A word for it, `layer.what`; the glossary has a sentence under `say.verdict.check.` and this.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::IpVersion => "ip.version",
            Self::IpLength => "ip.length",
            Self::IpChecksum => "ip.checksum",
            Self::IpTtl => "ip.ttl",
            Self::IpAddress => "ip.address",
            Self::IpFragment => "ip.fragment",
            Self::IpProtocol => "ip.protocol",
            Self::TcpLength => "tcp.length",
            Self::TcpChecksum => "tcp.checksum",
            Self::TcpPort => "tcp.port",
            Self::TcpFlags => "tcp.flags",
            Self::TcpAcknowledgment => "tcp.acknowledgment",
        }
    }
}

impl Reaction {
    /// A word for it; for [`Reaction::Discarded`] the check's is more to the point.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Held => "held",
            Self::Underway => "underway",
            Self::Discarded(_) => "discarded",
            Self::Duplicate => "duplicate",
            Self::OutOfWindow => "out_of_window",
            Self::Kept => "kept",
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Ended => "ended",
            Self::Taken => "taken",
        }
    }
}

impl Caught {
    /// By which layer; `None` if by nobody.
    #[must_use]
    pub fn layer(self) -> Option<Layer> {
        match self {
            Self::Nobody => None,
            Self::Check(check) => Some(check.layer()),
            Self::NoAcknowledgment
            | Self::Repeats
            | Self::Duplicate
            | Self::Gap
            | Self::Window
            | Self::Tcp => Some(Layer::Tcp),
            Self::Alert(_) | Self::NoGoodbye | Self::Tls => Some(Layer::Tls),
            Self::Application => Some(Layer::Application),
        }
    }

    /// A word for it; of an alert only that there was one.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Check(check) => check.name(),
            Self::NoAcknowledgment => "tcp.no_acknowledgment",
            Self::Repeats => "tcp.repeats",
            Self::Duplicate => "tcp.duplicate",
            Self::Gap => "tcp.gap",
            Self::Window => "tcp.window",
            Self::Tcp => "tcp",
            Self::Alert(_) => "tls.alert",
            Self::NoGoodbye => "tls.no_goodbye",
            Self::Tls => "tls",
            Self::Application => "application",
        }
    }
}

impl Cure {
    /// A word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NotNeeded => "not_needed",
            Self::Retransmission { why, .. } => why.name(),
            Self::LaterAck { .. } => "later_ack",
            Self::Itself => "itself",
            Self::Never { times: 0, .. } => "never",
            Self::Never { ack: false, .. } => "in_vain",
            Self::Never { ack: true, .. } => "asked",
            Self::Nothing => "nothing",
        }
    }
}

impl Why {
    /// A word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Timeout(_) => "timeout",
            Self::Probe(_) => "probe",
            Self::Duplicates(_) => "duplicates",
            Self::Sack => "sack",
            Self::Recovery => "recovery",
        }
    }
}

impl Effect {
    /// A word for it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Late(_) => "late",
            Self::LateEnd(_) => "late_end",
            Self::Over => "over",
            Self::Wrong { .. } => "wrong",
            Self::Broke { .. } => "broke",
            Self::GaveUp { .. } => "gave_up",
            Self::UnprovenEnd { .. } => "unproven_end",
            Self::Unfinished => "unfinished",
        }
    }
}
