//! TLS that begins late, in a conversation that began as something else, on any port.

use crate::common::Side;
use crate::common::Side::{Client, Server};
use crate::common::{Ends, Story, Talk, frames, hex, listen};
use crate::recorder::{Host, Preamble, certify, folder, hello};
use crate::{CLIENT_PORT, PORT, handshakes, mixed_on, sound};

const CURVE: &str = "ec -pkeyopt ec_paramgen_curve:P-256";

/// What the servers of mail say until TLS begins.
const PREAMBLES: [(&str, u16, Preamble); 4] = [
    (
        "smtp",
        2525,
        &[
            ("", "220 b.example ESMTP\r\n"),
            ("EHLO", "250-b.example\r\n250-STARTTLS\r\n250 HELP\r\n"),
            ("STARTTLS", "220 go ahead\r\n"),
        ],
    ),
    (
        "imap",
        143,
        &[
            ("", "* OK b.example\r\n"),
            ("CAPABILITY", "* CAPABILITY IMAP4rev1 STARTTLS\r\n. OK\r\n"),
            ("STARTTLS", ". OK begin\r\n"),
        ],
    ),
    (
        "pop3",
        61110,
        &[("", "+OK b.example\r\n"), ("STLS", "+OK begin\r\n")],
    ),
    ("postgres", 5432, &[("\x04\u{4d2}", "S")]),
];

/// The plaintext of what each side said inside: lines of text, which are taken for the chat there.
fn data(story: &Story) -> Vec<String> {
    let inside = story.told.iter().filter_map(|t| match t.layer {
        "data" => Some(t.one("data.data").to_owned()),
        "chat" => Some(hex(format!("{}\n", t.one("chat.text")).as_bytes())),
        _ => None,
    });
    inside.collect()
}

#[test]
fn after_a_preamble() {
    let folder = folder("late");
    certify(&folder, CURVE);
    for version in ["-tls1_2", "-tls1_3"] {
        for (protocol, port, preamble) in &PREAMBLES[..3] {
            let mut host = Host::start(&folder, "-cert b.pem -key b.key");
            let (talk, log) =
                host.talk(preamble, &format!("{version} -starttls {protocol}"), hello);
            let secrets = || log.iter().map(String::as_str);
            let story = listen(secrets(), &frames(&talk, 1460, *port), CLIENT_PORT);
            sound(&story);
            let what = format!("{version} {protocol}");
            assert_eq!(
                data(&story),
                [hex(b"hello there\n"), hex(b"hello yourself\n")],
                "{what}"
            );
            let first = story.of(Client, "tls")[0].handshakes();
            assert_eq!(first, [1], "{what}: the ClientHello is the first record");
            // Also when text and ClientHello share segments, and when they come byte by byte, shuffled.
            for cut in [1, 7, 100, 65_000] {
                let again = listen(secrets(), &mixed_on(&talk, cut, *port), CLIENT_PORT);
                assert_eq!(
                    again.sides(),
                    story.sides(),
                    "{what} in segments of {cut} bytes"
                );
                sound(&again);
            }
            let joined = joined(&talk);
            let again = listen(secrets(), &frames(&joined, 100_000, *port), CLIENT_PORT);
            assert_eq!(again.sides(), story.sides(), "{what}, joined");
        }
    }
}

/// What each side says before the other answers, in one piece each; the first question goes along with the ClientHello, as
/// if the client had known the answer.
fn joined(talk: &Talk) -> Talk {
    let hello = talk
        .iter()
        .position(|(side, bytes)| *side == Client && bytes.starts_with(&[22, 3]))
        .unwrap();
    let (before, after) = talk.split_at(hello);
    let all = |side| -> Vec<u8> {
        let parts = before.iter().filter(|(s, _)| *s == side);
        parts.flat_map(|(_, bytes)| bytes.clone()).collect()
    };
    let mut joined = vec![(Server, all(Server)), (Client, all(Client))];
    joined[1].1.extend(&after[0].1);
    joined.extend(after[1..].iter().cloned());
    joined
}

/// TLS on a port that nobody has heard of, from the first byte; and only its middle.
#[test]
fn on_any_port_and_from_the_middle() {
    let folder = folder("any-port");
    certify(&folder, CURVE);
    let mut host = Host::start(&folder, "-cert b.pem -key b.key");
    let (talk, log) = host.talk(&[], "-tls1_3", hello);
    for port in [1, 25, 6666, 65535] {
        let secrets = log.iter().map(String::as_str);
        let story = listen(secrets, &frames(&talk, 1460, port), CLIENT_PORT);
        sound(&story);
        assert_eq!(
            data(&story),
            [hex(b"hello there\n"), hex(b"hello yourself\n")]
        );
    }
    // Nothing of the handshake is in the capture: the records are still told from other bytes, and shown as sealed.
    let line = talk.iter().rposition(|(side, _)| *side == Server).unwrap();
    let mut ends = Ends::new(CLIENT_PORT, 6666);
    let middle = ends.data(&talk[line - 1..], 1460);
    let story = listen(log.iter().map(String::as_str), &middle, CLIENT_PORT);
    sound(&story);
    let verdicts: Vec<_> = story
        .told
        .iter()
        .map(|t| (t.layer, t.note("tls.record.opened")))
        .collect();
    assert!(
        verdicts.len() > 1 && verdicts.iter().all(|v| *v == ("tls", Some(0))),
        "{verdicts:?}"
    );
}

/// The capture holds one direction alone, so that nobody says which version was agreed on: what is sealed is not taken for a
/// message in the clear, and what is in the clear is read.
#[test]
fn one_direction_alone() {
    let folder = folder("one-direction");
    certify(&folder, "ec -pkeyopt ec_paramgen_curve:P-256");
    let mut host = Host::start(&folder, "-cert b.pem -key b.key -groups P-384:P-256");
    let alone = |talk: &Talk, port: u16| {
        let from = |frame: &Vec<u8>| frame[20..22] == port.to_be_bytes();
        let frames: Vec<_> = frames(talk, 1460, PORT).into_iter().filter(from).collect();
        let story = listen([], &frames, CLIENT_PORT);
        sound(&story);
        story
    };
    let shut = |story: &Story, side: Side| {
        let records = story.of(side, "tls").into_iter();
        records
            .filter_map(|told| told.note("tls.record.opened"))
            .count()
    };

    let (talk, _) = host.talk(&[], "-tls1_2 -groups P-384:P-256", hello);
    let story = alone(&talk, CLIENT_PORT);
    assert_eq!(
        handshakes(&story, Client),
        [1, 16],
        "the Finished is sealed"
    );
    // The Finished, a line, the farewell.
    assert_eq!(shut(&story, Client), 3);

    // A retry: the server's change_cipher_spec stands between its two hellos.
    let (talk, _) = host.talk(&[], "-tls1_3 -groups X25519:P-384", hello);
    let story = alone(&talk, PORT);
    assert_eq!(handshakes(&story, Server), [2, 2]);
    assert!(shut(&story, Server) > 3);
    let story = alone(&talk, CLIENT_PORT);
    assert_eq!(handshakes(&story, Client), [1, 1]);
    assert_eq!(shut(&story, Client), 3);
}
