//! layerwise: see a network stack work.
pub mod cursor;
pub mod layers;
pub mod packet;
pub mod text;
pub mod view;
