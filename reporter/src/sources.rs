//! What is asked of Prometheus, Loki and the remediator for a month. What one of them does not answer is told as missing, and nothing is
//! put in its place.

mod figures;
mod lines;
mod links;
mod repairs;

use std::time::Duration;

use crate::config::Config;
use crate::history::{Missing, Reader};
use crate::material::Material;
use crate::month::{Millis, Period, utc};
use crate::work::Progress;

/// How often a question is asked that may be answered later.
const TRIES: u32 = 4;
/// Before the second of these times; each pause is four times as long as the one before.
const PAUSE: Duration = Duration::from_millis(200);

/// Everything that is known of `period`.
pub async fn read(config: &Config, period: Period, progress: Progress<'_>) -> Material {
    let reader = Reader {
        prometheus: &config.prometheus,
        stale_after: config.stale_after,
        progress,
    };
    let mut material = Material::of(reader.read(period).await);
    let known = material.history.devices.iter().any(|one| one.samples > 0);
    if !known {
        // There is no report, or Prometheus does not answer: nothing more is asked.
        return material;
    }
    let mut missing = Vec::new();
    material.links = links::read(&reader, &config.links, period, &mut missing).await;
    let asked = figures::Asked {
        prometheus: &config.prometheus,
        period,
        missing: &mut missing,
    };
    figures::read(asked, &mut material).await;
    if let Some(loki) = &config.loki {
        material.changes = Some(lines::changes(loki, period, &mut missing).await);
        material.events = Some(lines::events(loki, period, &mut missing).await);
    }
    if let Some(remediator) = &config.remediator {
        material.repairs = Some(repairs::read(remediator, period, &mut missing).await);
    }
    material.history.missing.extend(missing);
    material
}

/// A part that could not be asked for.
#[expect(clippy::needless_pass_by_value, reason = "errors and texts alike")]
fn lacks(what: &str, from: Millis, to: Millis, why: impl ToString) -> Missing {
    Missing {
        what: what.to_owned(),
        from: utc(from),
        to: utc(to),
        why: why.to_string(),
    }
}

/// Asks again while that may help.
async fn patiently<T, E, F>(transient: fn(&E) -> bool, ask: impl Fn() -> F) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut pause = PAUSE;
    for _ in 1..TRIES {
        match ask().await {
            Err(error) if transient(&error) => tokio::time::sleep(pause).await,
            answer => return answer,
        }
        pause *= 4;
    }
    ask().await
}

/// A text in a regular expression between double quotes in PromQL that matches itself.
fn quoted(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            '\\' => out.push_str("\\\\\\\\"),
            '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$' => {
                out.push_str("\\\\");
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_matched_as_they_are() {
        assert_eq!(quoted("r1.waw"), r"r1\\.waw");
        assert_eq!(quoted("a|\"b\\"), r#"a\\|\"b\\\\"#);
    }
}
