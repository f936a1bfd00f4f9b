//! Every SQL text of notification.

pub mod deliveries;
pub mod mails;
pub mod webhooks;

use merx_kernel::Error;
use merx_sql::Migration;

/// The migrations of the context, after those of the platform.
pub fn migrations() -> Vec<Migration> {
    vec![
        Migration::same(100, "mails", include_str!("../../migrations/0100_mails.sql")),
        Migration::same(101, "webhooks", include_str!("../../migrations/0101_webhooks.sql")),
    ]
}

fn inconsistent(what: &str) -> Error {
    Error::internal(format!("a row of notification has a {what} that is none"))
}
