use std::path::Path;
use std::time::Duration;

use super::*;

const PROBE: Probe = Probe {
    interval: Duration::from_secs(1),
    timeout: Duration::from_secs(2),
    size: 56,
    dscp: 0,
    ttl: None,
    source_ipv4: None,
    source_ipv6: None,
    interface: None,
    mark: None,
    burst: 1,
    burst_spacing: Duration::from_millis(10),
    down_after: 3,
};

fn inventory(text: &str) -> Inventory {
    Inventory::parse(text, Path::new("inventory.yaml")).unwrap()
}

/// The labels of the rows, and what the commands, sorted, do to which target.
fn summary(update: &(Vec<Command>, View)) -> (Vec<String>, Vec<String>) {
    let (commands, view) = update;
    let rows = view
        .rows
        .iter()
        .map(|row| match row.spec.address {
            Some(address) if !row.says_address => row.labels.with("address", &address.to_string()),
            _ => row.labels.clone(),
        })
        .map(|labels| labels.as_str().to_owned())
        .collect();
    let commands = commands.iter().map(|command| match command {
        Command::Pace(_) | Command::Mark(_) => panic!("a directory puts and removes"),
        Command::Put(id, spec, _) => format!("put {} {:?}", id.0, spec.address.unwrap()),
        Command::Remove(id) => format!("remove {}", id.0),
    });
    let mut commands: Vec<String> = commands.collect();
    commands.sort();
    (rows, commands)
}

#[test]
fn a_link_local_address_is_asked_through_its_interface() {
    let inventory = inventory(
        "devices:\n\
         - {name: zoned, address: 'fe80::1%lo'}\n\
         - {name: named, address: 'fe80::2', ping: {interface: lo}}\n\
         - {name: gone, address: 'fe80::1%nowhere0'}\n\
         - {name: both, address: 198.18.0.1, addresses: {ipv6: 'fe80::3%lo'}}\n",
    );
    assert!(names_interfaces(&inventory, &PROBE));
    let (_, view) = Directory::default().update(&inventory, &PROBE, &Names::new());
    let lo = echo::interface("lo");
    let interfaces: Vec<u32> = view
        .rows
        .iter()
        .map(|row| row.spec.profile.out.interface)
        .collect();
    assert_eq!(interfaces, [lo, lo, i32::MAX as u32, 0, lo]);
    let to = |row: &Row| {
        let address = row.spec.address.unwrap();
        echo::destination(address, row.spec.profile.out.interface).to_string()
    };
    assert_eq!(to(&view.rows[0]), format!("[fe80::1%{lo}]:0"));
    assert_eq!(to(&view.rows[1]), format!("[fe80::2%{lo}]:0"));
    assert_eq!(to(&view.rows[3]), "198.18.0.1:0");
    let mut out = Encoder::new(toolkit::Format::Text);
    out.family("x", toolkit::Kind::Info, "x");
    view.rows.iter().for_each(|row| row.info(&mut out));
    let page = String::from_utf8(out.finish()).unwrap();
    for address in ["fe80::1%lo", "fe80::2", "fe80::1%nowhere0", "198.18.0.1"] {
        assert!(page.contains(&format!("address=\"{address}\"")), "{page}");
    }
    // One address on two links is two targets.
    assert_eq!(view.at("fe80::1".parse().unwrap()).count(), 2);
}

#[test]
fn each_family_of_a_device_is_a_target() {
    let inventory = inventory(
        "sites: [{name: lab}]\n\
         devices:\n\
         - {name: r1, site: lab, role: router, address: 198.18.0.1, addresses: {ipv4: 198.18.0.1, ipv6: '2001:db8::1'}}\n\
         - {name: quiet, address: 198.18.0.2, ping: {enabled: false}}\n\
         - {name: fast, address: 198.18.0.3, ping: {interval: 100ms}}\n",
    );
    let mut directory = Directory::default();
    let update = directory.update(&inventory, &PROBE, &Names::new());
    let (rows, commands) = summary(&update);
    assert_eq!(
        rows,
        [
            "device=\"r1\",site=\"lab\",role=\"router\",family=\"ipv4\",address=\"198.18.0.1\"",
            "device=\"r1\",site=\"lab\",role=\"router\",family=\"ipv6\",address=\"2001:db8::1\"",
            "device=\"fast\",site=\"\",role=\"\",family=\"ipv4\",address=\"198.18.0.3\"",
        ]
    );
    assert_eq!(
        commands,
        ["put 1 198.18.0.1", "put 2 2001:db8::1", "put 3 198.18.0.3"]
    );
    assert_eq!(update.1.rows[2].spec.profile.timing.interval, 100_000_000);
    assert!(wanted_names(&inventory).is_empty());
}

#[test]
fn only_what_changes_is_told_and_counters_go_on() {
    let mut directory = Directory::default();
    let first =
        inventory("devices: [{name: a, address: 198.18.0.1}, {name: b, address: 198.18.0.2}]");
    let (_, before) = directory.update(&first, &PROBE, &Names::new());
    assert_eq!(directory.update(&first, &PROBE, &Names::new()).0.len(), 0);

    let second = inventory(
        "sites: [{name: lab}]\n\
         devices: [{name: b, address: 198.18.0.9}, {name: a, site: lab, address: 198.18.0.1}, {name: c, address: 198.18.0.3}]",
    );
    let update = directory.update(&second, &PROBE, &Names::new());
    assert_eq!(summary(&update).1, ["put 2 198.18.0.9", "put 3 198.18.0.3"]);
    assert!(
        Arc::ptr_eq(&before.rows[0].counters, &update.1.rows[1].counters),
        "a, under a new site"
    );
    assert!(
        Arc::ptr_eq(&before.rows[1].counters, &update.1.rows[0].counters),
        "b, at a new address"
    );

    let third = inventory("devices: [{name: c, address: 198.18.0.3}]");
    let update = directory.update(&third, &PROBE, &Names::new());
    assert_eq!(summary(&update).1, ["remove 1", "remove 2"]);
    assert_eq!(update.1.rows.len(), 1);

    // A device that comes back is a new target: its counters start at zero.
    let update = directory.update(&first, &PROBE, &Names::new());
    assert_eq!(
        summary(&update).1,
        ["put 4 198.18.0.1", "put 5 198.18.0.2", "remove 3"]
    );
}

#[test]
fn a_name_is_probed_once_it_is_known_and_where_it_is_known() {
    let inventory = inventory("devices: [{name: n, address: host.example.org}]");
    let mut directory = Directory::default();
    let name: Text = "host.example.org".into();
    assert_eq!(
        wanted_names(&inventory),
        WantedNames::from([(name.clone(), (true, true))])
    );

    let (commands, view) = directory.update(&inventory, &PROBE, &Names::new());
    assert!(commands.is_empty() && view.rows.is_empty());
    assert_eq!(view.names.len(), 1);
    assert!(!view.names[0].resolvable);

    let v4 = Some("198.18.0.7".parse().unwrap());
    let mut names = Names::from([(
        name.clone(),
        Resolved {
            v4,
            v6: None,
            all: Arc::default(),
            resolvable: true,
        },
    )]);
    let update = directory.update(&inventory, &PROBE, &names);
    assert_eq!(summary(&update).1, ["put 1 198.18.0.7"]);
    assert!(update.1.names[0].resolvable);

    names.insert(
        name,
        Resolved {
            v4,
            v6: None,
            all: Arc::default(),
            resolvable: false,
        },
    );
    let update = directory.update(&inventory, &PROBE, &names);
    assert!(update.0.is_empty(), "the last good address stays");
    assert_eq!(update.1.rows.len(), 1);
    assert!(!update.1.names[0].resolvable);
}

#[test]
fn phases_spread_over_the_interval() {
    let mut tenths = [0; 10];
    for number in 0..10_000 {
        let phase = phase(&format!("device-{number}"), Family::V4, None) % 1_000_000_000;
        tenths[(phase / 100_000_000) as usize] += 1;
    }
    assert!(
        tenths.iter().all(|count| (800..1_200).contains(count)),
        "{tenths:?}"
    );
    assert_ne!(phase("a", Family::V4, None), phase("a", Family::V6, None));
}

#[test]
fn all_records_of_a_name_are_targets_of_their_own_and_come_and_go_by_themselves() {
    let inventory =
        inventory("devices: [{name: n, address: host.example.org, ping: {records: all}}]");
    let mut directory = Directory::default();
    let mut update = |all: &[&str]| {
        let all: Vec<IpAddr> = all.iter().map(|text| text.parse().unwrap()).collect();
        let resolved = Resolved {
            v4: None,
            v6: None,
            all: all.into(),
            resolvable: true,
        };
        let names = Names::from([("host.example.org".into(), resolved)]);
        directory.update(&inventory, &PROBE, &names)
    };
    let (commands, view) = update(&["198.18.0.1", "198.18.0.2", "2001:db8::1"]);
    assert_eq!((commands.len(), view.rows.len()), (3, 3));
    let labels: Vec<_> = view.rows.iter().map(|row| row.labels.as_str()).collect();
    for (label, (family, address)) in labels.iter().zip([
        ("ipv4", "198.18.0.1"),
        ("ipv4", "198.18.0.2"),
        ("ipv6", "2001:db8::1"),
    ]) {
        let end = format!("family=\"{family}\",address=\"{address}\"");
        assert!(label.ends_with(&end), "{label}");
    }
    assert!(view.rows[0].says_address);
    assert_ne!(view.rows[0].spec.phase, view.rows[1].spec.phase);
    let kept = Arc::clone(&view.rows[1].counters);
    let (commands, view) = update(&["198.18.0.2", "198.18.0.3"]);
    assert_eq!(commands.len(), 3, "one more, two less");
    assert!(Arc::ptr_eq(&kept, &view.rows[0].counters));
}

#[test]
fn what_the_inventory_says_of_mark_and_bursts_goes_before_the_configuration() {
    let inventory = inventory(
        "devices:\n\
         - {name: a, address: 198.18.0.1}\n\
         - {name: b, address: 198.18.0.2, ping: {mark: 7, interval: 10ms}}\n\
         - {name: c, address: 198.18.0.3, ping: {interval: 1s, burst: 20, burst_spacing: 20ms}}\n\
         - {name: d, address: 198.18.0.4, ping: {interval: 100ms, burst: 20, burst_spacing: 20ms}}",
    );
    let (_, view) = Directory::default().update(&inventory, &PROBE, &Names::new());
    let marks: Vec<_> = view
        .rows
        .iter()
        .map(|row| row.spec.profile.out.mark)
        .collect();
    assert_eq!(marks, [None, Some(7), None, None]);
    let millis = 1_000_000;
    let timing = |at: usize| {
        let timing = view.rows[at].spec.profile.timing;
        (
            timing.interval / millis,
            timing.burst,
            timing.spacing / millis,
        )
    };
    assert_eq!(timing(0).1, 1);
    assert_eq!((timing(1).0, timing(1).1), (10, 1));
    assert_eq!(timing(2), (1_000, 20, 20));
    assert_eq!(timing(3), (100, 10, 10), "made to fit");
}
