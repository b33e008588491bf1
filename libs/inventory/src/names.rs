//! What a name, an address and a duration may look like.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

pub(crate) use yaml::shown;

pub(crate) const MAX_NAME: usize = 64;
pub(crate) const MAX_DEVICE_NAME: usize = 128;
/// `IFNAMSIZ` of Linux without the final NUL.
pub(crate) const MAX_INTERFACE: usize = 15;
const MAX_DNS_NAME: usize = 253;
const MAX_DNS_LABEL: usize = 63;

/// Whether `name` can be a name: ASCII letters, digits, `.`, `_`, `-`, beginning with a letter or digit.
pub(crate) fn name(name: &str, max: usize) -> Result<(), String> {
    let charset = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && name.len() <= max && name.chars().all(charset) {
        return Ok(());
    }
    Err(format!(
        "\"{}\" is not a name; expected 1 to {max} ASCII letters, digits, \".\", \"_\" or \"-\", the first a letter or digit",
        shown(name)
    ))
}

/// Whether `pattern` can be that of interface names: `*` and what such names are made of.
pub(crate) fn port_pattern(pattern: &str) -> Result<(), String> {
    let charset =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '*' | '.' | '_' | '/' | ':' | '-');
    let begins = pattern.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '*');
    if begins && pattern.len() <= MAX_NAME && pattern.chars().all(charset) {
        return Ok(());
    }
    Err(format!(
        "\"{}\" is not a pattern of ports; expected 1 to {MAX_NAME} of ASCII letters, digits and \"*\", \".\", \"_\", \"/\", \":\", \"-\", the first a letter, a digit or \"*\"",
        shown(pattern)
    ))
}

/// Whether `text` can be shown as it is: at most `max` characters, none of them a control character.
pub(crate) fn free_text(text: &str, max: usize) -> Result<(), String> {
    if text.chars().nth(max).is_none() && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(format!(
        "\"{}\" does not do; expected at most {max} characters and no control characters",
        shown(text)
    ))
}

/// A unicast address that a device can have.
pub(crate) fn ip(text: &str) -> Result<IpAddr, String> {
    let address: IpAddr = text.parse().map_err(|_| {
        format!(
            "\"{}\" is not an IP address; expected one like 192.0.2.1 or 2001:db8::1",
            shown(text)
        )
    })?;
    usable(address)?;
    Ok(address)
}

pub(crate) fn ipv4(text: &str) -> Result<Ipv4Addr, String> {
    let address = text.parse().map_err(|_| {
        format!(
            "\"{}\" is not an IPv4 address; expected one like 192.0.2.1",
            shown(text)
        )
    })?;
    usable(IpAddr::V4(address)).map(|()| address)
}

/// A link-local IPv6 address with its zone (RFC 4007 section 11): the interface of the probing host that it is on. `None` without one.
pub(crate) fn zoned(text: &str) -> Option<Result<(Ipv6Addr, &str), String>> {
    let (address, zone) = text.split_once('%')?;
    let address: Ipv6Addr = address.parse().ok()?;
    Some(if !address.is_unicast_link_local() {
        Err(format!(
            "\"{}\" has a zone; expected one with a link-local address (fe80::/10) only",
            shown(text)
        ))
    } else {
        name(zone, MAX_INTERFACE).map(|()| (address, zone))
    })
}

pub(crate) fn ipv6(text: &str) -> Result<Ipv6Addr, String> {
    let address = text.parse().map_err(|_| {
        format!(
            "\"{}\" is not an IPv6 address; expected one like 2001:db8::1",
            shown(text)
        )
    })?;
    usable(IpAddr::V6(address)).map(|()| address)
}

fn usable(address: IpAddr) -> Result<(), String> {
    let why = match address {
        address if address.is_unspecified() => "the unspecified address",
        address if address.is_multicast() => "a multicast address",
        IpAddr::V4(v4) if v4.is_broadcast() => "the broadcast address",
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => "an IPv4 address written as IPv6",
        _ => return Ok(()),
    };
    Err(format!(
        "{address} is {why}; expected the address of one device"
    ))
}

/// A DNS name (RFC 1123 section 2.1), in lower case and without the final dot.
pub(crate) fn dns(text: &str) -> Result<String, String> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let label = |label: &str| {
        (1..=MAX_DNS_LABEL).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    // A last label of digits only is an IPv4 address that was mistyped.
    let numeric = name
        .rsplit('.')
        .next()
        .is_some_and(|last| last.chars().all(|c| c.is_ascii_digit()));
    if name.len() <= MAX_DNS_NAME && !numeric && name.split('.').all(label) {
        return Ok(name);
    }
    Err(format!(
        "\"{}\" is not an address; expected an IPv4 address, an IPv6 address or a DNS name",
        shown(text)
    ))
}

/// The address of a page: `http://` or `https://`, a host, and no password.
pub(crate) fn page(text: &str) -> Result<String, String> {
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    let authority = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let visible = text.len() <= 512 && text.bytes().all(|b| b.is_ascii_graphic());
    match authority {
        Some(host) if visible && !host.is_empty() && !host.contains('@') => Ok(text.to_owned()),
        // The text is not repeated: somebody may have put a password into it.
        _ => Err(
            "not the address of a page; expected one like https://shop.example.net/health, without a user"
                .to_owned(),
        ),
    }
}

/// `PORT` or `HOST:PORT`, an IPv6 address in brackets.
pub(crate) fn endpoint(text: &str) -> Result<String, String> {
    let port = |text: &str| {
        text.parse::<u16>()
            .is_ok_and(|port| port != 0 && !text.starts_with('+'))
    };
    let good = match text.rsplit_once(':') {
        None => port(text),
        Some((host, number)) => {
            let v6 = host
                .strip_prefix('[')
                .and_then(|host| host.strip_suffix(']'));
            let host = match v6 {
                Some(address) => ipv6(address).is_ok(),
                None => ipv4(host).is_ok() || dns(host).is_ok(),
            };
            host && port(number)
        }
    };
    good.then(|| text.to_owned()).ok_or_else(|| {
        format!(
            "\"{}\" is not where a connection goes to; expected a port of the device like 443, or one like db.example.net:5432",
            shown(text)
        )
    })
}

/// A duration such as `250ms`, `1.5s` or `1m30s`, within `min` and `max`.
pub(crate) fn duration(text: &str, min: Duration, max: Duration) -> Result<Duration, String> {
    let read = units::duration(text).ok();
    read.filter(|read| (min..=max).contains(read)).ok_or_else(|| {
        format!(
            "\"{}\" is not a duration in bounds; expected one such as 250ms, 1.5s or 1m30s, from {} to {}",
            shown(text),
            units::spelled(min),
            units::spelled(max)
        )
    })
}

/// A topic filter (MQTT 5.0 section 4.7): `+` alone in a level, `#` alone in the last one.
pub(crate) fn topic_filter(text: &str) -> Result<(), String> {
    let levels: Vec<&str> = text.split('/').collect();
    let last = levels.len() - 1;
    let level = |(index, level): (usize, &&str)| match *level {
        "+" => true,
        "#" => index == last,
        level => !level.contains(['+', '#']),
    };
    if !text.is_empty() && free_text(text, 256).is_ok() && levels.iter().enumerate().all(level) {
        return Ok(());
    }
    Err(format!(
        "\"{}\" is not an MQTT topic filter; expected one like site/+/temperature or site/#",
        shown(text)
    ))
}
