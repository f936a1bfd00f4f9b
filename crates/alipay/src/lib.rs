//! The protocol of the Alipay open API (gateway v2, RSA2): what is signed, how it travels, what an answer or a
//! notification must show before it is believed, and what may be concluded from it.
//!
//! Pure: no I/O, no clock. [`Merchant`] is our side of the wire, [`gateway`] the other one, spoken by the
//! double in `merx-alipay-sandbox`. Source of the rules: Alipay's own SDKs and help pages.

mod answer;
mod calls;
pub mod gateway;
mod key;
mod merchant;
mod notification;
mod outcome;
mod params;
mod values;

pub use calls::{
    Call, Close, ClosedTrade, Method, PagePay, Precreate, PrecreatedTrade, QueriedRefund, QueriedTrade,
    Query, Refund, RefundQuery, RefundedTrade,
};
pub use key::{PrivateKey, PublicKey};
pub use merchant::{Merchant, SignedRequest};
pub use notification::{Expected, Mismatch, Notification, Notified, REPLY_FAIL, REPLY_SUCCESS};
pub use outcome::{Outcome, Refusal, SubCode};
pub use params::Params;
pub use values::{BeijingTime, OutTradeNo, Subject, TradeStatus, Yuan};
