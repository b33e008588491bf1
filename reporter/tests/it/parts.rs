//! Prometheus that does not answer for a part, or at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use testkit::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::mails::{config, small};
use crate::smtp::Smtp;
use crate::support::{run, said};

/// Stands before a real Prometheus and refuses what is asked of the maintenance, as one does that is told to remember less.
async fn before(url: &str, refuses: Arc<AtomicBool>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = format!("http://{}", listener.local_addr().unwrap());
    let upstream = url.trim_start_matches("http://").to_owned();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (upstream, refuses) = (upstream.clone(), Arc::clone(&refuses));
            tokio::spawn(async move {
                let _ = one(client, &upstream, &refuses).await;
            });
        }
    });
    own
}

/// One request of a connection, which ends with it.
async fn one(mut client: TcpStream, upstream: &str, refuses: &AtomicBool) -> std::io::Result<()> {
    let mut request = Vec::new();
    let head = loop {
        if client.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
        if let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = String::from_utf8_lossy(&request[..head]).to_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.trim().parse::<usize>().unwrap());
    while request.len() < head + length {
        client.read_buf(&mut request).await?;
    }
    let body = String::from_utf8_lossy(&request[head..]).into_owned();
    if refuses.load(Ordering::Relaxed) && body.contains("sotp_device_maintenance%5B") {
        let answer = r#"{"status":"error","errorType":"bad_data","error":"not for you"}"#;
        let answer = format!(
            "HTTP/1.1 422 Unprocessable Entity\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{answer}",
            answer.len()
        );
        client.write_all(answer.as_bytes()).await?;
        return client.shutdown().await;
    }
    let mut server = TcpStream::connect(upstream).await?;
    // The server ends the connection after its answer.
    let end = b"Connection: close\r\n\r\n";
    server.write_all(&request[..head - 2]).await?;
    server.write_all(end).await?;
    server.write_all(&request[head..]).await?;
    tokio::io::copy(&mut server, &mut client).await?;
    client.shutdown().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn part_that_is_not_answered_stands_on_page_one_and_in_the_exit_status_and_is_not_sent_unasked()
 {
    let dir = TempDir::new().unwrap();
    let (server, smtp) = (small(&dir).await, Smtp::start().await);
    let refuses = Arc::new(AtomicBool::new(true));
    let url = before(&server.url, Arc::clone(&refuses)).await;
    let config = config(&dir, &server, &smtp.section());
    let path = dir.join("reporter.yaml");
    let text = std::fs::read_to_string(&path)
        .unwrap()
        .replace(&server.url, &url);
    std::fs::write(&path, text).unwrap();
    let render = || {
        let out = format!("--output={}", dir.join("out").display());
        run(&["render", &config, "--month=2025-10", &out])
    };
    let output = render();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        said(&output).contains(
            "missing: sotp_device_maintenance from 2025-09-30T23:00:00Z to 2025-10-31T23:59:59.999Z"
        ),
        "{}",
        said(&output)
    );
    let manifest = std::fs::read_to_string(dir.join("out/manifest.json")).unwrap();
    assert!(manifest.contains("not for you"), "{manifest}");
    match std::process::Command::new("pdftotext")
        .arg("-l")
        .arg("1")
        .arg(dir.join("out/availability-2025-10.pdf"))
        .arg("-")
        .output()
    {
        Err(error) => testkit::skip(format!("pdftotext: {error}")),
        Ok(paper) => {
            let paper = said(&paper);
            assert!(
                paper.contains("Incomplete: not every part was answered"),
                "{paper}"
            );
            assert!(paper.contains("not for you"), "{paper}");
        }
    }
    let held = run(&["run", &config, "--month=2025-10"]);
    assert_eq!(held.status.code(), Some(2), "{}", said(&held));
    assert!(smtp.mails().is_empty());
    let sent = run(&["run", &config, "--month=2025-10", "--incomplete"]);
    assert_eq!(sent.status.code(), Some(2), "{}", said(&sent));
    assert!(smtp.mails()[0].subject.ends_with("(incomplete)"));
    // Once it answers, nothing is missing.
    refuses.store(false, Ordering::Relaxed);
    let output = render();
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn prometheus_that_does_not_answer_gives_no_report() {
    let dir = TempDir::new().unwrap();
    // Nobody listens on the discard port of loopback.
    let path = dir
        .write("reporter.yaml", "prometheus: {url: 'http://127.0.0.1:9'}\n")
        .unwrap();
    let output = run(&[
        "render",
        &format!("--config.file={}", path.display()),
        "--month=2025-10",
        &format!("--output={}", dir.join("out").display()),
    ]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("Prometheus does not answer: no answer from Prometheus"),
        "{}",
        said(&output)
    );
    assert!(!dir.join("out").exists());
}

/// What a later version wrote is refused with what to do, whatever else stands in it.
#[test]
fn reports_and_mails_of_a_later_version_are_refused() {
    let dir = testkit::TempDir::new().unwrap();
    let store = sotp_reporter::store::Store::open(dir.path()).unwrap();
    let month = "2026-10".parse().unwrap();
    let later = r#"{"format": 2, "of": "another form"}"#;
    std::fs::create_dir(store.place(month)).unwrap();
    std::fs::write(store.place(month).join("manifest.json"), later).unwrap();
    std::fs::write(store.outbox().join("2026-10.json"), later).unwrap();
    let outbox = sotp_reporter::outbox::Outbox::new(store.outbox());
    for error in [
        store.manifest(month).unwrap_err(),
        outbox.get(month).unwrap_err(),
    ] {
        let said = error.to_string();
        assert!(
            said.contains("expected format 1, found 2: go back"),
            "{said}"
        );
    }
}
