//! Flags: those of snmp_exporter under their names, and ours.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};

/// What becomes of a scrape of which a part is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Partial {
    /// Answered with what there is; `snmp_error` names the rest.
    Accept,
    /// Answered with status 500.
    Refuse,
}

/// What becomes of a scrape that brought nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Failure {
    /// Status 500, so that `up` is 0.
    Status,
    /// Status 200 with `snmp_error` alone.
    Series,
}

/// Flags of sotp-snmp.
#[derive(Clone, Debug, Args)]
pub struct Flags {
    /// What `--config.file` names beside the first file.
    #[arg(skip)]
    pub further_files: Vec<String>,
    /// Replaces ${VAR} and $VAR in username, password and priv_password by the environment.
    #[arg(
        long = "config.expand-environment-variables",
        env = "SOTP_CONFIG_EXPAND_ENVIRONMENT_VARIABLES",
        value_parser = clap::builder::FalseyValueParser::new(),
        help_heading = "Configuration"
    )]
    pub expand_environment: bool,
    /// Checks the configuration and exits, as --config.check does.
    #[arg(long = "dry-run", help_heading = "Configuration")]
    pub dry_run: bool,
    /// Answers exactly as snmp_exporter does, without any addition.
    #[arg(long = "snmp.strict", env = "SOTP_SNMP_STRICT", help_heading = "SNMP")]
    pub strict: bool,
    /// Accepted for compatibility: all modules of a request are fetched together.
    #[arg(
        long = "snmp.module-concurrency",
        env = "SOTP_SNMP_MODULE_CONCURRENCY",
        value_name = "COUNT",
        default_value_t = 1,
        help_heading = "SNMP"
    )]
    pub module_concurrency: u32,
    /// Wraps 64-bit counters at 2^53, where a double still counts by ones.
    #[arg(long = "snmp.wrap-large-counters", env = "SOTP_SNMP_WRAP_LARGE_COUNTERS", value_name = "BOOL", default_value_t = true, default_missing_value = "true", num_args = 0..=1, require_equals = true, action = ArgAction::Set, help_heading = "SNMP")]
    pub wrap_large_counters: bool,
    /// How long label columns are kept at most while the device says that its tables have not changed; 0s asks for them at every scrape.
    #[arg(long = "snmp.keep-columns", env = "SOTP_SNMP_KEEP_COLUMNS", value_name = "DURATION", default_value = "5m", value_parser = toolkit::duration, help_heading = "SNMP")]
    pub keep_columns: Duration,
    /// Carries 32-bit counters on to 64 bits when they wrap, and tells in protobuf since when counters count.
    #[arg(long = "snmp.carry-counters", env = "SOTP_SNMP_CARRY_COUNTERS", value_name = "BOOL", default_value_t = true, default_missing_value = "true", num_args = 0..=1, require_equals = true, action = ArgAction::Set, help_heading = "SNMP")]
    pub carry_counters: bool,
    /// Address and port to send from, such as 198.18.0.1:0; an IPv6 address in square brackets.
    #[arg(long = "snmp.source-address", env = "SOTP_SNMP_SOURCE_ADDRESS", value_name = "ADDRESS", value_parser = source, help_heading = "SNMP")]
    pub source_address: Option<SocketAddr>,
    /// Logs what each request ended with, at level debug.
    #[arg(
        long = "snmp.debug-packets",
        env = "SOTP_SNMP_DEBUG_PACKETS",
        help_heading = "SNMP"
    )]
    pub debug_packets: bool,
    /// Most requests under way to one target; 1 asks as slowly as snmp_exporter.
    #[arg(long = "snmp.window", env = "SOTP_SNMP_WINDOW", value_name = "COUNT", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=256), help_heading = "SNMP")]
    pub window: u16,
    /// What becomes of a scrape of which a part is missing.
    #[arg(
        long = "snmp.partial",
        env = "SOTP_SNMP_PARTIAL",
        value_name = "POLICY",
        value_enum,
        default_value = "accept",
        help_heading = "SNMP"
    )]
    pub partial: Partial,
    /// What becomes of a scrape that brought nothing.
    #[arg(
        long = "snmp.failure",
        env = "SOTP_SNMP_FAILURE",
        value_name = "POLICY",
        value_enum,
        default_value = "status",
        help_heading = "SNMP"
    )]
    pub failure: Failure,
    /// A folder of MIB files, with those below it, for walks that name objects; repeatable [default: the folders of net-snmp]
    #[arg(
        long = "snmp.mib-dir",
        env = "SOTP_SNMP_MIB_DIR",
        value_name = "DIR",
        value_delimiter = ':',
        help_heading = "SNMP"
    )]
    pub mib_dir: Vec<PathBuf>,
    /// Memory for what devices answer and for the pages made of it, of all scrapes together; one scrape may have half of it.
    #[arg(
        long = "snmp.max-memory",
        env = "SOTP_SNMP_MAX_MEMORY",
        value_name = "SIZE",
        default_value = "256MiB",
        help_heading = "SNMP"
    )]
    pub max_memory: units::Bytes,
    /// Devices that may be asked with named credentials: with an inventory its own, on the port and with the auth that it says.
    #[command(flatten)]
    pub devices: devices::Flags,
    /// A network (CIDR) or address that may be asked with named credentials; repeatable. Without an inventory and without this, every
    /// target that a request names gets them, as with snmp_exporter.
    #[arg(
        long = "snmp.targets",
        env = "SOTP_SNMP_TARGETS",
        value_name = "CIDR",
        value_delimiter = ',',
        value_parser = crate::config::network,
        help_heading = "SNMP"
    )]
    pub targets: Vec<ipnet::IpNet>,
    /// Sends named credentials to every target that a request names, also with an inventory: whoever reaches the port can have them sent
    /// to an address of their choice.
    #[arg(
        long = "snmp.any-target",
        env = "SOTP_SNMP_ANY_TARGET",
        value_parser = clap::builder::FalseyValueParser::new(),
        help_heading = "SNMP"
    )]
    pub any_target: bool,
    /// Address and port on which traps and informs are received, as :162 or 127.0.0.1:1162; none unless given.
    #[arg(long = "traps.listen-address", env = "SOTP_TRAPS_LISTEN_ADDRESS", value_name = "ADDRESS", value_parser = listen, help_heading = "SNMP")]
    pub traps_listen_address: Option<SocketAddr>,
    /// Identity of this receiver for informs of version 3, as hexadecimal digits, for devices that must be told it; a new one at each
    /// start unless given.
    #[arg(
        long = "traps.engine-id",
        env = "SOTP_TRAPS_ENGINE_ID",
        value_name = "HEX",
        value_parser = crate::usm::own::Engine::named,
        help_heading = "Traps"
    )]
    pub traps_engine_id: Option<crate::usm::own::EngineId>,
    /// Where lines of traps go.
    #[command(flatten)]
    pub lines: crate::traps::lines::LineFlags,
    /// Serves on the sockets that a socket unit of systemd passes on, in place of --web.listen-address.
    #[arg(long = "web.systemd-socket", help_heading = "Web server")]
    pub systemd_socket: bool,
    /// Seconds taken off the scrape timeout that Prometheus names.
    #[arg(
        long = "timeout-offset",
        env = "SOTP_TIMEOUT_OFFSET",
        value_name = "SECONDS",
        default_value_t = 0.5,
        help_heading = "SNMP"
    )]
    pub timeout_offset: f64,
}

fn listen(text: &str) -> Result<SocketAddr, String> {
    let whole = if text.starts_with(':') {
        format!("[::]{text}")
    } else {
        text.to_owned()
    };
    whole
        .parse()
        .map_err(|_| format!("expected :162 or an address and a port, found {text:?}"))
}

fn source(text: &str) -> Result<SocketAddr, String> {
    let whole = if text.ends_with(':') {
        format!("{text}0")
    } else {
        text.to_owned()
    };
    whole
        .parse()
        .map_err(|_| format!("expected an address and a port, found {text:?}"))
}

/// The time a scrape has, from the timeout that Prometheus sends with it.
#[must_use]
pub fn time_allowed(header: Option<&str>, offset: f64) -> Duration {
    const WITHOUT: Duration = Duration::from_secs(55);
    let Some(seconds) = header
        .and_then(|text| text.trim().parse::<f64>().ok())
        .filter(|seconds| seconds.is_finite() && *seconds > 0.0)
    else {
        return WITHOUT;
    };
    let offset = if offset >= seconds || offset.is_nan() || offset < 0.0 {
        0.0
    } else {
        offset
    };
    Duration::try_from_secs_f64(seconds - offset)
        .unwrap_or(WITHOUT)
        .min(Duration::from_secs(3600))
}

/// Switches that are off unless they are given.
const SWITCHES: [&str; 3] = [
    "snmp.debug-packets",
    "config.expand-environment-variables",
    "snmp.strict",
];

/// Turns the forms of the command line that only snmp_exporter has into those of the toolkit.
///
/// `--config.file` may be repeated and may be a pattern there; the toolkit takes one file, so the first stays and the others are answered,
/// for [`Flags::further_files`]. `--dry-run` becomes `--config.check`, `--no-snmp.wrap-large-counters` a value, `--web.systemd-socket` a listen address in place of every
/// other. Bounds of the web server that would hold a
/// fleet back are raised unless they are given.
#[must_use]
pub fn prepare(args: impl IntoIterator<Item = OsString>) -> (Vec<OsString>, Vec<String>) {
    let mut out: Vec<OsString> = Vec::new();
    let mut files: Vec<String> = Vec::new();
    let args: Vec<OsString> = args.into_iter().collect();
    let systemd = args.iter().any(|arg| arg == "--web.systemd-socket");
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy().into_owned();
        if text == "--config.file" {
            files.extend(
                args.next()
                    .map(|value| value.to_string_lossy().into_owned()),
            );
        } else if let Some(value) = text.strip_prefix("--config.file=") {
            files.push(value.to_owned());
        } else if text == "--dry-run" {
            out.push("--config.check".into());
        } else if text == "--web.systemd-socket" {
            out.push("--web.listen-address=systemd".into());
        } else if systemd && text == "--web.listen-address" {
            args.next();
        } else if systemd && text.starts_with("--web.listen-address=") {
            // systemd has bound what there is.
        } else if [
            "--no-dry-run",
            "--web.config.file=",
            "--no-web.systemd-socket",
        ]
        .contains(&text.as_str())
            || text
                .strip_prefix("--no-")
                .is_some_and(|name| SWITCHES.contains(&name))
        {
            // What holds anyway.
        } else if let Some(level) = text.strip_prefix("--log.level=") {
            out.push(format!("--log.level={}", level.to_ascii_lowercase()).into());
        } else if let Some(name @ ("wrap-large-counters" | "carry-counters")) =
            text.strip_prefix("--no-snmp.")
        {
            out.push(format!("--snmp.{name}=false").into());
        } else {
            out.push(arg);
        }
    }
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut unmatched: Vec<String> = Vec::new();
    for file in &files {
        match crate::config::matching(file) {
            Ok(found) if !found.is_empty() => paths.extend(found),
            _ => unmatched.push(file.clone()),
        }
    }
    if let Some(first) = paths.first() {
        out.push(format!("--config.file={}", first.display()).into());
    } else if let Some(file) = files.first() {
        out.push(format!("--config.file={file}").into());
    }
    for (flag, variable, value) in [
        ("--web.max-requests", "SOTP_WEB_MAX_REQUESTS", "2000"),
        ("--web.max-connections", "SOTP_WEB_MAX_CONNECTIONS", "4096"),
        ("--web.request-timeout", "SOTP_WEB_REQUEST_TIMEOUT", "1h"),
    ] {
        if std::env::var_os(variable).is_none()
            && !out
                .iter()
                .any(|arg| arg.to_string_lossy().starts_with(flag))
        {
            out.push(format!("{flag}={value}").into());
        }
    }
    let further = paths.iter().skip(1);
    let further = further.map(|path| path.display().to_string());
    // Those that match nothing are told, unless there is nothing else: then the one who opens the first says so.
    let missing = if paths.is_empty() {
        Vec::new()
    } else {
        unmatched
    };
    (out, further.chain(missing).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_scrape_is_that_of_prometheus_less_the_offset() {
        assert_eq!(time_allowed(Some("10"), 0.5), Duration::from_millis(9500));
        assert_eq!(time_allowed(Some("0.4"), 0.5), Duration::from_millis(400));
        for bad in [None, Some("x"), Some("-1"), Some("inf"), Some("NaN")] {
            assert_eq!(time_allowed(bad, 0.5), Duration::from_secs(55));
        }
    }

    #[test]
    fn the_forms_of_snmp_exporter_become_those_of_the_toolkit() {
        // A pattern in the name of a folder, and a name that is not there.
        let folder = testkit::TempDir::new().unwrap();
        std::fs::create_dir(folder.join("conf1")).unwrap();
        let [first, second] = ["conf1/a.yml", "conf1/b.yml"].map(|name| folder.join(name));
        for file in [&first, &second] {
            std::fs::write(file, "").unwrap();
        }
        let pattern = folder.join("conf*/*.yml").display().to_string();
        let missing = folder.join("c.yml").display().to_string();
        let named = format!("--config.file={missing}");
        let args = [
            "x",
            "--config.file",
            &pattern,
            &named,
            "--dry-run",
            "--no-snmp.wrap-large-counters",
            "--web.max-requests=7",
            "--no-snmp.debug-packets",
            "--no-config.expand-environment-variables",
            "--no-web.systemd-socket",
            "--web.config.file=",
            "--log.level=DEBUG",
        ];
        let (out, further) = prepare(args.map(OsString::from));
        let out: Vec<String> = out
            .into_iter()
            .map(|arg| arg.into_string().unwrap())
            .collect();
        assert_eq!(
            out[..6],
            [
                "x".to_owned(),
                "--config.check".to_owned(),
                "--snmp.wrap-large-counters=false".to_owned(),
                "--web.max-requests=7".to_owned(),
                "--log.level=debug".to_owned(),
                format!("--config.file={}", first.display()),
            ]
        );
        assert_eq!(further, [second.display().to_string(), missing]);
    }
}
