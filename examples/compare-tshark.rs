//! Compares what this program says of a capture with what `tshark -T fields` says, key by key: see `scripts/compare-tshark`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a tool for developers may fail by panicking"
)]

use std::path::PathBuf;
use std::process::ExitCode;

#[path = "../tests/tshark/compare.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
pub mod compare;

fn main() -> ExitCode {
    let mut files = Vec::new();
    let mut keylog = None;
    let mut examples = 5;
    let mut options = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--keylog" => keylog = arguments.next().map(PathBuf::from),
            "-d" | "-o" => options.extend([argument].into_iter().chain(arguments.next())),
            "--examples" => examples = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(5),
            _ => files.push(PathBuf::from(argument)),
        }
    }
    if files.is_empty() {
        eprintln!(
            "usage: compare-tshark [--keylog FILE] [--examples N] [-d RULE]… [-o PREFERENCE]… CAPTURE…"
        );
        return ExitCode::FAILURE;
    }
    let mut all = compare::Report::default();
    for file in &files {
        match compare::compare(file, keylog.as_deref(), &options) {
            Ok(report) => {
                println!("{}: {} frames", file.display(), report.frames);
                print!("{}", report.table(examples));
                all.add(&report);
            }
            Err(error) => {
                eprintln!("compare-tshark: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    if files.len() > 1 {
        println!("\nall {} captures: {} frames", files.len(), all.frames);
        print!("{}", all.table(0));
    }
    println!("\nnot compared, because the two mean different things:");
    for (key, why) in compare::NOT_COMPARED {
        println!("    {key}: {why}");
    }
    ExitCode::SUCCESS
}
