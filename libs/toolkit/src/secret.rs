//! Secrets that do not show.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize, Serializer};
use zeroize::Zeroizing;

/// What stands in the place of a secret.
const MASK: &str = "<secret>";

/// A string that never shows itself: `Debug`, `Display` and serde write a mask; the memory is overwritten at the end.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret(#[serde(with = "plain")] Zeroizing<String>);

mod plain {
    use serde::Deserialize;
    use zeroize::Zeroizing;

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        from: D,
    ) -> Result<Zeroizing<String>, D::Error> {
        String::deserialize(from).map(Zeroizing::new)
    }
}

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The secret itself, for the one call that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(MASK)
    }
}

/// The address of a receiver that may have credentials in it: a user and password, a token in the path or in the query. It shows its scheme
/// and host alone.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SecretUrl(String);

impl SecretUrl {
    /// The address itself, for the one call that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    fn shown(&self) -> String {
        let Some((scheme, rest)) = self.0.split_once("://") else {
            // No address: all of it may be the secret.
            return if self.0.is_empty() {
                String::new()
            } else {
                MASK.to_owned()
            };
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let host = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        let user = if host == authority { "" } else { MASK };
        let at = if user.is_empty() { "" } else { "@" };
        let path = match path {
            "" | "/" => path.to_owned(),
            _ => format!("/{MASK}"),
        };
        format!("{scheme}://{user}{at}{host}{path}")
    }
}

impl From<String> for SecretUrl {
    fn from(url: String) -> Self {
        Self(url)
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl Serialize for SecretUrl {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.shown())
    }
}

/// The text with the user information of every address in it masked: `https://<secret>@host/path`. For texts that people wrote and others
/// read, such as a configuration.
#[must_use]
pub fn without_passwords(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        // RFC 3986 section 3.2: what stands before the last @ of the authority. A blank or a quote ends an address.
        let end = after
            .find(|c: char| {
                c.is_whitespace()
                    || matches!(c, '/' | '?' | '#' | '"' | '\'' | '<' | '>' | '\\' | '`')
            })
            .unwrap_or(after.len());
        match after[..end].rfind('@') {
            Some(at) => {
                out.push_str(MASK);
                rest = &after[at..];
            }
            None => rest = after,
        }
    }
    out.push_str(rest);
    out
}

/// Largest secret in bytes.
const LARGEST: u64 = 64 * 1024;

/// The content of a file without its last line end.
pub(crate) fn read_file(path: &Path) -> std::io::Result<Secret> {
    if std::fs::metadata(path)?.len() > LARGEST {
        return Err(std::io::Error::new(
            std::io::ErrorKind::FileTooLarge,
            "a secret has at most 64 KiB",
        ));
    }
    let mut text = Zeroizing::new(std::fs::read_to_string(path)?);
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(Secret(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_show_no_credentials() {
        for (url, shown) in [
            (
                "https://hooks.example.net/services/T0/B0/token",
                "https://hooks.example.net/<secret>",
            ),
            ("http://u:p@h:9/x?token=y", "http://<secret>@h:9/<secret>"),
            ("http://h:9", "http://h:9"),
            ("http://h:9/", "http://h:9/"),
            ("http://h?token=y", "http://h/<secret>"),
            ("token", "<secret>"),
        ] {
            assert_eq!(SecretUrl::from(url.to_owned()).to_string(), shown, "{url}");
        }
        let text = "a: http://u:p@h/x@y\nb: \"ssh://git@h\", c: tls://h:1, d: 'http://a@b:p@h'\ne: u@h ://";
        assert_eq!(
            without_passwords(text),
            "a: http://<secret>@h/x@y\nb: \"ssh://<secret>@h\", c: tls://h:1, d: 'http://<secret>@h'\ne: u@h ://"
        );
    }

    #[test]
    fn secret_does_not_show() {
        let secret: Secret = serde_json::from_str("\"hunter2\"").unwrap();
        let shown = [
            format!("{secret}"),
            format!("{secret:?}"),
            serde_json::to_string(&secret).unwrap(),
        ];
        assert!(
            shown
                .iter()
                .all(|text| !text.contains("hunter2") && text.contains(MASK)),
            "{shown:?}"
        );
        assert_eq!(secret.reveal(), "hunter2");
    }
}
