//! Panes: what somebody knows, as rows of a label and a text in a frame; one below the other, or side by side where the
//! screen has room.
//!
//! ```text
//! ┌─ The eavesdropper ───────────────┐
//! │ who      1.2.3.4 → 5.6.7.8       │
//! └──────────────────────────────────┘
//! ```

use super::paint::{Out, Role};

/// On a screen of so many columns two panes have room side by side.
const SIDE_BY_SIDE: usize = 120;

/// Columns between two panes.
const BETWEEN: usize = 2;

/// A pane.
#[derive(Debug, Clone, Default)]
pub struct Pane {
    /// What stands in its frame.
    pub title: String,
    /// Labels and texts; a row without a label goes on with what the one before it is about.
    pub rows: Vec<(String, String)>,
}

impl Pane {
    /// One without rows.
    #[must_use]
    pub fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            rows: Vec::new(),
        }
    }

    /// Adds a row. What comes off a wire must be harmless already ([`Out::wire`]).
    pub fn row(&mut self, label: &str, text: String) {
        self.rows.push((label.to_owned(), text));
    }

    /// Its lines between the frames, each in exactly `width` columns.
    fn lines(&self, out: &mut Out, width: usize) -> Vec<String> {
        let widest = |out: &Out| {
            let labels = self
                .rows
                .iter()
                .map(|(label, _)| out.look().text_width(label));
            labels.max().unwrap_or(0) + 2
        };
        let margin = widest(out);
        let room = width.saturating_sub(margin).max(8);
        let mut lines = Vec::new();
        for (label, text) in &self.rows {
            for (i, piece) in wrap(out, text, room).into_iter().enumerate() {
                lines.push(out.aside(|out| {
                    let start = out.column();
                    if i == 0 {
                        out.text(label);
                    }
                    out.to_column(start + margin);
                    out.text(&piece);
                    out.to_column(start + width);
                }));
            }
        }
        lines
    }
}

/// Writes panes: side by side where they fit, else one below the other; a sentence a row where there are no boxes.
pub fn write(out: &mut Out, panes: &[Pane]) {
    if out.look().plain {
        for pane in panes {
            out.paint(Role::Heading, &pane.title);
            out.newline();
            let mut about = "";
            for (label, text) in &pane.rows {
                if !label.is_empty() {
                    about = label;
                }
                out.text(about);
                out.ascii(b": ");
                out.wrapped(text, |_| ());
                out.newline();
            }
        }
        return;
    }
    let columns = out.look().width;
    match panes {
        [left, right] if columns >= SIDE_BY_SIDE => {
            let width = (columns - BETWEEN) / 2;
            row_of(out, &[left, right], width);
        }
        panes => {
            for pane in panes {
                row_of(out, &[pane], columns);
            }
        }
    }
}

/// Panes of the same width, side by side.
fn row_of(out: &mut Out, panes: &[&Pane], width: usize) {
    let glyphs = out.glyphs();
    let inside = width - 4;
    let start = |i: usize| i * (width + BETWEEN);
    let bodies: Vec<_> = panes.iter().map(|pane| pane.lines(out, inside)).collect();
    for (i, pane) in panes.iter().enumerate() {
        out.to_column(start(i));
        out.text(glyphs.top_left);
        out.text(glyphs.horizontal);
        out.byte(b' ');
        let title = wrap(out, &pane.title, width - 6).into_iter().next();
        out.paint(Role::Heading, title.as_deref().unwrap_or_default());
        out.byte(b' ');
        out.fill_to(start(i) + width - 1, glyphs.horizontal);
        out.text(glyphs.top_right);
    }
    out.newline();
    let height = bodies.iter().map(Vec::len).max().unwrap_or(0);
    for at in 0..height {
        for (i, body) in bodies.iter().enumerate() {
            out.to_column(start(i));
            out.text(glyphs.vertical);
            out.byte(b' ');
            out.text(body.get(at).map_or("", String::as_str));
            out.to_column(start(i) + width - 1);
            out.text(glyphs.vertical);
        }
        out.newline();
    }
    for i in 0..panes.len() {
        out.to_column(start(i));
        out.text(glyphs.bottom_left);
        out.fill_to(start(i) + width - 1, glyphs.horizontal);
        out.text(glyphs.bottom_right);
    }
    out.newline();
}

/// A text broken between words into pieces of at most so many columns; a longer word is broken, too.
fn wrap(out: &Out, text: &str, room: usize) -> Vec<String> {
    let look = out.look();
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let width = look.text_width(word);
        let fits = used + width + usize::from(used > 0) <= room;
        if used > 0 && !fits {
            lines.push(String::new());
            used = 0;
        }
        let Some(line) = lines.last_mut() else { break };
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        if used + width <= room {
            line.push_str(word);
            used += width;
            continue;
        }
        for c in word.chars() {
            if used + look.char_width(c) > room {
                lines.push(String::new());
                used = 0;
            }
            if let Some(line) = lines.last_mut() {
                line.push(c);
            }
            used += look.char_width(c);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::paint::{Look, Wish};
    use crate::view::samples::text;

    fn out(width: usize, wish: Wish) -> Out {
        let wish = Wish {
            width: Some(width),
            ..wish
        };
        Out::new(Look::new(wish, false, None))
    }

    fn pane(title: &str) -> Pane {
        let mut pane = Pane::new(title);
        pane.row("who", "1.2.3.4 → 5.6.7.8".to_owned());
        pane.row(
            "",
            "a text that is too long for one line of this pane".to_owned(),
        );
        pane.row("said", "x".repeat(40));
        pane
    }

    #[test]
    fn panes_stand_below_each_other_and_break_what_is_long() {
        let mut narrow = out(40, Wish::default());
        write(&mut narrow, &[pane("One"), pane("Two")]);
        let shown = text(&narrow).to_owned();
        assert!(
            shown.starts_with(
                "┌─ One ────────────────────────────────┐\n\
             │ who   1.2.3.4 → 5.6.7.8              │\n\
             │       a text that is too long for    │\n\
             │       one line of this pane          │\n\
             │ said  xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx │\n\
             │       xxxxxxxxxx                     │\n\
             └──────────────────────────────────────┘\n\
             ┌─ Two ─"
            ),
            "{shown}"
        );
        assert!(
            shown.lines().all(|line| line.chars().count() == 40),
            "{shown}"
        );
    }

    #[test]
    fn where_there_is_room_they_stand_side_by_side() {
        let mut wide = out(120, Wish::default());
        let mut long = pane("One");
        long.row("more", "here".to_owned());
        write(&mut wide, &[long, pane("Two")]);
        let shown = text(&wide).to_owned();
        let first = shown.lines().next().unwrap_or_default();
        assert!(
            first.starts_with("┌─ One ") && first.contains("┐  ┌─ Two "),
            "{shown}"
        );
        assert_eq!(shown.lines().count(), 6, "{shown}");
        assert!(
            shown.lines().all(|line| line.chars().count() == 120),
            "{shown}"
        );
    }

    #[test]
    fn without_boxes_each_row_is_a_sentence() {
        let wish = Wish {
            plain: true,
            ascii: true,
            ..Wish::default()
        };
        let mut spoken = out(80, wish);
        write(&mut spoken, &[pane("One")]);
        assert_eq!(
            text(&spoken),
            "One\nwho: 1.2.3.4 -> 5.6.7.8\nwho: a text that is too long for one line of this pane\nsaid: \
             xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n"
        );
    }
}
