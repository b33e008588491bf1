//! Debian's blackbox_exporter asks what the inventory lists as checks, by the configuration that the inventory gives.

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use testkit::{Process, TempDir, client, eventually, skip};

const PROGRAM: &str = "/usr/bin/prometheus-blackbox-exporter";
/// Of this test alone: a DNS server is asked at port 53.
const DEVICE: &str = "127.73.22.1";

/// A running blackbox_exporter; it is killed on drop.
struct Blackbox {
    child: Child,
    address: String,
}

impl Drop for Blackbox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts it on a port of its own choice, which its log names.
fn blackbox(files: &TempDir, config: &str, flags: &[String]) -> Blackbox {
    let config = files.write("blackbox.yml", config).unwrap();
    let mut child = Command::new(PROGRAM)
        .arg(format!("--config.file={}", config.display()))
        .arg("--web.listen-address=127.0.0.1:0")
        .args(flags)
        .env("SSL_CERT_FILE", files.join("ca.pem"))
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = log
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| {
            let (_, rest) = line.split_once("127.0.0.1:")?;
            let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
            (port != "0").then(|| format!("127.0.0.1:{port}"))
        })
        .expect("it says where it listens");
    std::thread::spawn(move || log.for_each(drop));
    Blackbox { child, address }
}

/// Answers every question for `good.example` with an address, and every other with a name error (RFC 1035 section 4.1).
fn answer_names(socket: &UdpSocket) {
    let mut packet = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut packet) {
        let Some(question) = packet.get(12..length) else {
            continue;
        };
        let end = question.iter().position(|b| *b == 0).unwrap_or(0) + 5;
        let known = question.starts_with(b"\x04good\x07example\0");
        let (code, count) = if known { (0x80, 1) } else { (0x83, 0) };
        let mut answer = packet[..2].to_vec();
        answer.extend([0x85, code, 0, 1, 0, count, 0, 0, 0, 0]);
        answer.extend(&question[..end.min(question.len())]);
        if known {
            answer.extend([0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
        }
        let _ = socket.send_to(&answer, from);
    }
}

#[tokio::test]
async fn blackbox_exporter_asks_what_the_inventory_lists_and_tells_good_from_bad() {
    if !std::path::Path::new(PROGRAM).exists() {
        skip("no prometheus-blackbox-exporter");
        return;
    }
    let Ok(names) = UdpSocket::bind((DEVICE, 53)) else {
        skip("port 53 cannot be bound");
        return;
    };
    std::thread::spawn(move || answer_names(&names));
    let files = TempDir::new().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned()];
    let certificate = rcgen::CertificateParams::new(names).unwrap();
    let certificate = certificate.self_signed(&key).unwrap();
    files.write("ca.pem", certificate.pem()).unwrap();
    files.write("key.pem", key.serialize_pem()).unwrap();
    files
        .write(
            "web.yml",
            "tls_server_config: {cert_file: ca.pem, key_file: key.pem}\n",
        )
        .unwrap();
    let web = format!("--web.config.file={}", files.join("web.yml").display());
    // Something with a certificate to look at.
    let shop = blackbox(&files, "modules: {}\n", &[web]);
    let port = shop.address.rsplit_once(':').unwrap().1;
    let text = format!(
        "devices:\n  - {{name: good, address: {DEVICE}, role: host, checks: {{http: ['https://{shop}/'], tcp: ['{shop}'], tls: ['{shop}'], dns: [good.example]}}}}\n  \
         - {{name: bad, address: 127.73.22.2, role: host, checks: {{http: ['https://{shop}/probe'], tcp: ['1'], tls: ['localhost:{port}']}}}}\n  \
         - {{name: lost, address: localhost, role: host, checks: {{dns: [bad.example]}}}}\n",
        shop = shop.address,
    );
    let inventory = files.write("inventory.yaml", text).unwrap();
    let flag = format!("--inventory.source={}", inventory.display());
    let service = Process::spawn(env!("CARGO_BIN_EXE_sotp-inventory"), [flag])
        .await
        .unwrap();
    let (_, config) = service.get("/sd/blackbox.yml").await.unwrap();
    let asking = blackbox(&files, &config, &[]);
    let (_, list) = service.get("/sd/checks").await.unwrap();
    let list: Value = serde_json::from_str(&list).unwrap();
    let mut asked = Vec::new();
    for group in list.as_array().unwrap() {
        let labels = &group["labels"];
        let (device, module) = (
            &labels["device"],
            labels["__param_module"].as_str().unwrap(),
        );
        // The name that nobody knows is asked for where the server of this test is.
        let target = match device.as_str() {
            Some("lost") => format!("{DEVICE}:53"),
            _ => group["targets"][0].as_str().unwrap().to_owned(),
        };
        let wanted = device == "good";
        let url = format!(
            "http://{}/probe?module={module}&target={target}",
            asking.address
        );
        // A machine that is busy may need more than the time of one probe.
        let page = eventually(Duration::from_secs(60), || async {
            let asked = client().get(&url).timeout(Duration::from_secs(30));
            let page = asked.send().await?.text().await?;
            let good = page.contains("\nprobe_success 1");
            anyhow::ensure!(good == wanted, "{device} {module}\n{page}");
            Ok(page)
        })
        .await
        .unwrap();
        let good = wanted;
        let expiry = page.contains("\nprobe_ssl_earliest_cert_expiry ");
        let encrypted = good && matches!(labels["check"].as_str(), Some("http" | "tls"));
        assert!(expiry || !encrypted, "{device} {module}\n{page}");
        asked.push(format!("{} {}", device.as_str().unwrap(), module));
    }
    assert_eq!(
        asked,
        [
            "good http",
            "good tcp",
            "good tls",
            "good dns_good.example",
            "bad http",
            "bad tcp",
            "bad tls",
            "lost dns_bad.example"
        ]
    );
}
