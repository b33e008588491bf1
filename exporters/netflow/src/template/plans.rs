//! Templates that many streams have in common: routers of one make tell the same one, and its plan is kept once.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use foldhash::fast::RandomState;

use super::Template;

/// The templates that are in use; clones have the same ones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plans(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    by_hash: HashMap<u64, Weak<Template>, RandomState>,
    /// With so many, those that nobody uses any more are looked for.
    most: usize,
    seed: RandomState,
}

/// Fewest templates at which those are looked for that nobody uses.
const FEWEST: usize = 64;

impl Plans {
    /// The template, as somebody has it already, or as it is.
    pub(crate) fn share(&self, template: Template) -> Arc<Template> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let hash = known.seed.hash_one((template.fields(), template.options));
        if let Some(shared) = known.by_hash.get(&hash).and_then(Weak::upgrade)
            && *shared == template
        {
            return shared;
        }
        if known.by_hash.len() >= known.most.max(FEWEST) {
            known.by_hash.retain(|_, plan| plan.strong_count() > 0);
            known.most = 2 * known.by_hash.len();
        }
        let shared = Arc::new(template);
        known.by_hash.insert(hash, Arc::downgrade(&shared));
        shared
    }
}

#[cfg(test)]
mod tests {
    use super::super::Field;
    use super::*;

    fn template(element: u16) -> Template {
        let field = Field {
            element,
            length: 4,
            enterprise: 0,
        };
        Template::new(vec![field], false).unwrap()
    }

    #[test]
    fn a_template_is_kept_once_and_forgotten_with_its_last_stream() {
        let plans = Plans::default();
        let first = plans.share(template(8));
        assert!(Arc::ptr_eq(&first, &plans.share(template(8))));
        assert!(!Arc::ptr_eq(&first, &plans.share(template(12))));
        for element in 0..10_000 {
            plans.share(template(element));
        }
        let kept = plans.0.lock().unwrap().by_hash.len();
        assert!(kept <= FEWEST + 1, "{kept}");
        assert!(Arc::ptr_eq(&first, &plans.share(template(8))));
    }
}
