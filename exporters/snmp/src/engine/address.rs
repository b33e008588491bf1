//! The target of a request: `host`, `host:port`, `[v6]`, `[v6]:port`, bare v6, each with `udp://` in front.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// Port of SNMP agents (RFC 3417 §3.1.4).
const PORT: u16 = 161;

/// A target before its name is resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Name or address.
    pub host: String,
    /// UDP port.
    pub port: u16,
}

/// Why a text is no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The port is no number up to 65535.
    #[error("port of target `{0}`: expected a number from 0 to 65535")]
    Port(String),
    /// A transport that is not served.
    #[error("transport `{0}` of the target is not supported: expected udp")]
    Transport(String),
}

impl Target {
    /// Reads the text.
    ///
    /// # Errors
    /// The port is not one, or the transport is not UDP.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let (transport, rest) = text.split_once("://").unwrap_or(("udp", text));
        if !matches!(transport, "udp" | "udp4" | "udp6") {
            return Err(TargetError::Transport(transport.to_owned()));
        }
        if let Ok(address) = rest.parse::<IpAddr>() {
            return Ok(Self {
                host: address.to_string(),
                port: PORT,
            });
        }
        if let Some(inner) = rest
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            return Ok(Self {
                host: inner.to_owned(),
                port: PORT,
            });
        }
        match rest.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                let port = port
                    .parse()
                    .map_err(|_| TargetError::Port(text.to_owned()))?;
                let host = host
                    .strip_prefix('[')
                    .and_then(|host| host.strip_suffix(']'))
                    .unwrap_or(host);
                Ok(Self {
                    host: host.to_owned(),
                    port,
                })
            }
            _ => Ok(Self {
                host: rest.to_owned(),
                port: PORT,
            }),
        }
    }

    /// The first address of the target, an IPv4-mapped one as what it maps, or `None` when the name has none before `deadline`.
    pub async fn resolve(&self, deadline: Instant) -> Option<SocketAddr> {
        if let Ok(address) = self.host.parse::<IpAddr>() {
            return Some(SocketAddr::new(address.to_canonical(), self.port));
        }
        // Scoped addresses (fe80::1%eth0) and names both go through the system's resolver.
        let found = tokio::time::timeout_at(
            deadline.into(),
            tokio::net::lookup_host((self.host.as_str(), self.port)),
        )
        .await;
        let found = found.ok()?.ok()?.next()?;
        Some(match found.ip().to_canonical() {
            IpAddr::V4(address) => SocketAddr::new(address.into(), found.port()),
            // With its scope.
            IpAddr::V6(_) => found,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_mapped_address_is_the_ipv4_address_that_it_maps() {
        let deadline = Instant::now() + std::time::Duration::from_secs(5);
        for (text, address) in [
            ("[::ffff:198.18.0.1]:99", "198.18.0.1:99"),
            ("::ffff:198.18.0.1", "198.18.0.1:161"),
            ("[2001:db8::1]:99", "[2001:db8::1]:99"),
        ] {
            let target = Target::parse(text).unwrap();
            assert_eq!(
                target.resolve(deadline).await,
                Some(address.parse().unwrap()),
                "{text}"
            );
        }
    }

    #[test]
    fn every_form_of_a_target_reads() {
        for (text, host, port) in [
            ("198.18.0.1", "198.18.0.1", 161),
            ("198.18.0.1:1161", "198.18.0.1", 1161),
            ("router", "router", 161),
            ("router:99", "router", 99),
            ("2001:db8::1", "2001:db8::1", 161),
            ("[2001:db8::1]", "2001:db8::1", 161),
            ("[2001:db8::1]:1161", "2001:db8::1", 1161),
            ("fe80::1%lo", "fe80::1%lo", 161),
            ("udp://198.18.0.1:1161", "198.18.0.1", 1161),
        ] {
            assert_eq!(
                Target::parse(text),
                Ok(Target {
                    host: host.to_owned(),
                    port
                }),
                "{text}"
            );
        }
        assert!(matches!(
            Target::parse("router:x"),
            Err(TargetError::Port(_))
        ));
        assert!(matches!(
            Target::parse("router:70000"),
            Err(TargetError::Port(_))
        ));
        assert!(matches!(
            Target::parse("tls://router"),
            Err(TargetError::Transport(_))
        ));
    }
}
