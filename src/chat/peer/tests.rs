use rustls::SupportedProtocolVersion;
use rustls::version::TLS12;
use time::OffsetDateTime;

use super::*;
use crate::certs::{Authority, Validity};
use crate::chat::Setup;

const DAY: time::Duration = time::Duration::DAY;

fn days(from: i64, until: i64) -> Validity {
    let now = OffsetDateTime::now_utc();
    Validity {
        from: now + DAY * i32::try_from(from).unwrap(),
        until: now + DAY * i32::try_from(until).unwrap(),
    }
}

fn authority() -> Authority {
    Authority::new("Test CA", days(-1, 1)).unwrap()
}

fn peers(trusted: &Authority, issuing: &Authority, name: &str, valid: Validity) -> (Peer, Peer) {
    let identity = issuing.issue(&["b.example", "5.6.7.8"], valid).unwrap();
    let setup = Setup::default();
    let roots = [trusted.certificate().clone()];
    let name = ServerName::try_from(name.to_owned()).unwrap();
    (
        Peer::client(setup.client(&roots).unwrap(), name).unwrap(),
        Peer::server(setup.server(&identity).unwrap()).unwrap(),
    )
}

fn good_peers() -> (Peer, Peer) {
    let authority = authority();
    peers(&authority, &authority, "b.example", days(-1, 1))
}

/// Carries bytes to and fro, `cut` at a time, until there are none; what each `receive` said, A's first.
fn carry(a: &mut Peer, b: &mut Peer, cut: usize) -> [Result<(), ChatError>; 2] {
    let mut results = [Ok(()), Ok(())];
    loop {
        let (mut to_a, mut to_b) = (Vec::new(), Vec::new());
        a.transmit(&mut to_b);
        b.transmit(&mut to_a);
        if to_a.is_empty() && to_b.is_empty() {
            return results;
        }
        for part in to_a.chunks(cut) {
            results[0] = a.receive(part);
        }
        for part in to_b.chunks(cut) {
            results[1] = b.receive(part);
        }
    }
}

fn events(peer: &mut Peer) -> Vec<ChatEvent> {
    std::iter::from_fn(|| peer.next_event()).collect()
}

fn said(text: &str) -> ChatEvent {
    ChatEvent::Said(Line {
        text: text.to_owned(),
        valid: true,
        complete: true,
    })
}

/// Two peers after the handshake, their events taken.
fn secured() -> (Peer, Peer) {
    let (mut a, mut b) = good_peers();
    assert_eq!(carry(&mut a, &mut b, usize::MAX), [Ok(()), Ok(())]);
    for peer in [&mut a, &mut b] {
        assert!(peer.is_secured());
        assert_eq!(
            events(peer),
            [ChatEvent::Secured {
                version: ProtocolVersion::TLSv1_3,
                suite: CipherSuite::TLS13_AES_256_GCM_SHA384,
                group: Some(NamedGroup::X25519MLKEM768),
            }]
        );
    }
    (a, b)
}

#[test]
fn texts_arrive_however_the_bytes_are_cut() {
    let long = "é".repeat(50_000);
    for cut in [1, 7, 1448, 100_000] {
        let (mut a, mut b) = good_peers();
        // Said before the handshake: it waits.
        a.say("hi").unwrap();
        a.say("").unwrap();
        a.say(&long).unwrap();
        assert_eq!(carry(&mut a, &mut b, cut), [Ok(()), Ok(())]);
        b.say("hello 🎈").unwrap();
        a.close();
        assert_eq!(carry(&mut a, &mut b, cut), [Ok(()), Ok(())]);
        b.close();
        assert_eq!(carry(&mut a, &mut b, cut), [Ok(()), Ok(())]);
        let heard = events(&mut b);
        assert_eq!(
            heard[1..],
            [said("hi"), said(""), said(&long), ChatEvent::Goodbye]
        );
        assert_eq!(events(&mut a)[1..], [said("hello 🎈"), ChatEvent::Goodbye]);
        assert_eq!((a.eof(), b.eof()), (Ok(()), Ok(())));
    }
}

#[test]
fn a_text_is_one_record_of_its_length_and_23() {
    let (mut a, _) = secured();
    for len in [0, 2, 1000] {
        a.say(&"x".repeat(len)).unwrap();
        assert_eq!(a.outgoing().len(), len + 23);
        a.sent(5);
        a.sent(usize::MAX / 2);
        assert!(a.outgoing().is_empty());
    }
}

#[test]
fn what_cannot_be_said_is_refused_and_the_chat_goes_on() {
    let (a, mut b) = secured();
    let mut a = a.with_limits(Limits { line: 5, queue: 60 });
    assert_eq!(a.say("a\nb"), Err(ChatError::Newline { at: 1 }));
    assert_eq!(
        a.say("123456"),
        Err(ChatError::TooLong { len: 6, limit: 5 })
    );
    a.say("12345").unwrap();
    a.say("12345").unwrap();
    let full = ChatError::QueueFull {
        waiting: 56,
        limit: 60,
    };
    assert_eq!(a.say("12345"), Err(full));
    assert_eq!(carry(&mut a, &mut b, 9), [Ok(()), Ok(())]);
    a.say("again").unwrap();
    a.close();
    a.close();
    assert_eq!(a.say("late"), Err(ChatError::Closed));
    assert_eq!(carry(&mut a, &mut b, 9), [Ok(()), Ok(())]);
    assert_eq!(
        events(&mut b),
        [
            said("12345"),
            said("12345"),
            said("again"),
            ChatEvent::Goodbye
        ]
    );
    assert_eq!(b.say("nobody listens"), Err(ChatError::Closed));
}

#[test]
fn a_line_without_end_is_cut_off() {
    let (mut a, b) = secured();
    let mut b = b.with_limits(Limits {
        line: 100,
        ..Limits::default()
    });
    a.say(&"x".repeat(100)).unwrap();
    assert_eq!(carry(&mut a, &mut b, 50), [Ok(()), Ok(())]);
    a.say(&"x".repeat(101)).unwrap();
    let too_long = ChatError::LineTooLong { limit: 100 };
    assert_eq!(carry(&mut a, &mut b, 50), [Ok(()), Err(too_long.clone())]);
    assert_eq!(b.receive(b""), Err(too_long));
    assert_eq!(events(&mut a), [ChatEvent::Goodbye]);
}

#[test]
fn bytes_that_are_no_text_are_marked() {
    let (mut a, mut b) = secured();
    a.tls
        .as_mut()
        .unwrap()
        .writer()
        .write_all(b"a\xffb\nbegun")
        .unwrap();
    a.close();
    assert_eq!(carry(&mut a, &mut b, 1000), [Ok(()), Ok(())]);
    let line = |text: &str, valid, complete| {
        ChatEvent::Said(Line {
            text: text.to_owned(),
            valid,
            complete,
        })
    };
    assert_eq!(
        events(&mut b),
        [
            line("a\u{fffd}b", false, true),
            line("begun", true, false),
            ChatEvent::Goodbye
        ]
    );
}

#[test]
fn an_end_without_goodbye_is_noticed() {
    let (mut a, mut b) = secured();
    a.tls.as_mut().unwrap().writer().write_all(b"half").unwrap();
    a.flush();
    assert_eq!(carry(&mut a, &mut b, 1000), [Ok(()), Ok(())]);
    let error = b.eof().unwrap_err();
    assert_eq!(
        error,
        ChatError::Truncated {
            secured: true,
            unfinished: 4
        }
    );
    assert!(error.to_string().contains("4 bytes"), "{error}");
    let (mut a, _) = good_peers();
    let words = a.eof().unwrap_err().to_string();
    assert!(words.contains("before the handshake"), "{words}");
}

#[test]
fn in_the_clear_a_text_is_its_bytes_and_anybody_s_fin_is_a_goodbye() {
    let (mut a, mut b) = (Peer::plain(), Peer::plain());
    a.say("pay 10").unwrap();
    assert_eq!(a.outgoing(), b"pay 10\n");
    assert_eq!(carry(&mut a, &mut b, 3), [Ok(()), Ok(())]);
    assert!(!b.is_secured() && b.certificates().is_empty());
    assert_eq!(events(&mut b), [ChatEvent::InClear, said("pay 10")]);
    b.receive(b"half").unwrap();
    assert_eq!(b.eof(), Ok(()));
    let half = ChatEvent::Said(Line {
        text: "half".to_owned(),
        valid: true,
        complete: false,
    });
    assert_eq!(events(&mut b), [half, ChatEvent::Goodbye]);
    a.close();
    assert!(a.outgoing().is_empty(), "there is nothing to say it with");
    assert_eq!(a.say("late"), Err(ChatError::Closed));
    assert!(matches!(a.broken(), Err(ChatError::Truncated { .. })));
    assert_eq!(b.broken(), Ok(()), "all was heard before");
}

#[test]
fn a_bad_certificate_is_refused_in_words_and_the_server_is_told() {
    let (good, other) = (
        authority(),
        Authority::new("Other CA", days(-1, 1)).unwrap(),
    );
    let cases = [
        (
            &other,
            "b.example",
            days(-1, 1),
            "unknown issuer",
            "authority",
        ),
        (
            &good,
            "c.example",
            days(-1, 1),
            "not for c.example",
            "certificate",
        ),
        (
            &good,
            "5.6.7.9",
            days(-1, 1),
            "not for 5.6.7.9",
            "certificate",
        ),
        (
            &good,
            "b.example",
            days(-9, -5),
            "expired on",
            "out of date",
        ),
        (
            &good,
            "b.example",
            days(1, 5),
            "valid only from",
            "certificate",
        ),
    ];
    for (trusted, name, valid, here, there) in cases {
        let (mut a, mut b) = peers(trusted, &good, name, valid);
        a.say("secret").unwrap();
        let [at_a, at_b] = carry(&mut a, &mut b, 1000).map(|r| r.unwrap_err().to_string());
        assert!(at_a.contains(here), "{at_a}");
        assert!(at_b.contains(there), "{at_b}");
        assert_eq!((events(&mut a), events(&mut b)), (vec![], vec![]));
    }
    let (mut a, mut b) = peers(&good, &good, "5.6.7.8", days(-1, 1));
    assert_eq!(carry(&mut a, &mut b, 1000), [Ok(()), Ok(())]);
}

#[test]
fn a_changed_record_ends_the_chat_but_what_came_before_is_heard() {
    let (mut a, mut b) = secured();
    a.say("good").unwrap();
    a.say("changed").unwrap();
    let mut bytes = Vec::new();
    a.transmit(&mut bytes);
    *bytes.last_mut().unwrap() ^= 1;
    let error = b.receive(&bytes).unwrap_err();
    assert!(error.to_string().contains("decrypt"), "{error}");
    assert_eq!(events(&mut b), [said("good")]);
    let [at_a, _] = carry(&mut a, &mut b, 1000);
    assert!(at_a.unwrap_err().to_string().contains("changed on the way"));
}

#[test]
fn noise_is_no_tls() {
    let (_, mut b) = good_peers();
    let error = b.receive(b"GET / HTTP/1.1\r\n\r\n").unwrap_err();
    assert!(error.to_string().starts_with("TLS cannot go on"), "{error}");
}

#[test]
fn a_flood_in_one_call_is_taken_in() {
    let (a, mut b) = secured();
    let mut a = a.with_limits(Limits::default());
    for _ in 0..40 {
        a.say(&"x".repeat(50_000)).unwrap();
    }
    assert_eq!(carry(&mut a, &mut b, usize::MAX), [Ok(()), Ok(())]);
    assert_eq!(events(&mut b).len(), 40);
}

#[test]
fn tls_1_2_where_it_is_allowed() {
    let authority = authority();
    let identity = authority.issue(&["b.example"], days(-1, 1)).unwrap();
    let mut client = Setup::default().allow_tls12();
    static TLS12_ALONE: &[&SupportedProtocolVersion] = &[&TLS12];
    client.versions = TLS12_ALONE;
    let roots = [authority.certificate().clone()];
    let client = client.client(&roots).unwrap();
    for (setup, works) in [
        (Setup::default(), false),
        (Setup::default().allow_tls12(), true),
    ] {
        let name = ServerName::try_from("b.example").unwrap();
        let mut a = Peer::client(Arc::clone(&client), name).unwrap();
        let mut b = Peer::server(setup.server(&identity).unwrap()).unwrap();
        a.say("hi").unwrap();
        let results = carry(&mut a, &mut b, 1000);
        assert_eq!(results.iter().all(Result::is_ok), works, "{results:?}");
        assert_eq!(events(&mut b).contains(&said("hi")), works);
    }
}
