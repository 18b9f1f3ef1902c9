//! The one in the middle: a host on the path that ends TCP and TLS on both sides. To A it is B, with a certificate of its
//! own making; to B it is A. What one says, it reads, and says to the other.
//!
//! ```text
//!  A ══ TLS ══ 5.6.7.8  one in the middle  1.2.3.4 ══ TLS ══ B
//!     link 0                                        link 1
//! ```
//!
//! It sends nothing by itself: a wire of this program's own hands it what comes over its links, and carries what it gives
//! back. There is no way to point it at a real interface.

use std::collections::VecDeque;
#[cfg(target_os = "linux")]
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;

use super::stack::{Refused, Settings, Stack};
use super::{Happening, Host, PORT, SERVER_NAME, WireError};
use crate::certs::{Authority, CertError, Identity, Material, Validity};
#[cfg(target_os = "linux")]
use crate::chat::Setup;
use crate::chat::{ChatError, ChatEvent, KeyLines, Peer};

/// What certificate is shown at B's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Server {
    /// B's own: for its name, valid now, from the authority that A trusts.
    #[default]
    Genuine,
    /// For B's name and valid now, but from an authority that A has never heard of.
    UnknownAuthority,
    /// From the authority that A trusts and valid now, but for another name.
    WrongName,
    /// B's own, but its time is over.
    Expired,
    /// The same, but its time has not come.
    NotYetValid,
    /// For B's name and valid now, but signed by nobody else.
    SelfSigned,
}

/// The name of the authority that A trusts.
pub(super) const AUTHORITY: &str = "Layerwise Demo CA";

/// A name that B does not have.
const OTHER_NAME: &str = "m.example";

/// The certificate of a server, and its key. `names` are B's; `material` gives what keys are made of.
pub(super) fn identity(
    server: Server,
    trusted: &Authority,
    names: &[&str],
    now: OffsetDateTime,
    material: &mut dyn FnMut() -> Result<Material, CertError>,
) -> Result<Identity, CertError> {
    const DAY: time::Duration = time::Duration::DAY;
    let days = |from: i32, until: i32| Validity {
        from: now + DAY * from,
        until: now + DAY * until,
    };
    let months = days(-30, 60);
    let own = material()?;
    match server {
        Server::Genuine => trusted.issue_from_material(names, months, &own),
        Server::UnknownAuthority => {
            let years = days(-365, 3650);
            Authority::from_material("Somebody Else's CA", years, &material()?)?
                .issue_from_material(names, months, &own)
        }
        Server::WrongName => trusted.issue_from_material(&[OTHER_NAME], months, &own),
        Server::Expired => trusted.issue_from_material(names, days(-120, -30), &own),
        Server::NotYetValid => trusted.issue_from_material(names, days(30, 120), &own),
        Server::SelfSigned => Identity::self_signed_from_material(names, months, &own),
    }
}

/// What is known of the one in the middle.
#[derive(Debug, Default)]
pub struct Notes {
    /// The authorities that A trusts, whoever it talks to.
    pub trusted: Vec<CertificateDer<'static>>,
    /// What it has seen of the chats, in the order in which it did: when (in nanoseconds since the start), at its end towards
    /// which host, and what.
    pub seen: Vec<(u64, Host, Happening)>,
    now: u64,
}

impl Notes {
    fn note(&mut self, host: Host, what: Happening) {
        self.seen.push((self.now, host, what));
    }
}

/// Its notes, which grow while the chats go on.
pub type Notebook = Arc<Mutex<Notes>>;

/// Runs what may draw on randomness, which on some wires is not the system's.
pub(super) type Within = Box<dyn Fn(&mut dyn FnMut()) + Send>;

/// Who it is and what it has.
pub(super) struct Plan {
    pub(super) mtu: usize,
    /// What the numbers of its two stacks are chosen by.
    pub(super) seeds: [u64; 2],
    /// The server that A will talk to, the client that B will.
    pub(super) peers: [Peer; 2],
    pub(super) keys: [Arc<KeyLines>; 2],
    /// Whom A trusts.
    pub(super) trusted: Vec<CertificateDer<'static>>,
    pub(super) within: Within,
}

#[cfg(target_os = "linux")]
impl Plan {
    /// With the system's randomness, and this certificate.
    pub(super) fn with(
        mtu: usize,
        forged: &Identity,
        trusted: &[CertificateDer<'static>],
    ) -> Result<Self, ChatError> {
        let keys = [(); 2].map(|()| Arc::new(KeyLines::default()));
        let [a, b] = keys
            .each_ref()
            .map(|keys| Setup::default().key_log(Arc::clone(keys) as Arc<dyn rustls::KeyLog>));
        // It does not care whom it betrays A to.
        let client = Peer::client(b.client_unverified()?, server_name()?)?;
        let random = std::hash::RandomState::new();
        Ok(Self {
            mtu,
            seeds: [Host::A, Host::B].map(|host| random.hash_one(host)),
            peers: [Peer::server(a.server(forged)?)?, client],
            keys,
            trusted: trusted.to_vec(),
            within: Box::new(|call| call()),
        })
    }
}

/// The one in the middle.
pub(super) struct Mitm {
    a: Side,
    b: Side,
    within: Within,
    /// The port that it connects from to B: next to A's.
    port: Option<u16>,
    leaving: VecDeque<Leaving>,
    notes: Notebook,
}

/// Something that leaves it.
pub(super) enum Leaving {
    /// A packet for this host.
    Packet(Host, Vec<u8>),
    /// A line for a key log: it goes before the packets that it protects.
    Key(Host, String),
}

/// Its end towards one of the hosts.
struct Side {
    host: Host,
    stack: Stack,
    peer: Peer,
    keys: Arc<KeyLines>,
    connected: bool,
    hung_up: bool,
    ended: bool,
    failed: bool,
}

/// So much TCP keeps in each direction.
const BUFFER: usize = 256 << 10;

impl Mitm {
    pub(super) fn new(plan: Plan) -> Result<Self, WireError> {
        let [server, client] = plan.peers;
        let [a_keys, b_keys] = plan.keys;
        let [a_seed, b_seed] = plan.seeds;
        let side = |host: Host, seed, peer, keys| {
            let stack = Stack::new(&Settings {
                // It calls itself what the host expects at the other end.
                address: host.other().address(),
                other: host.address(),
                mtu: plan.mtu,
                seed,
                buffers: [BUFFER; 2],
            })
            .map_err(|refused| failed(host, refused))?;
            Ok::<_, WireError>(Side {
                host,
                stack,
                peer,
                keys,
                connected: false,
                hung_up: false,
                ended: false,
                failed: false,
            })
        };
        let mut a = side(Host::A, a_seed, server, a_keys)?;
        let b = side(Host::B, b_seed, client, b_keys)?;
        a.stack
            .listen(PORT)
            .map_err(|refused| failed(Host::A, refused))?;
        Ok(Self {
            a,
            b,
            within: plan.within,
            port: None,
            leaving: VecDeque::new(),
            notes: Arc::new(Mutex::new(Notes {
                trusted: plan.trusted,
                seen: Vec::new(),
                now: 0,
            })),
        })
    }

    /// What it has seen of the chats so far, and will see.
    pub(super) fn notes(&self) -> Notebook {
        Arc::clone(&self.notes)
    }

    /// A packet of that host has come, from the first byte of its IP header on.
    pub(super) fn arrived(&mut self, from: Host, packet: Vec<u8>) {
        if from == Host::A && self.port.is_none() {
            let header = packet
                .first()
                .map_or(0, |first| usize::from(first & 15) * 4);
            let port = packet.get(header..).and_then(|tcp| tcp.first_chunk());
            // The next one is its own, so that whoever captures both links sees two connections.
            self.port = port.map(|port| u16::from_be_bytes(*port) ^ 1);
        }
        self.side(from).stack.arrived(packet);
    }

    /// Lets it run, so many nanoseconds after the start.
    pub(super) fn turn(&mut self, now: u64) -> Result<(), WireError> {
        // What one side says, the other passes on: so A's side, B's, and A's again.
        for host in [Host::A, Host::B, Host::A] {
            let Self {
                a,
                b,
                within,
                leaving,
                notes,
                ..
            } = self;
            let (side, other) = if host == Host::A { (a, b) } else { (b, a) };
            let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
            notes.now = now;
            within(&mut || side.turn(now, other, leaving, &mut notes));
        }
        // Only when A believes it does it turn to B.
        let begins =
            self.a.peer.is_secured() && !self.b.stack.socket().is_open() && !self.b.connected;
        if let (true, Some(port)) = (begins, self.port) {
            self.b
                .stack
                .connect((Host::B.address(), PORT), port)
                .map_err(|refused| failed(Host::B, refused))?;
            self.b.send(now, &mut self.leaving);
        }
        Ok(())
    }

    /// The next thing that leaves it.
    pub(super) fn next(&mut self) -> Option<Leaving> {
        self.leaving.pop_front()
    }

    /// When it wants to run again without a packet: later than `now`, in nanoseconds since the start.
    pub(super) fn timer(&mut self, now: u64) -> Option<u64> {
        let timers = [self.a.stack.timer(now), self.b.stack.timer(now)];
        timers.into_iter().flatten().min()
    }

    /// Whether A has gone before it turned to B, who waits in vain.
    #[cfg(target_os = "linux")]
    pub(super) fn was_left(&self) -> bool {
        self.a.stack.is_done() && !self.a.peer.is_secured()
    }

    /// Whether both of its connections are over.
    pub(super) fn is_done(&self) -> bool {
        self.a.stack.is_done() && self.b.stack.is_done()
    }

    fn side(&mut self, host: Host) -> &mut Side {
        if host == Host::A {
            &mut self.a
        } else {
            &mut self.b
        }
    }
}

fn failed(host: Host, Refused(what): Refused) -> WireError {
    WireError::Tcp {
        host: host.other(),
        what: format!("in the middle, {what}"),
    }
}

/// The name under which it knows B.
pub(super) fn server_name() -> Result<rustls::pki_types::ServerName<'static>, ChatError> {
    rustls::pki_types::ServerName::try_from(SERVER_NAME)
        .map_err(|error| ChatError::Tls(error.to_string()))
}

impl Side {
    fn turn(
        &mut self,
        now: u64,
        other: &mut Side,
        leaving: &mut VecDeque<Leaving>,
        notes: &mut Notes,
    ) {
        self.stack.take_in(now);
        if !self.connected {
            self.send(now, leaving);
            if !self.stack.socket().may_send() {
                return;
            }
            self.connected = true;
            notes.note(self.host, Happening::Connected);
        }
        let mut bytes = Vec::new();
        self.stack.receive(&mut bytes);
        if !self.failed {
            let result = self.peer.receive(&bytes);
            self.react(result, other, notes);
        }
        if !self.stack.socket().may_recv() && !self.ended {
            self.ended = true;
            let result = if self.stack.is_reset() {
                self.peer.broken()
            } else {
                self.peer.eof()
            };
            self.react(result, other, notes);
        }
        self.flush(now, leaving);
    }

    /// Passes on what its host has said.
    fn react(&mut self, result: Result<(), ChatError>, other: &mut Side, notes: &mut Notes) {
        while let Some(event) = self.peer.next_event() {
            // What cannot be passed on, because the other side has gone, is noted all the same.
            match &event {
                ChatEvent::Said(line) => {
                    let _ = other.peer.say(&line.text);
                }
                ChatEvent::Goodbye => other.peer.close(),
                ChatEvent::Secured { .. } | ChatEvent::InClear => {}
            }
            notes.note(self.host, Happening::Hears(event));
        }
        if let (Err(error), false) = (result, self.failed) {
            self.failed = true;
            notes.note(self.host, Happening::Fails(error));
            self.peer.close();
            other.peer.close();
        }
    }

    /// Hands to TCP what is to be sent.
    fn flush(&mut self, now: u64, leaving: &mut VecDeque<Leaving>) {
        let lines = self.keys.take().into_iter();
        leaving.extend(lines.map(|line| Leaving::Key(self.host.other(), line)));
        while !self.peer.outgoing().is_empty() {
            // TCP takes nothing when its buffer is full, or the connection is gone.
            let Ok(taken @ 1..) = self.stack.socket().send_slice(self.peer.outgoing()) else {
                break;
            };
            self.peer.sent(taken);
            self.send(now, leaving);
        }
        if self.peer.has_closed() && self.peer.outgoing().is_empty() && !self.hung_up {
            self.hung_up = true;
            self.stack.socket().close();
        }
        self.send(now, leaving);
    }

    fn send(&mut self, now: u64, leaving: &mut VecDeque<Leaving>) {
        let host = self.host;
        self.stack.send(now, |packet| {
            leaving.push_back(Leaving::Packet(host, packet))
        });
    }
}
