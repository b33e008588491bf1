//! The series of a peer: its names, its types, its labels.

use std::sync::Arc;

use arc_swap::ArcSwap;
use toolkit::prometheus::Registry;
use toolkit::{Collect, Decimal, Encoder, Format, Kind as Type, Labels, Live, Native};

use super::{Kind, Peer, Windows};
use crate::config::Config;
use crate::counters::{Counters, NATIVE_SCHEMA, native_zero_threshold};
use crate::engine::Stats;
use crate::metrics::{CounterFamily, bounds_at, counts_at};
use crate::reason::Reason;
use crate::targets::{Row, View};

/// The counters of a target, and its native histogram where the format has such ones: the zero bucket, and the others by index.
type Reading = (Counters, Option<(u64, Vec<(i32, u64)>)>);

/// Writes the series of the peer that is stood in for.
pub struct Series {
    config: Live<Config>,
    view: Arc<ArcSwap<View>>,
    stats: Arc<Stats>,
    windows: Arc<Windows>,
    registry: Registry,
}

impl Series {
    /// Series of the targets in `view`; whether the configuration was read well is taken from `registry`.
    pub fn new(
        config: Live<Config>,
        view: Arc<ArcSwap<View>>,
        stats: Arc<Stats>,
        windows: Arc<Windows>,
        registry: Registry,
    ) -> Self {
        Self {
            config,
            view,
            stats,
            windows,
            registry,
        }
    }

    /// The value of a series of the service itself.
    fn own(&self, name: &str, label: Option<&str>) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        let mut samples = family.into_iter().flat_map(|family| family.get_metric());
        let sample = samples.find(|sample| {
            label.is_none_or(|value| {
                sample
                    .get_label()
                    .iter()
                    .any(|label| label.value() == value)
            })
        });
        sample.map_or(0.0, |sample| {
            sample.get_gauge().get_value() + sample.get_counter().get_value()
        })
    }

    /// What every exporter of Prometheus says of itself.
    fn program(&self, prefix: &str, out: &mut Encoder) {
        let none = Labels::none();
        let info = Labels::new([
            ("branch", "none"),
            ("goarch", std::env::consts::ARCH),
            ("goos", std::env::consts::OS),
            ("goversion", "none"),
            ("revision", toolkit::Identity::REVISION),
            ("tags", "none"),
            ("version", env!("CARGO_PKG_VERSION")),
        ]);
        let name = format!("{prefix}_build_info");
        out.family(
            &name,
            Type::Gauge,
            "Constant 1; the version is that of sotp-ping.",
        );
        out.sample(&info, 1_u64);
        let name = format!("{prefix}_config_last_reload_successful");
        out.family(
            &name,
            Type::Gauge,
            "Whether the configuration was read well the last time (1) or not (0).",
        );
        out.sample(none, self.own("sotp_config_last_reload_successful", None));
        let name = format!("{prefix}_config_last_reload_success_timestamp_seconds");
        out.family(
            &name,
            Type::Gauge,
            "When the configuration was last read well.",
        );
        let at = self.own("sotp_config_last_reload_success_timestamp_seconds", None);
        out.sample(none, at);
    }

    fn smokeping(&self, peer: &Peer, rows: &[(&Row, Reading)], out: &mut Encoder) {
        self.program("smokeping_prober", out);
        let counters: [CounterFamily; 3] = [
            ("smokeping_requests_total", "Echo requests made.", |c| {
                c.requests
            }),
            (
                "smokeping_response_duplicates_total",
                "Further answers to answered requests.",
                |c| c.duplicates,
            ),
            (
                "smokeping_send_errors_total",
                "Requests that this host did not send.",
                |c| c.errors[Reason::NoRoute.index()] + c.errors[Reason::NotSent.index()],
            ),
        ];
        for (name, help, value) in counters {
            out.family(name, Type::Counter, help);
            for (row, (counters, _)) in rows {
                out.sample(&row.labels, value(counters));
            }
        }
        out.family(
            "smokeping_receive_errors_total",
            Type::Counter,
            "Failed reads of the sockets.",
        );
        let errors = self.stats.receive_errors.iter().map(|cell| cell.get());
        out.sample(Labels::none(), errors.sum::<u64>());
        out.family(
            "smokeping_prober_errors_total",
            Type::Counter,
            "Probers that ended with an error; one of sotp-ping goes on, whatever becomes of its requests.",
        );
        out.sample(Labels::none(), 0_u64);
        out.family(
            "smokeping_response_ttl",
            Type::Gauge,
            "TTL or hop limit of the last answer; 0 before the first.",
        );
        for (row, (counters, _)) in rows {
            out.sample(&row.labels, counters.hop_limit);
        }
        out.family(
            "smokeping_response_duration_seconds",
            Type::Histogram,
            "Round-trip times of the answered requests.",
        );
        let buckets = bounds_at(&peer.style.buckets);
        for (row, (counters, native)) in rows {
            let counts = counts_at(&peer.style.buckets, &counters.buckets);
            let sum = Decimal::<9>(counters.sum_nanos);
            let Some((zero_count, filled)) = native else {
                out.histogram(&row.labels, &buckets, &counts, sum);
                continue;
            };
            let native = Native {
                schema: NATIVE_SCHEMA,
                zero_threshold: native_zero_threshold(),
                zero_count: *zero_count,
                buckets: filled,
            };
            out.histogram_native(&row.labels, &buckets, &counts, sum, &native);
        }
    }

    fn ping_exporter(&self, peer: &Peer, view: &View, out: &mut Encoder) {
        self.windows.look(view, peer.style.history);
        out.family(
            "ping_up",
            Type::Gauge,
            "Constant 1; the version is that of sotp-ping.",
        );
        out.sample(
            &Labels::new([("version", env!("CARGO_PKG_VERSION"))]),
            1_u64,
        );
        let summaries: Vec<_> = view
            .rows
            .iter()
            .filter_map(|row| Some((row, self.windows.of(row)?)))
            .collect();
        out.family(
            "ping_loss_ratio",
            Type::Gauge,
            "Part of the last requests without an answer, 0 to 1.",
        );
        for (row, summary) in &summaries {
            out.sample(&row.labels, summary.loss);
        }
        let gauges = [
            ("best", "best", "Shortest of the last round trips"),
            ("worst", "worst", "Longest of the last round trips"),
            ("mean", "mean", "Mean of the last round trips"),
            (
                "std_deviation",
                "std_dev",
                "Standard deviation of the last round trips",
            ),
        ];
        let units = [
            ("seconds", "in seconds", 1.0, peer.style.seconds),
            ("ms", "in milliseconds", 1e3, peer.style.millis),
        ];
        for (unit, words, scale, _) in units.into_iter().filter(|(_, _, _, wanted)| *wanted) {
            for (place, (name, _, help)) in gauges.iter().enumerate() {
                out.family(
                    &format!("ping_rtt_{name}_{unit}"),
                    Type::Gauge,
                    &format!("{help}, {words}."),
                );
                for (row, summary) in &summaries {
                    if let Some(rtt) = summary.rtt {
                        out.sample(&row.labels, rtt[place] * scale);
                    }
                }
            }
            if !peer.style.deprecated {
                continue;
            }
            out.family(
                &format!("ping_rtt_{unit}"),
                Type::Gauge,
                &format!("The last round trips, {words}."),
            );
            for (row, summary) in &summaries {
                for (place, (_, label, _)) in gauges.iter().enumerate() {
                    if let Some(rtt) = summary.rtt {
                        out.sample_with(
                            &row.labels,
                            &Labels::new([("type", label)]),
                            rtt[place] * scale,
                        );
                    }
                }
            }
        }
    }

    fn blackbox(&self, out: &mut Encoder) {
        self.program("blackbox_exporter", out);
        out.family(
            "blackbox_module_unknown_total",
            Type::Counter,
            "Requests of /probe for a module that is not there.",
        );
        out.sample(
            Labels::none(),
            self.own("ping_probes_total", Some("unknown_module")),
        );
    }
}

impl Collect for Series {
    fn collect(&self, out: &mut Encoder) {
        let config = self.config.current();
        let Some(peer) = &config.peer else { return };
        let view = self.view.load_full();
        match peer.kind {
            Kind::SmokepingProber => {
                let native = out.format() == Format::Protobuf;
                let read = |row: &Row| {
                    if native {
                        let (counters, zero, buckets) = row.counters.read_native();
                        (counters, Some((zero, buckets)))
                    } else {
                        (row.counters.read(), None)
                    }
                };
                let rows: Vec<_> = view.rows.iter().map(|row| (row, read(row))).collect();
                self.smokeping(peer, &rows, out);
            }
            Kind::PingExporter => self.ping_exporter(peer, &view, out),
            Kind::Blackbox => self.blackbox(out),
        }
    }
}
