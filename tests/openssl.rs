//! Sessions between `openssl s_server` and `s_client`, recorded by a proxy between them: bytes that others made.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use common::Side::{Client, Server};
use common::{Ends, Random, Side, Story, Talk, frames, listen, shuffled};

/// The chat's port: what is said inside TLS is decoded as lines.
const PORT: u16 = 8080;

/// Values of `tls.record.secret`.
const SECRETS: [u64; 2] = [3, 4];

/// A folder of this test's own.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn openssl(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new("openssl");
    command.current_dir(folder).args(arguments.split(' '));
    command
}

/// Runs an openssl command to its end and gives what it prints.
fn run(folder: &Path, arguments: &str) -> String {
    let output = openssl(folder, arguments)
        .output()
        .expect("these tests need the program `openssl` (Debian: apt-get install openssl)");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// A certificate of CN=b.example, made out by CN=Test CA, with a key of that kind.
fn certify(folder: &Path, key: &str) {
    let ca = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 30 \
              -subj /O=Layerwise/CN=TestCA";
    run(folder, ca);
    let own = format!(
        "req -x509 -newkey {key} -nodes -keyout b.key -out b.pem -days 7 -subj /C=DE/CN=b.example \
         -addext subjectAltName=DNS:b.example -CA ca.pem -CAkey ca.key"
    );
    run(folder, &own);
}

/// A child of this test, its input, and what it prints.
struct Program {
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<Vec<u8>>,
    printed: Vec<u8>,
}

impl Program {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("these tests need the program `openssl` (Debian: apt-get install openssl)");
        let (sender, output) = channel();
        let streams: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for stream in streams {
            let sender = sender.clone();
            thread::spawn(move || {
                let mut stream = BufReader::new(stream);
                while let Ok(bytes) = stream.fill_buf() {
                    let len = bytes.len();
                    if len == 0 || sender.send(bytes.to_vec()).is_err() {
                        break;
                    }
                    stream.consume(len);
                }
            });
        }
        let input = child.stdin.take();
        Self {
            child,
            input,
            output,
            printed: Vec::new(),
        }
    }

    fn say(&mut self, text: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(text.as_bytes()).unwrap();
        input.flush().unwrap();
    }

    /// Waits until it has printed so many bytes that `enough` says so; then forgets what it has printed.
    fn wait(&mut self, what: &str, enough: impl Fn(&str) -> bool) -> String {
        loop {
            let text = String::from_utf8_lossy(&self.printed).into_owned();
            if enough(&text) {
                self.printed.clear();
                return text;
            }
            match self.output.recv_timeout(Duration::from_secs(60)) {
                Ok(bytes) => self.printed.extend(bytes),
                Err(error) => panic!("waiting for {what}: {error}; so far: {text}"),
            }
        }
    }

    fn wait_for(&mut self, text: &str) {
        self.wait(text, |printed| printed.contains(text));
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Passes one connection on to `to` and writes down what both sides send.
fn record(to: u16) -> (u16, thread::JoinHandle<Talk>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let recording = thread::spawn(move || {
        let client = listener.accept().unwrap().0;
        let server = TcpStream::connect(("127.0.0.1", to)).unwrap();
        let talk = Arc::new(Mutex::new(Talk::new()));
        let pass = |side: Side, mut from: TcpStream, mut to: TcpStream| {
            let talk = Arc::clone(&talk);
            thread::spawn(move || {
                let mut room = vec![0; 1 << 16];
                while let Ok(len @ 1..) = from.read(&mut room) {
                    // Written down before it is passed on: an answer to it comes later.
                    let bytes = room[..len].to_vec();
                    talk.lock().unwrap().push((side, bytes));
                    if to.write_all(&room[..len]).is_err() {
                        break;
                    }
                }
                to.shutdown(Shutdown::Write).ok();
            })
        };
        let there = pass(
            Client,
            client.try_clone().unwrap(),
            server.try_clone().unwrap(),
        );
        let back = pass(Server, server, client);
        there.join().unwrap();
        back.join().unwrap();
        Arc::try_unwrap(talk).unwrap().into_inner().unwrap()
    });
    (port, recording)
}

/// Lets `s_client` talk to `s_server` through the recorder; `script` says what they say. Gives the talk and the key log.
fn recorded(
    folder: &Path,
    client_options: &str,
    script: impl FnOnce(&mut Program, &mut Program),
) -> (Talk, Vec<String>) {
    let mut server = Program::start(openssl(
        folder,
        "s_server -accept 127.0.0.1:0 -naccept 1 -cert b.pem -key b.key",
    ));
    let said = server.wait("ACCEPT and a port", |text| {
        text.split_once("ACCEPT 127.0.0.1:")
            .is_some_and(|(_, port)| port.contains('\n'))
    });
    let port = said.split("ACCEPT 127.0.0.1:").nth(1).unwrap();
    let (port, recording) = record(port.trim().parse().unwrap());
    let log = folder.join("keys.log");
    std::fs::remove_file(&log).ok();
    let mut client = Program::start(openssl(
        folder,
        &format!(
            "s_client -connect 127.0.0.1:{port} -servername b.example -CAfile ca.pem -keylogfile keys.log {client_options}"
        ),
    ));
    script(&mut client, &mut server);
    // Q ends the client: it says close_notify, and then FIN.
    client.say("Q\n");
    let talk = recording.join().unwrap();
    client.child.wait().unwrap();
    let lines = std::fs::read_to_string(log).unwrap();
    (talk, lines.lines().map(str::to_owned).collect())
}

/// Nothing stopped, nothing was left over.
fn sound(story: &Story) {
    assert!(story.stops.is_empty(), "{:?}", story.stops);
    assert_eq!(story.gaps, 0);
}

/// What one side said inside, line by line.
fn said(story: &Story, side: Side) -> Vec<&str> {
    let chat = story.of(side, "chat").into_iter();
    chat.map(|t| t.one("chat.text")).collect()
}

fn handshakes(story: &Story, side: Side) -> Vec<u8> {
    let records = story.of(side, "tls").into_iter();
    records.flat_map(common::Told::handshakes).collect()
}

/// The end of validity, `notAfter=Nov 30 00:25:00 2026 GMT`, as X.509 writes it.
fn utc_time(line: &str) -> String {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let words: Vec<&str> = line
        .trim()
        .split('=')
        .nth(1)
        .unwrap()
        .split_whitespace()
        .collect();
    let month = MONTHS.find(words[0]).unwrap() / 3 + 1;
    let day: u8 = words[1].parse().unwrap();
    let year = &words[3][2..];
    format!("{year}{month:02}{day:02}{}Z", words[2].replace(':', ""))
}

/// The certificate of `certify`, with a key of that algorithm (its OID's bytes).
fn certificate(told: &common::Told, folder: &Path, key_oid: &str) {
    assert_eq!(told.all("x509sat.printableString"), ["DE"]);
    assert_eq!(
        told.all("x509sat.uTF8String"),
        ["Layerwise", "TestCA", "b.example"],
        "the issuer's name, then the subject's"
    );
    assert_eq!(told.one("x509ce.dNSName"), "b.example");
    let dates = run(folder, "x509 -in b.pem -noout -startdate -enddate");
    let dates: Vec<String> = dates.lines().map(utc_time).collect();
    let told_dates = [told.one("x509af.notBefore"), told.one("x509af.notAfter")];
    assert_eq!(told_dates, [dates[0].as_str(), dates[1].as_str()]);
    assert!(told.all("x509af.algorithm.id").contains(&key_oid));
}

/// The object identifiers rsaEncryption (1.2.840.113549.1.1.1) and id-ecPublicKey (1.2.840.10045.2.1).
const RSA: &str = "2a864886f70d010101";
const EC: &str = "2a8648ce3d0201";

/// A line each way, a KeyUpdate, a line each way, 100 kB, and the end; heard through all kinds of segments.
fn tls13(suite: &str, number: u16, key: &str, key_oid: &str) {
    let folder = folder(suite);
    certify(&folder, key);
    let big = "x".repeat(100_000);
    let (talk, log) = recorded(
        &folder,
        &format!("-tls1_3 -ciphersuites {suite}"),
        |client, server| {
            client.say("hello there\n");
            server.wait_for("hello there\n");
            server.say("hello yourself\n");
            client.wait_for("hello yourself\n");
            // K: a KeyUpdate that asks the other side to do the same; both go out before the next line.
            client.say("K\n");
            client.wait_for("KEYUPDATE");
            client.say("and now\n");
            server.wait_for("and now\n");
            server.say("new keys\n");
            client.wait_for("new keys\n");
            client.say(&format!("{big}\n"));
            server.wait("100 kB", |text| text.matches('x').count() == big.len());
            server.say("so much\n");
            client.wait_for("so much\n");
        },
    );
    let secrets = || log.iter().map(String::as_str);
    let client_port = 49152;
    let story = listen(secrets(), &frames(&talk, 1460, PORT), client_port);
    sound(&story);

    assert_eq!(handshakes(&story, Client), [1, 20, 24]);
    assert_eq!(handshakes(&story, Server), [2, 8, 11, 15, 20, 4, 4, 24]);
    let hello = story.of(Client, "tls")[0];
    assert_eq!(
        hello.one("tls.handshake.extensions_server_name"),
        "b.example"
    );
    let answer = story.of(Server, "tls")[0];
    assert_eq!(answer.one("tls.handshake.ciphersuite"), number.to_string());
    let flight = story.of(Server, "tls");
    let holder = flight
        .iter()
        .find(|t| t.handshakes().contains(&11))
        .unwrap();
    certificate(holder, &folder, key_oid);

    assert_eq!(
        said(&story, Client),
        ["hello there", "and now", big.as_str()]
    );
    assert_eq!(
        said(&story, Server),
        ["hello yourself", "new keys", "so much"]
    );

    // Every sealed record was opened; record numbers count up from 0 under each key, and start again after a KeyUpdate.
    for side in [Client, Server] {
        let mut under = Vec::new();
        for told in story.of(side, "tls") {
            if told.all("tls.record.opaque_type").is_empty() {
                continue;
            }
            assert_eq!(told.note("tls.record.opened"), Some(1));
            let key = |key| told.note(key).unwrap();
            let which = (
                key("tls.record.secret"),
                key("tls.record.secret_generation"),
            );
            if under.last().is_none_or(|(last, _)| *last != which) {
                under.push((which, 0));
            }
            let (_, next) = under.last_mut().unwrap();
            assert_eq!(key("tls.record.sequence"), *next);
            *next += 1;
        }
        let keys: Vec<_> = under.iter().map(|(which, _)| *which).collect();
        let traffic = SECRETS[side as usize];
        assert_eq!(keys, [(traffic - 2, 0), (traffic, 0), (traffic, 1)]);
        let alert = *story.of(side, "tls").last().unwrap();
        if side == Client {
            assert_eq!(alert.one("tls.alert_message.desc"), "0");
        }
    }

    // The same bytes in other segments tell the same, also when segments overtake each other and come twice.
    for cut in [1, 2, 7, 100, 536, 1460, 65_000] {
        let frames = frames(&talk, cut, PORT);
        let again = listen(secrets(), &frames, client_port);
        assert_eq!(again.sides(), story.sides(), "segments of {cut} bytes");
        sound(&again);
        let mixed = listen(secrets(), &mixed(&talk, cut), client_port);
        assert_eq!(
            mixed.sides(),
            story.sides(),
            "segments of {cut} bytes, shuffled"
        );
        sound(&mixed);
    }
}

/// The talk's frames, those of each run of one side overlapping, shuffled, and some of them twice.
fn mixed(talk: &Talk, cut: usize) -> Vec<Vec<u8>> {
    let mut ends = Ends::new(49152, PORT);
    let mut all = ends.open();
    for (seed, turn) in (1..).zip(talk) {
        let frames = ends.overlapping(turn, cut, &mut Random(seed));
        all.extend(shuffled(&frames, 0, 16, seed));
    }
    all.extend(ends.close());
    all
}

#[test]
fn tls13_aes_128_gcm() {
    tls13("TLS_AES_128_GCM_SHA256", 0x1301, "rsa:2048", RSA);
}

#[test]
fn tls13_aes_256_gcm() {
    let key = "ec -pkeyopt ec_paramgen_curve:P-384";
    tls13("TLS_AES_256_GCM_SHA384", 0x1302, key, EC);
}

#[test]
fn tls13_chacha20_poly1305() {
    let key = "ec -pkeyopt ec_paramgen_curve:P-256";
    tls13("TLS_CHACHA20_POLY1305_SHA256", 0x1303, key, EC);
}

/// A line each way. The handshake is in the clear up to ChangeCipherSpec; what is sealed is shown as sealed.
fn tls12(suite: &str, number: u16, key: &str, key_oid: &str) {
    let folder = folder(suite);
    certify(&folder, key);
    let (talk, log) = recorded(
        &folder,
        &format!("-tls1_2 -cipher {suite}"),
        |client, server| {
            client.say("hello there\n");
            server.wait_for("hello there\n");
            server.say("hello yourself\n");
            client.wait_for("hello yourself\n");
        },
    );
    let secrets = || log.iter().map(String::as_str);
    let story = listen(secrets(), &frames(&talk, 1460, PORT), 49152);
    sound(&story);

    assert_eq!(handshakes(&story, Client), [1, 16]);
    assert_eq!(handshakes(&story, Server), [2, 11, 12, 14, 4]);
    let server = story.of(Server, "tls");
    assert_eq!(
        server[0].one("tls.handshake.ciphersuite"),
        number.to_string()
    );
    let holder = server
        .iter()
        .find(|t| t.handshakes().contains(&11))
        .unwrap();
    certificate(holder, &folder, key_oid);
    for side in [Client, Server] {
        let records = story.of(side, "tls");
        let change = records
            .iter()
            .position(|t| t.fields[0] == ("tls.record.content_type", "20".to_owned()))
            .unwrap();
        for (index, told) in records.iter().enumerate() {
            let sealed = (index > change).then_some(0);
            assert_eq!(told.note("tls.record.opened"), sealed, "{told:?}");
            assert_eq!(told.plain, None);
        }
        assert!(records.len() > change + 2, "Finished and a line, at least");
        assert_eq!(said(&story, side), [""; 0]);
    }
    for cut in [1, 7, 65_000] {
        let again = listen(secrets(), &mixed(&talk, cut), 49152);
        assert_eq!(again.sides(), story.sides(), "segments of {cut} bytes");
        sound(&again);
    }
}

#[test]
fn tls12_rsa() {
    tls12("ECDHE-RSA-AES128-GCM-SHA256", 0xc02f, "rsa:2048", RSA);
}

#[test]
fn tls12_ecdsa() {
    let key = "ec -pkeyopt ec_paramgen_curve:P-256";
    tls12("ECDHE-ECDSA-AES128-GCM-SHA256", 0xc02b, key, EC);
}
