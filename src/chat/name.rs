//! Names in the chat: what may be one, and which two look alike.

/// The longest name, in characters.
pub(super) const MAX: usize = 24;

/// Whether this can be a name: 1 to 24 letters (of English and of Western Europe), digits, `-` and `_`, a letter first.
///
/// A name stands before a colon on everybody's screen, so nothing may be in it that hides, turns the direction of
/// writing, or looks like something else: no space, no star, no other alphabets.
pub(super) fn is_good(name: &str) -> bool {
    name.chars().count() <= MAX
        && name.starts_with(is_letter)
        && name
            .chars()
            .all(|c| is_letter(c) || c.is_ascii_digit() || matches!(c, '-' | '_'))
}

fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic() || (matches!(c, 'À'..='ÿ') && !matches!(c, '×' | '÷'))
}

/// What is the same for two names that a reader could mistake for one another: `B0b`, `bob` and `Böb`.
pub(super) fn fold(name: &str) -> String {
    name.chars()
        .flat_map(char::to_lowercase)
        .map(plain)
        .collect()
}

fn plain(c: char) -> char {
    match c {
        'à'..='å' | 'æ' => 'a',
        'ç' => 'c',
        'è'..='ë' => 'e',
        'ì'..='ï' | '1' | 'i' => 'l',
        'ð' => 'd',
        'ñ' => 'n',
        'ò'..='ö' | 'ø' | '0' => 'o',
        'ß' => 's',
        'ù'..='ü' => 'u',
        'ý' | 'ÿ' => 'y',
        'þ' => 'p',
        '_' => '-',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_deceive_is_no_name() {
        for good in ["Ada", "Jörg", "x-1_y", "Þór", &"a".repeat(MAX)] {
            assert!(is_good(good), "{good}");
        }
        for bad in [
            "",
            "1st",
            "-",
            "a b",
            "a:",
            "* Bob",
            "Bob\u{1b}[2J",
            "Bob\u{202e}",
            "B\u{200b}ob",
            "\u{410}da",
            "Zoe\u{308}",
            "a×b",
            &"a".repeat(MAX + 1),
        ] {
            assert!(!is_good(bad), "{bad:?}");
        }
    }

    #[test]
    fn names_that_look_alike_are_one() {
        for (one, other) in [
            ("Bob", "B0b"),
            ("Alice", "AlLce"),
            ("ìda", "1DA"),
            ("a_b", "A-B"),
        ] {
            assert_eq!(fold(one), fold(other));
        }
        assert_ne!(fold("guest-1"), fold("guest-2"));
        assert_ne!(fold("guest-10"), fold("guest-100"));
    }
}
