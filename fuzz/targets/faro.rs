//! What a browser posts to sotp-rum, and what of its spans is handed on.

use sotp_rum::payload::Payload;

crate::target!(|bytes: &[u8]| {
    let Ok(payload) = Payload::parse(bytes) else {
        return;
    };
    if let Some(traces) = payload.traces {
        let most = traces.len() as u64;
        let (body, count) = traces.request("shop", "1", "/");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        let spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array();
        assert_eq!(spans.map(|spans| spans.len() as u64), Some(count));
        assert!(count <= most);
    }
});
