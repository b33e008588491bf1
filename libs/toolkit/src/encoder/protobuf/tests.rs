use testkit::protobuf as model;

use super::*;
use crate::encoder::{Buckets, Encoder, Format};

fn read(write: impl FnOnce(&mut Encoder)) -> Vec<model::MetricFamily> {
    let mut out = Encoder::new(Format::Protobuf);
    write(&mut out);
    model::families(&out.finish()).unwrap()
}

#[test]
fn families_and_samples_are_what_another_implementation_reads() {
    let labels = Labels::new([("device", "r\"1\"\\\n"), ("site", "a")]);
    let families = read(|out| {
        out.family("x_total", Kind::Counter, "How many.");
        out.sample(&labels, 300_u64);
        out.sample_with(&labels, &Labels::new([("reason", "r")]), 4_u64);
        out.family("x_celsius", Kind::Gauge, "How warm.");
        out.sample(Labels::none(), -1.5);
        out.family("x_total", Kind::Counter, "Twice.");
        out.sample(&labels, 1_u64);
        out.family("x", Kind::Unknown, "What.");
        out.sample(&labels, 7_u64);
    });
    let names: Vec<_> = families.iter().map(|f| (f.name.as_str(), f.kind)).collect();
    assert_eq!(names, [("x_total", 0), ("x_celsius", 1), ("x", 3)]);
    assert_eq!(families[0].help, "How many.");
    let [first, second] = families[0].metric.as_slice() else {
        panic!("{families:?}");
    };
    let pairs = |metric: &model::Metric| -> Vec<(String, String)> {
        let own = |pair: &model::LabelPair| (pair.name.clone(), pair.value.clone());
        metric.label.iter().map(own).collect()
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        pairs(first),
        [pair("device", "r\"1\"\\\n"), pair("site", "a")]
    );
    assert_eq!(pairs(second)[2], pair("reason", "r"));
    assert_eq!(first.counter.as_ref().map(|one| one.value), Some(300.0));
    assert_eq!(
        families[1].metric[0].gauge,
        Some(model::Value { value: -1.5 })
    );
    assert_eq!(
        families[2].metric[0].untyped,
        Some(model::Value { value: 7.0 })
    );
}

#[test]
fn a_histogram_is_native_and_classic_at_once() {
    let families = read(|out| {
        out.family("x_seconds", Kind::Histogram, "How long.");
        let native = Native {
            schema: 3,
            zero_threshold: 1e-6,
            zero_count: 2,
            buckets: &[(-9, 1), (-8, 5), (-6, 0), (4, 3)],
        };
        let buckets = Buckets::new(&[0.5, 1.0]);
        out.histogram_native(Labels::none(), &buckets, &[3, 8, 11], 7.5, &native);
        let empty = Native {
            zero_count: 0,
            buckets: &[],
            ..native
        };
        out.histogram_native(Labels::none(), &buckets, &[0, 0, 0], 0.0, &empty);
    });
    let histogram = families[0].metric[0].histogram.clone().unwrap();
    let span = |offset, length| model::Span { offset, length };
    assert_eq!(histogram.span, [span(-9, 2), span(11, 1)]);
    assert_eq!(histogram.delta, [1, 4, -2]);
    assert_eq!(
        (
            histogram.schema,
            histogram.zero_threshold,
            histogram.zero_count
        ),
        (3, 1e-6, 2)
    );
    assert_eq!((histogram.count, histogram.sum), (11, 7.5));
    let classic: Vec<_> = histogram
        .bucket
        .iter()
        .map(|b| (b.bound, b.count))
        .collect();
    assert_eq!(classic, [(0.5, 3), (1.0, 8), (f64::INFINITY, 11)]);
    let empty = families[0].metric[1].histogram.clone().unwrap();
    assert_eq!(empty.span, [span(0, 0)]);
}

#[test]
fn exemplars_are_written() {
    let families = read(|out| {
        out.family("x_seconds", Kind::Histogram, "How long.");
        let exemplar = Exemplar {
            labels: Labels::new([("trace_id", "abc")]),
            value: 0.25,
            timestamp: 1_700_000_000.5,
        };
        let buckets = Buckets::new(&[1.0]);
        out.histogram_traced(Labels::none(), &buckets, &[1, 1], 0.25, &[Some(exemplar)]);
    });
    let exemplar = families[0].metric[0].histogram.clone().unwrap().bucket[0]
        .exemplar
        .clone()
        .unwrap();
    assert_eq!(exemplar.label[0].value, "abc");
    let timestamp = model::Timestamp {
        seconds: 1_700_000_000,
        nanos: 500_000_000,
    };
    assert_eq!(
        (exemplar.value, exemplar.timestamp),
        (0.25, Some(timestamp))
    );
}

proptest::proptest! {
    #[test]
    fn any_label_value_comes_back(value in "\\PC*|[\\\\\"\n]{0,9}") {
        let labels = Labels::new([("a", value.as_str()), ("b", "end")]);
        let families = read(|out| {
            out.family("x", Kind::Gauge, "X.");
            out.sample(&labels, 1_u64);
        });
        let read: Vec<_> = families[0].metric[0].label.iter().map(|pair| pair.value.clone()).collect();
        proptest::prop_assert_eq!(read, [value, "end".to_owned()]);
    }
}

#[test]
fn a_counter_says_since_when_it_counts_and_a_gauge_does_not() {
    let families = read(|out| {
        for (name, kind) in [("octets_total", Kind::Counter), ("speed", Kind::Gauge)] {
            out.family(name, kind, "Of an interface.");
            out.sample_since(Labels::none(), 7_u64, Some(1_700_000_000.25));
            out.sample_since(Labels::none(), 8_u64, None);
        }
    });
    let counter = |at: usize| families[0].metric[at].counter.clone().unwrap();
    let created = model::Timestamp {
        seconds: 1_700_000_000,
        nanos: 250_000_000,
    };
    assert_eq!((counter(0).value, counter(0).created), (7.0, Some(created)));
    assert_eq!((counter(1).value, counter(1).created), (8.0, None));
    assert_eq!(families[1].metric[0].gauge.clone().unwrap().value, 7.0);
    let mut text = Encoder::new(Format::Text);
    text.family("octets_total", Kind::Counter, "Of an interface.");
    text.sample_since(Labels::none(), 7_u64, Some(1.0));
    let text = String::from_utf8(text.finish()).unwrap();
    assert!(text.ends_with("octets_total 7\n"), "{text}");
}
