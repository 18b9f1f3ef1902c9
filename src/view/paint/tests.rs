use proptest::prelude::*;
use unicode_width::UnicodeWidthStr;

use super::*;
use crate::view::samples::text;

fn out(ascii: bool, width: usize) -> Out {
    let wish = Wish {
        ascii,
        width: Some(width),
        ..Wish::default()
    };
    Out::new(Look::new(wish, false, None))
}

fn wire(bytes: &[u8], ascii: bool, columns: usize) -> (String, bool) {
    let mut out = out(ascii, 80);
    let all = out.wire(bytes, columns);
    (text(&out).to_owned(), all)
}

#[test]
fn colours_are_decided_by_flag_then_environment_then_terminal() {
    use When::{Always, Auto, Never};
    type Env = &'static [(&'static str, &'static str)];
    let cases: &[(When, Env, bool, bool)] = &[
        (Auto, &[], true, true),
        (Auto, &[], false, false),
        (Auto, &[("TERM", "dumb")], true, false),
        (Auto, &[("TERM", "xterm")], true, true),
        (Auto, &[("NO_COLOR", "1")], true, false),
        (Auto, &[("NO_COLOR", "")], true, true),
        (
            Auto,
            &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")],
            true,
            false,
        ),
        (
            Auto,
            &[("NO_COLOR", ""), ("CLICOLOR_FORCE", "1")],
            false,
            true,
        ),
        (Auto, &[("CLICOLOR_FORCE", "1")], false, true),
        (Auto, &[("CLICOLOR_FORCE", "0")], false, false),
        (Auto, &[("CLICOLOR_FORCE", "")], false, false),
        (
            Auto,
            &[("CLICOLOR_FORCE", "1"), ("TERM", "dumb")],
            false,
            true,
        ),
        (Always, &[("NO_COLOR", "1"), ("TERM", "dumb")], false, true),
        (Never, &[("CLICOLOR_FORCE", "1")], true, false),
    ];
    for (flag, env, is_terminal, expected) in cases {
        let lookup = |name: &str| {
            let found = env.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let decided = decide(*flag, lookup, *is_terminal);
        assert_eq!(
            decided, *expected,
            "{flag:?} {env:?} terminal: {is_terminal}"
        );
    }
}

/// WCAG's contrast ratio of two luminances.
fn contrast(a: f64, b: f64) -> f64 {
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// The relative luminance of a colour of the 256, from 16 on.
fn luminance(color: u8) -> f64 {
    let levels = [0_u8, 95, 135, 175, 215, 255];
    let rgb = if color >= 232 {
        [8 + (color - 232) * 10; 3]
    } else {
        let n = usize::from(color - 16);
        [levels[n / 36], levels[n / 6 % 6], levels[n % 6]]
    };
    let linear = rgb.map(|c| {
        let c = f64::from(c) / 255.0;
        if c <= 0.04045 {
            c / 12.92
        } else {
            ((c + 0.055) / 1.055).powf(2.4)
        }
    });
    linear[0] * 0.2126 + linear[1] * 0.7152 + linear[2] * 0.0722
}

#[test]
fn every_colour_can_be_read_on_white_and_on_black() {
    for role in Role::ALL {
        if let Some(color) = role.color() {
            let of = luminance(color);
            let (white, black) = (contrast(of, 1.0), contrast(of, 0.0));
            assert!(
                white > 3.5 && black > 3.5,
                "{role:?}: {white:.1} {black:.1}"
            );
        }
    }
}

#[test]
fn the_styles_are_those_of_the_crate_and_empty_without_colours() {
    let look = Look::new(Wish::default(), true, None);
    assert_eq!(look.style(Role::Ip).start, "\x1b[38;5;33m");
    assert_eq!(look.style(Role::Ip).end, "\x1b[0m");
    assert_eq!(look.style(Role::Dim).start, "\x1b[2m");
    for (i, role) in Role::ALL.iter().enumerate() {
        assert_eq!(*role as usize, i);
        assert!(!look.style(*role).start.is_empty());
    }
    let look = Look::new(Wish::default(), false, None);
    assert_eq!(look.style(Role::Ip).start, "");
    assert_eq!(look.style(Role::Ip).margin, "│ ");
}

#[test]
fn nothing_from_the_wire_can_steer_the_terminal() {
    let hostile = "\x1b[2J\x07\u{9b}31m\u{202e}a\u{200b}\u{e0041}\r\n\x7f";
    let (shown, all) = wire(hostile.as_bytes(), false, 80);
    assert_eq!(
        shown,
        r"\x1b[2J\x07\u{9b}31m\u{202e}a\u{200b}\u{e0041}\r\n\x7f"
    );
    assert!(all);
    assert_eq!(wire(&[b'a', 0xff, 0xc3], false, 80).0, r"a\xff\xc3");
    assert_eq!(wire("é日".as_bytes(), false, 80).0, "é日");
    assert_eq!(wire("é日".as_bytes(), true, 80).0, r"\u{e9}\u{65e5}");
}

#[test]
fn text_from_the_wire_keeps_to_its_columns() {
    assert_eq!(wire(b"abcdef", false, 6), ("abcdef".to_owned(), true));
    assert_eq!(wire(b"abcdefg", false, 6), ("abcdef".to_owned(), false));
    assert_eq!(
        wire("日本語".as_bytes(), false, 5),
        ("日本".to_owned(), false)
    );
    assert_eq!(wire(b"abc\x1b", false, 6), ("abc".to_owned(), false));
    // Marks that take up no column are no way to write without end.
    let marks = "\u{301}".repeat(10_000);
    assert!(wire(marks.as_bytes(), false, 60).0.len() <= 240);
}

#[test]
fn one_write_hands_on_everything() {
    let mut out = out(false, 80);
    out.text("abc");
    let mut to = Vec::new();
    out.flush_to(&mut to).unwrap();
    assert_eq!(
        (to.as_slice(), out.bytes()),
        (b"abc".as_slice(), b"".as_slice())
    );
}

#[test]
fn sentences_take_values() {
    let mut out = out(false, 80);
    out.sentence("{a} and {b}{c}, { too", |out, name| match name {
        "a" => out.number(1),
        "b" => out.text("x"),
        _ => {}
    });
    assert_eq!(text(&out), "1 and x, { too");
}

proptest! {
    #[test]
    fn numbers_are_those_of_the_standard_library(n: u64, digits in 1_usize..=16) {
        let mut out = out(false, 80);
        out.number(n);
        prop_assert_eq!(text(&out), n.to_string());
        prop_assert_eq!(out.column(), n.to_string().len());
        out.clear();
        out.hex(n, digits);
        let whole = format!("{n:016x}");
        prop_assert_eq!(text(&out), &whole[16 - digits..]);
    }

    #[test]
    fn wrapped_text_stays_on_the_screen_and_whole(
        words in "([a-z,.é日…→❤\u{fe0f}]{0,60} {0,3}){0,12}", ascii: bool, width in 40_usize..90,
    ) {
        let mut out = out(ascii, width);
        out.text("begun ");
        out.wrapped(&words, |out| out.text("| "));
        let shown = text(&out);
        for line in shown.lines() {
            prop_assert!(line.width() <= width, "{}", line);
        }
        if !ascii {
            let letters = |text: &str| text.replace([' ', '|', '\n'], "");
            prop_assert_eq!(letters(shown), format!("begun{}", letters(&words)));
        }
    }
}

#[test]
fn on_a_terminal_a_long_line_goes_on_indented_with_its_colours() {
    let wish = Wish {
        width: Some(40),
        ..Wish::default()
    };
    let look = Look {
        terminal: true,
        ..Look::new(wish, true, None)
    };
    let mut out = Out::new(look);
    let mark = out.mark();
    out.text("one two three ");
    out.paint(Role::Tcp, "four five six seven eight nine ten");
    out.text(" eleven");
    out.newline();
    out.fit_since(mark, 4);
    let text = String::from_utf8(out.bytes().to_vec()).unwrap();
    let mut plain = String::new();
    let mut escape = false;
    for c in text.chars() {
        match c {
            '\x1b' => escape = true,
            _ if escape => escape = !c.is_ascii_alphabetic(),
            _ => plain.push(c),
        }
    }
    assert_eq!(
        plain,
        "one two three four five six seven eight\n    nine ten eleven\n"
    );
    // Elsewhere it stays whole.
    let mut out = Out::new(Look::new(wish, false, None));
    let mark = out.mark();
    out.text(&"word ".repeat(20));
    out.fit_since(mark, 4);
    assert!(!out.bytes().contains(&b'\n'));
}
