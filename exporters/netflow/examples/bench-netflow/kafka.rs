//! Single flows to Kafka: a thread that puts blocks into words, packs and sends them, and a broker that takes everything.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use sotp_netflow::decode::Protocol;
use sotp_netflow::flow::{Flow, Span};
use sotp_netflow::sinks::kafka::{self, Kafka};
use sotp_netflow::sinks::{BLOCK, Counts, Exported, From};
use testkit::{Figures, Goal};
use tokio::sync::{Mutex, mpsc};
use toolkit::Stop;

use crate::cpu_of_this_thread;
use crate::load::Random;

#[path = "../../tests/it/broker.rs"]
#[allow(dead_code, reason = "the tests use the rest of it")]
mod broker;

/// Measures what a flow costs the thread that sends, with and without compression.
pub(crate) fn measure(figures: &mut Figures, seconds: f64) {
    for (snappy, per_message) in [(false, 1), (false, 100), (true, 100)] {
        let rate = sent(snappy, per_message, seconds) / 1e6;
        let packed = if snappy { ", snappy" } else { "" };
        let goal = (per_message > 1).then_some(Goal::AtLeast(1.0));
        let what = format!(
            "to Kafka, {per_message} flows a message{packed}: million flows per CPU second"
        );
        figures.add(&what, rate, None, goal);
    }
}

/// Flows per CPU second of the thread that sends.
fn sent(snappy: bool, flows_per_message: usize, seconds: f64) -> f64 {
    let broker = broker::Broker::discarding(SocketAddr::from(([127, 0, 0, 1], 0)));
    let to = Kafka {
        brokers: vec![broker.address.to_string()],
        topic: broker::TOPIC.to_owned(),
        flows_per_message,
        snappy,
        tls: None,
        login: None,
    };
    // As the collector fills it: blocks, of which so many may wait.
    let (sink, blocks) = mpsc::channel(64);
    let counts: Arc<Counts> = Arc::default();
    let (stop, blocks) = (Stop::new(), Mutex::new(blocks));
    let (stopped, delivered) = (stop.clone(), Arc::clone(&counts));
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let begin = cpu_of_this_thread();
        runtime.block_on(kafka::run(&to, &blocks, &delivered, &stopped));
        cpu_of_this_thread() - begin
    });
    let mut random = Random(3);
    let flows: Vec<Flow> = (0..BLOCK).map(|_| flow(&mut random)).collect();
    let from = From {
        device: "r1".into(),
        exporter: [192, 0, 2, 1].into(),
        protocol: Protocol::NetFlow9,
        domain: 7,
        sequence: 1,
        received_ns: 1_700_000_000_000_000_000,
    };
    let block: Vec<Exported> = flows
        .iter()
        .map(|flow| Exported {
            from: from.clone(),
            flow: *flow,
            systems: (64_500, 64_501),
            application: None,
            duplicate: false,
        })
        .collect();
    let begin = Instant::now();
    while begin.elapsed().as_secs_f64() < seconds {
        if sink.blocking_send(block.clone()).is_err() {
            break;
        }
    }
    drop(sink);
    stop.trigger();
    let cpu = thread.join().unwrap();
    assert_eq!(counts.dropped.load(Relaxed), 0);
    counts.delivered.load(Relaxed) as f64 / cpu
}

fn flow(random: &mut Random) -> Flow {
    Flow {
        source: Some(std::net::Ipv4Addr::from(0xc612_0000 + random.host(60_000)).into()),
        destination: Some(std::net::Ipv4Addr::from(0x0a00_0000 + random.host(60_000)).into()),
        source_port: random.next() as u16,
        destination_port: 443,
        protocol: 6,
        input: 4,
        output: 9,
        bytes: random.next() % 100_000,
        packets: random.next() % 100,
        tcp_flags: 0x1b,
        span: Some(Span::new(3_000, 1_000)),
        ..Flow::default()
    }
}
