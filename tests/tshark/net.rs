//! Two hosts, each in a network namespace of its own with the kernel's own TCP/IP, and a wire between them that loses,
//! doubles, delays and records packets.

use std::collections::BinaryHeap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use nix::sched::{CloneFlags, unshare};
use tun_tap::{Iface, Mode};

use crate::common::Random;

type Job = Box<dyn FnOnce() + Send>;

/// A host: a thread in a network namespace of its own. Sockets and programs that are started on it stay there.
pub(crate) struct Host {
    jobs: Sender<Job>,
}

impl Host {
    /// With that address, and a route to the peer's. Gives the host's end of the wire as well.
    fn new(address: String, peer: String) -> Result<(Self, Iface), String> {
        let (jobs, todo) = channel::<Job>();
        let (ready, is_ready) = channel();
        thread::spawn(move || {
            let prepared = prepare(&address, &peer);
            let failed = prepared.is_err();
            ready.send(prepared).ok();
            while let Some(job) = (!failed).then(|| todo.recv().ok()).flatten() {
                job();
            }
        });
        let wire = is_ready.recv().unwrap()?;
        Ok((Self { jobs }, wire))
    }

    /// Does something on this host and waits for the result.
    pub(crate) fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = channel();
        let job = move || {
            done.send(job()).ok();
        };
        self.jobs.send(Box::new(job)).unwrap();
        result.recv().unwrap()
    }
}

fn prepare(address: &str, peer: &str) -> Result<Iface, String> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|e| format!("no network namespace: {e}"))?;
    // Neighbour discovery and the like would only be noise.
    let v6 = address.contains(':');
    for which in ["all", "default"] {
        let file = format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6");
        std::fs::write(&file, if v6 { "0" } else { "1" }).map_err(|e| format!("{file}: {e}"))?;
    }
    let wire = Iface::without_packet_info("lw0", Mode::Tun).map_err(|e| format!("no TUN: {e}"))?;
    let nodad = if v6 { " nodad" } else { "" };
    for command in [
        "link set lo up".to_owned(),
        "link set lw0 txqueuelen 5000".to_owned(),
        format!("addr add {address} dev lw0{nodad}"),
        "link set lw0 up".to_owned(),
        format!("route replace {peer} dev lw0"),
    ] {
        let output = Command::new("ip").args(command.split(' ')).output();
        let output = output.map_err(|e| format!("the program ip: {e}"))?;
        if !output.status.success() {
            return Err(format!(
                "ip {command}: {}",
                String::from_utf8_lossy(&output.stderr)
            ));
        }
    }
    Ok(wire)
}

/// What happens to packets on the wire, in percent, for each direction: from A, from B.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Policy {
    pub(crate) lost: [usize; 2],
    pub(crate) doubled: [usize; 2],
    /// So many are held up, and so overtaken by those behind them.
    pub(crate) late: [usize; 2],
    pub(crate) late_by: Duration,
    /// How long every packet takes.
    pub(crate) delay: Duration,
    pub(crate) seed: u64,
}

/// What was recorded at A: the time since the epoch in nanoseconds, and the packet.
pub(crate) type Recording = Vec<(u64, Vec<u8>)>;

/// Two hosts and the wire between them.
pub(crate) struct Net {
    pub(crate) a: Host,
    pub(crate) b: Host,
    stop: Arc<AtomicBool>,
    relay: JoinHandle<Recording>,
}

impl Net {
    /// Over IPv4: A is 10.9.0.1, B is 10.9.0.2. Over IPv6: fd09::1 and fd09::2.
    pub(crate) fn new(policy: Policy, v6: bool) -> Result<Self, String> {
        let [a, b] = [1, 2].map(|end| {
            if v6 {
                format!("fd09::{end}")
            } else {
                format!("10.9.0.{end}")
            }
        });
        let (host_a, wire_a) = Host::new(a.clone(), b.clone())?;
        let (host_b, wire_b) = Host::new(b, a)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let relay = thread::spawn(move || carry([wire_a, wire_b], &policy, &stopped));
        Ok(Self {
            a: host_a,
            b: host_b,
            stop,
            relay,
        })
    }

    /// Ends the recording.
    pub(crate) fn finish(self) -> Recording {
        self.stop.store(true, Ordering::Relaxed);
        self.relay.join().unwrap()
    }
}

/// A packet under way: ordered by when it is due, the earliest the greatest.
#[derive(PartialEq, Eq)]
struct Due(Instant, u64, usize, Vec<u8>);

impl Ord for Due {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (other.0, other.1).cmp(&(self.0, self.1))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Carries packets between the two wires, and goes on until it is stopped and nothing has come for a while.
fn carry(wires: [Iface; 2], policy: &Policy, stop: &AtomicBool) -> Recording {
    let wires = wires.map(Arc::new);
    let (heard, hear) = channel();
    for (from, wire) in wires.iter().enumerate() {
        // Ends with the program: nothing wakes up who waits for a packet.
        let (wire, heard) = (Arc::clone(wire), heard.clone());
        thread::spawn(move || {
            let mut room = vec![0; 65536];
            while let Ok(len) = wire.recv(&mut room) {
                if heard.send((from, room[..len].to_vec())).is_err() {
                    break;
                }
            }
        });
    }
    let mut random = Random(policy.seed | 1);
    let mut recording = Recording::new();
    let mut under_way = BinaryHeap::new();
    let mut count = 0;
    let mut record = |packet: &[u8]| {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        recording.push((now.as_nanos() as u64, packet.to_vec()));
    };
    let mut quiet_since = Instant::now();
    loop {
        let now = Instant::now();
        while under_way.peek().is_some_and(|due: &Due| due.0 <= now) {
            let Due(_, _, to, packet) = under_way.pop().unwrap();
            if to == 0 {
                record(&packet);
            }
            wires[to].send(&packet).ok();
        }
        let most = Duration::from_millis(20);
        let wait = under_way
            .peek()
            .map_or(most, |due| due.0.saturating_duration_since(now).min(most));
        if let Ok((from, packet)) = hear.recv_timeout(wait) {
            quiet_since = Instant::now();
            if from == 0 {
                record(&packet);
            }
            let mut dice = |percent: [usize; 2]| random.below(100) < percent[from];
            if dice(policy.lost) {
                continue;
            }
            let copies = 1 + usize::from(dice(policy.doubled));
            let late = if dice(policy.late) {
                policy.late_by
            } else {
                Duration::ZERO
            };
            for _ in 0..copies {
                count += 1;
                let due = Instant::now() + policy.delay + late;
                under_way.push(Due(due, count, 1 - from, packet.clone()));
            }
        }
        let over = stop.load(Ordering::Relaxed) && under_way.is_empty();
        if over && quiet_since.elapsed() > Duration::from_millis(60) {
            return recording;
        }
    }
}

/// Gives both ends of a recording addresses of their own: `net` stands in the middle of each.
pub(crate) fn readdress(recording: &mut Recording, net: u8) {
    for (_, packet) in recording {
        let v6 = packet[0] >> 4 == 6;
        let (places, sums): ([usize; 2], Vec<usize>) = match (v6, packet[0] & 0xf) {
            (true, _) => ([9, 25], vec![40 + 16]),
            (false, words) => ([14, 18], vec![10, usize::from(words) * 4 + 16]),
        };
        let is_tcp = packet[if v6 { 6 } else { 9 }] == 6;
        for place in places {
            // The changed byte is the upper or the lower half of a 16-bit word of the sums (RFC 1624).
            let old = std::mem::replace(&mut packet[place], net);
            let change = |byte: u8| {
                if place % 2 == 0 {
                    u32::from(byte) << 8
                } else {
                    u32::from(byte)
                }
            };
            for sum in sums.iter().filter(|sum| is_tcp || **sum == 10) {
                let before =
                    !u32::from(u16::from_be_bytes([packet[*sum], packet[sum + 1]])) & 0xffff;
                let mut after = before + (!change(old) & 0xffff) + change(net);
                while after > 0xffff {
                    after = (after & 0xffff) + (after >> 16);
                }
                packet[*sum..sum + 2].copy_from_slice(&(!(after as u16)).to_be_bytes());
            }
        }
    }
}

/// Writes a recording as a pcap file with nanoseconds, link type raw IP.
pub(crate) fn write(path: &Path, packets: &[(u64, Vec<u8>)]) {
    let mut file = Vec::new();
    for word in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 262_144, 101] {
        file.extend(word.to_le_bytes());
    }
    for (time, packet) in packets {
        let (seconds, nanos) = (time / 1_000_000_000, time % 1_000_000_000);
        for word in [
            seconds as u32,
            nanos as u32,
            packet.len() as u32,
            packet.len() as u32,
        ] {
            file.extend(word.to_le_bytes());
        }
        file.extend(packet);
    }
    std::fs::write(path, file).unwrap();
}
