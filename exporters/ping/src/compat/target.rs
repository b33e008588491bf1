//! What every peer's targets must be.

use std::net::IpAddr;
use std::time::Duration;

use super::Target;
use crate::echo;

/// Shortest and longest interval.
pub(super) const INTERVAL: (Duration, Duration) =
    (Duration::from_millis(10), Duration::from_secs(3_600));
/// Most bytes of payload.
pub(super) const MAX_SIZE: usize = 8_952;

/// Why a host is refused: it is neither an address nor a DNS name (RFC 1123, with the underscore in use).
pub(super) fn check_host(host: &str) -> Result<(), String> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let name = host.strip_suffix('.').unwrap_or(host);
    let good = host.parse::<IpAddr>().is_ok()
        || echo::zoned(host).is_some()
        || (name.len() <= 253 && name.split('.').all(label));
    good.then_some(())
        .ok_or_else(|| format!("{host:?} is no host, expected an address or a DNS name"))
}

/// Why a label of the user's own is refused.
pub(super) fn check_label(name: &str, value: &str, taken: &[&str]) -> Result<(), String> {
    let first = name
        .bytes()
        .next()
        .is_some_and(|byte| !byte.is_ascii_digit());
    let rest = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !first || !rest || name.starts_with("__") || name.len() > 64 {
        return Err(format!(
            "{name:?} is no label name, expected up to 64 letters, digits and underscores"
        ));
    }
    if taken.contains(&name) {
        return Err(format!("{name:?} is a label that every series has already"));
    }
    if value.len() > 256 {
        return Err(format!(
            "{name}: a value of {} bytes, expected at most 256",
            value.len()
        ));
    }
    Ok(())
}

/// Leaves out targets whose series would be the same, and says which.
pub(super) fn once(targets: Vec<Target>, warnings: &mut Vec<String>) -> Vec<Target> {
    let mut kept: Vec<Target> = Vec::with_capacity(targets.len());
    let mut seen = std::collections::HashSet::new();
    for target in targets {
        let host = &target.host;
        // What its series show.
        let (families, source, tos) = (target.families, target.source, target.tos);
        if seen.insert((host.clone(), families, source, tos, target.labels.clone())) {
            kept.push(target);
        } else {
            warnings.push(format!(
                "{host} stands there twice with the same labels: the first counts"
            ));
        }
    }
    kept
}
