//! Every kind of identity that crosses a context's border.

use std::{fmt, str::FromStr};

use merx_kernel::{Id, IdKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use merx_kernel::principal::{AccountId, ApiKeyId, ApiKeyKind, SessionId};

/// Marks order ids.
pub enum OrderKind {}
impl IdKind for OrderKind {
    const PREFIX: &'static str = "ord";
}
/// An order.
pub type OrderId = Id<OrderKind>;

/// Marks cart ids.
pub enum CartKind {}
impl IdKind for CartKind {
    const PREFIX: &'static str = "crt";
}
/// A cart; a member's has the bits of the account.
pub type CartId = Id<CartKind>;

/// Marks product ids.
pub enum ProductKind {}
impl IdKind for ProductKind {
    const PREFIX: &'static str = "prd";
}
/// A product.
pub type ProductId = Id<ProductKind>;

/// Marks payment ids.
pub enum PaymentKind {}
impl IdKind for PaymentKind {
    const PREFIX: &'static str = "pay";
}
/// A payment; has the bits of its order.
pub type PaymentId = Id<PaymentKind>;

/// Marks payment attempt ids.
pub enum AttemptKind {}
impl IdKind for AttemptKind {
    const PREFIX: &'static str = "att";
}
/// One try to pay by one method; its bare form is the order number at the provider.
pub type AttemptId = Id<AttemptKind>;

/// Marks refund ids.
pub enum RefundKind {}
impl IdKind for RefundKind {
    const PREFIX: &'static str = "rfd";
}
/// A refund; its bare form is the request number at the provider.
pub type RefundId = Id<RefundKind>;

/// Marks reservation ids.
pub enum ReservationKind {}
impl IdKind for ReservationKind {
    const PREFIX: &'static str = "rsv";
}
/// Stock set aside; has the bits of its order.
pub type ReservationId = Id<ReservationKind>;

/// Marks shipment ids.
pub enum ShipmentKind {}
impl IdKind for ShipmentKind {
    const PREFIX: &'static str = "shp";
}
/// A shipment; the first of an order has its bits.
pub type ShipmentId = Id<ShipmentKind>;

/// Marks address ids.
pub enum AddressKind {}
impl IdKind for AddressKind {
    const PREFIX: &'static str = "adr";
}
/// One version of an address; editing makes a new one.
pub type AddressId = Id<AddressKind>;

/// Marks warehouse ids.
pub enum WarehouseKind {}
impl IdKind for WarehouseKind {
    const PREFIX: &'static str = "whs";
}
/// A warehouse.
pub type WarehouseId = Id<WarehouseKind>;

/// Marks message ids.
pub enum MessageKind {}
impl IdKind for MessageKind {
    const PREFIX: &'static str = "msg";
}
/// A fact on the bus; the inbox drops what it has seen under this id.
pub type MessageId = Id<MessageKind>;

/// Marks saga ids.
pub enum SagaKind {}
impl IdKind for SagaKind {
    const PREFIX: &'static str = "sga";
}
/// A saga.
pub type SagaId = Id<SagaKind>;

/// Marks hold ids.
pub enum HoldKind {}
impl IdKind for HoldKind {
    const PREFIX: &'static str = "hld";
}
/// A stop on the dispatch of an order.
pub type HoldId = Id<HoldKind>;

/// Marks return ids.
pub enum ReturnKind {}
impl IdKind for ReturnKind {
    const PREFIX: &'static str = "rtn";
}
/// Goods of a sale taken back.
pub type ReturnId = Id<ReturnKind>;

/// Marks category ids.
pub enum CategoryKind {}
impl IdKind for CategoryKind {
    const PREFIX: &'static str = "cat";
}
/// A category of the catalogue.
pub type CategoryId = Id<CategoryKind>;

/// Marks brand ids.
pub enum BrandKind {}
impl IdKind for BrandKind {
    const PREFIX: &'static str = "brd";
}
/// A brand.
pub type BrandId = Id<BrandKind>;

/// Marks picture ids.
pub enum PictureKind {}
impl IdKind for PictureKind {
    const PREFIX: &'static str = "pic";
}
/// A picture of the catalogue.
pub type PictureId = Id<PictureKind>;

/// Marks mail ids.
pub enum MailKind {}
impl IdKind for MailKind {
    const PREFIX: &'static str = "mal";
}
/// A mail; the same cause makes the same mail.
pub type MailId = Id<MailKind>;

/// Marks webhook ids.
pub enum WebhookKind {}
impl IdKind for WebhookKind {
    const PREFIX: &'static str = "whk";
}
/// An endpoint that is told of facts.
pub type WebhookId = Id<WebhookKind>;

/// Marks code ids.
pub enum CodeKind {}
impl IdKind for CodeKind {
    const PREFIX: &'static str = "cod";
}
/// A code that is mailed.
pub type CodeId = Id<CodeKind>;

/// Marks note ids.
pub enum NoteKind {}
impl IdKind for NoteKind {
    const PREFIX: &'static str = "nte";
}
/// A note on an order.
pub type NoteId = Id<NoteKind>;

/// Marks transfer ids.
pub enum TransferKind {}
impl IdKind for TransferKind {
    const PREFIX: &'static str = "trf";
}
/// Stock moved between warehouses.
pub type TransferId = Id<TransferKind>;

/// Marks stock count ids.
pub enum StockCountKind {}
impl IdKind for StockCountKind {
    const PREFIX: &'static str = "cnt";
}
/// A count of what lies in a warehouse.
pub type StockCountId = Id<StockCountKind>;

/// Marks after-sale case ids.
pub enum AfterSaleKind {}
impl IdKind for AfterSaleKind {
    const PREFIX: &'static str = "afs";
}
/// What a buyer asks after the sale of some of an order's goods; a replacement's reservation has its bits.
pub type AfterSaleId = Id<AfterSaleKind>;

/// Marks evidence ids.
pub enum EvidenceKind {}
impl IdKind for EvidenceKind {
    const PREFIX: &'static str = "evd";
}
/// A picture a buyer shows with an after-sale case.
pub type EvidenceId = Id<EvidenceKind>;

/// The merchant's code of a sellable unit: 1 to 64 letters, digits, `-`, `_`, `.`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Sku(String);

impl Sku {
    /// The longest code.
    pub const LENGTH_MAX: usize = 64;

    /// Checks the code.
    ///
    /// # Errors
    /// A sentence naming the rule.
    pub fn new(code: impl AsRef<str>) -> Result<Self, String> {
        let code = code.as_ref();
        let fits = (1..=Self::LENGTH_MAX).contains(&code.len())
            && code.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        if fits {
            Ok(Self(code.to_owned()))
        } else {
            Err("must be a SKU code: 1 to 64 letters, digits, `-`, `_` or `.`".to_owned())
        }
    }
    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl fmt::Display for Sku {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for Sku {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl FromStr for Sku {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::new(text)
    }
}
impl<'de> Deserialize<'de> for Sku {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::new(text).map_err(serde::de::Error::custom)
    }
}
impl JsonSchema for Sku {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Sku".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"})
    }
}
