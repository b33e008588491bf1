//! `/probe`: the answer blackbox_exporter's `icmp` prober would give, by parameters, deadline and metric names.
//!
//! A target that is followed anyway is answered from what is known of it, without a packet; any other one is sent one
//! request.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use hickory_resolver::TokioResolver;
use netio::option::Family;
use toolkit::http::StatusCode;
use toolkit::prometheus::{IntCounterVec, Opts, Registry};
use toolkit::{Live, Request, Response, web};

use crate::config::{Config, Dns, Module};
use crate::echo::{self, Mode};
use crate::resolve;
use crate::targets::{Row, View};

mod fresh;
mod page;

use page::{Outcome, Report};

/// Longest interval of a target whose last result is an answer to "now".
const FRESH: u64 = 15_000_000_000;
/// The module when the request names none.
const DEFAULT_MODULE: &str = "icmp";
/// The same for whoever expects blackbox_exporter.
const PEER_MODULE: &str = "http_2xx";
/// The deadline of the scraper in seconds.
const TIMEOUT_HEADER: &str = "x-prometheus-scrape-timeout-seconds";

/// Answers `/probe`.
pub struct Prober {
    view: Arc<ArcSwap<View>>,
    config: Live<Config>,
    mode: Mode,
    /// Taken off the scrape's own timeout, so that the answer arrives within it.
    offset: Duration,
    resolver: Mutex<Option<(Dns, Arc<TokioResolver>)>>,
    answered: IntCounterVec,
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    target: String,
    module: String,
    debug: bool,
    /// The scraper's deadline, when it says one.
    timeout: Option<Duration>,
}

impl Asked {
    /// `lenient`: as blackbox_exporter, which passes over what it does not know and has another module by default.
    fn read(request: &Request, lenient: bool) -> Result<Self, String> {
        let (mut targets, mut modules, mut debug) = (Vec::new(), Vec::new(), false);
        for (name, value) in request.query_pairs() {
            match name.as_str() {
                "target" => targets.push(value),
                "module" => modules.push(value),
                "debug" => debug = value == "true",
                _ if lenient => {}
                other => {
                    return Err(format!(
                        "Unknown parameter {other:?}, expected target, module or debug"
                    ));
                }
            }
        }
        if targets.len() > 1 || modules.len() > 1 {
            return Err("target and module may be given once".into());
        }
        let target = targets.pop().filter(|target| !target.is_empty());
        let timeout = request
            .header(TIMEOUT_HEADER)
            .map(|text| {
                let seconds: Option<f64> = text.parse().ok().filter(|&seconds| seconds > 0.0);
                let timeout = seconds.and_then(|s| Duration::try_from_secs_f64(s).ok());
                timeout.ok_or_else(|| {
                    format!("X-Prometheus-Scrape-Timeout-Seconds: {text:?}, expected seconds")
                })
            })
            .transpose()?;
        Ok(Self {
            target: target.ok_or("Target parameter is missing")?,
            module: modules.pop().unwrap_or_else(|| {
                let default = if lenient { PEER_MODULE } else { DEFAULT_MODULE };
                default.into()
            }),
            debug,
            timeout,
        })
    }

    /// How long the probe may take.
    fn limit(&self, module: &Module, offset: Duration) -> Duration {
        let scrape = self.timeout.and_then(|timeout| timeout.checked_sub(offset));
        scrape.map_or(module.timeout, |scrape| scrape.min(module.timeout))
    }
}

impl Prober {
    /// Answers for the targets in `view` and others, the latter through sockets of `mode`, `offset` before the scraper gives up.
    ///
    /// # Errors
    /// Its metrics are registered already.
    pub fn new(
        view: Arc<ArcSwap<View>>,
        config: Live<Config>,
        mode: Mode,
        offset: Duration,
        registry: &Registry,
    ) -> Result<Self, toolkit::prometheus::Error> {
        let answered = IntCounterVec::new(
            Opts::new(
                "ping_probes_total",
                "Requests of /probe: answered from the targets being followed, by a request of their own, or refused.",
            ),
            &["answer"],
        )?;
        for answer in ["followed", "own_request", "bad_request", "unknown_module"] {
            answered.with_label_values(&[answer]);
        }
        registry.register(Box::new(answered.clone()))?;
        Ok(Self {
            view,
            config,
            mode,
            offset,
            resolver: Mutex::default(),
            answered,
        })
    }

    /// Answers one request: 200 with `probe_success` when it was a question, else 400.
    pub async fn answer(&self, request: Request) -> Response {
        let refuse = |answer, why: String| {
            self.answered.with_label_values(&[answer]).inc();
            web::response::text(StatusCode::BAD_REQUEST, why)
        };
        let config = self.config.current();
        let peer = config.peer.as_ref();
        let asked = match Asked::read(&request, peer.is_some()) {
            Ok(asked) => asked,
            Err(why) => return refuse("bad_request", why),
        };
        let Some(module) = config.modules.get(&asked.module) else {
            let foreign = peer.and_then(|peer| peer.foreign.get(&asked.module));
            let why = match foreign {
                Some(prober) => format!(
                    "Module {:?} is of prober {prober}, expected one of icmp",
                    asked.module
                ),
                None => format!("Unknown module {:?}", asked.module),
            };
            return refuse("unknown_module", why);
        };
        let mut report = Report::new(&asked.target, &asked.module, module);
        let began = Instant::now();
        let limit = asked.limit(module, self.offset);
        report.say(format!("probe begins, limit {} s", limit.as_secs_f64()));
        let mut outcome = Outcome::default();
        let probe = self.probe(
            &asked,
            module,
            &config,
            began + limit,
            &mut outcome,
            &mut report,
        );
        if tokio::time::timeout(limit, probe).await.is_err() {
            report.say("no answer in time");
        }
        outcome.took = began.elapsed();
        let verdict = if outcome.success {
            "succeeded"
        } else {
            "failed"
        };
        report.say(format!(
            "probe {verdict} after {} s",
            outcome.took.as_secs_f64()
        ));
        report.answer(&outcome, asked.debug)
    }

    async fn probe(
        &self,
        asked: &Asked,
        module: &Module,
        config: &Config,
        deadline: Instant,
        outcome: &mut Outcome,
        report: &mut Report<'_>,
    ) {
        let began = Instant::now();
        let view = self.view.load_full();
        let target = match known(&view, &asked.target, module) {
            Some(target) => Ok(target),
            None => self
                .resolve(&asked.target, module, &config.dns, report)
                .await
                .map(|address| (address, 0)),
        };
        outcome.lookup = began.elapsed();
        let (address, interface) = match target {
            Ok(target) => target,
            Err(why) => {
                report.say(format!("no address: {why}"));
                self.answered.with_label_values(&["own_request"]).inc();
                return;
            }
        };
        outcome.address = Some(address);
        outcome.resolve = outcome.lookup;
        report.say(format!("address {address}"));
        let mut rows = view.at(address);
        let row = rows.find(|row| {
            fits(row, module)
                && scope_of(address, row.spec.profile.out.interface) == scope_of(address, interface)
        });
        // One that is down is asked anew: what is remembered on the way of the requests that follow it may be what is wrong.
        if let Some(failures) = row.and_then(|row| from_followed(row, outcome))
            && outcome.success
        {
            report.say("answered from what is known of this target, which is probed all the time");
            if failures > 0 {
                report.say(format!("its last requests failed: {failures} in a row"));
            }
            self.answered.with_label_values(&["followed"]).inc();
            return;
        }
        self.answered.with_label_values(&["own_request"]).inc();
        let size = module.size.unwrap_or(config.probe.size);
        let to = echo::destination(address, interface);
        match fresh::echo(to, self.mode, module, size, deadline, outcome).await {
            Ok(()) => report.say("reply received"),
            Err(error) => report.say(format!("{error:#}")),
        }
    }

    async fn resolve(
        &self,
        name: &str,
        module: &Module,
        dns: &Dns,
        report: &mut Report<'_>,
    ) -> anyhow::Result<IpAddr> {
        let resolver = {
            let mut kept = self.resolver.lock().unwrap_or_else(PoisonError::into_inner);
            match &*kept {
                Some((of, resolver)) if of == dns => Arc::clone(resolver),
                _ => {
                    let resolver = Arc::new(resolve::build(dns)?);
                    *kept = Some((dns.clone(), Arc::clone(&resolver)));
                    resolver
                }
            }
        };
        resolve::first(&resolver, name, families(module), |family, why| {
            report.say(format!("{family:?}: {why}"));
        })
        .await
    }
}

/// The families to try, in order.
fn families(module: &Module) -> impl Iterator<Item = Family> {
    let other = match module.preferred {
        Family::V4 => Family::V6,
        Family::V6 => Family::V4,
    };
    [Some(module.preferred), module.fallback.then_some(other)]
        .into_iter()
        .flatten()
}

/// The address of a target given as number, or by a name that is followed, and the number of the interface that it is on, 0 for any.
fn known(view: &View, target: &str, module: &Module) -> Option<(IpAddr, u32)> {
    if let Ok(address) = target.parse() {
        return Some((address, 0));
    }
    if let Some((address, zone)) = echo::zoned(target) {
        return Some((address.into(), echo::interface(zone)));
    }
    families(module).find_map(|family| {
        let mut rows = view.named(target);
        let spec = &rows.find(|row| row.spec.profile.family == family)?.spec;
        Some((spec.address?, spec.profile.out.interface))
    })
}

/// The scope of a destination, 0 for none.
fn scope_of(address: IpAddr, interface: u32) -> u32 {
    match echo::destination(address, interface) {
        SocketAddr::V6(address) => address.scope_id(),
        SocketAddr::V4(_) => 0,
    }
}

/// The target is probed as the module asks for, and often enough.
fn fits(row: &Row, module: &Module) -> bool {
    let profile = &row.spec.profile;
    profile.timing.interval <= FRESH
        && module.size.is_none_or(|size| size == profile.size)
        && module
            .source
            .is_none_or(|source| Some(source) == profile.out.source)
        && module
            .ttl
            .is_none_or(|ttl| Some(ttl) == profile.out.hop_limit)
        && !module.dont_fragment
}

/// Takes the result of the newest request that came to an end; answers how many failed since the last answer, `None` when none has ended.
fn from_followed(row: &Row, outcome: &mut Outcome) -> Option<u64> {
    let counters = row.counters.read();
    if counters.requests == counters.in_flight {
        return None;
    }
    outcome.success = counters.failures == 0 && counters.responses > 0;
    if outcome.success {
        outcome.rtt = Duration::from_nanos(counters.last_nanos);
        outcome.hop_limit = u8::try_from(counters.hop_limit)
            .ok()
            .filter(|&limit| limit > 0);
    }
    Some(counters.failures)
}

#[cfg(test)]
mod tests;
