//! One login on a device, and what is said in it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::Instrument as _;

use crate::driver::Question;
use crate::exchange::{Exchange, Step};
use crate::prompt::Prompt;
use crate::screen::Screen;
use crate::transport::{Connection, Jump, Shell};
use crate::{
    Driver, Error, Facts, HostKeys, KeyNews, Login, Output, Profile, Timer, Transport, Weakness,
    timer,
};

/// Longest command in bytes: what fits on one line of the terminal together with its prompt.
const LONGEST_COMMAND: usize = 400;
/// Silence after the last prompt of a configuration before it counts as the last.
const SETTLE: Duration = Duration::from_millis(25);
/// Silence after which a log message may have been written over the prompt.
const NUDGE: Duration = Duration::from_millis(1500);
/// Silence after which an empty line asks for the prompt anew.
const ASK_AGAIN: Duration = Duration::from_millis(1500);
/// Most bytes between login and prompt: banners.
const MOST_BANNER: usize = 1 << 20;

/// Where a device listens and how it is spoken to.
#[derive(Clone, Debug)]
pub struct Target {
    /// IP address or DNS name, also the name under which its host key is known.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Which algorithms it is offered.
    pub profile: Profile,
    /// Bounds of the waits before the first command.
    pub times: Times,
    /// A host that is logged in on, through which it is reached.
    pub jump: Option<Jump>,
}

/// Bounds of the waits before the first command.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// TCP connection and key exchange.
    pub connect: Duration,
    /// Login, and the opening of the shell.
    pub login: Duration,
    /// From the open shell to the prompt.
    pub prompt: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            login: Duration::from_secs(20),
            prompt: Duration::from_secs(15),
        }
    }
}

impl Target {
    /// A device with the algorithms and bounds that most have.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            profile: Profile::default(),
            times: Times::default(),
            jump: None,
        }
    }

    pub(crate) fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// What a device said to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The lines, without echo, prompt, messages of the log and trailing spaces.
    pub lines: Vec<String>,
    /// The line by which the device said that it did not take the command.
    pub refused: Option<String>,
    /// Bytes that came from the device.
    pub bytes: usize,
    /// Whether it is known to be all of it; not when the text of a pager was left in it.
    pub whole: bool,
    /// Exit status, from a device without a terminal.
    pub status: Option<u32>,
}

impl Answer {
    /// The lines as one text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.lines.join("\n");
        if !text.is_empty() {
            text.push('\n');
        }
        text
    }
}

/// Why a configuration does not count as whole.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Incomplete {
    /// The evidence that the driver wants is not there.
    Evidence,
    /// The device did not take a command; its words.
    Refused(String),
    /// Text of a pager was left in an answer.
    Pager,
}

impl Incomplete {
    /// Its name, fit for a label.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Evidence => "evidence",
            Self::Refused(_) => "refused",
            Self::Pager => "pager",
        }
    }

    /// Every value of [`Incomplete::reason`].
    pub const REASONS: [&'static str; 3] = ["evidence", "refused", "pager"];
}

/// A configuration as it was collected: normalised, not masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collected {
    /// The text; not to be stored unless `complete` is `Ok`.
    pub text: String,
    /// Whether there is evidence that it is whole.
    pub complete: Result<(), Incomplete>,
    /// Bytes that came from the device.
    pub bytes: usize,
    /// Who changed it last, where the device writes that into its configuration.
    pub author: Option<String>,
}

/// What a device says of itself, and what it answered to further commands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct About {
    /// Model, version, serial number, and numbers.
    pub facts: Facts,
    /// Name and text of each answer, not masked.
    pub outputs: Vec<(String, String)>,
}

/// Time that the parts of a session took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seconds {
    /// TCP connection and key exchange.
    pub connect: Duration,
    /// Login.
    pub login: Duration,
    /// From the open shell to the prompt.
    pub prompt: Duration,
    /// Commands.
    pub commands: Duration,
}

/// Lines around those of a change.
struct Way {
    enter: Vec<String>,
    commit: Vec<String>,
    leave: Vec<String>,
    abort: Vec<String>,
}

/// A login on a device.
pub struct Session {
    connection: Connection,
    driver: Arc<Driver>,
    shell: Option<(Shell, Prompt)>,
    /// Whether the last prompt was that of configuration mode.
    configuring: bool,
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
        Self::opened(target, login, driver, keys)
            .instrument(span)
            .await
    }

    async fn opened(
        target: &Target,
        login: &Login,
        driver: &Arc<Driver>,
        keys: &Arc<HostKeys>,
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
            let within = target.times.prompt;
            let mut prompt = learn(&mut shell, driver, within).await?;
            if let Some(privilege) = &driver.privilege
                && privilege.when.is_match(prompt.text())
            {
                prompt = raise(&mut shell, driver, &prompt, login, within).await?;
            }
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

    /// The configuration, normalised: the answers of the driver's commands one behind the other, each under a comment with its
    /// command where there are several.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub async fn collect(&mut self) -> Result<Collected, Error> {
        self.collect_unless(|_| false).await
    }

    /// As [`Session::collect`], where `known` says that a text is the one that is held already: a device whose driver wants two
    /// readings that are the same is then read once.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub async fn collect_unless(
        &mut self,
        known: impl Fn(&str) -> bool,
    ) -> Result<Collected, Error> {
        let span = tracing::info_span!("ssh configuration is read");
        let twice = async {
            let mut first = self.collected().await?;
            if first.complete.is_ok() && self.driver.complete().twice && !known(&first.text) {
                let second = self.collected().await?;
                first.bytes += second.bytes;
                first.complete = match second.complete {
                    Ok(()) if first.text != second.text => Err(Incomplete::Evidence),
                    other => other,
                };
            }
            Ok(first)
        };
        twice.instrument(span).await
    }

    /// The configuration that the device starts with, normalised; `None` where the driver knows none, or the device does not show it whole.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub async fn startup(&mut self) -> Result<Option<String>, Error> {
        let driver = Arc::clone(&self.driver);
        let Some(command) = &driver.startup else {
            return Ok(None);
        };
        let answer = self.exchange(command, false, SETTLE).await?;
        let whole = answer.refused.is_none() && answer.whole;
        Ok((whole && driver.complete().holds(&answer.lines))
            .then(|| driver.normalise(&answer.lines)))
    }

    /// What the device says of itself, by the commands that its driver names.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub async fn facts(&mut self) -> Result<Facts, Error> {
        self.about(&[]).await.map(|about| about.facts)
    }

    /// What the device says of itself, and what it answers to the commands of `outputs`, each asked once: name and normalised
    /// text. A command that it does not take is left out, as is an answer that is not whole.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub async fn about(&mut self, outputs: &[&Output]) -> Result<About, Error> {
        let driver = Arc::clone(&self.driver);
        let mut about = About::default();
        let facts = driver.facts.iter().map(|fact| fact.command.as_str());
        let commands = outputs.iter().map(|output| output.command());
        let mut asked: Vec<&str> = Vec::new();
        for command in facts.chain(commands) {
            if asked.contains(&command) {
                continue;
            }
            asked.push(command);
            let answer = self.exchange(command, false, Duration::ZERO).await?;
            if answer.refused.is_some()
                || !answer.whole
                || answer.status.is_some_and(|status| status != 0)
            {
                continue;
            }
            for fact in driver.facts.iter().filter(|fact| fact.command == command) {
                about.facts.read(fact, &answer.lines);
            }
            for output in outputs.iter().filter(|output| output.command() == command) {
                let text = output.normalise(&answer.lines);
                about.outputs.push((output.name().to_owned(), text));
            }
        }
        Ok(about)
    }

    pub(crate) fn driver(&self) -> Arc<Driver> {
        Arc::clone(&self.driver)
    }

    /// The prompt as it was learned; `None` without a terminal.
    pub(crate) fn prompt(&self) -> Option<String> {
        let (_, prompt) = self.shell.as_ref()?;
        Some(String::from_utf8_lossy(prompt.text()).into_owned())
    }

    /// The bytes that come behind a command, and behind each key and empty line that is sent after it.
    pub(crate) async fn heard(&mut self, command: &str) -> Result<Vec<Vec<u8>>, Error> {
        check(command)?;
        let driver = Arc::clone(&self.driver);
        let mut heard = Vec::new();
        if let Some((shell, prompt)) = &mut self.shell {
            let exchange = Exchange::new(&driver, prompt, command, false, driver.most);
            by_shell(shell, exchange, command, SETTLE, None, Some(&mut heard)).await?;
        }
        Ok(heard)
    }

    async fn collected(&mut self) -> Result<Collected, Error> {
        let driver = Arc::clone(&self.driver);
        let mut lines = Vec::new();
        let mut bytes = 0;
        let mut complete = Ok(());
        for command in &driver.collect {
            let answer = self.exchange(command, false, SETTLE).await?;
            bytes += answer.bytes;
            let flaw = match (&answer.refused, answer.status) {
                (Some(words), _) => Some(Incomplete::Refused(words.clone())),
                _ if !answer.whole => Some(Incomplete::Pager),
                (None, status) if driver.transport() == Transport::Exec && status != Some(0) => {
                    Some(Incomplete::Evidence)
                }
                _ => None,
            };
            if let (Some(flaw), Ok(())) = (flaw, &complete) {
                complete = Err(flaw);
            }
            if driver.collect.len() > 1 {
                lines.push(format!("{} {command}", driver.comment));
            }
            lines.extend(answer.lines);
        }
        if complete.is_ok() && !driver.complete().holds(&lines) {
            complete = Err(Incomplete::Evidence);
        }
        Ok(Collected {
            text: driver.normalise(&lines),
            complete,
            bytes,
            author: driver.author(&lines),
        })
    }

    /// Enters configuration mode, types `lines`, commits where the platform does so, and leaves it again.
    ///
    /// The answers are those to `lines`. When the device does not take one of them, the rest is not typed, what can be undone
    /// is (`abort` of the driver), and the last answer carries the refusal.
    ///
    /// # Errors
    /// As [`Session::run`], and [`Error::Unsupported`] when the driver knows no configuration mode.
    pub async fn configure<L: AsRef<str>>(&mut self, lines: &[L]) -> Result<Vec<Answer>, Error> {
        // Lines may hold secrets: how many there are is all that a trace is told.
        let span = tracing::info_span!("ssh lines are typed", "ssh.lines" = lines.len());
        self.configured(lines).instrument(span).await
    }

    async fn configured<L: AsRef<str>>(&mut self, lines: &[L]) -> Result<Vec<Answer>, Error> {
        let driver = Arc::clone(&self.driver);
        let Some(configure) = &driver.configure else {
            return Err(Error::Unsupported {
                platform: driver.platform().to_owned(),
                what: "configuration mode",
            });
        };
        let way = Way {
            enter: configure.enter.clone(),
            commit: configure.commit.clone(),
            leave: configure.leave.clone(),
            abort: configure.abort.clone(),
        };
        for line in lines {
            check(line.as_ref())?;
        }
        if let Some(refused) = self.enter(&way).await? {
            return Ok(vec![refused]);
        }
        self.typed(&way, lines, None).await
    }

    /// As [`Session::configure`], but the device takes the lines back when `timer` is over, unless [`Session::confirm`] comes first.
    /// `None`: this device takes no timer, and nothing was typed.
    ///
    /// After an error nobody knows whether the change was made; when it was, its timer runs.
    ///
    /// # Errors
    /// As [`Session::run`], and [`Error::Unsupported`] when the driver knows no timer.
    pub async fn configure_until<L: AsRef<str>>(
        &mut self,
        lines: &[L],
        timer: &Timer,
    ) -> Result<Option<Vec<Answer>>, Error> {
        let span = tracing::info_span!(
            "ssh lines are typed with a timer",
            "ssh.lines" = lines.len(),
            "ssh.minutes" = timer.minutes()
        );
        self.configured_until(lines, timer).instrument(span).await
    }

    async fn configured_until<L: AsRef<str>>(
        &mut self,
        lines: &[L],
        timer: &Timer,
    ) -> Result<Option<Vec<Answer>>, Error> {
        let driver = Arc::clone(&self.driver);
        let timed = driver
            .timed()
            .ok_or_else(|| timer::unknown(driver.platform()))?;
        let filled = |lines: &[String]| lines.iter().map(|line| timer.fill(line)).collect();
        let way = Way {
            enter: filled(&timed.enter),
            commit: filled(&timed.arm),
            leave: filled(&timed.leave),
            abort: filled(&timed.abort),
        };
        for line in lines {
            check(line.as_ref())?;
        }
        let refused = self.enter(&way).await?;
        // Words alone do not tell: each version says in its own that it has no archive. Who is not in the mode has typed nothing.
        if refused.is_some() || (driver.transport() == Transport::Shell && !self.configuring) {
            return Ok(None);
        }
        Ok(Some(self.typed(&way, lines, timed.ask.as_ref()).await?))
    }

    /// Keeps a change that was made with a timer; it may be said in another session than the change.
    ///
    /// The answer is the one that refuses it, or the last one.
    ///
    /// # Errors
    /// As [`Session::configure_until`].
    pub async fn confirm(&mut self, timer: &Timer) -> Result<Answer, Error> {
        let driver = Arc::clone(&self.driver);
        let timed = driver
            .timed()
            .ok_or_else(|| timer::unknown(driver.platform()))?;
        self.all(&timed.confirm, timer).await
    }

    /// Takes a change that was made with a timer back at once. `None`: the device knows no such command, and its timer has to do it.
    ///
    /// # Errors
    /// As [`Session::configure_until`].
    pub async fn revert(&mut self, timer: &Timer) -> Result<Option<Answer>, Error> {
        let driver = Arc::clone(&self.driver);
        let timed = driver
            .timed()
            .ok_or_else(|| timer::unknown(driver.platform()))?;
        if timed.revert.is_empty() {
            return Ok(None);
        }
        self.all(&timed.revert, timer).await.map(Some)
    }

    /// Types each of them, in whatever mode it is; where one is refused, configuration mode is left without the rest.
    async fn all(&mut self, lines: &[String], timer: &Timer) -> Result<Answer, Error> {
        let driver = Arc::clone(&self.driver);
        let mut last = None;
        for line in lines {
            let answer = self
                .exchange(&timer.fill(line), true, Duration::ZERO)
                .await?;
            let refused = answer.refused.is_some();
            last = Some(answer);
            if refused {
                if let Some(configure) = driver.configure.as_ref().filter(|_| self.configuring) {
                    for line in &configure.abort {
                        self.exchange(line, true, Duration::ZERO).await?;
                    }
                }
                break;
            }
        }
        last.ok_or_else(|| timer::unknown(driver.platform()))
    }

    /// Enters configuration mode; the answer is the refusal.
    async fn enter(&mut self, way: &Way) -> Result<Option<Answer>, Error> {
        for line in &way.enter {
            let answer = self.exchange(line, true, Duration::ZERO).await?;
            if answer.refused.is_some() {
                return Ok(Some(answer));
            }
        }
        Ok(None)
    }

    /// Types lines in configuration mode, commits and leaves it.
    async fn typed<L: AsRef<str>>(
        &mut self,
        way: &Way,
        lines: &[L],
        question: Option<&Question>,
    ) -> Result<Vec<Answer>, Error> {
        let mut answers = Vec::new();
        let typed = lines.iter().map(AsRef::as_ref);
        let mut refused = false;
        for line in typed.chain(way.commit.iter().map(String::as_str)) {
            let ask = question.filter(|_| answers.len() == lines.len());
            let answer = self.asked(line, true, Duration::ZERO, ask).await?;
            refused = answer.refused.is_some();
            if refused || answers.len() < lines.len() {
                answers.push(answer);
            }
            if refused {
                break;
            }
        }
        for line in if refused { &way.abort } else { &way.leave } {
            self.exchange(line, true, Duration::ZERO).await?;
        }
        Ok(answers)
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
        self.asked(command, configuring, settle, None).await
    }

    /// As [`Session::exchange`], where the device may ask something back.
    async fn asked(
        &mut self,
        command: &str,
        configuring: bool,
        settle: Duration,
        question: Option<&Question>,
    ) -> Result<Answer, Error> {
        check(command)?;
        let began = Instant::now();
        let driver = Arc::clone(&self.driver);
        let answered = match &mut self.shell {
            None => by_channel(&self.connection, &driver, command).await,
            Some((shell, prompt)) => {
                let exchange = Exchange::new(&driver, prompt, command, configuring, driver.most);
                let (answer, outside) =
                    by_shell(shell, exchange, command, settle, question, None).await?;
                self.configuring = !outside;
                Ok(answer)
            }
        };
        self.seconds.commands += began.elapsed();
        answered
    }
}

/// Whether `command` is one line that a terminal takes as it is.
fn check(command: &str) -> Result<(), Error> {
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

async fn by_channel(
    connection: &Connection,
    driver: &Driver,
    command: &str,
) -> Result<Answer, Error> {
    let (output, status) = connection.exec(command, driver.most, driver.answer).await?;
    let mut screen = Screen::default();
    screen.push(&output);
    let text = |line: &[u8]| String::from_utf8_lossy(line).into_owned();
    let mut lines: Vec<String> = screen.lines().iter().map(|line| text(line)).collect();
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

/// The answer, and whether the prompt behind it is the one outside of configuration mode.
async fn by_shell(
    shell: &mut Shell,
    mut exchange: Exchange<'_>,
    command: &str,
    settle: Duration,
    question: Option<&Question>,
    mut heard_all: Option<&mut Vec<Vec<u8>>>,
) -> Result<(Answer, bool), Error> {
    let driver = exchange.driver();
    let mut question = question;
    let until = Instant::now() + driver.answer;
    let mut hear = |bytes: Option<&[u8]>| {
        if let Some(all) = heard_all.as_deref_mut() {
            match (bytes, all.last_mut()) {
                (Some(bytes), Some(last)) => last.extend_from_slice(bytes),
                _ => all.push(Vec::new()),
            }
        }
    };
    hear(None);
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
                hear(None);
                shell.send(driver.enter.clone(), driver.quiet).await?;
            }
            continue;
        };
        heard = Instant::now();
        hear(Some(&bytes));
        let mut step = exchange.push(&bytes)?;
        // What comes at once behind the last prompt shows that it was none.
        while step == Step::Done && !settle.is_zero() {
            match shell.receive(settle).await? {
                Some(more) => {
                    hear(Some(&more));
                    step = exchange.push(&more)?;
                }
                None => break,
            }
        }
        if matches!(step, Step::Page | Step::Ask) {
            hear(None);
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
    let (bytes, outside) = (exchange.bytes(), exchange.is_outside());
    let (lines, spoilt) = exchange.finish();
    let answer = Answer {
        refused: driver.refusal(&lines).map(str::to_owned),
        lines,
        bytes,
        whole: !spoilt,
        status: None,
    };
    Ok((answer, outside))
}

/// Learns the prompt: the last line, when an empty line makes the device write the same one again.
async fn learn(shell: &mut Shell, driver: &Driver, within: Duration) -> Result<Prompt, Error> {
    let until = Instant::now() + within;
    let mut screen = Screen::default();
    let mut answered = vec![false; driver.questions.len()];
    shell.send(driver.enter.clone(), within).await?;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || screen.bytes() > MOST_BANNER {
            return Err(Error::Prompt {
                last: shown(screen.current()),
            });
        }
        match shell.receive(left.min(ASK_AGAIN)).await? {
            Some(bytes) => screen.push(&bytes),
            None => {
                shell.send(driver.enter.clone(), within).await?;
                continue;
            }
        }
        let current = screen.current();
        for (question, answered) in driver.questions.iter().zip(&mut answered) {
            let asked = |line: &[u8]| question.ask.is_match(line);
            if !*answered
                && (asked(current) || screen.lines().last().is_some_and(|line| asked(line)))
            {
                *answered = true;
                shell.send(question.send.clone(), within).await?;
            }
        }
        if !driver.is_prompt(current) {
            continue;
        }
        let written = |line: &&Vec<u8>| !line.is_empty() && !driver.is_ignored(line);
        if screen
            .lines()
            .iter()
            .rev()
            .find(written)
            .is_some_and(|line| line == current)
        {
            return Ok(Prompt::learned(current, driver));
        }
        if screen
            .lines()
            .iter()
            .filter(|line| *line == current)
            .count()
            == 0
        {
            shell.send(driver.enter.clone(), within).await?;
        }
    }
}

/// Enters privileged mode.
async fn raise(
    shell: &mut Shell,
    driver: &Driver,
    prompt: &Prompt,
    login: &Login,
    within: Duration,
) -> Result<Prompt, Error> {
    let Some(privilege) = &driver.privilege else {
        return Ok(prompt.clone());
    };
    shell
        .send(format!("{}{}", privilege.command, driver.enter), within)
        .await?;
    let until = Instant::now() + within;
    let mut screen = Screen::default();
    let mut told = false;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let Some(bytes) = shell.receive(left).await? else {
            return Err(Error::Privilege);
        };
        screen.push(&bytes);
        let current = screen.current();
        // Prompts from before the command say nothing.
        let echo = |line: &Vec<u8>| line.ends_with(privilege.command.as_bytes());
        if !screen.lines().iter().any(echo) {
            continue;
        }
        if !told && privilege.ask.is_match(current) {
            let secret = login.privilege_secret().ok_or(Error::Privilege)?;
            told = true;
            shell
                .send(format!("{}{}", secret.reveal(), driver.enter), within)
                .await?;
        } else if told && privilege.ask.is_match(current) && screen.lines().len() > 2 {
            // It asks again, so the secret was wrong; a second one would lock the account.
            return Err(Error::Privilege);
        } else if driver.is_prompt(current) {
            let learned = learn(shell, driver, within).await?;
            return match privilege.when.is_match(learned.text()) {
                true => Err(Error::Privilege),
                false => Ok(learned),
            };
        }
    }
}

/// The last 60 characters of a line, printable.
fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let count = text.chars().count();
    text.chars()
        .skip(count.saturating_sub(60))
        .map(|c| if c.is_control() { '.' } else { c })
        .collect()
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
