//! The stage of a lesson: the memory wire with somebody on the path who follows the lesson's fault rules, and a tape of
//! every packet as it was sent and as it arrived.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::check::{self, Condition};
use crate::layers::{ipv4, tcp};
use crate::packet::{BufKind, Event, Frame, LinkType, Time};
use crate::session::Session;
use crate::view::words;
use crate::wire::memory::{Carried, Config, EPOCH, MAX_LATENCY, Memory, Middle};
use crate::wire::{Happening, Host, Script, Seen, WireError};

/// A packet on the tape.
#[derive(Debug, Clone)]
pub(crate) struct Shot {
    pub(crate) from: Host,
    pub(crate) sent: Time,
    /// Its place in the order of everything that was sent and arrived.
    pub(crate) turn: u64,
    /// As it was sent; for a forged packet, as it was put on the wire.
    pub(crate) bytes: Vec<u8>,
    /// Made by somebody on the path, not by the host it claims to be from.
    pub(crate) forged: bool,
    /// Each arrival: when, its place in the order of everything, and as what.
    pub(crate) arrivals: Vec<(Time, u64, Vec<u8>)>,
    /// What was done to it, by the first word of the rule.
    pub(crate) mark: Option<&'static str>,
}

/// All that happened in one run.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    pub(crate) shots: Vec<Shot>,
    pub(crate) keys: Vec<String>,
    /// What happened in the chats, in order.
    pub(crate) story: Vec<(Host, Happening)>,
    /// Rules that never fired, as they stand in the lesson.
    pub(crate) idle: Vec<String>,
    turns: u64,
}

impl Tape {
    /// What the application of `host` said, in order.
    pub(crate) fn said(&self, at: Host) -> Vec<&str> {
        self.story
            .iter()
            .filter(|(host, _)| *host == at)
            .filter_map(|(_, what)| match what {
                Happening::Says(text) => Some(text.as_str()),
                _ => None,
            })
            .collect()
    }

    /// What the application of `host` heard, in order.
    pub(crate) fn heard(&self, at: Host) -> Vec<&str> {
        self.story
            .iter()
            .filter(|(host, _)| *host == at)
            .filter_map(|(_, what)| what.heard())
            .map(|line| line.text.as_str())
            .collect()
    }

    /// Why the chat of `host` failed, if it did.
    pub(crate) fn failure(&self, at: Host) -> Option<String> {
        self.story.iter().find_map(|(host, what)| match what {
            Happening::Fails(error) if *host == at => Some(error.to_string()),
            _ => None,
        })
    }
}

/// Where packets are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
pub enum Place {
    /// Each packet when and as it is sent, forged ones among them.
    #[default]
    #[serde(rename = "wire")]
    Wire,
    /// At host A: what A sends, and what arrives there.
    A,
    /// At host B.
    B,
}

/// One packet as it is seen at a place.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) time: Time,
    pub(crate) bytes: Vec<u8>,
    pub(crate) mark: Option<&'static str>,
}

impl Tape {
    /// The packets as they are seen at `place`, in the order of time.
    pub(crate) fn at(&self, place: Place) -> Vec<View> {
        let mut views = Vec::new();
        for shot in &self.shots {
            let sender = match place {
                Place::Wire => true,
                Place::A => shot.from == Host::A && !shot.forged,
                Place::B => shot.from == Host::B && !shot.forged,
            };
            if sender {
                views.push((
                    shot.turn,
                    View {
                        time: shot.sent,
                        bytes: shot.bytes.clone(),
                        mark: shot.mark,
                    },
                ));
            } else {
                let receiver = match place {
                    Place::A => shot.from == Host::B,
                    _ => shot.from == Host::A,
                };
                for (time, turn, bytes) in shot.arrivals.iter().filter(|_| receiver) {
                    views.push((
                        *turn,
                        View {
                            time: *time,
                            bytes: bytes.clone(),
                            mark: shot.mark,
                        },
                    ));
                }
            }
        }
        views.sort_by_key(|(turn, view)| (view.time, *turn));
        views.into_iter().map(|(_, view)| view).collect()
    }

    fn turn(&mut self) -> u64 {
        self.turns += 1;
        self.turns
    }

    /// Calls `each` with every packet as it is seen at `place` and decoded with those secrets whose label `keys` takes.
    pub(crate) fn watch(
        &self,
        place: Place,
        keys: impl Fn(&str) -> bool,
        mut each: impl FnMut(&Event<'_>, Option<&'static str>),
    ) {
        let mut session = Session::new();
        for line in self.keys.iter().filter(|line| keys(line)) {
            // The lines come from our own peers.
            let _ = session.keylog_line(line);
        }
        for (number, view) in (1..).zip(self.at(place)) {
            let event = session.push(Frame {
                number,
                time: view.time,
                link: LinkType::RAW,
                wire_len: view.bytes.len() as u32,
                data: &view.bytes,
            });
            each(&event, view.mark);
        }
    }
}

/// Plays a script on the memory wire, with fault rules.
///
/// # Errors
/// When a rule cannot be understood, or the wire cannot play the script. A chat that fails is no error: it is what some
/// lessons are about.
pub(crate) fn play(
    config: &Config,
    script: &Script,
    rules: &[String],
    hops: u8,
) -> Result<Tape, String> {
    let rules = rules
        .iter()
        .map(|text| Rule::parse(text))
        .collect::<Result<Vec<_>, _>>()?;
    let tape = Arc::new(Mutex::new(Tape::default()));
    let director = Director {
        session: Session::new(),
        rules,
        hops,
        latency: config.latency,
        held: Vec::new(),
        shift: None,
        tape: Arc::clone(&tape),
    };
    let wire = Memory::between(config, script, Box::new(director)).map_err(|e| e.to_string())?;
    let mut story = Vec::new();
    for seen in wire {
        match seen {
            Ok(Seen::Chat { host, what, .. }) => story.push((host, what)),
            Ok(_) | Err(WireError::Chat { .. } | WireError::TooLong { .. }) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    let mut tape = core::mem::take(&mut *tape.lock().unwrap_or_else(PoisonError::into_inner));
    tape.story = story;
    Ok(tape)
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq)]
enum Action {
    Drop,
    Delay(Duration),
    Duplicate,
    /// Held back until so many more packets of the same sender have gone by.
    Reorder(u32),
    /// The lowest bit of a byte of the TCP payload.
    Flip(usize),
    /// Two neighbouring 16-bit words of the TCP payload, from that byte on.
    Swap16(usize),
    /// A number under a key gets another value; the checksums are mended.
    Set(String, u64),
    /// The same bytes again, at the next valid sequence number.
    Replay,
    Rst,
    Fin,
}

impl Action {
    fn word(&self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Delay(_) => "delay",
            Self::Duplicate => "duplicate",
            Self::Reorder(_) => "reorder",
            Self::Flip(_) => "flip",
            Self::Swap16(_) => "swap16",
            Self::Set(..) => "set",
            Self::Replay => "replay",
            Self::Rst => "rst",
            Self::Fin => "fin",
        }
    }
}

/// `ACTION [where EXPR] [times N|always] [after N]`.
#[derive(Debug)]
struct Rule {
    text: String,
    action: Action,
    filter: Option<Condition>,
    /// How often it still fires.
    left: u64,
    /// How many matching packets it still lets pass.
    after: u64,
    fired: bool,
}

impl Rule {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| {
            format!(
                "the fault rule {text:?}: {what}; a rule is ACTION [where EXPR] [times N|always] [after N], with drop, \
                 delay 300ms, duplicate, reorder N, flip N, swap16 N, set KEY VALUE, replay, rst or fin as ACTION"
            )
        };
        let mut rest = text.trim();
        let mut left = 1;
        let mut after = 0;
        loop {
            if let Some(before) = rest.strip_suffix(" always") {
                (rest, left) = (before, u64::MAX);
                continue;
            }
            let Some((before, number)) = rest.rsplit_once(' ') else {
                break;
            };
            let Ok(number) = number.parse() else { break };
            if let Some(before) = before.strip_suffix(" times") {
                (rest, left) = (before, number);
            } else if let Some(before) = before.strip_suffix(" after") {
                (rest, after) = (before, number);
            } else {
                break;
            }
        }
        let (action, filter) = match rest.split_once(" where ") {
            Some((action, filter)) => (
                action,
                Some(check::condition(filter).map_err(|e| wrong(&e))?),
            ),
            None => (rest, None),
        };
        let words: Vec<&str> = action.split_whitespace().collect();
        let number = |word: &str| word.parse().map_err(|_| wrong("a number is expected"));
        let action = match *words.as_slice() {
            ["drop"] => Action::Drop,
            ["delay", time] => {
                let milliseconds = time
                    .strip_suffix("ms")
                    .and_then(|n| n.parse().ok())
                    .map(Duration::from_millis)
                    .filter(|time| *time <= MAX_LATENCY)
                    .ok_or_else(|| wrong("give a time such as 300ms"))?;
                Action::Delay(milliseconds)
            }
            ["duplicate"] => Action::Duplicate,
            ["reorder", n] => Action::Reorder(number(n)? as u32),
            ["flip", n] => Action::Flip(number(n)?),
            ["swap16", n] => Action::Swap16(number(n)?),
            ["set", key, value] => {
                let value = match value.strip_prefix("0x") {
                    Some(hex) => {
                        u64::from_str_radix(hex, 16).map_err(|_| wrong("a number is expected"))?
                    }
                    None => number(value)? as u64,
                };
                Action::Set(key.to_owned(), value)
            }
            ["replay"] => Action::Replay,
            ["rst"] => Action::Rst,
            ["fin"] => Action::Fin,
            _ => return Err(wrong("the action is not known")),
        };
        Ok(Self {
            text: text.to_owned(),
            action,
            filter,
            left,
            after,
            fired: false,
        })
    }

    fn fires(&mut self, event: &Event<'_>) -> bool {
        if self.left == 0 || self.filter.as_ref().is_some_and(|f| !f.matches(event)) {
            return false;
        }
        if self.after > 0 {
            self.after -= 1;
            return false;
        }
        self.left -= 1;
        self.fired = true;
        true
    }
}

/// Somebody on the path, who knows the secrets in order to strike at the right moment, and uses them for nothing else.
struct Director {
    session: Session,
    rules: Vec<Rule>,
    hops: u8,
    latency: Duration,
    /// Packets that are held back: how many more of the same sender go before, and the packet's place on the tape.
    held: Vec<(u32, Host, usize, Vec<u8>)>,
    /// After a replay: from which sequence number of A on, and by how much, the numbers of the two sides differ.
    shift: Option<(u32, u32)>,
    tape: Arc<Mutex<Tape>>,
}

impl Middle for Director {
    fn key(&mut self, line: &str) {
        let _ = self.session.keylog_line(line);
        self.tape
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .keys
            .push(line.to_owned());
    }

    fn carry(&mut self, from: Host, now: Time, packet: &[u8]) -> Vec<Carried> {
        let tape = Arc::clone(&self.tape);
        let mut tape = tape.lock().unwrap_or_else(PoisonError::into_inner);
        let event = self.session.push(Frame {
            number: tape.shots.len() as u64 + 1,
            time: now,
            link: LinkType::RAW,
            wire_len: packet.len() as u32,
            data: packet,
        });
        let mut bytes = packet.to_vec();
        let mut forged: Option<Vec<u8>> = None;
        let (mut copies, mut delay, mut hold) = (1, Duration::ZERO, None);
        let mut mark = None;
        let mut shift = self.shift;
        for rule in &mut self.rules {
            if !rule.fires(&event) {
                continue;
            }
            mark = Some(rule.action.word());
            match &rule.action {
                Action::Drop => copies = 0,
                Action::Delay(time) => delay = *time,
                Action::Duplicate => copies = 2,
                Action::Reorder(n) => hold = Some(*n),
                Action::Flip(at) => {
                    let at = payload(&bytes) + at;
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1;
                    }
                }
                Action::Swap16(at) => swap16(&mut bytes, *at),
                Action::Set(key, value) => set(&mut bytes, &event, key, *value),
                Action::Replay => {
                    let seq = words::uint(&event, &tcp::SEQ_RAW).unwrap_or(0) as u32;
                    let len = words::fact(&event, &tcp::LEN).unwrap_or(0) as u32;
                    let mut again = packet.to_vec();
                    add(&mut again, SEQ, len);
                    mend(&mut again);
                    forged = Some(again);
                    shift = Some((seq.wrapping_add(len), len));
                }
                Action::Rst | Action::Fin => {
                    forged = forge(&event, from, rule.action == Action::Rst);
                    if rule.action == Action::Fin {
                        let seq = words::uint(&event, &tcp::SEQ_RAW).unwrap_or(0) as u32;
                        let len = words::fact(&event, &tcp::LEN).unwrap_or(0) as u32;
                        // A FIN takes up one number of the sequence (RFC 9293, section 3.4).
                        shift = Some((seq.wrapping_add(len), 1));
                    }
                }
            }
        }
        tape.idle = self
            .rules
            .iter()
            .filter(|rule| !rule.fired)
            .map(|rule| rule.text.clone())
            .collect();
        let struck = core::mem::replace(&mut self.shift, shift);
        if let Some((seq, by)) = struck {
            // Who puts bytes into a stream must go on translating, or the two ends talk past each other.
            translate(&mut bytes, from, seq, by);
        }
        for _ in 0..self.hops {
            hop(&mut bytes);
        }
        let place = tape.shots.len();
        let turn = tape.turn();
        tape.shots.push(Shot {
            from,
            sent: now,
            turn,
            bytes: packet.to_vec(),
            forged: false,
            arrivals: Vec::new(),
            mark,
        });
        let mut carried = Vec::new();
        let mut deliver = |tape: &mut Tape, place: usize, bytes: Vec<u8>, delay: Duration| {
            let later = (self.latency + delay).as_nanos() as u64;
            let turn = tape.turn();
            if let Some(shot) = tape.shots.get_mut(place) {
                shot.arrivals
                    .push((Time(now.0 + later), turn, bytes.clone()));
            }
            carried.push(Carried {
                to: from.other(),
                delay,
                bytes,
            });
        };
        match hold {
            Some(n) if n > 0 => self.held.push((n, from, place, bytes)),
            _ => {
                for _ in 0..copies {
                    deliver(&mut tape, place, bytes.clone(), delay);
                }
                for (left, _, place, bytes) in self.held.iter_mut().filter(|held| held.1 == from) {
                    *left -= 1;
                    if *left == 0 {
                        deliver(&mut tape, *place, core::mem::take(bytes), Duration::ZERO);
                    }
                }
                self.held.retain(|(left, ..)| *left > 0);
            }
        }
        if let Some(bytes) = forged {
            let place = tape.shots.len();
            let turn = tape.turn();
            tape.shots.push(Shot {
                from,
                sent: now,
                turn,
                bytes: bytes.clone(),
                forged: true,
                arrivals: Vec::new(),
                mark: Some("forged"),
            });
            deliver(&mut tape, place, bytes, Duration::ZERO);
        }
        carried
    }
}

/// Where TCP's sequence number stands, from the start of TCP's header.
const SEQ: usize = 4;
/// And the acknowledgment number.
const ACK: usize = 8;

fn ip_header(bytes: &[u8]) -> usize {
    usize::from(bytes.first().unwrap_or(&0) & 15) * 4
}

/// Where TCP's payload starts.
fn payload(bytes: &[u8]) -> usize {
    let ip = ip_header(bytes);
    ip + usize::from(bytes.get(ip + 12).unwrap_or(&0) >> 4) * 4
}

fn number(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk::<4>())
        .map_or(0, |four| u32::from_be_bytes(*four))
}

/// Adds to a number of TCP's header.
fn add(bytes: &mut [u8], field: usize, by: u32) {
    let at = ip_header(bytes) + field;
    let sum = number(bytes, at).wrapping_add(by);
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&sum.to_be_bytes());
    }
}

/// Puts right sequence numbers of A and acknowledgments of B that lie beyond `seq`.
fn translate(bytes: &mut [u8], from: Host, seq: u32, by: u32) {
    let beyond = |n: u32| n.wrapping_sub(seq) < 1 << 31;
    let ip = ip_header(bytes);
    match from {
        Host::A if beyond(number(bytes, ip + SEQ)) => add(bytes, SEQ, by),
        Host::B if beyond(number(bytes, ip + ACK)) => add(bytes, ACK, by.wrapping_neg()),
        _ => return,
    }
    mend(bytes);
}

/// Swaps two neighbouring 16-bit words; where they are equal, the next two.
fn swap16(bytes: &mut [u8], at: usize) {
    let start = payload(bytes) + at / 2 * 2;
    let len = bytes.len();
    for at in (start..len.saturating_sub(3)).step_by(2) {
        if bytes.get(at..at + 2) != bytes.get(at + 2..at + 4) {
            bytes.swap(at, at + 2);
            bytes.swap(at + 1, at + 3);
            return;
        }
    }
}

/// Gives a number another value, wherever in this packet it stands, and mends the checksums.
fn set(bytes: &mut [u8], event: &Event<'_>, key: &str, value: u64) {
    let Some(field) = event.fields.iter().find(|f| f.def.key == key) else {
        return;
    };
    let range = field.bytes();
    let width = range.len();
    for (i, at) in range.enumerate() {
        let digit = (value >> (8 * (width - 1 - i).min(7))) as u8;
        let place = match event.buffer_kind(field.buf) {
            BufKind::Frame => Some(at),
            _ => event.pieces(field.buf).iter().find_map(|piece| {
                let into = (at as u32).checked_sub(piece.into)?;
                (piece.frame == event.frame.number && into < piece.len)
                    .then_some((piece.at + into) as usize)
            }),
        };
        if let Some(byte) = place.and_then(|place| bytes.get_mut(place)) {
            *byte = digit;
        }
    }
    mend(bytes);
}

/// A router: one off the TTL, and the header checksum is computed anew.
fn hop(bytes: &mut [u8]) {
    if let Some(ttl) = bytes.get_mut(8) {
        *ttl = ttl.saturating_sub(1);
    }
    mend_ip(bytes);
}

/// The one's complement sum of 16-bit words (RFC 1071).
fn sum(words: &[u8], start: u32) -> u16 {
    let mut sum = start;
    for word in words.chunks(2) {
        let high = u32::from(*word.first().unwrap_or(&0)) << 8;
        sum += high + u32::from(*word.get(1).unwrap_or(&0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !((sum & 0xffff) + (sum >> 16)) as u16
}

fn put(bytes: &mut [u8], at: usize, word: u16) {
    if let Some(place) = bytes.get_mut(at..at + 2) {
        place.copy_from_slice(&word.to_be_bytes());
    }
}

fn mend_ip(bytes: &mut [u8]) {
    put(bytes, 10, 0);
    let header = ip_header(bytes);
    let right = sum(bytes.get(..header).unwrap_or(&[]), 0);
    put(bytes, 10, right);
}

/// Computes TCP's checksum anew (RFC 9293, section 3.1: pseudo-header, header, data), and IP's.
fn mend(bytes: &mut [u8]) {
    mend_ip(bytes);
    let ip = ip_header(bytes);
    put(bytes, ip + 16, 0);
    let length = bytes.len().saturating_sub(ip) as u32;
    let addresses = !sum(bytes.get(12..20).unwrap_or(&[]), 0);
    let right = sum(
        bytes.get(ip..).unwrap_or(&[]),
        u32::from(addresses) + 6 + length,
    );
    put(bytes, ip + 16, right);
}

/// A FIN or RST that claims to come after this packet, from the same host.
fn forge(event: &Event<'_>, from: Host, reset: bool) -> Option<Vec<u8>> {
    let uint = |def| words::uint(event, def);
    let seq = uint(&tcp::SEQ_RAW)? as u32;
    let len = words::fact(event, &tcp::LEN).unwrap_or(0) as u32;
    let build = etherparse::PacketBuilder::ipv4(
        from.address().octets(),
        from.other().address().octets(),
        uint(&ipv4::TTL)? as u8,
    )
    .tcp(
        uint(&tcp::SRCPORT)? as u16,
        uint(&tcp::DSTPORT)? as u16,
        seq.wrapping_add(len),
        uint(&tcp::WINDOW_SIZE_VALUE)? as u16,
    );
    let build = if reset { build.rst() } else { build.fin() }.ack(uint(&tcp::ACK_RAW)? as u32);
    let mut bytes = Vec::new();
    build.write(&mut bytes, &[]).ok()?;
    Some(bytes)
}

/// When the virtual clock starts.
pub(crate) const START: Time = EPOCH;
