//! Secrets that appear while we watch: handshakes wait for theirs.
//!
//! A record can be opened only if its secret is known before the record is decoded; and Wireshark looks for the next secret of
//! a direction when it sees that direction's Finished. Whoever writes the key log writes a secret when it is derived: after
//! the packet of the other side that made it possible, before the writer's own next packet or right after it (OpenSSL derives its
//! own application secret when its Finished is on the way). So a packet of a handshake for which secrets are missing is
//! held back (and all that follow, to keep the order) until
//!
//! - the secrets are there, or
//! - the client has sent something after it: by then it has derived what is missing, the key log was read after that, and none
//!   will come any more; or
//! - [`PATIENCE`] has passed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};

use super::receive::Batch;
use crate::keylog::client_random;
use crate::packet::LinkType;

/// The longest that a packet is held back.
const PATIENCE: Duration = Duration::from_millis(300);

/// So many handshakes are followed at once; if there are more, all are forgotten, and none of them is held back.
const HANDSHAKES: usize = 4096;
/// So many connections' secrets are remembered as known; if there are more, all are forgotten, and may be held back in vain.
const KNOWN: usize = 1 << 20;

/// Which secrets of a connection are known.
mod secret {
    pub(super) const CLIENT_HANDSHAKE: u8 = 1;
    pub(super) const SERVER_HANDSHAKE: u8 = 2;
    pub(super) const CLIENT_TRAFFIC: u8 = 4;
    pub(super) const SERVER_TRAFFIC: u8 = 8;
    pub(super) const HANDSHAKE: u8 = CLIENT_HANDSHAKE | SERVER_HANDSHAKE;
    pub(super) const ALL: u8 = HANDSHAKE | CLIENT_TRAFFIC | SERVER_TRAFFIC;
}

/// Which secrets of which connections are known.
#[derive(Default)]
pub(super) struct Known {
    by_random: HashMap<[u8; 32], u8>,
    /// How many lines named a secret.
    pub(super) secrets: u64,
}

impl Known {
    /// Takes up a line of a key log.
    pub(super) fn line(&mut self, line: &str) {
        if let Some((random, secret)) = named(line) {
            self.secrets += 1;
            if self.by_random.len() >= KNOWN {
                self.by_random.clear();
            }
            *self.by_random.entry(random).or_default() |= secret;
        }
    }

    fn of(&self, random: &[u8; 32]) -> u8 {
        self.by_random.get(random).copied().unwrap_or(0)
    }
}

/// Whose secret a line holds, and which.
fn named(line: &str) -> Option<([u8; 32], u8)> {
    let mut words = line.split_ascii_whitespace();
    let secret = match words.next()? {
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET" => secret::CLIENT_HANDSHAKE,
        "SERVER_HANDSHAKE_TRAFFIC_SECRET" => secret::SERVER_HANDSHAKE,
        "CLIENT_TRAFFIC_SECRET_0" => secret::CLIENT_TRAFFIC,
        "SERVER_TRAFFIC_SECRET_0" => secret::SERVER_TRAFFIC,
        // The one secret of TLS 1.2.
        "CLIENT_RANDOM" => secret::ALL,
        _ => return None,
    };
    Some((client_random(line)?, secret))
}

/// An address and a port.
type End = (IpAddr, u16);

/// A connection: the client, the server.
type Flow = (End, End);

/// The handshakes that are under way.
#[derive(Default)]
pub(super) struct Handshakes {
    flows: HashMap<Flow, Handshake>,
}

struct Handshake {
    random: [u8; 32],
    /// The server has answered: from here on records are sealed.
    answered: bool,
}

/// Decides packet by packet whether the next one waits for secrets.
#[derive(Default)]
pub(super) struct Patience {
    handshakes: Handshakes,
    hold: Option<Hold>,
}

/// The next packet waits for secrets.
struct Hold {
    since: Instant,
    /// Up to here it was looked for an answer.
    seen: usize,
}

impl Patience {
    /// Whether packet `next` of the batch waits; those before it do no longer.
    pub(super) fn must_wait(
        &mut self,
        batch: &Batch,
        next: usize,
        links: &[LinkType],
        known: &Known,
    ) -> bool {
        let Some(arrived) = batch.get(next) else {
            return false;
        };
        let link = |tap: usize| links.get(tap).copied().unwrap_or(LinkType::RAW);
        let waits = self
            .handshakes
            .must_wait(link(arrived.tap), arrived.data, known);
        let Some(packet) = waits else {
            self.hold = None;
            return false;
        };
        let begin = Hold {
            since: Instant::now(),
            seen: next + 1,
        };
        let hold = self.hold.get_or_insert(begin);
        let mut answered = false;
        while let Some(later) = batch.get(hold.seen) {
            answered |= packet.is_answered_by(link(later.tap), later.data);
            hold.seen += 1;
        }
        if answered || hold.since.elapsed() > PATIENCE {
            self.handshakes.give_up(&packet);
            self.hold = None;
            return false;
        }
        true
    }
}

/// A packet that must wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    flow: Flow,
}

impl Handshakes {
    /// Looks at the next packet, in order; whether it must wait for secrets. One that waits is looked at again.
    fn must_wait(&mut self, link: LinkType, data: &[u8], known: &Known) -> Option<Held> {
        let (from, to, payload) = segment(link, data)?;
        if let Some(random) = client_hello(payload) {
            if self.flows.len() >= HANDSHAKES {
                self.flows.clear();
            }
            let answered = false;
            self.flows
                .insert((from, to), Handshake { random, answered });
            return None;
        }
        let (flow, from_client) = [((from, to), true), ((to, from), false)]
            .into_iter()
            .find(|(flow, _)| self.flows.contains_key(flow))?;
        let handshake = self.flows.get_mut(&flow)?;
        handshake.answered |= !from_client && is_handshake(payload, 2);
        if !handshake.answered {
            return None;
        }
        let known = known.of(&handshake.random);
        if known == secret::ALL {
            self.flows.remove(&flow);
            return None;
        }
        // The server's flight needs the first two secrets, in either direction; what the client sends then, its own, too,
        // and it is the last packet before the others are needed.
        let needed = if from_client {
            secret::ALL
        } else {
            secret::HANDSHAKE
        };
        (known & needed != needed).then_some(Held { flow })
    }

    /// Its secrets will not come.
    fn give_up(&mut self, held: &Held) {
        self.flows.remove(&held.flow);
    }
}

impl Held {
    /// Whether the client has gone on with this later packet.
    pub(super) fn is_answered_by(&self, link: LinkType, data: &[u8]) -> bool {
        segment(link, data).map(|(from, to, _)| (from, to)) == Some(self.flow)
    }
}

/// Source, destination and payload of a TCP segment that has one.
fn segment(link: LinkType, data: &[u8]) -> Option<(End, End, &[u8])> {
    let packet = match link {
        LinkType::ETHERNET => LaxSlicedPacket::from_ethernet(data).ok()?,
        LinkType::RAW => LaxSlicedPacket::from_ip(data).ok()?,
        _ => return None,
    };
    let (source, destination): (IpAddr, IpAddr) = match &packet.net? {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            (
                header.source_addr().into(),
                header.destination_addr().into(),
            )
        }
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            (
                header.source_addr().into(),
                header.destination_addr().into(),
            )
        }
        LaxNetSlice::Arp(_) => return None,
    };
    let Some(TransportSlice::Tcp(tcp)) = packet.transport else {
        return None;
    };
    let payload = tcp.payload();
    (!payload.is_empty()).then_some((
        (source, tcp.source_port()),
        (destination, tcp.destination_port()),
        payload,
    ))
}

/// Whether a TLS record begins here with a handshake message of that type (RFC 8446, sections 4 and 5.1).
fn is_handshake(payload: &[u8], kind: u8) -> bool {
    matches!(payload, [22, 3, _, _, _, first, ..] if *first == kind)
}

/// The client random, where a ClientHello begins here: behind the headers of record (5 bytes) and message (4), and the version.
fn client_hello(payload: &[u8]) -> Option<[u8; 32]> {
    if !is_handshake(payload, 1) {
        return None;
    }
    payload.get(11..43)?.try_into().ok()
}
