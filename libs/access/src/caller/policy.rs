//! Which role may do which verb to which groups.

use std::collections::BTreeSet;

use super::{Denied, Object, Role, Verb};

/// One rule: with at least this role, these verbs, to objects of these groups.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) verbs: Verbs,
    pub(crate) role: Role,
    /// `None` for every object, those of no group included.
    pub(crate) groups: Option<BTreeSet<String>>,
}

/// Verbs by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verbs {
    All,
    /// Those whose names begin with this and a dot: `device.*`.
    Below(String),
    One(String),
}

impl Verbs {
    pub(crate) fn parse(text: &str) -> Self {
        match text.strip_suffix(".*") {
            _ if text == "*" => Self::All,
            Some(prefix) => Self::Below(prefix.to_owned()),
            None => Self::One(text.to_owned()),
        }
    }

    pub(crate) fn holds(&self, verb: &str) -> bool {
        match self {
            Self::All => true,
            Self::Below(prefix) => verb
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.starts_with('.')),
            Self::One(name) => name == verb,
        }
    }
}

/// The rules. A verb that a rule names is decided by the rules that name it, any one of which is enough; any other verb by its own
/// least role.
#[derive(Debug, Clone, Default)]
pub(crate) struct Policy {
    pub(crate) rules: Vec<Rule>,
}

impl Policy {
    /// Whether this role may do the verb to anything at all.
    pub(crate) fn may(&self, role: Role, verb: &Verb) -> Result<(), Denied> {
        let about = self
            .rules
            .iter()
            .filter(|rule| rule.verbs.holds(verb.name()));
        let needed = about.map(|rule| rule.role).min();
        let needed = needed.unwrap_or(verb.least());
        if role >= needed {
            return Ok(());
        }
        Err(Denied::Forbidden {
            verb: verb.name(),
            needed,
        })
    }

    pub(crate) fn permits(
        &self,
        role: Role,
        verb: &Verb,
        object: &Object<'_>,
    ) -> Result<(), Denied> {
        let about = || {
            self.rules
                .iter()
                .filter(|rule| rule.verbs.holds(verb.name()))
        };
        let needed = about().map(|rule| rule.role).min();
        let permitted = match needed {
            None => role >= verb.least(),
            Some(_) => about().any(|rule| {
                let inside = |groups: &BTreeSet<String>| {
                    object.groups.iter().any(|group| groups.contains(group))
                };
                role >= rule.role && rule.groups.as_ref().is_none_or(inside)
            }),
        };
        if permitted {
            Ok(())
        } else {
            Err(Denied::Forbidden {
                verb: verb.name(),
                needed: needed.unwrap_or(verb.least()),
            })
        }
    }
}
