//! Several threads with several sockets each, when one of either is not enough.

use std::time::Duration;

use testkit::Samples;

use crate::service::{Files, of};
use testkit::namespace;

/// Devices on the loopback network.
fn inventory(devices: std::ops::Range<u8>, dscp: u8, interval: &str) -> String {
    let device = |last| {
        format!(
            "- {{name: d{last}, address: 127.7.0.{last}, ping: {{interval: {interval}, timeout: 5s, size_bytes: 8952, dscp: {dscp}}}}}\n"
        )
    };
    format!("devices:\n{}", devices.map(device).collect::<String>())
}

/// Large requests and small buffers: what a hundred thousand small ones a second are to the usual buffer.
#[tokio::test]
async fn threads_and_sockets_share_the_targets_and_a_reload_loses_nothing() {
    let Some(namespace) =
        namespace::enter("load::threads_and_sockets_share_the_targets_and_a_reload_loses_nothing")
    else {
        return;
    };
    let files = Files::new(
        &inventory(1..31, 0, "20ms"),
        "sockets: {receive_buffer_bytes: 65536}\nmetrics: {series: full}\n",
    );
    let service = files
        .start_as_nobody(&namespace, &["--ping.threads=2"])
        .await;
    let answered = |last: u8, count: f64| {
        move |samples: &Samples| {
            of(samples, "ping_responses_total", &format!("d{last}"), "ipv4") >= count
        }
    };
    let all = move |samples: &Samples| (1..31).all(|last| answered(last, 50.0)(samples));
    let before = service.until("fifty answers of each", all).await;
    assert_eq!(before.value("ping_threads", &[]), Some(2.0));
    let sockets = before.value("ping_sockets", &[("family", "ipv4")]);
    assert!(sockets.is_some_and(|sockets| sockets >= 4.0), "{sockets:?}");

    // A third goes, a third stays and is asked with another DSCP, a third comes.
    files.write("inventory.yaml", &inventory(11..41, 10, "20ms"));
    let came = move |samples: &Samples| (31..41).all(|last| answered(last, 50.0)(samples));
    let during = service.until("answers of those that came", came).await;
    assert_eq!(during.value("ping_targets", &[]), Some(30.0));
    for last in 11..31 {
        let device = format!("d{last}");
        let requests = |samples| of(samples, "ping_requests_total", &device, "ipv4");
        assert!(requests(&during) >= requests(&before), "{device} goes on");
        assert_eq!(of(&during, "ping_reply_dscp", &device, "ipv4"), 10.0);
    }

    files.write("inventory.yaml", &inventory(11..41, 10, "1h"));
    let mut made = 0.0;
    let end = loop {
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        let quiet = |samples: &Samples| samples.sum("ping_in_flight", &[]) == 0.0;
        let samples = service.until("nothing in flight", quiet).await;
        let requests = samples.sum("ping_requests_total", &[]);
        if std::mem::replace(&mut made, requests) == requests {
            break samples;
        }
    };
    assert_eq!(end.sum("ping_responses_total", &[]), made);
    assert_eq!(end.sum("ping_rtt_seconds_count", &[]), made);
    for nothing in [
        "ping_lost_total",
        "ping_errors_total",
        "ping_duplicate_responses_total",
        "ping_corrupt_responses_total",
        "ping_socket_dropped_total",
    ] {
        assert_eq!(end.sum(nothing, &[]), 0.0, "{nothing}");
    }
    // Those of the removed targets that were on their way find nobody.
    let reason = |reason| end.sum("ping_unmatched_replies_total", &[("reason", reason)]);
    let unmatched = end.sum("ping_unmatched_replies_total", &[]);
    assert_eq!(unmatched, reason("removed"));
}
