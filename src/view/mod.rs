//! What the reader sees: one output, one file. Views read what was decoded; they never decode.

pub mod explain;
