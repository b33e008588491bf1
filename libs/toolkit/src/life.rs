//! The life of a service, from flags to exit code.

mod drain;
mod files;
mod notify;
mod reload;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use crate::metrics::Metrics;
use crate::trace::Exporter;
use crate::web::dispatch::Site;
use crate::web::incoming::Bodies;
use crate::web::limits::{Limits, Places};
use crate::web::listen::{self, Bound};
use crate::web::live_config::LoadedWebConfig;
use crate::web::router::Router;
use crate::web::scrape::Scrape;
use crate::web::serve::Server;
use crate::web::workers::Workers;
use crate::{
    App, BadInput, Configuration as _, Flags, Live, Service, Spawner, flags, supervise, trace,
};

use reload::{Loaded, Paths, Reloader};

/// Exit code for flags or a configuration that are not right: EX_USAGE of sysexits(3).
const USAGE: u8 = 64;
/// Time for the last spans after the drain.
const LAST_SPANS: std::time::Duration = std::time::Duration::from_secs(3);

impl BadInput {
    /// Says what is wrong, as of flags and configuration; answers their exit code.
    fn told(&self) -> ExitCode {
        let _ = writeln!(std::io::stderr(), "error: {}", self.0);
        ExitCode::from(USAGE)
    }
}

/// Runs a service: the whole body of its `main`.
///
/// Exit code 0 after a requested stop, 1 when it failed, 64 when flags or configuration are wrong.
#[must_use]
pub fn main<S: Service>() -> ExitCode {
    main_from::<S>(std::env::args_os(), |_| {})
}

/// As [`main`], with a command line that the service has rewritten: for one that takes another program's flags. What has no flag of ours
/// is put by `amend` into fields that clap skips.
#[must_use]
pub fn main_from<S: Service>(
    args: impl IntoIterator<Item = OsString>,
    amend: impl FnOnce(&mut S::Flags),
) -> ExitCode {
    let read = flags::read::<S>(args).map(|(flags, mut own)| {
        amend(&mut own);
        (flags, own)
    });
    let (flags, own) = match read {
        Ok(read) => read,
        Err(error) => {
            let code = if error.use_stderr() { USAGE } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    if let Some(text) = S::print(&own).filter(|_| !flags.config_print_default) {
        let written = std::io::stdout().write_all(text.as_bytes());
        return ExitCode::from(u8::from(written.is_err()));
    }
    if flags.config_print_default {
        let _ = std::io::stdout().write_all(S::Config::DEFAULT.as_bytes());
        return ExitCode::SUCCESS;
    }
    keep_private();
    // Clients of the service take the process' provider of cryptography; with one named nothing is left to guess. An error says that
    // there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let paths = Paths {
        config: flags.config_file.clone(),
        web: flags.web_config_file.clone(),
        may_be_empty: flags.web_allow_empty_config,
    };
    let (config, web_config) = match (paths.load::<S>(&own), paths.load_web(None)) {
        (Ok(config), Ok(web_config)) => (config, web_config),
        (config, web_config) => {
            for error in [config.err(), web_config.err()].into_iter().flatten() {
                let _ = writeln!(std::io::stderr(), "error: {error}");
            }
            return ExitCode::from(USAGE);
        }
    };
    if flags.config_check {
        match S::check(&own, &config.value) {
            Ok(None) => {}
            Ok(Some(line)) => {
                let _ = writeln!(std::io::stdout(), "{line}");
            }
            Err(bad) => return bad.told(),
        }
        let names = [paths
            .config
            .as_deref()
            .unwrap_or(Path::new("built-in default"))];
        for name in names.into_iter().chain(paths.web.as_deref()) {
            let _ = writeln!(std::io::stdout(), "{}: good", name.display());
        }
        return ExitCode::SUCCESS;
    }
    match live::<S>(&flags, own, paths, config, web_config) {
        Ok(code) => code,
        Err(error) => {
            if let Some(bad) = error.downcast_ref::<BadInput>() {
                return bad.told();
            }
            // The log may not have been started yet, and an error before it must be seen too.
            let _ = start_log(&flags, None);
            tracing::error!(error = format!("{error:#}"), "service failed");
            ExitCode::FAILURE
        }
    }
}

fn start_log(flags: &Flags, exporter: Option<&Exporter>) -> Result<(), TryInitError> {
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        // A log on a full disk is no reason to end: telling of it on the same stream would be one.
        .log_internal_errors(false)
        .event_format(crate::log::Lines(flags.log_format))
        .fmt_fields(crate::log::Rendered(flags.log_format))
        .with_filter(flags.log_level.targets());
    let subscriber = tracing_subscriber::registry()
        .with(exporter.map(trace::layer))
        .with(lines);
    subscriber.try_init()?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let reason = supervise::panic_text(panic.payload());
        tracing::error!(place, reason, "panicked");
    }));
    Ok(())
}

fn pool(name: &'static str, threads: Option<usize>) -> std::io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    if let Some(threads) = threads {
        builder.worker_threads(threads);
    }
    builder.thread_name(name).enable_all().build()
}

fn live<S: Service>(
    flags: &Flags,
    own: S::Flags,
    paths: Paths,
    config: Loaded<S::Config>,
    web_config: Loaded<LoadedWebConfig>,
) -> anyhow::Result<ExitCode> {
    let identity = S::IDENTITY;
    let registry = prometheus::Registry::new();
    // The web pool outlives the main one, so that health is answered to the end.
    let web = pool("web", Some(2)).context("threads of the web server cannot be started")?;
    let workers = Workers::start(S::connection_threads())
        .context("threads for connections cannot be started")?;
    let main = pool("main", None).context("threads of the main pool cannot be started")?;
    let exporter = {
        let _inside = web.enter();
        match Exporter::start(&identity, &registry) {
            Ok(exporter) => exporter,
            Err(error) => {
                let _ = writeln!(std::io::stderr(), "error: {error:#}");
                return Ok(ExitCode::from(USAGE));
            }
        }
    };
    start_log(flags, exporter.as_ref())?;
    let metrics = Arc::new(Metrics::new(&registry, &identity)?);
    let (reloader, config) =
        Reloader::start(paths, own.clone(), config, web_config, Arc::clone(&metrics));
    let reloader = Arc::new(reloader);
    let bound = listen::bind_all(&flags.listen(&identity))?;
    // Before the service writes anything: on a full disk there may be room for this alone.
    let port_file = PortFile::write(flags, &bound)?;
    let (spawner, failures) = Spawner::new(main.handle().clone(), &registry)?;
    let ended = web.block_on(async {
        let mut signals = drain::Signals::new().context("signals cannot be caught")?;
        let app = App::new(
            registry,
            Router::new(&flags.web_telemetry_path),
            spawner.clone(),
            workers.handles().to_vec(),
        );
        let build = main.spawn(build::<S>(own, config, app));
        let app = tokio::select! {
            built = build => built.context("the service panicked while it was built")??,
            () = signals.stop() => return Ok(true),
        };
        let server = serve::<S>(flags, app, &metrics, &reloader, (&main, workers), bound)?;
        if let Some(file) = port_file {
            file.show()?;
        }
        spawner.start();
        let notify = notify::Notify::from_environment(|name| std::env::var_os(name));
        notify.ready();
        let stopped = async {
            let asked = drain::until_asked(flags, &mut signals, failures, &reloader).await;
            notify.stopping();
            drain::drain(flags, &mut signals, asked, &server, &spawner).await
        };
        tokio::select! {
            ended = stopped => ended,
            () = notify.keep_alive(main.handle()) => Ok(false),
        }
    });
    if let Some(exporter) = exporter {
        exporter.finish(LAST_SPANS);
    }
    main.shutdown_background();
    web.shutdown_background();
    Ok(if ended? {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What the process writes, and what it starts writes, is for its user to change and for its group to read: queues, journals and archives
/// hold what others must not see. A umask that takes more stays.
fn keep_private() {
    use nix::sys::stat::{Mode, umask};
    let mask = Mode::S_IWGRP | Mode::S_IRWXO;
    let before = umask(mask);
    umask(before | mask);
}

async fn build<S: Service>(
    own: S::Flags,
    config: Live<S::Config>,
    mut app: App,
) -> anyhow::Result<App> {
    S::build(own, config, &mut app).await?;
    Ok(app)
}

/// Puts the built service behind the bound sockets.
fn serve<S: Service>(
    flags: &Flags,
    app: App,
    metrics: &Arc<Metrics>,
    reloader: &Arc<Reloader<S>>,
    (main, workers): (&Runtime, Workers),
    bound: Vec<Bound>,
) -> anyhow::Result<Server> {
    let App {
        registry,
        mut sources,
        router,
        links,
        gates,
        looks,
        wrong_logins,
        open_paths,
        ..
    } = app;
    anyhow::ensure!(
        router.clashes().is_empty(),
        "routes are taken or wrong: {}",
        router.clashes().join(", ")
    );
    for (method, path) in router.own() {
        tracing::debug!(method = method.as_str(), path, "route");
    }
    sources.push(Arc::new(crate::process::Process));
    sources.push(Arc::new(crate::vault::Series));
    sources.push(Arc::new(metrics.request_seconds.clone()));
    let site = Site {
        identity: S::IDENTITY,
        telemetry: flags.web_telemetry_path.clone(),
        links,
        router,
        scrape: Arc::new(Scrape::new(registry, sources, Arc::clone(metrics))),
        gates,
        control: Arc::clone(reloader) as Arc<_>,
        reloading: Arc::default(),
        looks,
        wrong_logins,
        open_paths,
        web_config: reloader.web_config(),
        metrics: Arc::clone(metrics),
        limits: Limits::new(flags),
        places: Places::new(flags),
        bodies: Bodies::new(flags.web_max_body_bytes),
        pool: main.handle().clone(),
        draining: AtomicBool::new(false),
    };
    let server = Server::new(Arc::new(site), workers);
    let addresses: Vec<String> = bound.iter().map(ToString::to_string).collect();
    for socket in bound {
        server
            .listen(socket)
            .context("a listening socket cannot be used")?;
    }
    for address in &addresses {
        tracing::info!(
            address,
            service = S::IDENTITY.name,
            version = S::IDENTITY.version,
            "listening"
        );
    }
    Ok(server)
}

/// The file with the first address, written beside its place until the service listens, so that a reader sees all of it or nothing.
struct PortFile {
    path: PathBuf,
    beside: PathBuf,
}

impl PortFile {
    fn write(flags: &Flags, bound: &[Bound]) -> anyhow::Result<Option<Self>> {
        let (Some(path), Some(first)) = (&flags.web_port_file, bound.first()) else {
            return Ok(None);
        };
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let (path, beside) = (path.clone(), PathBuf::from(beside));
        std::fs::write(&beside, format!("{first}\n"))
            .with_context(|| format!("port file {} cannot be written", path.display()))?;
        Ok(Some(Self { path, beside }))
    }

    fn show(self) -> anyhow::Result<()> {
        std::fs::rename(&self.beside, &self.path)
            .with_context(|| format!("port file {} cannot be written", self.path.display()))
    }
}

impl Server {
    fn not_ready(&self) {
        self.site().draining.store(true, Ordering::Release);
    }
}
