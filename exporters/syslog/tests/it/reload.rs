//! A configuration that changes while the service runs.

use std::net::UdpSocket;
use std::time::Duration;

use testkit::loki::Loki;

use crate::world::{World, from, metric};

fn free() -> std::net::SocketAddr {
    UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

#[tokio::test]
async fn listeners_labels_and_destinations_change_without_a_restart() {
    let (first, second) = (free(), free());
    let mut world = World::new(&format!(
        "listen: {{udp: [{{address: '{first}'}}], tcp: []}}\nrunbook_url: https://one.example"
    ))
    .await;
    let line = b"<189>1: r1: *Nov 14 08:30:56.699 UTC: %LINK-3-UPDOWN: Interface Gi2, changed state to down";
    from("127.0.0.1:0").send_to(line, first).unwrap();
    world.stored("LINK-3-UPDOWN", 1).await;
    let link = |loki: &Loki, at: usize| loki.entries()[at].get("runbook").map(str::to_owned);
    assert_eq!(
        link(&world.loki, 0).as_deref(),
        Some("https://one.example#interface_state")
    );

    // One listener more, another page for events, another Loki.
    let old = std::mem::replace(&mut world.loki, Loki::start(None).await.unwrap());
    world.configure(&format!(
        "listen: {{udp: [{{address: '{first}'}}, {{address: '{second}'}}], tcp: []}}\nrunbook_url: https://two.example"
    ));
    metric(
        &world,
        "syslog_kernel_buffer_limit_bytes",
        &[("socket", "1")],
        |v| v > 0.0,
    )
    .await;
    for to in [first, second] {
        from("127.0.0.1:0").send_to(line, to).unwrap();
    }
    world.stored("LINK-3-UPDOWN", 2).await;
    assert_eq!(old.len(), 1, "the old one got no more");
    for at in 0..2 {
        assert_eq!(
            link(&world.loki, at).as_deref(),
            Some("https://two.example#interface_state")
        );
    }

    // A bad one is refused, the good one goes on; then the first listener goes.
    let good = std::fs::read_to_string(world.path("syslog.yaml")).unwrap();
    std::fs::write(
        world.path("syslog.yaml"),
        "listen: {udp: [{address: nowhere}]}",
    )
    .unwrap();
    metric(&world, "sotp_config_last_reload_successful", &[], |v| {
        v == 0.0
    })
    .await;
    from("127.0.0.1:0").send_to(line, second).unwrap();
    world.stored("LINK-3-UPDOWN", 3).await;
    std::fs::write(
        world.path("syslog.yaml"),
        good.replace(&format!("{{address: '{first}'}}, "), ""),
    )
    .unwrap();
    metric(
        &world,
        "syslog_kernel_buffer_limit_bytes",
        &[("socket", "1")],
        |v| v == 0.0,
    )
    .await;
    from("127.0.0.1:0").send_to(line, second).unwrap();
    world.stored("LINK-3-UPDOWN", 4).await;
    let free_again = testkit::eventually(Duration::from_secs(10), || async {
        Ok(UdpSocket::bind(first)?)
    });
    free_again.await.unwrap();

    // What cannot change is said.
    std::fs::write(
        world.path("syslog.yaml"),
        format!("{good}\nspool: {{max_bytes: 2147483648}}\n"),
    )
    .unwrap();
    metric(&world, "syslog_configuration_restart_needed", &[], |v| {
        v == 1.0
    })
    .await;
    world.balanced().await;
}

#[tokio::test]
async fn a_datagram_is_one_message_unless_several_were_asked_for() {
    let (one, several) = (free(), free());
    let world = World::new(&format!(
        "listen: {{udp: [{{address: '{one}'}}, {{address: '{several}', several_messages: true}}], tcp: []}}"
    ))
    .await;
    let datagram = b"<86>sshd[1]: Invalid user x\n<86>sshd[1]: Accepted password for root from 192.0.2.1 port 1 ssh2";
    from("127.0.0.1:0").send_to(datagram, one).unwrap();
    world.stored("Invalid user x", 1).await;
    assert_eq!(world.loki.len(), 1);
    from("127.0.0.1:0").send_to(datagram, several).unwrap();
    world.stored("Invalid user x", 2).await;
    world.stored("Accepted password", 2).await;
    assert_eq!(world.loki.len(), 3);
    world.balanced().await;
}

#[tokio::test]
async fn a_clock_in_local_time_is_read_right_after_some_messages() {
    let world = World::new(crate::world::BOTH).await;
    let socket = from("127.0.0.1:0");
    let local = |seconds: i64| {
        let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
        at.to_zoned(jiff::tz::TimeZone::UTC)
            .strftime("%b %e %H:%M:%S")
            .to_string()
    };
    for count in 0..12 {
        let line = format!("<13>{} r1 app[1]: number {count}", local(7_200));
        socket.send_to(line.as_bytes(), world.udp()).unwrap();
        let right = format!("<13>{} r2 app[1]: number {count}", local(0));
        from("127.0.0.2:0")
            .send_to(right.as_bytes(), world.udp())
            .unwrap();
    }
    world.stored("number", 24).await;
    let zone = [("device", "r1")];
    metric(&world, "syslog_device_zone_offset_seconds", &zone, |v| {
        v == 7_200.0
    })
    .await;
    metric(&world, "syslog_device_clock_skew_seconds", &zone, |v| {
        v.abs() < 60.0
    })
    .await;
    metric(
        &world,
        "syslog_device_zone_offset_seconds",
        &[("device", "r2")],
        |v| v == 0.0,
    )
    .await;
    let entries = world.loki.entries();
    let last = entries
        .iter()
        .rfind(|e| e.line.ends_with("r1 app[1]: number 11"))
        .unwrap();
    let read: jiff::Timestamp = last.get("device_time").unwrap().parse().unwrap();
    assert!(
        read.duration_until(jiff::Timestamp::now()).abs() < jiff::SignedDuration::from_secs(120)
    );
}
