//! The peers' command lines: their own flags are taken out, the rest is ours.

use std::ffi::OsString;
use std::time::Duration;

use super::Kind;
use units::go;

/// What a peer's own flags say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options {
    /// Hosts given as arguments.
    pub hosts: Vec<String>,
    /// `--ping.interval`.
    pub interval: Option<Duration>,
    /// `--ping.timeout`.
    pub timeout: Option<Duration>,
    /// `--ping.size`.
    pub size: Option<usize>,
    /// `--ping.tos`.
    pub tos: Option<u8>,
    /// `--ping.history-size`.
    pub history: Option<usize>,
    /// `--ping.fw-mark`.
    pub mark: Option<u32>,
    /// `--buckets`.
    pub buckets: Option<String>,
    /// `--dns.refresh`.
    pub refresh: Option<Duration>,
    /// `--dns.timeout`.
    pub dns_timeout: Option<Duration>,
    /// `--dns.nameserver`.
    pub nameserver: Option<String>,
    /// `--options.disable-ipv4`.
    pub disable_ipv4: bool,
    /// `--options.disable-ipv6`.
    pub disable_ipv6: bool,
    /// `--metrics.rttunit`: `s`, `ms` or `both`.
    pub unit: Option<String>,
    /// `--metrics.deprecated=enable`.
    pub deprecated: bool,
}

/// A command line that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Wrong(String);

/// Flags of a peer that take a value: name, short form.
const VALUES: [(Kind, &str, &str); 23] = [
    (Kind::SmokepingProber, "buckets", ""),
    (Kind::SmokepingProber, "native-histogram-factor", ""),
    (Kind::SmokepingProber, "ping.interval", "i"),
    (Kind::SmokepingProber, "ping.size", "s"),
    (Kind::SmokepingProber, "ping.tos", "O"),
    (Kind::PingExporter, "config.path", ""),
    (Kind::PingExporter, "ping.interval", ""),
    (Kind::PingExporter, "ping.timeout", ""),
    (Kind::PingExporter, "ping.size", ""),
    (Kind::PingExporter, "ping.fw-mark", ""),
    (Kind::PingExporter, "ping.history-size", ""),
    (Kind::PingExporter, "dns.refresh", ""),
    (Kind::PingExporter, "dns.nameserver", ""),
    (Kind::PingExporter, "dns.timeout", ""),
    (Kind::PingExporter, "metrics.deprecated", ""),
    (Kind::PingExporter, "metrics.rttunit", ""),
    (Kind::PingExporter, "web.token", ""),
    (Kind::PingExporter, "web.tls.cert-file", ""),
    (Kind::PingExporter, "web.tls.key-file", ""),
    (Kind::PingExporter, "web.tls.ca-file", ""),
    (Kind::Blackbox, "history.limit", ""),
    (Kind::Blackbox, "log.prober", ""),
    (Kind::Blackbox, "config.auto-reload-interval", ""),
];

/// Flags of a peer without a value; `--no-NAME` switches off.
const SWITCHES: [(Kind, &str); 6] = [
    (Kind::SmokepingProber, "privileged"),
    (Kind::PingExporter, "options.disable-ipv6"),
    (Kind::PingExporter, "options.disable-ipv4"),
    (Kind::PingExporter, "web.tls.enabled"),
    (Kind::PingExporter, "web.tls.mutual-auth-enabled"),
    (Kind::Blackbox, "config.enable-auto-reload"),
];

/// Our own flags without a value, which no argument follows.
const OURS: [&str; 6] = [
    "config.check",
    "config.print-default",
    "ping.raw-sockets",
    "help",
    "version",
    "no-web.systemd-socket",
];

/// Takes the flags of `kind` out of `args` (without the program's name and `--compat`); answers them and the arguments that are left
/// for us, in which a listening address and a file that the peer has by default are filled in.
///
/// # Errors
/// A value that is missing or wrong, or a flag that would be passed over in silence.
pub fn split(kind: Kind, args: &[String]) -> Result<(Options, Vec<OsString>), Wrong> {
    let mut options = Options::default();
    let mut ours = Vec::new();
    let mut rest = args.iter().peekable();
    let mut only_hosts = false;
    while let Some(arg) = rest.next() {
        if only_hosts || !arg.starts_with('-') || arg == "-" {
            if kind == Kind::Blackbox {
                return Err(Wrong(format!("unexpected argument {arg:?}")));
            }
            options.hosts.push(arg.clone());
            continue;
        }
        if arg == "--" {
            only_hosts = true;
            continue;
        }
        let (name, inline) = match arg.strip_prefix("--") {
            Some(long) => match long.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (long.to_owned(), None),
            },
            None => match short(kind, arg) {
                Some((name, value)) => (name.to_owned(), value),
                None => {
                    ours.push(arg.into());
                    continue;
                }
            },
        };
        if VALUES
            .iter()
            .any(|&(of, known, _)| of == kind && known == name)
        {
            let value = inline.or_else(|| rest.next().cloned());
            let value = value.ok_or_else(|| Wrong(format!("--{name} needs a value")))?;
            options.take(kind, &name, &value, &mut ours)?;
            continue;
        }
        let (switch, on) = match name.strip_prefix("no-") {
            Some(switch) => (switch, false),
            None => (name.as_str(), inline.as_deref() != Some("false")),
        };
        if SWITCHES.contains(&(kind, switch_of(switch))) {
            options.switch(switch, on)?;
            continue;
        }
        ours.push(arg.into());
        let takes_value = inline.is_none() && !OURS.contains(&name.as_str());
        if takes_value && let Some(value) = rest.next_if(|next| !next.starts_with('-')) {
            ours.push(value.into());
        }
    }
    fill(kind, &mut ours);
    Ok((options, ours))
}

/// The name as it stands in [`SWITCHES`]; empty when it does not.
fn switch_of(name: &str) -> &'static str {
    SWITCHES
        .iter()
        .find(|(_, known)| *known == name)
        .map_or("", |(_, known)| known)
}

/// `-i 1s` and `-i1s`.
fn short(kind: Kind, arg: &str) -> Option<(&'static str, Option<String>)> {
    let letter = arg.get(1..2)?;
    let (_, name, _) = VALUES
        .iter()
        .find(|&&(of, _, short)| of == kind && short == letter)?;
    let value = arg.get(2..).filter(|value| !value.is_empty());
    Some((
        name,
        value.map(|value| value.trim_start_matches('=').to_owned()),
    ))
}

impl Options {
    fn take(
        &mut self,
        kind: Kind,
        name: &str,
        value: &str,
        ours: &mut Vec<OsString>,
    ) -> Result<(), Wrong> {
        let wrong = |expected: &str| Wrong(format!("--{name}: {value:?}, expected {expected}"));
        let time = || go::duration(value).map_err(|_| wrong("a duration such as 300ms or 1m30s"));
        let count = || value.parse().map_err(|_| wrong("a number"));
        match name {
            "buckets" => self.buckets = Some(value.to_owned()),
            "ping.interval" => self.interval = Some(time()?),
            "ping.timeout" => self.timeout = Some(time()?),
            "ping.size" => self.size = Some(count()?),
            "ping.history-size" => self.history = Some(count()?),
            "ping.tos" => {
                let parsed = match value.strip_prefix("0x") {
                    Some(digits) => u8::from_str_radix(digits, 16),
                    None => value.parse(),
                };
                self.tos = Some(parsed.map_err(|_| wrong("0 to 255 or 0x00 to 0xff"))?);
            }
            "ping.fw-mark" => self.mark = Some(value.parse().map_err(|_| wrong("a number"))?),
            "dns.refresh" => self.refresh = Some(time()?),
            "dns.timeout" => self.dns_timeout = Some(time()?),
            "dns.nameserver" => self.nameserver = Some(value.to_owned()).filter(|v| !v.is_empty()),
            "metrics.rttunit" if ["s", "ms", "both"].contains(&value) => {
                self.unit = Some(value.to_owned());
            }
            "metrics.rttunit" => return Err(wrong("s, ms or both")),
            "metrics.deprecated" => {
                self.deprecated = match value {
                    "enable" => true,
                    "disable" => false,
                    _ => return Err(wrong("enable or disable")),
                }
            }
            "config.path" if value.is_empty() => {}
            "config.path" => ours.push(format!("--config.file={value}").into()),
            // It counts in seconds there.
            "config.auto-reload-interval" => {
                let seconds: u32 = value.parse().map_err(|_| wrong("seconds"))?;
                ours.push(format!("--config.auto-reload-interval={seconds}s").into());
            }
            "web.token" | "web.tls.cert-file" | "web.tls.key-file" | "web.tls.ca-file"
                if !value.is_empty() =>
            {
                return Err(Wrong(format!(
                    "--{name} of {} is not taken: access and TLS are set in --web.config.file",
                    kind.name()
                )));
            }
            // Nothing of ours corresponds to them: log of the prober, history page, native histograms on request.
            _ => {}
        }
        Ok(())
    }

    fn switch(&mut self, name: &str, on: bool) -> Result<(), Wrong> {
        match name {
            "options.disable-ipv4" => self.disable_ipv4 = on,
            "options.disable-ipv6" => self.disable_ipv6 = on,
            "web.tls.enabled" | "web.tls.mutual-auth-enabled" if on => {
                return Err(Wrong(format!(
                    "--{name} is not taken: TLS is set in --web.config.file"
                )));
            }
            // `--privileged` is its default and asks for what sockets.mode or --ping.raw-sockets says here.
            _ => {}
        }
        Ok(())
    }
}

fn fill(kind: Kind, ours: &mut Vec<OsString>) {
    let given = |flag: &str, variable: &str, ours: &[OsString]| {
        let named = |arg: &OsString| arg.to_str().is_some_and(|arg| arg.starts_with(flag));
        std::env::var_os(variable).is_some() || ours.iter().any(named)
    };
    if !given("--web.listen-address", "SOTP_WEB_LISTEN_ADDRESS", ours) {
        ours.push(format!("--web.listen-address=:{}", kind.port()).into());
    }
    if kind == Kind::Blackbox && !given("--config.file", "SOTP_CONFIG_FILE", ours) {
        ours.push("--config.file=blackbox.yml".into());
    }
}

/// Takes `--compat` out of a command line; answers who is stood in for and the rest, without the program's name.
///
/// # Errors
/// It names nobody that is known.
pub fn asked(args: &[String]) -> Result<(Option<Kind>, Vec<String>), Wrong> {
    let mut kept = Vec::new();
    let mut named = std::env::var("SOTP_PING_COMPAT")
        .ok()
        .filter(|name| !name.is_empty());
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        if let Some(name) = arg.strip_prefix("--compat=") {
            named = Some(name.to_owned());
        } else if arg == "--compat" {
            let name = rest
                .next()
                .ok_or_else(|| Wrong("--compat needs a value".into()))?;
            named = Some(name.clone());
        } else {
            kept.push(arg.clone());
        }
    }
    let kind = named
        .map(|name| {
            Kind::of(&name).ok_or_else(|| {
                let known = Kind::ALL.map(Kind::name).join(", ");
                Wrong(format!("--compat: {name:?}, expected one of {known}"))
            })
        })
        .transpose()?;
    Ok((kind, kept))
}
