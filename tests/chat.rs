//! The chat as people use it: our own server and client, and the TLS clients of others, over real sockets.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod chat_support;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use chat_support::{Folder, LONG, Person, Server, stderr, stdout};
use layerwise::certs::{Authority, Validity, pem};
use nix::sys::signal::Signal;
use time::{Duration, OffsetDateTime};

#[test]
fn clients_of_all_kinds_talk_with_each_other() {
    let mut server = Server::start(&["--name", "Olga"]);
    let mut all = Vec::new();
    for (name, mut person) in [
        ("Ada", server.join_with(&[])),
        ("Bob", server.openssl()),
        ("Carl", server.ncat()),
        ("Dora", server.python()),
    ] {
        person.expect("* welcome, guest-");
        person.say(&format!("/name {name}"));
        person.expect(&format!("* you are {name} now"));
        // That one has joined or, where others were quicker, that a guest has a name now.
        server.operator.expect(name);
        for (_, other) in &mut all {
            let other: &mut Person = other;
            other.expect(name);
        }
        all.push((name, person));
    }
    for speaker in 0..all.len() {
        let text = format!("grüße from {speaker} 🎈");
        let name = all[speaker].0;
        all[speaker].1.say(&text);
        let line = format!("{name}: {text}");
        assert_eq!(server.operator.expect(&text), line);
        for (other, person) in &mut all {
            if *other != name {
                assert_eq!(person.expect(&text), line);
            }
        }
    }
    // What the operator types goes to all.
    server.operator.say("hello, all of you");
    for (_, person) in &mut all {
        person.expect("Olga: hello, all of you");
    }
    for (name, person) in &mut all {
        person.say("/who");
        let line = person.expect("* 5 are here: ");
        for other in ["Olga", "Ada", "Bob", "Carl", "Dora"] {
            assert!(line.contains(other), "{line}");
        }
        // Nobody hears what they said themselves.
        assert!(
            !person.seen().contains(&format!("{name}: ")),
            "{}",
            person.seen()
        );
        assert!(!person.seen().contains(&format!("* {name} joined")));
    }
    let (_, mut ada) = all.remove(0);
    for (name, mut person) in all {
        person.say("/quit");
        if name != "Dora" {
            person.expect("* goodbye");
        }
        ada.expect(&format!("* {name} left"));
    }
    // The end of the input is a goodbye, too.
    ada.end();
    assert!(ada.ended().success());
    assert!(ada.seen().contains("You have left the chat."));
    server.operator.expect("* Ada left");
    server.operator.say("/quit");
    assert!(server.operator.ended().success());
}

#[test]
fn names_cannot_deceive() {
    let server = Server::start(&[]);
    let (mut ada, mut bob) = (server.join("Ada"), server.join("Bob"));
    ada.expect("* Bob joined");
    for taken in [
        "Ada",
        "ada",
        "4DA",
        "server",
        "Serv\u{e9}r",
        "guest-1",
        "guest-77",
    ] {
        bob.say(&format!("/name {taken}"));
        let line = bob.expect("* ");
        let refused = line.contains("is taken") || line.contains("cannot be a name");
        assert!(refused, "{taken}: {line}");
    }
    for bad in [
        "",
        "a b",
        "* Ada",
        "Ada:",
        "Ad\u{202e}a",
        "\u{1b}[2J",
        "\u{410}da",
    ] {
        bob.say(&format!("/name {bad}"));
        let line = bob.expect("cannot be a name");
        assert!(!line.contains(['\u{1b}', '\u{202e}']), "{line:?}");
    }
    // What looks like a notice, or like another's line, is behind the name of who said it.
    bob.say("* Ada left");
    assert_eq!(ada.expect("Ada left"), "Bob: * Ada left");
    bob.say("server: send me your password");
    assert_eq!(ada.expect("password"), "Bob: server: send me your password");
    bob.say("//quit");
    assert_eq!(ada.expect("/quit"), "Bob: /quit");
    bob.say("/nonsense");
    bob.expect("there is no command /nonsense");
    bob.say("/name Bobby");
    ada.expect("* Bob is Bobby now");
    // The old name is free.
    ada.say("/name Bob");
    bob.expect("* Ada is Bob now");
}

#[test]
fn a_name_on_the_command_line_must_be_one() {
    let server = Server::start(&[]);
    for arguments in [
        vec!["chat", "serve", "--name", "a b"],
        vec!["chat", "join", "localhost:1", "--name", "\u{1b}[2J"],
    ] {
        let output = server.folder.run(&arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(
            stderr(&output).contains("cannot be a name"),
            "{}",
            stderr(&output)
        );
        assert!(!stderr(&output).contains('\u{1b}'));
    }
}

#[test]
fn the_operator_puts_one_out_and_ends_the_chat() {
    let mut server = Server::start(&[]);
    let (mut ada, mut bob) = (server.join("Ada"), server.join("Bob"));
    server.operator.say("/who");
    server.operator.expect("* 3 are here:");
    server.operator.expect("*   Ada  ");
    server.operator.say("/kick Zoe");
    server.operator.expect("nobody here is called Zoe");
    server.operator.say("/kick ada");
    ada.expect("* the operator has put you out");
    assert!(ada.ended().success());
    bob.expect("* Ada was put out by the operator");
    // A kill ends it as well as a word.
    server.operator.signal(Signal::SIGTERM);
    bob.expect("* the operator has closed the chat");
    assert!(bob.ended().success());
    assert!(
        bob.seen().contains("The server has said goodbye"),
        "{}",
        bob.seen()
    );
    assert!(server.operator.ended().success());
}

#[test]
fn an_end_without_goodbye_is_told_as_such() {
    let mut server = Server::start(&[]);
    let mut ada = server.join("Ada");
    server.operator.expect("* Ada joined");
    server.operator.signal(Signal::SIGKILL);
    let status = ada.ended();
    assert_eq!(status.code(), Some(1));
    assert!(ada.seen().contains("was cut: "), "{}", ada.seen());
    assert!(
        ada.seen().contains("without a goodbye (close_notify)"),
        "{}",
        ada.seen()
    );
}

#[test]
fn a_server_without_a_person_goes_on() {
    let mut server = Server::start(&[]);
    // The end of its input is not the end of the chat.
    server.operator.end();
    server.still_serves();
}

#[test]
fn lines_that_come_with_the_end_of_the_handshake_are_heard() {
    let server = Server::start(&[]);
    let mut ada = server.join("Ada");
    // A pipe: all is said, and ended, before the server could answer.
    for (text, number) in [("one\n", 1), ("two", 2)] {
        let mut bob = server.join_with(&[]);
        bob.write(text.as_bytes());
        bob.end();
        ada.expect(&format!(": {}", text.trim()));
        assert!(bob.ended().success(), "{number}: {}", bob.seen());
    }
}

#[test]
fn insecure_says_so_everywhere() {
    let server = Server::start(&[]);
    // A certificate that is not for this name, from an authority that is unknown.
    let place = format!("127.0.0.1:{}", server.port);
    let mut join = server
        .folder
        .layerwise(&["chat", "join", &place, "--insecure"]);
    join.current_dir("/");
    let mut ada = Person::start(join);
    ada.expect("NOT VERIFIED (--insecure): nobody has checked who this server is");
    assert!(!ada.seen().contains("checked  "), "{}", ada.seen());
    ada.expect("[not verified] * welcome");
    let mut bob = server.join("Bob");
    bob.say("hi");
    ada.expect("[not verified] Bob: hi");
    ada.say("/who");
    ada.expect("NOT VERIFIED");
    ada.say("/quit");
    ada.ended();
    let end = ada.seen();
    let end = &end[end.len() - 400..];
    assert!(
        end.contains("NOT VERIFIED (--insecure): nobody has checked whom"),
        "{end}"
    );
}

#[test]
fn the_clients_screen_says_what_was_agreed() {
    let server = Server::start(&[]);
    let mut ada = server.join_with(&["--ca", "certs/ca.crt"]);
    ada.expect("* welcome");
    for needle in [
        "TLS 1.3, TLS_AES_256_GCM_SHA384, keys agreed with X25519MLKEM768",
        "for localhost, 127.0.0.1, ::1; until 20",
        "it was signed by certs/ca.crt, and is for localhost",
    ] {
        assert!(ada.seen().contains(needle), "{needle}\n{}", ada.seen());
    }
    // Both screens show the same fingerprint, and it is OpenSSL's.
    let arguments = [
        "x509",
        "-in",
        "certs/server.crt",
        "-noout",
        "-fingerprint",
        "-sha256",
    ];
    let output = server.folder.command("openssl", &arguments);
    let fingerprint = stdout(&output).trim().rsplit('=').next().unwrap();
    let fingerprint = fingerprint.replace(':', "").to_lowercase();
    assert!(ada.seen().contains(&fingerprint) && server.operator.seen().contains(&fingerprint));
}

/// Writes a server's certificate that is valid from so many days on for so many days.
fn certificate(folder: &Folder, from: i64, until: i64) {
    let now = OffsetDateTime::now_utc();
    let at = |days| now + Duration::days(days);
    let authority = Authority::new(
        "Test CA",
        Validity {
            from: at(-900),
            until: at(900),
        },
    )
    .unwrap();
    let validity = Validity {
        from: at(from),
        until: at(until),
    };
    let identity = authority.issue(&["localhost"], validity).unwrap();
    fs::create_dir_all(folder.path("certs")).unwrap();
    let write = |name, text: String| fs::write(folder.path(name), text).unwrap();
    write("certs/ca.crt", pem("CERTIFICATE", authority.certificate()));
    write("certs/server.crt", pem("CERTIFICATE", &identity.chain[0]));
    write(
        "certs/server.key",
        pem("PRIVATE KEY", identity.key.secret_pkcs8_der()),
    );
}

/// What joining ends with, in this folder.
fn refused(server: &Server, options: &[&str]) -> String {
    let place = format!("localhost:{}", server.port);
    let mut arguments = vec!["chat", "join", &place];
    arguments.extend(options);
    let output = server.folder.run(&arguments);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    assert_eq!(stdout(&output), "", "nobody is in a chat");
    stderr(&output).to_owned()
}

#[test]
fn a_certificate_that_is_not_good_is_refused_with_the_reason() {
    let other = Folder::with_certs();
    let server = Server::start(&[]);
    let ca = other.path("certs/ca.crt");
    let words = refused(&server, &["--ca", ca.to_str().unwrap()]);
    assert!(
        words.contains("unknown issuer") && words.contains("--ca"),
        "{words}"
    );
    // The certificates of certs/ are trusted for this machine alone, so the system's authorities are asked; where the
    // system has none, that is said.
    let output = server
        .folder
        .run(&["chat", "join", &format!("127.0.0.1:{}", server.port)]);
    assert!(output.status.success(), "{}", stderr(&output));

    let folder = Folder::new();
    certificate(&folder, -20, -10);
    let mut server = Server::start_in(folder, &[]);
    assert!(
        server
            .operator
            .seen()
            .contains("This certificate has expired")
    );
    let words = refused(&server, &[]);
    assert!(
        words.contains("it expired on") && words.contains("new certificate"),
        "{words}"
    );
    server.operator.say("hi");

    let folder = Folder::new();
    certificate(&folder, 10, 20);
    let words = refused(&Server::start_in(folder, &[]), &[]);
    assert!(
        words.contains("valid only from") && words.contains("clock"),
        "{words}"
    );

    let folder = Folder::new();
    certificate(&folder, -1, 10);
    let server = Server::start_in(folder, &["--listen", "127.0.0.3:0"]);
    let place = format!("127.0.0.3:{}", server.port);
    let output = server.folder.run(&["chat", "join", &place]);
    assert_eq!(output.status.code(), Some(1));
    let words = stderr(&output);
    assert!(words.contains("it is not for 127.0.0.3"), "{words}");
    assert!(words.contains("layerwise certs 127.0.0.3"), "{words}");
}

/// A key and a self-signed certificate by the openssl command.
fn openssl_certificate(folder: &Folder, options: &[&str]) {
    fs::create_dir_all(folder.path("certs")).unwrap();
    let mut arguments = vec![
        "req",
        "-x509",
        "-subj",
        "/CN=localhost",
        "-days",
        "2",
        "-nodes",
    ];
    arguments.extend(["-addext", "subjectAltName=DNS:localhost"]);
    arguments.extend(["-keyout", "certs/server.key", "-out", "certs/server.crt"]);
    arguments.extend(options);
    let output = folder.command("openssl", &arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    fs::copy(folder.path("certs/server.crt"), folder.path("certs/ca.crt")).unwrap();
}

#[test]
fn what_openssl_req_makes_by_default_is_explained_on_both_sides() {
    let folder = Folder::new();
    openssl_certificate(&folder, &["-newkey", "rsa:2048"]);
    let server = Server::start_in(folder, &[]);
    assert!(
        server
            .operator
            .seen()
            .contains("This certificate is an authority's own (CA:TRUE)")
    );
    let words = refused(&server, &[]);
    assert!(words.contains("CaUsedAsEndEntity"), "{words}");
    let option = "basicConstraints=critical,CA:FALSE";
    assert!(words.contains(option), "{words}");
    // What the advice says works.
    let folder = Folder::new();
    openssl_certificate(&folder, &["-newkey", "rsa:2048", "-addext", option]);
    Server::start_in(folder, &[]).still_serves();
}

#[test]
fn keys_of_all_forms_serve_or_say_why_not() {
    let option = ["-addext", "basicConstraints=critical,CA:FALSE"];
    // Elliptic curve, SEC 1, with the parameters in front, as openssl ecparam writes it.
    let folder = Folder::new();
    let key = folder.command(
        "openssl",
        &[
            "ecparam",
            "-name",
            "prime256v1",
            "-genkey",
            "-out",
            "ec.key",
        ],
    );
    assert!(key.status.success(), "{}", stderr(&key));
    openssl_certificate(&folder, &[&["-key", "ec.key"], &option[..]].concat());
    fs::rename(folder.path("ec.key"), folder.path("certs/server.key")).unwrap();
    let text = fs::read_to_string(folder.path("certs/server.key")).unwrap();
    assert!(text.contains("BEGIN EC PARAMETERS") && text.contains("BEGIN EC PRIVATE KEY"));
    Server::start_in(folder, &[]).still_serves();
    // RSA, PKCS #1.
    let folder = Folder::new();
    let key = folder.command(
        "openssl",
        &["genrsa", "-traditional", "-out", "rsa.key", "2048"],
    );
    assert!(key.status.success(), "{}", stderr(&key));
    openssl_certificate(&folder, &[&["-key", "rsa.key"], &option[..]].concat());
    fs::rename(folder.path("rsa.key"), folder.path("certs/server.key")).unwrap();
    let text = fs::read_to_string(folder.path("certs/server.key")).unwrap();
    assert!(text.contains("BEGIN RSA PRIVATE KEY"));
    Server::start_in(folder, &[]).still_serves();
    // Encrypted, in both forms.
    for traditional in [false, true] {
        let folder = Folder::with_certs();
        let mut arguments = vec!["genrsa", "-aes128", "-passout", "pass:x"];
        arguments.extend(traditional.then_some("-traditional"));
        arguments.extend(["-out", "certs/server.key", "2048"]);
        assert!(folder.command("openssl", &arguments).status.success());
        let words = fails(&folder, &["chat", "serve"]);
        assert!(words.contains("is encrypted with a password"), "{words}");
        assert!(
            words.contains("openssl pkey -in certs/server.key"),
            "{words}"
        );
    }
    // Another certificate's, and none at all.
    let (folder, other) = (Folder::with_certs(), Folder::with_certs());
    let key = other.path("certs/server.key");
    let words = fails(&folder, &["chat", "serve", "--key", key.to_str().unwrap()]);
    assert!(
        words.contains("does not belong to the certificate"),
        "{words}"
    );
    let words = fails(&folder, &["chat", "serve", "--key", "certs/ca.crt"]);
    assert!(
        words.contains("certs/ca.crt holds no private key"),
        "{words}"
    );
    let words = fails(&folder, &["chat", "serve", "--cert", "certs/server.key"]);
    assert!(
        words.contains("certs/server.key holds no certificate"),
        "{words}"
    );
    let words = fails(&Folder::new(), &["chat", "serve"]);
    assert!(words.contains("no file certs/server.crt"), "{words}");
    assert!(words.contains("\n    layerwise certs\n"), "{words}");
}

#[track_caller]
fn fails(folder: &Folder, arguments: &[&str]) -> String {
    let output = folder.run(arguments);
    assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
    stderr(&output).to_owned()
}

#[test]
fn where_one_cannot_listen_or_connect_is_said() {
    let server = Server::start(&[]);
    let folder = &server.folder;
    let port = server.port;
    for place in [format!("localhost:{port}"), format!("127.0.0.1:{port}")] {
        let words = fails(folder, &["chat", "serve", "--listen", &place]);
        assert!(
            words.contains("another program listens there already"),
            "{words}"
        );
        assert!(words.contains(&format!("sport = :{port}")), "{words}");
    }
    let words = fails(folder, &["chat", "serve", "--listen", "192.0.2.1:8080"]);
    assert!(
        words.contains("this machine does not have that address"),
        "{words}"
    );
    let words = fails(folder, &["chat", "serve", "--listen", "localhost:http"]);
    assert!(words.contains("the port is a number"), "{words}");

    // A privileged port, as an ordinary user.
    let folder = Folder::with_certs();
    for name in ["", "certs", "certs/server.key"] {
        let path = folder.path(name);
        nix::unistd::chown(&path, Some(65534.into()), Some(65534.into())).unwrap();
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    let program = std::env::var("CARGO_BIN_EXE_layerwise");
    command.arg(program.unwrap_or_else(|_| env!("CARGO_BIN_EXE_layerwise").to_owned()));
    command.args(["chat", "serve", "--listen", "127.0.0.1:80"]);
    let output = command.current_dir(&folder.0).output().unwrap();
    assert!(
        stderr(&output).contains("ports below 1024 are for root alone"),
        "{}",
        stderr(&output)
    );

    // A port that was just given back: nobody listens there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = free.local_addr().unwrap().to_string();
    drop(free);
    let output = folder.run(&["chat", "join", &place]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("nobody listens there"),
        "{}",
        stderr(&output)
    );
    let output = folder.run(&["chat", "join", "no-such-host.invalid"]);
    assert!(
        stderr(&output).contains("has no address"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn secrets_are_written_only_where_nobody_else_reads() {
    let folder = Folder::with_certs();
    fs::write(folder.path("open"), "").unwrap();
    fs::set_permissions(folder.path("open"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(folder.path("target"), "").unwrap();
    fs::set_permissions(folder.path("target"), fs::Permissions::from_mode(0o600)).unwrap();
    symlink(folder.path("target"), folder.path("link")).unwrap();
    for (file, why) in [
        ("open", "others may read"),
        ("link", "symbolic link"),
        ("certs", "directory"),
        ("no/such/folder", "No such file"),
    ] {
        for side in ["serve", "join"] {
            let words = fails(&folder, &["chat", side, "--keylog", file]);
            assert!(words.contains(why), "{side} {file}: {words}");
        }
    }
    let server = Server::start_in(folder, &["--keylog", "keys"]);
    assert!(
        server
            .operator
            .seen()
            .contains("The secrets of this chat are written to keys")
    );
    let mut ada = server.join_with(&["--keylog", "keys-of-ada"]);
    ada.expect("* welcome");
    assert!(
        ada.seen()
            .contains("The secrets of this chat are written to keys-of-ada")
    );
    // A second one goes on in the same file.
    server
        .join_with(&["--keylog", "keys-of-ada"])
        .expect("* welcome");
    let read = |name| fs::read_to_string(server.folder.path(name)).unwrap();
    let (of_server, of_ada) = (read("keys"), read("keys-of-ada"));
    assert_eq!(
        of_ada
            .lines()
            .filter(|line| line.starts_with("CLIENT_TRAFFIC_SECRET_0 "))
            .count(),
        2
    );
    for line in of_ada.lines() {
        assert!(of_server.contains(line));
    }
    for name in ["keys", "keys-of-ada"] {
        let mode = fs::metadata(server.folder.path(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    // Nothing is written unasked.
    let mut command =
        server
            .folder
            .layerwise(&["chat", "join", &format!("localhost:{}", server.port)]);
    command.env("SSLKEYLOGFILE", server.folder.path("unasked"));
    Person::start(command).expect("* welcome");
    assert!(!server.folder.path("unasked").exists());
}

/// A terminal (tmux) in which a client runs.
struct Screen {
    name: String,
}

impl Screen {
    fn start(server: &Server, options: &str) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("layerwise-{}-{number}", std::process::id());
        let program = env!("CARGO_BIN_EXE_layerwise");
        let port = server.port;
        let command = format!(
            "{program} chat join localhost:{port} {options}; echo \"status $?\"; stty -a | tr ' ' '\\n' | grep -x -e '-\\?icanon;\\?' -e '-\\?echo;\\?'; echo end; exec cat"
        );
        let screen = Self { name };
        let folder = server.folder.0.to_str().unwrap().to_owned();
        screen.tmux(&[
            "new-session",
            "-d",
            "-x",
            "80",
            "-y",
            "40",
            "-c",
            &folder,
            &command,
        ]);
        screen
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux")
            .args(["-L", &self.name, "-f", "/dev/null"])
            .args(arguments)
            .env("TERM", "xterm-256color")
            .output()
            .unwrap_or_else(|error| panic!("tmux is needed for this test: {error}"));
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            stderr(&output)
        );
        stdout(&output).trim_end().to_owned()
    }

    fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Waits until the screen ends with these lines.
    #[track_caller]
    fn ends_with(&self, end: &str) -> String {
        let deadline = Instant::now() + LONG;
        loop {
            let shown = self.tmux(&["capture-pane", "-p"]);
            if shown.ends_with(end) {
                return shown;
            }
            assert!(Instant::now() < deadline, "not {end:?} but\n{shown}");
            std::thread::yield_now();
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = Command::new("tmux")
            .args(["-L", &self.name, "kill-server"])
            .output();
    }
}

#[test]
fn lines_that_come_in_do_not_tear_the_prompt() {
    let mut server = Server::start(&[]);
    let mut bob = server.join("Bob");
    let screen = Screen::start(&server, "--name Ada");
    screen.ends_with("* you are Ada now\n>");
    screen.keys(&["-l", "half a li"]);
    screen.ends_with("\n> half a li");
    for number in 0..5 {
        bob.say(&format!("number {number}"));
    }
    screen.ends_with(
        "> \nBob: number 0\nBob: number 1\nBob: number 2\nBob: number 3\nBob: number 4\n> half a li"
            .trim_start_matches("> \n"),
    );
    // Editing goes on where it was: to the start, a word more, to the end.
    screen.keys(&["C-a"]);
    screen.keys(&["-l", "not "]);
    screen.keys(&["C-e"]);
    screen.keys(&["-l", "ne"]);
    screen.ends_with("> not half a line");
    screen.keys(&["Enter"]);
    bob.expect("Ada: not half a line");
    screen.ends_with("> not half a line\n>");
    // The history is there.
    screen.keys(&["Up"]);
    screen.ends_with("> not half a line");
    // When the server goes in the middle of it, the terminal is as it was.
    server.operator.say("/quit");
    let shown = screen.ends_with("status 0\nicanon\necho\nend");
    assert!(
        shown.contains("* the operator has closed the chat\n"),
        "{shown}"
    );
    assert!(
        shown.contains("\nThe server has said goodbye: the chat is over.\n"),
        "{shown}"
    );
}

#[test]
fn the_terminal_is_given_back_on_every_way_out() {
    let server = Server::start(&[]);
    for (keys, mark) in [("C-c", ""), ("C-d", ""), ("C-c", "--insecure")] {
        let screen = Screen::start(&server, mark);
        let prompt = match mark {
            "" => ">",
            _ => "[not verified] >",
        };
        screen.ends_with(&format!("/help says more\n{prompt}"));
        screen.keys(&[keys]);
        let shown = screen.ends_with("You have left the chat.\nstatus 0\nicanon\necho\nend");
        assert_eq!(shown.contains("nobody has checked whom"), !mark.is_empty());
    }
    let screen = Screen::start(&server, "");
    screen.ends_with("/help says more\n>");
    server.operator.signal(Signal::SIGKILL);
    let shown = screen.ends_with("status 1\nicanon\necho\nend");
    assert!(shown.contains("was cut: "), "{shown}");
}

#[test]
fn lines_typed_ahead_are_all_said() {
    let server = Server::start(&[]);
    let mut bob = server.join("Bob");
    let screen = Screen::start(&server, "--name Ada");
    screen.ends_with("* you are Ada now\n>");
    // At once, as a terminal without bracketed paste does it.
    let lines: String = (1..=12).map(|number| format!("line {number}\r")).collect();
    screen.keys(&["-l", &lines]);
    for number in 1..=12 {
        bob.expect(&format!("Ada: line {number}"));
    }
}

#[test]
fn plain_is_plain_even_on_a_terminal() {
    let server = Server::start(&[]);
    let screen = Screen::start(&server, "--plain --name Ada");
    screen.ends_with("* you are Ada now");
    let mut bob = server.join("Bob");
    screen.ends_with("* Bob joined");
    screen.keys(&["-l", "hi"]);
    screen.keys(&["Enter"]);
    bob.expect("Ada: hi");
    screen.keys(&["C-c"]);
    screen.ends_with("You have left the chat.\nstatus 0\nicanon\necho\nend");
}
