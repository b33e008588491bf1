//! What is handed out of a build: Debian packages, their notices and parts lists, and an image made without a container engine.

pub mod deb;
pub mod image;
pub mod notices;
pub mod tree;
mod whole;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use services::{Devices, Service, Table};

/// Where the certificates of the packages are, as `sotp-certs.service` says.
pub const CERTIFICATES: &str = "/var/lib/sotp-certs";

/// What `packaging/packages.toml` says of one package.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Extra {
    /// Its configuration file in `packaging/etc`, else the `default.yml` of the crate.
    pub config: Option<String>,
    /// Further files of `packaging/etc`.
    pub conffiles: Vec<String>,
    /// Further arguments.
    pub arguments: Vec<String>,
    /// Lines of its socket unit.
    pub sockets: Vec<String>,
    /// Rights of the process.
    pub capabilities: Vec<String>,
    /// Packages of Debian that it calls.
    pub depends: Vec<String>,
}

/// One service as a package.
#[derive(Debug, Clone)]
pub struct Packaged {
    /// What the table says.
    pub service: Service,
    /// What `packages.toml` says.
    pub extra: Extra,
}

/// Every service of the table with what `packages.toml` says of it.
///
/// # Errors
/// A file cannot be read, or the two do not name the same services.
pub fn all(root: &Path) -> anyhow::Result<Vec<Packaged>> {
    let file = root.join("packaging/packages.toml");
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("cannot read {}", file.display()))?;
    let mut extras: BTreeMap<String, Extra> =
        toml::from_str(&text).context("packaging/packages.toml")?;
    let mut packages = Vec::new();
    for service in Table::ours()?.service {
        let extra = extras.remove(&service.name);
        let extra =
            extra.with_context(|| format!("packaging/packages.toml has no {}", service.name))?;
        packages.push(Packaged { service, extra });
    }
    if let Some(name) = extras.keys().next() {
        anyhow::bail!("packaging/packages.toml: {name} is no service");
    }
    Ok(packages)
}

impl Packaged {
    /// Its name after `sotp-`, as in `ping`.
    #[must_use]
    pub fn app(&self) -> &str {
        let name = &self.service.name;
        name.strip_prefix("sotp-").unwrap_or(name)
    }

    /// The programs in it.
    pub fn programs(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.service.name)
            .chain(&self.service.programs)
            .map(String::as_str)
    }

    /// The arguments of its unit.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![format!(
            "--web.listen-address=127.0.0.1:{}",
            self.service.port
        )];
        if let Some(config) = &self.extra.config {
            arguments.push(format!("--config.file=/etc/sotp/{config}"));
        }
        if self.service.devices == Devices::Inventory {
            arguments.push("--inventory.source=https://127.0.0.1:19870".to_owned());
            let cache = format!(
                "--inventory.cache-file=/var/lib/{}/inventory.json",
                self.service.name
            );
            arguments.push(cache);
        }
        arguments.extend(self.extra.arguments.iter().cloned());
        arguments
    }

    /// The variables of its unit: where its certificate is, as the server and the client that it is.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let app = self.app();
        let mut variables = vec![("SOTP_WEB_CONFIG_FILE", format!("/etc/sotp/web/{app}.yaml"))];
        if self.service.devices == Devices::Inventory {
            let file = |name: &str| format!("{CERTIFICATES}/{app}/{name}");
            variables.extend([
                ("SOTP_INVENTORY_CA_FILE", file("ca.crt")),
                ("SOTP_INVENTORY_CERT_FILE", file("tls.crt")),
                ("SOTP_INVENTORY_KEY_FILE", file("tls.key")),
            ]);
        }
        variables
    }

    /// The unit of what systemd listens on for it, where there is something.
    #[must_use]
    pub fn socket(&self) -> Option<String> {
        let lines = &self.extra.sockets;
        (!lines.is_empty()).then(|| {
            format!(
                "[Unit]\nDescription=SOTP: what {0} listens on\n\n[Socket]\n{1}\nReceiveBuffer=32M\nService={0}.service\n\n[Install]\nWantedBy=sockets.target\n",
                self.service.name,
                lines.join("\n")
            )
        })
    }

    /// Its unit for systemd.
    #[must_use]
    pub fn unit(&self, template: &str) -> String {
        let mut after = String::new();
        if self.service.devices == Devices::Inventory {
            after.push_str(" sotp-inventory.service");
        }
        for other in &self.service.after {
            after.push_str(&format!(" {other}.service"));
        }
        // A right over the machine's network is none inside a user namespace.
        let users = if self.extra.capabilities.is_empty() {
            "yes"
        } else {
            "no"
        };
        let sockets = if self.extra.sockets.is_empty() {
            String::new()
        } else {
            format!("Sockets={}.socket\n", self.service.name)
        };
        let environment: String = self
            .environment()
            .iter()
            .map(|(name, value)| format!("Environment={name}={value}\n"))
            .collect();
        let values = [
            ("{environment}", environment.as_str()),
            ("{sockets}", sockets.as_str()),
            ("{about}", self.service.about.as_str()),
            ("{after}", &after),
            ("{name}", &self.service.name),
            ("{app}", self.app()),
            ("{arguments}", &self.arguments().join(" ")),
            ("{capabilities}", &self.extra.capabilities.join(" ")),
            ("{users}", users),
        ];
        values
            .iter()
            .fold(template.to_owned(), |text, (name, value)| {
                text.replace(name, value)
            })
    }
}
