//! The switches. Each is armed for a number of times and used up by what it spoils. They work from memory and are
//! remembered across restarts.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// What shall go wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// A sending of a notification gets lost on the way; the schedule goes on.
    LoseNotification,
    /// A notification is sent `copies` more times at the same moment.
    DuplicateNotification {
        /// How many more.
        copies: u32,
    },
    /// A notification is sent later.
    DelayNotification {
        /// How much later.
        delay_ms: u64,
    },
    /// A notification waits until another one has been sent, or for ten minutes.
    ReorderNotification,
    /// A notification is validly signed, and wrong.
    WrongNotification {
        /// Which field.
        field: Field,
        /// What it says instead; a plausible other value unless given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
    },
    /// A call gets no answer for thirty seconds, then a 504.
    GatewayTimeout(Spoiled),
    /// A call is answered with code 20000.
    GatewayUnknown(Spoiled),
    /// A call is answered with code 10003: accepted, and not through.
    GatewayInProgress(Spoiled),
    /// The answer breaks off in the middle.
    HalfAnswer(Spoiled),
    /// The answer is signed over something else.
    WrongSignature(Spoiled),
    /// A close is answered as done, and the buyer's money lands after it.
    PayAfterClose {
        /// How long after.
        #[serde(default = "Fault::land_after_ms")]
        after_ms: u64,
    },
    /// The cashier takes money although the expiry of the order has passed.
    PayAfterExpiry,
}

/// A switch as a person reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Described {
    /// Its name.
    pub fault: &'static str,
    /// What it does, in Chinese.
    pub zh: &'static str,
    /// What it does, in English.
    pub en: &'static str,
    /// What to send to arm it once.
    pub example: &'static str,
}

/// Every switch, in the order of [`Fault`].
pub(crate) const DESCRIBED: &[Described] = &[
    Described {
        fault: "lose_notification",
        zh: "一次通知在路上丢失；支付宝按计划再发。",
        en: "A sending of a notification gets lost on the way; the schedule goes on.",
        example: r#"{"fault":"lose_notification"}"#,
    },
    Described {
        fault: "duplicate_notification",
        zh: "同一条通知同时多发 copies 次。",
        en: "A notification is sent `copies` more times at the same moment.",
        example: r#"{"fault":"duplicate_notification","copies":4}"#,
    },
    Described {
        fault: "delay_notification",
        zh: "通知晚 delay_ms 毫秒才发。",
        en: "A notification is sent `delay_ms` milliseconds later.",
        example: r#"{"fault":"delay_notification","delay_ms":60000}"#,
    },
    Described {
        fault: "reorder_notification",
        zh: "通知等到另一条先发出，最多等十分钟。",
        en: "A notification waits until another one has been sent, or for ten minutes.",
        example: r#"{"fault":"reorder_notification"}"#,
    },
    Described {
        fault: "wrong_notification",
        zh: "签名有效、内容错误的通知。field 可为 total_amount、app_id、seller_id、out_trade_no、trade_status、trans_currency；value 可指定其值。",
        en: "A notification is validly signed, and wrong in `field`: total_amount, app_id, seller_id, out_trade_no, trade_status or trans_currency; `value` says what it is instead.",
        example: r#"{"fault":"wrong_notification","field":"total_amount"}"#,
    },
    Described {
        fault: "gateway_timeout",
        zh: "接口三十秒无应答，然后 504。method 限定接口；executed 为 false 时请求没有执行。",
        en: "A call gets no answer for thirty seconds, then a 504. `method` narrows it to one; with `executed` false the call is not carried out.",
        example: r#"{"fault":"gateway_timeout","method":"alipay.trade.query"}"#,
    },
    Described {
        fault: "gateway_unknown",
        zh: "接口应答 20000（结果未知）。",
        en: "A call is answered with code 20000: nobody knows.",
        example: r#"{"fault":"gateway_unknown","method":"alipay.trade.refund"}"#,
    },
    Described {
        fault: "gateway_in_progress",
        zh: "接口应答 10003（已受理，处理中）。",
        en: "A call is answered with code 10003: accepted, and not through.",
        example: r#"{"fault":"gateway_in_progress","method":"alipay.trade.refund"}"#,
    },
    Described {
        fault: "half_answer",
        zh: "应答只到一半。",
        en: "The answer breaks off in the middle.",
        example: r#"{"fault":"half_answer","method":"alipay.trade.precreate"}"#,
    },
    Described {
        fault: "wrong_signature",
        zh: "应答的签名是别的内容的。",
        en: "The answer is signed over something else.",
        example: r#"{"fault":"wrong_signature"}"#,
    },
    Described {
        fault: "pay_after_close",
        zh: "关单成功后 after_ms 毫秒，买家的钱仍然到账。",
        en: "A close is answered as done, and the buyer's money lands `after_ms` milliseconds after it.",
        example: r#"{"fault":"pay_after_close","after_ms":5000}"#,
    },
    Described {
        fault: "pay_after_expiry",
        zh: "订单过期后收银台仍然收款。",
        en: "The cashier takes money although the expiry of the order has passed.",
        example: r#"{"fault":"pay_after_expiry"}"#,
    },
];

/// Which call is spoiled, and how far it got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spoiled {
    /// The method, such as `alipay.trade.refund`; any unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Whether the call is carried out although the caller will not learn of it.
    #[serde(default = "Spoiled::carried_out")]
    pub executed: bool,
}

/// A field of a notification that can be made wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are Alipay's")]
pub enum Field {
    TotalAmount,
    AppId,
    SellerId,
    OutTradeNo,
    TradeStatus,
    TransCurrency,
}

impl Field {
    /// Alipay's name, and a value that is plausible and wrong.
    pub(crate) const fn name_and_wrong_value(self) -> (&'static str, &'static str) {
        match self {
            Self::TotalAmount => ("total_amount", "0.01"),
            Self::AppId => ("app_id", "2021999999999999"),
            Self::SellerId => ("seller_id", "2088999999999999"),
            Self::OutTradeNo => ("out_trade_no", "00000000000000000000000000"),
            Self::TradeStatus => ("trade_status", "TRADE_CLOSED"),
            Self::TransCurrency => ("trans_currency", "USD"),
        }
    }
}

impl Fault {
    /// The name by which it is armed.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::LoseNotification => "lose_notification",
            Self::DuplicateNotification { .. } => "duplicate_notification",
            Self::DelayNotification { .. } => "delay_notification",
            Self::ReorderNotification => "reorder_notification",
            Self::WrongNotification { .. } => "wrong_notification",
            Self::GatewayTimeout(_) => "gateway_timeout",
            Self::GatewayUnknown(_) => "gateway_unknown",
            Self::GatewayInProgress(_) => "gateway_in_progress",
            Self::HalfAnswer(_) => "half_answer",
            Self::WrongSignature(_) => "wrong_signature",
            Self::PayAfterClose { .. } => "pay_after_close",
            Self::PayAfterExpiry => "pay_after_expiry",
        }
    }

    const fn land_after_ms() -> u64 {
        1_000
    }
}

impl Spoiled {
    const fn carried_out() -> bool {
        true
    }
    /// Any call, carried out.
    pub const fn any() -> Self {
        Self { method: None, executed: true }
    }
    fn hits(&self, method: &str) -> bool {
        self.method.as_deref().is_none_or(|wanted| wanted == method)
    }
}

/// A switch and how often it still works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Armed {
    /// What goes wrong.
    #[serde(flatten)]
    pub fault: Fault,
    /// How often, 1 unless given.
    #[serde(default = "Armed::once")]
    pub times: u32,
}

impl Armed {
    const fn once() -> u32 {
        1
    }
}

/// The armed switches, in the order they were armed.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    board: Mutex<Board>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Board {
    all: Vec<Armed>,
    /// Rises with every change.
    revision: u64,
}

impl Faults {
    /// The most switches at a time.
    pub const COUNT_MAX: usize = 1_000;

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Vec<Armed>) -> T) -> T {
        let mut board = self.board();
        board.revision += 1;
        self.changed.notify_one();
        change(&mut board.all)
    }

    /// The switches a process before this one left armed.
    pub fn restore(&self, armed: Vec<Armed>) {
        self.board().all = armed;
    }

    pub fn arm(&self, armed: Armed) -> Result<(), String> {
        if self.board().all.len() >= Self::COUNT_MAX {
            return Err(format!("{} faults are armed already; clear them first", Self::COUNT_MAX));
        }
        if armed.times > 0 {
            self.change(|all| all.push(armed));
        }
        Ok(())
    }

    pub fn list(&self) -> Vec<Armed> {
        self.board().all.clone()
    }

    /// The switches and the number of their last change.
    pub fn as_of(&self) -> (u64, Vec<Armed>) {
        let board = self.board();
        (board.revision, board.all.clone())
    }

    /// Completes once something has changed since it completed last.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    pub fn clear(&self) {
        self.change(Vec::clear);
    }

    /// Uses up the first switch for which `pick` answers.
    pub fn take<T>(&self, pick: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        let mut board = self.board();
        let mut picked = board.all.iter().enumerate();
        let (index, taken) =
            picked.find_map(|(index, armed)| pick(&armed.fault).map(|taken| (index, taken)))?;
        board.all[index].times -= 1;
        if board.all[index].times == 0 {
            board.all.remove(index);
        }
        board.revision += 1;
        self.changed.notify_one();
        Some(taken)
    }

    /// The switch that spoils a call of `method`, if one is armed.
    pub fn take_for_call(&self, method: &str) -> Option<(Fault, bool)> {
        self.take(|fault| match fault {
            Fault::GatewayTimeout(s)
            | Fault::GatewayUnknown(s)
            | Fault::GatewayInProgress(s)
            | Fault::HalfAnswer(s)
            | Fault::WrongSignature(s) => s.hits(method).then(|| (fault.clone(), s.executed)),
            _ => None,
        })
    }
}
