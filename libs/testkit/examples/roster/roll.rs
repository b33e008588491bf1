//! Who is there: series of the devices, and lines of those that come and go.

use std::collections::BTreeSet;

use inventory::{Feed, Inventory};
use loki::{Line, Render};
use spool::Record;
use toolkit::{Collect, Encoder, Kind};

/// The devices that were seen last.
#[derive(Debug, Default)]
pub(crate) struct Roll(BTreeSet<String>);

impl Roll {
    /// What has changed since the last call, a line each: `came r1`, `went r2`.
    pub(crate) fn call(&mut self, inventory: &Inventory) -> Vec<String> {
        let names = inventory.devices().iter();
        let now: BTreeSet<String> = names.map(|device| device.name.to_string()).collect();
        let came = now.difference(&self.0).map(|name| format!("came {name}"));
        let went = self.0.difference(&now).map(|name| format!("went {name}"));
        let lines = came.chain(went).collect();
        self.0 = now;
        lines
    }
}

/// One series for each device.
pub(crate) struct Series(pub(crate) Feed);

impl Collect for Series {
    fn collect(&self, out: &mut Encoder) {
        out.family("roster_present", Kind::Gauge, "Devices that are there.");
        for device in self.0.current().devices().iter() {
            out.sample(&devices::labels(device), 1_u64);
        }
    }
}

/// Lines as Loki gets them.
pub(crate) struct Shown {
    pub(crate) job: String,
}

impl Render for Shown {
    fn render(&mut self, record: Record<'_>, line: &mut Line) {
        line.label("job", &self.job, true);
        line.text.push_str(&String::from_utf8_lossy(record.payload));
    }
}
