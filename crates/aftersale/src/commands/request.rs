//! What a buyer may ask of an order: the terms, as ordering tells them.

use std::collections::BTreeMap;

use merx_contracts::{
    ids::{AccountId, OrderId, Sku},
    ordering::v1::{AfterSaleTermsReply, AfterSaleTermsRequest, BoughtLine as WireLine},
};
use merx_kernel::{Error, Money, Result, Timestamp};
use merx_platform::rpc::ask;

use crate::{
    State,
    domain::{Terms, refund::BoughtLine},
};

/// The terms of an order of `account`.
///
/// # Errors
/// `aftersale.order_not_found` for an order that is another's or unknown; `ordering.not_paid`, `ordering.order_ended`.
pub async fn terms_of(state: &State, order_id: OrderId, account: AccountId) -> Result<Terms> {
    let asked = AfterSaleTermsRequest { order_id: order_id.to_string(), account_id: account.to_string() };
    match ask(state.ordering().after_sale_terms(asked).await) {
        Err(error) if error.is("ordering.order_not_found") => {
            Err(Error::not_found("aftersale.order_not_found", "There is no such order."))
        }
        reply => read(reply?),
    }
}

fn read(reply: AfterSaleTermsReply) -> Result<Terms> {
    let wrong = || Error::internal("ordering answered terms that cannot be read");
    let at = |millis: i64| (millis > 0).then(|| Timestamp::from_millis(millis));
    let line = |line: WireLine| {
        let sku = Sku::new(&line.sku).map_err(|_| wrong())?;
        let paid = Money::try_from(line.paid.ok_or_else(wrong)?)?;
        Ok((sku, BoughtLine { bought: line.bought, paid, arrived: line.arrived }))
    };
    Ok(Terms {
        account_id: reply.account_id.parse().map_err(|_| wrong())?,
        lines: reply.lines.into_iter().map(line).collect::<Result<BTreeMap<_, _>>>()?,
        freight: Money::try_from(reply.freight.ok_or_else(wrong)?)?,
        delivered_at: at(reply.delivered_at),
        received_at: at(reply.received_at),
    })
}
