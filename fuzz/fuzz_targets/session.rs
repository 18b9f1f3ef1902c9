//! Any bytes as a row of frames, pushed into one session that has the key log of the seeds.
#![no_main]

use layerwise_fuzz::{check, connection, input};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes;
    let mut session = connection::session();
    let mut number = 0;
    while let Some((cut_off, data)) = input::cut(&mut bytes) {
        number += 1;
        check::event(&session.push(check::frame(
            number,
            data,
            data.len() + usize::from(cut_off),
        )));
    }
});
