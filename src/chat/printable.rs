//! Text from elsewhere, made harmless for a terminal.

use std::borrow::Cow;

/// The text with every character made visible that could play tricks on a terminal: control characters (escape
/// sequences begin with one), line and paragraph separators, and those that turn the direction of writing.
///
/// They become `\t`, `\r`, `\n` or `\u{…}`. A backslash stays as it is: the result is for eyes, not for reading back.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_tricky) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_tricky(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

pub(super) fn is_tricky(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tricks_are_made_visible() {
        assert!(matches!(printable("größe 日本 🎈 \\"), Cow::Borrowed(_)));
        assert_eq!(
            printable("\u{1b}[31m\t\r\n\u{7f}"),
            "\\u{1b}[31m\\t\\r\\n\\u{7f}"
        );
        assert_eq!(
            printable("\u{9b}1m\u{202e}x\u{2028}"),
            "\\u{9b}1m\\u{202e}x\\u{2028}"
        );
    }
}
