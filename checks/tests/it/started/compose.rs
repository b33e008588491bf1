//! `compose.yaml` in the form of pods, as far as it says the same: command, environment, kernel settings and what is mounted where.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use sotp_checks::root;

use super::pod::items;

pub(super) fn read() -> Value {
    let text = std::fs::read_to_string(root().join("compose.yaml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// What the service `certs` is told, with its folders here.
pub(super) fn arguments_of_certs(service: &Value, folder: &Path) -> Vec<String> {
    let parts = root().join("lab/compose/parts").display().to_string();
    let mounts: Vec<&str> = items(&service["volumes"])
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(
        mounts,
        ["./lab/compose/parts:/etc/sotp/parts:ro", "tls:/tls"]
    );
    let arguments = items(&service["command"]).filter_map(Value::as_str);
    let here = |argument: &str| {
        argument
            .replace("=/tls", &format!("={}", folder.display()))
            .replace("=/etc/sotp/parts", &format!("={parts}"))
    };
    arguments.map(here).collect()
}

/// The pod of a service, and the maps of the files that it mounts.
pub(super) fn pod(name: &str, service: &Value) -> (Value, Vec<Value>) {
    let mut folders: BTreeMap<String, serde_json::Map<String, Value>> = BTreeMap::new();
    let (mut mounts, mut volumes) = (Vec::new(), Vec::new());
    let mut writable = |path: &str| {
        mounts.push(json!({"name": format!("w{}", mounts.len()), "mountPath": path}));
    };
    for path in items(&service["tmpfs"]).filter_map(Value::as_str) {
        writable(path.split(':').next().unwrap());
    }
    for mount in items(&service["volumes"]).filter_map(Value::as_str) {
        // The user's own inventory; any will do.
        let mount = match mount.split_once('}') {
            Some((_, rest)) => format!("./kustomize/overlays/all-in-one/inventory.yaml{rest}"),
            None => mount.to_owned(),
        };
        let mut fields = mount.split(':');
        let (source, target) = (fields.next().unwrap(), fields.next().unwrap());
        if !source.starts_with('.') {
            writable(target);
            continue;
        }
        let source = root().join(source);
        let mut add = |target: &Path, source: &Path| {
            let (folder, file) = (target.parent().unwrap(), target.file_name().unwrap());
            let text = std::fs::read_to_string(source).unwrap();
            let files = folders.entry(folder.display().to_string()).or_default();
            files.insert(file.to_str().unwrap().to_owned(), text.into());
        };
        if source.is_dir() {
            for file in source.read_dir().unwrap() {
                let file = file.unwrap().path();
                if file.is_file() {
                    add(&Path::new(target).join(file.file_name().unwrap()), &file);
                }
            }
        } else {
            add(Path::new(target), &source);
        }
    }
    mounts.push(json!({"name": "tls", "mountPath": "/etc/sotp-tls", "readOnly": true}));
    let mut maps = Vec::new();
    for (number, (folder, files)) in folders.into_iter().enumerate() {
        let map = format!("{name}-{number}");
        mounts.push(json!({"name": map, "mountPath": folder, "readOnly": true}));
        volumes.push(json!({"name": map, "configMap": {"name": map}}));
        maps.push(json!({"kind": "ConfigMap", "metadata": {"name": map}, "data": files}));
    }
    let env = service["environment"].as_object();
    let env = env.into_iter().flatten().map(|(name, value)| {
        let value = value.as_str().unwrap();
        json!({"name": name, "value": value})
    });
    let sysctls = service["sysctls"].as_object();
    let sysctls = sysctls
        .into_iter()
        .flatten()
        .map(|(name, value)| json!({"name": name, "value": value}));
    // As the images say: docs of their publishers, and our Dockerfile.
    let user = match name {
        "prometheus" | "alertmanager" => 65_534,
        _ => 65_532,
    };
    let pod = json!({"spec": {
        "securityContext": {"runAsUser": user, "sysctls": sysctls.collect::<Vec<_>>()},
        "volumes": volumes,
        "containers": [{"args": service["command"], "env": env.collect::<Vec<_>>(), "volumeMounts": mounts}],
    }});
    (pod, maps)
}
