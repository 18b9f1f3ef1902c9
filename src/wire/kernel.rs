//! What the wires over Linux's own TCP share: two peers of the chat, each in a thread of its own that drives it over a
//! kernel socket, and the stream of what is seen.
//!
//! ```text
//!  thread A: Peer ◀──▶ socket ┐                       ┌──▶ Stage: the iterator
//!  thread B: Peer ◀──▶ socket ┼── Log (bounded) ──────┘
//!  thread of the wire: packets┘
//! ```

use core::time::Duration;
use std::collections::HashSet;
use std::net::SocketAddrV4;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::poll::{PollFd, ppoll};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockProtocol, SockType, SockaddrIn, bind, listen, setsockopt,
    socket, sockopt,
};
use nix::sys::time::TimeSpec;

use super::fault::{Fates, Faults, Report};
use super::refusal::{Refusal, Step};
use super::{Happening, Host, Seen, WireError};
use crate::chat::{ChatEvent, KeyLines};
use crate::layers::tcp_info::{TcpInfo, state};
use crate::packet::Time;
use crate::reason::reason;
use crate::sys::tcp_info::tcp_info;

mod part;

pub(super) use part::{Part, Setting, Terms};

/// So much that was seen may wait to be taken.
const WAITING: usize = 1 << 14;

/// Real time, that never runs backwards.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    start: Instant,
    epoch: u64,
}

impl Clock {
    fn new() -> Self {
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            start: Instant::now(),
            epoch: epoch.map_or(0, |since| since.as_nanos() as u64),
        }
    }

    pub(super) fn now(&self) -> Time {
        Time(self.epoch + self.start.elapsed().as_nanos() as u64)
    }

    pub(super) fn started(&self) -> Time {
        Time(self.epoch)
    }

    pub(super) fn running(&self) -> Duration {
        self.start.elapsed()
    }
}

/// What all threads of a wire and its [`Stage`] know.
pub(super) struct Shared {
    pub(super) clock: Clock,
    /// Its other end is closed when all shall end.
    stop: UnixStream,
    stopper: Mutex<Option<UnixStream>>,
    failure: Mutex<Option<WireError>>,
    /// Set with the first failure: for how long the wire had been running.
    failed_at: OnceLock<Duration>,
    /// For how long the wire had been running when something new came to a program last, in nanoseconds.
    progress: AtomicU64,
    /// Whose program has heard the other's goodbye, or the end.
    over: [AtomicBool; 2],
    unseen: AtomicU64,
    /// The hosts' sockets, for the kernel's view of them.
    sockets: [OnceLock<OwnedFd>; 2],
    /// What is done to packets, if anything. Never locked while something is waited for.
    faults: Option<Mutex<Faults>>,
}

impl Shared {
    fn new(faults: Option<Faults>) -> Result<Self, WireError> {
        let (stop, stopper) = pair()?;
        Ok(Self {
            clock: Clock::new(),
            stop,
            stopper: Mutex::new(Some(stopper)),
            failure: Mutex::new(None),
            failed_at: OnceLock::new(),
            progress: AtomicU64::new(0),
            over: [const { AtomicBool::new(false) }; 2],
            unseen: AtomicU64::new(0),
            sockets: [const { OnceLock::new() }; 2],
            faults: faults.map(Mutex::new),
        })
    }

    /// Readable as soon as all shall end.
    pub(super) fn stop_fd(&self) -> BorrowedFd<'_> {
        self.stop.as_fd()
    }

    /// All shall end.
    pub(super) fn stop(&self) {
        lock(&self.stopper).take();
    }

    /// Records why the wire fails, if it is the first reason.
    pub(super) fn fail(&self, error: WireError) {
        lock(&self.failure).get_or_insert(error);
        // It is set once, and is.
        let _ = self.failed_at.set(self.clock.running());
    }

    /// For how long the wire had been running when the chat failed, if it did.
    pub(super) fn failed_at(&self) -> Option<Duration> {
        self.failed_at.get().copied()
    }

    /// Something new has come to a program.
    fn progresses(&self) {
        let running = self.clock.running().as_nanos();
        self.progress.store(running as u64, Ordering::Relaxed);
    }

    /// For how long the wire had been running when something new came to a program last.
    pub(super) fn progress(&self) -> Duration {
        Duration::from_nanos(self.progress.load(Ordering::Relaxed))
    }

    /// Whether both programs have heard goodbye.
    pub(super) fn is_over(&self) -> bool {
        self.over.iter().all(|over| over.load(Ordering::Relaxed))
    }

    pub(super) fn lose_sight(&self, packets: u64) {
        self.unseen.fetch_add(packets, Ordering::Relaxed);
    }

    /// What is done to packets, if anything.
    pub(super) fn faults(&self) -> Option<MutexGuard<'_, Faults>> {
        self.faults.as_ref().map(lock)
    }

    fn socket(&self, host: Host) -> &OnceLock<OwnedFd> {
        let [a, b] = &self.sockets;
        if host == Host::A { a } else { b }
    }

    /// What the kernel of a host knows, once it has a connection.
    pub(super) fn kernel(&self, host: Host) -> Option<TcpInfo> {
        tcp_info(self.socket(host).get()?).ok()
    }

    /// Whether no timer of TCP runs at either host: all that was sent is acknowledged, and no window is probed.
    pub(super) fn waits_for_nothing(&self) -> bool {
        [Host::A, Host::B].into_iter().all(|host| {
            let is = |info: TcpInfo| info.unacked == 0 && info.backoff == 0;
            self.kernel(host).is_some_and(is)
        })
    }

    /// Whether the connection of both hosts is over, or never was.
    pub(super) fn is_closed(&self) -> bool {
        [Host::A, Host::B].into_iter().all(|host| {
            self.kernel(host)
                .is_none_or(|info| info.state == state::CLOSE)
        })
    }
}

/// Where the threads of a wire put what is seen.
pub(super) struct Log {
    pub(super) shared: Arc<Shared>,
    seen: SyncSender<Seen>,
    /// The key log lines that were seen: the other host comes to the same.
    keys: Mutex<HashSet<String>>,
}

impl Log {
    /// A packet, or what the kernel knows: never waits. What finds no room is counted.
    pub(super) fn pass(&self, seen: Seen) {
        if let Err(TrySendError::Full(Seen::Packet(_))) = self.seen.try_send(seen) {
            self.shared.lose_sight(1);
        }
    }

    fn keys(&self, host: Host, lines: &KeyLines) {
        let time = self.shared.clock.now();
        // Locked until it is sent: the other host must not come first with a packet that it protects.
        let mut known = lock(&self.keys);
        for line in lines.take() {
            if known.insert(line.clone()) {
                // The host writes to its socket after this, so no packet with a record that the secret opens can come to
                // the rules before the secret does.
                if let Some(mut faults) = self.shared.faults() {
                    faults.key(&line);
                }
                // Fails when nobody wants to see any more; so below.
                let _ = self.seen.send(Seen::Key { host, time, line });
            }
        }
    }

    /// A secret that neither of the hosts was the first to know.
    pub(super) fn key(&self, host: Host, line: String) {
        let time = self.shared.clock.now();
        if lock(&self.keys).insert(line.clone()) {
            if let Some(mut faults) = self.shared.faults() {
                faults.key(&line);
            }
            self.pass(Seen::Key { host, time, line });
        }
    }

    fn chat(&self, host: Host, what: Happening) {
        if let Happening::Fails(error) = &what {
            let error = error.clone();
            self.shared.fail(WireError::Chat { host, error });
        }
        self.shared.progresses();
        if matches!(
            what,
            Happening::Hears(ChatEvent::Goodbye) | Happening::Ended(_)
        ) {
            let [a, b] = &self.shared.over;
            let over = if host == Host::A { a } else { b };
            over.store(true, Ordering::Relaxed);
        }
        let time = self.shared.clock.now();
        let _ = self.seen.send(Seen::Chat { host, time, what });
    }
}

/// The side of a wire that is looked at.
pub(super) struct Stage {
    shared: Arc<Shared>,
    seen: Receiver<Seen>,
    /// Taken already, to see whether there is something.
    ahead: Option<Seen>,
    threads: Vec<JoinHandle<()>>,
    over: bool,
}

/// A stage, and the log of what is to be seen on it.
pub(super) fn stage(faults: Option<Faults>) -> Result<(Stage, Arc<Log>), WireError> {
    let shared = Arc::new(Shared::new(faults)?);
    let (sender, seen) = sync_channel(WAITING);
    let log = Log {
        shared: Arc::clone(&shared),
        seen: sender,
        keys: Mutex::default(),
    };
    let stage = Stage {
        shared,
        seen,
        ahead: None,
        threads: Vec::new(),
        over: false,
    };
    Ok((stage, Arc::new(log)))
}

/// A thread that breaks down takes all others with it: they would wait for it for ever.
struct Guard<'s>(&'s Shared);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}

impl Stage {
    /// Starts a thread that this wire waits for at its end. If it fails, all end.
    pub(super) fn spawn(
        &mut self,
        name: &str,
        log: &Arc<Log>,
        work: impl FnOnce(&Log) -> Result<(), WireError> + Send + 'static,
    ) -> Result<(), WireError> {
        let log = Arc::clone(log);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let _guard = Guard(&log.shared);
                if let Err(error) = work(&log) {
                    log.shared.fail(error);
                    log.shared.stop();
                }
            })
            .map_err(Refusal::at(Step::Child))?;
        self.threads.push(thread);
        Ok(())
    }

    pub(super) fn is_ready(&mut self) -> bool {
        if self.ahead.is_none() && !self.over {
            match self.seen.try_recv() {
                Ok(seen) => self.ahead = Some(seen),
                Err(TryRecvError::Empty) => return false,
                Err(TryRecvError::Disconnected) => {}
            }
        }
        true
    }

    pub(super) fn started(&self) -> Time {
        self.shared.clock.started()
    }

    pub(super) fn unseen(&self) -> u64 {
        self.shared.unseen.load(Ordering::Relaxed)
    }

    /// What became of all packets, and of each rule; `None` where there are no rules.
    pub(super) fn faults(&self) -> Option<(Fates, Vec<Report>)> {
        let faults = self.shared.faults()?;
        Some((faults.fates(), faults.reports()))
    }

    /// Ends everything that runs.
    fn end(&mut self) {
        self.over = true;
        self.shared.stop();
        // A host waits in vain for room in a channel that nobody empties.
        let (_, nothing) = sync_channel(0);
        self.seen = nothing;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                self.shared.fail(WireError::Network {
                    what: "a thread of the wire broke down: please report it".to_owned(),
                });
            }
        }
    }
}

impl Iterator for Stage {
    type Item = Result<Seen, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        if let Some(seen) = self.ahead.take() {
            return Some(Ok(seen));
        }
        if let Ok(seen) = self.seen.recv() {
            return Some(Ok(seen));
        }
        self.end();
        lock(&self.shared.failure).take().map(Err)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.end();
    }
}

// Keys stay out of logs.
impl core::fmt::Debug for Stage {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Stage")
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

/// Waits until one of the descriptors has something, or so long.
pub(super) fn poll(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> Result<(), WireError> {
    match ppoll(fds, timeout.map(TimeSpec::from_duration), None) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(WireError::Network {
            what: format!("waiting: {}", errno.desc()),
        }),
    }
}

/// Two ends of something that can be waited for.
pub(super) fn pair() -> Result<(UnixStream, UnixStream), WireError> {
    UnixStream::pair().map_err(|error| WireError::Network {
        what: format!("a pair of sockets: {}", reason(&error)),
    })
}

/// A TCP socket that does not block. Congestion control is Reno, as in the memory wire and in RFC 5681, whatever the
/// system prefers (else Cubic); Nagle's algorithm is off.
pub(super) fn tcp_socket() -> Result<OwnedFd, Refusal> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let made = socket(
        AddressFamily::Inet,
        SockType::Stream,
        flags,
        SockProtocol::Tcp,
    )
    .map_err(Refusal::at(Step::TcpSocket))?;
    setsockopt(&made, sockopt::TcpCongestion, &"reno".into())
        .or_else(|_| setsockopt(&made, sockopt::TcpCongestion, &"cubic".into()))
        .map_err(Refusal::at(Step::TcpSocket))?;
    setsockopt(&made, sockopt::TcpNoDelay, &true).map_err(Refusal::at(Step::TcpSocket))?;
    Ok(made)
}

/// A TCP socket that listens for one connection.
///
/// `buffer` is how much TCP keeps for the application, in bytes, where that is not left to the system; Linux takes it for
/// the data alone and sets aside as much again.
pub(super) fn listener(at: SocketAddrV4, buffer: Option<usize>) -> Result<OwnedFd, Refusal> {
    let made = tcp_socket()?;
    if let Some(buffer) = buffer {
        setsockopt(&made, sockopt::RcvBuf, &buffer).map_err(Refusal::at(Step::TcpSocket))?;
    }
    // A connection of before that waits in TIME-WAIT is no obstacle.
    setsockopt(&made, sockopt::ReuseAddr, &true)
        .and_then(|()| bind(made.as_raw_fd(), &SockaddrIn::from(at)))
        .and_then(|()| listen(&made, Backlog::new(1)?))
        .map_err(Refusal::at(Step::TcpSocket))?;
    Ok(made)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
