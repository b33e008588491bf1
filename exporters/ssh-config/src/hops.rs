//! Jump hosts: one login on each, which all devices behind it share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use inventory::{Device, Inventory};
use ssh::{HostKeys, Jump, Target};

use crate::collector::Failure;
use crate::config::Config;

/// First wait after a refused login on a jump host, so that the account does not get locked by all the devices behind it; it doubles.
const AFTER_LOGIN: Duration = Duration::from_secs(15 * 60);
/// Longest wait.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Logins on jump hosts, by the name of the host.
#[derive(Debug, Default)]
pub(crate) struct Hops(Mutex<HashMap<String, Arc<tokio::sync::Mutex<Hop>>>>);

#[derive(Debug, Default)]
struct Hop {
    jump: Option<Jump>,
    /// Refused logins since the last good one, and until when there is no other try.
    refused: u32,
    not_before: Option<Instant>,
}

impl Hops {
    /// Forgets every login: accounts or hosts may be others now.
    pub(crate) fn forget(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// The way to a device through the jump host that the configuration names for it; `None` when it is reached straight.
    pub(crate) async fn before(
        &self,
        config: &Config,
        inventory: &Inventory,
        device: &Device,
        keys: &Arc<HostKeys>,
    ) -> Result<Option<Jump>, Failure> {
        let Some(name) = config.jump_host(device) else {
            return Ok(None);
        };
        let host = inventory.device(name).ok_or_else(|| {
            Failure::Config(format!(
                "the jump host {name} is no device of the inventory"
            ))
        })?;
        let credential = config
            .credential(host)
            .ok_or_else(|| Failure::Config(format!("the jump host {name} has no account")))?;
        let login = credential.login().map_err(|message| {
            Failure::Config(format!("credential {}: {message}", credential.name))
        })?;
        let port = host.ssh.as_ref().map_or(22, |ssh| ssh.port);
        let mut target = Target::new(host.address.to_string(), port);
        target.profile = config.profile(host);
        let hop = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(name.to_owned()).or_default())
        };
        // Who comes next finds the login of who came first.
        let mut hop = hop.lock().await;
        if let Some(jump) = hop.jump.as_ref().filter(|jump| jump.is_open()) {
            return Ok(Some(jump.clone()));
        }
        hop.jump = None;
        if hop.not_before.is_some_and(|until| Instant::now() < until) {
            return Err(Failure::Config(format!(
                "the jump host {name} refused the login a short while ago; it is not asked again yet"
            )));
        }
        match Jump::open(&target, &login, keys).await {
            Ok(jump) => {
                *hop = Hop {
                    jump: Some(jump.clone()),
                    ..Hop::default()
                };
                Ok(Some(jump))
            }
            Err(error) => {
                let refused = match &error {
                    ssh::Error::Jump { source, .. } => source.is_refusal(),
                    _ => false,
                };
                if refused {
                    let wait = AFTER_LOGIN.saturating_mul(1 << hop.refused.min(16));
                    hop.refused = hop.refused.saturating_add(1);
                    hop.not_before = Some(Instant::now() + wait.min(LONGEST));
                }
                Err(error.into())
            }
        }
    }
}
