//! From modules to pieces of work: what several modules share is fetched once.

use super::{Ask, Ready};
use crate::config::Module;
use crate::oid::{self, Oid};
use crate::samples::Plan;
use crate::scrape::{Params, Work};

/// One module of a request.
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    pub(super) module: &'a Module,
    pub(super) plan: &'a Plan,
}

/// The modules of a request, or `None` when one does not exist.
pub(super) fn views<'a>(ready: &'a Ready, ask: &Ask) -> Option<Vec<Wanted<'a>>> {
    let one = |name: &String| {
        let (name, module) = ready.config.modules.get_key_value(name)?;
        Some(Wanted {
            name,
            module,
            plan: ready.plans.get(name)?,
        })
    };
    ask.modules.iter().map(one).collect()
}

/// What a module walks and gets once its filters are applied.
#[derive(Clone, Debug, Default)]
pub(super) struct Roots {
    pub(super) walk: Vec<Oid>,
    pub(super) get: Vec<Oid>,
}

impl Roots {
    /// Of a module without filters.
    pub(super) fn of(view: &Wanted<'_>) -> Self {
        Self {
            walk: view.module.walk.clone(),
            get: view.module.get.clone(),
        }
    }
}

/// Pieces of work, and which modules each is for.
#[derive(Clone, Debug, Default)]
pub(super) struct Planned {
    pub(super) works: Vec<Work>,
    pub(super) owners: Vec<Vec<usize>>,
}

impl Planned {
    pub(super) fn push(&mut self, work: Work, owners: Vec<usize>) {
        self.works.push(work);
        self.owners.push(owners);
    }

    /// Whether this instance is asked for.
    pub(super) fn asks(&self, oid: &Oid) -> bool {
        self.works.iter().any(|work| {
            let covers =
                |other: &Oid| other == oid || (!work.get && oid::within(oid.ids(), other.ids()));
            work.oids.iter().any(covers)
        })
    }

    /// Asks for instances that only we want to know: those that the device has by their name, others by what comes behind the one
    /// before.
    pub(super) fn own(&mut self, known: Vec<Oid>, fresh: Vec<Oid>, params: Params) {
        for (oids, probe) in [(known, false), (fresh, true)] {
            if let Some(first) = oids.first() {
                let work = Work {
                    root: first.clone(),
                    params,
                    oids,
                    get: !probe,
                    probe,
                    own: true,
                };
                self.push(work, Vec::new());
            }
        }
    }
}

/// Scalars that walks reach by their object: the configuration may name an instance (`laLoad.1`), which is no part of a walk that begins
/// there.
pub(super) fn perhaps_instances(planned: &Planned, views: &[Wanted<'_>]) -> Vec<Oid> {
    let works = planned.works.iter().zip(&planned.owners);
    let walks = works.filter(|(work, _)| !work.get);
    let scalars = walks.flat_map(|(work, owners)| {
        let scalar = |oid: &&Oid| owners.iter().any(|owner| views[*owner].plan.is_scalar(oid));
        let below = work.oids.iter().filter(|oid| **oid != work.root);
        below
            .filter(|oid| oid.ids().last() != Some(&0))
            .filter(scalar)
            .cloned()
    });
    scalars.collect()
}

pub(super) fn params(module: &Module) -> Params {
    Params {
        repetitions: module.max_repetitions,
        retries: module.retries,
        timeout: module.timeout,
        allow_nonincreasing: module.allow_nonincreasing_oids,
    }
}

/// `strict` walks whole subtrees, each module its own, as snmp_exporter does; else only the columns that become series or labels, once.
pub(super) fn works(views: &[Wanted<'_>], roots: &[Roots], strict: bool) -> Planned {
    let mut planned = Planned {
        works: Vec::new(),
        owners: Vec::new(),
    };
    let mut fetched: Vec<(Oid, usize)> = Vec::new();
    for (at, (view, roots)) in views.iter().zip(roots).enumerate() {
        let gets: Vec<Oid> = if strict {
            roots.get.clone()
        } else {
            roots
                .get
                .iter()
                .filter(|oid| view.plan.columns_of(oid).next().is_some())
                .cloned()
                .collect()
        };
        let walks = roots.walk.iter().map(|root| {
            let columns = if strict {
                vec![root.clone()]
            } else {
                let columns = view.plan.columns_of(root);
                smallest(columns.map(|column| reached(column, root)).collect())
            };
            (root.clone(), columns, false)
        });
        let gets = (!gets.is_empty()).then(|| (gets[0].clone(), gets.clone(), true));
        for (root, oids, get) in gets.into_iter().chain(walks) {
            let mut mine = Vec::new();
            for oid in oids {
                match fetched
                    .iter()
                    .find(|(other, _)| !strict && oid::within(oid.ids(), other.ids()))
                {
                    Some((_, work)) => {
                        if !planned.owners[*work].contains(&at) {
                            planned.owners[*work].push(at);
                        }
                    }
                    None => mine.push(oid),
                }
            }
            if !mine.is_empty() {
                fetched.extend(mine.iter().map(|oid| (oid.clone(), planned.works.len())));
                planned.works.push(Work {
                    root,
                    params: params(view.module),
                    oids: mine,
                    get,
                    probe: false,
                    own: false,
                });
                planned.owners.push(vec![at]);
            }
        }
    }
    planned
}

/// What is walked below `root` to reach `column`: an instance itself (`sysUpTime.0`) is no part of a walk that begins there.
fn reached(column: Oid, root: &Oid) -> Oid {
    match column.ids() {
        [parent @ .., 0] if parent.len() >= root.ids().len() => Oid::new(parent),
        _ => column,
    }
}

/// Sorted, and none below another.
fn smallest(mut oids: Vec<Oid>) -> Vec<Oid> {
    oids.sort();
    let mut out: Vec<Oid> = Vec::with_capacity(oids.len());
    for oid in oids {
        if !out
            .last()
            .is_some_and(|last| oid::within(oid.ids(), last.ids()))
        {
            out.push(oid);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_below_a_walk_is_reached_from_its_object() {
        let reach = |column: &str, root: &str| {
            reached(column.parse().unwrap(), &root.parse().unwrap()).to_string()
        };
        assert_eq!(
            reach("1.3.6.1.2.1.1.3.0", "1.3.6.1.2.1.1"),
            "1.3.6.1.2.1.1.3"
        );
        assert_eq!(reach("1.3.6.1.2.1.1.3", "1.3.6.1.2.1.1"), "1.3.6.1.2.1.1.3");
        assert_eq!(
            reach("1.3.6.1.2.1.1.3.0", "1.3.6.1.2.1.1.3"),
            "1.3.6.1.2.1.1.3"
        );
        assert_eq!(
            reach("1.3.6.1.2.1.1.3.0", "1.3.6.1.2.1.1.3.0"),
            "1.3.6.1.2.1.1.3.0"
        );
    }
}
