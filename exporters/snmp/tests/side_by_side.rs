//! Debian's snmp_exporter and sotp-snmp against the same agent: the same text for every module.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sotp_snmp::agent::{Agent, serve};
use testkit::{Process, Spawn, TempDir};

const THEIRS: &str = "/usr/bin/prometheus-snmp-exporter";

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The form that snmp_exporter had before 0.23: modules at the top, credentials (here the default ones) inside them.
fn before_the_split(text: &str) -> String {
    let modules = text.split_once("\nmodules:\n").unwrap().1;
    modules
        .lines()
        .map(|line| line.strip_prefix("  ").unwrap_or(line))
        .fold(String::new(), |out, line| out + line + "\n")
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

async fn body(address: &str, target: &str, module: &str) -> (u16, String) {
    let url = format!("http://{address}/snmp?target={target}&module={module}");
    let response = testkit::client()
        .get(url)
        .timeout(Duration::from_secs(60))
        .send()
        .await
        .unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// Everything but what tells of the scrape itself.
fn series(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| !line.contains("snmp_scrape_") && !line.contains("snmp_error"))
        .map(str::to_owned)
        .collect()
}

async fn compare(name: &str, yml: &str, agent: Agent) {
    if !Path::new(THEIRS).exists() {
        testkit::skip(format_args!("{THEIRS} is not installed"));
        return;
    }
    let dir = TempDir::new().unwrap();
    let (old, new) = (dir.join("old.yml"), dir.join("new.yml"));
    std::fs::write(&old, before_the_split(yml)).unwrap();
    std::fs::write(&new, yml).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = socket.local_addr().unwrap().to_string();
    std::thread::spawn(move || serve(&socket, &agent, Duration::ZERO));

    let theirs = format!("127.0.0.1:{}", free_port());
    let child = Command::new(THEIRS)
        .args([
            format!("--config.file={}", old.display()),
            format!("--web.listen-address={theirs}"),
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _running = Running(child);
    let ours: Process = Spawn::new(env!("CARGO_BIN_EXE_sotp-snmp"))
        .args([format!("--config.file={}", new.display())])
        .start()
        .await
        .unwrap();
    testkit::eventually(Duration::from_secs(30), || async {
        Ok(std::net::TcpStream::connect(&theirs)?)
    })
    .await
    .unwrap();

    let config = sotp_snmp::config::parse(
        yml,
        Path::new("new.yml"),
        sotp_snmp::config::Options::default(),
    )
    .unwrap();
    let mut compared = 0;
    for module in config.modules.keys() {
        let (their_status, their_text) = body(&theirs, &target, module).await;
        let (status, text) = body(ours.address(), &target, module).await;
        assert_eq!(
            (their_status, status),
            (200, 200),
            "{name} {module}: {their_text}\n{text}"
        );
        let (expected, got) = (series(&their_text), series(&text));
        let missing: Vec<&String> = expected.difference(&got).collect();
        let extra: Vec<&String> = got.difference(&expected).collect();
        assert!(
            missing.is_empty() && extra.is_empty(),
            "{name} {module}\nonly theirs: {missing:#?}\nonly ours: {extra:#?}"
        );
        compared += got.len();
    }
    assert!(
        compared > 100,
        "{name}: only {compared} lines were compared"
    );
}

const TYPES: &str = include_str!("../testdata/types.yml");
const RECORDED: &str = include_str!("../testdata/types.snmprec");

/// Version 0.21 refuses text that is no UTF-8, and does not read the type of an address that is looked up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_has_the_same_text() {
    let newer = ["99999.1.1.3.2|", "99999.3.1.1.3.65.255"];
    let recorded: String = RECORDED
        .lines()
        .filter(|line| !newer.iter().any(|part| line.contains(part)))
        .map(|line| format!("{line}\n"))
        .collect();
    let yml: String = TYPES
        .lines()
        .filter(|line| !line.contains("labelname: address, oid"))
        .map(|line| format!("{line}\n"))
        .collect();
    compare("types", &yml, Agent::from_snmprec(&recorded).unwrap()).await;
}

/// `types.golden.txt` is what version 0.30.1 answered for the same files.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_has_the_text_of_a_current_version() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.join("snmp.yml"), TYPES).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = socket.local_addr().unwrap().to_string();
    // An index that is no UTF-8 is refused by 0.30.1; its successor replaces it, as we do.
    let recorded: String = RECORDED
        .lines()
        .filter(|line| !line.contains("99999.3.1.1.3.65.255"))
        .map(|line| format!("{line}\n"))
        .collect();
    let agent = Agent::from_snmprec(&recorded).unwrap();
    std::thread::spawn(move || serve(&socket, &agent, Duration::ZERO));
    for flags in [&[][..], &["--snmp.strict"]] {
        let file = format!("--config.file={}", dir.join("snmp.yml").display());
        let ours = Spawn::new(env!("CARGO_BIN_EXE_sotp-snmp"))
            .args([file])
            .args(flags.iter().copied())
            .start()
            .await
            .unwrap();
        let (status, text) = body(ours.address(), &target, "types").await;
        let (expected, got) = (
            series(include_str!("../testdata/types.golden.txt")),
            series(&text),
        );
        let (missing, extra) = (
            expected.difference(&got).collect::<Vec<_>>(),
            got.difference(&expected).collect::<Vec<_>>(),
        );
        assert!(
            status == 200 && missing.is_empty() && extra.is_empty(),
            "{status}\nmissing: {missing:#?}\nextra: {extra:#?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_default_modules_have_the_same_text() {
    compare(
        "default",
        include_str!("../default.yml"),
        Agent::with_interfaces(60),
    )
    .await;
}
