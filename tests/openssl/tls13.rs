//! TLS 1.3: every suite, key updates, resumption, early data, HelloRetryRequest, client certificates.

use crate::common::Side::{Client, Server};
use crate::common::{Side, Story, frames, listen};
use crate::recorder::{Host, Recorded, certify, folder, hello, recorded};
use crate::{CLIENT_PORT, EC, PORT, RSA, certificate, handshakes, mixed, said, sound};

/// Values of `tls.record.secret`.
const SECRETS: [u64; 2] = [3, 4];

/// A line each way, a KeyUpdate, a line each way, 100 kB, and the end; heard through all kinds of segments.
fn tls13(suite: &str, number: u16, key: &str, key_oid: &str) {
    let folder = folder(suite);
    certify(&folder, key);
    let big = "x".repeat(100_000);
    let (talk, log) = recorded(
        &folder,
        &format!("-tls1_3 -ciphersuites {suite}"),
        |client, server| {
            client.say("hello there\n");
            server.wait_for("hello there\n");
            server.say("hello yourself\n");
            client.wait_for("hello yourself\n");
            // K: a KeyUpdate that asks the other side to do the same; both go out before the next line.
            client.say("K\n");
            client.wait_for("KEYUPDATE");
            client.say("and now\n");
            server.wait_for("and now\n");
            server.say("new keys\n");
            client.wait_for("new keys\n");
            client.say(&format!("{big}\n"));
            server.wait("100 kB", |text| text.matches('x').count() == big.len());
            server.say("so much\n");
            client.wait_for("so much\n");
        },
    );
    let secrets = || log.iter().map(String::as_str);
    let story = listen(secrets(), &frames(&talk, 1460, PORT), CLIENT_PORT);
    sound(&story);

    assert_eq!(handshakes(&story, Client), [1, 20, 24]);
    assert_eq!(handshakes(&story, Server), [2, 8, 11, 15, 20, 4, 4, 24]);
    let hello = story.of(Client, "tls")[0];
    assert_eq!(
        hello.one("tls.handshake.extensions_server_name"),
        "b.example"
    );
    let answer = story.of(Server, "tls")[0];
    assert_eq!(answer.one("tls.handshake.ciphersuite"), number.to_string());
    let flight = story.of(Server, "tls");
    let holder = flight
        .iter()
        .find(|t| t.handshakes().contains(&11))
        .unwrap();
    certificate(holder, &folder, key_oid);

    assert_eq!(
        said(&story, Client),
        ["hello there", "and now", big.as_str()]
    );
    assert_eq!(
        said(&story, Server),
        ["hello yourself", "new keys", "so much"]
    );

    // Every sealed record was opened; record numbers count up from 0 under each key, and start again after a KeyUpdate.
    for side in [Client, Server] {
        let mut under = Vec::new();
        for told in story.of(side, "tls") {
            if told.all("tls.record.opaque_type").is_empty() {
                continue;
            }
            assert_eq!(told.note("tls.record.opened"), Some(1));
            let key = |key| told.note(key).unwrap();
            let which = (
                key("tls.record.secret"),
                key("tls.record.secret_generation"),
            );
            if under.last().is_none_or(|(last, _)| *last != which) {
                under.push((which, 0));
            }
            let (_, next) = under.last_mut().unwrap();
            assert_eq!(key("tls.record.sequence"), *next);
            *next += 1;
        }
        let keys: Vec<_> = under.iter().map(|(which, _)| *which).collect();
        let traffic = SECRETS[side as usize];
        assert_eq!(keys, [(traffic - 2, 0), (traffic, 0), (traffic, 1)]);
        let alert = *story.of(side, "tls").last().unwrap();
        if side == Client {
            assert_eq!(alert.one("tls.alert_message.desc"), "0");
        }
    }

    // The same bytes in other segments tell the same, also when segments overtake each other and come twice.
    for cut in [1, 2, 7, 100, 536, 1460, 65_000] {
        let frames = frames(&talk, cut, PORT);
        let again = listen(secrets(), &frames, CLIENT_PORT);
        assert_eq!(again.sides(), story.sides(), "segments of {cut} bytes");
        sound(&again);
        let mixed = listen(secrets(), &mixed(&talk, cut), CLIENT_PORT);
        assert_eq!(
            mixed.sides(),
            story.sides(),
            "segments of {cut} bytes, shuffled"
        );
        sound(&mixed);
    }
}

#[test]
fn tls13_aes_128_gcm() {
    tls13("TLS_AES_128_GCM_SHA256", 0x1301, "rsa:2048", RSA);
}

#[test]
fn tls13_aes_256_gcm() {
    let key = "ec -pkeyopt ec_paramgen_curve:P-384";
    tls13("TLS_AES_256_GCM_SHA384", 0x1302, key, EC);
}

#[test]
fn tls13_chacha20_poly1305() {
    let key = "ec -pkeyopt ec_paramgen_curve:P-256";
    tls13("TLS_CHACHA20_POLY1305_SHA256", 0x1303, key, EC);
}

/// What each sealed record of one side was opened with: secret and number. Every one was opened.
fn opened(story: &Story, side: Side) -> Vec<(u64, u64)> {
    let records = story.of(side, "tls").into_iter();
    records
        .filter_map(|told| {
            let verdict = told.note("tls.record.opened")?;
            assert_eq!(verdict, 1, "{told:?}");
            let note = |key| told.note(key).unwrap();
            Some((note("tls.record.secret"), note("tls.record.sequence")))
        })
        .collect()
}

fn heard((talk, log): &Recorded) -> Story {
    let secrets = || log.iter().map(String::as_str);
    let story = listen(secrets(), &frames(talk, 1460, PORT), CLIENT_PORT);
    sound(&story);
    for cut in [1, 100] {
        let again = listen(secrets(), &mixed(talk, cut), CLIENT_PORT);
        assert_eq!(again.sides(), story.sides(), "segments of {cut} bytes");
    }
    story
}

const CURVE: &str = "ec -pkeyopt ec_paramgen_curve:P-256";
const CERTIFIED: &str = "-cert b.pem -key b.key";

/// A ticket, then early data under it that the server takes, then the same again to a server that knows no such ticket.
#[test]
fn resumption_and_early_data() {
    let folder = folder("early-data");
    certify(&folder, CURVE);
    std::fs::write(folder.join("early.txt"), "so early\n").unwrap();
    for suite in [
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
    ] {
        let suite = format!("-tls1_3 -ciphersuites {suite}");
        let mut host = Host::start(&folder, &format!("{CERTIFIED} -early_data"));
        let first = host.talk(&[], &format!("{suite} -sess_out ticket.pem"), hello);
        let story = heard(&first);
        assert_eq!(handshakes(&story, Client), [1, 20]);
        assert_eq!(handshakes(&story, Server), [2, 8, 11, 15, 20, 4, 4]);

        let early = format!("{suite} -sess_in ticket.pem -early_data early.txt");
        let second = host.talk(&[], &early, |client, server| {
            server.wait_for("so early");
            hello(client, server);
        });
        let story = heard(&second);
        assert_eq!(said(&story, Client), ["so early", "hello there"]);
        // The ticket stands for the certificate; EndOfEarlyData (5) is the last that the early secret seals.
        assert_eq!(handshakes(&story, Client), [1, 5, 20]);
        assert_eq!(handshakes(&story, Server)[..3], [2, 8, 20]);
        assert_eq!(
            opened(&story, Client)[..4],
            [(5, 0), (5, 1), (1, 0), (3, 0)]
        );
        let hello_of = |side| story.of(side, "tls")[0];
        assert_eq!(
            hello_of(Server).one("tls.handshake.extensions.psk.identity.selected"),
            "0"
        );
        drop(host);

        let mut stranger = Host::start(&folder, &format!("{CERTIFIED} -early_data"));
        let third = stranger.talk(&[], &early, hello);
        let story = heard(&third);
        assert_eq!(said(&story, Client), ["so early", "hello there"]);
        assert_eq!(
            handshakes(&story, Client),
            [1, 20],
            "what is refused does not end"
        );
        assert_eq!(handshakes(&story, Server)[..5], [2, 8, 11, 15, 20]);
        assert_eq!(opened(&story, Client)[..3], [(5, 0), (1, 0), (3, 0)]);
    }
}

/// The client guesses the wrong group, so the server asks for another, and the client starts again.
#[test]
fn hello_retry_request() {
    let folder = folder("retry");
    certify(&folder, CURVE);
    let mut host = Host::start(&folder, &format!("{CERTIFIED} -groups P-384"));
    let story = heard(&host.talk(
        &[],
        "-tls1_3 -groups X25519:P-384 -sess_out ticket.pem",
        hello,
    ));
    assert_eq!(handshakes(&story, Client), [1, 1, 20]);
    assert_eq!(handshakes(&story, Server)[..6], [2, 2, 8, 11, 15, 20]);
    let retry = story.of(Server, "tls")[0];
    assert_eq!(
        retry.one("tls.handshake.extensions_key_share_selected_group"),
        "24"
    );
    assert_eq!(said(&story, Client), ["hello there"]);
    assert_eq!(said(&story, Server), ["hello yourself"]);
    assert_eq!(opened(&story, Client)[..2], [(1, 0), (3, 0)]);

    // And resumed, with a retry all the same.
    let story = heard(&host.talk(
        &[],
        "-tls1_3 -groups X25519:P-384 -sess_in ticket.pem",
        hello,
    ));
    assert_eq!(handshakes(&story, Client), [1, 1, 20]);
    assert_eq!(handshakes(&story, Server)[..4], [2, 2, 8, 20]);
    assert_eq!(said(&story, Client), ["hello there"]);
}

/// The server asks who the client is, and the client says so: in the handshake, and asked later.
#[test]
fn client_certificates() {
    let folder = folder("client-certificate");
    certify(&folder, CURVE);
    let mut host = Host::start(&folder, &format!("{CERTIFIED} -Verify 1 -CAfile ca.pem"));
    let story = heard(&host.talk(&[], &format!("-tls1_3 {CERTIFIED}"), hello));
    assert_eq!(handshakes(&story, Client), [1, 11, 15, 20]);
    assert_eq!(handshakes(&story, Server)[..6], [2, 8, 13, 11, 15, 20]);
    let flight = story.of(Client, "tls");
    let holder = flight
        .iter()
        .find(|t| t.handshakes().contains(&11))
        .unwrap();
    certificate(holder, &folder, EC);
    assert_eq!(said(&story, Client), ["hello there"]);

    let mut host = Host::start(&folder, &format!("{CERTIFIED} -CAfile ca.pem"));
    let later = host.talk(
        &[],
        &format!("-tls1_3 -enable_pha {CERTIFIED}"),
        |client, server| {
            hello(client, server);
            // c: a CertificateRequest in the middle of the conversation.
            server.say("c\n");
            server.wait_for("SSL_do_handshake -> 1");
            client.say("here I am\n");
            server.wait_for("here I am\n");
        },
    );
    let story = heard(&later);
    assert!(handshakes(&story, Server).contains(&13));
    assert_eq!(said(&story, Client), ["hello there", "here I am"]);
}

/// A suite that this program has no cipher for says so, and everything around it is shown.
#[test]
fn a_cipher_that_cannot_be_opened() {
    let folder = folder("ccm");
    certify(&folder, CURVE);
    for suite in ["TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256"] {
        let options = format!("{CERTIFIED} -ciphersuites {suite}");
        let (talk, log) = Host::start(&folder, &options).talk(
            &[],
            &format!("-tls1_3 -ciphersuites {suite}"),
            hello,
        );
        let secrets = log.iter().map(String::as_str);
        let story = listen(secrets, &frames(&talk, 1460, PORT), CLIENT_PORT);
        sound(&story);
        for side in [Client, Server] {
            let sealed: Vec<_> = story
                .of(side, "tls")
                .iter()
                .filter_map(|t| t.note("tls.record.opened"))
                .collect();
            assert!(
                sealed.len() > 2 && sealed.iter().all(|verdict| *verdict == 3),
                "{sealed:?}"
            );
        }
    }
}
