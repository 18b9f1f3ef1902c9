//! `layerwise doctor`: its exit status says what would run, and what it says of each is true.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail by panicking"
)]

mod run;

use std::path::PathBuf;
use std::process::{Command, Output};

/// The program where everybody can run it, in a folder that is removed.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("layerwise-doctor-{}-{name}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let program = folder.join("layerwise");
        run::copy_program(&program);
        Self(folder)
    }

    fn run(&self, before: &[&str], arguments: &[&str]) -> Output {
        let program = self.0.join("layerwise");
        let mut command = match before {
            [] => Command::new(program),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
        };
        for variable in ["NO_COLOR", "CLICOLOR_FORCE", "LC_ALL", "LC_CTYPE", "LANG"] {
            command.env_remove(variable);
        }
        command
            .args(arguments)
            .current_dir(&self.0)
            .output()
            .unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const NOBODY: [&str; 4] = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
];

#[test]
fn the_status_adds_up_what_would_not_run() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!(
            "SKIPPED: the_status_adds_up_what_would_not_run: only root can become somebody else"
        );
        return;
    }
    let place = Place::new("status");
    let root = place.run(&[], &["doctor", "--plain"]);
    let text = String::from_utf8(root.stdout).unwrap();
    assert_eq!(root.status.code(), Some(0), "{text}");
    assert!(
        text.contains("memory wire, works: the default; played just now, 15 packets"),
        "{text}"
    );
    assert!(text.contains("live capture, works: "), "{text}");
    // Nothing it tried is left behind, so it can try again.
    let again = place.run(&[], &["doctor", "--plain"]);
    assert_eq!(String::from_utf8(again.stdout).unwrap(), text);

    let nobody = place.run(&NOBODY, &["doctor", "--plain"]);
    let text = String::from_utf8(nobody.stdout).unwrap();
    let status = nobody.status.code().unwrap();
    assert_eq!(status & 1, 0, "the default runs for everybody: {text}");
    assert_eq!(status & 16, 16, "nobody may watch interfaces: {text}");
    let program = place.0.join("layerwise");
    let mend = format!(
        "try: sudo setcap cap_net_raw,cap_net_admin=eip {}",
        program.display()
    );
    assert!(text.contains(&mend), "{text}");
    // What it says of a wire is what the wire does.
    for (bit, wire) in [(4, "tun"), (8, "loopback")] {
        let played = place.run(&NOBODY, &["demo", "--wire", wire]);
        assert_eq!(status & bit == 0, played.status.success(), "{wire}: {text}");
    }
}

#[test]
fn without_a_kernel_that_lets_anything_the_default_still_runs() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!(
            "SKIPPED: without_a_kernel_that_lets_anything_the_default_still_runs: only root can give up rights"
        );
        return;
    }
    let place = Place::new("bare");
    // Root without capabilities, as in many containers; and no way to new ones.
    let bare = [
        "setpriv",
        "--bounding-set=-all",
        "--inh-caps=-all",
        "--no-new-privs",
    ];
    let output = place.run(&bare, &["doctor", "--plain"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(4 | 8 | 16), "{text}");
    for name in [
        "tun wire",
        "loopback wire",
        "live capture",
        "user namespace",
    ] {
        assert!(
            text.contains(&format!("{name}, does not work: ")),
            "{name}: {text}"
        );
    }
    assert!(!text.contains("AppArmor"), "it is not to blame: {text}");
    assert!(
        text.contains("sudo") || text.contains("docker run"),
        "{text}"
    );
}

#[test]
fn the_screen_is_looked_at_too() {
    let place = Place::new("screen");
    let said = |arguments: &[&str]| String::from_utf8(place.run(&[], arguments).stdout).unwrap();
    let text = said(&["doctor", "--plain"]);
    assert!(
        text.contains("characters, beware: locale C does not promise UTF-8"),
        "{text}"
    );
    assert!(text.contains("try: layerwise --ascii"), "{text}");
    assert!(
        text.contains("certificates, beware: ./certs/server.crt is not here"),
        "{text}"
    );
    assert!(
        text.contains("not used: the output is no terminal"),
        "{text}"
    );
    assert!(said(&["doctor", "--color", "never"]).contains("--color never"));
    assert!(said(&["doctor", "--ascii"]).is_ascii());
}
