//! Whether buyers can find a product, now and by plan.

use merx_kernel::{Error, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The life of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Never published: nobody but staff knows it.
    Draft,
    /// On sale.
    Listed,
    /// Published, and not on sale: not yet, or no longer.
    Unlisted,
}

impl Status {
    /// The stored name.
    pub const fn stored(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Listed => "active",
            Self::Unlisted => "delisted",
        }
    }
    /// Reads [`Self::stored`].
    pub fn from_stored(name: &str) -> Option<Self> {
        [Self::Draft, Self::Listed, Self::Unlisted].into_iter().find(|s| s.stored() == name)
    }
}

/// The state of a product's listing. Whether it is listed is computed from it whenever that is asked, so that a planned
/// moment is kept exactly; the timer that fires at the moment only writes down what has happened and tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listing {
    /// As last written down.
    pub status: Status,
    /// Listed from then on.
    pub list_at: Option<Timestamp>,
    /// Not listed from then on; after `list_at` where there are both.
    pub delist_at: Option<Timestamp>,
}

impl Listing {
    /// Not planned.
    pub const fn of(status: Status) -> Self {
        Self { status, list_at: None, delist_at: None }
    }

    /// With what was planned up to `at` written down.
    #[must_use]
    pub fn settled(self, at: Timestamp) -> Self {
        let mut now = self;
        if now.list_at.is_some_and(|moment| moment <= at) {
            (now.status, now.list_at) = (Status::Listed, None);
        }
        if now.delist_at.is_some_and(|moment| moment <= at) {
            (now.status, now.delist_at) = (Status::Unlisted, None);
        }
        now
    }

    /// Whether buyers find it at `at`.
    pub fn is_listed(self, at: Timestamp) -> bool {
        self.settled(at).status == Status::Listed
    }

    /// Lists it now, or at `list_at`; until `delist_at`, if given. What was planned before is forgotten.
    ///
    /// # Errors
    /// `Invalid` for moments that are past or in the wrong order; `catalogue.already_listed` for a plan to list what is
    /// listed.
    pub fn list(
        self,
        at: Timestamp,
        list_at: Option<Timestamp>,
        delist_at: Option<Timestamp>,
    ) -> Result<Self> {
        let now = self.settled(at);
        if list_at.is_some_and(|moment| moment <= at) {
            return Err(Error::invalid("/list_at", "must be in the future; leave it out to list now"));
        }
        if delist_at.is_some_and(|moment| moment <= list_at.unwrap_or(at)) {
            return Err(Error::invalid("/delist_at", "must be after the listing"));
        }
        if list_at.is_some() && now.status == Status::Listed {
            return Err(Error::conflict("catalogue.already_listed", "The product is listed already."));
        }
        let status = if list_at.is_some() { now.status } else { Status::Listed };
        Ok(Self { status, list_at, delist_at })
    }

    /// Takes it off sale now, or at `delist_at`. What was planned before for that is forgotten.
    ///
    /// # Errors
    /// `Invalid` for a moment that is past or before the planned listing; `catalogue.not_listed`.
    pub fn delist(self, at: Timestamp, delist_at: Option<Timestamp>) -> Result<Self> {
        let now = self.settled(at);
        if now.status != Status::Listed && now.list_at.is_none() {
            return Err(Error::conflict(
                "catalogue.not_listed",
                "The product is not listed, nor planned to be.",
            ));
        }
        let Some(moment) = delist_at else {
            // A planned listing taken back leaves the product what it was.
            let status = if now.status == Status::Listed { Status::Unlisted } else { now.status };
            return Ok(Self::of(status));
        };
        if moment <= now.list_at.unwrap_or(at) {
            return Err(Error::invalid("/delist_at", "must be in the future and after the planned listing"));
        }
        Ok(Self { delist_at, ..now })
    }

    /// Forgets what is planned.
    #[must_use]
    pub fn unplanned(self, at: Timestamp) -> Self {
        Self::of(self.settled(at).status)
    }
}
