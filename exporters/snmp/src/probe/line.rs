//! The way to one target: who asks, as whom, until when.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::plan::Planned;
use super::{Ask, Prober, Ready, Rules};
use crate::config::{Auth, Credentials};
use crate::engine::{Asked, Key, Report, Target};
use crate::reason::Reason;
use crate::scrape::{Sizes, Work};

/// The way to one target.
pub(super) struct Line<'a> {
    pub(super) prober: &'a Prober,
    target: SocketAddr,
    identity: String,
    pub(super) auth: Arc<Auth>,
    credentials: Credentials,
    context: String,
    deadline: Instant,
    strict: bool,
    any_source: bool,
}

impl<'a> Line<'a> {
    pub(super) async fn open(
        prober: &'a Prober,
        ready: &Ready,
        ask: &Ask,
        rules: Rules,
        deadline: Instant,
    ) -> Result<Self, Reason> {
        let target = Target::parse(&ask.target).map_err(|_| Reason::Configuration)?;
        let address = target.resolve(deadline).await.ok_or(Reason::Dns)?;
        let auth = ready.auths.get(&ask.auth).ok_or(Reason::Configuration)?;
        if let Err(denied) = prober.gate.check(&target, address, &ask.auth, auth) {
            tracing::info!(target = ask.target, why = %denied, "not asked");
            return Err(Reason::NotAllowed);
        }
        let credentials = auth
            .targets
            .get(&target.host)
            .or_else(|| auth.targets.get(&ask.target))
            .unwrap_or(&auth.credentials);
        let context = if ask.context.is_empty() {
            auth.context_name.clone()
        } else {
            ask.context.clone()
        };
        let any_source = ask
            .modules
            .iter()
            .filter_map(|name| ready.config.modules.get(name))
            .any(|module| module.use_unconnected_udp_socket);
        Ok(Self {
            prober,
            target: address,
            identity: format!(
                "{}\0{}\0{context}\0{}",
                ready.generation, ask.auth, rules.strict
            ),
            auth: Arc::clone(auth),
            credentials: credentials.clone(),
            context,
            deadline,
            strict: rules.strict,
            any_source,
        })
    }

    /// What is remembered of the target stands under this.
    pub(super) fn key(&self) -> Key {
        (self.target, self.identity.clone())
    }

    /// What is remembered of the target for these modules stands under this.
    pub(super) fn key_of(&self, modules: &[String]) -> Key {
        (
            self.target,
            format!("{}\0{}", self.identity, modules.join("\0")),
        )
    }

    pub(super) async fn ask(&self, works: Vec<Work>) -> Report {
        self.ask_known(works, Arc::default()).await
    }

    /// Asks a target whose columns were of these sizes last time.
    pub(super) async fn ask_known(&self, works: Vec<Work>, sizes: Arc<Sizes>) -> Report {
        let asked = Asked {
            target: self.target,
            identity: self.identity.clone(),
            auth: Arc::clone(&self.auth),
            credentials: self.credentials.clone(),
            context: self.context.clone(),
            works,
            sizes,
            deadline: self.deadline,
            strict: self.strict,
            any_source: self.any_source,
        };
        let report = self.prober.engine.run(asked).await;
        self.prober.metrics.session(&report);
        report
    }

    pub(super) async fn ask_planned(&self, planned: &Planned, sizes: Arc<Sizes>) -> Report {
        self.ask_known(planned.works.clone(), sizes).await
    }
}
