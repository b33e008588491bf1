//! Counting alone: datagrams into the collector, without sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use inventory::Inventory;
use sotp_netflow::collector::Collector;
use sotp_netflow::config::Config;
use testkit::Figures;

use crate::cpu_of_this_thread;
use crate::load::{Kind, Load};
use crate::path::ONE;

/// Measures for so long.
pub(crate) fn measure(figures: &mut Figures, seconds: f64) {
    let load = Load::new(Kind::V9, 20_000, 200_000);
    let config = Config::parse("", std::path::Path::new("bench")).unwrap();
    let mut collector = Collector::new(config.knowledge.clone(), config.top, config.accounting);
    collector.follow(Arc::new(
        Inventory::parse(ONE, std::path::Path::new("bench")).unwrap(),
    ));
    let from: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let (mut number, mut records) = (0_u32, 0_u64);
    let mut datagrams = load.datagrams.clone();
    let (mut ticked, begin) = (Instant::now(), cpu_of_this_thread());
    while cpu_of_this_thread() - begin < seconds {
        for (at, datagram) in datagrams.iter_mut().enumerate() {
            load.renumber(datagram, number);
            number = number.wrapping_add(1);
            let now = Instant::now();
            collector.datagram(from, datagram, now, 1_700_000_000.0);
            records += u64::from(if at > 0 { load.records } else { 0 });
            if now.duration_since(ticked).as_secs() > 0 {
                ticked = now;
                collector.tick(now);
            }
        }
    }
    let each = (cpu_of_this_thread() - begin) / records as f64;
    let counted = collector.exporters.values().map(|all| all.health.records);
    assert_eq!(counted.sum::<u64>(), records);
    figures.add("counting alone: CPU ns a flow", each * 1e9, None, None);
}
