//! The body of a push request: protobuf with snappy, or JSON with gzip.
//!
//! The messages (`logproto.PushRequest`), by field number:
//! request {1: streams*}; stream {1: labels, 2: entries*}; entry {1: timestamp {1: seconds, 2: nanoseconds}, 2: line, 3: pairs*};
//! pair {1: name, 2: value}.

use std::io::Write as _;

use crate::Line;
use crate::limits::Limits;
use crate::wire::{self, field, varint, varint_length};

/// How a request is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `application/x-protobuf` in a snappy block.
    #[default]
    Protobuf,
    /// `application/json` with `Content-Encoding: gzip`.
    Json,
}

#[derive(Default)]
struct Stream {
    labels: String,
    entries: Vec<u8>,
    used: bool,
}

/// A request being built, in reused memory.
pub struct Push {
    format: Format,
    /// By the number that the caller knows a stream by.
    streams: Vec<Stream>,
    order: Vec<usize>,
    pairs: Vec<u8>,
    lines: usize,
    content: usize,
    /// The encoded request and its compressed form, in memory kept from request to request.
    plain: Vec<u8>,
    packed: Vec<u8>,
    snappy: snap::raw::Encoder,
}

/// Streams whose buffers are kept between requests.
const KEPT: usize = 10_000;

impl Push {
    /// An empty request.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self {
            format,
            streams: Vec::new(),
            order: Vec::new(),
            pairs: Vec::new(),
            lines: 0,
            content: 0,
            plain: Vec::new(),
            packed: Vec::new(),
            snappy: snap::raw::Encoder::new(),
        }
    }

    /// Empties it.
    pub fn clear(&mut self) {
        if self.streams.len() > KEPT {
            self.streams.clear();
        }
        for &at in &self.order {
            if let Some(stream) = self.streams.get_mut(at) {
                stream.entries.clear();
                stream.used = false;
            }
        }
        self.order.clear();
        self.lines = 0;
        self.content = 0;
    }

    /// How many lines it has.
    #[must_use]
    pub fn lines(&self) -> usize {
        self.lines
    }

    /// The bytes that Loki's rate limits count: text and metadata.
    #[must_use]
    pub fn content(&self) -> usize {
        self.content
    }

    /// The rendered labels of a stream that has lines in it.
    pub(crate) fn labels(&self, number: usize) -> &str {
        self.streams.get(number).map_or("{}", |s| &s.labels)
    }

    /// Adds a line to the stream that the caller knows by a small number, with its stamp in nanoseconds since 1970.
    /// Metadata beyond the limits is cut.
    pub fn add(
        &mut self,
        (number, labels): (usize, &str),
        line: &Line,
        coarse: bool,
        stamp: u64,
        limits: &Limits,
    ) {
        if self.streams.len() <= number {
            self.streams.resize_with(number + 1, Stream::default);
        }
        let Some(stream) = self.streams.get_mut(number) else {
            return;
        };
        if !stream.used {
            stream.used = true;
            labels.clone_into(&mut stream.labels);
            self.order.push(number);
        }
        self.lines += 1;
        self.content += line.text.len();
        match (self.format, line.encoded_pairs(limits).filter(|_| !coarse)) {
            (Format::Protobuf, Some((pairs, bytes))) => {
                self.content += bytes;
                wire::entry(&mut stream.entries, stamp, &line.text, pairs);
            }
            (Format::Protobuf, None) => {
                self.pairs.clear();
                for (name, value) in within(line.pairs(coarse), limits) {
                    self.content += name.len() + value.len();
                    wire::pair(&mut self.pairs, name, value);
                }
                wire::entry(&mut stream.entries, stamp, &line.text, &self.pairs);
            }
            (Format::Json, _) => {
                let pairs = within(line.pairs(coarse), limits);
                self.content += pairs.clone().map(|(n, v)| n.len() + v.len()).sum::<usize>();
                json_entry(&mut stream.entries, stamp, &line.text, pairs);
            }
        }
    }

    /// The encoded request without compression.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        self.encode_into(&mut body);
        body
    }

    fn encode_into(&self, body: &mut Vec<u8>) {
        let used = self.order.iter().filter_map(|&at| self.streams.get(at));
        match self.format {
            Format::Protobuf => {
                body.reserve(
                    used.clone()
                        .map(|s| s.entries.len() + s.labels.len() + 16)
                        .sum(),
                );
                for stream in used {
                    let labels = 1 + varint_length(stream.labels.len()) + stream.labels.len();
                    body.push(1 << 3 | 2);
                    varint(body, (labels + stream.entries.len()) as u64);
                    field(body, 1, stream.labels.as_bytes());
                    body.extend_from_slice(&stream.entries);
                }
            }
            Format::Json => {
                body.extend_from_slice(b"{\"streams\":[");
                for (i, stream) in used.enumerate() {
                    if i > 0 {
                        body.push(b',');
                    }
                    body.extend_from_slice(b"{\"stream\":");
                    json_labels(body, &stream.labels);
                    body.extend_from_slice(b",\"values\":[");
                    body.extend_from_slice(&stream.entries);
                    body.extend_from_slice(b"]}");
                }
                body.extend_from_slice(b"]}");
            }
        }
    }

    /// The request's body as it is sent.
    ///
    /// # Errors
    /// When the compressor refuses (a body of more than 4 GiB).
    pub fn body(&mut self) -> std::io::Result<Vec<u8>> {
        let mut plain = std::mem::take(&mut self.plain);
        plain.clear();
        self.encode_into(&mut plain);
        let body = match self.format {
            Format::Protobuf => {
                let most = snap::raw::max_compress_len(plain.len());
                if self.packed.len() < most {
                    self.packed.resize(most, 0);
                }
                self.snappy
                    .compress(&plain, &mut self.packed)
                    .map(|length| self.packed[..length].to_vec())
                    .map_err(std::io::Error::other)
            }
            Format::Json => {
                let mut gzip =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                gzip.write_all(&plain).and_then(|()| gzip.finish())
            }
        };
        self.plain = plain;
        body
    }
}

/// `{name="value",…}`, values escaped as Go and Prometheus do.
pub(crate) fn render_labels<'a>(
    labels: impl Iterator<Item = (&'a str, &'a str)>,
    into: &mut String,
) {
    into.push('{');
    for (i, (name, value)) in labels.enumerate() {
        if i > 0 {
            into.push(',');
        }
        into.push_str(name);
        into.push_str("=\"");
        if value.bytes().any(|b| b == b'"' || b == b'\\' || b < 0x20) {
            for c in value.chars() {
                match c {
                    '"' => into.push_str("\\\""),
                    '\\' => into.push_str("\\\\"),
                    '\n' => into.push_str("\\n"),
                    c if c.is_control() => into.push(' '),
                    c => into.push(c),
                }
            }
        } else {
            into.push_str(value);
        }
        into.push('"');
    }
    into.push('}');
}

/// The pairs that fit into the limits, each name once.
fn within<'a, I>(pairs: I, limits: &Limits) -> impl Iterator<Item = (&'a str, &'a str)> + Clone
where
    I: Iterator<Item = (&'a str, &'a str)> + Clone,
{
    let mut left = limits.metadata_bytes;
    pairs
        .take(limits.metadata_pairs)
        .filter(move |(name, value)| {
            let size = name.len() + value.len();
            let fits = size <= left;
            if fits {
                left -= size;
            }
            fits
        })
}

fn json_string(into: &mut Vec<u8>, text: &str) {
    // Writing a string into memory cannot fail.
    let _ = serde_json::to_writer(into, text);
}

fn json_entry<'a>(
    into: &mut Vec<u8>,
    stamp: u64,
    text: &str,
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
) {
    if !into.is_empty() {
        into.push(b',');
    }
    into.extend_from_slice(format!("[\"{stamp}\",").as_bytes());
    json_string(into, text);
    into.extend_from_slice(b",{");
    for (i, (name, value)) in pairs.enumerate() {
        if i > 0 {
            into.push(b',');
        }
        json_string(into, name);
        into.push(b':');
        json_string(into, value);
    }
    into.extend_from_slice(b"}]");
}

/// The rendered labels `{a="b"}` as a JSON object.
fn json_labels(into: &mut Vec<u8>, rendered: &str) {
    into.push(b'{');
    let mut rest = rendered.trim_start_matches('{');
    let mut first = true;
    while let Some((name, tail)) = rest.split_once("=\"") {
        let mut value = String::new();
        let mut end = tail.len();
        let mut chars = tail.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    end = at + 1;
                    break;
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, c)) => value.push(c),
                    None => {}
                },
                c => value.push(c),
            }
        }
        if !first {
            into.push(b',');
        }
        first = false;
        json_string(into, name.trim_start_matches(','));
        into.push(b':');
        json_string(into, &value);
        rest = tail.get(end..).unwrap_or_default();
    }
    into.push(b'}');
}

#[cfg(test)]
mod tests;
