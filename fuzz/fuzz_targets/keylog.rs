//! Any bytes as the lines of a key log: no panic, and only what was refused stays unknown.
#![no_main]

use layerwise::keylog::{KeyLog, Secret};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut log = KeyLog::default();
    for line in String::from_utf8_lossy(input).lines() {
        match log.line(line) {
            Ok(()) => {
                let mut words = line.trim().split_ascii_whitespace();
                if let (Some("CLIENT_RANDOM"), Some(random), Some(secret)) =
                    (words.next(), words.next(), words.next())
                {
                    let random = unhex(random)
                        .try_into()
                        .expect("a random that is taken has 32 bytes");
                    let master = log
                        .secrets(&random)
                        .and_then(|secrets| secrets.master)
                        .expect("it is found again");
                    assert_eq!(master.bytes(), unhex(secret));
                    assert_eq!(Secret::new(&unhex(secret)), Some(master));
                }
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
});

fn unhex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits
        .chars()
        .map(|c| c.to_digit(16).expect("what is taken is hexadecimal") as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}
