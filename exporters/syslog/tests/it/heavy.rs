//! A sender so heavy that it fills any buffer, and one beside it that must not notice.

use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use netio::send::SendBatch;
use nix::sys::signal::Signal;

use crate::world::{World, from, metric};

/// Messages a second that the heavy one sends at least.
const HEAVY: u64 = 60_000;

/// From which ports the heavy one sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ports {
    /// From one.
    One,
    /// Each message from a new one.
    New,
}

/// Sends at a rate from an address until it is stopped; gives the rate, and counts the messages meanwhile.
fn noise(
    to: std::net::SocketAddr,
    ports: Ports,
    count: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
) -> std::thread::JoinHandle<f64> {
    std::thread::spawn(move || {
        let socket = from("127.0.0.1:0");
        let mut batch = SendBatch::new();
        let begin = Instant::now();
        let mut sent = 0;
        while !stop.load(Ordering::Relaxed) {
            let due = (begin.elapsed().as_secs_f64() * HEAVY as f64) as u64;
            while ports == Ports::New && sent < due && !stop.load(Ordering::Relaxed) {
                let fresh = from("127.0.0.1:0");
                sent += u64::from(fresh.send_to(b"<13>noise noise", to).is_ok());
                count.store(sent, Ordering::Relaxed);
            }
            while sent < due {
                batch.clear();
                while !batch.is_full() && sent + (batch.len() as u64) < due {
                    batch.push(
                        to,
                        |bytes| bytes.extend_from_slice(b"<13>noise noise"),
                        |_| {},
                    );
                }
                let mut first = 0;
                while first < batch.len() {
                    first += batch.send(socket.as_fd(), first).unwrap_or(0);
                }
                sent += batch.len() as u64;
                count.store(sent, Ordering::Relaxed);
            }
            std::thread::sleep(Duration::from_micros(300));
        }
        sent as f64 / begin.elapsed().as_secs_f64()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_heavy_sender_has_waiting_in_the_kernel_takes_no_room_of_another() {
    beside(Ports::One).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heavy_address_that_sends_each_message_from_a_new_port_takes_no_room_of_another() {
    beside(Ports::New).await;
}

async fn beside(ports: Ports) {
    // A buffer for some two hundred datagrams: the heavy one fills it in four milliseconds.
    let world = World::new(
        "listen: {udp: [{address: '127.0.0.1:0', receive_buffer_bytes: 131072}], tcp: []}",
    )
    .await;
    let (count, stop) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let noise = noise(world.udp(), ports, count.clone(), stop.clone());
    metric(&world, "syslog_own_sockets", &[], |v| v == 1.0).await;
    let quiet = from("127.0.0.2:0");
    let mut words = 0;
    let mut say = || {
        let text = format!("<13>word {words} end");
        quiet.send_to(text.as_bytes(), world.udp()).unwrap();
        words += 1;
    };
    for _ in 0..5 {
        for _ in 0..20 {
            say();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Nobody reads for a while: what arrives has only the kernel's buffers.
        world.process().signal(Signal::SIGSTOP).unwrap();
        let before = count.load(Ordering::Relaxed);
        for _ in 0..20 {
            say();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let begin = Instant::now();
        while count.load(Ordering::Relaxed) < before + 2_000
            && begin.elapsed() < Duration::from_secs(20)
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        world.process().signal(Signal::SIGCONT).unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    let rate = noise.join().unwrap();
    world.stored("<13>word", words).await;
    let sent = count.load(Ordering::Relaxed) as f64;
    // Whatever the heavy one lost is known to a datagram.
    let dropped = || async {
        let samples = world.process().scrape().await.unwrap();
        samples.sum("syslog_kernel_dropped_total", &[])
    };
    let lost = dropped().await;
    assert!(
        lost > 1_000.0,
        "only {lost} of {sent} at {rate}/s overflowed"
    );
    metric(
        &world,
        "syslog_messages_received_total",
        &[("device", "r1")],
        |received| received + lost == sent,
    )
    .await;
    world.balanced().await;
}
