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

/// What is wrong with the objects of one build: those that are there twice, of a kind that may not be there, too large, or
/// with a pod that breaks the rules of [`pods`].
#[must_use]
pub fn problems(objects: &[Value]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for object in objects {
        let name = name(object);
        if !seen.insert(name.clone()) {
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
        let found = pods::problems(object);
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

/// What does not fit together in a whole deployment: services without pods, policies about nobody, volumes without a
/// source, addresses in the environment or in Prometheus' configuration that no service answers.
#[must_use]
pub fn fit_problems(objects: &[Value]) -> Vec<String> {
    let mut problems = Vec::new();
    let pods: Vec<(String, &Value)> = objects
        .iter()
        .filter_map(|object| pods::template(object).map(|pod| (name(object), pod)))
        .collect();
    let ports = service_ports(objects);
    for object in objects {
        let selector = match object["kind"].as_str() {
            Some("Service") => &object["spec"]["selector"],
            Some("NetworkPolicy") => &object["spec"]["podSelector"]["matchLabels"],
            Some("PodDisruptionBudget") => &object["spec"]["selector"]["matchLabels"],
            _ => continue,
        };
        if !pods
            .iter()
            .any(|(_, pod)| chosen(selector, &pod["metadata"]["labels"]))
        {
            problems.push(format!("{}: selects no pod", name(object)));
        }
    }
    let there: BTreeSet<String> = objects.iter().map(name).collect();
    for (owner, pod) in &pods {
        for needed in pods::sources(pod) {
            if !there.contains(&needed) {
                problems.push(format!("{owner}: mounts {needed}, which is not there"));
            }
        }
        problems.extend(
            pods::nested(pod)
                .into_iter()
                .map(|problem| format!("{owner}: {problem}")),
        );
        for url in pods::urls(pod) {
            problems
                .extend(address_problem(&url, &ports).map(|problem| format!("{owner}: {problem}")));
        }
    }
    for address in scraped(objects) {
        problems.extend(
            address_problem(&address, &ports).map(|problem| format!("prometheus.yml: {problem}")),
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

/// The ports of each service, by number and by name.
fn service_ports(objects: &[Value]) -> BTreeMap<String, BTreeSet<String>> {
    let services = objects.iter().filter(|object| object["kind"] == "Service");
    let ports = |service: &Value| {
        let ports = service["spec"]["ports"].as_array().into_iter().flatten();
        ports
            .flat_map(|port| {
                [
                    port["port"].to_string(),
                    port["name"].as_str().unwrap_or_default().to_owned(),
                ]
            })
            .collect()
    };
    services
        .map(|service| {
            (
                service["metadata"]["name"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
                ports(service),
            )
        })
        .collect()
}

/// `host:port`, with a scheme before it or a path behind it, must be a service with that port. Names with dots in them
/// and addresses of the pod itself lie outside.
fn address_problem(address: &str, ports: &BTreeMap<String, BTreeSet<String>>) -> Option<String> {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let (host, port) = rest
        .split('/')
        .next()
        .unwrap_or_default()
        .rsplit_once(':')?;
    if host.contains('.') || host == "localhost" {
        return None;
    }
    let known = ports.get(host).is_some_and(|ports| ports.contains(port));
    (!known).then(|| format!("no service answers at {host}:{port}"))
}

/// The addresses that Prometheus is configured to ask or to send to.
fn scraped(objects: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    for text in objects
        .iter()
        .filter_map(|object| object["data"]["prometheus.yml"].as_str())
    {
        found.extend(scraped_text(text));
    }
    found
}

/// The same of one `prometheus.yml`.
pub(crate) fn scraped_text(text: &str) -> Vec<String> {
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

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                if key == "targets" {
                    found.extend(
                        value
                            .as_array()
                            .into_iter()
                            .flatten()
                            .filter_map(Value::as_str)
                            .map(str::to_owned),
                    );
                } else if key == "dns_sd_configs" {
                    for one in value.as_array().into_iter().flatten() {
                        let names = one["names"]
                            .as_array()
                            .into_iter()
                            .flatten()
                            .filter_map(Value::as_str);
                        found.extend(names.map(|name| discovered(name, one)));
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
