//! The remote: what it is, how we stand with it, pull and push.

use std::sync::Arc;

use access::edit::{Action, Done, Plan};
use access::{Problem, Refusal};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use toolkit::{Request, Response, chain};

use super::edits::{Api, Change, ChangeRequest};
use super::history::{answered, members};
use crate::config::{Remote, verbs};
use crate::store::merging::Side;
use crate::store::{StoreError, StoreGuard, blocking};

/// The remote of the configuration.
pub(crate) fn configured(api: &Api) -> Option<Remote> {
    let config = api.config.current();
    config.editing.as_ref()?.remote.clone()
}

fn remote(api: &Api) -> Result<Remote, Refusal> {
    configured(api).ok_or_else(|| {
        Problem::of(
            409,
            "no-remote",
            "No remote",
            "expected store.remote in the configuration",
        )
        .into()
    })
}

/// `GET /api/v1/remote`.
pub(crate) async fn state(api: Arc<Api>, _request: Request) -> Response {
    answered(stated(&api))
}

/// The remote, and how we stand with it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Stated {
    url: String,
    branch: String,
    /// Seconds from one synchronisation to the next; null when only a call pulls and pushes.
    sync_interval_seconds: Option<f64>,
    /// When it last answered, RFC 3339.
    last_success: Option<String>,
    /// Its version then.
    last_version: Option<String>,
    /// Why it last did not.
    last_error: Option<String>,
    /// Its commit that waits for `/api/v1/resolve`.
    conflict: Option<String>,
}

/// What was sent.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Pushed {
    /// The version that the remote has now; none in the answer to a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// `true` in the answer to a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    valid: Option<bool>,
}

fn stated(api: &Api) -> Result<Stated, Refusal> {
    let remote = remote(api)?;
    let standing = api.editor()?.store.standing();
    let time = standing
        .remote_success
        .and_then(|time| jiff::Timestamp::try_from(time).ok())
        .map(|time| format!("{time:.3}"));
    let split = standing
        .splits
        .iter()
        .find(|split| split.side == Side::Remote);
    Ok(Stated {
        sync_interval_seconds: remote.every().map(|every| every.as_secs_f64()),
        url: remote.url,
        branch: remote.branch,
        last_success: time,
        last_version: standing.remote_version.clone(),
        last_error: standing.remote_error.clone(),
        conflict: split.map(|split| split.theirs.clone()),
    })
}

/// Prepares to bring in a commit of the remote, with the message of the change.
pub(crate) fn plan(held: &mut StoreGuard, theirs: &str) -> Result<Change, StoreError> {
    let short = theirs.get(..12).unwrap_or(theirs).to_owned();
    let prepared = match held.bring_in(Side::Remote, theirs)? {
        Some(prepared) => prepared,
        None => held.prepare(Vec::new())?,
    };
    Ok(Change::new(
        prepared,
        format!("Merge {short} of the remote"),
    ))
}

/// `POST /api/v1/remote/pull`: brings in what the remote branch changed.
pub(crate) async fn pull(api: Arc<Api>, request: Request) -> Response {
    let own = Arc::clone(&api);
    api.change(request, &[&verbs::PULL], |asked, store| async move {
        let action = || Action::new(&verbs::PULL, "remote", "pull");
        asked.intend(action())?;
        members(asked.request(), &[])?;
        let remote = remote(&own)?;
        let fetched = blocking(move || {
            let fetched = store.fetch(&remote);
            store.standing().talked(fetched.as_ref().map(|_| None));
            fetched
        });
        let theirs = fetched.await?;
        Ok(ChangeRequest::new(
            move |_| action(),
            move |held| {
                Ok(match &theirs {
                    Some(theirs) => plan(held, theirs).map_err(blocked)?,
                    None => Change::new(held.prepare(Vec::new())?, "Nothing"),
                })
            },
        ))
    })
    .await
}

/// Why their commit is not brought in: not for what the request says.
fn blocked(error: StoreError) -> Refusal {
    match error {
        StoreError::Inventory(_) => Problem::of(
            409,
            "conflict",
            "The other side cannot be brought in",
            format!("{}; nothing was changed", chain(&error)),
        )
        .into(),
        error => error.into(),
    }
}

/// `POST /api/v1/remote/push`: sends every version; the remote only moves forward.
pub(crate) async fn push(api: Arc<Api>, request: Request) -> Response {
    let editor = match api.editor() {
        Ok(editor) => editor.clone(),
        Err(refusal) => return refusal.response(),
    };
    let store = editor.store;
    let prepare = |asked: access::edit::Asked| async move {
        let action = Action::new(&verbs::PUSH, "remote", "push");
        asked.intend(action.clone())?;
        members(asked.request(), &[])?;
        let remote = remote(&api)?;
        Ok(Plan::new(action, |_| async move {
            let version = blocking(move || store.push(&remote)).await?;
            let body = json!(Pushed {
                version: Some(version.clone()),
                valid: None
            });
            Ok(Done::json(StatusCode::OK, &body, version))
        }))
    };
    editor.edits.change(request, &[&verbs::PUSH], prepare).await
}
