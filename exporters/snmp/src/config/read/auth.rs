//! One of `auths`: version, levels, protocols and credentials.

use std::path::{Path, PathBuf};

use super::{Options, raw};
use crate::config::{
    Auth, AuthProtocol, Credential, Credentials, OnlyFor, PrivProtocol, SecurityLevel, network,
};

/// Reads credentials: from the file itself, from files beside it and from the environment.
pub(super) struct Reader<'a> {
    pub(super) origin: &'a Path,
    pub(super) options: Options<'a>,
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
    pub(super) fn auth(&self, raw: &raw::Auth) -> Result<Auth, String> {
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
            only_for: raw.only_for.as_ref().map(only_for).transpose()?,
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
            let bytes = toolkit::read_secret(&path)
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

fn only_for(raw: &raw::OnlyFor) -> Result<OnlyFor, String> {
    let networks = raw.networks.iter().map(|text| network(text));
    Ok(OnlyFor {
        targets: raw.targets.clone(),
        sites: raw.sites.clone(),
        networks: networks
            .collect::<Result<_, _>>()
            .map_err(|reason| format!("only_for.networks: {reason}"))?,
    })
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
