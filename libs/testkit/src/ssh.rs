//! Devices that speak SSH, in this process: a command line with a prompt, a pager and faults.
//!
//! A device echoes what is typed, answers the commands it knows with the text it was given, and pages until it is told
//! `terminal length 0` (or what was set instead). Each has its own port on loopback and its own host key.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use russh::keys::{Algorithm, PrivateKey, PublicKeyBase64 as _};
use russh::server::{self, Auth, Msg, Response, Session};
use russh::{Channel, ChannelId, MethodKind, MethodSet, Preferred, Pty};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends behind so many bytes of the first answer with more than one line.
    Cut(usize),
    /// Nothing more comes behind so many bytes of the first answer with more than one line.
    Stall(usize),
    /// What is typed is not echoed.
    NoEcho,
    /// The banner before the prompt holds the prompt itself, twice.
    Imitation,
    /// The pager does not erase itself and stands behind the text of a line.
    Glued,
    /// The first answer with more than one line never ends.
    Endless,
    /// The connection breaks, without a word, behind so many bytes of the first answer with more than one line.
    Reset(usize),
    /// The first answer with more than one line ends behind so many bytes, and the prompt follows as if it were whole.
    Short(usize),
    /// A message of its log stands between the lines of every answer, and over the prompt behind the first one.
    Logs(&'static str),
}

/// A device to be started.
#[derive(Clone, Debug)]
pub struct Device {
    name: String,
    login: (String, String),
    end: &'static str,
    banner: String,
    address: IpAddr,
    answers: Arc<Mutex<HashMap<String, String>>>,
    unpage: String,
    page: Option<usize>,
    pager: [String; 2],
    think: std::time::Duration,
    interactive: bool,
    enable: Option<String>,
    fault: Option<Fault>,
    piece: usize,
    preferred: Option<Preferred>,
}

/// A device that listens; it ends when this is dropped.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its line of a `known_hosts` file.
    pub known_host: String,
    answers: Arc<Mutex<HashMap<String, String>>>,
    typed: Arc<Mutex<Vec<String>>>,
    logins: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

fn told(answers: &Mutex<HashMap<String, String>>, command: &str, text: &str) {
    let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
    answers.insert(command.to_owned(), text.to_owned());
}

impl Running {
    /// Says something else to a command from now on.
    pub fn answer(&self, command: &str, text: &str) {
        told(&self.answers, command, text);
    }

    /// Passwords that were tried, right or wrong.
    #[must_use]
    pub fn logins(&self) -> usize {
        self.logins.load(Ordering::Relaxed)
    }

    /// The lines that were typed, in order, and the commands that were run without a terminal.
    #[must_use]
    pub fn typed(&self) -> Vec<String> {
        self.typed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Device {
    /// A device with the prompt `name#`, on which `user` logs in with `password`.
    #[must_use]
    pub fn new(name: &str, user: &str, password: &str) -> Self {
        Self {
            name: name.to_owned(),
            login: (user.to_owned(), password.to_owned()),
            end: "# ",
            banner: String::new(),
            address: Ipv4Addr::LOCALHOST.into(),
            answers: Arc::default(),
            unpage: "terminal length 0".to_owned(),
            page: None,
            pager: [
                " --More-- ".to_owned(),
                "\u{8}".repeat(10) + &" ".repeat(10) + &"\u{8}".repeat(10),
            ],
            think: std::time::Duration::ZERO,
            interactive: false,
            enable: None,
            fault: None,
            piece: 1400,
            preferred: None,
        }
    }

    /// What ends its prompt; `# ` unless set.
    #[must_use]
    pub fn end(mut self, end: &'static str) -> Self {
        self.end = end;
        self
    }

    /// Text before the first prompt.
    #[must_use]
    pub fn banner(mut self, banner: &str) -> Self {
        self.banner = banner.to_owned();
        self
    }

    /// What it says to a command.
    #[must_use]
    pub fn answer(self, command: &str, text: &str) -> Self {
        told(&self.answers, command, text);
        self
    }

    /// Another address of loopback than 127.0.0.1.
    #[must_use]
    pub fn at(mut self, address: IpAddr) -> Self {
        self.address = address;
        self
    }

    /// Pages every so many lines until the command `off` is typed.
    #[must_use]
    pub fn page(mut self, lines: usize, off: &str) -> Self {
        self.page = Some(lines);
        self.unpage = off.to_owned();
        self
    }

    /// What its pager shows, and what it writes to erase that once a key was pressed.
    #[must_use]
    pub fn pager(mut self, text: &str, erase: &str) -> Self {
        self.pager = [text.to_owned(), erase.to_owned()];
        self
    }

    /// Thinks for so long before it answers a command.
    #[must_use]
    pub fn think(mut self, time: std::time::Duration) -> Self {
        self.think = time;
        self
    }

    /// Takes the password as the answer to a question only.
    #[must_use]
    pub fn interactive(mut self) -> Self {
        self.interactive = true;
        self
    }

    /// Starts with the prompt `name>` and asks for `secret` at `enable`.
    #[must_use]
    pub fn enable(mut self, secret: &str) -> Self {
        self.enable = Some(secret.to_owned());
        self.end = "> ";
        self
    }

    /// Goes wrong.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }

    /// Sends at most so many bytes at a time.
    #[must_use]
    pub fn piece(mut self, bytes: usize) -> Self {
        self.piece = bytes;
        self
    }

    /// Knows only algorithms of the year 2005.
    #[must_use]
    pub fn ancient(mut self) -> Self {
        self.preferred = Some(Preferred {
            kex: Cow::Borrowed(&[russh::kex::DH_G1_SHA1]),
            cipher: Cow::Borrowed(&[russh::cipher::TRIPLE_DES_CBC]),
            mac: Cow::Borrowed(&[russh::mac::HMAC_SHA1]),
            ..Preferred::DEFAULT
        });
        self
    }

    fn told(&self, command: &str) -> Option<String> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(command).cloned()
    }

    /// Listens on a free port of loopback.
    ///
    /// # Errors
    /// No port, or no host key.
    pub async fn start(self) -> anyhow::Result<Running> {
        let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519)
            .context("host key")?;
        let listener = tokio::net::TcpListener::bind((self.address, 0)).await?;
        let address = listener.local_addr()?;
        let known_host = format!(
            "[{}]:{} ssh-ed25519 {}\n",
            address.ip(),
            address.port(),
            key.public_key_base64()
        );
        let method = if self.interactive {
            MethodKind::KeyboardInteractive
        } else {
            MethodKind::Password
        };
        let config = Arc::new(server::Config {
            keys: vec![key],
            methods: MethodSet::from(&[method][..]),
            auth_rejection_time: std::time::Duration::from_millis(10),
            preferred: self.preferred.clone().unwrap_or_default(),
            nodelay: true,
            // What is typed is queued for the channel too, where nobody reads it: with the default a session ends to hear after 100 lines.
            channel_buffer_size: 1 << 20,
            ..server::Config::default()
        });
        let typed = Arc::new(Mutex::new(Vec::new()));
        let logins = Arc::new(AtomicUsize::new(0));
        let tried = Arc::clone(&logins);
        let answers = Arc::clone(&self.answers);
        let (device, log) = (Arc::new(self), Arc::clone(&typed));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let line = Line {
                    device: Arc::clone(&device),
                    typed: Arc::clone(&log),
                    logins: Arc::clone(&tried),
                    channel: None,
                    forwarded: Vec::new(),
                    input: String::new(),
                    mode: String::new(),
                    end: device.end,
                    asked: false,
                    paging: device.page.is_some(),
                    held: Vec::new(),
                    faulty: device.fault,
                    silent: false,
                    broken: false,
                };
                let config = Arc::clone(&config);
                tokio::spawn(async move {
                    if let Ok(session) = server::run_stream(config, stream, line).await {
                        let _ = session.await;
                    }
                });
            }
        });
        Ok(Running {
            address,
            known_host,
            answers,
            typed,
            logins,
            task,
        })
    }
}

/// The command line of one login.
struct Line {
    device: Arc<Device>,
    typed: Arc<Mutex<Vec<String>>>,
    logins: Arc<AtomicUsize>,
    channel: Option<Channel<Msg>>,
    /// Channels that lead on to another device.
    forwarded: Vec<ChannelId>,
    input: String,
    mode: String,
    end: &'static str,
    /// Whether the secret of `enable` is being asked for.
    asked: bool,
    paging: bool,
    /// Lines behind the pager.
    held: Vec<String>,
    faulty: Option<Fault>,
    silent: bool,
    /// Whether the connection ends with what has been said.
    broken: bool,
}

impl Line {
    fn prompt(&self) -> String {
        format!("{}{}{}", self.device.name, self.mode, self.end)
    }

    fn say(
        &self,
        channel: ChannelId,
        session: &mut Session,
        text: &str,
    ) -> Result<(), russh::Error> {
        if self.silent {
            return Ok(());
        }
        for piece in text.as_bytes().chunks(self.device.piece) {
            session.data(channel, piece.to_vec())?;
        }
        Ok(())
    }

    fn log(&self, line: &str) {
        let mut typed = self.typed.lock().unwrap_or_else(PoisonError::into_inner);
        typed.push(line.to_owned());
    }

    /// Shows lines, a page of them where it pages, and then the prompt.
    fn show(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), russh::Error> {
        let page = self
            .device
            .page
            .filter(|_| self.paging)
            .unwrap_or(usize::MAX);
        let rest = self.held.split_off(page.min(self.held.len()));
        let mut text = String::new();
        for line in std::mem::replace(&mut self.held, rest) {
            text.push_str(&line);
            text.push_str("\r\n");
            if let Some(Fault::Logs(log)) = self.device.fault {
                text.push_str(log);
                text.push_str("\r\n");
            }
        }
        if self.held.is_empty() {
            text.push_str(&self.prompt());
            if let Some(Fault::Logs(log)) = self.faulty.take_if(|_| text.contains('\n')) {
                text.push_str(&format!("\r\n{log}\r\n"));
            }
        } else {
            if self.device.fault == Some(Fault::Glued) {
                text.truncate(text.len() - 2);
            }
            text.push_str(&self.device.pager[0]);
        }
        self.say(channel, session, &text)
    }

    fn command(
        &mut self,
        line: &str,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let device = Arc::clone(&self.device);
        if std::mem::take(&mut self.asked) {
            let right = device.enable.as_deref() == Some(line);
            if right {
                self.end = "# ";
            }
            let words = if right { "" } else { "% Bad secrets\r\n" };
            return self.say(channel, session, &format!("\r\n{words}{}", self.prompt()));
        }
        let command = line.trim();
        self.log(command);
        self.say(channel, session, "\r\n")?;
        if command == "enable" && device.enable.is_some() {
            self.asked = true;
            return self.say(channel, session, "Password: ");
        }
        let mut answer = Vec::new();
        match command {
            "" => {}
            _ if command == device.unpage => self.paging = false,
            "configure terminal" => "(config)".clone_into(&mut self.mode),
            "end" => self.mode.clear(),
            // All that was said arrives, and the status, before the channel ends.
            "exit" => {
                session.exit_status_request(channel, 0)?;
                session.eof(channel)?;
                return session.close(channel);
            }
            _ if !self.mode.is_empty() => {
                if command.starts_with("interface ") {
                    "(config-if)".clone_into(&mut self.mode);
                } else if command.starts_with("wrong") {
                    answer.push("% Invalid input detected".to_owned());
                }
            }
            _ => match device.told(command) {
                Some(text) => answer = text.lines().map(str::to_owned).collect(),
                None => answer.push("% Unknown command.".to_owned()),
            },
        }
        if answer.len() > 1 {
            match self.faulty.take() {
                Some(Fault::Cut(bytes)) => {
                    let text = answer.join("\r\n") + "\r\n";
                    self.say(channel, session, &text[..bytes.min(text.len())])?;
                    session.close(channel)?;
                    return Ok(());
                }
                Some(Fault::Stall(bytes)) => {
                    let text = answer.join("\r\n") + "\r\n";
                    self.say(channel, session, &text[..bytes.min(text.len())])?;
                    self.silent = true;
                    return Ok(());
                }
                Some(Fault::Reset(bytes)) => {
                    let text = answer.join("\r\n") + "\r\n";
                    self.say(channel, session, &text[..bytes.min(text.len())])?;
                    self.silent = true;
                    self.broken = true;
                    return Ok(());
                }
                Some(Fault::Short(bytes)) => {
                    let text = answer.join("\r\n") + "\r\n";
                    self.say(channel, session, &text[..bytes.min(text.len())])?;
                    return self.say(channel, session, &self.prompt());
                }
                Some(Fault::Endless) => {
                    let text = "interface again\r\n".repeat(4096);
                    for _ in 0..64 {
                        self.say(channel, session, &text)?;
                    }
                    return Ok(());
                }
                other => self.faulty = other,
            }
        }
        self.held = answer;
        self.show(channel, session)
    }
}

impl server::Handler for Line {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        self.logins.fetch_add(1, Ordering::Relaxed);
        let (name, secret) = &self.device.login;
        Ok(match user == name && password == secret {
            true => Auth::Accept,
            false => Auth::reject(),
        })
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        let Some(mut response) = response else {
            return Ok(Auth::Partial {
                name: "".into(),
                instructions: "".into(),
                prompts: vec![("Password: ".into(), false)].into(),
            });
        };
        let (name, secret) = &self.device.login;
        let right = user == name
            && response
                .next()
                .is_some_and(|word| *word == *secret.as_bytes());
        Ok(if right { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: server::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channel = Some(channel);
        reply.accept().await;
        Ok(())
    }

    /// A way to another device, as through a jump host: to addresses of loopback alone.
    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _: &str,
        _: u32,
        reply: server::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        let address = host.parse::<IpAddr>().ok().filter(IpAddr::is_loopback);
        let (Some(address), Ok(port)) = (address, u16::try_from(port)) else {
            return Ok(());
        };
        self.log(&format!("forward {host}"));
        if let Ok(mut stream) = tokio::net::TcpStream::connect((address, port)).await {
            self.forwarded.push(channel.id());
            reply.accept().await;
            tokio::spawn(async move {
                let mut channel = channel.into_stream();
                let _ = tokio::io::copy_bidirectional(&mut channel, &mut stream).await;
            });
        }
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }

    async fn shell_request(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)?;
        let mut text = self.device.banner.replace('\n', "\r\n");
        if self.device.fault == Some(Fault::Imitation) {
            let line = self.prompt();
            text.push_str(&format!("{line}\r\n{line}\r\nWelcome\r\n"));
        }
        text.push_str(&self.prompt());
        self.say(channel, session, &text)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)?;
        let command = String::from_utf8_lossy(data).into_owned();
        self.log(&command);
        let (text, status) = match self.device.told(&command) {
            Some(text) => (text, 0),
            None => (format!("sh: 1: {command}: not found\n"), 127),
        };
        if let (Some(Fault::Cut(bytes)), true) = (self.faulty, text.lines().count() > 1) {
            self.say(channel, session, &text[..bytes.min(text.len())])?;
            return session.close(channel);
        }
        self.say(channel, session, &text)?;
        session.exit_status_request(channel, status)?;
        session.eof(channel)?;
        session.close(channel)
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if self.forwarded.contains(&channel) {
            return Ok(());
        }
        for character in String::from_utf8_lossy(data).chars() {
            if !self.held.is_empty() {
                let glued = self.device.fault == Some(Fault::Glued);
                let device = Arc::clone(&self.device);
                self.say(channel, session, if glued { "" } else { &device.pager[1] })?;
                self.show(channel, session)?;
                continue;
            }
            match character {
                '\n' | '\r' => {
                    let line = std::mem::take(&mut self.input);
                    if !line.trim().is_empty() && !self.device.think.is_zero() {
                        tokio::time::sleep(self.device.think).await;
                    }
                    self.command(&line, channel, session)?;
                    if self.broken {
                        return Err(russh::Error::Disconnect);
                    }
                }
                other => {
                    self.input.push(other);
                    if !self.asked && self.device.fault != Some(Fault::NoEcho) {
                        self.say(channel, session, &other.to_string())?;
                    }
                }
            }
        }
        Ok(())
    }
}
