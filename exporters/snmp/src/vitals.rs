//! The module `vitals`: processor, memory and temperature of any device under the same few names.
//!
//! | series | from |
//! |---|---|
//! | `sotp_device_cpu_ratio{cpu}` | HOST-RESOURCES-MIB hrProcessorLoad, CISCO-PROCESS-MIB cpmCPUTotal5minRev, JUNIPER-MIB jnxOperatingCPU, else UCD-SNMP-MIB ssCpuIdle |
//! | `sotp_device_memory_size_bytes{pool}`, `sotp_device_memory_used_bytes{pool}` | HOST-RESOURCES-MIB storage of type RAM, UCD-SNMP-MIB, CISCO-MEMORY-POOL-MIB |
//! | `sotp_device_memory_used_ratio{pool}` | the two above, else JUNIPER-MIB jnxOperatingBuffer |
//! | `sotp_device_temperature_celsius{sensor}` | ENTITY-SENSOR-MIB, CISCO-ENTITY-SENSOR-MIB, CISCO-ENVMON-MIB, JUNIPER-MIB, MIKROTIK-MIB, LM-SENSORS-MIB |
//! | `sotp_device_temperature_threshold_celsius{sensor,severity}` | CISCO-ENTITY-SENSOR-MIB entSensorThresholdTable, CISCO-ENVMON-MIB |

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::config::Module;
use crate::expose::{self, Page};
use crate::oid::{self, Oid};
use crate::samples::text;
use crate::value::{Table, Value};

mod vendor;

use vendor::{EntitySensor, Memory, Name, Temperature, vendors};

/// The name of the module.
pub const NAME: &str = "vitals";

/// The columns that are read.
#[must_use]
pub fn columns() -> Vec<Oid> {
    let all: BTreeSet<Oid> = vendors()
        .iter()
        .flat_map(|vendor| vendor.columns().cloned())
        .collect();
    all.into_iter().collect()
}

/// What is walked.
#[must_use]
pub fn module() -> Module {
    Module {
        walk: vendors()
            .iter()
            .flat_map(|vendor| vendor.walk.iter().cloned())
            .collect(),
        get: Vec::new(),
        metrics: Vec::new(),
        max_repetitions: 25,
        retries: 3,
        timeout: Duration::from_secs(5),
        use_unconnected_udp_socket: false,
        allow_nonincreasing_oids: false,
        filters: Vec::new(),
    }
}

/// Series by label value.
type Series = BTreeMap<String, f64>;

/// Writes the series; gives how many there are.
pub fn render(table: &Table, out: &mut Page) -> usize {
    let read = Reader { table };
    let (size, used, mut ratio) = read.memory();
    for (pool, size) in &size {
        if let Some(used) = used.get(pool).filter(|_| *size > 0.0) {
            ratio.insert(pool.clone(), used / size);
        }
    }
    let (temperature, limits) = read.temperature();
    let families = [
        (
            "sotp_device_cpu_ratio",
            "Part of the time that a processor is busy, 0 to 1.",
            "cpu",
            read.cpu(),
        ),
        (
            "sotp_device_memory_size_bytes",
            "Memory of a pool.",
            "pool",
            size,
        ),
        (
            "sotp_device_memory_used_bytes",
            "Memory in use, without caches where the device tells them apart.",
            "pool",
            used,
        ),
        (
            "sotp_device_memory_used_ratio",
            "Part of a pool in use, 0 to 1.",
            "pool",
            ratio,
        ),
        (
            "sotp_device_temperature_celsius",
            "Temperature of a sensor.",
            "sensor",
            temperature,
        ),
    ];
    let mut count = 0;
    for (name, help, label, series) in families {
        if series.is_empty() {
            continue;
        }
        out.head(name, help, "gauge");
        for (value, number) in &series {
            let mut labels = String::new();
            expose::label(label, value, &mut labels);
            out.sample(name, &labels, *number);
            count += 1;
        }
    }
    if !limits.is_empty() {
        let help = "Temperature of a sensor that its device takes for too high.";
        out.head("sotp_device_temperature_threshold_celsius", help, "gauge");
    }
    for ((sensor, severity), limit) in &limits {
        let mut labels = String::new();
        expose::label("sensor", sensor, &mut labels);
        labels.push(',');
        expose::label("severity", severity, &mut labels);
        out.sample("sotp_device_temperature_threshold_celsius", &labels, *limit);
        count += 1;
    }
    count
}

struct Reader<'a> {
    table: &'a Table,
}

impl Reader<'_> {
    /// Index and value of every instance of a column.
    fn column(&self, column: &Oid) -> Vec<(Vec<u32>, Value)> {
        self.table
            .below(column.ids())
            .map(|(at, entry)| (at.behind(column.ids().len()).into_owned(), entry.value))
            .collect()
    }

    /// The number of every instance of a column that `name` is for: of all of them, or of the one that has a name of its own.
    fn numbers(&self, column: &Oid, name: &Name) -> Vec<(Vec<u32>, f64)> {
        let mut all: Vec<(Vec<u32>, f64)> = self
            .column(column)
            .into_iter()
            .map(|(index, value)| (index, text::number(&value, false)))
            .collect();
        all.retain(|(index, _)| name.called.is_none() || *index == [0]);
        all
    }

    fn number(&self, column: &Oid, index: &[u32]) -> Option<f64> {
        self.table
            .get(column.join(index).ids())
            .map(|value| text::number(value, false))
    }

    /// What a row is called: by its name, or its index.
    fn name(&self, name: &Name, index: &[u32]) -> String {
        if let Some(called) = &name.called {
            return called.clone();
        }
        let value = name
            .name
            .as_ref()
            .and_then(|column| self.table.get(column.join(index).ids()));
        value
            .map(|value| text::label(self.table, value, "DisplayString", ""))
            .filter(|name| !name.trim().is_empty())
            .unwrap_or_else(|| oid::Dotted(index).to_string())
    }

    fn cpu(&self) -> Series {
        for one in vendors().iter().flat_map(|vendor| &vendor.cpu) {
            let busy = one.busy_percent.as_ref().map(|column| (column, false));
            let idle = one.idle_percent.as_ref().map(|column| (column, true));
            let series: Series = busy
                .into_iter()
                .chain(idle)
                .flat_map(|(column, idle)| {
                    self.numbers(column, &one.name)
                        .into_iter()
                        .map(move |(index, percent)| (index, percent, idle))
                })
                .filter(|(_, percent, _)| (0.0..=100.0).contains(percent))
                .filter(|(_, percent, _)| !(one.zero_is_absent && *percent == 0.0))
                .map(|(index, percent, idle)| {
                    let busy = if idle { 100.0 - percent } else { percent };
                    (self.name(&one.name, &index), busy / 100.0)
                })
                .collect();
            if !series.is_empty() {
                return series;
            }
        }
        Series::new()
    }

    /// Sizes, what is in use, and the part in use where only that is said.
    fn memory(&self) -> (Series, Series, Series) {
        let (mut size, mut used, mut ratio) = (Series::new(), Series::new(), Series::new());
        for one in vendors().iter().flat_map(|vendor| &vendor.memory) {
            let known = |instance: &Oid| self.table.get(instance.ids()).is_some();
            if !one.unless.is_empty() && one.unless.iter().all(known) {
                continue;
            }
            for (index, percent) in one
                .used_percent
                .iter()
                .flat_map(|column| self.numbers(column, &one.name))
            {
                if percent > 0.0 && percent <= 100.0 {
                    let name = self.name(&one.name, &index);
                    ratio.entry(name).or_insert(percent / 100.0);
                }
            }
            let Some(rows) = one.size.as_ref().or(one.used.as_ref()) else {
                continue;
            };
            for (index, _) in self.numbers(rows, &one.name) {
                if let Some((whole, part)) = self.pool(one, &index) {
                    let name = self.name(&one.name, &index);
                    size.entry(name.clone()).or_insert(whole);
                    used.entry(name).or_insert(part);
                }
            }
        }
        (size, used, ratio)
    }

    /// Size of a pool and what is in use of it, in bytes. Devices whose numbers have overflowed say nothing.
    fn pool(&self, one: &Memory, index: &[u32]) -> Option<(f64, f64)> {
        if let Some(kind) = &one.kind {
            let Some(Value::Oid(span)) = self.table.get(kind.column.join(index).ids()) else {
                return None;
            };
            if self.table.sub_ids(*span) != kind.is.ids() {
                return None;
            }
        }
        let part = |column: &Option<Oid>| self.number(column.as_ref()?, index);
        let (whole, busy) = match (part(&one.size), part(&one.used), part(&one.free)) {
            (Some(whole), Some(busy), _) => (whole, busy),
            (Some(whole), None, Some(free)) => (whole, whole - free),
            (None, Some(busy), Some(free)) if free >= 0.0 => (busy + free, busy),
            _ => return None,
        };
        let unit = match &one.unit_column {
            Some(column) => self.number(column, index)?,
            None => one.unit.unwrap_or(1.0),
        };
        if !(0.0..=whole).contains(&busy) || unit <= 0.0 {
            return None;
        }
        let spare: f64 = one
            .spare
            .iter()
            .filter_map(|column| self.number(column, index))
            .filter(|spare| *spare > 0.0)
            .sum();
        Some((whole * unit, (busy - spare).max(0.0) * unit))
    }

    /// Temperatures, and what is too much by sensor and severity.
    fn temperature(&self) -> (Series, BTreeMap<(String, String), f64>) {
        let (mut series, mut limits) = (Series::new(), BTreeMap::new());
        for one in vendors().iter().flat_map(|vendor| &vendor.temperature) {
            let mut all = Series::new();
            for (index, value) in self.numbers(&one.value, &one.name) {
                let factor = match &one.entity_sensor {
                    Some(sensor) => self.scale(sensor, &index),
                    None => Some(1.0 / one.divisor.unwrap_or(1.0)),
                };
                let Some(factor) = factor else { continue };
                let celsius = value * factor;
                if one.zero_is_absent && (celsius == 0.0 || !(-60.0..=250.0).contains(&celsius)) {
                    continue;
                }
                let name = self.name(&one.name, &index);
                for (severity, limit) in self.limits(one, &index) {
                    let limit = limit * factor;
                    if limit > 0.0 && limit <= 250.0 {
                        let known = limits.entry((name.clone(), severity)).or_insert(limit);
                        *known = known.min(limit);
                    }
                }
                all.insert(name, celsius);
            }
            for (name, celsius) in all {
                series.entry(name).or_insert(celsius);
            }
        }
        (series, limits)
    }

    /// What is too much for a sensor, by severity and in its unit.
    fn limits(&self, one: &Temperature, index: &[u32]) -> Vec<(String, f64)> {
        let critical = (one.critical.as_ref())
            .and_then(|column| self.number(column, index))
            .map(|limit| ("critical".to_owned(), limit));
        let Some(table) = &one.thresholds else {
            return critical.into_iter().collect();
        };
        let row = table.value.join(index);
        let rows = self.table.below(row.ids()).filter_map(|(at, entry)| {
            let own = at.behind(table.value.ids().len());
            let relation = self.number(&table.relation, &own)?;
            let severity = self.number(&table.severity, &own)?;
            let upper = table.upper.iter().any(|one| f64::from(*one) == relation);
            let named = (table.severities.iter()).find(|(one, _)| f64::from(**one) == severity);
            let (_, name) = named.filter(|_| upper)?;
            Some((name.clone(), text::number(&entry.value, false)))
        });
        critical.into_iter().chain(rows).collect()
    }

    /// What the value of a sensor is to be multiplied with; none when it measures something else or does not work.
    fn scale(&self, sensor: &EntitySensor, index: &[u32]) -> Option<f64> {
        let celsius = self.number(&sensor.sensor, index) == Some(8.0);
        let works = self
            .number(&sensor.status, index)
            .is_none_or(|status| status == 1.0);
        if !(celsius && works) {
            return None;
        }
        // SensorDataScale (RFC 3433 §4): 9 is units, each step three powers of ten.
        let scale = self.number(&sensor.scale, index).unwrap_or(9.0);
        let precision = self.number(&sensor.precision, index).unwrap_or(0.0);
        Some(10f64.powf((scale - 9.0) * 3.0 - precision))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Agent;
    use crate::codec::{self, Operation};

    /// The lines for a device whose objects are written as in snmprec files.
    fn lines(objects: &str) -> Vec<String> {
        let agent = Agent::from_snmprec(objects).unwrap();
        let mut table = Table::new(columns());
        for line in objects.lines() {
            let oid: Oid = line.split('|').next().unwrap().parse().unwrap();
            let answer = agent
                .answer(&codec::message(
                    2,
                    b"public",
                    Operation::Get,
                    1,
                    &[oid.ids()],
                ))
                .unwrap();
            let codec::Message::Community { pdu, .. } = codec::read_message(&answer).unwrap()
            else {
                unreachable!("version 2c")
            };
            let (_, value) = codec::Varbinds::new(codec::read_pdu(pdu).unwrap().varbinds)
                .next()
                .unwrap()
                .unwrap();
            table.insert(oid.ids(), value).unwrap();
        }
        table.sort();
        let mut out = Page::default();
        let count = render(&table, &mut out);
        let lines: Vec<String> = String::from_utf8(out.finish())
            .unwrap()
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(str::to_owned)
            .collect();
        assert_eq!(lines.len(), count);
        lines
    }

    fn fixtures() -> Vec<(String, String, String)> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/vitals");
        let mut all: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "snmprec"))
            .map(|path| {
                let name = path.file_stem().unwrap().to_string_lossy().into_owned();
                let objects = std::fs::read_to_string(&path).unwrap();
                let wanted = std::fs::read_to_string(path.with_extension("txt")).unwrap();
                (name, objects, wanted)
            })
            .collect();
        all.sort();
        all
    }

    #[test]
    fn each_device_of_the_fixtures_gives_its_series() {
        for (name, objects, wanted) in fixtures() {
            let found: String = lines(&objects)
                .into_iter()
                .map(|line| line + "\n")
                .collect();
            assert_eq!(found, wanted, "{name}");
        }
    }

    #[test]
    fn every_column_of_every_vendor_is_walked_and_stands_in_a_fixture() {
        let there: Vec<Oid> = fixtures()
            .iter()
            .flat_map(|(_, objects, _)| objects.lines())
            .map(|line| line.split('|').next().unwrap().parse().unwrap())
            .collect();
        let walks = module().walk;
        for column in columns() {
            let within = |oid: &Oid| oid::within(oid.ids(), column.ids());
            assert!(there.iter().any(within), "{column}: in no fixture");
            let walked = |root: &Oid| oid::within(column.ids(), root.ids());
            assert!(walks.iter().any(walked), "{column}: not walked");
        }
    }
}
