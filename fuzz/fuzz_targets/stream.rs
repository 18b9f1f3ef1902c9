//! Any bytes as what two hosts say over one TCP connection, in right packets: records, reassembly, certificates.
//!
//! The control byte's lowest bit says who speaks; the next three, whether the segment comes in its turn, early or again.
#![no_main]

use layerwise_fuzz::connection::{self, Connection};
use layerwise_fuzz::{check, input};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes;
    let mut session = connection::session();
    let mut connection = Connection::default();
    let mut number = 0;
    while let Some((control, payload)) = input::cut(&mut bytes) {
        number += 1;
        let distance = i32::from(control >> 4) + 1;
        let ahead = match control >> 1 & 7 {
            6 => distance,
            7 => -distance,
            _ => 0,
        };
        let packet = connection.segment(control & 1 == 1, ahead, payload);
        check::event(&session.push(check::frame(number, packet, packet.len())));
    }
});
