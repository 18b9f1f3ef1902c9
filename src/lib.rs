//! layerwise: see a network stack work.
pub mod certs;
pub mod chat;
pub mod cli;
pub mod cursor;
pub mod demo;
pub(crate) mod flow;
pub mod keylog;
pub mod layers;
pub mod packet;
pub mod session;
pub mod text;
pub mod view;
pub mod wire;
