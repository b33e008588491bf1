//! What the store says, as a problem (RFC 9457) that names the field.

use access::{Problem, Refusal, field_error};
use serde_json::{Value, json};

use toolkit::chain;

use crate::store::StoreError;
use crate::store::git::GitError;

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        store(&error, None).into()
    }
}

/// What the store says, about the entry `devices[r1]` when one is changed.
pub(crate) fn store(error: &StoreError, about: Option<&str>) -> Problem {
    match error {
        StoreError::Inventory(inventory::Error::Invalid(problems)) => {
            let prefix = about.map(|about| format!("{about}."));
            let own = |path: &str| {
                let rest = prefix
                    .as_deref()
                    .and_then(|prefix| path.strip_prefix(prefix));
                match rest {
                    None if Some(path) == about => Some(String::new()),
                    rest => rest.map(str::to_owned),
                }
            };
            let list: Vec<Value> = problems
                .iter()
                .map(|problem| {
                    let field = own(problem.path()).unwrap_or_else(|| problem.path().to_owned());
                    field_error(&field, problem.message(), problem.line())
                })
                .collect();
            let elsewhere =
                about.is_some() && problems.iter().any(|problem| own(problem.path()).is_none());
            let detail = problems
                .iter()
                .next()
                .map(|problem| match own(problem.path()) {
                    Some(field) if field.is_empty() => problem.message().to_owned(),
                    Some(field) => format!("{field}: {}", problem.message()),
                    None => format!("{}: {}", problem.path(), problem.message()),
                });
            let detail = detail.unwrap_or_default();
            let problem = if elsewhere {
                Problem::of(
                    409,
                    "in-use",
                    "Other entries would no longer be valid",
                    detail,
                )
            } else {
                Problem::of(422, "invalid", "Not valid", detail)
            };
            problem.with("errors", list)
        }
        StoreError::Inventory(inventory::Error::TooLarge { .. }) => {
            Problem::of(413, "too-large", "Too large", error.to_string())
        }
        StoreError::Inventory(_) | StoreError::BadFile(_) => Problem::of(
            409,
            "bad-file",
            "The inventory file has errors",
            format!("{}; nothing is changed over them", chain(error)),
        ),
        StoreError::Conflict(list) => {
            let list: Vec<Value> = list
                .iter()
                .map(|conflict| json!(crate::store::merging::shown(conflict)))
                .collect();
            Problem::of(
                409,
                "conflict",
                "Both sides changed the same entries",
                "nothing was changed; /api/v1/resolve takes for each entry what is to be of it",
            )
            .with("conflicts", list)
        }
        StoreError::NoFile(_) | StoreError::Git(GitError::Files(_)) => Problem::of(
            409,
            "conflict",
            "The other side cannot be brought in",
            format!("{}; nothing was changed", chain(error)),
        ),
        StoreError::Choice { entry, why } => {
            let field = format!("choices.{entry}");
            Problem::of(422, "invalid", "Not valid", format!("{field}: {why}"))
                .with("errors", vec![field_error(&field, why, None)])
        }
        StoreError::NoVersion(name) => Problem::of(
            404,
            "no-version",
            "No such version",
            format!("no version {name:?} in the history; /api/v1/versions lists them"),
        ),
        StoreError::Gone => Problem::of(503, "busy", "Too busy", error.to_string()),
        StoreError::Git(_) => Problem::of(502, "git", "git refused", chain(error)),
        StoreError::Disk { .. } | StoreError::Taken | StoreError::Link(_) => {
            tracing::error!(error = chain(error), "the change cannot be stored");
            Problem::of(
                507,
                "not-stored",
                "The change cannot be stored",
                "nothing was changed; the log of the service says why",
            )
        }
    }
}
