//! The folders that Grafana reads at its start: data sources, dashboards, and the SOTP app where it was built.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use certs::Files;
use serde_json::Value;

use super::home::Home;

/// The plugin's id, which is the name of its folder too.
pub(crate) const APP: &str = "sotp-app";

/// What was laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Provisioned {
    /// `paths.provisioning`.
    pub(crate) provisioning: PathBuf,
    /// The dashboards, a folder of Grafana each.
    pub(crate) dashboards: PathBuf,
    /// `paths.plugins`.
    pub(crate) plugins: PathBuf,
    /// The settings that have no environment variable, for `--config`.
    pub(crate) config: PathBuf,
    /// Whether the app is there.
    pub(crate) app: bool,
}

/// Lays everything out in `data`. The dashboards are links to the files of the checkout: a change of one is seen at once. Only folders
/// of dashboards are linked: Grafana would take each JSON file below its folder for one, those of the app's sources too.
///
/// # Errors
/// Something cannot be read or written.
pub(crate) fn provision(
    home: &Home,
    data: &Path,
    tls: Option<&Files>,
) -> anyhow::Result<Provisioned> {
    let place = |name: &str| -> anyhow::Result<PathBuf> {
        let folder = data.join(name);
        // What an earlier run laid out may be of another build.
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| folder.display().to_string());
            }
            _ => {}
        }
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(folder)
    };
    let made = Provisioned {
        provisioning: place("provisioning")?,
        dashboards: place("dashboards")?,
        plugins: place("plugins")?,
        config: data.join("sotp.ini"),
        app: home.app().is_some(),
    };
    let section = if made.app {
        format!("[navigation.app_sections]\n{APP} = root 50\n")
    } else {
        String::new()
    };
    fs::write(&made.config, section).with_context(|| made.config.display().to_string())?;
    // Grafana logs an error for each of these that is not there.
    for kind in ["alerting", "dashboards", "datasources", "plugins"] {
        let to = made.provisioning.join(kind);
        fs::create_dir_all(&to).with_context(|| to.display().to_string())?;
        // It refuses to start when it is told of an app that it does not have.
        if kind == "plugins" && !made.app {
            continue;
        }
        if let Some(from) = home.provisioning().map(|from| from.join(kind)) {
            copy(&from, &to)?;
        }
    }
    if let Some(files) = tls {
        let file = made.provisioning.join("datasources/sotp.yaml");
        let written = fs::read_to_string(&file)
            .context("read")
            .and_then(|text| known(&text, files))
            .and_then(|text| fs::write(&file, text).context("write"));
        written.with_context(|| file.display().to_string())?;
    }
    for (folder, files) in home.dashboards()? {
        let to = made.dashboards.join(folder);
        fs::create_dir_all(&to).with_context(|| to.display().to_string())?;
        for file in files {
            let name = file.file_name().context("a dashboard without a name")?;
            let link = to.join(name);
            std::os::unix::fs::symlink(&file, &link).with_context(|| link.display().to_string())?;
        }
    }
    if let Some(app) = home.app() {
        let to = made.plugins.join(APP);
        fs::create_dir_all(&to).with_context(|| to.display().to_string())?;
        copy(&app, &to)?;
    }
    Ok(made)
}

/// The data sources of the file with a certificate for each, which Grafana shows and whose authority it trusts.
fn known(text: &str, files: &Files) -> anyhow::Result<String> {
    let mut all: Value = serde_saphyr::from_str(text)?;
    let sources = all.get_mut("datasources").and_then(Value::as_array_mut);
    for source in sources.context("no datasources")? {
        for key in ["tlsAuth", "tlsAuthWithCACert"] {
            source["jsonData"][key] = true.into();
        }
        for (key, file) in [
            ("tlsCACert", &files.authority),
            ("tlsClientCert", &files.certificate),
            ("tlsClientKey", &files.key),
        ] {
            source["secureJsonData"][key] = format!("$__file{{{}}}", file.display()).into();
        }
    }
    // JSON is YAML (YAML 1.2 §1.3).
    Ok(format!("{all:#}\n"))
}

/// The files of a folder, and of those in it.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let Ok(entries) = from.read_dir() else {
        return Ok(());
    };
    for entry in entries {
        let (from, to) = {
            let entry = entry.with_context(|| from.display().to_string())?;
            (entry.path(), to.join(entry.file_name()))
        };
        if from.is_dir() {
            fs::create_dir_all(&to).with_context(|| to.display().to_string())?;
            copy(&from, &to)?;
        } else {
            fs::copy(&from, &to).with_context(|| to.display().to_string())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn only_dashboards_are_given_for_dashboards_and_the_app_where_it_was_built() {
        let folder = std::env::temp_dir().join(format!("sotp-provision-{}", std::process::id()));
        let checkout = folder.join("checkout");
        write(&checkout.join("alerts/rules/x.yaml"), "");
        write(&checkout.join("dashboards/network/now.json"), "{}");
        write(&checkout.join("dashboards/app/package.json"), "{}");
        write(
            &checkout.join("dashboards/provisioning/datasources/sotp.yaml"),
            "a",
        );
        write(
            &checkout.join("dashboards/provisioning/plugins/sotp.yaml"),
            "b",
        );
        let home = Home::find(Some(&checkout)).unwrap();
        let data = folder.join("grafana");
        let made = provision(&home, &data, None).unwrap();
        assert!(!made.app);
        assert!(made.provisioning.join("datasources/sotp.yaml").is_file());
        assert!(made.provisioning.join("alerting").is_dir());
        assert!(!made.provisioning.join("plugins/sotp.yaml").exists());
        assert_eq!(fs::read_to_string(&made.config).unwrap(), "");
        let now = made.dashboards.join("network/now.json");
        assert_eq!(
            fs::read_link(now).unwrap(),
            checkout.join("dashboards/network/now.json")
        );
        assert!(!made.dashboards.join("app").exists());

        write(&checkout.join("target/app/dist/plugin.json"), "{}");
        write(&checkout.join("target/app/dist/img/logo.svg"), "");
        let made = provision(&home, &data, None).unwrap();
        assert!(made.app);
        assert!(made.plugins.join("sotp-app/img/logo.svg").is_file());
        assert!(made.provisioning.join("plugins/sotp.yaml").is_file());
        let section = fs::read_to_string(&made.config).unwrap();
        assert_eq!(section, "[navigation.app_sections]\nsotp-app = root 50\n");
        // With certificates each source shows one; what else it says stays.
        let text = "datasources: [{uid: prom, jsonData: {httpMethod: POST}}, {uid: am}]";
        write(
            &checkout.join("dashboards/provisioning/datasources/sotp.yaml"),
            text,
        );
        let files = Files::of(Path::new("/tls"), "grafana");
        let made = provision(&home, &data, Some(&files)).unwrap();
        let text = fs::read_to_string(made.provisioning.join("datasources/sotp.yaml")).unwrap();
        let all: Value = serde_json::from_str(&text).unwrap();
        let source = |at: usize| &all["datasources"][at];
        assert_eq!(source(0)["jsonData"]["httpMethod"], "POST");
        for at in [0, 1] {
            assert_eq!(source(at)["jsonData"]["tlsAuth"], true);
            let key = &source(at)["secureJsonData"]["tlsClientKey"];
            assert_eq!(key, "$__file{/tls/grafana/tls.key}");
        }
        fs::remove_dir_all(folder).unwrap();
    }
}
