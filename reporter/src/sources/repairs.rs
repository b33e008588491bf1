//! What the remediator did, from its interface.

use loki::{QueryError, Source};
use serde::Deserialize;

use crate::history::Missing;
use crate::material::Repair;
use crate::month::{Millis, Period};

use super::{lacks, patiently};

/// Jobs of one answer.
const PAGE: usize = 1_000;
/// Most jobs that are looked through.
const MOST: usize = 100_000;
/// Longest text that is kept.
const TEXT: usize = 300;

#[derive(Deserialize)]
struct Jobs {
    jobs: Vec<Job>,
}

#[derive(Deserialize)]
struct Job {
    id: String,
    state: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    runbook: String,
    #[serde(default)]
    device: String,
    #[serde(default)]
    port: Option<String>,
    #[serde(default)]
    starts_at: Millis,
    created: Millis,
    #[serde(default)]
    updated: Millis,
    #[serde(default)]
    requester: Option<Who>,
    #[serde(default)]
    approver: Option<Who>,
    #[serde(default)]
    trace_id: Option<String>,
}

#[derive(Deserialize)]
struct Who {
    #[serde(default)]
    display: String,
}

pub(super) async fn read(
    remediator: &Source,
    period: Period,
    missing: &mut Vec<Missing>,
) -> Vec<Repair> {
    match jobs(remediator, period).await {
        Ok((repairs, cut)) => {
            if let Some(from) = cut {
                let why = format!("there are more than {MOST} jobs since");
                missing.push(lacks("remediator: jobs", period.start, from, why));
            }
            repairs
        }
        Err(error) => {
            missing.push(lacks("remediator: jobs", period.start, period.end, error));
            Vec::new()
        }
    }
}

/// The jobs that were made in the period, and the time of the oldest that was looked at where there are more than are looked through.
async fn jobs(
    remediator: &Source,
    period: Period,
) -> Result<(Vec<Repair>, Option<Millis>), QueryError> {
    let mut found = Vec::new();
    let mut before: Option<String> = None;
    let mut seen = 0;
    let cut = loop {
        let mut query = vec![("limit", PAGE.to_string())];
        query.extend(before.clone().map(|id| ("before", id)));
        let body = patiently(QueryError::is_transient, || async {
            remediator.get("/api/v1/jobs", &query).await
        });
        let body = body.await?;
        let page: Jobs = serde_json::from_slice(&body)
            .map_err(|error| QueryError::Unexpected(error.to_string()))?;
        let count = page.jobs.len();
        // The newest first: the next page is of those before the last one.
        let oldest = page.jobs.last().map(|job| (job.id.clone(), job.created));
        found.extend(
            page.jobs
                .into_iter()
                .filter(|job| (period.start..period.end).contains(&job.created)),
        );
        seen += count;
        match oldest {
            Some((id, created)) if count == PAGE && created >= period.start => {
                if seen >= MOST {
                    break Some(created);
                }
                if before.as_ref() == Some(&id) {
                    return Err(QueryError::Unexpected("the same page twice".to_owned()));
                }
                before = Some(id);
            }
            _ => break None,
        }
    };
    let mut repairs: Vec<Repair> = found.into_iter().map(repair).collect();
    repairs.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
    Ok((repairs, cut))
}

fn repair(job: Job) -> Repair {
    let who = |who: Option<Who>| who.map(|who| who.display).unwrap_or_default();
    Repair {
        id: job.id,
        alert: job.starts_at,
        created: job.created,
        updated: job.updated,
        device: job.device,
        port: job.port.unwrap_or_default(),
        runbook: job.runbook,
        state: job.state,
        reason: job.reason.chars().take(TEXT).collect(),
        requester: who(job.requester),
        approver: who(job.approver),
        trace: job.trace_id.unwrap_or_default(),
    }
}
