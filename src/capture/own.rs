//! The packets of this program's own connections, shown beside what it does: `layerwise chat … --show`.
//!
//! The secrets come from this program's own TLS, so nothing is written to a file.

use std::io::{self, Write};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::interface::{self, Form};
use super::receive::{Batch, Queue, Tap};
use super::secrets::{Known, Patience};
use super::{CaptureError, explain, program, rights, system};
use crate::bpf;
use crate::chat::KeyLines;
use crate::cli;
use crate::packet::{Frame, LinkType, Time};
use crate::session::Session;
use crate::show::{BATCH, Show};
use crate::text::Glossary;
use crate::view::paint::{Look, Out};
use crate::view::words::Hosts;
use crate::wire::PORT;

/// So many bytes may wait in the kernel.
const BUFFER: usize = 16 << 20;

/// Interfaces that are opened, and whose packets wait to be shown.
pub(crate) struct Own {
    queue: Queue,
    links: Vec<LinkType>,
}

/// How the packets shall be shown.
pub(crate) struct Manner {
    pub(crate) glossary: Glossary,
    pub(crate) screen: cli::Screen,
    pub(crate) look: Look,
    pub(crate) hosts: Hosts,
    /// The chat's port, should it be another than usual.
    pub(crate) port: u16,
}

/// A thread that shows packets.
pub(crate) struct Showing {
    stop: Arc<EventFd>,
    thread: JoinHandle<()>,
}

impl Own {
    /// Begins to watch the interfaces that have these addresses (an unspecified one stands for all) for what `filter` lets
    /// through. Then rights beyond an ordinary user's are given up for good.
    ///
    /// # Errors
    /// When there are no rights for it, or no such interface.
    pub(crate) fn open(addresses: &[IpAddr], filter: &str) -> Result<Self, CaptureError> {
        let filter = bpf::parse(filter)?;
        let all = interface::all().map_err(|e| system("the interfaces cannot be listed", &e))?;
        let everywhere = addresses.iter().any(IpAddr::is_unspecified);
        let wanted = all.iter().filter(|interface| {
            let mut theirs = interface.device.ips.iter().map(|network| network.ip());
            interface.is_up()
                && interface.form != Form::Bytes
                && (everywhere || theirs.any(|ip| addresses.contains(&ip)))
        });
        let mut taps = Vec::new();
        for interface in wanted {
            let program = program(interface, Some(&filter))?;
            let tap = Tap::open(interface, program.as_ref(), false, BUFFER);
            taps.push(tap.map_err(|error| explain(interface.name(), &error))?);
        }
        if taps.is_empty() {
            return Err(CaptureError::System(
                "no interface that is up has the address of the connection; layerwise capture -D lists them".to_owned(),
            ));
        }
        rights::give_up().map_err(|(step, error)| {
            system(&format!("rights cannot be given up ({step})"), &error)
        })?;
        let links = taps.iter().map(|tap| tap.link).collect();
        let queue = Queue::start(taps).map_err(|e| system("the receiver cannot be started", &e))?;
        Ok(Self { queue, links })
    }

    /// Shows them through `to`, which gets whole lines, as they pass.
    ///
    /// # Errors
    /// When the system has no room for one more thread.
    pub(crate) fn start(
        self,
        manner: Manner,
        keys: Arc<KeyLines>,
        mut to: impl Write + Send + 'static,
    ) -> Result<Showing, CaptureError> {
        let failed = |error| system("the packets cannot be shown", &error);
        let stop = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        let stop = Arc::new(stop.map_err(|e| failed(e.into()))?);
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("packets".into())
            // Who reads them may be gone; then nothing is left to do.
            .spawn(move || drop(self.show(&manner, &keys, &stopped, &mut to)));
        Ok(Showing {
            stop,
            thread: thread.map_err(failed)?,
        })
    }

    fn show(
        mut self,
        manner: &Manner,
        keys: &KeyLines,
        stop: &EventFd,
        to: &mut impl Write,
    ) -> io::Result<()> {
        let Manner { glossary, .. } = manner;
        let mut out = Out::new(manner.look.clone());
        let mut show = Show::new(glossary, &manner.screen, manner.hosts.clone());
        let mut sessions: Vec<_> = self.links.iter().map(|_| Session::new()).collect();
        for session in &mut sessions {
            session.treat_port(manner.port, PORT);
        }
        let (mut batch, mut next, mut count) = (Batch::default(), 0, 0);
        let (mut known, mut patience) = (Known::default(), Patience::default());
        loop {
            let pending = next < batch.len();
            let news = self.queue.take(&mut batch, pending);
            if !pending {
                next = 0;
            }
            for line in keys.take() {
                known.line(&line);
                for session in &mut sessions {
                    // Lines of our own are well made.
                    let _ = session.keylog_line(&line);
                }
            }
            let mut held = false;
            while let Some(arrived) = batch.get(next) {
                held = patience.must_wait(&batch, next, &self.links, &known);
                let session = sessions.get_mut(arrived.tap);
                let (Some(session), Some(link), false) =
                    (session, self.links.get(arrived.tap), held)
                else {
                    break;
                };
                count += 1;
                let event = session.push(Frame {
                    number: count,
                    time: Time(arrived.time),
                    link: *link,
                    data: arrived.data,
                    wire_len: arrived.data.len() as u32,
                });
                show.packet(&mut out, &event);
                next += 1;
                if out.bytes().len() >= BATCH {
                    out.flush_to(to)?;
                }
            }
            out.flush_to(to)?;
            if news.done && !held && !news.any {
                break;
            }
            let timeout = match (held, news.any) {
                (true, _) => PollTimeout::from(1_u8),
                (false, true) => PollTimeout::ZERO,
                (false, false) => PollTimeout::NONE,
            };
            let mut list = [
                PollFd::new(self.queue.wake(), PollFlags::POLLIN),
                PollFd::new(stop.as_fd(), PollFlags::POLLIN),
            ];
            // What interrupts it is looked at in the next turn.
            let _ = poll(&mut list, timeout);
            if stop.read().is_ok() {
                self.queue.stop();
            }
        }
        let lost = self.queue.kernel().lost + self.queue.lost();
        if lost > 0 {
            out.sentence(glossary.say("say.chat.show.lost"), |out, _| {
                out.number(lost)
            });
            out.newline();
        }
        out.flush_to(to)
    }
}

impl Showing {
    /// Shows what has passed until now, and ends.
    pub(crate) fn finish(self) {
        let _ = self.stop.write(1);
        let _ = self.thread.join();
    }
}
