//! The program as a person uses it: what it prints, how it ends, what it refuses.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use std::io::Read;
use std::process::{Command, Output, Stdio};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_layerwise"));
    for variable in ["NO_COLOR", "CLICOLOR_FORCE", "CARGO", "COLUMNS"] {
        command.env_remove(variable);
    }
    command.env("TERM", "xterm-256color").stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    program().args(arguments).output().unwrap()
}

fn text(output: &Output) -> &str {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.stderr, b"", "nothing on standard error");
    std::str::from_utf8(&output.stdout).unwrap()
}

/// The part of a text from the line that begins with `from` up to the one that begins with `to`.
fn part<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let start = text
        .find(from)
        .unwrap_or_else(|| panic!("{from:?} is not in:\n{text}"));
    let rest = &text[start..];
    let end = rest[from.len()..]
        .find(to)
        .map_or(rest.len(), |at| at + from.len());
    rest[..end].trim_end()
}

/// How wide a line is. (All that these outputs contain beyond ASCII is one column wide.)
fn width(line: &str) -> usize {
    line.chars().count()
}

#[test]
fn the_first_screen() {
    insta::assert_snapshot!("first_screen", text(&run(&[])));
}

#[test]
fn the_depths() {
    let v = run(&["-v"]);
    insta::assert_snapshot!("v_syn_ip", part(text(&v), "━━ #1 ", "\nT "));
    insta::assert_snapshot!(
        "v_hi_tls",
        part(part(text(&v), "━━ #8 ", "━━ #9 "), "S Transport", "━━")
    );
    let vv = run(&["-vv"]);
    insta::assert_snapshot!(
        "vv_hi_chat",
        part(part(text(&vv), "━━ #8 ", "━━ #9 "), "A ", "━━")
    );
    let x = run(&["-x"]);
    insta::assert_snapshot!("x_hi", part(text(&x), "━━ #8 ", "━━ #9 "));
}

#[test]
fn nothing_is_wider_than_the_screen() {
    for columns in [72, 80, 100, 160] {
        for options in [&[][..], &["-v"], &["-vv", "-x"], &["--ascii"]] {
            let columns_text = columns.to_string();
            let mut arguments = vec!["--width", &columns_text];
            arguments.extend(options);
            let output = run(&arguments);
            for line in text(&output).lines() {
                assert!(
                    width(line) <= columns,
                    "{columns} columns, {options:?}: {line}"
                );
            }
        }
    }
}

#[test]
fn ascii_is_ascii_and_color_is_never_alone() {
    let ascii = run(&["--ascii", "-vv", "-x"]);
    assert!(text(&ascii).is_ascii());
    let plain = run(&["-x"]);
    let colored = run(&["-x", "--color", "always"]);
    let mut stripped = String::new();
    let mut rest = text(&colored);
    while let Some((before, after)) = rest.split_once('\x1b') {
        stripped.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    stripped.push_str(rest);
    assert!(text(&colored).contains('\x1b') && !text(&plain).contains('\x1b'));
    let trimmed =
        |text: &str| -> Vec<String> { text.lines().map(|l| l.trim_end().to_owned()).collect() };
    assert!(
        trimmed(&stripped) == trimmed(text(&plain)),
        "colour adds nothing but colour"
    );
}

#[test]
fn the_environment_decides_about_color() {
    let colored = |command: &mut Command| command.output().unwrap().stdout.contains(&0x1b);
    assert!(!colored(&mut program()), "no terminal");
    assert!(colored(program().env("CLICOLOR_FORCE", "1")));
    assert!(!colored(
        program().env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1")
    ));
    assert!(colored(
        program().env("NO_COLOR", "1").args(["--color", "always"])
    ));
    assert!(!colored(
        program()
            .env("CLICOLOR_FORCE", "1")
            .args(["--color", "never"])
    ));
}

#[test]
fn the_same_seed_gives_the_same_screen_to_the_byte() {
    let x = |seed: &str| run(&["demo", "-x", "--seed", seed]).stdout;
    assert_eq!(x("7"), x("7"));
    assert_ne!(x("7"), x("8"));
}

#[test]
fn any_message_can_be_said() {
    let long = "x".repeat(100_000);
    for (messages, said) in [
        (vec![""], 1),
        (vec!["h"], 2),
        (vec!["grüß dich, 世界 🦀"], "grüß dich, 世界 🦀".len() + 1),
        (vec![long.as_str()], 100_001),
        ((0..20).map(|_| "again").collect(), 6),
    ] {
        let mut arguments = vec!["demo", "--"];
        arguments.extend(&messages);
        let output = run(&arguments);
        let text = text(&output);
        assert!(!text.contains('✗'), "every checksum and tag is right");
        let picture = part(text, "─── A says", "─── B says");
        assert!(
            picture.contains(&format!(" {said} ┐")),
            "{said} bytes: {picture}"
        );
        assert!(
            text.contains(&format!("in {} messages", messages.len() * 2)),
            "{text}"
        );
    }
}

#[test]
fn what_is_said_cannot_steer_the_terminal() {
    let output = run(&[
        "demo",
        "-v",
        "-x",
        "\x1b[2J\x07\u{202e}evil",
        "--reply",
        "\x1b]0;title\x07",
    ]);
    let text = text(&output);
    assert!(!text.contains('\x1b') && !text.contains('\x07') && !text.contains('\u{202e}'));
    assert!(text.contains("\\x1b[2J"));
}

#[test]
fn a_small_mtu_cuts_more_and_a_long_way_takes_longer() {
    let small = run(&["demo", "--mtu", "576"]);
    let far = run(&["demo", "--latency", "1s"]);
    let packets = |output: &Output| -> u32 {
        let line = text(output)
            .lines()
            .find(|line| line.starts_with("In all: "))
            .unwrap()
            .to_owned();
        line.split(' ').nth(2).unwrap().parse().unwrap()
    };
    assert!(packets(&small) > packets(&run(&[])));
    assert!(text(&far).contains(" 1000.0 "), "{}", text(&far));
}

#[test]
fn what_cannot_be_is_refused_in_one_line() {
    for (arguments, hint) in [
        (&["--nonsense"][..], "--help"),
        (&["demo", "--sed", "3"], "did you mean --seed"),
        (&["nonsense"], "--help"),
        (&["demo", "--seed", "18446744073709551616"], "--seed"),
        (&["demo", "--mtu", "12"], "576"),
        (&["demo", "--latency", "2h"], "5ms"),
        (&["demo", "--latency", "100000s"], "--latency"),
        (&["demo", "two\nlines"], "message 1"),
        (&["demo", "--reply", "two\nlines"], "reply"),
        (&["explain", "tcp.flag.syn"], "tcp.flags.syn"),
    ] {
        let output = run(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert_eq!(output.stdout, b"", "{arguments:?}");
        assert_eq!(error.matches('\n').count(), 1, "one line: {error:?}");
        assert!(
            error.starts_with("layerwise: ") && error.contains(hint),
            "{arguments:?}: {error}"
        );
    }
}

#[test]
fn a_reader_who_goes_away_is_no_failure() {
    let mut child = program()
        .args(["demo", "-vv", "-x", &"x".repeat(100_000)])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{:?}", output.status);
    assert_eq!(output.stderr, b"");
}

#[test]
fn explain_explains() {
    insta::assert_snapshot!("explain_syn", text(&run(&["explain", "tcp.flags.syn"])));
    assert!(text(&run(&["explain", "tcp"])).contains("tcp.flags.syn"));
    assert!(text(&run(&["explain", "alert", "20"])).contains("bad_record_mac"));
}
