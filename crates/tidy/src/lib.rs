//! Rules of the house that a compiler does not know, held by tests: what may depend on what, which words SQL may
//! use and where it may stand, how long files and functions may grow, and that every error code has its page.
//!
//! Each rule is a pure function from text to a list of breaches, so that the rule itself is tested too.

pub mod dependencies;
pub mod errors;
pub mod size;
pub mod sources;
pub mod sql;

/// One breach of a rule: where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Breach(pub String);

impl Breach {
    /// A breach at a place.
    pub fn at(place: impl std::fmt::Display, what: impl std::fmt::Display) -> Self {
        Self(format!("{place}: {what}"))
    }
}
