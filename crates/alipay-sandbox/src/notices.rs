//! Notifications: their fields, and the loop that sends them by Alipay's schedule.

use std::{future::Future, sync::Arc, time::Duration};

use futures_util::future::join_all;
use merx_alipay::{Params, TradeStatus, Yuan, gateway};
use merx_kernel::{Result, Timestamp};
use merx_sql::Tx;

use crate::{
    faults::Fault,
    outbound::Reply,
    sandbox::Sandbox,
    store::{self, Notice, Trade},
    trades::{self, Moment},
};

/// The waits between one sending and the next: eight sendings in about 25 hours.
const SCHEDULE: [Duration; 7] = [
    Duration::from_secs(4 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(3_600),
    Duration::from_secs(2 * 3_600),
    Duration::from_secs(6 * 3_600),
    Duration::from_secs(15 * 3_600),
];
/// How long a merchant may take to answer.
const REPLY_WITHIN: Duration = Duration::from_secs(10);
/// How long a notification that is to be overtaken waits for another one.
const HELD_FOR: Duration = Duration::from_secs(600);
/// The most that is done at a time.
const BATCH_MAX: i64 = 64;
/// How long to wait when nothing is due; a fallback, for work announces itself.
const IDLE: Duration = Duration::from_secs(3_600);
/// The most characters of a reply that are kept.
const REPLY_CHARS_MAX: usize = 200;

/// Whose trades these are.
#[derive(Clone, Debug)]
pub(crate) struct House {
    pub app_id: Arc<str>,
    pub seller_id: Arc<str>,
}

/// What a notification is about.
pub(crate) enum About<'a> {
    /// The trade came to another status.
    Trade,
    /// Money went back.
    Refund {
        /// The merchant's number for the refund.
        request: &'a str,
    },
}

/// Puts a notification on its way, when the merchant gave an address. The beginning of a trade is not told.
pub(crate) fn enqueue(tx: &mut Tx<'_>, trade: &Trade, moment: &Moment, about: About<'_>) -> Result<()> {
    let Some(url) = &trade.notify_url else { return Ok(()) };
    let fields = fields(trade, moment, about).to_form();
    store::insert_notice(tx, &moment.notify_id, trade, url, &fields, moment.now)
}

/// The fields as of `moment`, unsigned and without the time of sending.
pub(crate) fn fields(trade: &Trade, moment: &Moment, about: About<'_>) -> Params {
    let House { app_id, seller_id } = &moment.house;
    let amount = Yuan::of_fen(trade.amount).to_string();
    let mut fields = Params::new()
        .with("notify_type", "trade_status_sync")
        .with("notify_id", moment.notify_id.as_str())
        .with("charset", "utf-8")
        .with("version", "1.0")
        .with("app_id", &**app_id)
        .with("auth_app_id", &**app_id)
        .with("seller_id", &**seller_id)
        .with("buyer_id", "2088000000000000")
        .with("buyer_logon_id", "buy***@sandbox.example")
        .with("out_trade_no", trade.out_trade_no.as_str())
        .with("trade_no", trade.trade_no.as_str())
        .with("trade_status", trade.status.name())
        .with("subject", trade.subject.as_str())
        .with("total_amount", amount.as_str())
        .with("gmt_create", trade.created_at.to_beijing_string());
    if let Some(paid_at) = trade.paid_at {
        fields.set("gmt_payment", paid_at.to_beijing_string());
        for name in ["receipt_amount", "invoice_amount", "buyer_pay_amount"] {
            fields.set(name, amount.as_str());
        }
        fields.set("point_amount", "0.00");
        fields.set(
            "fund_bill_list",
            format!("[{{\"amount\":\"{amount}\",\"fundChannel\":\"ALIPAYACCOUNT\"}}]"),
        );
    }
    if trade.status == TradeStatus::TradeClosed {
        fields.set("gmt_close", moment.now.to_beijing_string());
    }
    if let About::Refund { request } = about {
        fields.set("refund_fee", Yuan::of_fen(trade.refunded).to_string());
        fields.set("gmt_refund", moment.now.to_beijing_string());
        fields.set("out_biz_no", request);
    }
    fields
}

/// What the switches make of a notification before it is sent for the first time.
enum Shape {
    Send,
    Later(Duration),
    Held,
}

impl Sandbox {
    /// Does what is due, as it becomes due, until told to stop.
    pub(crate) async fn work(self, stop: impl Future<Output = ()>) -> Result<()> {
        tokio::pin!(stop);
        let mut woken = self.db().listen(store::WORK);
        loop {
            self.remember().await?;
            let now = self.now();
            let (trades, notices, next) = self
                .db()
                .read("sandbox.due", move |q| {
                    let trades = store::due_trades(q, now, BATCH_MAX)?;
                    let notices = store::due_notices(q, now, BATCH_MAX)?;
                    Ok((trades, notices, store::next_due(q)?))
                })
                .await?;
            if trades.is_empty() && notices.is_empty() {
                let wait = next.map_or(IDLE, |at| at.since(now).min(IDLE).max(Duration::from_millis(1)));
                tokio::select! {
                    biased;
                    () = &mut stop => return Ok(()),
                    () = woken.changed() => {}
                    () = self.faults().changed() => {}
                    () = self.clock().sleep(wait) => {}
                }
                continue;
            }
            for trade in trades {
                let moment = self.moment();
                self.db()
                    .write("sandbox.fall_due", move |tx| trades::fall_due(tx, &trade.out_trade_no, &moment))
                    .await?;
            }
            // A merchant that hangs does not hold up the stop: what was not answered is sent again.
            tokio::select! {
                biased;
                () = &mut stop => return Ok(()),
                done = join_all(notices.into_iter().map(|notice| self.handle(notice))) => {
                    done.into_iter().collect::<Result<Vec<()>>>()?;
                }
            }
        }
    }

    async fn handle(&self, mut notice: Notice) -> Result<()> {
        if !notice.shaped {
            let before = notice.clone();
            let shape = self.shape(&mut notice);
            let now = self.now();
            let held = match shape {
                Shape::Send => false,
                Shape::Later(delay) => {
                    notice.next_at = now.plus(delay);
                    false
                }
                Shape::Held => {
                    notice.next_at = now.plus(HELD_FOR);
                    true
                }
            };
            if notice != before {
                let kept = notice.clone();
                self.db()
                    .write("sandbox.shape_notice", move |tx| store::shape_notice(tx, &kept, held))
                    .await?;
            }
            if !matches!(shape, Shape::Send) {
                return Ok(());
            }
        }
        self.send(notice).await
    }

    fn shape(&self, notice: &mut Notice) -> Shape {
        let wrong = self.faults().take(|fault| match fault {
            Fault::WrongNotification { field, value } => Some((*field, value.clone())),
            _ => None,
        });
        if let Some((field, value)) = wrong
            && let Ok(fields) = Params::from_form(notice.fields.as_bytes())
        {
            let (name, plausible) = field.name_and_wrong_value();
            notice.fields = fields.with(name, value.as_deref().unwrap_or(plausible)).to_form();
        }
        let delayed = self.faults().take(|fault| match fault {
            Fault::DelayNotification { delay_ms } => Some(Shape::Later(Duration::from_millis(*delay_ms))),
            Fault::ReorderNotification => Some(Shape::Held),
            _ => None,
        });
        delayed.unwrap_or(Shape::Send)
    }

    /// Sends once (or as often at once as the switches say) and keeps what came of it.
    async fn send(&self, notice: Notice) -> Result<()> {
        let copies = self.faults().take(|fault| match fault {
            Fault::DuplicateNotification { copies } => Some(*copies),
            _ => None,
        });
        let lost = self.faults().take(|fault| matches!(fault, Fault::LoseNotification).then_some(()));
        let outcome = if lost.is_some() {
            Err("lost on the way by the switch `lose_notification`".to_owned())
        } else {
            let form = self.sign_notice(&notice)?;
            let sendings = (0..=copies.unwrap_or(0)).map(|_| self.deliver(&notice.url, &form));
            let mut replies = join_all(sendings).await;
            let good = replies.iter().position(|r| r.as_ref().is_ok_and(Reply::is_success)).unwrap_or(0);
            replies.swap_remove(good)
        };
        let now = self.now();
        let succeeded = outcome.as_ref().is_ok_and(Reply::is_success);
        let tries = usize::try_from(notice.tries).unwrap_or(usize::MAX);
        let next_at = if succeeded { None } else { SCHEDULE.get(tries).map(|wait| now.plus(*wait)) };
        let state = match (succeeded, next_at) {
            (true, _) => "done",
            (false, Some(_)) => "due",
            (false, None) => "given_up",
        };
        let told = match outcome {
            Ok(reply) => format!("{} {}", reply.status, reply.body),
            Err(why) => why,
        };
        let told: String = told.chars().take(REPLY_CHARS_MAX).collect();
        if !succeeded {
            tracing::info!(
                notify_id = notice.notify_id,
                tries = notice.tries + 1,
                reply = told,
                state,
                "notification not taken"
            );
        }
        let sent = lost.is_none();
        self.db()
            .write("sandbox.sent_notice", move |tx| {
                store::sent_notice(tx, &notice, state, next_at, &told)?;
                if sent { store::release_held(tx, now) } else { Ok(()) }
            })
            .await
    }

    /// The signed form of a notification, as sent now.
    pub(crate) fn sign_notice(&self, notice: &Notice) -> Result<String> {
        let fields = Params::from_form(notice.fields.as_bytes())?;
        let fields = fields.with("notify_time", self.now().to_beijing_string());
        Ok(gateway::signed_notification(fields, self.key())?.to_form())
    }

    /// Posts a form to the merchant, within the time he has.
    pub(crate) async fn deliver(&self, url: &str, form: &str) -> Result<Reply, String> {
        tokio::select! {
            biased;
            reply = self.outbound().post_form(url.to_owned(), form.to_owned()) => reply,
            () = self.clock().sleep(REPLY_WITHIN) => Err(format!("no answer within {} s", REPLY_WITHIN.as_secs())),
        }
    }
}

/// A number of `YYYYMMDD` and digits, as Alipay's are.
pub(crate) fn number(now: Timestamp, bits: u128, digits: usize) -> String {
    let day: String = now.to_beijing_string().chars().filter(char::is_ascii_digit).take(8).collect();
    let modulus = 10u128.pow(u32::try_from(digits).unwrap_or(20));
    format!("{day}{:0digits$}", bits % modulus)
}
