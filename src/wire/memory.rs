//! The memory wire: two TCP/IP stacks (smoltcp) in one process, a wire between them, and a clock that nobody waits for.
//!
//! It needs no privilege and runs anywhere. Every packet, to the last byte, and every time follows from [`Config`] and
//! [`Script`]: the initial sequence numbers, A's port, all of TLS with keys and certificates come from the seed, and the
//! clock starts at [`EPOCH`] and only moves to the next arrival or timer.
//!
//! How the hosts behave, where TCP leaves a choice:
//! - What arrives at the same instant is taken in together, then the application runs, then TCP answers; so one
//!   acknowledgment covers a whole flight, and rides on the answer if there is one at once. (Real network cards and kernels
//!   gather packets in the same way.) Nothing delays acknowledgments, Nagle's algorithm is off.
//! - The third packet of TCP's handshake goes alone, as Linux sends it; each write of the application is a segment of its
//!   own (or several), FIN goes after close_notify, not with it.
//! - Congestion control is Reno. Unlike Linux, the stack uses neither SACK nor timestamps, its shortest retransmission
//!   timeout is 1 s (Linux: about 0.2 s), and the wire has latency but no limit of bandwidth.
//! - A segment that acknowledges less than an earlier one did is thrown away with its data (RFC 9293, section 3.10.7.4,
//!   and Linux, only pass over the acknowledgment). So a delayed packet may be as good as a lost one.
//! - Time-wait is not waited for: the wire ends when nothing but that is left.
//!
//! The seed makes every secret known, so its randomness is for this wire alone; not even the rest of the crate can name it:
//!
//! ```compile_fail,E0603
//! let predictable = layerwise::wire::memory::seeded::provider();
//! ```

mod seeded;

use core::ops::Range;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::time_provider::TimeProvider;
use time::OffsetDateTime;

use super::fault::{Fates, Faults, Going, Report, Rule, Sent, Way};
pub use super::mitm::Server;
use super::mitm::{self, Leaving, Mitm, Notebook, identity};
use super::stack::{Refused, Settings, Stack};
use super::{
    Answer, Ending, Happening, Host, Link, OUT_OF_STEP, PORT, Packet, SERVER_NAME, Script, Seen,
    Texts, Wire, WireError,
};
use crate::certs::{Authority, CertError, Identity, Material, Validity};
use crate::chat::{ChatError, ChatEvent, KeyLines, Peer, Setup};
use crate::packet::Time;
use seeded::Stream;

/// When the virtual clock starts: 2026-01-01 12:00:00 UTC, in nanoseconds since the Unix epoch.
pub const EPOCH: Time = Time(1_767_268_800 * SECOND);

/// The smallest MTU: every IPv4 host must take datagrams of this size (RFC 791, section 3.1).
pub const MIN_MTU: usize = 576;

/// The largest: what IPv4's 16-bit total length can say.
pub const MAX_MTU: usize = 65_535;

/// The longest latency one way. (From half a second on, TCP's first timeout is too early: it repeats packets in vain.)
pub const MAX_LATENCY: Duration = Duration::from_secs(60);

/// After the chat has failed, the wire goes on for so long: what the hosts do about it is to be seen, but two hosts that
/// an attacker has put out of step may send each other acknowledgments for ever.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Where faults keep anything new from coming for so long, the wire ends: this stack would go on for ever. (A host must try
/// for at least 100 s, RFC 9293, section 3.8.3; Linux gives up after some 15 minutes, too.)
const NOTHING_NEW: Duration = Duration::from_secs(900);

/// What the wire is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Determines everything random.
    pub seed: u64,
    /// The longest IP packet, in bytes: [`MIN_MTU`] to [`MAX_MTU`]. 1500 unless told otherwise, as on Ethernet.
    pub mtu: usize,
    /// How long a packet is on its way: 0 to [`MAX_LATENCY`]. 5 ms unless told otherwise.
    pub latency: Duration,
    /// The wire gives up after so much virtual time. One day unless told otherwise.
    pub max_time: Duration,
    /// The wire gives up after so many packets. One million unless told otherwise.
    pub max_packets: u64,
    /// What certificate B shows. Its own unless told otherwise.
    pub server: Server,
    /// Somebody in the middle who shows this certificate to A. Nobody unless told otherwise.
    pub mitm: Option<Server>,
    /// Whether A checks that certificate. It does unless told otherwise.
    pub verify: bool,
    /// Whether both ends also accept TLS 1.2. They do not unless told otherwise.
    pub tls12: bool,
    /// Whether they chat without TLS. They do not unless told otherwise.
    pub plain: bool,
    /// How much TCP keeps at B for its application, in bytes. 256 KiB unless told otherwise.
    pub buffer: usize,
    /// When B's application does not read, counted from the start. Never unless told otherwise.
    pub pause: Option<Range<Duration>>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 0,
            mtu: 1500,
            latency: Duration::from_millis(5),
            max_time: Duration::from_secs(24 * 60 * 60),
            max_packets: 1_000_000,
            server: Server::Genuine,
            mitm: None,
            verify: true,
            tls12: false,
            plain: false,
            buffer: TCP_BUFFER,
            pause: None,
        }
    }
}

/// The wire at work: an iterator over all that is to be seen, in the order of time.
pub struct Memory {
    a: End,
    b: End,
    log: Log,
    seed: u64,
    max_time: Duration,
    max_packets: u64,
    over: bool,
}

impl Memory {
    /// Sets up both hosts; nothing is sent yet.
    ///
    /// # Errors
    /// When MTU or latency are out of range, a text of the script cannot be said, or a host cannot be set up.
    pub fn new(config: &Config, script: &Script) -> Result<Self, WireError> {
        let setting = Setting::new(config)?;
        Self::with(config, script, &setting)
    }

    fn with(config: &Config, script: &Script, setting: &Setting) -> Result<Self, WireError> {
        if !(MIN_MTU..=MAX_MTU).contains(&config.mtu) {
            return Err(WireError::Mtu {
                mtu: config.mtu,
                min: MIN_MTU,
                max: MAX_MTU,
            });
        }
        if config.latency > MAX_LATENCY {
            return Err(WireError::Latency {
                latency: config.latency,
                max: MAX_LATENCY,
            });
        }
        script.check()?;
        let latency = u64::try_from(config.latency.as_nanos()).unwrap_or(u64::MAX);
        // One in the middle stands in the middle.
        let latency = latency / if config.mitm.is_some() { 2 } else { 1 };
        let mut a = End::new(Host::A, config, setting, script)?;
        let b = End::new(Host::B, config, setting, script)?;
        a.connect()?;
        let mitm = setting
            .forged
            .as_ref()
            .map(|forged| in_the_middle(config, forged, &setting.roots));
        Ok(Self {
            a,
            b,
            log: Log {
                now: 0,
                latency,
                seen: VecDeque::new(),
                flight: BTreeMap::new(),
                order: 0,
                faults: None,
                packets: 0,
                keys: BTreeSet::new(),
                failure: None,
                failed_at: None,
                progress: 0,
                over: [false; 2],
                mitm: mitm.transpose()?,
                in_the_middle: config.mitm.is_some(),
            },
            seed: config.seed,
            max_time: config.max_time,
            max_packets: config.max_packets,
            over: false,
        })
    }

    /// The same wire with faults on it. Chances follow from the wire's seed, and are the same every time.
    #[must_use]
    pub fn with_faults(mut self, rules: Vec<Rule>) -> Self {
        self.log.faults = (!rules.is_empty()).then(|| Faults::new(rules, self.seed));
        self
    }

    /// What the one in the middle sees of the chats, if there is one.
    #[must_use]
    pub fn notebook(&self) -> Option<Notebook> {
        self.log.mitm.as_ref().map(Mitm::notes)
    }

    /// The virtual clock.
    #[must_use]
    pub fn now(&self) -> Time {
        self.log.time()
    }

    /// Goes on to the next instant at which something happens.
    fn step(&mut self) -> Result<(), WireError> {
        let is_done = self.log.mitm.as_ref().is_none_or(Mitm::is_done);
        if self.log.flight.is_empty() && self.a.is_done() && self.b.is_done() && is_done {
            self.over = true;
            return self.log.failure.take().map_or(Ok(()), Err);
        }
        let arrival = self.log.flight.first_key_value().map(|((at, _), _)| *at);
        let now = self.log.now;
        let mitm = self.log.mitm.as_mut().and_then(|mitm| mitm.timer(now));
        let held = self.log.faults.as_ref().and_then(Faults::due);
        let timers = [
            held.map(|due| due.since(EPOCH)),
            self.a.timer(now),
            self.b.timer(now),
            self.b.wakes(now),
            mitm,
        ];
        let next = timers.into_iter().flatten().chain(arrival).min();
        let Some(next) = next else {
            let (time, rules) = (Duration::from_nanos(now), self.log.fired());
            let stalled = self.log.failure.take();
            return Err(stalled.unwrap_or(WireError::Stalled { time, rules }));
        };
        let time = Duration::from_nanos(next);
        if let Some(failed) = self.log.failed_at
            && time.saturating_sub(Duration::from_nanos(failed)) > AFTER_FAILURE
            && let Some(failure) = self.log.failure.take()
        {
            return Err(failure);
        }
        if let Some(error) = self.log.is_in_vain(next) {
            return Err(self.log.failure.take().unwrap_or(error));
        }
        if time > self.max_time || self.log.packets > self.max_packets {
            let packets = self.log.packets;
            return Err(WireError::TooLong { time, packets });
        }
        self.log.now = next;
        let time = self.log.time();
        let faults = self.log.faults.as_mut();
        for going in faults.map_or(Vec::new(), |faults| faults.overdue(time)) {
            self.log.going(going);
        }
        while let Some(first) = self.log.flight.first_entry()
            && first.key().0 <= next
        {
            let flight = first.remove();
            // With one in the middle there are rules on A's link alone.
            if let Some(faults) = self.log.faults.as_mut().filter(|_| flight.hop == 0) {
                faults.arrived();
            }
            let end = match flight.to {
                Stop::Host(Host::A) => &mut self.a,
                Stop::Host(Host::B) => &mut self.b,
                Stop::Middle(from) => {
                    if let Some(mitm) = &mut self.log.mitm {
                        mitm.arrived(from, flight.bytes);
                    }
                    continue;
                }
            };
            end.stack.arrived(flight.bytes);
        }
        self.a.turn(&mut self.log);
        self.b.turn(&mut self.log);
        self.log.middle()
    }
}

impl Iterator for Memory {
    type Item = Result<Seen, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(seen) = self.log.seen.pop_front() {
                return Some(Ok(seen));
            }
            if self.over {
                return None;
            }
            if let Err(error) = self.step() {
                self.over = true;
                // What led to the error was seen before it.
                self.log.failure = Some(error);
            }
            if self.over && self.log.seen.is_empty() {
                return self.log.failure.take().map(Err);
            }
        }
    }
}

impl Wire for Memory {
    /// The clock is virtual: nobody ever waits.
    fn is_ready(&mut self) -> bool {
        true
    }

    fn unseen(&self) -> u64 {
        0
    }

    fn faults(&self) -> Option<(Fates, Vec<Report>)> {
        let faults = self.log.faults.as_ref()?;
        Some((faults.fates(), faults.reports()))
    }
}

// Keys stay out of logs.
impl core::fmt::Debug for Memory {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Memory")
            .field("now", &self.log.time())
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

const SECOND: u64 = 1_000_000_000;
/// Room for a window beyond 64 KiB, so that window scaling is of use.
const TCP_BUFFER: usize = 256 * 1024;

/// Who trusts whom.
struct Setting {
    roots: Vec<CertificateDer<'static>>,
    identity: Identity,
    /// What the one in the middle shows.
    forged: Option<Identity>,
}

impl Setting {
    fn new(config: &Config) -> Result<Self, WireError> {
        let random = Stream::new(config.seed, "certificates");
        let mut material = || {
            Ok(Material {
                key: random.bytes(),
                serial: random.bytes(),
            })
        };
        let start = OffsetDateTime::from_unix_timestamp_nanos(i128::from(EPOCH.0))
            .map_err(|_| CertError::Key)?;
        let day = time::Duration::DAY;
        let years = Validity {
            from: start - day * 365,
            until: start + day * 3650,
        };
        let authority = Authority::from_material(mitm::AUTHORITY, years, &material()?)?;
        let address = Host::B.address().to_string();
        let names = [SERVER_NAME, &address];
        let mut made = |server| identity(server, &authority, &names, start, &mut material);
        Ok(Self {
            identity: made(config.server)?,
            forged: config.mitm.map(made).transpose()?,
            roots: vec![authority.certificate().clone()],
        })
    }
}

/// The clock TLS checks certificates by.
#[derive(Debug)]
struct Stopped;

impl TimeProvider for Stopped {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_nanos(EPOCH.0)))
    }
}

/// What has happened so far, and what is on its way.
struct Log {
    /// Nanoseconds since the start.
    now: u64,
    latency: u64,
    seen: VecDeque<Seen>,
    /// By the time of arrival; of two that arrive at once, the first to be sent comes first.
    flight: BTreeMap<(u64, u64), Flight>,
    order: u64,
    faults: Option<Faults>,
    packets: u64,
    /// The key log lines that were seen: the other host comes to the same.
    keys: BTreeSet<String>,
    /// The first failure, and when it was.
    failure: Option<WireError>,
    failed_at: Option<u64>,
    /// When something new came to a program last.
    progress: u64,
    /// Whose program has heard the other's goodbye, or the end.
    over: [bool; 2],
    mitm: Option<Mitm>,
    /// Whether there is one.
    in_the_middle: bool,
}

/// Where a packet arrives.
#[derive(Debug, Clone, Copy)]
enum Stop {
    Host(Host),
    /// At the one in the middle, from this host.
    Middle(Host),
}

struct Flight {
    to: Stop,
    hop: usize,
    bytes: Vec<u8>,
}

impl Log {
    fn time(&self) -> Time {
        Time(EPOCH.0 + self.now)
    }

    fn packet(&mut self, from: Host, bytes: Vec<u8>) {
        if self.in_the_middle && from == Host::B {
            return self.link(from, hop(from), Stop::Middle(from), bytes);
        }
        self.packet_on_first_link(from, bytes);
    }

    /// Puts a packet on A's link, which is the only one where there is nobody in the middle, with what rules do to it.
    fn packet_on_first_link(&mut self, from: Host, bytes: Vec<u8>) {
        let arrives = Time(EPOCH.0 + self.now + self.latency);
        let Some(faults) = &mut self.faults else {
            self.packets += 1;
            let (id, before, touched) = (self.packets, None, Vec::new());
            return self.going(Going::Packet(Sent {
                id,
                from,
                arrives: Some(arrives),
                bytes,
                before,
                touched,
            }));
        };
        let way = Way {
            now: Time(EPOCH.0 + self.now),
            latency: self.latency,
            from,
            link: Link::Ip,
        };
        for going in faults.send(way, &mut self.packets, bytes) {
            self.going(going);
        }
    }

    /// Lets the one in the middle run, and takes what leaves it.
    fn middle(&mut self) -> Result<(), WireError> {
        let Some(mut mitm) = self.mitm.take() else {
            return Ok(());
        };
        let result = mitm.turn(self.now);
        while let Some(leaving) = mitm.next() {
            match leaving {
                // To A it is B.
                Leaving::Packet(Host::A, bytes) => self.packet_on_first_link(Host::B, bytes),
                Leaving::Packet(to, bytes) => {
                    self.link(to.other(), hop(to), Stop::Host(to), bytes);
                }
                Leaving::Key(host, line) => self.key(host, line),
            }
        }
        self.mitm = Some(mitm);
        result
    }

    /// Puts a packet on one of the two links that there are with one in the middle.
    fn link(&mut self, from: Host, hop: usize, to: Stop, bytes: Vec<u8>) {
        self.packets += 1;
        let arrives = Time(EPOCH.0 + self.now + self.latency);
        self.seen.push_back(Seen::Packet(Packet {
            id: self.packets,
            from,
            sent: self.time(),
            arrives: Some(arrives),
            link: Link::Ip,
            hop,
            kernel: None,
            bytes: bytes.clone(),
            before: None,
            touched: Vec::new(),
        }));
        self.fly(arrives, Flight { to, hop, bytes });
    }

    /// Puts a packet on its way.
    fn fly(&mut self, arrives: Time, flight: Flight) {
        self.order += 1;
        let at = (arrives.since(EPOCH), self.order);
        self.flight.insert(at, flight);
    }

    /// Shows what goes on the wire, and carries it.
    fn going(&mut self, going: Going) {
        let time = self.time();
        let (to, arrives, bytes) = match going {
            Going::Packet(sent) => {
                self.seen.push_back(Seen::Packet(Packet {
                    id: sent.id,
                    from: sent.from,
                    sent: time,
                    arrives: sent.arrives,
                    link: Link::Ip,
                    hop: 0,
                    kernel: None,
                    bytes: sent.bytes.clone(),
                    before: sent.before,
                    touched: sent.touched,
                }));
                (sent.from.other(), sent.arrives, sent.bytes)
            }
            Going::Released {
                id,
                to,
                arrives,
                bytes,
            } => {
                self.seen.push_back(Seen::Released { id, time, arrives });
                (to, Some(arrives), bytes)
            }
        };
        if let Some(arrives) = arrives {
            let to = match to {
                Host::B if self.in_the_middle => Stop::Middle(Host::A),
                host => Stop::Host(host),
            };
            let hop = 0;
            self.fly(arrives, Flight { to, hop, bytes });
        }
    }

    fn keys(&mut self, host: Host, keys: &KeyLines) {
        for line in keys.take() {
            self.key(host, line);
        }
    }

    fn key(&mut self, host: Host, line: String) {
        let time = self.time();
        if self.keys.insert(line.clone()) {
            if let Some(faults) = &mut self.faults {
                faults.key(&line);
            }
            self.seen.push_back(Seen::Key { host, time, line });
        }
    }

    fn chat(&mut self, host: Host, what: Happening) {
        if let Happening::Fails(error) = &what {
            self.fail(WireError::Chat {
                host,
                error: error.clone(),
            });
        }
        if matches!(
            what,
            Happening::Hears(ChatEvent::Goodbye) | Happening::Ended(_)
        ) {
            let [a, b] = &mut self.over;
            *(if host == Host::A { a } else { b }) = true;
        }
        self.progress = self.now;
        let time = self.time();
        self.seen.push_back(Seen::Chat { host, time, what });
    }

    /// The rules that were carried out, counted from 1.
    fn fired(&self) -> Vec<usize> {
        self.faults.as_ref().map_or(Vec::new(), Faults::fired)
    }

    /// Whether faults have brought about that packets pass and nothing new comes of them.
    fn is_in_vain(&self, next: u64) -> Option<WireError> {
        let faults = self.faults.as_ref()?;
        let quiet = Duration::from_nanos(next.saturating_sub(self.progress));
        let over = self.over == [true; 2];
        // Nobody waits for this clock: TCP may take all the time that it wants to, but not for ever.
        let most = if !over && faults.has_forged() && !faults.has_chances() {
            OUT_OF_STEP
        } else {
            NOTHING_NEW
        };
        // On a slow wire the same takes longer.
        let most = most + Duration::from_nanos(self.latency) * 8;
        if quiet <= most || !faults.has_fired() {
            return None;
        }
        let (time, rules) = (Duration::from_nanos(self.now), faults.fired());
        let quiet = Duration::from_nanos(self.now.saturating_sub(self.progress));
        Some(if over {
            WireError::Lingers { time: quiet, rules }
        } else {
            WireError::Vain { time, quiet, rules }
        })
    }

    fn fail(&mut self, error: WireError) {
        self.failure.get_or_insert(error);
        self.failed_at.get_or_insert(self.now);
    }
}

/// One host: its application, its TLS, its TCP/IP, its end of the wire.
struct End {
    host: Host,
    /// What is still to be said; B never runs out of its reply.
    texts: Texts,
    peer: Peer,
    keys: Arc<KeyLines>,
    random: Stream,
    stack: Stack,
    /// The local port of A.
    port: u16,
    connected: bool,
    /// Our FIN was asked for.
    hung_up: bool,
    /// The other side's FIN was seen, or its RST.
    ended: bool,
    failed: bool,
    /// When its application does not read, in nanoseconds since the start.
    pause: Range<u64>,
}

impl End {
    fn new(
        host: Host,
        config: &Config,
        setting: &Setting,
        script: &Script,
    ) -> Result<Self, WireError> {
        let random = Stream::new(config.seed, if host == Host::A { "A" } else { "B" });
        let keys = Arc::new(KeyLines::default());
        let setup = setup(config, &keys);
        let peer = random
            .within(|| match host {
                _ if config.plain => Ok(Peer::plain()),
                Host::A => {
                    let name = mitm::server_name()?;
                    let client = if config.verify {
                        setup.client(&setting.roots)?
                    } else {
                        setup.client_unverified()?
                    };
                    Peer::client(client, name)
                }
                Host::B => Peer::server(setup.server(&setting.identity)?),
            })
            .map_err(|error| WireError::Chat { host, error })?;

        let (receive, pause) = match host {
            Host::A => (TCP_BUFFER, None),
            Host::B => (config.buffer, config.pause.as_ref()),
        };
        let refused = |refused| tcp_error(host, refused);
        let mut stack = Stack::new(&Settings {
            address: host.address(),
            other: host.other().address(),
            mtu: config.mtu,
            seed: u64::from_be_bytes(random.bytes()),
            buffers: [receive, TCP_BUFFER],
        })
        .map_err(refused)?;
        if host == Host::B {
            stack.listen(PORT).map_err(refused)?;
        }
        Ok(Self {
            host,
            texts: Texts::new(host, script),
            peer,
            keys,
            // A port from the range for private use (RFC 6335, section 6).
            port: 49_152 + u16::from_be_bytes(random.bytes()) % 16_384,
            random,
            stack,
            connected: false,
            hung_up: false,
            ended: false,
            failed: false,
            pause: pause.map_or(0..0, |pause| {
                let nanoseconds =
                    |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
                nanoseconds(pause.start)..nanoseconds(pause.end)
            }),
        })
    }

    /// Wants the connection; the SYN goes with the first turn.
    fn connect(&mut self) -> Result<(), WireError> {
        let to = (self.host.other().address(), PORT);
        let refused = self.stack.connect(to, self.port);
        refused.map_err(|refused| tcp_error(self.host, refused))
    }

    fn socket(&mut self) -> &mut smoltcp::socket::tcp::Socket<'static> {
        self.stack.socket()
    }

    /// Whether nothing but time-wait is left.
    fn is_done(&self) -> bool {
        self.stack.is_done()
    }

    /// When TCP wants to run again without a packet: always later than `now`.
    fn timer(&mut self, now: u64) -> Option<u64> {
        self.stack.timer(now)
    }

    /// When its application reads again, if it is not reading now.
    fn wakes(&self, now: u64) -> Option<u64> {
        self.pause.contains(&now).then_some(self.pause.end)
    }

    /// Lets the host run: take in what has arrived, let the application answer, send.
    fn turn(&mut self, log: &mut Log) {
        self.stack.take_in(log.now);
        if !self.connected {
            // A's ACK ends TCP's handshake and goes before any data; B's SYN goes before it is connected.
            if self.host == Host::A || !self.socket().may_send() {
                self.send(log);
            }
            if !self.socket().may_send() {
                if self.stack.is_closed() && !self.ended {
                    self.end(Ending::Reset, log);
                }
                return;
            }
            self.connected = true;
            log.chat(self.host, Happening::Connected);
        }
        if self.wakes(log.now).is_none() {
            self.hear(log);
        }
        self.flush(log);
        // What no answer has acknowledged by now, a packet of its own does.
        self.send(log);
    }

    /// Gives to the application what TCP has, and to the wire what it answers.
    fn hear(&mut self, log: &mut Log) {
        let mut bytes = Vec::new();
        self.stack.receive(&mut bytes);
        if !bytes.is_empty() {
            log.progress = log.now;
        }
        if !self.failed {
            let peer = &mut self.peer;
            let result = self.random.within(|| peer.receive(&bytes));
            self.react(result, log);
        }
        if !self.socket().may_recv() && !self.ended {
            let ending = if self.stack.is_reset() {
                Ending::Reset
            } else {
                Ending::Fin
            };
            self.end(ending, log);
        }
    }

    /// TCP has nothing more for the application.
    fn end(&mut self, ending: Ending, log: &mut Log) {
        self.ended = true;
        log.chat(self.host, Happening::Ended(ending));
        let result = match ending {
            Ending::Fin => self.peer.eof(),
            _ => self.peer.broken(),
        };
        self.react(result, log);
    }

    /// The application does something about what has happened to its peer.
    fn react(&mut self, result: Result<(), ChatError>, log: &mut Log) {
        self.flush(log);
        while let Some(event) = self.peer.next_event() {
            log.chat(self.host, Happening::Hears(event.clone()));
            if !self.failed {
                let result = self.answer(&event, log);
                self.check(result, log);
            }
        }
        self.check(result, log);
    }

    /// What the application does about an event.
    fn answer(&mut self, event: &ChatEvent, log: &mut Log) -> Result<(), ChatError> {
        let peer = &mut self.peer;
        match self.texts.answer(event) {
            Answer::Say(text) => {
                self.random.within(|| peer.say(&text))?;
                log.chat(self.host, Happening::Says(text));
            }
            Answer::Goodbye if !peer.has_closed() => {
                self.random.within(|| peer.close());
                log.chat(self.host, Happening::SaysGoodbye);
            }
            Answer::Goodbye | Answer::Nothing => {}
        }
        self.flush(log);
        Ok(())
    }

    /// A failed chat says so, once, and hangs up after its alert is sent.
    fn check(&mut self, result: Result<(), ChatError>, log: &mut Log) {
        if let (Err(error), false) = (result, self.failed) {
            self.failed = true;
            log.chat(self.host, Happening::Fails(error));
            self.peer.close();
        }
    }

    /// Hands to TCP what the peer wants to send, and to the wire what TCP makes of it.
    fn flush(&mut self, log: &mut Log) {
        // Secrets go before the packets they protect.
        log.keys(self.host, &self.keys);
        while !self.peer.outgoing().is_empty() {
            let outgoing = self.peer.outgoing();
            // TCP takes nothing when its buffer is full, or the connection is gone.
            let Ok(taken @ 1..) = self.stack.socket().send_slice(outgoing) else {
                break;
            };
            self.peer.sent(taken);
            self.send(log);
        }
        if self.peer.has_closed() && self.peer.outgoing().is_empty() && !self.hung_up {
            self.hung_up = true;
            self.socket().close();
            self.send(log);
        }
    }

    /// Lets TCP send all it may.
    fn send(&mut self, log: &mut Log) {
        let host = self.host;
        self.stack.send(log.now, |bytes| log.packet(host, bytes));
    }
}

/// What TLS is like at each of the hosts.
fn setup(config: &Config, keys: &Arc<KeyLines>) -> Setup {
    let setup = Setup::default()
        .deterministic(Arc::new(seeded::provider()), Arc::new(Stopped))
        .key_log(Arc::clone(keys) as Arc<dyn rustls::KeyLog>);
    if config.tls12 {
        setup.allow_tls12()
    } else {
        setup
    }
}

/// One in the middle, who shows this certificate to A.
fn in_the_middle(
    config: &Config,
    forged: &Identity,
    trusted: &[CertificateDer<'static>],
) -> Result<Mitm, WireError> {
    let random = Stream::new(config.seed, "M");
    let keys = [(); 2].map(|()| Arc::new(KeyLines::default()));
    let [a, b] = &keys;
    let peers = random.within(|| {
        let server = Peer::server(setup(config, a).server(forged)?)?;
        // It does not care whom it betrays A to.
        let client = setup(config, b).client_unverified()?;
        Ok([server, Peer::client(client, mitm::server_name()?)?])
    });
    Mitm::new(mitm::Plan {
        mtu: config.mtu,
        seeds: [(); 2].map(|()| u64::from_be_bytes(random.bytes())),
        peers: peers.map_err(|error| WireError::Chat {
            host: Host::A,
            error,
        })?,
        keys,
        trusted: trusted.to_vec(),
        within: Box::new(move |call| random.within(call)),
    })
}

/// The link that a host is on, where there are two.
fn hop(host: Host) -> usize {
    match host {
        Host::A => 0,
        Host::B => 1,
    }
}

fn tcp_error(host: Host, Refused(what): Refused) -> WireError {
    WireError::Tcp { host, what }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests;
