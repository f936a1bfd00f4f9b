//! Orders as their buyers and the staff see them: from the projection, or folded from their events as of a moment.

use merx_contracts::ids::{AccountId, OrderId};
use merx_kernel::{Error, Guard, Page, PageRequest, Permission, Principal, Result, Timestamp};
use merx_platform::Store;
use merx_sql::{Db, Query};

use crate::{
    domain::{OrderNumber, Rejection},
    store::{
        self, notes, rows,
        search::{self, Filter, Found, Sort},
    },
    view::OrderView,
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

    /// Whether internal things may be told.
    pub const fn is_staff(self) -> bool {
        matches!(self, Self::Staff)
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

/// The order that has this number.
///
/// # Errors
/// `ordering.order_not_found` when there is none.
pub async fn of_number(db: &Db, number: OrderNumber) -> Result<OrderId> {
    let found = db.read("ordering.order_of_number", move |q| rows::order_of(q, &number)).await?;
    found.ok_or_else(|| Rejection::OrderUnknown.into())
}

/// One order with its notes.
///
/// # Errors
/// `ordering.order_not_found` when there is none for this reader.
pub async fn one(db: &Db, order_id: OrderId, reader: Reader) -> Result<OrderView> {
    db.read("ordering.order", move |q| {
        let mut view = view(q, order_id, reader)?;
        view.notes = notes::of_order(q, order_id, FOR_EVER, reader.is_staff())?;
        Ok(view)
    })
    .await
}

/// One order as it was at a moment, with the notes there were.
///
/// # Errors
/// `ordering.order_not_found` when there was none then for this reader.
pub async fn one_as_of(
    db: &Db,
    store: Store,
    order_id: OrderId,
    reader: Reader,
    moment: Timestamp,
) -> Result<OrderView> {
    db.read("ordering.order_as_of", move |q| {
        let record = store::load_as_of(&store, q, order_id, moment)?.into_record();
        let record = record.ok_or(Rejection::OrderUnknown)?;
        reader.check(record.account_id)?;
        let mut view = OrderView::new(record);
        view.notes = notes::of_order(q, order_id, moment, reader.is_staff())?;
        Ok(view)
    })
    .await
}

/// One order inside a transaction, without its notes: what is kept as an answer must not hold what people wrote.
///
/// # Errors
/// As [`one`].
pub fn view(q: &mut impl Query, order_id: OrderId, reader: Reader) -> Result<OrderView> {
    let record = rows::read(q, order_id)?.ok_or(Rejection::OrderUnknown)?;
    reader.check(record.account_id)?;
    Ok(OrderView::new(record))
}

const FOR_EVER: Timestamp = Timestamp::from_millis(i64::MAX);

/// A page of the orders that fit. New orders do not move what a cursor stands for. A page of a search for words may have
/// fewer than were asked for, and a cursor all the same: so many orders have been looked at, and the next page goes on.
///
/// # Errors
/// `Invalid` for a limit or a cursor that is none.
pub async fn page(db: &Db, filter: Filter, sort: Sort, request: &PageRequest) -> Result<Page<OrderView>> {
    let limit = request.checked_limit()?;
    let after = match &request.cursor {
        None => None,
        Some(cursor) => Some(read_cursor(cursor, sort)?),
    };
    db.read("ordering.orders", move |q| {
        let Found { mut records, looked_until } = search::find(q, &filter, sort, after, limit + 1)?;
        let more = i64::try_from(records.len()).unwrap_or(i64::MAX) > limit;
        if more {
            records.pop();
        }
        let last = if more { records.last().map(|record| record.order_id) } else { looked_until };
        let next_cursor = last.map(|last| cursor(last, sort));
        Ok(Page { items: records.into_iter().map(OrderView::new).collect(), next_cursor })
    })
    .await
}

const fn letter(sort: Sort) -> char {
    match sort {
        Sort::Newest => 'n',
        Sort::Oldest => 'o',
    }
}

fn cursor(last: OrderId, sort: Sort) -> String {
    format!("{}{}", letter(sort), last.bare())
}

fn read_cursor(cursor: &str, sort: Sort) -> Result<OrderId> {
    let bare = cursor.strip_prefix(letter(sort)).and_then(|bare| OrderId::parse_bare(bare).ok());
    bare.ok_or_else(|| Error::invalid("cursor", "is not a cursor of this list in this order"))
}
