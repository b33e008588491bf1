//! What of this host's own network stands between it and its targets: a link without a carrier, a gateway that does not answer. What is lost
//! then says nothing about a target.
//!
//! Nothing is looked up while all is well: a second is a look at the interfaces, and routes are read once one of them is at fault.

use std::collections::{HashMap, HashSet};
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::net::if_::InterfaceFlags;

/// Nanoseconds for which a gateway is held to be at fault after the last error about it: the kernel tells each three seconds.
const FAULT: u64 = 10_000_000_000;
/// Nanoseconds for which routes that were read are good.
const ROUTES: u64 = 1_000_000_000;
/// Bytes read of a table of routes: more of them than that are a router's, and the first ones are looked at.
const MOST: u64 = 1 << 20;

/// The state of this host's own network, shared by all threads.
#[derive(Debug, Default)]
pub(super) struct Host {
    /// Something is at fault.
    any: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Addresses of this host.
    own: HashSet<IpAddr>,
    /// Interfaces that are up and have no carrier.
    dead: HashSet<String>,
    /// Gateways that do not answer, and until when that is held to be so.
    gateways: HashMap<IpAddr, u64>,
    routes: Vec<Route>,
    read_at: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Route {
    net: IpAddr,
    bits: u8,
    metric: u32,
    gateway: Option<IpAddr>,
    device: String,
}

impl Host {
    /// Looks at the interfaces, at this monotonic time.
    pub(super) fn look(&self, now: u64) {
        let (mut own, mut dead) = (HashSet::new(), HashSet::new());
        for interface in nix::ifaddrs::getifaddrs().into_iter().flatten() {
            let flags = interface.flags;
            let up = flags.contains(InterfaceFlags::IFF_UP);
            if up && !flags.intersects(InterfaceFlags::IFF_RUNNING | InterfaceFlags::IFF_LOOPBACK) {
                dead.insert(interface.interface_name.clone());
            }
            let address = interface.address.as_ref();
            let v4 = address
                .and_then(|it| it.as_sockaddr_in())
                .map(|it| IpAddr::from(it.ip()));
            let v6 = address
                .and_then(|it| it.as_sockaddr_in6())
                .map(|it| IpAddr::from(it.ip()));
            own.extend(v4.or(v6));
        }
        let mut state = self.state();
        (state.own, state.dead) = (own, dead);
        state.gateways.retain(|_, until| *until > now);
        let fault = !state.dead.is_empty() || !state.gateways.is_empty();
        self.any.store(fault, Ordering::Relaxed);
    }

    /// Whether `offender`, who said that `target` cannot be reached, is this host itself, for a fault of its own: its gateway does not answer
    /// on the link, or the link has no carrier. A target on the link that does not answer is none.
    pub(super) fn is_at_fault(&self, offender: IpAddr, target: IpAddr, now: u64) -> bool {
        let mut state = self.state();
        if !state.own.contains(&offender) {
            return false;
        }
        let Some(route) = state.route(target, now).cloned() else {
            return false;
        };
        if let Some(gateway) = route.gateway {
            state.gateways.insert(gateway, now + FAULT);
            self.any.store(true, Ordering::Relaxed);
        }
        route.gateway.is_some() || state.dead.contains(&route.device)
    }

    /// Whether what goes to `target` leaves by something that is at fault.
    pub(super) fn blocks(&self, target: IpAddr, now: u64) -> bool {
        if !self.any.load(Ordering::Relaxed) {
            return false;
        }
        let mut state = self.state();
        let Some(route) = state.route(target, now).cloned() else {
            return false;
        };
        let gateway = route
            .gateway
            .and_then(|gateway| state.gateways.get(&gateway));
        gateway.is_some_and(|until| *until > now) || state.dead.contains(&route.device)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The way to `target`.
    fn route(&mut self, target: IpAddr, now: u64) -> Option<&Route> {
        if self.read_at.is_none_or(|at| now >= at + ROUTES) {
            self.read_at = Some(now);
            self.routes = v4(&table("route"));
            self.routes.extend(v6(&table("ipv6_route")));
        }
        best(&self.routes, target)
    }
}

/// The longest prefix, of several the one with the smallest metric.
fn best(routes: &[Route], target: IpAddr) -> Option<&Route> {
    let to = routes.iter().filter(|route| holds(route, target));
    to.max_by_key(|route| (route.bits, std::cmp::Reverse(route.metric)))
}

fn holds(route: &Route, target: IpAddr) -> bool {
    let shift = |bits: u32| bits - u32::from(route.bits).min(bits);
    match (route.net, target) {
        (IpAddr::V4(net), IpAddr::V4(target)) => {
            let differ = net.to_bits() ^ target.to_bits();
            differ.checked_shr(shift(32)).unwrap_or(0) == 0
        }
        (IpAddr::V6(net), IpAddr::V6(target)) => {
            let differ = net.to_bits() ^ target.to_bits();
            differ.checked_shr(shift(128)).unwrap_or(0) == 0
        }
        _ => false,
    }
}

/// A table of the kernel, as far as it is looked at; empty when there is none.
fn table(name: &str) -> String {
    let mut text = String::new();
    if let Ok(file) = std::fs::File::open(format!("/proc/thread-self/net/{name}")) {
        // What is cut off within a line is no line.
        let _ = file.take(MOST).read_to_string(&mut text);
    }
    text
}

/// `/proc/net/route`: interface, destination, gateway, flags, references, use, metric, mask …; addresses in the order of this machine.
fn v4(text: &str) -> Vec<Route> {
    let route = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| u32::from_str_radix(fields.get(at)?, 16).ok();
        let address = |at: usize| number(at).map(|bits| Ipv4Addr::from(bits.to_ne_bytes()));
        let gateway = address(2)?;
        Some(Route {
            net: address(1)?.into(),
            bits: u8::try_from(address(7)?.to_bits().count_ones()).ok()?,
            metric: fields.get(6)?.parse().ok()?,
            gateway: (!gateway.is_unspecified()).then_some(gateway.into()),
            device: (*fields.first()?).to_owned(),
        })
    };
    text.lines().filter_map(route).collect()
}

/// `/proc/net/ipv6_route`: destination, its length, source, its length, next hop, metric, references, use, flags, interface.
fn v6(text: &str) -> Vec<Route> {
    /// "Route to be rejected": `linux/route.h`.
    const REJECT: u32 = 0x200;
    let route = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| u32::from_str_radix(fields.get(at)?, 16).ok();
        let address = |at: usize| {
            let bits = u128::from_str_radix(fields.get(at)?, 16).ok()?;
            Some(Ipv6Addr::from_bits(bits))
        };
        let gateway = address(4)?;
        (number(8)? & REJECT == 0).then_some(())?;
        Some(Route {
            net: address(0)?.into(),
            bits: u8::try_from(number(1)?).ok()?,
            metric: number(5)?,
            gateway: (!gateway.is_unspecified()).then_some(gateway.into()),
            device: (*fields.get(9)?).to_owned(),
        })
    };
    text.lines().filter_map(route).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        a-r\t00000000\t0101420A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
        b-r\t00000000\t0102420A\t0003\t0\t0\t200\t00000000\t0\t0\t0\n\
        a-r\t0001420A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
    const V6: &str = "fd660001000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001      a-r\n\
        00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd660001000000000000000000000001 00000400 00000001 00000000 00000003      a-r\n\
        00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n";

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn the_way_to_a_target_is_that_of_the_kernels_tables() {
        let routes = [v4(V4), v6(V6)].concat();
        assert_eq!(routes.len(), 5);
        for (target, gateway, device) in [
            ("10.66.2.2", Some("10.66.1.1"), "a-r"),
            ("10.66.1.7", None, "a-r"),
            ("fd66:1::7", None, "a-r"),
            ("2001:db8::1", Some("fd66:1::1"), "a-r"),
        ] {
            let route = best(&routes, ip(target)).unwrap();
            assert_eq!(route.gateway, gateway.map(ip), "{target}");
            assert_eq!(route.device, device, "{target}");
        }
        assert_eq!(best(&v4(V4), ip("2001:db8::1")), None);
        for broken in ["", "a b", "a-r\t0\t0\n", "zz\tzz\tzz\tzz\tzz\tzz\tzz\tzz\n"] {
            assert!(v4(broken).is_empty() && v6(broken).is_empty(), "{broken}");
        }
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn a_gateway_that_does_not_answer_blocks_what_goes_through_it_for_a_while() {
        let host = Host::default();
        {
            let mut state = host.state();
            state.own.insert(ip("10.66.1.2"));
            state.routes = v4(V4);
            state.read_at = Some(u64::MAX - ROUTES);
        }
        let (far, near, now) = (ip("10.66.2.2"), ip("10.66.1.7"), 1_000);
        assert!(!host.blocks(far, now));
        assert!(
            !host.is_at_fault(ip("10.66.9.9"), far, now),
            "a router said so"
        );
        assert!(
            !host.is_at_fault(ip("10.66.1.2"), near, now),
            "it does not answer on the link"
        );
        assert!(!host.blocks(near, now));
        assert!(host.is_at_fault(ip("10.66.1.2"), far, now));
        assert!(host.blocks(far, now) && !host.blocks(near, now));
        assert!(!host.blocks(far, now + FAULT));
        // The link itself: whatever leaves by it.
        host.state().dead.insert("a-r".to_owned());
        assert!(host.blocks(near, now) && host.is_at_fault(ip("10.66.1.2"), near, now));
    }
}
