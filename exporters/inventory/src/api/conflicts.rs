//! Commits of others that could not be brought in: what they are, and what is to be of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use access::edit::Action;
use access::{Problem, Refusal, field_error};
use http::StatusCode;
use inventory::edit::{Entry, Kind};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use toolkit::{Request, Response};

use super::edits::{Api, Change, ChangeRequest, precondition};
use super::history::{answered, ask, entry_of};
use crate::config::verbs;
use crate::store::merging::{Choice, Choices, Shown, Side, shown};
use crate::store::{StoreError, StoreGuard};

/// Most entries of one conflict that are shown at a time, and that one call may name.
const MOST: usize = 1_000;

/// `GET /api/v1/conflicts`.
pub(crate) async fn list(api: Arc<Api>, _request: Request) -> Response {
    let list = async {
        let known = {
            let standing = api.editor()?.store.standing();
            !standing.splits.is_empty()
        };
        let mut list = Vec::new();
        if known {
            let mut held = api.editor()?.store.hold().await;
            list = ask(&api, move |_| {
                // What stands in the file comes first; when it is bad, this is still to be seen.
                let _ = held.settle();
                let of = |side| Ok(meeting(&mut held, side)?.map(|(waiting, _)| waiting));
                Side::ALL
                    .map(of)
                    .into_iter()
                    .filter_map(Result::transpose)
                    .collect::<Result<Vec<_>, _>>()
            })
            .await?;
        }
        Ok(Conflicts { conflicts: list })
    };
    answered(list.await)
}

/// One conflict as it is shown, and its tag.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Waiting {
    with: Side,
    /// Their commit.
    version: String,
    /// Why it is not brought in.
    detail: String,
    /// Entries in conflict.
    total: usize,
    /// The first of them, a thousand at most.
    entries: Vec<Shown>,
    /// `If-Match` for `/api/v1/resolve`.
    if_match: String,
}

/// Commits of others that wait.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Conflicts {
    conflicts: Vec<Waiting>,
}

/// What is to be of a commit that waits. It is read member by member, so that an error names its member.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes what is read member by member")]
pub(crate) struct ResolveRequest {
    /// The version of a conflict.
    version: String,
    /// What is to be of every entry that `choices` does not name.
    all: Option<Ones>,
    /// What is to be of an entry such as `devices/r1`.
    #[schemars(length(max = 1000))]
    choices: Option<BTreeMap<String, Chosen>>,
}

/// One of both sides.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "it describes what is read member by member")]
enum Ones {
    Ours,
    Theirs,
}

/// One of both sides, the entry as it is to be, or null for none.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes what is read member by member")]
enum Chosen {
    Ones(Ones),
    Entry(Map<String, Value>),
    None(()),
}

fn meeting(held: &mut StoreGuard, side: Side) -> Result<Option<(Waiting, String)>, StoreError> {
    let Some(meeting) = held.meeting(side)? else {
        return Ok(None);
    };
    let waiting = Waiting {
        with: meeting.split.side,
        version: meeting.split.theirs,
        detail: meeting.split.why,
        total: meeting.conflicts.len(),
        entries: meeting.conflicts.iter().take(MOST).map(shown).collect(),
        if_match: format!("\"{}\"", meeting.tag),
    };
    Ok(Some((waiting, meeting.tag)))
}

fn wrong(field: &str, detail: &str) -> Refusal {
    Problem::of(422, "invalid", "Not valid", format!("{field}: {detail}"))
        .with("errors", vec![field_error(field, detail, None)])
        .into()
}

fn choice(kind: Option<Kind>, field: &str, value: &Value) -> Result<Choice, Refusal> {
    const EXPECTED: &str =
        "expected \"ours\", \"theirs\", the entry as it is to be, or null for none";
    match (value, kind) {
        (Value::String(text), _) if text == "ours" => Ok(Choice::Ours),
        (Value::String(text), _) if text == "theirs" => Ok(Choice::Theirs),
        (Value::Null, Some(_)) => Ok(Choice::This(None)),
        (Value::Object(_), Some(kind)) => match Entry::parse(kind, &value.to_string()) {
            Ok(entry) => Ok(Choice::This(Some(Box::new(entry)))),
            Err(error) => Err(wrong(field, &error.to_string())),
        },
        (_, None) => Err(wrong(field, "expected \"ours\" or \"theirs\"")),
        _ => Err(wrong(field, EXPECTED)),
    }
}

/// The body: `{"version": …, "all": "ours", "choices": {"devices/r1": "theirs"}}`.
fn asked(request: &Request) -> Result<(String, Choices), Refusal> {
    let body: Value = serde_json::from_slice(request.body()).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST).detail(format!("the body is not JSON: {error}"))
    })?;
    let Some(body) = body.as_object() else {
        return Err(wrong(
            "",
            "expected an object with version, all and choices",
        ));
    };
    let mut version = None;
    let mut choices = Choices::default();
    for (key, value) in body {
        match (key.as_str(), value) {
            ("version", Value::String(text)) => version = Some(text.clone()),
            ("all", value) => choices.all = Some(choice(None, "all", value)?),
            ("choices", Value::Object(map)) => {
                if map.len() > MOST {
                    return Err(wrong("choices", "expected 1000 at most"));
                }
                for (name, value) in map {
                    let field = format!("choices.{name}");
                    let entry = entry_of(name)
                        .map_err(|_| wrong(&field, "expected a name like devices/r1"))?;
                    let choice = choice(Some(entry.0), &field, value)?;
                    if let Choice::This(Some(new)) = &choice
                        && new.name() != entry.1
                    {
                        return Err(wrong(&field, "expected the entry to keep its name"));
                    }
                    choices.of.push((entry, choice));
                }
            }
            (key, _) => {
                let detail = "expected version (a string), all (a string) and choices (an object)";
                return Err(wrong(key, detail));
            }
        }
    }
    let version = version.ok_or_else(|| {
        wrong(
            "version",
            "expected that of a conflict of /api/v1/conflicts",
        )
    })?;
    Ok((version, choices))
}

/// `POST /api/v1/resolve`: a commit that joins both sides, with each entry as the body says. Nothing of the history of
/// either is lost.
pub(crate) async fn resolve(api: Arc<Api>, request: Request) -> Response {
    api.change(request, &[&verbs::RESOLVE], |given, store| async move {
        let (version, choices) = asked(given.request())?;
        // Commits are what is compared, so that ours must be made.
        store.flushed().await?;
        Ok(ChangeRequest::new(
            |_| Action::new(&verbs::RESOLVE, "inventory", "conflict"),
            move |held| {
                let standing = held.store().standing();
                let side = standing.splits.iter().find(|split| split.theirs == version);
                let side = side.map(|split| split.side);
                drop(standing);
                let none = || {
                    Problem::of(
                        404,
                        "no-conflict",
                        "No such conflict",
                        format!("no conflict waits with version {version:?}; /api/v1/conflicts lists them"),
                    )
                };
                let side = side.ok_or_else(none)?;
                let (_, tag) = meeting(held, side)?.ok_or_else(none)?;
                precondition(given.request(), Some(&tag))?;
                let prepared = held.prepare_resolve(&version, &choices)?;
                let prepared = prepared.ok_or_else(none)?;
                let short = version.get(..12).unwrap_or(&version);
                let message = format!("Merge {short} of the {} as chosen", side.name());
                Ok(Change::new(prepared, message))
            },
        ))
    })
    .await
}
