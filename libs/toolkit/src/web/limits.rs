//! What one client may use of the server.

use std::time::Duration;

use crate::Flags;

/// What a client may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) connections: usize,
    pub(crate) header_bytes: usize,
    pub(crate) body_bytes: usize,
    pub(crate) header: Duration,
    pub(crate) request: Duration,
    pub(crate) write: Duration,
    pub(crate) idle: Duration,
}

impl Limits {
    pub(crate) fn new(flags: &Flags) -> Self {
        Self {
            connections: affordable(flags.web_max_connections),
            header_bytes: flags.web_max_header_bytes,
            body_bytes: flags.web_max_body_bytes,
            header: flags.web_header_timeout,
            request: flags.web_request_timeout,
            write: flags.web_write_timeout,
            idle: flags.web_idle_timeout,
        }
    }
}

/// Files that are no connections: libraries, logs, the service's own.
const OTHER_FILES: usize = 128;

/// As many connections as the limit of open files leaves room for.
fn affordable(wanted: usize) -> usize {
    let Some(files) = crate::process::most_files() else {
        return wanted;
    };
    let room = files.saturating_sub(OTHER_FILES).max(16);
    if wanted > room {
        tracing::warn!(
            wanted,
            room,
            files,
            "fewer connections than configured, the limit of open files is low"
        );
    }
    wanted.min(room)
}
