//! The frames of the target `session` through every view: nothing panics, and nothing a terminal obeys gets through.
#![no_main]

use std::sync::LazyLock;

use layerwise::packet::Time;
use layerwise::text::Glossary;
use layerwise::view::detail::{Depth, Detail};
use layerwise::view::journey::Journeys;
use layerwise::view::ladder::Ladder;
use layerwise::view::paint::{Look, Out, Wish};
use layerwise::view::words::Hosts;
use layerwise_fuzz::connection::{self, Connection};
use layerwise_fuzz::{check, input};
use libfuzzer_sys::fuzz_target;

static GLOSSARY: LazyLock<Glossary> =
    LazyLock::new(|| Glossary::english().expect("the glossary is right"));

/// So much output is looked at.
const ENOUGH: usize = 64 << 10;

fuzz_target!(|bytes: &[u8]| {
    let Some((&wish, mut bytes)) = bytes.split_first() else {
        return;
    };
    let [ascii, plain, narrow, raw, hex, deep] = [0, 1, 2, 3, 4, 5].map(|bit| wish >> bit & 1 == 1);
    let wish = Wish {
        ascii,
        plain,
        width: Some(if narrow { 40 } else { 100 }),
        ..Wish::default()
    };
    let mut out = Out::new(Look::new(wish, false, None));
    let mut detail = Detail::new(
        &GLOSSARY,
        if deep { Depth::Vv } else { Depth::V },
        hex,
        Time(0),
    );
    let hosts = Hosts::new(vec![([1, 2, 3, 4].into(), "A"), ([5, 6, 7, 8].into(), "B")]);
    let (mut ladder, mut journeys) = (Ladder::default(), Journeys::default());
    let mut session = connection::session();
    let mut connection = Connection::default();
    let mut number = 0;
    while let Some((control, data)) = input::cut(&mut bytes) {
        // More of the same finds nothing new, and takes its time.
        if out.bytes().len() > ENOUGH {
            break;
        }
        number += 1;
        let data = if raw {
            data
        } else {
            connection.segment(control & 1 == 1, 0, data)
        };
        let event = session.push(check::frame(number, data, data.len()));
        detail.print(&mut out, &event);
        ladder.packet(&mut out, &GLOSSARY, &hosts, &event);
        journeys.packet(&hosts, &event);
    }
    ladder.finish(&mut out, &GLOSSARY);
    for journey in journeys.done() {
        journey.picture(&mut out, &GLOSSARY, &hosts);
        journey.line(&mut out, &GLOSSARY, &hosts);
    }
    let text = std::str::from_utf8(out.bytes()).expect("views write UTF-8");
    let obeyed = text.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(obeyed, None, "a control character reaches the terminal");
    assert!(!ascii || text.is_ascii(), "only ASCII was asked for");
});
