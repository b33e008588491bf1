//! What is kept over a restart.

use std::net::UdpSocket;

use testkit::eventually;

use crate::support::{self, DEVICES};

/// NetFlow v9 of domain 7: a header and these sets.
fn datagram(sequence: u8, sets: &[u8]) -> Vec<u8> {
    let mut out = vec![
        0, 9, 0, 1, 0, 0, 0x13, 0x88, 0x65, 0x53, 0xf1, 0, 0, 0, 0, sequence, 0, 0, 0, 7,
    ];
    out.extend(sets);
    out
}

/// An exporter tells its template every half hour, and its sampling rate as rarely. The restart loses neither.
#[tokio::test]
async fn templates_and_sampling_rates_outlive_a_restart() {
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let place = support::start(DEVICES, "accounting: arrival\n").await;
    // Template 256: octets and the sampler. Options template 300: sampler and its interval; sampler 5 takes 1 of 100.
    let template = [0, 0, 0, 16, 1, 0, 0, 2, 0, 1, 0, 4, 0, 48, 0, 1];
    let options = [
        0, 1, 0, 20, 1, 44, 0, 4, 0, 4, 0, 48, 0, 1, 0, 34, 0, 4, 0, 0,
    ];
    let told = [1, 44, 0, 9, 5, 0, 0, 0, 100];
    let sets = [&template[..], &options, &told].concat();
    sender
        .send_to(&datagram(1, &sets), ("127.0.0.1", place.port))
        .unwrap();
    let file = place.files.join("data/templates.json");
    eventually(std::time::Duration::from_secs(20), || async {
        anyhow::ensure!(file.is_file(), "templates are not written yet");
        Ok(())
    })
    .await
    .unwrap();

    let place = place.restart(DEVICES, "accounting: arrival\n").await;
    let data = [1, 0, 0, 9, 0, 0, 0, 70, 5];
    sender
        .send_to(&datagram(2, &data), ("127.0.0.1", place.port))
        .unwrap();
    let samples = place
        .until("the flow", |samples| {
            samples.sum("netflow_flows_total", &[]) > 0.0
        })
        .await;
    assert_eq!(samples.sum("netflow_bytes_total", &[]), 7_000.0);
    assert_eq!(samples.sum("netflow_raw_bytes_total", &[]), 70.0);
    assert_eq!(
        samples.sum("netflow_waiting_sets_total", &[]),
        0.0,
        "it did not even wait"
    );
}
