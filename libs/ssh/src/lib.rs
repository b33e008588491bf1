//! SSH to network devices, for the configuration archive and the remediator.
//!
//! What differs from one platform to the next is data: a [`Driver`] is a YAML file that says how its command line asks, pages,
//! complains and ends. A [`Session`] logs in once, learns the prompt and then exchanges commands for answers. An answer is
//! everything between the echo of the command and the learned prompt, and nothing else is ever taken for one.
//!
//! Every wait has a bound, every answer a largest size, and a device that sends nonsense costs its own session only.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod algorithms;
mod driver;
mod drivers;
mod error;
mod exchange;
mod hostkeys;
mod login;
mod mask;
mod normalise;
mod prompt;
mod screen;
mod session;
mod transport;

pub use algorithms::{Profile, Weakness};
pub use driver::{Complete, Driver, Structure, Transport};
pub use drivers::Drivers;
pub use error::{DriverError, Error};
pub use hostkeys::{HostKeys, KeyNews, OnUnknown};
pub use login::Login;
pub use mask::{Masked, Masker};
pub use session::{Answer, Collected, Incomplete, Seconds, Session, Target, Times};

/// What a device's bytes behind the command `show` come to, for the fuzz target: the lines of the answer, once the prompt `r1#`
/// ends it.
#[doc(hidden)]
#[must_use]
pub fn answered(driver: &Driver, pieces: &[&[u8]]) -> Option<Vec<String>> {
    let prompt = prompt::Prompt::learned(b"r1#", driver);
    let mut exchange = exchange::Exchange::new(driver, &prompt, "show", false, 1 << 16);
    let mut done = false;
    for piece in pieces {
        done = exchange.push(piece).ok()? == exchange::Step::Done;
        let _ = exchange.nudge();
    }
    done.then(|| exchange.finish().0)
}
