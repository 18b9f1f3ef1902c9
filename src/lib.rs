//! layerwise: see a network stack work.
pub mod cursor;
pub(crate) mod flow;
pub mod keylog;
pub mod layers;
pub mod packet;
pub mod session;
pub mod text;
pub mod view;
