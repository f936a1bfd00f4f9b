//! The switches. Each is armed for a number of times and used up by what it spoils. They are kept in memory: a
//! restart takes them all back.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

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
pub(crate) struct Faults(Mutex<Vec<Armed>>);

impl Faults {
    /// The most switches at a time.
    pub const COUNT_MAX: usize = 1_000;

    fn all(&self) -> MutexGuard<'_, Vec<Armed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn arm(&self, armed: Armed) -> Result<(), String> {
        let mut all = self.all();
        if all.len() >= Self::COUNT_MAX {
            return Err(format!("{} faults are armed already; clear them first", Self::COUNT_MAX));
        }
        if armed.times > 0 {
            all.push(armed);
        }
        Ok(())
    }

    pub fn list(&self) -> Vec<Armed> {
        self.all().clone()
    }

    pub fn clear(&self) {
        self.all().clear();
    }

    /// Uses up the first switch for which `pick` answers.
    pub fn take<T>(&self, pick: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        let mut all = self.all();
        let (index, taken) =
            all.iter().enumerate().find_map(|(index, armed)| pick(&armed.fault).map(|t| (index, t)))?;
        all[index].times -= 1;
        if all[index].times == 0 {
            all.remove(index);
        }
        Some(taken)
    }

    /// The switch that spoils a call of `method`, if one is armed.
    pub fn take_for_call(&self, method: &str) -> Option<(Fault, bool)> {
        self.take(|fault| match fault {
            Fault::GatewayTimeout(s)
            | Fault::GatewayUnknown(s)
            | Fault::HalfAnswer(s)
            | Fault::WrongSignature(s) => s.hits(method).then(|| (fault.clone(), s.executed)),
            _ => None,
        })
    }
}
