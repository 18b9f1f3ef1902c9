//! Sessions between `openssl s_server` and `s_client`, recorded by a proxy between them: bytes that others made.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

#[path = "../common/mod.rs"]
mod common;
mod late;
mod recorder;
mod tls12;
mod tls13;

use std::path::Path;

use common::{Ends, Random, Side, Story, Talk, shuffled};
use recorder::run;

/// The chat's port: what is said inside TLS is decoded as lines.
const PORT: u16 = 8080;

/// The client's port in the frames.
const CLIENT_PORT: u16 = 49152;

/// Nothing stopped, nothing was left over.
fn sound(story: &Story) {
    assert!(story.stops.is_empty(), "{:?}", story.stops);
    assert_eq!(story.gaps, 0);
}

/// What one side said inside, line by line.
fn said(story: &Story, side: Side) -> Vec<&str> {
    let chat = story.of(side, "chat").into_iter();
    chat.map(|t| t.one("chat.text")).collect()
}

fn handshakes(story: &Story, side: Side) -> Vec<u8> {
    let records = story.of(side, "tls").into_iter();
    records.flat_map(common::Told::handshakes).collect()
}

/// The end of validity, `notAfter=Nov 30 00:25:00 2026 GMT`, as X.509 writes it.
fn utc_time(line: &str) -> String {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let words: Vec<&str> = line
        .trim()
        .split('=')
        .nth(1)
        .unwrap()
        .split_whitespace()
        .collect();
    let month = MONTHS.find(words[0]).unwrap() / 3 + 1;
    let day: u8 = words[1].parse().unwrap();
    let year = &words[3][2..];
    format!("{year}{month:02}{day:02}{}Z", words[2].replace(':', ""))
}

/// The certificate of `certify`, with a key of that algorithm (its OID's bytes).
fn certificate(told: &common::Told, folder: &Path, key_oid: &str) {
    assert_eq!(told.all("x509sat.printableString"), ["DE"]);
    assert_eq!(
        told.all("x509sat.uTF8String")[..3],
        ["Layerwise", "TestCA", "b.example"],
        "the issuer's name, then the subject's; the authority's own certificate may follow"
    );
    assert_eq!(told.one("x509ce.dNSName"), "b.example");
    let dates = run(folder, "x509 -in b.pem -noout -startdate -enddate");
    let dates: Vec<String> = dates.lines().map(utc_time).collect();
    let told_dates = [
        told.all("x509af.notBefore")[0],
        told.all("x509af.notAfter")[0],
    ];
    assert_eq!(told_dates, [dates[0].as_str(), dates[1].as_str()]);
    assert!(told.all("x509af.algorithm.id").contains(&key_oid));
}

/// The object identifiers rsaEncryption (1.2.840.113549.1.1.1) and id-ecPublicKey (1.2.840.10045.2.1).
const RSA: &str = "2a864886f70d010101";
const EC: &str = "2a8648ce3d0201";

/// The talk's frames, those of each run of one side overlapping, shuffled, and some of them twice.
fn mixed(talk: &Talk, cut: usize) -> Vec<Vec<u8>> {
    mixed_on(talk, cut, PORT)
}

/// The same, to that port.
fn mixed_on(talk: &Talk, cut: usize, port: u16) -> Vec<Vec<u8>> {
    let mut ends = Ends::new(CLIENT_PORT, port);
    let mut all = ends.open();
    for (seed, turn) in (1..).zip(talk) {
        let frames = ends.overlapping(turn, cut, &mut Random(seed));
        all.extend(shuffled(&frames, 0, 16, seed));
    }
    all.extend(ends.close());
    all
}
