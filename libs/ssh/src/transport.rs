//! The encrypted way to a device, with a bound on every wait.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use russh::client::{self, Config, GexParams, Handle};
use russh::keys::PublicKeyOrCertificate;
use russh::{Channel, ChannelMsg, Disconnect};
use tokio::io::BufReader;
use tokio::time::timeout;

use crate::algorithms::weaknesses;
use crate::target::{Target, Times};
use crate::{Error, HostKeys, KeyNews, Login, Weakness};

/// Bytes that are read from a connection at once: several packets of an answer.
const READ_AT_ONCE: usize = 8 << 10;

/// What the handshake told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Handshake {
    pub(crate) weak: Vec<Weakness>,
    pub(crate) key: Option<KeyNews>,
    /// Time to the end of the key exchange, and from there to the end of the login.
    pub(crate) connect: Duration,
    pub(crate) login: Duration,
}

struct Checker {
    keys: Arc<HostKeys>,
    host: String,
    port: u16,
    shared: Arc<Mutex<Handshake>>,
}

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Failure(Error);

impl From<russh::Error> for Failure {
    fn from(error: russh::Error) -> Self {
        Self(error.into())
    }
}

impl client::Handler for Checker {
    type Error = Failure;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Failure> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else {
            // None was offered, so a device that shows one is not followed.
            return Ok(false);
        };
        let news = self
            .keys
            .check(&self.host, self.port, key)
            .map_err(Failure)?;
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.key = Some(news);
        Ok(true)
    }

    async fn kex_done(
        &mut self,
        _: Option<&[u8]>,
        names: &russh::Names,
        _: &mut client::Session,
    ) -> Result<(), Failure> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.weak = weaknesses(names);
        Ok(())
    }
}

/// A host that is logged in on, through which devices are reached. Clones are the same login; it ends with the last of them.
#[derive(Clone)]
pub struct Jump(Arc<Connection>);

impl std::fmt::Debug for Jump {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Jump(…)")
    }
}

impl Jump {
    /// Logs in on the host.
    ///
    /// # Errors
    /// [`Error::Jump`] with why.
    pub async fn open(target: &Target, login: &Login, keys: &Arc<HostKeys>) -> Result<Self, Error> {
        let opened = Box::pin(Connection::open(target, login, keys)).await;
        match opened {
            Ok((connection, _)) => Ok(Self(Arc::new(connection))),
            Err(source) => Err(Error::Jump {
                host: target.to_string(),
                source: Box::new(source),
            }),
        }
    }

    /// Whether the connection still stands, as far as this side knows.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.is_open()
    }
}

/// A connection that is logged in.
pub(crate) struct Connection {
    handle: Handle<Checker>,
    times: Times,
    /// What it goes through.
    _jump: Option<Jump>,
}

impl Connection {
    pub(crate) async fn open(
        target: &Target,
        login: &Login,
        keys: &Arc<HostKeys>,
    ) -> Result<(Self, Handshake), Error> {
        let times = target.times;
        let began = Instant::now();
        let shared = Arc::new(Mutex::new(Handshake::default()));
        let checker = Checker {
            keys: Arc::clone(keys),
            host: target.host.clone(),
            port: target.port,
            shared: Arc::clone(&shared),
        };
        let known = keys.algorithms(&target.host, target.port)?;
        let config = Arc::new(config(target, &known));
        let connecting = async {
            if let Some(Jump(via)) = &target.jump {
                let (host, port) = target.address();
                let channel = via
                    .handle
                    .channel_open_direct_tcpip(host, port.into(), "127.0.0.1", 0)
                    .await
                    .map_err(|error| match error {
                        russh::Error::ChannelOpenFailure(reason) => Error::Connect {
                            target: target.to_string(),
                            source: std::io::Error::other(format!(
                                "the jump host does not reach it: {reason:?}"
                            )),
                        },
                        error => error.into(),
                    })?;
                return client::connect_stream(config, channel.into_stream(), checker)
                    .await
                    .map_err(|Failure(error)| error);
            }
            let stream = tokio::net::TcpStream::connect(target.address())
                .await
                .map_err(|source| Error::Connect {
                    target: target.to_string(),
                    source,
                })?;
            // Without it each command waits for the acknowledgement of the one before.
            let _ = stream.set_nodelay(true);
            // Packets are read in two parts each: length, and the rest.
            let stream = BufReader::with_capacity(READ_AT_ONCE, stream);
            client::connect_stream(config, stream, checker)
                .await
                .map_err(|Failure(error)| error)
        };
        let mut handle = bounded("connect", times.connect, connecting).await?;
        let connect = began.elapsed();
        bounded("login", times.login, login.prove(&mut handle)).await?;
        let mut handshake = shared
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        handshake.connect = connect;
        handshake.login = began.elapsed().saturating_sub(connect);
        let connection = Self {
            handle,
            times,
            _jump: target.jump.clone(),
        };
        Ok((connection, handshake))
    }

    /// A shell on a terminal of `width` columns.
    pub(crate) async fn shell(&self, width: u32, height: u32) -> Result<Shell, Error> {
        let opening = async {
            let channel = self.handle.channel_open_session().await?;
            channel
                .request_pty(false, "vt100", width, height, 0, 0, &[])
                .await?;
            channel.request_shell(false).await?;
            Ok::<_, Error>(Shell {
                channel,
                heard: None,
            })
        };
        bounded("login", self.times.login, opening).await
    }

    /// One command without a terminal: what it wrote, its status, and whether the output ended by itself.
    pub(crate) async fn exec(
        &self,
        command: &str,
        most: usize,
        bound: Duration,
    ) -> Result<(Vec<u8>, Option<u32>), Error> {
        let running = async {
            let mut channel = self.handle.channel_open_session().await?;
            channel.exec(true, command).await?;
            let mut output = Vec::new();
            let mut status = None;
            while let Some(message) = channel.wait().await {
                match message {
                    ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. } => {
                        if output.len() + data.len() > most {
                            return Err(Error::TooLarge { most });
                        }
                        output.extend_from_slice(&data);
                    }
                    ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
                    ChannelMsg::Failure => {
                        return Err(Error::Closed {
                            during: "starting a command",
                        });
                    }
                    _ => {}
                }
            }
            Ok((output, status))
        };
        bounded("answer", bound, running).await
    }

    /// Whether the connection still stands, as far as this side knows.
    pub(crate) fn is_open(&self) -> bool {
        !self.handle.is_closed()
    }

    pub(crate) async fn close(self) {
        let ending = self.handle.disconnect(Disconnect::ByApplication, "", "en");
        let _ = timeout(Duration::from_secs(1), ending).await;
    }
}

/// Bytes to and from a terminal.
pub(crate) struct Shell {
    channel: Channel<client::Msg>,
    /// What came, where it is recorded: a piece for each time that something was sent.
    heard: Option<Vec<Vec<u8>>>,
}

impl Shell {
    /// From now on what comes is recorded.
    pub(crate) fn record(&mut self) {
        self.heard = Some(Vec::new());
    }

    /// What came since then; nothing more is recorded.
    pub(crate) fn recorded(&mut self) -> Vec<Vec<u8>> {
        self.heard.take().unwrap_or_default()
    }

    pub(crate) async fn send(
        &mut self,
        bytes: impl Into<Bytes>,
        bound: Duration,
    ) -> Result<(), Error> {
        if let Some(heard) = &mut self.heard {
            heard.push(Vec::new());
        }
        let sending = async { self.channel.data_bytes(bytes).await.map_err(Error::from) };
        bounded("answer", bound, sending).await
    }

    /// The next bytes; `None` when the time is up.
    pub(crate) async fn receive(&mut self, bound: Duration) -> Result<Option<Bytes>, Error> {
        let receiving = async {
            loop {
                match self.channel.wait().await {
                    Some(ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. }) => {
                        return Ok(data);
                    }
                    Some(ChannelMsg::Close | ChannelMsg::Eof) | None => {
                        return Err(Error::Closed {
                            during: "it was answering",
                        });
                    }
                    Some(_) => {}
                }
            }
        };
        let received = match timeout(bound, receiving).await {
            Ok(received) => received?,
            Err(_) => return Ok(None),
        };
        if let Some(heard) = &mut self.heard {
            match heard.last_mut() {
                Some(last) => last.extend_from_slice(&received),
                None => heard.push(received.to_vec()),
            }
        }
        Ok(Some(received))
    }
}

async fn bounded<T>(
    what: &'static str,
    after: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match timeout(after, work).await {
        Ok(done) => done,
        Err(_) => Err(Error::Timeout { what, after }),
    }
}

fn config(target: &Target, known: &[russh::keys::Algorithm]) -> Config {
    Config {
        preferred: target.profile.preferred(known),
        // Larger groups cost a device of the last decade seconds of its processor.
        gex: GexParams::new(2048, 2048, 8192).unwrap_or_default(),
        keepalive_interval: Some(Duration::from_secs(15)),
        keepalive_max: 3,
        nodelay: true,
        ..Config::default()
    }
}
