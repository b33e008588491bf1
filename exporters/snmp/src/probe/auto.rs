//! `module=auto`: the device's own identity picks the modules.
//!
//! A module whose walks and gets lie below an enterprise fits when sysObjectID or sysORTable names that enterprise; one of standard
//! objects always may. Of those that fit, the ones whose objects the device really has are chosen, and remembered for an hour.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{AUTO, Ask, Line, Ready};
use crate::config::Module;
use crate::oid::{self, Oid};
use crate::reason::Reason;
use crate::scrape::{Params, Work};
use crate::value::Value;

const SYS_OBJECT_ID: [u32; 9] = [1, 3, 6, 1, 2, 1, 1, 2, 0];
const SYS_OR_ID: [u32; 10] = [1, 3, 6, 1, 2, 1, 1, 9, 1, 2];
const ENTERPRISES: [u32; 6] = [1, 3, 6, 1, 4, 1];
/// net-snmp names itself 8072 and serves the objects of UCD, 2021.
const NET_SNMP: u32 = 8072;
const UCD: u32 = 2021;

/// The request with `auto` replaced by what the device chose.
pub(super) async fn expand(line: &Line<'_>, ready: &Ready, ask: &Ask) -> Result<Ask, Reason> {
    if !ask.modules.iter().any(|name| name == AUTO) || ready.config.modules.contains_key(AUTO) {
        return Ok(ask.clone());
    }
    let key = line.key();
    let chosen = match line.prober.memory.modules(&key) {
        Some(known) => known,
        None => {
            let chosen = choose(line, ready).await?;
            line.prober.memory.keep_modules(key, chosen.clone());
            chosen
        }
    };
    let mut ask = ask.clone();
    ask.modules.retain(|name| name != AUTO);
    for name in chosen {
        if !ask.modules.contains(&name) {
            ask.modules.push(name);
        }
    }
    Ok(ask)
}

async fn choose(line: &Line<'_>, ready: &Ready) -> Result<Vec<String>, Reason> {
    let params = Params {
        repetitions: 20,
        retries: 3,
        timeout: Duration::from_secs(5),
        allow_nonincreasing: false,
    };
    let identity = Oid::new(SYS_OBJECT_ID);
    let capabilities = Oid::new(SYS_OR_ID);
    let report = line
        .ask(vec![
            Work {
                root: identity.clone(),
                params,
                oids: vec![identity],
                get: true,
                probe: false,
                own: false,
            },
            Work {
                root: capabilities.clone(),
                params,
                oids: vec![capabilities],
                get: false,
                probe: false,
                own: false,
            },
        ])
        .await;
    if !report.outcome.answered {
        return Err(report
            .outcome
            .failures
            .first()
            .map_or(Reason::Timeout, |failure| failure.reason));
    }
    let table = &report.outcome.table;
    let named = table
        .below(&[1, 3, 6, 1, 2, 1, 1])
        .filter_map(|(_, entry)| match entry.value {
            Value::Oid(span) => enterprise(table.sub_ids(span)),
            _ => None,
        });
    let mut enterprises: BTreeSet<u32> = named.collect();
    if enterprises.contains(&NET_SNMP) {
        enterprises.insert(UCD);
    }
    let fitting: Vec<(&String, &Module)> = ready
        .config
        .modules
        .iter()
        .filter(|(_, module)| fits(module, &enterprises))
        .collect();
    let every: BTreeSet<Oid> = fitting
        .iter()
        .flat_map(|(_, module)| roots(module))
        .map(asked_behind)
        .collect();
    let probe = Work {
        root: Oid::new([1, 3]),
        params,
        oids: every.into_iter().collect(),
        get: false,
        probe: true,
        own: false,
    };
    let report = line.ask(vec![probe]).await;
    let table = &report.outcome.table;
    let has = |module: &Module| roots(module).any(|root| table.below(root.ids()).next().is_some());
    Ok(fitting
        .into_iter()
        .filter(|(_, module)| has(module))
        .map(|(name, _)| name.clone())
        .collect())
}

fn roots(module: &Module) -> impl Iterator<Item = &Oid> {
    module.walk.iter().chain(&module.get)
}

/// An instance is found behind its object.
fn asked_behind(root: &Oid) -> Oid {
    match root.ids() {
        [object @ .., 0] => Oid::new(object),
        _ => root.clone(),
    }
}

fn enterprise(ids: &[u32]) -> Option<u32> {
    oid::within(ids, &ENTERPRISES)
        .then(|| ids.get(ENTERPRISES.len()).copied())
        .flatten()
}

/// Whether the device may have the module's objects.
fn fits(module: &Module, enterprises: &BTreeSet<u32>) -> bool {
    let needed: BTreeSet<u32> = roots(module)
        .filter_map(|root| enterprise(root.ids()))
        .collect();
    needed.is_empty()
        || !needed.is_disjoint(enterprises)
        || roots(module).any(|root| enterprise(root.ids()).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendors_module_fits_its_own_devices() {
        let text = "auths: {a: {}}\nmodules: {own: {walk: [1.3.6.1.4.1.9.9]}, standard: {walk: [1.3.6.1.2.1.2]}, both: {walk: [1.3.6.1.4.1.9.9, 1.3.6.1.2.1.2]}}\n";
        let config = crate::config::parse(
            text,
            std::path::Path::new("t.yml"),
            crate::config::Options::default(),
        )
        .unwrap();
        let of = |enterprise| {
            let names = config
                .modules
                .iter()
                .filter(|(_, module)| fits(module, &BTreeSet::from([enterprise])));
            names
                .map(|(name, _)| name.as_str())
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(of(9), "both own standard");
        assert_eq!(of(2636), "both standard");
    }
}
