//! Faults: what is done to packets on a wire of this program's own, by rules and by chance.
//!
//! ```text
//! host ──packet──▶ Faults::send ──▶ Going: what goes on the wire, when it arrives, what was done to it by which rule
//!                        │
//!                        └ held back until others have passed: Going::Released later
//! ```
//!
//! A rule ([`Rule`]) looks at packets as they were sent, decoded and, as far as secrets are known, decrypted. All rules that
//! fit are carried out, in their order; a packet that is lost is done with.
//!
//! Nothing here sends anything. A wire that carries packets itself asks what is to become of them; there is no way to
//! point a rule at a real interface. Nobody but the wires can put rules to work, not even the rest of the crate:
//!
//! ```compile_fail,E0624
//! let faults = layerwise::wire::fault::Faults::new(Vec::new(), 1);
//! ```

mod change;
mod rule;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests;

use core::time::Duration;

use super::{Host, Link};
use crate::packet::{Event, Frame, Segment, Time};
use crate::session::Session;
use change::{Anatomy, Edit, edit, flags, forge, repair, set_length, truncate};
pub use rule::{Action, Chance, Change, Checksums, Rule};

/// So many packets may be held back at once; what would be one more goes on.
const MAX_HELD: usize = 10_000;

/// What waits for others to go first waits for so long at most, by the wire's clock.
pub const HELD_AT_MOST: Duration = Duration::from_millis(500);

/// What was done to a packet, and by which rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touch {
    /// The rule's place in the list, from 0 on.
    pub rule: usize,
    /// What was done.
    pub deed: Deed,
}

/// What a rule did to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// It is lost.
    Dropped,
    /// It arrives so much later.
    Delayed(Duration),
    /// It is the second of two.
    Copy,
    /// It waits for so many others of its direction to go first, but for no longer than [`HELD_AT_MOST`].
    Held(u64),
    /// Bits of so many bytes are changed, from this byte of the packet on.
    Changed {
        /// The first byte.
        at: usize,
        /// How many.
        len: usize,
        /// Whether the checksums fit all the same.
        repaired: bool,
    },
    /// So many bytes of it are left.
    Truncated {
        /// How many.
        len: usize,
        /// Whether lengths and checksums were set right.
        repaired: bool,
    },
    /// It is made up: the data of the packet before it, as if they were said again.
    Replayed,
    /// It is made up: the sender's RST.
    ForgedRst,
    /// It is made up: the sender's FIN.
    ForgedFin,
}

impl Deed {
    /// Whether the packet was sent by no host.
    #[must_use]
    pub fn is_made(self) -> bool {
        matches!(
            self,
            Self::Copy | Self::Replayed | Self::ForgedRst | Self::ForgedFin
        )
    }

    /// The glossary key of the sentence that says it.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Dropped => "say.fault.dropped",
            Self::Delayed(_) => "say.fault.delayed",
            Self::Copy => "say.fault.copy",
            Self::Held(_) => "say.fault.held",
            Self::Changed { repaired: true, .. } => "say.fault.changed",
            Self::Changed { .. } => "say.fault.changed_stale",
            Self::Truncated { repaired: true, .. } => "say.fault.truncated",
            Self::Truncated { .. } => "say.fault.truncated_stale",
            Self::Replayed => "say.fault.replayed",
            Self::ForgedRst => "say.fault.rst",
            Self::ForgedFin => "say.fault.fin",
        }
    }
}

/// What goes on a wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Going {
    /// A packet, the one that was sent or one that was made up.
    Packet(Sent),
    /// A packet that was held back goes on now.
    Released {
        /// Which.
        id: u64,
        /// To whom.
        to: Host,
        /// When it arrives.
        arrives: Time,
        /// Its bytes.
        bytes: Vec<u8>,
    },
}

/// A packet put on a wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Which packet it is, counted from 1.
    pub id: u64,
    /// From whose side it comes.
    pub from: Host,
    /// When it arrives; `None` if it is lost, or held back: then [`Going::Released`] says it.
    pub arrives: Option<Time>,
    /// The packet as it goes on.
    pub bytes: Vec<u8>,
    /// The packet as it was sent, if it was changed.
    pub before: Option<Vec<u8>>,
    /// What was done to it, in this order.
    pub touched: Vec<Touch>,
}

/// What became of all packets so far: what hosts sent and what was made up is delivered, lost or still on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fates {
    /// Sent by hosts.
    pub sent: u64,
    /// Made up here: copies, forged segments.
    pub made: u64,
    /// Arrived.
    pub delivered: u64,
    /// Lost.
    pub dropped: u64,
    /// Held back.
    pub held: u64,
    /// On the way: they will arrive.
    pub on_the_way: u64,
}

impl Fates {
    /// Whether each packet is counted in exactly one place.
    #[must_use]
    pub fn add_up(&self) -> bool {
        self.sent + self.made == self.delivered + self.dropped + self.held + self.on_the_way
    }
}

/// What became of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The rule as it was written.
    pub rule: String,
    /// How many packets fitted its condition.
    pub matched: u64,
    /// How often it was carried out.
    pub fired: u64,
    /// How often it could not be, though it was its turn: the packet does not have what it is about.
    pub unable: u64,
}

impl Report {
    /// The glossary key of the sentence for a rule that was never carried out; `None` for one that was.
    #[must_use]
    pub fn never_fired(&self) -> Option<&'static str> {
        match (self.fired, self.unable, self.matched) {
            (1.., ..) => None,
            (_, 1.., _) => Some("say.fault.never_able"),
            (_, _, 1..) => Some("say.fault.never_in_turn"),
            _ => Some("say.fault.never_matched"),
        }
    }
}

/// Rules at work on one wire (on one link of it).
#[derive(Debug)]
pub struct Faults {
    rules: Vec<Working>,
    session: Session,
    random: Random,
    held: Vec<Held>,
    fates: Fates,
    /// What the rules want of the packet at hand; reused.
    plans: Vec<Option<Plan>>,
}

#[derive(Debug)]
struct Working {
    rule: Rule,
    matched: u64,
    fired: u64,
    unable: u64,
}

/// A packet that waits for others to go first.
#[derive(Debug)]
struct Held {
    id: u64,
    to: Host,
    behind: u64,
    /// When it goes on in any case.
    until: Time,
    /// Nanoseconds from then to its arrival.
    way: u64,
    bytes: Vec<u8>,
}

/// What one rule does to the packet at hand: worked out while it is decoded.
#[derive(Debug)]
enum Plan {
    Drop,
    Delay(Duration),
    Copy,
    Hold(u64),
    Change(Edit, Checksums),
    Truncate(Option<usize>, Checksums),
    Forge {
        flags: u16,
        replay: bool,
        deed: Deed,
    },
}

/// The way of a packet: when it is put on the wire, and how long it is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// Now.
    pub now: Time,
    /// Nanoseconds from one end to the other.
    pub latency: u64,
    /// Who sends.
    pub from: Host,
    /// What the packet begins with.
    pub link: Link,
}

impl Faults {
    /// Rules that have not seen a packet yet. The same seed gives the same chances.
    #[must_use]
    pub(super) fn new(rules: Vec<Rule>, seed: u64) -> Self {
        let working = |rule| Working {
            rule,
            matched: 0,
            fired: 0,
            unable: 0,
        };
        Self {
            rules: rules.into_iter().map(working).collect(),
            session: Session::new(),
            random: Random(seed),
            held: Vec::new(),
            fates: Fates::default(),
            plans: Vec::new(),
        }
    }

    /// A line of a key log, so that rules can look into what is sealed. What is no such line is passed over.
    pub fn key(&mut self, line: &str) {
        // The wire's own TLS wrote it.
        let _ = self.session.keylog_line(line);
    }

    /// A host sends a packet: what goes on the wire, in this order. `count` is how many packets there were so far; each
    /// gets the next number.
    pub fn send(&mut self, way: Way, count: &mut u64, bytes: Vec<u8>) -> Vec<Going> {
        self.fates.sent += 1;
        *count += 1;
        let id = *count;
        let anatomy = self.plan(way, id, &bytes);
        let latency = way.latency;
        let mut packet = Sent {
            id,
            from: way.from,
            arrives: None,
            before: None,
            bytes,
            touched: Vec::new(),
        };
        let (mut dropped, mut delay, mut hold) = (false, 0, None);
        let mut made: Vec<(Vec<u8>, Touch)> = Vec::new();
        for (rule, plan) in self.plans.iter_mut().enumerate() {
            let Some(plan) = plan.take() else { continue };
            let mut done = None;
            match plan {
                Plan::Drop => {
                    dropped = true;
                    done = Some(Deed::Dropped);
                }
                Plan::Delay(by) => {
                    delay = nanos(by).saturating_add(delay);
                    done = Some(Deed::Delayed(by));
                }
                Plan::Hold(n) => {
                    hold = Some(n);
                    done = Some(Deed::Held(n));
                }
                Plan::Copy => made.push((
                    packet.bytes.clone(),
                    Touch {
                        rule,
                        deed: Deed::Copy,
                    },
                )),
                Plan::Change(edit, sums) => {
                    packet.before.get_or_insert_with(|| packet.bytes.clone());
                    edit.apply(&mut packet.bytes);
                    let repaired = sums == Checksums::Repaired;
                    if let (true, Some(anatomy)) = (repaired, &anatomy) {
                        // A packet without checksums needs no repair.
                        let _ = repair(&mut packet.bytes, anatomy);
                    }
                    let (at, len) = (edit.at, edit.by.len());
                    done = Some(Deed::Changed { at, len, repaired });
                }
                Plan::Truncate(length, sums) => {
                    let cut = anatomy
                        .as_ref()
                        .and_then(|anatomy| truncate(&packet.bytes, anatomy, length));
                    if let (Some(cut), Some(anatomy)) = (cut, &anatomy) {
                        packet.before.get_or_insert_with(|| packet.bytes.clone());
                        packet.bytes = cut;
                        let repaired = sums == Checksums::Repaired;
                        if repaired {
                            // Cut off within a header, there is nothing left to be set right.
                            let _ = set_length(&mut packet.bytes, anatomy)
                                .and_then(|()| repair(&mut packet.bytes, anatomy));
                        }
                        let len = packet.bytes.len();
                        done = Some(Deed::Truncated { len, repaired });
                    }
                }
                Plan::Forge {
                    flags,
                    replay,
                    deed,
                } => {
                    let data = match &anatomy {
                        Some(anatomy) if replay => anatomy.payload_of(&packet.bytes),
                        _ => &[],
                    };
                    let forged = anatomy
                        .as_ref()
                        .and_then(|anatomy| forge(&packet.bytes, anatomy, flags, data));
                    if let Some(forged) = forged {
                        made.push((forged, Touch { rule, deed }));
                    }
                }
            }
            if let Some(deed) = done {
                packet.touched.push(Touch { rule, deed });
            }
            if dropped {
                break;
            }
        }
        let arrives = Time(way.now.0.saturating_add(latency));
        let late = Time(arrives.0.saturating_add(delay));
        let to = way.from.other();
        let mut going = Vec::with_capacity(1 + made.len());
        if dropped {
            self.fates.dropped += 1;
        } else if let Some(behind) = hold.filter(|_| self.held.len() < MAX_HELD) {
            self.fates.held += 1;
            self.held.push(Held {
                id,
                to,
                // It counts itself, below.
                behind: behind + 1,
                until: Time(way.now.0.saturating_add(nanos(HELD_AT_MOST))),
                way: latency.saturating_add(delay),
                bytes: packet.bytes.clone(),
            });
        } else {
            self.fates.on_the_way += 1;
            packet.arrives = Some(late);
        }
        going.push(Going::Packet(packet));
        for (bytes, touch) in made {
            self.fates.made += 1;
            self.fates.on_the_way += 1;
            *count += 1;
            going.push(Going::Packet(Sent {
                id: *count,
                from: way.from,
                // What is forged comes right behind the packet that it is made of.
                arrives: Some(if touch.deed == Deed::Copy {
                    arrives
                } else {
                    late
                }),
                bytes,
                before: None,
                touched: vec![touch],
            }));
        }
        for held in self.held.iter_mut().filter(|held| held.to == to) {
            held.behind = held.behind.saturating_sub(1);
        }
        self.release(way.now, |held| held.behind == 0, &mut going);
        going
    }

    /// When something that is held back goes on in any case, if anything is.
    #[must_use]
    pub fn due(&self) -> Option<Time> {
        self.held.iter().map(|held| held.until).min()
    }

    /// What has been held back for too long by now.
    pub fn overdue(&mut self, now: Time) -> Vec<Going> {
        let mut going = Vec::new();
        self.release(now, |held| held.until <= now, &mut going);
        going
    }

    /// A packet has arrived.
    pub fn arrived(&mut self) {
        self.fates.on_the_way = self.fates.on_the_way.saturating_sub(1);
        self.fates.delivered += 1;
    }

    /// A packet that was on its way is lost all the same: a router has thrown it away, or a host had no room for it.
    pub fn lost(&mut self) {
        self.fates.on_the_way = self.fates.on_the_way.saturating_sub(1);
        self.fates.dropped += 1;
    }

    /// What became of all packets so far.
    #[must_use]
    pub fn fates(&self) -> Fates {
        self.fates
    }

    /// What became of each rule so far.
    #[must_use]
    pub fn reports(&self) -> Vec<Report> {
        let report = |working: &Working| Report {
            rule: working.rule.text().to_owned(),
            matched: working.matched,
            fired: working.fired,
            unable: working.unable,
        };
        self.rules.iter().map(report).collect()
    }

    /// The rules that were carried out, counted from 1.
    #[must_use]
    pub fn fired(&self) -> Vec<usize> {
        let rules = (1..).zip(&self.rules);
        rules.filter(|(_, w)| w.fired > 0).map(|(n, _)| n).collect()
    }

    /// Whether any rule was carried out.
    #[must_use]
    pub fn has_fired(&self) -> bool {
        self.rules.iter().any(|w| w.fired > 0)
    }

    /// Whether any rule acts by chance: then what fails time and again may still succeed.
    #[must_use]
    pub fn has_chances(&self) -> bool {
        let by_chance = |w: &Working| matches!(w.rule.action, Action::Random(..));
        self.rules.iter().any(by_chance)
    }

    /// Whether something was forged, so that the hosts may be out of step.
    #[must_use]
    pub fn has_forged(&self) -> bool {
        let forges = |rule: &Rule| {
            matches!(
                rule.action,
                Action::Fin | Action::Rst | Action::Replay | Action::Change(..)
            )
        };
        self.rules.iter().any(|w| w.fired > 0 && forges(&w.rule))
    }

    /// Decodes a packet and works out what each rule does to it.
    fn plan(&mut self, way: Way, id: u64, bytes: &[u8]) -> Option<Anatomy> {
        let Self {
            rules,
            session,
            random,
            plans,
            ..
        } = self;
        plans.clear();
        let event = session.push(Frame {
            number: id,
            time: way.now,
            link: way.link.link_type(),
            data: bytes,
            wire_len: bytes.len() as u32,
        });
        let anatomy = Anatomy::of(&event);
        for working in rules {
            let plan = working.plan(&event, anatomy.as_ref(), random);
            let lost = matches!(plan, Some(Plan::Drop));
            plans.push(plan);
            if lost {
                // The rules behind this one do not get to see it.
                break;
            }
        }
        anatomy
    }

    /// What was held back and need not wait any more goes on.
    fn release(&mut self, now: Time, goes: impl Fn(&Held) -> bool, going: &mut Vec<Going>) {
        let fates = &mut self.fates;
        for held in self.held.extract_if(.., |held| goes(held)) {
            fates.held -= 1;
            fates.on_the_way += 1;
            going.push(Going::Released {
                id: held.id,
                to: held.to,
                arrives: Time(now.0.saturating_add(held.way)),
                bytes: held.bytes,
            });
        }
    }
}

impl Working {
    /// What this rule does to a packet, if anything.
    fn plan(
        &mut self,
        event: &Event<'_>,
        anatomy: Option<&Anatomy>,
        random: &mut Random,
    ) -> Option<Plan> {
        let rule = &self.rule;
        if rule.times.is_some_and(|times| self.fired >= times)
            || !rule.filter.as_ref().is_none_or(|f| f.matches(event))
        {
            return None;
        }
        self.matched += 1;
        if self.matched <= rule.after {
            return None;
        }
        if let Action::Random(share, _) = &rule.action
            && random.below(1_000_000) >= u64::from(*share)
        {
            return None;
        }
        let has_data = anatomy.is_some_and(|anatomy| anatomy.data() > 0);
        let has_tcp = anatomy.is_some_and(Anatomy::is_tcp);
        let plan = match &rule.action {
            Action::Drop | Action::Random(_, Chance::Loss) => Some(Plan::Drop),
            Action::Delay(by) | Action::Random(_, Chance::Delay(by)) => Some(Plan::Delay(*by)),
            Action::Duplicate | Action::Random(_, Chance::Duplication) => Some(Plan::Copy),
            Action::Reorder(n) | Action::Random(_, Chance::Reordering(n)) => Some(Plan::Hold(*n)),
            Action::Change(change, sums) => anatomy
                .and_then(|anatomy| edit(event, anatomy, change))
                .map(|edit| Plan::Change(edit, *sums)),
            Action::Random(_, Chance::Corruption) => {
                let bits = event.frame.data.len() as u64 * 8;
                let bit = random.below(bits.max(1)) as usize;
                let by = vec![0x80 >> (bit % 8)];
                Some(Plan::Change(Edit { at: bit / 8, by }, Checksums::Stale))
            }
            Action::Truncate(length, sums) => anatomy
                .filter(|anatomy| truncate(event.frame.data, anatomy, *length).is_some())
                .map(|_| Plan::Truncate(*length, *sums)),
            Action::Replay => has_data.then(|| Plan::Forge {
                flags: flags(event, Segment::ACK | Segment::PSH),
                replay: true,
                deed: Deed::Replayed,
            }),
            Action::Rst => has_tcp.then_some(Plan::Forge {
                flags: Segment::RST | Segment::ACK,
                replay: false,
                deed: Deed::ForgedRst,
            }),
            Action::Fin => has_tcp.then_some(Plan::Forge {
                flags: Segment::FIN | Segment::ACK,
                replay: false,
                deed: Deed::ForgedFin,
            }),
        };
        match plan {
            Some(_) => self.fired += 1,
            None => self.unable += 1,
        }
        plan
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Numbers that a seed determines (SplitMix64). Nothing is kept secret with them.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number from 0 to `n`, without it.
    fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }
}
