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
use super::receive::{Queue, Tap};
use super::work::{self, Pause, Work, WorkError};
use super::{CaptureError, explain, program, rights, system};
use crate::bpf;
use crate::chat::KeyLines;
use crate::cli;
use crate::packet::LinkType;
use crate::save::Made;
use crate::text::Glossary;
use crate::view::paint::{Look, Out};
use crate::view::words::Hosts;
use crate::wire::PORT;

/// So many bytes may wait in the kernel.
const BUFFER: usize = 16 << 20;

/// Interfaces that are opened, and whose packets wait to be shown.
pub(crate) struct Own {
    queue: Queue,
    interfaces: Vec<(String, LinkType)>,
    made: Option<Made>,
}

/// How the packets shall be shown.
pub(crate) struct Manner {
    pub(crate) glossary: Glossary,
    pub(crate) screen: cli::Screen,
    pub(crate) output: cli::output::Output,
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
    /// through, and makes the file that `output` asks for. Then rights beyond an ordinary user's are given up for good.
    ///
    /// # Errors
    /// When there are no rights for it, no such interface, or something that was asked for cannot be had.
    pub(crate) fn open(
        addresses: &[IpAddr],
        filter: &str,
        (glossary, screen, output): (&Glossary, &cli::Screen, &cli::output::Output),
    ) -> Result<Self, CaptureError> {
        work::check(glossary, screen, output)?;
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
        let made = work::made(output, || {
            let given_up = rights::give_up();
            given_up.map(drop).map_err(|(step, error)| {
                system(&format!("rights cannot be given up ({step})"), &error)
            })
        })?;
        let interfaces = taps.iter().map(|tap| (tap.name.clone(), tap.link));
        let interfaces = interfaces.collect();
        let queue = Queue::start(taps).map_err(|e| system("the receiver cannot be started", &e))?;
        Ok(Self {
            queue,
            interfaces,
            made,
        })
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
        self,
        manner: &Manner,
        keys: &KeyLines,
        stop: &EventFd,
        to: &mut impl Write,
    ) -> io::Result<()> {
        let Manner {
            glossary,
            screen,
            output,
            ..
        } = manner;
        let Self {
            mut queue,
            interfaces,
            made,
        } = self;
        let mut out = Out::new(manner.look.clone());
        // What is said of the whole.
        let mut words = Out::new(manner.look.clone());
        let mut ended = Work::new(
            glossary,
            (screen, output),
            manner.hosts.clone(),
            made,
            interfaces,
        )
        .and_then(|mut work| {
            work.treat_port(manner.port, PORT);
            work.begin(&mut out);
            let ended = until_it_ends(&mut work, &mut queue, (keys, stop), (&mut out, to));
            // Whatever ended it, the file is whole.
            match &ended {
                Err(WorkError::Write(_)) => {}
                _ => work.finish(&mut words)?,
            }
            ended
        });
        if let Err(WorkError::Output(error)) = ended {
            return Err(error);
        }
        if let Err(WorkError::Write(error)) = &mut ended {
            words.text(&error.to_string());
            words.newline();
        }
        let lost = queue.kernel().lost + queue.lost();
        if lost > 0 {
            words.sentence(glossary.say("say.chat.show.lost"), |out, _| {
                out.number(lost)
            });
            words.newline();
        }
        out.flush_to(to)?;
        match output.for_programs() {
            true => words.flush_to(&mut io::stderr()),
            false => words.flush_to(to),
        }
    }
}

/// Works until it is stopped, or has shown as many packets as were asked for.
fn until_it_ends(
    work: &mut Work<'_>,
    queue: &mut Queue,
    (keys, stop): (&KeyLines, &EventFd),
    (out, to): (&mut Out, &mut impl Write),
) -> Result<(), WorkError> {
    loop {
        let pending = work.is_pending();
        let news = queue.take(&mut work.batch, pending);
        for line in keys.take() {
            // Lines of our own are well made.
            let _ = work.secret(&line)?;
        }
        let pause = work.packets(out, to)?;
        let idle = pause == Pause::Empty && !news.any;
        if idle || pause == Pause::Held {
            work.flush(out, to)?;
        }
        if pause == Pause::Enough || (idle && news.done) {
            return Ok(());
        }
        let timeout = match pause {
            Pause::Held => PollTimeout::from(1_u8),
            _ if idle => PollTimeout::NONE,
            _ => PollTimeout::ZERO,
        };
        let mut list = [
            PollFd::new(queue.wake(), PollFlags::POLLIN),
            PollFd::new(stop.as_fd(), PollFlags::POLLIN),
        ];
        // What interrupts it is looked at in the next turn.
        let _ = poll(&mut list, timeout);
        if stop.read().is_ok() {
            queue.stop();
        }
    }
}

impl Showing {
    /// Shows what has passed until now, and ends.
    pub(crate) fn finish(self) {
        let _ = self.stop.write(1);
        let _ = self.thread.join();
    }
}
