//! Credentials.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;

/// One entry of `auths`.
#[derive(Clone, Debug)]
pub struct Auth {
    /// SNMP version: 1, 2 (2c) or 3.
    pub version: u8,
    /// What the version-3 user does to a message.
    pub security_level: SecurityLevel,
    /// Digest of version 3.
    pub auth_protocol: AuthProtocol,
    /// Cipher of version 3.
    pub priv_protocol: PrivProtocol,
    /// Context of version 3.
    pub context_name: String,
    /// Community, user and passwords.
    pub credentials: Credentials,
    /// Credentials of single targets, by the `target` of the request without its port.
    pub targets: BTreeMap<String, Credentials>,
    /// Who it is for; everybody who may be asked, when nothing is said.
    pub only_for: Option<OnlyFor>,
}

/// Targets that an auth is for: one of the three must fit.
#[derive(Clone, Debug, Default)]
pub struct OnlyFor {
    /// Names of devices, or hosts as a request names them, or addresses.
    pub targets: Vec<String>,
    /// Sites of the inventory.
    pub sites: Vec<String>,
    /// Networks of addresses.
    pub networks: Vec<IpNet>,
}

/// A network in CIDR notation, or one address.
///
/// # Errors
/// It is neither.
pub fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse()
        .ok()
        .or_else(address)
        .ok_or_else(|| format!("`{text}`: expected a network such as 198.18.0.0/15, or an address"))
}

/// Community, user name and passwords.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// Community of versions 1 and 2c.
    pub community: Credential,
    /// User of version 3.
    pub username: Credential,
    /// Its authentication password.
    pub password: Credential,
    /// Its privacy password.
    pub priv_password: Credential,
}

/// One secret and where it came from. Neither `Debug` nor `Display` shows it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credential {
    value: Vec<u8>,
    file: Option<PathBuf>,
}

impl Credential {
    /// A literal value.
    #[must_use]
    pub fn literal(value: impl Into<Vec<u8>>) -> Self {
        Self {
            value: value.into(),
            file: None,
        }
    }

    /// A value that was read from `file`.
    #[must_use]
    pub fn from_file(value: impl Into<Vec<u8>>, file: PathBuf) -> Self {
        Self {
            value: value.into(),
            file: Some(file),
        }
    }

    /// The octets of the secret.
    #[must_use]
    pub fn reveal(&self) -> &[u8] {
        &self.value
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.value.is_empty()
    }

    /// The file that it was read from.
    #[must_use]
    pub fn file(&self) -> Option<&PathBuf> {
        self.file.as_ref()
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.value.is_empty() {
            "none"
        } else {
            "<secret>"
        })
    }
}

/// What a version-3 user does to a message (RFC 3411 §3.4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SecurityLevel {
    /// Neither authentication nor privacy.
    NoAuthNoPriv,
    /// Authentication.
    AuthNoPriv,
    /// Authentication and privacy.
    AuthPriv,
}

/// Authentication protocols (RFC 3414, RFC 7860).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of the protocols")]
pub enum AuthProtocol {
    Md5,
    Sha,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// Privacy protocols: RFC 3414, RFC 3826, and the two ways to stretch a key for the longer AES ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrivProtocol {
    /// DES-CBC.
    Des,
    /// AES-128-CFB.
    Aes,
    /// AES-192, key stretched after Blumenthal.
    Aes192,
    /// AES-192, key stretched after Reeder (Cisco).
    Aes192C,
    /// AES-256, key stretched after Blumenthal.
    Aes256,
    /// AES-256, key stretched after Reeder (Cisco).
    Aes256C,
}

macro_rules! names {
    ($kind:ty, $($name:literal => $value:ident),+) => {
        impl $kind {
            /// The value of that name; names are case sensitive.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$value),)+ _ => None }
            }

            /// The name in `snmp.yml`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$value => $name,)+ }
            }
        }
    };
}

names!(SecurityLevel, "noAuthNoPriv" => NoAuthNoPriv, "authNoPriv" => AuthNoPriv, "authPriv" => AuthPriv);
names!(AuthProtocol, "MD5" => Md5, "SHA" => Sha, "SHA224" => Sha224, "SHA256" => Sha256, "SHA384" => Sha384, "SHA512" => Sha512);
names!(PrivProtocol, "DES" => Des, "AES" => Aes, "AES192" => Aes192, "AES192C" => Aes192C, "AES256" => Aes256, "AES256C" => Aes256C);
