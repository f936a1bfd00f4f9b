//! One use case a file: load, decide, append and publish in one transaction.

pub mod cancel_order;
pub mod confirm_receipt;
pub mod place_order;

use merx_contracts::ids::OrderId;
use merx_platform::store::Saved;

/// A request that was made before under the same key.
#[derive(Clone, Debug)]
pub struct Earlier {
    /// The order it was about.
    pub order_id: OrderId,
    /// Its answer, when it was given already.
    pub saved: Option<Saved>,
}
