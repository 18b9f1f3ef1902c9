//! The loopback wire: client and server on `localhost:8080`, over `lo`, watched through pnet.
//!
//! ```text
//!  client 127.0.0.1:ephemeral ──▶ lo ──▶ 127.0.0.1:8080 server
//!                                 │
//!                                 └──▶ packet socket ──▶ pnet
//! ```
//!
//! It runs in a network namespace of its own where it can have one: there nothing else speaks, the port is free, and `lo` is
//! told to behave like a real link (MTU 1500, no segmentation offload). Otherwise it runs on the machine's own `lo`, which takes the right to a
//! packet socket; there packets may be as long as 64 KiB.
//!
//! `lo` shows each packet twice, when it leaves and when it arrives; only the second is taken. The TCP checksums are partial:
//! `lo` says that its hardware will complete them, and since no bit can flip on the way, nobody ever does.

use core::time::Duration;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{IntoRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use pnet::datalink::{self, Channel, DataLinkReceiver, NetworkInterface};

use super::ground::{Network, gain_rights_safely};
use super::kernel::{self, Log, Part, Setting, Stage};
use super::refusal::{Refusal, Step};
use super::router::is_carried;
use super::{ETHERNET_HEADER, Host, Link, Packet, Script, Seen, Wire, WireError};
use crate::layers::tcp_info::TcpInfo;
use crate::packet::Time;
use crate::reason::reason;
use crate::sys::device::{Device, Offload, dropped, packet_socket};

/// The name of the server, and of this host.
pub const SERVER_NAME: &str = "localhost";

/// The smallest MTU of `lo` that is of use: every IPv4 host must take datagrams of this size (RFC 791, section 3.1).
pub const MIN_MTU: usize = 576;

/// The largest, and that of `lo` by itself.
pub const MAX_MTU: usize = 65_536;

/// What the wire is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The server's port.
    pub port: u16,
    /// The longest IP packet, in bytes: [`MIN_MTU`] to [`MAX_MTU`]. Holds only in a namespace of its own.
    pub mtu: usize,
    /// Whether frames are shown from the Ethernet header on which `lo` puts in front of each: all zeros but for the type.
    pub link: Link,
    /// The wire gives up after so much time. Ten minutes unless told otherwise.
    pub max_time: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            port: super::PORT,
            mtu: 1500,
            link: Link::Ip,
            max_time: Duration::from_secs(600),
        }
    }
}

/// Whose `lo` it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// That of a namespace of its own.
    Own,
    /// The machine's, since a namespace was refused.
    Machine(Refusal),
}

/// The wire at work: an iterator over all that is to be seen.
#[derive(Debug)]
pub struct Loopback {
    stage: Stage,
    place: Place,
}

impl Loopback {
    /// Sets up client and server and lets them begin.
    ///
    /// Without root's rights this process enters a user namespace and stays in it; then it must not have a second thread
    /// when this is first called.
    ///
    /// # Errors
    /// When something in `config` is out of range, a text of the script cannot be said, or the system refuses a step.
    pub fn new(config: &Config, script: &Script) -> Result<Self, WireError> {
        if !(MIN_MTU..=MAX_MTU).contains(&config.mtu) {
            return Err(WireError::Mtu {
                mtu: config.mtu,
                min: MIN_MTU,
                max: MAX_MTU,
            });
        }
        script.check()?;
        let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, config.port);
        let setting = Setting::new(&[SERVER_NAME, &to.ip().to_string()], None)?;
        let own = gain_rights_safely().and_then(|()| Network::new());
        let (ground, place, network) = match own {
            Ok(network) => {
                let ground = network.within(|| {
                    settle(config.mtu)?;
                    Ground::new(to)
                });
                (ground?, Place::Own, Some(network))
            }
            Err(refusal) => match Ground::new(to) {
                Ok(ground) => (ground, Place::Machine(refusal), None),
                Err(taken)
                    if taken.step == Step::TcpSocket && taken.errno == Errno::EADDRINUSE as i32 =>
                {
                    return Err(WireError::PortTaken { port: config.port });
                }
                Err(instead) => {
                    return Err(WireError::Refused {
                        refusal,
                        instead: Some(instead),
                    });
                }
            },
        };
        let Ground {
            client,
            server,
            watcher,
        } = ground;
        let (mut stage, log) = kernel::stage(None)?;
        let (players, playing) = kernel::pair()?;
        let watch = watcher.watch(config, players)?;
        stage.spawn("wire", &log, move |log| {
            let result = watch.run(log);
            drop(network);
            result
        })?;
        for (host, socket) in [(Host::B, server), (Host::A, client)] {
            let part = Part::new(
                host,
                script,
                &setting,
                SERVER_NAME,
                kernel::Terms::default(),
            )?;
            let done = playing.try_clone().map_err(Refusal::at(Step::TcpSocket))?;
            let to = (host == Host::A).then_some(to);
            let name = if host == Host::A { "host A" } else { "host B" };
            stage.spawn(name, &log, move |log| part.play(socket, to, log, done))?;
        }
        Ok(Self { stage, place })
    }

    /// When its clock began to count: before anything was sent.
    #[must_use]
    pub fn started(&self) -> Time {
        self.stage.started()
    }

    /// Whose `lo` it is.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }
}

impl Iterator for Loopback {
    type Item = Result<Seen, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.stage.next()
    }
}

impl Wire for Loopback {
    fn is_ready(&mut self) -> bool {
        self.stage.is_ready()
    }

    fn unseen(&self) -> u64 {
        self.stage.unseen()
    }
}

/// Makes the `lo` of this thread's namespace behave like a real link.
fn settle(mtu: usize) -> Result<(), Refusal> {
    let lo = Device::named("lo").map_err(Refusal::at(Step::Device))?;
    lo.set_mtu(mtu)
        .and_then(|()| lo.switch_off(Offload::Tso))
        .and_then(|()| lo.switch_off(Offload::Gso))
        .map_err(Refusal::at(Step::Device))
}

/// The sockets, all made in one namespace.
struct Ground {
    client: OwnedFd,
    server: OwnedFd,
    watcher: Watcher,
}

impl Ground {
    fn new(to: SocketAddrV4) -> Result<Self, Refusal> {
        let watcher = Watcher::new()?;
        Ok(Self {
            client: kernel::tcp_socket()?,
            server: kernel::listener(to, None)?,
            watcher,
        })
    }
}

/// A packet socket on `lo`, in the hands of pnet.
struct Watcher {
    receiver: Box<dyn DataLinkReceiver>,
    /// The same socket once more, to ask it what it has lost.
    socket: OwnedFd,
}

/// pnet waits so long for a packet before it looks whether all shall end.
const PATIENCE: Duration = Duration::from_millis(10);

/// The longest frame on `lo`.
const LONGEST: usize = 70_000;

impl Watcher {
    fn new() -> Result<Self, Refusal> {
        let refuse = Refusal::at::<std::io::Error>(Step::PacketSocket);
        let lo = Device::named("lo").and_then(|lo| lo.index());
        let index = lo.map_err(Refusal::at(Step::Device))?;
        let ours = packet_socket(index).map_err(Refusal::at(Step::PacketSocket))?;
        let socket = ours.try_clone().map_err(&refuse)?;
        let interface = NetworkInterface {
            name: "lo".to_owned(),
            description: String::new(),
            index: index as u32,
            mac: None,
            ips: Vec::new(),
            flags: 0,
        };
        let config = datalink::Config {
            read_buffer_size: LONGEST,
            read_timeout: Some(PATIENCE),
            promiscuous: false,
            // Owned by pnet from here on; it closes it, also when it fails.
            socket_fd: Some(ours.into_raw_fd()),
            ..datalink::Config::default()
        };
        match datalink::channel(&interface, config).map_err(&refuse)? {
            Channel::Ethernet(_, receiver) => Ok(Self { receiver, socket }),
            _ => Err(Refusal::new(Step::PacketSocket, Errno::EPROTO)),
        }
    }

    fn watch(self, config: &Config, players: UnixStream) -> Result<Watch, WireError> {
        players
            .set_nonblocking(true)
            .map_err(Refusal::at(Step::TcpSocket))?;
        Ok(Watch {
            watcher: self,
            port: config.port,
            link: config.link,
            max_time: config.max_time,
            players,
            packets: 0,
            known: [TcpInfo::default(); 2],
        })
    }
}

/// Watches what passes on `lo` until both hosts have said all.
struct Watch {
    watcher: Watcher,
    port: u16,
    link: Link,
    max_time: Duration,
    players: UnixStream,
    packets: u64,
    /// What the kernel knew of each end when it was shown last.
    known: [TcpInfo; 2],
}

impl Watch {
    fn run(mut self, log: &Log) -> Result<(), WireError> {
        let shared = &log.shared;
        let mut stop = [nix::poll::PollFd::new(
            shared.stop_fd(),
            nix::poll::PollFlags::POLLIN,
        )];
        loop {
            // Asked before the last look, so that nothing that led to it is missed.
            let over = self.is_over() && shared.is_closed();
            match self.watcher.receiver.next() {
                Ok(frame) => {
                    let time = shared.clock.now();
                    if let Some(from) = sender(frame, self.port) {
                        let kernel = shared.kernel(from);
                        let start = if self.link == Link::Ip {
                            ETHERNET_HEADER
                        } else {
                            0
                        };
                        self.packets += 1;
                        log.pass(Seen::Packet(Packet {
                            id: self.packets,
                            from,
                            sent: time,
                            arrives: Some(time),
                            link: self.link,
                            hop: 0,
                            kernel,
                            bytes: frame.get(start..).unwrap_or(&[]).to_vec(),
                            before: None,
                            touched: Vec::new(),
                        }));
                        self.show(log, from, kernel);
                        self.show(log, from.other(), shared.kernel(from.other()));
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                    if over {
                        break;
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(WireError::Network {
                        what: format!("watching lo: {}", reason(&error)),
                    });
                }
            }
            kernel::poll(&mut stop, Some(Duration::ZERO))?;
            if stop.iter().any(|stop| stop.any() == Some(true)) {
                break;
            }
            if shared.clock.running() > self.max_time {
                return Err(WireError::TooLong {
                    time: self.max_time,
                    packets: self.packets,
                });
            }
        }
        shared.lose_sight(dropped(&self.watcher.socket).unwrap_or(0).into());
        Ok(())
    }

    /// Whether both hosts have said all.
    fn is_over(&self) -> bool {
        use std::io::Read;
        let mut nothing = [0];
        matches!((&self.players).read(&mut nothing), Ok(0))
    }

    fn show(&mut self, log: &Log, host: Host, info: Option<TcpInfo>) {
        let [a, b] = &mut self.known;
        let known = if host == Host::A { a } else { b };
        if let Some(info) = info.filter(|info| info.differs(known)) {
            *known = info;
            let time = log.shared.clock.now();
            log.pass(Seen::Kernel { host, time, info });
        }
    }
}

/// Who sent a frame, if it is a TCP segment to or from our port.
fn sender(frame: &[u8], port: u16) -> Option<Host> {
    let packet = frame.get(ETHERNET_HEADER..)?;
    let header = usize::from(packet.first()? & 15) * 4;
    let tcp = packet.get(9) == Some(&6) && is_carried(Link::Ethernet, frame);
    let ports = packet.get(header..).filter(|_| tcp)?.first_chunk::<4>()?;
    let [a, b, c, d] = *ports;
    if u16::from_be_bytes([c, d]) == port {
        Some(Host::A)
    } else {
        (u16::from_be_bytes([a, b]) == port).then_some(Host::B)
    }
}

/// Tries what watching takes.
pub(super) fn try_watch() -> Result<(), Refusal> {
    Network::new()?.within(|| Watcher::new().map(drop))
}
