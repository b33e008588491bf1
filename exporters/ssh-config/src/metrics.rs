//! The series of the devices.

use std::sync::Arc;

use ssh::{Incomplete, Weakness};
use toolkit::{Collect, Encoder, Kind, Labels};

use crate::collector::{Shared, obstacle};
use crate::compliance::Count;
use crate::state::Known;

/// The series of each device.
pub(crate) struct Series(pub(crate) Arc<Shared>);

/// Name, text and value of a family.
type Family<V> = (&'static str, &'static str, fn(&Known) -> V);

/// Why devices are not collected, and that they are.
const STATES: [&str; 4] = ["collected", "no_ssh", "no_credential", "no_driver"];

impl Collect for Series {
    fn collect(&self, out: &mut Encoder) {
        let shared = &self.0;
        let (config, inventory) = (shared.config.current(), shared.feed.current());
        let mut states = [0u64; 4];
        let mut devices: Vec<(Labels, String, Known)> = Vec::new();
        for device in inventory.devices() {
            let state = obstacle(&config, device).unwrap_or(STATES[0]);
            if let Some(at) = STATES.iter().position(|name| *name == state) {
                states[at] += 1;
            }
            if state == STATES[0] {
                let known = shared.state.of(&device.name);
                devices.push((
                    Labels::rendered(&device.labels),
                    device.name.to_string(),
                    known,
                ));
            }
        }
        out.family(
            "sshconfig_devices",
            Kind::Gauge,
            "Devices of the inventory, by whether they are collected or why not.",
        );
        for (state, count) in STATES.iter().zip(states) {
            out.sample(&Labels::new([("state", state)]), count);
        }
        out.family(
            "sshconfig_sessions_kept",
            Kind::Gauge,
            "Sessions that are kept open for the next collection.",
        );
        out.sample(&Labels::default(), shared.sessions.count() as u64);
        let times: [Family<Option<f64>>; 3] = [
            (
                "sshconfig_last_attempt_timestamp_seconds",
                "When the last collection ended, well or not.",
                |known| known.attempt,
            ),
            (
                "sshconfig_last_success_timestamp_seconds",
                "When the device was last collected whole.",
                |known| known.success,
            ),
            (
                "sshconfig_last_change_timestamp_seconds",
                "When the configuration was last found to be another one than before.",
                |known| known.change,
            ),
        ];
        for (name, help, value) in times {
            out.family(name, Kind::Gauge, help);
            for (labels, _, known) in &devices {
                if let Some(value) = value(known) {
                    out.sample(labels, value);
                }
            }
        }
        out.family(
            "sshconfig_up",
            Kind::Gauge,
            "Whether the last collection succeeded; absent before the first one.",
        );
        for (labels, _, known) in devices
            .iter()
            .filter(|(_, _, known)| known.attempt.is_some())
        {
            out.sample(labels, u64::from(known.in_a_row == 0));
        }
        phases(out, &devices);
        counts(out, &devices);
        told(out, &devices);
        weak(out, &devices);
        self.verdicts(out, &devices);
    }
}

fn phases(out: &mut Encoder, devices: &[(Labels, String, Known)]) {
    out.family(
        "sshconfig_collect_seconds",
        Kind::Gauge,
        "Time of the phases of the last collection.",
    );
    for (labels, _, known) in devices
        .iter()
        .filter(|(_, _, known)| known.success.is_some())
    {
        for (phase, seconds) in ["connect", "login", "prompt", "commands"]
            .iter()
            .zip(known.seconds)
        {
            out.sample_with(labels, &Labels::new([("phase", phase)]), seconds);
        }
    }
}

fn counts(out: &mut Encoder, devices: &[(Labels, String, Known)]) {
    let gauges: [Family<u64>; 3] = [
        (
            "sshconfig_configuration_bytes",
            "Size of the configuration as it is kept.",
            |known| known.bytes as u64,
        ),
        (
            "sshconfig_configuration_lines",
            "Lines of the configuration as it is kept.",
            |known| known.lines as u64,
        ),
        (
            "sshconfig_masked_secrets",
            "Secrets of the configuration that stand as fingerprints.",
            |known| known.masked as u64,
        ),
    ];
    for (name, help, value) in gauges {
        out.family(name, Kind::Gauge, help);
        for (labels, _, known) in devices
            .iter()
            .filter(|(_, _, known)| known.success.is_some())
        {
            out.sample(labels, value(known));
        }
    }
    out.family(
        "sshconfig_changes_total",
        Kind::Counter,
        "Changes of the configuration; the first version is none.",
    );
    for (labels, _, known) in devices {
        out.sample(labels, known.changes);
    }
    out.family(
        "sshconfig_failures_total",
        Kind::Counter,
        "Collections of the device that failed.",
    );
    for (labels, _, known) in devices {
        out.sample(labels, known.failures);
    }
    out.family(
        "sshconfig_incomplete_total",
        Kind::Counter,
        "Configurations without evidence that they are whole; the version before stayed.",
    );
    for (labels, _, known) in devices {
        for (reason, count) in Incomplete::REASONS.iter().zip(known.incomplete) {
            out.sample_with(labels, &Labels::new([("reason", reason)]), count);
        }
    }
    out.family(
        "sshconfig_host_key_changed",
        Kind::Gauge,
        "1 while the device shows another host key than the known one.",
    );
    for (labels, _, known) in devices {
        out.sample(labels, u64::from(known.host_key_changed));
    }
}

/// What the devices say of themselves.
fn told(out: &mut Encoder, devices: &[(Labels, String, Known)]) {
    out.family(
        "sshconfig_unsaved",
        Kind::Gauge,
        "1 while the running configuration is another one than that which the device starts with; absent where that cannot be asked.",
    );
    for (labels, _, known) in devices {
        if let Some(unsaved) = known.unsaved {
            out.sample(labels, u64::from(unsaved));
        }
    }
    out.family(
        "sshconfig_device_info",
        Kind::Gauge,
        "What the device says that it is; always 1.",
    );
    for (labels, _, known) in devices {
        if let Some([model, version, serial]) = &known.info {
            let extra = Labels::new([
                ("model", model.as_str()),
                ("version", version.as_str()),
                ("serial", serial.as_str()),
            ]);
            out.sample_with(labels, &extra, 1u64);
        }
    }
    out.family(
        "sshconfig_device_number",
        Kind::Gauge,
        "Numbers of show commands, by the name that the driver has for them.",
    );
    for (labels, _, known) in devices {
        for (name, number) in &known.numbers {
            out.sample_with(labels, &Labels::new([("name", name.as_str())]), *number);
        }
    }
}

fn weak(out: &mut Encoder, devices: &[(Labels, String, Known)]) {
    out.family(
        "sshconfig_weak_algorithm",
        Kind::Gauge,
        "1 where a weak algorithm was agreed upon at the last login, by kind.",
    );
    for (labels, _, known) in devices
        .iter()
        .filter(|(_, _, known)| known.success.is_some())
    {
        for (kind, weak) in Weakness::ALL.iter().zip(known.weak) {
            out.sample_with(
                labels,
                &Labels::new([("kind", kind.name())]),
                u64::from(weak),
            );
        }
    }
}

impl Series {
    fn verdicts(&self, out: &mut Encoder, devices: &[(Labels, String, Known)]) {
        let now = jiff::Timestamp::now().as_second();
        let counts: Vec<_> = devices
            .iter()
            .flat_map(|(labels, name, _)| {
                let counts = self.0.compliance.counts(name, now).into_iter();
                counts.map(move |count| (labels, count))
            })
            .collect();
        let mut family = |name, help, value: fn(&Count) -> Option<i64>| {
            out.family(name, Kind::Gauge, help);
            for (labels, count) in &counts {
                if let Some(value) = value(count) {
                    let rule = &count.rule;
                    let extra = Labels::new([
                        ("rule", rule.id.as_str()),
                        ("severity", rule.severity.name()),
                    ]);
                    out.sample_with(labels, &extra, value);
                }
            }
        };
        family(
            "sshconfig_rule_violations",
            "Places where the configuration breaks a rule; 0 where it holds or a waiver does.",
            |count| i64::try_from(count.open).ok(),
        );
        family(
            "sshconfig_waiver_expires_timestamp_seconds",
            "When the waiver of a rule that the device breaks ends.",
            |count| count.waived_until,
        );
        family(
            "sshconfig_rule_violated_since_timestamp_seconds",
            "When the version was found that brought a violation.",
            |count| count.since,
        );
    }
}
