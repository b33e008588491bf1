//! A Prometheus with months of history that scrapes the forecaster, which asks it.

use std::net::TcpListener;
use std::sync::OnceLock;

use history::{Device, End, Instances, Link, Network, Period, Stream};
use testkit::{Process, Server, Spawn, TempDir};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_sotp-forecast");

/// The history, written once for all tests of the process.
static HISTORY: OnceLock<TempDir> = OnceLock::new();

/// Both, and the folder that they read.
pub(crate) struct World {
    pub(crate) prometheus: Server,
    pub(crate) forecast: Process,
    _folder: TempDir,
}

/// A router and a host with a stream that fills up the line between them.
fn network() -> Network {
    let device = |name: &str, snmp| Device {
        name: name.to_owned(),
        site: "berlin".to_owned(),
        role: if snmp { "edge" } else { "host" }.to_owned(),
        platform: "frr".to_owned(),
        address: "198.18.0.1".to_owned(),
        snmp,
    };
    let end = |device, interface: &str| End {
        device,
        interface: interface.to_owned(),
        index: 2,
    };
    Network {
        devices: vec![device("r1", true), device("h1", false)],
        links: vec![Link {
            ends: [end(0, "to-h1"), end(1, "to-r1")],
            speed: 1,
            cost: 10,
        }],
        streams: vec![Stream {
            from: 1,
            to: 0,
            bits_per_second: 412_000.0,
        }],
        instances: Instances {
            ping: "127.0.0.1:19427".to_owned(),
            inventory: "127.0.0.1:19870".to_owned(),
        },
    }
}

fn history() -> &'static TempDir {
    HISTORY.get_or_init(|| {
        let (data, scratch) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let period = Period::until(jiff::Timestamp::now());
        let promtool = "promtool".as_ref();
        history::write(
            &network(),
            period,
            promtool,
            data.path(),
            scratch.path(),
            || false,
        )
        .unwrap();
        vitals(scratch.path(), data.path());
        data
    })
}

/// A month of the processors of five routers, and of the memory of the first, which a network's history has not.
fn vitals(scratch: &std::path::Path, data: &std::path::Path) {
    let now = jiff::Timestamp::now().as_second();
    let mut random = fastrand::Rng::with_seed(5);
    let mut text = String::new();
    let processors = (1..=5).map(|of| (of, "cpu_ratio", "cpu=\"0\"", 0.3));
    let memory = (1, "memory_used_ratio", "pool=\"RAM\"", 0.5);
    for (of, name, part, usual) in processors.chain([memory]) {
        let series =
            format!("sotp_device_{name}{{device=\"r{of}\",site=\"berlin\",role=\"edge\",{part}}}");
        for at in (now - 30 * 86_400..=now).step_by(240) {
            let season = (at as f64 / 86_400.0 * std::f64::consts::TAU).sin();
            let value = usual + 0.1 * season + 0.02 * (random.f64() - 0.5);
            text += &format!("{series} {value:.4} {at}\n");
        }
    }
    let file = scratch.join("vitals.txt");
    std::fs::write(&file, text + "# EOF\n").unwrap();
    let mut promtool = std::process::Command::new("promtool");
    promtool.args(["tsdb", "create-blocks-from", "openmetrics", "--quiet"]);
    promtool
        .arg("--max-block-duration=162h")
        .args([file.as_path(), data]);
    assert!(promtool.status().unwrap().success());
}

/// Copies a folder of blocks, for one Prometheus alone may write into its folder.
fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Starts both; `more` is appended to the configuration of the forecaster.
pub(crate) async fn start(more: &str) -> World {
    let folder = TempDir::new().unwrap();
    let data = folder.join("data");
    copy(history().path(), &data);
    // Prometheus has to know where the forecaster will be.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let scrape = format!(
        "scrape_configs:\n  - job_name: forecast\n    scrape_interval: 1s\n    static_configs:\n      - targets: ['{port}']\n"
    );
    let prometheus = Server::prometheus_over(&scrape, &data).await.unwrap();
    let text = format!(
        "prometheus: {{url: '{}'}}\nobserve: 1s\ncpu_percent: 100\n{more}",
        prometheus.url
    );
    let config = folder.write("forecast.yaml", &text).unwrap();
    let forecast = Spawn::new(BINARY)
        .args([format!("--config.file={}", config.display())])
        .listen(port.to_string())
        .start()
        .await
        .unwrap();
    World {
        prometheus,
        forecast,
        _folder: folder,
    }
}
