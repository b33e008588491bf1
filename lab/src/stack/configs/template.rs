//! Arguments and configuration files of our services, from the templates in `lab/services.toml`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use super::quoted;

/// The names of a template.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Names<'a> {
    /// Whether the stack watches a lab.
    pub(crate) lab: bool,
    /// A folder of the service's own.
    pub(crate) data: PathBuf,
    /// The inventory file.
    pub(crate) inventory: &'a Path,
    /// The address that devices send to.
    pub(crate) collector: String,
    /// The same with the port of syslog.
    pub(crate) syslog: SocketAddr,
    /// The user's `snmp.yml`.
    pub(crate) snmp_config: Option<&'a Path>,
    /// How the routers of a lab are logged in to.
    pub(crate) ssh: Option<&'a Ssh>,
    /// A folder of secrets that services share.
    pub(crate) secrets: &'a Path,
    /// Grafana's `root_url`, which its tokens name as their issuer; `None` where it does not run.
    pub(crate) grafana: Option<String>,
    /// The address of each process that runs.
    pub(crate) urls: &'a BTreeMap<String, String>,
    /// What follows the address of a part within braces: the certificates with which it is called, or nothing.
    pub(crate) tls: String,
    /// The same for who shows no certificate.
    pub(crate) ca: String,
}

/// How the routers of a lab are logged in to.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Ssh {
    /// The account of services.
    pub(crate) user: &'static str,
    /// Its private key.
    pub(crate) key: PathBuf,
    /// The routers' host keys.
    pub(crate) known_hosts: PathBuf,
}

/// What comes out of `template`; a name that does not exist is an error anywhere but as a condition.
///
/// # Errors
/// The template has a fault.
pub(crate) fn filled(template: &str, names: &Names) -> anyhow::Result<String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_keep_trailing_newline(true);
    environment.add_filter("quoted", |text: String| quoted(text));
    environment
        .render_str(template, names)
        .with_context(|| format!("a template of lab/services.toml: {template:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::services::launched;

    fn names(urls: &BTreeMap<String, String>) -> Names<'_> {
        Names {
            lab: true,
            data: "/x \"y\"".into(),
            inventory: Path::new("/i.yaml"),
            collector: "198.18.0.1".into(),
            syslog: "198.18.0.1:514".parse().unwrap(),
            snmp_config: None,
            ssh: None,
            secrets: Path::new("/secrets"),
            grafana: urls.get("grafana").map(|url| format!("{url}/")),
            urls,
            tls: ", ca_file: \"/ca\", cert_file: \"/cert\", key_file: \"/key\"".to_owned(),
            ca: ", ca_file: \"/ca\"".to_owned(),
        }
    }

    /// With and without everything that a template may ask for, each comes out whole, and each configuration as YAML.
    #[test]
    fn every_template_of_the_table_can_be_filled() {
        let few: BTreeMap<_, _> = launched()
            .map(|service| service.name.as_str())
            .chain(["prometheus", "alertmanager"])
            .map(|name| (name.to_owned(), "http://127.0.0.1:1".to_owned()))
            .collect();
        let mut all = few.clone();
        all.extend(
            ["loki", "tempo", "otlp-http", "grafana"]
                .map(|name| (name.to_owned(), "http://127.0.0.1:2".to_owned())),
        );
        let ssh = Ssh {
            user: "sotp",
            key: "/key".into(),
            known_hosts: "/known_hosts".into(),
        };
        for urls in [&few, &all] {
            for lab in [false, true] {
                let names = Names {
                    lab,
                    snmp_config: lab.then_some(Path::new("/s.yml")),
                    ssh: lab.then_some(&ssh),
                    ..names(urls)
                };
                for service in launched() {
                    for argument in &service.arguments {
                        let text = filled(argument, &names).unwrap();
                        assert!(
                            text.is_empty() || text.starts_with("--"),
                            "{}: {text}",
                            service.name
                        );
                    }
                    if let Some(config) = &service.config {
                        let text = filled(&config.text, &names).unwrap();
                        let _: serde_json::Value = serde_saphyr::from_str(&format!("# \n{text}"))
                            .unwrap_or_else(|error| panic!("{}: {error}\n{text}", service.name));
                    }
                }
            }
        }
    }

    #[test]
    fn a_name_that_is_not_there_is_an_error_and_as_a_condition_false() {
        let urls = BTreeMap::new();
        let filled = |text| filled(text, &names(&urls));
        assert!(filled("{{ folder }}").is_err());
        assert!(filled("{{ urls.loki ~ '/push' }}").is_err());
        assert_eq!(
            filled("{% if urls.loki %}a{% else %}b{% endif %}").unwrap(),
            "b"
        );
        assert_eq!(filled("{{ data | quoted }}").unwrap(), r#""/x \"y\"""#);
    }
}
