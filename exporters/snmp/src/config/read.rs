//! Reading `snmp.yml`: one file or many, strictly, with file and line in every error.

mod names;
mod raw;

use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_saphyr::Spanned;

use super::{
    Auth, AuthProtocol, Config, Credential, Credentials, Error, Extract, Filter, Index, Lookup,
    Metric, Module, PrivProtocol, SecurityLevel,
};
use crate::oid::Oid;
use names::{ByName, Names, Place};

/// How files are read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Replace `${VAR}` and `$VAR` in user names and passwords (`--config.expand-environment-variables`).
    pub expand_environment: bool,
    /// Where MIB files are (`--snmp.mib-dir`), for walks that name objects; the folders of net-snmp when there are none.
    pub mib_folders: &'static [PathBuf],
}

/// Reads every file that the patterns name into one configuration.
///
/// # Errors
/// The first mistake, with file and line. Two files must not name the same auth or module, and together they must hold one of each.
pub fn load(patterns: &[String], options: Options) -> Result<Config, Error> {
    let mut config = Config::default();
    collect(&mut config, patterns, options)?;
    let origin = config
        .files
        .first()
        .cloned()
        .unwrap_or_else(|| PathBuf::from(patterns.first().cloned().unwrap_or_default()));
    complete(config, &origin, options)
}

fn collect(config: &mut Config, patterns: &[String], options: Options) -> Result<(), Error> {
    for pattern in patterns {
        let files = matching(pattern).map_err(|message| Error::new(Path::new(pattern), message))?;
        if files.is_empty() {
            config.unmatched.push(pattern.clone());
        }
        for file in files {
            let text = std::fs::read_to_string(&file)
                .map_err(|error| Error::new(&file, error.to_string()))?;
            merge(config, &text, &file, options)?;
            config.files.push(file);
        }
    }
    Ok(())
}

/// Reads one text. `origin` stands in messages, and paths in it are relative to its folder.
///
/// # Errors
/// The first mistake, with line and column.
pub fn parse(text: &str, origin: &Path, options: Options) -> Result<Config, Error> {
    let mut config = Config::default();
    merge(&mut config, text, origin, options)?;
    complete(config, origin, options)
}

/// Reads one text, and then the files that `more` patterns name, into one configuration.
///
/// # Errors
/// As [`load`].
pub fn read(text: &str, origin: &Path, more: &[String], options: Options) -> Result<Config, Error> {
    let mut config = Config::default();
    merge(&mut config, text, origin, options)?;
    collect(&mut config, more, options)?;
    complete(config, origin, options)
}

/// Whether a file of credentials alone may do: the built-in modules are used then.
fn lacks_modules_only(config: &Config) -> bool {
    config.modules.is_empty() && !config.auths.is_empty() && !config.strict
}

fn complete(mut config: Config, origin: &Path, options: Options) -> Result<Config, Error> {
    if lacks_modules_only(&config) {
        let mut built_in = Config::default();
        merge(&mut built_in, BUILT_IN, Path::new("built-in"), options)?;
        config.modules = built_in.modules;
    }
    if config.modules.is_empty() {
        return Err(Error::new(
            origin,
            "no modules: expected at least one below `modules`",
        ));
    }
    if config.auths.is_empty() {
        return Err(Error::new(
            origin,
            format!("no auths: expected at least one below `auths`; {LEGACY}"),
        ));
    }
    let mut secrets: Vec<PathBuf> = Vec::new();
    for auth in config.auths.values() {
        for credentials in std::iter::once(&auth.credentials).chain(auth.targets.values()) {
            let all = [
                &credentials.community,
                &credentials.username,
                &credentials.password,
                &credentials.priv_password,
            ];
            secrets.extend(all.into_iter().filter_map(|one| one.file().cloned()));
        }
    }
    config.files.extend(secrets);
    Ok(config)
}

/// The configuration that runs when none is given.
pub const BUILT_IN: &str = include_str!("../../default.yml");

const LEGACY: &str = "since snmp_exporter 0.23 credentials stand below `auths` and modules below `modules` (see its page on the auth split)";

fn merge(config: &mut Config, text: &str, origin: &Path, options: Options) -> Result<(), Error> {
    if text
        .lines()
        .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
    {
        return Ok(());
    }
    let budget =
        serde_saphyr::budget! { max_nodes: 20_000_000, max_events: 40_000_000, max_depth: 32 };
    let rules =
        serde_saphyr::options! { with_snippet: false, legacy_octal_numbers: true, budget: budget };
    let file: raw::File = serde_saphyr::from_str_with_options(text, rules)
        .map_err(|error| refused(&error, text, origin))?;
    config.strict |= file.strict.unwrap_or(false);
    for (name, auth) in file.auths {
        let place = place(&auth);
        let Entry::Vacant(entry) = config.auths.entry(name.clone()) else {
            return Err(Error::at(
                origin,
                place,
                format!("auths.{name}: another file has an auth of this name"),
            ));
        };
        let auth = Reader { origin, options }
            .auth(&auth.value)
            .map_err(|reason| Error::at(origin, place, format!("auths.{name}: {reason}")))?;
        entry.insert(auth);
    }
    let mut names = Names::of(
        &file.modules.values().map(|one| &one.value),
        options.mib_folders,
    );
    for (name, spanned) in file.modules {
        let at = place(&spanned);
        let Entry::Vacant(entry) = config.modules.entry(name.clone()) else {
            return Err(Error::at(
                origin,
                at,
                format!("modules.{name}: another file has a module of this name"),
            ));
        };
        let made = module(spanned.value).and_then(|(mut made, by_name)| {
            names.fill(&name, origin, by_name, &mut made)?;
            Ok(made)
        });
        entry.insert(made.map_err(|(inner, reason)| {
            Error::at(
                origin,
                inner.unwrap_or(at),
                format!("modules.{name}: {reason}"),
            )
        })?);
    }
    Ok(())
}

fn place<T>(spanned: &Spanned<T>) -> (u64, u64) {
    (spanned.referenced.line(), spanned.referenced.column())
}

pub(crate) fn refused(error: &serde_saphyr::Error, text: &str, origin: &Path) -> Error {
    let mut message = error.without_snippet().to_string();
    let place = error.location().map(|at| (at.line(), at.column()));
    if let Some((line, column)) = place {
        for shown in [
            format!(" at line {line}, column {column}"),
            format!("line {line} column {column}: "),
        ] {
            message = message.replace(&shown, "");
        }
    }
    for (theirs, plain) in [
        (", set DuplicateKeyPolicy in Options if acceptable", ""),
        (
            "invalid u32",
            "expected a whole number from 0 to 4294967295",
        ),
        ("expected mapping start", "expected keys with values"),
        ("expected sequence start", "expected a list"),
    ] {
        message = message.replace(theirs, plain);
    }
    let new_form = text
        .lines()
        .any(|line| line.starts_with("auths:") || line.starts_with("modules:"));
    let old_key = ["`auth`", "`version`"]
        .iter()
        .any(|key| message.contains("unknown field") && message.contains(&format!("field {key}")));
    if message.contains("unknown field") && (!new_form || old_key) {
        message = format!("{message}; {LEGACY}");
    }
    Error {
        origin: origin.to_owned(),
        place,
        message,
    }
}

struct Reader<'a> {
    origin: &'a Path,
    options: Options,
}

/// The three ways to write one credential.
struct Written<'a> {
    key: &'a str,
    value: Option<&'a String>,
    file: Option<&'a PathBuf>,
    env: Option<&'a String>,
    expand: bool,
}

impl Reader<'_> {
    fn auth(&self, raw: &raw::Auth) -> Result<Auth, String> {
        let credentials = Credentials {
            community: self
                .credential(&Written {
                    key: "community",
                    value: raw.community.as_ref(),
                    file: raw.community_file.as_ref(),
                    env: raw.community_env.as_ref(),
                    expand: false,
                })?
                .unwrap_or_else(|| Credential::literal("public")),
            username: self
                .credential(&Written {
                    key: "username",
                    value: raw.username.as_ref(),
                    file: raw.username_file.as_ref(),
                    env: raw.username_env.as_ref(),
                    expand: true,
                })?
                .unwrap_or_default(),
            password: self
                .credential(&Written {
                    key: "password",
                    value: raw.password.as_ref(),
                    file: raw.password_file.as_ref(),
                    env: raw.password_env.as_ref(),
                    expand: true,
                })?
                .unwrap_or_default(),
            priv_password: self
                .credential(&Written {
                    key: "priv_password",
                    value: raw.priv_password.as_ref(),
                    file: raw.priv_password_file.as_ref(),
                    env: raw.priv_password_env.as_ref(),
                    expand: true,
                })?
                .unwrap_or_default(),
        };
        let version = match raw.version.unwrap_or(2) {
            version @ 1..=3 => version as u8,
            other => {
                return Err(format!(
                    "version: {other} is no SNMP version: expected 1, 2 or 3"
                ));
            }
        };
        let v3 = version == 3;
        let mut auth = Auth {
            version,
            security_level: known(
                raw.security_level.as_ref(),
                v3,
                SecurityLevel::NoAuthNoPriv,
                "security_level",
                "noAuthNoPriv, authNoPriv or authPriv",
            )?,
            auth_protocol: AuthProtocol::Md5,
            priv_protocol: PrivProtocol::Des,
            context_name: raw.context_name.clone().unwrap_or_default(),
            credentials,
            targets: std::collections::BTreeMap::new(),
        };
        let needs_auth = v3 && auth.security_level != SecurityLevel::NoAuthNoPriv;
        let needs_priv = v3 && auth.security_level == SecurityLevel::AuthPriv;
        auth.auth_protocol = known(
            raw.auth_protocol.as_ref(),
            needs_auth,
            AuthProtocol::Md5,
            "auth_protocol",
            "MD5, SHA, SHA224, SHA256, SHA384 or SHA512",
        )?;
        auth.priv_protocol = known(
            raw.priv_protocol.as_ref(),
            needs_priv,
            PrivProtocol::Des,
            "priv_protocol",
            "DES, AES, AES192, AES192C, AES256 or AES256C",
        )?;
        for (needed, value, key) in [
            (needs_priv, &auth.credentials.priv_password, "priv_password"),
            (needs_auth, &auth.credentials.password, "password"),
            (v3, &auth.credentials.username, "username"),
        ] {
            if needed && value.is_empty() {
                return Err(format!(
                    "{key} is missing: version 3 with {} needs it",
                    auth.security_level.name()
                ));
            }
        }
        for (target, one) in &raw.targets {
            let one = self
                .credentials(&one.value, &auth.credentials)
                .map_err(|reason| format!("targets.{target}: {reason}"))?;
            auth.targets.insert(target.clone(), one);
        }
        Ok(auth)
    }

    fn credentials(
        &self,
        raw: &raw::Credentials,
        base: &Credentials,
    ) -> Result<Credentials, String> {
        let read = |key, value, file, env, base: &Credential| {
            let written = Written {
                key,
                value,
                file,
                env,
                expand: key != "community",
            };
            self.credential(&written)
                .map(|one| one.unwrap_or_else(|| base.clone()))
        };
        Ok(Credentials {
            community: read(
                "community",
                raw.community.as_ref(),
                raw.community_file.as_ref(),
                raw.community_env.as_ref(),
                &base.community,
            )?,
            username: read(
                "username",
                raw.username.as_ref(),
                raw.username_file.as_ref(),
                raw.username_env.as_ref(),
                &base.username,
            )?,
            password: read(
                "password",
                raw.password.as_ref(),
                raw.password_file.as_ref(),
                raw.password_env.as_ref(),
                &base.password,
            )?,
            priv_password: read(
                "priv_password",
                raw.priv_password.as_ref(),
                raw.priv_password_file.as_ref(),
                raw.priv_password_env.as_ref(),
                &base.priv_password,
            )?,
        })
    }

    fn credential(&self, written: &Written<'_>) -> Result<Option<Credential>, String> {
        let key = written.key;
        if usize::from(written.value.is_some())
            + usize::from(written.file.is_some())
            + usize::from(written.env.is_some())
            > 1
        {
            return Err(format!(
                "{key}: expected only one of {key}, {key}_file and {key}_env"
            ));
        }
        if let Some(file) = written.file {
            let path = self.origin.parent().unwrap_or(Path::new("")).join(file);
            let bytes = std::fs::read(&path)
                .map_err(|error| format!("{key}_file: {}: {error}", path.display()))?;
            let end = bytes
                .iter()
                .rposition(|byte| !matches!(byte, b'\n' | b'\r'))
                .map_or(0, |at| at + 1);
            if end == 0 {
                return Err(format!("{key}_file: {} is empty", path.display()));
            }
            return Ok(Some(Credential::from_file(&bytes[..end], path)));
        }
        if let Some(name) = written.env {
            let value = std::env::var(name)
                .map_err(|_| format!("{key}_env: {name}: environment variable not found"))?;
            return Ok(Some(Credential::literal(value)));
        }
        let Some(value) = written.value else {
            return Ok(None);
        };
        if written.expand && self.options.expand_environment {
            return expand(value)
                .map(|value| Some(Credential::literal(value)))
                .map_err(|reason| format!("{key}: {reason}"));
        }
        Ok(Some(Credential::literal(value.as_str())))
    }
}

fn known<T: Copy>(
    named: Option<&raw::Named<T>>,
    needed: bool,
    default: T,
    key: &str,
    expected: &str,
) -> Result<T, String> {
    match named.map(|one| &one.0) {
        None => Ok(default),
        Some(Ok(value)) => Ok(*value),
        Some(Err(_)) if !needed => Ok(default),
        Some(Err(name)) => Err(format!("{key}: `{name}` is not known: expected {expected}")),
    }
}

/// `${VAR}` and `$VAR` replaced by the environment, anywhere in the text.
fn expand(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let (name, after) = if let Some(braced) = rest.strip_prefix('{') {
            braced.split_once('}').ok_or("`${` without `}`")?
        } else {
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            rest.split_at(end)
        };
        if name.is_empty() {
            out.push('$');
        } else {
            out.push_str(
                &std::env::var(name)
                    .map_err(|_| format!("{name}: environment variable not found"))?,
            );
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

type Refused = (Option<(u64, u64)>, String);

fn module(raw: raw::Module) -> Result<(Module, ByName), Refused> {
    let metrics = raw.metrics.unwrap_or_default();
    let mut by_name = ByName {
        walk: Vec::new(),
        lookups: raw.lookups,
        overrides: raw.overrides,
    };
    let mut numbers = |list: Vec<Spanned<Place>>| {
        let mut oids = Vec::new();
        for one in list {
            match one.value {
                Place::Oid(oid) => oids.push(oid),
                Place::Name(_) => by_name.walk.push(one),
            }
        }
        oids
    };
    let (walk, get) = (numbers(raw.walk), numbers(raw.get));
    for (key, given) in [
        ("lookups", !by_name.lookups.is_empty()),
        ("overrides", !by_name.overrides.is_empty()),
    ] {
        if given && by_name.walk.is_empty() {
            return Err((
                None,
                format!(
                    "{key}: expected only where walk names MIB objects, as in IF-MIB::ifXTable"
                ),
            ));
        }
    }
    let module = Module {
        walk,
        get,
        metrics: metrics.into_iter().map(metric).collect::<Result<_, _>>()?,
        max_repetitions: raw.max_repetitions.unwrap_or(25),
        retries: raw.retries.unwrap_or(3),
        timeout: raw
            .timeout
            .map_or(Duration::from_secs(5), |timeout| timeout.0),
        use_unconnected_udp_socket: raw.use_unconnected_udp_socket,
        allow_nonincreasing_oids: raw.allow_nonincreasing_oids,
        filters: raw
            .filters
            .into_iter()
            .map(|filter| Filter {
                oid: filter.oid,
                targets: filter.targets,
                values: filter.values.into_iter().map(|one| one.0).collect(),
            })
            .collect(),
    };
    Ok((module, by_name))
}

fn metric(spanned: Spanned<raw::Metric>) -> Result<Metric, Refused> {
    let at = place(&spanned);
    let raw = spanned.value;
    let bad = |reason: String| (Some(at), format!("metrics.{}: {reason}", raw.name));
    if !is_metric_name(&raw.name) {
        return Err(bad(
            "a metric name has letters, digits, _ and :, and does not start with a digit"
                .to_owned(),
        ));
    }
    for label in raw
        .indexes
        .iter()
        .map(|index| &index.labelname)
        .chain(raw.lookups.iter().map(|lookup| &lookup.labelname))
    {
        if !is_label_name(label) {
            return Err(bad(format!(
                "`{label}` is no label name: expected letters, digits and _, not starting with a digit or __"
            )));
        }
    }
    if let Some(lookup) = raw
        .lookups
        .iter()
        .find(|lookup| lookup.oid.is_none() && !lookup.labels.is_empty())
    {
        return Err(bad(format!(
            "lookup of {}: oid is missing",
            lookup.labelname
        )));
    }
    Ok(Metric {
        name: raw.name,
        oid: raw.oid,
        kind: raw.kind,
        help: raw.help,
        indexes: raw
            .indexes
            .into_iter()
            .map(|one| Index {
                labelname: one.labelname,
                kind: one.kind.0,
                fixed_size: one.fixed_size,
                implied: one.implied,
                enum_values: one.enum_values,
            })
            .collect(),
        lookups: raw
            .lookups
            .into_iter()
            .map(|one| Lookup {
                labels: one.labels,
                labelname: one.labelname,
                oid: one.oid.unwrap_or_else(|| Oid::new([])),
                kind: one.kind,
                display_hint: one.display_hint,
                enum_values: one.enum_values,
            })
            .collect(),
        regex_extracts: raw
            .regex_extracts
            .into_iter()
            .map(|(suffix, list)| {
                (
                    suffix,
                    list.into_iter()
                        .map(|one| Extract {
                            regex: one.regex,
                            value: one.value,
                        })
                        .collect(),
                )
            })
            .collect(),
        datetime_pattern: raw.datetime_pattern,
        enum_values: raw.enum_values,
        offset: raw.offset,
        scale: raw.scale,
        display_hint: raw.display_hint,
    })
}

fn is_metric_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

fn is_label_name(name: &str) -> bool {
    is_metric_name(name) && !name.contains(':') && !name.starts_with("__")
}

/// The files that a pattern names, in order.
///
/// # Errors
/// A name without a pattern does not exist, or the pattern is malformed.
/// `*`, `?` and `[…]` match in the last part of the path only.
pub fn matching(pattern: &str) -> Result<Vec<PathBuf>, String> {
    let path = Path::new(pattern);
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    if !name.contains(['*', '?', '[']) {
        return if path.exists() {
            Ok(vec![path.to_owned()])
        } else {
            Err("no such file".to_owned())
        };
    }
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let wanted = glob(name)?;
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|entry| {
            entry
                .file_name()
                .to_str()
                .is_some_and(|name| wanted.is_match(name))
        })
        .map(|entry| {
            if path
                .parent()
                .is_some_and(|parent| parent.as_os_str().is_empty())
            {
                PathBuf::from(entry.file_name())
            } else {
                entry.path()
            }
        })
        .collect();
    files.sort();
    Ok(files)
}

fn glob(name: &str) -> Result<regex::Regex, String> {
    let mut expression = String::from("^");
    let mut in_class = false;
    for c in name.chars() {
        match c {
            '*' if !in_class => expression.push_str(".*"),
            '?' if !in_class => expression.push('.'),
            '[' if !in_class => {
                in_class = true;
                expression.push('[');
            }
            ']' if in_class => {
                in_class = false;
                expression.push(']');
            }
            '^' | '-' if in_class => expression.push(c),
            _ => expression.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    expression.push('$');
    regex::Regex::new(&expression).map_err(|_| "malformed file pattern".to_owned())
}

#[cfg(test)]
mod tests;
