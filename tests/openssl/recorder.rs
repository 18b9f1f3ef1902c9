//! What records: `openssl` programs as children, and a proxy between them that writes down what both sides send.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::common::Side::{Client, Server};
use crate::common::{Side, Talk};

/// A folder of this test's own.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

pub(crate) fn openssl(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new("openssl");
    command.current_dir(folder).args(arguments.split(' '));
    command
}

/// Runs an openssl command to its end and gives what it prints.
pub(crate) fn run(folder: &Path, arguments: &str) -> String {
    let output = openssl(folder, arguments)
        .output()
        .expect("these tests need the program `openssl` (Debian: apt-get install openssl)");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// A certificate of CN=b.example, made out by CN=Test CA, with a key of that kind.
pub(crate) fn certify(folder: &Path, key: &str) {
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
pub(crate) struct Program {
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<Vec<u8>>,
    printed: Vec<u8>,
}

impl Program {
    pub(crate) fn start(mut command: Command) -> Self {
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

    pub(crate) fn say(&mut self, text: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(text.as_bytes()).unwrap();
        input.flush().unwrap();
    }

    /// Waits until it has printed so many bytes that `enough` says so; then forgets what it has printed.
    pub(crate) fn wait(&mut self, what: &str, enough: impl Fn(&str) -> bool) -> String {
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

    pub(crate) fn wait_for(&mut self, text: &str) {
        self.wait(text, |printed| printed.contains(text));
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What a server says before TLS begins: what it waits for, and its answer.
pub(crate) type Preamble = &'static [(&'static str, &'static str)];

/// Passes one connection on to `to` and writes down what both sides send; the preamble comes from here.
fn record(to: u16, preamble: Preamble) -> (u16, thread::JoinHandle<Talk>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let recording = thread::spawn(move || {
        let mut client = listener.accept().unwrap().0;
        let mut talk = Talk::new();
        for (question, answer) in preamble {
            let mut asked = Vec::new();
            while !String::from_utf8_lossy(&asked).contains(question) {
                let mut room = [0; 1000];
                let len = client.read(&mut room).unwrap();
                assert!(len > 0, "waiting for {question:?}, so far {asked:?}");
                asked.extend(&room[..len]);
            }
            if !asked.is_empty() {
                talk.push((Client, asked));
            }
            client.write_all(answer.as_bytes()).unwrap();
            talk.push((Server, answer.as_bytes().to_vec()));
        }
        let server = TcpStream::connect(("127.0.0.1", to)).unwrap();
        let talk = Arc::new(Mutex::new(talk));
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

/// An `openssl s_server` and the clients that talk to it through the recorder.
pub(crate) struct Host {
    folder: PathBuf,
    pub(crate) server: Program,
    port: u16,
}

/// What was recorded: the talk, and the key log of the client.
pub(crate) type Recorded = (Talk, Vec<String>);

impl Host {
    pub(crate) fn start(folder: &Path, options: &str) -> Self {
        let mut server = Program::start(openssl(
            folder,
            &format!("s_server -accept 127.0.0.1:0 {options}"),
        ));
        let said = server.wait("ACCEPT and a port", |text| {
            text.split_once("ACCEPT 127.0.0.1:")
                .is_some_and(|(_, port)| port.contains('\n'))
        });
        let port = said.split("ACCEPT 127.0.0.1:").nth(1).unwrap();
        let port = port.split('\n').next().unwrap().trim().parse().unwrap();
        Self {
            folder: folder.to_path_buf(),
            server,
            port,
        }
    }

    /// Lets `s_client` connect; `script` says what the two say to each other.
    pub(crate) fn talk(
        &mut self,
        preamble: Preamble,
        options: &str,
        script: impl FnOnce(&mut Program, &mut Program),
    ) -> Recorded {
        let (port, recording) = record(self.port, preamble);
        let log = self.folder.join("keys.log");
        std::fs::remove_file(&log).ok();
        let mut client = Program::start(openssl(
            &self.folder,
            &format!(
                "s_client -connect 127.0.0.1:{port} -servername b.example -CAfile ca.pem -keylogfile keys.log {options}"
            ),
        ));
        script(&mut client, &mut self.server);
        // Q ends the client: it says close_notify, and then FIN.
        client.say("Q\n");
        let talk = recording.join().unwrap();
        client.child.wait().unwrap();
        let lines = std::fs::read_to_string(log).unwrap();
        (talk, lines.lines().map(str::to_owned).collect())
    }
}

/// Lets `s_client` talk to an `s_server` with the certificate of [`certify`].
pub(crate) fn recorded(
    folder: &Path,
    client_options: &str,
    script: impl FnOnce(&mut Program, &mut Program),
) -> Recorded {
    Host::start(folder, "-cert b.pem -key b.key").talk(&[], client_options, script)
}

/// A line each way.
pub(crate) fn hello(client: &mut Program, server: &mut Program) {
    client.say("hello there\n");
    server.wait_for("hello there\n");
    server.say("hello yourself\n");
    client.wait_for("hello yourself\n");
}
