//! The arguments of `layerwise fields`.

use clap::Args;

/// Every key there is.
#[derive(Debug, Args)]
pub struct Fields {
    /// Only keys that begin so, such as tcp or tls.handshake
    #[arg(value_name = "PREFIX")]
    pub prefix: Option<String>,
}
