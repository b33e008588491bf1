//! The devices: agents in memory on ports of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use sotp_snmp::agent::Agent;
use tokio::net::UdpSocket;

/// Targets scraped every 15 s.
pub(crate) const FLEET: u32 = 2000;

/// An agent on a port, which counts what it is asked.
pub(crate) struct Served {
    pub(crate) target: String,
    pub(crate) asked: Arc<AtomicU64>,
    /// Every so manieth answer is lost; 0 for none.
    pub(crate) lose: Arc<AtomicUsize>,
}

async fn serve(
    agent: Arc<Agent>,
    delay: Duration,
    asked: Arc<AtomicU64>,
) -> anyhow::Result<Served> {
    let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await?);
    let target = socket.local_addr()?.to_string();
    let lose = Arc::new(AtomicUsize::new(0));
    let (counter, losing) = (Arc::clone(&asked), Arc::clone(&lose));
    tokio::spawn(async move {
        let mut buffer = vec![0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let Some(answer) = agent.answer(&buffer[..length]) else {
                continue;
            };
            let number = counter.fetch_add(1, Ordering::Relaxed);
            let every = losing.load(Ordering::Relaxed) as u64;
            if every > 0 && number % every == every - 1 {
                continue;
            }
            if delay.is_zero() {
                let _ = socket.send_to(&answer, from).await;
            } else {
                let socket = Arc::clone(&socket);
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    let _ = socket.send_to(&answer, from).await;
                });
            }
        }
    });
    Ok(Served {
        target,
        asked,
        lose,
    })
}

pub(crate) struct Agents {
    pub(crate) small: Served,
    pub(crate) large: Served,
    pub(crate) slow: Served,
    pub(crate) fleet: Vec<String>,
}

/// The agents run on threads of their own, so that they cost the exporters nothing but the machine.
pub(crate) fn agents() -> anyhow::Result<(tokio::runtime::Runtime, Agents)> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let agents = runtime.block_on(async {
        let (small, large) = (
            Arc::new(Agent::with_interfaces(50).ticking()),
            Arc::new(Agent::with_interfaces(1000).ticking()),
        );
        let count = Arc::<AtomicU64>::default;
        let mut fleet = Vec::new();
        for _ in 0..FLEET {
            fleet.push(
                serve(Arc::clone(&small), Duration::from_millis(5), count())
                    .await?
                    .target,
            );
        }
        anyhow::Ok(Agents {
            small: serve(small, Duration::ZERO, count()).await?,
            slow: serve(Arc::clone(&large), Duration::from_millis(1), count()).await?,
            large: serve(large, Duration::ZERO, count()).await?,
            fleet,
        })
    })?;
    Ok((runtime, agents))
}
