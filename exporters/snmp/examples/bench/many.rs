//! Many devices: all at once, and each in its turn.

use std::time::{Duration, Instant};

use crate::Figures;
use crate::agents::{Agents, FLEET};
use crate::exporter::{Exporter, scrape};

/// Targets scraped at the same moment.
const AT_ONCE: usize = 500;
/// How often each target of the fleet is scraped.
const EVERY: Duration = Duration::from_secs(15);

/// Five hundred targets at once, in a fresh process.
pub(crate) async fn at_once(exporter: &Exporter, agents: &Agents) -> anyhow::Result<Figures> {
    let client = testkit::client();
    let mut out = Figures::default();
    let (cpu, began) = (exporter.cpu()?, Instant::now());
    let all = agents
        .fleet
        .iter()
        .take(AT_ONCE)
        .map(|target| exporter.scrape(&client, target));
    for scraped in futures(all).await {
        scraped?;
    }
    out.values.extend([
        (
            "ms until 500 devices scraped at once are done",
            began.elapsed().as_secs_f64() * 1e3,
        ),
        (
            "CPU ms of each of them",
            (exporter.cpu()? - cpu).as_secs_f64() * 1e3 / AT_ONCE as f64,
        ),
        ("peak MB of it", exporter.peak_kilobytes()? as f64 / 1e3),
    ]);
    Ok(out)
}

/// Two thousand targets, each scraped every 15 s, the first time and once every target is known: the part of one processor that it takes,
/// how far it fell behind, what failed, and the memory. A round that is slow is told, not given up.
pub(crate) async fn paced(exporter: &Exporter, agents: &Agents) -> anyhow::Result<Figures> {
    let mut out = Figures::default();
    let client = testkit::client();
    let (mut late, mut failed) = (Duration::ZERO, 0.0);
    for name in [
        "processors for 2,000 devices each 15 s, first round",
        "processors for 2,000 devices each 15 s, later rounds",
    ] {
        let (cpu, began) = (exporter.cpu()?, Instant::now());
        let wrong = round(&exporter.url, &client, &agents.fleet).await;
        let took = began.elapsed();
        let busy = (exporter.cpu()? - cpu).as_secs_f64() / took.as_secs_f64();
        out.values.push((name, busy));
        late = late.max(took.saturating_sub(EVERY));
        failed += wrong;
    }
    out.values.extend([
        (
            "seconds behind at the end of the slower round",
            late.as_secs_f64(),
        ),
        ("scrapes of the 4,000 that failed", failed),
        (
            "peak MB of it, 2,000 devices",
            exporter.peak_kilobytes()? as f64 / 1e3,
        ),
    ]);
    Ok(out)
}

/// One scrape of each target, evenly over 15 s; how many failed.
async fn round(url: &str, client: &reqwest::Client, targets: &[String]) -> f64 {
    let began = Instant::now();
    let mut scrapes = tokio::task::JoinSet::new();
    for (number, target) in (0u32..).zip(targets) {
        tokio::time::sleep_until((began + EVERY * number / FLEET).into()).await;
        scrapes.spawn(scrape(url.to_owned(), client.clone(), target.clone()));
    }
    let done = scrapes.join_all().await.into_iter();
    let wrong: Vec<String> = done
        .filter_map(Result::err)
        .map(|error| format!("{error:#}"))
        .collect();
    for why in wrong.iter().take(3) {
        eprintln!("a scrape of the fleet failed: {why}");
    }
    wrong.len() as f64
}

/// All at once.
async fn futures<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = all.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut left = false;
        for (future, slot) in all.iter_mut().zip(&mut done) {
            if slot.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(output) => *slot = Some(output),
                    std::task::Poll::Pending => left = true,
                }
            }
        }
        if left {
            std::task::Poll::Pending
        } else {
            std::task::Poll::Ready(())
        }
    })
    .await;
    done.into_iter().flatten().collect()
}
