//! A line in Loki for each change: a core Logs panel shows them, an annotation query marks them.

use loki::{Line, Lines, Render};
use serde::{Deserialize, Serialize};
use spool::Record;
use toolkit::{App, Live};

use crate::config::Config;

/// Most bytes of a difference in a line; the rest is in the archive.
const MOST_DIFF: usize = 64 << 10;

/// What happened.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct News {
    pub(crate) device: String,
    pub(crate) site: String,
    pub(crate) role: String,
    /// Empty when nobody knows.
    pub(crate) user: String,
    pub(crate) trigger: String,
    /// Empty when it was collected outside a trace.
    #[serde(default)]
    pub(crate) trace_id: String,
    pub(crate) commit: String,
    pub(crate) added: usize,
    pub(crate) removed: usize,
    pub(crate) diff: String,
}

/// Opens the queue of lines and begins to push, where the configuration names a Loki.
///
/// # Errors
/// The folder, the address or a file that the configuration names cannot be used.
pub(crate) fn start(live: &Live<Config>, app: &mut App) -> anyhow::Result<Option<Lines>> {
    let config = live.current();
    if config.loki.is_none() {
        return Ok(None);
    }
    let queue = (&config.queue, config.data.as_path());
    let section = |config: &Config| config.loki.clone();
    Lines::open(app, "sshconfig", queue, live, section, || Shown).map(Some)
}

/// Puts a line about a change into the queue.
pub(crate) fn tell(lines: &Lines, mut news: News) {
    if news.diff.len() > MOST_DIFF {
        let end = (0..=MOST_DIFF)
            .rev()
            .find(|end| news.diff.is_char_boundary(*end));
        news.diff.truncate(end.unwrap_or(0));
        news.diff.push_str("\n… the rest is in the archive\n");
    }
    if let Ok(payload) = serde_json::to_vec(&news) {
        lines.keep(&payload);
    }
}

/// Makes lines of records.
struct Shown;

impl Render for Shown {
    fn render(&mut self, record: Record<'_>, line: &mut Line) {
        line.label("job", "ssh-config", true);
        line.label("event", "configuration_change", false);
        let Ok(news) = serde_json::from_slice::<News>(record.payload) else {
            // A record of another version: kept as it is.
            line.text.push_str(&String::from_utf8_lossy(record.payload));
            return;
        };
        for (name, value) in [
            ("device", &news.device),
            ("site", &news.site),
            ("role", &news.role),
        ] {
            line.label(name, value, false);
        }
        for (name, value) in [
            ("user", &news.user),
            ("trigger", &news.trigger),
            ("commit", &news.commit),
            ("trace_id", &news.trace_id),
        ] {
            line.metadata(name, value);
        }
        let user = if news.user.is_empty() {
            "Somebody"
        } else {
            &news.user
        };
        line.text.push_str(&format!(
            "{user} changed the configuration of {} (+{} -{})\n{}",
            news.device, news.added, news.removed, news.diff
        ));
    }
}
