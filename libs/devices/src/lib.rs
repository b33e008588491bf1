//! Following the devices of the inventory, the same way in every service: flags, task, readiness and series.
//!
//! ```text
//! --inventory.source ─► Flags ─► Feed ─► the service asks feed.current() and waits for feed.changed()
//!                                  ├───► task "inventory", which reads the source again
//!                                  ├───► gate "inventory" of /-/ready
//!                                  ├───► POST /-/reload looks at it, and confirms what was held back
//!                                  └───► sotp_inventory_source_* at /metrics
//! ```
//!
//! A service flattens [`Flags`] into its own and calls [`Flags::follow`] while it is built.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod flags;
mod health;

use inventory::{Device, Error, Feed};
use toolkit::{App, Labels, OnEnd};

pub use flags::{Flags, GuardFlags};
pub use health::Health;

/// Whether a service is ready before it has ever had an inventory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// `/-/ready` answers 503 until an inventory was read, from the source or from the cache file.
    WaitsForInventory,
    /// Its work begins without one: a receiver that would lose what is sent meanwhile.
    Independent,
}

/// Keeps `feed` up to date in a supervised task, and shows how the source stands at `/metrics`.
pub fn follow(app: &mut App, feed: &Feed, readiness: Readiness) {
    app.collect(Health::new(feed.clone()));
    let looked = feed.clone();
    app.reload(move || {
        let feed = looked.clone();
        async move {
            match feed.refresh().await {
                Ok(changed) => Ok(changed),
                Err(error @ Error::Shrunk { .. }) => Err(error.to_string()),
                // It was told in the log, and the series tell it on.
                Err(_) => Ok(false),
            }
        }
    });
    let gate = (readiness == Readiness::WaitsForInventory).then(|| app.gate("inventory"));
    if let Some(gate) = gate.as_ref().filter(|_| feed.health().loaded) {
        gate.open();
    }
    let feed = feed.clone();
    app.spawn("inventory", OnEnd::Restart, move |stop| {
        let (feed, gate) = (feed.clone(), gate.clone());
        async move {
            let opened = async {
                feed.loaded().await;
                if let Some(gate) = gate {
                    gate.open();
                }
            };
            tokio::select! {
                ((), ()) = async { tokio::join!(feed.follow(), opened) } => {}
                () = stop.requested() => {}
            }
            Ok(())
        }
    });
}

/// The labels that tell a device in every series: `device`, `site` and `role`.
#[must_use]
pub fn labels(device: &Device) -> Labels {
    Labels::new([
        ("device", &*device.name),
        ("site", &*device.site),
        ("role", &*device.role),
    ])
}
