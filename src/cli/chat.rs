//! The arguments of `layerwise chat`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::output::Output;

/// The secure chat.
#[derive(Debug, Args)]
pub struct Chat {
    /// Which side.
    #[command(subcommand)]
    pub side: Side,
}

/// The two sides of the chat.
#[derive(Debug, Subcommand)]
pub enum Side {
    /// Serve a chat: what one says is relayed to all others; what you type goes to everyone
    Serve(Serve),
    /// Join a chat
    Join(Join),
}

/// The server.
#[derive(Debug, Args)]
pub struct Serve {
    /// Where to listen: HOST:PORT, HOST or PORT; localhost means 127.0.0.1 and ::1, port 0 any free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "localhost:8080")]
    pub listen: String,
    /// The server's certificate, PEM, with those that vouch for it if there are any
    #[arg(long, value_name = "FILE", default_value = "certs/server.crt")]
    pub cert: PathBuf,
    /// The certificate's private key, PEM, not encrypted
    #[arg(long, value_name = "FILE", default_value = "certs/server.key")]
    pub key: PathBuf,
    /// Your name in the chat
    #[arg(long, value_name = "NAME", default_value = "server")]
    pub name: String,
    /// Append the secrets of every connection to FILE (SSLKEYLOGFILE form): who has it can read all that is said
    #[arg(long, value_name = "FILE")]
    pub keylog: Option<PathBuf>,
    /// Show the packets of all connections as they pass, annotated; takes the right to watch the interface (sudo).
    /// With -T fields, -T json or -w -, standard output holds packets alone, and the chat is on standard error
    #[arg(long)]
    pub show: bool,
    /// What else is done with the packets that --show shows.
    #[command(flatten)]
    pub output: Output,
    /// What one client may cost.
    #[command(flatten)]
    pub limits: ServeLimits,
}

/// What one client may cost the server.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Limits")]
pub struct ServeLimits {
    /// How many may be in the chat at once
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_clients: u32,
    /// The longest line, in bytes; who sends a longer one is cut off
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 10, value_parser = clap::value_parser!(u32).range(16..=1 << 20))]
    pub max_line: u32,
    /// How far a client may fall behind with reading, in bytes, before it is cut off
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20, value_parser = clap::value_parser!(u32).range(64 << 10..=1 << 30))]
    pub queue: u32,
    /// How long a client may say nothing; 0 means for ever
    #[arg(long, value_name = "TIME", default_value = "12h", value_parser = long_duration)]
    pub idle_timeout: Duration,
    /// How long a client may take for the TLS handshake
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = long_duration)]
    pub handshake_timeout: Duration,
    /// How many lines a second a client may say; more of them wait (nothing is lost); 0 means no limit
    #[arg(long, value_name = "LINES", default_value_t = 0)]
    pub max_rate: u32,
}

/// The client.
#[derive(Debug, Args)]
pub struct Join {
    /// The server: HOST:PORT or HOST
    #[arg(value_name = "HOST:PORT", default_value = "localhost:8080")]
    pub server: String,
    /// Your name in the chat; without it the server gives you one
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Trust the authorities in FILE (PEM) and no others; without it, certs/ca.crt if the server is on this machine and
    /// that file is there, and otherwise the system's authorities
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub ca: Option<PathBuf>,
    /// Do not check who the server is: anyone on the path can read and change all that is said
    #[arg(long)]
    pub insecure: bool,
    /// Append the secrets of the connection to FILE (SSLKEYLOGFILE form): who has it can read all that is said
    #[arg(long, value_name = "FILE")]
    pub keylog: Option<PathBuf>,
    /// Show the packets of the connection as they pass, annotated; takes the right to watch the interface (sudo).
    /// With -T fields, -T json or -w -, standard output holds packets alone, and the chat is on standard error
    #[arg(long)]
    pub show: bool,
    /// What else is done with the packets that --show shows.
    #[command(flatten)]
    pub output: Output,
}

/// A time with its unit; seconds if it has none.
pub(super) fn long_duration(text: &str) -> Result<Duration, String> {
    const HELP: &str = "give a number and ms, s, m or h, such as 30s";
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "ms" => 1e-3,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(HELP.to_owned()),
    };
    let number: f64 = number.parse().map_err(|_| HELP.to_owned())?;
    match Duration::try_from_secs_f64(number * scale) {
        Ok(time) if time <= Duration::from_secs(366 * 86_400) => Ok(time),
        _ => Err("that is too long".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_times_have_units() {
        assert_eq!(long_duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(long_duration("0"), Ok(Duration::ZERO));
        assert_eq!(long_duration("1.5h"), Ok(Duration::from_secs(5400)));
        assert_eq!(long_duration("250ms"), Ok(Duration::from_millis(250)));
        for bad in ["", "-1s", "1d", "soon", "1e9h", "9999999h"] {
            assert!(long_duration(bad).is_err(), "{bad}");
        }
    }
}
