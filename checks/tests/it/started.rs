//! What is deployed, started: our services with Prometheus and Alertmanager as the manifests and `compose.yaml` say, from these files and no
//! copies of them, each in namespaces of its own and all of them in one network with the names that a cluster gives. Prometheus must see all.

mod compose;
mod network;
mod pod;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use network::{HERE, Network};
use pod::{Given, Pod, items};
use serde_json::Value;
use services::{Callers, Table};
use sotp_checks::{deployments, manifests, pods, root, tools};
use testkit::TempDir;

/// Long enough for a loaded machine; nothing waits for it when all is well.
const LONG: Duration = Duration::from_secs(120);

/// Whether namespaces cannot be made here, which it says.
fn unable() -> bool {
    let able = Command::new("unshare")
        .args(["--mount", "--net", "true"])
        .status();
    let unable = !able.is_ok_and(|status| status.success());
    if unable {
        testkit::skip(format_args!("no right to make namespaces"));
    }
    unable
}

/// One program of a stack.
struct Part<'a> {
    name: String,
    /// Of ours by its name, of others by its path.
    program: String,
    pod: &'a Value,
    port: u16,
    /// Who may come without a certificate.
    callers: Callers,
}

/// Everything of it that can run here: our services, Prometheus and Alertmanager.
fn parts(pods: &BTreeMap<String, Value>) -> Vec<Part<'_>> {
    let table = Table::ours().unwrap();
    let ours = table.service.iter().filter_map(|service| {
        Some(Part {
            name: service.app.clone()?,
            program: service.name.clone(),
            pod: &pods[service.app.as_ref()?],
            port: service.port,
            callers: service.callers,
        })
    });
    let others = [
        ("alertmanager", "prometheus-alertmanager", 9093),
        ("prometheus", "prometheus", 9090),
    ];
    let others = others.map(|(name, program, port)| Part {
        name: name.to_owned(),
        program: format!("/usr/bin/{program}"),
        pod: &pods[name],
        port,
        callers: Callers::Parts,
    });
    ours.chain(others).collect()
}

/// The stack, running.
struct Stack<'a> {
    network: Network,
    running: Vec<(Part<'a>, Ipv4Addr, Pod<'a>)>,
    /// The folder of each part's certificate, where they have some.
    certificates: Option<PathBuf>,
}

impl<'a> Stack<'a> {
    fn start(
        mut network: Network,
        parts: Vec<Part<'a>>,
        objects: &[Value],
        certificates: Option<PathBuf>,
    ) -> Self {
        let mut running = Vec::new();
        for part in parts {
            let address = network.address();
            let mut names = network.names.lock().unwrap();
            names.insert(part.name.clone(), (address, part.port));
            drop(names);
            let own = certificates.as_ref().map(|it| it.join(&part.name));
            let given = Given {
                address: Some(&address.to_string()),
                dns: Some(HERE),
                certificates: own.as_deref(),
            };
            let mut pod = Pod::start(&part.program, part.pod, objects, &given);
            pod.apart();
            network.link(address, pod.child.id());
            running.push((part, address, pod));
        }
        Self {
            network,
            running,
            certificates,
        }
    }

    /// Asks a part as whoever the folder of a certificate makes one.
    fn ask(&self, name: &str, path: &str, own: Option<&str>) -> Result<String, String> {
        let (address, port) = self.network.names.lock().unwrap()[name];
        let scheme = if self.certificates.is_some() {
            "https"
        } else {
            "http"
        };
        let mut curl = Command::new("curl");
        curl.args(["-sSf", "-m", "20", "--resolve"])
            .arg(format!("{name}:{port}:{address}"));
        if let (Some(folder), Some(own)) = (&self.certificates, own) {
            let file = |file: &str| folder.join(own).join(file);
            curl.arg("--cacert").arg(file("ca.crt"));
            curl.arg("--cert").arg(file("tls.crt"));
            curl.arg("--key").arg(file("tls.key"));
        } else {
            curl.arg("-k");
        }
        let output = curl.arg(format!("{scheme}://{name}:{port}{path}")).output();
        let output = output.unwrap();
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// What Prometheus says below `data`.
    fn prometheus(&self, path: &str) -> Result<Value, String> {
        let text = self.ask("prometheus", path, Some("alertmanager"))?;
        let answer: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        Ok(answer["data"].clone())
    }

    /// Waits until Prometheus has scraped every service, itself and Alertmanager, and knows every rule and where alerts go.
    fn is_seen(&mut self) {
        let mut jobs: BTreeSet<String> = ["prometheus", "alertmanager"].map(str::to_owned).into();
        jobs.extend(Table::ours().unwrap().service.into_iter().map(|it| it.job));
        let end = Instant::now() + LONG;
        loop {
            for (part, _, pod) in &mut self.running {
                let ended = pod.child.try_wait().unwrap();
                assert!(ended.is_none(), "{} ended\n{}", part.name, pod.said());
            }
            let seen = self.prometheus("/api/v1/targets?state=active");
            let up: Option<BTreeSet<String>> = seen.as_ref().ok().map(|targets| {
                let up = items(&targets["activeTargets"]).filter(|it| it["health"] == "up");
                let job = up.filter_map(|target| target["labels"]["job"].as_str());
                job.map(str::to_owned).collect()
            });
            if up.as_ref() == Some(&jobs) {
                break;
            }
            let wrong: Vec<String> = seen.as_ref().map_or_else(
                |error| vec![error.clone()],
                |targets| {
                    let active = items(&targets["activeTargets"]);
                    active
                        .map(|it| format!("{} {}", it["scrapeUrl"], it["lastError"]))
                        .collect()
                },
            );
            assert!(Instant::now() < end, "{up:?} of {jobs:?}: {wrong:#?}");
            std::thread::sleep(Duration::from_millis(200));
        }
        let alertmanagers = self.prometheus("/api/v1/alertmanagers").unwrap();
        assert_eq!(items(&alertmanagers["activeAlertmanagers"]).count(), 1);
        let rules = self.prometheus("/api/v1/rules").unwrap();
        let shipped = sotp_checks::files(&root().join("alerts/rules"), ".yaml").unwrap();
        let loaded: BTreeSet<&str> = items(&rules["groups"])
            .filter_map(|group| group["file"].as_str())
            .collect();
        assert_eq!(loaded.len(), shipped.len(), "{loaded:?}");
    }

    /// Nobody is let in without a certificate but where people and browsers come.
    fn refuses_who_has_no_certificate(&self) {
        for (part, ..) in &self.running {
            let path = "/-/healthy";
            let with = self.ask(&part.name, path, Some("alertmanager"));
            assert!(with.is_ok(), "{}: {with:?}", part.name);
            let without = self.ask(&part.name, path, None);
            let open = part.callers != Callers::Parts;
            assert_eq!(without.is_ok(), open, "{}: {without:?}", part.name);
        }
    }
}

/// The pods of a deployment by their names. Prometheus asks more often than it is told to: that is all that is changed.
fn of_cluster(overlay: &str) -> (Vec<Value>, BTreeMap<String, Value>) {
    let root = root();
    let folder = root.join("kustomize/overlays").join(overlay);
    let mut objects = manifests::build(&tools::kubectl(&root), &folder).unwrap().1;
    for object in &mut objects {
        hurry(object);
    }
    let pods = objects.iter().filter_map(|object| {
        let name = object["metadata"]["name"].as_str()?;
        Some((name.to_owned(), pods::template(object)?.clone()))
    });
    let pods = pods.collect();
    (objects, pods)
}

fn hurry(map: &mut Value) {
    let Some(text) = map["data"]["prometheus.yml"].as_str() else {
        return;
    };
    let fast = text
        .replace("_interval: 15s", "_interval: 2s")
        .replace("scrape_timeout: 10s", "scrape_timeout: 2s");
    assert_ne!(text, fast);
    map["data"]["prometheus.yml"] = fast.into();
}

/// Gives a part a certificate for these names, as cert-manager does in a cluster.
fn certify(folder: &Path, name: &str, hosts: &[&str]) {
    let status = Command::new(testkit::services::program("sotp-certs"))
        .arg(format!("--folder={}", folder.display()))
        .arg(format!("--hosts={}", hosts.join(",")))
        .arg(name)
        .stdout(std::process::Stdio::null())
        .status();
    assert!(status.unwrap().success(), "{name}");
}

#[test]
fn the_whole_of_the_overlay_lives_listens_and_is_seen_from_its_own_config_maps() {
    if unable() {
        return;
    }
    let test =
        "started::the_whole_of_the_overlay_lives_listens_and_is_seen_from_its_own_config_maps";
    let Some(network) = Network::enter(test) else {
        return;
    };
    let (objects, pods) = of_cluster("all-in-one");
    let mut stack = Stack::start(network, parts(&pods), &objects, None);
    assert_eq!(stack.running.len(), 13);
    let end = Instant::now() + LONG;
    for (part, _, pod) in &mut stack.running {
        pod.listens(&part.name, end);
        let probe = |name: &str| pod.container[name]["httpGet"]["path"].as_str().unwrap();
        let answer = pod.asked(probe("livenessProbe"));
        assert!(
            answer.contains(" 200 "),
            "{}: {answer:?}\n{}",
            part.name,
            pod.said()
        );
        // Whether it is ready depends on others; that the page is there does not.
        let answer = pod.asked(probe("readinessProbe"));
        assert!(
            answer.contains(" 200 ") || answer.contains(" 503 "),
            "{}: {answer:?}",
            part.name
        );
        let status = std::fs::read_to_string(format!("/proc/{}/status", pod.child.id())).unwrap();
        assert!(
            status.contains(&format!("Uid:\t{}\t", pod.user)),
            "{}: {status}",
            part.name
        );
        assert!(
            status.contains("CapEff:\t0000000000000000"),
            "{}: {status}",
            part.name
        );
    }
    stack.is_seen();
}

/// The same with the certificates that cert-manager is asked for: made by another authority, for the same names.
#[test]
fn the_whole_of_production_is_seen_by_certificates_and_refuses_who_has_none() {
    if unable() {
        return;
    }
    let test = "started::the_whole_of_production_is_seen_by_certificates_and_refuses_who_has_none";
    let Some(network) = Network::enter(test) else {
        return;
    };
    let (objects, pods) = of_cluster("production");
    let place = TempDir::new().unwrap();
    for certificate in objects.iter().filter(|it| it["kind"] == "Certificate") {
        let Some(name) = certificate["spec"]["secretName"].as_str() else {
            continue;
        };
        let hosts = items(&certificate["spec"]["dnsNames"]).filter_map(Value::as_str);
        let hosts: Vec<&str> = hosts.collect();
        if let Some(name) = name.strip_suffix("-tls") {
            certify(place.path(), name, &hosts);
        }
    }
    let certificates = Some(place.path().to_owned());
    let mut stack = Stack::start(network, parts(&pods), &objects, certificates);
    stack.is_seen();
    stack.refuses_who_has_no_certificate();
}

/// `compose.yaml`, with the certificates that its own service `certs` makes.
#[test]
fn the_whole_of_the_containers_is_seen_by_certificates_and_refuses_who_has_none() {
    if unable() {
        return;
    }
    let test =
        "started::the_whole_of_the_containers_is_seen_by_certificates_and_refuses_who_has_none";
    let Some(network) = Network::enter(test) else {
        return;
    };
    let place = TempDir::new().unwrap();
    let compose = compose::read();
    let mut objects = Vec::new();
    let mut pods = BTreeMap::new();
    for (name, service) in compose["services"].as_object().unwrap() {
        if name == "certs" {
            let status = Command::new(testkit::services::program("sotp-certs"))
                .args(compose::arguments_of_certs(service, place.path()))
                .stdout(std::process::Stdio::null())
                .status();
            assert!(status.unwrap().success());
        }
        let (pod, maps) = compose::pod(name, service);
        pods.insert(name.clone(), pod);
        objects.extend(maps);
    }
    for object in &mut objects {
        hurry(object);
    }
    let certificates = Some(place.path().to_owned());
    let mut stack = Stack::start(network, parts(&pods), &objects, certificates);
    stack.is_seen();
    stack.refuses_who_has_no_certificate();
}

/// The component's pod has raw sockets with NET_RAW and nothing else, and none without it.
#[test]
fn raw_sockets_need_the_one_capability_of_ping_raw() {
    if unable() {
        return;
    }
    let root = root();
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("raw");
    let folder = deployments::overlay(
        &root,
        &scratch,
        deployments::below("ping-raw"),
        &["ping-raw"],
    )
    .unwrap();
    let objects = manifests::build(&tools::kubectl(&root), &folder).unwrap().1;
    let named = objects
        .iter()
        .filter(|object| object["metadata"]["name"] == "ping");
    let pod = named.filter_map(pods::template).next().unwrap();
    let end = Instant::now() + LONG;
    let mut service = Pod::start("sotp-ping", pod, &objects, &Given::default());
    service.listens("ping", end);
    let page = service.asked("/metrics");
    assert!(
        page.contains("ping_socket_mode_info{family=\"ipv4\",mode=\"raw\"} 1"),
        "{page}"
    );
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.child.id())).unwrap();
    assert!(status.contains("CapEff:\t0000000000002000"), "{status}");
    let mut bare = pod.clone();
    bare["spec"]["containers"][0]["securityContext"]["capabilities"]["add"] = Value::Null;
    let mut service = Pod::start("sotp-ping", &bare, &objects, &Given::default());
    let status = service.child.wait().unwrap();
    assert!(
        !status.success() && service.said().contains("raw"),
        "{status}: {}",
        service.said()
    );
}
