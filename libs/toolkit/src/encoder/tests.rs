use proptest::prelude::*;

use super::*;

fn both(write: impl Fn(&mut Encoder)) -> [String; 2] {
    [Format::Text, Format::OpenMetrics].map(|format| {
        let mut out = Encoder::new(format);
        write(&mut out);
        String::from_utf8(out.finish()).unwrap()
    })
}

fn example(out: &mut Encoder) {
    let labels = Labels::new([("device", "r1"), ("site", "a \"b\"\\\n")]);
    out.family(
        "x_requests_total",
        Kind::Counter,
        "Requests \"sent\",\nby \\ device.",
    );
    out.sample(&labels, 3_u64);
    out.sample_with(&labels, &Labels::new([("reason", "timeout")]), 4_u64);
    out.family("x_info", Kind::Info, "What it is.");
    out.sample(&labels, 1_u64);
    out.family("x_temperature_celsius", Kind::Gauge, "Temperature.");
    out.sample(Labels::none(), -1.5);
    out.family("x_rtt_seconds", Kind::Histogram, "Round trip time.");
    out.histogram(&labels, &Buckets::new(&[0.5, 1.0]), &[1, 2, 4], 7.25);
}

#[test]
fn text_and_openmetrics_are_as_their_specifications_say() {
    let [text, open] = both(example);
    let labels = r#"device="r1",site="a \"b\"\\\n""#;
    assert_eq!(
        text,
        format!(
            r#"# HELP x_requests_total Requests "sent",\nby \\ device.
# TYPE x_requests_total counter
x_requests_total{{{labels}}} 3
x_requests_total{{{labels},reason="timeout"}} 4
# HELP x_info What it is.
# TYPE x_info gauge
x_info{{{labels}}} 1
# HELP x_temperature_celsius Temperature.
# TYPE x_temperature_celsius gauge
x_temperature_celsius -1.5
# HELP x_rtt_seconds Round trip time.
# TYPE x_rtt_seconds histogram
x_rtt_seconds_bucket{{{labels},le="0.5"}} 1
x_rtt_seconds_bucket{{{labels},le="1"}} 2
x_rtt_seconds_bucket{{{labels},le="+Inf"}} 4
x_rtt_seconds_sum{{{labels}}} 7.25
x_rtt_seconds_count{{{labels}}} 4
"#
        )
    );
    assert_eq!(
        open,
        format!(
            r#"# TYPE x_requests counter
# HELP x_requests Requests \"sent\",\nby \\ device.
x_requests_total{{{labels}}} 3
x_requests_total{{{labels},reason="timeout"}} 4
# TYPE x info
# HELP x What it is.
x_info{{{labels}}} 1
# TYPE x_temperature_celsius gauge
# HELP x_temperature_celsius Temperature.
x_temperature_celsius -1.5
# TYPE x_rtt_seconds histogram
# HELP x_rtt_seconds Round trip time.
x_rtt_seconds_bucket{{{labels},le="0.5"}} 1
x_rtt_seconds_bucket{{{labels},le="1.0"}} 2
x_rtt_seconds_bucket{{{labels},le="+Inf"}} 4
x_rtt_seconds_sum{{{labels}}} 7.25
x_rtt_seconds_count{{{labels}}} 4
# EOF
"#
        )
    );
}

#[test]
fn counter_without_total_is_unknown_to_openmetrics() {
    let [text, open] = both(|out| {
        out.family("ifHCInOctets", Kind::Counter, "Octets in.");
        out.sample(Labels::none(), 1_u64);
    });
    assert!(text.contains("# TYPE ifHCInOctets counter\n"));
    assert!(open.contains("# TYPE ifHCInOctets unknown\n") && open.contains("\nifHCInOctets 1\n"));
}

#[test]
fn family_that_is_there_twice_or_badly_named_is_left_out_and_counted() {
    let mut out = Encoder::new(Format::Text);
    for name in ["a_total", "a_total", "1a", "", "a b"] {
        out.family(name, Kind::Counter, "A.");
        out.sample(Labels::none(), 1_u64);
    }
    out.family("b", Kind::Histogram, "B.");
    out.histogram(Labels::none(), &Buckets::new(&[1.0]), &[1], 0.0);
    assert_eq!(out.refused(), 5);
    let text = String::from_utf8(out.finish()).unwrap();
    assert_eq!(text.matches("a_total 1").count(), 1);
    assert!(!text.contains("b_bucket"));
}

#[test]
fn prometheus_takes_it() {
    let [text, _] = both(|out| {
        example(out);
        out.family("x_values", Kind::Gauge, "Values at the edges.");
        for (index, value) in [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MIN_POSITIVE,
            f64::MAX,
            -0.0,
            1e15,
            0.1,
        ]
        .into_iter()
        .enumerate()
        {
            out.sample(&Labels::new([("index", index.to_string())]), value);
        }
    });
    testkit::promtool(&text);
}

#[test]
fn registry_of_the_prometheus_crate_reads_the_same() {
    let registry = prometheus::Registry::new();
    let counter =
        prometheus::IntCounterVec::new(prometheus::opts!("c_total", "C."), &["a"]).unwrap();
    counter.with_label_values(&["x\"y"]).inc_by(2);
    registry.register(Box::new(counter)).unwrap();
    let histogram = prometheus::Histogram::with_opts(
        prometheus::HistogramOpts::new("h_seconds", "H.").buckets(vec![1.0, 2.0]),
    )
    .unwrap();
    histogram.observe(1.5);
    registry.register(Box::new(histogram)).unwrap();
    let [text, open] = both(|out| encode_registry(&registry, out));
    assert!(text.contains("c_total{a=\"x\\\"y\"} 2\n"), "{text}");
    assert!(text.contains("h_seconds_bucket{le=\"1\"} 0\nh_seconds_bucket{le=\"2\"} 1\nh_seconds_bucket{le=\"+Inf\"} 1\nh_seconds_sum 1.5\nh_seconds_count 1\n"), "{text}");
    assert!(
        open.contains("# TYPE c counter\n") && open.contains("h_seconds_bucket{le=\"1.0\"} 0\n"),
        "{open}"
    );
}

proptest! {
    #[test]
    fn any_label_value_is_read_back(values in proptest::collection::vec(any::<String>(), 1..4)) {
        let names = ["a", "b", "c"];
        let labels = Labels::new(names.iter().zip(&values));
        let mut out = Encoder::new(Format::Text);
        out.family("m", Kind::Gauge, "M.");
        out.sample(&labels, 1_u64);
        let text = String::from_utf8(out.finish()).unwrap();
        // One line for the sample whatever the value holds; other line ends of Unicode are no line ends here.
        prop_assert_eq!(text.matches('\n').count(), 3);
        let samples = testkit::Samples::parse(text.trim_end_matches('\n').rsplit('\n').next().unwrap());
        if values.iter().all(|value| !value.contains(['\r', '\u{b}'])) {
            let sample = samples.unwrap().all()[0].clone();
            for (name, value) in names.iter().zip(&values) {
                prop_assert_eq!(&sample.labels[*name], value);
            }
        }
    }

    #[test]
    fn any_help_stays_on_its_line(help in any::<String>()) {
        for text in both(|out| out.family("m", Kind::Gauge, &help)) {
            prop_assert_eq!(text.lines().filter(|line| line.starts_with("# HELP m ")).count(), 1);
            prop_assert_eq!(text.matches('\n').count(), if text.ends_with("# EOF\n") { 3 } else { 2 });
        }
    }

    #[test]
    fn any_number_is_read_back(value in any::<f64>(), whole in any::<u64>(), signed in any::<i64>()) {
        let mut out = Vec::new();
        value.write(&mut out);
        let read: f64 = String::from_utf8(out).unwrap().parse().unwrap();
        prop_assert!(read == value || (read.is_nan() && value.is_nan()));
        for (written, wanted) in [({ let mut out = Vec::new(); whole.write(&mut out); out }, whole.to_string()), ({ let mut out = Vec::new(); signed.write(&mut out); out }, signed.to_string())] {
            prop_assert_eq!(String::from_utf8(written).unwrap(), wanted);
        }
    }
}

#[test]
fn compressed_on_the_way_it_is_the_same_exposition() {
    use std::io::Read as _;
    let write = |mut out: Encoder| {
        out.family("x_total", Kind::Counter, "Many.");
        for number in 0..20_000 {
            let labels = Labels::new([("device", format!("router-{number}"))]);
            out.sample(&labels, number as u64);
        }
        out.finish()
    };
    for format in [Format::Text, Format::OpenMetrics, Format::Protobuf] {
        let plain = write(Encoder::reusing(format, b"what was there before".to_vec()));
        assert_eq!(plain, write(Encoder::new(format)));
        let packed = write(Encoder::gzip(format, b"what was there before".to_vec()));
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(packed.as_slice())
            .read_to_end(&mut unpacked)
            .unwrap();
        assert!(plain.len() > packed.len() * 3 && plain == unpacked);
    }
}
