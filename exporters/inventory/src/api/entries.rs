//! Adding, changing and deleting one entry.

use std::sync::Arc;

use access::caller::Verb;
use access::edit::Action;
use access::{Problem, Refusal, field_error};
use http::StatusCode;
use inventory::Document;
use inventory::edit::{Edit, Entry, Kind};
use serde_json::Value;
use toolkit::{Request, Response};

use super::edits::{Api, Change, ChangeRequest, groups_of, precondition, tag, verbs_of};
use super::refusal;
use crate::config::verbs;
use crate::store::{StoreError, StoreGuard};

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
        let errors = vec![field_error("", &detail, None)];
        return Err(Problem::of(422, "invalid", "Not valid", detail)
            .with("errors", errors)
            .into());
    }
    Entry::parse(kind, &value.to_string()).map_err(|error| {
        let mut problem = refusal::store(&StoreError::Inventory(error), Some(""));
        if problem.status() == StatusCode::CONFLICT {
            problem = Problem::of(422, "invalid", "Not valid", "the entry cannot be read");
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
    let errors = vec![field_error("name", &detail["name: ".len()..], None)];
    Err(Problem::of(422, "invalid", "Not valid", detail)
        .with("errors", errors)
        .into())
}

fn about(kind: Kind, name: &str) -> String {
    format!("{}[{name}]", kind.list())
}

fn prepared(held: &mut StoreGuard, edit: Edit) -> Result<crate::store::Prepared, Refusal> {
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

/// The verb done to the entry of this name, in the groups that it has, or else in those it is to have.
fn action(
    document: &Document,
    verb: &'static Verb,
    (kind, name): (Kind, &str),
    to_be: Option<Vec<String>>,
) -> Action {
    let groups = groups_of(document, kind, name)
        .or(to_be)
        .unwrap_or_default();
    Action::new(verb, kind.one(), name).of_groups(&groups)
}

macro_rules! verbs_by_kind {
    ($name:ident: $($verb:ident),*) => {
        fn $name(kind: Kind) -> &'static [&'static Verb] {
            match kind {
                Kind::Site => &[$(&verbs::SITE.$verb),*],
                Kind::Group => &[$(&verbs::GROUP.$verb),*],
                Kind::Device => &[$(&verbs::DEVICE.$verb),*],
                Kind::Credential => &[$(&verbs::CREDENTIAL.$verb),*],
            }
        }
    };
}
verbs_by_kind!(adding: add);
verbs_by_kind!(putting: change, add);
verbs_by_kind!(changing: change);
verbs_by_kind!(deleting: delete);

/// `POST /api/v1/devices`: a new entry.
pub(crate) async fn add(api: Arc<Api>, request: Request, kind: Kind) -> Response {
    api.change(request, adding(kind), move |asked, _| async move {
        let entry = entry(kind, &body(asked.request(), &["application/json"])?)?;
        let (name, to_be) = (entry.name().to_owned(), groups(&entry));
        let own = name.clone();
        Ok(ChangeRequest::new(
            move |document| action(document, &verbs_of(kind).add, (kind, &own), to_be),
            move |held| {
                if held.document().position(kind, &name).is_some() {
                    let detail = format!(
                        "a {} called {name} is there already; change it at {}",
                        kind.one(),
                        path(kind, &name)
                    );
                    let errors = vec![field_error("name", &detail, None)];
                    return Err(Problem::of(409, "name-taken", "Name taken", detail)
                        .with("errors", errors)
                        .into());
                }
                put(held, entry, true)
            },
        ))
    })
    .await
}

fn put(held: &mut StoreGuard, entry: Entry, new: bool) -> Result<Change, Refusal> {
    let (kind, name) = (entry.kind(), entry.name().to_owned());
    let prepared = prepared(held, Edit::Put(entry.clone()))?;
    let word = if new { "Add" } else { "Change" };
    let mut change = Change::new(prepared, format!("{word} {} {name}", kind.one()));
    if new {
        change.status = StatusCode::CREATED;
        change.location = Some(path(kind, &name));
    }
    change.entry = Some(entry);
    Ok(change)
}

fn current(held: &StoreGuard, kind: Kind, name: &str) -> Option<String> {
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
/// `If-None-Match: *`. Whether it adds or changes is decided by what is there, whatever the request says.
pub(crate) async fn replace(api: Arc<Api>, request: Request, kind: Kind) -> Response {
    api.change(request, putting(kind), move |asked, _| async move {
        let name = name(asked.request());
        let entry = entry(kind, &body(asked.request(), &["application/json"])?)?;
        same_name(&entry, &name)?;
        let (own, to_be) = (name.clone(), groups(&entry));
        Ok(ChangeRequest::new(
            move |document| {
                let verb = match document.position(kind, &own) {
                    Some(_) => &verbs_of(kind).change,
                    None => &verbs_of(kind).add,
                };
                action(document, verb, (kind, &own), to_be)
            },
            move |held| {
                let tag = current(held, kind, &name);
                let headers = asked.request().headers();
                if tag.is_none()
                    && !headers.contains_key("if-none-match")
                    && !headers.contains_key("if-match")
                {
                    return Err(none(kind));
                }
                precondition(asked.request(), tag.as_deref())?;
                put(held, entry, tag.is_none())
            },
        ))
    })
    .await
}

/// `PATCH /api/v1/devices/{name}`: some values of the entry, as a merge patch (RFC 7396).
pub(crate) async fn patch(api: Arc<Api>, request: Request, kind: Kind) -> Response {
    api.change(request, changing(kind), move |asked, _| async move {
        let name = name(asked.request());
        let types = ["application/merge-patch+json", "application/json"];
        let patch = body(asked.request(), &types)?;
        if !patch.is_object() {
            let detail = "expected an object with the values that change";
            return Err(Problem::of(422, "invalid", "Not valid", detail).into());
        }
        let to_be = patch
            .get("groups")
            .and_then(|groups| serde_json::from_value(groups.clone()).ok());
        let own = name.clone();
        Ok(ChangeRequest::new(
            move |document| action(document, &verbs_of(kind).change, (kind, &own), to_be),
            move |held| {
                let known = held.document().entry(kind, &name);
                let known = known.ok_or_else(|| none(kind))?;
                precondition(asked.request(), Some(&tag(&known)))?;
                let mut value = serde_json::from_str(&known.to_json()).unwrap_or(Value::Null);
                merge_patch(&mut value, patch);
                let entry = entry(kind, &value)?;
                same_name(&entry, &name)?;
                put(held, entry, false)
            },
        ))
    })
    .await
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
pub(crate) async fn delete(api: Arc<Api>, request: Request, kind: Kind) -> Response {
    api.change(request, deleting(kind), move |asked, _| async move {
        let name = name(asked.request());
        let own = name.clone();
        Ok(ChangeRequest::new(
            move |document| action(document, &verbs_of(kind).delete, (kind, &own), None),
            move |held| {
                let Some(tag) = current(held, kind, &name) else {
                    return Err(none(kind));
                };
                precondition(asked.request(), Some(&tag))?;
                if kind == Kind::Credential {
                    unused(held, &name)?;
                }
                let prepared = prepared(held, Edit::Delete(kind, name.clone()))?;
                let mut change = Change::new(prepared, format!("Delete {} {name}", kind.one()));
                change.status = StatusCode::NO_CONTENT;
                Ok(change)
            },
        ))
    })
    .await
}

/// A credential that devices or groups name stays.
fn unused(held: &StoreGuard, name: &str) -> Result<(), Refusal> {
    let users = super::lists::users(&held.document(), name);
    if users.is_empty() {
        return Ok(());
    }
    let detail = format!(
        "{} name this credential; take it out there first",
        users.len()
    );
    let users: Vec<Value> = users.into_iter().take(20).map(Value::from).collect();
    Err(Problem::of(
        409,
        "in-use",
        "Other entries would no longer be valid",
        detail,
    )
    .with("used_by", users)
    .into())
}
