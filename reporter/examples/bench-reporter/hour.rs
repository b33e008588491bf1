//! Many reports at the same hour: each a process of its own with a folder of its own, as CronJobs are, two at a time, and a mail server
//! that takes everything.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use sotp_reporter::closed::Archive;

use crate::{Cost, children, month, resident};

/// Devices of each report.
const DEVICES: u64 = 100;
/// Processes at a time.
const LANES: usize = 2;

/// Answers one client (RFC 5321, as far as one that only sends needs it).
fn serve(client: TcpStream, taken: &AtomicUsize) -> std::io::Result<()> {
    let mut out = client.try_clone()?;
    let mut lines = BufReader::new(client).lines();
    out.write_all(b"220 sink\r\n")?;
    while let Some(line) = lines.next() {
        let line = line?;
        if line == "DATA" {
            out.write_all(b"354 go on\r\n")?;
            for line in lines.by_ref() {
                if line? == "." {
                    break;
                }
            }
            taken.fetch_add(1, Ordering::SeqCst);
        }
        out.write_all(b"250 fine\r\n")?;
        if line == "QUIT" {
            break;
        }
    }
    Ok(())
}

/// What the hour took, and the reports whose mail was not taken.
pub(crate) struct Hour {
    pub(crate) cost: Cost,
    pub(crate) unsent: f64,
}

pub(crate) fn run(service: &Path, reports: usize, folder: &Path) -> Hour {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let count = Arc::clone(&count);
            std::thread::spawn(move || serve(client, &count));
        }
    });
    // Reading Prometheus is another figure: the months are closed.
    let closed = month::closed(DEVICES);
    let config = |report: usize| folder.join(format!("hour-{report}"));
    for report in 0..reports {
        let place = config(report);
        std::fs::create_dir_all(&place).unwrap();
        Archive::new(&place.join("data")).close(&closed).unwrap();
        let text = format!(
            "organisation: Customer {report}\nmail: {{server: 127.0.0.1, port: {port}, security: none, from: a@example.net, to: [b{report}@example.net]}}\n"
        );
        std::fs::write(place.join("reporter.yaml"), text).unwrap();
    }
    let (begun, before) = (Instant::now(), children());
    let next = AtomicUsize::new(0);
    let failed = AtomicUsize::new(0);
    let most = std::sync::Mutex::new(0.0_f64);
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                loop {
                    let report = next.fetch_add(1, Ordering::SeqCst);
                    if report >= reports {
                        return;
                    }
                    let place = config(report).join("reporter.yaml");
                    let mut child = Command::new(service)
                        .args(["run", "--month=2025-10"])
                        .arg(format!("--config.file={}", place.display()))
                        .stdout(Stdio::null())
                        .spawn()
                        .unwrap();
                    let memory = resident(child.id());
                    if !child.wait().unwrap().success() {
                        failed.fetch_add(1, Ordering::SeqCst);
                    }
                    let mut most = most.lock().unwrap();
                    *most = most.max(memory);
                }
            });
        }
    });
    let cost = Cost {
        wall: begun.elapsed(),
        cpu: children() - before,
        memory: *most.lock().unwrap(),
    };
    let (taken, failed) = (taken.load(Ordering::SeqCst), failed.load(Ordering::SeqCst));
    Hour {
        cost,
        unsent: reports.abs_diff(taken).max(failed) as f64,
    }
}
