//! The TUN wire: Linux's own TCP/IP in two network namespaces, a TUN device in each, and this program as the wire between
//! them. No `ip` command, no trace on the machine's own network, and with user namespaces no root either.
//!
//! ```text
//!  namespace A                                      namespace B
//!  1.2.3.4 ── TUN ══ fd ── this program ── fd ══ TUN ── 5.6.7.8
//! ```
//!
//! Time, initial sequence numbers, ports and all of TLS are real: every run differs. How it differs from the memory wire:
//! Linux offers SACK and sends timestamps, so that a TCP header has 32 bytes; its shortest retransmission timeout is 0.2 s;
//! it acknowledges more often at the start of a connection.
//!
//! Where there is no TUN, a pair of virtual Ethernet devices serves for each host ([`Carrier::Veth`]).

use core::time::Duration;
use std::net::SocketAddrV4;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use tun_tap::{Iface, Mode};

use super::fault::{Fates, Faults, Report, Rule};
use super::ground::{Network, gain_rights_safely};
use super::kernel::{self, Part, Setting, Stage, Terms};
use super::mitm::{self, Mitm, Notebook, Server};
use super::refusal::{Refusal, Step};
use super::relay::{Plan, Port, Relay};
use super::router::{gateway, mac};
use super::{Host, Link, MAX_HOPS, PORT, SERVER_NAME, Script, Seen, Wire, WireError, netlink};
use crate::packet::Time;
use crate::sys::device::{Device, Offload, descriptor, packet_socket};

/// The smallest MTU: every IPv4 host must take datagrams of this size (RFC 791, section 3.1).
pub const MIN_MTU: usize = 576;

/// The largest: a TUN device takes no more.
pub const MAX_MTU: usize = 65_521;

/// The longest latency one way.
pub const MAX_LATENCY: Duration = Duration::from_secs(60);

/// So many packets may wait in a device; with the usual 500 some are lost in bulk without a word.
const QUEUE: u32 = 10_000;

/// What the wire is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The longest IP packet, in bytes: [`MIN_MTU`] to [`MAX_MTU`]. 1500 unless told otherwise.
    pub mtu: usize,
    /// How long a packet takes from one host to the other: 0 to [`MAX_LATENCY`], divided among the links. 5 ms unless told
    /// otherwise, as in the memory wire; with 0 it is as fast as the kernel and this program are.
    pub latency: Duration,
    /// Where frames begin: with [`Link::Ethernet`] the hosts find each other by ARP, over TAP devices.
    pub link: Link,
    /// How many routers there are between the hosts: 0 to [`MAX_HOPS`].
    pub hops: usize,
    /// The wire gives up after so much time. Ten minutes unless told otherwise.
    pub max_time: Duration,
    /// Somebody in the middle who shows this certificate to A. Nobody unless told otherwise; then there are no routers.
    pub mitm: Option<Server>,
    /// Whether A checks the certificate that it is shown. It does unless told otherwise.
    pub verify: bool,
    /// Whether both ends also accept TLS 1.2. They do not unless told otherwise.
    pub tls12: bool,
    /// Whether they chat without TLS. They do not unless told otherwise.
    pub plain: bool,
    /// How much TCP keeps at B for its application, in bytes; what the system chooses unless told otherwise.
    pub buffer: Option<usize>,
    /// How long B's application does not read, once the chat can begin. It reads at once unless told otherwise.
    pub pause: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mtu: 1500,
            latency: Duration::from_millis(5),
            link: Link::Ip,
            hops: 0,
            max_time: Duration::from_secs(600),
            mitm: None,
            verify: true,
            tls12: false,
            plain: false,
            buffer: None,
            pause: None,
        }
    }
}

/// What carries the packets between this program and the hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carrier {
    /// A TUN or TAP device for each host.
    Tun,
    /// A pair of virtual Ethernet devices for each host, since TUN was refused.
    Veth(Refusal),
}

/// The wire at work: an iterator over all that is to be seen.
#[derive(Debug)]
pub struct Tun {
    stage: Stage,
    carrier: Carrier,
    notebook: Option<Notebook>,
}

impl Tun {
    /// Sets up both hosts and lets them begin.
    ///
    /// Without root's rights this process enters a user namespace and stays in it; then it must not have a second thread
    /// when this is first called.
    ///
    /// # Errors
    /// When something in `config` is out of range, a text of the script cannot be said, or the system refuses a step.
    pub fn new(config: &Config, script: &Script) -> Result<Self, WireError> {
        Self::with_faults(config, script, Vec::new(), 0)
    }

    /// The same with faults on it. Rules act on each packet once, where its host puts it on its first link; routers and
    /// what they say are spared. What is left to chance follows from `seed`, and from the packets that there are: the
    /// seed reaches nothing else.
    ///
    /// # Errors
    /// As [`Tun::new`].
    pub fn with_faults(
        config: &Config,
        script: &Script,
        rules: Vec<Rule>,
        seed: u64,
    ) -> Result<Self, WireError> {
        check(config)?;
        script.check()?;
        let setting = Setting::new(&[SERVER_NAME, &Host::B.address().to_string()], config.mitm)?;
        let mitm = setting.forged.as_ref().map(|forged| {
            let plan = mitm::Plan::with(config.mtu, forged, &setting.roots).map_err(|error| {
                WireError::Chat {
                    host: Host::A,
                    error,
                }
            })?;
            Mitm::new(plan)
        });
        let mitm = mitm.transpose()?;
        let notebook = mitm.as_ref().map(Mitm::notes);
        gain_rights_safely()?;
        let ground = Ground::new(config)?;
        let [a, b] = &ground.networks;
        // Nothing is sent, and nothing done to what is sent, where there is anything that this wire has not made.
        a.holds_only(&[DEVICE])?;
        b.holds_only(&[DEVICE])?;
        let to = SocketAddrV4::new(Host::B.address(), PORT);
        let sockets = [
            a.within(kernel::tcp_socket)?,
            b.within(|| kernel::listener(to, config.buffer))?,
        ];
        let (mut stage, log) =
            kernel::stage((!rules.is_empty()).then(|| Faults::new(rules, seed)))?;
        let (players, playing) = kernel::pair()?;
        let plan = Plan {
            link: config.link,
            // One in the middle stands where a router would.
            hops: if mitm.is_some() { 1 } else { config.hops },
            latency: config.latency,
            max_time: config.max_time,
        };
        let (ports, networks) = (ground.ports, ground.networks);
        stage.spawn("wire", &log, move |log| {
            let result = Relay::new(ports, &plan, mitm, log).run(players);
            drop(networks);
            result
        })?;
        let terms = Terms {
            plain: config.plain,
            insecure: !config.verify,
            tls12: config.tls12,
            pause: config.pause,
        };
        for (host, socket) in [Host::B, Host::A]
            .into_iter()
            .zip(sockets.into_iter().rev())
        {
            let part = Part::new(host, script, &setting, SERVER_NAME, terms)?;
            let done = playing.try_clone().map_err(Refusal::at(Step::TcpSocket))?;
            let to = (host == Host::A).then_some(to);
            let name = if host == Host::A { "host A" } else { "host B" };
            stage.spawn(name, &log, move |log| part.play(socket, to, log, done))?;
        }
        Ok(Self {
            stage,
            carrier: ground.carrier,
            notebook,
        })
    }

    /// When its clock began to count: before anything was sent.
    #[must_use]
    pub fn started(&self) -> Time {
        self.stage.started()
    }

    /// What the one in the middle sees of the chats, if there is one.
    #[must_use]
    pub fn notebook(&self) -> Option<Notebook> {
        self.notebook.as_ref().map(Notebook::clone)
    }

    /// What carries the packets.
    #[must_use]
    pub fn carrier(&self) -> &Carrier {
        &self.carrier
    }
}

impl Iterator for Tun {
    type Item = Result<Seen, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.stage.next()
    }
}

impl Wire for Tun {
    fn is_ready(&mut self) -> bool {
        self.stage.is_ready()
    }

    fn unseen(&self) -> u64 {
        self.stage.unseen()
    }

    fn faults(&self) -> Option<(Fates, Vec<Report>)> {
        self.stage.faults()
    }
}

fn check(config: &Config) -> Result<(), WireError> {
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
    if config.hops > MAX_HOPS {
        return Err(WireError::Hops {
            hops: config.hops,
            max: MAX_HOPS,
        });
    }
    Ok(())
}

/// Two hosts with a device each, and our ends of the devices.
pub(super) struct Ground {
    pub(super) networks: [Network; 2],
    pub(super) ports: [Port; 2],
    carrier: Carrier,
}

impl Ground {
    pub(super) fn new(config: &Config) -> Result<Self, WireError> {
        let [a, b] = [Network::new()?, Network::new()?];
        let tuns = [(&a, Host::A), (&b, Host::B)].map(|(network, host)| {
            network.within(|| {
                let port = tun(config.link)?;
                let ethernet = config.link == Link::Ethernet;
                set_up(host, config, ethernet, ethernet)?;
                Ok(port)
            })
        });
        let (ports, carrier) = match tuns {
            [Ok(a), Ok(b)] => ([a, b], Carrier::Tun),
            [Err(refusal), _] | [_, Err(refusal)] if refusal.is_about_tun() => {
                let ports = veths([&a, &b], config).map_err(|instead| WireError::Refused {
                    refusal: refusal.clone(),
                    instead: Some(instead),
                })?;
                (ports, Carrier::Veth(refusal))
            }
            [Err(refusal), _] | [_, Err(refusal)] => return Err(refusal.into()),
        };
        Ok(Self {
            networks: [a, b],
            ports,
            carrier,
        })
    }
}

/// What a host's device is called: each has a namespace of its own.
const DEVICE: &str = "net0";

/// Makes a TUN device in this thread's namespace, or a TAP device for Ethernet.
fn tun(link: Link) -> Result<Port, Refusal> {
    // The crate opens it, too, but does not say which of its two steps failed.
    let opened = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun");
    drop(opened.map_err(Refusal::at(Step::OpenTun))?);
    let mode = match link {
        Link::Ip => Mode::Tun,
        Link::Ethernet => Mode::Tap,
    };
    let device = Iface::without_packet_info(DEVICE, mode).map_err(Refusal::at(Step::MakeTun))?;
    let fd = descriptor(device);
    fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(Refusal::at(Step::MakeTun))?;
    Ok(Port { fd, bare: false })
}

/// Makes a pair of virtual Ethernet devices for each host, and packet sockets on our ends of them.
fn veths(hosts: [&Network; 2], config: &Config) -> Result<[Port; 2], Refusal> {
    let ours = Network::new()?;
    let bare = config.link == Link::Ip;
    let [a, b] = hosts;
    let [a, b] = [(Host::A, a), (Host::B, b)].map(|(host, network)| {
        let near = if host == Host::A { "a" } else { "b" };
        let device = ours.within(|| {
            netlink::make_veth(near, DEVICE, network.fd())?;
            let device = Device::named(near).map_err(Refusal::at(Step::Device))?;
            device
                .set_mtu(config.mtu)
                .and_then(|()| device.up(false))
                .map_err(Refusal::at(Step::Device))?;
            Ok(device)
        })?;
        network.within(|| {
            let far = Device::named(DEVICE).map_err(Refusal::at(Step::Device))?;
            // Otherwise its packets were longer than the MTU, and their checksums left to hardware that is not there.
            for offload in [
                Offload::Tso,
                Offload::Gso,
                Offload::TxChecksum,
                Offload::ScatterGather,
            ] {
                far.switch_off(offload).map_err(Refusal::at(Step::Device))?;
            }
            set_up(host, config, true, !bare)
        })?;
        let fd = ours.within(|| {
            let index = device.index().map_err(Refusal::at(Step::Device))?;
            packet_socket(index).map_err(Refusal::at(Step::PacketSocket))
        })?;
        Ok(Port { fd, bare })
    });
    let ports = [a?, b?];
    ours.holds_only(&["a", "b"])?;
    Ok(ports)
}

/// Tries what a TUN device takes.
pub(super) fn try_tun() -> Result<(), Refusal> {
    Network::new()?.within(|| tun(Link::Ip).map(drop))
}

/// Tries what a pair of virtual Ethernet devices takes.
pub(super) fn try_veth() -> Result<(), Refusal> {
    let [a, b] = [Network::new()?, Network::new()?];
    veths([&a, &b], &Config::default()).map(drop)
}

/// Gives a host's device its addresses and switches it on.
fn set_up(host: Host, config: &Config, ethernet: bool, arp: bool) -> Result<(), Refusal> {
    let set = || {
        let device = Device::named(DEVICE)?;
        device.set_mtu(config.mtu)?;
        netlink::set_queue(DEVICE, QUEUE)?;
        if ethernet {
            device.set_mac(mac(host))?;
        }
        let routed = config.link == Link::Ethernet && config.hops > 0;
        if routed {
            // Its gateway is a neighbour; everything else is behind that.
            device.set_address(host.address(), 24)?;
        } else {
            device.set_address(host.address(), 32)?;
            device.set_peer(host.other().address())?;
        }
        device.up(arp)?;
        if routed {
            device.add_default_route(gateway(host))?;
        }
        Ok(())
    };
    set().map_err(Refusal::at::<nix::errno::Errno>(Step::Device))
}
