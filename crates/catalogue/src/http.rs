//! The public routes: everybody may look at what is on sale.

use axum::extract::State as FromState;
use merx_contracts::ids::ProductId;
use merx_http::{Access, Json, Path, Problem, Query, Route};
use merx_kernel::{Error, Id, Page, PageRequest, Result};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    State,
    domain::{Product, ProductOption},
    store,
};

/// A product as shoppers see it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ProductView {
    /// Its identity.
    pub id: ProductId,
    /// Its name.
    pub title: LocalView,
    /// What it is.
    pub description: LocalView,
    /// How its SKUs differ.
    pub options: Vec<ProductOption>,
    /// Its SKUs, each with its present price.
    pub skus: Vec<SkuView>,
}

/// One text in the languages the product speaks.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LocalView {
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

/// A sellable unit as shoppers see it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SkuView {
    /// The code to put into the cart.
    pub sku: merx_contracts::ids::Sku,
    /// The chosen options in words; empty when there is nothing to choose.
    pub choices: LocalView,
    /// For each option, the index of the chosen value.
    pub choice_indexes: Vec<u16>,
    /// Present price of one unit.
    pub price: merx_kernel::Money,
    /// Gross weight of one unit in grams.
    pub weight_grams: u32,
}

impl From<Product> for ProductView {
    fn from(product: Product) -> Self {
        let skus = product
            .skus
            .into_iter()
            .map(|sku| {
                let (zh, en) = Product::describe_choices(&product.options, &sku.choices);
                SkuView {
                    sku: sku.sku,
                    choices: LocalView { zh, en },
                    choice_indexes: sku.choices,
                    price: sku.price,
                    weight_grams: sku.weight_grams,
                }
            })
            .collect();
        Self {
            id: product.id,
            title: LocalView { zh: product.title.zh.into_string(), en: product.title.en.into_string() },
            description: LocalView {
                zh: product.description.zh.into_string(),
                en: product.description.en.into_string(),
            },
            options: product.options,
            skus,
        }
    }
}

/// The routes of catalogue.
pub fn routes(state: &State) -> Vec<Route> {
    vec![
        Route::get("/v1/products", Access::Public, list_products, state)
            .id("listProducts")
            .summary("Products on sale, newest first")
            .query::<PageRequest>()
            .response::<Page<ProductView>>(200),
        Route::get("/v1/products/{product}", Access::Public, get_product, state)
            .id("getProduct")
            .summary("One product on sale")
            .param::<ProductId>("product")
            .response::<ProductView>(200)
            .errors(&["catalogue.product_not_found"]),
    ]
}

async fn list_products(
    FromState(state): FromState<State>,
    Query(page): Query<PageRequest>,
) -> Result<Json<Page<ProductView>>, Problem> {
    let limit = page.checked_limit()?;
    let before: ProductId = match &page.cursor {
        None => Id::from_bits(u128::MAX),
        Some(cursor) => cursor
            .parse()
            .map_err(|_| Error::invalid("cursor", "must be the next_cursor of the page before"))?,
    };
    let products =
        state.db.read("catalogue.list_products", move |q| store::listed(q, before, limit + 1)).await?;
    let more = products.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    let shown = products.len() - usize::from(more);
    let items: Vec<ProductView> = products.into_iter().take(shown).map(ProductView::from).collect();
    let next_cursor = items.last().filter(|_| more).map(|last| last.id.to_string());
    Ok(Json(Page { items, next_cursor }))
}

async fn get_product(
    FromState(state): FromState<State>,
    Path(id): Path<ProductId>,
) -> Result<Json<ProductView>, Problem> {
    let product = state.db.read("catalogue.get_product", move |q| store::one(q, id)).await?;
    let product = product.ok_or_else(|| {
        Error::not_found(
            "catalogue.product_not_found",
            "There is no such product, or it is no longer on sale.",
        )
    })?;
    Ok(Json(product.into()))
}
