//! Where a test may kill this process: before and after every durable step, every delivery of the bus, every call to the
//! payment provider and every reply to a request that changes something.
//!
//! An ordinary build has none of it: there these functions give back what they are given.

#[cfg(merx_mutants)]
mod armed;

/// Makes the steps of a database points.
#[cfg(not(merx_mutants))]
pub fn in_steps(options: merx_sql::DbOptions) -> merx_sql::DbOptions {
    options
}

/// Makes the replies of a router points, named after `of`.
#[cfg(not(merx_mutants))]
pub fn in_replies(_of: &'static str, router: axum::Router) -> axum::Router {
    router
}

#[cfg(merx_mutants)]
pub use armed::{in_replies, in_steps};
