//! Spans arrive at a collector with the trace id of the caller, over HTTP and gRPC; without a collector the context is still carried.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use crate::support::{Authority, SOON, echo};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use testkit::otlp::Collector;
use testkit::{Process, Spawn, client, eventually};
use tokio::net::TcpListener;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const OPEN: &str = "application/openmetrics-text; version=1.0.0";

/// What a collector got: path and body of each request.
type Got = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A collector on loopback that takes everything, over HTTP/1.1 or gRPC.
async fn collector(grpc: bool) -> (String, Got) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let got = Got::default();
    let all = Arc::clone(&got);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let all = Arc::clone(&all);
            tokio::spawn(async move {
                let io = TokioIo::new(stream);
                if grpc {
                    let service = service_fn(move |request| take_grpc(request, Arc::clone(&all)));
                    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(io, service)
                        .await;
                } else {
                    let service = service_fn(move |request| take(request, Arc::clone(&all)));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(io, service)
                        .await;
                }
            });
        }
    });
    (address, got)
}

async fn keep(request: http::Request<Incoming>, got: &Got) {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    got.lock().unwrap().push((path, body.to_vec()));
}

async fn take(
    request: http::Request<Incoming>,
    got: Got,
) -> Result<http::Response<Full<Bytes>>, Infallible> {
    keep(request, &got).await;
    Ok(http::Response::builder()
        .header("content-type", "application/x-protobuf")
        .body(Full::default())
        .unwrap())
}

/// An empty message and the status in the trailers.
async fn take_grpc(
    request: http::Request<Incoming>,
    got: Got,
) -> Result<http::Response<impl hyper::body::Body<Data = Bytes, Error = Infallible>>, Infallible> {
    keep(request, &got).await;
    let trailers =
        http::HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
    let frames = [
        Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[0; 5]))),
        Ok(Frame::trailers(trailers)),
    ];
    let body = StreamBody::new(futures_util::stream::iter(frames));
    Ok(http::Response::builder()
        .header("content-type", "application/grpc")
        .body(body)
        .unwrap())
}

fn spans_of(got: &Got, needle: &[u8]) -> usize {
    let all = got.lock().unwrap();
    all.iter()
        .map(|(_, body)| {
            body.windows(needle.len())
                .filter(|window| *window == needle)
                .count()
        })
        .sum()
}

fn trace_bytes() -> Vec<u8> {
    (0..16)
        .map(|at| u8::from_str_radix(&TRACE[at * 2..at * 2 + 2], 16).unwrap())
        .collect()
}

async fn traced(endpoint: &str, protocol: &str) -> Process {
    Spawn::new(echo())
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
        .env("OTEL_BSP_SCHEDULE_DELAY", "100")
        .start()
        .await
        .unwrap()
}

async fn ask(service: &Process, path: &str) {
    let answer = client()
        .post(service.url(path))
        .header("traceparent", PARENT)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn spans_arrive_with_the_trace_of_the_caller() {
    for (grpc, protocol, path) in [
        (false, "http/protobuf", "/v1/traces"),
        (
            true,
            "grpc",
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        ),
    ] {
        let (endpoint, got) = collector(grpc).await;
        let service = traced(&endpoint, protocol).await;
        ask(&service, "/echo/r1").await;
        eventually(SOON, || async {
            anyhow::ensure!(
                spans_of(&got, &trace_bytes()) >= 1,
                "{protocol}: no span of the trace:\n{}",
                service.log()
            );
            Ok(())
        })
        .await
        .unwrap();
        let first = got.lock().unwrap()[0].clone();
        assert_eq!(first.0, path);
        for text in ["echo", "POST /echo/{name}", "service.version"] {
            assert!(
                spans_of(&got, text.as_bytes()) >= 1,
                "{protocol}: {text} is in no span"
            );
        }
        // The line that the handler logged on the other pool names the trace.
        let line = service.logged("msg=asked", SOON).await.unwrap();
        assert!(
            line.contains(&format!("trace_id={TRACE}")) && line.contains("name=r1"),
            "{line}"
        );
    }
}

#[tokio::test]
async fn sending_makes_no_spans_of_its_own() {
    let (endpoint, got) = collector(false).await;
    let service = traced(&endpoint, "http/protobuf").await;
    ask(&service, "/echo/r1").await;
    eventually(SOON, || async {
        anyhow::ensure!(spans_of(&got, &trace_bytes()) >= 1, "no span");
        Ok(())
    })
    .await
    .unwrap();
    let after_one = got.lock().unwrap().len();
    // Ten more rounds of the sender would show a loop.
    tokio::time::sleep(std::time::Duration::from_millis(1000)).await;
    assert_eq!(got.lock().unwrap().len(), after_one);
    // Probes and scrapes without a trace are not traced.
    service.get("/-/healthy").await.unwrap();
    service.scrape().await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(got.lock().unwrap().len(), after_one);
    let sent = service
        .scrape()
        .await
        .unwrap()
        .value("sotp_trace_spans_sent_total", &[]);
    assert_eq!(sent, Some(1.0));
}

#[tokio::test]
async fn last_spans_are_sent_at_the_end() {
    let (endpoint, got) = collector(false).await;
    let mut service = Spawn::new(echo())
        .env(
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            format!("{endpoint}/v1/traces"),
        )
        .env("OTEL_BSP_SCHEDULE_DELAY", "3600000")
        .start()
        .await
        .unwrap();
    ask(&service, "/echo/r1").await;
    assert_eq!(spans_of(&got, &trace_bytes()), 0);
    service.terminate().unwrap();
    assert!(service.wait(SOON).await.unwrap().success());
    assert_eq!(spans_of(&got, &trace_bytes()), 1);
}

#[tokio::test]
async fn collector_that_is_gone_delays_the_end_by_seconds_at_most() {
    // A listener that never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut service = traced(
        &format!("http://{}", silent.local_addr().unwrap()),
        "http/protobuf",
    )
    .await;
    ask(&service, "/echo/r1").await;
    service.terminate().unwrap();
    let began = std::time::Instant::now();
    assert!(service.wait(SOON).await.unwrap().success());
    assert!(
        began.elapsed() < std::time::Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn without_a_collector_the_context_is_carried_and_nothing_is_built() {
    let service = Spawn::new(echo())
        .env("OTEL_SDK_DISABLED", "true")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
        .start()
        .await
        .unwrap();
    ask(&service, "/echo/r1").await;
    let line = service.logged("msg=asked", SOON).await.unwrap();
    assert!(line.contains(&format!("trace_id={TRACE}")), "{line}");
    assert_eq!(
        service
            .scrape()
            .await
            .unwrap()
            .value("sotp_trace_spans_sent_total", &[]),
        None
    );
}

#[tokio::test]
async fn exemplars_are_for_openmetrics_alone() {
    let service = Process::spawn(echo(), Vec::<String>::new()).await.unwrap();
    ask(&service, "/echo/r1").await;
    let text = service.get("/metrics").await.unwrap().1;
    assert!(!text.contains(TRACE), "{text}");
    let open = client()
        .get(service.url("/metrics"))
        .header("accept", OPEN)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let with: Vec<_> = testkit::Samples::parse(&open)
        .unwrap()
        .all()
        .iter()
        .filter(|s| s.exemplar.is_some())
        .cloned()
        .collect();
    assert_eq!(with.len(), 1, "{open}");
    assert_eq!(with[0].name, "sotp_http_request_duration_seconds_bucket");
    assert_eq!(with[0].labels["path"], "/echo/{name}");
    assert!(
        with[0]
            .exemplar
            .as_ref()
            .unwrap()
            .starts_with(&format!("{{trace_id=\"{TRACE}\"}} ")),
        "{with:?}"
    );
}

#[tokio::test]
async fn variables_that_cannot_be_honoured_exit_64() {
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
    ] {
        let output = std::process::Command::new(echo())
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
            .env(name, value)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(64));
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(error.contains(name) && error.contains(value), "{error}");
    }
}

#[tokio::test]
async fn password_in_a_wrong_endpoint_is_not_told() {
    let output = std::process::Command::new(echo())
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:hunter2@a b")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        error.contains("OTEL_EXPORTER_OTLP_ENDPOINT") && error.contains("@a b"),
        "{error}"
    );
    assert!(!error.contains("hunter2"), "{error}");
}

/// The collector takes nobody without a certificate of its authority; who shows one is taken, and so is who shows the renewed one after
/// the collector trusts another authority.
#[tokio::test]
async fn spans_are_sent_with_a_certificate_and_with_the_renewed_one() {
    let place = testkit::TempDir::new().unwrap();
    let issue = |name: &str| {
        let authority = Authority::new(name);
        place.write("ca.pem", authority.pem()).unwrap();
        authority
            .issue(&["localhost", "127.0.0.1"])
            .write(&place, "server");
        authority.issue(&["echo"]).write(&place, "client");
    };
    issue("first");
    let tls = testkit::tls::Files {
        certificate: place.join("server.crt"),
        key: place.join("server.key"),
        clients: Some(place.join("ca.pem")),
    };
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let collector = Collector::start_with(&[any], Some(tls)).await.unwrap();
    let spawn = |client: bool| {
        let file = |name: &str| place.join(name).display().to_string();
        let url = collector.url().replace("http://", "https://");
        let spawn = Spawn::new(echo())
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", url)
            .env("OTEL_BSP_SCHEDULE_DELAY", "100")
            .env("OTEL_EXPORTER_OTLP_CERTIFICATE", file("ca.pem"));
        if client {
            spawn
                .env("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", file("client.crt"))
                .env("OTEL_EXPORTER_OTLP_CLIENT_KEY", file("client.key"))
        } else {
            spawn
        }
    };
    let stranger = spawn(false).start().await.unwrap();
    ask(&stranger, "/echo/r1").await;
    eventually(SOON, || async {
        let page = stranger.scrape().await?;
        let failed = page.value("sotp_trace_spans_failed_total", &[]);
        anyhow::ensure!(failed.is_some_and(|count| count >= 1.0), "{failed:?}");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(collector.spans(), []);

    let service = spawn(true).start().await.unwrap();
    let arrived = |count: usize| {
        let (service, collector) = (&service, &collector);
        async move {
            eventually(SOON, || async {
                ask(service, "/echo/r1").await;
                let spans = collector.trace(TRACE).len();
                anyhow::ensure!(spans >= count, "{spans} spans:\n{}", service.log());
                Ok(())
            })
            .await
            .unwrap();
        }
    };
    arrived(1).await;
    issue("second");
    // The client is made anew, and with it its connections.
    let before = collector.trace(TRACE).len();
    arrived(before + 1).await;
}
