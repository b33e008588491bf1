//! What is asked of every pod: the Pod Security Standard `restricted`, and what a good neighbour adds to it. In a namespace that is
//! privileged a pod may use what is the node's, and NET_RAW; all else is asked of it too.

use serde_json::Value;

/// Kinds of volume that `restricted` allows.
const VOLUMES: [&str; 8] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];
/// Kernel settings that a pod may change for itself without a node's consent.
const SYSCTLS: [&str; 5] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_syncookies",
];

/// The pod that an object makes, metadata and specification, if it makes any.
#[must_use]
pub fn template(object: &Value) -> Option<&Value> {
    match object["kind"].as_str()? {
        "Pod" => Some(object),
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Job" => {
            Some(&object["spec"]["template"])
        }
        "CronJob" => Some(&object["spec"]["jobTemplate"]["spec"]["template"]),
        _ => None,
    }
}

/// What the namespace of a pod allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Nothing of the node.
    Restricted,
    /// The node's network, processes, folders and ports, and NET_RAW.
    Privileged,
}

/// What is wrong with the pod that an object makes.
#[must_use]
pub fn problems(object: &Value, level: Level) -> Vec<String> {
    let Some(pod) = template(object) else {
        return Vec::new();
    };
    let spec = &pod["spec"];
    let privileged = level == Level::Privileged;
    let mut problems = Vec::new();
    let mut ask = |good: bool, problem: &str| {
        if !good {
            problems.push(problem.to_owned());
        }
    };
    let context = &spec["securityContext"];
    for host in ["hostNetwork", "hostPID", "hostIPC"] {
        ask(
            privileged || spec[host] != true,
            &format!("{host} must not be true"),
        );
    }
    // A capability that Kubernetes adds is in effect for root only.
    let raw = privileged
        && items(&spec["containers"])
            .flat_map(|one| items(&one["securityContext"]["capabilities"]["add"]))
            .any(|one| one == "NET_RAW");
    ask(
        raw || context["runAsNonRoot"] == true,
        "runAsNonRoot must be true",
    );
    ask(
        raw || context["runAsUser"].as_u64().is_some_and(|user| user > 0),
        "runAsUser must be a user that is not 0",
    );
    ask(
        context["seccompProfile"]["type"] == "RuntimeDefault",
        "seccompProfile must be RuntimeDefault",
    );
    ask(
        spec["automountServiceAccountToken"] == false,
        "automountServiceAccountToken must be false",
    );
    for sysctl in items(&context["sysctls"]) {
        ask(
            SYSCTLS.iter().any(|safe| sysctl["name"] == *safe),
            &format!("sysctl {} is not a safe one", sysctl["name"]),
        );
    }
    for volume in items(&spec["volumes"]) {
        let kinds = volume
            .as_object()
            .into_iter()
            .flat_map(|fields| fields.keys())
            .filter(|key| *key != "name");
        for kind in kinds {
            ask(
                VOLUMES.contains(&kind.as_str()) || (privileged && kind == "hostPath"),
                &format!("volume {} is a {kind}", volume["name"]),
            );
        }
        ask(
            volume["secret"].is_null() || volume["secret"]["optional"] == true,
            "a mounted secret must be optional",
        );
        ask(
            volume["secret"].is_null() || volume["secret"]["defaultMode"] == 0o440,
            "a mounted secret must have defaultMode 0440",
        );
        ask(
            volume["secret"].is_null() || context["fsGroup"].is_u64(),
            "a mounted secret needs an fsGroup, or its pod cannot read it",
        );
    }
    ask(
        items(&spec["containers"]).next().is_some(),
        "has no container",
    );
    for container in items(&spec["containers"]).chain(items(&spec["initContainers"])) {
        let found = container_problems(
            container,
            !matches!(object["kind"].as_str(), Some("Job" | "CronJob"))
                && items(&spec["containers"]).any(|one| one == container),
            privileged,
        );
        problems.extend(
            found
                .into_iter()
                .map(|problem| format!("container {}: {problem}", container["name"])),
        );
    }
    problems
}

fn container_problems(container: &Value, serves: bool, privileged: bool) -> Vec<String> {
    let mut problems = Vec::new();
    let mut ask = |good: bool, problem: &str| {
        if !good {
            problems.push(problem.to_owned());
        }
    };
    let context = &container["securityContext"];
    ask(
        context["allowPrivilegeEscalation"] == false,
        "allowPrivilegeEscalation must be false",
    );
    ask(
        context["readOnlyRootFilesystem"] == true,
        "readOnlyRootFilesystem must be true",
    );
    ask(context["privileged"] != true, "must not be privileged");
    ask(
        items(&context["capabilities"]["drop"]).any(|one| one == "ALL"),
        "must drop ALL capabilities",
    );
    ask(
        items(&context["capabilities"]["add"]).all(|one| privileged && one == "NET_RAW"),
        "must not add capabilities",
    );
    ask(
        privileged || items(&container["ports"]).all(|port| port["hostPort"].is_null()),
        "must not take ports of the host",
    );
    ask(
        container["image"].as_str().is_some_and(pinned),
        "image must have a version or a digest",
    );
    for amount in ["cpu", "memory"] {
        ask(
            !container["resources"]["requests"][amount].is_null(),
            &format!("must request {amount}"),
        );
    }
    ask(
        !container["resources"]["limits"]["memory"].is_null(),
        "must limit memory",
    );
    for probe in ["livenessProbe", "readinessProbe"] {
        ask(
            !serves || !container[probe].is_null(),
            &format!("must have a {probe}"),
        );
    }
    for mount in items(&container["volumeMounts"]) {
        ask(
            mount["mountPropagation"] != "Bidirectional",
            "must not mount anything for the node",
        );
    }
    for variable in items(&container["env"]) {
        let secret = !variable["valueFrom"]["secretKeyRef"].is_null();
        ask(
            !secret,
            "takes a secret from the environment; mount it as a file",
        );
    }
    problems
}

/// Whether an image names the one that is meant: by digest, or by a tag that is a version.
fn pinned(image: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or(image);
    image.contains("@sha256:")
        || last
            .rsplit_once(':')
            .is_some_and(|(_, tag)| tag.contains(|c: char| c.is_ascii_digit()) && tag.contains('.'))
}

/// The objects that the volumes of a pod need, by kind and name.
#[must_use]
pub fn sources(pod: &Value) -> Vec<String> {
    let mut needed = Vec::new();
    for volume in items(&pod["spec"]["volumes"]) {
        let together = items(&volume["projected"]["sources"]);
        for source in std::iter::once(volume).chain(together) {
            if let Some(name) = source["configMap"]["name"].as_str()
                && source["configMap"]["optional"] != true
            {
                needed.push(format!("ConfigMap/{name}"));
            }
        }
        if let Some(name) = volume["persistentVolumeClaim"]["claimName"].as_str() {
            needed.push(format!("PersistentVolumeClaim/{name}"));
        }
    }
    needed
}

/// Mounts that lie inside another mount: the runtime would have to make a folder in a volume that is read-only.
#[must_use]
pub fn nested(pod: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    for container in items(&pod["spec"]["containers"]) {
        let paths: Vec<&str> = items(&container["volumeMounts"])
            .filter_map(|mount| mount["mountPath"].as_str())
            .collect();
        for inner in &paths {
            let outer = paths.iter().find(|outer| {
                inner
                    .strip_prefix(**outer)
                    .is_some_and(|rest| rest.starts_with('/'))
            });
            problems.extend(outer.map(|outer| format!("mounts {inner} inside {outer}")));
        }
    }
    problems
}

/// The addresses in the arguments and the environment of a pod.
#[must_use]
pub fn urls(pod: &Value) -> Vec<String> {
    let containers = || items(&pod["spec"]["containers"]);
    let variables = containers()
        .flat_map(|container| items(&container["env"]))
        .filter_map(|one| one["value"].as_str());
    let arguments = containers()
        .flat_map(|container| items(&container["args"]))
        .filter_map(Value::as_str);
    let url = |text: &str| {
        text.find("http")
            .map(|at| text[at..].to_owned())
            .filter(|url| url.contains("://"))
    };
    variables.chain(arguments).filter_map(url).collect()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
