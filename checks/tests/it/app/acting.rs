//! A router that the services behind the app reach, and what happens to it.

use serde_json::json;
use sotp_checks::app::App;
use testkit::{Process, Router, client, eventually, skip};

use super::screen::{ALERTMANAGER, EVENTS, PASSWORD, SYSLOG, Stack, seen};

/// How long what a service does by itself may take.
const DONE: std::time::Duration = std::time::Duration::from_secs(20);

/// Grafana, the services, and a router of two addresses, `r1` and `r2`; nobody listens at `r3`.
pub(crate) struct Acting {
    pub(crate) stack: Stack,
    pub(crate) router: Router,
}

/// The app, where there can be a browser and a router; tells why when there cannot.
pub(crate) fn possible() -> Option<&'static App> {
    match (seen(), Router::missing()) {
        (Ok(app), None) => Some(app),
        (Err(reason), _) => {
            skip(reason);
            None
        }
        (_, Some(reason)) => {
            skip(reason);
            None
        }
    }
}

impl Acting {
    pub(crate) async fn start(app: &App) -> Self {
        let router = Router::start().await.unwrap();
        let inventory = format!(
            "sites: [{{name: lab}}]\n\
             groups: [{{name: routers, defaults: {{site: lab, role: edge, platform: frr, ssh: {{credentials: lab}}}}}}]\n\
             devices:\n  - {{name: r1, address: {}, groups: [routers]}}\n  - {{name: r2, address: {}, groups: [routers]}}\n  \
             - {{name: r3, address: 127.0.0.1, groups: [routers], ssh: {{port: 9, credentials: lab}}}}\n",
            router.address(),
            router.other_address()
        );
        let key = router.key().display().to_string();
        let remediator = format!(
            "levels: [{{level: approve}}]\nrails: {{per_device: 20, per_site: 20, cooldown: [1ms, 1ms, 1ms, 1ms], flap_count: 20}}\n\
             ssh:\n  known_hosts_file: known_hosts\n  credentials:\n    lab:\n      repair: {{user: fixer, key_file: '{key}'}}\n      \
             console: {{user: reader, key_file: '{key}'}}\n"
        );
        let archive = format!(
            "settle: 200ms\nhost_keys: {{file: known_hosts}}\n\
             credentials: [{{name: lab, user: reader, key_file: '{key}', devices: [r1]}}]\n"
        );
        let before = [("known_hosts", router.known_hosts())];
        let stack = Stack::with(app, true, &inventory, &remediator, &archive, &before).await;
        Self { stack, router }
    }

    /// Alertmanager's webhook: a port of `r1` is down.
    pub(crate) async fn shut(&self, port: &str) {
        let body = json!({"version": "4", "status": "firing", "alerts": [{
            "status": "firing", "labels": {"alertname": "InterfaceShut", "device": "r1", "ifName": port},
            "startsAt": "2026-01-01T00:00:00Z", "fingerprint": "00ff"}]});
        let url = self.stack.remediator.url("/api/v1/webhook/alertmanager");
        let sent = client()
            .post(url)
            .basic_auth(ALERTMANAGER, Some(PASSWORD))
            .json(&body)
            .send();
        assert_eq!(sent.await.unwrap().status(), 200);
    }

    /// An event of sotp-syslog: somebody changed `r1`.
    pub(crate) async fn changed(&self, user: &str) {
        let body = json!({"version": 1, "event": "configuration_change", "device": "r1", "fields": {"user": user}}).to_string();
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, EVENTS.as_bytes());
        let tag: String = ring::hmac::sign(&key, body.as_bytes())
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let request = client()
            .post(self.stack.archive.url("/api/v1/events"))
            .basic_auth(SYSLOG, Some(PASSWORD))
            .header("x-sotp-signature", format!("sha256={tag}"));
        let sent = request.body(body).send().await.unwrap();
        assert_eq!(sent.text().await.unwrap(), "taken\n");
    }

    /// Waits until a service tells `login` what is wanted.
    pub(crate) async fn until(
        &self,
        service: &Process,
        login: &str,
        path: &str,
        wanted: impl Fn(&serde_json::Value) -> bool,
    ) {
        eventually(DONE, || async {
            let told = self.stack.ask(service, login, path).await?;
            anyhow::ensure!(wanted(&told), "{path}: {told:#}\n{}", service.log());
            Ok(())
        })
        .await
        .unwrap();
    }
}
