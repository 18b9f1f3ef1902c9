//! A conversation by lines: text out, page by page, and one line in at a time. No alternate screen, no key codes, so that
//! it works in a pipe, in a screen reader and on a projector alike.

use std::io::{self, BufRead, Write};

use super::keys::{self, Key, Keys};
use crate::text::Glossary;
use crate::view::paint::{Out, Role};

/// Lines are easier to read when they are not longer.
const MEASURE: usize = 78;

/// Both directions.
pub struct Console<'a> {
    /// What is to be shown next.
    pub out: Out,
    input: &'a mut dyn BufRead,
    to: &'a mut dyn Write,
    /// Somebody sits in front of it: pages are turned by hand.
    pub terminal: bool,
    rows: usize,
    lines: usize,
}

/// What a line that was typed means to the console.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// A line, trimmed.
    Line(String),
    /// There are no more.
    End,
}

/// What somebody wants who stands before a class.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pressed {
    On,
    Back,
    Quit,
    Line(String),
}

impl<'a> Console<'a> {
    /// Reads from `input`, writes to `to`; `rows` is the height of the screen if somebody sits in front of it.
    pub fn new(
        out: Out,
        input: &'a mut dyn BufRead,
        to: &'a mut dyn Write,
        rows: Option<usize>,
    ) -> Self {
        Self {
            out,
            input,
            to,
            terminal: rows.is_some(),
            rows: rows.unwrap_or(usize::MAX).max(8),
            lines: 0,
        }
    }

    /// A text of paragraphs: lines are joined and broken anew, except those that begin with two spaces. In plain output a
    /// paragraph is one line.
    pub fn prose(&mut self, text: &str) {
        prose(&mut self.out, text, 0);
    }

    /// One line of text, broken where it must be.
    pub fn line(&mut self, text: &str) {
        prose(&mut self.out, text, 0);
    }

    /// A heading.
    pub fn heading(&mut self, text: &str) {
        self.out.start(Role::Heading);
        self.out.wrapped(text, |_| ());
        self.out.end(Role::Heading);
        self.out.newline();
    }

    /// An empty line.
    pub fn gap(&mut self) {
        self.out.newline();
    }

    /// Shows what has been written, page by page if somebody sits in front of it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn show(&mut self, glossary: &Glossary) -> io::Result<()> {
        if !self.terminal {
            return self.out.flush_to(&mut self.to);
        }
        let bytes = self.out.bytes().to_vec();
        self.out.clear();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.lines + 2 >= self.rows {
                self.more(glossary)?;
            }
            self.to.write_all(line)?;
            self.lines += self.rows_of(line);
        }
        self.to.flush()
    }

    /// How many rows of the screen a line takes: in plain output, the terminal breaks it.
    fn rows_of(&self, line: &[u8]) -> usize {
        let look = self.out.look();
        match (look.plain, String::from_utf8_lossy(line)) {
            _ if !line.ends_with(b"\n") => 0,
            (true, text) => look
                .text_width(text.trim_end())
                .div_ceil(look.width.max(1))
                .max(1),
            (false, _) => 1,
        }
    }

    /// Bytes as they are, after what has been written: for a file's content that goes to the screen or a pipe.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.flush_to(&mut self.to)?;
        self.to.write_all(bytes)?;
        self.to.flush()
    }

    /// Nobody turns the pages of what is shown from here on.
    pub(crate) fn unpaged(&mut self) {
        self.rows = usize::MAX;
    }

    /// Begins a fresh screen, if somebody sits in front of one.
    pub fn fresh(&mut self) {
        self.lines = 0;
        // Erase the screen, the cursor to its top: no alternate screen, so what was there stays in the scrollback.
        let _ = self.to.write_all(b"\x1b[H\x1b[2J");
    }

    /// What is not part of the result, on standard error.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn aside(&mut self, bytes: &[u8]) -> io::Result<()> {
        io::stderr().write_all(bytes)
    }

    fn more(&mut self, glossary: &Glossary) -> io::Result<()> {
        let prompt = glossary.say("say.lesson.more");
        write!(self.to, "{prompt} ")?;
        self.to.flush()?;
        let _ = self.read()?;
        Ok(())
    }

    /// Shows everything and waits for a line.
    ///
    /// # Errors
    /// When nothing can be written or read.
    pub fn ask(&mut self, glossary: &Glossary, prompt: &str) -> io::Result<Said> {
        self.show(glossary)?;
        self.out.text(prompt);
        self.out.flush_to(&mut self.to)?;
        self.out.clear();
        let said = self.read()?;
        if !self.terminal || said == Said::End {
            // What was typed does not stand on this screen: the line goes on.
            self.to.write_all(b"\n")?;
        }
        Ok(said)
    }

    /// Shows everything and waits for a key, or for a line that ends with Enter; `typing` says that lines are expected, so
    /// that letters are not commands. Without a terminal that gives keys it is a line.
    ///
    /// # Errors
    /// When nothing can be written or read.
    pub(crate) fn key(
        &mut self,
        glossary: &Glossary,
        prompt: &str,
        typing: bool,
    ) -> io::Result<Pressed> {
        let keys = self.terminal.then(Keys::new).flatten();
        if keys.is_none() {
            return Ok(match self.ask(glossary, prompt)? {
                Said::End => Pressed::Quit,
                Said::Line(line) => match line.as_str() {
                    "" | "n" => Pressed::On,
                    "b" | "p" => Pressed::Back,
                    "q" => Pressed::Quit,
                    _ => Pressed::Line(line),
                },
            });
        }
        self.show(glossary)?;
        self.out.text(prompt);
        self.out.flush_to(&mut self.to)?;
        self.out.clear();
        self.lines = 0;
        let mut line = String::new();
        let pressed = loop {
            let input = &mut *self.input;
            let byte = || -> io::Result<Option<u8>> {
                let byte = input.fill_buf()?.first().copied();
                input.consume(usize::from(byte.is_some()));
                Ok(byte)
            };
            match keys::read(byte, line.is_empty(), typing)? {
                None | Some(Key::Quit) => break Pressed::Quit,
                Some(Key::On) => break Pressed::On,
                Some(Key::Back) => break Pressed::Back,
                Some(Key::Enter) => break Pressed::Line(line),
                Some(Key::Erase) => {
                    line.pop();
                    self.to.write_all(b"\x08 \x08")?;
                }
                Some(Key::Char(c)) if line.len() < 200 => {
                    line.push(c);
                    write!(self.to, "{c}")?;
                }
                Some(Key::Char(_)) => {}
            }
            self.to.flush()?;
        };
        self.to.write_all(b"\n")?;
        self.to.flush()?;
        Ok(pressed)
    }

    fn read(&mut self) -> io::Result<Said> {
        self.lines = 0;
        let mut line = Vec::new();
        // A line without an end must not fill the memory.
        let read = io::Read::take(&mut *self.input, 64 << 10).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(Said::End);
        }
        Ok(Said::Line(String::from_utf8_lossy(&line).trim().to_owned()))
    }
}

/// See [`Console::prose`]; every line begins with so many spaces.
pub(crate) fn prose(out: &mut Out, text: &str, indent: usize) {
    let width = out.look().width;
    let room = match out.look().plain {
        true => usize::MAX,
        false => width.min(MEASURE),
    };
    let mut paragraph = String::new();
    let flush = |out: &mut Out, paragraph: &mut String| {
        if !paragraph.is_empty() {
            out.spaces(indent);
            // The measure is kept by breaking here; `wrapped` breaks at the edge of the screen.
            let mut column = indent;
            for (i, word) in paragraph.split_whitespace().enumerate() {
                let long = out.look().text_width(word);
                if i > 0 && column + 1 + long > room {
                    out.newline();
                    out.spaces(indent);
                    column = indent;
                } else if i > 0 {
                    out.byte(b' ');
                    column += 1;
                }
                out.wrapped(word, |out| out.spaces(indent));
                column += long;
            }
            out.newline();
            paragraph.clear();
        }
    };
    let mut empty = false;
    for line in text.lines() {
        if line.trim().is_empty() {
            flush(out, &mut paragraph);
            empty = true;
            continue;
        }
        if core::mem::take(&mut empty) {
            out.newline();
        }
        if line.starts_with("  ") {
            flush(out, &mut paragraph);
            out.spaces(indent);
            out.wrapped(line.trim_end(), |out| out.spaces(indent + 4));
            out.newline();
        } else {
            paragraph.push(' ');
            paragraph.push_str(line);
        }
    }
    flush(out, &mut paragraph);
}
