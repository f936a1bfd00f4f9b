//! The rules of a trade: when it begins, who may pay, close and refund it, and what happens by itself.
//!
//! Every rule runs inside one transaction. The outer `Result` is a fault of the machine, the inner one the
//! gateway's refusal; a refusal leaves nothing behind because every check comes before the first write.

use std::time::Duration;

use merx_alipay::{
    BeijingTime, Cashier as _, InApp, OnPage, OnPhone, OutTradeNo, Subject, TradeStatus, Yuan, gateway::Fault,
};
use merx_kernel::{Result, Timestamp};
use merx_sql::{Query, Tx};
use serde::{Deserialize, Serialize};

use crate::{
    ledger::{Entry, EntryKind},
    notices::{self, About, House},
    store::{self, Offer, Trade},
};

/// What a rule answers.
pub(crate) type Ruled<T> = Result<Result<T, Fault>>;

/// Time and numbers for one transaction, chosen before it begins so that it may run again.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    pub now: Timestamp,
    pub trade_no: String,
    pub notify_id: String,
    pub house: House,
}

/// How long a paid trade can be refunded before it is finished.
const FINISHED_AFTER: Duration = Duration::from_secs(365 * 24 * 3600);
/// How long an offer without an expiry can be paid.
const EXPIRY_UNLESS_TOLD: Duration = Duration::from_secs(15 * 24 * 3600);
/// The least time between two refunds of one trade.
const BETWEEN_REFUNDS: Duration = Duration::from_secs(3);

fn refused<T>(sub_code: &str, sub_msg: &str) -> Ruled<T> {
    Ok(Err(Fault::business(sub_code, sub_msg)))
}

fn not_exist<T>() -> Ruled<T> {
    refused("ACQ.TRADE_NOT_EXIST", "交易不存在: no buyer has begun a trade under this number")
}

/// The contract a kind of offer falls under; a QR code names none.
fn product_of(kind: &str) -> Option<&'static str> {
    match kind {
        "page" => Some(OnPage::PRODUCT_CODE),
        "wap" => Some(OnPhone::PRODUCT_CODE),
        "app" => Some(InApp::PRODUCT_CODE),
        _ => None,
    }
}

/// The business content of the methods that begin a payment.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Ordered {
    out_trade_no: OutTradeNo,
    total_amount: Yuan,
    subject: Subject,
    #[serde(default)]
    product_code: Option<String>,
    #[serde(default)]
    time_expire: Option<BeijingTime>,
    #[serde(default, alias = "qr_code_timeout_express")]
    timeout_express: Option<String>,
}

impl Ordered {
    /// The offer this makes under `code`.
    pub fn into_offer(
        self,
        kind: &str,
        code: String,
        now: Timestamp,
        notify_url: Option<&str>,
        return_url: Option<&str>,
    ) -> Result<Offer, Fault> {
        let invalid = |detail: &str| Fault::business("ACQ.INVALID_PARAMETER", format!("参数无效: {detail}"));
        if let Some(product) =
            product_of(kind).filter(|product| self.product_code.as_deref() != Some(*product))
        {
            return Err(invalid(&format!("product_code must be {product}")));
        }
        let amount = Yuan::payable(self.total_amount.money()).map_err(|e| invalid(e.message()))?;
        for (name, url) in [("notify_url", notify_url), ("return_url", return_url)] {
            let absolute =
                |u: &str| u.len() <= 256 && (u.starts_with("http://") || u.starts_with("https://"));
            if url.is_some_and(|u| !absolute(u)) {
                return Err(invalid(&format!(
                    "{name} must be an absolute http(s) URL of at most 256 characters"
                )));
            }
        }
        let expires_at = match (self.time_expire, &self.timeout_express) {
            (Some(BeijingTime(at)), _) => at,
            (None, Some(text)) => now.plus(
                express(text)
                    .ok_or_else(|| invalid("timeout_express must be like 90m, 2h or 15d, at most 15d"))?,
            ),
            (None, None) => now.plus(EXPIRY_UNLESS_TOLD),
        };
        Ok(Offer {
            code,
            kind: kind.to_owned(),
            out_trade_no: self.out_trade_no.as_str().to_owned(),
            amount: amount.money().minor,
            subject: self.subject.as_str().to_owned(),
            expires_at,
            notify_url: notify_url.map(str::to_owned),
            return_url: return_url.map(str::to_owned),
            created_at: now,
        })
    }
}

/// Reads `90m`, `2h`, `15d`: one minute to fifteen days.
fn express(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let span = Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(seconds)?);
    (span >= Duration::from_secs(60) && span <= EXPIRY_UNLESS_TOLD).then_some(span)
}

impl Trade {
    /// The status at `now`: an unpaid trade is closed from its expiry on, whether or not that was written down yet.
    pub fn status_at(&self, now: Timestamp) -> TradeStatus {
        match self.status {
            TradeStatus::WaitBuyerPay if self.expires_at <= now => TradeStatus::TradeClosed,
            status => status,
        }
    }
}

/// Keeps a QR offer. The same order again gets the same code.
pub(crate) fn precreate(tx: &mut Tx<'_>, wanted: &Offer, now: Timestamp) -> Ruled<Offer> {
    if let Some(trade) = store::find_trade(tx, Some(&wanted.out_trade_no), None)? {
        match trade.status_at(now) {
            TradeStatus::TradeClosed => {
                return refused("ACQ.TRADE_HAS_CLOSE", "交易已经关闭: the trade is closed");
            }
            status if status.is_paid() => {
                return refused("ACQ.TRADE_HAS_SUCCESS", "交易已被支付: the trade is paid");
            }
            _ => {}
        }
    }
    for known in store::qr_offers(tx, &wanted.out_trade_no)? {
        if (known.amount, &known.subject) != (wanted.amount, &wanted.subject) {
            return refused(
                "ACQ.CONTEXT_INCONSISTENT",
                "交易信息被篡改: the number was used with another amount or subject",
            );
        }
        if known.expires_at == wanted.expires_at {
            return Ok(Ok(known));
        }
    }
    store::keep_offer(tx, wanted)?;
    Ok(Ok(wanted.clone()))
}

/// The buyer logs in at the cashier: the trade begins.
pub(crate) fn begin(tx: &mut Tx<'_>, offer: &Offer, moment: &Moment, late: bool) -> Ruled<Trade> {
    let found = store::find_trade(tx, Some(&offer.out_trade_no), None)?;
    if let Some(trade) = found {
        if trade.amount != offer.amount {
            return refused(
                "ACQ.CONTEXT_INCONSISTENT",
                "交易信息被篡改: the number was used with another amount",
            );
        }
        return match trade.status_at(moment.now) {
            TradeStatus::TradeClosed if !late => refused(
                "ACQ.TRADE_HAS_CLOSE",
                "交易已经关闭: the trade is closed; ask the shop for a new payment",
            ),
            _ => Ok(Ok(trade)),
        };
    }
    if offer.expires_at <= moment.now && !late {
        return refused("ACQ.TRADE_HAS_CLOSE", "订单已过期: the time to pay this order is over");
    }
    let trade = Trade {
        out_trade_no: offer.out_trade_no.clone(),
        trade_no: moment.trade_no.clone(),
        status: TradeStatus::WaitBuyerPay,
        amount: offer.amount,
        refunded: 0,
        subject: offer.subject.clone(),
        notify_url: offer.notify_url.clone(),
        created_at: moment.now,
        expires_at: offer.expires_at,
        paid_at: None,
        last_refund_at: None,
        due_at: Some(offer.expires_at),
        version: 1,
    };
    store::insert_trade(tx, &trade)?;
    Ok(Ok(trade))
}

/// What a payment came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paid {
    /// The merchant's number.
    pub out_trade_no: String,
    /// Alipay's number.
    pub trade_no: String,
    /// Whether this very act moved the money; a second click does not.
    pub now: bool,
    /// Where the browser goes next, with the signed parameters Alipay adds.
    pub return_to: Option<String>,
}

/// The buyer confirms. A second confirmation changes nothing.
pub(crate) fn pay(tx: &mut Tx<'_>, offer: &Offer, moment: &Moment, late: bool) -> Ruled<(Trade, bool)> {
    let trade = match begin(tx, offer, moment, late)? {
        Ok(trade) => trade,
        Err(fault) => return Ok(Err(fault)),
    };
    if trade.status.is_paid() || trade.refunded > 0 {
        return Ok(Ok((trade, false)));
    }
    let trade = capture(tx, trade, moment)?;
    Ok(Ok((trade, true)))
}

fn capture(tx: &mut Tx<'_>, mut trade: Trade, moment: &Moment) -> Result<Trade> {
    trade.status = TradeStatus::TradeSuccess;
    trade.paid_at = Some(moment.now);
    trade.due_at = Some(moment.now.plus(FINISHED_AFTER));
    store::post_entry(tx, &Entry::new(EntryKind::Capture, &trade, "", trade.amount, moment.now))?;
    store::update_trade(tx, &trade)?;
    notices::enqueue(tx, &trade, moment, About::Trade)?;
    Ok(trade)
}

/// What happens by itself: an unpaid trade closes at its expiry, money that was on its way lands on a closed one, a
/// paid one is finished after a year.
pub(crate) fn fall_due(tx: &mut Tx<'_>, out_trade_no: &str, moment: &Moment) -> Result<()> {
    let Some(mut trade) = store::find_trade(tx, Some(out_trade_no), None)? else { return Ok(()) };
    if trade.due_at.is_none_or(|at| at > moment.now) {
        return Ok(());
    }
    trade.due_at = None;
    match trade.status {
        TradeStatus::WaitBuyerPay => trade.status = TradeStatus::TradeClosed,
        TradeStatus::TradeClosed => {
            capture(tx, trade, moment)?;
            return Ok(());
        }
        TradeStatus::TradeSuccess => trade.status = TradeStatus::TradeFinished,
        TradeStatus::TradeFinished => {}
    }
    store::update_trade(tx, &trade)?;
    notices::enqueue(tx, &trade, moment, About::Trade)
}

/// Which trade a call is about.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Which {
    #[serde(default)]
    pub out_trade_no: Option<String>,
    #[serde(default)]
    pub trade_no: Option<String>,
}

impl Which {
    pub fn find(&self, q: &mut impl Query) -> Ruled<Trade> {
        if self.out_trade_no.is_none() && self.trade_no.is_none() {
            return refused("ACQ.INVALID_PARAMETER", "参数无效: out_trade_no or trade_no is needed");
        }
        match store::find_trade(q, self.out_trade_no.as_deref(), self.trade_no.as_deref())? {
            Some(trade) => Ok(Ok(trade)),
            None => not_exist(),
        }
    }
}

/// Closes an unpaid trade. `lands_after` is how long after the buyer's money lands all the same.
pub(crate) fn close(
    tx: &mut Tx<'_>,
    which: &Which,
    moment: &Moment,
    lands_after: Option<Duration>,
) -> Ruled<Trade> {
    let mut trade = match which.find(tx)? {
        Ok(trade) => trade,
        Err(fault) => return Ok(Err(fault)),
    };
    if trade.status_at(moment.now) != TradeStatus::WaitBuyerPay {
        return refused(
            "ACQ.TRADE_STATUS_ERROR",
            "交易状态不合法: only a trade that waits for the buyer can be closed",
        );
    }
    trade.status = TradeStatus::TradeClosed;
    trade.due_at = lands_after.map(|after| moment.now.plus(after));
    store::update_trade(tx, &trade)?;
    notices::enqueue(tx, &trade, moment, About::Trade)?;
    Ok(Ok(trade))
}

/// The business content of `alipay.trade.refund`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RefundAsked {
    #[serde(flatten)]
    which: Which,
    refund_amount: Yuan,
    #[serde(default)]
    out_request_no: Option<OutTradeNo>,
}

/// Refunds, once for each `out_request_no`. Answers the trade, the amount, and whether money moved now.
pub(crate) fn refund(tx: &mut Tx<'_>, asked: &RefundAsked, moment: &Moment) -> Ruled<(Trade, i64, bool)> {
    let mut trade = match asked.which.find(tx)? {
        Ok(trade) => trade,
        Err(fault) => return Ok(Err(fault)),
    };
    let fen = asked.refund_amount.money().minor;
    if fen < Yuan::FEN_MIN {
        return refused("ACQ.INVALID_PARAMETER", "参数无效: refund_amount must be at least 0.01");
    }
    let request = match &asked.out_request_no {
        Some(number) => number.as_str().to_owned(),
        None if fen == trade.amount => trade.out_trade_no.clone(),
        None => {
            return refused("ACQ.INVALID_PARAMETER", "参数无效: a partial refund needs an out_request_no");
        }
    };
    if let Some(known) = store::find_refund(tx, &trade.out_trade_no, &request)? {
        if known.amount.minor != fen {
            return refused(
                "ACQ.DISCORDANT_REPEAT_REQUEST",
                "不一致的请求: the refund number was used with another amount",
            );
        }
        return Ok(Ok((trade, fen, false)));
    }
    match trade.status_at(moment.now) {
        TradeStatus::TradeSuccess => {}
        TradeStatus::TradeFinished => {
            return refused("ACQ.TRADE_HAS_FINISHED", "交易已完结: no more refunds");
        }
        TradeStatus::TradeClosed => {
            return refused("ACQ.TRADE_HAS_CLOSE", "交易已经关闭: the trade is closed");
        }
        TradeStatus::WaitBuyerPay => {
            return refused("ACQ.TRADE_STATUS_ERROR", "交易状态不合法: the trade is not paid");
        }
    }
    if fen > trade.amount - trade.refunded {
        return refused("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", "退款金额超限: more than is left of the payment");
    }
    if trade.last_refund_at.is_some_and(|at| moment.now.since(at) < BETWEEN_REFUNDS) {
        return refused(
            "ACQ.SYSTEM_ERROR",
            "系统异常: refunds of one trade must be three seconds apart; try again",
        );
    }
    trade.refunded += fen;
    trade.last_refund_at = Some(moment.now);
    if trade.refunded == trade.amount {
        trade.status = TradeStatus::TradeClosed;
        trade.due_at = None;
    }
    store::post_entry(tx, &Entry::new(EntryKind::Refund, &trade, &request, fen, moment.now))?;
    store::update_trade(tx, &trade)?;
    notices::enqueue(tx, &trade, moment, About::Refund { request: &request })?;
    Ok(Ok((trade, fen, true)))
}

/// The business content of `alipay.trade.fastpay.refund.query`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RefundWhich {
    #[serde(flatten)]
    which: Which,
    out_request_no: String,
}

/// The refund, or `None` when none was made under the number.
pub(crate) fn find_refund(q: &mut impl Query, asked: &RefundWhich) -> Ruled<(Trade, Option<Entry>)> {
    let trade = match asked.which.find(q)? {
        Ok(trade) => trade,
        Err(fault) => return Ok(Err(fault)),
    };
    let refund = store::find_refund(q, &trade.out_trade_no, &asked.out_request_no)?;
    Ok(Ok((trade, refund)))
}

/// A trade as the control routes show it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Shown {
    pub out_trade_no: String,
    pub trade_no: String,
    pub trade_status: TradeStatus,
    pub total_amount: Yuan,
    pub refunded: Yuan,
}

impl Shown {
    pub fn of(trade: &Trade, now: Timestamp) -> Self {
        Self {
            out_trade_no: trade.out_trade_no.clone(),
            trade_no: trade.trade_no.clone(),
            trade_status: trade.status_at(now),
            total_amount: Yuan::of_fen(trade.amount),
            refunded: Yuan::of_fen(trade.refunded),
        }
    }
}
