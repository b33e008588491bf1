//! The header of a syslog message, whoever sent it: priority, time, device, process, mnemonic.
//!
//! One reader takes every form on one port, without a setting per device: RFC 5424, RFC 3164, and what devices
//! send instead. It never fails: what it does not recognise stays in the message.

mod legacy;
mod rfc5424;
pub(crate) mod scan;
mod time;
pub(crate) mod vendor;

pub use rfc5424::parameters;
pub use time::{Clock, DeviceTime, write_time};

/// Severities as words, as `syslog(3)` names them.
pub const SEVERITIES: [&str; 8] = [
    "emergency",
    "alert",
    "critical",
    "error",
    "warning",
    "notice",
    "informational",
    "debug",
];

/// Facilities as words, as `syslog(3)` names them.
pub const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];

/// The form that a message was recognised by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Form {
    /// RFC 5424.
    Rfc5424,
    /// RFC 3164 or near it: a time or a tag was recognised.
    Rfc3164,
    /// Cisco's `%FACILITY-SEVERITY-MNEMONIC`, also Arista and Dell.
    Cisco,
    /// Huawei VRP and HPE Comware, `%%01MODULE/4/NAME`.
    Vrp,
    /// `key=value` pairs without a header (FortiGate, Sophos, SonicWall).
    KeyValue,
    /// Common Event Format or Log Event Extended Format.
    Cef,
    /// Palo Alto's comma-separated values.
    PaloAlto,
    /// Topics first (MikroTik).
    Topics,
    /// Cisco Meraki: epoch seconds in place of a date.
    Meraki,
    /// Nothing but perhaps a priority was recognised: the line is kept whole.
    #[default]
    Raw,
}

impl Form {
    /// The name used in metadata and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rfc5424 => "rfc5424",
            Self::Rfc3164 => "rfc3164",
            Self::Cisco => "cisco",
            Self::Vrp => "vrp",
            Self::KeyValue => "key_value",
            Self::Cef => "cef",
            Self::PaloAlto => "palo_alto",
            Self::Topics => "topics",
            Self::Meraki => "meraki",
            Self::Raw => "raw",
        }
    }
}

/// What the header of a message says. All parts are slices of the message.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Header<'a> {
    /// `facility * 8 + severity`, when there was one.
    pub priority: Option<u8>,
    /// The form that was recognised.
    pub form: Form,
    /// The device's own name or address.
    pub host: Option<&'a str>,
    /// The name in an outer header, when a relay added one.
    pub relay: Option<&'a str>,
    /// The device's clock.
    pub time: Option<DeviceTime>,
    /// Process, program or subsystem.
    pub process: Option<&'a str>,
    /// Process id.
    pub pid: Option<&'a str>,
    /// The vendor's name for the kind of message, without `%`: `LINK-3-UPDOWN`, `IFNET/4/IF_STATE`, `UI_COMMIT`.
    pub mnemonic: Option<&'a str>,
    /// Severity that the message itself states, 0 to 7.
    pub stated_severity: Option<u8>,
    /// The device's own count of messages.
    pub sequence: Option<u64>,
    /// RFC 5424 structured data as it was sent; empty when there is none.
    pub structured: &'a str,
    /// The message behind the header.
    pub message: &'a str,
}

impl Header<'_> {
    /// Severity, 0 (emergency) to 7 (debug); 5 (notice) when nothing states one.
    #[must_use]
    pub fn severity(&self) -> u8 {
        self.priority
            .map(|p| p & 7)
            .or(self.stated_severity)
            .unwrap_or(5)
    }

    /// Facility, 0 to 23; 1 (user) when nothing states one.
    #[must_use]
    pub fn facility(&self) -> u8 {
        self.priority.map_or(1, |p| p >> 3)
    }
}

/// Reads the header of a message.
#[must_use]
pub fn parse(text: &str) -> Header<'_> {
    let mut header = Header::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut rest = text;
    if let Some((priority, behind)) = scan::priority(rest) {
        header.priority = Some(priority);
        rest = behind;
    }
    rest = rest.strip_prefix('\u{feff}').unwrap_or(rest);
    if !legacy::versioned(rest, &mut header) {
        legacy::parse(rest, &mut header);
    }
    vendor::refine(&mut header);
    header
}

/// The severity of a priority at the beginning of some bytes: what the queue needs to know of a message.
#[must_use]
pub fn class(bytes: &[u8]) -> u8 {
    let head = &bytes[..bytes.len().min(5)];
    std::str::from_utf8(head)
        .ok()
        .and_then(scan::priority)
        .map_or(5, |(priority, _)| priority & 7)
}

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod tests;
