//! Grafana's settings, all as environment variables: its own `grafana.ini` is left alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::stack::provision::{APP, Provisioned};

/// What Grafana is told.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Its folder for the database, plugins and sessions.
    pub(crate) data: PathBuf,
    /// Port it listens on.
    pub(crate) port: u16,
    /// The URL in the user's browser.
    pub(crate) url: String,
    /// What it reads at its start.
    pub(crate) provisioned: Provisioned,
    /// The dashboard that a visitor lands on.
    pub(crate) home: Option<PathBuf>,
    /// A file with the password of `admin`.
    pub(crate) password: PathBuf,
    /// Whether whoever reaches its port may look without a password: only behind the gate, since Grafana hands on to Loki what a visitor sends.
    pub(crate) anonymous: bool,
    /// What provisioning reads, by the name of the variable: URLs of the data sources and of our services.
    pub(crate) sources: Vec<(&'static str, String)>,
}

impl Settings {
    /// The variables.
    pub(crate) fn env(&self) -> BTreeMap<String, String> {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let mut env: BTreeMap<String, String> = [
            ("GF_PATHS_DATA", path(&self.data)),
            ("GF_PATHS_LOGS", path(&self.data.join("log"))),
            ("GF_PATHS_PLUGINS", path(&self.provisioned.plugins)),
            (
                "GF_PATHS_PROVISIONING",
                path(&self.provisioned.provisioning),
            ),
            ("SOTP_DASHBOARDS_PATH", path(&self.provisioned.dashboards)),
            ("GF_SERVER_HTTP_ADDR", "127.0.0.1".into()),
            ("GF_SERVER_HTTP_PORT", self.port.to_string()),
            ("GF_SERVER_ROOT_URL", self.url.clone()),
            ("GF_LOG_MODE", "console".into()),
            ("GF_LOG_LEVEL", "warn".into()),
            // Who signed in and out, and what was saved: with router logging each request, of which the shipper keeps those that change something.
            (
                "GF_LOG_FILTERS",
                "http.server:info context:info auth:debug".into(),
            ),
            ("GF_SERVER_ROUTER_LOGGING", "true".into()),
            // Of what a click in the app sets off its own part; what nobody traces makes no spans here, however often a page asks.
            ("GF_TRACING_OPENTELEMETRY_SAMPLER_TYPE", "const".into()),
            // 0 would be taken for none given, which is 1.
            ("GF_TRACING_OPENTELEMETRY_SAMPLER_PARAM", "-1".into()),
            ("GF_TRACING_OPENTELEMETRY_OTLP_PROPAGATION", "w3c".into()),
            ("GF_ANALYTICS_REPORTING_ENABLED", "false".into()),
            ("GF_ANALYTICS_CHECK_FOR_UPDATES", "false".into()),
            ("GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES", "false".into()),
            ("GF_NEWS_NEWS_FEED_ENABLED", "false".into()),
            ("GF_PLUGINS_PREINSTALL_DISABLED", "true".into()),
            ("GF_PLUGINS_PUBLIC_KEY_RETRIEVAL_DISABLED", "true".into()),
            ("GF_PLUGINS_PLUGIN_ADMIN_ENABLED", "false".into()),
            ("GF_SECURITY_DISABLE_GRAVATAR", "true".into()),
            ("GF_USERS_ALLOW_SIGN_UP", "false".into()),
            // Whoever reaches this loopback port may look; changing anything takes the password.
            ("GF_AUTH_ANONYMOUS_ENABLED", self.anonymous.to_string()),
            ("GF_AUTH_ANONYMOUS_ORG_ROLE", "Viewer".into()),
            // Grafana reads the file by itself; a variable `…__FILE` would be for the start script of its image only.
            (
                "GF_SECURITY_ADMIN_PASSWORD",
                format!("$__file{{{}}}", path(&self.password)),
            ),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
        if let Some(home) = &self.home {
            env.insert(
                "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH".to_owned(),
                path(home),
            );
        }
        if self.provisioned.app {
            // It is ours and not signed by Grafana's makers.
            env.insert(
                "GF_PLUGINS_ALLOW_LOADING_UNSIGNED_PLUGINS".to_owned(),
                APP.to_owned(),
            );
        }
        env.extend(
            self.sources
                .iter()
                .map(|(key, url)| ((*key).to_owned(), url.clone())),
        );
        env
    }
}

/// The folder that Grafana must be told as its home, for a binary at `program`: an unpacked archive
/// has `bin/grafana` beside `conf/defaults.ini`, the Debian package keeps them in `/usr/share/grafana`.
pub(crate) fn home(program: &Path) -> Option<PathBuf> {
    let real = program.canonicalize().ok()?;
    let beside = real.parent().and_then(Path::parent).map(Path::to_path_buf);
    [beside, Some(PathBuf::from("/usr/share/grafana"))]
        .into_iter()
        .flatten()
        .find(|folder| folder.join("conf/defaults.ini").is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_listens_on_loopback_and_keeps_the_password_out_of_the_environment() {
        let settings = Settings {
            data: "/s/grafana".into(),
            port: 3000,
            url: "http://127.0.0.1:3001/".into(),
            provisioned: Provisioned {
                provisioning: "/s/grafana/provisioning".into(),
                dashboards: "/s/grafana/dashboards".into(),
                plugins: "/s/grafana/plugins".into(),
                config: "/s/grafana/sotp.ini".into(),
                app: true,
            },
            home: None,
            password: "/s/grafana.password".into(),
            anonymous: true,
            sources: vec![("SOTP_PROMETHEUS_URL", "http://127.0.0.1:9090".into())],
        };
        let env = settings.env();
        assert_eq!(env["GF_SERVER_HTTP_ADDR"], "127.0.0.1");
        assert_eq!(env["GF_SERVER_ROOT_URL"], "http://127.0.0.1:3001/");
        assert_eq!(env["GF_PATHS_PROVISIONING"], "/s/grafana/provisioning");
        assert_eq!(env["GF_PLUGINS_ALLOW_LOADING_UNSIGNED_PLUGINS"], "sotp-app");
        assert_eq!(env["SOTP_PROMETHEUS_URL"], "http://127.0.0.1:9090");
        assert_eq!(env["GF_AUTH_ANONYMOUS_ORG_ROLE"], "Viewer");
        // Polling makes no spans: what begins in Grafana itself is not sampled.
        assert_eq!(env["GF_TRACING_OPENTELEMETRY_SAMPLER_PARAM"], "-1");
        assert_eq!(env["GF_TRACING_OPENTELEMETRY_OTLP_PROPAGATION"], "w3c");
        assert_eq!(env["GF_AUTH_ANONYMOUS_ENABLED"], "true");
        let settings = Settings {
            anonymous: false,
            ..settings
        };
        assert_eq!(settings.env()["GF_AUTH_ANONYMOUS_ENABLED"], "false");
        assert_eq!(
            env["GF_SECURITY_ADMIN_PASSWORD"],
            "$__file{/s/grafana.password}"
        );
        assert!(!env.contains_key("GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"));
    }

    #[test]
    fn the_home_of_an_unpacked_archive_is_beside_bin() {
        let folder = std::env::temp_dir().join(format!("sotp-grafana-home-{}", std::process::id()));
        for path in ["bin", "conf"] {
            std::fs::create_dir_all(folder.join(path)).unwrap();
        }
        std::fs::write(folder.join("bin/grafana"), "").unwrap();
        std::fs::write(folder.join("conf/defaults.ini"), "").unwrap();
        assert_eq!(
            home(&folder.join("bin/grafana")),
            Some(folder.canonicalize().unwrap())
        );
        std::fs::remove_dir_all(folder).unwrap();
    }
}
