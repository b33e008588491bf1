//! A queue that is full, by each policy, and what is lost before it.

use std::time::Duration;

use testkit::loki::Misbehave;

use crate::world::{World, from, metric};

/// A queue for about four thousand messages of those sent here.
fn config(policy: &str) -> String {
    format!(
        "listen: {{udp: [{{address: '127.0.0.1:0'}}], tcp: []}}\n\
         spool: {{max_bytes: 4000000, segment_bytes: 500000, reserve_bytes: 400000, durability: system, \
         datagrams_when_full: {policy}}}"
    )
}

/// Sends numbered messages of a kilobyte, not faster than they are received.
async fn send(world: &World, source: &str, device: &str, word: &str, count: u32) {
    let socket = from(source);
    let body = "x".repeat(900);
    let received = || async {
        let samples = world.process().scrape().await.unwrap();
        samples.sum("syslog_messages_received_total", &[("device", device)])
    };
    let before = received().await;
    for number in 0..count {
        let line = format!("<14>{word} {number} {body} end");
        socket.send_to(line.as_bytes(), world.udp()).unwrap();
        if number % 500 == 499 || number + 1 == count {
            let labels = [("device", device)];
            let due = before + f64::from(number + 1);
            metric(world, "syslog_messages_received_total", &labels, |v| {
                v == due
            })
            .await;
        }
    }
}

async fn back(world: &World) {
    world.loki.always(None);
    metric(world, "syslog_messages_queued", &[], |v| v == 0.0).await;
    world.balanced().await;
}

fn has(world: &World, text: &str) -> bool {
    world.loki.entries().iter().any(|e| e.line.contains(text))
}

#[tokio::test]
async fn the_oldest_datagrams_make_room_when_that_was_chosen() {
    let world = World::new(&config("drop_oldest")).await;
    world.loki.always(Some(Misbehave::Status(503, "away")));
    send(&world, "127.0.0.1:0", "r1", "number", 8_000).await;
    let samples = world.balanced().await;
    let sum = |name: &str| samples.sum(name, &[("device", "r1")]);
    assert_eq!(sum("syslog_messages_dropped_total"), 0.0);
    let evicted = sum("syslog_messages_evicted_total");
    assert!(evicted > 2_000.0, "{evicted}");
    assert!(samples.sum("syslog_spool_bytes", &[]) <= 4_000_000.0);
    back(&world).await;
    assert!(has(&world, "number 7999 "), "the newest is kept");
    assert_eq!(world.loki.len() as f64, 8_000.0 - evicted);
}

#[tokio::test]
async fn the_newest_datagrams_are_dropped_when_that_was_chosen() {
    let world = World::new(&config("drop_newest")).await;
    world.loki.always(Some(Misbehave::Status(503, "away")));
    send(&world, "127.0.0.1:0", "r1", "number", 8_000).await;
    let samples = world.balanced().await;
    let full = [("device", "r1"), ("reason", "queue_full")];
    let dropped = samples.sum("syslog_messages_dropped_total", &full);
    assert!(dropped > 2_000.0, "{dropped}");
    back(&world).await;
    assert!(has(&world, "number 0 ") && !has(&world, "number 7999 "));
    assert_eq!(world.loki.len() as f64, 8_000.0 - dropped);
}

#[tokio::test]
async fn a_device_that_fills_the_queue_gives_way_to_the_others() {
    let world = World::new(&config("by_severity")).await;
    world.loki.always(Some(Misbehave::Status(503, "away")));
    send(&world, "127.0.0.2:0", "r2", "quiet", 5).await;
    send(&world, "127.0.0.1:0", "r1", "heavy", 8_000).await;
    send(&world, "127.0.0.2:0", "r2", "still quiet", 500).await;
    let samples = world.balanced().await;
    let dropped = |labels: &[(&str, &str)]| samples.sum("syslog_messages_dropped_total", labels);
    assert!(dropped(&[("device", "r1"), ("reason", "share")]) > 2_000.0);
    assert_eq!(dropped(&[("device", "r2")]), 0.0);
    back(&world).await;
    world.stored("quiet ", 505).await;
}

#[tokio::test]
async fn what_is_missing_in_the_devices_own_count_was_lost_before_us() {
    let world = World::new(&config("drop_newest")).await;
    let socket = from("127.0.0.1:0");
    // Two gaps of 2 and 10 in the count of a Cisco router, then a restart.
    for number in [100, 101, 104, 105, 116, 1, 2] {
        let text = format!(
            "<189>{number}: *Nov 14 08:30:56.699: %SYS-5-CONFIG_I: Configured from console by op on vty0"
        );
        socket.send_to(text.as_bytes(), world.udp()).unwrap();
    }
    // And one of 3 in the count of a 5424 sender (RFC 5424, 7.3.1).
    let other = from("127.0.0.2:0");
    for number in [7, 8, 12] {
        let text = format!(
            "<165>1 2026-02-15T09:17:15Z r2 mgd 1 - [meta sequenceId=\"{number}\"] text {number}"
        );
        other.send_to(text.as_bytes(), world.udp()).unwrap();
    }
    world.stored("CONFIG_I", 7).await;
    world.stored("sequenceId", 3).await;
    for (device, lost) in [("r1", 12.0), ("r2", 3.0)] {
        let labels = [("device", device)];
        metric(&world, "syslog_lost_before_us_total", &labels, |v| {
            v == lost
        })
        .await;
    }
}

#[tokio::test]
async fn one_damaged_byte_of_the_queue_costs_one_message_and_is_told() {
    let mut world = World::new(&config("block")).await;
    world.loki.always(Some(Misbehave::Status(503, "away")));
    send(&world, "127.0.0.1:0", "r1", "number", 1_000).await;
    let mut process = world.process.take().unwrap();
    process.terminate().unwrap();
    process.wait(Duration::from_secs(30)).await.unwrap();
    let folder = world.path("data/spool");
    let mut segments: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "seg"))
        .collect();
    segments.sort();
    let mut bytes = std::fs::read(&segments[0]).unwrap();
    // The length of the first message.
    bytes[32 + 5] ^= 1;
    std::fs::write(&segments[0], bytes).unwrap();
    world.loki.always(None);
    world.process = Some(world.spawn().start().await.unwrap());
    world.stored("number", 999).await;
    assert!(!has(&world, "number 0 ") && has(&world, "number 1 "));
    metric(&world, "syslog_spool_damaged_total", &[], |v| v == 1.0).await;
    let damage = "damaged records of the queue";
    let line = world.process().logged(damage, Duration::from_secs(10));
    let line = line.await.unwrap();
    assert!(
        line.contains("level=ERROR") && line.contains("records=1"),
        "{line}"
    );
}
