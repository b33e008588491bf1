//! Commits of others: on a remote, over SSH too, and on the branch in our own repository.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{TempDir, eventually};

use crate::support::{Answer, Place, Service, send};

const SMALL: &str = "# ours\nsites:\n  - name: lab\ndevices:\n  - name: r1\n    address: 192.0.2.1\n    site: lab\n  - name: r2\n    address: 192.0.2.2\n";
const SEEN: Duration = Duration::from_secs(30);

fn git(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=far", "-c", "user.email=far@example.net"])
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Makes the new text of a file of the old one.
type Rewrite<'a> = &'a dyn Fn(&str) -> String;

/// A bare repository, and somebody who works with a clone of it.
struct Far {
    _dir: TempDir,
    bare: PathBuf,
    clone: PathBuf,
}

impl Far {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let (bare, clone) = (dir.join("bare.git"), dir.join("clone"));
        git(
            dir.path(),
            &["init", "-q", "--bare", "-b", "main", "bare.git"],
        );
        Self {
            _dir: dir,
            bare,
            clone,
        }
    }

    fn store(&self, more: &str) -> String {
        format!(
            "store:\n  remote: {{url: 'file://{}'{more}}}\n",
            self.bare.display()
        )
    }

    /// Changes files of the newest commit there, and pushes that.
    fn change(&self, files: &[(&str, Rewrite<'_>)]) -> String {
        if !self.clone.exists() {
            let (bare, clone) = (
                self.bare.display().to_string(),
                self.clone.display().to_string(),
            );
            git(Path::new("/"), &["clone", "-q", &bare, &clone]);
        }
        git(&self.clone, &["pull", "-q", "--ff-only"]);
        for (name, edit) in files {
            let path = self.clone.join(name);
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            std::fs::write(&path, edit(&text)).unwrap();
            git(&self.clone, &["add", name]);
        }
        git(&self.clone, &["commit", "-q", "-m", "from afar"]);
        git(&self.clone, &["push", "-q"]);
        git(&self.clone, &["rev-parse", "HEAD"]).trim().to_owned()
    }

    fn show(&self, name: &str) -> String {
        git(&self.bare, &["show", &format!("main:{name}")])
    }
}

async fn carol(service: &Service, path: &str, body: Value, tag: &str) -> Answer {
    let request = service.json_by("carol", "POST", path, &body);
    send(if tag.is_empty() {
        request
    } else {
        request.header("if-match", tag)
    })
    .await
}

async fn role(service: &Service, device: &str, role: &str) -> Answer {
    let request = service.json(
        "PATCH",
        &format!("/api/v1/devices/{device}"),
        &json!({"role": role}),
    );
    let answer = send(request.header("if-match", "*")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer
}

async fn sample(service: &Service, name: &str) -> Option<f64> {
    let text = send(service.request("GET", "/metrics")).await.text;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map(|value| value.parse().unwrap())
}

const REMOTE: &str = "sotp_inventory_conflicts{with=\"remote\"}";
const BRANCH: &str = "sotp_inventory_conflicts{with=\"branch\"}";

#[tokio::test]
async fn a_remote_is_kept_in_step_without_being_asked() {
    let far = Far::new();
    let place = Place::with(SMALL, &far.store(", sync_interval: 1s"));
    let service = place.start().await;
    role(&service, "r1", "core").await;
    eventually(SEEN, || async {
        anyhow::ensure!(
            far.bare.join("refs/heads/main").exists(),
            "nothing was pushed"
        );
        anyhow::ensure!(
            far.show("inventory.yaml") == place.text(),
            "the change is not there"
        );
        Ok(())
    })
    .await
    .unwrap();
    assert!(far.show("inventory.yaml").contains("role: core"));
    // What they change is live here, and what else they have stays as they have it.
    let theirs = far.change(&[
        ("inventory.yaml", &|text| {
            text.replace("192.0.2.2", "192.0.2.22")
        }),
        ("README", &|_| "about\n".to_owned()),
    ]);
    eventually(SEEN, || async {
        let device = service.get("/api/v1/devices/r2").await.body;
        anyhow::ensure!(device["address"] == "192.0.2.22", "{device}");
        Ok(())
    })
    .await
    .unwrap();
    let versions = service.get("/api/v1/versions?limit=1").await.body;
    assert_eq!(
        versions["versions"][0]["version"], *theirs,
        "their commit is the newest version: {versions}"
    );
    role(&service, "r1", "edge").await;
    eventually(SEEN, || async {
        anyhow::ensure!(
            far.show("inventory.yaml").contains("role: edge"),
            "not pushed"
        );
        anyhow::ensure!(
            sample(&service, "sotp_inventory_remote_up").await == Some(1.0),
            "not up"
        );
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(far.show("README"), "about\n");
    assert!(place.text().starts_with("# ours\n"), "{}", place.text());
    // The merge is in the audit log, in the name of the service.
    let audit: String = std::fs::read_dir(place.dir.join("audit"))
        .unwrap()
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    let pulled = audit
        .lines()
        .find(|line| line.contains("remote.pull") && line.contains(&theirs));
    assert!(
        pulled.is_some_and(|line| line.contains("\"via\":\"service\"")),
        "{audit}"
    );
    let state = service.get("/api/v1/remote").await.body;
    assert_eq!(
        (&state["last_error"], &state["conflict"]),
        (&Value::Null, &Value::Null),
        "{state}"
    );
}

#[tokio::test]
async fn a_conflict_is_shown_until_somebody_says_what_is_to_be() {
    let far = Far::new();
    let place = Place::with(SMALL, &far.store(""));
    let service = place.start().await;
    let pull = async || carol(&service, "/api/v1/remote/pull", json!({}), "").await;
    let push = async || carol(&service, "/api/v1/remote/push", json!({}), "").await;
    assert_eq!(push().await.status, 200);
    assert_eq!(pull().await.status, 200, "there is nothing to pull");
    role(&service, "r1", "ours").await;
    role(&service, "r2", "ours").await;
    let far_text = |text: &str| {
        text.replace("    site: lab\n", "    site: lab\n    role: theirs\n")
            .replace("192.0.2.2\n", "192.0.2.22\n")
            + "  - name: r3\n    address: 192.0.2.3\n"
    };
    let theirs = far.change(&[
        ("inventory.yaml", &far_text),
        ("README", &|_| "about\n".to_owned()),
    ]);
    let before = place.text();
    assert_eq!(
        push().await.status,
        502,
        "a push must not take their side away"
    );
    assert_eq!(sample(&service, REMOTE).await, Some(0.0));
    let refused = pull().await;
    assert_eq!(
        (refused.status, &refused.body["type"]),
        (409, &json!("/problems/conflict")),
        "{}",
        refused.text
    );
    assert_eq!(place.text(), before, "a conflict changes nothing");
    assert_eq!(sample(&service, REMOTE).await, Some(1.0));
    assert_eq!(
        sample(
            &service,
            "sotp_inventory_conflicting_entries{with=\"remote\"}"
        )
        .await,
        Some(2.0)
    );
    assert_eq!(service.get("/api/v1/status").await.body["conflicts"], 1);
    // Ours goes on meanwhile.
    role(&service, "r1", "ours-too").await;
    let shown = service.get("/api/v1/conflicts").await.body;
    let conflict = &shown["conflicts"][0];
    assert_eq!(
        (&conflict["with"], &conflict["version"], &conflict["total"]),
        (&json!("remote"), &json!(theirs), &json!(2)),
        "{shown}"
    );
    assert_eq!(conflict["entries"][0]["entry"], "devices/r1");
    assert_eq!(conflict["entries"][0]["ours"]["role"], "ours-too");
    assert_eq!(conflict["entries"][0]["theirs"]["role"], "theirs");
    assert!(conflict["entries"][0]["base"]["role"].is_null(), "{shown}");
    let tag = conflict["if_match"].as_str().unwrap();
    let resolve =
        async |body: Value, tag: &str| carol(&service, "/api/v1/resolve", body, tag).await;
    let both = json!({"name": "r2", "address": "192.0.2.22", "role": "ours"});
    let body = json!({"version": theirs, "choices": {"devices/r1": "theirs", "devices/r2": both}});
    // Who may not, who did not look, who looked before it changed, who does not say everything.
    let by_operator = send(
        service
            .json("POST", "/api/v1/resolve", &body)
            .header("if-match", tag),
    )
    .await;
    assert_eq!(by_operator.status, 403, "{}", by_operator.text);
    assert_eq!(resolve(body.clone(), "").await.status, 428);
    assert_eq!(resolve(body.clone(), "\"0123\"").await.status, 412);
    let partly = resolve(
        json!({"version": theirs, "choices": {"devices/r1": "ours"}}),
        tag,
    )
    .await;
    assert_eq!(
        (partly.status, &partly.body["conflicts"][0]["entry"]),
        (409, &json!("devices/r2")),
        "{}",
        partly.text
    );
    for (body, field) in [
        (json!({"choices": {}}), "version"),
        (json!({"version": theirs, "all": "mine"}), "all"),
        (
            json!({"version": theirs, "choices": {"devices/r1": 7}}),
            "choices.devices/r1",
        ),
        (
            json!({"version": theirs, "choices": {"devices/r1": {"name": "r9", "address": "10.0.0.1"}}}),
            "choices.devices/r1",
        ),
        (
            json!({"version": theirs, "choices": {"r1": "ours"}}),
            "choices.r1",
        ),
        (
            json!({"version": theirs, "choices": {"devices/none": "ours"}, "all": "ours"}),
            "choices.devices/none",
        ),
        (json!({"version": theirs, "colour": "red"}), "colour"),
    ] {
        let answer = resolve(body.clone(), tag).await;
        assert_eq!(
            (answer.status, &answer.body["errors"][0]["field"]),
            (422, &json!(field)),
            "{body}: {}",
            answer.text
        );
    }
    assert_eq!(
        resolve(json!({"version": "0123456789ab", "all": "ours"}), tag)
            .await
            .status,
        404
    );
    let dry = send(
        service
            .json_by("carol", "POST", "/api/v1/resolve?validate=true", &body)
            .header("if-match", tag),
    )
    .await;
    assert_eq!(
        (dry.status, &dry.body["valid"]),
        (200, &json!(true)),
        "{}",
        dry.text
    );
    assert_eq!(
        sample(&service, REMOTE).await,
        Some(1.0),
        "a dry run resolves nothing"
    );
    let done = resolve(body, tag).await;
    assert_eq!(done.status, 200, "{}", done.text);
    for (device, key, value) in [
        ("r1", "role", "theirs"),
        ("r2", "address", "192.0.2.22"),
        ("r2", "role", "ours"),
        ("r3", "address", "192.0.2.3"),
    ] {
        assert_eq!(
            service.get(&format!("/api/v1/devices/{device}")).await.body[key],
            value,
            "{device}"
        );
    }
    assert_eq!(sample(&service, REMOTE).await, Some(0.0));
    assert_eq!(
        service.get("/api/v1/conflicts").await.body,
        json!({"conflicts": []})
    );
    // Both histories end in the commit that joins them, with the name of who chose, and the remote takes it.
    assert_eq!(push().await.status, 200);
    let log = git(&far.bare, &["log", "--format=%an %s", "main"]);
    assert!(log.starts_with("carol Merge "), "{log}");
    for line in [
        "far from afar",
        "alice Change device r1",
        "alice Change device r2",
    ] {
        assert!(log.contains(line), "{line} is not in\n{log}");
    }
    assert_eq!(
        (far.show("inventory.yaml"), far.show("README")),
        (place.text(), "about\n".to_owned())
    );
    git(&far.bare, &["fsck", "--strict"]);
    // One that cannot be read as an inventory is shown too, and may be passed over as a whole.
    let broken = far.change(&[("inventory.yaml", &|_| "devices: {".to_owned())]);
    assert_eq!(pull().await.status, 409);
    let shown = service.get("/api/v1/conflicts").await.body["conflicts"][0].clone();
    assert_eq!(
        (&shown["version"], &shown["total"]),
        (&json!(broken), &json!(0)),
        "{shown}"
    );
    let done = resolve(
        json!({"version": broken, "all": "ours"}),
        shown["if_match"].as_str().unwrap(),
    )
    .await;
    assert_eq!(done.status, 200, "{}", done.text);
    assert_eq!(push().await.status, 200);
    assert_eq!(far.show("inventory.yaml"), place.text());
}

#[tokio::test]
async fn commits_on_our_own_branch_are_taken_over() {
    let place = Place::new(SMALL);
    let service = place.start().await;
    role(&service, "r1", "core").await;
    service.get("/api/v1/versions").await;
    let there = TempDir::new().unwrap();
    let folder = place.dir.join("network").display().to_string();
    git(there.path(), &["clone", "-q", &folder, "."]);
    place.git(&["config", "receive.denyCurrentBranch", "ignore"]);
    let change = |from: &str, to: &str| {
        git(there.path(), &["pull", "-q", "--ff-only"]);
        let text = std::fs::read_to_string(there.join("inventory.yaml")).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(there.join("inventory.yaml"), text.replace(from, to)).unwrap();
        git(there.path(), &["commit", "-qam", "by hand, elsewhere"]);
        git(there.path(), &["push", "-q"]);
    };
    change("192.0.2.2\n", "192.0.2.22\n");
    eventually(SEEN, || async {
        let device = service.get("/api/v1/devices/r2").await.body;
        anyhow::ensure!(device["address"] == "192.0.2.22", "{device}");
        Ok(())
    })
    .await
    .unwrap();
    // Ours goes on after theirs, on the branch.
    role(&service, "r2", "edge").await;
    let newest = service.get("/api/v1/versions?limit=1").await.body["versions"][0].clone();
    assert_eq!(
        place.git(&["rev-parse", "main"]).trim(),
        newest["version"].as_str().unwrap()
    );
    assert_eq!(place.git(&["show", "main:inventory.yaml"]), place.text());
    let log = place.git(&["log", "--format=%an %s", "main"]);
    assert!(
        log.contains("far by hand, elsewhere") && log.starts_with("alice Change device r2"),
        "{log}"
    );
    assert_eq!(
        sample(&service, "sotp_inventory_pending_commits").await,
        Some(0.0)
    );
    drop(service);
    // Both sides while nobody looked: the file by one, the branch by the other.
    change("    role: core\n", "    role: theirs\n");
    let theirs = place.git(&["rev-parse", "main"]).trim().to_owned();
    std::fs::write(
        place.file(),
        place.text().replace("    role: core\n", "    role: ours\n"),
    )
    .unwrap();
    let service = place.start().await;
    eventually(SEEN, || async {
        anyhow::ensure!(
            sample(&service, BRANCH).await == Some(1.0),
            "the conflict does not show"
        );
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(service.get("/api/v1/devices/r1").await.body["role"], "ours");
    assert_eq!(
        place.git(&["rev-parse", "main"]).trim(),
        theirs,
        "their branch stays as it is"
    );
    // No change waits for that: it has its commit, beside the branch.
    role(&service, "r2", "late").await;
    service.get("/api/v1/versions").await;
    assert_eq!(
        sample(&service, "sotp_inventory_pending_commits").await,
        Some(0.0)
    );
    assert_eq!(place.git(&["rev-parse", "main"]).trim(), theirs);
    // Also after a kill.
    service
        .process
        .signal(nix::sys::signal::Signal::SIGKILL)
        .unwrap();
    drop(service);
    let service = place.start().await;
    assert_eq!(service.get("/api/v1/devices/r2").await.body["role"], "late");
    eventually(SEEN, || async {
        anyhow::ensure!(
            sample(&service, BRANCH).await == Some(1.0),
            "the conflict does not show"
        );
        Ok(())
    })
    .await
    .unwrap();
    let shown = service.get("/api/v1/conflicts").await.body["conflicts"][0].clone();
    assert_eq!(
        (&shown["with"], &shown["total"]),
        (&json!("branch"), &json!(1)),
        "{shown}"
    );
    let body = json!({"version": theirs, "all": "theirs"});
    let done = carol(
        &service,
        "/api/v1/resolve",
        body,
        shown["if_match"].as_str().unwrap(),
    )
    .await;
    assert_eq!(done.status, 200, "{}", done.text);
    let newest = service.get("/api/v1/versions?limit=1").await.body["versions"][0].clone();
    assert_eq!(
        place.git(&["rev-parse", "main"]).trim(),
        newest["version"].as_str().unwrap()
    );
    assert_eq!(
        service.get("/api/v1/devices/r1").await.body["role"],
        "theirs"
    );
    assert_eq!(service.get("/api/v1/devices/r2").await.body["role"], "late");
    assert_eq!(place.git(&["show", "main:inventory.yaml"]), place.text());
    assert_eq!(sample(&service, BRANCH).await, Some(0.0));
    place.git(&["merge-base", "--is-ancestor", &theirs, "main"]);
    place.git(&["fsck", "--strict"]);
    // Who sets the branch back takes nothing away either.
    let before = place.git(&["rev-parse", "main"]);
    place.git(&["update-ref", "refs/heads/main", "main~1"]);
    eventually(SEEN, || async {
        anyhow::ensure!(
            place.git(&["rev-parse", "main"]) == before,
            "still set back"
        );
        Ok(())
    })
    .await
    .unwrap();
}

/// Through a real sshd, which is given its connection by the client and listens nowhere.
#[tokio::test]
async fn a_remote_over_ssh() {
    let sshd = Path::new("/usr/sbin/sshd");
    if !sshd.exists() {
        testkit::skip("sshd is not installed (Debian package openssh-server)");
        return;
    }
    let far = Far::new();
    let dir = TempDir::new().unwrap();
    for key in ["host", "user"] {
        let path = dir.join(key).display().to_string();
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f", &path])
            .status()
            .unwrap();
        assert!(made.success());
    }
    let at = dir.path().display();
    std::fs::copy(dir.join("user.pub"), dir.join("authorized")).unwrap();
    let config = format!(
        "HostKey {at}/host\nAuthorizedKeysFile {at}/authorized\nStrictModes no\nUsePAM no\nPidFile none\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
    );
    let config = dir.write("sshd_config", config).unwrap();
    // As root it wants a folder below /run, which is given to it alone.
    let sshd = format!("{} -i -f {}", sshd.display(), config.display());
    let sshd = if nix::unistd::geteuid().is_root() {
        let script = format!("mount -t tmpfs none /run && mkdir /run/sshd && exec {sshd}");
        let script = dir.write("sshd.sh", script).unwrap();
        format!("unshare -m sh {}", script.display())
    } else {
        sshd
    };
    let ssh = format!(
        "ssh -F none -i {at}/user -oIdentitiesOnly=yes -oBatchMode=yes -oStrictHostKeyChecking=no -oUserKnownHostsFile={at}/known -oProxyCommand='{sshd}'"
    );
    let user = nix::unistd::User::from_uid(nix::unistd::getuid())
        .unwrap()
        .unwrap()
        .name;
    let url = format!("ssh://{user}@far.example.net{}", far.bare.display());
    let tried = Command::new("git")
        .args(["ls-remote", &url])
        .env("GIT_SSH_COMMAND", &ssh)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&tried.stderr);
    if said.contains("unshare") {
        testkit::skip("sshd cannot run here: no mount namespace can be made");
        return;
    }
    assert!(tried.status.success(), "{said}");
    let mut place = Place::with(
        SMALL,
        &format!("store:\n  remote: {{url: '{url}', sync_interval: 1s}}\n"),
    );
    place.env.push(("GIT_SSH_COMMAND".to_owned(), ssh));
    let service = place.start().await;
    role(&service, "r1", "core").await;
    eventually(SEEN, || async {
        anyhow::ensure!(
            far.bare.join("refs/heads/main").exists(),
            "nothing was pushed: {}",
            service.process.log()
        );
        anyhow::ensure!(
            far.show("inventory.yaml").contains("role: core"),
            "the change is not there"
        );
        Ok(())
    })
    .await
    .unwrap();
    far.change(&[("inventory.yaml", &|text| {
        text.replace("192.0.2.2\n", "192.0.2.22\n")
    })]);
    eventually(SEEN, || async {
        let device = service.get("/api/v1/devices/r2").await.body;
        anyhow::ensure!(device["address"] == "192.0.2.22", "{device}");
        Ok(())
    })
    .await
    .unwrap();
}
