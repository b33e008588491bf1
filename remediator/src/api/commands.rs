//! The console: an allowed command on devices, as the caller, by an account that reads only.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use access::caller::{Caller, Object};
use access::edit::{Action, Done, Granted, Need, Plan};
use access::{Problem, Refusal};
use futures_util::future::join_all;
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use toolkit::trace::Origin;
use toolkit::web::response;
use toolkit::{Request, Response};
use tracing::Instrument as _;

use crate::engine::Engine;
use crate::job::new_id;
use crate::journal::{Answered, CommandJob};
use crate::session::Account;

use super::jobs::who;
use super::{Api, body, journal, limit};
use crate::verbs;

/// Most devices of one command.
const DEVICES: usize = 100;
/// Jobs with the same command that are looked through for an answer before.
const BEFORE: u32 = 50;
/// Most bytes of one answer that are kept.
const ANSWER: usize = 64 * 1024;

/// What the console asks for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CommandRequest {
    #[schemars(length(min = 1, max = 100))]
    devices: Vec<String>,
    /// One of those that the platform allows, with places for parameters.
    command: String,
    /// What goes into the places.
    #[serde(default)]
    parameters: BTreeMap<String, String>,
}

/// What a command would send.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Sends {
    sends: Vec<Send>,
}

/// One line to one device.
#[derive(Debug, Serialize, JsonSchema)]
struct Send {
    device: String,
    command: String,
}

/// A command that was accepted.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Accepted {
    /// Its id.
    job: String,
    /// Where its answers are.
    location: String,
}

/// Commands, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Commands {
    commands: Vec<CommandJob>,
}

/// A command with its answers.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CommandShown {
    #[serde(flatten)]
    command: CommandJob,
    /// Devices with the same answer together, the largest group first.
    groups: Vec<Vec<String>>,
    /// How each answer differs from the last one that the device gave to the same command; devices that never gave one are left out.
    changes: Vec<Changed>,
}

/// How an answer differs from the one before.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
struct Changed {
    device: String,
    /// The job with the answer before.
    job: String,
    /// When that was, milliseconds since the epoch.
    at: i64,
    /// Lines that were not there.
    added: Vec<String>,
    /// Lines that are gone.
    removed: Vec<String>,
}

/// What will be sent where.
struct Prepared {
    template: String,
    lines: Vec<(inventory::Device, String)>,
}

impl Api {
    pub(super) async fn command(self: Arc<Self>, request: Request) -> Response {
        let edits = match self.edits() {
            Ok(edits) => edits,
            Err(refusal) => return refusal.response(),
        };
        let own = Arc::clone(&self);
        let prepare = async move |asked: access::edit::Asked| {
            let wanted: CommandRequest = body(asked.request())?;
            let engine = Arc::clone(own.engine()?);
            let needs = wanted.devices.iter().map(|device| Need {
                verb: &verbs::COMMAND,
                kind: "device",
                name: device.chars().take(128).collect(),
                groups: own.groups(device),
            });
            let names: String = wanted.devices.join(",").chars().take(256).collect();
            let action = Action::new(&verbs::COMMAND, "device", names)
                .needing(needs.take(DEVICES).collect());
            asked.intend(action.clone())?;
            let prepared = own.prepared(&wanted).inspect_err(|_| {
                own.metrics.commands.with_label_values(&["refused"]).inc();
            })?;
            let sends = prepared.lines.iter().map(|(device, line)| Send {
                device: device.name.to_string(),
                command: line.clone(),
            });
            let preview = json!(Sends {
                sends: sends.collect()
            });
            Ok(
                Plan::new(action, move |granted| accept(engine, prepared, granted))
                    .preview(preview),
            )
        };
        edits.change(request, &[&verbs::COMMAND], prepare).await
    }

    /// The command for each device; nothing that is not on its platform's list reaches it.
    fn prepared(&self, wanted: &CommandRequest) -> Result<Prepared, Refusal> {
        let invalid = |field: &str, message: String| {
            Refusal::from(Problem::of(
                422,
                "invalid",
                "Not valid",
                format!("{field}: {message}"),
            ))
        };
        if wanted.devices.is_empty() || wanted.devices.len() > DEVICES {
            return Err(invalid(
                "devices",
                format!("expected 1 to {DEVICES} names of devices"),
            ));
        }
        let setup = Arc::clone(&self.config.current().setup);
        let inventory = self.feed.current();
        let mut lines = Vec::new();
        for (index, name) in wanted.devices.iter().enumerate() {
            let field = format!("devices[{index}]");
            let Some(device) = inventory.device(name) else {
                return Err(invalid(&field, "there is no such device".to_owned()));
            };
            let Some(platform) = setup
                .platforms
                .get(&device.platform)
                .filter(|_| device.ssh.is_some())
            else {
                return Err(invalid(
                    &field,
                    "nothing is known of its platform, or it is not reached by SSH".to_owned(),
                ));
            };
            let line = platform
                .console(&wanted.command, &wanted.parameters)
                .map_err(|(field, unfit)| {
                    let field = if field == "command" {
                        field
                    } else {
                        format!("parameters.{field}")
                    };
                    invalid(&field, unfit.to_string())
                })?;
            lines.push((device.clone(), line));
        }
        Ok(Prepared {
            template: wanted.command.clone(),
            lines,
        })
    }

    /// Without what the devices said: that is for who may read it, one by one.
    pub(super) async fn commands(&self, request: &Request) -> Result<Response, Refusal> {
        let most = limit(request)?;
        let kept = &self.engine()?.parts.journal;
        let mut all = kept.commands(most).await.map_err(journal)?;
        for command in &mut all {
            command.answers.clear();
        }
        Ok(response::json(StatusCode::OK, &Commands { commands: all }))
    }

    pub(super) async fn one_command(&self, request: &Request) -> Result<Response, Refusal> {
        let id = request.param("id").unwrap_or_default();
        let found = self
            .engine()?
            .parts
            .journal
            .command(id)
            .await
            .map_err(journal)?;
        let found = found.ok_or_else(|| {
            Problem::of(
                404,
                "no-command",
                "No such command",
                "there is no command of this id",
            )
        })?;
        let caller = self.reader(request, &found.devices).await?;
        // A page that waits for the answers asks each second; what it has read is recorded when they are all there.
        if let Some(edits) = self.edits.get().filter(|_| found.state != "running") {
            let action = Action::new(&verbs::ANSWER, "command", id);
            edits.read(request, Some(caller), &action);
        }
        let before = self.engine()?.parts.journal.commands_before(&found, BEFORE);
        let before = before.await.map_err(journal)?;
        let shown = CommandShown {
            groups: grouped(&found.answers),
            changes: changes(&found.answers, &before),
            command: found,
        };
        Ok(response::json(StatusCode::OK, &shown))
    }
}

impl Api {
    /// Who asks, when they may read what each of these devices said.
    async fn reader(&self, request: &Request, devices: &[String]) -> Result<Caller, Refusal> {
        let config = self.config.current();
        let Some(editing) = &config.editing else {
            let detail = "nobody may read answers: the configuration has no access section";
            return Err(Problem::new(StatusCode::FORBIDDEN).detail(detail).into());
        };
        let caller = editing.access.identify(request).await?;
        let may = |device: &String| {
            let groups = self.groups(device);
            let object = Object {
                kind: "device",
                name: device,
                groups: &groups,
            };
            editing.access.permits(&caller, &verbs::ANSWER, &object)
        };
        let decision = devices.iter().try_for_each(may);
        editing.access.decided(request, &caller, decision)?;
        Ok(caller)
    }
}

/// Devices with the same answer together, the largest group first.
fn grouped(answers: &[Answered]) -> Vec<Vec<String>> {
    let mut groups: BTreeMap<(bool, &str), Vec<String>> = BTreeMap::new();
    for answer in answers {
        groups
            .entry((answer.ok, &answer.text))
            .or_default()
            .push(answer.device.clone());
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
    groups
}

/// Each answer beside the newest one in `before` of the same device.
fn changes(answers: &[Answered], before: &[CommandJob]) -> Vec<Changed> {
    let changed = |now: &Answered| {
        let (job, then) = before.iter().find_map(|job| {
            let mut answers = job.answers.iter();
            Some((
                job,
                answers.find(|then| then.ok && then.device == now.device)?,
            ))
        })?;
        Some(Changed {
            device: now.device.clone(),
            job: job.id.clone(),
            at: job.updated,
            added: beyond(&now.text, &then.text),
            removed: beyond(&then.text, &now.text),
        })
    };
    answers
        .iter()
        .filter(|answer| answer.ok)
        .filter_map(changed)
        .collect()
}

/// Lines of `text` that `other` does not have, each as often as it has more of them.
fn beyond(text: &str, other: &str) -> Vec<String> {
    let mut there: HashMap<&str, usize> = HashMap::new();
    for line in other.lines() {
        *there.entry(line.trim_end()).or_default() += 1;
    }
    let mut beyond = Vec::new();
    for line in text.lines().map(str::trim_end) {
        match there.get_mut(line) {
            Some(left) if *left > 0 => *left -= 1,
            _ => beyond.push(line.to_owned()),
        }
    }
    beyond
}

/// Stored before anything is asked; the devices are asked after the answer.
async fn accept(
    engine: Arc<Engine>,
    prepared: Prepared,
    granted: Granted,
) -> Result<Done, Refusal> {
    let now = engine.parts.clock.now();
    let origin = Origin::here();
    let job = CommandJob {
        id: new_id(now),
        state: "running".to_owned(),
        command: prepared
            .lines
            .first()
            .map_or_else(|| prepared.template.clone(), |(_, line)| line.clone()),
        devices: prepared
            .lines
            .iter()
            .map(|(device, _)| device.name.to_string())
            .collect(),
        requester: who(&granted.caller),
        created: now,
        updated: now,
        trace_id: origin.as_ref().map(Origin::trace_id),
        answers: Vec::new(),
    };
    engine
        .parts
        .journal
        .put_command(job.clone())
        .await
        .map_err(journal)?;
    let id = job.id.clone();
    tokio::spawn(async move {
        let title = format!("console: {}", job.command);
        let span = || tracing::info_span!("console", otel.name = title);
        toolkit::trace::resumed(origin.as_ref(), span, ask(&engine, prepared, job)).await;
    });
    let answer = json!(Accepted {
        job: id.clone(),
        location: format!("/v1/commands/{id}"),
    });
    Ok(Done::json(StatusCode::ACCEPTED, &answer, id))
}

async fn ask(engine: &Engine, prepared: Prepared, mut job: CommandJob) {
    let all = prepared.lines.iter().map(|(device, line)| {
        let title = format!("{line} on {}", &*device.name);
        one(engine, device, line)
            .instrument(tracing::info_span!("console command", otel.name = title))
    });
    job.answers = join_all(all).await;
    for ((device, _), answer) in prepared.lines.iter().zip(&job.answers) {
        engine.parts.witness.answered(&job, device, answer);
    }
    job.state = "done".to_owned();
    job.updated = engine.parts.clock.now();
    if let Err(error) = engine.parts.journal.put_command(job).await {
        tracing::error!(%error, "the answers of a command cannot be stored");
    }
}

async fn one(engine: &Engine, device: &inventory::Device, line: &str) -> Answered {
    let began = Instant::now();
    let asked = async {
        let _place = engine.place().await;
        let mut session = engine.session(device, Account::Console).await?;
        session.run(line).await
    };
    let (ok, text, truncated) = match asked.await {
        Ok(answer) => {
            let masked = engine.parts.access.mask(device, &answer);
            let (kept, truncated) = crate::engine::bounded(&masked, ANSWER);
            (true, kept.to_owned(), truncated)
        }
        Err(error) => (false, error.to_string(), false),
    };
    engine
        .parts
        .metrics
        .commands
        .with_label_values(&[if ok { "answered" } else { "failed" }])
        .inc();
    tracing::info!(
        device = &*device.name,
        command = line,
        ok,
        "console command was run"
    );
    Answered {
        device: device.name.to_string(),
        ok,
        text,
        truncated,
        seconds: began.elapsed().as_secs_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(device: &str, ok: bool, text: &str) -> Answered {
        Answered {
            device: device.to_owned(),
            ok,
            text: text.to_owned(),
            truncated: false,
            seconds: 0.0,
        }
    }

    fn job(id: &str, answers: Vec<Answered>) -> CommandJob {
        let who = crate::job::Who {
            subject: "alice".to_owned(),
            display: "alice".to_owned(),
            via: "web_user".to_owned(),
        };
        CommandJob {
            id: id.to_owned(),
            state: "done".to_owned(),
            command: "show version".to_owned(),
            devices: Vec::new(),
            requester: who,
            created: 0,
            updated: 7,
            trace_id: None,
            answers,
        }
    }

    #[test]
    fn answer_is_held_beside_the_last_one_of_the_same_device() {
        let now = [
            answered("r1", true, "a\nb\nb\nd\n"),
            answered("r2", true, "x\n"),
            answered("r3", false, "no answer"),
            answered("r4", true, "new\n"),
        ];
        let before = [
            job(
                "3",
                vec![
                    answered("r1", false, "no answer"),
                    answered("r2", true, "x \n"),
                ],
            ),
            job(
                "2",
                vec![
                    answered("r1", true, "a\nb\nc\n"),
                    answered("r3", true, "y\n"),
                ],
            ),
            job("1", vec![answered("r1", true, "older\n")]),
        ];
        let of = |device: &str, job: &str, added: &[&str], removed: &[&str]| Changed {
            device: device.to_owned(),
            job: job.to_owned(),
            at: 7,
            added: added.iter().map(ToString::to_string).collect(),
            removed: removed.iter().map(ToString::to_string).collect(),
        };
        let wanted = [of("r1", "2", &["b", "d"], &["c"]), of("r2", "3", &[], &[])];
        assert_eq!(changes(&now, &before), wanted);
    }
}
