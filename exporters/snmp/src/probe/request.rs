//! The query of `/snmp`.

use super::{AUTO, Ready};
use crate::vitals;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ask {
    /// As given.
    pub target: String,
    /// Name of an auth.
    pub auth: String,
    /// Names of modules, each once, in the order given.
    pub modules: Vec<String>,
    /// Context of version 3; empty means that of the auth.
    pub context: String,
}

/// Why a request is refused with status 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Missing, empty or repeated.
    #[error("'target' parameter must be specified once")]
    Target,
    /// Given more than once.
    #[error("'{0}' parameter must only be specified once")]
    Repeated(&'static str),
    /// Only empty names.
    #[error("'module' parameter must contain at least one module name")]
    NoModule,
    /// No auth of this name.
    #[error("Unknown auth '{0}'")]
    Auth(String),
    /// No module of this name.
    #[error("Unknown module '{0}'")]
    Module(String),
    /// `snmp_engineid` is not served.
    #[error(
        "'snmp_engineid' parameter is not supported: the context engine is always the engine that answers"
    )]
    EngineId,
}

impl Ask {
    /// Reads the query.
    ///
    /// # Errors
    /// A parameter is missing, repeated or not served.
    pub fn read(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, Refusal> {
        let (mut targets, mut auths, mut contexts, mut modules, mut engines) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (key, value) in pairs {
            match key.as_str() {
                "target" => targets.push(value),
                "auth" => auths.push(value),
                "snmp_context" => contexts.push(value),
                "module" => modules.push(value),
                "snmp_engineid" => engines.push(value),
                _ => {}
            }
        }
        let [target] = targets.as_slice() else {
            return Err(Refusal::Target);
        };
        if target.is_empty() {
            return Err(Refusal::Target);
        }
        let once = |list: Vec<String>, name| match list.len() {
            0 | 1 => Ok(list.into_iter().next().unwrap_or_default()),
            _ => Err(Refusal::Repeated(name)),
        };
        let mut auth = once(auths, "auth")?;
        if auth.is_empty() {
            "public_v2".clone_into(&mut auth);
        }
        let context = once(contexts, "snmp_context")?;
        if !once(engines, "snmp_engineid")?.is_empty() {
            return Err(Refusal::EngineId);
        }
        if modules.is_empty() {
            modules.push("if_mib".to_owned());
        }
        let mut unique: Vec<String> = Vec::new();
        for name in modules
            .iter()
            .flat_map(|list| list.split(','))
            .filter(|name| !name.is_empty())
        {
            if !unique.iter().any(|known| known == name) {
                unique.push(name.to_owned());
            }
        }
        if unique.is_empty() {
            return Err(Refusal::NoModule);
        }
        Ok(Self {
            target: target.clone(),
            auth,
            modules: unique,
            context,
        })
    }

    /// Checks the names against a configuration; a strict one has no modules but its own.
    ///
    /// # Errors
    /// The auth or a module does not exist.
    pub fn check(&self, ready: &Ready, strict: bool) -> Result<(), Refusal> {
        let config = &ready.config;
        if !config.auths.contains_key(&self.auth) {
            return Err(Refusal::Auth(self.auth.clone()));
        }
        let unknown = |name: &&String| {
            let of_file = config.modules.contains_key(*name)
                && !(ready.vitals && name.as_str() == vitals::NAME);
            let ours = [AUTO, vitals::NAME].contains(&name.as_str());
            !of_file && (strict || !ours)
        };
        match self.modules.iter().find(unknown) {
            Some(name) => Err(Refusal::Module(name.clone())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Ask, Refusal> {
        Ask::read(
            query
                .split('&')
                .filter(|part| !part.is_empty())
                .map(|part| {
                    let (key, value) = part.split_once('=').unwrap_or((part, ""));
                    (key.to_owned(), value.to_owned())
                }),
        )
    }

    #[test]
    fn queries_read_as_in_snmp_exporter() {
        let ask = read("target=r1&module=a,b,,a&module=c").unwrap();
        assert_eq!(
            (ask.auth.as_str(), ask.modules.join("+").as_str()),
            ("public_v2", "a+b+c")
        );
        assert_eq!(read("target=r1&auth=").unwrap().modules, ["if_mib"]);
        assert_eq!(read("target=r1&snmp_context=x").unwrap().context, "x");
        for (query, refusal) in [
            ("", Refusal::Target),
            ("target=", Refusal::Target),
            ("target=a&target=b", Refusal::Target),
            ("target=a&auth=x&auth=y", Refusal::Repeated("auth")),
            (
                "target=a&snmp_context=x&snmp_context=y",
                Refusal::Repeated("snmp_context"),
            ),
            ("target=a&module=,", Refusal::NoModule),
            ("target=a&snmp_engineid=80", Refusal::EngineId),
        ] {
            assert_eq!(read(query), Err(refusal), "{query}");
        }
    }
}
