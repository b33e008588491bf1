//! A registry of the prometheus crate through our encoder.

use prometheus::proto::{Metric, MetricFamily, MetricType};

use super::{Buckets, Encoder, Kind, Labels, number};

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
    let finite = histogram
        .get_bucket()
        .iter()
        .filter(|bucket| bucket.upper_bound().is_finite());
    let (bounds, mut counts): (Vec<f64>, Vec<u64>) = finite
        .map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()))
        .unzip();
    counts.push(histogram.get_sample_count());
    let sum = histogram.get_sample_sum();
    out.histogram(labels, &Buckets::new(&bounds), &counts, sum);
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
