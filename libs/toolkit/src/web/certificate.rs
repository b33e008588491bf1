//! What a verified client certificate says about who holds it.

use std::net::IpAddr;
use std::time::SystemTime;

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::X509Certificate;
use x509_parser::x509::X509Name;

use super::client_cert::address;

/// A client certificate that led to the configured authority in the handshake of the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    subject: String,
    names: Vec<String>,
    begins: i64,
    ends: i64,
}

/// Longest subject in bytes.
const LONGEST: usize = 512;

impl ClientCertificate {
    /// Reads the certificate; `None` when it cannot be read or its subject is too long, which leaves the connection without one.
    pub(crate) fn read(der: &[u8]) -> Option<Self> {
        let (_, parsed) = x509_parser::parse_x509_certificate(der).ok()?;
        let validity = parsed.validity();
        let subject = distinguished(parsed.subject());
        if subject.len() > LONGEST {
            return None;
        }
        Some(Self {
            subject,
            names: alternatives(&parsed),
            begins: validity.not_before.timestamp(),
            ends: validity.not_after.timestamp(),
        })
    }

    /// A certificate made by hand: for tests of a handler.
    #[must_use]
    pub fn new(subject: impl Into<String>, names: impl IntoIterator<Item = String>) -> Self {
        Self {
            subject: subject.into(),
            names: names.into_iter().collect(),
            begins: i64::MIN,
            ends: i64::MAX,
        }
    }

    /// The subject in the form of RFC 4514, as `openssl x509 -noout -subject -nameopt RFC2253` prints it.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The subject alternative names, each with its kind: `dns:`, `email:`, `uri:` or `ip:`.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether `now` lies in its time: a connection may outlive the certificate it began with.
    pub(crate) fn is_current(&self, now: SystemTime) -> bool {
        let now = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| {
                i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
            });
        (self.begins..=self.ends).contains(&now)
    }
}

fn alternatives(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(format!("dns:{name}")),
        GeneralName::RFC822Name(name) => Some(format!("email:{name}")),
        GeneralName::URI(name) => Some(format!("uri:{name}")),
        GeneralName::IPAddress(bytes) => address(bytes).map(|ip: IpAddr| format!("ip:{ip}")),
        _ => None,
    };
    names.value.general_names.iter().filter_map(text).collect()
}

/// Attribute types with a short name, RFC 4514 section 3.
const TYPES: [(&str, &str); 9] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "street"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

/// RFC 4514 section 2: the last element first, every value escaped, so that no value reads as a further element.
fn distinguished(name: &X509Name<'_>) -> String {
    let mut elements: Vec<String> = Vec::new();
    for element in name.iter_rdn() {
        let pairs = element.iter().map(|pair| {
            let oid = pair.attr_type().to_id_string();
            let known = TYPES.iter().find(|(id, _)| *id == oid);
            match (known, pair.as_str()) {
                (Some((_, short)), Ok(value)) => format!("{short}={}", escape(value)),
                _ => {
                    let bytes = pair.attr_value().data;
                    let tag = pair.attr_value().header.tag().0;
                    let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
                    format!("{oid}=#{tag:02X}{:02X}{hex}", bytes.len())
                }
            }
        });
        elements.push(pairs.collect::<Vec<_>>().join("+"));
    }
    elements.reverse();
    elements.join(",")
}

/// RFC 4514 section 2.4; control characters by their code.
fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (at, c) in value.chars().enumerate() {
        match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            ' ' if at == 0 || at == last => out.push_str("\\ "),
            '#' if at == 0 => out.push_str("\\#"),
            c if c.is_control() => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    out.push_str(&format!("\\{byte:02X}"));
                }
            }
            c => out.push(c),
        }
    }
    out
}
