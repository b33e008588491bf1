//! Decoding alone, and netflow_parser on the same bytes.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use sotp_netflow::decode;
use sotp_netflow::session::Session;
use testkit::{Figures, Goal};

use crate::cpu_of_this_thread;
use crate::load::{Kind, Load};

/// Measures each kind for so long.
pub(crate) fn measure(figures: &mut Figures, seconds: f64, oracle: &Path) {
    for kind in Kind::ALL {
        let load = Load::new(kind, 4_000, 100_000);
        let rate = decoded(&load, seconds) / 1e6;
        let goal = match kind {
            Kind::V9 | Kind::Ipfix | Kind::V5 => Some(Goal::AtLeast(60.0)),
            Kind::IpfixVariable => Some(Goal::AtLeast(25.0)),
            Kind::Sflow => None,
        };
        let what = format!("decode {}: million records per CPU second", kind.name());
        figures.add(&what, rate, None, goal);
        if let Some(theirs) = oracle_of(oracle, &load, seconds).map(|rate| rate / 1e6) {
            // Less is better where there is a peer.
            let what = format!("decode {}: CPU ns a record", kind.name());
            let peer = Some(("netflow_parser", 1e3 / theirs));
            figures.add(&what, 1e3 / rate, peer, None);
        }
    }
}

/// Records per CPU second.
fn decoded(load: &Load, seconds: f64) -> f64 {
    let mut session = Session::default();
    let (now, begin) = (Instant::now(), cpu_of_this_thread());
    let mut records = 0_u64;
    while cpu_of_this_thread() - begin < seconds {
        for datagram in &load.datagrams {
            decode::read(datagram, &mut session, now, &mut |flow| {
                records += 1;
                // All of it is wanted.
                std::hint::black_box(flow);
            });
        }
    }
    assert!(records > 0);
    records as f64 / (cpu_of_this_thread() - begin)
}

/// The same of netflow_parser; `None` where it is not built, or reads no such datagrams.
fn oracle_of(oracle: &Path, load: &Load, seconds: f64) -> Option<f64> {
    if load.kind == Kind::Sflow || !oracle.exists() {
        return None;
    }
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for datagram in &load.datagrams {
        let length = u16::try_from(datagram.len()).unwrap();
        file.write_all(&length.to_be_bytes()).unwrap();
        file.write_all(datagram).unwrap();
    }
    file.flush().unwrap();
    let told = Command::new(oracle)
        .arg(file.path())
        .arg(seconds.to_string())
        .output()
        .unwrap();
    let text = String::from_utf8(told.stdout).unwrap();
    Some(text.trim().parse().unwrap())
}
