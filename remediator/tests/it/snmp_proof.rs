//! Where it is asked for, SNMP has to say that a repair helped, by a sample from after it: a real Prometheus is asked.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use promapi::Section;
use sotp_remediator::job::State;
use sotp_remediator::runbook::Level;
use testkit::{Server, eventually};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::bench::{BEGIN, Bench, alert};

/// A page with one series of SNMP, as sotp-snmp has it.
async fn exporter() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let page = "# TYPE ifAdminStatus gauge\nifAdminStatus{device=\"r1\",ifName=\"r2\"} 1\n";
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
                page.len()
            );
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    address
}

/// A Prometheus is started, and a proof that does not come is waited for.
#[tokio::test]
async fn a_sample_from_before_the_repair_proves_nothing_and_one_from_after_it_does() {
    let target = exporter().await;
    let config = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n  - job_name: snmp\n    static_configs: [{{targets: ['{target}']}}]\n"
    );
    let prometheus = Server::prometheus(&config).await.unwrap();
    eventually(Duration::from_secs(20), || async {
        anyhow::ensure!(prometheus.value("ifAdminStatus").await? > 0.0, "no sample");
        Ok(())
    })
    .await
    .unwrap();
    let mut bench = Bench::new(Level::Auto);
    let client = Section::new(&prometheus.url).client(Path::new("/"));
    bench.proof = Arc::new(client.map_err(|wrong| wrong.message).unwrap());
    bench.change(|setup| setup.snmp_proof = Duration::from_secs(2));
    let works = bench.works().await;

    // The clock of the bench stands long before any sample.
    bench.port("r1", "r2", |port| port.up = false);
    works.send(vec![alert("r1", "r2", BEGIN, true)]).await;
    let job = works.newest(1, State::Succeeded).await;
    assert!(job.reason.contains("SNMP says so too"), "{}", job.reason);

    // And now long after all of them.
    let ahead = jiff::Timestamp::now().as_millisecond() + 3_600_000 - BEGIN;
    bench.later(ahead);
    bench.port("r1", "r2", |port| port.up = false);
    works
        .send(vec![alert("r1", "r2", BEGIN + ahead, true)])
        .await;
    let job = works.newest(2, State::Escalated).await;
    assert!(bench.is_up("r1", "r2"), "the device says that it is up");
    assert!(job.reason.contains("SNMP: no value"), "{}", job.reason);
    works.end().await;
}
