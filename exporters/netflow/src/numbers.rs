//! Numbers of names, by which counters are kept.

use std::collections::HashMap;
use std::sync::Arc;

/// Puts the names of the table before a reload in front of those of the one that follows it, so that a name keeps its number and a counter
/// its name, and tells the number of each of `names`: none where there are more than 65,535 of them, past names counted.
pub(crate) fn follow(names: &mut Vec<Arc<str>>, before: &[Arc<str>]) -> Vec<Option<u16>> {
    let mut all = before.to_vec();
    let mut known: HashMap<Arc<str>, usize> = all.iter().cloned().zip(0..).collect();
    let mut number = |name: &Arc<str>| {
        let at = known.get(name).copied().or_else(|| {
            let at = all.len();
            (at < usize::from(u16::MAX)).then(|| {
                all.push(name.clone());
                known.insert(name.clone(), at);
                at
            })
        })?;
        u16::try_from(at).ok()
    };
    let numbers = names.iter().map(&mut number).collect();
    *names = all;
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(names: &[&str]) -> Vec<Arc<str>> {
        names.iter().map(|name| Arc::from(*name)).collect()
    }

    #[test]
    fn names_keep_their_numbers_and_new_ones_come_behind() {
        let mut names = table(&["c", "a", "d"]);
        let numbers = follow(&mut names, &table(&["a", "b", "c"]));
        assert_eq!(numbers, [Some(2), Some(0), Some(3)]);
        assert_eq!(names, table(&["a", "b", "c", "d"]));
    }

    #[test]
    fn names_beyond_the_bound_have_no_number() {
        let before: Vec<Arc<str>> = (0..65_534).map(|name| name.to_string().into()).collect();
        let mut names = table(&["a", "b", "7"]);
        assert_eq!(follow(&mut names, &before), [Some(65_534), None, Some(7)]);
        assert_eq!(names.len(), 65_535);
    }
}
