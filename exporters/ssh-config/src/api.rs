//! What can be asked: versions, configurations, differences, verdicts; and that a device be collected now.

use std::sync::Arc;

use access::Problem;
use access::Refusal;
use access::caller::{Caller, Object, Verb};
use access::edit::{Action, Asked, Done, EditService, Plan};
use git::Version;
use http::{Method, StatusCode};
use inventory::Device;
use serde_json::{Value, json};
use ssh::Structure;
use toolkit::web::response;
use toolkit::{App, Request, Response};

use crate::archive::{MOST_VERSIONS, Reason};
use crate::collector::{Shared, obstacle};
use crate::config::{COLLECT, READ};
use crate::diff;

/// What a request for a collection comes to.
static ASKING: [&Verb; 1] = [&COLLECT];
/// Versions of a list without `limit`.
const FEW: usize = 50;

/// Registers every call.
pub(crate) fn register(app: &mut App, shared: &Arc<Shared>, edits: Option<EditService>) {
    type Answer = fn(&Shared, &Request, &str) -> Result<Response, Refusal>;
    let calls: [(&'static str, Answer); 4] = [
        ("/api/v1/devices/{device}/versions", versions),
        ("/api/v1/devices/{device}/configuration", configuration),
        ("/api/v1/devices/{device}/diff", difference),
        ("/api/v1/devices/{device}/rules", rules),
    ];
    for (path, answer) in calls {
        let shared = Arc::clone(shared);
        app.route(Method::GET, path, move |request| {
            of_device(Arc::clone(&shared), request, answer)
        });
    }
    let own = Arc::clone(shared);
    app.route(Method::GET, "/api/v1/devices", move |request| {
        of_all(Arc::clone(&own), request, devices)
    });
    let own = Arc::clone(shared);
    app.route(Method::GET, "/api/v1/violations", move |request| {
        of_all(Arc::clone(&own), request, violations)
    });
    app.link(
        "/api/v1/devices",
        "Devices",
        "when each was collected last, and how that went",
    );
    app.link(
        "/api/v1/violations",
        "Violations",
        "which device breaks which rule, since when and by whom",
    );
    let own = Arc::clone(shared);
    app.route(
        Method::POST,
        "/api/v1/devices/{device}/collect",
        move |request| collect(Arc::clone(&own), edits.clone(), request),
    );
}

async fn of_all(shared: Arc<Shared>, request: Request, answer: fn(&Shared) -> Value) -> Response {
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

async fn of_device(
    shared: Arc<Shared>,
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
    if let Err(refusal) = permitted(&shared, &request, &object).await {
        return refusal.response();
    }
    let answered = tokio::task::spawn_blocking(move || answer(&shared, &request, &name)).await;
    match answered {
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
    tracing::error!(error = %crate::chain::chain(error), "the archive cannot be read");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
        .detail("the archive cannot be read")
        .into()
}

fn time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or(String::new(), |at| at.to_string())
}

fn shown(version: &Version) -> Value {
    let mut lines = version.message.lines();
    let summary = lines.next().unwrap_or_default();
    let field = |name: &str| {
        let found = version
            .message
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.unwrap_or_default().to_owned()
    };
    let count = |name: &str| field(name).parse::<u64>().ok();
    json!({
        "version": version.id,
        "time": time(version.seconds),
        "user": field("User"),
        "trigger": field("Trigger"),
        "added": count("Added"),
        "removed": count("Removed"),
        "summary": summary,
    })
}

fn devices(shared: &Shared) -> Value {
    let (config, inventory) = (shared.config.current(), shared.feed.current());
    let at = |seconds: Option<f64>| {
        #[expect(clippy::cast_possible_truncation, reason = "a time of this century")]
        seconds.map(|seconds| time(seconds as i64))
    };
    let one = |device: &Device| {
        let known = shared.state.of(&device.name);
        json!({
            "device": *device.name,
            "site": *device.site,
            "role": *device.role,
            "platform": *device.platform,
            "obstacle": obstacle(&config, device),
            "last_attempt": at(known.attempt),
            "last_success": at(known.success),
            "last_change": at(known.change),
            "failure": known.reason,
            "changes": known.changes,
            "violations": shared.compliance.of(&device.name).iter().filter(|verdict| !verdict.breaches.is_empty()).count(),
        })
    };
    json!({"devices": inventory.devices().iter().map(one).collect::<Vec<_>>()})
}

fn violations(shared: &Shared) -> Value {
    let inventory = shared.feed.current();
    let mut found = Vec::new();
    for device in inventory.devices() {
        for verdict in shared.compliance.of(&device.name) {
            if !verdict.breaches.is_empty() {
                let mut told = json!(verdict);
                told["device"] = (*device.name).into();
                told["site"] = (*device.site).into();
                told["since"] = json!(
                    verdict
                        .introduced
                        .as_ref()
                        .map(|introduced| time(introduced.at))
                );
                told["by"] = json!(verdict.introduced.and_then(|introduced| introduced.by));
                found.push(told);
            }
        }
    }
    json!({"violations": found})
}

fn rules(shared: &Shared, _: &Request, device: &str) -> Result<Response, Refusal> {
    let verdicts = shared.compliance.of(device);
    if verdicts.is_empty() && shared.feed.current().device(device).is_none() {
        return Err(not_found("no such device"));
    }
    Ok(response::json(
        StatusCode::OK,
        &json!({"device": device, "rules": verdicts}),
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
    let versions = shared
        .archive
        .versions(device, limit)
        .map_err(|error| unreadable(&error))?;
    if versions.is_empty() && shared.feed.current().device(device).is_none() {
        return Err(not_found("no such device"));
    }
    let versions: Vec<Value> = versions.iter().map(shown).collect();
    Ok(response::json(
        StatusCode::OK,
        &json!({"device": device, "versions": versions}),
    ))
}

/// The version that a parameter names: a commit, a time, or `-1` and so on for those before the newest.
fn named(shared: &Shared, device: &str, name: &str, text: &str) -> Result<Version, Refusal> {
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
            .versions(device, back + 1)
            .map_err(|error| unreadable(&error))?;
        versions.into_iter().nth(back)
    } else if text.len() == 40 {
        shared
            .archive
            .version(device, text)
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
            .at(device, seconds)
            .map_err(|error| unreadable(&error))?
    };
    found.ok_or_else(|| not_found("no such version of this device"))
}

fn newest(shared: &Shared, device: &str) -> Result<Version, Refusal> {
    let versions = shared
        .archive
        .versions(device, 1)
        .map_err(|error| unreadable(&error))?;
    versions
        .into_iter()
        .next()
        .ok_or_else(|| not_found("no version of this device"))
}

fn text(shared: &Shared, version: &Version) -> Result<String, Refusal> {
    let text = shared
        .archive
        .text(&version.id)
        .map_err(|error| unreadable(&error))?;
    text.ok_or_else(|| not_found("no such version of this device"))
}

fn configuration(shared: &Shared, request: &Request, device: &str) -> Result<Response, Refusal> {
    let version = match (request.query("at"), request.query("version")) {
        (Some(at), None) => named(shared, device, "at", &at)?,
        (None, Some(version)) => named(shared, device, "version", &version)?,
        (None, None) => newest(shared, device)?,
        (Some(_), Some(_)) => return Err(bad("expected at or version, not both")),
    };
    let text = text(shared, &version)?;
    Ok(match request.query("format").as_deref() {
        None | Some("text") => response::text(StatusCode::OK, text),
        Some("json") => {
            let mut told = shown(&version);
            told["device"] = device.into();
            told["configuration"] = text.into();
            response::json(StatusCode::OK, &told)
        }
        Some(_) => return Err(bad("format: expected text or json")),
    })
}

fn difference(shared: &Shared, request: &Request, device: &str) -> Result<Response, Refusal> {
    let to = match request.query("to") {
        Some(text) => named(shared, device, "to", &text)?,
        None => newest(shared, device)?,
    };
    let from = match (request.query("from"), &to.parent) {
        (Some(text), _) => named(shared, device, "from", &text)?,
        (None, Some(parent)) => named(shared, device, "from", parent)?,
        (None, None) => return Err(not_found("no version before the first")),
    };
    let (old, new) = (text(shared, &from)?, text(shared, &to)?);
    match request.query("format").as_deref() {
        Some("unified") => {
            let name = |version: &Version| format!("{device}\t{}", time(version.seconds));
            Ok(response::text(
                StatusCode::OK,
                diff::unified(&old, &new, [&name(&from), &name(&to)]),
            ))
        }
        None | Some("json") => {
            let mut told = json!(diff::difference(structure(shared, device), &old, &new));
            told["device"] = device.into();
            told["from"] = shown(&from);
            told["to"] = shown(&to);
            Ok(response::json(StatusCode::OK, &told))
        }
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
        return Problem::new(StatusCode::FORBIDDEN)
            .detail(
                "nobody may ask for a collection: the sections access and audit are not configured",
            )
            .response();
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
                trigger: "api",
                user: None,
            };
            shared.trigger(&name, reason);
            Ok(Done::json(
                StatusCode::ACCEPTED,
                &json!({"device": name, "state": "asked"}),
                "asked",
            ))
        }))
    };
    edits.change(request, &ASKING, prepare).await
}
