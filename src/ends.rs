//! A wire seen from both its ends: what each host sent, and what each host got, as two captures of their own.
//!
//! ```text
//!           A's capture                          B's capture
//!     A sends a packet ──▶ the wire: loses, changes, delays, makes up ──▶ B gets it, or not, or other bytes
//! ```
//!
//! Each end has a session of its own, which is pushed the packets as they were at that end, in the order in which that
//! end saw them. Nothing here looks at the wire's opinion of what a packet is: what B makes of it is what B got.

use std::collections::{BTreeMap, VecDeque};

use crate::flow::tcp_state::End;
use crate::keylog::KeyLogError;
use crate::layers::tcp_info::TcpInfo;
use crate::layers::{ipv4, tcp};
use crate::packet::{Event, FieldDef, Frame, Segment, Time};
use crate::session::Session;
use crate::verdict::Reaction;
use crate::verdict::segment::read;
use crate::verdict::side::Side as Tcp;
use crate::wire::fault::{Deed, Touch};
use crate::wire::{Host, Link, Packet, Seen};

/// So many packets may be under way at once; of the oldest it is then forgotten that they were sent.
const MAX_UNDER_WAY: usize = 1 << 16;

/// So many gaps in what an end got are remembered.
const MAX_GAPS: usize = 1024;

/// So many states of an end are remembered.
const MAX_STATES: usize = 1024;

/// So many segments of an end are remembered, to know them again when they are sent a second time.
const MAX_SENT: usize = 4096;

/// What happens with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// The host sends it. `lost` says that it is lost on the first link.
    Sends {
        /// Whether that is all that becomes of it.
        lost: bool,
    },
    /// It is there, in the name of the host or from its side, but the host has not sent it.
    Appears,
    /// It is lost farther on, on that link (counted from 0 at A).
    Lost {
        /// Which.
        hop: usize,
    },
    /// The host gets it.
    Gets,
}

/// Where the data of a segment belongs that an end gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Place {
    /// It carries none, or TCP does not take it.
    #[default]
    Nothing,
    /// Behind all that had come.
    Next,
    /// So many bytes before it are missing.
    Early(u32),
    /// Into a gap, before what had come too early.
    Fills,
    /// The end had it already.
    Again,
    /// TCP throws it away, because the segment acknowledges less than is known already. (The memory wire's does so; Linux
    /// passes over the acknowledgment alone.)
    Refused,
}

/// What is known of a packet under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Its number.
    pub id: u64,
    /// From whose side it comes.
    pub from: Host,
    /// When it was sent, or appeared.
    pub sent: Time,
    /// What faults did to it.
    pub touched: Vec<Touch>,
    /// The packet as it was before faults changed it, and as it went on, if they did.
    pub changed: Option<(Vec<u8>, Vec<u8>)>,
    /// Whether no host sent it.
    pub made: bool,
    /// In which order its sender's side put it on the wire.
    order: u64,
    /// What waits to be let go.
    held: Option<Vec<u8>>,
    link: Link,
}

/// Something that happens at one end, in true order.
#[derive(Debug)]
pub struct Moment<'m> {
    /// At which.
    pub host: Host,
    /// When.
    pub time: Time,
    /// What.
    pub act: Act,
    /// With which packet.
    pub passage: &'m Passage,
    /// The packet as this end sent or got it; `None` where it is at neither end.
    pub event: Option<Event<'m>>,
    /// TCP's state at this end, by its number in the TCP MIB, if it changes with this.
    pub state: Option<u64>,
    /// [`Act::Gets`]: where its data belongs.
    pub place: Place,
    /// [`Act::Gets`]: a packet that was sent later and had come before.
    pub overtaken: Option<u64>,
    /// [`Act::Sends`]: the packet that had carried these bytes before.
    pub again: Option<u64>,
    /// [`Act::Gets`]: these bytes had come before, and TCP had not taken them.
    pub anew: bool,
}

/// What the kernels said about TCP's states, host by host (A first), by their numbers in the TCP MIB.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Confirmed {
    /// The states in which each said it was, one after the other.
    pub said: [Vec<u64>; 2],
    /// Whether they lie on the way that was derived, in this order. (They are asked now and then: some may be missing.)
    pub same: [bool; 2],
}

/// Both ends.
#[derive(Debug)]
pub struct Ends {
    sides: [Side; 2],
    links: usize,
    /// By number.
    under_way: BTreeMap<u64, Passage>,
    /// What arrives, by when, and then by the order in which it was seen.
    arriving: BTreeMap<(Time, u64), (u64, Vec<u8>)>,
    count: u64,
}

#[derive(Debug)]
struct Side {
    session: Session,
    /// What its TCP does with what it gets.
    tcp: Tcp,
    life: Life,
    received: Received,
    /// Where what it did not take begins.
    refused: Vec<u32>,
    /// The last of the other side's packets that it got, by the order in which they were sent, and its number.
    newest: Option<(u64, u64)>,
    /// The segments that it sent: first number, number behind them, packet.
    sent: VecDeque<(u32, u32, u64)>,
    /// In which states its kernel said that it is, one after the other.
    said: Vec<u64>,
}

/// TCP's states at one end.
#[derive(Debug)]
struct Life {
    end: End,
    /// One after the other.
    states: Vec<u64>,
}

impl Ends {
    /// Of a wire with so many links between A, who connects, and B, who listens on `port`, as if it were `known`.
    #[must_use]
    pub fn new(links: usize, port: u16, known: u16) -> Self {
        let side = |listens| {
            let mut session = Session::new();
            session.treat_port(port, known);
            Side {
                session,
                tcp: Tcp::default(),
                life: Life::new(End::new(listens)),
                received: Received::default(),
                refused: Vec::new(),
                newest: None,
                sent: VecDeque::new(),
                said: Vec::new(),
            }
        };
        Self {
            sides: [side(false), side(true)],
            links: links.max(1),
            under_way: BTreeMap::new(),
            arriving: BTreeMap::new(),
            count: 0,
        }
    }

    /// Takes up what a wire shows, and tells `tell` what happens at the ends by it, up to its time.
    ///
    /// # Errors
    /// When a line of a key log is none.
    pub fn take(
        &mut self,
        seen: &Seen,
        tell: &mut dyn FnMut(&Moment<'_>),
    ) -> Result<(), KeyLogError> {
        match seen {
            Seen::Packet(packet) => {
                self.arrive(Some(packet.sent), tell);
                self.packet(packet, tell);
                if let Some(info) = &packet.kernel {
                    self.confirm(packet.from, info);
                }
            }
            Seen::Released { id, time, arrives } => {
                self.arrive(Some(*time), tell);
                let held = self.under_way.get_mut(id).and_then(|p| p.held.take());
                if let Some(bytes) = held {
                    self.count += 1;
                    self.arriving.insert((*arrives, self.count), (*id, bytes));
                }
            }
            Seen::Key { line, time, .. } => {
                self.arrive(Some(*time), tell);
                for side in &mut self.sides {
                    side.session.keylog_line(line)?;
                }
            }
            Seen::Chat { time, .. } => self.arrive(Some(*time), tell),
            Seen::Kernel { host, time, info } => {
                self.arrive(Some(*time), tell);
                self.confirm(*host, info);
            }
        }
        Ok(())
    }

    /// All that is still under way arrives.
    pub fn finish(&mut self, tell: &mut dyn FnMut(&Moment<'_>)) {
        self.arrive(None, tell);
    }

    /// What the kernels say to the states that were derived.
    #[must_use]
    pub fn confirmed(&self) -> Confirmed {
        let said = self.sides.each_ref().map(|side| side.said.clone());
        let same = self.sides.each_ref().map(|side| {
            let mut derived = side.life.states.iter();
            // Linux keeps TIME-WAIT apart from the socket, which is closed by then.
            let is = |state: u64, said: u64| state == said || (state, said) == (11, 1);
            side.said
                .iter()
                .all(|said| derived.any(|state| is(*state, *said)))
        });
        Confirmed { said, same }
    }

    fn confirm(&mut self, host: Host, info: &TcpInfo) {
        let side = side(&mut self.sides, host);
        // Only a kernel tells what it knows.
        side.tcp.linux = true;
        let said = &mut side.said;
        if let Some(state) = mib(info.state)
            && said.last() != Some(&state)
            && said.len() < MAX_STATES
        {
            said.push(state);
        }
    }

    fn packet(&mut self, packet: &Packet, tell: &mut dyn FnMut(&Moment<'_>)) {
        let Self {
            sides,
            links,
            under_way,
            arriving,
            count,
            ..
        } = self;
        let (first, last) = match packet.from {
            Host::A => (0, *links - 1),
            Host::B => (*links - 1, 0),
        };
        *count += 1;
        let held = packet
            .touched
            .iter()
            .any(|t| matches!(t.deed, Deed::Held(_)));
        let lost = packet.arrives.is_none() && !held;
        let known = under_way.contains_key(&packet.id);
        if under_way.len() >= MAX_UNDER_WAY {
            under_way.pop_first();
        }
        let passage = under_way.entry(packet.id).or_insert_with(|| Passage {
            id: packet.id,
            from: packet.from,
            sent: packet.sent,
            touched: Vec::new(),
            changed: None,
            made: packet.hop != first || packet.touched.iter().any(|t| t.deed.is_made()),
            order: *count,
            held: None,
            link: packet.link,
        });
        passage.touched.extend_from_slice(&packet.touched);
        if let (None, Some(before)) = (&passage.changed, &packet.before) {
            passage.changed = Some((before.clone(), packet.bytes.clone()));
        }
        if !known {
            let sent = packet.before.as_ref().unwrap_or(&packet.bytes);
            if passage.made {
                tell(&Moment::new(Act::Appears, packet.sent, passage));
            } else {
                let side = side(sides, packet.from);
                side.sends(passage, lost, sent, packet.kernel.as_ref(), tell);
            }
        }
        if lost && (known || passage.made) {
            let act = Act::Lost { hop: packet.hop };
            tell(&Moment::new(act, packet.sent, passage));
        }
        match packet.arrives {
            Some(arrives) if packet.hop == last => {
                arriving.insert((arrives, *count), (packet.id, packet.bytes.clone()));
            }
            Some(_) => {}
            None if held => passage.held = Some(packet.bytes.clone()),
            None => {
                under_way.remove(&packet.id);
            }
        }
    }

    /// Everything arrives that does so by then.
    fn arrive(&mut self, until: Option<Time>, tell: &mut dyn FnMut(&Moment<'_>)) {
        while let Some(next) = self.arriving.first_entry() {
            if until.is_some_and(|until| next.key().0 > until) {
                return;
            }
            let ((time, _), (id, bytes)) = next.remove_entry();
            if let Some(passage) = self.under_way.remove(&id) {
                let side = side(&mut self.sides, passage.from.other());
                side.gets(&passage, time, &bytes, tell);
            }
        }
    }
}

impl<'m> Moment<'m> {
    fn new(act: Act, time: Time, passage: &'m Passage) -> Self {
        Self {
            host: passage.from,
            time,
            act,
            passage,
            event: None,
            state: None,
            place: Place::Nothing,
            overtaken: None,
            again: None,
            anew: false,
        }
    }
}

impl Side {
    fn sends(
        &mut self,
        passage: &Passage,
        lost: bool,
        bytes: &[u8],
        kernel: Option<&TcpInfo>,
        tell: &mut dyn FnMut(&Moment<'_>),
    ) {
        if let Ok(segment) = read(bytes, passage.link, passage.from.other()) {
            self.tcp.sends(&segment, passage.sent);
        }
        let frame = frame(passage, passage.sent, bytes);
        let event = self.session.push_with(frame, kernel);
        let mut moment = Moment::new(Act::Sends { lost }, passage.sent, passage);
        if let Some(segment) = segment(&event) {
            self.life.end.sends(&segment);
            moment.state = self.life.new_state();
            let flags = segment.flags & (Segment::SYN | Segment::FIN);
            let behind = segment
                .seq
                .wrapping_add(segment.len)
                .wrapping_add(u32::from(flags != 0));
            if behind != segment.seq {
                let within = |(start, end): (u32, u32)| {
                    !after(start, segment.seq) && after(end, segment.seq)
                };
                let mut earlier = self.sent.iter().rev();
                moment.again = earlier
                    .find(|(start, end, _)| within((*start, *end)))
                    .map(|(_, _, id)| *id);
                if self.sent.len() == MAX_SENT {
                    self.sent.pop_front();
                }
                self.sent.push_back((segment.seq, behind, passage.id));
            }
        }
        moment.event = Some(event);
        tell(&moment);
    }

    fn gets(
        &mut self,
        passage: &Passage,
        time: Time,
        bytes: &[u8],
        tell: &mut dyn FnMut(&Moment<'_>),
    ) {
        let event = self.session.push(frame(passage, time, bytes));
        let mut moment = Moment::new(Act::Gets, time, passage);
        moment.host = passage.from.other();
        moment.overtaken = self
            .newest
            .filter(|(order, _)| *order > passage.order)
            .map(|(_, id)| id);
        if moment.overtaken.is_none() {
            self.newest = Some((passage.order, passage.id));
        }
        let (mut how, mut from) = (Reaction::Taken, None);
        if let Ok(segment) = read(bytes, passage.link, moment.host) {
            if !passage.made && segment.space() > 0 {
                from = self.tcp.disowns(&segment, time);
            }
            how = self.tcp.gets(&segment, time);
        }
        if let Some(segment) = segment(&event).filter(|_| is_whole(&event)) {
            if let Some(from) = from {
                self.received.next = Some(from);
            }
            if how == Reaction::Refused {
                let data = segment.len > 0;
                moment.place = if data { Place::Refused } else { Place::Nothing };
                if data && self.refused.len() < MAX_GAPS {
                    self.refused.push(segment.seq);
                }
                moment.event = Some(event);
                return tell(&moment);
            }
            moment.place = self.received.arrive(&segment);
            let covers = |seq: &u32| seq.wrapping_sub(segment.seq) < segment.len;
            let refused = self.refused.len();
            if moment.place != Place::Nothing {
                self.refused.retain(|seq| !covers(seq));
            }
            moment.anew = from.is_some() || self.refused.len() < refused;
            let next = self.received.next.unwrap_or(segment.seq);
            self.life.end.gets(&segment, next);
            moment.state = self.life.new_state();
        }
        moment.event = Some(event);
        tell(&moment);
    }
}

impl Life {
    fn new(end: End) -> Self {
        let states = vec![end.state().number()];
        Self { end, states }
    }

    /// TCP's state, if it is not what it was.
    fn new_state(&mut self) -> Option<u64> {
        let state = self.end.state().number();
        if self.states.last() == Some(&state) {
            return None;
        }
        if self.states.len() < MAX_STATES {
            self.states.push(state);
        }
        Some(state)
    }
}

fn side(sides: &mut [Side; 2], host: Host) -> &mut Side {
    let [a, b] = sides;
    match host {
        Host::A => a,
        Host::B => b,
    }
}

fn frame<'b>(passage: &Passage, time: Time, bytes: &'b [u8]) -> Frame<'b> {
    Frame {
        number: passage.id,
        time,
        link: passage.link.link_type(),
        data: bytes,
        wire_len: bytes.len() as u32,
    }
}

/// What TCP's header says; that of the packet, not one that is quoted in it.
fn segment(event: &Event<'_>) -> Option<Segment> {
    if event.layers.iter().any(|layer| layer.def.key == "icmp") {
        return None;
    }
    let number = |def: &'static FieldDef| {
        let field = event.field(def)?;
        field.value(event.bytes(field.buf)).uint()
    };
    Some(Segment {
        seq: number(&tcp::SEQ_RAW)? as u32,
        ack: number(&tcp::ACK_RAW)? as u32,
        flags: number(&tcp::FLAGS)? as u16,
        len: event.note(&tcp::LEN)?.value.uint()? as u32,
        ..Segment::default()
    })
}

/// Whether the checksums fit, so that the receiver takes it.
fn is_whole(event: &Event<'_>) -> bool {
    let bad = |def| {
        event
            .note(def)
            .is_some_and(|note| note.value.uint() == Some(0))
    };
    !bad(&ipv4::CHECKSUM_STATUS) && !bad(&tcp::CHECKSUM_STATUS)
}

/// Linux's number of a state (net/tcp_states.h) as that of the TCP MIB (RFC 4022).
fn mib(linux: u8) -> Option<u64> {
    Some(match linux {
        1 => 5,
        2 => 3,
        3 | 12 => 4,
        4 => 6,
        5 => 7,
        6 => 11,
        7 => 1,
        8 => 8,
        9 => 9,
        10 => 2,
        11 => 10,
        _ => return None,
    })
}

/// What an end has got of a stream.
#[derive(Debug, Default)]
struct Received {
    /// The number behind all that has come without a gap.
    next: Option<u32>,
    /// What has come too early, in order.
    early: Vec<(u32, u32)>,
}

impl Received {
    fn arrive(&mut self, segment: &Segment) -> Place {
        if segment.has(Segment::SYN) {
            self.next.get_or_insert(segment.seq.wrapping_add(1));
            return Place::Nothing;
        }
        let start = segment.seq;
        let end = start.wrapping_add(segment.len);
        let next = *self.next.get_or_insert(start);
        if segment.len == 0 {
            return Place::Nothing;
        }
        if !after(end, next) {
            return Place::Again;
        }
        if after(start, next) {
            let had = |(from, to): &(u32, u32)| !after(*from, start) && !after(end, *to);
            if self.early.iter().any(had) {
                return Place::Again;
            }
            if self.early.len() < MAX_GAPS {
                self.early.push((start, end));
            }
            return Place::Early(start.wrapping_sub(next));
        }
        let mut reached = end;
        let waited = !self.early.is_empty();
        while let Some(at) = self
            .early
            .iter()
            .position(|(from, _)| !after(*from, reached))
        {
            let (_, to) = self.early.swap_remove(at);
            if after(to, reached) {
                reached = to;
            }
        }
        self.next = Some(reached);
        if waited { Place::Fills } else { Place::Next }
    }
}

/// Whether a sequence number lies behind another. They wrap around (RFC 9293, section 3.4).
fn after(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).cast_signed() > 0
}
