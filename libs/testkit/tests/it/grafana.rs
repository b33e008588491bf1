//! The Grafana for tests does what Grafana's sources say.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use testkit::grafana::{App, Basic, Grafana, Route, Setup, Source, SourceType, User};

/// A service that answers 200, or what `?status=` says, and remembers what it was asked.
struct Upstream {
    url: String,
    asked: Arc<Mutex<Vec<http::request::Parts>>>,
}

impl Upstream {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let seen = Arc::clone(&seen);
                let service = service_fn(move |request: Request<Incoming>| {
                    let seen = Arc::clone(&seen);
                    async move {
                        let (parts, body) = request.into_parts();
                        let body = body.collect().await.unwrap().to_bytes();
                        let status = parts
                            .uri
                            .query()
                            .and_then(|query| query.strip_prefix("status="));
                        let status = status.map_or(StatusCode::OK, |text| text.parse().unwrap());
                        seen.lock().unwrap().push(parts);
                        let answer = Response::builder()
                            .status(status)
                            .body(Full::<Bytes>::new(body));
                        Ok::<_, Infallible>(answer.unwrap())
                    }
                });
                let server = hyper::server::conn::http1::Builder::new();
                tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { url, asked }
    }

    fn last(&self) -> http::request::Parts {
        self.asked.lock().unwrap().last().unwrap().clone()
    }

    fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn route(path: &str, method: &str, action: &str, url: &str) -> Route {
    Route {
        path: path.to_owned(),
        method: method.to_owned(),
        req_action: action.to_owned(),
        url: format!("{{{{ .JsonData.url }}}}/{url}"),
        headers: vec![(
            "Authorization".to_owned(),
            "Bearer {{ .SecureJsonData.apiToken }}".to_owned(),
        )],
        ..Route::default()
    }
}

async fn grafana(upstream: &Upstream) -> Grafana {
    let app = App {
        routes: vec![
            route("v1/actions/*", "POST", "nms-app.jobs:run", "api/v1/actions"),
            route(
                "v1/approvals/*",
                "POST",
                "nms-app.jobs:approve",
                "api/v1/approvals",
            ),
            route("v1/*", "GET", "nms-app.data:read", "api/v1"),
            route("v1/actions/*", "GET", "nms-app.jobs:approve", "shadowed"),
            route("whoami", "", "nms-app.data:read", "whoami"),
            route("secret", "", "nms-app.nobody:has", "secret"),
        ],
        grants: BTreeMap::from([
            ("nms-app.data:read".to_owned(), Basic::Viewer),
            ("nms-app.jobs:run".to_owned(), Basic::Editor),
            ("nms-app.jobs:approve".to_owned(), Basic::Admin),
        ]),
        json_data: BTreeMap::from([("url".to_owned(), upstream.url.clone())]),
        secure_json_data: BTreeMap::from([("apiToken".to_owned(), "s3cret".to_owned())]),
        plugin: None,
    };
    let mut control = Source::new(SourceType::Alertmanager, &upstream.url);
    control.basic_auth = Some(("grafana".to_owned(), "pass".to_owned()));
    let sources = [
        ("prom", Source::new(SourceType::Prometheus, &upstream.url)),
        ("ctl", control),
        ("any", Source::new(SourceType::Other, &upstream.url)),
    ];
    Grafana::start(Setup {
        users: Basic::ALL
            .map(|role| User::new(&role.as_str().to_lowercase(), role))
            .to_vec(),
        anonymous: None,
        apps: BTreeMap::from([("nms-app".to_owned(), app)]),
        sources: sources
            .into_iter()
            .map(|(uid, source)| (uid.to_owned(), source))
            .collect(),
        actions_allow_post_url: vec!["/api/plugin-proxy/nms-app/v1/actions/*".to_owned()],
        send_user_header: true,
        ..Setup::default()
    })
    .await
    .unwrap()
}

async fn ask(
    grafana: &Grafana,
    login: Option<&str>,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> reqwest::Response {
    let mut request = testkit::client().request(method, format!("{}{path}", grafana.url()));
    if let Some(login) = login {
        request = request.header("cookie", grafana.session(login));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

/// Every role with every method and route; what the gate lets through reaches the service, and nothing else does.
#[tokio::test]
async fn gates_are_held() {
    let upstream = Upstream::start().await;
    let grafana = grafana(&upstream).await;
    let app = |path: &str| format!("api/plugin-proxy/nms-app/{path}");
    let source = |path: &str| format!("api/datasources/proxy/uid/{path}");
    let never = Some(Basic::Admin as u8 + 1);
    let table = [
        (
            Method::POST,
            app("v1/actions/ping"),
            Some(Basic::Editor as u8),
            403,
        ),
        (
            Method::POST,
            app("v1/approvals/7"),
            Some(Basic::Admin as u8),
            403,
        ),
        (
            Method::GET,
            app("v1/devices"),
            Some(Basic::Viewer as u8),
            403,
        ),
        // The first route that matches decides, not the narrowest.
        (
            Method::GET,
            app("v1/actions/ping"),
            Some(Basic::Viewer as u8),
            403,
        ),
        (
            Method::DELETE,
            app("whoami"),
            Some(Basic::Viewer as u8),
            403,
        ),
        (Method::GET, app("secret"), never, 403),
        (Method::PUT, app("v1/actions/ping"), never, 404),
        (Method::POST, app("v1/other"), never, 404),
        (
            Method::GET,
            "api/plugin-proxy/other/v1".to_owned(),
            never,
            404,
        ),
        (
            Method::GET,
            source("prom/api/v1/query"),
            Some(Basic::Viewer as u8),
            403,
        ),
        (Method::POST, source("prom/api/v1/query"), never, 403),
        (Method::DELETE, source("prom/api/v1/x"), never, 403),
        (
            Method::GET,
            source("ctl/v1/devices"),
            Some(Basic::Viewer as u8),
            403,
        ),
        (
            Method::POST,
            source("ctl/v1/actions/ping"),
            Some(Basic::Editor as u8),
            403,
        ),
        (
            Method::PUT,
            source("ctl/v1/devices/r1"),
            Some(Basic::Editor as u8),
            403,
        ),
        (
            Method::DELETE,
            source("ctl/v1/devices/r1"),
            Some(Basic::Editor as u8),
            403,
        ),
        // No route says anything about it, so nobody does.
        (
            Method::PATCH,
            source("ctl/v1/devices/r1"),
            Some(Basic::Viewer as u8),
            403,
        ),
        (
            Method::DELETE,
            source("any/thing"),
            Some(Basic::Viewer as u8),
            403,
        ),
        (Method::GET, source("none/x"), never, 404),
    ];
    for (method, path, least, refused) in table {
        let before = upstream.count();
        let nobody = ask(&grafana, None, method.clone(), &path, &[]).await;
        assert_eq!(
            (nobody.status(), upstream.count()),
            (StatusCode::UNAUTHORIZED, before)
        );
        for role in Basic::ALL {
            let before = upstream.count();
            let login = role.as_str().to_lowercase();
            let answer = ask(&grafana, Some(&login), method.clone(), &path, &[]).await;
            let admitted = least.is_some_and(|least| role as u8 >= least);
            let wanted = if admitted { 200 } else { refused };
            let status = answer.status().as_u16();
            // Data sources refuse who has no role before they look for a route.
            let early = role == Basic::None && status == 403;
            assert!(
                status == wanted || early,
                "{role:?} {method} {path}: {status}"
            );
            assert_eq!(
                upstream.count() - before,
                usize::from(admitted),
                "{role:?} {method} {path}"
            );
            if admitted {
                assert_eq!(answer.headers()["content-security-policy"], "sandbox");
            }
        }
    }
}

#[tokio::test]
async fn app_requests_are_stripped_and_introduced() {
    let upstream = Upstream::start().await;
    let grafana = grafana(&upstream).await;
    let forged = [
        ("x-grafana-id", "forged"),
        ("x-grafana-user", "admin"),
        ("x-grafana-context", "{}"),
        ("authorization", "Basic eDp5"),
        ("origin", "http://127.0.0.1"),
        ("referer", "http://127.0.0.1/d/x"),
        ("x-forwarded-host", "evil"),
    ];
    let answer = ask(
        &grafana,
        Some("editor"),
        Method::POST,
        "api/plugin-proxy/nms-app/v1/actions/a/b?status=401",
        &forged,
    )
    .await;
    assert_eq!(
        answer.status(),
        StatusCode::UNAUTHORIZED,
        "an app's 401 stays what it is"
    );
    let seen = upstream.last();
    assert_eq!(seen.uri.path(), "/api/v1/actions/a/b");
    let text = |name: &str| {
        seen.headers
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(text("authorization").as_deref(), Some("Bearer s3cret"));
    assert_eq!(text("x-grafana-user"), None);
    assert_eq!(
        text("x-grafana-referer").as_deref(),
        Some("http://127.0.0.1/d/x")
    );
    for gone in ["cookie", "origin", "referer", "x-forwarded-host"] {
        assert_eq!(text(gone), None, "{gone}");
    }
    let context = text("x-grafana-context").unwrap();
    assert!(context.contains("\"Login\":\"editor\""), "{context}");
    let token = text("x-grafana-id").unwrap();
    assert_eq!(token.split('.').count(), 3);
    let signer = grafana.signer();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    use base64::Engine as _;
    let signature = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(signature)
        .unwrap();
    let algorithm = &ring::signature::ECDSA_P256_SHA256_FIXED;
    let key = ring::signature::UnparsedPublicKey::new(algorithm, signer.public());
    key.verify(signed.as_bytes(), &signature).unwrap();
}

#[tokio::test]
async fn source_requests_are_stripped_and_introduced() {
    let upstream = Upstream::start().await;
    let grafana = grafana(&upstream).await;
    let path = "api/datasources/proxy/uid/ctl/v1/devices?status=401";
    let answer = ask(
        &grafana,
        Some("viewer"),
        Method::GET,
        path,
        &[("x-grafana-user", "admin")],
    )
    .await;
    assert_eq!(
        answer.status(),
        StatusCode::BAD_REQUEST,
        "a 401 of a data source becomes a 400"
    );
    let seen = upstream.last().headers;
    assert_eq!(seen["x-grafana-user"], "viewer");
    assert_eq!(seen["authorization"], "Basic Z3JhZmFuYTpwYXNz");
    assert!(seen.contains_key("x-grafana-id") && !seen.contains_key("cookie"));
    let own = [("x-ds-authorization", "Basic bWU6bWU=")];
    ask(&grafana, Some("viewer"), Method::GET, path, &own).await;
    let seen = upstream.last().headers;
    assert_eq!(
        seen["authorization"], "Basic bWU6bWU=",
        "a client may replace Grafana's own login"
    );
    assert!(!seen.contains_key("x-ds-authorization"));
}

#[tokio::test]
async fn actions_are_held_to_methods_and_list() {
    let upstream = Upstream::start().await;
    let grafana = grafana(&upstream).await;
    let action = [("x-grafana-action", "1")];
    for (method, path, wanted) in [
        (
            Method::POST,
            "api/plugin-proxy/nms-app/v1/actions/ping",
            200,
        ),
        (Method::PUT, "api/plugin-proxy/nms-app/v1/actions/ping", 404),
        (Method::GET, "api/plugin-proxy/nms-app/v1/actions/ping", 405),
        (
            Method::DELETE,
            "api/plugin-proxy/nms-app/v1/actions/ping",
            405,
        ),
        (Method::POST, "api/plugin-proxy/nms-app/v1/approvals/7", 405),
        (
            Method::POST,
            "api/datasources/proxy/uid/ctl/v1/actions/ping",
            405,
        ),
    ] {
        let answer = ask(&grafana, Some("admin"), method.clone(), path, &action).await;
        assert_eq!(answer.status().as_u16(), wanted, "{method} {path}");
    }
}

#[tokio::test]
async fn people_log_in_and_their_role_is_that_of_now() {
    let upstream = Upstream::start().await;
    let grafana = grafana(&upstream).await;
    let login = |password: &str| {
        let request = testkit::client().post(format!("{}login", grafana.url()));
        request
            .body(format!(
                "{{\"user\":\"editor\",\"password\":\"{password}\"}}"
            ))
            .send()
    };
    assert_eq!(
        login("wrong").await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
    let answer = login("editor").await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"));
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let path = "api/plugin-proxy/nms-app/v1/actions/ping";
    let headers = [("cookie", cookie.as_str())];
    assert_eq!(
        ask(&grafana, None, Method::POST, path, &headers)
            .await
            .status(),
        StatusCode::OK
    );
    let foreign = [headers[0], ("origin", "https://evil.example.net")];
    assert_eq!(
        ask(&grafana, None, Method::POST, path, &foreign)
            .await
            .status(),
        StatusCode::FORBIDDEN
    );
    grafana.set_role("editor", Basic::Viewer);
    assert_eq!(
        ask(&grafana, None, Method::POST, path, &headers)
            .await
            .status(),
        StatusCode::FORBIDDEN
    );
    assert_eq!(grafana.draft("editor").claims["role"], "Viewer");
}

#[tokio::test]
async fn setup_that_it_would_not_understand_is_refused() {
    let bad = |route: Route| async {
        let app = App {
            routes: vec![route],
            ..App::default()
        };
        let apps = BTreeMap::from([("app".to_owned(), app)]);
        Grafana::start(Setup {
            apps,
            ..Setup::default()
        })
        .await
        .is_err()
    };
    let right = || Route {
        path: "v1/*".to_owned(),
        url: "http://127.0.0.1:1/".to_owned(),
        ..Route::default()
    };
    assert!(!bad(right()).await);
    for path in ["v1/:id", "v1/*/x", "v1*"] {
        assert!(
            bad(Route {
                path: path.to_owned(),
                ..right()
            })
            .await,
            "{path}"
        );
    }
    assert!(
        bad(Route {
            url: "{{ .JsonData.url }}".to_owned(),
            ..right()
        })
        .await
    );
    let actions_allow_post_url = vec!["/api/{a,b}".to_owned()];
    assert!(
        Grafana::start(Setup {
            actions_allow_post_url,
            ..Setup::default()
        })
        .await
        .is_err()
    );
}
