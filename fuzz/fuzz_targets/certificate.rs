//! Any bytes as the DER of an X.509 certificate.
#![no_main]

use layerwise::layers::tls::certificate;
use layerwise_fuzz::check;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    check::decoder(input, certificate::decode);
});
