//! The protocol of the Alipay open API (gateway v2, RSA2): what is signed, how it travels, what an answer or a
//! notification must show before it is believed, and what may be concluded from it.
//!
//! Pure: no I/O, no clock. [`Merchant`] is our side of the wire, [`gateway`] the other one, spoken by the
//! double in `merx-alipay-sandbox`. Source of the rules: Alipay's own SDKs and help pages.

mod answer;
mod bill;
mod calls;
mod certificate;
mod content;
pub mod gateway;
mod key;
mod merchant;
mod notification;
mod outcome;
mod params;
mod pay;
mod values;

pub use bill::{Bill, BillColumns, BillKind, BillLine};
pub use calls::{
    BillPlace, BillQuery, Call, Close, ClosedTrade, Method, Precreate, PrecreatedTrade, QueriedRefund,
    QueriedTrade, Query, Refund, RefundQuery, RefundedTrade,
};
pub use certificate::Certificate;
pub use content::ContentKey;
pub use key::{PrivateKey, PublicKey};
pub use merchant::{Merchant, SignedRequest};
pub use notification::{Expected, Mismatch, Notification, Notified, REPLY_FAIL, REPLY_SUCCESS};
pub use outcome::{Outcome, Refusal, SubCode};
pub use params::Params;
pub use pay::{AppPay, Cashier, InApp, OnPage, OnPhone, PagePay, Pay, WapPay};
pub use values::{BeijingTime, BillDate, OutTradeNo, Subject, TradeStatus, Yuan};
