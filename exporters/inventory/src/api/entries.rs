//! Adding, changing and deleting one entry.

use std::sync::Arc;

use http::StatusCode;
use inventory::edit::{Edit, Entry, Kind};
use serde_json::Value;
use toolkit::caller::Verb;
use toolkit::web::Problem;
use toolkit::{Request, Response};

use super::desk::{Desk, Plan, Wish, precondition, tag};
use super::refusal::{self, Refusal};
use crate::config::verbs;
use crate::store::{Held, StoreError};

fn of(kind: Kind) -> &'static verbs::Of {
    match kind {
        Kind::Site => &verbs::SITE,
        Kind::Group => &verbs::GROUP,
        Kind::Device => &verbs::DEVICE,
        Kind::Credential => &verbs::CREDENTIAL,
    }
}

/// The body as JSON, of one of the types that are taken.
fn body(request: &Request, types: &[&str]) -> Result<Value, Refusal> {
    let given = request.header("content-type").unwrap_or_default();
    let given = given
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if !types.contains(&&*given) {
        let detail = format!("the body is {given:?}; expected {}", types.join(" or "));
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE)
            .detail(detail)
            .into());
    }
    serde_json::from_slice(request.body()).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST)
            .detail(format!("the body is not JSON: {error}"))
            .into()
    })
}

fn entry(kind: Kind, value: &Value) -> Result<Entry, Refusal> {
    if !value.is_object() {
        let detail = format!("expected an object with the keys of a {}", kind.one());
        let errors = vec![refusal::field_error("", &detail, None)];
        return Err(refusal::of(422, "invalid", "Not valid", detail)
            .with("errors", errors)
            .into());
    }
    Entry::parse(kind, &value.to_string()).map_err(|error| {
        let mut problem = refusal::store(&StoreError::Inventory(error), Some(""));
        if problem.status() == StatusCode::CONFLICT {
            problem = refusal::of(422, "invalid", "Not valid", "the entry cannot be read");
        }
        problem.into()
    })
}

/// The entry that takes the place of the one called `name`.
fn same_name(entry: &Entry, name: &str) -> Result<(), Refusal> {
    if entry.name() == name {
        return Ok(());
    }
    let detail = format!(
        "name: expected {name:?} as in the path; a new name is a new {}: add it and delete this one",
        entry.kind().one()
    );
    let errors = vec![refusal::field_error(
        "name",
        &detail["name: ".len()..],
        None,
    )];
    Err(refusal::of(422, "invalid", "Not valid", detail)
        .with("errors", errors)
        .into())
}

fn about(kind: Kind, name: &str) -> String {
    format!("{}[{name}]", kind.list())
}

fn prepared(held: &mut Held, edit: Edit) -> Result<crate::store::Prepared, Refusal> {
    let about = about(edit.kind(), edit.name());
    held.prepare(vec![edit])
        .map_err(|error| refusal::store(&error, Some(&about)).into())
}

fn path(kind: Kind, name: &str) -> String {
    format!("/api/v1/{}/{name}", kind.list())
}

fn groups(entry: &Entry) -> Option<Vec<String>> {
    match entry {
        Entry::Device(device) => Some(device.groups.clone()),
        _ => None,
    }
}

fn wish(
    verb: &'static Verb,
    kind: Kind,
    name: &str,
    groups: Option<Vec<String>>,
    plan: impl FnOnce(&mut Held) -> Result<Plan, Refusal> + Send + 'static,
) -> Wish {
    Wish {
        verb,
        object: (kind.one(), name.to_owned()),
        groups,
        plan: Box::new(plan),
    }
}

async fn answered(desk: Arc<Desk>, request: Request, wish: Result<Wish, Refusal>) -> Response {
    match wish {
        Ok(wish) => desk.change(request, wish).await,
        // Who may not change anything at all is told that, not what is wrong with the body.
        Err(refusal) => match desk.known(&request).await {
            Ok(()) => refusal.response(),
            Err(denied) => denied.response(),
        },
    }
}

/// `POST /api/v1/devices`: a new entry.
pub(crate) async fn add(desk: Arc<Desk>, request: Request, kind: Kind) -> Response {
    let wish = body(&request, &["application/json"])
        .and_then(|value| entry(kind, &value))
        .map(|entry| {
            let name = entry.name().to_owned();
            wish(
                &of(kind).add,
                kind,
                &name.clone(),
                groups(&entry),
                move |held| {
                    if held.document().position(kind, &name).is_some() {
                        let detail = format!(
                            "a {} called {name} is there already; change it at {}",
                            kind.one(),
                            path(kind, &name)
                        );
                        let errors = vec![refusal::field_error("name", &detail, None)];
                        return Err(refusal::of(409, "name-taken", "Name taken", detail)
                            .with("errors", errors)
                            .into());
                    }
                    put(held, entry, true)
                },
            )
        });
    answered(desk, request, wish).await
}

fn put(held: &mut Held, entry: Entry, new: bool) -> Result<Plan, Refusal> {
    let (kind, name) = (entry.kind(), entry.name().to_owned());
    let prepared = prepared(held, Edit::Put(entry.clone()))?;
    let word = if new { "Add" } else { "Change" };
    let mut plan = Plan::new(prepared, format!("{word} {} {name}", kind.one()));
    if new {
        plan.status = StatusCode::CREATED;
        plan.location = Some(path(kind, &name));
    }
    plan.entry = Some(entry);
    Ok(plan)
}

fn current(held: &Held, kind: Kind, name: &str) -> Option<String> {
    held.document().entry(kind, name).as_ref().map(tag)
}

fn none(kind: Kind) -> Refusal {
    let detail = format!(
        "no {} has this name; /api/v1/{} lists them",
        kind.one(),
        kind.list()
    );
    Problem::new(StatusCode::NOT_FOUND).detail(detail).into()
}

fn name(request: &Request) -> String {
    request.param("name").unwrap_or_default().to_owned()
}

/// `PUT /api/v1/devices/{name}`: the whole entry, in the place of the one that `If-Match` tells of, or a new one with
/// `If-None-Match: *`.
pub(crate) async fn replace(desk: Arc<Desk>, request: Request, kind: Kind) -> Response {
    let name = name(&request);
    let asked = request.clone();
    let wish = body(&request, &["application/json"])
        .and_then(|value| entry(kind, &value))
        .and_then(|entry| {
            same_name(&entry, &name)?;
            let creating = request.headers().contains_key("if-none-match");
            let verb = if creating {
                &of(kind).add
            } else {
                &of(kind).change
            };
            Ok(wish(
                verb,
                kind,
                &name.clone(),
                groups(&entry),
                move |held| {
                    let tag = current(held, kind, &name);
                    if tag.is_none()
                        && !asked.headers().contains_key("if-none-match")
                        && !asked.headers().contains_key("if-match")
                    {
                        return Err(none(kind));
                    }
                    precondition(&asked, tag.as_deref())?;
                    put(held, entry, tag.is_none())
                },
            ))
        });
    answered(desk, request, wish).await
}

/// `PATCH /api/v1/devices/{name}`: some values of the entry, as a merge patch (RFC 7396).
pub(crate) async fn patch(desk: Arc<Desk>, request: Request, kind: Kind) -> Response {
    let name = name(&request);
    let asked = request.clone();
    let types = ["application/merge-patch+json", "application/json"];
    let wish = body(&request, &types).and_then(|change| {
        if !change.is_object() {
            let detail = "expected an object with the values that change";
            return Err(refusal::of(422, "invalid", "Not valid", detail).into());
        }
        let groups = change
            .get("groups")
            .and_then(|groups| serde_json::from_value(groups.clone()).ok());
        Ok(wish(
            &of(kind).change,
            kind,
            &name.clone(),
            groups,
            move |held| {
                let known = held
                    .document()
                    .entry(kind, &name)
                    .ok_or_else(|| none(kind))?;
                precondition(&asked, Some(&tag(&known)))?;
                let mut value = serde_json::from_str(&known.to_json()).unwrap_or(Value::Null);
                merge_patch(&mut value, change);
                let entry = entry(kind, &value)?;
                same_name(&entry, &name)?;
                put(held, entry, false)
            },
        ))
    });
    answered(desk, request, wish).await
}

/// RFC 7396 section 2. As deep as the body, whose depth the JSON reader bounds.
fn merge_patch(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    if let Value::Object(target) = target {
        for (key, value) in patch {
            if value.is_null() {
                target.remove(&key);
            } else {
                merge_patch(target.entry(key).or_insert(Value::Null), value);
            }
        }
    }
}

/// `DELETE /api/v1/devices/{name}`.
pub(crate) async fn delete(desk: Arc<Desk>, request: Request, kind: Kind) -> Response {
    let name = name(&request);
    let asked = request.clone();
    let wish = wish(&of(kind).delete, kind, &name.clone(), None, move |held| {
        let Some(tag) = current(held, kind, &name) else {
            return Err(none(kind));
        };
        precondition(&asked, Some(&tag))?;
        if kind == Kind::Credential {
            unused(held, &name)?;
        }
        let prepared = prepared(held, Edit::Delete(kind, name.clone()))?;
        let mut plan = Plan::new(prepared, format!("Delete {} {name}", kind.one()));
        plan.status = StatusCode::NO_CONTENT;
        Ok(plan)
    });
    desk.change(request, wish).await
}

/// A credential that devices or groups name stays.
fn unused(held: &Held, name: &str) -> Result<(), Refusal> {
    let users = super::lists::users(&held.document(), name);
    if users.is_empty() {
        return Ok(());
    }
    let detail = format!(
        "{} name this credential; take it out there first",
        users.len()
    );
    let users: Vec<Value> = users.into_iter().take(20).map(Value::from).collect();
    Err(refusal::of(
        409,
        "in-use",
        "Other entries would no longer be valid",
        detail,
    )
    .with("used_by", users)
    .into())
}
