//! The sections of the configuration that say which single flows go where.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use loki::QueueSection;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use rustls_platform_verifier::BuilderVerifierExt as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toolkit::config::Ranged;
use toolkit::{ClientFiles, SecretFile};

use super::kafka::{Kafka, Login, Mechanism};
use super::{MOST_RULES, Rule, Selection};

/// Most brokers to begin with.
const MOST_BROKERS: usize = 100;

/// What is wrong with a section: the path inside it, and what was expected.
type Wrong = (String, String);

/// Flows to Loki as it is written.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LokiFlows {
    /// One conversation of so many is told, with all its flows.
    one_in: Ranged<u32, 1, 1_000_000>,
    /// Flows like one of these; all without any.
    only: Vec<Rule>,
    /// Lines a second; flows beyond are dropped and counted.
    lines_per_second: Ranged<u32, 1, 50_000>,
    /// Where they wait until Loki has them: not where the tables wait.
    queue: QueueSection,
}

impl Default for LokiFlows {
    fn default() -> Self {
        Self {
            one_in: Ranged::of(1),
            only: Vec::new(),
            lines_per_second: Ranged::of(500),
            queue: QueueSection {
                path: PathBuf::from("data/flows"),
                ..QueueSection::default()
            },
        }
    }
}

/// Flows to Kafka as it is written.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KafkaFlows {
    /// Brokers to begin with, `HOST:PORT`; they name the others.
    brokers: Vec<String>,
    /// The topic, which must exist.
    #[serde(default = "usual_topic")]
    topic: String,
    /// Flows in one message: 1 as goflow2 has it; more cost Kafka less, and `ClickHouse` reads them too.
    #[serde(default = "one_flow")]
    flows_per_message: Ranged<usize, 1, 4_000>,
    /// Compress by snappy.
    #[serde(default)]
    snappy: bool,
    /// One conversation of so many is told, with all its flows.
    #[serde(default = "everything")]
    one_in: Ranged<u32, 1, 1_000_000>,
    /// Flows like one of these; all without any.
    #[serde(default)]
    only: Vec<Rule>,
    /// Flows that wait in memory while Kafka is slow or away, 250 octets each; more are dropped and counted.
    #[serde(default = "usual_waiting")]
    waiting_flows: Ranged<usize, 1_000, 10_000_000>,
    /// Speak TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tls: Option<TlsSection>,
    /// Log in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sasl: Option<SaslSection>,
}

/// TLS to the brokers.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct TlsSection {
    /// PEM certificates that the brokers' must descend from, in place of those of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
    /// Certificate chain of the client, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    cert_file: Option<PathBuf>,
    /// Key of the client, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_file: Option<PathBuf>,
}

/// The login.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SaslSection {
    /// How the password is proved.
    #[serde(default)]
    mechanism: Mechanism,
    /// The user.
    username: String,
    /// The file with the password; read again at each connection.
    password_file: PathBuf,
}

fn usual_topic() -> String {
    "flows".to_owned()
}

fn one_flow() -> Ranged<usize, 1, 4_000> {
    Ranged::of(1)
}

fn everything() -> Ranged<u32, 1, 1_000_000> {
    Ranged::of(1)
}

fn usual_waiting() -> Ranged<usize, 1_000, 10_000_000> {
    Ranged::of(64_000)
}

/// Flows to Loki, checked.
#[derive(Debug, Clone)]
pub struct ToLoki {
    /// Which.
    pub selection: Selection,
    /// Lines a second.
    pub per_second: u32,
    /// Where they wait.
    pub queue: QueueSection,
}

/// Flows to Kafka, checked.
#[derive(Debug, Clone)]
pub struct ToKafka {
    /// Which.
    pub selection: Selection,
    /// Where to.
    pub kafka: Kafka,
    /// Flows that may wait.
    pub waiting: usize,
}

fn selection(one_in: u32, only: &[Rule]) -> Result<Selection, Wrong> {
    if only.len() > MOST_RULES {
        let message = format!("expected at most {MOST_RULES} rules");
        return Err(("only".to_owned(), message));
    }
    Ok(Selection {
        one_in,
        only: only.to_vec(),
    })
}

impl LokiFlows {
    /// Checks it; `tables` is where the tables wait.
    pub(crate) fn check(&self, tables: &QueueSection) -> Result<ToLoki, Wrong> {
        if self.queue.path == tables.path {
            let message = "expected another folder than that of the tables";
            return Err(("queue.path".to_owned(), message.to_owned()));
        }
        Ok(ToLoki {
            selection: selection(self.one_in.get(), &self.only)?,
            per_second: self.lines_per_second.get(),
            queue: self.queue.clone(),
        })
    }
}

impl KafkaFlows {
    /// Checks it; relative paths begin at `base`.
    pub(crate) fn check(&self, base: &Path) -> Result<ToKafka, Wrong> {
        let wrong = |path: &str, message: String| (path.to_owned(), message);
        if self.brokers.is_empty() || self.brokers.len() > MOST_BROKERS {
            return Err(wrong("brokers", format!("expected 1 to {MOST_BROKERS}")));
        }
        for (index, broker) in self.brokers.iter().enumerate() {
            let parts = broker.rsplit_once(':');
            let is_address = parts.is_some_and(|(host, port)| {
                !host.is_empty() && !host.contains(['/', '@']) && port.parse::<u16>().is_ok()
            });
            if !is_address {
                // Not repeated: somebody may have put a password into it.
                return Err(wrong(
                    &format!("brokers[{index}]"),
                    "expected HOST:PORT".to_owned(),
                ));
            }
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if !(1..=249).contains(&self.topic.len()) || !self.topic.chars().all(plain) {
            let message = "expected 1 to 249 letters, digits, dots, - and _";
            return Err(wrong("topic", message.to_owned()));
        }
        let tls = match &self.tls {
            None => None,
            Some(section) => {
                let config = section.client(base);
                Some(Arc::new(config.map_err(|(path, message)| {
                    wrong(&format!("tls.{path}"), message)
                })?))
            }
        };
        let login = match &self.sasl {
            None => None,
            Some(sasl) if sasl.mechanism == Mechanism::Plain && tls.is_none() => {
                let message = format!(
                    "expected TLS with it, or scram-sha-512: {} sends its password as it is",
                    sasl.username
                );
                return Err(wrong("sasl.mechanism", message));
            }
            Some(sasl) => {
                let file = base.join(&sasl.password_file);
                let password = SecretFile::open(&file).map_err(|error| {
                    let message = format!("expected a readable file, {}: {error}", file.display());
                    wrong("sasl.password_file", message)
                })?;
                Some(Login {
                    mechanism: sasl.mechanism,
                    username: sasl.username.clone(),
                    password: Arc::new(password),
                })
            }
        };
        Ok(ToKafka {
            selection: selection(self.one_in.get(), &self.only)?,
            kafka: Kafka {
                brokers: self.brokers.clone(),
                topic: self.topic.clone(),
                flows_per_message: self.flows_per_message.get(),
                snappy: self.snappy,
                tls,
                login,
            },
            waiting: self.waiting_flows.get(),
        })
    }
}

impl TlsSection {
    fn client(&self, base: &Path) -> Result<rustls::ClientConfig, Wrong> {
        let wrong = |key: &str, path: &Path, what: &dyn std::fmt::Display| {
            (key.to_owned(), format!("{}: {what}", path.display()))
        };
        let certificates =
            |key: &str, path: &Path| -> Result<Vec<CertificateDer<'static>>, Wrong> {
                let pem = std::fs::read(path).map_err(|error| wrong(key, path, &error))?;
                let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
                let all = all.map_err(|error| wrong(key, path, &error))?;
                if all.is_empty() {
                    return Err(wrong(key, path, &"expected a certificate in PEM"));
                }
                Ok(all)
            };
        let other = |error: rustls::Error| ("ca_file".to_owned(), error.to_string());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(other)?;
        let files = [&self.ca_file, &self.cert_file, &self.key_file];
        let files = ClientFiles::below(base, files)
            .map_err(|message| ("cert_file".to_owned(), message.to_owned()))?;
        let builder = match &files.authority {
            None => builder.with_platform_verifier().map_err(other)?,
            Some(path) => {
                let mut roots = rustls::RootCertStore::empty();
                for certificate in certificates("ca_file", path)? {
                    roots.add(certificate).map_err(other)?;
                }
                builder.with_root_certificates(roots)
            }
        };
        match files.identity {
            None => Ok(builder.with_no_client_auth()),
            Some((cert, path)) => {
                let secret = toolkit::read_secret(&path);
                let secret = secret.map_err(|error| wrong("key_file", &path, &error))?;
                let secret = PrivateKeyDer::from_pem_slice(&secret)
                    .map_err(|error| wrong("key_file", &path, &error))?;
                builder
                    .with_client_auth_cert(certificates("cert_file", &cert)?, secret)
                    .map_err(|error| wrong("cert_file", &cert, &error))
            }
        }
    }
}
