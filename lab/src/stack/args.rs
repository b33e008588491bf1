//! Flags of `sotp-lab stack`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Subcommand;

use super::output::Show;

/// Flags of `sotp-lab stack`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Watch your own network: start the stack on this machine and stay until Ctrl-C.
    Up(Box<Up>),
    /// Install what is missing: Debian packages, and Grafana, Loki and Tempo by verified download.
    Install(Install),
    /// The half of the launcher that runs inside a lab.
    #[command(hide = true)]
    Inner {
        /// The plan to carry out.
        plan: PathBuf,
    },
    /// Send the log lines of the stack to Loki.
    #[command(hide = true)]
    Ship {
        /// Where lines are pushed.
        url: String,
        /// The folder of the log files.
        folder: PathBuf,
        /// The folder of the certificates.
        #[arg(long)]
        certificates: Option<PathBuf>,
    },
    /// Run a command of somebody who has no certificate: variables `SOTP_NAME_URL` lead to the parts for as long as it runs.
    #[command(hide = true)]
    Door {
        /// The state folder of the stack.
        state: PathBuf,
        /// The command.
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Stand in for a program that could not be had.
    #[command(hide = true, subcommand)]
    Double(Double),
}

/// What stands in for what.
#[derive(Debug, Subcommand)]
pub(super) enum Double {
    /// For Loki.
    Loki {
        /// Where it listens.
        address: SocketAddr,
        /// The folder of the certificates.
        #[arg(long)]
        certificates: Option<PathBuf>,
    },
    /// For Tempo.
    Tempo {
        /// Where it is asked and where spans are sent.
        #[arg(num_args = 2)]
        addresses: Vec<SocketAddr>,
        /// The folder of the certificates.
        #[arg(long)]
        certificates: Option<PathBuf>,
    },
    /// For Grafana.
    Grafana {
        /// How it is set up: JSON.
        setup: PathBuf,
    },
}

/// Flags of `sotp-lab stack up`.
#[derive(Debug, clap::Args)]
pub(crate) struct Up {
    /// Your devices: an inventory file.
    #[arg(long, value_name = "FILE", env = "SOTP_INVENTORY")]
    pub(crate) inventory: PathBuf,
    /// Credentials for SNMP, and modules if you have your own: an snmp.yml [default: the community public].
    #[arg(long, value_name = "FILE", env = "SOTP_SNMP_CONFIG")]
    pub(crate) snmp_config: Option<PathBuf>,
    /// Where devices send their syslog, UDP and TCP; from other machines they reach an address of this one, not loopback.
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:5514",
        env = "SOTP_SYSLOG_LISTEN_ADDRESS"
    )]
    pub(crate) syslog_listen_address: SocketAddr,
    /// Time between two scrapes and two rule evaluations, seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub(crate) scrape_interval: u64,
    /// How long Prometheus keeps samples, as Prometheus writes it.
    #[arg(long, value_name = "TIME", default_value = "100d")]
    pub(crate) retention: String,
    /// Which log lines reach the terminal; the log files get all of them.
    #[arg(long, value_enum, default_value_t = Show::All)]
    pub(crate) logs: Show,
    /// Let the parts speak plain HTTP to each other, for an engine that is behind its TLS.
    #[arg(long, env = "SOTP_NO_TLS")]
    pub(crate) no_tls: bool,
    /// Folder for everything that the stack writes [default: ~/.local/state/sotp/stack]
    #[arg(long, value_name = "DIR", env = "SOTP_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Flags of `sotp-lab stack install`.
#[derive(Debug, clap::Args)]
pub(crate) struct Install {
    /// Do not ask.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Only the packages that the stack needs, not those of the lab.
    #[arg(long)]
    pub(crate) no_lab: bool,
    /// Also what the tests of this project call.
    #[arg(long)]
    pub(crate) tests: bool,
    /// Also the browser that the story of the demo plays in, and what the app that it shows is built with.
    #[arg(long)]
    pub(crate) story: bool,
    #[command(flatten)]
    pub(crate) programs: Programs,
    #[command(flatten)]
    pub(crate) download: Download,
}

/// Flags that say where the parts of the stack are.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Common {
    /// Folder with the services of this project [default: the folder of this program]
    #[arg(long, value_name = "DIR", env = "SOTP_BIN_DIR")]
    pub(crate) bin_dir: Option<PathBuf>,
    /// Folder that holds alerts/ and dashboards/ [default: the checkout around the working folder]
    #[arg(long, value_name = "DIR", env = "SOTP_HOME")]
    pub(crate) home: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) programs: Programs,
}

/// Where programs of others are.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Programs {
    /// Folder searched before PATH for Prometheus, Alertmanager, Grafana, Loki and Tempo; downloads go
    /// there [default: ~/.cache/sotp/stack]
    #[arg(long, value_name = "DIR", env = "SOTP_STACK_DIR")]
    pub(crate) stack_dir: Option<PathBuf>,
}

/// What may be downloaded.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Download {
    /// Pinned versions and checksums instead of those that come with this program.
    #[arg(long, value_name = "FILE", env = "SOTP_STACK_PINS")]
    pub(crate) pins: Option<PathBuf>,
    /// Download nothing; go on with what is there.
    #[arg(long)]
    pub(crate) no_download: bool,
}
