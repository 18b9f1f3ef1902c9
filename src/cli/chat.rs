//! The arguments of `layerwise chat`.

use clap::Args;

/// The secure chat.
#[derive(Debug, Args)]
pub struct Chat {}
