//! Worlds from seeds, each run twice.

use merx_simulation::{
    run::{assert_all_differ, seeds, twice},
    scenarios::{day::Day, deadline, purchase},
};

#[test]
fn a_purchase_is_a_function_of_its_seed() {
    assert_all_differ(&twice(seeds(), purchase));
}

#[test]
fn a_day_in_the_shop_is_a_function_of_its_seed() {
    let day = Day::default();
    // A day is long: half as many as of the purchases.
    let hashes = twice(seeds().step_by(2), |world| day.live(world));
    assert_all_differ(&hashes);
    day.assert_all_seen();
}

#[test]
fn an_order_whose_time_runs_out_while_it_is_paid_is_sold_or_given_back() {
    deadline::race_every_order();
}
