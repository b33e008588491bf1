//! Real hosts and routers of the kernel: answers, silence, refusals, and inventories that change.

use std::time::{Duration, Instant};

use crate::service::{Files, errors, of};
use testkit::namespace::{self, Peer, ip};

const FAST: &str = "probe: {interval: 100ms, timeout: 400ms}\nmetrics: {series: full}\n";

/// `v0` here, `v1` there, both families.
fn link() -> Peer {
    let peer = Peer::behind("v0", "v1");
    ip("address add 198.18.0.1/24 dev v0");
    ip("-6 address add 2001:db8::1/64 dev v0 nodad");
    peer.ip("address add 198.18.0.2/24 dev v1");
    peer.ip("-6 address add 2001:db8::2/64 dev v1 nodad");
    peer
}

#[tokio::test]
async fn both_families_answer_an_unprivileged_process_with_kernel_stamps() {
    let Some(namespace) = namespace::enter(
        "network::both_families_answer_an_unprivileged_process_with_kernel_stamps",
    ) else {
        return;
    };
    let _peer = link();
    let inventory = "sites: [{name: lab}]\n\
        devices:\n\
        - {name: self, site: lab, role: host, address: 127.0.0.1, addresses: {ipv4: 127.0.0.1, ipv6: '::1'}}\n\
        - {name: far, address: 198.18.0.2, addresses: {ipv4: 198.18.0.2, ipv6: '2001:db8::2'}}\n";
    let service = Files::new(inventory, FAST).start(&namespace).await;
    assert!(
        service
            .capabilities()
            .iter()
            .all(|set| set.trim_matches('0').is_empty())
    );

    let labels = [
        ("device", "self"),
        ("site", "lab"),
        ("role", "host"),
        ("family", "ipv6"),
    ];
    let samples = service
        .until("twenty answers of each", |samples| {
            ["self", "far"].iter().all(|device| {
                ["ipv4", "ipv6"]
                    .iter()
                    .all(|family| of(samples, "ping_responses_total", device, family) >= 20.0)
            })
        })
        .await;
    assert!(samples.value("ping_responses_total", &labels).is_some());
    assert_eq!(samples.sum("ping_up", &[]), 4.0);
    for name in [
        "ping_lost_total",
        "ping_errors_total",
        "ping_late_responses_total",
    ] {
        assert_eq!(samples.sum(name, &[]), 0.0, "{name}");
    }
    for family in ["ipv4", "ipv6"] {
        let mode = [("family", family), ("mode", "unprivileged")];
        assert_eq!(samples.value("ping_socket_mode_info", &mode), Some(1.0));
    }
    // The kernel switches its stamps on in the background, so the first packets may come without.
    let answers = samples.sum("ping_responses_total", &[]);
    let by_kernel = samples.sum("ping_timestamps_total", &[("source", "kernel")]);
    assert!(
        by_kernel >= answers - 8.0,
        "{by_kernel} of {answers} round trips by kernel stamps"
    );
    let mean = samples.sum("ping_rtt_seconds_sum", &[]) / answers;
    assert!(mean > 0.0 && mean < 0.005, "{mean} s on average");

    let (status, log) = service.terminate();
    assert!(
        status.success() && !log.contains("level=ERROR") && !log.contains("level=WARN"),
        "{log}"
    );
}

#[tokio::test]
async fn silence_is_lost_and_refusals_have_reasons() {
    let Some(namespace) = namespace::enter("network::silence_is_lost_and_refusals_have_reasons")
    else {
        return;
    };
    let peer = link();
    for limit in ["ipv4/icmp_ratelimit", "ipv6/icmp/ratelimit"] {
        peer.set(limit, "0");
    }
    peer.set("ipv4/ip_forward", "1");
    peer.set("ipv6/conf/all/forwarding", "1");
    for (route, kind) in [
        ("198.18.1.0/24", "blackhole"),
        ("198.18.2.0/24", "prohibit"),
    ] {
        peer.ip(&format!("route add {kind} {route}"));
        ip(&format!("route add {route} via 198.18.0.2"));
    }
    for (route, kind) in [
        ("2001:db8:2::/64", "prohibit"),
        ("2001:db8:3::/64", "unreachable"),
    ] {
        peer.ip(&format!("-6 route add {kind} {route}"));
        ip(&format!("-6 route add {route} via 2001:db8::2"));
    }
    // Nobody has the address 198.18.0.9: the neighbour is declared dead without asking.
    ip("neighbour add 198.18.0.9 dev v0 lladdr 02:00:00:00:00:09 nud permanent");

    let inventory = "devices:\n\
        - {name: silent, address: 198.18.1.1}\n\
        - {name: deaf, address: 198.18.0.9}\n\
        - {name: prohibited, address: 198.18.2.1, addresses: {ipv4: 198.18.2.1, ipv6: '2001:db8:2::1'}}\n\
        - {name: unreachable, address: '2001:db8:3::1'}\n\
        - {name: nowhere, address: 198.19.0.1, addresses: {ipv4: 198.19.0.1, ipv6: '2001:db8:9::1'}}\n\
        - {name: fine, address: 198.18.0.2}\n";
    let service = Files::new(inventory, FAST).start(&namespace).await;
    let samples = service
        .until("twenty requests have ended", |samples| {
            samples
                .select("ping_requests_total", &[])
                .all(|sample| sample.value >= 24.0)
        })
        .await;

    for device in ["silent", "deaf"] {
        assert_eq!(
            samples.sum("ping_errors_total", &[("device", device)]),
            0.0,
            "{device}"
        );
        assert!(
            of(&samples, "ping_lost_total", device, "ipv4") >= 18.0,
            "{device}"
        );
    }
    // For refused IPv4 routes a Linux router tells of the first few and then of one a second, whatever is set.
    let told = errors(&samples, "prohibited", "ipv4", "prohibited");
    assert!(told >= 2.0, "{told}");
    assert_eq!(
        of(&samples, "ping_errors_total", "prohibited", "ipv4"),
        told,
        "no other reason"
    );
    for (device, family, reason) in [
        ("prohibited", "ipv6", "prohibited"),
        ("nowhere", "ipv4", "no_route"),
        ("nowhere", "ipv6", "no_route"),
    ] {
        let ended = of(&samples, "ping_requests_total", device, family)
            - of(&samples, "ping_in_flight", device, family);
        let of_reason = errors(&samples, device, family, reason);
        assert_eq!(of_reason, ended, "{device} {family}: all for {reason}");
        assert!(of_reason >= 18.0, "{device} {family}: {of_reason}");
    }
    // The errors of the others, which the kernel also leaves on the socket, are not held against it.
    assert_eq!(samples.sum("ping_errors_total", &[("device", "fine")]), 0.0);
    assert_eq!(of(&samples, "ping_lost_total", "fine", "ipv4"), 0.0);
    assert_eq!(of(&samples, "ping_up", "fine", "ipv4"), 1.0);
    for down in ["silent", "deaf", "prohibited"] {
        let labels = [("device", down), ("family", "ipv4")];
        assert_eq!(samples.value("ping_up", &labels), Some(0.0), "{down}");
        assert_eq!(samples.value("ping_unasked", &labels), Some(0.0), "{down}");
    }
    // What this host could not ask says nothing about the device.
    for family in ["ipv4", "ipv6"] {
        let labels = [("device", "nowhere"), ("family", family)];
        assert_eq!(samples.value("ping_up", &labels), None, "{family}");
        assert_eq!(
            samples.value("ping_unasked", &labels),
            Some(1.0),
            "{family}"
        );
    }
    assert_eq!(samples.sum("ping_socket_receive_errors_total", &[]), 0.0);
    assert_eq!(
        samples.sum("ping_unmatched_replies_total", &[("reason", "malformed")]),
        0.0
    );
}

#[tokio::test]
async fn a_host_that_goes_and_comes_is_down_and_up() {
    let Some(namespace) = namespace::enter("network::a_host_that_goes_and_comes_is_down_and_up")
    else {
        return;
    };
    let peer = link();
    let inventory = "devices: [{name: far, address: 198.18.0.2}]\n";
    let service = Files::new(inventory, FAST).start(&namespace).await;
    service
        .until("up", |samples| of(samples, "ping_up", "far", "ipv4") == 1.0)
        .await;
    peer.ip("address del 198.18.0.2/24 dev v1");
    let down =
        |samples: &testkit::Samples| samples.value("ping_up", &[("device", "far")]) == Some(0.0);
    service.until("down", down).await;
    peer.ip("address add 198.18.0.2/24 dev v1");
    service
        .until("up again", |samples| {
            of(samples, "ping_up", "far", "ipv4") == 1.0
        })
        .await;
}

#[tokio::test]
async fn a_changed_inventory_is_followed_and_the_others_go_on() {
    let Some(namespace) =
        namespace::enter("network::a_changed_inventory_is_followed_and_the_others_go_on")
    else {
        return;
    };
    let devices = |list: &[(&str, u8)]| {
        let lines = list
            .iter()
            .map(|(name, last)| format!("- {{name: {name}, address: 127.0.0.{last}}}\n"));
        format!("devices:\n{}", lines.collect::<String>())
    };
    let files = Files::new(&devices(&[("stays", 1), ("goes", 2)]), FAST);
    let service = files.start(&namespace).await;
    let before = service
        .until("ten answers", |samples| {
            of(samples, "ping_responses_total", "stays", "ipv4") >= 10.0
        })
        .await;
    let began = Instant::now();
    files.write("inventory.yaml", &devices(&[("comes", 3), ("stays", 1)]));
    let after = service
        .until("the new device answers", |samples| {
            of(samples, "ping_responses_total", "comes", "ipv4") >= 1.0
        })
        .await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    assert!(
        after
            .select("ping_requests_total", &[("device", "goes")])
            .next()
            .is_none()
    );
    assert_eq!(after.value("ping_targets", &[]), Some(2.0));
    // Ten a second before, during and after: no request skipped, no counter set back.
    let requests = |samples: &testkit::Samples| of(samples, "ping_requests_total", "stays", "ipv4");
    let (seconds, made) = (
        began.elapsed().as_secs_f64(),
        requests(&after) - requests(&before),
    );
    assert!(
        (made - seconds * 10.0).abs() <= 3.0,
        "{made} requests in {seconds} s"
    );
    assert_eq!(after.value("ping_requests_skipped_total", &[]), Some(0.0));

    // A bad inventory changes nothing but the metric that says so.
    files.write("inventory.yaml", "devices: [{name: stays}]\n");
    let bad = service
        .until("the bad inventory is seen", |samples| {
            samples.value("sotp_inventory_source_up", &[]) == Some(0.0)
        })
        .await;
    assert!(requests(&bad) >= requests(&after));
    assert_eq!(bad.value("ping_targets", &[]), Some(2.0));
}

/// The prober's own link goes: what it asked just before is lost, and still the device is not down but unknown.
#[tokio::test]
async fn a_prober_that_loses_its_own_link_knows_nothing() {
    let test = "network::a_prober_that_loses_its_own_link_knows_nothing";
    let Some(namespace) = namespace::enter(test) else {
        return;
    };
    let _peer = link();
    let inventory = "devices: [{name: far, address: 198.18.0.2}]\n";
    let service = Files::new(inventory, FAST).start(&namespace).await;
    service
        .until("up", |samples| of(samples, "ping_up", "far", "ipv4") == 1.0)
        .await;
    ip("link set v0 down");
    let far = [("device", "far"), ("family", "ipv4")];
    let samples = service
        .until("unknown", |samples| {
            samples.value("ping_unasked", &far) == Some(1.0)
                && of(samples, "ping_in_flight", "far", "ipv4") == 0.0
        })
        .await;
    assert_eq!(samples.value("ping_up", &far), None);
    ip("link set v0 up");
    let samples = service
        .until("up again", |samples| {
            of(samples, "ping_up", "far", "ipv4") == 1.0
        })
        .await;
    assert_eq!(samples.value("ping_unasked", &far), Some(0.0));
}

/// The cable of the prober's own link is pulled, so that the interface stays up and has no carrier; then its gateway dies. Neither is the
/// fault of a device behind it; a device on the link that does not answer is down.
#[tokio::test]
async fn a_link_without_carrier_and_a_dead_gateway_are_no_fault_of_the_devices_behind_them() {
    let test = "network::a_link_without_carrier_and_a_dead_gateway_are_no_fault_of_the_devices_behind_them";
    let Some(namespace) = namespace::enter(test) else {
        return;
    };
    let gateway = link();
    gateway.ip("address add 198.18.7.7/32 dev lo");
    ip("route add 198.18.7.0/24 via 198.18.0.2");
    let inventory = "devices:\n\
        - {name: far, address: 198.18.7.7}\n\
        - {name: near, address: 198.18.0.2}\n";
    let service = Files::new(inventory, FAST).start(&namespace).await;
    let state = |samples: &testkit::Samples, device: &str| {
        let labels = [("device", device), ("family", "ipv4")];
        let unasked = samples.value("ping_unasked", &labels) == Some(1.0);
        (samples.value("ping_up", &labels), unasked)
    };
    let up = (Some(1.0), false);
    let (unknown, down) = ((None, true), (Some(0.0), false));
    let both = |wanted: (Option<f64>, bool)| {
        move |samples: &testkit::Samples| {
            ["far", "near"].map(|device| state(samples, device)) == [wanted; 2]
        }
    };
    service.until("up", both(up)).await;
    gateway.ip("link set v1 down");
    service
        .until("unknown without a carrier", both(unknown))
        .await;
    gateway.ip("link set v1 up");
    service.until("up again", both(up)).await;

    gateway.ip("address del 198.18.0.2/24 dev v1");
    ip("neigh flush dev v0");
    service
        .until("unknown behind the gateway, which is down", |samples| {
            state(samples, "far") == unknown && state(samples, "near") == down
        })
        .await;
    gateway.ip("address add 198.18.0.2/24 dev v1");
    gateway.ip("route add 198.18.0.1/32 dev v1");
    service.until("up in the end", both(up)).await;
}

/// A link-local address is asked through the interface of its zone, or of `ping.interface`, with both kinds of sockets.
#[tokio::test]
async fn a_link_local_neighbour_answers_through_its_interface() {
    let test = "network::a_link_local_neighbour_answers_through_its_interface";
    let Some(namespace) = namespace::enter(test) else {
        return;
    };
    let peer = link();
    peer.ip("-6 address add fe80::2/64 dev v1 nodad");
    ip("-6 address add fe80::1/64 dev v0 nodad");
    let inventory = "devices:\n\
        - {name: zoned, address: 'fe80::2%v0'}\n\
        - {name: named, address: 'fe80::2', ping: {interface: v0}}\n\
        - {name: wrong, address: 'fe80::2%lo'}\n";
    let answers = |samples: &testkit::Samples| {
        ["zoned", "named"]
            .iter()
            .all(|device| of(samples, "ping_responses_total", device, "ipv6") >= 3.0)
    };
    let files = Files::new(inventory, FAST);
    let service = files.start(&namespace).await;
    let samples = service.until("three answers each", answers).await;
    assert_eq!(of(&samples, "ping_responses_total", "wrong", "ipv6"), 0.0);
    let page = service.page("/metrics").await;
    assert!(page.contains("address=\"fe80::2%v0\""), "{page}");
    for (target, success) in [("fe80::2%25v0", 1), ("fe80::2%25lo", 0), ("zoned", 1)] {
        let page = format!("/probe?target={target}&module=icmp");
        let page = service.page(&page).await;
        let line = format!("\nprobe_success {success}\n");
        assert!(page.contains(&line), "{target}: {page}");
    }
    drop(service);
    let raw = files.start_privileged(&["--ping.raw-sockets"]).await;
    raw.until("three answers each", answers).await;
}

/// One address under two names, asked in two ways: each has its own counters.
#[tokio::test]
async fn one_address_is_asked_in_two_ways() {
    let Some(namespace) = namespace::enter("network::one_address_is_asked_in_two_ways") else {
        return;
    };
    let inventory = "devices:\n\
        - {name: small, address: 127.0.0.1}\n\
        - {name: large, address: 127.0.0.1, ping: {size_bytes: 1400, dscp: 46}}\n";
    let service = Files::new(inventory, FAST).start(&namespace).await;
    let samples = service
        .until("three answers each", |samples| {
            ["small", "large"]
                .iter()
                .all(|device| of(samples, "ping_responses_total", device, "ipv4") >= 3.0)
        })
        .await;
    assert_eq!(of(&samples, "ping_reply_dscp", "large", "ipv4"), 46.0);
    assert_eq!(of(&samples, "ping_reply_dscp", "small", "ipv4"), 0.0);
    assert_eq!(
        of(&samples, "ping_corrupt_responses_total", "small", "ipv4"),
        0.0
    );
}

/// The service itself decides which sockets it can have, and says so.
#[tokio::test]
async fn without_the_group_raw_sockets_are_taken_where_they_may_be_had() {
    let test = "network::without_the_group_raw_sockets_are_taken_where_they_may_be_had";
    let Some(_namespace) = namespace::enter(test) else {
        return;
    };
    namespace::allow_groups("1 0");
    let service = Files::new("devices: [{name: self, address: 127.0.0.1}]\n", FAST)
        .start_privileged(&[])
        .await;
    let samples = service
        .until("an answer", |samples| {
            of(samples, "ping_responses_total", "self", "ipv4") >= 1.0
        })
        .await;
    let raw = [("family", "ipv4"), ("mode", "raw")];
    assert_eq!(samples.value("ping_socket_mode_info", &raw), Some(1.0));
}

#[tokio::test]
async fn raw_sockets_are_used_when_asked_for() {
    let Some(_namespace) = namespace::enter("network::raw_sockets_are_used_when_asked_for") else {
        return;
    };
    let inventory = "devices: [{name: self, address: 127.0.0.1, addresses: {ipv4: 127.0.0.1, ipv6: '::1'}}, \
         {name: nowhere, address: 198.19.0.1}]\n";
    let service = Files::new(inventory, FAST)
        .start_privileged(&["--ping.raw-sockets"])
        .await;
    let samples = service
        .until("ten answers", |samples| {
            samples.sum("ping_responses_total", &[]) >= 20.0
        })
        .await;
    for family in ["ipv4", "ipv6"] {
        let mode = [("family", family), ("mode", "raw")];
        assert_eq!(samples.value("ping_socket_mode_info", &mode), Some(1.0));
        assert_eq!(of(&samples, "ping_lost_total", "self", family), 0.0);
        assert!(of(&samples, "ping_responses_total", "self", family) >= 5.0);
    }
    assert!(errors(&samples, "nowhere", "ipv4", "no_route") >= 5.0);
    assert!(samples.sum("ping_timestamps_total", &[("source", "kernel")]) >= 12.0);
}

#[tokio::test]
async fn requests_carry_what_the_inventory_asks_for() {
    let test = "network::requests_carry_what_the_inventory_asks_for";
    let Some(namespace) = namespace::enter(test) else {
        return;
    };
    let peer = link();
    ip("address add 198.18.0.5/24 dev v0");
    peer.ip("route add blackhole 198.18.0.5/32");
    peer.set("ipv4/ip_forward", "1");
    peer.set("ipv4/icmp_ratelimit", "0");
    peer.ip("address add 198.18.9.1/24 dev lo");
    peer.ip("route add 198.18.8.0/24 dev lo");
    ip("route add 198.18.8.0/24 via 198.18.0.2");
    ip("route add 198.18.9.0/24 via 198.18.0.2");
    let inventory = "devices:\n\
        - {name: plain, address: 198.18.0.2}\n\
        - {name: voice, addresses: {ipv4: 198.18.9.1, ipv6: '2001:db8::2'}, ping: {dscp: 46, size_bytes: 900}}\n\
        - {name: near, address: 198.18.8.1, ping: {ttl: 1}}\n\
        - {name: through, addresses: {ipv4: 198.18.9.1, ipv6: '2001:db8::2'}, ping: {interface: v0, source_ipv4: 198.18.0.1, source_ipv6: '2001:db8::1'}}\n\
        - {name: from, address: 198.18.9.1, ping: {source_ipv4: 198.18.0.5}}\n\
        - {name: without, address: 198.18.9.1, ping: {interface: none0}}\n";
    // An address belongs to one device; here several devices are one host.
    let inventory = inventory
        .replacen(
            "through, addresses: {ipv4: 198.18.9.1, ipv6: '2001:db8::2'}",
            "through, addresses: {ipv4: 198.18.9.2, ipv6: '2001:db8::3'}",
            1,
        )
        .replacen("from, address: 198.18.9.1", "from, address: 198.18.9.3", 1)
        .replacen(
            "without, address: 198.18.9.1",
            "without, address: 198.18.9.4",
            1,
        );
    for last in 2..5 {
        peer.ip(&format!("address add 198.18.9.{last}/24 dev lo"));
    }
    peer.ip("-6 address add 2001:db8::3/64 dev v1 nodad");
    let service = Files::new(&inventory, FAST).start(&namespace).await;
    let samples = service
        .until("each has come to its end some times", |samples| {
            of(samples, "ping_responses_total", "voice", "ipv4") >= 8.0
                && of(samples, "ping_responses_total", "voice", "ipv6") >= 8.0
                && of(samples, "ping_responses_total", "through", "ipv4") >= 8.0
                && of(samples, "ping_responses_total", "through", "ipv6") >= 8.0
                && errors(samples, "near", "ipv4", "time_exceeded") >= 4.0
                && of(samples, "ping_lost_total", "from", "ipv4") >= 4.0
                && errors(samples, "without", "ipv4", "not_sent") >= 4.0
        })
        .await;
    for (device, family, dscp) in [
        ("plain", "ipv4", 0.0),
        ("voice", "ipv4", 46.0),
        ("voice", "ipv6", 46.0),
    ] {
        let labels = [("device", device), ("family", family)];
        assert_eq!(samples.select("ping_reply_dscp", &labels).count(), 1);
        assert_eq!(
            of(&samples, "ping_reply_dscp", device, family),
            dscp,
            "{device} {family}"
        );
    }
    assert_eq!(
        of(&samples, "ping_last_icmp_error_type", "near", "ipv4"),
        11.0
    );
    assert_eq!(of(&samples, "ping_responses_total", "near", "ipv4"), 0.0);
    assert_eq!(of(&samples, "ping_responses_total", "from", "ipv4"), 0.0);
    assert_eq!(of(&samples, "ping_responses_total", "without", "ipv4"), 0.0);
    assert!(of(&samples, "ping_mos", "plain", "ipv4") > 4.3);
    let differences = of(
        &samples,
        "ping_delay_variation_seconds_count",
        "plain",
        "ipv4",
    );
    assert_eq!(
        differences,
        of(&samples, "ping_responses_total", "plain", "ipv4") - 1.0
    );
}
