//! The remote: what it is, how we stand with it, pull and push.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};
use toolkit::audit::Outcome;
use toolkit::web::response;
use toolkit::{Request, Response};

use super::desk::{Desk, Plan, Wish};
use super::history::{ask, members, refused, told};
use super::refusal::{self, Refusal};
use crate::config::{Remote, verbs};
use crate::store::merging::Side;
use crate::store::{Held, StoreError, chain};

/// The remote of the configuration.
pub(crate) fn configured(desk: &Desk) -> Option<Remote> {
    let config = desk.config.current();
    config.editing.as_ref()?.remote.clone()
}

fn remote(desk: &Desk) -> Result<Remote, Refusal> {
    configured(desk).ok_or_else(|| {
        refusal::of(
            409,
            "no-remote",
            "No remote",
            "expected store.remote in the configuration",
        )
        .into()
    })
}

/// `GET /api/v1/remote`.
pub(crate) async fn state(desk: Arc<Desk>, _request: Request) -> Response {
    told(stated(&desk))
}

fn stated(desk: &Desk) -> Result<Value, Refusal> {
    let remote = remote(desk)?;
    let standing = desk.editor()?.store.standing();
    let time = standing
        .remote_success
        .and_then(|time| jiff::Timestamp::try_from(time).ok())
        .map(|time| format!("{time:.3}"));
    let split = standing
        .splits
        .iter()
        .find(|split| split.side == Side::Remote);
    Ok(json!({
        "url": remote.url,
        "branch": remote.branch,
        "sync_interval_seconds": remote.every().map(|every| every.as_secs_f64()),
        "last_success": time,
        "last_version": standing.remote_version,
        "last_error": standing.remote_error,
        "conflict": split.map(|split| &split.theirs),
    }))
}

/// Prepares to bring in a commit of the remote, with the message of the change.
pub(crate) fn plan(held: &mut Held, theirs: &str) -> Result<Plan, StoreError> {
    let short = theirs.get(..12).unwrap_or(theirs).to_owned();
    let prepared = match held.bring_in(Side::Remote, theirs)? {
        Some(prepared) => prepared,
        None => held.prepare(Vec::new())?,
    };
    Ok(Plan::new(prepared, format!("Merge {short} of the remote")))
}

/// `POST /api/v1/remote/pull`: brings in what the remote branch changed.
pub(crate) async fn pull(desk: Arc<Desk>, request: Request) -> Response {
    let fetched = async {
        members(&request, &[])?;
        desk.may(&request, &verbs::PULL).await?;
        let remote = remote(&desk)?;
        ask(&desk, move |store| {
            let fetched = store.fetch(&remote);
            store.standing().talked(fetched.as_ref().map(|_| None));
            fetched
        })
        .await
    };
    let theirs = match fetched.await {
        Ok(theirs) => theirs,
        Err(refusal) => return refused(&desk, &request, refusal).await,
    };
    let wish = Wish {
        verb: &verbs::PULL,
        object: ("remote", "pull".to_owned()),
        groups: None,
        plan: Box::new(move |held| {
            Ok(match &theirs {
                Some(theirs) => plan(held, theirs).map_err(blocked)?,
                None => Plan::new(held.prepare(Vec::new())?, "Nothing"),
            })
        }),
    };
    desk.change(request, wish).await
}

/// Why their commit is not brought in: not for what the request says.
fn blocked(error: StoreError) -> Refusal {
    match error {
        StoreError::Inventory(_) => refusal::of(
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
pub(crate) async fn push(desk: Arc<Desk>, request: Request) -> Response {
    let pushed = async {
        members(&request, &[])?;
        let recorded = desk.recorded(&request, &verbs::PUSH, "remote/push").await?;
        let result = match remote(&desk) {
            Ok(remote) => ask(&desk, move |store| store.push(&remote)).await,
            Err(refusal) => Err(refusal),
        };
        recorded
            .finish(match &result {
                Ok(version) => Outcome::Done(version.clone()),
                Err(refusal) => Outcome::Failed(refusal.line()),
            })
            .await;
        Ok(json!({"version": result?}))
    };
    match pushed.await {
        Ok(body) => response::json(StatusCode::OK, &body),
        Err(refusal) => refused(&desk, &request, refusal).await,
    }
}
