//! Orders as their buyers and the staff see them, from the projection.

use std::collections::BTreeMap;

use merx_contracts::ids::{AccountId, OrderId};
use merx_kernel::{Error, Guard, Page, PageRequest, Permission, Principal, Result};
use merx_sql::{Db, Query};

use crate::{
    domain::{OrderLine, Rejection},
    store,
    view::{OrderRow, OrderView},
};

/// Whose orders a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// This account's.
    Buyer(AccountId),
    /// Everybody's.
    Staff,
}

impl Reader {
    /// Staff with the permission see every order, all others their own.
    pub fn of(principal: &Principal) -> Self {
        if principal.may(Permission::OrdersRead) { Self::Staff } else { Self::Buyer(principal.account) }
    }

    /// A foreign order is the same as none.
    ///
    /// # Errors
    /// `ordering.order_not_found`.
    pub fn check(self, owner: AccountId) -> Result<()> {
        match self {
            Self::Buyer(account) if account != owner && Guard::Owner.on() => {
                Err(Rejection::OrderUnknown.into())
            }
            _ => Ok(()),
        }
    }
}

/// One order.
///
/// # Errors
/// `ordering.order_not_found` when there is none for this reader.
pub async fn one(db: &Db, order_id: OrderId, reader: Reader) -> Result<OrderView> {
    db.read("ordering.order", move |q| view(q, order_id, reader)).await
}

/// One order, inside a transaction.
///
/// # Errors
/// As [`one`].
pub fn view(q: &mut impl Query, order_id: OrderId, reader: Reader) -> Result<OrderView> {
    let row = store::order_row(q, order_id)?.ok_or(Rejection::OrderUnknown)?;
    reader.check(row.account_id)?;
    let lines = store::lines_of(q, &[order_id])?.into_iter().map(|(_, line)| line).collect();
    Ok(OrderView::new(row, lines))
}

/// A page of the buyer's orders, newest first; rejected ones are not shown.
///
/// # Errors
/// `Invalid` for a limit or a cursor that is none.
pub async fn page(db: &Db, buyer: AccountId, request: &PageRequest) -> Result<Page<OrderView>> {
    let limit = request.checked_limit()?;
    let before = match &request.cursor {
        None => store::NEWEST,
        Some(cursor) => {
            cursor.parse().map_err(|_| Error::invalid("cursor", "is not a cursor of this list"))?
        }
    };
    db.read("ordering.orders", move |q| {
        let mut rows: Vec<OrderRow> = store::orders_of(q, buyer, before, limit + 1)?;
        let more = i64::try_from(rows.len()).unwrap_or(i64::MAX) > limit;
        if more {
            rows.pop();
        }
        let next_cursor = rows.last().filter(|_| more).map(|row| row.order_id.to_string());
        let ids: Vec<OrderId> = rows.iter().map(|row| row.order_id).collect();
        let mut lines: BTreeMap<OrderId, Vec<OrderLine>> = BTreeMap::new();
        for (order_id, line) in store::lines_of(q, &ids)? {
            lines.entry(order_id).or_default().push(line);
        }
        let items = rows
            .into_iter()
            .map(|row| {
                let lines = lines.remove(&row.order_id).unwrap_or_default();
                OrderView::new(row, lines)
            })
            .collect();
        Ok(Page { items, next_cursor })
    })
    .await
}
