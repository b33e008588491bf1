//! What a client may not do: slow heads, large heads and bodies, unread responses, too many connections or requests.

use std::time::{Duration, Instant};

use crate::support::{SOON, ask, response, start};
use testkit::{Process, TempDir, eventually};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

async fn closed(service: &Process, reason: &str, at_least: f64) {
    eventually(SOON, || async {
        let samples = service.scrape().await?;
        let count = samples.value("sotp_http_connections_closed_total", &[("reason", reason)]);
        anyhow::ensure!(count >= Some(at_least), "{reason}: {count:?}");
        Ok(())
    })
    .await
    .unwrap();
}

async fn refused(service: &Process, reason: &str) -> f64 {
    service
        .scrape()
        .await
        .unwrap()
        .value("sotp_http_requests_refused_total", &[("reason", reason)])
        .unwrap()
}

/// Reads until the server closes; how long it took.
async fn until_closed(stream: &mut TcpStream) -> Duration {
    let began = Instant::now();
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(SOON, stream.read_to_end(&mut rest))
        .await
        .expect("the server does not close");
    began.elapsed()
}

#[tokio::test]
async fn slow_head_is_cut_off_even_when_it_drips() {
    let service = start(&["--web.header-timeout=500ms"]).await;
    let mut silent = TcpStream::connect(service.address()).await.unwrap();
    let mut drips = TcpStream::connect(service.address()).await.unwrap();
    let (mut read, mut write) = drips.split();
    let drip = async {
        let _ = write.write_all(b"GET / HTTP/1.1\r\nx: ").await;
        while write.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let began = Instant::now();
    let mut rest = Vec::new();
    tokio::select! {
        _ = read.read_to_end(&mut rest) => {}
        () = drip => {}
        () = tokio::time::sleep(SOON) => panic!("the drip goes on"),
    }
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(400) && took < Duration::from_secs(10),
        "{took:?}"
    );
    until_closed(&mut silent).await;
    closed(&service, "header_time", 2.0).await;
}

#[tokio::test]
async fn slow_head_after_a_request_is_cut_off_and_a_pause_is_not() {
    let service = start(&["--web.header-timeout=500ms"]).await;
    let mut stream = TcpStream::connect(service.address()).await.unwrap();
    ask(&mut stream, "GET /-/healthy HTTP/1.1").await.unwrap();
    tokio::time::sleep(Duration::from_millis(1000)).await;
    ask(&mut stream, "GET /-/healthy HTTP/1.1").await.unwrap();
    stream.write_all(b"GET /").await.unwrap();
    until_closed(&mut stream).await;
    closed(&service, "header_time", 1.0).await;
}

#[tokio::test]
async fn idle_connection_is_closed() {
    let service = start(&["--web.idle-timeout=300ms"]).await;
    let mut stream = TcpStream::connect(service.address()).await.unwrap();
    ask(&mut stream, "GET /-/healthy HTTP/1.1").await.unwrap();
    until_closed(&mut stream).await;
    closed(&service, "idle", 1.0).await;
}

#[tokio::test]
async fn large_head_gets_431() {
    let service = start(&[]).await;
    for head in [
        format!("GET /{} HTTP/1.1", "a".repeat(20_000)),
        format!("GET / HTTP/1.1\r\nx: {}", "a".repeat(20_000)),
        format!("GET / HTTP/1.1{}", "\r\nx: y".repeat(200)),
    ] {
        let mut stream = TcpStream::connect(service.address()).await.unwrap();
        let answer = ask(&mut stream, &head).await.unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 431") || answer.starts_with("HTTP/1.1 414"),
            "{answer}"
        );
    }
    closed(&service, "header_size", 3.0).await;
}

#[tokio::test]
async fn large_body_gets_413() {
    let service = start(&["--web.max-body-bytes=1000"]).await;
    assert_eq!(
        service.post("/echo/a", "x".repeat(1000)).await.unwrap(),
        (200, "a: 1000 bytes\n".to_owned())
    );
    assert_eq!(
        service.post("/echo/a", "x".repeat(1001)).await.unwrap().0,
        413
    );
    // Without a length that tells beforehand.
    let mut stream = TcpStream::connect(service.address()).await.unwrap();
    let chunk = format!("3e8\r\n{}\r\n", "x".repeat(1000));
    let request = format!(
        "POST /echo/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    assert!(
        response(&mut stream)
            .await
            .unwrap()
            .starts_with("HTTP/1.1 413")
    );
    assert!(refused(&service, "body_size").await >= 2.0);
}

#[tokio::test]
async fn slow_body_and_slow_page_get_503() {
    let service = start(&["--web.request-timeout=500ms"]).await;
    let mut stream = TcpStream::connect(service.address()).await.unwrap();
    stream
        .write_all(b"POST /echo/a HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc")
        .await
        .unwrap();
    assert!(
        response(&mut stream)
            .await
            .unwrap()
            .starts_with("HTTP/1.1 503")
    );
    assert_eq!(service.get("/slow").await.unwrap().0, 503);
    assert!(refused(&service, "request_time").await >= 2.0);
}

#[tokio::test]
async fn response_that_is_not_read_is_cut_off() {
    let service = start(&["--web.write-timeout=500ms"]).await;
    let mut stream = TcpStream::connect(service.address()).await.unwrap();
    stream
        .write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    closed(&service, "slow_reader", 1.0).await;
}

#[tokio::test]
async fn response_that_is_read_in_drips_is_cut_off() {
    let service = start(&["--web.request-timeout=1500ms", "--web.write-timeout=1s"]).await;
    let mut stream = TcpStream::connect(service.address()).await.unwrap();
    stream
        .write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let drip = async {
        let mut chunk = vec![0; 256 * 1024];
        while stream.read(&mut chunk).await.is_ok_and(|count| count > 0) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(SOON, drip)
        .await
        .expect("the drip goes on");
    closed(&service, "response_time", 1.0).await;
}

/// A service whose `/wait` ends when [`release`] changes the configuration.
async fn waiting(dir: &TempDir, flag: &str) -> Process {
    let path = dir.write("config.yaml", "greeting: one\n").unwrap();
    let config = format!("--config.file={}", path.display());
    start(&[&config, "--config.auto-reload-interval=0s", flag]).await
}

fn release(dir: &TempDir, service: &Process) {
    dir.write("config.yaml", "greeting: two\n").unwrap();
    service.hang_up().unwrap();
}

/// Waits until so many requests have reached the handler of `/wait`.
async fn reached(service: &Process, count: usize) {
    eventually(SOON, || async {
        let seen = service.log().matches("waiting for a change").count();
        anyhow::ensure!(seen >= count, "{seen} requests wait");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn more_requests_than_allowed_get_503() {
    let dir = TempDir::new().unwrap();
    let service = waiting(&dir, "--web.max-requests=2").await;
    let waits: Vec<_> = (0..2)
        .map(|_| {
            let url = service.url("/wait");
            tokio::spawn(async move { testkit::client().get(url).send().await.unwrap().status() })
        })
        .collect();
    reached(&service, 2).await;
    assert_eq!(service.get("/metrics").await.unwrap().0, 200);
    assert_eq!(service.get("/echo").await.unwrap().0, 503);
    assert_eq!(service.get("/-/healthy").await.unwrap().0, 200);
    release(&dir, &service);
    for answer in waits {
        assert_eq!(answer.await.unwrap(), 200);
    }
    assert_eq!(service.get("/echo").await.unwrap().0, 200);
    assert_eq!(refused(&service, "max_requests").await, 1.0);
}

#[tokio::test]
async fn bodies_that_never_come_keep_nobody_waiting() {
    let service = start(&["--web.max-requests=2"]).await;
    let mut slow = Vec::new();
    for _ in 0..10 {
        let mut stream = TcpStream::connect(service.address()).await.unwrap();
        stream
            .write_all(b"POST /echo/a HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc")
            .await
            .unwrap();
        slow.push(stream);
    }
    eventually(SOON, || async {
        let page = service.get("/metrics").await?.1;
        let open = "sotp_http_requests_in_flight 11\n";
        anyhow::ensure!(page.contains(open), "{page}");
        Ok(())
    })
    .await
    .unwrap();
    let answer = testkit::client()
        .post(service.url("/echo/b"))
        .body("0123456789")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    for mut stream in slow {
        stream.write_all(b"defghij").await.unwrap();
        let answer = response(&mut stream).await.unwrap();
        assert!(answer.ends_with("a: 10 bytes\n"), "{answer}");
    }
}

#[tokio::test]
async fn busy_connections_are_not_evicted() {
    let dir = TempDir::new().unwrap();
    let service = waiting(&dir, "--web.max-connections=2").await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(service.address()).await.unwrap();
        stream
            .write_all(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        busy.push(stream);
    }
    reached(&service, 2).await;
    let mut third = TcpStream::connect(service.address()).await.unwrap();
    until_closed(&mut third).await;
    release(&dir, &service);
    for stream in &mut busy {
        let answer = response(stream).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    closed(&service, "connections", 1.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_connections_keep_health_answered() {
    const MANY: usize = 10_000;
    let (soft, hard) =
        nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap();
    let wanted = MANY as u64 + 1_000;
    if hard < wanted {
        testkit::skip(format_args!(
            "{MANY} connections need {wanted} open files, the hard limit is {hard}"
        ));
        return;
    }
    if soft < wanted {
        nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, wanted, hard)
            .unwrap();
    }
    let service = start(&["--web.max-connections=512", "--web.header-timeout=60s"]).await;
    let address: std::net::SocketAddr = service.address().parse().unwrap();
    let before = service
        .scrape()
        .await
        .unwrap()
        .value("process_resident_memory_bytes", &[])
        .unwrap();
    let mut open = Vec::with_capacity(MANY);
    let mut worst = Duration::ZERO;
    for number in 0..MANY {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // A head that never ends.
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nx: ").await;
        open.push(stream);
        if number % 500 == 0 {
            let began = Instant::now();
            // On a connection of its own: one kept from before is among those that wait for longest.
            // On a machine that is late with accepting, the new connection can be the one that is given up: a prober asks again.
            let status = eventually(Duration::from_secs(5), || async {
                let asked = testkit::client().get(service.url("/-/healthy")).send();
                Ok(asked.await?.status())
            })
            .await
            .unwrap_or_else(|error| panic!("after {number} connections: {error:#}"));
            assert_eq!(status, 200, "after {number} connections");
            worst = worst.max(began.elapsed());
        }
    }
    // What still waits in the kernel's queue is accepted and judged first.
    let samples = eventually(Duration::from_secs(10), || async {
        let asked = testkit::client().get(service.url("/metrics")).send();
        let samples = testkit::Samples::parse(&asked.await?.text().await?)?;
        let labels = [("reason", "evicted")];
        let evicted = samples.value("sotp_http_connections_closed_total", &labels);
        anyhow::ensure!(
            evicted.is_some_and(|evicted| evicted >= MANY as f64 - 600.0),
            "{evicted:?} evicted"
        );
        // One that is told to go is gone a moment later.
        let held = samples.value("sotp_http_connections", &[]);
        anyhow::ensure!(held.is_some_and(|held| held <= 520.0), "{held:?} held");
        Ok(samples)
    })
    .await
    .unwrap();
    let held = samples.value("sotp_http_connections", &[]).unwrap();
    let files = samples.value("process_open_fds", &[]).unwrap();
    let after = samples.value("process_resident_memory_bytes", &[]).unwrap();
    let evicted = samples
        .value(
            "sotp_http_connections_closed_total",
            &[("reason", "evicted")],
        )
        .unwrap();
    eprintln!(
        "{MANY} connections: {held} held, {evicted} evicted, {files} files, {before} -> {after} bytes, worst health {worst:?}"
    );
    assert!(
        files <= 700.0,
        "{files} files are open for {held} connections"
    );
    assert!(
        after - before < 64e6,
        "memory grew from {before} to {after}"
    );
    assert!(worst < Duration::from_secs(5), "{worst:?}");
}

fn threads(service: &Process) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.pid())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"));
    line.unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn stuck_metrics_take_one_thread_and_leave_health_alone() {
    let service = start(&["--web.request-timeout=300ms"]).await;
    service.post("/stick", "").await.unwrap();
    assert_eq!(service.get("/metrics").await.unwrap().0, 503);
    let before = threads(&service);
    for _ in 0..5 {
        assert_eq!(service.get("/metrics").await.unwrap().0, 503);
        assert_eq!(service.get("/-/healthy").await.unwrap().0, 200);
    }
    assert!(
        threads(&service) <= before + 1,
        "each scrape holds a thread: {before} became {}",
        threads(&service)
    );
    assert_eq!(service.post("/-/reload", "").await.unwrap().0, 200);
}

#[tokio::test]
async fn stuck_reload_takes_one_thread_and_leaves_health_alone() {
    let dir = TempDir::new().unwrap();
    let service = waiting(&dir, "--web.request-timeout=300ms").await;
    let path = dir.join("config.yaml");
    std::fs::remove_file(&path).unwrap();
    // Opening a pipe that nobody writes blocks, as a file on a share that is gone does.
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap();
    assert_eq!(service.post("/-/reload", "").await.unwrap().0, 503);
    let before = threads(&service);
    for _ in 0..5 {
        assert_eq!(service.post("/-/reload", "").await.unwrap().0, 503);
        assert_eq!(service.get("/-/healthy").await.unwrap().0, 200);
    }
    assert!(
        threads(&service) <= before + 1,
        "each reload holds a thread: {before} became {}",
        threads(&service)
    );
}
