//! `/api/v1/*`: the inventory as JSON, to read and to change.

use std::sync::Arc;

use access::openapi::{self, Call};
use http::header::{HeaderName, HeaderValue};
use http::{Method, StatusCode};
use inventory::edit::Kind;
use inventory::sd::Job;
use schemars::JsonSchema;
use serde::Serialize;
use toolkit::web::response;
use toolkit::{App, Request, Response};

use crate::{reply, sd};

mod conflicts;
mod document;
pub(crate) mod edits;
mod entries;
mod history;
mod lists;
mod refusal;
pub(crate) mod remote;
mod transfer;

use edits::Api;

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Discovery(Job),
    Blackbox,
    Yace,
    Inventory,
    Status,
    Schema,
    OpenApi,
    List(Kind),
    One(Kind),
    Add(Kind),
    Replace(Kind),
    Patch(Kind),
    Delete(Kind),
    Versions,
    Version,
    Diff,
    Restore,
    Import,
    Export,
    Remote,
    Pull,
    Push,
    Conflicts,
    Resolve,
    Change,
}

/// Every call there is: the router and the OpenAPI document are both made of it.
#[rustfmt::skip]
pub(crate) const CALLS: &[Call<Action>] = &[
    Call::get("/sd/ping", Action::Discovery(Job::Ping), "http_sd: devices to probe"),
    Call::get("/sd/snmp", Action::Discovery(Job::Snmp), "http_sd: devices to collect by SNMP, with module and auth"),
    Call::get("/sd/ssh", Action::Discovery(Job::Ssh), "http_sd: devices to reach by SSH"),
    Call::get("/sd/flow", Action::Discovery(Job::Flow), "http_sd: addresses that send NetFlow, IPFIX or sFlow"),
    Call::get("/sd/syslog", Action::Discovery(Job::Syslog), "http_sd: addresses that send syslog"),
    Call::get("/sd/mqtt", Action::Discovery(Job::Mqtt), "http_sd: MQTT sensors"),
    Call::get("/sd/checks", Action::Discovery(Job::Checks), "http_sd: service checks for blackbox_exporter, with module"),
    Call::get("/sd/host", Action::Discovery(Job::Host), "http_sd: Linux hosts with node_exporter"),
    Call::get("/sd/blackbox.yml", Action::Blackbox, "Configuration of blackbox_exporter for the checks"),
    Call::get("/sd/yace.yml", Action::Yace, "Configuration of YACE for the cloud resources"),
    Call::get("/api/v1/inventory", Action::Inventory, "The inventory as it is written, for other services"),
    Call::get("/api/v1/status", Action::Status, "State of the inventory file, with its last error"),
    Call::get("/api/v1/schema", Action::Schema, "JSON Schema of the inventory file"),
    Call::get("/api/v1/openapi.json", Action::OpenApi, "This interface as an OpenAPI document"),
    Call::get("/api/v1/devices", Action::List(Kind::Device), "Devices with what they inherit"),
    Call::post("/api/v1/devices", Action::Add(Kind::Device), "Adds a device"),
    Call::get("/api/v1/devices/{name}", Action::One(Kind::Device), "One device"),
    Call::put("/api/v1/devices/{name}", Action::Replace(Kind::Device), "Replaces a device"),
    Call::patch("/api/v1/devices/{name}", Action::Patch(Kind::Device), "Changes values of a device"),
    Call::delete("/api/v1/devices/{name}", Action::Delete(Kind::Device), "Deletes a device"),
    Call::get("/api/v1/sites", Action::List(Kind::Site), "Sites"),
    Call::post("/api/v1/sites", Action::Add(Kind::Site), "Adds a site"),
    Call::get("/api/v1/sites/{name}", Action::One(Kind::Site), "One site and its devices"),
    Call::put("/api/v1/sites/{name}", Action::Replace(Kind::Site), "Replaces a site"),
    Call::patch("/api/v1/sites/{name}", Action::Patch(Kind::Site), "Changes values of a site"),
    Call::delete("/api/v1/sites/{name}", Action::Delete(Kind::Site), "Deletes a site"),
    Call::get("/api/v1/groups", Action::List(Kind::Group), "Groups of defaults"),
    Call::post("/api/v1/groups", Action::Add(Kind::Group), "Adds a group"),
    Call::get("/api/v1/groups/{name}", Action::One(Kind::Group), "One group"),
    Call::put("/api/v1/groups/{name}", Action::Replace(Kind::Group), "Replaces a group"),
    Call::patch("/api/v1/groups/{name}", Action::Patch(Kind::Group), "Changes values of a group"),
    Call::delete("/api/v1/groups/{name}", Action::Delete(Kind::Group), "Deletes a group"),
    Call::get("/api/v1/credentials", Action::List(Kind::Credential), "Names of credentials, listed or only named"),
    Call::post("/api/v1/credentials", Action::Add(Kind::Credential), "Adds the name of a credential"),
    Call::get("/api/v1/credentials/{name}", Action::One(Kind::Credential), "One name of a credential"),
    Call::put("/api/v1/credentials/{name}", Action::Replace(Kind::Credential), "Replaces the name of a credential"),
    Call::patch("/api/v1/credentials/{name}", Action::Patch(Kind::Credential), "Changes values of the name of a credential"),
    Call::delete("/api/v1/credentials/{name}", Action::Delete(Kind::Credential), "Deletes the name of a credential"),
    Call::get("/api/v1/versions", Action::Versions, "Versions of the inventory, newest first"),
    Call::get("/api/v1/versions/{version}", Action::Version, "One version"),
    Call::get("/api/v1/diff", Action::Diff, "What changed between two versions"),
    Call::post("/api/v1/restore", Action::Restore, "Brings back a version, or one entry of it"),
    Call::post("/api/v1/import", Action::Import, "Adds and changes devices from another system's list"),
    Call::get("/api/v1/export", Action::Export, "The devices as another system's list"),
    Call::get("/api/v1/remote", Action::Remote, "The remote branch, and how we stand with it"),
    Call::post("/api/v1/remote/pull", Action::Pull, "Brings in what the remote branch changed"),
    Call::post("/api/v1/remote/push", Action::Push, "Sends every version to the remote branch"),
    Call::get("/api/v1/conflicts", Action::Conflicts, "Commits of others that wait for somebody to say what is to be of them"),
    Call::post("/api/v1/resolve", Action::Resolve, "Brings commits of others in as it says, entry by entry"),
    Call::get("/api/v1/changes/{id}", Action::Change, "How a write stands that took longer than its request"),
];

/// Registers every call.
pub(crate) fn register(app: &mut App, api: &Arc<Api>) {
    let api = Arc::clone(api);
    openapi::register(app, CALLS, move |action, request| {
        answer(Arc::clone(&api), action, request)
    });
    for call in CALLS {
        let alone = matches!(call.action, Action::Diff | Action::Export);
        if call.method == Method::GET && !call.path.contains('{') && !alone {
            app.link(call.path, call.path, call.summary);
        }
    }
}

async fn answer(api: Arc<Api>, action: Action, request: Request) -> Response {
    match action {
        Action::Discovery(job) => sd::answer(&api.feed.current(), job, &request),
        Action::Blackbox => yaml(inventory::sd::blackbox(&api.feed.current())),
        Action::Yace => yaml(inventory::sd::yace(&api.feed.current())),
        Action::Change => api.outcome(&request).await,
        Action::Inventory => {
            let inventory = api.feed.current();
            let mut answer =
                reply::tagged(&request, inventory.version(), || inventory.json().to_vec());
            // The first reading of a file has nothing to be compared with; who follows us has.
            if api.editor.is_some() || api.feed.health().changes > 1 {
                let name = HeaderName::from_static(inventory::CHECKED);
                let headers = answer.headers_mut();
                headers.insert(name, HeaderValue::from_static("true"));
            }
            answer
        }
        Action::Status => status(&api),
        Action::Schema => response::new(
            StatusCode::OK,
            "application/schema+json",
            inventory::json_schema(),
        ),
        Action::OpenApi => response::new(StatusCode::OK, "application/json", document::document()),
        Action::List(kind) => lists::list(api, request, kind).await,
        Action::One(kind) => lists::one(api, request, kind).await,
        Action::Add(kind) => entries::add(api, request, kind).await,
        Action::Replace(kind) => entries::replace(api, request, kind).await,
        Action::Patch(kind) => entries::patch(api, request, kind).await,
        Action::Delete(kind) => entries::delete(api, request, kind).await,
        Action::Versions => history::versions(api, request).await,
        Action::Version => history::version(api, request).await,
        Action::Diff => history::diff(api, request).await,
        Action::Restore => history::restore(api, request).await,
        Action::Import => transfer::import(api, request).await,
        Action::Export => transfer::export(api, request).await,
        Action::Pull => remote::pull(api, request).await,
        Action::Push => remote::push(api, request).await,
        Action::Remote => remote::state(api, request).await,
        Action::Conflicts => conflicts::list(api, request).await,
        Action::Resolve => conflicts::resolve(api, request).await,
    }
}

/// A configuration of another program.
fn yaml(text: String) -> Response {
    response::new(StatusCode::OK, "application/yaml", text)
}

/// State of the inventory file.
#[derive(Serialize, JsonSchema)]
struct Status<'a> {
    /// Where it is read.
    source: &'a str,
    /// Whether the last look could read it.
    up: bool,
    /// A name of the content that is answered.
    version: &'a str,
    /// Devices in it.
    devices: usize,
    /// Sites in it.
    sites: usize,
    /// When it was last read, RFC 3339.
    last_success: Option<String>,
    /// Why the last look could not read it.
    last_error: Option<&'a str>,
    /// Whether anybody may change something here.
    editable: bool,
    /// Changes that are not in git yet.
    uncommitted: Option<usize>,
    /// Why they could not be committed.
    commit_error: Option<String>,
    /// Sides whose commits wait for `/api/v1/resolve`.
    conflicts: Option<usize>,
}

fn status(api: &Api) -> Response {
    let (inventory, health) = (api.feed.current(), api.feed.health());
    let time = |time| {
        jiff::Timestamp::try_from(time)
            .ok()
            .map(|time| format!("{time:.3}"))
    };
    let standing = api.editor.as_ref().map(|editor| editor.store.standing());
    response::json(
        StatusCode::OK,
        &Status {
            source: &health.source,
            up: health.up,
            version: inventory.version(),
            devices: inventory.devices().len(),
            sites: inventory.sites().len(),
            last_success: health.last_success.and_then(time),
            last_error: health.last_error.as_deref(),
            editable: api.editor.is_some(),
            uncommitted: standing.as_ref().map(|standing| standing.pending),
            commit_error: standing
                .as_ref()
                .and_then(|standing| standing.commit_error.clone()),
            conflicts: standing.as_ref().map(|standing| standing.splits.len()),
        },
    )
}
