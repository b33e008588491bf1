//! Numbers of Prometheus and of SNMP, as proof.

use futures_util::future::BoxFuture;
use promapi::Prometheus;

use crate::snmp::Series;

/// Answers questions whose answer is one number.
pub trait Proof: Send + Sync {
    /// The one number that `query` has now; `None` when there is none or more than one.
    fn number<'a>(&'a self, query: &'a str) -> BoxFuture<'a, Result<Option<f64>, String>>;

    /// What the device says of a series when it is asked now; `None` when it has none or more than one.
    fn snmp<'a>(
        &'a self,
        _device: &'a str,
        _series: &'a Series,
    ) -> BoxFuture<'a, Result<Option<f64>, String>> {
        Box::pin(async { Err("the configuration names no sotp-snmp".to_owned()) })
    }
}

impl Proof for Prometheus {
    fn number<'a>(&'a self, query: &'a str) -> BoxFuture<'a, Result<Option<f64>, String>> {
        Box::pin(async move {
            let answer = self
                .instant(query, None)
                .await
                .map_err(|error| error.to_string())?;
            // A partial answer proves nothing.
            Ok(answer.single().filter(|_| answer.warnings.is_empty()))
        })
    }
}

/// No Prometheus: nothing can be proven by it.
#[derive(Debug)]
pub struct Nobody;

impl Proof for Nobody {
    fn number<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<f64>, String>> {
        Box::pin(async { Err("the configuration names no Prometheus".to_owned()) })
    }
}
