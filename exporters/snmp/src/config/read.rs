//! Reading `snmp.yml`: one file or many, strictly, with file and line in every error.

mod auth;
mod files;
mod module;
mod names;
mod place;
mod raw;

use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use yaml::Spanned;

use super::{Config, Error};
use auth::Reader;
pub use files::matching;
use module::module;
use names::Names;

/// How files are read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// Replace `${VAR}` and `$VAR` in user names and passwords (`--config.expand-environment-variables`).
    pub expand_environment: bool,
    /// Where MIB files are (`--snmp.mib-dir`), for walks that name objects; the folders of net-snmp when there are none.
    pub mib_folders: &'a [PathBuf],
}

/// Reads every file that the patterns name into one configuration.
///
/// # Errors
/// The first mistake, with file and line. Two files must not name the same auth or module, and together they must hold one of each.
pub fn load(patterns: &[String], options: Options<'_>) -> Result<Config, Error> {
    let mut config = Config::default();
    collect(&mut config, patterns, options)?;
    let origin = config
        .files
        .first()
        .cloned()
        .unwrap_or_else(|| PathBuf::from(patterns.first().cloned().unwrap_or_default()));
    complete(config, &origin, options)
}

fn collect(config: &mut Config, patterns: &[String], options: Options<'_>) -> Result<(), Error> {
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
pub fn parse(text: &str, origin: &Path, options: Options<'_>) -> Result<Config, Error> {
    let mut config = Config::default();
    merge(&mut config, text, origin, options)?;
    complete(config, origin, options)
}

/// Reads one text, and then the files that `more` patterns name, into one configuration.
///
/// # Errors
/// As [`load`].
pub fn read(
    text: &str,
    origin: &Path,
    more: &[String],
    options: Options<'_>,
) -> Result<Config, Error> {
    let mut config = Config::default();
    merge(&mut config, text, origin, options)?;
    collect(&mut config, more, options)?;
    complete(config, origin, options)
}

/// Whether a file of credentials alone may do: the built-in modules are used then.
fn lacks_modules_only(config: &Config) -> bool {
    config.modules.is_empty() && !config.auths.is_empty() && !config.strict
}

fn complete(mut config: Config, origin: &Path, options: Options<'_>) -> Result<Config, Error> {
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

fn merge(
    config: &mut Config,
    text: &str,
    origin: &Path,
    options: Options<'_>,
) -> Result<(), Error> {
    if text
        .lines()
        .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
    {
        return Ok(());
    }
    let file: raw::File =
        yaml::parse(text, &RULES).map_err(|mistakes| refused(&mistakes, text, origin))?;
    config.strict |= file.strict.unwrap_or(false);
    for (name, auth) in file.auths {
        let place = place_of(&auth);
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
        let at = place_of(&spanned);
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

fn place_of<T>(spanned: &Spanned<T>) -> (u64, u64) {
    (spanned.at.line.into(), spanned.at.column.into())
}

/// As snmp_exporter reads its files; the largest that its generator writes has some hundred thousand values.
pub(crate) const RULES: yaml::Rules = yaml::Rules {
    octal: true,
    values: 20_000_000,
    bytes: 512 << 20,
    ..yaml::Rules::CONFIGURATION
};

/// The first mistake, with a hint where the file has the form of old versions.
pub(crate) fn refused(mistakes: &[yaml::Mistake], text: &str, origin: &Path) -> Error {
    let Some(first) = mistakes.first() else {
        return Error::new(origin, "expected auths and modules");
    };
    let new_form = text
        .lines()
        .any(|line| line.starts_with("auths:") || line.starts_with("modules:"));
    let old_key = ["\"auth\";", "\"version\";"]
        .iter()
        .any(|key| first.message.starts_with(&format!("unknown key {key}")));
    let unknown = first.message.starts_with("unknown key");
    let hint = if unknown && (!new_form || old_key) {
        format!("; {LEGACY}")
    } else {
        String::new()
    };
    let path = if first.path.is_empty() {
        String::new()
    } else {
        format!("{}: ", first.path)
    };
    Error {
        origin: origin.to_owned(),
        place: (first.at.line > 0).then(|| (first.at.line.into(), first.at.column.into())),
        message: format!("{path}{}{hint}", first.message),
    }
}

#[cfg(test)]
mod tests;
