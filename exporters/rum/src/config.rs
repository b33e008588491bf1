//! The configuration file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use loki::{Destination, QueueSection, Section};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toolkit::config::{Bytes, Keys, Ranged};
use toolkit::{ConfigError, Configuration, SecretFile, http, yaml};

use crate::route::Pattern;

const DEFAULT: &str = include_str!("../default.yaml");
/// Most applications, origins and patterns.
const MOST: usize = 200;

/// The configuration as it is written.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    /// The origins of pages that may post, such as `https://grafana.example.net`; nobody may without one.
    origins: Vec<String>,
    /// The applications by name; others are counted as other.
    apps: Vec<String>,
    /// Patterns of paths that are one page, the first that matches: `{name}` is kept, `*` is not, `**` at the end is all that follows.
    routes: Vec<String>,
    /// Bounds.
    limits: RawLimits,
    /// Where exceptions go; without it they are only counted. Further keys: docs/loki.md.
    #[serde(skip_serializing_if = "Option::is_none")]
    loki: Option<Section>,
    /// Where they wait until Loki has them.
    queue: QueueSection,
    /// The collector that spans go to (OTLP over HTTP, `https://tempo:4318/v1/traces`); without it they are only counted. Of the keys of docs/loki.md
    /// those of the connection and of who we are.
    #[serde(skip_serializing_if = "Option::is_none")]
    traces: Option<Section>,
    /// File with a key of 16 bytes or more: lines then carry a pseudonym of the user, which is a hash under this key. Without it nothing is
    /// said of users.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_key_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RawLimits {
    /// Most routes of an application; others are counted as other.
    routes: Ranged<usize, 1, 10_000>,
    /// Longest payload, unpacked.
    payload_bytes: Bytes,
    /// Posts a second of all browsers together, and twice as many after a pause; others are told to come later.
    posts_per_second: Ranged<u32, 1, 100_000>,
}

impl Default for RawLimits {
    fn default() -> Self {
        Self {
            routes: Ranged::of(100),
            payload_bytes: Bytes(1 << 20),
            posts_per_second: Ranged::of(100),
        }
    }
}

impl Default for Raw {
    fn default() -> Self {
        let own = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
        Self {
            origins: Vec::new(),
            apps: own(&["grafana-frontend", "sotp-app"]),
            routes: own(&[
                "/",
                "/d/{uid}/**",
                "/a/{app}/{page}/**",
                "/a/{app}",
                "/login",
                "/explore",
                "/dashboards/**",
                "/alerting/**",
                "/connections/**",
                "/admin/**",
            ]),
            limits: RawLimits::default(),
            loki: None,
            queue: QueueSection::default(),
            traces: None,
            user_key_file: None,
        }
    }
}

/// The checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) origins: Vec<String>,
    pub(crate) apps: Vec<Arc<str>>,
    pub(crate) routes: Vec<Pattern>,
    pub(crate) most_routes: usize,
    pub(crate) payload_bytes: usize,
    pub(crate) posts_per_second: u32,
    pub(crate) loki: Option<Destination>,
    pub(crate) queue: QueueSection,
    pub(crate) traces: Option<Destination>,
    pub(crate) user_key: Option<Arc<SecretFile>>,
    /// Relative paths begin here.
    pub(crate) base: PathBuf,
    text: String,
}

impl Config {
    /// Reads and checks it.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub(crate) fn parse(text: &str, origin: &Path) -> Result<Self, ConfigError> {
        let raw: Raw = yaml::parse(text, origin)?;
        let at = |path: String, message: String| ConfigError::at(text, origin, path, message);
        for (key, list) in [
            ("origins", &raw.origins),
            ("apps", &raw.apps),
            ("routes", &raw.routes),
        ] {
            if list.len() > MOST {
                return Err(at(key.to_owned(), format!("expected at most {MOST}")));
            }
        }
        for (index, one) in raw.origins.iter().enumerate() {
            if !is_origin(one) {
                let message = format!(
                    "expected an origin such as https://grafana.example.net, without a path, found {one:?}"
                );
                return Err(at(format!("origins[{index}]"), message));
            }
        }
        for (index, app) in raw.apps.iter().enumerate() {
            if app.is_empty() || app.len() > 64 || app.contains(char::is_control) {
                return Err(at(
                    format!("apps[{index}]"),
                    "expected 1 to 64 characters".to_owned(),
                ));
            }
        }
        let mut routes = Vec::new();
        for (index, pattern) in raw.routes.iter().enumerate() {
            let pattern = Pattern::parse(pattern);
            routes.push(pattern.map_err(|message| at(format!("routes[{index}]"), message))?);
        }
        if !(1_024..=64 << 20).contains(&raw.limits.payload_bytes.0) {
            return Err(at(
                "limits.payload_bytes".to_owned(),
                "expected 1KiB to 64MiB".to_owned(),
            ));
        }
        let base = origin.parent().unwrap_or(Path::new(""));
        let loki = raw
            .loki
            .as_ref()
            .map(|section| section.check(base))
            .transpose();
        let loki = loki.map_err(|(field, message)| at(format!("loki.{field}"), message))?;
        let traces = raw.traces.as_ref().map(|section| section.check(base));
        let traces = traces.transpose();
        let traces = traces.map_err(|(field, message)| at(format!("traces.{field}"), message))?;
        let user_key = raw.user_key_file.as_ref().map(|file| {
            let key = SecretFile::open(base.join(file)).map_err(|error| error.to_string());
            let long = |key: &SecretFile| key.current().reveal().len() >= 16;
            match key {
                Ok(key) if long(&key) => Ok(Arc::new(key)),
                Ok(_) => Err("16 bytes or more".to_owned()),
                Err(error) => Err(format!("a readable file, {}: {error}", file.display())),
            }
        });
        let user_key = user_key
            .transpose()
            .map_err(|expected| at("user_key_file".to_owned(), format!("expected {expected}")))?;
        Ok(Self {
            traces,
            user_key,
            origins: raw.origins,
            apps: raw.apps.iter().map(|app| app.as_str().into()).collect(),
            routes,
            most_routes: raw.limits.routes.get(),
            payload_bytes: usize::try_from(raw.limits.payload_bytes.0).unwrap_or(usize::MAX),
            posts_per_second: raw.limits.posts_per_second.get(),
            loki,
            queue: raw.queue,
            base: base.to_owned(),
            text: text.to_owned(),
        })
    }

    /// Every key, for the reference page.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the reference page is written by a test")
    )]
    fn keys() -> Keys {
        Keys::of(&Raw::default())
    }
}

/// `scheme://host[:port]`, in lower case, as browsers send it.
fn is_origin(text: &str) -> bool {
    let uri = text.parse::<http::Uri>().ok();
    uri.is_some_and(|uri| {
        let scheme = uri.scheme_str().unwrap_or_default();
        let authority = uri
            .authority()
            .map(|authority| authority.as_str())
            .unwrap_or_default();
        matches!(scheme, "http" | "https")
            && !authority.contains('@')
            && text == format!("{scheme}://{authority}")
            && text == text.to_ascii_lowercase()
    })
}

impl Configuration for Config {
    const DEFAULT: &'static str = DEFAULT;

    fn masked(&self) -> String {
        // Secrets stand in files of their own; the text has only their paths.
        self.text.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `SOTP_UPDATE=1` writes it anew.
    #[test]
    fn the_printed_default_is_written_from_the_code() {
        let head = "Configuration of sotp-rum. Every value below is the default; what is left out keeps it. Relative paths begin at this \
                    file's folder. Sizes: 65536, 64KiB, 1MiB.";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("default.yaml");
        testkit::golden::hold(&path, &Config::keys().text(head));
    }

    /// `SOTP_UPDATE=1` writes it anew.
    #[test]
    fn the_reference_page_is_written_from_the_code() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let series = std::fs::read_to_string(package.join("tests/golden/metrics.txt")).unwrap();
        let page = toolkit::reference::page::<crate::app::Service>(
            Some(&Config::keys()),
            &[("Series", &series)],
        );
        testkit::golden::hold(&package.join("../../docs/reference/rum.md"), &page);
    }

    #[test]
    fn the_default_is_good_and_says_what_the_code_does() {
        let shown = |text: &str| {
            let config = Config::parse(text, Path::new("x")).unwrap();
            format!(
                "{:?}",
                Config {
                    text: String::new(),
                    ..config
                }
            )
        };
        assert_eq!(shown(DEFAULT), shown(""));
        let config = Config::parse("", Path::new("x")).unwrap();
        assert!(config.origins.is_empty());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            ("origins: ['*']", "origins[0]: expected an origin"),
            ("origins: [https://x/]", "origins[0]: expected an origin"),
            ("origins: [https://u:p@x]", "origins[0]: expected an origin"),
            (
                "origins: [https://X.example]",
                "origins[0]: expected an origin",
            ),
            ("routes: [d]", "routes[0]: expected a path"),
            ("apps: ['']", "apps[0]: expected 1 to 64"),
            ("limits: {routes: 0}", "limits.routes: 0 is out of bounds"),
            (
                "limits: {payload_bytes: 5}",
                "limits.payload_bytes: expected 1KiB",
            ),
            (
                "loki: {url: nowhere}",
                "loki.url: expected an http or https address",
            ),
            (
                "traces: {url: nowhere}",
                "traces.url: expected an http or https address",
            ),
            (
                "user_key_file: none",
                "user_key_file: expected a readable file, none",
            ),
            ("colour: red", "unknown key \"colour\""),
        ] {
            let error = Config::parse(text, Path::new("x.yaml"))
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
