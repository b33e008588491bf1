//! Forwarding: what is stripped, what is added, and what becomes of the answer.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, COOKIE, HOST, HeaderName,
    HeaderValue, ORIGIN, REFERER, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::Full;

use super::login::Identity;
use super::route::{self, fill};
use super::{Answer, Inner, Whole, answer, field};

const ID: HeaderName = HeaderName::from_static("x-grafana-id");
const USER: HeaderName = HeaderName::from_static("x-grafana-user");
const CONTEXT: HeaderName = HeaderName::from_static("x-grafana-context");
const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");
const OWN_AUTHORIZATION: HeaderName = HeaderName::from_static("x-ds-authorization");

/// Fields of one connection alone, RFC 9110 section 7.6.1.
const HOP: [HeaderName; 6] = [
    CONNECTION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    CONTENT_LENGTH,
];

impl Inner {
    /// `/api/plugin-proxy/APP/PATH`: the first route that matches decides.
    pub(super) async fn app(
        &self,
        mut request: Whole,
        who: &Identity,
        rest: &str,
        peer: SocketAddr,
    ) -> Answer {
        let (id, path) = rest.split_once('/').unwrap_or((rest, ""));
        let Some(app) = self.setup.apps.get(id) else {
            return answer::message(StatusCode::NOT_FOUND, "Plugin not found");
        };
        let matched = app
            .routes
            .iter()
            .filter(|route| route.takes(request.method()))
            .find_map(|route| Some((route, route::matches(&route.path, path)?)));
        let Some((route, remainder)) = matched else {
            return answer::message(StatusCode::NOT_FOUND, "plugin route match not found");
        };
        if !app.admits(route, who) {
            return answer::message(StatusCode::FORBIDDEN, "plugin proxy route access denied");
        }
        let filled = fill(&route.url, &app.json_data, &app.secure_json_data);
        let own = route::headers(route, &app.json_data, &app.secure_json_data);
        let (Ok(url), Ok(own)) = (filled, own) else {
            return answer::message(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Failed to render plugin headers",
            );
        };
        let headers = request.headers_mut();
        headers.remove(COOKIE);
        headers.remove(SET_COOKIE);
        set(headers, &CONTEXT, &who.context().to_string());
        self.introduce(headers, who, self.setup.dataproxy_logging);
        for (name, value) in own {
            headers.insert(name, value);
        }
        self.forward(request, &join(&url, &remainder), peer).await
    }

    /// `/api/datasources/proxy/uid/UID/PATH`: routes by prefix, and what the type of the source refuses.
    pub(super) async fn source(
        &self,
        mut request: Whole,
        who: &Identity,
        rest: &str,
        peer: SocketAddr,
    ) -> Answer {
        let (uid, path) = rest.split_once('/').unwrap_or((rest, ""));
        let Some(source) = self.setup.sources.get(uid) else {
            return answer::message(StatusCode::NOT_FOUND, "Unable to find datasource");
        };
        // Who has no role may not query.
        if who.user.role < super::Basic::Viewer {
            return answer::message(
                StatusCode::FORBIDDEN,
                "You'll need additional permissions to perform this action",
            );
        }
        let cleaned = route::clean(path);
        let routes = source.all_routes();
        let matched = routes.iter().find(|route| {
            route.takes(request.method()) && cleaned.starts_with(&route::clean(&route.path))
        });
        match matched {
            Some(route) if !route::admits(route, who, &Default::default()) => {
                return answer::message(StatusCode::FORBIDDEN, "plugin proxy route access denied");
            }
            None if source.refuses_unmatched(request.method()) => {
                let text = format!(
                    "non allow-listed {}s not allowed on proxied {} datasource",
                    request.method(),
                    source.type_name()
                );
                return answer::message(StatusCode::FORBIDDEN, &text);
            }
            _ => {}
        }
        let own = matched
            .map(|route| route::headers(route, &Default::default(), &source.secure_json_data));
        let Ok(own) = own.transpose() else {
            return answer::message(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Failed to render plugin headers",
            );
        };
        let headers = request.headers_mut();
        if let Some((user, password)) = &source.basic_auth {
            let encoded = STANDARD.encode(format!("{user}:{password}"));
            set(headers, &AUTHORIZATION, &format!("Basic {encoded}"));
        }
        // Whoever asks may put a login of their own in the place of Grafana's.
        if let Some(theirs) = headers
            .remove(OWN_AUTHORIZATION)
            .filter(|value| !value.is_empty())
        {
            headers.insert(AUTHORIZATION, theirs);
        }
        headers.remove(COOKIE);
        set(headers, &USER_AGENT, "Grafana/12.3.3");
        for (name, value) in own.into_iter().flatten() {
            headers.insert(name, value);
        }
        self.introduce(headers, who, self.setup.send_user_header);
        let answer = self.forward(request, &join(&source.url, path), peer).await;
        if answer.status() == StatusCode::UNAUTHORIZED {
            let mut other = answer::text(
                StatusCode::BAD_REQUEST,
                "Authentication to data source failed",
            );
            sandbox(other.headers_mut());
            return other;
        }
        answer
    }

    /// Says who asks: signed, and, if it is so set up, by name. A field of the client is replaced; where there is nothing to say in its
    /// place, Grafana leaves a token of the client as it is.
    fn introduce(&self, headers: &mut HeaderMap, who: &Identity, by_name: bool) {
        headers.remove(USER);
        if by_name && who.kind == "user" {
            set(headers, &USER, &who.user.login);
        }
        set(headers, &ID, &self.sign(who));
    }

    async fn forward(&self, request: Whole, url: &str, peer: SocketAddr) -> Answer {
        let (mut parts, body) = request.into_parts();
        let headers = &mut parts.headers;
        let referer = headers
            .remove(REFERER)
            .unwrap_or(HeaderValue::from_static(""));
        headers.insert("x-grafana-referer", referer);
        for name in ["x-forwarded-host", "x-forwarded-port", "x-forwarded-proto"] {
            headers.remove(name);
        }
        headers.remove(ORIGIN);
        headers.remove(HOST);
        for name in HOP {
            headers.remove(name);
        }
        let before = headers.get(FORWARDED).and_then(|value| value.to_str().ok());
        let chain = before.map_or_else(
            || peer.ip().to_string(),
            |before| format!("{before}, {}", peer.ip()),
        );
        set(headers, &FORWARDED, &chain);
        let url = match parts.uri.query() {
            Some(query) => format!("{url}?{query}"),
            None => url.to_owned(),
        };
        let asked = self
            .client
            .request(parts.method, url)
            .headers(parts.headers)
            .body(body)
            .send()
            .await;
        let Ok(answered) = asked else {
            return answer::message(StatusCode::BAD_GATEWAY, "Bad gateway");
        };
        let (status, mut headers) = (answered.status(), answered.headers().clone());
        let Ok(body) = answered.bytes().await else {
            return answer::message(StatusCode::BAD_GATEWAY, "Bad gateway");
        };
        for name in HOP {
            headers.remove(name);
        }
        sandbox(&mut headers);
        let mut answer = Response::new(Full::new(body));
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        answer
    }
}

/// What came through a proxy is no page of Grafana.
fn sandbox(headers: &mut HeaderMap) {
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
}

fn set(headers: &mut HeaderMap, name: &HeaderName, value: &str) {
    if let Some((name, value)) = field(name.as_str(), value) {
        headers.insert(name, value);
    }
}

/// One slash between both.
fn join(url: &str, path: &str) -> String {
    if path.is_empty() {
        return url.to_owned();
    }
    format!(
        "{}/{}",
        url.trim_end_matches('/'),
        path.trim_start_matches('/')
    )
}
