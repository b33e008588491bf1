//! A session that is recorded holds nothing of whose device it is, and is replayed to the same answers.

use std::sync::Arc;

use ssh::{Driver, HostKeys, Login, OnUnknown, Recording, Session, Target};
use testkit::ssh::{Device, Fault};
use toolkit::Secret;

const CONFIG: &str = "version 15.2\nhostname ber-core-7\nusername carla privilege 15 secret 9 $9$abcdefgh$ijklmnop\nsnmp-server community c0mmunity7 RO\ninterface Vlan5\n description Acme Ltd uplink\n ip address 203.0.113.7 255.255.255.0\nbanner motd ^C\nproperty of Acme\n^C\nend\n";
const VERSION: &str = "Cisco IOS Software, C2960 Software (C2960-LANBASEK9-M), Version 15.2(7)E, RELEASE SOFTWARE (fc3)\ncisco WS-C2960X-24TS-L (APM86XXX) processor (revision A0) with 524288K bytes of memory.\nProcessor board ID FOC1234X0AB\n";

async fn recorded(device: Device) -> Recording {
    let device = device
        .answer("terminal width 511", "")
        .answer("show running-config", CONFIG)
        .answer("show startup-config", CONFIG)
        .answer("show version", VERSION)
        .start()
        .await
        .unwrap();
    let dir = testkit::TempDir::new().unwrap();
    let keys = dir.write("known_hosts", &device.known_host).unwrap();
    let keys = Arc::new(HostKeys::new(keys, OnUnknown::Refuse));
    let login = Login::new("sotpuser").password(Secret::new("right"));
    let driver = Driver::load("ios").unwrap();
    let target = Target::new("127.0.0.1", device.address.port());
    let mut session = Session::open_recorded(&target, &login, &driver, &keys)
        .await
        .unwrap();
    let names = [("ber-core-7", "r1"), ("sotpuser", "bob")];
    Recording::of(&mut session, &names).await.unwrap()
}

#[tokio::test]
async fn recording_is_anonymous_and_is_replayed_whatever_the_device_does_to_its_lines() {
    let device = || {
        Device::new("ber-core-7", "sotpuser", "right")
            .banner("This is Acme's. Last login from 203.0.113.9\n")
    };
    let log = "%SYS-5-CONFIG_I: Configured from console by carla on vty0 (203.0.113.9)";
    for (what, device) in [
        ("plain", device()),
        ("paged", device().page(3, "no such command")),
        ("logs", device().fault(Fault::Logs(log))),
        ("small pieces", device().piece(7)),
    ] {
        let recording = recorded(device).await;
        let text = recording.text();
        for gone in [
            "ber-core",
            "carla",
            "abcdefgh",
            "c0mmunity7",
            "Acme",
            "203.0.113",
            "FOC1234",
            "sotpuser",
            "right",
        ] {
            assert!(!text.contains(gone), "{what}: {gone}: {text}");
        }
        assert_eq!(recording.platform(), "ios");
        let again = Recording::parse(&text).unwrap();
        assert_eq!(again, recording, "{what}");
        let driver = Driver::load("ios").unwrap();
        assert!(again.replays_login(&driver), "{what}: {text}");
        let answers = again.replay(&driver).unwrap();
        let lines = |command: &str| {
            let found = answers.iter().find(|(own, _)| own == command);
            found
                .unwrap_or_else(|| panic!("{what}: {answers:?}"))
                .1
                .clone()
        };
        let config = lines("show running-config");
        assert_eq!(config.last().map(String::as_str), Some("end"), "{what}");
        assert_eq!(config.len(), CONFIG.lines().count(), "{what}");
        assert_eq!(config[1], "hostname r1");
        assert_eq!(config[6], " ip address 198.18.0.7 255.255.255.0");
        assert_eq!(lines("show version")[0], VERSION.lines().next().unwrap());
        let refused = lines("show inventory");
        assert!(driver.refusal(&refused).is_some(), "{refused:?}");
    }
}
