//! What is looked up for every flow: the autonomous systems of both ends, from a file that is read anew all the while.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use sotp_netflow::systems::Systems;
use testkit::{Figures, Goal};

use crate::cpu_of_this_thread;
use crate::load::Random;

#[path = "../../src/systems/tests/file.rs"]
mod file;

/// Networks of the file, as many as the Internet's table of IPv4 has within a factor of four.
const NETWORKS: u32 = 250_000;

/// Looks addresses of many hosts up while another thread swaps the table, as a reload of its file does.
pub(crate) fn measure(figures: &mut Figures, seconds: f64) {
    let mut random = Random(7);
    let networks: Vec<(String, u32, u32)> = (0..NETWORKS)
        .map(|at| {
            let address = Ipv4Addr::from((random.next() as u32) & !0xff);
            (address.to_string(), 24, 64_500 + at % 60_000)
        })
        .collect();
    let networks: Vec<(&str, u32, u32)> = networks
        .iter()
        .map(|(address, length, system)| (&**address, *length, *system))
        .collect();
    let bytes = file::file(4, 32, &networks);
    let begin = cpu_of_this_thread();
    let systems = Systems::read(&bytes).unwrap();
    figures.add(
        "a file of 250,000 networks: CPU milliseconds to read it",
        (cpu_of_this_thread() - begin) * 1e3,
        None,
        None,
    );
    let known = Arc::new(Mutex::new(Arc::new(systems)));
    let (stop, swaps) = (Arc::new(AtomicBool::new(false)), Arc::clone(&known));
    let stopped = Arc::clone(&stop);
    let swapping = std::thread::spawn(move || {
        let mut count = 0_u32;
        while !stopped.load(Relaxed) {
            let fresh = Arc::new(Systems::read(&bytes).unwrap());
            *swaps.lock().unwrap() = fresh;
            count += 1;
        }
        count
    });
    // A tenth of the addresses has most of the traffic.
    let addresses: Vec<IpAddr> = (0..1 << 16)
        .map(|_| {
            IpAddr::V4(Ipv4Addr::from(
                random.host(200_000).wrapping_mul(2_654_435_761),
            ))
        })
        .collect();
    let (mut lookups, mut sum, begin) = (0_u64, 0_u64, cpu_of_this_thread());
    while cpu_of_this_thread() - begin < seconds {
        for datagrams in addresses.chunks(64 * 22) {
            // Held for as long as the collector holds it: for one batch of datagrams.
            let systems = known.lock().unwrap();
            for address in datagrams {
                sum += u64::from(systems.of(*address));
            }
            lookups += datagrams.len() as u64;
        }
    }
    let rate = lookups as f64 / (cpu_of_this_thread() - begin) / 1e6;
    stop.store(true, Relaxed);
    let swaps = swapping.join().unwrap();
    assert!(sum > 0);
    figures.add(
        "million lookups of a system per CPU second",
        rate,
        None,
        Some(Goal::AtLeast(50.0)),
    );
    figures.add(
        "times the table was swapped meanwhile",
        f64::from(swaps),
        None,
        Some(Goal::AtLeast(1.0)),
    );
}
