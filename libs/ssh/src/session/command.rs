//! One command and its answer, over a terminal or a channel of its own.

use std::time::{Duration, Instant};

use crate::driver::Question;
use crate::exchange::{Exchange, Reply, Step};
use crate::screen::Screen;
use crate::transport::{Connection, Shell};
use crate::{Answer, Driver, Error};

/// Longest command in bytes: what fits on one line of the terminal together with its prompt.
const LONGEST_COMMAND: usize = 400;
/// Silence after which a log message may have been written over the prompt.
const NUDGE: Duration = Duration::from_millis(1500);

/// Whether `command` is one line that a terminal takes as it is.
pub(super) fn check(command: &str) -> Result<(), Error> {
    // A question mark asks for help at once, and a tab completes, before the line has ended.
    let forbidden = |c: char| c.is_control() || c == '?';
    if command.trim().is_empty()
        || command.len() > LONGEST_COMMAND
        || command.chars().any(forbidden)
    {
        return Err(Error::Command {
            most: LONGEST_COMMAND,
        });
    }
    Ok(())
}

pub(super) async fn by_channel(
    connection: &Connection,
    driver: &Driver,
    command: &str,
) -> Result<Answer, Error> {
    let (output, status) = connection.exec(command, driver.most, driver.answer).await?;
    let mut screen = Screen::default();
    screen.push(&output);
    let text = |line: &[u8]| String::from_utf8_lossy(line).into_owned();
    let mut lines: Vec<String> = screen.lines().map(text).collect();
    if !screen.current().is_empty() {
        lines.push(text(screen.current()));
    }
    Ok(Answer {
        refused: driver.refusal(&lines).map(str::to_owned),
        lines,
        bytes: output.len(),
        whole: status.is_some(),
        status,
    })
}

/// The answer as it came, and whether the prompt behind it is the one outside of configuration mode.
pub(super) async fn by_shell(
    shell: &mut Shell,
    mut exchange: Exchange<'_>,
    command: &str,
    settle: Duration,
    question: Option<&Question>,
) -> Result<(Reply, bool), Error> {
    let driver = exchange.driver();
    let mut question = question;
    let until = Instant::now() + driver.answer;
    shell
        .send(format!("{}{}", command.trim(), driver.enter), driver.quiet)
        .await?;
    let mut heard = Instant::now();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let Some(bytes) = shell.receive(left.min(NUDGE)).await? else {
            if heard.elapsed() >= driver.quiet || left.is_zero() {
                return Err(match exchange.echoed() {
                    true => Error::Timeout {
                        what: "answer",
                        after: heard.elapsed().max(driver.quiet.min(driver.answer)),
                    },
                    false => Error::Echo {
                        after: driver.quiet,
                    },
                });
            }
            if exchange.nudge() == Step::Ask {
                shell.send(driver.enter.clone(), driver.quiet).await?;
            }
            continue;
        };
        heard = Instant::now();
        let mut step = exchange.push(&bytes)?;
        // What comes at once behind the last prompt shows that it was none.
        while step == Step::Done && !settle.is_zero() {
            match shell.receive(settle).await? {
                Some(more) => {
                    step = exchange.push(&more)?;
                }
                None => break,
            }
        }
        if step == Step::Wait
            && let Some(asked) =
                question.take_if(|question| question.ask.is_match(exchange.current()))
        {
            shell
                .send(format!("{}{}", asked.send, driver.enter), driver.quiet)
                .await?;
        }
        match step {
            Step::Wait => {}
            Step::Page => shell.send(" ", driver.quiet).await?,
            Step::Ask => shell.send(driver.enter.clone(), driver.quiet).await?,
            Step::Done => break,
        }
        if left.is_zero() {
            return Err(Error::Timeout {
                what: "answer",
                after: driver.answer,
            });
        }
    }
    let outside = exchange.is_outside();
    Ok((exchange.reply(), outside))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_single_lines_without_control_characters() {
        assert!(check("show version").is_ok());
        for bad in [
            "",
            "show\nreload",
            "show\rreload",
            "show\t",
            "show ?",
            "\u{1b}[A",
            &"x".repeat(401),
        ] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
