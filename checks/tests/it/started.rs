//! Our services started as the manifests of `all-in-one` say: arguments, environment, user, files and kernel settings, in namespaces of their own
//! with a file system that holds what the pod would see. They must live, and listen where their ports and probes say.

use std::collections::BTreeSet;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use services::Table;
use sotp_checks::{manifests, pods, root, tools};
use testkit::TempDir;

const USER: u32 = 65532;

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
exec chroot --userspec=65532:65532 "$root" /service "$@"
"#;

struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Puts what a pod mounts where it mounts it.
fn mount(folder: &Path, pod: &Value, objects: &[Value]) {
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
            chown(&place, Some(USER), Some(USER)).unwrap();
        }
    }
}

/// The ports that a process listens on, from its own view of the network: `tcp 19427`, `udp 5514`.
fn listening(pid: u32) -> BTreeSet<String> {
    let mut ports = BTreeSet::new();
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

/// The first line of the answer to a request, from within the network of the process.
fn asked(pid: u32, port: u64, path: &str) -> String {
    let script = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port} && printf 'GET {path} HTTP/1.0\\r\\nHost: x\\r\\n\\r\\n' >&3 && head -n 1 <&3"
    );
    let output = Command::new("nsenter")
        .args([&format!("--net=/proc/{pid}/ns/net"), "bash", "-c", &script])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn our_services_live_and_listen_as_their_manifests_say() {
    let able = Command::new("unshare")
        .args(["--mount", "--net", "true"])
        .status();
    if !able.is_ok_and(|status| status.success()) {
        testkit::skip(format_args!("no right to make namespaces"));
        return;
    }
    let root = root();
    let folder = root.join("kustomize/overlays/all-in-one");
    let objects = manifests::build(&tools::kubectl(&root), &folder).unwrap().1;
    let table = Table::ours().unwrap();
    let mut started = Vec::new();
    for service in &table.service {
        let Some(app) = service.app.as_deref() else {
            continue;
        };
        let pod = objects
            .iter()
            .filter(|object| object["metadata"]["name"] == app)
            .find_map(pods::template);
        let pod = pod.unwrap();
        let container = &pod["spec"]["containers"][0];
        let place = TempDir::new().unwrap();
        Command::new("chmod")
            .arg("755")
            .arg(place.path())
            .status()
            .unwrap();
        mount(place.path(), pod, &objects);
        // What the image has beside the program, and what the kubelet adds.
        std::fs::create_dir_all(place.join("etc/ssl/certs")).unwrap();
        let authorities = "etc/ssl/certs/ca-certificates.crt";
        std::fs::copy(Path::new("/").join(authorities), place.join(authorities)).unwrap();
        std::fs::write(place.join("etc/resolv.conf"), "nameserver 127.0.0.1\n").unwrap();
        std::fs::write(place.join("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
        let program = place.join("service");
        if std::fs::hard_link(testkit::services::program(&service.name), &program).is_err() {
            std::fs::copy(testkit::services::program(&service.name), &program).unwrap();
        }
        let log = place.join("log");
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--net", "sh", "-euc", SCRIPT, "sh"])
            .arg(place.path());
        for sysctl in items(&pod["spec"]["securityContext"]["sysctls"]) {
            command
                .arg(sysctl["name"].as_str().unwrap().replace('.', "/"))
                .arg(sysctl["value"].as_str().unwrap());
        }
        command
            .arg("--")
            .args(items(&container["args"]).filter_map(Value::as_str));
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        for variable in items(&container["env"]) {
            command.env(
                variable["name"].as_str().unwrap(),
                variable["value"].as_str().unwrap(),
            );
        }
        let file = std::fs::File::create(&log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .unwrap();
        started.push((app, container, log, Service(child), place));
    }
    assert_eq!(started.len(), 11);
    let end = Instant::now() + Duration::from_secs(120);
    for (app, container, log, service, _) in &mut started {
        let pid = service.0.id();
        let said = || std::fs::read_to_string(&log).unwrap();
        let wanted: BTreeSet<String> = items(&container["ports"])
            .map(|port| {
                let protocol = port["protocol"].as_str().unwrap_or("TCP").to_lowercase();
                format!("{protocol} {}", port["containerPort"])
            })
            .collect();
        loop {
            let ended = service.0.try_wait().unwrap();
            assert!(ended.is_none(), "{app} ended: {ended:?}\n{}", said());
            let ports = listening(pid);
            if wanted.is_subset(&ports) {
                // And nowhere that the manifest does not tell of.
                assert!(
                    ports.is_subset(&wanted),
                    "{app} listens on {ports:?}, its manifest names {wanted:?}"
                );
                break;
            }
            assert!(
                Instant::now() < end,
                "{app} listens on {ports:?}, not on {wanted:?}\n{}",
                said()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        let probe = &container["livenessProbe"]["httpGet"];
        let port = items(&container["ports"])
            .find(|port| port["name"] == probe["port"])
            .unwrap();
        let port = port["containerPort"].as_u64().unwrap();
        let answer = asked(pid, port, probe["path"].as_str().unwrap());
        assert!(answer.contains(" 200 "), "{app}: {answer:?}\n{}", said());
        // Whether it is ready depends on others; that the page is there does not.
        let path = container["readinessProbe"]["httpGet"]["path"]
            .as_str()
            .unwrap();
        let answer = asked(pid, port, path);
        assert!(
            answer.contains(" 200 ") || answer.contains(" 503 "),
            "{app}: {path}: {answer:?}"
        );
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        assert!(status.contains(&format!("Uid:\t{USER}\t")), "{status}");
    }
}
