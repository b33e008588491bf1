//! What a push request says.
//!
//! A push in protobuf is read where it lies: a benchmark is not to measure how the double copies.

use std::borrow::Cow;
use std::io::Read as _;

mod proto;

use proto::{Fault, Fields};

/// One stream of a push.
#[derive(Debug, Clone)]
pub struct PushedStream<'a> {
    /// The labels as they were sent.
    pub labels: Cow<'a, str>,
    /// The entries in order.
    pub entries: Vec<PushedEntry<'a>>,
}

/// One entry of a push.
#[derive(Debug, Clone)]
pub struct PushedEntry<'a> {
    /// Nanoseconds since 1970.
    pub stamp: i128,
    /// The text.
    pub line: Cow<'a, str>,
    /// Structured metadata.
    pub metadata: Metadata<'a>,
}

/// Structured metadata of an entry, checked and counted.
#[derive(Debug, Clone, Default)]
pub struct Metadata<'a> {
    pairs: Pairs<'a>,
    count: usize,
    bytes: usize,
}

#[derive(Debug, Clone)]
enum Pairs<'a> {
    /// The entry's message, of which field 3 are the pairs.
    Encoded(&'a [u8]),
    Owned(Vec<(String, String)>),
}

impl Default for Pairs<'_> {
    fn default() -> Self {
        Self::Encoded(&[])
    }
}

impl Metadata<'_> {
    fn owned(pairs: Vec<(String, String)>) -> Self {
        Self {
            count: pairs.len(),
            bytes: pairs.iter().map(|(n, v)| n.len() + v.len()).sum(),
            pairs: Pairs::Owned(pairs),
        }
    }

    /// How many pairs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of all names and values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The pairs in order.
    #[must_use]
    pub fn to_vec(&self) -> Vec<(String, String)> {
        match &self.pairs {
            Pairs::Owned(pairs) => pairs.clone(),
            Pairs::Encoded(entry) => Fields(entry)
                .flatten()
                .filter(|(number, _)| *number == 3)
                .filter_map(|(_, value)| pair(value.message().ok()?).ok())
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }
}

/// Reads a push by its content type and encoding; `plain` is memory for what was compressed.
///
/// # Errors
/// What is wrong with the body.
pub(super) fn decode<'a>(
    body: &[u8],
    content_type: &str,
    encoding: &str,
    plain: &'a mut Vec<u8>,
) -> Result<Vec<PushedStream<'a>>, String> {
    match content_type.split(';').next().unwrap_or_default().trim() {
        "application/x-protobuf" => {
            let snappy = |e: snap::Error| format!("snappy: {e}");
            let length = snap::raw::decompress_len(body).map_err(snappy)?;
            plain.resize(length, 0);
            snap::raw::Decoder::new()
                .decompress(body, plain)
                .map_err(snappy)?;
            protobuf(plain).map_err(str::to_owned)
        }
        "application/json" => {
            plain.clear();
            match encoding {
                "gzip" => {
                    flate2::read::GzDecoder::new(body)
                        .read_to_end(plain)
                        .map_err(|e| e.to_string())?;
                }
                "" => plain.extend_from_slice(body),
                other => return Err(format!("Content-Encoding {other:?} not supported")),
            }
            json(plain)
        }
        other => Err(format!("Content-Type {other:?} not supported")),
    }
}

/// `PushRequest {1: streams*}`, `Stream {1: labels, 2: entries*, 3: hash}`.
fn protobuf(plain: &[u8]) -> Result<Vec<PushedStream<'_>>, Fault> {
    let mut streams = Vec::new();
    for field in Fields(plain) {
        let (1, value) = field? else { continue };
        let mut stream = PushedStream {
            labels: "".into(),
            entries: Vec::new(),
        };
        for field in Fields(value.message()?) {
            match field? {
                (1, value) => stream.labels = value.text()?.into(),
                (2, value) => stream.entries.push(entry(value.message()?)?),
                (3, value) => _ = value.number()?,
                _ => {}
            }
        }
        streams.push(stream);
    }
    Ok(streams)
}

/// `Entry {1: timestamp {1: seconds, 2: nanoseconds}, 2: line, 3: pairs*}`.
fn entry(message: &[u8]) -> Result<PushedEntry<'_>, Fault> {
    let (mut seconds, mut nanos, mut line) = (0, 0, "");
    let mut metadata = Metadata {
        pairs: Pairs::Encoded(message),
        ..Metadata::default()
    };
    for field in Fields(message) {
        match field? {
            (1, value) => {
                for field in Fields(value.message()?) {
                    match field? {
                        (1, value) => seconds = value.number()?.cast_signed(),
                        // An int32 is sent with the width of an int64 (two's complement).
                        (2, value) => nanos = value.number()? as i32,
                        _ => {}
                    }
                }
            }
            (2, value) => line = value.text()?,
            (3, value) => {
                metadata.count += 1;
                metadata.bytes += pair_bytes(value.message()?)?;
            }
            _ => {}
        }
    }
    Ok(PushedEntry {
        stamp: i128::from(seconds) * 1_000_000_000 + i128::from(nanos),
        line: line.into(),
        metadata,
    })
}

/// `LabelPair {1: name, 2: value}`.
fn pair(message: &[u8]) -> Result<(&str, &str), Fault> {
    let (mut name, mut text) = ("", "");
    for field in Fields(message) {
        match field? {
            (1, value) => name = value.text()?,
            (2, value) => text = value.text()?,
            _ => {}
        }
    }
    Ok((name, text))
}

/// Bytes of a pair's name and value, which are valid UTF-8.
fn pair_bytes(message: &[u8]) -> Result<usize, Fault> {
    if !message.is_ascii() {
        return pair(message).map(|(name, value)| name.len() + value.len());
    }
    // Whatever lies in it is ASCII too.
    let (mut name, mut text) = (0, 0);
    for field in Fields(message) {
        match field? {
            (1, value) => name = value.message()?.len(),
            (2, value) => text = value.message()?.len(),
            _ => {}
        }
    }
    Ok(name + text)
}

fn json(body: &[u8]) -> Result<Vec<PushedStream<'static>>, String> {
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
                Some((k.to_owned(), v.as_str()?.to_owned()))
            };
            let pairs = metadata.map(|m| {
                let pairs = m.iter().map(pair).collect::<Option<Vec<_>>>();
                pairs.ok_or("metadata: expected strings")
            });
            entries.push(PushedEntry {
                stamp: stamp
                    .parse()
                    .map_err(|_| "timestamp: expected nanoseconds")?,
                line: entry[1]
                    .as_str()
                    .ok_or("line: expected a string")?
                    .to_owned()
                    .into(),
                metadata: Metadata::owned(pairs.transpose()?.unwrap_or_default()),
            });
        }
        result.push(PushedStream {
            labels: format!("{{{}}}", labels.join(",")).into(),
            entries,
        });
    }
    Ok(result)
}

#[cfg(test)]
mod tests;
