//! Every SQL text of cart.

use merx_contracts::ids::{CartId, MessageId, Sku};
use merx_kernel::{Currency, Error, Id, IdKind, Money, Quantity, Result, Timestamp};
use merx_sql::{Inserted, Migration, Query, Row, Tx, params};

use crate::domain::{LineHad, Merged, Outcome};

/// The tables of this context.
pub fn migrations() -> Vec<Migration> {
    vec![
        Migration::same(100, "lines", include_str!("../migrations/0100_lines.sql")),
        Migration::same(101, "memory", include_str!("../migrations/0101_memory.sql")),
    ]
}

const LINES: &str = "SELECT sku, quantity, filling, added_at, unit_price, currency FROM cart_lines
 WHERE cart = ? ORDER BY added_at, sku";
const INSERT: &str = "INSERT INTO cart_lines
 (cart, sku, quantity, filling, added_at, unit_price, currency, changed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
const SET: &str = "UPDATE cart_lines SET quantity = ?, unit_price = ?, currency = ?, changed_at = ?
 WHERE cart = ? AND sku = ?";
const REMOVE: &str = "DELETE FROM cart_lines WHERE cart = ? AND sku = ?";
const REMOVE_ALL: &str = "DELETE FROM cart_lines WHERE cart = ?";
const REMOVE_UP_TO: &str = "DELETE FROM cart_lines WHERE cart = ? AND sku = ? AND quantity <= ?";
const TAKE: &str = "UPDATE cart_lines SET quantity = quantity - ?, filling = ?, changed_at = ?
 WHERE cart = ? AND sku = ? AND quantity > ?";
const QUANTITY: &str = "SELECT quantity FROM cart_lines WHERE cart = ? AND sku = ?";
const FIRST_LINE: &str = "INSERT INTO cart_carts (cart, line_count, changed_at, guest) VALUES (?, 1, ?, ?)";
const ONE_MORE: &str = "UPDATE cart_carts SET line_count = line_count + 1, changed_at = ?, guest = ?
 WHERE cart = ? AND line_count < ? AND erased = 0";
const ONE_LESS: &str = "UPDATE cart_carts SET line_count = line_count - 1, changed_at = ? WHERE cart = ?";
const NONE_LEFT: &str = "UPDATE cart_carts SET line_count = 0, changed_at = ? WHERE cart = ?";

const MERGED_INTO: &str = "SELECT merged_into FROM cart_carts WHERE cart = ? AND merged_into IS NOT NULL";
const MERGE_AWAY: &str =
    "UPDATE cart_carts SET line_count = 0, changed_at = ?, merged_into = ? WHERE cart = ?";
const MERGE_HERE: &str = "UPDATE cart_carts SET changed_at = ? WHERE cart = ?";
const NEW_CART: &str = "INSERT INTO cart_carts (cart, line_count, changed_at, guest) VALUES (?, 0, ?, 0)";
const IS_ERASED: &str = "SELECT erased FROM cart_carts WHERE cart = ?";
const LOCK_LINES: &str = "UPDATE cart_lines SET changed_at = ? WHERE cart = ?";
const GROW: &str = "UPDATE cart_lines SET quantity = ? WHERE cart = ? AND sku = ?";
const MOVE: &str = "INSERT INTO cart_lines
 (cart, sku, quantity, filling, added_at, unit_price, currency, changed_at) VALUES";
const MORE: &str = "UPDATE cart_carts SET line_count = line_count + ? WHERE cart = ?";

const NOTICES: &str = "SELECT message, sku, outcome, quantity, added, noticed_at FROM cart_notices
 WHERE cart = ? ORDER BY noticed_at, message, sku LIMIT ?";
const NOTICE_COUNT: &str = "SELECT COUNT(*) FROM cart_notices WHERE cart = ?";
const NOTICE: &str =
    "INSERT INTO cart_notices (cart, message, sku, outcome, quantity, added, noticed_at) VALUES";
const FORGET_NOTICES: &str = "DELETE FROM cart_notices WHERE cart = ?";
const FORGET_CART: &str = "DELETE FROM cart_carts WHERE cart = ?";

const EXPIRED: &str = "SELECT cart FROM cart_carts WHERE guest = ? AND changed_at < ?
 ORDER BY changed_at, cart LIMIT ?";
const STILL_OLD: &str = "UPDATE cart_carts SET changed_at = changed_at WHERE cart = ? AND changed_at < ?";
const STILL_LINES: &str = "UPDATE cart_lines SET changed_at = changed_at WHERE cart = ?";
const NEWEST: &str = "SELECT MAX(changed_at) FROM cart_lines WHERE cart = ?";
const YOUNGER: &str = "UPDATE cart_carts SET changed_at = ? WHERE cart = ?";

const ERASE: &str =
    "UPDATE cart_carts SET line_count = 0, changed_at = ?, merged_into = NULL, erased = 1 WHERE cart = ?";
const NEW_ERASED: &str =
    "INSERT INTO cart_carts (cart, line_count, changed_at, guest, erased) VALUES (?, 0, ?, 0, 1)";

/// The most notices kept and shown for one cart: of two full carts.
pub const NOTICES_MAX: i64 = 200;

/// What became of setting a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineSet {
    /// The line has the quantity.
    Done,
    /// The cart has as many lines as it may have, which is none once its owner was erased.
    Full,
}

/// Marks fillings.
pub enum FillingKind {}
impl IdKind for FillingKind {
    const PREFIX: &'static str = "fil";
}
/// One putting-in of a line: another one each time it is put in again after it was taken out.
pub type FillingId = Id<FillingKind>;

/// A line as it lies in the cart.
#[derive(Clone, Debug)]
pub struct CartLine {
    /// What, how many, since when, at what price.
    pub line: LineHad,
    /// Since which putting-in.
    pub filling: FillingId,
}

/// A line as it is put in.
#[derive(Clone, Copy, Debug)]
pub struct Put {
    /// How many.
    pub quantity: Quantity,
    /// What one costs now.
    pub unit_price: Option<Money>,
    /// The putting-in, should the line be new.
    pub filling: FillingId,
    /// When.
    pub at: Timestamp,
    /// Whether a guest does it.
    pub guest: bool,
}

/// What became of a guest's line, for the member to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The message of the log-in.
    pub message: MessageId,
    /// What.
    pub sku: Sku,
    /// What became of it.
    pub outcome: Outcome,
    /// How many the guest had.
    pub quantity: i64,
    /// How many came over.
    pub added: i64,
    /// When.
    pub at: Timestamp,
}

fn inconsistent(what: impl std::fmt::Display) -> Error {
    Error::internal(format!("inconsistent cart row: {what}"))
}

fn sku_of(row: &Row<'_>, at: usize) -> Result<Sku> {
    Sku::new(row.get::<String>(at)?).map_err(inconsistent)
}

/// The lines of a cart in the order they were first added.
pub fn lines(q: &mut impl Query, cart: CartId) -> Result<Vec<CartLine>> {
    q.query(LINES, params![cart], |row| {
        let price = match (row.get::<Option<i64>>(4)?, row.get::<Option<String>>(5)?) {
            (Some(minor), Some(code)) => {
                let currency = code.parse::<Currency>().map_err(|_| inconsistent("a currency"))?;
                Some(Money::new(minor, currency))
            }
            _ => None,
        };
        let line = LineHad {
            sku: sku_of(row, 0)?,
            quantity: Quantity::new(row.get(1)?).map_err(inconsistent)?,
            price_when_added: price,
            added_at: row.get(3)?,
        };
        Ok(CartLine { line, filling: row.get(2)? })
    })
}

/// Sets the quantity of a line that may or may not exist; a cart has at most `lines_max`. The count is a guard row:
/// two requests for the last place touch the same row, and one of them finds it full.
pub fn set(tx: &mut Tx<'_>, cart: CartId, sku: &Sku, put: &Put, lines_max: i64) -> Result<LineSet> {
    let (minor, currency) = priced(put.unit_price);
    let units = put.quantity.get();
    if tx.guarded(SET, params![units, minor, currency.as_deref(), put.at, cart, sku.as_str()])? {
        return Ok(LineSet::Done);
    }
    let one_more = |tx: &mut Tx<'_>| tx.guarded(ONE_MORE, params![put.at, put.guest, cart, lines_max]);
    // The last look is for two who put the first lines of a cart in at once: the second finds the row of the first.
    let place = one_more(tx)?
        || tx.insert_new(FIRST_LINE, params![cart, put.at, put.guest])?.is_new()
        || one_more(tx)?;
    if !place {
        return Ok(LineSet::Full);
    }
    let values = params![cart, sku.as_str(), units, put.filling, put.at, minor, currency, put.at];
    match tx.insert_new(INSERT, values)? {
        Inserted::New => Ok(LineSet::Done),
        // Another request of the same buyer put the same line in meanwhile: run again, and find it.
        Inserted::Exists => Err(merx_sql::contention("the line was put in by another request")),
    }
}

fn priced(price: Option<Money>) -> (Option<i64>, Option<String>) {
    price.map(|price| (price.minor, price.currency.to_string())).unzip()
}

/// Removes a line; true when there was one.
pub fn remove(tx: &mut Tx<'_>, cart: CartId, sku: &Sku, at: Timestamp) -> Result<bool> {
    if !tx.guarded(REMOVE, params![cart, sku.as_str()])? {
        return Ok(false);
    }
    tx.execute(ONE_LESS, params![at, cart])?;
    Ok(true)
}

/// Removes all lines.
pub fn clear(tx: &mut Tx<'_>, cart: CartId, at: Timestamp) -> Result<()> {
    // The guard row first: whoever adds a line meanwhile waits for it.
    tx.execute(NONE_LEFT, params![at, cart])?;
    tx.execute(REMOVE_ALL, params![cart]).map(|_| ())
}

/// Takes `quantity` units out of a line; a line left with none goes, one left with some is another `filling`. Answers
/// whether the line was there.
pub fn take(
    tx: &mut Tx<'_>,
    cart: CartId,
    sku: &Sku,
    quantity: Quantity,
    fresh: (FillingId, Timestamp),
) -> Result<bool> {
    let units = quantity.get();
    // Most orders take the whole line.
    if tx.guarded(REMOVE_UP_TO, params![cart, sku.as_str(), units])? {
        return tx.execute(ONE_LESS, params![fresh.1, cart]).map(|_| true);
    }
    if tx.guarded(TAKE, params![units, fresh.0, fresh.1, cart, sku.as_str(), units])? {
        return Ok(true);
    }
    // Neither more than is taken nor up to it: there is none, or another request changed it between the two.
    match tx.query_opt(QUANTITY, params![cart, sku.as_str()], |row| row.get::<i64>(0))? {
        None => Ok(false),
        Some(_) => Err(merx_sql::contention("the line was changed by another request")),
    }
}

/// The cart that a guest's was merged into.
pub fn merged_into(q: &mut impl Query, cart: CartId) -> Result<Option<CartId>> {
    q.query_opt(MERGED_INTO, params![cart], |row| row.get(0))
}

/// The lines of a guest's cart and of a member's, which nobody else changes until the end of the transaction; nothing
/// when the guest never had a cart. The lines of a guest who is by now an erased person go.
pub fn taken_for_merge(
    tx: &mut Tx<'_>,
    guest: CartId,
    member: CartId,
    at: Timestamp,
) -> Result<Option<[Vec<CartLine>; 2]>> {
    if !tx.guarded(MERGE_AWAY, params![at, member, guest])? {
        return Ok(None);
    }
    if !tx.guarded(MERGE_HERE, params![at, member])?
        && !tx.insert_new(NEW_CART, params![member, at])?.is_new()
    {
        return Err(merx_sql::contention("the member's cart was made by another request"));
    }
    if tx.query_one(IS_ERASED, params![member], |row| row.get(0))? {
        tx.execute(REMOVE_ALL, params![guest])?;
        return Ok(None);
    }
    // A new quantity of a line touches no guard row, so the lines are taken too.
    for cart in [guest, member] {
        tx.execute(LOCK_LINES, params![at, cart])?;
    }
    Ok(Some([lines(tx, guest)?, lines(tx, member)?]))
}

/// Carries a merge out and leaves its notices; what was [`taken_for_merge`] is still taken.
pub fn merge(
    tx: &mut Tx<'_>,
    guest: CartId,
    member: CartId,
    merged: &[Merged],
    message: MessageId,
    at: Timestamp,
) -> Result<()> {
    tx.execute(REMOVE_ALL, params![guest])?;
    let mut new = Vec::new();
    let mut notices = Vec::with_capacity(merged.len());
    for one in merged {
        let (sku, line) = (one.line.sku.as_str(), &one.line);
        let had = line.quantity.get();
        notices.push(params![member, message, sku, one.outcome.name(), had, one.added, at]);
        let Some(now) = one.now else { continue };
        if one.had {
            tx.guarded(GROW, params![now, member, sku])?;
        } else {
            let (minor, currency) = priced(line.price_when_added);
            let filling: FillingId = message.cast();
            new.push(params![member, sku, now, filling, line.added_at, minor, currency, at]);
        }
    }
    let count = i64::try_from(new.len()).unwrap_or(i64::MAX);
    tx.insert_rows(MOVE, 8, new)?;
    tx.execute(MORE, params![count, member])?;
    let kept = tx.query_one(NOTICE_COUNT, params![member], |row| row.get::<i64>(0))?;
    if kept + i64::try_from(notices.len()).unwrap_or(i64::MAX) > NOTICES_MAX {
        tx.execute(FORGET_NOTICES, params![member])?;
    }
    tx.insert_rows(NOTICE, 7, notices)
}

/// What a member has not acknowledged yet, oldest first.
pub fn notices(q: &mut impl Query, cart: CartId) -> Result<Vec<Notice>> {
    q.query(NOTICES, params![cart, NOTICES_MAX], |row| {
        Ok(Notice {
            message: row.get(0)?,
            sku: sku_of(row, 1)?,
            outcome: Outcome::from_name(&row.get::<String>(2)?).ok_or_else(|| inconsistent("an outcome"))?,
            quantity: row.get(3)?,
            added: row.get(4)?,
            at: row.get(5)?,
        })
    })
}

/// Forgets what was acknowledged.
pub fn forget_notices(tx: &mut Tx<'_>, cart: CartId) -> Result<()> {
    tx.execute(FORGET_NOTICES, params![cart]).map(drop)
}

/// Removes all that lies in the cart of a person who was erased. A mark is left, which no line gets past: neither of a
/// request under way nor of a log-in that is told late. It goes as a cart does that nobody touches.
pub fn erase(tx: &mut Tx<'_>, cart: CartId, at: Timestamp) -> Result<()> {
    if !tx.guarded(ERASE, params![at, cart])? && !tx.insert_new(NEW_ERASED, params![cart, at])?.is_new() {
        return Err(merx_sql::contention("the cart was made by another request"));
    }
    tx.execute(REMOVE_ALL, params![cart])?;
    forget_notices(tx, cart)
}

/// Carts of guests, or of members, that may have been left alone since before `before`; the longest first.
pub fn expired(q: &mut impl Query, guest: bool, before: Timestamp, limit: i64) -> Result<Vec<CartId>> {
    q.query(EXPIRED, params![guest, before, limit], |row| row.get(0))
}

/// Removes a cart that was left alone since before `before`; one of which a line was changed since only learns that.
pub fn expire(tx: &mut Tx<'_>, cart: CartId, before: Timestamp) -> Result<()> {
    if !tx.guarded(STILL_OLD, params![cart, before])? {
        return Ok(());
    }
    // A new quantity is written to its line only, to spare a statement: the lines are taken before they are looked at.
    tx.execute(STILL_LINES, params![cart])?;
    let newest = tx.query_one(NEWEST, params![cart], |row| row.get::<Option<Timestamp>>(0))?;
    if let Some(newest) = newest.filter(|at| *at >= before) {
        return tx.execute(YOUNGER, params![newest, cart]).map(drop);
    }
    tx.execute(FORGET_CART, params![cart])?;
    tx.execute(REMOVE_ALL, params![cart])?;
    forget_notices(tx, cart)
}
