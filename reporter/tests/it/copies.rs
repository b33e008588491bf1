//! Copies in a folder and in a bucket: put once, again after a server that was away, the manifest last.

use std::sync::{Arc, Mutex};

use testkit::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::mails::{config, small};
use crate::support::{run, said};

/// What was put: the path, the header that says by whom, and the body.
type Objects = Arc<Mutex<Vec<(String, String, Vec<u8>)>>>;

/// Takes every object after the first request, which it refuses.
async fn bucket() -> (String, Objects) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let objects = Objects::default();
    let own = Arc::clone(&objects);
    tokio::spawn(async move {
        let mut requests = 0;
        while let Ok((mut client, _)) = listener.accept().await {
            requests += 1;
            let mut request = Vec::new();
            let (head, length) = loop {
                if client.read_buf(&mut request).await.unwrap_or(0) == 0 {
                    break (0, 0);
                }
                let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") else {
                    continue;
                };
                let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "));
                break (end + 4, length.map_or(0, |length| length.parse().unwrap()));
            };
            while request.len() < head + length {
                client.read_buf(&mut request).await.unwrap();
            }
            let text = String::from_utf8_lossy(&request[..head]).into_owned();
            let mut words = text.split(' ');
            let (method, path) = (
                words.next().unwrap_or_default(),
                words.next().unwrap_or_default(),
            );
            let said = text
                .lines()
                .find_map(|line| line.strip_prefix("authorization: "));
            let refused = requests <= 1 || method != "PUT";
            if !refused {
                let object = (
                    path.to_owned(),
                    said.unwrap_or_default().to_owned(),
                    request[head..].to_vec(),
                );
                own.lock().unwrap().push(object);
            }
            let status = if refused { "503 Slow Down" } else { "200 OK" };
            let answer =
                format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 4\r\n\r\nwait");
            let _ = client.write_all(answer.as_bytes()).await;
        }
    });
    (url, objects)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_are_put_once_and_again_after_a_server_that_was_away() {
    let dir = TempDir::new().unwrap();
    let (server, (url, objects)) = (small(&dir).await, bucket().await);
    dir.write("secret", "a secret\n").unwrap();
    let section = format!(
        "copies:\n  folder: shared\n  s3: {{url: '{url}', bucket: reports, prefix: sotp/, access_key_id: AKID, secret_key_file: secret}}\n"
    );
    let config = config(&dir, &server, &section);
    let send = || run(&["run", &config, "--month=2025-10"]);
    let away = send();
    assert_eq!(away.status.code(), Some(1), "{}", said(&away));
    assert!(
        said(&away).contains("the copy in S3: the server answered 503 Service Unavailable: wait"),
        "{}",
        said(&away)
    );
    for _ in 0..2 {
        let output = send();
        assert!(output.status.success(), "{}", said(&output));
    }
    let objects = objects.lock().unwrap().clone();
    let kept = dir.join("data/reports/2025-10");
    assert_eq!(
        objects.len(),
        std::fs::read_dir(&kept).unwrap().count(),
        "once"
    );
    for (path, authorization, content) in &objects {
        let name = path.strip_prefix("/reports/sotp/2025-10/").unwrap();
        assert!(
            std::fs::read(kept.join(name)).unwrap() == *content,
            "{name}"
        );
        assert!(std::fs::read(dir.join("shared/2025-10").join(name)).unwrap() == *content);
        assert!(
            authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKID/"),
            "{authorization}"
        );
        assert!(!authorization.contains("a secret"));
    }
    assert!(objects.last().unwrap().0.ends_with("/manifest.json"));
}
