//! Alipay as a provider: the calls of `merx-alipay` over an [`Outbound`], with keys that may change meanwhile.

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use merx_alipay::{
    BeijingTime, BillDate, BillQuery, Call, Cashier, Close, Expected, Merchant, Notification, Notified,
    OutTradeNo, Outcome, Pay, Precreate, PublicKey, Query, Refund, RefundQuery, SignedRequest, SubCode,
    Subject, TradeStatus, Yuan,
};
use merx_alipay::{InApp, OnPage, OnPhone};
use merx_contracts::ids::AttemptId;
use merx_kernel::{Error, ErrorKind, Result, Timestamp};
use merx_platform::points::{self, Side};
use serde::{Deserialize, Serialize};

use super::{
    About, CallBook, Misfit, News, Notice, Offer, Outbound, PayOrder, Prepared, Provider, RefundAnswer,
    RefundOrder, Trade, doubt, not_ours,
};
use crate::{
    config::{AlipayConfig, Keys},
    domain::{Method, ProviderName},
};

/// Our shop at Alipay.
pub struct Alipay {
    config: AlipayConfig,
    ring: RwLock<Arc<Ring>>,
    outbound: Arc<dyn Outbound>,
}

/// The keys in use. A call keeps the ring it began with.
struct Ring {
    merchant: Merchant,
    digest: [u8; 32],
    /// The key Alipay signed with before, and until when its notifications are still taken.
    before: Option<(PublicKey, Timestamp)>,
}

/// What an operator may know of the keys in use: no key is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysInUse {
    /// Whether they are others than before.
    pub changed: bool,
    /// The first 16 digits of the SHA-256 of Alipay's public key (DER of the SubjectPublicKeyInfo).
    pub alipay_key: String,
    /// Until when notifications signed with Alipay's key of before are still taken.
    pub key_before_accepted_until: Option<Timestamp>,
}

impl Alipay {
    /// Our account at Alipay: bills name it.
    pub fn seller_id(&self) -> &str {
        &self.config.seller_id
    }

    /// The shop of `config`, which was checked before.
    ///
    /// # Errors
    /// `payment.keys_invalid` for keys that cannot be read.
    pub fn new(config: AlipayConfig, outbound: Arc<dyn Outbound>) -> Result<Self> {
        let keys = Keys::read(&config).map_err(Keys::refused)?;
        let digest = keys.digest;
        let ring = Ring { merchant: keys.merchant(&config)?, digest, before: None };
        Ok(Self { config, ring: RwLock::new(Arc::new(ring)), outbound })
    }

    fn ring(&self) -> Arc<Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether keys are in files, which may change while the shop runs.
    pub const fn has_key_files(&self) -> bool {
        self.config.has_files()
    }

    /// Reads the files of keys again. What is wrong with them leaves those of before in use; what changed is used from the
    /// next call on, and what Alipay signed with its key of before is taken for `old_key_accepted_s` longer.
    ///
    /// # Errors
    /// `payment.keys_invalid` with each wrong value by its path.
    pub fn reload_keys(&self, now: Timestamp) -> Result<KeysInUse> {
        let keys = Keys::read(&self.config).map_err(Keys::refused)?;
        let known = self.ring();
        let changed = keys.digest != known.digest;
        if changed {
            let digest = keys.digest;
            let merchant = keys.merchant(&self.config)?;
            let same = merchant.alipay_key().to_pem()? == known.merchant.alipay_key().to_pem()?;
            let until = now.plus(std::time::Duration::from_secs(self.config.old_key_accepted_s));
            let before =
                if same { known.before.clone() } else { Some((known.merchant.alipay_key().clone(), until)) };
            let ring = Arc::new(Ring { merchant, digest, before });
            *self.ring.write().unwrap_or_else(PoisonError::into_inner) = ring;
        }
        let ring = self.ring();
        Ok(KeysInUse {
            changed,
            alipay_key: ring.merchant.alipay_key().fingerprint()?,
            key_before_accepted_until: ring
                .before
                .as_ref()
                .map(|(_, until)| *until)
                .filter(|until| *until > now),
        })
    }

    /// A signed notification, by the key of now or, for a while, by the one of before.
    fn signed(&self, form: &[u8], now: Timestamp) -> Result<Notification> {
        let ring = self.ring();
        match (ring.merchant.notification(form), &ring.before) {
            (Err(error), Some((key, until))) if error.is("alipay.signature_invalid") && now < *until => {
                Notification::verify(form, key)
            }
            (read, _) => read,
        }
    }

    fn pay<C: Cashier>(&self, order: &PayOrder<'_>) -> Result<SignedRequest> {
        let mut pay: Pay<C> = Pay::new(
            out_trade_no(order.attempt_id)?,
            Yuan::payable(order.amount)?,
            Subject::nearest(order.subject),
            BeijingTime(order.expires_at),
            &self.config.notify_url,
        );
        // An app comes back to itself.
        let back = self.config.return_url.as_ref().filter(|_| order.method != Method::AlipayApp);
        if let Some(url) = back {
            pay = pay.returning_to(url);
        }
        self.ring().merchant.sign(&pay, order.started_at)
    }

    async fn call<C: Call>(
        &self,
        call: &C,
        about: Option<About>,
        book: &CallBook,
    ) -> Result<Outcome<C::Answer>> {
        let (started_at, ring) = (book.now(), self.ring());
        let (url, body) = ring.merchant.sign(call, started_at)?.post();
        let point = || format!("provider.{}", C::METHOD);
        points::pass(point, Side::Before);
        let answer = self.outbound.post(&url, SignedRequest::CONTENT_TYPE, body).await;
        points::pass(point, Side::After);
        let concluded = answer.map(|answer| ring.merchant.conclude(call, &answer));
        let (outcome, code) = match &concluded {
            Ok(Outcome::Done(_)) => ("done", None),
            Ok(Outcome::InProgress) => ("in_progress", None),
            Ok(Outcome::Refused(refusal)) => ("refused", Some(refusal)),
            Ok(Outcome::Misused(refusal)) => ("misused", Some(refusal)),
            Ok(Outcome::Unknown(_)) => ("unknown", None),
            Err(_) => ("no_answer", None),
        };
        let code = code.map(|refusal| refusal.sub_code.as_str().chars().take(CODE_CHARS_MAX).collect());
        if let Some(about) = about {
            book.note(C::METHOD, about, started_at, outcome, code);
        }
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

const fn about(attempt_id: AttemptId) -> Option<About> {
    Some(About { attempt_id, refund_id: None })
}

impl RefundOrder {
    const fn about(&self) -> Option<About> {
        Some(About { attempt_id: self.attempt_id, refund_id: Some(self.refund_id) })
    }
}

fn out_trade_no(attempt_id: AttemptId) -> Result<OutTradeNo> {
    OutTradeNo::new(attempt_id.bare())
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

    fn offer(&self, order: &PayOrder<'_>) -> Result<Offer> {
        Ok(match order.method {
            Method::AlipayPage => Offer::Redirect(self.pay::<OnPage>(order)?.url()),
            Method::AlipayWap => Offer::Redirect(self.pay::<OnPhone>(order)?.url()),
            Method::AlipayApp => Offer::AppOrder(self.pay::<InApp>(order)?.order_text()),
            Method::AlipayQr => Offer::QrCode,
            other => return Err(not_ours(other)),
        })
    }

    async fn precreate(&self, order: &PayOrder<'_>, book: &CallBook) -> Result<Prepared> {
        let call = Precreate {
            out_trade_no: out_trade_no(order.attempt_id)?,
            total_amount: Yuan::payable(order.amount)?,
            subject: Subject::nearest(order.subject),
            time_expire: BeijingTime(order.expires_at),
            notify_url: self.config.notify_url.clone(),
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

    async fn refund_query(&self, order: &RefundOrder, book: &CallBook) -> Result<RefundAnswer> {
        Ok(match self.refund_went_through(order, book).await? {
            None => RefundAnswer::Succeeded,
            Some(why) => RefundAnswer::Pending(why),
        })
    }

    fn notification(&self, form: &[u8], now: Timestamp) -> Result<Notice> {
        let told = self.signed(form, now).map_err(|error| match error.is("alipay.notification_invalid") {
            true => Error::new(ErrorKind::Invalid, "payment.notification_unreadable", error.message()),
            false => error,
        })?;
        let expected = Expected {
            app_id: &self.config.app_id,
            seller_id: &self.config.seller_id,
            out_trade_no: &told.out_trade_no,
            amount: told.total_amount,
        };
        let foreign = told.mismatches(&expected);
        Ok(Notice {
            foreign: foreign
                .into_iter()
                .map(|m| Misfit { field: m.field, expected: m.expected, found: m.found })
                .collect(),
            news: match told.notified() {
                Notified::Waiting => News::Waiting,
                Notified::Paid => News::Paid,
                Notified::Refunded(sum) => News::Refunded(sum),
                Notified::Closed => News::Closed,
            },
            notify_id: told.notify_id,
            order_number: told.out_trade_no.to_string(),
            trade_no: told.trade_no,
            trade_status: told.trade_status.name(),
            amount: told.total_amount,
            amount_field: "total_amount",
            addressed_to: vec![("app_id", told.app_id), ("seller_id", told.seller_id)],
        })
    }

    async fn daily_bill(&self, date: BillDate, book: &CallBook) -> Result<Option<Vec<u8>>> {
        let url = match self.call(&BillQuery::new(date), None, book).await? {
            Outcome::Done(place) => place.bill_download_url,
            Outcome::Refused(refusal) if refusal.sub_code == SubCode::BillNotExist => return Ok(None),
            Outcome::Refused(refusal) | Outcome::Misused(refusal) => return Err(doubt(refusal)),
            Outcome::InProgress => return Err(doubt("the bill is being made")),
            Outcome::Unknown(why) => return Err(doubt(why)),
        };
        // A bill in the clear comes from a gateway in the clear only: the double of a demo.
        if !url.starts_with("https://") && self.config.gateway_url.starts_with("https://") {
            return Err(doubt("the address of the bill is not https"));
        }
        self.outbound.get(&url).await.map(Some)
    }
}
