//! One side of a chat, without any input or output of its own: bytes in, events out.
//!
//! With TLS, or ([`Peer::plain`]) without: then texts go over TCP as they are, so that it can be seen what TLS is for.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, Connection, NamedGroup, ProtocolVersion,
    ServerConfig, ServerConnection,
};

use super::ChatError;

/// How much a peer keeps in memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest text, said or heard, without its newline. 1 MiB unless told otherwise.
    pub line: usize,
    /// How much may wait to be sent; must hold the longest line. 4 MiB unless told otherwise.
    pub queue: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line: 1 << 20,
            queue: 4 << 20,
        }
    }
}

impl Limits {
    /// Whether `text` can be said in one line.
    ///
    /// # Errors
    /// [`ChatError::Newline`] or [`ChatError::TooLong`].
    pub fn check(&self, text: &str) -> Result<(), ChatError> {
        if let Some(at) = text.find('\n') {
            return Err(ChatError::Newline { at });
        }
        if text.len() > self.line {
            return Err(ChatError::TooLong {
                len: text.len(),
                limit: self.line,
            });
        }
        Ok(())
    }
}

/// Something that happened at a [`Peer`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChatEvent {
    /// The handshake is done: both sides have the keys, the client has checked the server's certificate.
    Secured {
        /// The version of TLS.
        version: ProtocolVersion,
        /// The cipher suite.
        suite: CipherSuite,
        /// The group of the key exchange.
        group: Option<NamedGroup>,
    },
    /// The chat begins as it is: there is no TLS, so nothing is secret and nobody has proved who they are.
    InClear,
    /// The other side said something.
    Said(Line),
    /// The other side said goodbye: nothing more will come from it. With TLS that is its close_notify; without, all there
    /// is to go by is TCP's FIN.
    Goodbye,
}

/// A text the other side said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The text without its newline. It may hold control characters: show it with [`printable`](super::printable()).
    pub text: String,
    /// Whether it was valid UTF-8; if not, U+FFFD stands for what was not.
    pub valid: bool,
    /// Whether a newline ended it; if not, the other side said goodbye in mid-line.
    pub complete: bool,
}

/// One side of the chat.
#[derive(Debug)]
pub struct Peer {
    /// `None` for a chat in the clear.
    tls: Option<Box<Connection>>,
    limits: Limits,
    events: VecDeque<ChatEvent>,
    /// The begun line, its newline still to come.
    line: Vec<u8>,
    /// TLS records that wait for the driver; those before `sent` are gone.
    out: Vec<u8>,
    sent: usize,
    /// Plaintext that rustls keeps until the handshake is done.
    early: usize,
    secured: bool,
    /// We said goodbye.
    closed: bool,
    /// The other side did.
    goodbye: bool,
    failed: Option<ChatError>,
}

impl Peer {
    /// The side that connects and that checks the certificate against `name`. Its ClientHello is outgoing at once.
    ///
    /// # Errors
    /// When the configuration and the name allow no connection.
    pub fn client(config: Arc<ClientConfig>, name: ServerName<'static>) -> Result<Self, ChatError> {
        let tls = ClientConnection::new(config, name)?;
        Ok(Self::new(Some(tls.into())))
    }

    /// The side that is connected to.
    ///
    /// # Errors
    /// When the configuration allows no connection.
    pub fn server(config: Arc<ServerConfig>) -> Result<Self, ChatError> {
        let tls = ServerConnection::new(config)?;
        Ok(Self::new(Some(tls.into())))
    }

    /// A side, either one, of a chat without TLS. Anybody on the way can read it, and change it.
    #[must_use]
    pub fn plain() -> Self {
        let mut peer = Self::new(None);
        peer.events.push_back(ChatEvent::InClear);
        peer
    }

    fn new(tls: Option<Connection>) -> Self {
        let mut peer = Self {
            tls: tls.map(|mut tls| {
                // Our own limit counts instead, so that a text is never cut in two.
                tls.set_buffer_limit(None);
                Box::new(tls)
            }),
            limits: Limits::default(),
            events: VecDeque::new(),
            line: Vec::new(),
            out: Vec::new(),
            sent: 0,
            early: 0,
            secured: false,
            closed: false,
            goodbye: false,
            failed: None,
        };
        peer.flush();
        peer
    }

    /// The same peer with other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Takes bytes that TCP delivered, any number of them. Events may follow, and bytes to send.
    ///
    /// # Errors
    /// When the chat cannot go on: the certificate is refused, a record was changed, a line is too long, … The alert
    /// that tells the other side is outgoing; the driver sends it and closes. Every later call gives the same error.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), ChatError> {
        self.alive()?;
        let result = self.feed(bytes);
        if let Err(error) = &result {
            self.failed = Some(error.clone());
        }
        self.flush();
        result
    }

    /// TCP has ended (FIN): says whether the other side had said goodbye before. Without TLS this is the goodbye, and an
    /// event: nothing else says that all was heard, and nothing proves it.
    ///
    /// # Errors
    /// [`ChatError::Truncated`] if it had not, so that what was heard may not be all that was said.
    pub fn eof(&mut self) -> Result<(), ChatError> {
        self.alive()?;
        if self.tls.is_none() {
            self.said_goodbye();
        }
        self.broken()
    }

    /// TCP has ended in another way: it was reset, or it gave up.
    ///
    /// # Errors
    /// [`ChatError::Truncated`], unless the other side had said goodbye before: then nothing is missing.
    pub fn broken(&mut self) -> Result<(), ChatError> {
        self.alive()?;
        if self.goodbye {
            return Ok(());
        }
        let error = ChatError::Truncated {
            secured: self.secured || self.tls.is_none(),
            unfinished: self.line.len(),
        };
        self.failed = Some(error.clone());
        Err(error)
    }

    /// Says a text, which may be empty; the newline is added. A text said before the chat is secured waits for that.
    ///
    /// # Errors
    /// A text with a newline in it is refused, since the other side would hear two; so is one that is too long, that
    /// the queue has no room for, or that comes after a goodbye. After these errors the chat goes on.
    pub fn say(&mut self, text: &str) -> Result<(), ChatError> {
        self.alive()?;
        self.limits.check(text)?;
        if self.closed || self.goodbye {
            return Err(ChatError::Closed);
        }
        let waiting = self.outgoing().len() + self.early;
        if waiting + text.len() + 1 > self.limits.queue {
            return Err(ChatError::QueueFull {
                waiting,
                limit: self.limits.queue,
            });
        }
        let line = [text.as_bytes(), b"\n"].concat();
        let Some(tls) = &mut self.tls else {
            self.out.extend_from_slice(&line);
            return Ok(());
        };
        // One write, one record (or as many as 16,384 bytes each make of it). Without a buffer limit it takes all.
        tls.writer()
            .write_all(&line)
            .map_err(|_| ChatError::Closed)?;
        if !self.secured {
            self.early += line.len();
        }
        self.flush();
        Ok(())
    }

    /// Says goodbye (close_notify): nothing more will be said from here. What the other side says is still heard. Without
    /// TLS there is nothing to say; the driver's FIN has to do.
    pub fn close(&mut self) {
        if !self.closed
            && self.failed.is_none()
            && let Some(tls) = &mut self.tls
        {
            tls.send_close_notify();
            self.flush();
        }
        self.closed = true;
    }

    /// What has happened and was not yet asked for, the oldest first.
    pub fn next_event(&mut self) -> Option<ChatEvent> {
        self.events.pop_front()
    }

    /// The bytes to give to TCP.
    #[must_use]
    pub fn outgoing(&self) -> &[u8] {
        self.out.get(self.sent..).unwrap_or(&[])
    }

    /// TCP has taken the first `count` bytes of [`Peer::outgoing`].
    pub fn sent(&mut self, count: usize) {
        self.sent = (self.sent + count).min(self.out.len());
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
        }
    }

    /// Moves all that is outgoing to the end of `to`.
    pub fn transmit(&mut self, to: &mut Vec<u8>) {
        to.extend_from_slice(self.outgoing());
        self.sent(self.out.len());
    }

    /// The certificates that the other side has shown, its own first; none before the handshake is done.
    #[must_use]
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        let tls = self.tls.as_ref();
        tls.and_then(|tls| tls.peer_certificates()).unwrap_or(&[])
    }

    /// Whether the handshake is done.
    #[must_use]
    pub fn is_secured(&self) -> bool {
        self.secured
    }

    /// Whether this side has said goodbye.
    #[must_use]
    pub fn has_closed(&self) -> bool {
        self.closed
    }

    /// Why the chat cannot go on, if it cannot.
    #[must_use]
    pub fn failure(&self) -> Option<&ChatError> {
        self.failed.as_ref()
    }

    fn alive(&self) -> Result<(), ChatError> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn feed(&mut self, mut bytes: &[u8]) -> Result<(), ChatError> {
        // rustls takes a few kilobytes at a time, and none while 16 kB of plaintext wait: so read after each bite.
        while !bytes.is_empty() && !self.goodbye {
            let Some(tls) = &mut self.tls else {
                return self.split(bytes);
            };
            let read = tls.read_tls(&mut bytes);
            if read.map_err(|error| ChatError::Tls(error.to_string()))? == 0 {
                break;
            }
            let processed = tls.process_new_packets();
            if !self.secured && processed.is_ok() && !tls.is_handshaking() {
                self.secured();
            }
            // Also after an error: what was good before it was said.
            self.hear()?;
            if processed?.peer_has_closed() {
                self.said_goodbye();
            }
        }
        Ok(())
    }

    fn said_goodbye(&mut self) {
        self.goodbye = true;
        if !self.line.is_empty() {
            self.line_heard(false);
        }
        self.events.push_back(ChatEvent::Goodbye);
    }

    fn secured(&mut self) {
        self.secured = true;
        self.early = 0;
        let Some(tls) = &self.tls else { return };
        if let (Some(version), Some(suite)) =
            (tls.protocol_version(), tls.negotiated_cipher_suite())
        {
            let group = tls.negotiated_key_exchange_group();
            self.events.push_back(ChatEvent::Secured {
                version,
                suite: suite.suite(),
                group: group.map(|group| group.name()),
            });
        }
    }

    /// Takes the plaintext out of TLS.
    fn hear(&mut self) -> Result<(), ChatError> {
        let mut buffer = [0; 4096];
        // Both "nothing now" and "the end" end the loop; the end is known from close_notify.
        while let Some(tls) = &mut self.tls
            && let Ok(count @ 1..) = tls.reader().read(&mut buffer)
        {
            self.split(buffer.get(..count).unwrap_or(&[]))?;
        }
        Ok(())
    }

    /// Cuts the plaintext into lines.
    fn split(&mut self, mut rest: &[u8]) -> Result<(), ChatError> {
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(at);
            self.add(line)?;
            self.line_heard(true);
            rest = after.get(1..).unwrap_or(&[]);
        }
        self.add(rest)
    }

    fn add(&mut self, part: &[u8]) -> Result<(), ChatError> {
        if self.line.len() + part.len() > self.limits.line {
            if let Some(tls) = &mut self.tls {
                tls.send_close_notify();
            }
            return Err(ChatError::LineTooLong {
                limit: self.limits.line,
            });
        }
        self.line.extend_from_slice(part);
        Ok(())
    }

    fn line_heard(&mut self, complete: bool) {
        let bytes = core::mem::take(&mut self.line);
        let (text, valid) = match String::from_utf8(bytes) {
            Ok(text) => (text, true),
            Err(error) => (
                String::from_utf8_lossy(error.as_bytes()).into_owned(),
                false,
            ),
        };
        self.events.push_back(ChatEvent::Said(Line {
            text,
            valid,
            complete,
        }));
    }

    /// Takes over the records that rustls has made.
    fn flush(&mut self) {
        while let Some(tls) = &mut self.tls
            && tls.wants_write()
        {
            // Writing to a vector cannot fail.
            if !matches!(tls.write_tls(&mut self.out), Ok(1..)) {
                break;
            }
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests;
