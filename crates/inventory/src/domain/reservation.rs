//! A reservation: stock set aside for one order, then let go or sold, and what came back of the sale. Its identity is
//! the effect identity, so each command may come twice and in any order.

use merx_contracts::ids::{ReturnId, Sku};
use merx_kernel::{Error, Guard};

use super::{
    allocate::Shortage,
    lines::{Lines, PlacedLine},
};

/// Where a reservation stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reservation {
    /// Nothing was ever heard of it.
    #[default]
    Unknown,
    /// Its lines are set aside.
    Reserved {
        /// What, and where.
        lines: Vec<PlacedLine>,
    },
    /// Its lines were let go.
    Released,
    /// Its lines were sold.
    Sold {
        /// What, and where.
        lines: Vec<PlacedLine>,
        /// What came back, and in which warehouse it lies again.
        returns: Vec<(ReturnId, Vec<PlacedLine>)>,
    },
    /// A release came before the reserve; the late reserve is refused.
    Forestalled,
}

/// What may be asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReservationCommand {
    /// Set these lines aside, all or nothing.
    Reserve(Lines),
    /// Let it go.
    Release,
    /// Turn it into a sale.
    Sell,
    /// Take goods of the sale back.
    TakeBack {
        /// The effect identity of the return.
        return_id: ReturnId,
        /// What comes back; everything that has not come back yet unless told.
        lines: Option<Lines>,
        /// The word of the movement ledger.
        reason: String,
        /// It cannot be sold again: it stays sold.
        written_off: bool,
    },
}

/// What has happened to it. Each event repeats the lines, so that it alone says which units moved.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the lines, and what the command said")]
pub enum ReservationEvent {
    /// The lines were taken from what is available.
    StockReserved { lines: Vec<PlacedLine> },
    /// The lines are available again.
    StockReleased { lines: Vec<PlacedLine> },
    /// The lines left for good.
    StockSold { lines: Vec<PlacedLine> },
    /// Goods of the sale are available again, where they came from.
    StockReturned { return_id: ReturnId, lines: Vec<PlacedLine>, reason: String },
    /// Goods of the sale came back and cannot be sold again: no stock moves.
    StockWrittenOff { return_id: ReturnId, lines: Vec<PlacedLine>, reason: String },
    /// Let go before it was made: the tombstone.
    ReservationForestalled,
}

/// What the search for the wanted lines came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Nobody searched: the reservation exists, or is not to be made.
    NotSought,
    /// The lines were taken out of what is available here.
    Found(Vec<PlacedLine>),
    /// There is too little.
    Short(Shortage),
}

/// Why a reservation refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Too few units.
    SoldOut(Shortage),
    /// It was let go, now or before it was made.
    AlreadyReleased,
    /// It was sold.
    AlreadySold,
    /// Nothing was ever heard of it.
    NotReserved,
    /// The same reservation was made with other lines.
    Differs,
    /// More is to come back than was sold and has not come back.
    ReturnedTooMuch {
        /// Of which SKU.
        sku: Sku,
        /// How many are to come back.
        wanted: i64,
        /// How many can.
        left: i64,
    },
    /// The same return was made with other lines.
    ReturnDiffers,
}

/// The rule. `placement` tells for an unknown reservation where the wanted lines were found; it is not read for a
/// reservation that exists.
///
/// # Errors
/// The refusal.
pub fn decide(
    state: &Reservation,
    command: &ReservationCommand,
    placement: Placement,
) -> Result<Option<ReservationEvent>, Rejection> {
    use Reservation as S;
    use ReservationCommand as C;
    use ReservationEvent as E;
    match (command, state) {
        (C::Reserve(wanted), S::Unknown) => {
            place(wanted, placement).map(|lines| Some(E::StockReserved { lines }))
        }
        (C::Reserve(wanted), S::Reserved { lines } | S::Sold { lines, .. }) => {
            if wanted.are(lines) {
                Ok(None)
            } else {
                Err(Rejection::Differs)
            }
        }
        (C::Reserve(_) | C::Sell, S::Released | S::Forestalled) => Err(Rejection::AlreadyReleased),
        (C::Release, S::Reserved { lines }) => Ok(Some(E::StockReleased { lines: lines.clone() })),
        (C::Release, S::Unknown) => Ok(tombstone()),
        (C::Release, S::Released | S::Forestalled) | (C::Sell, S::Sold { .. }) => Ok(None),
        (C::Release, S::Sold { .. }) => Err(Rejection::AlreadySold),
        (C::Sell, S::Reserved { lines }) => Ok(Some(E::StockSold { lines: lines.clone() })),
        (C::Sell, S::Unknown) => Err(Rejection::NotReserved),
        (C::TakeBack { return_id, lines: wanted, reason, written_off }, S::Sold { lines, returns }) => {
            let Some(lines) = take_back(*return_id, wanted.as_ref(), lines, returns)? else {
                return Ok(None);
            };
            let (return_id, reason) = (*return_id, reason.clone());
            Ok(Some(if *written_off {
                E::StockWrittenOff { return_id, lines, reason }
            } else {
                E::StockReturned { return_id, lines, reason }
            }))
        }
        // Everything is to come back before it was sold, or even set aside: it is let go, and the late sale refused.
        (C::TakeBack { lines: None, .. }, S::Reserved { lines }) => {
            Ok(Some(E::StockReleased { lines: lines.clone() }))
        }
        (C::TakeBack { lines: None, .. }, S::Unknown) => Ok(tombstone()),
        (C::TakeBack { lines: None, .. }, S::Released | S::Forestalled) => Ok(None),
        (C::TakeBack { lines: Some(wanted), .. }, _) => match wanted.as_slice().first() {
            Some(line) => Err(too_much(&line.sku, line.quantity, 0)),
            None => Ok(None),
        },
    }
}

fn tombstone() -> Option<ReservationEvent> {
    Guard::ReservationTombstone.on().then_some(ReservationEvent::ReservationForestalled)
}

fn too_much(sku: &Sku, wanted: i64, left: i64) -> Rejection {
    Rejection::ReturnedTooMuch { sku: sku.clone(), wanted, left }
}

fn place(wanted: &Lines, placement: Placement) -> Result<Vec<PlacedLine>, Rejection> {
    match placement {
        Placement::Found(lines) if wanted.are(&lines) => Ok(lines),
        Placement::Short(shortage) => Err(Rejection::SoldOut(shortage)),
        // What was not found whole is not there.
        Placement::Found(_) | Placement::NotSought => {
            let line = &wanted.as_slice()[0];
            let (sku, wanted) = (line.sku.clone(), line.quantity);
            Err(Rejection::SoldOut(Shortage { sku, wanted, available: 0 }))
        }
    }
}

/// The goods that come back, to the warehouses they came from, the first placed first; nothing when they did before.
fn take_back(
    return_id: ReturnId,
    wanted: Option<&Lines>,
    sold: &[PlacedLine],
    returns: &[(ReturnId, Vec<PlacedLine>)],
) -> Result<Option<Vec<PlacedLine>>, Rejection> {
    if let Some((_, came)) = returns.iter().find(|(id, _)| *id == return_id) {
        let same = wanted.is_none_or(|wanted| wanted.are(came));
        return if same { Ok(None) } else { Err(Rejection::ReturnDiffers) };
    }
    let mut left = sold.to_vec();
    for came in returns.iter().flat_map(|(_, lines)| lines) {
        let from = left.iter_mut().find(|l| l.sku == came.sku && l.warehouse == came.warehouse);
        if let Some(line) = from {
            line.quantity -= came.quantity;
        }
    }
    let mut lines = Vec::new();
    match wanted {
        None => lines = left,
        Some(wanted) => {
            for line in wanted.as_slice() {
                let mut open = line.quantity;
                for from in left.iter().filter(|l| l.sku == line.sku) {
                    let quantity = from.quantity.min(open);
                    lines.push(PlacedLine { quantity, ..from.clone() });
                    open -= quantity;
                }
                if open > 0 {
                    return Err(too_much(&line.sku, line.quantity, line.quantity - open));
                }
            }
        }
    }
    lines.retain(|line| line.quantity > 0);
    Ok((!lines.is_empty()).then_some(lines))
}

/// The state after an event.
#[must_use]
pub fn evolve(state: Reservation, event: &ReservationEvent) -> Reservation {
    match event {
        ReservationEvent::StockReserved { lines } => Reservation::Reserved { lines: lines.clone() },
        ReservationEvent::StockReleased { .. } => Reservation::Released,
        ReservationEvent::StockSold { lines } => {
            Reservation::Sold { lines: lines.clone(), returns: Vec::new() }
        }
        ReservationEvent::ReservationForestalled => Reservation::Forestalled,
        ReservationEvent::StockReturned { return_id, lines, .. }
        | ReservationEvent::StockWrittenOff { return_id, lines, .. } => {
            let (sold, mut returns) = match state {
                Reservation::Sold { lines, returns } => (lines, returns),
                _ => (Vec::new(), Vec::new()),
            };
            returns.push((*return_id, lines.clone()));
            Reservation::Sold { lines: sold, returns }
        }
    }
}

impl Reservation {
    /// The stored and public name of where it stands; a tombstone is `released`, a sale that came back still `sold`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Reserved { .. } => "reserved",
            Self::Released | Self::Forestalled => "released",
            Self::Sold { .. } => "sold",
        }
    }
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::SoldOut(Shortage { sku, wanted, available }) => Self::rejected(
                "inventory.sold_out",
                format!("{wanted} of {sku} were asked for, {available} can be had."),
            ),
            Rejection::AlreadyReleased => Self::rejected(
                "inventory.reservation_released",
                "The reservation was released; it can neither be made nor sold.",
            ),
            Rejection::AlreadySold => Self::rejected(
                "inventory.reservation_sold",
                "The reservation was sold; it cannot be released.",
            ),
            Rejection::NotReserved => {
                Self::rejected("inventory.reservation_unknown", "There is no such reservation to sell.")
            }
            Rejection::Differs => Self::rejected(
                "inventory.reservation_differs",
                "The reservation was already made with other lines.",
            ),
            Rejection::ReturnedTooMuch { sku, wanted, left } => Self::rejected(
                "inventory.returned_too_much",
                format!("{wanted} of {sku} are to come back, {left} of those sold have not come back yet."),
            ),
            Rejection::ReturnDiffers => {
                Self::rejected("inventory.return_differs", "The return was already made with other lines.")
            }
        }
    }
}
