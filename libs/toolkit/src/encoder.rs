//! Prometheus exposition: text 0.0.4, OpenMetrics 1.0.0 and protobuf from the same calls.
//!
//! Formats: <https://prometheus.io/docs/instrumenting/exposition_formats/> and
//! <https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md>. Labels are escaped once, when a [`Labels`] is
//! made, so that a scrape of many thousand series only copies bytes.

mod labels;
mod native;
mod negotiate;
mod number;
mod protobuf;
mod registry;
mod sink;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

pub use labels::{Labels, escape_label};
pub use native::Native;
pub(crate) use negotiate::ranges;
pub use number::{Decimal, Number};
use protobuf::Family;
pub(crate) use registry::encode as encode_registry;
use sink::Sink;

/// The formats of an exposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `text/plain; version=0.0.4`
    Text,
    /// `application/openmetrics-text; version=1.0.0`
    OpenMetrics,
    /// `application/vnd.google.protobuf`: messages `io.prometheus.client.MetricFamily`, each after its length. The only one with
    /// [`Native`] histograms.
    Protobuf,
}

impl Format {
    /// What the client prefers by its `Accept` (RFC 9110 section 12.5.1); of equals the first of protobuf, OpenMetrics 1.0.0 and plain text.
    #[must_use]
    pub fn wanted(headers: &http::HeaderMap) -> Self {
        negotiate::wanted(headers)
    }

    /// The `Content-Type` of a response in this format.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
            Self::OpenMetrics => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
            }
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=underscores"
            }
        }
    }
}

/// What a family of series measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Classic histogram with cumulative buckets.
    Histogram,
    /// Constant 1 whose labels carry facts; its name ends in `_info`.
    Info,
    /// Not known to be any of the above.
    Unknown,
}

/// A traced observation shown beside a histogram bucket, in OpenMetrics alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// `trace_id="…"`, at most 128 characters with name and value.
    pub labels: Labels,
    /// The observed value.
    pub value: f64,
    /// Unix seconds of the observation.
    pub timestamp: f64,
}

/// Upper bounds of a histogram, rendered once.
#[derive(Debug, Clone, PartialEq)]
pub struct Buckets {
    bounds: Vec<f64>,
    /// What stands between `le="` and the count.
    text: Vec<String>,
    open: Vec<String>,
}

impl Buckets {
    /// Buckets with these upper bounds; `+Inf` is added. Bounds that are not finite or do not grow are left out.
    #[must_use]
    pub fn new(bounds: &[f64]) -> Self {
        let mut kept: Vec<f64> = Vec::with_capacity(bounds.len());
        for bound in bounds.iter().copied().filter(|bound| bound.is_finite()) {
            if kept.last().is_none_or(|last| bound > *last) {
                kept.push(bound);
            }
        }
        let rendered = |render: fn(f64) -> String| {
            let bounds = kept.iter().map(|bound| render(*bound));
            let all = bounds.chain(["+Inf".to_owned()]);
            all.map(|bound| bound + "\"} ").collect()
        };
        Self {
            text: rendered(number::text),
            open: rendered(number::canonical),
            bounds: kept,
        }
    }

    /// The finite upper bounds, ascending.
    #[must_use]
    pub fn bounds(&self) -> &[f64] {
        &self.bounds
    }

    /// Index of the bucket that an observation falls into; `bounds().len()` is the one up to `+Inf`.
    #[must_use]
    pub fn index(&self, value: f64) -> usize {
        self.bounds.partition_point(|bound| *bound < value)
    }

    fn rendered(&self, format: Format) -> &[String] {
        match format {
            Format::Text => &self.text,
            Format::OpenMetrics | Format::Protobuf => &self.open,
        }
    }
}

/// Writes one exposition. Families come one after the other, each with all its samples.
///
/// A family that was written before, or whose name is not a metric name, is left out with its samples and counted in [`refused`](Self::refused):
/// one duplicate would make Prometheus reject the whole scrape.
#[derive(Debug)]
pub struct Encoder {
    out: Sink,
    /// The family being written as protobuf, whose length goes before it.
    family: Family,
    format: Format,
    seen: HashSet<String>,
    name: String,
    kind: Kind,
    refuse: bool,
    refused: u64,
    prefix: Vec<u8>,
}

impl Encoder {
    /// An empty exposition.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self::with_capacity(format, 4096)
    }

    /// An empty exposition with room for so many bytes.
    #[must_use]
    pub fn with_capacity(format: Format, bytes: usize) -> Self {
        Self::reusing(format, Vec::with_capacity(bytes))
    }

    /// An empty exposition in the memory of `buffer`, whose content is forgotten.
    #[must_use]
    pub fn reusing(format: Format, mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        Self::onto(format, Sink::plain(buffer))
    }

    /// An empty exposition that is compressed (gzip, level 1) while it is written, so that it is never whole in memory. `buffer` takes the
    /// compressed bytes; its content is forgotten.
    #[must_use]
    pub fn gzip(format: Format, mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        Self::onto(format, Sink::gzip(buffer))
    }

    fn onto(format: Format, out: Sink) -> Self {
        Self {
            out,
            family: Family::default(),
            format,
            seen: HashSet::with_capacity(64),
            name: String::new(),
            kind: Kind::Unknown,
            refuse: true,
            refused: 0,
            prefix: Vec::new(),
        }
    }

    /// The format being written.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Families left out because they were there already or had a wrong name, and histograms whose counts did not fit their buckets.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Starts a family. `name` is the full metric name (`ping_requests_total`), `help` one sentence.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        self.refuse = !labels::is_metric_name(name) || !self.seen.insert(name.to_owned());
        if self.refuse {
            self.refused += 1;
            return;
        }
        self.end_family();
        name.clone_into(&mut self.name);
        self.kind = kind;
        let (family, word) = self.declared(name);
        match self.format {
            Format::Text => {
                self.comment("HELP", family, help);
                self.comment("TYPE", family, word);
            }
            Format::OpenMetrics => {
                self.comment("TYPE", family, word);
                self.comment("HELP", family, help);
            }
            Format::Protobuf => self.family.begin(name, help, kind),
        }
    }

    /// A protobuf message is written once its length is known.
    fn end_family(&mut self) {
        self.family.end(&mut self.out.bytes);
        self.out.spill();
    }

    /// Family name and type word: OpenMetrics takes the suffix off counters and info, and knows no counter without `_total`.
    fn declared<'a>(&self, name: &'a str) -> (&'a str, &'static str) {
        let open = self.format == Format::OpenMetrics;
        match self.kind {
            Kind::Counter if open => name
                .strip_suffix("_total")
                .map_or((name, "unknown"), |short| (short, "counter")),
            Kind::Counter => (name, "counter"),
            Kind::Info if open => name
                .strip_suffix("_info")
                .map_or((name, "gauge"), |short| (short, "info")),
            Kind::Gauge | Kind::Info => (name, "gauge"),
            Kind::Histogram => (name, "histogram"),
            Kind::Unknown if open => (name, "unknown"),
            Kind::Unknown => (name, "untyped"),
        }
    }

    fn comment(&mut self, word: &str, family: &str, rest: &str) {
        let open = self.format == Format::OpenMetrics;
        let out = &mut self.out.bytes;
        out.extend_from_slice(b"# ");
        out.extend_from_slice(word.as_bytes());
        out.push(b' ');
        out.extend_from_slice(family.as_bytes());
        out.push(b' ');
        let mut rest = rest.as_bytes();
        while let Some(at) = memchr::memchr3(b'\\', b'\n', b'"', rest) {
            out.extend_from_slice(&rest[..at]);
            match rest[at] {
                b'\\' => out.extend_from_slice(b"\\\\"),
                b'\n' => out.extend_from_slice(b"\\n"),
                quote => {
                    if open {
                        out.push(b'\\');
                    }
                    out.push(quote);
                }
            }
            rest = &rest[at + 1..];
        }
        out.extend_from_slice(rest);
        out.push(b'\n');
    }

    /// One sample of the family that was started last.
    pub fn sample(&mut self, labels: &Labels, value: impl Number) {
        self.sample_with(labels, Labels::none(), value);
    }

    /// One sample of a counter that counts since `since`, Unix seconds. Protobuf alone says so: text shows the sample without it.
    pub fn sample_since(&mut self, labels: &Labels, value: impl Number, since: Option<f64>) {
        self.sample_rendered(labels.as_str(), value, since);
    }

    /// As [`sample_since`](Self::sample_since), with labels that are rendered already, as [`Labels::as_str`] gives them: for a page whose
    /// rows keep their labels in one text.
    pub fn sample_rendered(&mut self, labels: &str, value: impl Number, since: Option<f64>) {
        self.write((labels, ""), value, since);
    }

    fn write(&mut self, labels: (&str, &str), value: impl Number, since: Option<f64>) {
        if self.refuse {
            return;
        }
        if self.format == Format::Protobuf {
            self.family.sample(self.kind, labels, value.as_f64(), since);
            return;
        }
        line(&mut self.out.bytes, &self.name, "", labels, value);
        self.out.spill();
    }

    /// One sample whose labels are `labels` and then `extra`, such as the reason of an error.
    pub fn sample_with(&mut self, labels: &Labels, extra: &Labels, value: impl Number) {
        self.write((labels.as_str(), extra.as_str()), value, None);
    }

    /// One classic histogram: `counts` are cumulative, one per bucket and the last for `+Inf`, so `buckets.bounds().len() + 1`.
    pub fn histogram(
        &mut self,
        labels: &Labels,
        buckets: &Buckets,
        counts: &[u64],
        sum: impl Number,
    ) {
        self.histogram_traced(labels, buckets, counts, sum, &[]);
    }

    /// A histogram that is native where the format knows such ones, and classic everywhere. Both count the same observations.
    pub fn histogram_native(
        &mut self,
        labels: &Labels,
        buckets: &Buckets,
        counts: &[u64],
        sum: impl Number,
        native: &Native<'_>,
    ) {
        self.write_histogram(labels, (buckets, counts, sum), &[], Some(native));
    }

    /// A histogram with exemplars, at most one per bucket; the text format has none.
    pub fn histogram_traced(
        &mut self,
        labels: &Labels,
        buckets: &Buckets,
        counts: &[u64],
        sum: impl Number,
        exemplars: &[Option<Exemplar>],
    ) {
        self.write_histogram(labels, (buckets, counts, sum), exemplars, None);
    }

    fn write_histogram(
        &mut self,
        labels: &Labels,
        (buckets, counts, sum): (&Buckets, &[u64], impl Number),
        exemplars: &[Option<Exemplar>],
        native: Option<&Native<'_>>,
    ) {
        if self.refuse {
            return;
        }
        let rendered = buckets.rendered(self.format);
        if rendered.len() != counts.len() {
            self.refused += 1;
            return;
        }
        if self.format == Format::Protobuf {
            let classic = (buckets.bounds(), counts, sum.as_f64());
            self.family.histogram(labels, classic, exemplars, native);
            return;
        }
        let out = &mut self.out.bytes;
        self.prefix.clear();
        self.prefix.extend_from_slice(self.name.as_bytes());
        self.prefix.extend_from_slice(b"_bucket{");
        self.prefix.extend_from_slice(labels.as_str().as_bytes());
        if !labels.as_str().is_empty() {
            self.prefix.push(b',');
        }
        self.prefix.extend_from_slice(b"le=\"");
        out.reserve(counts.len() * (self.prefix.len() + 32));
        for (index, (bound, count)) in rendered.iter().zip(counts).enumerate() {
            out.extend_from_slice(&self.prefix);
            out.extend_from_slice(bound.as_bytes());
            count.write(out);
            if self.format == Format::OpenMetrics
                && let Some(Some(exemplar)) = exemplars.get(index)
            {
                out.extend_from_slice(b" # {");
                out.extend_from_slice(exemplar.labels.as_str().as_bytes());
                out.extend_from_slice(b"} ");
                exemplar.value.write(out);
                out.extend_from_slice(format!(" {:.3}", exemplar.timestamp).as_bytes());
            }
            out.push(b'\n');
        }
        let count = counts.last().copied().unwrap_or(0);
        line(out, &self.name, "_sum", (labels.as_str(), ""), sum);
        line(out, &self.name, "_count", (labels.as_str(), ""), count);
        self.out.spill();
    }

    /// A sample of the started family under another name, as the parts of a summary are; protobuf has no such thing.
    pub(crate) fn part(&mut self, suffix: &str, labels: &Labels, value: impl Number) {
        if self.refuse || self.format == Format::Protobuf {
            return;
        }
        let labels = (labels.as_str(), "");
        line(&mut self.out.bytes, &self.name, suffix, labels, value);
    }

    /// The finished exposition, with `# EOF` where the format asks for it.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.end_family();
        if self.format == Format::OpenMetrics {
            self.out.bytes.extend_from_slice(b"# EOF\n");
        }
        self.out.finish()
    }
}

/// One line of text: name and suffix, labels in braces, value.
fn line(
    out: &mut Vec<u8>,
    name: &str,
    suffix: &str,
    (labels, extra): (&str, &str),
    value: impl Number,
) {
    let (labels, extra) = (labels.as_bytes(), extra.as_bytes());
    out.reserve(name.len() + suffix.len() + labels.len() + extra.len() + 32);
    out.extend_from_slice(name.as_bytes());
    if !suffix.is_empty() {
        out.extend_from_slice(suffix.as_bytes());
    }
    if !labels.is_empty() || !extra.is_empty() {
        out.push(b'{');
        out.extend_from_slice(labels);
        if !extra.is_empty() {
            if !labels.is_empty() {
                out.push(b',');
            }
            out.extend_from_slice(extra);
        }
        out.push(b'}');
    }
    out.push(b' ');
    value.write(out);
    out.push(b'\n');
}
