//! The read-only gate in front of the data sources, as it is shipped, run by Debian's nginx on loopback.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sotp_checks::{root, tools};
use testkit::TempDir;

/// The sources with the ports that they have in the file.
const SOURCES: [(&str, u16); 3] = [("loki", 3100), ("tempo", 3200), ("prometheus", 9090)];

struct Gate {
    nginx: Child,
    ports: Vec<(&'static str, u16)>,
    _place: TempDir,
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.nginx.kill();
        let _ = self.nginx.wait();
    }
}

/// A source that answers every request with 200 and the first line of it.
fn source() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = vec![0; 65_536];
            let Ok(length) = stream.read(&mut request) else {
                continue;
            };
            let text = String::from_utf8_lossy(&request[..length]).into_owned();
            let mut body = text.lines().next().unwrap_or_default().to_owned();
            for secret in text
                .lines()
                .filter(|line| line.to_lowercase().starts_with("cookie"))
            {
                let _ = write!(body, " {secret}");
            }
            let head = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all((head + &body).as_bytes());
        }
    });
    port
}

/// The shipped files with other ports; nothing when this machine has no nginx.
fn start() -> Option<Gate> {
    start_before(source())
}

/// The same, with this for sotp-rum.
fn start_before(rum: u16) -> Option<Gate> {
    if !tools::on_path("nginx") {
        return None;
    }
    let place = TempDir::new().unwrap();
    let shipped = root().join("dashboards/gate");
    for name in ["allowed.conf", "source.conf", "front.conf"] {
        std::fs::copy(shipped.join(name), place.join(name)).unwrap();
    }
    let mut text = std::fs::read_to_string(shipped.join("nginx.conf")).unwrap();
    let mut ports = Vec::new();
    for (name, usual) in SOURCES {
        let (listen, upstream) = (
            format!("listen {usual};"),
            format!("server {name}:{usual};"),
        );
        assert!(text.contains(&listen) && text.contains(&upstream), "{name}");
        let [port] = crate::ports::free();
        text = text
            .replace(&listen, &format!("listen 127.0.0.1:{port};"))
            .replace(&upstream, &format!("server 127.0.0.1:{};", source()));
        ports.push((name, port));
    }
    // Grafana and sotp-rum behind the one way of people.
    for (name, usual, own) in [("grafana", 3000, source()), ("rum", 19887, rum)] {
        let upstream = format!("server {name}:{usual};");
        assert!(text.contains(&upstream), "{name}");
        text = text.replace(&upstream, &format!("server 127.0.0.1:{own};"));
    }
    let [gate, front]: [u16; 2] = crate::ports::free();
    ports.push(("front", front));
    text = text
        .replace("listen 3000;", &format!("listen 127.0.0.1:{front};"))
        .replace("listen 8080;", &format!("listen 127.0.0.1:{gate};"))
        .replace("/tmp/", &format!("{}/", place.path().display()));
    std::fs::write(place.join("nginx.conf"), text).unwrap();
    let mut command = Command::new("nginx");
    command.args([
        "-e",
        "stderr",
        "-g",
        "daemon off; master_process off;",
        "-p",
    ]);
    command.arg(place.path()).args(["-c", "nginx.conf"]);
    let nginx = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let gate = Gate {
        nginx,
        ports,
        _place: place,
    };
    for (_, port) in &gate.ports {
        let end = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", *port)).is_err() {
            assert!(Instant::now() < end, "nginx does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Some(gate)
}

impl Gate {
    /// Status and body of an answer; the path goes out as it is written.
    fn ask(&self, source: &str, method: &str, path: &str) -> (u16, String) {
        let (_, port) = self.ports.iter().find(|(name, _)| *name == source).unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", *port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: gate\r\ncookie: grafana_session=secret\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status.unwrap_or_default(), body.to_owned())
    }
}

/// What Grafana was seen to ask for.
const OPEN: [(&str, &str, &str); 22] = [
    ("loki", "GET", "/loki/api/v1/query?query=1"),
    (
        "loki",
        "GET",
        "/loki/api/v1/query_range?query=%7Bjob%3D%22a%2Fb%22%7D",
    ),
    ("loki", "GET", "/loki/api/v1/labels"),
    ("loki", "GET", "/loki/api/v1/label/device/values"),
    ("loki", "GET", "/loki/api/v1/series?match=a//b"),
    ("loki", "GET", "/loki/api/v1/index/stats"),
    ("loki", "GET", "/loki/api/v1/index/volume_range"),
    ("loki", "GET", "/loki/api/v1/tail?query=1"),
    ("loki", "GET", "/loki/api/v1/detected_field/user/values"),
    ("tempo", "GET", "/api/echo"),
    (
        "tempo",
        "GET",
        "/api/v2/traces/4bf92f3577b34da6a3ce929d0e0e4736?start=1",
    ),
    ("tempo", "GET", "/api/search?q=%7B%7D"),
    ("tempo", "GET", "/api/v2/search/tags"),
    (
        "tempo",
        "GET",
        "/api/v2/search/tag/resource.service.name/values",
    ),
    ("tempo", "GET", "/api/metrics/query_range?q=1"),
    ("prometheus", "POST", "/api/v1/query"),
    ("prometheus", "GET", "/api/v1/query_range?query=up"),
    ("prometheus", "POST", "/api/v1/query_exemplars"),
    ("prometheus", "POST", "/api/v1/labels"),
    ("prometheus", "GET", "/api/v1/label/job/values"),
    ("prometheus", "GET", "/api/v1/rules"),
    ("prometheus", "GET", "/api/v1/status/buildinfo"),
];

/// What changes something, tells of the insides, or says one path and means another.
const SHUT: [(&str, &str, &str); 45] = [
    ("loki", "POST", "/loki/api/v1/push"),
    ("loki", "POST", "/api/prom/push"),
    ("loki", "POST", "/otlp/v1/logs"),
    ("loki", "GET", "/ingester/shutdown"),
    ("loki", "POST", "/ingester/shutdown"),
    ("loki", "POST", "/flush"),
    ("loki", "GET", "/config"),
    ("loki", "GET", "/metrics"),
    ("loki", "GET", "/ring"),
    ("loki", "GET", "/debug/pprof/heap"),
    ("loki", "POST", "/loki/api/v1/query"),
    ("loki", "PATCH", "/loki/api/v1/query_range"),
    ("loki", "DELETE", "/loki/api/v1/series"),
    ("loki", "HEAD", "/loki/api/v1/labels"),
    ("loki", "POST", "/loki/api/v1/delete"),
    ("loki", "POST", "/loki/api/v1/rules/a"),
    ("loki", "GET", "/loki/api/v1/labels/"),
    ("loki", "GET", "/loki/api/v1/label/a/b/values"),
    ("loki", "GET", "/loki/api/v1/../../config"),
    (
        "loki",
        "GET",
        "/loki/api/v1/label/..%2f..%2f..%2fconfig/values",
    ),
    ("loki", "GET", "//config"),
    ("loki", "GET", "/loki//api/v1/labels"),
    ("loki", "GET", "/loki%2Fapi/v1/labels"),
    ("loki", "GET", "/loki/api/v1/%2e%2e/labels"),
    ("loki", "GET", "/api/v1/query"),
    ("tempo", "GET", "/flush"),
    ("tempo", "POST", "/shutdown"),
    ("tempo", "GET", "/status/config"),
    ("tempo", "POST", "/api/overrides"),
    ("tempo", "GET", "/api/overrides"),
    (
        "tempo",
        "DELETE",
        "/api/traces/4bf92f3577b34da6a3ce929d0e0e4736",
    ),
    ("tempo", "GET", "/api/traces/nonsense"),
    ("tempo", "POST", "/v1/traces"),
    ("tempo", "GET", "/metrics"),
    ("prometheus", "POST", "/-/reload"),
    ("prometheus", "PUT", "/-/quit"),
    ("prometheus", "POST", "/api/v1/write"),
    ("prometheus", "POST", "/api/v1/read"),
    ("prometheus", "POST", "/api/v1/admin/tsdb/delete_series"),
    ("prometheus", "GET", "/api/v1/targets"),
    ("prometheus", "GET", "/api/v1/status/config"),
    ("prometheus", "GET", "/api/v1/status/flags"),
    ("prometheus", "GET", "/metrics"),
    ("prometheus", "GET", "/federate"),
    ("prometheus", "POST", "/api/v1/rules"),
];

#[test]
fn only_reading_passes_the_gate_and_no_session_with_it() {
    let Some(gate) = start() else {
        testkit::skip("nginx is not installed");
        return;
    };
    for (source, method, path) in OPEN {
        let (status, body) = gate.ask(source, method, path);
        assert_eq!(status, 200, "{source} {method} {path}");
        // As it came: nothing is decoded on the way, and the session of Grafana stays here.
        assert_eq!(body, format!("{method} {path} HTTP/1.1"), "{source}");
    }
    for (source, method, path) in SHUT {
        let (status, body) = gate.ask(source, method, path);
        assert!(
            matches!(status, 400 | 403),
            "{source} {method} {path}: {status}"
        );
        assert!(
            !body.starts_with(method),
            "{source} {method} {path} came through"
        );
    }
}

/// The one way of people: Grafana with its session, and one path on which browsers tell what they measured, without it.
#[test]
fn people_reach_grafana_and_what_their_browsers_measure_reaches_the_collector_without_their_session()
 {
    let Some(gate) = start() else {
        testkit::skip("nginx is not installed");
        return;
    };
    let cookie = "cookie: grafana_session=secret";
    for (method, path, wanted) in [
        (
            "GET",
            "/d/sotp-now?x=%2F..",
            format!("GET /d/sotp-now?x=%2F.. HTTP/1.1 {cookie}"),
        ),
        (
            "DELETE",
            "/api/dashboards/uid/x",
            format!("DELETE /api/dashboards/uid/x HTTP/1.1 {cookie}"),
        ),
        (
            "GET",
            "/rum/collect/x",
            format!("GET /rum/collect/x HTTP/1.1 {cookie}"),
        ),
        ("POST", "/rum/collect", "POST /collect HTTP/1.1".to_owned()),
    ] {
        let (status, body) = gate.ask("front", method, path);
        assert_eq!(
            (status, body.to_lowercase()),
            (200, wanted.to_lowercase()),
            "{method} {path}"
        );
    }
    for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
        assert_eq!(gate.ask("front", method, "/rum/collect").0, 403, "{method}");
    }
}

/// The real sotp-rum behind the real gate takes what the agent of Grafana's own pages posts to Grafana's origin.
#[tokio::test]
async fn a_post_of_grafanas_own_agent_is_taken_on_its_origin() {
    if !tools::on_path("nginx") {
        return testkit::skip("nginx is not installed");
    }
    let files = TempDir::new().unwrap();
    std::fs::write(
        files.join("rum.yaml"),
        "origins: ['https://grafana.example.net']\n",
    )
    .unwrap();
    let flag = format!("--config.file={}", files.join("rum.yaml").display());
    let rum = testkit::Spawn::new(testkit::services::program("sotp-rum"));
    let rum = rum.args([flag]).start().await.unwrap();
    let port = rum
        .url("")
        .trim_end_matches('/')
        .rsplit(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let gate = start_before(port).unwrap();
    let (_, front) = gate
        .ports
        .iter()
        .find(|(name, _)| *name == "front")
        .unwrap();
    let body = serde_json::json!({
        "meta": {"app": {"name": "grafana-frontend", "version": "12.3.3"}, "user": {"id": "alice@https://grafana.example.net/"},
            "page": {"url": "https://grafana.example.net/d/sotp-now/network-now?var-device=r1"}},
        "measurements": [{"type": "web-vitals", "values": {"fcp": 420.0}, "timestamp": "2026-01-01T00:00:00Z"}],
    });
    let post = |origin: &str| {
        let request = testkit::client().post(format!("http://127.0.0.1:{front}/rum/collect"));
        request
            .header("origin", origin)
            .header("cookie", "grafana_session=secret")
            .json(&body)
            .send()
    };
    assert_eq!(
        post("https://grafana.example.net").await.unwrap().status(),
        202
    );
    assert_eq!(
        post("https://evil.example.net").await.unwrap().status(),
        403
    );
    let samples = rum.scrape().await.unwrap();
    let labels = [("app", "grafana-frontend"), ("route", "/d/sotp-now")];
    assert!((samples.sum("rum_web_vital_fcp_seconds_sum", &labels) - 0.42).abs() < 1e-9);
}

/// The gate with TLS is the one without it, but for the certificates, and nginx takes it.
#[test]
fn the_gate_with_tls_is_the_one_without() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let plain = read("dashboards/gate/nginx.conf");
    let tls = read("kustomize/components/tls/gate/tls.conf");
    let bare = |text: &str| {
        let text = text
            .replace(" ssl;", ";")
            .replace("$way https;", "$way http;");
        let lines = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.contains("ssl_"));
        lines
            .collect::<Vec<_>>()
            .join("\n")
            .replace("\n\n\n", "\n\n")
    };
    assert_eq!(bare(&tls), bare(&plain));
    for needed in ["ssl_verify_client on;", "proxy_ssl_verify on;"] {
        assert!(tls.contains(needed), "{needed}");
    }
    if !tools::on_path("nginx") {
        testkit::skip("nginx is not installed");
        return;
    }
    let place = TempDir::new().unwrap();
    for name in ["allowed.conf", "source.conf", "front.conf"] {
        std::fs::copy(root().join("dashboards/gate").join(name), place.join(name)).unwrap();
    }
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["gate".to_owned()]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap().pem();
    for (name, text) in [
        ("ca.crt", &certificate),
        ("tls.crt", &certificate),
        ("tls.key", &key.serialize_pem()),
    ] {
        std::fs::write(place.join(name), text).unwrap();
    }
    let mut text = tls.replace("/etc/sotp-tls/", "").replace("/tmp/", "");
    for (name, port) in SOURCES
        .into_iter()
        .chain([("grafana", 3000), ("rum", 19887)])
    {
        text = text.replace(
            &format!("server {name}:{port};"),
            &format!("server 127.0.0.1:{port};"),
        );
    }
    std::fs::write(place.join("tls.conf"), text).unwrap();
    let mut command = Command::new("nginx");
    command
        .args(["-t", "-e", "stderr", "-p"])
        .arg(place.path())
        .args(["-c", "tls.conf"]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Where Grafana is told to ask: in containers and in a cluster the gate, not what stands behind it.
#[test]
fn grafana_asks_the_gate() {
    for file in ["compose.yaml", "kustomize/stack/grafana/statefulset.yaml"] {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        for (name, port) in SOURCES {
            let key = format!("SOTP_{}_URL", name.to_uppercase());
            let at = text.find(&key).unwrap();
            let said: String = text[at..].lines().take(2).collect();
            assert!(
                said.contains(&format!("://gate:{port}")),
                "{file}: {key} is {said}"
            );
        }
    }
}
