//! What the CronJobs of the component `backup-s3` do, by their own script with a double of restic that writes down how it was called; and a
//! disaster, rehearsed with the scripts of the package, the real restic and an S3 server.

use std::process::Command;
use std::time::Duration;

use sotp_checks::root;
use testkit::services::program;
use testkit::{Process, TempDir, eventually, until};

/// Long enough for a loaded machine; nothing waits for it when all is well.
const SOON: Duration = Duration::from_secs(60);

/// Runs the script of the component; `rules` are lines of a shell's `case` for the double. Its status and the calls.
fn run(rules: &str) -> (Option<i32>, Vec<String>) {
    let file = root().join("kustomize/components/backup-s3/volume/cronjob.yaml");
    let job: serde_json::Value =
        serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let container = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0];
    let command: Vec<&str> = container["command"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one.as_str())
        .collect();
    let folder = TempDir::new().unwrap();
    let (calls, restic) = (folder.join("calls"), folder.join("restic"));
    let text = format!(
        "#!/bin/sh\necho \"$*\" >> {0}\nn=$(grep -c \"^$1\" {0})\ncase \"$1 $n\" in\n{rules}\nesac\n",
        calls.display()
    );
    std::fs::write(&restic, text).unwrap();
    Command::new("chmod")
        .arg("755")
        .arg(&restic)
        .status()
        .unwrap();
    let status = Command::new(command[0])
        .args(&command[1..])
        .env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()))
        .env("VOLUME", "reporter")
        .output()
        .unwrap()
        .status;
    let calls = std::fs::read_to_string(calls).unwrap();
    (status.code(), calls.lines().map(str::to_owned).collect())
}

const SAVE: &str = "backup --retry-lock 30m --host sotp --tag reporter /data";
const FORGET: &str = "forget --retry-lock 30m --host sotp --tag reporter --keep-daily 7 --keep-weekly 5 --keep-monthly 12 --prune";

#[test]
fn a_repository_that_is_there_gets_the_volume_and_loses_what_is_old() {
    let (status, calls) = run("");
    assert_eq!(
        (status, calls),
        (
            Some(0),
            vec!["cat config".to_owned(), SAVE.to_owned(), FORGET.to_owned()]
        )
    );
}

#[test]
fn the_first_makes_the_repository_and_whoever_loses_that_race_uses_it() {
    let (status, calls) = run("'cat 1') exit 10;;");
    assert_eq!(status, Some(0));
    assert_eq!(calls, ["cat config", "init", SAVE, FORGET]);
    // Another one made it in between.
    let (status, calls) = run("'cat 1') exit 10;;\n'init 1') exit 1;;");
    assert_eq!(status, Some(0));
    assert_eq!(calls, ["cat config", "init", "cat config", SAVE, FORGET]);
}

#[test]
fn without_a_repository_or_a_backup_nothing_is_forgotten_and_the_job_fails() {
    let (status, calls) = run("'cat '*) exit 10;;\n'init 1') exit 1;;");
    assert_eq!(status, Some(10));
    assert_eq!(calls, ["cat config", "init", "cat config"]);
    // restic ends with 3 when it could not read a part.
    let (status, calls) = run("'backup 1') exit 3;;");
    assert_eq!(status, Some(3));
    assert_eq!(calls, ["cat config", SAVE]);
}

/// An S3 server that is none of ours: moto, where Python has it. It ends when it is dropped.
struct S3(std::process::Child, String);

impl S3 {
    fn start(folder: &TempDir) -> Option<Self> {
        let port = {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap().port()
        };
        let log = std::fs::File::create(folder.join("s3.log")).unwrap();
        let child = Command::new("moto_server")
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .ok()?;
        let server = Self(child, format!("s3:http://127.0.0.1:{port}/sotp"));
        until("an S3 server listens", SOON, || {
            std::net::TcpStream::connect(("127.0.0.1", port)).map_err(|error| error.to_string())
        });
        Some(server)
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A machine in a folder, with what its services wrote.
struct Machine {
    folder: TempDir,
    loki: testkit::loki::Loki,
}

impl Machine {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let loki = testkit::loki::Loki::start(None).await.unwrap();
        let own = Self { folder, loki };
        let inventory = own.place("var/lib/sotp-inventory");
        std::fs::create_dir_all(&inventory).unwrap();
        std::fs::create_dir_all(own.place("etc/sotp/credentials/backup")).unwrap();
        std::fs::write(inventory.join("inventory.yaml"), "sites: []\ndevices: []\n").unwrap();
        let audit = inventory.join("audit").display().to_string();
        let text = format!("access: {{loopback: admin}}\naudit: {{folder: {audit:?}}}\n");
        std::fs::write(own.place("etc/sotp/inventory-service.yaml"), text).unwrap();
        let spool = own.place("var/lib/sotp-syslog/spool").display().to_string();
        let text = format!(
            "listen: {{tcp: [{{address: '127.0.0.1:0'}}]}}\nspool: {{path: {spool:?}, max_bytes: 268435456, reserve_bytes: 16777216}}\nloki: [{{name: main, url: {:?}}}]\n",
            own.loki.push_url()
        );
        std::fs::write(own.place("etc/sotp/syslog.yaml"), text).unwrap();
        own
    }

    fn place(&self, path: &str) -> std::path::PathBuf {
        self.folder.join("machine").join(path)
    }

    async fn inventory(&self) -> Process {
        let source = self.place("var/lib/sotp-inventory/inventory.yaml");
        let config = self.place("etc/sotp/inventory-service.yaml");
        Process::spawn(
            program("sotp-inventory"),
            [
                format!("--inventory.source={}", source.display()),
                format!("--config.file={}", config.display()),
            ],
        )
        .await
        .unwrap()
    }

    async fn syslog(&self) -> Process {
        let config = self.place("etc/sotp/syslog.yaml");
        let source = self.place("var/lib/sotp-inventory/inventory.yaml");
        Process::spawn(
            program("sotp-syslog"),
            [
                format!("--config.file={}", config.display()),
                format!("--inventory.source={}", source.display()),
            ],
        )
        .await
        .unwrap()
    }

    fn audit(&self, arguments: &[&str]) -> std::process::Output {
        let folder = self.place("var/lib/sotp-inventory/audit");
        Command::new(program("sotp-audit"))
            .arg(arguments[0])
            .arg(folder)
            .args(&arguments[1..])
            .output()
            .unwrap()
    }
}

/// Folders of what other services wrote (`checks/testdata/upgrades`), by the names that the packages give them, and a database of Grafana. A copy of
/// them, which is no part of the machine.
fn recorded(machine: &Machine, kept: &std::path::Path) {
    let archive = root().join("checks/testdata/upgrades/0.1.0.tar.gz");
    std::fs::create_dir_all(kept).unwrap();
    let [from, to] = [&archive, &kept.to_path_buf()].map(|path| path.display().to_string());
    sotp_checks::tools::run("tar", &["--no-same-owner", "-xzf", &from, "-C", &to]).unwrap();
    for written in ["syslog", "inventory"] {
        std::fs::remove_dir_all(kept.join(written)).unwrap();
    }
    for name in WRITTEN {
        let to = machine.place(&format!("var/lib/sotp-{name}"));
        copied(&kept.join(name), &to);
    }
    let database = machine.place("var/lib/grafana");
    std::fs::create_dir_all(&database).unwrap();
    database_says(
        &database.join("grafana.db"),
        "CREATE TABLE user (login); INSERT INTO user VALUES ('ann');",
    );
}

/// Services whose folders the archive has beside those that run in the rehearsal.
const WRITTEN: [&str; 6] = [
    "forecast",
    "netflow",
    "remediator",
    "reporter",
    "rum",
    "ssh-config",
];

fn copied(from: &std::path::Path, to: &std::path::Path) {
    let status = Command::new("cp")
        .arg("-a")
        .args([from, to])
        .status()
        .unwrap();
    assert!(status.success(), "{}", from.display());
}

/// What a database answers.
fn database_says(file: &std::path::Path, question: &str) -> String {
    let file = file.display().to_string();
    sotp_checks::tools::run("sqlite3", &[&file, question]).unwrap()
}

/// Adds a device by the API of the inventory.
async fn add(inventory: &Process, name: &str, address: &str) -> u16 {
    let device = serde_json::json!({"name": name, "address": address});
    let request = testkit::client()
        .post(inventory.url("/api/v1/devices"))
        .json(&device);
    request.send().await.unwrap().status().as_u16()
}

/// What the services write while they run is saved to S3, everything is destroyed, restored, and goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_disaster_is_rehearsed() {
    let tools = TempDir::new().unwrap();
    let (Ok(restic), Some(s3)) = (testkit::debian::Unpacked::new("restic"), S3::start(&tools))
    else {
        testkit::skip("restic of Debian and moto_server are needed for the rehearsal");
        return;
    };
    let machine = Machine::new().await;
    let kept = tools.join("kept");
    recorded(&machine, &kept);
    tools.write("password", "of the rehearsal\n").unwrap();
    let path = format!(
        "{}:{}:/usr/bin:/bin",
        restic.path("usr/bin").display(),
        testkit::services::folder().display()
    );
    let script = |name: &str| {
        let mut script = Command::new(root().join("packaging/sotp").join(name));
        script
            .env("PATH", &path)
            .env("SOTP_ROOT", machine.place(""))
            .env("RESTIC_REPOSITORY", &s3.1)
            .env("RESTIC_PASSWORD_FILE", tools.join("password"))
            .env("RESTIC_CACHE_DIR", tools.join("cache"))
            .env("AWS_ACCESS_KEY_ID", "testing")
            .env("AWS_SECRET_ACCESS_KEY", "testing");
        let output = script.output().unwrap();
        let text =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.code(), text.into_owned())
    };

    // Loki is away, so that lines wait.
    machine
        .loki
        .always(Some(testkit::loki::Misbehave::Status(503, "away")));
    let (inventory, syslog) = (machine.inventory().await, machine.syslog().await);
    assert_eq!(add(&inventory, "r1", "192.0.2.1").await, 201);
    let log = syslog.logged("transport=tcp", SOON).await.unwrap();
    let port = log
        .split("address=127.0.0.1:")
        .nth(1)
        .unwrap_or_else(|| panic!("{log}"));
    let port: u16 = port
        .split(|c: char| !c.is_ascii_digit())
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let mut lines = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    for number in 0..50 {
        std::io::Write::write_all(
            &mut lines,
            format!("<14>1 - r1 test - - - line {number}\n").as_bytes(),
        )
        .unwrap();
    }
    eventually(SOON, async || {
        let waiting = syslog.scrape().await?.sum("syslog_spool_messages", &[]);
        anyhow::ensure!((waiting - 50.0).abs() < 0.5, "{waiting} lines wait");
        Ok(())
    })
    .await
    .unwrap();
    let began = std::time::Instant::now();
    let (status, said) = script("sotp-backup");
    assert_eq!(status, Some(0), "{said}");
    let saved = began.elapsed();

    // What comes after the backup is lost; of its record in the audit log an anchor is kept elsewhere.
    assert_eq!(add(&inventory, "r2", "192.0.2.2").await, 201);
    let anchor = String::from_utf8(machine.audit(&["head"]).stdout).unwrap();
    drop((inventory, syslog));
    std::fs::remove_dir_all(machine.place("")).unwrap();

    let began = std::time::Instant::now();
    let (status, said) = script("sotp-restore");
    let restored = began.elapsed();
    assert_eq!(status, Some(0), "{said}");
    // The archive of configurations, the journal, closed months, the outbox and queues are byte for byte what they were; the database is whole.
    for name in WRITTEN {
        let restored = machine.place(&format!("var/lib/sotp-{name}"));
        let [old, new] = [&kept.join(name), &restored].map(|path| path.display().to_string());
        let differs = sotp_checks::tools::run("diff", &["-r", &old, &new]);
        assert!(differs.is_ok(), "{name}: {differs:?}");
    }
    let archive = machine
        .place("var/lib/sotp-ssh-config/ssh-config/archive.git")
        .display()
        .to_string();
    sotp_checks::tools::run("git", &["-C", &archive, "fsck", "--full"]).unwrap();
    let database = machine.place("var/cache/sotp-backup/grafana.db");
    assert_eq!(
        database_says(&database, "SELECT login FROM user; PRAGMA integrity_check;"),
        "ann\nok\n"
    );
    let anchor = anchor.trim();
    let missing = machine.audit(&["verify", "--anchor", anchor]);
    assert_eq!(missing.status.code(), Some(1), "{missing:?}");
    let resumed = machine.audit(&[
        "resume",
        "--anchor",
        anchor,
        "--by",
        "ann",
        "--reason",
        "rehearsal",
    ]);
    assert!(resumed.status.success(), "{resumed:?}");
    assert_eq!(
        machine.audit(&["verify", "--anchor", anchor]).status.code(),
        Some(2)
    );

    let inventory = machine.inventory().await;
    assert_eq!(inventory.get("/api/v1/devices/r1").await.unwrap().0, 200);
    assert_eq!(inventory.get("/api/v1/devices/r2").await.unwrap().0, 404);
    assert_eq!(add(&inventory, "r2", "192.0.2.2").await, 201);
    // A commit may wait for another change.
    eventually(SOON, async || {
        let history = Command::new("git")
            .args(["log", "--format=%s"])
            .current_dir(machine.place("var/lib/sotp-inventory"))
            .output()?;
        let history = String::from_utf8(history.stdout)?;
        let whole = ["Add device r1", "Add device r2"]
            .iter()
            .all(|change| history.contains(change));
        anyhow::ensure!(whole, "{history}");
        Ok(())
    })
    .await
    .unwrap();
    machine.loki.always(None);
    let _syslog = machine.syslog().await;
    eventually(SOON, async || {
        let entries = machine.loki.entries();
        let missing = (0..50)
            .filter(|number| {
                let line = format!("line {number}");
                !entries.iter().any(|entry| entry.line.ends_with(&line))
            })
            .count();
        anyhow::ensure!(missing == 0, "{missing} of {} are missing", entries.len());
        Ok(())
    })
    .await
    .unwrap();
    println!("saved in {saved:.1?}, restored in {restored:.1?}");
}
