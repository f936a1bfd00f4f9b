//! Alipay as a provider: the calls of `merx-alipay` over an [`Outbound`].

use std::sync::Arc;

use async_trait::async_trait;
use merx_alipay::{
    BeijingTime, Call, Close, Merchant, Notification, OutTradeNo, Outcome, PagePay, Precreate, PrivateKey,
    PublicKey, Query, Refund, RefundQuery, SignedRequest, SubCode, Subject, TradeStatus, Yuan,
};
use merx_contracts::ids::AttemptId;
use merx_kernel::{Error, Result};
use merx_platform::points::{self, Side};

use super::{About, CallBook, Outbound, PayOrder, Prepared, Provider, RefundAnswer, RefundOrder, Trade};
use crate::{config::AlipayConfig, domain::ProviderName};

/// Our shop at Alipay.
pub struct Alipay {
    merchant: Merchant,
    notify_url: String,
    return_url: Option<String>,
    outbound: Arc<dyn Outbound>,
}

impl Alipay {
    /// The shop of `config`, which was checked before.
    ///
    /// # Errors
    /// `Invalid` for a key that cannot be read.
    pub fn new(config: &AlipayConfig, outbound: Arc<dyn Outbound>) -> Result<Self> {
        let key = PrivateKey::parse(config.private_key.expose())?;
        let alipay = PublicKey::parse(&config.alipay_public_key)?;
        Ok(Self {
            merchant: Merchant::new(&config.gateway_url, &config.app_id, &config.seller_id, key, alipay),
            notify_url: config.notify_url.clone(),
            return_url: config.return_url.clone(),
            outbound,
        })
    }

    /// Our application at Alipay.
    pub fn app_id(&self) -> &str {
        self.merchant.app_id()
    }
    /// Our account at Alipay.
    pub fn seller_id(&self) -> &str {
        self.merchant.seller_id()
    }

    /// Reads a notification and verifies its signature.
    ///
    /// # Errors
    /// As [`Merchant::notification`].
    pub fn notification(&self, form: &[u8]) -> Result<Notification> {
        self.merchant.notification(form)
    }

    async fn call<C: Call>(&self, call: &C, about: About, book: &CallBook) -> Result<Outcome<C::Answer>> {
        let started_at = book.now();
        let (url, body) = self.merchant.sign(call, started_at)?.post();
        let point = || format!("provider.{}", C::METHOD);
        points::pass(point, Side::Before);
        let answer = self.outbound.post(&url, SignedRequest::CONTENT_TYPE, body).await;
        points::pass(point, Side::After);
        let concluded = answer.map(|answer| self.merchant.conclude(call, &answer));
        let (outcome, code) = match &concluded {
            Ok(Outcome::Done(_)) => ("done", None),
            Ok(Outcome::InProgress) => ("in_progress", None),
            Ok(Outcome::Refused(refusal)) => ("refused", Some(refusal)),
            Ok(Outcome::Misused(refusal)) => ("misused", Some(refusal)),
            Ok(Outcome::Unknown(_)) => ("unknown", None),
            Err(_) => ("no_answer", None),
        };
        let code = code.map(|refusal| refusal.sub_code.as_str().chars().take(CODE_CHARS_MAX).collect());
        book.note(C::METHOD, about, started_at, outcome, code);
        concluded
    }

    async fn refund_went_through(&self, order: &RefundOrder, book: &CallBook) -> Result<Option<String>> {
        let call = RefundQuery {
            out_trade_no: out_trade_no(order.attempt_id)?,
            out_request_no: OutTradeNo::new(order.refund_id.bare())?,
        };
        Ok(match self.call(&call, order.about(), book).await? {
            Outcome::Done(found) => match found.succeeded() {
                Some(amount) if amount.money() == order.amount => None,
                Some(amount) => Some(format!("{} went back under this number", amount.money())),
                None => Some("Alipay does not know the refund yet".to_owned()),
            },
            Outcome::Refused(refusal) | Outcome::Misused(refusal) => Some(refusal.to_string()),
            Outcome::InProgress => Some("the refund is in progress".to_owned()),
            Outcome::Unknown(why) => Some(why),
        })
    }
}

/// The most characters of a refusal's code that are kept.
const CODE_CHARS_MAX: usize = 64;
/// The longest text of a QR code that Alipay makes.
const QR_CHARS_MAX: usize = 1_024;

fn fits_a_code(text: &str) -> bool {
    (1..=QR_CHARS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

const fn about(attempt_id: AttemptId) -> About {
    About { attempt_id, refund_id: None }
}

impl RefundOrder {
    const fn about(&self) -> About {
        About { attempt_id: self.attempt_id, refund_id: Some(self.refund_id) }
    }
}

fn out_trade_no(attempt_id: AttemptId) -> Result<OutTradeNo> {
    OutTradeNo::new(attempt_id.bare())
}

fn doubt(why: impl std::fmt::Display) -> Error {
    Error::unavailable("payment.provider_unavailable", "The payment provider does not answer.")
        .with_source(why.to_string())
}

/// Refusals of a refund that no repetition changes.
const fn is_final(code: &SubCode) -> bool {
    matches!(
        code,
        SubCode::TradeHasFinished
            | SubCode::TradeHasClose
            | SubCode::DiscordantRepeatRequest
            | SubCode::RefundAmountTooHigh
            | SubCode::InvalidParameter
    )
}

#[async_trait]
impl Provider for Alipay {
    fn name(&self) -> ProviderName {
        ProviderName::Alipay
    }

    fn pay_url(&self, order: &PayOrder<'_>) -> Result<String> {
        let mut page = PagePay::new(
            out_trade_no(order.attempt_id)?,
            Yuan::payable(order.amount)?,
            Subject::nearest(order.subject),
            BeijingTime(order.expires_at),
            &self.notify_url,
        );
        if let Some(url) = &self.return_url {
            page = page.returning_to(url);
        }
        Ok(self.merchant.sign(&page, order.started_at)?.url())
    }

    async fn precreate(&self, order: &PayOrder<'_>, book: &CallBook) -> Result<Prepared> {
        let call = Precreate {
            out_trade_no: out_trade_no(order.attempt_id)?,
            total_amount: Yuan::payable(order.amount)?,
            subject: Subject::nearest(order.subject),
            time_expire: BeijingTime(order.expires_at),
            notify_url: self.notify_url.clone(),
        };
        let begun = |code: &SubCode| matches!(code, SubCode::TradeHasSuccess | SubCode::TradeHasClose);
        match self.call(&call, about(order.attempt_id), book).await? {
            Outcome::Done(made) if fits_a_code(&made.qr_code) => Ok(Prepared::Code(made.qr_code)),
            Outcome::Done(_) => Err(doubt("the text of the QR code is empty or too long")),
            Outcome::Refused(refusal) if begun(&refusal.sub_code) => Ok(Prepared::Begun),
            Outcome::Refused(refusal) | Outcome::Misused(refusal) => {
                Ok(Prepared::Refused { code: refusal.sub_code.to_string() })
            }
            Outcome::InProgress => Err(doubt("the code is being made")),
            Outcome::Unknown(why) => Err(doubt(why)),
        }
    }

    async fn query(&self, attempt_id: AttemptId, book: &CallBook) -> Result<Trade> {
        let call = Query { out_trade_no: out_trade_no(attempt_id)? };
        match self.call(&call, about(attempt_id), book).await? {
            Outcome::Done(trade) => Ok(match trade.trade_status {
                TradeStatus::WaitBuyerPay => Trade::Waiting,
                TradeStatus::TradeClosed => Trade::Closed,
                TradeStatus::TradeSuccess | TradeStatus::TradeFinished => {
                    Trade::Paid { amount: trade.total_amount.money(), provider_trade_no: trade.trade_no }
                }
            }),
            Outcome::InProgress => Ok(Trade::Waiting),
            Outcome::Refused(refusal) if refusal.sub_code == SubCode::TradeNotExist => Ok(Trade::Absent),
            Outcome::Refused(refusal) | Outcome::Misused(refusal) => Err(doubt(refusal)),
            Outcome::Unknown(why) => Err(doubt(why)),
        }
    }

    async fn close(&self, attempt_id: AttemptId, book: &CallBook) -> Result<bool> {
        let call = Close { out_trade_no: out_trade_no(attempt_id)? };
        match self.call(&call, about(attempt_id), book).await? {
            Outcome::Done(_) => Ok(true),
            Outcome::InProgress | Outcome::Refused(_) => Ok(false),
            Outcome::Misused(refusal) => Err(doubt(refusal)),
            Outcome::Unknown(why) => Err(doubt(why)),
        }
    }

    async fn refund(&self, order: &RefundOrder, book: &CallBook) -> Result<RefundAnswer> {
        let call = Refund {
            out_trade_no: out_trade_no(order.attempt_id)?,
            refund_amount: Yuan::payable(order.amount)?,
            out_request_no: OutTradeNo::new(order.refund_id.bare())?,
            refund_reason: Some(order.reason.clone()),
        };
        let refusal = match self.call(&call, order.about(), book).await {
            Ok(Outcome::Done(done)) if done.moved_money() => return Ok(RefundAnswer::Succeeded),
            Ok(Outcome::Refused(refusal)) => Some(refusal),
            Ok(Outcome::Misused(refusal)) => return Err(doubt(refusal)),
            // No money moved by this very call, or nobody knows: an earlier one may have moved it.
            Ok(_) | Err(_) => None,
        };
        match (self.refund_went_through(order, book).await?, refusal) {
            (None, _) => Ok(RefundAnswer::Succeeded),
            (Some(_), Some(refusal)) if is_final(&refusal.sub_code) => {
                Ok(RefundAnswer::Failed { code: refusal.sub_code.to_string() })
            }
            (Some(_), Some(refusal)) => Ok(RefundAnswer::Pending(refusal.to_string())),
            (Some(why), None) => Ok(RefundAnswer::Pending(why)),
        }
    }
}
