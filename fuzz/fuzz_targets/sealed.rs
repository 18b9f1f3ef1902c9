//! Any bytes as what is inside of TLS 1.3 records: they are sealed with the known keys behind a handshake that begins as
//! in the seeds, so that content types, padding, split handshake messages, KeyUpdate and the chat itself are reached.
#![no_main]

use layerwise_fuzz::connection::{self, Connection};
use layerwise_fuzz::seal::{HELLOS, Sealer};
use layerwise_fuzz::{check, input};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes;
    let mut session = connection::session();
    let mut connection = Connection::default();
    let mut number = 0;
    let mut push = |connection: &mut Connection, from_b: bool, payload: &[u8]| {
        number += 1;
        let packet = connection.segment(from_b, 0, payload);
        check::event(&session.push(check::frame(number, packet, packet.len())));
    };
    for (from_b, hello) in HELLOS.iter().enumerate() {
        push(&mut connection, from_b == 1, hello);
    }
    let mut sealers = [Sealer::new(0), Sealer::new(1)];
    while let Some((control, inner)) = input::cut(&mut bytes) {
        let from_b = control & 1;
        let sealer = &mut sealers[usize::from(from_b)];
        // Where the session would take up other keys, only the input can say.
        if control & 2 != 0 {
            sealer.application();
        }
        if control & 4 != 0 {
            sealer.update();
        }
        let record = sealer.seal(inner);
        push(&mut connection, from_b == 1, &record);
    }
});
