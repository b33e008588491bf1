//! Lines are typed on a device.

use crate::decide::Plan;
use crate::job::Job;
use crate::platform::Way;
use crate::session::{AccessError, Account, Session};

use super::Engine;
use super::bench::{Bench, timer};

/// What came of typing.
pub(super) struct Typed {
    pub(super) done: Result<(), String>,
    pub(super) output: String,
    /// Whether the device takes the lines back by itself, as far as is known.
    pub(super) armed: bool,
}

impl Engine {
    /// Step by step; the switch and the windows are looked at before each.
    pub(super) async fn type_lines(&self, job: &Job, bench: &Bench, plan: &Plan) -> Typed {
        let mut typed = Typed {
            done: Ok(()),
            output: String::new(),
            armed: false,
        };
        typed.done = self
            .typing(job, bench, plan, &mut typed.output, &mut typed.armed)
            .await;
        typed
    }

    async fn typing(
        &self,
        job: &Job,
        bench: &Bench,
        plan: &Plan,
        output: &mut String,
        armed: &mut bool,
    ) -> Result<(), String> {
        let told = |error: AccessError| error.to_string();
        let opened = self.session(&bench.device, Account::Repair).await;
        let mut session = opened.map_err(told)?;
        let steps = match plan.timer {
            Some(_) => plan.joined(),
            None => plan.steps.clone(),
        };
        for step in &steps {
            if let Some((held, why)) = self.hands_off(job, &bench.device).await {
                self.parts.metrics.suppressed(held.rail);
                return Err(why);
            }
            tracing::info!(
                job = job.id,
                device = job.device,
                step = step.step,
                lines = step.lines.join(" / "),
                "lines are typed"
            );
            if step.way == Way::Look {
                look(&mut *session, &step.lines, output).await;
                continue;
            }
            self.parts.metrics.lines.inc_by(step.lines.len() as u64);
            if step.way == Way::Configure && plan.timer.is_some() {
                // Until the device says something else its timer runs.
                *armed = true;
                let timer = timer(job, bench);
                let until = session.configure_until(&step.lines, &timer).await;
                if let Some(answer) = until.map_err(told)? {
                    output.push_str(&answer);
                    continue;
                }
                *armed = false;
                output.push_str("! the device takes no timer\n");
            }
            let answer = match step.way {
                Way::Run => session.act(&step.lines).await,
                _ => session.configure(&step.lines).await,
            };
            output.push_str(&answer.map_err(told)?);
        }
        Ok(())
    }
}

/// The answers to commands that change nothing; one without an answer is told and left out.
async fn look(session: &mut dyn Session, lines: &[String], output: &mut String) {
    for line in lines {
        let answer = session.run(line).await;
        let answer = answer.unwrap_or_else(|error| format!("no answer: {error}\n"));
        output.push_str(&format!("> {line}\n{}\n", answer.trim_end()));
    }
}
