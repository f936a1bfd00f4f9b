//! Every SQL text of shipping.

pub mod gates;
pub mod history;
pub mod shipments;

use merx_kernel::Error;
use merx_sql::Migration;

/// The migrations of the context, after those of the platform.
pub fn migrations() -> Vec<Migration> {
    vec![
        Migration::same(100, "shipments", include_str!("../../migrations/0100_shipments.sql")),
        Migration::same(
            101,
            "several_shipments",
            include_str!("../../migrations/0101_several_shipments.sql"),
        ),
        Migration::same(102, "tracking_numbers", include_str!("../../migrations/0102_tracking_numbers.sql")),
        Migration::same(103, "replacements", include_str!("../../migrations/0103_replacements.sql")),
    ]
}

fn inconsistent(what: &str) -> Error {
    Error::internal(format!("a row of shipping has a {what} that is none"))
}
