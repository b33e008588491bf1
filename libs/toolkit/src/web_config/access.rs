//! Who may ask, and how often.

use std::time::Duration;

use crate::Secret;

/// A user of basic authentication.
#[derive(Debug, Clone)]
pub struct User {
    /// The name.
    pub name: String,
    /// bcrypt hash of the password.
    pub hash: Secret,
    /// Cost of the hash: 2^cost rounds.
    pub cost: u32,
}

/// One request per interval on average, with a bucket of `burst`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Time in which one more request becomes allowed.
    pub interval: Duration,
    /// Most requests at once.
    pub burst: u32,
}

/// Costs that are taken: below 4 bcrypt is not defined, above 16 one comparison takes many seconds.
const COSTS: std::ops::RangeInclusive<u32> = 4..=16;

impl User {
    /// Checks name and hash.
    pub(super) fn new(name: String, hash: Secret) -> Result<Self, String> {
        if name.is_empty() || name.contains(':') || name.chars().any(char::is_control) {
            return Err("expected a name without colon and control characters".to_owned());
        }
        let wrong = || {
            "expected a bcrypt hash such as `htpasswd -nBC 10 NAME` prints, beginning with $2y$, $2b$ or $2a$".to_owned()
        };
        let parts: bcrypt::HashParts = hash.reveal().parse().map_err(|_| wrong())?;
        let cost = parts.get_cost();
        if hash.reveal().len() != 60 {
            return Err(wrong());
        }
        if !COSTS.contains(&cost) {
            return Err(format!(
                "expected a bcrypt cost from {} to {}, found {cost}",
                COSTS.start(),
                COSTS.end()
            ));
        }
        Ok(Self { name, hash, cost })
    }
}
