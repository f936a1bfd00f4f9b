//! Facts of after-sale.

use serde::{Deserialize, Serialize};

use crate::{
    envelope::Fact,
    ids::{AccountId, AfterSaleId, OrderId},
};

/// An after-sale case of an order has moved. Those of one order arrive in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseMoved {
    /// The case.
    pub case_id: AfterSaleId,
    /// Of which order.
    pub order_id: OrderId,
    /// The buyer.
    pub account_id: AccountId,
    /// What was asked: `refund`, `return`, `exchange`.
    pub kind: String,
    /// Where the case stands now: `requested`, `approved`, `sent`, `received`, `refunding`, `replacing`, or how it ended:
    /// `refunded`, `exchanged`, `refused`, `withdrawn`, `expired`, `cancelled`.
    pub status: String,
    /// Where all cases of the order stand together: `requested`, `approved`, `returned` while any is open (the least
    /// advanced), then `exchanged` or `closed`, as the last one ended.
    pub standing: String,
}

impl Fact for CaseMoved {
    const TYPE: &'static str = "aftersale.case_moved.v1";
    fn subject(&self) -> String {
        self.order_id.to_string()
    }
}
