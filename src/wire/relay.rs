//! The wire between two hosts with network devices of their own: what leaves one device is shown, carried over the links
//! and through the routers, and put into the other.
//!
//! Fault rules act where a host's packet is put on its first link, and on nothing else: each packet that a host sends is
//! looked at once, as it left the host, however many links follow. Routers, and what they say themselves (ARP), are
//! spared. With one in the middle they act on A's link alone, in both directions. A packet that was changed is carried on as it is: a router throws it away if its header does not fit.

use core::cmp::Reverse;
use core::time::Duration;
use std::collections::BinaryHeap;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::unistd::{read, write};

use super::fault::{Going, Sent, Way};
use super::kernel::{Log, Shared, poll};
use super::mitm::{Leaving, Mitm};
use super::router::{Numbered, Path, Routed, framed, is_carried, mac, middle_mac, spoof, spoofed};
use super::{ETHERNET_HEADER, Host, Link, OUT_OF_STEP, Packet, Seen, WireError};
use crate::layers::tcp_info::TcpInfo;
use crate::packet::Time;

/// So many packets are taken from one host before the other has its turn.
const TURN: usize = 64;

/// After the chat has failed, one host may wait for ever for what the other does not say any more. So the wire ends when
/// nothing has passed for so long since.
const QUIET: Duration = Duration::from_secs(1);

/// And after so long in any case: hosts that an attacker has put out of step may never come to rest.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// When both programs have said goodbye, and faults keep TCP from its own end, the wire goes on for so long.
const AFTER_GOODBYE: Duration = Duration::from_secs(10);

/// When nothing has passed for so long and no host waits for an acknowledgment, nothing will.
const STANDSTILL: Duration = Duration::from_secs(5);

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
    /// Whether a host sent it, or a rule made it of what a host sent; otherwise a router did.
    from_host: bool,
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
    max_time: Duration,
    moving: BinaryHeap<Reverse<Moving>>,
    /// Frames that were put on a link so far.
    count: u64,
    /// Packets, each counted once.
    packets: u64,
    /// For how long the wire had been running when a packet was sent last.
    passed: Duration,
    /// What the kernels knew when it was shown last.
    known: [TcpInfo; 2],
    /// Who stands between the two links.
    mitm: Option<Mitm>,
    /// Whether there is one.
    in_the_middle: bool,
}

impl<'r> Relay<'r> {
    pub(super) fn new(ports: [Port; 2], plan: &Plan, mitm: Option<Mitm>, log: &'r Log) -> Self {
        let links = plan.hops as u64 + 1;
        let latency = u64::try_from(plan.latency.as_nanos()).unwrap_or(u64::MAX);
        Self {
            ports,
            log,
            shared: &log.shared,
            path: Path::new(plan.link, plan.hops),
            link: plan.link,
            latency: latency / links,
            max_time: plan.max_time,
            moving: BinaryHeap::new(),
            count: 0,
            packets: 0,
            passed: Duration::ZERO,
            known: [TcpInfo::default(); 2],
            in_the_middle: mitm.is_some(),
            mitm,
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
            let held = self.shared.faults().and_then(|faults| faults.due());
            let due = [due, held.map(|due| Duration::from_nanos(due.since(now)))]
                .into_iter()
                .flatten()
                .min();
            let left = self.max_time.saturating_sub(self.shared.clock.running());
            let elapsed = self.elapsed();
            let mitm = self.mitm.as_mut().and_then(|mitm| mitm.timer(elapsed));
            let mitm = mitm.map(|at| Duration::from_nanos(at.saturating_sub(elapsed)));
            let timeout = due.unwrap_or(left).min(left).min(mitm.unwrap_or(left));
            // Nobody wakes this thread when the chat fails.
            let timeout = timeout.min(if playing { QUIET } else { LINGER });
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
            self.let_go();
            self.carry()?;
            self.middle()?;
            if self.moving.is_empty() && self.mitm.as_ref().is_some_and(Mitm::was_left) {
                self.shared.stop();
                return Ok(());
            }
            if !playing && self.moving.is_empty() && self.shared.is_closed() {
                return Ok(());
            }
            if let Some(failed) = self.shared.failed_at() {
                let running = self.shared.clock.running();
                let quiet = running.saturating_sub(self.passed.max(failed)) >= QUIET;
                let long = running.saturating_sub(failed) >= AFTER_FAILURE;
                if long || (quiet && self.moving.is_empty()) {
                    self.shared.stop();
                    return Ok(());
                }
            }
            if let Some(error) = self.is_in_vain() {
                self.shared.stop();
                return Err(error);
            }
            if left.is_zero() {
                return Err(WireError::TooLong {
                    time: self.max_time,
                    packets: self.packets,
                });
            }
        }
    }

    /// Whether faults have brought about that nothing new comes of what passes, or that nothing passes any more.
    fn is_in_vain(&self) -> Option<WireError> {
        let (forged, chances) = {
            let faults = self.shared.faults()?;
            if !faults.has_fired() {
                return None;
            }
            (faults.has_forged(), faults.has_chances())
        };
        // This is asked with each packet, and they are wanted once.
        let rules = || self.shared.faults().map_or(Vec::new(), |f| f.fired());
        let time = self.shared.clock.running();
        let quiet = time.saturating_sub(self.shared.progress());
        // On a slow wire the same takes longer.
        let slow = Duration::from_nanos(self.latency) * 8;
        if self.shared.is_over() {
            // What goes on by chance, the kernel sees to its end.
            let lingers = !chances && quiet > AFTER_GOODBYE + slow;
            return lingers.then(|| WireError::Lingers {
                time: quiet,
                rules: rules(),
            });
        }
        let still = time.saturating_sub(self.passed.max(self.shared.progress()));
        if still > STANDSTILL + slow && self.moving.is_empty() && self.shared.waits_for_nothing() {
            let time = time.saturating_sub(still);
            return Some(WireError::Stalled {
                time,
                rules: rules(),
            });
        }
        let long = quiet > OUT_OF_STEP + slow || time >= self.max_time;
        (forged && !chances && long).then(|| WireError::Vain {
            time,
            quiet,
            rules: rules(),
        })
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
                self.send(host, frame.to_vec());
                // At once, so that rules see packets in the order of sending, and nothing waits for the turn's end.
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

    /// A host has sent a frame: it is put on the first link, with what rules do to it.
    fn send(&mut self, from: Host, bytes: Vec<u8>) {
        self.passed = self.shared.clock.running();
        let kernel = self.shared.kernel(from);
        if self.in_the_middle && from == Host::B {
            let frame = self.number(bytes);
            self.put_from(self.path.first(from), Host::A, false, kernel, frame);
        } else {
            self.send_with_faults(from, self.path.first(from), kernel, bytes);
        }
        if let Some(info) = kernel {
            self.kernel(from, info);
        }
    }

    /// Puts a frame on a host's first link, or that of the one in the middle on A's, with what rules do to it.
    fn send_with_faults(
        &mut self,
        from: Host,
        hop: usize,
        kernel: Option<TcpInfo>,
        bytes: Vec<u8>,
    ) {
        let now = self.shared.clock.now();
        let way = Way {
            now,
            latency: self.latency,
            from,
            link: self.link,
        };
        let going = match self.shared.faults() {
            Some(mut faults) => faults.send(way, &mut self.packets, bytes),
            None => {
                let (id, bytes) = self.number(bytes);
                vec![Going::Packet(Sent {
                    id,
                    from,
                    arrives: Some(self.due(now)),
                    bytes,
                    before: None,
                    touched: Vec::new(),
                })]
            }
        };
        for going in going {
            match going {
                Going::Packet(sent) => {
                    let made = sent.touched.iter().any(|touch| touch.deed.is_made());
                    if let Some(due) = sent.arrives {
                        self.launch(hop, from.other(), true, due, (sent.id, sent.bytes.clone()));
                    }
                    self.log.pass(Seen::Packet(Packet {
                        id: sent.id,
                        from,
                        sent: now,
                        arrives: sent.arrives,
                        link: self.link,
                        hop,
                        kernel: kernel.filter(|_| !made),
                        bytes: sent.bytes,
                        before: sent.before,
                        touched: sent.touched,
                    }));
                }
                Going::Released {
                    id,
                    to,
                    arrives,
                    bytes,
                } => {
                    self.release(hop, to, arrives, now, (id, bytes));
                }
            }
        }
    }

    /// Lets go what rules have held back for too long.
    fn let_go(&mut self) {
        let now = self.shared.clock.now();
        let going = match self.shared.faults() {
            Some(mut faults) if faults.due().is_some_and(|due| due <= now) => faults.overdue(now),
            _ => return,
        };
        for going in going {
            if let Going::Released {
                id,
                to,
                arrives,
                bytes,
            } = going
            {
                let hop = if self.in_the_middle {
                    0
                } else {
                    self.path.first(to.other())
                };
                self.release(hop, to, arrives, now, (id, bytes));
            }
        }
    }

    /// What was held back goes on.
    fn release(&mut self, hop: usize, to: Host, arrives: Time, time: Time, frame: Numbered) {
        let id = frame.0;
        self.launch(hop, to, true, arrives, frame);
        self.log.pass(Seen::Released { id, time, arrives });
    }

    /// Puts a frame on a further link, or on a router's first.
    fn put(&mut self, hop: usize, to: Host, from_host: bool, frame: Numbered) {
        self.put_from(hop, to, from_host, None, frame);
    }

    /// The same, with what the kernel knew that sent it.
    fn put_from(
        &mut self,
        hop: usize,
        to: Host,
        from_host: bool,
        kernel: Option<TcpInfo>,
        (id, bytes): Numbered,
    ) {
        let now = self.shared.clock.now();
        let due = self.due(now);
        self.launch(hop, to, from_host, due, (id, bytes.clone()));
        self.log.pass(Seen::Packet(Packet {
            id,
            from: to.other(),
            sent: now,
            arrives: Some(due),
            link: self.link,
            hop,
            kernel,
            bytes,
            before: None,
            touched: Vec::new(),
        }));
    }

    /// When what is put on a link arrives at its end.
    fn due(&self, now: Time) -> Time {
        Time(now.0.saturating_add(self.latency))
    }

    fn launch(&mut self, hop: usize, to: Host, from_host: bool, due: Time, frame: Numbered) {
        self.count += 1;
        self.moving.push(Reverse(Moving {
            due,
            order: self.count,
            hop,
            to_b: to == Host::B,
            from_host,
            frame,
        }));
    }

    /// Counts the fate of a frame that a host sent, or that was made of one: it has arrived, or it is lost on the way.
    fn fate(&self, from_host: bool, arrived: bool) {
        if let Some(mut faults) = self.shared.faults().filter(|_| from_host) {
            if arrived {
                faults.arrived();
            } else {
                faults.lost();
            }
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
                hop,
                to_b,
                from_host,
                frame,
                ..
            })) = self.moving.pop()
            else {
                break;
            };
            let to = if to_b { Host::B } else { Host::A };
            let Some(next) = self.path.next(hop, to) else {
                let arrived = self.deliver(to, frame.1)?;
                self.fate(from_host, arrived);
                continue;
            };
            if let Some(mitm) = &mut self.mitm {
                if let Some(mut faults) = self.shared.faults().filter(|_| from_host) {
                    faults.arrived();
                }
                let from = to.other();
                if self.link == Link::Ip {
                    mitm.arrived(from, frame.1);
                } else if let Some(answer) = spoof(&frame.1, from) {
                    let answer = self.number(answer);
                    self.put(hop, from, false, answer);
                } else if let Some(packet) = spoofed(&frame.1, from) {
                    mitm.arrived(from, packet.to_vec());
                }
                self.middle()?;
                continue;
            }
            match self.path.route(hop, to, frame) {
                Routed::On(frame) => self.put(next, to, from_host, frame),
                Routed::Asks(frame) => {
                    let frame = self.number(frame);
                    self.put(next, to, false, frame);
                }
                Routed::Back(frame) => {
                    self.fate(from_host, true);
                    let frame = self.number(frame);
                    self.put(hop, to.other(), false, frame);
                }
                Routed::Told(frame) => {
                    self.fate(from_host, false);
                    let frame = self.number(frame);
                    self.put(hop, to.other(), false, frame);
                }
                Routed::Taken => self.fate(from_host, true),
                Routed::Lost => self.fate(from_host, false),
            }
            // An answer by ARP lets go what waited for it.
            let from = to.other();
            for frame in self.path.released(from) {
                self.put(hop, from, true, frame);
            }
        }
        Ok(())
    }

    /// Nanoseconds since the start.
    fn elapsed(&self) -> u64 {
        self.shared.clock.now().since(self.shared.clock.started())
    }

    /// Lets the one in the middle run, and takes what leaves it.
    fn middle(&mut self) -> Result<(), WireError> {
        let Some(mut mitm) = self.mitm.take() else {
            return Ok(());
        };
        let result = mitm.turn(self.elapsed());
        while let Some(leaving) = mitm.next() {
            match leaving {
                Leaving::Packet(to, bytes) => {
                    // It stands at the far end of a host's first link.
                    let hop = self.path.first(to);
                    let bytes = match self.link {
                        Link::Ip => bytes,
                        Link::Ethernet => framed(&bytes, mac(to), middle_mac(to)),
                    };
                    if to == Host::A {
                        self.send_with_faults(Host::B, hop, None, bytes);
                    } else {
                        let frame = self.number(bytes);
                        self.put(hop, to, false, frame);
                    }
                }
                Leaving::Key(host, line) => self.log.key(host, line),
            }
        }
        self.mitm = Some(mitm);
        result
    }

    /// Puts a frame into a host's device, and says whether there was room for it.
    fn deliver(&mut self, to: Host, bytes: Vec<u8>) -> Result<bool, WireError> {
        let port = self.port(to);
        let frame = if port.bare {
            framed(&bytes, mac(to), mac(to.other()))
        } else {
            bytes
        };
        let arrived = loop {
            match write(&port.fd, &frame) {
                Ok(_) => break true,
                // The device throws it away: a fault has made something of it that is neither IP nor a whole frame.
                Err(Errno::EINVAL) => break true,
                // As on a real wire: a host that has no room loses it.
                Err(Errno::EAGAIN | Errno::ENOBUFS) => break false,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(broken("writing to a device", errno)),
            }
        };
        if let Some(info) = self.shared.kernel(to) {
            self.kernel(to, info);
        }
        Ok(arrived)
    }
}

fn broken(what: &str, errno: Errno) -> WireError {
    WireError::Network {
        what: format!("{what}: {}", errno.desc()),
    }
}
