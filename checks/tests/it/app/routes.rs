//! Every route of the plugin, by every role, with every verb: the gate of Grafana before the gate of the service.

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use serde_json::Value;
use testkit::grafana::Basic;
use testkit::{client, skip};

use super::screen::{ID, Stack, built};

const VERBS: [Method; 5] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

/// The least role that a call takes, said here once more by itself: `None` where there is no way at all.
fn least(method: &Method, path: &str) -> Option<Basic> {
    let steps: Vec<&str> = path.split('/').collect();
    let reads = *method == Method::GET;
    match steps[..] {
        [
            "inventory" | "remediator" | "configuration" | "reporter",
            "api",
            "v1",
            "audit",
            ..,
        ] if reads => Some(Basic::Editor),
        ["remediator" | "reporter", "api", "v1", "whoami"] if reads => Some(Basic::Viewer),
        ["reporter", "api", "v1", "reports"] if *method == Method::POST => Some(Basic::Editor),
        ["reporter", "api", "v1", "reports" | "jobs", ..] if reads => Some(Basic::Viewer),
        ["inventory", "api", "v1", ..] if reads => Some(Basic::Viewer),
        ["inventory", "api", "v1", kind, ref rest @ ..] => {
            let shaped = match rest {
                [] => *method == Method::POST,
                [_] => *method != Method::POST,
                _ => false,
            };
            match kind {
                "devices" | "sites" if shaped => Some(Basic::Editor),
                "import" if rest.is_empty() && shaped => Some(Basic::Editor),
                "groups" | "credentials" if shaped => Some(Basic::Admin),
                "restore" if rest.is_empty() && shaped => Some(Basic::Admin),
                _ => None,
            }
        }
        ["remediator", "api", "v1", ref rest @ ..] => match rest {
            ["commands"] if *method == Method::POST => Some(Basic::Editor),
            ["jobs", _, _] if *method == Method::POST => Some(Basic::Admin),
            ["platforms" | "commands" | "jobs"] | ["commands" | "jobs", _] if reads => {
                Some(Basic::Viewer)
            }
            ["jobs", _, ..] if reads => Some(Basic::Viewer),
            ["jobs", _] if *method == Method::POST => Some(Basic::Admin),
            _ => None,
        },
        ["configuration", "api", "v1", ..] if reads => Some(Basic::Viewer),
        _ => None,
    }
}

fn paths() -> Vec<String> {
    let mut paths = Vec::new();
    for kind in ["devices", "sites", "groups", "credentials"] {
        paths.push(format!("inventory/api/v1/{kind}"));
        paths.push(format!("inventory/api/v1/{kind}/x1"));
    }
    for path in [
        "restore",
        "import",
        "versions",
        "export",
        "remote/push",
        "remote/pull",
        "resolve",
        "inventory",
    ] {
        paths.push(format!("inventory/api/v1/{path}"));
    }
    for path in [
        "remediator/api/v1/commands",
        "remediator/api/v1/commands/A1",
        "remediator/api/v1/platforms",
        "remediator/api/v1/jobs",
        "remediator/api/v1/jobs/A1",
        "remediator/api/v1/jobs/A1/approve",
        "remediator/api/v1/jobs/A1/reject",
        "remediator/api/v1/switch",
        "remediator/api/v1/webhook/alertmanager",
        "configuration/api/v1/devices",
        "configuration/api/v1/devices/r1/versions",
        "configuration/api/v1/devices/r1/collect",
        "inventory/-/reload",
        "inventory/metrics",
        "inventory/sd/ping",
        "other/v1/x",
        "reporter/api/v1/reports",
        "reporter/api/v1/reports/2020-01",
        "reporter/api/v1/reports/2020-01/files/devices.csv",
        "reporter/api/v1/jobs/A1",
        "reporter/api/v1/openapi.json",
        "alertmanager/api/v2/status",
        "alertmanager/api/v2/alerts",
        "alertmanager/-/reload",
    ] {
        paths.push(path.to_owned());
    }
    for service in ["inventory", "remediator", "configuration", "reporter"] {
        for call in ["audit", "audit/verify", "whoami"] {
            paths.push(format!("{service}/api/v1/{call}"));
        }
    }
    paths
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_gets_through_each_route_as_it_should_and_no_further() {
    let app = match built() {
        Ok(app) => app,
        Err(reason) => return skip(reason),
    };
    let stack = Stack::start(app, true).await;
    let mut tried = 0;
    for path in paths() {
        for method in VERBS {
            for role in [None].into_iter().chain(Basic::ALL.map(Some)) {
                // Who is not signed in looks as a viewer.
                let own = role.unwrap_or(Basic::Viewer);
                let mut request = client().request(
                    method.clone(),
                    format!("{}api/plugin-proxy/{ID}/{path}", stack.grafana.url()),
                );
                if let Some(role) = role {
                    let login = role.as_str().to_lowercase();
                    request = request.header("cookie", stack.grafana.session(&login));
                }
                // Valid for nothing, so that nothing is changed by who gets through.
                let answer = request
                    .header("content-type", "application/json")
                    .body("{}")
                    .send()
                    .await
                    .unwrap();
                let status = answer.status();
                let passed = answer.headers().contains_key("content-security-policy");
                let said: Value = answer.json().await.unwrap_or_default();
                let what = format!("{method} {path} by {role:?}: {status} {said}");
                match least(&method, &path) {
                    None => {
                        assert_eq!(status, StatusCode::NOT_FOUND, "{what}");
                        assert!(!passed, "{what}");
                    }
                    Some(least) if own >= least => {
                        assert!(passed, "{what}");
                        // Not known, or may not, is what the service would say to somebody whom the route should have held back;
                        // who is anonymous reads and is nobody. Configurations are for people who are known.
                        let asks = ["configuration/", "reporter/"]
                            .iter()
                            .any(|own| path.starts_with(own))
                            || path.ends_with("/whoami");
                        let nobody = role.is_none() && asks;
                        assert_ne!(status, StatusCode::UNAUTHORIZED, "{what}");
                        assert!(nobody || status != StatusCode::FORBIDDEN, "{what}");
                        let open = path.starts_with("reporter/");
                        assert!(!nobody || open || !status.is_success(), "{what}");
                    }
                    Some(_) => {
                        assert_eq!(status, StatusCode::FORBIDDEN, "{what}");
                        assert_eq!(
                            said["message"], "plugin proxy route access denied",
                            "{what}"
                        );
                        assert!(!passed, "{what}");
                    }
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 900, "{tried}");
}

/// The second lock: the service decides by the signed token, whatever the route would have let through.
#[tokio::test(flavor = "multi_thread")]
async fn the_service_refuses_by_itself_what_a_wrong_route_would_pass() {
    let app = match built() {
        Ok(app) => app,
        Err(reason) => return skip(reason),
    };
    let stack = Stack::start(app, true).await;
    for (login, wanted) in [
        ("viewer", 403),
        ("none", 403),
        ("editor", 200),
        ("admin", 200),
    ] {
        let status = stack.patch(login, "r1", "{\"role\": \"core\"}").await;
        assert_eq!(status, wanted, "{login}");
    }
}

/// The actions that the pages ask for: the type of `may.ts`.
fn actions_of_pages() -> Vec<String> {
    let path = sotp_checks::root().join("dashboards/app/src/may.ts");
    let text = std::fs::read_to_string(path).unwrap();
    let quoted = text.lines().filter_map(|line| {
        let action = line.trim().trim_start_matches("| '").split_once('\'')?.0;
        let named = line.trim().starts_with("| '") && action.contains(':');
        named.then(|| format!("sotp-app.{action}"))
    });
    let actions: Vec<String> = quoted.collect();
    assert!(!actions.is_empty());
    actions
}

/// The plugin asks for nothing that no role has, gives nothing that no route or page asks for, and says no secret.
#[test]
fn the_actions_of_roles_routes_and_pages_are_the_same() {
    let text =
        std::fs::read_to_string(sotp_checks::root().join("dashboards/app/public/plugin.json"));
    let plugin: Value = serde_json::from_str(&text.unwrap()).unwrap();
    let list = |key: &str| plugin[key].as_array().unwrap().clone();
    let given: BTreeSet<String> = list("roles")
        .iter()
        .flat_map(|role| role["role"]["permissions"].as_array().unwrap().clone())
        .map(|permission| permission["action"].as_str().unwrap().to_owned())
        .collect();
    let asked: BTreeSet<String> = list("routes")
        .iter()
        .map(|route| route["reqAction"].as_str().unwrap().to_owned())
        .chain(
            list("includes")
                .iter()
                .map(|page| page["action"].as_str().unwrap().to_owned()),
        )
        // What goes by a data source of Grafana has no route; the pages ask for the action.
        .chain(actions_of_pages())
        .collect();
    assert_eq!(given, asked);
    for route in list("routes") {
        let method = route["method"].as_str().unwrap();
        assert!(
            VERBS.iter().any(|verb| verb == method),
            "{route}: one verb a route"
        );
        assert!(
            route.get("reqRole").is_none(),
            "{route}: ignored beside reqAction"
        );
        // Grafana takes the first that matches, so a wide one must not stand before a narrow one.
        let path = route["path"].as_str().unwrap();
        let wider = list("routes")
            .iter()
            .take_while(|other| **other != route)
            .filter(|other| other["method"] == method)
            .filter_map(|other| other["path"].as_str()?.strip_suffix('*').map(str::to_owned))
            .any(|prefix| path.starts_with(&prefix));
        assert!(!wider, "{path}: a wider route stands before it");
    }
}
