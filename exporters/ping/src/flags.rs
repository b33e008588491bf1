//! The flags of its own.

use std::time::Duration;

use crate::compat::{Kind, Options};

/// Its own flags.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Flags {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would be the text of --help")]
    pub devices: devices::Flags,
    /// Uses raw sockets, which need CAP_NET_RAW, in place of the unprivileged ones of the default, whatever sockets.mode of the
    /// configuration says; ping_socket_mode_info tells which are in use.
    #[arg(
        long = "ping.raw-sockets",
        env = "SOTP_PING_RAW_SOCKETS",
        value_parser = clap::builder::FalseyValueParser::new(),
        help_heading = "Ping"
    )]
    pub raw_sockets: bool,
    /// Seconds taken off the timeout of the scraper, so that the answer of /probe comes within it.
    #[arg(
        long = "timeout-offset",
        env = "SOTP_PING_TIMEOUT_OFFSET",
        value_name = "SECONDS",
        value_parser = seconds,
        default_value = "0.5",
        help_heading = "Ping"
    )]
    pub timeout_offset: Duration,
    /// Threads that probe; 0 for one, and one more for each further 40,000 requests a second, up to the number of processors.
    #[arg(
        long = "ping.threads",
        env = "SOTP_PING_THREADS",
        value_name = "N",
        default_value_t = 0,
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(0..=64),
        help_heading = "Ping"
    )]
    pub threads: usize,
    /// Stands in for another prober: takes its flags and its configuration file, listens on its port and gives its metric names.
    #[arg(
        long = "compat",
        env = "SOTP_PING_COMPAT",
        value_name = "PROGRAM",
        value_enum,
        help_heading = "Ping"
    )]
    pub compat: Option<Kind>,
    /// The flags of that prober.
    #[arg(skip)]
    pub of_peer: Options,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok();
    let offset = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    offset.ok_or_else(|| "expected seconds, such as 0.5".into())
}
