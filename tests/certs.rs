//! `layerwise certs`: what it makes, who accepts it, and that it destroys nothing.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod chat_support;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use chat_support::{Folder, stderr, stdout};

const FILES: [&str; 3] = ["ca.crt", "server.crt", "server.key"];

#[test]
fn openssl_accepts_what_is_made() {
    let folder = Folder::new();
    let output = folder.run(&["certs", "b.example", "192.0.2.7", "--days", "30"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let names = "localhost, 127.0.0.1, ::1, b.example, 192.0.2.7";
    // Lines are wrapped between words.
    let said = stdout(&output)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    for part in [
        names,
        "private key was not kept",
        "Next: layerwise chat serve",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    assert!(
        stdout(&output)
            .lines()
            .all(|line| line.chars().count() <= 80)
    );

    let openssl = |arguments: &[&str]| {
        let output = folder.command("openssl", arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            stderr(&output)
        );
        stdout(&output).to_owned()
    };
    for name in ["localhost", "b.example"] {
        let verify = [
            "verify",
            "-x509_strict",
            "-purpose",
            "sslserver",
            "-verify_hostname",
            name,
        ];
        let text = openssl(
            &[
                &verify[..],
                &["-CAfile", "certs/ca.crt", "certs/server.crt"],
            ]
            .concat(),
        );
        assert_eq!(text, "certs/server.crt: OK\n");
    }
    let text = openssl(&["x509", "-in", "certs/server.crt", "-noout", "-text"]);
    for part in [
        "Version: 3 (0x2)",
        "Issuer: CN = layerwise chat CA ",
        "CA:FALSE",
        "TLS Web Server Authentication",
        "DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, DNS:b.example, IP Address:192.0.2.7",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let text = openssl(&["x509", "-in", "certs/ca.crt", "-noout", "-text"]);
    assert!(text.contains("CA:TRUE, pathlen:0"), "{text}");
    // Valid now, in 29 days, and not in 31.
    let check = |days: u32| {
        let seconds = (days * 86_400).to_string();
        let arguments = [
            "x509",
            "-in",
            "certs/server.crt",
            "-noout",
            "-checkend",
            &seconds,
        ];
        folder.command("openssl", &arguments).status.success()
    };
    assert!(check(0) && check(29) && !check(31));
    // The key is the certificate's.
    let of_key = openssl(&["pkey", "-in", "certs/server.key", "-pubout"]);
    assert_eq!(
        of_key,
        openssl(&["x509", "-in", "certs/server.crt", "-noout", "-pubkey"])
    );
    let key = fs::read_to_string(folder.path("certs/server.key")).unwrap();
    assert!(key.starts_with("-----BEGIN PRIVATE KEY-----\n"), "PKCS #8");
    let mode = |name: &str| {
        fs::metadata(folder.path(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode("certs/server.key"), 0o600);
    assert_eq!(
        fs::read_dir(folder.path("certs")).unwrap().count(),
        FILES.len()
    );
}

#[test]
fn nothing_is_overwritten() {
    let folder = Folder::with_certs();
    let read = || FILES.map(|name| fs::read(folder.path("certs").join(name)).unwrap());
    let before = read();
    let output = folder.run(&["certs"]);
    assert_eq!(output.status.code(), Some(2));
    let words = stderr(&output);
    assert!(
        words.contains("certs/ca.crt is there already and is not overwritten"),
        "{words}"
    );
    assert!(words.contains("--dir"), "{words}");
    assert_eq!(before, read());
    // One of them is enough, even a link that leads nowhere; the others are not made.
    for name in FILES {
        let folder = Folder::new();
        fs::create_dir(folder.path("certs")).unwrap();
        symlink("nowhere", folder.path("certs").join(name)).unwrap();
        let output = folder.run(&["certs"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(&format!("certs/{name} is there already")));
        assert_eq!(fs::read_dir(folder.path("certs")).unwrap().count(), 1);
        assert!(!folder.path("nowhere").exists() && !folder.path("certs/nowhere").exists());
    }
}

#[test]
fn nothing_half_made_is_left() {
    let folder = Folder::new();
    let nothing_there = || fs::read_dir(&folder.0).unwrap().count() == 0;
    for (name, why) in [
        ("a b", "cannot stand in a certificate"),
        ("", "cannot stand in a certificate"),
        ("\u{1b}[2J", "cannot stand in a certificate"),
    ] {
        let output = folder.run(&["certs", name]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(why), "{}", stderr(&output));
        assert!(!stderr(&output).contains('\u{1b}'));
        assert!(nothing_there());
    }
    for days in ["0", "398", "soon"] {
        let output = folder.run(&["certs", "--days", days]);
        assert_eq!(output.status.code(), Some(2));
        assert!(nothing_there());
    }
    // A file-size limit stops the writing in the middle (SIGXFSZ is ignored, so that it is an error).
    let program = folder.layerwise(&[]);
    let program = program.get_program().to_str().unwrap();
    let script = format!("trap '' XFSZ; ulimit -f 0; exec {program} certs --dir deep/er");
    let output = folder.command("sh", &["-c", &script]);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    assert!(
        stderr(&output).contains("cannot write deep/er/server.key"),
        "{}",
        stderr(&output)
    );
    assert!(nothing_there(), "even the folders are gone");
    // The same without the limit.
    assert!(folder.run(&["certs", "--dir", "deep/er"]).status.success());
    assert!(folder.path("deep/er/server.key").exists());
    // A folder that is a file.
    fs::write(folder.path("file"), "").unwrap();
    let output = folder.run(&["certs", "--dir", "file"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("file"), "{}", stderr(&output));
}
