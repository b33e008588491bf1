//! Import and export of other systems' lists.

use std::sync::Arc;

use access::edit::Action;
use access::{Problem, Refusal};
use http::StatusCode;
use inventory::edit::Edit;
use serde_json::{Value, json};
use toolkit::web::response;
use toolkit::{Request, Response};

use super::edits::{Api, Change, ChangeRequest, Imported, precondition};
use crate::config::verbs;
use crate::formats::{Format, Wrong};
use crate::store::{Snapshot, StoreError, blocking};

fn format(request: &Request) -> Result<Format, Refusal> {
    let names: Vec<&str> = Format::ALL.iter().map(|format| format.name()).collect();
    let given = request.query("format").unwrap_or_default();
    Format::of(&given).ok_or_else(|| {
        let detail = format!("format is {given:?}; expected one of {}", names.join(", "));
        Problem::new(StatusCode::BAD_REQUEST).detail(detail).into()
    })
}

/// `GET /api/v1/export?format=csv`.
pub(crate) async fn export(api: Arc<Api>, request: Request) -> Response {
    match format(&request) {
        Ok(format) => {
            let inventory = api.feed.current();
            let text = crate::store::blocking(move || format.write(&inventory)).await;
            response::new(StatusCode::OK, format.media_type(), text)
        }
        Err(refusal) => refusal.response(),
    }
}

/// `POST /api/v1/import?format=csv`: with `validate=true` a preview; else all of it, or nothing when any line is wrong.
pub(crate) async fn import(api: Arc<Api>, request: Request) -> Response {
    let imports = Arc::clone(&api.imports);
    api.change(request, &[&verbs::IMPORT], |asked, store| async move {
        let format = format(asked.request())?;
        let action = move || Action::new(&verbs::IMPORT, "inventory", format.name());
        asked.intend(action())?;
        let text = std::str::from_utf8(asked.request().body());
        let text = text
            .map_err(|_| Problem::new(StatusCode::BAD_REQUEST).detail("the body is not UTF-8"))?
            .to_owned();
        // What takes long is worked out beside the store, one list at a time, so that no other change waits for it. The turn is given
        // back by the thread that works, which goes on when nobody waits any more.
        let turn = imports.acquire_owned().await;
        let held = store.hold().await;
        let dry = asked.is_dry_run();
        let (number, worked_out) = blocking(move || -> Result<_, Refusal> {
            let _turn = turn;
            let mut held = held;
            held.settle()?;
            let snapshot = held.snapshot();
            drop(held);
            if !dry {
                // What was previewed is what is written: a change in between is another preview.
                precondition(asked.request(), Some(snapshot.inventory.version()))?;
            }
            Ok((snapshot.number, plan(snapshot, format, &text)))
        })
        .await?;
        let change = worked_out?;
        Ok(ChangeRequest::new(
            move |_| action(),
            move |held| {
                if dry || held.number() == number {
                    return Ok(change);
                }
                let detail = "it was changed while the list was worked out; look again";
                let current = format!("\"{}\"", held.inventory().version());
                Err(
                    Problem::of(412, "changed-meanwhile", "Changed meanwhile", detail)
                        .with("current", current)
                        .into(),
                )
            },
        ))
    })
    .await
}

/// Most problems of a list that are told.
const MOST_WRONG: usize = 1_000;

fn plan(mut state: Snapshot, format: Format, text: &str) -> Result<Change, Refusal> {
    let mut read = format.read(text);
    let most = inventory::MAX_DEVICES;
    if read.devices.len() > most {
        let found = read.devices.len();
        let detail = format!("the list has {found} devices; expected at most {most}");
        return Err(Problem::of(413, "too-large", "Too large", detail).into());
    }
    let found = read.edits(&state.document);
    let (lines, edits): (Vec<u64>, Vec<Edit>) = found.into_iter().unzip();
    let about: Vec<String> = edits
        .iter()
        .map(|edit| format!("{}[{}]", edit.kind().list(), edit.name()))
        .collect();
    let prepared = state.prepare(edits);
    let mut wrong = read.wrong;
    let prepared = match prepared {
        Ok(prepared) => Some(prepared),
        Err(StoreError::Inventory(inventory::Error::Invalid(problems))) => {
            for problem in problems.iter().take(MOST_WRONG) {
                let own = about
                    .iter()
                    .position(|about| problem.path().starts_with(about.as_str()));
                let line = own.map_or(0, |at| lines[at]);
                wrong.push(Wrong {
                    line,
                    field: problem.path().to_owned(),
                    detail: problem.message().to_owned(),
                });
            }
            None
        }
        Err(error) => return Err(error.into()),
    };
    wrong.sort_by_key(|wrong| wrong.line);
    match prepared {
        Some(prepared) if wrong.is_empty() => {
            let devices = prepared.edits.len();
            let mut change = Change::new(
                prepared,
                format!("Import {devices} entries from {}", format.name()),
            );
            let version = state.inventory.version();
            change.imported = Some(Imported {
                notes: read.notes,
                if_match: format!("\"{version}\""),
            });
            Ok(change)
        }
        prepared => {
            let detail = format!("{} lines cannot be taken; nothing was written", wrong.len());
            let errors: Vec<Value> = wrong.iter().map(|wrong| json!(wrong)).collect();
            let changes = prepared
                .map(|prepared| json!(prepared.changes))
                .unwrap_or(Value::Null);
            Err(Problem::of(422, "invalid", "Not valid", detail)
                .with("errors", errors)
                .with("changes", changes)
                .with("notes", json!(read.notes))
                .into())
        }
    }
}
