//! `sotp-doctor grafana` against a small server that answers as a Grafana was seen to, with and without faults.

use std::process::Command;

use serde_json::{Value, json};
use sotp_checks::root;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const DOCTOR: &str = env!("CARGO_BIN_EXE_sotp-doctor");

/// What is wrong with the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Old,
    Open,
    NoLoki,
    NoApp,
    Stranger,
    Empty,
    Refused,
}

fn answer(fault: Fault, line: &str, body: &str) -> (u16, Value) {
    let at = |path: &str| line.contains(path);
    if at("/api/health") {
        let version = if fault == Fault::Old {
            "12.1.0"
        } else {
            "12.3.3"
        };
        return (200, json!({"version": version}));
    }
    if at("/loki/api/v1/push") {
        return (if fault == Fault::Open { 204 } else { 403 }, Value::Null);
    }
    if at("/uid/loki/health") && fault == Fault::NoLoki {
        return (404, json!({"message": "Data source not found"}));
    }
    if at("/health") {
        return (200, json!({"status": "OK"}));
    }
    if at("/plugins/sotp-app/settings") {
        return (200, json!({"enabled": fault != Fault::NoApp}));
    }
    if at("/plugin-proxy/sotp-app/") {
        let status = if fault == Fault::Stranger { 403 } else { 200 };
        return (status, json!({"detail": "token not of a user"}));
    }
    if at("/resources/api/v1/label/") {
        return (200, json!({"status": "success", "data": ["r1"]}));
    }
    assert!(at("POST /api/ds/query"), "{line}");
    let asked: Value = serde_json::from_str(body).unwrap();
    let query = &asked["queries"][0];
    assert!(
        query["datasource"]["uid"].is_string() && asked["from"].is_string(),
        "{asked}"
    );
    let text = query["expr"].as_str().unwrap();
    if text.contains("sotp_audit_pending") && fault == Fault::Refused {
        return (
            400,
            json!({"results": {"A": {"error": "parse error: unexpected end", "status": 400}}}),
        );
    }
    let empty = text.contains("sotp_audit_pending") && fault == Fault::Empty;
    let values = if empty {
        json!([[], []])
    } else {
        json!([[1], [2.5]])
    };
    (
        200,
        json!({"results": {"A": {"status": 200, "frames": [{"data": {"values": values}}]}}}),
    )
}

async fn serve(mut stream: TcpStream, fault: Fault) {
    let mut text = Vec::new();
    let mut buffer = [0; 65_536];
    loop {
        let Ok(length @ 1..) = stream.read(&mut buffer).await else {
            return;
        };
        text.extend(&buffer[..length]);
        let whole = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = whole.split_once("\r\n\r\n") else {
            continue;
        };
        let wanted = head.lines().find_map(|line| {
            line.to_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        });
        if body.len() < wanted.unwrap_or(0) {
            continue;
        }
        let (status, said) = answer(fault, head.lines().next().unwrap_or_default(), body);
        let said = said.to_string();
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n",
            said.len()
        );
        if stream.write_all((head + &said).as_bytes()).await.is_err() {
            return;
        }
        text.clear();
    }
}

/// What the doctor says, and whether all was good.
async fn examine(fault: Fault) -> (bool, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, fault));
        }
    });
    let output = tokio::task::spawn_blocking(move || {
        let mut doctor = Command::new(DOCTOR);
        doctor
            .args(["grafana", "--url", &url, "--dashboards"])
            .arg(root().join("dashboards"));
        doctor.output().unwrap()
    });
    let output = output.await.unwrap();
    server.abort();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_a_grafana_is_said_with_what_to_do() {
    let (good, said) = examine(Fault::None).await;
    assert!(
        good && said.contains("good Grafana 12.3.3") && !said.contains("FAULT"),
        "{said}"
    );
    for (fault, expected) in [
        (Fault::Old, "FAULT Grafana 12.1.0: 12.3 or newer is needed"),
        (
            Fault::Open,
            "a push was answered 204 No Content: put the gate before Loki",
        ),
        (
            Fault::NoLoki,
            "FAULT data source loki: no data source has the uid `loki`",
        ),
        (
            Fault::NoApp,
            "FAULT the SOTP app: not installed or not switched on",
        ),
        (
            Fault::Stranger,
            "the inventory does not know who asks: its section `access` (token not of a user)",
        ),
        (Fault::Empty, "empty: sotp-audit / Records C: no data"),
        (Fault::Refused, "empty: sotp-audit / Records C: "),
    ] {
        let (good, said) = examine(fault).await;
        assert!(
            !good && said.contains(expected),
            "{fault:?}: expected `{expected}` in {said}"
        );
        assert_eq!(
            said.contains("parse error: unexpected end"),
            fault == Fault::Refused,
            "{said}"
        );
    }
}
