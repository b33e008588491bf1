//! Routes of app plugins and data sources: which request they take, and who may.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use http::Method;

use super::login::Identity;
use super::plugin::Plugin;
use super::{Basic, Setup, field};

/// A route, as `plugin.json` has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Route {
    /// For an app a pattern, `v1/actions/*`; for a data source a prefix.
    pub path: String,
    /// One method, `*` or nothing for all.
    pub method: String,
    /// Least basic role.
    pub req_role: Option<Basic>,
    /// Action that the user must have; then `req_role` does not count.
    pub req_action: String,
    /// Where it leads; `{{ .JsonData.name }}` is filled in.
    pub url: String,
    /// Header fields that are set; `{{ .SecureJsonData.name }}` is filled in.
    pub headers: Vec<(String, String)>,
}

impl Route {
    pub(super) fn takes(&self, method: &Method) -> bool {
        matches!(self.method.as_str(), "" | "*") || self.method == method.as_str()
    }
}

/// An app plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct App {
    /// The first one that matches counts.
    pub routes: Vec<Route>,
    /// Least basic role that has each action, as `roles[].grants` of `plugin.json` say.
    pub grants: BTreeMap<String, Basic>,
    /// Settings that may be shown.
    pub json_data: BTreeMap<String, String>,
    /// Settings that may not.
    pub secure_json_data: BTreeMap<String, String>,
    /// What it is in its folder; `None` for routes alone.
    pub plugin: Option<Plugin>,
}

impl App {
    pub(super) fn admits(&self, route: &Route, who: &Identity) -> bool {
        admits(route, who, &self.grants)
    }
}

/// Whether the gate of a route lets somebody through.
pub(super) fn admits(route: &Route, who: &Identity, grants: &BTreeMap<String, Basic>) -> bool {
    let least = if route.req_action.is_empty() {
        route.req_role
    } else {
        // Nobody has an action that no role was given.
        match grants.get(&route.req_action) {
            Some(least) => Some(*least),
            None => return false,
        }
    };
    least.is_none_or(|least| who.user.role >= least)
}

/// A kind of data source, with what Grafana's core does for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceType {
    /// Unmatched POST, PUT and DELETE are refused.
    Prometheus,
    /// The same.
    Loki,
    /// POST, PUT and DELETE need an editor, by its routes.
    Alertmanager,
    /// Any method by any viewer, beside its own routes.
    Other,
}

/// A data source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What it is.
    pub kind: SourceType,
    /// Where it is.
    pub url: String,
    /// User and password of Grafana there.
    pub basic_auth: Option<(String, String)>,
    /// Routes of its plugin; an Alertmanager has its own before these.
    pub routes: Vec<Route>,
    /// Settings that may not be shown.
    pub secure_json_data: BTreeMap<String, String>,
}

impl Source {
    /// A source without login and routes.
    #[must_use]
    pub fn new(kind: SourceType, url: &str) -> Self {
        Self {
            kind,
            url: url.to_owned(),
            basic_auth: None,
            routes: Vec::new(),
            secure_json_data: BTreeMap::new(),
        }
    }

    /// Every route in order.
    pub(super) fn all_routes(&self) -> Vec<Route> {
        let mut routes = Vec::new();
        if self.kind == SourceType::Alertmanager {
            for (path, method, role) in [
                ("alertmanager/api/v2/silences", "GET", Basic::Viewer),
                ("alertmanager/api/v2/silences", "POST", Basic::Editor),
                ("api/v2/silence", "GET", Basic::Viewer),
                ("api/v2/silences", "GET", Basic::Viewer),
                ("", "POST", Basic::Editor),
                ("", "PUT", Basic::Editor),
                ("", "DELETE", Basic::Editor),
            ] {
                routes.push(Route {
                    path: path.to_owned(),
                    method: method.to_owned(),
                    req_role: Some(role),
                    ..Route::default()
                });
            }
        }
        routes.extend(self.routes.iter().cloned());
        routes
    }

    /// Whether a request that no route takes is refused.
    pub(super) fn refuses_unmatched(&self, method: &Method) -> bool {
        matches!(self.kind, SourceType::Prometheus | SourceType::Loki)
            && matches!(*method, Method::POST | Method::PUT | Method::DELETE)
    }

    pub(super) fn type_name(&self) -> &'static str {
        match self.kind {
            SourceType::Prometheus => "prometheus",
            SourceType::Loki => "loki",
            SourceType::Alertmanager => "alertmanager",
            SourceType::Other => "other",
        }
    }
}

/// Matches an app's pattern: segments as they are, `*` at the end for the rest, which is returned.
pub(super) fn matches(pattern: &str, path: &str) -> Option<String> {
    let pattern = pattern.trim_start_matches('/');
    let path = path.trim_start_matches('/');
    match pattern.strip_suffix('*') {
        Some(prefix) => path
            .strip_prefix(prefix)
            .filter(|rest| !rest.is_empty())
            .map(str::to_owned),
        None => (pattern.trim_end_matches('/') == path.trim_end_matches('/')).then(String::new),
    }
}

/// A path without dots and double slashes, that never leaves the root.
pub(super) fn clean(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    kept.join("/")
}

/// Fills `{{ .JsonData.name }}` and `{{ .SecureJsonData.name }}` in.
pub(super) fn fill(
    text: &str,
    plain: &BTreeMap<String, String>,
    secure: &BTreeMap<String, String>,
) -> anyhow::Result<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after
            .split_once("}}")
            .with_context(|| format!("{text:?}: braces that do not close"))?;
        let name = name.trim();
        let value = match name.split_once('.') {
            Some(("", member)) => match member.split_once('.') {
                Some(("JsonData", name)) => plain.get(name),
                Some(("SecureJsonData", name)) => secure.get(name),
                _ => None,
            },
            _ => None,
        };
        out.push_str(before);
        out.push_str(value.with_context(|| format!("{text:?}: no value for {name}"))?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// Refuses what this Grafana does not know, so that no test passes by a rule that the real one has and this one has not.
pub(super) fn check(setup: &Setup) -> anyhow::Result<()> {
    let empty = BTreeMap::new();
    for glob in &setup.actions_allow_post_url {
        let known = !glob.contains(['[', ']', '{', '}', '\\', '!']);
        ensure!(known, "{glob:?}: expected a glob of * and ? only");
    }
    for (id, app) in &setup.apps {
        for route in &app.routes {
            let path = &route.path;
            let stars = path.matches('*').count();
            let known = !path.contains([':', '(', '?'])
                && (stars == 0 || stars == 1 && (path == "*" || path.ends_with("/*")));
            ensure!(
                known,
                "{id}: route {path:?}: expected segments, and * only as the last one"
            );
            target(&fill(&route.url, &app.json_data, &app.secure_json_data)?)
                .with_context(|| format!("{id}: route {path:?}"))?;
            headers(route, &app.json_data, &app.secure_json_data)?;
        }
    }
    for (uid, source) in &setup.sources {
        target(&source.url).with_context(|| uid.clone())?;
        for route in &source.routes {
            ensure!(
                route.req_action.is_empty(),
                "{uid}: req_action of data sources is not known here"
            );
            ensure!(
                route.url.is_empty(),
                "{uid}: routes with an address of their own are not known here"
            );
            headers(route, &empty, &source.secure_json_data)?;
        }
    }
    Ok(())
}

fn target(url: &str) -> anyhow::Result<()> {
    let url: reqwest::Url = url.parse().with_context(|| format!("{url:?}"))?;
    ensure!(
        url.has_host() && url.query().is_none(),
        "{url}: expected an address without query"
    );
    Ok(())
}

/// The header fields of a route.
pub(super) fn headers(
    route: &Route,
    plain: &BTreeMap<String, String>,
    secure: &BTreeMap<String, String>,
) -> anyhow::Result<Vec<(http::HeaderName, http::HeaderValue)>> {
    let filled = route.headers.iter().map(|(name, value)| {
        let value = fill(value, plain, secure)?;
        field(name, &value).with_context(|| format!("{name}: no header field"))
    });
    filled.collect()
}
