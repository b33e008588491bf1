//! Who may be asked with named credentials: whoever sends a request names the target, and a community or password goes to it.

use std::net::{IpAddr, SocketAddr};

use inventory::{Desired, Feed};
use ipnet::IpNet;

use crate::config::Auth;
use crate::engine::Target;
use crate::neighbors::Neighbor;
use crate::ports::Port;

/// SNMP's own port, for devices of which the inventory does not say another one.
const PORT: u16 = 161;

/// Which targets may be asked, and as whom.
pub struct Gate {
    devices: Option<Feed>,
    networks: Vec<IpNet>,
    any: bool,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Gate")
            .field("inventory", &self.devices.is_some())
            .field("networks", &self.networks)
            .field("any", &self.any)
            .finish()
    }
}

/// Why a target is not asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Neither the inventory nor a flag names it.
    #[error("{0} is neither a device of the inventory nor in --snmp.targets")]
    Stranger(IpAddr),
    /// The device has SNMP elsewhere.
    #[error("device {device} is asked on port {expected}, not on {found}")]
    Port {
        /// Its name.
        device: String,
        /// The port that the inventory says.
        expected: u16,
        /// The port of the request.
        found: u16,
    },
    /// The device is asked as somebody else.
    #[error("device {device} is asked with auth {expected}, not with {found}")]
    Auth {
        /// Its name.
        device: String,
        /// The auth that the inventory says.
        expected: String,
        /// The auth of the request.
        found: String,
    },
    /// The auth is for others.
    #[error("auth {0} is not for this target: see only_for")]
    NotFor(String),
}

/// The most neighbours of a device that are told.
const NEIGHBORS: usize = 50;

impl Gate {
    /// The neighbours that are no devices of the inventory, at most fifty; none without an inventory.
    #[must_use]
    pub fn unwatched(&self, neighbors: Vec<Neighbor>) -> Vec<Neighbor> {
        let Some(feed) = &self.devices else {
            return Vec::new();
        };
        let inventory = feed.current();
        let named = |name: &str| {
            let host = name.split('.').next().unwrap_or(name);
            let mut devices = inventory.devices().iter();
            devices.any(|device| {
                device.name.eq_ignore_ascii_case(name) || device.name.eq_ignore_ascii_case(host)
            })
        };
        let watched = |one: &Neighbor| {
            one.name.as_deref().is_some_and(named)
                || (one.addresses.iter()).any(|address| inventory.by_ip(*address).is_some())
        };
        let mut strangers: Vec<Neighbor> = neighbors;
        strangers.retain(|one| !watched(one));
        strangers.truncate(NEIGHBORS);
        strangers
    }

    /// The ports that the inventory wants up (`desired: up`, of the device or of a pattern of its `ports`); none without an inventory.
    #[must_use]
    pub fn wanted_up(&self, target: &str, ports: impl FnOnce() -> Vec<Port>) -> Vec<Port> {
        let (Some(feed), Ok(target)) = (&self.devices, Target::parse(target)) else {
            return Vec::new();
        };
        let inventory = feed.current();
        let device = inventory.by_address(&target.host);
        let Some(device) = device.filter(|it| it.desired.is_some() || !it.ports.is_empty()) else {
            return Vec::new();
        };
        let mut ports = ports();
        ports.retain(|port| device.desired_of(&port.name) == Some(Desired::Up));
        ports
    }

    /// Devices of an inventory and networks may be asked; everything, when there is neither or when `any` is set.
    #[must_use]
    pub fn new(devices: Option<Feed>, networks: Vec<IpNet>, any: bool) -> Self {
        Self {
            devices,
            networks,
            any,
        }
    }

    /// Whether somebody is not asked at all.
    #[must_use]
    pub fn restricts(&self) -> bool {
        !self.any && (self.devices.is_some() || !self.networks.is_empty())
    }

    /// Whether `target`, which was found at `address`, may be asked with the auth called `name`.
    ///
    /// # Errors
    /// It may not.
    pub fn check(
        &self,
        target: &Target,
        address: SocketAddr,
        name: &str,
        auth: &Auth,
    ) -> Result<(), Denied> {
        let ip = address.ip();
        let inventory = self.devices.as_ref().map(Feed::current);
        let device = inventory.as_ref().and_then(|inventory| {
            inventory
                .by_address(&target.host)
                .or_else(|| inventory.by_ip(ip))
        });
        let within = |networks: &[IpNet]| networks.iter().any(|network| network.contains(&ip));
        if let Some(only) = &auth.only_for {
            let named = |one: &String| {
                one.eq_ignore_ascii_case(&target.host)
                    || one.parse() == Ok(ip)
                    || device.is_some_and(|device| *device.name == **one)
            };
            let at = |site: &String| device.is_some_and(|device| *device.site == **site);
            let its = only.targets.iter().any(named)
                || only.sites.iter().any(at)
                || within(&only.networks);
            if !its {
                return Err(Denied::NotFor(name.to_owned()));
            }
        }
        if !self.restricts() || within(&self.networks) {
            return Ok(());
        }
        let device = device.ok_or(Denied::Stranger(ip))?;
        let expected = device.snmp.as_ref().map_or(PORT, |snmp| snmp.port);
        if address.port() != expected {
            return Err(Denied::Port {
                device: device.name.to_string(),
                expected,
                found: address.port(),
            });
        }
        match device.snmp.as_ref().and_then(|snmp| snmp.auth.as_ref()) {
            Some(expected) if **expected != *name => Err(Denied::Auth {
                device: device.name.to_string(),
                expected: expected.to_string(),
                found: name.to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Options, network, parse};

    const DEVICES: &str = "sites: [{name: fra1}, {name: ber1}]
devices:
- {name: r1, address: 198.18.0.1, site: fra1, snmp: {auth: core, port: 1161}}
- {name: r2, address: r2.example.org, site: ber1}
";

    fn gate(devices: bool, networks: &[&str], any: bool) -> Gate {
        let inventory = || inventory::Inventory::parse(DEVICES, Path::new("i.yaml"));
        let feed = devices.then(|| Feed::fixed(inventory().unwrap()));
        let networks = networks.iter().map(|text| network(text).unwrap());
        Gate::new(feed, networks.collect(), any)
    }

    fn asked(gate: &Gate, target: &str, address: &str, auth: &str) -> String {
        let config = parse(
            "auths: {core: {}, public: {}, ber: {only_for: {sites: [ber1]}}, lab: {only_for: {networks: [198.19.0.0/16]}}, \
             one: {only_for: {targets: [r1]}}}\nmodules: {m: {}}\n",
            Path::new("t.yml"),
            Options::default(),
        )
        .unwrap();
        let target = Target::parse(target).unwrap();
        let address = SocketAddr::new(address.parse().unwrap(), target.port);
        match gate.check(&target, address, auth, &config.auths[auth]) {
            Ok(()) => "asked".to_owned(),
            Err(denied) => denied.to_string(),
        }
    }

    #[test]
    fn with_an_inventory_only_its_devices_are_asked_and_as_it_says() {
        let gate = gate(true, &["198.19.7.0/24"], false);
        for (target, address, auth, expected) in [
            ("198.18.0.1:1161", "198.18.0.1", "core", "asked"),
            (
                "198.18.0.1:1161",
                "198.18.0.1",
                "public",
                "device r1 is asked with auth core, not with public",
            ),
            (
                "198.18.0.1:5000",
                "198.18.0.1",
                "core",
                "device r1 is asked on port 1161, not on 5000",
            ),
            ("R2.example.org", "198.18.0.2", "public", "asked"),
            (
                "r3.example.org",
                "198.18.0.3",
                "public",
                "198.18.0.3 is neither a device of the inventory nor in --snmp.targets",
            ),
            ("198.19.7.1:99", "198.19.7.1", "core", "asked"),
            // A name that points to a device is that device.
            ("other:1161", "198.18.0.1", "core", "asked"),
        ] {
            assert_eq!(asked(&gate, target, address, auth), expected, "{target}");
        }
    }

    #[test]
    fn without_one_everybody_is_asked_unless_networks_are_named() {
        let open = gate(false, &[], false);
        assert!(!open.restricts());
        assert_eq!(
            asked(&open, "198.51.100.1", "198.51.100.1", "core"),
            "asked"
        );
        let switched = gate(true, &[], true);
        assert!(!switched.restricts());
        assert_eq!(asked(&switched, "h:9", "198.51.100.1", "core"), "asked");
        let narrow = gate(false, &["198.18.0.0/16"], false);
        assert!(narrow.restricts());
        assert_eq!(asked(&narrow, "198.18.9.9", "198.18.9.9", "core"), "asked");
        let denied = asked(&narrow, "198.19.0.1", "198.19.0.1", "core");
        assert!(denied.contains("198.19.0.1"), "{denied}");
    }

    #[test]
    fn ports_that_the_inventory_wants_up_are_known_by_their_name() {
        let devices = "devices:
- {name: r1, address: 198.18.0.1, desired: up, ports: [{name: 'eth*', desired: any}, {name: eth7, desired: up}]}
- {name: r2, address: 198.18.0.2}
";
        let inventory = inventory::Inventory::parse(devices, Path::new("i.yaml")).unwrap();
        let gate = Gate::new(Some(Feed::fixed(inventory)), Vec::new(), false);
        let ports = || {
            let names = ["lo", "eth1", "eth7"];
            let all = names.iter().zip(1..);
            all.map(|(name, index)| Port {
                index,
                name: (*name).to_owned(),
            })
            .collect()
        };
        let wanted = |target: &str| {
            let wanted = gate.wanted_up(target, ports).into_iter();
            wanted.map(|port| port.name).collect::<Vec<_>>()
        };
        assert_eq!(wanted("198.18.0.1:1161"), ["lo", "eth7"]);
        assert!(wanted("198.18.0.2").is_empty(), "nothing is said of it");
        assert!(wanted("198.18.0.3").is_empty(), "no device");
        let without = Gate::new(None, Vec::new(), false);
        assert!(without.wanted_up("198.18.0.1", ports).is_empty());
    }

    #[test]
    fn an_auth_that_is_bound_goes_nowhere_else() {
        for any in [false, true] {
            let gate = gate(true, &["198.19.0.0/16"], any);
            assert_eq!(asked(&gate, "r2.example.org", "198.18.0.2", "ber"), "asked");
            assert_eq!(asked(&gate, "198.19.0.1", "198.19.0.1", "lab"), "asked");
            for (target, address, auth) in [
                ("198.19.0.1", "198.19.0.1", "ber"),
                ("r2.example.org", "198.18.0.2", "lab"),
                ("r2.example.org", "198.18.0.2", "one"),
            ] {
                let expected = format!("auth {auth} is not for this target: see only_for");
                assert_eq!(asked(&gate, target, address, auth), expected);
            }
        }
        let open = gate(false, &[], false);
        assert_eq!(asked(&open, "r1", "198.18.0.1", "one"), "asked");
    }
}
