//! A row of both ends: two cells, and the wire between them.

use super::Marks;
use crate::ends::{Act, Moment};
use crate::view::ladder::milliseconds;
use crate::view::paint::{Out, Role};
use crate::wire::Host;

/// Columns before the left cell.
pub(super) const LEFT: usize = 9;
/// Columns of the wire between the cells, with both its ends.
const WIRE: usize = 10;
/// A line of a cell.
pub(super) struct Line {
    pub(super) role: Role,
    pub(super) text: String,
    /// What stands at the right of it.
    pub(super) state: Option<String>,
}

/// Where what stands on a screen of this width.
pub(super) struct Columns {
    /// How wide a cell is.
    pub(super) cell: usize,
    /// Where the wire begins, and the right cell.
    pub(super) wire: usize,
    pub(super) right: usize,
}

impl Columns {
    pub(super) fn of(out: &Out) -> Self {
        let cell = (out.look().width.saturating_sub(LEFT + WIRE + 2) / 2).min(48);
        let wire = LEFT + cell + 1;
        Self {
            cell,
            wire,
            right: wire + WIRE + 1,
        }
    }
}

/// Prints the lines of both cells, with the wire between them; what happens on it stands in the first line.
pub(super) fn print(
    out: &mut Out,
    since: Option<u64>,
    left: &[Line],
    right: &[Line],
    on_the_wire: impl Fn(&mut Out),
) {
    let columns = Columns::of(out);
    let vertical = out.glyphs().vertical;
    for at in 0..left.len().max(right.len()).max(1) {
        if at == 0
            && let Some(since) = since
        {
            milliseconds(out, since, 7);
        }
        print_line(out, left.get(at), LEFT, columns.cell);
        out.to_column(columns.wire);
        out.text(vertical);
        if at == 0 {
            on_the_wire(out);
        }
        out.to_column(columns.right - 2);
        out.text(vertical);
        print_line(out, right.get(at), columns.right, columns.cell);
        out.newline();
    }
}

fn print_line(out: &mut Out, line: Option<&Line>, at: usize, cell: usize) {
    let Some(line) = line else { return };
    out.to_column(at);
    out.paint(line.role, &line.text);
    if let Some(state) = &line.state {
        out.to_column(at + cell - out.look().text_width(state).min(cell));
        out.paint(Role::Value, state);
    }
}

/// The eight columns of the wire: an arrow that leaves an end or comes to one.
pub(super) fn wire(out: &mut Out, moment: &Moment<'_>) {
    let glyphs = out.glyphs();
    let marks = Marks::of(out);
    let to_right = moment.passage.from == Host::A;
    let head = if to_right {
        glyphs.arrow_right
    } else {
        glyphs.arrow_left
    };
    // From tail to head: how far from the sender it begins, mark, body, head.
    let (before, mark, body, head, role) = match moment.act {
        Act::Sends { lost: true } => (0, None, 2, marks.lost, Role::Bad),
        Act::Sends { .. } => (0, None, 2, head, Role::Dim),
        Act::Appears => (2, Some(marks.nobody), 1, head, Role::Bad),
        Act::Lost { .. } => (3, None, 1, marks.lost, Role::Bad),
        Act::Gets => {
            let mark = marks.of_arrival(moment);
            let role = mark.map_or(Role::Dim, |(_, role)| role);
            let before = if mark.is_some() { 4 } else { 5 };
            (before, mark.map(|(mark, _)| mark), 2, head, role)
        }
    };
    let mut parts = vec![" "; before];
    parts.extend(mark);
    parts.extend(core::iter::repeat_n(glyphs.horizontal, body));
    parts.push(head);
    parts.resize(WIRE - 2, " ");
    if !to_right {
        parts.reverse();
    }
    out.start(role);
    for part in parts {
        out.glyph(part);
    }
    out.end(role);
}
