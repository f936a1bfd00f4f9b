//! A buyer shows a picture with a case.

use merx_contracts::ids::{AccountId, AfterSaleId, EvidenceId};
use merx_kernel::{Error, Result};
use merx_sql::Tx;

use crate::{
    State,
    domain::{Rejection, Status},
    pictures::{Made, key_of},
    store::{
        cases,
        evidence::{self, EvidenceRow},
    },
};

/// The most pictures of a case.
pub const PICTURES_MAX: i64 = 9;

/// Puts a picture where it belongs, its row first; nothing shows it until [`keep`].
///
/// # Errors
/// `objects.unavailable`.
pub async fn put(
    state: &State,
    (case_id, account): (AfterSaleId, AccountId),
    evidence_id: EvidenceId,
    made: &Made,
) -> Result<EvidenceRow> {
    let (width, height) = (i64::from(made.width), i64::from(made.height));
    let row = EvidenceRow { evidence_id, width, height, added_at: state.clock.now() };
    let bytes = i64::try_from(made.bytes.len()).unwrap_or(i64::MAX);
    let own = row.clone();
    let claim = move |tx: &mut Tx<'_>| evidence::claim(tx, (case_id, account), &own, bytes);
    state.db.write("aftersale.claim_picture", claim).await?;
    state.objects.put(&key_of(evidence_id)?, made.bytes.clone(), Made::MEDIA_TYPE).await?;
    Ok(row)
}

/// Shows it with the case, while staff have not answered.
///
/// # Errors
/// `aftersale.not_in_this_state`, `aftersale.picture_limit`.
pub fn keep(tx: &mut Tx<'_>, case_id: AfterSaleId, evidence_id: EvidenceId) -> Result<()> {
    let row = cases::one(tx, case_id)?.ok_or(Rejection::CaseUnknown)?;
    if row.status != Status::Requested {
        return Err(Rejection::NotInThisState(row.status).into());
    }
    if evidence::count(tx, case_id)? >= PICTURES_MAX {
        let text = format!("A case has at most {PICTURES_MAX} pictures.");
        return Err(Error::rejected("aftersale.picture_limit", text));
    }
    if !evidence::keep(tx, evidence_id)? {
        return Err(Error::conflict("aftersale.picture_limit", "The picture was given up; send it again."));
    }
    Ok(())
}
