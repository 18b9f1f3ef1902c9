//! The arguments of `layerwise capture`.

use clap::Args;

/// Watch an interface.
#[derive(Debug, Args)]
pub struct Capture {}
