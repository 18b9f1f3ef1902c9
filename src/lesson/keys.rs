//! Single keys, for the one who stands before a class: the terminal gives them at once, without Enter, and without showing
//! them. Where it cannot, there are lines.

#[cfg(unix)]
use nix::sys::termios::{self, LocalFlags, SetArg, SpecialCharacterIndices, Termios};

/// The terminal gives single keys until this is dropped.
#[derive(Debug)]
pub(super) struct Keys(#[cfg(unix)] Termios);

impl Keys {
    /// Switches the terminal at standard input; `None` if there is none, or it cannot.
    #[cfg(unix)]
    pub(super) fn new() -> Option<Self> {
        let before = termios::tcgetattr(std::io::stdin()).ok()?;
        let mut now = before.clone();
        // Ctrl-C comes as a key, too: so the terminal is always put back.
        now.local_flags
            .remove(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG);
        for (at, value) in [
            (SpecialCharacterIndices::VMIN, 1),
            (SpecialCharacterIndices::VTIME, 0),
        ] {
            if let Some(place) = now.control_chars.get_mut(at as usize) {
                *place = value;
            }
        }
        termios::tcsetattr(std::io::stdin(), SetArg::TCSADRAIN, &now).ok()?;
        Some(Self(before))
    }

    #[cfg(not(unix))]
    pub(super) fn new() -> Option<Self> {
        None
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        #[cfg(unix)]
        // What cannot be put back cannot be helped.
        let _ = termios::tcsetattr(std::io::stdin(), SetArg::TCSADRAIN, &self.0);
    }
}

/// What a key means on a slide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// The next slide.
    On,
    /// The slide before.
    Back,
    /// The end.
    Quit,
    /// A line that was typed is complete.
    Enter,
    /// Takes back a character.
    Erase,
    /// A character of a line.
    Char(char),
}

/// Reads one key from what `byte` gives; `None` at the end of the input. `empty` says that nothing was typed yet: then
/// letters command.
pub(super) fn read<E>(
    mut byte: impl FnMut() -> Result<Option<u8>, E>,
    empty: bool,
    typing: bool,
) -> Result<Option<Key>, E> {
    loop {
        let Some(first) = byte()? else {
            return Ok(None);
        };
        return Ok(Some(match first {
            b'\n' | b'\r' if empty => Key::On,
            b'\n' | b'\r' => Key::Enter,
            b' ' if empty => Key::On,
            // Ctrl-C, Ctrl-D.
            3 | 4 => Key::Quit,
            8 | 127 if empty => Key::Back,
            8 | 127 => Key::Erase,
            b'q' if empty => Key::Quit,
            // Where answers are counted, letters are theirs.
            b'n' if empty && !typing => Key::On,
            b'b' | b'p' if empty && !typing => Key::Back,
            0x1b => match escaped(&mut byte)? {
                Some(key) => key,
                None => continue,
            },
            c if c.is_ascii_graphic() || c == b' ' => Key::Char(char::from(c)),
            _ => continue,
        }));
    }
}

/// The key behind an escape: `ESC [ C`, `ESC O C`, `ESC [ 6 ~`.
fn escaped<E>(byte: &mut impl FnMut() -> Result<Option<u8>, E>) -> Result<Option<Key>, E> {
    let (Some(b'[' | b'O'), Some(first)) = (byte()?, byte()?) else {
        return Ok(None);
    };
    let mut last = first;
    while !(0x40..=0x7e).contains(&last) {
        match byte()? {
            Some(next) => last = next,
            None => return Ok(None),
        }
    }
    Ok(match (first, last) {
        // Right, down, page down: what the presses of clickers are.
        (b'C' | b'B', _) | (b'6', b'~') => Some(Key::On),
        (b'D' | b'A', _) | (b'5', b'~') => Some(Key::Back),
        _ => None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    fn keys(bytes: &[u8], empty: bool, typing: bool) -> Option<Key> {
        let mut bytes = bytes.iter().copied();
        read(|| Ok::<_, ()>(bytes.next()), empty, typing).unwrap()
    }

    #[test]
    fn a_space_an_arrow_and_a_clicker_go_on_and_back() {
        for on in [
            &b" "[..],
            b"\r",
            b"\n",
            b"n",
            b"\x1b[C",
            b"\x1bOC",
            b"\x1b[B",
            b"\x1b[6~",
        ] {
            assert_eq!(keys(on, true, false), Some(Key::On), "{on:?}");
        }
        for back in [&b"b"[..], b"p", b"\x7f", b"\x1b[D", b"\x1b[A", b"\x1b[5~"] {
            assert_eq!(keys(back, true, false), Some(Key::Back), "{back:?}");
        }
        assert_eq!(keys(b"b", true, true), Some(Key::Char('b')));
        assert_eq!(keys(b" ", false, true), Some(Key::Char(' ')));
        assert_eq!(keys(b"\n", false, true), Some(Key::Enter));
        assert_eq!(keys(b"\x7f", false, true), Some(Key::Erase));
        assert_eq!(keys(b"\x03", false, true), Some(Key::Quit));
        assert_eq!(
            keys(b"\x1b[2~ ", true, false),
            Some(Key::On),
            "others are passed over"
        );
        assert_eq!(keys(b"", true, false), None);
    }
}
