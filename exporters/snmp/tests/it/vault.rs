//! Credentials from Vault.

use std::net::UdpSocket;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::ensure;
use serde_json::json;
use testkit::vault::{APPROLE, NAMESPACE, Vault};
use testkit::{Golden, Spawn, TempDir, eventually};

use crate::agent::Agent;

const EXPORTER: &str = env!("CARGO_BIN_EXE_sotp-snmp");
const SOON: Duration = Duration::from_secs(30);

/// The community is changed on the device and in Vault while it is scraped without a pause: scrapes fail until it is taken up, and never after.
#[tokio::test]
async fn a_community_that_is_rotated_in_vault_under_load_is_used_without_a_restart() {
    let vault = Vault::start(Duration::from_secs(3_600), Duration::from_secs(3_600));
    let vault = vault.await.unwrap();
    vault.put("secret/sotp/snmp", json!({"community": "first"}));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let device = socket.local_addr().unwrap();
    let agent = Agent::from_snmprec("1.3.6.1.2.1.1.3.0|67|100\n").unwrap();
    let community = Arc::new(Mutex::new(b"first".to_vec()));
    let own = Arc::clone(&community);
    std::thread::spawn(move || {
        let mut agent = agent;
        let mut datagram = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut datagram) {
            agent.community.clone_from(&own.lock().unwrap());
            if let Some(answer) = agent.answer(&datagram[..length]) {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    let folder = TempDir::new().unwrap();
    let proof = folder.write("secret-id", APPROLE.1).unwrap();
    let config = "auths: {core: {version: 2, community_file: 'vault:secret/sotp/snmp#community'}}\nmodules: {up: {get: [1.3.6.1.2.1.1.3.0], timeout: 500ms, retries: 0, metrics: [{name: sysUpTime, oid: 1.3.6.1.2.1.1.3, type: gauge, help: h}]}}\n";
    let config = folder.write("snmp.yml", config).unwrap();
    let process = Spawn::new(EXPORTER)
        .args([
            format!("--config.file={}", config.display()),
            "--snmp.failure=series".to_owned(),
        ])
        .env("VAULT_ADDR", vault.url())
        .env("VAULT_NAMESPACE", NAMESPACE)
        .env("VAULT_ROLE_ID", APPROLE.0)
        .env("VAULT_SECRET_ID_FILE", &proof)
        .env("VAULT_REFRESH_SECONDS", "1")
        .start()
        .await
        .unwrap();
    let page = format!("/snmp?target={device}&auth=core&module=up");
    let answers = async || {
        let ask = || process.get(&page);
        let (a, b, c, d) = tokio::join!(ask(), ask(), ask(), ask());
        [a, b, c, d]
            .iter()
            .filter(|page| {
                page.as_ref()
                    .is_ok_and(|page| page.1.contains("\nsysUpTime "))
            })
            .count()
    };
    assert_eq!(answers().await, 4, "{:?}", process.get(&page).await);
    *community.lock().unwrap() = b"second".to_vec();
    vault.put("secret/sotp/snmp", json!({"community": "second"}));
    eventually(SOON, async || {
        let answered = answers().await;
        ensure!(answered == 4, "{answered} of 4: {}", process.log());
        Ok(())
    })
    .await
    .unwrap();
    vault.seal(true);
    let series = async || anyhow::Ok(process.get("/metrics").await?.1);
    let golden = Golden::new(EXPORTER, env!("CARGO_MANIFEST_DIR"));
    golden
        .metrics("metrics-vault.txt", &["sotp_vault_up 0"], series)
        .await
        .unwrap();
    assert_eq!(answers().await, 4, "the last community serves");
    let log = process.log();
    assert!(!log.contains("second") && !log.contains(APPROLE.1), "{log}");
}
