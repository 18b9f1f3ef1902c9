//! `layerwise read`: a capture file, decoded and shown packet by packet.

use core::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use crate::cli;
use crate::cli::output::Format;
use crate::cli::read::Place;
use crate::file::{Comments, FileError, Interface, Item, Packet, Reader, WriteError};
use crate::interrupt::Interrupts;
use crate::keylog::{KeyLogError, LogFile};
use crate::layers::{Bind, PROTOCOLS, tcp};
use crate::packet::{Frame, LinkType, Time};
use crate::progress::Progress;
use crate::reason::reason;
use crate::save::Save;
use crate::session::Session;
use crate::show::{BATCH, Pick, Show, ShowError};
use crate::text::Glossary;
use crate::view::paint::{Look, Out, Role, Wish};
use crate::view::plot::Plot;
use crate::view::words::{self, Hosts};

/// Why a file was not read, or not to its end.
#[derive(Debug)]
pub enum ReadError {
    /// The file.
    File(FileError),
    /// The file that is written.
    Write(WriteError),
    /// A key log: which, and why.
    KeyLog(PathBuf, io::Error),
    /// The capture shall come from a terminal.
    Terminal,
    /// What was asked to be shown is not there.
    Show(ShowError),
    /// There is no conversation of that number.
    NoConversation {
        /// The number that was asked for.
        number: u64,
        /// Among those over UDP, not those over TCP.
        udp: bool,
        /// The file.
        file: String,
    },
    /// The output cannot be written.
    Output(io::Error),
}

impl ReadError {
    /// Whether another command line would mend it.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::File(error) => error.is_unusable(),
            Self::Write(error) => error.is_usage(),
            Self::KeyLog(..) | Self::Terminal | Self::Show(_) | Self::NoConversation { .. } => true,
            Self::Output(_) => false,
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Write(error) => error.fmt(f),
            Self::Show(error) => error.fmt(f),
            Self::KeyLog(path, error) => {
                write!(
                    f,
                    "--keylog: cannot read {}: {}",
                    path.display(),
                    reason(error)
                )
            }
            Self::Terminal => write!(
                f,
                "standard input is a terminal: pipe a capture into it, as in tcpdump -U -w - | layerwise read -"
            ),
            Self::NoConversation { number, udp, file } => write!(
                f,
                "{file} has no conversation {number} over {}: layerwise follow {file} lists those it has",
                if *udp { "UDP" } else { "TCP" }
            ),
            Self::Output(error) => write!(f, "cannot write the output: {}", reason(error)),
        }
    }
}

impl std::error::Error for ReadError {}

impl From<FileError> for ReadError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl From<WriteError> for ReadError {
    fn from(error: WriteError) -> Self {
        Self::Write(error)
    }
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<ShowError> for ReadError {
    fn from(error: ShowError) -> Self {
        Self::Show(error)
    }
}

/// Reads the file and shows its packets. What could be read before something failed has been shown by then.
///
/// # Errors
/// A [`ReadError`].
pub fn run(
    read: &cli::read::Read,
    screen: &cli::Screen,
    glossary: &Glossary,
    out: &mut Out,
    to: &mut impl Write,
) -> Result<(), ReadError> {
    if read.file == Path::new("-") && io::stdin().is_terminal() {
        return Err(ReadError::Terminal);
    }
    let pick = Pick::new(&read.output)?;
    let show = Show::new(glossary, screen, Hosts::default()).written_as(screen, &read.output)?;
    let for_people = !read.output.takes_stdout() && !show.for_programs();
    if read.plot.is_some() && (!for_people || screen.verbose > 0 || screen.hex) {
        return Err(ReadError::Show(ShowError::Together(
            "--plot is a picture for people: leave out -v, -x, -T and -w -, or --plot",
        )));
    }
    let mut session = Session::new();
    // Columns alone say which fields are looked at. (The comments in a file that is written tell of others, too.)
    if read.output.format == Format::Fields && read.output.write.is_none() {
        session.only(pick.interest(&read.output.fields));
    }
    let mut file = Reader::open(&read.file)?;
    let mut job = Job {
        glossary,
        session,
        pick,
        show: (!read.output.takes_stdout() && read.plot.is_none()).then_some(show),
        plot: read.plot.map(|number| (number, Plot::new(glossary))),
        save: None,
        key_logs: Vec::new(),
        range: Range::new(read),
        verbose: screen.verbose > 0 && for_people,
        bad_lines: 0,
        bad_line: String::new(),
        links: Vec::new(),
        interrupts: None,
        from_stdin: read.file == Path::new("-"),
    };
    if read.output.write.is_some() {
        // Where they cannot be taken up, they end the program as ever.
        job.interrupts = Interrupts::new().ok();
    }
    for path in &read.keylog {
        let log = LogFile::open(path).map_err(|e| ReadError::KeyLog(path.clone(), e))?;
        job.key_logs.push(log);
    }
    job.key_logs()?;
    if read.file != Path::new("-") {
        // Nobody writes the capture any more, so nobody writes its secrets.
        job.last_lines()?;
    }
    if let Some(show) = &job.show {
        show.begin(out);
    }
    let mut progress = Progress::new(screen.ascii);
    let result = job.packets(&mut file, &read.output, out, to, &mut progress);
    drop(progress);
    if let Some((number, plot)) = &job.plot {
        if job.range.shown > 0 {
            plot.end(out);
        } else if job.range.seen > 0 {
            out.sentence(glossary.say("say.plot.none"), |out, _| out.number(*number));
            out.newline();
        }
    }
    // What was readable is shown, whatever came then.
    out.flush_to(to)?;
    if let Some(save) = job.save.take()
        && !matches!(result, Err(ReadError::Write(_)))
    {
        save.finish(for_people.then_some(&mut *out))?;
    }
    let name = read.file.to_string_lossy();
    let told = job.plot.is_some() && job.range.seen > 0;
    out.flush_to(to)?;
    let nothing = result.is_ok() && for_people && job.range.shown == 0 && !told;
    let none = nothing.then(|| job.range.none_shown());
    let filter = read.output.filter.as_deref().unwrap_or_default();
    job.remarks(&name, file.lost(), none.map(|key| (key, filter)));
    result
}

/// All that works on the packets.
struct Job<'g> {
    glossary: &'g Glossary,
    session: Session,
    pick: Pick,
    /// Nothing, when standard output is taken by a capture file.
    show: Option<Show<'g>>,
    /// Which conversation is plotted, instead of packets being shown.
    plot: Option<(u64, Plot<'g>)>,
    save: Option<Save<'g>>,
    key_logs: Vec<LogFile>,
    range: Range,
    /// Comments are shown.
    verbose: bool,
    /// Lines that were no secrets, and what was wrong with the first.
    bad_lines: u64,
    bad_line: String,
    /// Links that nothing here decodes, and an interface of each.
    links: Vec<(LinkType, String)>,
    /// Ctrl-C, where a file has to be completed then.
    interrupts: Option<Interrupts>,
    from_stdin: bool,
}

impl<'g> Job<'g> {
    fn packets(
        &mut self,
        file: &mut Reader,
        output: &cli::output::Output,
        out: &mut Out,
        to: &mut impl Write,
        progress: &mut Option<Progress>,
    ) -> Result<(), ReadError> {
        let mut waited = false;
        while self.range.goes_on() {
            if let Some(progress) = progress {
                progress.at(self.range.seen, || file.progress());
            }
            let item = file.next()?;
            // Only now is it known that there is something to write: a file that is no capture leaves none behind.
            if output.write.is_some() && self.save.is_none() && !matches!(item, Some(Item::Wait)) {
                self.save = Save::open(output, self.glossary, Hosts::default())?;
            }
            // Whoever wrote secrets has done so before what they open came.
            if core::mem::take(&mut waited) {
                self.key_logs()?;
            }
            match item {
                None => break,
                Some(Item::Wait) => {
                    out.flush_to(to)?;
                    if let Some(save) = &mut self.save {
                        save.flush()?;
                    }
                    waited = true;
                    if self.is_interrupted() {
                        break;
                    }
                }
                Some(Item::Secret(line)) => self.secret(line, Session::captured_secret)?,
                Some(Item::Comments(comments)) => {
                    if self.verbose {
                        written(self.glossary, out, comments);
                    }
                }
                Some(Item::Packet(packet)) => {
                    self.packet(&packet, out)?;
                    if out.bytes().len() >= BATCH {
                        out.flush_to(to)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether somebody wants to end it, before there is more to read.
    fn is_interrupted(&self) -> bool {
        let from_stdin = self.from_stdin;
        let asked = |interrupts: &Interrupts| match from_stdin {
            true => interrupts.came_before(io::stdin()),
            false => interrupts.came(),
        };
        self.interrupts.as_ref().is_some_and(asked)
    }

    #[inline]
    fn packet(&mut self, packet: &Packet<'_>, out: &mut Out) -> Result<(), ReadError> {
        let frame = packet.frame;
        let place = self.range.place(&frame);
        if let (1, Some(show)) = (frame.number, &mut self.show) {
            show.count_from(frame.time);
        }
        if place == Where::Behind {
            return Ok(());
        }
        if place == Where::Inside {
            self.name_link(packet.interface);
        }
        // What comes before is needed to understand what is shown.
        let event = self.session.push(frame);
        if place == Where::Before || !self.pick.takes(&event) {
            return Ok(());
        }
        if let Some((number, plot)) = &mut self.plot {
            if words::fact(&event, &tcp::STREAM) != Some(*number) {
                return Ok(());
            }
            plot.packet(out, &event);
        }
        self.range.shown += 1;
        if self.verbose {
            written(self.glossary, out, packet.comments.clone());
        }
        if let Some(show) = &mut self.show {
            show.packet(out, &event);
        }
        if let Some(save) = &mut self.save {
            save.describe(&event, &[]);
            let interface = save.interface(&packet.interface.name, packet.interface.link)?;
            save.write(&self.session, interface, &frame, packet.comments.clone())?;
        }
        Ok(())
    }

    /// Remembers a link that nothing here decodes.
    #[inline]
    fn name_link(&mut self, interface: &Interface) {
        let link = interface.link;
        if link == LinkType::ETHERNET || link.is_raw_ip() || self.links.len() >= 8 {
            return;
        }
        let known = PROTOCOLS
            .iter()
            .any(|p| p.binds.contains(&Bind::Link(link)));
        if !known && !self.links.iter().any(|(of, _)| *of == link) {
            self.links.push((link, interface.name.clone()));
        }
    }

    /// Takes up what has been added to the key logs.
    fn key_logs(&mut self) -> Result<(), ReadError> {
        self.lines(|log, line| log.read(line))
    }

    /// Takes up a last line that has no newline.
    fn last_lines(&mut self) -> Result<(), ReadError> {
        self.lines(|log, line| {
            log.rest(line);
            Ok(())
        })
    }

    fn lines(
        &mut self,
        read: impl Fn(&mut LogFile, &mut dyn FnMut(&str)) -> io::Result<()>,
    ) -> Result<(), ReadError> {
        let mut logs = core::mem::take(&mut self.key_logs);
        let mut result = Ok(());
        for log in &mut logs {
            let read = read(log, &mut |line| {
                if result.is_ok() {
                    result = self.secret(line, Session::keylog_line);
                }
            });
            read.map_err(|error| ReadError::KeyLog(log.path().to_owned(), error))?;
        }
        self.key_logs = logs;
        result
    }

    fn secret(
        &mut self,
        line: &str,
        take: fn(&mut Session, &str) -> Result<(), KeyLogError>,
    ) -> Result<(), ReadError> {
        if let Err(error) = take(&mut self.session, line) {
            if self.bad_lines == 0 {
                self.bad_line = error.to_string();
            }
            self.bad_lines += 1;
        } else if let Some(save) = &mut self.save {
            save.secret(line)?;
        }
        Ok(())
    }

    /// What there is to say that is about no packet, on standard error.
    fn remarks(&self, name: &str, lost: u64, none: Option<(&str, &str)>) {
        let mut out = Out::new(Look::new(Wish::default(), false, None));
        let mut remark = |key: &str, value: &dyn Fn(&mut Out, &str)| {
            out.ascii(b"layerwise: ");
            out.sentence(self.glossary.say(key), |out, what| match what {
                "file" => {
                    out.wire(name.as_bytes(), 200);
                }
                _ => value(out, what),
            });
            out.newline();
        };
        if let Some((key, filter)) = none {
            remark(key, &|out, what| match what {
                "packets" => out.number(self.range.inside),
                _ => {
                    out.wire(filter.as_bytes(), 200);
                }
            });
        }
        for (link, interface) in &self.links {
            remark("say.read.link", &|out, what| match what {
                "interface" if interface.is_empty() => {
                    out.text(self.glossary.say("say.read.unnamed"))
                }
                "interface" => {
                    out.wire(interface.as_bytes(), 64);
                }
                "number" => out.number(link.0.into()),
                _ => {
                    let named = self
                        .glossary
                        .entry("say.link")
                        .and_then(|e| e.value(link.0.into()));
                    out.text(named.map_or("?", |named| &named.name));
                }
            });
        }
        if lost > 0 {
            remark("say.read.lost", &|out, _| out.number(lost));
        }
        if self.bad_lines > 0 {
            remark("say.read.secret", &|out, what| match what {
                "count" => out.number(self.bad_lines),
                _ => out.text(&self.bad_line),
            });
        }
        // Nothing better can be done when standard error cannot be written to.
        let _ = out.flush_to(&mut io::stderr());
    }
}

/// Shows what somebody wrote into the file.
fn written(glossary: &Glossary, out: &mut Out, comments: Comments<'_>) {
    for comment in comments {
        out.start(Role::Computed);
        let mark = out.mark();
        out.sentence(glossary.say("say.read.comment"), |out, _| {
            out.wire(comment, 1000);
        });
        if out.column() > out.look().width {
            out.wrap_since(mark, |out| out.spaces(2));
        }
        out.end(Role::Computed);
        out.newline();
    }
}

/// Which packets are shown.
#[derive(Debug)]
struct Range {
    from: Option<Place>,
    to: Option<Place>,
    most: u64,
    first: Option<Time>,
    seen: u64,
    inside: u64,
    shown: u64,
    past: bool,
}

/// Where a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    Before,
    Inside,
    Behind,
}

impl Range {
    fn new(read: &cli::read::Read) -> Self {
        Self {
            from: read.from,
            to: read.to,
            most: read.output.count.unwrap_or(u64::MAX),
            first: None,
            seen: 0,
            inside: 0,
            shown: 0,
            past: false,
        }
    }

    /// Whether there may be another packet to show.
    #[inline]
    fn goes_on(&self) -> bool {
        self.shown < self.most && !self.past
    }

    #[inline]
    fn place(&mut self, frame: &Frame<'_>) -> Where {
        let first = *self.first.get_or_insert(frame.time);
        self.seen = frame.number;
        let is_before = |place: Place| match place {
            Place::Packet(number) => frame.number < number,
            Place::After(time) => u128::from(frame.time.since(first)) < time.as_nanos(),
        };
        let is_behind = |place: Place| match place {
            Place::Packet(number) => frame.number > number,
            Place::After(time) => u128::from(frame.time.since(first)) > time.as_nanos(),
        };
        if self.from.is_some_and(is_before) {
            return Where::Before;
        }
        if self.to.is_some_and(is_behind) {
            // Times need not be in order, numbers are.
            self.past = matches!(self.to, Some(Place::Packet(_)));
            return if self.past {
                Where::Behind
            } else {
                Where::Before
            };
        }
        self.inside += 1;
        Where::Inside
    }

    /// Why no packet was shown.
    fn none_shown(&self) -> &'static str {
        match (self.seen, self.inside) {
            (0, _) => "say.read.nothing",
            (_, 0) => "say.read.none_between",
            _ => "say.read.none_fits",
        }
    }
}
