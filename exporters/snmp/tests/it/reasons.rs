//! Every reason of `snmp_error` that a target, the network or the configuration can cause, from the real binary.
//!
//! Wrong credentials against a real agent stand in `v3.rs`; ICMP from a router in `routers.rs`; `too_large` beside the state machine,
//! since half a gibibyte of answers is no test.

use std::net::UdpSocket;
use std::time::Duration;

use crate::agent::{self, Agent};
use snmp2::asn1::AsnReader;
use sotp_snmp::codec::{push, push_integer};
use sotp_snmp::oid;
use testkit::{Process, Spawn, TempDir};

const YML: &str = "auths:
  public_v2: {}
  plain: {version: 3, username: u, security_level: noAuthNoPriv}
  signed: {version: 3, username: u, security_level: authNoPriv, auth_protocol: SHA, password: password}
modules:
  if_mib:
    walk: [1.3.6.1.2.1.2.2.1]
    retries: 1
    timeout: 300ms
    metrics:
    - {name: ifMtu, oid: 1.3.6.1.2.1.2.2.1.4, type: gauge, help: h, indexes: [{labelname: ifIndex, type: gauge}]}
    - {name: ifDescr, oid: 1.3.6.1.2.1.2.2.1.2, type: DisplayString, help: h, indexes: [{labelname: ifIndex, type: gauge}]}
  duplicate:
    walk: [1.3.6.1.2.1.2.2.1.4]
    metrics:
    - {name: ifMtu, oid: 1.3.6.1.2.1.2.2.1.4, type: gauge, help: h, indexes: [{labelname: i, type: gauge}], lookups: [{labels: [], labelname: i}]}
  bad_type:
    walk: [1.3.6.1.2.1.2.2.1.4]
    metrics:
    - {name: ifMtu, oid: 1.3.6.1.2.1.2.2.1.4, type: Bits, help: h, indexes: [{labelname: i, type: gauge}], enum_values: {0: a}}
  inconsistent:
    walk: [1.3.6.1.2.1.2.2.1]
    metrics:
    - {name: same, oid: 1.3.6.1.2.1.2.2.1.4, type: gauge, help: one, indexes: [{labelname: i, type: gauge}]}
    - {name: same, oid: 1.3.6.1.2.1.2.2.1.5, type: gauge, help: another, indexes: [{labelname: j, type: gauge}]}
";

async fn start() -> (TempDir, Process) {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.join("snmp.yml"), YML).unwrap();
    let process = Spawn::new(env!("CARGO_BIN_EXE_sotp-snmp"))
        .args([format!("--config.file={}", dir.join("snmp.yml").display())])
        .start()
        .await
        .unwrap();
    (dir, process)
}

/// What answers each datagram.
fn target(answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            if let Some(answer) = answer(&buffer[..length]) {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    address
}

/// An agent that spoils its answers.
fn corrupted(answer: fn(&Agent, &agent::Request) -> Vec<u8>) -> String {
    let device = Agent::with_interfaces(5);
    target(move |message| Some(answer(&device, &agent::read(message)?)))
}

fn status(status: i64) -> String {
    target(move |message| Some(agent::response(&agent::read(message)?, status, 1, &[])))
}

/// A varbind list of one value.
fn varbind(oid: &[u32], value: &[u8]) -> Vec<u8> {
    let (mut name, mut pair, mut list) = (Vec::new(), Vec::new(), Vec::new());
    oid::encode(oid, &mut name);
    push(0x06, &name, &mut pair);
    pair.extend(value);
    push(0x30, &pair, &mut list);
    list
}

/// A version 3 engine without secrets: it is discovered, and answers everything else with a report of this object.
struct Engine {
    report: Vec<u32>,
    flags: u8,
    digest: &'static [u8],
    /// Says another name each time.
    fickle: bool,
}

impl Engine {
    fn start(self) -> String {
        let told = std::sync::atomic::AtomicU8::new(0);
        target(move |message| {
            let mut outer =
                AsnReader::from_bytes(AsnReader::from_bytes(message).read_raw(0x30).ok()?);
            outer.read_asn_integer().ok()?;
            let mut global = AsnReader::from_bytes(outer.read_raw(0x30).ok()?);
            let id = global.read_asn_integer().ok()?;
            let parameters = outer.read_asn_octetstring().ok()?;
            let mut parameters =
                AsnReader::from_bytes(AsnReader::from_bytes(parameters).read_raw(0x30).ok()?);
            let discovery = parameters.read_asn_octetstring().ok()?.is_empty();
            let count = if self.fickle {
                told.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
            } else {
                0
            };
            let engine = [0x80, 0, 0x1f, 0x88, 4, b'e', count];
            Some(if discovery {
                report(id, &engine, 0, &[], &[1, 3, 6, 1, 6, 3, 15, 1, 1, 4, 0])
            } else {
                report(id, &engine, self.flags, self.digest, &self.report)
            })
        })
    }
}

/// A Report (RFC 3412 §6, RFC 3414 §2.4).
fn report(id: i64, engine: &[u8], flags: u8, digest: &[u8], object: &[u32]) -> Vec<u8> {
    let (mut global, mut usm, mut parameters, mut pdu, mut scoped, mut content, mut out) = (
        Vec::new(),
        Vec::new(),
        Vec::new(),
        Vec::new(),
        Vec::new(),
        Vec::new(),
        Vec::new(),
    );
    push_integer(id, &mut global);
    push_integer(65_507, &mut global);
    push(0x04, &[flags], &mut global);
    push_integer(3, &mut global);
    push(0x04, engine, &mut usm);
    push_integer(1, &mut usm);
    push_integer(100, &mut usm);
    push(0x04, if flags == 0 { b"" } else { b"u" }, &mut usm);
    push(0x04, digest, &mut usm);
    push(0x04, &[], &mut usm);
    push(0x30, &usm, &mut parameters);
    for number in [id, 0, 0] {
        push_integer(number, &mut pdu);
    }
    push(0x30, &varbind(object, &[0x41, 1, 7]), &mut pdu);
    push(0x04, engine, &mut scoped);
    push(0x04, &[], &mut scoped);
    push(0xa8, &pdu, &mut scoped);
    push_integer(3, &mut content);
    push(0x30, &global, &mut content);
    push(0x04, &parameters, &mut content);
    push(0x30, &scoped, &mut content);
    push(0x30, &content, &mut out);
    out
}

fn stats(object: u32) -> Vec<u32> {
    vec![1, 3, 6, 1, 6, 3, 15, 1, 1, object, 0]
}

async fn scrape(process: &Process, query: &str, timeout: &str) -> (u16, String) {
    let response = testkit::client()
        .get(process.url(&format!("/snmp?{query}")))
        .header("X-Prometheus-Scrape-Timeout-Seconds", timeout)
        .timeout(Duration::from_secs(60))
        .send()
        .await
        .unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_has_its_reason() {
    let (_dir, process) = start().await;
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let closed = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let healthy = || corrupted(Agent::respond);
    let slow = target({
        let device = Agent::with_interfaces(2000);
        move |message| {
            std::thread::sleep(Duration::from_millis(150));
            device.answer(message)
        }
    });
    let cases = [
        (
            "timeout",
            format!("target={}", silent.local_addr().unwrap()),
        ),
        ("deadline", format!("target={slow}")),
        ("icmp_refused", format!("target={closed}")),
        ("dns", "target=no-such-name.invalid".to_owned()),
        // The system forbids a broadcast.
        ("send", "target=255.255.255.255".to_owned()),
        ("configuration", "target=127.0.0.1:99999".to_owned()),
        ("too_big", format!("target={}", status(1))),
        ("gen_err", format!("target={}", status(5))),
        ("authorization", format!("target={}", status(16))),
        ("error_status", format!("target={}", status(13))),
        (
            "non_increasing",
            format!(
                "target={}",
                corrupted(|_, request| agent::response(
                    request,
                    0,
                    0,
                    &varbind(&[1, 3, 6, 1, 2, 1, 2, 2, 1, 2], &[2, 1, 5])
                ))
            ),
        ),
        (
            "decode",
            format!(
                "target={}",
                corrupted(|_, request| agent::response(
                    request,
                    0,
                    0,
                    &varbind(&[1, 3, 6, 1, 2, 1, 2, 2, 1, 2, 1], &[0x4f, 1, 5])
                ))
            ),
        ),
        (
            "bad_answer",
            format!(
                "target={}",
                corrupted(|_, request| agent::response(request, 0, 0, &[]))
            ),
        ),
        (
            "duplicate",
            format!("target={}&module=duplicate", healthy()),
        ),
        ("bad_type", format!("target={}&module=bad_type", healthy())),
        (
            "inconsistent",
            format!("target={}&module=inconsistent", healthy()),
        ),
    ];
    for (reason, query) in cases {
        let limit = if reason == "deadline" { "2" } else { "30" };
        let (status, text) = scrape(&process, &query, limit).await;
        let named = text.contains(&format!(": {reason}: "))
            || text.contains(&format!("reason=\"{reason}\""));
        assert!(named, "{reason}: {status} {text}");
        assert!(
            status == 500 || text.contains("snmp_scrape_complete"),
            "{reason}: {text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_of_a_version_3_engine_has_its_reason() {
    let (_dir, process) = start().await;
    let plain = |report| Engine {
        report,
        flags: 0,
        digest: &[],
        fickle: false,
    };
    let cases = [
        ("unknown_user", "plain", plain(stats(3))),
        ("wrong_digest", "signed", plain(stats(5))),
        ("decrypt", "plain", plain(stats(6))),
        ("security_level", "plain", plain(stats(1))),
        (
            "unknown_context",
            "plain",
            plain(vec![1, 3, 6, 1, 6, 3, 12, 1, 5, 0]),
        ),
        // Said without a digest, it may come from anyone, and moves no clock.
        ("not_in_window", "signed", plain(stats(2))),
        (
            "bad_reply_digest",
            "signed",
            Engine {
                flags: 1,
                digest: &[1; 12],
                ..plain(stats(2))
            },
        ),
        (
            "unknown_engine",
            "plain",
            Engine {
                fickle: true,
                ..plain(stats(4))
            },
        ),
    ];
    for (reason, auth, engine) in cases {
        let (status, text) = scrape(
            &process,
            &format!("target={}&auth={auth}", engine.start()),
            "30",
        )
        .await;
        assert!(
            status == 500 && text.contains(&format!(": {reason}: ")),
            "{reason}: {status} {text}"
        );
    }
}
