//! Messages of `io.prometheus.client`, written without building them first.
//!
//! Field numbers are those of <https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto>, the encoding
//! is that of <https://protobuf.dev/programming-guides/encoding/>.

use super::labels::each;
use super::{Exemplar, Kind, Labels, Native};

/// `MetricFamily` and the buffers of its parts, innermost last.
#[derive(Debug, Default)]
pub(super) struct Family {
    message: Vec<u8>,
    metric: Vec<u8>,
    value: Vec<u8>,
    part: Vec<u8>,
    text: String,
}

impl Family {
    pub(super) fn begin(&mut self, name: &str, help: &str, kind: Kind) {
        let kind = match kind {
            Kind::Counter => 0,
            Kind::Gauge | Kind::Info => 1,
            Kind::Unknown => 3,
            Kind::Histogram => 4,
        };
        bytes(&mut self.message, 1, name.as_bytes());
        bytes(&mut self.message, 2, help.as_bytes());
        number(&mut self.message, 3, kind);
    }

    /// Appends the message behind its length, if there is one.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        if !self.message.is_empty() {
            varint(out, self.message.len() as u64);
            out.extend_from_slice(&self.message);
            self.message.clear();
        }
    }

    /// `since` is the start of a counter, Unix seconds.
    pub(super) fn sample(
        &mut self,
        kind: Kind,
        (labels, extra): (&str, &str),
        value: f64,
        since: Option<f64>,
    ) {
        self.labels(labels);
        self.labels(extra);
        let field = match kind {
            Kind::Gauge | Kind::Info => 2,
            Kind::Counter => 3,
            Kind::Unknown | Kind::Histogram => 5,
        };
        self.value.clear();
        float(&mut self.value, 1, value);
        if let Some(since) = since.filter(|_| kind == Kind::Counter) {
            self.part.clear();
            time(&mut self.part, since);
            bytes(&mut self.value, 3, &self.part);
        }
        bytes(&mut self.metric, field, &self.value);
        self.metric_ends();
    }

    pub(super) fn histogram(
        &mut self,
        labels: &Labels,
        (bounds, counts, sum): (&[f64], &[u64], f64),
        exemplars: &[Option<Exemplar>],
        native: Option<&Native<'_>>,
    ) {
        self.labels(labels.as_str());
        self.value.clear();
        number(&mut self.value, 1, counts.last().copied().unwrap_or(0));
        float(&mut self.value, 2, sum);
        let bounds = bounds.iter().copied().chain([f64::INFINITY]);
        for (at, (bound, count)) in bounds.zip(counts).enumerate() {
            self.part.clear();
            number(&mut self.part, 1, *count);
            float(&mut self.part, 2, bound);
            if let Some(Some(exemplar)) = exemplars.get(at) {
                let mut message = Vec::new();
                write_exemplar(&mut message, exemplar, &mut self.text);
                bytes(&mut self.part, 3, &message);
            }
            bytes(&mut self.value, 3, &self.part);
        }
        if let Some(native) = native {
            self.native(native);
        }
        bytes(&mut self.metric, 7, &self.value);
        self.metric_ends();
    }

    /// Spans name runs of neighbouring buckets; counts are differences to the bucket before, whatever its span.
    fn native(&mut self, native: &Native<'_>) {
        number(&mut self.value, 5, zigzag(native.schema.into()));
        float(&mut self.value, 6, native.zero_threshold);
        number(&mut self.value, 7, native.zero_count);
        let used = || native.buckets.iter().filter(|(_, count)| *count > 0);
        let mut spans: Vec<(i32, u32)> = Vec::new();
        let mut next: Option<i32> = None;
        for &(index, _) in used() {
            match (spans.last_mut(), next) {
                (Some((_, length)), Some(next)) if next == index => *length += 1,
                (_, next) => spans.push((index - next.unwrap_or(0), 1)),
            }
            next = Some(index + 1);
        }
        // A native histogram without observations is told from a classic one by an empty span.
        if spans.is_empty() {
            spans.push((0, 0));
        }
        for (offset, length) in spans {
            self.part.clear();
            number(&mut self.part, 1, zigzag(offset.into()));
            number(&mut self.part, 2, length.into());
            bytes(&mut self.value, 12, &self.part);
        }
        self.part.clear();
        let mut before = 0_i64;
        for &(_, count) in used() {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            varint(&mut self.part, zigzag(count.wrapping_sub(before)));
            before = count;
        }
        if !self.part.is_empty() {
            bytes(&mut self.value, 13, &self.part);
        }
    }

    fn labels(&mut self, labels: &str) {
        let (metric, part) = (&mut self.metric, &mut self.part);
        each(labels, &mut self.text, |name, value| {
            pair(metric, 1, part, name, value);
        });
    }

    fn metric_ends(&mut self) {
        bytes(&mut self.message, 4, &self.metric);
        self.metric.clear();
    }
}

fn write_exemplar(to: &mut Vec<u8>, exemplar: &Exemplar, text: &mut String) {
    let mut part = Vec::new();
    exemplar.labels.each(text, |name, value| {
        pair(to, 1, &mut part, name, value);
    });
    float(to, 2, exemplar.value);
    part.clear();
    time(&mut part, exemplar.timestamp);
    bytes(to, 3, &part);
}

/// The content of a `google.protobuf.Timestamp`: seconds and nanoseconds.
fn time(to: &mut Vec<u8>, unix_seconds: f64) {
    let whole = unix_seconds.max(0.0).floor();
    number(to, 1, whole as u64);
    number(to, 2, ((unix_seconds - whole) * 1e9) as u64);
}

/// A `LabelPair`.
fn pair(to: &mut Vec<u8>, field: u32, part: &mut Vec<u8>, name: &str, value: &str) {
    part.clear();
    bytes(part, 1, name.as_bytes());
    bytes(part, 2, value.as_bytes());
    bytes(to, field, part);
}

fn varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

fn number(to: &mut Vec<u8>, field: u32, value: u64) {
    varint(to, u64::from(field << 3));
    varint(to, value);
}

fn float(to: &mut Vec<u8>, field: u32, value: f64) {
    varint(to, u64::from(field << 3 | 1));
    to.extend_from_slice(&value.to_le_bytes());
}

fn bytes(to: &mut Vec<u8>, field: u32, value: &[u8]) {
    varint(to, u64::from(field << 3 | 2));
    varint(to, value.len() as u64);
    to.extend_from_slice(value);
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

#[cfg(test)]
mod tests;
