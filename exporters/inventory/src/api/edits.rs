//! Where changes are asked for: what they come to in the inventory as it is, handed to the edit service.

use std::sync::Arc;

use access::caller::Verb;
use access::edit::{Action, Done, EditService, Key, Need, Plan, Remembered};
use access::{Problem, Refusal};
use http::StatusCode;
use http::header::{ETAG, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use inventory::edit::{Edit, Entry, Kind, Positions, Rewritten};
use inventory::{Document, Feed, Inventory};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use toolkit::web::response;
use toolkit::{Live, Request, Response};

use crate::config::{Config, verbs};
use crate::formats::Wrong;
use crate::store::journal;
use crate::store::{Prepared, Signed, Store, StoreGuard, blocking, git, hex};

/// Everything the API answers from.
pub(crate) struct Api {
    pub(crate) feed: Feed,
    pub(crate) config: Live<Config>,
    pub(crate) editor: Option<Editor>,
    /// Why there is none, where one is configured.
    pub(crate) unavailable: Option<String>,
    /// The turn of the one list of another system that is worked out.
    pub(crate) imports: Arc<Semaphore>,
    /// The turns of those who read the history: each costs processes of git.
    pub(crate) histories: Arc<Semaphore>,
}

/// What is there only where editing is configured.
#[derive(Clone)]
pub(crate) struct Editor {
    pub(crate) store: Arc<Store>,
    pub(crate) edits: EditService,
}

/// Makes a change out of the state as it is when its turn has come.
type WorkOut = Box<dyn FnOnce(&mut StoreGuard) -> Result<Change, Refusal> + Send>;

/// What the state is asked for, once it is this request's turn.
pub(crate) struct ChangeRequest {
    /// What it comes to in the state as it is, before anything else is looked at.
    pub(crate) intend: Box<dyn FnOnce(&Document) -> Action + Send>,
    /// Makes the change out of the state as it is then.
    pub(crate) work_out: WorkOut,
}

impl ChangeRequest {
    pub(crate) fn new(
        intend: impl FnOnce(&Document) -> Action + Send + 'static,
        work_out: impl FnOnce(&mut StoreGuard) -> Result<Change, Refusal> + Send + 'static,
    ) -> Self {
        Self {
            intend: Box::new(intend),
            work_out: Box::new(work_out),
        }
    }
}

/// What is to be done, and answered.
pub(crate) struct Change {
    pub(crate) prepared: Prepared,
    pub(crate) message: String,
    pub(crate) status: StatusCode,
    /// The entry that the answer shows.
    pub(crate) entry: Option<Entry>,
    pub(crate) location: Option<String>,
    /// What an import has to say besides.
    pub(crate) imported: Option<Imported>,
}

/// What a change comes to, or came to.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Changes<'a> {
    /// The values that change.
    changes: &'a [inventory::edit::Change],
    /// The list, or `all`, that is written anew beside the entries that change, so that its comments are gone.
    rewritten: Option<&'static str>,
    /// `true` in the answer to a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    valid: Option<bool>,
    /// The version of the inventory afterwards; none in the answer to a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    inventory: Option<&'a str>,
    #[serde(flatten)]
    imported: Option<&'a Imported>,
}

/// What an import has to say besides.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Imported {
    /// What was left out, and why.
    pub(crate) notes: Vec<Wrong>,
    /// `If-Match` for the import that was previewed.
    pub(crate) if_match: String,
}

impl Change {
    pub(crate) fn new(prepared: Prepared, message: impl Into<String>) -> Self {
        Self {
            prepared,
            message: message.into(),
            status: StatusCode::OK,
            entry: None,
            location: None,
            imported: None,
        }
    }
}

impl Api {
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
        self.editor.as_ref().ok_or_else(|| match &self.unavailable {
            None => read_only(),
            Some(why) => Problem::of(
                507,
                "not-stored",
                "The change cannot be stored",
                format!("the store could not be opened when the service started: {why}; nothing is changed until it starts again"),
            )
            .into(),
        })
    }

    /// `GET /api/v1/changes/{id}`: how a write stands that took longer than its request.
    pub(crate) async fn outcome(&self, request: &Request) -> Response {
        let id = request.param("id").unwrap_or_default();
        let outcome = match self.editor() {
            Ok(editor) => editor.edits.outcome(id, request).await,
            Err(refusal) => Err(refusal),
        };
        match outcome {
            Ok(outcome) => response::json(StatusCode::OK, &outcome),
            Err(refusal) => refusal.response(),
        }
    }

    /// Makes the change that `ask` reads out of the request, or says what it would do (`?validate=true`).
    pub(crate) async fn change<F>(
        &self,
        request: Request,
        verbs: &'static [&'static Verb],
        ask: impl FnOnce(access::edit::Asked, Arc<Store>) -> F + Send + 'static,
    ) -> Response
    where
        F: Future<Output = Result<ChangeRequest, Refusal>> + Send + 'static,
    {
        let editor = match self.editor() {
            Ok(editor) => editor.clone(),
            Err(refusal) => return refusal.response(),
        };
        let store = editor.store;
        let prepare = move |asked: access::edit::Asked| async move {
            let wanted = ask(asked.clone(), Arc::clone(&store)).await?;
            let held = store.hold().await;
            let (held, change) = blocking(move || {
                let mut held = held;
                let settled = held.settle();
                let action = (wanted.intend)(&held.document());
                let change = asked.intend(action.clone()).map_err(Refusal::from);
                let change = change
                    .and_then(|()| Ok(settled?))
                    .and_then(|()| (wanted.work_out)(&mut held))
                    .map(|change| {
                        let action = needing(action, &held.document(), &change);
                        (change, action)
                    });
                (held, change)
            })
            .await;
            let (change, action) = change?;
            let preview = json!(diff(&change));
            let plan = if change.prepared.is_empty() {
                Plan::nothing(action, answer(&change))
            } else {
                Plan::new(action, move |granted| commit(held, change, granted))
            };
            Ok(plan.preview(preview))
        };
        editor.edits.change(request, verbs, prepare).await
    }
}

/// Makes the change: on disk and live when this returns.
async fn commit(
    mut held: StoreGuard,
    change: Change,
    granted: access::edit::Granted,
) -> Result<Done, Refusal> {
    let done = answer(&change);
    let version = change.prepared.inventory.version().to_owned();
    let signed = Signed {
        author: git::author(&granted.caller.display, &granted.caller.subject),
        message: change.message,
        key: granted
            .key
            .map(|key| keyed(key, &done, change.entry.as_ref())),
    };
    let prepared = change.prepared;
    blocking(move || held.commit(prepared, &signed)).await?;
    Ok(Done::new(done, version))
}

fn read_only() -> Refusal {
    Problem::of(
        403,
        "read-only",
        "Nobody may change the inventory here",
        "the configuration has no access section; expected one in --config.file",
    )
    .into()
}

/// The verbs of one kind of entry.
pub(crate) fn verbs_of(kind: Kind) -> &'static verbs::Of {
    match kind {
        Kind::Site => &verbs::SITE,
        Kind::Group => &verbs::GROUP,
        Kind::Device => &verbs::DEVICE,
        Kind::Credential => &verbs::CREDENTIAL,
    }
}

/// The action with the right to each entry that changes, of the groups it had and of those it gets.
fn needing(action: Action, document: &Document, change: &Change) -> Action {
    let mut needs = Vec::new();
    let positions = Positions::of(document, &change.prepared.edits);
    for edit in &change.prepared.edits {
        let (kind, name) = (edit.kind(), edit.name());
        let of = verbs_of(kind);
        let at = positions.find(document, kind, name);
        let known = at.is_some();
        // An import may do what its caller could do entry by entry, no more.
        let single = match edit {
            Edit::Delete(..) => &of.delete,
            Edit::Put(_) if known => &of.change,
            Edit::Put(_) => &of.add,
        };
        let verb = if action.verb().name() == verbs::IMPORT.name() {
            single
        } else {
            action.verb()
        };
        let need = |groups: Vec<String>| Need {
            verb,
            kind: kind.one(),
            name: name.to_owned(),
            groups,
        };
        if known {
            let before = at.and_then(|at| document.entry_at(kind, at));
            needs.push(need(match before {
                Some(Entry::Device(entry)) => entry.groups,
                _ => Vec::new(),
            }));
        }
        if let Edit::Put(Entry::Device(entry)) = edit {
            needs.push(need(entry.groups.clone()));
        } else if !known {
            needs.push(need(Vec::new()));
        }
    }
    action.needing(needs)
}

/// The groups of a device that is there.
pub(crate) fn groups_of(document: &Document, kind: Kind, name: &str) -> Option<Vec<String>> {
    match document.entry(kind, name) {
        Some(Entry::Device(entry)) => Some(entry.groups),
        _ => None,
    }
}

fn keyed(key: Key, answer: &Response, entry: Option<&Entry>) -> journal::Key {
    let tag = answer.headers().get(ETAG).and_then(|tag| tag.to_str().ok());
    journal::Key {
        name: key.name,
        request: key.request,
        status: answer.status().as_u16(),
        tag: tag.unwrap_or_default().to_owned(),
        body: entry.map(Entry::to_json).unwrap_or_default(),
    }
}

/// The answer that was given under a key, as the journal has it.
pub(crate) fn remembered(key: &journal::Key) -> Remembered {
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
    Remembered {
        request: key.request.clone(),
        answer,
    }
}

fn diff(change: &Change) -> Changes<'_> {
    Changes {
        changes: &change.prepared.changes,
        rewritten: change.prepared.anew.map(|anew| match anew {
            Rewritten::List(kind) => kind.list(),
            Rewritten::All => "all",
        }),
        valid: None,
        inventory: None,
        imported: change.imported.as_ref(),
    }
}

fn answer(change: &Change) -> Response {
    let mut answer = match (&change.entry, change.status) {
        (_, StatusCode::NO_CONTENT) => {
            let mut answer = Response::default();
            *answer.status_mut() = change.status;
            answer
        }
        (Some(entry), status) => response::new(status, "application/json", entry.to_json()),
        (None, status) => {
            let mut body = diff(change);
            body.inventory = Some(change.prepared.inventory.version());
            response::json(status, &body)
        }
    };
    let headers = answer.headers_mut();
    let tag = change
        .entry
        .as_ref()
        .map(|entry| format!("\"{}\"", tag(entry)));
    if let Some(Ok(tag)) = tag.map(|tag| HeaderValue::from_str(&tag)) {
        headers.insert(ETAG, tag);
    }
    if let Some(Ok(location)) = change.location.as_deref().map(HeaderValue::from_str) {
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
        let problem = Problem::of(412, "changed-meanwhile", "Changed meanwhile", detail);
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
        return Err(Problem::of(
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
