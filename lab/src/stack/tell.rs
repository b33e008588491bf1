//! The table of the stack: what runs where, what to look at, what is missing and how to get it.

use super::http;
use super::plan::{Found, Plan, Setting};
use super::process::Process;
use super::programs::{GRAFANA, LOKI, TEMPO};
use super::status::{State, States};
use super::table::Row;

/// Where Prometheus shows its alerts; Debian's has the older pages only.
const ALERTS: [&str; 2] = ["/alerts", "/classic/alerts"];

/// A row for each part of the stack.
pub(crate) async fn rows(setting: &Setting<'_>, states: &States) -> Vec<Row> {
    let (client, mut alerts) = (http::local(), ALERTS[0]);
    for path in ALERTS {
        if http::answers(&client, &format!("{}{path}", setting.url("prometheus"))).await {
            alerts = path;
            break;
        }
    }
    let (alertmanager, silences) =
        alertmanager_page(http::text(&client, &format!("{}/", setting.url("alertmanager"))).await);
    let found = setting.found;
    let mut rows = Vec::new();
    let mut add = |name: &str, what: &str, version: &str, path: &str, look: &str| {
        let url = format!("{}{path}", setting.url(name));
        let (place, note) = match states.get(name) {
            Some(State::Ready { .. }) => (url, look.to_owned()),
            Some(State::Failed { why } | State::Restarting { why }) => {
                ("failed".to_owned(), why.clone())
            }
            _ => (
                "not ready yet".to_owned(),
                format!("will be at {url}; {look}"),
            ),
        };
        rows.push(Row::new(what, version, place, note));
    };
    if let Some((program, _)) = &found.grafana {
        let password = setting.state.join("grafana.password");
        let look = format!(
            "the screens; to change them: admin, password in {}",
            password.display()
        );
        add("grafana", "Grafana", &program.version, "/", &look);
    }
    add(
        "prometheus",
        "Prometheus",
        &found.prometheus.version,
        alerts,
        "rules and queries",
    );
    add(
        "alertmanager",
        "Alertmanager",
        &found.alertmanager.version,
        alertmanager,
        silences,
    );
    for (service, _) in &found.services {
        add(
            &service.name,
            &service.name,
            env!("CARGO_PKG_VERSION"),
            "/",
            &service.shows,
        );
    }
    if let Some(program) = &found.loki {
        add(
            "loki",
            "Loki",
            &program.version,
            "/ready",
            "logs, by way of Grafana",
        );
    }
    if let Some(program) = &found.tempo {
        add(
            "tempo",
            "Tempo",
            &program.version,
            "/ready",
            "traces, by way of Grafana",
        );
    }
    rows.extend(missing(found));
    rows
}

/// Where Alertmanager shows its alerts, by its first page: Debian's package has no other, and says so there.
fn alertmanager_page(first: Option<String>) -> (&'static str, &'static str) {
    match first {
        Some(page) if !page.contains("<script") => (
            "/api/v2/alerts",
            "active alerts, as JSON: this build of Alertmanager has no screens",
        ),
        _ => ("/", "active alerts, silences"),
    }
}

/// A row for each part that could not be found.
fn missing(found: &Found) -> Vec<Row> {
    let parts = [
        (&GRAFANA, "Grafana", found.grafana.is_none()),
        (&LOKI, "Loki", found.loki.is_none()),
        (&TEMPO, "Tempo", found.tempo.is_none()),
    ];
    let row = |(kind, what, gone): (&super::programs::Kind, &str, bool)| {
        let note = format!(
            "`sotp-lab stack install` downloads it; or put `{}` on PATH or into SOTP_STACK_DIR",
            kind.files[0]
        );
        gone.then(|| Row::new(what, "", "missing", note))
    };
    parts.into_iter().filter_map(row).collect()
}

/// One line for each process of the plan whose port is not the usual one.
pub(crate) fn moved_ports(setting: &Setting, plan: &Plan) -> Vec<String> {
    let usual = super::plan::usual_ports();
    let moved = |process: &Process| {
        let name = &process.name;
        let (wanted, port) = (usual.get(name)?, setting.outside.get(name)?);
        (wanted != port).then(|| format!("port {wanted} is taken: {name} is at {port}"))
    };
    plan.processes.iter().filter_map(moved).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alertmanager_without_screens_is_looked_at_by_its_api() {
        let page = |text: &str| alertmanager_page(Some(text.to_owned())).0;
        assert_eq!(
            page("<p>does not include a web application.</p>"),
            "/api/v2/alerts"
        );
        assert_eq!(page("<script src=\"script.js\"></script>"), "/");
        assert_eq!(alertmanager_page(None).0, "/");
    }
}
