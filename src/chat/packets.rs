//! `--show`: the packets of the chat's own connections, from the real interface, among the lines of the chat.
//!
//! A thread watches and decodes; what it has to print comes through a channel to whoever holds the screen, so that neither
//! tears the other's lines.

use std::io;
use std::sync::Arc;

use rustls::KeyLog;
use tokio::sync::mpsc;

use super::program::ProgramError;
use super::setup::Both;
use super::{KeyLines, Setup};
use crate::cli;
use crate::text::Glossary;
use crate::view::paint::Look;
use crate::view::words::Hosts;

/// So many pieces of text may wait for the screen before the watching thread waits, too.
#[cfg(target_os = "linux")]
const AHEAD: usize = 64;

/// Packets that are being shown, or none.
pub(super) struct Packets {
    lines: mpsc::Receiver<String>,
    #[cfg(target_os = "linux")]
    showing: Option<crate::capture::own::Showing>,
}

/// What is watched before there is a connection.
pub(super) struct Watched {
    #[cfg(target_os = "linux")]
    keys: Arc<KeyLines>,
    #[cfg(target_os = "linux")]
    own: crate::capture::own::Own,
}

/// How it shall look.
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "there is nothing to be shown")
)]
pub(super) struct Manner<'a> {
    pub(super) glossary: &'a Glossary,
    pub(super) screen: &'a cli::Screen,
    pub(super) output: &'a cli::output::Output,
    pub(super) look: &'a Look,
    pub(super) hosts: Hosts,
    /// The server's port.
    pub(super) port: u16,
}

/// What is said of packets needs packets.
///
/// # Errors
/// A sentence: what to do.
pub(super) fn check(shown: bool, output: &cli::output::Output) -> Result<(), ProgramError> {
    if shown || *output == cli::output::Output::default() {
        return Ok(());
    }
    let text = "-w, -Y, -T, -e, -E and -c are about packets: add --show, or leave them out";
    Err(ProgramError::Usage(text.to_owned()))
}

/// The setup, telling its secrets to `file`, to whoever shows packets, to both or to nobody.
pub(super) fn telling(
    setup: Setup,
    file: Option<Arc<dyn KeyLog>>,
    keys: Option<&Arc<KeyLines>>,
) -> Setup {
    let keys = keys.map(|keys| Arc::clone(keys) as Arc<dyn KeyLog>);
    match (file, keys) {
        (Some(file), Some(keys)) => setup.key_log(Arc::new(Both(file, keys))),
        (Some(one), None) | (None, Some(one)) => setup.key_log(one),
        (None, None) => setup,
    }
}

impl Watched {
    /// Begins to watch, and opens records with `keys`. Must come before the first thread, and after everything that takes
    /// rights.
    ///
    /// # Errors
    /// A sentence: what is missing and how to get it.
    #[cfg(target_os = "linux")]
    pub(super) fn open(
        addresses: &[std::net::IpAddr],
        filter: &str,
        keys: Arc<KeyLines>,
        options: (&Glossary, &cli::Screen, &cli::output::Output),
    ) -> Result<Self, ProgramError> {
        use crate::capture::{CaptureError, own::Own};
        let own = Own::open(addresses, filter, options).map_err(|error| match error {
            CaptureError::Output(error) => ProgramError::Output(error),
            CaptureError::Write(error) => match error.is_usage() {
                true => ProgramError::Usage(error.to_string()),
                false => ProgramError::other(error),
            },
            CaptureError::Usage(text) => ProgramError::Usage(format!("--show: {text}")),
            CaptureError::System(text) => ProgramError::Other(format!("--show: {text}")),
        })?;
        Ok(Self { keys, own })
    }

    /// Says that it cannot be had here.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn open(
        _: &[std::net::IpAddr],
        _: &str,
        _: Arc<KeyLines>,
        _: (&Glossary, &cli::Screen, &cli::output::Output),
    ) -> Result<Self, ProgramError> {
        Err(ProgramError::Usage(
            "--show needs Linux; layerwise demo shows the same packets anywhere".to_owned(),
        ))
    }
}

impl Packets {
    /// None at all.
    pub(super) fn none() -> Self {
        Self {
            lines: mpsc::channel(1).1,
            #[cfg(target_os = "linux")]
            showing: None,
        }
    }

    /// Those that were caught since `watched` was opened, and all that come.
    ///
    /// # Errors
    /// When the system has no room for one more thread.
    #[cfg(target_os = "linux")]
    pub(super) fn of(watched: Watched, manner: Manner<'_>) -> Result<Self, ProgramError> {
        let (sender, lines) = mpsc::channel(AHEAD);
        let manner = crate::capture::own::Manner {
            glossary: manner.glossary.clone(),
            screen: manner.screen.clone(),
            output: manner.output.clone(),
            look: manner.look.clone(),
            hosts: manner.hosts,
            port: manner.port,
        };
        let to = Lines {
            begun: Vec::new(),
            sender,
        };
        let showing = watched.own.start(manner, watched.keys, to);
        Ok(Self {
            lines,
            showing: Some(showing.map_err(ProgramError::other)?),
        })
    }

    /// Never reached: there is nothing watched here.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn of(_: Watched, _: Manner<'_>) -> Result<Self, ProgramError> {
        Ok(Self::none())
    }

    /// What is to be printed next. Waits for ever when there is nothing.
    pub(super) async fn next(&mut self) -> String {
        match self.lines.recv().await {
            Some(text) => text,
            None => core::future::pending().await,
        }
    }

    /// Prints what has passed until now, and ends.
    pub(super) async fn end(
        &mut self,
        mut print: impl FnMut(&str) -> io::Result<()>,
    ) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if let Some(showing) = self.showing.take() {
            let ending = tokio::task::spawn_blocking(move || showing.finish());
            while let Some(text) = self.lines.recv().await {
                print(&text)?;
            }
            let _ = ending.await;
        }
        #[cfg(not(target_os = "linux"))]
        let _ = &mut print;
        Ok(())
    }
}

/// The watching thread's end of the channel.
#[cfg(target_os = "linux")]
struct Lines {
    begun: Vec<u8>,
    sender: mpsc::Sender<String>,
}

#[cfg(target_os = "linux")]
impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.begun.is_empty() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&self.begun).into_owned();
        self.begun.clear();
        let gone = |_| io::ErrorKind::BrokenPipe.into();
        self.sender.blocking_send(text).map_err(gone)
    }
}
