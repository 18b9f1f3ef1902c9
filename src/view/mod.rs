//! What one sees: one output, one file. A view reads events; it never decodes.
pub mod detail;
pub mod hex;
pub mod journey;
pub mod ladder;
pub mod paint;
pub mod value;
pub mod words;
