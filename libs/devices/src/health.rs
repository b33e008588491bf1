//! The series of an inventory source.

use std::time::SystemTime;

use inventory::Feed;
use toolkit::{Collect, Encoder, Kind, Labels};

/// How the source of a feed stands: `sotp_inventory_source_*`, the same names in every service.
#[derive(Clone)]
pub struct Health(Feed);

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Health").field(&self.0.health()).finish()
    }
}

impl Health {
    /// Of this feed.
    #[must_use]
    pub fn new(feed: Feed) -> Self {
        Self(feed)
    }
}

impl Collect for Health {
    fn collect(&self, out: &mut Encoder) {
        let health = self.0.health();
        let none = Labels::none();
        out.family(
            "sotp_inventory_source_up",
            Kind::Gauge,
            "Whether the last look at the inventory found it good (1), or the last good one is kept (0).",
        );
        out.sample(none, u64::from(health.up));
        out.family(
            "sotp_inventory_source_shrunk",
            Kind::Gauge,
            "Whether the inventory lost so many devices at once that it is held back (1): most often a file that was emptied.",
        );
        out.sample(none, u64::from(health.shrunk));
        out.family(
            "sotp_inventory_source_last_success_timestamp_seconds",
            Kind::Gauge,
            "When the inventory was last found good, new or unchanged; 0 before the first time.",
        );
        let at = health.last_success.unwrap_or(SystemTime::UNIX_EPOCH);
        let since = at.duration_since(SystemTime::UNIX_EPOCH);
        out.sample(none, since.unwrap_or_default().as_secs_f64());
        out.family(
            "sotp_inventory_source_failures_total",
            Kind::Counter,
            "Looks that did not get the inventory, or found bad content in it for the first time.",
        );
        out.sample(none, health.failures);
        out.family(
            "sotp_inventory_source_changes_total",
            Kind::Counter,
            "Changes of the inventory that were taken over, the first reading included.",
        );
        out.sample(none, health.changes);
    }
}

#[cfg(test)]
mod tests {
    use inventory::Source;
    use testkit::TempDir;
    use toolkit::Format;

    use super::*;

    fn page(feed: &Feed) -> String {
        let mut out = Encoder::new(Format::Text);
        Health::new(feed.clone()).collect(&mut out);
        String::from_utf8(out.finish()).unwrap()
    }

    #[tokio::test]
    async fn a_file_that_goes_bad_is_told_and_then_good_again() {
        let folder = TempDir::new().unwrap();
        let file = folder.join("inventory.yaml");
        std::fs::write(&file, "devices: [{name: r1, address: 192.0.2.1}]").unwrap();
        let feed = Feed::open(Source::File(file.clone())).await.unwrap();
        let good = page(&feed);
        for line in ["up 1", "failures_total 0", "changes_total 1"] {
            let line = format!("\nsotp_inventory_source_{line}\n");
            assert!(good.contains(&line), "{line} is not in {good}");
        }
        std::fs::write(&file, "devices: [{name: r1}]").unwrap();
        assert!(feed.refresh().await.is_err());
        let bad = page(&feed);
        for line in ["up 0", "failures_total 1", "changes_total 1"] {
            let line = format!("\nsotp_inventory_source_{line}\n");
            assert!(bad.contains(&line), "{line} is not in {bad}");
        }
        std::fs::write(&file, "devices: [{name: r2, address: 192.0.2.2}]").unwrap();
        assert!(feed.refresh().await.unwrap());
        let mended = page(&feed);
        for line in ["up 1", "failures_total 1", "changes_total 2"] {
            let line = format!("\nsotp_inventory_source_{line}\n");
            assert!(mended.contains(&line), "{line} is not in {mended}");
        }
    }

    #[tokio::test]
    async fn an_emptied_file_is_held_back_and_told() {
        let folder = TempDir::new().unwrap();
        let file = folder.join("inventory.yaml");
        std::fs::write(&file, "devices: [{name: r1, address: 192.0.2.1}]").unwrap();
        let feed = Feed::open(Source::File(file.clone())).await.unwrap();
        assert!(page(&feed).contains("\nsotp_inventory_source_shrunk 0\n"));
        std::fs::write(&file, "").unwrap();
        assert!(feed.refresh().await.is_err());
        let held = page(&feed);
        for line in ["up 0", "shrunk 1", "changes_total 1"] {
            let line = format!("\nsotp_inventory_source_{line}\n");
            assert!(held.contains(&line), "{line} is not in {held}");
        }
        assert_eq!(feed.current().devices().len(), 1);
    }

    #[tokio::test]
    async fn a_service_that_never_answered_has_every_series_from_the_start() {
        testkit::crypto();
        let Ok(never) = "http://127.0.0.1:1".parse::<Source>();
        let feed = Feed::open(never).await.unwrap();
        let page = page(&feed);
        for line in [
            "up 0",
            "last_success_timestamp_seconds 0",
            "failures_total 1",
            "changes_total 0",
        ] {
            let line = format!("\nsotp_inventory_source_{line}\n");
            assert!(page.contains(&line), "{line} is not in {page}");
        }
    }
}
