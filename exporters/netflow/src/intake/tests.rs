use std::path::Path;

use inventory::Inventory;

use super::*;
use crate::knowledge::Knowledge;
use crate::totals::TopBounds;
use crate::totals::spread::Accounting;

/// One record of version 5.
fn datagram(sequence: u32) -> [u8; 72] {
    let mut datagram = [0; 72];
    datagram[..4].copy_from_slice(&[0, 5, 0, 1]);
    datagram[16..20].copy_from_slice(&sequence.to_be_bytes());
    // Packets and octets.
    (datagram[43], datagram[47]) = (1, 100);
    datagram
}

#[test]
fn who_floods_loses_his_own_datagrams_and_nobody_elses() {
    let devices = "devices: [{name: r1, address: 127.0.0.1, flow: {}}, {name: flood, address: 127.0.2.1, flow: {}}]";
    let inventory = Inventory::parse(devices, Path::new("inventory.yaml")).unwrap();
    let bounds = TopBounds {
        rows: 10,
        keys: 1_000,
        hold: Duration::from_secs(60),
    };
    let mut collector = Collector::new(Knowledge::nothing(), bounds, Accounting::Arrival);
    collector.follow(Arc::new(inventory));
    let collector = Mutex::new(collector);
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), 1 << 20).unwrap();
    let to = listener.address;
    let flood = UdpSocket::bind("127.0.2.1:0").unwrap();
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (mut sent, mut sent_other) = (0_u32, 0_u32);
    while !listener.fills(2) {
        flood.send_to(&datagram(sent), to).unwrap();
        sent += 1;
        if sent % 20 == 1 {
            other.send_to(&datagram(sent_other), to).unwrap();
            sent_other += 1;
        }
    }
    let listeners = [listener];
    // A third of what the flood needs, more than the other does.
    let room = usize::try_from(sent).unwrap() * 140 / 3;
    let mut intake = Intake::new(&listeners, &collector, room);
    while intake.round() {}
    assert!(intake.lanes.is_empty());
    assert_eq!(listeners[0].memory().0, 0, "the kernel dropped none");
    let collector = lock(&collector);
    let of = |name: &str| {
        let health = &collector.exporters[name].health;
        (health.records, health.overrun)
    };
    assert_eq!(of("r1"), (u64::from(sent_other), 0));
    let (records, overrun) = of("flood");
    assert!(overrun > 0, "{sent} were more than its lane holds");
    assert_eq!(records + overrun, u64::from(sent));
}
