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

/// systemd listens for the service: what was sent before it began waits in the socket and is counted.
#[tokio::test]
async fn sockets_of_the_service_manager_are_used_with_what_waits_in_them() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    for sequence in 1..=3 {
        sender.send_to(&datagram(sequence, &[]), address).unwrap();
    }
    let files = testkit::TempDir::new().unwrap();
    let inventory = files.write("inventory.yaml", DEVICES).unwrap();
    let config = format!("listen: ['{address}']\n");
    let config = files.write("netflow.yaml", config).unwrap();
    let port = files.join("port");
    let mut child = std::process::Command::new("sh")
        .args([
            "-c",
            "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"",
            "sh",
            support::BINARY,
            "--web.listen-address=127.0.0.1:0",
        ])
        .arg(format!("--web.port-file={}", port.display()))
        .arg(format!("--inventory.source={}", inventory.display()))
        .arg(format!("--config.file={}", config.display()))
        .stdin(std::os::fd::OwnedFd::from(socket))
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let counted = eventually(std::time::Duration::from_secs(30), || async {
        let web = std::fs::read_to_string(&port)?;
        let page = testkit::client().get(format!("http://{}/metrics", web.trim()));
        let page = page.send().await?.text().await?;
        let counted = testkit::Samples::parse(&page)?.sum("netflow_datagrams_total", &[]);
        anyhow::ensure!((counted - 3.0).abs() < 0.5, "{counted} of 3 datagrams");
        Ok(())
    })
    .await;
    let _ = child.kill();
    let _ = child.wait();
    counted.unwrap();
}
