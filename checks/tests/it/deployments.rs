//! Everything that somebody may apply: each overlay, and each component on what it is for, held to all rules.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use services::Table;
use sotp_checks::deployments::{self, Deployment};
use sotp_checks::programs::{self, Ours};
use sotp_checks::{manifests, reach, root, schemas, shards, tools};

fn scratch() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("deployments")
}

fn all() -> Vec<Deployment> {
    let root = root();
    deployments::all(&root, &tools::kubectl(&root), &scratch()).unwrap()
}

fn find<'a>(all: &'a [Deployment], name: &str) -> &'a Deployment {
    all.iter().find(|one| one.name == name).unwrap()
}

fn of_kind<'a>(one: &'a Deployment, kind: &str) -> impl Iterator<Item = &'a Value> {
    one.objects
        .iter()
        .filter(move |object| object["kind"] == kind)
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[test]
fn each_keeps_the_rules_fits_together_and_reaches_what_it_calls() {
    let mut problems = Vec::new();
    for one in all() {
        let found = [
            manifests::problems(&one.objects),
            manifests::fit_problems(&one.objects),
            reach::problems(&one.objects),
            programs::problems(&one.objects, &root()).unwrap(),
        ];
        let found = found.iter().flatten();
        problems.extend(found.map(|problem| format!("{}: {problem}", one.name)));
    }
    assert_eq!(problems, Vec::<String>::new());
}

/// A component changes what it stands on, and the page tells of it.
#[test]
fn each_component_does_something_and_is_documented() {
    let all = all();
    let page = std::fs::read_to_string(root().join("docs/kubernetes.md")).unwrap();
    for folder in ["components", "overlays"] {
        for name in deployments::folders(&root(), &format!("kustomize/{folder}")).unwrap() {
            let told = page.contains(&format!("| `{name}` |"));
            assert!(told, "docs/kubernetes.md says nothing of {name}");
            if folder == "components" {
                let with = find(&all, &format!("kustomize/components/{name}"));
                let without = find(&all, deployments::below(&name));
                assert_ne!(with.objects, without.objects, "{name} changes nothing");
            }
        }
    }
}

/// What a component asks of a node lies in a namespace of its own; that of all others stays restricted.
#[test]
fn the_namespace_of_the_suite_is_restricted_in_each() {
    for one in all() {
        let level = |object: &Value| {
            object["metadata"]["labels"]["pod-security.kubernetes.io/enforce"].clone()
        };
        let spaces: BTreeMap<&str, Value> = of_kind(&one, "Namespace")
            .map(|object| (object["metadata"]["name"].as_str().unwrap(), level(object)))
            .collect();
        assert_eq!(spaces["sotp"], "restricted", "{}", one.name);
        for object in &one.objects {
            assert!(
                object["kind"] == "Namespace" || spaces.contains_key(manifests::namespace(object)),
                "{}: {} lies in {:?}",
                one.name,
                manifests::name(object),
                manifests::namespace(object)
            );
        }
        let denied: BTreeSet<&str> = of_kind(&one, "NetworkPolicy")
            .filter(|object| object["metadata"]["name"] == "default-deny")
            .map(manifests::namespace)
            .collect();
        let spaces = spaces.into_keys().collect();
        assert_eq!(
            denied, spaces,
            "{}: a namespace without a policy that denies",
            one.name
        );
    }
}

/// Each object of each deployment once.
fn objects() -> Vec<Value> {
    let mut seen = BTreeSet::new();
    all()
        .into_iter()
        .flat_map(|one| one.objects)
        .filter(|object| seen.insert(object.to_string()))
        .collect()
}

#[test]
fn the_strict_schemas_of_three_versions_accept_all_of_them() {
    let root = root();
    if let Err(error) = tools::python(&root) {
        testkit::skip(format_args!(
            "kubernetes-validate cannot be installed here: {error:#}"
        ));
        return;
    }
    let objects = objects();
    let known: Vec<&Value> = objects
        .iter()
        .filter(|one| !schemas::is_custom(one))
        .collect();
    assert!(known.len() > 150, "{}", known.len());
    let problems = schemas::built_in(&root, &known, &scratch()).unwrap();
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn the_strict_schemas_refuse_a_field_that_is_not_there_and_a_kind_that_is_unknown() {
    let root = root();
    if tools::python(&root).is_err() {
        testkit::skip(format_args!("kubernetes-validate cannot be installed here"));
        return;
    }
    let named = |api: &str, kind: &str, spec: Value| json!({"apiVersion": api, "kind": kind, "metadata": {"name": "x"}, "spec": spec});
    let field = named("v1", "Service", json!({"prots": []}));
    let old = named("policy/v1beta1", "PodDisruptionBudget", json!({}));
    let good = named("v1", "Service", json!({"ports": [{"port": 1}]}));
    let scratch = scratch().join("refused");
    let problems = schemas::built_in(&root, &[&field, &old, &good], &scratch).unwrap();
    assert_eq!(problems.len(), 2 * schemas::VERSIONS.len(), "{problems:?}");
    assert!(
        problems[0].contains("'prots' was unexpected"),
        "{problems:?}"
    );
    assert!(
        problems[1].contains("there is no policy/v1beta1"),
        "{problems:?}"
    );
}

/// Why the types cannot be had here.
fn without_types() -> Option<String> {
    tools::crds(&root()).err().map(|error| format!("{error:#}"))
}

#[test]
fn the_types_of_their_projects_accept_every_custom_resource() {
    if let Some(why) = without_types() {
        testkit::skip(format_args!("the types cannot be installed here: {why}"));
        return;
    }
    let root = root();
    let mut objects = objects();
    objects.extend(
        manifests::build(
            &tools::kubectl(&root),
            &root.join("kustomize/gitops/argocd"),
        )
        .unwrap()
        .1,
    );
    // Of it there are no types: `gitops::`.
    objects.retain(|one| schemas::is_custom(one) && one["kind"] != "ImageUpdater");
    let kinds: BTreeSet<&str> = objects
        .iter()
        .filter_map(|one| one["kind"].as_str())
        .collect();
    for kind in [
        "Application",
        "ExternalSecret",
        "PrometheusRule",
        "ScrapeConfig",
        "SecretStore",
        "ServiceMonitor",
    ] {
        assert!(kinds.contains(kind), "{kind} is not among {kinds:?}");
    }
    let problems = schemas::custom(&root, &objects.iter().collect::<Vec<_>>(), &scratch()).unwrap();
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn the_types_of_their_projects_refuse_a_bad_value_and_a_field_that_is_not_there() {
    if let Some(why) = without_types() {
        testkit::skip(format_args!("the types cannot be installed here: {why}"));
        return;
    }
    let secret = |spec: Value| json!({"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "metadata": {"name": "x"}, "spec": spec});
    let objects = [
        secret(json!({"refreshIntervall": "1h"})),
        secret(json!({"target": {"deletionPolicy": "Sometimes"}})),
        secret(json!({"refreshInterval": "1h"})),
    ];
    let problems = schemas::custom(
        &root(),
        &objects.iter().collect::<Vec<_>>(),
        &scratch().join("refused"),
    )
    .unwrap();
    assert!(
        problems
            .iter()
            .any(|one| one.contains("'\"refreshIntervall\"' does not exist")),
        "{problems:?}"
    );
    assert!(
        problems
            .iter()
            .any(|one| one.contains("ExternalSecret/x: ") && one.contains("deletionPolicy")),
        "{problems:?}"
    );
    assert!(
        !problems.iter().any(|one| one.contains("objects.ts(6")),
        "{problems:?}"
    );
}

/// Our programs take their flags and files as the manifests give them, and none that is off by a letter.
#[test]
fn our_programs_take_the_configuration_of_their_manifests() {
    let table = Table::ours().unwrap();
    let folder = scratch().join("configurations");
    std::fs::create_dir_all(&folder).unwrap();
    let mut checked = BTreeSet::new();
    for one in all() {
        // With certificates: `manifests::the_services_take_their_configurations_with_tls`.
        if of_kind(&one, "Certificate").next().is_some() {
            continue;
        }
        for ours in Ours::of(&one.objects, &table) {
            let mut arguments = Vec::new();
            for (number, argument) in ours.arguments().enumerate() {
                let (flag, value) = argument.split_once('=').unwrap_or((argument, ""));
                if let Some(text) = ours.file(value) {
                    let file = folder.join(format!(
                        "{}-{}-{number}",
                        one.name.replace('/', "-"),
                        ours.program
                    ));
                    std::fs::write(&file, text).unwrap();
                    arguments.push(format!("{flag}={}", file.display()));
                } else if flag == "--inventory.source" && value.starts_with("http") {
                    // It would be fetched, and there is nobody here to answer.
                    let file = root().join("examples/inventory.yaml");
                    arguments.push(format!("{flag}={}", file.display()));
                } else {
                    arguments.push(argument.to_owned());
                }
            }
            arguments.push("--config.check".to_owned());
            // Most overlays give a program what another gives it too.
            let content: Vec<&str> = ours
                .arguments()
                .filter_map(|argument| ours.file(argument.split_once('=')?.1))
                .collect();
            if !checked.insert((
                ours.program.clone(),
                ours.arguments().collect::<Vec<_>>().join(" "),
                content.concat(),
            )) {
                continue;
            }
            let program = testkit::services::program(&ours.program);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            tools::run(&program, &arguments)
                .unwrap_or_else(|error| panic!("{}: {error:#}", one.name));
        }
    }
    let programs: BTreeSet<&String> = checked.iter().map(|(program, ..)| program).collect();
    let expected = table
        .service
        .iter()
        .filter(|service| service.app.is_some())
        .count();
    assert_eq!(programs.len(), expected, "{programs:?}");
}

#[test]
fn a_flag_a_port_and_a_key_that_a_program_does_not_know_are_found() {
    let pod = json!({"kind": "Pod", "metadata": {"name": "x"}, "spec": {
        "volumes": [{"name": "v", "configMap": {"name": "c"}}],
        "containers": [{
            "image": "registry.example/sotp/syslog:1.0.0", "args": ["--config.file=/etc/sotp/syslog.yaml", "--config.fiel=/x"],
            "env": [{"name": "SOTP_NO_SUCH", "value": "1"}, {"name": "OTHER", "value": "1"}],
            "ports": [{"name": "http", "containerPort": 19515}, {"name": "a", "containerPort": 5514}, {"name": "b", "containerPort": 551}],
            "volumeMounts": [{"name": "v", "mountPath": "/etc/sotp"}]}]}});
    let config = json!({"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"syslog.yaml":
        "listen: {udp: [{address: ':5514', adress: x}]}\nlisten_: 1\nspool: {path: /data}\n"}});
    let problems = programs::problems(&[pod, config], &root()).unwrap();
    assert_eq!(
        problems,
        [
            "Pod/x: /etc/sotp/syslog.yaml: sotp-syslog has no key listen.udp.[].adress",
            "Pod/x: /etc/sotp/syslog.yaml: sotp-syslog has no key listen_",
            "Pod/x: sotp-syslog has no flag --config.fiel",
            "Pod/x: sotp-syslog has no variable SOTP_NO_SUCH",
            "Pod/x: sotp-syslog does not listen on 19515",
            "Pod/x: sotp-syslog does not listen on 551",
        ]
    );
}

/// Every dashboard and every rule that there is is in what is applied.
#[test]
fn every_dashboard_and_every_rule_is_shipped() {
    let all = all();
    for one in &all {
        let data = |map: &str, name: &str| {
            of_kind(one, "ConfigMap")
                .filter(|object| {
                    let of = object["metadata"]["name"].as_str().unwrap_or_default();
                    of == map || map.ends_with('-') && of.starts_with(map)
                })
                .find_map(|object| object["data"].get(name).cloned())
        };
        let shipped = |folder: &str, ending: &str, map: &str| {
            for file in sotp_checks::files(&root().join(folder), ending).unwrap() {
                let text = std::fs::read_to_string(&file).unwrap();
                let name = file.file_name().unwrap().to_str().unwrap();
                let object = format!("sotp-{}", name.trim_end_matches(".yaml"));
                // The operator has the rules as objects of its own.
                let rule =
                    of_kind(one, "PrometheusRule").find(|rule| rule["metadata"]["name"] == *object);
                if let Some(rule) = rule {
                    let spec: Value = serde_saphyr::from_str(&text).unwrap();
                    // kustomize folds long lines anew.
                    let bare = |spec: &Value| spec.to_string().replace("\\n", "").replace(' ', "");
                    assert_eq!(bare(&rule["spec"]), bare(&spec), "{}: {name}", one.name);
                } else {
                    assert_eq!(data(map, name), Some(text.into()), "{}: {name}", one.name);
                }
            }
        };
        shipped("dashboards/network", ".json", "grafana-dashboards-");
        shipped("alerts/rules", ".yaml", "prometheus-rules");
    }
}

/// Whatever keeps data has a backup, but for those whose data are for object storage, and what is learnt again from them.
#[test]
fn every_volume_has_a_backup_or_a_reason_to_have_none() {
    let all = all();
    let one = find(&all, "kustomize/components/backup-s3");
    let saved: BTreeSet<&str> = of_kind(one, "CronJob")
        .flat_map(|job| items(&job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["volumes"]))
        .filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str())
        .collect();
    let mut claims: BTreeSet<String> = of_kind(one, "PersistentVolumeClaim")
        .map(|claim| claim["metadata"]["name"].as_str().unwrap().to_owned())
        .collect();
    for set in of_kind(one, "StatefulSet") {
        for claim in items(&set["spec"]["volumeClaimTemplates"]) {
            let (claim, set) = (
                claim["metadata"]["name"].as_str().unwrap(),
                set["metadata"]["name"].as_str().unwrap(),
            );
            claims.insert(format!("{claim}-{set}-0"));
        }
    }
    let engines = [
        "data-loki-0",
        "data-prometheus-0",
        "data-tempo-0",
        "forecast",
    ];
    let engines = engines.map(str::to_owned);
    for claim in &claims {
        assert!(
            saved.contains(&**claim) != engines.contains(claim),
            "{claim}"
        );
    }
    for claim in saved {
        assert!(claims.contains(claim), "{claim} is no volume");
    }
}

/// Each secret that a pod mounts comes from Vault.
#[test]
fn every_secret_that_is_mounted_comes_from_vault() {
    let all = all();
    let one = find(&all, "kustomize/components/external-secrets");
    let brought: BTreeSet<&str> = of_kind(one, "ExternalSecret")
        .filter_map(|secret| secret["spec"]["target"]["name"].as_str())
        .collect();
    let mounted: BTreeSet<&str> = one
        .objects
        .iter()
        .filter_map(sotp_checks::pods::template)
        .flat_map(|pod| items(&pod["spec"]["volumes"]))
        .filter_map(|volume| volume["secret"]["secretName"].as_str())
        .collect();
    assert_eq!(brought, mounted);
}

/// The jobs of the operator's kinds are those of `prometheus.yml`.
#[test]
fn the_operator_scrapes_what_prometheus_would() {
    let all = all();
    let one = find(&all, "kustomize/components/prometheus-operator");
    let text =
        std::fs::read_to_string(root().join("kustomize/stack/prometheus/prometheus.yml")).unwrap();
    let config: Value = serde_saphyr::from_str(&text).unwrap();
    let mut compared = 0;
    for job in items(&config["scrape_configs"]).filter(|job| !job["http_sd_configs"].is_null()) {
        let mut renamed = BTreeMap::new();
        for (key, value) in job.as_object().unwrap() {
            renamed.insert(key.as_str(), value.clone());
        }
        let there = of_kind(one, "ScrapeConfig")
            .find(|config| config["spec"]["jobName"] == renamed["job_name"])
            .unwrap();
        let camel = |text: String| {
            text.replace("source_labels", "sourceLabels")
                .replace("target_label", "targetLabel")
                .replace("inventory:", "inventory.sotp:")
                .replace("\"snmp:", "\"snmp.sotp:")
                .replace("\"blackbox-exporter:", "\"blackbox-exporter.sotp:")
        };
        assert_eq!(
            there["spec"]["relabelings"].to_string(),
            camel(renamed["relabel_configs"].to_string())
        );
        assert_eq!(
            there["spec"]["httpSDConfigs"].to_string(),
            camel(renamed["http_sd_configs"].to_string())
        );
        assert_eq!(
            there["spec"]["metricsPath"],
            renamed.get("metrics_path").cloned().unwrap_or_default()
        );
        compared += 1;
    }
    assert_eq!(compared, of_kind(one, "ScrapeConfig").count());
    let monitor = of_kind(one, "ServiceMonitor").next().unwrap();
    let relabel: Vec<&Value> = items(&monitor["spec"]["endpoints"][0]["relabelings"]).collect();
    let table = Table::ours().unwrap();
    let mut pods = Vec::new();
    for service in table.service.iter().filter(|service| service.app.is_some()) {
        let app = service.app.as_deref().unwrap();
        let renamed = relabel.iter().any(|one| {
            one["regex"] == app && one["targetLabel"] == "job" && one["replacement"] == service.job
        });
        assert_eq!(renamed, app != service.job, "{app}");
        if service.pods {
            pods.push(app);
        }
    }
    let named = format!("(?:{});([^;]+);.*:(\\d+)", pods.join("|"));
    assert!(
        relabel.iter().any(|one| one["regex"] == named.as_str()),
        "{named}"
    );
}

/// The collectors of `scale-out` together ask for what one Prometheus would, each device once, and `promtool` takes their files.
#[test]
fn the_collectors_share_the_devices_and_ask_for_all_else_once() {
    let all = all();
    let one = find(&all, "kustomize/overlays/scale-out");
    let whole = Table::ours().unwrap().of_kubernetes();
    let jobs = |text: &str| {
        let config: Value = serde_saphyr::from_str(text).unwrap();
        let jobs = items(&config["scrape_configs"]);
        jobs.map(|job| {
            (
                job["job_name"].as_str().unwrap().to_owned(),
                job.to_string(),
            )
        })
        .collect::<Vec<_>>()
    };
    let mut asked: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for index in 0..shards::COUNT {
        let map = format!("prometheus-config-shard-{index}");
        let map = of_kind(one, "ConfigMap").find(|object| object["metadata"]["name"] == *map);
        let text = map.unwrap()["data"]["prometheus.yml"].as_str().unwrap();
        let file = scratch().join(format!("collector-{index}.yml"));
        std::fs::write(&file, text).unwrap();
        let file = file.display().to_string();
        tools::run(
            "promtool",
            &["check", "config", "--agent", "--lint=all", &file],
        )
        .unwrap();
        for (name, job) in jobs(text) {
            let listed = job.contains("http_sd_configs");
            let share = format!("?shard={index}&of={}", shards::COUNT);
            assert_eq!(job.matches(&share).count(), usize::from(listed), "{job}");
            // But for its share and its own exporter it is the job of the one that does all.
            let own = format!("-shard-{index}:");
            asked
                .entry(name)
                .or_default()
                .push(job.replace(&share, "").replace(&own, ":"));
        }
        let there = |kind: &str, name: &str| {
            let name = format!("{name}-shard-{index}");
            assert!(
                of_kind(one, kind).any(|object| object["metadata"]["name"] == *name),
                "{name}"
            );
        };
        there("StatefulSet", "prometheus");
        there("Deployment", "snmp");
    }
    assert_eq!(
        of_kind(one, "StatefulSet")
            .filter(|set| manifests::name(set).contains("prometheus"))
            .count(),
        usize::from(shards::COUNT)
    );
    for (name, job) in jobs(&whole) {
        let times = match name.as_str() {
            "snmp" | "snmp-exporter" | "node" | "prometheus" => usize::from(shards::COUNT),
            _ => 1,
        };
        let found = asked.remove(&name).unwrap_or_default();
        assert_eq!(found.len(), times, "{name}");
        for one in found.iter().filter(|_| name != "prometheus") {
            assert_eq!(*one, job, "{name}");
        }
    }
    assert!(asked.is_empty(), "{asked:?}");
}

/// Configurations that stand twice, once with other addresses, differ in nothing else.
#[test]
fn the_configurations_of_scale_out_are_those_of_the_base_but_for_mimir() {
    for name in ["forecast", "netflow", "remediator", "reporter"] {
        let read = |path: String| std::fs::read_to_string(root().join(path)).unwrap();
        let scaled = read(format!("kustomize/overlays/scale-out/config/{name}.yaml"));
        // Flows of a large network go to Kafka besides.
        let (scaled, kafka) = scaled
            .split_once("# Every flow")
            .map_or((scaled.as_str(), ""), |(before, kafka)| (before, kafka));
        assert_eq!(
            kafka.contains("flows_to_kafka: {brokers: ['kafka:9092']"),
            name == "netflow"
        );
        let base = read(format!("kustomize/apps/{name}/{name}.yaml"));
        assert_ne!(scaled, base);
        assert_eq!(
            scaled.replace("http://mimir:80/prometheus", "http://prometheus:9090"),
            base,
            "{name}"
        );
    }
}

/// A report that nobody sets up has its causes, repairs and approvals wherever the rest is deployed.
#[test]
fn each_deployed_reporter_asks_loki_and_the_remediator() {
    for path in [
        "lab/compose/reporter.yaml",
        "kustomize/apps/reporter/reporter.yaml",
        "kustomize/components/tls/config/reporter.yaml",
        "kustomize/overlays/scale-out/config/reporter.yaml",
    ] {
        let text = std::fs::read_to_string(root().join(path)).unwrap();
        for (name, port) in [("loki", 3100), ("remediator", 19095)] {
            let begins = [
                format!("{name}: {{url: http"),
                format!("{name}: {{url: 'http"),
            ];
            let line = text
                .lines()
                .find(|line| begins.iter().any(|begin| line.starts_with(begin)));
            let address = format!("://{name}:{port}");
            assert!(
                line.is_some_and(|line| line.contains(&address)),
                "{path}: {name}: {text}"
            );
        }
    }
}

/// What node_exporter of the component is told, Debian's knows: a flag that is not there would end it at its start.
#[test]
fn node_exporter_knows_its_flags() {
    if !tools::on_path("prometheus-node-exporter") {
        testkit::skip(format_args!("no prometheus-node-exporter"));
        return;
    }
    // It prints its flags on standard error.
    let help = tools::run("sh", &["-c", "prometheus-node-exporter --help 2>&1"]).unwrap();
    let flags: BTreeSet<&str> = help
        .split([' ', '=', '\n'])
        .filter(|word| word.starts_with("--"))
        .collect();
    let all = all();
    let one = find(&all, "kustomize/components/node-exporter");
    let set = of_kind(one, "DaemonSet").next().unwrap();
    let arguments = &set["spec"]["template"]["spec"]["containers"][0]["args"];
    for argument in items(arguments) {
        let flag = argument.as_str().unwrap().split('=').next().unwrap();
        let known = flags.contains(&*flag.replace("--no-", "--"));
        assert!(known, "{flag} is not among {flags:?}");
    }
    assert!(items(arguments).count() > 5 && !flags.contains("--path.rootf"));
}

/// The component asks as the inventory says that its checks are to be asked.
#[test]
fn blackbox_exporter_has_the_modules_that_the_inventory_writes() {
    let none = inventory::Inventory::parse("devices: []\n", Path::new("none")).unwrap();
    let file = "kustomize/components/blackbox-exporter/blackbox.yml";
    let shipped = std::fs::read_to_string(root().join(file)).unwrap();
    assert_eq!(shipped, inventory::sd::blackbox(&none));
}

/// Components that change the same things still build together and keep the rules.
#[test]
fn components_can_be_combined() {
    let root = root();
    let components = [
        "backup-s3",
        "blackbox-exporter",
        "cloudwatch",
        "expose-hostport",
        "external-secrets",
        "linkerd",
        "mqtt",
        "node-exporter",
        "ping-raw",
    ];
    let folder = deployments::overlay(
        &root,
        &scratch(),
        "kustomize/overlays/all-in-one",
        &components,
    )
    .unwrap();
    let (_, objects) = manifests::build(&tools::kubectl(&root), &folder).unwrap();
    assert_eq!(manifests::problems(&objects), Vec::<String>::new());
    assert_eq!(manifests::fit_problems(&objects), Vec::<String>::new());
    assert_eq!(reach::problems(&objects), Vec::<String>::new());
}
