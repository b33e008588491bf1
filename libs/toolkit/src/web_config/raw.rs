//! The file as it is written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use http::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::access::{RateLimit, User};
use super::tls::{ClientAuth, Source, Tls, curve, suite, version};
use crate::Secret;
use crate::yaml::join;

/// Path inside the file and what is wrong there.
type Wrong = (String, String);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WebConfig {
    tls_server_config: Option<TlsServer>,
    http_server_config: Option<HttpServer>,
    basic_auth_users: Option<BTreeMap<String, Secret>>,
    rate_limit: Option<Rate>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TlsServer {
    cert: Option<String>,
    cert_file: Option<PathBuf>,
    key: Option<Secret>,
    key_file: Option<PathBuf>,
    client_ca: Option<String>,
    client_ca_file: Option<PathBuf>,
    client_auth_type: Option<String>,
    client_allowed_sans: Option<Vec<String>>,
    min_version: Option<String>,
    max_version: Option<String>,
    cipher_suites: Option<Vec<String>>,
    curve_preferences: Option<Vec<String>>,
    prefer_server_cipher_suites: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct HttpServer {
    http2: Option<bool>,
    headers: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rate {
    interval: Option<String>,
    burst: Option<u32>,
}

impl WebConfig {
    pub(super) fn check(self, origin: &Path) -> Result<super::WebConfig, Wrong> {
        let http = self.http_server_config.unwrap_or_default();
        let mut tls = self
            .tls_server_config
            .map_or(Ok(None), |tls| tls.check(origin))?;
        match (&mut tls, http.http2) {
            (Some(tls), wanted) => tls.http2 = wanted.unwrap_or(true),
            (None, Some(true)) => {
                return Err(wrong(
                    "http_server_config.http2",
                    "expected tls_server_config too, HTTP/2 is offered over TLS alone",
                ));
            }
            (None, _) => {}
        }
        let headers = http.headers.unwrap_or_default();
        let headers = headers
            .iter()
            .map(|(name, value)| header(name, value))
            .collect::<Result<_, _>>()?;
        let users = self.basic_auth_users.unwrap_or_default();
        let users = users.into_iter().map(|(name, hash)| {
            let path = join("basic_auth_users", &name);
            User::new(name, hash).map_err(|message| (path, message))
        });
        Ok(super::WebConfig {
            tls,
            headers,
            users: users.collect::<Result<_, _>>()?,
            rate_limit: self.rate_limit.map_or(Ok(None), Rate::check)?,
        })
    }
}

fn wrong(path: &str, message: impl Into<String>) -> Wrong {
    (path.to_owned(), message.into())
}

/// An empty string counts as absent, as it does for the exporters people come from.
fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn given_path(path: Option<PathBuf>) -> Option<PathBuf> {
    path.filter(|path| !path.as_os_str().is_empty())
}

impl TlsServer {
    fn check(self, origin: &Path) -> Result<Option<Tls>, Wrong> {
        let folder = origin.parent().unwrap_or(Path::new(""));
        let file = |path: PathBuf| Source::File(folder.join(path));
        let source = |name: &str, inline: Option<Source>, path: Option<PathBuf>| match (
            inline,
            given_path(path),
        ) {
            (Some(_), Some(_)) => Err(wrong(
                &format!("tls_server_config.{name}_file"),
                format!("expected one of {name} and {name}_file, found both"),
            )),
            (Some(inline), None) => Ok(Some(inline)),
            (None, path) => Ok(path.map(&file)),
        };
        let inline = |text| given(text).map(|text| Source::Inline(Secret::new(text)));
        let key = self
            .key
            .filter(|key| !key.reveal().is_empty())
            .map(Source::Inline);
        let cert = source("cert", inline(self.cert), self.cert_file)?;
        let key = source("key", key, self.key_file)?;
        let client_ca = source("client_ca", inline(self.client_ca), self.client_ca_file)?;
        let auth = given(self.client_auth_type);
        let sans = self.client_allowed_sans.unwrap_or_default();

        let rest = self.min_version.is_some()
            || self.max_version.is_some()
            || self.cipher_suites.is_some()
            || self.curve_preferences.is_some();
        let (cert, key) = match (cert, key) {
            (Some(cert), Some(key)) => (cert, key),
            (None, None) if client_ca.is_none() && auth.is_none() && sans.is_empty() && !rest => {
                return Ok(None);
            }
            (None, _) => return Err(wrong("tls_server_config", "expected cert_file or cert")),
            (_, None) => return Err(wrong("tls_server_config", "expected key_file or key")),
        };
        let client_auth = client_auth(auth.as_deref(), client_ca.is_some(), !sans.is_empty())?;
        let (min_version, max_version) = versions(self.min_version, self.max_version)?;
        let cipher_suites = named("cipher_suites", self.cipher_suites, suite)?;
        let curves = named("curve_preferences", self.curve_preferences, curve)?;
        let prefer_server = self.prefer_server_cipher_suites.unwrap_or(true);
        let tls = Tls {
            cert,
            key,
            client_ca,
            client_auth,
            client_allowed_sans: sans,
            min_version,
            max_version,
            cipher_suites,
            curves,
            prefer_server,
            http2: true,
        };
        tls.offers_something().then_some(Some(tls)).ok_or_else(|| {
            wrong(
                "tls_server_config.cipher_suites",
                "expected a suite of the versions between min_version and max_version",
            )
        })
    }
}

fn client_auth(name: Option<&str>, with_ca: bool, with_sans: bool) -> Result<ClientAuth, Wrong> {
    let path = "tls_server_config.client_auth_type";
    let auth = match name.unwrap_or("NoClientCert") {
        "NoClientCert" => ClientAuth::None,
        "RequestClientCert" => ClientAuth::Request,
        "RequireAnyClientCert" | "RequireClientCert" => ClientAuth::RequireAny,
        "VerifyClientCertIfGiven" => ClientAuth::VerifyIfGiven,
        "RequireAndVerifyClientCert" => ClientAuth::RequireAndVerify,
        other => {
            return Err(wrong(
                path,
                format!(
                    "expected NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert, found {other:?}"
                ),
            ));
        }
    };
    if auth.verifies() && !with_ca {
        return Err(wrong(
            path,
            "expected client_ca_file or client_ca too, nothing can be verified without it",
        ));
    }
    if with_ca && !auth.verifies() {
        return Err(wrong(
            path,
            "expected VerifyClientCertIfGiven or RequireAndVerifyClientCert, since a client CA is given",
        ));
    }
    if with_sans && !auth.verifies() {
        return Err(wrong(
            "tls_server_config.client_allowed_sans",
            "expected client_auth_type VerifyClientCertIfGiven or RequireAndVerifyClientCert, a name that is not verified proves nothing",
        ));
    }
    Ok(auth)
}

fn versions(min: Option<String>, max: Option<String>) -> Result<(u8, u8), Wrong> {
    let read = |name: &str, text: Option<String>, default| match given(text) {
        None => Ok(default),
        Some(text) => {
            version(&text).map_err(|message| wrong(&format!("tls_server_config.{name}"), message))
        }
    };
    let (min, max) = (read("min_version", min, 12)?, read("max_version", max, 13)?);
    if min > max {
        return Err(wrong(
            "tls_server_config.min_version",
            "expected at most max_version",
        ));
    }
    Ok((min, max))
}

fn named<T>(
    key: &str,
    names: Option<Vec<String>>,
    find: fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, Wrong> {
    let names = names.unwrap_or_default();
    let found = names.iter().enumerate().map(|(index, name)| {
        find(name).map_err(|message| (format!("tls_server_config.{key}[{index}]"), message))
    });
    found.collect()
}

/// The fields that exporter-toolkit lets set, with the values it lets them have.
fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Wrong> {
    let path = join("http_server_config.headers", name);
    let allowed: &[&str] = match name.to_ascii_lowercase().as_str() {
        "strict-transport-security" | "x-xss-protection" | "content-security-policy" => &[],
        "x-content-type-options" => &["nosniff"],
        "x-frame-options" => &["deny", "sameorigin"],
        _ => {
            return Err((path, "expected Strict-Transport-Security, X-Content-Type-Options, X-Frame-Options, X-XSS-Protection or Content-Security-Policy".to_owned()));
        }
    };
    if !allowed.is_empty() && !allowed.contains(&value.to_ascii_lowercase().as_str()) {
        return Err((
            path,
            format!("expected {}, found {value:?}", allowed.join(" or ")),
        ));
    }
    match (name.parse(), value.parse()) {
        (Ok(name), Ok(value)) => Ok((name, value)),
        _ => Err((path, "expected printable ASCII".to_owned())),
    }
}

impl Rate {
    /// As in exporter-toolkit an interval of zero, or none, means no limit.
    fn check(self) -> Result<Option<RateLimit>, Wrong> {
        let interval = given(self.interval).unwrap_or_else(|| "0".to_owned());
        let interval =
            units::duration(&interval).map_err(|message| wrong("rate_limit.interval", message))?;
        if interval.is_zero() {
            return Ok(None);
        }
        match self.burst {
            Some(burst) if burst > 0 => Ok(Some(RateLimit { interval, burst })),
            Some(_) => Err(wrong(
                "rate_limit.burst",
                "expected a number from 1, with 0 nothing would be answered",
            )),
            None => Err(wrong("rate_limit", "expected burst, a number from 1")),
        }
    }
}
