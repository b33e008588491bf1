//! Circles of imports between files, in our crates and in bad examples.

use sotp_checks::circles::{self, Imports};
use sotp_checks::crates::Crates;
use sotp_checks::root;

#[test]
fn no_crate_of_ours_has_a_circle_over_more_than_two_files_or_an_import_that_goes_up() {
    let crates = Crates::read(&root(), &[]).unwrap();
    let problems = circles::problems(&crates).unwrap();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn imports(files: &[(&str, &str)]) -> Imports {
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect();
    Imports::of(&files).unwrap()
}

#[test]
fn a_circle_is_found_through_trees_of_use_children_and_paths_in_code() {
    let found = imports(&[
        ("", "mod a; mod b; mod c; pub struct Root;"),
        ("a", "use crate::{Root, b::{self, Thing as Other}};"),
        ("b", "mod inner; pub(crate) fn run() { inner::work(); }"),
        (
            "b/inner",
            "use super::run; fn work() { super::super::c::end(); }",
        ),
        ("c", "fn end(x: u8) -> crate::a::A { x.into() }"),
        ("d", "use crate::a;"),
    ]);
    assert_eq!(found.circles(), [["a", "b", "b/inner", "c"]]);
    assert_eq!(
        found.problems("x"),
        ["x: 4 files import each other in a circle: a → b; b → b/inner; b/inner → c; c → a"]
    );
}

#[test]
fn a_part_that_leans_on_its_own_folder_is_no_circle_and_neither_are_tests_and_words() {
    let found = imports(&[
        ("", "mod a; mod b; mod c;"),
        (
            "a",
            "mod part; use crate::b; use part::Part; fn f(c: u8) { a.c(); }",
        ),
        (
            "a/part",
            "use super::Shared; use crate::a::Other; // crate::c",
        ),
        (
            "b",
            "use crate::c; const C: &str = \"crate::a\"; #[cfg(test)] mod tests { use crate::a::A; }",
        ),
        ("c", "#[cfg(test)] mod tests; fn f() { let a = 1; }"),
    ]);
    assert_eq!(found.circles(), Vec::<Vec<&str>>::new());
}

#[test]
fn two_files_may_need_each_other_and_three_may_not() {
    let two = [("a", "use crate::b;"), ("b", "use crate::a;"), ("c", "")];
    assert_eq!(imports(&two).circles(), [["a", "b"]]);
    assert_eq!(imports(&two).problems("x"), Vec::<String>::new());
    let three = [
        ("a", "use crate::b;"),
        ("b", "use super::c;"),
        ("c", "use crate::a;"),
    ];
    assert_eq!(imports(&three).problems("x").len(), 1);
}

#[test]
fn the_engine_of_snmp_that_asks_its_probe_is_found() {
    let up = imports(&[
        ("engine/talk", "use crate::probe::Plan;"),
        ("probe", "use crate::engine::talk;"),
    ]);
    assert!(
        up.problems("sotp-snmp")
            .contains(&"sotp-snmp: engine/talk imports probe; probe stands on engine".to_owned())
    );
    assert_eq!(up.problems("another"), Vec::<String>::new());
}
