use std::collections::BTreeMap;

use proptest::prelude::*;
use prost::Message;

use super::*;

#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    streams: Vec<StreamMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct StreamMessage {
    #[prost(string, tag = "1")]
    labels: String,
    #[prost(message, repeated, tag = "2")]
    entries: Vec<EntryMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct EntryMessage {
    #[prost(message, optional, tag = "1")]
    timestamp: Option<Time>,
    #[prost(string, tag = "2")]
    line: String,
    #[prost(message, repeated, tag = "3")]
    metadata: Vec<Pair>,
}

#[derive(Clone, PartialEq, Message)]
struct Time {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Pair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

type Sample = (u64, String, String, Vec<(String, String)>);

fn samples() -> impl Strategy<Value = Vec<Sample>> {
    let pairs = prop::collection::vec(("[a-z_]{1,9}", ".{1,40}"), 0..5);
    prop::collection::vec(
        (0..u64::MAX / 4, "[a-c\"\\\\]{1,3}", ".{0,400}", pairs),
        1..40,
    )
}

fn build(format: Format, samples: &[Sample]) -> Push {
    let mut push = Push::new(format);
    let mut streams: Vec<String> = Vec::new();
    // What an earlier request left behind must not show.
    for round in 0..2 {
        push.clear();
        for (stamp, device, text, pairs) in &samples[..if round == 0 {
            samples.len() / 2
        } else {
            samples.len()
        }] {
            let mut line = Line::default();
            line.label("job", "syslog", true);
            line.label("device", device, false);
            line.text.push_str(text);
            for (name, value) in pairs {
                line.metadata(name, value);
            }
            let mut labels = String::new();
            render_labels(line.labels(false), &mut labels);
            let number = streams.iter().position(|s| *s == labels);
            let number = number.unwrap_or_else(|| {
                streams.push(labels.clone());
                streams.len() - 1
            });
            push.add((number, &labels), &line, false, *stamp, &Limits::default());
        }
    }
    push
}

proptest! {
    #[test]
    fn protobuf_is_what_a_generated_codec_writes(samples in samples()) {
        let mut order: Vec<&str> = Vec::new();
        let mut streams: BTreeMap<&str, Vec<EntryMessage>> = BTreeMap::new();
        for (stamp, device, text, pairs) in &samples {
            if !streams.contains_key(device.as_str()) {
                order.push(device);
            }
            let timestamp = Some(Time { seconds: (stamp / 1_000_000_000) as i64, nanos: (stamp % 1_000_000_000) as i32 });
            let metadata = pairs.iter().map(|(name, value)| Pair { name: name.clone(), value: value.clone() }).collect();
            streams.entry(device).or_default().push(EntryMessage { timestamp, line: text.clone(), metadata });
        }
        let escape = |d: &str| d.replace('\\', "\\\\").replace('"', "\\\"");
        let streams = order.iter().map(|d| StreamMessage {
            labels: format!("{{job=\"syslog\",device=\"{}\"}}", escape(d)),
            entries: streams[d].clone(),
        }).collect();
        let expected = Request { streams }.encode_to_vec();
        let mut push = build(Format::Protobuf, &samples);
        prop_assert_eq!(push.encode(), expected);
        prop_assert_eq!(push.lines(), samples.len());
        let body = push.body().unwrap();
        prop_assert_eq!(snap::raw::Decoder::new().decompress_vec(&body).unwrap(), push.encode());
    }

    #[test]
    fn json_says_the_same(samples in samples()) {
        let push = build(Format::Json, &samples);
        let value: serde_json::Value = serde_json::from_slice(&push.encode()).unwrap();
        let mut found = Vec::new();
        for stream in value["streams"].as_array().unwrap() {
            let device = stream["stream"]["device"].as_str().unwrap();
            for entry in stream["values"].as_array().unwrap() {
                found.push((entry[0].as_str().unwrap().parse::<u64>().unwrap(), device.to_owned(), entry[1].as_str().unwrap().to_owned()));
            }
        }
        let mut expected: Vec<_> = samples.iter().map(|s| (s.0, s.1.clone(), s.2.clone())).collect();
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn metadata_beyond_the_limits_is_cut() {
    let mut line = Line::default();
    line.label("job", "syslog", true);
    for i in 0..200 {
        line.metadata(&format!("m{i}"), "value");
    }
    let mut push = Push::new(Format::Protobuf);
    push.add((0, "{}"), &line, false, 1, &Limits::default());
    let request = Request::decode(&*push.encode()).unwrap();
    assert_eq!(request.streams[0].entries[0].metadata.len(), 128);
    let limits = Limits {
        metadata_bytes: 40,
        ..Limits::default()
    };
    let mut push = Push::new(Format::Protobuf);
    push.add((0, "{}"), &line, false, 1, &limits);
    let request = Request::decode(&*push.encode()).unwrap();
    assert_eq!(request.streams[0].entries[0].metadata.len(), 5);
}
