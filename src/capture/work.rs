//! What is done with packets as they come: decoded, chosen, shown, written. The same for `capture` and for `chat --show`.

use std::io::{self, Write};

use super::receive::{Arrived, Batch};
use super::secrets::{Known, Patience};
use super::{notes, rights};
use crate::cli;
use crate::file::WriteError;
use crate::layers::tls;
use crate::packet::{Frame, LinkType, Note, Time};
use crate::save::{Made, Save};
use crate::session::Session;
use crate::show::{BATCH, Pick, Show, ShowError};
use crate::text::Glossary;
use crate::view::paint::Out;
use crate::view::words::Hosts;

/// So many packets are shown before it is looked whether somebody wants to end it.
const TURN: usize = 1024;

/// Why the work cannot go on.
#[derive(Debug)]
pub(crate) enum WorkError {
    /// The screen.
    Output(io::Error),
    /// The file.
    Write(WriteError),
    /// What was asked for is not there.
    Show(ShowError),
}

impl From<ShowError> for WorkError {
    fn from(error: ShowError) -> Self {
        Self::Show(error)
    }
}

impl From<io::Error> for WorkError {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<WriteError> for WorkError {
    fn from(error: WriteError) -> Self {
        Self::Write(error)
    }
}

/// What was asked for, and whether it can be had: before anything is opened.
///
/// # Errors
/// When an option is wrong, or does not go with another.
pub(crate) fn check(
    glossary: &Glossary,
    screen: &cli::Screen,
    output: &cli::output::Output,
) -> Result<(), ShowError> {
    Pick::new(output)?;
    Show::new(glossary, screen, Hosts::default())
        .written_as(screen, output)
        .map(drop)
}

/// Makes the file for packets while `give_up` gives up rights: before it, if root asks for the file in its own name, and
/// after it, with the rights of whoever called sudo, otherwise. So the file belongs to who wants it, and nobody gets a file
/// where they could not have made one themselves.
pub(super) fn made<E: From<WriteError>>(
    output: &cli::output::Output,
    give_up: impl FnOnce() -> Result<(), E>,
) -> Result<Option<Made>, E> {
    let early = rights::root_is_itself();
    let mut made = None;
    if early {
        made = Made::new(output)?;
    }
    give_up()?;
    if !early {
        made = Made::new(output)?;
    }
    Ok(made)
}

/// Why no more is done for now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// There is no packet.
    Empty,
    /// The next one waits for secrets.
    Held,
    /// It may go on at once.
    Turn,
    /// As many as were asked for have been shown.
    Enough,
}

/// One interface, and what is known of its packets.
struct Source {
    name: String,
    link: LinkType,
    /// One for each interface: what passes two of them is not sent twice.
    session: Session,
    /// Its number in the file.
    saved: usize,
}

/// What there was in all.
#[derive(Debug, Default)]
pub(super) struct Sum {
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) opened: u64,
    /// How many of the packets were chosen.
    pub(super) picked: u64,
}

/// Everything that works on the packets.
pub(super) struct Work<'g> {
    glossary: &'g Glossary,
    pick: Pick,
    /// Nothing, where standard output is taken by the file.
    show: Option<Show<'g>>,
    save: Option<Save<'g>>,
    most: u64,
    sources: Vec<Source>,
    links: Vec<LinkType>,
    /// Whether each packet says which interface it passed.
    tagged: bool,
    /// Which secrets there are; packets wait for them only where some may come.
    pub(super) known: Known,
    pub(super) waits: bool,
    patience: Patience,
    /// Packets that were taken from the queue, and which of them is next.
    pub(super) batch: Batch,
    next: usize,
    pub(super) sum: Sum,
}

impl<'g> Work<'g> {
    /// Ready for packets from these interfaces.
    ///
    /// # Errors
    /// What [`check`] says, and what a file cannot hold.
    pub(super) fn new(
        glossary: &'g Glossary,
        (screen, output): (&cli::Screen, &cli::output::Output),
        hosts: Hosts,
        made: Option<Made>,
        interfaces: impl IntoIterator<Item = (String, LinkType)>,
    ) -> Result<Self, WorkError> {
        let pick = Pick::new(output)?;
        let show = Show::new(glossary, screen, hosts.clone()).written_as(screen, output)?;
        let show = (!output.takes_stdout()).then_some(show);
        let mut save = made.map(|made| Save::into(made, glossary, hosts));
        let mut sources = Vec::new();
        for (name, link) in interfaces {
            let saved = match &mut save {
                Some(save) => save.interface(&name, link)?,
                None => 0,
            };
            sources.push(Source {
                name,
                link,
                session: Session::new(),
                saved,
            });
        }
        Ok(Self {
            glossary,
            pick,
            show,
            save,
            most: output.count.unwrap_or(u64::MAX),
            links: sources.iter().map(|source| source.link).collect(),
            sources,
            tagged: false,
            known: Known::default(),
            waits: true,
            patience: Patience::default(),
            batch: Batch::default(),
            next: 0,
            sum: Sum::default(),
        })
    }

    /// Each packet says which interface it passed.
    pub(super) fn tag(&mut self) {
        self.tagged = true;
    }

    /// What runs on `port` is decoded as if it ran on `known`.
    pub(super) fn treat_port(&mut self, port: u16, known: u16) {
        for source in &mut self.sources {
            source.session.treat_port(port, known);
        }
    }

    /// What the interfaces are called.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().map(|source| source.name.as_str())
    }

    pub(super) fn name(&self, tap: usize) -> &str {
        self.sources
            .get(tap)
            .map_or("?", |source| source.name.as_str())
    }

    /// Whether packets were chosen by an expression.
    pub(super) fn picks(&self) -> bool {
        self.pick.is_some()
    }

    /// What stands before the first packet.
    pub(super) fn begin(&self, out: &mut Out) {
        if let Some(show) = &self.show {
            show.begin(out);
        }
    }

    /// Takes up a line of a key log; what is wrong with it, if anything is.
    ///
    /// # Errors
    /// Those of writing.
    pub(super) fn secret(
        &mut self,
        line: &str,
    ) -> Result<Option<crate::keylog::KeyLogError>, WriteError> {
        let mut wrong = None;
        for source in &mut self.sources {
            wrong = source.session.keylog_line(line).err().or(wrong);
        }
        if wrong.is_none() {
            self.known.line(line);
            if let Some(save) = &mut self.save {
                save.secret(line)?;
            }
        }
        Ok(wrong)
    }

    /// Whether packets of the batch wait.
    pub(super) fn is_pending(&mut self) -> bool {
        let pending = self.next < self.batch.len();
        if !pending {
            self.next = 0;
        }
        pending
    }

    /// Does what can be done.
    ///
    /// # Errors
    /// When screen or file cannot be written.
    pub(super) fn packets(
        &mut self,
        out: &mut Out,
        to: &mut impl Write,
    ) -> Result<Pause, WorkError> {
        for _ in 0..TURN {
            if self.sum.picked >= self.most {
                return Ok(Pause::Enough);
            }
            let Some(arrived) = self.batch.get(self.next) else {
                return Ok(Pause::Empty);
            };
            if self.waits
                && self
                    .patience
                    .must_wait(&self.batch, self.next, &self.links, &self.known)
            {
                return Ok(Pause::Held);
            }
            self.next += 1;
            if let Some(source) = self.sources.get_mut(arrived.tap) {
                let job = Job {
                    glossary: self.glossary,
                    pick: &self.pick,
                    show: self.show.as_mut(),
                    save: self.save.as_mut(),
                    tagged: self.tagged,
                    sum: &mut self.sum,
                };
                job.packet(source, arrived, out)?;
            }
            if out.bytes().len() >= BATCH {
                out.flush_to(to)?;
            }
        }
        Ok(Pause::Turn)
    }

    /// Hands on what has been shown and written so far: nothing more comes soon.
    ///
    /// # Errors
    /// When screen or file cannot be written.
    pub(super) fn flush(&mut self, out: &mut Out, to: &mut impl Write) -> Result<(), WorkError> {
        // The file first: it is complete then, even if nobody looks at the screen any more.
        if let Some(save) = &mut self.save {
            save.flush()?;
        }
        Ok(out.flush_to(to)?)
    }

    /// Ends the file, and says so.
    ///
    /// # Errors
    /// Those of writing.
    pub(super) fn finish(&mut self, words: &mut Out) -> Result<(), WriteError> {
        match self.save.take() {
            Some(save) => save.finish(Some(words)),
            None => Ok(()),
        }
    }
}

/// What one packet needs of the [`Work`].
struct Job<'w, 'g> {
    glossary: &'g Glossary,
    pick: &'w Pick,
    show: Option<&'w mut Show<'g>>,
    save: Option<&'w mut Save<'g>>,
    tagged: bool,
    sum: &'w mut Sum,
}

impl Job<'_, '_> {
    fn packet(
        self,
        source: &mut Source,
        arrived: Arrived<'_>,
        out: &mut Out,
    ) -> Result<(), WriteError> {
        let sum = self.sum;
        sum.packets += 1;
        sum.bytes += arrived.data.len() as u64;
        let frame = Frame {
            number: sum.packets,
            time: Time(arrived.time),
            link: source.link,
            data: arrived.data,
            wire_len: arrived.data.len() as u32,
        };
        let event = source.session.push(frame);
        sum.opened += event.notes.iter().filter(|note| is_opened(note)).count() as u64;
        if !self.pick.takes(&event) {
            return Ok(());
        }
        sum.picked += 1;
        if let Some(show) = self.show {
            if self.tagged && !show.for_programs() {
                tag(self.glossary, show, &source.name, out);
            }
            show.packet(out, &event);
        }
        if let Some(save) = self.save {
            save.describe(&event, &[]);
            save.write(&source.session, source.saved, &frame, [])?;
        }
        Ok(())
    }
}

fn is_opened(note: &Note) -> bool {
    core::ptr::eq(note.def, &raw const tls::OPENED) && note.value == tls::opened::VERIFIED
}

/// Says which interface a packet passed.
fn tag(glossary: &Glossary, show: &Show<'_>, name: &str, out: &mut Out) {
    out.sentence(glossary.say("say.capture.on"), |out, _| {
        notes::name(out, name)
    });
    if show.in_detail() {
        out.newline();
    } else {
        out.byte(b' ');
    }
}
