//! A job: one runbook on one target, or one console command, from its cause to its end.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toolkit::trace::Origin;

use crate::decide::Plan;
use crate::runbook::Level;

/// Where a job stands. Every change of it is a row of the journal, written before what it announces is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// An alert found its runbook and its target.
    Matched,
    /// A rail holds it back; it is looked at again at `not_before`.
    Deferred,
    /// The checks were made and there is a plan.
    Prechecked,
    /// The plan waits for somebody.
    AwaitingApproval,
    /// It will be done now.
    Claimed,
    /// Lines are being typed.
    Running,
    /// The lines were typed; it is looked whether it helped.
    Verifying,
    /// It helped.
    Succeeded,
    /// It did not, and could not be taken back or there is nothing to take back.
    Failed,
    /// It did not, and was taken back.
    RolledBack,
    /// People have to look.
    Escalated,
    /// The process ended while lines were being typed: nobody knows which were.
    Unknown,
    /// A rail stopped it for good.
    Suppressed,
    /// Level observe: this is what would have been done.
    Observed,
    /// Level propose: this is what somebody could do.
    Proposed,
    /// Nobody approved in time.
    Expired,
    /// Somebody rejected it.
    Rejected,
    /// The cause went away, or was not there.
    Cancelled,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 18] = [
        Self::Matched,
        Self::Deferred,
        Self::Prechecked,
        Self::AwaitingApproval,
        Self::Claimed,
        Self::Running,
        Self::Verifying,
        Self::Succeeded,
        Self::Failed,
        Self::RolledBack,
        Self::Escalated,
        Self::Unknown,
        Self::Suppressed,
        Self::Observed,
        Self::Proposed,
        Self::Expired,
        Self::Rejected,
        Self::Cancelled,
    ];

    /// Its name in the journal, in metrics and in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Matched => "matched",
            Self::Deferred => "deferred",
            Self::Prechecked => "prechecked",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Claimed => "claimed",
            Self::Running => "running",
            Self::Verifying => "verifying",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::RolledBack => "rolled_back",
            Self::Escalated => "escalated",
            Self::Unknown => "unknown",
            Self::Suppressed => "suppressed",
            Self::Observed => "observed",
            Self::Proposed => "proposed",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether nothing more will happen to it by itself or by an approval.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(
            self,
            Self::Matched
                | Self::Deferred
                | Self::Prechecked
                | Self::AwaitingApproval
                | Self::Claimed
                | Self::Running
                | Self::Verifying
                | Self::Unknown
        )
    }

    /// Whether it may be followed by `next`: the arrows of the state machine.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        use State::{
            AwaitingApproval, Cancelled, Claimed, Deferred, Escalated, Expired, Failed, Matched,
            Observed, Prechecked, Proposed, Rejected, RolledBack, Running, Succeeded, Suppressed,
            Unknown, Verifying,
        };
        match self {
            Matched => matches!(
                next,
                Deferred | Suppressed | Prechecked | Cancelled | Escalated | Observed
            ),
            Deferred => matches!(next, Matched | Cancelled | Suppressed | Escalated),
            Prechecked => matches!(
                next,
                AwaitingApproval
                    | Claimed
                    | Observed
                    | Proposed
                    | Deferred
                    | Suppressed
                    | Cancelled
                    | Escalated
                    | Matched
            ),
            AwaitingApproval => {
                matches!(next, Claimed | Expired | Rejected | Cancelled | Escalated)
            }
            Claimed => matches!(
                next,
                Running | Deferred | Cancelled | Escalated | Matched | Suppressed
            ),
            Running => matches!(next, Verifying | Failed | Unknown | RolledBack | Escalated),
            Verifying => matches!(next, Succeeded | Failed | RolledBack | Escalated | Unknown),
            Unknown => matches!(next, Succeeded | Escalated | Matched),
            Succeeded | Failed | RolledBack | Escalated | Suppressed | Observed | Proposed
            | Expired | Rejected | Cancelled => false,
        }
    }
}

/// A person or program behind a job, as the journal keeps them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Who {
    /// Stable name.
    pub subject: String,
    /// For people.
    pub display: String,
    /// How they are known.
    pub via: String,
}

/// A job of a runbook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Job {
    /// Its id: 26 characters that sort by time.
    pub id: String,
    /// Where it stands.
    pub state: State,
    /// Why it stands there.
    pub reason: String,
    /// The runbook.
    pub runbook: String,
    /// The device.
    pub device: String,
    /// What of the device: its port, a neighbour or a unit, whatever the runbook is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Site of the device.
    pub site: String,
    /// Role of the device.
    pub role: String,
    /// Level in force when it was decided.
    pub level: Level,
    /// Fingerprint of the alert; empty when a person asked for it.
    pub fingerprint: String,
    /// When the alert began, milliseconds since the epoch.
    pub starts_at: i64,
    /// When the job was made, milliseconds since the epoch.
    pub created: i64,
    /// When it last changed, milliseconds since the epoch.
    pub updated: i64,
    /// It is not looked at before this time, milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub not_before: i64,
    /// An approval has to come before this time, milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub expires: i64,
    /// Milliseconds that it waited for an approval.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub waited: i64,
    /// The device takes the lines back before this time unless they are confirmed, milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub armed_until: i64,
    /// Times that lines were typed.
    #[serde(default)]
    pub attempts: u32,
    /// The plan, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// The plan's hash.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub plan_hash: String,
    /// Who asked for it, where a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<Who>,
    /// Who approved or rejected it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approver: Option<Who>,
    /// Trace that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The place in that trace where it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub traceparent: Option<Origin>,
    /// What the device said, masked and bounded.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
    /// Labels of the alert.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl Job {
    /// What a claim is on: one job at a time has it.
    #[must_use]
    pub fn key(&self) -> String {
        key(&self.runbook, &self.device, self.port.as_deref())
    }

    /// What it is about, for people: `port-up on r1 eth1`.
    #[must_use]
    pub fn title(&self) -> String {
        let port = self.port.as_deref().unwrap_or_default();
        format!("{} on {} {port}", self.runbook, self.device)
            .trim_end()
            .to_owned()
    }

    /// Goes on in the trace that is active here, if there is one: what somebody asks for belongs to theirs.
    pub fn follow(&mut self, origin: Option<Origin>) {
        if let Some(origin) = origin {
            self.trace_id = Some(origin.trace_id());
            self.traceparent = Some(origin);
        }
    }
}

/// The key of a claim.
#[must_use]
pub fn key(runbook: &str, device: &str, port: Option<&str>) -> String {
    format!("{runbook} {device} {}", port.unwrap_or_default())
}

/// A new id: 48 bits of milliseconds and 80 of chance, in Crockford's base 32, as a ULID has them.
#[must_use]
pub fn new_id(now: i64) -> String {
    const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let time = u128::try_from(now).unwrap_or_default() & 0xffff_ffff_ffff;
    let value = (time << 80) | (fastrand::u128(..) >> 48);
    (0..26)
        .rev()
        .map(|digit| {
            char::from(DIGITS[usize::try_from((value >> (digit * 5)) & 31).unwrap_or_default()])
        })
        .collect()
}

/// One row of the journal: an arrow of the state machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Row {
    /// Its number.
    pub seq: i64,
    /// When, milliseconds since the epoch.
    pub at: i64,
    /// The job.
    pub job: String,
    /// From where.
    pub from: Option<String>,
    /// To where.
    pub to: String,
    /// Why.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn final_states_have_no_way_out_and_all_others_do() {
        for state in State::ALL {
            let out = State::ALL.into_iter().any(|next| state.may_become(next));
            assert_eq!(out, !state.is_final(), "{state:?}");
            assert_eq!(State::named(state.as_str()), Some(state));
        }
    }

    #[test]
    fn lines_are_typed_only_after_a_claim_and_never_again_after_a_crash_without_a_look() {
        for state in State::ALL {
            assert_eq!(
                state.may_become(State::Running),
                state == State::Claimed,
                "{state:?}"
            );
        }
        assert!(
            !State::Unknown.may_become(State::Running)
                && !State::Unknown.may_become(State::Claimed)
        );
    }

    #[test]
    fn ids_sort_by_time_and_differ() {
        let ids: Vec<String> = (0..1_000)
            .map(|n| new_id(1_700_000_000_000 + n / 10))
            .collect();
        assert!(ids.iter().all(|id| id.len() == 26));
        assert!(ids.windows(20).all(|pair| pair[0][..10] <= pair[19][..10]));
        let unique: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(unique.len(), 1_000);
    }
}
