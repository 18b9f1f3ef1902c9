//! The arguments of `layerwise read`.

use clap::Args;

/// Decode a capture file.
#[derive(Debug, Args)]
pub struct Read {}
