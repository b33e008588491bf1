//! What users meet of the service, held to the files in `tests/golden`.

use std::time::Duration;

use testkit::Golden;

use crate::world::{BOTH, World, from};

fn golden() -> Golden {
    Golden::new(
        env!("CARGO_BIN_EXE_sotp-syslog"),
        env!("CARGO_MANIFEST_DIR"),
    )
}

#[test]
fn the_command_line_is_that_of_the_golden_files() {
    golden().command_line();
}

/// With every kind of destination, a message of a device and one of nobody.
#[tokio::test]
async fn the_series_are_those_of_the_golden_file() {
    let more = "forward: [{name: siem, url: 'udp://127.0.0.1:9'}]\nfiles: [{name: archive, path: copies/all.log}]\n\
                webhooks: [{name: chat, url: 'http://127.0.0.1:9/', events: [interface_state]}]";
    let world = World::new(&format!("{BOTH}\n{more}")).await;
    for source in ["127.0.0.1:0", "127.0.0.9:0"] {
        let line = b"<189>1: r1: *Nov 14 08:30:56.699 UTC: %LINK-3-UPDOWN: Interface Gi2, changed state to down";
        from(source).send_to(line, world.udp()).unwrap();
    }
    world.stored("LINK-3-UPDOWN", 2).await;
    let page = async || Ok(world.process().get("/metrics").await?.1);
    let needed = [
        "network_event_total{",
        "syslog_push_duration_seconds_count{",
    ];
    golden()
        .metrics("metrics.txt", &needed, page)
        .await
        .unwrap();
    assert!(world.process().ready(Duration::from_secs(5)).await.is_ok());
}
