//! Pages: the documents that Grafana sends to a browser, and the files that they load.

use std::path::Path;

use http::header::{CACHE_CONTROL, HeaderValue, LAST_MODIFIED, LOCATION};
use http::{Method, StatusCode};
use serde_json::json;

use super::login::Identity;
use super::route::App;
use super::{Answer, Inner, Whole, answer};

impl Inner {
    /// `/public/…`, which takes no login.
    pub(super) fn file(&self, request: &Whole) -> Option<Answer> {
        let path = request.uri().path();
        if request.method() != Method::GET {
            return None;
        }
        let (folder, rest, hour) = if let Some(rest) = path.strip_prefix("/public/plugins/") {
            let (id, rest) = rest.split_once('/')?;
            let plugin = self.setup.apps.get(id)?.plugin.as_ref()?;
            (plugin.folder.as_path(), rest, true)
        } else {
            let rest = path.strip_prefix("/public/build/")?;
            (self.setup.host.as_deref()?, rest, false)
        };
        Some(served(folder, rest, hour))
    }

    /// `/a/APP/…`, for who may open it; others are sent home without a word, as Grafana does.
    pub(super) fn page(&self, request: &Whole, who: &Identity) -> Option<Answer> {
        let path = request.uri().path();
        if request.method() != Method::GET {
            return None;
        }
        if path == "/" {
            return Some(self.document(who));
        }
        let (id, _) = path
            .strip_prefix("/a/")
            .map(|rest| rest.split_once('/').unwrap_or((rest, "")))?;
        let Some(app) = self.setup.apps.get(id) else {
            return Some(self.document(who));
        };
        let plugin = app.plugin.as_ref()?;
        let closed = plugin
            .pages
            .iter()
            .any(|page| page.path == path && !app.opens(page, who));
        if closed {
            return Some(elsewhere("/"));
        }
        Some(self.document(who))
    }

    /// `/api/plugins/ID/settings`.
    pub(super) fn settings(&self, path: &str, who: &Identity) -> Option<Answer> {
        let id = path
            .strip_prefix("/api/plugins/")?
            .strip_suffix("/settings")?;
        let app = self.setup.apps.get(id)?;
        let plugin = app.plugin.as_ref()?;
        Some(answer::json(StatusCode::OK, &plugin.settings(id, app, who)))
    }

    fn document(&self, who: &Identity) -> Answer {
        let permissions = self
            .setup
            .apps
            .values()
            .flat_map(|app: &App| app.permissions(who));
        let permissions: serde_json::Map<_, _> = permissions
            .map(|action| (action.clone(), true.into()))
            .collect();
        let signed_in = who.kind == "user";
        let boot = json!({
            "settings": {"appSubUrl": "", "appUrl": self.issuer, "buildInfo": {"version": "12.3.3", "env": "production"},
                "featureToggles": {}, "rbacEnabled": true},
            "user": {"id": who.number, "login": who.user.login, "name": who.user.name, "orgRole": who.user.role.as_str(),
                "isSignedIn": signed_in, "language": self.setup.language, "permissions": permissions, "timezone": "utc"},
            "navTree": [],
        });
        // In a script nothing may look like its end.
        let boot = boot.to_string().replace('<', "\\u003c");
        let text = format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Grafana</title>\
             <meta name=\"viewport\" content=\"width=device-width\"></head>\n<body><div id=\"reactRoot\"></div>\n\
             <script>window.grafanaBootData = {boot}; window.__grafana_public_path__ = '/public/';</script>\n\
             <script src=\"/public/build/host.js\"></script></body></html>\n"
        );
        let mut answer = answer::new(StatusCode::OK, "text/html; charset=UTF-8", text);
        answer
            .headers_mut()
            .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        answer
    }
}

/// Sends a browser to another page.
pub(super) fn elsewhere(to: &'static str) -> Answer {
    let mut answer = answer::text(StatusCode::FOUND, "Found");
    answer
        .headers_mut()
        .insert(LOCATION, HeaderValue::from_static(to));
    answer
}

fn served(folder: &Path, rest: &str, hour: bool) -> Answer {
    let not_found = || answer::message(StatusCode::NOT_FOUND, "Plugin file not found");
    let inside = |step: &str| !matches!(step, "" | "." | "..") && !step.contains(['\\', '%']);
    if !rest.split('/').all(inside) {
        return not_found();
    }
    let path = folder.join(rest);
    let Ok(body) = std::fs::read(&path) else {
        return not_found();
    };
    let kind = match path.extension().and_then(|end| end.to_str()) {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ttf") => "font/ttf",
        _ => return not_found(),
    };
    let mut answer = answer::new(StatusCode::OK, kind, body);
    if hour {
        let headers = answer.headers_mut();
        headers.insert(
            CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=3600"),
        );
        headers.insert(
            LAST_MODIFIED,
            HeaderValue::from_static("Thu, 01 Jan 2026 00:00:00 GMT"),
        );
    }
    answer
}
