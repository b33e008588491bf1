use prost::Message;

use super::*;

#[derive(Clone, PartialEq, Message)]
struct RequestMessage {
    #[prost(message, repeated, tag = "1")]
    streams: Vec<StreamMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct StreamMessage {
    #[prost(string, tag = "1")]
    labels: String,
    #[prost(message, repeated, tag = "2")]
    entries: Vec<EntryMessage>,
    #[prost(uint64, tag = "3")]
    hash: u64,
}

#[derive(Clone, PartialEq, Message)]
struct EntryMessage {
    #[prost(message, optional, tag = "1")]
    timestamp: Option<TimeMessage>,
    #[prost(string, tag = "2")]
    line: String,
    #[prost(message, repeated, tag = "3")]
    metadata: Vec<PairMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeMessage {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
struct PairMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

type Said = Vec<(String, Vec<(i128, String, Vec<(String, String)>)>)>;

fn generated(bytes: &[u8]) -> Option<Said> {
    let request = RequestMessage::decode(bytes).ok()?;
    let pair = |p: PairMessage| (p.name, p.value);
    let entry = |e: EntryMessage| {
        let time = e.timestamp.unwrap_or_default();
        let stamp = i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
        (stamp, e.line, e.metadata.into_iter().map(pair).collect())
    };
    let stream = |s: StreamMessage| (s.labels, s.entries.into_iter().map(entry).collect());
    Some(request.streams.into_iter().map(stream).collect())
}

fn ours(bytes: &[u8]) -> Option<Said> {
    let streams = protobuf(bytes).ok()?;
    let entry = |e: PushedEntry<'_>| {
        let pairs = e.metadata.to_vec();
        assert_eq!(e.metadata.len(), pairs.len());
        let bytes: usize = pairs.iter().map(|(n, v)| n.len() + v.len()).sum();
        assert_eq!(e.metadata.bytes(), bytes);
        (e.stamp, e.line.into_owned(), pairs)
    };
    let stream = |s: PushedStream<'_>| {
        let entries = s.entries.into_iter().map(entry).collect();
        (s.labels.into_owned(), entries)
    };
    Some(streams.into_iter().map(stream).collect())
}

fn request() -> RequestMessage {
    let entry = |at: usize| EntryMessage {
        timestamp: (at != 1).then(|| TimeMessage {
            seconds: 1_700_000_000 - 2_000_000_000 * (at as i64 % 2),
            nanos: if at == 3 { -5 } else { 999_999_999 },
        }),
        line: ["", "a line", "größer als ASCII", "\u{0}\n"][at % 4].to_owned(),
        metadata: (0..at)
            .map(|n| PairMessage {
                name: format!("name{n}"),
                value: "välue".repeat(n * 8),
            })
            .collect(),
    };
    let stream = |at: usize| StreamMessage {
        labels: format!("{{device=\"r{at}\"}}"),
        entries: (0..at + 3).map(entry).collect(),
        hash: u64::MAX / 3 * at as u64,
    };
    RequestMessage {
        streams: (0..3).map(stream).collect(),
    }
}

#[test]
fn a_push_says_what_a_generated_codec_reads() {
    let bytes = request().encode_to_vec();
    let said = generated(&bytes);
    assert!(said.is_some());
    assert_eq!(ours(&bytes), said);
}

#[test]
fn what_a_generated_codec_refuses_is_refused_and_the_rest_is_read_the_same() {
    let whole = request().encode_to_vec();
    let mut chance = fastrand::Rng::with_seed(7);
    let (mut refused, mut read) = (0, 0);
    for _ in 0..20_000 {
        let mut bytes = whole.clone();
        if chance.bool() {
            bytes.truncate(chance.usize(..bytes.len()));
        }
        for _ in 0..chance.usize(..3) {
            if !bytes.is_empty() {
                let at = chance.usize(..bytes.len());
                bytes[at] ^= 1 << chance.u8(..8);
            }
        }
        let theirs = generated(&bytes);
        // Groups, which protobuf has given up, are refused whole here.
        if theirs.is_some() && ours(&bytes).is_none() {
            let error = protobuf(&bytes).unwrap_err();
            assert!(error.contains("wire type"), "{error}");
            continue;
        }
        assert_eq!(ours(&bytes), theirs);
        refused += u32::from(theirs.is_none());
        read += u32::from(theirs.is_some());
    }
    assert!(refused > 1_000 && read > 1_000, "{refused} {read}");
}
