//! `stack.toml`: which versions may be downloaded, from where, and how each is verified.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

/// The list that comes with this program.
const SHIPPED: &str = include_str!("../../stack.toml");

/// All pinned programs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pins {
    program: Vec<Pin>,
}

/// One pinned program; `{arch}` in its URLs is already replaced.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pin {
    /// Its name, as in [`super::programs::Kind`].
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// The archive: `.tar.gz` or `.zip`.
    pub(crate) url: String,
    /// The publisher's file of checksums.
    pub(crate) checksums: Option<String>,
    #[serde(default)]
    sha256: BTreeMap<String, String>,
}

/// Why a list of pins is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file cannot be read.
    #[error("{0}")]
    Read(String, #[source] std::io::Error),
    /// The file is not TOML of this form.
    #[error("{0}")]
    Parse(String, #[source] toml::de::Error),
    /// A program of it cannot be used.
    #[error("{origin}: program {name:?}: {expected}")]
    Bad {
        /// The file.
        origin: String,
        /// The program.
        name: String,
        /// What was expected.
        expected: String,
    },
}

impl Pins {
    /// The list in `file`, or the one that comes with this program, for this machine's architecture.
    ///
    /// # Errors
    /// The file is not such a list; the error says where.
    pub(crate) fn load(file: Option<&Path>) -> Result<Self, Error> {
        match file {
            None => Self::parse(SHIPPED, "stack.toml", arch()),
            Some(path) => {
                let origin = path.display().to_string();
                let text = std::fs::read_to_string(path)
                    .map_err(|error| Error::Read(origin.clone(), error))?;
                Self::parse(&text, &origin, arch())
            }
        }
    }

    fn parse(text: &str, origin: &str, arch: &str) -> Result<Self, Error> {
        let mut pins: Self =
            toml::from_str(text).map_err(|error| Error::Parse(origin.to_owned(), error))?;
        for pin in &mut pins.program {
            pin.url = pin.url.replace("{arch}", arch);
            pin.checksums = pin
                .checksums
                .as_ref()
                .map(|url| url.replace("{arch}", arch));
            pin.sha256.retain(|of, _| of == arch);
            pin.check().map_err(|expected| Error::Bad {
                origin: origin.to_owned(),
                name: pin.name.clone(),
                expected,
            })?;
        }
        Ok(pins)
    }

    /// The pin of the program `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&Pin> {
        self.program.iter().find(|pin| pin.name == name)
    }
}

impl Pin {
    /// The checksum that the user has vouched for, in lower case.
    pub(crate) fn sha256(&self) -> Option<String> {
        self.sha256
            .values()
            .next()
            .map(|sum| sum.to_ascii_lowercase())
    }

    /// The last part of the URL: the archive's own name.
    pub(crate) fn file(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }

    fn check(&self) -> Result<(), String> {
        let plain = |text: &str| {
            !text.is_empty()
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || ".-+_".contains(c))
        };
        if !plain(&self.name) || !plain(&self.version) {
            return Err("expected letters, digits and .-+_ in name and version".to_owned());
        }
        for url in std::iter::once(&self.url).chain(&self.checksums) {
            if !url.starts_with("https://") && !loopback(url) {
                return Err(format!("expected an https URL, found {url}"));
            }
        }
        let file = self.file();
        if !plain(file) || !(file.ends_with(".tar.gz") || file.ends_with(".zip")) {
            return Err(format!(
                "expected a .tar.gz or .zip at the end of {}",
                self.url
            ));
        }
        if let Some(sum) = self.sha256()
            && !(sum.len() == 64 && sum.chars().all(|c| c.is_ascii_hexdigit()))
        {
            return Err(format!(
                "expected 64 hexadecimal digits, found sha256 {sum:?}"
            ));
        }
        if self.sha256().is_none() && self.checksums.is_none() {
            return Err(
                "expected `checksums` or `sha256`: what cannot be verified is not downloaded"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

/// Plain HTTP is for a server on this machine only.
fn loopback(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else {
        return false;
    };
    url.scheme() == "http" && matches!(url.host_str(), Some("127.0.0.1" | "[::1]"))
}

/// This machine's architecture as publishers write it.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_list_names_every_program_and_verifies_each() {
        let pins = Pins::load(None).unwrap();
        for (name, version) in [
            ("grafana", "13.2.0"),
            ("prometheus", "3.14.0"),
            ("alertmanager", "0.28.1"),
            ("loki", "3.7.6"),
            ("tempo", "3.0.3"),
        ] {
            let pin = pins.get(name).unwrap();
            assert_eq!(pin.version, version);
            assert!(
                pin.url.starts_with("https://")
                    && pin.url.contains(version)
                    && !pin.url.contains('{'),
                "{pin:?}"
            );
            assert!(pin.checksums.is_some());
        }
    }

    #[test]
    fn bad_lists_are_refused_with_the_reason() {
        let error = |rest: &str| {
            let text = format!("[[program]]\nname = \"a\"\nversion = \"1\"\n{rest}");
            Pins::parse(&text, "my.toml", "amd64").unwrap_err()
        };
        let text = error("url = \"https://x/a.zip\"").to_string();
        assert_eq!(
            text,
            "my.toml: program \"a\": expected `checksums` or `sha256`: what cannot be verified is not downloaded"
        );
        let text =
            error("url = \"http://example.com/a.zip\"\nchecksums = \"https://x/s\"").to_string();
        assert!(
            text.ends_with("expected an https URL, found http://example.com/a.zip"),
            "{text}"
        );
        let text = error("url = \"https://x/a.exe\"\nchecksums = \"https://x/s\"").to_string();
        assert!(
            text.ends_with("expected a .tar.gz or .zip at the end of https://x/a.exe"),
            "{text}"
        );
        let text = error("url = \"https://x/a.zip\"\nsha256 = { amd64 = \"abc\" }").to_string();
        assert!(
            text.ends_with("expected 64 hexadecimal digits, found sha256 \"abc\""),
            "{text}"
        );
        // A sum for another architecture vouches for nothing here.
        error("url = \"https://x/a.zip\"\nsha256 = { arm64 = \"abc\" }");
        let unknown = error("urll = \"https://x/a.zip\"");
        let cause = std::error::Error::source(&unknown).unwrap().to_string();
        assert!(cause.contains("unknown field `urll`"), "{cause}");
    }
}
