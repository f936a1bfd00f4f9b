//! What stops the goods of an order: a hold for as long as it lasts, a cancellation for good.

use merx_kernel::{Error, Result};

use super::shipment::Verdict;

/// The way out of the warehouse for one order, as its guard row tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gate {
    /// How many holds last.
    pub holds: i64,
    /// Whether its shipments were cancelled for good.
    pub cancelled: bool,
}

/// The refusal under a cancelled order. Nothing that is asked later changes it.
pub fn order_cancelled() -> Error {
    Error::rejected("shipping.order_cancelled", "The order was cancelled; nothing of it is shipped any more.")
}

/// The refusal of an ask whose hold was lifted.
fn hold_lifted() -> Error {
    Error::rejected("shipping.hold_lifted", "The hold was lifted; ask for one under a new identity.")
}

/// The refusal of a hold, when something has left.
pub fn already_left() -> Error {
    Error::rejected(
        "shipping.already_dispatched",
        "A shipment of the order has left the warehouse; what is on its way comes back as a return.",
    )
}

impl Gate {
    /// Whether something of the order may be opened, split or dispatched.
    ///
    /// # Errors
    /// `shipping.order_cancelled`, for good; `shipping.order_held` (Conflict), until the hold is lifted.
    pub fn pass(self) -> Result<()> {
        if self.cancelled {
            return Err(order_cancelled());
        }
        if self.holds > 0 {
            return Err(Error::conflict(
                "shipping.order_held",
                "The order is being cancelled: leave the parcel where it is and look again in a minute. \
                 Either the order is cancelled then, or the parcel may leave.",
            ));
        }
        Ok(())
    }
}

/// What became of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldStatus {
    /// It lasts.
    Held,
    /// It was lifted, perhaps before it was made: it can never last again.
    Lifted,
    /// The order was cancelled under it.
    Cancelled,
}

impl HoldStatus {
    /// Every status.
    pub const ALL: &'static [Self] = &[Self::Held, Self::Lifted, Self::Cancelled];

    /// The stored name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Lifted => "lifted",
            Self::Cancelled => "cancelled",
        }
    }
    /// Reads [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|s| s.name() == name)
    }
}

/// Whether a hold may begin. `before` is what is known under its identity; `left` whether anything of the order has
/// left.
///
/// # Errors
/// `shipping.hold_lifted` when it was lifted, perhaps before it came; `shipping.order_cancelled`;
/// `shipping.already_dispatched`.
pub fn hold(before: Option<HoldStatus>, gate: Gate, left: bool) -> Result<Verdict> {
    match before {
        Some(HoldStatus::Held | HoldStatus::Cancelled) => Ok(Verdict::Done),
        Some(HoldStatus::Lifted) => Err(hold_lifted()),
        None if gate.cancelled => Err(order_cancelled()),
        None if left => Err(already_left()),
        None => Ok(Verdict::Change),
    }
}

/// Whether a hold is to be lifted; one that is not known yet is refused when it comes.
///
/// # Errors
/// `shipping.order_cancelled` when the order was cancelled under it.
pub fn lift(before: Option<HoldStatus>) -> Result<Verdict> {
    match before {
        None | Some(HoldStatus::Held) => Ok(Verdict::Change),
        Some(HoldStatus::Lifted) => Ok(Verdict::Done),
        Some(HoldStatus::Cancelled) => Err(order_cancelled()),
    }
}

/// Whether the order is to be cancelled under the hold.
///
/// # Errors
/// `shipping.not_held` when there is no such hold, `shipping.hold_lifted` when it lasts no more.
pub fn cancel(before: Option<HoldStatus>) -> Result<Verdict> {
    match before {
        Some(HoldStatus::Held) => Ok(Verdict::Change),
        Some(HoldStatus::Cancelled) => Ok(Verdict::Done),
        Some(HoldStatus::Lifted) => Err(hold_lifted()),
        None => Err(Error::rejected(
            "shipping.not_held",
            "Shipments are cancelled under a hold, and there is none of this identity: ask for the hold first.",
        )),
    }
}
