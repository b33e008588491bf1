//! An authority of one machine or one project, made at the first start, and certificates that it gives to the parts of the stack.
//!
//! On disk, all PEM:
//!
//! ```text
//! FOLDER/ca.crt            the authority, which everybody trusts
//! FOLDER/ca.key            its key, 0600: of whoever runs this, and of nobody else
//! FOLDER/NAME/tls.crt      the certificate of one part, for the server and the client that it is
//! FOLDER/NAME/tls.key      its key
//! FOLDER/NAME/ca.crt       the authority, again
//! ```
//!
//! A file is replaced as a whole, by a rename. A renewed certificate keeps its key, so that who reads the two files while one is replaced
//! never has halves of two pairs. A part whose folder is removed gets a new key.

#![cfg_attr(test, allow(clippy::unwrap_used))]

use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::unistd::{Gid, Group, chown};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber,
};

/// How long the authority is valid.
const AUTHORITY: Duration = Duration::from_secs(20 * 365 * 86_400);
/// Certificates are valid from so long ago, for clocks that are behind.
const BEHIND: Duration = Duration::from_secs(3_600);
/// The name of the authority in its own certificate and in those that it gives.
const NAME: &str = "SOTP authority of this installation";

/// One part of the stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name: that of its folder, and the common name by which others may know it.
    pub name: String,
    /// Names and addresses at which others call it; none for who only calls.
    pub hosts: Vec<String>,
    /// The group that may read its key, by its name or number; without one only the owner may.
    pub group: Option<String>,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read or written.
    #[error("{}", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// A key or a certificate cannot be made, or a key not be read.
    #[error("{}: no key or certificate", .0.display())]
    Certificate(PathBuf, #[source] rcgen::Error),
    /// A group that the system does not know.
    #[error("no group {0}")]
    Group(String),
    /// A name that is none of a folder.
    #[error("{0:?}: expected lower-case letters, digits and -")]
    Name(String),
}

/// The authority with its key.
pub struct Authority {
    folder: PathBuf,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Authority").field(&self.folder).finish()
    }
}

impl Authority {
    /// The authority of this folder, made when there is none.
    ///
    /// # Errors
    /// The folder cannot be made, or holds something else.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(folder).map_err(failed(folder))?;
        let (file, key_file) = (folder.join("ca.crt"), folder.join("ca.key"));
        let bad = |error| Error::Certificate(key_file.clone(), error);
        let key = key(&key_file, None)?;
        let params = authority();
        let pem = match std::fs::read_to_string(&file) {
            Ok(pem) if speaks_of(&pem, &key) => pem,
            Ok(_) => {
                let other =
                    "holds no certificate of the key beside it; remove both for a new authority";
                return Err(failed(&file)(io::Error::other(other)));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let pem = params.self_signed(&key).map_err(bad)?.pem();
                write(&file, &pem, 0o644, None)?;
                pem
            }
            Err(error) => return Err(failed(&file)(error)),
        };
        Ok(Self {
            folder: folder.to_path_buf(),
            pem,
            issuer: Issuer::new(params, key),
        })
    }

    /// The files of the part, as they are called from now on.
    #[must_use]
    pub fn files(&self, name: &str) -> Files {
        Files::of(&self.folder, name)
    }

    /// Gives the part a certificate of this lifetime, unless the one that it has holds for more than a third of it and for the same hosts.
    /// Answers whether it was given one.
    ///
    /// # Errors
    /// A file cannot be read or written, or the group is not known.
    pub fn renew(&self, part: &Part, lifetime: Duration) -> Result<bool, Error> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if part.name.is_empty() || !part.name.chars().all(plain) {
            return Err(Error::Name(part.name.clone()));
        }
        let group = part.group.as_deref().map(group).transpose()?;
        let files = self.files(&part.name);
        let folder = self.folder.join(&part.name);
        std::fs::create_dir_all(&folder).map_err(failed(&folder))?;
        permit(&folder, if group.is_some() { 0o750 } else { 0o700 }, group)?;
        let key = key(&files.key, group)?;
        let held = std::fs::read_to_string(&files.certificate).unwrap_or_default();
        let trusted = std::fs::read_to_string(&files.authority).is_ok_and(|pem| pem == self.pem);
        if trusted && speaks_of(&held, &key) && holds(&held, &part.hosts, lifetime / 3) {
            return Ok(false);
        }
        let bad = |error| Error::Certificate(files.certificate.clone(), error);
        let mut params = CertificateParams::new(part.hosts.clone()).map_err(bad)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, part.name.as_str());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        valid(&mut params, lifetime);
        let pem = params.signed_by(&key, &self.issuer).map_err(bad)?.pem();
        write(&files.authority, &self.pem, 0o644, None)?;
        write(&files.certificate, &pem, 0o644, None)?;
        Ok(true)
    }
}

/// Where the files of one part are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Its certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Whom it trusts.
    pub authority: PathBuf,
}

impl Files {
    /// Those of the part `name` below `folder`.
    #[must_use]
    pub fn of(folder: &Path, name: &str) -> Self {
        let file = |file: &str| folder.join(name).join(file);
        Self {
            certificate: file("tls.crt"),
            key: file("tls.key"),
            authority: file("ca.crt"),
        }
    }
}

/// What the certificate of the authority says; the same whenever it is read, but for its times and its number.
fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    valid(&mut params, AUTHORITY);
    params
}

/// From now for `lifetime`, under a number of its own.
fn valid(params: &mut CertificateParams, lifetime: Duration) {
    let now = SystemTime::now();
    params.not_before = (now - BEHIND).into();
    params.not_after = (now + lifetime).into();
    let number = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(1, |since| u64::try_from(since.as_nanos()).unwrap_or(1));
    params.serial_number = Some(SerialNumber::from(number));
}

/// The key in the file; a new one where there is none.
fn key(file: &Path, group: Option<Gid>) -> Result<KeyPair, Error> {
    let bad = |error| Error::Certificate(file.to_path_buf(), error);
    match std::fs::read_to_string(file) {
        Ok(pem) => KeyPair::from_pem(&pem).map_err(bad),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = KeyPair::generate().map_err(bad)?;
            let mode = if group.is_some() { 0o640 } else { 0o600 };
            write(file, &key.serialize_pem(), mode, group)?;
            Ok(key)
        }
        Err(error) => Err(failed(file)(error)),
    }
}

/// Whether the first certificate of the text is one of this key.
fn speaks_of(pem: &str, key: &KeyPair) -> bool {
    certificate(pem, |certificate| {
        use rcgen::PublicKeyData as _;
        *certificate.public_key().subject_public_key.data == *key.der_bytes()
    })
}

/// Whether the first certificate of the text names these hosts and no others, and is valid for longer than `left`.
fn holds(pem: &str, hosts: &[String], left: Duration) -> bool {
    use x509_parser::extensions::GeneralName;
    certificate(pem, |certificate| {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let ends = certificate.validity().not_after.timestamp();
        let enough = u64::try_from(ends).is_ok_and(|ends| ends > (now + left).as_secs());
        let names = certificate.subject_alternative_name().ok().flatten();
        let names = names.map_or(&[][..], |names| &names.value.general_names);
        let mut named: Vec<String> = names
            .iter()
            .filter_map(|name| match name {
                GeneralName::DNSName(name) => Some((*name).to_owned()),
                GeneralName::IPAddress(bytes) => {
                    let four = <[u8; 4]>::try_from(*bytes).map(std::net::IpAddr::from);
                    let sixteen = || <[u8; 16]>::try_from(*bytes).map(std::net::IpAddr::from);
                    four.or_else(|_| sixteen()).ok().map(|ip| ip.to_string())
                }
                _ => None,
            })
            .collect();
        let mut hosts = hosts.to_vec();
        named.sort();
        hosts.sort();
        enough && named == hosts
    })
}

fn certificate(
    pem: &str,
    what: impl FnOnce(&x509_parser::certificate::X509Certificate<'_>) -> bool,
) -> bool {
    let parsed = x509_parser::pem::parse_x509_pem(pem.as_bytes());
    parsed.is_ok_and(|(_, pem)| pem.parse_x509().is_ok_and(|certificate| what(&certificate)))
}

fn failed(path: &Path) -> impl Fn(io::Error) -> Error + use<> {
    let path = path.to_path_buf();
    move |error| Error::File(path.clone(), error)
}

fn group(name: &str) -> Result<Gid, Error> {
    if let Ok(number) = name.parse() {
        return Ok(Gid::from_raw(number));
    }
    let found = Group::from_name(name).ok().flatten();
    found
        .map(|group| group.gid)
        .ok_or_else(|| Error::Group(name.to_owned()))
}

fn permit(path: &Path, mode: u32, group: Option<Gid>) -> Result<(), Error> {
    if let Some(group) = group {
        chown(path, None, Some(group)).map_err(|error| failed(path)(error.into()))?;
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(failed(path))
}

/// Puts a file in its place, which nobody may read before it has its mode.
fn write(path: &Path, text: &str, mode: u32, group: Option<Gid>) -> Result<(), Error> {
    let new = path.with_extension("new");
    let _ = std::fs::remove_file(&new);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .map_err(failed(&new))?;
    io::Write::write_all(&mut file, text.as_bytes()).map_err(failed(&new))?;
    file.sync_all().map_err(failed(&new))?;
    permit(&new, mode, group)?;
    std::fs::rename(&new, path).map_err(failed(path))
}

#[cfg(test)]
mod tests;
