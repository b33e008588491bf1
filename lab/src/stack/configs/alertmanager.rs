//! `alertmanager.yml`: the user's own routes, in the demo without their patience.

use std::path::Path;

use serde_json::{Value, json};

/// Why there is no Alertmanager configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file cannot be read.
    #[error("{0}")]
    Read(String, #[source] std::io::Error),
    /// The file is not YAML.
    #[error("{0} is not YAML")]
    Parse(String, #[source] Box<serde_saphyr::Error>),
    /// The file has no `route`.
    #[error("{0}: expected a mapping `route`")]
    Route(String),
}

/// The remediator of the stack: its webhook, and the file with the token that it knows Alertmanager by.
#[derive(Debug, Clone)]
pub(crate) struct Remediator<'a> {
    /// The address of the webhook.
    pub(crate) webhook: &'a str,
    /// The file with the token.
    pub(crate) token: &'a Path,
    /// `tls_config`, where it is called by TLS.
    pub(crate) tls: Option<Value>,
}

/// The configuration in `file` with every wait of its routes taken out: alerts arrive at once, and a
/// resolved one leaves within a second. Without a file: one receiver that does nothing. A receiver called `remediator` that names
/// no destination gets that of the stack.
///
/// JSON is YAML (YAML 1.2 §1.3), so the answer is written as such.
///
/// # Errors
/// The file is not an Alertmanager configuration.
pub(crate) fn impatient(
    file: Option<&Path>,
    remediator: Option<Remediator<'_>>,
) -> Result<String, Error> {
    let mut config = match file {
        None => json!({"route": {"receiver": "none"}, "receivers": [{"name": "none"}]}),
        Some(path) => {
            let name = path.display().to_string();
            let text =
                std::fs::read_to_string(path).map_err(|error| Error::Read(name.clone(), error))?;
            serde_saphyr::from_str(&text).map_err(|error| Error::Parse(name, Box::new(error)))?
        }
    };
    let name = file.map_or_else(String::new, |path| path.display().to_string());
    let route = config
        .get_mut("route")
        .filter(|route| route.is_object())
        .ok_or(Error::Route(name))?;
    hurry(route);
    if let Some(remediator) = remediator {
        notify(&mut config, remediator);
    }
    Ok(format!("{config:#}\n"))
}

/// Gives the receiver `remediator` its webhook.
fn notify(config: &mut Value, remediator: Remediator<'_>) {
    let receivers = config.get_mut("receivers").and_then(Value::as_array_mut);
    let mut ours = receivers
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
        .filter(|receiver| {
            receiver
                .get("name")
                .is_some_and(|name| name == "remediator")
        });
    if let Some(receiver) = ours.next().filter(|receiver| receiver.len() == 1) {
        let mut http =
            json!({"authorization": {"type": "Bearer", "credentials_file": remediator.token}});
        if let (Some(tls), Some(http)) = (remediator.tls, http.as_object_mut()) {
            http.insert("tls_config".into(), tls);
        }
        receiver.insert(
            "webhook_configs".into(),
            json!([{
                "url": remediator.webhook,
                "http_config": http,
            }]),
        );
    }
}

/// Takes the waits out of a route and of those below it.
fn hurry(route: &mut Value) {
    let Some(fields) = route.as_object_mut() else {
        return;
    };
    fields.insert("group_wait".into(), "0s".into());
    fields.insert("group_interval".into(), "1s".into());
    for child in fields
        .get_mut("routes")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        hurry(child);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn amtool_accepts_it_and_no_wait_is_left() {
        let folder = std::env::temp_dir().join(format!("sotp-am-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let own = folder.join("own.yaml");
        std::fs::write(
            &own,
            "route:\n  receiver: a\n  group_wait: 10s\n  routes:\n    - receiver: b\n      group_interval: 1m\n      \
             matchers: [severity = \"critical\"]\nreceivers: [{name: a}, {name: b}, {name: remediator}]\n",
        )
        .unwrap();
        for file in [None, Some(own.as_path())] {
            let remediator = Remediator {
                webhook: "http://127.0.0.1:1/api/v1/webhook/alertmanager",
                token: Path::new("/secrets/alerts"),
                tls: Some(json!({"ca_file": "/ca", "cert_file": "/cert", "key_file": "/key"})),
            };
            let text = impatient(file, Some(remediator)).unwrap();
            assert_eq!(text.contains("/secrets/alerts"), file.is_some(), "{text}");
            assert!(!text.contains("10s") && !text.contains("1m"), "{text}");
            let written = folder.join("alertmanager.yml");
            std::fs::write(&written, text).unwrap();
            let check = Command::new("amtool")
                .arg("check-config")
                .arg(&written)
                .output()
                .unwrap();
            assert!(
                check.status.success(),
                "{}",
                String::from_utf8_lossy(&check.stderr)
            );
        }
        std::fs::write(&own, "receivers: []").unwrap();
        let error = impatient(Some(&own), None).unwrap_err().to_string();
        assert!(
            error.ends_with("own.yaml: expected a mapping `route`"),
            "{error}"
        );
        std::fs::remove_dir_all(folder).unwrap();
    }
}
