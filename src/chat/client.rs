//! One client of the server, from its first byte to its last.
//!
//! While it is in the room it is a future of its own making, [`Talk`]: woken when the socket can be read or written or when
//! the room has something new, it takes all there is, seals it as few records, and writes them with one call.

use std::cell::RefCell;
use std::future::Future;
use std::io::{self, BufRead as _, IoSlice, Write as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection};
use tokio::io::{AsyncRead as _, AsyncWrite as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::notices::Notices;
use super::printable::is_tricky;
use super::room::{Cut, Id, NoName, Room, Taken};

/// So much is read from a socket at once.
const READ: usize = 32 << 10;
/// So much is sealed and written at once: four full records.
const WRITE: usize = 64 << 10;
/// How long the last words may take to go out, and the other side to stop sending.
const LINGER: Duration = Duration::from_secs(2);
/// How long one waits at most for slower readers before one's next lines are taken.
const PATIENCE: Duration = Duration::from_millis(100);

thread_local! {
    /// Rooms for bytes on the way, one set a thread: a client that waits holds none.
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        read: vec![0; READ],
        plain: Vec::with_capacity(WRITE + 1024),
        lines: Vec::with_capacity(READ),
    });
}

struct Scratch {
    /// What came from the socket.
    read: Vec<u8>,
    /// What goes to the client, not yet sealed.
    plain: Vec<u8>,
    /// What the client says, as the others will read it.
    lines: Vec<u8>,
}

/// What all clients share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) room: Room,
    pub(super) notices: Notices,
    pub(super) tls: Arc<ServerConfig>,
    /// Handshakes are computed one at a time, so that they never keep the lines waiting on all processors.
    pub(super) handshakes: Semaphore,
    pub(super) max_line: usize,
    /// Lines a second; 0: as many as there are.
    pub(super) max_rate: u32,
}

/// Why a handshake came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoHandshake {
    /// The client connected and went away.
    Left,
    /// It did not speak TLS.
    NoTls,
    /// It broke off with an alert: it refuses the certificate, for example.
    Alert,
    /// TLS failed in another way.
    Failed,
    /// It took too long.
    TimedOut,
}

/// How a client's stay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It said `/quit`, or goodbye (close_notify).
    Quit,
    Goodbye,
    /// The connection ended without a goodbye.
    Broken,
    /// A record did not open, or TLS was broken in another way.
    Damaged,
    LineTooLong,
    /// It spoke HTTP.
    Http,
    Cut(Cut),
}

impl End {
    /// What the others are told.
    fn told(self) -> &'static str {
        match self {
            Self::Quit | Self::Goodbye | Self::Http => "say.chat.left",
            Self::Broken => "say.chat.left_broken",
            Self::Damaged => "say.chat.left_damaged",
            Self::LineTooLong => "say.chat.left_long",
            Self::Cut(Cut::Lag) => "say.chat.left_lag",
            Self::Cut(Cut::Idle) => "say.chat.left_idle",
            Self::Cut(Cut::Kick) => "say.chat.left_kick",
            Self::Cut(Cut::Closing) => "say.chat.left",
        }
    }

    /// What the client itself is told.
    fn last_words(self) -> Option<&'static str> {
        Some(match self {
            Self::Goodbye | Self::Broken | Self::Damaged | Self::Http => return None,
            Self::Quit => "say.chat.bye",
            Self::LineTooLong => "say.chat.cut_long",
            Self::Cut(Cut::Lag) => "say.chat.cut_lag",
            Self::Cut(Cut::Idle) => "say.chat.cut_idle",
            Self::Cut(Cut::Kick) => "say.chat.cut_kick",
            Self::Cut(Cut::Closing) => "say.chat.cut_closing",
        })
    }
}

/// Makes the connection secure, within the time that is given.
pub(super) async fn handshake(
    stream: &mut TcpStream,
    shared: &Shared,
    limit: Duration,
) -> Result<Box<ServerConnection>, NoHandshake> {
    match timeout(limit, shake(stream, shared)).await {
        Ok(result) => result,
        Err(_) => Err(NoHandshake::TimedOut),
    }
}

async fn shake(
    stream: &mut TcpStream,
    shared: &Shared,
) -> Result<Box<ServerConnection>, NoHandshake> {
    // The first byte of a TLS record is its type: 22, handshake (RFC 8446, section 5.1).
    let mut first = [0; 16];
    match stream.peek(&mut first).await {
        Ok(0) | Err(_) => return Err(NoHandshake::Left),
        Ok(_) if first.first() == Some(&22) => {}
        Ok(count) => {
            let start = first.get(..count).unwrap_or(&[]);
            // Who speaks HTTP is answered in HTTP; it is a browser, more often than not.
            if is_http(start) {
                let _ = stream
                    .write_all(http(shared, "say.chat.http_plain").as_bytes())
                    .await;
                linger(stream).await;
            }
            return Err(NoHandshake::NoTls);
        }
    }
    let tls = ServerConnection::new(Arc::clone(&shared.tls)).map_err(|_| NoHandshake::Failed)?;
    let mut tls = Box::new(tls);
    // The room has its own limit.
    tls.set_buffer_limit(None);
    while tls.is_handshaking() || tls.wants_write() {
        if tls.wants_write() {
            let mut out = Vec::new();
            while tls.wants_write() {
                // Writing to a vector cannot fail.
                let _ = tls.write_tls(&mut out);
            }
            let sent = stream.write_all(&out).await;
            sent.map_err(|_| NoHandshake::Left)?;
            continue;
        }
        // On the heap, so that the client does not carry it along when it is not needed any more.
        let mut buffer = vec![0; 4096];
        let count = match core::future::poll_fn(|cx| read(stream, cx, &mut buffer)).await {
            Ok(0) | Err(_) => return Err(NoHandshake::Left),
            Ok(count) => count,
        };
        let _one_at_a_time = shared.handshakes.acquire().await;
        let mut bytes = buffer.get(..count).unwrap_or(&[]);
        while !bytes.is_empty() {
            let taken = tls.read_tls(&mut bytes);
            let result = tls.process_new_packets();
            if let Err(error) = result {
                let mut alert = Vec::new();
                let _ = tls.write_tls(&mut alert);
                let _ = stream.try_write(&alert);
                return Err(match error {
                    rustls::Error::AlertReceived(_) => NoHandshake::Alert,
                    _ => NoHandshake::Failed,
                });
            }
            if !matches!(taken, Ok(1..)) {
                return Err(NoHandshake::Failed);
            }
        }
    }
    Ok(tls)
}

/// Reads once.
fn read(stream: &mut TcpStream, cx: &mut Context<'_>, to: &mut [u8]) -> Poll<io::Result<usize>> {
    let mut buffer = ReadBuf::new(to);
    ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
    Poll::Ready(Ok(buffer.filled().len()))
}

/// Tells a client that is one too many, and ends its connection.
pub(super) async fn refuse(stream: TcpStream, tls: Box<ServerConnection>, notice: &str) {
    goodbye(stream, tls, notice, false).await;
}

/// Lets the client take part until it goes or has to go.
pub(super) async fn talk(stream: TcpStream, tls: Box<ServerConnection>, shared: &Arc<Shared>) {
    let Ok(address) = stream.peer_addr() else {
        return;
    };
    let (id, name) = shared.room.join(address);
    let mut talk = Talk {
        stream,
        tls,
        shared: Arc::clone(shared),
        id,
        name,
        line: Vec::new(),
        fresh: true,
        first: true,
        wait: None,
        patience: None,
        rate_from: None,
    };
    let end = (&mut talk).await;
    let Talk { stream, tls, .. } = talk;
    shared.room.leave(id, end.told());
    let heard_all = end == End::Goodbye;
    match end {
        End::Broken => {}
        End::Http => goodbye(stream, tls, &http(shared, "say.chat.http_secure"), false).await,
        other => {
            let words = other.last_words();
            let limit = shared.max_line.to_string();
            let words = words.map(|key| shared.notices.of(key, &[("limit", &limit)]));
            goodbye(stream, tls, &words.unwrap_or_default(), heard_all).await;
        }
    }
}

/// Last words, close_notify, and the end of the connection.
async fn goodbye(mut stream: TcpStream, mut tls: Box<ServerConnection>, words: &str, quiet: bool) {
    let _ = tls.writer().write_all(words.as_bytes());
    tls.send_close_notify();
    let mut out = Vec::new();
    while tls.wants_write() {
        let _ = tls.write_tls(&mut out);
    }
    drop(tls);
    let sent = timeout(LINGER, stream.write_all(&out)).await;
    if matches!(sent, Ok(Ok(()))) && !quiet {
        linger(&mut stream).await;
    }
}

/// Ends our side and takes in what is still under way: closing at once would make TCP reset the connection, and our last
/// words could get lost (RFC 1122, section 4.2.2.13).
async fn linger(stream: &mut TcpStream) {
    let _ = stream.shutdown().await;
    let rest = async {
        let mut buffer = vec![0; 4096];
        while matches!(
            core::future::poll_fn(|cx| read(stream, cx, &mut buffer)).await,
            Ok(1..)
        ) {}
    };
    let _ = timeout(LINGER, rest).await;
}

/// A client in the room.
struct Talk {
    stream: TcpStream,
    tls: Box<ServerConnection>,
    shared: Arc<Shared>,
    id: Id,
    name: Arc<str>,
    /// A begun line.
    line: Vec<u8>,
    /// Nothing has been read since the handshake.
    fresh: bool,
    /// Whether its first line is still to come.
    first: bool,
    /// Set while nothing is read, because others could not follow or the rate is too high.
    wait: Option<Pin<Box<Sleep>>>,
    /// Until when it waits for slower readers.
    patience: Option<Instant>,
    /// The time up to which the lines said so far would have lasted, had they come at the highest rate allowed.
    rate_from: Option<Instant>,
}

impl Future for Talk {
    type Output = End;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        let this = &mut *self;
        SCRATCH.with_borrow_mut(|scratch| {
            loop {
                if let Poll::Ready(end) = this.write(cx, scratch) {
                    return Poll::Ready(end);
                }
                match ready!(this.hear(cx, scratch)) {
                    Ok(()) => {}
                    Err(end) => return Poll::Ready(end),
                }
            }
        })
    }
}

/// The socket as rustls wants it: pending is [`io::ErrorKind::WouldBlock`].
struct Socket<'a, 'b>(&'a mut TcpStream, &'a mut Context<'b>);

impl io::Write for Socket<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        match Pin::new(&mut *self.0).poll_write_vectored(self.1, bytes) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Talk {
    /// Writes what there is. Pending: there is no more, or the socket takes no more; ready: the stay is over.
    fn write(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Poll<End> {
        loop {
            while self.tls.wants_write() {
                match self.tls.write_tls(&mut Socket(&mut self.stream, cx)) {
                    Ok(0) => return Poll::Ready(End::Broken),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        // The room wakes it when it has to go.
                        scratch.plain.clear();
                        return match self.shared.room.is_cut(self.id, cx.waker()) {
                            Some(cut) => Poll::Ready(End::Cut(cut)),
                            None => Poll::Pending,
                        };
                    }
                    Err(_) => return Poll::Ready(End::Broken),
                }
            }
            scratch.plain.clear();
            let room = &self.shared.room;
            match room.take(self.id, &mut scratch.plain, WRITE, cx.waker()) {
                Taken::Some => {}
                Taken::Nothing => return Poll::Pending,
                Taken::Cut(cut) => return Poll::Ready(End::Cut(cut)),
            }
            if self.tls.writer().write_all(&scratch.plain).is_err() {
                return Poll::Ready(End::Damaged);
            }
        }
    }

    /// Reads once, and passes on what was said.
    fn hear(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Poll<Result<(), End>> {
        // What came together with the end of the handshake is opened already.
        if core::mem::take(&mut self.fresh) {
            return Poll::Ready(self.open(&[], &mut scratch.lines));
        }
        ready!(self.waited(cx));
        let count = match ready!(read(&mut self.stream, cx, &mut scratch.read)) {
            Ok(0) | Err(_) => return Poll::Ready(Err(End::Broken)),
            Ok(count) => count,
        };
        let bytes = scratch.read.get(..count).unwrap_or(&[]);
        Poll::Ready(self.open(bytes, &mut scratch.lines))
    }

    /// Opens records, and passes on what was said in them.
    fn open(&mut self, mut bytes: &[u8], lines: &mut Vec<u8>) -> Result<(), End> {
        lines.clear();
        let mut said = 0;
        loop {
            let taken = bytes.is_empty() || matches!(self.tls.read_tls(&mut bytes), Ok(1..));
            let state = self.tls.process_new_packets();
            // Also after an error: what was good before it was said.
            let heard = self.hear_plain(lines, &mut said);
            let end = match (heard, state) {
                (Err(end), _) => Some(end),
                (_, Ok(state)) if state.peer_has_closed() => {
                    // A begun line is said, too.
                    let line = core::mem::take(&mut self.line);
                    Some(self.line(&line, lines).err().unwrap_or(End::Goodbye))
                }
                (_, Ok(_)) if taken => None,
                _ => Some(End::Damaged),
            };
            if end.is_some() || bytes.is_empty() {
                self.say(lines);
                self.slow_down(said);
                return end.map_or(Ok(()), Err);
            }
        }
    }

    /// Pending as long as nothing shall be read.
    fn waited(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(wait) = &mut self.wait {
                ready!(wait.as_mut().poll(cx));
                self.wait = None;
            }
            let now = Instant::now();
            // Others cannot follow: wait, but not for ever.
            if self.patience.is_none_or(|until| now < until) && self.shared.room.crowded() {
                self.patience.get_or_insert(now + PATIENCE);
                self.wait = Some(Box::pin(sleep_until(now + Duration::from_millis(2))));
                continue;
            }
            self.patience = None;
            return Poll::Ready(());
        }
    }

    /// After so many lines: the rate may be too high.
    fn slow_down(&mut self, lines: u32) {
        const BURST: Duration = Duration::from_secs(1);
        if self.shared.max_rate == 0 {
            return;
        }
        let now = Instant::now();
        let from = self.rate_from.map_or(now, |from| from.max(now));
        let until = from + BURST * lines / self.shared.max_rate;
        self.rate_from = Some(until);
        if until > now + BURST {
            self.wait = Some(Box::pin(sleep_until(until - BURST)));
        }
    }

    /// Cuts what has been opened into lines.
    fn hear_plain(&mut self, lines: &mut Vec<u8>, said: &mut u32) -> Result<(), End> {
        loop {
            // The chunk is rustls's own; a line may change the connection's state, so it is taken out first.
            let chunk = match self.tls.reader().fill_buf() {
                Ok(chunk) if !chunk.is_empty() => chunk.to_vec(),
                _ => return Ok(()),
            };
            self.tls.reader().consume(chunk.len());
            let mut rest = chunk.as_slice();
            while let Some(at) = memchr::memchr(b'\n', rest) {
                let (line, after) = rest.split_at(at);
                rest = after.get(1..).unwrap_or(&[]);
                if self.line.len() + line.len() > self.shared.max_line {
                    return Err(End::LineTooLong);
                }
                *said += 1;
                if self.line.is_empty() {
                    self.line(line, lines)?;
                } else {
                    let mut whole = core::mem::take(&mut self.line);
                    whole.extend_from_slice(line);
                    self.line(&whole, lines)?;
                }
            }
            if self.line.len() + rest.len() > self.shared.max_line {
                return Err(End::LineTooLong);
            }
            self.line.extend_from_slice(rest);
        }
    }

    /// One line of the client, without its newline.
    fn line(&mut self, line: &[u8], lines: &mut Vec<u8>) -> Result<(), End> {
        // What some clients end their lines with (openssl s_client -crlf, Windows).
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if core::mem::take(&mut self.first) && is_http(line) && line.ends_with(b"HTTP/1.1") {
            return Err(End::Http);
        }
        match line {
            // An empty line says nothing.
            [] => Ok(()),
            [b'/', b'/', ..] => {
                self.relay(line.get(1..).unwrap_or(line), lines);
                Ok(())
            }
            [b'/', command @ ..] => {
                // What was said before comes before.
                self.say(lines);
                self.command(command)
            }
            _ => {
                self.relay(line, lines);
                Ok(())
            }
        }
    }

    /// Writes a line as the others read it: behind its author's name, harmless for a terminal, valid UTF-8.
    fn relay(&self, line: &[u8], lines: &mut Vec<u8>) {
        lines.extend_from_slice(self.name.as_bytes());
        lines.extend_from_slice(b": ");
        harmless(line, lines);
        lines.push(b'\n');
    }

    fn say(&self, lines: &mut Vec<u8>) {
        if !lines.is_empty() {
            self.shared.room.say(self.id, lines);
            lines.clear();
        }
    }

    fn command(&mut self, command: &[u8]) -> Result<(), End> {
        let Shared { room, notices, .. } = &*self.shared;
        room.heard(self.id);
        let command = String::from_utf8_lossy(command);
        let (word, rest) = command.split_once(' ').unwrap_or((&command, ""));
        match (word, rest.trim()) {
            ("quit", _) => return Err(End::Quit),
            ("who", _) => room.who(self.id),
            ("help", _) => room.tell(self.id, notices.of("say.chat.help", &[])),
            ("name", name) => match room.rename(self.id, name) {
                Ok(name) => self.name = name,
                Err(why) => {
                    let key = match why {
                        NoName::Bad => "say.chat.bad_name",
                        NoName::Taken => "say.chat.name_taken",
                    };
                    let name: String = name.chars().take(40).collect();
                    let name = super::printable(&name);
                    room.tell(self.id, notices.of(key, &[("name", &name)]));
                }
            },
            (word, _) => {
                let word: String = word.chars().take(40).collect();
                let word = super::printable(&word);
                let text = notices.of("say.chat.unknown", &[("word", &word)]);
                room.tell(self.id, text);
            }
        }
        Ok(())
    }
}

/// Appends a line as valid UTF-8 in which nothing can play tricks on a terminal.
pub(super) fn harmless(line: &[u8], to: &mut Vec<u8>) {
    if line.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        to.extend_from_slice(line);
        return;
    }
    for c in String::from_utf8_lossy(line).chars() {
        if is_tricky(c) {
            to.extend(c.escape_default().map(|c| c as u8));
        } else {
            to.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

/// Whether it begins as an HTTP request does.
fn is_http(bytes: &[u8]) -> bool {
    [&b"GET /"[..], b"HEAD /", b"POST /", b"OPTIONS "]
        .iter()
        .any(|method| bytes.starts_with(method))
}

/// An answer to a browser.
fn http(shared: &Shared, key: &str) -> String {
    let text = shared.notices.of(key, &[]);
    format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_relayed_is_harmless() {
        for (line, expected) in [
            (&b"hi ~"[..], "hi ~"),
            ("größe 日本 🎈".as_bytes(), "größe 日本 🎈"),
            (b"a\xffb\x1b[2J", "a\u{fffd}b\\u{1b}[2J"),
            ("\u{202e}x".as_bytes(), "\\u{202e}x"),
            (b"\t", "\\t"),
        ] {
            let mut out = Vec::new();
            harmless(line, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }
}
