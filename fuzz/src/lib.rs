//! What the fuzz targets share: the invariants that hold for any bytes, frames cut from bytes, and one known connection.

pub mod check;
pub mod connection;
pub mod input;
pub mod seal;
