//! What the README shows is what the program does.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail by panicking"
)]

use std::process::Command;

/// Runs one command of the README and gives what it prints.
fn run(command: &str) -> String {
    let arguments = command
        .strip_prefix("cargo run --release")
        .map(|rest| rest.strip_prefix(" --").unwrap_or(rest))
        .or_else(|| command.strip_prefix("layerwise"))
        .unwrap_or_else(|| {
            panic!("the README shows the output of {command:?}, which is not this program")
        });
    let mut program = Command::new(env!("CARGO_BIN_EXE_layerwise"));
    let mut quote = None;
    let words = arguments.split(|c| {
        match quote {
            None if matches!(c, '"' | '\'') => quote = Some(c),
            Some(open) if open == c => quote = None,
            _ => {}
        }
        c == ' ' && quote.is_none()
    });
    let unquoted = |word| {
        let inside = |mark| str::strip_prefix(word, mark)?.strip_suffix(mark);
        inside('"').or_else(|| inside('\'')).unwrap_or(word)
    };
    program.args(words.filter(|word| !word.is_empty()).map(unquoted));
    program
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR_FORCE")
        .env_remove("CARGO");
    if command.starts_with("cargo") {
        program.env("CARGO", "cargo");
    }
    let output = program.output().unwrap();
    assert!(
        output.status.success(),
        "{command}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A block of the README is a command behind `$ ` and what it prints; a line `[…]` stands for any number of lines.
#[test]
fn every_command_in_the_readme_works_and_every_output_is_true() {
    let readme = include_str!("../README.md");
    let mut shown = 0;
    for block in readme.split("```console\n").skip(1) {
        let block = block.split("```").next().unwrap();
        let Some((command, expected)) = block.strip_prefix("$ ").and_then(|b| b.split_once('\n'))
        else {
            panic!("a console block begins with a command: {block:?}");
        };
        let printed = run(command);
        if expected.is_empty() {
            continue;
        }
        shown += 1;
        let mut parts = expected.split("[…]\n");
        let mut rest = parts
            .next()
            .and_then(|first| printed.strip_prefix(first))
            .unwrap_or_else(|| panic!("{command} does not begin like this, but:\n{printed}"));
        for part in parts {
            let at = rest
                .find(part)
                .unwrap_or_else(|| panic!("{command} does not print:\n{part}\nbut:\n{rest}"));
            rest = rest.get(at + part.len()..).unwrap();
        }
        assert!(
            expected.ends_with("[…]\n") || rest.is_empty(),
            "{command} goes on:\n{rest}"
        );
    }
    assert!(shown >= 4, "the README shows what the program prints");
}
