//! An inventory that lost many devices at once: most often a file that was emptied or is half written, and no decision.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::Inventory;
use crate::problem::Error;

/// Fewest devices of which a share counts; with fewer, only the loss of all of them does.
const MANY: usize = 10;
/// After standing unchanged for so long it is meant.
const STANDS: Duration = Duration::from_secs(60);

/// Holds back an inventory with far fewer devices than the one in force, until somebody confirms it or it stands unchanged for a minute.
#[derive(Clone, Debug)]
pub struct Guard {
    limit: f64,
    /// Version of the one that is held back, and since when.
    held: Option<(String, Instant)>,
}

impl Default for Guard {
    fn default() -> Self {
        Self::new(Self::DEFAULT_LIMIT)
    }
}

impl Guard {
    /// The share of the devices that may go at once unless somebody says otherwise.
    pub const DEFAULT_LIMIT: f64 = 0.5;

    /// More than the share `limit` of the devices is too many to go at once, and so are all; with 1 everything is let through.
    #[must_use]
    pub fn new(limit: f64) -> Self {
        Self { limit, held: None }
    }

    /// Whether `after` may take the place of `before`; `confirmed` says that somebody who may have seen the refusal wants it.
    ///
    /// # Errors
    /// [`Error::Shrunk`] while it is held back.
    pub fn admit(
        &mut self,
        origin: &str,
        before: &Inventory,
        after: &Inventory,
        confirmed: bool,
    ) -> Result<(), Error> {
        let (had, has) = (before.devices().len(), after.devices().len());
        let gone = had.saturating_sub(has);
        let all = has == 0 && gone > 0;
        let many = had >= MANY && gone as f64 > self.limit * had as f64;
        if self.limit >= 1.0 || !(all || many) {
            self.held = None;
            return Ok(());
        }
        let known = self.held.take_if(|(version, _)| version == after.version());
        if let Some((_, since)) = &known
            && (confirmed || since.elapsed() >= STANDS)
        {
            self.held = None;
            return Ok(());
        }
        self.held = known.or_else(|| Some((after.version().to_owned(), Instant::now())));
        Err(Error::Shrunk {
            origin: origin.to_owned(),
            before: had,
            after: has,
        })
    }

    /// Whether an inventory is held back.
    #[must_use]
    pub fn is_holding(&self) -> bool {
        self.held.is_some()
    }

    /// Whether what is held back has stood unchanged for long enough.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.held
            .as_ref()
            .is_some_and(|(_, since)| since.elapsed() >= STANDS)
    }

    /// Forgets what is held back: the source holds something else, or nothing.
    pub fn forget(&mut self) {
        self.held = None;
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;

    use super::*;

    fn of(devices: usize) -> Inventory {
        let mut text = String::from("devices:");
        for number in 1..=devices {
            write!(text, "\n- {{name: d{number}, address: 192.0.2.{number}}}").unwrap();
        }
        Inventory::parse(&text, Path::new("t")).unwrap()
    }

    fn admits(guard: &mut Guard, before: usize, after: usize, confirmed: bool) -> bool {
        let admitted = guard.admit("t", &of(before), &of(after), confirmed);
        admitted.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn all_of_few_and_more_than_half_of_ten_are_held_back() {
        for (before, after, admitted) in [
            (0, 0, true),
            (1, 0, false),
            (9, 1, true),
            (10, 5, true),
            (10, 4, false),
            (10, 0, false),
            (40, 21, true),
            (40, 19, false),
            (10, 60, true),
        ] {
            let mut guard = Guard::default();
            assert_eq!(
                admits(&mut guard, before, after, true),
                admitted,
                "{before} {after}"
            );
            assert!(admits(&mut Guard::new(1.0), before, after, false));
        }
        assert!(admits(&mut Guard::new(0.9), 40, 4, false));
        assert!(!admits(&mut Guard::new(0.0), 10, 9, false));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_confirmed_or_stands_for_a_minute_is_taken() {
        let mut guard = Guard::default();
        assert!(!admits(&mut guard, 20, 1, false));
        tokio::time::advance(STANDS - Duration::from_secs(1)).await;
        assert!(!admits(&mut guard, 20, 1, false));
        assert!(admits(&mut guard, 20, 1, true) && !guard.is_holding());

        assert!(!admits(&mut guard, 20, 1, false));
        tokio::time::advance(STANDS - Duration::from_secs(1)).await;
        assert!(!admits(&mut guard, 20, 2, false), "another one");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(!admits(&mut guard, 20, 2, false));
        tokio::time::advance(STANDS).await;
        assert!(guard.is_due() && admits(&mut guard, 20, 2, false));

        assert!(!admits(&mut guard, 20, 1, false));
        assert!(admits(&mut guard, 20, 20, false), "the file is whole again");
        assert!(!admits(&mut guard, 20, 1, true), "nobody has seen this one");
    }
}
