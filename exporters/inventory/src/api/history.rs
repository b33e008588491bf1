//! Versions of the inventory: list, compare, restore.

use std::sync::Arc;

use access::edit::Action;
use access::{Problem, Refusal, field_error};
use http::StatusCode;
use inventory::Document;
use inventory::edit::Kind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use toolkit::web::response;
use toolkit::{Request, Response};

use super::edits::{Api, Change, ChangeRequest};
use crate::config::verbs;
use crate::store::versions::{Version, Wanted};
use crate::store::{Store, StoreError, blocking};

/// Versions of the inventory.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Versions {
    versions: Vec<Version>,
}

/// One version.
#[derive(Serialize, JsonSchema)]
pub(crate) struct VersionOf {
    version: Version,
    /// The whole inventory as it was then.
    inventory: Document,
}

/// What differs between two versions.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Compared {
    from: String,
    to: String,
    changes: Vec<inventory::edit::Change>,
}

/// What is brought back.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RestoreRequest {
    /// A version.
    version: String,
    /// One entry of it, such as `devices/r1`; without it, all.
    entry: Option<String>,
}

/// Most versions of one answer.
const MOST: usize = 500;

fn bad(detail: String) -> Refusal {
    Problem::new(StatusCode::BAD_REQUEST).detail(detail).into()
}

/// `devices/r1`.
pub(super) fn entry_of(text: &str) -> Result<(Kind, String), Refusal> {
    let parts = text
        .split_once('/')
        .and_then(|(list, name)| Some((Kind::of_list(list)?, name.to_owned())));
    parts.ok_or_else(|| bad(format!("entry is {text:?}; expected one like devices/r1")))
}

pub(super) async fn ask<T: Send + 'static>(
    api: &Api,
    work: impl FnOnce(&Arc<Store>) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Refusal> {
    let store = Arc::clone(&api.editor()?.store);
    Ok(blocking(move || work(&store)).await?)
}

/// As [`ask`], for what reads the history: so many at a time, and no longer than somebody waits for it.
async fn read<T: Send + 'static>(
    api: &Api,
    work: impl FnOnce(&Arc<Store>, &Wanted) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Refusal> {
    let turn = Arc::clone(&api.histories).acquire_owned().await;
    let wanted = Wanted::default();
    let _gone = wanted.until_dropped();
    // The turn is given back by the thread that reads, not by who waits for it.
    ask(api, move |store| {
        let _turn = turn;
        work(store, &wanted)
    })
    .await
}

pub(super) fn answered(answer: Result<impl Serialize, Refusal>) -> Response {
    match answer {
        Ok(body) => response::json(StatusCode::OK, &body),
        Err(refusal) => refusal.response(),
    }
}

fn known(request: &Request, names: &[&str]) -> Result<(), Refusal> {
    match request
        .query_pairs()
        .find(|(key, _)| !names.contains(&&**key))
    {
        Some((key, _)) => Err(bad(format!(
            "unknown parameter {key:?}; expected {}",
            names.join(", ")
        ))),
        None => Ok(()),
    }
}

/// `GET /api/v1/versions`, newest first; with `entry` those that changed it.
pub(crate) async fn versions(api: Arc<Api>, request: Request) -> Response {
    let answer = async {
        known(&request, &["entry", "before", "limit"])?;
        let entry = request
            .query("entry")
            .map(|text| entry_of(&text))
            .transpose()?;
        let before = request.query("before");
        let limit = match request.query("limit") {
            None => 50,
            Some(text) => {
                let limit = text.parse().ok().filter(|limit| (1..=MOST).contains(limit));
                limit.ok_or_else(|| bad(format!("limit is {text:?}; expected 1 to {MOST}")))?
            }
        };
        let list = read(&api, move |store, wanted| {
            let entry = entry.as_ref().map(|(kind, name)| (*kind, &**name));
            store.history(entry, before.as_deref(), limit, wanted)
        })
        .await?;
        Ok(Versions { versions: list })
    };
    answered(answer.await)
}

/// `GET /api/v1/versions/{version}`: who, when, what changed; and the whole inventory of it.
pub(crate) async fn version(api: Arc<Api>, request: Request) -> Response {
    let name = request.param("version").unwrap_or_default().to_owned();
    let answer = read(&api, move |store, _| {
        let id = store.version(&name)?;
        let version = store.told(&id)?;
        let document = store.document_at(&id)?;
        Ok(VersionOf {
            version,
            inventory: document,
        })
    });
    answered(answer.await)
}

/// `GET /api/v1/diff?from=&to=`: the values that differ; without `to`, up to now.
pub(crate) async fn diff(api: Arc<Api>, request: Request) -> Response {
    let answer = async {
        known(&request, &["from", "to"])?;
        let from = request
            .query("from")
            .ok_or_else(|| bad("expected from, a version".to_owned()))?;
        let to = request.query("to");
        read(&api, move |store, wanted| {
            let from = store.version(&from)?;
            let to = match to {
                Some(to) => store.version(&to)?,
                None => store
                    .history(None, None, 1, wanted)?
                    .into_iter()
                    .next()
                    .map(|newest| newest.version)
                    .unwrap_or_default(),
            };
            let changes = store.compare(&from, &to)?;
            Ok(Compared { from, to, changes })
        })
        .await
    };
    answered(answer.await)
}

/// What a body of these calls may say.
pub(super) fn members(request: &Request, names: &[&str]) -> Result<Value, Refusal> {
    let body: Value = if request.body().is_empty() {
        json!({})
    } else {
        serde_json::from_slice(request.body())
            .map_err(|error| bad(format!("the body is not JSON: {error}")))?
    };
    let wrong =
        |detail: String| -> Refusal { Problem::of(422, "invalid", "Not valid", detail).into() };
    let Some(object) = body.as_object() else {
        return Err(wrong(format!(
            "expected an object with {}",
            names.join(", ")
        )));
    };
    for (key, value) in object {
        if !names.contains(&&**key) || !value.is_string() {
            let detail = format!("{key:?}: expected {}, each a string", names.join(", "));
            let errors = vec![field_error(
                key,
                "expected a string under one of the known keys",
                None,
            )];
            return Err(Problem::of(422, "invalid", "Not valid", detail)
                .with("errors", errors)
                .into());
        }
    }
    Ok(body)
}

/// `POST /api/v1/restore`: brings back a version, or one entry of it. The history goes on; nothing of it is lost.
pub(crate) async fn restore(api: Arc<Api>, request: Request) -> Response {
    api.change(request, &[&verbs::RESTORE], |asked, store| async move {
        let body = members(asked.request(), &["version", "entry"])?;
        let missing = || {
            let errors = vec![field_error("version", "expected a version", None)];
            let detail = "version: expected a version of /api/v1/versions";
            Problem::of(422, "invalid", "Not valid", detail).with("errors", errors)
        };
        let body: RestoreRequest = serde_json::from_value(body).map_err(|_| missing())?;
        let entry = body.entry.as_deref().map(entry_of).transpose()?;
        let version = body.version;
        let object = match &entry {
            Some((kind, name)) => (kind.one(), name.clone()),
            None => ("inventory", "all".to_owned()),
        };
        // The history must be whole before it is read, and the store is held while it is.
        store.flushed().await?;
        Ok(ChangeRequest::new(
            move |_| Action::new(&verbs::RESTORE, object.0, object.1),
            move |held| {
                let store = Arc::clone(held.store());
                let id = store.committed(&version)?;
                let part = entry.as_ref().map(|(kind, name)| (*kind, &**name));
                let prepared = held.prepare_restore(&id, part)?;
                let short = id.get(..12).unwrap_or(&id);
                let message = match &entry {
                    Some((kind, name)) => format!("Restore {} {name} of {short}", kind.one()),
                    None => format!("Restore {short}"),
                };
                Ok(Change::new(prepared, message))
            },
        ))
    })
    .await
}
