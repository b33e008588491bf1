//! Who is configured to call whom, held against the network policies: a call must be let out by those of the caller and let in by those
//! of the one that is called. Without it a deployment is well formed and silent.

use serde_json::Value;

use crate::{manifests, pods};

/// The calls that a deployment is configured to make and its policies do not allow.
#[must_use]
pub fn problems(objects: &[Value]) -> Vec<String> {
    let pods: Vec<Pod> = objects.iter().filter_map(Pod::of).collect();
    let mut problems = Vec::new();
    for caller in &pods {
        let mut addresses = calls(caller.template, objects);
        addresses.sort();
        addresses.dedup();
        for (host, port) in addresses {
            let Some((called, port)) = answers(objects, &pods, &host, &port) else {
                // `manifests::fit_problems` tells of those that nobody answers.
                continue;
            };
            for (who, other, direction) in [(caller, called, "Egress"), (called, caller, "Ingress")]
            {
                if !allowed(objects, who, other, direction, &port) {
                    problems.push(format!(
                        "{} is configured to call {host} at {}: no policy of {} allows it ({direction})",
                        caller.name, port.number, who.name
                    ));
                }
            }
        }
    }
    problems
}

struct Pod<'a> {
    name: &'a str,
    template: &'a Value,
}

impl<'a> Pod<'a> {
    fn of(object: &'a Value) -> Option<Self> {
        let template = pods::template(object)?;
        let name = object["metadata"]["name"].as_str()?;
        Some(Self { name, template })
    }

    fn labels(&self) -> &'a Value {
        &self.template["metadata"]["labels"]
    }
}

/// A port of a pod, by both of its names.
struct Port {
    number: u64,
    name: String,
}

/// Host and port of everything that a pod is told to call: in its arguments, its environment and the files of its `ConfigMap`s.
fn calls(template: &Value, objects: &[Value]) -> Vec<(String, String)> {
    let mut texts = pods::urls(template);
    for source in pods::sources(template) {
        let files = objects
            .iter()
            .filter(|object| manifests::name(object) == source)
            .filter_map(|object| object["data"].as_object());
        for (name, text) in files.flatten() {
            let text = text.as_str().unwrap_or_default();
            if name == "prometheus.yml" {
                texts.extend(manifests::scraped_text(text));
            }
            // Dashboards and rules are full of links for people.
            let told = [".yaml", ".yml"].iter().any(|end| name.ends_with(end));
            if told && !source.contains("rules") && !source.contains("dashboards") {
                let lines = text
                    .lines()
                    .filter(|line| !line.trim_start().starts_with('#'));
                texts.extend(lines.flat_map(|line| {
                    line.match_indices("://")
                        .map(|(at, _)| format!("http{}", &line[at..]))
                }));
            }
        }
    }
    texts.iter().filter_map(|text| address(text)).collect()
}

/// `http://host:port/…` or `host:port`.
fn address(text: &str) -> Option<(String, String)> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let end = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '.' || c == ':');
    let (host, port) = rest.split(end).next()?.split_once(':')?;
    Some((host.to_owned(), port.to_owned()))
}

/// The pod behind a service's address, and its port there.
fn answers<'a>(
    objects: &[Value],
    pods: &'a [Pod<'a>],
    host: &str,
    port: &str,
) -> Option<(&'a Pod<'a>, Port)> {
    let service = objects
        .iter()
        .find(|object| object["kind"] == "Service" && object["metadata"]["name"] == host)?;
    let pod = pods
        .iter()
        .find(|pod| manifests::chosen(&service["spec"]["selector"], pod.labels()))?;
    let entry = items(&service["spec"]["ports"]).find(|entry| {
        port.parse() == Ok(entry["port"].as_u64().unwrap_or(0)) || entry["name"] == port
    })?;
    let target = &entry["targetPort"];
    let target = if target.is_null() {
        &entry["port"]
    } else {
        target
    };
    let own = items(&pod.template["spec"]["containers"])
        .flat_map(|container| items(&container["ports"]))
        .find(|own| own["name"] == *target || own["containerPort"] == *target)?;
    let number = own["containerPort"].as_u64()?;
    let name = own["name"].as_str().unwrap_or_default().to_owned();
    Some((pod, Port { number, name }))
}

/// Whether a policy of `who` lets a connection with `other` pass.
fn allowed(objects: &[Value], who: &Pod, other: &Pod, direction: &str, port: &Port) -> bool {
    let (rules, peers) = match direction {
        "Egress" => ("egress", "to"),
        _ => ("ingress", "from"),
    };
    let policies = objects.iter().filter(|object| {
        object["kind"] == "NetworkPolicy" && selects(&object["spec"]["podSelector"], who.labels())
    });
    policies
        .flat_map(|policy| items(&policy["spec"][rules]))
        .any(|rule| {
            let peer = rule[peers].is_null()
                || items(&rule[peers]).any(|peer| {
                    peer["namespaceSelector"].is_null()
                        && !peer["podSelector"].is_null()
                        && selects(&peer["podSelector"], other.labels())
                });
            let open = rule["ports"].is_null()
                || items(&rule["ports"])
                    .any(|one| one["port"] == port.number || one["port"] == port.name.as_str());
            peer && open
        })
}

/// Whether a label selector with all that Kubernetes knows in one chooses these labels.
fn selects(selector: &Value, labels: &Value) -> bool {
    manifests::chosen(&selector["matchLabels"], labels)
        && items(&selector["matchExpressions"]).all(|one| {
            let value = &labels[one["key"].as_str().unwrap_or_default()];
            let listed = items(&one["values"]).any(|wanted| wanted == value);
            match one["operator"].as_str() {
                Some("In") => listed,
                Some("NotIn") => !listed,
                Some("Exists") => !value.is_null(),
                Some("DoesNotExist") => value.is_null(),
                _ => false,
            }
        })
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
