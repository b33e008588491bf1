//! Notifications as lines in Loki, by way of a queue on disk: a line is in the queue before its inform is acknowledged.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use loki::{Line, QueueSection, Render, Section};
use spool::Record;
use toolkit::{App, Live};

use super::Notification;

/// Between the fields of a record; no field can hold it, since octets with control characters are written as hexadecimal digits.
const FIELD: char = '\u{1f}';
/// Where lines go.
#[derive(Clone, Debug, clap::Args)]
pub struct LineFlags {
    /// Pushes a line for each trap to Loki: the full address, http://loki:3100/loki/api/v1/push.
    #[arg(
        long = "traps.loki-url",
        env = "SOTP_TRAPS_LOKI_URL",
        value_name = "URL",
        help_heading = "Traps"
    )]
    pub url: Option<String>,
    /// The tenant of these lines (X-Scope-OrgID).
    #[arg(
        long = "traps.loki-tenant",
        env = "SOTP_TRAPS_LOKI_TENANT",
        value_name = "NAME",
        help_heading = "Traps"
    )]
    pub tenant: Option<String>,
    /// A file with the token that Loki wants.
    #[arg(
        long = "traps.loki-token-file",
        env = "SOTP_TRAPS_LOKI_TOKEN_FILE",
        value_name = "FILE",
        help_heading = "Traps"
    )]
    pub token_file: Option<PathBuf>,
    /// Certificates, in PEM, that Loki's must descend from.
    #[arg(
        id = "traps_ca_file",
        long = "traps.loki-ca-file",
        env = "SOTP_TRAPS_LOKI_CA_FILE",
        value_name = "FILE",
        help_heading = "Traps"
    )]
    pub ca_file: Option<PathBuf>,
    /// The folder of the queue that keeps lines until Loki has them.
    #[arg(
        long = "traps.spool-path",
        env = "SOTP_TRAPS_SPOOL_PATH",
        value_name = "DIR",
        default_value = "snmp-traps",
        help_heading = "Traps"
    )]
    pub spool: PathBuf,
    /// Bytes that the queue may use; beyond them the oldest lines are given up and counted.
    #[arg(
        long = "traps.spool-bytes",
        env = "SOTP_TRAPS_SPOOL_BYTES",
        value_name = "BYTES",
        default_value_t = 256 << 20,
        value_parser = clap::value_parser!(u64).range(16 << 20..),
        help_heading = "Traps"
    )]
    pub spool_bytes: u64,
}

/// Writes lines of notifications.
#[derive(Clone, Debug)]
pub struct Lines(loki::Lines);

/// Opens the queue and begins to push; nothing when no Loki is named.
///
/// # Errors
/// The folder, the address or a file that a flag names cannot be used.
pub fn start(flags: &LineFlags, app: &mut App) -> anyhow::Result<Option<Lines>> {
    let Some(url) = &flags.url else {
        return Ok(None);
    };
    let section = Section {
        tenant: flags.tenant.clone(),
        bearer_token_file: flags.token_file.clone(),
        ca_file: flags.ca_file.clone(),
        ..Section::new(url)
    };
    let here = Path::new("");
    let destination = section.check(here).map_err(|(field, message)| {
        let flag = match field.as_str() {
            "bearer_token_file" => "--traps.loki-token-file",
            _ => "--traps.loki-url",
        };
        anyhow::anyhow!("{flag}: {message}")
    })?;
    let queue = QueueSection {
        path: flags.spool.clone(),
        max_bytes: flags.spool_bytes,
    };
    let lines = loki::Lines::open(
        app,
        "snmp_trap",
        (&queue, here),
        &Live::fixed(destination),
        |destination| Some(destination.clone()),
        || Shown,
    );
    let lines = lines.context("--traps.loki-url with --traps.spool-path")?;
    Ok(Some(Lines(lines)))
}

impl Lines {
    /// Puts a notification into the queue; whether it is there now.
    pub(super) fn keep(
        &self,
        notification: &Notification,
        version: &str,
        source: IpAddr,
        labels: [&str; 2],
    ) -> bool {
        let kind = if notification.inform {
            "inform"
        } else {
            "trap"
        };
        let text = format!(
            "source={source} version={version} {kind}={} {}",
            notification.name(),
            notification.text()
        );
        let payload =
            [labels[0], labels[1], version, kind, text.trim_end()].join(&String::from(FIELD));
        self.0.keep(payload.as_bytes())
    }
}

/// Makes lines of records.
struct Shown;

impl Render for Shown {
    fn render(&mut self, record: Record<'_>, line: &mut Line) {
        let text = String::from_utf8_lossy(record.payload);
        line.label("job", "snmp-traps", true);
        let fields: Vec<&str> = text.splitn(5, FIELD).collect();
        let [source, trap, version, kind, text] = fields[..] else {
            // A record of another version: kept as it is.
            line.text.push_str(&text);
            return;
        };
        line.label("source", source, false);
        line.label("trap", trap, false);
        line.metadata("version", version);
        line.metadata("kind", kind);
        line.text.push_str(text);
    }
}
