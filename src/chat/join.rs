//! The client: one person in a chat.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, KeyLog};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::address::Place;
use super::keyfile::KeyFile;
use super::notices::fill;
use super::packets::{self, Packets, Watched};
use super::program::{ProgramError, print, runtime, stopped};
use super::serve::{certificate, row, warn};
use super::terminal::{Input, Terminal};
use super::{ChatError, ChatEvent, KeyLines, Peer, Setup, show};
use crate::certs::{Facts, load_chain};
use crate::cli::{self, chat::Join};
use crate::text::Glossary;
use crate::view::paint::{Out, Role};
use crate::view::words::Hosts;

/// How long connecting may take, and the handshake.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the server may take to say goodbye, too.
const FAREWELL: Duration = Duration::from_secs(3);
/// No more is read from the person while so much waits to be sent.
const AHEAD: usize = 256 << 10;
/// The authority that `layerwise certs` makes.
const OWN_CA: &str = "certs/ca.crt";

/// How the server's certificate is checked.
enum Trust {
    /// Against the authorities in a file.
    File(PathBuf),
    /// Against those of the system: how many.
    System(usize),
    /// Not at all.
    Nobody,
}

/// Joins a chat until it is over.
pub(super) fn run(
    join: &Join,
    screen: &cli::Screen,
    glossary: &Glossary,
    out: Out,
) -> Result<(), ProgramError> {
    let place = Place::parse(&join.server).map_err(ProgramError::Usage)?;
    if let Some(name) = &join.name
        && !super::name::is_good(name)
    {
        let text = glossary.say("say.chat.bad_name");
        let name = super::printable(name);
        return Err(ProgramError::Usage(fill(text, &[("name", &name)])));
    }
    packets::check(join.show, &join.output)?;
    let mut file: Option<Arc<dyn KeyLog>> = None;
    if let Some(path) = &join.keylog {
        file = Some(Arc::new(KeyFile::open(path).map_err(ProgramError::Usage)?));
    }
    let keys = join.show.then(Arc::<KeyLines>::default);
    let setup = packets::telling(Setup::default().allow_tls12(), file, keys.as_ref());
    let (config, trust) = trusting(&setup, join, &place)?;
    let mut sockets = sockets(&place)?;
    let watched = match keys {
        Some(keys) => Some(watch(&mut sockets, keys, (glossary, screen, &join.output))?),
        None => None,
    };
    runtime()?.block_on(async {
        let (stream, remote) = connect(&place, sockets).await?;
        let name = ServerName::try_from(place.host.clone()).map_err(|_| {
            ProgramError::Usage(format!("{} cannot be the name of a server", place.host))
        })?;
        let peer = Peer::client(config, name).map_err(ProgramError::other)?;
        let local = stream.local_addr().map_err(ProgramError::other)?;
        let packets = match watched {
            None => Packets::none(),
            Some(watched) => Packets::of(
                watched,
                packets::Manner {
                    glossary,
                    screen,
                    output: &join.output,
                    look: out.look(),
                    hosts: hosts(local, remote),
                    port: remote.port(),
                },
            )?,
        };
        let chat = Chat {
            join,
            glossary,
            place,
            trust,
            out,
            local,
            remote,
            stream,
            peer,
            packets,
        };
        chat.run().await
    })
}

/// What the two ends are called among the packets.
fn hosts(local: SocketAddr, remote: SocketAddr) -> Hosts {
    let names = ["client", "server"];
    if local.ip() == remote.ip() {
        return Hosts::sharing(local.ip(), names, remote.port());
    }
    Hosts::new(vec![(local.ip(), names[0]), (remote.ip(), names[1])])
}

/// A socket for each address of the server.
fn sockets(place: &Place) -> Result<Vec<(SocketAddr, TcpSocket)>, ProgramError> {
    let found = (place.host.as_str(), place.port).to_socket_addrs();
    let found = found.map_err(|error| {
        ProgramError::Other(format!(
            "the name {} has no address: {error}; is it spelled right, and is there a network?",
            place.host
        ))
    })?;
    let sockets = found.map(|address| {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        };
        Ok((address, socket.map_err(ProgramError::other)?))
    });
    sockets.collect()
}

/// Watches what will pass between these sockets and the server, and nothing else.
fn watch(
    sockets: &mut Vec<(SocketAddr, TcpSocket)>,
    keys: Arc<KeyLines>,
    options: (&Glossary, &cli::Screen, &cli::output::Output),
) -> Result<Watched, ProgramError> {
    let (mut addresses, mut filter) = (Vec::new(), String::new());
    sockets.retain(|(remote, socket)| {
        // Where there is no way, there is nothing to watch.
        let Ok(local) = local_address(remote.ip()) else {
            return false;
        };
        let Ok(bound) = socket
            .bind((local, 0).into())
            .and_then(|()| socket.local_addr())
        else {
            return false;
        };
        if !addresses.contains(&local) {
            addresses.push(local);
        }
        let or = if filter.is_empty() { "" } else { " or " };
        filter.push_str(&format!(
            "{or}(tcp and host {} and port {} and port {})",
            remote.ip(),
            remote.port(),
            bound.port()
        ));
        true
    });
    if sockets.is_empty() {
        return Err(ProgramError::Other(
            "--show: there is no way to the server from this machine; look at the network"
                .to_owned(),
        ));
    }
    Watched::open(&addresses, &filter, keys, options)
}

/// The address that this machine would speak to another from; nothing is sent to find out.
fn local_address(remote: IpAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match remote {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    // UDP connects without a word; the port does not matter.
    socket.connect((remote, 9))?;
    Ok(socket.local_addr()?.ip())
}

/// Whom the client trusts.
fn trusting(
    setup: &Setup,
    join: &Join,
    place: &Place,
) -> Result<(Arc<ClientConfig>, Trust), ProgramError> {
    if join.insecure {
        let config = setup.client_unverified().map_err(ProgramError::other)?;
        return Ok((config, Trust::Nobody));
    }
    let own = Path::new(OWN_CA);
    let file = match &join.ca {
        Some(path) => Some(path.as_path()),
        // Only for this machine: another server must not be trusted because of a file that happens to lie here.
        None if place.is_here() && own.exists() => Some(own),
        None => None,
    };
    if let Some(path) = file {
        let roots = load_chain(path).map_err(|error| ProgramError::Usage(error.to_string()))?;
        let config = setup.client(&roots).map_err(|error| {
            ProgramError::Usage(format!("{} cannot be trusted: {error}", path.display()))
        })?;
        return Ok((config, Trust::File(path.to_owned())));
    }
    let found = rustls_native_certs::load_native_certs();
    let (config, count) = setup
        .client_of_system(found.certs)
        .map_err(ProgramError::other)?;
    if count == 0 {
        return Err(ProgramError::Usage(
            "this system has no list of authorities to trust (Debian: apt install ca-certificates); give the server's own with --ca FILE".to_owned(),
        ));
    }
    Ok((config, Trust::System(count)))
}

async fn connect(
    place: &Place,
    sockets: Vec<(SocketAddr, TcpSocket)>,
) -> Result<(TcpStream, SocketAddr), ProgramError> {
    let mut last = None;
    for (address, socket) in sockets {
        match timeout(CONNECT, socket.connect(address)).await {
            Ok(Ok(stream)) => {
                // A line goes out at once, and does not wait for more (RFC 896).
                let _ = stream.set_nodelay(true);
                return Ok((stream, address));
            }
            Ok(Err(error)) => last = Some((address, error)),
            Err(_) => last = Some((address, io::ErrorKind::TimedOut.into())),
        }
    }
    Err(ProgramError::Other(match last {
        None => format!("the name {} has no address", place.host),
        Some((address, error)) => {
            let why = match error.kind() {
                io::ErrorKind::ConnectionRefused => format!(
                    "nobody listens there; start a server (layerwise chat serve), or look at the port {}",
                    place.port
                ),
                io::ErrorKind::TimedOut => {
                    "no answer; a firewall may drop the packets, or the host is down".to_owned()
                }
                io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
                    "there is no way there from this machine; look at the network".to_owned()
                }
                _ => error.to_string(),
            };
            format!("cannot connect to {place} ({address}): {why}")
        }
    }))
}

/// A chat under way.
struct Chat<'a> {
    join: &'a Join,
    glossary: &'a Glossary,
    place: Place,
    trust: Trust,
    out: Out,
    /// The two ends of the connection.
    local: SocketAddr,
    remote: SocketAddr,
    stream: TcpStream,
    peer: Peer,
    packets: Packets,
}

/// How a chat ended that did not fail.
enum Over {
    /// We said goodbye, and the server did.
    Left,
    /// The server said goodbye first.
    Ended,
}

impl Chat<'_> {
    async fn run(mut self) -> Result<(), ProgramError> {
        let secured = timeout(CONNECT, self.handshake()).await;
        if !matches!(secured, Ok(Ok(()))) {
            // What has passed tells why.
            self.packets.end(|text| print(text, false)).await?;
        }
        match secured {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(self.failed(&error)),
            Err(_) => {
                return Err(ProgramError::Other(format!(
                    "{} does not answer the TLS handshake: is it a TLS server?",
                    self.place
                )));
            }
        }
        let apart = self.join.output.for_programs();
        print(&show::take(&mut self.out), apart)?;
        let insecure = format!("{} > ", self.glossary.say("say.chat.mark_insecure"));
        let prompt = match self.insecure() {
            true => (insecure.as_str(), Role::Warn),
            false => ("> ", Role::Heading),
        };
        let (mut terminal, inputs) = Terminal::start(self.out.look(), prompt, apart);
        let result = self.talk(&terminal, inputs).await;
        terminal.finish();
        self.part().await;
        self.packets
            .end(|text| terminal.print_packets(text))
            .await?;
        let key = match result {
            Ok(Over::Left) => "say.chat.join.left",
            Ok(Over::Ended) => "say.chat.join.ended",
            Err(error) => return Err(error),
        };
        if self.insecure() {
            let glossary = self.glossary;
            warn(&mut self.out, glossary, "say.chat.insecure_after", &[]);
        }
        self.out.text(self.glossary.say(key));
        self.out.newline();
        Ok(terminal.print(&show::take(&mut self.out))?)
    }

    /// Ends the connection, so that its end is among the packets, too.
    async fn part(&mut self) {
        let until_end = async {
            let _ = self.stream.shutdown().await;
            let mut rest = [0; 4096];
            while matches!(self.stream.read(&mut rest).await, Ok(1..)) {}
        };
        let _ = timeout(FAREWELL, until_end).await;
    }

    fn insecure(&self) -> bool {
        matches!(self.trust, Trust::Nobody)
    }

    /// Until both sides have the keys; then the header is written.
    async fn handshake(&mut self) -> Result<(), ChatError> {
        let lost = |error: io::Error| ChatError::Lost(error.to_string());
        let mut buffer = [0; 4096];
        while !self.peer.is_secured() {
            self.flush().await.map_err(lost)?;
            self.stream.readable().await.map_err(lost)?;
            match self.stream.try_read(&mut buffer) {
                Ok(0) => self.peer.eof()?,
                Ok(count) => {
                    let result = self.peer.receive(buffer.get(..count).unwrap_or(&[]));
                    // The alert is on its way in any case.
                    let flushed = self.flush().await;
                    result?;
                    flushed.map_err(lost)?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(lost(error)),
            }
        }
        self.header();
        Ok(())
    }

    async fn flush(&mut self) -> io::Result<()> {
        while !self.peer.outgoing().is_empty() {
            self.stream.writable().await?;
            match self.stream.try_write(self.peer.outgoing()) {
                Ok(count) => self.peer.sent(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn header(&mut self) {
        // The first event is that it is secured.
        let Some(ChatEvent::Secured {
            version,
            suite,
            group,
        }) = self.peer.next_event()
        else {
            return;
        };
        let (out, glossary) = (&mut self.out, self.glossary);
        let title = fill(
            glossary.say("say.chat.join.title"),
            &[("place", &self.place.to_string())],
        );
        out.paint(Role::Heading, &title);
        out.newline();
        out.newline();
        row(
            out,
            glossary,
            "say.chat.join.tcp",
            &[
                ("local", &self.local.to_string()),
                ("peer", &self.remote.to_string()),
            ],
        );
        let version = format!("{version:?}").replace("TLSv1_", "TLS 1.");
        let suite = format!("{suite:?}").replace("TLS13_", "TLS_");
        let group = group.map_or_else(|| "?".to_owned(), |group| format!("{group:?}"));
        row(
            out,
            glossary,
            "say.chat.join.tls",
            &[("version", &version), ("suite", &suite), ("group", &group)],
        );
        let facts = self.peer.certificates().first().map(|c| Facts::of(c));
        certificate(out, glossary, facts.as_ref());
        match &self.trust {
            Trust::File(path) => {
                let file = path.display().to_string();
                row(
                    out,
                    glossary,
                    "say.chat.join.checked_file",
                    &[("file", &file), ("host", &self.place.host)],
                );
            }
            Trust::System(count) => {
                let count = count.to_string();
                row(
                    out,
                    glossary,
                    "say.chat.join.checked_system",
                    &[("count", &count), ("host", &self.place.host)],
                );
            }
            Trust::Nobody => {}
        }
        out.newline();
        if matches!(self.trust, Trust::Nobody) {
            warn(out, glossary, "say.chat.insecure", &[]);
            out.newline();
        }
        if let Some(path) = &self.join.keylog {
            let path = path.display().to_string();
            warn(out, glossary, "say.chat.keylog", &[("file", &path)]);
            out.newline();
        }
    }

    /// Carries lines both ways until one side has said goodbye.
    async fn talk(
        &mut self,
        terminal: &Terminal,
        mut inputs: mpsc::Receiver<Input>,
    ) -> Result<Over, ProgramError> {
        let cut = |place: &Place, error: &dyn core::fmt::Display| {
            ProgramError::Other(format!("the connection to {place} was cut: {error}"))
        };
        if let Some(name) = &self.join.name {
            self.peer
                .say(&format!("/name {name}"))
                .map_err(ProgramError::other)?;
        }
        let mut stop = stopped()?;
        let mut buffer = vec![0; 32 << 10];
        // What came together with the end of the handshake.
        let mut over = self.events(terminal)?;
        // Whether the server was the first to say it.
        let mut ended = over;
        let mut farewell = core::pin::pin!(sleep(Duration::MAX));
        loop {
            if over && self.peer.outgoing().is_empty() {
                return Ok(if ended { Over::Ended } else { Over::Left });
            }
            let (sending, leaving) = (!self.peer.outgoing().is_empty(), self.peer.has_closed());
            let room = !leaving && self.peer.outgoing().len() < AHEAD;
            let mut leave = false;
            tokio::select! {
                input = inputs.recv(), if room => match input.unwrap_or(Input::End) {
                    Input::Line(line) => leave = !self.line(terminal, &line)?,
                    Input::TooLong => {
                        terminal.print(&format!("* {}\n", self.glossary.say("say.chat.join.too_long")))?;
                    }
                    Input::End | Input::Interrupted => leave = true,
                },
                () = &mut stop, if !leaving => leave = true,
                text = self.packets.next() => terminal.print_packets(&text)?,
                ready = self.stream.readable() => {
                    ready.map_err(|error| cut(&self.place, &error))?;
                    match self.stream.try_read(&mut buffer) {
                        Ok(0) => match self.peer.eof() {
                            Ok(()) if ended => return Ok(Over::Ended),
                            Ok(()) => return Ok(Over::Left),
                            Err(error) => return Err(cut(&self.place, &error)),
                        },
                        Ok(count) => {
                            let result = self.peer.receive(buffer.get(..count).unwrap_or(&[]));
                            over |= self.events(terminal)?;
                            if let Err(error) = result {
                                let _ = timeout(FAREWELL, self.flush()).await;
                                return Err(cut(&self.place, &error));
                            }
                            ended |= over && !leaving;
                            if over {
                                self.peer.close();
                            }
                        }
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(error) => return Err(cut(&self.place, &error)),
                    }
                }
                ready = self.stream.writable(), if sending => {
                    ready.map_err(|error| cut(&self.place, &error))?;
                    match self.stream.try_write(self.peer.outgoing()) {
                        Ok(count) => self.peer.sent(count),
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        // What the server said before it went is still to be read.
                        Err(_) if over => return Ok(Over::Ended),
                        Err(_) => self.peer.sent(usize::MAX / 2),
                    }
                }
                () = &mut farewell => return Ok(Over::Left),
            }
            if leave {
                self.peer.close();
                farewell
                    .as_mut()
                    .reset(tokio::time::Instant::now() + FAREWELL);
            }
        }
    }

    /// Says what the person typed; false: it was the wish to leave.
    fn line(&mut self, terminal: &Terminal, line: &str) -> Result<bool, ProgramError> {
        if line.trim() == "/quit" {
            return Ok(false);
        }
        if let Err(error) = self.peer.say(line) {
            terminal.print(&format!("* {error}\n"))?;
        }
        if self.insecure() && matches!(line.trim(), "/who" | "/help") {
            let glossary = self.glossary;
            warn(&mut self.out, glossary, "say.chat.insecure", &[]);
            terminal.print(&show::take(&mut self.out))?;
        }
        Ok(true)
    }

    /// Shows what has happened; true: the server has said goodbye.
    fn events(&mut self, terminal: &Terminal) -> io::Result<bool> {
        let mut over = false;
        // The prompt has the mark already.
        let mark = match self.insecure() && !terminal.has_prompt() {
            true => Some(self.glossary.say("say.chat.mark_insecure")),
            false => None,
        };
        while let Some(event) = self.peer.next_event() {
            match event {
                ChatEvent::Said(line) => show::line(&mut self.out, mark, &line.text),
                ChatEvent::Goodbye => over = true,
                ChatEvent::Secured { .. } | ChatEvent::InClear => {}
            }
        }
        if !self.out.bytes().is_empty() {
            terminal.print(&show::take(&mut self.out))?;
        }
        Ok(over)
    }

    /// Why there is no chat, and what to do.
    fn failed(&self, error: &ChatError) -> ProgramError {
        let host = &self.place.host;
        let advice = match error {
            ChatError::Certificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature,
            ) => match &self.trust {
                Trust::System(_) => "If the server has its own authority, give its certificate: --ca certs/ca.crt (layerwise certs makes it beside the server's). --insecure would talk without knowing to whom.".to_owned(),
                _ => format!(
                    "Either the file given with --ca is not the authority that signed it (was layerwise certs run again?), or somebody else answers for {host}."
                ),
            },
            ChatError::Certificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => format!(
                "Join by a name that the certificate is for; or make the server one for this name: layerwise certs {host}"
            ),
            ChatError::Certificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. },
            ) => "The server needs a new certificate (layerwise certs); or this machine's clock is wrong.".to_owned(),
            ChatError::Certificate(
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
            ) => "Look at this machine's clock, and at the server's.".to_owned(),
            ChatError::Certificate(CertificateError::Other(_)) => {
                "An authority's certificate is what openssl req -x509 makes by default; make one for a server: layerwise certs, or add -addext basicConstraints=critical,CA:FALSE".to_owned()
            }
            ChatError::Tls(_) => format!("Does {} speak TLS, and is it a chat server?", self.place),
            _ => String::new(),
        };
        let text = format!("no chat with {}: {error}", self.place);
        ProgramError::Other(match advice.is_empty() {
            true => text,
            false => format!("{text}\n{advice}"),
        })
    }
}
