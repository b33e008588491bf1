//! `/api/v1/*`: the inventory as JSON, to read and to change.

use std::sync::Arc;

use http::{Method, StatusCode};
use inventory::edit::Kind;
use serde::Serialize;
use toolkit::web::response;
use toolkit::{App, Request, Response};

use crate::reply;

mod conflicts;
pub(crate) mod edits;
mod entries;
mod history;
mod lists;
pub(crate) mod openapi;
mod refusal;
pub(crate) mod remote;
mod transfer;

use edits::Api;

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
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
}

/// One call: method, path, what it does in a line.
pub(crate) struct Operation {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) action: Action,
}

macro_rules! operations {
    ($($method:ident $path:literal $action:expr, $summary:literal;)*) => {
        /// Every call there is: the router and the OpenAPI document are both made of it.
        pub(crate) const OPERATIONS: &[Operation] = &[$(Operation {
            method: Method::$method, path: $path, summary: $summary, action: $action,
        },)*];
    };
}

operations! {
    GET "/api/v1/inventory" Action::Inventory, "The inventory as it is written, for other services";
    GET "/api/v1/status" Action::Status, "State of the inventory file, with its last error";
    GET "/api/v1/schema" Action::Schema, "JSON Schema of the inventory file";
    GET "/api/v1/openapi.json" Action::OpenApi, "This interface as an OpenAPI document";
    GET "/api/v1/devices" Action::List(Kind::Device), "Devices with what they inherit";
    POST "/api/v1/devices" Action::Add(Kind::Device), "Adds a device";
    GET "/api/v1/devices/{name}" Action::One(Kind::Device), "One device";
    PUT "/api/v1/devices/{name}" Action::Replace(Kind::Device), "Replaces a device";
    PATCH "/api/v1/devices/{name}" Action::Patch(Kind::Device), "Changes values of a device";
    DELETE "/api/v1/devices/{name}" Action::Delete(Kind::Device), "Deletes a device";
    GET "/api/v1/sites" Action::List(Kind::Site), "Sites";
    POST "/api/v1/sites" Action::Add(Kind::Site), "Adds a site";
    GET "/api/v1/sites/{name}" Action::One(Kind::Site), "One site and its devices";
    PUT "/api/v1/sites/{name}" Action::Replace(Kind::Site), "Replaces a site";
    PATCH "/api/v1/sites/{name}" Action::Patch(Kind::Site), "Changes values of a site";
    DELETE "/api/v1/sites/{name}" Action::Delete(Kind::Site), "Deletes a site";
    GET "/api/v1/groups" Action::List(Kind::Group), "Groups of defaults";
    POST "/api/v1/groups" Action::Add(Kind::Group), "Adds a group";
    GET "/api/v1/groups/{name}" Action::One(Kind::Group), "One group";
    PUT "/api/v1/groups/{name}" Action::Replace(Kind::Group), "Replaces a group";
    PATCH "/api/v1/groups/{name}" Action::Patch(Kind::Group), "Changes values of a group";
    DELETE "/api/v1/groups/{name}" Action::Delete(Kind::Group), "Deletes a group";
    GET "/api/v1/credentials" Action::List(Kind::Credential), "Names of credentials, listed or only named";
    POST "/api/v1/credentials" Action::Add(Kind::Credential), "Adds the name of a credential";
    GET "/api/v1/credentials/{name}" Action::One(Kind::Credential), "One name of a credential";
    PUT "/api/v1/credentials/{name}" Action::Replace(Kind::Credential), "Replaces the name of a credential";
    PATCH "/api/v1/credentials/{name}" Action::Patch(Kind::Credential), "Changes values of the name of a credential";
    DELETE "/api/v1/credentials/{name}" Action::Delete(Kind::Credential), "Deletes the name of a credential";
    GET "/api/v1/versions" Action::Versions, "Versions of the inventory, newest first";
    GET "/api/v1/versions/{version}" Action::Version, "One version";
    GET "/api/v1/diff" Action::Diff, "What changed between two versions";
    POST "/api/v1/restore" Action::Restore, "Brings back a version, or one entry of it";
    POST "/api/v1/import" Action::Import, "Adds and changes devices from another system's list";
    GET "/api/v1/export" Action::Export, "The devices as another system's list";
    GET "/api/v1/remote" Action::Remote, "The remote branch, and how we stand with it";
    POST "/api/v1/remote/pull" Action::Pull, "Brings in what the remote branch changed";
    POST "/api/v1/remote/push" Action::Push, "Sends every version to the remote branch";
    GET "/api/v1/conflicts" Action::Conflicts, "Commits of others that wait for somebody to say what is to be of them";
    POST "/api/v1/resolve" Action::Resolve, "Brings commits of others in as it says, entry by entry";
}

/// Registers every call.
pub(crate) fn register(app: &mut App, api: &Arc<Api>) {
    for operation in OPERATIONS {
        let api = Arc::clone(api);
        let action = operation.action;
        app.route(operation.method.clone(), operation.path, move |request| {
            answer(Arc::clone(&api), action, request)
        });
        let alone = matches!(operation.action, Action::Diff | Action::Export);
        if operation.method == Method::GET && !operation.path.contains('{') && !alone {
            app.link(operation.path, operation.path, operation.summary);
        }
    }
}

async fn answer(api: Arc<Api>, action: Action, request: Request) -> Response {
    match action {
        Action::Inventory => {
            let inventory = api.feed.current();
            reply::tagged(&request, inventory.version(), || inventory.json().to_vec())
        }
        Action::Status => status(&api),
        Action::Schema => response::new(
            StatusCode::OK,
            "application/schema+json",
            inventory::json_schema(),
        ),
        Action::OpenApi => response::new(StatusCode::OK, "application/json", openapi::document()),
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

#[derive(Serialize)]
struct Status<'a> {
    source: &'a str,
    up: bool,
    version: &'a str,
    devices: usize,
    sites: usize,
    last_success: Option<String>,
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
