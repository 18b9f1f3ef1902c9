//! `-w`, the same for every command: the packets that are shown go into a capture file too, each with what is said of it.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use crate::cli;
use crate::file::{WriteError, WriteOptions, Writer};
use crate::keylog;
use crate::layers::tcp;
use crate::layers::tls::handshake;
use crate::packet::{Event, Frame, LinkType};
use crate::session::Session;
use crate::text::Glossary;
use crate::view::comment::Comments;
use crate::view::paint::Out;
use crate::view::words::{self, Hosts};
use crate::wire::fault::Touch;

mod ports;

/// So many secrets are remembered, so that none is written twice; and so many connections, so that later secrets of theirs
/// are written, too.
const MAX_WRITTEN: usize = 1 << 16;

/// A file that was made, and holds nothing yet. (Who gives up rights makes it before or after, and then goes on with it.)
#[derive(Debug)]
pub struct Made {
    writer: Writer<'static>,
    with_secrets: bool,
}

impl Made {
    /// Makes the file, if there shall be one.
    ///
    /// # Errors
    /// When it cannot be made, or must not be replaced.
    pub fn new(output: &cli::output::Output) -> Result<Option<Self>, WriteError> {
        let Some(path) = &output.write else {
            return Ok(None);
        };
        let options = WriteOptions {
            with_secrets: output.with_secrets,
            force: output.force,
        };
        Ok(Some(Self {
            writer: Writer::create(path, options)?,
            with_secrets: output.with_secrets,
        }))
    }
}

/// Writes packets into the file that was asked for.
#[derive(Debug)]
pub struct Save<'g> {
    glossary: &'g Glossary,
    writer: Writer<'static>,
    words: Comments,
    comment: Vec<u8>,
    /// The client random of a ClientHello in the packet at hand: the secrets of its connection go before it.
    hello: Option<[u8; 32]>,
    /// The server's port of the first TLS connection that Wireshark takes for another protocol.
    port: Option<u64>,
    /// Which secrets have been written, by the hash of their lines.
    written: HashSet<u64>,
    hash: RandomState,
    /// The connections whose ClientHello is in the file, by its client random.
    greeted: HashSet<[u8; 32]>,
    with_secrets: bool,
}

impl<'g> Save<'g> {
    /// Makes the file, if there shall be one.
    ///
    /// # Errors
    /// Those of [`Made::new`].
    pub fn open(
        output: &cli::output::Output,
        glossary: &'g Glossary,
        hosts: Hosts,
    ) -> Result<Option<Self>, WriteError> {
        Ok(Made::new(output)?.map(|made| Self::into(made, glossary, hosts)))
    }

    /// Writes into a file that was made.
    #[must_use]
    pub fn into(made: Made, glossary: &'g Glossary, hosts: Hosts) -> Self {
        Self {
            glossary,
            writer: made.writer,
            words: Comments::new(hosts),
            comment: Vec::new(),
            hello: None,
            port: None,
            written: HashSet::new(),
            hash: RandomState::new(),
            greeted: HashSet::new(),
            with_secrets: made.with_secrets,
        }
    }

    /// Says on what packets are caught; may be said again. The number stands for it in [`Self::write`].
    ///
    /// # Errors
    /// Those of [`Writer::interface`].
    pub fn interface(&mut self, name: &str, link: LinkType) -> Result<usize, WriteError> {
        self.writer.interface(name, link)
    }

    /// A line of a key log, as it becomes known. It is written at once if secrets are wanted and its connection is in the
    /// file already; what is known earlier goes before the ClientHello, and what belongs to other connections nowhere.
    ///
    /// # Errors
    /// Those of [`Writer::secret`].
    pub fn secret(&mut self, line: &str) -> Result<(), WriteError> {
        if !self.with_secrets {
            return Ok(());
        }
        match keylog::client_random(line) {
            // Of a great many connections, the first are not remembered any more: rather too many secrets than too few.
            Some(random) if self.greeted.contains(&random) || self.greeted.len() >= MAX_WRITTEN => {
                self.put(line)
            }
            _ => Ok(()),
        }
    }

    fn put(&mut self, line: &str) -> Result<(), WriteError> {
        let line = line.trim();
        // Secrets may be known from several places. Of a great many, some may then stand there twice.
        if self.written.len() < MAX_WRITTEN && !self.written.insert(self.hash.hash_one(line)) {
            return Ok(());
        }
        self.writer.secret(line)
    }

    /// The hosts have other names from now on.
    pub fn rename(&mut self, hosts: &Hosts) {
        self.words.rename(hosts);
    }

    /// Makes the words about a packet that is about to be written, to which this was done on its way.
    pub fn describe(&mut self, event: &Event<'_>, touched: &[Touch]) {
        self.comment.clear();
        self.comment
            .extend_from_slice(self.words.of(self.glossary, event, touched));
        let hello = client_random(event);
        if hello.is_some() && self.port.is_none() {
            self.port = words::uint(event, &tcp::DSTPORT).filter(|port| ports::is_taken(*port));
        }
        self.hello = hello.filter(|_| self.with_secrets);
    }

    /// Writes the packet that was described last, after what the file it comes from said about it; and before it, if it
    /// begins a TLS connection of which `session` knows the secrets, those.
    ///
    /// # Errors
    /// Those of [`Writer::packet`].
    pub fn write<'c>(
        &mut self,
        session: &Session,
        interface: usize,
        frame: &Frame<'_>,
        comments: impl IntoIterator<Item = &'c [u8]>,
    ) -> Result<(), WriteError> {
        if let Some(random) = self.hello.take() {
            if self.greeted.len() < MAX_WRITTEN {
                self.greeted.insert(random);
            }
            for line in session
                .secrets(&random)
                .iter()
                .flat_map(|s| s.lines(&random))
            {
                self.put(&line)?;
            }
        }
        let own = self.comment.as_slice();
        let others = comments
            .into_iter()
            .map(|comment: &'c [u8]| -> &[u8] { comment });
        let others = others.filter(|comment| *comment != own);
        self.writer
            .packet(interface, frame, others.chain(core::iter::once(own)))
    }

    /// Hands on what has been written so far.
    ///
    /// # Errors
    /// Those of writing.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        self.writer.flush()
    }

    /// Ends the file, and says what it holds now where there is somebody to read that.
    ///
    /// # Errors
    /// Those of writing.
    pub fn finish(mut self, out: Option<&mut Out>) -> Result<(), WriteError> {
        self.writer.flush()?;
        let Some(out) = out else {
            return Ok(());
        };
        let key = match (self.writer.count(), self.with_secrets) {
            (1, _) if self.writer.is_classic() => "say.save.one_in_pcap",
            _ if self.writer.is_classic() => "say.save.many_in_pcap",
            (1, false) => "say.save.one",
            (1, true) => "say.save.one_with_secrets",
            (_, false) => "say.save.many",
            (_, true) => "say.save.many_with_secrets",
        };
        let port = self.port.map(|_| "say.save.port");
        out.newline();
        for key in core::iter::once(key).chain(port) {
            let mark = out.mark();
            let name = self.writer.name();
            out.sentence(self.glossary.say(key), |out, what| match what {
                "packets" => out.number(self.writer.count()),
                "port" => out.number(self.port.unwrap_or_default()),
                _ => {
                    out.wire(name.as_bytes(), 200);
                }
            });
            out.wrap_since(mark, |_| ());
            out.newline();
        }
        Ok(())
    }
}

/// The random of the ClientHello in a packet, if one ends in it.
fn client_random(event: &Event<'_>) -> Option<[u8; 32]> {
    if words::uint(event, &handshake::TYPE) != Some(1) {
        return None;
    }
    let field = event.field(&handshake::RANDOM)?;
    event.field_bytes(field).try_into().ok()
}
