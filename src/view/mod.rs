//! What one sees: one output, one file. A view reads events; it never decodes.

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
pub(crate) mod samples;

pub mod arrows;
pub mod comment;
mod cover;
pub mod detail;
mod errand;
pub mod explain;
pub mod fields;
pub mod follow;
pub mod hex;
pub mod journey;
pub mod json;
pub mod keys;
pub mod ladder;
pub mod line;
mod memo;
pub mod paint;
pub mod panes;
pub mod plot;
pub mod sides;
pub mod value;
pub mod verdict;
pub mod words;
