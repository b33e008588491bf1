//! One connection to a broker, in either version of the protocol: what rumqttc offers, as little of it as is needed.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rumqttc::{Transport, v5};
use rustls::ClientConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use rustls_platform_verifier::BuilderVerifierExt as _;
use toolkit::ClientFiles;

use crate::config::{Broker, Protocol};

/// How long a connection may take to come about.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests that wait for the connection: subscriptions.
const REQUESTS: usize = 4;

/// What came from the broker.
#[derive(Debug)]
pub(crate) enum Heard {
    Connected,
    /// For each filter whether the broker granted it.
    Subscribed(Vec<bool>),
    Message {
        topic: String,
        payload: Bytes,
        retained: bool,
    },
    /// Nothing that matters.
    Other,
}

/// Why there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The broker said no: user, password, identifier or protocol.
    Refused,
    /// The certificates do not prove who is who.
    Tls,
    /// Nothing answers.
    Unreachable,
    /// Something else than MQTT, or more than a packet may have.
    Protocol,
    /// The connection ended.
    Lost,
}

impl Reason {
    pub(crate) const ALL: [Self; 5] = [
        Self::Refused,
        Self::Tls,
        Self::Unreachable,
        Self::Protocol,
        Self::Lost,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Tls => "tls",
            Self::Unreachable => "unreachable",
            Self::Protocol => "protocol",
            Self::Lost => "lost",
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Failed {
    pub(crate) reason: Reason,
    text: String,
}

fn failed(reason: Reason, error: impl std::fmt::Display) -> Failed {
    Failed {
        reason,
        text: error.to_string(),
    }
}

pub(crate) enum Session {
    Three(Box<rumqttc::EventLoop>, rumqttc::AsyncClient),
    Five(Box<v5::EventLoop>, v5::AsyncClient),
}

impl Session {
    /// Prepares a connection; files are read anew.
    pub(crate) fn new(broker: &Broker) -> Result<Self, Failed> {
        let id = broker
            .client_id
            .clone()
            .unwrap_or_else(|| format!("sotp-mqtt-{:016x}", fastrand::u64(..)));
        let transport = match &broker.tls {
            None => Transport::Tcp,
            Some(files) => {
                let config = tls(files).map_err(|error| failed(Reason::Tls, error))?;
                Transport::tls_with_config(config.into())
            }
        };
        let login = broker
            .login
            .as_ref()
            .map(|(user, file)| (user, file.current()));
        let seconds = PATIENCE.as_secs();
        Ok(match broker.protocol {
            Protocol::Three => {
                let mut options = rumqttc::MqttOptions::new(id, &broker.host, broker.port);
                let most = broker.packet_bytes as usize;
                options
                    .set_keep_alive(broker.keep_alive)
                    .set_transport(transport);
                options.set_max_packet_size(most, most);
                options.set_clean_session(broker.session.is_zero());
                if let Some((user, password)) = login {
                    options.set_credentials(user, password.reveal());
                }
                let (client, mut events) = rumqttc::AsyncClient::new(options, REQUESTS);
                let mut network = events.network_options();
                events.set_network_options(network.set_connection_timeout(seconds).clone());
                Self::Three(Box::new(events), client)
            }
            Protocol::Five => {
                let mut options = v5::MqttOptions::new(id, &broker.host, broker.port);
                options
                    .set_keep_alive(broker.keep_alive)
                    .set_transport(transport);
                options.set_max_packet_size(Some(broker.packet_bytes));
                options.set_clean_start(broker.session.is_zero());
                let seconds_kept = u32::try_from(broker.session.as_secs()).unwrap_or(u32::MAX);
                options.set_session_expiry_interval((seconds_kept > 0).then_some(seconds_kept));
                options.set_connection_timeout(seconds);
                if let Some((user, password)) = login {
                    options.set_credentials(user, password.reveal());
                }
                let (client, events) = v5::AsyncClient::new(options, REQUESTS);
                Self::Five(Box::new(events), client)
            }
        })
    }

    /// Asks for the messages of these filters; false when there is no room for another request now.
    pub(crate) fn subscribe(&self, broker: &Broker, filters: &[String]) -> Result<bool, Failed> {
        let shared = |filter: &String| match &broker.share {
            None => filter.clone(),
            Some(group) => format!("$share/{group}/{filter}"),
        };
        let filters: Vec<String> = filters.iter().map(shared).collect();
        let wrong = |error: &dyn std::fmt::Display| failed(Reason::Protocol, error);
        match self {
            Self::Three(_, client) => {
                let filter =
                    |path: &String| rumqttc::SubscribeFilter::new(path.clone(), broker.qos);
                match client.try_subscribe_many(filters.iter().map(filter)) {
                    Ok(()) => Ok(true),
                    Err(rumqttc::ClientError::TryRequest(_)) => Ok(false),
                    Err(error) => Err(wrong(&error)),
                }
            }
            Self::Five(_, client) => {
                let qos = match broker.qos {
                    rumqttc::QoS::AtMostOnce => v5::mqttbytes::QoS::AtMostOnce,
                    rumqttc::QoS::AtLeastOnce => v5::mqttbytes::QoS::AtLeastOnce,
                    rumqttc::QoS::ExactlyOnce => v5::mqttbytes::QoS::ExactlyOnce,
                };
                let filter = |path: &String| v5::mqttbytes::v5::Filter::new(path.clone(), qos);
                match client.try_subscribe_many(filters.iter().map(filter)) {
                    Ok(()) => Ok(true),
                    Err(v5::ClientError::TryRequest(_)) => Ok(false),
                    Err(error) => Err(wrong(&error)),
                }
            }
        }
    }

    /// The next thing that comes.
    pub(crate) async fn next(&mut self) -> Result<Heard, Failed> {
        match self {
            Self::Three(events, _) => {
                use rumqttc::{ConnectReturnCode, Event, Packet, SubscribeReasonCode};
                match events.poll().await.map_err(three)? {
                    Event::Incoming(Packet::ConnAck(answer))
                        if answer.code == ConnectReturnCode::Success =>
                    {
                        Ok(Heard::Connected)
                    }
                    Event::Incoming(Packet::SubAck(answer)) => {
                        let granted = |code: &SubscribeReasonCode| {
                            matches!(code, SubscribeReasonCode::Success(_))
                        };
                        Ok(Heard::Subscribed(
                            answer.return_codes.iter().map(granted).collect(),
                        ))
                    }
                    Event::Incoming(Packet::Publish(message)) => Ok(Heard::Message {
                        topic: message.topic,
                        payload: message.payload,
                        retained: message.retain,
                    }),
                    _ => Ok(Heard::Other),
                }
            }
            Self::Five(events, _) => {
                use v5::Event;
                use v5::mqttbytes::v5::{ConnectReturnCode, Packet, SubscribeReasonCode};
                match events.poll().await.map_err(five)? {
                    Event::Incoming(Packet::ConnAck(answer))
                        if answer.code == ConnectReturnCode::Success =>
                    {
                        Ok(Heard::Connected)
                    }
                    Event::Incoming(Packet::SubAck(answer)) => {
                        let granted = |code: &SubscribeReasonCode| {
                            matches!(code, SubscribeReasonCode::Success(_))
                        };
                        Ok(Heard::Subscribed(
                            answer.return_codes.iter().map(granted).collect(),
                        ))
                    }
                    Event::Incoming(Packet::Publish(message)) => Ok(Heard::Message {
                        topic: text(message.topic),
                        payload: message.payload,
                        retained: message.retain,
                    }),
                    _ => Ok(Heard::Other),
                }
            }
        }
    }
}

/// The broker has checked that it is UTF-8 (MQTT 5.0 section 1.5.4).
fn text(topic: Bytes) -> String {
    String::from_utf8(topic.into())
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn three(error: rumqttc::ConnectionError) -> Failed {
    use rumqttc::ConnectionError as E;
    let reason = match &error {
        E::ConnectionRefused(_) => Reason::Refused,
        E::Tls(inner) => tls_reason(inner),
        E::Io(_) | E::NetworkTimeout | E::FlushTimeout => Reason::Unreachable,
        E::MqttState(
            rumqttc::StateError::Io(io)
            | rumqttc::StateError::Deserialization(rumqttc::Error::Io(io)),
        ) => lost(io),
        E::MqttState(rumqttc::StateError::AwaitPingResp) => Reason::Lost,
        _ => Reason::Protocol,
    };
    failed(reason, error)
}

fn five(error: v5::ConnectionError) -> Failed {
    use v5::ConnectionError as E;
    let reason = match &error {
        E::ConnectionRefused(_) => Reason::Refused,
        E::Tls(inner) => tls_reason(inner),
        E::Io(_) | E::Timeout(_) => Reason::Unreachable,
        E::MqttState(v5::StateError::Deserialization(v5::mqttbytes::Error::Io(io))) => lost(io),
        E::MqttState(
            v5::StateError::Io(_)
            | v5::StateError::AwaitPingResp
            | v5::StateError::ConnectionAborted,
        ) => Reason::Lost,
        _ => Reason::Protocol,
    };
    failed(reason, error)
}

/// What rustls refuses, it reports as an error of the stream with its own error inside.
fn is_tls(io: &io::Error) -> bool {
    io.get_ref()
        .is_some_and(|inner| inner.is::<rustls::Error>())
}

fn tls_reason(error: &rumqttc::TlsError) -> Reason {
    match error {
        rumqttc::TlsError::Io(io) if !is_tls(io) => Reason::Unreachable,
        _ => Reason::Tls,
    }
}

/// With TLS 1.3 a broker refuses the certificate of a client after the handshake.
fn lost(io: &io::Error) -> Reason {
    if is_tls(io) {
        Reason::Tls
    } else {
        Reason::Lost
    }
}

/// The TLS of a client.
///
/// # Errors
/// A file cannot be read, or has not what it should; with its path.
pub(crate) fn tls(files: &ClientFiles) -> io::Result<ClientConfig> {
    let wrong = |path: &Path, what: &dyn std::fmt::Display| {
        io::Error::other(format!("{}: {what}", path.display()))
    };
    let certificates = |path: &Path| -> io::Result<Vec<CertificateDer<'static>>> {
        let pem = std::fs::read(path).map_err(|error| wrong(path, &error))?;
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let all = all.map_err(|error| wrong(path, &error))?;
        if all.is_empty() {
            return Err(wrong(path, &"expected a certificate in PEM"));
        }
        Ok(all)
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let builder = match &files.authority {
        None => builder.with_platform_verifier().map_err(io::Error::other)?,
        Some(path) => {
            let mut roots = rustls::RootCertStore::empty();
            for certificate in certificates(path)? {
                roots
                    .add(certificate)
                    .map_err(|error| wrong(path, &error))?;
            }
            builder.with_root_certificates(roots)
        }
    };
    match &files.identity {
        None => Ok(builder.with_no_client_auth()),
        Some((cert, key)) => {
            let pem = toolkit::read_secret(key).map_err(|error| wrong(key, &error))?;
            let secret = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| wrong(key, &error))?;
            builder
                .with_client_auth_cert(certificates(cert)?, secret)
                .map_err(|error| wrong(cert, &error))
        }
    }
}
