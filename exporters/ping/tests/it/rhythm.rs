//! When requests are made: bursts, short intervals, the rate of a prefix, reloads; and what they bear.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::service::{Files, errors, of};
use testkit::namespace::{self, ip};

#[tokio::test]
async fn a_burst_is_as_many_requests_as_asked_for_and_no_more() {
    let test = "rhythm::a_burst_is_as_many_requests_as_asked_for_and_no_more";
    let Some(namespace) = namespace::enter(test) else {
        return;
    };
    let inventory = "devices:\n\
                     - {name: five, address: 127.0.0.1, ping: {interval: 1h, burst: 5}}\n\
                     - {name: one, address: 127.0.0.2, ping: {interval: 1h}}\n\
                     - {name: many, address: 127.0.0.3, ping: {interval: 10ms}}\n";
    let files = Files::new(inventory, "");
    let service = files.start(&namespace).await;
    let many =
        |samples: &testkit::Samples| of(samples, "ping_responses_total", "many", "ipv4") >= 300.0;
    let samples = service.until("three seconds of them", many).await;
    let responses = |device| of(&samples, "ping_responses_total", device, "ipv4");
    // What a busy machine had no time for was left out, and not made up for.
    let skipped = samples.sum("ping_requests_skipped_total", &[]);
    assert!(
        responses("five") == 5.0 || responses("five") < 5.0 && skipped > 0.0,
        "{} {skipped}",
        responses("five")
    );
    assert_eq!(responses("one"), 1.0);
}

#[tokio::test]
async fn a_prefix_gets_no_more_than_its_rate() {
    let Some(namespace) = namespace::enter("rhythm::a_prefix_gets_no_more_than_its_rate") else {
        return;
    };
    let mut inventory = String::from("devices:\n");
    for last in 1..=20 {
        writeln!(
            inventory,
            "- {{name: d{last}, address: 127.0.1.{last}, ping: {{interval: 100ms}}}}"
        )
        .unwrap();
    }
    inventory += "- {name: other, address: 127.0.2.1, ping: {interval: 100ms}}\n";
    let files = Files::new(&inventory, "pacing: {requests_per_second: 20}");
    let began = Instant::now();
    let service = files.start(&namespace).await;
    let some =
        |samples: &testkit::Samples| of(samples, "ping_requests_total", "other", "ipv4") >= 30.0;
    let samples = service.until("three seconds of another prefix", some).await;
    let all = samples.sum("ping_requests_total", &[]);
    let other = of(&samples, "ping_requests_total", "other", "ipv4");
    let most = 20.0 * began.elapsed().as_secs_f64() + 4.0;
    assert!(
        (20.0..=most).contains(&(all - other)),
        "{all} {other} {most}"
    );
    assert!(samples.sum("ping_requests_paced_total", &[]) > 0.0);
    // Two hundred a second were wanted: what was not sent is known to have been left out.
    assert!(samples.sum("ping_requests_skipped_total", &[]) > 0.0);
}

#[tokio::test]
async fn a_mark_chooses_the_route_and_needs_a_privilege() {
    let test = "rhythm::a_mark_chooses_the_route_and_needs_a_privilege";
    let Some(namespace) = namespace::enter(test) else {
        return;
    };
    ip("rule add pref 100 lookup local");
    ip("rule del pref 0");
    ip("rule add pref 10 fwmark 7 prohibit");
    let inventory = "devices:\n\
                     - {name: plain, address: 127.0.0.1}\n\
                     - {name: seven, address: 127.0.0.2, ping: {mark: 7}}\n\
                     - {name: eight, address: 127.0.0.3, ping: {mark: 8}}\n";
    let files = Files::new(inventory, "");
    let both = |samples: &testkit::Samples| {
        of(samples, "ping_responses_total", "plain", "ipv4") > 0.0
            && of(samples, "ping_errors_total", "seven", "ipv4") > 0.0
    };
    let service = files.start(&namespace).await;
    let samples = service.until("without the privilege", both).await;
    assert!(errors(&samples, "seven", "ipv4", "not_sent") > 0.0);
    assert_eq!(of(&samples, "ping_responses_total", "eight", "ipv4"), 0.0);
    drop(service);

    namespace::allow_groups("0 0");
    let service = files.start_privileged(&[]).await;
    let routed = |samples: &testkit::Samples| {
        both(samples) && of(samples, "ping_responses_total", "eight", "ipv4") > 0.0
    };
    let samples = service.until("by the rule of the mark", routed).await;
    assert_eq!(of(&samples, "ping_responses_total", "seven", "ipv4"), 0.0);
    assert_eq!(of(&samples, "ping_errors_total", "eight", "ipv4"), 0.0);
}

/// Ten thousand devices, of which one is changed, one is removed and one is added.
#[tokio::test]
async fn a_reload_of_ten_thousand_targets_skips_no_request_and_resets_no_counter() {
    const DEVICES: u32 = 10_000;
    let test = "rhythm::a_reload_of_ten_thousand_targets_skips_no_request_and_resets_no_counter";
    let Some(namespace) = namespace::enter(test) else {
        return;
    };
    let inventory = |from: u32, size: u32| {
        let mut text = String::from("devices:\n");
        for number in from..from + DEVICES {
            let size = if number == 5_000 { size } else { 56 };
            let (high, low) = (number >> 8, number & 0xff);
            writeln!(
                text,
                "- {{name: d{number}, address: 127.1.{high}.{low}, ping: {{interval: 10s, size_bytes: {size}}}}}"
            )
            .unwrap();
        }
        text
    };
    let files = Files::new(&inventory(0, 56), "");
    let service = files.start(&namespace).await;
    let counted = |samples: &testkit::Samples| {
        let mut counted = std::collections::HashMap::new();
        for sample in samples.select("ping_requests_total", &[]) {
            let name = sample.labels.iter().find(|(name, _)| *name == "device");
            counted.insert(name.unwrap().1.clone(), sample.value);
        }
        counted
    };
    let all = |samples: &testkit::Samples| samples.sum("ping_requests_total", &[]) >= 1e4;
    let before = eventually_much(&service, all).await;
    let changes = before.sum("sotp_inventory_source_changes_total", &[]);
    let skipped = before.sum("ping_requests_skipped_total", &[]);
    let before = counted(&before);
    assert_eq!(before.len(), DEVICES as usize);

    files.write("inventory.yaml", &inventory(1, 100));
    let taken = |samples: &testkit::Samples| {
        samples.sum("sotp_inventory_source_changes_total", &[]) > changes
            && of(samples, "ping_requests_total", "d10000", "ipv4") > 0.0
    };
    let after = eventually_much(&service, taken).await;
    // A process that is kept from running for ten seconds skips by itself; a reload may not.
    assert_eq!(after.sum("ping_requests_skipped_total", &[]), skipped);
    let after = counted(&after);
    assert!(!after.contains_key("d0"));
    for (device, requests) in &before {
        if device != "d0" {
            assert!(after[device] >= *requests, "{device}: {requests}");
        }
    }
    assert!(after["d5000"] >= 1.0, "its counters stay though it changed");
}

/// As [`Service::until`](crate::service::Service::until) for pages that take a while.
async fn eventually_much(
    service: &crate::service::Service,
    what: impl Fn(&testkit::Samples) -> bool,
) -> testkit::Samples {
    let began = Instant::now();
    loop {
        let samples = testkit::Samples::parse(&service.page("/metrics").await).unwrap();
        if what(&samples) {
            return samples;
        }
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "not within a minute"
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
