//! One host's part of the play: its application and its TLS, driven over a kernel socket.

use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::socket::{SockaddrIn, connect};
use rustls::pki_types::{CertificateDer, ServerName};
use time::OffsetDateTime;

use super::super::{Answer, Ending, Happening, Host, Script, Texts, WireError, mitm};
use super::{Log, Shared, poll};
use crate::certs::{Authority, CertError, Identity, Material, Validity};
use crate::chat::{ChatError, ChatEvent, KeyLines, Peer, Setup};
use crate::reason::reason;

/// Who trusts whom: a small authority, made for this wire alone, and B's certificate.
pub(in crate::wire) struct Setting {
    pub(in crate::wire) roots: Vec<CertificateDer<'static>>,
    identity: Identity,
    /// What the one in the middle shows.
    pub(in crate::wire) forged: Option<Identity>,
}

impl Setting {
    /// With a certificate for these names, valid from yesterday to tomorrow, and one for somebody in the middle.
    pub(in crate::wire) fn new(
        names: &[&str],
        mitm: Option<mitm::Server>,
    ) -> Result<Self, WireError> {
        let now = OffsetDateTime::now_utc();
        let day = time::Duration::DAY;
        let valid = |days: i32| Validity {
            from: now - day,
            until: now + day * days,
        };
        let authority = Authority::new(mitm::AUTHORITY, valid(2))?;
        Ok(Self {
            roots: vec![authority.certificate().clone()],
            identity: authority.issue(names, valid(1))?,
            forged: mitm
                .map(|server| mitm::identity(server, &authority, names, now, &mut Material::fresh))
                .transpose()?,
        })
    }
}

/// What both hosts agree on, and how B's application behaves.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::wire) struct Terms {
    /// They chat without TLS.
    pub(in crate::wire) plain: bool,
    /// They also accept TLS 1.2.
    pub(in crate::wire) tls12: bool,
    /// A takes any certificate.
    pub(in crate::wire) insecure: bool,
    /// So long B's application does not read, once the chat can begin.
    pub(in crate::wire) pause: Option<Duration>,
}

/// One host's part of the play: its application and its TLS.
pub(in crate::wire) struct Part {
    host: Host,
    texts: Texts,
    peer: Peer,
    keys: Arc<KeyLines>,
    connected: bool,
    /// Our FIN was asked for.
    hung_up: bool,
    /// The other side's FIN was seen, or the connection is broken and all that came before is read.
    ended: bool,
    /// The connection is broken: nothing can be sent any more.
    broken: Option<Ending>,
    failed: bool,
    /// How long the application will not read, and from when on it reads again.
    pause: Option<Duration>,
    reads_again: Option<Instant>,
}

impl Part {
    /// The part of a host. A knows B by `name`.
    pub(in crate::wire) fn new(
        host: Host,
        script: &Script,
        setting: &Setting,
        name: &str,
        terms: Terms,
    ) -> Result<Self, WireError> {
        let keys = Arc::new(KeyLines::default());
        let mut setup = Setup::default().key_log(Arc::clone(&keys) as Arc<dyn rustls::KeyLog>);
        if terms.tls12 {
            setup = setup.allow_tls12();
        }
        let peer = match host {
            _ if terms.plain => Peer::plain(),
            Host::A => ServerName::try_from(name.to_owned())
                .map_err(|_| WireError::Certificate(CertError::Key))
                .and_then(|name| {
                    let config = if terms.insecure {
                        setup.client_unverified()
                    } else {
                        setup.client(&setting.roots)
                    };
                    config
                        .and_then(|config| Peer::client(config, name))
                        .map_err(|error| WireError::Chat { host, error })
                })?,
            Host::B => setup
                .server(&setting.identity)
                .and_then(Peer::server)
                .map_err(|error| WireError::Chat { host, error })?,
        };
        Ok(Self {
            host,
            texts: Texts::new(host, script),
            peer,
            keys,
            connected: false,
            hung_up: false,
            ended: false,
            broken: None,
            failed: false,
            pause: terms.pause.filter(|_| host == Host::B),
            reads_again: None,
        })
    }

    /// Plays it to its end on a socket: A's is unconnected, B's is listening. `done` is closed at the end.
    pub(in crate::wire) fn play(
        mut self,
        socket: OwnedFd,
        to: Option<SocketAddrV4>,
        log: &Log,
        done: UnixStream,
    ) -> Result<(), WireError> {
        let shared = &log.shared;
        let Some(mut stream) = self.join(socket, to, log)? else {
            return Ok(());
        };
        self.connected = true;
        log.chat(self.host, Happening::Connected);
        let mut buffer = vec![0; 64 << 10];
        // Without TLS the chat can begin at once.
        self.hear(&[], &mut stream, log)?;
        loop {
            self.flush(&mut stream, log)?;
            if self.hung_up && self.ended {
                drop(done);
                return Ok(());
            }
            let mut events = PollFlags::empty();
            let pause = self
                .reads_again
                .map(|at| at.saturating_duration_since(Instant::now()));
            let pause = pause.filter(|pause| !pause.is_zero());
            events.set(PollFlags::POLLIN, !self.ended && pause.is_none());
            events.set(PollFlags::POLLOUT, !self.peer.outgoing().is_empty());
            if !wait(shared, stream.as_fd(), events, pause)? {
                return Ok(());
            }
            if !self.ended && pause.is_none() {
                match stream.read(&mut buffer) {
                    // After a write that failed the kernel speaks of no error again.
                    Ok(0) => self.end(self.broken.unwrap_or(Ending::Fin), log),
                    Ok(count) => {
                        shared.progresses();
                        let bytes = buffer.get(..count).unwrap_or(&[]);
                        self.hear(bytes, &mut stream, log)?;
                    }
                    Err(error) if is_passing(&error) => {}
                    Err(error) => match ending(&error) {
                        Some(ending) => self.end(ending, log),
                        None => return Err(self.tcp_error("receiving", &error)),
                    },
                }
            }
        }
    }

    /// TCP has nothing more for the application.
    fn end(&mut self, ending: Ending, log: &Log) {
        self.ended = true;
        // Before a FIN there may be more to be sent; after anything else there is nobody to get it.
        if ending != Ending::Fin {
            self.broken = Some(ending);
            self.hung_up = true;
        }
        log.chat(self.host, Happening::Ended(ending));
        let result = match ending {
            Ending::Fin => self.peer.eof(),
            Ending::Reset => self.peer.broken(),
            // It is not the other side that ended it.
            Ending::TimedOut | Ending::Unreachable => self.peer.broken().map_err(|_| {
                let why = match ending {
                    Ending::TimedOut => "TCP gave up, since nothing was acknowledged any more",
                    _ => "there is no way to the other side",
                };
                ChatError::Lost(why.to_owned())
            }),
        };
        // Without a stream it cannot fail.
        let _ = self.respond(None, log);
        self.check(result, log);
    }

    /// Connects, or is connected to; `None` if all shall end before.
    fn join(
        &mut self,
        socket: OwnedFd,
        to: Option<SocketAddrV4>,
        log: &Log,
    ) -> Result<Option<TcpStream>, WireError> {
        let shared = &log.shared;
        let connected = if let Some(to) = to {
            self.show(shared, &socket)?;
            match connect(socket.as_raw_fd(), &SockaddrIn::from(to)) {
                Ok(()) | Err(Errno::EINPROGRESS) => {}
                Err(errno) => return Err(self.tcp_error("connecting", &errno.into())),
            }
            if !wait(shared, socket.as_fd(), PollFlags::POLLOUT, None)? {
                return Ok(None);
            }
            let stream = TcpStream::from(socket);
            match stream.take_error() {
                Ok(None) => stream,
                Ok(Some(error)) | Err(error) => {
                    let Some(ending) = ending(&error) else {
                        return Err(self.tcp_error("connecting", &error));
                    };
                    self.end(ending, log);
                    return Ok(None);
                }
            }
        } else {
            let listener = TcpListener::from(socket);
            loop {
                if !wait(shared, listener.as_fd(), PollFlags::POLLIN, None)? {
                    return Ok(None);
                }
                match accept(&listener) {
                    Ok(stream) => break stream,
                    Err(error)
                        if is_passing(&error)
                            || error.kind() == io::ErrorKind::ConnectionAborted => {}
                    Err(error) => return Err(self.tcp_error("accepting", &error)),
                }
            }
        };
        let nodelay = connected.set_nodelay(true);
        nodelay.map_err(|error| self.tcp_error("TCP_NODELAY", &error))?;
        if self.host == Host::B {
            self.show(shared, &connected)?;
        }
        Ok(Some(connected))
    }

    /// Lets the kernel's view of this connection be seen.
    fn show(&self, shared: &Shared, socket: impl AsFd) -> Result<(), WireError> {
        let copy = socket.as_fd().try_clone_to_owned();
        let copy = copy.map_err(|error| self.tcp_error("a second descriptor", &error))?;
        // It can be set once, and is.
        let _ = shared.socket(self.host).set(copy);
        Ok(())
    }

    /// Gives to the application what TCP has delivered, and to TCP what it answers.
    fn hear(&mut self, bytes: &[u8], stream: &mut TcpStream, log: &Log) -> Result<(), WireError> {
        if self.failed {
            return Ok(());
        }
        let result = self.peer.receive(bytes);
        self.react(result, stream, log)
    }

    /// The application does something about what has happened to its peer.
    fn react(
        &mut self,
        result: Result<(), ChatError>,
        stream: &mut TcpStream,
        log: &Log,
    ) -> Result<(), WireError> {
        self.flush(stream, log)?;
        self.respond(Some(stream), log)?;
        self.check(result, log);
        Ok(())
    }

    /// The application answers what its peer has heard; without a stream, what it answers is sent later.
    fn respond(&mut self, mut stream: Option<&mut TcpStream>, log: &Log) -> Result<(), WireError> {
        while let Some(event) = self.peer.next_event() {
            if matches!(event, ChatEvent::Secured { .. } | ChatEvent::InClear) {
                self.reads_again = self.pause.map(|pause| Instant::now() + pause);
            }
            log.chat(self.host, Happening::Hears(event.clone()));
            if !self.failed {
                let result = self.answer(&event, log);
                self.check(result, log);
                if let Some(stream) = &mut stream {
                    self.flush(stream, log)?;
                }
            }
        }
        Ok(())
    }

    fn answer(&mut self, event: &ChatEvent, log: &Log) -> Result<(), ChatError> {
        match self.texts.answer(event) {
            Answer::Say(text) => {
                self.peer.say(&text)?;
                log.chat(self.host, Happening::Says(text));
            }
            Answer::Goodbye if !self.peer.has_closed() => {
                self.peer.close();
                log.chat(self.host, Happening::SaysGoodbye);
            }
            Answer::Goodbye | Answer::Nothing => {}
        }
        Ok(())
    }

    /// A failed chat says so, once, and hangs up after its alert is sent.
    fn check(&mut self, result: Result<(), ChatError>, log: &Log) {
        if let (Err(error), false) = (result, self.failed) {
            self.failed = true;
            log.chat(self.host, Happening::Fails(error));
            self.peer.close();
        }
    }

    /// Hands to TCP what the peer wants to send, as much as it takes.
    fn flush(&mut self, stream: &mut TcpStream, log: &Log) -> Result<(), WireError> {
        // Secrets go before the packets they protect.
        log.keys(self.host, &self.keys);
        while !self.peer.outgoing().is_empty() {
            if self.broken.is_some() {
                self.peer.sent(self.peer.outgoing().len());
                break;
            }
            match stream.write(self.peer.outgoing()) {
                Ok(taken) => self.peer.sent(taken),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if is_passing(&error) => {}
                Err(error) => match ending(&error) {
                    // What came before is still there to be read.
                    Some(ending) => self.broken = Some(ending),
                    None => return Err(self.tcp_error("sending", &error)),
                },
            }
        }
        if self.peer.has_closed() && !self.hung_up {
            self.hung_up = true;
            // It fails when the other side has reset the connection: then it is over, too.
            let _ = stream.shutdown(Shutdown::Write);
        }
        Ok(())
    }

    fn tcp_error(&self, tried: &str, error: &io::Error) -> WireError {
        WireError::Tcp {
            host: self.host,
            what: format!("{tried}: {}", reason(error)),
        }
    }
}

/// Waits until something can be done with a socket, or so long; `false` if all shall end.
fn wait(
    shared: &Shared,
    socket: BorrowedFd<'_>,
    events: PollFlags,
    most: Option<Duration>,
) -> Result<bool, WireError> {
    let mut fds = [
        PollFd::new(shared.stop_fd(), PollFlags::POLLIN),
        PollFd::new(socket, events),
    ];
    poll(&mut fds, most)?;
    let [stop, _] = fds;
    Ok(!stop.any().unwrap_or(false))
}

fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept()?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Whether it is no failure, only a reason to try again.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// How a connection has ended, if that is what the error says.
fn ending(error: &io::Error) -> Option<Ending> {
    match error.kind() {
        // For a SYN, a reset means that nobody listens. After the other side's FIN, Linux speaks of a broken pipe.
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionRefused
        | io::ErrorKind::BrokenPipe => Some(Ending::Reset),
        io::ErrorKind::TimedOut => Some(Ending::TimedOut),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            Some(Ending::Unreachable)
        }
        _ => None,
    }
}
