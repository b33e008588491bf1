//! Traps and informs of net-snmp's own tools: every protocol of version 3, wrong credentials, and the lines in Loki.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use testkit::loki::{Loki, Misbehave};
use testkit::{Process, Spawn, TempDir, eventually};

const EXPORTER: &str = env!("CARGO_BIN_EXE_sotp-snmp");
const PATIENCE: Duration = Duration::from_secs(30);
/// Names in snmp.yml and on the command lines of net-snmp.
const AUTH: [(&str, &str); 6] = [
    ("MD5", "MD5"),
    ("SHA", "SHA"),
    ("SHA224", "SHA-224"),
    ("SHA256", "SHA-256"),
    ("SHA384", "SHA-384"),
    ("SHA512", "SHA-512"),
];
const PRIV: [(&str, &str); 4] = [
    ("DES", "DES"),
    ("AES", "AES"),
    ("AES192", "AES-192"),
    ("AES256", "AES-256"),
];

/// A user for each pair of protocols, each level, and a community.
fn config() -> String {
    let mut out = String::from(
        "auths:\n  v2: {community: secret-word}\n  plain: {version: 3, username: plain}\n",
    );
    let mut user = |name: &str, level: &str, auth: &str, cipher: &str| {
        out.push_str(&format!(
            "  {name}: {{version: 3, username: {name}, security_level: {level}, auth_protocol: {auth}, password: authpassword, \
             priv_protocol: {cipher}, priv_password: privpassword}}\n"
        ));
    };
    for (auth, _) in AUTH {
        user(&format!("a{auth}"), "authNoPriv", auth, "DES");
        for (cipher, _) in PRIV {
            user(&format!("p{auth}{cipher}"), "authPriv", auth, cipher);
        }
    }
    out
}

struct Running {
    process: Process,
    port: u16,
}

/// The exporter with its trap port open, which its log names.
async fn start(dir: &TempDir, more: &[String]) -> Running {
    let file = dir.write("snmp.yml", config()).unwrap();
    let mut args = vec![
        format!("--config.file={}", file.display()),
        "--traps.listen-address=127.0.0.1:0".to_owned(),
    ];
    args.extend_from_slice(more);
    let process = Spawn::new(EXPORTER).args(args).start().await.unwrap();
    let line = process.logged("receiving traps", PATIENCE).await.unwrap();
    let port = line
        .rsplit("127.0.0.1:")
        .next()
        .unwrap()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect::<String>()
        .parse()
        .unwrap();
    Running { process, port }
}

/// Runs `snmptrap` or `snmpinform`; `None` where net-snmp is not installed.
fn send(dir: &TempDir, program: &str, port: u16, args: &[&str]) -> Option<Output> {
    let output = Command::new(program)
        .args(args)
        .arg(format!("127.0.0.1:{port}"))
        .args([
            "7",
            "1.3.6.1.6.3.1.1.5.3",
            "1.3.6.1.2.1.2.2.1.1.4",
            "i",
            "4",
        ])
        .env("MIBS", "")
        .env("SNMPCONFPATH", dir.path())
        .env("SNMP_PERSISTENT_DIR", dir.path())
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) => Some(output),
        Err(error) => {
            testkit::skip(format!("{program}: {error}; install snmp"));
            None
        }
    }
}

/// Arguments of a version 3 user.
fn user<'a>(
    name: &'a str,
    auth: &'a str,
    cipher: Option<&'a str>,
    password: &'a str,
) -> Vec<&'a str> {
    let level = if cipher.is_some() {
        "authPriv"
    } else {
        "authNoPriv"
    };
    let mut args = vec![
        "-v3", "-r", "2", "-t", "10", "-u", name, "-l", level, "-a", auth, "-A", password,
    ];
    if let Some(cipher) = cipher {
        args.extend(["-x", cipher, "-X", "privpassword"]);
    }
    args
}

#[tokio::test(flavor = "multi_thread")]
async fn informs_and_traps_of_version_3_are_taken_with_every_protocol() {
    let dir = TempDir::new().unwrap();
    let running = start(&dir, &[]).await;
    let (mut informs, mut traps) = (0.0, 0.0);
    for (auth, theirs) in AUTH {
        for (cipher, their_cipher) in
            std::iter::once(("", None)).chain(PRIV.map(|(ours, theirs)| (ours, Some(theirs))))
        {
            let name = if their_cipher.is_some() {
                format!("p{auth}{cipher}")
            } else {
                format!("a{auth}")
            };
            let args = user(&name, theirs, their_cipher, "authpassword");
            let Some(output) = send(&dir, "snmpinform", running.port, &args) else {
                return;
            };
            let said = String::from_utf8_lossy(&output.stderr);
            if said.contains("Invalid privacy protocol")
                || said.contains("Invalid authentication protocol")
            {
                println!("net-snmp was built without {theirs} or {cipher}");
                continue;
            }
            assert!(output.status.success(), "{name}: {said}");
            informs += 1.0;
            // Of senders that it does not know yet, the receiver takes twenty a second.
            tokio::time::sleep(Duration::from_millis(60)).await;
            let args = [vec!["-e", "0x8000000001020304"], args].concat();
            send(&dir, "snmptrap", running.port, &args).unwrap();
            traps += 1.0;
        }
    }
    assert!(informs >= 18.0, "{informs} pairs of protocols");
    let plain = send(
        &dir,
        "snmpinform",
        running.port,
        &[
            "-v3",
            "-u",
            "plain",
            "-l",
            "noAuthNoPriv",
            "-r",
            "2",
            "-t",
            "10",
        ],
    )
    .unwrap();
    assert!(plain.status.success());
    eventually(PATIENCE, || async {
        let count = running.process.scrape().await?.sum(
            "snmp_traps_total",
            &[("trap", "linkDown"), ("version", "3")],
        );
        anyhow::ensure!(
            count == informs + traps + 1.0,
            "{count} of {}",
            informs + traps + 1.0
        );
        Ok(())
    })
    .await
    .unwrap();
    let samples = running.process.scrape().await.unwrap();
    let ignored = |reason| samples.sum("snmp_traps_ignored_total", &[("reason", reason)]);
    // Each sender asks first who we are, and its first clock may be refused.
    assert!(ignored("discovery") >= informs);
    for reason in ["malformed", "not_authentic", "unknown_user", "rate"] {
        assert_eq!(ignored(reason), 0.0, "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inform_with_wrong_credentials_is_not_acknowledged() {
    let dir = TempDir::new().unwrap();
    let running = start(&dir, &["--traps.engine-id=800000000a0b0c0d".to_owned()]).await;
    let wrong = [
        (
            user("pSHAAES", "SHA", Some("AES"), "other-password"),
            "not_authentic",
        ),
        (
            user("nobody", "SHA", Some("AES"), "authpassword"),
            "unknown_user",
        ),
        (
            user("pSHAAES", "SHA", None, "authpassword"),
            "not_authentic",
        ),
    ];
    for (mut args, reason) in wrong {
        // One try each.
        args[2] = "0";
        let Some(output) = send(&dir, "snmpinform", running.port, &args) else {
            return;
        };
        assert!(!output.status.success(), "{reason}");
        let samples = running.process.scrape().await.unwrap();
        let count = samples.sum("snmp_traps_ignored_total", &[("reason", reason)]);
        assert!(count >= 1.0, "{reason}: {count}");
    }
    // A clock that is far off is refused, and told in a signed report, by which net-snmp sets it.
    let mut args = user("pSHAAES", "SHA", Some("AES"), "authpassword");
    args.extend(["-e", "0x800000000a0b0c0d", "-Z", "7,7"]);
    let output = send(&dir, "snmpinform", running.port, &args).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let samples = running.process.scrape().await.unwrap();
    assert!(samples.sum("snmp_traps_ignored_total", &[("reason", "not_in_window")]) >= 1.0);
    assert_eq!(samples.sum("snmp_traps_total", &[]), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn traps_become_lines_in_loki_and_survive_its_absence() {
    let dir = TempDir::new().unwrap();
    let loki = Loki::start(None).await.unwrap();
    loki.always(Some(Misbehave::Status(503, "away")));
    let flags = [
        format!("--traps.loki-url={}", loki.push_url()),
        format!("--traps.spool-path={}", dir.join("spool").display()),
    ];
    let mut running = start(&dir, &flags).await;
    for (program, args) in [
        ("snmpinform", &["-v2c", "-c", "secret-word", "-t", "10"][..]),
        ("snmptrap", &["-v2c", "-c", "secret-word"]),
        ("snmptrap", &["-v2c", "-c", "wrong-word"]),
    ] {
        let Some(output) = send(&dir, program, running.port, args) else {
            return;
        };
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    eventually(PATIENCE, || async {
        let queued = running
            .process
            .scrape()
            .await?
            .sum("snmp_trap_lines_total", &[("result", "queued")]);
        anyhow::ensure!(queued == 2.0, "{queued} queued");
        Ok(())
    })
    .await
    .unwrap();
    assert!(loki.is_empty());
    // What has been taken is on disk: another process delivers it.
    running.process.terminate().unwrap();
    running.process.wait(PATIENCE).await.unwrap();
    loki.always(None);
    let _running = start(&dir, &flags).await;
    eventually(PATIENCE, || async {
        anyhow::ensure!(loki.len() >= 2, "{} lines", loki.len());
        Ok(())
    })
    .await
    .unwrap();
    let entries = loki.entries();
    assert_eq!(entries.len(), 2);
    let mut lines: Vec<&str> = entries.iter().map(|entry| entry.line.as_str()).collect();
    lines.sort_unstable();
    assert_eq!(
        lines[0].split(" 1.3.6.1.2.1.1.3.0=").next().unwrap(),
        "source=127.0.0.1 version=2c inform=linkDown"
    );
    assert!(
        lines[1].starts_with("source=127.0.0.1 version=2c trap=linkDown "),
        "{lines:?}"
    );
    assert!(lines[0].ends_with(" 1.3.6.1.2.1.2.2.1.1.4=4"), "{lines:?}");
    for entry in &entries {
        let labels = format!("{:?}", entry.labels);
        for part in ["snmp-traps", "127.0.0.1", "linkDown"] {
            assert!(labels.contains(part), "{labels}");
        }
    }
    // No secret in any of it.
    assert!(!format!("{entries:?}").contains("secret-word"));
}
