//! A pod as its manifest says: arguments, environment, user, capabilities, files and kernel settings, in namespaces of its own with a file
//! system that holds what the pod would see.

use std::collections::BTreeSet;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use sotp_checks::manifests;
use testkit::TempDir;

/// Makes the pod's view of the machine below the first argument and becomes the program, which the others are for. With an address it
/// waits for the link that it gets from outside.
const SCRIPT: &str = r#"
root=$1 address=$2 program=$3; shift 3
for folder in bin lib lib64 usr; do
  if [ -L "/$folder" ]; then cp -P "/$folder" "$root/$folder"; elif [ -d "/$folder" ]; then mkdir "$root/$folder"; mount --rbind "/$folder" "$root/$folder"; fi
done
mkdir "$root/proc" "$root/dev"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
ip link set lo up
if [ -n "$address" ]; then
  until ip link show eth0 > /dev/null 2>&1; do sleep 0.05; done
  ip address add "$address/24" dev eth0
  ip link set eth0 up
fi
while [ "$1" != -- ]; do printf %s "$2" > "/proc/sys/$1"; shift 2; done
shift
user=$1 rights=$2; shift 2
exec chroot "$root" setpriv --reuid="$user" --regid="$user" --clear-groups --bounding-set="-all$rights" --inh-caps=-all --no-new-privs "$program" "$@"
"#;

/// A pod that runs.
pub(crate) struct Pod<'a> {
    pub(crate) container: &'a Value,
    pub(crate) user: u64,
    pub(crate) child: Child,
    log: PathBuf,
    _place: TempDir,
}

impl Drop for Pod<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a pod is given beside its manifest.
#[derive(Default)]
pub(crate) struct Given<'a> {
    /// Its address, where it has a link.
    pub(crate) address: Option<&'a str>,
    /// The server that it asks for names.
    pub(crate) dns: Option<&'a str>,
    /// What its volume `tls` holds.
    pub(crate) certificates: Option<&'a Path>,
}

impl<'a> Pod<'a> {
    /// Starts `program`, of ours by its name and of others by its path, as `pod` says.
    pub(crate) fn start(
        program: &str,
        pod: &'a Value,
        objects: &[Value],
        given: &Given<'_>,
    ) -> Self {
        let container = &pod["spec"]["containers"][0];
        let place = TempDir::new().unwrap();
        open(place.path());
        let user = pod["spec"]["securityContext"]["runAsUser"]
            .as_u64()
            .unwrap();
        let number = u32::try_from(user).unwrap();
        mount(place.path(), pod, objects, number, given.certificates);
        // What the image has beside the program, and what the kubelet adds.
        std::fs::create_dir_all(place.join("etc/ssl/certs")).unwrap();
        let authorities = "etc/ssl/certs/ca-certificates.crt";
        std::fs::copy(Path::new("/").join(authorities), place.join(authorities)).unwrap();
        let dns = given.dns.unwrap_or("127.0.0.1");
        let resolve = format!("nameserver {dns}\nsearch sotp.svc.cluster.local\n");
        std::fs::write(place.join("etc/resolv.conf"), resolve).unwrap();
        std::fs::write(place.join("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
        let inside = if program.starts_with('/') {
            program
        } else {
            let (built, there) = (testkit::services::program(program), place.join("service"));
            if std::fs::hard_link(&built, &there).is_err() {
                std::fs::copy(&built, &there).unwrap();
            }
            "/service"
        };
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--net", "sh", "-euc", SCRIPT, "sh"])
            .arg(place.path())
            .args([given.address.unwrap_or_default(), inside]);
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
            child,
            log,
            _place: place,
        }
    }

    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it is in a network of its own.
    pub(crate) fn apart(&mut self) {
        let end = Instant::now() + Duration::from_secs(30);
        while network("thread-self") == network(&self.child.id().to_string()) {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < end, "{}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until it listens on every port of its manifest, and on no other.
    pub(crate) fn listens(&mut self, app: &str, end: Instant) {
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
    pub(crate) fn asked(&self, path: &str) -> String {
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

pub(crate) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A folder that everybody may enter.
fn open(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Puts what a pod mounts where it mounts it.
fn mount(folder: &Path, pod: &Value, objects: &[Value], user: u32, certificates: Option<&Path>) {
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
        } else if mount["name"] == "tls" {
            for name in ["ca.crt", "tls.crt", "tls.key"] {
                let file = place.join(name);
                std::fs::copy(certificates.unwrap().join(name), &file).unwrap();
                chown(&file, Some(user), Some(user)).unwrap();
            }
        } else if mount["readOnly"] != true {
            chown(&place, Some(user), Some(user)).unwrap();
        }
    }
}

fn network(process: &str) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{process}/ns/net")).ok()
}

/// The ports that a process listens on, from its own view of the network: `tcp 19427`, `udp 5514`. None before it has one of its own.
fn listening(pid: u32) -> BTreeSet<String> {
    let mut ports = BTreeSet::new();
    if network(&pid.to_string()) == network("thread-self") {
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
