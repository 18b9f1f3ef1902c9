//! The handshakes that RFC 8448 prints: the session opens every record of theirs to the payload that is printed there.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod common;

use common::Side::{Client, Server};
use common::{Side, Story, Talk, Told, frames, hex, listen, unhex};

/// One of the traces, from its file.
struct Trace {
    secrets: Vec<String>,
    records: Vec<Record>,
}

struct Record {
    side: Side,
    bytes: Vec<u8>,
    /// For a sealed record: the content type inside, and the payload.
    payload: Option<(u8, Vec<u8>)>,
}

/// Values of `tls.record.opened`.
const NO_SECRET: Option<u64> = Some(0);
const VERIFIED: Option<u64> = Some(1);

impl Trace {
    fn read(text: &str) -> Self {
        let mut secrets = Vec::new();
        let mut records: Vec<Record> = Vec::new();
        let text = text.replace("\n  ", " >");
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (head, digits) = line.split_once('>').unwrap();
            let bytes = unhex(&digits.replace('>', ""));
            let mut words = head.split_whitespace();
            match (words.next().unwrap(), words.next().unwrap()) {
                ("secret", label) => secrets.push((label.to_owned(), hex(&bytes))),
                ("payload", kind) => {
                    assert!(head.contains(&format!("({} octets)", bytes.len())));
                    records.last_mut().unwrap().payload = Some((kind.parse().unwrap(), bytes));
                }
                (who, _) => {
                    assert!(head.contains(&format!("({} octets)", bytes.len())));
                    let side = if who == "client" { Client } else { Server };
                    records.push(Record {
                        side,
                        bytes,
                        payload: None,
                    });
                }
            }
        }
        // A ClientHello's random stands behind the headers of record and handshake message and the version.
        let random = hex(&records[0].bytes[11..43]);
        let secrets = secrets
            .iter()
            .map(|(label, secret)| format!("{label} {random} {secret}"))
            .collect();
        Self { secrets, records }
    }

    fn talk(&self) -> Talk {
        self.records
            .iter()
            .map(|r| (r.side, r.bytes.clone()))
            .collect()
    }

    fn listen(&self, cut: usize) -> Story {
        let secrets = self.secrets.iter().map(String::as_str);
        listen(secrets, &frames(&self.talk(), cut, 8443), 49152)
    }

    /// The records as they were told, in the order of the trace, beside those of the file.
    fn records<'t>(&'t self, story: &'t Story) -> Vec<(&'t Record, &'t Told)> {
        let told: Vec<&Told> = story.told.iter().filter(|t| t.layer == "tls").collect();
        assert_eq!(told.len(), self.records.len());
        self.records.iter().zip(told).collect()
    }

    /// Every sealed record was opened to its payload, whatever the segments were, and nothing was left over.
    fn opens(&self) -> Story {
        let mut stories = [1, 2, 7, 100, 1460, 65_000]
            .map(|cut| self.listen(cut))
            .into_iter();
        let story = stories.next().unwrap();
        for other in stories {
            assert_eq!(other.sides(), story.sides());
        }
        assert!(story.stops.is_empty(), "{:?}", story.stops);
        assert_eq!(story.gaps, 0);
        for (record, told) in self.records(&story) {
            assert_eq!(record.side, told.side);
            let payload = record.payload.as_ref();
            let expected = payload.map(|(kind, bytes)| [bytes.as_slice(), &[*kind]].concat());
            assert_eq!(told.plain.as_deref().map(hex), expected.as_deref().map(hex));
            if let Some((kind, _)) = payload {
                assert_eq!(told.note("tls.record.opened"), VERIFIED);
                assert_eq!(told.one("tls.record.content_type"), kind.to_string());
                assert_eq!(told.one("tls.record.opaque_type"), "23");
            }
        }
        story
    }
}

/// Which secret opened each sealed record, by its number in `tls.record.secret`, and the record's number.
fn keys(story: &Story, side: Side) -> Vec<(u64, u64)> {
    let sealed = story.of(side, "tls").into_iter();
    sealed
        .filter_map(|t| Some((t.note("tls.record.secret")?, t.note("tls.record.sequence")?)))
        .collect()
}

/// The types of one side's handshake messages.
fn handshakes(story: &Story, side: Side) -> Vec<u8> {
    story
        .of(side, "tls")
        .iter()
        .flat_map(|t| t.handshakes())
        .collect()
}

/// Section 3: one round trip, a ticket, data both ways, both close.
#[test]
fn simple_1_rtt_handshake() {
    let trace = Trace::read(include_str!("golden/rfc8448/section-3.txt"));
    let story = trace.opens();
    assert_eq!(handshakes(&story, Client), [1, 20]);
    assert_eq!(handshakes(&story, Server), [2, 8, 11, 15, 20, 4]);
    assert_eq!(keys(&story, Client), [(1, 0), (3, 0), (3, 1)]);
    assert_eq!(keys(&story, Server), [(2, 0), (4, 0), (4, 1), (4, 2)]);

    let client = story.of(Client, "tls");
    assert_eq!(
        client[0].one("tls.handshake.extensions_server_name"),
        "server"
    );
    assert_eq!(
        client[0].all("tls.handshake.ciphersuite"),
        ["4865", "4867", "4866"]
    );
    let server = story.of(Server, "tls");
    assert_eq!(server[0].one("tls.handshake.ciphersuite"), "4865");
    // The certificate: CN=rsa of itself, valid from 2016-07-30 01:23:59 for ten years.
    assert_eq!(server[1].all("x509sat.printableString"), ["rsa", "rsa"]);
    assert_eq!(server[1].one("x509af.notBefore"), "160730012359Z");
    assert_eq!(server[1].one("x509af.notAfter"), "260730012359Z");
    assert_eq!(
        server[2].one("tls.handshake.session_ticket_lifetime_hint"),
        "30"
    );

    let data = (0..50).collect::<Vec<u8>>();
    for side in [Client, Server] {
        let [said] = story.of(side, "data")[..] else {
            panic!("one message of application data from each side")
        };
        assert_eq!(said.one("data.data"), hex(&data));
        let alert = *story.of(side, "tls").last().unwrap();
        assert_eq!(alert.one("tls.alert_message.level"), "1");
        assert_eq!(alert.one("tls.alert_message.desc"), "0");
    }
}

/// The IV of section 3's server handshake keys is 5d313eb2671276ee13000b30; that is the nonce of its record 0.
#[test]
fn the_nonce_is_shown() {
    let trace = Trace::read(include_str!("golden/rfc8448/section-3.txt"));
    let story = trace.listen(1460);
    let flight = story.of(Server, "tls")[1];
    let nonce = flight
        .notes
        .iter()
        .find(|(key, _)| *key == "tls.record.nonce");
    let mut bytes = [0; 16];
    bytes[..12].copy_from_slice(&unhex("5d313eb2671276ee13000b30"));
    assert_eq!(nonce.unwrap().1, layerwise::packet::Fact::Bytes(bytes, 12));
}

/// Section 4: a resumed handshake whose ClientHello brings data along, sealed with the early secret.
#[test]
fn resumed_0_rtt_handshake() {
    let trace = Trace::read(include_str!("golden/rfc8448/section-4.txt"));
    let story = trace.opens();
    let of_client = keys(&story, Client);
    assert_eq!(
        of_client[..3],
        [(5, 0), (5, 1), (1, 0)],
        "early data, its end, Finished"
    );
    assert!(handshakes(&story, Client).contains(&5), "EndOfEarlyData");
}

/// Section 5: the server asks for another key share, with a cookie; the second ClientHello has both.
#[test]
fn hello_retry_request() {
    let trace = Trace::read(include_str!("golden/rfc8448/section-5.txt"));
    let story = trace.opens();
    assert_eq!(handshakes(&story, Client), [1, 1, 20]);
    assert_eq!(handshakes(&story, Server), [2, 2, 8, 11, 15, 20]);
    assert_eq!(keys(&story, Client), [(1, 0), (3, 0)]);
    assert_eq!(keys(&story, Server), [(2, 0), (4, 0)]);

    let server = story.of(Server, "tls");
    assert!(
        retries(server[0]),
        "the first ServerHello is a HelloRetryRequest"
    );
    assert!(!retries(server[1]), "the second is not");
    // secp256r1 (23) is asked for; the server's own share is of it, too.
    assert_eq!(
        server[0].one("tls.handshake.extensions_key_share_selected_group"),
        "23"
    );
    assert_eq!(
        server[1].one("tls.handshake.extensions_key_share_group"),
        "23"
    );
    let cookie = server[0].one("tls.handshake.extensions.cookie");
    let client = story.of(Client, "tls");
    assert_eq!(client[1].one("tls.handshake.extensions.cookie"), cookie);
    assert_eq!(
        client[0].one("tls.handshake.extensions_key_share_group"),
        "29"
    );
    assert_eq!(
        client[1].one("tls.handshake.extensions_key_share_group"),
        "23"
    );
}

fn retries(told: &Told) -> bool {
    told.notes
        .iter()
        .any(|(key, _)| *key == "tls.handshake.hello_retry")
}

/// Section 6: the server asks for the client's certificate.
#[test]
fn client_authentication() {
    let trace = Trace::read(include_str!("golden/rfc8448/section-6.txt"));
    let story = trace.opens();
    assert_eq!(handshakes(&story, Client), [1, 11, 15, 20]);
    assert_eq!(handshakes(&story, Server), [2, 8, 13, 11, 15, 20]);
    let own = story.of(Client, "tls")[1];
    assert_eq!(own.all("x509sat.printableString"), ["client", "client"]);
}

/// Section 7: a session id that is echoed, and a change_cipher_spec from each side that means nothing.
#[test]
fn compatibility_mode() {
    let trace = Trace::read(include_str!("golden/rfc8448/section-7.txt"));
    let story = trace.opens();
    let hellos = [story.of(Client, "tls")[0], story.of(Server, "tls")[0]];
    let [asked, echoed] = hellos.map(|t| t.one("tls.handshake.session_id"));
    assert_eq!((asked, asked.len()), (echoed, 64));
    for side in [Client, Server] {
        let changes = story
            .of(side, "tls")
            .iter()
            .filter(|t| t.fields[0] == ("tls.record.content_type", "20".to_owned()))
            .count();
        assert_eq!(changes, 1);
    }
    assert_eq!(keys(&story, Client), [(1, 0), (3, 0)]);
    assert_eq!(keys(&story, Server), [(2, 0), (4, 0)]);
}

/// Without any secrets every sealed record is shown as such: nothing fails, and nothing is invented.
#[test]
fn without_secrets_everything_stays_sealed() {
    for text in [
        include_str!("golden/rfc8448/section-3.txt"),
        include_str!("golden/rfc8448/section-5.txt"),
        include_str!("golden/rfc8448/section-6.txt"),
        include_str!("golden/rfc8448/section-7.txt"),
    ] {
        let mut trace = Trace::read(text);
        trace.secrets.clear();
        let story = trace.listen(100);
        assert!(story.stops.is_empty(), "{:?}", story.stops);
        assert_eq!(story.gaps, 0);
        for (record, told) in trace.records(&story) {
            assert_eq!(told.plain, None);
            let expected = record.payload.as_ref().and(NO_SECRET);
            assert_eq!(told.note("tls.record.opened"), expected);
        }
    }
}
