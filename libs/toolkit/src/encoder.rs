//! Prometheus exposition: text 0.0.4 and OpenMetrics 1.0.0 from the same calls.
//!
//! Formats: <https://prometheus.io/docs/instrumenting/exposition_formats/> and
//! <https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md>. Labels are escaped once, when a [`Labels`] is
//! made, so that a scrape of many thousand series only copies bytes.

mod labels;
mod number;
mod registry;

use std::collections::HashSet;

pub use labels::Labels;
use number::Number;
pub(crate) use registry::encode as encode_registry;

/// The two text formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `text/plain; version=0.0.4`
    Text,
    /// `application/openmetrics-text; version=1.0.0`
    OpenMetrics,
}

impl Format {
    /// The `Content-Type` of a response in this format.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
            Self::OpenMetrics => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
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
        let text = kept
            .iter()
            .map(|bound| number::text(*bound))
            .chain(["+Inf".to_owned()])
            .collect();
        let open = kept
            .iter()
            .map(|bound| number::canonical(*bound))
            .chain(["+Inf".to_owned()])
            .collect();
        Self {
            bounds: kept,
            text,
            open,
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
            Format::OpenMetrics => &self.open,
        }
    }
}

/// Writes one exposition. Families come one after the other, each with all its samples.
///
/// A family that was written before, or whose name is not a metric name, is left out with its samples and counted in [`refused`](Self::refused):
/// one duplicate would make Prometheus reject the whole scrape.
#[derive(Debug)]
pub struct Encoder {
    out: Vec<u8>,
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
        Self {
            out: Vec::with_capacity(bytes),
            format,
            seen: HashSet::new(),
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
        name.clone_into(&mut self.name);
        self.kind = kind;
        let (family, word) = self.declared(name);
        let family = family.to_owned();
        match self.format {
            Format::Text => {
                self.comment("HELP", &family, help);
                self.comment("TYPE", &family, word);
            }
            Format::OpenMetrics => {
                self.comment("TYPE", &family, word);
                self.comment("HELP", &family, help);
            }
        }
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
        self.out.extend_from_slice(b"# ");
        self.out.extend_from_slice(word.as_bytes());
        self.out.push(b' ');
        self.out.extend_from_slice(family.as_bytes());
        self.out.push(b' ');
        for byte in rest.bytes() {
            match byte {
                b'\\' => self.out.extend_from_slice(b"\\\\"),
                b'\n' => self.out.extend_from_slice(b"\\n"),
                b'"' if self.format == Format::OpenMetrics => self.out.extend_from_slice(b"\\\""),
                other => self.out.push(other),
            }
        }
        self.out.push(b'\n');
    }

    /// One sample of the family that was started last.
    pub fn sample(&mut self, labels: &Labels, value: impl Number) {
        self.sample_with(labels, Labels::none(), value);
    }

    /// One sample whose labels are `labels` and then `extra`, such as the reason of an error.
    pub fn sample_with(&mut self, labels: &Labels, extra: &Labels, value: impl Number) {
        if self.refuse {
            return;
        }
        self.out.extend_from_slice(self.name.as_bytes());
        braces(&mut self.out, labels, extra);
        self.out.push(b' ');
        value.write(&mut self.out);
        self.out.push(b'\n');
    }

    /// One classic histogram: `counts` are cumulative, one per bucket and the last for `+Inf`, so `buckets.bounds().len() + 1`.
    pub fn histogram(&mut self, labels: &Labels, buckets: &Buckets, counts: &[u64], sum: f64) {
        self.histogram_traced(labels, buckets, counts, sum, &[]);
    }

    /// A histogram with exemplars, at most one per bucket; they are written in OpenMetrics alone.
    pub fn histogram_traced(
        &mut self,
        labels: &Labels,
        buckets: &Buckets,
        counts: &[u64],
        sum: f64,
        exemplars: &[Option<Exemplar>],
    ) {
        if self.refuse {
            return;
        }
        let rendered = buckets.rendered(self.format);
        if rendered.len() != counts.len() {
            self.refused += 1;
            return;
        }
        self.prefix.clear();
        self.prefix.extend_from_slice(self.name.as_bytes());
        self.prefix.extend_from_slice(b"_bucket{");
        self.prefix.extend_from_slice(labels.as_str().as_bytes());
        if !labels.as_str().is_empty() {
            self.prefix.push(b',');
        }
        self.prefix.extend_from_slice(b"le=\"");
        for (index, (bound, count)) in rendered.iter().zip(counts).enumerate() {
            self.out.extend_from_slice(&self.prefix);
            self.out.extend_from_slice(bound.as_bytes());
            self.out.extend_from_slice(b"\"} ");
            count.write(&mut self.out);
            if self.format == Format::OpenMetrics
                && let Some(Some(exemplar)) = exemplars.get(index)
            {
                self.out.extend_from_slice(b" # {");
                self.out
                    .extend_from_slice(exemplar.labels.as_str().as_bytes());
                self.out.extend_from_slice(b"} ");
                exemplar.value.write(&mut self.out);
                self.out
                    .extend_from_slice(format!(" {:.3}", exemplar.timestamp).as_bytes());
            }
            self.out.push(b'\n');
        }
        for (suffix, value) in [
            (&b"_sum"[..], Sum::Float(sum)),
            (
                &b"_count"[..],
                Sum::Count(counts.last().copied().unwrap_or(0)),
            ),
        ] {
            self.out.extend_from_slice(self.name.as_bytes());
            self.out.extend_from_slice(suffix);
            braces(&mut self.out, labels, Labels::none());
            self.out.push(b' ');
            match value {
                Sum::Float(sum) => sum.write(&mut self.out),
                Sum::Count(count) => count.write(&mut self.out),
            }
            self.out.push(b'\n');
        }
    }

    /// A sample of the started family under another name, as the parts of a summary are.
    pub(crate) fn part(&mut self, suffix: &str, labels: &Labels, value: impl Number) {
        if self.refuse {
            return;
        }
        self.out.extend_from_slice(self.name.as_bytes());
        self.out.extend_from_slice(suffix.as_bytes());
        braces(&mut self.out, labels, Labels::none());
        self.out.push(b' ');
        value.write(&mut self.out);
        self.out.push(b'\n');
    }

    /// The finished exposition, with `# EOF` where the format asks for it.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        if self.format == Format::OpenMetrics {
            self.out.extend_from_slice(b"# EOF\n");
        }
        self.out
    }
}

enum Sum {
    Float(f64),
    Count(u64),
}

fn braces(out: &mut Vec<u8>, labels: &Labels, extra: &Labels) {
    let (labels, extra) = (labels.as_str(), extra.as_str());
    if labels.is_empty() && extra.is_empty() {
        return;
    }
    out.push(b'{');
    out.extend_from_slice(labels.as_bytes());
    if !labels.is_empty() && !extra.is_empty() {
        out.push(b',');
    }
    out.extend_from_slice(extra.as_bytes());
    out.push(b'}');
}
