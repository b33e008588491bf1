//! Questions whose answers are known, and those that have none.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use promapi::{BasicAuth, Error, Prometheus, Range, Section};
use testkit::{TempDir, eventually};

/// A Prometheus with a history of its own: `ramp` is the minute since `begin`, `half` ends in the middle.
struct Server {
    child: Child,
    url: String,
    begin: f64,
    _dir: TempDir,
}

/// An address where nobody listens, of this caller alone: each gets an IP address of its own on loopback.
fn free() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [high, low] = (std::process::id() as u16).to_be_bytes();
    let own = NEXT.fetch_add(1, Ordering::Relaxed);
    let listener = TcpListener::bind(SocketAddr::from(([127, high, low, own], 0))).unwrap();
    listener.local_addr().unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Minutes of history: more than Prometheus answers points for at once.
const MINUTES: u32 = 12_000;

impl Server {
    async fn start(web: Option<&str>) -> Self {
        testkit::crypto();
        let dir = TempDir::new().unwrap();
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let begin = (now / 60 - u64::from(MINUTES)) * 60;
        let mut text = String::from("# TYPE ramp gauge\n# TYPE half gauge\n");
        for minute in 0..MINUTES {
            let at = begin + u64::from(minute) * 60;
            text.push_str(&format!("ramp{{device=\"r1\"}} {minute} {at}\n"));
        }
        for minute in 0..MINUTES / 2 {
            let at = begin + u64::from(minute) * 60;
            text.push_str(&format!("half{{device=\"r1\"}} {minute} {at}\n"));
        }
        text.push_str("# EOF\n");
        let history = dir.write("history.om", text).unwrap();
        let made = Command::new("promtool")
            .args(["tsdb", "create-blocks-from", "openmetrics", "--quiet"])
            .arg("--max-block-duration=744h")
            .arg(&history)
            .arg(dir.join("data"))
            .stdout(Stdio::null())
            .status()
            .expect("promtool is installed (Debian package prometheus)");
        assert!(made.success());
        let config = dir
            .write("prometheus.yaml", "scrape_configs: []\n")
            .unwrap();
        let address = free();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                dir.join("data").display()
            ))
            .arg("--storage.tsdb.retention.time=90d")
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=warn");
        if let Some(web) = web {
            let web = dir.write("web.yaml", web).unwrap();
            command.arg(format!("--web.config.file={}", web.display()));
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null());
        let server = Self {
            child: child.spawn().expect("prometheus is installed"),
            url: format!("http://{address}"),
            begin: begin as f64,
            _dir: dir,
        };
        let ready = format!("{}/-/ready", server.url);
        eventually(Duration::from_secs(30), || async {
            let status = testkit::client().get(&ready).send().await?.status();
            anyhow::ensure!(status == 200 || status == 401, "{status}");
            Ok(())
        })
        .await
        .unwrap();
        server
    }

    fn client(&self) -> Prometheus {
        Section::new(&self.url).client(Path::new(".")).unwrap()
    }
}

#[tokio::test]
async fn answers_are_numbers_with_labels_and_refusals_say_why() {
    let server = Server::start(None).await;
    let client = server.client();
    let at = server.begin + 600.0;

    let answer = client.instant("ramp * 2", Some(at)).await.unwrap();
    assert_eq!(answer.single(), Some(20.0));
    assert_eq!(answer.samples[0].labels["device"], "r1");
    assert!((answer.samples[0].at - at).abs() < 1e-3);
    assert_eq!(
        client.instant("1 / 0", Some(at)).await.unwrap().single(),
        Some(f64::INFINITY)
    );
    assert!(
        client
            .instant("nothing", None)
            .await
            .unwrap()
            .samples
            .is_empty()
    );

    // More points than one answer of Prometheus holds, joined to one series without a gap or a double.
    let whole = Range {
        start: server.begin,
        end: server.begin + f64::from(MINUTES - 1) * 60.0,
        step: 60.0,
    };
    let matrix = client.range("ramp", whole).await.unwrap();
    assert_eq!(matrix.series.len(), 1);
    let points = &matrix.series[0].points;
    assert_eq!(points.len(), MINUTES as usize);
    for (minute, (at, value)) in points.iter().enumerate() {
        assert!(
            (value - minute as f64).abs() < 1e-9,
            "{value} at minute {minute}"
        );
        assert!((at - server.begin - 60.0 * minute as f64).abs() < 1e-3);
    }
    // As they are stored: no step, nothing carried on, and two neighbouring questions lose none.
    let from = (server.begin as i64) * 1_000;
    let middle = from + 30 * 60_000;
    let first = client.samples("half", from - 1, middle).await.unwrap();
    let second = client.samples("half", middle, from + 59 * 60_000 + 1);
    let second = second.await.unwrap();
    let mut stored: Vec<f64> = [first, second]
        .iter()
        .flat_map(|answer| &answer.series[0].points)
        .map(|(_, value)| *value)
        .collect();
    // A server older than version 3 gives the one at the edge twice.
    stored.dedup();
    let expected: Vec<f64> = (0..60).map(f64::from).collect();
    assert_eq!(stored, expected);
    let behind = from + i64::from(MINUTES) * 60_000;
    let nothing = client.samples("half", behind, behind + 60_000).await;
    assert!(nothing.unwrap().series.is_empty(), "nothing is carried on");
    assert!(client.samples("half", from, from).await.is_err());
    // Steps without a value are left out, not invented.
    let last = client.range("half", whole).await.unwrap().series[0]
        .points
        .len();
    assert!(
        (MINUTES as usize / 2..MINUTES as usize / 2 + 6).contains(&last),
        "{last}"
    );

    let labels = client
        .series(&["{device=\"r1\"}"], whole.start, whole.end)
        .await
        .unwrap();
    let mut names: Vec<&str> = labels.iter().map(|l| &*l["__name__"]).collect();
    names.sort_unstable();
    assert_eq!(names, ["half", "ramp"]);

    let refused = client.instant("ramp{", None).await.unwrap_err();
    assert!(
        matches!(&refused, Error::Refused { kind, .. } if kind == "bad_data"),
        "{refused}"
    );
    assert!(!refused.is_transient());
    let text = client.instant("\"text\"", None).await.unwrap_err();
    assert!(matches!(text, Error::Unexpected(_)), "{text}");

    let small = Section {
        max_bytes: 4_096,
        ..Section::new(&server.url)
    };
    let small = small.client(Path::new(".")).unwrap();
    let large = small.range("ramp", whole).await.unwrap_err();
    assert!(matches!(large, Error::TooLarge(4_096)), "{large}");
}

#[tokio::test]
async fn credentials_are_sent_and_their_want_is_told_from_no_server() {
    let hash = bcrypt::hash("sotp-test", 4).unwrap();
    let server = Server::start(Some(&format!("basic_auth_users: {{reader: '{hash}'}}\n"))).await;
    let refused = server.client().instant("ramp", None).await.unwrap_err();
    assert!(matches!(refused, Error::Status { code: 401 }), "{refused}");

    let dir = TempDir::new().unwrap();
    dir.write("password", "sotp-test\n").unwrap();
    let known = Section {
        basic_auth: Some(BasicAuth {
            username: "reader".to_owned(),
            password_file: "password".into(),
        }),
        ..Section::new(&server.url)
    };
    let known = known.client(dir.path()).unwrap();
    // Who has no login hears 401 also from a server that is not ready yet.
    let one = testkit::eventually(std::time::Duration::from_secs(30), async || {
        Ok(known.instant("vector(1)", None).await?.single())
    });
    assert_eq!(one.await.unwrap(), Some(1.0));

    let nobody = free();
    let nobody = Section::new(format!("http://{nobody}")).client(Path::new("."));
    let error = nobody.unwrap().instant("1", None).await.unwrap_err();
    assert!(
        matches!(error, Error::Unreachable(_)) && error.is_transient(),
        "{error}"
    );
}
