//! Where messages and events go: Loki, other syslog servers, files, webhooks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use toolkit::{ClientFiles, SecretFile};

use super::raw::{RawFile, RawForward, RawWebhook};
use super::{Checked, Client, FileCopy, Forward, Framing, Hook, Way};
use crate::translate::EVENTS;

fn open_secret(path: String, base: &Path, file: &Path) -> Checked<Arc<SecretFile>> {
    SecretFile::open(base.join(file))
        .map(Arc::new)
        .map_err(|e| {
            (
                path,
                format!("expected a readable file, {}: {e}", file.display()),
            )
        })
}

pub(super) fn forward(at: usize, raw: RawForward, base: &Path) -> Checked<Forward> {
    let path = |field: &str| format!("forward[{at}].{field}");
    let wrong = || {
        (
            path("url"),
            format!(
                "expected udp://HOST:PORT, tcp://HOST:PORT or tls://HOST:PORT, found {:?}",
                toolkit::without_passwords(&raw.url)
            ),
        )
    };
    let (scheme, rest) = raw.url.split_once("://").ok_or_else(wrong)?;
    let (host, port) = rest.rsplit_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    // A login has no place in syslog, and would be shown with the address.
    if host.is_empty() || host.contains('@') {
        return Err(wrong());
    }
    let way = match scheme {
        "udp" => Way::Udp,
        "tcp" => Way::Tcp,
        "tls" => {
            let files = [&raw.ca_file, &raw.cert_file, &raw.key_file];
            let files = ClientFiles::below(base, files)
                .map_err(|message| (path("cert_file"), message.to_owned()))?;
            let ca = files.authority.ok_or_else(|| {
                (
                    path("ca_file"),
                    "expected the certificates that the server's descends from".to_owned(),
                )
            })?;
            Way::Tls(Client {
                ca,
                identity: files.identity,
                name: raw.server_name.clone().unwrap_or_else(|| host.to_owned()),
            })
        }
        _ => return Err(wrong()),
    };
    let framing = match raw.framing.as_deref() {
        None | Some("octet_counting") => Framing::OctetCounting,
        Some("newline") => Framing::Newline,
        Some(other) => {
            return Err((
                path("framing"),
                format!("expected octet_counting or newline, found {other:?}"),
            ));
        }
    };
    Ok(Forward {
        name: raw.name,
        host: host.to_owned(),
        port,
        way,
        framing,
    })
}

pub(super) fn file(at: usize, raw: RawFile, base: &Path) -> Checked<FileCopy> {
    let max_bytes = raw.max_bytes.map_or(100 << 20, |size| *size);
    if max_bytes < 4_096 {
        return Err((
            format!("files[{at}].max_bytes"),
            "expected at least 4096".to_owned(),
        ));
    }
    Ok(FileCopy {
        name: raw.name,
        path: base.join(raw.path),
        max_bytes,
        keep: raw.keep.unwrap_or(5).min(1_000),
    })
}

pub(super) fn webhook(at: usize, raw: RawWebhook, base: &Path) -> Checked<Hook> {
    let path = |field: &str| format!("webhooks[{at}].{field}");
    let url = raw.url.reveal();
    if !(url.starts_with("http://") || url.starts_with("https://")) {
        return Err((
            path("url"),
            format!("expected an http or https address, found {}", raw.url),
        ));
    }
    let known = |event: &String| {
        EVENTS
            .iter()
            .copied()
            .find(|known| known == event)
            .ok_or_else(|| {
                (
                    path("events"),
                    format!(
                        "expected kinds of events (docs/syslog-events.md lists them), found {event:?}"
                    ),
                )
            })
    };
    let events: Vec<&'static str> = raw.events.iter().map(known).collect::<Checked<_>>()?;
    if events.is_empty() {
        return Err((path("events"), "expected at least one".to_owned()));
    }
    let secret = |field: &str, file: Option<PathBuf>| {
        file.map(|file| open_secret(path(field), base, &file))
            .transpose()
    };
    let time = |given: Option<toolkit::config::Duration>, default| {
        given.map_or(Duration::from_secs(default), |given| *given)
    };
    let authentication = loki::Authentication::open(
        raw.basic_auth.as_ref(),
        raw.bearer_token_file.as_deref(),
        base,
    )
    .map_err(|(field, message)| (path(&field), message))?;
    let files = [&raw.ca_file, &raw.cert_file, &raw.key_file];
    let certificates = ClientFiles::below(base, files)
        .map_err(|message| (path("cert_file"), message.to_owned()))?;
    Ok(Hook {
        name: raw.name,
        url: raw.url,
        events,
        secret: secret("secret_file", raw.secret_file)?,
        authentication,
        certificates,
        timeout: time(raw.timeout, 5),
        retry_for: time(raw.retry_for, 600),
        interval: time(raw.interval, 10),
        queue: raw.queue.unwrap_or(1_000).clamp(1, 100_000),
    })
}
