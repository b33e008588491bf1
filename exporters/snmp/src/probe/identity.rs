//! What a device says of itself, for who looks for devices.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::{AUTO, Ask, Line, Prober, Ready, Rules, auto};
use crate::neighbors::{self, Neighbor};
use crate::oid::Oid;
use crate::reason::Reason;
use crate::samples::text;
use crate::scrape::{Params, Work};
use crate::value::Value;

const SYS_DESCR: [u32; 9] = [1, 3, 6, 1, 2, 1, 1, 1, 0];
const SYS_OBJECT_ID: [u32; 9] = [1, 3, 6, 1, 2, 1, 1, 2, 0];
const SYS_NAME: [u32; 9] = [1, 3, 6, 1, 2, 1, 1, 5, 0];
const SYS_LOCATION: [u32; 9] = [1, 3, 6, 1, 2, 1, 1, 6, 0];
/// ipAdEntIfIndex, in whose index the address stands.
const ADDRESSES: [u32; 10] = [1, 3, 6, 1, 2, 1, 4, 20, 1, 2];

/// What a device says of itself.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// sysName.
    pub name: String,
    /// sysDescr.
    pub description: String,
    /// sysObjectID.
    pub object_id: String,
    /// sysLocation.
    pub location: String,
    /// The modules that it picks.
    pub modules: Vec<String>,
    /// Its own IPv4 addresses.
    pub addresses: BTreeSet<IpAddr>,
    /// Its neighbours.
    pub neighbors: Vec<Neighbor>,
}

/// Asks a device who it is: one question that it has a second or two for, then the rest.
///
/// # Errors
/// It may not be asked, or does not answer.
pub async fn identify(
    prober: &Prober,
    ready: &Ready,
    target: &str,
    auth: &str,
    deadline: Instant,
) -> Result<Identity, Reason> {
    let ask = Ask {
        target: target.to_owned(),
        auth: auth.to_owned(),
        modules: vec![AUTO.to_owned()],
        context: String::new(),
    };
    let line = Line::open(prober, ready, &ask, Rules::PLAIN, deadline).await?;
    let params = Params {
        repetitions: 20,
        retries: 1,
        timeout: Duration::from_secs(1),
        allow_nonincreasing: false,
    };
    let work = |oids: Vec<Oid>, get| Work {
        root: oids[0].clone(),
        params,
        oids,
        get,
        probe: false,
        own: false,
    };
    let system = [SYS_DESCR, SYS_OBJECT_ID, SYS_NAME, SYS_LOCATION].map(Oid::new);
    let report = line.ask(vec![work(system.to_vec(), true)]).await;
    if !report.outcome.answered {
        let failed = report.outcome.failures.first();
        return Err(failed.map_or(Reason::Timeout, |failure| failure.reason));
    }
    let table = &report.outcome.table;
    let said = |oid: &[u32]| match table.get(oid) {
        Some(Value::Oid(span)) => crate::oid::Dotted(table.sub_ids(*span)).to_string(),
        Some(value) => text::label(table, value, "DisplayString", "")
            .trim()
            .to_owned(),
        None => String::new(),
    };
    let mut identity = Identity {
        name: said(&SYS_NAME),
        description: said(&SYS_DESCR),
        object_id: said(&SYS_OBJECT_ID),
        location: said(&SYS_LOCATION),
        ..Identity::default()
    };
    let walks = neighbors::columns()
        .into_iter()
        .chain([Oid::new(ADDRESSES)])
        .map(|column| work(vec![column], false));
    let report = line.ask(walks.collect()).await;
    let table = &report.outcome.table;
    identity.neighbors = neighbors::of(table);
    identity.addresses = table
        .below(&ADDRESSES)
        .filter_map(|(at, _)| {
            let octets: Vec<u8> = (at.behind(ADDRESSES.len()).iter())
                .map(|id| u8::try_from(*id).ok())
                .collect::<Option<_>>()?;
            Some(IpAddr::from(<[u8; 4]>::try_from(octets).ok()?))
        })
        .collect();
    identity.modules = auto::expand(&line, ready, &ask).await?.modules;
    Ok(identity)
}
