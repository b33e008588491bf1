//! The devices: agents in memory on ports of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::agent::Agent;

/// Sizes of the devices that are scraped one at a time.
pub(crate) const SIZES: [u32; 3] = [2, 48, 1000];
use tokio::net::UdpSocket;

/// Targets scraped every 15 s.
pub(crate) const FLEET: u32 = 2000;

/// An agent on a port, which counts what it is asked.
pub(crate) struct Served {
    pub(crate) target: String,
    pub(crate) asked: Arc<AtomicU64>,
    /// Its table has changed since the start, as that of a router does when its first interfaces come up.
    pub(crate) moved: Arc<AtomicBool>,
    /// Every so manieth answer is lost; 0 for none.
    pub(crate) lose: Arc<AtomicUsize>,
}

/// A device as it is at first, and the same once the stamp of its table has moved and its counters have counted.
#[derive(Clone)]
struct Device([Arc<Agent>; 2]);

impl Device {
    fn with_interfaces(count: u32) -> Self {
        Self([0, 1].map(|later| Arc::new(Agent::with_interfaces_later(count, later).ticking())))
    }
}

async fn serve(device: Device, delay: Duration) -> anyhow::Result<Served> {
    let asked = Arc::<AtomicU64>::default();
    let moved = Arc::<AtomicBool>::default();
    let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await?);
    let target = socket.local_addr()?.to_string();
    let lose = Arc::new(AtomicUsize::new(0));
    let (counter, losing) = (Arc::clone(&asked), Arc::clone(&lose));
    let later = Arc::clone(&moved);
    tokio::spawn(async move {
        let mut buffer = vec![0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let agent = &device.0[usize::from(later.load(Ordering::Relaxed))];
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
        moved,
        lose,
    })
}

pub(crate) struct Agents {
    /// One of each of [`SIZES`].
    pub(crate) sized: Vec<Served>,
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
        let fifty = Device::with_interfaces(50);
        let mut fleet = Vec::new();
        for _ in 0..FLEET {
            let served = serve(fifty.clone(), Duration::from_millis(5)).await?;
            fleet.push(served.target);
        }
        let mut sized = Vec::new();
        for size in SIZES {
            sized.push(serve(Device::with_interfaces(size), Duration::ZERO).await?);
        }
        let slow = Device::with_interfaces(1000);
        anyhow::Ok(Agents {
            sized,
            slow: serve(slow, Duration::from_millis(1)).await?,
            fleet,
        })
    })?;
    Ok((runtime, agents))
}
