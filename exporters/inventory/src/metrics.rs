//! The series of the service.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use inventory::{Device, Feed, Inventory};
use jiff::Timestamp;
use toolkit::{Collect, Encoder, Kind, Labels, Live};

use crate::config::Config;
use crate::store::Store;
use crate::store::merging::Side;

/// Series of the inventory that is live, with labels rendered once per version.
pub(crate) struct Series {
    feed: Feed,
    rendered: Mutex<Option<Arc<Rendered>>>,
}

struct Rendered {
    inventory: Arc<Inventory>,
    info: Vec<Labels>,
    devices: Vec<Labels>,
    site_info: Vec<Labels>,
    sites: Vec<Labels>,
    version: Labels,
}

impl Rendered {
    fn new(inventory: Arc<Inventory>) -> Self {
        let devices: Vec<Labels> = inventory.devices().iter().map(devices::labels).collect();
        let info = |(device, labels): (&Device, &Labels)| {
            labels
                .with("platform", &device.platform)
                .with("address", &device.address.to_string())
        };
        Self {
            info: inventory.devices().iter().zip(&devices).map(info).collect(),
            devices,
            site_info: inventory
                .sites()
                .iter()
                .map(|site| Labels::new([("site", &*site.name), ("region", &*site.region)]))
                .collect(),
            sites: inventory
                .sites()
                .iter()
                .map(|site| Labels::new([("site", &*site.name)]))
                .collect(),
            version: Labels::new([("version", inventory.version())]),
            inventory,
        }
    }
}

impl Series {
    pub(crate) fn new(feed: Feed) -> Self {
        Self {
            feed,
            rendered: Mutex::new(None),
        }
    }

    fn rendered(&self) -> Arc<Rendered> {
        let inventory = self.feed.current();
        let mut rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        match &*rendered {
            Some(known) if Arc::ptr_eq(&known.inventory, &inventory) => Arc::clone(known),
            _ => Arc::clone(rendered.insert(Arc::new(Rendered::new(inventory)))),
        }
    }

    fn version(out: &mut Encoder, rendered: &Rendered) {
        out.family(
            "sotp_inventory_version_info",
            Kind::Info,
            "Version of the inventory that is live: a name of its content.",
        );
        out.sample(&rendered.version, 1_u64);
    }
}

impl Collect for Series {
    fn collect(&self, out: &mut Encoder) {
        let rendered = self.rendered();
        let inventory = &rendered.inventory;
        out.family("sotp_device_info", Kind::Info, "Devices of the inventory.");
        for labels in &rendered.info {
            out.sample(labels, 1_u64);
        }
        out.family(
            "sotp_device_maintenance",
            Kind::Gauge,
            "Whether a window of planned work holds for the device now.",
        );
        let now = Timestamp::now();
        for (device, labels) in inventory.devices().iter().zip(&rendered.devices) {
            out.sample(labels, u64::from(device.maintenance_at(now).is_some()));
        }
        out.family("sotp_site_info", Kind::Info, "Sites of the inventory.");
        for labels in &rendered.site_info {
            out.sample(labels, 1_u64);
        }
        let places = || inventory.sites().iter().zip(&rendered.sites);
        out.family(
            "sotp_site_latitude_degrees",
            Kind::Gauge,
            "Degrees north of the equator, of sites that have coordinates.",
        );
        for (site, labels) in places() {
            if let Some((latitude, _)) = site.coordinates {
                out.sample(labels, latitude);
            }
        }
        out.family(
            "sotp_site_longitude_degrees",
            Kind::Gauge,
            "Degrees east of Greenwich, of sites that have coordinates.",
        );
        for (site, labels) in places() {
            if let Some((_, longitude)) = site.coordinates {
                out.sample(labels, longitude);
            }
        }
        out.family(
            "sotp_inventory_devices",
            Kind::Gauge,
            "Devices of the inventory, counted.",
        );
        out.sample(Labels::none(), inventory.devices().len() as u64);
        out.family(
            "sotp_inventory_sites",
            Kind::Gauge,
            "Sites of the inventory, counted.",
        );
        out.sample(Labels::none(), inventory.sites().len() as u64);
        Self::version(out, &rendered);
    }
}

/// Series of the way of changes into git, where the inventory is edited.
pub(crate) struct Editing {
    store: Arc<Store>,
    config: Live<Config>,
}

impl Editing {
    pub(crate) fn new(store: Arc<Store>, config: Live<Config>) -> Self {
        Self { store, config }
    }

    fn remote(&self, out: &mut Encoder) {
        let config = self.config.current();
        let configured = config
            .editing
            .as_ref()
            .is_some_and(|editing| editing.remote.is_some());
        let standing = self.store.standing();
        let asked = standing.remote_success.is_some() || standing.remote_error.is_some();
        out.family(
            "sotp_inventory_remote_up",
            Kind::Gauge,
            "Whether the last talk with the remote git repository succeeded.",
        );
        if configured && asked {
            out.sample(Labels::none(), u64::from(standing.remote_error.is_none()));
        }
        out.family(
            "sotp_inventory_remote_last_success_timestamp_seconds",
            Kind::Gauge,
            "When the remote git repository and this one were last found to have the same commits.",
        );
        if configured && let Some(time) = standing.remote_success {
            let since = time.duration_since(SystemTime::UNIX_EPOCH);
            out.sample(Labels::none(), since.unwrap_or_default().as_secs_f64());
        }
    }
}

impl Collect for Editing {
    fn collect(&self, out: &mut Encoder) {
        {
            let standing = self.store.standing();
            out.family(
                "sotp_inventory_pending_commits",
                Kind::Gauge,
                "Changes that are on disk and live, and whose commit in git is still to be made.",
            );
            out.sample(Labels::none(), standing.pending as u64);
            out.family(
                "sotp_inventory_commit_failures_total",
                Kind::Counter,
                "Attempts to bring changes into git that failed; they are tried again.",
            );
            out.sample(Labels::none(), standing.commit_failures);
            out.family(
                "sotp_inventory_conflicts",
                Kind::Gauge,
                "Whether commits of others wait for somebody to say what is to be of them, by where they were made.",
            );
            for side in Side::ALL {
                let waits = standing.splits.iter().any(|split| split.side == side);
                out.sample(&Labels::new([("with", side.name())]), u64::from(waits));
            }
            out.family(
                "sotp_inventory_conflicting_entries",
                Kind::Gauge,
                "Entries that we and the commits of others both changed, by where those were made.",
            );
            for side in Side::ALL {
                let split = standing.splits.iter().find(|split| split.side == side);
                let entries = split.map_or(0, |split| split.entries as u64);
                out.sample(&Labels::new([("with", side.name())]), entries);
            }
        }
        self.remote(out);
    }
}
