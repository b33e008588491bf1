//! A real router: FRR behind a real sshd in a namespace of its own, as services meet one.
//!
//! It has the ports `eth1` and `eth2`, whose far ends are up, and three accounts that log in with one key and have `vtysh` for a shell:
//! `fixer`, `reader` and `person`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::{TempDir, eventually};

/// What the router is made of, with the Debian packages that bring it.
const PROGRAMS: [&str; 3] = ["/usr/lib/frr/zebra", "/usr/sbin/sshd", "/usr/bin/vtysh"];
/// Routers that this process made.
static MADE: AtomicU32 = AtomicU32::new(0);
/// How long it may take until it answers.
const UP: Duration = Duration::from_secs(20);

/// What runs inside the namespaces: zebra and sshd, whose accounts have vtysh for a shell, and two ports beside the one for management.
const SCRIPT: &str = r#"
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/frr /run/sshd
chown frr:frr /run/frr
group=$(getent group frrvty | cut -d: -f3)
cp /etc/passwd "$DIR/passwd"; cp /etc/shadow "$DIR/shadow"; chmod 600 "$DIR/shadow"
for user in fixer reader person; do
  echo "$user:x:$((2000 + $(echo $user | wc -c))):$group::$DIR:/usr/bin/vtysh" >> "$DIR/passwd"
  echo "$user:*:19000:0:99999:7:::" >> "$DIR/shadow"
done
mount --bind "$DIR/passwd" /etc/passwd
mount --bind "$DIR/shadow" /etc/shadow
mkdir -p "$DIR/frr"
printf 'service integrated-vtysh-config\nusername fixer nopassword\nusername reader nopassword\nusername person nopassword\n' > "$DIR/frr/vtysh.conf"
chown -R frr:frrvty "$DIR/frr"; chmod 775 "$DIR/frr"; chmod 664 "$DIR/frr/vtysh.conf"
mount --bind "$DIR/frr" /etc/frr
ip link set lo up
ip link add eth1 type veth peer name far1
ip link add eth2 type veth peer name far2
ip link set far1 up; ip link set far2 up; ip link set eth1 up; ip link set eth2 up
ssh-keygen -q -t ed25519 -N '' -f "$DIR/host_key"
cat > "$DIR/sshd_config" <<END
ListenAddress 0.0.0.0
HostKey $DIR/host_key
AuthorizedKeysFile $DIR/key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
UseDNS no
PrintMotd no
PrintLastLog no
END
/usr/lib/frr/zebra -d -A 127.0.0.1 -f /dev/null -i /run/frr/zebra.pid
touch "$DIR/up"
exec /usr/sbin/sshd -D -e -f "$DIR/sshd_config"
"#;

/// A running router; it ends when it is dropped.
#[derive(Debug)]
pub struct Router {
    child: Child,
    addresses: [String; 2],
    outer: String,
    dir: TempDir,
    known: String,
}

impl Drop for Router {
    fn drop(&mut self) {
        let inside = self.inside().to_string();
        let _ = Command::new("kill").args(["-9", &inside]).status();
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = Command::new("ip")
            .args(["link", "del", &self.outer])
            .stderr(Stdio::null())
            .status();
    }
}

fn run(program: &str, args: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .with_context(|| program.to_owned())?;
    ensure!(
        output.status.success(),
        "{program} {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

impl Router {
    /// Why there can be no router here; `None` where there can.
    #[must_use]
    pub fn missing() -> Option<String> {
        if !nix::unistd::geteuid().is_root() {
            return Some("making a network needs root".to_owned());
        }
        PROGRAMS
            .iter()
            .find(|program| !Path::new(program).exists())
            .map(|program| {
                format!("{program} is not installed (Debian packages frr and openssh-server)")
            })
    }

    /// Starts it, and waits until it takes logins.
    ///
    /// # Errors
    /// It does not come up; its own log is in the text.
    pub async fn start() -> anyhow::Result<Self> {
        let dir = TempDir::new()?;
        run("chmod", &["755", &dir.path().display().to_string()])?;
        let key = dir.join("key").display().to_string();
        run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &key])?;
        dir.write("script", SCRIPT)?;
        let log = std::fs::File::create(dir.join("log"))?;
        let child = Command::new("unshare")
            .args([
                "--net",
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
                "bash",
            ])
            .arg(dir.join("script"))
            .env("DIR", dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("unshare (Debian package util-linux)")?;
        // A network of its own for each, in whatever process.
        let id = std::process::id() + MADE.fetch_add(1, Ordering::Relaxed);
        let net = format!("198.18.{}", 32 + id % 200);
        let mut router = Self {
            child,
            addresses: [format!("{net}.2"), format!("{net}.3")],
            outer: format!("{OUTER}{}", id % 100_000),
            known: String::new(),
            dir,
        };
        eventually(UP, || async {
            let log = std::fs::read_to_string(router.dir.join("log")).unwrap_or_default();
            ensure!(
                router.dir.join("up").exists(),
                "the router does not come up: {log}"
            );
            Ok(())
        })
        .await?;
        let (inside, outer) = (router.inside().to_string(), &router.outer);
        run(
            "ip",
            &[
                "link", "add", outer, "type", "veth", "peer", "name", "mgmt", "netns", &inside,
            ],
        )?;
        run("ip", &["addr", "add", &format!("{net}.1/29"), "dev", outer])?;
        run("ip", &["link", "set", outer, "up"])?;
        for address in &router.addresses {
            router.exec(&["ip", "addr", "add", &format!("{address}/29"), "dev", "mgmt"])?;
        }
        router.exec(&["ip", "link", "set", "mgmt", "up"])?;
        let public = std::fs::read_to_string(router.dir.join("host_key.pub"))?;
        let mut words = public.split_whitespace();
        let (kind, host_key) = words.next().zip(words.next()).context("no host key")?;
        let line = |address: &String| format!("{address} {kind} {host_key}\n");
        router.known = router.addresses.iter().map(line).collect();
        eventually(UP, || async {
            let open = tokio::net::TcpStream::connect((router.address(), 22));
            tokio::time::timeout(Duration::from_secs(1), open).await??;
            Ok(())
        })
        .await?;
        Ok(router)
    }

    /// Its address; SSH is on port 22.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.addresses[0]
    }

    /// Another address of the same router, for a device that answers the same.
    #[must_use]
    pub fn other_address(&self) -> &str {
        &self.addresses[1]
    }

    /// The file with the private key of all its accounts.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.dir.join("key")
    }

    /// Its lines of a `known_hosts` file.
    #[must_use]
    pub fn known_hosts(&self) -> &str {
        &self.known
    }

    /// The first process inside: the child of unshare.
    fn inside(&self) -> u32 {
        let path = format!("/proc/{0}/task/{0}/children", self.child.id());
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace()
            .next()
            .and_then(|pid| pid.parse().ok())
            .unwrap_or_default()
    }

    /// Runs a program inside, and returns what it printed.
    ///
    /// # Errors
    /// It fails.
    pub fn exec(&self, args: &[&str]) -> anyhow::Result<String> {
        let inside = self.inside().to_string();
        run(
            "nsenter",
            &[&["-t", &inside, "-n", "-m", "-p"], args].concat(),
        )
    }

    /// A person types a line below a port at the router's own console.
    ///
    /// # Errors
    /// FRR does not take it.
    pub fn person(&self, port: &str, line: &str) -> anyhow::Result<()> {
        let port = format!("interface {port}");
        self.exec(&["vtysh", "-c", "configure terminal", "-c", &port, "-c", line])?;
        Ok(())
    }

    /// Whether a port is up.
    ///
    /// # Errors
    /// There is no such port.
    pub fn is_up(&self, port: &str) -> anyhow::Result<bool> {
        Ok(self
            .exec(&["ip", "-o", "link", "show", port])?
            .contains(",UP"))
    }
}

/// How the name of a router's interface on the outside begins.
const OUTER: &str = "rtr";

/// The network interfaces of the outside, without those of routers, which tests beside this one may have.
///
/// # Panics
/// The kernel does not list them.
#[must_use]
#[expect(clippy::expect_used, reason = "a harness without sysfs cannot go on")]
pub fn links() -> BTreeSet<String> {
    std::fs::read_dir("/sys/class/net")
        .expect("sysfs lists the interfaces")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with(OUTER))
        .collect()
}
