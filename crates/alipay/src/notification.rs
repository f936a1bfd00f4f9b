//! A notification: believed only after the signature, and then only where it agrees with our own record.

use merx_kernel::{Currency, Error, ErrorKind, Guard, Money, Result, Timestamp};

use crate::{
    key::PublicKey,
    params::Params,
    values::{OutTradeNo, TradeStatus},
};

/// What tells Alipay that a notification counted and need not be sent again: these seven bytes, nothing else.
pub const REPLY_SUCCESS: &str = "success";
/// Anything but [`REPLY_SUCCESS`] makes Alipay send again.
pub const REPLY_FAIL: &str = "fail";

/// A notification whose signature was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Alipay's number for this notification; the same on every repetition.
    pub notify_id: String,
    /// When it was first made.
    pub notify_time: Timestamp,
    /// Which application it is for.
    pub app_id: String,
    /// Which account was paid.
    pub seller_id: String,
    /// Our number for the attempt.
    pub out_trade_no: OutTradeNo,
    /// Alipay's number for the trade.
    pub trade_no: String,
    /// Where the trade stands.
    pub trade_status: TradeStatus,
    /// What was to be paid. CNY unless a currency is named.
    pub total_amount: Money,
    /// When the buyer paid.
    pub gmt_payment: Option<Timestamp>,
    /// Our number for the refund this is about (`out_biz_no`).
    pub out_request_no: Option<String>,
    /// What has been refunded on the trade so far.
    pub refund_fee: Option<Money>,
    /// When money went back.
    pub gmt_refund: Option<Timestamp>,
}

/// What a notification is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notified {
    /// The buyer has begun and not paid.
    Waiting,
    /// The money is with the merchant.
    Paid,
    /// Money went back; the sum so far. The trade itself was paid before.
    Refunded(Money),
    /// The trade ended unpaid.
    Closed,
}

/// What we know about the attempt the notification claims to be about.
#[derive(Clone, Debug)]
pub struct Expected<'a> {
    /// Our application.
    pub app_id: &'a str,
    /// Our account.
    pub seller_id: &'a str,
    /// Our number for the attempt.
    pub out_trade_no: &'a OutTradeNo,
    /// What we asked for.
    pub amount: Money,
}

/// A field that does not agree with our record, for the quarantine and the alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Which field.
    pub field: &'static str,
    /// What we know.
    pub expected: String,
    /// What was sent.
    pub found: String,
}

fn refused(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, "alipay.notification_invalid", detail)
}

impl Notification {
    /// Decodes the form, verifies the signature, and reads the fields.
    ///
    /// # Errors
    /// `alipay.form_invalid` for a form that cannot be read or names a parameter twice,
    /// `alipay.signature_invalid` for one that Alipay did not sign with RSA2, `alipay.notification_invalid` for a
    /// signed one with a missing or malformed field. None of them may be answered with `success`.
    pub fn verify(form: &[u8], alipay: &PublicKey) -> Result<Self> {
        let params = Params::from_form(form)?;
        if Guard::NotificationSignature.on() {
            check_signature(&params, alipay)?;
        }
        Self::read(&params)
    }

    fn read(params: &Params) -> Result<Self> {
        let optional = |name: &str| params.get(name).filter(|value| !value.is_empty());
        let required = |name: &'static str| {
            optional(name).ok_or_else(|| refused(format!("the notification has no `{name}`")))
        };
        let time = |name: &'static str, text: &str| {
            Timestamp::parse_beijing(text).map_err(|e| refused(format!("`{name}`: {e}")))
        };
        let currency = match optional("trans_currency") {
            Some(code) => code
                .parse::<Currency>()
                .map_err(|e| refused("`trans_currency` is not a currency Merx knows").with_source(e))?,
            None => Currency::CNY,
        };
        let money = |name: &'static str, text: &str| {
            Money::parse_decimal(text, currency)
                .map_err(|e| refused(format!("`{name}` is not an amount")).with_source(e))
        };
        let status = required("trade_status")?;
        Ok(Self {
            notify_id: required("notify_id")?.to_owned(),
            notify_time: time("notify_time", required("notify_time")?)?,
            app_id: required("app_id")?.to_owned(),
            seller_id: required("seller_id")?.to_owned(),
            out_trade_no: OutTradeNo::new(required("out_trade_no")?)
                .map_err(|e| refused("`out_trade_no` is not an order number").with_source(e))?,
            trade_no: required("trade_no")?.to_owned(),
            trade_status: TradeStatus::from_name(status)
                .ok_or_else(|| refused("`trade_status` is not a status Merx knows"))?,
            total_amount: money("total_amount", required("total_amount")?)?,
            gmt_payment: optional("gmt_payment").map(|t| time("gmt_payment", t)).transpose()?,
            out_request_no: optional("out_biz_no").map(str::to_owned),
            refund_fee: optional("refund_fee").map(|t| money("refund_fee", t)).transpose()?,
            gmt_refund: optional("gmt_refund").map(|t| time("gmt_refund", t)).transpose()?,
        })
    }

    /// What it is about. A refund notification keeps the status of the trade (`TRADE_SUCCESS` while part of the
    /// money remains, `TRADE_CLOSED` when none does) and is told by its refund fields.
    pub fn notified(&self) -> Notified {
        match (self.refund_fee, self.trade_status) {
            (Some(sum), _) if sum.minor > 0 => Notified::Refunded(sum),
            (_, TradeStatus::TradeSuccess | TradeStatus::TradeFinished) => Notified::Paid,
            (_, TradeStatus::TradeClosed) => Notified::Closed,
            (_, TradeStatus::WaitBuyerPay) => Notified::Waiting,
        }
    }

    /// Where it disagrees with our record; empty means it may be believed.
    pub fn mismatches(&self, expected: &Expected<'_>) -> Vec<Mismatch> {
        if !Guard::NotificationFields.on() {
            return Vec::new();
        }
        [
            ("app_id", expected.app_id.to_owned(), self.app_id.clone()),
            ("seller_id", expected.seller_id.to_owned(), self.seller_id.clone()),
            ("out_trade_no", expected.out_trade_no.to_string(), self.out_trade_no.to_string()),
            ("total_amount", expected.amount.to_string(), self.total_amount.to_string()),
        ]
        .into_iter()
        .filter(|(_, expected, found)| expected != found)
        .map(|(field, expected, found)| Mismatch { field, expected, found })
        .collect()
    }
}

fn check_signature(params: &Params, alipay: &PublicKey) -> Result<()> {
    let unsigned =
        |detail: &str| Error::new(ErrorKind::Forbidden, "alipay.signature_invalid", detail.to_owned());
    if params.get("sign_type") != Some("RSA2") {
        return Err(unsigned("the notification is not signed with RSA2"));
    }
    if !params.get("charset").is_none_or(|charset| charset.eq_ignore_ascii_case("utf-8")) {
        return Err(unsigned("the notification is in another charset than utf-8, which is what we ask for"));
    }
    // Values are signed joined by `&` and `=`. A value that itself looks like further fields could be taken
    // apart, or several fields put together, without changing the signed text.
    if params.iter().any(|(_, value)| poses_as_fields(value)) {
        return Err(unsigned("a value of the notification could be read as further fields"));
    }
    let sign = params.get("sign").ok_or_else(|| unsigned("the notification has no `sign`"))?;
    if !alipay.verifies(params.notification_signing_text().as_bytes(), sign) {
        return Err(unsigned("the signature of the notification does not verify with Alipay's public key"));
    }
    Ok(())
}

/// Whether the value holds `&name=`.
fn poses_as_fields(value: &str) -> bool {
    value.split('&').skip(1).any(|piece| {
        piece.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty()
                && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        })
    })
}
