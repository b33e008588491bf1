//! `snmp.yml` from MIBs, as snmp_exporter's generator makes it from the same `generator.yml`.

pub mod build;
pub mod input;
