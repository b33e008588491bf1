//! One job from state to state.

use std::sync::Arc;

use inventory::{Desired, Device};
use jiff::Timestamp;

use crate::decide::{self, Decision};
use crate::job::{Job, State};
use crate::journal::{Hint, JournalError};
use crate::ports;
use crate::rails::{Held, Rail};
use crate::runbook::{Level, Runbook, Verdict};
use crate::session::{AccessError, Account, Session};
use crate::setup::Setup;

use super::bench::{Bench, timer};
use super::typing::Typed;
use super::{Engine, locked, moved, subject};

/// Proof older than this is no proof.
const FRESH: i64 = 30_000;
/// How long a job waits that a rail holds back without a time of its own.
const AGAIN: i64 = 5_000;
/// After how long it is looked again whether a silence still holds.
const SILENCED: i64 = 60_000;
/// A change that somebody reports so near to our own is taken for ours.
const OURS: i64 = 15_000;
/// Most bytes of output that are kept.
const OUTPUT: usize = 64 * 1024;
/// Times that lines may be typed for one job: a second time after a crash only.
const ATTEMPTS: u32 = 2;

impl Engine {
    /// Drives a job as far as it goes.
    pub(super) async fn drive(&self, mut job: Job) {
        let (origin, title) = (job.traceparent.clone(), job.title());
        let span = || tracing::info_span!("job", otel.name = title);
        let driven = toolkit::trace::resumed(origin.as_ref(), span, async {
            match job.state {
                // Nobody drives it: the journal could not be written in the middle of it. It is as after a crash.
                State::Running | State::Verifying => {
                    let why = "the journal could not be written while it was at work";
                    self.step(&mut job, State::Unknown, why).await?;
                    self.look_after_crash(&mut job).await
                }
                State::Unknown => self.look_after_crash(&mut job).await,
                State::Claimed => self.act(&mut job).await,
                _ => self.consider(&mut job).await,
            }
        })
        .await;
        if let Err(error) = driven.or_else(moved) {
            if error.may_pass() {
                self.fails(&error);
            }
            tracing::error!(job = job.id, %error, "job cannot go on");
        }
    }

    /// The bench of a job; without one people have to look.
    async fn bench(&self, job: &mut Job) -> Result<Option<Bench>, JournalError> {
        let setup = (self.parts.setup)();
        let inventory = self.parts.feed.current();
        let found = match (
            setup.runbooks.get(&job.runbook),
            inventory.device(&job.device),
        ) {
            (None, _) => Err("the runbook is not there any more".to_owned()),
            (_, None) => Err("the device is not in the inventory any more".to_owned()),
            (Some(runbook), Some(device)) => match setup.platforms.get(&device.platform) {
                None => Err(format!(
                    "nothing is known of the platform {:?}",
                    &*device.platform
                )),
                Some(_) if device.ssh.is_none() => {
                    Err("the inventory does not say how the device is reached by SSH".to_owned())
                }
                Some(platform) => {
                    let asks = setup.snmp && device.snmp.is_some();
                    let runbook = match asks && !runbook.precheck_snmp.is_empty() {
                        true => Arc::new((**runbook).clone().with_snmp()),
                        false => Arc::clone(runbook),
                    };
                    Ok((runbook, Arc::clone(platform), device.clone()))
                }
            },
        };
        match found {
            Ok((runbook, platform, device)) => {
                let values = decide::values(&runbook, &job.device, job.port.as_deref());
                Ok(Some(Bench {
                    setup,
                    runbook,
                    platform,
                    device,
                    values,
                }))
            }
            Err(why) => {
                self.step(job, State::Escalated, why).await?;
                Ok(None)
            }
        }
    }

    /// From an alert to a plan, and on if the level lets it.
    async fn consider(&self, job: &mut Job) -> Result<(), JournalError> {
        if matches!(job.state, State::Deferred | State::Prechecked) {
            self.step(job, State::Matched, "looked at again").await?;
        }
        let setup = (self.parts.setup)();
        let proposes = |runbook: &Arc<Runbook>| runbook.proposes.is_some();
        if setup.runbooks.get(&job.runbook).is_some_and(proposes) {
            return self.propose(job).await;
        }
        let Some(bench) = self.bench(job).await? else {
            return Ok(());
        };
        job.level = self.level(job, &bench).await?;
        if let Some((held, why)) = self.held_back(job, &bench).await {
            return self.hold(job, held, &why).await;
        }
        let lock = self.lock_of(&job.device);
        let alone = lock.lock().await;
        let decision = match self.decide(job, &bench).await {
            Ok(decision) => decision,
            Err(error) => {
                let why = format!("the device cannot be asked: {error}");
                return self.give_up(job, why).await;
            }
        };
        drop(alone);
        let (plan, person) = match decision {
            Decision::Act(plan) => (plan, None),
            Decision::Propose(plan, why) => (plan, Some(why)),
            Decision::Nothing(seen) => {
                let why = format!("there is nothing to do ({seen})");
                return self.leave(job, Rail::Precheck, State::Cancelled, why).await;
            }
            Decision::Hold(seen) => {
                let why = format!("it is to be left alone ({seen})");
                return self.leave(job, Rail::Person, State::Suppressed, why).await;
            }
            Decision::Unproven(seen) => {
                let why = format!("it cannot be told what is so ({seen})");
                self.parts.metrics.suppressed(Rail::Precheck);
                return self.give_up(job, why).await;
            }
        };
        let hash = plan.hash();
        // One that was approved and then held back goes on by its approval, as long as everything is as it was.
        let approved = job.approver.is_some() && job.plan_hash == hash;
        job.plan_hash = hash;
        job.plan = Some(plan);
        self.step(job, State::Prechecked, "what has to be true before is true")
            .await?;
        self.go_on(job, &bench, person, approved).await
    }

    /// Nothing can be done: people have to look, unless it was to be observed only.
    pub(super) async fn give_up(&self, job: &mut Job, why: String) -> Result<(), JournalError> {
        let observed =
            job.state == State::Matched && job.level == Level::Observe && job.requester.is_none();
        let state = if observed {
            State::Observed
        } else {
            State::Escalated
        };
        self.step(job, state, why).await
    }

    /// Nothing is touched: the rail that says so is counted, and the job ends.
    pub(super) async fn leave(
        &self,
        job: &mut Job,
        rail: Rail,
        state: State,
        why: String,
    ) -> Result<(), JournalError> {
        self.parts.metrics.suppressed(rail);
        self.step(job, state, why).await
    }

    /// From a plan on, as far as the level, a person and an approval let it.
    async fn go_on(
        &self,
        job: &mut Job,
        bench: &Bench,
        person: Option<String>,
        approved: bool,
    ) -> Result<(), JournalError> {
        if approved {
            self.step(job, State::Claimed, "it was approved").await?;
            return self.act(job).await;
        }
        if person.is_some() {
            self.parts.metrics.suppressed(Rail::Person);
        }
        let asked = job.requester.is_some();
        match (job.level, person) {
            (Level::Observe, _) if !asked => {
                self.parts.metrics.suppressed(Rail::Level);
                self.step(
                    job,
                    State::Observed,
                    "the level is observe: nothing is done",
                )
                .await
            }
            (Level::Propose, _) if !asked => {
                self.parts.metrics.suppressed(Rail::Level);
                self.step(job, State::Proposed, "the level is propose: people do it")
                    .await
            }
            (Level::Auto, None) if !asked => {
                self.step(job, State::Claimed, "the level is auto").await?;
                self.act(job).await
            }
            (_, person) => {
                let approval = i64::try_from(bench.setup.approval.as_millis());
                job.expires = self.parts.clock.now() + approval.unwrap_or(i64::MAX / 2);
                let why = match person {
                    Some(why) => format!("a person did it: {why}"),
                    None if asked => "somebody asked for it: another one has to approve".to_owned(),
                    None => "the level is approve".to_owned(),
                };
                self.step(job, State::AwaitingApproval, why).await
            }
        }
    }

    async fn level(&self, job: &Job, bench: &Bench) -> Result<Level, JournalError> {
        let level = bench.setup.level(&job.runbook, &bench.device);
        if level == Level::Auto && bench.setup.successes > 0 {
            let proven = self
                .parts
                .journal
                .count(&job.runbook, State::Succeeded)
                .await?;
            if proven < bench.setup.successes {
                return Ok(Level::Approve);
            }
        }
        Ok(level)
    }

    /// What holds the job back now; windows and the switch are looked at before every step too.
    async fn held_back(&self, job: &Job, bench: &Bench) -> Option<(Held, String)> {
        if let Some(now) = self.hands_off(job, &bench.device).await {
            return Some(now);
        }
        if bench.runbook.only_looks(&bench.platform) {
            return None;
        }
        let now = self.parts.clock.now();
        let devices = self.parts.feed.current().devices().len();
        let held = locked(&self.rails)
            .check(&bench.setup.bounds, &subject(job), devices, now)
            .err()?;
        Some((
            held,
            format!("the rail {} holds it back", held.rail.as_str()),
        ))
    }

    /// The switch, planned work and silences: nothing may be begun while one of them holds.
    pub(super) async fn hands_off(&self, job: &Job, device: &Device) -> Option<(Held, String)> {
        let now = self.parts.clock.now();
        let held = |rail, until, why: String| {
            let held = Held {
                rail,
                until: Some(until),
            };
            Some((held, why))
        };
        if self.is_paused() {
            return held(
                Rail::Paused,
                now + AGAIN,
                "everything is stopped".to_owned(),
            );
        }
        if let Some((end, reason)) = window(device, now) {
            return held(Rail::Window, end, format!("planned work ({reason})"));
        }
        if job.labels.is_empty() {
            return None;
        }
        match self.parts.silences.over(&job.labels).await {
            Ok(None) => None,
            // It may be taken back before its end.
            Ok(Some(silenced)) => {
                let until = silenced.until.min(now + SILENCED);
                held(Rail::Window, until.max(now + 1), silenced.why)
            }
            Err(error) => {
                let why = format!("it cannot be told whether it is silenced: {error}");
                held(Rail::Window, now + AGAIN, why)
            }
        }
    }

    /// Defers the job, or gives it to people when no time is worth waiting for.
    pub(super) async fn hold(
        &self,
        job: &mut Job,
        held: Held,
        why: &str,
    ) -> Result<(), JournalError> {
        self.parts.metrics.suppressed(held.rail);
        match held.until {
            Some(until) => {
                job.not_before = until;
                self.step(job, State::Deferred, why).await
            }
            None => {
                let why = format!("{why}: people have to look");
                self.give_up(job, why).await
            }
        }
    }

    /// Asks the device, and decides.
    async fn decide(&self, job: &Job, bench: &Bench) -> Result<Decision, AccessError> {
        let since =
            job.starts_at - i64::try_from(bench.setup.person.as_millis()).unwrap_or_default();
        let hints = self.parts.journal.hints(&job.device, since).await;
        let hints = hints.map_err(|error| AccessError::new("journal", error.to_string()))?;
        let seen = self.by_people(job, &bench.setup, &hints);
        let mut session = self.session(&bench.device, Account::Repair).await?;
        let port = job.port.as_deref();
        let wanted_up = port
            .filter(|_| bench.runbook.target.port.is_some())
            .is_some_and(|port| bench.device.desired_of(port) == Some(Desired::Up));
        let proof = &*self.parts.proof;
        let mut decision = decide::decide(
            &bench.runbook,
            &bench.platform,
            &bench.values,
            wanted_up,
            &seen,
            &mut *session,
            proof,
        )
        .await;
        if let (true, Decision::Act(plan) | Decision::Propose(plan, _)) =
            (bench.setup.commit_confirm, &mut decision)
        {
            plan.arm(&bench.platform, &timer(job, bench));
        }
        Ok(decision)
    }

    /// Changes of this port by people, as sentences.
    fn by_people(&self, job: &Job, setup: &Setup, hints: &[Hint]) -> Vec<String> {
        // Who changed the configuration without anybody saying what may have changed this port.
        let names_port = |hint: &&Hint| {
            let names = |port| hint.anything || ports::named(&hint.text, port);
            job.port.as_deref().is_some_and(names)
        };
        let rails = locked(&self.rails);
        let foreign = |hint: &&Hint| {
            let ours = !hint.user.is_empty() && setup.own_users.contains(&hint.user);
            !ours && !rails.started_near(&hint.device, hint.at, OURS)
        };
        let people = hints.iter().filter(names_port).filter(foreign);
        people
            .map(|hint| {
                let user = if hint.user.is_empty() {
                    "somebody"
                } else {
                    &hint.user
                };
                format!(
                    "{user} changed it, says {}: {}",
                    hint.source,
                    bounded(&hint.text, 200).0
                )
            })
            .collect()
    }

    pub(crate) async fn session(
        &self,
        device: &Device,
        account: Account,
    ) -> Result<Box<dyn Session>, AccessError> {
        self.parts.access.open(device, account).await
    }

    /// Types the lines of the plan and proves that it helped. The device is looked at again first: an approval may be old, and so may be
    /// what the last process saw.
    async fn act(&self, job: &mut Job) -> Result<(), JournalError> {
        let Some(bench) = self.bench(job).await? else {
            return Ok(());
        };
        let place = self.place().await;
        let lock = self.lock_of(&job.device);
        let alone = lock.lock().await;
        if let Some((held, why)) = self.held_back(job, &bench).await {
            return self.hold(job, held, &why).await;
        }
        let began = self.parts.clock.now();
        let decision = match self.decide(job, &bench).await {
            Ok(decision) => decision,
            Err(error) => {
                let why = format!("the device cannot be asked: {error}");
                return self.step(job, State::Escalated, why).await;
            }
        };
        let (plan, person) = match decision {
            Decision::Act(plan) => (plan, false),
            Decision::Propose(plan, _) => (plan, true),
            Decision::Nothing(seen) => {
                self.parts.metrics.suppressed(Rail::Precheck);
                return self
                    .step(
                        job,
                        State::Cancelled,
                        format!("there is nothing to do any more ({seen})"),
                    )
                    .await;
            }
            Decision::Hold(seen) | Decision::Unproven(seen) => {
                self.parts.metrics.suppressed(Rail::Precheck);
                return self
                    .step(
                        job,
                        State::Escalated,
                        format!("it is not as it was when it was planned ({seen})"),
                    )
                    .await;
            }
        };
        if plan.hash() != job.plan_hash || (person && job.approver.is_none()) {
            self.parts.metrics.suppressed(Rail::Approval);
            return self
                .step(
                    job,
                    State::Escalated,
                    "it is not as it was when it was planned",
                )
                .await;
        }
        let now = self.parts.clock.now();
        if now - began > FRESH {
            self.parts.metrics.suppressed(Rail::Precheck);
            return self
                .step(
                    job,
                    State::Escalated,
                    "the device took too long to say what is so",
                )
                .await;
        }
        if !plan.only_looks() {
            let devices = self.parts.feed.current().devices().len();
            let booked =
                locked(&self.rails).try_start(&bench.setup.bounds, &subject(job), devices, now);
            if let Err(held) = booked {
                return self.hold(job, held, "another start came first").await;
            }
        }
        job.attempts += 1;
        job.armed_until = match &plan.timer {
            Some(timer) => now + i64::from(timer.minutes + 1) * 60_000,
            None => 0,
        };
        self.step(job, State::Running, "the lines of the plan are typed")
            .await?;
        let Typed {
            done,
            output,
            armed,
        } = self.type_lines(job, &bench, &plan).await;
        let typed_at = self.parts.clock.now();
        job.output = self.kept(&bench.device, &output);
        if !armed {
            job.armed_until = 0;
        }
        let why = match done {
            Ok(()) if armed => "the lines were typed, and wait for their confirmation".to_owned(),
            Ok(()) => "the lines were typed".to_owned(),
            Err(error) => format!("not all lines were typed: {error}"),
        };
        // Whatever the device said, what it does is what counts.
        self.step(job, State::Verifying, why).await?;
        let (verdict, seen) = self.verify(&bench, typed_at).await;
        // What waits for a timer needs no place, but nobody else may work on the device meanwhile.
        drop(place);
        let (helped, seen) = match verdict {
            Verdict::Holds => self.keep(job, &bench, seen).await,
            _ => (false, seen),
        };
        if helped {
            return self
                .step(job, State::Succeeded, format!("it helped ({seen})"))
                .await;
        }
        self.parts.metrics.suppressed(Rail::Postcheck);
        let result = if job.armed_until > 0 {
            self.taken_back(job, &bench, &seen).await
        } else {
            self.take_back(job, &bench, &plan, &seen).await
        };
        drop(alone);
        result
    }

    /// The process ended while lines were being typed. The device says what came of it; nothing is typed on the strength of what was meant.
    async fn look_after_crash(&self, job: &mut Job) -> Result<(), JournalError> {
        let Some(bench) = self.bench(job).await? else {
            return Ok(());
        };
        let lock = self.lock_of(&job.device);
        let _alone = lock.lock().await;
        // What was typed before the process ended was typed before now.
        let (mut verdict, mut seen) = self.verify(&bench, self.parts.clock.now()).await;
        if bench.runbook.only_looks(&bench.platform) {
            // What was seen is gone with the process; it is looked at again.
            verdict = Verdict::Fails;
        }
        if job.armed_until > 0 {
            (verdict, seen) = match verdict {
                Verdict::Holds => match self.keep(job, &bench, seen).await {
                    (true, seen) => (Verdict::Holds, seen),
                    (false, seen) => (Verdict::Fails, seen),
                },
                // Whatever waits on the device is over before something else is decided.
                verdict => {
                    self.until_taken_back(job, &bench).await;
                    (verdict, seen)
                }
            };
        }
        match verdict {
            Verdict::Holds => {
                self.step(job, State::Succeeded, format!("it helped ({seen})"))
                    .await
            }
            Verdict::Fails if bench.runbook.idempotent && job.attempts < ATTEMPTS => {
                let why =
                    format!("it had not helped when the process ended ({seen}): decided anew");
                self.step(job, State::Matched, why).await
            }
            _ => {
                let people = &bench.runbook.escalation;
                let why = format!(
                    "nobody knows what was typed before the process ended ({seen}). {people}"
                );
                self.step(job, State::Escalated, why).await
            }
        }
    }

    /// Output without secrets, bounded.
    pub(crate) fn kept(&self, device: &Device, text: &str) -> String {
        let masked = self.parts.access.mask(device, text);
        bounded(&masked, OUTPUT).0.to_owned()
    }
}

/// At most `most` bytes of the text, and whether that is less than all.
pub(crate) fn bounded(text: &str, most: usize) -> (&str, bool) {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    (&text[..end], end < text.len())
}

/// When planned work that holds now ends, and what it is.
fn window(device: &Device, now: i64) -> Option<(i64, String)> {
    let now = Timestamp::from_millisecond(now).ok()?;
    let window = device.maintenance_at(now)?;
    Some((window.end.as_millisecond(), window.reason.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_cut_between_characters() {
        assert_eq!(bounded("aé", 2), ("a", true));
        assert_eq!(bounded("aé", 3), ("aé", false));
        assert_eq!(bounded("é", 1), ("", true));
        assert_eq!(bounded("", 1), ("", false));
    }
}
