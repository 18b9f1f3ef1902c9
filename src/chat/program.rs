//! `layerwise chat` and `layerwise certs`: what the program does with their arguments.

use std::fmt;
use std::io::{self, Write as _};
use std::pin::Pin;

use super::{join, notices::fill, serve};
use crate::certs;
use crate::cli;
use crate::cli::chat::Side;
use crate::text::Glossary;
use crate::view::paint::{Look, Out, Role};

/// Why the program ends without having done what it was asked for.
#[derive(Debug)]
pub enum ProgramError {
    /// The output cannot be written.
    Output(io::Error),
    /// Something that whoever typed the command can mend.
    Usage(String),
    /// Anything else.
    Other(String),
}

impl ProgramError {
    pub(super) fn other(error: impl fmt::Display) -> Self {
        Self::Other(error.to_string())
    }
}

impl From<io::Error> for ProgramError {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Serves or joins a chat, until it is over.
///
/// # Errors
/// A sentence: what went wrong and what to do.
pub fn chat(
    chat: &cli::chat::Chat,
    screen: &cli::Screen,
    glossary: &Glossary,
) -> Result<(), ProgramError> {
    let out = Out::new(Look::for_stdout(screen.wish()));
    match &chat.side {
        Side::Serve(serve) => serve::run(serve, screen, glossary, out),
        Side::Join(join) => join::run(join, screen, glossary, out),
    }
}

/// Makes an authority and a server's certificate, and says what was made.
///
/// # Errors
/// A sentence: what went wrong and what to do.
pub fn certs(
    arguments: &cli::certs::Certs,
    glossary: &Glossary,
    out: &mut Out,
    to: &mut impl io::Write,
) -> Result<(), ProgramError> {
    let mut names = vec!["localhost", "127.0.0.1", "::1"];
    for name in &arguments.names {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let files =
        certs::make(&arguments.dir, &names, arguments.days).map_err(|error| match error {
            certs::FileError::Io(..) => ProgramError::other(error),
            other => ProgramError::Usage(other.to_string()),
        })?;
    out.paint(Role::Heading, glossary.say("say.certs.title"));
    out.newline();
    out.newline();
    for (path, key) in [
        (&files.ca, "say.certs.ca"),
        (&files.certificate, "say.certs.certificate"),
        (&files.key, "say.certs.key"),
    ] {
        let path = path.display().to_string();
        let (names, until) = (files.names.join(", "), files.until.date().to_string());
        out.text("  ");
        out.paint(Role::Value, &path);
        if out.look().plain {
            out.text(": ");
        } else {
            out.newline();
            out.spaces(6);
        }
        let text = fill(glossary.say(key), &[("names", &names), ("until", &until)]);
        out.wrapped(&text, |out| out.spaces(6));
        out.newline();
    }
    out.newline();
    out.wrapped(glossary.say("say.certs.no_ca_key"), |_| {});
    out.newline();
    out.newline();
    let dir = match arguments.dir.to_str() {
        Some("certs") => String::new(),
        _ => format!(
            " --cert {} --key {}",
            files.certificate.display(),
            files.key.display()
        ),
    };
    out.text(&fill(glossary.say("say.certs.next"), &[("options", &dir)]));
    out.newline();
    Ok(out.flush_to(to)?)
}

/// Two threads carry the chat; the first is left to the person at the screen, who may be slow.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, ProgramError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| ProgramError::Other(format!("cannot start threads: {error}")))
}

/// Done when the process is asked to end: Ctrl-C without a prompt, a kill, the terminal going away.
pub(super) fn stopped() -> Result<Pin<Box<dyn Future<Output = ()>>>, ProgramError> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt()).map_err(ProgramError::other)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(ProgramError::other)?;
        let mut hangup = signal(SignalKind::hangup()).map_err(ProgramError::other)?;
        Ok(Box::pin(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
        }))
    }
    #[cfg(not(unix))]
    Ok(Box::pin(async {
        let _ = tokio::signal::ctrl_c().await;
    }))
}

/// Prints something where there is no prompt: on standard output, or, `apart` from it, on standard error.
pub(super) fn print(text: &str, apart: bool) -> io::Result<()> {
    if apart {
        return io::stderr().lock().write_all(text.as_bytes());
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
