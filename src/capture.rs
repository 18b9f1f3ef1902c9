//! Live capture: an interface is watched, and every packet decoded and shown as it passes.
//!
//! ```text
//! interfaces ─▶ receiver thread ─▶ queue ─▶ main thread: key log, Session, Show ─▶ screen
//!               (pnet, as root)             (as an ordinary user)
//! ```
//!
//! What is on the screen is the packets alone, on standard output; everything about the capture itself goes to standard error.

mod interface;
mod notes;
pub(crate) mod own;
mod receive;
mod rights;
mod secrets;
pub(crate) mod work;

use std::fmt;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::bpf::{self, Filter, FilterError, Link, Program};
use crate::cli;
use crate::file::WriteError;
use crate::interrupt::Interrupts;
use crate::keylog::LogFile;
use crate::reason::reason;
use crate::show::ShowError;
use crate::text::Glossary;
use crate::view::paint::Out;
use crate::view::words::Hosts;
use interface::{Form, Interface};
use notes::{Notes, list};
use receive::{Counts, OpenError, Queue, Tap};
use rights::GivenUp;
use work::{Pause, Work, WorkError};

/// The interface name that means all of them.
const ANY: &str = "any";

/// No name and no filter is cut off before so many columns.
const WIDE: usize = 10_000;

/// So long after the last packets it is asked again whether some were lost.
const ASK_AGAIN: u16 = 250;

/// And so long after the last question while packets keep coming.
const ASK_NOW: Duration = Duration::from_secs(1);

/// Why a capture cannot be, or ended early.
#[derive(Debug)]
pub enum CaptureError {
    /// The output cannot be written.
    Output(io::Error),
    /// The wish cannot be fulfilled; the sentence says how to mend it.
    Usage(String),
    /// The system does not let us, or the interface has ended.
    System(String),
    /// The file that is written.
    Write(WriteError),
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output(error) => write!(f, "cannot write the output: {}", reason(error)),
            Self::Usage(text) | Self::System(text) => f.write_str(text),
            Self::Write(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CaptureError {}

impl From<io::Error> for CaptureError {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<WriteError> for CaptureError {
    fn from(error: WriteError) -> Self {
        Self::Write(error)
    }
}

impl From<ShowError> for CaptureError {
    fn from(error: ShowError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<WorkError> for CaptureError {
    fn from(error: WorkError) -> Self {
        match error {
            WorkError::Output(error) => Self::Output(error),
            WorkError::Write(error) => Self::Write(error),
            WorkError::Show(error) => error.into(),
        }
    }
}

impl From<FilterError> for CaptureError {
    fn from(error: FilterError) -> Self {
        Self::Usage(error.to_string())
    }
}

/// Watches what the arguments name until it is told to end.
///
/// # Errors
/// [`CaptureError::Usage`] before anything is captured; [`CaptureError::System`] also when the last interface ends.
pub fn run(
    capture: &cli::capture::Capture,
    screen: &cli::Screen,
    glossary: &Glossary,
    out: &mut Out,
    to: &mut (impl Write + AsFd),
) -> Result<(), CaptureError> {
    let all = interface::all().map_err(|e| system("the interfaces cannot be listed", &e))?;
    if capture.list_interfaces {
        list(&all, glossary, out);
        return Ok(out.flush_to(to)?);
    }
    let mut notes = Notes::new(glossary, screen.wish());
    work::check(glossary, screen, &capture.output)?;
    let text = capture.kernel_filter.join(" ");
    let filter = match text.trim() {
        "" => None,
        text => Some(bpf::parse(text)?),
    };
    let Some(name) = &capture.interface else {
        list(&all, glossary, out);
        out.flush_to(to)?;
        return Err(CaptureError::Usage(
            "which interface? name one: layerwise capture -i lo".to_owned(),
        ));
    };
    // The signals that end a capture are taken up in the loop.
    let signals = Interrupts::new().map_err(|e| system("signals cannot be received", &e))?;

    let buffer = (capture.buffer as usize) << 20;
    let taps = open(name, &all, filter.as_ref(), buffer, &mut notes)?;
    // The key log may be readable for root alone: it is opened as long as we are.
    let keylog = capture.keylog.clone().or_else(|| {
        let file = std::env::var_os("SSLKEYLOGFILE")?;
        (!file.is_empty()).then(|| file.into())
    });
    let keys = keylog.as_deref().map(LogFile::watch);
    let made = work::made(&capture.output, || {
        let given_up = rights::give_up().map_err(|(step, error)| {
            CaptureError::System(format!(
                "rights cannot be given up ({step}: {}), so nothing is captured; root needs CAP_SETUID and CAP_SETGID for it: call it with sudo, or as an ordinary user whose program has the right to capture (layerwise doctor says how)",
                reason(&error)
            ))
        })?;
        if let GivenUp::Root { uid } = given_up {
            notes.say("say.capture.rights.user", |out, _| out.number(uid.into()));
        }
        Ok::<_, CaptureError>(())
    })?;

    let interfaces = taps.iter().map(|tap| (tap.name.clone(), tap.link));
    let mut work = Work::new(
        glossary,
        (screen, &capture.output),
        Hosts::default(),
        made,
        interfaces,
    )?;
    if name == ANY {
        work.tag();
    }
    work.waits = keys.is_some();
    let mut watch = Watch {
        work,
        keys,
        told: Told::default(),
        notes,
    };
    watch.read_keys()?;
    watch.told_of_keylog();
    if let Some(filter) = &filter {
        watch.notes.say("say.capture.filter", |out, _| {
            out.wire(filter.text().as_bytes(), WIDE);
        });
    }
    let watched: Vec<(&str, &Interface)> = watch
        .work
        .names()
        .filter_map(|name| {
            let interface = all.iter().find(|i| i.name() == name)?;
            Some((name, interface))
        })
        .collect();
    watch.notes.watching(&watched);

    let queue = Queue::start(taps).map_err(|e| system("the receiver cannot be started", &e))?;
    watch.run(queue, &signals, out, to)
}

fn system(what: &str, error: &io::Error) -> CaptureError {
    CaptureError::System(format!("{what}: {}", reason(error)))
}

/// Opens the interface of that name, or all that are up.
fn open(
    name: &str,
    all: &[Interface],
    filter: Option<&Filter>,
    buffer: usize,
    notes: &mut Notes<'_>,
) -> Result<Vec<Tap>, CaptureError> {
    if name != ANY {
        let interface =
            interface::find(name, all).map_err(|e| CaptureError::Usage(e.to_string()))?;
        if !interface.is_up() {
            return Err(CaptureError::System(format!(
                "{name} is down: nothing passes it; sudo ip link set {name} up changes that"
            )));
        }
        let program = program(&interface, filter)?;
        notes.form(&interface);
        let promiscuous = !interface.device.is_loopback();
        let tap = Tap::open(&interface, program.as_ref(), promiscuous, buffer);
        return Ok(vec![tap.map_err(|error| explain(name, &error))?]);
    }
    let mut taps = Vec::new();
    for interface in all.iter().filter(|interface| interface.is_up()) {
        match program(interface, filter) {
            Ok(program) => match Tap::open(interface, program.as_ref(), false, buffer) {
                Ok(tap) => {
                    notes.form(interface);
                    taps.push(tap);
                }
                // It was removed since it was listed.
                Err(OpenError { error, .. }) if error.raw_os_error() == Some(nix::libc::ENODEV) => {
                }
                Err(error) => return Err(explain(interface.name(), &error)),
            },
            Err(error) if interface.form == Form::Bytes => {
                notes.say("say.capture.left_out", |out, what| match what {
                    "interface" => notes::name(out, interface.name()),
                    _ => out.text(&error.to_string()),
                });
            }
            Err(error) => return Err(error),
        }
    }
    if taps.is_empty() {
        return Err(CaptureError::System(
            "no interface is up; sudo ip link set lo up brings up the first".to_owned(),
        ));
    }
    Ok(taps)
}

/// What the kernel shall run on each packet of this interface.
fn program(
    interface: &Interface,
    filter: Option<&Filter>,
) -> Result<Option<Program>, CaptureError> {
    let compile = |link| filter.map(|filter| filter.compile(link)).transpose();
    match interface.form {
        Form::Ethernet => Ok(compile(Link::Ethernet)?),
        Form::Ip => {
            let program = compile(Link::Raw)?.unwrap_or_else(Program::all);
            Ok(Some(program.of_ip_alone()))
        }
        Form::Bytes if filter.is_none() => Ok(None),
        Form::Bytes => Err(CaptureError::Usage(format!(
            "frames of type {} cannot be filtered; watch {} without a filter",
            interface.hardware,
            interface.name()
        ))),
    }
}

/// The command that lets this program watch interfaces for whoever runs it.
pub(crate) fn grant() -> String {
    if nix::unistd::geteuid().is_root() {
        // Root that may not has been refused the right from outside.
        return "docker run --cap-add NET_RAW --cap-add NET_ADMIN …".to_owned();
    }
    let program = std::env::current_exe();
    let program = program.map_or("layerwise".into(), |path| path.display().to_string());
    format!("sudo setcap cap_net_raw,cap_net_admin=eip {program}")
}

/// Why an interface cannot be opened, and what mends it.
fn explain(name: &str, error: &OpenError) -> CaptureError {
    let text = match error.error.raw_os_error() {
        Some(nix::libc::EPERM | nix::libc::EACCES) if nix::unistd::geteuid().is_root() => {
            "even root may not open a packet socket here: the container was started without the capability NET_RAW \
             (docker run --cap-add NET_RAW --cap-add NET_ADMIN)"
                .to_owned()
        }
        Some(nix::libc::EPERM | nix::libc::EACCES) => {
            format!(
                "no right to open a packet socket: run it with sudo, or give the program the right once and for all: {}",
                grant()
            )
        }
        Some(nix::libc::EAFNOSUPPORT) => {
            "this kernel has no packet sockets (CONFIG_PACKET); sudo modprobe af_packet may load them".to_owned()
        }
        Some(nix::libc::ENODEV | nix::libc::ENXIO) => format!("{name} is gone"),
        _ => format!("{name} cannot be watched: {} ({})", error.error, error.step),
    };
    CaptureError::System(text)
}

/// What was said already, and need not be said again.
#[derive(Debug, Default)]
struct Told {
    /// How many packets were lost in the kernel, and here.
    lost: (u64, u64),
    line: bool,
    trouble: bool,
}

/// A running capture.
struct Watch<'a> {
    work: Work<'a>,
    keys: Option<LogFile>,
    told: Told,
    notes: Notes<'a>,
}

impl Watch<'_> {
    fn run(
        mut self,
        queue: Queue,
        signals: &Interrupts,
        out: &mut Out,
        to: &mut (impl Write + AsFd),
    ) -> Result<(), CaptureError> {
        let began = Instant::now();
        self.work.begin(out);
        let (result, counts) = self.watch(queue, signals, out, to);
        // Whatever ended it, the file is whole.
        let mut words = self.notes.aside();
        let finished = match &result {
            Err(CaptureError::Write(_)) => Ok(()),
            _ => self.work.finish(&mut words),
        };
        if matches!(
            result,
            Err(CaptureError::Output(_) | CaptureError::Write(_))
        ) {
            return result;
        }
        finished?;
        let secrets = self.keys.is_some().then_some(self.work.known.secrets);
        let picks = self.work.picks();
        self.notes
            .summary((&self.work.sum, picks), began.elapsed(), counts, secrets);
        self.notes.print(words);
        result
    }

    /// Watches until it is over; gives also what was lost until then.
    fn watch(
        &mut self,
        mut queue: Queue,
        signals: &Interrupts,
        out: &mut Out,
        to: &mut (impl Write + AsFd),
    ) -> (Result<(), CaptureError>, (Counts, u64)) {
        let result = self.until_it_ends(&mut queue, signals, out, to);
        let counts = (queue.kernel(), queue.lost());
        (result, counts)
    }

    fn until_it_ends(
        &mut self,
        queue: &mut Queue,
        signals: &Interrupts,
        out: &mut Out,
        to: &mut (impl Write + AsFd),
    ) -> Result<(), CaptureError> {
        let mut ended = None;
        let mut stopped = false;
        // Whether packets came since it was last asked how many were lost.
        let mut fresh = false;
        let mut asked = Instant::now();
        loop {
            let pending = self.work.is_pending();
            let news = queue.take(&mut self.work.batch, pending);
            fresh |= news.any;
            for (tap, error) in news.ended {
                ended = Some(self.down(tap, &error));
            }
            self.read_keys()?;
            let pause = self.work.packets(out, to)?;
            // Only what was found empty wakes who sleeps over it, so nothing may lie between the two.
            let idle = pause == Pause::Empty && !news.any;
            if pause == Pause::Enough || (idle && news.done) {
                break;
            }
            let timeout = match pause {
                Pause::Held => PollTimeout::from(1_u8),
                _ if !idle => PollTimeout::ZERO,
                _ if fresh => PollTimeout::from(ASK_AGAIN),
                _ => PollTimeout::NONE,
            };
            if timeout != PollTimeout::ZERO {
                self.work.flush(out, to)?;
            }
            if fresh && asked.elapsed() > ASK_NOW {
                asked = Instant::now();
                self.losses(queue);
            }
            match wait(queue, signals, to.as_fd(), timeout)? {
                Woken::Signal if stopped => break,
                Woken::Signal => {
                    stopped = true;
                    queue.stop();
                }
                Woken::Nothing if idle => {
                    fresh = false;
                    self.losses(queue);
                }
                _ => {}
            }
        }
        out.flush_to(to)?;
        match ended {
            Some(text) if !stopped => Err(CaptureError::System(text)),
            _ => Ok(()),
        }
    }

    /// Takes up what is new in the key log.
    fn read_keys(&mut self) -> Result<(), CaptureError> {
        let Some(keys) = &mut self.keys else {
            return Ok(());
        };
        let (work, mut wrong) = (&mut self.work, Ok(None));
        let read = keys.read(|line| {
            if let Ok(before) = &wrong {
                let before = *before;
                wrong = work.secret(line).map(|now| before.or(now));
            }
        });
        let wrong = wrong?;
        let trouble = read.err().or_else(|| keys.trouble());
        let path = keys.path().display().to_string();
        for (told, key, reason) in [
            (
                &mut self.told.line,
                "say.capture.keylog.line",
                wrong.map(|e| e.to_string()),
            ),
            (
                &mut self.told.trouble,
                "say.capture.keylog.trouble",
                trouble.map(|e| e.to_string()),
            ),
        ] {
            if let Some(reason) = reason.filter(|_| !*told) {
                *told = true;
                self.notes.say(key, |out, what| match what {
                    "file" => {
                        out.wire(path.as_bytes(), WIDE);
                    }
                    _ => out.text(&reason),
                });
            }
        }
        Ok(())
    }

    /// Says where secrets come from.
    fn told_of_keylog(&mut self) {
        let Some(keys) = &self.keys else {
            return;
        };
        let key = if keys.is_open() {
            "say.capture.keylog"
        } else if self.told.trouble {
            return;
        } else {
            "say.capture.keylog.missing"
        };
        let path = keys.path().display().to_string();
        let secrets = self.work.known.secrets;
        self.notes.say(key, |out, what| match what {
            "file" => {
                out.wire(path.as_bytes(), WIDE);
            }
            _ => out.number(secrets),
        });
    }

    /// An interface has ended.
    fn down(&mut self, tap: usize, error: &io::Error) -> String {
        let name = self.work.name(tap);
        let reason = match error.raw_os_error() {
            Some(nix::libc::ENETDOWN) => "it went down".to_owned(),
            Some(nix::libc::ENODEV | nix::libc::ENXIO) => "it is gone".to_owned(),
            _ => error.to_string(),
        };
        if self.work.names().count() > 1 {
            self.notes.say("say.capture.down", |out, what| match what {
                "interface" => notes::name(out, name),
                _ => out.text(&reason),
            });
        }
        format!("{name} has ended: {reason}")
    }

    /// Says how many packets were lost, if that changed.
    fn losses(&mut self, queue: &mut Queue) {
        let lost = (queue.kernel().lost, queue.lost());
        if lost != self.told.lost {
            self.told.lost = lost;
            self.notes.lost(lost);
        }
    }
}

/// Why the loop goes on.
enum Woken {
    /// Somebody wants to end it.
    Signal,
    /// Nothing happened in that time.
    Nothing,
    /// There are packets.
    Packets,
}

fn wait(
    queue: &Queue,
    signals: &Interrupts,
    screen: BorrowedFd<'_>,
    timeout: PollTimeout,
) -> Result<Woken, CaptureError> {
    let mut list = [
        PollFd::new(queue.wake(), PollFlags::POLLIN),
        PollFd::new(signals.as_fd(), PollFlags::POLLIN),
        // Nothing is asked of the screen, but poll says when its reader is gone.
        PollFd::new(screen, PollFlags::empty()),
    ];
    match poll(&mut list, timeout) {
        Ok(0) => return Ok(Woken::Nothing),
        Ok(_) => {}
        Err(nix::Error::EINTR) => return Ok(Woken::Packets),
        Err(error) => return Err(system("cannot wait for packets", &error.into())),
    }
    let [_, signal, screen] = &list;
    if screen
        .revents()
        .is_some_and(|e| e.contains(PollFlags::POLLERR))
    {
        return Err(CaptureError::Output(io::ErrorKind::BrokenPipe.into()));
    }
    if signal.any().unwrap_or(false) && signals.came() {
        return Ok(Woken::Signal);
    }
    Ok(Woken::Packets)
}
