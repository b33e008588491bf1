//! One login on a device, and what is said in it.

mod change;
mod collect;
mod command;
mod opening;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::Instrument as _;

use crate::answer::Said;
use crate::driver::Question;
use crate::exchange::Exchange;
use crate::prompt::Prompt;
use crate::screen::Screen;
use crate::transport::{Connection, Shell};
use crate::{
    Answer, Driver, Error, HostKeys, KeyNews, Login, Seconds, Target, Transport, Weakness,
};

use command::{by_channel, by_shell, check};
pub(crate) use opening::Opening;

/// Silence after the last prompt of a configuration before it counts as the last.
const SETTLE: Duration = Duration::from_millis(25);
/// Most bytes between login and prompt: banners.
const MOST_BANNER: usize = 1 << 20;

/// A login on a device.
pub struct Session {
    connection: Connection,
    driver: Arc<Driver>,
    shell: Option<(Shell, Prompt)>,
    /// Whether the last prompt was that of configuration mode.
    configuring: bool,
    /// What the device wrote on the way to the prompt, where that was recorded: a piece for each time that it was sent something.
    dialogue: Vec<Vec<u8>>,
    weak: Vec<Weakness>,
    key: KeyNews,
    seconds: Seconds,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("platform", &self.driver.platform())
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Connects, checks the host key, logs in once, and learns the prompt.
    ///
    /// # Errors
    /// Any of [`Error`]; nothing is tried a second time.
    pub async fn open(
        target: &Target,
        login: &Login,
        driver: &Arc<Driver>,
        keys: &Arc<HostKeys>,
    ) -> Result<Self, Error> {
        let span = tracing::info_span!("ssh login", "server.address" = %target.host, "server.port" = target.port);
        Self::opened(target, login, driver, keys, false)
            .instrument(span)
            .await
    }

    /// As [`Session::open`], for [`Recording::of`](crate::Recording::of): what the device writes from the open shell to the prompt is kept.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub async fn open_recorded(
        target: &Target,
        login: &Login,
        driver: &Arc<Driver>,
        keys: &Arc<HostKeys>,
    ) -> Result<Self, Error> {
        Self::opened(target, login, driver, keys, true).await
    }

    async fn opened(
        target: &Target,
        login: &Login,
        driver: &Arc<Driver>,
        keys: &Arc<HostKeys>,
        recorded: bool,
    ) -> Result<Self, Error> {
        let named;
        let login = match driver.login_suffix.as_str() {
            "" => login,
            suffix => {
                named = login.with_suffix(suffix);
                &named
            }
        };
        let (connection, handshake) = Connection::open(target, login, keys).await?;
        let mut session = Self {
            connection,
            driver: Arc::clone(driver),
            shell: None,
            configuring: false,
            dialogue: Vec::new(),
            weak: handshake.weak,
            key: handshake.key.unwrap_or(KeyNews::Known),
            seconds: Seconds {
                connect: handshake.connect,
                login: handshake.login,
                ..Seconds::default()
            },
        };
        if driver.transport() == Transport::Shell {
            let began = Instant::now();
            let mut shell = session
                .connection
                .shell(driver.width, driver.height)
                .await?;
            if recorded {
                shell.record();
            }
            let prompt = opening::open(&mut shell, driver, login, target.times.prompt).await?;
            session.dialogue = shell.recorded();
            session.shell = Some((shell, prompt));
            for command in driver.prepare.clone() {
                session.exchange(&command, false, Duration::ZERO).await?;
            }
            session.seconds.prompt = began.elapsed();
        }
        Ok(session)
    }

    /// The weak algorithms that were agreed upon.
    #[must_use]
    pub fn weak(&self) -> &[Weakness] {
        &self.weak
    }

    /// Whether the host key was known before.
    #[must_use]
    pub fn key(&self) -> KeyNews {
        self.key
    }

    /// Time that the parts took so far.
    #[must_use]
    pub fn seconds(&self) -> Seconds {
        self.seconds
    }

    /// Whether the connection still stands, as far as this side knows.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.connection.is_open()
    }

    /// Whether the device still answers: an empty line brings the prompt within `bound`. Without a terminal, whether the
    /// connection stands.
    pub async fn is_alive(&mut self, bound: Duration) -> bool {
        if !self.is_open() {
            return false;
        }
        let Some((shell, prompt)) = &mut self.shell else {
            return true;
        };
        let answers = async {
            // What its log wrote meanwhile.
            while let Ok(Some(_)) = shell.receive(Duration::from_millis(1)).await {}
            shell.send(self.driver.enter.clone(), bound).await?;
            let mut screen = Screen::default();
            while screen.bytes() < MOST_BANNER {
                match shell.receive(bound).await? {
                    Some(bytes) => screen.push(&bytes),
                    None => break,
                }
                if screen.current() == prompt.text() {
                    return Ok(true);
                }
            }
            Ok::<_, Error>(false)
        };
        matches!(tokio::time::timeout(bound, answers).await, Ok(Ok(true)))
    }

    /// Runs one command that changes no mode.
    ///
    /// # Errors
    /// [`Error::Command`] for a command that is more than one line; whatever happens on the way. After an error the session is of
    /// no further use, except after [`Error::Command`].
    pub async fn run(&mut self, command: &str) -> Result<Answer, Error> {
        let span = tracing::info_span!("ssh command", "ssh.command" = command);
        self.exchange(command, false, Duration::ZERO)
            .instrument(span)
            .await
    }

    pub(crate) fn driver(&self) -> Arc<Driver> {
        Arc::clone(&self.driver)
    }

    /// The prompt as it was learned; `None` without a terminal.
    pub(crate) fn prompt(&self) -> Option<String> {
        let (_, prompt) = self.shell.as_ref()?;
        Some(String::from_utf8_lossy(prompt.text()).into_owned())
    }

    /// What the device wrote on the way to the prompt, where that was recorded.
    pub(crate) fn dialogue(&self) -> &[Vec<u8>] {
        &self.dialogue
    }

    /// The bytes that come behind a command, and behind each key and empty line that is sent after it.
    pub(crate) async fn heard(&mut self, command: &str) -> Result<Vec<Vec<u8>>, Error> {
        check(command)?;
        let driver = Arc::clone(&self.driver);
        let Some((shell, prompt)) = &mut self.shell else {
            return Ok(Vec::new());
        };
        let exchange = Exchange::new(&driver, prompt, command, false, driver.most);
        shell.record();
        let answered = by_shell(shell, exchange, command, SETTLE, None).await;
        let heard = shell.recorded();
        answered.map(|_| heard)
    }

    /// Ends the session, politely where the device lets it.
    pub async fn close(self) {
        self.connection.close().await;
    }

    async fn exchange(
        &mut self,
        command: &str,
        configuring: bool,
        settle: Duration,
    ) -> Result<Answer, Error> {
        let said = self.said(command, configuring, settle, None).await?;
        Ok(said.answer(&self.driver))
    }

    /// What comes behind a command; `question` is what the device may ask back.
    async fn said(
        &mut self,
        command: &str,
        configuring: bool,
        settle: Duration,
        question: Option<&Question>,
    ) -> Result<Said, Error> {
        check(command)?;
        let began = Instant::now();
        let driver = Arc::clone(&self.driver);
        let said = match &mut self.shell {
            None => by_channel(&self.connection, &driver, command)
                .await
                .map(Said::Channel),
            Some((shell, prompt)) => {
                let exchange = Exchange::new(&driver, prompt, command, configuring, driver.most);
                let (reply, outside) = by_shell(shell, exchange, command, settle, question).await?;
                self.configuring = !outside;
                Ok(Said::Terminal(reply))
            }
        };
        self.seconds.commands += began.elapsed();
        said
    }
}
