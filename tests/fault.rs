//! `--fault` as a person uses it: what the screen says was done, what it led to, and what is refused.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail by panicking"
)]

use std::process::{Command, Output};

fn demo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_layerwise"))
        .arg("demo")
        .args(arguments)
        .env_remove("CLICOLOR_FORCE")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// All words of the output, whatever lines they stand in.
fn words(output: &Output) -> String {
    let text = text(&output.stdout).replace('│', " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_picture_says_that_its_packet_was_lost() {
    let again = "drop where tcp.analysis.retransmission always";
    for (more, says) in [
        (
            &[][..],
            "B did this with the same bytes when they came again",
        ),
        (
            &["--fault", again],
            "its bytes never came: B has done nothing of this",
        ),
    ] {
        let output = demo(&[&["--fault", "drop where chat.text == \"hi\""], more].concat());
        let words = words(&output);
        assert!(
            words.contains(&format!(
                "(Packet 8 was lost on the way{}",
                if more.is_empty() { ": " } else { ", and " }
            )),
            "{words}"
        );
        assert!(words.contains(says), "{words}");
    }
    assert!(!words(&demo(&[])).contains("was lost on the way"));
}

#[test]
fn words_of_the_ip_header_are_swapped_too() {
    // The sum of TCP's pseudo header stays as it was, and so does that of the IP header.
    for (rule, fires) in [("swap16 ip.dst", true), ("swap16 ip.id", false)] {
        let output = demo(&["--fault", rule]);
        assert!(output.status.success(), "{rule}: {}", text(&output.stderr));
        let never = words(&output).contains("never fired");
        assert_eq!(fires, !never, "{rule}");
    }
}

#[test]
fn what_was_done_stands_beside_the_packet() {
    for (rule, says) in [
        ("drop where chat.text == \"hi\"", "lost on the way (rule 1)"),
        ("delay 2ms where chat", "delayed by 2.0 ms (rule 1)"),
        (
            "duplicate where chat",
            "a second copy of the packet before it (rule 1)",
        ),
        (
            "reorder where tls.handshake.type == server_hello",
            "held back behind the next 1, 500 ms at most (rule 1)",
        ),
        (
            "flip 330 stale where chat",
            "changed at byte 41, checksums left as they were (rule 1)",
        ),
        (
            "set ip.ttl 9 where chat",
            "changed at byte 8, checksums set right (rule 1)",
        ),
        (
            "truncate where chat",
            "bytes, lengths and checksums set right (rule 1)",
        ),
    ] {
        for depth in [&[][..], &["-v"], &["--plain"]] {
            let mut arguments = vec!["--fault", rule];
            arguments.extend(depth);
            let output = demo(&arguments);
            assert!(output.status.success(), "{rule}: {}", text(&output.stderr));
            let words = words(&output);
            assert_eq!(words.matches(says).count(), 1, "{rule} {depth:?}: {words}");
            assert!(words.contains("On the wire: "), "{words}");
            assert!(!words.contains("never fired"), "{words}");
        }
    }
}

#[test]
fn a_chat_that_fails_is_shown_to_its_end() {
    for (rule, says) in [
        ("flip chat.text where chat", "bad_record_mac"),
        (
            "replay where chat",
            "forged: the data before it, said again (rule 1)",
        ),
        (
            "rst where chat",
            "forged: a reset in the sender's name (rule 1)",
        ),
        (
            "fin where chat",
            "forged: an end in the sender's name (rule 1)",
        ),
    ] {
        let output = demo(&["--fault", rule]);
        assert_eq!(output.status.code(), Some(1), "{rule}");
        let error = text(&output.stderr);
        assert!(
            error.starts_with("layerwise: the chat failed at B"),
            "{error}"
        );
        let words = words(&output);
        assert!(
            words.contains(says) && words.contains("On the wire: "),
            "{words}"
        );
    }
}

#[test]
fn a_rule_that_never_fired_says_so() {
    let output = demo(&[
        "--fault",
        "drop where udp",
        "--fault",
        "drop where tcp after 99",
    ]);
    assert!(output.status.success());
    let words = words(&output);
    assert!(
        words.contains("Rule 1 never fired: no packet fitted its condition: drop where udp"),
        "{words}"
    );
    assert!(
        words.contains("Rule 2 never fired: 15 packets fitted, but it was never its turn"),
        "{words}"
    );
}

#[test]
fn a_wrong_rule_is_marked() {
    for wire in ["memory", "tun"] {
        let rule = "drop where tcp.prot == 1 always";
        let output = demo(&["--wire", wire, "--fault", rule]);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
        assert_eq!(
            text(&output.stderr),
            "layerwise: --fault: no such field: tcp.prot; did you mean tcp.port?\n  \
             drop where tcp.prot == 1 always\n             ^^^^^^^^\n"
        );
    }
}

/// Faults act on wires that the program makes itself. No option of the commands that touch a real interface takes a rule.
#[test]
fn there_are_no_faults_on_a_real_interface() {
    for command in [
        &["capture", "-i", "lo"][..],
        &["read", "x"],
        &["chat", "join", "127.0.0.1:1"],
        &["chat", "serve"],
        &["lesson"],
        &["doctor"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_layerwise"))
            .args(command)
            .args(["--fault", "drop"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{command:?}");
        assert!(text(&output.stderr).contains("--fault"), "{command:?}");
    }
}

/// The whole of a sentence of the end: its lines are broken where there is room.
#[test]
fn a_verdict_says_which_layer_noticed_and_what_cured_it() {
    for (rule, says) in [
        (
            "drop where chat.text == \"hi\"",
            "#8 (rule 1): caught by TCP (no acknowledgment), cured by retransmission after 1010.0 ms \
             (#11, timeout 1000.0 ms); the chat noticed nothing but a wait of 1010.0 ms.",
        ),
        (
            "flip chat.text stale where chat.text == \"hi\"",
            "#8 (rule 1): caught by TCP (checksum), cured by retransmission after 1010.0 ms \
             (#11, timeout 1000.0 ms); the chat noticed nothing but a wait of 1010.0 ms.",
        ),
        (
            "flip chat.text where chat.text == \"hi\"",
            "#8 (rule 1): caught by TLS (bad_record_mac), not cured; the connection broke at B.",
        ),
        (
            "flip ip.ttl stale where chat.text == \"hi\"",
            "#8 (rule 1): caught by IP (header checksum), cured by retransmission",
        ),
        (
            "duplicate where chat.text == \"hi\"",
            "#9 (rule 1): caught by TCP (sequence numbers: a duplicate), nothing was missing; the \
             chat noticed nothing.",
        ),
        (
            "fin where chat.text == \"hi\"",
            "#9 (rule 1): caught by TLS (no close_notify), not cured; B saw an end that nobody \
             vouches for.",
        ),
    ] {
        for form in [&[][..], &["-v"], &["--plain"], &["--ascii"]] {
            let mut arguments = vec!["--fault", rule];
            arguments.extend(form);
            let output = demo(&arguments);
            let said = words(&output);
            assert!(said.contains("What came of it:"), "{rule} {form:?}");
            assert!(said.contains(says), "{rule} {form:?}: {said}");
            for line in text(&output.stdout).lines() {
                let wide = line.chars().count();
                assert!(
                    wide <= 80 || form == ["--plain"] || form == ["-v"],
                    "{wide} columns: {line}"
                );
            }
        }
    }
}

#[test]
fn what_nobody_noticed_is_said_too() {
    let rule = "swap16 where chat.text == \"pay 100 to Bob\"";
    let output = demo(&["--no-tls", "--fault", rule, "pay 100 to Bob"]);
    let said = words(&output);
    for part in [
        "→ B's application reads \"y pa100 to Bob\" where A said \"pay 100 to Bob\": nobody noticed",
        "#4 (rule 1): noticed by nobody, not cured; B read \"y pa100 to Bob\" where A said \"pay 100 \
         to Bob\".",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn consequences_stand_where_they_happen() {
    let output = demo(&["--fault", "flip chat.text stale where chat.text == \"hi\""]);
    let said = words(&output);
    let mut at = 0;
    for part in [
        "✗ changed at byte 45, checksums left as they were (rule 1)",
        "→ B's TCP throws #8 away (checksum) and acknowledges nothing",
        "B hands A a ticket",
        "→ that is #8 again: timeout after 1000.0 ms",
        "B says \"hello\"",
        "What came of it:",
    ] {
        let place = said.get(at..).and_then(|rest| rest.find(part));
        at += place.unwrap_or_else(|| panic!("{part} is not behind the others: {said}"));
    }
    // What a copy does is not its sender's doing.
    let said = words(&demo(&["--fault", "duplicate where chat.text == \"hi\""]));
    assert!(said.contains("not from A: made up on the way"), "{said}");
}

/// A copy comes at once: no time has run out.
#[test]
fn only_what_waited_is_sent_again_for_lack_of_an_acknowledgment() {
    for (rule, timeouts) in [
        ("duplicate where chat.text == \"hi\"", 0),
        ("drop where chat.text == \"hi\"", 1),
    ] {
        let output = demo(&[
            "-Y",
            "tcp.analysis.timeout",
            "-T",
            "fields",
            "-e",
            "frame.number",
            "--fault",
            rule,
        ]);
        assert_eq!(text(&output.stdout).lines().count(), timeouts, "{rule}");
        let output = demo(&[
            "-Y",
            "tcp.analysis.retransmission",
            "-T",
            "fields",
            "-e",
            "frame.number",
            "--fault",
            rule,
        ]);
        assert_eq!(text(&output.stdout).lines().count(), 1, "{rule}");
    }
}

#[test]
fn a_capture_says_what_was_done_to_its_packets() {
    let file = std::env::temp_dir().join(format!("layerwise-fault-{}.pcapng", std::process::id()));
    let path = file.to_str().unwrap();
    let rules = [
        "drop where chat.text == \"hi\"",
        "duplicate where tls.handshake.type == 1",
    ];
    let output = demo(&["-w", path, "--fault", rules[0], "--fault", rules[1]]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let output = Command::new("tshark")
        .args(["-r", path, "-T", "fields", "-e", "frame.comment"])
        .output()
        .unwrap();
    std::fs::remove_file(&file).unwrap();
    let comments: Vec<_> = text(&output.stdout).lines().collect();
    let is = |comment: &str| {
        comments
            .iter()
            .filter(|line| line.starts_with(comment))
            .count()
    };
    assert_eq!(
        is("A says \"hi\"; lost on the way (rule 1)"),
        1,
        "{comments:?}"
    );
    let copy = "not from A: made up on the way; a second copy of the packet before it (rule 2)";
    assert_eq!(is(copy), 1, "{comments:?}");
}

#[test]
fn of_many_faults_there_is_a_count() {
    let long = "x".repeat(60_000);
    let output = demo(&["--seed", "3", "--fault", "random loss 20%", &long]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = words(&output);
    assert!(said.contains("rule 1 goes on like this"), "{said}");
    let (_, end) = said.split_once("What came of it: ").unwrap();
    let (verdict, _) = end.split_once("In all: ").unwrap();
    assert!(verdict.starts_with("Rule 1 touched "), "{verdict}");
    for part in [
        "caught by TCP (no acknowledgment)",
        "Cured: ",
        "had to wait (at most ",
    ] {
        assert!(verdict.contains(part), "{verdict}");
    }
    assert!(!verdict.contains("not at all"), "{verdict}");
    assert!(
        said.matches("✗ lost on the way (rule 1)").count() == 8,
        "{said}"
    );
}

#[test]
fn programs_get_packets_and_nothing_else() {
    let rule = "drop where chat.text == \"hi\"";
    let output = demo(&["-T", "json", "--fault", rule]);
    let lines: Vec<_> = text(&output.stdout).lines().collect();
    assert_eq!(lines.len(), 17);
    assert!(
        lines
            .iter()
            .all(|line| line.starts_with('{') && line.ends_with('}'))
    );
    let output = demo(&["-T", "fields", "-e", "frame.number", "--fault", rule]);
    let numbers: Vec<_> = text(&output.stdout).lines().collect();
    assert_eq!(numbers.len(), 17);
    assert!(numbers.iter().all(|line| line.parse::<u64>().is_ok()));
}

/// Whoever is asked to end in the middle leaves a file that is complete, to the last packet that was shown.
#[test]
#[cfg(target_os = "linux")]
fn an_interrupted_file_is_complete() {
    use std::io::{BufRead as _, BufReader, Read as _};

    let path = std::env::temp_dir().join(format!("layerwise-asked-{}.pcapng", std::process::id()));
    let file = path.to_str().unwrap();
    let lost = "drop where ip.src == 1.2.3.4 && tcp.len > 0 always";
    let mut child = Command::new(env!("CARGO_BIN_EXE_layerwise"))
        .args([
            "demo", "--wire", "tun", "-w", file, "--force", "--fault", lost,
        ])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut shown = String::new();
    // From then on it waits for minutes, longer each time.
    while !shown.contains("bytes again") {
        assert!(output.read_line(&mut shown).unwrap() > 0, "{shown}");
    }
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    output.read_to_string(&mut shown).unwrap();
    assert!(child.wait().unwrap().success(), "{shown}");
    assert!(shown.contains("What came of it"), "{shown}");
    let mut arrows = shown
        .lines()
        .filter(|line| line.contains("──▶│") || line.contains("│◀──"));
    let last = arrows
        .next_back()
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned();
    let read = Command::new(env!("CARGO_BIN_EXE_layerwise"))
        .args(["read", file])
        .output()
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(read.status.success(), "{}", text(&read.stderr));
    let mut numbers = text(&read.stdout)
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    assert_eq!(numbers.next_back(), Some(last.as_str()));
}

/// A router that throws away what has no hop left says so by ICMP (RFC 792), and what comes of that is said truthfully.
#[test]
#[cfg(target_os = "linux")]
fn a_router_tells_who_sent_what_had_no_hop_left() {
    let tun = |more: &[&str]| demo(&[&["--wire", "tun", "--hops", "2"], more].concat());
    for link in ["ip", "ethernet"] {
        let rule = "set ip.ttl 1 where chat.text == \"hi\"";
        let output = tun(&["--link", link, "--fault", rule]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let words = words(&output);
        for says in [
            "1.2.3.1 says: a packet was on its way for too long",
            "A hears from the router that #",
            "Its TCP notes that and goes on",
            "caught by IP (no hop left: a router threw it away, and told the sender by ICMP), cured by retransmission",
            "1 lost, 0 not let go.",
        ] {
            assert!(words.contains(says), "{link}: {says}: {words}");
        }
    }
    // The second router has an address of its own; Linux does not ask a second time.
    let output = tun(&["--fault", "set ip.ttl 2 where tcp.flags.syn == 1"]);
    let told = words(&output);
    for says in [
        "10.0.1.2 says: a packet was on its way for too long",
        "Linux gives up connecting at once",
        "caught by IP (no hop left: a router threw it away, and told the sender by ICMP), not cured; A's TCP gave up",
    ] {
        assert!(told.contains(says), "{says}: {told}");
    }
    let error = text(&output.stderr);
    assert!(
        error.contains("there is no way to the other side"),
        "{error}"
    );
    // What is wrong with the header is not covered up, and nobody is told.
    let output = tun(&["--fault", "set ip.ttl 1 stale where chat.text == \"hi\""]);
    let spoilt = words(&output);
    assert!(
        spoilt.contains("caught by IP (header checksum), cured by"),
        "{spoilt}"
    );
    assert!(!spoilt.contains("too long"), "{spoilt}");
    // At both ends it is a packet that nobody there has sent, and no segment.
    let rule = "set ip.ttl 1 where chat.text == \"hi\"";
    let sides = words(&tun(&["--sides", "--fault", rule]));
    assert!(sides.contains("Time exceeded"), "{sides}");
    assert!(!sides.contains("before it are missing"), "{sides}");
}
