//! Any bytes as a row of frames of any link, pushed into one session.
#![no_main]

use layerwise::packet::{Frame, LinkType};
use layerwise::session::Session;
use layerwise_fuzz::{check, input};
use libfuzzer_sys::fuzz_target;

/// What the control byte before a frame chooses from; 147 is a link that nobody knows.
const LINKS: [u16; 8] = [1, 101, 113, 276, 0, 108, 228, 147];

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes;
    let mut session = Session::new();
    let mut number = 0;
    while let Some((control, data)) = input::cut(&mut bytes) {
        number += 1;
        let cut_off = usize::from(control >> 3);
        check::event(&session.push(Frame {
            link: LinkType(LINKS[usize::from(control & 7)]),
            ..check::frame(number, data, data.len() + cut_off)
        }));
    }
});
