//! The mail of a report, and its way to the server.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use lettre::address::Envelope;
use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Attachment, Body, Message, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};

use crate::bundle::{Bundle, sha256};
use crate::config::{Config, Mail, Security};
use crate::outbox::Entry;
use crate::tables::File;
use crate::words::length;

/// How long the server may take for one answer.
const ANSWER: Duration = Duration::from_secs(60);
/// How long a mail may take altogether.
const WHOLE: Duration = Duration::from_secs(600);

/// Why a mail is not made or sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be made.
    #[error("the mail cannot be made: {0}")]
    Form(String),
    /// The server's certificate or the authorities.
    #[error("the mail server's TLS: {0}")]
    Tls(String),
    /// Later it may be taken: nobody answers, or the server says so (4xx).
    #[error("the mail server does not take it now: {0}")]
    Later(String),
    /// It will not be taken (5xx).
    #[error("the mail server refuses it: {0}")]
    Refused(String),
}

impl Error {
    /// Whether the same mail will not be taken later either.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Form(_))
    }
}

/// The mail of a report, and its entry in the outbox.
///
/// # Errors
/// It cannot be made.
pub fn compose(
    config: &Config,
    mail: &Mail,
    bundle: &Bundle,
    now: Timestamp,
) -> Result<(Entry, Vec<u8>), Error> {
    let month = bundle.manifest.month;
    let mut who = format!("{}\n{}", config.look.organisation, mail.from);
    for to in &mail.to {
        who.push_str(&format!("\n{to}"));
    }
    // The same report to the same people is the same mail; nothing of it is random.
    let message_id = format!(
        "<availability-{month}.{}@{}>",
        &sha256(who.as_bytes())[..16],
        mail.from.email.domain()
    );
    // Fewer files until it is small enough: all, the PDF alone, none.
    let all: Vec<&File> = bundle.files.iter().collect();
    let mut bytes = Vec::new();
    for files in [&all[..], &all[..1], &[]] {
        bytes = message(config, mail, bundle, files, &message_id, now)?;
        if bytes.len() as u64 <= mail.max_bytes {
            break;
        }
    }
    let entry = Entry::new(
        month,
        message_id,
        mail.from.email.to_string(),
        mail.to.iter().map(|to| to.email.to_string()).collect(),
        now,
    );
    Ok((entry, bytes))
}

fn message(
    config: &Config,
    mail: &Mail,
    bundle: &Bundle,
    files: &[&File],
    message_id: &str,
    now: Timestamp,
) -> Result<Vec<u8>, Error> {
    let form = |error: &dyn std::error::Error| Error::Form(toolkit::chain(error));
    let mut builder = Message::builder()
        .from(mail.from.clone())
        .subject(subject(config, bundle))
        .message_id(Some(message_id.to_owned()))
        .date(SystemTime::from(now));
    for to in &mail.to {
        builder = builder.to(to.clone());
    }
    let text = SinglePart::builder()
        .header(ContentType::TEXT_PLAIN)
        .body(summary(config, bundle, files));
    let mut parts = MultiPart::mixed()
        .boundary(format!("sotp-{}", &sha256(message_id.as_bytes())[..32]))
        .singlepart(text);
    for file in files {
        let kind = ContentType::parse(kind(&file.name)).map_err(|error| form(&error))?;
        // As text its line ends would be those of whoever stores the mail, and its hash another one.
        let body = Body::new_with_encoding(file.content.clone(), ContentTransferEncoding::Base64)
            .map_err(|_| Error::Form(format!("{} as base64", file.name)))?;
        parts = parts.singlepart(Attachment::new(file.name.clone()).body(body, kind));
    }
    let message = builder.multipart(parts).map_err(|error| form(&error))?;
    Ok(message.formatted())
}

/// The type of a file of a report.
#[must_use]
pub fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("pdf") => "application/pdf",
        Some("csv") => "text/csv; charset=utf-8",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}

fn subject(config: &Config, bundle: &Bundle) -> String {
    let (manifest, language) = (&bundle.manifest, config.look.language);
    let mut subject = format!(
        "{} {}: {}",
        config.look.title,
        manifest.month,
        language.percent(manifest.availability_ratio)
    );
    if !config.look.organisation.is_empty() {
        subject = format!("{}: {subject}", config.look.organisation);
    }
    if !manifest.missing.is_empty() {
        subject.push_str(language.of(" (incomplete)", " (niepełny)"));
    }
    subject
}

fn summary(config: &Config, bundle: &Bundle, files: &[&File]) -> String {
    let (manifest, language) = (&bundle.manifest, config.look.language);
    let total = &manifest.milliseconds;
    let all = language.of("all devices together", "wszystkie urządzenia razem");
    let out = language.of("left out of the availability", "poza dostępnością");
    let rows = [
        (
            ("Availability", "Dostępność"),
            language.percent(manifest.availability_ratio),
        ),
        (
            ("Target", "Cel"),
            language.percent(Some(manifest.target_ratio)),
        ),
        (
            ("Worst case", "Najgorszy przypadek"),
            language.percent(manifest.worst_case_ratio),
        ),
        (("Devices", "Urządzenia"), manifest.devices.to_string()),
        (("Incidents", "Awarie"), manifest.incidents.to_string()),
        (
            ("Down", "Niedostępne"),
            format!("{} ({all})", length(total.down)),
        ),
        (("Not known", "Nieznane"), length(total.unknown)),
        (
            ("Maintenance", "Planowane prace"),
            format!("{} ({out})", length(total.planned)),
        ),
    ];
    let mut text = format!("{} {}\n\n", config.look.title, manifest.month);
    for ((english, polish), value) in rows {
        let name = language.of(english, polish);
        text.push_str(&format!("{name:<19} {value}\n"));
    }
    if !manifest.missing.is_empty() {
        text.push_str(language.of(
            "\nIncomplete: these parts were not answered and are counted as not known:\n",
            "\nNiepełny: na te pytania nie było odpowiedzi; te części liczą się jako nieznane:\n",
        ));
        let (from, to) = language.of(("from", "to"), ("od", "do"));
        for part in manifest.missing.iter().take(20) {
            text.push_str(&format!(
                "- {} {from} {} {to} {}: {}\n",
                part.what, part.from, part.to, part.why
            ));
        }
    }
    if files.len() < bundle.files.len() {
        text.push_str(language.of(
            "\nNot all files are in this mail, which would be too large.\n",
            "\nW tej wiadomości nie ma wszystkich plików: byłaby za duża.\n",
        ));
        match &config.external_url {
            Some(url) => {
                let place = format!("{url}/api/v1/reports/{}", manifest.month);
                text.push_str(&language.of(
                    format!("They are at {place}\n"),
                    format!("Są pod adresem {place}\n"),
                ));
            }
            None => text.push_str(language.of(
                "They are kept by sotp-reporter.\n",
                "Przechowuje je sotp-reporter.\n",
            )),
        }
    }
    text
}

/// Sends a mail as it stands in the outbox.
///
/// # Errors
/// It is not known to have been taken.
pub async fn send(mail: &Mail, entry: &Entry, bytes: &[u8]) -> Result<(), Error> {
    let address = |text: &String| {
        text.parse::<Address>()
            .map_err(|error| Error::Form(error.to_string()))
    };
    let to = entry.to.iter().map(address).collect::<Result<_, _>>()?;
    let envelope = Envelope::new(Some(address(&entry.from)?), to)
        .map_err(|error| Error::Form(error.to_string()))?;
    let transport = transport(mail)?;
    match tokio::time::timeout(WHOLE, transport.send_raw(&envelope, bytes)).await {
        Err(_) => Err(Error::Later(format!("no end after {} s", WHOLE.as_secs()))),
        Ok(Err(error)) => Err(judged(&error)),
        Ok(Ok(_)) => Ok(()),
    }
}

fn transport(mail: &Mail) -> Result<AsyncSmtpTransport<Tokio1Executor>, Error> {
    let tls = match mail.security {
        Security::None => Tls::None,
        Security::Starttls => Tls::Required(authorities(mail)?),
        Security::Tls => Tls::Wrapper(authorities(mail)?),
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(mail.server.clone())
        .port(mail.port)
        .timeout(Some(ANSWER))
        .tls(tls);
    if let Some((user, password)) = &mail.login {
        let password = password.current();
        builder = builder.credentials(Credentials::new(user.clone(), password.reveal().to_owned()));
    }
    Ok(builder.build())
}

fn authorities(mail: &Mail) -> Result<TlsParameters, Error> {
    let tls = |error: &dyn std::error::Error| Error::Tls(toolkit::chain(error));
    let mut builder = TlsParameters::builder(mail.server.clone());
    if let Some(file) = &mail.ca_file {
        let pem = std::fs::read(file)
            .map_err(|error| Error::Tls(format!("{}: {error}", file.display())))?;
        let certificate = Certificate::from_pem(&pem).map_err(|error| tls(&error))?;
        builder = builder
            .certificate_store(CertificateStore::None)
            .add_root_certificate(certificate);
    }
    builder.build_rustls().map_err(|error| tls(&error))
}

fn judged(error: &lettre::transport::smtp::Error) -> Error {
    // Its text has its causes already.
    let text = error.to_string();
    if error.is_permanent() {
        Error::Refused(text)
    } else if error.is_tls() {
        Error::Tls(text)
    } else {
        // A server that hung up, or one that wants it later: greylisting is one of these.
        Error::Later(text)
    }
}
