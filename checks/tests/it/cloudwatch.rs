//! CloudWatch, from end to end: a real YACE with our configurations asks a double of AWS, Prometheus takes its pages by our own job, and the
//! alert and the panels have what they ask for.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use inventory::Inventory;
use serde_json::{Value, json};
use sotp_checks::{root, tools};
use testkit::{Server, TempDir, eventually, skip};

use crate::ports;

/// The Go module, at the version that the component `cloudwatch` runs.
const YACE: &str = "github.com/prometheus-community/yet-another-cloudwatch-exporter@v0.67.0";
/// Seconds for its build, which takes two and a half minutes of a processor; the runner ends a test that takes ten.
const BUILD: &str = "400";
const MOTO: &str = "moto[rds,cloudwatch,server]==5.2.5";

/// A child that ends with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// YACE: that of `SOTP_YACE` or of the system, else what Go installed under `target/`, or installs where `SOTP_GO` is set; why there is none.
fn yace(target: &Path) -> Result<PathBuf, String> {
    if let Some(named) = std::env::var_os("SOTP_YACE") {
        return Ok(named.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path);
    if let Some(found) = folders.find_map(|one| Some(one.join("yace")).filter(|p| p.is_file())) {
        return Ok(found);
    }
    let folder = target.join("yace");
    let program = folder.join("yace");
    if program.exists() {
        return Ok(program);
    }
    if std::env::var_os("SOTP_GO").is_none() {
        return Err("make soak has Go build it, or SOTP_YACE names it".to_owned());
    }
    let mut download = Command::new("go");
    download.args(["mod", "download", "-json", YACE]);
    let module = said(&mut download)?;
    let module: Value = serde_json::from_str(&module).map_err(|error| error.to_string())?;
    let sources = module["Dir"].as_str().ok_or("go names no folder")?;
    // In the module's own folder: by its address Go would ask for the list of all versions too, which not every module proxy has.
    let mut install = Command::new("timeout");
    install
        .args([BUILD, "go", "install", "./cmd/yace"])
        .current_dir(sources)
        .env("GOBIN", &folder)
        .env("GOFLAGS", "-mod=readonly -buildvcs=false");
    said(&mut install)?;
    Ok(program)
}

/// What a command says; an error has what it said instead.
fn said(command: &mut Command) -> Result<String, String> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    // Go tells of a module that is not there on standard output, as JSON.
    let [out, err] =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    Err(format!("{command:?}: {}: {err}{out}", output.status))
}

/// The Python of an environment under `target/` that has moto; why there is none.
fn moto(target: &Path) -> anyhow::Result<PathBuf> {
    let folder = target.join("moto");
    let (python, marker) = (folder.join("bin/python"), folder.join("pins"));
    if std::fs::read_to_string(&marker).is_ok_and(|found| found == MOTO) {
        return Ok(python);
    }
    let own = folder.display().to_string();
    tools::run("python3", &["-m", "venv", "--clear", &own])?;
    let install = [
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        MOTO,
    ];
    tools::run(&python, &install)?;
    std::fs::write(marker, MOTO)?;
    Ok(python)
}

/// Starts the double; its port.
fn aws(python: &Path) -> (Ends, u16) {
    let mut child = Command::new(python)
        .arg(root().join("checks/testdata/cloudwatch.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let said = child.stdout.take().unwrap();
    BufReader::new(said).read_line(&mut line).unwrap();
    (Ends(child), line.trim().parse().unwrap())
}

/// The expressions of the panels that show databases.
fn panels() -> Vec<String> {
    let path = root().join("dashboards/network/sensors.json");
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let queries = targets.filter_map(|target| target["expr"].as_str());
    let of_aws = queries.filter(|query| query.contains("aws_rds_"));
    of_aws.map(str::to_owned).collect()
}

/// The job of the containers' Prometheus, with these targets in the place of the cluster's name.
fn job(ports: [u16; 2]) -> Value {
    let path = root().join("kustomize/stack/prometheus/prometheus.yml");
    let config: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut jobs = config["scrape_configs"].as_array().unwrap().iter();
    let mut job = jobs
        .find(|job| job["job_name"] == "cloudwatch")
        .unwrap()
        .clone();
    let own = job.as_object_mut().unwrap();
    own.remove("dns_sd_configs").unwrap();
    own.remove("relabel_configs").unwrap();
    own["scrape_interval"] = json!("1s");
    let targets = ports.map(|port| format!("127.0.0.1:{port}"));
    own.insert("static_configs".to_owned(), json!([{"targets": targets}]));
    job
}

/// Some ten seconds where YACE and moto are there already.
#[tokio::test(flavor = "multi_thread")]
async fn databases_come_from_cloudwatch_by_yace_into_alert_and_panels() {
    let target = root().join("target");
    let yace = match yace(&target) {
        Ok(yace) => yace,
        Err(why) => return skip(format!("YACE cannot be had: {why}")),
    };
    let python = match moto(&target) {
        Ok(python) => python,
        Err(why) => return skip(format!("moto cannot be had: {why:#}")),
    };
    let (_aws, port) = aws(&python);
    let dir = TempDir::new().unwrap();
    // One that the inventory names, and what YACE finds by itself.
    let text = "devices: [{name: orders, address: orders.example, site: eu, role: database, cloud: {region: eu-central-1, rds: orders-prod}}]\nsites: [{name: eu}]\n";
    let inventory = Inventory::parse(text, Path::new("x")).unwrap();
    let named = dir
        .write("named.yml", inventory::sd::yace(&inventory))
        .unwrap();
    let found = root().join("examples/yace-rds.yaml");
    let ports = ports::free::<2>();
    let mut running = Vec::new();
    for (config, listen) in [&named, &found].into_iter().zip(ports) {
        let log = std::fs::File::create(dir.join(format!("{listen}.log"))).unwrap();
        let child = Command::new(&yace)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--listen-address=127.0.0.1:{listen}"))
            .arg("--scraping-interval=60")
            .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"))
            .env("AWS_ACCESS_KEY_ID", "key")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_REGION", "eu-central-1")
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        running.push(Ends(child));
    }
    let rules = std::fs::read_to_string(root().join("alerts/rules/hosts.yaml")).unwrap();
    let rules = rules.replace("for: 15m", "for: 0s");
    let rules = dir.write("rules.yaml", rules).unwrap();
    let config = json!({"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": [rules], "scrape_configs": [job(ports)]});
    let prometheus = Server::prometheus(&config.to_string()).await.unwrap();

    let logs = || {
        let read = |port| std::fs::read_to_string(dir.join(format!("{port}.log")));
        ports
            .map(|port| read(port).unwrap_or_default())
            .join("\n---\n")
    };
    let firing = "ALERTS{alertname=\"RdsStorageLow\",alertstate=\"firing\"}";
    let alerts = eventually(Duration::from_secs(60), || async {
        let alerts = prometheus.query(firing).await?;
        anyhow::ensure!(alerts.len() == 2, "{alerts:?}\n{}", logs());
        Ok(alerts)
    });
    let mut labels: Vec<Value> = alerts.await.unwrap();
    labels.sort_by_key(|one| one["metric"]["device"].to_string());
    let of = |alert: &Value, name: &str| alert["metric"][name].as_str().map(str::to_owned);
    let orders = |alert: &Value| {
        let names = [
            "device",
            "site",
            "role",
            "region",
            "dimension_DBInstanceIdentifier",
        ];
        names.map(|name| of(alert, name).unwrap_or_default())
    };
    let wanted = ["orders", "eu", "database", "eu-central-1", "orders-prod"];
    assert_eq!(orders(&labels[0]), wanted, "{labels:?}");
    // The same database, found without the inventory, is of no device; the other has room.
    let wanted = ["", "", "", "eu-central-1", "orders-prod"];
    assert_eq!(orders(&labels[1]), wanted, "{labels:?}");

    let panels = panels();
    assert!(panels.len() >= 2, "{panels:?}");
    for query in &panels {
        let series = prometheus.query(query).await.unwrap();
        let mut names: Vec<_> = series
            .iter()
            .filter_map(|one| of(one, "dimension_DBInstanceIdentifier"))
            .collect();
        names.sort();
        names.dedup();
        assert!(
            names.is_empty() || names == ["orders-prod", "stock-prod"],
            "{query}: {series:?}"
        );
        assert!(!series.is_empty(), "{query}");
    }
    let cpu = "aws_rds_cpuutilization_average{device=\"orders\"}";
    assert_eq!(prometheus.value(cpu).await.unwrap(), 12.5);
    for name in ["freeable_memory", "database_connections"] {
        let count = format!("count(aws_rds_{name}_average)");
        assert_eq!(prometheus.value(&count).await.unwrap(), 3.0, "{name}");
    }
}
