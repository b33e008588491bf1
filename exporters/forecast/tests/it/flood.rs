//! A query that names a million series by mistake.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use testkit::{Spawn, TempDir, eventually};

use crate::world::BINARY;

const MILLION: usize = 1_000_000;

/// Answers one question: with their number when that is asked for, and with a million series otherwise, for as long as anybody reads them.
fn answer(mut stream: TcpStream, read: &AtomicUsize) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut length, mut line) = (0, String::new());
    while reader.read_line(&mut line)? > 2 {
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes())?;
    if body.starts_with(b"query=count") {
        let text = format!(
            "{{\"status\":\"success\",\"data\":{{\"resultType\":\"vector\",\"result\":[{{\"metric\":{{}},\"value\":[1,\"{MILLION}\"]}}]}}}}"
        );
        return stream.write_all(text.as_bytes());
    }
    stream
        .write_all(b"{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[")?;
    for series in 0..MILLION {
        let comma = if series == 0 { "" } else { "," };
        let text = format!(
            "{comma}{{\"metric\":{{\"device\":\"r{series}\"}},\"values\":[[1795046400,\"1\"]]}}"
        );
        stream.write_all(text.as_bytes())?;
    }
    read.fetch_add(1, Ordering::Relaxed);
    stream.write_all(b"]}}")
}

#[tokio::test]
async fn a_million_series_are_told_as_too_many_in_bounded_memory() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let whole = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&whole);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let counted = Arc::clone(&counted);
            // One that hangs up has had enough.
            std::thread::spawn(move || answer(stream, &counted));
        }
    });
    let folder = TempDir::new().unwrap();
    let text = format!(
        "prometheus: {{url: '{url}', max_bytes: 2097152}}\nforecasts:\n  - {{name: everything_bits, query: '{{__name__!=\"\"}}'}}\n"
    );
    let config = folder.write("forecast.yaml", &text).unwrap();
    let forecast = Spawn::new(BINARY)
        .args([format!("--config.file={}", config.display())])
        .start()
        .await
        .unwrap();
    let page = eventually(Duration::from_secs(60), || async {
        let page = forecast.scrape().await?;
        let labels = [("forecast", "everything_bits"), ("state", "too_many")];
        let told = page.value("forecast_series", &labels);
        anyhow::ensure!(told == Some(MILLION as f64), "{told:?}");
        Ok(page)
    })
    .await
    .unwrap();
    let of = [("forecast", "everything_bits")];
    assert_eq!(page.value("forecast_history_up", &of), Some(0.0));
    assert!(
        page.select("forecast_everything_bits", &[])
            .next()
            .is_none()
    );
    // Nobody read to the end, and nothing was kept of what was read.
    assert_eq!(whole.load(Ordering::Relaxed), 0);
    let held = page.value("process_resident_memory_bytes", &[]).unwrap();
    assert!(held < f64::from(256 << 20), "{held} bytes");
}
