//! Our services started as the manifests say: arguments, environment, user, capabilities, files and kernel settings, in namespaces of their own
//! with a file system that holds what the pod would see. They must live, and listen where their ports and probes say.

use std::collections::BTreeSet;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use services::Table;
use sotp_checks::{deployments, manifests, pods, root, tools};
use testkit::TempDir;

/// Makes the pod's view of the machine below the first argument and becomes the service, which the others are for.
const SCRIPT: &str = r#"
root=$1; shift
for folder in bin lib lib64 usr; do
  if [ -L "/$folder" ]; then cp -P "/$folder" "$root/$folder"; elif [ -d "/$folder" ]; then mkdir "$root/$folder"; mount --rbind "/$folder" "$root/$folder"; fi
done
mkdir "$root/proc" "$root/dev"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
ip link set lo up
while [ "$1" != -- ]; do printf %s "$2" > "/proc/sys/$1"; shift 2; done
shift
user=$1 rights=$2; shift 2
exec chroot "$root" setpriv --reuid="$user" --regid="$user" --clear-groups --bounding-set="-all$rights" --inh-caps=-all --no-new-privs /service "$@"
"#;

/// A service that runs, as its pod says.
struct Service<'a> {
    container: &'a Value,
    user: u64,
    log: PathBuf,
    child: Child,
    _place: TempDir,
}

impl Drop for Service<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl<'a> Service<'a> {
    /// Starts `program` as `pod` says.
    fn start(program: &str, pod: &'a Value, objects: &[Value]) -> Self {
        let container = &pod["spec"]["containers"][0];
        let place = TempDir::new().unwrap();
        Command::new("chmod")
            .arg("755")
            .arg(place.path())
            .status()
            .unwrap();
        let user = pod["spec"]["securityContext"]["runAsUser"]
            .as_u64()
            .unwrap();
        mount(place.path(), pod, objects, u32::try_from(user).unwrap());
        // What the image has beside the program, and what the kubelet adds.
        std::fs::create_dir_all(place.join("etc/ssl/certs")).unwrap();
        let authorities = "etc/ssl/certs/ca-certificates.crt";
        std::fs::copy(Path::new("/").join(authorities), place.join(authorities)).unwrap();
        std::fs::write(place.join("etc/resolv.conf"), "nameserver 127.0.0.1\n").unwrap();
        std::fs::write(place.join("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
        let (built, there) = (testkit::services::program(program), place.join("service"));
        if std::fs::hard_link(&built, &there).is_err() {
            std::fs::copy(&built, &there).unwrap();
        }
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--net", "sh", "-euc", SCRIPT, "sh"])
            .arg(place.path());
        for sysctl in items(&pod["spec"]["securityContext"]["sysctls"]) {
            command.arg(sysctl["name"].as_str().unwrap().replace('.', "/"));
            command.arg(sysctl["value"].as_str().unwrap());
        }
        let added = items(&container["securityContext"]["capabilities"]["add"]);
        let rights: String = added
            .map(|one| format!(",+{}", one.as_str().unwrap().to_lowercase()))
            .collect();
        command.arg("--").arg(user.to_string()).arg(rights);
        command.args(items(&container["args"]).filter_map(Value::as_str));
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        for variable in items(&container["env"]) {
            command.env(
                variable["name"].as_str().unwrap(),
                variable["value"].as_str().unwrap(),
            );
        }
        let log = place.join("log");
        let file = std::fs::File::create(&log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .unwrap();
        Self {
            container,
            user,
            log,
            child,
            _place: place,
        }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it listens on every port of its manifest, and on no other.
    fn listens(&mut self, app: &str, end: Instant) {
        let wanted: BTreeSet<String> = items(&self.container["ports"])
            .map(|port| {
                let protocol = port["protocol"].as_str().unwrap_or("TCP").to_lowercase();
                format!("{protocol} {}", port["containerPort"])
            })
            .collect();
        loop {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "{app} ended: {ended:?}\n{}", self.said());
            let ports = listening(self.child.id());
            if wanted.is_subset(&ports) {
                assert!(
                    ports.is_subset(&wanted),
                    "{app} listens on {ports:?}, its manifest names {wanted:?}"
                );
                return;
            }
            assert!(
                Instant::now() < end,
                "{app} listens on {ports:?}, not on {wanted:?}\n{}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The answer to a request at the port of its probes, from within its network.
    fn asked(&self, path: &str) -> String {
        let probe = &self.container["livenessProbe"]["httpGet"];
        let port = items(&self.container["ports"])
            .find(|port| port["name"] == probe["port"])
            .unwrap();
        let script = format!(
            "exec 3<>/dev/tcp/127.0.0.1/{} && printf 'GET {path} HTTP/1.0\\r\\nHost: x\\r\\n\\r\\n' >&3 && cat <&3",
            port["containerPort"]
        );
        let space = format!("--net=/proc/{}/ns/net", self.child.id());
        let output = Command::new("nsenter")
            .args([&*space, "bash", "-c", &script])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Puts what a pod mounts where it mounts it.
fn mount(folder: &Path, pod: &Value, objects: &[Value], user: u32) {
    for mount in items(&pod["spec"]["containers"][0]["volumeMounts"]) {
        let path = mount["mountPath"].as_str().unwrap().trim_start_matches('/');
        let place = folder.join(path);
        std::fs::create_dir_all(&place).unwrap();
        let volume = items(&pod["spec"]["volumes"]).find(|volume| volume["name"] == mount["name"]);
        let map = volume.and_then(|volume| volume["configMap"]["name"].as_str());
        if let Some(map) = map {
            let map = objects
                .iter()
                .find(|object| manifests::name(object) == format!("ConfigMap/{map}"));
            for (name, text) in map.unwrap()["data"].as_object().unwrap() {
                std::fs::write(place.join(name), text.as_str().unwrap()).unwrap();
            }
        } else if mount["readOnly"] != true {
            chown(&place, Some(user), Some(user)).unwrap();
        }
    }
}

/// The ports that a process listens on, from its own view of the network: `tcp 19427`, `udp 5514`. None before it has one of its own.
fn listening(pid: u32) -> BTreeSet<String> {
    let mut ports = BTreeSet::new();
    let network = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/net")).ok();
    if network(&pid.to_string()) == network("self") {
        return ports;
    }
    for (protocol, state) in [("tcp", "0A"), ("udp", "07")] {
        for family in ["", "6"] {
            let table = std::fs::read_to_string(format!("/proc/{pid}/net/{protocol}{family}"));
            for line in table.unwrap_or_default().lines().skip(1) {
                let fields: Vec<&str> = line.split_whitespace().collect();
                if fields[3] == state {
                    let port = fields[1].rsplit(':').next().unwrap();
                    let port = u16::from_str_radix(port, 16).unwrap();
                    // Whoever asks by UDP has a port of the kernel's choice.
                    if protocol == "udp" && port >= 32_768 {
                        continue;
                    }
                    ports.insert(format!("{protocol} {port}"));
                }
            }
        }
    }
    ports
}

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

#[test]
fn our_services_live_and_listen_as_their_manifests_say() {
    if unable() {
        return;
    }
    let root = root();
    let folder = root.join("kustomize/overlays/all-in-one");
    let objects = manifests::build(&tools::kubectl(&root), &folder).unwrap().1;
    let mut started = Vec::new();
    for service in &Table::ours().unwrap().service {
        if let Some(app) = &service.app {
            let named = objects
                .iter()
                .filter(|object| object["metadata"]["name"] == **app);
            let pod = named.filter_map(pods::template).next().unwrap();
            started.push((app.clone(), Service::start(&service.name, pod, &objects)));
        }
    }
    assert_eq!(started.len(), 11);
    let end = Instant::now() + Duration::from_secs(120);
    for (app, service) in &mut started {
        service.listens(app, end);
        let probe = |name: &str| service.container[name]["httpGet"]["path"].as_str().unwrap();
        let answer = service.asked(probe("livenessProbe"));
        assert!(
            answer.contains(" 200 "),
            "{app}: {answer:?}\n{}",
            service.said()
        );
        // Whether it is ready depends on others; that the page is there does not.
        let answer = service.asked(probe("readinessProbe"));
        assert!(
            answer.contains(" 200 ") || answer.contains(" 503 "),
            "{app}: {answer:?}"
        );
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", service.child.id())).unwrap();
        assert!(
            status.contains(&format!("Uid:\t{}\t", service.user)),
            "{app}: {status}"
        );
        assert!(
            status.contains("CapEff:\t0000000000000000"),
            "{app}: {status}"
        );
    }
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
    let end = Instant::now() + Duration::from_secs(120);
    let mut service = Service::start("sotp-ping", pod, &objects);
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
    let mut service = Service::start("sotp-ping", &bare, &objects);
    let status = service.child.wait().unwrap();
    assert!(
        !status.success() && service.said().contains("raw"),
        "{status}: {}",
        service.said()
    );
}
