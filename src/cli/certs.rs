//! The arguments of `layerwise certs`.

use clap::Args;

/// Make an authority and a server certificate.
#[derive(Debug, Args)]
pub struct Certs {}
