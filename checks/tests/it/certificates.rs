//! Certificates that end while the parts run: each hour in earnest, each second here.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sotp_checks::root;
use testkit::{Spawn, TempDir, services::program, until};

/// Longer than a loaded machine takes.
const LONG: Duration = Duration::from_secs(60);

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A service and who calls it go on with new certificates, without a start, when those that they had at first have ended.
#[tokio::test]
async fn a_service_goes_on_with_a_new_certificate_when_its_first_has_ended() {
    let dir = TempDir::new().unwrap();
    let folder = dir.join("tls");
    let watch = |once: bool| {
        let mut command = Command::new(program("sotp-certs"));
        command
            .arg(format!("--folder={}", folder.display()))
            .args(["--lifetime=5s", "forecast", "prometheus"])
            .stdout(Stdio::null());
        if !once {
            command.arg("--watch");
        }
        command
    };
    assert!(watch(true).status().unwrap().success());
    let first = dir.join("first");
    std::fs::create_dir(&first).unwrap();
    for file in ["ca.crt", "tls.crt", "tls.key"] {
        std::fs::copy(folder.join("prometheus").join(file), first.join(file)).unwrap();
    }
    let own = folder.join("forecast").display().to_string();
    let web = std::fs::read_to_string(root().join("kustomize/components/tls/web/web.yaml"));
    let web = dir.write("web.yaml", web.unwrap().replace("/etc/sotp-tls", &own));
    let web = format!("--web.config.file={}", web.unwrap().display());
    let process = Spawn::new(program("sotp-forecast")).args([web]).https();
    let process = process.start().await.unwrap();
    let _watching = Running(watch(false).spawn().unwrap());
    let ask = |with: &std::path::Path| {
        let output = Command::new("curl")
            .args(["-sSf", "-m", "5", "--cacert"])
            .arg(with.join("ca.crt"))
            .arg("--cert")
            .arg(with.join("tls.crt"))
            .arg("--key")
            .arg(with.join("tls.key"))
            .arg(process.url("/-/healthy"))
            .output()
            .unwrap();
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    };
    // The first certificate is no good any more: its time is over.
    until("the first certificate ends", LONG, || match ask(&first) {
        Err(error) if error.contains("expired") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    // So is the one that the service began with; it shows another.
    let current = folder.join("prometheus");
    until("the service goes on", LONG, || ask(&current));
}
