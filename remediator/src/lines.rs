//! What happens as lines in Loki: every step of a job, what the device said to the lines that were typed, and answers on the console.

use inventory::Device;
use loki::{Line, Lines, Render};
use serde::{Deserialize, Serialize};
use spool::Record;
use toolkit::{App, Live};

use crate::config::Config;
use crate::engine::Witness;
use crate::job::{Job, State, Who};
use crate::journal::{Answered, CommandJob};

/// The state of a job in its first line.
const NEW: &str = "new";

/// Opens the queue of lines and begins to push, where the configuration names a Loki.
///
/// # Errors
/// The folder, the address or a file that the configuration names cannot be used.
pub fn start(live: &Live<Config>, app: &mut App) -> anyhow::Result<Option<Teller>> {
    let config = live.current();
    let Some(told) = &config.lines else {
        return Ok(None);
    };
    let section = |config: &Config| config.lines.as_ref().map(|told| told.loki.clone());
    let queue = (&told.queue, told.base.as_path());
    let lines = Lines::open(app, "remediator", queue, live, section, || Shown)?;
    Ok(Some(Teller(lines)))
}

/// Puts lines into the queue.
#[derive(Debug)]
pub struct Teller(Lines);

/// One line before it is rendered.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct News {
    event: String,
    device: String,
    site: String,
    role: String,
    /// Structured metadata.
    more: Vec<(String, String)>,
    text: String,
}

impl Teller {
    fn tell(&self, news: &News) {
        if let Ok(payload) = serde_json::to_vec(news) {
            self.0.keep(&payload);
        }
    }
}

fn pairs<const N: usize>(all: [(&str, Option<&str>); N]) -> Vec<(String, String)> {
    let there = all
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    there
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn shown(who: Option<&Who>) -> Option<&str> {
    who.map(|who| who.display.as_str())
}

impl Witness for Teller {
    fn moved(&self, job: &Job, from: Option<State>) {
        let from = from.map_or(NEW, State::as_str);
        let mut text = format!(
            "{}: {from} → {}: {}",
            job.title(),
            job.state.as_str(),
            job.reason
        );
        // The output is there from the step after the lines on; it is told once, and again when more was typed.
        if matches!(job.state, State::Verifying | State::RolledBack) && !job.output.is_empty() {
            text.push('\n');
            text.push_str(&job.output);
        }
        self.tell(&News {
            event: "job".to_owned(),
            device: job.device.clone(),
            site: job.site.clone(),
            role: job.role.clone(),
            more: pairs([
                ("job_id", Some(&job.id)),
                ("runbook", Some(&job.runbook)),
                ("ifName", job.port.as_deref()),
                ("from", Some(from)),
                ("to", Some(job.state.as_str())),
                ("level", Some(job.level.as_str())),
                ("requester", shown(job.requester.as_ref())),
                ("approver", shown(job.approver.as_ref())),
                ("trace_id", job.trace_id.as_deref()),
            ]),
            text,
        });
    }

    fn answered(&self, job: &CommandJob, device: &Device, answer: &Answered) {
        let outcome = if answer.ok { "answered" } else { "failed" };
        let cut = if answer.truncated {
            "\n… the answer was longer\n"
        } else {
            ""
        };
        self.tell(&News {
            event: "console".to_owned(),
            device: device.name.to_string(),
            site: device.site.to_string(),
            role: device.role.to_string(),
            more: pairs([
                ("job_id", Some(&job.id)),
                ("command", Some(&job.command)),
                ("outcome", Some(outcome)),
                ("requester", shown(Some(&job.requester))),
                ("trace_id", job.trace_id.as_deref()),
            ]),
            text: format!(
                "{}: {} on {}\n{}{cut}",
                job.requester.display, job.command, &*device.name, answer.text
            ),
        });
    }
}

/// Makes lines of records.
struct Shown;

impl Render for Shown {
    fn render(&mut self, record: Record<'_>, line: &mut Line) {
        line.label("job", "remediator", true);
        let Ok(news) = serde_json::from_slice::<News>(record.payload) else {
            // A record of another version: kept as it is.
            line.text.push_str(&String::from_utf8_lossy(record.payload));
            return;
        };
        line.label("event", &news.event, false);
        for (name, value) in [
            ("device", &news.device),
            ("site", &news.site),
            ("role", &news.role),
        ] {
            line.label(name, value, false);
        }
        for (name, value) in &news.more {
            line.metadata(name, value);
        }
        line.text.push_str(&news.text);
    }
}
