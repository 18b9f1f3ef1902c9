//! TLS 1.2: every kind of suite that can be opened, resumption, renegotiation, client certificates; and what came before it.

use crate::common::Side::{Client, Server};
use crate::common::{Side, Story, Talk, frames, listen};
use crate::recorder::{Host, Program, certify, folder, hello};
use crate::{CLIENT_PORT, EC, PORT, RSA, certificate, handshakes, mixed, said, sound};

const CURVE: &str = "ec -pkeyopt ec_paramgen_curve:P-256";
const CERTIFIED: &str = "-cert b.pem -key b.key";

fn heard(talk: &Talk, log: &[String]) -> Story {
    let secrets = log.iter().map(String::as_str);
    let story = listen(secrets, &frames(talk, 1460, PORT), CLIENT_PORT);
    sound(&story);
    story
}

/// The numbers of the sealed records of one side, each of which was opened.
fn opened(story: &Story, side: Side) -> Vec<u64> {
    let records = story.of(side, "tls").into_iter();
    records
        .filter_map(|told| {
            let verdict = told.note("tls.record.opened")?;
            assert_eq!(verdict, 1, "{told:?}");
            assert_eq!(told.note("tls.record.secret"), Some(6));
            assert!(told.all("tls.record.opaque_type").is_empty());
            told.note("tls.record.sequence")
        })
        .collect()
}

/// What both sides said was opened, and every record in its turn.
fn all_opened(story: &Story, what: &str) {
    assert_eq!(said(story, Client), ["hello there"], "{what}");
    assert_eq!(said(story, Server), ["hello yourself"], "{what}");
    for side in [Client, Server] {
        let numbers = opened(story, side);
        assert!(numbers.len() > 1, "{what}: Finished and a line, at least");
        assert!(
            numbers.iter().copied().eq(0..numbers.len() as u64),
            "{what}: {numbers:?}"
        );
    }
}

/// A line each way, with each suite and its number; with encrypt-then-MAC for CBC, and without.
fn suites(name: &str, key: &str, key_oid: &str, suites: &[(&str, u16)]) {
    let folder = folder(name);
    certify(&folder, key);
    for (suite, number) in suites {
        let cbc = suite.contains("SHA") && !suite.contains("GCM") && !suite.contains("CHACHA");
        for no_etm in [false, true] {
            if no_etm && !cbc {
                continue;
            }
            let options = format!("{CERTIFIED} -psk 0123456789abcdef -cipher {suite}");
            let mut host = Host::start(&folder, &options);
            let etm = if no_etm { " -no_etm" } else { "" };
            let options = format!("-tls1_2 -psk 0123456789abcdef -cipher {suite}{etm}");
            let (talk, log) = host.talk(&[], &options, hello);
            let story = heard(&talk, &log);
            let what = format!("{suite}{etm}");
            all_opened(&story, &what);
            assert_eq!(*handshakes(&story, Client).last().unwrap(), 20, "{what}");
            assert_eq!(*handshakes(&story, Server).last().unwrap(), 20, "{what}");
            let server = story.of(Server, "tls");
            let chosen = server[0].all("tls.handshake.ciphersuite");
            assert_eq!(chosen, [number.to_string()], "{what}");
            if let Some(holder) = server.iter().find(|t| t.handshakes().contains(&11)) {
                certificate(holder, &folder, key_oid);
            }
            // With encrypt-then-MAC the MAC stands behind the encrypted bytes, otherwise it is inside; padding is there always.
            let mut lines = story
                .of(Client, "tls")
                .into_iter()
                .filter(|t| t.plain.as_ref().is_some_and(|p| p.starts_with(b"hello")));
            let line = lines.next();
            assert_eq!(line.is_some(), cbc, "{what}");
            if let Some(line) = line {
                line.one("tls.record.mac");
                line.one("tls.record.padding_len");
                let plain = line.plain.as_ref().unwrap().len();
                assert_eq!(plain > 16, no_etm, "{what}: {plain}");
            }
            changed(&talk, &log, &what);
        }
    }
}

/// A byte that was changed is found out, wherever it stands; and a wrong secret opens nothing.
fn changed(talk: &Talk, log: &[String], what: &str) {
    let line = talk
        .iter()
        .rposition(|(side, bytes)| *side == Server && bytes[0] == 23)
        .unwrap();
    let verdicts = |talk: &Talk, log: &[String]| {
        let story = listen(
            log.iter().map(String::as_str),
            &frames(talk, 1460, PORT),
            CLIENT_PORT,
        );
        let notes = story
            .of(Server, "tls")
            .into_iter()
            .filter_map(|t| t.note("tls.record.opened"));
        notes.collect::<Vec<_>>()
    };
    for at in (5..talk[line].1.len()).step_by(5) {
        let mut other = talk.clone();
        other[line].1[at] ^= 0x40;
        let found = verdicts(&other, log);
        assert!(
            found.iter().any(|v| [2, 4].contains(v)),
            "{what}, byte {at}: {found:?}"
        );
    }
    let wrong: Vec<String> = log
        .iter()
        .map(|line| match line.rsplit_once(' ') {
            Some((front, secret)) if front.starts_with("CLIENT_RANDOM") => {
                format!("{front} {}", "ab".repeat(secret.len() / 2))
            }
            _ => line.clone(),
        })
        .collect();
    let found = verdicts(talk, &wrong);
    assert!(
        found.len() > 1 && found.iter().all(|v| [2, 4].contains(v)),
        "{what}: {found:?}"
    );
}

#[test]
fn suites_with_rsa() {
    suites(
        "tls12-rsa",
        "rsa:2048",
        RSA,
        &[
            ("ECDHE-RSA-AES128-GCM-SHA256", 0xc02f),
            ("ECDHE-RSA-AES256-GCM-SHA384", 0xc030),
            ("ECDHE-RSA-CHACHA20-POLY1305", 0xcca8),
            ("DHE-RSA-AES128-GCM-SHA256", 0x009e),
            ("DHE-RSA-AES256-SHA256", 0x006b),
            ("DHE-RSA-CHACHA20-POLY1305", 0xccaa),
            ("AES256-GCM-SHA384", 0x009d),
            ("AES128-SHA256", 0x003c),
            ("AES256-SHA256", 0x003d),
            ("AES128-SHA", 0x002f),
            ("AES256-SHA", 0x0035),
            ("ECDHE-RSA-AES128-SHA", 0xc013),
            ("ECDHE-RSA-AES256-SHA", 0xc014),
            ("ECDHE-RSA-AES128-SHA256", 0xc027),
            ("ECDHE-RSA-AES256-SHA384", 0xc028),
        ],
    );
}

#[test]
fn suites_with_ecdsa_and_with_a_shared_key() {
    suites(
        "tls12-ecdsa",
        CURVE,
        EC,
        &[
            ("ECDHE-ECDSA-AES128-GCM-SHA256", 0xc02b),
            ("ECDHE-ECDSA-AES256-GCM-SHA384", 0xc02c),
            ("ECDHE-ECDSA-CHACHA20-POLY1305", 0xcca9),
            ("ECDHE-ECDSA-AES128-SHA256", 0xc023),
            ("ECDHE-ECDSA-AES256-SHA384", 0xc024),
            ("PSK-AES128-GCM-SHA256", 0x00a8),
            ("PSK-AES256-CBC-SHA384", 0x00af),
            ("ECDHE-PSK-CHACHA20-POLY1305", 0xccac),
            ("ECDHE-PSK-AES128-CBC-SHA256", 0xc037),
        ],
    );
}

/// However the bytes come: one by one, overlapping, shuffled.
#[test]
fn any_segments() {
    let folder = folder("tls12-segments");
    certify(&folder, CURVE);
    for suite in ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-SHA384"] {
        let mut host = Host::start(&folder, CERTIFIED);
        let (talk, log) = host.talk(&[], &format!("-tls1_2 -cipher {suite}"), hello);
        let story = heard(&talk, &log);
        all_opened(&story, suite);
        for cut in [1, 7, 65_000] {
            let secrets = log.iter().map(String::as_str);
            let again = listen(secrets, &mixed(&talk, cut), CLIENT_PORT);
            assert_eq!(again.sides(), story.sides(), "segments of {cut} bytes");
            sound(&again);
        }
        // Without the key log nothing opens, but what each record is can still be told.
        let closed = listen([], &frames(&talk, 1460, PORT), CLIENT_PORT);
        sound(&closed);
        let sealed = closed
            .of(Client, "tls")
            .into_iter()
            .filter(|t| t.note("tls.record.opened") == Some(0));
        let types: Vec<_> = sealed
            .map(|t| t.one("tls.record.content_type").to_owned())
            .collect();
        assert_eq!(types, ["22", "23", "21"], "Finished, a line, the goodbye");
        assert_eq!(said(&closed, Client), [""; 0]);
    }
}

/// With a ticket and with a session identifier: the second handshake is short, and the key log has its line all the same.
#[test]
fn resumption() {
    let folder = folder("tls12-resumption");
    certify(&folder, CURVE);
    for no_ticket in ["", " -no_ticket"] {
        let mut host = Host::start(&folder, CERTIFIED);
        let options = format!("-tls1_2{no_ticket}");
        let (talk, log) = host.talk(&[], &format!("{options} -sess_out session.pem"), hello);
        all_opened(&heard(&talk, &log), "first");
        let (talk, log) = host.talk(&[], &format!("{options} -sess_in session.pem"), hello);
        let story = heard(&talk, &log);
        all_opened(&story, "second");
        assert_eq!(handshakes(&story, Client), [1, 20]);
        let server = handshakes(&story, Server);
        assert!(server == [2, 20] || server == [2, 4, 20], "{server:?}");
    }
}

/// A new handshake inside the first one's keys, asked for by either side.
#[test]
fn renegotiation() {
    let folder = folder("tls12-renegotiation");
    certify(&folder, CURVE);
    for (asks, suite) in [
        (Client, "ECDHE-ECDSA-AES128-GCM-SHA256"),
        (Server, "ECDHE-ECDSA-AES128-SHA256"),
    ] {
        let mut host = Host::start(&folder, &format!("{CERTIFIED} -client_renegotiation"));
        let script = |client: &mut Program, server: &mut Program| {
            hello(client, server);
            match asks {
                Client => {
                    client.say("R\n");
                    client.wait("a new handshake", |text| {
                        text.split_once("RENEGOTIATING")
                            .is_some_and(|(_, after)| after.contains("verify return"))
                    });
                }
                Server => {
                    server.say("r\n");
                    server.wait_for("SSL_do_handshake -> 1");
                }
            }
            client.say("again\n");
            server.wait_for("again\n");
        };
        let (talk, log) = host.talk(&[], &format!("-tls1_2 -cipher {suite}"), script);
        let story = heard(&talk, &log);
        assert_eq!(said(&story, Client), ["hello there", "again"]);
        // Finished, a line, and what the second handshake sends under the first keys; then again from 0. A server that asks is
        // content with the session there is, so its handshake is a short one.
        match asks {
            Client => {
                assert_eq!(handshakes(&story, Client), [1, 16, 20, 1, 16, 20]);
                assert_eq!(opened(&story, Client), [0, 1, 2, 3, 4, 0, 1, 2]);
            }
            Server => {
                assert_eq!(handshakes(&story, Client), [1, 16, 20, 1, 20]);
                assert_eq!(opened(&story, Client), [0, 1, 2, 3, 0, 1, 2]);
            }
        }
        for cut in [1, 50] {
            let again = listen(
                log.iter().map(String::as_str),
                &mixed(&talk, cut),
                CLIENT_PORT,
            );
            assert_eq!(again.sides(), story.sides(), "segments of {cut} bytes");
        }
    }
}

#[test]
fn client_certificates() {
    let folder = folder("tls12-client-certificate");
    certify(&folder, CURVE);
    let mut host = Host::start(&folder, &format!("{CERTIFIED} -Verify 1 -CAfile ca.pem"));
    let (talk, log) = host.talk(&[], &format!("-tls1_2 {CERTIFIED}"), hello);
    let story = heard(&talk, &log);
    all_opened(&story, "client certificate");
    assert_eq!(handshakes(&story, Client), [1, 11, 16, 15, 20]);
    assert_eq!(handshakes(&story, Server)[..5], [2, 11, 12, 13, 14]);
    let flight = story.of(Client, "tls");
    let holder = flight
        .iter()
        .find(|t| t.handshakes().contains(&11))
        .unwrap();
    certificate(holder, &folder, EC);
}

/// Ciphers this program does not have, and versions it does not open: said so, and shown as sealed.
#[test]
fn what_cannot_be_opened() {
    let folder = folder("tls12-closed");
    certify(&folder, CURVE);
    for options in [
        "-tls1_2 -cipher ECDHE-ECDSA-AES128-CCM",
        "-tls1_2 -cipher ECDHE-ECDSA-AES256-CCM8",
        "-tls1_2 -cipher ECDHE-ECDSA-CAMELLIA128-SHA256",
        "-tls1_1 -cipher ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0",
        "-tls1 -cipher ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0",
    ] {
        let server = format!("{CERTIFIED} -cipher ALL:@SECLEVEL=0 -Verify 1 -CAfile ca.pem");
        let mut host = Host::start(&folder, &server);
        let (talk, log) = host.talk(&[], &format!("{options} {CERTIFIED}"), hello);
        let story = heard(&talk, &log);
        assert_eq!(handshakes(&story, Client), [1, 11, 16, 15], "{options}");
        assert_eq!(
            handshakes(&story, Server)[..5],
            [2, 11, 12, 13, 14],
            "{options}"
        );
        for side in [Client, Server] {
            let verdicts: Vec<_> = story
                .of(side, "tls")
                .iter()
                .filter_map(|t| t.note("tls.record.opened"))
                .collect();
            assert!(
                verdicts.len() > 1 && verdicts.iter().all(|v| *v == 3),
                "{options}: {verdicts:?}"
            );
            assert_eq!(said(&story, side), [""; 0]);
        }
    }
}
