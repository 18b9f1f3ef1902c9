//! Any bytes as one handshake message of TLS 1.3 (first byte odd) or 1.2.
#![no_main]

use layerwise::layers::tls::handshake;
use layerwise_fuzz::check;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((version, message)) = input.split_first() else {
        return;
    };
    check::decoder(message, |c| handshake::message(c, version & 1 == 1));
});
