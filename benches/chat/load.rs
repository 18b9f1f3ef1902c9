//! A crowd for a chat server over TLS: connects many clients from one thread, lets some of them talk, and measures.
//!
//! It knows nothing of the server but that a line one client says comes to all others, so that different servers can be
//! measured in the same way. `bench.py` beside it runs it. The last line of its output is one line of `key=value`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a measuring tool stops where something is wrong"
)]

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use layerwise::certs::load_chain;
use layerwise::chat::Setup;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};
use tokio::task::LocalSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// A line as it is sent: 99 characters and a newline.
const LINE: usize = 100;
/// What a line of ours begins with; no server says it of its own.
const MARK: u8 = b'~';

struct Options {
    connect: SocketAddr,
    ca: String,
    clients: usize,
    /// How many connections are made at once.
    at_once: usize,
    senders: usize,
    /// Lines that all senders together say as fast as they come through; 0: none.
    lines: usize,
    /// How many of them a sender has under way at once.
    window: usize,
    /// Lines a second, in a second part that measures latency.
    rate: f64,
    seconds: f64,
    pid: u32,
}

fn options() -> Options {
    let mut given = HashMap::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().expect("every option has a value");
        given.insert(name, value);
    }
    let text =
        |name: &str, default: &str| given.get(name).map_or(default, String::as_str).to_owned();
    let number =
        |name: &str, default: &str| -> f64 { text(name, default).parse().expect("a number") };
    Options {
        connect: text("--connect", "127.0.0.1:8080")
            .parse()
            .expect("an address"),
        ca: text("--ca", "certs/ca.crt"),
        clients: number("--clients", "10") as usize,
        at_once: number("--at-once", "8") as usize,
        senders: number("--senders", "10") as usize,
        lines: number("--lines", "1000") as usize,
        window: number("--window", "20") as usize,
        rate: number("--rate", "0"),
        seconds: number("--seconds", "3"),
        pid: number("--pid", "0") as u32,
    }
}

struct Client {
    stream: TcpStream,
    tls: RefCell<ClientConnection>,
    /// Bytes sealed but not yet taken by the kernel.
    out: RefCell<Vec<u8>>,
}

/// What all clients count together.
struct Crowd {
    start: Instant,
    delivered: Cell<u64>,
    broken: Cell<u64>,
    /// Deliveries of each sender's lines.
    of_sender: RefCell<Vec<u64>>,
    /// Nanoseconds from saying to reading.
    latencies: RefCell<Vec<u64>>,
    measuring: Cell<bool>,
    news: Notify,
}

fn main() {
    let options = options();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, run(options));
}

async fn run(options: Options) {
    let roots = load_chain(options.ca.as_ref()).unwrap();
    let config = Setup::default().client(&roots).unwrap();
    // What the first client ever costs (code that is loaded, tables that are made) is no cost of a client.
    drop(connect(Arc::clone(&config), options.connect).await.unwrap());
    sleep(Duration::from_millis(500)).await;
    let before = memory(options.pid);
    let crowd = Rc::new(Crowd {
        start: Instant::now(),
        delivered: Cell::new(0),
        broken: Cell::new(0),
        of_sender: RefCell::new(vec![0; options.clients]),
        latencies: RefCell::new(Vec::new()),
        measuring: Cell::new(false),
        news: Notify::new(),
    });

    // Everybody comes in.
    let (begin, cpu_before) = (Instant::now(), cpu(options.pid));
    let gate = Rc::new(Semaphore::new(options.at_once));
    let mut coming = Vec::new();
    for _ in 0..options.clients {
        let (config, gate, address) = (Arc::clone(&config), Rc::clone(&gate), options.connect);
        coming.push(tokio::task::spawn_local(async move {
            let _permit = gate.acquire().await.unwrap();
            connect(config, address).await
        }));
    }
    let mut clients = Vec::new();
    for client in coming {
        clients.push(Rc::new(client.await.unwrap().unwrap()));
    }
    let handshakes = options.clients as f64 / begin.elapsed().as_secs_f64();
    let handshake_cpu = (cpu(options.pid) - cpu_before) * 1e6 / options.clients as f64;
    for client in &clients {
        tokio::task::spawn_local(read(Rc::clone(client), Rc::clone(&crowd)));
    }
    // The greetings have gone by when nothing has come for a while.
    sleep(Duration::from_millis(700)).await;
    let per_client = memory(options.pid).saturating_sub(before) as f64 / options.clients as f64;

    // As fast as it goes.
    let others = options.clients as u64 - 1;
    let senders = options.senders.min(options.clients);
    let begin = Instant::now();
    let mut talking = Vec::new();
    for (index, client) in clients.iter().take(senders).enumerate() {
        let (client, crowd) = (Rc::clone(client), Rc::clone(&crowd));
        let lines = options.lines / senders;
        let window = options.window;
        talking.push(tokio::task::spawn_local(async move {
            let mut said = 0;
            while said < lines {
                let arrived = crowd.of_sender.borrow()[index] / others;
                let more = (window - (said - arrived as usize)).min(lines - said);
                if more == 0 || more < window / 2 && said + more < lines {
                    crowd.news.notified().await;
                    continue;
                }
                client.say(index, said, more, crowd.start);
                said += more;
                client.flush().await;
            }
        }));
    }
    for task in talking {
        let _ = timeout(Duration::from_secs(60), task).await;
    }
    let expected = (options.lines / senders * senders) as u64 * others;
    let rest = async {
        while crowd.delivered.get() < expected && crowd.broken.get() == 0 {
            crowd.news.notified().await;
        }
    };
    let _ = timeout(Duration::from_secs(10), rest).await;
    let throughput = crowd.delivered.get() as f64 / begin.elapsed().as_secs_f64();
    let lost = expected.saturating_sub(crowd.delivered.get());
    let loaded = memory(options.pid).saturating_sub(before) as f64 / options.clients as f64;

    // At a pace.
    let (mut p50, mut p99, mut lost_paced) = (0, 0, 0);
    if options.rate > 0.0 {
        crowd.delivered.set(0);
        crowd.measuring.set(true);
        let count = (options.rate * options.seconds) as usize;
        let mut ticks = interval(Duration::from_secs_f64(1.0 / options.rate));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for number in 0..count {
            ticks.tick().await;
            let sender = number % clients.len();
            clients[sender].say(sender, number, 1, crowd.start);
            clients[sender].flush().await;
        }
        let expected = count as u64 * others;
        let rest = async {
            while crowd.delivered.get() < expected {
                crowd.news.notified().await;
            }
        };
        let _ = timeout(Duration::from_secs(5), rest).await;
        lost_paced = expected.saturating_sub(crowd.delivered.get());
        let mut latencies = crowd.latencies.borrow_mut();
        latencies.sort_unstable();
        let at = |part: f64| latencies[((latencies.len() - 1) as f64 * part) as usize];
        (p50, p99) = (at(0.5), at(0.99));
    }
    println!(
        "clients={} handshakes_per_s={handshakes:.0} handshake_cpu_us={handshake_cpu:.0} memory_per_client={per_client:.0} memory_after_load={loaded:.0} \
         deliveries_per_s={throughput:.0} p50_us={} p99_us={} lost={} broken={}",
        options.clients,
        p50 / 1000,
        p99 / 1000,
        lost + lost_paced,
        crowd.broken.get()
    );
    io::stdout().flush().unwrap();
    // The sockets close with the process.
    std::process::exit(0);
}

async fn connect(config: Arc<ClientConfig>, address: SocketAddr) -> io::Result<Client> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from("localhost").unwrap();
    let client = Client {
        stream,
        tls: RefCell::new(ClientConnection::new(config, name).map_err(io::Error::other)?),
        out: RefCell::new(Vec::new()),
    };
    let mut buffer = [0; 8192];
    loop {
        client.seal();
        client.flush().await;
        if !client.tls.borrow().is_handshaking() {
            return Ok(client);
        }
        client.stream.readable().await?;
        match client.stream.try_read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                let mut tls = client.tls.borrow_mut();
                let mut bytes = &buffer[..count];
                while !bytes.is_empty() {
                    tls.read_tls(&mut bytes)?;
                    tls.process_new_packets().map_err(io::Error::other)?;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

impl Client {
    /// Says lines, each a record of its own, as if typed one by one.
    fn say(&self, sender: usize, first: usize, count: usize, start: Instant) {
        let mut tls = self.tls.borrow_mut();
        for number in first..first + count {
            let now = start.elapsed().as_nanos();
            let mut line = format!("{}{sender:05} {number:08} {now:020} ", MARK as char);
            while line.len() < LINE - 1 {
                line.push('x');
            }
            line.push('\n');
            tls.writer().write_all(line.as_bytes()).unwrap();
        }
        drop(tls);
        self.seal();
    }

    fn seal(&self) {
        let (mut tls, mut out) = (self.tls.borrow_mut(), self.out.borrow_mut());
        while tls.wants_write() {
            tls.write_tls(&mut *out).unwrap();
        }
    }

    async fn flush(&self) {
        while !self.out.borrow().is_empty() {
            let written = self.stream.try_write(&self.out.borrow());
            match written {
                Ok(count) => drop(self.out.borrow_mut().drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.stream.writable().await.unwrap();
                }
                Err(_) => return,
            }
        }
    }
}

async fn read(client: Rc<Client>, crowd: Rc<Crowd>) {
    let mut begun: Vec<u8> = Vec::new();
    thread_local! { static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 128 << 10]); }
    loop {
        client.stream.readable().await.unwrap();
        let going = BUFFER.with_borrow_mut(|buffer| {
            let (encrypted, plain) = buffer.split_at_mut(64 << 10);
            match client.stream.try_read(encrypted) {
                Ok(0) => false,
                Ok(count) => {
                    let mut tls = client.tls.borrow_mut();
                    let mut bytes = &encrypted[..count];
                    while !bytes.is_empty() {
                        tls.read_tls(&mut bytes).unwrap();
                        if tls.process_new_packets().is_err() {
                            return false;
                        }
                        while let Ok(count @ 1..) = tls.reader().read(plain) {
                            crowd.heard(&plain[..count], &mut begun);
                        }
                    }
                    true
                }
                Err(error) => error.kind() == io::ErrorKind::WouldBlock,
            }
        });
        crowd.news.notify_waiters();
        if !going {
            crowd.broken.set(crowd.broken.get() + 1);
            crowd.news.notify_waiters();
            return;
        }
    }
}

impl Crowd {
    fn heard(&self, plain: &[u8], begun: &mut Vec<u8>) {
        let mut rest = plain;
        while let Some(at) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(at);
            rest = &after[1..];
            if begun.is_empty() {
                self.line(line);
            } else {
                begun.extend_from_slice(line);
                self.line(begun);
                begun.clear();
            }
        }
        begun.extend_from_slice(rest);
    }

    fn line(&self, line: &[u8]) {
        let Some(at) = memchr::memchr(MARK, line) else {
            return;
        };
        let number = |from: usize, to: usize| -> u64 {
            let digits = &line[at + from..at + to];
            digits
                .iter()
                .fold(0, |n, digit| n * 10 + u64::from(digit - b'0'))
        };
        assert_eq!(line.len() - at, LINE - 1, "a line came torn");
        self.delivered.set(self.delivered.get() + 1);
        self.of_sender.borrow_mut()[number(1, 6) as usize] += 1;
        if self.measuring.get() {
            let now = self.start.elapsed().as_nanos() as u64;
            self.latencies.borrow_mut().push(now - number(16, 36));
        }
    }
}

/// The memory of a process in bytes, without the code that is mapped from its file; or 0.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .unwrap_or(0)
        * 1024
}

/// The processor time of a process in seconds, of both kinds (fields 14 and 15 of proc_pid_stat, in hundredths).
fn cpu(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = stat.rsplit(')').next().unwrap_or_default();
    let ticks = rest.split_whitespace().skip(11).take(2);
    ticks
        .filter_map(|field| field.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}
