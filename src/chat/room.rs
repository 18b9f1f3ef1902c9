//! The room that all clients of a server are in: who is there, and what was said.
//!
//! What is said is kept once, in a log with a limit; each member has a place in it, up to which it has taken everything:
//!
//! ```text
//!            ┌─────────┬───────────┬─────────┬──────────┐
//!  dropped ─▶│ Ada: hi │ * Bob ... │ Bob: ho │ for Ada  │◀─ appended
//!            └─────────┴───────────┴─────────┴──────────┘
//!                      ▲ Carl                           ▲ Ada, Bob: nothing new
//! ```
//!
//! So a line costs the same memory for two and for two thousand readers, a member that has nothing to take costs no buffer
//! at all, and one that has fallen behind takes all it has missed in one piece. Nobody waits for a reader: who is further
//! behind than the log reaches is cut off. Only those who say more than others can take are slowed down ([`Room::crowded`]).

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::name;
use super::notices::Notices;

/// A place in the room. Whoever has it gives it back with [`Room::leave`].
pub(super) type Id = usize;

/// The operator's place.
pub(super) const OPERATOR: Id = 0;

/// What an entry costs beside its text, about.
const ENTRY: usize = 64;
/// A newcomer is announced after so long, or with the first line it says: by then it may have given its name, and one
/// that only looked in has gone.
const SETTLING: Duration = Duration::from_millis(300);
/// So many names are listed at most.
const LISTED: usize = 20;

/// Why a member has to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// It did not read what was said.
    Lag,
    /// It said nothing for too long.
    Idle,
    /// The operator put it out.
    Kick,
    /// The chat is over.
    Closing,
}

/// Who reads an entry of the log.
#[derive(Debug, Clone, Copy)]
enum To {
    All,
    AllBut(Id),
    Only(Id),
}

#[derive(Debug)]
struct Entry {
    /// How many bytes were said before it.
    at: u64,
    to: To,
    text: Box<[u8]>,
}

#[derive(Debug)]
struct Member {
    name: Arc<str>,
    address: Option<SocketAddr>,
    /// The number of the next entry to take.
    next: u64,
    /// Who to wake when there is one, or when it has to go.
    waker: Option<Waker>,
    /// It can take nothing just now: it is woken only when it has to go.
    full: bool,
    cut: Option<Cut>,
    heard: Instant,
    /// When it came, as long as the others were not told.
    unannounced: Option<Instant>,
}

#[derive(Debug, Default)]
struct State {
    log: VecDeque<Entry>,
    /// The number of the first entry that is still there.
    first: u64,
    /// What the log costs now.
    cost: usize,
    /// How many bytes were ever said.
    said: u64,
    /// The same when everybody's place was last looked at, and when that was.
    looked: u64,
    looked_at: Option<Instant>,
    members: Vec<Option<Member>>,
    /// Those who are there, the operator not counted.
    count: usize,
    /// Whose name it is, by its folded form.
    names: HashMap<String, Id>,
    guests: u64,
    /// Members to wake, collected under the lock and woken after it.
    wake: Vec<Waker>,
}

/// What [`Room::take`] gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Something was added to the buffer.
    Some,
    /// There is nothing new; the waker is called when there is.
    Nothing,
    /// The member has to go.
    Cut(Cut),
}

/// Why somebody does not get a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoName {
    /// It is none.
    Bad,
    /// Somebody has it, or one that looks like it.
    Taken,
}

/// The room.
#[derive(Debug)]
pub(super) struct Room {
    state: Mutex<State>,
    /// Some reader is so far behind that whoever has more to say shall wait a little.
    crowded: AtomicBool,
    /// What the log may cost, in bytes.
    limit: usize,
    notices: Notices,
}

impl Room {
    /// An empty room with its operator in it. `limit`: what the log may cost, in bytes.
    pub(super) fn new(operator: &str, limit: usize, notices: Notices) -> Self {
        let room = Self {
            state: Mutex::default(),
            crowded: AtomicBool::new(false),
            limit,
            notices,
        };
        let mut state = room.lock();
        state.names.insert(name::fold(operator), OPERATOR);
        state
            .members
            .push(Some(Member::new(operator.into(), None, 0)));
        drop(state);
        room
    }

    /// A newcomer, who gets a name and is greeted. The name is given back, too.
    pub(super) fn join(&self, address: SocketAddr) -> (Id, Arc<str>) {
        let mut state = self.lock();
        let name = loop {
            state.guests += 1;
            let name = format!("guest-{}", state.guests);
            if !state.names.contains_key(&name::fold(&name)) {
                break Arc::<str>::from(name);
            }
        };
        // A low number is free, or the next one is: the list is as long as there were members at once.
        let id = match state.members.iter().position(Option::is_none) {
            Some(id) if state.count + 1 < state.members.len() => id,
            _ => state.members.len(),
        };
        let next = state.end();
        let mut member = Member::new(Arc::clone(&name), Some(address), next);
        member.unannounced = Some(Instant::now());
        match state.members.get_mut(id) {
            Some(place) => *place = Some(member),
            None => state.members.push(Some(member)),
        }
        state.names.insert(name::fold(&name), id);
        let here = state.list(id);
        let others = state.count + 1;
        state.count += 1;
        let text = self.notices.welcome(&name, others, &here);
        self.append(&mut state, To::Only(id), text.into_bytes());
        self.unlock(state);
        (id, name)
    }

    /// Takes a member out and tells the others why: `how` is a notice with `{name}`.
    pub(super) fn leave(&self, id: Id, how: &str) {
        let mut state = self.lock();
        let Some(member) = state.members.get_mut(id).and_then(Option::take) else {
            return;
        };
        state.names.remove(&name::fold(&member.name));
        state.count -= 1;
        if member.unannounced.is_none() {
            let text = self.notices.of(how, &[("name", &member.name)]);
            self.append(&mut state, To::All, text.into_bytes());
        }
        self.unlock(state);
    }

    /// Takes a new name.
    pub(super) fn rename(&self, id: Id, name: &str) -> Result<Arc<str>, NoName> {
        if !name::is_good(name) {
            return Err(NoName::Bad);
        }
        let mut state = self.lock();
        let folded = name::fold(name);
        // The names that the room gives are nobody's to take.
        let owner = state.names.get(&folded).copied();
        let reserved = folded.starts_with("guest-");
        if owner.is_some_and(|owner| owner != id) || (reserved && owner.is_none()) {
            return Err(NoName::Taken);
        }
        let new: Arc<str> = name.into();
        let Some(member) = state.member(id) else {
            return Err(NoName::Taken);
        };
        let old = core::mem::replace(&mut member.name, Arc::clone(&new));
        let silent = member.unannounced.take().is_some();
        state.names.remove(&name::fold(&old));
        state.names.insert(folded, id);
        let text = match silent {
            true => self.notices.of("say.chat.joined", &[("name", &new)]),
            false => self
                .notices
                .of("say.chat.renamed", &[("old", &old), ("name", &new)]),
        };
        self.append(&mut state, To::AllBut(id), text.into_bytes());
        let text = self.notices.of("say.chat.you_are", &[("name", &new)]);
        self.append(&mut state, To::Only(id), text.into_bytes());
        self.unlock(state);
        Ok(new)
    }

    /// Says whole lines, each with its newline, to all but `id`, who says them.
    pub(super) fn say(&self, id: Id, lines: &[u8]) {
        let mut state = self.lock();
        if let Some(member) = state.member(id) {
            member.heard = Instant::now();
            if member.unannounced.take().is_some() {
                let text = self
                    .notices
                    .of("say.chat.joined", &[("name", &member.name)]);
                self.append(&mut state, To::AllBut(id), text.into_bytes());
            }
        }
        self.append(&mut state, To::AllBut(id), lines.to_vec());
        self.unlock(state);
    }

    /// It is alive: it gave a command.
    pub(super) fn heard(&self, id: Id) {
        if let Some(member) = self.lock().member(id) {
            member.heard = Instant::now();
        }
    }

    /// Whether a member that cannot take more just now has to go; if not, the waker is called when it has to.
    pub(super) fn is_cut(&self, id: Id, waker: &Waker) -> Option<Cut> {
        let mut state = self.lock();
        let member = state.member(id)?;
        member.full = true;
        member.wait(waker);
        member.cut
    }

    /// Tells one member something: a notice, with its newline.
    pub(super) fn tell(&self, id: Id, text: String) {
        let mut state = self.lock();
        self.append(&mut state, To::Only(id), text.into_bytes());
        self.unlock(state);
    }

    /// Who is here, as a notice; with addresses for the operator.
    pub(super) fn who(&self, id: Id) {
        let mut state = self.lock();
        let list = match id {
            OPERATOR => state.addresses(),
            _ => state.list(usize::MAX),
        };
        let count = (state.count + 1).to_string();
        let text = self
            .notices
            .of("say.chat.who", &[("count", &count), ("names", &list)]);
        self.append(&mut state, To::Only(id), text.into_bytes());
        self.unlock(state);
    }

    /// Puts out whoever has this name. Whether there is such a one.
    pub(super) fn kick(&self, name: &str) -> bool {
        let mut state = self.lock();
        let found = state.names.get(&name::fold(name)).copied();
        let found = found.filter(|id| *id != OPERATOR);
        if let Some(id) = found {
            state.cut(id, Cut::Kick);
        }
        self.unlock(state);
        found.is_some()
    }

    /// Everybody has to go.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        for id in 1..state.members.len() {
            state.cut(id, Cut::Closing);
        }
        self.unlock(state);
    }

    /// How many are here, the operator not counted.
    pub(super) fn count(&self) -> usize {
        self.lock().count
    }

    /// Announces those who have settled, and cuts off those who said nothing for `idle` (if that is not zero) or are too
    /// far behind. To be called several times a second.
    pub(super) fn tend(&self, idle: Duration) {
        let now = Instant::now();
        let mut state = self.lock();
        let mut names = Vec::new();
        let first = state.first;
        let State { members, wake, .. } = &mut *state;
        let mut last = OPERATOR;
        for (id, member) in members.iter_mut().enumerate().skip(1) {
            let Some(member) = member else {
                continue;
            };
            if member
                .unannounced
                .is_some_and(|since| now.duration_since(since) >= SETTLING)
            {
                member.unannounced = None;
                names.push(Arc::clone(&member.name));
                last = id;
            }
            if !idle.is_zero() && now.duration_since(member.heard) >= idle {
                member.cut(Cut::Idle, wake);
            }
            if member.next < first {
                member.cut(Cut::Lag, wake);
            }
        }
        if !names.is_empty() {
            let (key, to) = match names.len() {
                1 => ("say.chat.joined", To::AllBut(last)),
                _ => ("say.chat.joined_many", To::All),
            };
            let text = self.notices.of(key, &[("name", &listed(&names))]);
            self.append(&mut state, to, text.into_bytes());
        }
        self.unlock(state);
    }

    /// Writes to `out`, which is empty, what `id` has not yet taken: `max` bytes or a little more.
    pub(super) fn take(&self, id: Id, out: &mut Vec<u8>, max: usize, waker: &Waker) -> Taken {
        let mut state = self.lock();
        let State {
            log,
            first,
            members,
            ..
        } = &mut *state;
        let Some(member) = members.get_mut(id).and_then(Option::as_mut) else {
            return Taken::Cut(Cut::Kick);
        };
        if let Some(cut) = member.cut {
            return Taken::Cut(cut);
        }
        let start = match member.next.checked_sub(*first) {
            Some(start) => start as usize,
            // The operator's screen is nobody to cut off; it goes on with what is still there.
            None if id == OPERATOR => {
                out.extend_from_slice(self.notices.of("say.chat.skipped", &[]).as_bytes());
                0
            }
            None => return Taken::Cut(Cut::Lag),
        };
        let mut taken = start;
        for entry in log.range(start.min(log.len())..) {
            if out.len() >= max {
                break;
            }
            taken += 1;
            if match entry.to {
                To::All => true,
                To::AllBut(other) => other != id,
                To::Only(one) => one == id,
            } {
                out.extend_from_slice(&entry.text);
            }
        }
        member.next = *first + taken as u64;
        if !out.is_empty() {
            return Taken::Some;
        }
        member.full = false;
        member.wait(waker);
        Taken::Nothing
    }

    /// Whether some reader is so far behind that whoever has more to say shall wait a little: a reader that is alive soon
    /// catches up, and nothing is lost to it.
    pub(super) fn crowded(&self) -> bool {
        if !self.crowded.load(Ordering::Relaxed) {
            return false;
        }
        let mut state = self.lock();
        let now = Instant::now();
        // All who wait ask; one look a millisecond serves them all.
        let fresh = |at: Instant| now.duration_since(at) < Duration::from_millis(1);
        if !state.looked_at.is_some_and(fresh) {
            self.look(&mut state, now);
        }
        self.crowded.load(Ordering::Relaxed)
    }

    /// Looks at everybody's place.
    fn look(&self, state: &mut State, now: Instant) {
        let State {
            log,
            first,
            said,
            members,
            wake,
            ..
        } = state;
        let mut crowded = false;
        for member in members.iter_mut().skip(1).flatten() {
            let Some(index) = member.next.checked_sub(*first) else {
                member.cut(Cut::Lag, wake);
                continue;
            };
            let at = log.get(index as usize).map_or(*said, |entry| entry.at);
            crowded |= member.cut.is_none() && *said - at > self.limit as u64 / 2;
        }
        state.looked = *said;
        state.looked_at = Some(now);
        self.crowded.store(crowded, Ordering::Relaxed);
    }

    fn append(&self, state: &mut State, to: To, text: Vec<u8>) {
        let cost = text.len() + ENTRY;
        state.log.push_back(Entry {
            at: state.said,
            to,
            text: text.into_boxed_slice(),
        });
        state.said += cost as u64;
        state.cost += cost;
        // The entry just appended stays in any case.
        while state.cost > self.limit && state.log.len() > 1 {
            if let Some(entry) = state.log.pop_front() {
                state.cost -= entry.text.len() + ENTRY;
                state.first += 1;
            }
        }
        if state.said - state.looked > self.limit as u64 / 4 {
            self.look(state, Instant::now());
        }
        let State { members, wake, .. } = state;
        match to {
            To::Only(id) => {
                let member = members.get_mut(id).and_then(Option::as_mut);
                wake.extend(member.and_then(Member::ready));
            }
            To::All | To::AllBut(_) => {
                let all = members.iter_mut().flatten();
                wake.extend(all.filter_map(Member::ready));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the lock back, and then wakes those for whom there is something.
    fn unlock(&self, mut state: MutexGuard<'_, State>) {
        let mut wake = core::mem::take(&mut state.wake);
        drop(state);
        for waker in wake.drain(..) {
            waker.wake();
        }
        // The room for the wakers is used again, by whoever comes first.
        if wake.capacity() > 0
            && let Ok(mut state) = self.state.try_lock()
            && state.wake.capacity() == 0
        {
            state.wake = wake;
        }
    }
}

impl State {
    /// The number that the next entry will have.
    fn end(&self) -> u64 {
        self.first + self.log.len() as u64
    }

    fn member(&mut self, id: Id) -> Option<&mut Member> {
        self.members.get_mut(id)?.as_mut()
    }

    fn cut(&mut self, id: Id, cut: Cut) {
        if let Some(member) = self.members.get_mut(id).and_then(Option::as_mut) {
            member.cut(cut, &mut self.wake);
        }
    }

    /// The names of all but one.
    fn list(&self, but: Id) -> String {
        let there = self.members.iter().enumerate();
        let there = there.filter_map(|(id, member)| (id != but).then_some(member.as_ref()?));
        let first: Vec<Arc<str>> = there
            .take(LISTED + 1)
            .map(|member| Arc::clone(&member.name))
            .collect();
        let all = self.count + 1;
        match first.get(..LISTED) {
            Some(listed) if all > LISTED => listed.join(", ") + ", …",
            _ => first.join(", "),
        }
    }

    /// All with their addresses, one a line.
    fn addresses(&self) -> String {
        let mut list = String::new();
        for member in self.members.iter().flatten() {
            list.push_str("\n*   ");
            list.push_str(&member.name);
            if let Some(address) = member.address {
                list.push_str("  ");
                list.push_str(&address.to_string());
            }
        }
        list
    }
}

fn listed(names: &[Arc<str>]) -> String {
    match names.get(..LISTED) {
        Some(first) if names.len() > LISTED => first.join(", ") + ", …",
        _ => names.join(", "),
    }
}

impl Member {
    fn new(name: Arc<str>, address: Option<SocketAddr>, next: u64) -> Self {
        Self {
            name,
            address,
            next,
            waker: None,
            full: false,
            cut: None,
            heard: Instant::now(),
            unannounced: None,
        }
    }

    fn wait(&mut self, waker: &Waker) {
        match &mut self.waker {
            Some(kept) => kept.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// The waker, if the member can take what is new.
    fn ready(&mut self) -> Option<Waker> {
        match self.full {
            true => None,
            false => self.waker.take(),
        }
    }

    fn cut(&mut self, cut: Cut, wake: &mut Vec<Waker>) {
        if self.cut.is_none() {
            self.cut = Some(cut);
            wake.extend(self.waker.take());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;
    use crate::text::Glossary;

    /// Counts how often it is called.
    #[derive(Default)]
    struct Calls(AtomicUsize);

    impl Wake for Calls {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn room(limit: usize) -> Room {
        Room::new("server", limit, Notices::new(Glossary::english().unwrap()))
    }

    fn join(room: &Room) -> Id {
        room.join(SocketAddr::from(([127, 0, 0, 1], 1))).0
    }

    /// What a member takes, as text.
    fn take(room: &Room, id: Id) -> Result<String, Cut> {
        let mut out = Vec::new();
        match room.take(id, &mut out, usize::MAX, Waker::noop()) {
            Taken::Cut(cut) => Err(cut),
            Taken::Some | Taken::Nothing => Ok(String::from_utf8(out).unwrap()),
        }
    }

    #[test]
    fn a_line_comes_to_all_but_who_says_it() {
        let room = room(1 << 20);
        let (ada, bob) = (join(&room), join(&room));
        assert!(
            take(&room, ada)
                .unwrap()
                .starts_with("* welcome, guest-1; here with you: server\n")
        );
        assert!(
            take(&room, bob)
                .unwrap()
                .contains("with you: server, guest-1\n")
        );
        room.say(ada, b"guest-1: hi\n");
        // With the first line, its author is announced.
        let both = "* guest-1 joined\nguest-1: hi\n";
        assert_eq!(take(&room, bob).unwrap(), both);
        assert_eq!(take(&room, OPERATOR).unwrap(), both);
        assert_eq!(take(&room, ada).unwrap(), "");
        assert_eq!(take(&room, bob).unwrap(), "");
        // Who comes later hears nothing of it; who has left, and was announced, is missed.
        let carl = join(&room);
        assert!(!take(&room, carl).unwrap().contains("hi"));
        room.leave(bob, "say.chat.left");
        room.leave(ada, "say.chat.left");
        assert_eq!(take(&room, carl).unwrap(), "* guest-1 left\n");
        assert_eq!(room.count(), 1);
        // A place that is free is used again, and what was for its old owner is not read by the new one.
        room.tell(carl, "for carl\n".to_owned());
        room.leave(carl, "say.chat.left");
        let dora = join(&room);
        assert!(!take(&room, dora).unwrap().contains("for carl"));
    }

    #[test]
    fn who_takes_nothing_is_cut_off_and_costs_no_more_than_the_limit() {
        let room = room(10_000);
        let (ada, bob, stuck) = (join(&room), join(&room), join(&room));
        for _ in 0..1000 {
            room.say(ada, &[b'x'; 100]);
            assert!(take(&room, bob).is_ok());
            assert!(room.lock().cost <= 10_000);
        }
        assert_eq!(take(&room, stuck), Err(Cut::Lag));
        // The operator is nobody to cut off, but is told that something is missing.
        let text = take(&room, OPERATOR).unwrap();
        assert!(text.starts_with("* lines are missing here"), "{text}");
    }

    #[test]
    fn a_crowd_is_noticed_before_anything_is_lost() {
        let room = room(10_000);
        let (ada, slow) = (join(&room), join(&room));
        take(&room, slow).unwrap();
        let mut said = 0;
        while !room.crowded() {
            room.say(ada, &[b'x'; 100]);
            said += 1;
            assert!(said < 100);
        }
        let taken = take(&room, slow).unwrap();
        assert_eq!(taken.matches('x').count(), said * 100);
        // Who speaks has a place of its own in the log. It looks again after a millisecond.
        take(&room, ada).unwrap();
        while room.crowded() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn only_who_waits_is_woken() {
        let room = room(10_000);
        let (ada, bob) = (join(&room), join(&room));
        let calls = Arc::new(Calls::default());
        let count = || calls.0.load(Ordering::Relaxed);
        let waker = Waker::from(Arc::clone(&calls));
        let mut out = Vec::new();
        assert_eq!(room.take(bob, &mut out, 1, &waker), Taken::Some);
        room.say(ada, b"one\n");
        assert_eq!(count(), 0);
        loop {
            out.clear();
            if room.take(bob, &mut out, 1, &waker) == Taken::Nothing {
                break;
            }
        }
        room.say(ada, b"two\n");
        room.say(ada, b"three\n");
        assert_eq!(count(), 1);
        // One whose socket is full waits for nothing but its end.
        assert_eq!(room.is_cut(bob, &waker), None);
        room.say(ada, b"four\n");
        assert_eq!(count(), 1);
        assert!(room.kick("GUEST-2"));
        assert_eq!(count(), 2);
        assert_eq!(room.is_cut(bob, &waker), Some(Cut::Kick));
    }

    #[test]
    fn names_are_given_once() {
        let room = room(10_000);
        let (ada, bob) = (join(&room), join(&room));
        assert_eq!(&*room.rename(ada, "Ada").unwrap(), "Ada");
        assert_eq!(room.rename(bob, "4da"), Err(NoName::Bad));
        assert_eq!(room.rename(bob, "\u{c5}DA"), Err(NoName::Taken));
        assert_eq!(room.rename(bob, "Server"), Err(NoName::Taken));
        assert_eq!(room.rename(bob, "guest-9"), Err(NoName::Taken));
        // One's own in another spelling.
        assert_eq!(&*room.rename(ada, "ADA").unwrap(), "ADA");
        assert_eq!(&*room.rename(bob, "guest-2").unwrap(), "guest-2");
        room.leave(ada, "say.chat.left");
        assert!(room.rename(bob, "Ada").is_ok());
        assert!(!room.kick("server") && !room.kick("nobody"));
    }
}
