//! Who asks, and what they may do.

use std::{borrow::Cow, fmt, str::FromStr};

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

/// Marks API key ids.
pub enum ApiKeyKind {}
impl IdKind for ApiKeyKind {
    const PREFIX: &'static str = "key";
}
/// A key of a program.
pub type ApiKeyId = Id<ApiKeyKind>;

/// A role every shop has from the start. What a role may do is data, kept by accounts: [`Role::allows`] is what a
/// fresh shop begins with. Shops may make further roles; any role is named by a [`RoleName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Buys.
    Customer,
    /// Buys without having registered.
    Guest,
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
    /// See after-sale cases with their pictures.
    AfterSalesRead,
    /// Approve or refuse what buyers ask after the sale.
    AfterSalesWrite,
    /// Take in and inspect what buyers send back.
    ReturnsWrite,
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
    /// See the ledger, take it out of the shop, see what reconciliation found.
    LedgerRead,
    /// Reconcile with the bills of payment providers, and settle what differs.
    LedgerWrite,
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
        Self::AfterSalesRead,
        Self::AfterSalesWrite,
        Self::ReturnsWrite,
        Self::AccountsRead,
        Self::AccountsWrite,
        Self::StaffWrite,
        Self::AuditRead,
        Self::NotificationsRead,
        Self::NotificationsWrite,
        Self::Operate,
        Self::LedgerRead,
        Self::LedgerWrite,
    ];

    /// The stored and public name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shop => "shop",
            Self::OrdersRead => "orders_read",
            Self::OrdersWrite => "orders_write",
            Self::CatalogueRead => "catalogue_read",
            Self::CatalogueWrite => "catalogue_write",
            Self::InventoryRead => "inventory_read",
            Self::InventoryWrite => "inventory_write",
            Self::ShipmentsRead => "shipments_read",
            Self::ShipmentsWrite => "shipments_write",
            Self::PaymentsRead => "payments_read",
            Self::PaymentsWrite => "payments_write",
            Self::AfterSalesRead => "after_sales_read",
            Self::AfterSalesWrite => "after_sales_write",
            Self::ReturnsWrite => "returns_write",
            Self::AccountsRead => "accounts_read",
            Self::AccountsWrite => "accounts_write",
            Self::StaffWrite => "staff_write",
            Self::AuditRead => "audit_read",
            Self::NotificationsRead => "notifications_read",
            Self::NotificationsWrite => "notifications_write",
            Self::Operate => "operate",
            Self::LedgerRead => "ledger_read",
            Self::LedgerWrite => "ledger_write",
        }
    }
    /// What it opens, in a few words.
    pub const fn opens(self) -> &'static str {
        match self {
            Self::Shop => "Shop for oneself: own cart, own orders, own addresses",
            Self::OrdersRead => "See any order",
            Self::OrdersWrite => "Write notes on orders, and cancel them for their buyers",
            Self::CatalogueRead => "See drafts and the history of the catalogue",
            Self::CatalogueWrite => "Change products, prices, categories, brands and pictures",
            Self::InventoryRead => "See stock and movements",
            Self::InventoryWrite => "Receive, adjust, transfer and count stock",
            Self::ShipmentsRead => "See shipments",
            Self::ShipmentsWrite => "Split, dispatch and track shipments",
            Self::PaymentsRead => "See payments, alerts and quarantined notifications",
            Self::PaymentsWrite => {
                "Settle what waits for a person: alerts, quarantined money, refunds that failed"
            }
            Self::AfterSalesRead => "See after-sale cases with their pictures",
            Self::AfterSalesWrite => "Approve or refuse what buyers ask after the sale",
            Self::ReturnsWrite => "Take in and inspect what buyers send back",
            Self::AccountsRead => "See the accounts of customers",
            Self::AccountsWrite => {
                "End the sessions of customers, export and erase their data when they ask for it"
            }
            Self::StaffWrite => "Keep staff accounts, roles and the permission matrix",
            Self::AuditRead => "Read the record of what staff did",
            Self::NotificationsRead => "See mails and webhooks",
            Self::NotificationsWrite => "Keep webhooks, send mails again",
            Self::Operate => "See and mend sagas, dead letters and the outbox",
            Self::LedgerRead => "See the ledger, take it out of the shop, see what reconciliation found",
            Self::LedgerWrite => "Reconcile with the bills of payment providers, and settle what differs",
        }
    }
    /// Reads [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|p| p.name() == name)
    }
    const fn bit(self) -> u32 {
        1 << (self as u32)
    }
}

/// A set of permissions.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Permissions(u32);

impl Permissions {
    /// No permission.
    pub const NONE: Self = Self(0);

    /// Whether the permission is in the set.
    pub const fn contains(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }
    /// Whether all of it is in the other set.
    pub const fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }
    /// What is in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    /// What is in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
    /// What is in this one only.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
    /// Its permissions, in the order of [`Permission::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |p| self.contains(*p))
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().fold(0, |bits, p| bits | p.bit()))
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Permission::name)).finish()
    }
}

impl Role {
    /// Every role.
    pub const ALL: &'static [Self] = &[
        Self::Customer,
        Self::Guest,
        Self::Support,
        Self::ProductManager,
        Self::Operator,
        Self::Warehouse,
        Self::Administrator,
    ];

    /// Whether the role carries the permission in a fresh shop.
    pub const fn allows(self, permission: Permission) -> bool {
        use Permission as P;
        match self {
            Self::Customer | Self::Guest => matches!(permission, P::Shop),
            Self::Support => matches!(
                permission,
                P::OrdersRead
                    | P::OrdersWrite
                    | P::ShipmentsRead
                    | P::PaymentsRead
                    | P::AfterSalesRead
                    | P::AfterSalesWrite
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
                P::InventoryRead
                    | P::InventoryWrite
                    | P::ShipmentsRead
                    | P::ShipmentsWrite
                    | P::AfterSalesRead
                    | P::ReturnsWrite
            ),
            Self::Administrator => true,
        }
    }
    /// What the role may do in a fresh shop.
    pub fn defaults(self) -> Permissions {
        Permission::ALL.iter().copied().filter(|p| self.allows(*p)).collect()
    }
    /// The stored and public name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Guest => "guest",
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

/// The name of a role: 2 to 40 lower-case letters, digits and underscores, the first a letter.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct RoleName(Cow<'static, str>);

impl RoleName {
    /// The longest name.
    pub const LENGTH_MAX: usize = 40;

    /// Checks the name.
    ///
    /// # Errors
    /// A sentence naming the rule.
    pub fn new(name: &str) -> Result<Self, String> {
        if let Some(role) = Role::from_name(name) {
            return Ok(role.into());
        }
        let fits = (2..=Self::LENGTH_MAX).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if fits {
            Ok(Self(Cow::Owned(name.to_owned())))
        } else {
            Err("must be a role's name: 2 to 40 lower-case letters, digits and `_`, the first a letter"
                .to_owned())
        }
    }
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Role> for RoleName {
    fn from(role: Role) -> Self {
        Self(Cow::Borrowed(role.name()))
    }
}
impl PartialEq<Role> for RoleName {
    fn eq(&self, role: &Role) -> bool {
        self.0 == role.name()
    }
}
impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl FromStr for RoleName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::new(text)
    }
}
impl<'de> Deserialize<'de> for RoleName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}
impl JsonSchema for RoleName {
    fn schema_name() -> Cow<'static, str> {
        "RoleName".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[a-z][a-z0-9_]{1,39}$"})
    }
}

/// By what somebody proved to be whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A person's log-in.
    Session(SessionId),
    /// A program's key.
    Key(ApiKeyId),
}

/// Who makes a request, after authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The account.
    pub account: AccountId,
    /// What it came by.
    pub credential: Credential,
    /// The roles of the account.
    pub roles: Vec<RoleName>,
    /// What it may do at this moment: of the roles, and for a key of its scopes too.
    pub permissions: Permissions,
}

impl Principal {
    /// A person with roles every shop has, who may do what they open in a fresh shop.
    pub fn of_session(account: AccountId, session: SessionId, roles: &[Role]) -> Self {
        Self {
            account,
            credential: Credential::Session(session),
            roles: roles.iter().copied().map(RoleName::from).collect(),
            permissions: roles.iter().fold(Permissions::NONE, |all, role| all.or(role.defaults())),
        }
    }
    /// Whether the permission is there.
    pub const fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(permission)
    }
    /// The log-in, when a person came by one.
    pub const fn session(&self) -> Option<SessionId> {
        match self.credential {
            Credential::Session(session) => Some(session),
            Credential::Key(_) => None,
        }
    }
    /// The key, when a program came by one.
    pub const fn key(&self) -> Option<ApiKeyId> {
        match self.credential {
            Credential::Session(_) => None,
            Credential::Key(key) => Some(key),
        }
    }
}
