//! The server: it listens, lets clients in, and is its operator's screen.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::{KeyLog, ServerConfig};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{interval, sleep, timeout};

use super::address::Place;
use super::client::{self, NoHandshake, Shared};
use super::keyfile::KeyFile;
use super::notices::{Notices, fill};
use super::packets::{self, Packets, Watched};
use super::program::{ProgramError, print, runtime, stopped};
use super::room::{OPERATOR, Room, Taken};
use super::terminal::{Input, Terminal};
use super::{ChatError, KeyLines, Setup, name, show};
use crate::certs::{Facts, FileError, load_chain, load_key};
use crate::cli::{
    self,
    chat::{Serve, ServeLimits},
};
use crate::text::Glossary;
use crate::view::paint::{Out, Role};
use crate::view::words::Hosts;

/// So many handshakes may be under way at once.
const HANDSHAKES: usize = 256;
/// One that has taken this long has to go when others wait.
const GRACE: Duration = Duration::from_secs(1);
/// How many connections the kernel keeps until we take them.
const BACKLOG: u32 = 4096;
/// What the kernel keeps of what a client has not yet read, in bytes.
const SEND_BUFFER: u32 = 128 << 10;
/// Files that are open beside the clients' sockets.
#[cfg(target_os = "linux")]
const OTHER_FILES: u64 = 64;

/// Serves a chat until its operator ends it.
pub(super) fn run(
    serve: &Serve,
    screen: &cli::Screen,
    glossary: &Glossary,
    mut out: Out,
) -> Result<(), ProgramError> {
    if !name::is_good(&serve.name) {
        let text = glossary.say("say.chat.bad_name");
        return Err(ProgramError::Usage(fill(
            text,
            &[("name", &super::printable(&serve.name))],
        )));
    }
    // Otherwise two long lines in a row would cut off everybody.
    let least = 4 * u64::from(serve.limits.max_line);
    if u64::from(serve.limits.queue) < least {
        return Err(ProgramError::Usage(format!(
            "the queue is too short for lines of {} bytes: give at least --queue {least}, or a smaller --max-line",
            serve.limits.max_line
        )));
    }
    let place = Place::parse(&serve.listen).map_err(ProgramError::Usage)?;
    let chain = load_chain(&serve.cert).map_err(|error| missing(error, &serve.cert))?;
    let key = load_key(&serve.key).map_err(|error| missing(error, &serve.key))?;
    let facts = chain.first().map(|certificate| Facts::of(certificate));
    packets::check(serve.show, &serve.output)?;
    let mut file: Option<Arc<dyn KeyLog>> = None;
    if let Some(path) = &serve.keylog {
        file = Some(Arc::new(KeyFile::open(path).map_err(ProgramError::Usage)?));
    }
    let keys = serve.show.then(Arc::<KeyLines>::default);
    let setup = packets::telling(Setup::default().allow_tls12(), file, keys.as_ref());
    let tls = setup.server_with(chain, key).map_err(|error| {
        let (key, certificate) = (serve.key.display(), serve.cert.display());
        ProgramError::Usage(match error {
            ChatError::KeyMismatch => format!(
                "the private key in {key} does not belong to the certificate in {certificate}: give the two that were made together"
            ),
            other => format!("{certificate} and {key} cannot serve: {other}"),
        })
    })?;
    let mut limits = serve.limits;
    let lowered = files(&mut limits);
    let (sockets, addresses) = bind_all(&place)?;
    let port = addresses.first().map_or(place.port, SocketAddr::port);
    let watched = match keys {
        Some(keys) => {
            let hosts: Vec<IpAddr> = addresses.iter().map(SocketAddr::ip).collect();
            let options = (glossary, screen, &serve.output);
            Some(Watched::open(
                &hosts,
                &format!("tcp port {port}"),
                keys,
                options,
            )?)
        }
        None => None,
    };
    runtime()?.block_on(async {
        let mut listeners = Vec::new();
        for (socket, address) in sockets.into_iter().zip(&addresses) {
            let listener = socket.listen(BACKLOG);
            listeners.push(listener.map_err(|error| cannot_bind(*address, &error))?);
        }
        let packets = match watched {
            None => Packets::none(),
            Some(watched) => Packets::of(
                watched,
                packets::Manner {
                    glossary,
                    screen,
                    output: &serve.output,
                    look: out.look(),
                    hosts: Hosts::default(),
                    port,
                },
            )?,
        };
        let shown = Place {
            port,
            host: place.host.clone(),
        };
        header(
            &mut out,
            glossary,
            serve,
            &shown,
            &addresses,
            facts.as_ref(),
        );
        if let Some(limit) = lowered {
            warn(
                &mut out,
                glossary,
                "say.chat.few_files",
                &[("limit", &limit.to_string())],
            );
        }
        operate(serve, limits, glossary, out, tls, listeners, packets).await
    })
}

/// A file that is not there: how it is made.
fn missing(error: FileError, path: &Path) -> ProgramError {
    ProgramError::Usage(match error {
        FileError::Missing(_) if path.starts_with("certs") => format!(
            "{error}: make certificate and key with\n\n    layerwise certs\n\nand start the server again"
        ),
        FileError::Missing(_) => format!("{error}; layerwise certs makes certificate and key"),
        other => other.to_string(),
    })
}

/// Lets the process open as many files as the clients need; if it may not, fewer clients are let in: how many.
#[cfg(target_os = "linux")]
fn files(limits: &mut ServeLimits) -> Option<u32> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    let others = HANDSHAKES as u64 + OTHER_FILES;
    let wanted = u64::from(limits.max_clients) + others;
    let possible = wanted.min(hard);
    let now = match soft < possible && setrlimit(Resource::RLIMIT_NOFILE, possible, hard).is_ok() {
        true => possible,
        false => soft,
    };
    if now >= wanted {
        return None;
    }
    limits.max_clients = u32::try_from(now.saturating_sub(others))
        .unwrap_or(1)
        .max(1);
    Some(limits.max_clients)
}

#[cfg(not(target_os = "linux"))]
fn files(_: &mut ServeLimits) -> Option<u32> {
    None
}

/// Takes a place: all its addresses. `localhost` is 127.0.0.1 and ::1, as far as this machine has them.
fn bind_all(place: &Place) -> Result<(Vec<TcpSocket>, Vec<SocketAddr>), ProgramError> {
    let localhost = place.host.eq_ignore_ascii_case("localhost");
    let hosts: Vec<IpAddr> = if localhost {
        vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
    } else {
        let found = (place.host.as_str(), place.port).to_socket_addrs();
        let found = found.map_err(|error| {
            ProgramError::Usage(format!(
                "cannot listen at {place}: the name {} is not known here ({error}); give one of this machine's addresses (ip address shows them)",
                place.host
            ))
        })?;
        let mut hosts: Vec<IpAddr> = found.map(|address| address.ip()).collect();
        hosts.dedup();
        hosts
    };
    let (mut sockets, mut addresses) = (Vec::new(), Vec::new());
    let mut port = place.port;
    let mut last = None;
    for host in hosts {
        match bind(SocketAddr::new(host, port)) {
            Ok(socket) => {
                let address = socket.local_addr().map_err(ProgramError::other)?;
                port = address.port();
                addresses.push(address);
                sockets.push(socket);
            }
            // A machine without IPv6, or without IPv4.
            Err(error)
                if localhost
                    && matches!(
                        error.kind(),
                        io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported
                    ) =>
            {
                last = Some((host, error));
            }
            Err(error) => return Err(cannot_bind(SocketAddr::new(host, port), &error)),
        }
    }
    match last {
        Some((host, error)) if sockets.is_empty() => {
            Err(cannot_bind(SocketAddr::new(host, port), &error))
        }
        _ => Ok((sockets, addresses)),
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // So that a server can be started again at once. (On Windows it would let two listen at one port.)
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    // What is set here, the connections inherit on Linux.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_keepalive(true)?;
    socket.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    {
        use nix::sys::socket::{setsockopt, sockopt};
        // A client that is gone without a word is noticed after two minutes, and after one if it has something to get.
        setsockopt(&socket, sockopt::TcpKeepIdle, &60)?;
        setsockopt(&socket, sockopt::TcpKeepInterval, &15)?;
        setsockopt(&socket, sockopt::TcpUserTimeout, &60_000)?;
    }
    socket.bind(address)?;
    Ok(socket)
}

fn cannot_bind(address: SocketAddr, error: &io::Error) -> ProgramError {
    let port = address.port();
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "another program listens there already (ss -ltnp 'sport = :{port}' shows which); end it, or take another port: --listen localhost:{}",
            port.saturating_add(1)
        ),
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 are for root alone; take a higher one: --listen localhost:8080".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have that address; ip address shows those it has, and 0.0.0.0 means all of them".to_owned()
        }
        _ => error.to_string(),
    };
    ProgramError::Usage(format!("cannot listen at {address}: {why}"))
}

/// What the operator sees first.
fn header(
    out: &mut Out,
    glossary: &Glossary,
    serve: &Serve,
    place: &Place,
    addresses: &[SocketAddr],
    facts: Option<&Facts>,
) {
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let ca = serve.cert.with_file_name("ca.crt");
    let ca = if ca.exists() { ca } else { serve.cert.clone() };
    // Who listens everywhere is found by any name.
    let host = match place.host.as_str() {
        "0.0.0.0" | "::" => facts
            .and_then(|facts| facts.names.last())
            .map_or("localhost", String::as_str),
        host => host,
    };
    let target = Place {
        host: super::printable(host).into_owned(),
        port: place.port,
    };
    let (target, ca, port) = (
        target.to_string(),
        ca.display().to_string(),
        place.port.to_string(),
    );
    out.paint(Role::Heading, glossary.say("say.chat.serve.title"));
    out.newline();
    out.newline();
    row(
        out,
        glossary,
        "say.chat.serve.listening",
        &[("addresses", &addresses.join(", "))],
    );
    certificate(out, glossary, facts);
    out.newline();
    let values = [
        ("target", target.as_str()),
        ("ca", &ca),
        ("host", host),
        ("port", &port),
    ];
    out.text("  ");
    out.paint(Role::Dim, glossary.say("say.chat.serve.to_join"));
    out.newline();
    // As they are, so that they can be copied.
    for key in [
        "say.chat.serve.join",
        "say.chat.serve.openssl",
        "say.chat.serve.ncat",
    ] {
        out.text("    ");
        out.text(&fill(glossary.say(key), &values));
        out.newline();
    }
    out.newline();
    if let Some(path) = &serve.keylog {
        let path = path.display().to_string();
        warn(out, glossary, "say.chat.keylog", &[("file", &path)]);
    }
    if facts.is_some_and(|facts| facts.is_authority) {
        warn(out, glossary, "say.chat.serve.is_authority", &[]);
    }
    let now = time::OffsetDateTime::now_utc();
    if facts
        .and_then(|facts| facts.until)
        .is_some_and(|until| until < now)
    {
        warn(out, glossary, "say.chat.serve.expired", &[]);
    }
    out.wrapped(glossary.say("say.chat.serve.hint"), |_| {});
    out.newline();
    out.newline();
}

/// What a certificate says: its names, its last day, its fingerprint.
pub(super) fn certificate(out: &mut Out, glossary: &Glossary, facts: Option<&Facts>) {
    let Some(facts) = facts else {
        return;
    };
    let names = match facts.names.as_slice() {
        [] => glossary.say("say.chat.no_names").to_owned(),
        names => super::printable(&names.join(", ")).into_owned(),
    };
    let until = facts
        .until
        .map_or_else(|| "?".to_owned(), |until| until.date().to_string());
    row(
        out,
        glossary,
        "say.chat.certificate",
        &[("names", &names), ("until", &until)],
    );
    row(
        out,
        glossary,
        "say.chat.fingerprint",
        &[("sha256", &facts.fingerprint)],
    );
}

/// A label and what it labels: `label|text` in the glossary.
pub(super) fn row(out: &mut Out, glossary: &Glossary, key: &str, values: &[(&str, &str)]) {
    const COLUMN: usize = 16;
    let (label, text) = glossary.say(key).split_once('|').unwrap_or_default();
    let text = fill(text, values);
    if out.look().plain {
        out.text(label);
        out.text(": ");
        out.text(&text);
    } else {
        out.text("  ");
        out.paint(Role::Dim, label);
        out.to_column(COLUMN);
        out.text(&text);
    }
    out.newline();
}

/// A warning, wrapped.
pub(super) fn warn(out: &mut Out, glossary: &Glossary, key: &str, values: &[(&str, &str)]) {
    let text = fill(glossary.say(key), values);
    out.start(Role::Warn);
    out.wrapped(&text, |_| {});
    out.end(Role::Warn);
    out.newline();
}

/// Lets clients in, and does what the operator says.
async fn operate(
    serve: &Serve,
    limits: ServeLimits,
    glossary: &Glossary,
    mut out: Out,
    tls: Arc<ServerConfig>,
    listeners: Vec<TcpListener>,
    mut packets: Packets,
) -> Result<(), ProgramError> {
    let words = || {
        Glossary::english()
            .map(Notices::new)
            .map_err(ProgramError::other)
    };
    let shared = Arc::new(Shared {
        room: Room::new(&serve.name, limits.queue as usize, words()?),
        notices: words()?,
        tls,
        handshakes: Semaphore::new(1),
        max_line: limits.max_line as usize,
        max_rate: limits.max_rate,
    });
    let (alive, mut all_gone) = mpsc::channel(1);
    let door = Arc::new(Door {
        shared: Arc::clone(&shared),
        limits,
        pending: Mutex::default(),
        tickets: AtomicU64::new(0),
        left_pending: Notify::new(),
        turned_away: Default::default(),
    });
    let mut tasks: Vec<AbortHandle> = listeners
        .into_iter()
        .map(|listener| {
            tokio::spawn(accept(listener, Arc::clone(&door), alive.clone())).abort_handle()
        })
        .collect();
    drop(alive);
    tasks.push(tokio::spawn(tend(Arc::clone(&door))).abort_handle());

    let head = show::take(&mut out);
    let apart = serve.output.for_programs();
    print(&head, apart)?;
    let (mut terminal, mut inputs) = Terminal::start(out.look(), ("> ", Role::Heading), apart);
    let mut stop = stopped()?;
    let mut listening = true;
    let mut news = Vec::new();
    let result = loop {
        let input = tokio::select! {
            input = inputs.recv(), if listening => input.unwrap_or(Input::End),
            () = news_for_operator(&shared.room, &mut news) => {
                for line in String::from_utf8_lossy(&news).lines() {
                    show::line(&mut out, None, line);
                }
                if let Err(error) = terminal.print(&show::take(&mut out)) {
                    break Err(ProgramError::Output(error));
                }
                continue;
            }
            text = packets.next() => {
                if let Err(error) = terminal.print_packets(&text) {
                    break Err(ProgramError::Output(error));
                }
                continue;
            }
            () = &mut stop => break Ok(()),
        };
        match input {
            Input::Line(line) => {
                if !operator_line(&line, serve, &shared, limits) {
                    break Ok(());
                }
            }
            Input::TooLong => too_long(&shared, limits),
            // Without a person at a terminal, nobody has ended anything: it goes on serving.
            Input::End if !terminal.has_prompt() => listening = false,
            Input::End | Input::Interrupted => break Ok(()),
        }
    };
    for task in tasks {
        task.abort();
    }
    drop(door);
    shared.room.close();
    // Everybody is told; who does not take it in time is left.
    let _ = timeout(Duration::from_secs(3), all_gone.recv()).await;
    terminal.finish();
    packets.end(|text| terminal.print_packets(text)).await?;
    if result.is_ok() {
        terminal.print(&format!("{}\n", glossary.say("say.chat.serve.ended")))?;
    }
    result
}

/// Waits until there is something for the operator's screen.
async fn news_for_operator(room: &Room, news: &mut Vec<u8>) {
    news.clear();
    core::future::poll_fn(|cx| match room.take(OPERATOR, news, 64 << 10, cx.waker()) {
        Taken::Nothing => core::task::Poll::Pending,
        Taken::Some | Taken::Cut(_) => core::task::Poll::Ready(()),
    })
    .await;
}

/// Does what the operator typed; false: the chat shall end.
fn operator_line(line: &str, serve: &Serve, shared: &Shared, limits: ServeLimits) -> bool {
    let Shared { room, notices, .. } = shared;
    let tell = |key, values: &[(&str, &str)]| room.tell(OPERATOR, notices.of(key, values));
    let say = |text: &str| {
        if text.len() > limits.max_line as usize {
            too_long(shared, limits);
            return;
        }
        let mut bytes = format!("{}: ", serve.name).into_bytes();
        client::harmless(text.as_bytes(), &mut bytes);
        bytes.push(b'\n');
        room.say(OPERATOR, &bytes);
    };
    let Some(command) = line.strip_prefix('/') else {
        if !line.is_empty() {
            say(line);
        }
        return true;
    };
    let (word, rest) = command.split_once(' ').unwrap_or((command, ""));
    match (word, rest.trim()) {
        ("quit", _) => return false,
        ("who", _) => room.who(OPERATOR),
        ("help", _) => tell("say.chat.serve.help", &[]),
        ("kick", name) => {
            if !room.kick(name) {
                tell(
                    "say.chat.serve.nobody",
                    &[("name", &super::printable(name))],
                );
            }
        }
        _ if command.starts_with('/') => say(command),
        (word, _) => tell("say.chat.unknown", &[("word", &super::printable(word))]),
    }
    true
}

fn too_long(shared: &Shared, limits: ServeLimits) {
    let limit = limits.max_line.to_string();
    let text = shared.notices.of("say.chat.too_long", &[("limit", &limit)]);
    shared.room.tell(OPERATOR, text);
}

/// What all who come in pass through.
struct Door {
    shared: Arc<Shared>,
    limits: ServeLimits,
    /// Handshakes under way, the oldest first.
    pending: Mutex<BTreeMap<u64, (Instant, AbortHandle)>>,
    tickets: AtomicU64,
    /// One of them has ended.
    left_pending: Notify,
    turned_away: TurnedAway,
}

/// Connections that did not become clients, since the operator was last told.
#[derive(Default)]
struct TurnedAway {
    left: AtomicU64,
    no_tls: AtomicU64,
    alert: AtomicU64,
    failed: AtomicU64,
    timed_out: AtomicU64,
    full: AtomicU64,
    no_file: AtomicU64,
}

impl Door {
    /// Waits until one more handshake may begin. One that takes long has to go when others wait: so nobody can keep all
    /// places by doing nothing.
    async fn place(&self) {
        loop {
            let free = self.left_pending.notified();
            let until = {
                let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
                if pending.len() < HANDSHAKES {
                    return;
                }
                let oldest = pending.first_entry();
                match oldest {
                    Some(oldest) if oldest.get().0.elapsed() >= GRACE => {
                        oldest.remove().1.abort();
                        self.turned_away.timed_out.fetch_add(1, Ordering::Relaxed);
                        return;
                    }
                    Some(oldest) => oldest.get().0 + GRACE,
                    None => return,
                }
            };
            let _ = tokio::time::timeout_at(until.into(), free).await;
        }
    }

    async fn enter(self: Arc<Self>, mut stream: TcpStream, ticket: u64, _alive: mpsc::Sender<()>) {
        let shared = Arc::clone(&self.shared);
        let shaken = client::handshake(&mut stream, &shared, self.limits.handshake_timeout).await;
        let mine = self
            .pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&ticket);
        self.left_pending.notify_one();
        if mine.is_none() {
            return;
        }
        let away = &self.turned_away;
        let tls = match shaken {
            Ok(tls) => tls,
            Err(why) => {
                let counter = match why {
                    NoHandshake::Left => &away.left,
                    NoHandshake::NoTls => &away.no_tls,
                    NoHandshake::Alert => &away.alert,
                    NoHandshake::Failed => &away.failed,
                    NoHandshake::TimedOut => &away.timed_out,
                };
                counter.fetch_add(1, Ordering::Relaxed);
                return;
            }
        };
        if shared.room.count() >= self.limits.max_clients as usize {
            away.full.fetch_add(1, Ordering::Relaxed);
            let limit = self.limits.max_clients.to_string();
            let notice = shared.notices.of("say.chat.full", &[("limit", &limit)]);
            return client::refuse(stream, tls, &notice).await;
        }
        drop(self);
        client::talk(stream, tls, &shared).await;
    }
}

/// Takes connections for ever.
async fn accept(listener: TcpListener, door: Arc<Door>, alive: mpsc::Sender<()>) {
    loop {
        door.place().await;
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // One that went away while it waited is no trouble. Without files to open there is nothing to do but wait
                // until a client leaves: the connection stays in the kernel's queue.
                if error.kind() != io::ErrorKind::ConnectionAborted {
                    door.turned_away.no_file.fetch_add(1, Ordering::Relaxed);
                    sleep(Duration::from_millis(50)).await;
                }
                continue;
            }
        };
        #[cfg(not(target_os = "linux"))]
        let _ = stream.set_nodelay(true);
        let ticket = door.tickets.fetch_add(1, Ordering::Relaxed);
        // Held until it is in the list, so that it does not end before.
        let mut pending = door.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let task = tokio::spawn(Arc::clone(&door).enter(stream, ticket, alive.clone()));
        pending.insert(ticket, (Instant::now(), task.abort_handle()));
    }
}

/// What has to be done now and then, and the operator's news of connections that came to nothing.
async fn tend(door: Arc<Door>) {
    const TELL: u32 = 20;
    let mut ticks = interval(Duration::from_millis(250));
    let mut silent = TELL;
    loop {
        ticks.tick().await;
        door.shared.room.tend(door.limits.idle_timeout);
        silent += 1;
        if silent < TELL {
            continue;
        }
        let away = &door.turned_away;
        let counts = [
            ("say.chat.away.left", &away.left),
            ("say.chat.away.no_tls", &away.no_tls),
            ("say.chat.away.alert", &away.alert),
            ("say.chat.away.failed", &away.failed),
            ("say.chat.away.timed_out", &away.timed_out),
            ("say.chat.away.full", &away.full),
            ("say.chat.away.no_file", &away.no_file),
        ];
        for (key, counter) in counts {
            let count = counter.swap(0, Ordering::Relaxed);
            if count > 0 {
                silent = 0;
                let text = door
                    .shared
                    .notices
                    .of(key, &[("count", &count.to_string())]);
                door.shared.room.tell(OPERATOR, text);
            }
        }
    }
}
