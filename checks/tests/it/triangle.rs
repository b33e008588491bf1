//! One lab of the triangle for the scenarios that only need a network: each begins where it is calm and leaves it so.

use testkit::Lab;

use crate::{inventory, paths};

#[test]
fn a_router_comes_and_goes_and_a_cut_link_is_another_path() {
    let _alone = crate::alone();
    let mut lab = Lab::up("watched", "triangle");
    inventory::a_router_that_is_added_is_watched_and_one_that_is_deleted_is_not(&lab);
    paths::a_cut_link_of_the_triangle_is_another_path(&mut lab);
}
