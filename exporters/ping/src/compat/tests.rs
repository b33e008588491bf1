use std::net::IpAddr;
use std::path::Path;

use super::*;
use crate::commands::convert;
use crate::engine::Command;
use crate::targets::{Names, Resolved};

const SMOKEPING: &str = r#"
targets:
- hosts: [core.example.org, 192.0.2.7]
  interval: 250ms
  network: ip4
  protocol: udp
  size: 120
  source: 192.0.2.1
  tos: 184
  labels: {site: east, note: "a b"}
- host: '2001:db8::7'
- hosts:
  - dual.example.org
  interval: 2m45s
"#;

const PING_EXPORTER: &str = r#"
targets:
- 192.0.2.7
- 2001:db8::7
- dual.example.org
- host: edge.example.org
  site: east
  asset: 17
dns:
  refresh: 2m15s
  nameserver: 192.0.2.53
  timeout: 5s
ping:
  interval: 2s
  timeout: 3s
  history-size: 42
  payload-size: 120
options:
  disableIPv6: true
"#;

const BLACKBOX: &str = r#"
modules:
  http_2xx: {prober: http, http: {preferred_ip_protocol: ip4, tls_config: {insecure_skip_verify: true}}}
  icmp: {prober: icmp}
  icmp_full:
    prober: icmp
    timeout: 2.5s
    icmp:
      preferred_ip_protocol: ip4
      ip_protocol_fallback: false
      source_ip_address: 192.0.2.1
      payload_size: 900
      dont_fragment: true
      ttl: 9
"#;

fn read(kind: Kind, options: &Options, text: &str) -> Result<Config, String> {
    parse(kind, options, text, Path::new("peer.yml")).map_err(|error| error.to_string())
}

fn good(kind: Kind, text: &str) -> (Config, Peer) {
    let config = read(kind, &Options::default(), text).unwrap();
    let peer = config.peer.clone().unwrap();
    (config, peer)
}

fn args(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_file_of_smokeping_prober_is_read() {
    let (_, peer) = good(Kind::SmokepingProber, SMOKEPING);
    let [first, second, third, fourth] = peer.targets.as_slice() else {
        panic!("{peer:?}");
    };
    assert_eq!(first.host, "core.example.org");
    assert_eq!(
        (first.families, first.size, first.tos),
        (Families::V4, 120, 184)
    );
    assert_eq!(first.interval.as_millis(), 250);
    assert_eq!(first.source, Some("192.0.2.1".parse().unwrap()));
    assert_eq!(first.labels["note"], "a b");
    assert_eq!((second.host.as_str(), second.tos), ("192.0.2.7", 184));
    assert_eq!((third.families, third.size), (Families::Any, 56));
    assert_eq!(
        (third.interval.as_secs(), fourth.interval.as_secs()),
        (1, 165)
    );
    assert_eq!(peer.labels, ["note", "site"]);
}

#[test]
fn a_file_of_ping_exporter_is_read() {
    let (config, peer) = good(Kind::PingExporter, PING_EXPORTER);
    let hosts: Vec<_> = peer
        .targets
        .iter()
        .map(|target| target.host.as_str())
        .collect();
    assert_eq!(
        hosts,
        [
            "192.0.2.7",
            "2001:db8::7",
            "dual.example.org",
            "edge.example.org"
        ]
    );
    let every = |target: &Target| target.families == Families::V4 && target.all_records;
    assert!(peer.targets.iter().all(every), "written as numbers too");
    assert_eq!(peer.targets[2].families, Families::V4);
    assert_eq!(peer.targets[3].labels["asset"], "17");
    let first = &peer.targets[0];
    assert_eq!(
        (
            first.interval.as_secs(),
            first.timeout.as_secs(),
            first.size
        ),
        (2, 3, 120)
    );
    assert_eq!(
        (peer.style.history, peer.style.seconds, peer.style.millis),
        (42, true, false)
    );
    assert_eq!(config.dns.servers, ["192.0.2.53:53".parse().unwrap()]);
    assert_eq!(
        (config.dns.max_ttl.as_secs(), config.dns.timeout.as_secs()),
        (135, 5)
    );
}

#[test]
fn a_file_of_blackbox_exporter_is_read() {
    let (config, peer) = good(Kind::Blackbox, BLACKBOX);
    assert_eq!(peer.foreign["http_2xx"], "http");
    let module = config.modules["icmp_full"];
    assert_eq!(
        (module.timeout.as_millis(), module.size, module.ttl),
        (2_500, Some(900), Some(9))
    );
    assert!(module.dont_fragment && !module.fallback);
    assert_eq!(module.preferred, netio::option::Family::V4);
    let plain = config.modules["icmp"];
    assert_eq!(
        (plain.preferred, plain.fallback),
        (netio::option::Family::V6, true)
    );
}

#[test]
fn each_mistake_is_named_with_its_line() {
    use Kind::{Blackbox, PingExporter, SmokepingProber};
    for (kind, text, expected) in [
        (
            SmokepingProber,
            "targets:\n- hosts: [a]\n  intervall: 1s\n",
            "peer.yml:3:3: targets[0]: unknown key \"intervall\"",
        ),
        (
            SmokepingProber,
            "targets:\n- hosts: [a]\n  interval: soon\n",
            "peer.yml:3:",
        ),
        (
            SmokepingProber,
            "targets:\n- hosts: [a]\n  interval: 1ms\n",
            "peer.yml:3:13: targets[0].interval: 1ms is out of bounds",
        ),
        (
            SmokepingProber,
            "targets:\n- hosts: [a]\n  network: ipx\n",
            "peer.yml:3:12: targets[0].network: \"ipx\": expected ip, ip4 or ip6",
        ),
        (
            SmokepingProber,
            "targets:\n- hosts: [a]\n  protocol: tcp\n",
            "targets[0].protocol: \"tcp\": expected icmp or udp",
        ),
        (
            SmokepingProber,
            "targets:\n- hosts: [a]\n  size: 23\n",
            "targets[0].size: 23 is out of bounds, expected 24 to 8952",
        ),
        (
            SmokepingProber,
            "targets:\n- hosts: [a]\n  source: b\n",
            "targets[0].source: \"b\" is no address",
        ),
        (
            SmokepingProber,
            "targets:\n- hosts: [a]\n  tos: 256\n",
            "targets[0].tos",
        ),
        (
            SmokepingProber,
            "targets:\n- hosts:\n  - a\n  - 'b c'\n",
            "peer.yml:4:5: targets[0].hosts[1]: \"b c\" is no host",
        ),
        (
            SmokepingProber,
            "targets:\n- hosts: [a]\n  labels: {host: b}\n",
            "targets[0].labels: \"host\" is a label that every series has already",
        ),
        (
            SmokepingProber,
            "targets:\n- hosts: [a]\n  labels: {'a-b': c}\n",
            "targets[0].labels: \"a-b\" is no label name",
        ),
        (
            SmokepingProber,
            "target: []\n",
            "peer.yml:1:1: unknown key \"target\"",
        ),
        (
            PingExporter,
            "targets: [a]\nping: {interval: 2s, history: 3}\n",
            "peer.yml:2:22: ping: unknown key \"history\"",
        ),
        (
            PingExporter,
            "targets: [a]\nping: {history-size: 10001}\n",
            "ping.history-size: 10001 is out of bounds",
        ),
        (
            PingExporter,
            "targets: [a]\ndns: {nameserver: ns.example.org}\n",
            "dns.nameserver: \"ns.example.org\": expected an address",
        ),
        (
            PingExporter,
            "targets: [a]\noptions: {disableIPv5: true}\n",
            "options: unknown key \"disableIPv5\"",
        ),
        (
            PingExporter,
            "targets: [a]\noptions: {disableIPv6: true, disableIPv4: true}\n",
            "options: both families are switched off",
        ),
        (
            PingExporter,
            "targets:\n- a\n- {site: east}\n",
            "peer.yml:3:3: targets[1]: no key host",
        ),
        (
            Blackbox,
            "modules:\n  icmp:\n    prober: icmp\n    icmp: {payload: 3}\n",
            "peer.yml:4:12: modules.icmp.icmp: unknown key \"payload\"",
        ),
        (
            Blackbox,
            "modules:\n  icmp:\n    prober: icmp\n    time: 3s\n",
            "peer.yml:4:5: modules.icmp: unknown key \"time\"",
        ),
        (
            Blackbox,
            "modules:\n  icmp: {prober: ping}\n",
            "modules.icmp.prober: \"ping\": expected icmp or another prober",
        ),
        (
            Blackbox,
            "modules:\n  icmp: {prober: icmp, icmp: {preferred_ip_protocol: ip5}}\n",
            "modules.icmp.icmp.preferred_ip_protocol: \"ip5\": expected ip4 or ip6",
        ),
        (
            Blackbox,
            "modules:\n  icmp: {prober: icmp, icmp: {ttl: 256}}\n",
            "modules.icmp.icmp.ttl: 256 is out of bounds",
        ),
    ] {
        match read(kind, &Options::default(), text) {
            Ok(_) => panic!("{text} was taken"),
            Err(error) => assert!(
                error.starts_with("peer.yml") && error.contains(expected),
                "{text}:\n{error}"
            ),
        }
    }
}

#[test]
fn flags_of_a_peer_are_told_from_ours() {
    let line = "--config.file=a.yml -i 2s --ping.size 100 --ping.tos=0xb8 --log.level debug --no-privileged \
                --buckets=0.0001,0.0064 one.example.org -- two.example.org";
    let (options, ours) = flags::split(Kind::SmokepingProber, &args(line)).unwrap();
    assert_eq!(options.hosts, ["one.example.org", "two.example.org"]);
    assert_eq!(
        (
            options.interval.unwrap().as_secs(),
            options.size,
            options.tos
        ),
        (2, Some(100), Some(184))
    );
    assert_eq!(
        ours,
        [
            "--config.file=a.yml",
            "--log.level",
            "debug",
            "--web.listen-address=:9374"
        ]
    );
    let config = read(Kind::SmokepingProber, &options, SMOKEPING).unwrap();
    let peer = config.peer.unwrap();
    assert_eq!(peer.style.buckets, [1, 7]);
    assert_eq!(
        (
            peer.targets.len(),
            peer.targets[0].size,
            peer.targets[0].tos
        ),
        (6, 100, 184)
    );

    let line = "--config.path b.yml --web.listen-address=127.0.0.1:0 --ping.history-size=5 --metrics.rttunit=both \
                --metrics.deprecated=enable --options.disable-ipv4 --dns.refresh=30s c.example.org";
    let (options, ours) = flags::split(Kind::PingExporter, &args(line)).unwrap();
    assert_eq!(
        ours,
        ["--config.file=b.yml", "--web.listen-address=127.0.0.1:0"]
    );
    let peer = read(Kind::PingExporter, &options, "")
        .unwrap()
        .peer
        .unwrap();
    assert_eq!(
        (peer.style.history, peer.style.seconds, peer.style.millis),
        (5, true, true)
    );
    assert!(peer.style.deprecated && peer.targets[0].families == Families::V6);

    let (_, ours) = flags::split(
        Kind::Blackbox,
        &args("--timeout-offset=0.25 --config.auto-reload-interval=30"),
    )
    .unwrap();
    assert_eq!(
        ours,
        [
            "--timeout-offset=0.25",
            "--config.auto-reload-interval=30s",
            "--web.listen-address=:9115",
            "--config.file=blackbox.yml"
        ]
    );

    for (kind, line, expected) in [
        (
            Kind::PingExporter,
            "--web.token=x",
            "--web.token of ping_exporter is not taken",
        ),
        (
            Kind::PingExporter,
            "--web.tls.enabled",
            "TLS is set in --web.config.file",
        ),
        (
            Kind::PingExporter,
            "--metrics.rttunit=us",
            "expected s, ms or both",
        ),
        (
            Kind::SmokepingProber,
            "-i soon",
            "--ping.interval: \"soon\", expected a duration",
        ),
        (
            Kind::SmokepingProber,
            "--ping.size",
            "--ping.size needs a value",
        ),
        (Kind::Blackbox, "host", "unexpected argument"),
    ] {
        let error = flags::split(kind, &args(line)).unwrap_err().to_string();
        assert!(error.contains(expected), "{line}: {error}");
    }
    let odd = Options {
        buckets: Some("0.0003".into()),
        ..Options::default()
    };
    let error = read(Kind::SmokepingProber, &odd, "").unwrap_err();
    assert!(
        error.contains("--buckets: 0.0003 is not counted"),
        "{error}"
    );
}

#[test]
fn who_is_stood_in_for_is_read_from_anywhere_in_the_line() {
    let (kind, rest) = flags::asked(&args("--log.level=debug --compat ping_exporter a")).unwrap();
    assert_eq!(
        (kind, rest.as_slice()),
        (Some(Kind::PingExporter), &args("--log.level=debug a")[..])
    );
    assert_eq!(flags::asked(&args("--config.check")).unwrap().0, None);
    let error = flags::asked(&args("--compat=fping"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("expected one of smokeping_prober, ping_exporter, blackbox"),
        "{error}"
    );
}

fn rows(directory: &mut Directory, peer: &Peer, names: &Names) -> (Vec<String>, Vec<String>) {
    let (commands, view) = directory.update(peer, names, 3);
    let commands = commands.iter().map(|command| match command {
        Command::Pace(_) | Command::Mark(_) => panic!("a directory puts and removes"),
        Command::Put(id, spec, _) => format!("put {} {}", id.0, spec.address.unwrap()),
        Command::Remove(id) => format!("remove {}", id.0),
    });
    (
        view.rows
            .iter()
            .map(|row| row.labels.as_str().to_owned())
            .collect(),
        commands.collect(),
    )
}

#[test]
fn labels_and_families_are_those_of_the_peer() {
    let address = |text: &str| Some(text.parse::<IpAddr>().unwrap());
    let both = Resolved {
        v4: address("192.0.2.9"),
        v6: address("2001:db8::9"),
        all: std::sync::Arc::default(),
        resolvable: true,
    };
    let six = Resolved {
        v4: None,
        ..both.clone()
    };
    let (_, peer) = good(Kind::SmokepingProber, SMOKEPING);
    let mut directory = Directory::default();
    let names = Names::from([("dual.example.org".into(), six)]);
    let (labels, commands) = rows(&mut directory, &peer, &names);
    assert_eq!(
        labels,
        [
            "ip=\"192.0.2.7\",host=\"192.0.2.7\",source=\"192.0.2.1\",tos=\"184\",note=\"a b\",site=\"east\"",
            "ip=\"2001:db8::7\",host=\"2001:db8::7\",source=\"\",tos=\"0\",note=\"\",site=\"\"",
            "ip=\"2001:db8::9\",host=\"dual.example.org\",source=\"\",tos=\"0\",note=\"\",site=\"\"",
        ],
        "an unresolved name has no series, IPv6 is taken while there is no IPv4"
    );
    assert_eq!(commands.len(), 3);
    let names = Names::from([
        ("dual.example.org".into(), both.clone()),
        ("core.example.org".into(), both),
    ]);
    let (labels, commands) = rows(&mut directory, &peer, &names);
    assert_eq!(labels.len(), 4);
    assert!(
        labels[3].starts_with("ip=\"192.0.2.9\",host=\"dual.example.org\""),
        "{labels:?}"
    );
    assert_eq!(commands, ["put 4 192.0.2.9", "put 5 192.0.2.9", "remove 3"]);
    assert_eq!(
        rows(&mut directory, &peer, &names).1,
        [""; 0],
        "nothing changed"
    );

    let (_, peer) = good(Kind::PingExporter, PING_EXPORTER);
    let every = |addresses: &[&str]| {
        let all = addresses.iter().map(|text| text.parse().unwrap());
        let all: Vec<IpAddr> = all.collect();
        let resolved = Resolved {
            all: all.into(),
            ..Resolved::default()
        };
        Names::from([("dual.example.org".into(), resolved)])
    };
    let mut directory = Directory::default();
    let names = every(&["192.0.2.9", "192.0.2.10", "2001:db8::9"]);
    let (labels, commands) = rows(&mut directory, &peer, &names);
    assert_eq!(
        labels,
        [
            "target=\"192.0.2.7\",ip=\"192.0.2.7\",ip_version=\"4\",asset=\"\",site=\"\"",
            "target=\"dual.example.org\",ip=\"192.0.2.9\",ip_version=\"4\",asset=\"\",site=\"\"",
            "target=\"dual.example.org\",ip=\"192.0.2.10\",ip_version=\"4\",asset=\"\",site=\"\"",
        ],
        "every record; IPv6 is switched off, for addresses in the file too"
    );
    assert_eq!(commands.len(), 3);
    let names = every(&["192.0.2.11", "192.0.2.10"]);
    let (_, commands) = rows(&mut directory, &peer, &names);
    assert_eq!(
        commands,
        ["put 4 192.0.2.11", "remove 2"],
        "the other goes on"
    );
}

#[test]
fn the_mark_of_ping_exporter_is_set() {
    let text = "targets: [192.0.2.7]\nping: {fw-mark: 66}\n";
    let (config, peer) = good(Kind::PingExporter, text);
    let (commands, _) = Directory::default().update(&peer, &Names::new(), 3);
    let [Command::Put(_, spec, _)] = commands.as_slice() else {
        panic!("{commands:?}");
    };
    assert_eq!(spec.profile.out.mark, Some(66));
    assert!(config.peer.is_some());
    let converted = convert::convert(Kind::PingExporter, text, Path::new("peer.yml")).unwrap();
    assert!(
        converted.config.contains("\n  mark: 66\n"),
        "{}",
        converted.config
    );
}

#[test]
fn the_same_series_twice_is_one_target_and_a_warning() {
    let text =
        "targets:\n- hosts: [a.example.org, a.example.org]\n- {host: a.example.org, tos: 8}\n";
    let (_, peer) = good(Kind::SmokepingProber, text);
    assert_eq!(peer.targets.len(), 2);
    assert_eq!(peer.warnings.len(), 1);
}

#[test]
fn a_host_that_no_device_can_have_is_left_out_and_said() {
    let text = "targets: ['-h', 0.0.0.0, 192.0.2.7]\n";
    let converted = convert::convert(Kind::PingExporter, text, Path::new("peer.yml")).unwrap();
    let read = inventory::Inventory::parse(&converted.inventory, Path::new("inventory.yaml"));
    assert_eq!(read.unwrap().devices().len(), 1);
    for host in ["-h: neither", "0.0.0.0: neither"] {
        let said = converted.left.iter().any(|line| line.starts_with(host));
        assert!(said, "{host}: {:?}", converted.left);
    }
}

#[test]
fn what_is_converted_is_read_by_us() {
    for (kind, text, left) in [
        (
            Kind::SmokepingProber,
            SMOKEPING,
            vec!["label note", "label site", "networks of the kind ip"],
        ),
        (
            Kind::PingExporter,
            PING_EXPORTER,
            vec![
                "2001:db8::7: its family",
                "label asset",
                "label site",
                "history-size 42",
            ],
        ),
        (
            Kind::Blackbox,
            BLACKBOX,
            vec!["module http_2xx", "module icmp: a time of 2m"],
        ),
        (
            Kind::SmokepingProber,
            "targets:\n- hosts: [r1, R1, '198.18.0.1']\n- {hosts: [_x.example.org, '198.18.0.1'], tos: 3}\n",
            vec![
                "R1 a second time",
                "_x.example.org: the lower two bits of tos 3",
                "198.18.0.1 a second time",
                "networks",
            ],
        ),
    ] {
        let converted = convert::convert(kind, text, Path::new("peer.yml")).unwrap();
        let read = inventory::Inventory::parse(&converted.inventory, Path::new("inventory.yaml"));
        let read = read.unwrap_or_else(|error| panic!("{error}\n{}", converted.inventory));
        let config = Config::parse(&converted.config, Path::new("ping.yaml"));
        let config = config.unwrap_or_else(|error| panic!("{error}\n{}", converted.config));
        assert_eq!(converted.left.len(), left.len(), "{:?}", converted.left);
        for said in left {
            assert!(
                converted.left.iter().any(|line| line.starts_with(said)),
                "{said}: {:?}",
                converted.left
            );
        }
        let peer = good(kind, text).1;
        // Every host is there with its settings, whether written beside it or as the default.
        let probed = |target: &&Target| {
            target.families != Families::V4 || target.address().is_none_or(|ip| ip.is_ipv4())
        };
        for target in peer.targets.iter().filter(probed) {
            let device =
                read.devices()
                    .iter()
                    .find(|device| match (target.address(), target.name()) {
                        (Some(ip), _) => device.address == inventory::Address::Ip(ip),
                        (_, Some(name)) => device.address == inventory::Address::Dns(name),
                        _ => false,
                    });
            let ping = device
                .unwrap_or_else(|| panic!("{target:?}"))
                .ping
                .as_ref()
                .unwrap();
            if kind == Kind::SmokepingProber && text.contains("198.18") {
                continue;
            }
            let timing = config.probe.timing(ping);
            assert_eq!(
                u128::from(timing.interval),
                target.interval.as_nanos(),
                "{target:?}"
            );
            assert_eq!(
                ping.size_bytes.map_or(config.probe.size, usize::from),
                target.size
            );
            assert_eq!(ping.dscp.unwrap_or(config.probe.dscp), target.tos >> 2);
        }
        if kind == Kind::Blackbox {
            assert_eq!(
                config.modules["icmp_full"],
                good(kind, text).0.modules["icmp_full"]
            );
        }
    }
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "[-a-z0-9:{}\\[\\]&*!|>'\"#%@,? \n]{0,200}", line in proptest::collection::vec("[-a-z.=]{0,12}", 0..6)) {
        for kind in Kind::ALL {
            let _ = read(kind, &Options::default(), &text);
            let _ = convert::convert(kind, &text, Path::new("x"));
            let _ = flags::split(kind, &line);
        }
    }
}

#[test]
fn the_flags_say_in_whose_form_the_file_is_read() {
    use crate::app::Service;
    use crate::flags::Flags;
    use clap::Parser as _;
    use toolkit::{Configuration as _, Service as _};

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        flags: Flags,
    }
    let line = |line: &str| Line::parse_from(line.split(' ')).flags;
    let configure =
        |flags: &Flags, text: &str| Service::configure(flags, text, Path::new("file.yml"));
    let ours = line("sotp-ping");
    let mut peers = line("sotp-ping --compat=smokeping_prober");
    peers.of_peer.hosts.push("192.0.2.9".into());

    assert!(configure(&ours, SMOKEPING).is_err());
    assert_eq!(
        configure(&ours, "probe: {interval: 3s}").unwrap().peer,
        None
    );
    assert!(configure(&peers, "probe: {interval: 3s}").is_err());
    let hosts = |text| {
        let peer = configure(&peers, text).unwrap().peer.unwrap();
        peer.targets
            .iter()
            .map(|target| target.host.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(hosts(SMOKEPING)[..2], ["192.0.2.9", "core.example.org"]);
    assert_eq!(hosts(Config::DEFAULT), ["192.0.2.9"], "without a file");
}

/// The file that its package brings, and that of its manual: sections of which everything is a comment, labels below the host.
#[test]
fn files_of_ping_exporters_own_are_read() {
    let packaged = "targets:\n- 127.0.0.1\n\ndns:\n  # nameserver: 192.0.2.53\n\n  # refresh: 2m45s\n\nping:\n  interval:     2s # How often\n  history-size: 42\noptions:\n";
    let read = |text: &str| {
        let config = parse(
            Kind::PingExporter,
            &Options::default(),
            text,
            Path::new("peer.yml"),
        );
        config.map_err(|error| error.to_string())
    };
    let config = read(packaged).unwrap();
    let peer = config.peer.unwrap();
    assert_eq!(peer.targets.len(), 1);
    assert_eq!(peer.targets[0].interval, std::time::Duration::from_secs(2));
    assert_eq!(peer.style.history, 42);
    for empty in ["", "targets:\n", "targets:\ndns:\nping:\noptions:\n"] {
        assert!(read(empty).unwrap().peer.unwrap().targets.is_empty());
    }

    let labelled = "targets:\n- 192.0.2.7\n- google.example: {asn: 15169, rack: 1.10}\n- '2001:db8::7':\n    site: east\n- edge.example:\n- {site: west, host: core}\n";
    let peer = read(labelled).unwrap().peer.unwrap();
    let of = |at: usize| {
        let target: &Target = &peer.targets[at];
        let labels = target
            .labels
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        format!("{} {}", target.host, labels.collect::<Vec<_>>().join(" "))
    };
    assert_eq!(of(1), "google.example asn=15169 rack=1.10");
    assert_eq!(of(2), "2001:db8::7 site=east");
    assert_eq!(of(3), "edge.example ");
    assert_eq!(of(4), "core site=west");
    let wrong = read("targets:\n- {site: west}\n").unwrap_err();
    assert!(wrong.contains("no key host"), "{wrong}");
}

/// Sections with nothing in them are as if they were not there, in every file.
#[test]
fn empty_sections_are_empty() {
    let read = |kind, text: &str| parse(kind, &Options::default(), text, Path::new("peer.yml"));
    let smokeping = "targets:\n- hosts:\n  host: 192.0.2.1\n  interval:\n  network:\n  size:\n  source:\n  tos:\n  labels:\n";
    let config = read(Kind::SmokepingProber, smokeping).unwrap();
    assert_eq!(config.peer.unwrap().targets[0].size, 56);
    let blackbox = "modules:\n  icmp:\n    prober: icmp\n    timeout:\n    icmp:\n  web:\n    prober: http\n    http:\n";
    let config = read(Kind::Blackbox, blackbox).unwrap();
    assert!(config.modules["icmp"].fallback);
    for empty in ["", "modules:\n"] {
        assert!(read(Kind::Blackbox, empty).unwrap().modules.is_empty());
    }
    let ours = "probe:\nsockets:\ndns:\npacing:\nmetrics:\npath:\n  tags:\nmodules:\n";
    let config = Config::parse(ours, Path::new("ping.yaml")).unwrap();
    let default = Config::parse("", Path::new("ping.yaml")).unwrap();
    assert_eq!((config.probe, config.dns), (default.probe, default.dns));
    assert_eq!(config.modules, default.modules);
}

/// One host asked in two ways is two devices, and what is left out is told.
#[test]
fn a_host_that_is_asked_in_two_ways_is_two_devices() {
    let text = "targets:\n- hosts: [192.0.2.1, 192.0.2.1]\n- {host: 192.0.2.1, tos: 184}\n- {host: 192.0.2.1, source: 192.0.2.9}\n";
    let converted = convert::convert(Kind::SmokepingProber, text, Path::new("peer.yml")).unwrap();
    let inventory = inventory::Inventory::parse(&converted.inventory, Path::new("inventory"));
    assert_eq!(
        inventory.unwrap().devices().len(),
        3,
        "{}",
        converted.inventory
    );
    let twice = "192.0.2.1 stands there twice with the same labels: the first counts";
    assert!(
        converted.left.iter().any(|line| line == twice),
        "{:?}",
        converted.left
    );
}
