//! Fetch and read the bill of a day.

use merx_alipay::{Bill, BillKind as AlipayKind};
use merx_kernel::{Error, ErrorKind, Result};

use crate::{
    context::Payments,
    domain::{BillKind, BillLine, ProviderName},
    provider::BillDate,
};

/// The refusal of a bill that cannot be believed.
pub(super) const UNREADABLE: &str = "payment.bill_unreadable";

fn unreadable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let source = source.into();
    let text = format!("The provider's bill cannot be read: {source}");
    Error::new(ErrorKind::Unavailable, UNREADABLE, text).with_source(source)
}

impl Payments {
    /// The lines of a day's bill; `None` while the provider has none.
    ///
    /// # Errors
    /// `payment.provider_unavailable`; `payment.bill_unreadable` for a bill that is not whole, of another day or of
    /// another seller.
    pub(super) async fn bill_of(
        &self,
        provider: ProviderName,
        date: BillDate,
    ) -> Result<Option<Vec<BillLine>>> {
        let Some(bytes) = self.provider_of(provider)?.daily_bill(date, &self.book()).await? else {
            return Ok(None);
        };
        match provider {
            ProviderName::Alipay => self.of_alipay(date, &bytes).map(Some),
            ProviderName::Offline => Ok(None),
        }
    }

    fn of_alipay(&self, date: BillDate, bytes: &[u8]) -> Result<Vec<BillLine>> {
        let bill = Bill::read(bytes).map_err(|e| unreadable(e.message().to_owned()))?;
        if bill.date != date {
            return Err(unreadable(format!("it is of {}, and {date} was asked for", bill.date)));
        }
        let seller = self.providers().alipay.as_ref().map(|alipay| alipay.seller_id().to_owned());
        if seller.is_none_or(|seller| !bill.account.starts_with(&seller)) {
            return Err(unreadable("it is another seller's".to_owned()));
        }
        Ok(bill.lines.into_iter().map(line_of).collect())
    }
}

/// What a seller grants is not ours: the money that moved is what he received, and that is what we booked.
fn line_of(line: merx_alipay::BillLine) -> BillLine {
    BillLine {
        kind: match line.kind {
            AlipayKind::Trade => BillKind::Capture,
            AlipayKind::Refund => BillKind::Refund,
        },
        order_number: line.out_trade_no,
        request_number: line.out_request_no.unwrap_or_default(),
        trade_no: line.trade_no,
        amount: line.received,
        fee: line.fee,
        at: line.finished_at,
    }
}
