//! Codes that are mailed. The code itself is in no table.

use merx_contracts::ids::{AccountId, CodeId};
use merx_kernel::{Error, Result, Timestamp};
use merx_sql::{Query, Row, Tx, params};

use crate::domain::{code::Purpose, email::Email};

const INSERT_CODE: &str = "INSERT INTO accounts_codes \
    (id, account, purpose, generation, guesses, expires_at, used_at) VALUES (?, ?, ?, 1, 0, ?, NULL)";
const RENEW_CODE: &str = "UPDATE accounts_codes \
    SET generation = generation + 1, guesses = 0, expires_at = ?, used_at = NULL WHERE id = ?";
const CODE: &str = "SELECT id, account, purpose, generation, guesses, expires_at, used_at \
    FROM accounts_codes WHERE id = ?";
const CODE_OF: &str = "SELECT id, account, purpose, generation, guesses, expires_at, used_at \
    FROM accounts_codes WHERE account = ? AND purpose = ?";
const CODE_OF_EMAIL: &str = "SELECT c.id, c.account, c.purpose, c.generation, c.guesses, c.expires_at, c.used_at \
    FROM accounts_accounts a JOIN accounts_codes c ON c.account = a.id \
    WHERE a.email = ? AND a.status = 'invited' AND c.purpose = ?";
const COUNT_GUESS: &str = "UPDATE accounts_codes SET guesses = guesses + 1 \
    WHERE id = ? AND generation = ? AND guesses < ? AND expires_at > ? AND used_at IS NULL";
const USE_CODE: &str =
    "UPDATE accounts_codes SET used_at = ? WHERE id = ? AND generation = ? AND used_at IS NULL";
const VOID_CODES: &str = "UPDATE accounts_codes SET used_at = ? WHERE account = ? AND used_at IS NULL";

/// A code.
#[derive(Clone, Debug)]
pub struct CodeRow {
    pub id: CodeId,
    pub account: AccountId,
    pub purpose: Purpose,
    pub generation: i64,
    pub guesses: i64,
    pub expires_at: Timestamp,
    pub used: bool,
}

fn code_row(row: &Row<'_>) -> Result<CodeRow> {
    let purpose: String = row.get(2)?;
    Ok(CodeRow {
        id: row.get(0)?,
        account: row.get(1)?,
        purpose: Purpose::from_name(&purpose)
            .ok_or_else(|| Error::internal(format!("a code has the unknown purpose `{purpose}`")))?,
        generation: row.get(3)?,
        guesses: row.get(4)?,
        expires_at: row.get(5)?,
        used: row.get::<Option<Timestamp>>(6)?.is_some(),
    })
}

/// Adds a code.
pub fn insert_code(
    tx: &mut Tx<'_>,
    id: CodeId,
    account: AccountId,
    purpose: Purpose,
    expires_at: Timestamp,
) -> Result<()> {
    tx.execute(INSERT_CODE, params![id, account, purpose.name(), expires_at]).map(drop)
}

/// Makes another code of it, with guesses of its own; the old one is good for nothing.
pub fn renew_code(tx: &mut Tx<'_>, id: CodeId, expires_at: Timestamp) -> Result<()> {
    tx.execute(RENEW_CODE, params![expires_at, id]).map(drop)
}

/// One code.
pub fn code(q: &mut impl Query, id: CodeId) -> Result<Option<CodeRow>> {
    q.query_opt(CODE, params![id], code_row)
}

/// The code of an account for a purpose.
pub fn code_of(q: &mut impl Query, account: AccountId, purpose: Purpose) -> Result<Option<CodeRow>> {
    q.query_opt(CODE_OF, params![account, purpose.name()], code_row)
}

/// The code of an invited account.
pub fn code_of_email(q: &mut impl Query, email: &Email, purpose: Purpose) -> Result<Option<CodeRow>> {
    q.query_opt(CODE_OF_EMAIL, params![email.as_str(), purpose.name()], code_row)
}

/// Counts a guess before it is looked at; false when the code is dead.
pub fn count_guess(tx: &mut Tx<'_>, code: &CodeRow, guesses_max: i64, now: Timestamp) -> Result<bool> {
    tx.guarded(COUNT_GUESS, params![code.id, code.generation, guesses_max, now])
}

/// Uses the code up; false when it was, or another was made of it.
pub fn use_code(tx: &mut Tx<'_>, code: &CodeRow, now: Timestamp) -> Result<bool> {
    tx.guarded(USE_CODE, params![now, code.id, code.generation])
}

/// No code of the account is good any more.
pub fn void_codes(tx: &mut Tx<'_>, account: AccountId, now: Timestamp) -> Result<()> {
    tx.execute(VOID_CODES, params![now, account]).map(drop)
}
