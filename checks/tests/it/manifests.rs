//! The manifests: each folder built by kustomize and held to the rules, and the whole fitting together.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::{Value, json};
use sotp_checks::{manifests, reach, root, tools};

const OVERLAY: &str = "kustomize/overlays/all-in-one";
const PRODUCTION: &str = "kustomize/overlays/production";
const OVERLAYS: [&str; 2] = [OVERLAY, PRODUCTION];

fn kubectl() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| tools::kubectl(&root()))
}

/// Every folder that kustomize builds.
fn folders() -> Vec<PathBuf> {
    let all = ["dashboards", "alerts", "kustomize"].map(|folder| root().join(folder));
    let files = all
        .iter()
        .flat_map(|folder| sotp_checks::files(folder, "kustomization.yaml").unwrap())
        // Components stand on something: `deployments::`.
        .filter(|file| !file.starts_with(root().join("kustomize/components")));
    let folders: Vec<PathBuf> = files
        .map(|file| file.parent().unwrap().to_path_buf())
        .collect();
    assert!(folders.len() >= 9, "{folders:?}");
    folders
}

fn objects(folder: &Path) -> Vec<Value> {
    manifests::build(kubectl(), folder).unwrap().1
}

#[test]
fn every_folder_builds_and_keeps_the_rules() {
    for folder in folders() {
        let (first, objects) = manifests::build(kubectl(), &folder).unwrap();
        // What is applied is the same each time; the rest is part of it.
        if folder
            .parent()
            .is_some_and(|above| above.ends_with("overlays"))
        {
            let (second, _) = manifests::build(kubectl(), &folder).unwrap();
            assert_eq!(first, second, "{}", folder.display());
        }
        assert!(!objects.is_empty(), "{} builds nothing", folder.display());
        assert_eq!(
            manifests::problems(&objects),
            Vec::<String>::new(),
            "{}",
            folder.display()
        );
        for object in &objects {
            let size = object.to_string().len();
            if size > manifests::LARGE {
                println!(
                    "warning: {} has {size} bytes; apply it with --server-side only",
                    manifests::name(object)
                );
            }
        }
    }
}

#[test]
fn the_overlay_fits_together() {
    for overlay in OVERLAYS {
        let problems = manifests::fit_problems(&objects(&root().join(overlay)));
        assert_eq!(problems, Vec::<String>::new(), "{overlay}");
    }
}

#[test]
fn whoever_is_configured_to_call_a_service_is_let_out_and_in() {
    let [objects, production] = OVERLAYS.map(|overlay| objects(&root().join(overlay)));
    assert_eq!(reach::problems(&objects), Vec::<String>::new());
    assert_eq!(reach::problems(&production), Vec::<String>::new());
    // Each way in is needed: without the policy of Loki nobody reaches it.
    let closed: Vec<Value> = objects
        .into_iter()
        .filter(|object| manifests::name(object) != "NetworkPolicy/loki")
        .collect();
    let problems = reach::problems(&closed);
    for caller in ["gate", "netflow", "ssh-config", "syslog"] {
        let expected = format!(
            "{caller} is configured to call loki at 3100: no policy of loki allows it (Ingress)"
        );
        assert!(problems.contains(&expected), "{expected}: {problems:?}");
    }
}

#[test]
fn the_overlay_lies_in_one_namespace_that_is_restricted() {
    let objects = objects(&root().join(OVERLAY));
    let namespaces: Vec<&Value> = objects
        .iter()
        .filter(|object| object["kind"] == "Namespace")
        .collect();
    assert_eq!(namespaces.len(), 1);
    assert_eq!(
        namespaces[0]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"],
        "restricted"
    );
    for object in objects
        .iter()
        .filter(|object| object["kind"] != "Namespace")
    {
        assert_eq!(
            object["metadata"]["namespace"],
            namespaces[0]["metadata"]["name"],
            "{}",
            manifests::name(object)
        );
    }
    let denies = |object: &&Value| {
        object["kind"] == "NetworkPolicy"
            && object["spec"]["podSelector"] == json!({})
            && object["spec"]["policyTypes"] == json!(["Ingress", "Egress"])
            && object["spec"]["ingress"].is_null()
            && object["spec"]["egress"].is_null()
    };
    assert_eq!(
        objects.iter().filter(denies).count(),
        1,
        "one policy denies everything"
    );
}

/// What must be true of the overlay for a cluster that matters, beyond what all keep.
fn production_problems(objects: &[Value]) -> Vec<String> {
    let mut problems = Vec::new();
    let certificates: Vec<&Value> = objects
        .iter()
        .filter(|object| object["kind"] == "Certificate")
        .collect();
    let services = |name: &str| {
        let named = objects.iter().filter(|object| object["kind"] == "Service");
        named.filter(|it| it["metadata"]["name"] == name).count()
    };
    for object in objects {
        let name = manifests::name(object);
        let Some(pod) = sotp_checks::pods::template(object) else {
            let plain = object["data"].as_object().into_iter().flatten();
            for (file, text) in plain.filter(|_| !name.contains("dashboards")) {
                let text = text.as_str().unwrap_or_default();
                let lines = text.lines().filter(|line| !line.trim().starts_with('#'));
                let plain = lines.filter(|line| {
                    let called = line.split("http://").skip(1);
                    let host = |at: &str| at.split([':', '/']).next().map(str::to_owned);
                    called.filter_map(host).any(|host| services(&host) > 0)
                });
                problems.extend(plain.map(|line| format!("{name} {file}: without TLS: {line}")));
            }
            continue;
        };
        let text = pod.to_string();
        if text.contains("http://") {
            problems.push(format!("{name}: calls somebody without TLS"));
        }
        let own = object["metadata"]["name"].as_str().unwrap();
        if !text.contains(&format!("\"secretName\":\"{own}-tls\"")) {
            problems.push(format!("{name}: has no certificate of its own"));
        }
        let config = objects
            .iter()
            .find(|object| manifests::name(object) == format!("ConfigMap/{own}-config"));
        let config = config.map(ToString::to_string).unwrap_or_default();
        let ways = [
            "/etc/sotp-web/web",
            "http-tls-client-auth=Require",
            "/etc/sotp/gate/tls.conf",
            "http_tls_config: {cert_file: /etc/sotp-tls/tls.crt",
        ];
        let served = |it: &&str| text.contains(it) || config.contains(it);
        if own != "grafana" && !ways.iter().any(served) {
            problems.push(format!("{name}: serves without TLS"));
        }
        let wanted = certificates.iter().any(|certificate| {
            certificate["spec"]["secretName"] == format!("{own}-tls")
                && certificate["spec"]["dnsNames"][0] == own
                && services(own) == 1
        });
        if !wanted {
            problems.push(format!(
                "{name}: no certificate for its service is asked for"
            ));
        }
        let containers = ["containers", "initContainers"];
        let all = containers
            .iter()
            .flat_map(|kind| pod["spec"][kind].as_array());
        for container in all.flatten() {
            let image = container["image"].as_str().unwrap();
            let digest = image
                .split_once("@sha256:")
                .map_or("", |(_, digest)| digest);
            if digest.len() != 64 {
                problems.push(format!("{name}: {image} is no digest"));
            }
        }
    }
    problems
}

#[test]
fn in_production_every_part_has_its_certificate_and_every_image_its_digest() {
    let mut objects = objects(&root().join(PRODUCTION));
    assert_eq!(production_problems(&objects), Vec::<String>::new());
    // Each rule sees what it is for.
    for object in &mut objects {
        if manifests::name(object) == "Deployment/rum" {
            let container = &mut object["spec"]["template"]["spec"]["containers"][0];
            container["image"] = json!("sotp/rum:0.1.0");
            container["env"] = json!([]);
            object["spec"]["template"]["spec"]["volumes"] = json!([]);
            object["metadata"]["name"] = json!("other");
        }
        if manifests::name(object) == "ConfigMap/rum-config" {
            object["data"] = json!({"rum.yaml": "loki: {url: 'http://loki:3100'}"});
        }
    }
    let problems = production_problems(&objects).join("\n");
    for expected in [
        "Deployment/other: has no certificate of its own",
        "Deployment/other: serves without TLS",
        "Deployment/other: no certificate for its service is asked for",
        "Deployment/other: sotp/rum:0.1.0 is no digest",
        "ConfigMap/rum-config rum.yaml: without TLS: loki: {url: 'http://loki:3100'}",
    ] {
        assert!(problems.contains(expected), "{expected} in {problems}");
    }
}

/// A configuration with TLS is the one without it, but for the addresses and the files of the certificate.
#[test]
fn the_configurations_with_tls_are_those_without() {
    let component = root().join("kustomize/components/tls/config");
    let bare = |text: &str| {
        let text = text
            .replace("https://", "http://")
            .replace("    secureJsonData:\n", "")
            .replace(", ca_file: /etc/sotp-tls/ca.crt, cert_file: /etc/sotp-tls/tls.crt, key_file: /etc/sotp-tls/tls.key", "");
        let lines = text.lines().filter(|line| {
            !line.contains("/etc/sotp-tls/")
                && !line.trim_start().starts_with("tlsAuth")
                && line.trim() != "tls:"
        });
        // With or without quotes it is the same text.
        lines.collect::<Vec<_>>().join("\n").replace('\'', "")
    };
    let mut count = 0;
    for entry in std::fs::read_dir(&component).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let app = name.trim_end_matches(".yaml");
        let plain = match name {
            "datasources.yaml" => "dashboards/provisioning/datasources/sotp.yaml".to_owned(),
            "tempo.yaml" => "kustomize/stack/tempo/tempo.yaml".to_owned(),
            _ => format!("kustomize/apps/{app}/{name}"),
        };
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        let (tls, plain) = (read(&path), read(&root().join(plain)));
        assert_ne!(tls, plain, "{name}");
        assert_eq!(bare(&tls), bare(&plain), "{name}");
        count += 1;
    }
    assert_eq!(count, 9);
}

/// Each service takes its configuration and its web configuration of the component, with certificates where they will lie.
#[test]
fn the_services_take_their_configurations_with_tls() {
    let dir = testkit::TempDir::new().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["x".to_owned()]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap().pem();
    let tls = [
        ("ca.crt", &certificate),
        ("tls.crt", &certificate),
        ("tls.key", &key.serialize_pem()),
    ];
    for (name, pem) in tls {
        dir.write(name, pem).unwrap();
    }
    let place = |text: &str| {
        text.replace("/etc/sotp-tls", &dir.path().display().to_string())
            .replace("/etc/sotp/secrets/", &format!("{}/", dir.path().display()))
    };
    dir.write("known_hosts", "").unwrap();
    dir.write("inventory.yaml", "devices: []\n").unwrap();
    let objects = objects(&root().join(PRODUCTION));
    let file = |map: &str, file: &str| {
        let named = |object: &&Value| manifests::name(object) == format!("ConfigMap/{map}");
        let map = objects.iter().find(named)?;
        Some(map["data"][file].as_str()?.to_owned())
    };
    let mut count = 0;
    for object in &objects {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let Some(pod) = sotp_checks::pods::template(object) else {
            continue;
        };
        let env = pod["spec"]["containers"][0]["env"].as_array();
        let web = env
            .into_iter()
            .flatten()
            .find(|it| it["name"] == "SOTP_WEB_CONFIG_FILE");
        let Some(web) = web else { continue };
        let web = web["value"].as_str().unwrap().rsplit('/').next().unwrap();
        let web = dir
            .write("web.yaml", place(&file("web-config", web).unwrap()))
            .unwrap();
        let mut check =
            std::process::Command::new(testkit::services::program(&format!("sotp-{name}")));
        check
            .arg("--config.check")
            .arg(format!("--web.config.file={}", web.display()));
        let config = file(&format!("{name}-config"), &format!("{name}.yaml"));
        if let Some(config) = config {
            let config = dir.write("config.yaml", place(&config)).unwrap();
            check.arg(format!("--config.file={}", config.display()));
        }
        if name == "inventory" {
            check.arg(format!(
                "--inventory.source={}",
                dir.join("inventory.yaml").display()
            ));
        }
        let said = check.current_dir(dir.path()).output().unwrap();
        let text = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success(), "{name}: {text}");
        count += 1;
    }
    assert_eq!(count, 11);
}

#[test]
fn promtool_and_amtool_accept_what_prometheus_and_alertmanager_mount() {
    let objects = objects(&root().join(OVERLAY));
    let data = |name: &str| {
        &objects
            .iter()
            .find(|object| manifests::name(object) == name)
            .unwrap()["data"]
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("promtool");
    std::fs::create_dir_all(folder.join("rules")).unwrap();
    for (name, text) in data("ConfigMap/prometheus-rules").as_object().unwrap() {
        std::fs::write(folder.join("rules").join(name), text.as_str().unwrap()).unwrap();
    }
    let config = data("ConfigMap/prometheus-config")["prometheus.yml"]
        .as_str()
        .unwrap();
    // In the pod the rules lie elsewhere.
    let local = config.replace(
        "/etc/prometheus/rules",
        &folder.join("rules").display().to_string(),
    );
    assert_ne!(local, config);
    let file = folder.join("prometheus.yml");
    std::fs::write(&file, local).unwrap();
    let report = tools::run(
        "promtool",
        &["check", "config", "--lint=all", &file.display().to_string()],
    )
    .unwrap();
    let alerting = objects
        .iter()
        .find(|object| manifests::name(object).starts_with("ConfigMap/alertmanager-config"))
        .unwrap();
    let file = folder.join("alertmanager.yaml");
    std::fs::write(
        &file,
        alerting["data"]["alertmanager.yaml"].as_str().unwrap(),
    )
    .unwrap();
    tools::run("amtool", &["check-config", &file.display().to_string()]).unwrap();
    let files = sotp_checks::files(&root().join("alerts/rules"), ".yaml").unwrap();
    let all = format!("{} rule files found", files.len());
    assert!(report.contains(&all), "{all}: {report}");
}

#[test]
fn every_inventory_that_is_shipped_is_one() {
    for path in [
        "kustomize/apps/inventory/inventory.yaml",
        "kustomize/overlays/all-in-one/inventory.yaml",
    ] {
        let text = std::fs::read_to_string(root().join(path)).unwrap();
        inventory::Inventory::parse(&text, Path::new(path)).unwrap();
        // The network in the comment is one too.
        let comment: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# "))
            .collect();
        if let Some(start) = comment.iter().position(|line| *line == "sites:") {
            let end = comment
                .iter()
                .rposition(|line| line.starts_with(' '))
                .unwrap();
            let devices =
                inventory::Inventory::parse(&comment[start..=end].join("\n"), Path::new(path))
                    .unwrap();
            assert_eq!(devices.devices().len(), 1);
        }
    }
}

/// A pod that keeps every rule.
fn good() -> Value {
    json!({
        "kind": "Pod", "metadata": {"name": "x", "labels": {"app": "x"}},
        "spec": {
            "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "x", "image": "registry.example:5000/x:1.0.0", "livenessProbe": {}, "readinessProbe": {},
                "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}},
                "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}, "limits": {"memory": "1Mi"}}
            }]
        }
    })
}

/// The same, changed by `change`.
fn pod(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut pod = good();
    change(&mut pod);
    manifests::problems(&[pod])
}

#[test]
fn each_fault_of_a_pod_is_found() {
    assert_eq!(pod(|_| {}), Vec::<String>::new());
    type Change = fn(&mut Value);
    let faults: [(&str, Change); 18] = [
        ("hostNetwork", |pod| {
            pod["spec"]["hostNetwork"] = json!(true);
        }),
        ("runAsNonRoot", |pod| {
            pod["spec"]["securityContext"]["runAsNonRoot"] = json!(null);
        }),
        ("runAsUser", |pod| {
            pod["spec"]["securityContext"]["runAsUser"] = json!(0);
        }),
        ("seccompProfile", |pod| {
            pod["spec"]["securityContext"]["seccompProfile"] = json!(null);
        }),
        ("automount", |pod| {
            pod["spec"]["automountServiceAccountToken"] = json!(null);
        }),
        ("not a safe one", |pod| {
            pod["spec"]["securityContext"]["sysctls"] =
                json!([{"name": "kernel.msgmax", "value": "1"}]);
        }),
        ("is a hostPath", |pod| {
            pod["spec"]["volumes"] = json!([{"name": "v", "hostPath": {"path": "/"}}]);
        }),
        ("must be optional", |pod| {
            pod["spec"]["volumes"] = json!([{"name": "v", "secret": {"secretName": "s"}}]);
        }),
        ("defaultMode 0440", |pod| {
            pod["spec"]["volumes"] =
                json!([{"name": "v", "secret": {"secretName": "s", "optional": true}}]);
        }),
        ("needs an fsGroup", |pod| {
            pod["spec"]["volumes"] = json!([{"name": "v", "secret": {"secretName": "s"}}]);
        }),
        ("allowPrivilegeEscalation", |pod| {
            pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] =
                json!(null);
        }),
        ("readOnlyRootFilesystem", |pod| {
            pod["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"] =
                json!(false);
        }),
        ("drop ALL", |pod| {
            pod["spec"]["containers"][0]["securityContext"]["capabilities"] =
                json!({"drop": ["NET_RAW"]});
        }),
        ("not add", |pod| {
            pod["spec"]["containers"][0]["securityContext"]["capabilities"]["add"] =
                json!(["NET_RAW"]);
        }),
        ("version or a digest", |pod| {
            pod["spec"]["containers"][0]["image"] = json!("registry.example:5000/x");
        }),
        ("version or a digest", |pod| {
            pod["spec"]["containers"][0]["image"] = json!("x:latest");
        }),
        ("livenessProbe", |pod| {
            pod["spec"]["containers"][0]["livenessProbe"] = json!(null);
        }),
        ("limit memory", |pod| {
            pod["spec"]["containers"][0]["resources"]["limits"] = json!(null);
        }),
    ];
    for (expected, change) in faults {
        let problems = pod(change);
        assert!(
            problems.iter().any(|problem| problem.contains(expected)),
            "expected `{expected}` in {problems:?}"
        );
    }
}

/// What a privileged namespace is for, and no more.
#[test]
fn a_privileged_namespace_allows_the_node_and_net_raw_and_nothing_else() {
    let level = |level: &str, change: &dyn Fn(&mut Value)| {
        let space = json!({"kind": "Namespace", "metadata": {"name": "n", "labels": {"pod-security.kubernetes.io/enforce": level}}});
        let mut pod = good();
        pod["metadata"]["namespace"] = json!("n");
        change(&mut pod);
        manifests::problems(&[space, pod])
    };
    let of_the_node = |pod: &mut Value| {
        pod["spec"]["hostNetwork"] = json!(true);
        pod["spec"]["volumes"] = json!([{"name": "v", "hostPath": {"path": "/"}}]);
        pod["spec"]["containers"][0]["ports"] = json!([{"containerPort": 1, "hostPort": 1}]);
    };
    let capability = |pod: &mut Value, name: &str| {
        pod["spec"]["containers"][0]["securityContext"]["capabilities"]["add"] = json!([name]);
        pod["spec"]["securityContext"]["runAsNonRoot"] = json!(false);
        pod["spec"]["securityContext"]["runAsUser"] = json!(0);
    };
    assert_eq!(level("privileged", &of_the_node), Vec::<String>::new());
    assert_eq!(level("restricted", &of_the_node).len(), 3);
    assert_eq!(
        level("privileged", &|pod| capability(pod, "NET_RAW")),
        Vec::<String>::new()
    );
    assert_eq!(
        level("restricted", &|pod| capability(pod, "NET_RAW")).len(),
        3
    );
    // Another capability, or root without one.
    assert_eq!(
        level("privileged", &|pod| capability(pod, "SYS_ADMIN")).len(),
        3
    );
    let root = |pod: &mut Value| pod["spec"]["securityContext"]["runAsUser"] = json!(0);
    assert_eq!(level("privileged", &root).len(), 1);
    let mounts = |pod: &mut Value| {
        pod["spec"]["containers"][0]["volumeMounts"] =
            json!([{"mountPath": "/a", "mountPropagation": "Bidirectional"}]);
    };
    assert_eq!(level("privileged", &mounts).len(), 1);
    // The level of another namespace is not this one's.
    let mut other = good();
    other["metadata"]["namespace"] = json!("m");
    of_the_node(&mut other);
    let space = json!({"kind": "Namespace", "metadata": {"name": "n", "labels": {"pod-security.kubernetes.io/enforce": "privileged"}}});
    assert_eq!(manifests::problems(&[space, other]).len(), 3);
}

/// A call into another namespace, by the name of the service there or by an alias.
#[test]
fn a_call_into_another_namespace_must_be_let_out_and_in() {
    let pod = |name: &str, space: &str, url: &str| {
        json!({"kind": "Pod", "metadata": {"name": name, "namespace": space, "labels": {"app": name}}, "spec": {
            "containers": [{"args": [format!("--url={url}")], "ports": [{"name": "http", "containerPort": 80}]}]}})
    };
    let service = json!({"kind": "Service", "metadata": {"name": "b", "namespace": "two"},
        "spec": {"selector": {"app": "b"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}});
    let alias = json!({"kind": "Service", "metadata": {"name": "alias", "namespace": "one"},
        "spec": {"type": "ExternalName", "externalName": "b.two.svc.cluster.local"}});
    let policy = |space: &str,
                  app: &str,
                  kind: &str,
                  rules: &str,
                  peers: &str,
                  of: &str,
                  to: &str| {
        json!({"kind": "NetworkPolicy", "metadata": {"name": "p", "namespace": space}, "spec": {
            "podSelector": {"matchLabels": {"app": app}}, "policyTypes": [kind],
            rules: [{peers: [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": of}}, "podSelector": {"matchLabels": {"app": to}}}],
                     "ports": [{"port": "http"}]}]}})
    };
    let out = policy("one", "a", "Egress", "egress", "to", "two", "b");
    let into = policy("two", "b", "Ingress", "ingress", "from", "one", "a");
    let elsewhere = policy("two", "b", "Ingress", "ingress", "from", "three", "a");
    for url in ["http://b.two:80", "http://alias:80"] {
        let of = |policies: &[&Value]| {
            let mut all = vec![
                pod("a", "one", url),
                pod("b", "two", ""),
                service.clone(),
                alias.clone(),
            ];
            all.extend(policies.iter().map(|one| (*one).clone()));
            assert_eq!(manifests::fit_problems(&all), Vec::<String>::new());
            reach::problems(&all).len()
        };
        assert_eq!(of(&[&out, &into]), 0, "{url}");
        assert_eq!(of(&[&out]), 1, "{url}");
        assert_eq!(of(&[&into]), 1, "{url}");
        assert_eq!(of(&[&out, &elsewhere]), 1, "{url}");
    }
    // Without the service the alias leads nowhere, and so does the name.
    let all = [
        pod("a", "one", "http://b.two:80"),
        pod("b", "two", ""),
        alias.clone(),
    ];
    assert_eq!(
        manifests::fit_problems(&all),
        [
            "Service/alias: there is no b.two.svc.cluster.local",
            "Pod/a: no service answers at b.two:80"
        ]
    );
    // A namespace that nobody knows here is somebody else's, and asks to be let out all the same.
    let foreign = json!({"kind": "Service", "metadata": {"name": "alias", "namespace": "one"},
        "spec": {"type": "ExternalName", "externalName": "b.far.svc.cluster.local"}});
    let free = json!({"kind": "NetworkPolicy", "metadata": {"name": "p", "namespace": "one"}, "spec": {
        "podSelector": {}, "policyTypes": ["Egress"],
        "egress": [{"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "far"}}}]}]}});
    let caller = pod("a", "one", "http://alias:80");
    assert_eq!(
        manifests::fit_problems(&[caller.clone(), foreign.clone()]),
        Vec::<String>::new()
    );
    assert_eq!(reach::problems(&[caller.clone(), foreign.clone()]).len(), 1);
    assert_eq!(reach::problems(&[caller, foreign, free]).len(), 0);
}

#[test]
fn secrets_with_data_rights_and_giants_are_found() {
    let secret = json!({"kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "Yg=="}});
    let right = json!({"kind": "ClusterRole", "metadata": {"name": "r"}});
    let giant = json!({"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "x".repeat(manifests::TOO_LARGE)}});
    let twice = json!({"kind": "ConfigMap", "metadata": {"name": "c"}});
    let balancer = json!({"kind": "Service", "metadata": {"name": "b"}, "spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}});
    let out = json!({"kind": "NetworkPolicy", "metadata": {"name": "o"}, "spec": {"egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]}});
    let all = [secret, right, giant, twice, balancer, out];
    assert_eq!(manifests::problems(&all).len(), all.len());
}

#[test]
fn parts_that_do_not_fit_are_found() {
    let service = json!({"kind": "Service", "metadata": {"name": "s"},
        "spec": {"selector": {"app": "y"}, "ports": [{"name": "http", "port": 80}]}});
    let config = json!({"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"prometheus.yml":
        "scrape_configs: [{static_configs: [{targets: ['s:80', 's:81', 'localhost:1']}]},\
         {dns_sd_configs: [{names: [_http._tcp.s]}, {names: [_grpc._tcp.s]}, {names: [_http._tcp.s, _http._tcp.s.sotp-s]}]}]"}});
    let pod = json!({"kind": "Pod", "metadata": {"name": "x", "labels": {"app": "x"}}, "spec": {
        "volumes": [{"name": "v", "configMap": {"name": "gone"}}, {"name": "w", "projected": {"sources": [{"configMap": {"name": "away"}}]}}],
        "containers": [{"args": ["--url=http://s:80/x", "--url=http://t:80"],
            "volumeMounts": [{"mountPath": "/a"}, {"mountPath": "/a/b"}, {"mountPath": "/ab"}]}]}});
    assert_eq!(
        manifests::fit_problems(&[service, config, pod]),
        [
            "Service/s: selects no pod",
            "Pod/x: mounts ConfigMap/gone, which is not there",
            "Pod/x: mounts ConfigMap/away, which is not there",
            "Pod/x: mounts /a/b inside /a",
            "Pod/x: no service answers at t:80",
            "prometheus.yml: no service answers at s:81",
            "prometheus.yml: no service answers at s:grpc",
        ]
    );
}
