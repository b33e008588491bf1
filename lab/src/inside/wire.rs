//! A link with delay, jitter and loss in user space: a TUN interface in each of two namespaces and this process
//! between, for kernels without netem.
//!
//! Packets keep their order. Each direction draws its random numbers from a generator of its own, two for each
//! packet, so that the fate of the n-th packet depends on the seed, the link's name, the direction and n only.

mod impair;

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use netio::tun::Tun;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sched::{CloneFlags, setns};
use nix::sys::time::TimeSpec;
use serde::{Deserialize, Serialize};

use crate::files::RUN;
use crate::lab::state::State;
use crate::line;
use crate::topology::{End, Shape, interface_name};
use impair::{Impairment, Outcome};

/// Most packets in flight in one direction; what comes then is lost, as in a full queue.
const IN_FLIGHT_MAX: usize = 10_000;
/// Between two looks at an end that is down.
const DOWN: Duration = Duration::from_millis(20);
/// Longest packet: the MTU of a TUN interface is 1,500 bytes.
const PACKET_MAX: usize = 2_048;

/// Flags of `inside wire`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    pub(crate) state: PathBuf,
    /// The link's name.
    #[arg(long)]
    pub(crate) link: String,
    /// Process ids of the two nodes, in the box.
    #[arg(long, num_args = 2)]
    pub(crate) pids: Vec<u32>,
}

/// An order to a wire: what it does to packets from now on.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// `None` changes nothing.
    pub(crate) shape: Option<Shape>,
}

/// What a wire has done, both directions together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WireStatus {
    pub(crate) delivered: u64,
    /// Lost on purpose.
    pub(crate) lost: u64,
    /// Lost because too many were in flight, or because the far end was down.
    pub(crate) dropped: u64,
}

#[derive(Debug, Default)]
struct Counters {
    delivered: AtomicU64,
    lost: AtomicU64,
    dropped: AtomicU64,
}

/// The socket of a wire, inside the box.
pub(crate) fn socket(link: &str) -> PathBuf {
    Path::new(RUN).join(format!("wire-{link}.sock"))
}

/// The life of a wire; it ends with the box.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let topology = State::at(&args.state).topology()?;
    let Some(link) = topology.link(&args.link) else {
        bail!("no link {}", args.link)
    };
    let [pid_a, pid_b] = args.pids[..] else {
        bail!("expected two process ids")
    };
    let peer = |end: End| interface_name(&topology.nodes[link.node(end)].name);
    let shape = Arc::new(Mutex::new(link.shape.unwrap_or_default()));
    let counters = Arc::new(Counters::default());
    let a = open_in(pid_a, &peer(End::B))?;
    let b = open_in(pid_b, &peer(End::A))?;
    serve(&args.link, Arc::clone(&shape), Arc::clone(&counters))?;
    let impairment = |direction| Impairment::new(topology.seed, &link.name, direction);
    std::thread::scope(|scope| {
        let back = scope.spawn(|| carry(&b, &a, impairment(1), &shape, &counters));
        carry(&a, &b, impairment(0), &shape, &counters)?;
        back.join().map_err(|_| anyhow!("one direction was lost"))?
    })
}

/// A TUN interface in the network namespace of this process.
fn open_in(pid: u32, name: &str) -> anyhow::Result<Tun> {
    let path = format!("/proc/{pid}/ns/net");
    let namespace = File::open(&path).with_context(|| path.clone())?;
    setns(namespace, CloneFlags::CLONE_NEWNET).context(path)?;
    Tun::open(name).with_context(|| format!("TUN interface {name}"))
}

fn serve(link: &str, shape: Arc<Mutex<Shape>>, counters: Arc<Counters>) -> anyhow::Result<()> {
    let path = socket(link);
    let unfinished = path.with_extension("new");
    let listener = UnixListener::bind(&unfinished)?;
    line::serve(listener, move |order: Order| {
        if let Some(new) = order.shape {
            *shape.lock().unwrap_or_else(PoisonError::into_inner) = new;
        }
        WireStatus {
            delivered: counters.delivered.load(Ordering::Relaxed),
            lost: counters.lost.load(Ordering::Relaxed),
            dropped: counters.dropped.load(Ordering::Relaxed),
        }
    });
    std::fs::rename(unfinished, path)?;
    Ok(())
}

/// Carries packets one way, for ever.
fn carry(
    from: &Tun,
    to: &Tun,
    mut impairment: Impairment,
    shape: &Mutex<Shape>,
    counters: &Counters,
) -> anyhow::Result<()> {
    let mut in_flight: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut buffer = [0_u8; PACKET_MAX];
    loop {
        let wait = in_flight
            .front()
            .map(|(due, _)| due.saturating_duration_since(Instant::now()));
        let mut waiting = [PollFd::new(from.as_fd(), PollFlags::POLLIN)];
        ppoll(&mut waiting, wait.map(TimeSpec::from_duration), None).context("poll")?;
        loop {
            match from.read(&mut buffer) {
                Ok(length) => {
                    let now_shape = *shape.lock().unwrap_or_else(PoisonError::into_inner);
                    match impairment.next(Instant::now(), now_shape) {
                        Outcome::Lost => count(&counters.lost),
                        Outcome::Delivered(_) if in_flight.len() >= IN_FLIGHT_MAX => {
                            count(&counters.dropped);
                        }
                        Outcome::Delivered(due) => {
                            in_flight.push_back((due, buffer[..length].to_vec()));
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // This end is down, and stays ready: look again a little later.
                Err(_) => {
                    std::thread::sleep(DOWN);
                    break;
                }
            }
        }
        while let Some((_, packet)) = in_flight.pop_front_if(|(due, _)| *due <= Instant::now()) {
            // A far end that is down refuses it, as a cut line would.
            count(if to.write(&packet).is_ok() {
                &counters.delivered
            } else {
                &counters.dropped
            });
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
