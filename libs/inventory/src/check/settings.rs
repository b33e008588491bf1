//! What a group or a device says for itself, checked, and how the one inherits from the other.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use jiff::Timestamp;

use super::Checker;
use crate::document::{
    ChecksEntry, CloudEntry, Defaults, Desired, Family, MqttEntry, PingEntry, PortsEntry, Records,
    SendersEntry, SnmpEntry, SshEntry, WindowEntry,
};
use crate::model::{Inventory, Ports, Window};
use crate::names;
use crate::text::Text;

const MIN_INTERVAL: Duration = Duration::from_millis(10);
const MAX_INTERVAL: Duration = Duration::from_secs(3600);
const MIN_TIMEOUT: Duration = Duration::from_millis(10);
const MAX_TIMEOUT: Duration = Duration::from_secs(60);
const MIN_SPACING: Duration = Duration::from_millis(10);
const MAX_SPACING: Duration = Duration::from_secs(60);
const MAX_BURST: u16 = 100;
const MAX_TAGS: usize = 32;
const MAX_WINDOWS: usize = 32;
const MAX_PORTS: usize = 32;
const MAX_SOURCES: usize = 16;
const MAX_TOPICS: usize = 16;
const MAX_CHECKS: usize = 16;

/// Checked values; `None` where nothing was said.
#[derive(Clone, Default)]
pub(super) struct Settings {
    pub(super) site: Option<Text>,
    pub(super) role: Option<Text>,
    pub(super) platform: Option<Text>,
    pub(super) tags: Vec<Text>,
    pub(super) ping: Option<PingSettings>,
    pub(super) snmp: Option<SnmpSettings>,
    pub(super) ssh: Option<SshSettings>,
    pub(super) flow: Option<SendersSettings>,
    pub(super) syslog: Option<SendersSettings>,
    pub(super) mqtt: Option<MqttSettings>,
    pub(super) checks: Option<ChecksSettings>,
    pub(super) host: Option<HostSettings>,
    pub(super) cloud: Option<CloudSettings>,
    pub(super) maintenance: Vec<Window>,
    pub(super) desired: Option<Desired>,
    pub(super) ports: Vec<Ports>,
}

/// `self`, with what it leaves open taken from `weaker`.
trait Inherit {
    fn inherit(&mut self, weaker: &Self);
}

impl<T: Clone> Inherit for Vec<T>
where
    T: PartialEq,
{
    fn inherit(&mut self, weaker: &Self) {
        let mut all = weaker.clone();
        all.extend(self.drain(..).filter(|item| !weaker.contains(item)));
        *self = all;
    }
}

fn section<T: Inherit + Clone>(own: &mut Option<T>, weaker: Option<&T>) {
    match (own, weaker) {
        (Some(own), Some(weaker)) => own.inherit(weaker),
        (own @ None, Some(weaker)) => *own = Some(weaker.clone()),
        (_, None) => {}
    }
}

/// A section of a job: each value by itself, lists whole.
macro_rules! sections {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Default)]
        pub(super) struct $name { $(pub(super) $field: Option<$type>,)* }

        impl Inherit for $name {
            fn inherit(&mut self, weaker: &Self) {
                $(if self.$field.is_none() { self.$field.clone_from(&weaker.$field); })*
            }
        }
    )*};
}

sections! {
    PingSettings {
        enabled: bool, interval: Duration, timeout: Duration, families: Vec<Family>, size_bytes: u16, dscp: u8, ttl: u8,
        source_ipv4: Ipv4Addr, source_ipv6: Ipv6Addr, interface: Text, mark: u32, burst: u16, burst_spacing: Duration, records: Records,
    }
    SnmpSettings { enabled: bool, module: Text, auth: Text, port: u16, }
    SshSettings { enabled: bool, port: u16, credentials: Text, }
    SendersSettings { enabled: bool, sources: Vec<IpAddr>, }
    MqttSettings { enabled: bool, client_id: Text, topics: Vec<Text>, }
    ChecksSettings { enabled: bool, http: Vec<Text>, tcp: Vec<Endpoint>, dns: Vec<Text>, tls: Vec<Endpoint>, }
    HostSettings { enabled: bool, port: u16, }
    CloudSettings { enabled: bool, region: Text, rds: Text, }
}

/// Where a connection goes to.
#[derive(Clone)]
pub(super) enum Endpoint {
    /// A port of the device.
    Port(u16),
    /// `host:port`.
    Other(Text),
}

impl Settings {
    /// Takes from `weaker` what is not said here: sections value by value, `tags`, `maintenance` and `ports` added up.
    pub(super) fn inherit(&mut self, weaker: &Self) {
        for (own, weaker) in [
            (&mut self.site, &weaker.site),
            (&mut self.role, &weaker.role),
            (&mut self.platform, &weaker.platform),
        ] {
            if own.is_none() {
                own.clone_from(weaker);
            }
        }
        self.tags.inherit(&weaker.tags);
        self.maintenance.inherit(&weaker.maintenance);
        self.desired = self.desired.or(weaker.desired);
        // Not merged as the other lists are: of two that match the later holds, so each stays in its place.
        self.ports.splice(0..0, weaker.ports.iter().cloned());
        section(&mut self.ping, weaker.ping.as_ref());
        section(&mut self.snmp, weaker.snmp.as_ref());
        section(&mut self.ssh, weaker.ssh.as_ref());
        section(&mut self.flow, weaker.flow.as_ref());
        section(&mut self.syslog, weaker.syslog.as_ref());
        section(&mut self.mqtt, weaker.mqtt.as_ref());
        section(&mut self.checks, weaker.checks.as_ref());
        section(&mut self.host, weaker.host.as_ref());
        section(&mut self.cloud, weaker.cloud.as_ref());
    }
}

impl Checker<'_> {
    /// The checked form of `entry`, which stands at `path`.
    pub(super) fn settings(
        &mut self,
        entry: &Defaults,
        path: &str,
        inventory: &Inventory,
    ) -> Settings {
        self.bounded(&format!("{path}.tags"), entry.tags.len(), MAX_TAGS);
        self.bounded(
            &format!("{path}.maintenance"),
            entry.maintenance.len(),
            MAX_WINDOWS,
        );
        self.bounded(&format!("{path}.ports"), entry.ports.len(), MAX_PORTS);
        let mut tags: Vec<Text> = Vec::new();
        for (index, tag) in entry.tags.iter().enumerate() {
            if let Some(tag) = self.label(Some(tag), || format!("{path}.tags[{index}]"))
                && !tags.contains(&tag)
            {
                tags.push(tag);
            }
        }
        let maintenance = entry.maintenance.iter().enumerate();
        let ports = entry.ports.iter().enumerate();
        Settings {
            site: self.site(entry.site.as_deref(), path, inventory),
            role: self.label(entry.role.as_deref(), || format!("{path}.role")),
            platform: self.label(entry.platform.as_deref(), || format!("{path}.platform")),
            tags,
            ping: entry
                .ping
                .as_ref()
                .map(|ping| self.ping(ping, &format!("{path}.ping"))),
            snmp: entry
                .snmp
                .as_ref()
                .map(|snmp| self.snmp(snmp, &format!("{path}.snmp"))),
            ssh: entry
                .ssh
                .as_ref()
                .map(|ssh| self.ssh(ssh, &format!("{path}.ssh"))),
            flow: entry
                .flow
                .as_ref()
                .map(|flow| self.sources(flow, &format!("{path}.flow"))),
            syslog: entry
                .syslog
                .as_ref()
                .map(|syslog| self.sources(syslog, &format!("{path}.syslog"))),
            mqtt: entry
                .mqtt
                .as_ref()
                .map(|mqtt| self.mqtt(mqtt, &format!("{path}.mqtt"))),
            checks: entry
                .checks
                .as_ref()
                .map(|checks| self.checks(checks, &format!("{path}.checks"))),
            host: entry.host.as_ref().map(|host| HostSettings {
                enabled: host.enabled,
                port: self.port(host.port, &format!("{path}.host")),
            }),
            cloud: entry
                .cloud
                .as_ref()
                .map(|cloud| self.cloud(cloud, &format!("{path}.cloud"))),
            maintenance: maintenance
                .filter_map(|(index, window)| {
                    self.window(window, &format!("{path}.maintenance[{index}]"))
                })
                .collect(),
            desired: entry.desired,
            ports: ports
                .filter_map(|(index, ports)| self.ports(ports, &format!("{path}.ports[{index}]")))
                .collect(),
        }
    }

    fn ports(&mut self, entry: &PortsEntry, path: &str) -> Option<Ports> {
        let result = names::port_pattern(&entry.name);
        self.noted(|| format!("{path}.name"), result)?;
        Some(Ports {
            name: self.text(&entry.name),
            desired: entry.desired,
        })
    }

    fn site(&mut self, site: Option<&str>, path: &str, inventory: &Inventory) -> Option<Text> {
        let site = site?;
        match inventory.site(site) {
            Some(site) => Some(site.name.clone()),
            None => {
                let message = format!(
                    "unknown site \"{}\"; expected a name from sites",
                    names::shown(site)
                );
                self.problem(format!("{path}.site"), message);
                None
            }
        }
    }

    fn label(&mut self, value: Option<&str>, path: impl FnOnce() -> String) -> Option<Text> {
        let value = value?;
        self.noted(path, names::name(value, names::MAX_NAME))?;
        Some(self.text(value))
    }

    fn free(
        &mut self,
        value: Option<&str>,
        max: usize,
        path: impl FnOnce() -> String,
    ) -> Option<Text> {
        let value = value?;
        self.noted(path, names::free_text(value, max))?;
        Some(self.text(value))
    }

    fn port(&mut self, port: Option<u16>, path: &str) -> Option<u16> {
        if port == Some(0) {
            self.problem(
                format!("{path}.port"),
                "port 0 cannot be reached; expected 1 to 65535".to_owned(),
            );
            return None;
        }
        port
    }

    fn ping(&mut self, entry: &PingEntry, path: &str) -> PingSettings {
        let mut time = |key: &str, value: Option<&String>, min, max| {
            let result = names::duration(value?, min, max);
            self.noted(|| format!("{path}.{key}"), result)
        };
        let interval = time(
            "interval",
            entry.interval.as_ref(),
            MIN_INTERVAL,
            MAX_INTERVAL,
        );
        let timeout = time("timeout", entry.timeout.as_ref(), MIN_TIMEOUT, MAX_TIMEOUT);
        let burst_spacing = time(
            "burst_spacing",
            entry.burst_spacing.as_ref(),
            MIN_SPACING,
            MAX_SPACING,
        );
        let mut families = entry.families.clone();
        if let Some(families) = &mut families {
            families.sort_unstable();
            families.dedup();
            if families.is_empty() {
                let message =
                    "an empty list; expected ipv4, ipv6 or both (enabled: false switches ping off)";
                self.problem(format!("{path}.families"), message.to_owned());
            }
        }
        let mut number = |key: &str, value: Option<u16>, min: u16, max: u16| {
            let value = value?;
            let result = (min..=max)
                .contains(&value)
                .then_some(value)
                .ok_or_else(|| format!("{value} is out of bounds; expected {min} to {max}"));
            self.noted(|| format!("{path}.{key}"), result)
        };
        let size_bytes = number("size_bytes", entry.size_bytes, 20, 8952);
        let dscp = number("dscp", entry.dscp.map(u16::from), 0, 63);
        let ttl = number("ttl", entry.ttl.map(u16::from), 1, 255);
        let burst = number("burst", entry.burst, 1, MAX_BURST);
        let interface = entry.interface.as_ref().and_then(|name| {
            let result = names::name(name, names::MAX_INTERFACE);
            self.noted(|| format!("{path}.interface"), result)?;
            Some(self.text(name))
        });
        let source_ipv4 = entry
            .source_ipv4
            .as_ref()
            .and_then(|text| self.noted(|| format!("{path}.source_ipv4"), names::ipv4(text)));
        let source_ipv6 = entry
            .source_ipv6
            .as_ref()
            .and_then(|text| self.noted(|| format!("{path}.source_ipv6"), names::ipv6(text)));
        let octet = |value: u16| u8::try_from(value).ok();
        PingSettings {
            enabled: entry.enabled,
            interval,
            timeout,
            families,
            size_bytes,
            dscp: dscp.and_then(octet),
            ttl: ttl.and_then(octet),
            source_ipv4,
            source_ipv6,
            interface,
            mark: entry.mark,
            burst,
            burst_spacing,
            records: entry.records,
        }
    }

    fn snmp(&mut self, entry: &SnmpEntry, path: &str) -> SnmpSettings {
        let module = entry.module.as_ref().and_then(|module| {
            let result = module
                .split(',')
                .try_for_each(|one| names::name(one, names::MAX_NAME));
            self.noted(|| format!("{path}.module"), result)?;
            self.free(Some(module), 256, || format!("{path}.module"))
        });
        SnmpSettings {
            enabled: entry.enabled,
            module,
            auth: self.label(entry.auth.as_deref(), || format!("{path}.auth")),
            port: self.port(entry.port, path),
        }
    }

    fn ssh(&mut self, entry: &SshEntry, path: &str) -> SshSettings {
        SshSettings {
            enabled: entry.enabled,
            port: self.port(entry.port, path),
            credentials: self.label(entry.credentials.as_deref(), || {
                format!("{path}.credentials")
            }),
        }
    }

    fn sources(&mut self, entry: &SendersEntry, path: &str) -> SendersSettings {
        let sources = entry.sources.as_ref().map(|list| {
            self.counted(list.len(), MAX_SOURCES, &format!("{path}.sources"));
            let mut sources = Vec::with_capacity(list.len());
            for (index, source) in list.iter().enumerate() {
                if let Some(ip) =
                    self.noted(|| format!("{path}.sources[{index}]"), names::ip(source))
                    && !sources.contains(&ip)
                {
                    sources.push(ip);
                }
            }
            sources
        });
        SendersSettings {
            enabled: entry.enabled,
            sources,
        }
    }

    fn mqtt(&mut self, entry: &MqttEntry, path: &str) -> MqttSettings {
        let topics = entry.topics.as_ref().map(|list| {
            self.counted(list.len(), MAX_TOPICS, &format!("{path}.topics"));
            for (index, topic) in list.iter().enumerate() {
                self.noted(
                    || format!("{path}.topics[{index}]"),
                    names::topic_filter(topic),
                );
            }
            list.iter().map(|topic| self.text(topic)).collect()
        });
        MqttSettings {
            enabled: entry.enabled,
            client_id: self.free(entry.client_id.as_deref(), 128, || {
                format!("{path}.client_id")
            }),
            topics,
        }
    }

    fn checks(&mut self, entry: &ChecksEntry, path: &str) -> ChecksSettings {
        ChecksSettings {
            enabled: entry.enabled,
            http: self.listed(entry.http.as_ref(), &format!("{path}.http"), names::page),
            tcp: self.endpoints(entry.tcp.as_ref(), &format!("{path}.tcp")),
            dns: self.listed(entry.dns.as_ref(), &format!("{path}.dns"), names::dns),
            tls: self.endpoints(entry.tls.as_ref(), &format!("{path}.tls")),
        }
    }

    fn endpoints(&mut self, list: Option<&Vec<String>>, path: &str) -> Option<Vec<Endpoint>> {
        let list = self.listed(list, path, names::endpoint)?;
        let read = |text: Text| text.parse().map_or(Endpoint::Other(text), Endpoint::Port);
        Some(list.into_iter().map(read).collect())
    }

    /// Each entry of a list as `read` has it, once.
    fn listed(
        &mut self,
        list: Option<&Vec<String>>,
        path: &str,
        read: impl Fn(&str) -> Result<String, String>,
    ) -> Option<Vec<Text>> {
        let list = list?;
        self.counted(list.len(), MAX_CHECKS, path);
        let mut all: Vec<Text> = Vec::new();
        for (index, text) in list.iter().enumerate() {
            if let Some(text) = self.noted(|| format!("{path}[{index}]"), read(text))
                && !all.iter().any(|have| **have == text)
            {
                all.push(self.text(&text));
            }
        }
        Some(all)
    }

    fn cloud(&mut self, entry: &CloudEntry, path: &str) -> CloudSettings {
        CloudSettings {
            enabled: entry.enabled,
            region: self.label(entry.region.as_deref(), || format!("{path}.region")),
            rds: self.label(entry.rds.as_deref(), || format!("{path}.rds")),
        }
    }

    /// Notes a list that is empty or too long.
    fn counted(&mut self, count: usize, max: usize, path: &str) {
        if count == 0 {
            self.problem(
                path.to_owned(),
                format!("an empty list; expected 1 to {max} entries, or no such key"),
            );
        }
        self.bounded(path, count, max);
    }

    fn window(&mut self, entry: &WindowEntry, path: &str) -> Option<Window> {
        let mut time = |key: &str, value: &str| {
            let result = value.parse::<Timestamp>().map_err(|_| {
                let shown = names::shown(value);
                format!("\"{shown}\" is not a time; expected RFC 3339 with an offset, like 2026-03-01T22:00:00Z")
            });
            self.noted(|| format!("{path}.{key}"), result)
        };
        let (start, end) = (time("start", &entry.start), time("end", &entry.end));
        let reason = match &entry.reason {
            Some(reason) => self.free(Some(reason), 200, || format!("{path}.reason")),
            None => Some(self.text("")),
        };
        let (start, end) = start.zip(end)?;
        if end <= start {
            self.problem(
                format!("{path}.end"),
                format!("{end} is not after the start; expected a later time"),
            );
            return None;
        }
        Some(Window {
            start,
            end,
            reason: reason?,
        })
    }
}
