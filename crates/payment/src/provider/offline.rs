//! Money that no provider moves: a transfer to the shop's bank, cash at the door. Staff confirms what came and what was
//! paid back (`commands::confirm_offline`); here is what that makes of an attempt.

use async_trait::async_trait;
use merx_contracts::ids::AttemptId;
use merx_kernel::{Error, ErrorKind, Result, Timestamp};
use merx_sql::Db;

use super::{
    BillDate, CallBook, Notice, Offer, PayOrder, Prepared, Provider, RefundAnswer, RefundOrder, Trade,
    not_ours,
};
use crate::{
    config::OfflineConfig,
    domain::ProviderName,
    store::offline::{self, RefundStanding, Standing},
};

/// The code of a refund number that came with another amount.
const DISCORDANT: &str = "offline.discordant_repeat_request";

/// The shop as its own provider.
pub struct Offline {
    db: Db,
    config: OfflineConfig,
}

impl Offline {
    /// With what buyers are told.
    pub const fn new(db: Db, config: OfflineConfig) -> Self {
        Self { db, config }
    }
}

#[async_trait]
impl Provider for Offline {
    fn name(&self) -> ProviderName {
        ProviderName::Offline
    }

    fn offer(&self, order: &PayOrder<'_>) -> Result<Offer> {
        let text = self.config.instructions(order.method).ok_or_else(|| not_ours(order.method))?;
        Ok(Offer::Instructions(text.to_owned()))
    }

    async fn precreate(&self, order: &PayOrder<'_>, _: &CallBook) -> Result<Prepared> {
        Err(not_ours(order.method))
    }

    /// An attempt that nobody confirmed waits: whoever has read the instructions may have paid.
    async fn query(&self, attempt_id: AttemptId, _: &CallBook) -> Result<Trade> {
        let found = self.db.read("payment.offline_query", move |q| offline::standing(q, attempt_id)).await?;
        Ok(match found {
            None => Trade::Waiting,
            Some(Standing::Closed) => Trade::Closed,
            Some(Standing::Paid { amount, receipt_id }) => {
                Trade::Paid { amount, provider_trade_no: receipt_id.bare() }
            }
        })
    }

    async fn close(&self, attempt_id: AttemptId, book: &CallBook) -> Result<bool> {
        let now = book.now();
        let close = move |tx: &mut merx_sql::Tx<'_>| offline::close(tx, attempt_id, now);
        self.db.write("payment.offline_close", close).await
    }

    /// Notes that staff shall pay it back; that it was is theirs to say.
    async fn refund(&self, order: &RefundOrder, book: &CallBook) -> Result<RefundAnswer> {
        let (asked, now) = (order.clone(), book.now());
        let ask = move |tx: &mut merx_sql::Tx<'_>| {
            let (refund_id, attempt_id) = (asked.refund_id, asked.attempt_id);
            offline::ask_refund(tx, refund_id, attempt_id, asked.amount, now)?;
            offline::refund_standing(tx, refund_id)
        };
        let standing = self.db.write("payment.offline_refund", ask).await?;
        Ok(answer(standing, order))
    }

    async fn refund_query(&self, order: &RefundOrder, _: &CallBook) -> Result<RefundAnswer> {
        let refund_id = order.refund_id;
        let read = move |q: &mut merx_sql::Reader<'_>| offline::refund_standing(q, refund_id);
        let standing = self.db.read("payment.offline_refund_query", read).await?;
        Ok(match answer(standing, order) {
            RefundAnswer::Failed { code } => RefundAnswer::Pending(code),
            other => other,
        })
    }

    /// Nobody outside tells of this money, so whatever comes was not sent by it.
    fn notification(&self, _: &[u8], _: Timestamp) -> Result<Notice> {
        let text = "Staff confirms this money; no notification does.";
        Err(Error::new(ErrorKind::Forbidden, "payment.notification_unsigned", text))
    }

    /// The shop's own records are no second opinion.
    async fn daily_bill(&self, _: BillDate, _: &CallBook) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }
}

fn answer(standing: Option<RefundStanding>, order: &RefundOrder) -> RefundAnswer {
    match standing {
        None => RefundAnswer::Pending("the refund was not asked for yet".to_owned()),
        Some(RefundStanding { attempt_id, amount, .. })
            if (attempt_id, amount) != (order.attempt_id, order.amount) =>
        {
            RefundAnswer::Failed { code: DISCORDANT.to_owned() }
        }
        Some(RefundStanding { paid_back: true, .. }) => RefundAnswer::Succeeded,
        Some(_) => RefundAnswer::Pending("staff has not confirmed yet that it was paid back".to_owned()),
    }
}
