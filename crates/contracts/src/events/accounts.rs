//! Facts of accounts.

use serde::{Deserialize, Serialize};

use crate::{
    envelope::Fact,
    ids::{AccountId, CodeId},
};

/// A guest has logged in as a member: what the guest had is the member's now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestLoggedIn {
    /// The guest's account.
    pub guest_id: AccountId,
    /// The member's account.
    pub account_id: AccountId,
}

/// A code is to be mailed. It is not in here: ask accounts for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeRequested {
    /// The code's identity.
    pub code_id: CodeId,
    /// Whose.
    pub account_id: AccountId,
    /// What for: `staff_invitation`.
    pub purpose: String,
}

/// A person's data was erased; whoever keeps any of it erases it too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonErased {
    /// Whose.
    pub account_id: AccountId,
}

impl Fact for GuestLoggedIn {
    const TYPE: &'static str = "accounts.guest_logged_in.v1";
    fn subject(&self) -> String {
        self.guest_id.to_string()
    }
}
impl Fact for CodeRequested {
    const TYPE: &'static str = "accounts.code_requested.v1";
    fn subject(&self) -> String {
        self.account_id.to_string()
    }
}
impl Fact for PersonErased {
    const TYPE: &'static str = "accounts.person_erased.v1";
    fn subject(&self) -> String {
        self.account_id.to_string()
    }
}
