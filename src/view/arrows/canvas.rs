//! Lines drawn with characters: in dots of Braille, or in ASCII.

use crate::view::paint::{Out, Role};

/// Dots of a character, across and down.
pub(super) const DOTS: (usize, usize) = (2, 4);

/// An arrow as a line, in dots.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) from: (f64, f64),
    pub(super) to: (f64, f64),
}

impl Line {
    /// How far down it is at `x`; `None` where it is not.
    pub(super) fn at(&self, x: f64) -> Option<f64> {
        let (x0, y0) = self.from;
        let (x1, y1) = self.to;
        let inside = x >= x0.min(x1) && x <= x0.max(x1) && x0 != x1;
        inside.then(|| y0 + (y1 - y0) * (x - x0) / (x1 - x0))
    }

    /// Whether it crosses another (and does not only touch it).
    pub(super) fn crosses(&self, other: &Self) -> bool {
        let left = self.from.0.min(self.to.0).max(other.from.0.min(other.to.0));
        let right = self.from.0.max(self.to.0).min(other.from.0.max(other.to.0));
        let above = |x| Some(self.at(x)? - other.at(x)?);
        match (above(left), above(right)) {
            (Some(left), Some(right)) => left * right < 0.0,
            _ => false,
        }
    }
}

/// What is drawn, in dots of Braille characters; in ASCII three levels of a line.
pub(super) struct Canvas {
    columns: usize,
    cells: Vec<Cell>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    dots: u8,
    mark: Option<&'static str>,
    role: Option<Role>,
    crossing: bool,
}

impl Canvas {
    pub(super) fn new(columns: usize, rows: usize) -> Self {
        Self {
            columns,
            cells: vec![Cell::default(); columns * rows],
        }
    }

    /// The rows that have something in them.
    pub(super) fn height(&self) -> usize {
        let last = self
            .cells
            .iter()
            .rposition(|cell| cell.dots != 0 || cell.mark.is_some());
        last.map_or(0, |last| last / self.columns.max(1) + 1)
    }

    fn cell(&mut self, x: usize, y: usize) -> Option<&mut Cell> {
        if x / DOTS.0 >= self.columns {
            return None;
        }
        self.cells.get_mut(y / DOTS.1 * self.columns + x / DOTS.0)
    }

    fn dot(&mut self, x: usize, y: usize, role: Role) {
        // The dots of a Braille character are numbered down the left, down the right, and then the last row.
        const BITS: [[u8; 2]; 4] = [[0, 3], [1, 4], [2, 5], [6, 7]];
        let bit = BITS.get(y % 4).and_then(|row| row.get(x % 2)).copied();
        if let (Some(cell), Some(bit)) = (self.cell(x, y), bit) {
            cell.dots |= 1 << bit;
            cell.role.get_or_insert(role);
        }
    }

    pub(super) fn line(&mut self, line: &Line, role: Role) {
        let (left, right) = (line.from.0.min(line.to.0), line.from.0.max(line.to.0));
        let mut last: Option<usize> = None;
        for x in left as usize..=right as usize {
            let Some(y) = line.at(x as f64) else { continue };
            let y = y.round() as usize;
            // Where it is steep, it goes on in the same column.
            let from = last.map_or(y, |last| {
                if last < y {
                    last + 1
                } else {
                    last.saturating_sub(1).max(y)
                }
            });
            for y in from.min(y)..=from.max(y) {
                self.dot(x, y, role);
            }
            last = Some(y);
        }
    }

    /// Marks where two lines cross.
    pub(super) fn crossing(&mut self, first: &Line, second: &Line) {
        if !first.crosses(second) {
            return;
        }
        for x in 0..self.columns * DOTS.0 {
            let above = |x: usize| Some(first.at(x as f64)? - second.at(x as f64)?);
            if let (Some(here), Some(next)) = (above(x), above(x + 1))
                && here * next <= 0.0
                && let Some(y) = first.at(x as f64)
                && let Some(cell) = self.cell(x, y.round() as usize)
            {
                cell.crossing = true;
                return;
            }
        }
    }

    /// Whether nothing stands there but perhaps a line.
    pub(super) fn is_free(&mut self, (x, y): (f64, f64)) -> bool {
        let cell = self.cell(x as usize, y.round() as usize);
        cell.is_some_and(|cell| !cell.crossing && cell.mark.is_none())
    }

    pub(super) fn mark(&mut self, (x, y): (f64, f64), mark: &'static str, role: Role) {
        if let Some(cell) = self.cell(x as usize, y.round() as usize) {
            (cell.mark, cell.role) = (Some(mark), Some(role));
        }
    }

    pub(super) fn row(&self, out: &mut Out, row: usize) {
        let ascii = out.look().ascii;
        let start = (row * self.columns).min(self.cells.len());
        let cells = self.cells.get(start..start + self.columns).unwrap_or(&[]);
        let last = cells.iter().rposition(|c| c.dots != 0 || c.mark.is_some());
        let mut utf8 = [0; 4];
        for cell in cells.iter().take(last.map_or(0, |last| last + 1)) {
            let braille = char::from_u32(0x2800 + u32::from(cell.dots)).unwrap_or(' ');
            let glyph = match (cell.mark, cell.dots) {
                (Some(mark), _) => mark,
                (None, _) if cell.crossing => {
                    if ascii {
                        "X"
                    } else {
                        "╳"
                    }
                }
                (None, 0) => " ",
                (None, dots) if ascii => level(dots),
                (None, _) => braille.encode_utf8(&mut utf8),
            };
            let role = cell.role.unwrap_or(Role::Dim);
            out.start(role);
            out.glyph(glyph);
            out.end(role);
        }
    }
}

/// Dots in ASCII: high, low, or between.
fn level(dots: u8) -> &'static str {
    let high = dots & 0b0000_1001 != 0;
    let low = dots & 0b1100_0000 != 0;
    match (high, dots & 0b0011_0110 != 0, low) {
        (true, false, false) => "'",
        (false, false, true) => ".",
        (true, _, true) => "=",
        _ => "-",
    }
}
