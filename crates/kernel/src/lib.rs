//! The words every other crate speaks: money, identities, time, randomness, errors, secrets, pages.
//!
//! Pure and small: no I/O, no async runtime, no SQL. What needs a real clock or real randomness asks for a
//! [`Clock`] or an [`Entropy`]; the real ones live in `merx-platform`.

pub mod clock;
pub mod error;
pub mod guard;
pub mod id;
pub mod money;
pub mod page;
pub mod principal;
pub mod quantity;
pub mod secret;
pub mod text;

pub use clock::{Clock, Timestamp};
pub use error::{Error, ErrorKind, FieldError, Result};
pub use guard::Guard;
pub use id::{Entropy, Id, IdGen, IdKind};
pub use money::{Currency, Money};
pub use page::{Page, PageRequest};
pub use principal::{Credential, Permission, Permissions, Principal, Role, RoleName};
pub use quantity::Quantity;
pub use secret::Secret;
pub use text::BoundedText;
