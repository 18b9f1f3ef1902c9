//! How fast the wires over Linux's own TCP/IP are: `cargo bench --bench wires`, as root.
//!
//! - bulk: messages of 1 MiB through TLS, and what that is in packets and bits on the wire; everything is taken from the
//!   wire, once only counted, once also decoded;
//! - turns: short messages, each answered before the next: from the application to the other application and back;
//! - rtt: what the kernel itself measures, the smallest and the middle of its smoothed round-trip times.
#![allow(clippy::unwrap_used, reason = "a benchmark may fail by panicking")]

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("the wires over the kernel's own TCP/IP are Linux's alone");
}

#[cfg(target_os = "linux")]
fn main() {
    linux::main();
}

#[cfg(target_os = "linux")]
mod linux {
    use std::time::{Duration, Instant};

    use layerwise::packet::Frame;
    use layerwise::session::Session;
    use layerwise::wire::loopback::{self, Loopback};
    use layerwise::wire::tun::{self, Tun};
    use layerwise::wire::{Link, Script, Seen, Wire};

    const BULK: usize = 128;
    const TURNS: usize = 2000;

    pub(super) fn main() {
        println!(
            "{:<22} {:>12} {:>12} {:>12} {:>11} {:>11} {:>9} {:>9} {:>8}",
            "wire",
            "bulk Mbit/s",
            "packets/s",
            "…decoded",
            "turns/s",
            "µs a turn",
            "rtt min",
            "rtt mid",
            "unseen"
        );
        let tun = |change: fn(&mut tun::Config)| {
            move |script: &Script| -> Box<dyn Wire> {
                let mut config = tun::Config {
                    latency: Duration::ZERO,
                    ..tun::Config::default()
                };
                change(&mut config);
                Box::new(Tun::new(&config, script).unwrap())
            }
        };
        measure("tun", tun(|_| ()));
        measure("tun, mtu 9000", tun(|config| config.mtu = 9000));
        measure("tun, ethernet", tun(|config| config.link = Link::Ethernet));
        measure("tun, 2 routers", tun(|config| config.hops = 2));
        measure("loopback", |script| {
            Box::new(Loopback::new(&loopback::Config::default(), script).unwrap())
        });
    }

    fn measure(name: &str, wire: impl Fn(&Script) -> Box<dyn Wire>) {
        let script = |text: String, count| Script {
            messages: vec![text; count],
            reply: "y".to_owned(),
        };
        let bulk = script("x".repeat(1 << 20), BULK);
        let counted = play(wire(&bulk), false);
        let decoded = play(wire(&bulk), true);
        let mut turns = play(wire(&script("x".to_owned(), TURNS)), false);
        turns.rtts.sort_unstable();
        let rtt = |at: usize| turns.rtts.get(at).copied().unwrap_or(0);
        let second = |play: &Play, n: f64| n / play.took.as_secs_f64();
        println!(
            "{name:<22} {:>12.0} {:>12.0} {:>12.0} {:>11.0} {:>11.1} {:>9} {:>9} {:>8}",
            second(&counted, counted.bytes as f64 * 8e-6),
            second(&counted, counted.packets as f64),
            second(&decoded, decoded.packets as f64),
            second(&turns, TURNS as f64),
            turns.took.as_secs_f64() * 1e6 / TURNS as f64,
            format!("{} µs", rtt(0)),
            format!("{} µs", rtt(turns.rtts.len() / 2)),
            counted.unseen + decoded.unseen,
        );
    }

    #[derive(Default)]
    struct Play {
        took: Duration,
        packets: u64,
        bytes: u64,
        rtts: Vec<u32>,
        unseen: u64,
    }

    fn play(mut wire: Box<dyn Wire>, decode: bool) -> Play {
        let mut played = Play::default();
        let mut sessions = [Session::new(), Session::new(), Session::new()];
        let start = Instant::now();
        for seen in wire.by_ref() {
            match seen.unwrap() {
                Seen::Packet(packet) => {
                    played.packets = played.packets.max(packet.id);
                    if packet.kernel.is_some() {
                        played.bytes += packet.bytes.len() as u64;
                    }
                    let rtt = packet.kernel.map_or(0, |info| info.rtt);
                    played.rtts.extend(Some(rtt).filter(|rtt| *rtt > 0));
                    let frame = Frame {
                        number: packet.id,
                        time: packet.sent,
                        link: packet.link.link_type(),
                        wire_len: packet.bytes.len() as u32,
                        data: &packet.bytes,
                    };
                    if let (true, Some(session)) = (decode, sessions.get_mut(packet.hop)) {
                        session.push_with(frame, packet.kernel.as_ref());
                    }
                }
                Seen::Key { line, .. } => {
                    for session in &mut sessions {
                        session.keylog_line(&line).unwrap();
                    }
                }
                Seen::Chat { .. } | Seen::Kernel { .. } | Seen::Released { .. } => {}
            }
        }
        played.took = start.elapsed();
        played.unseen = wire.unseen();
        played
    }
}
