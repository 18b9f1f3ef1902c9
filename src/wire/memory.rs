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

use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use smoltcp::iface::{
    self, Interface, PollIngressSingleResult, PollResult, SocketHandle, SocketSet,
};
use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};
use time::OffsetDateTime;

use super::fault::{Fates, Faults, Going, Report, Rule, Sent, Way};
use super::{
    Answer, Ending, Happening, Host, Link, PORT, Packet, SERVER_NAME, Script, Seen, Texts, Wire,
    WireError,
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
    /// Who answers at B's address, and with what certificate. The real B unless told otherwise.
    pub server: Server,
    /// Whether A checks that certificate. It does unless told otherwise.
    pub verify: bool,
    /// Whether both ends also accept TLS 1.2. They do not unless told otherwise.
    pub tls12: bool,
    /// How much TCP keeps at B for its application, in bytes. 256 KiB unless told otherwise.
    pub buffer: usize,
    /// When B's application does not read, counted from the start. Never unless told otherwise.
    pub pause: Option<Range<Duration>>,
}

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
}

/// Somebody on the path: decides what becomes of every packet.
pub trait Middle {
    /// A secret became known at one of the hosts: a line of a key log. (An attacker does not get it; a stage director does.)
    fn key(&mut self, line: &str);

    /// A packet was sent; what is given back is delivered, each after the wire's latency and its own delay.
    fn carry(&mut self, from: Host, now: Time, packet: &[u8]) -> Vec<Carried>;
}

/// A packet that is delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// The host it is delivered to.
    pub to: Host,
    /// How much longer than the wire's latency it takes.
    pub delay: Duration,
    /// The packet, from the first byte of its IP header.
    pub bytes: Vec<u8>,
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
            verify: true,
            tls12: false,
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

    /// The same with somebody on the path, who decides instead of the rules of [`Memory::with_faults`].
    ///
    /// # Errors
    /// As for [`Memory::new`].
    pub fn between(
        config: &Config,
        script: &Script,
        middle: Box<dyn Middle>,
    ) -> Result<Self, WireError> {
        let mut wire = Self::new(config, script)?;
        wire.log.middle = Some(middle);
        Ok(wire)
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
        let mut a = End::new(Host::A, config, setting, script)?;
        let b = End::new(Host::B, config, setting, script)?;
        a.connect()?;
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
                middle: None,
                failed_at: None,
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

    /// The virtual clock.
    #[must_use]
    pub fn now(&self) -> Time {
        self.log.time()
    }

    /// Goes on to the next instant at which something happens.
    fn step(&mut self) -> Result<(), WireError> {
        if self.log.flight.is_empty() && self.a.is_done() && self.b.is_done() {
            self.over = true;
            return self.log.failure.take().map_or(Ok(()), Err);
        }
        let arrival = self.log.flight.first_key_value().map(|((at, _), _)| *at);
        let now = self.log.now;
        let timers = [self.a.timer(now), self.b.timer(now), self.b.wakes(now)];
        let next = timers.into_iter().flatten().chain(arrival).min();
        let Some(next) = next else {
            let time = self.log.time();
            let stalled = self.log.failure.take();
            return Err(stalled.unwrap_or(WireError::Stalled { time }));
        };
        let time = Duration::from_nanos(next);
        if let Some(failed) = self.log.failed_at
            && time.saturating_sub(Duration::from_nanos(failed)) > AFTER_FAILURE
            && let Some(failure) = self.log.failure.take()
        {
            return Err(failure);
        }
        if time > self.max_time || self.log.packets > self.max_packets {
            let packets = self.log.packets;
            return Err(WireError::TooLong { time, packets });
        }
        self.log.now = next;
        while let Some(first) = self.log.flight.first_entry()
            && first.key().0 <= next
        {
            let flight = first.remove();
            if let Some(faults) = &mut self.log.faults {
                faults.arrived();
            }
            let end = match flight.to {
                Host::A => &mut self.a,
                Host::B => &mut self.b,
            };
            end.device.arrived.push_back(flight.bytes);
        }
        self.a.turn(&mut self.log);
        self.b.turn(&mut self.log);
        Ok(())
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
const DAY: time::Duration = time::Duration::DAY;

/// Room for a window beyond 64 KiB, so that window scaling is of use.
const TCP_BUFFER: usize = 256 * 1024;

/// A name that B does not have.
const OTHER_NAME: &str = "m.example";

/// Who trusts whom.
struct Setting {
    roots: Vec<CertificateDer<'static>>,
    identity: Identity,
}

impl Setting {
    fn new(config: &Config) -> Result<Self, WireError> {
        let random = Stream::new(config.seed, "certificates");
        let material = || Material {
            key: random.bytes(),
            serial: random.bytes(),
        };
        let start = OffsetDateTime::from_unix_timestamp_nanos(i128::from(EPOCH.0))
            .map_err(|_| CertError::Key)?;
        let years = Validity {
            from: start - DAY * 365,
            until: start + DAY * 3650,
        };
        let authority = Authority::from_material("Layerwise Demo CA", years, &material())?;
        let roots = vec![authority.certificate().clone()];
        let mut months = Validity {
            from: start - DAY * 30,
            until: start + DAY * 60,
        };
        let address = Host::B.address().to_string();
        let mut names = vec![SERVER_NAME, &address];
        let identity = material();
        let issuer = match config.server {
            Server::Genuine => authority,
            Server::UnknownAuthority => {
                Authority::from_material("Somebody Else's CA", years, &material())?
            }
            Server::WrongName => {
                names = vec![OTHER_NAME];
                authority
            }
            Server::Expired => {
                months = Validity {
                    from: start - DAY * 120,
                    until: start - DAY * 30,
                };
                authority
            }
        };
        Ok(Self {
            roots,
            identity: issuer.issue_from_material(&names, months, &identity)?,
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
    /// Who decides what becomes of the packets, if it is not the wire itself.
    middle: Option<Box<dyn Middle>>,
    failed_at: Option<u64>,
}

struct Flight {
    to: Host,
    bytes: Vec<u8>,
}

impl Log {
    fn time(&self) -> Time {
        Time(EPOCH.0 + self.now)
    }

    fn packet(&mut self, from: Host, bytes: Vec<u8>) {
        if self.middle.is_some() {
            return self.carry(from, bytes);
        }
        let Some(faults) = &mut self.faults else {
            self.packets += 1;
            let arrives = Time(EPOCH.0 + self.now + self.latency);
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

    /// Lets the one on the path decide.
    fn carry(&mut self, from: Host, bytes: Vec<u8>) {
        let now = self.time();
        let Some(middle) = &mut self.middle else {
            return;
        };
        self.packets += 1;
        let carried = middle.carry(from, now, &bytes);
        let latency = self.latency;
        let arrives = |carried: &Carried| {
            let delay = u64::try_from(carried.delay.as_nanos()).unwrap_or(u64::MAX);
            Time(now.0.saturating_add(latency).saturating_add(delay))
        };
        self.seen.push_back(Seen::Packet(Packet {
            id: self.packets,
            from,
            sent: now,
            arrives: carried
                .iter()
                .find(|carried| carried.to == from.other())
                .map(arrives),
            link: Link::Ip,
            hop: 0,
            kernel: None,
            bytes,
            before: None,
            touched: Vec::new(),
        }));
        for carried in carried {
            let arrives = arrives(&carried);
            let (to, bytes) = (carried.to, carried.bytes);
            self.fly(arrives, Flight { to, bytes });
        }
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
            self.fly(arrives, Flight { to, bytes });
        }
    }

    fn keys(&mut self, host: Host, keys: &KeyLines) {
        let time = self.time();
        for line in keys.take() {
            if self.keys.insert(line.clone()) {
                if let Some(middle) = &mut self.middle {
                    middle.key(&line);
                }
                if let Some(faults) = &mut self.faults {
                    faults.key(&line);
                }
                self.seen.push_back(Seen::Key { host, time, line });
            }
        }
    }

    fn chat(&mut self, host: Host, what: Happening) {
        if let Happening::Fails(error) = &what {
            self.fail(WireError::Chat {
                host,
                error: error.clone(),
            });
        }
        let time = self.time();
        self.seen.push_back(Seen::Chat { host, time, what });
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
    interface: Interface,
    sockets: SocketSet<'static>,
    tcp: SocketHandle,
    device: Queue,
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
        let mut setup = Setup::default()
            .deterministic(Arc::new(seeded::provider()), Arc::new(Stopped))
            .key_log(Arc::clone(&keys) as Arc<dyn rustls::KeyLog>);
        if config.tls12 {
            setup = setup.allow_tls12();
        }
        let peer = random
            .within(|| match host {
                Host::A => {
                    let name = ServerName::try_from(SERVER_NAME)
                        .map_err(|error| ChatError::Tls(error.to_string()))?;
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

        let mut device = Queue {
            mtu: config.mtu,
            arrived: VecDeque::new(),
            leaving: VecDeque::new(),
        };
        let mut settings = iface::Config::new(HardwareAddress::Ip);
        settings.random_seed = u64::from_be_bytes(random.bytes());
        let mut interface = Interface::new(settings, &mut device, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            // There is room for one address in a list that was just made.
            let _ = addresses.push(IpCidr::new(IpAddress::from(host.address()), 32));
        });
        interface
            .routes_mut()
            .add_default_ipv4_route(host.other().address())
            .map_err(|error| tcp_error(host, "adding the route", &error))?;

        let buffer = |bytes| tcp::SocketBuffer::new(vec![0; bytes]);
        let (receive, pause) = match host {
            Host::A => (TCP_BUFFER, None),
            Host::B => (config.buffer, config.pause.as_ref()),
        };
        let mut socket = tcp::Socket::new(buffer(receive), buffer(TCP_BUFFER));
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(None);
        socket.set_congestion_control(tcp::CongestionControl::Reno);
        if host == Host::B {
            socket
                .listen(PORT)
                .map_err(|error| tcp_error(host, "listening", &error))?;
        }
        let mut sockets = SocketSet::new(Vec::new());
        let tcp = sockets.add(socket);
        Ok(Self {
            host,
            texts: Texts::new(host, script),
            peer,
            keys,
            // A port from the range for private use (RFC 6335, section 6).
            port: 49_152 + u16::from_be_bytes(random.bytes()) % 16_384,
            random,
            interface,
            sockets,
            tcp,
            device,
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
        let to = (IpAddress::from(self.host.other().address()), PORT);
        let port = self.port;
        let context = self.interface.context();
        self.sockets
            .get_mut::<tcp::Socket<'_>>(self.tcp)
            .connect(context, to, port)
            .map_err(|error| tcp_error(self.host, "connecting", &error))
    }

    fn socket(&mut self) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(self.tcp)
    }

    /// Whether nothing but time-wait is left.
    fn is_done(&self) -> bool {
        let socket = self.sockets.get::<tcp::Socket<'_>>(self.tcp);
        matches!(socket.state(), tcp::State::Closed | tcp::State::TimeWait)
    }

    /// When TCP wants to run again without a packet: always later than `now`.
    fn timer(&mut self, now: u64) -> Option<u64> {
        if self.is_done() {
            return None;
        }
        let at = self.interface.poll_at(instant(now), &self.sockets)?;
        let at = u64::try_from(at.total_micros()).unwrap_or(0);
        // A TCP that wants to run at once has just done so, except at the very start.
        let soonest = if now == 0 { 0 } else { now + 1000 };
        Some(at.saturating_mul(1000).max(soonest))
    }

    /// When its application reads again, if it is not reading now.
    fn wakes(&self, now: u64) -> Option<u64> {
        self.pause.contains(&now).then_some(self.pause.end)
    }

    /// Lets the host run: take in what has arrived, let the application answer, send.
    fn turn(&mut self, log: &mut Log) {
        let at = instant(log.now);
        self.interface.poll_maintenance(at);
        while self
            .interface
            .poll_ingress_single(at, &mut self.device, &mut self.sockets)
            != PollIngressSingleResult::None
        {}
        if !self.connected {
            // A's ACK ends TCP's handshake and goes before any data; B's SYN goes before it is connected.
            if self.host == Host::A || !self.socket().may_send() {
                self.send(log);
            }
            if !self.socket().may_send() {
                let refused = self.socket().state() == tcp::State::Closed;
                if refused && !self.ended {
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
        // It fails when the connection is over and all is read.
        let ending = loop {
            let read = self.socket().recv(|data| {
                bytes.extend_from_slice(data);
                (data.len(), data.len())
            });
            match read {
                Ok(1..) => {}
                Err(tcp::RecvError::InvalidState) => break Ending::Reset,
                Ok(_) | Err(tcp::RecvError::Finished) => break Ending::Fin,
            }
        };
        if !self.failed {
            let peer = &mut self.peer;
            let result = self.random.within(|| peer.receive(&bytes));
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
        if !self.socket().may_recv() && !self.ended {
            self.end(ending, log);
        }
    }

    /// TCP has nothing more for the application.
    fn end(&mut self, ending: Ending, log: &mut Log) {
        self.ended = true;
        log.chat(self.host, Happening::Ended(ending));
        let result = self.peer.eof();
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
            let socket = self.sockets.get_mut::<tcp::Socket<'_>>(self.tcp);
            // TCP takes nothing when its buffer is full, or the connection is gone.
            let Ok(taken @ 1..) = socket.send_slice(outgoing) else {
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
        loop {
            let result =
                self.interface
                    .poll_egress(instant(log.now), &mut self.device, &mut self.sockets);
            let mut idle = result == PollResult::None;
            while let Some(bytes) = self.device.leaving.pop_front() {
                log.packet(self.host, bytes);
                idle = false;
            }
            if idle {
                break;
            }
        }
    }
}

/// smoltcp counts microseconds.
fn instant(now: u64) -> Instant {
    Instant::from_micros(i64::try_from(now / 1000).unwrap_or(i64::MAX))
}

fn tcp_error(host: Host, tried: &str, error: &dyn core::fmt::Display) -> WireError {
    WireError::Tcp {
        host,
        what: format!("{tried}: {error}"),
    }
}

/// A network card: packets that have arrived, packets that are to leave.
struct Queue {
    mtu: usize,
    arrived: VecDeque<Vec<u8>>,
    leaving: VecDeque<Vec<u8>>,
}

struct Arrived(Vec<u8>);

struct Leaving<'q>(&'q mut VecDeque<Vec<u8>>);

impl phy::Device for Queue {
    type RxToken<'q> = Arrived;
    type TxToken<'q> = Leaving<'q>;

    fn receive(&mut self, _: Instant) -> Option<(Arrived, Leaving<'_>)> {
        let packet = self.arrived.pop_front()?;
        Some((Arrived(packet), Leaving(&mut self.leaving)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Leaving<'_>> {
        Some(Leaving(&mut self.leaving))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        capabilities
    }
}

impl phy::RxToken for Arrived {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl phy::TxToken for Leaving<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let mut packet = vec![0; len];
        let result = write(&mut packet);
        self.0.push_back(packet);
        result
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests;
