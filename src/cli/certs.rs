//! The arguments of `layerwise certs`.

use std::path::PathBuf;

use clap::Args;

/// Make an authority and a server certificate.
#[derive(Debug, Args)]
pub struct Certs {
    /// DNS names and IP addresses of the server, beside localhost, 127.0.0.1 and ::1
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// The folder for ca.crt, server.crt and server.key; it is made if it is missing, and nothing in it is overwritten
    #[arg(long, value_name = "FOLDER", default_value = "certs")]
    pub dir: PathBuf,
    /// How many days the certificates are valid; no longer than browsers accept
    #[arg(long, value_name = "N", default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=397))]
    pub days: u16,
}
