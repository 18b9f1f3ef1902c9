//! Views remember what they wrote of packets alike. Whatever they remember, a packet looks as if it were the first.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod common;

use common::{Ends, Random, Side, other_traffic};
use layerwise::packet::{Frame, LinkType, Time};
use layerwise::session::Session;
use layerwise::text::Glossary;
use layerwise::view::detail::{Depth, Detail};
use layerwise::view::json::Json;
use layerwise::view::paint::{Look, Out, Wish};

/// Every layer's packets, many times over, most of them with a bit or two that is another; and a talk in segments.
fn traffic() -> Vec<(u16, Vec<u8>)> {
    let mut random = Random(0x00c0_ffee);
    let mut traffic = Vec::new();
    for round in 0..8 {
        for (link, mut data) in other_traffic() {
            if data.is_empty() {
                continue;
            }
            for _ in 0..round / 3 {
                let at = random.below(data.len());
                data[at] ^= 1 << random.below(8);
            }
            traffic.push((link, data));
        }
    }
    let talk: Vec<(Side, Vec<u8>)> = (0..40_usize)
        .map(|n| {
            let head = format!("GET /{} HTTP/1.1\r\nHost: b\r\n\r\n", "x".repeat(n % 7));
            (Side::Client, head.into_bytes())
        })
        .collect();
    let mut ends = Ends::new(49152, 80);
    traffic.extend(ends.open().into_iter().map(|data| (101, data)));
    traffic.extend(ends.data(&talk, 23).into_iter().map(|data| (101, data)));
    traffic
}

#[test]
fn what_is_remembered_changes_nothing() {
    let glossary = Glossary::english().unwrap();
    let traffic = traffic();
    for (depth, hex, ascii, plain, color, width) in [
        (Depth::V, true, false, false, false, 80),
        (Depth::V, true, true, false, false, 64),
        (Depth::Vv, true, false, false, true, 100),
        (Depth::V, false, false, false, true, 50),
        (Depth::V, true, false, true, false, 80),
    ] {
        let wish = Wish {
            ascii,
            plain,
            width: Some(width),
            ..Wish::default()
        };
        let look = Look::new(wish, color, None);
        let (mut one, mut other) = (Out::new(look.clone()), Out::new(look));
        let mut long = Detail::new(&glossary, depth, hex, Time(0));
        let words = (depth == Depth::Vv).then_some(&glossary);
        let mut long_json = Json::new(words);
        let mut session = Session::new();
        for (number, (link, data)) in (1..).zip(&traffic) {
            let event = session.push(Frame {
                number,
                time: Time(number * 1_000_000),
                link: LinkType(*link),
                data,
                wire_len: data.len() as u32,
            });
            one.clear();
            other.clear();
            long.print(&mut one, &event);
            Detail::new(&glossary, depth, hex, Time(0)).print(&mut other, &event);
            assert_eq!(
                String::from_utf8_lossy(one.bytes()),
                String::from_utf8_lossy(other.bytes()),
                "packet {number}"
            );
            one.clear();
            other.clear();
            long_json.packet(&event, one.raw());
            Json::new(words).packet(&event, other.raw());
            assert_eq!(
                String::from_utf8_lossy(one.bytes()),
                String::from_utf8_lossy(other.bytes()),
                "packet {number}"
            );
        }
    }
}
