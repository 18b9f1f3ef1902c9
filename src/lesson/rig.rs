//! The stage of a lesson: plays a script on a wire, with the lesson's fault rules on it, and records it on a tape.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::time::Duration;

use super::tape::{Mark, START, Shot, Tape, Told, What};
pub use crate::cli::lesson::Wire;
use crate::packet::Time;
use crate::wire::fault::{Deed, Rule};
use crate::wire::memory::{self, Memory};
use crate::wire::{Happening, Host, Packet, Script, Seen, Wire as _, WireError};

/// What is played.
#[derive(Debug)]
pub(crate) struct Play {
    pub(crate) config: memory::Config,
    /// TCP's buffer at B, if it is not the usual one.
    pub(crate) buffer: Option<usize>,
    pub(crate) script: Script,
    /// Fault rules, as they are written.
    pub(crate) rules: Vec<String>,
    /// Routers on the path.
    pub(crate) hops: u8,
}

/// Why it cannot be played.
#[derive(Debug)]
pub(crate) enum Unplayed {
    /// The lesson is wrong.
    Wrong(String),
    /// This machine does not let the wire be set up.
    Refused(String),
}

impl From<WireError> for Unplayed {
    fn from(error: WireError) -> Self {
        match error {
            #[cfg(target_os = "linux")]
            WireError::Refused { .. } => Self::Refused(error.to_string()),
            error => Self::Wrong(error.to_string()),
        }
    }
}

/// After a chat has failed on the kernel's wire, what the hosts do about it is watched for so long.
#[cfg(target_os = "linux")]
const AFTER_FAILURE: u64 = 1_000_000_000;
/// And this is the longest that a run may take there.
#[cfg(target_os = "linux")]
const LONGEST: Duration = Duration::from_secs(20);
/// The time to live that both stacks begin with.
const TTL: u8 = 64;

/// Plays a script on a wire, with fault rules.
///
/// # Errors
/// When a rule cannot be understood, or the wire cannot play the script. A chat that fails is no error: it is what some
/// lessons are about.
pub(crate) fn play(wire: Wire, play: &Play) -> Result<Tape, Unplayed> {
    let rules = play
        .rules
        .iter()
        .map(|text| Rule::parse(text).map_err(|e| Unplayed::Wrong(format!("the fault rule {e}"))))
        .collect::<Result<Vec<_>, _>>()?;
    match wire {
        Wire::Memory => on_memory(play, rules),
        #[cfg(target_os = "linux")]
        Wire::Tun => on_tun(play, rules),
        #[cfg(not(target_os = "linux"))]
        Wire::Tun => Err(Unplayed::Refused(
            "the kernel's wire is there on Linux only".to_owned(),
        )),
    }
}

fn on_memory(play: &Play, mut rules: Vec<Rule>) -> Result<Tape, Unplayed> {
    let own = rules.len();
    if play.hops > 0 {
        // There is no router on the memory wire: a rule does its work.
        let left = TTL.saturating_sub(play.hops);
        let rule = Rule::parse(&format!("set ip.ttl {left} always"));
        rules.push(rule.map_err(|e| Unplayed::Wrong(e.to_string()))?);
    }
    let mut wire = Memory::new(&play.config, &play.script)?.with_faults(rules);
    let notes = wire.notebook();
    let mut recorder = Recorder::new(play, own, START, 0);
    recorder.tape.middle = notes.is_some().then(Vec::new);
    for seen in &mut wire {
        match seen {
            Ok(seen) => recorder.see(seen),
            Err(error) if error.is_end_of_chat() => {}
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(notes) = notes {
        let notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
        let read = notes.seen.iter().filter_map(|(_, host, what)| {
            let what = What::Hears(what.heard()?.text.clone());
            Some(Told { host: *host, what })
        });
        recorder.tape.middle = Some(read.collect());
    }
    Ok(recorder.end(wire.faults()))
}

#[cfg(target_os = "linux")]
fn on_tun(play: &Play, rules: Vec<Rule>) -> Result<Tape, Unplayed> {
    use crate::wire::tun;

    let pause = play.config.pause.clone();
    let config = tun::Config {
        mtu: play.config.mtu,
        latency: play.config.latency,
        hops: play.hops.into(),
        max_time: LONGEST,
        buffer: play.buffer,
        pause: pause.map(|pause| pause.end.saturating_sub(pause.start)),
        ..tun::Config::default()
    };
    let own = rules.len();
    let mut wire = tun::Tun::with_faults(&config, &play.script, rules, play.config.seed)?;
    let mut recorder = Recorder::new(play, own, wire.started(), config.hops);
    for seen in &mut wire {
        match seen {
            Ok(seen) => recorder.see(seen),
            Err(WireError::Tcp { host, what }) => recorder.tell(host, What::Fails(what)),
            Err(error) if error.is_end_of_chat() => {}
            Err(error) => return Err(error.into()),
        }
        if recorder
            .failed
            .is_some_and(|at| recorder.now > at + AFTER_FAILURE)
        {
            break;
        }
    }
    let reports = wire.faults();
    Ok(recorder.end(reports))
}

/// Makes a tape of what a wire shows.
struct Recorder<'p> {
    play: &'p Play,
    /// So many of the rules are the lesson's.
    own: usize,
    /// When the wire's clock began.
    started: Time,
    /// The number of the link at B.
    last_link: usize,
    /// Where each packet is on the tape, by the wire's number of it.
    places: HashMap<u64, usize>,
    /// As what a packet that is held back goes on.
    held: HashMap<u64, Vec<u8>>,
    now: u64,
    failed: Option<u64>,
    tape: Tape,
}

impl<'p> Recorder<'p> {
    fn new(play: &'p Play, own: usize, started: Time, last_link: usize) -> Self {
        Self {
            play,
            own,
            started,
            last_link,
            places: HashMap::new(),
            held: HashMap::new(),
            now: 0,
            failed: None,
            tape: Tape::default(),
        }
    }

    fn see(&mut self, seen: Seen) {
        match seen {
            Seen::Packet(packet) => self.packet(packet),
            Seen::Released { id, arrives, .. } => {
                let bytes = self.held.remove(&id);
                let arrives = arrives.since(self.started);
                if let (Some(shot), Some(bytes)) = (self.shot(id), bytes) {
                    shot.arrivals.push((arrives, bytes));
                }
            }
            Seen::Key { line, .. } => self.tape.keys.push(line),
            Seen::Chat { host, time, what } => {
                self.now = self.now.max(time.since(self.started));
                match what {
                    Happening::Says(text) => self.tell(host, What::Says(text)),
                    Happening::Fails(error) => self.tell(host, What::Fails(error.to_string())),
                    ref heard => {
                        if let Some(line) = heard.heard() {
                            self.tell(host, What::Hears(line.text.clone()));
                        }
                    }
                }
            }
            Seen::Kernel { .. } => {}
        }
    }

    fn tell(&mut self, host: Host, what: What) {
        if matches!(what, What::Fails(_)) {
            self.failed.get_or_insert(self.now);
        }
        self.tape.story.push(Told { host, what });
    }

    fn shot(&mut self, id: u64) -> Option<&mut Shot> {
        self.tape.shots.get_mut(*self.places.get(&id)?)
    }

    fn packet(&mut self, packet: Packet) {
        let sent = packet.sent.since(self.started);
        self.now = self.now.max(sent);
        let last = match packet.from {
            Host::A => self.last_link,
            Host::B => 0,
        };
        if !self.places.contains_key(&packet.id) {
            // The rules of the lesson, not those that stand for routers.
            let touched = packet.touched.iter().rfind(|touch| touch.rule < self.own);
            let mark = touched.map(|touch| {
                let rule = self.play.rules.get(touch.rule);
                mark(touch.deed, rule.map_or("", String::as_str))
            });
            let made = packet.touched.iter().any(|touch| touch.deed.is_made());
            self.places.insert(packet.id, self.tape.shots.len());
            self.tape.shots.push(Shot {
                from: packet.from,
                side: if packet.hop == 0 { Host::A } else { Host::B },
                sent,
                bytes: packet.before.unwrap_or_else(|| packet.bytes.clone()),
                made,
                arrivals: Vec::new(),
                mark,
            });
        }
        if packet.hop != last && self.tape.middle.is_none() {
            return;
        }
        match packet.arrives {
            Some(arrives) => {
                let arrives = arrives.since(self.started);
                if let Some(shot) = self.shot(packet.id) {
                    shot.arrivals.push((arrives, packet.bytes));
                }
            }
            None => {
                self.held.insert(packet.id, packet.bytes);
            }
        }
    }

    /// The tape, when all is over.
    fn end(
        mut self,
        faults: Option<(crate::wire::fault::Fates, Vec<crate::wire::fault::Report>)>,
    ) -> Tape {
        let reports = faults.map_or(Vec::new(), |(_, reports)| reports);
        let never = reports.iter().take(self.own);
        let never = never.filter(|report| report.never_fired().is_some());
        self.tape.idle = never.map(|report| report.rule.clone()).collect();
        self.tape
    }
}

/// What is said about a packet that a rule has touched.
fn mark(deed: Deed, rule: &str) -> Mark {
    match deed {
        Deed::Dropped => Mark::Drop,
        Deed::Delayed(_) => Mark::Delay,
        Deed::Copy => Mark::Duplicate,
        Deed::Held(_) => Mark::Reorder,
        Deed::Truncated { .. } => Mark::Truncate,
        Deed::Replayed | Deed::ForgedRst | Deed::ForgedFin => Mark::Forged,
        Deed::Changed { .. } => match rule.split_whitespace().next() {
            Some("set") => Mark::Set,
            Some("swap16") => Mark::Swap16,
            _ => Mark::Flip,
        },
    }
}
