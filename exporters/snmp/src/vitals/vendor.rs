//! Where a vendor's devices say how busy, full and warm they are: data, one file a vendor, in `vitals/`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::oid::Oid;

/// The files: what a vendor has of its own goes before what all of them may have.
const FILES: [(&str, &str); 5] = [
    ("cisco", include_str!("../../vitals/cisco.yaml")),
    ("juniper", include_str!("../../vitals/juniper.yaml")),
    ("mikrotik", include_str!("../../vitals/mikrotik.yaml")),
    ("standard", include_str!("../../vitals/standard.yaml")),
    ("net-snmp", include_str!("../../vitals/net-snmp.yaml")),
];

static VENDORS: LazyLock<Vec<Vendor>> = LazyLock::new(|| {
    FILES
        .iter()
        .map(|(name, text)| {
            toolkit::yaml::parse(text, Path::new(name)).unwrap_or_else(|error| {
                unreachable!("vitals/{name}.yaml is part of the program: {error}")
            })
        })
        .collect()
});

/// All vendors, in the order in which they are asked.
pub(super) fn vendors() -> &'static [Vendor] {
    &VENDORS
}

/// What one vendor has.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Vendor {
    /// What is walked for it.
    pub(super) walk: Vec<Oid>,
    #[serde(default)]
    pub(super) cpu: Vec<Cpu>,
    #[serde(default)]
    pub(super) memory: Vec<Memory>,
    #[serde(default)]
    pub(super) temperature: Vec<Temperature>,
}

/// Processors: the first entry of all vendors that has any is believed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cpu {
    /// Percent of the time that a processor is busy.
    pub(super) busy_percent: Option<Oid>,
    /// Percent of the time that it is idle.
    pub(super) idle_percent: Option<Oid>,
    #[serde(flatten)]
    pub(super) name: Name,
    /// A part that has no processor says 0.
    #[serde(default)]
    pub(super) zero_is_absent: bool,
}

/// Pools of memory: two of size, used and free, or the part in use.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Memory {
    pub(super) size: Option<Oid>,
    pub(super) used: Option<Oid>,
    pub(super) free: Option<Oid>,
    /// In use, and given back when it is needed.
    #[serde(default)]
    pub(super) spare: Vec<Oid>,
    /// Percent in use; one that has no memory says 0.
    pub(super) used_percent: Option<Oid>,
    /// Bytes of the unit in which it counts.
    pub(super) unit: Option<f64>,
    /// The column that says so.
    pub(super) unit_column: Option<Oid>,
    #[serde(flatten)]
    pub(super) name: Name,
    /// Only rows of this kind.
    pub(super) kind: Option<Kind>,
    /// Not where all of these instances are: something else knows better.
    #[serde(default)]
    pub(super) unless: Vec<Oid>,
}

/// Sensors.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Temperature {
    pub(super) value: Oid,
    #[serde(flatten)]
    pub(super) name: Name,
    /// The value is so many times degrees Celsius.
    pub(super) divisor: Option<f64>,
    /// A part without a sensor says 0.
    #[serde(default)]
    pub(super) zero_is_absent: bool,
    pub(super) entity_sensor: Option<EntitySensor>,
    /// The column with the value of a sensor that is too much.
    pub(super) critical: Option<Oid>,
    pub(super) thresholds: Option<Thresholds>,
}

/// A table of thresholds, each in the unit of its sensor, whose index it has in front of its own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Thresholds {
    pub(super) value: Oid,
    pub(super) relation: Oid,
    /// The relations that mean too much.
    pub(super) upper: Vec<u8>,
    pub(super) severity: Oid,
    /// The severities that count, by name.
    pub(super) severities: BTreeMap<u8, String>,
}

/// What a row is called.
#[derive(Debug, Deserialize)]
pub(super) struct Name {
    /// The column with its name; without one it is called by its index.
    pub(super) name: Option<Oid>,
    /// The name of the one instance, `.0`.
    pub(super) called: Option<String>,
}

/// A column, and the object identifier that it must hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kind {
    pub(super) column: Oid,
    pub(super) is: Oid,
}

/// The columns of ENTITY-SENSOR-MIB (RFC 3433) that say what a value means.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EntitySensor {
    #[serde(rename = "type")]
    pub(super) sensor: Oid,
    pub(super) scale: Oid,
    pub(super) precision: Oid,
    pub(super) status: Oid,
}

impl Vendor {
    /// Every column that is read.
    pub(super) fn columns(&self) -> impl Iterator<Item = &Oid> {
        let cpu = self
            .cpu
            .iter()
            .flat_map(|one| [&one.busy_percent, &one.idle_percent, &one.name.name]);
        let memory = self.memory.iter().flat_map(|one| {
            [
                &one.size,
                &one.used,
                &one.free,
                &one.used_percent,
                &one.unit_column,
                &one.name.name,
            ]
        });
        let more = self.memory.iter().flat_map(|one| {
            one.spare
                .iter()
                .chain(one.kind.iter().map(|kind| &kind.column))
        });
        let names = self.temperature.iter().map(|one| &one.name.name);
        let values = self.temperature.iter().map(|one| &one.value);
        let sensors = self
            .temperature
            .iter()
            .filter_map(|one| one.entity_sensor.as_ref())
            .flat_map(|one| [&one.sensor, &one.scale, &one.precision, &one.status]);
        let critical = self.temperature.iter().map(|one| &one.critical);
        let thresholds = (self.temperature.iter())
            .filter_map(|one| one.thresholds.as_ref())
            .flat_map(|one| [&one.value, &one.relation, &one.severity]);
        cpu.chain(memory)
            .chain(names)
            .chain(critical)
            .flatten()
            .chain(more)
            .chain(values)
            .chain(sensors)
            .chain(thresholds)
    }
}
