//! What a push request says, decoded with generated codecs.

use std::io::Read as _;

use bytes::Bytes;
use prost::Message;

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
    #[prost(bytes = "bytes", tag = "2")]
    line: Bytes,
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
    #[prost(bytes = "bytes", tag = "1")]
    name: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// Text that lies in the request's own memory: a benchmark is not to measure how the double copies.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text(Bytes);

impl Text {
    fn new(bytes: Bytes) -> Result<Self, String> {
        match std::str::from_utf8(&bytes) {
            Ok(_) => Ok(Self(bytes)),
            Err(error) => Err(format!("proto: invalid string value: {error}")),
        }
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // It was looked at when it was made.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

/// One stream of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedStream {
    /// The labels as they were sent.
    pub labels: String,
    /// The entries in order.
    pub entries: Vec<PushedEntry>,
}

/// One entry of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedEntry {
    /// Nanoseconds since 1970.
    pub stamp: i128,
    /// The text.
    pub line: Text,
    /// Structured metadata in order.
    pub metadata: Vec<(Text, Text)>,
}

/// Reads a push by its content type and encoding.
///
/// # Errors
/// What is wrong with the body.
pub(super) fn decode(
    body: &[u8],
    content_type: &str,
    encoding: &str,
) -> Result<Vec<PushedStream>, String> {
    match content_type.split(';').next().unwrap_or_default().trim() {
        "application/x-protobuf" => protobuf(body),
        "application/json" => {
            let mut plain = Vec::new();
            match encoding {
                "gzip" => {
                    flate2::read::GzDecoder::new(body)
                        .read_to_end(&mut plain)
                        .map_err(|e| e.to_string())?;
                }
                "" => plain.extend_from_slice(body),
                other => return Err(format!("Content-Encoding {other:?} not supported")),
            }
            json(&plain)
        }
        other => Err(format!("Content-Type {other:?} not supported")),
    }
}

fn protobuf(body: &[u8]) -> Result<Vec<PushedStream>, String> {
    let plain = snap::raw::Decoder::new()
        .decompress_vec(body)
        .map_err(|e| format!("snappy: {e}"))?;
    let request = RequestMessage::decode(Bytes::from(plain)).map_err(|e| format!("proto: {e}"))?;
    let pair = |p: PairMessage| Ok((Text::new(p.name)?, Text::new(p.value)?));
    let entry = |e: EntryMessage| {
        let time = e.timestamp.unwrap_or_default();
        Ok(PushedEntry {
            stamp: i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos),
            line: Text::new(e.line)?,
            metadata: e
                .metadata
                .into_iter()
                .map(pair)
                .collect::<Result<_, String>>()?,
        })
    };
    let stream = |s: StreamMessage| {
        Ok(PushedStream {
            labels: s.labels,
            entries: s
                .entries
                .into_iter()
                .map(entry)
                .collect::<Result<_, String>>()?,
        })
    };
    request.streams.into_iter().map(stream).collect()
}

fn json(body: &[u8]) -> Result<Vec<PushedStream>, String> {
    let value: serde_json::Value = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    let streams = value["streams"]
        .as_array()
        .ok_or("streams: expected an array")?;
    let mut result = Vec::new();
    for stream in streams {
        let labels = stream["stream"]
            .as_object()
            .ok_or("stream: expected an object")?;
        let quoted = |(k, v): (&String, &serde_json::Value)| {
            let value = v
                .as_str()?
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            Some(format!("{k}=\"{value}\""))
        };
        let labels: Vec<String> = labels
            .iter()
            .map(quoted)
            .collect::<Option<_>>()
            .ok_or("stream: expected strings")?;
        let mut entries = Vec::new();
        for entry in stream["values"]
            .as_array()
            .ok_or("values: expected an array")?
        {
            let stamp = entry[0].as_str().ok_or("timestamp: expected a string")?;
            let metadata = entry.get(2).and_then(serde_json::Value::as_object);
            let pair = |(k, v): (&String, &serde_json::Value)| {
                Some((Text::from(&**k), Text::from(v.as_str()?)))
            };
            entries.push(PushedEntry {
                stamp: stamp
                    .parse()
                    .map_err(|_| "timestamp: expected nanoseconds")?,
                line: entry[1].as_str().ok_or("line: expected a string")?.into(),
                metadata: metadata
                    .map(|m| {
                        m.iter()
                            .map(pair)
                            .collect::<Option<_>>()
                            .ok_or("metadata: expected strings")
                    })
                    .transpose()?
                    .unwrap_or_default(),
            });
        }
        result.push(PushedStream {
            labels: format!("{{{}}}", labels.join(",")),
            entries,
        });
    }
    Ok(result)
}
