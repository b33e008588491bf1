//! What was said in a session, anonymous, to be replayed by tests.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::anonymise::Anonymiser;
use crate::driver::Driver;
use crate::mask::Masker;
use crate::screen::Screen;
use crate::{Error, Session};

/// Stands in the bytes of a device where we sent something.
const SENT: u8 = 0x1e;
/// First line of a transcript.
const HEAD: &str = "sotp-ssh-config recording 1";

/// Why there is no recording.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The session failed.
    #[error(transparent)]
    Session(#[from] Error),
    /// Devices without a terminal have nothing that a recording would show.
    #[error("the driver of {0} types nothing into a terminal")]
    NoTerminal(String),
    /// Something that tells whose device it is would be left in it.
    #[error("the answer to {0:?} cannot be made anonymous")]
    NotAnonymous(String),
    /// The transcript is none, or none of this form.
    #[error("line {0} of the transcript is not one of a recording")]
    Form(usize),
}

/// What was typed, and what came.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    command: String,
    /// What came behind the command, and behind each further key or empty line.
    pieces: Vec<Vec<u8>>,
}

/// A session with one device: commands and the bytes of their answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    platform: String,
    prompt: String,
    said: Vec<Said>,
}

impl Recording {
    /// Runs every command that the driver of `session` knows and that changes nothing, and takes out what tells whose device it is:
    /// `names` are replaced by what stands beside them.
    ///
    /// # Errors
    /// As [`Session::run`]; or something would be left in it: then nothing of it is told.
    pub async fn of(session: &mut Session, names: &[(&str, &str)]) -> Result<Self, RecordError> {
        let driver = session.driver();
        let prompt = session
            .prompt()
            .ok_or_else(|| RecordError::NoTerminal(driver.platform().to_owned()))?;
        let mut said = Vec::new();
        let mut seen = BTreeSet::new();
        for command in driver.every_command() {
            if seen.insert(command.clone()) {
                let pieces = session.heard(&command).await?;
                said.push(Said { command, pieces });
            }
        }
        let own = Self {
            platform: driver.platform().to_owned(),
            prompt,
            said,
        };
        let mut key = [0; 32];
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut key)
            .map_err(|_| RecordError::NotAnonymous(String::new()))?;
        own.anonymous(&driver, names, &key)
    }

    fn anonymous(
        &self,
        driver: &Driver,
        names: &[(&str, &str)],
        key: &[u8],
    ) -> Result<Self, RecordError> {
        let shown = |said: &Said| {
            let mut screen = Screen::default();
            said.pieces.iter().for_each(|piece| screen.push(piece));
            let lines: Vec<_> = screen
                .lines()
                .iter()
                .map(|line| String::from_utf8_lossy(line).into_owned())
                .collect();
            lines.join("\n")
        };
        let texts: Vec<String> = self.said.iter().map(shown).collect();
        let mut secrets = BTreeSet::new();
        let mut serials = Vec::new();
        for (said, text) in self.said.iter().zip(&texts) {
            secrets.extend(Masker::secrets(Some(driver), text));
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            let mut facts = crate::Facts::default();
            for fact in driver
                .facts
                .iter()
                .filter(|fact| fact.command == said.command)
            {
                facts.read(fact, &lines);
            }
            serials.extend(facts.serial);
        }
        // The name in the prompt is that of the device.
        let base = driver.prompt_base(self.prompt.trim_end().as_bytes());
        let base = String::from_utf8_lossy(&base).into_owned();
        let own = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
        let host = base.rsplit(own).find(|word| !word.is_empty());
        let mut names = names.to_vec();
        names.extend(host.map(|host| (host, "r1")));
        let mut anonymiser = Anonymiser::new(key, secrets.into_iter().chain(serials), &names);
        texts.iter().for_each(|text| anonymiser.study(text));
        let prompt = anonymiser.line(&self.prompt);
        let mut said = Vec::new();
        for own in &self.said {
            let left = || RecordError::NotAnonymous(own.command.clone());
            anonymiser.begin();
            let pieces = pieces(&mut anonymiser, &own.pieces);
            let now = Said {
                command: own.command.clone(),
                pieces,
            };
            anonymiser.check(&shown(&now)).map_err(|_| left())?;
            // Also where control characters stand inside of a word.
            for piece in &now.pieces {
                let bare: String = String::from_utf8_lossy(piece)
                    .chars()
                    .filter(|c| !c.is_control() || *c == '\n')
                    .collect();
                anonymiser.check(&bare).map_err(|_| left())?;
            }
            // Commands are data of the driver; a device that was asked for something of a name would show it.
            anonymiser.check(&now.command).map_err(|_| left())?;
            said.push(now);
        }
        Ok(Self {
            platform: self.platform.clone(),
            prompt,
            said,
        })
    }

    /// The platform.
    #[must_use]
    pub fn platform(&self) -> &str {
        &self.platform
    }

    /// The prompt, as the device writes it.
    #[must_use]
    pub fn prompt(&self) -> &str {
        &self.prompt
    }

    /// Each command with the lines of its answer, as a session has them.
    ///
    /// # Errors
    /// A command whose answer does not come whole out of it.
    pub fn replay(&self, driver: &Driver) -> Result<Vec<(String, Vec<String>)>, RecordError> {
        let refused = |said: &Said| RecordError::NotAnonymous(said.command.clone());
        let mut answers = Vec::new();
        for said in &self.said {
            let replay =
                crate::Replay::new(driver, self.prompt.as_bytes()).ok_or_else(|| refused(said))?;
            let pieces: Vec<&[u8]> = said.pieces.iter().map(Vec::as_slice).collect();
            let lines = replay
                .heard(&said.command, &pieces)
                .ok_or_else(|| refused(said))?;
            answers.push((said.command.clone(), lines));
        }
        Ok(answers)
    }

    /// The transcript: `> ` before what was typed, `< ` before what came, with `\r`, `\n`, `\xNN` and `\\` for what cannot be shown.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "{HEAD}\nplatform {}\nprompt {}\n",
            self.platform,
            escaped(self.prompt.as_bytes())
        );
        for said in &self.said {
            let _ = writeln!(text, "> {}", escaped(said.command.as_bytes()));
            for (number, piece) in said.pieces.iter().enumerate() {
                if number > 0 {
                    text.push_str("+\n");
                }
                for line in piece.split_inclusive(|byte| *byte == b'\n') {
                    let _ = writeln!(text, "< {}", escaped(line));
                }
            }
        }
        text
    }

    /// The recording in a transcript.
    ///
    /// # Errors
    /// [`RecordError::Form`], with the number of the line.
    pub fn parse(text: &str) -> Result<Self, RecordError> {
        let mut lines = text.lines().enumerate();
        let mut expected = 0;
        let mut head = |prefix: &str| {
            expected += 1;
            let line = lines.next().map(|(_, line)| line);
            let rest = line.and_then(|line| line.strip_prefix(prefix));
            rest.and_then(unescaped).ok_or(RecordError::Form(expected))
        };
        head(HEAD)?;
        let utf8 = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let platform = utf8(head("platform ")?);
        let prompt = utf8(head("prompt ")?);
        let mut said: Vec<Said> = Vec::new();
        for (number, line) in lines {
            let wrong = || RecordError::Form(number + 1);
            let (kind, rest) = line.split_at_checked(2).unwrap_or((line, ""));
            let bytes = unescaped(rest).ok_or_else(wrong)?;
            match (kind, said.last_mut()) {
                ("> ", _) => said.push(Said {
                    command: utf8(bytes),
                    pieces: vec![Vec::new()],
                }),
                ("+", Some(said)) => said.pieces.push(Vec::new()),
                ("< ", Some(said)) => said.pieces.last_mut().ok_or_else(wrong)?.extend(bytes),
                _ => return Err(wrong()),
            }
        }
        Ok(Self {
            platform,
            prompt,
            said,
        })
    }
}

/// The pieces of an answer, each line anonymous; the control characters in it stay where the line is told apart from them.
fn pieces(anonymiser: &mut Anonymiser, pieces: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (number, piece) in pieces.iter().enumerate() {
        if number > 0 {
            all.push(SENT);
        }
        all.extend(piece.iter().filter(|byte| **byte != SENT));
    }
    let mut out = Vec::new();
    for line in all.split_inclusive(|byte| *byte == b'\n') {
        out.extend(raw_line(anonymiser, line));
    }
    out.split(|byte| *byte == SENT)
        .map(<[u8]>::to_vec)
        .collect()
}

fn raw_line(anonymiser: &mut Anonymiser, line: &[u8]) -> Vec<u8> {
    let mut screen = Screen::default();
    screen.push(line);
    let seen = screen
        .lines()
        .first()
        .map_or(screen.current(), Vec::as_slice);
    let seen = String::from_utf8_lossy(seen).into_owned();
    let shown = anonymiser.line(&seen);
    if shown == seen {
        // What the terminal wiped out again may hold something, too.
        let plain = String::from_utf8_lossy(line);
        if anonymiser.check(&plain).is_ok() {
            return line.to_vec();
        }
    }
    let text = seen.as_bytes();
    let start = line
        .windows(text.len().max(1))
        .rposition(|part| part == text);
    match start.filter(|_| !text.is_empty()) {
        Some(start) => [
            &line[..start],
            shown.as_bytes(),
            &line[start + text.len()..],
        ]
        .concat(),
        None => {
            let sent = line.iter().copied().filter(|byte| *byte == SENT);
            let end = line
                .iter()
                .copied()
                .filter(|byte| matches!(byte, b'\r' | b'\n'));
            let end: Vec<u8> = end.collect();
            let tail = end.len().saturating_sub(2);
            sent.chain(shown.bytes())
                .chain(end[tail..].iter().copied())
                .collect()
        }
    }
}

fn escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    for piece in bytes.utf8_chunks() {
        for c in piece.valid().chars() {
            match c {
                '\r' => text.push_str("\\r"),
                '\n' => text.push_str("\\n"),
                '\\' => text.push_str("\\\\"),
                c if c.is_control() => {
                    let mut held = [0; 4];
                    for byte in c.encode_utf8(&mut held).bytes() {
                        let _ = write!(text, "\\x{byte:02x}");
                    }
                }
                c => text.push(c),
            }
        }
        for byte in piece.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    // An editor would cut a space at the end off.
    match text.strip_suffix(' ') {
        Some(rest) => format!("{rest}\\x20"),
        None => text,
    }
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let kind = rest.as_bytes().get(at + 1)?;
        let mut used = 2;
        bytes.push(match kind {
            b'r' => b'\r',
            b'n' => b'\n',
            b'\\' => b'\\',
            b'x' => {
                used = 4;
                u8::from_str_radix(rest.get(at + 2..at + 4)?, 16).ok()?
            }
            _ => return None,
        });
        rest = &rest[at + used..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}

#[cfg(test)]
mod tests;
