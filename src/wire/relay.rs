//! The wire between two hosts with network devices of their own: what leaves one device is shown, decided about, carried
//! over the links and through the routers, and put into the other.

use core::cmp::Reverse;
use core::time::Duration;
use std::collections::BinaryHeap;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::unistd::{read, write};

use super::kernel::{Log, Shared, poll};
use super::router::{Numbered, Path, Routed, framed, is_carried, mac};
use super::{ETHERNET_HEADER, Host, Link, Packet, Policy, Seen, Verdict, WireError};
use crate::layers::tcp_info::TcpInfo;
use crate::packet::Time;

/// So many packets are taken from one host before the other has its turn.
const TURN: usize = 64;

/// The longest frame there can be.
const LONGEST: usize = ETHERNET_HEADER + 65_535;

/// How often it is looked whether both connections are closed, once both hosts have said all.
const LINGER: Duration = Duration::from_millis(1);

/// Our end of a host's network device.
#[derive(Debug)]
pub(super) struct Port {
    /// Frames are read from it and written to it; does not block.
    pub(super) fd: OwnedFd,
    /// Whether it carries Ethernet although the link is to show IP alone: its headers are taken off and put on here.
    pub(super) bare: bool,
}

/// What the wire is like.
pub(super) struct Plan {
    pub(super) link: Link,
    pub(super) hops: usize,
    /// How long a packet takes from one host to the other.
    pub(super) latency: Duration,
    pub(super) max_time: Duration,
}

/// A frame on a link.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Moving {
    due: Time,
    /// Counted: of two that are due at once, the first to be put on goes first.
    order: u64,
    hop: usize,
    to_b: bool,
    frame: Numbered,
}

/// The wire at work.
pub(super) struct Relay<'r> {
    ports: [Port; 2],
    log: &'r Log,
    shared: &'r Shared,
    path: Path,
    link: Link,
    /// How long a packet is on one link, in nanoseconds.
    latency: u64,
    policy: Option<Policy>,
    max_time: Duration,
    moving: BinaryHeap<Reverse<Moving>>,
    /// Frames that were put on a link so far.
    count: u64,
    /// Packets, each counted once.
    packets: u64,
    /// What the kernels knew when it was shown last.
    known: [TcpInfo; 2],
}

impl<'r> Relay<'r> {
    pub(super) fn new(ports: [Port; 2], plan: &Plan, policy: Option<Policy>, log: &'r Log) -> Self {
        let links = plan.hops as u64 + 1;
        let latency = u64::try_from(plan.latency.as_nanos()).unwrap_or(u64::MAX);
        Self {
            ports,
            log,
            shared: &log.shared,
            path: Path::new(plan.link, plan.hops),
            link: plan.link,
            latency: latency / links,
            policy,
            max_time: plan.max_time,
            moving: BinaryHeap::new(),
            count: 0,
            packets: 0,
            known: [TcpInfo::default(); 2],
        }
    }

    /// Carries until both hosts have said all (`players` is closed) and their connections are over.
    pub(super) fn run(mut self, players: UnixStream) -> Result<(), WireError> {
        let mut buffer = vec![0; LONGEST];
        let mut playing = true;
        loop {
            let now = self.shared.clock.now();
            let due = self
                .moving
                .peek()
                .map(|Reverse(next)| Duration::from_nanos(next.due.since(now)));
            let left = self.max_time.saturating_sub(self.shared.clock.running());
            let timeout = due.unwrap_or(left).min(left);
            let timeout = if playing {
                timeout
            } else {
                timeout.min(LINGER)
            };
            let [stop, a, b, over] = self.wait(&players, playing, timeout)?;
            if stop {
                return Ok(());
            }
            playing &= !over;
            for (ready, host) in [(a, Host::A), (b, Host::B)] {
                if ready {
                    self.take(host, &mut buffer)?;
                }
            }
            self.carry()?;
            if !playing && self.moving.is_empty() && self.shared.is_closed() {
                return Ok(());
            }
            if left.is_zero() {
                return Err(WireError::TooLong {
                    time: self.max_time,
                    packets: self.packets,
                });
            }
        }
    }

    /// Waits, and says of whom there is something: that all shall end, A's device, B's, that the hosts have said all.
    fn wait(
        &self,
        players: &UnixStream,
        playing: bool,
        timeout: Duration,
    ) -> Result<[bool; 4], WireError> {
        let [a, b] = &self.ports;
        let mut fds = [
            PollFd::new(self.shared.stop_fd(), PollFlags::POLLIN),
            PollFd::new(a.fd.as_fd(), PollFlags::POLLIN),
            PollFd::new(b.fd.as_fd(), PollFlags::POLLIN),
            PollFd::new(players.as_fd(), PollFlags::POLLIN),
        ];
        // A descriptor whose other end is closed would be ready for ever.
        let watched = if playing {
            &mut fds[..]
        } else {
            fds.split_at_mut(3).0
        };
        poll(watched, Some(timeout))?;
        Ok(fds.map(|fd| fd.any().unwrap_or(false)))
    }

    fn port(&self, host: Host) -> &Port {
        let [a, b] = &self.ports;
        if host == Host::A { a } else { b }
    }

    /// Takes what a host has sent.
    fn take(&mut self, host: Host, buffer: &mut [u8]) -> Result<(), WireError> {
        for _ in 0..TURN {
            let port = self.port(host);
            let count = match read(&port.fd, buffer) {
                Ok(count) => count,
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(broken("reading from a device", errno)),
            };
            let frame = buffer.get(..count).unwrap_or(&[]);
            let bare = port.bare;
            let carried = is_carried(if bare { Link::Ethernet } else { self.link }, frame);
            let frame = if bare {
                frame.get(ETHERNET_HEADER..)
            } else {
                Some(frame)
            };
            if let Some(frame) = frame.filter(|frame| carried && is_carried(self.link, frame)) {
                let hop = self.path.first(host);
                let frame = self.number(frame.to_vec());
                self.put(hop, host.other(), frame, true);
                // At once, so that what is decided about is in the order of sending, and nothing waits for the turn's end.
                self.carry()?;
            }
        }
        Ok(())
    }

    /// A packet that was not there before.
    fn number(&mut self, bytes: Vec<u8>) -> Numbered {
        self.packets += 1;
        (self.packets, bytes)
    }

    /// Puts a frame on a link: it is shown, and decided about. `sent` says that a host has sent it just now.
    fn put(&mut self, hop: usize, to: Host, (id, bytes): Numbered, sent: bool) {
        let now = self.shared.clock.now();
        let from = to.other();
        let kernel = if sent { self.shared.kernel(from) } else { None };
        let due = Time(now.0.saturating_add(self.latency));
        let mut packet = Packet {
            id,
            from,
            sent: now,
            arrives: Some(due),
            link: self.link,
            hop,
            kernel,
            bytes,
            before: None,
            touched: Vec::new(),
        };
        let verdict = match &mut self.policy {
            Some(policy) => policy(&packet),
            None => Verdict::Pass,
        };
        packet.arrives = match verdict {
            Verdict::Pass => Some(due),
            Verdict::Drop => None,
            Verdict::Delay(by) => {
                let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
                Some(Time(due.0.saturating_add(by)))
            }
        };
        if let Some(due) = packet.arrives {
            self.count += 1;
            self.moving.push(Reverse(Moving {
                due,
                order: self.count,
                hop,
                to_b: to == Host::B,
                frame: (id, packet.bytes.clone()),
            }));
        }
        self.log.pass(Seen::Packet(packet));
        if let Some(info) = kernel {
            self.kernel(from, info);
        }
    }

    /// Shows what the kernel of a host knows, if that is worth it.
    fn kernel(&mut self, host: Host, info: TcpInfo) {
        let [a, b] = &mut self.known;
        let known = if host == Host::A { a } else { b };
        if info.differs(known) {
            *known = info;
            let time = self.shared.clock.now();
            self.log.pass(Seen::Kernel { host, time, info });
        }
    }

    /// Carries on all that has come to the end of its link.
    fn carry(&mut self) -> Result<(), WireError> {
        while let Some(Reverse(next)) = self.moving.peek() {
            if next.due > self.shared.clock.now() {
                break;
            }
            let Some(Reverse(Moving {
                hop, to_b, frame, ..
            })) = self.moving.pop()
            else {
                break;
            };
            let to = if to_b { Host::B } else { Host::A };
            let Some(next) = self.path.next(hop, to) else {
                self.deliver(to, frame.1)?;
                continue;
            };
            match self.path.route(hop, to, frame) {
                Routed::On(frame) => self.put(next, to, frame, false),
                Routed::Asks(frame) => {
                    let frame = self.number(frame);
                    self.put(next, to, frame, false);
                }
                Routed::Back(frame) => {
                    let frame = self.number(frame);
                    self.put(hop, to.other(), frame, false);
                }
                Routed::Ends => {}
            }
            // An answer by ARP lets go what waited for it.
            let from = to.other();
            for frame in self.path.released(from) {
                self.put(hop, from, frame, false);
            }
        }
        Ok(())
    }

    /// Puts a frame into a host's device.
    fn deliver(&mut self, to: Host, bytes: Vec<u8>) -> Result<(), WireError> {
        let port = self.port(to);
        let frame = if port.bare {
            framed(&bytes, mac(to), mac(to.other()))
        } else {
            bytes
        };
        match write(&port.fd, &frame) {
            Ok(_) => {}
            // As on a real wire: a host that has no room loses it.
            Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::EINTR) => {}
            Err(errno) => return Err(broken("writing to a device", errno)),
        }
        if let Some(info) = self.shared.kernel(to) {
            self.kernel(to, info);
        }
        Ok(())
    }
}

fn broken(what: &str, errno: Errno) -> WireError {
    WireError::Network {
        what: format!("{what}: {}", errno.desc()),
    }
}
