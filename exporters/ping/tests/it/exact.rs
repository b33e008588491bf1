//! Every injected loss, duplicate, delay, change and error is counted, to the packet.

use std::time::Duration;

use netio::tun::Tun;
use testkit::Samples;

use crate::responder::{Act, Responder, Truth};
use crate::service::{Files, errors, of};
use testkit::namespace::{self, ip};

/// Every series there is.
const FULL: &str = "metrics: {series: full}\n";

/// What happens at each address: its last byte, and the acts in turn.
const RULES: [(u8, &[Act]); 11] = [
    (1, &[Act::Answer]),
    (2, &[Act::Answer, Act::Answer, Act::Drop]),
    (3, &[Act::Answer, Act::Twice]),
    (4, &[Act::Corrupt, Act::Answer, Act::Answer]),
    (5, &[Act::Answer, Act::Late]),
    (6, &[Act::Unreachable, Act::UnreachableBare, Act::Answer]),
    (7, &[Act::Answer, Act::Cut]),
    (8, &[Act::Elsewhere, Act::Answer]),
    (9, &[Act::AnswerThenUnreachable]),
    (10, &[Act::Answer, Act::Expired]),
    (11, &[Act::Overtaken, Act::Answer, Act::Answer]),
];

fn rule(last: u8, number: u64) -> Act {
    let acts = RULES
        .iter()
        .find(|rule| rule.0 == last)
        .map_or(&[Act::Drop][..], |rule| rule.1);
    acts[number as usize % acts.len()]
}

fn inventory(interval: &str) -> String {
    let device = |(last, _): &(u8, _)| {
        // The answer that is overtaken waits for the next request, which a busy machine makes late.
        let timeout = if *last == 11 { "5s" } else { "300ms" };
        format!(
            "- {{name: d{last}, address: 198.18.50.{last}, ping: {{interval: {interval}, timeout: {timeout}}}}}\n"
        )
    };
    format!("devices:\n{}", RULES.iter().map(device).collect::<String>())
}

#[tokio::test]
async fn what_is_counted_is_what_happened() {
    exactly("exact::what_is_counted_is_what_happened", "1").await;
}

#[tokio::test]
async fn several_threads_count_what_happened() {
    exactly("exact::several_threads_count_what_happened", "3").await;
}

#[tokio::test]
async fn what_is_remembered_wrongly_on_the_way_keeps_nobody_down() {
    let test = "exact::what_is_remembered_wrongly_on_the_way_keeps_nobody_down";
    stuck(test, &[]).await;
}

#[tokio::test]
async fn nor_does_it_with_raw_sockets() {
    stuck(
        "exact::nor_does_it_with_raw_sockets",
        &["--ping.raw-sockets"],
    )
    .await;
}

/// A device that does not answer the first identifier, as behind a NAT with a stale entry: the next one reaches it.
async fn stuck(test: &str, flags: &[&str]) {
    let Some(namespace) = namespace::enter(test) else {
        return;
    };
    let tun = match Tun::open("rig0") {
        Ok(tun) => tun,
        Err(error) => {
            testkit::skip(format_args!("no TUN device: {error}"));
            return;
        }
    };
    ip("address add 198.18.51.1/32 dev rig0");
    ip("link set rig0 up");
    ip("route add 198.18.50.0/24 dev rig0");
    let responder = Responder::start(tun, |_, _| Act::Stuck);
    let device = "- {name: far, address: 198.18.50.1, ping: {interval: 100ms, timeout: 300ms}}";
    let files = Files::new(&format!("devices:\n{device}\n"), FULL);
    let service = if flags.is_empty() {
        files.start_as_nobody(&namespace, flags).await
    } else {
        files.start_privileged(flags).await
    };
    let samples = service
        .until("up", |samples| of(samples, "ping_up", "far", "ipv4") == 1.0)
        .await;
    assert_eq!(samples.sum("ping_identifier_changes_total", &[]), 1.0);
    let lost = of(&samples, "ping_lost_total", "far", "ipv4");
    // It goes on with the one that is answered.
    let samples = service
        .until("thirty answers", |samples| {
            of(samples, "ping_responses_total", "far", "ipv4") >= 30.0
        })
        .await;
    assert_eq!(samples.sum("ping_identifier_changes_total", &[]), 1.0);
    let more = of(&samples, "ping_lost_total", "far", "ipv4") - lost;
    assert!(more <= 4.0, "{more}: only what was in flight");
    drop(responder);
}

async fn exactly(test: &str, threads: &str) {
    let Some(namespace) = namespace::enter(test) else {
        return;
    };
    let tun = match Tun::open("rig0") {
        Ok(tun) => tun,
        Err(error) => {
            testkit::skip(format_args!("no TUN device: {error}"));
            return;
        }
    };
    ip("address add 198.18.51.1/32 dev rig0");
    ip("link set rig0 up");
    ip("route add 198.18.50.0/24 dev rig0");
    let responder = Responder::start(tun, rule);

    let files = Files::new(&inventory("100ms"), FULL);
    let service = files
        .start_as_nobody(&namespace, &["--ping.threads", threads])
        .await;
    let enough = |samples: &Samples| {
        samples
            .select("ping_requests_total", &[])
            .all(|sample| sample.value >= 42.0)
    };
    service.until("forty requests each", enough).await;
    // From now on one request an hour: the rest comes to its end and the counters stand still.
    files.write("inventory.yaml", &inventory("1h"));
    let requests = |samples: &Samples| samples.sum("ping_requests_total", &[]);
    let mut last = 0.0;
    let samples = loop {
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        let quiet = |samples: &Samples| samples.sum("ping_in_flight", &[]) == 0.0;
        let samples = service.until("nothing in flight", quiet).await;
        if std::mem::replace(&mut last, requests(&samples)) == requests(&samples) {
            break samples;
        }
    };

    let truth = responder.truth();
    assert_eq!(
        requests(&samples),
        truth.values().sum::<u64>() as f64,
        "requests of all"
    );
    for (last, _) in RULES {
        check(last, &truth, &samples);
    }
    let elsewhere = truth[&(8, Act::Elsewhere)] as f64;
    let reason = |reason| samples.sum("ping_unmatched_replies_total", &[("reason", reason)]);
    assert_eq!(reason("wrong_source"), elsewhere);
    assert_eq!(samples.sum("ping_unmatched_replies_total", &[]), elsewhere);
    assert_eq!(samples.value("ping_requests_skipped_total", &[]), Some(0.0));
    assert_eq!(samples.value("ping_threads", &[]), threads.parse().ok());
    let targets = samples.value("ping_targets", &[]);
    assert_eq!(targets, Some(RULES.len() as f64));
}

fn check(last: u8, truth: &Truth, samples: &Samples) {
    let done = |acts: &[Act]| {
        let counts = acts
            .iter()
            .map(|&act| truth.get(&(last, act)).copied().unwrap_or(0));
        counts.sum::<u64>() as f64
    };
    let device = format!("d{last}");
    let counted = |name| of(samples, name, &device, "ipv4");
    let answered = done(&[
        Act::Answer,
        Act::Twice,
        Act::AnswerThenUnreachable,
        Act::Overtaken,
    ]);
    let lost = done(&[Act::Drop, Act::Corrupt, Act::Cut, Act::Late, Act::Elsewhere]);
    let unreachable = done(&[Act::Unreachable, Act::UnreachableBare]);
    let expired = done(&[Act::Expired]);
    let failed = unreachable + expired;
    assert_eq!(
        counted("ping_requests_total"),
        answered + lost + failed,
        "{device}: requests"
    );
    assert_eq!(
        counted("ping_responses_total"),
        answered,
        "{device}: responses"
    );
    assert_eq!(counted("ping_lost_total"), lost, "{device}: lost");
    assert_eq!(counted("ping_errors_total"), failed, "{device}: errors");
    for (reason, count) in [
        ("host_unreachable", unreachable),
        ("time_exceeded", expired),
    ] {
        assert_eq!(
            errors(samples, &device, "ipv4", reason),
            count,
            "{device}: {reason}"
        );
    }
    assert_eq!(
        counted("ping_late_responses_total"),
        done(&[Act::Late]),
        "{device}: late"
    );
    assert_eq!(
        counted("ping_duplicate_responses_total"),
        done(&[Act::Twice]),
        "{device}: twice"
    );
    assert_eq!(
        counted("ping_reordered_responses_total"),
        done(&[Act::Overtaken]),
        "{device}: reordered"
    );
    let corrupt = done(&[Act::Corrupt, Act::Cut]);
    assert_eq!(
        counted("ping_corrupt_responses_total"),
        corrupt,
        "{device}: corrupt"
    );
    assert_eq!(
        counted("ping_other_address_responses_total"),
        done(&[Act::Elsewhere]),
        "{device}: from another address"
    );
}
