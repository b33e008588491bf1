//! What a service registers while it builds itself.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::Method;

use crate::supervise::Gates;
use crate::web::router::{Handler, Router, Runs};
use crate::{Encoder, Latch, Latency, OnEnd, Request, Response, Spawner, Stop};

/// A source of many series, asked at every scrape.
///
/// It runs on a thread that may block for some milliseconds, never on the main pool; two scrapes never run at the same time.
pub trait Collect: Send + Sync + 'static {
    /// Writes whole families.
    fn collect(&self, out: &mut Encoder);
}

impl<C: Collect> Collect for Arc<C> {
    fn collect(&self, out: &mut Encoder) {
        C::collect(self, out);
    }
}

/// An entry of the landing page.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) path: String,
    pub(crate) title: String,
    pub(crate) text: String,
}

/// The service while it is being built.
pub struct App {
    pub(crate) registry: prometheus::Registry,
    pub(crate) sources: Vec<Arc<dyn Collect>>,
    pub(crate) router: Router,
    pub(crate) links: Vec<Link>,
    pub(crate) gates: Gates,
    pub(crate) spawner: Spawner,
    pub(crate) looks: Vec<Look>,
    pub(crate) wrong_logins: Vec<OnWrongLogin>,
    pub(crate) open_paths: Vec<&'static str>,
    connections: Vec<tokio::runtime::Handle>,
}

/// Somebody who gave a user of the web configuration, or one that is none, and a wrong password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongLogin {
    /// The user, where there is such a one: what else is given may be a password in the wrong place.
    pub user: Option<String>,
    /// Address of the client, `unix` on a unix socket.
    pub peer: String,
}

/// Is notified of a wrong password; it must not block.
pub(crate) type OnWrongLogin = Arc<dyn Fn(WrongLogin) + Send + Sync>;

/// Reads again what a service follows beside its configuration; tells whether it had changed.
pub(crate) type Look =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<bool, String>> + Send>> + Send + Sync>;

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("links", &self.links)
            .finish_non_exhaustive()
    }
}

impl App {
    pub(crate) fn new(
        registry: prometheus::Registry,
        router: Router,
        spawner: Spawner,
        connections: Vec<tokio::runtime::Handle>,
    ) -> Self {
        Self {
            connections,
            registry,
            sources: Vec::new(),
            router,
            links: Vec::new(),
            gates: Gates::default(),
            spawner,
            looks: Vec::new(),
            wrong_logins: Vec::new(),
            open_paths: Vec::new(),
        }
    }

    /// The registry of the service's own metrics.
    #[must_use]
    pub fn registry(&self) -> &prometheus::Registry {
        &self.registry
    }

    /// Adds a source of bulk series to `/metrics`.
    pub fn collect(&mut self, source: impl Collect) {
        self.sources.push(Arc::new(source));
    }

    /// Adds a histogram of the service's own latencies to `/metrics`.
    pub fn latency(&mut self, latency: &Latency) {
        self.sources.push(Arc::new(latency.clone()));
    }

    /// Answers `path` with `handler`, which runs on the main pool within the request timeout.
    ///
    /// A segment `{name}` matches any one segment; [`Request::param`] gives it. `HEAD` comes with `GET`. The pattern, not the path asked
    /// for, is the label in the metrics. A path that is taken already fails the start of the service.
    pub fn route<H, F>(&mut self, method: Method, path: &'static str, handler: H)
    where
        H: Fn(Request) -> F + Send + Sync + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        self.add_route(method, path, handler, Runs::Pool);
    }

    /// As [`route`](Self::route), with a handler that runs on the thread which carries the connection: for answers that take less time than
    /// the way to another thread and back. It never computes for more than some milliseconds at a time, and what it waits for had better be
    /// driven by the same event loop, one of [`connections`](Self::connections).
    pub fn route_on_connection<H, F>(&mut self, method: Method, path: &'static str, handler: H)
    where
        H: Fn(Request) -> F + Send + Sync + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        self.add_route(method, path, handler, Runs::Connection);
    }

    fn add_route<H, F>(&mut self, method: Method, path: &'static str, handler: H, runs: Runs)
    where
        H: Fn(Request) -> F + Send + Sync + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |request| Box::pin(handler(request)));
        self.router.add(method, path, handler, runs);
    }

    /// The event loops of the [threads that carry connections](crate::Service::connection_threads).
    #[must_use]
    pub fn connections(&self) -> &[tokio::runtime::Handle] {
        &self.connections
    }

    /// Adds an entry to the landing page.
    pub fn link(
        &mut self,
        path: impl Into<String>,
        title: impl Into<String>,
        text: impl Into<String>,
    ) {
        self.links.push(Link {
            path: path.into(),
            title: title.into(),
            text: text.into(),
        });
    }

    /// Lets whoever gives no password read health, readiness, metrics and what stands below these paths (`/sd/`), although the web
    /// configuration has users: they are there for changes. A password that is given must be right.
    pub fn open_to_readers(&mut self, below: &[&'static str]) {
        self.open_paths = ["/-/healthy", "/-/ready"].into_iter().collect();
        self.open_paths.extend(below);
    }

    /// Adds what `/-/reload` reads again beside the configuration: `look` tells whether it had changed, or what is wrong with it, which
    /// is then the answer.
    pub fn reload<H, F>(&mut self, look: H)
    where
        H: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<bool, String>> + Send + 'static,
    {
        self.looks.push(Arc::new(move || Box::pin(look())));
    }

    /// Calls `notify`, which must not block, for every login with a wrong password.
    pub fn wrong_logins(&mut self, notify: impl Fn(WrongLogin) + Send + Sync + 'static) {
        self.wrong_logins.push(Arc::new(notify));
    }

    /// Adds a condition of readiness, closed at first.
    pub fn gate(&mut self, name: &str) -> Latch {
        self.gates.add(name)
    }

    /// Adds a supervised task. It starts when the service is built; `make` is called again for each restart.
    pub fn spawn<F, M>(&mut self, name: &'static str, policy: OnEnd, make: M)
    where
        M: Fn(Stop) -> F + Send + 'static,
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.spawner.spawn(name, policy, make);
    }

    /// Starts supervised tasks later, from inside other tasks.
    #[must_use]
    pub fn spawner(&self) -> Spawner {
        self.spawner.clone()
    }
}
