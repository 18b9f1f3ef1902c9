//! A TCP/IP stack in this process (smoltcp) with one connection: packets in, packets out, no clock of its own.

use core::fmt::Display;
use std::collections::VecDeque;
use std::net::Ipv4Addr;

use smoltcp::iface::{
    self, Interface, PollIngressSingleResult, PollResult, SocketHandle, SocketSet,
};
use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

/// The stack. Times are nanoseconds since the start of its wire.
pub(super) struct Stack {
    interface: Interface,
    sockets: SocketSet<'static>,
    tcp: SocketHandle,
    device: Queue,
}

/// What a stack is like.
pub(super) struct Settings {
    /// Its own address.
    pub(super) address: Ipv4Addr,
    /// The other end's, to which all routes lead.
    pub(super) other: Ipv4Addr,
    pub(super) mtu: usize,
    /// What its numbers are chosen by.
    pub(super) seed: u64,
    /// How much it keeps for its application, and of what is to be sent, in bytes.
    pub(super) buffers: [usize; 2],
}

/// What was tried, and what the stack said.
pub(super) struct Refused(pub(super) String);

impl Refused {
    fn at<E: Display>(tried: &str) -> impl FnOnce(E) -> Self {
        move |error| Self(format!("{tried}: {error}"))
    }
}

impl Stack {
    pub(super) fn new(settings: &Settings) -> Result<Self, Refused> {
        let mut device = Queue {
            mtu: settings.mtu,
            arrived: VecDeque::new(),
            leaving: VecDeque::new(),
        };
        let mut config = iface::Config::new(HardwareAddress::Ip);
        config.random_seed = settings.seed;
        let mut interface = Interface::new(config, &mut device, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            // There is room for one address in a list that was just made.
            let _ = addresses.push(IpCidr::new(IpAddress::from(settings.address), 32));
        });
        interface
            .routes_mut()
            .add_default_ipv4_route(settings.other)
            .map_err(Refused::at("adding the route"))?;
        let [receive, send] = settings
            .buffers
            .map(|bytes| tcp::SocketBuffer::new(vec![0; bytes]));
        let mut socket = tcp::Socket::new(receive, send);
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(None);
        socket.set_congestion_control(tcp::CongestionControl::Reno);
        let mut sockets = SocketSet::new(Vec::new());
        let tcp = sockets.add(socket);
        Ok(Self {
            interface,
            sockets,
            tcp,
            device,
        })
    }

    pub(super) fn listen(&mut self, port: u16) -> Result<(), Refused> {
        self.socket().listen(port).map_err(Refused::at("listening"))
    }

    /// Wants the connection; the SYN goes with the next [`Stack::send`].
    pub(super) fn connect(&mut self, to: (Ipv4Addr, u16), from: u16) -> Result<(), Refused> {
        let context = self.interface.context();
        self.sockets
            .get_mut::<tcp::Socket<'_>>(self.tcp)
            .connect(context, (IpAddress::from(to.0), to.1), from)
            .map_err(Refused::at("connecting"))
    }

    pub(super) fn socket(&mut self) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(self.tcp)
    }

    /// Whether nothing but time-wait is left.
    pub(super) fn is_done(&self) -> bool {
        let socket = self.sockets.get::<tcp::Socket<'_>>(self.tcp);
        matches!(socket.state(), tcp::State::Closed | tcp::State::TimeWait)
    }

    /// Whether there is no connection, nor one begun.
    pub(super) fn is_closed(&self) -> bool {
        self.sockets.get::<tcp::Socket<'_>>(self.tcp).state() == tcp::State::Closed
    }

    /// When TCP wants to run again without a packet: always later than `now`.
    pub(super) fn timer(&mut self, now: u64) -> Option<u64> {
        if self.is_done() {
            return None;
        }
        let at = self.interface.poll_at(instant(now), &self.sockets)?;
        let at = u64::try_from(at.total_micros()).unwrap_or(0);
        // A TCP that wants to run at once has just done so, except at the very start.
        let soonest = if now == 0 { 0 } else { now + 1000 };
        Some(at.saturating_mul(1000).max(soonest))
    }

    /// A packet has come; it is taken in with the next [`Stack::take_in`].
    pub(super) fn arrived(&mut self, packet: Vec<u8>) {
        self.device.arrived.push_back(packet);
    }

    /// Takes in what has come.
    pub(super) fn take_in(&mut self, now: u64) {
        let at = instant(now);
        self.interface.poll_maintenance(at);
        while self
            .interface
            .poll_ingress_single(at, &mut self.device, &mut self.sockets)
            != PollIngressSingleResult::None
        {}
    }

    /// Lets TCP send all it may: `each` gets the packets.
    pub(super) fn send(&mut self, now: u64, mut each: impl FnMut(Vec<u8>)) {
        loop {
            let result =
                self.interface
                    .poll_egress(instant(now), &mut self.device, &mut self.sockets);
            let mut idle = result == PollResult::None;
            while let Some(bytes) = self.device.leaving.pop_front() {
                each(bytes);
                idle = false;
            }
            if idle {
                break;
            }
        }
    }

    /// Adds to `bytes` what TCP has for the application.
    pub(super) fn receive(&mut self, bytes: &mut Vec<u8>) {
        // It fails when the other side has closed and all is read.
        while let Ok(1..) = self.socket().recv(|data| {
            bytes.extend_from_slice(data);
            (data.len(), data.len())
        }) {}
    }

    /// Whether the connection was reset, once nothing more can be received: after a FIN the stack still knows it.
    pub(super) fn is_reset(&mut self) -> bool {
        self.socket().recv(|_| (0, ())) == Err(tcp::RecvError::InvalidState)
    }
}

/// smoltcp counts microseconds.
fn instant(now: u64) -> Instant {
    Instant::from_micros(i64::try_from(now / 1000).unwrap_or(i64::MAX))
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
