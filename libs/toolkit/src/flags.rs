//! The flags every service shares.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Args, CommandFactory, FromArgMatches, Parser};

use units::duration;

use crate::log::{LogFormat, LogLevel};
use crate::{Identity, Service};

/// Flags of the toolkit; each is read from the environment variable shown beside it too.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub struct Flags {
    /// Configuration file; without it the built-in default runs.
    #[arg(
        long = "config.file",
        env = "SOTP_CONFIG_FILE",
        value_name = "PATH",
        help_heading = "Configuration"
    )]
    pub config_file: Option<PathBuf>,
    /// Checks the configuration files and exits: 0 when they are good, 64 when not.
    #[arg(long = "config.check", env = "SOTP_CONFIG_CHECK", value_parser = FalseyValueParser::new(), help_heading = "Configuration")]
    pub config_check: bool,
    /// Prints the annotated default configuration and exits.
    #[arg(long = "config.print-default", env = "SOTP_CONFIG_PRINT_DEFAULT", value_parser = FalseyValueParser::new(), help_heading = "Configuration")]
    pub config_print_default: bool,
    /// How often the content of the configuration files is compared; 0s turns it off.
    #[arg(long = "config.auto-reload-interval", env = "SOTP_CONFIG_AUTO_RELOAD_INTERVAL", value_name = "DURATION", default_value = "1s", value_parser = duration, help_heading = "Configuration")]
    pub config_auto_reload_interval: Duration,

    /// Address to listen on, repeatable: HOST:PORT, :PORT for every IPv4 and IPv6 address, or unix:PATH.
    #[arg(
        long = "web.listen-address",
        env = "SOTP_WEB_LISTEN_ADDRESS",
        value_name = "ADDRESS",
        value_delimiter = ',',
        value_parser = crate::web::listen::form,
        help_heading = "Web server"
    )]
    pub web_listen_address: Vec<String>,
    /// File with TLS, basic authentication, response headers and rate limit of the web server.
    #[arg(
        long = "web.config.file",
        env = "SOTP_WEB_CONFIG_FILE",
        value_name = "PATH",
        help_heading = "Web server"
    )]
    pub web_config_file: Option<PathBuf>,
    /// Starts open and in plain text when the file of --web.config.file says nothing; else that is an error, as an empty file may be a failed write.
    #[arg(long = "web.allow-empty-config", env = "SOTP_WEB_ALLOW_EMPTY_CONFIG", value_parser = FalseyValueParser::new(), help_heading = "Web server")]
    pub web_allow_empty_config: bool,
    /// Path of the metrics.
    #[arg(long = "web.telemetry-path", env = "SOTP_WEB_TELEMETRY_PATH", value_name = "PATH", default_value = "/metrics", value_parser = web_path, help_heading = "Web server")]
    pub web_telemetry_path: String,
    /// Requests for metrics and for pages of the service answered at a time, more get 503; 0 turns the limit off.
    #[arg(
        long = "web.max-requests",
        env = "SOTP_WEB_MAX_REQUESTS",
        value_name = "COUNT",
        default_value_t = 40,
        help_heading = "Web server"
    )]
    pub web_max_requests: usize,
    /// Open connections at a time; beyond it the one idle for longest is closed.
    #[arg(long = "web.max-connections", env = "SOTP_WEB_MAX_CONNECTIONS", value_name = "COUNT", default_value_t = 1024, value_parser = positive, help_heading = "Web server")]
    pub web_max_connections: usize,
    /// Largest request head in bytes; a larger one gets 431.
    #[arg(long = "web.max-header-bytes", env = "SOTP_WEB_MAX_HEADER_BYTES", value_name = "BYTES", default_value_t = 16_384, value_parser = header_bytes, help_heading = "Web server")]
    pub web_max_header_bytes: usize,
    /// Largest request body in bytes; a larger one gets 413.
    #[arg(
        long = "web.max-body-bytes",
        env = "SOTP_WEB_MAX_BODY_BYTES",
        value_name = "BYTES",
        default_value_t = 1_048_576,
        help_heading = "Web server"
    )]
    pub web_max_body_bytes: usize,
    /// Time a client has for its TLS handshake and for each request head.
    #[arg(long = "web.header-timeout", env = "SOTP_WEB_HEADER_TIMEOUT", value_name = "DURATION", default_value = "10s", value_parser = some_duration, help_heading = "Web server")]
    pub web_header_timeout: Duration,
    /// Time a request may take, its body included; a slower one gets 503.
    #[arg(long = "web.request-timeout", env = "SOTP_WEB_REQUEST_TIMEOUT", value_name = "DURATION", default_value = "60s", value_parser = some_duration, help_heading = "Web server")]
    pub web_request_timeout: Duration,
    /// Time in which a client must read something of its response.
    #[arg(long = "web.write-timeout", env = "SOTP_WEB_WRITE_TIMEOUT", value_name = "DURATION", default_value = "30s", value_parser = some_duration, help_heading = "Web server")]
    pub web_write_timeout: Duration,
    /// Time a connection may stay open without a request.
    #[arg(long = "web.idle-timeout", env = "SOTP_WEB_IDLE_TIMEOUT", value_name = "DURATION", default_value = "180s", value_parser = some_duration, help_heading = "Web server")]
    pub web_idle_timeout: Duration,
    /// File that gets the first really bound address, for harnesses that listen on port 0.
    #[arg(
        long = "web.port-file",
        env = "SOTP_WEB_PORT_FILE",
        value_name = "PATH",
        help_heading = "Web server"
    )]
    pub web_port_file: Option<PathBuf>,

    /// Least severe level that is logged.
    #[arg(
        long = "log.level",
        env = "SOTP_LOG_LEVEL",
        value_name = "LEVEL",
        default_value = "info",
        help_heading = "Logs"
    )]
    pub log_level: LogLevel,
    /// Form of the log lines on standard error.
    #[arg(
        long = "log.format",
        env = "SOTP_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "logfmt",
        help_heading = "Logs"
    )]
    pub log_format: LogFormat,

    /// Time the tasks have to end after SIGTERM or SIGINT before they are aborted.
    #[arg(long = "drain.timeout", env = "SOTP_DRAIN_TIMEOUT", value_name = "DURATION", default_value = "10s", value_parser = some_duration, help_heading = "Life")]
    pub drain_timeout: Duration,
}

impl Flags {
    /// Addresses to listen on: those given, else every address with the port of the service.
    pub(crate) fn listen(&self, identity: &Identity) -> Vec<String> {
        if self.web_listen_address.is_empty() {
            vec![format!(":{}", identity.port)]
        } else {
            self.web_listen_address.clone()
        }
    }
}

#[derive(Parser)]
struct Both<F: Args> {
    #[command(flatten)]
    toolkit: Flags,
    #[command(flatten)]
    own: F,
}

/// The command line of a service.
pub(crate) fn command<S: Service>() -> clap::Command {
    let identity = S::IDENTITY;
    let version = identity.line();
    let version = version
        .split_once(' ')
        .map_or(version.clone(), |(_, rest)| rest.to_owned());
    Both::<S::Flags>::command()
        .name(identity.name)
        .bin_name(identity.name)
        .about(identity.about)
        .version(version)
        // A value in the environment may be a secret.
        .mut_args(|arg| arg.hide_env_values(true))
        .after_help(format!("Without --web.listen-address the service listens on :{}.\nExit codes: 0 done, 1 failed, 64 wrong flags or configuration.", identity.port))
}

/// Reads the command line and the environment.
pub(crate) fn read<S: Service>(
    args: impl IntoIterator<Item = OsString>,
) -> Result<(Flags, S::Flags), clap::Error> {
    let matches = command::<S>().try_get_matches_from(args)?;
    let Both { toolkit, own } = Both::<S::Flags>::from_arg_matches(&matches)?;
    Ok((toolkit, own))
}

fn some_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("expected more than zero".to_owned()),
        some => Ok(some),
    }
}

fn positive(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|n| *n > 0)
        .ok_or_else(|| format!("expected a number from 1, found {text:?}"))
}

fn header_bytes(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|n| (8192..=1 << 20).contains(n))
        .ok_or_else(|| format!("expected a number from 8192 to 1048576, found {text:?}"))
}

fn web_path(text: &str) -> Result<String, String> {
    let taken = text == "/" || text == "/config" || text.starts_with("/-/");
    if text.starts_with('/') && !taken && !text.contains(['{', '}', '?', '#', ' ']) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "expected a path such as /metrics that is not taken by another page, found {text:?}"
        ))
    }
}
