//! The service: configuration, routes, own metrics.

mod coalesce;
mod gzip;
mod page;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::Context as _;
use http::{Method, StatusCode};
use toolkit::web::response;
use toolkit::{App, ConfigError, Configuration, Format, Identity, Live, OnEnd, Request, Response};

use crate::budget::Budget;
use crate::config::{self, Options};
use crate::engine::{Engine, Settings};
use crate::flags::{Failure, Flags, Partial, time_allowed};
use crate::gate::Gate;
use crate::metrics::Metrics;
use crate::probe::{self, Answer, Ask, Memory, Prober, Ready, Rules};
use crate::traps::{Receiver, TrapMetrics, lines};
use crate::usm::own;
use coalesce::Coalesce;

/// The SNMP exporter.
#[derive(Debug)]
pub struct Service;

/// The configuration, with everything worked out from it.
#[derive(Debug)]
pub struct Checked(Arc<Ready>);

static GENERATION: AtomicU64 = AtomicU64::new(0);

impl Configuration for Checked {
    const DEFAULT: &'static str = config::BUILT_IN;

    fn masked(&self) -> String {
        self.0.config.masked()
    }

    fn files(&self) -> Vec<PathBuf> {
        self.0.config.files.clone()
    }
}

/// What a request needs.
struct Shared {
    live: Live<Checked>,
    prober: Prober,
    rules: Rules,
    offset: f64,
    debug: bool,
    coalesce: Coalesce,
}

impl Shared {
    async fn scrape(
        &self,
        ready: &Arc<Ready>,
        ask: &Ask,
        rules: Rules,
        gzip: bool,
        deadline: Instant,
    ) -> Answer {
        let in_flight = &self.prober.metrics.in_flight;
        in_flight.inc();
        let answer = probe::run(&self.prober, ready, ask, rules, gzip, deadline).await;
        in_flight.dec();
        for failure in &answer.failures {
            tracing::info!(
                target = ask.target,
                module = failure.module,
                root = failure.root,
                reason = failure.reason.name(),
                "scrape failed"
            );
        }
        if self.debug {
            tracing::debug!(
                target = ask.target,
                status = answer.status,
                seconds = answer.took.as_secs_f64(),
                "scrape ended"
            );
        }
        answer
    }
}

impl toolkit::Service for Service {
    const IDENTITY: Identity = Identity {
        name: "sotp-snmp",
        title: "SNMP",
        about: "Asks devices over SNMP and exports what snmp.yml says, a drop-in for snmp_exporter",
        port: 19116,
        version: env!("CARGO_PKG_VERSION"),
        docs: "docs/snmp.md",
    };
    type Flags = Flags;
    type Config = Checked;

    fn configure(flags: &Flags, text: &str, origin: &Path) -> Result<Checked, ConfigError> {
        let options = Options {
            expand_environment: flags.expand_environment,
            mib_folders: &flags.mib_dir,
        };
        let config =
            config::read(text, origin, &flags.further_files, options).map_err(|error| {
                ConfigError {
                    origin: error.origin,
                    place: error.place,
                    path: None,
                    message: error.message,
                }
            })?;
        Ok(Checked(Arc::new(Ready::new(
            config,
            GENERATION.fetch_add(1, Ordering::Relaxed),
        ))))
    }

    fn connection_threads() -> usize {
        std::thread::available_parallelism().map_or(2, usize::from)
    }

    async fn build(flags: Flags, config: Live<Checked>, app: &mut App) -> anyhow::Result<()> {
        let max_memory = usize::try_from(flags.max_memory.0).unwrap_or(usize::MAX);
        let budget = Budget::new(max_memory);
        let settings = Settings {
            source: flags.source_address,
            window: flags.window.into(),
            budget: budget.clone(),
        };
        let gate = gate(&flags, app).await?;
        let engine = Engine::start_on(settings, app.connections())
            .context("SNMP sockets cannot be bound")?;
        let metrics = Metrics::new(app.registry())?;
        metrics.restricted.set(i64::from(gate.restricts()));
        metrics.modules(config.current().0.config.modules.keys());
        for pattern in &config.current().0.config.unmatched {
            tracing::warn!(pattern, "no file matches --config.file");
        }
        let rules = Rules {
            strict: flags.strict,
            wrap: flags.wrap_large_counters,
            refuse_partial: flags.partial == Partial::Refuse,
            failure_as_series: flags.failure == Failure::Series,
            show_modules: false,
            keep: flags.keep_columns,
            carry: flags.carry_counters,
            protobuf: false,
        };
        let memory = Arc::<Memory>::default();
        app.collect(page::Remembered {
            engine: engine.clone(),
            memory: Arc::clone(&memory),
            budget: (budget.clone(), max_memory),
        });
        if let Some(address) = flags.traps_listen_address {
            receive_traps(address, &flags, &config, app)?;
        }
        let shared = Arc::new(Shared {
            live: config,
            prober: Prober {
                engine,
                memory,
                metrics,
                gate,
                budget,
            },
            rules,
            offset: flags.timeout_offset,
            debug: flags.debug_packets,
            coalesce: Coalesce::default(),
        });
        let of_form = Arc::clone(&shared);
        app.route_on_connection(Method::GET, "/snmp", move |request| {
            snmp(Arc::clone(&shared), request)
        });
        app.route(Method::GET, "/form", move |_| {
            std::future::ready(page::form(&of_form.live.current().0.config))
        });
        app.link("/form", "Scrape", "Ask one device by hand");
        Ok(())
    }
}

/// Who may be asked: the devices of the inventory, where one is named, and networks.
async fn gate(flags: &Flags, app: &mut App) -> anyhow::Result<Gate> {
    let devices = match flags.devices.given() {
        Some(_) => Some(flags.devices.follow(app).await?),
        None => None,
    };
    let gate = Gate::new(devices, flags.targets.clone(), flags.any_target);
    if !gate.restricts() {
        tracing::warn!(
            "whoever reaches this port can have the credentials of snmp.yml sent to any address: name --inventory.source or --snmp.targets"
        );
    }
    Ok(gate)
}

/// Binds the trap port and takes what comes.
fn receive_traps(
    address: SocketAddr,
    flags: &Flags,
    config: &Live<Checked>,
    app: &mut App,
) -> anyhow::Result<()> {
    let socket = std::net::UdpSocket::bind(address)
        .with_context(|| format!("trap address {address} cannot be bound"))?;
    socket.set_nonblocking(true)?;
    let socket = Arc::new(tokio::net::UdpSocket::from_std(socket)?);
    tracing::info!(address = %socket.local_addr()?, "receiving traps");
    let engine = flags
        .traps_engine_id
        .clone()
        .map_or_else(own::Engine::random, |identity| own::Engine::new(identity.0));
    let lines = lines::start(&flags.lines, app)?;
    let receiver = Arc::new(Receiver::new(
        TrapMetrics::new(app.registry())?,
        engine,
        lines,
    ));
    let config = config.clone();
    app.spawn("traps", OnEnd::Restart, move |stop| {
        let (socket, receiver, config) =
            (Arc::clone(&socket), Arc::clone(&receiver), config.clone());
        async move {
            receiver
                .run(&socket, || Arc::clone(&config.current().0), stop)
                .await
        }
    });
    Ok(())
}

async fn snmp(shared: Arc<Shared>, request: Request) -> Response {
    let ready = Arc::clone(&shared.live.current().0);
    let strict = shared.rules.strict || ready.config.strict;
    let ask = match Ask::read(request.query_pairs())
        .and_then(|ask| ask.check(&ready, strict).map(|()| ask))
    {
        Ok(ask) => ask,
        Err(refusal) => {
            shared.prober.metrics.request_errors.inc();
            return response::text(StatusCode::BAD_REQUEST, refusal.to_string());
        }
    };
    let deadline = Instant::now()
        + time_allowed(
            request.header("x-prometheus-scrape-timeout-seconds"),
            shared.offset,
        );
    let gzip = gzip::wanted(request.header("accept-encoding"));
    let protobuf = Format::wanted(request.headers()) == Format::Protobuf;
    let rules = Rules {
        protobuf,
        ..shared.rules
    };
    let scrape = {
        let (shared, ready, ask) = (Arc::clone(&shared), Arc::clone(&ready), ask.clone());
        move || async move { shared.scrape(&ready, &ask, rules, gzip, deadline).await }
    };
    if strict {
        return gzip::respond(&scrape().await);
    }
    let key = (ready.generation, (gzip, protobuf), ask);
    let shares = &shared.prober.metrics.coalesced;
    let answer = shared.coalesce.run(key, deadline, shares, scrape).await;
    gzip::respond(&answer)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// `SOTP_UPDATE=1` writes it anew.
    #[test]
    fn the_reference_page_is_written_from_the_code() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let golden =
            |file: &str| std::fs::read_to_string(package.join("tests/golden").join(file)).unwrap();
        let (own, scrape) = (golden("metrics.txt"), golden("metrics-snmp.txt"));
        let page = toolkit::reference::page::<super::Service>(
            None,
            &[("Series", &own), ("Series of a scrape", &scrape)],
        );
        testkit::golden::hold(&package.join("../../docs/reference/snmp.md"), &page);
    }
}
