//! From the interfaces to this program: packet sockets read through `pnet`, by a thread that does nothing else, so that the
//! kernel's buffers are emptied however long a packet takes to be shown.
//!
//! ```text
//! interface ─▶ kernel (filter, buffer) ─▶ pnet ─▶ receiver thread ─▶ Queue ─▶ whoever decodes
//!               lost: PACKET_STATISTICS                lost: counted when the queue is full
//! ```

use std::io;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use pnet::datalink::{self, Channel, ChannelType, DataLinkReceiver};

use super::interface::{Form, Interface};
use crate::bpf::Program;
use crate::packet::LinkType;
use crate::sys::packet as socket;

/// So many bytes of packets may wait in this program.
const QUEUE: usize = 64 << 20;
/// A buffer that had to grow beyond this is given back when it is empty.
const KEEP: usize = 4 << 20;
/// The largest packet the kernel makes (`GSO_MAX_SIZE`), and its link-layer header.
const LARGEST: usize = (512 << 10) + 256;
/// So many packets of one interface are read before the next has its turn.
const TURN: usize = 256;
/// EtherType for packets of all kinds, in and out.
const ETH_P_ALL: u16 = 3;

/// One interface that is being listened to.
pub(super) struct Tap {
    pub(super) name: String,
    pub(super) link: LinkType,
    /// The same socket as pnet's, to ask it what pnet does not.
    socket: OwnedFd,
    receiver: Box<dyn DataLinkReceiver>,
}

/// Which step failed.
#[derive(Debug)]
pub(super) struct OpenError {
    pub(super) step: &'static str,
    pub(super) error: io::Error,
}

impl Tap {
    /// Begins to listen. What the program refuses never reaches us. So many bytes may wait in the kernel; it grants twice
    /// that, and counts some 800 bytes for a small packet.
    pub(super) fn open(
        interface: &Interface,
        program: Option<&Program>,
        promiscuous: bool,
        buffer: usize,
    ) -> Result<Self, OpenError> {
        let failed = |step| move |error| OpenError { step, error };
        let raw = interface.form != Form::Ip;
        let socket = socket::open(raw).map_err(failed("socket"))?;
        // Nothing arrives before pnet binds the socket, so that nothing passes by the filter.
        if let Some(program) = program {
            let list: Vec<_> = program
                .0
                .iter()
                .map(|i| (i.code, i.jt, i.jf, i.k))
                .collect();
            socket::attach_filter(socket.as_fd(), &list).map_err(failed("SO_ATTACH_FILTER"))?;
        }
        if interface.device.is_loopback() {
            socket::ignore_outgoing(socket.as_fd()).map_err(failed("PACKET_IGNORE_OUTGOING"))?;
        }
        socket::receive_buffer(socket.as_fd(), buffer).map_err(failed("SO_RCVBUF"))?;
        socket::stamp_arrivals(socket.as_fd()).map_err(failed("SIOCGSTAMPNS"))?;
        let ours = socket.try_clone().map_err(failed("dup"))?;
        let config = datalink::Config {
            read_buffer_size: LARGEST,
            // Whether something waits is asked of several sockets at once, not by pnet.
            read_timeout: Some(Duration::ZERO),
            channel_type: if raw {
                ChannelType::Layer2
            } else {
                ChannelType::Layer3(ETH_P_ALL)
            },
            promiscuous,
            socket_fd: Some(socket.into_raw_fd()),
            ..datalink::Config::default()
        };
        let channel = datalink::channel(&interface.device, config).map_err(failed("bind"))?;
        let Channel::Ethernet(_, receiver) = channel else {
            return Err(failed("bind")(io::ErrorKind::Unsupported.into()));
        };
        Ok(Self {
            name: interface.name().to_owned(),
            link: interface.link(),
            socket: ours,
            receiver,
        })
    }
}

/// Packets one after the other, in two lists that are reused.
#[derive(Debug, Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    heads: Vec<Head>,
}

/// One packet of a [`Batch`].
#[derive(Debug, Clone, Copy)]
struct Head {
    time: u64,
    end: usize,
    tap: u16,
}

/// One packet, as it arrived.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrived<'b> {
    /// Nanoseconds since the Unix epoch, by the kernel.
    pub(super) time: u64,
    /// Which [`Tap`].
    pub(super) tap: usize,
    pub(super) data: &'b [u8],
}

impl Batch {
    pub(super) fn len(&self) -> usize {
        self.heads.len()
    }

    pub(super) fn get(&self, index: usize) -> Option<Arrived<'_>> {
        let head = self.heads.get(index)?;
        let before = index.checked_sub(1).and_then(|i| self.heads.get(i));
        Some(Arrived {
            time: head.time,
            tap: usize::from(head.tap),
            data: self
                .bytes
                .get(before.map_or(0, |head| head.end)..head.end)?,
        })
    }

    fn clear(&mut self) {
        if self.bytes.capacity() > KEEP {
            *self = Self::default();
        }
        self.bytes.clear();
        self.heads.clear();
    }

    /// Whether there was room.
    fn push(&mut self, time: u64, tap: u16, data: &[u8]) -> bool {
        if self.bytes.len() + data.len() > QUEUE {
            return false;
        }
        self.bytes.extend_from_slice(data);
        self.heads.push(Head {
            time,
            end: self.bytes.len(),
            tap,
        });
        true
    }

    fn append(&mut self, other: &mut Self) {
        if self.heads.is_empty() {
            std::mem::swap(self, other);
        } else {
            let moved = self.bytes.len();
            self.bytes.extend_from_slice(&other.bytes);
            let shift = |head: &Head| Head {
                end: head.end + moved,
                ..*head
            };
            self.heads.extend(other.heads.iter().map(shift));
        }
        other.clear();
    }
}

/// What waits between the receiver and whoever decodes.
#[derive(Debug, Default)]
struct Waiting {
    batch: Batch,
    /// Somebody sleeps until there is something.
    asleep: bool,
    /// How many packets found no room here.
    lost: u64,
    /// Interfaces that have ended, and why.
    ended: Vec<(usize, io::Error)>,
    /// How many packets of each tap are to be read before the end, counted from the beginning; empty until the end is near.
    limits: Vec<u64>,
    /// Nothing will come any more.
    done: bool,
}

/// What the receiver and whoever decodes share.
struct Shared {
    waiting: Mutex<Waiting>,
    /// Something waits.
    wake: EventFd,
    /// The receiver shall end when it has read what the kernel had accepted by then.
    stopping: AtomicBool,
    stop: EventFd,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what waits, and wakes who sleeps over it.
    fn tell(&self, change: impl FnOnce(&mut Waiting)) {
        let asleep = {
            let mut waiting = self.waiting();
            change(&mut waiting);
            std::mem::take(&mut waiting.asleep)
        };
        if asleep {
            // It fails only when the counter is full, and then it wakes as well.
            let _ = self.wake.write(1);
        }
    }
}

/// The receiving end of a running capture.
pub(super) struct Queue {
    shared: Arc<Shared>,
    /// Of each tap, to ask for losses.
    sockets: Vec<OwnedFd>,
    kernel: Vec<Counts>,
}

/// What the kernel counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Packets that passed the filter, lost ones included.
    pub(super) packets: u64,
    /// Those that the kernel had no room for.
    pub(super) lost: u64,
}

/// What [`Queue::take`] found beside packets.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Whether there was anything.
    pub(super) any: bool,
    /// Interfaces that have ended, and why.
    pub(super) ended: Vec<(usize, io::Error)>,
    /// Nothing will come any more.
    pub(super) done: bool,
}

impl Queue {
    /// Starts the receiver thread.
    pub(super) fn start(taps: Vec<Tap>) -> io::Result<Self> {
        let sockets = taps
            .iter()
            .map(|tap| tap.socket.try_clone())
            .collect::<io::Result<Vec<_>>>()?;
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            wake: EventFd::from_flags(flags)?,
            stopping: AtomicBool::new(false),
            stop: EventFd::from_flags(flags)?,
        });
        let theirs = Arc::clone(&shared);
        thread::Builder::new()
            .name("receiver".into())
            .spawn(move || {
                receive(taps, &theirs);
                theirs.tell(|waiting| waiting.done = true);
            })?;
        Ok(Self {
            shared,
            kernel: vec![Counts::default(); sockets.len()],
            sockets,
        })
    }

    /// Takes what waits into `batch`, behind what is in it if that is to be kept. If there was nothing, [`wake`](Self::wake)
    /// tells when something comes.
    pub(super) fn take(&self, batch: &mut Batch, keep: bool) -> News {
        if !keep {
            batch.clear();
        }
        let mut waiting = self.shared.waiting();
        // The counter is emptied under the lock, so that no call to wake up is missed.
        let _ = self.shared.wake.read();
        let before = batch.len();
        batch.append(&mut waiting.batch);
        let ended = std::mem::take(&mut waiting.ended);
        let any = batch.len() > before || !ended.is_empty();
        waiting.asleep = !any;
        News {
            any,
            ended,
            done: waiting.done,
        }
    }

    /// Readable when something came after a [`take`](Self::take) that found nothing.
    pub(super) fn wake(&self) -> BorrowedFd<'_> {
        self.shared.wake.as_fd()
    }

    /// Ends it: what has arrived by now is still received.
    pub(super) fn stop(&mut self) {
        self.kernel();
        let accepted = |counts: &Counts| counts.packets.saturating_sub(counts.lost);
        self.shared.waiting().limits = self.kernel.iter().map(accepted).collect();
        self.shared.stopping.store(true, Ordering::Release);
        let _ = self.shared.stop.write(1);
    }

    /// What the kernel counted since the beginning.
    pub(super) fn kernel(&mut self) -> Counts {
        let mut sum = Counts::default();
        for (socket, counts) in self.sockets.iter().zip(&mut self.kernel) {
            // It cannot fail on a packet socket; and what was counted before stays true.
            let (packets, lost) = socket::statistics(socket.as_fd()).unwrap_or_default();
            counts.packets += u64::from(packets);
            counts.lost += u64::from(lost);
            sum.packets += counts.packets;
            sum.lost += counts.lost;
        }
        sum
    }

    /// How many packets found no room in this program.
    pub(super) fn lost(&self) -> u64 {
        self.shared.waiting().lost
    }
}

/// The receiver: reads until it is stopped or the last interface has ended.
fn receive(taps: Vec<Tap>, shared: &Shared) {
    let mut taps: Vec<Source> = taps.into_iter().enumerate().map(Source::from).collect();
    while !taps.is_empty() {
        let stopping = shared.stopping.load(Ordering::Acquire);
        if stopping {
            for source in &mut taps {
                let limits = &shared.waiting().limits;
                source.limit = limits.get(source.index).copied().unwrap_or(0);
            }
        } else if !sleep(&taps, shared) {
            return;
        }
        let mut more = false;
        taps.retain_mut(|source| match source.turn(shared) {
            Ok(rest) => {
                more |= rest;
                true
            }
            Err(error) => {
                let index = source.index;
                shared.tell(|waiting| waiting.ended.push((index, error)));
                false
            }
        });
        if stopping && !more {
            return;
        }
    }
}

/// A tap that is being read.
struct Source {
    index: usize,
    tap: Tap,
    /// So many packets have been read.
    read: u64,
    /// So many are to be read.
    limit: u64,
}

impl From<(usize, Tap)> for Source {
    fn from((index, tap): (usize, Tap)) -> Self {
        Self {
            index,
            tap,
            read: 0,
            limit: u64::MAX,
        }
    }
}

/// Sleeps until something can be read or the end is near; `false` if even that fails.
fn sleep(taps: &[Source], shared: &Shared) -> bool {
    let mut list: Vec<PollFd<'_>> = taps
        .iter()
        .map(|source| PollFd::new(source.tap.socket.as_fd(), PollFlags::POLLIN))
        .collect();
    list.push(PollFd::new(shared.stop.as_fd(), PollFlags::POLLIN));
    match poll(&mut list, PollTimeout::NONE) {
        Ok(_) | Err(nix::Error::EINTR) => true,
        Err(error) => {
            shared.tell(|waiting| waiting.ended.push((0, error.into())));
            false
        }
    }
}

impl Source {
    /// Reads what waits at the interface; tells whether there may be more.
    fn turn(&mut self, shared: &Shared) -> io::Result<bool> {
        let tap = &mut self.tap;
        for _ in 0..TURN {
            if self.read >= self.limit {
                return Ok(false);
            }
            match tap.receiver.next() {
                Ok(data) => {
                    let time = socket::arrival(tap.socket.as_fd())?;
                    self.read += 1;
                    shared.tell(|waiting| {
                        if !waiting.batch.push(time, self.index as u16, data) {
                            waiting.lost += 1;
                        }
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Ok(false),
                Err(error)
                    if [io::ErrorKind::Interrupted, io::ErrorKind::WouldBlock]
                        .contains(&error.kind()) =>
                {
                    return Ok(true);
                }
                Err(error) => {
                    // pnet has no words for what poll reports; the socket itself knows.
                    socket::take_error(tap.socket.as_fd())?;
                    return Err(error);
                }
            }
        }
        Ok(true)
    }
}
