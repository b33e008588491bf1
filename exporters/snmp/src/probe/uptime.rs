//! Whether a device has run on since it was last asked, by its sysUpTime (SNMPv2-MIB).

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// sysUpTime.0.
pub(super) const SYS_UP_TIME: [u32; 9] = [1, 3, 6, 1, 2, 1, 1, 3, 0];
/// A clock may be this wrong beside a tenth of the time: hundredths of a second.
const SLACK: u32 = 1000;

/// A reading of sysUpTime.
#[derive(Clone, Copy, Debug)]
pub(super) struct UpTime {
    /// Hundredths of a second; it starts anew after 497 days.
    pub(super) hundredths: u32,
    /// When it was read.
    pub(super) read: Instant,
}

impl UpTime {
    /// When the device started, Unix seconds. One that has run for longer than 497 days says its last wrap.
    pub(super) fn started(self) -> f64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let read = now.unwrap_or_default().saturating_sub(self.read.elapsed());
        read.as_secs_f64() - f64::from(self.hundredths) / 100.0
    }

    /// Whether `later` is the same run of the device: its clock has gone on as ours has.
    pub(super) fn runs_on(&self, later: Self) -> bool {
        let passed = later.read.saturating_duration_since(self.read);
        let hundredths = u32::try_from(passed.as_millis() / 10).unwrap_or(u32::MAX);
        let expected = self.hundredths.wrapping_add(hundredths);
        let off = later.hundredths.wrapping_sub(expected).cast_signed();
        let near = off.unsigned_abs() <= SLACK.saturating_add(hundredths / 10);
        // So soon after its start that the slack would hide another one. Two scrapes at a time may be told in either order.
        let went_back = later.hundredths.saturating_add(200) < self.hundredths
            && self.hundredths < u32::MAX / 2;
        near && !went_back && passed < Duration::from_secs(86_400 * 200)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_is_seen_and_the_end_of_the_clock_is_none() {
        let start = Instant::now();
        let at = |hundredths, seconds| UpTime {
            hundredths,
            read: start + Duration::from_secs(seconds),
        };
        for (before, after, seconds, same) in [
            (100_000, 101_500, 15, true),
            (100_000, 101_300, 15, true),
            // Restarted.
            (100_000, 700, 15, false),
            (500, 400, 15, false),
            // Restarted, and up for longer than before by now.
            (1_000, 25_000, 900, false),
            // 497 days.
            (u32::MAX - 500, 1_000, 15, true),
            (u32::MAX - 500, 1_000, 300, false),
        ] {
            assert_eq!(
                at(before, 0).runs_on(at(after, seconds)),
                same,
                "{before} to {after} in {seconds} s"
            );
        }
    }
}
