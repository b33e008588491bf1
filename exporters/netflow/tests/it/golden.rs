//! What users meet of the service, held to the files in `tests/golden`.

use std::net::UdpSocket;

use testkit::Golden;

use crate::support::{self, BINARY, DEVICES};

fn golden() -> Golden {
    Golden::new(BINARY, env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_command_line_is_that_of_the_golden_files() {
    golden().command_line();
}

/// One NetFlow v5 record in at 4 and out at 9.
fn datagram() -> Vec<u8> {
    let mut out = vec![0; 24 + 48];
    out[1] = 5;
    out[3] = 1;
    out[24..28].copy_from_slice(&[198, 18, 0, 1]);
    out[28..32].copy_from_slice(&[198, 18, 1, 1]);
    (out[37], out[39], out[43], out[47]) = (4, 9, 1, 100);
    (out[58], out[59], out[62]) = (1, 187, 6);
    out
}

#[tokio::test]
async fn the_series_are_those_of_the_golden_file() {
    // Nobody is there: the sink is, with its series at 0.
    let kafka = "flows_to_kafka: {brokers: ['127.0.0.1:9']}\nreverse_dns: {}\n";
    let place = support::start(DEVICES, kafka).await;
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender
        .send_to(&datagram(), ("127.0.0.1", place.port))
        .unwrap();
    let page = async || Ok(place.process.get("/metrics").await?.1);
    let needed = [
        "netflow_interface_derived_out_bytes_total{",
        "netflow_top_pair_bytes_total{device=\"r1\",site=\"lab\",role=\"router\",source=\"198.18.0.1\"",
    ];
    golden()
        .metrics("metrics.txt", &needed, page)
        .await
        .unwrap();
}
