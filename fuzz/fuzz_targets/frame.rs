//! Any bytes as one frame that begins with an IP header; the first two say how much of it the capture cut off.
#![no_main]

use layerwise::layers;
use layerwise::packet::{Context, Labels};
use layerwise_fuzz::check;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((cut, data)) = input.split_first_chunk() else {
        return;
    };
    let frame = check::frame(1, data, data.len() + usize::from(u16::from_le_bytes(*cut)));
    let (mut labels, mut context) = (Labels::default(), Context::default());
    let part = layers::decode(&frame, &mut labels, &mut context);
    check::labels(&labels, data);
    if let Some(part) = part {
        assert!(
            part.start <= part.end && part.end <= data.len(),
            "{part:?} of {}",
            data.len()
        );
    }
});
