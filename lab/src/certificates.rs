//! The certificate with which the collector of syslog shows itself to the routers that use TLS, made anew for each lab.

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
    let (authority, certificate, key) = make().map_err(io::Error::other)?;
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

fn make() -> Result<(String, String, String), rcgen::Error> {
    let mut authority = CertificateParams::default();
    authority
        .distinguished_name
        .push(DnType::CommonName, "Authority of this lab");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate()?;
    let root = authority.self_signed(&key)?.pem();
    let issuer = Issuer::new(authority, key);

    let mut params = CertificateParams::new(vec![NAME.to_owned(), COLLECTOR.to_string()])?;
    params.distinguished_name.push(DnType::CommonName, NAME);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?.pem();
    Ok((root, certificate, key.serialize_pem()))
}
