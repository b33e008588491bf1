//! What vendors put at the beginning of the message: mnemonics, and headers inside the message.

mod cisco;
mod framed;
mod named;
mod pairs;

use super::{Form, Header};
use cisco::{bare, cisco};
use framed::{cef, palo_alto};
use named::{citrix, named, netapp, topics, vrp};
use pairs::key_value;

pub(crate) use framed::pipes;
pub(super) use named::is_vrp;

/// Completes the header from the message behind it.
pub(super) fn refine(header: &mut Header<'_>) {
    strip_slot(header);
    if let Some(behind) = header.message.strip_prefix("(Stack) ") {
        header.message = behind;
    }
    if let Some(inner) = repeated(header.message) {
        header.message = inner;
    }
    let message = header.message;
    let single = message.strip_prefix('%').unwrap_or(message);
    if header.process.is_none() && is_vrp(single) {
        return vrp(single, header);
    }
    if let Some(rest) = message.strip_prefix("%%")
        && rest.starts_with(|c: char| c.is_ascii_digit())
    {
        return vrp(rest, header);
    }
    if header.process.is_none()
        && let Some((name, rest)) = behind_name(message)
    {
        header.host = header.host.or(Some(name));
        return vrp(rest, header);
    }
    // Some configurations of a relay double the sign.
    let message = message
        .strip_prefix('%')
        .filter(|m| m.starts_with('%'))
        .unwrap_or(message);
    if message.starts_with('%') && cisco(message, header) {
        return;
    }
    if header.pid.is_none() && bare(header) {
        return;
    }
    // IOS-XR names the process first, Arista the agent.
    if message.starts_with("CEF:") || message.starts_with("LEEF:") {
        return cef(message, header);
    }
    if header.process.is_none() && topics(message, header) {
        return;
    }
    if matches!(header.form, Form::Raw | Form::Rfc3164) {
        if key_value(message, header) || palo_alto(message, header) {
            return;
        }
        if header.process == Some("snmpd") || header.process.is_none() {
            citrix(message, header);
        }
    }
    if header.form == Form::Rfc5424 && header.mnemonic.is_none() && palo_alto(message, header) {
        return;
    }
    match header.mnemonic {
        None => {
            if !netapp(message, header) {
                named(message, header);
            }
        }
        // F5 writes the level behind the number also here: `01220002:6:`.
        Some(id) if id.len() == 11 && id.as_bytes()[8] == b':' => header.mnemonic = id.get(..8),
        Some(_) => {}
    }
    if !header.structured.is_empty()
        && let Some(sequence) = header.structured.find("sequenceId=\"")
    {
        let rest = &header.structured[sequence + 12..];
        header.sequence = rest.split('"').next().and_then(|n| n.parse().ok());
    }
}

/// What is said to have come again: `message repeated 2 times: [ text]`.
fn repeated(message: &str) -> Option<&str> {
    if let Some(before) = message
        .trim_end_matches(' ')
        .strip_suffix(')')
        .and_then(|m| m.strip_suffix('s').unwrap_or(m).strip_suffix(" time"))
    {
        // Cisco counts behind the text: `… by admin on console0 (message repeated 3 times)`
        return before
            .trim_end_matches(|c: char| c.is_ascii_digit())
            .strip_suffix(" (message repeated ");
    }
    let counted = message.strip_prefix("message repeated ")?;
    let inner = counted
        .trim_start_matches(|c: char| c.is_ascii_digit())
        .strip_prefix(" times: [")?;
    let inner = inner
        .trim_end_matches(' ')
        .strip_suffix(']')
        .unwrap_or(inner);
    Some(inner.trim_start_matches(' '))
}

/// Huawei's devices may have names that no host has, and an address behind them: `BGW-2#css 192.0.2.1 %%01IFNET/4/…`
fn behind_name(message: &str) -> Option<(&str, &str)> {
    const LONGEST: usize = 100;
    let at = message
        .bytes()
        .take(LONGEST)
        .position(|b| matches!(b, b'%' | b':' | b';' | b'='))?;
    let rest = message[at..].strip_prefix("%%")?;
    let names = message[..at].strip_suffix(' ')?;
    let (name, address) = names.split_once(' ').unwrap_or((names, ""));
    let known = rest.starts_with(|c: char| c.is_ascii_digit())
        && is_vrp(rest.trim_start_matches(|c: char| c.is_ascii_digit()))
        && (address.is_empty() || address.parse::<std::net::IpAddr>().is_ok());
    known.then_some((name, rest))
}

/// `slot1/lb1` is the device lb1.
fn strip_slot(header: &mut Header<'_>) {
    if let Some(host) = header.host
        && let Some((slot, name)) = host.split_once('/')
        && slot.starts_with("slot")
        && !name.is_empty()
    {
        header.host = Some(name);
    }
}
