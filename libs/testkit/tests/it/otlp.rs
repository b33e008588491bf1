//! The collector of traces refuses what Tempo refuses.

use testkit::otlp::Collector;
use testkit::{client, gzip};

/// A field of protobuf with a length before it.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).unwrap();
    assert!(length < 128);
    [&[number << 3 | 2, length], content].concat()
}

/// A request with one span of these ids.
fn request(trace: &[u8], span: &[u8]) -> Vec<u8> {
    let span = [field(1, trace), field(2, span), field(5, b"look")].concat();
    field(1, &field(2, &field(2, &span)))
}

#[tokio::test]
async fn a_span_is_taken_and_what_tempo_refuses_is_refused() {
    let collector = Collector::start().await.unwrap();
    let url = format!("{}/v1/traces", collector.url());
    let protobuf = "application/x-protobuf";
    let good = request(&[1; 16], &[2; 8]);
    let large = vec![0; (20 << 20) + 1];
    for (kind, encoding, body, status) in [
        (protobuf, "identity", good.clone(), 200),
        (protobuf, "gzip", gzip(&good), 200),
        ("application/json", "identity", good.clone(), 415),
        ("text/plain", "identity", good.clone(), 415),
        (protobuf, "br", good.clone(), 415),
        (protobuf, "identity", b"no message".to_vec(), 400),
        (protobuf, "identity", request(&[1; 8], &[2; 8]), 400),
        (protobuf, "identity", request(&[1; 16], &[2; 16]), 400),
        (protobuf, "identity", request(&[0; 16], &[2; 8]), 400),
        (protobuf, "identity", large.clone(), 400),
        (protobuf, "gzip", gzip(&large), 400),
    ] {
        let sent = client()
            .post(&url)
            .header("content-type", kind)
            .header("content-encoding", encoding)
            .body(body);
        let answer = sent.send().await.unwrap();
        assert_eq!(
            answer.status(),
            status,
            "{kind} {encoding}: {:?}",
            collector.refused()
        );
    }
    assert_eq!(client().get(&url).send().await.unwrap().status(), 405);
    assert_eq!(collector.spans().len(), 2);
    assert_eq!(collector.trace(&"01".repeat(16))[1].name, "look");
    assert_eq!(collector.refused().len(), 10);
}
