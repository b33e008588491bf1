//! Secrets from Vault, with the strict double of it.
//!
//! The echo service follows a secret twice: as a file that belongs to its configuration, whose change is a reload, and as a password, of
//! which it shows the length.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;
use testkit::vault::{APPROLE, KUBERNETES, NAMESPACE, Vault};
use testkit::{Spawn, TempDir, eventually};

use crate::support::{self, SOON};

const HOUR: Duration = Duration::from_secs(3_600);
const PATH: &str = "secret/sotp/snmp";

/// The echo service with a secret among its files.
fn echo(folder: &TempDir, vault: &Vault) -> Spawn {
    let config = folder
        .write(
            "echo.yaml",
            format!(
                "extra_files: ['vault:{PATH}#password']\npassword_file: 'vault:{PATH}#password'\n"
            ),
        )
        .unwrap();
    support::spawn(&[
        format!("--config.file={}", config.display()),
        "--config.auto-reload-interval=100ms".to_owned(),
    ])
    .env("VAULT_ADDR", vault.url())
    .env("VAULT_NAMESPACE", NAMESPACE)
    .env("VAULT_REFRESH_SECONDS", "1")
}

fn approle(folder: &TempDir, spawn: Spawn) -> Spawn {
    let file = folder
        .write("secret-id", format!("{}\n", APPROLE.1))
        .unwrap();
    spawn
        .env("VAULT_ROLE_ID", APPROLE.0)
        .env("VAULT_SECRET_ID_FILE", file)
}

async fn vault(lease: Duration, longest: Duration) -> Vault {
    let vault = Vault::start(lease, longest).await.unwrap();
    vault.put(PATH, json!({"password": "first", "number": 7}));
    vault
}

fn reloads(log: &str) -> usize {
    log.matches("configuration reloaded").count()
}

#[tokio::test]
async fn a_rotated_secret_is_taken_up_and_the_last_one_serves_while_vault_is_away() {
    let folder = TempDir::new().unwrap();
    let vault = vault(HOUR, HOUR).await;
    let process = approle(&folder, echo(&folder, &vault))
        .start()
        .await
        .unwrap();
    let up = async |expected: f64| {
        eventually(SOON, async || {
            let samples = process.scrape().await?;
            let up = samples.value("sotp_vault_up", &[]);
            ensure!(up == Some(expected), "sotp_vault_up is {up:?}");
            Ok(samples)
        })
        .await
        .unwrap()
    };
    up(1.0).await;
    assert_eq!(reloads(&process.log()), 0);
    vault.put(PATH, json!({"password": "the second"}));
    eventually(SOON, async || {
        ensure!(reloads(&process.log()) == 1, "{}", process.log());
        Ok(())
    })
    .await
    .unwrap();
    let length = |samples: &testkit::Samples| samples.value("echo_password_bytes", &[]);
    assert_eq!(length(&process.scrape().await.unwrap()), Some(10.0));
    // Sealed, deleted, the key gone: the last value serves, and a series tells.
    for (break_it, mend) in [
        (
            (&|| vault.seal(true)) as &dyn Fn(),
            (&|| vault.seal(false)) as &dyn Fn(),
        ),
        (&|| vault.delete(PATH), &|| {
            vault.put(PATH, json!({"password": "the second"}));
        }),
    ] {
        break_it();
        let samples = up(0.0).await;
        assert!(samples.value("sotp_vault_failures_total", &[]) > Some(0.0));
        assert_eq!(length(&samples), Some(10.0));
        mend();
        up(1.0).await;
    }
    let log = process.log();
    assert_eq!(reloads(&log), 1, "{log}");
    assert!(
        log.contains("Vault is sealed") && log.contains("no such secret"),
        "{log}"
    );
    for secret in ["first", "the second", APPROLE.1, "hvs."] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
    assert_eq!(vault.refused(), Vec::<String>::new());
}

#[tokio::test]
async fn a_token_is_renewed_and_replaced_when_it_cannot_be_any_more_or_is_revoked() {
    let folder = TempDir::new().unwrap();
    let vault = vault(Duration::from_secs(4), Duration::from_secs(8)).await;
    let process = approle(&folder, echo(&folder, &vault))
        .start()
        .await
        .unwrap();
    let count = |what: &str| {
        vault
            .asked()
            .iter()
            .filter(|one| one.ends_with(what))
            .count()
    };
    let reached = async |what: &str, times: usize| {
        eventually(SOON, async || {
            ensure!(count(what) >= times, "{what}: {:?}", vault.asked());
            Ok(())
        })
        .await
        .unwrap();
    };
    reached("token/renew-self", 1).await;
    // The longest life comes to its end.
    reached("approle/login", 2).await;
    vault.revoke();
    reached("approle/login", 3).await;
    let log = process.log();
    assert!(!log.contains("cannot be read from Vault"), "{log}");
}

#[tokio::test]
async fn a_pod_logs_in_with_the_token_of_its_account_and_a_token_of_a_file_is_followed() {
    let folder = TempDir::new().unwrap();
    let vault = vault(HOUR, HOUR).await;
    let jwt = folder.write("jwt", KUBERNETES.1).unwrap();
    let pod = echo(&folder, &vault)
        .env("VAULT_KUBERNETES_ROLE", KUBERNETES.0)
        .env("VAULT_KUBERNETES_TOKEN_FILE", jwt);
    pod.start().await.unwrap();
    vault.token("hvs.of-the-agent");
    let token = folder.write("token", "hvs.of-the-agent\n").unwrap();
    let agent = echo(&folder, &vault).env("VAULT_TOKEN_FILE", &token);
    let process = agent.start().await.unwrap();
    // The agent replaces it.
    vault.revoke();
    vault.token("hvs.another");
    folder.write("token", "hvs.another\n").unwrap();
    vault.put(PATH, json!({"password": "second"}));
    eventually(SOON, async || {
        ensure!(reloads(&process.log()) == 1, "{}", process.log());
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(vault.refused(), Vec::<String>::new());
}

#[tokio::test]
async fn a_service_does_not_start_without_its_secret_and_says_why() {
    let folder = TempDir::new().unwrap();
    let vault = vault(HOUR, HOUR).await;
    let wrong = folder.write("wrong", "guess").unwrap();
    vault.put("secret/closed", serde_json::Value::Null);
    let start = async |name: &str, proof: Option<&std::path::Path>| {
        let config = folder
            .write("wanted.yaml", format!("password_file: {name:?}\n"))
            .unwrap();
        let spawn = support::spawn(&[format!("--config.file={}", config.display())])
            .env("VAULT_ADDR", vault.url())
            .env("VAULT_NAMESPACE", NAMESPACE);
        let spawn = match proof {
            Some(file) => spawn
                .env("VAULT_ROLE_ID", APPROLE.0)
                .env("VAULT_SECRET_ID_FILE", file),
            None => approle(&folder, spawn),
        };
        spawn.start().await
    };
    for (name, proof, expected) in [
        ("vault:secret/sotp/snmp#pass", None, "has no key \"pass\""),
        ("vault:secret/none#x", None, "no such secret"),
        ("vault:secret/closed#x", None, "permission denied"),
        ("vault:secret#x", None, "expected vault:MOUNT/PATH#KEY"),
        (
            "vault:secret/sotp/snmp#password",
            Some(wrong.as_path()),
            "invalid role or secret ID",
        ),
    ] {
        let error = format!("{:#}", start(name, proof).await.unwrap_err());
        assert!(
            error.contains(expected) && !error.contains("guess"),
            "{error}"
        );
    }
    // A number is a secret too.
    start("vault:secret/sotp/snmp#number", None).await.unwrap();
}
