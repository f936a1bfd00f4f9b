//! One use case a file: load, decide, append and publish in one transaction.

pub mod cancel_order;
pub mod confirm_receipt;
pub mod grant;
pub mod place_order;
pub mod settle_payment;
pub mod write_note;

use merx_contracts::{
    Envelope,
    events::staff::StaffActed,
    ids::{AccountId, MessageId, OrderId},
};
use merx_kernel::{BoundedText, Error, ErrorKind, Guard, Permission, Principal, Result, Timestamp};
use merx_platform::store::Saved;

use crate::domain::Rejection;

/// Why somebody does something; free text, kept in rows and never in events.
pub type Reason = BoundedText<1, 500>;

/// Somebody who wants to change an order.
#[derive(Clone, Copy, Debug)]
pub struct Who {
    account: AccountId,
    shops: bool,
    writes: bool,
    reads: bool,
}

/// In what capacity an order is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acting {
    /// It is the buyer's own.
    Buyer(AccountId),
    /// For the shop.
    Staff(AccountId),
}

impl Who {
    /// The caller; `permission` lets staff do this.
    pub fn of(principal: &Principal, permission: Permission) -> Self {
        Self {
            account: principal.account,
            shops: principal.may(Permission::Shop),
            writes: principal.may(permission),
            reads: principal.may(Permission::OrdersRead),
        }
    }

    /// The caller's account.
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// In what capacity the caller may change an order of `owner`. A foreign order is the same as none, unless the caller
    /// may see it.
    ///
    /// # Errors
    /// `ordering.order_not_found`, `request.forbidden`.
    pub fn acting(&self, owner: AccountId) -> Result<Acting> {
        if self.shops && (self.account == owner || !Guard::Owner.on()) {
            return Ok(Acting::Buyer(self.account));
        }
        match (self.writes, self.reads || self.account == owner) {
            (true, _) => Ok(Acting::Staff(self.account)),
            (false, true) => {
                Err(Error::new(ErrorKind::Forbidden, "request.forbidden", "Your account may not do this."))
            }
            (false, false) => Err(Rejection::OrderUnknown.into()),
        }
    }
}

impl Acting {
    /// Whether it is for the shop.
    pub const fn is_staff(self) -> bool {
        matches!(self, Self::Staff(_))
    }
    /// The account.
    pub const fn account(self) -> AccountId {
        match self {
            Self::Buyer(account) | Self::Staff(account) => account,
        }
    }
}

/// What somebody of the shop did to an order, for the record of accounts. `message_id` is made outside the transaction.
pub(crate) fn staff_acted(
    actor: AccountId,
    action: &'static str,
    order_id: OrderId,
    reason: Option<&str>,
    detail: serde_json::Value,
    (message_id, now): (MessageId, Timestamp),
    traceparent: Option<String>,
) -> Result<Envelope> {
    let acted = StaffActed {
        actor,
        action: action.to_owned(),
        object: order_id.to_string(),
        reason: reason.map(str::to_owned),
        detail,
    };
    acted.envelope(crate::store::CONTEXT, message_id, now, traceparent)
}

/// A request that was made before under the same key.
#[derive(Clone, Debug)]
pub struct Earlier {
    /// The order it was about.
    pub order_id: OrderId,
    /// Its answer, when it was given already.
    pub saved: Option<Saved>,
}
