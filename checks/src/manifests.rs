//! Manifests as kustomize builds them: whether they are whole, small enough, and fit together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context;
use serde_json::Value;

use crate::{pods, tools};

/// Past this a client-side `kubectl apply` refuses an object, since it copies it into an annotation.
pub const LARGE: usize = 256 * 1024;
/// Past this every cluster refuses an object.
pub const TOO_LARGE: usize = 1024 * 1024;

/// Every object of the kustomization in `folder`.
///
/// # Errors
/// When kustomize refuses it or its output is not YAML.
pub fn build(kubectl: &Path, folder: &Path) -> anyhow::Result<(String, Vec<Value>)> {
    let text = tools::run(kubectl, &["kustomize", &folder.display().to_string()])?;
    let objects =
        serde_saphyr::from_multiple(&text).with_context(|| folder.display().to_string())?;
    Ok((text, objects))
}

/// How people name an object.
#[must_use]
pub fn name(object: &Value) -> String {
    let kind = object["kind"].as_str().unwrap_or("?");
    format!(
        "{kind}/{}",
        object["metadata"]["name"].as_str().unwrap_or("?")
    )
}

/// The namespace that an object lies in; empty where a build leaves it open.
#[must_use]
pub fn namespace(object: &Value) -> &str {
    object["metadata"]["namespace"].as_str().unwrap_or_default()
}

/// What is wrong with the objects of one build: those that are there twice, of a kind that may not be there, too large, or
/// with a pod that breaks the rules of [`pods`].
#[must_use]
pub fn problems(objects: &[Value]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    let privileged: BTreeSet<&str> = objects
        .iter()
        .filter(|object| {
            object["kind"] == "Namespace"
                && object["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
                    == "privileged"
        })
        .filter_map(|object| object["metadata"]["name"].as_str())
        .collect();
    for object in objects {
        let name = name(object);
        if !seen.insert((namespace(object).to_owned(), name.clone())) {
            problems.push(format!("{name}: is there twice"));
        }
        match object["kind"].as_str() {
            Some("Secret") if !object["data"].is_null() || !object["stringData"].is_null() => {
                problems.push(format!("{name}: a secret with data belongs into no file"));
            }
            Some(
                "CustomResourceDefinition"
                | "ClusterRole"
                | "ClusterRoleBinding"
                | "Role"
                | "RoleBinding",
            ) => {
                problems.push(format!(
                    "{name}: needs rights that this deployment does not ask for"
                ));
            }
            _ => {}
        }
        if object["spec"]["type"] == "LoadBalancer"
            && (object["spec"]["loadBalancerSourceRanges"].is_null()
                || object["spec"]["externalTrafficPolicy"] != "Local")
        {
            problems.push(format!(
                "{name}: a load balancer needs loadBalancerSourceRanges, and externalTrafficPolicy Local to keep them true"
            ));
        }
        if lets_out_to_metadata(object) {
            problems.push(format!(
                "{name}: lets out to every address, the cloud's metadata at 169.254.0.0/16 among them"
            ));
        }
        let size = object.to_string().len();
        if size > TOO_LARGE {
            problems.push(format!(
                "{name}: {size} bytes; a cluster takes {TOO_LARGE} at most"
            ));
        }
        let level = if privileged.contains(namespace(object)) {
            pods::Level::Privileged
        } else {
            pods::Level::Restricted
        };
        let found = pods::problems(object, level);
        problems.extend(
            found
                .into_iter()
                .map(|problem| format!("{name}: {problem}")),
        );
    }
    problems
}

fn lets_out_to_metadata(object: &Value) -> bool {
    let rules = object["spec"]["egress"].as_array().into_iter().flatten();
    let peers = rules.flat_map(|rule| rule["to"].as_array().into_iter().flatten());
    object["kind"] == "NetworkPolicy"
        && peers.map(|peer| &peer["ipBlock"]).any(|block| {
            let excepted = block["except"].as_array().into_iter().flatten();
            block["cidr"] == "0.0.0.0/0" && !excepted.into_iter().any(|one| one == "169.254.0.0/16")
        })
}

/// Names that Prometheus looks up in any case and that only a component brings.
const BROUGHT: [&str; 2] = ["cloudwatch:5000", "node-exporter.sotp-nodes:9100"];

/// What does not fit together in a whole deployment: services without pods, policies about nobody, volumes without a
/// source, addresses in the environment or in Prometheus' configuration that no service answers.
#[must_use]
pub fn fit_problems(objects: &[Value]) -> Vec<String> {
    let mut problems = Vec::new();
    let pods: Vec<(&Value, &Value)> = objects
        .iter()
        .filter_map(|object| pods::template(object).map(|pod| (object, pod)))
        .collect();
    let services = Services::of(objects);
    for object in objects {
        let selector = match object["kind"].as_str() {
            Some("Service") if object["spec"]["type"] == "ExternalName" => {
                let target = object["spec"]["externalName"].as_str().unwrap_or_default();
                if !services.known(namespace(object), target) {
                    problems.push(format!("{}: there is no {target}", name(object)));
                }
                continue;
            }
            Some("Service") => &object["spec"]["selector"],
            Some("NetworkPolicy") => &object["spec"]["podSelector"]["matchLabels"],
            Some("PodDisruptionBudget") => &object["spec"]["selector"]["matchLabels"],
            _ => continue,
        };
        let selected = |(owner, pod): &(&Value, &Value)| {
            namespace(owner) == namespace(object) && chosen(selector, &pod["metadata"]["labels"])
        };
        // Whoever chooses all chooses none in a namespace that is kept empty.
        if !selector.is_null() && !pods.iter().any(selected) {
            problems.push(format!("{}: selects no pod", name(object)));
        }
    }
    let mut there: BTreeSet<(&str, String)> = objects
        .iter()
        .map(|object| (namespace(object), name(object)))
        .collect();
    for set in objects {
        let claims = set["spec"]["volumeClaimTemplates"].as_array();
        for claim in claims.into_iter().flatten() {
            let claim = claim["metadata"]["name"].as_str().unwrap_or_default();
            for replica in 0..set["spec"]["replicas"].as_u64().unwrap_or(1) {
                let of = set["metadata"]["name"].as_str().unwrap_or_default();
                let name = format!("PersistentVolumeClaim/{claim}-{of}-{replica}");
                there.insert((namespace(set), name));
            }
        }
    }
    for (object, pod) in &pods {
        let (owner, own) = (name(object), namespace(object));
        for needed in pods::sources(pod) {
            if !there.contains(&(own, needed.clone())) {
                problems.push(format!("{owner}: mounts {needed}, which is not there"));
            }
        }
        problems.extend(
            pods::nested(pod)
                .into_iter()
                .map(|problem| format!("{owner}: {problem}")),
        );
        for url in pods::urls(pod) {
            problems.extend(
                services
                    .problem(own, &url)
                    .map(|problem| format!("{owner}: {problem}")),
            );
        }
    }
    for (own, addresses) in scraped(objects) {
        let absent = |address: &String| {
            let host = address.split(':').next().unwrap_or_default();
            BROUGHT.contains(&address.as_str())
                && !services.ports.contains_key(&service_of(own, host))
        };
        if addresses.iter().any(absent) {
            continue;
        }
        let found: Option<Vec<String>> = addresses
            .iter()
            .map(|address| services.problem(own, address))
            .collect();
        // Of several names one must be known.
        problems.extend(
            found
                .iter()
                .filter_map(|all| all.first())
                .map(|problem| format!("prometheus.yml: {problem}")),
        );
    }
    problems
}

/// Whether plain labels of a selector are all among `labels`.
pub(crate) fn chosen(selector: &Value, labels: &Value) -> bool {
    selector
        .as_object()
        .is_none_or(|wanted| wanted.iter().all(|(key, value)| labels[key] == *value))
}

/// The service that a name means to a pod in the namespace `own`: `NAME`, `NAME.NAMESPACE` or more of the cluster's name behind it.
pub(crate) fn service_of<'a>(own: &'a str, host: &'a str) -> (&'a str, &'a str) {
    let mut parts = host.split('.');
    let name = parts.next().unwrap_or_default();
    (parts.next().unwrap_or(own), name)
}

/// The services of a deployment with their ports, by number and by name.
struct Services<'a> {
    namespaces: BTreeSet<&'a str>,
    ports: BTreeMap<(&'a str, &'a str), BTreeSet<String>>,
}

impl<'a> Services<'a> {
    fn of(objects: &'a [Value]) -> Self {
        let services = objects.iter().filter(|object| object["kind"] == "Service");
        let ports = |service: &Value| {
            let ports = service["spec"]["ports"].as_array().into_iter().flatten();
            let names = |port: &Value| {
                let name = port["name"].as_str().unwrap_or_default().to_owned();
                [port["port"].to_string(), name]
            };
            ports.flat_map(names).collect()
        };
        Self {
            namespaces: objects.iter().map(namespace).collect(),
            ports: services
                .map(|service| {
                    let name = service["metadata"]["name"].as_str().unwrap_or_default();
                    ((namespace(service), name), ports(service))
                })
                .collect(),
        }
    }

    /// Whether the service is there, or lies outside of what is known.
    fn known(&self, own: &str, host: &str) -> bool {
        let (namespace, name) = service_of(own, host);
        !self.namespaces.contains(namespace) || self.ports.contains_key(&(namespace, name))
    }

    /// `host:port`, with a scheme before it or a path behind it, must be a service with that port. What lies in no namespace of the
    /// deployment and addresses of the pod itself are somebody else's; of a service that is an alias only the name is known.
    fn problem(&self, own: &str, address: &str) -> Option<String> {
        let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
        let (host, port) = rest
            .split('/')
            .next()
            .unwrap_or_default()
            .rsplit_once(':')?;
        let (namespace, name) = service_of(own, host);
        if host == "localhost" || (host.contains('.') && !self.namespaces.contains(namespace)) {
            // Of the moved ones the usual name answers.
            return host
                .contains(".sotp-")
                .then(|| format!("no service answers at {host}:{port}"));
        }
        let ports = self.ports.get(&(namespace, name));
        let known = ports.is_some_and(|ports| ports.is_empty() || ports.contains(port));
        (!known).then(|| format!("no service answers at {host}:{port}"))
    }
}

/// The addresses that each Prometheus is configured to ask or to send to, with its namespace; those of one discovery together.
fn scraped(objects: &[Value]) -> Vec<(&str, Vec<String>)> {
    let mut found = Vec::new();
    for object in objects {
        if let Some(text) = object["data"]["prometheus.yml"].as_str() {
            let all = scraped_text(text);
            found.extend(all.into_iter().map(|one| (namespace(object), one)));
        }
    }
    found
}

/// The same of one `prometheus.yml`.
pub(crate) fn scraped_text(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    if let Ok(config) = serde_saphyr::from_str::<Value>(text) {
        collect(&config, &mut found);
    }
    found
}

/// The address behind one name of a DNS discovery: for an A record the port stands beside it, for an SRV record
/// (`_port._tcp.service`) it is the port of that name.
fn discovered(name: &str, discovery: &Value) -> String {
    match name
        .strip_prefix('_')
        .and_then(|rest| rest.split_once("._tcp."))
    {
        Some((port, service)) => format!("{service}:{port}"),
        None => format!("{name}:{}", discovery["port"]),
    }
}

fn collect(value: &Value, found: &mut Vec<Vec<String>>) {
    let texts = |value: &Value| {
        let items = value.as_array().into_iter().flatten();
        items
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                if key == "targets" {
                    found.extend(texts(value).into_iter().map(|one| vec![one]));
                } else if key == "dns_sd_configs" {
                    for one in value.as_array().into_iter().flatten() {
                        let names = texts(&one["names"]);
                        found.push(names.iter().map(|name| discovered(name, one)).collect());
                    }
                } else {
                    collect(value, found);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}
