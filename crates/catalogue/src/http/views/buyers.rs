//! What buyers are shown.

use merx_contracts::ids::{BrandId, CategoryId, PictureId, ProductId, Sku};
use merx_kernel::Money;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        AttributeKind, AttributeSpec, AttributeValue, Category, CategoryAttribute, Choice, Content,
        LocalText, ProductOption, Slug,
    },
    store::{
        listing::PublicProduct,
        pictures::{LocalAlt, PictureRow},
        structure::{Brand, Structure},
    },
};

/// One text in the languages the product speaks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LocalView {
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

impl<const MAX: usize> From<&LocalText<MAX>> for LocalView {
    fn from(text: &LocalText<MAX>) -> Self {
        Self { zh: text.zh.to_string(), en: text.en.to_string() }
    }
}
impl From<&LocalAlt> for LocalView {
    fn from(alt: &LocalAlt) -> Self {
        Self { zh: alt.zh.clone(), en: alt.en.clone() }
    }
}

/// A product as shoppers see it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ProductView {
    /// Its identity.
    pub id: ProductId,
    /// Its name.
    pub title: LocalView,
    /// What it is.
    pub description: LocalView,
    /// Where it lies, from the topmost category down; empty for one without a category.
    pub category_path: Vec<CategoryRef>,
    /// Its brand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brand: Option<BrandView>,
    /// What describes it, in the order of its category.
    pub attributes: Vec<ProductAttributeView>,
    /// Its pictures, in order.
    pub pictures: Vec<PictureView>,
    /// How its SKUs differ.
    pub options: Vec<ProductOption>,
    /// Its SKUs, each with its present price.
    pub skus: Vec<SkuView>,
}

/// A category by name.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CategoryRef {
    /// Its identity.
    pub id: CategoryId,
    /// Its name in links.
    pub slug: Slug,
    /// Its name.
    pub name: LocalView,
}

impl From<&Category> for CategoryRef {
    fn from(category: &Category) -> Self {
        Self { id: category.id, slug: category.slug.clone(), name: (&category.name).into() }
    }
}

/// A brand.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct BrandView {
    /// Its identity.
    pub id: BrandId,
    /// Its name in links.
    pub slug: Slug,
    /// Its name.
    pub name: LocalView,
}

impl From<&Brand> for BrandView {
    fn from(brand: &Brand) -> Self {
        Self { id: brand.id, slug: brand.slug.clone(), name: (&brand.name).into() }
    }
}

/// A value of an attribute, with everything to show it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ProductAttributeView {
    /// The attribute's code.
    pub code: Slug,
    /// Its name.
    pub name: LocalView,
    /// What its values are.
    pub kind: AttributeKind,
    /// What a number counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The value.
    pub value: AttributeValue,
    /// The value's name, for a choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_name: Option<LocalView>,
}

/// A sellable unit as shoppers see it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SkuView {
    /// The code to put into the cart.
    pub sku: Sku,
    /// The chosen options in words; empty when there is nothing to choose.
    pub choices: LocalView,
    /// For each option, the index of the chosen value.
    pub choice_indexes: Vec<u16>,
    /// Present price of one unit.
    pub price: Money,
    /// Gross weight of one unit in grams.
    pub weight_grams: u32,
    /// The most units of one order; absent without a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_per_order: Option<u32>,
    /// The most units one buyer may ever buy; absent without a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_per_buyer: Option<u32>,
}

/// A picture in the sizes it can be had in.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PictureView {
    /// Its identity.
    pub id: PictureId,
    /// What it shows, in words; empty for decoration.
    pub alt: LocalView,
    /// Its files, the narrowest first; one for a drawing.
    pub files: Vec<PictureFileView>,
}

/// One size of a picture.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PictureFileView {
    /// Its path at this API.
    pub url: String,
    /// Pixels, or units of a drawing.
    pub width: i64,
    /// Likewise.
    pub height: i64,
}

impl From<&PictureRow> for PictureView {
    fn from(picture: &PictureRow) -> Self {
        let files = picture.files.iter().map(|file| PictureFileView {
            url: format!("/pictures/{}", file.object),
            width: file.width,
            height: file.height,
        });
        Self { id: picture.id, alt: (&picture.alt).into(), files: files.collect() }
    }
}

impl ProductView {
    /// A product among the categories, brands and definitions of the moment.
    pub(crate) fn new(product: PublicProduct, structure: &Structure) -> Self {
        let PublicProduct { id, content, pictures } = product;
        let path = content.category_id.map(|category| structure.tree.path(category)).unwrap_or_default();
        let attributes = attributes_of(&content, structure);
        let skus = content.skus.iter().filter_map(|sku| {
            let (zh, en) = Content::describe_choices(&content.options, &sku.choices);
            Some(SkuView {
                sku: sku.sku.clone(),
                choices: LocalView { zh, en },
                choice_indexes: sku.choices.clone(),
                price: sku.price?,
                weight_grams: sku.weight_grams,
                limit_per_order: sku.limit_per_order,
                limit_per_buyer: sku.limit_per_buyer,
            })
        });
        Self {
            id,
            title: (&content.title).into(),
            description: content.description.as_ref().map(LocalView::from).unwrap_or_default(),
            category_path: path.into_iter().map(CategoryRef::from).collect(),
            brand: content.brand_id.and_then(|brand| structure.brands.get(&brand)).map(BrandView::from),
            attributes,
            pictures: pictures.iter().map(PictureView::from).collect(),
            skus: skus.collect(),
            options: content.options,
        }
    }
}

/// In the order of the category; what it asks for no more comes last.
fn attributes_of(content: &Content, structure: &Structure) -> Vec<ProductAttributeView> {
    let ordered = content.category_id.map(|id| structure.tree.attributes(id)).unwrap_or_default();
    let ordered = ordered.into_iter().map(|a| a.code);
    let rest = content.attributes.keys().cloned();
    let mut codes: Vec<Slug> = Vec::new();
    for code in ordered.chain(rest) {
        if !codes.contains(&code) {
            codes.push(code);
        }
    }
    let one = |code: &Slug| {
        let (value, definition) = (content.attributes.get(code)?, structure.attributes.get(code)?);
        let choice = match value {
            AttributeValue::Choice(choice) => definition.choices.iter().find(|c| c.code == *choice),
            _ => None,
        };
        Some(ProductAttributeView {
            code: code.clone(),
            name: (&definition.name).into(),
            kind: definition.kind,
            unit: definition.unit.as_ref().map(ToString::to_string),
            value: value.clone(),
            value_name: choice.map(|c| (&c.name).into()),
        })
    };
    codes.iter().filter_map(one).collect()
}

/// A category in its tree.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CategoryView {
    /// Its identity.
    pub id: CategoryId,
    /// Its name in links.
    pub slug: Slug,
    /// Its name.
    pub name: LocalView,
    /// The category it lies in; absent for a topmost one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<CategoryId>,
    /// How deep it lies: 1 for a topmost one.
    pub depth: usize,
}

impl CategoryView {
    pub(crate) fn new(category: &Category, structure: &Structure) -> Self {
        Self {
            id: category.id,
            slug: category.slug.clone(),
            name: (&category.name).into(),
            parent_id: category.parent,
            depth: structure.tree.path(category.id).len(),
        }
    }
}

/// A category with what its products are described and filtered by.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CategoryDetailView {
    /// The category.
    #[serde(flatten)]
    pub category: CategoryView,
    /// Where it lies, from the topmost category down to itself.
    pub path: Vec<CategoryRef>,
    /// The attributes of its products, those of the categories above included.
    pub attributes: Vec<CategoryAttributeView>,
}

/// An attribute as a category has it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CategoryAttributeView {
    /// Its code.
    pub code: Slug,
    /// Its name.
    pub name: LocalView,
    /// What its values are.
    pub kind: AttributeKind,
    /// What a number counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The choices, for that kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
    /// Whether `GET /v1/products` can be narrowed by it.
    pub filterable: bool,
    /// Whether a product must have it.
    pub required: bool,
}

impl CategoryAttributeView {
    pub(crate) fn new(of: &CategoryAttribute, definition: &AttributeSpec) -> Self {
        Self {
            code: of.code.clone(),
            name: (&definition.name).into(),
            kind: definition.kind,
            unit: definition.unit.as_ref().map(ToString::to_string),
            choices: definition.choices.clone(),
            filterable: definition.filterable,
            required: of.required,
        }
    }
}
