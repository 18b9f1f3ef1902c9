//! HTTP on a stream: heads and bodies found however the stream was cut, and long bodies shown in parts.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod common;

use allocation_counter::measure;
use common::Side::{Client, Server};
use common::{Ends, Side, Story, Told, check, frame, listen};
use layerwise::session::Session;

const PORT: u16 = 49152;

/// A talk on a port that means nothing, in segments of at most `cut` bytes.
fn heard(talk: &[(Side, Vec<u8>)], cut: usize) -> Story {
    let mut ends = Ends::new(PORT, 1234);
    let mut frames = ends.open();
    frames.extend(ends.data(talk, cut));
    listen([], &frames, PORT)
}

fn say(side: Side, text: &str) -> (Side, Vec<u8>) {
    (side, text.replace('\n', "\r\n").into_bytes())
}

/// The first value of that name, or nothing.
fn first<'a>(told: &'a Told, key: &str) -> &'a str {
    told.all(key).first().copied().unwrap_or_default()
}

/// Of each message: its first line, and its body.
fn gist(story: &Story, side: Side) -> Vec<(String, String)> {
    let body = |told: &&Told| {
        let fields = told.fields.iter();
        let parts = fields.filter(|(key, _)| ["http.file_data", "http.chunk_data"].contains(key));
        parts.map(|(_, value)| value.as_str()).collect::<String>()
    };
    let told = story.of(side, "http");
    told.iter()
        .map(|told| (first(told, "http.start_line").trim().to_owned(), body(told)))
        .collect()
}

fn expected(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect()
}

#[test]
fn requests_and_answers_however_they_are_cut() {
    let talk = [
        say(
            Client,
            "GET /a?b=c HTTP/1.1\nHost: example.com\n\nHEAD /h HTTP/1.1\n\nPOST /p HTTP/1.1\nContent-Length: 4\n\nbodyGET /n HTTP/1.1\n\n",
        ),
        say(
            Server,
            "HTTP/1.1 200 OK\ncontent-length: 5\nX-Own: 1\n\nhelloHTTP/1.1 200 OK\nContent-Length: 99\n\nHTTP/1.1 100 Continue\n\nHTTP/1.1 201 Created\nTransfer-Encoding: gzip, chunked\n\n3;x=y\nabc\n0A\n0123456789\n0\nAfter: all\n\nHTTP/1.1 304 Not Modified\nContent-Length: 5\n\n",
        ),
    ];
    let whole = heard(&talk, 1400);
    assert_eq!(
        gist(&whole, Client),
        expected(&[
            ("GET /a?b=c HTTP/1.1", ""),
            ("HEAD /h HTTP/1.1", ""),
            ("POST /p HTTP/1.1", "body"),
            ("GET /n HTTP/1.1", ""),
        ])
    );
    assert_eq!(
        gist(&whole, Server),
        expected(&[
            ("HTTP/1.1 200 OK", "hello"),
            ("HTTP/1.1 200 OK", ""),
            ("HTTP/1.1 100 Continue", ""),
            // "abc" and ten digits.
            ("HTTP/1.1 201 Created", "61626330313233343536373839"),
            ("HTTP/1.1 304 Not Modified", ""),
        ])
    );
    assert!(
        whole.stops.is_empty() && whole.gaps == 0,
        "{:?}",
        whole.stops
    );
    let told = whole.of(Client, "http")[0];
    assert_eq!(told.one("http.host"), "example.com");
    assert_eq!(told.one("http.request.uri.path"), "/a");
    assert_eq!(told.one("http.request.uri.query"), "b=c");
    assert_eq!(
        whole.of(Server, "http")[3]
            .one("http.chunked_trailer_part")
            .trim(),
        "After: all"
    );
    // It is recognised by a method and the target behind it, so the first segment has to hold as much.
    for cut in [5, 6, 7, 50] {
        let story = heard(&talk, cut);
        assert_eq!(story.sides(), whole.sides(), "{cut}");
        assert_eq!((story.stops, story.gaps), (vec![], 0), "{cut}");
    }
}

/// What stands in the bodies of a story, with heads and chunks taken off, as a length.
fn body_len(story: &Story) -> usize {
    let fields = story.told.iter().flat_map(|told| &told.fields);
    let lens = fields.map(|(key, value)| match *key {
        "http.file_data" => value.len(),
        "http.chunk_data" => value.len() / 2,
        _ => 0,
    });
    lens.sum()
}

#[test]
fn a_long_body_is_shown_in_parts_and_the_next_message_is_found() {
    let len = 3 << 20;
    for chunked in [false, true] {
        let mut answer = if chunked {
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec()
        } else {
            format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n").into_bytes()
        };
        let body = vec![b'x'; len];
        for chunk in body.chunks(10_000) {
            if chunked {
                answer.extend(format!("{:x}\r\n", chunk.len()).bytes());
            }
            answer.extend(chunk);
            if chunked {
                answer.extend(b"\r\n");
            }
        }
        if chunked {
            answer.extend(b"0\r\n\r\n");
        }
        answer.extend(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno");
        let talk = [
            say(Client, "GET / HTTP/1.1\n\nGET /n HTTP/1.1\n\n"),
            (Server, answer),
        ];
        for cut in [1400, 9_999] {
            let story = heard(&talk, cut);
            assert_eq!((&story.stops, story.gaps), (&vec![], 0), "{chunked}, {cut}");
            assert_eq!(body_len(&story), len + 2, "{chunked}, {cut}");
            let heads: Vec<String> = story
                .of(Server, "http")
                .iter()
                .map(|told| first(told, "http.response.code").to_owned())
                .filter(|code| !code.is_empty())
                .collect();
            assert_eq!(heads, ["200", "404"], "{chunked}, {cut}");
        }
    }
}

#[test]
fn a_body_without_a_length_goes_on_until_the_end() {
    let talk = [
        say(Client, "GET / HTTP/1.0\n\n"),
        say(Server, "HTTP/1.0 200 OK\n\nfirst "),
        say(Server, "HTTP/1.1 is no head here"),
    ];
    let story = heard(&talk, 1400);
    assert_eq!(
        gist(&story, Server),
        expected(&[
            ("HTTP/1.0 200 OK", ""),
            ("", "first "),
            ("", "HTTP/1.1 is no head here"),
        ])
    );
    assert_eq!((story.stops, story.gaps), (vec![], 0));
}

#[test]
fn what_only_looks_like_it_is_something_else() {
    for text in [
        "GET lost\n",
        "hello HTTP/1.1\n",
        "get / HTTP/1.1\n",
        "HTTP/2 200\n",
    ] {
        let story = heard(&[say(Client, text)], 1400);
        assert!(story.of(Client, "http").is_empty(), "{text}");
    }
    // On the chat's own port it is something that somebody says.
    let mut ends = Ends::new(PORT, 8080);
    let mut frames = ends.open();
    frames.extend(ends.data(&[(Client, b"GET lost\n".to_vec())], 100));
    let story = listen([], &frames, PORT);
    assert_eq!(story.of(Client, "chat").len(), 1);
}

#[test]
fn chunks_that_are_none_end_the_body() {
    for (chunks, stop) in [
        ("zz\nabc\n0\n\n", "http.chunk_size"),
        ("3\nabcdef\n0\n\n", "tcp.payload"),
        ("-3\nabc\n0\n\n", "http.chunk_size"),
        ("ffffffffffffffffff\nabc", "http.chunk_size"),
    ] {
        let head = "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n".to_owned();
        let story = heard(
            &[
                say(Client, "GET / HTTP/1.1\n\n"),
                say(Server, &(head + chunks)),
            ],
            1400,
        );
        assert!(
            story.stops.iter().any(|s| s.contains(stop)),
            "{chunks:?}: {:?}",
            story.stops
        );
    }
}

/// A head that never ends, a chunk line that never ends, a body of any length: memory stays within the caps.
#[test]
fn what_never_ends_takes_no_more_memory() {
    let never: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\nA: ",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;",
        b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
    ];
    for begin in never {
        let measured = measure(|| {
            let mut session = Session::new();
            let mut ends = Ends::new(PORT, 1234);
            let mut number = 0;
            let mut push = |data: &[u8]| {
                number += 1;
                check(&session.push(frame(number, data)));
            };
            ends.open().iter().for_each(|data| push(data));
            push(&ends.segment(Server, "PA", begin));
            for _ in 0..3000 {
                push(&ends.segment(Server, "A", &[b'x'; 1400]));
            }
        });
        assert!(
            measured.bytes_max < 6 << 20,
            "{}: {begin:?}",
            measured.bytes_max
        );
    }
}

#[test]
fn a_capture_that_begins_in_the_middle_of_a_body_finds_the_next_message() {
    let mut ends = Ends::new(PORT, 1234);
    let body = vec![0x5a; 4000];
    let mut frames = ends.data(&[(Server, body)], 1000);
    frames.extend(ends.data(
        &[
            say(Client, "GET /next HTTP/1.1\nHost: x\n\n"),
            // The rest of the body, and what belongs to the request.
            (Server, vec![0x5b; 500]),
            say(Server, "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
            say(Client, "GET /last HTTP/1.1\n\n"),
            say(Server, "HTTP/1.1 204 No Content\n\n"),
        ],
        1000,
    ));
    let story = listen([], &frames, PORT);
    assert_eq!(
        gist(&story, Client),
        expected(&[("GET /next HTTP/1.1", ""), ("GET /last HTTP/1.1", "")])
    );
    assert_eq!(
        gist(&story, Server),
        expected(&[("HTTP/1.1 200 OK", "ok"), ("HTTP/1.1 204 No Content", "")])
    );
    assert_eq!(story.stops, [""; 0], "what was not understood is no damage");
}
