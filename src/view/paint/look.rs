//! How it shall look: what was wished, what the terminal can, the roles of what is painted, and the characters.

use std::io;
use std::sync::{Mutex, PoisonError};

use colored::{ColoredString, Colorize};
use unicode_width::UnicodeWidthChar;

/// The narrowest screen that is laid out for.
pub const MIN_WIDTH: usize = 40;
/// The widest that is chosen unasked: longer lines are hard to read.
pub const MAX_AUTO_WIDTH: usize = 120;

/// The value of `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum When {
    /// What the environment and the terminal say.
    #[default]
    Auto,
    /// Colours in any case.
    Always,
    /// No colours in any case.
    Never,
}

/// What the flags ask for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wish {
    /// `--color`
    pub color: When,
    /// `--ascii`
    pub ascii: bool,
    /// `--plain`
    pub plain: bool,
    /// `--width`
    pub width: Option<usize>,
}

/// How everything shall look.
#[derive(Debug, Clone)]
pub struct Look {
    /// Whether there are colours.
    pub color: bool,
    /// Whether only ASCII may be written.
    pub ascii: bool,
    /// Whether it is for the ear: no boxes, no columns, one labelled sentence a line.
    pub plain: bool,
    /// How many columns a line may have.
    pub width: usize,
    /// Whether it is a terminal, where a long line is broken; for `grep` it is not.
    pub terminal: bool,
    /// The characters that boxes and marks are drawn with.
    pub glyphs: &'static Glyphs,
    pub(super) palette: [Style; Role::COUNT],
}

impl Look {
    /// How it shall look on this process's standard output.
    #[must_use]
    pub fn for_stdout(wish: Wish) -> Self {
        let env = |name: &str| std::env::var(name).ok();
        let is_terminal = io::IsTerminal::is_terminal(&io::stdout());
        let columns = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        Self {
            terminal: is_terminal,
            ..Self::new(wish, decide(wish.color, env, is_terminal), columns)
        }
    }

    /// How it shall look with colours or without, on a terminal with so many columns (80 if that is not known).
    #[must_use]
    pub fn new(wish: Wish, color: bool, columns: Option<usize>) -> Self {
        let glyphs = if wish.ascii { &ASCII } else { &UNICODE };
        let auto = columns.unwrap_or(80).min(MAX_AUTO_WIDTH);
        Self {
            color,
            ascii: wish.ascii,
            plain: wish.plain,
            width: wish.width.unwrap_or(auto).max(MIN_WIDTH),
            terminal: false,
            glyphs,
            palette: palette(color, glyphs.vertical),
        }
    }

    /// How many columns a character takes on the screen; never less than it really does.
    #[must_use]
    pub fn char_width(&self, c: char) -> usize {
        match c {
            ' '..='~' => 1,
            // The variation selector makes the character before it an emoji, which is twice as wide.
            '\u{fe0f}' if !self.ascii => 1,
            _ if self.ascii => in_ascii(c).len(),
            _ => c.width().unwrap_or(0),
        }
    }

    /// How many columns a text takes on the screen.
    #[must_use]
    pub fn text_width(&self, text: &str) -> usize {
        if text.is_ascii() {
            return text.len();
        }
        text.chars().map(|c| self.char_width(c)).sum()
    }

    pub(super) fn style(&self, role: Role) -> &Style {
        static NONE: Style = Style {
            start: String::new(),
            end: String::new(),
            margin: String::new(),
        };
        self.palette.get(role as usize).unwrap_or(&NONE)
    }
}

/// Whether there shall be colours: the flag decides, then `NO_COLOR`, then `CLICOLOR_FORCE`, then the terminal.
#[must_use]
pub fn decide(flag: When, env: impl Fn(&str) -> Option<String>, is_terminal: bool) -> bool {
    let set = |name: &str| env(name).filter(|value| !value.is_empty());
    match flag {
        When::Always => true,
        When::Never => false,
        When::Auto if set("NO_COLOR").is_some() => false,
        When::Auto if set("CLICOLOR_FORCE").is_some_and(|value| value != "0") => true,
        When::Auto => is_terminal && env("TERM").as_deref() != Some("dumb"),
    }
}

/// What a piece of text is on the screen, which decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Role {
    /// The link below IP.
    Link,
    /// IP, of either version.
    Ip,
    /// TCP, and whatever stands in its place.
    Tcp,
    /// TLS.
    Tls,
    /// The application.
    App,
    /// Bytes that nobody decoded.
    #[default]
    Data,
    /// A verdict that is good.
    Good,
    /// A verdict that is bad, a layer that stops.
    Bad,
    /// Something to look at twice.
    Warn,
    /// A heading.
    Heading,
    /// A value, which stands out from its name.
    Value,
    /// What was computed, not read.
    Computed,
    /// What may be passed over.
    Dim,
}

impl Role {
    const COUNT: usize = 13;
    pub(super) const ALL: [Self; Self::COUNT] = [
        Self::Link,
        Self::Ip,
        Self::Tcp,
        Self::Tls,
        Self::App,
        Self::Data,
        Self::Good,
        Self::Bad,
        Self::Warn,
        Self::Heading,
        Self::Value,
        Self::Computed,
        Self::Dim,
    ];

    /// The role of a layer, by its key.
    #[must_use]
    pub fn of_layer(key: &str) -> Self {
        match key {
            "ip" | "ipv6" | "icmp" | "icmpv6" => Self::Ip,
            "tcp" | "udp" => Self::Tcp,
            "tls" => Self::Tls,
            "eth" | "vlan" | "ieee8021ad" | "sll" | "null" | "arp" => Self::Link,
            "data" => Self::Data,
            _ => Self::App,
        }
    }

    /// The letter that says in black and white what the colour says.
    #[must_use]
    pub fn letter(self) -> u8 {
        match self {
            Self::Link => b'L',
            Self::Ip => b'I',
            Self::Tcp => b'T',
            Self::Tls => b'S',
            Self::App => b'A',
            Self::Data => b'D',
            _ => b'?',
        }
    }

    /// A colour of the 256 that stands out from white and from black alike (a test measures that), or none.
    pub(super) fn color(self) -> Option<u8> {
        match self {
            Self::Link => Some(131),
            Self::Ip => Some(33),
            Self::Tcp => Some(29),
            Self::Tls => Some(133),
            Self::App => Some(166),
            Self::Data => Some(244),
            Self::Good => Some(28),
            Self::Bad => Some(161),
            Self::Warn => Some(130),
            Self::Computed => Some(30),
            Self::Heading | Self::Value | Self::Dim => None,
        }
    }

    pub(super) fn styled(self, text: &str) -> ColoredString {
        let text = match self.color() {
            Some(color) => text.ansi_color(color),
            None => text.normal(),
        };
        match self {
            Self::Heading | Self::Value | Self::Bad | Self::Good => text.bold(),
            Self::Dim => text.dimmed(),
            _ => text,
        }
    }
}

/// What to write before and after a painted text (both empty without colours), and a painted margin.
#[derive(Debug, Clone)]
pub(super) struct Style {
    pub(super) start: String,
    pub(super) end: String,
    pub(super) margin: String,
}

/// Lets `colored` paint a NUL in each role, and keeps what stands before and after it.
fn palette(color: bool, vertical: &str) -> [Style; Role::COUNT] {
    // The switch belongs to the whole process: nobody may turn it while the styles are made.
    static SWITCH: Mutex<()> = Mutex::new(());
    let _held = SWITCH.lock().unwrap_or_else(PoisonError::into_inner);
    colored::control::set_override(color);
    Role::ALL.map(|role| {
        let painted = role.styled("\0").to_string();
        let (start, end) = painted.split_once('\0').unwrap_or_default();
        Style {
            start: start.to_owned(),
            end: end.to_owned(),
            margin: [start, vertical, end, " "].concat(),
        }
    })
}

/// The characters of boxes, marks and arrows.
#[derive(Debug)]
#[allow(
    missing_docs,
    reason = "the names say it, and the two lists below show it"
)]
pub struct Glyphs {
    pub horizontal: &'static str,
    pub heavy: &'static str,
    pub vertical: &'static str,
    pub dashed: &'static str,
    pub top_left: &'static str,
    pub top_right: &'static str,
    pub bottom_left: &'static str,
    pub bottom_right: &'static str,
    pub tee_left: &'static str,
    pub tee_right: &'static str,
    pub tee_down: &'static str,
    pub tee_up: &'static str,
    pub cross: &'static str,
    pub right: &'static str,
    pub arrow_right: &'static str,
    pub arrow_left: &'static str,
    pub left: &'static str,
    pub up: &'static str,
    pub down: &'static str,
    pub good: &'static str,
    pub bad: &'static str,
    pub dot: &'static str,
    pub ellipsis: &'static str,
}

/// The box-drawing characters of Unicode.
pub(super) static UNICODE: Glyphs = Glyphs {
    horizontal: "─",
    heavy: "━",
    vertical: "│",
    dashed: "┊",
    top_left: "┌",
    top_right: "┐",
    bottom_left: "└",
    bottom_right: "┘",
    tee_left: "┤",
    tee_right: "├",
    tee_down: "┬",
    tee_up: "┴",
    cross: "┼",
    right: "→",
    arrow_right: "▶",
    arrow_left: "◀",
    left: "←",
    up: "▲",
    down: "▼",
    good: "✓",
    bad: "✗",
    dot: "·",
    ellipsis: "…",
};

/// The same in ASCII.
pub(super) static ASCII: Glyphs = Glyphs {
    horizontal: "-",
    heavy: "=",
    vertical: "|",
    dashed: ":",
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    tee_left: "+",
    tee_right: "+",
    tee_down: "+",
    tee_up: "+",
    cross: "+",
    right: "->",
    arrow_right: ">",
    arrow_left: "<",
    left: "<-",
    up: "^",
    down: "v",
    good: "ok",
    bad: "BAD",
    dot: "-",
    ellipsis: "...",
};

/// The nearest ASCII for the characters that our own words use.
pub(super) fn in_ascii(c: char) -> &'static str {
    match c {
        '→' => "->",
        '←' => "<-",
        '↔' => "<->",
        '…' => "...",
        '–' | '—' | '−' | '‑' | '─' => "-",
        '‘' | '’' => "'",
        '“' | '”' | '„' => "\"",
        '×' => "x",
        '·' | '•' => "-",
        '✓' => "ok",
        '✗' => "BAD",
        '▲' => "^",
        '▼' => "v",
        '⋮' => ":",
        '≤' => "<=",
        '≥' => ">=",
        '≠' => "/=",
        '\u{a0}' => " ",
        '§' => "section ",
        'ä' | 'á' | 'à' | 'â' => "a",
        'é' | 'è' | 'ê' | 'ë' => "e",
        'ï' | 'í' | 'î' => "i",
        'ö' | 'ó' | 'ô' => "o",
        'ü' | 'ú' | 'û' => "u",
        'ß' => "ss",
        _ => "?",
    }
}
