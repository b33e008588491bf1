//! Who is configured to call whom, held against the network policies: a call must be let out by those of the caller and let in by those
//! of the one that is called. Without it a deployment is well formed and silent.

use serde_json::{Value, json};

use crate::{manifests, pods};

/// The calls that a deployment is configured to make and its policies do not allow.
#[must_use]
pub fn problems(objects: &[Value]) -> Vec<String> {
    let pods: Vec<Pod> = objects
        .iter()
        .filter_map(|object| Pod::of(object, objects))
        .collect();
    let mut problems = Vec::new();
    for caller in &pods {
        let mut addresses = calls(caller.namespace, caller.template, objects);
        addresses.sort();
        addresses.dedup();
        for (host, port) in addresses {
            let mut problem = |who: &Pod, direction: &str, port: &dyn std::fmt::Display| {
                problems.push(format!(
                    "{} is configured to call {host} at {port}: no policy of {} allows it ({direction})",
                    caller.name, who.name
                ));
            };
            match answers(objects, &pods, caller.namespace, &host, &port) {
                Some(Answer::Pod(called, port)) => {
                    if !allowed(objects, caller, &called.peer(), "Egress", &port) {
                        problem(caller, "Egress", &port.number);
                    }
                    // No policy governs who uses the network of its node.
                    if !called.of_the_node()
                        && !allowed(objects, called, &caller.peer(), "Ingress", &port)
                    {
                        problem(called, "Ingress", &port.number);
                    }
                }
                Some(Answer::Elsewhere(namespace)) => {
                    let number = port.parse().unwrap_or(0);
                    let peer = Peer {
                        namespace: &namespace,
                        of_namespace: json!({ NAMESPACE: namespace }),
                        of_pod: None,
                        of_the_node: false,
                    };
                    let port = Port {
                        number,
                        name: String::new(),
                    };
                    if !allowed(objects, caller, &peer, "Egress", &port) {
                        problem(caller, "Egress", &port.number);
                    }
                }
                // `manifests::fit_problems` tells of those that nobody answers.
                None => {}
            }
        }
    }
    problems
}

/// The label that every namespace has by itself.
const NAMESPACE: &str = "kubernetes.io/metadata.name";

struct Pod<'a> {
    name: &'a str,
    namespace: &'a str,
    of_namespace: Value,
    template: &'a Value,
}

impl<'a> Pod<'a> {
    fn of(object: &'a Value, objects: &[Value]) -> Option<Self> {
        let template = pods::template(object)?;
        let name = object["metadata"]["name"].as_str()?;
        let namespace = manifests::namespace(object);
        let own = objects.iter().find(|object| {
            object["kind"] == "Namespace" && object["metadata"]["name"] == namespace
        });
        let mut of_namespace = own.map_or(Value::Null, |own| own["metadata"]["labels"].clone());
        if !of_namespace.is_object() {
            of_namespace = json!({});
        }
        of_namespace[NAMESPACE] = namespace.into();
        Some(Self {
            name,
            namespace,
            of_namespace,
            template,
        })
    }

    fn labels(&self) -> &'a Value {
        &self.template["metadata"]["labels"]
    }

    fn of_the_node(&self) -> bool {
        self.template["spec"]["hostNetwork"] == true
    }

    fn peer(&self) -> Peer<'_> {
        Peer {
            namespace: self.namespace,
            of_namespace: self.of_namespace.clone(),
            of_pod: Some(self.labels()),
            of_the_node: self.of_the_node(),
        }
    }
}

/// The other side of a connection, as a policy sees it.
struct Peer<'a> {
    namespace: &'a str,
    of_namespace: Value,
    /// Not known of one outside of the deployment.
    of_pod: Option<&'a Value>,
    /// It has an address of its node, which only a block names.
    of_the_node: bool,
}

/// Who answers at an address.
enum Answer<'a> {
    Pod(&'a Pod<'a>, Port),
    /// Something in a namespace that is not part of the deployment.
    Elsewhere(String),
}

/// A port of a pod, by both of its names.
struct Port {
    number: u64,
    name: String,
}

/// Host and port of everything that a pod is told to call: in its arguments, its environment and the files of its `ConfigMap`s.
fn calls(namespace: &str, template: &Value, objects: &[Value]) -> Vec<(String, String)> {
    let mut texts = pods::urls(template);
    for source in pods::sources(template) {
        let files = objects
            .iter()
            .filter(|object| {
                manifests::namespace(object) == namespace && manifests::name(object) == source
            })
            .filter_map(|object| object["data"].as_object());
        for (name, text) in files.flatten() {
            let text = text.as_str().unwrap_or_default();
            if name == "prometheus.yml" {
                texts.extend(manifests::scraped_text(text).into_iter().flatten());
            }
            // What nginx hands on to.
            if name.ends_with(".conf") {
                let words = text.split("server ").skip(1);
                let upstreams = words.filter_map(|rest| rest.split_once(';'));
                texts.extend(upstreams.map(|(address, _)| address.to_owned()));
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

/// Who is behind a service's address, and its port there.
fn answers<'a>(
    objects: &[Value],
    pods: &'a [Pod<'a>],
    own: &str,
    host: &str,
    port: &str,
) -> Option<Answer<'a>> {
    let (namespace, name) = manifests::service_of(own, host);
    let service = objects.iter().find(|object| {
        object["kind"] == "Service"
            && object["metadata"]["name"] == name
            && manifests::namespace(object) == namespace
    })?;
    if let Some(alias) = service["spec"]["externalName"].as_str() {
        let (elsewhere, _) = manifests::service_of(own, alias);
        let ours = objects
            .iter()
            .any(|object| manifests::namespace(object) == elsewhere);
        return if ours {
            answers(objects, pods, own, alias, port)
        } else {
            Some(Answer::Elsewhere(elsewhere.to_owned()))
        };
    }
    let pod = pods.iter().find(|pod| {
        pod.namespace == namespace && manifests::chosen(&service["spec"]["selector"], pod.labels())
    })?;
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
    Some(Answer::Pod(pod, Port { number, name }))
}

/// Whether a policy of `who` lets a connection with `other` pass.
fn allowed(objects: &[Value], who: &Pod, other: &Peer, direction: &str, port: &Port) -> bool {
    let (rules, peers) = match direction {
        "Egress" => ("egress", "to"),
        _ => ("ingress", "from"),
    };
    let policies = objects.iter().filter(|object| {
        object["kind"] == "NetworkPolicy"
            && manifests::namespace(object) == who.namespace
            && selects(&object["spec"]["podSelector"], who.labels())
    });
    let meant = |peer: &Value| {
        if !peer["ipBlock"].is_null() {
            return other.of_the_node;
        }
        let of_namespace = if peer["namespaceSelector"].is_null() {
            other.namespace == who.namespace
        } else {
            selects(&peer["namespaceSelector"], &other.of_namespace)
        };
        of_namespace
            && !other.of_the_node
            && (peer["podSelector"].is_null()
                || other
                    .of_pod
                    .is_some_and(|labels| selects(&peer["podSelector"], labels)))
    };
    policies
        .flat_map(|policy| items(&policy["spec"][rules]))
        .any(|rule| {
            let peer = rule[peers].is_null() || items(&rule[peers]).any(meant);
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
