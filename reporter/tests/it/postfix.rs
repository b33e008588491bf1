//! The mail at a real mail system, Debian's Postfix, which runs in namespaces of its own from a package that is unpacked below the build's
//! folder: nothing of the machine's own mail is touched.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use testkit::{TempDir, skip};

use crate::mails::{config, small};
use crate::smtp::certificates;
use crate::support::{BINARY, run, said};

/// The package, which apt fetches once.
fn package() -> Result<PathBuf, String> {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("postfix");
    if place.exists() {
        return Ok(place);
    }
    let fresh = place.with_extension(std::process::id().to_string());
    std::fs::create_dir_all(&fresh).map_err(|error| error.to_string())?;
    let fetch =
        "timeout 60 apt-get download -q postfix && dpkg-deb -x postfix_*.deb . && rm postfix_*.deb";
    let output = Command::new("sh")
        .args(["-c", fetch])
        .current_dir(&fresh)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        let _ = std::fs::remove_dir_all(&fresh);
        return Err(format!("no package postfix: {}", said(&output)));
    }
    if std::fs::rename(&fresh, &place).is_err() {
        let _ = std::fs::remove_dir_all(&fresh);
    }
    Ok(place)
}

/// What the mail system cannot run without, beside its own.
fn lacks(tree: &Path) -> String {
    let libraries = tree.join("usr/lib/postfix");
    let output = Command::new("ldd")
        .arg(libraries.join("sbin/smtpd"))
        .env("LD_LIBRARY_PATH", &libraries)
        .output();
    let text = output.map_or_else(
        |error| format!("ldd: {error}: not found"),
        |output| said(&output),
    );
    let lacking = text.lines().filter(|line| line.contains("not found"));
    lacking.map(str::trim).collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn postfix_gets_one_mail_over_tls_after_greylisting_and_refusals_are_told() {
    let spaces = [
        "--mount",
        "--net",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ];
    let may = Command::new("unshare").args(spaces).arg("true").output();
    if !may.is_ok_and(|output| output.status.success()) {
        return skip("namespaces need rights that this user has not");
    }
    let tree = match package() {
        Ok(tree) => tree,
        Err(why) => return skip(why),
    };
    let lacking = lacks(&tree);
    if !lacking.is_empty() {
        return skip(format!("Postfix lacks {lacking}"));
    }
    let dir = TempDir::new().unwrap();
    let server = small(&dir).await;
    let kept = run(&[
        "run",
        &config(&dir, &server, "language: pl\n"),
        "--month=2025-10",
    ]);
    assert!(kept.status.success(), "{}", said(&kept));
    certificates(&dir);
    let other = TempDir::new().unwrap();
    certificates(&other);
    std::fs::copy(other.join("ca.pem"), dir.join("other.pem")).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/postfix.py");
    let output = Command::new("timeout")
        .args(["--kill-after=5", "240", "unshare"])
        .args(spaces)
        .arg("/usr/bin/python3")
        .args([&script, &tree, dir.path(), Path::new(BINARY)])
        .env_remove("SOTP_CONFIG_FILE")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (step, (name, code, state, mails, words)) in told["steps"].as_array().unwrap().iter().zip([
        ("another authority", 1, "queued", 0, "certificate"),
        ("without TLS", 1, "refused", 0, "530"),
        ("greylisted", 1, "queued", 0, "Greylisted"),
        ("come again", 0, "sent", 0, "sent to 1 "),
        ("once more", 0, "sent", 1, "already sent"),
        ("no relay", 1, "refused", 1, "554"),
    ]) {
        assert_eq!(step["name"], name, "{step}");
        assert_eq!(step["code"], code, "{step}");
        assert_eq!(step["state"], state, "{step}");
        // The mail is in the box some time after it was taken.
        assert!(name == "come again" || step["mails"] == mails, "{step}");
        assert!(step["said"].as_str().unwrap().contains(words), "{step}");
    }
    assert_eq!(told["asked"], 2, "once too early, once in time: {told}");
    let [mail] = &told["mails"].as_array().unwrap()[..] else {
        panic!("{told}");
    };
    assert_eq!(mail["from"], "Sieć główna <sotp@example.org>");
    assert_eq!(mail["to"], "Zarząd spółki Żółw <zarzad@example.net>");
    let subject = mail["subject"].as_str().unwrap();
    assert!(
        subject.contains("Dostępność") && subject.contains("Zażółć"),
        "{subject}"
    );
    assert!(mail["received"].to_string().contains("TLSv1.3"), "{mail}");
    let manifest = std::fs::read(dir.join("data/reports/2025-10/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    for file in manifest["files"].as_array().unwrap() {
        assert_eq!(
            mail["files"][file["name"].as_str().unwrap()],
            file["sha256"]
        );
    }
}
