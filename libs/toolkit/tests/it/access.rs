//! Basic authentication, response headers and rate limit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::{SOON, spawn};
use testkit::{Process, TempDir, client, eventually};

async fn guarded(dir: &TempDir, web: &str) -> Process {
    let path = dir.write("web.yml", web).unwrap();
    spawn(&[
        format!("--web.config.file={}", path.display()),
        "--config.auto-reload-interval=100ms".to_owned(),
    ])
    .start()
    .await
    .unwrap()
}

fn user(password: &str, cost: u32) -> String {
    format!(
        "basic_auth_users:\n  alice: {}\n",
        bcrypt::hash(password, cost).unwrap()
    )
}

async fn status(service: &Process, name: &str, password: &str) -> u16 {
    status_by(&client(), service, name, password).await
}

async fn status_by(client: &reqwest::Client, service: &Process, name: &str, password: &str) -> u16 {
    let request = client
        .get(service.url("/-/healthy"))
        .basic_auth(name, Some(password));
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn users_are_let_in_by_password() {
    let dir = TempDir::new().unwrap();
    let service = guarded(&dir, &user("open sesame", 6)).await;
    let (code, _) = service.get("/metrics").await.unwrap();
    assert_eq!(code, 401);
    let challenge = client().get(service.url("/")).send().await.unwrap();
    assert!(
        challenge.headers()["www-authenticate"]
            .to_str()
            .unwrap()
            .starts_with("Basic realm=")
    );
    for _ in 0..3 {
        assert_eq!(status(&service, "alice", "open sesame").await, 200);
        assert_eq!(status(&service, "alice", "open says me").await, 401);
        assert_eq!(status(&service, "bob", "open sesame").await, 401);
        assert_eq!(status(&service, "", "").await, 401);
    }
    for value in [
        "Basic",
        "Basic !!!",
        "Basic YWxpY2U=",
        "Bearer YWxpY2U6b3BlbiBzZXNhbWU=",
    ] {
        let answer = client()
            .get(service.url("/"))
            .header("authorization", value)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 401, "{value}");
    }
    let log = service.log();
    assert!(!log.contains("sesame") && !log.contains("$2b$"), "{log}");
}

#[tokio::test]
async fn results_are_remembered_and_unknown_users_take_as_long() {
    let dir = TempDir::new().unwrap();
    let service = guarded(&dir, &user("secret", 11)).await;
    let mut took = Vec::new();
    for (name, password) in [("alice", "secret"), ("alice", "wrong"), ("nobody", "wrong")] {
        let began = Instant::now();
        status(&service, name, password).await;
        took.push(began.elapsed());
    }
    // Cost 11 takes tens of milliseconds everywhere; so does each first comparison, of the unknown user too.
    assert!(
        took.iter().all(|took| *took > Duration::from_millis(25)),
        "{took:?}"
    );
    let began = Instant::now();
    for _ in 0..20 {
        assert_eq!(status(&service, "alice", "secret").await, 200);
        assert_eq!(status(&service, "nobody", "wrong").await, 401);
    }
    assert!(
        began.elapsed() < took[0] * 20,
        "40 remembered answers took {:?}, one comparison {:?}",
        began.elapsed(),
        took[0]
    );
}

#[tokio::test]
async fn changed_password_counts_at_once() {
    let dir = TempDir::new().unwrap();
    let service = guarded(&dir, &user("first", 5)).await;
    assert_eq!(status(&service, "alice", "first").await, 200);
    dir.write("web.yml", user("second", 5)).unwrap();
    eventually(SOON, || async {
        let code = status(&service, "alice", "second").await;
        anyhow::ensure!(code == 200, "{code}");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(status(&service, "alice", "first").await, 401);
}

#[tokio::test]
async fn many_wrong_logins_do_not_pile_up() {
    let dir = TempDir::new().unwrap();
    let service = guarded(&dir, &user("secret", 8)).await;
    assert_eq!(status(&service, "alice", "secret").await, 200);
    let http = client();
    let tries: Vec<_> = (0..300)
        .map(|number| {
            let request = http
                .get(service.url("/"))
                .basic_auth("alice", Some(format!("guess {number}")));
            tokio::spawn(async move { request.send().await.unwrap().status().as_u16() })
        })
        .collect();
    let mut refused = 0;
    for answer in tries {
        match answer.await.unwrap() {
            401 => {}
            503 => refused += 1,
            other => panic!("answered {other}"),
        }
    }
    assert!(refused > 0, "the queue of comparisons is not bounded");
    // Who is remembered does not queue.
    assert_eq!(status(&service, "alice", "secret").await, 200);
    let metrics = http
        .get(service.url("/metrics"))
        .basic_auth("alice", Some("secret"))
        .send()
        .await
        .unwrap();
    let samples = testkit::Samples::parse(&metrics.text().await.unwrap()).unwrap();
    assert_eq!(
        samples.value(
            "sotp_http_requests_refused_total",
            &[("reason", "auth_queue")]
        ),
        Some(f64::from(refused))
    );
}

/// As many wrong passwords as come, under another name and under the same: a right one waits its turn, and has it.
#[tokio::test]
async fn wrong_logins_do_not_keep_right_ones_out() {
    let dir = TempDir::new().unwrap();
    let hash = bcrypt::hash("secret", 8).unwrap();
    let users = format!("basic_auth_users:\n  alice: {hash}\n  carol: {hash}\n");
    let service = Arc::new(guarded(&dir, &users).await);
    // To make one takes so long that seventy of them have not asked in time on a busy machine.
    let client = client();
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let attackers: Vec<_> = (0..70)
        .map(|attacker| {
            let (service, stop) = (Arc::clone(&service), Arc::clone(&stop));
            let client = client.clone();
            tokio::spawn(async move {
                let mut number = 0;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    number += 1;
                    let password = format!("wrong {attacker} {number}");
                    assert_eq!(status_by(&client, &service, "alice", &password).await, 401);
                }
            })
        })
        .collect();
    // Let their passwords pile up first.
    eventually(SOON, || async {
        anyhow::ensure!(status_by(&client, &service, "alice", "wrong").await == 401);
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(status_by(&client, &service, "carol", "secret").await, 200);
    assert_eq!(status_by(&client, &service, "alice", "secret").await, 200);
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for attacker in attackers {
        attacker.await.unwrap();
    }
}

#[tokio::test]
async fn configured_headers_are_on_every_response() {
    let dir = TempDir::new().unwrap();
    let service = guarded(
        &dir,
        "http_server_config:\n  headers:\n    X-Frame-Options: deny\n",
    )
    .await;
    for path in ["/", "/none", "/metrics"] {
        let answer = client().get(service.url(path)).send().await.unwrap();
        assert_eq!(answer.headers()["x-frame-options"], "deny", "{path}");
    }
}

#[tokio::test]
async fn rate_limit_refuses_the_rest() {
    let dir = TempDir::new().unwrap();
    let service = guarded(&dir, "rate_limit:\n  interval: 1h\n  burst: 3\n").await;
    let mut codes = Vec::new();
    for _ in 0..5 {
        codes.push(service.get("/-/healthy").await.unwrap().0);
    }
    assert_eq!(codes, [200, 200, 200, 429, 429]);
}

/// What an editor or a full disk leaves between truncating and writing takes nobody's password away; a restart needs to be told.
#[tokio::test]
async fn an_emptied_file_takes_no_protection_away() {
    let dir = TempDir::new().unwrap();
    let service = guarded(&dir, &user("secret", 4)).await;
    assert_eq!(status(&service, "alice", "secret").await, 200);
    for text in ["", "# nothing\n", "http_server_config: {}\n"] {
        dir.write("web.yml", text).unwrap();
        let refused = testkit::client()
            .post(service.url("/-/reload"))
            .basic_auth("alice", Some("secret"))
            .send()
            .await
            .unwrap();
        assert_eq!(refused.status(), 500, "{text:?}");
        let why = refused.text().await.unwrap();
        assert!(
            why.contains("the passwords of basic_auth_users would be off"),
            "{why}"
        );
        assert_eq!(service.get("/whoami").await.unwrap().0, 401, "{text:?}");
    }
    dir.write("web.yml", "# nothing\n").unwrap();
    let file = format!("--web.config.file={}", dir.path().join("web.yml").display());
    let check = |more: &[&str]| {
        let mut args = vec![file.as_str(), "--config.check"];
        args.extend(more);
        std::process::Command::new(crate::support::echo())
            .args(args)
            .output()
            .unwrap()
    };
    let refused = check(&[]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(64), "{said}");
    assert!(said.contains("--web.allow-empty-config"), "{said}");
    assert_eq!(check(&["--web.allow-empty-config"]).status.code(), Some(0));
}
