//! Paths over routers of the kernel: their hops, a cut, a narrow link, silence, both families, two equal ways of IPv6, without privilege;
//! and over a router of user space that spreads flows of IPv4 over two equal ways, which the kernel's does by addresses alone for ICMP.

use netio::tun::Tun;
use testkit::Samples;

use crate::responder::Spreader;
use crate::service::Files;
use testkit::namespace::{self, Peer, ip};

pub(crate) const PATHS: &str = "probe: {interval: 100ms, timeout: 400ms}\n\
                     path: {enabled: true, interval: 1s, timeout: 500ms, max_hops: 8, flows: 2, rate: 500, tags: [traced]}\n";
pub(crate) const DEVICES: &str = "devices:\n\
    - {name: far, tags: [traced], addresses: {ipv4: 198.18.9.9, ipv6: '2001:db8:9::9'}}\n\
    - {name: untraced, address: 127.0.0.1}\n";

/// A short way to `far` over one router, and a long one over two, which is taken when the short one is cut.
pub(crate) struct Net {
    near: Peer,
    far: Peer,
    _others: [Peer; 2],
}

fn routes(peer: &Peer, prefix: u8, via: [&str; 2]) {
    peer.ip(&format!("route add 198.18.{prefix}.0/24 via {}", via[0]));
    peer.ip(&format!(
        "-6 route add 2001:db8:{prefix}::/64 via {}",
        via[1]
    ));
}

fn address(run: impl Fn(&str), net: u8, host: u8, device: &str) {
    run(&format!("address add 198.18.{net}.{host}/24 dev {device}"));
    run(&format!(
        "-6 address add 2001:db8:{net}::{host}/64 dev {device} nodad"
    ));
}

pub(crate) fn net() -> Net {
    let near = Peer::behind("a0", "a1");
    let one = Peer::behind("b0", "b1");
    let two = one.beyond("c0", "c1");
    let far = two.beyond("d0", "d1");
    near.link(&far, "e0", "e1");
    for router in [&near, &one, &two] {
        router.set("ipv4/ip_forward", "1");
        router.set("ipv6/conf/all/forwarding", "1");
    }
    for peer in [&near, &one, &two, &far] {
        // Linux answers one request a second else.
        peer.set("ipv4/icmp_ratelimit", "0");
        peer.set("ipv6/icmp/ratelimit", "0");
    }
    address(ip, 1, 1, "a0");
    address(|args| near.ip(args), 1, 2, "a1");
    address(ip, 2, 1, "b0");
    address(|args| one.ip(args), 2, 2, "b1");
    address(|args| one.ip(args), 3, 1, "c0");
    address(|args| two.ip(args), 3, 2, "c1");
    address(|args| two.ip(args), 4, 1, "d0");
    address(|args| far.ip(args), 4, 2, "d1");
    address(|args| near.ip(args), 5, 1, "e0");
    address(|args| far.ip(args), 5, 2, "e1");
    far.ip("address add 198.18.9.9/32 dev lo");
    far.ip("-6 address add 2001:db8:9::9/128 dev lo");
    routes(&near, 9, ["198.18.5.2", "2001:db8:5::2"]);
    routes(&one, 9, ["198.18.3.2", "2001:db8:3::2"]);
    routes(&two, 9, ["198.18.4.2", "2001:db8:4::2"]);
    routes(&two, 2, ["198.18.3.1", "2001:db8:3::1"]);
    routes(&far, 1, ["198.18.5.1", "2001:db8:5::1"]);
    routes(&far, 2, ["198.18.4.1", "2001:db8:4::1"]);
    routes(&far, 3, ["198.18.4.1", "2001:db8:4::1"]);
    for (metric, via) in [
        (10, ["198.18.1.2", "2001:db8:1::2"]),
        (20, ["198.18.2.2", "2001:db8:2::2"]),
    ] {
        ip(&format!(
            "route add 198.18.9.0/24 via {} metric {metric}",
            via[0]
        ));
        ip(&format!(
            "-6 route add 2001:db8:9::/64 via {} metric {metric}",
            via[1]
        ));
    }
    Net {
        near,
        far,
        _others: [one, two],
    }
}

fn value(samples: &Samples, name: &str, family: &str, flow: &str) -> Option<f64> {
    samples.value(
        name,
        &[("device", "far"), ("family", family), ("flow", flow)],
    )
}

fn everywhere(what: impl Fn(&str, &str) -> bool) -> bool {
    ["ipv4", "ipv6"]
        .iter()
        .all(|family| ["0", "1"].iter().all(|flow| what(family, flow)))
}

/// The addresses of the hops of one flow, in their order.
fn hops(samples: &Samples, family: &str, flow: &str) -> Vec<String> {
    let labels = [("device", "far"), ("family", family), ("flow", flow)];
    let mut hops: Vec<(u32, String)> = samples
        .select("ping_path_hop_info", &labels)
        .map(|sample| {
            (
                sample.labels["hop"].parse().unwrap(),
                sample.labels["address"].clone(),
            )
        })
        .collect();
    hops.sort();
    hops.into_iter().map(|(_, address)| address).collect()
}

/// What a scrape says of paths.
fn paths(samples: &Samples) -> Vec<String> {
    let lines = samples
        .all()
        .iter()
        .filter(|sample| sample.name.starts_with("ping_path"));
    lines.map(|sample| format!("{sample:?}\n")).collect()
}

fn identity(samples: &Samples, family: &str) -> String {
    let labels = [("device", "far"), ("family", family), ("flow", "0")];
    let found: Vec<_> = samples
        .select("ping_path_info", &labels)
        .map(|sample| sample.labels["path_id"].clone())
        .collect();
    assert_eq!(found.len(), 1, "one path at a time");
    found[0].clone()
}

#[tokio::test]
async fn hops_identity_and_mtu_follow_a_cut_in_both_families() {
    let test = "path::hops_identity_and_mtu_follow_a_cut_in_both_families";
    let Some(namespace) = namespace::enter(test) else {
        return;
    };
    let net = net();
    net.near.ip("link set e0 mtu 1400");
    net.far.ip("link set e1 mtu 1400");
    let mut service = Files::new(DEVICES, PATHS).start(&namespace).await;
    assert!(
        service
            .capabilities()
            .iter()
            .all(|set| set.trim_matches('0').is_empty())
    );
    let mtu = |samples: &Samples, family: &str| {
        samples.value(
            "ping_path_mtu_bytes",
            &[("device", "far"), ("family", family)],
        )
    };
    let short = service
        .until("the short way", |samples| {
            everywhere(|family, flow| {
                value(samples, "ping_path_hops", family, flow) == Some(2.0)
                    && value(samples, "ping_path_traces_total", family, flow) >= Some(3.0)
                    && mtu(samples, family) == Some(1400.0)
            })
        })
        .await;
    for flow in ["0", "1"] {
        assert_eq!(hops(&short, "ipv4", flow), ["198.18.1.2", "198.18.9.9"]);
        assert_eq!(
            hops(&short, "ipv6", flow),
            ["2001:db8:1::2", "2001:db8:9::9"]
        );
    }
    assert!(everywhere(|family, flow| {
        value(&short, "ping_path_changes_total", family, flow) == Some(0.0)
            && value(&short, "ping_path_reached", family, flow) == Some(1.0)
            && value(&short, "ping_paths_known", family, flow) == Some(1.0)
    }));
    let first_hop = [
        ("device", "far"),
        ("family", "ipv4"),
        ("flow", "0"),
        ("hop", "1"),
    ];
    let rtt = short
        .value("ping_path_hop_last_rtt_seconds", &first_hop)
        .unwrap();
    assert!(rtt > 0.0 && rtt < 1.0, "{rtt}");
    assert_eq!(
        short.value("ping_path_hop_requests_total", &first_hop),
        short.value("ping_path_hop_responses_total", &first_hop)
    );
    assert_eq!(
        short
            .select("ping_path_hops", &[("device", "untraced")])
            .count(),
        0
    );
    assert_eq!(short.value("ping_path_targets", &[]), Some(2.0));

    ip("link set a0 down");
    let long = service
        .until("the long way", |samples| {
            everywhere(|family, flow| {
                value(samples, "ping_path_hops", family, flow) == Some(3.0)
                    && mtu(samples, family) == Some(1500.0)
            })
        })
        .await;
    assert_eq!(
        hops(&long, "ipv4", "0"),
        ["198.18.2.2", "198.18.3.2", "198.18.9.9"]
    );
    assert_eq!(
        hops(&long, "ipv6", "0"),
        ["2001:db8:2::2", "2001:db8:3::2", "2001:db8:9::9"]
    );
    assert!(everywhere(|family, flow| {
        value(&long, "ping_path_changes_total", family, flow) == Some(1.0)
            && value(
                &long,
                "ping_path_last_change_timestamp_seconds",
                family,
                flow,
            ) > Some(1e9)
    }));
    assert!(identity(&short, "ipv4") != identity(&long, "ipv4"));

    ip("link set a0 up");
    // The kernel took the addresses and routes of IPv6 away with the link.
    ip("-6 address replace 2001:db8:1::1/64 dev a0 nodad");
    ip("route add 198.18.9.0/24 via 198.18.1.2 metric 10");
    ip("-6 route add 2001:db8:9::/64 via 2001:db8:1::2 metric 10");
    let back = service
        .until("the short way again", |samples| {
            everywhere(|family, flow| {
                value(samples, "ping_path_changes_total", family, flow) == Some(2.0)
            })
        })
        .await;
    for family in ["ipv4", "ipv6"] {
        assert_eq!(
            identity(&back, family),
            identity(&short, family),
            "it has its name again"
        );
    }
    let log = service.log();
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("path changed"))
        .collect();
    assert_eq!(lines.len(), 8, "{log}");
    assert!(
        lines.iter().any(|line| line.contains("device=far")
            && line.contains("198.18.2.2 > 198.18.3.2 > 198.18.9.9")),
        "{lines:?}"
    );
}

#[tokio::test]
async fn an_outage_is_traced_at_once_and_is_no_other_path() {
    let test = "path::an_outage_is_traced_at_once_and_is_no_other_path";
    let Some(namespace) = namespace::enter(test) else {
        return;
    };
    let net = net();
    // Longer than the test: what comes after the first trace was asked for by loss.
    let config = PATHS.replace("interval: 1s", "interval: 1h");
    let service = Files::new(DEVICES, &config).start(&namespace).await;
    let begun = |samples: &Samples, trigger| {
        samples.value("ping_path_traces_begun_total", &[("trigger", trigger)])
    };
    // The first traces are spread over ten seconds.
    let found = testkit::eventually(std::time::Duration::from_secs(30), || async {
        let samples = service.scrape().await;
        let there =
            |family: &str, flow: &str| value(&samples, "ping_path_hops", family, flow) == Some(2.0);
        anyhow::ensure!(everywhere(there), "{:?}", paths(&samples));
        Ok(samples)
    })
    .await
    .unwrap();
    // On a loaded machine the first requests may be late, and loss asks for a trace before the schedule does.
    assert!(found.sum("ping_path_traces_begun_total", &[]) >= 2.0);
    // The host is silent. Of a cut link the router would tell, sooner or later, and of a missing route the host.
    net.far.ip("route add blackhole 198.18.9.9/32");
    net.far.ip("-6 route add blackhole 2001:db8:9::9/128");
    net.far.ip("address del 198.18.9.9/32 dev lo");
    net.far.ip("-6 address del 2001:db8:9::9/128 dev lo");
    let gone = testkit::eventually(std::time::Duration::from_secs(30), || async {
        let samples = service.scrape().await;
        let gone = |family: &str, flow: &str| {
            value(&samples, "ping_path_reached", family, flow) == Some(0.0)
        };
        anyhow::ensure!(everywhere(gone), "{:?}", paths(&samples));
        Ok(samples)
    })
    .await
    .unwrap();
    assert!(begun(&gone, "loss") >= begun(&found, "loss").map(|count| count + 2.0));
    for family in ["ipv4", "ipv6"] {
        assert_eq!(
            value(&gone, "ping_path_changes_total", family, "0"),
            Some(0.0)
        );
        assert_eq!(
            value(&gone, "ping_path_hops", family, "0"),
            Some(2.0),
            "the last path that was whole"
        );
        assert_eq!(identity(&gone, family), identity(&found, family));
        let last = [
            ("device", "far"),
            ("family", family),
            ("flow", "0"),
            ("hop", "2"),
        ];
        let count = |name| gone.value(name, &last).unwrap();
        assert!(
            count("ping_path_hop_requests_total") > count("ping_path_hop_responses_total"),
            "loss shows where it is: {:?}",
            paths(&gone)
        );
    }
}

#[tokio::test]
async fn flows_show_both_of_two_equal_ways_and_each_keeps_its_own() {
    let test = "path::flows_show_both_of_two_equal_ways_and_each_keeps_its_own";
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
    let router = Spreader::start(tun);
    let inventory = "devices: [{name: far, tags: [traced], address: 198.18.50.9}]\n";
    let config = PATHS
        .replace("flows: 2", "flows: 4")
        .replace("mtu: true", "mtu: false");
    let service = Files::new(inventory, &config).start(&namespace).await;
    let flows = ["0", "1", "2", "3"];
    let samples = service
        .until("five traces of each flow", |samples| {
            flows
                .iter()
                .all(|flow| value(samples, "ping_path_traces_total", "ipv4", flow) >= Some(5.0))
        })
        .await;
    let mut branches = Vec::new();
    for flow in flows {
        assert_eq!(
            value(&samples, "ping_path_reached", "ipv4", flow),
            Some(1.0)
        );
        assert_eq!(
            value(&samples, "ping_path_changes_total", "ipv4", flow),
            Some(0.0),
            "flow {flow}"
        );
        assert_eq!(
            value(&samples, "ping_paths_known", "ipv4", flow),
            Some(1.0),
            "flow {flow}"
        );
        let [first, branch, last] = <[String; 3]>::try_from(hops(&samples, "ipv4", flow)).unwrap();
        assert_eq!(
            (first.as_str(), last.as_str()),
            ("198.18.50.1", "198.18.50.9")
        );
        branches.push(branch);
    }
    branches.sort();
    branches.dedup();
    assert_eq!(branches, ["198.18.50.2", "198.18.50.3"], "two flows each");
    let identities: std::collections::BTreeSet<_> = samples
        .select("ping_path_info", &[("device", "far")])
        .map(|sample| sample.labels["path_id"].clone())
        .collect();
    assert_eq!(
        identities.len(),
        2,
        "the same way has the same name in every flow"
    );
    // What the router saw: one identity of each flow, however often it was traced. The echo requests of the steady rhythm are no flow.
    assert_eq!(router.flows(), 4);
}

/// A router with two equal ways to 2001:db8:9::9, each over a router of its own.
fn fork() -> [Peer; 4] {
    let near = Peer::behind("a0", "a1");
    let one = near.beyond("b0", "b1");
    let two = near.beyond("c0", "c1");
    let far = one.beyond("d0", "d1");
    two.link(&far, "e0", "e1");
    for router in [&near, &one, &two, &far] {
        router.set("ipv6/conf/all/forwarding", "1");
        router.set("ipv6/icmp/ratelimit", "0");
    }
    // By addresses and flow label, the default.
    near.set("ipv6/fib_multipath_hash_policy", "0");
    ip("-6 address add 2001:db8:1::1/64 dev a0 nodad");
    for (peer, address) in [
        (&near, "2001:db8:1::2/64 dev a1"),
        (&near, "2001:db8:2::1/64 dev b0"),
        (&one, "2001:db8:2::2/64 dev b1"),
        (&near, "2001:db8:3::1/64 dev c0"),
        (&two, "2001:db8:3::2/64 dev c1"),
        (&one, "2001:db8:4::1/64 dev d0"),
        (&far, "2001:db8:4::2/64 dev d1"),
        (&two, "2001:db8:5::1/64 dev e0"),
        (&far, "2001:db8:5::2/64 dev e1"),
        (&far, "2001:db8:9::9/128 dev lo"),
    ] {
        peer.ip(&format!("-6 address add {address} nodad"));
    }
    ip("-6 route add 2001:db8:9::/64 via 2001:db8:1::2");
    near.ip(
        "-6 route add 2001:db8:9::/64 nexthop via 2001:db8:2::2 dev b0 nexthop via 2001:db8:3::2 dev c0",
    );
    one.ip("-6 route add 2001:db8:9::/64 via 2001:db8:4::2");
    two.ip("-6 route add 2001:db8:9::/64 via 2001:db8:5::2");
    one.ip("-6 route add 2001:db8:1::/64 via 2001:db8:2::1");
    two.ip("-6 route add 2001:db8:1::/64 via 2001:db8:3::1");
    far.ip("-6 route add 2001:db8:1::/64 via 2001:db8:4::1");
    [near, one, two, far]
}

#[tokio::test]
async fn flows_of_ipv6_show_both_equal_ways_of_the_kernel_and_each_keeps_its_own() {
    let test = "path::flows_of_ipv6_show_both_equal_ways_of_the_kernel_and_each_keeps_its_own";
    let Some(namespace) = namespace::enter(test) else {
        return;
    };
    let _net = fork();
    let inventory = "devices: [{name: far, tags: [traced], address: '2001:db8:9::9'}]\n";
    let config = PATHS.replace("flows: 2", "flows: 8");
    let files = Files::new(inventory, &config);
    let flows = ["0", "1", "2", "3", "4", "5", "6", "7"];
    let mut branches = std::collections::BTreeSet::new();
    // Labels are random: one of 128 times all eight flows go one way.
    for _ in 0..6 {
        let service = files.start(&namespace).await;
        let samples = service
            .until("five traces of each flow", |samples| {
                flows
                    .iter()
                    .all(|flow| value(samples, "ping_path_traces_total", "ipv6", flow) >= Some(5.0))
            })
            .await;
        for flow in flows {
            let of_flow = |name| value(&samples, name, "ipv6", flow);
            assert_eq!(of_flow("ping_path_reached"), Some(1.0), "flow {flow}");
            assert_eq!(of_flow("ping_path_changes_total"), Some(0.0), "flow {flow}");
            assert_eq!(of_flow("ping_paths_known"), Some(1.0), "flow {flow}");
            let [first, branch, last] =
                <[String; 3]>::try_from(hops(&samples, "ipv6", flow)).unwrap();
            assert_eq!(
                (first.as_str(), last.as_str()),
                ("2001:db8:1::2", "2001:db8:9::9")
            );
            branches.insert(branch);
        }
        if branches.len() > 1 {
            break;
        }
    }
    let both = ["2001:db8:2::2", "2001:db8:3::2"].map(str::to_owned);
    assert_eq!(branches, both.into());
}
