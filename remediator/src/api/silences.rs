//! Silences of Alertmanager: to read, to make and to end, by Alertmanager's own API, as a known caller and on record.

use std::sync::Arc;

use access::edit::{Action, Done, Plan};
use access::{Problem, Refusal};
use http::StatusCode;
use promapi::{Alertmanager, Matcher, NewSilence, Silence};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use toolkit::web::response;
use toolkit::{Request, Response};

use super::{Api, body};
use crate::verbs;

/// Most matchers of one silence.
const MATCHERS: usize = 20;
/// Most bytes of a value, and of a comment.
const TEXT: usize = 500;
/// Longest silence in minutes: four weeks.
const LONGEST: u32 = 28 * 24 * 60;

/// A silence to be made; it begins at once.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SilenceRequest {
    /// What the labels of an alert have to be, all of them.
    #[schemars(length(min = 1, max = 20))]
    matchers: Vec<Matcher>,
    /// How long it holds, in minutes.
    #[schemars(range(min = 1, max = 40_320))]
    minutes: u32,
    /// Why, for people.
    #[schemars(length(min = 1, max = 500))]
    comment: String,
}

/// Silences that hold or will.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct SilencesShown {
    silences: Vec<Silence>,
}

/// A silence that was made.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Made {
    /// Its id at Alertmanager.
    id: String,
    /// When it ends, RFC 3339.
    ends_at: String,
}

/// A silence that would be made.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct SilencePreview {
    matchers: Vec<Matcher>,
    minutes: u32,
}

/// A silence that is over, or would be.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Ended {
    /// Its id at Alertmanager.
    id: String,
}

fn invalid(field: &str, expected: impl std::fmt::Display) -> Refusal {
    let detail = format!("{field}: {expected}");
    Problem::of(422, "invalid", "Not valid", detail).into()
}

fn unreachable(error: &promapi::Error) -> Refusal {
    let (status, detail) = match error {
        // Its own words are not passed on: what it does not take is the caller's to mend.
        promapi::Error::Status { code: 400 } => (
            422,
            "Alertmanager does not take it: one matcher at least must not match the empty value"
                .to_owned(),
        ),
        error => (503, error.to_string()),
    };
    Problem::of(status, "alertmanager", "Alertmanager did not do it", detail).into()
}

fn none() -> Refusal {
    let detail = "there is no silence of this id that holds or will";
    Problem::of(404, "no-silence", "No such silence", detail).into()
}

fn check(wanted: &SilenceRequest) -> Result<(), Refusal> {
    if wanted.matchers.is_empty() || wanted.matchers.len() > MATCHERS {
        return Err(invalid("matchers", format!("expected 1 to {MATCHERS}")));
    }
    let control = |text: &str| text.chars().any(char::is_control);
    for (index, matcher) in wanted.matchers.iter().enumerate() {
        let at = |field: &str| format!("matchers[{index}].{field}");
        let mut name = matcher.name.chars();
        let first = |c: char| c.is_ascii_alphabetic() || c == '_';
        if !name.next().is_some_and(first)
            || !name.all(|c| c.is_ascii_alphanumeric() || c == '_')
            || matcher.name.len() > 128
        {
            return Err(invalid(&at("name"), "expected the name of a label"));
        }
        if matcher.value.len() > TEXT || control(&matcher.value) {
            let expected = format!("expected at most {TEXT} bytes without control characters");
            return Err(invalid(&at("value"), expected));
        }
        let whole = || regex::Regex::new(&format!("^(?:{})$", matcher.value));
        if matcher.is_regex && whole().is_err() {
            return Err(invalid(&at("value"), "expected a regular expression"));
        }
    }
    if !(1..=LONGEST).contains(&wanted.minutes) {
        return Err(invalid("minutes", format!("expected 1 to {LONGEST}")));
    }
    if wanted.comment.trim().is_empty() || wanted.comment.len() > TEXT || control(&wanted.comment) {
        let expected = format!("expected 1 to {TEXT} bytes without control characters");
        return Err(invalid("comment", expected));
    }
    Ok(())
}

impl Api {
    fn alertmanager(&self) -> Result<Alertmanager, Refusal> {
        self.config.current().alertmanager.clone().ok_or_else(|| {
            let detail = "the configuration names no alertmanager";
            Problem::of(409, "no-alertmanager", "No Alertmanager", detail).into()
        })
    }

    /// A silence of one device is something done to that device; any other is something done to all of them.
    fn silencing(&self, verb: &'static access::caller::Verb, matchers: &[Matcher]) -> Action {
        let mut devices = matchers
            .iter()
            .filter(|matcher| matcher.name == "device" && matcher.is_equal && !matcher.is_regex);
        match devices.next() {
            Some(device) => {
                let name: String = device.value.chars().take(128).collect();
                Action::new(verb, "device", &name).of_groups(&self.groups(&name))
            }
            None => Action::new(verb, "device", "*"),
        }
    }

    pub(super) async fn silences(&self) -> Result<Response, Refusal> {
        let all = self.alertmanager()?.silences().await;
        let mut silences = all.map_err(|error| unreachable(&error))?;
        silences.retain(|silence| !silence.is_over());
        Ok(response::json(StatusCode::OK, &SilencesShown { silences }))
    }

    pub(super) async fn silence(self: Arc<Self>, request: Request) -> Response {
        let edits = match self.edits() {
            Ok(edits) => edits,
            Err(refusal) => return refusal.response(),
        };
        let own = Arc::clone(&self);
        let prepare = async move |asked: access::edit::Asked| {
            let wanted: SilenceRequest = body(asked.request())?;
            let action = own.silencing(&verbs::SILENCE, &wanted.matchers);
            asked.intend(action.clone())?;
            check(&wanted)?;
            let alertmanager = own.alertmanager()?;
            let preview = json!(SilencePreview {
                matchers: wanted.matchers.clone(),
                minutes: wanted.minutes,
            });
            let work = move |granted: access::edit::Granted| async move {
                let now = jiff::Timestamp::now();
                let length = std::time::Duration::from_secs(u64::from(wanted.minutes) * 60);
                let silence = NewSilence {
                    matchers: wanted.matchers,
                    starts_at: now.to_string(),
                    ends_at: (now + length).to_string(),
                    created_by: granted.caller.display.clone(),
                    comment: wanted.comment,
                };
                let made = alertmanager.silence(&silence).await;
                let made = Made {
                    id: made.map_err(|error| unreachable(&error))?,
                    ends_at: silence.ends_at,
                };
                Ok(Done::json(StatusCode::CREATED, &json!(made), made.id))
            };
            Ok(Plan::new(action, work).preview(preview))
        };
        edits.change(request, &[&verbs::SILENCE], prepare).await
    }

    pub(super) async fn end_silence(self: Arc<Self>, request: Request) -> Response {
        let edits = match self.edits() {
            Ok(edits) => edits,
            Err(refusal) => return refusal.response(),
        };
        let own = Arc::clone(&self);
        let prepare = async move |asked: access::edit::Asked| {
            let id = asked.request().param("id").unwrap_or_default().to_owned();
            let alertmanager = own.alertmanager()?;
            let all = alertmanager.silences().await;
            let mut all = all.map_err(|error| unreachable(&error))?.into_iter();
            let found = all.find(|silence| silence.id == id && !silence.is_over());
            let found = found.ok_or_else(none)?;
            let action = own.silencing(&verbs::END_SILENCE, &found.matchers);
            asked.intend(action.clone())?;
            let preview = json!(Ended { id: id.clone() });
            let work = move |_: access::edit::Granted| async move {
                let ended = alertmanager.end_silence(&id).await;
                if !ended.map_err(|error| unreachable(&error))? {
                    return Err(none());
                }
                Ok(Done::json(
                    StatusCode::OK,
                    &json!(Ended { id: id.clone() }),
                    id,
                ))
            };
            Ok(Plan::new(action, work).preview(preview))
        };
        edits.change(request, &[&verbs::END_SILENCE], prepare).await
    }
}
