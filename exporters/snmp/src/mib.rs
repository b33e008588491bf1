//! MIBs (SMIv1, RFC 1155 and 1212; SMIv2, RFC 2578 to 2580): objects by name, read from folders of MIB files.

mod object;
mod source;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use mib_rs::{DiagnosticConfig, LoadError, Loader, Mib, ResolverStrictness, Severity};

pub use object::{Access, Kind, Object};

use crate::oid::Oid;
use source::Lenient;

/// The largest MIB file that is read; vendors' largest have a few megabytes.
const LARGEST: u64 = 32 << 20;
/// Names that a message suggests.
const SUGGESTIONS: usize = 3;

/// Why MIBs cannot be read, or a name cannot be found in them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MibError {
    /// A folder cannot be read.
    #[error("MIB folder {}: {reason}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// No folder at all.
    #[error("no MIB folder: name one with --snmp.mib-dir")]
    NoFolder,
    /// A module is in no file of the folders.
    #[error("no MIB module {name} in {folders}: expected a file that defines it")]
    Module {
        /// Its name.
        name: String,
        /// Where it was looked for.
        folders: String,
    },
    /// A name that no module defines.
    #[error("`{name}`: {reason}")]
    Name {
        /// The name as written.
        name: String,
        /// What is known of it.
        reason: String,
    },
    /// The reader gave up.
    #[error("MIBs cannot be read: {0}")]
    Read(String),
}

/// Something that a MIB file has wrong: `file:line:column: message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where and what.
    pub text: String,
    /// Whether definitions were lost by it.
    pub severe: bool,
}

/// The objects of some MIB modules.
#[derive(Debug)]
pub struct Mibs {
    objects: Vec<Object>,
    by_oid: BTreeMap<Oid, usize>,
    by_name: BTreeMap<String, usize>,
    modules: BTreeMap<String, String>,
    problems: Vec<Problem>,
}

/// The folders that net-snmp's tools search, as far as they exist here.
#[must_use]
pub fn usual_folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = mib_rs::searchpath::discover_system_paths()
        .into_iter()
        .map(PathBuf::from)
        .filter(|folder| folder.is_dir())
        .collect();
    folders.dedup();
    folders
}

impl Mibs {
    /// Reads `modules` and what they import, or every module of the folders when there are none named. Folders are searched in order,
    /// with those below them.
    ///
    /// # Errors
    /// A folder cannot be read, or a named module is in none of them. Faults inside MIB files are no errors: [`Mibs::problems`] has them.
    pub fn load(folders: &[PathBuf], modules: Option<&[String]>) -> Result<Self, MibError> {
        if folders.is_empty() {
            return Err(MibError::NoFolder);
        }
        let mut loader = Loader::new()
            // net-snmp finds a type or parent that a module forgot to import, and vendors rely on it.
            .resolver_strictness(ResolverStrictness::Permissive)
            .diagnostic_config(lenient());
        for folder in folders {
            let source = source(folder).map_err(|error| MibError::Folder {
                folder: folder.clone(),
                reason: error.to_string(),
            })?;
            loader = loader.source(source);
        }
        if let Some(names) = modules {
            loader = loader.modules(names.iter().cloned());
        }
        let mib = loader.load().map_err(|error| unreadable(&error, folders))?;
        if let Some(name) = modules
            .into_iter()
            .flatten()
            .find(|name| mib.module(name).is_none())
        {
            return Err(missing(name, folders));
        }
        Ok(Self::of(&mib))
    }

    /// Reads one text as a module, with the foundation modules alone: for tests and fuzzing.
    ///
    /// # Errors
    /// The reader gave up.
    pub fn of_text(name: &str, text: &[u8]) -> Result<Self, MibError> {
        let mib = Loader::new()
            .resolver_strictness(ResolverStrictness::Permissive)
            .diagnostic_config(lenient())
            .source(Box::new(Lenient(mib_rs::source::memory(name, text))))
            .load()
            .map_err(|error| MibError::Read(error.to_string()))?;
        Ok(Self::of(&mib))
    }

    fn of(mib: &Mib) -> Self {
        let mut found = Self {
            objects: Vec::new(),
            by_oid: BTreeMap::new(),
            by_name: BTreeMap::new(),
            modules: BTreeMap::new(),
            problems: problems(mib),
        };
        for module in mib.modules() {
            let file = module.source_label().unwrap_or_default();
            found
                .modules
                .insert(module.name().to_owned(), file.to_owned());
        }
        for node in mib.root_node().subtree() {
            let Some(object) = Object::of(&node, node.object()) else {
                continue;
            };
            let at = found.objects.len();
            found.by_oid.insert(object.oid.clone(), at);
            if !object.module.is_empty() {
                found
                    .by_name
                    .insert(format!("{}::{}", object.module, object.name), at);
            }
            found.by_name.insert(object.name.clone(), at);
            found.objects.push(object);
        }
        // Of two objects at one identifier the tree has one; a row may name the other one as its index.
        let all = mib.modules().flat_map(|module| {
            let objects = module.objects();
            objects.map(move |object| (module.name().to_owned(), object))
        });
        for (module, object) in all {
            let name = format!("{module}::{}", object.name());
            let node = object.node().filter(|_| !found.by_name.contains_key(&name));
            let made = node.and_then(|node| Object::of(&node, Some(object)));
            let Some(made) = made else {
                continue;
            };
            let at = found.objects.len();
            found.by_name.insert(name, at);
            found.by_name.entry(made.name.clone()).or_insert(at);
            found.objects.push(Object { module, ..made });
        }
        found
    }

    /// What is wrong with the files that were read.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Names of the modules that were read.
    pub fn modules(&self) -> impl Iterator<Item = &str> {
        self.modules.keys().map(String::as_str)
    }

    /// The object called `NAME` or `MODULE::NAME`, or at a dotted identifier.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Object> {
        let at = match self.by_name.get(name) {
            Some(at) => Some(*at),
            None => name
                .parse::<Oid>()
                .ok()
                .and_then(|oid| self.by_oid.get(&oid).copied()),
        };
        at.map(|at| &self.objects[at])
    }

    /// The object at this identifier.
    #[must_use]
    pub fn at(&self, oid: &Oid) -> Option<&Object> {
        self.by_oid.get(oid).map(|at| &self.objects[*at])
    }

    /// The object that lies deepest on the way to this identifier.
    #[must_use]
    pub fn above(&self, oid: &Oid) -> Option<&Object> {
        (0..=oid.ids().len())
            .rev()
            .find_map(|length| self.at(&Oid::new(&oid.ids()[..length])))
    }

    /// The object at this identifier and all below it, in the order of their identifiers.
    pub fn below<'a>(&'a self, root: &'a Oid) -> impl Iterator<Item = &'a Object> {
        self.by_oid
            .range(root.clone()..)
            .take_while(|(oid, _)| oid.ids().starts_with(root.ids()))
            .map(|(_, at)| &self.objects[*at])
    }

    /// The column called `name` of the table that `column` stands in: two MIBs may have the same name.
    #[must_use]
    pub fn beside(&self, column: &Oid, name: &str) -> Option<&Object> {
        let (_, entry) = column.ids().split_last()?;
        self.by_oid
            .range(Oid::new(entry)..)
            .take_while(|(oid, _)| oid.ids().starts_with(entry))
            .map(|(_, at)| &self.objects[*at])
            .find(|object| object.name == name && object.oid.ids().len() == column.ids().len())
    }

    /// The identifier that `NAME`, `MODULE::NAME`, one of these followed by numbers (`IF-MIB::ifDescr.7`), or a dotted identifier
    /// means.
    ///
    /// # Errors
    /// No module that was read defines the name; the message says which names are like it and what of the module could not be read.
    pub fn resolve(&self, written: &str) -> Result<Oid, MibError> {
        if let Ok(oid) = written.parse() {
            return Ok(oid);
        }
        let end = written.find("::").map_or(0, |at| at + 2);
        let (name, instance) = match written[end..].split_once('.') {
            Some((object, rest)) => (&written[..end + object.len()], Some(rest)),
            None => (written, None),
        };
        let object = self.get(name).ok_or_else(|| self.unknown(name))?;
        let Some(instance) = instance else {
            return Ok(object.oid.clone());
        };
        let rest: Oid = instance.parse().map_err(|_| MibError::Name {
            name: written.to_owned(),
            reason: format!("`{instance}`: expected numbers with dots between them behind {name}"),
        })?;
        Ok(object.oid.join(rest.ids()))
    }

    fn unknown(&self, name: &str) -> MibError {
        let (module, bare) = name.split_once("::").unwrap_or(("", name));
        let mut reason = if module.is_empty() {
            "no MIB module defines it".to_owned()
        } else {
            match self.modules.get(module) {
                Some(file) if !file.is_empty() => format!("{module} ({file}) does not define it"),
                Some(_) => format!("{module} does not define it"),
                None => format!("no MIB module {module} was found"),
            }
        };
        let wanted = bare.to_ascii_lowercase();
        let mut like: Vec<(usize, &str)> = self
            .objects
            .iter()
            .filter(|object| module.is_empty() || object.module == module)
            .map(|object| {
                (
                    distance(&wanted, &object.name.to_ascii_lowercase()),
                    object.name.as_str(),
                )
            })
            .filter(|(distance, _)| *distance <= 2)
            .collect();
        like.sort_unstable();
        like.dedup();
        like.truncate(SUGGESTIONS);
        if !like.is_empty() {
            let names: Vec<String> = like.iter().map(|(_, name)| format!("`{name}`")).collect();
            let _ = write!(reason, "; is {} meant?", names.join(" or "));
        } else if let Some(problem) = self.problems.iter().find(|problem| problem.severe) {
            let _ = write!(reason, "; {}", problem.text);
        }
        MibError::Name {
            name: name.to_owned(),
            reason,
        }
    }
}

fn lenient() -> DiagnosticConfig {
    let mut config = DiagnosticConfig::quiet();
    config.fail_at = Severity::Fatal;
    config
}

/// A folder's files, except those that are too large to be a MIB.
fn source(folder: &Path) -> std::io::Result<Box<dyn mib_rs::source::Source>> {
    for entry in std::fs::read_dir(folder)?.flatten() {
        let meta = entry.metadata()?;
        if meta.is_file() && meta.len() > LARGEST {
            return Err(std::io::Error::other(format!(
                "{} is larger than {} MiB",
                entry.path().display(),
                LARGEST >> 20
            )));
        }
    }
    Ok(Box::new(Lenient(mib_rs::source::dir(folder)?)))
}

fn missing(name: &str, folders: &[PathBuf]) -> MibError {
    let folders: Vec<String> = folders
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    MibError::Module {
        name: name.to_owned(),
        folders: folders.join(", "),
    }
}

fn unreadable(error: &LoadError, folders: &[PathBuf]) -> MibError {
    match error {
        LoadError::MissingModules(names) => missing(&names.join(", "), folders),
        LoadError::Io(error) => MibError::Read(error.to_string()),
        other => MibError::Read(other.to_string()),
    }
}

fn problems(mib: &Mib) -> Vec<Problem> {
    let report = mib.diagnostic_report();
    report
        .iter()
        .map(|entry| {
            let diagnostic = entry.diagnostic();
            let place = match (entry.range(), entry.byte_positions()) {
                (Ok(Some((source, _))), Ok(Some((start, _)))) => format!(
                    "{}:{}:{}: ",
                    source.label(),
                    start.line() + 1,
                    start.column() + 1
                ),
                _ => diagnostic
                    .module
                    .as_ref()
                    .map_or(String::new(), |module| format!("{module}: ")),
            };
            Problem {
                text: format!("{place}{}", diagnostic.message),
                severe: diagnostic.severity.at_least(Severity::Error),
            }
        })
        .collect()
}

/// How many letters must be put in, taken out or changed to make one word the other (Levenshtein); words longer than 64 bytes are
/// unlike everything.
fn distance(one: &str, other: &str) -> usize {
    if one.len() > 64 || other.len() > 64 || one.len().abs_diff(other.len()) > 2 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, b) in other.bytes().enumerate() {
            let change = corner + usize::from(a != b);
            corner = row[j + 1];
            row[j + 1] = change.min(corner + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests;
