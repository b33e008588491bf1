//! SSH to network devices, for the configuration archive and the remediator.
//!
//! What differs from one platform to the next is data: a [`Driver`] is a YAML file that says how its command line asks, pages,
//! complains and ends. A [`Session`] logs in once, learns the prompt and then exchanges commands for answers. An answer is
//! everything between the echo of the command and the learned prompt, and nothing else is ever taken for one.
//!
//! Every wait has a bound, every answer a largest size, and a device that sends nonsense costs its own session only.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod algorithms;
mod anonymise;
mod answer;
mod collected;
mod driver;
mod drivers;
mod error;
mod evidence;
mod exchange;
mod facts;
mod hostkeys;
mod login;
mod mask;
mod normalise;
mod prompt;
mod recording;
mod screen;
mod session;
mod target;
mod textfsm;
mod timer;
mod transport;

pub use algorithms::{Profile, Weakness};
pub use answer::{About, Answer, Seconds};
pub use collected::{Collected, Incomplete, Seen};
pub use driver::{Driver, Output, Structure, Transport};
pub use drivers::Drivers;
pub use error::{DriverError, Error};
pub use evidence::{Complete, is_quote_odd};
pub use facts::Facts;
pub use hostkeys::{HostKeys, KeyNews, OnUnknown};
pub use login::Login;
pub use mask::{Masked, Masker};
pub use recording::{RecordError, Recording};
pub use session::Session;
pub use target::{Target, Times};
pub use textfsm::{Template, TemplateError, Value};
pub use timer::Timer;
pub use transport::Jump;

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
    done.then(|| exchange::owned(exchange.reply().read(driver).0))
}

/// What recordings of one device come to, for tests.
#[doc(hidden)]
#[derive(Debug)]
pub struct Replay<'a>(&'a Driver, prompt::Prompt, &'a [u8]);

impl<'a> Replay<'a> {
    /// A device with this prompt, as it writes it; `None` when the driver does not take it for one.
    #[must_use]
    pub fn new(driver: &'a Driver, prompt: &'a [u8]) -> Option<Self> {
        let mut screen = screen::Screen::default();
        screen.push(prompt);
        let learned = prompt::Prompt::learned(screen.current(), driver);
        driver
            .is_prompt(screen.current())
            .then_some(Self(driver, learned, prompt))
    }

    /// The lines of the answer to `command`, and whether they are known to be whole; `pieces` are what the device wrote behind the
    /// command, one for each time that it was asked on at its pager.
    #[must_use]
    pub fn answer(&self, command: &str, pieces: &[&[u8]]) -> Option<(Vec<String>, bool)> {
        let Self(driver, _, prompt) = self;
        let again = [b"\r\n", *prompt].concat();
        let (lines, spoilt) = self.exchanged(command, pieces, Some(&again))?;
        let whole = !spoilt && driver.refusal(&lines).is_none() && driver.complete().holds(&lines);
        Some((lines, whole))
    }

    /// The same, where `pieces` are also what came behind each empty line that was sent.
    #[must_use]
    pub fn heard(&self, command: &str, pieces: &[&[u8]]) -> Option<Vec<String>> {
        self.exchanged(command, pieces, None)
            .map(|(lines, _)| lines)
    }

    fn exchanged(
        &self,
        command: &str,
        pieces: &[&[u8]],
        again: Option<&[u8]>,
    ) -> Option<(Vec<String>, bool)> {
        use exchange::Step;
        let Self(driver, learned, _) = self;
        let mut exchange = exchange::Exchange::new(driver, learned, command, false, 1 << 26);
        let mut pieces = pieces.iter();
        let mut step = exchange.push(pieces.next()?).ok()?;
        loop {
            step = match step {
                Step::Done => break,
                Step::Wait => match exchange.nudge() {
                    Step::Ask => Step::Ask,
                    _ => return None,
                },
                Step::Page => exchange.push(pieces.next()?).ok()?,
                Step::Ask => {
                    let piece = again.or_else(|| pieces.next().copied());
                    exchange.push(piece?).ok()?
                }
            };
        }
        let reply = exchange.reply();
        let (lines, spoilt) = reply.read(driver);
        Some((exchange::owned(lines), spoilt))
    }
}
