//! Where a day's bill is fetched: an address that whoever has it may use, for half a minute.

use std::time::Duration;

use aws_lc_rs::digest;
use axum::{
    Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use merx_alipay::{BillDate, gateway::Fault};
use merx_kernel::{Result, Timestamp};
use serde::Deserialize;

use crate::{bill, sandbox::Sandbox, trades::Ruled};

/// How long an address works.
const VALID_FOR: Duration = Duration::from_secs(30);

pub(crate) fn routes() -> Router<Sandbox> {
    Router::new().route("/bills/{date}/{until}/{mark}", get(fetch))
}

/// The content of `alipay.data.dataservice.bill.downloadurl.query`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct BillAsked {
    bill_type: String,
    bill_date: BillDate,
}

/// The address of a bill.
pub(crate) async fn place(sandbox: &Sandbox, asked: &BillAsked) -> Ruled<String> {
    if asked.bill_type != "trade" {
        let text = "入参不合法: this double has bills of the type `trade` only";
        return Ok(Err(Fault::business("isv.invalid-arguments", text)));
    }
    let now = sandbox.now();
    if asked.bill_date.end() > now || bill::zip_of(sandbox, asked.bill_date).await?.is_none() {
        let text = "账单不存在: there is no bill of this day, or not yet";
        return Ok(Err(Fault::business("isp.bill_not_exist", text)));
    }
    let until = now.plus(VALID_FOR);
    let mark = mark(sandbox, asked.bill_date, until)?;
    let home = sandbox.config().public_url.trim_end_matches('/');
    Ok(Ok(format!("{home}/bills/{}/{}/{mark}", asked.bill_date, until.as_millis())))
}

/// What only the double can make: nothing of it needs to be kept.
fn mark(sandbox: &Sandbox, date: BillDate, until: Timestamp) -> Result<String> {
    let signed = sandbox.key().sign(format!("bill {date} {}", until.as_millis()).as_bytes())?;
    let hash = digest::digest(&digest::SHA256, signed.as_bytes());
    Ok(hash.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

async fn fetch(
    State(sandbox): State<Sandbox>,
    Path((date, until, shown)): Path<(String, i64, String)>,
) -> Response {
    match zip(&sandbox, &date, until, &shown).await {
        Ok(Some(zip)) => {
            let name = format!("attachment; filename=\"{}_{date}.csv.zip\"", sandbox.config().seller_id);
            ([(header::CONTENT_TYPE, "application/zip".to_owned()), (header::CONTENT_DISPOSITION, name)], zip)
                .into_response()
        }
        Ok(None) => (StatusCode::FORBIDDEN, "the address is not valid any more\n").into_response(),
        Err(error) => {
            tracing::error!(error = %error.chain(), "cannot make a bill");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn zip(sandbox: &Sandbox, date: &str, until: i64, shown: &str) -> Result<Option<Vec<u8>>> {
    let until = Timestamp::from_millis(until);
    let Ok(date) = BillDate::parse(date) else { return Ok(None) };
    if until < sandbox.now() || mark(sandbox, date, until)? != shown {
        return Ok(None);
    }
    bill::zip_of(sandbox, date).await
}
