//! Devices by SSH: sessions are kept for a moment, so that the looks of one job are one login.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use inventory::Device;
use ssh::{Drivers, Target, Timer};
use toolkit::Live;

use crate::config::Config;
use crate::session::{Access, AccessError, Account, Session};

/// How long a session is kept that nobody uses.
const KEPT: Duration = Duration::from_secs(60);
/// Most sessions that are kept.
const MOST: usize = 256;

type Key = (String, Account, String);
type Shelf = Arc<Mutex<HashMap<Key, Vec<(ssh::Session, Instant)>>>>;

/// Opens sessions as the configuration in force says.
pub struct Reached {
    config: Live<Config>,
    kept: Shelf,
}

impl std::fmt::Debug for Reached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reached").finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(error: &ssh::Error) -> AccessError {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    AccessError::new(error.reason(), text)
}

impl Reached {
    /// Devices as `config` says.
    #[must_use]
    pub fn new(config: Live<Config>) -> Self {
        Self {
            config,
            kept: Arc::default(),
        }
    }

    /// Closes sessions that nobody used for a while.
    pub fn tidy(&self) {
        let mut kept = locked(&self.kept);
        for sessions in kept.values_mut() {
            sessions.retain(|(session, since)| session.is_open() && since.elapsed() < KEPT);
        }
        kept.retain(|_, sessions| !sessions.is_empty());
    }

    async fn opened(
        &self,
        device: &Device,
        account: Account,
    ) -> Result<Box<dyn Session>, AccessError> {
        let config = self.config.current();
        let Some(way) = &device.ssh else {
            return Err(AccessError::new(
                "unsupported",
                "the inventory does not say how the device is reached by SSH",
            ));
        };
        let name = way.credentials.as_deref().unwrap_or("default");
        let credential = config
            .reach
            .logins
            .get(name)
            .and_then(|logins| logins.of(account));
        let Some(credential) = credential else {
            let what = match account {
                Account::Repair => "repair",
                Account::Console => "console",
            };
            return Err(AccessError::new(
                "login",
                format!("the configuration has no ssh.credentials.{name}.{what}"),
            ));
        };
        let login = credential
            .login()
            .map_err(|error| AccessError::new("login", error))?;
        let driver = Drivers::built_in().get(&device.platform);
        let driver = driver.ok_or_else(|| {
            AccessError::new(
                "unsupported",
                format!("no driver for the platform {:?}", &*device.platform),
            )
        })?;
        let host = device.address.to_string();
        let key = (
            format!("{}@{host}:{}", login.user(), way.port),
            account,
            device.name.to_string(),
        );
        let again = {
            let mut kept = locked(&self.kept);
            let found = kept.get_mut(&key).and_then(Vec::pop);
            found.filter(|(session, since)| session.is_open() && since.elapsed() < KEPT)
        };
        let (session, reused) = match again {
            Some((session, _)) => (session, true),
            None => {
                let target = Target::new(host, way.port);
                let opened = ssh::Session::open(&target, &login, &driver, &config.reach.keys).await;
                (opened.map_err(|error| failed(&error))?, false)
            }
        };
        let target = Target::new(device.address.to_string(), way.port);
        Ok(Box::new(Used {
            session: Some(session),
            reused,
            key,
            shelf: Arc::clone(&self.kept),
            target,
            login,
            driver,
            config,
        }))
    }
}

impl Access for Reached {
    fn open<'a>(
        &'a self,
        device: &'a Device,
        account: Account,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, AccessError>> {
        Box::pin(self.opened(device, account))
    }

    fn mask(&self, device: &Device, text: &str) -> String {
        let driver = Drivers::built_in().get(&device.platform);
        self.config
            .current()
            .reach
            .masker
            .mask(driver.as_deref(), text)
            .text
    }
}

/// A session in use; it goes back to the kept ones when nothing went wrong.
struct Used {
    session: Option<ssh::Session>,
    /// Nobody knows whether the other side still has it.
    reused: bool,
    key: Key,
    shelf: Shelf,
    target: Target,
    login: ssh::Login,
    driver: Arc<ssh::Driver>,
    config: Arc<Config>,
}

impl Used {
    fn session(&mut self) -> Result<&mut ssh::Session, AccessError> {
        self.session
            .as_mut()
            .ok_or_else(|| AccessError::new("closed", "the session ended with an error before"))
    }

    async fn asked(&mut self, command: &str) -> Result<String, AccessError> {
        let first = self.session()?.run(command).await;
        let answer = match first {
            Err(error) if self.reused && !matches!(error, ssh::Error::Command { .. }) => {
                // It may have ended while it was kept; a question may be asked twice.
                self.session = None;
                let session = ssh::Session::open(
                    &self.target,
                    &self.login,
                    &self.driver,
                    &self.config.reach.keys,
                )
                .await;
                self.session = Some(session.map_err(|error| failed(&error))?);
                self.session()?.run(command).await
            }
            first => first,
        };
        self.reused = false;
        match answer {
            Ok(answer) if !answer.whole => {
                Err(AccessError::new("incomplete", "the answer is not whole"))
            }
            // What the device says of a thing that it does not have is an answer too.
            Ok(answer) => Ok(answer.text()),
            Err(error) => {
                self.session = None;
                Err(failed(&error))
            }
        }
    }

    async fn acted(&mut self, lines: &[String]) -> Result<String, AccessError> {
        let mut text = String::new();
        for line in lines {
            let answer = match self.session()?.run(line).await {
                Ok(answer) => answer,
                Err(error) => {
                    self.session = None;
                    return Err(failed(&error));
                }
            };
            text.push_str(&format!("> {line}\n{}", answer.text()));
            if let Some(words) = &answer.refused {
                let detail = format!("the device did not take {line:?}: {words}");
                return Err(AccessError::new("refused", detail));
            }
            if let Some(status) = answer.status.filter(|status| *status != 0) {
                let detail = format!("{line:?} ended with status {status}: {}", answer.text());
                return Err(AccessError::new("refused", detail.trim_end()));
            }
        }
        Ok(text)
    }

    async fn typed(&mut self, lines: &[String]) -> Result<String, AccessError> {
        let answers = self.session()?.configure(lines).await;
        told(lines, &self.good(answers)?)
    }

    async fn typed_until(
        &mut self,
        lines: &[String],
        timer: &Timer,
    ) -> Result<Option<String>, AccessError> {
        let answers = self.session()?.configure_until(lines, timer).await;
        let answers = self.good(answers)?;
        answers.map(|answers| told(lines, &answers)).transpose()
    }

    async fn settled(&mut self, timer: &Timer, keep: bool) -> Result<Option<String>, AccessError> {
        let session = self.session()?;
        let answer = if keep {
            session.confirm(timer).await.map(Some)
        } else {
            session.revert(timer).await
        };
        match self.good(answer)? {
            None => Ok(None),
            Some(answer) => match answer.refused {
                Some(words) => Err(refused(&words)),
                None => Ok(Some(answer.text())),
            },
        }
    }

    /// A session in which something went wrong is not used again.
    fn good<T>(&mut self, done: Result<T, ssh::Error>) -> Result<T, AccessError> {
        done.map_err(|error| {
            self.session = None;
            failed(&error)
        })
    }
}

fn refused(words: &str) -> AccessError {
    AccessError::new("refused", format!("the device did not take it: {words}"))
}

/// What the device said to each line, unless it refused one.
fn told(lines: &[String], answers: &[ssh::Answer]) -> Result<String, AccessError> {
    if let Some(words) = answers.iter().find_map(|answer| answer.refused.as_ref()) {
        return Err(refused(words));
    }
    let mut text = String::new();
    for (line, answer) in lines.iter().zip(answers) {
        text.push_str(&format!("> {line}\n"));
        let said = answer.text();
        if !said.trim().is_empty() {
            text.push_str(said.trim_end());
            text.push('\n');
        }
    }
    Ok(text)
}

impl Session for Used {
    fn run<'a>(&'a mut self, command: &'a str) -> BoxFuture<'a, Result<String, AccessError>> {
        Box::pin(self.asked(command))
    }

    fn configure<'a>(
        &'a mut self,
        lines: &'a [String],
    ) -> BoxFuture<'a, Result<String, AccessError>> {
        Box::pin(self.typed(lines))
    }

    fn act<'a>(&'a mut self, lines: &'a [String]) -> BoxFuture<'a, Result<String, AccessError>> {
        Box::pin(self.acted(lines))
    }

    fn configure_until<'a>(
        &'a mut self,
        lines: &'a [String],
        timer: &'a Timer,
    ) -> BoxFuture<'a, Result<Option<String>, AccessError>> {
        Box::pin(self.typed_until(lines, timer))
    }

    fn confirm<'a>(&'a mut self, timer: &'a Timer) -> BoxFuture<'a, Result<String, AccessError>> {
        Box::pin(async move { Ok(self.settled(timer, true).await?.unwrap_or_default()) })
    }

    fn revert<'a>(
        &'a mut self,
        timer: &'a Timer,
    ) -> BoxFuture<'a, Result<Option<String>, AccessError>> {
        Box::pin(self.settled(timer, false))
    }
}

impl Drop for Used {
    fn drop(&mut self) {
        let Some(session) = self.session.take().filter(ssh::Session::is_open) else {
            return;
        };
        let mut kept = locked(&self.shelf);
        if kept.values().map(Vec::len).sum::<usize>() < MOST {
            kept.entry(self.key.clone())
                .or_default()
                .push((session, Instant::now()));
        }
    }
}
