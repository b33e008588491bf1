//! What was said in a session, anonymous, to be replayed by tests.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::anonymise::{Anonymiser, Left};
use crate::driver::Driver;
use crate::mask::Masker;
use crate::screen::Screen;
use crate::session::Opening;
use crate::{Error, Session};

/// Stands in the bytes of a device where we sent something.
const SENT: u8 = 0x1e;
/// First line of a transcript, but for its version: the second has the dialogue of the login.
const HEAD: &str = "sotp-ssh-config recording ";

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
    #[error("what it says to {0:?} cannot be made anonymous")]
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

/// A session with one device: the dialogue of the login, commands, and the bytes of their answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    platform: String,
    /// What came from the open shell to the prompt, a piece for each time that something was sent.
    login: Vec<Vec<u8>>,
    prompt: String,
    said: Vec<Said>,
}

impl Recording {
    /// Runs every command that the driver of `session` ([`Session::open_recorded`]) knows and that changes nothing, and takes out what tells whose device it is:
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
            login: session.dialogue().to_vec(),
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
        let texts: Vec<String> = self.said.iter().map(|said| shown(&said.pieces)).collect();
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
        // Of what stands before the prompt only what the driver waits for is known not to be somebody's own words.
        let prompt_like = |line: &str| {
            let line = line.trim().as_bytes();
            driver.is_prompt(line) && driver.prompt_base(line) == base.as_bytes()
        };
        let entered = driver.privilege.as_ref().map(|own| own.command.as_str());
        let known = |line: &str| {
            let typed = entered.and_then(|command| line.trim().strip_suffix(command));
            line.trim().is_empty()
                || prompt_like(line)
                || typed.is_some_and(prompt_like)
                || driver.is_asked(line.trim().as_bytes())
        };
        let mut welcome = |anonymiser: &mut Anonymiser, line: &str| match known(line) {
            true => anonymiser.line(line),
            false => anonymiser.words(line),
        };
        let own = self.login.iter().map(std::slice::from_ref);
        let login: Vec<Vec<u8>> = own
            .flat_map(|piece| pieces(&mut anonymiser, piece, &mut welcome))
            .collect();
        checked(&anonymiser, &login).map_err(|_| RecordError::NotAnonymous("login".to_owned()))?;
        let mut said = Vec::new();
        for own in &self.said {
            let left = |_| RecordError::NotAnonymous(own.command.clone());
            anonymiser.begin();
            let pieces = pieces(&mut anonymiser, &own.pieces, &mut Anonymiser::line);
            checked(&anonymiser, &pieces).map_err(left)?;
            // Commands are data of the driver; a device that was asked for something of a name would show it.
            anonymiser.check(&own.command).map_err(left)?;
            said.push(Said {
                command: own.command.clone(),
                pieces,
            });
        }
        Ok(Self {
            platform: self.platform.clone(),
            login,
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

    /// Whether a session with `driver` learns the prompt from the dialogue of the login, and not before its end. A transcript of the
    /// first version has none.
    #[must_use]
    pub fn replays_login(&self, driver: &Driver) -> bool {
        let mut opening = Opening::new(driver);
        let mut learned = None;
        for piece in &self.login {
            if learned.is_some() {
                return false;
            }
            match opening.push(piece) {
                Ok((_, prompt)) => learned = prompt,
                Err(_) => return false,
            }
        }
        learned.is_some_and(|prompt| prompt.text() == self.prompt.trim_end().as_bytes())
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

    /// The transcript: `login` before what came before the prompt, `> ` before what was typed, `< ` before what came, with `\r`, `\n`, `\xNN` and `\\` for what cannot be shown.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "{HEAD}2\nplatform {}\nprompt {}\nlogin\n",
            self.platform,
            escaped(self.prompt.as_bytes())
        );
        write_pieces(&mut text, &self.login);
        for said in &self.said {
            let _ = writeln!(text, "> {}", escaped(said.command.as_bytes()));
            write_pieces(&mut text, &said.pieces);
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
        let version = head(HEAD)?;
        if !matches!(&*version, b"1" | b"2") {
            return Err(RecordError::Form(1));
        }
        let utf8 = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let platform = utf8(head("platform ")?);
        let prompt = utf8(head("prompt ")?);
        let mut login = Vec::new();
        let mut said: Vec<Said> = Vec::new();
        let mut begun = false;
        for (number, line) in lines {
            let wrong = || RecordError::Form(number + 1);
            if line == "login" && !begun && said.is_empty() && *version == *b"2" {
                begun = true;
                login.push(Vec::new());
                continue;
            }
            let (kind, rest) = line.split_at_checked(2).unwrap_or((line, ""));
            let bytes = unescaped(rest).ok_or_else(wrong)?;
            if kind == "> " {
                said.push(Said {
                    command: utf8(bytes),
                    pieces: vec![Vec::new()],
                });
                continue;
            }
            let pieces = said.last_mut().map_or(&mut login, |said| &mut said.pieces);
            match (kind, pieces.last_mut()) {
                ("+", Some(_)) => pieces.push(Vec::new()),
                ("< ", Some(piece)) => piece.extend(bytes),
                _ => return Err(wrong()),
            }
        }
        Ok(Self {
            platform,
            login,
            prompt,
            said,
        })
    }
}

/// What a terminal would show of them.
fn shown(pieces: &[Vec<u8>]) -> String {
    let mut screen = Screen::default();
    pieces.iter().for_each(|piece| screen.push(piece));
    let lines: Vec<_> = screen
        .lines()
        .chain([screen.current()])
        .map(String::from_utf8_lossy)
        .collect();
    lines.join("\n")
}

/// Holds what would be told against everything that had to go.
fn checked(anonymiser: &Anonymiser, pieces: &[Vec<u8>]) -> Result<(), Left> {
    anonymiser.check(&shown(pieces))?;
    // Also where control characters stand inside of a word.
    pieces.iter().try_for_each(|piece| {
        let bare: String = String::from_utf8_lossy(piece)
            .chars()
            .filter(|c| !c.is_control() || *c == '\n')
            .collect();
        anonymiser.check(&bare)
    })
}

fn write_pieces(text: &mut String, pieces: &[Vec<u8>]) {
    for (number, piece) in pieces.iter().enumerate() {
        if number > 0 {
            text.push_str("+\n");
        }
        for line in piece.split_inclusive(|byte| *byte == b'\n') {
            let _ = writeln!(text, "< {}", escaped(line));
        }
    }
}

/// The pieces of an answer, each line anonymous by `hide`; the control characters in it stay where the line is told apart from them.
fn pieces(
    anonymiser: &mut Anonymiser,
    pieces: &[Vec<u8>],
    hide: &mut impl FnMut(&mut Anonymiser, &str) -> String,
) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (number, piece) in pieces.iter().enumerate() {
        if number > 0 {
            all.push(SENT);
        }
        all.extend(piece.iter().filter(|byte| **byte != SENT));
    }
    let mut out = Vec::new();
    for line in all.split_inclusive(|byte| *byte == b'\n') {
        out.extend(raw_line(anonymiser, line, hide));
    }
    out.split(|byte| *byte == SENT)
        .map(<[u8]>::to_vec)
        .collect()
}

fn raw_line(
    anonymiser: &mut Anonymiser,
    line: &[u8],
    hide: &mut impl FnMut(&mut Anonymiser, &str) -> String,
) -> Vec<u8> {
    let mut screen = Screen::default();
    screen.push(line);
    let seen = screen.lines().next().unwrap_or(screen.current());
    let seen = String::from_utf8_lossy(seen).into_owned();
    let shown = hide(anonymiser, &seen);
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
