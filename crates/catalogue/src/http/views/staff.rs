//! What staff are shown.

use merx_contracts::ids::{AccountId, CategoryId, ProductId, Sku};
use merx_kernel::{Money, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::{BrandView, LocalView, PictureView};
use crate::{
    domain::{
        AttributeSpec, Category, CategoryAttribute, Content, LocalText, PriceId, Slug, Status, price::NEVER,
    },
    store::{
        history::{ChangeId, ChangeRow},
        pictures::PictureRow,
        prices::PriceRow,
        products::ProductRow,
        structure::Brand,
    },
};

/// A category as staff edit it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AdminCategoryView {
    /// Its identity.
    pub id: CategoryId,
    /// Its name in links.
    pub slug: Slug,
    /// Its name.
    pub name: LocalText<80>,
    /// The category it lies in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<CategoryId>,
    /// Its place among its siblings, from 0.
    pub position: i64,
    /// Its own attributes.
    pub attributes: Vec<CategoryAttribute>,
    /// The ETag, for `If-Match`.
    pub version: i64,
}

impl From<&Category> for AdminCategoryView {
    fn from(category: &Category) -> Self {
        Self {
            id: category.id,
            slug: category.slug.clone(),
            name: category.name.clone(),
            parent_id: category.parent,
            position: category.ordinal,
            attributes: category.attributes.clone(),
            version: category.version,
        }
    }
}

/// A brand as staff edit it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AdminBrandView {
    /// The brand.
    #[serde(flatten)]
    pub brand: BrandView,
    /// The ETag, for `If-Match`.
    pub version: i64,
}

impl From<&Brand> for AdminBrandView {
    fn from(brand: &Brand) -> Self {
        Self { brand: brand.into(), version: brand.version }
    }
}

/// A definition as staff edit it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AdminAttributeView {
    /// The definition.
    pub attribute: AttributeSpec,
    /// The ETag, for `If-Match`.
    pub version: i64,
}

/// A product as staff know it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AdminProductView {
    /// Its identity.
    pub id: ProductId,
    /// Whether buyers find it now.
    pub status: Status,
    /// Listed from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list_at: Option<Timestamp>,
    /// Not listed from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delist_at: Option<Timestamp>,
    /// Why it is planned so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_reason: Option<String>,
    /// What buyers see when it is listed; absent before it was ever published. SKUs carry their first prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<Content>,
    /// What is being prepared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draft: Option<Content>,
    /// Its pictures, in order.
    pub pictures: Vec<PictureView>,
    /// The ETag, for `If-Match`.
    pub version: i64,
}

impl AdminProductView {
    pub(crate) fn new(product: ProductRow, pictures: &[PictureRow], now: Timestamp) -> Self {
        let listing = product.listing.settled(now);
        Self {
            id: product.id,
            status: listing.status,
            list_at: listing.list_at,
            delist_at: listing.delist_at,
            plan_reason: product.plan_reason,
            live: product.live,
            draft: product.draft,
            pictures: pictures.iter().filter(|p| p.product == product.id).map(PictureView::from).collect(),
            version: product.version,
        }
    }
}

/// A product in the list of staff.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AdminProductLine {
    /// Its identity.
    pub id: ProductId,
    /// Its name, of the draft where there is nothing else.
    pub title: LocalView,
    /// Whether buyers find it now.
    pub status: Status,
    /// Whether a draft waits to be published.
    pub has_draft: bool,
    /// Listed from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list_at: Option<Timestamp>,
    /// Not listed from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delist_at: Option<Timestamp>,
    /// The ETag, for `If-Match`.
    pub version: i64,
}

impl AdminProductLine {
    pub(crate) fn new(product: &ProductRow, now: Timestamp) -> Self {
        let listing = product.listing.settled(now);
        let content = product.live.as_ref().or(product.draft.as_ref());
        Self {
            id: product.id,
            title: content.map(|c| (&c.title).into()).unwrap_or_default(),
            status: listing.status,
            has_draft: product.draft.is_some(),
            list_at: listing.list_at,
            delist_at: listing.delist_at,
            version: product.version,
        }
    }
}

/// Where a price stands in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PriceStatus {
    /// It has not begun.
    Planned,
    /// It has begun and not ended. Another that began later may count instead.
    Standing,
    /// It has ended as planned.
    Ended,
    /// It was taken back.
    Cancelled,
}

/// A price of a SKU.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PriceView {
    /// Its identity.
    pub id: PriceId,
    /// The SKU.
    pub sku: Sku,
    /// What one costs.
    pub price: Money,
    /// From then on.
    pub effective_from: Timestamp,
    /// Until just before then; absent without an end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective_until: Option<Timestamp>,
    /// Where it stands.
    pub status: PriceStatus,
    /// Why.
    pub reason: String,
    /// Who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_by: Option<AccountId>,
    /// When.
    pub made_at: Timestamp,
}

impl PriceView {
    pub(crate) fn new(row: PriceRow, currency: merx_kernel::Currency, now: Timestamp) -> Self {
        let status = match row.rule {
            _ if row.cancelled_at.is_some() => PriceStatus::Cancelled,
            rule if rule.from > now => PriceStatus::Planned,
            rule if rule.until > now => PriceStatus::Standing,
            _ => PriceStatus::Ended,
        };
        Self {
            id: row.rule.id,
            sku: row.sku,
            price: Money::new(row.rule.minor, currency),
            effective_from: row.rule.from,
            effective_until: Some(row.rule.until).filter(|until| *until < NEVER),
            status,
            reason: row.reason,
            made_by: row.made_by,
            made_at: row.made_at,
        }
    }
}

/// A row of the history: who changed what, when and why.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ChangeView {
    /// Its identity.
    pub id: ChangeId,
    /// What kind of thing was changed: `product`, `pictures`, `price`, `category`, `brand`, `attribute`.
    pub kind: String,
    /// The thing, in public form.
    pub object: String,
    /// What was done: `published`, `set`, `took_effect`, …
    pub action: String,
    /// The changed fields as they were.
    pub before: serde_json::Value,
    /// As they are since.
    pub after: serde_json::Value,
    /// Who; absent for what happened by plan or by the shop itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<AccountId>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
}

impl From<ChangeRow> for ChangeView {
    fn from(row: ChangeRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            object: row.object,
            action: row.action,
            before: row.was,
            after: row.became,
            actor: row.actor,
            reason: row.reason,
            at: row.at,
        }
    }
}
