//! The chat server among people who mean no good: it goes on serving the others, with bounded memory.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod chat_support;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use chat_support::{Folder, Person, Server, client, read_until};
use nix::sys::socket::{setsockopt, sockopt};

/// A connection that is closed is reset: nothing is said, nothing is waited for.
fn reset(stream: TcpStream) {
    let linger = nix::libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(&stream, sockopt::Linger, &linger).unwrap();
    drop(stream);
}

#[test]
fn a_handshake_that_is_never_finished_is_ended() {
    let mut server = Server::start(&["--handshake-timeout", "5s"]);
    let mut silent = server.tcp();
    // The beginning of a ClientHello: a record that promises 512 bytes.
    let mut begun = server.tcp();
    begun.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
    server.still_serves();
    for stream in [&mut silent, &mut begun] {
        let ended = stream.read(&mut [0; 16]);
        assert!(matches!(ended, Ok(0)), "{ended:?}");
    }
    let mut told = 0;
    while told < 2 {
        let line = server
            .operator
            .expect("handshakes that took too long and were ended: ");
        told += line.rsplit(' ').next().unwrap().parse::<u32>().unwrap();
    }
}

#[test]
fn silent_connections_do_not_keep_others_out() {
    // More of them than there are places, and they are given all the time they want.
    let server = Server::start(&["--handshake-timeout", "1h"]);
    let silent: Vec<TcpStream> = (0..700).map(|_| server.tcp()).collect();
    server.still_serves();
    drop(silent);
    server.still_serves();
}

#[test]
fn one_who_never_reads_is_cut_off_and_nobody_waits_or_loses_a_line() {
    // More than the kernel keeps for one connection (tcp_wmem, 4 MB by default) and the server for one reader.
    const LINES: usize = 40_000;
    let server = Server::start(&["--queue", "262144"]);
    // It is there, and reads no more.
    let mut stuck = server.raw();
    // The kernel keeps little for it, so that what it does not read soon waits at the server.
    setsockopt(&stuck.sock, sockopt::RcvBuf, &4096).unwrap();
    read_until(&mut stuck, "* welcome");
    stuck.write_all(b"/name Stuck\n").unwrap();
    read_until(&mut stuck, "you are Stuck now");
    let before = server.most_memory();
    let (mut talker, mut reader) = (server.raw(), server.raw());
    read_until(&mut talker, "* welcome");
    read_until(&mut reader, "* welcome");
    talker.write_all(b"/name Talker\n").unwrap();
    let reading = std::thread::spawn(move || {
        let (mut text, mut next, mut told) = (Vec::new(), 0, false);
        let mut buffer = vec![0; 64 << 10];
        while next < LINES || !told {
            let count = reader.read(&mut buffer).unwrap();
            assert!(count > 0, "the reader was cut off after {next} lines");
            text.extend_from_slice(&buffer[..count]);
            let whole = memchr::memrchr(b'\n', &text).map_or(0, |at| at + 1);
            for line in text[..whole].split(|byte| *byte == b'\n') {
                if let Some(number) = line.strip_prefix(b"Talker: ") {
                    let number = std::str::from_utf8(&number[..8]).unwrap();
                    assert_eq!(
                        number.parse::<usize>().unwrap(),
                        next,
                        "lines in order, none lost"
                    );
                    next += 1;
                }
                told |= line == b"* Stuck was cut off: did not read what was said";
            }
            text.drain(..whole);
        }
    });
    for number in 0..LINES {
        let line = format!("{number:08}{}\n", "x".repeat(192));
        talker.write_all(line.as_bytes()).unwrap();
    }
    talker.flush().unwrap();
    // The operator, who reads all this through a pipe, may miss it.
    reading.join().unwrap();
    let grown = server.most_memory() - before;
    assert!(grown < 6 << 20, "memory grew by {grown} bytes");
    server.still_serves();
}

#[test]
fn a_line_without_end_is_cut_off_and_takes_no_memory() {
    let mut server = Server::start(&[]);
    let mut witness = server.join("Witness");
    let mut endless = server.raw();
    read_until(&mut endless, "* welcome");
    endless.write_all(b"/name Endless\n").unwrap();
    read_until(&mut endless, "you are Endless now");
    let before = server.most_memory();
    // 100 MB; the server hears no more of it after its limit.
    let part = vec![b'x'; 1 << 20];
    let sent = (0..100).try_for_each(|_| endless.write_all(&part));
    if sent.is_ok() {
        let rest = read_until(&mut endless, "a line may have 65536 bytes");
        assert!(rest.contains("you are cut off"));
    }
    witness.expect("* Endless was cut off: a line was too long");
    server.operator.expect("* Endless was cut off");
    let grown = server.most_memory() - before;
    assert!(grown < 4 << 20, "memory grew by {grown} bytes");
    // A line of just the allowed length passes; one more byte does not, and its reason is read.
    let mut ada = server.raw();
    read_until(&mut ada, "* welcome");
    ada.write_all(&[&vec![b'y'; 65536][..], b"\n"].concat())
        .unwrap();
    let line = witness.expect(": yyy");
    assert!(line.ends_with('y') && line.len() > 65536);
    ada.write_all(&[&vec![b'y'; 65537][..], b"\n"].concat())
        .unwrap();
    read_until(
        &mut ada,
        "* a line may have 65536 bytes, yours had more: you are cut off",
    );
    let mut rest = Vec::new();
    ada.read_to_end(&mut rest).unwrap();
    server.still_serves();
}

#[test]
fn what_is_relayed_plays_no_tricks() {
    let mut server = Server::start(&[]);
    let mut ada = server.join("Ada");
    // Also to clients that show everything as it comes.
    let mut bare = server.raw();
    read_until(&mut bare, "* welcome");
    let mut rascal = server.raw();
    read_until(&mut rascal, "* welcome");
    for (bytes, shown) in [
        (
            &b"\x1b[2J\x1b]0;title\x07"[..],
            "\\u{1b}[2J\\u{1b}]0;title\\u{7}",
        ),
        (
            b"bell\x07 back\x08 null\0 csi\xc2\x9b1m",
            "bell\\u{7} back\\u{8} null\\u{0} csi\\u{9b}1m",
        ),
        (
            b"not \xff\xfe UTF-8 \xe2\x82",
            "not \u{fffd}\u{fffd} UTF-8 \u{fffd}",
        ),
        (
            "turned \u{202e}around\u{2066}".as_bytes(),
            "turned \\u{202e}around\\u{2066}",
        ),
        (b"carriage\rreturn\r", "carriage\\rreturn"),
    ] {
        rascal.write_all(&[bytes, b"\n"].concat()).unwrap();
        for person in [&mut ada, &mut server.operator] {
            let line = person.expect(&format!(": {shown}"));
            assert!(line.starts_with("guest-"), "{line}");
        }
        let text = read_until(&mut bare, &format!(": {shown}\n"));
        assert!(
            !text.contains(['\u{1b}', '\u{7}', '\u{202e}', '\r']),
            "{text:?}"
        );
    }
    server.still_serves();
}

#[test]
fn thousands_come_and_go() {
    let mut server = Server::start(&[]);
    let mut witness = server.join("Witness");
    let before = server.most_memory();
    // A port scan: connected and gone.
    for _ in 0..2000 {
        drop(server.tcp());
    }
    // A scan that resets.
    for _ in 0..500 {
        reset(server.tcp());
    }
    // Whole handshakes.
    for number in 0..200 {
        let tls = server.raw();
        match number % 2 {
            0 => drop(tls),
            _ => reset(tls.sock),
        }
    }
    server
        .operator
        .expect("connections that ended before the handshake was done:");
    server.still_serves();
    let grown = server.most_memory() - before;
    assert!(grown < 24 << 20, "memory grew by {grown} bytes");
    // Those who only looked in were not announced to anybody.
    witness.expect("* Eve left");
    let guests = witness
        .seen()
        .lines()
        .filter(|line| line.contains("guest-"))
        .count();
    assert!(guests < 20, "{}", witness.seen());
}

#[test]
fn an_abrupt_end_is_told() {
    let mut server = Server::start(&[]);
    for name in ["Reset", "Closed"] {
        let mut tls = server.raw();
        read_until(&mut tls, "* welcome");
        tls.write_all(format!("/name {name}\n").as_bytes()).unwrap();
        read_until(&mut tls, "you are");
        match name {
            "Reset" => reset(tls.sock),
            _ => drop(tls.sock),
        }
        server
            .operator
            .expect(&format!("* {name} is gone: the connection broke off"));
    }
    // A record that does not open.
    let mut tls = server.raw();
    read_until(&mut tls, "* welcome");
    tls.write_all(b"/name Damaged\n").unwrap();
    read_until(&mut tls, "you are");
    tls.sock.write_all(&[23, 3, 3, 0, 32]).unwrap();
    tls.sock.write_all(&[0; 32]).unwrap();
    server
        .operator
        .expect("* Damaged is gone: what came from there was damaged");
    server.still_serves();
}

#[test]
fn who_speaks_no_tls_is_answered_or_ended() {
    let mut server = Server::start(&[]);
    let mut http = server.tcp();
    http.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    http.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400 Bad Request\r\n"),
        "{answer}"
    );
    assert!(answer.contains("a chat over TLS"), "{answer}");
    let mut ssh = server.tcp();
    ssh.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").unwrap();
    let ended = ssh.read(&mut [0; 16]);
    assert!(matches!(&ended, Ok(0)) || ended.unwrap_err().kind() == ErrorKind::ConnectionReset);
    // A browser, with TLS: it is told, and nobody has to read its request.
    let mut witness = server.join("Witness");
    let mut browser = server.raw();
    browser
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    browser.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("This is a chat, not a website"), "{answer}");
    // They are told together, or one after the other.
    let mut told = 0;
    while told < 2 {
        let line = server.operator.expect("connections that did not speak TLS");
        told += line.rsplit(' ').next().unwrap().parse::<u32>().unwrap();
    }
    server.still_serves();
    witness.expect("* Eve left");
    assert!(!witness.seen().contains("GET"), "{}", witness.seen());
}

#[test]
fn the_room_is_full_at_its_limit() {
    let mut server = Server::start(&["--max-clients", "2"]);
    let (_ada, mut bob) = (server.join("Ada"), server.join("Bob"));
    let mut late = server.join_with(&[]);
    late.expect("* the chat is full: 2 are here");
    assert!(late.ended().success());
    server
        .operator
        .expect("clients turned away because the chat is full: 1");
    bob.say("/quit");
    server.operator.expect("* Bob left");
    let mut carl = server.join("Carl");
    carl.say("now there is room");
    server.operator.expect("Carl: now there is room");
}

#[test]
fn who_says_nothing_for_too_long_has_to_go() {
    let mut server = Server::start(&["--idle-timeout", "1s"]);
    let mut ada = server.join_with(&[]);
    ada.expect("* you said nothing for too long: you are cut off");
    assert!(ada.ended().success());
    server
        .operator
        .expect("was cut off: said nothing for too long");
}

#[test]
fn who_says_too_much_is_slowed_down_and_loses_nothing() {
    let mut server = Server::start(&["--max-rate", "100"]);
    let mut fast = server.raw();
    read_until(&mut fast, "* welcome");
    let lines: String = (0..250)
        .map(|number| format!("number {number}.\n"))
        .collect();
    let begin = std::time::Instant::now();
    fast.write_all(lines.as_bytes()).unwrap();
    // A second time, so that the limit has been passed before it is read.
    server.operator.expect("number 249.");
    fast.write_all(b"one more\n").unwrap();
    server.operator.expect("one more");
    // 250 lines, of which a second's worth may come at once: the next is heard after a second and a half.
    assert!(begin.elapsed() >= std::time::Duration::from_millis(1400));
}

#[test]
fn a_queue_that_holds_no_lines_is_refused() {
    let folder = Folder::with_certs();
    let output = folder.run(&["chat", "serve", "--queue", "65536"]);
    assert_eq!(output.status.code(), Some(2));
    let words = chat_support::stderr(&output);
    assert!(words.contains("--queue 262144"), "{words}");
}

#[test]
fn few_files_mean_few_clients_and_it_says_so() {
    let folder = Folder::with_certs();
    let program = folder.layerwise(&[]);
    let program = program.get_program().to_str().unwrap();
    let mut command = Command::new("sh");
    let script = format!("ulimit -n 330; exec {program} chat serve --listen localhost:0");
    command.args(["-c", &script]).current_dir(&folder.0);
    let mut server = Server::of(Person::start(command), folder);
    server.operator.expect("at most 10 can join");
    let people: Vec<Person> = (0..10)
        .map(|number| server.join(&format!("P-{number}")))
        .collect();
    server
        .join_with(&[])
        .expect("* the chat is full: 10 are here");
    drop(people);
    server.operator.expect("* P-9");
}

#[test]
fn a_client_in_the_middle_of_everything_can_be_killed() {
    // What is on its way to a client when it vanishes is nobody else's trouble.
    let mut server = Server::start(&[]);
    let mut talker = server.join("Talker");
    for number in 0..20 {
        let mut tls = server.raw();
        read_until(&mut tls, "* welcome");
        for line in 0..50 {
            talker.say(&format!("{number}.{line}"));
        }
        reset(tls.sock);
    }
    server.operator.expect("Talker: 19.49");
    server.still_serves();
}

#[test]
fn the_client_ends_when_a_server_sends_a_line_without_end() {
    // The other way round: a server that means no good. `openssl s_server` sends what it reads.
    let folder = Folder::with_certs();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port().to_string();
    drop(free);
    let mut command = Command::new("openssl");
    command.args(["s_server", "-quiet", "-naccept", "1", "-accept"]);
    command.arg(format!("127.0.0.1:{port}"));
    command.args(["-cert", "certs/server.crt", "-key", "certs/server.key"]);
    let mut evil = Person::start({
        command.current_dir(&folder.0);
        command
    });
    let place = format!("127.0.0.1:{port}");
    let mut ada = loop {
        // It says nothing when it is ready: so one asks.
        let mut ada = Person::start(folder.layerwise(&["chat", "join", &place]));
        match ada.child.try_wait().unwrap() {
            None if connected(&mut ada) => break ada,
            _ => {}
        }
    };
    evil.write(b"* \x1b[2Jserver: hi\n");
    assert_eq!(ada.expect("hi"), "* \\u{1b}[2Jserver: hi");
    let part = vec![b'x'; 1 << 20];
    // It is gone before it has all.
    let _ = (0..3).try_for_each(|_| evil.try_write(&part));
    assert_eq!(ada.ended().code(), Some(1));
    assert!(ada.seen().contains("without a newline"), "{}", ada.seen());
}

/// Whether a client got through the handshake.
fn connected(person: &mut Person) -> bool {
    let line = person.expect("");
    line.contains("You are in the chat")
}

#[test]
fn the_certificate_is_checked_by_the_tests_own_client() {
    // The raw client of these tests is a real one: it refuses another authority.
    let server = Server::start(&[]);
    let other = Folder::with_certs();
    let mut tls = client(&other.path("certs/ca.crt"));
    let error = tls.complete_io(&mut server.tcp()).unwrap_err();
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
}
