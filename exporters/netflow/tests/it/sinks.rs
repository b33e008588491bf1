//! Single flows to Kafka and to Loki, with the real program.

use std::collections::BTreeSet;
use std::time::Duration;

use prost::Message as _;
use testkit::eventually;

use crate::broker::{Broker, PARTITIONS};
use crate::support::{self, DEVICES, Place};

/// Some fields of goflow2's message.
#[derive(Clone, PartialEq, prost::Message)]
struct FlowMessage {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(bytes = "vec", tag = "6")]
    src_addr: Vec<u8>,
    #[prost(uint64, tag = "9")]
    bytes: u64,
    #[prost(bytes = "vec", tag = "11")]
    sampler_address: Vec<u8>,
    #[prost(uint32, tag = "22")]
    dst_port: u32,
    #[prost(uint64, tag = "110")]
    time_received_ns: u64,
}

/// Records of one datagram.
const RECORDS: u64 = 30;

/// Sends so many datagrams of NetFlow 5, each record of another number of octets, from 1 on, to port 443 or 53.
async fn send(place: &Place, datagrams: u64) {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for at in 0..datagrams {
        let mut out = vec![0; 24];
        (out[1], out[3]) = (5, RECORDS as u8);
        let sequence = (at * RECORDS) as u32;
        out[16..20].copy_from_slice(&sequence.to_be_bytes());
        for record in 0..RECORDS {
            let mut body = [0; 48];
            body[..8].copy_from_slice(&[198, 18, 0, 1, 198, 19, 0, 2]);
            body[19] = 1;
            let octets = (at * RECORDS + record + 1) as u32;
            body[20..24].copy_from_slice(&octets.to_be_bytes());
            let port = if record % 2 == 0 { 443_u16 } else { 53 };
            body[34..36].copy_from_slice(&port.to_be_bytes());
            body[38] = 17;
            out.extend(body);
        }
        socket.send_to(&out, ("127.0.0.1", place.port)).unwrap();
        // As many as the buffer of an ordinary user's socket holds, then they are waited for.
        if at % 40 == 39 || at + 1 == datagrams {
            let sent = ((at + 1) * RECORDS) as f64;
            let taken =
                |samples: &testkit::Samples| samples.sum("netflow_records_total", &[]) == sent;
            place.until("what was sent is taken", taken).await;
        }
    }
}

/// All messages of all records.
fn messages(broker: &Broker) -> Vec<FlowMessage> {
    let mut all = Vec::new();
    for (_, value) in broker.records() {
        let mut rest = &*value;
        while !rest.is_empty() {
            all.push(FlowMessage::decode_length_delimited(&mut rest).unwrap());
        }
    }
    all
}

fn sink(samples: &testkit::Samples, name: &str, labels: &[(&str, &str)]) -> u64 {
    let labels = [labels, &[("sink", "kafka")]].concat();
    samples.sum(&format!("netflow_sink_{name}"), &labels) as u64
}

#[tokio::test]
async fn kafka_gets_every_flow_in_goflow2s_form_although_it_fails_at_first() {
    let broker = Broker::start(([127, 0, 0, 1], 0).into());
    // The request timed out, and not enough replicas are there.
    broker.fail(&[7, 19]);
    let config = format!(
        "flows_to_kafka: {{brokers: ['{}'], flows_per_message: 7}}",
        broker.address
    );
    let place = support::start(DEVICES, &config).await;
    send(&place, 200).await;
    let flows = 200 * RECORDS;
    // At least once: a block that was under way to another partition when one failed may come again, whole.
    let received = eventually(Duration::from_secs(60), || async {
        let all = messages(&broker);
        let octets: BTreeSet<u64> = all.iter().map(|flow| flow.bytes).collect();
        anyhow::ensure!(
            octets == (1..=flows).collect(),
            "{} of {flows}",
            octets.len()
        );
        Ok(all)
    });
    let received = received.await.unwrap();
    assert_eq!(broker.errors_left(), 0);
    let first = &received[0];
    assert_eq!((first.kind, &*first.src_addr), (2, &[198, 18, 0, 1][..]));
    assert_eq!(first.sampler_address, [127, 0, 0, 1]);
    assert!(first.time_received_ns > 1_600_000_000_000_000_000);
    let partitions: BTreeSet<i32> = broker.records().iter().map(|record| record.0).collect();
    assert_eq!(partitions, (0..PARTITIONS).collect());
    let samples = place
        .until("all delivered", |samples| {
            sink(samples, "flows_total", &[("result", "delivered")]) == flows
        })
        .await;
    assert_eq!(sink(&samples, "waiting_flows", &[]), 0);
    assert_eq!(sink(&samples, "flows_total", &[("result", "dropped")]), 0);
    assert!(sink(&samples, "errors_total", &[]) >= 1);
}

#[tokio::test]
async fn what_kafka_cannot_take_waits_up_to_a_bound_and_the_rest_is_counted() {
    // A port that was free a moment ago; nobody else of this test binds it.
    let later = Broker::start(([127, 0, 0, 2], 0).into()).address;
    let away = std::net::SocketAddr::from(([127, 0, 0, 3], later.port()));
    let config = format!(
        "flows_to_kafka: {{brokers: ['{away}'], waiting_flows: 1000, only: [{{port: 53}}]}}"
    );
    let place = support::start(DEVICES, &config).await;
    send(&place, 400).await;
    let chosen = 400 * RECORDS / 2;
    let samples = place
        .until("all are waiting or dropped", |samples| {
            let dropped = sink(samples, "flows_total", &[("result", "dropped")]);
            dropped > 0 && dropped + sink(samples, "waiting_flows", &[]) == chosen
        })
        .await;
    assert_eq!(
        samples.sum("netflow_records_total", &[]) as u64,
        400 * RECORDS
    );
    assert!(
        sink(&samples, "waiting_flows", &[]) <= sink(&samples, "waiting_flows_limit", &[]) + 1_000
    );
    let broker = Broker::start(away);
    let samples = eventually(Duration::from_secs(90), || async {
        let samples = place.process.scrape().await?;
        let waiting = sink(&samples, "waiting_flows", &[]);
        anyhow::ensure!(waiting == 0, "{waiting} wait");
        Ok(samples)
    });
    let samples = samples.await.unwrap();
    let delivered = sink(&samples, "flows_total", &[("result", "delivered")]);
    let dropped = sink(&samples, "flows_total", &[("result", "dropped")]);
    assert_eq!(delivered + dropped, chosen);
    let received = messages(&broker);
    assert_eq!(received.len() as u64, delivered);
    assert!(received.iter().all(|flow| flow.dst_port == 53));
}

#[tokio::test]
async fn loki_gets_the_chosen_flows_as_structured_metadata_up_to_its_rate() {
    let loki = testkit::loki::Loki::start(None).await.unwrap();
    let config = format!(
        "loki: {{url: '{}'}}\nflows_to_loki: {{only: [{{port: 53}}], lines_per_second: 50}}\n",
        loki.push_url()
    );
    let place = support::start(DEVICES, &config).await;
    send(&place, 20).await;
    let flows = || -> Vec<_> {
        let entries = loki.entries().into_iter();
        entries
            .filter(|entry| entry.get("by") == Some("flow"))
            .collect()
    };
    let count = |samples: &testkit::Samples, result: &str| {
        let labels = [("sink", "loki"), ("result", result)];
        samples.sum("netflow_sink_flows_total", &labels) as usize
    };
    let samples = place
        .until("all were looked at", |samples| {
            count(samples, "delivered") + count(samples, "dropped") == 300
        })
        .await;
    // What gathers in a second, and what comes meanwhile.
    let kept = count(&samples, "delivered");
    assert!((50..300).contains(&kept), "{kept}");
    let entries = eventually(Duration::from_secs(20), || async {
        anyhow::ensure!(flows().len() == kept, "{} of {kept}", flows().len());
        Ok(flows())
    });
    let entries = entries.await.unwrap();
    let first = &entries[0];
    assert_eq!(
        first.line,
        "198.18.0.1:0 > 198.19.0.2:53 udp 2 octets in 1 packets"
    );
    let expected = [
        ("job", "netflow"),
        ("device", "r1"),
        ("source", "198.18.0.1"),
        ("destination", "198.19.0.2"),
        ("dport", "53"),
        ("protocol", "udp"),
        ("bytes", "2"),
        ("application", "dns"),
        ("one_in", "1"),
    ];
    for (name, value) in expected {
        assert_eq!(first.get(name), Some(value), "{name}");
    }
    assert_eq!(first.get("sport"), None, "what is not said is not told");
    assert!(entries.iter().all(|entry| entry.get("dport") == Some("53")));
}
