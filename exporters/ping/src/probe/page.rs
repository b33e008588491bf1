//! The result of a probe as text.

use std::net::IpAddr;
use std::time::Duration;

use toolkit::http::StatusCode;
use toolkit::{Encoder, Format, Kind, Labels, Response, web};

use crate::config::Module;

/// What a probe found.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcome {
    pub(super) success: bool,
    /// The whole probe.
    pub(super) took: Duration,
    /// Finding the address, also in vain.
    pub(super) lookup: Duration,
    /// Finding the address.
    pub(super) resolve: Duration,
    /// Opening the socket.
    pub(super) setup: Duration,
    pub(super) rtt: Duration,
    pub(super) hop_limit: Option<u8>,
    pub(super) address: Option<IpAddr>,
}

impl Outcome {
    /// The series, by name as blackbox_exporter gives them.
    fn metrics(&self) -> Vec<u8> {
        let mut out = Encoder::new(Format::Text);
        let mut gauge = |name: &str, help: &str, value: f64| {
            out.family(name, Kind::Gauge, help);
            out.sample(Labels::none(), value);
        };
        gauge(
            "probe_dns_lookup_time_seconds",
            "Time taken to find the address of the target.",
            self.lookup.as_secs_f64(),
        );
        gauge(
            "probe_duration_seconds",
            "Time the whole probe took.",
            self.took.as_secs_f64(),
        );
        if let Some(hop_limit) = self.hop_limit {
            gauge(
                "probe_icmp_reply_hop_limit",
                "Hop limit (TTL) of the reply as it arrived.",
                hop_limit.into(),
            );
        }
        gauge(
            "probe_ip_addr_hash",
            "Hash of the address, another number for another address.",
            self.address.map_or(0, hash).into(),
        );
        gauge(
            "probe_ip_protocol",
            "Version of IP that was used, 4 or 6.",
            match self.address {
                None => 0.0,
                Some(IpAddr::V4(_)) => 4.0,
                Some(IpAddr::V6(_)) => 6.0,
            },
        );
        gauge(
            "probe_success",
            "Whether the target answered (1) or not (0).",
            f64::from(u8::from(self.success)),
        );
        out.family(
            "probe_icmp_duration_seconds",
            Kind::Gauge,
            "Time the parts of the probe took.",
        );
        for (phase, time) in [
            ("resolve", self.resolve),
            ("rtt", self.rtt),
            ("setup", self.setup),
        ] {
            out.sample(&Labels::new([("phase", phase)]), time.as_secs_f64());
        }
        out.finish()
    }
}

/// FNV-1a of 32 bits over the bytes of the address, as blackbox_exporter has it.
fn hash(address: IpAddr) -> u32 {
    let fold = |bytes: &[u8]| {
        bytes.iter().fold(0x811c_9dc5, |hash: u32, &byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        })
    };
    match address.to_canonical() {
        IpAddr::V4(v4) => fold(&v4.octets()),
        IpAddr::V6(v6) => fold(&v6.octets()),
    }
}

/// What is told of a probe under way, for `debug=true`.
pub(super) struct Report<'a> {
    target: &'a str,
    name: &'a str,
    module: &'a Module,
    lines: Vec<String>,
}

impl<'a> Report<'a> {
    pub(super) fn new(target: &'a str, name: &'a str, module: &'a Module) -> Self {
        Self {
            target,
            name,
            module,
            lines: Vec::new(),
        }
    }

    pub(super) fn say(&mut self, line: impl Into<String>) {
        let line = line.into();
        tracing::debug!(target_name = self.target, module = self.name, "{line}");
        self.lines.push(line);
    }

    pub(super) fn answer(&self, outcome: &Outcome, debug: bool) -> Response {
        let metrics = outcome.metrics();
        if !debug {
            return web::response::new(StatusCode::OK, Format::Text.content_type(), metrics);
        }
        let lines: String = self.lines.iter().map(|line| format!("{line}\n")).collect();
        let text = format!(
            "Log of the probe of {:?} with module {:?}:\n{lines}\nMetrics that would have been returned:\n{}\nModule:\n{:#?}",
            self.target,
            self.name,
            String::from_utf8_lossy(&metrics),
            self.module
        );
        web::response::text(StatusCode::OK, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_peer() {
        // As prometheus-blackbox-exporter 0.23.0 prints it for 127.0.0.1.
        assert_eq!(hash("127.0.0.1".parse().unwrap()), 3_668_918_509);
    }
}
