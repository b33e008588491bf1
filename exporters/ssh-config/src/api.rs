//! What can be asked: versions, configurations, differences, verdicts; and that a device be collected now.

mod document;
mod fleet;

use std::sync::Arc;

use access::Problem;
use access::Refusal;
use access::caller::{Caller, Object, Verb};
use access::edit::{Action, Asked, Done, EditService, Plan};
use access::openapi::{self, Call};
use git::Version;
use http::{Method, StatusCode};
use inventory::Device;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use ssh::Structure;
use tokio::sync::Semaphore;
use toolkit::trace::Origin;
use toolkit::web::response;
use toolkit::{App, Request, Response};

use crate::archive::{MOST_VERSIONS, Of, Reason};
use crate::collector::{Shared, obstacle};
use crate::compliance::Verdict;
use crate::config::{COLLECT, READ};
use crate::{diff, events, sections};

/// What a request for a collection comes to.
static ASKING: [&Verb; 1] = [&COLLECT];
/// Versions of a list without `limit`.
const FEW: usize = 50;

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Devices,
    Violations,
    Versions,
    Configuration,
    Difference,
    Rules,
    Restore,
    Unsaved,
    Around,
    Search,
    Outliers,
    Collect,
    Change,
    Event,
    OpenApi,
}

/// Every call there is: the router and the OpenAPI document are both made of it.
#[rustfmt::skip]
const CALLS: &[Call<Answer>] = &[
    Call::get("/api/v1/devices", Answer::Devices, "When each device was collected last, and how that went"),
    Call::get("/api/v1/devices/{device}/versions", Answer::Versions, "Versions of its configuration, the newest first"),
    Call::get("/api/v1/devices/{device}/configuration", Answer::Configuration, "Its configuration, as it is or was"),
    Call::get("/api/v1/devices/{device}/diff", Answer::Difference, "What changed between two versions"),
    Call::get("/api/v1/devices/{device}/rules", Answer::Rules, "How it stands to each rule"),
    Call::get("/api/v1/devices/{device}/restore", Answer::Restore, "The lines that lead from its newest configuration back to an earlier one"),
    Call::get("/api/v1/devices/{device}/unsaved", Answer::Unsaved, "What the running configuration has that the one it starts with has not"),
    Call::post("/api/v1/devices/{device}/collect", Answer::Collect, "Collects its configuration now"),
    Call::get("/api/v1/violations", Answer::Violations, "Which device breaks which rule, since when and by whom"),
    Call::get("/api/v1/history", Answer::Around, "What changed in the whole fleet around a time"),
    Call::get("/api/v1/search", Answer::Search, "Lines of the newest configurations that match a pattern"),
    Call::get("/api/v1/outliers", Answer::Outliers, "Lines that a device lacks and nearly all of its role and platform have"),
    Call::get("/api/v1/changes/{id}", Answer::Change, "How a request stands that took longer than its time"),
    Call::post("/api/v1/events", Answer::Event, "Takes an event of sotp-syslog: a login or a change"),
    Call::get("/api/v1/openapi.json", Answer::OpenApi, "This interface as an OpenAPI document"),
];

/// Requests that read the archive at a time. A reading holds its place to its end, also when its client has gone; who waits for a place and
/// goes is not read for.
const READERS: usize = 4;

/// Registers every call.
pub(crate) fn register(app: &mut App, shared: &Arc<Shared>, edits: Option<EditService>) {
    let api = Api {
        shared: Arc::clone(shared),
        readers: Arc::new(Semaphore::new(READERS)),
        edits,
    };
    openapi::register(app, CALLS, move |call, request| {
        answer(call, api.clone(), request)
    });
    for call in CALLS {
        if call.method == Method::GET && !call.path.contains('{') {
            app.link(call.path, call.path, call.summary);
        }
    }
}

#[derive(Clone)]
struct Api {
    shared: Arc<Shared>,
    readers: Arc<Semaphore>,
    edits: Option<EditService>,
}

async fn answer(call: Answer, api: Api, request: Request) -> Response {
    let Api {
        shared,
        readers,
        edits,
    } = api;
    match call {
        Answer::Devices => of_all(shared, request, devices).await,
        Answer::Violations => of_all(shared, request, violations).await,
        Answer::Versions => of_device(shared, readers, None, request, versions).await,
        Answer::Configuration => of_device(shared, readers, edits, request, configuration).await,
        Answer::Difference => of_device(shared, readers, edits, request, difference).await,
        Answer::Rules => of_device(shared, readers, None, request, rules).await,
        Answer::Restore => of_device(shared, readers, edits, request, restore).await,
        Answer::Unsaved => of_device(shared, readers, edits, request, unsaved).await,
        Answer::Around => of_fleet(shared, readers, None, request, fleet::around).await,
        Answer::Search => of_fleet(shared, readers, edits, request, fleet::search).await,
        Answer::Outliers => of_fleet(shared, readers, edits, request, fleet::outliers).await,
        Answer::Collect => collect(shared, edits, request).await,
        Answer::Change => change(edits, &request).await,
        Answer::Event => events::take(&shared, &request),
        Answer::OpenApi => response::new(StatusCode::OK, "application/json", document::document()),
    }
}

/// How a request stands that took longer than its time.
async fn change(edits: Option<EditService>, request: &Request) -> Response {
    let Some(edits) = edits else {
        return nobody_may();
    };
    let id = request.param("id").unwrap_or_default();
    match edits.outcome(id, request).await {
        Ok(outcome) => response::json(StatusCode::OK, &outcome),
        Err(refusal) => refusal.response(),
    }
}

fn nobody_may() -> Response {
    let detail =
        "nobody may ask for a collection: the sections access and audit are not configured";
    Problem::new(StatusCode::FORBIDDEN)
        .detail(detail)
        .response()
}

async fn of_all<T: Serialize>(
    shared: Arc<Shared>,
    request: Request,
    answer: fn(&Shared) -> T,
) -> Response {
    let everything = Object {
        kind: "device",
        name: "*",
        groups: &[],
    };
    match permitted(&shared, &request, &everything).await {
        Ok(_) => response::json(StatusCode::OK, &answer(&shared)),
        Err(refusal) => refusal.response(),
    }
}

/// Answers from the archive for who may read every device.
async fn of_fleet(
    shared: Arc<Shared>,
    readers: Arc<Semaphore>,
    edits: Option<EditService>,
    request: Request,
    answer: fn(&Shared, &Request) -> Result<Response, Refusal>,
) -> Response {
    let everything = Object {
        kind: "device",
        name: "*",
        groups: &[],
    };
    let caller = match permitted(&shared, &request, &everything).await {
        Ok(caller) => caller,
        Err(refusal) => return refusal.response(),
    };
    if let Some(edits) = edits {
        edits.read(&request, Some(caller), &Action::new(&READ, "device", "*"));
    }
    read(readers, move || answer(&shared, &request)).await
}

/// Answers about one device; what tells of its configuration leaves a record where there is an audit log, `edits`.
async fn of_device(
    shared: Arc<Shared>,
    readers: Arc<Semaphore>,
    edits: Option<EditService>,
    request: Request,
    answer: fn(&Shared, &Request, &str) -> Result<Response, Refusal>,
) -> Response {
    let name = request.param("device").unwrap_or_default().to_owned();
    let groups = groups(&shared, &name);
    let object = Object {
        kind: "device",
        name: &name,
        groups: &groups,
    };
    let caller = match permitted(&shared, &request, &object).await {
        Ok(caller) => caller,
        Err(refusal) => return refusal.response(),
    };
    if let Some(edits) = edits {
        edits.read(
            &request,
            Some(caller),
            &Action::new(&READ, "device", &*name),
        );
    }
    read(readers, move || answer(&shared, &request, &name)).await
}

async fn read(
    readers: Arc<Semaphore>,
    answer: impl FnOnce() -> Result<Response, Refusal> + Send + 'static,
) -> Response {
    let place = readers.acquire_owned().await;
    let answered = tokio::task::spawn_blocking(move || {
        let _place = place;
        answer()
    });
    match answered.await {
        Ok(Ok(response)) => response,
        Ok(Err(refusal)) => refusal.response(),
        Err(_) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR).response(),
    }
}

/// Who asks, when they may read; without an access section nobody may.
async fn permitted(
    shared: &Shared,
    request: &Request,
    object: &Object<'_>,
) -> Result<Caller, Refusal> {
    let access = shared.config.current().access.clone().ok_or_else(|| {
        Problem::new(StatusCode::FORBIDDEN)
            .detail("nobody may read configurations: the section access is not configured")
    })?;
    Ok(access.authorise(request, &READ, object).await?)
}

fn groups(shared: &Shared, device: &str) -> Vec<String> {
    let inventory = shared.feed.current();
    let device = inventory.device(device);
    device.map_or(Vec::new(), |device| {
        device.groups.iter().map(ToString::to_string).collect()
    })
}

fn not_found(what: &str) -> Refusal {
    Problem::new(StatusCode::NOT_FOUND).detail(what).into()
}

fn bad(what: impl Into<String>) -> Refusal {
    Problem::new(StatusCode::BAD_REQUEST)
        .detail(what.into())
        .into()
}

fn unreadable(error: &git::Error) -> Refusal {
    tracing::error!(error = %toolkit::chain(error), "the archive cannot be read");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
        .detail("the archive cannot be read")
        .into()
}

fn time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or(String::new(), |at| at.to_string())
}

/// A version of a configuration.
#[derive(Debug, Serialize, JsonSchema)]
struct VersionShown {
    /// Its commit.
    version: String,
    /// When it was collected, RFC 3339.
    time: String,
    /// Who made the change; empty where that is not known.
    user: String,
    /// What made it be collected.
    trigger: String,
    /// Lines that it added.
    added: Option<u64>,
    /// Lines that it removed.
    removed: Option<u64>,
    /// One line for people.
    summary: String,
}

fn shown(version: &Version) -> VersionShown {
    let field = |name: &str| {
        let found = version
            .message
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.unwrap_or_default().to_owned()
    };
    let count = |name: &str| field(name).parse::<u64>().ok();
    VersionShown {
        version: version.id.clone(),
        time: time(version.seconds),
        user: field("User"),
        trigger: field("Trigger"),
        added: count("Added"),
        removed: count("Removed"),
        summary: version
            .message
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned(),
    }
}

/// The devices of the inventory.
#[derive(Debug, Serialize, JsonSchema)]
struct Devices {
    devices: Vec<DeviceShown>,
}

/// How the collection of a device goes.
#[derive(Debug, Serialize, JsonSchema)]
struct DeviceShown {
    device: String,
    site: String,
    role: String,
    platform: String,
    /// Why it is not collected at all.
    obstacle: Option<&'static str>,
    /// When it was last tried, RFC 3339.
    last_attempt: Option<String>,
    /// When it was last collected, RFC 3339.
    last_success: Option<String>,
    /// When its configuration last changed, RFC 3339.
    last_change: Option<String>,
    /// Why the last try failed.
    failure: Option<String>,
    /// Changes since the archive began.
    changes: u64,
    /// Rules that it breaks.
    violations: usize,
}

fn devices(shared: &Shared) -> Devices {
    let (config, inventory) = (shared.config.current(), shared.feed.current());
    let at = |seconds: Option<f64>| {
        #[expect(clippy::cast_possible_truncation, reason = "a time of this century")]
        seconds.map(|seconds| time(seconds as i64))
    };
    let now = jiff::Timestamp::now().as_second();
    let one = |device: &Device| {
        let known = shared.state.of(&device.name);
        DeviceShown {
            device: device.name.to_string(),
            site: device.site.to_string(),
            role: device.role.to_string(),
            platform: device.platform.to_string(),
            obstacle: obstacle(&config, device),
            last_attempt: at(known.attempt),
            last_success: at(known.success),
            last_change: at(known.change),
            failure: known.reason,
            changes: known.changes,
            violations: shared.compliance.broken(&device.name, now).len(),
        }
    };
    Devices {
        devices: inventory.devices().iter().map(one).collect(),
    }
}

/// Which device breaks which rule.
#[derive(Debug, Serialize, JsonSchema)]
struct Violations {
    violations: Vec<Violation>,
}

/// A rule that a device breaks.
#[derive(Debug, Serialize, JsonSchema)]
struct Violation {
    device: String,
    site: String,
    /// Whether a waiver covers it.
    waived: bool,
    /// When the change was made that brought it, RFC 3339.
    since: Option<String>,
    /// Who made that change.
    by: Option<String>,
    #[serde(flatten)]
    verdict: Verdict,
}

/// How a device stands to the rules.
#[derive(Debug, Serialize, JsonSchema)]
struct Rules {
    device: String,
    rules: Vec<Verdict>,
}

/// Versions of a device's configuration, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
struct Versions {
    device: String,
    versions: Vec<VersionShown>,
}

/// A configuration.
#[derive(Debug, Serialize, JsonSchema)]
struct Configuration {
    device: String,
    /// The text, with secrets masked.
    configuration: String,
    #[serde(flatten)]
    version: VersionShown,
}

/// What changed between two versions.
#[derive(Debug, Serialize, JsonSchema)]
struct Compared {
    device: String,
    from: VersionShown,
    to: VersionShown,
    #[serde(flatten)]
    difference: diff::Difference,
}

/// What has not been saved on the device.
#[derive(Debug, Serialize, JsonSchema)]
struct Unsaved {
    device: String,
    #[serde(flatten)]
    difference: diff::Difference,
}

/// What changed between two versions, by what belongs together.
#[derive(Debug, Serialize, JsonSchema)]
struct Sections {
    device: String,
    from: VersionShown,
    to: VersionShown,
    sections: Vec<sections::Section>,
}

/// The lines that lead back to an earlier configuration.
#[derive(Debug, Serialize, JsonSchema)]
struct Restored {
    device: String,
    /// The newest version.
    from: VersionShown,
    /// The one that is led back to.
    to: VersionShown,
    /// What is typed in configuration mode, in order.
    lines: Vec<String>,
    /// How many of them hold a fingerprint, in the place of which the secret has to be put.
    secrets: usize,
}

/// A collection that was asked for.
#[derive(Debug, Serialize, JsonSchema)]
struct Collection {
    device: String,
    /// `asked`: it is done when its turn comes.
    state: &'static str,
}

fn violations(shared: &Shared) -> Violations {
    let inventory = shared.feed.current();
    let now = jiff::Timestamp::now().as_second();
    let mut violations = Vec::new();
    for device in inventory.devices() {
        let verdicts = shared.compliance.of(&device.name, now).into_iter();
        let broken = verdicts.filter(|verdict| !verdict.breaches.is_empty());
        violations.extend(broken.map(|verdict| {
            Violation {
                waived: verdict.open == 0,
                device: device.name.to_string(),
                site: device.site.to_string(),
                since: verdict
                    .introduced
                    .as_ref()
                    .map(|introduced| time(introduced.at)),
                by: verdict
                    .introduced
                    .as_ref()
                    .and_then(|introduced| introduced.by.clone()),
                verdict,
            }
        }));
    }
    Violations { violations }
}

fn rules(shared: &Shared, _: &Request, device: &str) -> Result<Response, Refusal> {
    let now = jiff::Timestamp::now().as_second();
    let verdicts = shared.compliance.of(device, now);
    if verdicts.is_empty() && shared.feed.current().device(device).is_none() {
        return Err(not_found("no such device"));
    }
    Ok(response::json(
        StatusCode::OK,
        &Rules {
            device: device.to_owned(),
            rules: verdicts,
        },
    ))
}

fn versions(shared: &Shared, request: &Request, device: &str) -> Result<Response, Refusal> {
    let limit = match request.query("limit") {
        None => FEW,
        Some(text) => match text.parse::<usize>() {
            Ok(limit) if (1..=MOST_VERSIONS).contains(&limit) => limit,
            _ => return Err(bad(format!("limit: expected 1 to {MOST_VERSIONS}"))),
        },
    };
    let name = which(request)?;
    let versions = shared
        .archive
        .versions(Of::output(device, name.as_deref()), limit)
        .map_err(|error| unreadable(&error))?;
    if versions.is_empty() && shared.feed.current().device(device).is_none() {
        return Err(not_found("no such device"));
    }
    let versions = versions.iter().map(shown).collect();
    Ok(response::json(
        StatusCode::OK,
        &Versions {
            device: device.to_owned(),
            versions,
        },
    ))
}

/// Which answer of the device is meant: the name of an output, or none for its configuration.
fn which(request: &Request) -> Result<Option<String>, Refusal> {
    let Some(name) = request.query("of").filter(|name| name != "configuration") else {
        return Ok(None);
    };
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    match !name.is_empty() && name.len() <= 40 && name.chars().all(plain) {
        true => Ok(Some(name)),
        false => Err(bad(
            "of: expected configuration, startup or the name of an output",
        )),
    }
}

/// The version that a parameter names: a commit, a time, or `-1` and so on for those before the newest.
fn named(shared: &Shared, of: Of<'_>, name: &str, text: &str) -> Result<Version, Refusal> {
    let found = if let Some(back) = text
        .strip_prefix('-')
        .and_then(|back| back.parse::<usize>().ok())
    {
        if back >= MOST_VERSIONS {
            return Err(bad(format!(
                "{name}: expected at most {MOST_VERSIONS} versions back"
            )));
        }
        let versions = shared
            .archive
            .versions(of, back + 1)
            .map_err(|error| unreadable(&error))?;
        versions.into_iter().nth(back)
    } else if text.len() == 40 {
        shared
            .archive
            .version(of, text)
            .map_err(|error| unreadable(&error))?
    } else {
        let seconds = match (text.parse::<i64>(), text.parse::<jiff::Timestamp>()) {
            (Ok(seconds), _) => seconds,
            (_, Ok(at)) => at.as_second(),
            _ => {
                let expected = "expected a time (RFC 3339 or Unix seconds), the 40 digits of a version, or -1 for the one before the newest";
                return Err(bad(format!("{name}: {expected}")));
            }
        };
        shared
            .archive
            .at(of, seconds)
            .map_err(|error| unreadable(&error))?
    };
    found.ok_or_else(|| not_found("no such version of this device"))
}

/// The version before another one.
fn before(shared: &Shared, of: Of<'_>, version: &Version) -> Result<Version, Refusal> {
    let none = || not_found("no version before the first");
    let parent = version.parent.as_deref().ok_or_else(none)?;
    let found = shared.archive.before(of, parent);
    found.map_err(|error| unreadable(&error))?.ok_or_else(none)
}

fn newest(shared: &Shared, of: Of<'_>) -> Result<Version, Refusal> {
    let versions = shared
        .archive
        .versions(of, 1)
        .map_err(|error| unreadable(&error))?;
    versions
        .into_iter()
        .next()
        .ok_or_else(|| not_found("no version of this device"))
}

fn text(shared: &Shared, of: Of<'_>, version: &Version) -> Result<String, Refusal> {
    let text = shared
        .archive
        .text(of, &version.id)
        .map_err(|error| unreadable(&error))?;
    text.ok_or_else(|| not_found("no such version of this device"))
}

fn configuration(shared: &Shared, request: &Request, device: &str) -> Result<Response, Refusal> {
    let output = which(request)?;
    let of = Of::output(device, output.as_deref());
    let version = match (request.query("at"), request.query("version")) {
        (Some(at), None) => named(shared, of, "at", &at)?,
        (None, Some(version)) => named(shared, of, "version", &version)?,
        (None, None) => newest(shared, of)?,
        (Some(_), Some(_)) => return Err(bad("expected at or version, not both")),
    };
    let text = text(shared, of, &version)?;
    Ok(match request.query("format").as_deref() {
        None | Some("text") => response::text(StatusCode::OK, text),
        Some("json") => {
            let answer = Configuration {
                device: device.to_owned(),
                configuration: text,
                version: shown(&version),
            };
            response::json(StatusCode::OK, &answer)
        }
        Some(_) => return Err(bad("format: expected text or json")),
    })
}

fn difference(shared: &Shared, request: &Request, device: &str) -> Result<Response, Refusal> {
    let output = which(request)?;
    let of = Of::output(device, output.as_deref());
    let to = match request.query("to") {
        Some(text) => named(shared, of, "to", &text)?,
        None => newest(shared, of)?,
    };
    let from = match request.query("from") {
        Some(text) => named(shared, of, "from", &text)?,
        None => before(shared, of, &to)?,
    };
    let (old, new) = (text(shared, of, &from)?, text(shared, of, &to)?);
    match request.query("format").as_deref() {
        Some("unified") => {
            let name = |version: &Version| format!("{device}\t{}", time(version.seconds));
            Ok(response::text(
                StatusCode::OK,
                diff::unified(&old, &new, [&name(&from), &name(&to)]),
            ))
        }
        None | Some("json") => {
            let answer = Compared {
                device: device.to_owned(),
                from: shown(&from),
                to: shown(&to),
                difference: diff::difference(structure(shared, device), &old, &new),
            };
            Ok(response::json(StatusCode::OK, &answer))
        }
        Some("sections") => {
            let answer = Sections {
                device: device.to_owned(),
                from: shown(&from),
                to: shown(&to),
                sections: sections::compare(structure(shared, device), &old, &new),
            };
            Ok(response::json(StatusCode::OK, &answer))
        }
        Some(_) => Err(bad("format: expected json, unified or sections")),
    }
}

/// The way back to an earlier configuration, for platforms whose lines can be taken back one by one.
fn restore(shared: &Shared, request: &Request, device: &str) -> Result<Response, Refusal> {
    let of = Of::from(device);
    let from = newest(shared, of)?;
    let to = match request.query("to") {
        Some(text) => named(shared, of, "to", &text)?,
        None => named(shared, of, "to", "-1")?,
    };
    let (now, then) = (text(shared, of, &from)?, text(shared, of, &to)?);
    let inventory = shared.feed.current();
    let config = shared.config.current();
    let driver = inventory
        .device(device)
        .and_then(|device| config.drivers.get(&device.platform));
    let undo = driver.as_ref().map_or("no", |driver| driver.undo());
    let Some(lines) = sections::steps(structure(shared, device), undo, &now, &then) else {
        return Err(Problem::new(StatusCode::CONFLICT)
            .detail(
                "its configuration cannot be taken back line by line: load the earlier one whole",
            )
            .into());
    };
    let answer = Restored {
        device: device.to_owned(),
        from: shown(&from),
        to: shown(&to),
        secrets: lines
            .iter()
            .filter(|line| line.contains("<masked:"))
            .count(),
        lines,
    };
    Ok(response::json(StatusCode::OK, &answer))
}

/// From the configuration that the device starts with to the running one.
fn unsaved(shared: &Shared, request: &Request, device: &str) -> Result<Response, Refusal> {
    let startup = shared.archive.latest_output(device, "startup");
    let startup = startup
        .map_err(|error| unreadable(&error))?
        .ok_or_else(|| not_found("its startup configuration is not known"))?;
    let of = Of::from(device);
    let running = text(shared, of, &newest(shared, of)?)?;
    match request.query("format").as_deref() {
        Some("unified") => Ok(response::text(
            StatusCode::OK,
            diff::unified(&startup, &running, ["startup", "running"]),
        )),
        None | Some("json") => Ok(response::json(
            StatusCode::OK,
            &Unsaved {
                device: device.to_owned(),
                difference: diff::difference(structure(shared, device), &startup, &running),
            },
        )),
        Some(_) => Err(bad("format: expected json or unified")),
    }
}

fn structure(shared: &Shared, device: &str) -> Structure {
    let inventory = shared.feed.current();
    let driver = inventory
        .device(device)
        .and_then(|device| shared.config.current().drivers.get(&device.platform));
    driver.map_or(Structure::Indent, |driver| driver.structure())
}

/// Asks for a collection; it is answered before the collection is done.
async fn collect(shared: Arc<Shared>, edits: Option<EditService>, request: Request) -> Response {
    let Some(edits) = edits else {
        return nobody_may();
    };
    let name = request.param("device").unwrap_or_default().to_owned();
    let prepare = move |asked: Asked| async move {
        let action = Action::new(&COLLECT, "device", &name).of_groups(&groups(&shared, &name));
        asked.intend(action.clone())?;
        let inventory = shared.feed.current();
        let Some(device) = inventory.device(&name) else {
            return Err(not_found("no such device"));
        };
        if let Some(obstacle) = obstacle(&shared.config.current(), device) {
            return Err(Problem::new(StatusCode::CONFLICT)
                .detail(format!("it is not collected: {obstacle}"))
                .into());
        }
        Ok(Plan::new(action, move |_| async move {
            let reason = Reason {
                origin: Origin::here(),
                trigger: "api",
                user: None,
            };
            shared.trigger(&name, reason);
            Ok(Done::json(
                StatusCode::ACCEPTED,
                &json!(Collection {
                    device: name,
                    state: "asked"
                }),
                "asked",
            ))
        }))
    };
    edits.change(request, &ASKING, prepare).await
}
