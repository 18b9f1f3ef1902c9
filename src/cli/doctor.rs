//! The arguments of `layerwise doctor`.

use clap::Args;

/// What works here.
#[derive(Debug, Args)]
pub struct Doctor {}
