//! Who asks, and what they may do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{Id, IdKind};

/// Marks account ids.
pub enum AccountKind {}
impl IdKind for AccountKind {
    const PREFIX: &'static str = "acc";
}
/// An account.
pub type AccountId = Id<AccountKind>;

/// Marks session ids.
pub enum SessionKind {}
impl IdKind for SessionKind {
    const PREFIX: &'static str = "ses";
}
/// A log-in.
pub type SessionId = Id<SessionKind>;

/// A role of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Buys.
    Customer,
    /// Helps buyers.
    Support,
    /// Keeps the catalogue.
    ProductManager,
    /// Runs the shop.
    Operator,
    /// Packs and ships.
    Warehouse,
    /// May do all.
    Administrator,
}

/// What a route demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Shop for oneself: own cart, own orders, own addresses.
    Shop,
    /// See any order.
    OrdersRead,
    /// Write notes on orders, and cancel them for their buyers.
    OrdersWrite,
    /// See drafts and the history of the catalogue.
    CatalogueRead,
    /// Change products, prices, categories, brands and pictures.
    CatalogueWrite,
    /// See stock and movements.
    InventoryRead,
    /// Receive, adjust, transfer and count stock.
    InventoryWrite,
    /// See shipments.
    ShipmentsRead,
    /// Split, dispatch and track shipments.
    ShipmentsWrite,
    /// See payments, alerts and quarantined notifications.
    PaymentsRead,
    /// Settle what waits for a person: alerts, quarantined money, refunds that failed.
    PaymentsWrite,
    /// See the accounts of customers.
    AccountsRead,
    /// End the sessions of customers, export and erase their data when they ask for it.
    AccountsWrite,
    /// Keep staff accounts, roles and the permission matrix.
    StaffWrite,
    /// Read the record of what staff did.
    AuditRead,
    /// See mails and webhooks.
    NotificationsRead,
    /// Keep webhooks, send mails again.
    NotificationsWrite,
    /// See and mend sagas, dead letters and the outbox.
    Operate,
}

impl Permission {
    /// Every permission.
    pub const ALL: &'static [Self] = &[
        Self::Shop,
        Self::OrdersRead,
        Self::OrdersWrite,
        Self::CatalogueRead,
        Self::CatalogueWrite,
        Self::InventoryRead,
        Self::InventoryWrite,
        Self::ShipmentsRead,
        Self::ShipmentsWrite,
        Self::PaymentsRead,
        Self::PaymentsWrite,
        Self::AccountsRead,
        Self::AccountsWrite,
        Self::StaffWrite,
        Self::AuditRead,
        Self::NotificationsRead,
        Self::NotificationsWrite,
        Self::Operate,
    ];
}

impl Role {
    /// Every role.
    pub const ALL: &'static [Self] = &[
        Self::Customer,
        Self::Support,
        Self::ProductManager,
        Self::Operator,
        Self::Warehouse,
        Self::Administrator,
    ];

    /// Whether the role carries the permission.
    pub const fn allows(self, permission: Permission) -> bool {
        use Permission as P;
        match self {
            Self::Customer => matches!(permission, P::Shop),
            Self::Support => matches!(
                permission,
                P::OrdersRead
                    | P::OrdersWrite
                    | P::ShipmentsRead
                    | P::PaymentsRead
                    | P::AccountsRead
                    | P::AccountsWrite
                    | P::NotificationsRead
            ),
            Self::ProductManager => {
                matches!(permission, P::CatalogueRead | P::CatalogueWrite | P::InventoryRead)
            }
            Self::Operator => !matches!(permission, P::Shop | P::Operate | P::StaffWrite),
            Self::Warehouse => matches!(
                permission,
                P::InventoryRead | P::InventoryWrite | P::ShipmentsRead | P::ShipmentsWrite
            ),
            Self::Administrator => true,
        }
    }
    /// The stored and public name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Support => "support",
            Self::ProductManager => "product_manager",
            Self::Operator => "operator",
            Self::Warehouse => "warehouse",
            Self::Administrator => "administrator",
        }
    }
    /// Reads [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|r| r.name() == name)
    }
}

/// Who makes a request, after authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The account.
    pub account: AccountId,
    /// The log-in it came by.
    pub session: SessionId,
    /// What the account may be.
    pub roles: Vec<Role>,
}

impl Principal {
    /// Whether any role carries the permission.
    pub fn may(&self, permission: Permission) -> bool {
        self.roles.iter().any(|r| r.allows(permission))
    }
}
