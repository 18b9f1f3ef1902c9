//! The arguments of `layerwise demo`.

use std::time::Duration;

use clap::Args;

use super::duration;
use super::output::Output;

/// The demonstration.
#[derive(Debug, Args)]
pub struct Demo {
    /// What A says, one message each; B answers each
    #[arg(value_name = "MESSAGE", default_value = "hi")]
    pub messages: Vec<String>,
    /// What B answers
    #[arg(long, value_name = "TEXT")]
    pub reply: Option<String>,
    /// A number that all that is random comes from: the same seed, the same packets
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// The most bytes an IP packet may have
    #[arg(long, value_name = "BYTES", default_value_t = 1500)]
    pub mtu: u32,
    /// How long a packet takes from one host to the other: 5ms, 250us, 1.5s
    #[arg(long, value_name = "TIME", default_value = "5ms", value_parser = duration)]
    pub latency: Duration,
    /// What else is done with the packets.
    #[command(flatten)]
    pub output: Output,
}

impl Default for Demo {
    fn default() -> Self {
        Self {
            messages: vec!["hi".to_owned()],
            reply: None,
            seed: 1,
            mtu: 1500,
            latency: Duration::from_millis(5),
            output: Output::default(),
        }
    }
}
