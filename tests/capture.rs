//! Live capture on real interfaces, each test in a network namespace of its own, which ends with the test.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod run;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// No test waits longer for anything.
const DEADLINE: Duration = Duration::from_secs(30);

/// One after the other: two cores, and each test wants to see its packets soon.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs a test on a thread in a network namespace of its own: what the thread starts is in it, too, and when all that has
/// ended, the namespace is gone with everything in it.
fn in_namespace(test: impl FnOnce() + Send + 'static) {
    let alone = ALONE.lock();
    let result = thread::spawn(|| {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            eprintln!("SKIPPED: capture: no network namespace can be made: {error} (run the tests as root)");
            return;
        }
        ip("link set lo up");
        test();
    })
    .join();
    drop(alone);
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status();
    assert!(status.unwrap().success(), "ip {arguments}");
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_layerwise"));
    for variable in ["SUDO_UID", "SUDO_GID", "SSLKEYLOGFILE"] {
        command.env_remove(variable);
    }
    command.env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// A folder of this test's own, that everybody may enter; it is gone after the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("layerwise-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    /// The program, where an ordinary user can reach it.
    fn program(&self) -> PathBuf {
        let copy = self.0.join("layerwise");
        run::copy_program(&copy);
        copy
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A running capture.
struct Capture {
    child: Child,
    output: Option<BufReader<ChildStdout>>,
    errors: BufReader<ChildStderr>,
    /// What it said on standard error until it was ready.
    begin: String,
    /// Ends the watchdog.
    _alive: Sender<()>,
}

/// How a capture ended.
struct Ended {
    status: ExitStatus,
    /// What was left of the lines.
    lines: Vec<String>,
    /// Everything on standard error.
    notes: String,
}

impl Capture {
    /// Starts it with these arguments and waits until it says that it watches.
    fn start(arguments: &str) -> Self {
        let mut command = program();
        command.arg("capture").args(arguments.split_whitespace());
        Self::run(command)
    }

    fn run(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        // If what is expected never comes, the pipes are closed by the end of the program, and the test fails there.
        let (alive, watchdog) = channel::<()>();
        let pid = Pid::from_raw(child.id() as i32);
        thread::spawn(move || {
            if watchdog.recv_timeout(DEADLINE) == Err(RecvTimeoutError::Timeout) {
                let _ = kill(pid, Signal::SIGKILL);
            }
        });
        let mut begin = String::new();
        while !begin.contains("watching ") {
            let read = errors.read_line(&mut begin).unwrap();
            assert!(read > 0, "it ended before it watched: {begin}");
        }
        Self {
            child,
            output: Some(output),
            errors,
            begin,
            _alive: alive,
        }
    }

    /// The next line.
    fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.output.as_mut().unwrap().read_line(&mut line).unwrap();
        assert!(read > 0, "no more lines; it said: {}", self.begin);
        line
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// What Ctrl-C does.
    fn interrupt(self) -> Ended {
        self.signal(Signal::SIGINT);
        self.end()
    }

    /// Waits until it ends by itself.
    fn end(mut self) -> Ended {
        let mut text = String::new();
        self.output
            .take()
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        let mut notes = self.begin.clone();
        self.errors.read_to_string(&mut notes).unwrap();
        Ended {
            status: self.child.wait().unwrap(),
            lines: text.lines().map(str::to_owned).collect(),
            notes,
        }
    }

    /// A line of /proc/PID/status, without its name.
    fn status(&self, name: &str) -> String {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim_start_matches(':').trim().to_owned()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Client and server on lo say hello to each other; gives the client's port.
fn exchange(port: u16) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let client_port = client.local_addr().unwrap().port();
    let (mut server, _) = listener.accept().unwrap();
    let mut heard = [0; 5];
    client.write_all(b"hello").unwrap();
    server.read_exact(&mut heard).unwrap();
    server.write_all(b"world").unwrap();
    client.read_exact(&mut heard).unwrap();
    client_port
}

/// Sends so many datagrams over lo, and gives how many got over it; when it returns, they have.
fn datagrams(port: u16, count: usize) -> usize {
    let sink = UdpSocket::bind(("127.0.0.1", port)).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let before = passed();
    for _ in 0..count {
        socket
            .send_to(&[7; 20], sink.local_addr().unwrap())
            .unwrap();
    }
    // What comes to the sink has passed the capture before; the sink itself has room for some only.
    for _ in 0..count.min(100) {
        sink.recv(&mut [0; 20]).unwrap();
    }
    let end = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"end", end.local_addr().unwrap()).unwrap();
    end.recv(&mut [0; 20]).unwrap();
    passed() - before - 1
}

/// How many packets have passed lo. Under load the kernel drops some on the way, and says nothing to who sends them.
fn passed() -> usize {
    let text = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("lo:"));
    line.unwrap()
        .split_ascii_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn a_connection_on_lo_is_seen_once() {
    in_namespace(|| {
        let capture = Capture::start("-i lo");
        let port = exchange(8081);
        let ended = capture.interrupt();
        assert!(ended.status.success(), "{}", ended.notes);
        let with = |what: &str| {
            ended
                .lines
                .iter()
                .filter(|line| line.contains(what))
                .count()
        };
        let (there, back) = (
            format!("127.0.0.1:{port} → 127.0.0.1:8081  "),
            format!("127.0.0.1:8081 → 127.0.0.1:{port}  "),
        );
        assert_eq!(with(&format!("{there}SYN ")), 1, "{:#?}", ended.lines);
        assert_eq!(with(&format!("{back}SYN ACK ")), 1, "{:#?}", ended.lines);
        assert_eq!(with(&format!("{there}5 B")), 1, "{:#?}", ended.lines);
        assert_eq!(with(&format!("{back}5 B")), 1, "{:#?}", ended.lines);
        assert_eq!(
            with("damaged"),
            0,
            "a partial checksum is no error: {:#?}",
            ended.lines
        );
        assert_eq!(with("again"), 0, "{:#?}", ended.lines);
        let packets = format!("\n{} packets, ", ended.lines.len());
        assert!(ended.notes.contains(&packets), "{}", ended.notes);
        assert!(ended.notes.contains("\nnone lost\n"), "{}", ended.notes);
    });
}

#[test]
fn the_kernel_filters() {
    in_namespace(|| {
        let capture = Capture::start("-i lo udp dst port 7001 and host 127.0.0.1");
        datagrams(7002, 100);
        datagrams(7001, 5);
        let ended = capture.interrupt();
        // "arrived" is the kernel's own count of what it handed over, whatever is shown.
        assert!(ended.notes.contains("\n5 packets, "), "{}", ended.notes);
        assert!(!ended.notes.contains("had arrived"), "{}", ended.notes);
        assert_eq!(ended.lines.len(), 5, "{:#?}", ended.lines);

        // The kernel takes a program with far jumps, too.
        let ports: Vec<String> = (0..100)
            .map(|i| format!("udp dst port {}", 9000 + i))
            .collect();
        let capture = Capture::start(&format!(
            "-i lo {} or udp dst port 7001",
            ports.join(" or ")
        ));
        datagrams(7002, 100);
        datagrams(7001, 5);
        let ended = capture.interrupt();
        assert!(ended.notes.contains("\n5 packets, "), "{}", ended.notes);
        assert!(!ended.notes.contains("had arrived"), "{}", ended.notes);
    });
}

#[test]
fn it_ends_after_so_many_packets_or_when_told_to() {
    in_namespace(|| {
        let capture = Capture::start("-i lo -c 3 udp dst port 7001");
        datagrams(7001, 10);
        let ended = capture.end();
        assert!(ended.status.success());
        assert_eq!(ended.lines.len(), 3);
        assert!(ended.notes.contains("\n3 packets, "), "{}", ended.notes);

        let capture = Capture::start("-i lo udp dst port 7001");
        datagrams(7001, 2);
        capture.signal(Signal::SIGTERM);
        let ended = capture.end();
        assert!(ended.status.success());
        assert!(ended.notes.contains("\n2 packets, "), "{}", ended.notes);

        // Nobody reads the lines any more: that is no failure, and it ends without another packet.
        let mut capture = Capture::start("-i lo udp dst port 7001");
        datagrams(7001, 1);
        capture.line();
        capture.output = None;
        assert!(capture.child.wait().unwrap().success());
    });
}

#[test]
fn every_loss_is_counted() {
    in_namespace(|| {
        let capture = Capture::start("-i lo -B 1 udp dst port 7001");
        // While it stands still, the kernel's buffer of 1 MiB is full soon.
        capture.signal(Signal::SIGSTOP);
        let sent = datagrams(7001, 60_000);
        capture.signal(Signal::SIGCONT);
        let ended = capture.interrupt();
        let number = |before: &str, after: &str| -> usize {
            let start = ended.notes.rfind(before).unwrap() + before.len();
            let rest = &ended.notes[start..];
            rest[..rest.find(after).unwrap()].parse().unwrap()
        };
        let (kernel, queue) = (
            number("lost: ", " in the kernel"),
            number("full, ", " in layerwise"),
        );
        assert!(kernel > sent / 2, "{}", ended.notes);
        assert_eq!(ended.lines.len() + kernel + queue, sent, "{}", ended.notes);
    });
}

#[test]
fn a_growing_key_log_opens_tls() {
    in_namespace(|| {
        let folder = Folder::new("tls");
        let path = |name: &str| folder.0.join(name);
        let keys = path("keys.log");
        let status = Command::new("openssl")
            .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost".split(' '))
            .args([Path::new("-keyout"), &path("key.pem"), Path::new("-out"), &path("cert.pem")])
            .stderr(Stdio::null())
            .status();
        assert!(status.unwrap().success());
        let server = |port: &str| {
            let mut server = Command::new("openssl")
                .args(["s_server", "-www", "-accept", port, "-key"])
                .arg(path("key.pem"))
                .arg("-cert")
                .arg(path("cert.pem"))
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut line = String::new();
            let mut output = BufReader::new(server.stdout.take().unwrap());
            while !line.contains("ACCEPT") {
                assert!(output.read_line(&mut line).unwrap() > 0, "openssl: {line}");
            }
            (server, output)
        };
        let (mut server, _output) = server("127.0.0.1:8443");
        // The file is not there yet, and who writes it does not wait for who reads it.
        let mut command = program();
        command.args(["capture", "-i", "lo", "tcp", "port", "8443"]);
        let file = path("tls.pcapng");
        command.arg("--with-secrets").arg("-w").arg(&file);
        command.env("SSLKEYLOGFILE", &keys);
        let capture = Capture::run(command);
        assert!(
            capture.begin.contains("is not there yet"),
            "{}",
            capture.begin
        );
        let connections = 12;
        for number in 0..connections {
            let version = if number % 3 == 2 { "1.2" } else { "1.3" };
            let status = Command::new("curl")
                .args([
                    "--silent",
                    "--show-error",
                    "--insecure",
                    "--output",
                    "/dev/null",
                ])
                .args([
                    format!("--tlsv{version}"),
                    "--tls-max".into(),
                    version.into(),
                ])
                .arg("https://127.0.0.1:8443/")
                .env("SSLKEYLOGFILE", &keys)
                .status();
            assert!(status.unwrap().success(), "connection {number}");
        }
        let ended = capture.interrupt();
        server.kill().unwrap();
        server.wait().unwrap();
        let lines = ended.lines.join("\n");
        let count = |what: &str| lines.matches(what).count();
        assert_eq!(count("ClientHello"), connections, "{lines}");
        for failure in ["sealed", "do not open"] {
            assert_eq!(count(failure), 0, "each record was opened: {lines}");
        }
        // The server's first flight needs secrets that the client derives, and writes down, only when it has that flight.
        assert_eq!(count("ServerHello Certificate"), connections, "{lines}");
        assert!(count("Finished") >= connections, "{lines}");
        // Four secrets for each connection of TLS 1.3, one for each of TLS 1.2; curl writes others, too, that open nothing.
        let secrets = format!("\n{} secrets read, ", connections / 3 * 9);
        assert!(ended.notes.contains(&secrets), "{}", ended.notes);
        // The secrets went into the file, each before what it opens: nothing else is needed to read it.
        let tshark = Command::new("tshark")
            .args(["-n", "-Y", "http", "-r"])
            .arg(&file)
            .output()
            .unwrap();
        let http = String::from_utf8(tshark.stdout).unwrap();
        assert_eq!(
            http.matches("GET / HTTP/1.1").count(),
            connections,
            "{http}"
        );
    });
}

#[test]
fn roots_rights_are_given_up() {
    in_namespace(|| {
        let folder = Folder::new("rights");
        let keys = folder.0.join("keys.log");
        let mut file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&keys)
            .unwrap();
        writeln!(
            file,
            "CLIENT_RANDOM {} {}",
            "ab".repeat(32),
            "cd".repeat(48)
        )
        .unwrap();
        let check = |capture: &Capture, uid: &str, gid: &str| {
            let four = |id: &str| [id; 4].join("\t");
            assert_eq!(capture.status("Uid"), four(uid));
            assert_eq!(capture.status("Gid"), four(gid));
            assert_eq!(capture.status("Groups"), "");
            assert_eq!(capture.status("NoNewPrivs"), "1");
            for set in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
                assert_eq!(capture.status(set), "0000000000000000", "{set}");
            }
        };
        let mut command = program();
        command
            .args(["capture", "-i", "lo", "-c", "1", "--keylog"])
            .arg(&keys);
        let capture = Capture::run(command);
        check(&capture, "65534", "65534");
        // The key log was readable for root alone, and is read all the same; also what comes later.
        assert!(capture.begin.contains("(1 so far)"), "{}", capture.begin);
        writeln!(
            file,
            "CLIENT_RANDOM {} {}",
            "ef".repeat(32),
            "cd".repeat(48)
        )
        .unwrap();
        datagrams(7001, 1);
        let ended = capture.end();
        assert!(
            ended.notes.contains("\n2 secrets read, "),
            "{}",
            ended.notes
        );

        let mut command = program();
        command
            .args(["capture", "-i", "lo"])
            .env("SUDO_UID", "1234")
            .env("SUDO_GID", "1235");
        let capture = Capture::run(command);
        check(&capture, "1234", "1235");
        assert!(
            capture.begin.contains("going on as user 1234"),
            "{}",
            capture.begin
        );

        // The program has the right, not the user.
        let copy = folder.program();
        let status = Command::new("setcap")
            .arg("cap_net_raw,cap_net_admin=eip")
            .arg(&copy)
            .status();
        assert!(status.unwrap().success(), "setcap");
        let mut command = Command::new(&copy);
        command.args(["capture", "-i", "lo"]).uid(65534).gid(65534);
        let capture = Capture::run(command);
        check(&capture, "65534", "65534");
        assert!(!capture.begin.contains("root rights"), "{}", capture.begin);
    });
}

#[test]
fn what_cannot_be_is_said_and_how_to_mend_it() {
    in_namespace(|| {
        ip("link add eth7 type veth peer name eth8");
        let folder = Folder::new("errors");
        let copy = folder.program();
        let refused = |command: &mut Command, status: i32| -> String {
            let output = command.stdin(Stdio::null()).output().unwrap();
            let text = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(status), "{text}");
            text
        };
        let error = |arguments: &str, status: i32| {
            refused(
                program().arg("capture").args(arguments.split_whitespace()),
                status,
            )
        };
        assert_eq!(
            error("-i eth", 2),
            "layerwise: there is no interface \"eth\"; did you mean eth7? possible: lo, eth8, eth7, any\n"
        );
        assert!(
            error("-i \x1b[31m", 2)
                .starts_with("layerwise: there is no interface \"\\u{1b}[31m\"; possible: ")
        );
        assert_eq!(
            error("-i eth7", 1),
            "layerwise: eth7 is down: nothing passes it; sudo ip link set eth7 up changes that\n"
        );
        assert_eq!(
            error("", 2),
            "layerwise: which interface? name one: layerwise capture -i lo\n"
        );
        assert!(error("-i lo tcp prot 443", 2).contains("\n  tcp prot 443\n      ^^^^\n"));
        assert!(error("-i lo -c 0", 2).contains("-c"), "a count of none");

        let mut command = Command::new(&copy);
        command.args(["capture", "-i", "lo"]).uid(65534).gid(65534);
        let text = refused(&mut command, 1);
        let mend = format!(
            "sudo setcap cap_net_raw,cap_net_admin=eip {}\n",
            copy.display()
        );
        assert!(
            text.starts_with("layerwise: no right to open a packet socket: run it with sudo, or "),
            "{text}"
        );
        assert!(text.ends_with(&mend), "{text}");

        // Listing needs no rights.
        let mut command = Command::new(&copy);
        command.args(["capture", "-D"]).uid(65534).gid(65534);
        let output = command.output().unwrap();
        let list = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success());
        assert!(list.contains("lo    up    loopback"), "{list}");
        assert!(list.contains("127.0.0.1/8"), "{list}");
        assert!(list.contains("eth7  down  veth"), "{list}");
        assert!(list.contains("\nany "), "{list}");
    });
}

#[test]
fn an_interface_that_goes_down_ends_it() {
    in_namespace(|| {
        ip("link add d0 type veth peer name d1");
        ip("link set d0 up");
        let capture = Capture::start("-i d0");
        ip("link set d0 down");
        let ended = capture.end();
        assert_eq!(ended.status.code(), Some(1), "{}", ended.notes);
        assert!(
            ended
                .notes
                .ends_with("layerwise: d0 has ended: it went down\n"),
            "{}",
            ended.notes
        );
        assert!(ended.notes.contains("\nnone lost\n"), "{}", ended.notes);

        // Of several it is only one.
        ip("link set d0 up");
        let capture = Capture::start("-i any udp dst port 7001");
        ip("link del d0");
        datagrams(7001, 1);
        let mut capture = capture;
        assert!(capture.line().starts_with("on lo: "));
        let ended = capture.interrupt();
        assert!(ended.status.success(), "{}", ended.notes);
        assert!(ended.notes.contains("\nd0 has ended: "), "{}", ended.notes);
    });
}

#[test]
fn a_tun_device_gives_ip_packets_both_ways() {
    in_namespace(|| {
        let tun = tun_tap::Iface::without_packet_info("t0", tun_tap::Mode::Tun).unwrap();
        ip("addr add 10.9.0.1/24 dev t0");
        ip("link set t0 up");
        let mut capture = Capture::start("-i t0 udp and host 10.9.0.2");
        assert!(
            capture.begin.contains("watching t0 (TUN: "),
            "{}",
            capture.begin
        );
        let socket = UdpSocket::bind("10.9.0.1:7001").unwrap();
        socket.send_to(b"there", "10.9.0.2:7002").unwrap();
        let builder =
            etherparse::PacketBuilder::ipv4([10, 9, 0, 2], [10, 9, 0, 1], 64).udp(7002, 7001);
        let mut packet = Vec::new();
        builder.write(&mut packet, b"and back").unwrap();
        tun.send(&packet).unwrap();
        assert!(capture.line().contains("10.9.0.1"));
        assert!(capture.line().contains("10.9.0.2"));
        let ended = capture.interrupt();
        assert!(
            ended.notes.contains("\n2 packets, 69 bytes, "),
            "{}",
            ended.notes
        );
    });
}

#[test]
fn any_watches_all_that_are_up() {
    in_namespace(|| {
        ip("link add v0 type veth peer name v1");
        ip("link set v0 up");
        ip("addr add 10.9.0.1/24 dev v0");
        let capture = Capture::start("-i any udp dst port 7001");
        assert!(
            capture.begin.contains("watching lo, v0;"),
            "{}",
            capture.begin
        );
        datagrams(7001, 2);
        let ended = capture.interrupt();
        assert_eq!(
            ended.lines.len(),
            2,
            "on lo each packet once: {:#?}",
            ended.lines
        );
        assert!(
            ended.lines.iter().all(|line| line.starts_with("on lo: ")),
            "{:#?}",
            ended.lines
        );
    });
}

/// The packets of a file, as this program reads them.
fn packets(file: &[u8]) -> Vec<Vec<u8>> {
    let mut reader =
        layerwise::file::Reader::new("file", std::io::Cursor::new(file.to_vec())).unwrap();
    let mut packets = Vec::new();
    while let Some(item) = reader.next().unwrap() {
        if let layerwise::file::Item::Packet(packet) = item {
            packets.push(packet.frame.data.to_vec());
        }
    }
    packets
}

#[test]
fn what_is_written_is_what_tcpdump_sees() {
    in_namespace(|| {
        let folder = Folder::new("tcpdump");
        let mut tcpdump = Command::new("tcpdump")
            .args([
                "-Z",
                "root",
                "-i",
                "lo",
                "--immediate-mode",
                // Otherwise its buffer has room for sixteen packets only.
                "-s",
                "2000",
                "-B",
                "8192",
                "-U",
                "-w",
                "-",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut errors = BufReader::new(tcpdump.stderr.take().unwrap());
        while !said.contains("listening on") {
            assert!(errors.read_line(&mut said).unwrap() > 0, "tcpdump: {said}");
        }
        let ours = folder.0.join("ours.pcapng");
        let capture = Capture::start(&format!("-i lo -w {}", ours.display()));
        exchange(8081);
        datagrams(7001, 20);
        let ended = capture.interrupt();
        // If it has missed any, it is ended all the same.
        let pid = Pid::from_raw(tcpdump.id() as i32);
        let (alive, watchdog) = channel::<()>();
        thread::spawn(move || {
            if watchdog.recv_timeout(DEADLINE) == Err(RecvTimeoutError::Timeout) {
                let _ = kill(pid, Signal::SIGKILL);
            }
        });
        let mut theirs = Vec::new();
        let mut output = tcpdump.stdout.take().unwrap();
        while !theirs.ends_with(b"end") {
            let mut more = [0; 4096];
            let read = output.read(&mut more).unwrap();
            assert!(read > 0, "tcpdump has ended: {said}");
            theirs.extend_from_slice(&more[..read]);
        }
        drop(alive);
        kill(Pid::from_raw(tcpdump.id() as i32), Signal::SIGTERM).unwrap();
        tcpdump.wait().unwrap();
        assert!(ended.status.success(), "{}", ended.notes);
        let ours = packets(&fs::read(&ours).unwrap());
        assert!(ours.len() > 25, "{}", ours.len());
        assert!(
            ours == packets(&theirs),
            "other packets, or in another order"
        );
        let words = format!("\n{} packets are in ", ours.len());
        assert!(ended.notes.contains(&words), "{}", ended.notes);
    });
}

#[test]
fn options_mean_what_they_mean_when_the_file_is_read() {
    in_namespace(|| {
        let folder = Folder::new("options");
        let file = folder.0.join("all.pcapng");
        let capture = Capture::start(&format!("-i lo -T json -v -w {}", file.display()));
        exchange(8081);
        datagrams(7001, 4);
        let ended = capture.interrupt();
        assert!(ended.status.success(), "{}", ended.notes);
        let read = |arguments: &str| {
            let mut command = program();
            command.arg("read").arg(&file).args(arguments.split(' '));
            let output = command.output().unwrap();
            assert!(output.status.success());
            let text = String::from_utf8(output.stdout).unwrap();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(ended.lines, read("-T json -v"));
        assert!(ended.lines[0].matches("\"text\":").count() > 20);

        // Chosen packets alone are counted, shown and written.
        let chosen = folder.0.join("chosen.pcapng");
        let options = "-T fields -E header=y -e frame.number -e udp.dstport -e udp.length";
        let capture = Capture::run({
            let mut command = program();
            command.args([
                "capture",
                "-i",
                "lo",
                "-c",
                "3",
                "-Y",
                "udp.dstport == 7001",
            ]);
            command.args(options.split(' ')).arg("-w").arg(&chosen);
            command
        });
        exchange(8082);
        datagrams(7001, 9);
        let ended = capture.end();
        assert!(ended.status.success(), "{}", ended.notes);
        let lines: Vec<_> = ended.lines.iter().map(String::as_str).collect();
        assert_eq!(lines[0], "frame.number\tudp.dstport\tudp.length");
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(
            lines[1..].iter().all(|line| line.ends_with("\t7001\t28")),
            "{lines:?}"
        );
        assert_eq!(packets(&fs::read(&chosen).unwrap()).len(), 3);
        assert!(
            ended.notes.contains("\n3 of them fit -Y\n"),
            "{}",
            ended.notes
        );

        // What is wrong is said before anything is watched.
        for (arguments, what) in [
            (
                "-Y ip.tll==3",
                "-Y: no such field: ip.tll; did you mean ip.ttl?",
            ),
            ("-T fields -e nothing", "-e: "),
            ("-e ip.src", "add -T fields"),
            ("--with-secrets", "--write"),
        ] {
            let mut command = program();
            command
                .args(["capture", "-i", "lo"])
                .args(arguments.split(' '));
            let output = command.output().unwrap();
            let text = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{text}");
            assert!(text.contains(what), "{text}");
        }
    });
}

#[test]
fn the_file_is_complete_whoever_ends_it() {
    in_namespace(|| {
        let folder = Folder::new("complete");
        let file = folder.0.join("file.pcapng");
        let start = |to: &Path| {
            let _ = fs::remove_file(&file);
            Capture::start(&format!("-i lo udp dst port 7001 -w {}", to.display()))
        };
        // Ctrl-C and kill are with the other tests; here nobody reads the lines any more.
        let mut capture = start(&file);
        datagrams(7001, 3);
        for _ in 0..3 {
            capture.line();
        }
        capture.output = None;
        assert!(capture.child.wait().unwrap().success());
        assert_eq!(packets(&fs::read(&file).unwrap()).len(), 3);

        // It can be read while it grows: what was shown is in it.
        let mut capture = start(&file);
        datagrams(7001, 1);
        capture.line();
        assert_eq!(packets(&fs::read(&file).unwrap()).len(), 1);
        drop(capture);

        // On standard output there is nothing but the file.
        let mut capture = start(Path::new("-"));
        datagrams(7001, 5);
        capture.signal(Signal::SIGINT);
        let mut bytes = Vec::new();
        capture
            .output
            .take()
            .unwrap()
            .read_to_end(&mut bytes)
            .unwrap();
        assert_eq!(packets(&bytes).len(), 5);
        let mut notes = String::new();
        capture.errors.read_to_string(&mut notes).unwrap();
        assert!(notes.contains("5 packets, "), "{notes}");
        assert!(capture.child.wait().unwrap().success());
        let mut capture = start(Path::new("-"));
        capture.output = None;
        datagrams(7001, 1);
        assert!(
            capture.child.wait().unwrap().success(),
            "a closed pipe is no failure"
        );
    });
}

#[test]
fn the_file_belongs_to_who_wants_it() {
    in_namespace(|| {
        use std::os::unix::fs::MetadataExt;
        let folder = Folder::new("owner");
        let home = folder.0.join("home");
        fs::create_dir(&home).unwrap();
        std::os::unix::fs::chown(&home, Some(1234), Some(1235)).unwrap();
        let start = |file: &Path, sudo: bool| {
            let mut command = program();
            command
                .args(["capture", "-i", "lo", "--with-secrets", "-w"])
                .arg(file);
            if sudo {
                command.env("SUDO_UID", "1234").env("SUDO_GID", "1235");
            }
            command
        };
        let file = home.join("mine.pcapng");
        Capture::run(start(&file, true)).interrupt();
        let about = fs::metadata(&file).unwrap();
        assert_eq!(
            (about.uid(), about.gid(), about.mode() & 0o777),
            (1234, 1235, 0o600)
        );
        // Not even root's rights get them a file where they could not have made one.
        let output = start(&folder.0.join("no.pcapng"), true).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(
            text.contains("-w: cannot make ") && !folder.0.join("no.pcapng").exists(),
            "{text}"
        );
        // Root itself has a file of its own.
        let file = folder.0.join("root.pcapng");
        Capture::run(start(&file, false)).interrupt();
        let about = fs::metadata(&file).unwrap();
        assert_eq!((about.uid(), about.mode() & 0o777), (0, 0o600));
    });
}
