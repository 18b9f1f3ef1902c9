//! Expressions and fault rules: any text is either refused, with a place inside it, or judges every frame of a chat.
#![no_main]

use std::sync::LazyLock;

use layerwise::filter::Filter;
use layerwise::session::Session;
use layerwise::wire::fault::Rule;
use layerwise_fuzz::check;
use layerwise_fuzz::connection::Connection;
use libfuzzer_sys::fuzz_target;

/// The packets that are judged, made once: a handshake message that ends in the second, and one without data.
static PACKETS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut connection = Connection::default();
    let said = [&b"hi\n"[..], b"\x16\x03\x01\x00\x04\x01\x00\x00\x00", b""];
    let packets = said.iter().enumerate();
    packets.map(|(n, said)| connection.segment(n == 1, 0, said).to_vec()).collect()
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Err(error) = Rule::parse(text) {
        assert!(text.get(error.place.clone()).is_some(), "a place between characters");
        assert_eq!(error.to_string().lines().count(), 3);
    }
    match Filter::parse(text) {
        Ok(filter) => {
            // Without secrets: nothing here is sealed.
            let mut session = Session::new();
            for (number, data) in (1..).zip(PACKETS.iter()) {
                let event = session.push(check::frame(number, data, data.len()));
                let _ = filter.matches(&event);
            }
        }
        Err(error) => {
            assert!(error.place.start <= error.place.end && error.place.end <= text.len());
            assert!(text.get(error.place.clone()).is_some(), "a place between characters");
            let shown = error.to_string();
            assert_eq!(shown.lines().count(), 3);
            assert!(!shown.chars().any(|c| c.is_control() && c != '\n'));
        }
    }
});
