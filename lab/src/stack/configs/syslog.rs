//! `syslog.yaml`.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::quoted;

/// What the syslog receiver is told.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Folder of its queue.
    pub(crate) data: PathBuf,
    /// Where it listens for the devices, UDP and TCP.
    pub(crate) listen: SocketAddr,
    /// Loki; without one the messages stand in a file.
    pub(crate) loki: Option<String>,
}

/// The text of the file.
pub(crate) fn text(settings: &Settings) -> String {
    let at = |name: &str| quoted(settings.data.join(name).to_string_lossy());
    let outputs = match &settings.loki {
        Some(url) => format!(
            "loki: [{{name: main, url: {}}}]\n",
            quoted(format!("{url}/loki/api/v1/push"))
        ),
        // Debian has no Loki: everything that is received can be read in a file, and piped into `sotp-syslog explain`.
        None => format!(
            "loki: []\nfiles: [{{name: file, path: {}}}]\n",
            at("messages.log")
        ),
    };
    format!(
        "# Written anew at each start by `sotp-lab`.\n\
         listen: {{udp: [{{address: '{listen}'}}], tcp: [{{address: '{listen}'}}]}}\n\
         spool: {{path: {spool}, max_bytes: 268435456, reserve_bytes: 16777216}}\n\
         dead_letters: {{path: {dead}}}\n\
         events_at_once: true\n\
         runbook_url: docs/syslog-events.md\n{outputs}",
        listen = settings.listen,
        spool = at("spool"),
        dead = at("dead-letters.jsonl"),
    )
}
