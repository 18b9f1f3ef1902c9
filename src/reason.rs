//! Why the system refuses something, in its own words.

use std::io;

/// The words without the number that the standard library puts behind them, which says nothing more: `No space left on device`.
#[must_use]
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match error.raw_os_error() {
        Some(code) => text
            .strip_suffix(&format!(" (os error {code})"))
            .unwrap_or(&text)
            .to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_left_out() {
        for code in 1..40 {
            let words = reason(&io::Error::from_raw_os_error(code));
            assert!(!words.is_empty() && !words.contains("os error"), "{words}");
        }
        assert_eq!(reason(&io::Error::other("of our own")), "of our own");
    }
}
