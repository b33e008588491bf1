//! The module `vitals`: processor, memory and temperature of any device under the same few names.
//!
//! | series | from |
//! |---|---|
//! | `sotp_device_cpu_ratio{cpu}` | HOST-RESOURCES-MIB hrProcessorLoad, CISCO-PROCESS-MIB cpmCPUTotal5minRev, JUNIPER-MIB jnxOperatingCPU, else UCD-SNMP-MIB ssCpuIdle |
//! | `sotp_device_memory_size_bytes{pool}`, `sotp_device_memory_used_bytes{pool}` | HOST-RESOURCES-MIB storage of type RAM, UCD-SNMP-MIB, CISCO-MEMORY-POOL-MIB |
//! | `sotp_device_memory_used_ratio{pool}` | the two above, else JUNIPER-MIB jnxOperatingBuffer |
//! | `sotp_device_temperature_celsius{sensor}` | ENTITY-SENSOR-MIB, CISCO-ENVMON-MIB, JUNIPER-MIB, MIKROTIK-MIB, LM-SENSORS-MIB |

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::Module;
use crate::convert::text;
use crate::expose::{self, Page};
use crate::oid::Oid;
use crate::value::{Table, Value};

/// The name of the module.
pub const NAME: &str = "vitals";

const HR_STORAGE_TYPE: &str = "1.3.6.1.2.1.25.2.3.1.2";
const HR_STORAGE_DESCR: &str = "1.3.6.1.2.1.25.2.3.1.3";
const HR_STORAGE_UNIT: &str = "1.3.6.1.2.1.25.2.3.1.4";
const HR_STORAGE_SIZE: &str = "1.3.6.1.2.1.25.2.3.1.5";
const HR_STORAGE_USED: &str = "1.3.6.1.2.1.25.2.3.1.6";
const HR_PROCESSOR_LOAD: &str = "1.3.6.1.2.1.25.3.3.1.2";
const ENT_PHYSICAL_NAME: &str = "1.3.6.1.2.1.47.1.1.1.1.7";
const SENSOR_TYPE: &str = "1.3.6.1.2.1.99.1.1.1.1";
const SENSOR_SCALE: &str = "1.3.6.1.2.1.99.1.1.1.2";
const SENSOR_PRECISION: &str = "1.3.6.1.2.1.99.1.1.1.3";
const SENSOR_VALUE: &str = "1.3.6.1.2.1.99.1.1.1.4";
const SENSOR_STATUS: &str = "1.3.6.1.2.1.99.1.1.1.5";
const UCD_MEMORY_TOTAL: &str = "1.3.6.1.4.1.2021.4.5";
const UCD_MEMORY_FREE: &str = "1.3.6.1.4.1.2021.4.6";
const UCD_MEMORY_BUFFER: &str = "1.3.6.1.4.1.2021.4.14";
const UCD_MEMORY_CACHED: &str = "1.3.6.1.4.1.2021.4.15";
const UCD_CPU_IDLE: &str = "1.3.6.1.4.1.2021.11.11";
const LM_NAME: &str = "1.3.6.1.4.1.2021.13.16.2.1.2";
const LM_VALUE: &str = "1.3.6.1.4.1.2021.13.16.2.1.3";
const CISCO_CPU: &str = "1.3.6.1.4.1.9.9.109.1.1.1.1.8";
const CISCO_POOL_NAME: &str = "1.3.6.1.4.1.9.9.48.1.1.1.2";
const CISCO_POOL_USED: &str = "1.3.6.1.4.1.9.9.48.1.1.1.5";
const CISCO_POOL_FREE: &str = "1.3.6.1.4.1.9.9.48.1.1.1.6";
const CISCO_TEMPERATURE_NAME: &str = "1.3.6.1.4.1.9.9.13.1.3.1.2";
const CISCO_TEMPERATURE: &str = "1.3.6.1.4.1.9.9.13.1.3.1.3";
const JUNIPER_NAME: &str = "1.3.6.1.4.1.2636.3.1.13.1.5";
const JUNIPER_TEMPERATURE: &str = "1.3.6.1.4.1.2636.3.1.13.1.7";
const JUNIPER_CPU: &str = "1.3.6.1.4.1.2636.3.1.13.1.8";
const JUNIPER_BUFFER: &str = "1.3.6.1.4.1.2636.3.1.13.1.11";
const MIKROTIK_TEMPERATURE: &str = "1.3.6.1.4.1.14988.1.1.3.10";
const MIKROTIK_CPU_TEMPERATURE: &str = "1.3.6.1.4.1.14988.1.1.3.11";

const COLUMNS: [&str; 31] = [
    HR_STORAGE_TYPE,
    HR_STORAGE_DESCR,
    HR_STORAGE_UNIT,
    HR_STORAGE_SIZE,
    HR_STORAGE_USED,
    HR_PROCESSOR_LOAD,
    ENT_PHYSICAL_NAME,
    SENSOR_TYPE,
    SENSOR_SCALE,
    SENSOR_PRECISION,
    SENSOR_VALUE,
    SENSOR_STATUS,
    UCD_MEMORY_TOTAL,
    UCD_MEMORY_FREE,
    UCD_MEMORY_BUFFER,
    UCD_MEMORY_CACHED,
    UCD_CPU_IDLE,
    LM_NAME,
    LM_VALUE,
    CISCO_CPU,
    CISCO_POOL_NAME,
    CISCO_POOL_USED,
    CISCO_POOL_FREE,
    CISCO_TEMPERATURE_NAME,
    CISCO_TEMPERATURE,
    JUNIPER_NAME,
    JUNIPER_TEMPERATURE,
    JUNIPER_CPU,
    JUNIPER_BUFFER,
    MIKROTIK_TEMPERATURE,
    MIKROTIK_CPU_TEMPERATURE,
];

/// hrStorageRam of HOST-RESOURCES-TYPES.
const RAM: [u32; 10] = [1, 3, 6, 1, 2, 1, 25, 2, 1, 2];

/// The columns that are read.
#[must_use]
pub fn columns() -> Vec<Oid> {
    COLUMNS.iter().map(|text| oid(text)).collect()
}

/// What is walked.
#[must_use]
pub fn module() -> Module {
    let walk = [
        "1.3.6.1.2.1.25.2.3.1",
        "1.3.6.1.2.1.25.3.3.1",
        "1.3.6.1.2.1.47.1.1.1.1.7",
        "1.3.6.1.2.1.99.1.1.1",
        "1.3.6.1.4.1.2021.4",
        "1.3.6.1.4.1.2021.11.11",
        "1.3.6.1.4.1.2021.13.16.2.1",
        "1.3.6.1.4.1.9.9.109.1.1.1.1.8",
        "1.3.6.1.4.1.9.9.48.1.1.1",
        "1.3.6.1.4.1.9.9.13.1.3.1",
        "1.3.6.1.4.1.2636.3.1.13.1",
        "1.3.6.1.4.1.14988.1.1.3",
    ];
    Module {
        walk: walk.iter().map(|text| oid(text)).collect(),
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

fn oid(text: &str) -> Oid {
    text.parse().unwrap_or_default()
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
            read.temperature(),
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
    count
}

struct Reader<'a> {
    table: &'a Table,
}

impl Reader<'_> {
    /// Index and value of every instance of a column.
    fn column(&self, column: &str) -> Vec<(Vec<u32>, Value)> {
        let root = oid(column);
        self.table
            .below(root.ids())
            .map(|(at, entry)| (at.behind(root.ids().len()).into_owned(), entry.value))
            .collect()
    }

    fn value(&self, column: &str, index: &[u32]) -> Option<Value> {
        self.table.get(oid(column).join(index).ids()).copied()
    }

    fn number(&self, column: &str, index: &[u32]) -> Option<f64> {
        self.value(column, index)
            .map(|value| text::number(&value, false))
    }

    /// The text of an instance, or its index.
    fn name(&self, column: &str, index: &[u32]) -> String {
        let name = self
            .value(column, index)
            .map(|value| text::label(self.table, &value, "DisplayString", ""));
        name.filter(|name| !name.trim().is_empty())
            .unwrap_or_else(|| crate::oid::Dotted(index).to_string())
    }

    fn cpu(&self) -> Series {
        let percent = |column: &str, zero: bool| -> Series {
            let all = self
                .column(column)
                .into_iter()
                .map(|(index, value)| (index, text::number(&value, false)));
            all.filter(|(_, busy)| (0.0..=100.0).contains(busy) && (zero || *busy > 0.0))
                .map(|(index, busy)| (index, busy / 100.0))
                .fold(Series::new(), |mut series, (index, busy)| {
                    let name = if zero {
                        crate::oid::Dotted(&index).to_string()
                    } else {
                        self.name(JUNIPER_NAME, &index)
                    };
                    series.insert(name, busy);
                    series
                })
        };
        // Juniper says 0 for every part that has no processor.
        for (column, zero) in [
            (CISCO_CPU, true),
            (JUNIPER_CPU, false),
            (HR_PROCESSOR_LOAD, true),
        ] {
            let series = percent(column, zero);
            if !series.is_empty() {
                return series;
            }
        }
        let idle = self
            .number(UCD_CPU_IDLE, &[0])
            .filter(|idle| (0.0..=100.0).contains(idle));
        idle.map(|idle| ("all".to_owned(), 1.0 - idle / 100.0))
            .into_iter()
            .collect()
    }

    fn memory(&self) -> (Series, Series, Series) {
        let (mut size, mut used, mut ratio) = (Series::new(), Series::new(), Series::new());
        let mut put = |pool: String, whole: f64, part: f64| {
            size.insert(pool.clone(), whole);
            used.insert(pool, part);
        };
        if let (Some(total), Some(free)) = (
            self.number(UCD_MEMORY_TOTAL, &[0]),
            self.number(UCD_MEMORY_FREE, &[0]),
        ) {
            let spare = self.number(UCD_MEMORY_BUFFER, &[0]).unwrap_or(0.0)
                + self.number(UCD_MEMORY_CACHED, &[0]).unwrap_or(0.0);
            put(
                "main".to_owned(),
                total * 1024.0,
                (total - free - spare).max(0.0) * 1024.0,
            );
        } else {
            for (index, kind) in self.column(HR_STORAGE_TYPE) {
                let Value::Oid(span) = kind else { continue };
                if self.table.sub_ids(span) != RAM {
                    continue;
                }
                let part = |column| self.number(column, &index);
                if let (Some(unit), Some(whole), Some(part)) = (
                    part(HR_STORAGE_UNIT),
                    part(HR_STORAGE_SIZE),
                    part(HR_STORAGE_USED),
                ) {
                    put(
                        self.name(HR_STORAGE_DESCR, &index),
                        whole * unit,
                        part * unit,
                    );
                }
            }
        }
        for (index, value) in self.column(CISCO_POOL_USED) {
            if let Some(free) = self.number(CISCO_POOL_FREE, &index) {
                let part = text::number(&value, false);
                put(self.name(CISCO_POOL_NAME, &index), part + free, part);
            }
        }
        for (index, value) in self.column(JUNIPER_BUFFER) {
            let percent = text::number(&value, false);
            if percent > 0.0 && percent <= 100.0 {
                ratio.insert(self.name(JUNIPER_NAME, &index), percent / 100.0);
            }
        }
        (size, used, ratio)
    }

    fn temperature(&self) -> Series {
        let mut series = Series::new();
        for (index, kind) in self.column(SENSOR_TYPE) {
            let working = self
                .number(SENSOR_STATUS, &index)
                .is_none_or(|status| status == 1.0);
            if text::number(&kind, false) != 8.0 || !working {
                continue;
            }
            if let Some(value) = self.number(SENSOR_VALUE, &index) {
                // SensorDataScale (RFC 3433 §4): 9 is units, each step three powers of ten.
                let scale = self.number(SENSOR_SCALE, &index).unwrap_or(9.0);
                let precision = self.number(SENSOR_PRECISION, &index).unwrap_or(0.0);
                series.insert(
                    self.name(ENT_PHYSICAL_NAME, &index),
                    value * 10f64.powf((scale - 9.0) * 3.0 - precision),
                );
            }
        }
        let plain = [
            (CISCO_TEMPERATURE, CISCO_TEMPERATURE_NAME, 1.0),
            (JUNIPER_TEMPERATURE, JUNIPER_NAME, 1.0),
            (LM_VALUE, LM_NAME, 1000.0),
        ];
        for (column, names, divisor) in plain {
            for (index, value) in self.column(column) {
                let value = text::number(&value, false) / divisor;
                // Parts without a sensor say 0.
                if value != 0.0 && (-60.0..=250.0).contains(&value) {
                    series.insert(self.name(names, &index), value);
                }
            }
        }
        for (column, name) in [
            (MIKROTIK_TEMPERATURE, "board"),
            (MIKROTIK_CPU_TEMPERATURE, "cpu"),
        ] {
            if let Some(value) = self.number(column, &[0]) {
                series.insert(name.to_owned(), value / 10.0);
            }
        }
        series
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

    #[test]
    fn a_linux_host_with_net_snmp() {
        let objects = "1.3.6.1.2.1.25.3.3.1.2.196608|2|40\n1.3.6.1.2.1.25.3.3.1.2.196609|2|0\n1.3.6.1.4.1.2021.4.5.0|2|1000\n\
                       1.3.6.1.4.1.2021.4.6.0|2|300\n1.3.6.1.4.1.2021.4.14.0|2|100\n1.3.6.1.4.1.2021.4.15.0|2|200\n\
                       1.3.6.1.4.1.2021.11.11.0|2|80\n1.3.6.1.4.1.2021.13.16.2.1.2.1|4|Core 0\n1.3.6.1.4.1.2021.13.16.2.1.3.1|66|45500";
        assert_eq!(
            lines(objects),
            [
                "sotp_device_cpu_ratio{cpu=\"196608\"} 0.4",
                "sotp_device_cpu_ratio{cpu=\"196609\"} 0",
                "sotp_device_memory_size_bytes{pool=\"main\"} 1.024e+06",
                "sotp_device_memory_used_bytes{pool=\"main\"} 409600",
                "sotp_device_memory_used_ratio{pool=\"main\"} 0.4",
                "sotp_device_temperature_celsius{sensor=\"Core 0\"} 45.5",
            ]
        );
    }

    #[test]
    fn a_cisco_router() {
        let objects = "1.3.6.1.4.1.9.9.109.1.1.1.1.8.1|66|7\n1.3.6.1.4.1.9.9.48.1.1.1.2.1|4|Processor\n1.3.6.1.4.1.9.9.48.1.1.1.5.1|66|250\n\
                       1.3.6.1.4.1.9.9.48.1.1.1.6.1|66|750\n1.3.6.1.4.1.9.9.13.1.3.1.2.1|4|inlet\n1.3.6.1.4.1.9.9.13.1.3.1.3.1|66|31";
        assert_eq!(
            lines(objects),
            [
                "sotp_device_cpu_ratio{cpu=\"1\"} 0.07",
                "sotp_device_memory_size_bytes{pool=\"Processor\"} 1000",
                "sotp_device_memory_used_bytes{pool=\"Processor\"} 250",
                "sotp_device_memory_used_ratio{pool=\"Processor\"} 0.25",
                "sotp_device_temperature_celsius{sensor=\"inlet\"} 31",
            ]
        );
    }

    #[test]
    fn a_juniper_whose_parts_without_processor_or_sensor_say_zero() {
        let objects = "1.3.6.1.4.1.2636.3.1.13.1.5.9.1.0.0|4|Routing Engine 0\n1.3.6.1.4.1.2636.3.1.13.1.5.4.1.0.0|4|Fan\n\
                       1.3.6.1.4.1.2636.3.1.13.1.7.9.1.0.0|66|42\n1.3.6.1.4.1.2636.3.1.13.1.7.4.1.0.0|66|0\n\
                       1.3.6.1.4.1.2636.3.1.13.1.8.9.1.0.0|66|12\n1.3.6.1.4.1.2636.3.1.13.1.8.4.1.0.0|66|0\n\
                       1.3.6.1.4.1.2636.3.1.13.1.11.9.1.0.0|66|35";
        assert_eq!(
            lines(objects),
            [
                "sotp_device_cpu_ratio{cpu=\"Routing Engine 0\"} 0.12",
                "sotp_device_memory_used_ratio{pool=\"Routing Engine 0\"} 0.35",
                "sotp_device_temperature_celsius{sensor=\"Routing Engine 0\"} 42",
            ]
        );
    }

    #[test]
    fn an_arista_switch_and_a_mikrotik_router() {
        let arista = "1.3.6.1.2.1.25.2.3.1.2.1|6|1.3.6.1.2.1.25.2.1.2\n1.3.6.1.2.1.25.2.3.1.3.1|4|RAM\n1.3.6.1.2.1.25.2.3.1.4.1|2|1024\n\
                      1.3.6.1.2.1.25.2.3.1.5.1|2|4000\n1.3.6.1.2.1.25.2.3.1.6.1|2|1000\n1.3.6.1.2.1.47.1.1.1.1.7.100006001|4|Cpu temp sensor\n\
                      1.3.6.1.2.1.99.1.1.1.1.100006001|2|8\n1.3.6.1.2.1.99.1.1.1.2.100006001|2|9\n1.3.6.1.2.1.99.1.1.1.3.100006001|2|1\n\
                      1.3.6.1.2.1.99.1.1.1.4.100006001|2|325\n1.3.6.1.2.1.99.1.1.1.5.100006001|2|1\n1.3.6.1.2.1.99.1.1.1.1.2|2|10";
        assert_eq!(
            lines(arista),
            [
                "sotp_device_memory_size_bytes{pool=\"RAM\"} 4.096e+06",
                "sotp_device_memory_used_bytes{pool=\"RAM\"} 1.024e+06",
                "sotp_device_memory_used_ratio{pool=\"RAM\"} 0.25",
                "sotp_device_temperature_celsius{sensor=\"Cpu temp sensor\"} 32.5",
            ]
        );
        assert_eq!(
            lines("1.3.6.1.4.1.14988.1.1.3.10.0|2|385"),
            ["sotp_device_temperature_celsius{sensor=\"board\"} 38.5"]
        );
    }
}
