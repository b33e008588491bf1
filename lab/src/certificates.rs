//! Certificates, made anew for each lab: that with which the collector of syslog shows itself to the routers that use TLS, and those of
//! other servers.

use std::io;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::topology::COLLECTOR;

/// The name in the collector's certificate.
pub(crate) const NAME: &str = "collector.lab";
/// The file that routers trust, in the lab's folder.
pub(crate) const AUTHORITY: &str = "syslog-ca.pem";
/// The collector's certificate and its key.
const COLLECTOR_FILES: [&str; 2] = ["syslog.pem", "syslog.key"];

/// Writes the authority and the collector's certificate with its key. The authority's key is kept by nobody.
pub(crate) fn write(folder: &Path) -> io::Result<()> {
    let names = vec![NAME.to_owned(), COLLECTOR.to_string()];
    let (authority, certificate, key) = make(names).map_err(io::Error::other)?;
    let [certificate_file, key_file] = COLLECTOR_FILES;
    for (name, text) in [
        (AUTHORITY, authority),
        (certificate_file, certificate),
        (key_file, key),
    ] {
        crate::files::file(&folder.join(name), &text, 0o600)?;
    }
    Ok(())
}

/// An authority, and the certificate that it gives a server of these names, with its key: PEM each. The first name stands in the subject.
pub(crate) fn make(names: Vec<String>) -> Result<(String, String, String), rcgen::Error> {
    let mut authority = CertificateParams::default();
    authority
        .distinguished_name
        .push(DnType::CommonName, "Authority of this lab");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate()?;
    let root = authority.self_signed(&key)?.pem();
    let issuer = Issuer::new(authority, key);

    let subject = names.first().cloned().unwrap_or_default();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, subject);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?.pem();
    Ok((root, certificate, key.serialize_pem()))
}
