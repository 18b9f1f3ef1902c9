//! Lessons on the kernel's wire: as oneself and as nobody, left and resumed, and where the system refuses it.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod run;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The user and the group that own nothing.
const NOBODY: [&str; 6] = [
    "setpriv",
    "--reuid",
    "65534",
    "--regid",
    "65534",
    "--clear-groups",
];

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A folder of its own that every user may use, with a copy of the program in it; removed at the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("layerwise-lessons-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("state")).unwrap();
        for path in [folder.clone(), folder.join("state")] {
            fs::set_permissions(path, PermissionsExt::from_mode(0o777)).unwrap();
        }
        let program = folder.join("layerwise");
        run::copy_program(&program);
        Self(folder)
    }

    fn run(&self, before: &[&str], arguments: &[&str], input: &str) -> Output {
        let program = self.0.join("layerwise");
        let mut command = match before {
            [] => Command::new(&program),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(&program);
                command
            }
        };
        command
            .env_remove("LANG")
            .env_remove("LC_ALL")
            .env_remove("LC_MESSAGES")
            .arg("lesson")
            .arg("--state")
            .arg(self.0.join("state"))
            .args(arguments);
        run::piped(&mut command, input)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[track_caller]
fn shown(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Says so where this machine has no such wire.
fn is_refused(place: &Place, test: &str) -> bool {
    let output = place.run(&[], &["--wire", "tun", "start", "3"], "q\n");
    let error = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        assert!(error.contains("--wire memory"), "{error}");
        eprintln!("SKIPPED: {test}: {error}");
    }
    !output.status.success()
}

#[test]
fn every_lesson_for_it_is_right_on_the_kernels_wire() {
    let place = Place::new("tun");
    if is_refused(&place, "every_lesson_for_it_is_right_on_the_kernels_wire") {
        return;
    }
    let text = shown(&place.run(&[], &["--wire", "tun", "dev", "check"], ""));
    for lesson in [
        "06-loss",
        "07",
        "08",
        "09",
        "10-slow-reader",
        "14-replay",
        "16-goodbye",
    ] {
        let line = text.lines().find(|line| line.starts_with(lesson));
        assert!(
            line.is_some_and(|line| line.contains(": good")),
            "{lesson}: {text}"
        );
    }
}

#[test]
fn so_they_are_for_an_ordinary_user() {
    if !is_root() {
        eprintln!("SKIPPED: so_they_are_for_an_ordinary_user: only root can become another user");
        return;
    }
    let place = Place::new("nobody");
    if is_refused(&place, "so_they_are_for_an_ordinary_user") {
        return;
    }
    let own = place.0.join("lessons");
    for lesson in ["06-loss", "16-goodbye"] {
        let to = own.join(lesson);
        fs::create_dir_all(&to).unwrap();
        for file in ["lesson.toml", "en.toml"] {
            fs::copy(Path::new("lessons").join(lesson).join(file), to.join(file)).unwrap();
        }
    }
    let own = own.to_str().unwrap().to_owned();
    let text = shown(&place.run(
        &NOBODY,
        &["--wire", "tun", "--lessons", &own, "dev", "check"],
        "",
    ));
    assert_eq!(text.matches(": good").count(), 2, "{text}");
}

#[test]
fn who_comes_back_finds_the_same_packets() {
    let place = Place::new("resume");
    if is_refused(&place, "who_comes_back_finds_the_same_packets") {
        return;
    }
    let number = |text: &str| {
        let (_, rest) = text.split_once("A's SYN has the number ").unwrap();
        rest.split(' ').next().unwrap().parse::<u32>().unwrap()
    };
    let first = number(&shown(&place.run(&[], &["start", "3"], "q\n")));
    let wanted = first.wrapping_add(1);
    // What is kept holds the secrets of the connection.
    let mut kept = 0;
    for entry in fs::read_dir(place.0.join("state")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with("packets-") {
            assert_eq!(
                entry.metadata().unwrap().permissions().mode() & 0o777,
                0o600
            );
            kept += 1;
        }
    }
    assert_eq!(kept, 1);
    let text = shown(&place.run(&[], &[], &format!("{wanted}\n")));
    assert_eq!(number(&text), first, "{text}");
    assert!(text.contains("Right."), "{text}");
    // Begun anew, it is another connection, and the old packets are gone.
    let again = number(&shown(&place.run(&[], &["again"], "q\n")));
    assert_ne!(again, first);
    shown(&place.run(&[], &["reset", "3"], ""));
    let left = fs::read_dir(place.0.join("state")).unwrap();
    let left = left.filter(|e| {
        e.as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with("packets-")
    });
    assert_eq!(left.count(), 0);
}

#[test]
fn a_report_says_what_nobody_can_play_again() {
    let place = Place::new("report");
    if is_refused(&place, "a_report_says_what_nobody_can_play_again") {
        return;
    }
    shown(&place.run(&[], &["start", "3"], "5\n6\nq\n"));
    let file = place.0.join("report.json");
    let file = file.to_str().unwrap();
    shown(&place.run(&[], &["report", "--format", "json", "-o", file], ""));
    let table = shown(&place.run(&[], &["grade", file], ""));
    assert!(table.contains("good,good but 2 on tun"), "{table}");
}

#[test]
fn where_it_is_refused_the_memory_wire_is_the_way_on() {
    if !is_root() {
        eprintln!(
            "SKIPPED: where_it_is_refused_the_memory_wire_is_the_way_on: only root can give up rights"
        );
        return;
    }
    let place = Place::new("refused");
    let bare = [
        "setpriv",
        "--bounding-set=-all",
        "--inh-caps=-all",
        "--no-new-privs",
    ];
    let output = place.run(&bare, &["--wire", "tun", "start", "6"], "q\n");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        error.contains("is refused: ")
            && error.contains("layerwise lesson --wire memory start loss"),
        "{error}"
    );
    // Nothing was begun; and the way on is one.
    let text = shown(&place.run(&bare, &["--wire", "memory", "start", "loss"], "q\n"));
    assert!(text.contains("Lesson 6"), "{text}");
    // A lesson that is about what TCP carries says so, and runs in memory.
    let text = shown(&place.run(&bare, &["--wire", "tun", "start", "15"], "q\n"));
    assert!(
        text.contains("runs on the memory wire only") && text.contains("Lesson 15"),
        "{text}"
    );
}
