//! Changes that a device takes back by itself unless they are confirmed in time.

use crate::Error;

/// Most minutes that a device is told to wait.
const MOST_MINUTES: u32 = 59;
/// Longest name in bytes.
const LONGEST_NAME: usize = 32;

/// How long a device waits for the confirmation of a change, and what the change is called on devices that want a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer {
    minutes: u32,
    name: String,
}

impl Timer {
    /// A timer of 1 to 59 minutes; fewer or more are taken for the next that there is. Of `name` are taken the letters and digits, at most 32.
    #[must_use]
    pub fn new(minutes: u32, name: &str) -> Self {
        let fit = |c: &char| c.is_ascii_alphanumeric();
        let name: String = name.chars().filter(fit).take(LONGEST_NAME).collect();
        Self {
            minutes: minutes.clamp(1, MOST_MINUTES),
            name: if name.is_empty() {
                "sotp".to_owned()
            } else {
                name
            },
        }
    }

    /// How long the device waits, in minutes.
    #[must_use]
    pub fn minutes(&self) -> u32 {
        self.minutes
    }

    /// A line of a driver with its places filled.
    pub(crate) fn fill(&self, line: &str) -> String {
        line.replace("{minutes}", &self.minutes.to_string())
            .replace("{seconds}", &(self.minutes * 60).to_string())
            .replace("{time}", &format!("00:{:02}:00", self.minutes))
            .replace("{name}", &self.name)
    }
}

/// The driver knows no timer.
pub(crate) fn unknown(platform: &str) -> Error {
    Error::Unsupported {
        platform: platform.to_owned(),
        what: "timer that takes a change back",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_and_nothing_of_a_name_can_end_the_line() {
        let timer = Timer::new(5, "job-1\nreload ?");
        assert_eq!(
            timer.fill("{minutes} {seconds} {time} {name}"),
            "5 300 00:05:00 job1reload"
        );
        assert_eq!(Timer::new(0, "").fill("{time} {name}"), "00:01:00 sotp");
        assert_eq!(Timer::new(600, &"x".repeat(99)).minutes(), 59);
        assert_eq!(Timer::new(1, &"x".repeat(99)).fill("{name}").len(), 32);
    }
}
