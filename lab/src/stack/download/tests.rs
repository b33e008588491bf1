//! Against a small HTTP server of the test's own: no publisher is asked.

use std::collections::HashMap;
use std::process::Command;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::stack::http;
use crate::stack::programs::{Finder, LOKI, PROMETHEUS};

/// Serves `files` by path until the test ends; each answer ends with the connection.
async fn serve(files: HashMap<String, Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let files = Arc::new(files);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let files = Arc::clone(&files);
            tokio::spawn(async move {
                let mut head = vec![0; 4096];
                let read = stream.read(&mut head).await.unwrap();
                let head = String::from_utf8_lossy(&head[..read]).into_owned();
                let path = head.split(' ').nth(1).unwrap_or_default();
                let (status, body) = match files.get(path) {
                    Some(body) => ("200 OK", body.clone()),
                    None => ("404 Not Found", Vec::new()),
                };
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.write_all(&body).await;
            });
        }
    });
    base
}

struct Scene {
    folder: PathBuf,
    archive: Vec<u8>,
    sum: String,
}

/// An archive that holds `prometheus-9.9.9/prometheus`, a script that says it is one.
fn scene(name: &str) -> Scene {
    let folder = std::env::temp_dir().join(format!("sotp-dl-{name}-{}", std::process::id()));
    let source = folder.join("src/prometheus-9.9.9");
    std::fs::create_dir_all(&source).unwrap();
    let program = source.join("prometheus");
    std::fs::write(&program, "#!/bin/sh\necho 'prometheus, version 9.9.9'\n").unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let file = folder.join("a.tar.gz");
    let made = Command::new("tar")
        .arg("-czf")
        .arg(&file)
        .arg("-C")
        .arg(folder.join("src"))
        .arg(".")
        .status()
        .unwrap();
    assert!(made.success());
    let archive = std::fs::read(&file).unwrap();
    let said = Command::new("sha256sum").arg(&file).output().unwrap();
    let sum = String::from_utf8(said.stdout).unwrap()[..64].to_owned();
    Scene {
        folder,
        archive,
        sum,
    }
}

impl Scene {
    fn store(&self) -> PathBuf {
        self.folder.join("into")
    }

    fn left(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.store())
            .into_iter()
            .flatten()
            .flatten();
        entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn pin(base: &str, rest: &str) -> Pin {
    let text =
        format!("name = \"prometheus\"\nversion = \"9.9.9\"\nurl = \"{base}/r/p.tar.gz\"\n{rest}");
    toml::from_str(&text).unwrap()
}

#[tokio::test]
async fn what_the_publisher_vouches_for_is_unpacked_and_found() {
    let scene = scene("good");
    let sums = format!(
        "{}  other.tar.gz\n{}  ./p.tar.gz\n",
        "0".repeat(64),
        scene.sum.to_uppercase()
    );
    let files = HashMap::from([
        ("/r/p.tar.gz".into(), scene.archive.clone()),
        ("/r/SUMS".into(), sums.into_bytes()),
    ]);
    let base = serve(files).await;
    let pin = pin(&base, &format!("checksums = \"{base}/r/SUMS\""));
    let place = fetch(&http::local(), &pin, &scene.store()).await.unwrap();
    assert_eq!(place, scene.store().join("prometheus-9.9.9"));
    assert_eq!(scene.left(), ["prometheus-9.9.9"]);
    let finder = Finder {
        folders: vec![scene.store()],
    };
    assert_eq!(finder.find(&PROMETHEUS).await.unwrap().version, "9.9.9");
}

#[tokio::test]
async fn what_does_not_match_is_deleted() {
    let scene = scene("bad");
    let mut other = scene.archive.clone();
    *other.last_mut().unwrap() ^= 1;
    let files = HashMap::from([
        ("/r/p.tar.gz".into(), other),
        (
            "/r/SUMS".into(),
            format!("{}  p.tar.gz\n", scene.sum).into_bytes(),
        ),
    ]);
    let base = serve(files).await;
    let publisher = pin(&base, &format!("checksums = \"{base}/r/SUMS\""));
    let error = fetch(&http::local(), &publisher, &scene.store())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::Checksum { expected, .. } if *expected == scene.sum),
        "{error}"
    );
    assert_eq!(scene.left(), Vec::<String>::new());
}

#[tokio::test]
async fn the_users_own_checksum_stands_above_the_publishers() {
    let scene = scene("own");
    let wrong = "0".repeat(64);
    let files = HashMap::from([
        ("/r/p.tar.gz".into(), scene.archive.clone()),
        (
            "/r/SUMS".into(),
            format!("{}  p.tar.gz\n", scene.sum).into_bytes(),
        ),
    ]);
    let base = serve(files).await;
    let own = |sum: &str| {
        pin(
            &base,
            &format!("checksums = \"{base}/r/SUMS\"\nsha256 = {{ amd64 = \"{sum}\" }}"),
        )
    };
    let error = fetch(&http::local(), &own(&wrong), &scene.store())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::Checksum { expected, .. } if *expected == wrong),
        "{error}"
    );
    fetch(&http::local(), &own(&scene.sum), &scene.store())
        .await
        .unwrap();
}

#[tokio::test]
async fn an_archive_nobody_vouches_for_is_not_fetched() {
    let scene = scene("unlisted");
    let files = HashMap::from([
        ("/r/p.tar.gz".into(), scene.archive.clone()),
        (
            "/r/SUMS".into(),
            format!("{}  q.tar.gz\n", scene.sum).into_bytes(),
        ),
    ]);
    let base = serve(files).await;
    let unlisted = pin(&base, &format!("checksums = \"{base}/r/SUMS\""));
    let error = fetch(&http::local(), &unlisted, &scene.store())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unlisted { .. }), "{error}");
    let absent = pin(&base, &format!("checksums = \"{base}/r/NONE\""));
    let error = fetch(&http::local(), &absent, &scene.store())
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(error, format!("{base}/r/NONE answered 404 Not Found"));
    assert_eq!(scene.left(), Vec::<String>::new());
}

#[tokio::test]
async fn no_network_is_said_as_such() {
    let scene = scene("offline");
    // A port that was free a moment ago: nobody listens.
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let base = format!("http://127.0.0.1:{port}");
    let pin = pin(&base, &format!("checksums = \"{base}/r/SUMS\""));
    let error = fetch(&http::local(), &pin, &scene.store())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Offline(_)), "{error}");
    assert_eq!(error.to_string(), "127.0.0.1 cannot be reached");
}

#[tokio::test]
async fn a_zip_becomes_a_program() {
    let scene = scene("zip");
    let program = scene.folder.join("loki-linux-amd64");
    std::fs::write(&program, "#!/bin/sh\necho 'loki, version 9.9.9 (branch)'\n").unwrap();
    let zip = scene.folder.join("l.zip");
    // The zip of a Go project: made without permissions. Python is what can write one here.
    let code = "import sys,zipfile; z=zipfile.ZipFile(sys.argv[1],'w',8); z.writestr('loki-linux-amd64', open(sys.argv[2]).read())";
    let made = Command::new("python3")
        .args(["-c", code])
        .arg(&zip)
        .arg(&program)
        .status()
        .unwrap();
    assert!(made.success());
    let said = Command::new("sha256sum").arg(&zip).output().unwrap();
    let sum = String::from_utf8(said.stdout).unwrap()[..64].to_owned();
    let files = HashMap::from([
        ("/l.zip".into(), std::fs::read(&zip).unwrap()),
        ("/l.zip.sha256".into(), sum.into_bytes()),
    ]);
    let base = serve(files).await;
    let text = format!(
        "name = \"loki\"\nversion = \"9.9.9\"\nurl = \"{base}/l.zip\"\nchecksums = \"{base}/l.zip.sha256\""
    );
    fetch(
        &http::local(),
        &toml::from_str(&text).unwrap(),
        &scene.store(),
    )
    .await
    .unwrap();
    let finder = Finder {
        folders: vec![scene.store()],
    };
    assert_eq!(finder.find(&LOKI).await.unwrap().version, "9.9.9");
}
