//! What may be allowed, recorded and done.

use crate::caller::{Object, Verb};

/// One right that an action needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The verb.
    pub verb: &'static Verb,
    /// Kind of what it is done to: `device`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// The device groups that it belongs to.
    pub groups: Vec<String>,
}

impl Need {
    /// What the right must be for.
    #[must_use]
    pub fn object(&self) -> Object<'_> {
        Object {
            kind: self.kind,
            name: &self.name,
            groups: &self.groups,
        }
    }
}

/// What will be done, and to what: the one value that is allowed, recorded and done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    verb: &'static Verb,
    kind: &'static str,
    name: String,
    needs: Vec<Need>,
}

impl Action {
    /// `verb` done to the `name` of this kind, which is recorded as `kind/name`. Without [`needs`](Self::needing) it needs the right to
    /// just that, of something in no group.
    #[must_use]
    pub fn new(verb: &'static Verb, kind: &'static str, name: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            verb,
            kind,
            needs: vec![Need {
                verb,
                kind,
                name: name.clone(),
                groups: Vec::new(),
            }],
            name,
        }
    }

    /// The same, of something in these device groups.
    #[must_use]
    pub fn of_groups(mut self, groups: &[String]) -> Self {
        for need in &mut self.needs {
            groups.clone_into(&mut need.groups);
        }
        self
    }

    /// Needs these rights, all of them, in place of the one to itself: for what touches several things, or moves one from a group to
    /// another. An empty list leaves it as it is, since nothing may be done that needs no right.
    #[must_use]
    pub fn needing(mut self, needs: Vec<Need>) -> Self {
        if !needs.is_empty() {
            self.needs = needs;
        }
        self
    }

    /// The verb.
    #[must_use]
    pub fn verb(&self) -> &'static Verb {
        self.verb
    }

    /// What it is done to: `device/r1`.
    #[must_use]
    pub fn object(&self) -> String {
        match &*self.name {
            "" => self.kind.to_owned(),
            name => format!("{}/{name}", self.kind),
        }
    }

    /// Every right it needs; never empty.
    #[must_use]
    pub fn needs(&self) -> &[Need] {
        &self.needs
    }
}
