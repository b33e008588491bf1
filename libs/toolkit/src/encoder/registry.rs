//! A registry of the prometheus crate through our encoder.

use prometheus::proto::{Metric, MetricFamily, MetricType};

use super::{Encoder, Kind, Labels, number};

/// Writes every family of the registry.
pub(crate) fn encode(registry: &prometheus::Registry, out: &mut Encoder) {
    for family in registry.gather() {
        write(&family, out);
    }
}

fn write(family: &MetricFamily, out: &mut Encoder) {
    let kind = match family.get_field_type() {
        MetricType::COUNTER => Kind::Counter,
        MetricType::GAUGE if family.name().ends_with("_info") => Kind::Info,
        MetricType::GAUGE => Kind::Gauge,
        MetricType::HISTOGRAM => Kind::Histogram,
        MetricType::SUMMARY | MetricType::UNTYPED => Kind::Unknown,
    };
    out.family(family.name(), kind, family.help());
    for metric in family.get_metric() {
        let labels = Labels::new(
            metric
                .get_label()
                .iter()
                .map(|pair| (pair.name(), pair.value())),
        );
        match family.get_field_type() {
            MetricType::COUNTER => out.sample(&labels, metric.get_counter().get_value()),
            MetricType::GAUGE => out.sample(&labels, metric.get_gauge().get_value()),
            // The crate has no way to make one.
            MetricType::UNTYPED => {}
            MetricType::HISTOGRAM => histogram(metric, &labels, out),
            MetricType::SUMMARY => summary(metric, &labels, out),
        }
    }
}

fn histogram(metric: &Metric, labels: &Labels, out: &mut Encoder) {
    let histogram = metric.get_histogram();
    for bucket in histogram.get_bucket() {
        if bucket.upper_bound().is_finite() {
            let bound = bucket.upper_bound();
            let bound = if out.format() == super::Format::Text {
                number::text(bound)
            } else {
                number::canonical(bound)
            };
            out.part(
                "_bucket",
                &labels.with("le", &bound),
                bucket.cumulative_count(),
            );
        }
    }
    out.part(
        "_bucket",
        &labels.with("le", "+Inf"),
        histogram.get_sample_count(),
    );
    out.part("_sum", labels, histogram.get_sample_sum());
    out.part("_count", labels, histogram.get_sample_count());
}

fn summary(metric: &Metric, labels: &Labels, out: &mut Encoder) {
    let summary = metric.get_summary();
    for quantile in summary.get_quantile() {
        out.sample(
            &labels.with("quantile", &number::canonical(quantile.quantile())),
            quantile.value(),
        );
    }
    out.part("_sum", labels, summary.sample_sum());
    out.part("_count", labels, summary.sample_count());
}
