//! `chat --show`: the packets of one's own connection, from the real interface, among the lines of the chat.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod chat_support;
mod run;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use chat_support::{Folder, Server, stderr, stdout};

/// Whether packet sockets may be opened here; a test that cannot run says so.
fn may_watch(test: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("SKIPPED: {test}: only root may open packet sockets");
    }
    root
}

#[test]
fn a_client_sees_the_packets_of_its_own_connection_and_no_others() {
    if !may_watch("a_client_sees_the_packets_of_its_own_connection_and_no_others") {
        return;
    }
    let server = Server::start(&[]);
    let mut bob = server.join("Bob");
    let mut ada = server.join_with(&["--show", "--name", "Ada"]);
    ada.expect("SYN  client asks to connect");
    ada.expect("ClientHello  client greets");
    ada.expect("ServerHello");
    ada.expect("* you are Ada now");
    // Another connection to the same server, from the same host, opens and speaks meanwhile.
    let mut carl = server.join("Carl");
    // What is said now is in another packet than the news that Carl is there.
    ada.expect("Carl");
    carl.say("hello from Carl");
    ada.expect("server says \"Carl: hello");
    bob.expect("Carl: hello from Carl");
    ada.say("hi");
    ada.expect("client says \"hi\"");
    bob.expect("Ada: hi");
    ada.say("/quit");
    assert!(ada.ended().success());
    let seen = ada.seen();
    assert_eq!(seen.matches("asks to connect").count(), 1, "{seen}");
    assert!(!seen.contains("client says \"hello from"), "{seen}");
    // Both ends of the end.
    for end in [
        "client says goodbye",
        "server says goodbye",
        "client has nothing more to send",
        "server has nothing more to send",
    ] {
        assert!(seen.contains(end), "{end}:\n{seen}");
    }
    // On lo each packet passes twice, and is shown once.
    assert_eq!(seen.matches("  \"hi\"  ").count(), 1, "{seen}");
}

#[test]
fn the_operator_sees_the_packets_of_all_clients() {
    if !may_watch("the_operator_sees_the_packets_of_all_clients") {
        return;
    }
    let mut server = Server::start(&["--show"]);
    let mut ada = server.join("Ada");
    server.operator.expect("asks to connect");
    let mut openssl = server.openssl();
    server.operator.expect("asks to connect");
    openssl.expect("* welcome");
    ada.say("from Ada");
    server.operator.expect("says \"from Ada\"");
    openssl.say("from openssl");
    server.operator.expect("says \"from openssl\"");
}

#[test]
fn details_are_shown_with_v() {
    if !may_watch("details_are_shown_with_v") {
        return;
    }
    let server = Server::start(&[]);
    let mut ada = server.join_with(&["--show", "-v"]);
    ada.expect("━━ #1 ");
    ada.expect("Internet Protocol, version 4");
    ada.expect("Transmission Control Protocol");
    ada.expect("* welcome");
    ada.say("the text");
    ada.expect("Sealed content");
    ada.expect("\"the text\"");
}

#[test]
fn rights_are_given_up_before_anybody_is_listened_to() {
    if !may_watch("rights_are_given_up_before_anybody_is_listened_to") {
        return;
    }
    let server = Server::start(&["--show"]);
    let status = format!("/proc/{}/status", server.operator.child.id());
    let status = std::fs::read_to_string(status).unwrap();
    let line = |name: &str| status.lines().find(|line| line.starts_with(name)).unwrap();
    assert_eq!(
        line("CapEff:").split_whitespace().nth(1).unwrap(),
        "0".repeat(16)
    );
    let users: Vec<_> = line("Uid:").split_whitespace().skip(1).collect();
    assert!(!users.contains(&"0"), "{users:?}");
}

#[test]
fn without_the_right_it_says_how_to_get_it() {
    let folder = Folder::new();
    // Where everybody can run it.
    let program = folder.path("layerwise");
    run::copy_program(&program);
    let mut command = match nix::unistd::geteuid().is_root() {
        true => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
            command.arg(&program);
            command
        }
        false => Command::new(&program),
    };
    command.args(["chat", "join", "localhost:9", "--insecure", "--show"]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.contains("sudo setcap cap_net_raw,cap_net_admin=eip ") && text.contains("--show: "),
        "{text}"
    );
}

#[test]
fn the_packets_go_into_a_file_that_others_decrypt() {
    if !may_watch("the_packets_go_into_a_file_that_others_decrypt") {
        return;
    }
    let server = Server::start(&[]);
    let file = server.folder.path("ada.pcapng");
    let path = file.to_str().unwrap().to_owned();
    let mut ada = server.join_with(&[
        "--show",
        "-w",
        &path,
        "--with-secrets",
        "-Y",
        "tcp.len > 0 or tcp.flags.syn",
        "-T",
        "fields",
        "-e",
        "chat.text",
    ]);
    ada.expect("* welcome");
    ada.say("for the file");
    ada.expect("for the file");
    ada.say("/quit");
    assert!(ada.ended().success());
    let about = std::fs::metadata(&file).unwrap();
    assert_eq!(about.permissions().mode() & 0o777, 0o600);
    let port = server.port.to_string();
    let output = Command::new("tshark")
        .args(["-n", "-r", &path, "-d", &format!("tcp.port=={port},tls")])
        .args(["-T", "fields", "-e", "data.data", "-e", "frame.comment"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let said: String = b"for the file\n"
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert!(text.contains(&said), "{text}");
    assert!(text.contains("client says \"for the file\""), "{text}");
}

#[test]
fn what_programs_read_stands_alone_on_standard_output() {
    if !may_watch("what_programs_read_stands_alone_on_standard_output") {
        return;
    }
    let server = Server::start(&[]);
    let ran = |options: &[&str]| {
        let place = format!("localhost:{}", server.port);
        let join = ["chat", "join", &place, "--show", "--name", "Ada"];
        let mut command = server.folder.layerwise(&[&join[..], options].concat());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(b"from Ada\n/quit\n").unwrap();
        drop(input);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(stderr(&output).contains("* welcome"), "{}", stderr(&output));
        output.stdout
    };
    let json = String::from_utf8(ran(&["-T", "json"])).unwrap();
    assert!(json.lines().count() > 8);
    assert!(
        json.lines().all(|line| line.starts_with("{\"frame\":")),
        "{json}"
    );
    // Several lines may come in one packet.
    let fields = String::from_utf8(ran(&["-T", "fields", "-e", "chat.text"])).unwrap();
    assert!(fields.contains("from Ada"), "{fields}");
    assert!(
        !fields.contains("in the chat"),
        "the chat's own line: {fields}"
    );
    let file = server.folder.path("stdout.pcapng");
    std::fs::write(&file, ran(&["-w", "-", "--with-secrets"])).unwrap();
    let read = [
        "read",
        file.to_str().unwrap(),
        "-T",
        "fields",
        "-e",
        "chat.text",
    ];
    let read = server.folder.run(&read);
    assert!(
        stdout(&read).contains("from Ada"),
        "{}{}",
        stdout(&read),
        stderr(&read)
    );
}

#[test]
fn options_about_packets_need_packets() {
    let folder = Folder::new();
    for (arguments, what) in [
        (&["-c", "3"][..], "add --show"),
        (&["-w", "x.pcapng"], "add --show"),
        (&["--show", "-Y", "ip.tll"], "did you mean ip.ttl?"),
    ] {
        let output =
            folder.run(&[&["chat", "join", "localhost:9", "--insecure"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(what), "{}", stderr(&output));
    }
}
