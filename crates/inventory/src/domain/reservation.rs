//! A reservation: stock set aside for one order, then let go or sold. Its identity is the effect identity, so
//! each command may come twice and in any order.

use std::collections::BTreeMap;

use merx_contracts::ids::{Sku, WarehouseId};
use merx_kernel::{Error, Guard};

use super::lines::{Lines, PlacedLine};

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
}

/// What has happened to it. Release and sale repeat the lines, so that each event alone says which units moved.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the one field is always the lines")]
pub enum ReservationEvent {
    /// The lines were taken from what is available.
    StockReserved { lines: Vec<PlacedLine> },
    /// The lines are available again.
    StockReleased { lines: Vec<PlacedLine> },
    /// The lines left for good.
    StockSold { lines: Vec<PlacedLine> },
    /// Released before it was made: the tombstone.
    ReservationForestalled,
}

/// What the stock rows answered for one wanted line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// This warehouse has taken the whole line out of what is available.
    From(WarehouseId),
    /// No warehouse has the whole line; this is the most that one has.
    Short {
        /// Units.
        available: i64,
    },
}

/// Why a reservation refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Too few units.
    SoldOut {
        /// Of which SKU.
        sku: Sku,
        /// How many were wanted.
        wanted: i64,
        /// How many can be had in one line.
        available: i64,
    },
    /// It was let go, now or before it was made.
    AlreadyReleased,
    /// It was sold.
    AlreadySold,
    /// Nothing was ever heard of it.
    NotReserved,
    /// The same reservation was made with other lines.
    Differs,
}

/// The rule. `offers` tells for an unknown reservation what the stock rows answered for each wanted SKU; a SKU
/// without an offer has none. It is not read for a reservation that exists.
///
/// # Errors
/// The refusal.
pub fn decide(
    state: &Reservation,
    command: &ReservationCommand,
    offers: &BTreeMap<Sku, Offer>,
) -> Result<Option<ReservationEvent>, Rejection> {
    use Reservation as S;
    use ReservationCommand as C;
    use ReservationEvent as E;
    match (command, state) {
        (C::Reserve(lines), S::Unknown) => place(lines, offers).map(|lines| Some(E::StockReserved { lines })),
        (C::Reserve(wanted), S::Reserved { lines } | S::Sold { lines }) => {
            if same(wanted, lines) {
                Ok(None)
            } else {
                Err(Rejection::Differs)
            }
        }
        (C::Reserve(_) | C::Sell, S::Released | S::Forestalled) => Err(Rejection::AlreadyReleased),
        (C::Release, S::Reserved { lines }) => Ok(Some(E::StockReleased { lines: lines.clone() })),
        (C::Release, S::Unknown) => Ok(Guard::ReservationTombstone.on().then_some(E::ReservationForestalled)),
        (C::Release, S::Released | S::Forestalled) | (C::Sell, S::Sold { .. }) => Ok(None),
        (C::Release, S::Sold { .. }) => Err(Rejection::AlreadySold),
        (C::Sell, S::Reserved { lines }) => Ok(Some(E::StockSold { lines: lines.clone() })),
        (C::Sell, S::Unknown) => Err(Rejection::NotReserved),
    }
}

fn place(lines: &Lines, offers: &BTreeMap<Sku, Offer>) -> Result<Vec<PlacedLine>, Rejection> {
    let place_one = |line: &super::Line| match offers.get(&line.sku) {
        Some(Offer::From(warehouse)) => {
            Ok(PlacedLine { sku: line.sku.clone(), warehouse: *warehouse, quantity: line.quantity })
        }
        short => Err(Rejection::SoldOut {
            sku: line.sku.clone(),
            wanted: line.quantity,
            available: short.map_or(0, |offer| match offer {
                Offer::Short { available } => *available,
                Offer::From(_) => 0,
            }),
        }),
    };
    lines.as_slice().iter().map(place_one).collect()
}

fn same(wanted: &Lines, lines: &[PlacedLine]) -> bool {
    let wanted = wanted.as_slice();
    wanted.len() == lines.len()
        && wanted.iter().zip(lines).all(|(w, l)| w.sku == l.sku && w.quantity == l.quantity)
}

/// The state after an event.
#[must_use]
pub fn evolve(_: Reservation, event: &ReservationEvent) -> Reservation {
    match event {
        ReservationEvent::StockReserved { lines } => Reservation::Reserved { lines: lines.clone() },
        ReservationEvent::StockReleased { .. } => Reservation::Released,
        ReservationEvent::StockSold { lines } => Reservation::Sold { lines: lines.clone() },
        ReservationEvent::ReservationForestalled => Reservation::Forestalled,
    }
}

impl Reservation {
    /// The stored and public name of where it stands; a tombstone is `released`.
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
            Rejection::SoldOut { sku, wanted, available } => Self::rejected(
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
        }
    }
}
