//! The program: arguments in, a view out, an exit status.

use std::io::{self, Write};
use std::process::ExitCode;

use layerwise::chat::program::{self, ProgramError};
use layerwise::cli::{self, Command};
use layerwise::file::WriteError;
use layerwise::lesson::{self, LessonFailure};
use layerwise::read;
use layerwise::reason::reason;
use layerwise::text::Glossary;
use layerwise::view::paint::{Look, Out};
use layerwise::view::{explain, keys};
use layerwise::{demo, doctor, follow};

fn main() -> ExitCode {
    let cli = match cli::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err((text, 0)) => {
            return status(io::stdout().write_all(text.as_bytes()).map_err(Into::into));
        }
        Err((text, status)) => {
            // Nothing better can be done when standard error cannot be written to.
            let _ = io::stderr().write_all(text.as_bytes());
            return ExitCode::from(status);
        }
    };
    status(run(&cli))
}

/// Why the program ends without having done what it was asked for.
enum Failure {
    /// Nobody reads the output any more, or it cannot be written.
    Output(io::Error),
    /// Something that whoever typed the command can mend.
    Usage(String),
    /// Anything else.
    Other(String),
    /// What the doctor found that would not run, and has said.
    Missing(u8),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        match error {
            error if error.is_closed_pipe() => Self::Output(io::ErrorKind::BrokenPipe.into()),
            error if error.is_usage() => Self::Usage(error.to_string()),
            error => Self::Other(error.to_string()),
        }
    }
}

impl From<ProgramError> for Failure {
    fn from(error: ProgramError) -> Self {
        match error {
            ProgramError::Output(error) => Self::Output(error),
            ProgramError::Usage(text) => Self::Usage(text),
            ProgramError::Other(text) => Self::Other(text),
        }
    }
}

fn run(cli: &cli::Cli) -> Result<(), Failure> {
    let language = lesson::language(cli.lang.as_deref(), |name| std::env::var(name).ok());
    // The lessons are what is translated; elsewhere only who asks for a language gets it.
    let wanted = matches!(cli.command, Some(Command::Lesson(_))) || cli.lang.is_some();
    let spoken = if wanted { &language } else { "en" };
    if let Some(wish) = &cli.lang
        && !lesson::languages().contains(&language.as_str())
    {
        return Err(Failure::Usage(format!(
            "there is no language {wish:?}; there are: {}",
            lesson::languages().join(", ")
        )));
    }
    let glossary =
        Glossary::of_language(spoken).map_err(|error| Failure::Other(error.to_string()))?;
    let mut out = Out::new(Look::for_stdout(cli.screen.wish()));
    if cli.wire.is_some() && cli.command.is_some() {
        let text = "--wire stands behind the command: layerwise demo --wire tun, or layerwise --wire tun alone";
        return Err(Failure::Usage(text.to_owned()));
    }
    // A chat prints while it reads, from more than one thread: it gets no lock.
    if let Some(Command::Chat(chat)) = &cli.command {
        return Ok(program::chat(chat, &cli.screen, &glossary)?);
    }
    let mut stdout = io::stdout().lock();
    match &cli.command {
        Some(Command::Chat(_)) => Ok(()),
        Some(Command::Doctor(_)) => {
            let missing = doctor::run(&glossary, cli.screen.wish(), &mut out);
            out.flush_to(&mut stdout)?;
            match missing {
                0 => Ok(()),
                missing => Err(Failure::Missing(missing)),
            }
        }
        Some(Command::Explain { what }) => {
            let width = out.look().width;
            let lines = explain::explain(&glossary, what, width)
                .map_err(|unknown| Failure::Usage(unknown.to_string()))?;
            explain::write(&lines, &mut out);
            Ok(out.flush_to(&mut stdout)?)
        }
        Some(Command::Lesson(arguments)) => {
            lesson::run(arguments, &glossary, &language, out, &mut stdout).map_err(|e| match e {
                LessonFailure::Output(error) => Failure::Output(error),
                LessonFailure::Usage(text) => Failure::Usage(text),
                LessonFailure::Other(text) => Failure::Other(text),
            })
        }
        Some(Command::Fields(fields)) => {
            let prefix = fields.prefix.as_deref().unwrap_or_default();
            if keys::list(&mut out, &glossary, prefix, cli.screen.verbose > 0) == 0 {
                return Err(Failure::Usage(format!(
                    "no key begins with {prefix:?} (layerwise fields lists all there are)"
                )));
            }
            Ok(out.flush_to(&mut stdout)?)
        }
        Some(Command::Read(arguments)) => {
            let result = read::run(arguments, &cli.screen, &glossary, &mut out, &mut stdout);
            result.map_err(reading)
        }
        Some(Command::Follow(arguments)) => {
            let result = follow::run(arguments, &cli.screen, &glossary, &mut out, &mut stdout);
            result.map_err(reading)
        }
        Some(Command::Capture(capture)) => watch(capture, cli, &glossary, &mut out, &mut stdout),
        Some(Command::Certs(certs)) => Ok(program::certs(certs, &glossary, &mut out, &mut stdout)?),
        Some(Command::Demo(demo)) => play(demo, cli, &glossary, &mut out, &mut stdout),
        None => {
            let demo = cli::Demo {
                wire: cli.wire,
                ..cli::Demo::default()
            };
            play(&demo, cli, &glossary, &mut out, &mut stdout)
        }
    }
}

/// What failed with a capture file.
fn reading(error: read::ReadError) -> Failure {
    match error {
        read::ReadError::Output(error) => Failure::Output(error),
        read::ReadError::Write(error) => error.into(),
        error if error.is_usage() => Failure::Usage(error.to_string()),
        error => Failure::Other(error.to_string()),
    }
}

#[cfg(target_os = "linux")]
fn watch(
    capture: &cli::capture::Capture,
    cli: &cli::Cli,
    glossary: &Glossary,
    out: &mut Out,
    to: &mut io::StdoutLock<'_>,
) -> Result<(), Failure> {
    use layerwise::capture::{self, CaptureError};
    capture::run(capture, &cli.screen, glossary, out, to).map_err(|error| match error {
        CaptureError::Output(error) => Failure::Output(error),
        CaptureError::Usage(text) => Failure::Usage(text),
        CaptureError::System(text) => Failure::Other(text),
        CaptureError::Write(error) => error.into(),
    })
}

#[cfg(not(target_os = "linux"))]
fn watch(
    _: &cli::capture::Capture,
    _: &cli::Cli,
    _: &Glossary,
    _: &mut Out,
    _: &mut impl Write,
) -> Result<(), Failure> {
    Err(Failure::Other(
        "live capture needs Linux; layerwise demo runs anywhere, and layerwise read shows a capture file".to_owned(),
    ))
}

fn play(
    demo: &cli::Demo,
    cli: &cli::Cli,
    glossary: &Glossary,
    out: &mut Out,
    to: &mut impl Write,
) -> Result<(), Failure> {
    demo::run(demo, &cli.screen, glossary, out, to).map_err(|error| match error {
        demo::DemoError::Output(error) => Failure::Output(error),
        demo::DemoError::Usage(text) => Failure::Usage(text),
        demo::DemoError::Wire(text) => Failure::Other(text),
        demo::DemoError::Write(error) => error.into(),
    })
}

/// The exit status; a reader that went away is no failure.
fn status(result: Result<(), Failure>) -> ExitCode {
    let (text, status) = match result {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            return ExitCode::SUCCESS;
        }
        Err(Failure::Output(error)) => (format!("cannot write the output: {}", reason(&error)), 1),
        Err(Failure::Usage(text)) => (text, 2),
        Err(Failure::Other(text)) => (text, 1),
        Err(Failure::Missing(what)) => return ExitCode::from(what),
    };
    // Nothing better can be done when standard error cannot be written to.
    let _ = writeln!(io::stderr(), "layerwise: {text}");
    ExitCode::from(status)
}
