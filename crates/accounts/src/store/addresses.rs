//! Addresses, each version a row.

use merx_contracts::ids::{AccountId, AddressId};
use merx_kernel::{BoundedText, Error, Result, Timestamp};
use merx_sql::{Query, Row, Tx, params};

use crate::domain::{
    address::{ADDRESSES_MAX, Address, AddressForm, text},
    country::Country,
};

const COUNT_ADDRESS: &str = "UPDATE accounts_accounts SET address_count = address_count + 1 \
    WHERE id = ? AND address_count < ? AND status = 'active'";
const UNCOUNT_ADDRESS: &str = "UPDATE accounts_accounts SET address_count = address_count - 1 WHERE id = ?";
const INSERT_ADDRESS: &str = "INSERT INTO accounts_addresses (id, account, country, region, city, line1, line2, \
    postcode, recipient, phone, created_at, retired_at, replaced_by) \
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)";
const ADDRESS: &str = "SELECT id, account, country, region, city, line1, line2, postcode, recipient, phone, \
    created_at, retired_at, replaced_by, erased FROM accounts_addresses WHERE id = ?";
const ADDRESSES: &str = "SELECT id, account, country, region, city, line1, line2, postcode, recipient, phone, \
    created_at, retired_at, replaced_by, erased FROM accounts_addresses \
    WHERE account = ? AND retired_at IS NULL ORDER BY created_at DESC, id DESC";
const ALL_ADDRESSES: &str = "SELECT id, account, country, region, city, line1, line2, postcode, recipient, phone, \
    created_at, retired_at, replaced_by, erased FROM accounts_addresses \
    WHERE account = ? ORDER BY created_at DESC, id DESC LIMIT ?";
const RETIRE_ADDRESS: &str =
    "UPDATE accounts_addresses SET retired_at = ?, replaced_by = ? WHERE id = ? AND retired_at IS NULL";

/// One version of an address.
pub struct AddressRow {
    pub id: AddressId,
    pub account: AccountId,
    /// `None` when it was erased.
    pub address: Option<Address>,
    pub created_at: Timestamp,
    pub retired: bool,
    pub replaced_by: Option<AddressId>,
}

fn address_row(row: &Row<'_>) -> Result<AddressRow> {
    let erased: bool = row.get(13)?;
    Ok(AddressRow {
        id: row.get(0)?,
        account: row.get(1)?,
        address: if erased { None } else { Some(address_of(row)?) },
        created_at: row.get(10)?,
        retired: row.get::<Option<Timestamp>>(11)?.is_some(),
        replaced_by: row.get(12)?,
    })
}

fn address_of(row: &Row<'_>) -> Result<Address> {
    let broken = |e: String| Error::internal(format!("inconsistent address row: {e}"));
    let optional = |index: usize| row.get::<String>(index).map(|t| (!t.is_empty()).then_some(t));
    let form = AddressForm {
        country: Country::new(&row.get::<String>(2)?).map_err(broken)?,
        region: optional(3)?.map(BoundedText::new).transpose().map_err(broken)?,
        city: optional(4)?.map(BoundedText::new).transpose().map_err(broken)?,
        line1: BoundedText::new(row.get::<String>(5)?).map_err(broken)?,
        line2: optional(6)?.map(BoundedText::new).transpose().map_err(broken)?,
        postcode: optional(7)?.map(BoundedText::new).transpose().map_err(broken)?,
        recipient: BoundedText::new(row.get::<String>(8)?).map_err(broken)?,
        phone: BoundedText::new(row.get::<String>(9)?).map_err(broken)?,
    };
    Ok(Address::stored(form))
}

/// Counts one more active address; false when the account has as many as it may, or was closed or erased meanwhile.
pub fn count_address(tx: &mut Tx<'_>, account: AccountId) -> Result<bool> {
    tx.guarded(COUNT_ADDRESS, params![account, ADDRESSES_MAX])
}

/// Counts one active address less.
pub fn uncount_address(tx: &mut Tx<'_>, account: AccountId) -> Result<()> {
    tx.execute(UNCOUNT_ADDRESS, params![account]).map(|_| ())
}

/// Adds an address.
pub fn insert_address(
    tx: &mut Tx<'_>,
    id: AddressId,
    account: AccountId,
    address: &Address,
    at: Timestamp,
) -> Result<()> {
    let f = address.form();
    let values = params![
        id,
        account,
        f.country.code(),
        text(&f.region),
        text(&f.city),
        f.line1.as_str(),
        text(&f.line2),
        text(&f.postcode),
        f.recipient.as_str(),
        f.phone.as_str(),
        at
    ];
    tx.execute(INSERT_ADDRESS, values).map(|_| ())
}

/// One address, retired or not.
pub fn address(q: &mut impl Query, id: AddressId) -> Result<Option<AddressRow>> {
    q.query_opt(ADDRESS, params![id], address_row)
}

/// The active addresses of an account, the newest first.
pub fn addresses(q: &mut impl Query, account: AccountId) -> Result<Vec<AddressRow>> {
    q.query(ADDRESSES, params![account], address_row)
}

/// Every version of every address of an account, the newest first.
pub fn all_addresses(q: &mut impl Query, account: AccountId, limit: i64) -> Result<Vec<AddressRow>> {
    q.query(ALL_ADDRESSES, params![account, limit], address_row)
}

/// Retires an address; false when it was retired before.
pub fn retire_address(tx: &mut Tx<'_>, id: AddressId, by: Option<AddressId>, at: Timestamp) -> Result<bool> {
    tx.guarded(RETIRE_ADDRESS, params![at, by, id])
}
