//! Walks that name MIB objects: `IF-MIB::ifXTable` in the place of a number.

use std::path::{Path, PathBuf};

use super::module::{ByName, Refused};
use super::place::Place;
use super::{place_of, raw};
use crate::config::Module;
use crate::generate::build::{self, Built};
use crate::generate::input::ModuleInput;
use crate::mib::{self, MibError, Mibs};

/// The MIBs that a file's names need, read when the first name asks for them.
pub(super) struct Names {
    folders: Vec<PathBuf>,
    modules: Option<Vec<String>>,
    mibs: Option<Result<Mibs, MibError>>,
}

impl Names {
    /// For these modules of a file. When every name says its MIB module, only these are read, else all that there are.
    pub(super) fn of<'a>(
        modules: &(impl Iterator<Item = &'a raw::Module> + Clone),
        folders: &[PathBuf],
    ) -> Self {
        let named = || {
            modules
                .clone()
                .flat_map(|module| module.walk.iter().chain(&module.get))
                .filter_map(|one| match &one.value {
                    Place::Name(name) => Some(name.as_str()),
                    Place::Oid(_) => None,
                })
        };
        let all = named().all(|name| name.contains("::"));
        let more = modules
            .clone()
            .flat_map(|module| &module.lookups)
            .map(|lookup| lookup.lookup.as_str());
        let mut qualifiers: Vec<String> = named()
            .chain(more)
            .filter_map(|name| name.split_once("::"))
            .map(|(module, _)| module.to_owned())
            .collect();
        qualifiers.sort();
        qualifiers.dedup();
        Self {
            folders: folders.to_vec(),
            modules: all.then_some(qualifiers),
            mibs: None,
        }
    }

    fn mibs(&mut self) -> Result<&Mibs, MibError> {
        let made = self.mibs.get_or_insert_with(|| {
            let usual;
            let folders = if self.folders.is_empty() {
                usual = mib::usual_folders();
                &usual
            } else {
                &self.folders
            };
            Mibs::load(folders, self.modules.as_deref())
        });
        made.as_ref().map_err(Clone::clone)
    }

    /// Puts what the names of `raw` mean into `module`: what to ask for, and the metrics that the MIBs give, except those that the
    /// file has itself.
    pub(super) fn fill(
        &mut self,
        name: &str,
        origin: &Path,
        raw: ByName,
        module: &mut Module,
    ) -> Result<(), Refused> {
        if raw.walk.is_empty() {
            return Ok(());
        }
        let first = place_of(&raw.walk[0]);
        let mibs = self
            .mibs()
            .map_err(|error| (Some(first), format!("walk: {error}")))?;
        let mut input = ModuleInput {
            lookups: raw.lookups,
            overrides: raw.overrides,
            ..ModuleInput::default()
        };
        for spanned in raw.walk {
            let at = place_of(&spanned);
            let Place::Name(written) = spanned.value else {
                continue;
            };
            let oid = mibs
                .resolve(&written)
                .map_err(|error| (Some(at), format!("walk: {error}")))?;
            input.walk.push(oid.to_string());
        }
        let Built {
            module: built,
            warnings,
        } = build::module(mibs, &input).map_err(|error| (Some(first), error.to_string()))?;
        for warning in warnings {
            tracing::warn!(file = %origin.display(), module = name, warning, "MIB");
        }
        for (have, more) in [(&mut module.walk, built.walk), (&mut module.get, built.get)] {
            for oid in more {
                if !have.contains(&oid) {
                    have.push(oid);
                }
            }
        }
        for metric in built.metrics {
            let written =
                |one: &&crate::config::Metric| one.oid == metric.oid || one.name == metric.name;
            if !module.metrics.iter().any(|one| written(&one)) {
                module.metrics.push(metric);
            }
        }
        Ok(())
    }
}
