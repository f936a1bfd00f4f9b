//! The goods of the demo, from `demo/catalogue.json`: what they are sorted into, products with pictures, stock.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use merx_catalogue::{
    Seed, SeedPicture, SeedProduct,
    commands::keep_categories::CategorySpec,
    domain::{
        AttributeSpec, AttributeValue, Content, LocalText, ProductOption, SkuSpec, Slug, Status,
        category::CategoryAttribute,
    },
    store::structure::Brand,
};
use merx_contracts::ids::{BrandId, CategoryId, Sku};
use merx_inventory::commands::{StockReceipt, receive_stock};
use merx_kernel::{Currency, Error, Id, Money, Result};
use serde::Deserialize;

use super::pictures;
use crate::shop::Shop;

/// 2026-01-01 in the time part of a version 7 UUID: what the demo makes has the same ids in every shop.
const PRODUCT_IDS: u128 = 0x019b_76da_a800_7000_8000_0000_0000_0000;
const ENTRY_IDS: u128 = 0x019b_76da_a800_7000_9000_0000_0000_0000;
const CATEGORY_IDS: u128 = 0x019b_76da_a800_7000_a000_0000_0000_0000;
const BRAND_IDS: u128 = 0x019b_76da_a800_7000_b000_0000_0000_0000;
const PICTURE_IDS: u128 = 0x019b_76da_a800_7000_8100_0000_0000_0000;

#[derive(Deserialize)]
struct Goods {
    currency: Currency,
    categories: Vec<GoodsCategory>,
    brands: Vec<Named>,
    attributes: Vec<AttributeSpec>,
    products: Vec<GoodsProduct>,
}
#[derive(Deserialize)]
struct Named {
    slug: Slug,
    name: LocalText<80>,
}
#[derive(Deserialize)]
struct GoodsCategory {
    #[serde(flatten)]
    named: Named,
    attributes: Vec<Slug>,
    children: Vec<Named>,
}
#[derive(Deserialize)]
struct GoodsProduct {
    category: Slug,
    brand: Slug,
    picture: String,
    attributes: BTreeMap<Slug, AttributeValue>,
    title: LocalText<200>,
    description: LocalText<4000>,
    options: Vec<ProductOption>,
    skus: Vec<GoodsSku>,
}
#[derive(Deserialize)]
struct GoodsSku {
    sku: Sku,
    choices: Vec<u16>,
    price_minor: i64,
    weight_grams: u32,
    stock: i64,
    limit_per_buyer: Option<u32>,
}

/// Loads the goods and their stock; what is there already stays as it is.
pub(super) async fn load(shop: &Shop) -> Result<()> {
    let goods: Goods = serde_json::from_str(include_str!("../../demo/catalogue.json"))
        .map_err(|e| Error::internal("the demo catalogue cannot be read").with_source(e))?;
    let stock: Vec<(Sku, i64)> =
        goods.products.iter().flat_map(|p| &p.skus).map(|s| (s.sku.clone(), s.stock)).collect();
    let stock = try_join_all((ENTRY_IDS + 1..).zip(stock).map(|(entry, (sku, quantity))| {
        let reason = Some("demo catalogue".to_owned());
        receive_stock(&shop.inventory, StockReceipt { entry: Id::from_bits(entry), sku, quantity, reason })
    }));
    let seed = goods.seed()?;
    let (stock, products) = tokio::join!(stock, merx_catalogue::seed(&shop.catalogue, seed));
    stock.map(drop).and(products)
}

impl Goods {
    fn seed(self) -> Result<Seed> {
        let Self { currency, categories, brands, attributes, products } = self;
        let mut ids = (CATEGORY_IDS..).map(Id::from_bits);
        let mut shelves: Vec<(CategoryId, CategorySpec)> = Vec::new();
        for GoodsCategory { named, attributes, children } in categories {
            let attributes = attributes.into_iter().map(|code| CategoryAttribute { code, required: false });
            let parent = ids.next();
            for (id, named, parent, attributes) in [(parent, named, None, attributes.collect())]
                .into_iter()
                .chain(children.into_iter().map(|child| (None, child, parent, Vec::new())))
            {
                let Some(id) = id.or_else(|| ids.next()) else { continue };
                let Named { slug, name } = named;
                shelves.push((id, CategorySpec { slug, name, parent, position: None, attributes }));
            }
        }
        let brands: Vec<Brand> = (BRAND_IDS..)
            .zip(brands)
            .map(|(id, Named { slug, name })| Brand { id: Id::from_bits(id), slug, name, version: 1 })
            .collect();
        let category_of: BTreeMap<Slug, CategoryId> =
            shelves.iter().map(|(id, spec)| (spec.slug.clone(), *id)).collect();
        let brand_of: BTreeMap<Slug, BrandId> = brands.iter().map(|b| (b.slug.clone(), b.id)).collect();
        let products = products.into_iter().enumerate();
        let products = products.map(|(number, p)| p.seed(number, currency, &category_of, &brand_of));
        let products = products.collect::<Result<Vec<_>>>()?;
        Ok(Seed { attributes, categories: shelves, brands, products })
    }
}

impl GoodsProduct {
    fn seed(
        self,
        number: usize,
        currency: Currency,
        categories: &BTreeMap<Slug, CategoryId>,
        brands: &BTreeMap<Slug, BrandId>,
    ) -> Result<SeedProduct> {
        let Self { category, brand, picture, attributes, title, description, options, skus } = self;
        let nth = u128::try_from(number).unwrap_or_default();
        let skus = skus.into_iter().map(|of| SkuSpec {
            sku: of.sku,
            choices: of.choices,
            price: Some(Money::new(of.price_minor, currency)),
            weight_grams: of.weight_grams,
            limit_per_order: None,
            limit_per_buyer: of.limit_per_buyer,
        });
        let drawn = SeedPicture {
            id: Id::from_bits(PICTURE_IDS + nth),
            bytes: pictures::draw(&picture, number)?.into(),
            alt: title.clone(),
        };
        let content = Content {
            title,
            description: Some(description),
            category_id: categories.get(&category).copied(),
            brand_id: brands.get(&brand).copied(),
            attributes,
            options,
            skus: skus.collect(),
        };
        let id = Id::from_bits(PRODUCT_IDS + nth);
        Ok(SeedProduct { id, content, status: Status::Listed, pictures: vec![drawn] })
    }
}
