//! The real binary: every path, every refusal, deadlines, partial results, reload.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use crate::agent::{self, Agent, serve};
use testkit::{Process, Samples, Spawn, TempDir};

const YML: &str = "auths: {public_v2: {}, other: {community: other}, v3: {version: 3, username: u, security_level: noAuthNoPriv}}
modules:
  if_mib:
    walk: [1.3.6.1.2.1.2.2.1, 1.3.6.1.2.1.1.3.0]
    retries: 1
    timeout: 300ms
    metrics:
    - {name: ifMtu, oid: 1.3.6.1.2.1.2.2.1.4, type: gauge, help: h, indexes: [{labelname: ifIndex, type: gauge}]}
    - {name: ifDescr, oid: 1.3.6.1.2.1.2.2.1.2, type: DisplayString, help: h, indexes: [{labelname: ifIndex, type: gauge}]}
    - {name: sysUpTime, oid: 1.3.6.1.2.1.1.3, type: gauge, help: h}
  up:
    get: [1.3.6.1.2.1.1.3.0]
    metrics: [{name: sysUpTime, oid: 1.3.6.1.2.1.1.3, type: gauge, help: h}]
";

async fn start(flags: &[&str]) -> (TempDir, Process) {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.join("snmp.yml"), YML).unwrap();
    let file = format!("--config.file={}", dir.join("snmp.yml").display());
    let process = Spawn::new(env!("CARGO_BIN_EXE_sotp-snmp"))
        .args([file])
        .args(flags.iter().copied())
        .start()
        .await
        .unwrap();
    (dir, process)
}

/// An agent whose answers pass through `change`, which may hold one back.
fn agent(change: impl Fn(&agent::Request, Vec<u8>) -> Option<Vec<u8>> + Send + 'static) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let agent = Agent::with_interfaces(40);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let Some(request) = agent::read(&buffer[..length]) else {
                continue;
            };
            if request.community != b"public" {
                continue;
            }
            if let Some(answer) = change(&request, agent.respond(&request)) {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    address
}

fn healthy() -> String {
    agent(|_, answer| Some(answer))
}

async fn get(process: &Process, query: &str) -> (u16, String) {
    let response = testkit::client()
        .get(process.url(query))
        .timeout(Duration::from_secs(30))
        .send()
        .await
        .unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_answered_or_refused_as_by_snmp_exporter() {
    let (_dir, process) = start(&[]).await;
    let target = healthy();
    let (status, text) = get(&process, &format!("/snmp?target={target}")).await;
    let samples = Samples::parse(&text).unwrap();
    assert_eq!(
        (
            status,
            samples.select("ifMtu", &[]).count(),
            samples.value("sysUpTime", &[])
        ),
        (200, 40, Some(123_456_789.0))
    );
    assert_eq!(
        samples.value("snmp_scrape_complete", &[("module", "if_mib")]),
        Some(1.0)
    );
    let (_, both) = get(
        &process,
        &format!("/snmp?target={target}&module=up,if_mib&auth=public_v2"),
    )
    .await;
    assert_eq!(
        Samples::parse(&both)
            .unwrap()
            .value("snmp_scrape_packets_sent", &[("module", "up")]),
        Some(1.0)
    );
    for (query, text) in [
        ("/snmp", "'target' parameter must be specified once"),
        (
            "/snmp?target=a&target=b",
            "'target' parameter must be specified once",
        ),
        ("/snmp?target=a&auth=none", "Unknown auth 'none'"),
        ("/snmp?target=a&module=none", "Unknown module 'none'"),
        (
            "/snmp?target=a&module=,",
            "'module' parameter must contain at least one module name",
        ),
    ] {
        assert_eq!(
            get(&process, query).await,
            (400, format!("{text}\n")),
            "{query}"
        );
    }
    let (_, own) = get(&process, "/metrics").await;
    let own = Samples::parse(&own).unwrap();
    assert_eq!(own.value("snmp_request_errors_total", &[]), Some(5.0));
    assert_eq!(
        own.value(
            "snmp_collection_duration_seconds_count",
            &[("module", "if_mib")]
        ),
        Some(2.0)
    );
    assert!(own.value("snmp_packets_total", &[]).unwrap() >= 5.0);
    for path in ["/", "/form", "/-/healthy", "/-/ready", "/config"] {
        assert_eq!(get(&process, path).await.0, 200, "{path}");
    }
    assert!(
        !get(&process, "/config")
            .await
            .1
            .contains("community: other")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_say_why_and_end_in_time() {
    let (_dir, process) = start(&[]).await;
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let refused = {
        let closed = UdpSocket::bind("127.0.0.1:0").unwrap();
        closed.local_addr().unwrap()
    };
    for (target, auth, reason) in [
        (
            silent.local_addr().unwrap().to_string(),
            "public_v2",
            "timeout",
        ),
        (healthy(), "other", "timeout"),
        (refused.to_string(), "public_v2", "icmp_refused"),
        ("no-such-name.invalid".to_owned(), "public_v2", "dns"),
        (refused.to_string(), "v3", "icmp_refused"),
        ("127.0.0.1:99999".to_owned(), "public_v2", "configuration"),
    ] {
        let (status, text) = get(&process, &format!("/snmp?target={target}&auth={auth}")).await;
        assert!(
            status == 500 && text.contains(&format!(": {reason}: ")),
            "{target}: {status} {text}"
        );
        assert!(text.contains("fqName: \"snmp_error\""), "{text}");
    }
    let client = testkit::client();
    let url = process.url(&format!("/snmp?target={}", silent.local_addr().unwrap()));
    // On a busy machine one of them is in time.
    testkit::eventually(Duration::from_secs(20), async || {
        let began = Instant::now();
        let request = client.get(&url);
        let response = request
            .header("X-Prometheus-Scrape-Timeout-Seconds", "0.8")
            .send()
            .await?;
        assert_eq!(response.status().as_u16(), 500);
        let took = began.elapsed();
        anyhow::ensure!(took < Duration::from_millis(700), "{took:?}");
        Ok(())
    })
    .await
    .unwrap();
    let own = Samples::parse(&get(&process, "/metrics").await.1).unwrap();
    assert!(
        own.value("snmp_errors_total", &[("reason", "icmp_refused")])
            .unwrap()
            >= 2.0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partial_result_is_marked_and_can_be_refused() {
    let refuses_names = || {
        agent(|request, answer| {
            let names = request
                .oids
                .iter()
                .any(|oid| oid.starts_with(&[1, 3, 6, 1, 2, 1, 2, 2, 1, 2]));
            Some(if names {
                agent::response(request, 5, 1, &[])
            } else {
                answer
            })
        })
    };
    let (_dir, process) = start(&[]).await;
    let (status, text) = get(&process, &format!("/snmp?target={}", refuses_names())).await;
    let samples = Samples::parse(&text).unwrap();
    assert_eq!((status, samples.select("ifMtu", &[]).count()), (200, 40));
    let labels = [
        ("module", "if_mib"),
        ("reason", "gen_err"),
        ("root", "1.3.6.1.2.1.2.2.1"),
    ];
    assert_eq!(samples.value("snmp_error", &labels), Some(1.0));
    assert_eq!(
        samples.value("snmp_scrape_complete", &[("module", "if_mib")]),
        Some(0.0)
    );
    for flag in ["--snmp.partial=refuse", "--snmp.strict"] {
        let (_dir, process) = start(&[flag]).await;
        let (status, text) = get(&process, &format!("/snmp?target={}", refuses_names())).await;
        assert!(
            status == 500 && text.contains(": gen_err: "),
            "{flag}: {text}"
        );
    }
    let (_dir, process) = start(&["--snmp.failure=series"]).await;
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (status, text) = get(
        &process,
        &format!("/snmp?target={}", silent.local_addr().unwrap()),
    )
    .await;
    assert_eq!(
        (
            status,
            Samples::parse(&text)
                .unwrap()
                .select("snmp_error", &[("reason", "timeout")])
                .count()
        ),
        (200, 2)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn identical_scrapes_under_way_are_one() {
    let (_dir, process) = start(&[]).await;
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = socket.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        serve(
            &socket,
            &Agent::with_interfaces(5),
            Duration::from_millis(150),
        );
    });
    let query = format!("/snmp?target={target}");
    let answers = tokio::join!(
        get(&process, &query),
        get(&process, &query),
        get(&process, &query)
    );
    assert!(
        [&answers.0, &answers.1, &answers.2]
            .iter()
            .all(|(status, _)| *status == 200)
    );
    let own = Samples::parse(&get(&process, "/metrics").await.1).unwrap();
    assert!(own.value("snmp_coalesced_scrapes_total", &[]).unwrap() >= 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_device_chooses_its_modules_once() {
    let process = Spawn::new(env!("CARGO_BIN_EXE_sotp-snmp"))
        .start()
        .await
        .unwrap();
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = std::sync::Arc::clone(&asked);
    let target = agent(move |request, answer| {
        // Only the choice asks with GETNEXT.
        counter.fetch_add(
            usize::from(request.tag == 0xa1),
            std::sync::atomic::Ordering::Relaxed,
        );
        Some(answer)
    });
    let (status, text) = get(&process, &format!("/snmp?target={target}&module=auto")).await;
    let samples = Samples::parse(&text).unwrap();
    let chosen: Vec<&str> = samples
        .select("snmp_module_chosen", &[])
        .filter_map(|sample| sample.labels.get("module").map(String::as_str))
        .collect();
    assert_eq!((status, chosen), (200, vec!["if_mib", "system"]), "{text}");
    assert_eq!(samples.select("ifHCInOctets", &[]).count(), 40);
    // sysUpTime belongs to both: it is there once, and nothing is wrong.
    assert_eq!(samples.select("sysUpTime", &[]).count(), 1);
    assert_eq!(
        samples.value("snmp_scrape_complete", &[("module", "system")]),
        Some(1.0)
    );
    let first = asked.load(std::sync::atomic::Ordering::Relaxed);
    get(&process, &format!("/snmp?target={target}&module=auto")).await;
    let second = asked.load(std::sync::atomic::Ordering::Relaxed) - first;
    assert!(first > 0 && second == 0, "{first} requests, then {second}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_file_is_refused_and_the_old_one_stays() {
    let (dir, process) = start(&["--config.auto-reload-interval=0s"]).await;
    std::fs::write(dir.join("snmp.yml"), YML.replace("if_mib", "renamed")).unwrap();
    let reload = || async {
        testkit::client()
            .post(process.url("/-/reload"))
            .send()
            .await
            .unwrap()
    };
    assert_eq!(reload().await.status().as_u16(), 200);
    assert_eq!(
        get(&process, "/snmp?target=127.0.0.1:9&module=if_mib")
            .await
            .1,
        "Unknown module 'if_mib'\n"
    );
    std::fs::write(
        dir.join("snmp.yml"),
        "auths: {a: {version: 9}}\nmodules: {m: {}}\n",
    )
    .unwrap();
    let refused = reload().await;
    assert_eq!(refused.status().as_u16(), 500);
    let text = refused.text().await.unwrap();
    assert!(
        text.contains("snmp.yml:1:12: auths.a: version: 9 is no SNMP version"),
        "{text}"
    );
    assert_eq!(
        get(
            &process,
            &format!("/snmp?target={}&module=renamed", healthy())
        )
        .await
        .0,
        200
    );
}

#[test]
fn files_are_checked_from_the_command_line() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.join("a.yml"), "auths: {a: {}}\n").unwrap();
    std::fs::write(dir.join("b.yml"), "modules: {m: {}}\n").unwrap();
    std::fs::write(dir.join("c.yml"), "modules: {m: {}}\n").unwrap();
    let check = |files: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sotp-snmp"));
        for file in files {
            command.arg("--config.file").arg(dir.join(file));
        }
        let output = command.arg("--dry-run").output().unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    assert_eq!(check(&["a.yml", "b.yml"]).0, Some(0));
    // Credentials alone come with the built-in modules.
    assert_eq!(check(&["a.yml"]).0, Some(0));
    let (code, text) = check(&["b.yml"]);
    assert!(code == Some(64) && text.contains("no auths"), "{text}");
    let (code, text) = check(&["[abc].yml"]);
    assert!(
        code == Some(64)
            && text.contains("c.yml:1:14: modules.m: another file has a module of this name"),
        "{text}"
    );
}

/// As snmp_exporter with `--web.systemd-socket`: the socket that the service manager has bound, and no other.
#[tokio::test]
async fn a_socket_of_systemd_is_taken_in_place_of_addresses() {
    let (listener, other) = (
        std::net::TcpListener::bind("127.0.0.1:0").unwrap(),
        std::net::TcpListener::bind("127.0.0.1:0").unwrap(),
    );
    let address = listener.local_addr().unwrap();
    let taken = other.local_addr().unwrap();
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.join("snmp.yml"), YML).unwrap();
    let mut command = std::process::Command::new("sh");
    // sd_listen_fds(3): descriptors from 3 on, for the process that LISTEN_PID names.
    command
        .args([
            "-c",
            r#"export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@" 3<&0 </dev/null"#,
            "sh",
        ])
        .arg(env!("CARGO_BIN_EXE_sotp-snmp"))
        .args(["--web.systemd-socket"])
        .arg(format!("--web.listen-address={taken}"))
        .arg(format!("--config.file={}", dir.join("snmp.yml").display()))
        .stdin(std::os::fd::OwnedFd::from(listener))
        .stderr(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    let answered = testkit::eventually(Duration::from_secs(30), || async {
        let answer = testkit::client()
            .get(format!("http://{address}/-/healthy"))
            .timeout(Duration::from_secs(5))
            .send()
            .await?;
        anyhow::ensure!(answer.status() == 200);
        Ok(())
    });
    let answered = answered.await;
    let _ = child.kill();
    let _ = child.wait();
    answered.unwrap();
    // Without a socket it does not start.
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_sotp-snmp"))
        .arg("--web.systemd-socket")
        .arg(format!("--config.file={}", dir.join("snmp.yml").display()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("listen address systemd: no socket"),
        "{said}"
    );
}
