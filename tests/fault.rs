//! `--fault` as a person uses it: what the screen says was done, what it led to, and what is refused.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

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
            "held back behind the next 1 (rule 1)",
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
