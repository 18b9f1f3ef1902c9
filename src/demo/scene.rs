//! The scene of the demonstration: which wire, who its hosts are, and what is said about it. Whatever was asked for and
//! this wire cannot do is refused here.

#[cfg(target_os = "linux")]
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::{DemoError, attack, mitm, name};
use crate::cli;
use crate::cli::demo::Wire as Kind;
use crate::packet::Time;
use crate::view::words::Hosts;
use crate::wire::fault::Rule;
use crate::wire::memory::{self, Memory};
use crate::wire::mitm::Notebook;
use crate::wire::{Host, PORT, Script, Wire};
#[cfg(target_os = "linux")]
use crate::wire::{Link, loopback, tun};

/// A wire that is set up, and what the screen says about it.
pub(super) struct Scene {
    pub(super) wire: Box<dyn Wire>,
    pub(super) hosts: Hosts,
    /// Times are shown from here on.
    pub(super) origin: Time,
    /// How many links there are from A to B.
    pub(super) links: usize,
    /// The wire's name, as it was asked for.
    pub(super) kind: &'static str,
    /// The server's port.
    pub(super) port: u16,
    /// The glossary key of the title.
    pub(super) title: &'static str,
    /// That of what is said below it.
    pub(super) legend: &'static str,
    /// What is to be known about this wire.
    pub(super) words: Vec<Words>,
    /// What somebody in the middle writes down.
    pub(super) notebook: Option<Notebook>,
}

/// A sentence of the glossary, and what fills it in.
pub(super) struct Words {
    pub(super) key: &'static str,
    pub(super) detail: String,
    pub(super) number: u64,
}

impl Words {
    fn new(key: &'static str) -> Self {
        Self {
            key,
            detail: String::new(),
            number: 0,
        }
    }
}

/// Sets up what the arguments ask for.
pub(super) fn set(demo: &cli::Demo, script: &Script) -> Result<Scene, DemoError> {
    let kind = demo.wire.unwrap_or_default();
    refuse(demo, kind)?;
    attack::refuse(demo, kind)?;
    match kind {
        Kind::Memory => memory(demo, script),
        #[cfg(target_os = "linux")]
        Kind::Tun => tun(demo, script),
        #[cfg(target_os = "linux")]
        Kind::Loopback => loopback(demo, script),
        #[cfg(not(target_os = "linux"))]
        Kind::Tun | Kind::Loopback => Err(DemoError::Usage(
            "--wire tun and --wire loopback need Linux: here the demonstration runs over --wire memory, with the same \
             chat and the same layers"
                .to_owned(),
        )),
    }
}

/// Refuses what was asked for and does not hold on this wire.
fn refuse(demo: &cli::Demo, kind: Kind) -> Result<(), DemoError> {
    use Kind::{Loopback, Memory, Tun};
    let asked = [
        (
            "--seed",
            // What rules leave to chance may follow from it.
            demo.seed.is_some()
                && (kind == Loopback || demo.fault.is_empty() && !demo.attack.tamper),
            &[Memory][..],
            "the kernel's sequence numbers, ports and TLS's keys are really random",
        ),
        (
            "--latency",
            demo.latency.is_some(),
            &[Memory, Tun],
            "on lo a packet arrives at once",
        ),
        (
            "--link",
            demo.link.is_some(),
            &[Tun, Loopback],
            "its packets begin with IP: there is no link below",
        ),
        (
            "--hops",
            demo.hops.is_some(),
            &[Tun],
            "there is nothing between its hosts",
        ),
        (
            "--fault",
            !demo.fault.is_empty(),
            &[Tun, Memory],
            "packets on lo do not pass through this program's hands, it only watches them",
        ),
        (
            "--port",
            demo.port.is_some(),
            &[Loopback],
            "its hosts are its own, so port 8080 is always free",
        ),
    ];
    for (option, given, wires, why) in asked {
        if given && !wires.contains(&kind) {
            let (this, that) = (
                wire_name(kind),
                wires.first().copied().map_or("", wire_name),
            );
            return Err(DemoError::Usage(format!(
                "{option} does not hold for --wire {this}: {why}. Leave it out, or take --wire {that}"
            )));
        }
    }
    Ok(())
}

/// The wire's name, as one asks for it.
pub(super) fn wire_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Memory => "memory",
        Kind::Tun => "tun",
        Kind::Loopback => "loopback",
    }
}

fn memory(demo: &cli::Demo, script: &Script) -> Result<Scene, DemoError> {
    let default = memory::Config::default();
    let latency = demo.latency.unwrap_or(default.latency);
    // It reads the handshake and the beginning of the text, and then nothing for a while.
    let slow = demo.attack.slow_reader.is_some();
    let pause = slow.then(|| {
        let start = latency * 5 + Duration::from_millis(1);
        start..start + Duration::from_secs(4)
    });
    let config = memory::Config {
        seed: seed(demo),
        mtu: mtu(demo),
        latency,
        max_time: demo.max_time.unwrap_or(default.max_time),
        plain: demo.attack.no_tls,
        mitm: demo.attack.mitm.map(mitm::server),
        verify: !demo.attack.insecure,
        tls12: demo.attack.downgrade.is_some(),
        buffer: if slow {
            attack::SMALL_BUFFER
        } else {
            default.buffer
        },
        pause,
        ..default
    };
    let wire = Memory::new(&config, script)?.with_faults(rules(demo)?);
    Ok(Scene {
        notebook: wire.notebook(),
        wire: Box::new(wire),
        hosts: two_hosts(),
        origin: memory::EPOCH,
        links: if config.mitm.is_some() { 2 } else { 1 },
        kind: wire_name(Kind::Memory),
        port: PORT,
        title: title(demo),
        legend: legend(demo),
        words: in_the_middle(demo),
    })
}

/// The most bytes of an IP packet.
pub(super) fn mtu(demo: &cli::Demo) -> usize {
    // With TLS 1.2 in it, too, A's offer is longer; it can be edited in one piece.
    let default = if demo.attack.downgrade.is_some() {
        2000
    } else {
        1500
    };
    demo.mtu.unwrap_or(default) as usize
}

fn seed(demo: &cli::Demo) -> u64 {
    demo.seed.unwrap_or(1)
}

/// What is to be done to packets.
fn rules(demo: &cli::Demo) -> Result<Vec<Rule>, DemoError> {
    let own = attack::rules(&demo.attack).iter().copied();
    let rules = own.chain(demo.fault.iter().map(String::as_str));
    rules
        .map(Rule::parse)
        .collect::<Result<_, _>>()
        .map_err(|error| DemoError::Usage(format!("--fault: {error}")))
}

/// What is to be known about rules and views where somebody is in the middle.
fn in_the_middle(demo: &cli::Demo) -> Vec<Words> {
    let mut words = Vec::new();
    if demo.attack.mitm.is_some() {
        if !demo.fault.is_empty() {
            words.push(Words::new("say.mitm.faults"));
        }
        if demo.sides || demo.ladder || demo.plot {
            words.push(Words::new("say.mitm.both"));
        }
    }
    words
}

fn title(demo: &cli::Demo) -> &'static str {
    if demo.attack.no_tls {
        "say.demo.title.plain"
    } else if demo.attack.downgrade.is_some() {
        "say.demo.title.downgrade"
    } else if demo.attack.mitm.is_some() {
        "say.demo.title.mitm"
    } else {
        "say.demo.title"
    }
}

fn legend(demo: &cli::Demo) -> &'static str {
    if demo.attack.no_tls {
        "say.demo.legend.plain"
    } else if demo.attack.mitm.is_some() {
        "say.demo.legend.mitm"
    } else {
        "say.demo.legend"
    }
}

/// A and B, each with an address of its own.
fn two_hosts() -> Hosts {
    let named = [Host::A, Host::B].map(|host| (host.address().into(), name(host)));
    Hosts::new(named.to_vec())
}

#[cfg(target_os = "linux")]
fn link(demo: &cli::Demo) -> Link {
    match demo.link.unwrap_or_default() {
        cli::demo::Link::Ip => Link::Ip,
        cli::demo::Link::Ethernet => Link::Ethernet,
    }
}

#[cfg(target_os = "linux")]
fn tun(demo: &cli::Demo, script: &Script) -> Result<Scene, DemoError> {
    let default = tun::Config::default();
    let slow = demo.attack.slow_reader.is_some();
    let config = tun::Config {
        mtu: mtu(demo),
        latency: demo.latency.unwrap_or(default.latency),
        link: link(demo),
        hops: demo.hops.unwrap_or(0),
        max_time: demo
            .max_time
            .or_else(|| attack::patience(&demo.attack))
            .unwrap_or(default.max_time),
        plain: demo.attack.no_tls,
        mitm: demo.attack.mitm.map(mitm::server),
        verify: !demo.attack.insecure,
        tls12: demo.attack.downgrade.is_some(),
        buffer: slow.then_some(attack::SMALL_BUFFER),
        pause: slow.then_some(Duration::from_millis(2500)),
    };
    let wire = tun::Tun::with_faults(&config, script, rules(demo)?, seed(demo))?;
    let mut words = vec![match (wire.carrier(), config.link) {
        (tun::Carrier::Tun, Link::Ip) => Words::new("say.demo.wire.tun"),
        (tun::Carrier::Tun, Link::Ethernet) => Words::new("say.demo.wire.tap"),
        (tun::Carrier::Veth(why), _) => Words {
            detail: why.to_string(),
            ..Words::new("say.demo.wire.veth")
        },
    }];
    if config.hops > 0 {
        words.push(Words {
            number: config.hops as u64,
            ..Words::new("say.demo.wire.hops")
        });
    }
    words.push(Words::new("say.demo.wire.differs"));
    words.extend(in_the_middle(demo));
    Ok(Scene {
        origin: wire.started(),
        notebook: wire.notebook(),
        wire: Box::new(wire),
        hosts: two_hosts(),
        links: if config.mitm.is_some() {
            2
        } else {
            config.hops + 1
        },
        kind: wire_name(Kind::Tun),
        port: PORT,
        title: title(demo),
        legend: legend(demo),
        words,
    })
}

#[cfg(target_os = "linux")]
fn loopback(demo: &cli::Demo, script: &Script) -> Result<Scene, DemoError> {
    let default = loopback::Config::default();
    let config = loopback::Config {
        port: demo.port.unwrap_or(default.port),
        mtu: mtu(demo),
        link: link(demo),
        max_time: demo.max_time.unwrap_or(default.max_time),
    };
    let wire = loopback::Loopback::new(&config, script)?;
    let words = match wire.place() {
        loopback::Place::Own => Words::new("say.demo.wire.loopback"),
        loopback::Place::Machine(why) => Words {
            detail: why.to_string(),
            ..Words::new("say.demo.wire.loopback.machine")
        },
    };
    Ok(Scene {
        origin: wire.started(),
        notebook: None,
        wire: Box::new(wire),
        hosts: Hosts::sharing(
            IpAddr::from(Ipv4Addr::LOCALHOST),
            [name(Host::A), name(Host::B)],
            config.port,
        ),
        links: 1,
        kind: wire_name(Kind::Loopback),
        port: config.port,
        title: "say.demo.title.loopback",
        legend: "say.demo.legend",
        words: vec![
            words,
            Words::new("say.demo.wire.partial"),
            Words::new("say.demo.wire.differs"),
        ],
    })
}
