//! Where a person sits: a prompt with line editing that incoming lines do not tear, or, if there is no terminal (or
//! `--plain` asks for it), plain lines in and out.
//!
//! Line editing is `rustyline`'s, in a thread of its own; what comes in goes through its `ExternalPrinter`, which takes
//! the prompt away, prints, and paints prompt and begun line again. Its thread cannot be called back from waiting for a
//! key. So at the end it is made to stop in the middle of painting (the next paint is forced), and the terminal gets
//! back the state it had at the start.

use std::borrow::Cow;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc as std_mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustyline::completion::Completer;
use rustyline::config::Configurer as _;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{ColorMode, Config, Editor, ExternalPrinter, Helper};
use tokio::sync::mpsc;

use super::program::print;
use crate::view::paint::{Look, Role};

/// The longest line that is read, in bytes.
const MAX_LINE: u64 = 1 << 20;

/// What the person does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Input {
    /// A line, without its newline.
    Line(String),
    /// A line that is longer than any may be; it is not kept.
    TooLong,
    /// The end of the input: Ctrl-D, or the end of a pipe.
    End,
    /// Ctrl-C at the prompt.
    Interrupted,
}

/// The screen.
pub(super) struct Terminal {
    editing: Option<Editing>,
    /// Standard output belongs to the packets, which a program reads: the chat is on standard error.
    apart: bool,
}

struct Editing {
    printer: Mutex<Box<dyn ExternalPrinter + Send>>,
    stop: Arc<AtomicBool>,
    parked: std_mpsc::Receiver<()>,
    thread: JoinHandle<()>,
    before: State,
}

impl Terminal {
    /// Begins to read, after `prompt` (a text and its role) if it can be edited. With `apart`, the chat's lines do not stand
    /// among the packets, unless somebody at a terminal sees both.
    pub(super) fn start(
        look: &Look,
        prompt: (&str, Role),
        apart: bool,
    ) -> (Self, mpsc::Receiver<Input>) {
        let (inputs, receiver) = mpsc::channel(16);
        let both = io::stdin().is_terminal() && io::stdout().is_terminal();
        let editing = match both && !look.plain {
            true => Editing::start(look, prompt, inputs.clone()),
            false => None,
        };
        if editing.is_none() {
            thread::spawn(move || read_lines(&inputs));
        }
        (Self { editing, apart }, receiver)
    }

    /// Whether there is a prompt.
    pub(super) fn has_prompt(&self) -> bool {
        self.editing.is_some()
    }

    /// Prints whole lines of the chat, each with its newline.
    ///
    /// # Errors
    /// When nobody reads them any more.
    pub(super) fn print(&self, text: &str) -> io::Result<()> {
        match &self.editing {
            Some(editing) => editing.print(text.to_owned()),
            None => print(text, self.apart),
        }
    }

    /// Prints whole lines that say something of packets.
    ///
    /// # Errors
    /// When nobody reads them any more.
    pub(super) fn print_packets(&self, text: &str) -> io::Result<()> {
        match &self.editing {
            Some(editing) => editing.print(text.to_owned()),
            None => print(text, false),
        }
    }

    /// Gives the terminal back as it was. What is printed after that is printed plainly.
    pub(super) fn finish(&mut self) {
        if let Some(editing) = self.editing.take() {
            editing.finish();
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Editing {
    /// None where the terminal is too simple.
    fn start(look: &Look, prompt: (&str, Role), inputs: mpsc::Sender<Input>) -> Option<Self> {
        let before = State::now();
        let config = Config::builder()
            .color_mode(ColorMode::Forced)
            .auto_add_history(true)
            .build();
        let mut editor: Editor<Stopper, MemHistory> =
            Editor::with_history(config, MemHistory::new()).ok()?;
        // It would be left switched on where the thread stops.
        editor.enable_synchronized_output(false);
        let printer = editor.create_external_printer().ok()?;
        let stop = Arc::new(AtomicBool::new(false));
        let (park, parked) = std_mpsc::channel();
        editor.set_helper(Some(Stopper {
            stop: Arc::clone(&stop),
            park,
        }));
        let mut out = crate::view::paint::Out::new(look.clone());
        out.paint(prompt.1, prompt.0);
        let styled = String::from_utf8_lossy(out.bytes()).into_owned();
        let prompt = (prompt.0.to_owned(), styled);
        let thread = thread::spawn(move || edit_lines(&mut editor, &prompt, &inputs));
        Some(Self {
            printer: Mutex::new(Box::new(printer)),
            stop,
            parked,
            thread,
            before,
        })
    }

    fn print(&self, text: String) -> io::Result<()> {
        let mut printer = self.printer.lock().unwrap_or_else(PoisonError::into_inner);
        printer.print(text).map_err(io::Error::other)
    }

    fn finish(self) {
        /// One line up and down again: nothing to see, but the prompt is painted after it.
        const NOTHING: &str = "\u{1b}[A\n";
        if !self.thread.is_finished() {
            // The printer holds one text at most: when it takes this one, the thread has begun with the last real one, and
            // writes it before it paints the prompt and stops there.
            let _ = self.print(NOTHING.to_owned());
            self.stop.store(true, Ordering::SeqCst);
            let Self {
                printer,
                parked,
                thread,
                before,
                ..
            } = self;
            // One more, should it have painted already. It may wait for ever for a thread that has stopped.
            thread::spawn(move || {
                let mut printer = printer.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = printer.print(NOTHING.to_owned());
            });
            let deadline = Instant::now() + Duration::from_secs(1);
            while !thread.is_finished() && Instant::now() < deadline {
                if parked.recv_timeout(Duration::from_millis(5)).is_ok() {
                    let mut stdout = io::stdout().lock();
                    // Away with the prompt; rustyline's bracketed paste off.
                    let _ = stdout.write_all(b"\r\x1b[J\x1b[?2004l");
                    let _ = stdout.flush();
                    break;
                }
            }
            before.restore();
        }
    }
}

/// The state of the terminal.
struct State(#[cfg(target_os = "linux")] Option<nix::sys::termios::Termios>);

#[cfg(target_os = "linux")]
impl State {
    fn now() -> Self {
        Self(nix::sys::termios::tcgetattr(io::stdin()).ok())
    }

    fn restore(&self) {
        if let Some(state) = &self.0 {
            // Nothing better can be done when the terminal is gone.
            let now = nix::sys::termios::SetArg::TCSADRAIN;
            let _ = nix::sys::termios::tcsetattr(io::stdin(), now, state);
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl State {
    fn now() -> Self {
        Self()
    }

    fn restore(&self) {}
}

/// Makes the thread stop where it paints.
struct Stopper {
    stop: Arc<AtomicBool>,
    park: std_mpsc::Sender<()>,
}

impl Highlighter for Stopper {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        if self.stop.load(Ordering::SeqCst) {
            let _ = self.park.send(());
            loop {
                thread::park();
            }
        }
        Cow::Borrowed(prompt)
    }
}

impl Helper for Stopper {}
impl Hinter for Stopper {
    type Hint = String;
}
impl Validator for Stopper {}
impl Completer for Stopper {
    type Candidate = String;
}

fn edit_lines(
    editor: &mut Editor<Stopper, MemHistory>,
    prompt: &(String, String),
    inputs: &mpsc::Sender<Input>,
) {
    loop {
        let input = match editor.readline(prompt) {
            // What is pasted may have several lines.
            Ok(text) => {
                let lines = text.split('\n').map(|line| Input::Line(line.to_owned()));
                if lines
                    .map(|line| inputs.blocking_send(line))
                    .any(|sent| sent.is_err())
                {
                    return;
                }
                continue;
            }
            Err(ReadlineError::Interrupted) => Input::Interrupted,
            Err(_) => Input::End,
        };
        let _ = inputs.blocking_send(input);
        return;
    }
}

fn read_lines(inputs: &mpsc::Sender<Input>) {
    let mut stdin = io::stdin().lock();
    let mut line = Vec::new();
    let mut skipping = false;
    loop {
        line.clear();
        let read = (&mut stdin).take(MAX_LINE + 1).read_until(b'\n', &mut line);
        let whole = line.last() == Some(&b'\n');
        let input = match read {
            Ok(0) | Err(_) => Input::End,
            Ok(_) if whole && skipping => {
                skipping = false;
                continue;
            }
            Ok(_) if skipping => continue,
            Ok(count) if !whole && count as u64 > MAX_LINE => {
                skipping = true;
                Input::TooLong
            }
            Ok(_) => {
                let line = line.strip_suffix(b"\n").unwrap_or(&line);
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                Input::Line(String::from_utf8_lossy(line).into_owned())
            }
        };
        let end = input == Input::End;
        if inputs.blocking_send(input).is_err() || end {
            return;
        }
    }
}
