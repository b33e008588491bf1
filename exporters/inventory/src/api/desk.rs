//! Where changes are asked for: who asks, whether they may, what it would change, the record of it, the change.

use std::sync::Arc;

use http::StatusCode;
use http::header::{ETAG, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use inventory::edit::{Edit, Entry, Kind, Rewritten};
use inventory::{Document, Feed, Inventory};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use toolkit::audit::{self, Audit, Outcome, Pending, Record};
use toolkit::caller::{Caller, Denied, Object, Verb};
use toolkit::web::{Problem, response};
use toolkit::{Live, Request, Response};

use super::refusal::{self, Refusal};
use crate::config::{Config, Editing, verbs};
use crate::store::journal::Key;
use crate::store::{Held, Prepared, Signed, Store, blocking, git, hex};

/// Everything the API answers from.
pub(crate) struct Desk {
    pub(crate) feed: Feed,
    pub(crate) config: Live<Config>,
    pub(crate) editor: Option<Editor>,
}

/// What is there only where editing is configured.
#[derive(Clone)]
pub(crate) struct Editor {
    pub(crate) store: Arc<Store>,
    pub(crate) audit: Audit,
}

/// A change as it is asked for.
pub(crate) struct Wish {
    pub(crate) verb: &'static Verb,
    /// `device/r1`, for the audit log.
    pub(crate) object: (&'static str, String),
    /// Groups of the device that is to be, where one is to be.
    pub(crate) groups: Option<Vec<String>>,
    /// Makes the change out of the state as it is then.
    #[allow(clippy::type_complexity, reason = "it is written once and called once")]
    pub(crate) plan: Box<dyn FnOnce(&mut Held) -> Result<Plan, Refusal> + Send>,
}

/// What is to be done, and answered.
pub(crate) struct Plan {
    pub(crate) prepared: Prepared,
    pub(crate) message: String,
    pub(crate) status: StatusCode,
    /// The entry that the answer shows.
    pub(crate) entry: Option<Entry>,
    pub(crate) location: Option<String>,
    /// Further members of the answer to a dry run, and of the answer where no entry is shown.
    pub(crate) more: Value,
}

impl Plan {
    pub(crate) fn new(prepared: Prepared, message: impl Into<String>) -> Self {
        Self {
            prepared,
            message: message.into(),
            status: StatusCode::OK,
            entry: None,
            location: None,
            more: Value::Null,
        }
    }
}

impl Desk {
    /// The document as it is now, to be looked at.
    pub(crate) async fn document<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Document, &Arc<Inventory>) -> T + Send + 'static,
    ) -> T {
        match &self.editor {
            Some(editor) => {
                let (store, inventory) = (Arc::clone(&editor.store), self.feed.current());
                blocking(move || look(&store.document(), &inventory)).await
            }
            None => {
                let inventory = self.feed.current();
                blocking(move || look(&inventory.document(), &inventory)).await
            }
        }
    }

    /// The store, where editing is configured.
    pub(crate) fn editor(&self) -> Result<&Editor, Refusal> {
        self.editor.as_ref().ok_or_else(read_only)
    }

    /// Whether the caller is somebody who is known.
    pub(crate) async fn known(&self, request: &Request) -> Result<(), Refusal> {
        let config = self.config.current();
        let editing = config.editing.as_ref().ok_or_else(read_only)?;
        editing.access.identify(request).await?;
        Ok(())
    }

    /// Whether the caller may do what is done to no entry.
    pub(crate) async fn may(&self, request: &Request, verb: &Verb) -> Result<Caller, Refusal> {
        let config = self.config.current();
        let editing = config.editing.as_ref().ok_or_else(read_only)?;
        let object = Object {
            kind: "remote",
            name: verb.name(),
            groups: &[],
        };
        Ok(editing.access.authorise(request, verb, &object).await?)
    }

    /// As [`Desk::may`], and recorded as begun.
    pub(crate) async fn recorded(
        &self,
        request: &Request,
        verb: &Verb,
        object: &str,
    ) -> Result<Pending, Refusal> {
        let caller = self.may(request, verb).await?;
        let record = Record {
            role: caller.role,
            caller,
            verb: verb.name().to_owned(),
            object: object.to_owned(),
            trace_id: toolkit::trace::current_id(),
            request_hash: audit::request_hash(request),
        };
        begun(&self.editor()?.audit, record).await
    }

    /// Does what is wished for, or says what it would do (`?validate=true`).
    pub(crate) async fn change(self: Arc<Self>, request: Request, wish: Wish) -> Response {
        // The change goes on to its end when the one who asked hangs up.
        let task = tokio::spawn(async move { self.changed(&request, wish).await });
        match task.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(refusal)) => refusal.response(),
            Err(_) => response::text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the change failed, see the log",
            ),
        }
    }

    async fn changed(&self, request: &Request, wish: Wish) -> Result<Response, Refusal> {
        let config = self.config.current();
        let editing = config.editing.as_ref().ok_or_else(read_only)?;
        let editor = self.editor()?.clone();
        let caller = editing.access.identify(request).await?;
        let dry = validate_only(request)?;
        let key = key(request, &caller)?;
        let held = editor.store.hold().await;
        let (held, settled) = blocking(move || {
            let mut held = held;
            let settled = held.settle();
            (held, settled)
        })
        .await;
        // Who may not do it at all is told so first, whatever else is wrong.
        let before = groups_of(&held.document(), wish.object.0, &wish.object.1);
        let first = before.or(wish.groups).unwrap_or_default();
        let object = Object {
            kind: wish.object.0,
            name: &wish.object.1,
            groups: &first,
        };
        let decided = |decision| editing.access.decided(request, &caller, decision);
        let first = editing.access.permits(&caller, wish.verb, &object);
        if first.is_err() {
            decided(first)?;
        }
        if !dry && let Some(key) = &key {
            match held.answered(&key.name) {
                Some(known) if known.request == key.request => {
                    decided(Ok(()))?;
                    return Ok(again(known));
                }
                Some(_) => {
                    return Err(refusal::of(
                        422,
                        "key-reused",
                        "Key used for another request",
                        "this Idempotency-Key was sent with another request within the last day",
                    )
                    .into());
                }
                None => {}
            }
        }
        settled?;
        let (mut held, plan) = blocking(move || {
            let mut held = held;
            let plan = (wish.plan)(&mut held);
            (held, plan)
        })
        .await;
        let plan = plan?;
        decided(permitted(
            editing,
            &caller,
            &held.document(),
            wish.verb,
            &plan,
        ))?;
        if dry {
            return Ok(dry_run(&plan));
        }
        if plan.prepared.is_empty() {
            return Ok(answer(&plan));
        }
        let record = Record {
            role: caller.role,
            caller: caller.clone(),
            verb: wish.verb.name().to_owned(),
            object: format!("{}/{}", wish.object.0, wish.object.1),
            trace_id: toolkit::trace::current_id(),
            request_hash: audit::request_hash(request),
        };
        let pending = begun(&editor.audit, record).await?;
        let done = answer(&plan);
        let version = plan.prepared.inventory.version().to_owned();
        let signed = Signed {
            author: git::author(&caller.display, &caller.subject),
            message: plan.message,
            key: key.map(|key| keyed(key, &done, plan.entry.as_ref())),
        };
        let prepared = plan.prepared;
        let result = blocking(move || {
            let result = held.commit(prepared, &signed);
            drop(held);
            result
        })
        .await;
        match result {
            Ok(()) => {
                pending.finish(Outcome::Done(version)).await;
                Ok(done)
            }
            Err(error) => {
                pending
                    .finish(Outcome::Failed(crate::store::chain(&error)))
                    .await;
                Err(error.into())
            }
        }
    }
}

async fn begun(audit: &Audit, record: Record) -> Result<Pending, Refusal> {
    audit.begin(record).await.map_err(|error| {
        tracing::error!(
            error = crate::store::chain(&error),
            "change refused: it cannot be recorded"
        );
        refusal::of(
            507,
            "not-recorded",
            "The change cannot be recorded",
            "nothing was changed; the audit log cannot be written",
        )
        .into()
    })
}

fn read_only() -> Refusal {
    refusal::of(
        403,
        "read-only",
        "Nobody may change the inventory here",
        "the configuration has no access section; expected one in --config.file",
    )
    .into()
}

/// Each entry that changes, with the groups it had and those it gets.
fn permitted(
    editing: &Editing,
    caller: &Caller,
    document: &Document,
    verb: &Verb,
    plan: &Plan,
) -> Result<(), Denied> {
    for edit in &plan.prepared.edits {
        let (kind, name) = (edit.kind(), edit.name());
        let before = groups_of(document, kind.one(), name).unwrap_or_default();
        let of = match kind {
            Kind::Site => &verbs::SITE,
            Kind::Group => &verbs::GROUP,
            Kind::Device => &verbs::DEVICE,
            Kind::Credential => &verbs::CREDENTIAL,
        };
        let known = document.position(kind, name).is_some();
        // An import may do what its caller could do entry by entry, no more.
        let single = match edit {
            Edit::Delete(..) => &of.delete,
            Edit::Put(_) if known => &of.change,
            Edit::Put(_) => &of.add,
        };
        let each = if plan.entry.is_none() && verb.name() == verbs::IMPORT.name() {
            single
        } else {
            verb
        };
        let object = |groups| Object {
            kind: kind.one(),
            name,
            groups,
        };
        if known {
            editing.access.permits(caller, each, &object(&before))?;
        }
        if let Edit::Put(Entry::Device(entry)) = edit {
            editing
                .access
                .permits(caller, each, &object(&entry.groups))?;
        } else if !known {
            editing.access.permits(caller, each, &object(&[]))?;
        }
    }
    Ok(())
}

/// The groups of a device that is there.
fn groups_of(document: &Document, kind: &str, name: &str) -> Option<Vec<String>> {
    if kind != Kind::Device.one() {
        return None;
    }
    match document.entry(Kind::Device, name) {
        Some(Entry::Device(entry)) => Some(entry.groups),
        _ => None,
    }
}

fn validate_only(request: &Request) -> Result<bool, Refusal> {
    match request.query("validate").as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(Problem::new(StatusCode::BAD_REQUEST)
            .detail(format!("validate is {other:?}; expected true or false"))
            .into()),
    }
}

fn key(request: &Request, caller: &Caller) -> Result<Option<Key>, Refusal> {
    let Some(value) = request.headers().get("idempotency-key") else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim().trim_matches('"');
    let charset = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    if text.is_empty() || text.len() > 128 || !text.chars().all(charset) {
        return Err(Problem::new(StatusCode::BAD_REQUEST)
            .detail(
                "Idempotency-Key: expected 1 to 128 letters, digits, \"-\", \"_\", \".\" or \":\"",
            )
            .into());
    }
    let whole = format!("{}\0{}\0{text}", caller.via.as_str(), caller.subject);
    // What was asked for under which condition; the key itself is left out.
    let mut digest = Sha256::new();
    digest.update(audit::request_hash(request));
    digest.update(request.header("if-match").unwrap_or_default());
    Ok(Some(Key {
        name: hex(&Sha256::digest(whole)[..16]),
        request: hex(&digest.finalize()),
        status: 0,
        tag: String::new(),
        body: String::new(),
    }))
}

fn keyed(mut key: Key, answer: &Response, entry: Option<&Entry>) -> Key {
    key.status = answer.status().as_u16();
    let tag = answer.headers().get(ETAG).and_then(|tag| tag.to_str().ok());
    key.tag = tag.unwrap_or_default().to_owned();
    key.body = entry.map(Entry::to_json).unwrap_or_default();
    key
}

/// The answer that was given before.
fn again(key: &Key) -> Response {
    let status = StatusCode::from_u16(key.status).unwrap_or(StatusCode::OK);
    let mut answer = if key.body.is_empty() {
        let mut answer = Response::default();
        *answer.status_mut() = status;
        answer
    } else {
        response::new(status, "application/json", key.body.clone())
    };
    if let Ok(tag) = HeaderValue::from_str(&key.tag)
        && !key.tag.is_empty()
    {
        answer.headers_mut().insert(ETAG, tag);
    }
    let name = HeaderName::from_static("idempotent-replayed");
    answer
        .headers_mut()
        .insert(name, HeaderValue::from_static("true"));
    answer
}

fn diff(plan: &Plan) -> Value {
    let rewritten = match plan.prepared.anew {
        None => Value::Null,
        Some(Rewritten::List(kind)) => json!(kind.list()),
        Some(Rewritten::All) => json!("all"),
    };
    let mut body = json!({"changes": plan.prepared.changes, "rewritten": rewritten});
    if let (Value::Object(body), Value::Object(more)) = (&mut body, &plan.more) {
        body.extend(more.clone());
    }
    body
}

fn dry_run(plan: &Plan) -> Response {
    let mut body = diff(plan);
    body["valid"] = true.into();
    response::json(StatusCode::OK, &body)
}

fn answer(plan: &Plan) -> Response {
    let mut answer = match (&plan.entry, plan.status) {
        (_, StatusCode::NO_CONTENT) => {
            let mut answer = Response::default();
            *answer.status_mut() = plan.status;
            answer
        }
        (Some(entry), status) => response::new(status, "application/json", entry.to_json()),
        (None, status) => {
            let mut body = diff(plan);
            body["inventory"] = plan.prepared.inventory.version().into();
            response::json(status, &body)
        }
    };
    let headers = answer.headers_mut();
    let tag = plan
        .entry
        .as_ref()
        .map(|entry| format!("\"{}\"", tag(entry)));
    if let Some(Ok(tag)) = tag.map(|tag| HeaderValue::from_str(&tag)) {
        headers.insert(ETAG, tag);
    }
    if let Some(Ok(location)) = plan.location.as_deref().map(HeaderValue::from_str) {
        headers.insert(http::header::LOCATION, location);
    }
    answer
}

/// The name of what an entry says: the same for the same content.
pub(crate) fn tag(entry: &Entry) -> String {
    hex(&Sha256::digest(entry.to_json())[..8])
}

/// Whether the caller knows what they change (RFC 9110 section 13.1.1). A tag of a view counts by its first part,
/// which is that of the entry.
pub(crate) fn precondition(request: &Request, current: Option<&str>) -> Result<(), Refusal> {
    let list = |name: HeaderName| -> Vec<String> {
        let values = request.headers().get_all(name).iter();
        let texts = values.filter_map(|value| value.to_str().ok());
        texts
            .flat_map(|text| text.split(','))
            .map(|tag| tag.trim().to_owned())
            .collect()
    };
    let stale = |detail: &str| {
        let problem = refusal::of(412, "changed-meanwhile", "Changed meanwhile", detail);
        Refusal::from(match current {
            Some(current) => problem.with("current", format!("\"{current}\"")),
            None => problem,
        })
    };
    let (matching, none_matching) = (list(IF_MATCH), list(IF_NONE_MATCH));
    if none_matching.iter().any(|tag| tag == "*") {
        return match current {
            None => Ok(()),
            Some(_) => Err(stale(
                "If-None-Match: * asks for a new entry, and there is one of this name",
            )),
        };
    }
    if matching.is_empty() {
        return Err(refusal::of(
            428,
            "tag-needed",
            "Say what you change",
            "expected If-Match with the ETag of the last look",
        )
        .into());
    }
    let holds = |tag: &String| {
        let own = tag.trim_matches('"').split('-').next();
        current.is_some_and(|current| tag == "*" || (tag.starts_with('"') && own == Some(current)))
    };
    if matching.iter().any(holds) {
        return Ok(());
    }
    Err(stale(match current {
        Some(_) => "it was changed since the look that If-Match tells of; look again",
        None => "there is nothing of this name any more",
    }))
}
