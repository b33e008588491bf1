//! One device: its addresses, and what it becomes with the defaults of its groups.

use std::collections::HashMap;
use std::net::IpAddr;

use super::Checker;
use super::settings::{Endpoint, HostSettings, PingSettings, SendersSettings, Settings};
use crate::document::{Defaults, DeviceEntry, Family};
use crate::labels;
use crate::model::{
    Address, Checks, Cloud, Device, Host, Inventory, Mqtt, Ping, Senders, Snmp, Ssh,
};
use crate::names;
use crate::text::Text;

const MAX_MEMBERSHIPS: usize = 16;
const SNMP_MODULE: &str = "auto";
const SNMP_PORT: u16 = 161;
const SSH_PORT: u16 = 22;
/// node_exporter's.
const HOST_PORT: u16 = 9100;

/// The addresses of a device, main one first.
struct Addresses {
    main: Address,
    ipv4: Option<std::net::Ipv4Addr>,
    ipv6: Option<std::net::Ipv6Addr>,
    zone: Option<Text>,
}

impl Checker<'_> {
    pub(super) fn device(
        &mut self,
        entry: &DeviceEntry,
        path: &str,
        groups: &HashMap<String, Settings>,
        inventory: &Inventory,
    ) -> Option<Device> {
        let addresses = self.device_addresses(entry, path);
        let mut settings = self.settings(&own(entry), path, inventory);
        let own_families = settings
            .ping
            .as_ref()
            .and_then(|ping| ping.families.clone());
        self.bounded(
            &format!("{path}.groups"),
            entry.groups.len(),
            MAX_MEMBERSHIPS,
        );
        for (index, group) in entry.groups.iter().enumerate().rev() {
            let at = || format!("{path}.groups[{index}]");
            match groups.get(group) {
                Some(_) if entry.groups[..index].contains(group) => {
                    self.problem(
                        at(),
                        format!("the group \"{group}\" stands here twice; expected each once"),
                    );
                }
                Some(weaker) => settings.inherit(weaker),
                None => {
                    let message = format!(
                        "unknown group \"{}\"; expected a name from groups",
                        names::shown(group)
                    );
                    self.problem(at(), message);
                }
            }
        }
        let addresses = addresses?;
        let ping = self.device_ping(
            settings.ping.take().unwrap_or_default(),
            own_families,
            &addresses,
            path,
        );
        let text = |text: Option<Text>| text.unwrap_or_else(|| "".into());
        let (site, role) = (text(settings.site), text(settings.role));
        let is_host = &*role == "host" && settings.platform.as_deref() == Some("linux");
        let host = settings
            .host
            .or_else(|| is_host.then(HostSettings::default));
        let cloud = settings
            .cloud
            .filter(|cloud| cloud.enabled.unwrap_or(true))
            .and_then(|cloud| {
                if cloud.region.is_none() {
                    let message = "no region; expected one like eu-central-1".to_owned();
                    self.problem(format!("{path}.cloud"), message);
                }
                Some(Cloud {
                    region: cloud.region?,
                    rds: cloud.rds.unwrap_or_else(|| entry.name.as_str().into()),
                })
            });
        let labels = labels::render(&[("device", &entry.name), ("site", &site), ("role", &role)]);
        Some(Device {
            name: entry.name.as_str().into(),
            site,
            role,
            platform: text(settings.platform),
            groups: entry.groups.iter().map(|group| self.text(group)).collect(),
            tags: settings.tags,
            ping,
            snmp: settings
                .snmp
                .filter(|snmp| snmp.enabled.unwrap_or(true))
                .map(|snmp| Snmp {
                    module: snmp.module.unwrap_or_else(|| self.text(SNMP_MODULE)),
                    auth: snmp.auth,
                    port: snmp.port.unwrap_or(SNMP_PORT),
                }),
            ssh: settings
                .ssh
                .filter(|ssh| ssh.enabled.unwrap_or(true))
                .map(|ssh| Ssh {
                    port: ssh.port.unwrap_or(SSH_PORT),
                    credentials: ssh.credentials,
                }),
            flow: self.senders_of(settings.flow, &addresses, path, "flow"),
            syslog: self.senders_of(settings.syslog, &addresses, path, "syslog"),
            mqtt: settings
                .mqtt
                .filter(|mqtt| mqtt.enabled.unwrap_or(true))
                .map(|mqtt| Mqtt {
                    client_id: mqtt.client_id,
                    topics: mqtt.topics.unwrap_or_default(),
                }),
            checks: settings
                .checks
                .filter(|checks| checks.enabled.unwrap_or(true))
                .map(|checks| Checks {
                    http: checks.http.unwrap_or_default(),
                    tcp: endpoints(checks.tcp, &addresses.main),
                    dns: checks.dns.unwrap_or_default(),
                    tls: endpoints(checks.tls, &addresses.main),
                }),
            host: host
                .filter(|host| host.enabled.unwrap_or(true))
                .map(|host| Host {
                    port: host.port.unwrap_or(HOST_PORT),
                }),
            cloud,
            maintenance: settings.maintenance,
            desired: settings.desired,
            ports: settings.ports,
            labels: labels.into(),
            address: addresses.main,
            ipv4: addresses.ipv4,
            ipv6: addresses.ipv6,
            zone: addresses.zone,
        })
    }

    fn device_addresses(&mut self, entry: &DeviceEntry, path: &str) -> Option<Addresses> {
        let of_family = entry.addresses.clone().unwrap_or_default();
        let given = [of_family.ipv4.is_some(), of_family.ipv6.is_some()];
        let mut ipv4 = of_family
            .ipv4
            .and_then(|ip| self.noted(|| format!("{path}.addresses.ipv4"), names::ipv4(&ip)));
        let mut zone = None;
        let mut scoped = |text: &str| {
            let read = names::zoned(text)?;
            Some(read.map(|(ip, of)| {
                zone = Some(Text::from(of));
                ip
            }))
        };
        let mut ipv6 = of_family.ipv6.and_then(|ip| {
            let read = scoped(&ip).unwrap_or_else(|| names::ipv6(&ip));
            self.noted(|| format!("{path}.addresses.ipv6"), read)
        });
        let at = || format!("{path}.address");
        let main = match &entry.address {
            Some(address) => match (address.parse::<IpAddr>(), scoped(address)) {
                (Ok(_), _) => Address::Ip(self.noted(at, names::ip(address))?),
                (Err(_), Some(read)) => {
                    let ip = self.noted(at, read)?;
                    Address::Scoped(ip, zone.clone()?)
                }
                (Err(_), None) => Address::Dns(self.noted(at, names::dns(address))?.into()),
            },
            None => match (ipv4, ipv6, &zone) {
                (Some(ip), ..) => Address::Ip(ip.into()),
                (None, Some(ip), Some(zone)) => Address::Scoped(ip, zone.clone()),
                (None, Some(ip), None) => Address::Ip(ip.into()),
                (None, None, _) => {
                    if given == [false, false] {
                        let message =
                            "no address; expected address, or addresses with ipv4 or ipv6";
                        self.problem(path.to_owned(), message.to_owned());
                    }
                    return None;
                }
            },
        };
        let other = match main {
            Address::Ip(IpAddr::V4(ip)) => ipv4
                .replace(ip)
                .filter(|other| *other != ip)
                .map(IpAddr::V4),
            Address::Ip(IpAddr::V6(ip)) | Address::Scoped(ip, _) => ipv6
                .replace(ip)
                .filter(|other| *other != ip)
                .map(IpAddr::V6),
            Address::Dns(_) => None,
        };
        if let Some(other) = other {
            self.problem(
                at(),
                format!("{main} differs from {other} under addresses; expected the same"),
            );
        }
        Some(Addresses {
            main,
            ipv4,
            ipv6,
            zone,
        })
    }

    fn device_ping(
        &mut self,
        settings: PingSettings,
        own: Option<Vec<Family>>,
        addresses: &Addresses,
        path: &str,
    ) -> Option<Ping> {
        let dns = matches!(addresses.main, Address::Dns(_));
        let has = |family: &Family| match family {
            Family::Ipv4 => dns || addresses.ipv4.is_some(),
            Family::Ipv6 => dns || addresses.ipv6.is_some(),
        };
        let mut noted = own.as_ref().is_some_and(Vec::is_empty);
        if let Some(missing) = own
            .unwrap_or_default()
            .into_iter()
            .find(|family| !has(family))
        {
            let message = format!(
                "the device has no {} address; expected one, or another family",
                missing.as_str()
            );
            self.problem(format!("{path}.ping.families"), message);
            noted = true;
        }
        if settings.enabled == Some(false) {
            return None;
        }
        // A name with one numeric address beside it: the other family is asked of the DNS only when told so.
        let numeric = addresses.ipv4.is_some() || addresses.ipv6.is_some();
        let told = settings.families.is_some();
        let known = |family: &Family| match family {
            Family::Ipv4 => addresses.ipv4.is_some(),
            Family::Ipv6 => addresses.ipv6.is_some(),
        };
        let mut families = settings
            .families
            .unwrap_or_else(|| vec![Family::Ipv4, Family::Ipv6]);
        families.retain(|family| {
            if told || !numeric {
                has(family)
            } else {
                known(family)
            }
        });
        if families.is_empty() && !noted {
            let message =
                "the device has no address of the families that its groups name; expected one";
            self.problem(path.to_owned(), message.to_owned());
        }
        Some(Ping {
            interval: settings.interval,
            timeout: settings.timeout,
            families,
            size_bytes: settings.size_bytes,
            dscp: settings.dscp,
            ttl: settings.ttl,
            source_ipv4: settings.source_ipv4,
            source_ipv6: settings.source_ipv6,
            interface: settings.interface,
            mark: settings.mark,
            burst: settings.burst,
            burst_spacing: settings.burst_spacing,
            records: settings.records.unwrap_or_default(),
        })
    }

    fn senders_of(
        &mut self,
        settings: Option<SendersSettings>,
        addresses: &Addresses,
        path: &str,
        job: &str,
    ) -> Option<Senders> {
        let settings = settings.filter(|settings| settings.enabled.unwrap_or(true))?;
        let sources: Vec<IpAddr> = settings.sources.unwrap_or_else(|| {
            let own = [
                addresses.ipv4.map(IpAddr::V4),
                addresses.ipv6.map(IpAddr::V6),
            ];
            let own: Vec<_> = own.into_iter().flatten().collect();
            if own.is_empty() {
                let message = format!(
                    "a DNS name does not tell what the device sends from; expected {job}.sources"
                );
                self.problem(path.to_owned(), message);
            }
            own
        });
        Some(Senders { sources })
    }
}

/// Each as `host:port`.
fn endpoints(all: Option<Vec<Endpoint>>, address: &Address) -> Vec<Text> {
    let all = all.into_iter().flatten().map(|one| match one {
        Endpoint::Port(port) => address.with_port(port).into(),
        Endpoint::Other(text) => text,
    });
    all.collect()
}

/// What the device says itself, in the form of a group's defaults.
fn own(entry: &DeviceEntry) -> Defaults {
    Defaults {
        site: entry.site.clone(),
        role: entry.role.clone(),
        platform: entry.platform.clone(),
        tags: entry.tags.clone(),
        ping: entry.ping.clone(),
        snmp: entry.snmp.clone(),
        ssh: entry.ssh.clone(),
        flow: entry.flow.clone(),
        syslog: entry.syslog.clone(),
        mqtt: entry.mqtt.clone(),
        checks: entry.checks.clone(),
        host: entry.host.clone(),
        cloud: entry.cloud.clone(),
        maintenance: entry.maintenance.clone(),
        desired: entry.desired,
        ports: entry.ports.clone(),
    }
}
