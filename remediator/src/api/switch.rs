//! The switch that stops everything.

use std::sync::Arc;

use access::Refusal;
use access::edit::{Action, Done, Plan};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use toolkit::web::response;
use toolkit::{Request, Response};

use crate::journal::Switch;

use super::{Api, body, journal};
use crate::verbs;

/// What the switch is to be.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SwitchRequest {
    paused: bool,
    /// Why, for people.
    #[serde(default)]
    reason: String,
}

/// What the switch would be.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct SwitchPreview {
    paused: bool,
}

impl Api {
    pub(super) async fn switch(&self) -> Result<Response, Refusal> {
        let engine = self.engine()?;
        let switch = engine.parts.journal.switch().await.map_err(journal)?;
        // The process may have stopped by itself, because the journal cannot be written.
        let paused = engine.is_paused();
        Ok(response::json(StatusCode::OK, &Switch { paused, ..switch }))
    }

    pub(super) async fn set_switch(self: Arc<Self>, request: Request) -> Response {
        let edits = match self.edits() {
            Ok(edits) => edits,
            Err(refusal) => return refusal.response(),
        };
        let own = Arc::clone(&self);
        let prepare = async move |asked: access::edit::Asked| {
            let wanted: SwitchRequest = body(asked.request())?;
            let engine = Arc::clone(own.engine()?);
            let verb = if wanted.paused {
                &verbs::PAUSE
            } else {
                &verbs::RESUME
            };
            let action = Action::new(verb, "switch", "remediation");
            asked.intend(action.clone())?;
            let preview = json!(SwitchPreview {
                paused: wanted.paused
            });
            let work = move |granted: access::edit::Granted| async move {
                let switch = Switch {
                    paused: wanted.paused,
                    reason: wanted.reason.chars().take(500).collect(),
                    by: granted.caller.display.clone(),
                    since: engine.parts.clock.now(),
                };
                engine.switch(switch.clone()).await.map_err(journal)?;
                let said = if switch.paused { "stopped" } else { "goes on" };
                Ok(Done::json(StatusCode::OK, &switch, said))
            };
            Ok(Plan::new(action, work).preview(preview))
        };
        edits
            .change(request, &[&verbs::PAUSE, &verbs::RESUME], prepare)
            .await
    }
}
