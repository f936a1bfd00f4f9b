//! The read side.

use merx_contracts::ids::{AccountId, AfterSaleId, OrderId};
use merx_kernel::{Error, Guard, Id, PageRequest, Result, Timestamp};

use crate::{
    State,
    commands::request,
    domain::Rejection,
    store::cases::{self, CaseRow, Filter},
    view::CaseView,
};

/// Whose case it may be: the buyer's own, or anybody's.
pub type Whose = Option<AccountId>;

/// A foreign case is the same as none.
///
/// # Errors
/// `aftersale.case_not_found`.
pub fn check(row: &CaseRow, whose: Whose) -> Result<()> {
    let own = whose.is_none_or(|account| row.account_id == account) || !Guard::Owner.on();
    if own { Ok(()) } else { Err(Rejection::CaseUnknown.into()) }
}

/// One case as its row.
///
/// # Errors
/// `aftersale.case_not_found`.
pub async fn found(state: &State, case_id: AfterSaleId, whose: Whose) -> Result<CaseRow> {
    let row = state.db.read("aftersale.row", move |q| cases::one(q, case_id)).await?;
    let row = row.ok_or(Rejection::CaseUnknown)?;
    check(&row, whose).map(|()| row)
}

/// One case with all that is known of it.
///
/// # Errors
/// `aftersale.case_not_found`.
pub async fn one(state: &State, case_id: AfterSaleId, whose: Whose) -> Result<CaseView> {
    let store = state.store.clone();
    let read = move |q: &mut merx_sql::Reader<'_>| {
        let row = cases::one(q, case_id)?.ok_or(Rejection::CaseUnknown)?;
        check(&row, whose)?;
        CaseView::read(q, &store, row)
    };
    state.db.read("aftersale.one", read).await
}

/// The cases of an order of `account`, oldest first.
///
/// # Errors
/// `aftersale.order_not_found` for an order that is another's or unknown.
pub async fn of_order(state: &State, order_id: OrderId, account: AccountId) -> Result<Vec<CaseRow>> {
    match request::terms_of(state, order_id, account).await {
        Ok(_) => {}
        // It is the buyer's, and nothing can be asked of it, or not yet.
        Err(error) if error.is("ordering.not_paid") || error.is("ordering.order_ended") => {}
        Err(error) => return Err(error),
    }
    state.db.read("aftersale.of_order", move |q| cases::of_order(q, order_id)).await
}

/// One page of cases, oldest first, and where the next begins.
///
/// # Errors
/// `Invalid` for a bad limit or cursor.
pub async fn list(
    state: &State,
    filter: Filter,
    page: &PageRequest,
) -> Result<(Vec<CaseRow>, Option<String>)> {
    let limit = page.checked_limit()?;
    let after = match &page.cursor {
        None => (Timestamp::from_millis(-1), Id::from_bits(0)),
        Some(cursor) => place(cursor)
            .ok_or_else(|| Error::invalid("cursor", "must be the next_cursor of the page before"))?,
    };
    let read = move |q: &mut merx_sql::Reader<'_>| cases::listed(q, &filter, after, limit + 1);
    let mut found = state.db.read("aftersale.list", read).await?;
    let count = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > count;
    found.truncate(count);
    let last = found.last().filter(|_| more);
    let next = last.map(|row| format!("{}.{}", row.requested_at.as_millis(), row.case_id.bare()));
    Ok((found, next))
}

/// Where a page ended.
fn place(cursor: &str) -> Option<(Timestamp, AfterSaleId)> {
    let (at, case) = cursor.split_once('.')?;
    Some((Timestamp::from_millis(at.parse().ok()?), AfterSaleId::parse_bare(case).ok()?))
}
