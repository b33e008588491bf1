//! One device at a time.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::ensure;

use crate::Figures;
use crate::agents::{Agents, Served};
use crate::exporter::{Exporter, scrape};

/// Requests, processor time and octets of the scrapes of one device: the first, and those of one that is known. Its stamp moves once behind
/// the second scrape, since columns are kept only under a stamp that was seen moving.
async fn device(
    exporter: &Exporter,
    client: &reqwest::Client,
    served: &Served,
    names: [&'static str; 4],
    times: u32,
    out: &mut Figures,
) -> anyhow::Result<()> {
    let asked = || served.asked.swap(0, Ordering::Relaxed) as f64;
    served.moved.store(false, Ordering::Relaxed);
    asked();
    exporter.scrape(client, &served.target).await?;
    let cold = asked();
    exporter.scrape(client, &served.target).await?;
    served.moved.store(true, Ordering::Relaxed);
    exporter.scrape(client, &served.target).await?;
    asked();
    let cpu = exporter.cpu()?;
    let mut octets = 0;
    for _ in 0..times {
        octets = exporter.scrape(client, &served.target).await?.1;
    }
    let each = (exporter.cpu()? - cpu).as_secs_f64() * 1e3 / f64::from(times);
    let warm = asked() / f64::from(times);
    let values = [cold, warm, each, octets as f64];
    out.values.extend(names.into_iter().zip(values));
    Ok(())
}

/// Processor time of a scrape by a [bare loop](crate::floor) that exchanges as many datagrams as ours did and answers as many octets.
pub(crate) async fn floors(ours: &Figures, agents: &Agents) -> anyhow::Result<Figures> {
    const NAMES: [[&str; 3]; 2] = [
        [
            "2 interfaces: requests",
            "2 interfaces: gzip, octets",
            "2 interfaces: cpu of a bare loop, ms",
        ],
        [
            "48 interfaces: requests",
            "48 interfaces: gzip, octets",
            "48 interfaces: cpu of a bare loop, ms",
        ],
    ];
    let mut out = Figures::default();
    for ([requests, octets, name], served) in NAMES.into_iter().zip(&agents.sized) {
        let of = |name: &str| {
            let value = ours.values.iter().find(|(figure, _)| *figure == name);
            value.map_or(0.0, |(_, value)| value.round())
        };
        let args = [
            "floor".to_owned(),
            format!("--exchanges={}", of(requests)),
            format!("--octets={}", of(octets)),
        ];
        let exporter = Exporter::start(&std::env::current_exe()?, &args, false).await?;
        let client = testkit::client();
        exporter.scrape(&client, &served.target).await?;
        let cpu = exporter.cpu()?;
        for _ in 0..FLOOR_TIMES {
            exporter.scrape(&client, &served.target).await?;
        }
        let each = (exporter.cpu()? - cpu).as_secs_f64() * 1e3 / f64::from(FLOOR_TIMES);
        out.values.push((name, each));
    }
    Ok(out)
}

const FLOOR_TIMES: u32 = 2000;

/// The time of the fastest of three scrapes: what remains when nothing else has the processor. One of many seconds stands alone.
async fn fastest(
    exporter: &Exporter,
    client: &reqwest::Client,
    target: &str,
) -> anyhow::Result<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        best = best.min(exporter.scrape(client, target).await?.0.as_secs_f64() * 1e3);
        if best > 10_000.0 {
            break;
        }
    }
    Ok(best)
}

pub(crate) async fn measure(exporter: &Exporter, agents: &Agents) -> anyhow::Result<Figures> {
    let client = testkit::client();
    let mut out = Figures::default();
    let sizes = [
        (
            6000,
            [
                "2 interfaces: requests of the first scrape",
                "2 interfaces: requests",
                "2 interfaces: cpu, ms",
                "2 interfaces: gzip, octets",
            ],
        ),
        (
            200,
            [
                "48 interfaces: requests of the first scrape",
                "48 interfaces: requests",
                "48 interfaces: cpu, ms",
                "48 interfaces: gzip, octets",
            ],
        ),
        (
            20,
            [
                "1,000 interfaces: requests of the first scrape",
                "1,000 interfaces: requests",
                "1,000 interfaces: cpu, ms",
                "1,000 interfaces: gzip, octets",
            ],
        ),
    ];
    for (served, (times, names)) in agents.sized.iter().zip(sizes) {
        device(exporter, &client, served, names, times, &mut out).await?;
    }
    let (first, _) = exporter.scrape(&client, &agents.slow.target).await?;
    let whole = fastest(exporter, &client, &agents.slow.target).await?;
    agents.slow.lose.store(100, Ordering::Relaxed);
    let lossy = fastest(exporter, &client, &agents.slow.target).await?;
    agents.slow.lose.store(0, Ordering::Relaxed);
    out.values.extend([
        (
            "ms of the first scrape, 1,000 interfaces, 1 ms round trip",
            first.as_secs_f64() * 1e3,
        ),
        (
            "ms of a later scrape, 1,000 interfaces, 1 ms round trip",
            whole,
        ),
        ("the same with every 100th answer lost", lossy),
        ("that loss in times of the lossless scrape", lossy / whole),
    ]);
    out.values.push((
        "a scrape beside 100 dead targets, in times of one alone",
        beside_dead(exporter, agents).await?,
    ));
    Ok(out)
}

/// How many times longer scrapes of a device take while a hundred others do not answer.
async fn beside_dead(exporter: &Exporter, agents: &Agents) -> anyhow::Result<f64> {
    let client = testkit::client();
    let target = &agents.fleet[0];
    exporter.scrape(&client, target).await?;
    let rounds = async |client: &reqwest::Client| {
        let mut best = f64::INFINITY;
        for _ in 0..15 {
            best = best.min(exporter.scrape(client, target).await?.0.as_secs_f64());
        }
        anyhow::Ok(best)
    };
    let alone = rounds(&client).await?;
    let silent: Vec<std::net::UdpSocket> = (0..100)
        .map(|_| std::net::UdpSocket::bind("127.0.0.1:0"))
        .collect::<std::io::Result<_>>()?;
    let mut dead = tokio::task::JoinSet::new();
    for socket in &silent {
        let target = socket.local_addr()?.to_string();
        dead.spawn(scrape(exporter.url.clone(), client.clone(), target));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let beside = rounds(&client).await?;
    ensure!(
        dead.try_join_next().is_none(),
        "a dead target was given up early"
    );
    dead.shutdown().await;
    Ok(beside / alone)
}
