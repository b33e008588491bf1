//! From method and path to a handler.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::Method;

use super::request::decode;
use super::{Request, Response};

/// A handler of the service.
pub(crate) type Handler =
    Arc<dyn Fn(Request) -> Pin<Box<dyn Future<Output = Response> + Send>> + Send + Sync>;

/// A page that the toolkit answers itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    Landing,
    Metrics,
    Healthy,
    Ready,
    Reload,
    Config,
}

/// Who answers a route.
#[derive(Clone)]
pub(crate) enum Answer {
    Page(Page),
    Service(Handler, Runs),
}

/// Where a handler runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runs {
    /// On the main pool.
    Pool,
    /// On the thread that carries the connection.
    Connection,
}

struct Route {
    method: Method,
    pattern: String,
    answer: Answer,
}

/// Every route; few enough to be compared one after the other.
#[derive(Default)]
pub(crate) struct Router {
    routes: Vec<Route>,
    clashes: Vec<String>,
}

/// What a request leads to.
pub(crate) enum Found<'a> {
    Route {
        pattern: &'a str,
        answer: Answer,
        params: HashMap<String, String>,
    },
    WrongMethod {
        pattern: &'a str,
        allow: String,
    },
    Nothing,
}

impl<'a> Found<'a> {
    /// The label of the route in metrics and traces, and whether the toolkit answers it itself.
    pub(crate) fn route(&self) -> (&'a str, bool) {
        match self {
            Self::Route {
                pattern, answer, ..
            } => (pattern, matches!(answer, Answer::Page(_))),
            Self::WrongMethod { pattern, .. } => (pattern, true),
            Self::Nothing => ("other", true),
        }
    }
}

impl Router {
    /// The pages of the toolkit.
    pub(crate) fn new(telemetry: &str) -> Self {
        let mut router = Self::default();
        for (method, path, page) in [
            (Method::GET, "/", Page::Landing),
            (Method::GET, telemetry, Page::Metrics),
            (Method::GET, "/-/healthy", Page::Healthy),
            (Method::GET, "/-/ready", Page::Ready),
            (Method::POST, "/-/reload", Page::Reload),
            (Method::PUT, "/-/reload", Page::Reload),
            (Method::GET, "/config", Page::Config),
        ] {
            router.push(method, path.to_owned(), Answer::Page(page));
        }
        router
    }

    pub(crate) fn add(&mut self, method: Method, path: &'static str, handler: Handler, runs: Runs) {
        self.push(method, path.to_owned(), Answer::Service(handler, runs));
    }

    fn push(&mut self, method: Method, pattern: String, answer: Answer) {
        let taken = self
            .routes
            .iter()
            .any(|route| route.method == method && route.pattern == pattern);
        if taken || !pattern.starts_with('/') {
            self.clashes.push(format!("{method} {pattern}"));
        } else {
            self.routes.push(Route {
                method,
                pattern,
                answer,
            });
        }
    }

    /// Method and path of every route of the service's own.
    pub(crate) fn own(&self) -> impl Iterator<Item = (&Method, &str)> {
        let own = self.routes.iter();
        own.filter(|route| matches!(route.answer, Answer::Service(..)))
            .map(|route| (&route.method, route.pattern.as_str()))
    }

    /// Routes that were registered twice or do not begin with a slash.
    pub(crate) fn clashes(&self) -> &[String] {
        &self.clashes
    }

    pub(crate) fn find(&self, method: &Method, path: &str) -> Found<'_> {
        let wanted = if *method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let mut allow: Vec<&str> = Vec::new();
        let mut first = None;
        for route in &self.routes {
            let Some(params) = matched(&route.pattern, path) else {
                continue;
            };
            if route.method == *wanted {
                let params = params
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect();
                return Found::Route {
                    pattern: &route.pattern,
                    answer: route.answer.clone(),
                    params,
                };
            }
            first = first.or(Some(route.pattern.as_str()));
            allow.push(route.method.as_str());
            if route.method == Method::GET {
                allow.push("HEAD");
            }
        }
        first.map_or(Found::Nothing, |pattern| Found::WrongMethod {
            pattern,
            allow: allow.join(", "),
        })
    }
}

/// The parameters when the path matches the pattern segment by segment.
fn matched<'p>(pattern: &'p str, path: &str) -> Option<Vec<(&'p str, String)>> {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    let mut params = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(params),
            (Some(want), Some(have)) => match want
                .strip_prefix('{')
                .and_then(|rest| rest.strip_suffix('}'))
            {
                Some(name) if !have.is_empty() => params.push((name, decode(have))),
                None if want == have => {}
                _ => return None,
            },
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router() -> Router {
        let mut router = Router::new("/metrics");
        let handler: Handler = Arc::new(|_| {
            Box::pin(async { super::super::response::text(http::StatusCode::OK, "") })
        });
        router.add(Method::GET, "/sd/{job}", Arc::clone(&handler), Runs::Pool);
        router.add(Method::GET, "/sd/{job}/{part}", handler, Runs::Pool);
        router
    }

    #[test]
    fn segments_match_whole() {
        let router = router();
        for (path, wanted) in [
            ("/sd/ping", "/sd/{job}"),
            ("/sd/a/b", "/sd/{job}/{part}"),
            ("/sd/", "other"),
            ("/sd", "other"),
            ("/sd/a/b/c", "other"),
            ("//", "other"),
        ] {
            assert_eq!(router.find(&Method::GET, path).route().0, wanted, "{path}");
        }
        let Found::Route { params, .. } = router.find(&Method::HEAD, "/sd/a%2Fb/c") else {
            panic!("no route")
        };
        assert_eq!(
            (params["job"].as_str(), params["part"].as_str()),
            ("a/b", "c")
        );
    }

    #[test]
    fn route_that_is_taken_is_told() {
        let mut router = router();
        let handler: Handler = Arc::new(|_| {
            Box::pin(async { super::super::response::text(http::StatusCode::OK, "") })
        });
        router.add(Method::GET, "/metrics", Arc::clone(&handler), Runs::Pool);
        router.add(Method::GET, "no-slash", handler, Runs::Pool);
        assert_eq!(router.clashes(), ["GET /metrics", "GET no-slash"]);
    }
}
