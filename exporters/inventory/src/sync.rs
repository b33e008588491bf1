//! Keeping step with the remote without being asked: pull, push soon after each change, and again and again.

use std::sync::Arc;
use std::time::Duration;

use access::audit::{Outcome, Record};
use access::edit::Action;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep, timeout};

use toolkit::chain;

use crate::api::edits::{Api, Editor};
use crate::api::remote::{configured, plan};
use crate::config::{Remote, verbs};
use crate::store::{Signed, StoreError, blocking, git};

/// Time from one round to the next at least, so that changes that come together are pushed together.
const PAUSE: Duration = Duration::from_millis(500);
/// How often a round follows a remote that others go on moving.
const ROUNDS: usize = 3;
/// Time from one look at the configuration to the next, while it has nothing to be done.
const LOOK: Duration = Duration::from_secs(1);

/// Never ends.
pub(crate) async fn follow(api: &Api, editor: &Editor) {
    let mut commits = editor.store.commits();
    let mut told = None;
    loop {
        let Some((remote, every)) = configured(api).and_then(|remote| {
            let every = remote.every()?;
            Some((remote, every))
        }) else {
            sleep(LOOK).await;
            continue;
        };
        commits.mark_unchanged();
        let began = Instant::now();
        let result = round(editor, &remote).await;
        let text = result.as_ref().err().map(|error| chain(error));
        if text != told {
            match &text {
                Some(error) => {
                    tracing::warn!(error, "not in step with the remote");
                    let action = Action::new(&verbs::PULL, "remote", "pull");
                    let hash = Sha256::digest(error).into();
                    let record = Record::of_service("sotp-inventory", &action, hash);
                    editor.edits.audit().refuse(record, error);
                }
                None => tracing::info!("in step with the remote"),
            }
            told = text;
        }
        {
            let told = result.as_ref().map(|version| Some(version.as_str()));
            editor.store.standing().talked(told);
        }
        sleep(PAUSE).await;
        // After a failure the next change would fail as well.
        let rest = every.saturating_sub(began.elapsed());
        if result.is_ok() {
            let _ = timeout(rest, commits.changed()).await;
        } else {
            sleep(rest).await;
        }
    }
}

/// Pulls, then pushes; answers the commit that both have.
async fn round(editor: &Editor, remote: &Remote) -> Result<String, StoreError> {
    let mut rounds = 0;
    loop {
        rounds += 1;
        let (store, from) = (Arc::clone(&editor.store), remote.clone());
        if let Some(theirs) = blocking(move || store.fetch(&from)).await? {
            pull(editor, theirs).await?;
        }
        let (store, to) = (Arc::clone(&editor.store), remote.clone());
        match blocking(move || store.push(&to)).await {
            Err(StoreError::Git(git::GitError::Refused { .. })) if rounds < ROUNDS => {}
            done => return done,
        }
    }
}

async fn pull(editor: &Editor, theirs: String) -> Result<(), StoreError> {
    let held = editor.store.hold().await;
    let commit = theirs.clone();
    let (mut held, planned) = blocking(move || {
        let mut held = held;
        let planned = held.settle().and_then(|()| plan(&mut held, &commit));
        (held, planned)
    })
    .await;
    let planned = planned?;
    if planned.prepared.is_empty() {
        return Ok(());
    }
    let action = Action::new(&verbs::PULL, "remote", "pull");
    let hash = Sha256::digest(&theirs).into();
    let record = Record::of_service("sotp-inventory", &action, hash);
    let pending = editor
        .edits
        .audit()
        .begin(record)
        .await
        .map_err(|error| StoreError::Disk {
            what: "the audit log; nothing was pulled",
            source: std::io::Error::other(chain(&error)),
        })?;
    let signed = Signed {
        author: git::author("sotp-inventory", "sotp-inventory@localhost"),
        message: planned.message,
        key: None,
    };
    let result = blocking(move || held.commit(planned.prepared, &signed)).await;
    pending
        .finish(match &result {
            Ok(()) => Outcome::Done(theirs),
            Err(error) => Outcome::Failed(chain(error)),
        })
        .await;
    result
}
