//! Notes on orders. They are rows and not events: what people write may hold personal data, and is erased with it.

use merx_contracts::ids::{AccountId, NoteId, OrderId};
use merx_kernel::{Error, Result, Timestamp};
use merx_sql::{Query, Row, Tx, params};

use crate::view::{NoteAuthor, NoteView, NoteVisibility};

/// Notes the buyer may write on one order.
pub const BUYER_NOTES_MAX: i64 = 10;
/// Notes the shop may write on one order.
pub const STAFF_NOTES_MAX: i64 = 100;

const INSERT: &str = "INSERT INTO ordering_notes (note_id, order_id, author, by_staff, for_buyer, about, body, erased, \
     created_at) VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?)";
const FIRST: &str = "INSERT INTO ordering_note_counts (order_id, by_buyer, by_staff) VALUES (?, ?, ?)";
const COUNT_BUYERS: &str =
    "UPDATE ordering_note_counts SET by_buyer = by_buyer + 1 WHERE order_id = ? AND by_buyer < ?";
const COUNT_STAFFS: &str =
    "UPDATE ordering_note_counts SET by_staff = by_staff + 1 WHERE order_id = ? AND by_staff < ?";
const OF_ORDER: &str = "SELECT note_id, author, by_staff, for_buyer, about, body, erased, created_at \
     FROM ordering_notes WHERE order_id = ? AND created_at <= ? AND for_buyer >= ? ORDER BY note_id LIMIT ?";
const ONE: &str = "SELECT note_id, author, by_staff, for_buyer, about, body, erased, created_at \
     FROM ordering_notes WHERE note_id = ?";
/// Everything on the orders of a person, whoever wrote it, and what the person wrote elsewhere.
const ERASE: &str = "UPDATE ordering_notes SET body = '', erased = 1 WHERE erased = 0 AND (author = ? OR order_id IN \
     (SELECT order_id FROM ordering_orders WHERE account_id = ?))";

/// A note that is written.
#[derive(Clone, Debug)]
pub(crate) struct NewNote {
    pub note_id: NoteId,
    pub order_id: OrderId,
    pub author: AccountId,
    pub by_staff: bool,
    pub for_buyer: bool,
    /// `note`, `cancellation`, `settlement`.
    pub about: &'static str,
    pub text: String,
    pub at: Timestamp,
}

impl NewNote {
    /// The note as its author sees it.
    pub(crate) fn view(&self) -> NoteView {
        NoteView {
            id: self.note_id,
            author: if self.by_staff { NoteAuthor::Staff } else { NoteAuthor::Buyer },
            account_id: self.by_staff.then_some(self.author),
            visibility: if self.for_buyer { NoteVisibility::Buyer } else { NoteVisibility::Internal },
            about: self.about.to_owned(),
            text: self.text.clone(),
            erased: false,
            created_at: self.at,
        }
    }
}

/// Writes a note that is part of something else and bounded by it.
pub(crate) fn insert(tx: &mut Tx<'_>, note: &NewNote) -> Result<()> {
    let values = params![
        note.note_id,
        note.order_id,
        note.author,
        note.by_staff,
        note.for_buyer,
        note.about,
        note.text.as_str(),
        note.at
    ];
    tx.execute(INSERT, values).map(drop)
}

/// Writes a note, if there are not too many yet.
///
/// # Errors
/// `ordering.note_limit`.
pub(crate) fn write(tx: &mut Tx<'_>, note: &NewNote) -> Result<()> {
    let (count, most) =
        if note.by_staff { (COUNT_STAFFS, STAFF_NOTES_MAX) } else { (COUNT_BUYERS, BUYER_NOTES_MAX) };
    let first = params![note.order_id, !note.by_staff, note.by_staff];
    let counted = tx.guarded(count, params![note.order_id, most])?
        || tx.insert_new(FIRST, first)?.is_new()
        || tx.guarded(count, params![note.order_id, most])?;
    if !counted {
        let text = format!("An order has at most {most} notes of yours.");
        return Err(Error::rejected("ordering.note_limit", text));
    }
    insert(tx, note)
}

/// The notes of an order as of a moment, oldest first; the internal ones only for staff.
pub(crate) fn of_order(
    q: &mut impl Query,
    order_id: OrderId,
    until: Timestamp,
    staff: bool,
) -> Result<Vec<NoteView>> {
    // Notes and the reasons beside them; a reason is written once a request that changed something.
    let most = 2 * (BUYER_NOTES_MAX + STAFF_NOTES_MAX);
    q.query(OF_ORDER, params![order_id, until, !staff, most], |row| read(row, staff))
}

/// One note, as its author sees it.
pub(crate) fn one(q: &mut impl Query, note_id: NoteId) -> Result<Option<NoteView>> {
    q.query_opt(ONE, params![note_id], |row| read(row, row.get(2)?))
}

/// Empties every note on the person's orders and every note of the person; answers how many.
pub(crate) fn erase(tx: &mut Tx<'_>, person: AccountId) -> Result<u64> {
    tx.execute(ERASE, params![person, person])
}

fn read(row: &Row<'_>, staff: bool) -> Result<NoteView> {
    let author: AccountId = row.get(1)?;
    let by_staff: bool = row.get(2)?;
    Ok(NoteView {
        id: row.get(0)?,
        author: if by_staff { NoteAuthor::Staff } else { NoteAuthor::Buyer },
        account_id: staff.then_some(author),
        visibility: if row.get(3)? { NoteVisibility::Buyer } else { NoteVisibility::Internal },
        about: row.get(4)?,
        text: row.get(5)?,
        erased: row.get(6)?,
        created_at: row.get(7)?,
    })
}
