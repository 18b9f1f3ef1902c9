//! How the integration tests run the program: as a copy that everybody may run, and with lines as its input.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test program takes what it needs"
)]
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Copies the program to a place where everybody may run it. Another process does it: if this one had the copy open while
/// another of its threads starts a child, the system would refuse to run it.
pub fn copy_program(to: &Path) {
    let copied = Command::new("cp")
        .arg(env!("CARGO_BIN_EXE_layerwise"))
        .arg(to)
        .status();
    assert!(copied.unwrap().success());
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Runs a command with this as its input, through pipes.
pub fn piped(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // A program that ends early closes its end.
    let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}
