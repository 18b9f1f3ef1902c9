//! What the tests of the chat share: certificates in a folder of their own, the server as a process, and people of all
//! kinds, whose output is waited for, line by line.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use layerwise::certs::load_chain;
use layerwise::chat::Setup;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

/// Longer than anything takes that works.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A folder that is removed with all that is in it.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("layerwise-test-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// One with `certs/` in it, made by the program.
    pub(crate) fn with_certs() -> Self {
        let folder = Self::new();
        let output = folder.layerwise(&["certs"]).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn layerwise(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_layerwise"));
        command
            .args(arguments)
            .current_dir(&self.0)
            .stdin(Stdio::null());
        for variable in ["NO_COLOR", "CLICOLOR_FORCE", "COLUMNS", "SSLKEYLOGFILE"] {
            command.env_remove(variable);
        }
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.layerwise(arguments).output().unwrap()
    }

    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(&self.0)
            .stdin(Stdio::null());
        let output = command.output();
        output.unwrap_or_else(|error| panic!("{program} is needed for this test: {error}"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

pub(crate) fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// A process that reads lines and writes lines.
pub(crate) struct Person {
    what: String,
    pub(crate) child: Child,
    stdin: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Person {
    pub(crate) fn start(mut command: Command) -> Self {
        let what = format!("{command:?}");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{what} is needed for this test: {error}"));
        let (sender, lines) = mpsc::channel();
        // Both streams are one here: what is said of errors is on the screen, too.
        let streams: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for stream in streams {
            let sender = sender.clone();
            thread::spawn(move || {
                let mut stream = BufReader::new(stream);
                let mut line = Vec::new();
                while matches!(stream.read_until(b'\n', &mut line), Ok(1..)) {
                    let text = String::from_utf8(line.clone());
                    let text = text.unwrap_or_else(|error| panic!("not UTF-8: {error}"));
                    if sender.send(text.trim_end().to_owned()).is_err() {
                        return;
                    }
                    line.clear();
                }
            });
        }
        let stdin = child.stdin.take();
        Self {
            what,
            child,
            stdin,
            lines,
            seen: Vec::new(),
        }
    }

    pub(crate) fn say(&mut self, line: &str) {
        self.write(format!("{line}\n").as_bytes());
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.try_write(bytes).unwrap();
    }

    /// The same where it may be gone already.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(bytes).and_then(|()| stdin.flush())
    }

    /// Ends its input.
    pub(crate) fn end(&mut self) {
        self.stdin = None;
    }

    /// Waits for a line that contains this.
    #[track_caller]
    pub(crate) fn expect(&mut self, needle: &str) -> String {
        let deadline = Instant::now() + LONG;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!(
                    "{} did not print {needle:?}, but:\n{}",
                    self.what,
                    self.seen.join("\n")
                );
            };
            self.seen.push(line.clone());
            if line.contains(needle) {
                return line;
            }
        }
    }

    /// All that it printed so far, as far as it was waited for.
    pub(crate) fn seen(&self) -> String {
        self.seen.join("\n")
    }

    /// Waits until it ends; the rest of what it printed is seen, too.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        while let Ok(line) = self.lines.recv_timeout(LONG) {
            self.seen.push(line);
        }
        self.child.wait().unwrap()
    }

    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(self.child.id().try_into().unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server, and its operator.
pub(crate) struct Server {
    pub(crate) operator: Person,
    pub(crate) folder: Folder,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::start_in(Folder::with_certs(), options)
    }

    pub(crate) fn start_in(folder: Folder, options: &[&str]) -> Self {
        let mut arguments = vec!["chat", "serve"];
        if !options.contains(&"--listen") {
            arguments.extend(["--listen", "localhost:0"]);
        }
        arguments.extend(options);
        let command = folder.layerwise(&arguments);
        Self::of(Person::start(command), folder)
    }

    pub(crate) fn of(mut operator: Person, folder: Folder) -> Self {
        let line = operator.expect("listening on");
        let port = line.rsplit(':').next().unwrap().parse().unwrap();
        operator.expect("/quit ends the chat");
        Self {
            operator,
            folder,
            port,
        }
    }

    /// Our own client, with a name; in the chat already.
    pub(crate) fn join(&self, name: &str) -> Person {
        let mut person = self.join_with(&["--name", name]);
        person.expect(&format!("* you are {name} now"));
        person
    }

    pub(crate) fn join_with(&self, options: &[&str]) -> Person {
        let place = format!("localhost:{}", self.port);
        let mut arguments = vec!["chat", "join", &place];
        arguments.extend(options);
        Person::start(self.folder.layerwise(&arguments))
    }

    /// `openssl s_client`, as the server's screen says it.
    pub(crate) fn openssl(&self) -> Person {
        let mut command = Command::new("openssl");
        let place = format!("localhost:{}", self.port);
        command.args(["s_client", "-quiet", "-connect", &place, "-CAfile"]);
        command.args(["certs/ca.crt"]).current_dir(&self.folder.0);
        Person::start(command)
    }

    /// `ncat`, as the server's screen says it.
    pub(crate) fn ncat(&self) -> Person {
        let mut command = Command::new("ncat");
        command.args([
            "--ssl-verify",
            "--ssl-trustfile",
            "certs/ca.crt",
            "localhost",
        ]);
        command
            .arg(self.port.to_string())
            .current_dir(&self.folder.0);
        Person::start(command)
    }

    pub(crate) fn python(&self) -> Person {
        const CLIENT: &str = r#"
import socket, ssl, sys, threading
context = ssl.create_default_context(cafile="certs/ca.crt")
plain = socket.create_connection(("localhost", int(sys.argv[1])))
tls = context.wrap_socket(plain, server_hostname="localhost")
def read():
    for line in tls.makefile("r", encoding="utf-8"):
        print(line, end="", flush=True)
reader = threading.Thread(target=read)
reader.start()
for line in sys.stdin:
    tls.sendall(line.encode())
tls.unwrap()
"#;
        let mut command = Command::new("python3");
        command.args(["-c", CLIENT, &self.port.to_string()]);
        command.current_dir(&self.folder.0);
        Person::start(command)
    }

    /// A client of which every byte is decided here. What it does blocks, for a minute at most.
    pub(crate) fn raw(&self) -> StreamOwned<ClientConnection, TcpStream> {
        let mut tls = StreamOwned::new(client(&self.folder.path("certs/ca.crt")), self.tcp());
        tls.flush().unwrap();
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut tls.sock).unwrap();
        }
        tls
    }

    pub(crate) fn tcp(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_write_timeout(Some(LONG)).unwrap();
        stream
    }

    /// The most memory it ever had, in bytes.
    pub(crate) fn most_memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.operator.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
            .unwrap();
        let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kilobytes * 1024
    }

    /// Two people can still talk.
    pub(crate) fn still_serves(&self) {
        let (mut ada, mut bob) = (self.join("Eve"), self.join("Fritz"));
        ada.say("still here?");
        bob.expect("Eve: still here?");
        bob.say("/quit");
        ada.expect("* Fritz left");
        ada.say("/quit");
        assert!(ada.ended().success() && bob.ended().success());
    }
}

pub(crate) fn client(ca: &Path) -> ClientConnection {
    let config = Setup::default().client(&load_chain(ca).unwrap()).unwrap();
    ClientConnection::new(
        Arc::clone(&config),
        ServerName::try_from("localhost").unwrap(),
    )
    .unwrap()
}

/// Reads lines until one contains this.
#[track_caller]
pub(crate) fn read_until(stream: &mut impl Read, needle: &str) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    while memchr::memmem::find(&text, needle.as_bytes()).is_none() {
        match stream.read(&mut buffer) {
            Ok(count @ 1..) => text.extend_from_slice(&buffer[..count]),
            other => panic!(
                "{other:?} instead of {needle:?} after:\n{}",
                String::from_utf8_lossy(&text)
            ),
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}
